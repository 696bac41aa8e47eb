//! Cues: the device's own short sounds, what they are made of and how far one is.
//!
//! Four figures that differ in more than one way (how many tones, how they move, high or low, bright or hollow), so
//! that they are told apart without a musical ear. Small loudspeakers give little below 400 Hz and turn harsh above
//! 2 kHz: the energy lies between. A figure is a function of the frame, not a recording: it needs no memory, fits
//! every rate, and one that was cut with the reply under it is taken up where it was heard to.

use std::f64::consts::TAU;

use super::volume::FADE_MS;
use crate::flow::Cue;
use crate::units::Hertz;

/// The longest figure, ms: what a device has to say of itself must not stand in the way of a conversation.
pub const CUE_MS_MAX: u32 = 450;
/// Peak of a figure, -15 dBFS: heard over speech, which peaks 10 dB above, and not startling in a silent room.
const PEAK: f64 = 5800.0;
/// How long a tone swells, ms: no click, and still the beginning of something.
const SWELL_MS: f64 = 12.0;

/// One tone of a figure and the rest after it.
#[derive(Clone, Copy, Debug)]
struct Tone {
    from_hz: f64,
    /// Its pitch at its end; it moves there evenly.
    to_hz: f64,
    ms: u32,
    /// How long it fades at its end, ms: as long as itself for one that is struck, short for one that is held.
    fade_ms: f64,
    /// Strength of its third harmonic beside it, 0 to 0.5: what makes a tone hollow, and what a small loudspeaker gives of a
    /// low one.
    third: f64,
    rest_ms: u32,
}

/// Struck lightly twice, like a finger on a glass: one moment.
const STRUCK: Tone = Tone { from_hz: 1047.0, to_hz: 1047.0, ms: 100, fade_ms: 88.0, third: 0.0, rest_ms: 50 };
/// One tone that slides down an octave: it slipped away.
const SLIDE: Tone = Tone { from_hz: 1245.0, to_hz: 622.0, ms: 320, fade_ms: 100.0, third: 0.0, rest_ms: 0 };
/// Held, low and hollow, twice: an engaged line.
const HELD: Tone = Tone { from_hz: 440.0, to_hz: 440.0, ms: 170, fade_ms: 30.0, third: 0.45, rest_ms: 80 };
/// Stairs down: it is going out.
const STEP: Tone = Tone { from_hz: 988.0, to_hz: 988.0, ms: 120, fade_ms: 50.0, third: 0.0, rest_ms: 20 };

const AGAIN: &[Tone] = &[STRUCK, Tone { rest_ms: 0, ..STRUCK }];
const LOST: &[Tone] = &[SLIDE];
const OFFLINE: &[Tone] = &[HELD, Tone { rest_ms: 0, ..HELD }];
const SPENT: &[Tone] = &[
    STEP,
    Tone { from_hz: 740.0, to_hz: 740.0, ..STEP },
    Tone { from_hz: 523.0, to_hz: 523.0, ms: 160, fade_ms: 90.0, rest_ms: 0, ..STEP },
];

fn tones(cue: Cue) -> &'static [Tone] {
    match cue {
        Cue::Again => AGAIN,
        Cue::Lost => LOST,
        Cue::Offline => OFFLINE,
        Cue::Spent | Cue::Error | Cue::Muted | Cue::Unmuted | Cue::Reset | Cue::Thinking => SPENT,
        Cue::Listening | Cue::Heard => AGAIN,
    }
}

/// Length of a figure in frames at `rate`.
pub fn length(cue: Cue, rate: Hertz) -> usize {
    rate.frames_in_ms(tones(cue).iter().map(|tone| tone.ms + tone.rest_ms).sum())
}

/// The frame `at` of a figure (`S16 @ rate`), which begins, or began anew, at the frame `begun`; 0 past its end.
pub fn sample(cue: Cue, at: usize, begun: usize, rate: Hertz) -> i16 {
    let mut ms = at as f64 * 1000.0 / f64::from(rate.0);
    for tone in tones(cue) {
        if ms < f64::from(tone.ms) {
            let again = if begun == 0 { 1.0 } else { (at - begun.min(at)) as f64 / fade_frames(rate) };
            return (PEAK * tone_at(tone, ms) * again.min(1.0)).round() as i16;
        }
        ms -= f64::from(tone.ms + tone.rest_ms);
        if ms < 0.0 {
            return 0;
        }
    }
    0
}

fn fade_frames(rate: Hertz) -> f64 {
    rate.frames_in_ms(FADE_MS).max(1) as f64
}

