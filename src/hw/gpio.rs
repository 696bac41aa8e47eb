//! Lines of the kernel's GPIO character device (uAPI v2): buttons with kernel debounce, outputs, levels.
//!
//! Only this file knows levels: active-low is handed to the kernel, so that everybody else sees active and
//! inactive. A line is found by its name on any chip, because the numbers of chips change between kernels
//! (a Pi 5's header moved from gpiochip4 to gpiochip0 with 6.6.45); `gpiochip0:17` is for chips without names.
//! Reading and driving a line never waits for anything but the chip itself.

pub mod chips;

use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gpiocdev::line::{EdgeDetection, EdgeKind, Offset, Value};
use gpiocdev::request::{Builder, Request};
use gpiocdev::{Chip, Error, chip};

use super::poll::wait_readable;
use super::{Button, Clock, Edge, Input, LineTrouble, OR_THE_SERVICE, Output};
use crate::config::board::{Bias, Line, Polarity, Safe, chip_and_offset};
use crate::flow::EDGES_MAX;

/// The name under which the kernel shows who holds a line.
const CONSUMER: &str = "mynah";

/// Opens an input for its edges; `name` is the board profile's name of the line.
///
/// # Errors
/// [`LineTrouble`] that says what the owner must do.
pub fn open_button(line: &Line, name: &str, clock: Arc<dyn Clock>) -> Result<Box<dyn Button>, LineTrouble> {
    let mut builder = input(line);
    builder.with_edge_detection(EdgeDetection::BothEdges).with_kernel_event_buffer_size(EDGES_MAX as u32);
    let lone = Lone::request(builder, line, name)?;
    Ok(Box::new(GpioButton { lone, clock }))
}

/// Opens an input for its level.
///
/// # Errors
/// [`LineTrouble`] that says what the owner must do.
pub fn open_input(line: &Line, name: &str) -> Result<Box<dyn Input>, LineTrouble> {
    Ok(Box::new(Lone::request(input(line), line, name)?))
}

/// Opens an output; it is driven inactive in the same step that makes it an output.
///
/// # Errors
/// [`LineTrouble`] that says what the owner must do.
pub fn open_output(line: &Line, name: &str) -> Result<Box<dyn Output>, LineTrouble> {
    let mut builder = Request::builder();
    polarity(&mut builder, line);
    builder.as_output(if line.safe == Safe::Active { Value::Active } else { Value::Inactive });
    Ok(Box::new(Lone::request(builder, line, name)?))
}

fn input(line: &Line) -> Builder {
    let mut builder = Request::builder();
    polarity(&mut builder, line);
    builder.as_input();
    let bias = match line.bias {
        Bias::AsIs => None,
        Bias::PullUp => Some(gpiocdev::line::Bias::PullUp),
        Bias::PullDown => Some(gpiocdev::line::Bias::PullDown),
        Bias::Disabled => Some(gpiocdev::line::Bias::Disabled),
    };
    builder.with_bias(bias);
    if line.debounce_ms > 0 {
        builder.with_debounce_period(Duration::from_millis(line.debounce_ms.into()));
    }
    builder
}

fn polarity(builder: &mut Builder, line: &Line) {
    match line.polarity {
        Polarity::ActiveHigh => builder.as_active_high(),
        Polarity::ActiveLow => builder.as_active_low(),
    };
}

/// One requested line.
struct Lone {
    request: Request,
    name: String,
    chip: PathBuf,
}

impl Lone {
    fn request(mut builder: Builder, line: &Line, name: &str) -> Result<Lone, LineTrouble> {
        let (chip, offset) = find(&line.line)?;
        // `with_line` comes last and takes the settings made so far for this line.
        let made = builder.with_consumer(CONSUMER).on_chip(&chip).with_line(offset).request();
        match made {
            Ok(request) => Ok(Lone { request, name: name.to_string(), chip }),
            Err(error) => Err(refused(&error, &line.line, &chip, offset)),
        }
    }

    fn level(&self) -> Result<bool, LineTrouble> {
        self.request.lone_value().map(|value| value == Value::Active).map_err(|error| self.trouble(&error))
    }

    fn trouble(&self, error: &Error) -> LineTrouble {
        if !self.chip.exists() {
            return self.other(format!("its chip {} is gone: is it plugged in?", self.chip.display()));
        }
        self.other(error.to_string())
    }

    fn other(&self, why: String) -> LineTrouble {
        LineTrouble::Other { line: self.name.clone(), why }
    }
}

impl Input for Lone {
    fn is_active(&mut self) -> Result<bool, LineTrouble> {
        self.level()
    }
}

