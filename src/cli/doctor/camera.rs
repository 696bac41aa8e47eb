//! The camera: it is there, may be used, and gives pictures that are new.

use std::sync::Arc;
use std::time::Duration;

use super::report::Check;
use super::tell;
use crate::config::board::{self, CameraProgram, CameraSource};
use crate::hw::{Camera, CameraTrouble, Clock, camera};
use crate::still::Still;

/// A sensor that was off gives its first picture within this: a program's start, and its exposure.
const FIRST_WITHIN: Duration = Duration::from_secs(8);
/// Pictures are counted for so long after the first.
const COUNTED_FOR: Duration = Duration::from_secs(2);
/// Fewer in that time are no camera to be asked what it sees now.
const PICTURES_MIN: usize = 2;

/// A check of the camera, where the profile has one; `extra_ca_pem` has the certificates that the agent file names.
pub fn camera(profile: &board::Board, extra_ca_pem: Option<&[u8]>, clock: &Arc<dyn Clock>) -> Option<Check> {
    let wish = profile.camera.as_ref()?;
    tell("taking pictures for two seconds");
    let seen = camera::open(wish, extra_ca_pem, clock.clone()).and_then(|mut camera| look(&mut *camera, &**clock));
    Some(judge(&wish.source, seen))
}

/// What came in [`COUNTED_FOR`].
struct Seen {
    pictures: usize,
    different: usize,
    last: Option<Still>,
}

fn look(camera: &mut dyn Camera, clock: &dyn Clock) -> Result<Seen, CameraTrouble> {
    let mut seen = Seen { pictures: 0, different: 0, last: camera.next(FIRST_WITHIN)? };
    let until = clock.now() + COUNTED_FOR;
    while seen.last.is_some() {
        let left = until.since(clock.now());
        if left.is_zero() {
            break;
        }
        if let Some(still) = camera.next(left)? {
            seen.pictures += 1;
            // A sensor's noise alone makes each picture another one.
            seen.different += usize::from(seen.last.as_ref().is_some_and(|last| last.jpeg != still.jpeg));
            seen.last = Some(still);
        }
    }
    Ok(seen)
}

fn judge(source: &CameraSource, seen: Result<Seen, CameraTrouble>) -> Check {
    let (how, change) = match source {
        CameraSource::Device(device) => {
            (device.display().to_string(), "look at its cable and its power, and plug it in anew")
        }
        CameraSource::Program(CameraProgram::Rpicam) => {
            ("rpicam".into(), "is its cable in, and does `rpicam-hello --list-cameras` show it?")
        }
        CameraSource::Program(CameraProgram::Command(_)) => {
            ("its program".into(), "run `[camera] command` of the board profile by hand and look at what it says")
        }
        CameraSource::Url(url) => {
            (url.origin.to_string(), "is it on, and does its address give a picture in a browser (`[camera] url`)?")
        }
        CameraSource::Files(_) => ("its folder".into(), "look into `[camera] folder` of the board profile"),
        CameraSource::Test => ("itself (it is a drawn one)".into(), "choose a smaller `width` and `height`"),
    };
    match seen {
        // A device's trouble says what to do, a program's what it said.
        Err(trouble) => {
            let advice = match source {
                CameraSource::Device(_) => trouble.to_string(),
                _ => format!("{trouble}: {change}"),
            };
            Check::warn("camera", format!("{how} gives no picture"), advice)
        }
        Ok(Seen { last: None, .. }) => {
            let advice = format!("nothing came within {} s: {change}", FIRST_WITHIN.as_secs());
            Check::warn("camera", format!("{how} gives no picture"), advice)
        }
        Ok(Seen { pictures, different, last: Some(last) }) => {
            let kib = last.jpeg.len() / 1024;
            let rate = pictures as f64 / COUNTED_FOR.as_secs_f64();
            let figure = format!("{}×{}, {kib} KiB each, {rate:.1} a second, by {how}", last.width, last.height);
            let check = if pictures < PICTURES_MIN {
                Check::warn("camera", figure, format!("that is too few to see what is there now: {change}"))
            } else if different == 0 {
                Check::warn("camera", figure, format!("all of them are the same, byte by byte; it is frozen: {change}"))
            } else {
                Check::ok("camera", figure)
            };
            check.with("pictures_per_s", rate)
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::report::Verdict;
    use super::*;
    use crate::hw::clock::RealClock;

    fn check(section: &str) -> Option<Check> {
        let text = format!(
            "description = \"t\"\ndriver = \"sim\"\n[capture]\npcm = \"x\"\n[playback]\npcm = \"x\"\n{section}"
        );
        let profile = board::parse(&text, "t.toml", "t").unwrap();
        let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
        camera(&profile, None, &clock)
    }

    /// A profile whose camera is a shell script.
    fn program(script: &str) -> Check {
        check(&format!("[camera]\nsource = \"command\"\ncommand = [\"/bin/sh\", \"-c\", '''{script}''']\n")).unwrap()
    }

    /// `printf` of a picture of 64 by 48 with the shell's `$1` in its data.
    const PICTURE: &str = concat!(
        r"shot() { printf '\377\330\377\300\000\013\010\000\060\000\100\001\001\021\000\377\304\000\003\000",
        r"\377\332\000\010\001\001\000\000\077\000%s\377\331' $1; sleep 0.1; }; "
    );

    #[test]
    fn a_device_that_is_no_camera_is_told_what_to_do() {
        assert_eq!(check(""), None);
        for (device, advice) in [("/dev/null", "is no camera"), ("/dev/no-such-camera", "plug it in")] {
            let check = check(&format!("[camera]\nsource = \"{device}\"\n")).unwrap();
            assert_eq!((check.verdict, check.figure), (Verdict::Warn, format!("{device} gives no picture")));
            assert!(check.advice.unwrap().contains(advice), "{device}");
        }
    }

    #[test]
    fn a_program_is_asked_for_pictures_and_told_when_it_gives_none_or_always_the_same() {
        let good = program(&format!("{PICTURE} n=0; while :; do n=$((n+1)); shot $n; done"));
        assert_eq!(good.verdict, Verdict::Ok, "{good:?}");
        assert!(good.figure.starts_with("64×48, 0 KiB each, ") && good.value.unwrap().1 > 0.5, "{good:?}");
        let frozen = program(&format!("{PICTURE} while :; do shot 1; done"));
        assert!(frozen.verdict == Verdict::Warn && frozen.advice.unwrap().contains("frozen"));
        let broken = program("echo no cameras available >&2; exit 1");
        assert!(broken.verdict == Verdict::Warn && broken.advice.unwrap().contains("no cameras available"));
    }
}
