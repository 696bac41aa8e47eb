//! What a call switches, for those who watch how long it is on.
//!
//! A line is its name. Of what is elsewhere only its owner knows what it is: one topic may have eight relays behind it,
//! and one lamp two topics. So it is what *switches it off*: two calls switch one thing where one and the same message,
//! request or command would switch it off. Nothing is then taken for off that is on; where two tools switch one thing off
//! by different words, it is switched off once more than needed.

use std::time::Duration;

use serde_json::{Map, Value};

use super::mqtt::Request;
use super::{Tools, Work, policy, schema, work};
use crate::config::agent::{Action, Tool};

/// What stands between what is shown of a name and what tells it from others.
const MARK: &str = " #";
/// Characters of a name that are shown.
const SHOWN_CHARS: usize = 80;

impl Tools {
    /// What a call of `tool` with `args` switches; none where nothing stays on, and nothing goes off.
    pub fn output(&self, tool: &Tool, args: &Map<String, Value>, work: &Work) -> Option<String> {
        let has_argument = tool.policy.on_argument.is_some();
        match work {
            Work::Line(plan) => has_argument.then(|| format!("line {}", plan.line)),
            Work::Pwm(plan) => plan.stays().then(|| format!("pwm {}", plan.output)),
            // It may be the very call that switches off what another tool switched on.
            work if !has_argument => thing(work),
            _ => switched_off(tool, &policy::off(&tool.policy, args)?),
        }
    }

    /// How long `output` may be on, which `tool` switches with `args`: the shortest of the limits of all tools that
    /// switch it.
    pub fn longest_on(&self, output: &str, tool: &Tool, args: &Map<String, Value>) -> Option<Duration> {
        let switches = |other: &&Tool| match (&other.action, output.split_once(' ')) {
            (Action::GpioSet { line: of, .. }, Some(("line", line))) => of == line,
            (Action::Pwm(action), Some(("pwm", of))) => action.output == of,
            _ if other.name == tool.name => true,
            _ => as_of(other, tool, args).and_then(|args| switched_off(other, &args)).as_deref() == Some(output),
        };
        let limited = self.0.values().filter(|other| other.policy.max_on_s.is_some());
        let limits = limited.filter(switches).filter_map(|other| other.policy.max_on_s);
        limits.min().map(|limit_s| Duration::from_secs(limit_s.into()))
    }
}

/// The name of an output without what only tells it from others.
pub fn shown(output: &str) -> &str {
    output.rsplit_once(MARK).map_or(output, |(shown, _)| shown)
}

/// The arguments with which `other` switches off what `tool` switches with `args`, if they have the same parameters
/// beside the one that says on or off.
fn as_of(other: &Tool, tool: &Tool, args: &Map<String, Value>) -> Option<Map<String, Value>> {
    let argument = other.policy.on_argument.as_ref()?;
    let is_switch = other.parameters.as_ref()?["properties"][argument]["type"] == "BOOLEAN";
    let mut args = args.clone();
    if let Some(own) = &tool.policy.on_argument {
        args.remove(own);
    }
    args.insert(argument.clone(), if is_switch { Value::Bool(false) } else { Value::from(0) });
    schema::check(other.parameters.as_ref(), &args).ok().map(|()| args)
}

/// The name of what a call of `tool` with these arguments switches off.
fn switched_off(tool: &Tool, off: &Map<String, Value>) -> Option<String> {
    thing(&work::work(&tool.action, off, Duration::from_millis(tool.timeout_ms.into())).ok()?)
}

/// The name of what this does elsewhere: the same for the same message, request or command, whoever sends it and however
/// long they wait. None where it only looks.
fn thing(work: &Work) -> Option<String> {
    let (name, all) = match work {
        Work::Mqtt(Request::Publish { message, wait, .. }) => {
            (format!("mqtt {}", message.topic), format!("{message:?} {wait:?}"))
        }
        Work::Http(asked) => {
            let all = format!("{:?} {:?} {:?}", asked.target, asked.headers, asked.body);
            (format!("http {} {}", asked.method.word(), asked.origin), all)
        }
        Work::Home(asked) => (format!("home {}", asked.id), format!("{:?}", asked.call.as_ref()?)),
        Work::Command(line) => (format!("command {}", line.program.display()), format!("{line:?}")),
        Work::Mcp(call) => (format!("mcp {} {}", call.server, call.tool), format!("{:?}", call.arguments)),
        Work::Mqtt(Request::Read(_)) => return None,
        Work::Line(_) | Work::Await(_) | Work::Pwm(_) | Work::Sensor(_) | Work::Device(_) => return None,
    };
    let shown: String = name.chars().take(SHOWN_CHARS).collect();
    Some(format!("{shown}{MARK}{:016x}", mark(&format!("{name} {all}"))))
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo): the same in every version of mynah, as what is written down is compared with it.
/// Some hundred names are told from one another, and nobody gains by two alike.
fn mark(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |mark, byte| (mark ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
#[path = "output/tests.rs"]
mod tests;
