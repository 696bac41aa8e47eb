//! The echo canceller behind a trait, and what stands behind it: noise suppression and gain control.
//!
//! The canceller is `sonora-aec3`, the core of the `sonora` crate (a port of the WebRTC project's AEC3). The core is
//! used itself, not through `sonora::AudioProcessing`, because only it gives the output of its linear filter, in
//! which a voice is whole while the suppressor still hides it: whether somebody speaks over a reply is decided
//! there (`evidence.rs`). Noise suppression and gain control are `sonora::AudioProcessing` without its canceller, so
//! that what they do does not count as the canceller's work.
//!
//! Neither is free of allocation: the library makes small vectors for each of its blocks of 4 ms (about 15) and frees
//! them at once. Our own code allocates nothing per hop.

use sonora::config::{AdaptiveDigital, GainController2, NoiseSuppressionLevel};
use sonora::high_pass_filter::HighPassFilter;
use sonora::{AudioProcessing, StreamConfig};
use sonora_aec3::block::Block;
use sonora_aec3::block_processor::BlockProcessor;
use sonora_aec3::common::BLOCK_SIZE;
use sonora_aec3::config::EchoCanceller3Config;

use super::align::Frames;
use crate::audio::{HOP_FRAMES, UPLINK_RATE};
use crate::config::agent::{Canceller, Echo, NoiseSuppression, Switch};

/// From here a sample is clipped, S16.
const CLIPPED: f32 = 32_700.0;

/// Frames by which the canceller's blocks of 64 lag behind hops of 160: what is left over at most.
const LAG_FRAMES: usize = 32;

/// Power (mean square, S16²) of one hop at each stage of the canceller. All are of the same frames.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Powers {
    /// What the microphone heard, without what lies below speech.
    pub near: f32,
    /// What is left after the suppressor.
    pub clean: f32,
}

/// Takes the loudspeaker out of what the microphone heard.
pub trait EchoCanceller {
    /// Takes a hop of both (`[160 frames, 1 channel] f32 @ 16 kHz`, in units of S16) and leaves in `near` what was
    /// said here, a little later than it was captured; and in `linear` what the linear filter leaves, as much later: a
    /// voice whole, and the echo 10–25 dB softer.
    fn cancel(&mut self, near: &mut Frames, far: &Frames, linear: &mut Frames) -> Powers;

    /// From what `far` plays to when `near` hears it, ms, as far as it is known.
    fn delay_ms(&self) -> u32;
}

/// Whether these settings ask for a canceller on this board.
pub fn is_wanted(canceller: Canceller) -> bool {
    match canceller {
        Canceller::On => true,
        Canceller::Off => false,
        // 0.35 Ginstructions a second are a third of a small 32-bit core (dependencies.md 3).
        Canceller::Auto => !cfg!(target_pointer_width = "32"),
    }
}

/// The WebRTC project's canceller.
pub struct Sonora {
    processor: BlockProcessor,
    high_pass: HighPassFilter,
    /// `[1 channel][160 frames]`, as the filter takes it.
    filtered: Vec<Vec<f32>>,
    near: Fifo,
    far: Fifo,
    clean: Fifo,
    linear: Fifo,
    near_block: Block,
    far_block: Block,
    linear_block: Block,
    before: [f32; BLOCK_SIZE],
}

impl Sonora {
    /// A canceller that knows nothing of the room.
    pub fn new() -> Sonora {
        let rate = UPLINK_RATE.0 as usize;
        let config = settings();
        let mut clean = Fifo::new();
        clean.push(&[0.0; LAG_FRAMES]);
        let mut linear = Fifo::new();
        linear.push(&[0.0; LAG_FRAMES + BLOCK_SIZE]); // the suppressor overlaps its blocks
        Sonora {
            processor: BlockProcessor::new(&config, rate, 1, 1),
            high_pass: HighPassFilter::new(UPLINK_RATE.0 as i32, 1),
            filtered: vec![vec![0.0; HOP_FRAMES]],
            near: Fifo::new(),
            far: Fifo::new(),
            clean,
            linear,
            near_block: Block::new(1, 1),
            far_block: Block::new(1, 1),
            linear_block: Block::new(1, 1),
            before: [0.0; BLOCK_SIZE],
        }
    }

    fn cancel_block(&mut self, is_clipped: bool, powers: &mut Powers) {
        self.near.pop(&mut self.before);
        self.far.pop(self.far_block.view_mut(0, 0));
        self.near_block.view_mut(0, 0).copy_from_slice(&self.before);
        self.processor.buffer_render(&self.far_block);
        self.processor.process_capture(false, is_clipped, Some(&mut self.linear_block), &mut self.near_block);
        let (linear, clean) = (self.linear_block.view(0, 0), self.near_block.view(0, 0));
        for (&near, &clean) in self.before.iter().zip(clean) {
            powers.near += near * near;
            powers.clean += clean * clean;
        }
        self.clean.push(clean);
        self.linear.push(linear);
    }
}

impl Default for Sonora {
    fn default() -> Sonora {
        Sonora::new()
    }
}

/// The library's own settings, but for what our alignment makes known.
fn settings() -> EchoCanceller3Config {
    let mut config = EchoCanceller3Config::default();
    config.filter.export_linear_aec_output = true;
    // Our stamps hold the delay still. Looking for an echo before the echo made it flip by 8 ms now and then, and each
    // time the filter began anew: 10 dB less for seconds.
    config.delay.detect_pre_echo = false;
    config.delay.hysteresis_limit_blocks = 4;
    config
}

