//! The gatekeeper: whether a call may move anything now, by its tool's policy. What it refuses it says in a sentence
//! that the model can act on.
//!
//! To switch off is never refused where mynah itself would do it one day (`max_on_s`): nothing that keeps a lamp from
//! burning too long may be rate-limited, forbidden at night or need a yes.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::{Map, Value};

use super::consent::{self, Said};
use crate::config::agent::policy::{Caller, Confirm, Policy};
use crate::config::agent::{Switch, Tool};
use crate::units::Time;

const MINUTE: Duration = Duration::from_secs(60);

/// What a call meets.
pub struct Moment<'a> {
    /// Now.
    pub now: Time,
    /// The local minute of the day; none where the clock is not set.
    pub minute_of_day: Option<u16>,
    /// The level of a line, by the board profile's name; none where it cannot be read.
    pub line: &'a dyn Fn(&str) -> Option<bool>,
}

/// What is to be done with a call that is not refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Do it.
    Run,
    /// Only say what would be done.
    Rehearse,
    /// Ask a person first.
    Ask(Asking),
    /// A person has been asked by voice, and what they say may be on its way: look again until this time.
    Listen(Time),
}

/// A question to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asking {
    /// How they say yes.
    pub by: Confirm,
    /// How long it is waited for.
    pub within: Duration,
}

/// How long a transcript may lag behind the call that was made because of it (live-protocol.md 5: there is no order
/// between them).
const TRANSCRIPT_LAG: Duration = Duration::from_secs(3);

/// A call that waits for a yes.
#[derive(Clone, Debug)]
struct Asked {
    name: String,
    args: Map<String, Value>,
    caller: Caller,
    by: Confirm,
    at: Time,
    until: Time,
    is_confirmed: bool,
}

/// The gatekeeper.
#[derive(Debug, Default)]
pub struct Gatekeeper {
    ran: BTreeMap<String, VecDeque<Time>>,
    /// One question at a time: a yes must not be taken for another one's.
    asked: Option<Asked>,
}

impl Gatekeeper {
    /// Whether `tool` may be called with `args` now.
    ///
    /// # Errors
    /// Why not, as a sentence for the model.
    pub fn admit(
        &mut self,
        tool: &Tool,
        caller: Caller,
        args: &Map<String, Value>,
        moment: &Moment<'_>,
    ) -> Result<Verdict, String> {
        let policy = &tool.policy;
        if !matches!(caller, Caller::Mynah | Caller::Hand) && !policy.callers.contains(&caller) {
            return Err(format!("`{}` may not be called by {}", tool.name, whom(caller)));
        }
        let is_off = policy.max_on_s.is_some() && policy.on_argument.is_some() && !is_on(policy, args);
        if caller == Caller::Mynah || is_off {
            self.ran(&tool.name, moment.now);
            return Ok(Verdict::Run);
        }
        quiet(policy, moment)?;
        interlocked(policy, moment)?;
        self.rate(&tool.name, policy, moment.now)?;
        if policy.confirm != Confirm::Off && policy.dry_run == Switch::Off && caller != Caller::Hand {
            let verdict = self.confirm(tool, caller, args, moment.now);
            if verdict != Verdict::Run {
                return Ok(verdict);
            }
        }
        self.ran(&tool.name, moment.now);
        Ok(if policy.dry_run == Switch::On { Verdict::Rehearse } else { Verdict::Run })
    }

    fn ran(&mut self, name: &str, now: Time) {
        let ran = self.ran.entry(name.to_string()).or_default();
        ran.retain(|at| *at + MINUTE > now);
        // The newest is kept beyond the minute, for the interval.
        ran.push_back(now);
    }

    fn rate(&self, name: &str, policy: &Policy, now: Time) -> Result<(), String> {
        let Some(ran) = self.ran.get(name) else { return Ok(()) };
        let interval = Duration::from_millis(policy.min_interval_ms.into());
        if let Some(left) = ran.back().map(|at| (*at + interval).since(now)).filter(|left| !left.is_zero()) {
            return Err(format!("not yet: `{name}` may be called again in {} s", seconds_up(left)));
        }
        let recent: Vec<&Time> = ran.iter().filter(|at| **at + MINUTE > now).collect();
        match recent.first() {
            Some(first) if recent.len() >= policy.per_minute as usize => {
                let left = (**first + MINUTE).since(now);
                Err(format!("too often: `{name}` may be called again in {} s", seconds_up(left)))
            }
            _ => Ok(()),
        }
    }

