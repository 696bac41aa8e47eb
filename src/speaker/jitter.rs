//! The jitter buffer: model audio in order, bounded, dropped by epoch.

use std::collections::VecDeque;

use crate::audio::Chunk;
use crate::flow::{SPEAKER_ORDERS_MAX, SPEAKER_QUEUE_MS};
use crate::units::{Epoch, Hertz};

/// Places kept free of sound so that the end of a turn always finds one.
const PLACES_FOR_ENDS: usize = 64;

/// What waits, in the order in which it came.
#[derive(Debug)]
enum Item {
    Sound { epoch: Epoch, chunk: Chunk },
    End { epoch: Epoch },
}

/// What is at the front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front {
    /// Sound of this turn at this rate.
    Sound(Epoch, Hertz),
    /// The end of this turn.
    End(Epoch),
    /// Nothing.
    Nothing,
}

/// Sound between arrival and the device. Allocates only when made; spent buffers are handed back, never freed.
#[derive(Debug)]
pub struct Jitter {
    items: VecDeque<Item>,
    /// Frames of the front chunk that were taken.
    taken: usize,
    /// Sound that waits, in microseconds.
    queued_us: u64,
    spent: VecDeque<Vec<i16>>,
}

impl Default for Jitter {
    fn default() -> Jitter {
        Jitter::new()
    }
}

impl Jitter {
    /// An empty buffer with room for the largest number of orders.
    pub fn new() -> Jitter {
        Jitter {
            items: VecDeque::with_capacity(SPEAKER_ORDERS_MAX),
            taken: 0,
            queued_us: 0,
            spent: VecDeque::with_capacity(SPEAKER_ORDERS_MAX),
        }
    }

    /// Appends sound; answers false, keeping nothing, where it would be more than the bound.
    pub fn push_sound(&mut self, epoch: Epoch, chunk: Chunk) -> bool {
        let us = duration_us(chunk.frames.len(), chunk.rate);
        let fits = self.queued_us + us <= SPEAKER_QUEUE_MS * 1000;
        if !fits || self.items.len() >= SPEAKER_ORDERS_MAX - PLACES_FOR_ENDS {
            self.put_aside(chunk.frames);
            return false;
        }
        self.queued_us += us;
        self.items.push_back(Item::Sound { epoch, chunk });
        true
    }

    /// Appends the end of a turn.
    pub fn push_end(&mut self, epoch: Epoch) {
        if self.items.len() < SPEAKER_ORDERS_MAX {
            self.items.push_back(Item::End { epoch });
        }
    }

    /// What is next.
    pub fn front(&self) -> Front {
        match self.items.front() {
            None => Front::Nothing,
            Some(Item::Sound { epoch, chunk }) => Front::Sound(*epoch, chunk.rate),
            Some(Item::End { epoch }) => Front::End(*epoch),
        }
    }

    /// Removes the end that is at the front.
    pub fn pop_end(&mut self) {
        if matches!(self.items.front(), Some(Item::End { .. })) {
            self.items.pop_front();
        }
    }

    /// Whether the sound at the front, of one turn and one rate, reaches `us` microseconds or is complete.
    pub fn has(&self, us: u64) -> bool {
        let (mut found, mut skip, mut first) = (0, self.taken, None);
        for item in &self.items {
            let Item::Sound { epoch, chunk } = item else { return true };
            if *first.get_or_insert((*epoch, chunk.rate)) != (*epoch, chunk.rate) {
                return true;
            }
            found += duration_us(chunk.frames.len() - skip, chunk.rate);
            skip = 0;
            if found >= us {
                return true;
            }
        }
        false
    }

    /// Copies frames of the chunk at the front to the beginning of `out` (`[frames, 1 channel] S16`); answers how many.
    pub fn take(&mut self, out: &mut [i16]) -> usize {
        let Some(Item::Sound { chunk, .. }) = self.items.front() else { return 0 };
        let rest = &chunk.frames[self.taken..];
        let frames = rest.len().min(out.len());
        out[..frames].copy_from_slice(&rest[..frames]);
        let before = duration_us(rest.len(), chunk.rate);
        let after = duration_us(rest.len() - frames, chunk.rate);
        self.queued_us = self.queued_us.saturating_sub(before - after);
        self.taken += frames;
        if self.taken == chunk.frames.len() {
            self.taken = 0;
            if let Some(Item::Sound { chunk, .. }) = self.items.pop_front() {
                self.put_aside(chunk.frames);
            }
        }
        frames
    }

    /// Drops sound and ends of `epoch` and before.
    pub fn discard_through(&mut self, epoch: Epoch) {
        self.discard(|item| match item {
            Item::Sound { epoch: of, .. } | Item::End { epoch: of } => *of <= epoch,
        });
    }

    /// Drops all sound; the ends stay, so that every turn still closes.
    pub fn discard_sound(&mut self) {
        self.discard(|item| matches!(item, Item::Sound { .. }));
    }

