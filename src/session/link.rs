//! The life of the connection: closed, down, connecting, waiting for `setupComplete`, ready.
//!
//! The thread that owns the socket decides nothing; it is told to open and to close here. *Closed* is when
//! nobody needs a connection, *down* when somebody does and there is none. What the next setup says is decided
//! in [`super::resume`]; when a good connection is left for another, in `connection.rs`.

use std::time::Duration;

use super::timers::{Reason, Timers};
use crate::live::backoff::Backoff;
use crate::live::close::{self, Closing, Part, Refusal, Stage, Verdict};
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
    /// None, and none is needed.
    Closed,
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
    /// The connection ended.
    Lost {
        /// A sentence.
        why: String,
        /// Close the socket, which is still there.
        must_close: bool,
        /// The next setup must lack this.
        without: Option<Part>,
        /// The setup was sent and not taken, or the service closed soon after it took it.
        was_setup_refused: bool,
    },
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
    has_been_ready: bool,
    /// A token is shown, not a key.
    has_token: bool,
    /// The next attempt needs a token of its own.
    wants_new_token: bool,
    was_left_young: bool,
}

impl Link {
    /// A link that nobody needs yet; `has_token`: it shows a token, not a key; `seed` spreads its retries.
    pub fn new(setup_timeout: Duration, has_token: bool, seed: u64) -> Link {
        Link {
            state: State::Closed,
            attempt: 0,
            paused_until: None,
            backoff: Backoff::new(seed),
            setup_timeout,
            has_been_ready: false,
            has_token,
            wants_new_token: false,
            was_left_young: false,
        }
    }

