//! `[[mcp]]`: servers of the Model Context Protocol, and which of their tools the model sees.
//!
//! The allow list names each tool, so a server cannot bring in another one, nor a name that clashes: the names
//! that the model sees follow from this file alone. What a tool takes the server says; `tools/mcp` translates it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use toml::Spanned;
use toml::de::DeValue;

use super::super::key::{Choice, Key, Need, Text, Whole, any_text, wrong_type};
use super::super::problem::shown;
use super::super::read::{Reader, Section, Sheet};
use super::super::several::{Pairs, Texts};
use super::policy::{self, Policy, Shared};
use super::secrets::Secrets;
use super::template::{Template, templates};
use super::tool::{BEHAVIOR, function_name};
use super::{Behavior, Tool, endpoint};

/// Servers: each is a process of its own on a small board, or a connection that is kept.
const SERVERS_MAX: usize = 8;
/// Tools of one server. With those of `[[tools]]` they stay under the 512 that the service takes.
const ALLOWED_MAX: usize = 32;

/// A server of `[[mcp]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct McpServer {
    /// Its name here; the beginning of its tools' names.
    pub name: String,
    /// How it is reached.
    pub reach: Reach,
    /// Its tools that the model sees.
    pub allow: Vec<Allowed>,
    /// What must hold before any of them is called that has no other policy.
    pub policy: Policy,
}

/// How a server is reached.
#[derive(Clone, Debug, PartialEq)]
pub enum Reach {
    /// It is a child process and speaks over standard input and output.
    Command {
        /// Absolute path of the program.
        program: String,
        /// Its arguments, as they stand.
        arguments: Vec<String>,
        /// What is in its environment beside the few variables that every program needs.
        environment: BTreeMap<String, Template>,
    },
    /// It runs elsewhere and speaks streamable HTTP.
    Url {
        /// Its address.
        url: String,
        /// Headers of every request.
        headers: BTreeMap<String, Template>,
    },
}

/// A tool that the model sees.
#[derive(Clone, Debug, PartialEq)]
pub struct Allowed {
    /// The server's name for it.
    pub tool: String,
    /// The function's name that the model sees.
    pub name: String,
    /// When to call it, for the model; the server's own words where absent.
    pub description: Option<String>,
    /// Whether the model waits.
    pub behavior: Behavior,
    /// Time limit, ms, 100–60000.
    pub timeout_ms: u32,
    /// What must hold before it is called. Whether it has the parameter `on_argument` is known when it was listed.
    pub policy: Policy,
}

/// What a tool of a server does: it is called there.
#[derive(Clone, Debug, PartialEq)]
pub struct McpAction {
    /// The server's name in `[[mcp]]`.
    pub server: String,
    /// The server's name for the tool.
    pub tool: String,
    /// From the arguments as the model gives them to those that the server takes.
    pub way_back: WayBack,
}

/// What must be done to a value of the model's before the server gets it. Empty: nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WayBack {
    /// An object's members that are renamed, or changed further inside; by the names that the model knows.
    pub members: BTreeMap<String, Member>,
    /// What must be done to each item of a list.
    pub items: Option<Box<WayBack>>,
    /// A text here is JSON: the service has no word for what the server takes.
    pub is_json_text: bool,
}

/// A member of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// The server's name for it.
    pub name: String,
    /// What must be done to its value.
    pub way_back: WayBack,
}