    fn discard(&mut self, is_dead: impl Fn(&Item) -> bool) {
        if self.items.front().is_some_and(&is_dead) {
            self.taken = 0;
        }
        // One turn of the ring, in place: keeps the order and allocates nothing.
        for _ in 0..self.items.len() {
            let Some(item) = self.items.pop_front() else { break };
            match item {
                item if !is_dead(&item) => self.items.push_back(item),
                Item::Sound { chunk, .. } => self.put_aside(chunk.frames),
                Item::End { .. } => {}
            }
        }
        let (mut us, mut skip) = (0, self.taken);
        for item in &self.items {
            if let Item::Sound { chunk, .. } = item {
                us += duration_us(chunk.frames.len() - skip, chunk.rate);
                skip = 0;
            }
        }
        self.queued_us = us;
    }

    /// Sound that waits, in milliseconds.
    pub fn queued_ms(&self) -> u64 {
        self.queued_us / 1000
    }

    /// Keeps a buffer for its way back to where it was made. Past the limit it is freed here: better a late
    /// period than unbounded memory.
    pub fn put_aside(&mut self, frames: Vec<i16>) {
        if self.spent.len() < SPEAKER_ORDERS_MAX {
            self.spent.push_back(frames);
        }
    }

    /// A buffer that was played or dropped, for whoever may free it.
    pub fn take_spent(&mut self) -> Option<Vec<i16>> {
        self.spent.pop_front()
    }
}

fn duration_us(frames: usize, rate: Hertz) -> u64 {
    frames as u64 * 1_000_000 / u64::from(rate.0.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Hertz = Hertz(24_000);

    fn chunk(ms: u32, value: i16) -> Chunk {
        Chunk { rate: RATE, frames: vec![value; RATE.frames_in_ms(ms)] }
    }

    #[test]
    fn frames_come_out_in_order_whatever_the_sizes() {
        let mut jitter = Jitter::new();
        let all: Vec<i16> = (0..1000).collect();
        for part in all.chunks(37) {
            assert!(jitter.push_sound(Epoch(1), Chunk { rate: RATE, frames: part.to_vec() }));
        }
        let (mut out, mut piece) = (Vec::new(), [0; 11]);
        loop {
            let n = jitter.take(&mut piece);
            out.extend_from_slice(&piece[..n]);
            if n == 0 {
                break;
            }
        }
        assert_eq!(out, all);
        assert_eq!(jitter.queued_ms(), 0);
        assert_eq!(std::iter::from_fn(|| jitter.take_spent()).count(), 28, "every buffer comes back");
    }

    #[test]
    fn it_holds_a_minute_and_not_more() {
        let mut jitter = Jitter::new();
        assert!((0..600).all(|_| jitter.push_sound(Epoch(1), chunk(100, 1))));
        assert!(!jitter.push_sound(Epoch(1), chunk(1, 1)));
        assert_eq!(jitter.queued_ms(), 60_000);
        jitter.take(&mut [0; 2400]);
        assert!(jitter.push_sound(Epoch(1), chunk(100, 1)));
    }

    #[test]
    fn many_tiny_orders_are_bounded_too() {
        let mut jitter = Jitter::new();
        let accepted = (0..2 * SPEAKER_ORDERS_MAX).filter(|_| jitter.push_sound(Epoch(1), chunk(1, 1))).count();
        assert_eq!(accepted, SPEAKER_ORDERS_MAX - PLACES_FOR_ENDS);
        jitter.push_end(Epoch(1));
        assert!(jitter.items.len() <= SPEAKER_ORDERS_MAX);
    }

    #[test]
    fn a_flush_takes_its_epoch_and_older_ones_only() {
        let mut jitter = Jitter::new();
        jitter.push_sound(Epoch(1), chunk(20, 1));
        jitter.push_end(Epoch(1));
        jitter.push_sound(Epoch(2), chunk(20, 2));
        jitter.push_sound(Epoch(3), chunk(30, 3));
        jitter.take(&mut [0; 100]);
        jitter.discard_through(Epoch(2));
        assert_eq!(jitter.front(), Front::Sound(Epoch(3), RATE));
        assert_eq!(jitter.queued_ms(), 30);
        let mut out = [0; 4];
        jitter.take(&mut out);
        assert_eq!(out, [3; 4], "from its first frame, although the dead one was half taken");
    }

    #[test]
    fn enough_means_of_one_turn_and_one_rate_or_complete() {
        let mut jitter = Jitter::new();
        assert!(!jitter.has(1));
        jitter.push_sound(Epoch(1), chunk(20, 1));
        assert!(jitter.has(20_000));
        assert!(!jitter.has(20_001));
        jitter.push_end(Epoch(1));
        assert!(jitter.has(1_000_000), "nothing more will come");
    }
}
