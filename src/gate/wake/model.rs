//! The wake word as its owner says it: a few sayings, and how they compare with each other.
//!
//! A distance by itself says little: voices, words and microphones differ. So two yardsticks are taken from the sayings
//! themselves, each held against the others: how far apart they lie (`own`), and how that compares with the same
//! sayings played backwards (`rival`), which have all of the voice and the room in them and nothing of the word.
//! Noise and strange voices move what is heard away from both, the word only from the second.

use super::align::{Aligner, ROWS_MAX, is_enough};
use super::features::{CEPSTRA, Row};
use super::history::center;

/// Sayings that a model is made of, at least.
pub const SAYINGS_MIN: usize = 3;
/// … and at most: each costs time at every comparison.
pub const SAYINGS_MAX: usize = 8;
/// Rows of the shortest saying: 0.3 s. Shorter words are in every sentence.
pub const ROWS_MIN: usize = 30;

/// Sayings that lie further apart than this are not one word. Six people's sayings of one phrase lay 34 to 43 apart,
/// different people's of one word 52 to 63 (free-spoken-digit-dataset and Precise-Community-Data, 2026-11-21).
const OWN_MAX: f32 = 48.0;
/// Sayings that lie nearer than people's do (a synthetic voice, one recording copied) say nothing of how the next
/// one will be.
const OWN_MIN: f32 = 32.0;
/// The same for the ratio to the sayings played backwards.
const RIVAL_MIN: f32 = 0.5;
/// A saying so much further from the others than these are from each other is not like them …
const ODD_FACTOR: f32 = 1.35;
/// … or than this.
const ODD_MIN: f32 = 24.0;

/// A word is learned in two takes: as it was recorded, and with some noise in it (`cut.rs`). What is heard is held
/// against both, each with yardsticks of its own: with only the first a fan makes another word of it, with only the
/// second a silent room does.
pub const TAKES: usize = 2;

/// One saying: each take `[rows]`, its mean taken away. Its numbers are never printed.
#[derive(Clone, PartialEq)]
pub struct Saying([Vec<Row>; TAKES]);

impl std::fmt::Debug for Saying {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Saying({} rows)", self.0[0].len())
    }
}

impl Saying {
    /// A saying from the rows of the word, silence around it cut off. None where it is too short or too long.
    pub fn new(mut takes: [Vec<Row>; TAKES]) -> Option<Saying> {
        for rows in &mut takes {
            if !(ROWS_MIN..=ROWS_MAX).contains(&rows.len()) || rows.iter().flatten().any(|number| !number.is_finite()) {
                return None;
            }
            let all = rows.len();
            center(rows, all);
        }
        Some(Saying(takes))
    }

    /// Its rows, take by take.
    pub fn takes(&self) -> &[Vec<Row>; TAKES] {
        &self.0
    }
}

/// Backwards: the same sounds, their slopes turned round.
fn reversed(rows: &[Row]) -> Vec<Row> {
    let turned = |row: &Row| {
        let mut row = *row;
        row[CEPSTRA..].iter_mut().for_each(|slope| *slope = -*slope);
        row
    };
    rows.iter().rev().map(turned).collect()
}

/// Every second row, the newest among them.
pub fn thin(rows: &[Row]) -> impl Iterator<Item = &Row> {
    rows.iter().skip((rows.len() + 1) % 2).step_by(2)
}

/// Why sayings make no model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ModelTrouble {
    /// Too few or too many.
    #[error("a wake word is learned from {SAYINGS_MIN} to {SAYINGS_MAX} sayings, and these are {0}: record it anew")]
    Count(usize),
    /// One is not like the others; numbered from 1.
    #[error("saying {0} is not like the others: say all of them the same way, as you will later")]
    Odd(usize),
    /// They have little in common.
    #[error(
        "the sayings have too little in common ({distance:.0} apart, {OWN_MAX:.0} would do): one person, one word, \
         one place, and a quiet room"
    )]
    Apart {
        /// Their mean distance.
        distance: f32,
    },
}

/// A wake word.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    sayings: Vec<Saying>,
    takes: [Take; TAKES],
}

/// One take of all sayings, and its yardsticks.
#[derive(Clone, PartialEq)]
struct Take {
    sayings: Vec<Vec<Row>>,
    rivals: Vec<Vec<Row>>,
    /// The saying that is most like the others, every second row of it: most of what is heard is found out by this.
    first: Vec<Row>,
    own: f32,
    rival: f32,
}

impl std::fmt::Debug for Take {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Take").field("own", &self.own).field("rival", &self.rival).finish_non_exhaustive()
    }
}

impl Model {
    /// A model of `sayings`.
    ///
    /// # Errors
    /// [`ModelTrouble`], where they are too few, or not of one word.
    pub fn new(sayings: Vec<Saying>) -> Result<Model, ModelTrouble> {
        if !(SAYINGS_MIN..=SAYINGS_MAX).contains(&sayings.len()) {
            return Err(ModelTrouble::Count(sayings.len()));
        }
        let take = |n: usize| Take::new(sayings.iter().map(|saying| saying.0[n].clone()).collect());
        let takes = [take(0)?, take(1)?];
        Ok(Model { sayings, takes })
    }

    /// The sayings.
    pub fn sayings(&self) -> &[Saying] {
        &self.sayings
    }

    /// Rows of a saying, as a rule (their median).
    pub fn rows(&self) -> usize {
        let mut lengths: Vec<usize> = self.sayings.iter().map(|saying| saying.0[0].len()).collect();
        lengths.sort_unstable();
        lengths[lengths.len() / 2]
    }

