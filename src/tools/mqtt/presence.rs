//! The device as Home Assistant sees it: its topics, and the discovery message that tells of them.
//!
//! Home Assistant's documentation: "MQTT", "device discovery payload". One kept message says all of it.

use serde_json::{Map, Value, json};

use super::Message;
use crate::config::agent::mqtt::Mqtt;

/// What [`Presence::state`] may say, in the order in which Home Assistant lists them.
pub const STATES: [&str; 11] = [
    "starting",
    "idle",
    "listening",
    "thinking",
    "speaking",
    "ringing",
    "follow_up",
    "offline",
    "spent",
    "muted",
    "trouble",
];
/// What the talk button may say.
pub const BUTTON_EVENTS: [&str; 2] = ["press", "release"];

/// The device's topics.
#[derive(Clone, Debug, PartialEq)]
pub struct Presence {
    id: String,
    name: String,
    base: String,
    prefix: String,
    /// The whole topic.
    availability: String,
    has_transcript: bool,
    has_button: bool,
}

impl Presence {
    /// The presence that `[mqtt]` describes; `identity` tells this machine from others, and `has_button` whether there
    /// is a talk button.
    pub fn new(mqtt: &Mqtt, identity: &str, has_button: bool) -> Presence {
        let id = format!("mynah_{identity}");
        let base = mqtt.base_topic.clone().unwrap_or_else(|| format!("mynah/{identity}"));
        let (name, prefix) = (mqtt.name.clone(), mqtt.discovery_prefix.clone());
        let availability = format!("{base}/availability");
        Presence { id, name, base, prefix, availability, has_transcript: mqtt.announces_transcript, has_button }
    }

    /// The same with its availability at this topic: a connection has one last will, and others may want it elsewhere.
    #[must_use]
    pub fn available_at(self, topic: String) -> Presence {
        Presence { availability: topic, ..self }
    }

    /// A topic of the device.
    pub fn topic(&self, name: &str) -> String {
        format!("{}/{name}", self.base)
    }

    /// Topics of commands.
    pub fn commands(&self) -> Vec<String> {
        ["announce", "mute", "volume", "listen"].iter().map(|name| self.topic(&format!("{name}/set"))).collect()
    }

    /// The command's name where `topic` is one's.
    pub fn command<'t>(&self, topic: &'t str) -> Option<&'t str> {
        topic.strip_prefix(self.base.as_str())?.strip_prefix('/')?.strip_suffix("/set")
    }

    /// Topic at which tools are called, for all of them.
    pub fn tool_calls(&self) -> String {
        self.topic("tools/+/call")
    }

    /// The tool's name where `topic` calls one.
    pub fn tool_called<'t>(&self, topic: &'t str) -> Option<&'t str> {
        let name = topic.strip_prefix(self.base.as_str())?.strip_prefix("/tools/")?.strip_suffix("/call")?;
        (!name.contains('/')).then_some(name)
    }

    /// What came of a call; not kept.
    pub fn tool_result(&self, name: &str, result: &Result<Value, String>) -> Message {
        let says = match result {
            Ok(result) => json!({ "ok": true, "result": result }),
            Err(why) => json!({ "ok": false, "error": why }),
        };
        Message { is_retained: false, ..kept(self.topic(&format!("tools/{name}/result")), &says.to_string()) }
    }

    /// Whether what was said may be told.
    pub fn has_transcript(&self) -> bool {
        self.has_transcript
    }

    /// Whether the device can be reached: kept, and what the broker says where it vanishes.
    pub fn availability(&self, is_online: bool) -> Message {
        availability(&self.availability, is_online)
    }

    /// A message that the broker keeps.
    pub fn state(&self, name: &str, says: &str) -> Message {
        kept(self.topic(name), says)
    }

    /// The button moved: not kept, because it is over.
    pub fn button(&self, event: &str) -> Message {
        Message { is_retained: false, ..kept(self.topic("button"), &json!({ "event_type": event }).to_string()) }
    }

    /// The message by which Home Assistant learns all of this.
    pub fn discovery(&self) -> Message {
        let version = env!("CARGO_PKG_VERSION");
        let payload = json!({
            "device": {
                "identifiers": [self.id],
                "name": self.name,
                "manufacturer": "mynah",
                "model": "voice agent",
                "sw_version": version,
            },
            "origin": { "name": "mynah", "sw_version": version },
            "availability_topic": self.availability,
            "components": self.components(),
        });
        kept(format!("{}/device/{}/config", self.prefix, self.id), &payload.to_string())
    }

    fn components(&self) -> Map<String, Value> {
        let set = |name: &str| self.topic(&format!("{name}/set"));
        let mut all = vec![
            (
                "state",
                json!({
                    "platform": "sensor", "name": "State", "icon": "mdi:account-voice", "device_class": "enum",
                    "options": STATES, "state_topic": self.topic("state"),
                }),
            ),
            (
                "mute",
                json!({
                    "platform": "switch", "name": "Mute", "icon": "mdi:microphone-off",
                    "state_topic": self.topic("mute"), "command_topic": set("mute"),
                }),
            ),
            (
                "volume",
                json!({
                    "platform": "number", "name": "Volume", "icon": "mdi:volume-high", "min": 0, "max": 100, "step": 1,
                    "unit_of_measurement": "%", "state_topic": self.topic("volume"), "command_topic": set("volume"),
                }),
            ),
            ("announce", json!({ "platform": "notify", "name": "Announce", "command_topic": set("announce") })),
            (
                "listen",
                json!({
                    "platform": "button", "name": "Listen", "icon": "mdi:ear-hearing", "command_topic": set("listen"),
                }),
            ),
        ];
        if self.has_button {
            all.push((
                "button",
                json!({
                    "platform": "event", "name": "Talk button", "device_class": "button",
                    "event_types": BUTTON_EVENTS, "state_topic": self.topic("button"),
                }),
            ));
            let trigger = json!({
                "platform": "device_automation", "automation_type": "trigger", "type": "button_short_press",
                "subtype": "talk", "topic": self.topic("button"), "value_template": "{{ value_json.event_type }}",
                "payload": BUTTON_EVENTS[0],
            });
            all.push(("button_press", trigger));
        }
        if self.has_transcript {
            all.push((
                "transcript",
                json!({
                    "platform": "sensor", "name": "Last words", "icon": "mdi:text-recognition",
                    "state_topic": self.topic("transcript"), "json_attributes_topic": self.topic("transcript"),
                    // A state has at most 255 characters; the whole is in the attributes.
                    "value_template": "{{ value_json.user[:250] }}",
                }),
            ));
        }
        let named = all.into_iter().map(|(name, mut component)| {
            // A trigger is no entity and has no identity of its own.
            if name != "button_press" {
                component["unique_id"] = json!(format!("{}_{name}", self.id));
            }
            (name.to_string(), component)
        });
        named.collect()
    }
}

