//! How far what was heard lies from a saying: dynamic time warping, both ends of the word on the newest row.
//!
//! Symmetric steps without slope limit (Sakoe and Chiba 1978, P = 0): a step in one of the two counts once, a step in
//! both twice, so the sum divided by both lengths is a mean distance of rows that does not depend on the path. The
//! path runs backwards from the newest row: where the word began is found, not guessed. A band around the diagonal
//! bounds how much faster or slower it may be said, and the cost.

use super::features::Row;

/// Rows of the longest saying: 2 s.
pub const ROWS_MAX: usize = 200;
/// Rows of what was heard that a path may use: `SLOWER_MAX` times as slow.
pub const HEARD_ROWS_MAX: usize = ROWS_MAX * SLOWER_MAX.0 / SLOWER_MAX.1;

/// A word may be said so much slower (8 : 5) than it was recorded …
const SLOWER_MAX: (usize, usize) = (8, 5);
/// … or so much faster.
const FASTER_MAX: (usize, usize) = (5, 8);
/// Rows that the path may leave the band's cone by, so that the ends are not a needle's eye.
const SLACK_ROWS: usize = 4;

/// After this part (1 of 6) of the saying a comparison may be given up …
const LOOKS_FIRST_AT: usize = 6;
/// … where the best path is so many times as far away as it may be at its end.
const HOPELESS: f32 = 1.1;

/// What a comparison found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// Mean distance of the rows along the best path.
    pub distance: f32,
    /// Rows of what was heard that the path uses: the word began so long ago.
    pub rows: usize,
}

/// Room for the comparisons, made once.
pub struct Aligner {
    before: Vec<f32>,
    here: Vec<f32>,
}

impl Default for Aligner {
    fn default() -> Aligner {
        Aligner::new()
    }
}

/// Whether `heard` rows are enough to lay `saying` rows over them, said as fast as may be.
pub fn is_enough(heard: usize, saying: usize) -> bool {
    let shortest = saying * FASTER_MAX.0 / FASTER_MAX.1;
    shortest > 0 && heard >= shortest
}

impl Aligner {
    /// Room for what was heard in [`HEARD_ROWS_MAX`] rows.
    pub fn new() -> Aligner {
        Aligner { before: vec![f32::INFINITY; HEARD_ROWS_MAX], here: vec![f32::INFINITY; HEARD_ROWS_MAX] }
    }

    /// The best way to lay `saying` (`[rows]`, oldest first) over the end of `heard` (`[rows]`, oldest first).
    ///
    /// Finds nothing where no path is nearer than `limit`, and mostly gives up early then; nothing too where either is
    /// too short.
    pub fn compare(&mut self, saying: &[Row], heard: &[Row], limit: f32) -> Option<Match> {
        let longest = (saying.len() * SLOWER_MAX.0 / SLOWER_MAX.1 + SLACK_ROWS).min(HEARD_ROWS_MAX);
        let rows = heard.len().min(longest);
        let heard = &heard[heard.len() - rows..];
        let shortest = saying.len() * FASTER_MAX.0 / FASTER_MAX.1;
        if !is_enough(rows, saying.len()) {
            return None;
        }
        self.before[..rows].fill(f32::INFINITY);
        for (i, row) in saying.iter().rev().enumerate() {
            let least = self.next(i, row, heard);
            if i >= saying.len() / LOOKS_FIRST_AT && least > limit * HOPELESS {
                return None;
            }
            std::mem::swap(&mut self.before, &mut self.here);
        }
        let ends = self.before[..rows].iter().enumerate().skip(shortest - 1);
        let matches = ends.map(|(j, sum)| Match { distance: sum / (saying.len() + j + 1) as f32, rows: j + 1 });
        matches.min_by(|a, b| a.distance.total_cmp(&b.distance)).filter(|found| found.distance <= limit)
    }

    /// Fills `here` for the `i`th row from the end of the saying; answers the least mean distance of a path so far.
    fn next(&mut self, i: usize, row: &Row, heard: &[Row]) -> f32 {
        let from = (i * FASTER_MAX.0 / FASTER_MAX.1).saturating_sub(SLACK_ROWS);
        let to = (i * SLOWER_MAX.0 / SLOWER_MAX.1 + SLACK_ROWS + 1).min(heard.len());
        self.here[..heard.len()].fill(f32::INFINITY);
        let mut least = f32::INFINITY;
        for j in from..to {
            let away = distance(row, &heard[heard.len() - 1 - j]);
            let sum = if i == 0 && j == 0 {
                2.0 * away
            } else {
                let left = if j > 0 { self.here[j - 1] } else { f32::INFINITY };
                let both = if j > 0 { self.before[j - 1] } else { f32::INFINITY };
                (left.min(self.before[j]) + away).min(both + 2.0 * away)
            };
            self.here[j] = sum;
            least = least.min(sum / (i + j + 2) as f32);
        }
        least
    }
}

/// Euclidean. In lanes, because the order in which floating-point numbers are added is not the compiler's to change.
fn distance(a: &Row, b: &Row) -> f32 {
    let mut sums = [0.0; LANES];
    for (a, b) in a.as_chunks::<LANES>().0.iter().zip(b.as_chunks::<LANES>().0) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += (a - b) * (a - b);
        }
    }
    sums.iter().sum::<f32>().sqrt()
}

/// What the vector units of the boards take at once, twice.
const LANES: usize = 8;
const _: () = assert!(super::features::DIMS.is_multiple_of(LANES));

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::gate::wake::features::DIMS;

    /// Rows that go through `points`, each held for `hold` rows.
    fn path(points: &[f32], hold: usize) -> Vec<Row> {
        points.iter().flat_map(|point| std::iter::repeat_n([*point; DIMS], hold)).collect()
    }

    const WORD: [f32; 8] = [1.0, 5.0, 2.0, 8.0, 3.0, 9.0, 1.0, 6.0];

    #[test]
    fn a_word_is_found_at_the_end_however_fast_it_is_said() {
        let mut aligner = Aligner::new();
        let saying = path(&WORD, 10);
        for hold in [7, 10, 15] {
            let heard = [path(&[4.0, 7.0], 60), path(&WORD, hold)].concat();
            let found = aligner.compare(&saying, &heard, 1.0).unwrap();
            assert!(found.distance < 1e-3 && found.rows.abs_diff(8 * hold) <= hold, "{hold}: {found:?}");
        }
    }

    #[test]
    fn what_is_said_after_the_word_or_in_another_order_is_not_the_word() {
        let mut aligner = Aligner::new();
        let saying = path(&WORD, 10);
        let mut backwards = WORD;
        backwards.reverse();
        let late = [path(&WORD, 10), path(&[4.0], 40)].concat();
        for heard in [path(&backwards, 10), late, path(&[4.0], 80)] {
            assert!(aligner.compare(&saying, &heard, 1e9).unwrap().distance > 2.0);
            assert_eq!(aligner.compare(&saying, &heard, 1.0), None);
        }
    }

    #[test]
    fn what_is_too_short_is_compared_with_nothing() {
        let mut aligner = Aligner::new();
        let saying = path(&WORD, 10);
        for rows in [0, 1, 40, 49] {
            assert_eq!(aligner.compare(&saying, &saying[..rows], 1e9), None, "{rows}");
        }
        for rows in 0..3 {
            let _ = aligner.compare(&saying[..rows], &saying, 1e9); // must not panic
        }
        let long = path(&WORD, 60);
        assert!(aligner.compare(&long[..ROWS_MAX], &long, 1e9).is_some(), "and what is too long is cut");
    }
}
