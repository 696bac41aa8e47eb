//! An open loudspeaker and what stands before it: carries out the speaker's plans, frame by frame.

use std::sync::Arc;
use std::time::Duration;

use super::super::far::FarCopy;
use super::super::{BLOCK_MS, Device, Plan, Speaker};
use super::{BUSY_MAX, BUSY_MIN, IDLE};
use crate::audio::resample::Resampler;
use crate::audio::trouble::PcmTrouble;
use crate::audio::{HOP_MS, Hop};
use crate::hw::{Clock, PcmShape, Playback};
use crate::units::{Frames, Hertz, Time};

/// Fill that is aimed at while sound waits, ms: what may pass while the thread is not scheduled.
const FILL_MS: u32 = 80;
/// Fill below which silence is written in mid-turn, ms, or one and a half periods: the last moment before the
/// device starves, with 5 ms for the thread to wake.
const LOW_MS: u32 = 15;
/// Plans carried out before the orders are looked at again: a device that swallows everything at once (ALSA's
/// `null`) must not keep the thread from seeing a flush.
const PLANS_MAX: u32 = 16;

/// An open loudspeaker and what stands before it: the resampler, and frames that it did not take yet.
pub(super) struct Outlet {
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
    /// What it gives, for the echo canceller; none where nobody wants it.
    far: Option<FarCopy>,
    clock: Arc<dyn Clock>,
}

impl Outlet {
    /// What stands before `playback` for a speaker that renders at `rate`; with a far-end copy where `has_copy`.
    pub(super) fn new(
        playback: Box<dyn Playback>,
        rate: Hertz,
        has_copy: bool,
        clock: Arc<dyn Clock>,
    ) -> Result<Outlet, PcmTrouble> {
        let shape = playback.shape();
        let far = has_copy.then(|| FarCopy::new(shape.rate, shape.buffer_frames)).transpose();
        let mut outlet = Outlet {
            playback,
            shape,
            resampler: resampler(rate, shape.rate)?,
            block: Vec::new(),
            staged: Vec::new(),
            is_empty: true,
            written_frames: 0,
            started_at: None,
            far: far.map_err(|why| PcmTrouble::Other(why.to_string()))?,
            clock,
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
    pub(super) fn carry_out(&mut self, speaker: &mut Speaker, now: Time) -> Result<Duration, PcmTrouble> {
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
                        Device::Running { .. } => self.until_needed(fill).min(until).clamp(BUSY_MIN, self.busy_max()),
                        _ if self.far.as_ref().is_some_and(FarCopy::has_tail) => until.clamp(BUSY_MIN, self.busy_max()),
                        _ => until.clamp(BUSY_MIN, IDLE),
                    });
                }
            }
        }
        Ok(BUSY_MIN)
    }

    /// Where the device stands, and its fill in frames; tells the speaker its position.
    pub(super) fn look(&mut self, speaker: &mut Speaker, now: Time) -> Result<(Device, usize), PcmTrouble> {
        // Also asks an idle device whether it is still there.
        let free = self.playback.wait(Duration::ZERO)?;
        let staged = self.staged.len() / self.shape.channels;
        let Some(started_at) = self.started_at else {
            if let Some(far) = &mut self.far {
                far.on_standing(self.clock.now());
            }
            let written = self.written_frames as usize; // less than the start threshold
            speaker.on_position(self.unheard(written + staged));
            return Ok((if self.is_empty { Device::Stopped } else { Device::Held }, written));
        };
        // A sound server that was just started may say 0 before it knows better. Nothing plays faster than time.
        let most = now.since(started_at).as_micros() as u64 * u64::from(self.shape.rate.0) / 990_000; // 1 % fast
        let least = self.written_frames.saturating_sub(most).min(self.shape.buffer_frames as u64);
        let delay = self.playback.delay_frames()?.max(least as usize);
        if let Some(far) = &mut self.far {
            far.on_position(delay, self.clock.now());
        }
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

    /// Longest wait while the device runs. A canceller waits for the copy: it is given as it is heard.
    ///
    /// So it is without a canceller, too, where the gate only asks whether the loudspeaker can be heard: the ears read that
    /// off the copy hop by hop, and one that came every 50 ms would be looked for before it is there. It costs 80 wake-ups
    /// a second more while sound plays, 0.3 % of a core (41 µs each on a virtual x86-64), and none while the device stands.
    fn busy_max(&self) -> Duration {
        if self.far.is_some() { Duration::from_millis(u64::from(HOP_MS)) } else { BUSY_MAX }
    }

    /// The next hop of the far-end copy.
    pub(super) fn poll_far(&mut self) -> Option<Hop> {
        self.far.as_mut()?.poll_hop()
    }

    /// Hops of the copy that were lost in here since this was last asked.
    pub(super) fn take_far_lost_hops(&mut self) -> u64 {
        self.far.as_mut().map_or(0, FarCopy::take_lost_hops)
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
            if let Some(far) = &mut self.far {
                far.on_written(&self.staged[..samples], self.shape.channels);
            }
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
        self.playback.drop_now()?;
        if let Some(far) = &mut self.far {
            far.on_dropped();
        }
        Ok(())
    }

    /// Makes the device ready after `trouble`, and tells the speaker what was lost.
    pub(super) fn recover(&mut self, trouble: &PcmTrouble, speaker: &mut Speaker) -> Result<(), PcmTrouble> {
        self.forget();
        let unwritten = self.unheard(self.staged.len() / self.shape.channels);
        match trouble {
            PcmTrouble::Suspended => speaker.on_slept(unwritten),
            _ => speaker.on_starved(unwritten),
        }
        match (&mut self.far, trouble) {
            (Some(far), PcmTrouble::Suspended) => far.on_slept(),
            (Some(far), _) => far.on_starved(),
            (None, _) => {}
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
