//! `[home_assistant]`: how Home Assistant is reached, and the entities and services that may be used, nothing else.
//!
//! The allow list is the owner's: the model knows names, areas and services from it, and never an entity's id. Whatever
//! a call says, only a listed service of a listed entity is called, with data inside the listed limits.

mod ready;
mod services;

use std::net::IpAddr;
use std::sync::Arc;

use toml::Spanned;
use toml::de::DeValue;

use super::super::key::{Choice, Key, Need, Text, one_line, wrong_type};
use super::super::read::{Reader, Section, Sheet};
use super::action::address::{Origin, Scheme};
use super::schema::Noted;
use super::secrets::{self, Secrets};
use super::{Switch, mcp};
pub(super) use ready::ready;
pub use services::{Limits, Service, check_field};

/// Entities: more than these the model mixes up, and their list would be a good part of what it must read.
const ENTITIES_MAX: usize = 64;
/// Where Home Assistant's WebSocket API is.
const PATH: &str = "/api/websocket";

/// `[home_assistant]`.
#[derive(Clone, Debug, PartialEq)]
pub struct HomeAssistant {
    /// Where it is.
    pub address: Address,
    /// Which of `[secrets]` holds the long-lived access token.
    pub token_secret: String,
    /// Whether the model gets two tools that are made from the list.
    pub tools: Switch,
    /// What may be used.
    pub entities: Entities,
}

/// Where Home Assistant's WebSocket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Host and port, and whether TLS is spoken.
    pub origin: Origin,
    /// The path, from `/` on.
    pub path: String,
}

/// All entities that may be used; shared with the actions that use them.
pub type Entities = Arc<[Entity]>;

/// An entity that may be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Entity {
    /// Home Assistant's id for it: `light.kitchen`.
    pub id: String,
    /// What people and the model call it.
    pub name: String,
    /// Where it is.
    pub area: Option<String>,
    /// What may be done with it; nothing where it is only read.
    pub services: Vec<Service>,
}

impl Entity {
    /// The service that the model or an action calls `name`: `turn_on`, or with its domain `light.turn_on`.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name() == name || service.full() == name)
    }
}

/// The entity that `text` names, by its name (in any case) or by its id.
pub fn find<'e>(entities: &'e [Entity], text: &str) -> Option<&'e Entity> {
    let wanted = text.trim().to_lowercase();
    entities.iter().find(|entity| entity.id == wanted || entity.name.to_lowercase() == wanted)
}

const URL: Key<Text> = Key {
    name: "url",
    kind: Text { what: "Home Assistant's address", chars_max: 1024, check: check_address, default: "" },
    need: Need::Required,
    doc: "Home Assistant's address: wss://…, or ws://… within the house's own network.",
};
const TOKEN_SECRET: Key<Text> =
    secrets::reference("token_secret", "Which of [secrets] holds a long-lived access token of Home Assistant's.");
const TOOLS: Key<Choice<Switch>> = Key {
    name: "tools",
    kind: Choice { options: &[("ready", Switch::On), ("own", Switch::Off)], default: Switch::On },
    need: Need::Defaults,
    doc: "\"ready\": the tools `home_call` and `home_state`, made from the list; \"own\": only those of [[tools]].",
};
const ID: Key<Text> = Key {
    name: "id",
    kind: Text { what: "an entity's id such as \"light.kitchen\"", chars_max: 255, check: entity_id, default: "" },
    need: Need::Required,
    doc: "The entity's id in Home Assistant.",
};
const NAME: Key<Text> = Key {
    name: "name",
    kind: Text { what: "what people call it", chars_max: 64, check: one_line, default: "" },
    need: Need::Required,
    doc: "What people and the model call it; each has a name of its own.",
};
const AREA: Key<Text> = Key {
    name: "area",
    kind: Text { what: "a room or place", chars_max: 64, check: one_line, default: "" },
    need: Need::Optional,
    doc: "Where it is.",
};

/// `[home_assistant]`.
pub const HOME: Sheet =
    Sheet { name: "home_assistant", keys: &[&URL, &TOKEN_SECRET, &TOOLS], tables: &["entities", "policy"] };
/// One of `[[home_assistant.entities]]`.
pub const ENTITY: Sheet = Sheet { name: "home_assistant.entities", keys: &[&ID, &NAME, &AREA], tables: &["services"] };

/// The section; none where there is none.
///
/// # Errors
/// Where it has a problem, which was noted.
pub(super) fn home(
    reader: &mut Reader<'_>,
    top: &Section<'_>,
    secrets: &Secrets,
) -> Result<Option<HomeAssistant>, Noted> {
    if top.value(HOME.name).is_none() {
        return Ok(None);
    }
    let at = reader.inner(top, HOME.name, &HOME);
    if at.table.is_none() {
        return Err(Noted);
    }
    let address = parse_address(&reader.get(&at, &URL)).ok();
    if at.value(TOKEN_SECRET.name).is_none() {
        reader.miss(&at, TOKEN_SECRET.name, &super::super::key::Kind::rule(&TOKEN_SECRET.kind));
    }
    let token_secret = secrets::find(reader, &at, &TOKEN_SECRET, secrets);
    let tools = reader.get(&at, &TOOLS);
    let entities = entities(reader, &at);
    match (address, token_secret, entities) {
        (Some(address), Some(token_secret), Some(entities)) => {
            Ok(Some(HomeAssistant { address, token_secret, tools, entities: entities.into() }))
        }
        _ => Err(Noted),
    }
}

