//! How much of the echo the canceller takes away, on a recording of the test sound.

use sonora::config::EchoCanceller;
use sonora::{AudioProcessing, Config, StreamConfig};

use crate::audio::{HOP_FRAMES, UPLINK_RATE};

/// What is played is given to the canceller so much earlier than it comes back: a cause before its effect.
const LEAD_FRAMES: i64 = 320;
/// Hops in which the loudspeaker is softer than this RMS (S16) say nothing about its echo.
const AUDIBLE_RMS: f64 = 150.0;

/// ERLE in dB over the second half of `near`, when the canceller has learnt.
///
/// Both are `[frames, 1 channel] S16 @ 16 kHz`. `near` holds the echo of `far` and nobody speaks in it; far frame `n`
/// comes back at near frame `n + delay`. None where there is too little to judge by.
pub fn measure(near: &[i16], far: &[i16], delay: i64) -> Option<f64> {
    let stream = StreamConfig::new(UPLINK_RATE.0, 1);
    // Without its high-pass: what lies below speech would count as cancelled.
    let canceller = EchoCanceller { enforce_high_pass_filtering: false, ..EchoCanceller::default() };
    let config = Config { echo_canceller: Some(canceller), ..Config::default() };
    let mut processing = AudioProcessing::builder().config(config).capture_config(stream).render_config(stream).build();
    let (mut before, mut after, mut hops) = (0.0, 0.0, 0);
    for (number, heard) in near.chunks_exact(HOP_FRAMES).enumerate() {
        let first = (number * HOP_FRAMES) as i64 - delay + LEAD_FRAMES;
        let played: [i16; HOP_FRAMES] = std::array::from_fn(|n| frame_at(far, first + n as i64));
        let own: [i16; HOP_FRAMES] = std::array::from_fn(|n| frame_at(far, first - LEAD_FRAMES + n as i64));
        let (mut sink, mut clean) = ([0; HOP_FRAMES], [0; HOP_FRAMES]);
        processing.process_render_i16(&played, &mut sink).ok()?;
        processing.set_stream_delay_ms(0).ok()?;
        processing.process_capture_i16(heard, &mut clean).ok()?;
        if number * HOP_FRAMES > near.len() / 2 && (power(&own) / HOP_FRAMES as f64).sqrt() >= AUDIBLE_RMS {
            before += power(heard);
            after += power(&clean);
            hops += 1;
        }
    }
    // Half a second at least.
    (hops >= 50 && before > 0.0).then(|| 10.0 * (before / after.max(1.0)).log10())
}

fn frame_at(frames: &[i16], at: i64) -> i16 {
    usize::try_from(at).ok().and_then(|at| frames.get(at)).copied().unwrap_or(0)
}

fn power(frames: &[i16]) -> f64 {
    frames.iter().map(|&frame| f64::from(frame).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::sound::Score;
    use super::*;

    #[test]
    fn an_echo_is_cancelled_and_a_stranger_is_not() {
        let score = Score::new(100).unwrap();
        let far = &score.frames[score.speech.clone()];
        let delay = 1000;
        let echo: Vec<i16> =
            (0..far.len() as i64).map(|n| frame_at(far, n - delay) / 8 + (n * 7919 % 7) as i16).collect();
        let found = measure(&echo, far, delay).unwrap();
        assert!(found > 15.0, "{found} dB");
        let stranger: Vec<i16> = far.iter().rev().map(|frame| frame / 8).collect();
        let found = measure(&stranger, far, delay).unwrap();
        assert!(found < 8.0, "{found} dB");
        assert_eq!(measure(&[0; 16_000], &[0; 16_000], 0), None, "nothing was played");
    }
}
