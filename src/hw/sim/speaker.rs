//! The simulated loudspeaker: a ring that empties at its rate.

use std::time::Duration;

use super::{Hold, SimClock, time_of};
use crate::audio::trouble::PcmTrouble;
use crate::hw::{Clock, PcmShape, Playback};
use crate::units::Time;

/// Periods written before it starts by itself, as ALSA drivers are usually set.
const START_PERIODS: usize = 2;

enum State {
    /// Stands and takes frames.
    Prepared,
    /// Plays: frame `n` of this run is heard at `began` + n / rate.
    Running { began: Time },
    /// Starved; takes nothing until recovered or dropped.
    Starved,
}

pub(super) struct SimPlayback {
    shape: PcmShape,
    clock: SimClock,
    state: State,
    /// Frames written since the last stop.
    written: u64,
    _hold: Hold,
}

impl SimPlayback {
    pub(super) fn new(shape: PcmShape, clock: SimClock, hold: Hold) -> SimPlayback {
        SimPlayback { shape, clock, state: State::Prepared, written: 0, _hold: hold }
    }

    /// Frames heard in this run, now; starves where all were.
    fn heard(&mut self) -> Result<u64, PcmTrouble> {
        match self.state {
            State::Prepared => Ok(0),
            State::Running { began } => {
                let heard = self.shape.rate.frames_in(self.clock.now().since(began));
                if heard >= self.written {
                    self.state = State::Starved;
                    return Err(PcmTrouble::Xrun);
                }
                Ok(heard)
            }
            State::Starved => Err(PcmTrouble::Xrun),
        }
    }

    /// Room in the ring when `heard` frames have left it; none where more was written since the last interrupt.
    fn free(&self, heard: u64) -> usize {
        self.shape.buffer_frames.saturating_sub((self.written - heard) as usize)
    }

    fn stop(&mut self) {
        self.state = State::Prepared;
        self.written = 0;
    }
}

impl Playback for SimPlayback {
    fn shape(&self) -> PcmShape {
        self.shape
    }

    fn wait(&mut self, timeout: Duration) -> Result<usize, PcmTrouble> {
        let deadline = self.clock.now() + timeout;
        let period = self.shape.period_frames as u64;
        loop {
            let heard = self.heard()?;
            // The interrupt comes once a period: room appears in whole periods.
            let seen = heard - heard % period;
            let free = self.free(seen);
            if free >= self.shape.period_frames {
                return Ok(free);
            }
            let due = match self.state {
                State::Running { began } => (began + time_of(seen + period, self.shape.rate)).min(deadline),
                _ => deadline,
            };
            if self.clock.now() >= deadline || !self.clock.sleep_until(due) {
                return Ok(0);
            }
        }
    }

    fn write(&mut self, samples: &[i16]) -> Result<usize, PcmTrouble> {
        let heard = self.heard()?;
        let frames = (samples.len() / self.shape.channels).min(self.free(heard));
        self.written += frames as u64;
        let filled = self.written >= (START_PERIODS * self.shape.period_frames) as u64;
        if matches!(self.state, State::Prepared) && filled {
            self.state = State::Running { began: self.clock.now() };
        }
        Ok(frames)
    }

    fn delay_frames(&mut self) -> Result<usize, PcmTrouble> {
        Ok((self.written - self.heard()?) as usize)
    }

    fn start(&mut self) -> Result<(), PcmTrouble> {
        if matches!(self.state, State::Prepared) {
            self.state = State::Running { began: self.clock.now() };
        }
        // Nothing written: it starves on the spot, as ALSA says.
        self.heard().map(drop)
    }

    fn drop_now(&mut self) -> Result<(), PcmTrouble> {
        self.stop();
        Ok(())
    }

    fn recover(&mut self, _trouble: &PcmTrouble) -> Result<(), PcmTrouble> {
        self.stop();
        Ok(())
    }
}
