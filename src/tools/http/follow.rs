//! Redirects: how far, and to whom.
//!
//! Each hop leads to a host of `[http]` or the call fails; TLS is never left; and what holds a secret goes to nobody
//! but whom the action names: such headers are left out at another scheme, host or port, such a body is not sent.

use super::Request;
use crate::config::agent::action::address::{Host, Origin, Scheme};
use crate::config::agent::action::http::Method;
use crate::config::agent::template::Template;
use crate::tools::Failure;

/// One message of a request: the first, or one after a redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Whom.
    pub origin: Origin,
    /// Path and query.
    pub target: String,
    /// How.
    pub method: Method,
    /// Whether the body is sent along.
    pub has_body: bool,
    /// Whether it has left the server that the action names, and so goes without secrets. Stays so on the way back.
    pub is_elsewhere: bool,
}

impl Request {
    /// The first message.
    pub fn first(&self) -> Hop {
        Hop {
            origin: self.origin.clone(),
            target: self.target.clone(),
            method: self.method,
            has_body: self.body.is_some(),
            is_elsewhere: false,
        }
    }

    /// The headers that `hop` carries.
    pub fn headers_of<'a>(&'a self, hop: &Hop) -> impl Iterator<Item = (&'a str, &'a Template)> {
        let (keeps_secrets, has_body) = (!hop.is_elsewhere, hop.has_body || self.body.is_none());
        self.headers
            .iter()
            .filter(move |(_, template)| keeps_secrets || template.secrets().next().is_none())
            .filter(move |(name, _)| has_body || !name.starts_with("content-"))
            .map(|(name, template)| (name.as_str(), template))
    }

    /// Where the answer to `hop`, the `count`th redirect so far, sends on to; none where it is not to be followed.
    ///
    /// # Errors
    /// [`Failure::Refused`] where it may not go there.
    pub fn follow(
        &self,
        hop: &Hop,
        count: u32,
        status: u16,
        location: Option<&str>,
        hosts: &[Host],
    ) -> Result<Option<Hop>, Failure> {
        let Some(location) = location.filter(|_| self.redirects > 0 && matches!(status, 301 | 302 | 303 | 307 | 308))
        else {
            return Ok(None);
        };
        let refused = |why: String| Err(Failure::Refused(format!("{} sends on {why}", self.peer())));
        if count >= self.redirects {
            return refused(format!("more than {} times; it is given up", self.redirects));
        }
        let Some((origin, target)) = resolved(hop, location) else {
            return refused("to something that is no address".to_string());
        };
        if hop.origin.scheme == Scheme::Https && origin.scheme == Scheme::Http {
            return refused(format!("to {}, which is not encrypted; it is not followed", origin.authority()));
        }
        if !hosts.iter().any(|host| host.admits(&origin)) {
            return refused(format!("to {}, which the device's owner does not allow", origin.authority()));
        }
        // As browsers do: 303 always becomes a GET, and so does a POST at 301 and 302.
        let becomes_get = (status == 303 && hop.method != Method::Head)
            || (matches!(status, 301 | 302) && hop.method == Method::Post);
        let is_elsewhere = hop.is_elsewhere || origin != self.origin;
        let has_body = hop.has_body && !becomes_get;
        let body_has_secrets =
            self.body.as_ref().is_some_and(|body| body.templates().iter().any(|text| text.secrets().next().is_some()));
        if has_body && is_elsewhere && body_has_secrets {
            return refused(format!("to {}, which the secret in the request is not for", origin.authority()));
        }
        let method = if becomes_get { Method::Get } else { hop.method };
        Ok(Some(Hop { origin, target, method, has_body, is_elsewhere }))
    }
}

/// What `location`, said by whom `hop` asked, means.
fn resolved(hop: &Hop, location: &str) -> Option<(Origin, String)> {
    let location = location.split('#').next().unwrap_or_default();
    if location.is_empty() || location.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'\\') {
        return None;
    }
    let whole = |address: &str| {
        let (origin, rest) = Origin::split(address).ok()?;
        Some((origin, if rest.starts_with('/') { rest.to_string() } else { format!("/{rest}") }))
    };
    if location.starts_with("//") {
        return whole(&format!("{}:{location}", hop.origin.scheme.word()));
    }
    let before_path = location.split(['/', '?']).next().unwrap_or_default();
    if before_path.contains(':') {
        return whole(location);
    }
    let path = hop.target.split('?').next().unwrap_or("/");
    let target = match location.as_bytes().first()? {
        b'/' => location.to_string(),
        b'?' => format!("{path}{location}"),
        _ => format!("{}/{location}", path.rsplit_once('/').map_or("", |(folder, _)| folder)),
    };
    Some((hop.origin.clone(), target))
}
