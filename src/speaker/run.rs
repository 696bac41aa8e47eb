//! The speaker's thread: carries the speaker's plans out on the device.
//!
//! It never sleeps in the device: it computes from the fill when it is needed next and waits on its bell, so that
//! a flush silences within the time a thread takes to wake, not within a period.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rtrb::{Consumer, Producer};

use super::{BLOCK_MS, Device, Plan, Speaker};
use crate::audio::resample::Resampler;
use crate::audio::trouble::{Action, PcmTrouble, Recovery};
use crate::bell::Bell;
use crate::config::agent::Speak;
use crate::flow::{SpeakerFact, SpeakerOrder};
use crate::hw::{Board, Clock, PcmShape, Playback, realtime};
use crate::units::{Frames, Hertz, Time};

/// Fill that is aimed at while sound waits, ms: what may pass while the thread is not scheduled.
const FILL_MS: u32 = 80;
/// Fill below which silence is written in mid-turn, ms, or one and a half periods: the last moment before the
/// device starves, with 5 ms for the thread to wake.
const LOW_MS: u32 = 15;
/// Longest wait: how soon a stop or the loss of an idle device is seen.
const IDLE: Duration = Duration::from_millis(500);
/// Longest wait while the device runs: positions are told ten times a second.
const BUSY_MAX: Duration = Duration::from_millis(50);
/// Shortest wait while the device runs: a plan that asks for less is answered a little late, not by spinning.
const BUSY_MIN: Duration = Duration::from_millis(1);
/// Plans carried out before the orders are looked at again: a device that swallows everything at once (ALSA's
/// `null`) must not keep the thread from seeing a flush.
const PLANS_MAX: u32 = 16;
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
    /// From the core.
    pub orders: Consumer<SpeakerOrder>,
    /// Spent buffers on their way back to the core, which frees them: this thread frees nothing.
    pub returns: Producer<Vec<i16>>,
    /// To the core.
    pub facts: Producer<SpeakerFact>,
    /// This thread's bell, rung by the core after an order.
    pub bell: Bell,
    /// Rung after a fact was pushed.
    pub core_bell: Bell,
    /// Rises while the thread lives, also without a device: for the watchdog.
    pub progress: Arc<AtomicU64>,
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
}

