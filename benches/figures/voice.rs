//! The test sounds: a loop that voice detectors take for speech and whose continuity can be checked, a marker, a tone.

use std::f64::consts::TAU;
use std::path::Path;

use anyhow::Result;

/// Length of the loop in 16 kHz frames: no whole number of 10 ms hops up to 2.3 s of them, so that a lost piece of
/// sound never lands on the same place of the loop again.
pub const LOOP_FRAMES_16K: usize = 37_440;

/// Peak of the loop, of the marker and of the tone, full scale 1.
const SPEECH_PEAK: f64 = 0.2;
const MARK_PEAK: f64 = 0.7;
const TONE_PEAK: f64 = 0.6;

/// Between the loudest speech (0.2) and the quietest first frame of a marker on it (0.7 - 0.2).
pub const MARK_LEVEL: i16 = (0.4 * 32768.0) as i16;

/// Length of the marker.
pub const MARK_MS: u32 = 30;

/// Vowels: two formants in Hz.
const VOWELS: [(f64, f64); 5] = [(730.0, 1090.0), (270.0, 2290.0), (570.0, 840.0), (530.0, 1840.0), (300.0, 870.0)];

/// A tenth of the loop: a syllable, then a short pause. Harmonics end below 3.6 kHz, so every rate carries all of it.
fn syllable(number: usize, frames: usize, rate_hz: f64) -> Vec<f64> {
    let (first, second) = VOWELS[number * 3 % VOWELS.len()];
    let pitch = 110.0 + 17.0 * (number * 7 % 10) as f64 / 2.0;
    let voiced = frames * 4 / 5;
    let strength = |hz: f64| {
        let near = |formant: f64, width: f64| 1.0 / (1.0 + ((hz - formant) / width).powi(2));
        near(first, 90.0) + 0.5 * near(second, 120.0) + 0.03
    };
    (0..frames)
        .map(|k| {
            if k >= voiced {
                return 0.0;
            }
            let envelope = (0.5 - 0.5 * (TAU * k as f64 / voiced as f64).cos()).sqrt();
            let t = k as f64 / rate_hz;
            // The pitch falls by a tenth over the syllable, as it does in speech.
            let turns = pitch * t * (1.0 - 0.05 * k as f64 / voiced as f64);
            let harmonics = (1..).take_while(|n| *n as f64 * pitch < 3600.0);
            envelope * harmonics.map(|n| strength(n as f64 * pitch) * (TAU * turns * n as f64).sin()).sum::<f64>()
        })
        .collect()
}

/// The speech loop: `[LOOP_FRAMES_16K * rate / 16000 frames, 1 channel] S16 @ rate_hz`.
pub fn speech(rate_hz: u32) -> Vec<i16> {
    let frames = LOOP_FRAMES_16K * rate_hz as usize / 16_000;
    let sound: Vec<f64> = (0..10).flat_map(|n| syllable(n, frames / 10, f64::from(rate_hz))).collect();
    let peak = sound.iter().fold(0.0_f64, |peak, x| peak.max(x.abs()));
    sound.iter().map(|x| (x / peak * SPEECH_PEAK * 32767.0) as i16).collect()
}

/// A burst that is loud from its very first frame: `[frames, 1 channel] S16 @ rate_hz`.
fn burst(rate_hz: u32, length_ms: u32, tone_hz: f64, peak: f64) -> Vec<i16> {
    let frames = u64::from(rate_hz) * u64::from(length_ms) / 1000;
    (0..frames).map(|k| (peak * 32767.0 * (TAU * tone_hz * k as f64 / f64::from(rate_hz)).cos()) as i16).collect()
}

/// The marker for the microphone.
pub fn mark(rate_hz: u32) -> Vec<i16> {
    burst(rate_hz, MARK_MS, 1000.0, MARK_PEAK)
}

/// A tone for replies.
pub fn tone(rate_hz: u32, length_ms: u32) -> Vec<i16> {
    burst(rate_hz, length_ms, 500.0, TONE_PEAK)
}

/// Writes raw S16_LE, as the virtual card plays it.
pub fn write_raw(path: &Path, sound: &[i16]) -> Result<()> {
    let bytes: Vec<u8> = sound.iter().flat_map(|x| x.to_le_bytes()).collect();
    Ok(std::fs::write(path, bytes)?)
}

/// Counts the places where a recording of the endless loop jumps: `period` frames apart it must repeat itself.
///
/// `edge` frames at either end are not looked at (fades, the resampler's settling). One jump spoils the comparison for
/// a whole period behind it; a stretch of bad blocks therefore counts once.
pub fn jumps(heard: &[i16], period: usize, edge: usize) -> usize {
    let Some(heard) = heard.get(edge..heard.len().saturating_sub(edge)) else { return 0 };
    let block = period / 234; // 10 ms
    let mut jumps = 0;
    let mut bad_before = 0_i32;
    let (early, late) = (heard, heard.get(period..).unwrap_or_default());
    for (a, b) in early.chunks(block).zip(late.chunks(block)) {
        let apart: f64 = a.iter().zip(b).map(|(x, y)| f64::from(i32::from(*x) - i32::from(*y)).abs()).sum();
        let loud: f64 = a.iter().zip(b).map(|(x, y)| f64::from(i32::from(*x).abs().max(i32::from(*y).abs()))).sum();
        let bad = apart > 0.03 * loud + 8.0 * a.len() as f64;
        jumps += usize::from(bad && bad_before <= 0);
        // Pauses of the speech look good in the middle of a bad stretch: it takes 300 ms of them to end it.
        bad_before = if bad { 30 } else { bad_before - 1 };
    }
    jumps
}

/// Whether [`jumps`] does its work: none in the endless loop, one for a hop that is missing, doubled or silent.
pub fn jumps_are_found() -> bool {
    let endless: Vec<i16> = speech(16_000).repeat(6);
    let at = LOOP_FRAMES_16K * 5 / 2;
    let mut missing = endless.clone();
    missing.drain(at..at + 160);
    let mut doubled = endless.clone();
    doubled.splice(at..at, endless[at - 160..at].iter().copied());
    let mut silent = endless.clone();
    silent[at..at + 160].fill(0);
    jumps(&endless, LOOP_FRAMES_16K, 0) == 0
        && [missing, doubled, silent].iter().all(|spoilt| jumps(spoilt, LOOP_FRAMES_16K, 0) >= 1)
}

/// The share of 10 ms hops that webrtc-vad takes for speech at its strictest, percent.
pub fn voiced_percent(speech_16k: &[i16]) -> f64 {
    let mut vad =
        webrtc_vad::Vad::new_with_rate_and_mode(webrtc_vad::SampleRate::Rate16kHz, webrtc_vad::VadMode::VeryAggressive);
    let hops = speech_16k.chunks_exact(160);
    let count = hops.len();
    let voiced = hops.filter(|hop| vad.is_voice_segment(hop) == Ok(true)).count();
    100.0 * voiced as f64 / count as f64
}
