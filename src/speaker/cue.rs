//! Cues: the device's own short sounds, and how far one is.
//!
//! What sounds is the built-in figure (`figure.rs`) or the owner's recording (`sounds.rs`).

pub mod figure;
pub mod sounds;

pub use self::figure::CUE_MS_MAX;
use self::sounds::Sounds;
use super::volume::FADE_MS;
use crate::flow::Cue;
use crate::units::Hertz;

/// Length of a built-in figure in frames at `rate`.
pub fn length(cue: Cue, rate: Hertz) -> usize {
    figure::length(cue, rate)
}

/// The frame `at` of a built-in figure (`S16 @ rate`), which begins, or began anew, at the frame `begun`; 0 past its end.
pub fn sample(cue: Cue, at: usize, begun: usize, rate: Hertz) -> i16 {
    swelled(figure::sample(cue, at, rate), at, begun, rate)
}

/// Whether a cue only says how far a conversation is.
pub fn is_step(cue: Cue) -> bool {
    matches!(cue, Cue::Listening | Cue::Heard | Cue::Thinking)
}

/// A frame `at` of a sound that was taken up anew at the frame `begun`: it swells from there.
fn swelled(frame: i16, at: usize, begun: usize, rate: Hertz) -> i16 {
    if begun == 0 {
        return frame;
    }
    let fade_frames = rate.frames_in_ms(FADE_MS).max(1) as f64;
    (f64::from(frame) * (at.saturating_sub(begun) as f64 / fade_frames).min(1.0)).round() as i16
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
/// it is the one that is still true; but a step of the conversation does not push out what is wrong or was changed. A cue
/// is not cut: half of a figure means nothing, or another one.
#[derive(Debug, Default)]
pub struct CuePlayer {
    sounds: Sounds,
    now: Option<Sounding>,
    next: Option<Cue>,
    is_told: bool,
}

impl CuePlayer {
    /// Sounds `sounds` from now on.
    pub fn set_sounds(&mut self, sounds: Sounds) {
        self.sounds = sounds;
    }

    /// Sounds `cue`, now or after the one that sounds. One that sounds or waits already is not said twice.
    pub fn order(&mut self, cue: Cue) {
        match self.now {
            None => self.now = Some(Sounding::new(cue)),
            Some(now) if now.cue == cue && self.next.is_none() => {}
            Some(_) if is_step(cue) && self.next.is_some_and(|next| !is_step(next)) => {}
            Some(_) => self.next = Some(cue),
        }
    }

    /// Whether a cue is to be heard, rendered or not.
    pub fn is_sounding(&self) -> bool {
        self.now.is_some()
    }

    /// Whether there are frames to be rendered.
    pub fn has_frames(&self, rate: Hertz) -> bool {
        self.now.is_some_and(|now| now.at < self.sounds.length(now.cue, rate))
    }

    /// Adds what comes next to `block` (`[frames, 1 channel] S16 @ rate`), whose first frame lies at `line_at`.
    pub fn mix(&mut self, block: &mut [i16], line_at: u64, rate: Hertz) {
        let Some(now) = &mut self.now else { return };
        now.line_from.get_or_insert(line_at.saturating_sub(now.at as u64));
        let left = self.sounds.length(now.cue, rate).saturating_sub(now.at);
        for frame in block.iter_mut().take(left) {
            let cue = self.sounds.sample(now.cue, now.at, rate);
            *frame = frame.saturating_add(swelled(cue, now.at, now.begun, rate));
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
        if now.heard < self.sounds.length(now.cue, rate) {
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
