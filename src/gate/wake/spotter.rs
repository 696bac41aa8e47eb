//! Looks for the word at the end of what was heard, hop by hop, and says so when the word is over.
//!
//! The score falls below the threshold up to 200 ms before the word's last sound, goes on falling to that sound, and
//! rises after it. What is told at the threshold is told in mid-word, and the rest of the word would be taken for what
//! is said after it. So it is told once the score no longer falls.

use super::align::{Aligner, HEARD_ROWS_MAX};
use super::features::{DIMS, FrontEnd, Row};
use super::history::{History, center};
use super::model::{Model, thin};
use crate::audio::HOP_FRAMES;

/// A comparison every so many hops: a word's end is not sharper than 40 ms.
const EVERY_HOPS: u32 = 4;
/// A match is told after so many comparisons even if the score still falls (480 ms): no word's end is so long.
const FALLS_MAX: u32 = 12;
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
    /// The best score of a match that was not told yet, and how many comparisons it has.
    falling: Option<(f32, u32)>,
    matched: Option<f32>,
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
            falling: None,
            matched: None,
        }
    }

    /// Takes the next hop (`[160 frames, 1 channel] S16 @ 16 kHz`); answers whether the word has just
    /// ended.
    pub fn hear(&mut self, hop: &[i16; HOP_FRAMES], voiced: bool) -> bool {
        let Some(row) = self.front.push(hop) else { return false };
        self.history.push(row, voiced);
        self.until_next -= 1;
        if self.until_next > 0 {
            return false;
        }
        self.until_next = EVERY_HOPS;
        self.score = if self.may_end_here() { self.compare() } else { None };
        self.is_over()
    }

    /// The score of the newest comparison, where it was within the threshold.
    pub fn score(&self) -> Option<f32> {
        self.score
    }

    /// The best score of the newest match that was told.
    pub fn matched(&self) -> Option<f32> {
        self.matched
    }

    /// Forgets what was heard.
    pub fn reset(&mut self) {
        self.front.reset();
        self.history.clear();
        self.score = None;
        self.falling = None;
    }

    /// Whether there was a match, and its score no longer falls.
    fn is_over(&mut self) -> bool {
        self.falling = match (self.falling, self.score) {
            (None, score) => score.map(|score| (score, 1)),
            (Some((best, count)), Some(score)) if score < best && count < FALLS_MAX => Some((score, count + 1)),
            (Some((best, _)), score) => {
                self.matched = Some(score.map_or(best, |score| score.min(best)));
                self.falling = None;
                return true;
            }
        };
        false
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
