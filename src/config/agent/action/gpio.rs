//! `action = { gpio = "set", … }`: a line of the board profile.

use serde_json::Value;

use super::super::super::key::{Choice, Key, Need, Text, Whole, any_text};
use super::super::super::read::{Reader, Section, Sheet};
use super::super::Action;
use super::{Around, open};

/// What a gpio action does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GpioVerb {
    /// [`Action::GpioSet`].
    Set,
    /// [`Action::GpioPulse`].
    Pulse,
    /// [`Action::GpioBlink`].
    Blink,
    /// [`Action::GpioRead`].
    Read,
    /// [`Action::GpioWait`].
    Wait,
}

/// Which transition of an input is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EdgeKind {
    /// It becomes active.
    Active,
    /// It becomes inactive.
    Inactive,
    /// Either.
    Either,
}

const GPIO: Key<Choice<GpioVerb>> = Key {
    name: "gpio",
    kind: Choice {
        options: &[
            ("set", GpioVerb::Set),
            ("pulse", GpioVerb::Pulse),
            ("blink", GpioVerb::Blink),
            ("read", GpioVerb::Read),
            ("wait", GpioVerb::Wait),
        ],
        default: GpioVerb::Read,
    },
    need: Need::Required,
    doc: "What happens to the line.",
};
const LINE: Key<Text> = Key {
    name: "line",
    kind: Text {
        what: "a line's name in the board profile",
        chars_max: 32,
        check: super::super::super::board::line_name,
        default: "",
    },
    need: Need::Required,
    doc: "A line of the board profile.",
};
const ARGUMENT: Key<Text> = Key {
    name: "argument",
    kind: Text { what: "the name of a BOOLEAN parameter", chars_max: 64, check: any_text, default: "" },
    need: Need::Required,
    doc: "Set: the BOOLEAN parameter that says on or off.",
};
const PULSE_MS: Key<Whole> = Key {
    name: "pulse_ms",
    kind: Whole { unit: "ms", min: 1, max: 60_000, step: 1, default: 500 },
    need: Need::Required,
    doc: "Pulse: how long the line is active.",
};
/// Slow enough for a relay; whoever sees a lamp go faster than this takes it for steady.
const BLINK_MS: Whole = Whole { unit: "ms", min: 20, max: 60_000, step: 1, default: 500 };
const ON_MS: Key<Whole> =
    Key { name: "on_ms", kind: BLINK_MS, need: Need::Required, doc: "Blink: how long it is active each time." };
const OFF_MS: Key<Whole> =
    Key { name: "off_ms", kind: BLINK_MS, need: Need::Required, doc: "Blink: how long it is inactive in between." };
const TIMES: Key<Whole> = Key {
    name: "times",
    kind: Whole { unit: "times", min: 1, max: 100, step: 1, default: 3 }, // more is a signal that nobody counts
    need: Need::Required,
    doc: "Blink: how often it becomes active.",
};
const EDGE: Key<Choice<EdgeKind>> = Key {
    name: "edge",
    kind: Choice {
        options: &[("active", EdgeKind::Active), ("inactive", EdgeKind::Inactive), ("either", EdgeKind::Either)],
        default: EdgeKind::Either,
    },
    need: Need::Required,
    doc: "Wait: whether it is to become active, inactive, or either.",
};
const WAIT_MS: Key<Whole> = Key {
    name: "wait_ms",
    kind: Whole { unit: "ms", min: 10, max: 60_000, step: 1, default: 5000 },
    need: Need::Required,
    doc: "Wait: how long at most.",
};

/// `action = { gpio = "set", … }`.
pub const SET: Sheet = Sheet { name: "tools.action", keys: &[&GPIO, &LINE, &ARGUMENT], tables: &[] };
/// `action = { gpio = "pulse", … }`.
pub const PULSE: Sheet = Sheet { name: "tools.action", keys: &[&GPIO, &LINE, &PULSE_MS], tables: &[] };
/// `action = { gpio = "read", … }`.
pub const READ: Sheet = Sheet { name: "tools.action", keys: &[&GPIO, &LINE], tables: &[] };
/// `action = { gpio = "blink", … }`.
pub const BLINK: Sheet = Sheet { name: "tools.action", keys: &[&GPIO, &LINE, &ON_MS, &OFF_MS, &TIMES], tables: &[] };
/// `action = { gpio = "wait", … }`.
pub const WAIT: Sheet = Sheet { name: "tools.action", keys: &[&GPIO, &LINE, &EDGE, &WAIT_MS], tables: &[] };

