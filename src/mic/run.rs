//! The microphone's thread: reads the device period by period, for ever.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rtrb::Producer;

use super::Intake;
use crate::audio::Hop;
use crate::audio::trouble::{Action, PcmTrouble, Recovery};
use crate::bell::Bell;
use crate::config::board::Pick;
use crate::flow::MicFact;
use crate::hw::{Board, Capture, Clock, realtime};
use crate::units::{Frames, Time};

/// Longest wait for a period. Only how soon a stop is seen depends on it.
const READ_TIMEOUT: Duration = Duration::from_millis(100);
/// A microphone that runs and gives nothing for so long is opened again: some USB devices fall silent so.
const STALL: Duration = Duration::from_millis(1000);
/// What the owner is told of such a microphone when opening it again does not help.
const STALLED: &str = "the microphone runs but gives no sound, and opening it again does not help: unplug it and plug \
                       it in again, or name another one in the board profile (`arecord -L` lists the names)";
/// Periods that one read takes at most: after a hiccup the ring is emptied in a few steps.
const READ_PERIODS: usize = 4;

/// What the thread needs.
pub struct Parts {
    /// Opens the microphone.
    pub board: Arc<dyn Board>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Which channel to use.
    pub pick: Pick,
    /// To the gate. Where it is full the newest hop is left out and counted; the gate discards the oldest.
    pub hops: Producer<Hop>,
    /// Rung after hops were pushed.
    pub gate_bell: Bell,
    /// To the core; rare.
    pub facts: Producer<MicFact>,
    /// Rung after a fact was pushed.
    pub core_bell: Bell,
    /// Rises while the thread lives, also without a device: for the watchdog.
    pub progress: Arc<AtomicU64>,
    /// Hops that found the ring full.
    pub lost_hops: Arc<AtomicU64>,
    /// Ends the thread within 100 ms.
    pub stop: Arc<AtomicBool>,
}

/// Starts the thread `mic`.
pub fn spawn(parts: Parts) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("mic".into()).spawn(move || {
        realtime::ask("mic");
        Shell { parts, recovery: Recovery::new(), is_known_to_run: false }.run();
    })
}

struct Shell {
    parts: Parts,
    recovery: Recovery,
    /// Whether the core was told that the device works.
    is_known_to_run: bool,
}

/// An open microphone and what is made for its shape.
struct Open {
    capture: Box<dyn Capture>,
    intake: Intake,
    samples: Vec<i16>,
    /// When frames last came.
    fed_at: Time,
}

impl Shell {
    fn run(&mut self) {
        let mut reopen_at = Time::ZERO;
        while !self.is_stopped() {
            self.wait_until(reopen_at);
            reopen_at = match self.open() {
                Ok(open) => self.listen(open),
                Err(trouble) => self.open_later(&trouble),
            };
        }
    }

    fn open(&self) -> Result<Open, PcmTrouble> {
        let capture = self.parts.board.open_capture()?;
        let shape = capture.shape();
        let intake = Intake::new(shape.rate, shape.channels, self.parts.pick)
            .map_err(|why| PcmTrouble::Other(why.to_string()))?;
        let samples = vec![0; READ_PERIODS * shape.period_frames * shape.channels];
        Ok(Open { capture, intake, samples, fed_at: self.parts.clock.now() })
    }

    /// Reads until the device must be opened again; answers when.
    fn listen(&mut self, mut open: Open) -> Time {
        while !self.is_stopped() {
            self.parts.progress.fetch_add(1, Ordering::Relaxed);
            let Err(mut trouble) = self.step(&mut open) else { continue };
            loop {
                match self.recovery.on_trouble(&trouble, self.parts.clock.now()) {
                    Action::Retry => break,
                    Action::Recover => {
                        self.tell(MicFact::Xrun);
                        match open.capture.recover(&trouble) {
                            Ok(()) => break,
                            Err(next) => trouble = next,
                        }
                    }
                    Action::ReopenAt(at) => {
                        self.tell_of_loss(&trouble);
                        return at;
                    }
                }
            }
        }
        self.parts.clock.now()
    }

    /// One read. The happy path: nothing is allocated, locked or logged here.
    fn step(&mut self, open: &mut Open) -> Result<(), PcmTrouble> {
        let frames = open.capture.read(&mut open.samples, READ_TIMEOUT)?;
        let now = self.parts.clock.now();
        if frames == 0 {
            return if now.since(open.fed_at) < STALL { Ok(()) } else { Err(PcmTrouble::Other(STALLED.into())) };
        }
        open.fed_at = now;
        let shape = open.capture.shape();
        let newest_at = now.back(Frames(open.capture.waiting_frames() as u64).duration(shape.rate));
        let (hops, lost) = (&mut self.parts.hops, &self.parts.lost_hops);
        open.intake.take(&open.samples[..frames * shape.channels], newest_at, |hop| {
            if hops.push(*hop).is_err() {
                lost.fetch_add(1, Ordering::Relaxed);
            }
        });
        self.parts.gate_bell.ring();
        let is_repaired = self.recovery.on_success(now);
        if is_repaired || !self.is_known_to_run {
            self.is_known_to_run = true;
            tracing::debug!("the microphone runs");
            self.tell(MicFact::Running);
        }
        Ok(())
    }

    /// Trouble at opening: answers when to try again.
    fn open_later(&mut self, trouble: &PcmTrouble) -> Time {
        let now = self.parts.clock.now();
        let action = self.recovery.on_trouble(trouble, now);
        self.tell_of_loss(trouble);
        match action {
            Action::ReopenAt(at) => at,
            // A driver that reports an xrun at opening is confused; do not spin with it.
            Action::Retry | Action::Recover => now + READ_TIMEOUT,
        }
    }

    fn tell_of_loss(&mut self, trouble: &PcmTrouble) {
        tracing::debug!(%trouble, "the microphone is opened again");
        if let Some(sentence) = self.recovery.tell_owner() {
            self.tell(MicFact::Trouble(sentence));
        }
    }

    fn tell(&mut self, fact: MicFact) {
        if self.parts.facts.push(fact).is_ok() {
            self.parts.core_bell.ring();
        }
    }

    fn wait_until(&self, at: Time) {
        loop {
            let left = at.since(self.parts.clock.now());
            if left.is_zero() || self.is_stopped() {
                return;
            }
            self.parts.progress.fetch_add(1, Ordering::Relaxed);
            thread::park_timeout(left.min(READ_TIMEOUT));
        }
    }

    fn is_stopped(&self) -> bool {
        self.parts.stop.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
