//! The errands thread on a board that writes down what happens to its lines.
#![allow(clippy::unwrap_used)]

mod alarm_tests;
mod cancel_tests;
mod io_tests;
mod policy_tests;
mod pwm_tests;
mod sensor_tests;

use super::*;
use crate::audio::trouble::PcmTrouble;
use crate::config::agent;
use crate::hw::clock::RealClock;
use crate::hw::sim::{SimBoard, SimClock, SimSetup};
use crate::hw::{self, LineTrouble};
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// Long enough for a machine that is busy with something else; only ever waited for in a failing test.
const SOON: Duration = Duration::from_secs(20);

const TOOLS: &str = r#"
    [[tools]]
    name = "switch_lamp"
    description = "Lamp."
    parameters = { type = "OBJECT", properties = { on = { type = "BOOLEAN" } }, required = ["on"] }
    action = { gpio = "set", line = "lamp", argument = "on" }
    [[tools]]
    name = "is_lamp_on"
    description = "Lamp?"
    action = { gpio = "read", line = "lamp" }
    [[tools]]
    name = "open_door"
    description = "A short pulse."
    action = { gpio = "pulse", line = "door", pulse_ms = 20 }
    [[tools]]
    name = "hold_gate"
    description = "A long pulse."
    timeout_ms = 60000
    action = { gpio = "pulse", line = "gate", pulse_ms = 59000 }
    [[tools]]
    name = "is_door_open"
    description = "Door?"
    action = { gpio = "read", line = "contact" }
    [[tools]]
    name = "ring_bell"
    description = "On a line that hangs."
    timeout_ms = 100
    action = { gpio = "pulse", line = "stuck", pulse_ms = 1 }
    policy = { order = "parallel" }
    [[tools]]
    name = "cut_rope"
    description = "On a line that is not there."
    action = { gpio = "pulse", line = "missing", pulse_ms = 1 }
"#;

/// What a test sees, in order.
#[derive(Debug, PartialEq)]
enum Seen {
    Opened(String),
    Driven(String, bool),
    LineSet(String, bool),
    Reply(String, Result<Value, String>),
    Wish(Control),
}

struct Ledger {
    seen: Sender<Seen>,
    contact: Arc<AtomicBool>,
    /// While true, driving the line `stuck` does not return.
    hangs: Arc<AtomicBool>,
}

struct Line {
    name: String,
    seen: Sender<Seen>,
    hangs: Option<Arc<AtomicBool>>,
    level: Arc<AtomicBool>,
}

impl hw::Output for Line {
    fn set(&mut self, active: bool) -> Result<(), LineTrouble> {
        while self.hangs.as_ref().is_some_and(|hangs| hangs.load(Ordering::SeqCst)) {
            thread::park_timeout(Duration::from_millis(1));
        }
        self.level.store(active, Ordering::SeqCst);
        let _ = self.seen.send(Seen::Driven(self.name.clone(), active));
        Ok(())
    }

    fn is_active(&mut self) -> Result<bool, LineTrouble> {
        Ok(self.level.load(Ordering::SeqCst))
    }
}

impl hw::Input for Line {
    fn is_active(&mut self) -> Result<bool, LineTrouble> {
        Ok(self.level.load(Ordering::SeqCst))
    }
}

impl Board for Ledger {
    fn open_capture(&self) -> Result<Box<dyn hw::Capture>, PcmTrouble> {
        Err(PcmTrouble::Gone)
    }
    fn open_playback(&self) -> Result<Box<dyn hw::Playback>, PcmTrouble> {
        Err(PcmTrouble::Gone)
    }
    fn open_button(&self, line: &str) -> Result<Box<dyn hw::Button>, LineTrouble> {
        Err(LineTrouble::Missing { line: line.to_string() })
    }
    fn open_output(&self, line: &str) -> Result<Box<dyn hw::Output>, LineTrouble> {
        if line == "missing" {
            return Err(LineTrouble::Missing { line: line.to_string() });
        }
        let _ = self.seen.send(Seen::Opened(line.to_string()));
        let hangs = (line == "stuck").then(|| self.hangs.clone());
        Ok(Box::new(Line { name: line.to_string(), seen: self.seen.clone(), hangs, level: Arc::default() }))
    }
    fn open_input(&self, line: &str) -> Result<Box<dyn hw::Input>, LineTrouble> {
        Ok(Box::new(Line { name: line.to_string(), seen: self.seen.clone(), hangs: None, level: self.contact.clone() }))
    }
}