pub(super) fn read(reader: &mut Reader<'_>, place: &Section<'_>, around: &Around<'_>) -> Option<Action> {
    let sheet = match reader.find(place, &GPIO)? {
        GpioVerb::Set => &SET,
        GpioVerb::Pulse => &PULSE,
        GpioVerb::Blink => &BLINK,
        GpioVerb::Read => &READ,
        GpioVerb::Wait => &WAIT,
    };
    let section = open(reader, place, sheet);
    let line = reader.get(&section, &LINE);
    Some(match reader.find(&section, &GPIO)? {
        GpioVerb::Read => Action::GpioRead { line },
        GpioVerb::Set => Action::GpioSet { line, argument: set_argument(reader, &section, around) },
        GpioVerb::Pulse => Action::GpioPulse { line, pulse_ms: pulse(reader, &section, around.timeout_ms) },
        GpioVerb::Blink => blink(reader, &section, line, around.timeout_ms),
        GpioVerb::Wait => {
            let (edge, wait_ms) = (reader.get(&section, &EDGE), reader.get(&section, &WAIT_MS));
            if wait_ms >= around.timeout_ms {
                let message = ends_too_late(wait_ms, around.timeout_ms, "wait for less");
                reader.object(&section, WAIT_MS.name, message);
            }
            Action::GpioWait { line, edge, wait_ms }
        }
    })
}

/// All of it must end before the call's time limit does.
fn blink(reader: &mut Reader<'_>, section: &Section<'_>, line: String, timeout_ms: u32) -> Action {
    let (on_ms, off_ms) = (reader.get(section, &ON_MS), reader.get(section, &OFF_MS));
    let times = reader.get(section, &TIMES);
    let total_ms = times * on_ms + times.saturating_sub(1) * off_ms; // at most 100 times two minutes
    if total_ms >= timeout_ms {
        reader.object(
            section,
            TIMES.name,
            format!("makes it too long: it {}", ends_too_late(total_ms, timeout_ms, "blink less often")),
        );
    }
    Action::GpioBlink { line, on_ms, off_ms, times }
}

fn ends_too_late(total_ms: u32, timeout_ms: u32, instead: &str) -> String {
    format!(
        "is {total_ms} ms, but the call is stopped after {timeout_ms} ms: {instead} or raise the tool's `timeout_ms`"
    )
}

/// The pulse's length; it must end before the call's time limit does.
fn pulse(reader: &mut Reader<'_>, section: &Section<'_>, timeout_ms: u32) -> u32 {
    let pulse_ms = reader.get(section, &PULSE_MS);
    if pulse_ms >= timeout_ms {
        let message = ends_too_late(pulse_ms, timeout_ms, "shorten the pulse");
        reader.object(section, PULSE_MS.name, message);
    }
    pulse_ms
}

/// The name of the parameter that says on or off; it must be one, and always given.
fn set_argument(reader: &mut Reader<'_>, section: &Section<'_>, around: &Around<'_>) -> String {
    let argument = reader.get(section, &ARGUMENT);
    // Where either is wrong already, that has been said.
    let (Ok(parameters), false) = (around.parameters, argument.is_empty()) else { return argument };
    let example = format!(
        "parameters = {{ type = \"OBJECT\", properties = {{ {argument} = {{ type = \"BOOLEAN\" }} }}, required = [\"{argument}\"] }}"
    );
    let complaint = match around.parameter(&argument).map(|(schema, is_required)| (&schema["type"], is_required)) {
        None if parameters.is_none() => Some("the tool has no parameters".to_string()),
        None => Some("there is no such property".to_string()),
        Some((kind, true)) if kind == "BOOLEAN" => None,
        Some((kind, false)) if kind == "BOOLEAN" => Some("it is not in `required`".to_string()),
        Some((Value::String(kind), _)) => Some(format!("it is {kind}")),
        Some(_) => Some("it is of several types".to_string()),
    };
    if let Some(complaint) = complaint {
        let message = format!("names \"{argument}\", but {complaint}; it must be a required BOOLEAN: {example}");
        reader.object(section, ARGUMENT.name, message);
    }
    argument
}
