//! Looks for the word at the end of what was heard, hop by hop.

use super::align::{Aligner, HEARD_ROWS_MAX};
use super::features::{DIMS, FrontEnd, Row};
use super::history::{History, center};
use super::model::{Model, thin};
use crate::audio::HOP_FRAMES;

/// A comparison every so many hops: a word's end is not sharper than 40 ms.
const EVERY_HOPS: u32 = 4;
/// Of the rows of a word at least so large a part (1 of 2) is voiced …
const VOICED_PART: usize = 2;
/// … and the last voiced one is no longer ago than this, or nothing new has been said: what sounds without voice at
/// a word's end takes 200 ms.
const VOICED_WITHIN_ROWS: usize = 25;

/// A matcher on one stream of hops.
pub struct Spotter {
    front: FrontEnd,
    history: History,
    aligner: Aligner,
    model: Model,
    threshold: f32,
    word_rows: usize,
    /// The newest rows less their mean.
    centred: Vec<Row>,
    /// Every second of them.
    thinned: Vec<Row>,
    until_next: u32,
    score: Option<f32>,
}

impl Spotter {
    /// A matcher that says yes up to the score `threshold`.
    pub fn new(model: &Model, threshold: f32) -> Spotter {
        Spotter {
            front: FrontEnd::new(),
            history: History::new(HEARD_ROWS_MAX),
            aligner: Aligner::new(),
            word_rows: model.rows(),
            model: model.clone(),
            threshold,
            centred: vec![[0.0; DIMS]; HEARD_ROWS_MAX],
            thinned: Vec::with_capacity(HEARD_ROWS_MAX),
            until_next: EVERY_HOPS,
            score: None,
        }
    }

    /// Takes the next hop (`[160 frames, 1 channel] S16 @ 16 kHz`); answers whether the word ends here.
    pub fn hear(&mut self, hop: &[i16; HOP_FRAMES], voiced: bool) -> bool {
        let Some(row) = self.front.push(hop) else { return false };
        self.history.push(row, voiced);
        self.until_next -= 1;
        if self.until_next > 0 {
            return false;
        }
        self.until_next = EVERY_HOPS;
        self.score = if self.may_end_here() { self.compare() } else { None };
        self.score.is_some()
    }

    /// The score of the newest comparison, where it was within the threshold.
    pub fn score(&self) -> Option<f32> {
        self.score
    }

    /// Forgets what was heard.
    pub fn reset(&mut self) {
        self.front.reset();
        self.history.clear();
        self.score = None;
    }

    fn may_end_here(&self) -> bool {
        self.history.voiced_among(VOICED_WITHIN_ROWS) > 0
            && self.history.voiced_among(self.word_rows) * VOICED_PART >= self.word_rows
    }

    fn compare(&mut self) -> Option<f32> {
        let heard = self.history.newest(HEARD_ROWS_MAX.min(2 * self.word_rows));
        let centred = &mut self.centred[..heard.len()];
        centred.copy_from_slice(heard);
        center(centred, self.word_rows);
        self.thinned.clear();
        self.thinned.extend(thin(centred));
        self.model.score(centred, &self.thinned, &mut self.aligner, self.threshold)
    }
}
