//! The one table of deadlines: each has a reason, and the earliest wakes the core.

use crate::units::Time;

/// Why the core wakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Time to connect again.
    Reconnect,
    /// The connection, or then `setupComplete`, did not come: close and try again.
    Setup,
    /// Kept speech may go on being sent.
    CatchUp,
    /// Kept speech is too old to be sent: drop it and say so.
    Kept,
    /// Somebody speaks and there is still no connection: say so.
    Offline,
    /// No sign of life after the user's turn: another connection, and ask again once.
    Answer,
    /// A reply stopped coming without ending: the same.
    Progress,
    /// All was generated and heard, and the turn does not end: end it here.
    Stuck,
    /// The loudspeaker should have said all it was given: flush it.
    Drain,
    /// The end of an abandoned turn did not come: it is not waited for.
    Stale,
    /// A tool call ran out of time: answer it with an error.
    Call,
    /// Nothing was heard of the service: ask for a sign of life, or give the connection up.
    Quiet,
    /// Nobody has spoken for long: close the connection.
    Idle,
    /// The service will close: another connection, whatever goes on.
    Leave,
    /// Somebody waits and hears nothing: a sound says that it goes on.
    Thinking,
    /// A timer or an alarm rings: the next stroke.
    Ring,
    /// A press in which nothing is said has kept a reply back for long enough.
    Held,
    /// The next picture of what is before somebody who speaks may be sent.
    Still,
}

const REASONS: [Reason; 18] = [
    Reason::Reconnect,
    Reason::Setup,
    Reason::CatchUp,
    Reason::Kept,
    Reason::Offline,
    Reason::Answer,
    Reason::Progress,
    Reason::Stuck,
    Reason::Drain,
    Reason::Stale,
    Reason::Call,
    Reason::Quiet,
    Reason::Idle,
    Reason::Leave,
    Reason::Thinking,
    Reason::Ring,
    Reason::Held,
    Reason::Still,
];

/// One optional deadline for each [`Reason`].
#[derive(Debug, Default)]
pub struct Timers([Option<Time>; REASONS.len()]);

impl Timers {
    /// Sets or replaces a deadline.
    pub fn set(&mut self, reason: Reason, at: Time) {
        self.0[reason as usize] = Some(at);
    }

    /// Sets a deadline unless there is one.
    pub fn start(&mut self, reason: Reason, at: Time) {
        self.0[reason as usize].get_or_insert(at);
    }

    /// Sets a deadline, or moves one that lies later.
    pub fn sooner(&mut self, reason: Reason, at: Time) {
        let place = &mut self.0[reason as usize];
        *place = Some(place.map_or(at, |set| set.min(at)));
    }

    /// Removes a deadline.
    pub fn clear(&mut self, reason: Reason) {
        self.0[reason as usize] = None;
    }

    /// Whether a deadline is set.
    pub fn is_set(&self, reason: Reason) -> bool {
        self.0[reason as usize].is_some()
    }

    /// All that are set.
    pub fn all(&self) -> impl Iterator<Item = (Time, Reason)> + use<'_> {
        REASONS.into_iter().filter_map(|r| Some((self.0[r as usize]?, r)))
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<(Time, Reason)> {
        self.all().min_by_key(|(at, _)| *at)
    }

    /// Takes one deadline that has passed.
    pub fn take_due(&mut self, now: Time) -> Option<Reason> {
        let (at, reason) = self.next()?;
        (at <= now).then(|| {
            self.clear(reason);
            reason
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_wakes_and_each_is_taken_once() {
        let mut timers = Timers::default();
        timers.set(Reason::Answer, Time::from_ms(8));
        timers.set(Reason::Call, Time::from_ms(5));
        assert_eq!(timers.next(), Some((Time::from_ms(5), Reason::Call)));
        assert_eq!(timers.take_due(Time::from_ms(4)), None);
        assert_eq!(timers.take_due(Time::from_ms(9)), Some(Reason::Call));
        assert_eq!(timers.take_due(Time::from_ms(9)), Some(Reason::Answer));
        assert_eq!(timers.take_due(Time::from_ms(9)), None);
    }

    #[test]
    fn every_reason_has_its_own_place() {
        for (at, reason) in REASONS.into_iter().enumerate() {
            assert_eq!(reason as usize, at);
        }
    }
}
