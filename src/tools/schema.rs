//! Checks a call's arguments against the part of OpenAPI's schema that the Live service takes.
//!
//! Our own, because a whole JSON Schema library adds 3 MB to the program; a test holds it against one. The
//! schema itself was checked when the configuration was read, so a word that is wrong here is passed over.
//! Unknown arguments are refused at every level: a model that invents one has misunderstood something.

use serde_json::{Map, Number, Value};

use super::shown;

/// Complaints in one answer: a model mends a few at a time.
const COMPLAINTS_MAX: usize = 5;

/// Checks `args` against the function's `parameters`; without parameters there are no arguments.
///
/// # Errors
/// Sentences for the model: which argument, and what it must be.
pub fn check(parameters: Option<&Value>, args: &Map<String, Value>) -> Result<(), String> {
    let mut complaints = Vec::new();
    match parameters {
        Some(schema) => object(schema, args, "", &mut complaints),
        None => {
            let unknown = |name| format!("argument `{}` is unknown: this function takes no arguments", shown(name));
            complaints.extend(args.keys().take(COMPLAINTS_MAX).map(|name| unknown(name)));
        }
    }
    if complaints.is_empty() {
        return Ok(());
    }
    complaints.truncate(COMPLAINTS_MAX);
    Err(complaints.join("; "))
}

/// Checks one value; `path` is its name, `colour` or `points[2].x`.
fn value(schema: &Value, value: &Value, path: &str, complaints: &mut Vec<String>) {
    if complaints.len() >= COMPLAINTS_MAX {
        return;
    }
    if value.is_null() && schema["nullable"] == true {
        return;
    }
    if let Some(options) = schema["anyOf"].as_array() {
        return any_of(options, value, path, complaints);
    }
    let kind = schema["type"].as_str().unwrap_or_default();
    match (kind, value) {
        ("STRING", Value::String(text)) => string(schema, text, path, complaints),
        ("NUMBER", Value::Number(number)) => range(schema, number, path, complaints),
        ("INTEGER", Value::Number(number)) if is_whole(number) => integer(schema, number, path, complaints),
        ("BOOLEAN", Value::Bool(_)) => {}
        ("ARRAY", Value::Array(items)) => array(schema, items, path, complaints),
        ("OBJECT", Value::Object(members)) => object(schema, members, path, complaints),
        _ => complaints.push(format!("argument `{path}` must be {kind}, not {}", kind_of(value))),
    }
}

/// A whole number, however it is written: the service sends 5 as `5` or as `5.0`.
fn is_whole(number: &Number) -> bool {
    number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|number| number.fract() == 0.0)
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "BOOLEAN",
        Value::Number(number) if is_whole(number) => "INTEGER",
        Value::Number(_) => "NUMBER",
        Value::String(_) => "STRING",
        Value::Array(_) => "ARRAY",
        Value::Object(_) => "OBJECT",
    }
}

fn any_of(options: &[Value], given: &Value, path: &str, complaints: &mut Vec<String>) {
    let mut fits = |option: &Value| {
        let mut own = Vec::new();
        value(option, given, path, &mut own);
        own.is_empty()
    };
    if !options.iter().any(&mut fits) {
        let kinds: Vec<&str> = options.iter().filter_map(|option| option["type"].as_str()).collect();
        complaints.push(format!("argument `{path}` fits none of its forms ({})", kinds.join(", ")));
    }
}

fn string(schema: &Value, text: &str, path: &str, complaints: &mut Vec<String>) {
    let Some(words) = schema["enum"].as_array() else { return };
    if !words.iter().any(|word| word == text) {
        let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
        complaints.push(format!("argument `{path}` is \"{}\"; it must be one of {}", shown(text), words.join(", ")));
    }
}

fn integer(schema: &Value, number: &Number, path: &str, complaints: &mut Vec<String>) {
    let as_float = number.as_f64().unwrap_or(f64::NAN);
    let (least, most) = (f64::from(i32::MIN), f64::from(i32::MAX));
    if schema["format"] == "int32" && (as_float < least || as_float > most) {
        complaints.push(format!("argument `{path}` is {number}; it must fit in 32 bits"));
    }
    range(schema, number, path, complaints);
}