struct Rig {
    orders: mpsc::Sender<ToolOrder>,
    seen: Receiver<Seen>,
    handle: Handle,
    contact: Arc<AtomicBool>,
    hangs: Arc<AtomicBool>,
}

fn rig() -> Rig {
    let rig = rig_with(TOOLS, None);
    let at_start = rig.next(8);
    for line in ["lamp", "door", "gate", "stuck"] {
        assert!(at_start.contains(&opened(line)) && at_start.contains(&driven(line, false)), "{at_start:?}");
    }
    rig
}

fn rig_with(tools: &str, folder: Option<Arc<Folder>>) -> Rig {
    let (seen, seen_here) = channel();
    let (contact, hangs) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let board = Ledger { seen: seen.clone(), contact: contact.clone(), hangs: hangs.clone() };
    let (orders, orders_there) = mpsc::channel(TOOL_ORDERS_MAX);
    let (replies, changes, wishes) = (seen.clone(), seen.clone(), seen);
    let outside = Outside {
        board: Arc::new(board),
        clock: Arc::new(RealClock::new()),
        tell: Arc::new(move |what| {
            if let What::LineSet { line, active } = what {
                let _ = changes.send(Seen::LineSet(line, active));
            }
        }),
        give: Arc::new(move |control| wishes.send(Seen::Wish(control)).is_ok()),
        job: None,
        folder,
        active_when_safe: ["valve".to_string()].into(),
        has_confirm_line: false,
        has_talk_line: false,
        look: None,
        declare: Arc::new(|_| true),
        extra_ca_pem: None,
        fleet: None,
    };
    let reply = move |reply: ToolReply| drop(replies.send(Seen::Reply(reply.id.to_string(), reply.result)));
    let handle = spawn(&agent::parse(tools, "test").unwrap(), outside, orders_there, reply);
    Rig { orders, seen: seen_here, handle: handle.unwrap(), contact, hangs }
}

impl Rig {
    fn call(&self, id: &str, name: &str, args: Value) {
        let call = Call { id: id.into(), name: name.to_string(), args: args.as_object().unwrap().clone() };
        self.orders.blocking_send(ToolOrder::Run(call)).unwrap();
    }

    fn cancel(&self, id: &str) {
        self.orders.blocking_send(ToolOrder::Cancel(id.into())).unwrap();
    }

    /// What happens next, `count` things.
    fn next(&self, count: usize) -> Vec<Seen> {
        (0..count).map(|_| self.seen.recv_timeout(SOON).unwrap()).collect()
    }

    fn reply(&self) -> (String, Result<Value, String>) {
        loop {
            if let Seen::Reply(id, result) = self.seen.recv_timeout(SOON).unwrap() {
                return (id, result);
            }
        }
    }

    /// Stops the thread and says what was seen until then.
    fn stop(self) -> Vec<Seen> {
        self.handle.stop();
        self.seen.try_iter().collect()
    }
}

fn opened(line: &str) -> Seen {
    Seen::Opened(line.to_string())
}
fn driven(line: &str, active: bool) -> Seen {
    Seen::Driven(line.to_string(), active)
}
fn set(line: &str, active: bool) -> Seen {
    Seen::LineSet(line.to_string(), active)
}
fn said(id: &str, output: Value) -> Seen {
    Seen::Reply(id.to_string(), Ok(output))
}

#[test]
fn a_lamp_is_opened_once_set_read_and_off_at_the_end() {
    let rig = rig();
    rig.call("1", "is_lamp_on", json!({}));
    assert_eq!(rig.next(1), [said("1", json!({"line": "lamp", "on": false}))]);
    rig.call("2", "switch_lamp", json!({"on": true}));
    let on = said("2", json!({"line": "lamp", "on": true}));
    assert_eq!(rig.next(3), [driven("lamp", true), set("lamp", true), on]);
    rig.call("3", "switch_lamp", json!({"on": true}));
    let again = said("3", json!({"line": "lamp", "on": true}));
    assert_eq!(rig.next(2), [driven("lamp", true), again], "no change, no report");
    rig.call("4", "is_lamp_on", json!({}));
    assert_eq!(rig.next(1), [said("4", json!({"line": "lamp", "on": true}))]);
    let seen = rig.stop();
    let lamp: Vec<_> =
        seen.iter().filter(|seen| **seen == driven("lamp", false) || **seen == set("lamp", false)).collect();
    assert_eq!(lamp.len(), 2, "{seen:?}");
}

