//! `[[tools]]`: what the model may call, by the service's rules for names and schemas.

use serde_json::Value;
use toml::Spanned;
use toml::de::DeValue;

use super::super::key::{Choice, Key, Need, Text, Whole, any_text, wrong_type};
use super::super::read::{Reader, Section, Sheet};
use super::schema::{self, Noted};
use super::{Action, Behavior, Tool};

/// The service takes 512 declarations (live-protocol.md 2.3); few tools work better, and more are a mistake.
pub const TOOLS_MAX: usize = 128;

const NAME: Key<Text> = Key {
    name: "name",
    kind: Text { what: "the function's name", chars_max: 128, check: function_name, default: "" },
    need: Need::Required,
    doc: "The function's name that the model sees.",
};
const DESCRIPTION: Key<Text> = Key {
    name: "description",
    kind: Text { what: "a sentence for the model", chars_max: 4096, check: any_text, default: "" },
    need: Need::Required,
    doc: "When to call it and when not, for the model.",
};
const BEHAVIOR: Key<Choice<Behavior>> = Key {
    name: "behavior",
    kind: Choice {
        options: &[("blocking", Behavior::Blocking), ("non_blocking", Behavior::NonBlocking)],
        default: Behavior::Blocking, // right for quick local actions: done first, told then (live-protocol.md 2.3)
    },
    need: Need::Defaults,
    doc: "Whether the model waits silently for the answer.",
};
const TIMEOUT_MS: Key<Whole> = Key {
    name: "timeout_ms",
    kind: Whole { unit: "ms", min: 100, max: 60_000, step: 1, default: 0 },
    need: Need::Optional,
    doc: "Time limit of this tool; `limits.tool_timeout_ms` where absent.",
};

/// One of `[[tools]]`.
pub const TOOL: Sheet =
    Sheet { name: "tools", keys: &[&NAME, &DESCRIPTION, &BEHAVIOR, &TIMEOUT_MS], tables: &["parameters", "action"] };

/// What a gpio action does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GpioVerb {
    /// [`Action::GpioSet`].
    Set,
    /// [`Action::GpioPulse`].
    Pulse,
    /// [`Action::GpioRead`].
    Read,
}

const GPIO: Key<Choice<GpioVerb>> = Key {
    name: "gpio",
    kind: Choice {
        options: &[("set", GpioVerb::Set), ("pulse", GpioVerb::Pulse), ("read", GpioVerb::Read)],
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
        check: super::super::board::line_name,
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

/// `action = { gpio = "set", … }`.
pub const SET: Sheet = Sheet { name: "tools.action", keys: &[&GPIO, &LINE, &ARGUMENT], tables: &[] };
/// `action = { gpio = "pulse", … }`.
pub const PULSE: Sheet = Sheet { name: "tools.action", keys: &[&GPIO, &LINE, &PULSE_MS], tables: &[] };
/// `action = { gpio = "read", … }`.
pub const READ: Sheet = Sheet { name: "tools.action", keys: &[&GPIO, &LINE], tables: &[] };

/// The tools of the file; those with problems are left out (the problems are noted).
pub(super) fn tools(reader: &mut Reader<'_>, top: &Section<'_>, timeout_ms: u32) -> Vec<Tool> {
    let Some(value) = top.value("tools") else { return Vec::new() };
    let Some(list) = value.get_ref().as_array() else {
        reader.note_at(value, "tools".into(), wrong_type(value.get_ref(), "a list: head each tool with `[[tools]]`"));
        return Vec::new();
    };
    if list.len() > TOOLS_MAX {
        reader.note_at(value, "tools".into(), format!("has {} tools; at most {TOOLS_MAX} are taken", list.len()));
        return Vec::new();
    }
    let mut tools: Vec<Tool> = Vec::new();
    for (index, item) in list.iter().enumerate() {
        let Some(tool) = tool(reader, item, index, timeout_ms) else { continue };
        if tools.iter().any(|other| other.name == tool.name) {
            let message =
                format!("is \"{}\", as that of an earlier tool; every tool needs a name of its own", tool.name);
            let section = section_of(item, index, reader);
            reader.object(&section, NAME.name, message);
        }
        tools.push(tool);
    }
    tools
}

fn section_of<'t>(item: &'t Spanned<DeValue<'t>>, index: usize, reader: &Reader<'_>) -> Section<'t> {
    Section { table: item.get_ref().as_table(), path: format!("tools[{index}]"), line: reader.line_of(item) }
}