    /// Mean distance of the sayings from each other as they were recorded, the unit of scores.
    pub fn own(&self) -> f32 {
        self.takes[0].own
    }

    /// How `heard` (`[rows]`, centred, the word at its end) compares: 1 as the owner's sayings do with each other, more
    /// is further away. None where it is not below `worst`. `thinned` is [`thin`] of `heard`.
    pub fn score(&self, heard: &[Row], thinned: &[Row], aligner: &mut Aligner, worst: f32) -> Option<f32> {
        let scores = self.takes.iter().filter_map(|take| take.score(heard, thinned, aligner, worst));
        scores.min_by(f32::total_cmp)
    }
}

impl Take {
    fn new(sayings: Vec<Vec<Row>>) -> Result<Take, ModelTrouble> {
        let found: Vec<Distances> = (0..sayings.len()).map(|one| held_against_others(&sayings, one)).collect();
        let words: Vec<f32> = found.iter().map(|distances| distances.word).collect();
        if let Some(odd) = odd_one(&words) {
            return Err(ModelTrouble::Odd(odd + 1));
        }
        let own = mean(&words);
        if own > OWN_MAX {
            return Err(ModelTrouble::Apart { distance: own });
        }
        let ratios: Vec<f32> = found.iter().map(|distances| distances.word / distances.rival).collect();
        let most_like = (0..words.len()).min_by(|&a, &b| words[a].total_cmp(&words[b])).unwrap_or(0);
        let first = thin(&sayings[most_like]).copied().collect();
        let rivals = sayings.iter().map(|rows| reversed(rows)).collect();
        Ok(Take { sayings, rivals, first, own: own.max(OWN_MIN), rival: mean(&ratios).max(RIVAL_MIN) })
    }

    fn score(&self, heard: &[Row], thinned: &[Row], aligner: &mut Aligner, worst: f32) -> Option<f32> {
        aligner.compare(&self.first, thinned, FIRST_EASE * worst * self.own)?;
        let word = nearer_half(&self.sayings, heard, aligner, ONE_EASE * worst * self.own)?;
        if word > WORD_EASE * worst * self.own {
            return None;
        }
        let rival = nearer_half(&self.rivals, heard, aligner, f32::INFINITY)?;
        let score = word / self.own * (word / rival / self.rival).sqrt();
        (score <= worst).then_some(score)
    }
}

/// Distances of one saying to the others.
#[derive(Clone, Copy, Debug)]
struct Distances {
    word: f32,
    rival: f32,
}

/// The first comparison may be so much worse than the score is allowed to be: the other sayings may lie nearer.
const FIRST_EASE: f32 = 1.15;
/// And so may the distance to the sayings: more than this the comparison with the same sayings backwards does not mend
/// (of 5,900 matches of six people's phrases nine were above 1.0, none above 1.05) …
const WORD_EASE: f32 = 1.05;
/// … and a saying that is further away than this is not worth its whole comparison.
const ONE_EASE: f32 = 1.25;

/// The score up to which a word is heard: at 50 % most of what the owner says in a quiet room (README, "The wake
/// word").
pub fn threshold(sensitivity_percent: u32) -> f32 {
    const STRICT: f32 = 1.0;
    const EASY: f32 = 1.25;
    STRICT + (EASY - STRICT) * sensitivity_percent.min(100) as f32 / 100.0
}

/// Mean distance of `heard` to those sayings that lie nearer than the rest; none where it is too short for them, or
/// where so many are not nearer than `limit`.
fn nearer_half(sayings: &[Vec<Row>], heard: &[Row], aligner: &mut Aligner, limit: f32) -> Option<f32> {
    if !sayings.iter().all(|saying| is_enough(heard.len(), saying.len())) {
        return None;
    }
    // The nearest ones, in order. One that is further away than all of them is not worth its whole comparison.
    let mut nearest = [f32::INFINITY; SAYINGS_MAX.div_ceil(2)];
    let nearest = &mut nearest[..sayings.len().min(SAYINGS_MAX).div_ceil(2)];
    for saying in sayings {
        let Some(furthest) = nearest.last_mut() else { break };
        if let Some(found) = aligner.compare(saying, heard, furthest.min(limit)) {
            *furthest = found.distance;
            nearest.sort_unstable_by(f32::total_cmp);
        }
    }
    Some(mean(nearest)).filter(|mean| mean.is_finite())
}

fn held_against_others(sayings: &[Vec<Row>], one: usize) -> Distances {
    let others: Vec<Vec<Row>> =
        sayings.iter().enumerate().filter(|(n, _)| *n != one).map(|(_, other)| other.clone()).collect();
    let rivals: Vec<Vec<Row>> = others.iter().map(|rows| reversed(rows)).collect();
    let mut aligner = Aligner::new();
    // One that is twice as long as another cannot be laid over it at all.
    Distances {
        word: nearer_half(&others, &sayings[one], &mut aligner, f32::INFINITY).unwrap_or(f32::INFINITY),
        rival: nearer_half(&rivals, &sayings[one], &mut aligner, f32::INFINITY).unwrap_or(f32::INFINITY),
    }
}

/// The one that lies much further from the others than these from each other.
fn odd_one(distances: &[f32]) -> Option<usize> {
    let worst = (0..distances.len()).max_by(|&a, &b| distances[a].total_cmp(&distances[b]))?;
    let rest: Vec<f32> = (0..distances.len()).filter(|n| *n != worst).map(|n| distances[n]).collect();
    let limit = ODD_FACTOR * mean(&rest).max(ODD_MIN);
    (distances[worst] > limit).then_some(worst)
}

fn mean(numbers: &[f32]) -> f32 {
    numbers.iter().sum::<f32>() / numbers.len().max(1) as f32
}
