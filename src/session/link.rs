//! The life of the connection: down, connecting, waiting for `setupComplete`, ready.
//!
//! The thread that owns the socket decides nothing; it is told to open and to close here. Resumption with a
//! handle and rotation on `goAway` will be states of this machine.

use std::time::Duration;

use super::timers::{Reason, Timers};
use crate::live::backoff::Backoff;
use crate::live::close::{self, Closing, Refusal, Stage, Verdict};
use crate::units::Time;

/// The link gives up by itself before this; it is for a link that does not.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// After "quota exceeded" nothing is tried for this long: asking again only prolongs it.
const QUOTA_PAUSE: Duration = Duration::from_secs(300);

/// A connection that lived this long was a good one, and the next failure is the first (live-protocol.md 7.2).
const STABLE: Duration = Duration::from_secs(10);

/// Where the connection is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// None; another is made when [`Reason::Reconnect`] is due.
    Down,
    /// Asked for at this time.
    Connecting(Time),
    /// Open and `setup` sent; asked for at this time.
    AwaitSetup(Time),
    /// `setupComplete` seen at this time.
    Ready(Time),
    /// A person must act first.
    Refused(Refusal),
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Ask for a connection with this number.
    Open(u32),
    /// Send `setup`.
    SendSetup,
    /// Speech may be sent; milliseconds since the connection was asked for.
    Ready(u64),
    /// The connection ended; a sentence.
    Lost(String),
    /// Close the socket: it is of no use; a sentence.
    Close(&'static str),
    /// Trying again is pointless.
    Refused(Refusal),
}

/// The machine.
#[derive(Debug)]
pub struct Link {
    state: State,
    attempt: u32,
    /// After "quota exceeded": not even for a press before this.
    paused_until: Option<Time>,
    backoff: Backoff,
    setup_timeout: Duration,
}

impl Link {
    /// A link that is down; `seed` spreads its retries.
    pub fn new(setup_timeout: Duration, seed: u64) -> Link {
        Link { state: State::Down, attempt: 0, paused_until: None, backoff: Backoff::new(seed), setup_timeout }
    }

