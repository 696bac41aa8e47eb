//! The far-end copy: what the loudspeaker really gave, as hops for the echo canceller.
//!
//! Pure. What is written to the device is held here until the device's delay says that it was heard: what a drop throws
//! away is in no hop, and each hop's `at` is when its newest frame left the converter, as exactly as the driver knows. The
//! stamps are what aligns the two ends; nothing is smoothed here. While the loudspeaker stands there is no copy, save for
//! the little silence with which the last hop of a sound is filled up.

use std::collections::VecDeque;
use std::time::Duration;

use crate::audio::resample::{ResampleTrouble, Resampler};
use crate::audio::{HOP_FRAMES, Hop, UPLINK_RATE};
use crate::flow::FAR_RING_HOPS;
use crate::units::{Frames, Hertz, Time};

/// What may be on its way to the ear beyond the device's ring, ms: a sound server, a Bluetooth or HDMI device. What is
/// still longer on its way leaves no copy.
const BEYOND_RING_MS: u32 = 1000;
/// How much of a sound must have been heard until it is known when it began, ms: a sound server that was just started says
/// that what waits in it is heard up to 4 ms earlier than it is, for 3 ms.
const BEGUN_MS: u32 = 5;
/// A pause of less than this is filled with silence, so that the line goes on: a gap of some ms in the stamps would be taken
/// for a stamp that is late. Longer than that is a stream of its own (`gate/ears/align.rs`, `STOPPED_S`).
const SHORT_PAUSE: Duration = Duration::from_millis(100);
/// Silence that is pushed behind a sound at a time, frames.
const SILENCE: [i16; 64] = [0; 64];

/// Holds back what was written until it is heard, and makes hops of it. Allocates only when made.
pub struct FarCopy {
    rate: Hertz,
    /// Written and not yet heard: `[frames, 1 channel] S16 @ rate`.
    held: VecDeque<i16>,
    held_max: usize,
    /// When the newest frame that went into the resampler was heard; none before the first.
    pushed_at: Option<Time>,
    /// The device stands: silence follows what was heard, up to here.
    silent_until: Option<Time>,
    resampler: Resampler,
    /// Heard and less than a hop: `[frames, 1 channel] S16 @ 16 kHz`.
    part: Vec<i16>,
    hops: VecDeque<Hop>,
    /// The stamp of the last hop: stamps only rise.
    last_at: Time,
    lost_hops: u64,
}

impl FarCopy {
    /// A copy of a device at `rate` with a ring of `ring_frames`.
    ///
    /// # Errors
    /// A rate that cannot be resampled to 16 kHz.
    pub fn new(rate: Hertz, ring_frames: usize) -> Result<FarCopy, ResampleTrouble> {
        let resampler = Resampler::new(rate, UPLINK_RATE)?;
        let held_max = ring_frames + rate.frames_in_ms(BEYOND_RING_MS);
        Ok(FarCopy {
            rate,
            held: VecDeque::with_capacity(held_max),
            held_max,
            pushed_at: None,
            silent_until: None,
            part: Vec::with_capacity(resampler.output_frames_max(held_max) + 2 * HOP_FRAMES),
            resampler,
            hops: VecDeque::with_capacity(FAR_RING_HOPS),
            last_at: Time::ZERO,
            lost_hops: 0,
        })
    }

    /// Tells that the device took `samples` (`[frames, channels] S16 @ rate`, all channels alike).
    pub fn on_written(&mut self, samples: &[i16], channels: usize) {
        let frames = samples.len() / channels.max(1);
        let excess = (self.held.len() + frames).saturating_sub(self.held_max);
        if excess > 0 {
            self.held.drain(..excess.min(self.held.len()));
            self.break_line(); // a piece is missing from it
        }
        let room = self.held_max - self.held.len();
        self.held.extend(samples.iter().step_by(channels.max(1)).take(room));
    }

    /// Tells that at `now` it takes `delay_frames` of the running device until what is written next is heard.
    pub fn on_position(&mut self, delay_frames: usize, now: Time) {
        let newest_at = self.newest_at(delay_frames, now);
        let heard = self.held.len().saturating_sub(delay_frames);
        if let Some(until) = self.silent_until {
            if heard < self.rate.frames_in_ms(BEGUN_MS) {
                return;
            }
            let first_at = newest_at.back(self.time_of(self.held.len()));
            if first_at < until + SHORT_PAUSE {
                self.be_silent_to(first_at);
                self.silent_until = None;
            } else {
                self.on_standing(first_at);
            }
        }
        self.give(heard);
        self.pushed_at = Some(newest_at.back(self.time_of(self.held.len())));
        self.cut_hops();
    }

