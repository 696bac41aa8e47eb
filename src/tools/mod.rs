//! What the model may do: the table of tools, the check of arguments, the steps of each action.
//!
//! Pure: a call goes in, a [`Plan`] or a sentence for the model comes out, and nothing moves before the
//! arguments are right. `run.rs` carries plans out.

pub mod alarms;
pub mod audit;
pub mod breaker;
pub mod command;
pub mod consent;
pub mod device;
pub mod fill;
pub mod gpio;
pub mod home;
pub mod http;
pub mod lint;
pub mod mcp;
pub mod mqtt;
pub mod on_time;
pub mod output;
pub mod policy;
pub mod pwm;
pub mod run;
pub mod schema;
pub mod sensor;
pub mod show;
pub mod watch;
pub mod work;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::config::agent::{Action, Tool};
pub use gpio::{Answer, LinePlan, Step};
pub use work::Work;

/// All that a call does.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What is done.
    pub work: Work,
    /// When it is stopped.
    pub timeout: Duration,
}

/// Why a call came to nothing, as a sentence for the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The other side could not be reached, or did not answer in time. Counts for its [`breaker`].
    #[error("{0}")]
    Unreachable(String),
    /// It was reached and said no, or the call cannot be done.
    #[error("{0}")]
    Refused(String),
}

/// The tools by their function names.
pub struct Tools(BTreeMap<String, Tool>);

impl Tools {
    /// The table of the configuration's tools.
    pub fn new(tools: &[Tool]) -> Tools {
        Tools(tools.iter().map(|tool| (tool.name.clone(), tool.clone())).collect())
    }

    /// What a call of `name` with `args` does.
    ///
    /// # Errors
    /// A sentence for the model that says how to call it right.
    pub fn plan(&self, name: &str, args: &Map<String, Value>) -> Result<Plan, String> {
        let Some(tool) = self.0.get(name) else {
            let known: Vec<&str> = self.0.keys().map(String::as_str).collect();
            return Err(match known.as_slice() {
                [] => format!("there is no function `{}`: this device has none", shown(name)),
                known => format!("there is no function `{}`; the functions are {}", shown(name), known.join(", ")),
            });
        };
        schema::check(tool.parameters.as_ref(), args)?;
        let timeout = Duration::from_millis(tool.timeout_ms.into());
        Ok(Plan { work: work::work(&tool.action, args, timeout)?, timeout })
    }

    /// What mynah itself does to switch off what a call of `name` switched on; `args` are those of [`Work::off`].
    ///
    /// # Errors
    /// As [`Tools::plan`].
    pub fn plan_off(&self, name: &str, args: &Map<String, Value>) -> Result<Plan, String> {
        match self.0.get(name).map(|tool| (tool, &tool.action)) {
            Some((tool, Action::Pwm(action))) if action.holds() => {
                let timeout = Duration::from_millis(tool.timeout_ms.into());
                Ok(Plan { work: Work::Pwm(pwm::release(action)), timeout })
            }
            _ => self.plan(name, args),
        }
    }

    /// The tool of this name.
    pub fn get(&self, name: &str) -> Option<&Tool> {
        self.0.get(name)
    }

    /// Whether any tool has an interlock.
    pub fn has_interlocks(&self) -> bool {
        self.0.values().any(Tool::is_interlocked)
    }

    /// The lines that tools drive.
    pub fn outputs(&self) -> impl Iterator<Item = &str> {
        self.0.values().filter_map(|tool| match &tool.action {
            Action::GpioSet { line, .. } | Action::GpioPulse { line, .. } | Action::GpioBlink { line, .. } => {
                Some(line.as_str())
            }
            _ => None,
        })
    }

    /// The lines that tools read.
    pub fn inputs(&self) -> impl Iterator<Item = &str> {
        self.0.values().filter_map(|tool| match &tool.action {
            Action::GpioRead { line } | Action::GpioWait { line, .. } => Some(line.as_str()),
            _ => None,
        })
    }
}

/// What the model or the server wrote, short enough for a sentence.
pub(crate) fn shown(text: &str) -> String {
    const SHOWN_CHARS: usize = 60; // longer names are no names
    text.chars().take(SHOWN_CHARS).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::agent;
    use serde_json::json;

    fn tools() -> Tools {
        let text = r#"
            [[tools]]
            name = "switch_lamp"
            description = "Lamp."
            parameters = { type = "OBJECT", properties = { on = { type = "BOOLEAN" } }, required = ["on"] }
            action = { gpio = "set", line = "lamp", argument = "on" }
            [[tools]]
            name = "open_door"
            description = "Door."
            timeout_ms = 900
            action = { gpio = "pulse", line = "door", pulse_ms = 500 }
            [[tools]]
            name = "is_door_open"
            description = "Door?"
            action = { gpio = "read", line = "door_contact" }
        "#;
        Tools::new(&agent::parse(text, "test").unwrap().tools)
    }

    fn plan(name: &str, args: Value) -> Result<Plan, String> {
        tools().plan(name, args.as_object().unwrap())
    }

    fn line_plan(name: &str, args: Value) -> LinePlan {
        match plan(name, args).unwrap().work {
            Work::Line(plan) => plan,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_action_becomes_its_steps_and_its_answer() {
        let set = line_plan("switch_lamp", json!({"on": true}));
        assert_eq!(set.steps, [Step::Drive { active: true }]);
        assert_eq!(set.output(None), Some(json!({"line": "lamp", "on": true})));
        assert!(!set.rests_when_stopped);

        let pulse = line_plan("open_door", json!({}));
        let half = Duration::from_millis(500);
        assert_eq!(pulse.steps, [Step::Drive { active: true }, Step::Wait(half), Step::Drive { active: false }]);
        assert_eq!(pulse.output(None), Some(json!({"line": "door", "pulsed_ms": 500})));
        assert!(pulse.rests_when_stopped);
        assert_eq!(plan("open_door", json!({})).unwrap().timeout, Duration::from_millis(900));
        assert_eq!(plan("is_door_open", json!({})).unwrap().timeout, Duration::from_secs(10));

        let read = line_plan("is_door_open", json!({}));
        assert_eq!(read.steps, [Step::Sense]);
        assert_eq!(read.output(Some(true)), Some(json!({"line": "door_contact", "on": true})));
        assert_eq!(read.output(None), None, "a reading that was not taken is no answer");
    }

    #[test]
    fn wrong_calls_get_sentences_and_no_plan() {
        assert_eq!(
            plan("switch_light", json!({})).unwrap_err(),
            "there is no function `switch_light`; the functions are is_door_open, open_door, switch_lamp"
        );
        assert_eq!(plan("switch_lamp", json!({})).unwrap_err(), "argument `on` is missing: it must be BOOLEAN");
        assert_eq!(plan("switch_lamp", json!({"on": "yes"})).unwrap_err(), "argument `on` must be BOOLEAN, not STRING");
        assert_eq!(
            plan("open_door", json!({"which": 1})).unwrap_err(),
            "argument `which` is unknown: this function takes no arguments"
        );
        assert_eq!(
            Tools::new(&[]).plan("x", &Map::new()).unwrap_err(),
            "there is no function `x`: this device has none"
        );
    }

    #[test]
    fn the_lines_of_all_tools_are_listed() {
        let tools = tools();
        assert_eq!(tools.outputs().collect::<Vec<_>>(), ["door", "lamp"]);
        assert_eq!(tools.inputs().collect::<Vec<_>>(), ["door_contact"]);
    }
}
