//! The microphone's thread: reads the device period by period, for ever.

mod mute;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rtrb::Producer;

use self::mute::MuteLine;
use super::Intake;
use super::dead::{News, Watch};
use crate::audio::Hop;
use crate::audio::trouble::{Action, PcmTrouble, Recovery};
use crate::bell::Bell;
use crate::config::board::Pick;
use crate::flow::MicFact;
use crate::hw::{Board, Capture, Clock, PcmShape, realtime};
use crate::units::{Frames, Time};

/// Longest wait for a period. Only how soon a stop is seen depends on it.
const READ_TIMEOUT: Duration = Duration::from_millis(100);
/// Between closing a dead microphone and opening it again: some drivers reset the device only when nobody has it.
const REOPEN_PAUSE: Duration = Duration::from_millis(100);
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
    /// How long only zeros or a flat line may come before the microphone counts as dead.
    pub dead_after: Duration,
    /// The board profile's name of the hardware's mute line, where there is one, and where to keep what it says for
    /// others whom it silences.
    pub mute: Option<(String, Arc<AtomicBool>)>,
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
        Shell::new(parts).run();
    })
}

struct Shell {
    parts: Parts,
    recovery: Recovery,
    watch: Watch,
    mute: Option<MuteLine>,
    /// Whether what was captured so far may be from when the mute line was active, or unknown.
    is_stale: bool,
    /// Whether the core was told that the device works.
    is_known_to_run: bool,
    /// Why it was opened again last, so that the log says each cause once.
    last_cause: Option<PcmTrouble>,
}

/// An open microphone and what is made for its shape.
struct Open {
    capture: Box<dyn Capture>,
    intake: Intake,
    samples: Vec<i16>,
}

impl Shell {
    fn new(parts: Parts) -> Shell {
        let mute = parts.mute.clone().map(|(name, shared)| MuteLine::new(parts.board.clone(), &name, shared));
        let watch = Watch::new(parts.dead_after);
        let recovery = Recovery::new();
        Shell { parts, recovery, watch, mute, is_stale: false, is_known_to_run: false, last_cause: None }
    }

    fn run(&mut self) {
        let mut reopen_at = Time::ZERO;
        self.look_at_mute();
        while !self.is_stopped() {
            self.wait_until(reopen_at);
            reopen_at = match self.open() {
                Ok(open) => self.listen(open),
                Err(trouble) => self.open_later(&trouble),
            };
        }
    }

    fn open(&mut self) -> Result<Open, PcmTrouble> {
        let capture = self.parts.board.open_capture()?;
        let shape = capture.shape();
        let intake = self.intake(shape)?;
        let samples = vec![0; READ_PERIODS * shape.period_frames * shape.channels];
        self.watch.opened(self.parts.clock.now());
        if self.is_known_to_run {
            self.tell(MicFact::Reopened);
        }
        Ok(Open { capture, intake, samples })
    }

    fn intake(&self, shape: PcmShape) -> Result<Intake, PcmTrouble> {
        Intake::new(shape.rate, shape.channels, self.parts.pick).map_err(|why| PcmTrouble::Other(why.to_string()))
    }

    /// Reads until the device must be opened again; answers when.
    fn listen(&mut self, mut open: Open) -> Time {
        while !self.is_stopped() {
            self.parts.progress.fetch_add(1, Ordering::Relaxed);
            let mut trouble = match self.step(&mut open) {
                Ok(None) => continue,
                Ok(Some(news)) => match self.take_news(news) {
                    Some(reopen_at) => return reopen_at,
                    None => continue,
                },
                Err(trouble) => trouble,
            };
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
    fn step(&mut self, open: &mut Open) -> Result<Option<News>, PcmTrouble> {
        let frames = open.capture.read(&mut open.samples, READ_TIMEOUT)?;
        // After the read: all that was read is older than what the line says.
        let is_closed = self.look_at_mute();
        let now = self.parts.clock.now();
        let mut news = None;
        if self.is_stale {
            self.watch.pause(now);
            if frames > 0 && !is_closed {
                // What was read began while it was closed, and the resampler may hold sound from before.
                open.intake = self.intake(open.capture.shape())?;
                self.is_stale = false;
            }
        } else if frames > 0 {
            news = self.give(open, frames, now);
        } else {
            news = self.watch.hear_nothing(now);
        }
        if frames > 0 {
            self.works(now);
        }
        Ok(news)
    }

    /// Gives the gate the hops that the `frames` make.
    fn give(&mut self, open: &mut Open, frames: usize, now: Time) -> Option<News> {
        let shape = open.capture.shape();
        let waiting = Frames(open.capture.waiting_frames() as u64);
        // In this order: who is interrupted in between stamps late, and a late stamp is believed less than an early one.
        let newest_at = self.parts.clock.now().back(waiting.duration(shape.rate));
        let (hops, lost, watch) = (&mut self.parts.hops, &self.parts.lost_hops, &mut self.watch);
        let mut news = None;
        open.intake.take(&open.samples[..frames * shape.channels], newest_at, |hop| {
            news = watch.hear(&hop.frames, now).or(news);
            if hops.push(*hop).is_err() {
                lost.fetch_add(1, Ordering::Relaxed);
            }
        });
        self.parts.gate_bell.ring();
        news
    }

    /// The device gives frames.
    fn works(&mut self, now: Time) {
        let is_repaired = self.recovery.on_success(now);
        if is_repaired || !self.is_known_to_run {
            self.is_known_to_run = true;
            self.watch.forget();
            self.last_cause = None;
            tracing::debug!("the microphone runs");
            self.tell(MicFact::Running);
        }
    }

    /// What the watch has to say; answers when to open the microphone again, where it should be.
    fn take_news(&mut self, news: News) -> Option<Time> {
        let silence = match news {
            News::Alive => {
                self.tell(MicFact::Running);
                return None;
            }
            News::Reopen(silence) => silence,
            News::ReopenAndTell(silence) => {
                self.tell(MicFact::Trouble(silence.sentence().into()));
                silence
            }
        };
        tracing::debug!(?silence, "the microphone is dead; it is opened again");
        Some(self.parts.clock.now() + REOPEN_PAUSE)
    }

    /// Whether the hardware's mute line closes the microphone now.
    fn look_at_mute(&mut self) -> bool {
        let Some(mute) = &mut self.mute else { return false };
        let (facts, bell) = (&mut self.parts.facts, &self.parts.core_bell);
        let is_closed = mute.is_closed(self.parts.clock.now(), |fact| {
            if facts.push(fact).is_ok() {
                bell.ring();
            }
        });
        self.is_stale |= is_closed;
        is_closed
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
        if self.last_cause.as_ref() != Some(trouble) {
            tracing::debug!(%trouble, "the microphone is opened again");
            self.last_cause = Some(trouble.clone());
        }
        if let Some(sentence) = self.recovery.tell_owner() {
            self.tell(MicFact::Trouble(sentence));
        }
    }

    fn tell(&mut self, fact: MicFact) {
        if self.parts.facts.push(fact).is_ok() {
            self.parts.core_bell.ring();
        }
    }

    fn wait_until(&mut self, at: Time) {
        loop {
            let left = at.since(self.parts.clock.now());
            if left.is_zero() || self.is_stopped() {
                return;
            }
            self.parts.progress.fetch_add(1, Ordering::Relaxed);
            self.look_at_mute();
            thread::park_timeout(left.min(READ_TIMEOUT));
        }
    }

    fn is_stopped(&self) -> bool {
        self.parts.stop.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
