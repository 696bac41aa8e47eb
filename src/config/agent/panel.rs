//! `[panel]`: the page that the device serves, to whom, and what may be done there.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::Value;

use super::super::key::{Key, Kind, Need, Path, Text};
use super::super::problem::{listed, nearest};
use super::super::read::{Reader, Section, Sheet};
use super::super::several::{Json, Texts};

/// What a person may want at the page, as it is named there and in `allow`. None of them calls a tool.
pub const WISHES: [&str; 11] =
    ["listen", "stop", "mute", "volume", "announce", "repeat", "reset", "end", "confirm", "hush", "next"];

/// What lets a person change settings there ([`overlay`](super::overlay)); granted only where `allow` names it.
pub const SETTINGS: &str = "settings";

/// More hosts than this are a mistake.
const HOSTS_MAX: usize = 32;
/// Keys whose values may hold a password within an address; of these it is only shown that they are set.
const HIDDEN: [&str; 1] = ["token_url"];

/// `[panel]`, where it says where to listen.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// Where it listens.
    pub listen: SocketAddr,
    /// File that holds the token or password, readable by its owner only; nobody is asked for one where absent.
    pub secret_file: Option<PathBuf>,
    /// Files with certificate and key (PEM); no TLS where absent.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Which of [`WISHES`] are granted, and whether [`SETTINGS`] are.
    pub allow: Vec<String>,
    /// More names by which the page may be reached, lower case.
    pub hosts: Vec<String>,
    /// Hosts whose pictures the tool `show` may show, lower case.
    pub show_hosts: Vec<String>,
    /// The agent file, for people who look at the page.
    pub settings: Vec<Setting>,
}

impl Panel {
    /// A page at `listen` where everything is granted and nobody is asked for a password.
    pub fn here(listen: SocketAddr) -> Panel {
        Panel {
            listen,
            secret_file: None,
            certificate: None,
            allow: WISHES.map(String::from).into(),
            hosts: Vec::new(),
            show_hosts: Vec::new(),
            settings: Vec::new(),
        }
    }
}

/// One key of the agent file, as it is in force.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Setting {
    /// The section; empty for the top of the file.
    pub section: &'static str,
    /// The key.
    pub key: &'static str,
    /// Its value as a person writes it; empty for an optional key that is absent.
    pub value: String,
    /// What it means.
    pub doc: &'static str,
}

const LISTEN: Key<Text> = Key {
    name: "listen",
    kind: Text { what: "an address and a port", chars_max: 64, check: address, default: "127.0.0.1:8765" },
    need: Need::Optional,
    doc: "Address and port of the page, \"127.0.0.1:8765\" for this machine only; no page where absent.",
};
const SECRET_FILE: Key<Path> = Key {
    name: "secret_file",
    kind: Path { what: "a file that holds the token or password, readable by its owner only" },
    need: Need::Optional,
    doc: "File that holds the token or password of the page; a must where others on the network reach it.",
};
const CERTIFICATE: Key<Path> = Key {
    name: "certificate",
    kind: Path { what: "a PEM file with the certificate, and those that vouch for it" },
    need: Need::Optional,
    doc: "Certificate (PEM) with which the page is served over TLS.",
};
const KEY: Key<Path> = Key {
    name: "key",
    kind: Path { what: "a PEM file with the certificate's key, readable by its owner only" },
    need: Need::Optional,
    doc: "The key of `certificate` (PEM).",
};
const ALLOW: Key<Texts> = Key {
    name: "allow",
    kind: Texts { what: "something that may be done there", chars_max: 16, count_max: WISHES.len() + 1, check: wish },
    need: Need::Optional,
    doc: "What may be done at the page: \"listen\", \"stop\", \"mute\", \"volume\", \"announce\", \"repeat\", \"reset\", \"end\", \"confirm\", \"hush\", \"next\"; all of it where absent, [] for nothing. Only where it is named: \"settings\", to change harmless settings.",
};
const HOSTS: Key<Texts> = Key {
    name: "hosts",
    kind: Texts { what: "a host's name", chars_max: 253, count_max: HOSTS_MAX, check: host },
    need: Need::Optional,
    doc: "More names by which the page may be reached, beside its address and localhost.",
};
const SHOW_HOSTS: Key<Texts> = Key {
    name: "show_hosts",
    kind: Texts { what: "a host's name", chars_max: 253, count_max: HOSTS_MAX, check: host },
    need: Need::Optional,
    doc: "Hosts whose pictures the model may show with the tool `show`; none where absent.",
};

/// `[panel]`.
pub const PANEL: Sheet = Sheet {
    name: "panel",
    keys: &[&LISTEN, &SECRET_FILE, &CERTIFICATE, &KEY, &ALLOW, &HOSTS, &SHOW_HOSTS],
    tables: &[],
};

