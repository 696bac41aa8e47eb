//! The panel over real sockets: what it shows, what it grants, whom it lets in, and what hostile clients can take from it.
#![cfg(feature = "panel")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

#[path = "panel/daemon.rs"]
mod daemon;
#[path = "panel/hostile.rs"]
mod hostile;
#[path = "panel/login.rs"]
mod login;
#[path = "rig/place.rs"]
mod place;
#[path = "panel/rig.rs"]
mod rig;
#[path = "panel/settings.rs"]
mod settings;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mynah::flow::{CloseCause, Control, Occasion, OpenCause, What};
use mynah::units::Epoch;
use rig::{Panel, free_port, wait_for};
use serde_json::json;

#[test]
fn a_viewer_gets_the_state_and_then_what_changes() {
    let panel = Panel::start("");
    let mut viewer = panel.view("");
    let (name, state) = viewer.next().unwrap();
    assert_eq!(name, "state");
    let members: Vec<&String> = state.as_object().unwrap().keys().collect();
    let mut expected = [
        "device", "look", "captions", "levels", "gate", "stills", "calls", "cost", "parts", "health", "voice", "kiosk",
    ];
    expected.sort_unstable();
    assert_eq!(members, expected);
    assert_eq!(state["device"]["board"], "sim");
    panel.tell(What::Pressed);
    panel.tell(What::GateOpened { cause: OpenCause::Button });
    panel.tell(What::WindowOpened);
    panel.tell(What::UserText { text: "turn on".into() });
    panel.tell(What::UserText { text: "turn on the lamp".into() });
    let patch = viewer.patch("what was said", |patch| patch["captions"][0]["text"] == "turn on the lamp");
    assert_eq!(patch["captions"][0]["by"], "user");
    panel.tell(What::GateClosed { cause: CloseCause::Released });
    panel.tell(What::ModelText { epoch: Epoch(1), text: "It is on.".into() });
    panel.tell(What::TurnOver { reason: None });
    viewer.patch("the answer", |patch| {
        patch["captions"][1]["text"] == "It is on." && patch["captions"][1]["is_whole"] == true
    });
    panel.mic.note(&[3277; 160]);
    viewer.patch("the level", |patch| patch["levels"]["mic_db"] == -20.0);
}

#[test]
fn patches_come_ten_times_a_second_at_most_however_much_happens() {
    let panel = Panel::start("");
    let mut viewer = panel.view("");
    viewer.next().unwrap();
    let began = Instant::now();
    let mut patches = 0;
    let mut percent = 0;
    while began.elapsed() < Duration::from_secs(1) {
        for _ in 0..50 {
            percent = (percent + 1) % 100;
            panel.tell(What::VolumeSet { percent });
        }
        viewer.next().unwrap();
        patches += 1;
    }
    let most = began.elapsed().as_millis() / 90 + 2;
    assert!((2..=most).contains(&patches), "{patches} of {most}");
}

#[test]
fn a_flood_of_events_is_never_waited_for_and_what_is_missed_is_said() {
    let panel = Panel::start("");
    let began = Instant::now();
    for n in 0..200_000_u32 {
        panel.tell(What::ModelText { epoch: Epoch(n), text: "word ".into() });
    }
    panel.tell(What::VolumeSet { percent: 7 });
    println!("200 000 events heard in {:?}", began.elapsed());
    let mut viewer = panel.view("");
    let said = |state: &serde_json::Value| {
        state["captions"].as_array().is_some_and(|all| all.iter().any(|one| one["by"] == "device"))
    };
    viewer.patch("what was missed", said);
    let state = panel.state();
    assert_eq!(state["look"]["volume"], 7, "what must not be wrong is right");
    assert!(state["captions"].as_array().unwrap().len() <= 50);
    assert!(panel.get("/metrics", "").body.contains("mynah_events_missed_total"));
}

