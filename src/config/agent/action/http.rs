//! `[http]`, and `action = { http = "GET", url = "…", … }`: one request to a server that the owner lists.

use std::collections::BTreeMap;

use super::super::super::key::{Choice, Key, Need, Text, Whole, any_text, one_line};
use super::super::super::read::{Reader, Section, Sheet};
use super::super::super::several::{Json, Pairs, Texts};
use super::super::Action;
use super::super::body::Body;
use super::super::template::{Template, templates};
use super::address::{self, ADDRESS_CHARS_MAX, Address, Host};
use super::{Around, open};

/// Servers; a house has a handful.
const HOSTS_MAX: usize = 64;
/// A host's name has at most 253 characters, a port five.
const HOST_CHARS_MAX: usize = 260;
/// Redirects that may be followed; more are a loop.
const REDIRECTS_MAX: u32 = 5;

const HOSTS: Key<Texts> = Key {
    name: "hosts",
    kind: Texts {
        what: "a host or host:port",
        chars_max: HOST_CHARS_MAX,
        count_max: HOSTS_MAX,
        check: address::check_host,
    },
    need: Need::Defaults,
    doc: "The only servers that actions of the kind `http` may ask: host, or host:port where it is not 443 or 80.",
};

/// `[http]`.
pub const HTTP: Sheet = Sheet { name: "http", keys: &[&HOSTS], tables: &[] };

/// How a request is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Asks only for the status.
    Head,
    /// Does something.
    Post,
    /// Sets something.
    Put,
    /// Changes a part of something.
    Patch,
    /// Removes something.
    Delete,
}

impl Method {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        METHODS.iter().find(|(_, method)| *method == self).map_or("GET", |(word, _)| word)
    }

    /// Whether asking changes nothing at the server.
    pub fn is_safe(self) -> bool {
        matches!(self, Method::Get | Method::Head)
    }
}

const METHODS: &[(&str, Method)] = &[
    ("GET", Method::Get),
    ("HEAD", Method::Head),
    ("POST", Method::Post),
    ("PUT", Method::Put),
    ("PATCH", Method::Patch),
    ("DELETE", Method::Delete),
];

/// A request with places.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpAction {
    /// How.
    pub method: Method,
    /// Whom and what.
    pub address: Address,
    /// Headers by their names in small letters.
    pub headers: BTreeMap<String, Template>,
    /// What is sent, as JSON.
    pub body: Option<Body>,
    /// What of the answer the model gets: JSON pointers by the names it sees. All of it where empty.
    pub pick: BTreeMap<String, String>,
    /// Redirects that are followed, 0–5.
    pub redirects: u32,
    /// When the call is stopped, ms.
    pub timeout_ms: u32,
}

const METHOD: Key<Choice<Method>> = Key {
    name: "http",
    kind: Choice { options: METHODS, default: Method::Get },
    need: Need::Required,
    doc: "The request's method.",
};
const URL: Key<Text> = Key {
    name: "url",
    kind: Text { what: "an address", chars_max: ADDRESS_CHARS_MAX, check: check_address, default: "" },
    need: Need::Required,
    doc: "Whom and what to ask; `{argument}` may stand behind the host.",
};
const HEADERS: Key<Pairs> = Key {
    name: "headers",
    kind: Pairs {
        name_what: "a header's name",
        what: "its value",
        chars_max: 1024,
        count_max: 16,
        check_name: header_name,
        check: one_line,
    },
    need: Need::Optional,
    doc: "Headers; `{argument}` and `{secret.name}` may stand in their values.",
};
const BODY: Key<Json> = Key {
    name: "body",
    kind: Json { what: "any value, sent as JSON" },
    need: Need::Optional,
    doc: "What is sent, as JSON; a text that is only `{argument}` becomes the argument as it is.",
};
const PICK: Key<Pairs> = Key {
    name: "pick",
    kind: Pairs {
        name_what: "a name",
        what: "a JSON pointer such as \"/current/temp_c\"",
        chars_max: 256,
        count_max: 32,
        check_name: any_text,
        check: pointer,
    },
    need: Need::Optional,
    doc: "What of a JSON answer the model gets, by JSON pointers; all of it where absent.",
};
const REDIRECTS: Key<Whole> = Key {
    name: "redirects",
    kind: Whole { unit: "", min: 0, max: REDIRECTS_MAX, step: 1, default: 0 },
    need: Need::Defaults,
    doc: "How many redirects are followed, each only to a host of [http], and never from https to http.",
};

