//! The pre-roll: a ring of the last hops with what was found in them, made once and never grown.

use crate::audio::{HOP_FRAMES, Hop};
use crate::units::Time;

/// Number of a hop since the gate was made; the first is 0.
pub type HopNumber = u64;

/// A hop in the ring, with what the detectors said of it.
#[derive(Clone, Copy)]
pub struct Kept {
    /// The sound.
    pub hop: Hop,
    /// The voice detector's word.
    pub voiced: bool,
    /// At least as loud as `silence_db`.
    pub loud: bool,
    /// What else is known of a hop in which the loudspeaker can be heard.
    pub over: Option<Over>,
}

/// A hop in which the loudspeaker can be heard, before the suppressor.
#[derive(Clone, Copy)]
pub struct Over {
    /// The sound: `[160 frames, 1 channel] S16 @ 16 kHz`.
    pub frames: [i16; HOP_FRAMES],
    /// Whether there may be more in it than the loudspeaker accounts for.
    pub is_near: bool,
}

impl Kept {
    /// A hop in which no loudspeaker can be heard.
    pub fn new(hop: Hop, voiced: bool, loud: bool) -> Kept {
        Kept { hop, voiced, loud, over: None }
    }
}

/// Hops around evidence in which the sound before the suppressor is sent: the suppressor takes 50 ms to let a
/// voice through, and hides the rest of a syllable that another one covers.
const AROUND: u64 = 15;

/// Voice needed to call it evidence of speech: hops among those looked at.
pub const VOICED_HOPS: usize = 2; // one alone is often a click; two are 20 ms
/// Loud hops needed among the last [`LOUD_AMONG`].
pub const LOUD_HOPS: usize = 3;
/// Where loud hops are looked for: 100 ms, so that a knock in the past does not count for ever.
pub const LOUD_AMONG: u64 = 10;

/// The last hops.
pub struct Preroll {
    kept: Vec<Kept>,
    next: HopNumber,
    /// Hops before this one are not to be used any more (sent, or of another time).
    floor: HopNumber,
}

impl Preroll {
    /// A ring of `hops` hops.
    pub fn new(hops: usize) -> Preroll {
        let silence = Hop { at: Time::ZERO, frames: [0; HOP_FRAMES] };
        Preroll { kept: vec![Kept::new(silence, false, false); hops.max(1)], next: 0, floor: 0 }
    }

    /// Keeps a hop in place of the oldest; answers its number.
    pub fn push(&mut self, kept: Kept) -> HopNumber {
        let slot = self.slot(self.next);
        self.kept[slot] = kept;
        self.next += 1;
        self.next - 1
    }

    /// The number the next hop will have.
    pub fn next(&self) -> HopNumber {
        self.next
    }

    /// The oldest hop that may still be used.
    pub fn oldest(&self) -> HopNumber {
        self.floor.max(self.oldest_kept())
    }

    /// The oldest hop in the ring, forgotten or not.
    fn oldest_kept(&self) -> HopNumber {
        self.next.saturating_sub(self.kept.len() as u64)
    }

    /// Makes everything kept so far unusable: it was sent, or belongs to another time.
    pub fn forget(&mut self) {
        self.floor = self.next;
    }

    /// The hops from `from` on, oldest first; from the oldest usable one where `from` is older.
    pub fn since(&self, from: HopNumber) -> impl Iterator<Item = (HopNumber, &Kept)> {
        (from.max(self.oldest())..self.next).map(|number| (number, &self.kept[self.slot(number)]))
    }

    /// What to send of hop `number`: the cleaned sound, but of somebody who speaks over the loudspeaker the sound before
    /// the suppressor. The hop must be in the ring, forgotten or not.
    pub fn sound(&self, number: HopNumber) -> Hop {
        let mut around = number.saturating_sub(AROUND).max(self.oldest_kept())..(number + AROUND + 1).min(self.next);
        let is_near = |number| self.kept[self.slot(number)].over.is_some_and(|over| over.is_near);
        let kept = &self.kept[self.slot(number)];
        match kept.over {
            Some(over) if around.any(is_near) => Hop { at: kept.hop.at, frames: over.frames },
            _ => kept.hop,
        }
    }

    /// The first hop of evidence that somebody speaks, if there is enough of it: voice in
    /// [`VOICED_HOPS`] of the last `among` hops, or [`LOUD_HOPS`] loud ones among the last [`LOUD_AMONG`].
    /// Hops before `from` do not count.
    pub fn evidence(&self, among: u64, from: HopNumber) -> Option<HopNumber> {
        let voiced = self.first_of(VOICED_HOPS, from.max(self.next.saturating_sub(among)), |kept| kept.voiced);
        let loud = self.first_of(LOUD_HOPS, from.max(self.next.saturating_sub(LOUD_AMONG)), |kept| kept.loud);
        match (voiced, loud) {
            (Some(voiced), Some(loud)) => Some(voiced.min(loud)),
            (one, other) => one.or(other),
        }
    }

    fn first_of(&self, wanted: usize, from: HopNumber, is_one: impl Fn(&Kept) -> bool) -> Option<HopNumber> {
        let mut found = self.since(from).filter(|(_, kept)| is_one(kept)).map(|(number, _)| number);
        let first = found.next()?;
        found.nth(wanted.checked_sub(2)?).map(|_| first)
    }

    fn slot(&self, number: HopNumber) -> usize {
        (number % self.kept.len() as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `v` voiced, `l` loud, `b` both, anything else neither.
    fn ring(hops: usize, marks: &str) -> Preroll {
        let mut ring = Preroll::new(hops);
        for (i, mark) in marks.chars().enumerate() {
            let hop = Hop { at: Time::from_ms(10 * i as u64), frames: [i as i16; HOP_FRAMES] };
            ring.push(Kept::new(hop, "vb".contains(mark), "lb".contains(mark)));
        }
        ring
    }

    fn numbers(ring: &Preroll, from: HopNumber) -> Vec<i16> {
        ring.since(from).map(|(_, kept)| kept.hop.frames[0]).collect()
    }

    #[test]
    fn the_ring_keeps_the_newest_in_order() {
        let ring = ring(4, "......");
        assert_eq!(numbers(&ring, 0), [2, 3, 4, 5]);
        assert_eq!(numbers(&ring, 4), [4, 5]);
        assert!(numbers(&ring, 6).is_empty());
        assert_eq!(ring.oldest(), 2);
    }

    #[test]
    fn what_is_forgotten_does_not_come_back() {
        let mut ring = ring(4, "vvv");
        ring.forget();
        assert!(numbers(&ring, 0).is_empty());
        assert_eq!(ring.evidence(10, 0), None);
    }

    #[test]
    fn evidence_is_enough_voice_or_enough_loudness() {
        for (marks, among, from, first) in [
            ("..........", 10, 0, None),
            (".v........", 10, 0, None),
            (".v.....v..", 10, 0, Some(1)),
            (".v.....v..", 5, 0, None),
            (".v.....v..", 10, 2, None),
            (".l.l......", 10, 0, None),
            (".l.l.l....", 10, 0, Some(1)),
            ("l.l.l..........", 20, 0, None),
            ("..v.l.l.lv", 10, 0, Some(2)),
            ("..l.v.v.bb", 10, 0, Some(2)),
        ] {
            assert_eq!(ring(32, marks).evidence(among, from), first, "{marks} among {among} from {from}");
        }
    }
}