#[test]
fn a_pulse_is_answered_after_it_and_the_line_takes_turns() {
    let rig = rig();
    rig.call("1", "open_door", json!({}));
    rig.call("2", "open_door", json!({}));
    let once = |id| {
        let answer = said(id, json!({"line": "door", "pulsed_ms": 20}));
        [driven("door", true), set("door", true), driven("door", false), set("door", false), answer]
    };
    // The first call's answer may come before or after the second's start.
    let mut seen = rig.next(10);
    let answers: Vec<usize> = (0..10).filter(|at| matches!(seen[*at], Seen::Reply(..))).collect();
    assert_eq!(answers.len(), 2);
    assert!(answers[0] >= 4 && answers[1] == 9);
    let first = seen.remove(answers[0]);
    seen.insert(4, first);
    assert_eq!(seen[..5], once("1"));
    assert_eq!(seen[5..], once("2"));
}

#[test]
fn an_input_is_read_as_it_is_now() {
    let rig = rig();
    rig.call("1", "is_door_open", json!({}));
    assert_eq!(rig.reply(), ("1".into(), Ok(json!({"line": "contact", "on": true}))));
    rig.contact.store(false, Ordering::SeqCst);
    rig.call("2", "is_door_open", json!({}));
    assert_eq!(rig.reply(), ("2".into(), Ok(json!({"line": "contact", "on": false}))));
}

#[test]
fn wrong_calls_are_answered_and_move_nothing() {
    let rig = rig();
    rig.call("1", "switch_lamp", json!({"on": 1}));
    rig.call("2", "launch", json!({}));
    rig.call("3", "open_door", json!({"now": true}));
    rig.call("4", "cut_rope", json!({}));
    let sentences =
        ["must be BOOLEAN", "there is no function `launch`", "`now` is unknown", "line missing was not found"];
    for (seen, word) in rig.next(4).iter().zip(sentences) {
        assert!(matches!(seen, Seen::Reply(_, Err(sentence)) if sentence.contains(word)), "{seen:?}");
    }
    let rest = rig.stop();
    assert!(rest.iter().all(|seen| matches!(seen, Seen::Driven(_, false))), "{rest:?}");
}

#[test]
fn a_cancelled_pulse_goes_inactive_at_once_and_is_not_answered() {
    let rig = rig();
    rig.call("1", "hold_gate", json!({}));
    rig.call("2", "hold_gate", json!({})); // waits for its turn and is cancelled there
    assert_eq!(rig.next(2), [driven("gate", true), set("gate", true)]);
    rig.cancel("2");
    rig.cancel("1");
    rig.cancel("1");
    rig.cancel("never heard of");
    assert_eq!(rig.next(2), [driven("gate", false), set("gate", false)]);
    // The line is free again, and the only answer is that of the next call.
    rig.call("3", "is_lamp_on", json!({}));
    assert_eq!(rig.reply().0, "3");
    let rest = rig.stop();
    assert!(!rest.iter().any(|seen| matches!(seen, Seen::Reply(..))), "{rest:?}");
}

#[test]
fn stopping_answers_what_runs_and_leaves_no_line_active() {
    let rig = rig();
    rig.call("1", "hold_gate", json!({}));
    assert_eq!(rig.next(2).len(), 2);
    let seen = rig.stop();
    assert_eq!(seen[..2], [driven("gate", false), set("gate", false)], "{seen:?}");
    let Seen::Reply(id, Err(why)) = &seen[2] else { panic!("{seen:?}") };
    assert!(id == "1" && why.starts_with(STOPPING) && why.contains("back at rest"), "{why}");
}

