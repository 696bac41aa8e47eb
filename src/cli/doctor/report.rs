//! What the doctor found: a row a check, and the verdict on all.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// How a check ended; the worst one is the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, but somebody should look at it.
    Warn,
    /// It does not work.
    Bad,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Bad => "bad",
        }
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// What was looked at: `microphone`, `line lamp`.
    pub name: String,
    /// How it ended.
    pub verdict: Verdict,
    /// What was measured or found, short.
    pub figure: String,
    /// The measured number with its unit in the name, for machines.
    pub value: Option<(&'static str, f64)>,
    /// What it means and which line to change, a sentence.
    pub advice: Option<String>,
}

impl Check {
    /// A check that went well.
    pub fn ok(name: impl Into<String>, figure: impl Into<String>) -> Check {
        Check { name: name.into(), verdict: Verdict::Ok, figure: figure.into(), value: None, advice: None }
    }

    /// One that works, but.
    pub fn warn(name: impl Into<String>, figure: impl Into<String>, advice: impl Into<String>) -> Check {
        Check { verdict: Verdict::Warn, advice: Some(advice.into()), ..Check::ok(name, figure) }
    }

    /// One that does not work.
    pub fn bad(name: impl Into<String>, figure: impl Into<String>, advice: impl Into<String>) -> Check {
        Check { verdict: Verdict::Bad, advice: Some(advice.into()), ..Check::ok(name, figure) }
    }

    /// … with its number.
    pub fn with(self, unit: &'static str, value: impl Into<f64>) -> Check {
        Check { value: Some((unit, value.into())), ..self }
    }
}

/// All checks, in the order in which they were made.
#[derive(Debug, Default)]
pub struct Report {
    checks: Vec<Check>,
}

impl Report {
    /// Adds one.
    pub fn add(&mut self, check: Check) {
        self.checks.push(check);
    }

    /// Adds several.
    pub fn add_all(&mut self, checks: impl IntoIterator<Item = Check>) {
        self.checks.extend(checks);
    }

    /// The worst of all.
    pub fn verdict(&self) -> Verdict {
        self.checks.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Ok)
    }

    /// The verdict in words: `works, but look at: noise floor, delay`.
    pub fn sentence(&self) -> String {
        let of = |verdict| {
            let named = self.checks.iter().filter(|check| check.verdict == verdict).map(|check| check.name.as_str());
            named.collect::<Vec<_>>().join(", ")
        };
        match self.verdict() {
            Verdict::Ok => "ready".to_string(),
            Verdict::Warn => format!("works, but look at: {}", of(Verdict::Warn)),
            Verdict::Bad => format!("does not work: {}", of(Verdict::Bad)),
        }
    }

    /// A table with a line a check, what to do below each that needs it, and the verdict at the end.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let width = self.checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
        for check in &self.checks {
            let (word, name) = (check.verdict.word(), &check.name);
            let _ = writeln!(text, "{word:<5} {name:<width$}  {}", check.figure);
            for line in check.advice.iter().flat_map(|advice| wrapped(advice, WIDTH - INDENT.len())) {
                let _ = writeln!(text, "{INDENT}{line}");
            }
        }
        let _ = writeln!(text, "\n{}", self.sentence());
        text
    }

    /// The same for machines.
    pub fn json(&self) -> Value {
        let check = |check: &Check| {
            let mut value = json!({"name": check.name, "verdict": check.verdict.word(), "figure": check.figure});
            if let Some((unit, number)) = check.value {
                // Three digits behind the point say more than anything here is measured to.
                value[unit] = json!((number * 1000.0).round() / 1000.0);
            }
            if let Some(advice) = &check.advice {
                value["advice"] = json!(advice);
            }
            value
        };
        json!({
            "verdict": self.verdict().word(),
            "sentence": self.sentence(),
            "checks": self.checks.iter().map(check).collect::<Vec<_>>(),
        })
    }
}

/// Columns of the text.
const WIDTH: usize = 110;
const INDENT: &str = "      ";

/// `text` in lines of at most `width` characters, broken at blanks.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(verdicts: &[Verdict]) -> Report {
        let mut report = Report::default();
        for (n, verdict) in verdicts.iter().enumerate() {
            report.add(Check { verdict: *verdict, ..Check::ok(format!("thing {n}"), "5 dB").with("level_db", 5.0004) });
        }
        report
    }

    #[test]
    fn the_worst_check_is_the_verdict_and_the_sentence_names_what_it_is_about() {
        use Verdict::{Bad, Ok, Warn};
        for (verdicts, verdict, sentence) in [
            (&[][..], Ok, "ready"),
            (&[Ok, Ok], Ok, "ready"),
            (&[Ok, Warn, Warn], Warn, "works, but look at: thing 1, thing 2"),
            (&[Bad, Warn, Ok], Bad, "does not work: thing 0"),
        ] {
            let report = report(verdicts);
            assert_eq!((report.verdict(), report.sentence().as_str()), (verdict, sentence));
        }
    }

    #[test]
    fn the_text_is_a_table_with_what_to_do_and_the_json_says_the_same() {
        let mut report = report(&[Verdict::Ok]);
        report.add(Check::bad("key", "none", "there is no key: ".repeat(8)));
        let text = report.text();
        assert!(text.starts_with("ok    thing 0  5 dB\nbad   key      none\n      there is no key: there"), "{text}");
        assert!(text.ends_with("\n\ndoes not work: key\n"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        let value = report.json();
        assert_eq!(value["verdict"], "bad");
        assert_eq!(value["checks"][0], json!({"name": "thing 0", "verdict": "ok", "figure": "5 dB", "level_db": 5.0}));
    }
}
