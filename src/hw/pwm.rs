//! Lights and other outputs on a PWM channel, by the kernel's files in `/sys/class/pwm`.
//!
//! The files are those of Documentation/ABI/testing/sysfs-class-pwm (Linux 6.12): a channel is exported, gets a period and
//! a duty cycle in nanoseconds, and is enabled. A chip is found by its number or, because numbers change between kernels
//! (a Pi 5's header was pwmchip2 and is pwmchip0), by the name of its device. The wish for an inverted output is met by
//! the duty cycle: not every chip can invert.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Glow, Light, LineTrouble, Pulse, Pwm};
use crate::config::board::pwm::PwmOutput;
use crate::config::board::{Polarity, PwmLight};

/// Where the kernel has them.
pub const CLASS: &str = "/sys/class/pwm";

/// 1 kHz: far above what an eye sees flicker, also when it moves, and slow enough for any transistor.
const PERIOD_NS: u64 = 1_000_000;

/// A channel that was just exported belongs to root for a moment, until udev has given it to its group.
const UDEV_TAKES: Duration = Duration::from_millis(500);
const UDEV_LOOK: Duration = Duration::from_millis(10);

/// Opens the light; it is dark until told. `class` is [`CLASS`].
///
/// # Errors
/// [`LineTrouble`] where the chip or its channel is not there, is taken, or may not be used.
pub fn open(class: &Path, wish: &PwmLight) -> Result<Box<dyn Light>, LineTrouble> {
    let what = format!("{} channel {}", wish.pwm_chip, wish.pwm_channel);
    let as_light = |why| LineTrouble::Light { what: what.clone(), why };
    let chip = find(class, &wish.pwm_chip).map_err(|why| LineTrouble::Light { what: wish.pwm_chip.clone(), why })?;
    let channel = Channel::open(&chip, wish.pwm_channel, wish.polarity, PERIOD_NS);
    let channel = channel.map_err(|fault| fault.told(as_light))?;
    Ok(Box::new(Lamp { channel, what: what.clone(), brightness_percent: wish.brightness_percent }))
}

/// Opens an output of the board profile; it gives no pulses until set. `class` is [`CLASS`].
///
/// # Errors
/// As those of [`open`].
pub fn open_output(class: &Path, name: &str, wish: &PwmOutput) -> Result<Box<dyn Pwm>, LineTrouble> {
    let as_output = |why| LineTrouble::Pwm { what: name.to_string(), why };
    let chip = find(class, &wish.pwm_chip).map_err(as_output)?;
    let channel = Channel::open(&chip, wish.pwm_channel, wish.polarity, PERIOD_NS);
    let channel = channel.map_err(|fault| fault.told(as_output))?;
    Ok(Box::new(Output { channel, name: name.to_string(), wish: wish.clone() }))
}

/// The chip's folder.
fn find(class: &Path, name: &str) -> Result<PathBuf, String> {
    let chips: Vec<PathBuf> = fs::read_dir(class).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    let is_wanted = |chip: &&PathBuf| {
        let device = fs::read_link(chip.join("device")).unwrap_or_default();
        [chip.as_path(), device.as_path()].iter().any(|path| path.file_name().is_some_and(|file| file == name))
    };
    if let Some(chip) = chips.iter().find(is_wanted) {
        return Ok(chip.clone());
    }
    let mut known: Vec<_> = chips.iter().filter_map(|chip| chip.file_name()?.to_str()).collect();
    known.sort_unstable();
    let known = if known.is_empty() { "there is none".to_string() } else { format!("there is {}", known.join(", ")) };
    Err(format!("there is no such PWM chip ({known}): is its overlay in config.txt (`dtoverlay=pwm`)?"))
}

/// Why a channel cannot be used.
enum Fault {
    /// Rights are missing.
    Denied(PathBuf),
    /// Anything else.
    Other(String),
}

impl Fault {
    fn told(self, other: impl FnOnce(String) -> LineTrouble) -> LineTrouble {
        match self {
            Fault::Denied(path) => {
                let remedy = "install board/60-mynah-light.rules in /etc/udev/rules.d, and let the service write to /sys \
                              (board/README.md says how for both)";
                LineTrouble::Denied { what: path.display().to_string(), remedy: remedy.to_string() }
            }
            Fault::Other(why) => other(why),
        }
    }

    fn of(path: &Path, error: &io::Error) -> Fault {
        match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Fault::Denied(path.to_path_buf()),
            _ => Fault::Other(format!("{}: {error}", path.display())),
        }
    }
}

struct Channel {
    /// Its folder.
    folder: PathBuf,
    polarity: Polarity,
    period_ns: u64,
}

