//! `[mqtt]`: the broker, who mynah is there, and whether it shows itself to Home Assistant.

use std::path::PathBuf;

use super::super::key::{Choice, Key, Need, Path, Text, Whole, one_line};
use super::super::read::{Reader, Section, Sheet};
use super::Switch;
use super::secrets::{self, Secrets};

/// Ports that brokers listen on, without TLS and with it (registered with IANA).
const PORTS: (u16, u16) = (1883, 8883);

/// Which MQTT is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 3.1.1.
    V311,
    /// 5.
    V5,
}

/// Whether TLS is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tls {
    On,
    Off,
    Auto,
}

/// `[mqtt]`, where it names a host.
#[derive(Clone, Debug, PartialEq)]
pub struct Mqtt {
    /// The broker's name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Which MQTT is spoken.
    pub version: Version,
    /// Whether TLS is spoken.
    pub is_tls: bool,
    /// File with more trusted certificates (PEM), beside the built-in roots.
    pub ca: Option<PathBuf>,
    /// Files with the client's certificate and its key (PEM).
    pub client: Option<(PathBuf, PathBuf)>,
    /// User's name.
    pub user: Option<String>,
    /// Name of the secret that is the user's password.
    pub password: Option<String>,
    /// Client identifier; from `[fleet] name`, else from the machine's identity, where absent.
    pub client_id: Option<String>,
    /// Longest silence on the connection, s, 5–3600.
    pub keep_alive_s: u16,
    /// Whether the device shows itself and takes commands.
    pub presence: bool,
    /// What Home Assistant's discovery topics begin with.
    pub discovery_prefix: String,
    /// What the device's own topics begin with; `mynah/` and the machine's identity where absent.
    pub base_topic: Option<String>,
    /// The device's name for people.
    pub name: String,
    /// Whether what was said is published.
    pub announces_transcript: bool,
}

const HOST: Key<Text> = Key {
    name: "host",
    kind: Text { what: "the broker's name or address", chars_max: 253, check: host_name, default: "" },
    need: Need::Optional,
    doc: "The broker's name or address; no MQTT where absent.",
};
const PORT: Key<Whole> = Key {
    name: "port",
    kind: Whole { unit: "", min: 1, max: 65_535, step: 1, default: PORTS.0 as u32 },
    need: Need::Optional,
    doc: "The broker's port; 1883, or 8883 with TLS, where absent.",
};
const VERSION: Key<Choice<Version>> = Key {
    name: "version",
    kind: Choice { options: &[("5", Version::V5), ("3.1.1", Version::V311)], default: Version::V5 },
    need: Need::Defaults,
    doc: "Which MQTT is spoken.",
};
const TLS: Key<Choice<Tls>> = Key {
    name: "tls",
    kind: Choice { options: &[("auto", Tls::Auto), ("on", Tls::On), ("off", Tls::Off)], default: Tls::Auto },
    need: Need::Defaults,
    doc: "Whether TLS is spoken: always, never, or where `port` is 8883 or a certificate is named.",
};
const CA: Key<Path> = Key {
    name: "ca",
    kind: Path { what: "a PEM file of certificates" },
    need: Need::Optional,
    doc: "Certificates to trust (PEM), beside the built-in roots.",
};
const CLIENT_CERT: Key<Path> = Key {
    name: "client_cert",
    kind: Path { what: "a PEM file with the client's certificate" },
    need: Need::Optional,
    doc: "The client's certificate (PEM), where the broker asks for one.",
};
const CLIENT_KEY: Key<Path> = Key {
    name: "client_key",
    kind: Path { what: "a PEM file with the certificate's key, readable by its owner only" },
    need: Need::Optional,
    doc: "The key of `client_cert` (PEM).",
};
const USER: Key<Text> = Key {
    name: "user",
    kind: Text { what: "a user's name", chars_max: 256, check: one_line, default: "" },
    need: Need::Optional,
    doc: "The user's name at the broker.",
};
const PASSWORD: Key<Text> = secrets::reference("password_secret", "Which of [secrets] is the user's password.");
const CLIENT_ID: Key<Text> = Key {
    name: "client_id",
    // What every broker must take (MQTT 5, 3.1.3.1) is 23 of these; all real ones take more.
    kind: Text { what: "a client identifier", chars_max: 64, check: client_id, default: "" },
    need: Need::Optional,
    doc: "How the broker knows the device; made of [fleet] name, else of the machine's identity, where absent. No two clients may share one.",
};
const KEEP_ALIVE_S: Key<Whole> = Key {
    name: "keep_alive_s",
    kind: Whole { unit: "s", min: 5, max: 3600, step: 1, default: 30 }, // a broker that is gone is known within 40 s
    need: Need::Defaults,
    doc: "Longest silence before each side asks whether the other is there.",
};
const PRESENCE: Key<Choice<Switch>> = switch(
    "presence",
    "Whether the device shows itself (Home Assistant's discovery) and takes announce, mute, volume and listen.",
);
const DISCOVERY_PREFIX: Key<Text> = Key {
    name: "discovery_prefix",
    kind: Text { what: "a topic", chars_max: 128, check: topic, default: "homeassistant" },
    need: Need::Defaults,
    doc: "What Home Assistant's discovery topics begin with.",
};
const BASE_TOPIC: Key<Text> = Key {
    name: "base_topic",
    kind: Text { what: "a topic", chars_max: 128, check: topic, default: "" },
    need: Need::Optional,
    doc: "What the device's own topics begin with; `mynah/` and the machine's identity where absent.",
};
const NAME: Key<Text> = Key {
    name: "name",
    kind: Text { what: "a name for people", chars_max: 64, check: one_line, default: "mynah" },
    need: Need::Defaults,
    doc: "The device's name in Home Assistant.",
};
const ANNOUNCE_TRANSCRIPT: Key<Choice<Switch>> = Key {
    name: "announce_transcript",
    // Whoever may subscribe at the broker reads what is said in the room.
    kind: Choice { options: &[("on", Switch::On), ("off", Switch::Off)], default: Switch::Off },
    need: Need::Defaults,
    doc: "Whether what was said last, by both sides, is published.",
};

