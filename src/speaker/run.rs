//! The speaker's thread: carries the speaker's plans out on the device.
//!
//! It never sleeps in the device: it computes from the fill when it is needed next and waits on its bell, so that
//! a flush silences within the time a thread takes to wake, not within a period.

mod outlet;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rtrb::{Consumer, Producer};

use self::outlet::Outlet;
use super::cue::sounds::Sounds;
use super::{Device, Speaker};
use crate::audio::Hop;
use crate::audio::meter::Meter;
use crate::audio::trouble::{Action, PcmTrouble, Recovery};
use crate::bell::Bell;
use crate::config::agent::Speak;
use crate::flow::{SpeakerFact, SpeakerOrder};
use crate::hw::{Board, Clock, realtime};
use crate::units::Time;

/// Longest wait: how soon a stop or the loss of an idle device is seen.
const IDLE: Duration = Duration::from_millis(500);
/// Longest wait while the device runs: positions are told ten times a second.
const BUSY_MAX: Duration = Duration::from_millis(50);
/// Shortest wait while the device runs: a plan that asks for less is answered a little late, not by spinning.
const BUSY_MIN: Duration = Duration::from_millis(1);
/// How long sound is kept for a device that is gone: longer than a replug within the quick attempts takes.
const KEEP: Duration = Duration::from_secs(5);

/// What the thread needs.
pub struct Parts {
    /// Opens the loudspeaker.
    pub board: Arc<dyn Board>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Loudness and prebuffer.
    pub speak: Speak,
    /// Silence that a sound needs before it where the device stood, ms: the board's `wake_ms`.
    pub wake_ms: u32,
    /// What the device's own sounds are.
    pub sounds: Sounds,
    /// From the core.
    pub orders: Consumer<SpeakerOrder>,
    /// Spent buffers on their way back to the core, which frees them: this thread frees nothing.
    pub returns: Producer<Vec<i16>>,
    /// To the core.
    pub facts: Producer<SpeakerFact>,
    /// To the gate: what was really heard, for the echo canceller; none where there is no canceller. Where it is full
    /// the hop is left out: the stamps say so.
    pub far: Option<Producer<Hop>>,
    /// This thread's bell, rung by the core after an order.
    pub bell: Bell,
    /// Rung after a fact was pushed.
    pub core_bell: Bell,
    /// Rises while the thread lives, also without a device: for the watchdog.
    pub progress: Arc<AtomicU64>,
    /// How loud that is which the far-end copy holds, for whoever shows it.
    pub meter: Arc<Meter>,
    /// Ends the thread within half a second, at once with a ring.
    pub stop: Arc<AtomicBool>,
}

/// Starts the thread `speaker`.
pub fn spawn(parts: Parts) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("speaker".into()).spawn(move || {
        parts.bell.answer();
        realtime::ask("speaker");
        Shell::new(parts).run();
    })
}

struct Shell {
    parts: Parts,
    speaker: Speaker,
    recovery: Recovery,
    outlet: Option<Outlet>,
    reopen_at: Time,
    /// Since when there is no device.
    lost_at: Option<Time>,
    /// Hops of the far-end copy that found the gate standing still, since it last moved.
    far_lost_hops: u64,
}

impl Shell {
    fn new(mut parts: Parts) -> Shell {
        let sounds = std::mem::take(&mut parts.sounds);
        let speaker = Speaker::new(&parts.speak).with_wake_ms(parts.wake_ms).with_sounds(sounds);
        Shell {
            speaker,
            recovery: Recovery::new(),
            outlet: None,
            reopen_at: Time::ZERO,
            lost_at: None,
            far_lost_hops: 0,
            parts,
        }
    }

    fn run(&mut self) {
        while !self.parts.stop.load(Ordering::Relaxed) {
            let wait = self.turn();
            if !wait.is_zero() {
                self.parts.bell.wait(wait);
            }
        }
    }

    /// One turn of the loop; answers how long there is nothing to do unless the bell rings.
    fn turn(&mut self) -> Duration {
        self.parts.progress.fetch_add(1, Ordering::Relaxed);
        self.open_if_due();
        self.take_orders();
        let wait = self.work();
        self.give_far();
        self.report();
        wait
    }

    fn now(&self) -> Time {
        self.parts.clock.now()
    }

