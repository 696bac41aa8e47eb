//! Schemas of servers, and what the service gets for them.
#![allow(clippy::unwrap_used)]

use super::super::way_back::restore;
use super::*;
use serde_json::json;

/// The translation of one property `x`.
fn of(schema: Value) -> Value {
    let input = json!({"type": "object", "properties": {"x": schema}, "$defs": {
        "colour": {"type": "string", "enum": ["red", "blue"]},
        "tree": {"type": "object", "properties": {"left": {"$ref": "#/$defs/tree"}, "size": {"type": "integer"}}},
        "loop": {"$ref": "#/$defs/loop"}}});
    translate(&input).unwrap().parameters.unwrap()["properties"]["x"].clone()
}

#[test]
fn what_the_service_has_words_for_is_said_in_them() {
    for (theirs, ours) in [
        (json!({"type": "string"}), json!({"type": "STRING"})),
        (json!({"type": ["string", "null"]}), json!({"type": "STRING", "nullable": true})),
        (json!({"type": "string", "nullable": true}), json!({"type": "STRING", "nullable": true})),
        (json!({"type": "string", "format": "date-time"}), json!({"type": "STRING", "format": "date-time"})),
        (
            json!({"type": "integer", "format": "int32", "minimum": 0.5}),
            json!({"type": "INTEGER", "format": "int32", "minimum": 1}),
        ),
        (
            json!({"type": "integer", "exclusiveMaximum": 10}),
            json!({"type": "INTEGER", "maximum": 9, "description": "less than 10"}),
        ),
        (json!({"type": "number", "minimum": 3, "maximum": 1}), json!({"type": "NUMBER"})),
        (json!({"enum": ["a", "b", "", "a"]}), json!({"type": "STRING", "enum": ["a", "b"]})),
        (json!({"const": "a"}), json!({"type": "STRING", "enum": ["a"]})),
        (json!({"type": "integer", "enum": [1, 2]}), json!({"type": "INTEGER", "description": "one of 1, 2"})),
        (json!({"enum": ["a", null]}), json!({"type": "STRING", "enum": ["a"], "nullable": true})),
        (
            json!({"$ref": "#/$defs/colour", "description": "C."}),
            json!({"type": "STRING", "enum": ["red", "blue"], "description": "C."}),
        ),
        (
            json!({"type": "array", "items": {"type": "boolean"}, "minItems": 1, "uniqueItems": true}),
            json!({"type": "ARRAY", "items": {"type": "BOOLEAN"}, "minItems": 1}),
        ),
        (json!({"type": "array"}), json!({"type": "ARRAY", "items": {"type": "STRING"}})),
        (
            json!({"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}]}),
            json!({"type": "ARRAY", "items": {"anyOf": [{"type": "STRING"}, {"type": "NUMBER"}]}}),
        ),
    ] {
        assert_eq!(of(theirs.clone()), ours, "{theirs}");
    }
}

#[test]
fn alternatives_are_joined_kind_by_kind() {
    for (theirs, ours) in [
        (
            json!({"anyOf": [{"type": "string"}, {"type": "null"}], "default": null}),
            json!({"type": "STRING", "nullable": true}),
        ),
        (json!({"oneOf": [{"const": "on"}, {"const": "off"}]}), json!({"type": "STRING", "enum": ["on", "off"]})),
        (json!({"anyOf": [{"type": "integer"}, {"type": "number"}]}), json!({"type": "NUMBER"})),
        (
            json!({"anyOf": [{"type": "string"}, {"type": "integer"}], "description": "D."}),
            json!({"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}], "description": "D."}),
        ),
        (
            json!({"oneOf": [
            {"type": "object", "properties": {"a": {"type": "string"}, "k": {"const": "1"}}, "required": ["a", "k"]},
            {"type": "object", "properties": {"b": {"type": "string"}, "k": {"const": "2"}}, "required": ["b", "k"]}]}),
            json!({"type": "OBJECT", "required": ["k"], "properties": {"a": {"type": "STRING"},
                "b": {"type": "STRING"}, "k": {"type": "STRING", "enum": ["1", "2"]}}}),
        ),
        (
            json!({"allOf": [{"type": "integer", "minimum": 1}, {"maximum": 5, "type": "number"}]}),
            json!({"type": "INTEGER", "minimum": 1, "maximum": 5}),
        ),
        (json!({"type": "string", "anyOf": [{"minLength": 3}, {"pattern": "^x"}]}), json!({"type": "STRING"})),
    ] {
        assert_eq!(of(theirs.clone()), ours, "{theirs}");
    }
}

#[test]
fn what_the_service_has_no_word_for_is_told_or_written_as_json() {
    for (theirs, described) in [
        (json!({"type": "string", "pattern": "^a+$", "description": "A."}), "A. (pattern ^a+$)"),
        (json!({"type": "integer", "default": 5, "multipleOf": 5}), "a multiple of 5; default 5"),
        (json!({"type": "string", "examples": ["Rome", "Oslo"], "format": "email"}), "format email; for example Rome"),
        (json!({"type": "object", "additionalProperties": true}), "JSON, written as a text"),
        (json!({"$ref": "#/$defs/loop"}), "JSON, written as a text"),
    ] {
        let said = of(theirs.clone());
        assert_eq!(said["description"], described, "{theirs}");
        assert!(["STRING", "INTEGER"].iter().any(|kind| said["type"] == *kind), "{said}");
    }
    let tree = of(json!({"$ref": "#/$defs/tree"}));
    assert_eq!(tree["properties"]["left"]["type"], "STRING", "a tree's branches are JSON: {tree}");
    assert_eq!(tree["properties"]["size"], json!({"type": "INTEGER"}));
    for anything in [json!(true), json!({}), json!({"$ref": "https://example.org/x"}), json!({"$ref": "#/nowhere"})] {
        assert_eq!(of(anything.clone()), json!({"type": "STRING"}), "{anything}");
    }
}

#[test]
fn tools_without_arguments_have_no_parameters_and_others_must_be_objects() {
    for none in [
        json!(null),
        json!({}),
        json!({"type": "object"}),
        json!({"type": "object", "properties": {}}),
        json!({"type": "object", "properties": {"x": false}}),
    ] {
        assert_eq!(translate(&none).unwrap().parameters, None, "{none}");
    }
    assert!(translate(&json!({"type": "string"})).is_err());
    let needed: Vec<String> = (0..60).map(|n| format!("n{n}")).collect();
    let why = translate(&json!({"type": "object", "required": needed, "properties": {"n0": {}}})).unwrap_err();
    assert!(why.starts_with("it needs 49 arguments"), "{why}");
}

#[test]
fn what_every_call_needs_stays_where_there_is_too_much() {
    let many: serde_json::Map<String, Value> =
        (0..500).map(|n| (format!("n{n:03}"), json!({"type": "string"}))).collect();
    let parameters =
        translate(&json!({"type": "object", "properties": many, "required": ["n499"]})).unwrap().parameters.unwrap();
    let properties = parameters["properties"].as_object().unwrap();
    assert!(properties.len() <= MEMBERS_MAX && properties.contains_key("n499"));
    assert_eq!(parameters["required"], json!(["n499"]));
}

#[test]
fn the_way_back_undoes_what_was_renamed_and_written_as_json() {
    let input = json!({"type": "object", "required": ["a.b"], "properties": {
        "a.b": {"type": "string"}, "a_b": {"type": "integer"}, "\u{e4}": {"type": "number"},
        "free": {"type": "object"},
        "points": {"type": "array", "items": {"type": "object", "properties": {"x-y": {"type": "number"}}}}}});
    let Translated { parameters, way_back } = translate(&input).unwrap();
    let parameters = parameters.unwrap();
    let names: Vec<&str> = parameters["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["_", "a_b", "a_b_2", "free", "points"]);
    let given = json!({"a_b_2": "t", "a_b": 3.0, "_": 1.5, "free": "{\"k\": [1]}", "points": [{"x_y": 2}]});
    assert_eq!(crate::tools::schema::check(Some(&parameters), given.as_object().unwrap()), Ok(()));
    let restored = restore(&way_back, given, "").unwrap();
    let wanted = json!({"a.b": "t", "a_b": 3, "\u{e4}": 1.5, "free": {"k": [1]}, "points": [{"x-y": 2}]});
    assert_eq!(restored, wanted);
    assert!(jsonschema::is_valid(&input, &restored));
    let why = restore(&way_back, json!({"free": "no json"}), "").unwrap_err();
    assert!(why.starts_with("argument `free` must be JSON written as text"), "{why}");
}
