//! The service's address: taken apart, with the one rule that plain `ws://` never leaves this machine.

use std::net::IpAddr;

/// Where to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Whether TLS is spoken.
    pub is_tls: bool,
    /// Name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The whole address, for the upgrade request.
    pub url: String,
}

/// Why an address is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointTrouble {
    /// Not `wss://host[:port]/path`.
    #[error("`{0}` is not an address of the form wss://HOST[:PORT]/PATH")]
    Form(String),
    /// `ws://` to another machine.
    #[error(
        "ws:// is allowed to this machine only (127.0.0.1, [::1], localhost), because speech and key would travel in the clear; use wss:// for {0}"
    )]
    Plain(String),
    /// A key in the address.
    #[error("the address has a query (`?…`): keys and tokens do not belong into addresses, which end up in logs")]
    Query,
}

/// Takes `url` apart.
pub fn parse(url: &str) -> Result<Endpoint, EndpointTrouble> {
    let form = || EndpointTrouble::Form(url.split('?').next().unwrap_or_default().to_string());
    let (is_tls, rest) = match (url.strip_prefix("wss://"), url.strip_prefix("ws://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return Err(form()),
    };
    if url.contains(['?', '#']) {
        return Err(EndpointTrouble::Query);
    }
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.contains('@') || url.contains(char::is_whitespace) {
        return Err(form());
    }
    let (host, port) = host_and_port(authority).ok_or_else(form)?;
    if !is_tls && !is_loopback(&host) {
        return Err(EndpointTrouble::Plain(host));
    }
    let port = port.unwrap_or(if is_tls { 443 } else { 80 });
    Ok(Endpoint { is_tls, host, port, url: url.to_string() })
}

fn host_and_port(authority: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            (host, after.strip_prefix(':').or(if after.is_empty() { Some("") } else { None })?)
        }
        None => authority.split_once(':').unwrap_or((authority, "")),
    };
    let port = if port.is_empty() { None } else { Some(port.parse().ok().filter(|p| *p > 0)?) };
    (!host.is_empty()).then(|| (host.to_string(), port))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let parts = |url: &str| parse(url).map(|e| (e.is_tls, e.host, e.port));
        assert_eq!(parts("wss://example.org/ws/x.Y").unwrap(), (true, "example.org".into(), 443));
        assert_eq!(parts("ws://127.0.0.1:9010/ws").unwrap(), (false, "127.0.0.1".into(), 9010));
        assert_eq!(parts("wss://[::1]:99/ws").unwrap(), (true, "::1".into(), 99));
        assert_eq!(parts("ws://[::1]/").unwrap(), (false, "::1".into(), 80));
    }

    #[test]
    fn speech_never_leaves_in_the_clear_and_no_key_travels_in_an_address() {
        assert!(matches!(parse("ws://192.168.1.5:80/x"), Err(EndpointTrouble::Plain(_))));
        assert!(matches!(parse("ws://127.evil.example/x"), Err(EndpointTrouble::Plain(_))));
        assert_eq!(parse("wss://h/x?key=secret"), Err(EndpointTrouble::Query));
        for bad in ["http://h/", "wss://", "wss://h:0/", "wss://h:x/", "wss://u@h/", "wss://[::1/", "wss://h /"] {
            assert!(matches!(parse(bad), Err(EndpointTrouble::Form(_))), "{bad}");
        }
        assert!(!parse("https://h/x?key=secret").unwrap_err().to_string().contains("secret"));
    }
}
