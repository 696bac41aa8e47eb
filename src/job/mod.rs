//! The job log: what was said, seen, measured and done at a job, written as it happens, and the report made of it.
//!
//! A job is a folder with one JSON object a line in `log.jsonl` and the pictures beside it. [`recorder`] folds events into
//! [`record::Entry`]s; what the job stands at is itself a fold over the entries ([`progress`]), so that a restart, which
//! reads them back, stands where the power was cut. [`report`] reads the same lines.

pub mod progress;
pub mod record;
pub mod recorder;
pub mod report;
pub mod retention;
pub mod run;

/// Whether this is the name of a job, which is that of a folder: `2026-11-22-0840-1`. Nothing that leads elsewhere is.
pub fn is_name(name: &str) -> bool {
    const CHARS_MAX: usize = 40; // twice as many as are made here
    let is_plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    (1..=CHARS_MAX).contains(&name.len())
        && name.chars().all(is_plain)
        && name.starts_with(|c: char| c.is_ascii_digit())
}

/// The name of a job that begins at `at` (`2026-11-22 08:40:03 +0100`), the `number`th of its minute.
pub fn name(at: &str, number: u32) -> String {
    let digits: String = at.chars().filter(char::is_ascii_digit).take(12).collect();
    match (digits.get(..4), digits.get(4..6), digits.get(6..8), digits.get(8..)) {
        (Some(year), Some(month), Some(day), Some(time)) => format!("{year}-{month}-{day}-{time}-{number}"),
        _ => format!("0-{number}"), // a clock that cannot be written as a date
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_when_and_leads_nowhere_else() {
        assert_eq!(name("2026-11-22 08:40:03 +0100", 2), "2026-11-22-0840-2");
        assert!(is_name(&name("2026-11-22 08:40:03 +0100", 2)) && is_name(&name("5 s after 1970", 1)));
        for other in ["", "..", "a", "1/..", "1.", "/1", "-1", &"1".repeat(41), "1\0"] {
            assert!(!is_name(other), "{other:?}");
        }
    }
}
