//! `[[watch]]`: what the model is told by itself, when a sensor crosses a threshold or an input changes.

use super::super::board::line_name;
use super::super::key::{Choice, Key, Need, Number, Text, Whole, wrong_type};
use super::super::read::{Reader, Section, Sheet};
use super::action::sensor;
use super::template::{Places, Template};

/// Watches of one file; each reads on its own.
pub const WATCHES_MAX: usize = 32;

/// One of `[[watch]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Watch {
    /// What is looked at, and when it is to be told.
    pub condition: Condition,
    /// From one look to the next, s, 1–3600.
    pub every_s: u32,
    /// It must hold for so long, s, 0–86400.
    pub for_s: u32,
    /// What the model is told; `{value}` and `{unit}` are places in it.
    pub say: Template,
    /// While it holds it is told again after so long, s, 60–604800; once where absent.
    pub again_after_s: Option<u32>,
}

/// When it is to be told.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// A sensor says more than this; it is over at `hysteresis` below it.
    Above {
        /// The sensor.
        sensor: String,
        /// The threshold.
        threshold: f64,
        /// In the sensor's unit, 0 or more.
        hysteresis: f64,
    },
    /// A sensor says less than this; it is over at `hysteresis` above it.
    Below {
        /// The sensor.
        sensor: String,
        /// The threshold.
        threshold: f64,
        /// In the sensor's unit, 0 or more.
        hysteresis: f64,
    },
    /// A line is like this.
    LineIs {
        /// The line.
        line: String,
        /// Active or not.
        active: bool,
    },
}

impl Condition {
    /// The sensor that is looked at.
    pub fn sensor(&self) -> Option<&String> {
        match self {
            Condition::Above { sensor, .. } | Condition::Below { sensor, .. } => Some(sensor),
            Condition::LineIs { .. } => None,
        }
    }

    /// The line that is looked at.
    pub fn line(&self) -> Option<&String> {
        match self {
            Condition::LineIs { line, .. } => Some(line),
            Condition::Above { .. } | Condition::Below { .. } => None,
        }
    }
}

const SENSOR: Key<Text> =
    Key { name: "sensor", kind: sensor::NAME, need: Need::Optional, doc: "A sensor of the board profile; or `line`." };
const LINE: Key<Text> = Key {
    name: "line",
    kind: Text { what: "a line's name in the board profile", chars_max: 32, check: line_name, default: "" },
    need: Need::Optional,
    doc: "A line of the board profile.",
};
const THRESHOLD: Number = Number { unit: "in the sensor's unit", min: -1e9, max: 1e9, default: 0.0 };
const ABOVE: Key<Number> =
    Key { name: "above", kind: THRESHOLD, need: Need::Optional, doc: "Told when the sensor says more; or `below`." };
const BELOW: Key<Number> =
    Key { name: "below", kind: THRESHOLD, need: Need::Optional, doc: "Told when the sensor says less." };
const HYSTERESIS: Key<Number> = Key {
    name: "hysteresis",
    kind: Number { unit: "in the sensor's unit", min: 0.0, max: 1e9, default: 0.5 }, // a thermometer's own noise
    need: Need::Defaults,
    doc: "So far it must go back before it can be told anew.",
};
const IS: Key<Choice<bool>> = Key {
    name: "is",
    kind: Choice { options: &[("active", true), ("inactive", false)], default: true },
    need: Need::Defaults,
    doc: "A line: told when it is \"active\", or when it is \"inactive\".",
};
const FOR_S: Key<Whole> = Key {
    name: "for_s",
    kind: Whole { unit: "s", min: 0, max: 86_400, step: 1, default: 0 },
    need: Need::Defaults,
    doc: "It must hold for so long before it is told.",
};
const EVERY_S: Key<Whole> = Key {
    name: "every_s",
    kind: Whole { unit: "s", min: 1, max: 3600, step: 1, default: 30 }, // rooms and freezers are slow
    need: Need::Optional,
    doc: "How often it is looked at: 30 s for a sensor, 1 s for a line where absent.",
};
const SAY: Key<Places> = Key {
    name: "say",
    kind: Places { what: "a sentence for the model", chars_max: 500 },
    need: Need::Required,
    doc: "What the model is told; `{value}` and `{unit}` are what the sensor says.",
};
const AGAIN_AFTER_S: Key<Whole> = Key {
    name: "again_after_s",
    kind: Whole { unit: "s", min: 60, max: 604_800, step: 1, default: 3600 },
    need: Need::Optional,
    doc: "While it holds it is told again after so long; once where absent.",
};

