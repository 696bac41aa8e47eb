//! What the loudspeaker is doing with the model's turns, and how much of them was really heard.

use std::time::Duration;

use crate::audio::Chunk;
use crate::flow::SPEAKER_QUEUE_MS;
use crate::units::{Epoch, Frames};

/// The newest turn that was handed to the speaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing to hear.
    Silent,
    /// Sound was handed over.
    Playing {
        /// The turn.
        epoch: Epoch,
        /// Whether its end was handed over too.
        is_ended: bool,
    },
}

/// The machine.
#[derive(Debug)]
pub struct Playback {
    state: State,
    /// The newest turn that any sound came of; the two figures are its own.
    newest: Option<Epoch>,
    received_us: u64,
    heard_ms: u64,
    is_refused: bool,
}

impl Default for Playback {
    fn default() -> Playback {
        Playback { state: State::Silent, newest: None, received_us: 0, heard_ms: 0, is_refused: false }
    }
}

/// What to do with a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Hand it to the speaker.
    Play,
    /// The queue's limit is reached with it: end the turn here and say so.
    Overflow,
    /// The turn was ended by an overflow before: drop it.
    Drop,
}

impl Playback {
    /// Where it is.
    pub fn state(&self) -> State {
        self.state
    }

    /// Milliseconds of `epoch` that arrived; none where no sound of it did, or a newer turn's has since.
    pub fn received_ms(&self, epoch: Epoch) -> Option<u64> {
        (self.newest == Some(epoch)).then_some(self.received_us / 1000)
    }

    /// A chunk of `epoch` arrived.
    pub fn offer(&mut self, epoch: Epoch, chunk: &Chunk) -> Offer {
        if self.newest != Some(epoch) {
            *self = Playback { newest: Some(epoch), ..Playback::default() };
        }
        if self.is_refused {
            return Offer::Drop;
        }
        let length = Frames(chunk.frames.len() as u64).duration(chunk.rate);
        let queued = Duration::from_micros(self.received_us).saturating_sub(Duration::from_millis(self.heard_ms));
        if queued + length > Duration::from_millis(SPEAKER_QUEUE_MS) {
            self.is_refused = true;
            return Offer::Overflow;
        }
        self.received_us += length.as_micros() as u64;
        self.state = State::Playing { epoch, is_ended: false };
        Offer::Play
    }

    /// No more sound comes for `epoch`. Answers whether the speaker must be told.
    pub fn end(&mut self, epoch: Epoch) -> bool {
        if self.state != (State::Playing { epoch, is_ended: false }) {
            return false;
        }
        self.state = State::Playing { epoch, is_ended: true };
        true
    }

    /// Milliseconds that the loudspeaker has still to say, once it was given everything; none before and after.
    pub fn left_ms(&self) -> Option<u64> {
        let is_ended = matches!(self.state, State::Playing { is_ended: true, .. });
        is_ended.then(|| (self.received_us / 1000).saturating_sub(self.heard_ms))
    }

    /// Everything is to be silent now. Answers the turn to flush.
    pub fn flush(&mut self) -> Option<Epoch> {
        let epoch = self.epoch()?;
        self.state = State::Silent;
        Some(epoch)
    }

    /// The speaker says how much of `epoch` was heard.
    pub fn heard(&mut self, epoch: Epoch, heard_ms: u64) {
        if self.epoch() == Some(epoch) {
            self.heard_ms = heard_ms;
        }
    }

    /// The speaker has played all of `epoch`. Answers whether nothing else is to be heard now.
    pub fn drained(&mut self, epoch: Epoch) -> bool {
        let is_newest = self.epoch() == Some(epoch);
        if is_newest {
            self.state = State::Silent;
        }
        is_newest
    }

    fn epoch(&self) -> Option<Epoch> {
        match self.state {
            State::Silent => None,
            State::Playing { epoch, .. } => Some(epoch),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::DOWNLINK_RATE;

    #[test]
    fn a_minute_ahead_of_the_ear_is_the_limit() {
        let mut playback = Playback::default();
        let second = Chunk { rate: DOWNLINK_RATE, frames: vec![1; 24_000] };
        for _ in 0..60 {
            assert_eq!(playback.offer(Epoch(1), &second), Offer::Play);
        }
        assert_eq!(playback.offer(Epoch(1), &second), Offer::Overflow);
        assert_eq!(playback.offer(Epoch(1), &second), Offer::Drop);
        assert_eq!(playback.offer(Epoch(2), &second), Offer::Play, "the next turn is not to blame");
    }

    #[test]
    fn what_was_heard_makes_room() {
        let mut playback = Playback::default();
        let second = Chunk { rate: DOWNLINK_RATE, frames: vec![1; 24_000] };
        for heard_s in 0..200 {
            assert_eq!(playback.offer(Epoch(1), &second), Offer::Play);
            playback.heard(Epoch(1), heard_s * 1000);
        }
        assert_eq!(playback.received_ms(Epoch(1)), Some(200_000));
        assert_eq!(playback.received_ms(Epoch(2)), None);
    }

    #[test]
    fn an_end_is_told_once_and_a_flushed_turn_has_none() {
        let mut playback = Playback::default();
        let chunk = Chunk { rate: DOWNLINK_RATE, frames: vec![1; 240] };
        assert!(!playback.end(Epoch(1)));
        playback.offer(Epoch(1), &chunk);
        assert!(playback.end(Epoch(1)));
        assert!(!playback.end(Epoch(1)));
        assert_eq!(playback.flush(), Some(Epoch(1)));
        assert_eq!(playback.flush(), None);
    }
}
