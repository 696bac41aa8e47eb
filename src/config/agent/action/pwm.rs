//! `action = { pwm = "dim", … }`: a PWM output of the board profile.

use serde_json::Value;

use super::super::super::board::line_name;
use super::super::super::key::{Choice, Key, Need, Number, Text, Whole, any_text};
use super::super::super::read::{Reader, Section, Sheet};
use super::super::Action;
use super::{Around, open};

/// What a person may hear, Hz.
pub const FREQUENCY_HZ: [u32; 2] = [20, 20_000];

/// What a pwm action does.
#[derive(Clone, Debug, PartialEq)]
pub struct PwmAction {
    /// The output of the board profile.
    pub output: String,
    /// What happens to it.
    pub deed: PwmDeed,
}

/// What happens to a PWM output.
#[derive(Clone, Debug, PartialEq)]
pub enum PwmDeed {
    /// A dimmer becomes as bright as the argument says, percent.
    Dim {
        /// Name of the NUMBER or INTEGER parameter.
        argument: String,
    },
    /// A servo turns to where the argument says, degrees.
    Turn {
        /// Name of the NUMBER or INTEGER parameter.
        argument: String,
        /// How fast at most, degrees a second, 1–1000.
        slew_deg_per_s: f64,
    },
    /// A buzzer hums.
    Buzz {
        /// How high.
        pitch: Pitch,
        /// How long, ms, 10–10000.
        duration_ms: u32,
    },
}

/// How high a buzzer hums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pitch {
    /// Always so, Hz.
    Fixed(u32),
    /// As the argument of this name says, Hz.
    Argument(String),
}

impl PwmAction {
    /// The parameter that says how much, where 0 is off.
    pub fn on_argument(&self) -> Option<&str> {
        match &self.deed {
            PwmDeed::Dim { argument } => Some(argument),
            PwmDeed::Turn { .. } | PwmDeed::Buzz { .. } => None,
        }
    }

