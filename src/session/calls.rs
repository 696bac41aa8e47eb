//! The ledger of tool calls: each is answered exactly once or cancelled exactly once.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::Value;

use super::timers::{Reason, Timers};
use crate::flow::{Call, ToolReply};
use crate::units::{CallId, Time};

/// Calls that may be open at once; a model that opens more is answered with an error.
pub const CALLS_OPEN_MAX: usize = 16;

/// Calls whose results are remembered, to answer one that is repeated: a server that resumes a conversation repeats the
/// last few.
pub const CALLS_TOLD_MAX: usize = 64;

#[derive(Debug)]
struct Open {
    call: Call,
    called_at: Time,
    deadline: Time,
    owner: Owner,
}

/// Who waits for the result.
#[derive(Debug)]
enum Owner {
    /// The present connection.
    Model,
    /// Nobody at the moment: the connection ended. The result, once there is one.
    Lost(Option<Result<Value, String>>),
    /// Nobody any more: it was reported lost while the tool was still at it.
    Nobody,
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
    /// It was done before: answer it with what came of it.
    Done(ToolReply),
}

/// An answer that goes to the server.
#[derive(Debug, PartialEq)]
pub struct Answer {
    /// The reply.
    pub reply: ToolReply,
    /// Milliseconds since the call.
    pub took_ms: u64,
}

/// A call that ran out of time.
#[derive(Debug, PartialEq)]
pub struct Late {
    /// The call: its tool must stop.
    pub id: CallId,
    /// What to answer, where the model waits.
    pub answer: Option<Answer>,
}

/// A call whose connection ended before its answer.
#[derive(Debug, PartialEq)]
pub struct Lost {
    /// The call.
    pub id: CallId,
    /// The function.
    pub name: String,
    /// What the tool said; none while it is still at it.
    pub result: Option<Result<Value, String>>,
}

/// An answer that went out, and may have found a dead socket.
#[derive(Debug)]
struct Answered {
    reply: ToolReply,
    /// Turns that must still end before it surely arrived.
    turns_left: u8,
}

/// A turn may end with the call that it made; the next end is behind the answer.
const TURNS_TO_BE_SURE: u8 = 2;

