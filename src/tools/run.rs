//! The errands thread: carries calls out on the board, each within its time limit, and answers each once.
//!
//! One current-thread runtime keeps the time; lines are touched on its blocking threads, because a line on an
//! expander behind a stuck bus may not return. Such a line costs its calls an error and nobody else anything.
//! Calls of the same line take turns in the order they came: a lamp asked off and on ends on.

mod alarms;
mod aside;
mod backends;
mod clerk;
mod command;
mod device;
mod home;
mod house;
mod http;
mod kept;
mod lines;
pub mod mcp;
pub mod mqtt;
mod pwm;
mod returns;
mod secrets;
mod sensors;
mod watch;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use backends::Backends;
use clerk::Clerk;
pub use home::HOME_PART;
use house::{Done, House, Request};
use lines::Lines;
use mcp::{Declared, News};

use crate::config::agent::policy::Caller;
use crate::config::agent::watch::Watch;
use crate::config::agent::{Agent, Tool};
use crate::config::board::sensor::SENSORS_MAX;
use crate::fleet::Post;
use crate::flow::{Call, Control, JobOrder, TOOL_ORDERS_MAX, ToolOrder, ToolReply, What};
use crate::hw::folder::Folder;
use crate::hw::{Board, Clock};
use crate::units::CallId;

/// What calls hear that a stop cuts off.
const STOPPING: &str = "the device is being switched off; nothing more is done";

/// What is at work when the program ends is waited for so long: longer than anything on this device takes to stop.
const CALLS_STOP: Duration = Duration::from_secs(3);

/// The running thread. Dropped without [`Handle::stop`] it stops as well, and nobody waits for it.
pub struct Handle {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
    ear: Option<mqtt::Ear>,
}

impl Handle {
    /// Stops the calls that run, brings every output to rest, also what is on elsewhere, and waits for the thread: as a
    /// rule no time at all. One after the other at most two seconds for what calls leave behind (a line that hangs, a
    /// program that does not end), two for what is on elsewhere, three for servers of `[[mcp]]` that do not end by
    /// themselves, and one for the farewell to the broker. What is just being switched off is given three seconds first.
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

/// Has a picture taken.
pub type Looker = dyn Fn() -> Pin<Box<dyn Future<Output = Result<(u16, u16), String>> + Send>> + Send + Sync;
/// Gives the job log an order, and where to answer it; false where it takes none now.
pub type AskJob = dyn Fn(JobOrder, oneshot::Sender<Result<Value, String>>) -> bool + Send + Sync;

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
    /// The job log, where there is one.
    pub job: Option<Arc<AskJob>>,
    /// Where to keep what outlives the program; nothing does where there is none.
    pub folder: Option<Arc<Folder>>,
    /// Output lines whose safe state is active, by the board profile's names; that of the others is inactive.
    pub active_when_safe: BTreeSet<String>,
    /// Whether the board has a button of its own for a yes.
    pub has_confirm_line: bool,
    /// Whether the board has a talk button.
    pub has_talk_line: bool,
    /// Has a picture taken and given to the core; answers its width and height, or a sentence for the model. None where
    /// there is no camera.
    pub look: Option<Arc<Looker>>,
    /// Gives the core the tools of servers, in place of those it got before; false where it cannot take them now.
    pub declare: Arc<dyn Fn(Vec<Tool>) -> bool + Send + Sync>,
    /// More certificates to trust, PEM.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// What the fleet shows and hears at the broker, where the device is one of many.
    pub fleet: Option<Arc<Post>>,
}

impl Outside {
    /// A program that keeps nothing, on a board whose outputs all rest inactive, and that tells nobody and wants nothing.
    pub fn new(board: Arc<dyn Board>, clock: Arc<dyn Clock>) -> Outside {
        Outside {
            board,
            clock,
            tell: Arc::new(|_| {}),
            give: Arc::new(|_| false),
            job: None,
            folder: None,
            active_when_safe: BTreeSet::new(),
            has_confirm_line: false,
            has_talk_line: false,
            look: None,
            declare: Arc::new(|_| true),
            extra_ca_pem: None,
            fleet: None,
        }
    }
}

