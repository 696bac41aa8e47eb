//! The ledger of tool calls against any order of calls, answers, cancellations, deadlines and lost connections.
//!
//! What is counted is what the service sees: each call that was run comes to exactly one end, which is its answer, its
//! cancellation, or the word on the next connection that it was lost.

use std::collections::BTreeMap;
use std::time::Duration;

use mynah::flow::{Call, ToolReply};
use mynah::session::calls::{Admission, CALLS_OPEN_MAX, Calls, Terms};
use mynah::session::timers::{Reason, Timers};
use mynah::units::{CallId, Time};
use proptest::prelude::*;

/// What happens to the ledger.
#[derive(Clone, Copy, Debug)]
enum Act {
    Called { id: u32, is_blocking: bool },
    Replied { id: u32 },
    Cancelled { id: u32 },
    LinkLost,
    LinkReady,
    Passed { ms: u64 },
}

fn act() -> impl Strategy<Value = Act> {
    // Few ids, so that they meet again; now and then as many as make it full.
    let id = prop_oneof![8 => 0u32..6, 2 => 0u32..40];
    prop_oneof![
        8 => (id.clone(), any::<bool>()).prop_map(|(id, is_blocking)| Act::Called { id, is_blocking }),
        5 => id.clone().prop_map(|id| Act::Replied { id }),
        2 => id.prop_map(|id| Act::Cancelled { id }),
        1 => Just(Act::LinkLost),
        2 => Just(Act::LinkReady),
        3 => (0u64..3000).prop_map(|ms| Act::Passed { ms }),
    ]
}

/// How often calls of an id were run, came to an end, and were stopped for their lateness.
#[derive(Default)]
struct Count {
    runs: u32,
    ends: u32,
    stops: u32,
}

struct Game {
    calls: Calls,
    timers: Timers,
    now: Time,
    counts: BTreeMap<CallId, Count>,
}

impl Game {
    fn new() -> Game {
        let terms = |ms, is_blocking| Terms { limit: Duration::from_millis(ms), is_blocking };
        let tools = [("lamp".to_string(), terms(1000, true)), ("search".to_string(), terms(4000, false))];
        Game {
            calls: Calls::new(tools.into()),
            timers: Timers::default(),
            now: Time::from_ms(1),
            counts: BTreeMap::new(),
        }
    }

    fn ends(&mut self, id: &CallId, how: &str) -> Result<(), String> {
        let count = self.counts.entry(id.clone()).or_default();
        count.ends += 1;
        if count.ends > count.runs { Err(format!("{id} is {how}, but has come to its end before")) } else { Ok(()) }
    }

    fn is_waited_for(&self, id: &CallId) -> bool {
        self.counts.get(id).is_some_and(|count| count.runs > count.ends)
    }

    fn take(&mut self, act: Act) -> Result<(), String> {
        match act {
            Act::Called { id, is_blocking } => self.call(id, if is_blocking { "lamp" } else { "search" })?,
            Act::Replied { id } => {
                let id = name(id);
                let reply = ToolReply { id: id.clone(), name: "lamp".into(), result: Ok(1.into()) };
                let was_open = self.calls.is_open(&id);
                let answer = self.calls.replied(reply, self.now, &mut self.timers);
                if answer.is_some() != was_open {
                    return Err(format!("{id} is open: {was_open}, but the answer is {answer:?}"));
                }
                if answer.is_some() {
                    self.ends(&id, "answered")?;
                }
            }
            Act::Cancelled { id } => {
                let id = name(id);
                let was_known = self.calls.cancelled(&id, &mut self.timers);
                if self.is_waited_for(&id) {
                    if !was_known {
                        return Err(format!("{id} is waited for, and nobody knows of it"));
                    }
                    self.ends(&id, "cancelled")?;
                }
            }
            Act::LinkLost => self.calls.link_lost(),
            Act::LinkReady => {
                for lost in self.calls.take_lost(&mut self.timers) {
                    self.ends(&lost.id, "told lost")?;
                }
                if self.calls.is_any_lost() {
                    return Err("what was told lost is still lost".into());
                }
            }
            Act::Passed { ms } => self.pass(Duration::from_millis(ms))?,
        }
        let open = self.counts.values().filter(|count| count.runs > count.ends).count();
        if open > CALLS_OPEN_MAX { Err(format!("{open} calls are open")) } else { Ok(()) }
    }

    fn call(&mut self, id: u32, tool: &str) -> Result<(), String> {
        let id = name(id);
        let (was_open, was_waited_for) = (self.calls.is_open(&id), self.is_waited_for(&id));
        let call = Call { id: id.clone(), name: tool.into(), args: serde_json::Map::new() };
        match self.calls.called(call, self.now, &mut self.timers) {
            Admission::Run(_) if was_waited_for => Err(format!("{id} is run again before its end")),
            Admission::Run(_) => {
                self.counts.entry(id).or_default().runs += 1;
                Ok(())
            }
            Admission::Known if was_open => Ok(()),
            Admission::Known => Err(format!("{id} is said to be known, but is not open")),
            Admission::Done(_) if was_waited_for => Err(format!("{id} is answered from the ledger before its end")),
            Admission::Done(_) if !self.counts.contains_key(&id) => Err(format!("{id} was never run")),
            Admission::Done(_) => Ok(()),
            Admission::Refuse(_) if was_open => Err(format!("{id} is refused although it is open")),
            Admission::Refuse(_) => Ok(()),
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.timers.all().find(|(_, reason)| *reason == Reason::Call).map(|(at, _)| at)
    }

    /// Lets time pass, waking at every deadline on the way.
    fn pass(&mut self, length: Duration) -> Result<(), String> {
        let until = self.now + length;
        while let Some(at) = self.deadline().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            for late in self.calls.late(self.now, &mut self.timers) {
                let count = self.counts.entry(late.id.clone()).or_default();
                count.stops += 1;
                if count.stops > count.runs {
                    return Err(format!("{} is stopped twice", late.id));
                }
                if late.answer.is_some() {
                    self.ends(&late.id, "answered for its lateness")?;
                }
            }
            if self.deadline().is_some_and(|next| next <= self.now) {
                return Err(format!("the next deadline has passed at {}", self.now));
            }
        }
        self.now = until;
        Ok(())
    }

    /// The connection ends, another is ready, and all tools run out of time.
    fn settle(&mut self) -> Result<(), String> {
        for act in [Act::LinkLost, Act::LinkReady, Act::Passed { ms: 60_000 }] {
            self.take(act)?;
        }
        match self.counts.iter().find(|(_, count)| count.runs != count.ends) {
            Some((id, count)) => Err(format!("{id} was run {} times and came to {} ends", count.runs, count.ends)),
            None if self.deadline().is_some() || self.calls.is_any_open() => Err("something is left open".into()),
            None => Ok(()),
        }
    }
}

fn name(id: u32) -> CallId {
    CallId::from(format!("c{id}").as_str())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_call_comes_to_exactly_one_end(acts in proptest::collection::vec(act(), 0..80)) {
        let mut game = Game::new();
        let told = acts.iter().try_for_each(|act| game.take(*act)).and_then(|()| game.settle());
        prop_assert!(told.is_ok(), "{}", told.unwrap_err());
    }
}