impl Output for Lone {
    fn set(&mut self, active: bool) -> Result<(), LineTrouble> {
        let value = if active { Value::Active } else { Value::Inactive };
        self.request.set_lone_value(value).map_err(|error| self.trouble(&error))
    }

    fn is_active(&mut self) -> Result<bool, LineTrouble> {
        self.level()
    }
}

struct GpioButton {
    lone: Lone,
    clock: Arc<dyn Clock>,
}

impl Button for GpioButton {
    fn is_active(&mut self) -> Result<bool, LineTrouble> {
        self.lone.level()
    }

    fn wait(&mut self, timeout: Duration) -> Result<Option<Edge>, LineTrouble> {
        // Own poll, because the crate hides the errno that tells a signal from a fault.
        let ready = wait_readable(self.lone.request.as_fd(), timeout);
        if !ready.map_err(|error| self.lone.other(error.to_string()))? {
            return Ok(None);
        }
        let event = self.lone.request.read_edge_event().map_err(|error| self.lone.trouble(&error))?;
        // The kernel stamps with CLOCK_MONOTONIC, our clock has another zero: what they share is the age.
        let age = Duration::from_nanos(monotonic_ns().saturating_sub(event.timestamp_ns));
        Ok(Some(Edge { at: self.clock.now().back(age), active: event.kind == EdgeKind::Rising }))
    }
}

/// The chip's path and the line's offset on it.
fn find(line: &str) -> Result<(PathBuf, Offset), LineTrouble> {
    if let Some((chip, offset)) = chip_and_offset(line) {
        let path = PathBuf::from("/dev").join(chip);
        return match Chip::from_path(&path) {
            Ok(found) if found.info().is_ok_and(|info| offset < info.num_lines) => Ok((path, offset)),
            Err(error) if is_denied(&error) => Err(no_right(&path)),
            _ => Err(LineTrouble::Missing { line: line.to_string() }),
        };
    }
    let mut denied = None;
    for path in chip::chips().unwrap_or_default() {
        match Chip::from_path(&path) {
            Ok(chip) => {
                if let Some(info) = chip.find_line_info(line) {
                    return Ok((path, info.offset));
                }
            }
            Err(error) if is_denied(&error) => denied = Some(path),
            Err(_) => {} // a chip that just went away
        }
    }
    Err(match denied {
        Some(path) => no_right(&path),
        None => LineTrouble::Missing { line: line.to_string() },
    })
}

/// Why the kernel does not give us the line.
fn refused(error: &Error, line: &str, chip: &Path, offset: Offset) -> LineTrouble {
    if is_denied(error) {
        return no_right(chip);
    }
    let line = line.to_string();
    // The crate hides the errno of the request; whether somebody holds the line can be asked.
    match Chip::from_path(chip).and_then(|chip| chip.line_info(offset)) {
        Ok(info) if info.used && info.consumer.is_empty() => {
            LineTrouble::Busy { line, holder: "the kernel or an unnamed program".to_string() }
        }
        Ok(info) if info.used => LineTrouble::Busy { line, holder: format!("`{}`", info.consumer) },
        _ => LineTrouble::Other { line, why: error.to_string() },
    }
}

/// No right to the chip: the group that its device file belongs to decides what to do.
fn no_right(chip: &Path) -> LineTrouble {
    let group = fs::metadata(chip).ok().filter(|file| file.gid() != 0 && file.mode() & 0o060 == 0o060);
    let name = group.and_then(|file| group_name(&fs::read_to_string("/etc/group").ok()?, file.gid()));
    let remedy = match name {
        Some(name) => format!(
            "add the user to the group `{name}` (`sudo usermod -aG {name} $USER`) and log in again; {OR_THE_SERVICE}"
        ),
        // Plain Debian has no rule for GPIO; Raspberry Pi OS has one.
        None => "only root may: install board/60-mynah-gpio.rules in /etc/udev/rules.d (board/README.md says how), \
                 which gives it to the group `gpio`"
            .to_string(),
    };
    LineTrouble::Denied { what: chip.display().to_string(), remedy }
}

/// The name of a group in the text of /etc/group.
fn group_name(groups: &str, id: u32) -> Option<String> {
    let mut lines = groups.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines.find_map(|fields| (fields.get(2)?.parse() == Ok(id)).then(|| fields[0].to_string()))
}

/// Whether opening the chip's device file was forbidden.
fn is_denied(error: &Error) -> bool {
    let Error::Os(errno) = error else { return false };
    io::Error::from_raw_os_error(errno.0).kind() == ErrorKind::PermissionDenied
}

