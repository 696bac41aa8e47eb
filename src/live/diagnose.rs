//! Why no connection came about: from what was seen while connecting to a sentence that says what to do.
//!
//! The thread gathers the facts and decides nothing. Two causes look like others: a clock that is not set makes
//! good certificates look bad (a Pi has no clock battery), and a guest network's sign-in page answers in the
//! service's place.

use std::net::IpAddr;

use rustls::{CertificateError, Error as TlsError, InvalidMessage};

use super::close::Closing;
use super::rfc3339;

/// 2026-11-20, when this was written: a clock that says less is not set.
pub const EARLIEST_UNIX_S: u64 = 1_795_132_800;

/// Names of a certificate that are told; one of a large web host has hundreds.
const NAMES_MAX: usize = 3;

/// The clock of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// What it says, seconds since 1970.
    pub unix_s: u64,
    /// What the kernel says of it; nothing where it does not tell.
    pub is_synchronised: Option<bool>,
}

/// What is known of the attempt, whatever failed.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The name or address that the endpoint gives.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
    /// The setting of the agent file that the address comes from.
    pub setting: &'static str,
    /// Who answered, where it came to that.
    pub peer: Option<IpAddr>,
    /// This machine's clock.
    pub clock: Clock,
}

/// The steps of an attempt, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Asking DNS.
    Name,
    /// TCP.
    Tcp,
    /// TLS.
    Tls,
    /// The answer to the request: the WebSocket upgrade, or a token.
    Answer,
}

/// Why an address could not be reached; the later one tells more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unreached {
    /// Something else.
    Other,
    /// This machine knows no way there.
    NoRoute,
    /// Nothing came back.
    Silent,
    /// The other side, or a firewall, said no.
    Refused,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// The name was not resolved; the resolver's words.
    Name(String),
    /// None of the name's addresses was reached: for each one how, and the system's words.
    Unreached(Vec<(IpAddr, Unreached, String)>),
    /// The time for all of it ran out in this step.
    Late(Step),
    /// TLS was refused, by us or by the other side.
    Tls(TlsError),
    /// The connection ended in the middle of the TLS handshake; the system's words.
    TlsBroke(String),
    /// The upgrade was answered with this HTTP status.
    Status(u16),
    /// The request was answered with something else than HTTP; the library's words.
    NotHttp(String),
    /// The connection ended before the request was answered; the system's words.
    Broke(String),
}

/// Whether there is no use in connecting yet, because no certificate could be judged.
pub fn clock_trouble(clock: Clock) -> Option<Closing> {
    (clock.unix_s < EARLIEST_UNIX_S).then(|| clock_not_set(clock))
}

/// What to tell, and as whose fault.
pub fn judge(failure: &Failure, facts: &Facts) -> Closing {
    let Facts { host, port, setting, .. } = *facts;
    match failure {
        Failure::Name(why) => Closing::Network(no_name(host, setting, why)),
        Failure::Unreached(tried) => Closing::Network(unreached(host, port, setting, tried)),
        Failure::Late(step) => Closing::Network(late(host, *step)),
        Failure::Tls(error) => tls(error, facts),
        Failure::TlsBroke(why) => Closing::Network(format!(
            "the TLS handshake with {host} broke off ({why}): does a firewall or proxy on the way let TLS through?"
        )),
        Failure::Status(status @ (200..=399 | 511)) => {
            portal(facts, &format!("HTTP status {status} instead of a WebSocket"))
        }
        Failure::Status(status) => Closing::Http(*status),
        Failure::NotHttp(why) => portal(facts, &format!("something that is not HTTP ({why})")),
        Failure::Broke(why) => Closing::Network(format!("{host} ended the connection before it answered ({why})")),
    }
}

fn no_name(host: &str, setting: &str, why: &str) -> String {
    // "Temporary failure in name resolution" of glibc, "Try again" of musl: nobody answered the question.
    let is_unanswered = ["emporary failure", "ry again", "timed out"].iter().any(|piece| why.contains(piece));
    if is_unanswered {
        format!("no DNS server tells the address of {host} ({why}): is the network up, and a DNS server set?")
    } else {
        format!("there is no address for the name {host} ({why}): is `{setting}` in mynah.toml spelled right?")
    }
}

