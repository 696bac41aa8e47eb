//! Addresses of actions, `https://api.example.org/v1/{city}?u={unit}`, and the hosts of `[http]` that may be asked.
//!
//! Scheme, host and port stand in the configuration without places, and only hosts that the owner lists are asked,
//! so no argument and no server's redirect chooses who is talked to. A name is looked up by the system at each call:
//! a listed name whose owner points it at a machine in the house reaches that machine (DNS rebinding), so list only
//! names whose owners are trusted with that.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::super::template::{Piece, Template};

/// Characters of an address as it is written.
pub const ADDRESS_CHARS_MAX: usize = 2048;

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// HTTP over TLS.
    Https,
    /// Plain HTTP: for devices in the house that have no certificate.
    Http,
}

impl Scheme {
    /// The word before `://`.
    pub fn word(self) -> &'static str {
        match self {
            Scheme::Https => "https",
            Scheme::Http => "http",
        }
    }

    /// The port where none is written.
    pub fn port(self) -> u16 {
        match self {
            Scheme::Https => 443,
            Scheme::Http => 80,
        }
    }
}

/// Whom a request goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// How.
    pub scheme: Scheme,
    /// Name or address in small letters; an IPv6 address is in brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl fmt::Display for Origin {
    /// As in an address, without the port where it is the scheme's own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.word(), self.authority())
    }
}

impl Origin {
    /// Host, and port where it is not the scheme's own: what the header `Host` says.
    pub fn authority(&self) -> String {
        if self.port == self.scheme.port() { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }

    /// Takes scheme, host and port, and what follows, apart: the origin, and the rest from `/`, `?` or `#` on.
    ///
    /// # Errors
    /// The end of a sentence that begins with the key.
    pub fn split(address: &str) -> Result<(Origin, &str), String> {
        let strip = |scheme: &str| {
            let start = address.get(..scheme.len())?;
            start.eq_ignore_ascii_case(scheme).then(|| &address[scheme.len()..])
        };
        let (scheme, rest) = match (strip("https://"), strip("http://")) {
            (Some(rest), _) => (Scheme::Https, rest),
            (None, Some(rest)) => (Scheme::Http, rest),
            (None, None) => return Err("must begin with https:// or http://".to_string()),
        };
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if authority.contains(['{', '}']) {
            return Err("has a place in its host; the host must stand there itself, so that no call changes it".into());
        }
        if authority.contains('@') {
            return Err("has a name or password before its host; put them into `headers`".into());
        }
        let host = Host::parse(authority)?;
        Ok((Origin { scheme, port: host.port.unwrap_or(scheme.port()), host: host.name }, rest))
    }
}

/// An address with places behind its host.
#[derive(Clone, Debug, PartialEq)]
pub struct Address {
    /// Whom it names.
    pub origin: Origin,
    /// Path and query; begins with `/`.
    pub target: Template,
}

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// The end of a sentence that begins with the key.
    pub fn parse(text: &str) -> Result<Address, String> {
        if let Some(odd) = text.chars().find(|letter| !letter.is_ascii_graphic() || "\\\"<>^`|".contains(*letter)) {
            return Err(format!("holds {odd:?}; write it with percent signs, `%20` for a blank"));
        }
        let (origin, rest) = Origin::split(text)?;
        if rest.contains('#') {
            return Err("has a `#`, but what follows one is never sent to a server; leave it out".into());
        }
        let target = if rest.starts_with('/') { rest.to_string() } else { format!("/{rest}") };
        if has_dot_segment(&target) {
            return Err("has a `.` or `..` between slashes; write the path without them".into());
        }
        let target = Template::parse(&target)?;
        if target.pieces().iter().any(|piece| matches!(piece, Piece::Text(text) if text.contains(['{', '}']))) {
            return Err("has a plain brace; write it with percent signs: `%7B` and `%7D`".into());
        }
        if target.secrets().next().is_some() {
            return Err("has a secret in it, and addresses end up in logs; put it into `headers` or `body`".into());
        }
        Ok(Address { origin, target })
    }
}

/// Whether a piece between the path's slashes is one that readers of addresses take for "here" or "up".
pub fn has_dot_segment(target: &str) -> bool {
    let path = target.split('?').next().unwrap_or_default();
    let plain = path.replace("%2e", ".").replace("%2E", ".");
    plain.split('/').any(|segment| segment == "." || segment == "..")
}

/// A host that may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Name or address in small letters; an IPv6 address is in brackets.
    pub name: String,
    /// The one port that may be asked; that of the scheme where absent.
    pub port: Option<u16>,
}

