//! Whatever a client says, a line a message, with and without a set-up: the emulator never panics and keeps its word.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use mynah::emulator::{Emulator, Options, Output, Script, Sessions, Sounds};
use mynah::units::Time;

/// A reply that is under way when the next message comes, one that waits for an answer, and echoes.
const SCRIPT: &str = "setup delay 1ms\nlatency 10ms\nturn\n  tone 440Hz 300ms \"One two three.\"\nturn \"Call.\"\n  \
                      call! f {\"x\": 1}\n  start! g {}\n  caption \"done\"\nturn *\n  echo\n";
static PARSED: LazyLock<Option<Arc<Script>>> =
    LazyLock::new(|| Script::parse(SCRIPT, &Sounds::new()).ok().map(Arc::new));

/// What a client begins with: windows of its own, the service's detection, nothing.
const SETUPS: [&str; 3] = [
    r#"{"setup":{"model":"models/gemini-3.8-live","sessionResumption":{},"realtimeInputConfig":{"automaticActivityDetection":{"disabled":true}}}}"#,
    r#"{"setup":{"model":"models/gemini-3.8-live","outputAudioTranscription":{}}}"#,
    "",
];
/// Deadlines kept between two messages, and after the last.
const WAKES: usize = 4;
const WAKES_AFTER: usize = 200;
/// What one message may bring.
const OUTPUTS_MAX: usize = 4096;

/// Tries one input.
pub fn run(bytes: &[u8]) {
    let Some(script) = PARSED.as_ref() else { panic!("the script is sound") };
    // One service for all: a later connection may take up what an earlier one left.
    let sessions = Sessions::default();
    for (session, setup) in (0..).zip(SETUPS) {
        let options = Options { key: Some("a key".into()), session, ..Options::default() };
        let mut emulator = Emulator::new(script.clone(), options, sessions.clone());
        let mut now = Time::from_ms(5);
        let mut is_closed = false;
        for message in std::iter::once(setup.as_bytes()).filter(|m| !m.is_empty()).chain(bytes.split(|b| *b == b'\n')) {
            emulator.handle_message(message, now);
            now = keep_deadlines(&mut emulator, now, WAKES, &mut is_closed) + Duration::from_millis(20);
        }
        now = keep_deadlines(&mut emulator, now, WAKES_AFTER, &mut is_closed);
        emulator.handle_end(now);
        drain(&mut emulator, now, &mut is_closed);
    }
}

fn keep_deadlines(emulator: &mut Emulator, mut now: Time, wakes: usize, is_closed: &mut bool) -> Time {
    for _ in 0..wakes {
        let Some(at) = drain(emulator, now, is_closed) else { break };
        now = at;
        emulator.handle_timeout(now);
    }
    drain(emulator, now, is_closed);
    now
}

fn drain(emulator: &mut Emulator, now: Time, is_closed: &mut bool) -> Option<Time> {
    for _ in 0..OUTPUTS_MAX {
        match emulator.poll_output() {
            Output::Send { body, .. } => assert!(!*is_closed && body.starts_with('{'), "{body}"),
            Output::Close { reason, .. } => {
                assert!(reason.len() <= 123 && !*is_closed);
                *is_closed = true;
            }
            Output::Heard(voice) | Output::Cut(voice) => assert!(voice.rate.0 > 0),
            Output::Log(_) => {}
            Output::Timeout(at) => {
                assert!(at.is_none_or(|at| at > now && !*is_closed), "{at:?} is not ahead of {now}");
                return at;
            }
        }
    }
    panic!("more than {OUTPUTS_MAX} outputs at {now}");
}
