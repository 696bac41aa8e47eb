//! Whatever a server lists, what is declared of it is such as the service takes: the emulator's strict check is the
//! judge, and so is that of the configuration file.

use std::sync::Arc;

use mynah::config::agent::{self, Agent};
use mynah::emulator::{Emulator, Options, Output, Script, Sessions};
use mynah::live::setup::{Begin, Variant, setup};
use mynah::tools::mcp::listed;
use mynah::units::Time;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const ALLOWED: [&str; 4] = ["a", "b-1", "\u{e4}", "d"];

fn agent() -> Agent {
    let text = r#"
        [[mcp]]
        name = "x"
        command = ["/bin/x"]
        [mcp.allow]
        a = {}
        b-1 = { behavior = "non_blocking" }
        "ä" = { as = "umlaut" }
        d = { description = "Mine." }
    "#;
    agent::parse(text, "test").unwrap()
}

/// What the service says to a setup with these tools; none where it takes it.
fn refusal(agent: &Agent) -> Option<String> {
    let options = Options { key: Some("key".into()), session: 1, ..Options::default() };
    let mut emulator = Emulator::new(Arc::new(Script::echo()), options, Sessions::default());
    let message = json!({"setup": setup(agent, &Variant::default(), Begin::Fresh)});
    emulator.handle_message(message.to_string().as_bytes(), Time::from_ms(1));
    loop {
        match emulator.poll_output() {
            Output::Close { code, reason } => return Some(format!("{code} {reason}")),
            Output::Send { body, .. } if body.contains("setupComplete") => return None,
            Output::Timeout(None) => return Some("no answer".into()),
            Output::Timeout(Some(at)) => emulator.handle_timeout(at),
            _ => {}
        }
    }
}

/// Words of JSON Schema with values that fit, and such that do not.
fn schemas() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        Just(String::new()),
        "[a-z ]{1,8}",
        Just("\u{0}\u{7}\n\u{202e}".to_string()),
        Just("y".repeat(5000))
    ];
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|n| json!(n)),
        text.clone().prop_map(Value::from),
        Just(json!({"$ref": "#"})),
        Just(json!({"$ref": "#/$defs/a"})),
        Just(json!({"$ref": "#/properties/x"})),
        prop::sample::select(vec![
            "string", "number", "integer", "boolean", "array", "object", "null", "any", "STRING"
        ])
        .prop_map(|kind| json!({ "type": kind })),
    ];
    let name = prop_oneof![
        "[a-c]",
        Just("x".to_string()),
        text,
        Just("a b".to_string()),
        Just("n".repeat(70)),
        Just("\u{e4}".to_string())
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        let list = prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from);
        let named = prop::collection::btree_map(name.clone(), inner.clone(), 0..5).prop_map(|members| json!(members));
        let names = prop::collection::vec(name.clone(), 0..4).prop_map(|names| json!(names));
        let word = |word: &'static str| Just(word);
        let kinds = prop::sample::subsequence(vec!["string", "null", "object", "array", "integer", "number"], 1..4);
        let pair = prop_oneof![
            (word("properties"), named.clone()),
            (word("properties"), inner.clone()),
            (word("required"), names),
            (word("items"), prop_oneof![inner.clone(), list.clone()]),
            (word("type"), kinds.prop_map(|kinds| json!(kinds))),
            (word("type"), Just(json!("object"))),
            (prop::sample::select(vec!["anyOf", "oneOf", "allOf", "enum", "prefixItems"]), list),
            (
                prop::sample::select(vec![
                    "const",
                    "default",
                    "minimum",
                    "maximum",
                    "exclusiveMinimum",
                    "minItems",
                    "maxItems",
                    "format",
                    "pattern",
                    "description",
                    "title",
                    "nullable",
                    "additionalProperties",
                    "not",
                    "$schema",
                    "propertyNames",
                    "patternProperties",
                    "if",
                    "x-made-up"
                ]),
                inner
            ),
            (word("$defs"), named),
        ];
        prop::collection::vec(pair, 0..6).prop_map(|pairs| {
            Value::Object(pairs.into_iter().map(|(word, value)| (word.to_string(), value)).collect::<Map<_, _>>())
        })
    })
}

