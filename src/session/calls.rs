//! The ledger of tool calls: each is answered exactly once or cancelled exactly once.

use std::collections::BTreeMap;
use std::time::Duration;

use super::timers::{Reason, Timers};
use crate::flow::{Call, ToolReply};
use crate::units::{CallId, Time};

/// Calls that may be open at once; a model that opens more is answered with an error.
pub const CALLS_OPEN_MAX: usize = 16;

#[derive(Debug)]
struct Open {
    name: String,
    called_at: Time,
    deadline: Time,
}

/// What to do with a call that arrived.
#[derive(Debug, PartialEq)]
pub enum Admission {
    /// Run it.
    Run(Call),
    /// It is open already: the server repeats itself.
    Known,
    /// Answer it with this error.
    Refuse(ToolReply),
}

/// An answer that goes to the server.
#[derive(Debug, PartialEq)]
pub struct Answer {
    /// The reply.
    pub reply: ToolReply,
    /// Milliseconds since the call.
    pub took_ms: u64,
}

/// The ledger.
#[derive(Debug)]
pub struct Calls {
    open: BTreeMap<CallId, Open>,
    /// What the tool's own limit gets on top: the tool answers first, the ledger only if it does not.
    grace: Duration,
    tools: BTreeMap<String, Terms>,
}

/// How a tool is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Its own time limit.
    pub limit: Duration,
    /// Whether the model waits for it; such a call the server takes back when the user interrupts.
    pub is_blocking: bool,
}

impl Calls {
    /// A ledger for these tools; a name that is not among them gets no time to speak of, because the tools
    /// answer it with an error at once.
    pub fn new(tools: BTreeMap<String, Terms>) -> Calls {
        Calls { open: BTreeMap::new(), grace: Duration::from_millis(500), tools }
    }

    /// Whether the model waits for the tool of this name.
    pub fn is_blocking(&self, name: &str) -> bool {
        self.tools.get(name).is_some_and(|tool| tool.is_blocking)
    }

    /// A call arrived.
    pub fn called(&mut self, call: Call, now: Time, timers: &mut Timers) -> Admission {
        if self.open.contains_key(&call.id) {
            return Admission::Known;
        }
        if self.open.len() >= CALLS_OPEN_MAX {
            let why = format!("busy: {CALLS_OPEN_MAX} calls are open already; wait for their results and call again");
            return Admission::Refuse(ToolReply { id: call.id, name: call.name, result: Err(why) });
        }
        let limit = self.tools.get(&call.name).map_or(Duration::from_secs(1), |tool| tool.limit);
        let open = Open { name: call.name.clone(), called_at: now, deadline: now + limit + self.grace };
        self.open.insert(call.id.clone(), open);
        self.arm(timers);
        Admission::Run(call)
    }

    /// A tool answered. None where the call is not open: cancelled, timed out, or of an old connection.
    pub fn replied(&mut self, reply: ToolReply, now: Time, timers: &mut Timers) -> Option<Answer> {
        let open = self.open.remove(&reply.id)?;
        self.arm(timers);
        Some(Answer { reply, took_ms: now.since(open.called_at).as_millis() as u64 })
    }

    /// The server cancelled a call. Answers whether it was open: then the tool must stop.
    pub fn cancelled(&mut self, id: &CallId, timers: &mut Timers) -> bool {
        let was_open = self.open.remove(id).is_some();
        self.arm(timers);
        was_open
    }

    /// [`Reason::Call`] passed: the calls that are late, each with the error to answer it with.
    pub fn late(&mut self, now: Time, timers: &mut Timers) -> Vec<Answer> {
        let late: Vec<CallId> = self.open.iter().filter(|(_, o)| o.deadline <= now).map(|(id, _)| id.clone()).collect();
        let answers = late.into_iter().filter_map(|id| {
            let open = self.open.remove(&id)?;
            let took_ms = now.since(open.called_at).as_millis() as u64;
            let why = format!("no result after {took_ms} ms; the action was stopped and may or may not have happened");
            Some(Answer { reply: ToolReply { id, name: open.name, result: Err(why) }, took_ms })
        });
        let answers = answers.collect();
        self.arm(timers);
        answers
    }

    /// The connection ended: its calls mean nothing any more. Answers them, so that the tools are stopped.
    pub fn link_lost(&mut self, timers: &mut Timers) -> Vec<CallId> {
        timers.clear(Reason::Call);
        std::mem::take(&mut self.open).into_keys().collect()
    }

    /// Whether this call is open.
    pub fn is_open(&self, id: &CallId) -> bool {
        self.open.contains_key(id)
    }

    /// Whether any call is open.
    pub fn is_any_open(&self) -> bool {
        !self.open.is_empty()
    }

    fn arm(&self, timers: &mut Timers) {
        match self.open.values().map(|o| o.deadline).min() {
            Some(at) => timers.set(Reason::Call, at),
            None => timers.clear(Reason::Call),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn ledger() -> Calls {
        let terms = |ms, is_blocking| Terms { limit: Duration::from_millis(ms), is_blocking };
        Calls::new([("lamp".to_string(), terms(2_000, true)), ("search".to_string(), terms(20_000, false))].into())
    }

    fn call(id: &str, name: &str) -> Call {
        Call { id: CallId::from(id), name: name.into(), args: serde_json::Map::new() }
    }

    fn reply(id: &str) -> ToolReply {
        ToolReply { id: CallId::from(id), name: "lamp".into(), result: Ok(true.into()) }
    }

    #[test]
    fn the_earliest_deadline_counts_and_moves_on_with_each_answer() {
        let (mut calls, mut timers) = (ledger(), Timers::default());
        let at = Time::from_ms(1_000);
        for (id, name) in [("s", "search"), ("l", "lamp"), ("u", "no_such_tool")] {
            assert!(matches!(calls.called(call(id, name), at, &mut timers), Admission::Run(_)));
        }
        assert_eq!(timers.next(), Some((Time::from_ms(2_500), Reason::Call)), "an unknown name is answered at once");
        assert!(calls.replied(reply("u"), at, &mut timers).is_some());
        assert_eq!(timers.next(), Some((Time::from_ms(3_500), Reason::Call)));
        assert!(calls.cancelled(&CallId::from("l"), &mut timers));
        assert_eq!(timers.next(), Some((Time::from_ms(21_500), Reason::Call)));
        assert!(calls.replied(reply("s"), at, &mut timers).is_some());
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn an_answer_comes_of_the_first_that_ends_a_call_and_of_nothing_after() {
        let (mut calls, mut timers) = (ledger(), Timers::default());
        calls.called(call("a", "lamp"), Time::ZERO, &mut timers);
        let late = calls.late(Time::from_ms(2_500), &mut timers);
        assert_eq!((late.len(), late[0].took_ms), (1, 2_500));
        assert!(late[0].reply.result.as_ref().unwrap_err().contains("2500 ms"));
        assert_eq!(calls.replied(reply("a"), Time::from_ms(2_600), &mut timers), None);
        assert!(!calls.cancelled(&CallId::from("a"), &mut timers));
        assert!(calls.late(Time::from_ms(9_000), &mut timers).is_empty());
    }

    #[test]
    fn only_blocking_tools_hold_the_model_up() {
        let calls = ledger();
        assert!(calls.is_blocking("lamp"));
        assert!(!calls.is_blocking("search") && !calls.is_blocking("no_such_tool"));
    }
}
