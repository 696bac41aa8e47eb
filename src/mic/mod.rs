//! The microphone's room: one channel out of many, 16 kHz, cut into hops with the time they were captured.
//!
//! Pure; the thread that moves the device is in `run.rs`.

pub mod dead;
pub mod run;

use std::time::Duration;

use crate::audio::resample::{ResampleTrouble, Resampler};
use crate::audio::{HOP_FRAMES, Hop, UPLINK_RATE, mean};
use crate::config::board::Pick;
use crate::units::{Frames, Hertz, Time};

/// Frames that are brought to one channel at a time: a period of 10 ms at 48 kHz, and more takes turns.
const PIECE_FRAMES: usize = 480;

/// Makes hops of what a device gives. Allocates only when made.
pub struct Intake {
    rate: Hertz,
    channels: usize,
    pick: Pick,
    resampler: Resampler,
    piece: [i16; PIECE_FRAMES],
    hop: Hop,
    /// Frames of `hop` that are filled.
    filled: usize,
    /// Frames taken from the device.
    taken: Frames,
    /// Frames that came out of the resampler and went into a hop.
    made: Frames,
}

impl Intake {
    /// An intake for a device of `rate` and `channels`; a channel that the device lacks is the last one.
    pub fn new(rate: Hertz, channels: usize, pick: Pick) -> Result<Intake, ResampleTrouble> {
        let channels = channels.max(1);
        let pick = match pick {
            Pick::Channel(channel) => Pick::Channel(channel.min(channels as u32 - 1)),
            Pick::Average => Pick::Average,
        };
        Ok(Intake {
            rate,
            channels,
            pick,
            resampler: Resampler::new(rate, UPLINK_RATE)?,
            piece: [0; PIECE_FRAMES],
            hop: Hop { at: Time::ZERO, frames: [0; HOP_FRAMES] },
            filled: 0,
            taken: Frames(0),
            made: Frames(0),
        })
    }

    /// Takes `samples` (`[frames, channels] S16 @ rate, interleaved`), the newest captured at `newest_at`, and
    /// hands every hop that is full to `sink`.
    pub fn take(&mut self, samples: &[i16], newest_at: Time, mut sink: impl FnMut(&Hop)) {
        self.taken += Frames((samples.len() / self.channels) as u64);
        // A frame that leaves the resampler was captured so long after the intake began:
        //   its number at 16 kHz less the resampler's delay. The newest one: `taken` at the device's rate.
        let delay = Frames(self.resampler.delay_frames() as u64).duration(UPLINK_RATE);
        let newest = self.taken.duration(self.rate);
        for piece in samples.chunks(PIECE_FRAMES * self.channels) {
            let frames = one_channel(piece, self.channels, self.pick, &mut self.piece);
            let (hop, filled, made) = (&mut self.hop, &mut self.filled, &mut self.made);
            self.resampler.push(&self.piece[..frames], |mut out| {
                while !out.is_empty() {
                    let count = out.len().min(HOP_FRAMES - *filled);
                    hop.frames[*filled..*filled + count].copy_from_slice(&out[..count]);
                    (*filled, out) = (*filled + count, &out[count..]);
                    if *filled == HOP_FRAMES {
                        (*filled, *made) = (0, Frames(made.0 + HOP_FRAMES as u64));
                        hop.at = newest_at.back(age(newest, made.duration(UPLINK_RATE), delay));
                        sink(hop);
                    }
                }
            });
        }
    }
}

/// How much older than the newest frame a hop's newest one is.
fn age(newest: Duration, made: Duration, delay: Duration) -> Duration {
    newest.saturating_sub(made.saturating_sub(delay))
}

