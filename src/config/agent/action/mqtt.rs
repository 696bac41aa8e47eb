//! `action = { mqtt = "publish", … }`: topics of the broker that `[mqtt]` names.

use serde_json::Value;

use super::super::super::key::{Choice, Key, Need, Text, Whole, any_text, one_line};
use super::super::super::read::{Reader, Section, Sheet};
use super::super::super::several::Json;
use super::super::template::{Places, Template};
use super::super::{Action, Switch, mqtt::topic};
use super::{Around, open};

/// Time kept from the tool's limit to say what became of the call, ms.
const ANSWER_MS: u32 = 200;

/// What an mqtt action does.
#[derive(Clone, Debug, PartialEq)]
pub enum MqttAction {
    /// Publishes, and waits until the broker has confirmed it.
    Publish(Publication),
    /// The same; then waits for what the other side says its state is.
    PublishAndWait {
        /// What is published.
        publication: Publication,
        /// Where the state comes.
        state: StateOf,
        /// What it must become; any new one will do where absent.
        expect: Option<Expect>,
    },
    /// Tells the last state that was heard.
    Read(StateOf),
}

impl MqttAction {
    /// The argument that says on or off, where the action has one.
    pub fn on_argument(&self) -> Option<&str> {
        match self {
            MqttAction::Publish(publication) | MqttAction::PublishAndWait { publication, .. } => {
                match &publication.payload {
                    Payload::Switch { argument, .. } => Some(argument),
                    Payload::Text(_) | Payload::Json(_) => None,
                }
            }
            MqttAction::Read(_) => None,
        }
    }
}

/// What is published, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Publication {
    /// The topic.
    pub topic: Template,
    /// The message.
    pub payload: Payload,
    /// Whether the broker confirms it (quality of service 1).
    pub is_confirmed: bool,
    /// Whether the broker keeps it for who subscribes later.
    pub is_retained: bool,
    /// How long the broker may hold it for a receiver that is away, s; none for as long as it likes. MQTT 5 only.
    pub expire_s: Option<u32>,
    /// How long an answer is waited for, ms.
    pub wait_ms: u32,
}

/// A message with places.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// Text.
    Text(Template),
    /// One of two texts, by a BOOLEAN argument.
    Switch {
        /// The argument's name.
        argument: String,
        /// Where it is true.
        on: String,
        /// Where it is false.
        off: String,
    },
    /// JSON; a text in it that is one place takes the argument with its own type.
    Json(Value),
}

/// Where a state comes.
#[derive(Clone, Debug, PartialEq)]
pub struct StateOf {
    /// The topic.
    pub topic: Template,
    /// Where in the message, which is JSON then (RFC 6901).
    pub pointer: Option<String>,
}

/// What a state must become.
#[derive(Clone, Debug, PartialEq)]
pub enum Expect {
    /// What was published.
    Payload,
    /// This.
    Text(Template),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Publish,
    PublishAndWait,
    Read,
}

const TOPIC_CHARS_MAX: usize = 256; // brokers take 65535 bytes; people's topics have a tenth of this
const PAYLOAD_CHARS_MAX: usize = 4096;

