//! Who has shown the password: sessions of browsers, known by a mark of their token, and what of them a restart may know.
//!
//! A mark is an HMAC of the token, keyed with the password: whoever reads the file can neither sign in with it nor guess at
//! the password, and under another password no mark fits any more.

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::Duration;

use ring::hmac;
use serde::{Deserialize, Serialize};

use crate::live::credential::Secret;
use crate::units::Time;

/// Browsers that may be signed in at once; the oldest is forgotten for one more.
pub const SIGN_INS_MAX: usize = 32;
/// A kiosk's screen stays signed in for a month.
pub const LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// They are written down at least so often while there are any. Where no clock says how long the device was off, a restart
/// takes as much from each: otherwise one that is switched off daily would know them for ever.
pub const WRITTEN_EVERY: Duration = Duration::from_secs(6 * 3600);
/// A longer token is none of ours, bytes.
const TOKEN_BYTES_MAX: usize = 128;
const MARK_BYTES: usize = 32;

/// One session as it is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The mark in hexadecimal digits.
    mark: String,
    /// Seconds that were left when it was written down.
    left_s: u64,
    /// Its end, seconds since 1970; none where the clock was not set.
    until_unix_s: Option<i64>,
}

#[derive(Clone, Debug)]
struct SignIn {
    mark: [u8; MARK_BYTES],
    until: Time,
    until_unix_s: Option<i64>,
}

/// All sessions.
#[derive(Debug)]
pub struct SignIns {
    key: hmac::Key,
    all: VecDeque<SignIn>,
}

impl SignIns {
    /// None yet; `password` is what they are to show.
    pub fn new(password: &Secret) -> SignIns {
        let key = hmac::Key::new(hmac::HMAC_SHA256, password.reveal().as_bytes());
        SignIns { key, all: VecDeque::new() }
    }

    /// One more. `unix_s` is the wall time, none while the clock is not set.
    pub fn add(&mut self, token: &Secret, now: Time, unix_s: Option<i64>) {
        self.all.retain(|one| now < one.until);
        let Some(mark) = self.mark(token.reveal()) else { return };
        let until_unix_s = unix_s.map(|unix_s| unix_s.saturating_add_unsigned(LIFE.as_secs()));
        self.push(SignIn { mark, until: now + LIFE, until_unix_s });
    }

    /// Whether this token is of a session that lasts.
    pub fn knows(&self, token: &str, now: Time) -> bool {
        let Some(mark) = self.mark(token) else { return false };
        // All of them are looked at, so that the time says nothing.
        self.all.iter().fold(false, |found, one| found | (is_same(&one.mark, &mark) & (now < one.until)))
    }