/// The ledger.
#[derive(Debug)]
pub struct Calls {
    open: BTreeMap<CallId, Open>,
    answered: VecDeque<Answered>,
    /// Calls of this conversation with their results, the newest last.
    told: VecDeque<(Call, Result<Value, String>)>,
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
        Calls {
            open: BTreeMap::new(),
            answered: VecDeque::new(),
            told: VecDeque::new(),
            grace: Duration::from_millis(500),
            tools,
        }
    }

    /// Whether the model waits for the tool of this name.
    pub fn is_blocking(&self, name: &str) -> bool {
        self.tools.get(name).is_some_and(|tool| tool.is_blocking)
    }

    /// A call arrived.
    pub fn called(&mut self, call: Call, now: Time, timers: &mut Timers) -> Admission {
        if let Some(open) = self.open.get(&call.id) {
            let why = "busy: an action with this id is still under way from before the connection broke".to_string();
            return match open.owner {
                Owner::Model => Admission::Known,
                _ => Admission::Refuse(ToolReply { id: call.id, name: call.name, result: Err(why) }),
            };
        }
        // An id that comes with something else to do is not the same call.
        if let Some((_, result)) = self.told.iter().rev().find(|(told, _)| *told == call) {
            return Admission::Done(ToolReply { id: call.id, name: call.name, result: result.clone() });
        }
        if self.open.len() >= CALLS_OPEN_MAX {
            let why = format!("busy: {CALLS_OPEN_MAX} calls are open already; wait for their results and call again");
            return Admission::Refuse(ToolReply { id: call.id, name: call.name, result: Err(why) });
        }
        let limit = self.tools.get(&call.name).map_or(Duration::from_secs(1), |tool| tool.limit);
        let open = Open { call: call.clone(), called_at: now, deadline: now + limit + self.grace, owner: Owner::Model };
        self.open.insert(call.id.clone(), open);
        self.arm(timers);
        Admission::Run(call)
    }

    /// A tool answered. None where nobody waits for it: cancelled, timed out, or of a connection that ended.
    pub fn replied(&mut self, reply: ToolReply, now: Time, timers: &mut Timers) -> Option<Answer> {
        let open = self.open.get_mut(&reply.id)?;
        if let Owner::Lost(result) = &mut open.owner {
            result.get_or_insert(reply.result.clone());
            let call = open.call.clone();
            self.remember(call, reply.result);
            self.arm(timers);
            return None;
        }
        let open = self.open.remove(&reply.id)?;
        self.arm(timers);
        let took_ms = now.since(open.called_at).as_millis() as u64;
        self.remember(open.call, reply.result.clone());
        matches!(open.owner, Owner::Model).then_some(Answer { reply, took_ms })
    }

    /// The server cancelled a call. Answers whether its tool is at work: then it must stop.
    pub fn cancelled(&mut self, id: &CallId, timers: &mut Timers) -> bool {
        let was_open = self.open.remove(id).is_some();
        self.arm(timers);
        was_open
    }

    /// [`Reason::Call`] passed: the calls that are late. Each must be stopped; where the model waits there is an
    /// error to answer with.
    pub fn late(&mut self, now: Time, timers: &mut Timers) -> Vec<Late> {
        let is_due = |open: &&mut Open| open.deadline <= now && !matches!(open.owner, Owner::Lost(Some(_)));
        let (mut late, mut told) = (Vec::new(), Vec::new());
        for (id, open) in self.open.iter_mut().filter(|(_, open)| is_due(open)) {
            let took_ms = now.since(open.called_at).as_millis() as u64;
            let why = format!("no result after {took_ms} ms; the action was stopped and may or may not have happened");
            let answer = match &mut open.owner {
                Owner::Model => {
                    told.push((open.call.clone(), Err(why.clone())));
                    let reply = ToolReply { id: id.clone(), name: open.call.name.clone(), result: Err(why) };
                    open.owner = Owner::Nobody;
                    Some(Answer { reply, took_ms })
                }
                Owner::Lost(result) => {
                    *result = Some(Err(why));
                    None
                }
                Owner::Nobody => None,
            };
            late.push(Late { id: id.clone(), answer });
        }
        self.open.retain(|_, open| open.deadline > now || matches!(open.owner, Owner::Lost(_)));
        told.into_iter().for_each(|(call, result)| self.remember(call, result));
        self.arm(timers);
        late
    }

    fn remember(&mut self, call: Call, result: Result<Value, String>) {
        self.told.push_back((call, result));
        if self.told.len() > CALLS_TOLD_MAX {
            self.told.pop_front();
        }
    }

    /// Another conversation begins: its ids may be those of older ones.
    pub fn forget_told(&mut self) {
        self.told.clear();
    }

    /// This answer went out.
    pub fn answered(&mut self, reply: &ToolReply) {
        self.answered.push_back(Answered { reply: reply.clone(), turns_left: TURNS_TO_BE_SURE });
        if self.answered.len() > CALLS_OPEN_MAX {
            self.answered.pop_front();
        }
    }

    /// The server ended a turn.
    pub fn turn_over(&mut self) {
        for answered in &mut self.answered {
            answered.turns_left = answered.turns_left.saturating_sub(1);
        }
        self.answered.retain(|answered| answered.turns_left > 0);
    }

    /// Answers of an older connection that may not have arrived: a session that still waits for one is stuck.
    pub fn take_unsure(&mut self) -> Vec<ToolReply> {
        self.answered.drain(..).map(|answered| answered.reply).collect()
    }

    /// The connection ended. The tools go on: what has begun to move is better brought to its end than left
    /// half-way. What they answer is told on the next connection, if it is of the same conversation.
    pub fn link_lost(&mut self) {
        for open in self.open.values_mut().filter(|open| matches!(open.owner, Owner::Model)) {
            open.owner = Owner::Lost(None);
        }
    }

    /// Whether calls of a connection that ended wait to be told of.
    pub fn is_any_lost(&self) -> bool {
        self.open.values().any(|open| matches!(open.owner, Owner::Lost(_)))
    }

    /// Another connection is ready: takes the calls that were lost with an older one, with what became of them so
    /// far. What is still at work nobody waits for any more.
    pub fn take_lost(&mut self, timers: &mut Timers) -> Vec<Lost> {
        let mut lost = Vec::new();
        for (id, open) in &mut self.open {
            if let Owner::Lost(result) = &mut open.owner {
                lost.push(Lost { id: id.clone(), name: open.call.name.clone(), result: result.take() });
                open.owner = Owner::Nobody;
            }
        }
        let is_over = |id: &CallId| lost.iter().any(|lost| lost.id == *id && lost.result.is_some());
        self.open.retain(|id, _| !is_over(id));
        self.arm(timers);
        lost
    }

    /// Whether the model waits for a tool that it must wait for.
    pub fn is_blocking_open(&self) -> bool {
        self.open.values().any(|open| matches!(open.owner, Owner::Model) && self.is_blocking(&open.call.name))
    }

    /// Whether the model waits for this call.
    pub fn is_open(&self, id: &CallId) -> bool {
        self.open.get(id).is_some_and(|open| matches!(open.owner, Owner::Model))
    }

    /// Whether the model waits for a call of this tool.
    pub fn is_open_of(&self, name: &str) -> bool {
        self.open.values().any(|open| matches!(open.owner, Owner::Model) && open.call.name == name)
    }

    /// Whether the model waits for any call.
    pub fn is_any_open(&self) -> bool {
        self.open.values().any(|open| matches!(open.owner, Owner::Model))
    }

    /// Another model's terms.
    pub fn set_tools(&mut self, tools: BTreeMap<String, Terms>) {
        self.tools = tools;
    }

    fn arm(&self, timers: &mut Timers) {
        let is_running = |open: &&Open| !matches!(open.owner, Owner::Lost(Some(_)));
        match self.open.values().filter(is_running).map(|o| o.deadline).min() {
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
        assert!(calls.is_open_of("search") && !calls.is_open_of("door"));
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
        let answer = late[0].answer.as_ref().unwrap();
        assert_eq!((late.len(), answer.took_ms), (1, 2_500));
        assert!(answer.reply.result.as_ref().unwrap_err().contains("2500 ms"));
        assert_eq!(calls.replied(reply("a"), Time::from_ms(2_600), &mut timers), None);
        assert!(!calls.cancelled(&CallId::from("a"), &mut timers));
        assert!(calls.late(Time::from_ms(9_000), &mut timers).is_empty());
    }

    #[test]
    fn a_lost_call_goes_on_and_is_told_once_with_what_became_of_it() {
        let (mut calls, mut timers) = (ledger(), Timers::default());
        for id in ["done", "late", "slow"] {
            let name = if id == "slow" { "search" } else { "lamp" };
            calls.called(call(id, name), Time::ZERO, &mut timers);
        }
        calls.link_lost();
        assert!(!calls.is_any_open() && calls.is_any_lost() && !calls.is_open_of("search"));
        assert_eq!(calls.replied(reply("done"), Time::ZERO, &mut timers), None, "nobody waits for it now");
        let late = calls.late(Time::from_ms(2_500), &mut timers);
        assert_eq!(late, [Late { id: CallId::from("late"), answer: None }], "it is stopped all the same");
        assert!(calls.late(Time::from_ms(2_501), &mut timers).is_empty());
        let lost = calls.take_lost(&mut timers);
        let told: Vec<_> = lost.iter().map(|l| (&*l.id.0, l.result.as_ref().map(Result::is_ok))).collect();
        assert_eq!(told, [("done", Some(true)), ("late", Some(false)), ("slow", None)]);
        assert!(calls.take_lost(&mut timers).is_empty());
        assert!(matches!(calls.called(call("slow", "search"), Time::ZERO, &mut timers), Admission::Refuse(_)));
        assert!(matches!(calls.called(call("done", "lamp"), Time::ZERO, &mut timers), Admission::Done(_)));
        calls.forget_told();
        assert!(matches!(calls.called(call("done", "lamp"), Time::ZERO, &mut timers), Admission::Run(_)));
        assert_eq!(calls.replied(reply("slow"), Time::from_ms(3_000), &mut timers), None);
        assert!(matches!(calls.called(call("slow", "search"), Time::ZERO, &mut timers), Admission::Done(_)));
    }

    #[test]
    fn a_call_that_is_repeated_is_answered_from_the_ledger_and_another_with_its_id_is_run() {
        let (mut calls, mut timers) = (ledger(), Timers::default());
        calls.called(call("a", "lamp"), Time::ZERO, &mut timers);
        calls.replied(reply("a"), Time::ZERO, &mut timers).unwrap();
        let Admission::Done(again) = calls.called(call("a", "lamp"), Time::ZERO, &mut timers) else { panic!() };
        assert_eq!(again, reply("a"));
        assert!(!calls.is_any_open());
        let other = Call { args: [("on".to_string(), Value::Bool(true))].into_iter().collect(), ..call("a", "lamp") };
        assert!(matches!(calls.called(other, Time::ZERO, &mut timers), Admission::Run(_)));
        calls.cancelled(&CallId::from("a"), &mut timers);
        for n in 0..CALLS_TOLD_MAX {
            let id = format!("b{n}");
            calls.called(call(&id, "lamp"), Time::ZERO, &mut timers);
            calls.replied(reply(&id), Time::ZERO, &mut timers).unwrap();
        }
        assert!(matches!(calls.called(call("a", "lamp"), Time::ZERO, &mut timers), Admission::Run(_)), "long ago");
    }

    #[test]
    fn only_blocking_tools_hold_the_model_up() {
        let calls = ledger();
        assert!(calls.is_blocking("lamp"));
        assert!(!calls.is_blocking("search") && !calls.is_blocking("no_such_tool"));
    }
}