    /// When the newest frame that is held is heard. A device in which nothing waits may have run dry a while ago: then
    /// it was heard when the last position said that it would be.
    fn newest_at(&self, delay_frames: usize, now: Time) -> Time {
        match self.pushed_at {
            Some(at) if delay_frames == 0 && self.silent_until.is_none() => now.min(at + self.time_of(self.held.len())),
            _ => now + self.time_of(delay_frames),
        }
    }

    /// Tells that at `now` the device stands: after what was heard there is silence.
    pub fn on_standing(&mut self, now: Time) {
        let Some(until) = self.silent_until else { return };
        self.be_silent_to(now.min(until));
        if now >= until + SHORT_PAUSE {
            self.break_line();
        }
    }

    /// Between what was heard and `until` there was silence.
    fn be_silent_to(&mut self, until: Time) {
        let Some(pushed_at) = self.pushed_at else { return };
        let mut left = self.rate.frames_in(until.since(pushed_at)) as usize;
        self.pushed_at = Some(pushed_at + self.time_of(left));
        while left > 0 {
            let part = &mut self.part;
            self.resampler.push(&SILENCE[..left.min(SILENCE.len())], |out| part.extend_from_slice(out));
            left = left.saturating_sub(SILENCE.len());
        }
        self.cut_hops();
    }

    /// Whether the last hop of a sound is still to come, of a device that stands.
    pub fn has_tail(&self) -> bool {
        self.silent_until.is_some()
    }

    /// Tells that the device was stopped and emptied: what was not heard by the last position never will be.
    pub fn on_dropped(&mut self) {
        self.held.clear();
        self.fall_silent();
    }

    /// Tells that the device starved: all that was written was heard, when it was said to be.
    pub fn on_starved(&mut self) {
        let frames = self.held.len();
        if let Some(pushed_at) = self.pushed_at.filter(|_| self.silent_until.is_none()) {
            self.give(frames);
            self.pushed_at = Some(pushed_at + self.time_of(frames));
            self.cut_hops();
        }
        self.held.clear();
        self.fall_silent();
    }

    /// Tells that the device slept and lost what it held, nobody knows when.
    pub fn on_slept(&mut self) {
        self.held.clear();
        self.break_line();
    }

    /// The next hop that was heard; its `at` is when its newest frame left the converter.
    pub fn poll_hop(&mut self) -> Option<Hop> {
        self.hops.pop_front()
    }

    /// Hops that were left out since this was last asked, because nobody had fetched those before them.
    pub fn take_lost_hops(&mut self) -> u64 {
        std::mem::take(&mut self.lost_hops)
    }

    /// The oldest `frames` that are held were heard.
    fn give(&mut self, frames: usize) {
        let (front, back) = self.held.as_slices();
        let from_front = frames.min(front.len());
        let part = &mut self.part;
        for heard in [&front[..from_front], &back[..frames - from_front]] {
            self.resampler.push(heard, |out| part.extend_from_slice(out));
        }
        self.held.drain(..frames);
    }

    /// Cuts whole hops off what was resampled.
    fn cut_hops(&mut self) {
        let Some(pushed_at) = self.pushed_at else { return };
        // The newest frame that came out of the filter is older than the newest that went in.
        let filter = Frames(self.resampler.delay_frames() as u64).duration(UPLINK_RATE);
        let part_at = pushed_at.back(self.time_of(self.resampler.pending_frames()) + filter);
        let mut left = self.part.len();
        for frames in self.part.as_chunks::<HOP_FRAMES>().0 {
            left -= HOP_FRAMES;
            let at = part_at.back(Frames(left as u64).duration(UPLINK_RATE));
            if at <= self.last_at {
                continue; // the device says that it went back
            }
            if self.hops.len() == FAR_RING_HOPS {
                self.lost_hops += 1;
                continue;
            }
            self.last_at = at;
            self.hops.push_back(Hop { at, frames: *frames });
        }
        self.part.drain(..self.part.len() - left);
    }

    /// Nothing follows what was heard but silence, until all of it is out of the filter and in a hop.
    fn fall_silent(&mut self) {
        let block = self.resampler.output_frames_max(1).max(1); // waits for its last frame
        let frames = HOP_FRAMES + block + 2 * self.resampler.delay_frames(); // as long as the filter answers
        let more = Frames(frames as u64).duration(UPLINK_RATE);
        self.silent_until = self.silent_until.or(self.pushed_at.map(|at| at + more));
    }

    /// What comes next is not the continuation of what came.
    fn break_line(&mut self) {
        self.resampler.reset();
        self.part.clear();
        (self.pushed_at, self.silent_until) = (None, None);
    }

    fn time_of(&self, frames: usize) -> Duration {
        Frames(frames as u64).duration(self.rate)
    }
}

#[cfg(test)]
mod tests;
