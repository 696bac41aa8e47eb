//! `[pwm.NAME]` of a board profile: a dimmer, a servo or a buzzer on a PWM channel of the kernel.

use std::collections::BTreeMap;

use super::super::key::{Choice, Key, Kind, Need, Number, Text, Whole, one_line, wrong_type};
use super::super::problem::shown;
use super::super::read::{Reader, Section, Sheet};
use super::read::LEVELS;
use super::{Polarity, line_name};

/// Outputs of one profile; the largest PWM chips have 32 channels, and a Pi has four.
pub const PWM_MAX: usize = 32;

/// An output on a PWM channel.
#[derive(Clone, Debug, PartialEq)]
pub struct PwmOutput {
    /// `pwmchip0`, or the name of its device (`1f00098000.pwm`), which does not change with the kernel.
    pub pwm_chip: String,
    /// Channel of the chip.
    pub pwm_channel: u32,
    /// Which level is on.
    pub polarity: Polarity,
    /// What hangs on it.
    pub kind: PwmKind,
}

/// What hangs on a PWM channel.
#[derive(Clone, Debug, PartialEq)]
pub enum PwmKind {
    /// A lamp, a fan: how much.
    Dimmer {
        /// Periods a second, 1–100000.
        frequency_hz: u32,
        /// How bright it is when nobody looks after it, percent, 0–100.
        safe_percent: u32,
    },
    /// A servo; it is released (gets no pulses) when nobody looks after it.
    Servo(Servo),
    /// A piezo or a small loudspeaker, silent when nobody looks after it.
    Buzzer,
}

/// A servo's pulses and what they mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Servo {
    /// Pulses a second, 40–400.
    pub frequency_hz: u32,
    /// The pulse at `min_degrees`, µs.
    pub min_us: u32,
    /// The pulse at `max_degrees`, µs.
    pub max_us: u32,
    /// It never goes lower, degrees.
    pub min_degrees: f64,
    /// It never goes higher, degrees.
    pub max_degrees: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Dimmer,
    Servo,
    Buzzer,
}

/// A PWM chip of the kernel.
pub(super) const CHIP: Text = Text {
    what: "a PWM chip: \"pwmchip0\", or its device such as \"1f00098000.pwm\"",
    chars_max: 100,
    check: chip_name,
    default: "",
};
/// A channel of it; the largest LED drivers have 32.
pub(super) const CHANNEL: Whole = Whole { unit: "", min: 0, max: 63, step: 1, default: 0 };

const KIND: Key<Choice<Word>> = Key {
    name: "kind",
    kind: Choice {
        options: &[("dimmer", Word::Dimmer), ("servo", Word::Servo), ("buzzer", Word::Buzzer)],
        default: Word::Dimmer,
    },
    need: Need::Required,
    doc: "What hangs on it: something that is more or less on, a servo, or something that hums.",
};
const PWM_CHIP: Key<Text> = Key {
    name: "pwm_chip",
    kind: CHIP,
    need: Need::Required,
    doc: "The chip; `ls -l /sys/class/pwm/*/device` shows the devices' names, which kernels do not change.",
};
const PWM_CHANNEL: Key<Whole> =
    Key { name: "pwm_channel", kind: CHANNEL, need: Need::Defaults, doc: "The chip's channel." };
const POLARITY: Key<Choice<Polarity>> =
    Key { name: "polarity", kind: LEVELS, need: Need::Defaults, doc: "Which level is on." };
const FREQUENCY_HZ: Key<Whole> = Key {
    name: "frequency_hz",
    kind: Whole { unit: "Hz", min: 1, max: 100_000, step: 1, default: 1000 }, // flickers for no eye, and suits any transistor
    need: Need::Optional,
    doc: "Periods a second: 1000 for a dimmer, 50 for a servo where absent (a servo takes 40 to 400).",
};
const SAFE_PERCENT: Key<Whole> = Key {
    name: "safe_percent",
    kind: Whole { unit: "percent", min: 0, max: 100, step: 1, default: 0 },
    need: Need::Defaults,
    doc: "`dimmer`: how much it is on at the start and at the end.",
};
/// The classic range; a servo's data sheet says its own, and more drives it against its stop.
const MIN_US: Key<Whole> = Key {
    name: "min_us",
    kind: Whole { unit: "µs", min: 200, max: 5000, step: 1, default: 1000 },
    need: Need::Defaults,
    doc: "`servo`: the pulse at `min_degrees`.",
};
const MAX_US: Key<Whole> = Key {
    name: "max_us",
    kind: Whole { unit: "µs", min: 200, max: 5000, step: 1, default: 2000 },
    need: Need::Defaults,
    doc: "`servo`: the pulse at `max_degrees`.",
};
const DEGREES: [f32; 2] = [-360.0, 360.0];
const MIN_DEGREES: Key<Number> = Key {
    name: "min_degrees",
    kind: Number { unit: "degrees", min: DEGREES[0], max: DEGREES[1], default: 0.0 },
    need: Need::Defaults,
    doc: "`servo`: it never goes lower.",
};
const MAX_DEGREES: Key<Number> = Key {
    name: "max_degrees",
    kind: Number { unit: "degrees", min: DEGREES[0], max: DEGREES[1], default: 90.0 },
    need: Need::Defaults,
    doc: "`servo`: it never goes higher.",
};

