//! The threads of the gate: one that owns the gate, one that waits for the talk button's edges.
//!
//! The gate's thread takes hops and edges in the order in which they happened, so that a press finds the
//! sound from before it in the pre-roll. While the loudspeaker plays, a hop of the microphone waits a moment for the
//! far-end copy that belongs to it: the speaker gives its own once it was heard. A press does not wait for that.
//! Neither thread allocates, locks or logs per hop (but for the canceller's library, see `ears/cancel.rs`).

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rtrb::{Consumer, Producer, PushError};

use super::Gate;
use super::ears::{Ears, Heard};
use super::vad;
use super::wake::WakeDetector;
use crate::audio::Hop;
use crate::audio::meter::Meter;
use crate::bell::Bell;
use crate::config::agent::{Echo, Gestures, Listen};
use crate::flow::{GateEvent, GateNote, MIC_RING_HOPS};
use crate::hw::{Board, Button, Clock, Edge, LineTrouble};
use crate::units::Time;

/// The longest sleep of the gate's thread: it looks at the clock to notice a lost microphone.
const WAIT_MAX: Duration = Duration::from_millis(100);
/// Hops that are taken before the button is looked at again. A processor that is too slow for the ears finds a new hop after
/// each, without end: then sound is lost, and counted, but a press is not.
const HOPS_AT_ONCE: usize = MIC_RING_HOPS;

/// How long to sleep when the core does not take events; it rings no bell for room. A hop is 10 ms.
const FULL_WAIT: Duration = Duration::from_millis(2);

/// How long a wait for an edge may take before the thread looks at `stop` and at a level it missed.
const EDGE_WAIT: Duration = Duration::from_millis(500);

/// How long a hop of the microphone waits for the far-end copy that belongs to it: four periods of the speaker's
/// thread. What comes later is missing to the canceller in that hop.
const FAR_WAIT: Duration = Duration::from_millis(40);

/// How long to leave a line alone that could not be opened or read.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// What the gate's thread is made of.
pub struct Parts {
    /// The clock that stamps hops and edges.
    pub clock: Arc<dyn Clock>,
    /// How to listen.
    pub listen: Listen,
    /// What presses mean beside talking.
    pub gestures: Gestures,
    /// What to do about echo and noise.
    pub echo: Echo,
    /// From the microphone; at most [`MIC_RING_HOPS`] are kept, so make the ring twice as large.
    pub hops: Consumer<Hop>,
    /// The far-end copy, from the speaker; taken as it comes. Make the ring twice as large as
    /// [`FAR_RING_HOPS`](crate::flow::FAR_RING_HOPS).
    pub far: Consumer<Hop>,
    /// Looks for the wake word, where there is one to look for.
    pub wake: Option<Box<dyn WakeDetector + Send>>,
    /// From the button.
    pub edges: Consumer<Edge>,
    /// From the core.
    pub notes: Consumer<GateNote>,
    /// To the core.
    pub events: Producer<GateEvent>,
    /// Rung by microphone, button and core.
    pub bell: Bell,
    /// Rung when events are there.
    pub core_bell: Bell,
    /// Rises while the thread lives: for the watchdog.
    pub progress: Arc<AtomicU64>,
    /// How loud it is at the microphone, for whoever shows it.
    pub meter: Arc<Meter>,
    /// Ends the thread, within 100 ms or at the next ring.
    pub stop: Arc<AtomicBool>,
}

/// Starts the gate's thread.
pub fn spawn(parts: Parts) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("gate".into()).spawn(move || run(parts))
}

/// Nobody is left to talk to, or the program stops.
struct Stopped;

fn run(mut parts: Parts) {
    parts.bell.answer();
    let mut rooms = Rooms {
        gate: Gate::new(&parts.listen, vad::of(&parts.listen)).with_gestures(&parts.gestures),
        ears: Ears::new(&parts.echo),
    };
    while !parts.stop.load(Ordering::Relaxed) {
        parts.progress.fetch_add(1, Ordering::Relaxed);
        if parts.work(&mut rooms).is_err() {
            return;
        }
        parts.bell.wait(WAIT_MAX);
    }
}

/// What a hop passes through.
struct Rooms {
    ears: Ears,
    gate: Gate,
}

impl Parts {
    /// Does all that is waiting.
    fn work(&mut self, Rooms { ears, gate }: &mut Rooms) -> Result<(), Stopped> {
        while let Ok(note) = self.notes.pop() {
            gate.handle_note(note);
            self.deliver(gate)?;
        }
        self.discard_old(gate)?;
        while let Ok(edge) = self.edges.pop() {
            // A stamp from a clock that is not ours would hold a tail open for ever.
            let edge = Edge { at: edge.at.min(self.clock.now()), ..edge };
            self.hear(ears, gate, Some(edge.at))?;
            gate.handle_edge(edge);
            self.deliver(gate)?;
        }
        self.hear(ears, gate, None)?;
        gate.handle_time(self.clock.now());
        self.deliver(gate)
    }

    /// Takes hops, up to those captured at `until` where it is given; without it only those whose far-end copy is
    /// there, or will not come.
    fn hear(&mut self, ears: &mut Ears, gate: &mut Gate, until: Option<Time>) -> Result<(), Stopped> {
        while let Ok(far) = self.far.pop() {
            ears.handle_far(&far);
            if let Some(wake) = &mut self.wake {
                wake.hear_far(&far.frames);
            }
        }
        for _ in 0..HOPS_AT_ONCE {
            let Ok(hop) = self.hops.peek() else { break };
            let is_to_wait = match until {
                Some(until) => hop.at > until,
                None => ears.wants_far(hop.at, gate.is_speaker_audible()) && self.clock.now().since(hop.at) < FAR_WAIT,
            };
            if is_to_wait {
                break;
            }
            self.meter.note(&hop.frames);
            let heard = ears.hear(hop, gate.is_open());
            let _ = self.hops.pop();
            gate.handle_heard(&heard);
            self.watch_word(gate, &heard);
            self.deliver(gate)?;
        }
        Ok(())
    }

