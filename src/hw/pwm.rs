//! A light that is an LED on a PWM channel, by the kernel's files in `/sys/class/pwm`.
//!
//! The files are those of Documentation/ABI/testing/sysfs-class-pwm (Linux 6.12): a channel is exported, gets a period and
//! a duty cycle in nanoseconds, and is enabled. A chip is found by its number or, because numbers change between kernels
//! (a Pi 5's header was pwmchip2 and is pwmchip0), by the name of its device. The wish for an inverted output is met by
//! the duty cycle: not every chip can invert.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Glow, Light, LineTrouble};
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
    let chip = find(class, &wish.pwm_chip)?;
    let channel = chip.join(format!("pwm{}", wish.pwm_channel));
    let what = format!("{} channel {}", wish.pwm_chip, wish.pwm_channel);
    let mut light = Channel { channel, what, polarity: wish.polarity, brightness_percent: wish.brightness_percent };
    light.export(&chip, wish.pwm_channel)?;
    // What an earlier owner left may be longer than our period, and then the period is refused.
    let _ = light.write("duty_cycle", 0);
    light.write("period", PERIOD_NS)?;
    light.show(&[Glow::DARK])?;
    light.write("enable", 1)?;
    Ok(Box::new(light))
}

/// The chip's folder.
fn find(class: &Path, name: &str) -> Result<PathBuf, LineTrouble> {
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
    let why = format!("there is no such PWM chip ({known}): is its overlay in config.txt (`dtoverlay=pwm`)?");
    Err(LineTrouble::Light { what: name.to_string(), why })
}

struct Channel {
    /// Its folder.
    channel: PathBuf,
    /// What to call it.
    what: String,
    polarity: Polarity,
    brightness_percent: u32,
}

impl Channel {
    /// Asks the kernel for the channel, where that was not done before.
    fn export(&self, chip: &Path, number: u32) -> Result<(), LineTrouble> {
        if self.channel.exists() {
            return Ok(());
        }
        let export = chip.join("export");
        write(&export, u64::from(number)).map_err(|error| match error.raw_os_error() {
            Some(libc::EBUSY) => self.trouble("a driver of the kernel holds it; name another channel".to_string()),
            Some(libc::ENODEV | libc::EINVAL) => self.trouble("the chip has no such channel".to_string()),
            _ => self.failed(&export, &error),
        })?;
        let since = Instant::now();
        let duty = self.channel.join("duty_cycle");
        while OpenOptions::new().write(true).open(&duty).is_err() && since.elapsed() < UDEV_TAKES {
            std::thread::sleep(UDEV_LOOK);
        }
        Ok(())
    }

    fn write(&self, file: &str, number: u64) -> Result<(), LineTrouble> {
        let path = self.channel.join(file);
        write(&path, number).map_err(|error| self.failed(&path, &error))
    }

    fn failed(&self, path: &Path, error: &io::Error) -> LineTrouble {
        if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) {
            let remedy = "install board/60-mynah-light.rules in /etc/udev/rules.d, and let the service write to /sys \
                          (board/README.md says how for both)";
            return LineTrouble::Denied { what: path.display().to_string(), remedy: remedy.to_string() };
        }
        self.trouble(format!("{}: {error}", path.display()))
    }

    fn trouble(&self, why: String) -> LineTrouble {
        LineTrouble::Light { what: self.what.clone(), why }
    }
}

impl Light for Channel {
    fn lamps(&self) -> usize {
        1
    }

    fn show(&mut self, glows: &[Glow]) -> Result<(), LineTrouble> {
        let power = glows.first().copied().unwrap_or(Glow::DARK).power() * self.brightness_percent as f32 / 100.0;
        let lit_ns = ((PERIOD_NS as f32 * power) as u64).min(PERIOD_NS);
        let high_ns = match self.polarity {
            Polarity::ActiveHigh => lit_ns,
            Polarity::ActiveLow => PERIOD_NS - lit_ns,
        };
        self.write("duty_cycle", high_ns)
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
}
