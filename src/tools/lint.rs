//! What makes models fail with tools that are valid: found before somebody stands in front of the device and wonders.

use std::fmt;

use serde_json::Value;

use crate::config::agent::action::mqtt::MqttAction;
use crate::config::agent::policy::Confirm;
use crate::config::agent::{Action, Behavior, Tool};

/// A model chooses well among so many; the service's own advice is 10 to 20.
const TOOLS_GOOD: usize = 20;
/// A description that says when to call has about as many letters.
const DESCRIPTION_CHARS_MIN: usize = 30;
/// A model that waits silently for longer makes people ask again.
const BLOCKING_GOOD_MS: u32 = 5_000;
/// Parameters of one tool that a spoken sentence can fill.
const PARAMETERS_GOOD: usize = 5;
/// Names that mynah has plans for.
const RESERVED: [&str; 2] = ["look", "remember"];
/// Names that let somebody in, and that should ask first.
const WEIGHTY: [&str; 7] = ["door", "lock", "gate", "garage", "alarm", "valve", "oven"];

/// A finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The tool; none where it concerns all.
    pub tool: Option<String>,
    /// What it leads to, and what to do.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tool {
            Some(tool) => write!(f, "`{tool}`: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// All findings, those of each tool in order, then those of all together.
pub fn lint(tools: &[Tool]) -> Vec<Finding> {
    let mut found = Vec::new();
    for tool in tools {
        let mut say = |text: String| found.push(Finding { tool: Some(tool.name.clone()), text });
        description(tool, &mut say);
        parameters(tool, &mut say);
        conduct(tool, &mut say);
    }
    for (index, tool) in tools.iter().enumerate() {
        for other in &tools[index + 1..] {
            alike(tool, other, &mut found);
        }
    }
    if tools.len() > TOOLS_GOOD {
        let text = format!(
            "{} tools are many: among more than {TOOLS_GOOD} models choose wrong more often; take out what nobody asks for",
            tools.len()
        );
        found.push(Finding { tool: None, text });
    }
    found
}

fn description(tool: &Tool, say: &mut impl FnMut(String)) {
    let text = tool.description.trim();
    let words = text.to_lowercase();
    if words == tool.name.replace('_', " ").to_lowercase() {
        say("its description only repeats its name: say when to call it, and when not".into());
    } else if text.chars().count() < DESCRIPTION_CHARS_MIN {
        say(format!("its description has {} characters: say when to call it, and when not", text.chars().count()));
    } else if !["call", "when", "use", "only", "asks"].iter().any(|word| words.contains(word)) {
        say("its description says what it is, not when to call it: add \"Call it when …\"".into());
    }
    if RESERVED.contains(&tool.name.as_str()) {
        say("its name is kept for a tool of mynah's own: choose another".into());
    }
}

fn parameters(tool: &Tool, say: &mut impl FnMut(String)) {
    let Some(properties) = tool.parameters.as_ref().and_then(|schema| schema["properties"].as_object()) else { return };
    for (name, schema) in properties {
        let is_told = schema["description"].as_str().is_some_and(|text| !text.trim().is_empty());
        let is_plain = schema["enum"].is_array();
        if !is_told && !is_plain {
            say(format!("its parameter `{name}` has no description: the model guesses what belongs there"));
        }
        let is_number = matches!(schema["type"].as_str(), Some("NUMBER" | "INTEGER"));
        if is_number && (schema["minimum"].is_null() || schema["maximum"].is_null()) {
            say(format!("its parameter `{name}` has no `minimum` and `maximum`: the model may send any number"));
        }
    }
    if properties.len() > PARAMETERS_GOOD {
        say(format!("it has {} parameters: a spoken sentence fills few; make two tools of it", properties.len()));
    }
}

fn conduct(tool: &Tool, say: &mut impl FnMut(String)) {
    if tool.behavior == Behavior::Blocking && tool.timeout_ms > BLOCKING_GOOD_MS && is_remote(&tool.action) {
        say(format!(
            "the model waits silently for up to {} s: set `timeout_ms` lower, or `behavior = \"non_blocking\"`",
            tool.timeout_ms / 1000
        ));
    }
    let is_weighty = WEIGHTY.iter().any(|word| tool.name.split('_').any(|part| part == *word));
    let moves = tool.policy.on_argument.is_some() || matches!(tool.action, Action::GpioPulse { .. });
    if is_weighty && moves && tool.policy.confirm == Confirm::Off {
        say("anybody who is heard can do this: think of `confirm` in its policy".into());
    }
}

/// Whether the answer comes from elsewhere. What a broker said last is known here.
fn is_remote(action: &Action) -> bool {
    match action {
        Action::Mqtt(action) => !matches!(action, MqttAction::Read(_)),
        Action::Http(_) | Action::Command(_) | Action::Mcp(_) => true,
        _ => false,
    }
}

fn alike(tool: &Tool, other: &Tool, found: &mut Vec<Finding>) {
    let plain = |name: &str| name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    let mut say = |text: String| found.push(Finding { tool: Some(other.name.clone()), text });
    if plain(&tool.name) == plain(&other.name) {
        say(format!("its name is that of `{}` but for signs: models mix them up", tool.name));
    } else if tool.description.trim().eq_ignore_ascii_case(other.description.trim()) {
        say(format!("its description is that of `{}`: the model cannot know which to call", tool.name));
    }
}

/// The tools as the model sees them, for those who look.
pub fn declared(tools: &[Tool]) -> Vec<Value> {
    tools.iter().map(|tool| crate::live::setup::declaration(tool, tool.behavior)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::agent;

    fn findings(text: &str) -> Vec<String> {
        let found = lint(&agent::parse(text, "test").unwrap().tools);
        found.into_iter().map(|finding| format!("{}: {}", finding.tool.unwrap_or_default(), finding.text)).collect()
    }

    #[test]
    fn good_tools_have_nothing_to_find() {
        assert_eq!(findings(include_str!("../../systemd/mynah.toml")), [""; 0]);
    }

    #[test]
    fn what_makes_models_fail_is_found() {
        let found = findings(
            r#"
            [[tools]]
            name = "open_door"
            description = "open door"
            action = { gpio = "pulse", line = "door", pulse_ms = 5 }
            [[tools]]
            name = "openDoor"
            description = "Door."
            action = { gpio = "read", line = "door" }
            [[tools]]
            name = "look"
            description = "This is a function that has a long description of what it is."
            parameters = { type = "OBJECT", properties = { level = { type = "INTEGER" } } }
            action = { gpio = "read", line = "door" }
            "#,
        );
        let words = [
            "open_door: its description only repeats",
            "open_door: anybody who is heard",
            "openDoor: its description has 5 characters",
            "look: its description says what it is",
            "look: its name is kept",
            "look: its parameter `level` has no description",
            "look: its parameter `level` has no `minimum`",
            "openDoor: its name is that of `open_door`",
        ];
        assert_eq!(found.len(), words.len(), "{found:#?}");
        for (found, begin) in found.iter().zip(words) {
            assert!(found.starts_with(begin), "{found} does not begin with {begin}");
        }
    }
}