const MQTT: Key<Choice<Verb>> = Key {
    name: "mqtt",
    kind: Choice {
        options: &[("publish", Verb::Publish), ("publish_and_wait", Verb::PublishAndWait), ("read", Verb::Read)],
        default: Verb::Read,
    },
    need: Need::Required,
    doc: "What happens.",
};
const TOPIC: Key<Places> = Key {
    name: "topic",
    kind: Places { what: "a topic", chars_max: TOPIC_CHARS_MAX },
    need: Need::Required,
    doc: "Publish: where to.",
};
const PAYLOAD: Key<Places> = Key {
    name: "payload",
    kind: Places { what: "a message", chars_max: PAYLOAD_CHARS_MAX },
    need: Need::Optional,
    doc: "Publish: the message, as text.",
};
const PAYLOAD_JSON: Key<Json> = Key {
    name: "payload_json",
    kind: Json { what: "a table such as { brightness = \"{percent}\" }" },
    need: Need::Optional,
    doc: "Publish: the message, as JSON; a text that is one place takes the argument with its own type.",
};
const ARGUMENT: Key<Text> = Key {
    name: "argument",
    kind: Text { what: "the name of a BOOLEAN parameter", chars_max: 64, check: any_text, default: "" },
    need: Need::Optional,
    doc: "Publish: the BOOLEAN parameter that chooses between `on` and `off`.",
};
const ON: Key<Text> = Key {
    name: "on",
    kind: Text { what: "a message", chars_max: PAYLOAD_CHARS_MAX, check: any_text, default: "ON" },
    need: Need::Defaults,
    doc: "Publish, with `argument`: the message where it is true.",
};
const OFF: Key<Text> = Key {
    name: "off",
    kind: Text { what: "a message", chars_max: PAYLOAD_CHARS_MAX, check: any_text, default: "OFF" },
    need: Need::Defaults,
    doc: "Publish, with `argument`: the message where it is false.",
};
const QOS: Key<Whole> = Key {
    name: "qos",
    kind: Whole { unit: "", min: 0, max: 1, step: 1, default: 1 },
    need: Need::Defaults,
    doc: "Publish: 1 waits until the broker has confirmed the message, 0 only until it was sent.",
};
const RETAIN: Key<Choice<Switch>> = Key {
    name: "retain",
    // A command that is kept switches the lamp on again whenever it joins.
    kind: Choice { options: &[("on", Switch::On), ("off", Switch::Off)], default: Switch::Off },
    need: Need::Defaults,
    doc: "Publish: whether the broker keeps the message for who subscribes later.",
};
const EXPIRE_S: Key<Whole> = Key {
    name: "expire_s",
    kind: Whole { unit: "s", min: 0, max: 86_400, step: 1, default: 60 }, // a lamp must not switch on an hour later
    need: Need::Defaults,
    doc: "Publish: how long the broker may hold it for a receiver that is away (MQTT 5, not with `retain`); 0 for ever.",
};
const STATE_TOPIC: Key<Places> = Key {
    name: "state_topic",
    kind: Places { what: "a topic", chars_max: TOPIC_CHARS_MAX },
    need: Need::Required,
    doc: "Where the state comes.",
};
const STATE_POINTER: Key<Text> = Key {
    name: "state_pointer",
    kind: Text { what: "a JSON pointer such as \"/state\"", chars_max: 256, check: pointer, default: "" },
    need: Need::Optional,
    doc: "Where in the state's message, which is JSON then.",
};
const EXPECT: Key<Places> = Key {
    name: "expect",
    kind: Places { what: "a state", chars_max: PAYLOAD_CHARS_MAX },
    need: Need::Optional,
    doc: "What the state must become; \"{payload}\" is what was published. Any new one will do where absent.",
};

/// `action = { mqtt = "publish", … }`.
pub const PUBLISH: Sheet = Sheet {
    name: "tools.action",
    keys: &[&MQTT, &TOPIC, &PAYLOAD, &PAYLOAD_JSON, &ARGUMENT, &ON, &OFF, &QOS, &RETAIN, &EXPIRE_S],
    tables: &[],
};
/// `action = { mqtt = "publish_and_wait", … }`.
pub const PUBLISH_AND_WAIT: Sheet = Sheet {
    name: "tools.action",
    keys: &[
        &MQTT,
        &TOPIC,
        &PAYLOAD,
        &PAYLOAD_JSON,
        &ARGUMENT,
        &ON,
        &OFF,
        &QOS,
        &RETAIN,
        &EXPIRE_S,
        &STATE_TOPIC,
        &STATE_POINTER,
        &EXPECT,
    ],
    tables: &[],
};
/// `action = { mqtt = "read", … }`.
pub const READ: Sheet = Sheet { name: "tools.action", keys: &[&MQTT, &STATE_TOPIC, &STATE_POINTER], tables: &[] };

pub(super) fn read(reader: &mut Reader<'_>, place: &Section<'_>, around: &Around<'_>) -> Option<Action> {
    let verb = reader.find(place, &MQTT)?;
    let sheet = match verb {
        Verb::Publish => &PUBLISH,
        Verb::PublishAndWait => &PUBLISH_AND_WAIT,
        Verb::Read => &READ,
    };
    let section = open(reader, place, sheet);
    let at = &section;
    if !around.has_mqtt {
        let message = "needs a broker: name its `host` in the section [mqtt]".to_string();
        reader.object(at, MQTT.name, message);
    }
    Some(Action::Mqtt(match verb {
        Verb::Publish => MqttAction::Publish(publication(reader, at, around)?),
        Verb::Read => MqttAction::Read(state(reader, at, around)),
        Verb::PublishAndWait => MqttAction::PublishAndWait {
            publication: publication(reader, at, around)?,
            state: state(reader, at, around),
            expect: expect(reader, at, around),
        },
    }))
}

fn publication(reader: &mut Reader<'_>, at: &Section<'_>, around: &Around<'_>) -> Option<Publication> {
    let topic = topic_of(reader, at, &TOPIC, around);
    let payload = payload(reader, at, around)?;
    let is_retained = reader.get(at, &RETAIN) == Switch::On;
    let expire_s = Some(reader.get(at, &EXPIRE_S)).filter(|expire_s| *expire_s > 0 && !is_retained);
    Some(Publication {
        topic,
        payload,
        is_confirmed: reader.get(at, &QOS) == 1,
        is_retained,
        expire_s,
        wait_ms: around.timeout_ms.saturating_sub(ANSWER_MS).max(around.timeout_ms / 2),
    })
}

