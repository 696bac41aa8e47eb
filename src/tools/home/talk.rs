//! One connection to Home Assistant, from its greeting to its end: who is told what when. Knows no socket.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use serde_json::{Map, Value};

use super::message::{self, Heard};
use super::states::States;
use super::{HomeWork, PEER};
use crate::tools::Failure;
use crate::units::Time;

/// From the connection to the first states; Home Assistant answers at once unless it is just starting.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(15);
/// Silence after which it is asked whether it lives …
const PING_AFTER: Duration = Duration::from_secs(30);
/// … and has this long for the answer.
const PONG_TIMEOUT: Duration = Duration::from_secs(10);
/// A service is done when its result is there; the new state comes before it or a moment later. One that changes
/// nothing brings none.
const SETTLE: Duration = Duration::from_millis(800);
/// Calls at once; the errands have eight.
const CALLS_MAX: usize = 16;
/// What the model hears of Home Assistant's own words.
const COMPLAINT_CHARS_MAX: usize = 300;

/// Which call an answer is for.
pub type Ticket = u64;

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send this.
    Send(String),
    /// Show the token.
    SendToken,
    /// It can be asked now.
    Up,
    /// A call is answered.
    Answer(Ticket, Result<Value, Failure>),
}

/// Why a connection is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The token was not taken; asking again soon would be taken for an attack.
    TokenRefused,
    /// The end of a sentence that begins with Home Assistant.
    Failed(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Waits for `auth_required`.
    Greeting,
    /// Waits for `auth_ok`.
    Token,
    /// Waits for the first states.
    States,
    Up,
}

#[derive(Debug)]
struct Pending {
    ticket: Ticket,
    work: HomeWork,
    /// Secrets in its data: they are taken out of what Home Assistant says about it.
    hidden: Vec<String>,
    /// The state's count when it was called.
    version: u64,
    /// When it is answered without a change, where its result is there.
    settles_at: Option<Time>,
    gives_up_at: Time,
}

/// The course of one connection.
#[derive(Debug)]
pub struct Talk {
    listed: BTreeSet<String>,
    phase: Phase,
    began_at: Time,
    heard_at: Time,
    pinged_at: Option<Time>,
    /// Home Assistant's time of the day at a time of ours.
    clock: Option<(Time, u64)>,
    last_id: u64,
    subscription: u64,
    states: States,
    calls: BTreeMap<u64, Pending>,
    outputs: VecDeque<Output>,
}

