//! The table of patterns: how each [`Look`] is told by one lamp, by one that can be dimmed, by a row of coloured ones.
//!
//! All show the same curve. Colour is a help and never needed: each pattern has a rhythm of its own, also where a lamp is
//! only on or off. What is wrong or closed is counted in flashes, as technicians are used to; what goes on in a
//! conversation is lit more than dark. Nothing flashes more often than every 400 ms: flicker between 3 and 30 Hz can
//! start a seizure (WCAG 2.2, criterion 2.3.1: at most three flashes in any second).

use std::time::Duration;

use super::Look;
use crate::hw::{Glow, Rgb};

/// How often a lamp that brightens or darkens is set anew: 30 times a second look smooth.
pub const FRAME: Duration = Duration::from_millis(33);

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The colour, where a lamp has one.
    pub colour: Rgb,
    /// Brightness as the eye takes it over one cycle: points of time (ms from its beginning, rising) and percent, with
    /// straight lines between them; two at one time are a step. The last point's time is the cycle's length. One point
    /// alone is steady.
    pub curve: &'static [(u32, u8)],
    /// How several lamps share it.
    pub motion: Motion,
    /// What it says, and how it looks on a lamp that is only on or off: two cells of board/README.md.
    pub words: (&'static str, &'static str),
}

/// How the lamps of a row move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Motion {
    /// All alike.
    Together,
    /// Each a little later than the one before: light runs along the row.
    Chase,
}

const WHITE: Rgb = Rgb { red: 255, green: 255, blue: 255 };
const BLUE: Rgb = Rgb { red: 0, green: 110, blue: 255 };
const GREEN: Rgb = Rgb { red: 0, green: 255, blue: 60 };
const RED: Rgb = Rgb { red: 255, green: 0, blue: 0 };
const ORANGE: Rgb = Rgb { red: 255, green: 90, blue: 0 };
const VIOLET: Rgb = Rgb { red: 150, green: 0, blue: 255 };

/// The row of a look.
pub fn pattern(look: Look) -> &'static Pattern {
    match look {
        Look::Starting => &STARTING,
        Look::Idle => &IDLE,
        Look::Listening => &LISTENING,
        Look::ListeningInTrouble => &LISTENING_IN_TROUBLE,
        Look::Thinking => &THINKING,
        Look::Speaking => &SPEAKING,
        Look::Ringing => &RINGING,
        Look::FollowUp => &FOLLOW_UP,
        Look::Offline => &OFFLINE,
        Look::Spent => &SPENT,
        Look::Muted => &MUTED,
        Look::MutedByLine => &MUTED_BY_LINE,
        Look::Trouble => &TROUBLE,
    }
}