/// Brings `samples` (`[frames, channels] S16, interleaved`) to one channel in `out`; answers the frames.
fn one_channel(samples: &[i16], channels: usize, pick: Pick, out: &mut [i16; PIECE_FRAMES]) -> usize {
    let frames = samples.chunks_exact(channels);
    let count = frames.len();
    for (mono, frame) in out.iter_mut().zip(frames) {
        *mono = match pick {
            Pick::Channel(channel) => frame[channel as usize],
            Pick::Average => mean(frame),
        };
    }
    count
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn hops(intake: &mut Intake, samples: &[i16], newest_at: Time) -> Vec<Hop> {
        let mut hops = Vec::new();
        intake.take(samples, newest_at, |hop| hops.push(*hop));
        hops
    }

    #[test]
    fn ten_milliseconds_of_any_device_make_a_hop() {
        for rate in [8000, 16_000, 24_000, 32_000, 44_100, 48_000, 96_000] {
            for channels in [1, 2, 4] {
                let mut intake = Intake::new(Hertz(rate), channels, Pick::Average).unwrap();
                for period in 1..=20u64 {
                    let made =
                        hops(&mut intake, &vec![1000; rate as usize / 100 * channels], Time::from_ms(10 * period));
                    assert_eq!(made.len(), 1, "{rate} Hz, {channels} channels");
                    if period > 2 {
                        assert!(made[0].frames.iter().all(|f| (995..=1005).contains(f)), "{rate} Hz: level");
                    }
                }
            }
        }
    }

    #[test]
    fn one_channel_is_picked_or_all_are_averaged() {
        let stereo: Vec<i16> = [100, 300].repeat(160);
        let value = |pick| hops(&mut Intake::new(Hertz(16_000), 2, pick).unwrap(), &stereo, Time::ZERO)[0].frames[80];
        assert_eq!(value(Pick::Channel(0)), 100);
        assert_eq!(value(Pick::Channel(1)), 300);
        assert_eq!(value(Pick::Average), 200);
        assert_eq!(value(Pick::Channel(9)), 300, "a channel that is not there is the last one");
        let loud = hops(&mut Intake::new(Hertz(16_000), 2, Pick::Average).unwrap(), &[i16::MIN; 320], Time::ZERO);
        assert_eq!(loud[0].frames[0], i16::MIN, "no overflow");
    }

    #[test]
    fn a_hop_knows_when_its_newest_frame_was_captured() {
        // Without a resampler: several hops in one read, oldest first, 10 ms apart.
        let mut intake = Intake::new(Hertz(16_000), 1, Pick::Average).unwrap();
        let made = hops(&mut intake, &[0; 400], Time::from_ms(1000));
        let at: Vec<u64> = made.iter().map(|hop| hop.at.as_us()).collect();
        assert_eq!(at, [985_000, 995_000], "the newest frame of all is 5 ms younger than the second hop's");
        // With one: its delay makes the hop older.
        let mut intake = Intake::new(Hertz(48_000), 1, Pick::Average).unwrap();
        let made = hops(&mut intake, &[0; 480], Time::from_ms(1000));
        assert_eq!(made[0].at.as_us(), 997_500);
    }

    #[test]
    fn a_click_is_found_at_the_time_it_was_made() {
        // 48 kHz in periods of 10 ms; a click at 505 ms of the device's time.
        let mut intake = Intake::new(Hertz(48_000), 1, Pick::Average).unwrap();
        let mut found = None;
        for period in 0..100u64 {
            let mut samples = [0i16; 480];
            if period == 50 {
                samples[230..250].fill(20_000);
            }
            for hop in hops(&mut intake, &samples, Time::from_ms(10 * (period + 1))) {
                if let Some(n) = hop.frames.iter().position(|&f| f > 10_000) {
                    found = found.or(Some(hop.at.as_us() as i64 - (HOP_FRAMES - 1 - n) as i64 * 1_000_000 / 16_000));
                }
            }
        }
        let off_us = found.unwrap() - 505_000;
        assert!(off_us.abs() < 300, "{off_us} µs off");
    }

    #[test]
    fn reads_of_any_size_make_the_same_hops() {
        let input: Vec<i16> = (0..44_100).map(|n| ((n * 37) % 2000) as i16).collect();
        let all = |sizes: &[usize]| {
            let mut intake = Intake::new(Hertz(44_100), 1, Pick::Average).unwrap();
            let (mut frames, mut rest, mut turn) = (Vec::new(), &input[..], 0);
            while !rest.is_empty() {
                let (now, later) = rest.split_at(sizes[turn % sizes.len()].min(rest.len()));
                intake.take(now, Time::ZERO, |hop| frames.extend_from_slice(&hop.frames));
                (rest, turn) = (later, turn + 1);
            }
            frames
        };
        assert_eq!(all(&[441]), all(&[1, 1000, 17, 0, 5000]));
    }
}