    /// The number of the newest connection.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Whether messages may be sent.
    pub fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready(_))
    }

    /// Asks for a connection where there is none: because its time has come, or because someone speaks, who is
    /// not made to wait for the backoff.
    pub fn open(&mut self, now: Time, timers: &mut Timers) -> Option<Change> {
        let is_paused = self.paused_until.is_some_and(|until| now < until);
        (self.state == State::Down && !is_paused).then(|| {
            timers.clear(Reason::Reconnect);
            timers.set(Reason::Setup, now + CONNECT_TIMEOUT);
            self.state = State::Connecting(now);
            self.attempt = self.attempt.wrapping_add(1);
            Change::Open(self.attempt)
        })
    }

    /// The WebSocket is open.
    pub fn connected(&mut self, now: Time, timers: &mut Timers) -> Option<Change> {
        let State::Connecting(since) = self.state else { return None };
        timers.set(Reason::Setup, now + self.setup_timeout);
        self.state = State::AwaitSetup(since);
        Some(Change::SendSetup)
    }

    /// `setupComplete` came.
    pub fn setup_complete(&mut self, now: Time, timers: &mut Timers) -> Option<Change> {
        let State::AwaitSetup(since) = self.state else { return None };
        timers.clear(Reason::Setup);
        self.state = State::Ready(now);
        Some(Change::Ready(now.since(since).as_millis() as u64))
    }

    /// [`Reason::Setup`] passed. The connection or `setupComplete` did not come in time: with some configurations the server neither answers nor closes.
    pub fn setup_timed_out(&mut self, now: Time, timers: &mut Timers) -> Option<Change> {
        let why = match self.state {
            State::Connecting(_) => "no connection came about in time: is the network up?",
            State::AwaitSetup(_) => "the service did not answer the setup in time",
            State::Down | State::Ready(_) | State::Refused(_) => return None,
        };
        self.fall(now, timers, Verdict::Retry);
        Some(Change::Close(why))
    }

    /// The connection ended, or could not be made.
    pub fn down(&mut self, closing: &Closing, now: Time, timers: &mut Timers) -> Option<Change> {
        let was_ready = match self.state {
            // The end of a connection that was given up before.
            State::Down | State::Refused(_) => return None,
            State::Ready(since) => {
                if now.since(since) >= STABLE {
                    self.backoff.reset();
                }
                true
            }
            State::Connecting(_) | State::AwaitSetup(_) => false,
        };
        let verdict = close::classify(closing, Stage { was_ready, had_handle: false, has_token: false });
        if let Verdict::Refused(refusal) = verdict {
            timers.clear(Reason::Setup);
            self.state = State::Refused(refusal.clone());
            return Some(Change::Refused(refusal));
        }
        self.fall(now, timers, verdict);
        Some(Change::Lost(closing.to_string()))
    }

    fn fall(&mut self, now: Time, timers: &mut Timers, verdict: Verdict) {
        let wait = self.backoff.next_wait();
        let wait = if verdict == Verdict::Pause { wait.max(QUOTA_PAUSE) } else { wait };
        self.paused_until = (verdict == Verdict::Pause).then_some(now + wait);
        timers.clear(Reason::Setup);
        timers.set(Reason::Reconnect, now + wait);
        self.state = State::Down;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn frame(code: u16, reason: &str) -> Closing {
        Closing::Frame { code, reason: reason.into() }
    }

    fn wait_of(timers: &Timers, now: Time) -> u64 {
        let (at, reason) = timers.next().unwrap();
        assert_eq!(reason, Reason::Reconnect);
        at.since(now).as_millis() as u64
    }

    #[test]
    fn only_a_connection_that_lived_makes_the_next_failure_the_first() {
        let (mut link, mut timers) = (Link::new(Duration::from_secs(15), 3), Timers::default());
        let mut now = Time::ZERO;
        // Each connection becomes ready and is lost; the last one only after it has lived for a while.
        for (lived, from_ms, to_ms) in [(0, 200, 300), (1, 800, 1200), (9, 2400, 3600), (10, 200, 300)] {
            link.open(now, &mut timers).unwrap();
            link.connected(now, &mut timers).unwrap();
            link.setup_complete(now, &mut timers).unwrap();
            now += Duration::from_secs(lived);
            link.down(&frame(1011, ""), now, &mut timers).unwrap();
            let wait_ms = wait_of(&timers, now);
            assert!((from_ms..=to_ms).contains(&wait_ms), "lived {lived} s, waits {wait_ms} ms");
        }
    }

    #[test]
    fn the_quota_is_let_alone_and_a_lost_network_is_not() {
        let (mut link, mut timers) = (Link::new(Duration::from_secs(15), 3), Timers::default());
        link.open(Time::ZERO, &mut timers).unwrap();
        link.down(&frame(1011, "You exceeded your current quota"), Time::ZERO, &mut timers).unwrap();
        assert_eq!(wait_of(&timers, Time::ZERO), 300_000);
        assert_eq!(link.open(Time::from_ms(299_999), &mut timers), None);
        assert_eq!(link.open(Time::from_ms(300_000), &mut timers), Some(Change::Open(2)));
        link.down(&Closing::Network("gone".into()), Time::from_ms(300_001), &mut timers).unwrap();
        assert_eq!(link.open(Time::from_ms(300_002), &mut timers), Some(Change::Open(3)));
    }

    #[test]
    fn an_error_in_a_message_is_judged_by_its_text() {
        for (text, is_refused) in [("API key not valid. Please pass a valid API key.", true), ("Internal error", false)]
        {
            let (mut link, mut timers) = (Link::new(Duration::from_secs(15), 3), Timers::default());
            link.open(Time::ZERO, &mut timers).unwrap();
            link.connected(Time::ZERO, &mut timers).unwrap();
            let change = link.down(&Closing::Error(text.into()), Time::ZERO, &mut timers).unwrap();
            assert_eq!(matches!(change, Change::Refused(Refusal::Key(_))), is_refused, "{text}");
            assert_eq!(timers.next().is_none(), is_refused, "{text}");
        }
    }
}