/// `action = { http = "GET", … }`.
pub const REQUEST: Sheet =
    Sheet { name: "tools.action", keys: &[&METHOD, &URL, &HEADERS, &BODY, &PICK, &REDIRECTS], tables: &[] };

/// The hosts of `[http]`; none where they are wrong, which was noted.
pub(in super::super) fn hosts(reader: &mut Reader<'_>, top: &Section<'_>) -> Option<Vec<Host>> {
    let section = reader.inner(top, HTTP.name, &HTTP);
    if section.value(HOSTS.name).is_none() {
        return Some(Vec::new());
    }
    let hosts = reader.find(&section, &HOSTS)?;
    hosts.iter().map(|text| Host::parse(text).ok()).collect()
}

pub(super) fn read(reader: &mut Reader<'_>, place: &Section<'_>, around: &Around<'_>) -> Option<Action> {
    let section = open(reader, place, &REQUEST);
    let method = reader.find(&section, &METHOD);
    let address = read_address(reader, &section, around);
    let headers = read_headers(reader, &section, around);
    let body = read_body(reader, &section, around);
    let pick = reader.find(&section, &PICK).unwrap_or_default();
    let redirects = reader.get(&section, &REDIRECTS);
    let (method, address) = (method?, address?);
    if body.is_some() && method.is_safe() {
        let message = format!("is sent with a {}, which has none; use POST, PUT or PATCH", method.word());
        reader.object(&section, BODY.name, message);
    }
    if !pick.is_empty() && method == Method::Head {
        reader.object(&section, PICK.name, "picks from the answer to a HEAD, which has none; use GET".into());
    }
    Some(Action::Http(HttpAction { method, address, headers, body, pick, redirects, timeout_ms: around.timeout_ms }))
}

fn read_address(reader: &mut Reader<'_>, section: &Section<'_>, around: &Around<'_>) -> Option<Address> {
    let address = Address::parse(&reader.get(section, &URL)).ok()?; // where it is wrong, that has been said
    around.check_places(reader, section, URL.name, &address.target);
    around.check_scalars(reader, section, URL.name, &address.target);
    if around.hosts.is_some_and(|hosts| !hosts.iter().any(|host| host.admits(&address.origin))) {
        let wanted = address.origin.authority();
        let message =
            format!("asks {wanted}, which is not among the hosts that may be asked: [http] hosts = [\"{wanted}\"]");
        reader.object(section, URL.name, message);
    }
    Some(address)
}

fn read_headers(reader: &mut Reader<'_>, section: &Section<'_>, around: &Around<'_>) -> BTreeMap<String, Template> {
    let headers = match templates(reader.find(section, &HEADERS).unwrap_or_default()) {
        Ok(headers) => headers,
        Err(why) => {
            reader.object(section, HEADERS.name, why);
            return BTreeMap::new();
        }
    };
    for template in headers.values() {
        around.check_places(reader, section, HEADERS.name, template);
        around.check_scalars(reader, section, HEADERS.name, template);
    }
    headers.into_iter().map(|(name, template)| (name.to_ascii_lowercase(), template)).collect()
}

fn read_body(reader: &mut Reader<'_>, section: &Section<'_>, around: &Around<'_>) -> Option<Body> {
    match Body::parse(reader.find(section, &BODY)?) {
        Ok(body) => {
            for template in body.templates() {
                around.check_places(reader, section, BODY.name, template);
            }
            Some(body)
        }
        Err(why) => {
            reader.object(section, BODY.name, why);
            None
        }
    }
}

fn check_address(text: &str) -> Result<(), String> {
    Address::parse(text).map(drop)
}

/// Headers that say where a message ends or whom it is for are the program's own to set.
fn header_name(name: &str) -> Result<(), String> {
    const OWN: [&str; 9] = [
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "upgrade",
        "te",
        "trailer",
        "expect",
        "accept-encoding",
    ];
    if !name.bytes().all(|letter| letter.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&letter)) {
        return Err("is no header's name: letters, digits and `-`".into());
    }
    if OWN.iter().any(|own| name.eq_ignore_ascii_case(own)) {
        return Err(format!("is set by mynah itself, as are all of {}", OWN.join(", ")));
    }
    Ok(())
}

fn pointer(text: &str) -> Result<(), String> {
    if text.starts_with('/') {
        return Ok(());
    }
    Err("is no JSON pointer: it begins with `/`, and `/` stands before each name or number on the way".into())
}
