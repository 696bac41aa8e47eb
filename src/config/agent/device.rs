//! `device_tools`: tools that the device brings along, each with the words that models understand it by.

use serde_json::{Value, json};

use super::super::key::{Key, Need};
use super::super::read::{Reader, Section};
use super::super::several::Texts;
use super::job_log::JobAction;
use super::see::See;
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
    /// Rings after a while: `seconds`, `name`.
    SetTimer,
    /// Rings at a time of day: `time`, `days`, `repeat`, `name`.
    SetAlarm,
    /// Tells what rings when.
    ListTimers,
    /// Takes a timer or an alarm back, or stops it ringing: `name`.
    CancelTimer,
    /// Shows something on the screen: `title`, `text`, `link`, `picture`.
    Show,
    /// Chooses the language of this conversation: `language`.
    Language,
    /// Shows what is before the camera now.
    Look,
    /// Something of the job log's; its tools come with `[job_log]`.
    Job(JobAction),
}

/// One row: the word in the list, the function's name, its description, what it does.
type Row = (&'static str, &'static str, &'static str, DeviceAction);

const ROWS: [Row; 13] = [
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
    (
        "timers",
        "set_timer",
        "Sets a timer on this device: it rings after so many seconds until somebody stops it. Call it for \"remind me in\" and \"wake me in\", too. Give it a name that says what it is for, where you know; the same name again sets that timer anew.",
        DeviceAction::SetTimer,
    ),
    (
        "timers",
        "set_alarm",
        "Sets an alarm on this device: it rings at a time of day, local time, until somebody stops it. Call it for \"wake me at\" and \"remind me at\", too; it rings the next time it is that time, or on certain weekdays, or again and again.",
        DeviceAction::SetAlarm,
    ),
    (
        "timers",
        "list_timers",
        "Tells all timers and alarms of this device: their names, when each rings, and what rings now. Call it whenever the user asks for them; never answer from memory.",
        DeviceAction::ListTimers,
    ),
    (
        "timers",
        "cancel_timer",
        "Takes back a timer or an alarm of this device, or stops what rings. Call it without a name when something rings and the user says stop, yes, thanks or that they are coming.",
        DeviceAction::CancelTimer,
    ),
    (
        "language",
        "choose_language",
        "Makes a language the one of this conversation, on this device's screen too. Call it once, as soon as the user speaks another language than the conversation was in so far, or asks for one; then answer in it.",
        DeviceAction::Language,
    ),
    (
        "show",
        "show",
        "Shows something on this device's screen: a title, a short text, a link, a picture, any of them. Call it when the user asks to see something, or when an address, a list or a number is easier read than heard; say in a word that it is on the screen. What is left out is empty; call it without anything to clear the screen.",
        DeviceAction::Show,
    ),
];

/// The function by which the model sees; it is there where the camera is used (`[see]`).
pub const LOOK: &str = "look";
const LOOK_ROW: Row = (
    "see",
    LOOK,
    "Takes a picture with this device's camera now and shows it to you. Call it whenever the answer depends on what is before the camera; never guess, and never answer from an older picture.",
    DeviceAction::Look,
);

/// Tools of the device are done at once …
const TIMEOUT_MS: u32 = 2_000;
/// … but a sensor that was off needs its time.
const LOOK_TIMEOUT_MS: u32 = 10_000;

/// The list.
pub const DEVICE_TOOLS: Key<Texts> = Key {
    name: "device_tools",
    kind: Texts { what: "a tool of the device", chars_max: 16, count_max: ROWS.len(), check: known },
    need: Need::Optional,
    doc: "Tools that the device brings along: \"time\", \"volume\", \"mute\", \"stop\", \"repeat\", \"end\", \"status\", \"timers\" (timers and alarms that ring), \"language\" (chosen by voice), \"show\" (on the screen of [panel]).",
};

fn known(word: &str) -> Result<(), String> {
    if ROWS.iter().any(|(name, ..)| *name == word) {
        return Ok(());
    }
    let mut words: Vec<&str> = ROWS.iter().map(|(name, ..)| *name).collect();
    words.dedup();
    Err(format!("is none; there are {}", words.join(", ")))
}

/// The tools of the list; one whose name the file's own tools have is noted.
pub(super) fn tools(reader: &mut Reader<'_>, top: &Section<'_>, own: &[Tool], see: &See, has_panel: bool) -> Vec<Tool> {
    let words = reader.find(top, &DEVICE_TOOLS).unwrap_or_default();
    let rows = ROWS.iter().filter(|(word, ..)| words.iter().any(|wanted| wanted == word));
    let rows = rows.chain(see.is_on().then_some(&LOOK_ROW));
    let mut tools = Vec::new();
    for (word, name, description, action) in rows {
        if *action == DeviceAction::Show && !has_panel {
            let message = format!("has \"{word}\", but there is no screen: name an address with `listen` in [panel]");
            reader.object(top, DEVICE_TOOLS.name, message);
        }
        if own.iter().any(|tool| tool.name == *name) {
            let (key, message) = match action {
                DeviceAction::Look => {
                    ("see", format!("brings the tool `{name}`, which [[tools]] declares, too: give that another name"))
                }
                _ => (
                    DEVICE_TOOLS.name,
                    format!("has \"{word}\", whose tool `{name}` is declared in [[tools]], too: take one of them out"),
                ),
            };
            reader.object(top, key, message);
        }
        tools.push(tool(name, description, *action));
    }
    tools
}

fn tool(name: &str, description: &str, action: DeviceAction) -> Tool {
    Tool {
        description: description.to_string(),
        parameters: parameters(action),
        behavior: Behavior::Blocking,
        timeout_ms: if action == DeviceAction::Look { LOOK_TIMEOUT_MS } else { TIMEOUT_MS },
        ..Tool::new(name, Action::Device(action))
    }
}

/// The tool `look`, for an agent that is not read from a file.
pub fn look() -> Tool {
    let (_, name, description, action) = LOOK_ROW;
    tool(name, description, action)
}

fn parameters(action: DeviceAction) -> Option<Value> {
    let name = |about: &str| json!({"type": "STRING", "description": about});
    let object = |properties: Value, required: &[&str]| {
        Some(json!({"type": "OBJECT", "properties": properties, "required": required}))
    };
    match action {
        DeviceAction::Volume => {
            let percent = json!({
                "type": "INTEGER", "minimum": 0, "maximum": 100,
                "description": "0 is silent, 100 the loudest; 10 more or less is a step that one hears"
            });
            object(json!({ "percent": percent }), &["percent"])
        }
        DeviceAction::SetTimer => {
            let about = "How long, in seconds: 8 minutes are 480";
            let seconds = json!({"type": "INTEGER", "minimum": 1, "maximum": 604_800, "description": about});
            object(json!({ "seconds": seconds, "name": name("What it is for, in a word or two: pasta") }), &["seconds"])
        }
        DeviceAction::SetAlarm => {
            let time = json!({"type": "STRING", "description": "Time of day as HH:MM with 24 hours: 07:30, 19:05"});
            let day = json!({"type": "STRING", "enum": ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]});
            let about = "On which weekdays; whatever day comes first where it is left out";
            let days = json!({"type": "ARRAY", "items": day, "description": about});
            let about = "true: every day, or on each of the weekdays; otherwise only the next time";
            let repeat = json!({"type": "BOOLEAN", "description": about});
            let name = name("What it is for, in a word or two: medicine");
            object(json!({ "time": time, "days": days, "repeat": repeat, "name": name }), &["time"])
        }
        DeviceAction::Language => {
            let about = "The language's English name, and nothing else: German";
            object(json!({ "language": name(about) }), &["language"])
        }
        DeviceAction::CancelTimer => {
            let about = "The name, as it was set. Leave it out for what rings, or where only one is set";
            object(json!({ "name": name(about) }), &[])
        }
        DeviceAction::Show => {
            let about = "An address that begins with https://";
            let picture = "A picture's address that begins with https://, of a host that the owner allowed";
            let properties = json!({
                "title": name("A few words"), "text": name("A sentence or a short list"), "link": name(about),
                "picture": name(picture),
            });
            object(properties, &[])
        }
        _ => None,
    }
}
