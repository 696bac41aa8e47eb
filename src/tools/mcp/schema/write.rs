//! A [`Node`] as the service takes it, with the way back to the server's names.

use serde_json::{Map, Value, json};

use super::{Forms, ListForm, MEMBERS_MAX, Node, NumberForm, ObjectForm, Shape, TextForm};
use crate::config::agent::mcp::{Member, WayBack};

/// Characters of a parameter's name.
const NAME_CHARS: usize = 64;

/// What is told in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Words {
    /// Descriptions and notes.
    All,
    /// Nothing: there is no room.
    None,
}

/// The `parameters` of a declaration.
pub(super) fn top(object: &ObjectForm, words: Words) -> (Value, WayBack) {
    let mut way_back = WayBack::default();
    let said = members(object, words, &mut way_back);
    (Value::Object(said), way_back)
}

fn node(node: &Node, words: Words) -> (Value, WayBack) {
    let mut way_back = WayBack::default();
    let mut notes: Vec<&str> = node.notes.iter().map(String::as_str).collect();
    let mut said = match &node.shape {
        Shape::Any | Shape::Never => text(&TextForm::default()),
        Shape::Opaque => json_text(&mut notes, &mut way_back),
        Shape::Forms(forms) => {
            let mut options = options(forms, words, &mut notes, &mut way_back);
            match (options.pop(), options.is_empty()) {
                (Some(only), true) => only,
                (Some(last), false) => {
                    options.push(last);
                    Map::from_iter([("anyOf".to_string(), options.into_iter().map(Value::Object).collect())])
                }
                (None, _) => text(&TextForm::default()),
            }
        }
    };
    if words == Words::All {
        let notes = notes.join("; ");
        let description = match (node.description.is_empty(), notes.is_empty()) {
            (_, true) => node.description.clone(),
            (true, false) => notes,
            (false, false) => format!("{} ({notes})", node.description),
        };
        if !description.is_empty() {
            said.insert("description".into(), json!(description));
        }
    }
    if node.is_nullable {
        said.insert("nullable".into(), json!(true));
    }
    (Value::Object(said), way_back)
}

/// A schema for each kind of value there is.
fn options(forms: &Forms, words: Words, notes: &mut Vec<&str>, way_back: &mut WayBack) -> Vec<Map<String, Value>> {
    let mut options = Vec::new();
    options.extend(forms.text.as_ref().map(text));
    options.extend(forms.number.as_ref().map(number));
    options.extend(forms.truth.map(|()| Map::from_iter([("type".to_string(), json!("BOOLEAN"))])));
    options.extend(forms.list.as_ref().map(|form| list(form, words, way_back)));
    match &forms.object {
        // An object whose members nobody tells: the service wants to be told. A text will do where there is one.
        Some(form) if form.members.is_empty() && form.required.is_empty() => {
            options.extend(forms.text.is_none().then(|| json_text(notes, way_back)));
        }
        Some(form) => options.push(members(form, words, way_back)),
        None => {}
    }
    options
}

fn json_text(notes: &mut Vec<&str>, way_back: &mut WayBack) -> Map<String, Value> {
    way_back.is_json_text = true;
    notes.push("JSON, written as a text");
    text(&TextForm::default())
}

fn text(form: &TextForm) -> Map<String, Value> {
    let mut said = Map::from_iter([("type".to_string(), json!("STRING"))]);
    match &form.words {
        Some(words) => drop(said.insert("enum".into(), json!(words))),
        None if form.is_date_time => drop(said.insert("format".into(), json!("date-time"))),
        None => {}
    }
    said
}

fn number(form: &NumberForm) -> Map<String, Value> {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53: a bound beyond it is none
    let kind = if form.is_whole { "INTEGER" } else { "NUMBER" };
    let mut said = Map::from_iter([("type".to_string(), json!(kind))]);
    // A format of the other kind can come from an `allOf`.
    let formats = if form.is_whole { ["int32", "int64"] } else { ["float", "double"] };
    if let Some(format) = form.format.filter(|format| formats.contains(format)) {
        said.insert("format".into(), json!(format));
    }
    let (min, max) =
        if form.is_whole { (form.min.map(f64::ceil), form.max.map(f64::floor)) } else { (form.min, form.max) };
    if min.zip(max).is_some_and(|(min, max)| min > max) {
        return said;
    }
    for (word, bound) in [("minimum", min), ("maximum", max)] {
        if let Some(bound) = bound.filter(|bound| bound.abs() <= EXACT) {
            said.insert(word.into(), if form.is_whole { json!(bound as i64) } else { json!(bound) });
        }
    }
    said
}

fn list(form: &ListForm, words: Words, way_back: &mut WayBack) -> Map<String, Value> {
    let (items, inner) = node(&form.items, words);
    if inner != WayBack::default() {
        way_back.items = Some(Box::new(inner));
    }
    let mut said = Map::from_iter([("type".to_string(), json!("ARRAY")), ("items".to_string(), items)]);
    if form.min.zip(form.max).is_some_and(|(min, max)| min > max) {
        return said;
    }
    for (word, count) in [("minItems", form.min), ("maxItems", form.max)] {
        if let Some(count) = count.filter(|count| *count <= i32::MAX as u64) {
            said.insert(word.into(), json!(count));
        }
    }
    said
}

fn members(form: &ObjectForm, words: Words, way_back: &mut WayBack) -> Map<String, Value> {
    let any = Node::default();
    let required = form.required.iter().take(MEMBERS_MAX);
    let find = |name: &String| form.members.iter().find(|(known, _)| known == name).map_or(&any, |(_, node)| node);
    // What every call needs first: the rest has to fit.
    let mut chosen: Vec<(&String, &Node)> = required.clone().map(|name| (name, find(name))).collect();
    let others = form.members.iter().filter(|(name, _)| !form.required.contains(name));
    chosen.extend(others.map(|(name, node)| (name, node)).take(MEMBERS_MAX - chosen.len()));
    let names = names(&chosen.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>());
    let mut properties = Map::new();
    for ((theirs, inner), ours) in chosen.iter().zip(&names) {
        let (said, inner) = node(inner, words);
        properties.insert(ours.clone(), said);
        if *theirs != ours || inner != WayBack::default() {
            way_back.members.insert(ours.clone(), Member { name: (*theirs).clone(), way_back: inner });
        }
    }
    let mut said =
        Map::from_iter([("type".to_string(), json!("OBJECT")), ("properties".to_string(), Value::Object(properties))]);
    if required.len() > 0 {
        said.insert("required".into(), json!(names[..required.len()]));
    }
    said
}

/// Names that the service takes, each once; a good one stays as it is.
fn names(theirs: &[&str]) -> Vec<String> {
    let is_good = |name: &str| {
        !name.is_empty() && name.len() <= NAME_CHARS && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let mut taken: Vec<String> = theirs.iter().filter(|name| is_good(name)).map(|name| (*name).to_string()).collect();
    let mut names = Vec::new();
    for name in theirs {
        if is_good(name) {
            names.push((*name).to_string());
            continue;
        }
        const STEM_CHARS: usize = NAME_CHARS - 4; // room for a number that tells it from others
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let stem: String = name.chars().map(plain).take(STEM_CHARS).collect();
        let stem = if stem.is_empty() { "argument".to_string() } else { stem };
        let mut free = stem.clone();
        let mut number = 2;
        while taken.contains(&free) {
            free = format!("{stem}_{number}");
            number += 1;
        }
        taken.push(free.clone());
        names.push(free);
    }
    names
}