/// `[panel]` of the file; none where it does not say where to listen.
pub(super) fn panel(reader: &mut Reader<'_>, top: &Section<'_>) -> Option<Panel> {
    let section = reader.inner(top, PANEL.name, &PANEL);
    let at = &section;
    let listen = reader.find(at, &LISTEN).and_then(|text| text.parse::<SocketAddr>().ok());
    let secret_file = reader.find(at, &SECRET_FILE);
    let certificate = pair(reader, at);
    let allow = reader.find(at, &ALLOW);
    let lower = |hosts: Option<Vec<String>>| hosts.unwrap_or_default().iter().map(|host| host.to_lowercase()).collect();
    let (hosts, show_hosts) = (lower(reader.find(at, &HOSTS)), lower(reader.find(at, &SHOW_HOSTS)));
    if listen.is_none() && at.value(LISTEN.name).is_none() && at.table.is_some_and(|table| !table.is_empty()) {
        reader.miss(at, LISTEN.name, &format!("{:?}, say", LISTEN.kind.default));
    }
    let listen = listen?;
    if !listen.ip().is_loopback() && at.value(SECRET_FILE.name).is_none() {
        let message = format!(
            "is \"{listen}\", where others on the network reach the page: name a `secret_file` with a password, or \
             listen on {}",
            LISTEN.kind.default
        );
        reader.object(at, LISTEN.name, message);
    }
    let allow = allow.unwrap_or_else(|| WISHES.map(String::from).to_vec());
    Some(Panel { listen, secret_file, certificate, allow, hosts, show_hosts, settings: settings(top) })
}

/// Both files of the certificate, or neither.
fn pair(reader: &mut Reader<'_>, at: &Section<'_>) -> Option<(PathBuf, PathBuf)> {
    match (reader.find(at, &CERTIFICATE), reader.find(at, &KEY)) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (is, _) => {
            let names = (CERTIFICATE.name, KEY.name);
            let (here, other) = if is.is_some() { names } else { (names.1, names.0) };
            if at.value(other).is_none() {
                reader.object(at, here, format!("is there without `{other}`; the two belong together"));
            }
            None
        }
    }
}

/// Every key of the sections with its value, or its default. Secrets are in files of their own, whose paths are shown.
fn settings(top: &Section<'_>) -> Vec<Setting> {
    const ANY: Json = Json { what: "a value" };
    let written = |section: &str, key: &str| {
        let table = match section {
            "" => top.table?,
            name => top.value(name)?.get_ref().as_table()?,
        };
        ANY.read(table.get(key)?.get_ref()).ok()
    };
    let is_section = |section: &str| top.value(section).is_none_or(|value| value.get_ref().as_table().is_some());
    let keys = super::read::keys().filter(|(section, _)| !section.starts_with("tools") && is_section(section));
    keys.map(|(section, key)| {
        let value = match written(section, key.name()) {
            Some(_) if HIDDEN.contains(&key.name()) => "(set)".to_string(),
            Some(Value::String(text)) => text,
            Some(value) => value.to_string(),
            None => key.default_toml().map(|toml| toml.trim_matches('"').to_string()).unwrap_or_default(),
        };
        Setting { section, key: key.name(), value, doc: key.doc() }
    })
    .collect()
}

fn address(text: &str) -> Result<(), String> {
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() != 0 => Ok(()),
        _ => Err("is no address with a port: \"127.0.0.1:8765\" is this machine alone, \"0.0.0.0:8765\" the network"
            .to_string()),
    }
}

fn wish(word: &str) -> Result<(), String> {
    let known = || WISHES.into_iter().chain([SETTINGS]);
    if known().any(|known| known == word) {
        return Ok(());
    }
    let guess = nearest(word, known()).map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default();
    Err(format!("is none{guess}; there are {}", listed(known())))
}

fn host(text: &str) -> Result<(), String> {
    let is_host = text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '.' || letter == '-')
        && text.split('.').all(|label| !label.is_empty());
    if is_host {
        return Ok(());
    }
    Err("is no host's name: leave out `https://`, port and path".to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::agent::{Agent, parse};

    fn panel(text: &str) -> Panel {
        parse(text, "test").unwrap().panel.unwrap()
    }

    #[test]
    fn there_is_no_page_unless_somebody_says_where() {
        assert_eq!(Agent::default().panel, None);
        assert_eq!(parse("[panel]\n", "test").unwrap().panel, None);
        let panel = panel("[panel]\nlisten = \"127.0.0.1:8765\"\n");
        assert_eq!((panel.listen.port(), panel.allow.len(), panel.secret_file), (8765, WISHES.len(), None));
    }

    #[test]
    fn the_settings_show_what_is_in_force_and_no_secret() {
        let text = "token_url = \"https://broker.example/hunter2\"\nvoice = \"Kore\"\n[listen]\nonset_ms = 90\n\
                    [secrets]\nx = \"/etc/mynah/x\"\n[panel]\nlisten = \"[::1]:80\"\nallow = [\"stop\"]\n";
        let settings = panel(text).settings;
        let value = |section: &str, key: &str| {
            let found = settings.iter().find(|setting| setting.section == section && setting.key == key);
            found.unwrap().value.clone()
        };
        assert_eq!(value("", "voice"), "Kore");
        assert_eq!(value("listen", "onset_ms"), "90");
        assert_eq!(value("listen", "mode"), "push_to_talk", "the default");
        assert_eq!(value("panel", "allow"), "[\"stop\"]");
        assert_eq!(value("", "token_url"), "(set)");
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
