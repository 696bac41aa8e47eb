//! Which WebSocket addresses are taken: TLS anywhere, plain only to this machine, never a key inside.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Where to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Whether TLS is spoken.
    pub is_tls: bool,
    /// Name or address, without brackets.
    pub host: String,
    /// Port; 443 or 80 where the address names none.
    pub port: u16,
    /// Whether it is this machine.
    pub is_here: bool,
    /// The whole address, for the upgrade request.
    pub url: String,
}

/// Whether an address that a configuration file gives may be used.
///
/// # Errors
/// As [`parse`].
pub fn check(address: &str) -> Result<(), String> {
    parse(address).map(drop)
}

/// Whether a broker's address may be used.
///
/// # Errors
/// As [`parse_broker`].
pub fn check_broker(address: &str) -> Result<(), String> {
    parse_broker(address).map(drop)
}

/// Takes a broker's address apart: as [`parse`], but for HTTP with TLS, and without it within this machine.
///
/// # Errors
/// As [`parse`].
pub fn parse_broker(address: &str) -> Result<Endpoint, String> {
    let as_socket = match (strip(address, "https://"), strip(address, "http://")) {
        (Some(rest), _) => format!("wss://{rest}"),
        (None, Some(rest)) => format!("ws://{rest}"),
        (None, None) => {
            return Err("must begin with https:// (or with http:// for this machine's own addresses)".to_string());
        }
    };
    let endpoint = parse(&as_socket).map_err(|why| why.replace("wss://", "https://").replace("ws://", "http://"))?;
    Ok(Endpoint { url: address.to_string(), ..endpoint })
}

/// Takes an address apart that a configuration file or `--endpoint` gives.
///
/// # Errors
/// The end of a sentence that begins with the key: what is wrong and what would be right.
pub fn parse(address: &str) -> Result<Endpoint, String> {
    if address.chars().any(|letter| letter.is_whitespace() || letter.is_control() || letter == '\\') {
        return Err("holds a blank, control character or backslash; write the address without it".to_string());
    }
    let (tls, rest) = match (strip(address, "wss://"), strip(address, "ws://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => {
            return Err("must begin with wss:// (or with ws:// for this machine's own addresses)".to_string());
        }
    };
    let host_ends = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(host_ends);
    if authority.contains('@') {
        return Err("holds a user or password before `@`; take it out: the key belongs in GEMINI_API_KEY".to_string());
    }
    check_path(path)?;
    let (host, port) = host(authority)?;
    let is_here = is_loopback(host);
    if !tls && !is_here {
        return Err(format!(
            "sends everything unencrypted to {host}; use wss:// (ws:// is for 127.0.0.1, [::1] and localhost)"
        ));
    }
    let port = port.unwrap_or(if tls { 443 } else { 80 });
    let host = host.trim_start_matches('[').trim_end_matches(']').to_string();
    Ok(Endpoint { is_tls: tls, host, port, is_here, url: address.to_string() })
}

/// The rest after a scheme, whose case does not matter.
fn strip<'a>(address: &'a str, scheme: &str) -> Option<&'a str> {
    let start = address.get(..scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then(|| &address[scheme.len()..])
}

fn check_path(path: &str) -> Result<(), String> {
    if path.contains('#') {
        return Err("holds a `#`, which addresses of services do not have; take it and what follows out".to_string());
    }
    let Some((_, query)) = path.split_once('?') else { return Ok(()) };
    for pair in query.split('&') {
        let name = pair.split('=').next().unwrap_or_default().to_ascii_lowercase();
        // Percent signs could hide the same names; no honest address needs them there.
        if name.contains('%') || ["key", "api_key", "apikey", "access_token", "token"].contains(&name.as_str()) {
            return Err("holds a key after `?`; take it out: the key belongs in GEMINI_API_KEY".to_string());
        }
    }
    Ok(())
}