    fn open_if_due(&mut self) {
        if self.outlet.is_some() || self.now() < self.reopen_at {
            return;
        }
        let (rate, has_copy) = (self.speaker.rate(), self.parts.far.is_some());
        let clock = self.parts.clock.clone();
        let open = self.parts.board.open_playback();
        match open.and_then(|playback| Outlet::new(playback, rate, has_copy, clock)) {
            Ok(outlet) => {
                self.outlet = Some(outlet);
                self.lost_at = None;
            }
            Err(trouble) => self.on_trouble(trouble),
        }
    }

    fn take_orders(&mut self) {
        while let Ok(order) = self.parts.orders.pop() {
            let is_flush = matches!(order, SpeakerOrder::Flush { .. });
            if is_flush && let Some(outlet) = &mut self.outlet {
                // Trouble met here is met again, and dealt with, in `work`.
                let _ = outlet.look(&mut self.speaker, self.parts.clock.now());
            }
            self.speaker.handle(order, self.parts.clock.now());
        }
    }

    /// Does what there is to do; answers how long nothing is.
    fn work(&mut self) -> Duration {
        let now = self.now();
        let Some(outlet) = &mut self.outlet else { return self.be_without_device(now) };
        match outlet.carry_out(&mut self.speaker, now) {
            Ok(wait) => {
                if self.recovery.on_success(now) {
                    self.speaker.note(SpeakerFact::Recovered);
                }
                wait
            }
            Err(trouble) => {
                self.on_trouble(trouble);
                Duration::ZERO
            }
        }
    }

    fn be_without_device(&mut self, now: Time) -> Duration {
        if now.since(*self.lost_at.get_or_insert(now)) >= KEEP {
            self.speaker.give_up_sound();
        }
        self.speaker.plan(Device::Lost, now);
        self.reopen_at.since(now).clamp(BUSY_MIN, IDLE)
    }

    fn on_trouble(&mut self, mut trouble: PcmTrouble) {
        loop {
            let now = self.now();
            let action = self.recovery.on_trouble(&trouble, now);
            match (action, &mut self.outlet) {
                (Action::Retry, Some(_)) => return,
                (Action::Recover, Some(outlet)) => match outlet.recover(&trouble, &mut self.speaker) {
                    Ok(()) => return,
                    Err(next) => trouble = next,
                },
                _ => {
                    tracing::debug!(%trouble, "the loudspeaker is opened again");
                    self.reopen_at = if let Action::ReopenAt(at) = action { at } else { now + BUSY_MAX };
                    if self.outlet.take().is_some() {
                        self.lost_at = Some(now);
                        self.speaker.on_lost();
                    }
                    if let Some(sentence) = self.recovery.tell_owner() {
                        self.speaker.note(SpeakerFact::Trouble(sentence));
                    }
                    return;
                }
            }
        }
    }

    /// Hands the far-end copy to the gate. What finds no room is left out; the gate discards what is too old itself.
    fn give_far(&mut self) {
        let (Some(outlet), Some(ring)) = (&mut self.outlet, &mut self.parts.far) else { return };
        self.far_lost_hops += outlet.take_far_lost_hops();
        while let Some(hop) = outlet.poll_far() {
            self.parts.meter.note(&hop.frames);
            if ring.push(hop).is_err() {
                self.far_lost_hops += 1;
            } else if self.far_lost_hops > 0 {
                tracing::debug!(hops = self.far_lost_hops, "what was played found the gate standing still");
                self.far_lost_hops = 0;
            }
        }
    }

    /// Hands facts and spent buffers to the core.
    fn report(&mut self) {
        let mut is_news = false;
        while !self.parts.facts.is_full() {
            let Some(fact) = self.speaker.poll_fact() else { break };
            is_news |= self.parts.facts.push(fact).is_ok();
        }
        if self.parts.facts.slots() > self.parts.facts.buffer().capacity() / 2
            && let Some(heard) = self.speaker.poll_heard(self.parts.clock.now())
        {
            is_news |= self.parts.facts.push(heard).is_ok();
        }
        while !self.parts.returns.is_full() {
            let Some(spent) = self.speaker.take_spent() else { break };
            let _ = self.parts.returns.push(spent); // there is room, as was just seen
        }
        if is_news {
            self.parts.core_bell.ring();
        }
    }
}

#[cfg(test)]
mod tests;
