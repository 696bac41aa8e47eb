//! Calls become requests.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::agent::{self, Action};
use proptest::prelude::*;

const HEAD: &str = r#"
    [mqtt]
    host = "broker"
    [[tools]]
    name = "t"
    description = "T."
    timeout_ms = 2000
    parameters = { type = "OBJECT", properties = { room = { type = "STRING" }, on = { type = "BOOLEAN" }, percent = { type = "INTEGER" } }, required = ["room", "on", "percent"] }
"#;

fn action(action: &str) -> MqttAction {
    let mut agent = agent::parse(&format!("{HEAD}action = {action}"), "test").unwrap();
    let Action::Mqtt(action) = agent.tools.remove(0).action else { panic!("another action") };
    action
}

fn asked(text: &str, args: Value) -> Result<Request, String> {
    request(&action(text), args.as_object().unwrap())
}

fn args() -> Value {
    json!({"room": "hall", "on": true, "percent": 40})
}

#[test]
fn a_switch_publishes_one_of_two_texts() {
    let text = r#"{ mqtt = "publish", topic = "home/{room}/lamp/set", argument = "on", on = "1", off = "0" }"#;
    let Request::Publish { message, wait: None, within } = asked(text, args()).unwrap() else { panic!("no publish") };
    assert_eq!((message.topic.as_str(), message.payload.as_slice()), ("home/hall/lamp/set", b"1".as_slice()));
    assert!(message.is_confirmed && !message.is_retained && message.expire_s == Some(60));
    assert_eq!(within, Duration::from_millis(1800), "time is left to say what became of it");
    assert_eq!(done(&message), json!({"published_to": "home/hall/lamp/set", "confirmed_by_broker": true}));
}

#[test]
fn json_keeps_the_types_of_arguments() {
    let text = r#"{ mqtt = "publish", topic = "l", retain = "on", payload_json = { brightness = "{percent}", name = "in {room}", list = ["{on}", 1] } }"#;
    let Request::Publish { message, .. } = asked(text, args()).unwrap() else { panic!("no publish") };
    let payload: Value = serde_json::from_slice(&message.payload).unwrap();
    assert_eq!(payload, json!({"brightness": 40, "name": "in hall", "list": [true, 1]}));
    assert_eq!((message.is_retained, message.expire_s), (true, None), "what is kept does not expire");
}

#[test]
fn what_is_waited_for_may_be_what_was_published() {
    let text = r#"{ mqtt = "publish_and_wait", topic = "a", payload = "{percent}", state_topic = "b/{room}", state_pointer = "/x", expect = "{payload}" }"#;
    let Request::Publish { wait: Some(wait), .. } = asked(text, args()).unwrap() else { panic!("no wait") };
    let at = StateAt { topic: "b/hall".into(), pointer: Some("/x".into()) };
    assert_eq!(wait, Wait { at, wanted: Some("40".into()) });
}

#[test]
fn states_are_heard_from_the_start_for_every_argument() {
    let filter_of = |topic: &str| filter(&action(&format!(r#"{{ mqtt = "read", state_topic = "{topic}" }}"#))).unwrap();
    assert_eq!(filter_of("home/{room}/lamp"), "home/+/lamp");
    assert_eq!(filter_of("home/x{room}{percent}y/lamp"), "home/+/lamp");
    assert_eq!(filter_of("home/lamp"), "home/lamp");
    assert_eq!(filter(&action(r#"{ mqtt = "publish", topic = "a", payload = "b" }"#)), None);
}

#[test]
fn arguments_that_would_reach_other_topics_are_refused() {
    let text = r#"{ mqtt = "publish", topic = "{room}/set", payload = "x" }"#;
    for room in ["", "+", "#", "a/b", "..\0", "a\nb", "$SYS", &"x".repeat(65)] {
        let why = asked(text, json!({"room": room})).unwrap_err();
        assert!(why.contains("topic"), "{room:?}: {why}");
    }
    let long = r#"{ mqtt = "publish", topic = "a", payload = "{room}" }"#;
    assert!(asked(long, json!({"room": "x".repeat(PAYLOAD_BYTES_MAX + 1)})).unwrap_err().contains("say less"));
}

proptest! {
    #[test]
    fn no_argument_changes_the_shape_of_a_topic(room: String) {
        let text = r#"{ mqtt = "publish", topic = "home/{room}/set", payload = "x" }"#;
        if let Ok(Request::Publish { message, .. }) = asked(text, json!({"room": room})) {
            let levels: Vec<&str> = message.topic.split('/').collect();
            prop_assert_eq!(levels, ["home", room.as_str(), "set"]);
            prop_assert!(!message.topic.contains(['+', '#', '\0']));
        }
    }
}