/// Whether an interlock still holds is looked at so often while something is on: a door is open before a hand is in it.
const INTERLOCKS_EVERY: Duration = Duration::from_millis(100);

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
        // Each call touches one line, and one more may rest it; the disk and the interlocks beside. Any sensor may hang.
        .max_blocking_threads(2 * TOOL_ORDERS_MAX + 4 + SENSORS_MAX)
        .thread_name("line")
        .build()?;
    let declared = Declared::remembered(agent, &outside);
    let tools = declared.table();
    let lines =
        Lines::new(&tools, agent, outside.board.clone(), outside.tell.clone(), outside.active_when_safe.clone());
    let clerk = Clerk::new(agent.audit, outside.folder.clone(), outside.clock.clone(), outside.tell.clone())?;
    let (backends, news) = Backends::new(agent, Arc::new(lines), &outside);
    backends.mcp.start()?;
    backends.home.start()?;
    let ear = backends.mqtt.as_ref().and_then(mqtt::Broker::ear);
    let from_mqtt = backends.mqtt.as_ref().and_then(mqtt::Broker::calls);
    let house = Arc::new(House::new(tools, backends, outside, clerk));
    let errands = Errands {
        house,
        declared,
        news,
        running: HashMap::new(),
        watches: agent.watches.clone(),
        strangers: Vec::new(),
        from_mqtt,
        tasks: JoinSet::new(),
        reply: Box::new(reply),
    };
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

/// What a task was about.
enum Ended {
    /// A call of the model.
    Call { id: CallId, name: String, done: Done },
    /// Anything else: it has told whom it concerns.
    Other,
}

struct Errands {
    house: Arc<House>,
    /// What of the tools servers listed.
    declared: Declared,
    news: mpsc::Receiver<News>,
    watches: Vec<Watch>,
    /// The calls that run; none in place of the sender where one was cancelled and only cleans up.
    running: HashMap<CallId, Option<oneshot::Sender<Halt>>>,
    /// Calls of others than the model that run, to be stopped.
    strangers: Vec<oneshot::Sender<Halt>>,
    from_mqtt: Option<mpsc::Receiver<mqtt::ToolCall>>,
    tasks: JoinSet<Ended>,
    reply: Box<dyn Fn(ToolReply) + Send>,
}