const NAME: Key<Text> = Key {
    name: "name",
    kind: Text { what: "a short name", chars_max: 24, check: server_name, default: "" },
    need: Need::Required,
    doc: "The server's name; the model sees its tools as NAME_TOOL.",
};
const COMMAND: Key<Texts> = Key {
    name: "command",
    kind: Texts { what: "a program's path or an argument", chars_max: 1024, count_max: 64, check: argument },
    need: Need::Optional,
    doc: "A program that is started and spoken to over standard input and output: absolute path, then arguments.",
};
const ENVIRONMENT: Key<Pairs> = Key {
    name: "environment",
    kind: Pairs {
        name_what: "a variable's name",
        what: "its value, with `{secret.name}` where a secret belongs",
        chars_max: 4096,
        count_max: 64,
        check_name: variable_name,
        check: argument,
    },
    need: Need::Optional,
    doc: "The program's environment; of mynah's own it gets PATH, HOME, LANG, TZ and TMPDIR only.",
};
const URL: Key<Text> = Key {
    name: "url",
    kind: Text { what: "an https address", chars_max: 1024, check: address, default: "" },
    need: Need::Optional,
    doc: "A server that runs elsewhere and speaks streamable HTTP; http:// within the house only.",
};
const HEADERS: Key<Pairs> = Key {
    name: "headers",
    kind: Pairs {
        name_what: "a header's name",
        what: "its value, with `{secret.name}` where a secret belongs",
        chars_max: 4096,
        count_max: 32,
        check_name: header_name,
        check: argument,
    },
    need: Need::Optional,
    doc: "Headers of every request to `url`.",
};
const TIMEOUT_MS: Key<Whole> = Key {
    name: "timeout_ms",
    kind: Whole { unit: "ms", min: 100, max: 60_000, step: 1, default: 0 },
    need: Need::Optional,
    doc: "Time limit of this server's tools; `limits.tool_timeout_ms` where absent.",
};
const AS: Key<Text> = Key {
    name: "as",
    kind: Text { what: "the function's name", chars_max: 128, check: function_name, default: "" },
    need: Need::Optional,
    doc: "The function's name that the model sees, instead of NAME_TOOL.",
};
const DESCRIPTION: Key<Text> = Key {
    name: "description",
    kind: Text { what: "a sentence for the model", chars_max: 4096, check: any_text, default: "" },
    need: Need::Optional,
    doc: "When to call it and when not, for the model; the server's own words where absent.",
};
const TOOL_TIMEOUT_MS: Key<Whole> = Key { doc: "Time limit of this tool.", ..TIMEOUT_MS };
const TOOL_BEHAVIOR: Key<Choice<Behavior>> = Key { ..BEHAVIOR };

/// One of `[[mcp]]`.
pub const MCP: Sheet = Sheet {
    name: "mcp",
    keys: &[&NAME, &COMMAND, &ENVIRONMENT, &URL, &HEADERS, &TIMEOUT_MS],
    tables: &["allow", "policy"],
};
/// One of `[mcp.allow]`.
pub const ALLOWED: Sheet =
    Sheet { name: "mcp.allow", keys: &[&AS, &DESCRIPTION, &TOOL_BEHAVIOR, &TOOL_TIMEOUT_MS], tables: &["policy"] };

const LIST_FORM: &str = "a list: head each server with `[[mcp]]`";
const ALLOW_FORM: &str = "a table of the tools that the model may call: allow = { search = {}, read_file = {} }";

/// What the servers' tools must fit to.
pub(super) struct Near<'a> {
    pub(super) timeout_ms: u32,
    pub(super) secrets: &'a Secrets,
    pub(super) tools: &'a [Tool],
}

/// What holds for all tools of a server that say nothing else.
struct All {
    timeout_ms: u32,
    policy: Shared,
}

/// The servers of the file; those with problems are left out (the problems are noted).
pub(super) fn servers(reader: &mut Reader<'_>, top: &Section<'_>, near: &Near<'_>) -> Vec<McpServer> {
    let Some(value) = top.value("mcp") else { return Vec::new() };
    let Some(list) = value.get_ref().as_array() else {
        reader.note_at(value, "mcp".into(), wrong_type(value.get_ref(), LIST_FORM));
        return Vec::new();
    };
    if list.len() > SERVERS_MAX {
        reader.note_at(value, "mcp".into(), format!("has {} servers; at most {SERVERS_MAX} are taken", list.len()));
        return Vec::new();
    }
    let mut servers: Vec<McpServer> = Vec::new();
    let mut functions: Vec<String> = near.tools.iter().map(|tool| tool.name.clone()).collect();
    for (index, item) in list.iter().enumerate() {
        let path = format!("mcp[{index}]");
        let line = reader.line_of(item);
        let Some(table) = item.get_ref().as_table() else {
            reader.note(line, path, wrong_type(item.get_ref(), "a table: head each server with `[[mcp]]`"));
            continue;
        };
        let section = reader.open(table, &path, line, &MCP);
        let name = reader.get(&section, &NAME);
        if servers.iter().any(|other| other.name == name) {
            reader.object(&section, NAME.name, format!("is \"{name}\", as that of an earlier server"));
        }
        let reach = reach(reader, &section, near.secrets);
        let mut all = All { timeout_ms: near.timeout_ms, policy: policy::shared(reader, &section) };
        let allow = allow(reader, &section, &name, &mut all, &mut functions);
        servers.extend(reach.map(|reach| McpServer { name, reach, allow, policy: all.policy.policy }));
    }
    servers
}

