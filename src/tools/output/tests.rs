//! Two tools for one lamp are one output, and two lamps behind one topic are two.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::config::agent;
use crate::tools::on_time::{OffCall, OnTimes};
use crate::units::Time;

const ON: &str = r#"parameters = { type = "OBJECT", properties = { on = { type = "BOOLEAN" } }, required = ["on"] }"#;

/// Tools of a house: its lamp is switched by three of them.
fn tools() -> Tools {
    let one = |name: &str, parameters: &str, action: &str, policy: &str| {
        format!(
            "[[tools]]\nname = \"{name}\"\ndescription = \"Switch.\"\n{parameters}\naction = {{ {action} }}\n\
             policy = {{ {policy} }}\n"
        )
    };
    let lamp = r#"mqtt = "publish", topic = "lamp/set", argument = "on", on = "ON", off = "OFF""#;
    let relay = r#"mqtt = "publish", topic = "relays/set", payload = "{channel} {on}""#;
    let plant = |what: &str| format!(r#"mqtt = "publish", topic = "plant/set", payload = "{what} {{on}}""#);
    let channels = ON.replace("{ on", "{ channel = { type = \"INTEGER\" }, on").replace("[", "[\"channel\", ");
    let limited = "on_argument = \"on\", max_on_s = 60";
    let text = [
        one("switch_lamp", ON, lamp, limited),
        one("lamp_off", "", r#"mqtt = "publish", topic = "lamp/set", payload = "OFF""#, ""),
        one("warm_lamp", ON, lamp, "on_argument = \"on\", max_on_s = 30"),
        one("set_relay", &channels, relay, limited),
        one("set_pump", ON, &plant("pump"), limited),
        one("set_valve", ON, &plant("valve"), limited),
        "[mqtt]\nhost = \"localhost\"\n".to_string(),
    ];
    Tools::new(&agent::parse(&text.concat(), "test").unwrap().tools)
}

/// The house as it is: what is on, since when, by what the messages say.
#[derive(Default)]
struct World {
    on: BTreeMap<String, Time>,
    on_times: OnTimes,
    now: Time,
}

impl World {
    /// What the errands thread does with a call.
    fn call(&mut self, tools: &Tools, name: &str, args: &Value) {
        let args = args.as_object().unwrap();
        let (tool, plan) = (tools.get(name).unwrap(), tools.plan(name, args).unwrap());
        let output = tools.output(tool, args, &plan.work).unwrap();
        let is_on = plan.work.is_on(&tool.policy, args);
        if let Some(longest) = tools.longest_on(&output, tool, args).filter(|_| is_on) {
            let off = OffCall { name: name.into(), args: plan.work.off(&tool.policy, args).unwrap() };
            self.on_times.arm(&output, off, longest, true, self.now).unwrap();
        }
        let Work::Mqtt(Request::Publish { message, .. }) = &plan.work else { panic!("{plan:?}") };
        let says = String::from_utf8(message.payload.clone()).unwrap();
        let (thing, says) = says.rsplit_once(' ').unwrap_or(("lamp", &says));
        match says {
            "ON" | "true" => {
                self.on.entry(format!("{} {thing}", message.topic)).or_insert(self.now);
            }
            _ => drop(self.on.remove(&format!("{} {thing}", message.topic))),
        }
        if !is_on {
            self.on_times.went_off(&output, self.on_times.going_off(&output));
        }
    }

    fn live(&mut self, tools: &Tools, until: Time) {
        while let Some(at) = self.on_times.next().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            for (_, off) in self.on_times.due(self.now) {
                self.call(tools, &off.name, &Value::Object(off.args));
            }
        }
        self.now = until;
    }
}

fn calls() -> impl Strategy<Value = Vec<(&'static str, Value, u64)>> {
    let names =
        prop::sample::select(vec!["switch_lamp", "lamp_off", "warm_lamp", "set_relay", "set_pump", "set_valve"]);
    let call = (names, any::<bool>(), 1..4_u8, 0..40_u64).prop_map(|(name, on, channel, wait_s)| {
        let args = match name {
            "lamp_off" => json!({}),
            "set_relay" => json!({"channel": channel, "on": on}),
            _ => json!({"on": on}),
        };
        (name, args, wait_s)
    });
    prop::collection::vec(call, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whichever of the tools switches what, by whichever it is switched off: nothing is on past its limit, and what is
    /// off is not watched.
    #[test]
    fn no_thing_is_on_past_its_limit_whoever_switches_it(calls in calls()) {
        let tools = tools();
        let mut world = World::default();
        for (name, args, wait_s) in calls {
            world.call(&tools, name, &args);
            prop_assert_eq!(world.on.len(), world.on_times.all().count(), "what is on is watched, and nothing else");
            world.live(&tools, world.now + Duration::from_secs(wait_s));
            for (thing, since) in &world.on {
                let limit_s = if thing == "lamp/set lamp" { 30 } else { 60 };
                prop_assert!(world.now.since(*since) < Duration::from_secs(limit_s), "{} at {}", thing, world.now);
            }
        }
        world.live(&tools, world.now + Duration::from_secs(60));
        prop_assert!(world.on.is_empty(), "all is off in the end: {:?}", world.on);
    }
}

fn name(tools: &Tools, tool: &str, args: Value) -> Option<String> {
    let args = args.as_object().unwrap();
    tools.output(tools.get(tool).unwrap(), args, &tools.plan(tool, args).unwrap().work)
}

#[test]
fn an_output_is_what_switches_it_off() {
    let tools = tools();
    let lamp = name(&tools, "switch_lamp", json!({"on": true})).unwrap();
    assert_eq!(shown(&lamp), "mqtt lamp/set");
    assert_eq!(name(&tools, "lamp_off", json!({})), Some(lamp.clone()));
    assert_eq!(name(&tools, "warm_lamp", json!({"on": false})), Some(lamp));
    let relay = |channel: u8, on: bool| name(&tools, "set_relay", json!({"channel": channel, "on": on})).unwrap();
    assert_eq!(relay(1, true), relay(1, false));
    assert_ne!(relay(1, true), relay(2, true), "another relay behind the same topic");
}

/// The address, the entity and the command line tell them apart; how long is waited does not.
#[test]
fn requests_entities_and_programs_are_told_apart_by_what_they_do() {
    let text = format!(
        r#"
        [http]
        hosts = ["shelly.local"]
        [home_assistant]
        url = "http://hub.local:8123"
        token_secret = "hub"
        tools = "own"
        [[home_assistant.entities]]
        id = "light.kitchen"
        name = "kitchen"
        services = ["turn_on", "turn_off"]
        [[home_assistant.entities]]
        id = "light.hall"
        name = "hall"
        services = ["turn_on", "turn_off"]
        [secrets]
        hub = "/etc/mynah/hub"
        [[tools]]
        name = "heat"
        description = "Switch."
        {ON}
        action = {{ http = "GET", url = "http://shelly.local/relay/0?on={{on}}" }}
        policy = {{ on_argument = "on", max_on_s = 60 }}
        [[tools]]
        name = "heat_off"
        description = "Switch."
        timeout_ms = 700
        action = {{ http = "GET", url = "http://shelly.local/relay/0?on=false", pick = {{ is_on = "/ison" }} }}
        [[tools]]
        name = "fan_off"
        description = "Switch."
        action = {{ http = "GET", url = "http://shelly.local/relay/1?on=false" }}
        [[tools]]
        name = "kitchen"
        description = "Switch."
        {ON}
        action = {{ home_assistant = "switch", entity = "kitchen", argument = "on" }}
        policy = {{ max_on_s = 60 }}
        [[tools]]
        name = "kitchen_off"
        description = "Switch."
        timeout_ms = 700
        action = {{ home_assistant = "call", entity = "kitchen", service = "turn_off" }}
        [[tools]]
        name = "hall_off"
        description = "Switch."
        action = {{ home_assistant = "call", entity = "hall", service = "turn_off" }}
        "#
    );
    let tools = Tools::new(&agent::parse(&text, "test").unwrap().tools);
    for (switch, off, other) in [("heat", "heat_off", "fan_off"), ("kitchen", "kitchen_off", "hall_off")] {
        let output = name(&tools, switch, json!({"on": true})).unwrap();
        assert_eq!(name(&tools, off, json!({})), Some(output.clone()));
        assert_ne!(name(&tools, other, json!({})), Some(output));
    }
}
