//! Captions that do not overlap: words broken into lines, boxes packed into rows.

use super::svg::width_of;

/// Height of a line of a caption, pixels.
pub(super) const LINE: f64 = 15.0;
/// Size of the letters.
pub(super) const SIZE: f64 = 12.0;
/// Between two boxes in a row, and between bar and words.
const GAP: f64 = 8.0;
/// A box is at least so wide, even if the next caption begins earlier; that one goes to another row.
const WIDTH_MIN: f64 = 170.0;
/// A box is at most so wide: longer lines are hard to read.
const WIDTH_MAX: f64 = 330.0;
/// Lines in a box; what is longer is shortened.
const LINES_MAX: usize = 4;

/// A caption with its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placed {
    /// Where the words belong to; a bar marks it.
    pub(super) mark: f64,
    /// Left edge of the words.
    pub(super) x: f64,
    /// Top of the box, from the top of the block.
    pub(super) y: f64,
    pub(super) lines: Vec<String>,
    width: f64,
}

/// Places captions, given as (x, text) from left to right, between `left` and `right`. Answers them with the
/// height of the block.
pub(super) fn place(captions: &[(f64, &str)], left: f64, right: f64) -> (Vec<Placed>, f64) {
    let mut placed: Vec<Placed> = Vec::new();
    let mut rows: Vec<Vec<usize>> = Vec::new();
    for (i, &(mark, text)) in captions.iter().enumerate() {
        let next = captions.get(i + 1).map_or(right, |next| next.0);
        let lines = wrap(text, (next - mark - 3.0 * GAP).clamp(WIDTH_MIN, WIDTH_MAX));
        let width = lines.iter().map(|line| width_of(line, SIZE)).fold(0.0, f64::max) + GAP;
        // Near the right edge the words, with their bar, stand a little to the left of where they belong.
        let x = (mark + GAP).min(right - width).max(left + GAP);
        let mark = mark.min(x - GAP);
        let is_free = |row: &Vec<usize>| row.iter().all(|&other| placed[other].x + placed[other].width + GAP <= mark);
        let row = rows.iter().position(is_free).unwrap_or_else(|| {
            rows.push(Vec::new());
            rows.len() - 1
        });
        rows[row].push(placed.len());
        placed.push(Placed { mark, x, y: 0.0, lines, width });
    }
    let mut y = 0.0;
    for row in rows {
        let tallest = row.iter().map(|&i| placed[i].lines.len()).max().unwrap_or(0);
        row.into_iter().for_each(|i| placed[i].y = y);
        y += tallest as f64 * LINE + GAP;
    }
    (placed, y)
}

fn wrap(text: &str, width: f64) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().map_or("", |line| line);
        let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
        if line.is_empty() || width_of(&longer, SIZE) <= width {
            lines.pop();
            lines.push(longer);
        } else {
            lines.push(word.to_owned());
        }
    }
    if lines.len() > LINES_MAX {
        lines.truncate(LINES_MAX);
        let last = lines.last_mut().map(std::mem::take).unwrap_or_default();
        lines[LINES_MAX - 1] = format!("{} …", last.trim_end_matches(['…', ' ', ',', '.']));
    }
    // A word wider than the box (no spaces: a URL, another script) is cut.
    let fitting = (2.0 * WIDTH_MAX / (0.58 * SIZE)) as usize;
    lines.into_iter().map(|line| line.chars().take(fitting).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlap(a: &Placed, b: &Placed) -> bool {
        let beside = a.x + a.width <= b.x || b.x + b.width <= a.x;
        let above = a.y + a.lines.len() as f64 * LINE <= b.y || b.y + b.lines.len() as f64 * LINE <= a.y;
        !beside && !above
    }

    #[test]
    fn captions_never_overlap_however_dense_they_are() {
        let long = "Once upon a time there was a bird that could say everything that people said to it. ".repeat(3);
        for step in [1.0, 10.0, 60.0, 200.0] {
            let captions: Vec<(f64, &str)> =
                (0..12).map(|i| (100.0 + step * f64::from(i), if i % 2 == 0 { &long } else { "Yes." })).collect();
            let (placed, height) = place(&captions, 100.0, 1380.0);
            for (i, a) in placed.iter().enumerate() {
                assert!(placed[..i].iter().all(|b| !overlap(a, b)), "step {step}, caption {i}");
                assert!(a.x >= 100.0 && a.x + a.width <= 1380.0 + GAP, "step {step}, caption {i}: {a:?}");
                assert!(a.y + a.lines.len() as f64 * LINE <= height);
            }
        }
    }

    #[test]
    fn a_short_caption_is_one_line_and_a_long_one_is_shortened() {
        assert_eq!(wrap("Please switch on the lamp.", 330.0), ["Please switch on the lamp."]);
        let lines = wrap(&"word ".repeat(200), 150.0);
        assert_eq!(lines.len(), LINES_MAX);
        assert!(lines[LINES_MAX - 1].ends_with('…'));
        assert!(wrap(&"x".repeat(10_000), 150.0)[0].len() < 200);
    }
}
