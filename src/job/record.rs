//! The lines of a job's log: one JSON object each, whole or not there.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::procedure::Procedure;
use crate::flow::Occasion;

/// The file of a job's lines.
pub const FILE: &str = "log.jsonl";

/// Bytes of the arguments or the result of a call that a line holds; enough to know what was done.
const VALUE_BYTES_MAX: usize = 4096;

/// Bytes of any text that a line holds: a page of a book has three thousand.
pub const TEXT_BYTES_MAX: usize = 8192;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When, as a person writes it, in local time: `2026-11-22 08:40:03 +0100`.
    pub at: String,
    /// The same in milliseconds since 1970, by the wall clock.
    pub unix_ms: i64,
    /// What.
    #[serde(flatten)]
    pub entry: Entry,
}

/// Who said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// The person.
    User,
    /// The model.
    Model,
}

/// The kinds of lines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Entry {
    /// The job began.
    Began {
        /// Its name.
        job: String,
    },
    /// The program was started again in mid-job.
    Resumed {
        /// Seconds since the last line before.
        after_s: u64,
    },
    /// Somebody said what the job is.
    Titled {
        /// What it is.
        title: String,
        /// The steps, as they were then; the file may change.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        procedure: Option<Procedure>,
    },
    /// Something was said: a piece to append to what the same party said in the same turn.
    Said {
        /// The turn, counted from the job's beginning.
        turn: u32,
        /// Who.
        by: Party,
        /// The piece.
        text: String,
    },
    /// The reply of this turn was cut; not all of its words were heard.
    Cut {
        /// The turn.
        turn: u32,
    },
    /// A picture went to the service.
    Still {
        /// Its file beside the log; none where pictures are not kept, or could not be.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        file: Option<String>,
        /// Pixels.
        width: u16,
        /// Pixels.
        height: u16,
        /// Its size.
        bytes: u64,
        /// Why it was sent.
        why: Why,
    },
    /// The model called a tool.
    Called {
        /// The call.
        id: String,
        /// The function.
        name: String,
        /// Its arguments.
        args: Value,
    },
    /// A tool answered.
    Answered {
        /// The call.
        id: String,
        /// The function.
        name: String,
        /// Its result.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        result: Option<Value>,
        /// Or why there is none.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        error: Option<String>,
        /// Milliseconds it took.
        took_ms: u64,
    },
    /// A note.
    Note {
        /// Its words.
        text: String,
    },
    /// A measured value.
    Reading {
        /// What was measured.
        name: String,
        /// The value.
        value: f64,
        /// Its unit.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        unit: Option<String>,
        /// What was said about it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        comment: Option<String>,
        /// What would be right, where the procedure says.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        wanted: Option<String>,
        /// Whether it is not.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        is_out_of_range: bool,
    },
    /// A step is done, or left out.
    Step {
        /// Which, counted from 1.
        step: u32,
        /// Left out.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        is_skipped: bool,
        /// What was said about it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        comment: Option<String>,
    },
    /// Something was wrong with the device.
    Trouble {
        /// Which part.
        part: String,
        /// A sentence.
        text: String,
    },
    /// A part works again.
    Recovered {
        /// Which part.
        part: String,
    },
    /// Lines that were lost, because the disk took none.
    Lost {
        /// How many.
        lines: u64,
        /// How many of them were pictures.
        stills: u64,
    },
    /// The job is over.
    Ended {
        /// Why.
        why: End,
    },
}

/// Why a picture was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// While somebody spoke.
    Speaking,
    /// The model looked.
    Looked,
    /// Somebody asked for it with the button.
    Shown,
}

impl From<Occasion> for Why {
    fn from(occasion: Occasion) -> Why {
        match occasion {
            Occasion::Speaking => Why::Speaking,
            Occasion::Looked => Why::Looked,
            Occasion::Shown => Why::Shown,
        }
    }
}

/// Why a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Somebody said so.
    Asked,
    /// A person began a new conversation.
    Reset,
    /// Nobody spoke any more.
    Idle,
    /// Another job began.
    Another,
}

/// What was read of a log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lines {
    /// The whole lines, in order.
    pub records: Vec<Record>,
    /// How many were none: the power was cut while they were written.
    pub torn: usize,
}