/// One of `[[watch]]`.
pub const WATCH: Sheet = Sheet {
    name: "watch",
    keys: &[&SENSOR, &LINE, &ABOVE, &BELOW, &HYSTERESIS, &IS, &FOR_S, &EVERY_S, &SAY, &AGAIN_AFTER_S],
    tables: &[],
};

/// The watches of the file; those with problems are left out (the problems are noted).
pub(super) fn watches(reader: &mut Reader<'_>, top: &Section<'_>) -> Vec<Watch> {
    let Some(value) = top.value(WATCH.name) else { return Vec::new() };
    let Some(list) = value.get_ref().as_array() else {
        reader.note_at(value, "watch".into(), wrong_type(value.get_ref(), "a list: head each with `[[watch]]`"));
        return Vec::new();
    };
    if list.len() > WATCHES_MAX {
        reader.note_at(value, "watch".into(), format!("has {} entries; at most {WATCHES_MAX} are taken", list.len()));
        return Vec::new();
    }
    let one = |(index, item): (usize, &toml::Spanned<toml::de::DeValue<'_>>)| {
        let (path, line) = (format!("watch[{index}]"), reader.line_of(item));
        let Some(table) = item.get_ref().as_table() else {
            reader.note(line, path, wrong_type(item.get_ref(), "a table: head each with `[[watch]]`"));
            return None;
        };
        let section = reader.open(table, &path, line, &WATCH);
        watch(reader, &section)
    };
    list.iter().enumerate().filter_map(one).collect()
}

fn watch(reader: &mut Reader<'_>, at: &Section<'_>) -> Option<Watch> {
    let say = reader.get(at, &SAY);
    let is_sensor = at.value(SENSOR.name).is_some();
    let places: &[&str] = if is_sensor { &["value", "unit"] } else { &[] };
    if let Some(other) = say.arguments().chain(say.secrets()).find(|name| !places.contains(name)) {
        let message = format!("has the place `{{{other}}}`; there are `{{value}}` and `{{unit}}`, for a sensor");
        reader.object(at, SAY.name, message);
    }
    let condition = condition(reader, at)?;
    let usual_s = if is_sensor { EVERY_S.kind.default } else { 1 };
    Some(Watch {
        condition,
        every_s: reader.find(at, &EVERY_S).unwrap_or(usual_s),
        for_s: reader.get(at, &FOR_S),
        say,
        again_after_s: reader.find(at, &AGAIN_AFTER_S),
    })
}

fn condition(reader: &mut Reader<'_>, at: &Section<'_>) -> Option<Condition> {
    let has = |name: &str| at.value(name).is_some();
    if has(SENSOR.name) == has(LINE.name) {
        let message = "must be there, or `line`: one of the two is watched".to_string();
        reader.object(at, SENSOR.name, message);
        return None;
    }
    let foreign: &[&str] = if has(SENSOR.name) { &[IS.name] } else { &[ABOVE.name, BELOW.name, HYSTERESIS.name] };
    for key in foreign.iter().filter(|key| has(key)) {
        let other = if has(SENSOR.name) { "line" } else { "sensor" };
        reader.object(at, key, format!("goes with `{other}` only; take it out"));
    }
    if has(LINE.name) {
        let active = reader.get(at, &IS);
        return Some(Condition::LineIs { line: reader.find(at, &LINE)?, active });
    }
    let sensor = reader.find(at, &SENSOR);
    let (above, below) = (reader.find(at, &ABOVE), reader.find(at, &BELOW));
    let hysteresis = f64::from(reader.get(at, &HYSTERESIS));
    if has(ABOVE.name) == has(BELOW.name) {
        reader.object(at, ABOVE.name, "must be there, or `below`: one of the two; for both write two watches".into());
        return None;
    }
    let sensor = sensor?;
    match (above, below) {
        (Some(threshold), _) => Some(Condition::Above { sensor, threshold: threshold.into(), hysteresis }),
        (_, Some(threshold)) => Some(Condition::Below { sensor, threshold: threshold.into(), hysteresis }),
        (None, None) => None,
    }
}
