//! The page's state during a conversation, in data.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::agent::parse;
use crate::flow::{CloseCause, Event, Occasion, Usage};
use crate::units::Epoch;

struct Rig {
    screen: Screen,
    facts: Facts,
    now: Time,
}

impl Rig {
    fn new(config: &str) -> Rig {
        let agent = parse(config, "test").unwrap();
        let device = Device { board: "sim".into(), is_login_needed: false, allow: vec!["stop".into()] };
        let mut rig = Rig { screen: Screen::new(&agent, device), facts: Facts::new(&agent), now: Time::from_ms(1000) };
        let _ = rig.patch();
        rig
    }

    fn seen(&self) -> Seen {
        Seen { now: self.now, facts: self.facts.clone(), is_alive: true, viewers: 1, is_idle: false }
    }

    fn tell(&mut self, what: What) {
        self.now += std::time::Duration::from_millis(100);
        self.facts.handle_event(&Event { at: self.now, what: what.clone() });
        self.screen.handle(&what, self.now, "14:03:10");
    }

    fn patch(&mut self) -> Value {
        let seen = self.seen();
        self.screen.patch(&seen).unwrap_or_default()
    }

    fn names(&mut self) -> Vec<String> {
        self.patch().as_object().map(|members| members.keys().cloned().collect()).unwrap_or_default()
    }
}

const KIOSK: &str = "[panel]\nlisten = \"127.0.0.1:1\"\n[kiosk]\nreset_after_s = 60\n";

fn trace() -> Vec<What> {
    vec![
        What::UserText { text: "what is that".into() },
        What::ToolCalled { id: "1".into(), name: "look".into(), args: json!({}) },
        What::StillSent { why: Occasion::Looked, width: 8, height: 8, bytes: 1, age_ms: 9, jpeg: vec![1].into() },
        What::Shown { title: "A".into(), text: "B".into(), link: "https://c.example/".into(), picture: String::new() },
    ]
}

#[test]
fn a_patch_holds_what_changed_and_nothing_else() {
    let mut rig = Rig::new("");
    assert_eq!(rig.patch(), Value::Null);
    rig.tell(What::VolumeSet { percent: 30 });
    assert_eq!(rig.names(), ["look"]);
    rig.tell(What::GateOpened { cause: OpenCause::Button });
    let patch = rig.patch();
    assert_eq!((&patch["gate"]["is_open"], &patch["gate"]["cause"]), (&json!(true), &json!("button")));
    assert_eq!(patch["look"]["state"], "listening");
    rig.now += std::time::Duration::from_secs(5);
    assert_eq!(rig.names(), [""; 0], "time alone is no news");
}

#[test]
fn whoever_knows_one_state_and_every_patch_knows_the_next() {
    let mut rig = Rig::new("");
    let mut known = rig.screen.whole(&rig.seen());
    for what in trace().into_iter().chain([
        What::GateClosed { cause: CloseCause::Released },
        What::ReplyHeard { epoch: Epoch(1) },
        What::Trouble { part: "mic".into(), text: "it is gone".into() },
        What::EchoState { duplex: Duplex::Full, erle_db: 21.04 },
    ]) {
        rig.tell(what);
        for (name, member) in rig.patch().as_object().cloned().unwrap_or_default() {
            known[name] = member;
        }
    }
    let mut whole = rig.screen.whole(&rig.seen());
    whole["device"]["up_s"] = known["device"]["up_s"].clone();
    assert_eq!(known, whole);
    assert_eq!(
        known["gate"],
        json!({"is_open": false, "cause": null, "duplex": "full", "erle_db": 21.0, "last_reply_ms": 100})
    );
    assert_eq!(known["health"], json!({"is_ok": false, "texts": ["mic: it is gone"], "viewers": 1}));
}

#[test]
fn a_reset_of_an_owner_takes_the_words_and_that_of_a_visitor_everything() {
    for (config, is_kiosk) in [("", false), (KIOSK, true)] {
        let mut rig = Rig::new(config);
        trace().into_iter().for_each(|what| rig.tell(what));
        rig.tell(What::ConversationReset);
        let whole = rig.screen.whole(&rig.seen());
        assert_eq!(whole["captions"], json!([]));
        assert_eq!(whole["kiosk"]["show"]["title"], "");
        assert_eq!(whole["calls"] == json!([]), is_kiosk);
        assert_eq!(whole["stills"] == json!([]), is_kiosk);
        assert_eq!(whole["kiosk"]["visit"], if is_kiosk { 2 } else { 1 });
        assert_eq!(rig.screen.has_traces(), !is_kiosk);
    }
}

#[test]
fn nothing_of_a_visit_is_left_after_a_wipe_and_a_clean_screen_is_not_wiped_again() {
    let mut rig = Rig::new(KIOSK);
    assert!(!rig.screen.wipe());
    trace().into_iter().for_each(|what| rig.tell(what));
    assert!(rig.screen.wipe());
    let whole = rig.screen.whole(&rig.seen()).to_string();
    for word in ["what is that", "look\"", "c.example"] {
        assert!(!whole.contains(&format!("\"{word}")) || word == "look\"", "{whole}");
    }
    assert!(!rig.screen.has_traces() && rig.screen.jpeg(1).is_none());
    assert!(!rig.screen.wipe());
}

#[test]
fn a_voice_that_was_chosen_is_the_next_until_a_fresh_conversation_begins() {
    let mut rig = Rig::new("voice = \"Kore\"");
    rig.tell(What::VoiceChosen { voice: "Puck".into(), language: "German".into() });
    let voice = rig.patch()["voice"].clone();
    assert_eq!(
        (&voice["voice"], &voice["next_voice"], &voice["next_language"]),
        (&json!("Kore"), &json!("Puck"), &json!("German"))
    );
    rig.tell(What::LinkReady { setup_ms: 1, start: Start::Resumed });
    assert_eq!(rig.screen.whole(&rig.seen())["voice"]["voice"], "Kore");
    rig.tell(What::LinkReady { setup_ms: 1, start: Start::Told });
    let voice = rig.patch()["voice"].clone();
    assert_eq!(
        (&voice["voice"], &voice["language"], &voice["next_voice"]),
        (&json!("Puck"), &json!("German"), &json!(""))
    );
}

#[test]
fn cost_and_levels_are_told_in_the_units_of_the_page() {
    let mut rig = Rig::new("[limits]\nday_usd = 2\n");
    let turn = Usage::default();
    rig.tell(What::Usage { turn, turn_microusd: 1, session_microusd: 4000, day_tokens: 1234, day_microusd: 120_000 });
    rig.screen.set_levels(Decibel(-42.0), Decibel(-89.8));
    let patch = rig.patch();
    let cost =
        json!({"session_usd": 0.004, "day_usd": 0.12, "day_limit_usd": 2.0, "day_tokens": 1234, "is_spent": false});
    assert_eq!(patch["cost"], cost);
    assert_eq!(patch["levels"], json!({"mic_db": -42.0, "speaker_db": -90.0}));
}

#[test]
fn what_was_missed_is_said() {
    let mut rig = Rig::new("");
    rig.screen.missed(7, "14:03:10");
    assert!(rig.patch()["captions"][0]["text"].as_str().unwrap().starts_with("7 things"));
}
