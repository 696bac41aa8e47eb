//! The newest rows, in one piece, and how many of them were voiced.

use super::features::{CEPSTRA, DIMS, Row};

/// A ring of rows that can be read as a slice. Allocates only when made.
pub struct History {
    /// Each row stands twice, `room` apart, so that the newest ones are always in one piece.
    rows: Vec<Row>,
    voiced: Vec<bool>,
    room: usize,
    next: usize,
    len: usize,
}

impl History {
    /// A history of the newest `room` rows; at least one.
    pub fn new(room: usize) -> History {
        let room = room.max(1);
        History { rows: vec![[0.0; DIMS]; 2 * room], voiced: vec![false; 2 * room], room, next: 0, len: 0 }
    }

    /// Adds the newest row, and whether it was voiced.
    pub fn push(&mut self, row: Row, voiced: bool) {
        for at in [self.next, self.next + self.room] {
            self.rows[at] = row;
            self.voiced[at] = voiced;
        }
        self.next = (self.next + 1) % self.room;
        self.len = (self.len + 1).min(self.room);
    }

    /// The newest `count` rows, oldest first; fewer where there are fewer.
    pub fn newest(&self, count: usize) -> &[Row] {
        &self.rows[self.span(count)]
    }

    /// How many of the newest `count` rows were voiced.
    pub fn voiced_among(&self, count: usize) -> usize {
        self.voiced[self.span(count)].iter().filter(|voiced| **voiced).count()
    }

    /// Forgets all rows.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    fn span(&self, count: usize) -> std::ops::Range<usize> {
        let end = self.next + self.room;
        end - count.min(self.len)..end
    }
}

/// Takes the mean of the last `over` rows from the cepstra of all: what microphone and room add to every row is gone.
/// The slopes have none of it.
pub fn center(rows: &mut [Row], over: usize) {
    let over = over.min(rows.len());
    let mut mean = [0.0f32; CEPSTRA];
    for row in &rows[rows.len() - over..] {
        for (mean, cepstrum) in mean.iter_mut().zip(row) {
            *mean += cepstrum;
        }
    }
    for row in rows {
        for (cepstrum, mean) in row.iter_mut().zip(&mean) {
            *cepstrum -= mean / over as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_rows_are_in_order_also_after_the_ring_went_round() {
        let mut history = History::new(5);
        for n in 0..13u8 {
            history.push([f32::from(n); DIMS], n % 2 == 0);
            let newest: Vec<f32> = history.newest(3).iter().map(|row| row[0]).collect();
            let expected: Vec<f32> = (n.saturating_sub(2)..=n).map(f32::from).collect();
            assert_eq!(newest, expected);
        }
        assert_eq!(history.voiced_among(5), 3, "of 8 to 12");
        assert_eq!(history.newest(99).len(), 5);
        history.clear();
        assert!(history.newest(3).is_empty());
    }

    #[test]
    fn what_every_row_has_is_taken_away_and_slopes_stay() {
        let mut rows: Vec<Row> = (0..4u8).map(|n| [f32::from(n) + 7.0; DIMS]).collect();
        center(&mut rows, 2);
        assert_eq!(rows.iter().map(|row| row[0]).collect::<Vec<_>>(), [-2.5, -1.5, -0.5, 0.5]);
        assert_eq!(rows[0][CEPSTRA], 7.0);
    }
}
