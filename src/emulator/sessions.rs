//! What the service remembers of sessions between connections: handles, where each stood, which is in use.
//!
//! Handles are serial numbers here, not secrets: `emulated-3-2` is the second of session 3. The registry is shared
//! by the connections of one service, holds no clock, and forgets the oldest beyond its limits.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::calls::Calls;
use super::usage::Context;
use crate::units::Time;

/// Sessions that are remembered: more than a soak makes that drops a connection every few seconds for an hour.
const SESSIONS_MAX: usize = 1024;
/// Handles of a session that are remembered; an older one is unknown, as the service's old ones may be.
const POINTS_MAX: usize = 32;

/// The sessions of one service. A clone is the same registry.
#[derive(Clone, Debug, Default)]
pub struct Sessions(Arc<Mutex<VecDeque<Session>>>);

/// Where a session stands: all that a resumption brings back. The reply in flight and the audio of an open window are
/// not in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Point {
    pub(super) next_turn: usize,
    pub(super) context: Context,
    pub(super) calls: Calls,
}

#[derive(Debug)]
struct Session {
    id: u64,
    model: String,
    state: State,
    /// Handle numbers with what each brings back.
    points: VecDeque<(u64, Point)>,
    /// Whether what happened since the newest handle is lost to it (a newer one was withheld).
    withheld: bool,
    /// As its last connection left them.
    calls: Calls,
}

#[derive(Debug, PartialEq)]
enum State {
    /// A connection has it.
    InUse,
    /// Its handles are good until then.
    Until(Time),
}

/// Why a handle does not bring its session back.
#[derive(Debug, PartialEq)]
pub(super) enum NotResumed {
    /// No such handle was given, or it was forgotten.
    Unknown,
    /// Its time is over.
    Expired,
    /// Another connection has the session.
    InUse,
    /// The session speaks with this model.
    OtherModel(String),
}

impl Sessions {
    /// A new session for the connection with that number.
    pub(super) fn begin(&self, id: u64, model: &str) {
        let mut book = self.book();
        book.retain(|session| session.id != id);
        if book.len() >= SESSIONS_MAX {
            book.pop_front();
        }
        let points = VecDeque::new();
        let (model, calls) = (model.to_owned(), Calls::default());
        book.push_back(Session { id, model, state: State::InUse, points, withheld: false, calls });
    }

    /// Takes up the session that `handle` names; answers its number and where it stands.
    pub(super) fn resume(&self, handle: &str, model: &str, now: Time) -> Result<(u64, Point), NotResumed> {
        let (id, number) = parse(handle).ok_or(NotResumed::Unknown)?;
        let mut book = self.book();
        let session = book.iter_mut().find(|session| session.id == id).ok_or(NotResumed::Unknown)?;
        let place = session.points.iter().position(|(known, _)| *known == number).ok_or(NotResumed::Unknown)?;
        match session.state {
            State::InUse => return Err(NotResumed::InUse),
            State::Until(end) if end <= now => return Err(NotResumed::Expired),
            State::Until(_) if session.model != model => return Err(NotResumed::OtherModel(session.model.clone())),
            State::Until(_) => {}
        }
        session.state = State::InUse;
        // What the older point does not know of has not happened.
        session.points.truncate(place + 1);
        session.withheld = false;
        let mut point = session.points[place].1.clone();
        point.calls = session.calls.clone().outlive_their_connection(&point.calls);
        Ok((id, point))
    }

    /// A new handle, which stands for `point` and for what is committed after it.
    pub(super) fn hand_out(&self, id: u64, point: Point) -> Option<String> {
        let mut book = self.book();
        let session = book.iter_mut().find(|session| session.id == id)?;
        let number = session.points.back().map_or(1, |(number, _)| number + 1);
        if session.points.len() >= POINTS_MAX {
            session.points.pop_front();
        }
        session.points.push_back((number, point));
        session.withheld = false;
        Some(format!("emulated-{id}-{number}"))
    }

    /// From now to the next handle nothing is entered under the newest one, which stands for `point`.
    pub(super) fn withhold(&self, id: u64, point: Point) {
        let mut book = self.book();
        if let Some(session) = book.iter_mut().find(|session| session.id == id && !session.withheld) {
            session.enter(point);
            session.withheld = true;
        }
    }