fn unreached(host: &str, port: u16, setting: &str, tried: &[(IpAddr, Unreached, String)]) -> String {
    let Some((address, how, why)) = tried.iter().max_by_key(|(_, how, _)| *how) else {
        return format!("the name {host} has no address: is `{setting}` in mynah.toml spelled right?");
    };
    match how {
        Unreached::Refused => format!(
            "{host} ({address}) refuses connections to port {port}: does the service run there, and does no firewall say no?"
        ),
        Unreached::Silent => format!(
            "{host} ({address}) does not answer on port {port}: is the network up, and does no firewall swallow it?"
        ),
        Unreached::NoRoute => format!("there is no way to {host} ({address}, {why}): is the network up (`ip route`)?"),
        Unreached::Other => format!("{host} ({address}) port {port} cannot be reached ({why}): is the network up?"),
    }
}

fn late(host: &str, step: Step) -> String {
    match step {
        Step::Name => format!("DNS did not tell the address of {host} in time: is the network up?"),
        Step::Tcp => format!("{host} was not reached in time: is the network up?"),
        Step::Tls => format!("{host} did not finish the TLS handshake in time: is the network very slow?"),
        Step::Answer => format!("{host} did not answer the request in time: is the network very slow?"),
    }
}

fn tls(error: &TlsError, facts: &Facts) -> Closing {
    let Facts { host, setting, .. } = *facts;
    match error {
        TlsError::InvalidCertificate(why) => certificate(why, facts),
        TlsError::InvalidMessage(InvalidMessage::InvalidContentType) => portal(facts, "something that is no TLS"),
        TlsError::NoCertificatesPresented => {
            Closing::Certificate(format!("{host} shows no certificate: is `{setting}` in mynah.toml right?"))
        }
        TlsError::AlertReceived(alert) => Closing::Network(format!(
            "{host} refused the TLS handshake ({alert:?}): is `{setting}` in mynah.toml right, and no proxy in between?"
        )),
        other => Closing::Network(format!("TLS with {host} failed ({other})")),
    }
}

fn certificate(why: &CertificateError, facts: &Facts) -> Closing {
    use CertificateError as E;
    let Facts { host, setting, .. } = *facts;
    match why {
        E::Expired => out_of_time("has expired", facts),
        E::ExpiredContext { not_after, .. } => {
            out_of_time(&format!("expired at {}", rfc3339::format(not_after.as_secs())), facts)
        }
        E::NotValidYet => out_of_time("is not valid yet", facts),
        E::NotValidYetContext { not_before, .. } => {
            out_of_time(&format!("is valid from {} on", rfc3339::format(not_before.as_secs())), facts)
        }
        E::NotValidForName | E::NotValidForNameContext { .. } | E::UnknownIssuer if is_elsewhere(facts) => {
            portal(facts, "a certificate that is not the service's")
        }
        E::NotValidForName => Closing::Certificate(format!(
            "the certificate of {host} is for another name: is `{setting}` in mynah.toml spelled right?"
        )),
        E::NotValidForNameContext { presented, .. } => Closing::Certificate(format!(
            "the certificate of {host} is for another name ({}): is `{setting}` in mynah.toml spelled right?",
            names(presented)
        )),
        E::UnknownIssuer => Closing::Certificate(format!(
            "the certificate of {host} is by an authority that is not known here: where a company's proxy reads \
             along, or for a server of your own, put the authority's certificate into the file `extra_ca` names"
        )),
        E::Revoked => Closing::Certificate(format!("the certificate of {host} was taken back by its authority")),
        other => Closing::Certificate(format!("the certificate of {host} is not accepted ({other:?})")),
    }
}

/// A certificate that is not valid now. By a clock that nobody has set, that says nothing yet.
fn out_of_time(how: &str, facts: &Facts) -> Closing {
    let (host, clock, now) = (facts.host, facts.clock, rfc3339::format(facts.clock.unix_s));
    if let Some(closing) = clock_trouble(clock) {
        return closing;
    }
    match clock.is_synchronised {
        Some(false) => Closing::Clock(format!(
            "the certificate of {host} {how}, but the clock may not be set (it says {now}): waiting for time \
             synchronisation (`timedatectl` tells how it stands); if the clock is right, who runs {host} must act"
        )),
        Some(true) | None => Closing::Certificate(format!(
            "the certificate of {host} {how}; it is {now} here: if the clock is right (`date`), who runs {host} must act"
        )),
    }
}

fn clock_not_set(clock: Clock) -> Closing {
    Closing::Clock(format!(
        "the clock is not set (it says {}); waiting for time synchronisation (`timedatectl` tells how it stands)",
        rfc3339::format(clock.unix_s)
    ))
}

