//! Policies as the errands thread keeps them: order, limits, interlocks, a person's yes, safe states, the audit log.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::hw::journal::Journal;
use crate::tools::audit::{self, Outcome, Record};
use std::fs;
use std::time::Instant;

/// A tool that switches `line`, with a policy.
fn switch(name: &str, line: &str, policy: &str) -> String {
    format!(
        r#"
        [[tools]]
        name = "{name}"
        description = "Switch."
        parameters = {{ type = "OBJECT", properties = {{ on = {{ type = "BOOLEAN" }} }}, required = ["on"] }}
        action = {{ gpio = "set", line = "{line}", argument = "on" }}
        policy = {{ {policy} }}
        "#
    )
}

fn pulse(name: &str, line: &str, policy: &str) -> String {
    format!(
        r#"
        [[tools]]
        name = "{name}"
        description = "Pulse."
        action = {{ gpio = "pulse", line = "{line}", pulse_ms = 60 }}
        policy = {{ {policy} }}
        "#
    )
}

/// A rig of these tools, past its start.
fn started(tools: &[String]) -> Rig {
    let rig = rig_with(&tools.concat(), None);
    let lines: BTreeSet<&str> =
        tools.iter().filter_map(|tool| tool.split("line = \"").nth(1)?.split('"').next()).collect();
    rig.next(2 * lines.len());
    rig
}

fn on(is_on: bool) -> Value {
    json!({ "on": is_on })
}

/// The next change of a line.
fn change(rig: &Rig) -> (String, bool) {
    loop {
        if let Seen::LineSet(line, active) = rig.seen.recv_timeout(SOON).unwrap() {
            return (line, active);
        }
    }
}

#[test]
fn calls_run_in_the_order_they_came_unless_declared_parallel() {
    let rig = started(&[
        pulse("first", "door", ""),
        switch("then", "lamp", ""),
        switch("beside", "fan", "order = \"parallel\""),
    ]);
    rig.call("1", "first", json!({}));
    rig.call("2", "then", on(true));
    rig.call("3", "beside", on(true));
    let order: Vec<String> = (0..3).map(|_| rig.reply().0).collect();
    assert_eq!(order, ["3", "1", "2"]);
}

#[test]
fn what_is_on_goes_off_after_its_time_and_the_model_knows() {
    let rig = started(&[switch("heat", "heater", "max_on_s = 1")]);
    let began = Instant::now();
    rig.call("1", "heat", on(true));
    let (_, said) = rig.reply();
    let left_s = said.unwrap()["switches_itself_off_in_s"].as_u64().unwrap();
    assert!(left_s <= 1);
    rig.call("2", "heat", on(true));
    assert_eq!(change(&rig), ("heater".into(), false), "to ask again does not make it longer");
    assert!(began.elapsed() >= Duration::from_secs(1) && began.elapsed() < Duration::from_secs(10));
}

#[test]
fn who_switches_it_by_another_tool_meets_the_same_limit() {
    let rig = started(&[switch("heat", "heater", "max_on_s = 1"), switch("warm", "heater", "")]);
    rig.call("1", "warm", on(true));
    assert_eq!((change(&rig), change(&rig)), (("heater".into(), true), ("heater".into(), false)));
}

#[test]
fn an_interlock_forbids_and_what_is_on_goes_off_when_it_falls() {
    let rig = started(&[switch("saw", "saw", "not_while = [\"guard_open\"]")]);
    rig.call("1", "saw", on(true));
    assert_eq!(rig.reply().1, Err("not allowed while `guard_open` is on".into()));
    rig.contact.store(false, Ordering::SeqCst);
    rig.call("2", "saw", on(true));
    assert_eq!(change(&rig), ("saw".into(), true));
    rig.contact.store(true, Ordering::SeqCst);
    assert_eq!(change(&rig), ("saw".into(), false));
}

#[test]
fn a_lost_connection_brings_to_rest_what_is_to_rest_then() {
    let rig = started(&[switch("pump", "pump", "when_offline = \"rest\""), switch("lamp", "lamp", "")]);
    rig.call("1", "pump", on(true));
    rig.call("2", "lamp", on(true));
    assert_eq!((change(&rig).0, change(&rig).0), ("pump".into(), "lamp".into()));
    rig.orders.blocking_send(ToolOrder::Offline).unwrap();
    assert_eq!(change(&rig), ("pump".into(), false));
    let rest = rig.stop();
    assert_eq!(rest.iter().filter(|seen| **seen == set("lamp", false)).count(), 1, "the lamp was still on: {rest:?}");
}

