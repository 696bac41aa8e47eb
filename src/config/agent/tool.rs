//! `[[tools]]`: what the model may call, by the service's rules for names and schemas.

use toml::Spanned;
use toml::de::DeValue;

use super::super::key::{Choice, Key, Need, Text, Whole, any_text, wrong_type};
use super::super::read::{Reader, Section, Sheet};
use super::action::address::Host;
use super::action::{self, Around};
use super::secrets::Secrets;
use super::{Behavior, Tool};
use super::{policy, schema};

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
pub(super) const BEHAVIOR: Key<Choice<Behavior>> = Key {
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
pub const TOOL: Sheet = Sheet {
    name: "tools",
    keys: &[&NAME, &DESCRIPTION, &BEHAVIOR, &TIMEOUT_MS],
    tables: &["parameters", "action", "policy"],
};

/// The tools of the file; those with problems are left out (the problems are noted).
pub(super) fn tools(
    reader: &mut Reader<'_>,
    top: &Section<'_>,
    timeout_ms: u32,
    secrets: &Secrets,
    hosts: Option<&[Host]>,
) -> Vec<Tool> {
    let Some(value) = top.value("tools") else { return Vec::new() };
    let Some(list) = value.get_ref().as_array() else {
        reader.note_at(value, "tools".into(), wrong_type(value.get_ref(), "a list: head each tool with `[[tools]]`"));
        return Vec::new();
    };
    if list.len() > TOOLS_MAX {
        reader.note_at(value, "tools".into(), format!("has {} tools; at most {TOOLS_MAX} are taken", list.len()));
        return Vec::new();
    }
    let mqtt = top.value("mqtt").and_then(|section| section.get_ref().as_table());
    let has_mqtt = mqtt.is_some_and(|section| section.contains_key("host"));
    let mut tools: Vec<Tool> = Vec::new();
    for (index, item) in list.iter().enumerate() {
        let Some(tool) = tool(reader, item, index, timeout_ms, (secrets, has_mqtt), hosts) else { continue };
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

fn tool(
    reader: &mut Reader<'_>,
    item: &Spanned<DeValue<'_>>,
    index: usize,
    limit_ms: u32,
    (secrets, has_mqtt): (&Secrets, bool),
    hosts: Option<&[Host]>,
) -> Option<Tool> {
    let path = format!("tools[{index}]");
    let line = reader.line_of(item);
    let Some(table) = item.get_ref().as_table() else {
        reader.note(line, path, wrong_type(item.get_ref(), "a table: head each tool with `[[tools]]`"));
        return None;
    };
    let section = reader.open(table, &path, line, &TOOL);
    let timeout_ms = reader.find(&section, &TIMEOUT_MS).unwrap_or(limit_ms);
    let parameters = schema::parameters(reader, &section);
    let around = Around { parameters: &parameters, timeout_ms, secrets, hosts, has_mqtt };
    // All of it is looked at, whatever is wrong with the action.
    let (name, description) = (reader.get(&section, &NAME), reader.get(&section, &DESCRIPTION));
    let behavior = reader.get(&section, &BEHAVIOR);
    let action = action::action(reader, &section, &around)?;
    let policy = policy::policy(reader, &section, behavior, &action, &around);
    Some(Tool { name, description, behavior, timeout_ms, action, policy, parameters: parameters.ok().flatten() })
}

/// The service's rule for function names (live-protocol.md 2.3).
pub(super) fn function_name(name: &str) -> Result<(), String> {
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let goes_on_well = name.chars().all(|letter| letter.is_ascii_alphanumeric() || "_.:-".contains(letter));
    if starts_well && goes_on_well {
        return Ok(());
    }
    Err("must begin with a letter or `_` and go on with letters, digits, `_`, `.`, `:` or `-` (no blanks, no accents)"
        .into())
}