fn portal(facts: &Facts, what: &str) -> Closing {
    let Facts { host, port, setting, .. } = *facts;
    let at = facts.peer.map(|peer| format!(" ({peer})")).unwrap_or_default();
    Closing::Portal(format!(
        "{host} port {port}{at} answers with {what}: if this is a guest network, sign in to it with a browser; \
         if it is a server of your own, check `{setting}` and `extra_ca` in mynah.toml"
    ))
}

/// The first few names of a certificate.
fn names(presented: &[String]) -> String {
    let told = presented.iter().take(NAMES_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    if presented.len() > NAMES_MAX { format!("{told} and others") } else { told }
}

/// Whether a name of the internet led to an address that is not of the internet, as guest networks do it.
fn is_elsewhere(facts: &Facts) -> bool {
    let is_name = facts.host.parse::<IpAddr>().is_err() && !facts.host.eq_ignore_ascii_case("localhost");
    is_name
        && facts.peer.is_some_and(|peer| match peer.to_canonical() {
            IpAddr::V4(ip) => {
                // 100.64.0.0/10 is between a provider and its customers (RFC 6598).
                let [first, second, ..] = ip.octets();
                let is_shared = first == 100 && (64..128).contains(&second);
                ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() || is_shared
            }
            IpAddr::V6(ip) => {
                ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local()
            }
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rustls::pki_types::{ServerName, UnixTime};
    use std::time::Duration;

    const HOST: &str = "generativelanguage.googleapis.com";
    const SET: Clock = Clock { unix_s: EARLIEST_UNIX_S + 86_400, is_synchronised: Some(true) };
    const DRIFTING: Clock = Clock { is_synchronised: Some(false), ..SET };
    const DEAD: Clock = Clock { unix_s: 1_700_000_000, is_synchronised: None };
    const PUBLIC: &str = "142.250.1.95";

    /// The judgement's kind and its sentence.
    fn judged(failure: Failure, host: &str, peer: &str, clock: Clock) -> (&'static str, String) {
        match judge(&failure, &Facts { host, port: 443, setting: "endpoint", peer: Some(peer.parse().unwrap()), clock })
        {
            Closing::Network(text) => ("network", text),
            Closing::Certificate(text) => ("certificate", text),
            Closing::Clock(text) => ("clock", text),
            Closing::Portal(text) => ("portal", text),
            Closing::Http(status) => ("http", status.to_string()),
            other => panic!("{other:?}"),
        }
    }

    fn check(rows: Vec<(Failure, &str, &str)>, host: &str, peer: &str, clock: Clock) {
        for (failure, kind, word) in rows {
            let (found, text) = judged(failure.clone(), host, peer, clock);
            assert_eq!(found, kind, "{failure:?}: {text}");
            assert!(text.contains(word), "{failure:?}: {text}");
        }
    }

    fn certificate(why: CertificateError) -> Failure {
        Failure::Tls(TlsError::InvalidCertificate(why))
    }

    fn expired() -> Failure {
        let at = |unix_s| UnixTime::since_unix_epoch(Duration::from_secs(unix_s));
        certificate(CertificateError::ExpiredContext { time: at(SET.unix_s), not_after: at(EARLIEST_UNIX_S) })
    }

    fn not_yet() -> Failure {
        let at = |unix_s| UnixTime::since_unix_epoch(Duration::from_secs(unix_s));
        certificate(CertificateError::NotValidYetContext { time: at(SET.unix_s), not_before: at(SET.unix_s + 60) })
    }

    fn other_name() -> Failure {
        let presented = ["a.example", "b.example", "c.example", "d.example"].map(str::to_string).to_vec();
        let expected = ServerName::try_from(HOST).unwrap();
        certificate(CertificateError::NotValidForNameContext { expected, presented })
    }

    #[test]
    fn each_failure_has_a_sentence_that_says_what_to_do() {
        let tried = |hows: &[Unreached]| {
            let one = |how: &Unreached| (PUBLIC.parse().unwrap(), *how, "os error".to_string());
            Failure::Unreached(hows.iter().map(one).collect())
        };
        use Unreached::{NoRoute, Other, Refused, Silent};
        let rows = vec![
            (Failure::Name("Temporary failure in name resolution".into()), "network", "DNS server set?"),
            (Failure::Name("Try again".into()), "network", "DNS server set?"),
            (Failure::Name("Name or service not known".into()), "network", "spelled right?"),
            (Failure::Name("No address associated with hostname".into()), "network", "spelled right?"),
            (tried(&[]), "network", "has no address"),
            (tried(&[NoRoute]), "network", "`ip route`"),
            (tried(&[NoRoute, Silent]), "network", "does not answer"),
            (tried(&[Refused, NoRoute]), "network", "refuses connections to port 443"),
            (tried(&[Other]), "network", "os error"),
            (Failure::Late(Step::Name), "network", "DNS"),
            (Failure::Late(Step::Tcp), "network", "not reached in time"),
            (Failure::Late(Step::Tls), "network", "TLS handshake in time"),
            (Failure::Late(Step::Answer), "network", "request in time"),
            (Failure::TlsBroke("unexpected end".into()), "network", "broke off (unexpected end)"),
            (Failure::Tls(TlsError::AlertReceived(rustls::AlertDescription::HandshakeFailure)), "network", "refused"),
            (Failure::Tls(TlsError::NoCertificatesPresented), "certificate", "no certificate"),
            (Failure::Tls(TlsError::DecryptError), "network", "TLS with"),
            (Failure::Tls(TlsError::InvalidMessage(InvalidMessage::InvalidContentType)), "portal", "no TLS"),
            (certificate(CertificateError::UnknownIssuer), "certificate", "`extra_ca`"),
            (certificate(CertificateError::Revoked), "certificate", "taken back"),
            (certificate(CertificateError::BadSignature), "certificate", "BadSignature"),
            (certificate(CertificateError::NotValidForName), "certificate", "another name"),
            (other_name(), "certificate", "(a.example, b.example, c.example and others)"),
            (expired(), "certificate", "expired at 2026-11-20T00:00:00Z; it is 2026-11-21T00:00:00Z here"),
            (certificate(CertificateError::Expired), "certificate", "has expired"),
            (not_yet(), "certificate", "valid from 2026-11-21T00:01:00Z on"),
            (certificate(CertificateError::NotValidYet), "certificate", "not valid yet"),
            (Failure::Status(404), "http", "404"),
            (Failure::Status(503), "http", "503"),
            (Failure::Status(302), "portal", "HTTP status 302"),
            (Failure::Status(200), "portal", "sign in to it with a browser"),
            (Failure::Status(511), "portal", "HTTP status 511"),
            (Failure::NotHttp("httparse error".into()), "portal", "httparse error"),
            (Failure::Broke("reset".into()), "network", "before it answered (reset)"),
        ];
        check(rows, HOST, PUBLIC, SET);
    }

    #[test]
    fn a_certificate_out_of_its_time_is_the_clocks_fault_where_the_clock_is_not_set() {
        for clock in [DRIFTING, DEAD, Clock { is_synchronised: Some(true), ..DEAD }] {
            let says = format!("it says {}", rfc3339::format(clock.unix_s));
            let rows = vec![
                (expired(), "clock", says.as_str()),
                (not_yet(), "clock", "waiting for time synchronisation"),
                (certificate(CertificateError::Expired), "clock", "not"),
                (certificate(CertificateError::NotValidYet), "clock", "not"),
                (certificate(CertificateError::UnknownIssuer), "certificate", "authority"),
                (other_name(), "certificate", "another name"),
            ];
            check(rows, HOST, PUBLIC, clock);
        }
        check(vec![(expired(), "certificate", "expired")], HOST, PUBLIC, Clock { is_synchronised: None, ..SET });
    }

    #[test]
    fn nothing_is_tried_while_the_clock_is_older_than_the_program() {
        let at = |unix_s| clock_trouble(Clock { unix_s, is_synchronised: Some(true) }).is_some();
        assert!(at(0) && at(EARLIEST_UNIX_S - 1));
        assert!(!at(EARLIEST_UNIX_S) && clock_trouble(DRIFTING).is_none());
        assert_eq!(rfc3339::format(EARLIEST_UNIX_S), "2026-11-20T00:00:00Z");
    }

    #[test]
    fn a_name_of_the_internet_at_an_address_of_the_house_is_a_guest_network() {
        let wrong = || vec![certificate(CertificateError::UnknownIssuer), other_name()];
        let kinds = |host: &str, peer: &str| -> Vec<&str> {
            wrong().into_iter().map(|failure| judged(failure, host, peer, SET).0).collect()
        };
        for peer in [
            "192.168.1.1",
            "10.0.0.1",
            "172.16.9.9",
            "100.64.0.1",
            "169.254.1.1",
            "0.0.0.0",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            assert_eq!(kinds(HOST, peer), ["portal", "portal"], "{peer}");
        }
        for (host, peer) in
            [(HOST, PUBLIC), (HOST, "2a00:1450::1"), ("192.168.1.1", "192.168.1.1"), ("localhost", "127.0.0.1")]
        {
            assert_eq!(kinds(host, peer), ["certificate", "certificate"], "{host} {peer}");
        }
    }
}
