//! Which lines of a text are others now. Pure.

/// More cells than this are not compared: then everything is told as new.
const CELLS_MAX: usize = 1_000_000;

/// The lines that went (`- …`) and came (`+ …`), in the order of the text.
pub fn changed(old: &str, new: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let (old, new) = (&old[same..], &new[same..]);
    let same = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
    let (old, new) = (&old[..old.len() - same], &new[..new.len() - same]);
    if old.len() * new.len() > CELLS_MAX {
        return vec![format!("{} lines take the place of {}", new.len(), old.len())];
    }
    let common = common(old, new);
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if i < old.len() && (j == new.len() || common[i + 1][j] >= common[i][j + 1]) {
            lines.push(format!("- {}", old[i]));
            i += 1;
        } else {
            lines.push(format!("+ {}", new[j]));
            j += 1;
        }
    }
    lines
}

/// `[old + 1, new + 1]`: how many lines both have in common from there on.
fn common(old: &[&str], new: &[&str]) -> Vec<Vec<u32>> {
    let mut common = vec![vec![0; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = match old[i] == new[j] {
                true => common[i + 1][j + 1] + 1,
                false => common[i + 1][j].max(common[i][j + 1]),
            };
        }
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_another_line_is_told() {
        for (old, new, lines) in [
            ("a\nb\nc", "a\nb\nc", &[][..]),
            ("a\nb\nc", "a\nx\nc", &["- b", "+ x"]),
            ("a\nb\nc\nd", "a\nc\nd\ne", &["- b", "+ e"]),
            ("", "a", &["+ a"]),
            ("a\nb", "", &["- a", "- b"]),
        ] {
            assert_eq!(changed(old, new), lines, "{old:?} {new:?}");
        }
    }
}
