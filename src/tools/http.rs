//! The action `http`: what is asked, where a redirect may lead, and what the model hears of the answer.
//!
//! Arguments are percent-encoded but for letters, digits and `-_~.`, and those in the path have no slashes, so that none
//! changes the host, the number of the path's pieces or that of the query's; `follow.rs` holds the rules for redirects.

mod follow;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Failure, fill};
use crate::config::agent::action::address::{Origin, has_dot_segment};
use crate::config::agent::action::http::{HttpAction, Method};
use crate::config::agent::body::Body;
use crate::config::agent::template::{Piece, Template};
pub use follow::Hop;

/// Path and query as sent; servers take 8 KiB as a rule.
const TARGET_BYTES_MAX: usize = 8 * 1024;
/// What is sent; a call by voice has no more to say.
pub const BODY_BYTES_MAX: usize = 256 * 1024;
/// What is read of an answer, so that a server that never ends costs no memory; a device's whole state has less.
pub const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// What the model gets of an answer that is plain text: about a thousand tokens.
const TEXT_BYTES_MAX: usize = 4096;
/// What the model gets of what a server says about an error.
const COMPLAINT_CHARS_MAX: usize = 300;

/// One request, without its secrets.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// How.
    pub method: Method,
    /// Whom.
    pub origin: Origin,
    /// Path and query.
    pub target: String,
    /// Headers by their names in small letters; only secrets are still places.
    pub headers: BTreeMap<String, Template>,
    /// What is sent; only secrets are still places.
    pub body: Option<Body>,
    /// JSON pointers by the names that the model sees.
    pub pick: BTreeMap<String, String>,
    /// Redirects that are followed.
    pub redirects: u32,
    /// When the server is given up: a little before the call is stopped, so that it counts for the breaker.
    pub timeout: Duration,
}

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The media type, where it was said.
    pub content_type: String,
    /// At most [`ANSWER_BYTES_MAX`].
    pub body: Vec<u8>,
    /// Whether there was more than `body`.
    pub is_cut: bool,
}

/// What `action` asks with `args`.
///
/// # Errors
/// A sentence for the model where an argument does not fit into its place.
pub fn request(action: &HttpAction, args: &Map<String, Value>) -> Result<Request, String> {
    let target = target(&action.address.target, args)?;
    let headers = action.headers.iter().map(|(name, template)| Ok((name.clone(), header(template, args)?)));
    let timeout_ms = u64::from(action.timeout_ms);
    Ok(Request {
        method: action.method,
        origin: action.address.origin.clone(),
        target,
        headers: headers.collect::<Result<_, String>>()?,
        body: action.body.as_ref().map(|body| fill::bind_body(body, args)).transpose()?,
        pick: action.pick.clone(),
        redirects: action.redirects,
        timeout: Duration::from_millis(timeout_ms - timeout_ms / 20),
    })
}

fn target(template: &Template, args: &Map<String, Value>) -> Result<String, String> {
    let mut target = String::new();
    for piece in template.pieces() {
        match piece {
            Piece::Text(text) => target.push_str(text),
            Piece::Argument(name) => {
                let value = fill::text(args, name)?;
                if !target.contains('?') {
                    fits_path(name, &value)?;
                }
                target.push_str(&encoded(&value));
            }
            Piece::Secret(_) => {} // none was let into an address
        }
    }
    if target.len() > TARGET_BYTES_MAX {
        return Err(format!("the arguments are too long: they make an address of {} bytes", target.len()));
    }
    if has_dot_segment(&target) {
        let names: Vec<String> = template.arguments().map(|name| format!("`{name}`")).collect();
        return Err(format!("{}: a part of the address may not be `.` or `..`", names.join(", ")));
    }
    Ok(target)
}

/// Servers decode a path before they take it apart (nginx does, and then goes up at `..%2F`), so encoding is not enough.
fn fits_path(name: &str, value: &str) -> Result<(), String> {
    if value.is_empty() {
        return Err(format!("argument `{name}` may not be empty"));
    }
    if value.chars().any(|letter| matches!(letter, '/' | '\\') || letter.is_control()) {
        return Err(format!("argument `{name}` may not have a slash or a control character"));
    }
    Ok(())
}

/// Percent-encodes all but RFC 3986's unreserved characters.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' | b'.' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn header(template: &Template, args: &Map<String, Value>) -> Result<Template, String> {
    template.bind(|name| {
        let text = fill::text(args, name)?;
        let fits = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        if fits {
            Ok(text)
        } else {
            Err(format!("argument `{name}` has characters that cannot be sent: write it in plain ASCII"))
        }
    })
}

