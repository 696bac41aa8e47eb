//! The errands thread: carries calls out on the board, each within its time limit, and answers each once.
//!
//! One current-thread runtime keeps the time; lines are touched on its blocking threads, because a line on an
//! expander behind a stuck bus may not return. Such a line costs its calls an error and nobody else anything.
//! Calls of the same line take turns in the order they came: a lamp asked off and on ends on.

mod backends;
mod lines;
pub mod mqtt;
mod secrets;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use backends::Backends;
use lines::Lines;

use super::{Plan, Tools};
use crate::config::agent::Agent;
use crate::flow::{Call, Control, TOOL_ORDERS_MAX, ToolOrder, ToolReply, What};
use crate::hw::{Board, Clock};
use crate::units::CallId;

/// What calls hear that a stop cuts off.
const STOPPING: &str = "the device is being switched off; nothing more is done";

/// The running thread. Dropped without [`Handle::stop`] it stops as well, and nobody waits for it.
pub struct Handle {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
    ear: Option<mqtt::Ear>,
}

impl Handle {
    /// Stops the calls that run, makes every output that was opened inactive, and waits for the thread:
    /// at most about two seconds, even if a line hangs.
    pub fn stop(self) {
        let _ = self.stop.send(()); // gone already where the orders' sender was dropped
        if self.thread.join().is_err() {
            tracing::error!("the errands thread died");
        }
    }

    /// What hears events for those who watch the device from outside; none where nobody does.
    pub fn ear(&self) -> Option<mqtt::Ear> {
        self.ear.clone()
    }
}

/// Told of what an owner wants to know.
pub type Tell = dyn Fn(What) + Send + Sync;

/// What the tools see of the rest of the program.
#[derive(Clone)]
pub struct Outside {
    /// The board.
    pub board: Arc<dyn Board>,
    /// The clock of all threads.
    pub clock: Arc<dyn Clock>,
    /// Told of each change of an output line and of troubles; called on the errands thread or one of its helpers,
    /// and must not wait long, since pulses are timed there.
    pub tell: Arc<Tell>,
    /// Gives the core what a person wants; false where it cannot take it now.
    pub give: Arc<dyn Fn(Control) -> bool + Send + Sync>,
}

/// Starts the thread. It ends by [`Handle::stop`] or when the sender of `orders` is dropped.
///
/// `orders` is a channel of [`TOOL_ORDERS_MAX`]. `reply` gets exactly one answer for each call that was not
/// cancelled; it is called on the errands thread and must not wait long.
///
/// # Errors
/// Where the system gives no thread or no runtime.
pub fn spawn(
    agent: &Agent,
    outside: Outside,
    orders: mpsc::Receiver<ToolOrder>,
    reply: impl Fn(ToolReply) + Send + 'static,
) -> io::Result<Handle> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(2 * TOOL_ORDERS_MAX) // each call touches one line, and one more may rest it
        .thread_name("line")
        .build()?;
    let tools = Tools::new(&agent.tools);
    let lines = Arc::new(Lines::new(&tools, outside.board.clone(), outside.tell.clone()));
    let backends = Arc::new(Backends::new(agent, lines, &outside));
    let ear = backends.mqtt.as_ref().and_then(mqtt::Broker::ear);
    let errands = Errands { tools, backends, running: HashMap::new(), tasks: JoinSet::new(), reply: Box::new(reply) };
    let (stop, stopped) = oneshot::channel();
    let thread = thread::Builder::new().name("errands".to_string()).spawn(move || {
        runtime.block_on(errands.serve(orders, stopped));
        runtime.shutdown_background(); // a line that hangs is not waited for
    })?;
    Ok(Handle { stop, thread, ear })
}

/// Why a call ends early.
#[derive(Clone, Copy, Debug)]
enum Halt {
    Cancelled,
    Stopping,
}

struct Done {
    id: CallId,
    name: String,
    /// None where the call was cancelled.
    result: Option<Result<Value, String>>,
}

struct Errands {
    tools: Tools,
    backends: Arc<Backends>,
    /// The calls that run; none in place of the sender where one was cancelled and only cleans up.
    running: HashMap<CallId, Option<oneshot::Sender<Halt>>>,
    tasks: JoinSet<Done>,
    reply: Box<dyn Fn(ToolReply) + Send>,
}

