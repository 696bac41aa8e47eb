//! The errands thread: carries calls out on the board, each within its time limit, and answers each once.
//!
//! One current-thread runtime keeps the time; lines are touched on its blocking threads, because a line on an
//! expander behind a stuck bus may not return. Such a line costs its calls an error and nobody else anything.
//! Calls of the same line take turns in the order they came: a lamp asked off and on ends on.

mod lines;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use lines::{LINE_TIMEOUT, Lines};

use super::{Plan, Step, Tools};
use crate::config::agent::Tool;
use crate::flow::{Call, TOOL_ORDERS_MAX, ToolOrder, ToolReply};
use crate::hw::Board;
use crate::units::CallId;

/// What calls hear that a stop cuts off.
const STOPPING: &str = "the device is being switched off; nothing more is done";

/// The running thread. Dropped without [`Handle::stop`] it stops as well, and nobody waits for it.
pub struct Handle {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
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
}

/// Starts the thread. It ends by [`Handle::stop`] or when the sender of `orders` is dropped.
///
/// `orders` is a channel of [`TOOL_ORDERS_MAX`]. `reply` gets exactly one answer for each call that was not
/// cancelled, `line_set` each change of an output line (the board profile's name); both are called on the
/// errands thread or one of its helpers and must not wait long, since pulses are timed there.
///
/// # Errors
/// Where the system gives no thread or no runtime.
pub fn spawn(
    tools: &[Tool],
    board: Arc<dyn Board>,
    orders: mpsc::Receiver<ToolOrder>,
    reply: impl Fn(ToolReply) + Send + 'static,
    line_set: impl Fn(&str, bool) + Send + Sync + 'static,
) -> io::Result<Handle> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .max_blocking_threads(2 * TOOL_ORDERS_MAX) // each call touches one line, and one more may rest it
        .thread_name("line")
        .build()?;
    let tools = Tools::new(tools);
    let lines = Arc::new(Lines::new(&tools, board, Arc::new(line_set)));
    let errands = Errands { tools, lines, running: HashMap::new(), tasks: JoinSet::new(), reply: Box::new(reply) };
    let (stop, stopped) = oneshot::channel();
    let thread = thread::Builder::new().name("errands".to_string()).spawn(move || {
        runtime.block_on(errands.serve(orders, stopped));
        runtime.shutdown_background(); // a line that hangs is not waited for
    })?;
    Ok(Handle { stop, thread })
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
    lines: Arc<Lines>,
    /// The calls that run; none in place of the sender where one was cancelled and only cleans up.
    running: HashMap<CallId, Option<oneshot::Sender<Halt>>>,
    tasks: JoinSet<Done>,
    reply: Box<dyn Fn(ToolReply) + Send>,
}

impl Errands {
    async fn serve(mut self, mut orders: mpsc::Receiver<ToolOrder>, mut stopped: oneshot::Receiver<()>) {
        self.lines.open_inputs();
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
                let lines = self.lines.clone();
                self.tasks.spawn(async move {
                    let result = errand(&plan, &name, &lines, halted).await;
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
        self.lines.rest_all().await;
    }
}

/// Carries one call out. None where it was cancelled.
async fn errand(
    plan: &Plan,
    name: &str,
    lines: &Arc<Lines>,
    mut halted: oneshot::Receiver<Halt>,
) -> Option<Result<Value, String>> {
    let deadline = Instant::now() + plan.timeout;
    let late = format!("`{name}` was not done within {} ms and was stopped", plan.timeout.as_millis());
    let turn = tokio::select! {
        biased;
        halt = &mut halted => return after(halt),
        turn = timeout_at(deadline, lines.turn(&plan.line)) => turn,
    };
    let Ok(_turn) = turn else { return Some(Err(format!("{late}: line `{}` was in use", plan.line))) };
    let result = tokio::select! {
        biased;
        halt = &mut halted => after(halt),
        result = timeout_at(deadline, carry_out(plan, lines)) => Some(result.unwrap_or(Err(late))),
    };
    if plan.rests_when_stopped && !matches!(result, Some(Ok(_))) {
        lines.rest(&plan.line, LINE_TIMEOUT).await;
    }
    result
}

fn after(halt: Result<Halt, oneshot::error::RecvError>) -> Option<Result<Value, String>> {
    match halt {
        Ok(Halt::Cancelled) => None,
        Ok(Halt::Stopping) | Err(_) => Some(Err(STOPPING.to_string())),
    }
}

async fn carry_out(plan: &Plan, lines: &Arc<Lines>) -> Result<Value, String> {
    let mut sensed = None;
    for step in &plan.steps {
        match step {
            Step::Drive { active } => lines.drive(&plan.line, *active).await?,
            Step::Wait(time) => tokio::time::sleep(*time).await,
            Step::Sense => sensed = Some(lines.sense(&plan.line).await?),
        }
    }
    plan.output(sensed).ok_or_else(|| format!("line `{}` was not read", plan.line))
}

#[cfg(test)]
mod tests;