const STARTING: Pattern = Pattern {
    colour: WHITE,
    curve: &[(0, 0), (300, 100), (1500, 100), (1800, 0), (3000, 0)],
    motion: Motion::Together,
    words: ("it starts, and has no connection yet", "slow: 1.5 s on, 1.5 s off"),
};
const IDLE: Pattern = Pattern {
    colour: WHITE,
    curve: &[(0, 0)],
    motion: Motion::Together,
    words: ("ready; nothing leaves the device", "dark"),
};
const LISTENING: Pattern = Pattern {
    colour: BLUE,
    curve: &[(0, 100)],
    motion: Motion::Together,
    words: ("it listens: what is said goes out", "steady on"),
};
const LISTENING_IN_TROUBLE: Pattern = Pattern {
    colour: BLUE,
    curve: &[
        (0, 100),
        (1600, 100),
        (1600, 0),
        (1750, 0),
        (1750, 100),
        (2000, 100),
        (2000, 0),
        (2150, 0),
        (2150, 100),
        (2400, 100),
        (2400, 0),
        (2550, 0),
    ],
    motion: Motion::Together,
    words: ("it listens, and microphone, loudspeaker or a line is in trouble", "on, with three short gaps"),
};
const THINKING: Pattern = Pattern {
    colour: BLUE,
    curve: &[(0, 10), (100, 100), (300, 100), (400, 10), (600, 10)],
    motion: Motion::Chase,
    words: ("it thinks about the answer", "quick and even: 0.3 s on, 0.3 s off"),
};
const SPEAKING: Pattern = Pattern {
    colour: GREEN,
    curve: &[(0, 30), (200, 100), (800, 100), (1000, 30), (1200, 30)],
    motion: Motion::Together,
    words: ("it speaks", "lively: 0.9 s on, 0.3 s off"),
};
const RINGING: Pattern = Pattern {
    colour: GREEN,
    curve: &[(0, 100), (600, 100), (600, 0), (900, 0), (900, 100), (1500, 100), (1500, 0), (2400, 0)],
    motion: Motion::Together,
    words: ("a timer or an alarm rings (a press stops it)", "two **long** flashes, then dark"),
};
const FOLLOW_UP: Pattern = Pattern {
    colour: BLUE,
    curve: &[(0, 60), (2600, 60), (2700, 0), (2900, 0), (3000, 60)],
    motion: Motion::Together,
    words: ("say something: a voice alone opens the microphone now", "on, with one short gap every 3 s"),
};
const MUTED: Pattern = Pattern {
    colour: RED,
    curve: &[(0, 100), (150, 100), (150, 10), (2000, 10)],
    motion: Motion::Together,
    words: ("muted by a person (a long press opens it)", "**one** flash every 2 s"),
};
const MUTED_BY_LINE: Pattern = Pattern {
    colour: RED,
    curve: &[(0, 100), (900, 100), (900, 10), (1200, 10), (1200, 100), (1350, 100), (1350, 10), (3400, 10)],
    motion: Motion::Together,
    words: ("muted by the switch (only the switch opens it)", "one **long** flash and a short one, then dark"),
};
const OFFLINE: Pattern = Pattern {
    colour: ORANGE,
    curve: &[(0, 100), (150, 100), (150, 0), (400, 0), (400, 100), (550, 100), (550, 0), (2400, 0)],
    motion: Motion::Together,
    words: ("no connection", "**two** flashes, then dark"),
};
const TROUBLE: Pattern = Pattern {
    colour: ORANGE,
    curve: &[
        (0, 100),
        (150, 100),
        (150, 0),
        (400, 0),
        (400, 100),
        (550, 100),
        (550, 0),
        (800, 0),
        (800, 100),
        (950, 100),
        (950, 0),
        (2800, 0),
    ],
    motion: Motion::Together,
    words: ("microphone, loudspeaker or a line is in trouble (the log says what)", "**three** flashes, then dark"),
};
const SPENT: Pattern = Pattern {
    colour: VIOLET,
    curve: &[
        (0, 100),
        (150, 100),
        (150, 0),
        (400, 0),
        (400, 100),
        (550, 100),
        (550, 0),
        (800, 0),
        (800, 100),
        (950, 100),
        (950, 0),
        (1200, 0),
        (1200, 100),
        (1350, 100),
        (1350, 0),
        (3600, 0),
    ],
    motion: Motion::Together,
    words: ("today's limit is used up", "**four** flashes, then dark"),
};

impl Pattern {
    /// Length of a cycle; 0 where it is steady.
    pub fn cycle_ms(&self) -> u32 {
        self.curve.last().map_or(0, |(at, _)| *at)
    }

    /// Brightness so long after the look began, as the eye takes it, percent.
    pub fn level(&self, since: Duration) -> u8 {
        let at = self.place(since);
        let passed = self.curve.partition_point(|(time, _)| *time <= at);
        let Some((began, from)) = passed.checked_sub(1).and_then(|index| self.curve.get(index)) else { return 0 };
        let Some((ends, to)) = self.curve.get(passed) else { return *from };
        let (done, whole) = (i64::from(at - began), i64::from(ends - began));
        (i64::from(*from) + (i64::from(*to) - i64::from(*from)) * done / whole.max(1)) as u8
    }

    /// How long what is shown so long after the look began may stand, with so many lamps; none where it always may. On the
    /// way from one level to another that is a [`FRAME`].
    pub fn next_change(&self, since: Duration, lamps: usize) -> Option<Duration> {
        if self.cycle_ms() == 0 {
            return None;
        }
        if self.motion == Motion::Chase && lamps > 1 {
            return Some(FRAME);
        }
        let at = self.place(since);
        let (passed, ahead) = self.curve.split_at(self.curve.partition_point(|(time, _)| *time <= at));
        match (passed.last(), ahead.first()) {
            // To the point and not before it: what has passed of this ms does not count.
            (Some((_, from)), Some((ends, to))) if from == to => Some(Duration::from_millis(u64::from(ends - at))),
            _ => Some(FRAME),
        }
    }

    /// What lamp number `index` (from 0) of `lamps` shows.
    pub fn glow(&self, since: Duration, index: usize, lamps: usize) -> Glow {
        let later_ms = match self.motion {
            Motion::Together => 0,
            // The first lamp keeps the time of the table.
            Motion::Chase => u64::from(self.cycle_ms()) * (lamps - index.min(lamps)) as u64 / lamps.max(1) as u64,
        };
        Glow { percent: self.level(since + Duration::from_millis(later_ms)), colour: self.colour }
    }

    /// The place in the cycle, ms.
    fn place(&self, since: Duration) -> u32 {
        match self.cycle_ms() {
            0 => 0,
            cycle => (since.as_millis() % u128::from(cycle)) as u32,
        }
    }
}

#[cfg(test)]
mod tests;
