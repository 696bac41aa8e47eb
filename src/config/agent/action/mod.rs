//! `action = { … }`: what a tool does. One file a kind; the kind is the key that the table has.

pub mod address;
pub mod command;
pub mod gpio;
pub mod http;
pub mod mqtt;
pub mod pwm;
pub mod sensor;

use serde_json::Value;
use toml::Spanned;
use toml::de::DeValue;

use super::super::key::wrong_type;
use super::super::read::{Reader, Section};
use super::Action;
use super::schema::Noted;
use super::secrets::Secrets;
use super::template::Template;
use address::Host;

const FORM: &str = "a table such as { gpio = \"set\", line = \"lamp\", argument = \"on\" }";

/// What an action must fit to.
pub(super) struct Around<'a> {
    /// The tool's `parameters`.
    pub(super) parameters: &'a Result<Option<Value>, Noted>,
    /// When a call is stopped, ms.
    pub(super) timeout_ms: u32,
    /// The secrets that there are.
    pub(super) secrets: &'a Secrets,
    /// Whether there is a broker.
    pub(super) has_mqtt: bool,
    /// The hosts of `[http]`; none where they are wrong.
    pub(super) hosts: Option<&'a [Host]>,
}

impl Around<'_> {
    /// The schema of a parameter, with whether every call has it; none where there is no such parameter, or the
    /// schema is wrong, which has been said.
    pub(super) fn parameter(&self, name: &str) -> Option<(&Value, bool)> {
        let schema = self.parameters.as_ref().ok()?.as_ref()?;
        let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
        Some((schema["properties"].get(name)?, required.iter().any(|known| known == name)))
    }

    /// Notes places of a template at `key` for which there is no required parameter or no secret.
    pub(super) fn check_places(&self, reader: &mut Reader<'_>, at: &Section<'_>, key: &str, template: &Template) {
        for name in template.arguments().filter(|_| self.parameters.is_ok()) {
            let lacks = match self.parameter(name) {
                Some((_, true)) => continue,
                Some((_, false)) => "is not in `required`, so a call may come without it",
                None => "is not a parameter of the tool",
            };
            reader.object(at, key, format!("has the place `{{{name}}}`, but `{name}` {lacks}"));
        }
        for name in template.secrets().filter(|name| !self.secrets.contains_key(*name)) {
            let message = format!("has the place `{{secret.{name}}}`, but [secrets] has no `{name}`");
            reader.object(at, key, message);
        }
    }

    /// Notes places of a template at `key` whose argument is a list or a table: neither fits into a text.
    pub(super) fn check_scalars(&self, reader: &mut Reader<'_>, at: &Section<'_>, key: &str, template: &Template) {
        for name in template.arguments() {
            let kind = self.parameter(name).and_then(|(schema, _)| schema["type"].as_str());
            if let Some(kind @ ("ARRAY" | "OBJECT")) = kind {
                let message = format!("has the place `{{{name}}}`, but `{name}` is {kind}, which is no part of a text");
                reader.object(at, key, message);
            }
        }
    }
}

type Read = fn(&mut Reader<'_>, &Section<'_>, &Around<'_>) -> Option<Action>;

/// The kinds by the key that names them.
const KINDS: [(&str, Read); 6] = [
    ("gpio", gpio::read),
    ("mqtt", mqtt::read),
    ("http", http::read),
    ("command", command::read),
    ("pwm", pwm::read),
    ("sensor", sensor::read),
];

/// The tool's action; none where it is wrong, which was noted.
pub(super) fn action(reader: &mut Reader<'_>, tool: &Section<'_>, around: &Around<'_>) -> Option<Action> {
    let Some(value) = tool.value("action") else {
        reader.object(tool, "action", format!("is missing; it must be {FORM}"));
        return None;
    };
    let Some(place) = section(reader, tool, value) else {
        reader.note_at(value, tool.key("action"), wrong_type(value.get_ref(), FORM));
        return None;
    };
    let named: Vec<_> = KINDS.iter().filter(|(kind, _)| place.value(kind).is_some()).collect();
    match named.as_slice() {
        [(_, read)] => read(reader, &place, around),
        [] => {
            let kinds: Vec<&str> = KINDS.iter().map(|(kind, _)| *kind).collect();
            let message = format!("does not say what kind it is: one of {} must be among its keys", kinds.join(", "));
            reader.object(tool, "action", message);
            None
        }
        several => {
            let kinds: Vec<&str> = several.iter().map(|(kind, _)| *kind).collect();
            reader.object(tool, "action", format!("is of several kinds ({}); it must be of one", kinds.join(", ")));
            None
        }
    }
}

fn section<'t>(reader: &Reader<'_>, tool: &Section<'t>, value: &'t Spanned<DeValue<'t>>) -> Option<Section<'t>> {
    let table = value.get_ref().as_table()?;
    Some(Section { table: Some(table), path: tool.key("action"), line: reader.line_of(value) })
}

/// Opens the action's table by its sheet: notes keys that do not belong there.
pub(super) fn open<'t>(reader: &mut Reader<'_>, place: &Section<'t>, sheet: &super::super::read::Sheet) -> Section<'t> {
    match place.table {
        Some(table) => reader.open(table, &place.path, place.line, sheet),
        None => Section { table: None, path: place.path.clone(), line: place.line },
    }
}
