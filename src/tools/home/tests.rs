//! What calls become, what is never done, and the course of a connection, on a clock of the test's own.
#![allow(clippy::unwrap_used)]

use super::talk::{End, Output, Talk};
use super::*;
use crate::config::agent;
use crate::config::agent::action::home::HomeAction;
use crate::config::agent::template::Template;
use crate::tools::{Failure, Tools, Work};
use crate::units::Time;
use proptest::prelude::*;
use serde_json::json;

const HOME: &str = r#"
    [secrets]
    home = "/etc/mynah/home-token"
    code = "/etc/mynah/alarm-code"
    [home_assistant]
    url = "ws://homeassistant.local:8123/api/websocket"
    token_secret = "home"
    [[home_assistant.entities]]
    id = "light.kitchen"
    name = "kitchen light"
    area = "kitchen"
    services = { turn_on = { brightness_pct = { min = 1, max = 100 }, effect = { words = ["calm", "party"] } }, turn_off = {} }
    [[home_assistant.entities]]
    id = "light.hall"
    name = "Hall Light"
    services = ["turn_on", "turn_off", "homeassistant.toggle"]
    [[home_assistant.entities]]
    id = "sensor.outside"
    name = "outside temperature"
    [[home_assistant.entities]]
    id = "notify.screen"
    name = "screen"
    services = { send_message = { message = { chars_max = 20 } } }
    [[home_assistant.entities]]
    id = "alarm_control_panel.house"
    name = "alarm"
    services = ["alarm_disarm"]
    [[tools]]
    name = "light"
    description = "Light."
    parameters = { type = "OBJECT", properties = { lamp = { type = "STRING" }, on = { type = "BOOLEAN" } }, required = ["lamp", "on"] }
    action = { home_assistant = "switch", entity = "{lamp}", argument = "on" }
    [[tools]]
    name = "anything"
    description = "Any service."
    parameters = { type = "OBJECT", properties = { what = { type = "STRING" }, how = { type = "STRING" }, note = { type = "STRING" } }, required = ["what", "how", "note"] }
    action = { home_assistant = "call", entity = "{what}", service = "{how}", data = { message = "{note}" } }
    [[tools]]
    name = "disarm"
    description = "Alarm."
    action = { home_assistant = "call", entity = "alarm", service = "alarm_control_panel.alarm_disarm", data = { code = "{secret.code}" } }
"#;

fn tools() -> Tools {
    Tools::new(&agent::parse(HOME, "test").unwrap().tools)
}

