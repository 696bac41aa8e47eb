//! Whatever stands in a script: refused with a line of it, or played without a panic, a deadline that has passed, or
//! a word after the close.

use std::sync::Arc;

use mynah::emulator::{Emulator, Options, Output, Script, Sessions, Sound, Sounds};
use mynah::units::{Hertz, Time};

/// Turns that are asked for.
const TURNS: usize = 3;
/// Deadlines that are kept in a turn: a minute of sound in pieces of 20 ms. Longer scripts are left in mid-turn.
const WAKES_MAX: usize = 3000;
/// What one deadline may bring: the statements of a turn that take no time, a log line beside each.
const OUTPUTS_MAX: usize = 8192;

/// Tries one input.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut sounds = Sounds::new();
    let frames = (0..800).map(|at| at * 40 - 16_000).collect();
    sounds.insert("lamp_on", Sound { rate: Hertz(16_000), frames, text: "The lamp is on.".into() });
    assert!(Script::files(text).iter().all(|(line, name)| *line >= 1 && name.ends_with(".wav")));
    match Script::parse(text, &sounds) {
        Ok(script) => play(script),
        Err(error) => assert!((1..=text.split('\n').count()).contains(&error.line), "{error}"),
    }
}

fn play(script: Script) {
    let mut emulator = Emulator::new(Arc::new(script), Options::default(), Sessions::default());
    let mut now = Time::from_ms(5);
    emulator.handle_message(br#"{"setup":{"model":"models/gemini-3.8-live"}}"#, now);
    now = keep_deadlines(&mut emulator, now);
    for _ in 0..TURNS {
        emulator.handle_message(br#"{"realtimeInput":{"text":"What is there?"}}"#, now);
        now = keep_deadlines(&mut emulator, now);
    }
}

/// Keeps deadlines until there is none, and answers the time.
fn keep_deadlines(emulator: &mut Emulator, mut now: Time) -> Time {
    for _ in 0..WAKES_MAX {
        let Some(at) = drain(emulator, now) else { break };
        now = at;
        emulator.handle_timeout(now);
    }
    drain(emulator, now);
    now
}

fn drain(emulator: &mut Emulator, now: Time) -> Option<Time> {
    let mut is_closed = false;
    for _ in 0..OUTPUTS_MAX {
        match emulator.poll_output() {
            Output::Send { body, .. } => assert!(!is_closed, "sent after the close: {body}"),
            Output::Close { reason, .. } => {
                assert!(reason.len() <= 123 && !is_closed);
                is_closed = true;
            }
            Output::Heard(_) | Output::Cut(_) | Output::Log(_) => {}
            Output::Timeout(at) => {
                assert!(at.is_none_or(|at| at > now && !is_closed), "{at:?} is not ahead of {now}");
                return at;
            }
        }
    }
    panic!("more than {OUTPUTS_MAX} outputs at {now}");
}
