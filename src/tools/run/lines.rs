//! The lines of all tools, touched where blocking is allowed and never waited for without a limit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::Tell;
use crate::config::agent::Agent;
use crate::config::agent::policy::Policy;
use crate::flow::What;
use crate::hw::{self, Board, LineTrouble};
use crate::tools::gpio::{AwaitPlan, LOOK_EVERY};
use crate::tools::{LinePlan, Step, Tools};

/// How long the driver of a line may take: an I2C expander's bus gives up after about a second.
pub(super) const LINE_TIMEOUT: Duration = Duration::from_secs(1);

/// An output and what it was last set to.
struct Driven {
    output: Box<dyn hw::Output>,
    is_active: bool,
}

/// One line or other output: its device once it is open, and whose turn it is.
pub(super) struct Slot<T> {
    device: Arc<Mutex<Option<T>>>,
    pub(super) turn: Mutex<()>,
}

impl<T> Default for Slot<T> {
    fn default() -> Slot<T> {
        Slot { device: Arc::new(Mutex::new(None)), turn: Mutex::new(()) }
    }
}

/// The lines of all tools. They are opened when first needed and stay open.
pub(super) struct Lines {
    board: Arc<dyn Board>,
    outputs: BTreeMap<String, Slot<Driven>>,
    inputs: BTreeMap<String, Slot<Box<dyn hw::Input>>>,
    active_when_safe: BTreeSet<String>,
    tell: Arc<Tell>,
}

impl Lines {
    pub(super) fn new(
        tools: &Tools,
        agent: &Agent,
        board: Arc<dyn Board>,
        tell: Arc<Tell>,
        active_when_safe: BTreeSet<String>,
    ) -> Lines {
        let outputs: BTreeMap<String, Slot<Driven>> =
            tools.outputs().map(|line| (line.to_string(), Slot::default())).collect();
        // Reading a line that a tool drives asks the output.
        let watched = agent.watches.iter().filter_map(|watch| watch.condition.line());
        // A server's tools may be listed at any time; their interlocks stand in the file.
        let interlocks = agent.policies().flat_map(Policy::interlocks);
        let others = interlocks.chain(watched.map(String::as_str));
        let inputs = tools.inputs().chain(others).filter(|line| !outputs.contains_key(*line));
        let inputs = inputs.map(|line| (line.to_string(), Slot::default())).collect();
        Lines { board, outputs, inputs, active_when_safe, tell }
    }

