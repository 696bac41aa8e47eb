//! Tool calls and their results, and the newest pictures, as the page shows them.

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::Value;

use crate::flow::{Occasion, What};
use crate::still::Jpeg;

/// Calls that are kept.
pub const CALLS_MAX: usize = 20;
/// Bytes of arguments or of a result; longer ones are cut and shown as text.
pub const VALUE_BYTES_MAX: usize = 2000;
/// Pictures that are kept.
pub const STILLS_MAX: usize = 4;

/// How a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// At work.
    Running,
    /// It did what it was to do.
    Done,
    /// It did not.
    Failed,
    /// It was taken back.
    Cancelled,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Call {
    id: String,
    name: String,
    args: Value,
    by: &'static str,
    state: CallState,
    result: Value,
    took_ms: u64,
    at: String,
}

/// The newest calls, in order.
#[derive(Debug, Default)]
pub struct Calls(VecDeque<Call>);

impl Calls {
    /// Takes what happened at this time of day. Answers whether anything is other than before.
    pub fn handle(&mut self, what: &What, at: &str) -> bool {
        match what {
            What::ToolCalled { id, name, args } => {
                if self.0.len() == CALLS_MAX {
                    self.0.pop_front();
                }
                let (id, name, args, at) = (id.to_string(), name.clone(), bounded(args), at.to_string());
                let (by, state, result) = ("model", CallState::Running, Value::Null);
                self.0.push_back(Call { id, name, args, by, state, result, took_ms: 0, at });
                true
            }
            What::ToolAnswered { id, result, took_ms, .. } => match result {
                Ok(value) => self.end(&id.0, CallState::Done, bounded(value), Some(*took_ms)),
                Err(why) => self.end(&id.0, CallState::Failed, bounded(&Value::from(why.as_str())), Some(*took_ms)),
            },
            What::ToolCancelled { id } => self.end(&id.0, CallState::Cancelled, Value::Null, None),
            What::ToolLost { id, .. } => {
                self.end(&id.0, CallState::Failed, Value::from("the connection that asked for it ended"), None)
            }
            _ => false,
        }
    }

    /// All of them.
    pub fn all(&self) -> &VecDeque<Call> {
        &self.0
    }

    /// Forgets them.
    pub fn wipe(&mut self) {
        self.0.clear();
    }

    fn end(&mut self, id: &str, state: CallState, result: Value, took_ms: Option<u64>) -> bool {
        let is_it = |call: &&mut Call| call.id == id && call.state == CallState::Running;
        let Some(call) = self.0.iter_mut().rev().find(is_it) else { return false };
        (call.state, call.result, call.took_ms) = (state, result, took_ms.unwrap_or_default());
        true
    }
}

/// A value as it is, or the beginning of its text.
fn bounded(value: &Value) -> Value {
    let text = value.to_string();
    if text.len() <= VALUE_BYTES_MAX {
        return value.clone();
    }
    Value::from(format!("{}…", &text[..text.floor_char_boundary(VALUE_BYTES_MAX)]))
}

/// A picture that went to the service.
#[derive(Clone, Debug, Serialize)]
pub struct Picture {
    /// Rises by one; never used twice.
    pub id: u64,
    why: Occasion,
    width: u16,
    height: u16,
    bytes: usize,
    age_ms: u64,
    at: String,
    #[serde(skip)]
    jpeg: Jpeg,
}

/// The newest pictures, in order.
#[derive(Debug, Default)]
pub struct Stills {
    kept: VecDeque<Picture>,
    last_id: u64,
}

impl Stills {
    /// Takes what happened at this time of day. Answers whether anything is other than before.
    pub fn handle(&mut self, what: &What, at: &str) -> bool {
        let What::StillSent { why, width, height, bytes, age_ms, jpeg } = what else { return false };
        if self.kept.len() == STILLS_MAX {
            self.kept.pop_front();
        }
        self.last_id += 1;
        self.kept.push_back(Picture {
            id: self.last_id,
            why: *why,
            width: *width,
            height: *height,
            bytes: *bytes,
            age_ms: *age_ms,
            at: at.to_string(),
            jpeg: jpeg.clone(),
        });
        true
    }

    /// All of them.
    pub fn all(&self) -> &VecDeque<Picture> {
        &self.kept
    }

    /// The picture of this number, while it is kept.
    pub fn jpeg(&self, id: u64) -> Option<Jpeg> {
        self.kept.iter().find(|picture| picture.id == id).map(|picture| picture.jpeg.clone())
    }

    /// Forgets them; numbers go on.
    pub fn wipe(&mut self) {
        self.kept.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn called(id: &str, args: Value) -> What {
        What::ToolCalled { id: id.into(), name: "lamp".into(), args }
    }

    #[test]
    fn a_call_runs_until_it_is_answered_and_a_late_answer_changes_nothing() {
        let mut calls = Calls::default();
        calls.handle(&called("a", json!({"on": true})), "14:03:11");
        assert_eq!(calls.all()[0].state, CallState::Running);
        let answer = |result| What::ToolAnswered { id: "a".into(), name: "lamp".into(), result, took_ms: 42 };
        assert!(calls.handle(&answer(Ok(json!({"is": "on"}))), ""));
        assert!(!calls.handle(&answer(Err("late".into())), ""));
        let call = &calls.all()[0];
        assert_eq!((call.state, call.took_ms, &call.result), (CallState::Done, 42, &json!({"is": "on"})));
    }

    #[test]
    fn calls_and_values_are_bounded() {
        let mut calls = Calls::default();
        for n in 0..100 {
            calls.handle(&called(&n.to_string(), json!({"text": "ä".repeat(9000)})), "");
        }
        assert_eq!(calls.all().len(), CALLS_MAX);
        let longest = calls.all().iter().map(|call| call.args.to_string().len()).max();
        assert!(longest < Some(2 * VALUE_BYTES_MAX));
    }

    #[test]
    fn the_newest_pictures_can_be_had_until_a_wipe() {
        let mut stills = Stills::default();
        for n in 0..6_u8 {
            let jpeg = Jpeg::from(vec![n]);
            let why = Occasion::Looked;
            stills.handle(&What::StillSent { why, width: 8, height: 6, bytes: 1, age_ms: 80, jpeg }, "");
        }
        let ids: Vec<u64> = stills.all().iter().map(|picture| picture.id).collect();
        assert_eq!(ids, [3, 4, 5, 6]);
        assert_eq!((stills.jpeg(2), stills.jpeg(6)), (None, Some(vec![5].into())));
        stills.wipe();
        assert_eq!(stills.jpeg(6), None);
    }
}
