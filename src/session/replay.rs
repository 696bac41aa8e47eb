//! The last reply, kept so that it can be said once more.

use super::Session;
use crate::audio::Chunk;
use crate::flow::{Cue, SPEAKER_QUEUE_MS, SpeakerOrder, What};
use crate::units::Frames;

/// Pieces are put together up to this length, so that a whole reply is few orders.
const PIECE_MS: u64 = 1000;

/// The machine. Holds [`SPEAKER_QUEUE_MS`] of sound at most (2.9 MB at 24 kHz): the beginning of a longer reply.
#[derive(Debug, Default)]
pub struct Replay {
    chunks: Vec<Chunk>,
    kept_us: u64,
    /// The reply is over: what comes next is another.
    is_over: bool,
}

impl Replay {
    /// Sound of a reply goes to the loudspeaker.
    pub fn played(&mut self, chunk: &Chunk) {
        if std::mem::take(&mut self.is_over) {
            self.forget();
        }
        let length_us = Frames(chunk.frames.len() as u64).duration(chunk.rate).as_micros() as u64;
        if self.kept_us + length_us > SPEAKER_QUEUE_MS * 1000 {
            return;
        }
        self.kept_us += length_us;
        let room = PIECE_MS * u64::from(chunk.rate.0) / 1000;
        match self.chunks.last_mut().filter(|last| last.rate == chunk.rate && (last.frames.len() as u64) < room) {
            Some(last) => last.frames.extend_from_slice(&chunk.frames),
            None => self.chunks.push(chunk.clone()),
        }
    }

    /// The turn is over, or another begins: the next sound is of another reply. Until it comes this one is the last.
    pub fn over(&mut self) {
        self.is_over = true;
    }

    /// There is nothing to be said once more.
    pub fn forget(&mut self) {
        *self = Replay::default();
    }
}

impl Session {
    /// Says the last reply once more, as a turn of its own; whatever plays is over. The service is not told.
    pub(super) fn repeat(&mut self) {
        self.cut();
        if self.replay.chunks.is_empty() || self.uplink.is_window_open() || self.hold.is_on() {
            return self.cue(Cue::Error);
        }
        let epoch = self.turn.new_epoch();
        self.event(What::ReplyRepeated { epoch });
        self.follow_up_ends();
        for chunk in self.replay.chunks.clone() {
            self.playback.offer(epoch, &chunk);
            self.speak(SpeakerOrder::Play { epoch, chunk });
        }
        self.end_of_sound(epoch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::DOWNLINK_RATE;

    fn chunk(frames: usize, sample: i16) -> Chunk {
        Chunk { rate: DOWNLINK_RATE, frames: vec![sample; frames] }
    }

    #[test]
    fn pieces_are_put_together_and_another_reply_takes_their_place() {
        let mut replay = Replay::default();
        for _ in 0..30 {
            replay.played(&chunk(2400, 1)); // 100 ms
        }
        assert_eq!(replay.chunks.iter().map(|c| c.frames.len()).collect::<Vec<_>>(), [24_000; 3]);
        replay.over();
        assert_eq!(replay.chunks.len(), 3, "it is the last reply until there is another");
        replay.played(&chunk(10, 2));
        assert_eq!(replay.chunks, [chunk(10, 2)]);
    }

    #[test]
    fn of_a_long_reply_the_first_minute_is_kept() {
        let mut replay = Replay::default();
        for second in 0..100 {
            replay.played(&chunk(24_000, second));
        }
        assert_eq!((replay.chunks.len(), replay.chunks[59].frames[0]), (60, 59));
    }
}
