//! `services` of an entity: what may be done with it, and with which data.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use toml::Spanned;
use toml::de::DeValue;

use super::super::super::key::{Key, Need, Number, Whole, one_line, wrong_type};
use super::super::super::problem::shown;
use super::super::super::read::{Reader, Section, Sheet};
use super::super::super::several::Texts;
use super::is_word_byte;

/// Services of one entity, and fields of one service; more of them no person asks for.
const SERVICES_MAX: usize = 16;
/// Words that a field may be.
const WORDS_MAX: usize = 64;
/// What chooses whom a service acts on; the list does that, and no data may.
const TARGETS: [&str; 6] = ["entity_id", "device_id", "area_id", "floor_id", "label_id", "target"];

/// A service that may be called for an entity.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// `light` of `light.turn_on`.
    pub domain: String,
    /// `turn_on` of `light.turn_on`.
    pub service: String,
    /// Whether the owner wrote the domain, because it is another than the entity's.
    pub is_foreign: bool,
    /// What data a call may have.
    pub data: BTreeMap<String, Limits>,
}

impl Service {
    /// As the model and actions name it: without the entity's own domain.
    pub fn name(&self) -> String {
        if self.is_foreign { self.full() } else { self.service.clone() }
    }

    /// With its domain.
    pub fn full(&self) -> String {
        format!("{}.{}", self.domain, self.service)
    }
}

/// What a field of a service's data may be.
#[derive(Clone, Debug, PartialEq)]
pub enum Limits {
    /// A number, both ends included.
    Range {
        /// Least.
        min: f64,
        /// Greatest.
        max: f64,
    },
    /// One of these.
    Words(Vec<String>),
    /// Any text of at most so many characters.
    Text(u32),
}

impl Limits {
    /// For a person and the model: "1 to 100".
    pub fn words(&self) -> String {
        match self {
            Limits::Range { min, max } => format!("{min} to {max}"),
            Limits::Words(words) => words.join(" or "),
            Limits::Text(chars) => format!("text of at most {chars} characters"),
        }
    }

    /// Whether `value` is inside.
    pub fn admits(&self, value: &Value) -> bool {
        match self {
            Limits::Range { min, max } => value.as_f64().is_some_and(|number| (*min..=*max).contains(&number)),
            Limits::Words(words) => value.as_str().is_some_and(|text| words.iter().any(|word| word == text)),
            Limits::Text(chars) => value.as_str().is_some_and(|text| text.chars().count() <= *chars as usize),
        }
    }

    /// As the schema of a parameter.
    pub fn schema(&self) -> Value {
        match self {
            Limits::Range { min, max } => json!({"type": "NUMBER", "minimum": min, "maximum": max}),
            Limits::Words(words) => json!({"type": "STRING", "enum": words}),
            Limits::Text(_) => json!({"type": "STRING"}),
        }
    }

    /// What both admit, and more; none where they are of different kinds.
    pub fn with(&self, other: &Limits) -> Option<Limits> {
        Some(match (self, other) {
            (Limits::Range { min, max }, Limits::Range { min: least, max: most }) => {
                Limits::Range { min: min.min(*least), max: max.max(*most) }
            }
            (Limits::Words(words), Limits::Words(more)) => {
                let new = more.iter().filter(|word| !words.contains(word)).cloned();
                Limits::Words(words.iter().cloned().chain(new).collect())
            }
            (Limits::Text(chars), Limits::Text(more)) => Limits::Text(*chars.max(more)),
            _ => return None,
        })
    }
}

const BOUND: Number = Number { unit: "", min: -1e9, max: 1e9, default: 0.0 };
const MIN: Key<Number> = Key { name: "min", kind: BOUND, need: Need::Optional, doc: "The least number." };
const MAX: Key<Number> = Key { name: "max", kind: BOUND, need: Need::Optional, doc: "The greatest number." };
const WORDS: Key<Texts> = Key {
    name: "words",
    kind: Texts { what: "a word", chars_max: 64, count_max: WORDS_MAX, check: one_line },
    need: Need::Optional,
    doc: "The words that it may be.",
};
const CHARS_MAX: Key<Whole> = Key {
    name: "chars_max",
    kind: Whole { unit: "characters", min: 1, max: 1000, step: 1, default: 200 },
    need: Need::Optional,
    doc: "Any text, of at most so many characters.",
};

/// What a field of a service's data may be.
pub const FIELD: Sheet =
    Sheet { name: "home_assistant.entities.services", keys: &[&MIN, &MAX, &WORDS, &CHARS_MAX], tables: &[] };

