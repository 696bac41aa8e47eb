//! The fault injector: wraps any board and lets its PCMs fail on cue, the same way every time.
//!
//! A cue has a time, so a run with the same cues and a stepped clock is the same run. Lines pass through.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{
    Board, Button, Camera, CameraTrouble, Capture, Clock, Input, Light, LineTrouble, Output, PcmShape, Playback, Pwm,
    Sensor, SensorTrouble,
};
use crate::audio::trouble::PcmTrouble;
use crate::units::Time;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An xrun, until the program recovers.
    Xrun,
    /// The device falls asleep, until the program recovers.
    Suspended,
    /// Unplugged for this long: what is open is gone for good, opening answers *missing*; then it can be opened again.
    Gone(Duration),
    /// Another program holds it for this long: opening answers *busy*; what is open goes on.
    Busy(Duration),
    /// It delivers (or plays) zeros for this long, as a muted or half-dead device does.
    Zeros(Duration),
    /// Unplugged and never back.
    Missing,
}

/// Which PCM a cue is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// The microphone.
    Capture,
    /// The loudspeaker.
    Playback,
}

/// When a cue is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At this time.
    At(Time),
    /// This long after the board was wrapped.
    After(Duration),
}

/// One fault at one time on one PCM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cue {
    /// When.
    pub when: When,
    /// Where.
    pub on: On,
    /// What.
    pub fault: Fault,
}

struct Pending {
    at: Time,
    on: On,
    fault: Fault,
    /// An xrun or a suspend that was delivered.
    spent: bool,
}

impl Pending {
    fn lasts(&self) -> Option<Duration> {
        match self.fault {
            Fault::Gone(time) | Fault::Busy(time) | Fault::Zeros(time) => Some(time),
            Fault::Missing => Some(Duration::MAX),
            Fault::Xrun | Fault::Suspended => None,
        }
    }

    fn holds(&self, now: Time) -> bool {
        self.at <= now && self.lasts().is_some_and(|time| now < self.at + time)
    }
}

/// A board whose PCMs fail on cue.
#[derive(Clone)]
pub struct FaultBoard {
    inner: Arc<dyn Board>,
    cues: Cues,
}

impl FaultBoard {
    /// Wraps `inner`; the cues count on `clock`, from now.
    pub fn new(inner: Arc<dyn Board>, clock: Arc<dyn Clock>, cues: &[Cue]) -> FaultBoard {
        let began = clock.now();
        let due = |when| match when {
            When::At(at) => at,
            When::After(after) => began + after,
        };
        let pending = cues.iter().map(|cue| Pending { at: due(cue.when), on: cue.on, fault: cue.fault, spent: false });
        FaultBoard { inner, cues: Cues { pending: Arc::new(Mutex::new(pending.collect())), clock } }
    }
}

#[derive(Clone)]
struct Cues {
    pending: Arc<Mutex<Vec<Pending>>>,
    clock: Arc<dyn Clock>,
}

impl Cues {
    fn lock(&self) -> MutexGuard<'_, Vec<Pending>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What opening `on` now answers, if a fault has a say in it.
    fn at_opening(&self, on: On) -> Result<(), PcmTrouble> {
        let now = self.clock.now();
        for cue in self.lock().iter().filter(|cue| cue.on == on && cue.holds(now)) {
            match cue.fault {
                Fault::Gone(_) | Fault::Missing => return Err(PcmTrouble::missing("fault")),
                Fault::Busy(_) => return Err(PcmTrouble::busy("fault")),
                Fault::Zeros(_) | Fault::Xrun | Fault::Suspended => {}
            }
        }
        Ok(())
    }

    fn has_zeros(&self, on: On) -> bool {
        let now = self.clock.now();
        self.lock().iter().any(|cue| cue.on == on && cue.holds(now) && matches!(cue.fault, Fault::Zeros(_)))
    }
}

/// The faults of one open PCM.
struct Ailing {
    cues: Cues,
    on: On,
    opened: Time,
    /// An xrun or a suspend that was not recovered from.
    stopped: Option<PcmTrouble>,
    gone: bool,
}

impl Ailing {
    fn new(cues: &Cues, on: On) -> Ailing {
        Ailing { cues: cues.clone(), on, opened: cues.clock.now(), stopped: None, gone: false }
    }

