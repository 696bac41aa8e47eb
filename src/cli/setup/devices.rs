//! Which devices the service may touch: those that the board's profile names, and no others. Pure.

use crate::config::board::{Board, CameraSource, Light, LineDriver, PcmName};

const HEAD: &str = "\
# Written by `mynah setup`: the devices that the board's profile names, instead of all that one may. After a change of the
# profile run it again. What tools of yours need on top belongs into a drop-in that comes after this one (`systemctl edit
# mynah`): DeviceAllow=/dev/… rw
[Service]
DeviceAllow=
";

/// PWM has no device: the kernel's files in /sys are written.
const SYS: &str = "\
# What hangs on PWM is driven by files in /sys, which this makes writable as far as their rights go.
ProtectKernelTunables=no
";

/// Whether something hangs on PWM, whatever drives the lines.
fn has_pwm(profile: &Board) -> bool {
    let is_real = profile.driver != LineDriver::Sim;
    is_real && (!profile.pwm.is_empty() || matches!(profile.light, Some(Light::Pwm(_))))
}

/// The kinds of devices that the profile names, as systemd calls them, with a word for a person.
fn kinds(profile: &Board) -> Vec<(&'static str, &'static str)> {
    let is_real = |pcm: &PcmName| !matches!(pcm, PcmName::Alsa(name) if name == "sim");
    let mut kinds = Vec::new();
    if is_real(&profile.capture.pcm) || is_real(&profile.playback.pcm) {
        kinds.push(("char-alsa", "sound"));
    }
    if profile.driver == LineDriver::Gpio && !profile.lines.is_empty() {
        kinds.push(("char-gpiochip", "GPIO"));
    }
    if matches!(profile.light, Some(Light::Pixels(_))) {
        kinds.push(("char-spi", "SPI"));
    }
    match profile.camera.as_ref().map(|camera| &camera.source) {
        Some(CameraSource::Device(_)) => kinds.push(("char-video4linux", "the camera")),
        // A ribbon camera's program needs all three.
        Some(CameraSource::Program(_)) => kinds.extend([
            ("char-video4linux", "the camera"),
            ("char-media", "its media controller"),
            ("char-dma_heap", "its memory"),
        ]),
        Some(CameraSource::Url(_) | CameraSource::Files(_) | CameraSource::Test) | None => {}
    }
    kinds
}

/// The drop-in of the service's unit. None for a board that is simulated, where anything may be tried, unless there `is_one` of
/// another board.
pub fn conf(profile: &Board, is_one: bool) -> Option<String> {
    if profile.driver == LineDriver::Sim && !is_one {
        return None;
    }
    let lines = kinds(profile).into_iter().map(|(kind, _)| format!("DeviceAllow={kind} rw\n"));
    Some(HEAD.to_string() + &lines.collect::<String>() + if has_pwm(profile) { SYS } else { "" })
}

/// The same for a person.
pub fn words(profile: &Board) -> String {
    let mut words: Vec<&str> = kinds(profile).into_iter().map(|(_, word)| word).collect();
    words.extend(has_pwm(profile).then_some("PWM (its files in /sys)"));
    if words.is_empty() { "none".to_string() } else { words.join(", ") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::board;

    /// The kinds of a built-in board with this in its profile too.
    fn kinds_of(name: &str, more: &str) -> String {
        let text = board::builtin(name).unwrap().to_string() + more;
        let profile = board::parse(&text, "test", name).unwrap();
        let conf = conf(&profile, false).unwrap_or_default();
        let allowed = conf.lines().filter_map(|line| line.strip_prefix("DeviceAllow=char-")?.strip_suffix(" rw"));
        allowed.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_service_may_touch_what_its_board_names() {
        let ribbon = "[camera]\nsource = \"rpicam\"\n";
        let usb = "[camera]\nsource = \"/dev/video0\"\n";
        let drawn = "[camera]\nsource = \"test\"\n";
        for (name, more, allowed) in [
            ("sim", "", ""),
            ("generic", "", "alsa gpiochip"),
            ("generic", usb, "alsa gpiochip video4linux"),
            ("generic", ribbon, "alsa gpiochip video4linux media dma_heap"),
            ("generic", drawn, "alsa gpiochip"),
            ("pi4-two-mic-hat", "", "alsa gpiochip spi"),
        ] {
            assert_eq!(kinds_of(name, more), allowed, "{name} {more}");
        }
    }

    #[test]
    fn what_the_unit_allows_is_taken_back_first() {
        let profile = board::parse(board::builtin("generic").unwrap(), "test", "generic").unwrap();
        let conf = conf(&profile, false).unwrap();
        assert!(conf.contains("[Service]\nDeviceAllow=\nDeviceAllow=char-alsa rw\n"), "{conf}");
        assert_eq!(words(&profile), "sound, GPIO");
        let sim = board::parse(board::builtin("sim").unwrap(), "test", "sim").unwrap();
        assert_eq!(super::conf(&sim, true).as_deref(), Some(HEAD), "that of another board does not stay");
    }

    #[test]
    fn the_files_of_the_kernel_are_writable_only_where_something_hangs_on_pwm() {
        let light = "[light]\nkind = \"pwm\"\npwm_chip = \"pwmchip0\"\n";
        let lamp = "[pwm.shelf]\nkind = \"dimmer\"\npwm_chip = \"pwmchip0\"\npwm_channel = 2\n";
        for (name, more, is_open) in [
            ("generic", "", false),
            ("generic", light, true),
            ("generic", lamp, true),
            ("pi4-two-mic-hat", "", false),
            ("pi4-two-mic-hat", lamp, true),
        ] {
            let text = board::builtin(name).unwrap().to_string() + more;
            let profile = board::parse(&text, "test", name).unwrap();
            let conf = conf(&profile, false).unwrap();
            assert_eq!(conf.ends_with("\nProtectKernelTunables=no\n"), is_open, "{name} {more}: {conf}");
            assert_eq!(words(&profile).ends_with(", PWM (its files in /sys)"), is_open, "{name} {more}");
        }
        let unit = include_str!("../../../systemd/mynah.service");
        assert!(unit.contains("\nProtectKernelTunables=yes\n"), "what it takes back is there");
    }

    #[test]
    fn all_that_is_ever_named_the_unit_of_the_package_allows() {
        let unit = include_str!("../../../systemd/mynah.service");
        for kind in ["char-alsa", "char-gpiochip", "char-spi", "char-video4linux", "char-media", "char-dma_heap"] {
            assert!(unit.contains(&format!("DeviceAllow={kind} rw\n")), "{kind}");
        }
    }
}
