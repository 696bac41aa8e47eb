//! The ledger: what was handed to the device and how much of it was heard.
//!
//! All that is rendered, sound and silence, lies on one line of frames. The device plays along it; its delay
//! says how far it has come. Sound is written down as spans, the end of a turn as a mark; what the device has
//! passed is heard.

use std::collections::VecDeque;

use crate::units::{Epoch, Hertz};

/// Entries at most. Neighbouring spans of a turn are one entry, so a ring holds two or three.
const ENTRIES_MAX: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    /// Sound of `epoch` lies on the line from `from` up to `to`.
    Sound { epoch: Epoch, from: u64, to: u64 },
    /// `epoch` ends at `at`.
    End { epoch: Epoch, at: u64 },
}

impl Entry {
    fn epoch(&self) -> Epoch {
        match self {
            Entry::Sound { epoch, .. } | Entry::End { epoch, .. } => *epoch,
        }
    }
}

/// Who heard what. Positions are frames at the current rate since the ledger was made.
#[derive(Debug)]
pub struct Ledger {
    entries: VecDeque<Entry>,
    /// The end of the line: where the next frame is rendered.
    rendered: u64,
    rate: Hertz,
    /// The turn that was heard last, and how much of it.
    epoch: Epoch,
    heard_frames: u64,
    /// What was heard of it at another rate, microseconds.
    heard_before_us: u64,
}

impl Ledger {
    /// An empty ledger at `rate`.
    pub fn new(rate: Hertz) -> Ledger {
        Ledger {
            entries: VecDeque::with_capacity(ENTRIES_MAX),
            rendered: 0,
            rate,
            epoch: Epoch(0),
            heard_frames: 0,
            heard_before_us: 0,
        }
    }

    /// Counts at another rate from now on; nothing may be unheard.
    pub fn set_rate(&mut self, rate: Hertz) {
        self.heard_before_us = self.heard_us();
        self.heard_frames = 0;
        self.rate = rate;
    }

    /// Writes down that the next `frames` are sound of `epoch`.
    pub fn sound(&mut self, epoch: Epoch, frames: usize) {
        let (from, to) = (self.rendered, self.rendered + frames as u64);
        self.rendered = to;
        if let Some(Entry::Sound { epoch: last, to: end, .. }) = self.entries.back_mut()
            && (*last, *end) == (epoch, from)
        {
            *end = to;
            return;
        }
        self.push(Entry::Sound { epoch, from, to });
    }

    /// Writes down that the next `frames` are silence.
    pub fn silence(&mut self, frames: usize) {
        self.rendered += frames as u64;
    }

    /// Writes down that `epoch` ends here.
    pub fn end(&mut self, epoch: Epoch) {
        self.push(Entry::End { epoch, at: self.rendered });
    }

    fn push(&mut self, entry: Entry) {
        if self.entries.len() == ENTRIES_MAX {
            self.entries.pop_front(); // sixty turns within one ring: none of them was longer than a click
        }
        self.entries.push_back(entry);
    }

    /// The end of the line, in frames: where the next frame is rendered.
    pub fn rendered(&self) -> u64 {
        self.rendered
    }

    /// Where the device is on the line when `unheard_frames` of what was rendered are still to come.
    pub fn here(&self, unheard_frames: u64) -> u64 {
        self.rendered.saturating_sub(unheard_frames)
    }

    /// Moves to where the device is: `unheard_frames` of what was rendered are still to come. Calls `ended`
    /// with every turn that was heard to its end, and its milliseconds.
    pub fn advance(&mut self, unheard_frames: u64, mut ended: impl FnMut(Epoch, u64)) {
        let here = self.here(unheard_frames);
        while let Some(entry) = self.entries.front_mut() {
            match entry {
                Entry::Sound { epoch, from, to } => {
                    if here <= *from {
                        return; // a device that says it went back is not believed
                    }
                    let (epoch, reached, whole) = (*epoch, here.min(*to), here >= *to);
                    let frames = reached - *from;
                    *from = reached;
                    self.turn_to(epoch);
                    self.heard_frames += frames;
                    if !whole {
                        return;
                    }
                }
                Entry::End { epoch, at } => {
                    if here < *at {
                        return;
                    }
                    let epoch = *epoch;
                    self.turn_to(epoch);
                    ended(epoch, self.heard_us() / 1000);
                }
            }
            self.entries.pop_front();
        }
    }

    /// Strikes out what the device lost: all but the last `unheard_frames`, which are still to come.
    pub fn skip_to(&mut self, unheard_frames: u64) {
        let here = self.here(unheard_frames);
        self.entries.retain_mut(|entry| match entry {
            Entry::Sound { from, to, .. } => {
                *from = here.max(*from);
                *from < *to
            }
            Entry::End { .. } => true,
        });
    }

