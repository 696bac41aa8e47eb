//! Cuts the word out of a recording, and says what is wrong with one that will not do.

use std::ops::Range;

use super::align::ROWS_MAX;
use super::features::{DELAY_HOPS, FrontEnd};
use super::model::{ROWS_MIN, Saying};
use crate::audio::level::rms_dbfs;
use crate::audio::{HOP_FRAMES, HOP_MS};
use crate::units::Decibel;

/// The word is so much louder than the room around it, dB; less, and noise is learned with it.
const ABOVE_ROOM_DB: f32 = 10.0;
/// What lies so far below the loudest is no part of the word, dB.
const BELOW_PEAK_DB: f32 = 32.0;
/// No room is quieter than what a microphone hears of itself, dBFS.
const ROOM_MIN_DB: f32 = -75.0;
/// A word whose loudest 10 ms are below this was said too softly or too far away, dBFS.
const PEAK_MIN_DB: f32 = -42.0;
/// Samples from here up are at the converter's end …
const CLIPPED_FROM: u16 = 32_500;
/// … and more of them than this are heard.
const CLIPPED_MAX: usize = 24;
/// A sound is part of the word if it lasts so many hops: a click does not.
const RUN_HOPS: usize = 3;
/// A silence within a word or between two is shorter than this; what follows a longer one is something else.
const GAP_HOPS: usize = 45;

/// The noise in a saying's second take lies so far below the word, dB: a fan, or a kitchen.
const NOISE_BELOW_DB: f32 = 24.0;

/// What is wrong with a recording: a sentence for whoever speaks.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Flaw {
    /// Nobody said anything, or not loudly enough.
    #[error("too soft ({peak}): come nearer, or turn the microphone up")]
    TooSoft {
        /// The loudest 10 ms.
        peak: Decibel,
    },
    /// The word hardly stands out of the room.
    #[error("too noisy here: the word is only {db:.0} dB louder than the room; {ABOVE_ROOM_DB:.0} dB are needed")]
    TooNoisy {
        /// Difference, dB.
        db: f32,
    },
    /// Overdriven.
    #[error("clipped: speak more softly, or turn the microphone down")]
    Clipped,
    /// No word to speak of.
    #[error("too short ({ms} ms): take a word or two of at least three syllables")]
    TooShort {
        /// Its length.
        ms: u32,
    },
    /// A sentence.
    #[error("too long ({ms} ms): two seconds are the most")]
    TooLong {
        /// Its length.
        ms: u32,
    },
}

/// A word cut out of a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Cut {
    /// The word.
    pub saying: Saying,
    /// Its loudest 10 ms.
    pub peak: Decibel,
    /// Its length, ms.
    pub ms: u32,
}

/// Cuts the word out of `frames` (`[frames, 1 channel] S16 @ 16 kHz`), what the ears left of a recording in which it is
/// said once. `raw` is the recording itself, which tells whether it clipped: the ears' filters bend what was cut off.
///
/// # Errors
/// [`Flaw`]: what whoever speaks should do otherwise.
pub fn cut(frames: &[i16], raw: &[i16]) -> Result<Cut, Flaw> {
    let hops = frames.as_chunks().0;
    let levels: Vec<f32> = hops.iter().map(|hop| rms_dbfs(hop).0).collect();
    let word = find(&levels)?;
    let (from, to) = (word.start * HOP_FRAMES, word.end * HOP_FRAMES);
    let clipped = raw[from.min(raw.len())..to.min(raw.len())]
        .iter()
        .filter(|sample| sample.unsigned_abs() >= CLIPPED_FROM)
        .count();
    if clipped > CLIPPED_MAX {
        return Err(Flaw::Clipped);
    }
    let ms = word.len() as u32 * HOP_MS;
    let peak = Decibel(levels[word.clone()].iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let too_long = Flaw::TooLong { ms };
    let noisy = with_noise(frames, rms_dbfs(&frames[from..to]).0 - NOISE_BELOW_DB);
    let takes = [rows(hops, &word), rows(noisy.as_chunks().0, &word)];
    let saying = Saying::new(takes).ok_or(if word.len() < ROWS_MIN { Flaw::TooShort { ms } } else { too_long })?;
    Ok(Cut { saying, peak, ms })
}

/// `frames` with white noise of `level_db`; the same each time.
fn with_noise(frames: &[i16], level_db: f32) -> Vec<i16> {
    // Twelve evenly spread draws have a variance of one (Irwin and Hall).
    const DRAWS: usize = 12;
    let amplitude = 32_768.0 * 10f32.powf(level_db / 20.0);
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    let noisy = |frame: &i16| (f32::from(*frame) + amplitude * (0..DRAWS).map(|_| draw()).sum::<f32>()) as i16;
    frames.iter().map(noisy).collect()
}

/// The hops of the word: from the first sound that lasts to the last, around the loudest.
fn find(levels: &[f32]) -> Result<Range<usize>, Flaw> {
    let mut sorted = levels.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    let room = sorted.get(sorted.len() / 10).copied().unwrap_or(ROOM_MIN_DB).max(ROOM_MIN_DB);
    // One hop may be a click: the third loudest is not.
    let peak = sorted.iter().rev().nth(RUN_HOPS - 1).copied().unwrap_or(ROOM_MIN_DB);
    if peak < PEAK_MIN_DB {
        return Err(Flaw::TooSoft { peak: Decibel(peak) });
    }
    if peak - room < ABOVE_ROOM_DB && levels.len() > ROWS_MAX {
        return Err(Flaw::TooNoisy { db: peak - room });
    }
    let limit = (room + ABOVE_ROOM_DB).max(peak - BELOW_PEAK_DB).min(peak - ABOVE_ROOM_DB);
    let runs = runs(levels, limit);
    let loudest = |run: &Range<usize>| levels[run.clone()].iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let Some(middle) = (0..runs.len()).max_by(|&a, &b| loudest(&runs[a]).total_cmp(&loudest(&runs[b]))) else {
        return Err(Flaw::TooShort { ms: 0 });
    };
    let (mut first, mut last) = (middle, middle);
    while first > 0 && runs[first].start - runs[first - 1].end < GAP_HOPS {
        first -= 1;
    }
    while last + 1 < runs.len() && runs[last + 1].start - runs[last].end < GAP_HOPS {
        last += 1;
    }
    Ok(runs[first].start..runs[last].end)
}

/// Runs of hops above `limit` that last.
fn runs(levels: &[f32], limit: f32) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let mut start = None;
    for (n, level) in levels.iter().chain([&f32::NEG_INFINITY]).enumerate() {
        match (*level > limit, start) {
            (true, None) => start = Some(n),
            (false, Some(from)) => {
                if n - from >= RUN_HOPS {
                    runs.push(from..n);
                }
                start = None;
            }
            _ => {}
        }
    }
    runs
}