    /// Whether it holds its output wherever it moved it, so that every place is on: a servo.
    pub fn holds(&self) -> bool {
        matches!(self.deed, PwmDeed::Turn { .. })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Dim,
    Servo,
    Buzz,
}

const PWM: Key<Choice<Verb>> = Key {
    name: "pwm",
    kind: Choice { options: &[("dim", Verb::Dim), ("servo", Verb::Servo), ("buzz", Verb::Buzz)], default: Verb::Dim },
    need: Need::Required,
    doc: "What happens to the output.",
};
const OUTPUT: Key<Text> = Key {
    name: "output",
    kind: Text { what: "a PWM output's name in the board profile", chars_max: 32, check: output_name, default: "" },
    need: Need::Required,
    doc: "A PWM output of the board profile.",
};
const ARGUMENT_KIND: Text =
    Text { what: "the name of a NUMBER or INTEGER parameter", chars_max: 64, check: any_text, default: "" };
const ARGUMENT: Key<Text> = Key {
    name: "argument",
    kind: ARGUMENT_KIND,
    need: Need::Required,
    doc: "Dim: the parameter that says how much, percent. Servo: where to, degrees.",
};
const SLEW_DEG_PER_S: Key<Number> = Key {
    name: "slew_deg_per_s",
    kind: Number { unit: "degrees/s", min: 1.0, max: 1000.0, default: 90.0 }, // calm enough for something heavy
    need: Need::Defaults,
    doc: "Servo: how fast it turns at most.",
};
const PITCH_HZ: Key<Whole> = Key {
    name: "frequency_hz",
    kind: Whole { unit: "Hz", min: FREQUENCY_HZ[0], max: FREQUENCY_HZ[1], step: 1, default: 2000 },
    need: Need::Optional,
    doc: "Buzz: how high; or `argument`.",
};
const PITCH_ARGUMENT: Key<Text> = Key {
    name: "argument",
    kind: ARGUMENT_KIND,
    need: Need::Optional,
    doc: "Buzz: the parameter that says how high, Hz.",
};
const DURATION_MS: Key<Whole> = Key {
    name: "duration_ms",
    kind: Whole { unit: "ms", min: 10, max: 10_000, step: 1, default: 500 },
    need: Need::Required,
    doc: "Buzz: how long.",
};

/// `action = { pwm = "dim", … }`.
pub const DIM: Sheet = Sheet { name: "tools.action", keys: &[&PWM, &OUTPUT, &ARGUMENT], tables: &[] };
/// `action = { pwm = "servo", … }`.
pub const TURN: Sheet = Sheet { name: "tools.action", keys: &[&PWM, &OUTPUT, &ARGUMENT, &SLEW_DEG_PER_S], tables: &[] };
/// `action = { pwm = "buzz", … }`.
pub const BUZZ: Sheet =
    Sheet { name: "tools.action", keys: &[&PWM, &OUTPUT, &PITCH_HZ, &PITCH_ARGUMENT, &DURATION_MS], tables: &[] };

pub(super) fn read(reader: &mut Reader<'_>, place: &Section<'_>, around: &Around<'_>) -> Option<Action> {
    let verb = reader.find(place, &PWM)?;
    let sheet = match verb {
        Verb::Dim => &DIM,
        Verb::Servo => &TURN,
        Verb::Buzz => &BUZZ,
    };
    let at = &open(reader, place, sheet);
    let output = reader.get(at, &OUTPUT);
    let deed = match verb {
        Verb::Dim => dim(reader, at, around),
        Verb::Servo => turn(reader, at, around),
        Verb::Buzz => buzz(reader, at, around),
    };
    Some(Action::Pwm(PwmAction { output, deed }))
}

fn dim(reader: &mut Reader<'_>, at: &Section<'_>, around: &Around<'_>) -> PwmDeed {
    let argument = reader.get(at, &ARGUMENT);
    if let Some((min, max)) = range(reader, at, around, &argument)
        && (min != 0.0 || max > 100.0)
    {
        let message = format!(
            "names \"{argument}\", which goes from {min} to {max}; it must go from 0, which is off, to at most 100"
        );
        reader.object(at, ARGUMENT.name, message);
    }
    PwmDeed::Dim { argument }
}

fn turn(reader: &mut Reader<'_>, at: &Section<'_>, around: &Around<'_>) -> PwmDeed {
    let argument = reader.get(at, &ARGUMENT);
    let slew_deg_per_s = f64::from(reader.get(at, &SLEW_DEG_PER_S));
    if let Some((min, max)) = range(reader, at, around, &argument) {
        let longest_ms = (max - min) / slew_deg_per_s * 1000.0;
        if longest_ms >= f64::from(around.timeout_ms) {
            let message = format!(
                "is {slew_deg_per_s}, so the longest way takes {longest_ms:.0} ms, but the call is stopped after {} ms: turn \
                 faster or raise the tool's `timeout_ms`",
                around.timeout_ms
            );
            reader.object(at, SLEW_DEG_PER_S.name, message);
        }
    }
    PwmDeed::Turn { argument, slew_deg_per_s }
}

fn buzz(reader: &mut Reader<'_>, at: &Section<'_>, around: &Around<'_>) -> PwmDeed {
    let duration_ms = reader.get(at, &DURATION_MS);
    if duration_ms >= around.timeout_ms {
        let message = format!(
            "is {duration_ms} ms, but the call is stopped after {} ms: hum for less or raise the tool's `timeout_ms`",
            around.timeout_ms
        );
        reader.object(at, DURATION_MS.name, message);
    }
    let (fixed, argument) = (reader.find(at, &PITCH_HZ), reader.find(at, &PITCH_ARGUMENT));
    if at.value(PITCH_HZ.name).is_some() == at.value(PITCH_ARGUMENT.name).is_some() {
        reader.object(at, PITCH_HZ.name, "must be there, or `argument`: one of the two".to_string());
    }
    let [least, most] = FREQUENCY_HZ.map(f64::from);
    if let Some((min, max)) = argument.as_ref().and_then(|argument| range(reader, at, around, argument))
        && (min < least || max > most)
    {
        let message = format!("goes from {min} to {max} Hz; it must stay within {least} and {most} Hz");
        reader.object(at, PITCH_ARGUMENT.name, message);
    }
    let pitch = argument.map_or(Pitch::Fixed(fixed.unwrap_or(PITCH_HZ.kind.default)), Pitch::Argument);
    PwmDeed::Buzz { pitch, duration_ms }
}

/// From where to where the schema lets an argument go; it must be a required number that says so.
fn range(reader: &mut Reader<'_>, at: &Section<'_>, around: &Around<'_>, argument: &str) -> Option<(f64, f64)> {
    if argument.is_empty() || around.parameters.is_err() {
        return None; // that was said
    }
    let found = around.parameter(argument).and_then(|(schema, is_required)| {
        let is_number = matches!(schema["type"].as_str(), Some("NUMBER" | "INTEGER"));
        limits(schema).filter(|_| is_number && is_required)
    });
    if found.is_none() {
        let example = format!("{argument} = {{ type = \"NUMBER\", minimum = 0, maximum = 90 }}");
        let message = format!(
            "names \"{argument}\", which must be a required NUMBER or INTEGER with `minimum` and `maximum`: {example}"
        );
        reader.object(at, ARGUMENT.name, message);
    }
    found
}

/// `minimum` and `maximum` of a schema.
pub fn limits(schema: &Value) -> Option<(f64, f64)> {
    Some((schema["minimum"].as_f64()?, schema["maximum"].as_f64()?))
}

fn output_name(name: &str) -> Result<(), String> {
    line_name(name).map_err(|message| message.replace("a line", "an output"))
}