fn lists() -> impl Strategy<Value = Vec<Value>> {
    let name = prop_oneof![4 => prop::sample::select(ALLOWED.to_vec()).prop_map(String::from), 1 => any::<String>()];
    let object =
        |inner: Value| json!({"type": "object", "properties": {"x": inner}, "$defs": {"a": {"$ref": "#/$defs/a"}}});
    let input = prop_oneof![schemas(), schemas().prop_map(object)];
    let tool = (name, prop::option::of(any::<String>()), input);
    let tool = tool
        .prop_map(|(name, description, input)| json!({"name": name, "description": description, "inputSchema": input}));
    prop::collection::vec(prop_oneof![9 => tool, 1 => schemas()], 0..6)
}

/// The same schema where a person would have written it: the configuration's rules are at least as strict.
fn in_a_file(parameters: &Value) -> Result<(), String> {
    let parameters = toml::Value::try_from(parameters).map_err(|e| e.to_string())?;
    let text = format!(
        "[[tools]]\nname = \"t\"\ndescription = \"T.\"\naction = {{ gpio = \"read\", line = \"l\" }}\nparameters = {parameters}\n"
    );
    agent::parse(&text, "test").map(drop).map_err(|problems| format!("{problems:?}\n{text}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_server_lists_the_service_takes_what_is_declared(list in lists()) {
        let mut agent = agent();
        agent.tools = listed(&agent.mcp[0], &list).tools;
        prop_assert_eq!(refusal(&agent), None);
        for parameters in agent.tools.iter().filter_map(|tool| tool.parameters.as_ref()) {
            prop_assert_eq!(in_a_file(parameters), Ok(()));
        }
        for tool in &agent.tools {
            prop_assert!(!tool.description.is_empty() && tool.description.chars().count() <= 1024);
        }
    }
}

#[test]
fn the_judge_refuses_what_is_not_translated() {
    let mut agent = agent();
    let list = [
        json!({"name": "a", "inputSchema": {"type": "object", "properties": {"x": {"type": "string", "pattern": "a"}}}}),
    ];
    agent.tools = listed(&agent.mcp[0], &list).tools;
    assert_eq!(refusal(&agent), None);
    agent.tools[0].parameters = Some(list[0]["inputSchema"].clone());
    agent.tools[0].parameters.as_mut().unwrap()["properties"]["a b"] = json!({"type": "string"});
    assert!(refusal(&agent).is_some_and(|why| why.starts_with("1007")));
}

#[test]
fn a_thousand_tools_and_schemas_without_end_are_bounded_in_time_and_size() {
    let mut agent = agent();
    let mut deep = json!({"type": "string"});
    for _ in 0..100 {
        deep = json!({"type": "object", "properties": {"inner": deep}});
    }
    let wide: Map<String, Value> = (0..2000).map(|n| (format!("p{n}"), json!({"type": "string"}))).collect();
    // Each level doubles: a schema of sixty lines that is a billion lines long when it is written out.
    let mut doubling: Map<String, Value> = (0..60)
        .map(|n| {
            (
                format!("l{n}"),
                json!({"allOf": [{"$ref": format!("#/$defs/l{}", n + 1)}, {"$ref": format!("#/$defs/l{}", n + 1)}]}),
            )
        })
        .collect();
    doubling.insert("l60".into(), json!({"type": "string"}));
    let object = |properties: Value| json!({"type": "object", "properties": properties, "$defs": doubling});
    let mut list: Vec<Value> = (0..1000).map(|n| json!({"name": format!("n{n}"), "inputSchema": {}})).collect();
    list.push(json!({"name": "a", "inputSchema": object(json!({"x": {"$ref": "#/$defs/l0"}}))}));
    list.push(json!({"name": "b-1", "inputSchema": deep}));
    list.push(json!({"name": "\u{e4}", "inputSchema": object(json!(wide))}));
    list.push(json!({"name": "d", "description": "z".repeat(100_000), "inputSchema": {}}));
    let since = std::time::Instant::now();
    let found = listed(&agent.mcp[0], &list);
    assert!(since.elapsed().as_secs() < 5, "{:?}", since.elapsed());
    assert_eq!(found.tools.len(), 3, "{:?}", found.left_out);
    assert!(found.left_out[0].contains("`d` that is left out: its description and schema are longer than"));
    agent.tools = found.tools;
    assert_eq!(refusal(&agent), None);
}
