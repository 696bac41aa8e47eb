//! The gatekeeper in data: what it says to calls at given times.
#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;
use crate::config::agent;

/// A tool `t` with a BOOLEAN `on` and this policy, as the owner writes it.
fn tool(policy: &str) -> Tool {
    let text = format!(
        r#"
        [[tools]]
        name = "t"
        description = "A test's."
        parameters = {{ type = "OBJECT", properties = {{ on = {{ type = "BOOLEAN" }} }}, required = ["on"] }}
        action = {{ gpio = "set", line = "lamp", argument = "on" }}
        [tools.policy]
        {policy}
        "#
    );
    agent::parse(&text, "test").unwrap().tools.remove(0)
}

fn args(on: bool) -> Map<String, Value> {
    json!({ "on": on }).as_object().unwrap().clone()
}

struct World {
    gatekeeper: Gatekeeper,
    tool: Tool,
    now: Time,
    minute: Option<u16>,
    line: Option<bool>,
}

fn world(policy: &str) -> World {
    World {
        gatekeeper: Gatekeeper::default(),
        tool: tool(policy),
        now: Time::from_ms(1000),
        minute: Some(720),
        line: None,
    }
}

impl World {
    fn call(&mut self, on: bool) -> Result<Verdict, String> {
        self.call_by(Caller::Model, on)
    }

    fn call_by(&mut self, caller: Caller, on: bool) -> Result<Verdict, String> {
        let line = |_: &str| self.line;
        let moment = Moment { now: self.now, minute_of_day: self.minute, line: &line };
        self.gatekeeper.admit(&self.tool, caller, &args(on), &moment)
    }

    fn wait_ms(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }
}

const RUN: Result<Verdict, String> = Ok(Verdict::Run);

fn refused(why: &str) -> Result<Verdict, String> {
    Err(why.to_string())
}

#[test]
fn only_those_may_call_whom_the_owner_names_and_the_owner() {
    let mut world = world("callers = [\"mqtt\"]");
    assert_eq!(world.call(true), refused("`t` may not be called by the model"));
    assert_eq!(world.call_by(Caller::Panel, true), refused("`t` may not be called by the panel"));
    for caller in [Caller::Mqtt, Caller::Hand, Caller::Mynah] {
        assert_eq!(world.call_by(caller, true), RUN);
    }
}

#[test]
fn calls_keep_their_distance() {
    let mut world = world("min_interval_ms = 5000\nper_minute = 3");
    assert_eq!(world.call(true), RUN);
    world.wait_ms(4999);
    assert_eq!(world.call(false), refused("not yet: `t` may be called again in 1 s"));
    world.wait_ms(1);
    assert_eq!(world.call(false), RUN);
    world.wait_ms(5000);
    assert_eq!(world.call(true), RUN);
    world.wait_ms(5000);
    assert_eq!(world.call(true), refused("too often: `t` may be called again in 45 s"));
    world.wait_ms(45_000);
    assert_eq!(world.call(true), RUN, "a minute after the first");
}

#[test]
fn at_night_and_without_a_clock_it_stays_still() {
    let mut world = world("quiet_hours = \"22:00-06:30\"");
    assert_eq!(world.call(true), RUN);
    world.minute = Some(23 * 60);
    assert_eq!(world.call(true), refused("not allowed from 22:00 to 06:30"));
    world.minute = None;
    assert!(world.call(true).unwrap_err().contains("does not know what time it is"));
}

#[test]
fn lines_lock_each_other_and_one_that_cannot_be_read_locks_too() {
    let mut not = world("not_while = [\"door\"]");
    assert_eq!(not.call(true), refused("not allowed: `door` cannot be read, and it must be off"));
    not.line = Some(true);
    assert_eq!(not.call(true), refused("not allowed while `door` is on"));
    not.line = Some(false);
    assert_eq!(not.call(true), RUN);
    let mut only = world("only_while = [\"guard\"]");
    assert!(only.call(true).unwrap_err().contains("cannot be read"));
    only.line = Some(false);
    assert_eq!(only.call(true), refused("only allowed while `guard` is on"));
    only.line = Some(true);
    assert_eq!(only.call(true), RUN);
}