    /// What every call on the open PCM must answer now, if a fault has a say in it.
    fn check(&mut self) -> Result<(), PcmTrouble> {
        let now = self.cues.clock.now();
        for cue in self.cues.lock().iter_mut().filter(|cue| cue.on == self.on && cue.at <= now && !cue.spent) {
            match cue.fault {
                // Counts even where the device is back by now: the handle died with the plug.
                Fault::Gone(_) | Fault::Missing if cue.at >= self.opened => self.gone = true,
                Fault::Xrun => (self.stopped, cue.spent) = (Some(PcmTrouble::Xrun), true),
                Fault::Suspended => (self.stopped, cue.spent) = (Some(PcmTrouble::Suspended), true),
                _ => {}
            }
        }
        if self.gone {
            return Err(PcmTrouble::Gone);
        }
        self.stopped.clone().map_or(Ok(()), Err)
    }

    fn recovered(&mut self) -> Result<(), PcmTrouble> {
        self.stopped = None;
        self.check()
    }
}

impl Board for FaultBoard {
    fn open_capture(&self) -> Result<Box<dyn Capture>, PcmTrouble> {
        self.cues.at_opening(On::Capture)?;
        let inner = self.inner.open_capture()?;
        Ok(Box::new(FaultCapture { inner, ailing: Ailing::new(&self.cues, On::Capture) }))
    }

    fn open_playback(&self) -> Result<Box<dyn Playback>, PcmTrouble> {
        self.cues.at_opening(On::Playback)?;
        let inner = self.inner.open_playback()?;
        Ok(Box::new(FaultPlayback { inner, ailing: Ailing::new(&self.cues, On::Playback) }))
    }

    fn open_button(&self, line: &str) -> Result<Box<dyn Button>, LineTrouble> {
        self.inner.open_button(line)
    }

    fn open_output(&self, line: &str) -> Result<Box<dyn Output>, LineTrouble> {
        self.inner.open_output(line)
    }

    fn open_input(&self, line: &str) -> Result<Box<dyn Input>, LineTrouble> {
        self.inner.open_input(line)
    }

    fn open_light(&self) -> Result<Box<dyn Light>, LineTrouble> {
        self.inner.open_light()
    }

    fn open_pwm(&self, name: &str) -> Result<Box<dyn Pwm>, LineTrouble> {
        self.inner.open_pwm(name)
    }

    fn open_camera(&self, extra_ca_pem: Option<&[u8]>) -> Result<Box<dyn Camera>, CameraTrouble> {
        self.inner.open_camera(extra_ca_pem)
    }

    fn open_sensor(&self, name: &str) -> Result<Box<dyn Sensor>, SensorTrouble> {
        self.inner.open_sensor(name)
    }
}

struct FaultCapture {
    inner: Box<dyn Capture>,
    ailing: Ailing,
}

impl Capture for FaultCapture {
    fn shape(&self) -> PcmShape {
        self.inner.shape()
    }

    fn read(&mut self, samples: &mut [i16], timeout: Duration) -> Result<usize, PcmTrouble> {
        self.ailing.check()?;
        let frames = self.inner.read(samples, timeout)?;
        if self.ailing.cues.has_zeros(On::Capture) {
            samples[..frames * self.inner.shape().channels].fill(0);
        }
        Ok(frames)
    }

    fn waiting_frames(&mut self) -> usize {
        self.inner.waiting_frames()
    }

    fn recover(&mut self, trouble: &PcmTrouble) -> Result<(), PcmTrouble> {
        self.ailing.recovered()?;
        self.inner.recover(trouble)
    }
}

struct FaultPlayback {
    inner: Box<dyn Playback>,
    ailing: Ailing,
}

impl Playback for FaultPlayback {
    fn shape(&self) -> PcmShape {
        self.inner.shape()
    }

    fn wait(&mut self, timeout: Duration) -> Result<usize, PcmTrouble> {
        self.ailing.check()?;
        self.inner.wait(timeout)
    }

    fn write(&mut self, samples: &[i16]) -> Result<usize, PcmTrouble> {
        self.ailing.check()?;
        if self.ailing.cues.has_zeros(On::Playback) {
            return self.inner.write(&vec![0; samples.len()]);
        }
        self.inner.write(samples)
    }

    fn delay_frames(&mut self) -> Result<usize, PcmTrouble> {
        self.ailing.check()?;
        self.inner.delay_frames()
    }

    fn start(&mut self) -> Result<(), PcmTrouble> {
        self.ailing.check()?;
        self.inner.start()
    }

    fn drop_now(&mut self) -> Result<(), PcmTrouble> {
        match self.ailing.check() {
            Err(PcmTrouble::Gone) => Err(PcmTrouble::Gone),
            // Dropping what stands makes it ready again, as ALSA's drop and prepare do.
            _ => {
                self.ailing.stopped = None;
                self.inner.drop_now()
            }
        }
    }

