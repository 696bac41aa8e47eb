//! The action `gpio`: which steps a set, a pulse and a reading take, and what the model is told.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::config::agent::action::gpio::EdgeKind;

/// A line that is waited for is looked at so often: half of what a hand needs for the shortest tap. What comes and goes
/// in between is not seen.
pub const LOOK_EVERY: Duration = Duration::from_millis(10);

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
    /// The line was active so often.
    Blinked {
        /// How often.
        times: u32,
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
            Answer::Blinked { times } => format!("switch line `{}` on {times} times", self.line),
            Answer::Sensed => format!("look at line `{}`", self.line),
        }
    }

    /// The answer as JSON; `sensed` is what [`Step::Sense`] saw. None where it was needed and is missing.
    pub fn output(&self, sensed: Option<bool>) -> Option<Value> {
        let line = &self.line;
        match self.answer {
            Answer::Set { active } => Some(json!({"line": line, "on": active})),
            Answer::Pulsed { pulse_ms } => Some(json!({"line": line, "pulsed_ms": pulse_ms})),
            Answer::Blinked { times } => Some(json!({"line": line, "blinked_times": times})),
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

/// A line is made active several times; it ends inactive.
pub fn blink(line: &str, on_ms: u32, off_ms: u32, times: u32) -> LinePlan {
    let wait = |ms: u32| Step::Wait(Duration::from_millis(ms.into()));
    let once = [Step::Drive { active: true }, wait(on_ms), Step::Drive { active: false }, wait(off_ms)];
    let mut steps: Vec<Step> = (0..times).flat_map(|_| once.clone()).collect();
    steps.pop(); // after the last there is nothing to wait for
    plan(line, steps, Answer::Blinked { times })
}

/// A line is looked at.
pub fn read(line: &str) -> LinePlan {
    plan(line, vec![Step::Sense], Answer::Sensed)
}

fn plan(line: &str, steps: Vec<Step>, answer: Answer) -> LinePlan {
    let rests_when_stopped = matches!(answer, Answer::Pulsed { .. } | Answer::Blinked { .. });
    LinePlan { line: line.to_string(), steps, answer, rests_when_stopped }
}

/// An input that a call waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwaitPlan {
    /// The line.
    pub line: String,
    edge: EdgeKind,
    wait: Duration,
}

impl AwaitPlan {
    /// Waits at most `wait_ms` for `edge` of `line`.
    pub fn new(line: &str, edge: EdgeKind, wait_ms: u32) -> AwaitPlan {
        AwaitPlan { line: line.to_string(), edge, wait: Duration::from_millis(wait_ms.into()) }
    }

    /// What it does, in words.
    pub fn describe(&self) -> String {
        format!("wait at most {} ms for line `{}` to change", self.wait.as_millis(), self.line)
    }

    /// What looks for the edge.
    pub fn edges(&self) -> Edges<'_> {
        Edges { plan: self, last: None }
    }
}

/// Looks for the edge among the levels that are seen.
pub struct Edges<'p> {
    plan: &'p AwaitPlan,
    last: Option<bool>,
}

impl Edges<'_> {
    /// The line was seen `waited` after the call began. Answers what the model is told, where the edge has come or the
    /// time is over.
    pub fn see(&mut self, is_active: bool, waited: Duration) -> Option<Value> {
        let has_changed = self.last.replace(is_active).is_some_and(|last| last != is_active);
        let came = has_changed
            && match self.plan.edge {
                EdgeKind::Active => is_active,
                EdgeKind::Inactive => !is_active,
                EdgeKind::Either => true,
            };
        let AwaitPlan { line, wait, .. } = self.plan;
        if came {
            let after_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
            return Some(json!({"line": line, "came": true, "after_ms": after_ms, "on": is_active}));
        }
        let waited_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        (waited >= *wait).then(|| json!({"line": line, "came": false, "waited_ms": waited_ms, "on": is_active}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blinking_begins_active_and_ends_inactive_whatever_the_numbers() {
        for (times, on_ms, off_ms) in [(1, 20, 20), (2, 100, 300), (100, 60_000, 20)] {
            let plan = blink("lamp", on_ms, off_ms, times);
            let drives = plan.steps.iter().filter(|step| matches!(step, Step::Drive { active: true })).count();
            assert_eq!(drives, times as usize);
            assert_eq!(plan.steps.first(), Some(&Step::Drive { active: true }));
            assert_eq!(plan.steps.last(), Some(&Step::Drive { active: false }));
            let total: Duration =
                plan.steps.iter().map(|step| if let Step::Wait(time) = step { *time } else { Duration::ZERO }).sum();
            assert_eq!(total, Duration::from_millis((times * on_ms + (times - 1) * off_ms).into()));
            assert!(plan.rests_when_stopped);
        }
    }

    #[test]
    fn an_edge_is_a_change_of_the_wanted_kind_and_not_a_level() {
        // Levels seen every 10 ms, and when the answer comes with what.
        for (edge, levels, expected) in [
            (EdgeKind::Active, "0011", Some((2, true))),
            (EdgeKind::Active, "1101", Some((3, true))),
            (EdgeKind::Inactive, "0110", Some((3, true))),
            (EdgeKind::Either, "1110", Some((3, true))),
            (EdgeKind::Active, "111111", Some((5, false))),
            (EdgeKind::Inactive, "001111", Some((5, false))),
            (EdgeKind::Either, "0000", None),
        ] {
            let plan = AwaitPlan::new("door", edge, 50);
            let mut edges = plan.edges();
            let mut answers = levels.chars().enumerate().filter_map(|(at, level)| {
                let answer = edges.see(level == '1', Duration::from_millis(10 * at as u64))?;
                assert_eq!(answer["on"], level == '1');
                Some((at, answer["came"] == true))
            });
            assert_eq!(answers.next(), expected, "{edge:?} {levels}");
        }
    }
}
