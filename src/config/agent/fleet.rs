//! `[fleet]`: what one machine of many tells its owner over the broker of `[mqtt]`, and whose configurations it takes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::key::{Key, Need, Text, Whole};
use super::super::read::{Reader, Section, Sheet};
use super::mqtt::topic;

/// The name that stands for every device of a fleet.
pub const ALL: &str = "all";
/// Characters of a device's name.
pub const NAME_CHARS_MAX: usize = 64;
/// Bytes of an Ed25519 public key (RFC 8032).
pub const PUBLIC_KEY_BYTES: usize = 32;

/// `[fleet]`, where it says anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// The device's name in topics; the host's name where absent.
    pub name: Option<String>,
    /// What its topics begin with.
    pub topic: String,
    /// Health is told so often, s, 10–3600.
    pub report_every_s: u32,
    /// Who may send configurations; nobody where absent.
    pub public_key: Option<[u8; PUBLIC_KEY_BYTES]>,
    /// How long a new configuration has to prove itself, s, 10–3600.
    pub proving_s: u32,
}

const NAME: Key<Text> = Key {
    name: "name",
    kind: Text { what: "a device's name", chars_max: NAME_CHARS_MAX, check: name, default: "" },
    need: Need::Optional,
    doc: "The device's name in its topics; the host's name where absent. No two devices may share one.",
};
const TOPIC: Key<Text> = Key {
    name: "topic",
    kind: Text { what: "a topic", chars_max: 128, check: topic, default: "mynah/fleet" },
    need: Need::Defaults,
    doc: "What the fleet's topics begin with: TOPIC/NAME/health, TOPIC/NAME/online, TOPIC/NAME/config and TOPIC/all/config.",
};
const REPORT_EVERY_S: Key<Whole> = Key {
    name: "report_every_s",
    kind: Whole { unit: "s", min: 10, max: 3600, step: 1, default: 60 }, // a silent device is noticed within two minutes
    need: Need::Defaults,
    doc: "How often health is told; a change of it is told at once.",
};
const PUBLIC_KEY: Key<Text> = Key {
    name: "public_key",
    kind: Text { what: "an Ed25519 public key", chars_max: 64, check: public_key, default: "" },
    need: Need::Optional,
    doc: "The Ed25519 key (base64 or hex) whose owner may send this device configurations (`mynah fleet key` makes one); none are taken where absent.",
};
const PROVING_S: Key<Whole> = Key {
    name: "proving_s",
    kind: Whole { unit: "s", min: 10, max: 3600, step: 1, default: 120 }, // three tries to connect, and some
    need: Need::Defaults,
    doc: "A configuration that was sent has so long to reach the service with a microphone that works; else the one before comes back.",
};

/// `[fleet]`.
pub const FLEET: Sheet =
    Sheet { name: "fleet", keys: &[&NAME, &TOPIC, &REPORT_EVERY_S, &PUBLIC_KEY, &PROVING_S], tables: &[] };

/// `[fleet]` of the file; none where it is not there or empty.
pub(super) fn fleet(reader: &mut Reader<'_>, top: &Section<'_>, has_mqtt: bool) -> Option<Fleet> {
    let value = top.value(FLEET.name)?;
    let section = reader.inner(top, FLEET.name, &FLEET);
    let at = &section;
    if at.table.is_none_or(|table| table.is_empty()) {
        return None;
    }
    if !has_mqtt {
        let message = "speaks over the broker of [mqtt], which names none: add `host` there, or leave [fleet] out";
        reader.note_at(value, FLEET.name.to_string(), message.to_string());
    }
    Some(Fleet {
        name: reader.find(at, &NAME),
        topic: reader.get(at, &TOPIC),
        report_every_s: reader.get(at, &REPORT_EVERY_S),
        public_key: reader.find(at, &PUBLIC_KEY).and_then(|text| key_bytes(&text)),
        proving_s: reader.get(at, &PROVING_S),
    })
}

/// A device's name: one level of a topic, and not everybody's.
///
/// # Errors
/// The end of a sentence that begins with the key.
pub fn name(text: &str) -> Result<(), String> {
    if text == ALL {
        return Err(format!("is \"{ALL}\", which stands for every device"));
    }
    level(text)
}