/// What may be done with the entity `id`: a list of names, or a table with each one's data. None where it is wrong.
pub(super) fn services(reader: &mut Reader<'_>, at: &Section<'_>, id: &str) -> Option<Vec<Service>> {
    const FORM: &str = "a list such as [\"turn_on\", \"turn_off\"], \
         or a table with limits for data: { turn_on = { brightness_pct = { min = 1, max = 100 } }, turn_off = {} }";
    let Some(value) = at.value("services") else { return Some(Vec::new()) };
    let path = at.key("services");
    let named: Vec<(&str, Option<&Spanned<DeValue<'_>>>)> = match value.get_ref() {
        DeValue::Array(list) => {
            let names: Option<Vec<&str>> = list.iter().map(|item| item.get_ref().as_str()).collect();
            let Some(names) = names else {
                reader.note_at(value, path, format!("must be {FORM}"));
                return None;
            };
            names.into_iter().map(|name| (name, None)).collect()
        }
        DeValue::Table(table) => table.iter().map(|(name, data)| (name.get_ref().as_ref(), Some(data))).collect(),
        other => {
            reader.note_at(value, path, wrong_type(other, FORM));
            return None;
        }
    };
    if named.len() > SERVICES_MAX {
        reader.note_at(value, path, format!("has {} services; at most {SERVICES_MAX} are taken", named.len()));
        return None;
    }
    let domain = id.split('.').next().unwrap_or_default();
    let mut services: Vec<Service> = Vec::new();
    let mut are_right = true;
    for (name, data) in named {
        let path = format!("{path}.{}", shown(name));
        let (of, service) = name.split_once('.').unwrap_or((domain, name));
        let is_word = |word: &str| !word.is_empty() && word.len() <= 64 && word.bytes().all(is_word_byte);
        let fields = match data {
            _ if !is_word(of) || !is_word(service) => {
                let message = "is no service's name, such as \"turn_on\" or \"light.turn_on\"".to_string();
                reader.note_at(data.unwrap_or(value), path, message);
                None
            }
            None => Some(BTreeMap::new()),
            Some(data) => fields(reader, data, &path),
        };
        are_right &= fields.is_some();
        let Some(data) = fields else { continue };
        let service = Service { domain: of.into(), service: service.into(), is_foreign: of != domain, data };
        if !services.iter().any(|known| known.full() == service.full()) {
            services.push(service);
        }
    }
    are_right.then_some(services)
}

fn fields(reader: &mut Reader<'_>, data: &Spanned<DeValue<'_>>, path: &str) -> Option<BTreeMap<String, Limits>> {
    const FORM: &str = "a table of what its data may be, `{}` for none: { brightness_pct = { min = 1, max = 100 } }";
    let Some(table) = data.get_ref().as_table().filter(|table| table.len() <= SERVICES_MAX) else {
        reader.note_at(data, path.into(), wrong_type(data.get_ref(), FORM));
        return None;
    };
    let mut fields = Some(BTreeMap::new());
    for (name, item) in table.iter() {
        let name = name.get_ref().as_ref();
        let path = format!("{path}.{}", shown(name));
        let limits = match check_field(name) {
            Ok(()) => limits(reader, item, &path),
            Err(why) => {
                reader.note_at(item, path, why);
                None
            }
        };
        match (limits, &mut fields) {
            (Some(limits), Some(fields)) => drop(fields.insert(name.to_string(), limits)),
            _ => fields = None,
        }
    }
    fields
}

/// Whether data may have a field of this name.
///
/// # Errors
/// The end of a sentence.
pub fn check_field(name: &str) -> Result<(), String> {
    if TARGETS.contains(&name) {
        return Err("says whom a service acts on; the list of entities does that".into());
    }
    if name.is_empty() || name.len() > 64 || !name.bytes().all(is_word_byte) {
        return Err("is no field's name: small letters, digits and `_`".into());
    }
    Ok(())
}

fn limits(reader: &mut Reader<'_>, item: &Spanned<DeValue<'_>>, path: &str) -> Option<Limits> {
    const FORM: &str = "{ min = 1, max = 100 }, { words = [\"heat\", \"off\"] } or { chars_max = 200 }";
    let Some(table) = item.get_ref().as_table() else {
        reader.note_at(item, path.into(), wrong_type(item.get_ref(), FORM));
        return None;
    };
    let line = reader.line_of(item);
    let at = reader.open(table, path, line, &FIELD);
    let (min, max) = (reader.find(&at, &MIN), reader.find(&at, &MAX));
    let (words, chars_max) = (reader.find(&at, &WORDS), reader.find(&at, &CHARS_MAX));
    match (min, max, words, chars_max) {
        (Some(min), Some(max), None, None) if min < max => Some(Limits::Range { min: plain(min), max: plain(max) }),
        (None, None, Some(words), None) if !words.is_empty() => Some(Limits::Words(words)),
        (None, None, None, Some(chars)) => Some(Limits::Text(chars)),
        _ => {
            reader.note_at(item, path.into(), format!("must be {FORM}"));
            None
        }
    }
}

/// The number as it was written: 0.1 is not 0.10000000149.
fn plain(number: f32) -> f64 {
    number.to_string().parse().unwrap_or_else(|_| f64::from(number))
}
