//! Whether a new configuration works, and when a device may be away for a moment: decided on times that are handed in.

use std::time::Duration;

use crate::units::Time;

/// Connection and microphone must have worked for so long without a break: a microphone that cannot be opened says so sooner.
const SETTLED: Duration = Duration::from_secs(5);
/// While the fleet's broker is away, too, the network is at fault and no configuration; it is waited for so long in all.
pub const BROKER_WAIT_MAX: Duration = Duration::from_secs(15 * 60);
/// Nothing happened for so long: whoever wanted to say more has said it.
const QUIET: Duration = Duration::from_secs(5);
/// A device that is never quiet is started again all the same after this.
pub const BUSY_MAX: Duration = Duration::from_secs(10 * 60);

/// What is known at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// The service took the setup, and the connection was not lost since.
    pub is_link_ready: bool,
    /// The microphone is in no trouble.
    pub is_mic_well: bool,
    /// The fleet's broker is there.
    pub is_broker_there: bool,
    /// A connection is wanted; none is while today's limit is used up, whatever the configuration says.
    pub is_link_wanted: bool,
}

/// What is known of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing yet.
    Open,
    /// It works.
    Proven,
    /// It does not; a sentence.
    Failed(String),
}

/// A configuration that proves itself.
#[derive(Clone, Debug)]
pub struct Proof {
    within: Duration,
    /// What is left of that.
    left: Duration,
    broker_left: Duration,
    looked_at: Time,
    well_since: Option<Time>,
}

impl Proof {
    /// One that begins now, and has so long.
    pub fn new(now: Time, within: Duration) -> Proof {
        Proof { within, left: within, broker_left: BROKER_WAIT_MAX, looked_at: now, well_since: None }
    }

    /// Looks at what is known now. The time stands while the broker is away, within [`BROKER_WAIT_MAX`], and while no
    /// connection is wanted.
    pub fn look(&mut self, now: Time, seen: Seen) -> Verdict {
        let passed = now.since(self.looked_at);
        self.looked_at = now;
        if !(seen.is_link_ready && seen.is_mic_well) {
            self.well_since = None;
        } else if now.since(*self.well_since.get_or_insert(now)) >= SETTLED {
            return Verdict::Proven;
        }
        if !seen.is_link_wanted || self.well_since.is_some() {
            return Verdict::Open;
        }
        let away = if seen.is_broker_there { Duration::ZERO } else { passed.min(self.broker_left) };
        self.broker_left -= away;
        self.left = self.left.saturating_sub(passed - away);
        if self.left > Duration::ZERO {
            return Verdict::Open;
        }
        let within_s = self.within.as_secs();
        Verdict::Failed(match seen.is_link_ready {
            true => format!("the microphone did not work within {within_s} s"),
            false => format!("the service was not reached within {within_s} s"),
        })
    }
}

/// A moment at which the device may be away, which is waited for.
#[derive(Clone, Debug)]
pub struct Lull {
    since: Time,
    quiet_since: Option<Time>,
}

impl Lull {
    /// It is waited for from now on.
    pub fn new(now: Time) -> Lull {
        Lull { since: now, quiet_since: None }
    }

    /// Whether it has come.
    pub fn look(&mut self, now: Time, is_busy: bool) -> bool {
        if is_busy {
            self.quiet_since = None;
            return now.since(self.since) >= BUSY_MAX;
        }
        now.since(*self.quiet_since.get_or_insert(now)) >= QUIET
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: Seen = Seen { is_link_ready: true, is_mic_well: true, is_broker_there: true, is_link_wanted: true };
    const NO_LINK: Seen = Seen { is_link_ready: false, ..WELL };

    /// Looks once a second; what is known from the first second of each line on. Answers when it was decided, and what.
    fn lived(within_s: u64, story: &[(u64, Seen)], end_s: u64) -> (u64, Verdict) {
        let mut proof = Proof::new(Time::ZERO, Duration::from_secs(within_s));
        for second in 0..=end_s {
            let (_, seen) = story.iter().rev().find(|(from, _)| *from <= second).copied().unwrap_or((0, NO_LINK));
            let verdict = proof.look(Time::from_ms(second * 1000), seen);
            if verdict != Verdict::Open {
                return (second, verdict);
            }
        }
        (end_s, Verdict::Open)
    }

    #[test]
    fn it_is_proven_once_connection_and_microphone_have_worked_for_a_while() {
        let no_mic = Seen { is_mic_well: false, ..WELL };
        let away = Seen { is_broker_there: false, ..NO_LINK };
        let spent = Seen { is_link_wanted: false, ..NO_LINK };
        let no_link = Verdict::Failed("the service was not reached within 120 s".into());
        let no_sound = Verdict::Failed("the microphone did not work within 120 s".into());
        let quarter_s = BROKER_WAIT_MAX.as_secs();
        for (name, story, expected) in [
            ("at once", &[(0, NO_LINK), (3, WELL)][..], (8, Verdict::Proven)),
            ("at the last moment", &[(0, NO_LINK), (119, WELL)], (124, Verdict::Proven)),
            ("a connection that does not hold", &[(0, WELL), (4, NO_LINK), (6, WELL)], (11, Verdict::Proven)),
            ("never", &[(0, NO_LINK)], (120, no_link.clone())),
            ("only a connection", &[(0, no_mic)], (120, no_sound)),
            ("no network for a while", &[(0, away), (600, NO_LINK), (610, WELL)], (615, Verdict::Proven)),
            ("no network and no end of it", &[(0, away)], (120 + quarter_s, no_link)),
            ("nothing left for today", &[(0, spent), (4000, WELL)], (4005, Verdict::Proven)),
            (
                "the broker is away, the service is there",
                &[(0, Seen { is_broker_there: false, ..WELL })],
                (5, Verdict::Proven),
            ),
        ] {
            assert_eq!(lived(120, story, 5000), expected, "{name}");
        }
    }

    #[test]
    fn nobody_is_cut_off_and_nobody_can_hold_it_up_for_ever() {
        let restarts = |is_busy: &dyn Fn(u64) -> bool| {
            let mut lull = Lull::new(Time::ZERO);
            (0..5000).find(|second| lull.look(Time::from_ms(second * 1000), is_busy(*second)))
        };
        assert_eq!(restarts(&|_| false), Some(5));
        assert_eq!(restarts(&|second| second < 40), Some(45));
        assert_eq!(restarts(&|second| second % 4 == 0), Some(600), "between two words is no end");
        assert_eq!(restarts(&|_| true), Some(600));
    }
}