/// A tone `ms` after its beginning: -1 to 1.
fn tone_at(tone: &Tone, ms: f64) -> f64 {
    let (s, whole_s) = (ms / 1000.0, f64::from(tone.ms) / 1000.0);
    let cycles = tone.from_hz * s + (tone.to_hz - tone.from_hz) * s * s / (2.0 * whole_s);
    let wave = (TAU * cycles.fract()).sin() + tone.third * (TAU * (3.0 * cycles).fract()).sin();
    let swell = soft(ms / SWELL_MS) * soft((f64::from(tone.ms) - ms) / tone.fade_ms);
    // The two do not peak together: for a third harmonic up to a half of the tone the sum stays below this.
    wave * swell / (1.0 + 0.16 * tone.third)
}

/// From 0 to 1 without a corner at either end.
fn soft(x: f64) -> f64 {
    0.5 - 0.5 * (x.clamp(0.0, 1.0) * TAU / 2.0).cos()
}

/// A cue on its way: `at` frames were rendered, `heard` of them heard.
#[derive(Clone, Copy, Debug)]
struct Sounding {
    cue: Cue,
    at: usize,
    heard: usize,
    /// Where it begins, or was taken up after a cut.
    begun: usize,
    /// Where on the ledger's line its first frame lies, once anything of it was rendered.
    line_from: Option<u64>,
}

impl Sounding {
    fn new(cue: Cue) -> Sounding {
        Sounding { cue, at: 0, heard: 0, begun: 0, line_from: None }
    }
}

/// What happened to the cues, for the facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The first of them is with the device.
    Started,
    /// The last of them was heard, or nothing of it will be.
    Over,
}

/// The cue that sounds and the one that waits for it. Of several that come while one sounds only the newest waits:
/// it is the one that is still true. A cue is not cut: half of a figure means nothing, or another one.
#[derive(Debug, Default)]
pub struct CuePlayer {
    now: Option<Sounding>,
    next: Option<Cue>,
    is_told: bool,
}

impl CuePlayer {
    /// Sounds `cue`, now or after the one that sounds. One that sounds or waits already is not said twice.
    pub fn order(&mut self, cue: Cue) {
        match self.now {
            None => self.now = Some(Sounding::new(cue)),
            Some(now) if now.cue == cue && self.next.is_none() => {}
            Some(_) => self.next = Some(cue),
        }
    }

    /// Whether a cue is to be heard, rendered or not.
    pub fn is_sounding(&self) -> bool {
        self.now.is_some()
    }

    /// Whether there are frames to be rendered.
    pub fn has_frames(&self, rate: Hertz) -> bool {
        self.now.is_some_and(|now| now.at < length(now.cue, rate))
    }

    /// Adds what comes next to `block` (`[frames, 1 channel] S16 @ rate`), whose first frame lies at `line_at`.
    pub fn mix(&mut self, block: &mut [i16], line_at: u64, rate: Hertz) {
        let Some(now) = &mut self.now else { return };
        now.line_from.get_or_insert(line_at.saturating_sub(now.at as u64));
        let left = length(now.cue, rate).saturating_sub(now.at);
        for frame in block.iter_mut().take(left) {
            *frame = frame.saturating_add(sample(now.cue, now.at, now.begun, rate));
            now.at += 1;
        }
    }

    /// Tells that the device runs; answers whether it begins to sound a cue by that.
    pub fn on_running(&mut self) -> Option<Change> {
        let is_new = !self.is_told && self.now.is_some_and(|now| now.at > 0);
        self.is_told |= is_new;
        is_new.then_some(Change::Started)
    }

    /// Tells that everything on the line before `line_here` was heard.
    pub fn on_position(&mut self, line_here: u64, rate: Hertz) -> Option<Change> {
        let now = self.now.as_mut()?;
        let reached = line_here.saturating_sub(now.line_from?) as usize;
        now.heard = now.heard.max(reached.min(now.at));
        if now.heard < length(now.cue, rate) {
            return None;
        }
        self.now = self.next.take().map(Sounding::new);
        if self.now.is_none() { self.over() } else { None }
    }

    /// Tells that the device was emptied: what was not heard is rendered once more.
    pub fn on_dropped(&mut self) {
        if let Some(now) = &mut self.now {
            (now.at, now.begun, now.line_from) = (now.heard, now.heard, None);
        }
    }

    /// Gives up what sounds and what waits: there is no device, and later it would not be true any more.
    pub fn give_up(&mut self) -> Option<Change> {
        (self.now, self.next) = (None, None);
        self.over()
    }

    fn over(&mut self) -> Option<Change> {
        std::mem::take(&mut self.is_told).then_some(Change::Over)
    }
}

#[cfg(test)]
mod tests;
