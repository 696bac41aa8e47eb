//! A server with a few tools: what is declared, what is left out, what a call becomes.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::agent;
use crate::live::backoff::Backoff;
use crate::tools::{Tools, Work};
use serde_json::json;

fn server() -> McpServer {
    let text = r#"
        [[mcp]]
        name = "house"
        command = ["/usr/bin/house"]
        [mcp.allow]
        "get-sum" = {}
        search = { as = "find_in_manual", description = "The manual.", behavior = "non_blocking", timeout_ms = 20000 }
        missing = {}
        listless = {}
    "#;
    agent::parse(text, "test").unwrap().mcp.remove(0)
}

fn list() -> Vec<Value> {
    let sum = json!({"type": "object", "required": ["a-1"], "properties": {"a-1": {"type": "integer"}, "b": {"type": "number"}}});
    vec![
        json!({"name": "evil", "description": "Not allowed.", "inputSchema": {}}),
        json!({"name": "get-sum", "description": "Adds.\n\nTwo \u{7}numbers.", "inputSchema": sum}),
        json!({"name": "search", "description": "Whatever the server says.", "inputSchema": {"type": "object"}}),
        json!({"name": "listless", "inputSchema": {"type": "array", "items": {}}}),
    ]
}

#[test]
fn only_what_is_allowed_is_declared_and_what_is_missing_is_told() {
    let listed = listed(&server(), &list());
    let names: Vec<_> = listed.tools.iter().map(|tool| (tool.name.as_str(), tool.description.as_str())).collect();
    assert_eq!(names, [("house_get_sum", "Adds. Two numbers."), ("find_in_manual", "The manual.")]);
    assert_eq!(listed.tools[1].parameters, None);
    assert_eq!(listed.tools[1].timeout_ms, 20_000);
    assert_eq!(
        listed.left_out,
        [
            "the MCP server `house` has a tool `listless` that is left out: its arguments are not those of an object",
            "the MCP server `house` has no tool `missing`; it has evil, get-sum, search, listless",
        ]
    );
    let kept = kept(&server(), list());
    assert_eq!(super::listed(&server(), &kept).tools, listed.tools, "what is kept is enough");
    assert!(!kept.iter().any(|tool| tool["name"] == "evil"));
}

#[test]
fn a_policy_holds_for_a_servers_tool_whose_parameters_fit_it() {
    let text = r#"
        [[mcp]]
        name = "house"
        command = ["/usr/bin/house"]
        policy = { per_minute = 7 }
        [mcp.allow]
        set_lamp = { policy = { on_argument = "is_on", max_on_s = 60 } }
        set_fan = { policy = { on_argument = "is_on" } }
        set_heater = { policy = { on_argument = "level" } }
    "#;
    let server = agent::parse(text, "test").unwrap().mcp.remove(0);
    let on = json!({"type": "object", "required": ["is-on"], "properties": {"is-on": {"type": "boolean"}}});
    let level = json!({"type": "integer", "minimum": 1, "maximum": 3});
    let level = json!({"type": "object", "required": ["level"], "properties": {"level": level}});
    let named = |name: &str, schema: &Value| json!({"name": name, "inputSchema": schema});
    let listed = listed(
        &server,
        &[named("set_lamp", &on), named("set_fan", &json!({"type": "object"})), named("set_heater", &level)],
    );
    let policies: Vec<_> = listed.tools.iter().map(|tool| (tool.policy.per_minute, tool.policy.max_on_s)).collect();
    assert_eq!(policies, [(7, Some(60))], "{:?}", listed.left_out);
    let why = [
        "the MCP server `house` has a tool `set_fan` that is left out: its policy's `on_argument` names \"is_on\", which \
         must be a required BOOLEAN, INTEGER or NUMBER parameter",
        "the MCP server `house` has a tool `set_heater` that is left out: its policy's `on_argument` names \"level\", \
         which cannot be 0, and so never says off",
    ];
    assert_eq!(listed.left_out, why);
}

#[test]
fn a_call_reaches_the_server_under_its_own_names() {
    let tools = Tools::new(&listed(&server(), &list()).tools);
    let plan = tools.plan("house_get_sum", json!({"a_1": 5.0, "b": 0.5}).as_object().unwrap()).unwrap();
    let Work::Mcp(call) = plan.work else { panic!("{plan:?}") };
    assert_eq!((call.server.as_str(), call.tool.as_str()), ("house", "get-sum"));
    assert_eq!(Value::Object(call.arguments).to_string(), r#"{"a-1":5,"b":0.5}"#);
    assert!(call.patience < plan.timeout);
    let wrong = tools.plan("house_get_sum", json!({"a-1": 5}).as_object().unwrap()).unwrap_err();
    assert!(wrong.contains("argument `a_1` is missing"), "{wrong}");
}

#[test]
fn a_strangers_text_is_one_short_paragraph() {
    assert_eq!(clean(" a\t\nb\u{0}c ", 10), "a b c");
    assert_eq!(clean(&"x".repeat(11), 10), "xxxxxxxx …");
    assert_eq!(clean(&"\u{e4}".repeat(1_000_000), 10).chars().count(), 10);
}

#[test]
fn waits_grow_to_a_minute_and_differ_from_server_to_server() {
    let backoff = |seed| Backoff::with_steps(&RESTART_STEPS_MS, seed);
    let waits = |seed| {
        let mut backoff = backoff(seed);
        (0..9).map(|_| backoff.next_wait().as_secs_f64()).collect::<Vec<_>>()
    };
    for seed in 0..100 {
        for (wait, about) in waits(seed).into_iter().zip([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]) {
            assert!((0.8 * about..=1.2 * about).contains(&wait), "{wait} is not about {about}");
        }
    }
    assert_ne!(waits(3), waits(5));
    let mut backoff = backoff(1);
    let _ = (backoff.next_wait(), backoff.next_wait(), backoff.reset());
    assert!(backoff.next_wait() < Duration::from_secs(2));
}
