//! What the device's own sounds must be: which cue is due, and what of it, whatever plays beneath.

use std::collections::VecDeque;

use mynah::flow::Cue;
use mynah::speaker::cue;
use mynah::units::Hertz;

const RATE: Hertz = Hertz(24_000);

/// The cues that were ordered and are not over, the one that sounds first.
#[derive(Default)]
pub struct Figures {
    waiting: VecDeque<Cue>,
    /// Frames of the first that are with the device, and that were heard.
    given: usize,
    heard: usize,
    /// Where the first was taken up after it was cut together with a reply.
    taken_up: usize,
    /// Times that the last of them was heard to its end, and no fact has told it.
    untold: usize,
}

impl Figures {
    pub fn order(&mut self, cue: Cue) {
        if self.waiting.len() == 2 {
            // Steps of the conversation do not push out what is wrong or was changed.
            let is_step = |cue: Cue| matches!(cue, Cue::Listening | Cue::Heard | Cue::Thinking);
            if !is_step(cue) || is_step(self.waiting[1]) {
                self.waiting[1] = cue;
            }
        } else if self.waiting.back() != Some(&cue) {
            self.waiting.push_back(cue);
        }
    }

    /// What is due in the next `len` frames.
    pub fn give(&mut self, len: usize) -> Vec<i16> {
        let Some(&first) = self.waiting.front() else { return Vec::new() };
        let from = self.given;
        self.given += len.min(cue::length(first, RATE) - from);
        (from..self.given).map(|at| cue::sample(first, at, self.taken_up, RATE)).collect()
    }

    pub fn heard(&mut self, frames: usize) {
        self.heard += frames;
        if self.waiting.front().is_some_and(|&first| self.heard == cue::length(first, RATE)) {
            self.waiting.pop_front();
            (self.given, self.heard, self.taken_up) = (0, 0, 0);
            self.untold += usize::from(self.waiting.is_empty());
        }
    }

    /// The device was emptied.
    pub fn cut(&mut self) {
        (self.given, self.taken_up) = (self.heard, self.heard);
    }

    /// The fact came that they are over; answers whether they are.
    pub fn told_over(&mut self) -> bool {
        let is_true = self.untold > 0;
        self.untold = self.untold.saturating_sub(1);
        is_true
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.untold == 0
    }
}