impl Talk {
    /// A connection that was made just now. `unix_s` is what Home Assistant takes the time for, where it says so.
    pub fn new(listed: impl Iterator<Item = String>, unix_s: Option<u64>, now: Time) -> Talk {
        Talk {
            listed: listed.collect(),
            phase: Phase::Greeting,
            began_at: now,
            heard_at: now,
            pinged_at: None,
            clock: unix_s.map(|unix_s| (now, unix_s)),
            last_id: 0,
            subscription: 0,
            states: States::default(),
            calls: BTreeMap::new(),
            outputs: VecDeque::new(),
        }
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Talk::handle_timeout`] has something to do.
    pub fn deadline(&self) -> Time {
        if self.phase != Phase::Up {
            return self.began_at + LOGIN_TIMEOUT;
        }
        let alive = self.pinged_at.map_or(self.heard_at + PING_AFTER, |pinged_at| pinged_at + PONG_TIMEOUT);
        let calls = self.calls.values().map(|call| call.settles_at.unwrap_or(call.gives_up_at));
        calls.fold(alive, Time::min)
    }

    /// A message came.
    ///
    /// # Errors
    /// Why the connection is over.
    pub fn handle_text(&mut self, text: &str, now: Time) -> Result<(), End> {
        self.heard_at = now;
        self.pinged_at = None;
        match (message::parse(text).map_err(End::Failed)?, self.phase) {
            (Heard::AuthRequired, Phase::Greeting) => {
                self.phase = Phase::Token;
                self.outputs.push_back(Output::SendToken);
            }
            (Heard::AuthInvalid, _) => return Err(End::TokenRefused),
            (Heard::AuthOk, Phase::Token) => {
                self.phase = Phase::States;
                self.subscription = self.next_id();
                let subscribe = message::subscribe(self.subscription, self.listed.iter().map(String::as_str));
                self.outputs.push_back(Output::Send(subscribe));
            }
            (Heard::Event { id, event }, Phase::States | Phase::Up) if id == self.subscription => {
                self.states.take(&event, |id| self.listed.contains(id));
                if self.phase == Phase::States {
                    self.phase = Phase::Up;
                    self.outputs.push_back(Output::Up);
                }
                self.settle(now);
            }
            (Heard::Result { id, outcome: Err(refusal) }, _) if id == self.subscription => {
                let why = short(&format!("{} {}", refusal.code, refusal.message));
                return Err(End::Failed(format!("tells no states ({why}); it must be 2022.4 or newer")));
            }
            (Heard::Result { id, outcome }, _) => self.handle_result(id, outcome, now),
            _ => {} // the rest needs no answer
        }
        Ok(())
    }

    /// Somebody wants to know a state or to call a service, with `data` whose secrets are in it and listed in `hidden`.
    pub fn ask(&mut self, ticket: Ticket, work: HomeWork, data: &Map<String, Value>, hidden: Vec<String>, now: Time) {
        let Some(state) = self.states.get(&work.id) else {
            let why = format!("{PEER} has no entity `{}` now; its owner must look after {}", work.id, work.name);
            return self.answer(ticket, Err(Failure::Refused(why)));
        };
        let (version, is_unavailable) = (state.version, state.is_unavailable());
        let Some(call) = &work.call else {
            let told = self.told(&work, now);
            return self.answer(ticket, told);
        };
        if is_unavailable {
            // Home Assistant would say that all is well, and do nothing.
            let why = format!("{} does not answer {PEER}; nothing was done", work.name);
            return self.answer(ticket, Err(Failure::Refused(why)));
        }
        if self.calls.len() >= CALLS_MAX {
            let why = format!("{PEER} is busy with other calls; nothing was done");
            return self.answer(ticket, Err(Failure::Refused(why)));
        }
        let id = self.next_id();
        let message = message::call(id, (&call.domain, &call.service), &work.id, data);
        self.outputs.push_back(Output::Send(message));
        let gives_up_at = now + work.patience;
        self.calls.insert(id, Pending { ticket, work, hidden, version, settles_at: None, gives_up_at });
    }

    /// Time has passed.
    ///
    /// # Errors
    /// Why the connection is over.
    pub fn handle_timeout(&mut self, now: Time) -> Result<(), End> {
        if self.phase != Phase::Up {
            let is_late = now >= self.began_at + LOGIN_TIMEOUT;
            let why = format!("did not tell its states within {} s", LOGIN_TIMEOUT.as_secs());
            return if is_late { Err(End::Failed(why)) } else { Ok(()) };
        }
        match self.pinged_at {
            Some(pinged_at) if now >= pinged_at + PONG_TIMEOUT => {
                return Err(End::Failed(format!("has said nothing for {} s", now.since(self.heard_at).as_secs())));
            }
            None if now >= self.heard_at + PING_AFTER => {
                let ping = message::ping(self.next_id());
                self.outputs.push_back(Output::Send(ping));
                self.pinged_at = Some(now);
            }
            _ => {}
        }
        self.settle(now);
        self.calls.retain(|_, call| call.settles_at.is_some() || call.gives_up_at > now); // its caller has left
        Ok(())
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn answer(&mut self, ticket: Ticket, answer: Result<Value, Failure>) {
        self.outputs.push_back(Output::Answer(ticket, answer));
    }

    fn handle_result(&mut self, id: u64, outcome: Result<Value, message::Refusal>, now: Time) {
        match outcome {
            Ok(_) => {
                if let Some(call) = self.calls.get_mut(&id) {
                    call.settles_at = Some((now + SETTLE).min(call.gives_up_at));
                }
                self.settle(now);
            }
            Err(refusal) => {
                let Some(call) = self.calls.remove(&id) else { return };
                let mut said = format!("{} ({})", refusal.message, refusal.code);
                for secret in call.hidden.iter().filter(|secret| !secret.is_empty()) {
                    said = said.replace(secret.as_str(), "...");
                }
                let why = format!("{PEER} refused to do it for {}: {}", call.work.name, short(&said));
                self.answer(call.ticket, Err(Failure::Refused(why)));
            }
        }
    }

    /// Answers the calls whose result is there, as soon as their entity has changed or the time for that is over.
    fn settle(&mut self, now: Time) {
        let states = &self.states;
        let version = |call: &Pending| states.get(&call.work.id).map(|state| state.version);
        let is_over =
            |call: &Pending| call.settles_at.is_some_and(|at| now >= at || version(call) != Some(call.version));
        let over: Vec<u64> = self.calls.iter().filter(|(_, call)| is_over(call)).map(|(id, _)| *id).collect();
        for call in over.iter().filter_map(|id| self.calls.remove(id)).collect::<Vec<_>>() {
            let is_changed = self.states.get(&call.work.id).is_none_or(|state| state.version != call.version);
            let mut told = self.told(&call.work, now);
            if let Ok(Value::Object(told)) = &mut told {
                told.insert("is_done".into(), true.into());
                told.insert("is_changed".into(), is_changed.into());
            }
            self.answer(call.ticket, told);
        }
    }

    fn told(&self, work: &HomeWork, now: Time) -> Result<Value, Failure> {
        let unix_s = self.clock.map(|(at, unix_s)| unix_s as f64 + now.since(at).as_secs_f64());
        let gone = || Failure::Refused(format!("{} has gone from {PEER} in the meantime", work.name));
        self.states.told(work, unix_s).ok_or_else(gone)
    }
}

/// What Home Assistant says, in one line and short enough for a sentence.
fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|letter| !letter.is_control()).take(COMPLAINT_CHARS_MAX).collect()
}