/// Reads a log, as far as it goes.
pub fn read(bytes: &[u8]) -> Lines {
    let mut lines = Lines::default();
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
        match serde_json::from_slice(line) {
            Ok(record) => lines.records.push(record),
            Err(_) => lines.torn += 1,
        }
    }
    lines
}

impl Record {
    /// The line, with its end.
    pub fn line(&self) -> Vec<u8> {
        // Strings, numbers and JSON: there is nothing in it that JSON cannot say.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

/// A text of a length that a line can hold.
pub fn bounded(text: &str) -> String {
    if text.len() <= TEXT_BYTES_MAX {
        return text.to_string();
    }
    format!("{}… ({} bytes)", &text[..text.floor_char_boundary(TEXT_BYTES_MAX)], text.len())
}

/// A value of a length that a line can hold.
pub fn bounded_value(value: &Value) -> Value {
    let text = value.to_string();
    if text.len() <= VALUE_BYTES_MAX {
        return value.clone();
    }
    Value::String(format!("{}… ({} bytes)", &text[..text.floor_char_boundary(VALUE_BYTES_MAX)], text.len()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn of(entry: Entry) -> Record {
        Record { at: "2026-11-22 08:40:03 +0100".into(), unix_ms: 1_795_333_203_000, entry }
    }

    fn some() -> Vec<Record> {
        let still =
            Entry::Still { file: Some("still-0001.jpg".into()), width: 4, height: 3, bytes: 9, why: Why::Looked };
        vec![
            of(Entry::Began { job: "2026-11-22-0840-1".into() }),
            of(Entry::Said { turn: 1, by: Party::User, text: "Grüß Gott\n\"pump\"".into() }),
            of(still),
            of(Entry::Called { id: "c1".into(), name: "open_door".into(), args: json!({"a": [1, {"b": 2.5}]}) }),
            of(Entry::Reading {
                name: "pressure".into(),
                value: 1.25,
                unit: Some("bar".into()),
                comment: None,
                wanted: None,
                is_out_of_range: false,
            }),
            of(Entry::Ended { why: End::Idle }),
        ]
    }

    #[test]
    fn a_line_is_short_and_is_read_again() {
        let line = of(Entry::Note { text: "leaks".into() }).line();
        let text = r#"{"at":"2026-11-22 08:40:03 +0100","unix_ms":1795333203000,"kind":"note","text":"leaks"}"#;
        assert_eq!(String::from_utf8(line).unwrap(), format!("{text}\n"));
        let log: Vec<u8> = some().iter().flat_map(Record::line).collect();
        assert_eq!(read(&log), Lines { records: some(), torn: 0 });
    }

    #[test]
    fn what_is_no_line_of_ours_is_counted_and_left_out() {
        let mut log = b"\xff\xfe\n{\"kind\":\"of tomorrow\"}\n\n[]\n".to_vec();
        log.extend(of(Entry::Note { text: "x".into() }).line());
        let lines = read(&log);
        assert_eq!((lines.records.len(), lines.torn), (1, 3));
    }

    #[test]
    fn texts_and_values_have_an_end() {
        assert!(bounded(&"\u{e4}".repeat(100_000)).len() < TEXT_BYTES_MAX + 50);
        assert!(bounded_value(&json!({"x": "\u{e4}".repeat(100_000)})).to_string().len() < VALUE_BYTES_MAX + 50);
        assert_eq!(bounded_value(&json!({"x": 1})), json!({"x": 1}));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        /// Wherever the power is cut, every line that was whole is read, and what is written after it, too.
        #[test]
        fn a_log_that_is_cut_anywhere_gives_all_its_whole_lines(cut in 0.0..=1.0_f64) {
            let lines: Vec<Vec<u8>> = some().iter().map(Record::line).collect();
            let log: Vec<u8> = lines.concat();
            let at = (cut * log.len() as f64) as usize;
            let mut ends = 0;
            // The line's end is no part of what it says.
            let whole = lines.iter().take_while(|line| { ends += line.len(); ends - 1 <= at }).count();
            let mut rest = log[..at].to_vec();
            prop_assert_eq!(&read(&rest).records[..], &some()[..whole]);
            let after = of(Entry::Resumed { after_s: 9 });
            rest.push(b'\n');
            rest.extend(after.line());
            let records = read(&rest).records;
            prop_assert_eq!(records.last(), Some(&after));
            prop_assert_eq!(records.len(), whole + 1);
        }
    }
}
