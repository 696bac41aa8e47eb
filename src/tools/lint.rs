//! What makes models fail with tools that are valid: found before somebody stands in front of the device and wonders.

use std::fmt;

use serde_json::Value;

use crate::config::agent::action::http::Method;
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
/// First words of names that promise an answer.
const ASKING: [&str; 13] =
    ["get", "read", "is", "are", "has", "tell", "list", "find", "check", "show", "query", "search", "what"];
/// Programs that print nothing when they did what they were to do.
const SILENT: [&str; 14] = [
    "systemctl",
    "kill",
    "killall",
    "touch",
    "cp",
    "mv",
    "rm",
    "mkdir",
    "ln",
    "chmod",
    "logger",
    "sleep",
    "true",
    "aplay",
];

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
        result(tool, &mut say);
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
    if RESERVED.contains(&tool.name.as_str()) && !matches!(tool.action, Action::Device(_)) {
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

/// A result that says nothing makes a model ask again, or make up what it was asked for.
fn result(tool: &Tool, say: &mut impl FnMut(String)) {
    let first = |letter: char| letter == '_' || letter.is_ascii_uppercase();
    let verb = tool.name.split(first).next().unwrap_or_default();
    if let Action::Http(action) = &tool.action
        && action.method == Method::Get
        && action.pick.is_empty()
        && tool.policy.on_argument.is_none()
    {
        say("the model gets all that the server answers, and where that is empty only that it was done: name the parts \
             that are wanted in `pick`"
            .into());
    } else if let Some(what) = told_of(&tool.action).filter(|_| ASKING.contains(&verb)) {
        say(format!(
            "its name promises an answer, but all that the model gets is {what}: choose an action that reads, or a name \
             that says what it does"
        ));
    }
}

/// What the model is told of an action that has nothing to tell but that it was done; none where it tells more.
fn told_of(action: &Action) -> Option<String> {
    let what = match action {
        Action::GpioSet { .. } | Action::GpioPulse { .. } | Action::GpioBlink { .. } => "what the line was set to",
        Action::Pwm(_) => "what the output was set to",
        Action::Mqtt(MqttAction::Publish(_)) => "that the message was sent",
        Action::Http(action) if action.method == Method::Head => "a status",
        Action::Http(action) if !action.method.is_safe() && action.pick.is_empty() => {
            "a status, where the server answers nothing"
        }
        Action::Command(action) => {
            let name = action.program.file_name().and_then(|name| name.to_str())?;
            return SILENT.contains(&name).then(|| format!("an exit code, as `{name}` prints nothing when it worked"));
        }
        _ => return None,
    };
    Some(what.to_string())
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

    #[test]
    fn results_that_say_nothing_are_found() {
        let tool = |name: &str, action: &str| {
            format!(
                "[[tools]]\nname = \"{name}\"\ndescription = \"Call it when the user asks for it ({name}).\"\n\
                 action = {{ {action} }}\n"
            )
        };
        let url = r#"url = "https://hub.example.org/x""#;
        let text = [
            tool("get_weather", &format!("http = \"GET\", {url}")),
            tool("get_rain", &format!("http = \"GET\", {url}, pick = {{ rain = \"/rain\" }}")),
            tool("is_up", &format!("http = \"HEAD\", {url}")),
            tool("get_code", &format!("http = \"POST\", {url}")),
            tool("send_code", &format!("http = \"POST\", {url}")),
            tool("checkBell", r#"gpio = "pulse", line = "bell", pulse_ms = 5"#),
            tool("is_radio_on", r#"command = ["/usr/bin/systemctl", "restart", "radio"]"#),
            tool("restart_radio", r#"command = ["/usr/bin/systemctl", "restart", "radio"]"#),
            tool("list_files", r#"command = ["/usr/bin/ls", "/srv"]"#),
            "[http]\nhosts = [\"hub.example.org\"]\n[limits]\ntool_timeout_ms = 3000\n".to_string(),
        ];
        let found = findings(&text.concat());
        let words = [
            ("get_weather", "`pick`"),
            ("is_up", "a status"),
            ("get_code", "where the server answers nothing"),
            ("checkBell", "what the line was set to"),
            ("is_radio_on", "`systemctl` prints nothing"),
        ];
        assert_eq!(found.len(), words.len(), "{found:#?}");
        for (found, (name, word)) in found.iter().zip(words) {
            assert!(found.starts_with(&format!("{name}: ")) && found.contains(word), "{found} says not {word}");
        }
    }
}
