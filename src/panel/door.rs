//! Who is let in: by which name the page may be reached, from which page a wish may come, who showed the password.
//!
//! A page that anybody's browser opened may send requests here, too: by a name of its own that leads to this address (DNS
//! rebinding), or as a form. So a request must name this device as its host, one that wants something must come from a
//! page of that host, and carry a header that no form can.

use std::collections::VecDeque;
use std::hint::black_box;
use std::net::IpAddr;
use std::time::Duration;

use super::sign_ins::{Kept, SignIns};
use crate::live::credential::Secret;
use crate::units::Time;

/// Wrong passwords of one address in a minute.
const WRONG_MAX: usize = 5;
/// Wrong passwords of all addresses in a minute: who has many is slow all the same.
const WRONG_OF_ALL_MAX: usize = 60;
const MINUTE: Duration = Duration::from_secs(60);
/// The longest password that is compared, bytes.
const SECRET_BYTES_MAX: usize = 1024;
/// The shortest that is good for anything, characters.
pub const SECRET_CHARS_MIN: usize = 8;
/// The cookie.
pub const COOKIE: &str = "mynah_session";

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It was not the password.
    Wrong,
    /// There were too many wrong ones.
    TooOften,
}

/// Now, by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// By the steady clock.
    pub now: Time,
    /// By the wall clock, seconds since 1970; none while it is not set.
    pub unix_s: Option<i64>,
}

/// The door.
#[derive(Debug)]
pub struct Door {
    secret: Option<Secret>,
    names: Vec<String>,
    sign_ins: Option<SignIns>,
    wrong: VecDeque<(IpAddr, Time)>,
}

impl Door {
    /// A door that knows these names; without a secret it is open to whoever reaches it.
    pub fn new(secret: Option<Secret>, hosts: &[String], listens_at: IpAddr) -> Door {
        let own = ["localhost".to_string(), listens_at.to_string()];
        let names = hosts.iter().cloned().chain(own).collect();
        let sign_ins = secret.as_ref().map(SignIns::new);
        Door { secret, names, sign_ins, wrong: VecDeque::new() }
    }

    /// Whether a password is asked for.
    pub fn has_lock(&self) -> bool {
        self.secret.is_some()
    }

