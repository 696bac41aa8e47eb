//! `parameters` of a tool: the part of OpenAPI's schema that the Live service takes, checked where it is written.
//!
//! The service closes the connection (1007) on a schema with anything else, and then no conversation is
//! possible at all: so it is refused here, with the line. Words: live-protocol.md 2.3.

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::key::{integer, wrong_type};
use super::super::problem::{listed, nearest, shown};
use super::super::read::{Reader, Section};
use super::super::several::{as_number, json};

/// Schemas inside schemas; a call by voice has flat arguments.
pub const DEPTH_MAX: usize = 8;

const TYPES: [&str; 6] = ["STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT"];

/// The words of the subset, and the types each goes with (none listed: all).
const WORDS: [(&str, &[&str]); 14] = [
    ("type", &[]),
    ("description", &[]),
    ("nullable", &[]),
    ("anyOf", &[]),
    ("enum", &["STRING"]),
    ("format", &["STRING", "NUMBER", "INTEGER"]),
    ("minimum", &["NUMBER", "INTEGER"]),
    ("maximum", &["NUMBER", "INTEGER"]),
    ("items", &["ARRAY"]),
    ("minItems", &["ARRAY"]),
    ("maxItems", &["ARRAY"]),
    ("properties", &["OBJECT"]),
    ("required", &["OBJECT"]),
    ("propertyOrdering", &["OBJECT"]),
];

/// What is wrong was noted with the reader.
pub(super) struct Noted;

/// The tool's `parameters` as JSON; none where it takes no arguments.
pub(super) fn parameters(reader: &mut Reader<'_>, tool: &Section<'_>) -> Result<Option<Value>, Noted> {
    let Some(value) = tool.value("parameters") else { return Ok(None) };
    let path = tool.key("parameters");
    let mut walk = Walk { reader, is_right: true };
    walk.schema(value, &path, 0);
    if walk.is_right && value.get_ref().get("type").and_then(|kind| kind.get_ref().as_str()) != Some("OBJECT") {
        walk.wrong(value, &path, "must have `type = \"OBJECT\"` at its top".into());
    }
    if walk.is_right { Ok(Some(json(value.get_ref()))) } else { Err(Noted) }
}

struct Walk<'r, 'a> {
    reader: &'r mut Reader<'a>,
    is_right: bool,
}

impl Walk<'_, '_> {
    fn wrong(&mut self, value: &Spanned<DeValue<'_>>, path: &str, message: String) {
        self.is_right = false;
        self.reader.note_at(value, path.to_string(), message);
    }

    fn schema(&mut self, value: &Spanned<DeValue<'_>>, path: &str, depth: usize) {
        let Some(table) = value.get_ref().as_table() else {
            return self.wrong(value, path, wrong_type(value.get_ref(), "a schema such as { type = \"BOOLEAN\" }"));
        };
        if depth > DEPTH_MAX {
            return self.wrong(value, path, format!("is nested more than {DEPTH_MAX} deep; make it flatter"));
        }
        let kind = self.kind(value, table, path);
        for (key, inner) in table.iter() {
            self.word(key.get_ref(), inner, kind, path);
        }
        self.completeness(value, table, kind, path);
        for (name, inner) in members(table) {
            self.schema(inner, &format!("{path}.{name}"), depth + 1);
        }
    }