/// The kernel's monotonic clock, in nanoseconds: the one that stamps edges.
fn monotonic_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid timespec that outlives the call, and the clock exists on every Linux.
    let answer = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    if answer != 0 {
        return 0; // age 0: the edge counts as happening now
    }
    (now.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(now.tv_nsec as u64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::board::Direction;
    use crate::units::Time;

    struct Zero;
    impl Clock for Zero {
        fn now(&self) -> Time {
            Time::from_ms(1000)
        }
    }

    fn line(kernel_name: &str) -> Line {
        Line {
            direction: Direction::Input,
            line: kernel_name.to_string(),
            polarity: Polarity::ActiveLow,
            bias: Bias::PullUp,
            debounce_ms: 2,
            safe: Safe::Inactive,
        }
    }

    #[test]
    fn a_line_that_no_chip_has_is_missing() {
        let wanted = line("NO-CHIP-HAS-THIS-LINE");
        let trouble = open_button(&wanted, "talk", Arc::new(Zero)).err().unwrap();
        // On a machine with chips that we may not open it is a question of rights.
        assert!(matches!(trouble, LineTrouble::Missing { .. } | LineTrouble::Denied { .. }), "{trouble}");
        let trouble = open_output(&line("gpiochip999:3"), "lamp").err().unwrap();
        assert_eq!(trouble, LineTrouble::Missing { line: "gpiochip999:3".to_string() });
    }

    #[test]
    fn a_group_is_found_by_its_number() {
        let groups = "root:x:0:\naudio:x:29:pi,mynah\nbroken\ngpio:x:986:pi\n";
        assert_eq!(group_name(groups, 986).as_deref(), Some("gpio"));
        assert_eq!(group_name(groups, 98), None);
    }

    /// A chip of the kernel's simulator with two named lines, gone when dropped.
    struct Simulated(PathBuf);

    impl Simulated {
        fn new() -> Simulated {
            let folder = PathBuf::from(format!("/sys/kernel/config/gpio-sim/mynah-{}", std::process::id()));
            fs::create_dir_all(folder.join("bank0/line0")).unwrap();
            fs::write(folder.join("bank0/num_lines"), "2").unwrap();
            fs::write(folder.join("bank0/line0/name"), "MYNAH-TALK").unwrap();
            fs::create_dir(folder.join("bank0/line1")).unwrap();
            fs::write(folder.join("bank0/line1/name"), "MYNAH-LAMP").unwrap();
            fs::write(folder.join("live"), "1").unwrap();
            Simulated(folder)
        }

        fn attribute(&self, offset: u32, name: &str) -> PathBuf {
            let word = |path: &str| fs::read_to_string(self.0.join(path)).unwrap().trim().to_string();
            let device = Path::new("/sys/devices/platform").join(word("dev_name"));
            device.join(word("bank0/chip_name")).join(format!("sim_gpio{offset}")).join(name)
        }
    }

    impl Drop for Simulated {
        fn drop(&mut self) {
            let _ = fs::write(self.0.join("live"), "0");
            for part in ["bank0/line1", "bank0/line0", "bank0", ""] {
                let _ = fs::remove_dir(self.0.join(part));
            }
        }
    }

    #[test]
    #[ignore = "needs root and the kernel module gpio-sim"]
    fn the_kernels_simulator_presses_and_shows_the_lamp() {
        let chip = Simulated::new();
        let mut button = open_button(&line("MYNAH-TALK"), "talk", Arc::new(Zero)).unwrap();
        assert!(!button.is_active().unwrap(), "pulled up and active-low");
        fs::write(chip.attribute(0, "pull"), "pull-down").unwrap();
        let edge = button.wait(Duration::from_secs(2)).unwrap().unwrap();
        assert!(edge.active && edge.at <= Time::from_ms(1000) && edge.at > Time::ZERO);
        assert_eq!(button.wait(Duration::from_millis(20)).unwrap(), None);

        let lamp = Line { polarity: Polarity::ActiveHigh, bias: Bias::AsIs, ..line("MYNAH-LAMP") };
        let mut output = open_output(&lamp, "lamp").unwrap();
        output.set(true).unwrap();
        assert_eq!(fs::read_to_string(chip.attribute(1, "value")).unwrap().trim(), "1");
        let busy = open_output(&lamp, "lamp").err().unwrap();
        assert_eq!(busy, LineTrouble::Busy { line: "MYNAH-LAMP".into(), holder: "`mynah`".into() });
    }
}