const fn switch(name: &'static str, doc: &'static str) -> Key<Choice<Switch>> {
    let options = &[("on", Switch::On), ("off", Switch::Off)];
    Key { name, kind: Choice { options, default: Switch::On }, need: Need::Defaults, doc }
}

/// `[mqtt]`.
pub const MQTT: Sheet = Sheet {
    name: "mqtt",
    keys: &[
        &HOST,
        &PORT,
        &VERSION,
        &TLS,
        &CA,
        &CLIENT_CERT,
        &CLIENT_KEY,
        &USER,
        &PASSWORD,
        &CLIENT_ID,
        &KEEP_ALIVE_S,
        &PRESENCE,
        &DISCOVERY_PREFIX,
        &BASE_TOPIC,
        &NAME,
        &ANNOUNCE_TRANSCRIPT,
    ],
    tables: &[],
};

/// `[mqtt]` of the file; none where it names no host.
pub(super) fn mqtt(reader: &mut Reader<'_>, top: &Section<'_>, secrets: &Secrets) -> Option<Mqtt> {
    let section = reader.inner(top, MQTT.name, &MQTT);
    let at = &section;
    let host = reader.find(at, &HOST);
    let (ca, client) = (reader.find(at, &CA), client(reader, at));
    let port = reader.find(at, &PORT).and_then(|port| u16::try_from(port).ok());
    let wants_tls = ca.is_some() || client.is_some();
    let is_tls = match reader.get(at, &TLS) {
        Tls::On => true,
        Tls::Auto => wants_tls || port == Some(PORTS.1),
        Tls::Off => {
            if wants_tls {
                let message = "is \"off\", but certificates are named, which mean nothing without TLS".to_string();
                reader.object(at, TLS.name, message);
            }
            false
        }
    };
    let mqtt = Mqtt {
        host: host.clone().unwrap_or_default(),
        port: port.unwrap_or(if is_tls { PORTS.1 } else { PORTS.0 }),
        version: reader.get(at, &VERSION),
        is_tls,
        ca,
        client,
        user: reader.find(at, &USER),
        password: secrets::find(reader, at, &PASSWORD, secrets),
        client_id: reader.find(at, &CLIENT_ID),
        keep_alive_s: u16::try_from(reader.get(at, &KEEP_ALIVE_S)).unwrap_or(u16::MAX),
        presence: reader.get(at, &PRESENCE) == Switch::On,
        discovery_prefix: reader.get(at, &DISCOVERY_PREFIX),
        base_topic: reader.find(at, &BASE_TOPIC),
        name: reader.get(at, &NAME),
        announces_transcript: reader.get(at, &ANNOUNCE_TRANSCRIPT) == Switch::On,
    };
    if mqtt.password.is_some() && mqtt.user.is_none() {
        reader.object(at, PASSWORD.name, "is there without `user`; a password belongs to a user".to_string());
    }
    if host.is_none() && at.value(HOST.name).is_none() && at.table.is_some_and(|table| !table.is_empty()) {
        reader.miss(at, HOST.name, &format!("{:?}, say", "broker.local"));
    }
    host.is_some().then_some(mqtt)
}

/// Both files of the client's certificate, or neither.
fn client(reader: &mut Reader<'_>, at: &Section<'_>) -> Option<(PathBuf, PathBuf)> {
    match (reader.find(at, &CLIENT_CERT), reader.find(at, &CLIENT_KEY)) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (is, _) => {
            let (here, other) =
                if is.is_some() { (CLIENT_CERT.name, CLIENT_KEY.name) } else { (CLIENT_KEY.name, CLIENT_CERT.name) };
            if at.value(other).is_none() {
                reader.object(at, here, format!("is there without `{other}`; the two belong together"));
            }
            None
        }
    }
}

/// A topic that can be published to: no wildcards, no empty levels, nothing of the broker's own.
///
/// # Errors
/// The end of a sentence that begins with the key.
pub fn topic(text: &str) -> Result<(), String> {
    one_line(text)?;
    if text.contains(['+', '#']) {
        return Err("holds `+` or `#`, which stand for many topics; name one".to_string());
    }
    if text.starts_with('$') {
        return Err("begins with `$`, which is the broker's own".to_string());
    }
    if text.split('/').any(str::is_empty) {
        return Err("has an empty level: no `/` at its beginning or end, and no two in a row".to_string());
    }
    Ok(())
}

fn host_name(text: &str) -> Result<(), String> {
    let is_host = text.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-:%".contains(letter));
    if is_host {
        return Ok(());
    }
    Err("is no name or address: leave out `mqtt://`, port, path and brackets".to_string())
}

fn client_id(text: &str) -> Result<(), String> {
    if text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-') {
        return Ok(());
    }
    Err("holds something else than letters, digits, `_` and `-`".to_string())
}