/// The rows of the hops of `word`, made with what stands around it, as they will be when listening.
fn rows(hops: &[[i16; HOP_FRAMES]], word: &Range<usize>) -> Vec<super::features::Row> {
    const SILENCE: [i16; HOP_FRAMES] = [0; HOP_FRAMES];
    let mut front = FrontEnd::new();
    // So many before, that the first hop has a slope; so many after, that the last one has.
    let padding = || std::iter::repeat_n(&SILENCE, 2 * DELAY_HOPS);
    let all = padding().chain(hops).chain(padding());
    let rows: Vec<_> = all.filter_map(|hop| front.push(hop)).collect();
    // The first row is that of the hop numbered DELAY_HOPS of the padding.
    rows.into_iter().skip(DELAY_HOPS + word.start).take(word.len()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// A recording: pieces of so many hops at so many dBFS.
    fn recording(pieces: &[(usize, f32)]) -> Vec<i16> {
        let mut frames = Vec::new();
        for &(hops, db) in pieces {
            let amplitude = 32_768.0 * 10f32.powf(db / 20.0) * 2f32.sqrt();
            for n in 0..hops * HOP_FRAMES {
                let phase = n as f32 * std::f32::consts::TAU * 300.0 / 16_000.0;
                frames.push((amplitude * phase.sin()).clamp(-32_768.0, 32_767.0) as i16);
            }
        }
        frames
    }

    #[test]
    fn the_word_is_cut_out_of_silence_clicks_and_what_was_said_long_after() {
        for (pieces, ms) in [
            (&[(50, -70.0), (60, -20.0), (50, -70.0)][..], 600),
            (&[(50, -70.0), (40, -20.0), (20, -70.0), (40, -25.0), (50, -70.0)], 1000), // two words with a stop
            (&[(20, -70.0), (1, -10.0), (30, -70.0), (60, -20.0), (50, -70.0)], 600),   // a click before
            (&[(50, -70.0), (60, -20.0), (60, -70.0), (60, -40.0), (50, -70.0)], 600),  // a cough after
            (&[(60, -20.0)], 600),                                                      // nothing around it
        ] {
            let frames = recording(pieces);
            let found = cut(&frames, &frames).unwrap();
            assert!(found.ms.abs_diff(ms) <= 20, "{pieces:?}: {} ms", found.ms);
            assert_eq!(found.saying.takes()[0].len() as u32 * HOP_MS, found.ms);
        }
    }

    #[test]
    fn a_recording_that_will_not_do_says_why() {
        for (pieces, expected) in [
            (&[(300, -70.0)][..], "too soft"),
            (&[][..], "too soft"),
            (&[(100, -70.0), (60, -50.0), (100, -70.0)], "too soft"),
            (&[(100, -30.0), (60, -25.0), (100, -30.0)], "too noisy"),
            (&[(100, -70.0), (60, 3.0), (100, -70.0)], "clipped"),
            (&[(100, -70.0), (20, -20.0), (100, -70.0)], "too short (200 ms)"),
            (&[(100, -70.0), (250, -20.0), (100, -70.0)], "too long (2500 ms)"),
        ] {
            let frames = recording(pieces);
            let why = cut(&frames, &frames).unwrap_err().to_string();
            assert!(why.starts_with(expected), "{pieces:?}: {why}");
        }
    }

    #[test]
    fn a_recording_that_clipped_is_told_from_what_the_ears_left_of_it() {
        let raw = recording(&[(100, -70.0), (60, 3.0), (100, -70.0)]);
        let cleaned: Vec<i16> = raw.iter().map(|sample| sample / 2).collect();
        assert_eq!(cut(&cleaned, &raw), Err(Flaw::Clipped));
        assert!(cut(&cleaned, &cleaned).is_ok());
    }
}