/// Host and port of `host`, `host:port`, `[ipv6]` or `[ipv6]:port`.
fn host(authority: &str) -> Result<(&str, Option<u16>), String> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let Some((inside, port)) = rest.split_once(']') else { return Err("has a `[` without `]`".to_string()) };
        if inside.parse::<Ipv6Addr>().is_err() {
            return Err(format!("has [{inside}] as host, which is not an IPv6 address"));
        }
        (&authority[..inside.len() + 2], port)
    } else {
        let port_begins = authority.find(':').unwrap_or(authority.len());
        let (host, port) = authority.split_at(port_begins);
        let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '.' || letter == '-';
        if host.is_empty() || !host.chars().all(plain) {
            return Err("has no valid host name after the `//`".to_string());
        }
        (host, port)
    };
    let wrong = || "has a port that is not a number from 1 to 65535".to_string();
    let Some(digits) = port.strip_prefix(':') else {
        return if port.is_empty() { Ok((host, None)) } else { Err(wrong()) };
    };
    let number = digits.parse::<u16>().ok().filter(|port| *port > 0 && digits.chars().all(|d| d.is_ascii_digit()));
    Ok((host, Some(number.ok_or_else(wrong)?)))
}

fn is_loopback(host: &str) -> bool {
    if host.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let inside = host.trim_start_matches('[').trim_end_matches(']');
    inside.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || inside.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::{check, parse};

    #[test]
    fn addresses_are_taken_apart() {
        let parts = |url: &str| parse(url).map(|e| (e.is_tls, e.host, e.port, e.is_here)).unwrap();
        assert_eq!(parts("wss://example.org/ws/x.Y"), (true, "example.org".into(), 443, false));
        assert_eq!(parts("ws://127.0.0.1:9010/ws"), (false, "127.0.0.1".into(), 9010, true));
        assert_eq!(parts("wss://[::1]:99/ws"), (true, "::1".into(), 99, true));
        assert_eq!(parts("ws://[::1]/"), (false, "::1".into(), 80, true));
    }

    #[test]
    fn tls_anywhere_and_plain_at_home_are_taken() {
        for address in [
            "wss://generativelanguage.googleapis.com/ws/x.BidiGenerateContent",
            "wss://example.org:8443/live?region=eu",
            "WSS://[2001:db8::1]:443/",
            "ws://127.0.0.1:9000",
            "ws://127.8.8.8/live",
            "ws://localhost:1/",
            "ws://[::1]:9000/live",
        ] {
            assert_eq!(check(address), Ok(()), "{address}");
        }
    }

    #[test]
    fn what_would_leak_or_go_nowhere_is_refused() {
        for (address, word) in [
            ("https://example.org/", "wss://"),
            ("example.org", "wss://"),
            ("", "wss://"),
            ("ws://example.org/", "unencrypted"),
            ("ws://192.168.1.2/", "unencrypted"),
            ("ws://localhost.example.org/", "unencrypted"),
            ("ws://127.0.0.1.example.org/", "unencrypted"),
            ("ws://[2001:db8::1]/", "unencrypted"),
            ("ws://127.0.0.1@example.org/", "user or password"),
            ("ws://127.0.0.1\\@example.org/", "backslash"),
            ("wss://example.org/?key=abc", "GEMINI_API_KEY"),
            ("wss://example.org/?a=1&ACCESS_TOKEN=abc", "GEMINI_API_KEY"),
            ("wss://example.org/?%6bey=abc", "GEMINI_API_KEY"),
            ("wss://example.org/#x", "`#`"),
            ("wss:///path", "host"),
            ("wss://example.org:0/", "port"),
            ("wss://example.org:+80/", "port"),
            ("wss://example.org:99999/", "port"),
            ("wss://[::1", "`]`"),
            ("wss://[host]/", "IPv6"),
            ("wss://exa mple.org/", "blank"),
            ("ws§//", "wss://"),
        ] {
            let refused = check(address).expect_err(address);
            assert!(refused.contains(word), "{address}: {refused}");
        }
    }
}
