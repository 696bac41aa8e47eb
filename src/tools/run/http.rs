//! Asks servers for the action `http`: hyper over the tools' own connections, one connection a message.
//!
//! No client of more layers: redirects, secrets and limits are decided in `tools/http.rs`, and cookies, proxies and
//! kept connections are not wanted. A connection that waited for minutes for the next call would be dead as a rule.

use http_body_util::Full;
use hyper::Request as Message;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, HeaderValue, LOCATION, USER_AGENT};
use serde_json::Value;
use tokio::time::timeout;

use super::Outside;
use super::secrets::SecretBook;
use crate::config::agent::Agent;
use crate::config::agent::action::address::Host;
use crate::hw::http;
use crate::hw::reach::{Reach, Stream};
use crate::tools::http::{ANSWER_BYTES_MAX, BODY_BYTES_MAX, Hop, Reply, Request};
use crate::tools::{Failure, fill};

/// Shorter secrets are left in an answer: three letters stand in every other word.
const SCRUBBED_BYTES_MIN: usize = 4;

/// Asks servers.
pub(super) struct Http {
    hosts: Vec<Host>,
    reach: Reach,
}

/// The secrets that one request took.
struct Purse<'a> {
    book: &'a SecretBook,
    taken: Vec<String>,
}

impl Purse<'_> {
    fn take(&mut self, name: &str) -> Result<String, Failure> {
        let secret = self.book.fetch(name)?.reveal().to_string();
        self.taken.push(secret.clone());
        Ok(secret)
    }
}

impl Http {
    pub(super) fn new(agent: &Agent, outside: &Outside) -> Http {
        Http { hosts: agent.hosts.clone(), reach: Reach::new(outside.extra_ca_pem.as_deref()) }
    }

    /// Asks, within the request's own time. Dropped halfway, it hangs up.
    pub(super) async fn ask(&self, request: &Request, secrets: &SecretBook) -> Result<Value, Failure> {
        timeout(request.timeout, self.exchange(request, secrets)).await.unwrap_or_else(|_| {
            let (peer, ms) = (request.peer(), request.timeout.as_millis());
            Err(Failure::Unreachable(format!("{peer} did not answer within {ms} ms{}", request.effect())))
        })
    }

    async fn exchange(&self, request: &Request, secrets: &SecretBook) -> Result<Value, Failure> {
        let mut purse = Purse { book: secrets, taken: Vec::new() };
        let body = body(request, &mut purse)?;
        let (mut hop, mut redirects) = (request.first(), 0);
        loop {
            let message = message(request, &hop, body.clone().filter(|_| hop.has_body), &mut purse)?;
            let whom = hop.origin.authority();
            let stream = self.reach.open(&hop.origin).await.map_err(|why| {
                let effect = if redirects == 0 { "; nothing was done" } else { request.effect() };
                Failure::Unreachable(format!("the server {whom} could not be reached: {why}{effect}"))
            })?;
            let (mut reply, location) = send(message, stream).await.map_err(|why| {
                Failure::Unreachable(format!("the server {whom} broke off: {why}{}", request.effect()))
            })?;
            match request.follow(&hop, redirects, reply.status, location.as_deref(), &self.hosts)? {
                Some(next) => (hop, redirects) = (next, redirects + 1),
                None => {
                    purse.taken.iter().for_each(|secret| scrub(&mut reply.body, secret.as_bytes()));
                    return request.answer(&reply);
                }
            }
        }
    }
}

fn body(request: &Request, purse: &mut Purse<'_>) -> Result<Option<Bytes>, Failure> {
    let Some(body) = &request.body else { return Ok(None) };
    let text = fill::reveal_body(body, &mut |name: &str| purse.take(name))?.to_string();
    if text.len() > BODY_BYTES_MAX {
        let why = format!("the arguments are too long: they make a message of {} bytes", text.len());
        return Err(Failure::Refused(why));
    }
    Ok(Some(Bytes::from(text)))
}

fn message(
    request: &Request,
    hop: &Hop,
    body: Option<Bytes>,
    purse: &mut Purse<'_>,
) -> Result<Message<Full<Bytes>>, Failure> {
    let odd = |what: &str| Failure::Refused(format!("the request cannot be sent: {what}"));
    let mut builder = Message::builder()
        .method(hop.method.word())
        .uri(&hop.target)
        .header(HOST, hop.origin.authority())
        .header(CONNECTION, "close");
    let mut names = Vec::new();
    for (name, template) in request.headers_of(hop) {
        let text = fill::reveal(template, &mut |secret: &str| purse.take(secret))?;
        let mut value = HeaderValue::from_str(&text)
            .map_err(|_| odd(&format!("its header `{name}` has characters that no header may have")))?;
        value.set_sensitive(template.secrets().next().is_some());
        builder = builder.header(name, value);
        names.push(name);
    }
    let usual = [
        (USER_AGENT, concat!("mynah/", env!("CARGO_PKG_VERSION"))),
        (ACCEPT, "application/json, text/plain;q=0.9, */*;q=0.5"),
        (CONTENT_TYPE, "application/json"),
    ];
    for (name, value) in usual {
        if !names.contains(&name.as_str()) && (name != CONTENT_TYPE || body.is_some()) {
            builder = builder.header(name, value);
        }
    }
    builder.body(Full::from(body.unwrap_or_default())).map_err(|error| odd(&error.to_string()))
}

/// Sends one message; the answer, and where it points to.
async fn send(message: Message<Full<Bytes>>, stream: Stream) -> Result<(Reply, Option<String>), String> {
    let answer = http::exchange(message, stream, ANSWER_BYTES_MAX).await.map_err(|broken| broken.to_string())?;
    let text = |name| answer.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::to_string);
    let (location, content_type) = (text(LOCATION), text(CONTENT_TYPE).unwrap_or_default());
    Ok((Reply { status: answer.status, content_type, body: answer.body, is_cut: answer.is_cut }, location))
}

/// Takes a secret that the server sends back out of its answer: the model repeats aloud what it reads.
fn scrub(body: &mut Vec<u8>, secret: &[u8]) {
    if secret.len() < SCRUBBED_BYTES_MIN || !body.windows(secret.len()).any(|window| window == secret) {
        return;
    }
    let mut clean = Vec::with_capacity(body.len());
    let mut rest = body.as_slice();
    while let Some((first, after)) = rest.split_first() {
        match rest.strip_prefix(secret) {
            Some(behind) => {
                clean.extend_from_slice(b"...");
                rest = behind;
            }
            None => {
                clean.push(*first);
                rest = after;
            }
        }
    }
    *body = clean;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_comes_back_is_taken_out() {
        let mut body = b"no user s3cret, not s3cret".to_vec();
        scrub(&mut body, b"s3cret");
        assert_eq!(body, b"no user ..., not ...");
        scrub(&mut body, b"no");
        assert_eq!(body, b"no user ..., not ...");
        let mut dots = b"a....b".to_vec();
        scrub(&mut dots, b"....");
        assert_eq!(dots, b"a...b");
    }
}