    /// The number of the newest connection.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Whether messages may be sent.
    pub fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready(_))
    }

    /// The connection is about to be left for another. Answers whether it is young, as was the last that was left
    /// so: a service that sends everybody away as soon as they come is not to be run in upon.
    pub fn is_left_in_haste(&mut self, now: Time) -> bool {
        let State::Ready(since) = self.state else { return false };
        let is_young = now.since(since) < STABLE;
        std::mem::replace(&mut self.was_left_young, is_young) && is_young
    }

    /// Whether a connection is there or being made.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Connecting(_) | State::AwaitSetup(_) | State::Ready(_))
    }

    /// Whether any connection was ready since the program began.
    pub fn has_been_ready(&self) -> bool {
        self.has_been_ready
    }

    /// Whether the connection that is asked for now may use the token of the last one.
    pub fn takes_same_token(&mut self, is_resuming: bool) -> bool {
        !std::mem::take(&mut self.wants_new_token) && is_resuming
    }

    /// Asks for a connection where there is none: because its time has come, or because someone speaks, who is
    /// not made to wait for the backoff.
    pub fn open(&mut self, now: Time, timers: &mut Timers) -> Option<Change> {
        if !matches!(self.state, State::Closed | State::Down) {
            return None;
        }
        if let Some(until) = self.paused_until.filter(|until| now < *until) {
            self.state = State::Down;
            timers.set(Reason::Reconnect, until);
            return None;
        }
        timers.clear(Reason::Reconnect);
        timers.set(Reason::Setup, now + CONNECT_TIMEOUT);
        self.state = State::Connecting(now);
        self.attempt = self.attempt.wrapping_add(1);
        Some(Change::Open(self.attempt))
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
        self.has_been_ready = true;
        Some(Change::Ready(now.since(since).as_millis() as u64))
    }

    /// Closes a connection that is not needed any more, or will be replaced. Answers whether there was one.
    pub fn close(&mut self, now: Time, timers: &mut Timers) -> bool {
        let was_open = self.is_open();
        if let State::Ready(since) = self.state
            && now.since(since) >= STABLE
        {
            self.backoff.reset();
        }
        timers.clear(Reason::Setup);
        timers.clear(Reason::Reconnect);
        if !matches!(self.state, State::Refused(_)) {
            self.state = State::Closed;
        }
        was_open
    }

    /// [`Reason::Reconnect`] passed and nobody needs a connection any more.
    pub fn rest(&mut self) {
        if self.state == State::Down {
            self.state = State::Closed;
        }
    }

    /// [`Reason::Setup`] passed. The connection or `setupComplete` did not come in time: with some configurations
    /// the server neither answers nor closes.
    pub fn setup_timed_out(&mut self, now: Time, timers: &mut Timers) -> Option<Change> {
        let (why, was_setup_refused) = match self.state {
            State::Connecting(_) => ("no connection came about in time: is the network up?", false),
            State::AwaitSetup(_) => ("the service did not answer the setup in time", true),
            State::Closed | State::Down | State::Ready(_) | State::Refused(_) => return None,
        };
        let wait = self.backoff.next_wait();
        self.fall(wait, now, timers);
        Some(Change::Lost { why: why.into(), must_close: true, without: None, was_setup_refused })
    }

    /// The connection is given up from here, because `why`.
    pub fn give_up(&mut self, why: &str, now: Time, timers: &mut Timers) -> Option<Change> {
        self.down(&Closing::Network(why.to_string()), false, now, timers).map(|change| match change {
            Change::Lost { why, without, was_setup_refused, .. } => {
                Change::Lost { why, must_close: true, without, was_setup_refused }
            }
            other => other,
        })
    }

    /// The connection ended, or could not be made. `had_handle`: whether its setup carried one.
    pub fn down(&mut self, closing: &Closing, had_handle: bool, now: Time, timers: &mut Timers) -> Option<Change> {
        let is_by_service = matches!(closing, Closing::Frame { .. } | Closing::Error(_));
        let (was_ready, was_refused) = match self.state {
            // The end of a connection that was given up before.
            State::Closed | State::Down | State::Refused(_) => return None,
            State::Ready(since) => {
                let is_stable = now.since(since) >= STABLE;
                if is_stable {
                    self.backoff.reset();
                }
                (true, is_by_service && !is_stable)
            }
            State::AwaitSetup(_) => (false, true),
            State::Connecting(_) => (false, false),
        };
        self.paused_until = None;
        let stage = Stage { was_ready, had_handle, has_token: self.has_token };
        let (wait, without) = match close::classify(closing, stage) {
            Verdict::Retry => (self.backoff.next_wait(), None),
            Verdict::Wait(steady) => (steady, None),
            Verdict::Pause => (self.pause(now), None),
            Verdict::Without(part) => (self.backoff.next_wait(), Some(part)),
            Verdict::Renew => {
                self.wants_new_token = true;
                (self.backoff.next_wait(), None)
            }
            // With another setup, too: it is not the setup's fault.
            Verdict::Refused(Refusal::Key(_) | Refusal::Region(_)) if self.has_been_ready => (self.pause(now), None),
            Verdict::Refused(refusal) => {
                timers.clear(Reason::Setup);
                self.state = State::Refused(refusal.clone());
                return Some(Change::Refused(refusal));
            }
        };
        self.fall(wait, now, timers);
        let why = closing.to_string();
        Some(Change::Lost { why, must_close: false, without, was_setup_refused: was_refused })
    }

    /// What was refused is not sent again, but something else is: the connection may be tried once more.
    pub fn forgive(&mut self, now: Time, timers: &mut Timers) {
        if matches!(self.state, State::Refused(_)) {
            let wait = self.backoff.next_wait();
            self.fall(wait, now, timers);
        }
    }

    /// What was refused is tried again, but not before a long pause.
    pub fn pause_refused(&mut self, now: Time, timers: &mut Timers) {
        if matches!(self.state, State::Refused(_)) {
            let wait = self.pause(now);
            self.fall(wait, now, timers);
        }
    }

    fn pause(&mut self, now: Time) -> Duration {
        let wait = QUOTA_PAUSE;
        self.paused_until = Some(now + wait);
        wait
    }

    fn fall(&mut self, wait: Duration, now: Time, timers: &mut Timers) {
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

    fn link() -> (Link, Timers) {
        (Link::new(Duration::from_secs(15), false, 3), Timers::default())
    }

    fn wait_of(timers: &Timers, now: Time) -> u64 {
        let (at, reason) = timers.next().unwrap();
        assert_eq!(reason, Reason::Reconnect);
        at.since(now).as_millis() as u64
    }

    fn ready(link: &mut Link, now: Time, timers: &mut Timers) {
        link.open(now, timers).unwrap();
        link.connected(now, timers).unwrap();
        link.setup_complete(now, timers).unwrap();
    }

    #[test]
    fn only_a_connection_that_lived_makes_the_next_failure_the_first() {
        let (mut link, mut timers) = link();
        let mut now = Time::ZERO;
        // Each connection becomes ready and is lost; the last one only after it has lived for a while.
        for (lived, from_ms, to_ms) in [(0, 80, 120), (1, 800, 1200), (9, 2400, 3600), (10, 80, 120)] {
            ready(&mut link, now, &mut timers);
            now += Duration::from_secs(lived);
            link.down(&frame(1011, ""), false, now, &mut timers).unwrap();
            let wait_ms = wait_of(&timers, now);
            assert!((from_ms..=to_ms).contains(&wait_ms), "lived {lived} s, waits {wait_ms} ms");
        }
    }

    #[test]
    fn the_quota_is_let_alone_and_a_lost_network_is_not() {
        let (mut link, mut timers) = link();
        link.open(Time::ZERO, &mut timers).unwrap();
        link.down(&frame(1011, "You exceeded your current quota"), false, Time::ZERO, &mut timers).unwrap();
        assert_eq!(wait_of(&timers, Time::ZERO), 300_000);
        assert_eq!(link.open(Time::from_ms(299_999), &mut timers), None);
        assert_eq!(link.open(Time::from_ms(300_000), &mut timers), Some(Change::Open(2)));
        link.down(&frame(1011, "You exceeded your current quota"), false, Time::from_ms(300_000), &mut timers).unwrap();
        timers.clear(Reason::Reconnect);
        link.rest();
        assert_eq!(link.open(Time::from_ms(300_001), &mut timers), None);
        assert_eq!(wait_of(&timers, Time::from_ms(600_000)), 0, "who waits for it is remembered");
        assert_eq!(link.open(Time::from_ms(600_000), &mut timers), Some(Change::Open(3)));
        link.down(&Closing::Network("gone".into()), false, Time::from_ms(600_001), &mut timers).unwrap();
        assert_eq!(link.open(Time::from_ms(600_002), &mut timers), Some(Change::Open(4)));
    }

    #[test]
    fn a_key_that_worked_before_is_tried_again_after_a_long_pause() {
        let refused = frame(1007, "API key not valid. Please pass a valid API key.");
        let (mut never, mut timers) = link();
        never.open(Time::ZERO, &mut timers).unwrap();
        let change = never.down(&refused, false, Time::ZERO, &mut timers).unwrap();
        assert!(matches!(change, Change::Refused(Refusal::Key(_))));
        assert_eq!(timers.next(), None);

        let (mut once, mut timers) = link();
        ready(&mut once, Time::ZERO, &mut timers);
        assert!(matches!(once.down(&refused, false, Time::ZERO, &mut timers), Some(Change::Lost { .. })));
        assert_eq!(wait_of(&timers, Time::ZERO), 300_000);
    }

    #[test]
    fn an_error_in_a_message_is_judged_by_its_text() {
        for (text, is_refused) in [("API key not valid. Please pass a valid API key.", true), ("Internal error", false)]
        {
            let (mut link, mut timers) = link();
            link.open(Time::ZERO, &mut timers).unwrap();
            link.connected(Time::ZERO, &mut timers).unwrap();
            let change = link.down(&Closing::Error(text.into()), false, Time::ZERO, &mut timers).unwrap();
            assert_eq!(matches!(change, Change::Refused(Refusal::Key(_))), is_refused, "{text}");
            assert_eq!(timers.next().is_none(), is_refused, "{text}");
        }
    }

    #[test]
    fn a_token_serves_again_only_where_the_conversation_goes_on_and_it_was_not_refused() {
        let (mut link, mut timers) = link();
        assert!(!link.takes_same_token(false));
        assert!(link.takes_same_token(true));
        link.open(Time::ZERO, &mut timers).unwrap();
        link.wants_new_token = true;
        assert!(!link.takes_same_token(true), "it was refused");
        assert!(link.takes_same_token(true), "the new one was not");
    }

    #[test]
    fn a_link_that_nobody_needs_is_closed_and_opens_at_once() {
        let (mut link, mut timers) = link();
        ready(&mut link, Time::ZERO, &mut timers);
        assert!(link.close(Time::from_ms(5), &mut timers));
        assert!(!link.close(Time::from_ms(5), &mut timers));
        assert_eq!((timers.next(), link.is_open()), (None, false));
        assert_eq!(link.down(&frame(1000, ""), false, Time::from_ms(6), &mut timers), None, "it says goodbye too");
        assert_eq!(link.open(Time::from_ms(7), &mut timers), Some(Change::Open(2)));
        link.down(&Closing::Network("gone".into()), false, Time::from_ms(8), &mut timers).unwrap();
        link.rest();
        assert_eq!(link.state, State::Closed);
    }
}
