//! A procedure: the steps of a job, what to check at each, which picture and which reading belong to it.
//!
//! A file of its own for each, `NAME.toml`, in the folder that `[job_log] procedures` names.

use serde::{Deserialize, Serialize};

use super::key::{Flag, Key, Need, Number, Text, any_text, one_line, wrong_type};
use super::problem::Problem;
use super::read::{Reader, Section, Sheet};

/// Steps of one procedure: more is more than one job, and more than a model keeps apart.
pub const STEPS_MAX: usize = 60;
/// Letters of a procedure's name, which the model has to say.
const NAME_CHARS_MAX: usize = 48;

/// The steps of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Procedure {
    /// What the job is.
    pub title: String,
    /// What is to be done, in this order; at least one.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What is to be done.
    pub text: String,
    /// How one sees that it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub check: Option<String>,
    /// Whether a picture belongs to it.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub photo: bool,
    /// What is to be measured.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reading: Option<Wanted>,
}

/// A reading that belongs to a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wanted {
    /// What is measured.
    pub name: String,
    /// In which unit.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unit: Option<String>,
    /// The least that is right.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub min: Option<f64>,
    /// The most that is right.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max: Option<f64>,
}

impl Wanted {
    /// Whether a value is as it should be.
    pub fn is_met_by(&self, value: f64) -> bool {
        self.min.is_none_or(|min| value >= min) && self.max.is_none_or(|max| value <= max)
    }

    /// What would be right: `1 to 2.5 bar`, `at most 70 °C`; empty where anything is.
    pub fn range(&self) -> String {
        let unit = self.unit.as_ref().map_or_else(String::new, |unit| format!(" {unit}"));
        match (self.min, self.max) {
            (Some(min), Some(max)) => format!("{min} to {max}{unit}"),
            (Some(min), None) => format!("at least {min}{unit}"),
            (None, Some(max)) => format!("at most {max}{unit}"),
            (None, None) => String::new(),
        }
    }
}

const TITLE: Key<Text> = Key {
    name: "title",
    kind: Text { what: "what the job is", chars_max: 120, check: one_line, default: "" },
    need: Need::Required,
    doc: "What the job is: \"Yearly service of a heat pump\".",
};
const TEXT: Key<Text> = Key {
    name: "text",
    kind: Text { what: "what is to be done", chars_max: 300, check: any_text, default: "" },
    need: Need::Required,
    doc: "What is to be done, in a sentence that can be said.",
};
const CHECK: Key<Text> = Key {
    name: "check",
    kind: Text { what: "how one sees that it is done", chars_max: 300, check: any_text, default: "" },
    need: Need::Optional,
    doc: "How one sees that it is done.",
};
const PHOTO: Key<Flag> = Key {
    name: "photo",
    kind: Flag { default: false },
    need: Need::Defaults,
    doc: "Whether a picture belongs to the step.",
};
const READING: Key<Text> = Key {
    name: "reading",
    kind: Text { what: "what is measured", chars_max: 48, check: one_line, default: "" },
    need: Need::Optional,
    doc: "What is to be measured: \"pressure\".",
};
const UNIT: Key<Text> = Key {
    name: "unit",
    kind: Text { what: "a unit", chars_max: 16, check: one_line, default: "" },
    need: Need::Optional,
    doc: "Its unit.",
};
const LIMIT: Number = Number { unit: "in the reading's unit", min: -1e9, max: 1e9, default: 0.0 };
const MIN: Key<Number> = Key { name: "min", kind: LIMIT, need: Need::Optional, doc: "The least value that is right." };
const MAX: Key<Number> = Key { name: "max", kind: LIMIT, need: Need::Optional, doc: "The most that is right." };

const TOP: Sheet = Sheet { name: "", keys: &[&TITLE], tables: &["steps"] };
const STEPS: Sheet = Sheet { name: "steps", keys: &[&TEXT, &CHECK, &PHOTO, &READING, &UNIT, &MIN, &MAX], tables: &[] };
const SHEETS: &[&Sheet] = &[&TOP, &STEPS];

/// Reads a procedure; `file` is its name for the messages.
///
/// # Errors
/// Everything that is wrong with it, in line order.
pub fn parse(text: &str, file: &str) -> Result<Procedure, Vec<Problem>> {
    let mut reader = Reader::new(text, file, SHEETS);
    let Some(document) = reader.document(text) else { return Err(reader.finish()) };
    let top = reader.open(&document, "", 1, &TOP);
    let procedure = Procedure { title: reader.get(&top, &TITLE), steps: steps(&mut reader, &top) };
    let problems = reader.finish();
    if problems.is_empty() { Ok(procedure) } else { Err(problems) }
}

/// The name of a procedure, from that of its file; none where no model could say it.
pub fn name_of(file: &str) -> Option<&str> {
    let name = file.strip_suffix(".toml")?;
    let is_plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "_-".contains(letter);
    ((1..=NAME_CHARS_MAX).contains(&name.len()) && name.chars().all(is_plain)).then_some(name)
}

