//! Made-up recordings and what the doctor says of them.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::audio::measure::Line;
use crate::cli::doctor::report::Verdict;
use crate::cli::doctor::sound::at_rate;
use crate::config::agent::Canceller;
use crate::units::Hertz;

/// What is between loudspeaker and microphone.
#[derive(Clone, Copy)]
struct Room {
    /// How much of the loudspeaker arrives.
    gain: f64,
    /// After how long, ms.
    delay_ms: f64,
    /// RMS of the noise, S16.
    noise: f64,
    /// What is added to every sample.
    constant: f64,
    /// How much louder the microphone's amplifier makes it all.
    amplify: f64,
}

const PLAIN: Room = Room { gain: 0.1, delay_ms: 42.0, noise: 15.0, constant: 0.0, amplify: 1.0 };

fn shape(rate: u32) -> PcmShape {
    PcmShape { rate: Hertz(rate), channels: 1, period_frames: rate as usize / 100, buffer_frames: rate as usize / 10 }
}

fn session(room: Room, score: &Score) -> Session {
    let far = at_rate(&score.frames, Hertz(48_000)).unwrap();
    let mut bits = 1u64;
    let mut noise = || {
        bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((bits >> 40) as f64 / f64::from(1 << 23) - 1.0) * room.noise * 3f64.sqrt()
    };
    let delay = (room.delay_ms * 48.0) as usize;
    let heard = |n: usize| n.checked_sub(delay).and_then(|n| far.get(n)).map_or(0.0, |frame| f64::from(*frame));
    let frames = (0..far.len())
        .map(|n| (room.amplify * (room.gain * heard(n) + noise()) + room.constant).clamp(-32_768.0, 32_767.0) as i16)
        .collect();
    let line = Some(Line { began_s: 1.0, frame_s: 1.0 / 48_000.0 });
    Session {
        mic: Ok(Track { shape: shape(48_000), frames, line, xruns: 0 }),
        speaker: Ok(Played { shape: shape(48_000), line, xruns: 0 }),
    }
}

fn checks(room: Room) -> Vec<Check> {
    let score = Score::new(80).unwrap();
    judged(&session(room, &score), &score)
}

fn judged(session: &Session, score: &Score) -> Vec<Check> {
    let profile = board::parse(board::builtin("generic").unwrap(), "generic", "generic").unwrap();
    let mut agent = Agent::default();
    agent.echo.canceller = Canceller::On; // on 32 bits, too
    sound(session, score, &agent, &profile)
}

/// The check of that name.
fn check<'a>(checks: &'a [Check], name: &str) -> &'a Check {
    checks.iter().find(|check| check.name == name).unwrap_or_else(|| panic!("no {name} in {checks:#?}"))
}

#[test]
fn a_healthy_room_is_all_ok_and_its_figures_are_right() {
    let checks = checks(PLAIN);
    assert!(checks.iter().all(|check| check.verdict == Verdict::Ok), "{checks:#?}");
    for (name, expected, by) in [
        ("loop delay", 42.0, 1.0),
        ("drift", 0.0, 3.0),
        ("noise floor", -67.0, 2.0),
        ("DC offset", 0.0, 0.1),
        ("clipping", 0.0, 0.0),
        ("ERLE", 35.0, 20.0),
    ] {
        let (_, value) = check(&checks, name).value.unwrap();
        assert!((value - expected).abs() <= by, "{name}: {value}, not {expected}");
    }
}

/// Each room's check has this verdict and says these words.
fn must_say(rows: &[(Room, &str, Verdict, &[&str])], checks_of: impl Fn(Room) -> Vec<Check>) {
    for (room, name, verdict, words) in rows {
        let checks = checks_of(*room);
        let check = check(&checks, name);
        assert_eq!(check.verdict, *verdict, "{check:#?}");
        let told = format!("{} {}", check.figure, check.advice.as_deref().unwrap_or_default());
        assert!(words.iter().all(|word| told.contains(word)), "{told}");
    }
}

#[test]
fn each_defect_of_a_microphone_has_its_verdict_and_names_what_to_change() {
    use Verdict::{Bad, Warn};
    let score = Score::new(80).unwrap();
    let profile = board::parse(board::builtin("generic").unwrap(), "generic", "generic").unwrap();
    let dead = Room { gain: 0.0, noise: 0.0, ..PLAIN };
    let rows: [(Room, &str, Verdict, &[&str]); 8] = [
        (dead, "microphone's sound", Bad, &["only zeros", "muted by a switch", "pick"]),
        (Room { constant: 700.0, ..dead }, "microphone's sound", Bad, &["flat line"]),
        (Room { amplify: 3000.0, ..PLAIN }, "clipping", Bad, &["lower its gain"]),
        (Room { constant: 1200.0, ..PLAIN }, "DC offset", Warn, &["pick"]),
        (Room { constant: 9000.0, ..PLAIN }, "DC offset", Bad, &["pick"]),
        (Room { noise: 250.0, ..PLAIN }, "noise floor", Warn, &["silence_db = -50", "set it to"]),
        (Room { noise: 600.0, ..PLAIN }, "noise floor", Warn, &["loud"]),
        (Room { noise: 4000.0, ..PLAIN }, "noise floor", Bad, &["drowns"]),
    ];
    must_say(&rows, |room| microphone(session(room, &score).mic.as_ref().unwrap(), &Agent::default(), &profile));
}

#[test]
fn each_defect_of_the_way_has_its_verdict_and_names_what_to_change() {
    use Verdict::Warn;
    let rows: [(Room, &str, Verdict, &[&str]); 3] = [
        (Room { gain: 0.0, ..PLAIN }, "loop", Warn, &["headphones", "`[speak] volume_percent`"]),
        (Room { delay_ms: 290.0, ..PLAIN }, "loop delay", Warn, &["`delay_ms = 29", "[echo]"]),
        (Room { gain: 9.0, ..PLAIN }, "echo", Warn, &["`[speak] volume_percent`"]),
    ];
    must_say(&rows, checks);
}

#[test]
fn a_device_that_does_not_open_is_told_with_its_cause() {
    let score = Score::new(80).unwrap();
    let mut session = session(PLAIN, &score);
    session.speaker =
        Err(PcmTrouble::Busy { pcm: "usb:1-1".into(), holder: "mynah itself (process 7) holds it".into() });
    session.mic = Err(PcmTrouble::missing("usb:1-2"));
    let checks = judged(&session, &score);
    assert_eq!(checks.len(), 2);
    assert!(check(&checks, "loudspeaker").advice.as_ref().unwrap().contains("mynah itself (process 7)"));
    assert_eq!(check(&checks, "microphone").figure, "not there");
}

#[test]
fn a_gate_in_the_microphone_is_no_defect() {
    let checks = checks(Room { noise: 0.0, ..PLAIN });
    assert!(checks.iter().all(|check| check.verdict == Verdict::Ok), "{checks:#?}");
    assert!(check(&checks, "microphone's sound").figure.contains("digital silence"));
}

#[test]
fn an_xrun_spoils_the_loop_and_is_told() {
    let score = Score::new(80).unwrap();
    let mut session = session(PLAIN, &score);
    session.mic.as_mut().unwrap().xruns = 2;
    let checks = judged(&session, &score);
    assert!(check(&checks, "microphone").figure.contains("lost 2 times"));
    assert_eq!(check(&checks, "loop").verdict, Verdict::Warn);
}
