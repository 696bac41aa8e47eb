//! Conversations with the emulator as data: every `tests/emulator/*.txt` is played on a virtual clock.
//!
//! A file holds cases. `== name` begins one; lines with `|` are its script (the echo script where there are none).
//!
//! | line | meaning |
//! |---|---|
//! | `key none`, `key x` | the key the client comes with (before anything else) |
//! | `C {…}` | the client sends this |
//! | `ready {…}` | the client sends a setup for windows with these fields added, and waits for `setupComplete` |
//! | `auto {…}` | the same for automatic detection |
//! | `audio 200ms`, `quiet 1s` | the client sends loud or silent audio in 40 ms messages, in real time |
//! | `+300ms` | time passes |
//! | `lost` | the connection's socket is gone, and the service knows |
//! | `dial` | another connection of the same service (the first has the number 7); what follows is about it |
//! | `cut 200ms` | so much of a turn that did not end was told when the last connection was lost or closed |
//! | `log text` | a line of the log so far contains this |
//! | `S {…}` | an event with at least these fields comes; the search goes on behind the last one found |
//! | `N {…}` | none of the events behind the last one found has these fields |
//! | `speech 2.0` | so many seconds of audio came since the case began, ± 10 ms |
//! | `X 1007 text` | the connection is closed with this code and a reason that contains the text |
//! | `open` | the connection is not closed |

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;

struct Case {
    script: Arc<Script>,
    options: Options,
    sessions: Sessions,
    emulator: Emulator,
    now: Time,
    events: Vec<String>,
    seen: usize,
    speech_bytes: usize,
    closed: Option<(u16, String)>,
    cut: Option<Voice>,
    log: Vec<String>,
}

impl Case {
    fn new(script: &str, key: Option<&str>) -> Case {
        let script = if script.is_empty() { Script::echo() } else { Script::parse(script, &Sounds::new()).unwrap() };
        let (script, sessions) = (Arc::new(script), Sessions::default());
        let options = Options { key: key.map(str::to_owned), session: 7, ..Options::default() };
        let mut case = Case {
            emulator: Emulator::new(script.clone(), options.clone(), sessions.clone()),
            script,
            options,
            sessions,
            now: Time::from_ms(5),
            events: Vec::new(),
            seen: 0,
            speech_bytes: 0,
            closed: None,
            cut: None,
            log: Vec::new(),
        };
        case.drain();
        case
    }

    /// Drains the outputs; answers the next deadline.
    fn drain(&mut self) -> Option<Time> {
        loop {
            match self.emulator.poll_output() {
                Output::Send { body, .. } => {
                    assert!(self.closed.is_none(), "sent after the close: {body}");
                    let event: Value = serde_json::from_str(&body).unwrap_or_default();
                    for part in event["serverContent"]["modelTurn"]["parts"].as_array().into_iter().flatten() {
                        let data = part["inlineData"]["data"].as_str().unwrap_or_default();
                        self.speech_bytes += STANDARD.decode(data).unwrap().len();
                    }
                    self.events.push(body);
                }
                Output::Close { code, reason } => {
                    assert!(reason.len() <= 123, "reason too long for a close frame: {reason}");
                    self.closed = Some((code, reason));
                }
                Output::Log(line) => self.log.push(line.to_string()),
                Output::Heard(_) => {}
                Output::Cut(voice) => self.cut = Some(voice),
                Output::Timeout(at) => {
                    if let Some(at) = at {
                        assert!(at > self.now, "the next deadline {at} is not in the future of {}", self.now);
                    }
                    return at;
                }
            }
        }
    }

    /// Opens another connection beside the one there was.
    fn dial(&mut self) {
        self.options.session += 1;
        self.emulator = Emulator::new(self.script.clone(), self.options.clone(), self.sessions.clone());
        (self.events, self.seen, self.closed, self.cut) = (Vec::new(), 0, None, None);
        self.drain();
    }

    fn say(&mut self, message: &str) {
        self.emulator.handle_message(message.as_bytes(), self.now);
        self.drain();
    }

    fn pass(&mut self, ms: u64) {
        let until = self.now + std::time::Duration::from_millis(ms);
        while let Some(at) = self.drain().filter(|at| *at <= until) {
            self.now = at;
            self.emulator.handle_timeout(at);
        }
        self.now = until;
    }

    fn audio(&mut self, ms: u64, peak: i16) {
        let frames: Vec<u8> = (0..640).flat_map(|n| (if n % 40 < 20 { peak } else { -peak }).to_le_bytes()).collect();
        let message = json!({"realtimeInput": {"audio":
            {"mimeType": "audio/pcm;rate=16000", "data": STANDARD.encode(frames)}}});
        for _ in 0..ms / 40 {
            self.say(&message.to_string());
            self.pass(40);
        }
    }