impl EchoCanceller for Sonora {
    fn cancel(&mut self, near: &mut Frames, far: &Frames, linear: &mut Frames) -> Powers {
        let is_clipped = near.iter().any(|sample| sample.abs() >= CLIPPED);
        self.filtered[0].copy_from_slice(near);
        self.high_pass.process_channels(&mut self.filtered);
        self.near.push(&self.filtered[0]);
        self.far.push(far);
        let mut powers = Powers::default();
        let mut frames = 0;
        while self.near.len >= BLOCK_SIZE {
            self.cancel_block(is_clipped, &mut powers);
            frames += BLOCK_SIZE;
        }
        self.clean.pop(near);
        self.linear.pop(linear);
        powers.over(frames)
    }

    fn delay_ms(&self) -> u32 {
        u32::try_from(self.processor.get_metrics().delay_ms).unwrap_or(0)
    }
}

impl Powers {
    /// Sums over `frames` frames as means.
    fn over(self, frames: usize) -> Powers {
        let each = 1.0 / frames.max(1) as f32;
        Powers { near: self.near * each, clean: self.clean * each }
    }
}

/// Samples between hops of 160 and blocks of 64.
struct Fifo {
    samples: [f32; 2 * HOP_FRAMES],
    len: usize,
}

impl Fifo {
    fn new() -> Fifo {
        Fifo { samples: [0.0; 2 * HOP_FRAMES], len: 0 }
    }

    /// Appends; what does not fit is left out (at most a hop and a block are ever inside).
    fn push(&mut self, samples: &[f32]) {
        let count = samples.len().min(self.samples.len() - self.len);
        self.samples[self.len..self.len + count].copy_from_slice(&samples[..count]);
        self.len += count;
    }

    /// Takes the oldest; zeros where there are too few.
    fn pop(&mut self, out: &mut [f32]) {
        let count = out.len().min(self.len);
        out[..count].copy_from_slice(&self.samples[..count]);
        out[count..].fill(0.0);
        self.samples.copy_within(count..self.len, 0);
        self.len -= count;
    }
}

/// Noise suppression and gain control.
pub struct Polish {
    processing: AudioProcessing,
    result: Frames,
}

impl Polish {
    /// What `echo` asks for; nothing where it asks for neither.
    pub fn new(echo: &Echo) -> Option<Polish> {
        let level = match echo.noise_suppression {
            NoiseSuppression::Off => None,
            NoiseSuppression::Low => Some(NoiseSuppressionLevel::Low),
            NoiseSuppression::Moderate => Some(NoiseSuppressionLevel::Moderate),
            NoiseSuppression::High => Some(NoiseSuppressionLevel::High),
        };
        let has_gain = echo.gain_control == Switch::On;
        if level.is_none() && !has_gain {
            return None;
        }
        let suppression = |level| sonora::config::NoiseSuppression { level, ..Default::default() };
        let gain = GainController2 { adaptive_digital: Some(AdaptiveDigital::default()), ..Default::default() };
        let config = sonora::Config {
            noise_suppression: level.map(suppression),
            gain_controller2: has_gain.then_some(gain),
            ..Default::default()
        };
        let stream = StreamConfig::new(UPLINK_RATE.0, 1);
        let processing = AudioProcessing::builder().config(config).capture_config(stream).render_config(stream).build();
        Some(Polish { processing, result: [0.0; HOP_FRAMES] })
    }

    /// Works on a hop in place (`[160 frames, 1 channel] f32 @ 16 kHz`, in units of S16).
    pub fn polish(&mut self, frames: &mut Frames) {
        frames.iter_mut().for_each(|sample| *sample /= 32_768.0);
        // The only errors are of format, and this one was taken when it was made. Then the sound stays as it is.
        let is_done = self.processing.process_capture_f32(&[&frames[..]], &mut [&mut self.result[..]]).is_ok();
        let source = if is_done { self.result } else { *frames };
        for (sample, value) in frames.iter_mut().zip(source) {
            *sample = value * 32_768.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::agent::Agent;

    #[test]
    fn what_goes_in_comes_out_while_the_loudspeaker_is_silent() {
        let mut canceller = Sonora::new();
        let mut powers = Powers::default();
        for hop in 0..200 {
            let mut near: Frames = std::array::from_fn(|i| 3000.0 * ((hop * 160 + i) as f32 * 0.3).sin());
            powers = canceller.cancel(&mut near, &[0.0; HOP_FRAMES], &mut [0.0; HOP_FRAMES]);
        }
        assert!((powers.near / 4.5e6 - 1.0).abs() < 0.1, "{powers:?}");
        assert!(powers.clean > 0.8 * powers.near, "{powers:?}");
    }

    #[test]
    fn only_what_is_asked_for_is_made() {
        let echo = Agent::default().echo;
        assert!(Polish::new(&Echo { noise_suppression: NoiseSuppression::Off, ..echo.clone() }).is_none());
        let mut polish = Polish::new(&Echo { noise_suppression: NoiseSuppression::High, ..echo });
        let (mut raw, mut polished) = (0.0, 0.0);
        let mut seed = 1u32;
        for hop in 0..400 {
            let mut hiss: Frames = std::array::from_fn(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 16) as f32 / 32.0 - 1024.0
            });
            let power = |hiss: &Frames| hiss.iter().map(|sample| sample * sample).sum::<f32>();
            raw += if hop < 200 { 0.0 } else { power(&hiss) };
            polish.iter_mut().for_each(|polish| polish.polish(&mut hiss));
            polished += if hop < 200 { 0.0 } else { power(&hiss) };
        }
        assert!(polished < raw / 30.0, "noise was {raw}, is {polished}");
    }

    #[test]
    fn a_small_board_is_spared() {
        assert!(is_wanted(Canceller::On) && !is_wanted(Canceller::Off));
        assert_eq!(is_wanted(Canceller::Auto), usize::BITS >= 64);
    }
}