impl Shell {
    fn new(parts: Parts) -> Shell {
        let speaker = Speaker::new(&parts.speak);
        Shell { speaker, recovery: Recovery::new(), outlet: None, reopen_at: Time::ZERO, lost_at: None, parts }
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
        match self.parts.board.open_playback().and_then(|playback| Outlet::new(playback, self.speaker.rate())) {
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

/// An open loudspeaker and what stands before it: the resampler, and frames that it did not take yet.
struct Outlet {
    playback: Box<dyn Playback>,
    shape: PcmShape,
    resampler: Resampler,
    /// A rendered block: `[frames, 1 channel] S16 @ the speaker's rate`.
    block: Vec<i16>,
    /// `[frames, channels] S16 @ the device's rate`, not yet taken by the device.
    staged: Vec<i16>,
    /// Nothing went in since all was emptied. After an xrun the resampler still holds the end of a sound.
    is_empty: bool,
    /// Frames written since it was last stopped.
    written_frames: u64,
    /// When it was started; none while it stands.
    started_at: Option<Time>,
}

impl Outlet {
    fn new(playback: Box<dyn Playback>, rate: Hertz) -> Result<Outlet, PcmTrouble> {
        let shape = playback.shape();
        let mut outlet = Outlet {
            playback,
            shape,
            resampler: resampler(rate, shape.rate)?,
            block: Vec::new(),
            staged: Vec::new(),
            is_empty: true,
            written_frames: 0,
            started_at: None,
        };
        outlet.make_room(rate);
        Ok(outlet)
    }

    /// Sizes the buffers for blocks at `rate`, with room for one block that waits and one that comes.
    fn make_room(&mut self, rate: Hertz) {
        self.block.resize(rate.frames_in_ms(BLOCK_MS), 0);
        let most = 3 * self.resampler.output_frames_max(self.block.len()) * self.shape.channels;
        self.staged.reserve(most.saturating_sub(self.staged.len()));
    }

    /// Carries out plans until there is nothing to do; answers for how long.
    fn carry_out(&mut self, speaker: &mut Speaker, now: Time) -> Result<Duration, PcmTrouble> {
        for _ in 0..PLANS_MAX {
            self.write_staged(now)?;
            let (device, fill) = self.look(speaker, now)?;
            match speaker.plan(device, now) {
                Plan::Render => self.render(speaker, now)?,
                // All is still within the resampler: silence pushes it out.
                Plan::Start if self.written_frames == 0 => self.render(speaker, now)?,
                Plan::Start => self.start(now)?,
                Plan::Drop => {
                    self.stop()?;
                    speaker.on_dropped();
                }
                Plan::Wait(until) => {
                    let until = until.map_or(IDLE, |at| at.since(now));
                    return Ok(match device {
                        Device::Running { .. } => self.until_needed(fill).min(until).clamp(BUSY_MIN, BUSY_MAX),
                        _ => until.clamp(BUSY_MIN, IDLE),
                    });
                }
            }
        }
        Ok(BUSY_MIN)
    }

    /// Where the device stands, and its fill in frames; tells the speaker its position.
    fn look(&mut self, speaker: &mut Speaker, now: Time) -> Result<(Device, usize), PcmTrouble> {
        // Also asks an idle device whether it is still there.
        let free = self.playback.wait(Duration::ZERO)?;
        let staged = self.staged.len() / self.shape.channels;
        let Some(started_at) = self.started_at else {
            let written = self.written_frames as usize; // less than the start threshold
            speaker.on_position(self.unheard(written + staged));
            return Ok((if self.is_empty { Device::Stopped } else { Device::Held }, written));
        };
        // A sound server that was just started may say 0 before it knows better. Nothing plays faster than time.
        let most = now.since(started_at).as_micros() as u64 * u64::from(self.shape.rate.0) / 990_000; // 1 % fast
        let least = self.written_frames.saturating_sub(most).min(self.shape.buffer_frames as u64);
        let delay = self.playback.delay_frames()?.max(least as usize);
        speaker.on_position(self.unheard(delay + staged));
        // Many devices move their pointer once a period; the delay is finer where the driver knows better.
        let fill = (self.shape.buffer_frames.saturating_sub(free)).min(delay);
        let (low, target) = (self.low_frames(), self.target_frames());
        // A ring of less than three blocks is kept full from a block that always waits for it.
        let block = self.shape.rate.frames_in_ms(BLOCK_MS);
        let has_room = staged == 0 && (fill + block <= target || target < 3 * block);
        Ok((Device::Running { is_low: staged == 0 && fill <= low, has_room }, fill))
    }

    /// Frames at the speaker's rate that are still to be heard when the device and its staging hold `held` frames.
    fn unheard(&self, held: usize) -> u64 {
        let (from, to) = (u64::from(self.resampler.from_rate().0), u64::from(self.resampler.to_rate().0));
        let held = (held + self.resampler.delay_frames()) as u64;
        (held * from).div_ceil(to) + self.resampler.pending_frames() as u64
    }

    fn target_frames(&self) -> usize {
        let wanted = self.shape.rate.frames_in_ms(FILL_MS).max(5 * self.shape.period_frames / 2);
        wanted.min(self.shape.buffer_frames)
    }

    fn low_frames(&self) -> usize {
        let block = self.shape.rate.frames_in_ms(BLOCK_MS);
        let wanted = self.shape.rate.frames_in_ms(LOW_MS).max(3 * self.shape.period_frames / 2);
        wanted.min(self.target_frames().saturating_sub(block).max(self.target_frames() / 2))
    }

    /// Until two blocks fit, or, where they do, until the fill is low; half of that where something is staged.
    fn until_needed(&self, fill: usize) -> Duration {
        if !self.staged.is_empty() {
            return Frames(fill as u64 / 2).duration(self.shape.rate);
        }
        let (low, two_blocks) = (self.low_frames(), 2 * self.shape.rate.frames_in_ms(BLOCK_MS));
        let refill = self.target_frames().saturating_sub(two_blocks).max(low);
        let spare = fill.saturating_sub(if fill > refill { refill } else { low });
        Frames(spare as u64).duration(self.shape.rate)
    }

    fn render(&mut self, speaker: &mut Speaker, now: Time) -> Result<(), PcmTrouble> {
        if speaker.rate() != self.resampler.from_rate() {
            // Between turns, with nothing unheard: the one place where a playing thread allocates.
            self.resampler = resampler(speaker.rate(), self.shape.rate)?;
            self.make_room(speaker.rate());
        }
        if self.started_at.is_none() && !self.staged.is_empty() {
            return Err(PcmTrouble::Other("the loudspeaker takes no sound although it is empty".into()));
        }
        speaker.render(&mut self.block, now);
        self.is_empty = false;
        let (staged, channels) = (&mut self.staged, self.shape.channels);
        self.resampler.push(&self.block, |frames| {
            for &frame in frames {
                staged.extend(std::iter::repeat_n(frame, channels));
            }
        });
        self.write_staged(now)
    }

    fn write_staged(&mut self, now: Time) -> Result<(), PcmTrouble> {
        while !self.staged.is_empty() {
            let frames = self.playback.write(&self.staged)?;
            if frames == 0 {
                break;
            }
            self.written_frames += frames as u64;
            let samples = (frames * self.shape.channels).min(self.staged.len());
            self.staged.copy_within(samples.., 0);
            self.staged.truncate(self.staged.len() - samples);
        }
        let threshold = (2 * self.shape.period_frames).min(self.shape.buffer_frames);
        if self.started_at.is_none() && self.written_frames >= threshold as u64 {
            self.start(now)?; // it has by itself, at its threshold; if not, now
        }
        Ok(())
    }

    fn start(&mut self, now: Time) -> Result<(), PcmTrouble> {
        self.playback.start()?;
        self.started_at = Some(now);
        Ok(())
    }

    fn stop(&mut self) -> Result<(), PcmTrouble> {
        self.forget();
        self.staged.clear();
        self.resampler.reset();
        self.is_empty = true;
        self.playback.drop_now()
    }

    fn recover(&mut self, trouble: &PcmTrouble, speaker: &mut Speaker) -> Result<(), PcmTrouble> {
        self.forget();
        let unwritten = self.unheard(self.staged.len() / self.shape.channels);
        match trouble {
            PcmTrouble::Suspended => speaker.on_slept(unwritten),
            _ => speaker.on_starved(unwritten),
        }
        self.playback.recover(trouble)
    }

    fn forget(&mut self) {
        self.started_at = None;
        self.written_frames = 0;
    }
}

fn resampler(from: Hertz, to: Hertz) -> Result<Resampler, PcmTrouble> {
    Resampler::new(from, to).map_err(|why| PcmTrouble::Other(why.to_string()))
}

#[cfg(test)]
mod tests;