    /// Looks whether the yes to this call is there, and asks for it where not.
    fn confirm(&mut self, tool: &Tool, caller: Caller, args: &Map<String, Value>, now: Time) -> Verdict {
        let policy = &tool.policy;
        let is_same = |asked: &Asked| asked.name == tool.name && asked.args == *args && asked.until > now;
        match &self.asked {
            Some(asked) if is_same(asked) && asked.is_confirmed => {
                self.asked = None;
                Verdict::Run
            }
            Some(asked) if is_same(asked) && asked.by == Confirm::Voice && now.since(asked.at) > Duration::ZERO => {
                Verdict::Listen(asked.until.min(now + TRANSCRIPT_LAG))
            }
            _ => {
                let within = Duration::from_secs(policy.confirm_within_s.into());
                self.asked = Some(Asked {
                    name: tool.name.clone(),
                    args: args.clone(),
                    caller,
                    by: policy.confirm,
                    at: now,
                    until: now + within,
                    is_confirmed: false,
                });
                Verdict::Ask(Asking { by: policy.confirm, within })
            }
        }
    }

    /// A person tapped the button. Answers the call that they said yes to: it is to run now.
    pub fn tapped(&mut self, now: Time) -> Option<(String, Map<String, Value>, Caller)> {
        let asked = self.asked.as_mut().filter(|asked| asked.by == Confirm::Button && asked.until > now)?;
        asked.is_confirmed = true;
        Some((asked.name.clone(), asked.args.clone(), asked.caller))
    }

    /// All that a person said in a turn that began at this time, as far as it is understood yet.
    pub fn heard(&mut self, text: &str, began_at: Time, now: Time) {
        let Some(asked) = self.asked.as_mut().filter(|asked| asked.by == Confirm::Voice && asked.until > now) else {
            return;
        };
        if began_at < asked.at {
            return; // what had been said before the question is no answer to it
        }
        match consent::said(text) {
            Said::Yes => asked.is_confirmed = true,
            Said::No => self.asked = None,
            Said::Neither => {}
        }
    }

    /// Whether a yes is there for this call, without asking.
    pub fn is_confirmed(&self, name: &str, args: &Map<String, Value>, now: Time) -> bool {
        self.asked.as_ref().is_some_and(|a| a.name == name && a.args == *args && a.until > now && a.is_confirmed)
    }
}

/// Whether `args` switch something on.
pub fn is_on(policy: &Policy, args: &Map<String, Value>) -> bool {
    match policy.on_argument.as_ref().and_then(|name| args.get(name)) {
        Some(Value::Bool(on)) => *on,
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        _ => false,
    }
}

/// `args` with the argument that says on or off, or how much, at off.
pub fn off(policy: &Policy, args: &Map<String, Value>) -> Option<Map<String, Value>> {
    let name = policy.on_argument.as_ref()?;
    let off = match args.get(name)? {
        Value::Bool(_) => Value::Bool(false),
        Value::Number(_) => Value::from(0),
        _ => return None,
    };
    let mut args = args.clone();
    args.insert(name.clone(), off);
    Some(args)
}

fn quiet(policy: &Policy, moment: &Moment<'_>) -> Result<(), String> {
    let Some(hours) = policy.quiet_hours else { return Ok(()) };
    match moment.minute_of_day {
        None => Err(format!("not allowed from {hours}, and the device does not know what time it is")),
        Some(minute) if hours.has(minute) => Err(format!("not allowed from {hours}")),
        Some(_) => Ok(()),
    }
}

/// Whether the lines that must or must not be active let it be done.
///
/// # Errors
/// Which line does not, as a sentence for the model.
pub fn interlocked(policy: &Policy, moment: &Moment<'_>) -> Result<(), String> {
    for line in &policy.not_while {
        match (moment.line)(line) {
            Some(false) => {}
            Some(true) => return Err(format!("not allowed while `{line}` is on")),
            None => return Err(format!("not allowed: `{line}` cannot be read, and it must be off")),
        }
    }
    for line in &policy.only_while {
        match (moment.line)(line) {
            Some(true) => {}
            Some(false) => return Err(format!("only allowed while `{line}` is on")),
            None => return Err(format!("not allowed: `{line}` cannot be read, and it must be on")),
        }
    }
    Ok(())
}

fn seconds_up(time: Duration) -> u64 {
    time.as_millis().div_ceil(1000) as u64
}

/// A caller that may be refused, in a sentence.
fn whom(caller: Caller) -> String {
    match caller {
        Caller::Mqtt => "MQTT".to_string(),
        other => format!("the {}", other.word()),
    }
}

#[cfg(test)]
#[path = "policy/tests.rs"]
mod tests;