    /// Looks for the wake word in what the gate has just taken. Every hop is looked at, so that a word is whole; only
    /// where the word would open anything it is compared.
    fn watch_word(&mut self, gate: &mut Gate, heard: &Heard) {
        let Some(wake) = &mut self.wake else { return };
        let voiced = gate.is_voiced() && gate.wants_wake_word();
        if wake.hear(&heard.hop.frames, voiced, heard.room.is_far) {
            gate.handle_woken();
        }
    }

    /// Discards the oldest hops beyond what may wait.
    fn discard_old(&mut self, gate: &mut Gate) -> Result<(), Stopped> {
        let beyond = self.hops.slots().saturating_sub(MIC_RING_HOPS);
        for _ in 0..beyond {
            let _ = self.hops.pop();
        }
        gate.handle_lost(beyond as u32);
        self.deliver(gate)
    }

    /// Gives the core what the gate says; waits for room rather than lose any of it.
    fn deliver(&mut self, gate: &mut Gate) -> Result<(), Stopped> {
        let mut any = false;
        while let Some(event) = gate.poll_output() {
            any = true;
            let mut waiting = event;
            while let Err(PushError::Full(event)) = self.events.push(waiting) {
                if self.stop.load(Ordering::Relaxed) || self.events.is_abandoned() {
                    return Err(Stopped);
                }
                waiting = event;
                self.core_bell.ring();
                thread::sleep(FULL_WAIT);
            }
        }
        if any {
            self.core_bell.ring();
        }
        Ok(())
    }
}

/// What the button's thread is made of.
pub struct ButtonParts {
    /// The clock that stamps a level that was read, not waited for.
    pub clock: Arc<dyn Clock>,
    /// Opens the line.
    pub board: Arc<dyn Board>,
    /// The board profile's name of the line.
    pub line: String,
    /// To the gate.
    pub edges: Producer<Edge>,
    /// Rung when edges are there.
    pub gate_bell: Bell,
    /// Ends the thread, within 500 ms (a line that waits longer breaks its contract).
    pub stop: Arc<AtomicBool>,
}

/// Starts the button's thread.
///
/// `report` is told of a trouble once, not at each retry, and `Ok` when the line works after one.
pub fn spawn_button(
    parts: ButtonParts,
    report: impl Fn(Result<(), LineTrouble>) + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let waiter = Waiter { parts, last_sent: false, edges_lost: 0 };
    thread::Builder::new().name("button".into()).spawn(move || waiter.run(report))
}

struct Waiter {
    parts: ButtonParts,
    /// What the gate was told last.
    last_sent: bool,
    edges_lost: u64,
}

impl Waiter {
    fn run(mut self, report: impl Fn(Result<(), LineTrouble>)) {
        let mut reported: Option<LineTrouble> = None;
        while !self.is_stopped() {
            let trouble = match self.parts.board.open_button(&self.parts.line) {
                Ok(button) => {
                    if reported.take().is_some() {
                        report(Ok(()));
                    }
                    self.watch(button)
                }
                Err(trouble) => Some(trouble),
            };
            let Some(trouble) = trouble else { return };
            // A line that is gone is not pressed.
            self.send(false, self.parts.clock.now());
            if reported.as_ref() != Some(&trouble) {
                report(Err(trouble.clone()));
                reported = Some(trouble);
            }
            self.pause();
        }
    }

    /// Forwards edges until the line is in trouble, or until stopped (then nothing is answered).
    fn watch(&mut self, mut button: Box<dyn Button>) -> Option<LineTrouble> {
        // The level when it was opened may not be what the gate knows.
        let mut level_unknown = true;
        while !self.is_stopped() {
            if level_unknown {
                match button.is_active() {
                    Ok(active) => level_unknown = !self.send(active, self.parts.clock.now()),
                    Err(trouble) => return Some(trouble),
                }
            }
            match button.wait(EDGE_WAIT) {
                Ok(Some(edge)) if !self.send(edge.active, edge.at) => {
                    self.edges_lost += 1;
                    level_unknown = true;
                }
                Ok(_) => {}
                Err(trouble) => return Some(trouble),
            }
        }
        None
    }

    /// Tells the gate, if it does not know. Answers false where there was no room: the level must be read
    /// again later.
    fn send(&mut self, active: bool, at: Time) -> bool {
        if active == self.last_sent {
            return true;
        }
        if self.parts.edges.push(Edge { at, active }).is_err() {
            return false;
        }
        if self.edges_lost > 0 {
            tracing::warn!(line = self.parts.line, lost = self.edges_lost, "edges were lost: the gate was busy");
            self.edges_lost = 0;
        }
        self.last_sent = active;
        self.parts.gate_bell.ring();
        true
    }

    fn pause(&self) {
        let mut left = RETRY_AFTER;
        while !self.is_stopped() && !left.is_zero() {
            let nap = left.min(WAIT_MAX);
            thread::sleep(nap);
            left -= nap;
        }
    }

    fn is_stopped(&self) -> bool {
        self.parts.stop.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
