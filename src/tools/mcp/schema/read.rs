//! JSON Schema into a [`Node`]: references resolved, alternatives joined, everything bounded.

use serde_json::{Map, Value};

use super::super::clean;
use super::{DEPTH_MAX, Forms, ListForm, MEMBERS_MAX, NODES_MAX, Node, NumberForm, ObjectForm, Shape, TextForm};

/// Characters of a parameter's description.
const DESCRIPTION_CHARS: usize = 300;
/// Characters of a note; longer ones are for machines.
const NOTE_CHARS: usize = 80;
/// Notes of one parameter.
pub(super) const NOTES_MAX: usize = 6;
/// Alternatives and schemas of an `allOf` that are looked at.
const BRANCHES_MAX: usize = 32;
/// Words of an enumeration; of more the model is told nothing and the server decides.
const WORDS_MAX: usize = 100;
/// Characters of such a word.
const WORD_CHARS: usize = 100;

/// What is understood of a whole schema.
pub(super) fn root(schema: &Value) -> Node {
    Walk { root: schema, left: NODES_MAX, inside: Vec::new() }.node(schema, 0)
}

struct Walk<'v> {
    root: &'v Value,
    /// Nodes that may still be read.
    left: usize,
    /// The references that are being followed: one that comes again contains itself.
    inside: Vec<&'v str>,
}

fn opaque() -> Node {
    Node { shape: Shape::Opaque, ..Node::default() }
}

impl<'v> Walk<'v> {
    fn node(&mut self, schema: &'v Value, depth: usize) -> Node {
        if depth > DEPTH_MAX || self.left == 0 {
            return self.leaf(schema);
        }
        self.left -= 1;
        let schema = match schema {
            Value::Object(schema) => schema,
            Value::Bool(false) => return Node { shape: Shape::Never, ..Node::default() },
            _ => return Node::default(),
        };
        let mut node = self.own(schema, depth);
        if let Some(values) = values(schema) {
            node = node.and(listed(values));
        }
        for word in ["anyOf", "oneOf"] {
            let Some(options) = schema.get(word).and_then(Value::as_array).filter(|options| !options.is_empty()) else {
                continue;
            };
            let never = Node { shape: Shape::Never, ..Node::default() };
            let options = options.iter().take(BRANCHES_MAX);
            let either = options.fold(never, |all, option| all.or(self.node(option, depth)));
            node = node.and(either);
        }
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten().take(BRANCHES_MAX) {
            node = node.and(self.node(part, depth));
        }
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            node = node.and(self.referred(reference, depth));
        }
        node.is_nullable |= schema.get("nullable") == Some(&Value::Bool(true));
        node
    }

    /// Too deep to be gone into: what has no schemas inside is itself all the same.
    fn leaf(&mut self, schema: &'v Value) -> Node {
        let Some(schema) = schema.as_object() else { return Node::default() };
        let is_flat = ["anyOf", "oneOf", "allOf", "$ref", "properties", "items", "prefixItems"];
        let kinds = kinds(schema);
        let is_flat = is_flat.iter().all(|word| !schema.contains_key(*word))
            && !kinds.contains(&"object")
            && !kinds.contains(&"array");
        if !is_flat || kinds.is_empty() {
            return Node { description: description(schema), ..opaque() };
        }
        let node = self.own(schema, DEPTH_MAX);
        match values(schema) {
            Some(values) => node.and(listed(values)),
            None => node,
        }
    }

    fn referred(&mut self, reference: &'v str, depth: usize) -> Node {
        let Some(target) = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)) else {
            return Node::default(); // in another document, or nowhere
        };
        if reference == "#" || self.inside.contains(&reference) {
            return opaque();
        }
        self.inside.push(reference);
        let node = self.node(target, depth);
        self.inside.pop();
        node
    }

    /// What the schema's own words say, without those that hold other schemas side by side.
    fn own(&mut self, schema: &'v Map<String, Value>, depth: usize) -> Node {
        let kinds = kinds(schema);
        let mut node = Node { description: description(schema), notes: notes(schema), ..Node::default() };
        node.is_nullable = kinds.contains(&"null");
        let mut forms = Forms::default();
        for kind in &kinds {
            match *kind {
                "string" => {
                    forms.text = Some(TextForm { words: None, is_date_time: is(schema, "format", "date-time") })
                }
                "number" => forms.number = Some(number(schema, false)),
                "integer" => forms.number = forms.number.or_else(|| Some(number(schema, true))),
                "boolean" => forms.truth = Some(()),
                "array" => forms.list = Some(self.list(schema, depth)),
                "object" => forms.object = Some(self.object(schema, depth)),
                _ => {}
            }
        }
        if !forms.is_empty() {
            node.shape = Shape::Forms(forms);
        } else if node.is_nullable {
            node.shape = Shape::Never;
        }
        node
    }

    fn list(&mut self, schema: &'v Map<String, Value>, depth: usize) -> ListForm {
        let count = |word: &str| schema.get(word).and_then(Value::as_u64);
        // A tuple has a schema for each place: the service knows only lists of one kind.
        let places = ["prefixItems", "items"].iter().filter_map(|word| schema.get(*word)?.as_array()).flatten();
        let never = Node { shape: Shape::Never, ..Node::default() };
        let mut items = places.take(BRANCHES_MAX).fold(never, |all, place| all.or(self.node(place, depth + 1)));
        if let Some(inner) = schema.get("items").filter(|inner| !inner.is_array()) {
            items = items.or(self.node(inner, depth + 1));
        }
        if matches!(items.shape, Shape::Never) {
            items.shape = Shape::Any;
        }
        ListForm { items: Box::new(items), min: count("minItems"), max: count("maxItems") }
    }

    fn object(&mut self, schema: &'v Map<String, Value>, depth: usize) -> ObjectForm {
        let mut required: Vec<String> = Vec::new();
        for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            if !required.iter().any(|known| known == name) {
                required.push(name.to_string());
            }
            if required.len() > MEMBERS_MAX {
                break; // too many already
            }
        }
        let mut members = Vec::new();
        for (name, inner) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            // Those that every call needs may stand at the end.
            if members.len() >= MEMBERS_MAX && !required.contains(name) {
                continue;
            }
            let node = self.node(inner, depth + 1);
            if !matches!(node.shape, Shape::Never) || node.is_nullable {
                members.push((name.clone(), node));
            }
        }
        ObjectForm { members, required }
    }
}