#[test]
fn every_control_reaches_the_core_as_what_it_is() {
    let panel = Panel::start("");
    for (body, expected) in [
        (json!({"do": "listen"}), Control::Listen),
        (json!({"do": "stop"}), Control::Stop),
        (json!({"do": "mute", "is_muted": true}), Control::Mute(true)),
        (json!({"do": "mute", "is_muted": false}), Control::Mute(false)),
        (json!({"do": "volume", "percent": 35}), Control::Volume(35)),
        (json!({"do": "repeat"}), Control::Repeat),
        (json!({"do": "reset"}), Control::Reset),
        (json!({"do": "end"}), Control::End),
        (json!({"do": "confirm"}), Control::Confirm),
        (json!({"do": "hush"}), Control::Hush),
        (
            json!({"do": "next", "voice": "Puck", "language": ""}),
            Control::Voice { voice: Some("Puck".into()), language: Some("".into()) },
        ),
    ] {
        let answer = panel.wish(&body.to_string());
        assert_eq!(answer.status, 204, "{body}: {answer:?}");
        assert_eq!(panel.given(), expected);
    }
    assert_eq!(panel.wish(r#"{"do":"announce","text":"Dinner is ready"}"#).status, 204);
    let Control::Tell(text) = panel.given() else { panic!("no announcement") };
    assert!(text.contains("Dinner is ready") && text.contains("word for word"), "{text}");
}

#[test]
fn a_wish_that_cannot_be_granted_is_answered_with_a_sentence() {
    let panel = Panel::start("allow = [\"stop\", \"listen\", \"volume\"]\n");
    assert_eq!(panel.state()["device"]["view"]["allow"], json!(["stop", "listen", "volume"]));
    let refused = |body: &str, status: u16, part: &str| {
        let answer = panel.wish(body);
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.error().contains(part), "{answer:?}");
    };
    refused(r#"{"do":"reset"}"#, 403, "allow");
    refused(r#"{"do":"fly"}"#, 400, "one of");
    refused(r#"{"do":"volume"}"#, 400, "percent");
    refused("x", 400, "JSON");
    panel.tell(What::Muted { is_muted: true, by_line: true });
    refused(r#"{"do":"listen"}"#, 409, "off");
    panel.tell(What::Muted { is_muted: false, by_line: true });
    panel.takes.store(false, Ordering::SeqCst);
    refused(r#"{"do":"stop"}"#, 429, "busy");
    panel.takes.store(true, Ordering::SeqCst);
    let granted = (0..20).filter(|_| panel.wish(r#"{"do":"listen"}"#).status == 204).count();
    assert!((5..=10).contains(&granted), "{granted}");
    refused(r#"{"do":"listen"}"#, 429, "often");
}

#[test]
fn pages_pictures_settings_counts_and_health_are_served_with_strict_headers() {
    let panel = Panel::start("show_hosts = [\"pictures.example\"]\n");
    let jpeg = vec![0xff, 0xd8, 7, 7, 0xff, 0xd9];
    let still = |jpeg: Vec<u8>| What::StillSent {
        why: Occasion::Looked,
        width: 640,
        height: 480,
        bytes: jpeg.len(),
        age_ms: 80,
        jpeg: jpeg.into(),
    };
    (0..5).for_each(|_| panel.tell(still(jpeg.clone())));
    wait_for("the pictures", || panel.state()["stills"].as_array().unwrap().len() == 4);
    for (path, status, mime) in [
        ("/", 200, "text/html"),
        ("/kiosk", 200, "text/html"),
        ("/assets/style.css", 200, "text/css"),
        ("/assets/nothing", 404, "application/json"),
        ("/assets/..%2f..%2fetc%2fpasswd", 404, "application/json"),
        ("/api/state", 200, "application/json"),
        ("/api/settings", 200, "application/json"),
        ("/api/recorder", 200, "text/plain"),
        ("/api/stills/5.jpg", 200, "image/jpeg"),
        ("/api/stills/1.jpg", 404, "application/json"),
        ("/metrics", 200, "text/plain; version=0.0.4"),
        ("/healthz", 200, "text/plain"),
        ("/nowhere", 404, "application/json"),
    ] {
        let answer = panel.get(path, "");
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert!(answer.header("content-type").unwrap().starts_with(mime), "{path}: {answer:?}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';")
                && policy.contains("https://pictures.example;")
        );
        assert!(!policy.contains("unsafe"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        let is_file = status == 200 && (path.starts_with("/assets") || mime == "text/html");
        assert_eq!(
            answer.header("referrer-policy"),
            Some(if is_file { "same-origin" } else { "no-referrer" }),
            "{path}"
        );
        let kept = if path.starts_with("/api") || path == "/metrics" { "no-store" } else { "no" };
        assert!(answer.header("cache-control").unwrap().starts_with(kept), "{path}");
    }
    let tag = panel.get("/assets/app.js", "").header("etag").unwrap().to_string();
    let again = panel.get("/assets/app.js", &format!("If-None-Match: {tag}\r\n"));
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    let settings = panel.get("/api/settings", "").json();
    let listen = settings["settings"].as_array().unwrap().iter().find(|one| one["key"] == "listen").unwrap().clone();
    assert_eq!(listen["value"], format!("127.0.0.1:{}", panel.port));
}

#[test]
fn health_says_what_is_out_of_order() {
    let panel = Panel::start("");
    assert_eq!(panel.get("/healthz", "").body.trim(), "ok");
    panel.tell(What::Trouble { part: "mic".into(), text: "the microphone is gone".into() });
    wait_for("the trouble", || panel.get("/healthz", "").status == 503);
    assert!(panel.get("/healthz", "").body.contains("the microphone is gone"));
    panel.tell(What::Recovered { part: "mic".into() });
    wait_for("health", || panel.get("/healthz", "").status == 200);
    panel.is_alive.store(false, Ordering::SeqCst);
    assert!(panel.get("/healthz", "").body.contains("stands still"));
}

#[test]
fn a_visit_that_is_over_leaves_nothing_and_the_core_forgets_too() {
    let panel = Panel::start("[kiosk]\nreset_after_s = 1\nidle_text = \"Ask me.\"\n");
    assert_eq!(panel.state()["kiosk"]["is_idle"], true);
    let mut viewer = panel.view("");
    panel.tell(What::WindowOpened);
    panel.tell(What::UserText { text: "my secret".into() });
    panel.tell(What::Shown {
        title: "A map".into(),
        text: String::new(),
        link: "https://maps.example/".into(),
        picture: String::new(),
    });
    viewer.patch("what was shown", |patch| patch["kiosk"]["show"]["title"] == "A map");
    let patch = viewer.patch("the end of the visit", |patch| patch["kiosk"]["visit"] == 2);
    assert_eq!(patch["captions"], json!([]));
    assert_eq!((&patch["kiosk"]["show"]["title"], &patch["kiosk"]["is_idle"]), (&json!(""), &json!(true)));
    assert_eq!(panel.given(), Control::Voice { voice: Some("".into()), language: Some("".into()) });
    assert_eq!(panel.given(), Control::VisitOver);
    assert!(!panel.state().to_string().contains("my secret"));
    assert!(panel.gave_nothing(), "it is told once");
}

#[test]
fn a_line_that_tells_of_nobody_ends_a_visit() {
    let panel = Panel::start("[kiosk]\npresence = \"door_contact\"\nabsent_after_s = 1\n");
    panel.hand.press("door_contact").unwrap();
    panel.tell(What::UserText { text: "my secret".into() });
    wait_for("words", || panel.state()["captions"].as_array().unwrap().len() == 1);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(panel.state()["captions"][0]["text"], "my secret", "somebody is there");
    panel.hand.release("door_contact").unwrap();
    wait_for("nobody", || panel.state()["captions"] == json!([]));
}

#[test]
fn an_address_that_is_taken_is_told_once_and_the_panel_comes_when_it_is_free() {
    let port = free_port();
    let other = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let panel = Panel::start_at(port, "");
    let troubles = || panel.told.lock().unwrap().len();
    wait_for("the trouble", || troubles() == 1);
    drop(other);
    panel.wait_until_open();
    assert_eq!(panel.get("/healthz", "").status, 200);
    wait_for("the end of the trouble", || troubles() == 2);
    let told = panel.told.lock().unwrap().clone();
    assert!(
        matches!(&told[..], [What::Trouble { part, text }, What::Recovered { .. }]
        if part == "panel" && text.contains(&port.to_string())),
        "{told:?}"
    );
}