/// The one message that the action has.
fn payload(reader: &mut Reader<'_>, at: &Section<'_>, around: &Around<'_>) -> Option<Payload> {
    let given = [PAYLOAD.name, PAYLOAD_JSON.name, ARGUMENT.name].map(|name| (name, at.value(name).is_some()));
    let given: Vec<&str> = given.into_iter().filter_map(|(name, is)| is.then_some(name)).collect();
    let &[only] = given.as_slice() else {
        let found =
            if given.is_empty() { "none is there".to_string() } else { format!("there are {}", given.join(", ")) };
        let message =
            format!("must have one of `payload`, `payload_json` or `argument` (with `on` and `off`); {found}");
        reader.note(at.line, at.path.clone(), message);
        return None;
    };
    for key in [ON.name, OFF.name].into_iter().filter(|key| only != ARGUMENT.name && at.value(key).is_some()) {
        reader.object(at, key, "means nothing without `argument`".to_string());
    }
    if only == PAYLOAD.name {
        let template = reader.find(at, &PAYLOAD)?;
        check(reader, at, PAYLOAD.name, &template, around);
        return Some(Payload::Text(template));
    }
    if only == ARGUMENT.name {
        let argument = reader.find(at, &ARGUMENT)?;
        check_switch(reader, at, &argument, around);
        return Some(Payload::Switch { argument, on: reader.get(at, &ON), off: reader.get(at, &OFF) });
    }
    let json = reader.find(at, &PAYLOAD_JSON)?;
    let mut texts = Vec::new();
    gather(&json, &mut texts);
    for text in texts {
        match Template::parse(text) {
            Ok(template) => check(reader, at, PAYLOAD_JSON.name, &template, around),
            Err(why) => reader.object(at, PAYLOAD_JSON.name, format!("holds a text that {why}")),
        }
    }
    Some(Payload::Json(json))
}

/// All texts of a JSON value but the names of its members.
fn gather<'v>(value: &'v Value, texts: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(items) => items.iter().for_each(|item| gather(item, texts)),
        Value::Object(members) => members.values().for_each(|member| gather(member, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn check_switch(reader: &mut Reader<'_>, at: &Section<'_>, argument: &str, around: &Around<'_>) {
    let is_switch =
        around.parameter(argument).is_some_and(|(schema, required)| required && schema["type"] == "BOOLEAN");
    if around.parameters.is_ok() && !is_switch {
        let message =
            format!("names \"{argument}\", which must be a BOOLEAN of the tool's parameters and in `required`");
        reader.object(at, ARGUMENT.name, message);
    }
}

fn state(reader: &mut Reader<'_>, at: &Section<'_>, around: &Around<'_>) -> StateOf {
    StateOf { topic: topic_of(reader, at, &STATE_TOPIC, around), pointer: reader.find(at, &STATE_POINTER) }
}

fn expect(reader: &mut Reader<'_>, at: &Section<'_>, around: &Around<'_>) -> Option<Expect> {
    let template = reader.find(at, &EXPECT)?;
    if template.to_string() == "{payload}" {
        return Some(Expect::Payload);
    }
    check(reader, at, EXPECT.name, &template, around);
    Some(Expect::Text(template))
}

fn topic_of(reader: &mut Reader<'_>, at: &Section<'_>, key: &Key<Places>, around: &Around<'_>) -> Template {
    let template = reader.get(at, key);
    if at.value(key.name).is_none() || template == Template::default() {
        return template;
    }
    check(reader, at, key.name, &template, around);
    let filled = template.fill(|_| Ok::<_, String>("x".to_string())).unwrap_or_default();
    if let Err(why) = topic(&filled) {
        reader.object(at, key.name, why);
    }
    template
}

/// Places are arguments: what goes through a broker is no place for a secret.
fn check(reader: &mut Reader<'_>, at: &Section<'_>, key: &str, template: &Template, around: &Around<'_>) {
    if let Some(name) = template.secrets().next() {
        let message = format!("has the place `{{secret.{name}}}`; whoever subscribes at the broker would read it");
        return reader.object(at, key, message);
    }
    around.check_places(reader, at, key, template);
}

fn pointer(text: &str) -> Result<(), String> {
    one_line(text)?;
    if text.starts_with('/') {
        return Ok(());
    }
    Err("must begin with `/`: \"/state\" is the member `state` of the message".to_string())
}