fn range(schema: &Value, number: &Number, path: &str, complaints: &mut Vec<String>) {
    if let Some(least) = schema["minimum"].as_number().filter(|least| is_less(number, least)) {
        complaints.push(format!("argument `{path}` is {number}; it must be at least {least}"));
    }
    if let Some(most) = schema["maximum"].as_number().filter(|most| is_less(most, number)) {
        complaints.push(format!("argument `{path}` is {number}; it must be at most {most}"));
    }
}

/// Whether `a` is less than `b`: exact for integers, which lose digits as floats.
fn is_less(a: &Number, b: &Number) -> bool {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => a < b,
        _ => a.as_f64() < b.as_f64(),
    }
}

fn array(schema: &Value, items: &[Value], path: &str, complaints: &mut Vec<String>) {
    let count = items.len() as u64;
    if let Some(least) = schema["minItems"].as_u64().filter(|least| count < *least) {
        complaints.push(format!("argument `{path}` has {count} items; it must have at least {least}"));
    }
    if let Some(most) = schema["maxItems"].as_u64().filter(|most| count > *most) {
        complaints.push(format!("argument `{path}` has {count} items; it must have at most {most}"));
        return;
    }
    for (index, item) in items.iter().enumerate() {
        value(&schema["items"], item, &format!("{path}[{index}]"), complaints);
    }
}