/// The types that are said, or that the words at hand belong to.
fn kinds(schema: &Map<String, Value>) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).take(8).collect(),
        _ if schema.contains_key("properties") => vec!["object"],
        _ if schema.contains_key("items") || schema.contains_key("prefixItems") => vec!["array"],
        _ => Vec::new(),
    }
}

fn is(schema: &Map<String, Value>, word: &str, what: &str) -> bool {
    schema.get(word).is_some_and(|value| value == what)
}

fn number(schema: &Map<String, Value>, is_whole: bool) -> NumberForm {
    let bound = |word: &str| schema.get(word).and_then(Value::as_f64).filter(|bound| bound.is_finite());
    let step = if is_whole { 1.0 } else { 0.0 };
    let named = schema.get("format").and_then(Value::as_str);
    let formats: &[&str] = if is_whole { &["int32", "int64"] } else { &["float", "double"] };
    NumberForm {
        is_whole,
        min: bound("minimum").or_else(|| Some(bound("exclusiveMinimum")? + step)),
        max: bound("maximum").or_else(|| Some(bound("exclusiveMaximum")? - step)),
        format: formats.iter().copied().find(|format| named == Some(format)),
    }
}

/// The values of `enum` or `const`.
fn values(schema: &Map<String, Value>) -> Option<&[Value]> {
    match (schema.get("const"), schema.get("enum")) {
        (Some(only), _) => Some(std::slice::from_ref(only)),
        (None, Some(Value::Array(values))) => Some(values),
        _ => None,
    }
}

/// What an enumeration allows. The service lists only words; of numbers the description tells.
fn listed(values: &[Value]) -> Node {
    let mut node = Node::default();
    let mut forms = Forms::default();
    let is_long = values.len() > WORDS_MAX;
    let mut words: Vec<String> = Vec::new();
    for value in values {
        match value {
            Value::Null => node.is_nullable = true,
            Value::Bool(_) => forms.truth = Some(()),
            Value::Number(number) => {
                let is_whole = forms.number.as_ref().is_none_or(|form| form.is_whole) && !number.is_f64();
                forms.number = Some(NumberForm { is_whole, ..NumberForm::default() });
            }
            // An empty word is refused by the service.
            Value::String(word) => {
                forms.text.get_or_insert_default();
                words.extend(Some(word).filter(|word| !word.is_empty() && !words.contains(word) && !is_long).cloned());
            }
            Value::Array(_) | Value::Object(_) => return Node { shape: Shape::Opaque, ..node },
        }
    }
    let is_sayable = !words.is_empty() && words.iter().all(|word| word.chars().count() <= WORD_CHARS);
    if let Some(text) = forms.text.as_mut().filter(|_| is_sayable) {
        text.words = Some(words);
    }
    let others: Vec<String> = values.iter().filter(|v| v.is_number() || v.is_boolean()).map(Value::to_string).collect();
    if forms.number.is_some() || others.len() == 1 {
        node.notes.extend(note("one of", &others.join(", ")));
    }
    if !forms.is_empty() {
        node.shape = Shape::Forms(forms);
    } else if node.is_nullable {
        node.shape = Shape::Never;
    }
    node
}

fn description(schema: &Map<String, Value>) -> String {
    let said = ["description", "title"].iter().filter_map(|word| schema.get(*word)?.as_str());
    said.map(|text| clean(text, DESCRIPTION_CHARS)).find(|text| !text.is_empty()).unwrap_or_default()
}

/// Rules that the service has no word for.
fn notes(schema: &Map<String, Value>) -> Vec<String> {
    const WORDS: [(&str, &str); 10] = [
        ("pattern", "pattern"),
        ("format", "format"),
        ("minLength", "at least so many characters:"),
        ("maxLength", "at most so many characters:"),
        ("multipleOf", "a multiple of"),
        ("exclusiveMinimum", "more than"),
        ("exclusiveMaximum", "less than"),
        ("default", "default"),
        ("example", "for example"),
        ("examples", "for example"),
    ];
    let is_said = |word: &str, value: &Value| {
        value.is_null()
            || word == "format" && ["date-time", "int32", "int64", "float", "double"].iter().any(|f| value == f)
    };
    let found = WORDS.iter().filter_map(|(word, lead)| {
        let value = schema.get(*word).filter(|value| !is_said(word, value))?;
        let value = value.as_array().and_then(|list| list.first()).unwrap_or(value);
        match value {
            Value::String(text) => note(lead, text),
            Value::Number(_) | Value::Bool(_) => note(lead, &value.to_string()),
            _ => None,
        }
    });
    found.take(NOTES_MAX).collect()
}

fn note(lead: &str, what: &str) -> Option<String> {
    let is_short = !what.trim().is_empty() && what.chars().count() <= NOTE_CHARS;
    is_short.then(|| format!("{lead} {}", clean(what, NOTE_CHARS)))
}