    /// Whether the header `Host` names this device, which was reached at the address `reached`.
    pub fn knows(&self, host: &str, reached: IpAddr) -> bool {
        let Some(name) = name_of(host) else { return false };
        self.names.contains(&name) || name.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical() == reached.to_canonical())
    }

    /// Whether a request comes from a page of the host that it names, or from no page. `site` is `Sec-Fetch-Site`.
    pub fn is_own_page(host: &str, origin: Option<&str>, site: Option<&str>) -> bool {
        // No page can make a browser write this, and it is sure where the origin is hidden.
        if site == Some("same-origin") && origin.is_none_or(|origin| origin == "null") {
            return true;
        }
        let is_own_site = site.is_none_or(|site| site == "same-origin" || site == "none");
        let is_own_origin = origin.is_none_or(|origin| {
            let authority = origin.strip_prefix("http://").or(origin.strip_prefix("https://"));
            authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
        });
        is_own_site && is_own_origin
    }

    /// Somebody shows a password; `token` is random and becomes the session's.
    ///
    /// # Errors
    /// It is wrong, or there were too many wrong ones of late.
    pub fn log_in(&mut self, from: IpAddr, password: &str, token: &Secret, clocks: Clocks) -> Result<(), Refused> {
        self.check(from, password, clocks.now)?;
        if let Some(sign_ins) = &mut self.sign_ins {
            sign_ins.add(token, clocks.now, clocks.unix_s);
        }
        Ok(())
    }

    /// What of the sessions a restart is to know.
    pub fn kept(&mut self, clocks: Clocks) -> Vec<Kept> {
        self.sign_ins.as_mut().map(|sign_ins| sign_ins.kept(clocks.now, clocks.unix_s)).unwrap_or_default()
    }

    /// Takes up what an earlier run kept.
    pub fn remember(&mut self, kept: Vec<Kept>, clocks: Clocks) {
        if let Some(sign_ins) = &mut self.sign_ins {
            sign_ins.remember(kept, clocks.now, clocks.unix_s);
        }
    }

    /// Whether the secret is this one; a wrong one counts.
    ///
    /// # Errors
    /// As [`Door::log_in`].
    pub fn check(&mut self, from: IpAddr, password: &str, now: Time) -> Result<(), Refused> {
        let from = subnet(from);
        while self.wrong.front().is_some_and(|(_, at)| now.since(*at) >= MINUTE) {
            self.wrong.pop_front();
        }
        let of_this = self.wrong.iter().filter(|(address, _)| *address == from).count();
        if of_this >= WRONG_MAX || self.wrong.len() >= WRONG_OF_ALL_MAX {
            return Err(Refused::TooOften);
        }
        if self.secret.as_ref().is_some_and(|secret| is_same(secret.reveal(), password)) {
            return Ok(());
        }
        self.wrong.push_back((from, now));
        Err(Refused::Wrong)
    }

    /// Whether the header `Cookie` is of somebody who is logged in.
    pub fn is_logged_in(&self, cookies: &str, now: Time) -> bool {
        let known = self.sign_ins.as_ref().zip(token_of(cookies));
        known.is_some_and(|(sign_ins, token)| sign_ins.knows(token, now))
    }

    /// Ends the session of these cookies.
    pub fn log_out(&mut self, cookies: &str) {
        if let Some((sign_ins, token)) = self.sign_ins.as_mut().zip(token_of(cookies)) {
            sign_ins.end(token);
        }
    }
}

/// The session's token in a header `Cookie`.
fn token_of(cookies: &str) -> Option<&str> {
    cookies.split(';').find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// A header `Host` without its port, in small letters; none where it is malformed.
fn name_of(host: &str) -> Option<String> {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            (address, port.strip_prefix(':').or(port.is_empty().then_some("0"))?)
        }
        None => host.split_once(':').unwrap_or((host, "0")),
    };
    let is_port = !port.is_empty() && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    (is_port && !name.is_empty()).then(|| name.trim_end_matches('.').to_ascii_lowercase())
}

/// Who has an IPv6 address has many.
fn subnet(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    }
}