/// One level of a topic, as a person and a file's name can have it.
fn level(text: &str) -> Result<(), String> {
    let is_level = !text.is_empty()
        && text.len() <= NAME_CHARS_MAX
        && text.bytes().all(|letter| letter.is_ascii_alphanumeric() || b"-_.".contains(&letter));
    if is_level {
        return Ok(());
    }
    Err(format!("must be 1 to {NAME_CHARS_MAX} letters, digits, `-`, `_` and `.`"))
}

/// A name made of a host's: what may not stand in one becomes `-`.
pub fn name_of_host(host: &str) -> String {
    let allowed = |letter: char| if letter.is_ascii_alphanumeric() || "-_.".contains(letter) { letter } else { '-' };
    let made: String = host.trim().chars().take(NAME_CHARS_MAX).map(allowed).collect();
    if name(&made).is_ok() { made } else { "mynah".to_string() }
}

fn public_key(text: &str) -> Result<(), String> {
    key_bytes(text).map(drop).ok_or_else(|| {
        format!("is no Ed25519 public key: {PUBLIC_KEY_BYTES} bytes as base64 or hex, as `mynah fleet key` prints it")
    })
}

/// The key's bytes, written as base64 or as hexadecimal digits.
pub fn key_bytes(text: &str) -> Option<[u8; PUBLIC_KEY_BYTES]> {
    let text = text.trim();
    let bytes = if text.len() == 2 * PUBLIC_KEY_BYTES {
        let digits = text.as_bytes().chunks_exact(2);
        let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        digits.map(pair).collect::<Option<Vec<u8>>>()?
    } else {
        STANDARD.decode(text).ok()?
    };
    bytes.try_into().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::agent::{Agent, parse};

    fn problem(text: &str) -> String {
        parse(text, "test").unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn there_is_no_fleet_unless_the_file_says_something_of_it_and_it_needs_a_broker() {
        assert_eq!((Agent::default().fleet, parse("[fleet]\n", "test").unwrap().fleet), (None, None));
        let fleet = parse("[mqtt]\nhost = \"broker\"\n[fleet]\nname = \"hall\"\n", "test").unwrap().fleet.unwrap();
        assert_eq!((fleet.topic.as_str(), fleet.report_every_s, fleet.proving_s), ("mynah/fleet", 60, 120));
        assert_eq!((fleet.name.as_deref(), fleet.public_key), (Some("hall"), None));
        let said = problem("voice = \"Kore\"\n[fleet]\nname = \"hall\"\n");
        assert!(said.contains("test:2: `fleet` speaks over the broker of [mqtt], which names none"), "{said}");
    }

    #[test]
    fn a_key_is_taken_as_base64_and_as_hex_and_nothing_else_is_one() {
        let key: [u8; PUBLIC_KEY_BYTES] = std::array::from_fn(|index| index as u8 * 7);
        let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        for text in [STANDARD.encode(key), hex.clone(), hex.to_uppercase()] {
            let file = format!("[mqtt]\nhost = \"broker\"\n[fleet]\npublic_key = \"{text}\"\n");
            assert_eq!(parse(&file, "test").unwrap().fleet.unwrap().public_key, Some(key));
        }
        let wrong = [&hex[1..], "AAAA", "", &"zz".repeat(32), &"é".repeat(32)];
        for text in wrong {
            assert_eq!(key_bytes(text), None, "{text}");
        }
        let said = problem("[mqtt]\nhost = \"broker\"\n[fleet]\npublic_key = \"AAAA\"\n");
        assert!(said.contains("mynah fleet key"), "{said}");
    }

    #[test]
    fn a_name_is_one_level_and_not_everybodys() {
        assert!(name("hall-3.west_1").is_ok());
        for wrong in ["all", "", "a/b", "+", "#", "ä", "a b", &"x".repeat(65)] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
        assert_eq!(name_of_host("hall 3\n"), "hall-3");
        assert_eq!((name_of_host(""), name_of_host("all")), ("mynah".to_string(), "mynah".to_string()));
    }
}