impl Errands {
    async fn serve(mut self, mut orders: mpsc::Receiver<ToolOrder>, mut stopped: oneshot::Receiver<()>) {
        self.backends.lines.open_inputs();
        if let Some(mqtt) = &self.backends.mqtt {
            mqtt.start();
        }
        loop {
            tokio::select! {
                biased;
                _ = &mut stopped => break,
                Some(done) = self.tasks.join_next() => if let Ok(done) = done { self.finish(done) },
                order = orders.recv() => match order {
                    Some(ToolOrder::Run(call)) => self.start(call),
                    Some(ToolOrder::Cancel(id)) => self.cancel(&id),
                    None => break,
                },
            }
        }
        orders.close();
        while let Ok(order) = orders.try_recv() {
            if let ToolOrder::Run(call) = order {
                self.answer(call.id, call.name, Err(STOPPING.to_string()));
            }
        }
        self.shut().await;
    }

    fn answer(&self, id: CallId, name: String, result: Result<Value, String>) {
        (self.reply)(ToolReply { id, name, result });
    }

    fn start(&mut self, call: Call) {
        let Call { id, name, args } = call;
        if self.running.contains_key(&id) {
            return self.answer(id, name, Err("a call with this id is still running".to_string()));
        }
        if self.running.len() >= TOOL_ORDERS_MAX {
            let busy = format!("the device is busy with {TOOL_ORDERS_MAX} other calls; call again when they are done");
            return self.answer(id, name, Err(busy));
        }
        match self.tools.plan(&name, &args) {
            Err(sentence) => self.answer(id, name, Err(sentence)),
            Ok(plan) => {
                let (halt, halted) = oneshot::channel();
                self.running.insert(id.clone(), Some(halt));
                let backends = self.backends.clone();
                self.tasks.spawn(async move {
                    let result = errand(&plan, &name, &backends, halted).await;
                    Done { id, name, result }
                });
            }
        }
    }

    fn cancel(&mut self, id: &CallId) {
        if let Some(halt) = self.running.get_mut(id).and_then(Option::take) {
            let _ = halt.send(Halt::Cancelled); // gone where the call has just ended
        }
    }

    fn finish(&mut self, done: Done) {
        // No sender left: it was cancelled, perhaps in the moment it ended, and nobody wants its answer.
        let was_cancelled = self.running.remove(&done.id).is_none_or(|halt| halt.is_none());
        if let Some(result) = done.result.filter(|_| !was_cancelled) {
            self.answer(done.id, done.name, result);
        }
    }

    async fn shut(mut self) {
        for halt in self.running.values_mut().filter_map(Option::take) {
            let _ = halt.send(Halt::Stopping);
        }
        // A call that was cancelled earlier is among them and has no result.
        while let Some(done) = self.tasks.join_next().await {
            if let Ok(Done { id, name, result: Some(result) }) = done {
                self.answer(id, name, result);
            }
        }
        self.backends.lines.rest_all().await;
        if let Some(mqtt) = &self.backends.mqtt {
            mqtt.stop().await;
        }
    }
}

/// Carries one call out. None where it was cancelled.
async fn errand(
    plan: &Plan,
    name: &str,
    backends: &Backends,
    mut halted: oneshot::Receiver<Halt>,
) -> Option<Result<Value, String>> {
    let deadline = Instant::now() + plan.timeout;
    let late = format!("`{name}` was not done within {} ms and was stopped", plan.timeout.as_millis());
    let turn = tokio::select! {
        biased;
        halt = &mut halted => return after(halt),
        turn = timeout_at(deadline, backends.turn(&plan.work)) => turn,
    };
    let Ok(_turn) = turn else { return Some(Err(format!("{late}: {}", backends.in_use(&plan.work)))) };
    let result = tokio::select! {
        biased;
        halt = &mut halted => after(halt),
        result = timeout_at(deadline, backends.carry_out(&plan.work)) => Some(match result {
            Ok(result) => result.map_err(|failure| failure.to_string()),
            Err(_) => Err(late),
        }),
    };
    if !matches!(result, Some(Ok(_))) {
        backends.undo(&plan.work).await;
    }
    result
}

fn after(halt: Result<Halt, oneshot::error::RecvError>) -> Option<Result<Value, String>> {
    match halt {
        Ok(Halt::Cancelled) => None,
        Ok(Halt::Stopping) | Err(_) => Some(Err(STOPPING.to_string())),
    }
}

#[cfg(test)]
mod tests;
