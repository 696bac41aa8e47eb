//! Evidence that somebody speaks while the loudspeaker does.
//!
//! Three witnesses are heard. What the microphone heard is compared with what the loudspeaker would leave in it, and so
//! is what the linear filter left of it (`leak.rs`): the first knows nothing of the canceller and does not fall with
//! it when it loses its way, the second sees a voice under an echo that is louder. A band counts only as far as both
//! see more of it. The third is the suppressor: where the canceller is sure that all is echo, it lets nothing pass.
//!
//! What strays while the suppressor is sure that all is echo is learned, but half a second later: if it lets something
//! pass by then, or a window opens, somebody may have spoken, and it is forgotten instead. How far bands stray is
//! learned for each of them, and how many do at once for the hop: a loudspeaker that distorts needs more evidence.

use std::collections::VecDeque;

use super::align::Frames;
use super::cancel::Powers;
use super::leak::{Excess, Leak, Sources};
use super::spectrum::{BANDS, Bands, Spectrum};
use crate::audio::HOP_MS;
use crate::gate::loudness::NoiseFloor;

/// At first the microphone is expected to hear the loudspeaker as loud as it plays, the linear filter to leave a
/// twentieth; from so far above its expectation a band stands out, dB.
const HEARD_AT_FIRST: f32 = 1.0;
const LEFT_AT_FIRST: f32 = 0.05;
const HEARD_MARGIN_DB: f32 = 3.0;
const LEFT_MARGIN_DB: f32 = 4.0;

/// Hops over which evidence is averaged: 70 ms. Tried 50 to 100.
const MEAN_HOPS: usize = 7;
/// Bands on average that are enough in a room in which nothing strays, at the start, and at most …
const ENOUGH_MIN: f32 = 1.0;
const ENOUGH_FIRST: f32 = 2.0;
const ENOUGH_MAX: f32 = 6.0;
/// … or so many times what strayed.
const ABOVE_STRAYED: f32 = 2.0;
/// How much of what strayed is remembered from hop to hop of the loudspeaker's sound (half after two minutes), and how
/// fast it rises, bands a hop: it may have been somebody who was not noticed.
const REMEMBERED: f32 = 0.999_942;
const STRAYED_RISES: f32 = 0.05;
/// An echo that is so much louder than the noise may be distorted, as a ratio of powers: 18 dB. What strays where it is
/// softer is the noise's doing, or somebody's.
const LOUD_ECHO: f32 = 63.0;

/// The most that one hop counts, bands.
const NEARNESS_MAX: f32 = 8.0;

/// What the suppressor lets pass counts so many times where it is so far above the noise, dB: it is no longer in doubt.
const PASSING_COUNTS: f32 = 3.0;
const PASSING_DB: (f32, f32) = (10.0, 30.0);

/// How much evidence counts while the room still sounds of what was played: reverberation dies away as it likes, and
/// there is time to hear more.
const TAIL_COUNTS: f32 = 0.5;

/// Somebody surely speaks where so many bands of what is left stand out, and for so long afterwards: nothing is learned.
const SURE_BANDS: f32 = 4.0;
const SURE_HOPS: u32 = 15;

/// Hops with the loudspeaker's sound that are learned before anybody is believed: 2.5 s.
const FIRST_HOPS: u32 = 250;

/// How much later what strayed is learned, hops: half a second, in which a window opens where somebody spoke.
const LATER_HOPS: usize = 50;
/// The suppressor is sure that all is echo once it let nothing pass for so many hops.
const SURE_ECHO_HOPS: u32 = 20;

/// The suppressor lets something pass where so much is left above the noise, as a ratio of powers: 6 dB …
const PASSES: f32 = 4.0;
/// … and has for so many hops: 120 ms, the gaps within a word.
const PASSED_HOPS: u32 = 12;

