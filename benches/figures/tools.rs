//! From a tool call to the edge of a GPIO line, inside the process: the errands thread as the session's shell feeds it,
//! and the simulated board's lines.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mynah::audio::trouble::PcmTrouble;
use mynah::config::{agent, board};
use mynah::flow::{Call, TOOL_ORDERS_MAX, ToolOrder, ToolReply};
use mynah::hw::clock::RealClock;
use mynah::hw::sim::{SimBoard, SimClock, SimSetup};
use mynah::hw::{self, LineTrouble};
use mynah::tools::run::{self, Outside};
use serde_json::json;
use tokio::sync::mpsc;

use crate::clock::{Uneven, ms, now_ns, sleep_ms};
use crate::peers::{self, Wrong};
use crate::table::Row;

/// Tools that switch the one line in turn: each may be called ten times a second, which is less than is wanted here.
const LAMPS: usize = 8;
/// Calls to each of the bad company that are kept open.
const OPEN: usize = 2;
/// Longer than anything takes that goes well.
const SOON: Duration = Duration::from_secs(20);

/// The simulated board, whose outputs tell when they were set.
struct Board {
    sim: SimBoard,
    edges: Mutex<Sender<i64>>,
}

struct Line {
    sim: Box<dyn hw::Output>,
    edges: Sender<i64>,
}

impl hw::Output for Line {
    fn set(&mut self, active: bool) -> Result<(), LineTrouble> {
        self.sim.set(active)?;
        let _ = self.edges.send(now_ns());
        Ok(())
    }
    fn is_active(&mut self) -> Result<bool, LineTrouble> {
        self.sim.is_active()
    }
}

impl hw::Board for Board {
    fn open_capture(&self) -> Result<Box<dyn hw::Capture>, PcmTrouble> {
        self.sim.open_capture()
    }
    fn open_playback(&self) -> Result<Box<dyn hw::Playback>, PcmTrouble> {
        self.sim.open_playback()
    }
    fn open_button(&self, line: &str) -> Result<Box<dyn hw::Button>, LineTrouble> {
        self.sim.open_button(line)
    }
    fn open_output(&self, line: &str) -> Result<Box<dyn hw::Output>, LineTrouble> {
        let edges = self.edges.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Box::new(Line { sim: self.sim.open_output(line)?, edges }))
    }
    fn open_input(&self, line: &str) -> Result<Box<dyn hw::Input>, LineTrouble> {
        self.sim.open_input(line)
    }
}

fn lamps() -> String {
    let lamp = |number: usize| {
        format!(
            "[[tools]]\nname = \"lamp_{number}\"\ndescription = \"Lamp.\"\npolicy = {{ per_minute = 600 }}\n\
             parameters = {{ type = \"OBJECT\", properties = {{ on = {{ type = \"BOOLEAN\" }} }}, required = [\"on\"] }}\n\
             action = {{ gpio = \"set\", line = \"lamp\", argument = \"on\" }}\n\n"
        )
    };
    (0..LAMPS).map(lamp).collect()
}

/// What keeps the bad company busy: as many open calls of each as there should be.
struct Company {
    open: [usize; peers::TOOLS.len()],
    next: u64,
}

impl Company {
    /// Calls again what has been answered.
    fn call(&mut self, orders: &mpsc::Sender<ToolOrder>) {
        for (name, open) in peers::TOOLS.into_iter().zip(&mut self.open) {
            while *open < OPEN {
                self.next += 1;
                let id = format!("{name} {}", self.next);
                let call = Call { id: id.as_str().into(), name: name.into(), args: serde_json::Map::new() };
                if orders.try_send(ToolOrder::Run(call)).is_err() {
                    return;
                }
                *open += 1;
            }
        }
    }

    fn answered(&mut self, reply: &ToolReply) {
        for (name, open) in peers::TOOLS.into_iter().zip(&mut self.open) {
            *open -= usize::from(name == reply.name);
        }
    }
}

/// The errands thread and what is seen of it.
struct Rig {
    orders: mpsc::Sender<ToolOrder>,
    edges: Receiver<i64>,
    replies: Receiver<ToolReply>,
    handle: run::Handle,
    company: Option<Company>,
}

impl Rig {
    fn start(wrong: Option<Wrong>) -> Result<Rig> {
        let text = wrong.map(Wrong::agent).transpose()?.unwrap_or_default() + &lamps();
        let agent = agent::parse(&text, "bench").map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
        let profile = board::builtin("sim").context("no simulated board")?;
        let profile = board::parse(profile, "sim", "sim").map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
        let sim = SimBoard::new(SimSetup::from_profile(&profile).context("not simulated")?, SimClock::stepped());
        let ((moved, edges), (answer, replies)) = (channel(), channel());
        let outside = Outside::new(Arc::new(Board { sim, edges: Mutex::new(moved) }), Arc::new(RealClock::new()));
        let (orders, inbox) = mpsc::channel(TOOL_ORDERS_MAX);
        let handle = run::spawn(&agent, outside, inbox, move |reply| drop(answer.send(reply)))?;
        edges.recv_timeout(SOON).context("the line was not brought to its safe state")?;
        let company = wrong.map(|_| Company { open: [0; peers::TOOLS.len()], next: 0 });
        Ok(Rig { orders, edges, replies, handle, company })
    }

    /// One call: from the moment it is handed over until the line is set, ns.
    fn switch(&mut self, number: usize) -> Result<i64> {
        let args = json!({ "on": number.is_multiple_of(2) }).as_object().cloned().unwrap_or_default();
        let id = number.to_string();
        let call = Call { id: id.as_str().into(), name: format!("lamp_{}", number % LAMPS), args };
        let handed_ns = now_ns();
        self.orders.try_send(ToolOrder::Run(call)).ok().context("the tools' queue is full")?;
        let edge_ns = self.edges.recv_timeout(SOON).context("the line was not set")?;
        loop {
            let reply = self.replies.recv_timeout(SOON).context("a call was not answered")?;
            match &mut self.company {
                _ if *reply.id.0 == *id => {
                    ensure!(reply.result.is_ok(), "a call failed: {:?}", reply.result);
                    return Ok(edge_ns - handed_ns);
                }
                Some(company) => company.answered(&reply),
                None => {}
            }
        }
    }

    /// Between two calls: the model and its tools go on.
    fn pause(&mut self, ms: f64) {
        if let Some(company) = &mut self.company {
            company.call(&self.orders);
        }
        sleep_ms(ms);
        while let Ok(reply) = self.replies.try_recv() {
            self.company.iter_mut().for_each(|company| company.answered(&reply));
        }
    }
}

/// (i) A call handed to the errands thread until the line's level has changed at the driver: with nothing else to do,
/// then while the others that tools ask hang, flood and are not there.
pub fn call_to_edge(calls: usize) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    for wrong in std::iter::once(None).chain(Wrong::ALL.map(Some)) {
        let mut rig = Rig::start(wrong)?;
        let mut uneven = Uneven::new(5);
        rig.pause(300.0);
        let mut values = Vec::new();
        for number in 0..calls {
            rig.pause(13.0 + uneven.below(10.0));
            values.push(ms(rig.switch(number)?));
        }
        rig.handle.stop();
        let row = Row::new("tool call -> GPIO edge", "ms", Some(5.0), "", values);
        rows.push(match (wrong, rows.first()) {
            (Some(wrong), Some(quiet)) => row.beside(wrong.word(), quiet),
            _ => row,
        });
    }
    Ok(rows)
}