    fn recover(&mut self, trouble: &PcmTrouble) -> Result<(), PcmTrouble> {
        self.ailing.recovered()?;
        self.inner.recover(trouble)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::hw::sim::{SimBoard, SimClock, SimSetup};

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn board(on: On, after_ms: u64, fault: Fault) -> (FaultBoard, SimClock) {
        let clock = SimClock::stepped();
        let sim = SimBoard::new(SimSetup::default(), clock.clone());
        let cue = Cue { when: When::After(ms(after_ms)), on, fault };
        (FaultBoard::new(Arc::new(sim), Arc::new(clock.clone()), &[cue]), clock)
    }

    fn read(mic: &mut Box<dyn Capture>) -> Result<bool, PcmTrouble> {
        let mut samples = [7; 4800];
        let frames = mic.read(&mut samples, Duration::ZERO)?;
        Ok(samples[..frames].iter().any(|&sample| sample != 0))
    }

    #[test]
    fn an_xrun_comes_once_on_cue_and_stays_until_recovered() {
        let (board, clock) = board(On::Capture, 20, Fault::Xrun);
        let mut mic = board.open_capture().unwrap();
        clock.advance(ms(10));
        assert_eq!(read(&mut mic), Ok(true));
        clock.advance(ms(10));
        assert_eq!(read(&mut mic), Err(PcmTrouble::Xrun));
        assert_eq!(read(&mut mic), Err(PcmTrouble::Xrun));
        mic.recover(&PcmTrouble::Xrun).unwrap();
        clock.advance(ms(10));
        assert_eq!(read(&mut mic), Ok(true));
    }

    #[test]
    fn a_suspended_speaker_answers_so_everywhere_and_wakes_by_recover() {
        let (board, clock) = board(On::Playback, 5, Fault::Suspended);
        let mut out = board.open_playback().unwrap();
        assert_eq!(out.write(&[0; 960]), Ok(480));
        clock.advance(ms(5));
        assert_eq!(out.wait(Duration::ZERO), Err(PcmTrouble::Suspended));
        assert_eq!(out.delay_frames(), Err(PcmTrouble::Suspended));
        out.recover(&PcmTrouble::Suspended).unwrap();
        assert_eq!(out.delay_frames(), Ok(0));
    }

    #[test]
    fn an_unplugged_mic_is_dead_for_good_and_can_be_opened_when_it_is_back() {
        let (board, clock) = board(On::Capture, 10, Fault::Gone(ms(100)));
        let mut mic = board.open_capture().unwrap();
        clock.advance(ms(10));
        assert_eq!(read(&mut mic), Err(PcmTrouble::Gone));
        assert!(matches!(board.open_capture().err(), Some(PcmTrouble::Missing { .. })));
        assert_eq!(mic.recover(&PcmTrouble::Gone), Err(PcmTrouble::Gone));
        clock.advance(ms(100));
        assert_eq!(read(&mut mic), Err(PcmTrouble::Gone));
        drop(mic);
        let mut mic = board.open_capture().unwrap();
        clock.advance(ms(10));
        assert_eq!(read(&mut mic), Ok(true));
    }

    #[test]
    fn busy_concerns_opening_only() {
        let (board, clock) = board(On::Playback, 10, Fault::Busy(ms(50)));
        let mut out = board.open_playback().unwrap();
        clock.advance(ms(10));
        assert_eq!(out.write(&[0; 960]), Ok(480));
        drop(out);
        assert!(matches!(board.open_playback().err(), Some(PcmTrouble::Busy { .. })));
        clock.advance(ms(50));
        assert!(board.open_playback().is_ok());
    }

    #[test]
    fn zeros_last_as_long_as_they_were_told() {
        let (board, clock) = board(On::Capture, 10, Fault::Zeros(ms(20)));
        let mut mic = board.open_capture().unwrap();
        let heard: Vec<bool> = (0..5)
            .map(|_| {
                let heard = read(&mut mic).unwrap();
                clock.advance(ms(10));
                heard
            })
            .collect();
        assert_eq!(heard, [false, false, false, true, true]);
    }

    #[test]
    fn a_missing_device_never_comes_back() {
        let (board, clock) = board(On::Capture, 10, Fault::Missing);
        let mut mic = board.open_capture().unwrap();
        clock.advance(Duration::from_secs(86_400));
        assert_eq!(read(&mut mic), Err(PcmTrouble::Gone));
        assert!(matches!(board.open_capture().err(), Some(PcmTrouble::Missing { .. })));
    }
}