fn reach(reader: &mut Reader<'_>, at: &Section<'_>, secrets: &Secrets) -> Option<Reach> {
    let is_there = |key: &str| at.value(key).is_some();
    let (mine, theirs) = match (is_there(COMMAND.name), is_there(URL.name)) {
        (true, false) => (COMMAND.name, HEADERS.name),
        (false, true) => (URL.name, ENVIRONMENT.name),
        (true, true) => {
            let message = "stands beside `command`; a server has one of the two".to_string();
            reader.object(at, URL.name, message);
            return None;
        }
        (false, false) => {
            reader.miss(at, COMMAND.name, "a list such as [\"/usr/bin/server\", \"--stdio\"], or `url` in its place");
            return None;
        }
    };
    if is_there(theirs) {
        reader.object(at, theirs, format!("does not go with `{mine}`"));
    }
    if mine == URL.name {
        let headers = filled(reader, at, &HEADERS, secrets);
        return reader.find(at, &URL).map(|url| Reach::Url { url, headers });
    }
    let environment = filled(reader, at, &ENVIRONMENT, secrets);
    let mut words = reader.find(at, &COMMAND)?.into_iter();
    let Some(program) = words.next().filter(|program| program.starts_with('/')) else {
        let message = "must begin with the program's absolute path, such as \"/usr/bin/server\"".to_string();
        reader.object(at, COMMAND.name, message);
        return None;
    };
    Some(Reach::Command { program, arguments: words.collect(), environment })
}

/// A table of texts in which secrets may have places.
fn filled(
    reader: &mut Reader<'_>,
    at: &Section<'_>,
    key: &Key<Pairs>,
    secrets: &Secrets,
) -> BTreeMap<String, Template> {
    let texts = match reader.find(at, key).map(templates) {
        None => return BTreeMap::new(),
        Some(Ok(texts)) => texts,
        Some(Err(why)) => {
            reader.object(at, key.name, why);
            return BTreeMap::new();
        }
    };
    for template in texts.values() {
        if let Some(name) = template.arguments().next() {
            let message = format!("has the place `{{{name}}}`; only secrets have places here: `{{secret.{name}}}`");
            reader.object(at, key.name, message);
        }
        for name in template.secrets().filter(|name| !secrets.contains_key(*name)) {
            let message = format!("has the place `{{secret.{name}}}`, but [secrets] has no `{name}`");
            reader.object(at, key.name, message);
        }
    }
    texts
}

/// The allow list of a server; `functions` are the names that are taken.
fn allow(
    reader: &mut Reader<'_>,
    at: &Section<'_>,
    server: &str,
    all: &mut All,
    functions: &mut Vec<String>,
) -> Vec<Allowed> {
    all.timeout_ms = reader.find(at, &TIMEOUT_MS).unwrap_or(all.timeout_ms);
    let Some(value) = at.value("allow") else {
        reader.miss(at, "allow", ALLOW_FORM);
        return Vec::new();
    };
    let Some(table) = value.get_ref().as_table().filter(|table| !table.is_empty()) else {
        let found = if value.get_ref().as_table().is_some() { "is empty".to_string() } else { String::new() };
        let message = if found.is_empty() {
            wrong_type(value.get_ref(), ALLOW_FORM)
        } else {
            found + "; it must be " + ALLOW_FORM
        };
        reader.note_at(value, at.key("allow"), message);
        return Vec::new();
    };
    if table.len() > ALLOWED_MAX {
        let message = format!("has {} tools; at most {ALLOWED_MAX} of a server are taken", table.len());
        reader.note_at(value, at.key("allow"), message);
        return Vec::new();
    }
    let mut allowed = Vec::new();
    for (tool, item) in table.iter() {
        let Some(one) = one(reader, at, (server, tool.get_ref()), item, all) else { continue };
        if functions.contains(&one.name) {
            let message = format!(
                "is seen by the model as \"{}\", as another tool; give it a name of its own: {{ as = \"…\" }}",
                one.name
            );
            reader.note_at(item, at.key(&format!("allow.{}", shown(tool.get_ref()))), message);
        }
        functions.push(one.name.clone());
        allowed.push(one);
    }
    allowed
}

fn one(
    reader: &mut Reader<'_>,
    at: &Section<'_>,
    (server, tool): (&str, &str),
    item: &Spanned<DeValue<'_>>,
    all: &All,
) -> Option<Allowed> {
    let path = at.key(&format!("allow.{}", shown(tool)));
    let Some(table) = item.get_ref().as_table() else {
        reader.note_at(item, path, wrong_type(item.get_ref(), "a table, `{}` where nothing is to be changed"));
        return None;
    };
    if tool.is_empty() || tool.chars().count() > 128 {
        reader.note_at(item, path, "is no tool's name: 1 to 128 characters".into());
        return None;
    }
    let line = reader.line_of(item);
    let section = reader.open(table, &path, line, &ALLOWED);
    let behavior = reader.get(&section, &TOOL_BEHAVIOR);
    Some(Allowed {
        tool: tool.to_string(),
        name: reader.find(&section, &AS).unwrap_or_else(|| seen_name(server, tool)),
        description: reader.find(&section, &DESCRIPTION),
        behavior,
        timeout_ms: reader.find(&section, &TOOL_TIMEOUT_MS).unwrap_or(all.timeout_ms),
        policy: policy::of_one(reader, &section, behavior, &all.policy),
    })
}