/// The longest that an echo comes behind the far end, and what is left open about it, hops.
const FAR_HOPS: usize = 64;
const DELAY_SLACK_HOPS: (usize, usize) = (1, 2);
/// A delay that was found anew is believed once it held so long, hops with the loudspeaker's sound: 3 s. The canceller's
/// estimate jumps to an echo of the echo for a second or two in a lively room.
const DELAY_HELD_HOPS: u32 = 300;

/// What is known of a hop.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Nearness {
    /// Bands in which there is more than the loudspeaker accounts for, 0 to 8.
    pub bands: f32,
    /// What there was in the last 70 ms, over what is enough to believe it in this room: from 1 on it is.
    pub lasting: f32,
    /// Whether the suppressor let something pass in the last 120 ms.
    pub passes: bool,
}

impl Nearness {
    /// From so many bands on there is something in a hop.
    const SOME_BANDS: f32 = 1.0;
    /// From so much on that lasts somebody may be speaking.
    const SUSPICIOUS: f32 = 0.35;

    /// Whether there is something in the hop that is not the loudspeaker's.
    pub fn is_some(self) -> bool {
        self.bands >= Nearness::SOME_BANDS
    }

    /// Whether somebody may be speaking, softly perhaps: what lowers the reply until it is decided.
    pub fn is_suspicious(self) -> bool {
        self.lasting >= Nearness::SUSPICIOUS
    }

    /// Whether there is anything at all that may be somebody's: what a cut reaches back to, and is sent whole.
    pub fn is_anything(self) -> bool {
        self.is_some() || self.is_suspicious()
    }
}

/// The signals of a hop.
#[derive(Clone, Copy)]
pub struct Signals<'a> {
    /// The far-end copy that belongs to it.
    pub far: &'a Frames,
    /// What the microphone heard.
    pub near: &'a Frames,
    /// What the linear filter left of it.
    pub linear: &'a Frames,
    /// Powers after each stage.
    pub powers: &'a Powers,
}

/// What happens in the hop, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// After how long the echo comes, as the canceller has it, ms.
    pub delay_ms: u32,
    /// Whether the loudspeaker can be heard.
    pub is_far: bool,
    /// Whether of the loudspeaker only the room's own sound can be heard.
    pub is_tail: bool,
    /// Whether a window is open: somebody speaks.
    pub is_talking: bool,
    /// Whether the canceller does its work, as far as is known; where it does not, all that is heard is echo.
    pub is_trusted: bool,
}

/// A hop that may have strayed: how far each band did in both signals, dB, and what came of it.
struct Stray {
    heard_db: Bands,
    left_db: Bands,
    bands: f32,
}

/// Learns what the loudspeaker leaves, and tells what is more than that.
pub struct Evidence {
    spectra: [Spectrum; 3],
    sources: Sources,
    heard: Leak,
    left: Leak,
    /// The far end, newest at `next - 1`.
    far: Vec<Bands>,
    next: usize,
    delay: Delay,
    /// What may have strayed in the last half second, oldest first, and the most that did, bands.
    straying: VecDeque<Stray>,
    strayed: f32,
    /// Evidence of the last hops.
    bands: [f32; MEAN_HOPS],
    /// Hops with the loudspeaker's sound so far, and until something is learned again.
    far_hops: u32,
    sure_hops: u32,
    /// Hops since the suppressor let something pass.
    since_passed: u32,
    /// The noise while nothing plays, and what passes the suppressor of it while something does.
    quiet: NoiseFloor,
    playing: NoiseFloor,
}

impl Evidence {
    /// Nothing learned.
    pub fn new() -> Evidence {
        Evidence {
            spectra: std::array::from_fn(|_| Spectrum::new()),
            sources: Sources::SILENT,
            heard: Leak::new(HEARD_AT_FIRST, HEARD_MARGIN_DB),
            left: Leak::new(LEFT_AT_FIRST, LEFT_MARGIN_DB),
            far: vec![[0.0; BANDS]; FAR_HOPS],
            next: 0,
            delay: Delay::default(),
            straying: VecDeque::with_capacity(LATER_HOPS + 1),
            strayed: ENOUGH_FIRST / ABOVE_STRAYED,
            bands: [0.0; MEAN_HOPS],
            far_hops: 0,
            sure_hops: 0,
            since_passed: u32::MAX,
            quiet: NoiseFloor::new(),
            playing: NoiseFloor::new(),
        }
    }

