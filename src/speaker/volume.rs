//! Loudness and fades: everything that changes a sample's size, always gradually, so that nothing clicks.

use crate::units::Hertz;

/// Time from silence to full loudness when the volume changes, ms: short enough to feel immediate, long
/// enough (a step of 0.4 % a frame) not to click.
const RAMP_MS: u32 = 10;
/// Length of a fade at the edge of a gap, ms.
pub const FADE_MS: u32 = 5;
/// Frames of the longest fade: 5 ms at 96 kHz. Higher rates get a shorter one.
const FADE_FRAMES_MAX: usize = 480;

/// The loudness from 0 to 100, reached in a ramp.
#[derive(Clone, Copy, Debug)]
pub struct Volume {
    gain: f32,
    wanted: f32,
}

impl Volume {
    /// A volume that stands at `percent` (more is 100).
    pub fn new(percent: u8) -> Volume {
        let gain = gain(percent);
        Volume { gain, wanted: gain }
    }

    /// Moves to `percent` (more is 100) from the next frame on.
    pub fn set(&mut self, percent: u8) {
        self.wanted = gain(percent);
    }

    /// Applies the loudness to `samples` (`[frames, 1 channel] S16 @ rate`).
    pub fn apply(&mut self, samples: &mut [i16], rate: Hertz) {
        if self.gain == 1.0 && self.wanted == 1.0 {
            return;
        }
        let step = 1.0 / rate.frames_in_ms(RAMP_MS).max(1) as f32;
        for sample in samples {
            self.gain += (self.wanted - self.gain).clamp(-step, step);
            *sample = (f32::from(*sample) * self.gain).round() as i16;
        }
    }
}

/// The square of the fraction: half way is −12 dB, which is heard as about half as loud.
fn gain(percent: u8) -> f32 {
    let fraction = f32::from(percent.min(100)) / 100.0;
    fraction * fraction
}

/// The edges of a gap in mid-turn: fades the sound out into it and in after it.
///
/// By the time a gap is known the last frames are with the device at full size. So they are played once more,
/// backwards (which continues them without a step), fading to nothing.
#[derive(Debug)]
pub struct Edges {
    last: [i16; FADE_FRAMES_MAX],
    last_frames: usize,
    fade_frames: usize,
    /// Frames of the fade-out already played.
    fade_out_at: usize,
    /// Frames of the fade-in still to come.
    fade_in_left: usize,
}

impl Edges {
    /// Edges at `rate`, with nothing played yet.
    pub fn new(rate: Hertz) -> Edges {
        let fade_frames = rate.frames_in_ms(FADE_MS).clamp(1, FADE_FRAMES_MAX);
        Edges { last: [0; FADE_FRAMES_MAX], last_frames: 0, fade_frames, fade_out_at: 0, fade_in_left: 0 }
    }

    /// Passes `sound` (`[frames, 1 channel] S16`) on: remembers how it ends, fades it in after a gap.
    pub fn pass(&mut self, sound: &mut [i16]) {
        for sample in sound.iter_mut().take(self.fade_in_left) {
            let gain = 1.0 - self.fade_in_left as f32 / self.fade_frames as f32;
            *sample = (f32::from(*sample) * gain) as i16;
            self.fade_in_left -= 1;
        }
        let kept = sound.len().min(self.fade_frames);
        let older = (self.fade_frames - kept).min(self.last_frames);
        self.last.copy_within(self.last_frames - older..self.last_frames, 0);
        self.last[older..older + kept].copy_from_slice(&sound[sound.len() - kept..]);
        self.last_frames = older + kept;
        self.fade_out_at = 0;
    }

    /// Fills `gap` (`[frames, 1 channel] S16`): a fade of what was last, then silence. The next sound fades in.
    pub fn fill_gap(&mut self, gap: &mut [i16]) {
        gap.fill(0);
        let backwards = self.last[..self.last_frames].iter().rev().skip(self.fade_out_at);
        for (sample, &old) in gap.iter_mut().zip(backwards) {
            self.fade_out_at += 1;
            *sample = (f32::from(old) * (1.0 - self.fade_out_at as f32 / self.fade_frames as f32)) as i16;
        }
        self.fade_in_left = self.fade_frames;
    }

    /// Forgets the last frames: what comes next is a new sound, which begins as it is.
    pub fn reset(&mut self) {
        self.last_frames = 0;
        self.fade_out_at = 0;
        self.fade_in_left = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Hertz = Hertz(24_000);

    fn largest_step(samples: &[i16]) -> i32 {
        samples.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max().unwrap_or(0)
    }

    #[test]
    fn full_volume_changes_nothing_and_none_is_silence() {
        let mut block = [12_345, -12_345, i16::MIN, i16::MAX];
        Volume::new(100).apply(&mut block, RATE);
        assert_eq!(block, [12_345, -12_345, i16::MIN, i16::MAX]);
        Volume::new(0).apply(&mut block, RATE);
        assert_eq!(block, [0; 4]);
        let mut half = [20_000; 4];
        Volume::new(50).apply(&mut half, RATE);
        assert_eq!(half, [5000; 4]);
    }

    #[test]
    fn a_change_of_volume_does_not_click_and_is_done_in_ten_milliseconds() {
        let mut volume = Volume::new(100);
        volume.set(0);
        let mut block = [20_000; 480];
        volume.apply(&mut block, RATE);
        assert!(largest_step(&block) < 200, "{}", largest_step(&block));
        assert_eq!(block[240..], [0; 240]);
    }

    #[test]
    fn a_gap_begins_and_ends_without_a_step() {
        let mut edges = Edges::new(RATE);
        let mut line = [0; 960];
        // Sound that breaks off at its loudest, over two blocks, the second shorter than the fade.
        line[..330].fill(16_000);
        edges.pass(&mut line[..240]);
        edges.pass(&mut line[240..330]);
        edges.fill_gap(&mut line[330..335]);
        edges.fill_gap(&mut line[335..720]);
        line[720..].fill(16_000);
        edges.pass(&mut line[720..780]);
        edges.pass(&mut line[780..]);
        assert!(largest_step(&line) < 300, "{}", largest_step(&line));
        assert_eq!(line[460..720], [0; 260], "the gap itself is silent");
        assert_eq!(line[960 - 100..], [16_000; 100], "and the sound is back in full");
    }
}