    fn turn_to(&mut self, epoch: Epoch) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.heard_frames = 0;
            self.heard_before_us = 0;
        }
    }

    fn heard_us(&self) -> u64 {
        self.heard_before_us + self.heard_frames * 1_000_000 / u64::from(self.rate.0)
    }

    /// Milliseconds of `epoch` that were heard; 0 for one that was not heard or is long over.
    pub fn heard_ms(&self, epoch: Epoch) -> u64 {
        if epoch == self.epoch { self.heard_us() / 1000 } else { 0 }
    }

    /// The turn that was heard last.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Whether sound, or the end of a turn, was rendered and not yet heard.
    pub fn has_unheard(&self) -> bool {
        !self.entries.is_empty()
    }

    /// Whether ends of turns are all that is unheard.
    pub fn has_only_ends(&self) -> bool {
        self.entries.iter().all(|entry| matches!(entry, Entry::End { .. }))
    }

    /// Whether unheard sound of a turn after `epoch` is all there is.
    pub fn is_only_after(&self, epoch: Epoch) -> bool {
        self.has_unheard() && self.entries.iter().all(|entry| entry.epoch() > epoch)
    }

    /// Whether anything of a turn before `epoch` is unheard.
    pub fn has_before(&self, epoch: Epoch) -> bool {
        self.entries.iter().any(|entry| entry.epoch() < epoch)
    }

    /// Whether anything of `epoch` or a turn before it is unheard.
    pub fn has_through(&self, epoch: Epoch) -> bool {
        self.entries.iter().any(|entry| entry.epoch() <= epoch)
    }

    /// Strikes out what is unheard of `epoch` and before: it will not be heard.
    pub fn discard_through(&mut self, epoch: Epoch) {
        self.entries.retain(|entry| entry.epoch() > epoch);
    }

    /// Strikes out all unheard sound: the device lost it. Ends stay and come when the device stands here.
    pub fn discard_sound(&mut self) {
        self.entries.retain(|entry| matches!(entry, Entry::End { .. }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> Ledger {
        Ledger::new(Hertz(24_000))
    }

    fn advance(ledger: &mut Ledger, unheard: u64) -> Vec<(Epoch, u64)> {
        let mut ended = Vec::new();
        ledger.advance(unheard, |epoch, ms| ended.push((epoch, ms)));
        ended
    }

    #[test]
    fn heard_is_rendered_less_the_devices_delay_without_the_silence() {
        let mut ledger = ledger();
        ledger.sound(Epoch(1), 2400);
        ledger.silence(1200);
        ledger.sound(Epoch(1), 2400);
        for (unheard, heard_ms) in [(6000, 0), (5999, 0), (4800, 50), (3600, 100), (2400, 100), (1200, 150), (0, 200)] {
            advance(&mut ledger, unheard);
            assert_eq!(ledger.heard_ms(Epoch(1)), heard_ms, "{unheard} frames unheard");
        }
    }

    #[test]
    fn a_turn_has_ended_when_its_end_was_passed_and_the_next_counts_from_nothing() {
        let mut ledger = ledger();
        ledger.sound(Epoch(1), 240);
        ledger.end(Epoch(1));
        ledger.sound(Epoch(2), 240);
        ledger.end(Epoch(2));
        assert_eq!(advance(&mut ledger, 241), []);
        assert_eq!(advance(&mut ledger, 240), [(Epoch(1), 10)]);
        assert_eq!(advance(&mut ledger, 120), []);
        assert_eq!(ledger.heard_ms(Epoch(2)), 5);
        assert_eq!(advance(&mut ledger, 0), [(Epoch(2), 10)]);
        assert!(!ledger.has_unheard());
    }

    #[test]
    fn a_delay_that_jitters_never_takes_back_what_was_heard() {
        let mut ledger = ledger();
        ledger.sound(Epoch(1), 2400);
        advance(&mut ledger, 1200);
        advance(&mut ledger, 1900);
        assert_eq!(ledger.heard_ms(Epoch(1)), 50);
        advance(&mut ledger, 0);
        assert_eq!(ledger.heard_ms(Epoch(1)), 100);
    }

    #[test]
    fn what_the_device_lost_was_not_heard_but_the_turn_still_ends() {
        let mut ledger = ledger();
        ledger.sound(Epoch(1), 2400);
        ledger.end(Epoch(1));
        advance(&mut ledger, 1200);
        ledger.discard_sound();
        assert_eq!(advance(&mut ledger, 0), [(Epoch(1), 50)]);
    }

    #[test]
    fn what_a_device_lost_in_its_sleep_was_not_heard_and_what_is_still_to_come_is() {
        let mut ledger = ledger();
        ledger.sound(Epoch(1), 2400);
        ledger.end(Epoch(1));
        advance(&mut ledger, 1200);
        ledger.skip_to(240);
        assert_eq!(advance(&mut ledger, 240), []);
        assert_eq!(advance(&mut ledger, 0), [(Epoch(1), 60)]);
        ledger.sound(Epoch(2), 2400);
        ledger.end(Epoch(2));
        ledger.skip_to(0);
        assert_eq!(advance(&mut ledger, 0), [(Epoch(2), 0)], "all of it was lost");
    }

    #[test]
    fn a_turn_that_changes_its_rate_is_counted_in_milliseconds() {
        let mut ledger = ledger();
        ledger.sound(Epoch(1), 2400);
        advance(&mut ledger, 0);
        ledger.set_rate(Hertz(48_000));
        ledger.sound(Epoch(1), 2400);
        advance(&mut ledger, 0);
        assert_eq!(ledger.heard_ms(Epoch(1)), 150);
    }
}