    /// Takes the next hop.
    pub fn handle_hop(&mut self, signals: &Signals, now: Circumstances) -> Nearness {
        let [far, near, linear] = &mut self.spectra;
        let (far, near, linear) = (far.bands(signals.far), near.bands(signals.near), linear.bands(signals.linear));
        self.note_clean(signals.powers.clean, now.is_far);
        self.note_far(far, now);
        let (heard, left) = (self.heard.compare(&near, &self.sources), self.left.compare(&linear, &self.sources));
        let bands = if self.is_first() { 0.0 } else { heard.bands.min(left.bands).min(NEARNESS_MAX) };
        let counts = if now.is_tail { TAIL_COUNTS } else { self.passing(signals.powers.clean) };
        self.bands[self.next % MEAN_HOPS] = bands * counts;
        let mean = self.bands.iter().sum::<f32>() / MEAN_HOPS as f32;
        let enough = (ABOVE_STRAYED * self.strayed).clamp(ENOUGH_MIN, ENOUGH_MAX);
        if now.is_talking || !self.is_surely_echo(now) {
            self.straying.clear();
        }
        match (now.is_talking, now.is_far) {
            (true, _) => {}
            (false, true) => self.learn(&heard, &left, now, signals.powers.near, mean),
            (false, false) => {
                self.heard.learn_noise(&near);
                self.left.learn_noise(&linear);
            }
        }
        Nearness { bands, lasting: mean / enough, passes: self.since_passed < PASSED_HOPS }
    }

    /// Whether too little was heard of the loudspeaker yet to believe anything.
    fn is_first(&self) -> bool {
        self.far_hops < FIRST_HOPS
    }

    /// Whether all that is heard is taken for echo.
    fn is_surely_echo(&self, now: Circumstances) -> bool {
        self.since_passed >= SURE_ECHO_HOPS || self.is_first() || !now.is_trusted
    }

    /// Learns from a hop in which the loudspeaker can be heard and no window is open. `mean` is the evidence there was in
    /// the last ones, bands, `power` what the microphone heard, mean square of S16.
    fn learn(&mut self, heard: &Excess, left: &Excess, now: Circumstances, power: f32, mean: f32) {
        let is_surely_echo = self.is_surely_echo(now);
        let is_sure = left.bands > SURE_BANDS && !self.is_first() && now.is_trusted;
        self.far_hops = self.far_hops.saturating_add(1);
        self.sure_hops = if is_sure { SURE_HOPS } else { self.sure_hops.saturating_sub(1) };
        if self.sure_hops == 0 {
            self.heard.learn(heard);
            self.left.learn(left);
        }
        if is_surely_echo {
            let bands = if power >= LOUD_ECHO * self.noise(true) { mean } else { 0.0 };
            self.learn_later(Stray { heard_db: heard.above_db, left_db: left.above_db, bands });
        }
    }

    /// How much evidence counts for what the suppressor lets pass.
    fn passing(&self, clean: f32) -> f32 {
        let (least_db, most_db) = PASSING_DB;
        let above_db = 10.0 * (clean.max(1.0) / self.noise(true).max(1.0)).log10();
        1.0 + (PASSING_COUNTS - 1.0) * ((above_db - least_db) / (most_db - least_db)).clamp(0.0, 1.0)
    }

    fn learn_later(&mut self, stray: Stray) {
        self.strayed *= REMEMBERED;
        self.straying.push_back(stray);
        if self.straying.len() > LATER_HOPS
            && let Some(stray) = self.straying.pop_front()
        {
            self.heard.learn_margins(&stray.heard_db);
            self.left.learn_margins(&stray.left_db);
            self.strayed += (stray.bands - self.strayed).clamp(0.0, STRAYED_RISES);
        }
    }