impl Host {
    /// Reads `api.example.org`, `192.168.1.20:8080` or `[fd00::1]`.
    ///
    /// # Errors
    /// The end of a sentence: what is wrong.
    pub fn parse(text: &str) -> Result<Host, String> {
        const NO_PORT: &str =
            "has no port behind its `:`; a port is a number from 1 to 65535 (an IPv6 address is written in brackets)";
        let ends = if text.starts_with('[') { text.find(']').map(|at| at + 1) } else { text.find(':') };
        let (name, port) = text.split_at(ends.unwrap_or(text.len()));
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            None => return Err("has something behind its brackets that is no port".into()),
            Some(digits) => {
                let port = digits.parse().ok().filter(|port| *port > 0 && !digits.starts_with('+'));
                Some(port.ok_or(NO_PORT)?)
            }
        };
        Ok(Host { name: host_name(name)?, port })
    }

    /// Whether `origin` is this host, at its port.
    pub fn admits(&self, origin: &Origin) -> bool {
        self.name == origin.host && self.port.unwrap_or(origin.scheme.port()) == origin.port
    }
}

/// For the key that lists hosts.
///
/// # Errors
/// As [`Host::parse`].
pub(super) fn check_host(text: &str) -> Result<(), String> {
    if text.contains('/') {
        return Err("is more than a host; write only the host, or host:port".into());
    }
    if text.contains('*') {
        return Err("has a `*`; each host is listed by its whole name".into());
    }
    Host::parse(text).map(drop)
}

/// The one way to write a host.
fn host_name(text: &str) -> Result<String, String> {
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address: Ipv6Addr = inner.parse().map_err(|_| "has no IPv6 address in its brackets".to_string())?;
        return Ok(format!("[{address}]"));
    }
    let is_label = |label: &str| {
        let is_letter = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'-' || letter == b'_';
        (1..=63).contains(&label.len()) && !label.starts_with('-') && label.bytes().all(is_letter)
    };
    if text.len() > 253 || !text.split('.').all(is_label) {
        return Err("has no host, or one with characters that no host has (letters, digits, `-` and dots)".into());
    }
    // What ends in a number is taken for an address by whoever resolves it, in more ways than one.
    let ends_in_number = text.rsplit('.').next().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_digit()));
    if ends_in_number && text.parse::<Ipv4Addr>().is_err() {
        return Err("has a host that is neither a name nor four numbers with dots".into());
    }
    Ok(text.to_ascii_lowercase())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart_and_their_places_stand_behind_the_host() {
        let address = Address::parse("https://API.example.org/v1/{city}?u={unit}").unwrap();
        assert_eq!(address.origin.to_string(), "https://api.example.org");
        assert_eq!(address.target.to_string(), "/v1/{city}?u={unit}");
        for (text, origin, target) in [
            ("http://192.168.1.20:8080?x={y}", "http://192.168.1.20:8080", "/?x={y}"),
            ("http://lamp.local", "http://lamp.local", "/"),
            ("https://[FD00::0:1]:8443/a", "https://[fd00::1]:8443", "/a"),
            ("https://a.example:443/", "https://a.example", "/"),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!((address.origin.to_string(), address.target.to_string()), (origin.into(), target.into()));
        }
    }

    #[test]
    fn addresses_whose_host_is_not_fixed_or_that_hide_something_are_refused() {
        for (text, word) in [
            ("https://{host}/", "place in its host"),
            ("https://api.{host}/", "place in its host"),
            ("https://api.example.org{path}", "place in its host"),
            ("https://api.example.org:{port}/", "place in its host"),
            ("ftp://api.example.org/", "begin with https://"),
            ("{scheme}://a/", "begin with https://"),
            ("https://me:pass@a.example/", "name or password"),
            ("https://a.example/x#y", "`#`"),
            ("https://a.example/x?key={secret.k}", "secret"),
            ("https://a.example/../x", "between slashes"),
            ("https://a.example/%2E%2e", "between slashes"),
            ("https://a.example/a b", "percent signs"),
            ("https://a.example/\\b", "percent signs"),
            ("https:///x", "no host"),
            ("https://a.example:0/", "no port"),
            ("https://a.example:+80/", "no port"),
            ("https://127.1/", "four numbers"),
            ("https://0x7f000001/", "four numbers"),
            ("https://a.example/{x", "partner"),
            ("https://a.example/{{x}}", "%7B"),
        ] {
            let said = Address::parse(text).unwrap_err();
            assert!(said.contains(word), "{text}: {said}");
        }
    }

    #[test]
    fn a_host_is_matched_whole_and_with_its_port() {
        let admits =
            |host: &str, address: &str| Host::parse(host).unwrap().admits(&Address::parse(address).unwrap().origin);
        assert!(admits("Api.example.org", "https://api.EXAMPLE.org/x"));
        assert!(admits("lamp.local", "http://lamp.local/"));
        assert!(admits("lamp.local:8080", "http://lamp.local:8080/"));
        for (host, address) in [
            ("example.org", "https://api.example.org/"),
            ("api.example.org", "https://api.example.org.evil.example/"),
            ("lamp.local", "http://lamp.local:8080/"),
            ("lamp.local:8080", "http://lamp.local/"),
            ("lamp.local:443", "http://lamp.local/"),
        ] {
            assert!(!admits(host, address), "{host} {address}");
        }
        for wrong in ["*.example.org", "https://a.example", "a.example/x", "a b", "::1", "[::1", "a..b", ""] {
            assert!(check_host(wrong).is_err(), "{wrong}");
        }
    }
}