/// Orders that the thread has not seen before it is told to stop: whoever gave them is answered, too.
#[test]
fn stopping_answers_what_waits_whoever_called() {
    let (orders, orders_there) = mpsc::channel(TOOL_ORDERS_MAX);
    let (board, clock) = (SimBoard::new(SimSetup::default(), SimClock::stepped()), RealClock::new());
    let ((answers, answered), (go_on, may_go_on)) = (channel(), channel::<()>());
    let reply = move |reply: ToolReply| {
        let _ = answers.send((reply.id.to_string(), reply.result));
        let _ = may_go_on.recv(); // keeps the thread busy
    };
    let outside = Outside::new(Arc::new(board), Arc::new(clock));
    let Handle { stop, thread, .. } = spawn(&Agent::default(), outside, orders_there, reply).unwrap();
    let call = |id: &str| Call { id: id.into(), name: "launch".into(), args: Default::default() };
    orders.blocking_send(ToolOrder::Run(call("1"))).unwrap();
    assert_eq!(answered.recv_timeout(SOON).unwrap().0, "1");
    orders.blocking_send(ToolOrder::ByHand(call("by hand"))).unwrap();
    orders.blocking_send(ToolOrder::Run(call("2"))).unwrap();
    stop.send(()).unwrap();
    drop(go_on);
    thread.join().unwrap();
    let stopped = |id: &str| (id.to_string(), Err(STOPPING.to_string()));
    assert_eq!(answered.try_iter().collect::<Vec<_>>(), [stopped("by hand"), stopped("2")]);
}

#[test]
fn a_call_that_waited_in_vain_for_a_line_hears_which() {
    let tool = |name: &str, timeout_ms: u32, pulse_ms: u32| {
        format!(
            "[[tools]]\nname = \"{name}\"\ndescription = \"x\"\ntimeout_ms = {timeout_ms}\npolicy = {{ order = \"parallel\" }}\naction = {{ gpio = \"pulse\", line = \"gate\", pulse_ms = {pulse_ms} }}\n"
        )
    };
    let rig = rig_with(&(tool("hold", 60_000, 59_000) + &tool("tap", 100, 1)), None);
    rig.call("1", "hold", json!({}));
    assert_eq!(rig.next(4)[2..], [driven("gate", true), set("gate", true)]);
    rig.call("2", "tap", json!({}));
    let late = "`tap` was not done within 100 ms and was stopped: line `gate` was in use";
    assert_eq!(rig.reply(), ("2".into(), Err(late.into())));
}

#[test]
fn a_line_that_hangs_costs_its_own_call_only_and_is_inactive_once_it_can_be() {
    let rig = rig();
    rig.hangs.store(true, Ordering::SeqCst);
    rig.call("1", "ring_bell", json!({}));
    rig.call("2", "switch_lamp", json!({"on": true}));
    assert_eq!(rig.reply().0, "2", "others go on");
    let (id, result) = rig.reply();
    assert!(id == "1" && result.unwrap_err().contains("was not done within 100 ms"));
    rig.hangs.store(false, Ordering::SeqCst);
    assert_eq!(rig.next(3), [driven("stuck", true), set("stuck", true), driven("stuck", false)]);
    rig.handle.stop();
}

#[test]
fn a_stop_does_not_wait_for_a_line_that_hangs() {
    let rig = rig();
    rig.hangs.store(true, Ordering::SeqCst);
    rig.call("1", "ring_bell", json!({}));
    let hangs = rig.hangs.clone();
    let (done, is_done) = channel();
    let handle = rig.handle;
    thread::spawn(move || {
        handle.stop();
        let _ = done.send(());
    });
    assert_ne!(is_done.recv_timeout(SOON), Err(RecvTimeoutError::Timeout));
    hangs.store(false, Ordering::SeqCst);
}

#[test]
fn more_calls_than_the_device_takes_are_told_that_it_is_busy() {
    let rig = rig();
    for id in 0..=TOOL_ORDERS_MAX {
        rig.call(&format!("{id}"), "hold_gate", json!({}));
    }
    let (id, result) = rig.reply();
    assert_eq!(id, TOOL_ORDERS_MAX.to_string());
    assert!(result.unwrap_err().contains("busy with 8 other calls"));
    rig.call("0", "hold_gate", json!({}));
    assert_eq!(rig.reply().1.unwrap_err(), "a call with this id is still running");
    let seen = rig.stop();
    let stopped =
        seen.iter().filter(|seen| matches!(seen, Seen::Reply(_, Err(why)) if why.starts_with(STOPPING))).count();
    assert_eq!(stopped, TOOL_ORDERS_MAX, "each call is answered once: {seen:?}");
}

#[test]
fn the_thread_ends_when_nobody_can_give_orders() {
    let Rig { orders, handle, .. } = rig();
    drop(orders);
    handle.thread.join().unwrap();
}
