//! The audit log's records: every call, whoever made it and whatever came of it, one JSON object a line.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::config::agent::audit::AuditKeep;
use crate::config::agent::policy::Caller;

/// The file in the state folder; older ones have a number behind it.
pub const FILE: &str = "audit.jsonl";
/// Bytes of arguments, and of a result, that one record holds: enough to know what was done.
const VALUE_BYTES_MAX: usize = 2048;

/// What came of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done.
    Done,
    /// It would have been done (`dry_run`).
    Rehearsed,
    /// A person is asked first.
    Asked,
    /// It was not allowed, or wrong; nothing was moved.
    Refused,
    /// It was begun and failed.
    Failed,
    /// It was taken back, or stopped with the program; the result says how far it had come.
    Stopped,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When the call came, as a person writes it, in local time.
    pub at: String,
    /// The same in milliseconds since 1970, by the wall clock.
    pub unix_ms: i64,
    /// The tool.
    pub tool: String,
    /// Who called: [`Caller::word`].
    pub by: String,
    /// The call's id, where it has one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub id: Option<String>,
    /// The arguments.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub args: Option<Value>,
    /// What came of it.
    pub outcome: Outcome,
    /// The result, or a sentence.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub result: Option<Value>,
    /// From the call to its end, ms.
    pub took_ms: u64,
}

/// What is put down of a call, beside when it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Deed {
    /// The tool.
    pub tool: String,
    /// Who called.
    pub caller: Caller,
    /// The call's id, where it has one.
    pub id: Option<String>,
    /// The arguments.
    pub args: Map<String, Value>,
    /// What came of it.
    pub outcome: Outcome,
    /// The result, or a sentence.
    pub result: Result<Value, String>,
    /// From the call to its end, ms.
    pub took_ms: u64,
}

impl Deed {
    /// The record, with as much as the owner wants kept; none where that is nothing.
    pub fn record(self, keep: AuditKeep, at: String, unix_ms: i64) -> Option<Record> {
        let by = self.caller.word().to_string();
        let (args, result) = match keep {
            AuditKeep::Nothing => return None,
            AuditKeep::WithoutWords => (None, None),
            AuditKeep::All => {
                let result = self.result.unwrap_or_else(Value::String);
                (Some(short(Value::Object(self.args))), Some(short(result)))
            }
        };
        let Deed { tool, id, outcome, took_ms, .. } = self;
        Some(Record { at, unix_ms, tool: tool.chars().take(128).collect(), by, id, args, outcome, result, took_ms })
    }
}

fn short(value: Value) -> Value {
    let text = value.to_string();
    if text.len() <= VALUE_BYTES_MAX {
        return value;
    }
    Value::String(format!("{}… ({} bytes)", &text[..text.floor_char_boundary(VALUE_BYTES_MAX)], text.len()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deed() -> Deed {
        Deed {
            tool: "note".into(),
            caller: Caller::Model,
            id: Some("c1".into()),
            args: json!({"text": "the pump leaks"}).as_object().unwrap().clone(),
            outcome: Outcome::Done,
            result: Ok(json!({"noted": true})),
            took_ms: 3,
        }
    }

    #[test]
    fn a_record_says_who_did_what_and_is_read_again() {
        let record = deed().record(AuditKeep::All, "today".into(), 5).unwrap();
        let line = serde_json::to_string(&record).unwrap();
        let said = r#"{"at":"today","unix_ms":5,"tool":"note","by":"model","id":"c1","args":{"text":"the pump leaks"},"outcome":"done","result":{"noted":true},"took_ms":3}"#;
        assert_eq!(line, said);
        assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record);
    }

    #[test]
    fn what_the_owner_does_not_want_kept_is_not_in_it() {
        let record = deed().record(AuditKeep::WithoutWords, "today".into(), 5).unwrap();
        assert!(!serde_json::to_string(&record).unwrap().contains("pump"), "{record:?}");
        assert_eq!(deed().record(AuditKeep::Nothing, "today".into(), 5), None);
    }

    #[test]
    fn a_record_has_an_end() {
        let huge = json!({"text": "\u{e4}".repeat(100_000)}).as_object().unwrap().clone();
        let deed = Deed { args: huge, tool: "x".repeat(10_000), result: Err("y".repeat(100_000)), ..deed() };
        let record = deed.record(AuditKeep::All, "today".into(), 5).unwrap();
        assert!(serde_json::to_string(&record).unwrap().len() < 3 * VALUE_BYTES_MAX);
    }
}
