//! Problems of a configuration file: where they are and the sentence that says what would be right.

use std::fmt;

/// One thing that is wrong in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file as the user named it; empty until [`locate`](super::locate)d.
    pub file: String,
    /// Line, counted from 1; 0 where it is not known.
    pub line: usize,
    /// The key with its sections, `listen.onset_ms` or `tools[0].action.line`; empty where there is none.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.is_empty() {
            f.write_str(&self.file)?;
            if self.line > 0 {
                write!(f, ":{}", self.line)?;
            }
            f.write_str(": ")?;
        }
        if !self.key.is_empty() {
            write!(f, "`{}` ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// Byte offsets of a text's lines.
pub(super) struct LineIndex(Vec<usize>);

impl LineIndex {
    pub(super) fn new(text: &str) -> LineIndex {
        let after_newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        LineIndex(std::iter::once(0).chain(after_newlines).collect())
    }

    /// The line that holds the byte `offset`, counted from 1.
    pub(super) fn line_of(&self, offset: usize) -> usize {
        self.0.partition_point(|start| *start <= offset)
    }
}

/// The candidate that `word` is most probably a slip of, if any is near enough.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A third of the letters may be wrong, two in a word of five (a swap counts two): more is another word.
    let letters = word.chars().count();
    let slips_max = if letters < 5 { 1 } else { (letters / 3).max(2) };
    let word = plain(word);
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, &plain(candidate)), candidate))
        .filter(|(slips, candidate)| *slips <= slips_max && *slips < candidate.len())
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

/// Lower case with `_` for `-` and blanks: these slips cost nothing. Long words are cut: no key is that long.
fn plain(word: &str) -> Vec<char> {
    let fold = |letter: char| if letter == '-' || letter == ' ' { '_' } else { letter.to_ascii_lowercase() };
    word.chars().take(64).map(fold).collect()
}

/// Levenshtein's distance: letters to insert, remove or change.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

/// `a`, `b` or `c` in backquotes, for messages.
pub(super) fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((only, _)) => only.clone(),
        None => "none".to_string(),
    }
}

/// What a person wrote, short enough for a message.
pub(super) fn shown(text: &str) -> String {
    const SHOWN_CHARS: usize = 60; // a line of a terminal keeps room for the sentence
    if text.chars().count() <= SHOWN_CHARS {
        return text.escape_debug().to_string();
    }
    let start: String = text.chars().take(SHOWN_CHARS).collect();
    format!("{}…", start.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_another_word_does_not() {
        let keys = ["onset_ms", "hangover_ms", "preroll_ms"];
        assert_eq!(nearest("hangover-ms", keys), Some("hangover_ms"));
        assert_eq!(nearest("Hangovr_ms", keys), Some("hangover_ms"));
        assert_eq!(nearest("colour", keys), None);
        assert_eq!(nearest("", keys), None);
    }

    #[test]
    fn offsets_fall_on_their_lines() {
        let lines = LineIndex::new("a\nbc\n\nd");
        let found: Vec<usize> = (0..7).map(|offset| lines.line_of(offset)).collect();
        assert_eq!(found, [1, 1, 2, 2, 2, 3, 4]);
    }
}