/// `house_get_state`: what the service takes as a function's name, whatever the tool's.
fn seen_name(server: &str, tool: &str) -> String {
    const NAME_CHARS: usize = 128; // live-protocol.md 2.3
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    format!("{server}_{}", tool.chars().map(plain).collect::<String>()).chars().take(NAME_CHARS).collect()
}

fn server_name(name: &str) -> Result<(), String> {
    let starts_well = name.starts_with(|first: char| first.is_ascii_lowercase());
    if starts_well && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
        return Ok(());
    }
    Err("must begin with a small letter and go on with small letters, digits or `_`".into())
}

fn argument(text: &str) -> Result<(), String> {
    if text.contains(['\0', '\n', '\r']) { Err("holds a line break or a zero byte".into()) } else { Ok(()) }
}

fn variable_name(name: &str) -> Result<(), String> {
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    if starts_well && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Ok(());
    }
    Err("is no variable's name: letters, digits and `_`".into())
}

fn header_name(name: &str) -> Result<(), String> {
    // The protocol's own, and those that belong to the request as it travels.
    const TAKEN: [&str; 7] =
        ["accept", "content-type", "content-length", "host", "last-event-id", "mcp-session-id", "mcp-protocol-version"];
    if TAKEN.iter().any(|taken| name.eq_ignore_ascii_case(taken)) {
        return Err("is the protocol's own header".into());
    }
    if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
        return Ok(());
    }
    Err("is no header's name: letters, digits and `-`".into())
}

/// TLS anywhere, plain HTTP within the house.
fn address(url: &str) -> Result<(), String> {
    let Some(rest) = url.strip_prefix("http://") else { return endpoint::check_broker(url) };
    // What it says of names, ports and keys holds for both; it is asked as if there were TLS.
    let parsed = endpoint::parse_broker(&format!("https://{rest}"))?;
    if parsed.is_here || is_private(&parsed.host) {
        return Ok(());
    }
    Err(format!(
        "sends everything unencrypted to {}; use https:// (http:// is for this machine and the house's own network)",
        parsed.host
    ))
}

/// Whether a host can only be in the house: its addresses, and the names that no public server has.
pub(super) fn is_private(host: &str) -> bool {
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return address.is_private() || address.is_link_local();
    }
    if let Ok(address) = host.parse::<Ipv6Addr>() {
        return address.is_unique_local() || address.is_unicast_link_local();
    }
    let host = host.to_ascii_lowercase();
    !host.contains('.') || [".local", ".lan", ".home.arpa", ".internal"].iter().any(|end| host.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_taken_within_the_house_only() {
        for url in
            ["http://127.0.0.1:3001/mcp", "http://192.168.1.4/mcp", "http://hub.local/mcp", "http://hub:8123/mcp"]
        {
            assert_eq!(address(url), Ok(()), "{url}");
        }
        for url in ["https://mcp.example.org/mcp", "http://[fd00::1]:80/mcp", "http://[fe80::1]/mcp"] {
            assert_eq!(address(url), Ok(()), "{url}");
        }
        let urls =
            ["http://mcp.example.org/mcp", "http://8.8.8.8/", "http://hub.local.example.org/", "http://[2001:db8::1]/"];
        for url in urls {
            assert!(address(url).is_err_and(|why| why.contains("unencrypted")), "{url}");
        }
        for url in ["ftp://hub/", "hub", "https://user@hub/", "https://hub/?token=x", "http://127.0.0.1@example.org/"] {
            assert!(address(url).is_err(), "{url}");
        }
    }

    #[test]
    fn names_follow_from_the_file_and_are_such_as_the_service_takes() {
        for (tool, name) in [("get-sum", "house_get_sum"), ("a/b.c", "house_a_b_c"), ("\u{e4}", "house__")] {
            assert_eq!(seen_name("house", tool), name);
        }
        assert!(function_name(&seen_name("house", &"\u{e4}".repeat(500))).is_ok_and(|()| true));
        assert_eq!(seen_name("house", &"x".repeat(500)).len(), 128);
    }
}