    /// The session's connection has ended, and it stands at `point`; its handles are good for `valid`.
    pub(super) fn leave(&self, id: u64, point: Point, now: Time, valid: Duration) {
        let mut book = self.book();
        if let Some(session) = book.iter_mut().find(|session| session.id == id) {
            session.calls = point.calls.clone();
            session.enter(point);
            session.state = State::Until(now + valid);
        }
    }

    fn book(&self) -> MutexGuard<'_, VecDeque<Session>> {
        // A panic elsewhere leaves the book whole: nothing here is half done when it can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    fn enter(&mut self, point: Point) {
        if let Some((_, newest)) = self.points.back_mut().filter(|_| !self.withheld) {
            *newest = point;
        }
    }
}

/// Session and serial number of a handle.
fn parse(handle: &str) -> Option<(u64, u64)> {
    let (session, number) = handle.strip_prefix("emulated-")?.split_once('-')?;
    Some((session.parse().ok()?, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(next_turn: usize) -> Point {
        Point { next_turn, ..Point::default() }
    }

    fn resumed(sessions: &Sessions, handle: &str) -> Result<usize, NotResumed> {
        let answer = sessions.resume(handle, "a", Time::from_ms(1000)).map(|(_, point)| point.next_turn);
        if answer.is_ok() {
            let (id, _) = parse(handle).unwrap();
            sessions.leave(id, at(answer.as_ref().copied().unwrap()), Time::from_ms(1000), HOUR);
        }
        answer
    }

    #[test]
    fn the_newest_handle_brings_back_what_was_committed_after_it_and_an_older_one_does_not() {
        let sessions = Sessions::default();
        sessions.begin(3, "a");
        assert_eq!(sessions.hand_out(3, at(1)).unwrap(), "emulated-3-1");
        assert_eq!(sessions.hand_out(3, at(2)).unwrap(), "emulated-3-2");
        sessions.leave(3, at(3), Time::ZERO, HOUR);
        assert_eq!(resumed(&sessions, "emulated-3-2"), Ok(3));
        assert_eq!(resumed(&sessions, "emulated-3-1"), Ok(1));
        assert_eq!(resumed(&sessions, "emulated-3-2"), Err(NotResumed::Unknown), "that never happened");
    }

    #[test]
    fn while_handles_are_withheld_the_newest_stays_where_it_was() {
        let sessions = Sessions::default();
        sessions.begin(3, "a");
        sessions.hand_out(3, at(1)).unwrap();
        sessions.withhold(3, at(1));
        sessions.leave(3, at(2), Time::ZERO, HOUR);
        assert_eq!(resumed(&sessions, "emulated-3-1"), Ok(1));
    }

    #[test]
    fn strange_old_and_busy_handles_bring_nothing_back() {
        let sessions = Sessions::default();
        sessions.begin(3, "a");
        sessions.hand_out(3, at(1)).unwrap();
        let resume = |handle, model, ms| sessions.resume(handle, model, Time::from_ms(ms)).map(|_| ());
        for strange in ["", "CiQ5", "emulated-3", "emulated-3-2", "emulated-4-1", "emulated-x-1"] {
            assert_eq!(resume(strange, "a", 0), Err(NotResumed::Unknown), "{strange}");
        }
        assert_eq!(resume("emulated-3-1", "a", 0), Err(NotResumed::InUse));
        sessions.leave(3, at(1), Time::from_ms(100), Duration::from_millis(50));
        assert_eq!(resume("emulated-3-1", "b", 149), Err(NotResumed::OtherModel("a".into())));
        assert_eq!(resume("emulated-3-1", "a", 150), Err(NotResumed::Expired));
        assert_eq!(resume("emulated-3-1", "a", 149), Ok(()));
        assert_eq!(resume("emulated-3-1", "a", 149), Err(NotResumed::InUse), "it was taken up");
    }

    #[test]
    fn the_registry_stays_within_its_limits() {
        let sessions = Sessions::default();
        for id in 0..2 * SESSIONS_MAX as u64 {
            sessions.begin(id, "a");
        }
        for turn in 0..2 * POINTS_MAX {
            sessions.hand_out(2 * SESSIONS_MAX as u64 - 1, at(turn)).unwrap();
        }
        assert_eq!(sessions.book().len(), SESSIONS_MAX);
        assert_eq!(sessions.book().back().unwrap().points.len(), POINTS_MAX);
        assert_eq!(sessions.hand_out(0, at(0)), None, "the oldest is forgotten");
    }
}