fn tool(reader: &mut Reader<'_>, item: &Spanned<DeValue<'_>>, index: usize, limit_ms: u32) -> Option<Tool> {
    let path = format!("tools[{index}]");
    let line = reader.line_of(item);
    let Some(table) = item.get_ref().as_table() else {
        reader.note(line, path, wrong_type(item.get_ref(), "a table: head each tool with `[[tools]]`"));
        return None;
    };
    let section = reader.open(table, &path, line, &TOOL);
    let timeout_ms = reader.find(&section, &TIMEOUT_MS).unwrap_or(limit_ms);
    let parameters = schema::parameters(reader, &section);
    Some(Tool {
        name: reader.get(&section, &NAME),
        description: reader.get(&section, &DESCRIPTION),
        behavior: reader.get(&section, &BEHAVIOR),
        timeout_ms,
        action: action(reader, &section, &parameters, timeout_ms)?,
        parameters: parameters.ok().flatten(),
    })
}

fn action(
    reader: &mut Reader<'_>,
    tool: &Section<'_>,
    parameters: &Result<Option<Value>, Noted>,
    timeout_ms: u32,
) -> Option<Action> {
    const FORM: &str = "a table such as { gpio = \"set\", line = \"lamp\", argument = \"on\" }";
    let Some(value) = tool.value("action") else {
        reader.object(tool, "action", format!("is missing; it must be {FORM}"));
        return None;
    };
    let Some(table) = value.get_ref().as_table() else {
        reader.note_at(value, tool.key("action"), wrong_type(value.get_ref(), FORM));
        return None;
    };
    let place = Section { table: Some(table), path: tool.key("action"), line: reader.line_of(value) };
    let verb = table.contains_key(GPIO.name).then(|| reader.find(&place, &GPIO));
    let verb = match verb {
        Some(verb) => verb?,
        None => {
            reader.get(&place, &GPIO); // notes that it is missing
            return None;
        }
    };
    let sheet = match verb {
        GpioVerb::Set => &SET,
        GpioVerb::Pulse => &PULSE,
        GpioVerb::Read => &READ,
    };
    let section = reader.open(table, &place.path, place.line, sheet);
    let line = reader.get(&section, &LINE);
    Some(match verb {
        GpioVerb::Read => Action::GpioRead { line },
        GpioVerb::Set => Action::GpioSet { line, argument: set_argument(reader, &section, parameters) },
        GpioVerb::Pulse => Action::GpioPulse { line, pulse_ms: pulse(reader, &section, timeout_ms) },
    })
}

/// The pulse's length; it must end before the call's time limit does.
fn pulse(reader: &mut Reader<'_>, section: &Section<'_>, timeout_ms: u32) -> u32 {
    let pulse_ms = reader.get(section, &PULSE_MS);
    if pulse_ms >= timeout_ms {
        let message = format!(
            "is {pulse_ms} ms, but the call is stopped after {timeout_ms} ms: shorten the pulse or raise the tool's `timeout_ms`"
        );
        reader.object(section, PULSE_MS.name, message);
    }
    pulse_ms
}

/// The name of the parameter that says on or off; it must be one, and always given.
fn set_argument(reader: &mut Reader<'_>, section: &Section<'_>, parameters: &Result<Option<Value>, Noted>) -> String {
    let argument = reader.get(section, &ARGUMENT);
    // Where either is wrong already, that has been said.
    let (Ok(parameters), false) = (parameters, argument.is_empty()) else { return argument };
    let example = format!(
        "parameters = {{ type = \"OBJECT\", properties = {{ {argument} = {{ type = \"BOOLEAN\" }} }}, required = [\"{argument}\"] }}"
    );
    let kind = parameters.as_ref().map(|schema| &schema["properties"][&argument]["type"]);
    let required = parameters.as_ref().and_then(|schema| schema["required"].as_array());
    let is_required = required.is_some_and(|names| names.iter().any(|name| name == argument.as_str()));
    let complaint = match kind {
        None => Some("the tool has no parameters".to_string()),
        Some(kind) if kind == "BOOLEAN" && is_required => None,
        Some(kind) if kind == "BOOLEAN" => Some("it is not in `required`".to_string()),
        Some(Value::String(kind)) => Some(format!("it is {kind}")),
        Some(_) => Some("there is no such property".to_string()),
    };
    if let Some(complaint) = complaint {
        let message = format!("names \"{argument}\", but {complaint}; it must be a required BOOLEAN: {example}");
        reader.object(section, ARGUMENT.name, message);
    }
    argument
}

/// The service's rule for function names (live-protocol.md 2.3).
fn function_name(name: &str) -> Result<(), String> {
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let goes_on_well = name.chars().all(|letter| letter.is_ascii_alphanumeric() || "_.:-".contains(letter));
    if starts_well && goes_on_well {
        return Ok(());
    }
    Err("must begin with a letter or `_` and go on with letters, digits, `_`, `.`, `:` or `-` (no blanks, no accents)"
        .into())
}