    /// Waits until no other call uses the line.
    pub(super) async fn turn(&self, line: &str) -> Option<MutexGuard<'_, ()>> {
        let turn = match (self.outputs.get(line), self.inputs.get(line)) {
            (Some(slot), _) => &slot.turn,
            (None, slot) => &slot?.turn,
        };
        Some(turn.lock().await)
    }

    /// Makes an output active or inactive, opening it if need be.
    pub(super) async fn drive(&self, line: &str, active: bool) -> Result<(), String> {
        let Some(slot) = self.outputs.get(line) else { return Err(format!("line `{line}` is not an output")) };
        let (board, tell, name) = (self.board.clone(), self.tell.clone(), line.to_string());
        let safe = self.safe(line);
        on_device(slot, &format!("line `{line}`"), move |device: &mut Option<Driven>| {
            if let Some(driven) = device
                && let Err(trouble) = driven.output.set(active)
            {
                tracing::debug!(line = name, %trouble, "opened anew");
                *device = None; // its chip may have been unplugged and be back
            }
            let driven = match device {
                Some(driven) => driven,
                None => {
                    let mut output = board.open_output(&name)?;
                    output.set(active)?;
                    device.insert(Driven { output, is_active: safe })
                }
            };
            if driven.is_active != active {
                driven.is_active = active;
                tell(What::LineSet { line: name, active });
            }
            Ok(())
        })
        .await
    }

    /// Reads a line: an input, or what an output was set to.
    pub(super) async fn sense(&self, line: &str) -> Result<bool, String> {
        let (board, name) = (self.board.clone(), line.to_string());
        if let Some(slot) = self.outputs.get(line) {
            // An output that was not opened yet was not driven yet either.
            let level =
                |device: &mut Option<Driven>| device.as_mut().map_or(Ok(false), |driven| driven.output.is_active());
            return on_device(slot, &format!("line `{line}`"), level).await;
        }
        let Some(slot) = self.inputs.get(line) else { return Err(format!("line `{line}` is not known")) };
        on_device(slot, &format!("line `{line}`"), move |device: &mut Option<Box<dyn hw::Input>>| {
            let input = match device {
                Some(input) => input,
                None => device.insert(board.open_input(&name)?),
            };
            let level = input.is_active();
            if level.is_err() {
                *device = None;
            }
            level
        })
        .await
    }

    /// Takes the steps of a plan.
    pub(super) async fn carry_out(&self, plan: &LinePlan) -> Result<Value, String> {
        let mut sensed = None;
        for step in &plan.steps {
            match step {
                Step::Drive { active } => self.drive(&plan.line, *active).await?,
                Step::Wait(time) => tokio::time::sleep(*time).await,
                Step::Sense => sensed = Some(self.sense(&plan.line).await?),
            }
        }
        plan.output(sensed).ok_or_else(|| format!("line `{}` was not read", plan.line))
    }

    /// Waits for an input's edge, looking at it again and again: the kernel gives the edges of a line to one holder only,
    /// and several calls may wait for one line.
    pub(super) async fn wait_for(&self, plan: &AwaitPlan) -> Result<Value, String> {
        let began = Instant::now();
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut edges = plan.edges();
        loop {
            look.tick().await;
            let is_active = self.sense(&plan.line).await?;
            let waited = began.elapsed();
            if let Some(answer) = edges.see(is_active, waited) {
                return Ok(answer);
            }
        }
    }

    /// What a line is when nobody looks after it.
    fn safe(&self, line: &str) -> bool {
        self.active_when_safe.contains(line)
    }

    /// Opens all lines in the background: outputs go to their safe state at the start, whatever was before; some inputs
    /// (FIFOs) only know what was written after they were opened.
    pub(super) fn open_all(self: &Arc<Lines>) {
        for line in self.inputs.keys() {
            let (lines, line) = (self.clone(), line.clone());
            tokio::spawn(async move {
                if let Err(trouble) = lines.sense(&line).await {
                    tracing::warn!(line, "cannot be read yet, the next call tries again: {trouble}");
                }
            });
        }
        for line in self.outputs.keys() {
            let (lines, line) = (self.clone(), line.clone());
            tokio::spawn(async move {
                if let Err(trouble) = lines.drive(&line, lines.safe(&line)).await {
                    tracing::warn!(
                        line,
                        "cannot be brought to its safe state yet, the next call tries again: {trouble}"
                    );
                }
            });
        }
    }

    /// Brings an output to its safe state if it was opened; waits for it at most `patience`, but never gives up behind
    /// the back: a line that hangs is brought there as soon as it can be. Answers whether it is there.
    pub(super) async fn rest(self: &Arc<Lines>, line: &str, patience: Duration) -> bool {
        let Some(slot) = self.outputs.get(line) else { return true };
        let (device, tell, name) = (slot.device.clone(), self.tell.clone(), line.to_string());
        let safe = self.safe(line);
        let resting = tokio::spawn(async move {
            let mut device = device.lock_owned().await;
            let rested = spawn_blocking(move || {
                let Some(driven) = device.as_mut() else { return true };
                let rested = driven.output.set(safe);
                match &rested {
                    Ok(()) if driven.is_active != safe => tell(What::LineSet { line: name, active: safe }),
                    Ok(()) => {}
                    Err(trouble) => tracing::error!(line = name, "could not be brought to rest: {trouble}"),
                }
                driven.is_active = safe;
                rested.is_ok()
            });
            rested.await.unwrap_or(false)
        });
        match timeout(patience, resting).await {
            Ok(rested) => rested.unwrap_or(false),
            Err(_) => {
                tracing::error!(line, "hangs and could not be brought to rest yet");
                false
            }
        }
    }

    /// Brings all outputs that were opened to their safe states, side by side.
    pub(super) async fn rest_all(self: &Arc<Lines>) {
        let mut resting = JoinSet::new();
        for line in self.outputs.keys() {
            let (lines, line) = (self.clone(), line.clone());
            resting.spawn(async move { lines.rest(&line, LINE_TIMEOUT).await });
        }
        while resting.join_next().await.is_some() {}
    }
}

/// Does `work` with a line's device on a thread that may block, alone, and waits [`LINE_TIMEOUT`] at most.
///
/// The device's lock travels with the work: what hangs keeps it, and what is asked later stays later.
pub(super) async fn on_device<T: Send + 'static, R: Send + 'static>(
    slot: &Slot<T>,
    what: &str,
    work: impl FnOnce(&mut Option<T>) -> Result<R, LineTrouble> + Send + 'static,
) -> Result<R, String> {
    let device = slot.device.clone();
    let done = async move {
        let mut device = device.lock_owned().await;
        spawn_blocking(move || work(&mut device)).await
    };
    match timeout(LINE_TIMEOUT, done).await {
        Ok(Ok(result)) => result.map_err(|trouble| trouble.to_string()),
        Ok(Err(_)) => Err(format!("{what} could not be reached")),
        Err(_) => Err(format!("{what} did not react within {} ms", LINE_TIMEOUT.as_millis())),
    }
}