    fn ready(&mut self, manual: bool, more: &Value) {
        let mut setup = json!({"model": "models/gemini-3.8-live",
            "realtimeInputConfig": {"automaticActivityDetection": {"disabled": manual}}});
        for (name, value) in more.as_object().into_iter().flatten() {
            match name.as_str() {
                "realtimeInputConfig" => value
                    .as_object()
                    .into_iter()
                    .flatten()
                    .for_each(|(name, value)| setup["realtimeInputConfig"][name] = value.clone()),
                name => setup[name] = value.clone(),
            }
        }
        self.say(&json!({"setup": setup}).to_string());
        self.pass(1000);
        assert!(self.closed.is_none() && self.events.len() == 1, "not ready: {:?}", self.closed);
        self.seen = 1;
    }

    fn find(&self, wanted: &Value) -> Option<usize> {
        let matches = |body: &String| serde_json::from_str(body).is_ok_and(|event| holds(&event, wanted));
        self.events[self.seen..].iter().position(matches).map(|index| self.seen + index)
    }

    /// Does one line of a case; an error says what is wrong.
    fn line(&mut self, line: &str) -> Result<(), String> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let json = || serde_json::from_str::<Value>(rest).map_err(|error| format!("bad JSON in the case: {error}"));
        match verb {
            "C" => self.say(rest),
            "ready" | "auto" => self.ready(verb == "ready", &if rest.is_empty() { json!({}) } else { json()? }),
            "audio" => self.audio(milliseconds(rest), 6000),
            "quiet" => self.audio(milliseconds(rest), 2),
            "S" => self.seen = 1 + self.find(&json()?).ok_or("this event did not come")?,
            "N" => {
                if let Some(index) = self.find(&json()?) {
                    return Err(format!("it did come: {}", self.events[index]));
                }
            }
            "speech" => {
                let seconds = self.speech_bytes as f64 / 48_000.0;
                let wanted: f64 = rest.parse().unwrap();
                if (seconds - wanted).abs() > 0.01 {
                    return Err(format!("{seconds} s came"));
                }
            }
            "lost" => {
                self.emulator.handle_end(self.now);
                self.drain();
            }
            "dial" => self.dial(),
            "cut" => {
                let heard = self.cut.as_ref().map_or(0, |voice| voice.frames.len() as u64 / 16);
                if heard != milliseconds(rest) {
                    return Err(format!("{heard} ms were told"));
                }
            }
            "log" => {
                if !self.log.iter().any(|line| line.contains(rest)) {
                    return Err("no such line".into());
                }
            }
            "X" => {
                let (code, text) = rest.split_once(' ').unwrap_or((rest, ""));
                match &self.closed {
                    Some((closed, reason)) if closed.to_string() == code && reason.contains(text) => {}
                    other => return Err(format!("closed: {other:?}")),
                }
            }
            "open" => {
                if let Some(closed) = &self.closed {
                    return Err(format!("closed: {closed:?}"));
                }
            }
            _ => match line.strip_prefix('+') {
                Some(time) => self.pass(milliseconds(time)),
                None => return Err("no such line".into()),
            },
        }
        Ok(())
    }
}

/// Whether `event` has at least what `wanted` has.
fn holds(event: &Value, wanted: &Value) -> bool {
    match (event, wanted) {
        (Value::Object(event), Value::Object(wanted)) => {
            wanted.iter().all(|(name, wanted)| event.get(name).is_some_and(|value| holds(value, wanted)))
        }
        (Value::Array(event), Value::Array(wanted)) => {
            event.len() == wanted.len() && event.iter().zip(wanted).all(|(value, wanted)| holds(value, wanted))
        }
        (event, wanted) => event == wanted,
    }
}

fn milliseconds(time: &str) -> u64 {
    match time.strip_suffix("ms") {
        Some(ms) => ms.parse().unwrap(),
        None => (time.strip_suffix('s').unwrap().parse::<f64>().unwrap() * 1000.0) as u64,
    }
}

#[test]
fn conversations_go_as_their_files_say() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/emulator");
    let mut failures = Vec::new();
    let mut cases = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for case in text.split("\n== ").skip(1) {
            cases += 1;
            let (name, body) = case.split_once('\n').unwrap_or((case, ""));
            if let Err(why) = play(body) {
                failures.push(format!("{}: {name}: {why}", path.display()));
            }
        }
    }
    assert!(cases > 50, "only {cases} cases were found");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn play(body: &str) -> Result<(), String> {
    let lines = || body.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let script: Vec<_> = lines().filter_map(|line| line.strip_prefix('|')).collect();
    let key = match lines().find_map(|line| line.strip_prefix("key ")) {
        Some("none") => None,
        Some(key) => Some(key),
        None => Some("a-key"),
    };
    let mut case = Case::new(&script.join("\n"), key);
    for line in lines().filter(|line| !line.starts_with('|') && !line.starts_with("key ")) {
        case.line(line).map_err(|why| format!("{line}: {why}\nlog: {:#?}", case.log))?;
    }
    Ok(())
}

#[test]
fn the_bundled_script_parses() {
    assert!(!Script::echo().continues());
}

