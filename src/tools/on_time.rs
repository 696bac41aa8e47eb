//! What is on, and when it is switched off: the longest time that an output may be on, kept even if the model forgets
//! it, the call that switched it on failed half-way, or the program was restarted.
//!
//! An output is armed *before* the call that switches it on runs: whatever comes of the call, the deadline stands. To
//! be switched on again does not move it; only what was off may begin anew. The output of a line needs no memory across
//! a restart, because every line goes to its safe state at the start; what is on elsewhere is written down first.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::units::Time;

/// How soon a switching-off that failed is tried again …
const RETRY_FIRST: Duration = Duration::from_secs(5);
/// … and at last, after it failed again and again: what should be off is off soon after who was down is back, and one
/// attempt in that time is no burden to anybody.
pub const RETRY_AFTER: Duration = Duration::from_secs(10);
/// Outputs that are watched; a tool with an argument for the room has several.
pub const OUTPUTS_MAX: usize = 256;

/// The call that switches an output off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OffCall {
    /// The tool.
    pub name: String,
    /// Its arguments.
    pub args: Map<String, Value>,
}

#[derive(Clone, Debug)]
struct On {
    off: OffCall,
    off_at: Time,
    /// The switching-off is at work.
    is_going_off: bool,
    /// How often it came to nothing.
    tries: u32,
    /// Which switching-on this is: a switching-off that began before it does not speak for it.
    number: u64,
    is_lasting: bool,
}

/// One entry of what is written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptOn {
    /// The output.
    pub output: String,
    /// What switches it off.
    pub off: OffCall,
    /// When, in seconds since 1970 by the wall clock.
    pub off_unix_s: i64,
}

/// All that is on and has a limit.
#[derive(Debug, Default)]
pub struct OnTimes {
    on: BTreeMap<String, On>,
    /// Of the newest switching-on.
    number: u64,
}

impl OnTimes {
    /// `output` is about to be switched on. `is_lasting`: it stays on when the program ends. Answers when it goes off.
    ///
    /// # Errors
    /// [`OUTPUTS_MAX`] are watched already: then it must not be switched on.
    pub fn arm(
        &mut self,
        output: &str,
        off: OffCall,
        longest: Duration,
        is_lasting: bool,
        now: Time,
    ) -> Result<Time, String> {
        self.number += 1;
        if let Some(on) = self.on.get_mut(output) {
            // While it is being switched off it may be off already, and on anew from here. Otherwise it does not get
            // longer; a tool with a shorter limit for the same output counts.
            let is_anew = std::mem::take(&mut on.is_going_off);
            if is_anew {
                on.tries = 0;
            }
            on.off_at = if is_anew { now + longest } else { on.off_at.min(now + longest) };
            on.number = self.number;
            return Ok(on.off_at);
        }
        if self.on.len() >= OUTPUTS_MAX {
            return Err(format!("{OUTPUTS_MAX} things are on already; switch some of them off first"));
        }
        let off_at = now + longest;
        self.on.insert(
            output.to_string(),
            On { off, off_at, is_going_off: false, tries: 0, number: self.number, is_lasting },
        );
        Ok(off_at)
    }

    /// A switching-off of `output` begins, by whomever. Answers which switching-on it speaks for.
    pub fn going_off(&self, output: &str) -> u64 {
        self.on.get(output).map_or(0, |on| on.number)
    }

    /// `output` was switched off, by a call that began when [`OnTimes::going_off`] answered `number`. Where it was
    /// switched on meanwhile it may well be on, and stays armed. Answers whether it was armed and is not any more.
    pub fn went_off(&mut self, output: &str, number: u64) -> bool {
        self.on.get(output).is_some_and(|on| on.number == number) && self.on.remove(output).is_some()
    }

    /// The switching-off that [`OnTimes::due`] asked for came to nothing. Answers how often that was now.
    pub fn stays_on(&mut self, output: &str, now: Time) -> u32 {
        let Some(on) = self.on.get_mut(output) else { return 0 };
        on.is_going_off = false;
        let after = (RETRY_FIRST * 2_u32.saturating_pow(on.tries.min(8))).min(RETRY_AFTER);
        on.off_at = on.off_at.max(now + after);
        on.tries = on.tries.saturating_add(1);
        on.tries
    }

    /// How often the switching-off of `output` came to nothing.
    pub fn tries(&self, output: &str) -> u32 {
        self.on.get(output).map_or(0, |on| on.tries)
    }

    /// The next time at which something is to be switched off.
    pub fn next(&self) -> Option<Time> {
        self.on.values().filter(|on| !on.is_going_off).map(|on| on.off_at).min()
    }

    /// What is to be switched off now; each is to be answered with [`OnTimes::went_off`] or [`OnTimes::stays_on`].
    pub fn due(&mut self, now: Time) -> Vec<(String, OffCall)> {
        let is_due = |on: &&mut On| !on.is_going_off && on.off_at <= now;
        let due = self.on.iter_mut().filter(|(_, on)| is_due(on));
        due.map(|(output, on)| {
            on.is_going_off = true;
            (output.clone(), on.off.clone())
        })
        .collect()
    }

    /// Who was away is back: what could not be switched off is tried again at once.
    pub fn try_again(&mut self, now: Time) {
        for on in self.on.values_mut().filter(|on| on.tries > 0) {
            on.off_at = on.off_at.min(now);
        }
    }

    /// Makes these due at once: where something demands that they go off now.
    pub fn hasten(&mut self, now: Time, is_meant: impl Fn(&str, &OffCall) -> bool) {
        for (output, on) in &mut self.on {
            if is_meant(output, &on.off) {
                on.off_at = on.off_at.min(now);
            }
        }
    }

    /// What is on, for those who look after it.
    pub fn all(&self) -> impl Iterator<Item = (&str, &OffCall)> {
        self.on.iter().map(|(output, on)| (output.as_str(), &on.off))
    }

    /// What is on elsewhere, and so would stay on when the program ends.
    pub fn lasting(&self) -> Vec<(String, OffCall)> {
        let lasting = self.on.iter().filter(|(_, on)| on.is_lasting && !on.is_going_off);
        lasting.map(|(output, on)| (output.clone(), on.off.clone())).collect()
    }

    /// What must be known after a restart.
    pub fn kept(&self, now: Time, unix_s: i64) -> Vec<KeptOn> {
        let lasting = self.on.iter().filter(|(_, on)| on.is_lasting);
        let kept = |(output, on): (&String, &On)| KeptOn {
            output: output.clone(),
            off: on.off.clone(),
            off_unix_s: unix_s + on.off_at.since(now).as_secs() as i64,
        };
        lasting.map(kept).collect()
    }

    /// Takes up what was on when an earlier run ended. `longest` is its tool's limit: a clock that jumped must not make
    /// it longer. Where the clock was not set, or went back, that long is waited at most.
    pub fn remember(&mut self, kept: KeptOn, longest: Duration, now: Time, unix_s: i64) {
        let left = u64::try_from(kept.off_unix_s - unix_s).map_or(Duration::ZERO, Duration::from_secs).min(longest);
        let on = On { off: kept.off, off_at: now + left, is_going_off: false, tries: 0, number: 0, is_lasting: true };
        if self.on.len() < OUTPUTS_MAX {
            self.on.insert(kept.output, on);
        }
    }
}

#[cfg(test)]
#[path = "on_time/tests.rs"]
mod tests;