#[test]
fn what_mynah_would_switch_off_one_day_may_always_be_switched_off() {
    let policy = "max_on_s = 60\nquiet_hours = \"00:00-23:59\"\nnot_while = [\"door\"]\nmin_interval_ms = 60000\nconfirm = \"button\"";
    let mut world = world(policy);
    assert!(world.call(true).is_err());
    assert_eq!(world.call(false), RUN);
    assert_eq!(world.call(false), RUN, "and again");
    assert!(world.tool.policy.callers == [Caller::Model]);
    assert!(world.call_by(Caller::Mqtt, false).is_err(), "but not by anybody");
}

#[test]
fn a_rehearsal_asks_nobody_and_moves_nothing() {
    let mut world = world("dry_run = \"on\"\nconfirm = \"button\"");
    assert_eq!(world.call(true), Ok(Verdict::Rehearse));
}

#[test]
fn a_tap_in_time_says_yes_to_the_call_that_was_asked_for() {
    let asks = Ok(Verdict::Ask(Asking { by: Confirm::Button, within: Duration::from_secs(10) }));
    let mut world = world("confirm = \"button\"\nconfirm_within_s = 10");
    assert_eq!(world.gatekeeper.tapped(world.now), None, "nothing was asked");
    assert_eq!(world.call(true), asks);
    world.wait_ms(9_999);
    let (name, given, caller) = world.gatekeeper.tapped(world.now).unwrap();
    assert_eq!((name.as_str(), given, caller), ("t", args(true), Caller::Model));
    assert_eq!(world.call(true), RUN);
    assert_eq!(world.call(true), asks, "one yes is for one call");
    assert_eq!(world.call(false), asks, "another call is another question");
    world.wait_ms(10_000);
    assert_eq!(world.gatekeeper.tapped(world.now), None, "too late");
    assert_eq!(world.call(true), asks);
    world.gatekeeper.heard("yes", world.now, world.now);
    assert_eq!(world.call(true), asks, "a word is no tap");
}

#[test]
fn a_spoken_yes_counts_after_the_question_and_a_no_ends_it() {
    let asks = Ok(Verdict::Ask(Asking { by: Confirm::Voice, within: Duration::from_secs(20) }));
    let mut world = world("confirm = \"voice\"");
    assert_eq!(world.call(true), asks);
    let asked_at = world.now;
    world.wait_ms(4000);
    world.gatekeeper.heard("yes", Time::from_ms(999), world.now);
    assert_eq!(world.call(true), Ok(Verdict::Listen(world.now + TRANSCRIPT_LAG)), "said before the question");
    world.gatekeeper.heard("well", asked_at, world.now);
    assert!(matches!(world.call(true), Ok(Verdict::Listen(_))), "the transcript may still come");
    world.gatekeeper.heard("well, yes", asked_at, world.now);
    assert!(world.gatekeeper.is_confirmed("t", &args(true), world.now));
    assert!(!world.gatekeeper.is_confirmed("t", &args(false), world.now));
    assert_eq!(world.call(true), RUN);
    assert_eq!(world.call(true), asks);
    world.wait_ms(1000);
    world.gatekeeper.heard("no, not now", world.now, world.now);
    assert_eq!(world.call(true), asks, "asked anew");
    assert_eq!(world.gatekeeper.tapped(world.now), None, "a tap is no word");
}

#[test]
fn on_is_what_the_argument_says() {
    let policy = Policy { on_argument: Some("level".into()), ..Policy::default() };
    let at = |level: Value| json!({ "level": level, "room": "hall" }).as_object().unwrap().clone();
    for (level, on) in
        [(json!(0), false), (json!(0.0), false), (json!(40), true), (json!(true), true), (json!(-1), true)]
    {
        assert_eq!(is_on(&policy, &at(level.clone())), on, "{level}");
        let rest = off(&policy, &at(level)).unwrap();
        assert!(!is_on(&policy, &rest) && rest["room"] == "hall");
    }
    assert!(!is_on(&Policy::default(), &at(json!(1))) && off(&Policy::default(), &at(json!(1))).is_none());
}
