//! The action `gpio`: which steps a set, a pulse and a reading take, and what the model is told.

use std::time::Duration;

use serde_json::{Map, Value, json};

/// One step of a plan; all steps of a plan concern its one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make the line active or inactive.
    Drive {
        /// The level.
        active: bool,
    },
    /// Let time pass.
    Wait(Duration),
    /// Look at the line.
    Sense,
}

/// What the model is told when all steps are done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The line was set.
    Set {
        /// To what.
        active: bool,
    },
    /// The line was active for this long, ms.
    Pulsed {
        /// Milliseconds.
        pulse_ms: u32,
    },
    /// What [`Step::Sense`] saw.
    Sensed,
}

/// All that a call does with its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinePlan {
    /// The line.
    pub line: String,
    /// What is done, in order.
    pub steps: Vec<Step>,
    /// What the model is told afterwards.
    pub answer: Answer,
    /// Whether the line is made inactive at once when the call is stopped halfway.
    pub rests_when_stopped: bool,
}

impl LinePlan {
    /// What it does, in words.
    pub fn describe(&self) -> String {
        match self.answer {
            Answer::Set { active } => format!("switch line `{}` {}", self.line, if active { "on" } else { "off" }),
            Answer::Pulsed { pulse_ms } => format!("switch line `{}` on for {pulse_ms} ms", self.line),
            Answer::Sensed => format!("look at line `{}`", self.line),
        }
    }

    /// The answer as JSON; `sensed` is what [`Step::Sense`] saw. None where it was needed and is missing.
    pub fn output(&self, sensed: Option<bool>) -> Option<Value> {
        let line = &self.line;
        match self.answer {
            Answer::Set { active } => Some(json!({"line": line, "on": active})),
            Answer::Pulsed { pulse_ms } => Some(json!({"line": line, "pulsed_ms": pulse_ms})),
            Answer::Sensed => sensed.map(|on| json!({"line": line, "on": on})),
        }
    }
}

/// A line is made what the BOOLEAN argument `argument` says.
///
/// # Errors
/// A sentence for the model where the schema let something else through.
pub fn set(line: &str, argument: &str, args: &Map<String, Value>) -> Result<LinePlan, String> {
    let Some(active) = args.get(argument).and_then(Value::as_bool) else {
        return Err(format!("argument `{argument}` must be true or false"));
    };
    Ok(plan(line, vec![Step::Drive { active }], Answer::Set { active }))
}

/// A line is made active for so many milliseconds.
pub fn pulse(line: &str, pulse_ms: u32) -> LinePlan {
    let wait = Step::Wait(Duration::from_millis(pulse_ms.into()));
    let steps = vec![Step::Drive { active: true }, wait, Step::Drive { active: false }];
    plan(line, steps, Answer::Pulsed { pulse_ms })
}

/// A line is looked at.
pub fn read(line: &str) -> LinePlan {
    plan(line, vec![Step::Sense], Answer::Sensed)
}

fn plan(line: &str, steps: Vec<Step>, answer: Answer) -> LinePlan {
    let rests_when_stopped = matches!(answer, Answer::Pulsed { .. });
    LinePlan { line: line.to_string(), steps, answer, rests_when_stopped }
}