impl Channel {
    /// Takes the channel; it gives no pulses until set.
    fn open(chip: &Path, number: u32, polarity: Polarity, period_ns: u64) -> Result<Channel, Fault> {
        let mut channel = Channel { folder: chip.join(format!("pwm{number}")), polarity, period_ns };
        channel.export(chip, number)?;
        // What an earlier owner left may be longer than our period, and then the period is refused.
        let _ = channel.write("duty_cycle", 0);
        channel.write("period", period_ns)?;
        channel.set(Pulse { period_ns, on_ns: 0 })?;
        channel.write("enable", 1)?;
        Ok(channel)
    }

    /// Asks the kernel for the channel, where that was not done before.
    fn export(&self, chip: &Path, number: u32) -> Result<(), Fault> {
        if self.folder.exists() {
            return Ok(());
        }
        let export = chip.join("export");
        write(&export, u64::from(number)).map_err(|error| match error.raw_os_error() {
            Some(libc::EBUSY) => Fault::Other("a driver of the kernel holds it; name another channel".to_string()),
            Some(libc::ENODEV | libc::EINVAL) => Fault::Other("the chip has no such channel".to_string()),
            _ => Fault::of(&export, &error),
        })?;
        let since = Instant::now();
        let duty = self.folder.join("duty_cycle");
        while OpenOptions::new().write(true).open(&duty).is_err() && since.elapsed() < UDEV_TAKES {
            std::thread::sleep(UDEV_LOOK);
        }
        Ok(())
    }

    fn set(&mut self, pulse: Pulse) -> Result<(), Fault> {
        let on_ns = pulse.on_ns.min(pulse.period_ns);
        let high_ns = match self.polarity {
            Polarity::ActiveHigh => on_ns,
            Polarity::ActiveLow => pulse.period_ns - on_ns,
        };
        // The duty cycle may never be longer than the period, also in between.
        if pulse.period_ns > self.period_ns {
            self.write("period", pulse.period_ns)?;
        }
        self.write("duty_cycle", high_ns)?;
        if pulse.period_ns < self.period_ns {
            self.write("period", pulse.period_ns)?;
        }
        self.period_ns = pulse.period_ns;
        Ok(())
    }

    fn write(&self, file: &str, number: u64) -> Result<(), Fault> {
        let path = self.folder.join(file);
        write(&path, number).map_err(|error| Fault::of(&path, &error))
    }
}

struct Lamp {
    channel: Channel,
    /// What to call it.
    what: String,
    brightness_percent: u32,
}

impl Light for Lamp {
    fn lamps(&self) -> usize {
        1
    }

    fn show(&mut self, glows: &[Glow]) -> Result<(), LineTrouble> {
        let power = glows.first().copied().unwrap_or(Glow::DARK).power() * self.brightness_percent as f32 / 100.0;
        let pulse = Pulse { period_ns: PERIOD_NS, on_ns: (PERIOD_NS as f32 * power) as u64 };
        let as_light = |why| LineTrouble::Light { what: self.what.clone(), why };
        self.channel.set(pulse).map_err(|fault| fault.told(as_light))
    }
}

struct Output {
    channel: Channel,
    name: String,
    wish: PwmOutput,
}

impl Pwm for Output {
    fn output(&self) -> &PwmOutput {
        &self.wish
    }

    fn set(&mut self, pulse: Pulse) -> Result<(), LineTrouble> {
        let as_output = |why| LineTrouble::Pwm { what: self.name.clone(), why };
        self.channel.set(pulse).map_err(|fault| fault.told(as_output))
    }
}