    /// The schema's type, one of [`TYPES`]; none where it is `anyOf` or wrong.
    fn kind(&mut self, value: &Spanned<DeValue<'_>>, table: &DeTable<'_>, path: &str) -> Option<&'static str> {
        let Some(written) = table.get("type") else {
            if !table.contains_key("anyOf") {
                self.wrong(value, path, format!("has no `type`; it must be {}", listed(TYPES)));
            }
            return None;
        };
        let Some(word) = written.get_ref().as_str() else {
            self.wrong(written, &format!("{path}.type"), wrong_type(written.get_ref(), &listed(TYPES)));
            return None;
        };
        let found = TYPES.into_iter().find(|known| *known == word);
        if found.is_none() {
            let guess = nearest(word, TYPES).map(|known| format!(" (did you mean `{known}`?)")).unwrap_or_default();
            let message = format!("is \"{}\"{guess}; it must be {}, in capitals", shown(word), listed(TYPES));
            self.wrong(written, &format!("{path}.type"), message);
        }
        found
    }

    /// Checks one word of a schema: whether it is known, goes with the type, and has the right kind of value.
    fn word(&mut self, word: &str, value: &Spanned<DeValue<'_>>, kind: Option<&str>, path: &str) {
        let at = format!("{path}.{word}");
        let Some((_, types)) = WORDS.iter().find(|(known, _)| *known == word) else {
            let words = WORDS.map(|(known, _)| known);
            let message = match nearest(word, words) {
                Some(guess) => format!("is not a word of the service's schemas; did you mean `{guess}`?"),
                None => format!("is not a word of the service's schemas, which know {}", words.join(", ")),
            };
            return self.wrong(value, &at, message);
        };
        if let Some(kind) = kind.filter(|kind| !types.is_empty() && !types.contains(kind)) {
            return self.wrong(value, &at, format!("goes with {}, not with {kind}", listed(types.iter().copied())));
        }
        if let Err(message) = shape(word, value.get_ref(), kind) {
            self.wrong(value, &at, message);
        }
    }

    /// What a schema needs beside what each of its words needs.
    fn completeness(&mut self, value: &Spanned<DeValue<'_>>, table: &DeTable<'_>, kind: Option<&str>, path: &str) {
        let lacks = |word: &str| !table.contains_key(word);
        match kind {
            Some("ARRAY") if lacks("items") => {
                self.wrong(
                    value,
                    path,
                    "is an ARRAY without `items`; say what is in it, for example items = { type = \"STRING\" }".into(),
                );
            }
            Some("OBJECT") if lacks("properties") => {
                self.wrong(
                    value,
                    path,
                    "is an OBJECT without `properties`; a tool without arguments has no `parameters` at all".into(),
                );
            }
            Some("OBJECT") => self.names(table, path),
            _ => {}
        }
        if let Some(any_of) = table.get("anyOf")
            && table.keys().any(|key| !["anyOf", "description", "nullable"].contains(&key.get_ref().as_ref()))
        {
            self.wrong(any_of, &format!("{path}.anyOf"), "stands alone: move its neighbours into its schemas".into());
        }
        for (least, most) in [("minimum", "maximum"), ("minItems", "maxItems")] {
            let number = |word: &str| table.get(word).and_then(|value| as_number(value.get_ref()));
            if let (Some(low), Some(high), Some(at)) = (number(least), number(most), table.get(least))
                && low > high
            {
                self.wrong(at, &format!("{path}.{least}"), format!("is {low}, more than `{most}`, {high}"));
            }
        }
    }

    /// Names of properties, and that `required` and `propertyOrdering` name only such.
    fn names(&mut self, table: &DeTable<'_>, path: &str) {
        let Some(properties) = table.get("properties").and_then(|value| value.get_ref().as_table()) else { return };
        for (key, value) in properties.iter() {
            let name: &str = key.get_ref();
            let is_plain = name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
            if name.is_empty() || name.len() > 64 || !is_plain {
                let message = "is no name for a parameter: 1 to 64 letters, digits and `_`".to_string();
                self.wrong(value, &format!("{path}.properties.{}", shown(name)), message);
            }
        }
        for word in ["required", "propertyOrdering"] {
            let Some(list) = table.get(word).and_then(|value| value.get_ref().as_array()) else { continue };
            for item in list.iter() {
                let Some(name) = item.get_ref().as_str().filter(|name| !properties.contains_key(*name)) else {
                    continue;
                };
                let known: Vec<&str> = properties.keys().map(|key| key.get_ref().as_ref()).collect();
                let message = format!("names \"{}\", which is not in `properties` ({})", shown(name), known.join(", "));
                self.wrong(item, &format!("{path}.{word}"), message);
            }
        }
    }
}

/// The schemas inside a schema, with their path below it.
fn members<'t>(table: &'t DeTable<'t>) -> Vec<(String, &'t Spanned<DeValue<'t>>)> {
    let mut members = Vec::new();
    if let Some(properties) = table.get("properties").and_then(|value| value.get_ref().as_table()) {
        members.extend(properties.iter().map(|(key, value)| (format!("properties.{}", shown(key.get_ref())), value)));
    }
    members.extend(table.get("items").map(|value| ("items".to_string(), value)));
    if let Some(list) = table.get("anyOf").and_then(|value| value.get_ref().as_array()) {
        members.extend(list.iter().enumerate().map(|(index, value)| (format!("anyOf[{index}]"), value)));
    }
    members
}

/// Whether a known word's value has the right form; the end of a sentence where not.
fn shape(word: &str, value: &DeValue<'_>, kind: Option<&str>) -> Result<(), String> {
    let (is_right, rule) = match word {
        "type" | "items" => (true, ""), // looked at elsewhere
        "description" => (value.is_str(), "text"),
        "nullable" => (value.is_bool(), "true or false"),
        "minimum" | "maximum" if kind == Some("INTEGER") => (integer(value).is_some(), "a whole number"),
        "minimum" | "maximum" => (as_number(value).is_some_and(f64::is_finite), "a number"),
        "minItems" | "maxItems" => (integer(value).is_some_and(|count| count >= 0), "a whole number from 0 up"),
        "properties" => (value.as_table().is_some_and(|table| !table.is_empty()), "a table of one or more parameters"),
        "anyOf" => (value.as_array().is_some_and(|list| !list.is_empty()), "a list of schemas"),
        "enum" => (strings(value).is_some_and(|words| !words.is_empty()), "a list of texts"),
        "format" => (value.as_str().is_some_and(|format| formats(kind).contains(&format)), format_rule(kind)),
        _ => (strings(value).is_some(), "a list of parameters' names"),
    };
    if is_right { Ok(()) } else { Err(format!("must be {rule}")) }
}

fn formats(kind: Option<&str>) -> &'static [&'static str] {
    match kind {
        Some("STRING") => &["enum", "date-time"],
        Some("NUMBER") => &["float", "double"],
        Some("INTEGER") => &["int32", "int64"],
        _ => &[],
    }
}

fn format_rule(kind: Option<&str>) -> &'static str {
    match kind {
        Some("STRING") => "\"enum\" or \"date-time\"",
        Some("NUMBER") => "\"float\" or \"double\"",
        _ => "\"int32\" or \"int64\"",
    }
}

fn strings<'t>(value: &'t DeValue<'_>) -> Option<Vec<&'t str>> {
    value.as_array()?.iter().map(|item| item.get_ref().as_str()).collect()
}