/// `[pwm.NAME]`.
pub const PWM: Sheet = Sheet {
    name: "pwm",
    keys: &[
        &KIND,
        &PWM_CHIP,
        &PWM_CHANNEL,
        &POLARITY,
        &FREQUENCY_HZ,
        &SAFE_PERCENT,
        &MIN_US,
        &MAX_US,
        &MIN_DEGREES,
        &MAX_DEGREES,
    ],
    tables: &[],
};

/// The PWM outputs of the profile by our names.
pub(super) fn outputs(reader: &mut Reader<'_>, top: &Section<'_>) -> BTreeMap<String, PwmOutput> {
    let Some(value) = top.value(PWM.name) else { return BTreeMap::new() };
    let Some(table) = value.get_ref().as_table() else {
        reader.note_at(value, "pwm".into(), wrong_type(value.get_ref(), "sections, one an output: `[pwm.fan]`"));
        return BTreeMap::new();
    };
    if table.len() > PWM_MAX {
        reader.note_at(value, "pwm".into(), format!("has {} outputs; at most {PWM_MAX} are taken", table.len()));
        return BTreeMap::new();
    }
    let all = Section { table: Some(table), path: PWM.name.to_string(), line: reader.line_of(value) };
    let mut outputs: BTreeMap<String, PwmOutput> = BTreeMap::new();
    for key in table.keys() {
        let name: &str = key.get_ref();
        if let Err(message) = line_name(name) {
            let line = reader.line_of(key);
            reader.note(line, format!("pwm.{}", shown(name)), message.replace("a line", "an output"));
        }
        let section = reader.inner(&all, name, &PWM);
        let Some(output) = output(reader, &section) else { continue };
        let is_same =
            |other: &PwmOutput| (&other.pwm_chip, other.pwm_channel) == (&output.pwm_chip, output.pwm_channel);
        if let Some((twin, _)) = outputs.iter().find(|(_, other)| is_same(other)) {
            let message = format!("is that of `pwm.{twin}`, too; a channel can be taken once");
            reader.object(&section, PWM_CHANNEL.name, message);
        }
        outputs.insert(name.to_string(), output);
    }
    outputs
}

fn output(reader: &mut Reader<'_>, at: &Section<'_>) -> Option<PwmOutput> {
    let (pwm_chip, pwm_channel) = (reader.get(at, &PWM_CHIP), reader.get(at, &PWM_CHANNEL));
    let polarity = reader.get(at, &POLARITY);
    let named = at.value(KIND.name).is_some();
    let word = reader.get(at, &KIND);
    let servo = [MIN_US.name, MAX_US.name, MIN_DEGREES.name, MAX_DEGREES.name];
    let foreign: Vec<&str> = match word {
        _ if !named => return None, // that was said
        Word::Dimmer => servo.to_vec(),
        Word::Servo => vec![SAFE_PERCENT.name],
        Word::Buzzer => servo.into_iter().chain([SAFE_PERCENT.name, FREQUENCY_HZ.name]).collect(),
    };
    for key in foreign.iter().filter(|key| at.value(key).is_some()) {
        let word = KIND.kind.options.iter().find(|(_, other)| *other == word).map_or("", |(word, _)| word);
        reader.object(at, key, format!("does not go with kind = \"{word}\"; take it out"));
    }
    let frequency_hz = reader.find(at, &FREQUENCY_HZ);
    let kind = match word {
        Word::Dimmer => PwmKind::Dimmer {
            frequency_hz: frequency_hz.unwrap_or(FREQUENCY_HZ.kind.default),
            safe_percent: reader.get(at, &SAFE_PERCENT),
        },
        Word::Servo => PwmKind::Servo(self::servo(reader, at, frequency_hz.unwrap_or(50))),
        Word::Buzzer => PwmKind::Buzzer,
    };
    Some(PwmOutput { pwm_chip, pwm_channel, polarity, kind })
}

fn servo(reader: &mut Reader<'_>, at: &Section<'_>, frequency_hz: u32) -> Servo {
    let (min_us, max_us) = (reader.get(at, &MIN_US), reader.get(at, &MAX_US));
    let (min_degrees, max_degrees) = (f64::from(reader.get(at, &MIN_DEGREES)), f64::from(reader.get(at, &MAX_DEGREES)));
    if !(40..=400).contains(&frequency_hz) {
        reader.object(at, FREQUENCY_HZ.name, format!("is {frequency_hz}; a servo takes 40 to 400 Hz"));
    }
    if min_us >= max_us {
        reader.object(at, MIN_US.name, format!("is {min_us} µs; it must be less than `max_us`, {max_us} µs"));
    }
    if max_us >= 1_000_000 / frequency_hz.max(1) {
        let message = format!("is {max_us} µs; it must be less than a period, {} µs", 1_000_000 / frequency_hz.max(1));
        reader.object(at, MAX_US.name, message);
    }
    if min_degrees >= max_degrees {
        let message = format!("is {min_degrees}; it must be less than `max_degrees`, {max_degrees}");
        reader.object(at, MIN_DEGREES.name, message);
    }
    Servo { frequency_hz, min_us, max_us, min_degrees, max_degrees }
}

/// A name in `/sys`, which is no path.
fn chip_name(chip: &str) -> Result<(), String> {
    one_line(chip)?;
    if chip.contains('/') || chip.starts_with('.') {
        return Err(format!("is \"{}\"; it must be {}", shown(chip), CHIP.rule()));
    }
    Ok(())
}