/// The allow list; none where it has a problem.
fn entities(reader: &mut Reader<'_>, at: &Section<'_>) -> Option<Vec<Entity>> {
    const FORM: &str = "a list: head each entity with `[[home_assistant.entities]]`";
    let Some(value) = at.value("entities") else {
        reader.miss(at, "entities", FORM);
        return None;
    };
    let Some(list) = value.get_ref().as_array().filter(|list| !list.is_empty()) else {
        reader.note_at(value, at.key("entities"), format!("must be {FORM}"));
        return None;
    };
    if list.len() > ENTITIES_MAX {
        let message = format!("has {} entities; at most {ENTITIES_MAX} are taken", list.len());
        reader.note_at(value, at.key("entities"), message);
        return None;
    }
    let mut entities: Vec<Entity> = Vec::new();
    let mut are_right = true;
    for (index, item) in list.iter().enumerate() {
        match entity(reader, item, &at.key(&format!("entities[{index}]")), &entities) {
            Some(entity) => entities.push(entity),
            None => are_right = false,
        }
    }
    are_right.then_some(entities)
}

fn entity(reader: &mut Reader<'_>, item: &Spanned<DeValue<'_>>, path: &str, earlier: &[Entity]) -> Option<Entity> {
    let line = reader.line_of(item);
    let Some(table) = item.get_ref().as_table() else {
        reader.note(line, path.to_string(), wrong_type(item.get_ref(), "a table with `id` and `name`"));
        return None;
    };
    let section = reader.open(table, path, line, &ENTITY);
    let (id, name) = (reader.get(&section, &ID), reader.get(&section, &NAME));
    let area = reader.find(&section, &AREA);
    let services = services::services(reader, &section, &id)?;
    if id.is_empty() || name.is_empty() {
        return None;
    }
    for (key, text) in [(ID.name, &id), (NAME.name, &name)] {
        if find(earlier, text).is_some() {
            let message =
                format!("is \"{text}\", as that of an earlier entity; put the area into the name, for example");
            reader.object(&section, key, message);
            return None;
        }
    }
    Some(Entity { id, name, area, services })
}

fn entity_id(id: &str) -> Result<(), String> {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(is_word_byte);
    match id.split_once('.') {
        Some((domain, rest)) if is_word(domain) && is_word(rest) => Ok(()),
        _ => Err("must be a domain, a dot and a name, of small letters, digits and `_`: \"light.kitchen\"".into()),
    }
}

/// What names of domains, entities and services are made of.
fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'
}

fn check_address(text: &str) -> Result<(), String> {
    parse_address(text).map(drop)
}

/// The address of the WebSocket; that of the pages is taken for it, and the path may be left out.
fn parse_address(text: &str) -> Result<Address, String> {
    if let Some(odd) = text.chars().find(|letter| !letter.is_ascii_graphic() || "\\\"<>^`|{}@?#".contains(*letter)) {
        return Err(format!("holds {odd:?}, which has no place there; the token belongs into `token_secret`"));
    }
    let as_http = match text.split_once("://") {
        Some(("ws" | "http", rest)) => format!("http://{rest}"),
        Some(("wss" | "https", rest)) => format!("https://{rest}"),
        _ => return Err("must begin with ws:// (within the house's own network) or wss://".into()),
    };
    let (origin, path) = Origin::split(&as_http)?;
    let host = origin.host.trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if origin.scheme == Scheme::Http && !is_here && !mcp::is_private(host) {
        let host = host.to_string();
        return Err(format!(
            "sends everything unencrypted to {host}; use wss:// (ws:// is for the house's own network)"
        ));
    }
    let path = if path.is_empty() || path == "/" { PATH } else { path };
    Ok(Address { origin, path: path.to_string() })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_in_the_ways_people_write_them() {
        for (text, origin, path) in [
            ("ws://homeassistant.local:8123/api/websocket", "http://homeassistant.local:8123", PATH),
            ("http://192.168.1.4:8123", "http://192.168.1.4:8123", PATH),
            ("ws://127.0.0.1:8123/", "http://127.0.0.1:8123", PATH),
            ("ws://[::1]:8123/", "http://[::1]:8123", PATH),
            ("wss://home.example.org/ha/api/websocket", "https://home.example.org", "/ha/api/websocket"),
            ("https://home.example.org", "https://home.example.org", PATH),
        ] {
            let address = parse_address(text).unwrap();
            assert_eq!((address.origin.to_string().as_str(), address.path.as_str()), (origin, path), "{text}");
        }
        assert!(parse_address("ws://home.example.org").unwrap_err().contains("unencrypted"));
        for text in ["home", "ftp://hub", "ws://", "ws://me:x@hub", "ws://hub/?token=x", "ws://hub/ x", "ws://hub:0"] {
            assert!(parse_address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ids_are_those_of_home_assistant() {
        assert!(entity_id("light.kitchen_2").is_ok());
        for id in ["light", "light.", ".x", "Light.Kitchen", "light.a.b", "light.kitchen,lock.front", "light.*"] {
            assert!(entity_id(id).is_err(), "{id}");
        }
    }
}