/// Whether two texts are the same, in a time that does not depend on where they differ, nor on how long they are.
fn is_same(left: &str, right: &str) -> bool {
    let pad = |text: &str| {
        let mut bytes = [0_u8; SECRET_BYTES_MAX];
        let length = text.len().min(SECRET_BYTES_MAX);
        bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
        bytes
    };
    let (a, b) = (black_box(pad(left)), black_box(pad(right)));
    let differing = a.iter().zip(&b).fold(0, |all, (a, b)| black_box(all | (a ^ b)));
    differing == 0 && left.len() == right.len() && left.len() <= SECRET_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panel::sign_ins::{LIFE, SIGN_INS_MAX};

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn door(secret: Option<&str>) -> Door {
        Door::new(secret.map(Secret::new), &["mynah.local".into()], HERE)
    }

    fn other(n: u8) -> IpAddr {
        IpAddr::from([192, 168, 1, n])
    }

    #[test]
    fn only_names_of_this_device_are_its_host() {
        let door = door(None);
        for host in ["localhost", "LocalHost:8765", "127.0.0.1:8765", "mynah.local", "mynah.local.:80", "192.168.1.9:1"]
        {
            assert!(door.knows(host, other(9)), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:8765",
            "localhost.evil.example",
            "192.168.1.8",
            "[::1]x",
            "a:b",
            ":1",
            "localhost:",
        ] {
            assert!(!door.knows(host, other(9)), "{host}");
        }
        assert!(Door::new(None, &[], IpAddr::from([0; 16])).knows("[::1]:8765", "::1".parse().unwrap_or(HERE)));
        assert!(door.knows("192.168.1.9", "::ffff:192.168.1.9".parse().unwrap_or(HERE)));
    }

    #[test]
    fn a_wish_comes_from_a_page_of_this_host_or_from_no_page() {
        for (origin, site, is_own) in [
            (None, None, true),
            (Some("http://localhost:8765"), Some("same-origin"), true),
            (Some("https://LOCALHOST:8765"), None, true),
            (None, Some("none"), true),
            (Some("http://localhost:9999"), None, false),
            (Some("http://evil.example"), None, false),
            (Some("null"), None, false),
            (Some("null"), Some("same-origin"), true),
            (Some("http://evil.example"), Some("same-origin"), false),
            (Some("http://localhost:8765"), Some("cross-site"), false),
            (None, Some("same-site"), false),
        ] {
            assert_eq!(Door::is_own_page("localhost:8765", origin, site), is_own, "{origin:?} {site:?}");
        }
    }

    #[test]
    fn the_right_password_opens_and_its_cookie_is_known_until_it_expires_or_is_given_back() {
        let mut door = door(Some("open sesame"));
        let now = Time::from_ms(5);
        let clocks = Clocks { now, unix_s: None };
        assert_eq!(door.log_in(HERE, "open sesam", &Secret::new("t0"), clocks), Err(Refused::Wrong));
        assert_eq!(door.log_in(HERE, "open sesame", &Secret::new("t1"), clocks), Ok(()));
        for (cookies, is_in) in [
            ("mynah_session=t1", true),
            ("a=b; mynah_session=t1; c=d", true),
            ("mynah_session=t0", false),
            ("mynah_session=", false),
            ("mynah_sessiont1", false),
            ("", false),
        ] {
            assert_eq!(door.is_logged_in(cookies, now), is_in, "{cookies}");
        }
        assert!(!door.is_logged_in("mynah_session=t1", now + LIFE));
        door.log_out("mynah_session=t1");
        assert!(!door.is_logged_in("mynah_session=t1", now));
    }

    #[test]
    fn who_guesses_is_slow_and_keeps_nobody_else_out_for_long() {
        let mut door = door(Some("open sesame"));
        let at = Time::from_ms;
        for n in 0..5 {
            assert_eq!(door.check(other(1), "x", at(n)), Err(Refused::Wrong));
        }
        assert_eq!(door.check(other(1), "open sesame", at(6)), Err(Refused::TooOften));
        assert_eq!(door.check(other(2), "open sesame", at(6)), Ok(()));
        assert_eq!(door.check(other(1), "open sesame", at(60_004)), Ok(()));
        let guesses = (0..255).map(|n| door.check(other(n), "x", at(60_004)));
        let wrong = guesses.filter(|found| *found == Err(Refused::Wrong)).count();
        assert!(wrong <= WRONG_OF_ALL_MAX, "{wrong}");
    }

    #[test]
    fn the_neighbours_of_an_address_are_it_and_sessions_are_bounded() {
        let mut door = door(Some("open sesame"));
        for n in 0..5_u16 {
            let _ = door.check(IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, n]), "x", Time::ZERO);
        }
        let neighbour = IpAddr::from([0x2001, 0xdb8, 0, 1, 9, 9, 9, 9]);
        assert_eq!(door.check(neighbour, "open sesame", Time::ZERO), Err(Refused::TooOften));
        for n in 0..100 {
            let clocks = Clocks { now: Time::ZERO, unix_s: None };
            let _ = door.log_in(HERE, "open sesame", &Secret::new(format!("t{n}")), clocks);
        }
        assert_eq!(door.kept(Clocks { now: Time::ZERO, unix_s: None }).len(), SIGN_INS_MAX);
        assert!(
            door.is_logged_in("mynah_session=t99", Time::ZERO) && !door.is_logged_in("mynah_session=t1", Time::ZERO)
        );
    }
}