    /// Ends the session of this token.
    pub fn end(&mut self, token: &str) {
        if let Some(mark) = self.mark(token) {
            self.all.retain(|one| !is_same(&one.mark, &mark));
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// What is to be written down. A clock that was set since is minded.
    pub fn kept(&mut self, now: Time, unix_s: Option<i64>) -> Vec<Kept> {
        for one in &mut self.all {
            let Some(unix_s) = unix_s else { continue };
            let left = one.until.since(now);
            let until_unix_s = *one.until_unix_s.get_or_insert(unix_s.saturating_add_unsigned(left.as_secs()));
            one.until = now + left.min(seconds(until_unix_s.saturating_sub(unix_s)));
        }
        self.all.retain(|one| now < one.until);
        let kept = |one: &SignIn| Kept {
            mark: one.mark.iter().map(|byte| format!("{byte:02x}")).collect(),
            left_s: one.until.since(now).as_secs(),
            until_unix_s: one.until_unix_s,
        };
        self.all.iter().map(kept).collect()
    }

    /// Takes up what an earlier run wrote down.
    pub fn remember(&mut self, kept: Vec<Kept>, now: Time, unix_s: Option<i64>) {
        for kept in kept.into_iter().take(SIGN_INS_MAX) {
            let Some(mark) = bytes(&kept.mark) else { continue };
            let written = Duration::from_secs(kept.left_s).min(LIFE);
            let left = match (kept.until_unix_s, unix_s) {
                (Some(until), Some(unix_s)) => written.min(seconds(until.saturating_sub(unix_s))),
                // Nobody knows how long the device was off, or none did when this was written.
                _ => written.saturating_sub(WRITTEN_EVERY),
            };
            if !left.is_zero() {
                self.push(SignIn { mark, until: now + left, until_unix_s: kept.until_unix_s });
            }
        }
    }

    fn push(&mut self, one: SignIn) {
        if self.all.len() == SIGN_INS_MAX {
            self.all.pop_front();
        }
        self.all.push_back(one);
    }

    fn mark(&self, token: &str) -> Option<[u8; MARK_BYTES]> {
        let is_token = !token.is_empty() && token.len() <= TOKEN_BYTES_MAX;
        is_token.then(|| hmac::sign(&self.key, token.as_bytes()).as_ref().try_into().ok()).flatten()
    }
}

fn seconds(s: i64) -> Duration {
    Duration::from_secs(u64::try_from(s).unwrap_or(0))
}

fn bytes(hex: &str) -> Option<[u8; MARK_BYTES]> {
    let is_hex = hex.len() == 2 * MARK_BYTES && hex.bytes().all(|digit| digit.is_ascii_hexdigit());
    let mut mark = [0; MARK_BYTES];
    for (at, byte) in mark.iter_mut().enumerate().filter(|_| is_hex) {
        *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    is_hex.then_some(mark)
}

/// Whether two marks are the same, in a time that does not depend on where they differ.
fn is_same(left: &[u8; MARK_BYTES], right: &[u8; MARK_BYTES]) -> bool {
    left.iter().zip(right).fold(0, |all, (a, b)| black_box(all | (a ^ b))) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22.
    const NOW_S: i64 = 1_795_305_600;
    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn none(password: &str) -> SignIns {
        SignIns::new(&Secret::new(password))
    }

    fn one(now: Time, unix_s: Option<i64>) -> SignIns {
        let mut sign_ins = none("open sesame");
        sign_ins.add(&Secret::new("t1"), now, unix_s);
        sign_ins
    }

    /// What the next run knows, which starts at zero by its own clock.
    fn next(before: &mut SignIns, now: Time, unix_s: Option<i64>, at_next: Option<i64>) -> SignIns {
        let mut after = none("open sesame");
        after.remember(before.kept(now, unix_s), Time::ZERO, at_next);
        after
    }

    #[test]
    fn a_session_outlives_a_restart_and_not_its_month() {
        let days = |days: i64| Some(NOW_S + days * 24 * 3600);
        let mut first = one(Time::ZERO, days(0));
        let mut second = next(&mut first, Time::ZERO + DAY, days(1), days(29));
        assert!(second.knows("t1", Time::ZERO + DAY / 2) && !second.knows("t2", Time::ZERO));
        assert!(!second.knows("t1", Time::ZERO + DAY), "the time it was off counts");
        assert!(next(&mut second, Time::ZERO, days(29), days(31)).is_empty());
    }

    #[test]
    fn a_clock_that_is_not_set_logs_nobody_out_and_keeps_nobody_for_ever() {
        let mut sign_ins = one(Time::ZERO, Some(NOW_S));
        let mut starts = 0;
        loop {
            sign_ins = next(&mut sign_ins, Time::ZERO, None, None);
            if !sign_ins.knows("t1", Time::ZERO) {
                break;
            }
            starts += 1;
        }
        assert_eq!(starts, LIFE.as_secs() / WRITTEN_EVERY.as_secs() - 1);
        // One that was set while the device ran counts from then on, also for who came before.
        let mut unset = one(Time::ZERO, None);
        let mut set = next(&mut unset, Time::ZERO, None, None);
        let kept = set.kept(Time::ZERO, Some(NOW_S));
        assert!(kept[0].until_unix_s.is_some_and(|until| until > NOW_S && until < NOW_S + 30 * 24 * 3600));
    }

    #[test]
    fn a_clock_that_goes_back_lengthens_nothing() {
        let mut sign_ins = one(Time::ZERO, Some(NOW_S));
        let back = next(&mut sign_ins, Time::ZERO + 20 * DAY, Some(NOW_S + 20 * 24 * 3600), Some(NOW_S - 99_999_999));
        assert!(back.knows("t1", Time::ZERO + 9 * DAY) && !back.knows("t1", Time::ZERO + 10 * DAY));
    }

    #[test]
    fn under_another_password_nobody_is_known() {
        let kept = one(Time::ZERO, Some(NOW_S)).kept(Time::ZERO, Some(NOW_S));
        assert!(!format!("{kept:?}").contains("t1") && kept[0].mark.len() == 2 * MARK_BYTES);
        let mut other = none("another one");
        other.remember(kept.clone(), Time::ZERO, Some(NOW_S));
        assert!(!other.knows("t1", Time::ZERO));
        assert!(!other.knows(&kept[0].mark, Time::ZERO), "what is in the file opens nothing");
    }

    #[test]
    fn a_file_of_whomever_adds_no_more_than_there_may_be_and_no_longer() {
        let mark = "ab".repeat(MARK_BYTES);
        let kept = |mark: &str, left_s| Kept { mark: mark.into(), left_s, until_unix_s: Some(i64::MAX) };
        let mut sign_ins = none("open sesame");
        let strange = ["", "zz", "é", &mark[1..], &"+1".repeat(MARK_BYTES)].map(|mark| kept(mark, 9));
        sign_ins.remember(strange.to_vec(), Time::ZERO, Some(i64::MIN));
        assert!(sign_ins.is_empty());
        sign_ins.remember(vec![kept(&mark, u64::MAX); 1000], Time::ZERO, Some(NOW_S));
        assert_eq!(sign_ins.len(), SIGN_INS_MAX);
        assert!(sign_ins.kept(Time::ZERO + LIFE, Some(NOW_S)).is_empty());
    }
}