fn plan(name: &str, args: Value) -> Result<HomeWork, String> {
    match tools().plan(name, args.as_object().unwrap())?.work {
        Work::Home(work) => Ok(*work),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_ready_tools_tell_the_model_what_there_is_in_plain_words() {
    let tools = agent::parse(HOME, "test").unwrap().tools;
    let [.., call, state] = tools.as_slice() else { panic!("{tools:?}") };
    assert_eq!((call.name.as_str(), state.name.as_str()), ("home_call", "home_state"));
    let words = "kitchen light (kitchen): turn_off, turn_on [brightness_pct 1 to 100, effect calm or party]; \
                 Hall Light: turn_on, turn_off, homeassistant.toggle; screen: send_message [message text of at most 20 characters]; \
                 alarm: alarm_disarm.";
    assert!(call.description.ends_with(words), "{}", call.description);
    assert!(state.description.contains("kitchen light (kitchen); Hall Light; outside temperature; screen; alarm."));
    let parameters = call.parameters.as_ref().unwrap();
    assert_eq!(parameters["properties"]["entity"]["enum"], json!(["kitchen light", "Hall Light", "screen", "alarm"]));
    let services = json!(["turn_off", "turn_on", "homeassistant.toggle", "send_message", "alarm_disarm"]);
    let told: std::collections::BTreeSet<&str> =
        parameters["properties"]["service"]["enum"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(told, services.as_array().unwrap().iter().filter_map(Value::as_str).collect());
    assert_eq!(parameters["properties"]["brightness_pct"]["maximum"], 100.0);
    for text in [call.description.as_str(), state.description.as_str(), &parameters.to_string()] {
        assert!(!text.contains("light.kitchen"), "ids stay on the device: {text}");
    }
}

#[test]
fn a_call_becomes_a_service_of_its_own_entity() {
    let work =
        plan("home_call", json!({"entity": "kitchen light", "service": "turn_on", "brightness_pct": 40.0})).unwrap();
    assert_eq!(work.id, "light.kitchen");
    assert_eq!(work.patience, Duration::from_millis(9500), "it is over before the call is stopped");
    let call = work.call.as_ref().unwrap();
    assert_eq!((call.domain.as_str(), call.service.as_str()), ("light", "turn_on"));
    assert_eq!(call.data["brightness_pct"], Body::Plain(json!(40)), "whole numbers have no fraction");
    assert_eq!(work.describe(), "call light.turn_on for kitchen light with brightness_pct");

    let toggled = plan("home_call", json!({"entity": "Hall Light", "service": "homeassistant.toggle"})).unwrap();
    assert_eq!(toggled.call.unwrap().domain, "homeassistant");
    assert_eq!(plan("home_state", json!({"entity": "outside temperature"})).unwrap().call, None);
    let off = plan("light", json!({"lamp": "hall light", "on": false})).unwrap();
    assert_eq!((off.id.as_str(), off.call.unwrap().service.as_str()), ("light.hall", "turn_off"));
    let disarm = plan("disarm", json!({})).unwrap();
    assert!(format!("{disarm:?}").contains("{secret.code}"), "a plan holds the place, not the secret");
    assert_eq!(tools().get("light").unwrap().policy.on_argument.as_deref(), Some("on"), "it can have a `max_on_s`");
}

#[test]
fn what_is_not_on_the_list_is_refused_with_what_is() {
    for (name, args, said) in [
        (
            "light",
            json!({"lamp": "lock.front_door", "on": true}),
            "there is no `lock.front_door` that this device may use; there are kitchen light, Hall Light, outside \
             temperature, screen, alarm",
        ),
        (
            "light",
            json!({"lamp": "sensor.outside", "on": true}),
            "`turn_on` is not allowed for outside temperature; it can only be read",
        ),
        (
            "home_call",
            json!({"entity": "Hall Light", "service": "turn_on", "brightness_pct": 40}),
            "`brightness_pct` is not taken by turn_on of Hall Light; it takes nothing",
        ),
        (
            "home_call",
            json!({"entity": "alarm", "service": "turn_on"}),
            "`turn_on` is not allowed for alarm; allowed is alarm_disarm",
        ),
        (
            "home_call",
            json!({"entity": "kitchen light", "service": "turn_on", "brightness_pct": 0}),
            "argument `brightness_pct` is 0; it must be at least 1.0",
        ),
        (
            "anything",
            json!({"what": "screen", "how": "send_message", "note": "far too long for the screen"}),
            "`message` must be text of at most 20 characters with send_message of screen, not \"far too long for the screen\"",
        ),
        (
            "anything",
            json!({"what": "light.hall", "how": "turn_on", "note": "{{ states.lock }}"}),
            "a text may not have `{{`, `{%` or `{#` in it",
        ),
    ] {
        assert_eq!(plan(name, args).unwrap_err(), said);
    }
}

/// Names, ids, services and near misses of them, and anything else.
fn words() -> impl Strategy<Value = String> {
    let known = [
        "kitchen light",
        "HALL LIGHT",
        "light.hall",
        "light.*",
        "all",
        "lock.front",
        "light.kitchen,lock.front",
        "notify.screen",
        "alarm",
        "turn_on",
        "light.turn_on",
        "lock.unlock",
        "send_message",
        "homeassistant.toggle",
        "homeassistant.restart",
        "alarm_disarm",
        "{{ states.lock }}",
        "script.turn_on",
        "",
    ];
    prop_oneof![3 => prop::sample::select(known.to_vec()).prop_map(String::from), 1 => "\\PC{0,12}"]
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        words().prop_map(Value::from),
        (-200.0..200.0).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        words().prop_map(|word| json!([word])),
        (words(), words()).prop_map(|(name, word)| json!({name: word})),
        Just(Value::Null),
    ]
}

proptest! {
    #[test]
    fn no_argument_leads_beyond_the_list(
        entity in words(), service in words(),
        data in prop::collection::btree_map(
            prop_oneof![prop::sample::select(vec!["brightness_pct", "effect", "message", "entity_id", "area_id", "target"])
                .prop_map(String::from), "\\PC{0,8}"], values(), 0..3),
        which in 0..3_usize,
    ) {
        let entities = agent::parse(HOME, "test").unwrap().home.unwrap().entities;
        let (entity_place, service_place) = (Template::parse("{entity}").unwrap(), Template::parse("{service}").unwrap());
        let body = |name: &String| (name.clone(), Body::parse(json!(format!("{{{name}}}"))));
        let data_places = data.keys().map(body).filter_map(|(name, body)| Some((name, body.ok()?))).collect();
        // The schema would refuse most of these already; here it does not.
        let verb = match which {
            0 => HomeVerb::Ready,
            1 => HomeVerb::Call { service: service_place, data: data_places },
            _ => HomeVerb::Switch { argument: "on".into() },
        };
        let is_ready = verb == HomeVerb::Ready;
        let mut args: Map<String, Value> = data.into_iter().collect();
        args.extend([("entity".into(), json!(entity)), ("service".into(), json!(service)), ("on".into(), json!(true))]);
        if is_ready {
            args.remove("on");
        }
        let action = HomeAction { verb, entity: entity_place, entities: entities.clone() };
        if let Ok(work) = work(&action, &args, Duration::from_secs(10)) {
            let listed = entities.iter().find(|listed| listed.id == work.id).unwrap();
            let call = work.call.unwrap();
            let allowed = listed.services.iter().find(|s| s.domain == call.domain && s.service == call.service).unwrap();
            for (field, body) in &call.data {
                prop_assert!(!["entity_id", "area_id", "device_id", "target"].contains(&field.as_str()), "{}", field);
                let shown = format!("{body:?}");
                prop_assert!(!shown.contains("{{ states"), "{}", shown);
                let Body::Plain(value) = body else { continue };
                prop_assert!(!is_ready || allowed.data.contains_key(field));
                prop_assert!(allowed.data.get(field).is_none_or(|limits| limits.admits(value)), "{} {}", field, value);
            }
        }
    }

    #[test]
    fn no_message_breaks_the_talk_and_what_is_kept_is_small(
        texts in prop::collection::vec(prop_oneof![
            "\\PC{0,40}",
            values().prop_map(|value| json!({"id": 1, "type": "event", "event": value}).to_string()),
            (words(), values()).prop_map(|(id, value)| json!({"id": 1, "type": "event", "event": {"a": {id: value.clone()}, "c": {"light.hall": {"+": value}}}}).to_string()),
            values().prop_map(|value| json!({"id": value, "type": value, "success": value}).to_string()),
        ], 0..20),
    ) {
        let mut talk = up();
        for text in texts {
            if talk.handle_text(&text, Time::ZERO).is_err() {
                break;
            }
        }
        for id in ["lock.front", "light.*", "all"] {
            let work = HomeWork { id: id.into(), ..plan("home_state", json!({"entity": "screen"})).unwrap() };
            talk.ask(9, work, &Map::new(), Vec::new(), Time::ZERO);
            let answer = std::iter::from_fn(|| talk.poll_output()).last();
            prop_assert!(matches!(answer, Some(Output::Answer(9, Err(_)))), "{:?}", answer);
        }
    }
}

fn outputs(talk: &mut Talk) -> Vec<Output> {
    std::iter::from_fn(|| talk.poll_output()).collect()
}

fn event(event: Value) -> String {
    json!({"id": 1, "type": "event", "event": event}).to_string()
}

/// A connection that tells these states: the kitchen's light, and a sensor that is away.
fn up() -> Talk {
    let listed = ["light.hall", "light.kitchen", "sensor.outside"];
    let mut talk = Talk::new(listed.map(String::from).into_iter(), Some(1_000_100), Time::ZERO);
    talk.handle_text(r#"{"type": "auth_required", "ha_version": "2024.3.3"}"#, Time::ZERO).unwrap();
    assert_eq!(outputs(&mut talk), [Output::SendToken]);
    talk.handle_text(r#"{"type": "auth_ok", "ha_version": "2024.3.3"}"#, Time::ZERO).unwrap();
    let Some(Output::Send(subscribe)) = talk.poll_output() else { panic!() };
    let expected = json!({"id": 1, "type": "subscribe_entities", "entity_ids": listed});
    assert_eq!(serde_json::from_str::<Value>(&subscribe).unwrap(), expected);
    talk.handle_text(r#"{"id": 1, "type": "result", "success": true, "result": null}"#, Time::ZERO).unwrap();
    assert_eq!(outputs(&mut talk), []);
    let kitchen = json!({"s": "off", "a": {"supported_features": 4, "friendly_name": "K"}, "lc": 1_000_000.0});
    let outside = json!({"s": "unavailable", "a": {"unit_of_measurement": "\u{b0}C"}, "lc": 1_000_100.5});
    let states = json!({"light.kitchen": kitchen, "sensor.outside": outside, "lock.front": {"s": "locked", "a": {}}});
    talk.handle_text(&event(json!({"a": states})), Time::ZERO).unwrap();
    assert_eq!(outputs(&mut talk), [Output::Up]);
    talk
}

fn ask(talk: &mut Talk, ticket: u64, name: &str, args: Value, now: Time) -> Vec<Output> {
    talk.ask(ticket, plan(name, args).unwrap(), &Map::new(), vec!["4711".into()], now);
    outputs(talk)
}

#[test]
fn a_state_is_told_with_its_unit_and_age() {
    let mut talk = up();
    let later = Time::from_ms(20_000);
    let told = ask(&mut talk, 1, "home_state", json!({"entity": "kitchen light"}), later);
    let state = json!({"name": "kitchen light", "area": "kitchen", "state": "off", "for_s": 120});
    assert_eq!(told, [Output::Answer(1, Ok(state))]);
    let told = ask(&mut talk, 2, "home_state", json!({"entity": "outside temperature"}), later);
    let note = "the device behind it does not answer";
    let state =
        json!({"name": "outside temperature", "state": "unavailable", "unit": "\u{b0}C", "note": note, "for_s": 20});
    assert_eq!(told, [Output::Answer(2, Ok(state))]);
    let gone = ask(&mut talk, 3, "home_state", json!({"entity": "Hall Light"}), later);
    let why = "Home Assistant has no entity `light.hall` now; its owner must look after Hall Light";
    assert_eq!(gone, [Output::Answer(3, Err(Failure::Refused(why.into())))]);
}

#[test]
fn a_call_is_answered_with_the_state_after_it() {
    let on = json!({"entity": "kitchen light", "service": "turn_on"});
    let change =
        event(json!({"c": {"light.kitchen": {"+": {"s": "on", "lc": 1_000_130.0, "a": {"brightness": 128}}}}}));
    let result = |id: u64| json!({"id": id, "type": "result", "success": true, "result": {}}).to_string();
    let state = json!({"name": "kitchen light", "area": "kitchen", "state": "on", "brightness_pct": 50, "for_s": 0,
                       "is_done": true, "is_changed": true});
    let now = Time::from_ms(30_000);
    for is_change_first in [true, false] {
        let mut talk = up();
        let sent = ask(&mut talk, 7, "home_call", on.clone(), now);
        let [Output::Send(message)] = sent.as_slice() else { panic!("{sent:?}") };
        let expected = json!({"id": 2, "type": "call_service", "domain": "light", "service": "turn_on",
                              "target": {"entity_id": "light.kitchen"}});
        assert_eq!(serde_json::from_str::<Value>(message).unwrap(), expected);
        let (first, second) = if is_change_first { (&change, &result(2)) } else { (&result(2), &change) };
        talk.handle_text(first, now).unwrap();
        assert_eq!(outputs(&mut talk), []);
        talk.handle_text(second, now).unwrap();
        assert_eq!(outputs(&mut talk), [Output::Answer(7, Ok(state.clone()))]);
    }
    let mut talk = up();
    let _ = ask(&mut talk, 7, "home_call", json!({"entity": "kitchen light", "service": "turn_off"}), now);
    talk.handle_text(&result(2), now).unwrap();
    let settled = talk.deadline();
    assert_eq!(settled, now + Duration::from_millis(800));
    talk.handle_timeout(settled).unwrap();
    let told = outputs(&mut talk);
    let [Output::Answer(7, Ok(told))] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((&told["state"], &told["is_changed"]), (&json!("off"), &json!(false)), "it was off before");
}

#[test]
fn a_refusal_is_told_without_secrets_and_a_device_that_is_away_is_not_called() {
    let mut talk = up();
    let _ = ask(&mut talk, 1, "home_call", json!({"entity": "kitchen light", "service": "turn_on"}), Time::ZERO);
    let refusal = json!({"id": 2, "type": "result", "success": false,
                         "error": {"code": "invalid_format", "message": "not a valid code. Got '4711'"}});
    talk.handle_text(&refusal.to_string(), Time::ZERO).unwrap();
    let why = "Home Assistant refused to do it for kitchen light: not a valid code. Got '...' (invalid_format)";
    assert_eq!(outputs(&mut talk), [Output::Answer(1, Err(Failure::Refused(why.into())))]);
    talk.handle_text(&event(json!({"c": {"light.kitchen": {"+": {"s": "unavailable"}}}})), Time::ZERO).unwrap();
    let away = ask(&mut talk, 2, "home_call", json!({"entity": "kitchen light", "service": "turn_on"}), Time::ZERO);
    let why = "kitchen light does not answer Home Assistant; nothing was done";
    assert_eq!(away, [Output::Answer(2, Err(Failure::Refused(why.into())))]);
    talk.handle_text(&event(json!({"r": ["light.kitchen"]})), Time::ZERO).unwrap();
    let gone = ask(&mut talk, 3, "home_call", json!({"entity": "kitchen light", "service": "turn_on"}), Time::ZERO);
    assert!(matches!(gone.as_slice(), [Output::Answer(3, Err(_))]), "{gone:?}");
}

#[test]
fn a_silent_one_is_asked_whether_it_lives_and_left_where_it_does_not() {
    let mut talk = up();
    assert_eq!(talk.deadline(), Time::from_ms(30_000));
    talk.handle_timeout(Time::from_ms(30_000)).unwrap();
    assert_eq!(outputs(&mut talk), [Output::Send(message::ping(2))]);
    talk.handle_text(r#"{"id": 2, "type": "pong"}"#, Time::from_ms(30_100)).unwrap();
    talk.handle_timeout(Time::from_ms(60_100)).unwrap();
    assert_eq!(outputs(&mut talk), [Output::Send(message::ping(3))]);
    let end = talk.handle_timeout(talk.deadline()).unwrap_err();
    assert_eq!(end, End::Failed("has said nothing for 40 s".into()));

    let mut talk = Talk::new(std::iter::empty(), None, Time::ZERO);
    assert_eq!(talk.handle_timeout(Time::from_ms(14_999)), Ok(()));
    assert!(matches!(talk.handle_timeout(talk.deadline()), Err(End::Failed(_))), "it never greeted");
    assert_eq!(talk.handle_text(r#"{"type": "auth_invalid", "message": "no"}"#, Time::ZERO), Err(End::TokenRefused));
}

#[test]
fn a_call_without_an_answer_is_forgotten_when_its_caller_has_left() {
    let mut talk = up();
    let _ = ask(&mut talk, 1, "home_call", json!({"entity": "kitchen light", "service": "turn_on"}), Time::ZERO);
    assert_eq!(talk.deadline(), Time::from_ms(9500));
    talk.handle_timeout(talk.deadline()).unwrap();
    assert_eq!((outputs(&mut talk), talk.deadline()), (Vec::new(), Time::from_ms(30_000)));
}
