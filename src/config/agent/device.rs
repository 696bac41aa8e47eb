//! `device_tools`: tools that the device brings along, each with the words that models understand it by.

use serde_json::{Value, json};

use super::super::key::{Key, Need};
use super::super::read::{Reader, Section};
use super::super::several::Texts;
use super::{Action, Behavior, Tool};

/// What such a tool does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceAction {
    /// Tells date and time.
    Time,
    /// Sets the loudness: `percent`.
    Volume,
    /// Closes the microphone.
    Mute,
    /// Falls silent.
    Stop,
    /// Says the last reply once more.
    Repeat,
    /// Ends the conversation once the reply has been heard.
    End,
    /// Tells how the device is.
    Status,
}

/// One row: the word in the list, the function's name, its description, what it does.
type Row = (&'static str, &'static str, &'static str, DeviceAction);

const ROWS: [Row; 7] = [
    (
        "time",
        "get_time",
        "Tells today's date, the weekday and the time of day here. Call it whenever the answer depends on the date or the time; never guess them.",
        DeviceAction::Time,
    ),
    (
        "volume",
        "set_volume",
        "Sets how loud this device speaks. Call it when the user asks for louder, softer or a certain loudness; not for other devices.",
        DeviceAction::Volume,
    ),
    (
        "mute",
        "mute_microphone",
        "Closes this device's microphone until somebody presses its button. Call it only when the user asks not to be listened to any more.",
        DeviceAction::Mute,
    ),
    (
        "stop",
        "stop_talking",
        "Makes this device silent at once. Call it when the user wants you to be quiet, and say nothing after it.",
        DeviceAction::Stop,
    ),
    (
        "repeat",
        "repeat_reply",
        "Plays your last reply once more, in the very same words. Call it when the user did not understand it acoustically; say nothing after it.",
        DeviceAction::Repeat,
    ),
    (
        "end",
        "end_conversation",
        "Ends the conversation after what you are saying. Call it when the user says goodbye or needs nothing more.",
        DeviceAction::End,
    ),
    (
        "status",
        "get_device_status",
        "Tells how this device is: for how long it has been running, what it has switched on, and what is out of order. Call it when the user asks about the device itself.",
        DeviceAction::Status,
    ),
];

/// Tools of the device are done at once.
const TIMEOUT_MS: u32 = 2_000;

/// The list.
pub const DEVICE_TOOLS: Key<Texts> = Key {
    name: "device_tools",
    kind: Texts { what: "a tool of the device", chars_max: 16, count_max: ROWS.len(), check: known },
    need: Need::Optional,
    doc: "Tools that the device brings along: \"time\", \"volume\", \"mute\", \"stop\", \"repeat\", \"end\", \"status\".",
};

fn known(word: &str) -> Result<(), String> {
    if ROWS.iter().any(|(name, ..)| *name == word) {
        return Ok(());
    }
    let words: Vec<&str> = ROWS.iter().map(|(name, ..)| *name).collect();
    Err(format!("is none; there are {}", words.join(", ")))
}

/// The tools of the list; one whose name the file's own tools have is noted.
pub(super) fn tools(reader: &mut Reader<'_>, top: &Section<'_>, own: &[Tool]) -> Vec<Tool> {
    let words = reader.find(top, &DEVICE_TOOLS).unwrap_or_default();
    let rows = ROWS.iter().filter(|(word, ..)| words.iter().any(|wanted| wanted == word));
    let mut tools = Vec::new();
    for (word, name, description, action) in rows {
        if own.iter().any(|tool| tool.name == *name) {
            let message =
                format!("has \"{word}\", whose tool `{name}` is declared in [[tools]], too: take one of them out");
            reader.object(top, DEVICE_TOOLS.name, message);
        }
        tools.push(Tool {
            description: (*description).to_string(),
            parameters: parameters(*action),
            behavior: Behavior::Blocking,
            timeout_ms: TIMEOUT_MS,
            ..Tool::new(name, Action::Device(*action))
        });
    }
    tools
}

fn parameters(action: DeviceAction) -> Option<Value> {
    let percent = json!({
        "type": "INTEGER", "minimum": 0, "maximum": 100,
        "description": "0 is silent, 100 the loudest; 10 more or less is a step that one hears"
    });
    match action {
        DeviceAction::Volume => {
            Some(json!({"type": "OBJECT", "properties": {"percent": percent}, "required": ["percent"]}))
        }
        _ => None,
    }
}