/// Whether a device can be reached: kept at this topic.
pub fn availability(topic: &str, is_online: bool) -> Message {
    kept(topic.to_string(), if is_online { "online" } else { "offline" })
}

/// A message that the broker keeps at this topic.
pub fn kept_bytes(topic: String, payload: Vec<u8>) -> Message {
    Message { topic, payload, is_confirmed: false, is_retained: true, expire_s: None }
}

fn kept(topic: String, says: &str) -> Message {
    kept_bytes(topic, says.as_bytes().to_vec())
}

/// Tells devices apart without giving the machine's identity away: FNV-1a, 64 bits of 128.
pub fn identity(machine_id: &str) -> String {
    let hash = b"mynah".iter().chain(machine_id.trim().as_bytes());
    let hash =
        hash.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::agent;

    fn presence(more: &str) -> Presence {
        let text = format!("[mqtt]\nhost = \"broker\"\n{more}");
        Presence::new(&agent::parse(&text, "test").unwrap().mqtt.unwrap(), "0123", true)
    }

    #[test]
    fn a_board_without_a_button_shows_none() {
        let mqtt = agent::parse("[mqtt]\nhost = \"broker\"", "test").unwrap().mqtt.unwrap();
        let shown = |has_button| Presence::new(&mqtt, "0123", has_button).discovery().payload;
        let has = |has_button| String::from_utf8_lossy(&shown(has_button)).contains("Talk button");
        assert_eq!((has(true), has(false)), (true, false));
    }

    #[test]
    fn topics_are_below_the_base_and_commands_are_known_again() {
        let presence = presence("base_topic = \"hall/voice\"");
        assert_eq!(presence.availability(false).topic, "hall/voice/availability");
        let elsewhere = presence.clone().available_at("fleet/hall/online".into());
        assert_eq!(elsewhere.availability(true).topic, "fleet/hall/online");
        assert!(String::from_utf8_lossy(&elsewhere.discovery().payload).contains("fleet/hall/online"), "it is told so");
        assert!(presence.availability(true).is_retained && !presence.button("press").is_retained);
        let names: Vec<_> =
            presence.commands().iter().filter_map(|topic| presence.command(topic).map(String::from)).collect();
        assert_eq!(names, ["announce", "mute", "volume", "listen"]);
        assert_eq!(presence.tool_called("hall/voice/tools/open_door/call"), Some("open_door"));
        for topic in ["hall/voice/tools/a/b/call", "hall/voice/tools/call", "hall/voice/tools/a/result", "tools/a/call"]
        {
            assert_eq!(presence.tool_called(topic), None, "{topic}");
        }
        for topic in ["hall/voice/mute", "hall/voicemute/set", "other/mute/set", "hall/voice", ""] {
            assert_eq!(presence.command(topic), None, "{topic}");
        }
    }

    /// As Home Assistant reads it; MYNAH_BLESS=1 writes the file anew.
    #[test]
    fn the_discovery_message_is_the_golden_one() {
        for (file, more) in
            [("discovery", ""), ("discovery-transcript", "name = \"Hall\"\nannounce_transcript = \"on\"")]
        {
            let message = presence(more).discovery();
            assert_eq!((message.topic.as_str(), message.is_retained), ("homeassistant/device/mynah_0123/config", true));
            let found: Value = serde_json::from_slice(&message.payload).unwrap();
            let path = format!("{}/tests/mqtt/{file}.json", env!("CARGO_MANIFEST_DIR"));
            if std::env::var_os("MYNAH_BLESS").is_some() {
                std::fs::write(&path, format!("{found:#}\n")).unwrap();
            }
            let golden: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            assert_eq!(found, golden, "{file}");
        }
    }

    #[test]
    fn two_machines_have_two_names_and_none_tells_its_identity() {
        let (one, other) = (identity("d0f2a1\n"), identity("d0f2a2\n"));
        assert!(one != other && one.len() == 16 && !one.contains("d0f2a1"));
        assert_eq!(identity("d0f2a1"), one);
    }
}