    fn note_clean(&mut self, power: f32, is_far: bool) {
        if is_far {
            self.playing.handle_power(power)
        } else {
            self.quiet.handle_power(power)
        }
        let passes = power >= PASSES * self.noise(is_far).max(1.0);
        self.since_passed = if passes { 0 } else { self.since_passed.saturating_add(1) };
    }

    /// Notes what is played, and what of it bears on the newest hop.
    fn note_far(&mut self, far: Bands, now: Circumstances) {
        self.far[self.next % FAR_HOPS] = far;
        self.next += 1;
        let delay_hops = self.delay.handle_hop(now);
        let place = |age: usize| (self.next + FAR_HOPS - 1 - age.min(FAR_HOPS - 1)) % FAR_HOPS;
        let (before, after) = DELAY_SLACK_HOPS;
        let mut loudest = [0.0f32; BANDS];
        for age in delay_hops.saturating_sub(before)..=delay_hops + after {
            loudest.iter_mut().zip(&self.far[place(age)]).for_each(|(loudest, &power)| *loudest = loudest.max(power));
        }
        self.sources.handle_hop(&loudest, &self.far[place(delay_hops)]);
    }

    /// The power that the loudspeaker was expected to leave in what the microphone heard last, mean square of S16.
    pub fn echo(&self) -> f32 {
        self.heard.echo()
    }

    /// Power of the noise in the room, mean square of S16. While the loudspeaker can be heard the suppressor takes some
    /// of it away and then lets it pass: it is as loud as before all the same.
    pub fn noise(&self, is_far: bool) -> f32 {
        match (self.quiet.power(), self.playing.power()) {
            (None, None) => NOISE_MAX,
            (Some(noise), None) | (None, Some(noise)) => noise,
            (Some(quiet), Some(playing)) if is_far => quiet.max(playing),
            (Some(quiet), Some(_)) => quiet,
        }
    }
}

impl Default for Evidence {
    fn default() -> Evidence {
        Evidence::new()
    }
}

/// Before anything was heard everything is noise.
const NOISE_MAX: f32 = 1e9;

/// The delay that is believed.
#[derive(Default)]
struct Delay {
    hops: usize,
    found: usize,
    /// Hops with the loudspeaker's sound since another one was found, and in all.
    held: u32,
    heard: u32,
}

impl Delay {
    fn handle_hop(&mut self, now: Circumstances) -> usize {
        let found = ((now.delay_ms / HOP_MS) as usize).min(FAR_HOPS - 1);
        if now.is_far {
            self.heard = self.heard.saturating_add(1);
            self.held = if found == self.found { self.held.saturating_add(1) } else { 0 };
            self.found = found;
        }
        if self.held >= DELAY_HELD_HOPS || self.heard < FIRST_HOPS {
            self.hops = self.found;
        }
        self.hops
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_that_is_found_for_a_moment_is_not_believed() {
        let mut delay = Delay::default();
        let mut hops = |delay_ms: u32, count: u32, is_far: bool| {
            let now = Circumstances { delay_ms, is_far, is_tail: false, is_talking: false, is_trusted: true };
            (0..count).map(|_| delay.handle_hop(now)).last()
        };
        assert_eq!(hops(44, 20, true), Some(4), "the first one at once");
        assert_eq!(hops(60, 20, true), Some(6), "and what is found better at the start");
        assert_eq!(hops(60, 400, true), Some(6));
        assert_eq!(hops(120, 200, true), Some(6), "an echo of the echo");
        assert_eq!(hops(60, 10, true), Some(6));
        assert_eq!(hops(120, 250, true), Some(6));
        assert_eq!(hops(120, 500, false), Some(6), "silence proves nothing");
        assert_eq!(hops(120, 60, true), Some(12), "somebody has moved it");
        assert_eq!(hops(5000, 400, true), Some(FAR_HOPS - 1));
    }
}