/// Writes a number to a file that exists.
fn write(path: &Path, number: u64) -> io::Result<()> {
    OpenOptions::new().write(true).truncate(true).open(path)?.write_all(number.to_string().as_bytes())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::hw::Rgb;

    /// A made-up `/sys/class/pwm`, gone when dropped.
    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str) -> Tree {
            let class = std::env::temp_dir().join(format!("mynah-pwm-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&class);
            for chip in ["pwmchip0", "pwmchip2"] {
                fs::create_dir_all(class.join(chip)).unwrap();
                fs::write(class.join(chip).join("export"), "").unwrap();
            }
            std::os::unix::fs::symlink("../../1f00098000.pwm", class.join("pwmchip2/device")).unwrap();
            Tree(class)
        }

        fn export(&self, channel: &str) {
            fs::create_dir(self.0.join(channel)).unwrap();
            for file in ["duty_cycle", "period", "enable"] {
                fs::write(self.0.join(channel).join(file), "0\n").unwrap();
            }
        }

        fn read(&self, file: &str) -> String {
            fs::read_to_string(self.0.join(file)).unwrap().trim().to_string()
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn wish(chip: &str, polarity: Polarity) -> PwmLight {
        PwmLight { pwm_chip: chip.into(), pwm_channel: 1, polarity, brightness_percent: 50 }
    }

    fn glow(percent: u8) -> Glow {
        Glow { percent, colour: Rgb { red: 255, green: 0, blue: 0 } }
    }

    #[test]
    fn brightness_becomes_a_duty_cycle() {
        let tree = Tree::new("duty");
        tree.export("pwmchip2/pwm1");
        // By the device's name, and by the number.
        for (chip, polarity, dark, half, full) in [
            ("1f00098000.pwm", Polarity::ActiveHigh, "0", "125000", "500000"),
            ("pwmchip2", Polarity::ActiveLow, "1000000", "875000", "500000"),
        ] {
            let mut light = open(&tree.0, &wish(chip, polarity)).unwrap();
            assert_eq!(light.lamps(), 1);
            assert_eq!(tree.read("pwmchip2/pwm1/period"), "1000000");
            assert_eq!(tree.read("pwmchip2/pwm1/enable"), "1");
            assert_eq!(tree.read("pwmchip2/pwm1/duty_cycle"), dark, "dark when opened");
            for (percent, expected) in [(50, half), (100, full), (0, dark)] {
                light.show(&[glow(percent), glow(100)]).unwrap();
                assert_eq!(tree.read("pwmchip2/pwm1/duty_cycle"), expected);
            }
            light.show(&[]).unwrap();
            assert_eq!(tree.read("pwmchip2/pwm1/duty_cycle"), dark);
        }
        assert_eq!(tree.read("pwmchip2/export"), "", "what is exported already is not asked for again");
    }

    #[test]
    fn a_channel_is_exported_where_it_is_not() {
        let tree = Tree::new("export");
        // The made-up tree has no kernel in it that would make the channel.
        let trouble = open(&tree.0, &wish("pwmchip0", Polarity::ActiveHigh)).err().unwrap().to_string();
        assert_eq!(tree.read("pwmchip0/export"), "1");
        assert!(
            trouble.starts_with("the light pwmchip0 channel 1 cannot be used: ") && trouble.contains("period"),
            "{trouble}"
        );
    }

    #[test]
    fn a_chip_that_is_not_there_is_told_with_those_that_are() {
        let tree = Tree::new("missing");
        let trouble = open(&tree.0, &wish("pwmchip7", Polarity::ActiveHigh)).err().unwrap().to_string();
        assert!(trouble.contains("pwmchip7") && trouble.contains("pwmchip0, pwmchip2"), "{trouble}");
        assert!(trouble.contains("dtoverlay=pwm"), "{trouble}");
        let trouble = open(Path::new("/no/such/class"), &wish("pwmchip0", Polarity::ActiveHigh)).err().unwrap();
        assert!(trouble.to_string().contains("there is none"), "{trouble}");
    }

    #[test]
    fn an_output_gives_the_pulses_it_is_told_to_whatever_came_before() {
        use crate::config::board::pwm::PwmKind;
        let tree = Tree::new("output");
        tree.export("pwmchip2/pwm1");
        for (polarity, expected) in [
            (Polarity::ActiveHigh, [("20000000", "1500000"), ("500000", "250000"), ("500000", "0")]),
            (Polarity::ActiveLow, [("20000000", "18500000"), ("500000", "250000"), ("500000", "500000")]),
        ] {
            let wish = PwmOutput { pwm_chip: "1f00098000.pwm".into(), pwm_channel: 1, polarity, kind: PwmKind::Buzzer };
            let mut output = open_output(&tree.0, "horn", &wish).unwrap();
            let pulses = [(20_000_000, 1_500_000), (500_000, 250_000), (500_000, 0)];
            for ((period_ns, on_ns), (period, duty)) in pulses.into_iter().zip(expected) {
                output.set(Pulse { period_ns, on_ns }).unwrap();
                let written = ["period", "duty_cycle"].map(|file| tree.read(&format!("pwmchip2/pwm1/{file}")));
                assert_eq!(written, [period, duty]);
            }
        }
        let wish = PwmOutput {
            pwm_chip: "pwmchip9".into(),
            pwm_channel: 0,
            polarity: Polarity::ActiveHigh,
            kind: PwmKind::Buzzer,
        };
        let trouble = open_output(&tree.0, "horn", &wish).err().unwrap().to_string();
        assert!(trouble.starts_with("PWM output horn: there is no such PWM chip (there is pwmchip0"), "{trouble}");
    }
}