impl Request {
    /// Whom it asks, for sentences and for the breaker.
    pub fn peer(&self) -> String {
        format!("the server {}", self.origin.authority())
    }

    /// What would be asked, for a rehearsal; headers and body are not told.
    pub fn describe(&self) -> String {
        format!("send {} {}{}", self.method.word(), self.origin, self.target)
    }

    /// What to say of the request's effect where no answer came.
    pub fn effect(&self) -> &'static str {
        if self.method.is_safe() { "" } else { "; whether it did what was asked is not known" }
    }

    /// What the model gets.
    ///
    /// # Errors
    /// [`Failure::Unreachable`] for an error of the server's own, [`Failure::Refused`] for what it says no to and for
    /// an answer that is not what was expected.
    pub fn answer(&self, reply: &Reply) -> Result<Value, Failure> {
        let (status, peer) = (reply.status, self.peer());
        match status {
            200..=299 => self.result(reply),
            300..=399 => Err(Failure::Refused(format!(
                "{peer} sends on to another address (status {status}), which this function does not follow"
            ))),
            500..=599 => {
                // Without its words: this sentence goes into the log, and a server may repeat what was said to it.
                let effect = self.effect();
                Err(Failure::Unreachable(format!("{peer} has a fault of its own (status {status}){effect}")))
            }
            _ => Err(Failure::Refused(format!("{peer} refused it with status {status}{}", complaint(reply)))),
        }
    }

    fn result(&self, reply: &Reply) -> Result<Value, Failure> {
        let status = reply.status;
        if !self.pick.is_empty() {
            return self.picked(reply);
        }
        if reply.body.trim_ascii().is_empty() {
            return Ok(json!({"status": status, "answer": "done; the server said nothing more"}));
        }
        if is_json(&reply.content_type) {
            return Ok(json!({"status": status, "answer": self.parsed(reply)?}));
        }
        Ok(match text(reply) {
            Some((text, false)) => json!({"status": status, "text": text}),
            Some((text, true)) => json!({"status": status, "text": text, "is_cut": true}),
            None => {
                let kind = if reply.content_type.is_empty() { "data" } else { reply.content_type.as_str() };
                let more = if reply.is_cut { "more than " } else { "" };
                let answer = format!("done; the answer is {more}{} bytes of {kind}, no text", reply.body.len());
                json!({"status": status, "answer": answer})
            }
        })
    }

    fn picked(&self, reply: &Reply) -> Result<Value, Failure> {
        let whole = self.parsed(reply)?;
        let mut answer = Map::new();
        let mut missing = Vec::new();
        for (name, pointer) in &self.pick {
            match whole.pointer(pointer) {
                Some(found) => drop(answer.insert(name.clone(), found.clone())),
                None => missing.push(pointer.as_str()),
            }
        }
        if missing.is_empty() {
            return Ok(json!({"status": reply.status, "answer": answer}));
        }
        Err(self.odd(reply, &format!("has no {}", missing.join(", "))))
    }

    fn parsed(&self, reply: &Reply) -> Result<Value, Failure> {
        if reply.is_cut {
            return Err(self.odd(reply, &format!("is longer than {} KiB", ANSWER_BYTES_MAX / 1024)));
        }
        serde_json::from_slice(&reply.body).map_err(|_| self.odd(reply, "is not JSON"))
    }

    fn odd(&self, reply: &Reply, what: &str) -> Failure {
        let done = if self.method.is_safe() { "answered" } else { "took the request" };
        Failure::Refused(format!("{} {done} (status {}), but its answer {what}", self.peer(), reply.status))
    }
}

/// `application/json`, `application/geo+json`, with or without parameters.
fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.ends_with("/json") || kind.ends_with("+json")
}

/// The answer as text, and whether it was cut; none where it is no text.
fn text(reply: &Reply) -> Option<(String, bool)> {
    let is_text = |text: &str| !text.chars().any(|letter| letter.is_control() && !"\t\n\r".contains(letter));
    let text = match std::str::from_utf8(&reply.body) {
        Ok(text) => text,
        // A cut may fall into the middle of a character.
        Err(error) if reply.is_cut && error.error_len().is_none() => {
            std::str::from_utf8(&reply.body[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let kept = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)];
    is_text(kept).then(|| (kept.trim().to_string(), reply.is_cut || kept.len() < text.len()))
}

/// What the server says about an error, short: `: city not found`.
fn complaint(reply: &Reply) -> String {
    let said = text(reply).map(|(text, _)| text).unwrap_or_default();
    if said.is_empty() || said.starts_with('<') {
        return String::new(); // a page for people
    }
    let short: String = said.chars().take(COMPLAINT_CHARS_MAX).collect();
    format!(": {}", short.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests;
