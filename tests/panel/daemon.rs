//! The panel of the whole daemon: simulated board, real threads, the built-in emulator.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;

use mynah::config::agent;
use mynah::config::board;
use mynah::daemon::{Daemon, Options};
use mynah::emulator::run::{self as emulator, ServeOptions};
use mynah::emulator::{Script, Sounds};
use mynah::hw::sim::{SimBoard, SimClock, SimHandle, SimSetup};
use mynah::trace::Recorder;
use mynah::units::Hertz;
use serde_json::Value;

use crate::rig::{Answer, LIMIT, free_port, wait_for};

pub fn ask(port: u16, request: &str) -> Answer {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return Answer::read(b"") };
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    Answer::read(&answer)
}

fn state(port: u16) -> Value {
    let answer = ask(port, "GET /api/state HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    serde_json::from_str(&answer.body).unwrap_or_default()
}

fn wish(port: u16, body: &str) -> u16 {
    let length = body.len();
    let head = "POST /api/do HTTP/1.1\r\nHost: localhost\r\nX-Mynah: 1\r\nConnection: close\r\n";
    ask(port, &format!("{head}Content-Length: {length}\r\n\r\n{body}")).status
}

/// A daemon on the simulated board that talks to an emulator, and its page's port.
struct Device {
    port: u16,
    daemon: Daemon,
    hand: SimHandle,
    service: emulator::Running,
}

/// `script`: what the service answers; `more`: more of the agent file.
fn device(script: &str, more: &str) -> Device {
    let options = ServeOptions::new(Script::parse(script, &Sounds::new()).unwrap());
    let service = emulator::spawn(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), options).unwrap();
    let path = "ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent";
    let port = free_port();
    let text = format!(
        "endpoint = \"ws://127.0.0.1:{}/{path}\"\n[panel]\nlisten = \"127.0.0.1:{port}\"\n{more}",
        service.addr.port()
    );
    let profile = board::parse(board::builtin("sim").unwrap(), "board/sim.toml", "sim").unwrap();
    let clock = SimClock::paced();
    let board = SimBoard::new(SimSetup::from_profile(&profile).unwrap(), clock.clone());
    let hand = board.handle();
    let daemon = Daemon::start(Options {
        agent: agent::parse(&text, "test").unwrap(),
        profile,
        board: Arc::new(board),
        clock: Arc::new(clock),
        key: Some("key-of-the-service".into()),
        extra_ca_pem: None,
        watcher: Arc::new(|_| {}),
        recorder: Recorder::new([]),
        state: None,
        settings: None,
        fleet: None,
    })
    .unwrap();
    wait_for("a device at rest", || state(port)["look"]["state"] == "idle");
    Device { port, daemon, hand, service }
}

impl Device {
    /// Somebody holds the button and says something.
    fn ask(&self) {
        let frames: Vec<i16> = (0..96_000).map(|i| ((f64::from(i) * 0.02).sin() * 9000.0) as i16).collect();
        self.hand.say(&frames, Hertz(48_000)).unwrap();
        self.hand.press("talk").unwrap();
        wait_for("listening", || state(self.port)["look"]["state"] == "listening");
        std::thread::sleep(std::time::Duration::from_millis(1200));
        self.hand.release("talk").unwrap();
    }

    fn wait_for_caption(&self, words: &str) {
        wait_for("the answer", || {
            let state = state(self.port);
            state["captions"].as_array().is_some_and(|all| all.iter().any(|one| one["text"] == words))
        });
    }
}

#[test]
fn what_the_camera_saw_is_on_the_page_in_the_turn_that_asked_for_it() {
    // The emulator closes the connection unless this very turn saw one picture.
    let script = "turn\n call look {}\n see 1\n tone 440Hz 300ms \"I see a lamp\"\n";
    let device = device(script, "[see]\nmode = \"on_request\"\n");
    device.ask();
    device.wait_for_caption("I see a lamp");
    let shown = &state(device.port)["stills"][0];
    assert_eq!((&shown["why"], &shown["width"]), (&"looked".into(), &1280.into()), "{shown}");
    assert!(shown["age_ms"].as_u64().is_some_and(|age_ms| age_ms <= 500), "{shown}");
    let path = format!("GET /api/stills/{}.jpg HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", shown["id"]);
    assert_eq!(ask(device.port, &path).status, 200);
    device.daemon.stop();
    device.service.stop();
}

#[test]
#[ignore = "needs Chromium and node; run by tests/run.sh"]
fn a_real_browser_finds_everything_in_order_at_a_real_device() {
    let device = device("turn *\n tone 440Hz 300ms \"It is noon\"\n", "[see]\nmode = \"on_request\"\n");
    device.ask();
    device.wait_for_caption("It is noon");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/panel");
    let url = format!("http://127.0.0.1:{}", device.port);
    let checks = std::process::Command::new("node")
        .args(["browser.mjs", "--url", &url, "--expect-caption", "It is noon"])
        .current_dir(folder)
        .status()
        .unwrap();
    assert!(checks.success(), "what is wrong stands above");
    device.daemon.stop();
    device.service.stop();
}

#[test]
fn a_conversation_with_the_device_is_seen_and_its_controls_do_what_they_say() {
    let device = device("turn\n tone 440Hz 300ms \"It is noon\"\n", "");
    device.ask();
    device.wait_for_caption("It is noon");
    let Device { port, daemon, service, .. } = device;
    wait_for("the time it took", || state(port)["gate"]["last_reply_ms"].is_u64());

    assert_eq!(wish(port, r#"{"do":"volume","percent":31}"#), 204);
    wait_for("the volume", || state(port)["look"]["volume"] == 31);
    assert_eq!(wish(port, r#"{"do":"mute","is_muted":true}"#), 204);
    wait_for("mute", || state(port)["look"]["state"] == "muted");
    assert_eq!(wish(port, r#"{"do":"mute","is_muted":false}"#), 204);
    wait_for("no mute", || state(port)["look"]["is_muted"] == false);
    assert_eq!(wish(port, r#"{"do":"next","voice":"Puck"}"#), 204);
    wait_for("the choice", || state(port)["voice"]["next_voice"] == "Puck");
    assert_eq!(wish(port, r#"{"do":"reset"}"#), 204);
    wait_for("a new conversation", || state(port)["captions"].as_array().is_some_and(Vec::is_empty));
    assert_eq!(wish(port, r#"{"do":"announce","text":"Dinner is ready"}"#), 204);
    wait_for("a connection with the new voice", || state(port)["voice"]["voice"] == "Puck");
    assert!(!state(port).to_string().contains("key-of-the-service"));
    daemon.stop();
    assert_eq!(state(port), Value::Null, "nothing is served any more");
    service.stop();
}