fn object(schema: &Value, members: &Map<String, Value>, path: &str, complaints: &mut Vec<String>) {
    let nothing = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&nothing);
    let name_of = |name: &str| if path.is_empty() { shown(name) } else { format!("{path}.{}", shown(name)) };
    let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    for name in required.iter().filter_map(Value::as_str).filter(|name| !members.contains_key(*name)) {
        let kind = properties.get(name).and_then(|schema| schema["type"].as_str()).unwrap_or("given");
        complaints.push(format!("argument `{}` is missing: it must be {kind}", name_of(name)));
    }
    for (name, member) in members {
        match properties.get(name) {
            Some(schema) => value(schema, member, &name_of(name), complaints),
            None => {
                let known: Vec<&str> = properties.keys().map(String::as_str).collect();
                complaints.push(format!("argument `{}` is unknown; there are {}", name_of(name), known.join(", ")));
            }
        }
        if complaints.len() >= COMPLAINTS_MAX {
            return;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn complaint(parameters: Value, args: Value) -> Result<(), String> {
        check(Some(&parameters), args.as_object().unwrap())
    }

    #[test]
    fn sentences_name_the_argument_and_what_it_must_be() {
        let schema = json!({"type": "OBJECT", "required": ["level"], "properties": {
            "level": {"type": "INTEGER", "minimum": 0, "maximum": 100},
            "colour": {"type": "STRING", "enum": ["red", "blue"], "nullable": true},
            "points": {"type": "ARRAY", "maxItems": 2, "items": {"type": "OBJECT", "properties": {"x": {"type": "NUMBER"}}}},
            "either": {"anyOf": [{"type": "STRING"}, {"type": "INTEGER", "format": "int32"}]},
        }});
        for (args, said) in [
            (json!({}), "argument `level` is missing: it must be INTEGER"),
            (json!({"level": 101}), "argument `level` is 101; it must be at most 100"),
            (json!({"level": -1}), "argument `level` is -1; it must be at least 0"),
            (json!({"level": 1.5}), "argument `level` must be INTEGER, not NUMBER"),
            (json!({"level": null}), "argument `level` must be INTEGER, not null"),
            (json!({"level": 1, "colour": "green"}), "argument `colour` is \"green\"; it must be one of red, blue"),
            (json!({"level": 1, "points": [{}, {}, {}]}), "argument `points` has 3 items; it must have at most 2"),
            (json!({"level": 1, "points": [{}, {"x": "a"}]}), "argument `points[1].x` must be NUMBER, not STRING"),
            (json!({"level": 1, "points": [{"y": 1}]}), "argument `points[0].y` is unknown; there are x"),
            (json!({"level": 1, "either": 3e9}), "argument `either` fits none of its forms (STRING, INTEGER)"),
            (
                json!({"level": "x", "speed": 1}),
                "argument `level` must be INTEGER, not STRING; argument `speed` is unknown; there are colour, either, level, points",
            ),
        ] {
            assert_eq!(complaint(schema.clone(), args), Err(said.to_string()));
        }
        for args in [json!({"level": 5.0}), json!({"level": 100, "colour": null, "points": [{"x": 1}], "either": "a"})]
        {
            assert_eq!(complaint(schema.clone(), args), Ok(()));
        }
    }

    #[test]
    fn complaints_are_few_and_short_however_wrong_the_call() {
        let args: Map<String, Value> = (0..1000).map(|n| (format!("{n}{}", "x".repeat(10_000)), Value::Null)).collect();
        let said = check(None, &args).unwrap_err();
        assert!(said.len() < COMPLAINTS_MAX * 150, "{}", said.len());
    }

    /// Schemas as the configuration lets through.
    fn schemas() -> impl Strategy<Value = Value> {
        let bounds = (prop::option::of(-3_i64..3), prop::option::of(-1_i64..5));
        let leaf = prop_oneof![
            Just(json!({"type": "BOOLEAN"})),
            Just(json!({"type": "STRING"})),
            Just(json!({"type": "STRING", "enum": ["a", "b"]})),
            (bounds, any::<bool>(), any::<bool>()).prop_map(|((least, most), whole, small)| {
                let mut schema = json!({"type": if whole { "INTEGER" } else { "NUMBER" }});
                if let Some(least) = least {
                    schema["minimum"] = json!(least);
                }
                if let Some(most) = most {
                    schema["maximum"] = json!(most);
                }
                if whole && small {
                    schema["format"] = json!("int32");
                }
                schema
            }),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                (inner.clone(), prop::option::of(0_u64..3), prop::option::of(0_u64..3)).prop_map(
                    |(items, least, most)| {
                        let mut schema = json!({"type": "ARRAY", "items": items});
                        if let Some(least) = least {
                            schema["minItems"] = json!(least);
                        }
                        if let Some(most) = most {
                            schema["maxItems"] = json!(most);
                        }
                        schema
                    }
                ),
                (prop::collection::btree_map("[xyz]", inner.clone(), 1..4), any::<bool>()).prop_map(
                    |(properties, all)| {
                        let required: Vec<_> = properties.keys().take(if all { 9 } else { 1 }).collect();
                        json!({"type": "OBJECT", "properties": properties, "required": required})
                    }
                ),
                prop::collection::vec(inner.clone(), 1..3).prop_map(|options| json!({"anyOf": options})),
                inner.prop_map(|mut schema| {
                    schema["nullable"] = json!(true);
                    schema
                }),
            ]
        })
    }

    /// Values that hit the schemas' names, words and bounds often.
    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-5_i64..7).prop_map(Value::from),
            (-6_i64..14).prop_map(|half| json!(half as f64 / 2.0)),
            any::<i64>().prop_map(Value::from),
            "[abc]".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[wxyz]", inner, 0..4).prop_map(|members| json!(members)),
            ]
        })
    }

    /// The same schema in JSON Schema's words.
    fn in_json_schema(schema: &Value) -> Value {
        let mut said = schema.as_object().unwrap().clone();
        let nullable = said.remove("nullable").is_some();
        if let Some(kind) = said.get("type").and_then(Value::as_str).map(str::to_lowercase) {
            said.insert("type".into(), json!(kind));
        }
        if said.remove("format").is_some() {
            let bound = json!([{"minimum": i32::MIN, "maximum": i32::MAX}]);
            said.insert("allOf".into(), bound);
        }
        if let Some(items) = said.get("items").map(in_json_schema) {
            said.insert("items".into(), items);
        }
        if let Some(options) = said.get("anyOf").and_then(Value::as_array) {
            let options: Vec<Value> = options.iter().map(in_json_schema).collect();
            said.insert("anyOf".into(), json!(options));
        }
        if let Some(properties) = said.get("properties").and_then(Value::as_object) {
            let properties: Map<String, Value> =
                properties.iter().map(|(k, v)| (k.clone(), in_json_schema(v))).collect();
            said.insert("properties".into(), json!(properties));
            said.insert("additionalProperties".into(), json!(false));
        }
        if nullable { json!({"anyOf": [{"type": "null"}, said]}) } else { Value::Object(said) }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        /// The library knows JSON Schema; on what both understand it must say the same as we.
        #[test]
        fn agrees_with_a_json_schema_library(schema in schemas(), given in values()) {
            let parameters = json!({"type": "OBJECT", "properties": {"x": schema}, "required": ["x"]});
            let args = json!({"x": given});
            let expected = jsonschema::is_valid(&in_json_schema(&parameters), &args);
            let ours = check(Some(&parameters), args.as_object().unwrap());
            prop_assert_eq!(ours.is_ok(), expected, "{:?}", ours);
        }
    }
}