#[test]
fn a_bad_script_is_told_its_line_and_what_would_be_right() {
    let rows = [
        ("", 1, "there is no turn", "at least one"),
        ("turn\n  sya x", 2, "sya x", "statements are"),
        ("turn\n\n# so\n  say nobody", 4, "no sound named nobody", "WAV"),
        ("turn\n tone 440 1s", 2, "tone 440", "440Hz"),
        ("turn\n tone 440Hz 2m", 2, "2m", "120ms or 2.5s"),
        ("turn\n silence 61s", 2, "61s", "60 s at most"),
        ("turn\n call f {\"a\": }", 2, "cannot be read", "JSON"),
        ("turn\n call f [1]", 2, "call f [1]", "one JSON object"),
        ("turn\n close 1005", 2, "close 1005", "close code"),
        ("turn *\nturn", 2, "never reached", "last"),
        ("echo", 1, "echo", "begin one with `turn`"),
        ("turn\nsetup never", 2, "setup never", "before the first turn"),
        ("setup soon", 1, "setup soon", "setup delay 120ms"),
        ("pieces 60ms 8ms", 1, "pieces 60ms 8ms", "shorter one first"),
        ("handles soon", 1, "soon", "58m or 2h"),
        ("handles 25h", 1, "25h", "24 h at most"),
        ("lives 50s", 1, "50 s", "shorter one"),
        ("lives 3s away 3s", 1, "3 s", "shorter one"),
        ("lives 3s quietly", 1, "quietly", "silent"),
        ("usage on", 1, "usage on", "usage off"),
        ("turn\nlives 9m", 2, "lives 9m", "before the first turn"),
        ("pace 0x", 1, "pace 0x", "1x to 1000x"),
        ("turn \"unfinished", 1, "cannot be read", "JSON"),
    ];
    for (text, line, problem, right) in rows {
        let error = Script::parse(text, &Sounds::new()).expect_err(text);
        assert_eq!(error.line, line, "{text:?}: {error}");
        assert!(error.problem.contains(problem), "{text:?}: {error}");
        assert!(error.right.contains(right), "{text:?}: {error}");
    }
}

#[test]
fn a_script_that_would_fill_the_memory_is_refused_where_it_grows_too_long() {
    let cases = [
        ("silence 60s\n", 32, "30 minutes"), // the thirty-first minute, below `turn`
        ("pace 5x\n", 1026, "1024 statements"),
        ("empty\n", 1026, "1024 statements"),
    ];
    for (statement, line, right) in cases {
        let text = format!("turn\n{}", statement.repeat(1100));
        let error = Script::parse(&text, &Sounds::new()).expect_err(statement);
        assert_eq!((error.line, error.right.contains(right)), (line, true), "{statement}: {error}");
    }
}

#[test]
fn a_script_names_the_files_it_says() {
    let text = "turn\n say hello.wav \"Hello.\" # a file\n say lamp_on\n";
    assert_eq!(Script::files(text), [(2, "hello.wav".to_owned())]);
    let mut sounds = Sounds::new();
    for name in ["hello.wav", "lamp_on"] {
        sounds.insert(name, Sound { rate: Hertz(16_000), frames: vec![0; 160].into(), text: "The lamp is on.".into() });
    }
    Script::parse(text, &sounds).unwrap();
}

#[test]
fn the_users_voice_comes_back_at_the_downlinks_rate() {
    let mut case = Case::new("turn *\n echo", Some("k"));
    case.ready(true, &json!({}));
    case.say(r#"{"realtimeInput":{"activityStart":{}}}"#);
    case.audio(2000, 8000);
    case.say(r#"{"realtimeInput":{"activityEnd":{}}}"#);
    case.pass(500);
    // 2 s come within 200 ms of real time: 10 times faster than they were said.
    assert!((case.speech_bytes as f64 / 48_000.0 - 2.0).abs() < 0.01);
}

#[test]
fn odd_pieces_join_to_the_whole_sound() {
    let mut case = Case::new("odd on\nturn *\n tone 300Hz 700ms", Some("k"));
    case.ready(true, &json!({}));
    case.say(r#"{"realtimeInput":{"text":"hello"}}"#);
    case.pass(2000);
    let mut bytes = Vec::new();
    let mut odd = 0;
    for body in &case.events {
        let event: Value = serde_json::from_str(body).unwrap();
        if let Some(data) = event["serverContent"]["modelTurn"]["parts"][0]["inlineData"]["data"].as_str() {
            let piece = STANDARD.decode(data).unwrap();
            odd += piece.len() % 2;
            bytes.extend(piece);
        }
    }
    assert!(odd > 3, "{odd} odd pieces");
    let frames: Vec<i16> = bytes.chunks(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    assert_eq!(frames, &*sounds::tone(Hertz(300), std::time::Duration::from_millis(700)));
}

proptest::proptest! {
    #[test]
    fn no_message_whatever_makes_it_panic(messages in proptest::collection::vec(".{0,80}", 0..6)) {
        let mut case = Case::new("", Some("k"));
        case.ready(true, &json!({}));
        for message in messages {
            case.say(&message);
        }
    }

    #[test]
    fn no_script_whatever_makes_the_reader_panic(text in "(turn|say|tone|call|\\{|\\}|\"| |\n|#|440Hz|1s|a){0,40}") {
        let _ = Script::parse(&text, &Sounds::new());
    }
}