fn steps(reader: &mut Reader<'_>, top: &Section<'_>) -> Vec<Step> {
    let Some(value) = top.value(STEPS.name) else {
        reader.miss(top, STEPS.name, "a list: head each step with `[[steps]]`");
        return Vec::new();
    };
    let Some(list) = value.get_ref().as_array().filter(|list| !list.is_empty()) else {
        reader.note_at(value, STEPS.name.into(), wrong_type(value.get_ref(), "a list: head each with `[[steps]]`"));
        return Vec::new();
    };
    if list.len() > STEPS_MAX {
        let message = format!("has {} entries; at most {STEPS_MAX} are taken: make two procedures of it", list.len());
        reader.note_at(value, STEPS.name.into(), message);
        return Vec::new();
    }
    let one = |(index, item): (usize, &toml::Spanned<toml::de::DeValue<'_>>)| {
        let (path, line) = (format!("steps[{index}]"), reader.line_of(item));
        let Some(table) = item.get_ref().as_table() else {
            reader.note(line, path, wrong_type(item.get_ref(), "a table: head each with `[[steps]]`"));
            return None;
        };
        let section = reader.open(table, &path, line, &STEPS);
        Some(step(reader, &section))
    };
    list.iter().enumerate().filter_map(one).collect()
}

fn step(reader: &mut Reader<'_>, at: &Section<'_>) -> Step {
    let reading = reader.find(at, &READING).map(|name| Wanted {
        name,
        unit: reader.find(at, &UNIT),
        min: reader.find(at, &MIN).map(decimal),
        max: reader.find(at, &MAX).map(decimal),
    });
    match &reading {
        Some(Wanted { min: Some(min), max: Some(max), .. }) if min > max => {
            reader.object(at, MIN.name, format!("is {min}, which is more than `max`, {max}"));
        }
        Some(_) => {}
        None => {
            for key in [UNIT.name, MIN.name, MAX.name] {
                if at.value(key).is_some() && at.value(READING.name).is_none() {
                    reader.object(at, key, "goes with `reading`: say what is measured".to_string());
                }
            }
        }
    }
    Step { text: reader.get(at, &TEXT), check: reader.find(at, &CHECK), photo: reader.get(at, &PHOTO), reading }
}

/// The number as it was written: 0.1 stays 0.1, which it is not as a wider number.
fn decimal(number: f32) -> f64 {
    number.to_string().parse().unwrap_or_else(|_| number.into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const PUMP: &str = r#"
title = "Yearly service of a heat pump"
[[steps]]
text = "Close the main valve"
check = "The lever stands across the pipe"
photo = true
[[steps]]
text = "Read the pressure"
reading = "pressure"
unit = "bar"
min = 1.1
max = 2.5
"#;

    #[test]
    fn a_procedure_is_read_as_it_was_written() {
        let pump = parse(PUMP, "pump.toml").unwrap();
        assert_eq!((pump.title.as_str(), pump.steps.len()), ("Yearly service of a heat pump", 2));
        assert!(pump.steps[0].photo && pump.steps[0].reading.is_none());
        let wanted = pump.steps[1].reading.as_ref().unwrap();
        assert_eq!(wanted.range(), "1.1 to 2.5 bar");
        assert_eq!([1.0, 1.1, 2.5, 2.6].map(|value| wanted.is_met_by(value)), [false, true, true, false]);
        let line = serde_json::to_string(&pump).unwrap();
        assert_eq!(serde_json::from_str::<Procedure>(&line).unwrap(), pump, "the job's log holds it");
    }

    #[test]
    fn what_is_wrong_with_it_is_said_with_its_line() {
        let said = |text: &str| {
            let problems = parse(text, "p.toml").unwrap_err();
            problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(
            said("title = \"x\"\n"),
            "p.toml:1: `steps` is missing; it must be a list: head each step with `[[steps]]`"
        );
        assert_eq!(
            said("title = \"x\"\n[[steps]]\ntext = \"y\"\nmin = 1\n"),
            "p.toml:4: `steps[0].min` goes with `reading`: say what is measured"
        );
        assert_eq!(
            said("title = \"x\"\n[[steps]]\ntext = \"y\"\nreading = \"p\"\nmin = 3\nmax = 2\nphot = true\n"),
            "p.toml:5: `steps[0].min` is 3, which is more than `max`, 2\np.toml:7: `steps[0].phot` is not a key of this \
             section; did you mean `photo`?"
        );
        assert!(said("title = \"x\"\nsteps = 3\n").contains("a whole number"));
        assert!(said("[[steps]]\nphoto = 1\n").contains("`title` is missing"));
    }

    #[test]
    fn a_name_is_one_that_a_model_can_say() {
        assert_eq!(name_of("heat_pump-2.toml"), Some("heat_pump-2"));
        for file in ["x.txt", ".toml", "../x.toml", "Heat Pump.toml", "x.toml.bak"] {
            assert_eq!(name_of(file), None, "{file}");
        }
    }
}