#[test]
fn a_tap_runs_what_was_asked_and_the_model_is_told() {
    let rig = started(&[pulse("open_door", "door", "confirm = \"button\", confirm_within_s = 30")]);
    rig.orders.blocking_send(ToolOrder::Tapped).unwrap(); // of no meaning
    rig.call("1", "open_door", json!({}));
    assert_eq!(rig.next(1), [Seen::Wish(Control::AskTap(Duration::from_secs(30)))]);
    assert!(rig.reply().1.unwrap()["status"].as_str().unwrap().starts_with("not done yet"));
    rig.orders.blocking_send(ToolOrder::Tapped).unwrap();
    assert_eq!((change(&rig), change(&rig)), (("door".into(), true), ("door".into(), false)));
    let [Seen::Wish(Control::Tell(text))] = &rig.next(1)[..] else { panic!("the model is not told") };
    assert!(text.contains("confirmed `open_door`") && text.contains("pulsed_ms"), "{text}");
    rig.orders.blocking_send(ToolOrder::Tapped).unwrap();
    assert!(!rig.stop().contains(&set("door", true)), "one tap is one yes");
}

#[test]
fn a_spoken_yes_is_waited_for_when_the_model_was_quicker_than_the_transcript() {
    let rig = started(&[pulse("open_door", "door", "confirm = \"voice\"")]);
    rig.call("1", "open_door", json!({}));
    let asked = rig.reply().1.unwrap();
    assert!(asked["ask_the_user_to"].as_str().unwrap().contains("say yes"), "{asked}");
    rig.call("2", "open_door", json!({}));
    let heard = |text: &str| ToolOrder::Heard { text: text.into(), began_at: crate::units::Time::from_ms(3_600_000) };
    rig.orders.blocking_send(heard("well")).unwrap();
    rig.orders.blocking_send(heard("well, yes")).unwrap();
    assert_eq!(rig.reply(), ("2".into(), Ok(json!({"line": "door", "pulsed_ms": 60}))));
}

#[test]
fn without_a_yes_nothing_moves() {
    let rig = started(&[pulse("open_door", "door", "confirm = \"voice\"")]);
    rig.call("1", "open_door", json!({}));
    rig.reply().1.unwrap();
    rig.call("2", "open_door", json!({}));
    let (_, answer) = rig.reply();
    assert_eq!(answer.unwrap()["status"], "not done: no yes was heard");
    assert!(!rig.stop().contains(&set("door", true)));
}

#[test]
fn a_safe_state_may_be_active() {
    let rig = rig_with(&switch("close_valve", "valve", ""), None);
    assert_eq!(rig.next(2), [opened("valve"), driven("valve", true)], "at the start");
    rig.call("1", "close_valve", on(false));
    assert_eq!(change(&rig), ("valve".into(), false));
    assert_eq!(rig.stop().last(), Some(&set("valve", true)), "and at the end");
}

#[test]
fn every_call_is_in_the_audit_log_whatever_came_of_it() {
    let place = std::env::temp_dir().join(format!("mynah-audit-{}", std::process::id()));
    let _ = fs::remove_dir_all(&place);
    let folder = Arc::new(Folder::new(&place));
    let tools = [
        switch("lamp", "lamp", "per_minute = 1"),
        switch("show", "lamp", "dry_run = \"on\""),
        pulse("ask", "door", "confirm = \"button\""),
        pulse("broken", "missing", ""),
    ];
    let rig = rig_with(&tools.concat(), Some(folder));
    for (id, name, args) in [
        ("1", "lamp", on(true)),
        ("2", "lamp", on(true)),
        ("3", "show", on(true)),
        ("4", "ask", json!({})),
        ("5", "broken", json!({})),
        ("6", "nothing", json!({"x": 1})),
    ] {
        rig.call(id, name, args);
        rig.reply().1.ok();
    }
    rig.stop();
    let mut records = Vec::new();
    let each = |line: &str| {
        records.push(serde_json::from_str::<Record>(line).unwrap());
        Ok(())
    };
    Journal::new(place.join(audit::FILE), 1024).read(each).unwrap();
    fs::remove_dir_all(&place).unwrap();
    let said: Vec<_> = records.iter().map(|record| (record.tool.as_str(), record.outcome)).collect();
    assert_eq!(
        said,
        [
            ("lamp", Outcome::Done),
            ("lamp", Outcome::Refused),
            ("show", Outcome::Rehearsed),
            ("ask", Outcome::Asked),
            ("broken", Outcome::Failed),
            ("nothing", Outcome::Refused)
        ]
    );
    assert!(records.iter().all(|record| record.by == "model" && record.unix_ms > 1_700_000_000_000));
    assert_eq!(records[2].result.as_ref().unwrap()["would_do"], "switch line `lamp` on");
}
