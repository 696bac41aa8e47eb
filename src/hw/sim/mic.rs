//! The simulated microphone.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::voice::Voice;
use super::{Hold, SimClock, lock, time_of};
use crate::audio::trouble::PcmTrouble;
use crate::hw::{Capture, Clock, PcmShape};
use crate::units::Time;

/// Runs from its opening: frame `n` was captured at `began` + n / rate.
pub(super) struct SimCapture {
    shape: PcmShape,
    clock: SimClock,
    voice: Arc<Mutex<Voice>>,
    began: Time,
    /// Frames given to the reader since `began`.
    read: u64,
    overrun: bool,
    _hold: Hold,
}

impl SimCapture {
    pub(super) fn new(shape: PcmShape, clock: SimClock, voice: Arc<Mutex<Voice>>, hold: Hold) -> SimCapture {
        let began = clock.now();
        SimCapture { shape, clock, voice, began, read: 0, overrun: false, _hold: hold }
    }

    fn captured(&self) -> u64 {
        self.shape.rate.frames_in(self.clock.now().since(self.began))
    }
}

impl Capture for SimCapture {
    fn shape(&self) -> PcmShape {
        self.shape
    }

    fn read(&mut self, samples: &mut [i16], timeout: Duration) -> Result<usize, PcmTrouble> {
        let deadline = self.clock.now() + timeout;
        let (channels, period) = (self.shape.channels, self.shape.period_frames as u64);
        loop {
            let captured = self.captured();
            if self.overrun || captured.saturating_sub(self.read) > self.shape.buffer_frames as u64 {
                self.overrun = true;
                return Err(PcmTrouble::Xrun);
            }
            // The interrupt comes once a period: only whole periods are visible.
            let waiting = captured - captured % period - self.read;
            if waiting > 0 {
                let frames = waiting.min((samples.len() / channels) as u64);
                lock(&self.voice).fill(&mut samples[..frames as usize * channels], channels, self.began, self.read);
                self.read += frames;
                return Ok(frames as usize);
            }
            let due = self.began + time_of(captured - captured % period + period, self.shape.rate);
            if self.clock.now() >= deadline || !self.clock.sleep_until(due.min(deadline)) {
                return Ok(0);
            }
        }
    }

    fn waiting_frames(&mut self) -> usize {
        self.captured().saturating_sub(self.read) as usize
    }

    fn recover(&mut self, _trouble: &PcmTrouble) -> Result<(), PcmTrouble> {
        self.began = self.clock.now();
        self.read = 0;
        self.overrun = false;
        Ok(())
    }
}