impl Errands {
    async fn serve(mut self, mut orders: mpsc::Receiver<ToolOrder>, mut stopped: oneshot::Receiver<()>) {
        self.house.backends.lines.open_all();
        self.house.backends.pwm.open_all();
        self.house.remember().await;
        self.house.backends.device.alarms.remember().await;
        if let Some(mqtt) = &self.house.backends.mqtt {
            mqtt.start();
        }
        let house = self.house.clone();
        let _watching = watch::start(&self.watches, &house); // ends with this
        let _returns = returns::start(&house);
        let mut interlocks = interval(INTERLOCKS_EVERY);
        interlocks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let next_off = house.next_off();
            let next_ring = house.backends.device.alarms.next();
            tokio::select! {
                biased;
                _ = &mut stopped => break,
                Some(ended) = self.tasks.join_next() => if let Ok(ended) = ended { self.finish(ended) },
                Some(news) = self.news.recv() => if let Some(tools) = self.declared.take(news) { house.set_tools(tools) },
                () = sleep_until(next_off.unwrap_or_else(Instant::now)), if next_off.is_some() => self.switch_off(),
                () = sleep_until(next_ring.unwrap_or_else(Instant::now)), if next_ring.is_some() => self.ring(),
                order = orders.recv() => match order {
                    Some(order) => self.obey(order),
                    None => break,
                },
                Some(call) = next(&mut self.from_mqtt) => self.start_from_mqtt(call),
                () = house.on_changed.notified() => {}
                () = house.backends.device.alarms.changed.notified() => self.ring(),
                _ = interlocks.tick(), if next_off.is_some() && house.tools().has_interlocks() => {
                    house.watch_interlocks().await;
                }
            }
        }
        orders.close();
        while let Ok(order) = orders.try_recv() {
            if let ToolOrder::Run(call) | ToolOrder::ByHand(call) = order {
                self.answer(call.id, call.name, Err(STOPPING.to_string()));
            }
        }
        self.shut().await;
    }

    fn obey(&mut self, order: ToolOrder) {
        match order {
            ToolOrder::Run(call) => self.start(call, Caller::Model),
            ToolOrder::ByHand(call) => self.start(call, Caller::Hand),
            ToolOrder::Cancel(id) => self.cancel(&id),
            ToolOrder::Heard { text, began_at } => self.house.heard(&text, began_at),
            ToolOrder::Tapped => self.start_confirmed(),
            ToolOrder::Offline => self.house.offline(),
            ToolOrder::Hushed => {
                self.house.backends.device.alarms.hushed();
                self.keep_alarms();
            }
            ToolOrder::VisitOver => {
                self.house.backends.device.alarms.visit_over();
                self.keep_alarms();
            }
        }
    }

    fn answer(&self, id: CallId, name: String, result: Result<Value, String>) {
        (self.reply)(ToolReply { id, name, result });
    }

    fn start(&mut self, call: Call, caller: Caller) {
        let Call { id, name, args } = call;
        if self.running.contains_key(&id) {
            return self.answer(id, name, Err("a call with this id is still running".to_string()));
        }
        if self.running.len() >= TOOL_ORDERS_MAX {
            let busy = format!("the device is busy with {TOOL_ORDERS_MAX} other calls; call again when they are done");
            return self.answer(id, name, Err(busy));
        }
        let (halt, halted) = oneshot::channel();
        self.running.insert(id.clone(), Some(halt));
        self.house.begins(&id.0);
        let house = self.house.clone();
        let request = Request { id: Some(id.to_string()), name: name.clone(), args, caller };
        self.tasks.spawn(async move {
            let done = house.serve(request, halted).await;
            Ended::Call { id, name, done }
        });
    }

    /// Somebody at the broker calls; whether they may the policy says.
    fn start_from_mqtt(&mut self, call: mqtt::ToolCall) {
        let mqtt::ToolCall { name, args, answer } = call;
        self.strangers.retain(|stranger| !stranger.is_closed());
        if self.strangers.len() >= TOOL_ORDERS_MAX {
            let _ = answer.send(Err("the device is busy with other calls; call again when they are done".to_string()));
            return;
        }
        let (halt, halted) = oneshot::channel();
        self.strangers.push(halt);
        let house = self.house.clone();
        self.tasks.spawn(async move {
            let request = Request { id: None, name, args, caller: Caller::Mqtt };
            let _ = answer.send(house.serve(request, halted).await.result);
            Ended::Other
        });
    }

    /// What was asked by the button is done now; the call that asked was answered long ago.
    fn start_confirmed(&mut self) {
        let Some(request) = self.house.tapped() else { return };
        let house = self.house.clone();
        let (halt, halted) = oneshot::channel();
        self.strangers.push(halt);
        self.tasks.spawn(async move {
            let name = request.name.clone();
            let done = house.serve(request, halted).await;
            house.tell_confirmed(&name, &done.result);
            Ended::Other
        });
    }

    fn switch_off(&mut self) {
        for (output, off) in self.house.due() {
            let house = self.house.clone();
            self.tasks.spawn(async move {
                house.switch_off(output, off).await;
                Ended::Other
            });
        }
    }

    /// Rings what came due.
    fn ring(&mut self) {
        if self.house.backends.device.alarms.ring() {
            self.keep_alarms();
        }
    }

    fn keep_alarms(&mut self) {
        let house = self.house.clone();
        self.tasks.spawn(async move {
            house.backends.device.alarms.write_or_warn().await;
            Ended::Other
        });
    }

    fn cancel(&mut self, id: &CallId) {
        let is_over = match self.running.get_mut(id) {
            Some(halt) => halt.take().is_some_and(|halt| halt.send(Halt::Cancelled).is_err()),
            None => true, // its answer was on its way
        };
        if is_over {
            self.house.taken_back_late(&id.0);
        }
    }

    fn finish(&mut self, ended: Ended) {
        let Ended::Call { id, name, done } = ended else { return };
        // No sender left: it was cancelled, perhaps in the moment it ended, and nobody wants its answer.
        let was_cancelled = self.running.remove(&id).is_none_or(|halt| halt.is_none());
        if !was_cancelled && !done.is_cancelled {
            self.answer(id, name, done.result);
        }
    }

    async fn shut(mut self) {
        for halt in self.running.values_mut().filter_map(Option::take) {
            let _ = halt.send(Halt::Stopping);
        }
        for halt in self.strangers.drain(..) {
            let _ = halt.send(Halt::Stopping);
        }
        let all = async {
            // A call that was cancelled earlier is among them and wants no answer.
            while let Some(ended) = self.tasks.join_next().await {
                if let Ok(Ended::Call { id, name, done }) = ended
                    && !done.is_cancelled
                {
                    self.answer(id, name, done.result);
                }
            }
        };
        if timeout(CALLS_STOP, all).await.is_err() {
            tracing::warn!("what was being switched off elsewhere did not answer; the next start sees to it");
        }
        let backends = &self.house.backends;
        tokio::join!(backends.lines.rest_all(), backends.pwm.rest_all(), self.house.rest_elsewhere());
        tokio::join!(backends.mcp.stop(), backends.home.stop());
        if let Some(mqtt) = &backends.mqtt {
            mqtt.stop().await;
        }
        self.house.close();
    }
}

/// The next of what may never come.
async fn next<T>(queue: &mut Option<mpsc::Receiver<T>>) -> Option<T> {
    match queue {
        Some(queue) => queue.recv().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
