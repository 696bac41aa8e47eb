//! `action = { … }`: what a tool does. One file a kind; the kind is the key that the table has.

pub mod address;
pub mod command;
pub mod gpio;
pub mod home;
pub mod http;
pub mod mqtt;
pub mod pwm;
pub mod sensor;

use serde_json::Value;
use toml::Spanned;
use toml::de::DeValue;

use super::super::key::wrong_type;
use super::super::read::{Reader, Section};
use super::home::HomeAssistant;
use super::schema::Noted;
use super::secrets::Secrets;
use super::template::Template;
use super::{device, mcp};
use address::Host;

/// What a tool does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Sets an output line to what the BOOLEAN argument `argument` says.
    GpioSet {
        /// Line of the board profile.
        line: String,
        /// Name of the BOOLEAN parameter.
        argument: String,
    },
    /// Makes an output line active for a while.
    GpioPulse {
        /// Line of the board profile.
        line: String,
        /// How long, ms, 1–60000.
        pulse_ms: u32,
    },
    /// Makes an output line active several times.
    GpioBlink {
        /// Line of the board profile.
        line: String,
        /// How long it is active each time, ms, 20–60000.
        on_ms: u32,
        /// How long it is inactive in between, ms, 20–60000.
        off_ms: u32,
        /// How often, 1–100.
        times: u32,
    },
    /// Reads a line.
    GpioRead {
        /// Line of the board profile.
        line: String,
    },
    /// Waits for an input line to change.
    GpioWait {
        /// Line of the board profile.
        line: String,
        /// How it is to change.
        edge: gpio::EdgeKind,
        /// How long at most, ms, 10–60000.
        wait_ms: u32,
    },
    /// Topics of the broker.
    Mqtt(mqtt::MqttAction),
    /// Reads a sensor of the board profile, by its name.
    SensorRead(String),
    /// Moves a PWM output of the board profile.
    Pwm(pwm::PwmAction),
    /// The device does something with itself.
    Device(device::DeviceAction),
    /// Asks a server.
    Http(http::HttpAction),
    /// Uses an entity of Home Assistant.
    Home(home::HomeAction),
    /// Runs a program.
    Command(command::CommandAction),
    /// Calls a tool of a server of `[[mcp]]`.
    Mcp(mcp::McpAction),
}

impl Action {
    /// The parameter that says on or off, where the action itself knows it.
    pub fn on_argument(&self) -> Option<&str> {
        match self {
            Action::GpioSet { argument, .. } => Some(argument),
            Action::Home(home::HomeAction { verb: home::HomeVerb::Switch { argument }, .. }) => Some(argument),
            Action::Pwm(action) => action.on_argument(),
            Action::Mqtt(action) => action.on_argument(),
            _ => None,
        }
    }
}

const FORM: &str = "a table such as { gpio = \"set\", line = \"lamp\", argument = \"on\" }";

/// What an action must fit to.
pub(super) struct Around<'a> {
    /// The tool's `parameters`.
    pub(super) parameters: &'a Result<Option<Value>, Noted>,
    /// When a call is stopped, ms.
    pub(super) timeout_ms: u32,
    /// The secrets that there are.
    pub(super) secrets: &'a Secrets,
    /// Whether there is a broker.
    pub(super) has_mqtt: bool,
    /// The hosts of `[http]`; none where they are wrong.
    pub(super) hosts: Option<&'a [Host]>,
    /// `[home_assistant]`.
    pub(super) home: &'a Result<Option<HomeAssistant>, Noted>,
}

impl Around<'_> {
    /// The schema of a parameter, with whether every call has it; none where there is no such parameter, or the
    /// schema is wrong, which has been said.
    pub(super) fn parameter(&self, name: &str) -> Option<(&Value, bool)> {
        let schema = self.parameters.as_ref().ok()?.as_ref()?;
        let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
        Some((schema["properties"].get(name)?, required.iter().any(|known| known == name)))
    }

    /// Notes places of a template at `key` for which there is no required parameter or no secret.
    pub(super) fn check_places(&self, reader: &mut Reader<'_>, at: &Section<'_>, key: &str, template: &Template) {
        for name in template.arguments().filter(|_| self.parameters.is_ok()) {
            let lacks = match self.parameter(name) {
                Some((_, true)) => continue,
                Some((_, false)) => "is not in `required`, so a call may come without it",
                None => "is not a parameter of the tool",
            };
            reader.object(at, key, format!("has the place `{{{name}}}`, but `{name}` {lacks}"));
        }
        for name in template.secrets().filter(|name| !self.secrets.contains_key(*name)) {
            let message = format!("has the place `{{secret.{name}}}`, but [secrets] has no `{name}`");
            reader.object(at, key, message);
        }
    }

    /// Notes places of a template at `key` whose argument is a list or a table: neither fits into a text.
    pub(super) fn check_scalars(&self, reader: &mut Reader<'_>, at: &Section<'_>, key: &str, template: &Template) {
        for name in template.arguments() {
            let kind = self.parameter(name).and_then(|(schema, _)| schema["type"].as_str());
            if let Some(kind @ ("ARRAY" | "OBJECT")) = kind {
                let message = format!("has the place `{{{name}}}`, but `{name}` is {kind}, which is no part of a text");
                reader.object(at, key, message);
            }
        }
    }
}

type Read = fn(&mut Reader<'_>, &Section<'_>, &Around<'_>) -> Option<Action>;

/// The kinds by the key that names them.
const KINDS: [(&str, Read); 7] = [
    ("gpio", gpio::read),
    ("mqtt", mqtt::read),
    ("http", http::read),
    ("command", command::read),
    ("home_assistant", home::read),
    ("pwm", pwm::read),
    ("sensor", sensor::read),
];

/// The tool's action; none where it is wrong, which was noted.
pub(super) fn action(reader: &mut Reader<'_>, tool: &Section<'_>, around: &Around<'_>) -> Option<Action> {
    let Some(value) = tool.value("action") else {
        reader.object(tool, "action", format!("is missing; it must be {FORM}"));
        return None;
    };
    let Some(place) = section(reader, tool, value) else {
        reader.note_at(value, tool.key("action"), wrong_type(value.get_ref(), FORM));
        return None;
    };
    let named: Vec<_> = KINDS.iter().filter(|(kind, _)| place.value(kind).is_some()).collect();
    match named.as_slice() {
        [(_, read)] => read(reader, &place, around),
        [] => {
            let kinds: Vec<&str> = KINDS.iter().map(|(kind, _)| *kind).collect();
            let message = format!("does not say what kind it is: one of {} must be among its keys", kinds.join(", "));
            reader.object(tool, "action", message);
            None
        }
        several => {
            let kinds: Vec<&str> = several.iter().map(|(kind, _)| *kind).collect();
            reader.object(tool, "action", format!("is of several kinds ({}); it must be of one", kinds.join(", ")));
            None
        }
    }
}

fn section<'t>(reader: &Reader<'_>, tool: &Section<'t>, value: &'t Spanned<DeValue<'t>>) -> Option<Section<'t>> {
    let table = value.get_ref().as_table()?;
    Some(Section { table: Some(table), path: tool.key("action"), line: reader.line_of(value) })
}

/// Opens the action's table by its sheet: notes keys that do not belong there.
pub(super) fn open<'t>(reader: &mut Reader<'_>, place: &Section<'t>, sheet: &super::super::read::Sheet) -> Section<'t> {
    match place.table {
        Some(table) => reader.open(table, &place.path, place.line, sheet),
        None => Section { table: None, path: place.path.clone(), line: place.line },
    }
}
