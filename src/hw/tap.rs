//! The tap: wraps any board and records what the microphone delivered and what the loudspeaker really played.
//!
//! Both tracks begin at the same moment, so they can be laid over each other and over the events. Of what was
//! written to the loudspeaker only that counts which `delay_frames` says was heard; what a drop threw away is
//! not in the recording. It allocates and takes locks: for the demo and for tests, not for months.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{
    Board, Button, Camera, CameraTrouble, Capture, Clock, Input, Light, LineTrouble, Output, PcmShape, Playback, Pwm,
    Sensor, SensorTrouble,
};
use crate::audio::mean;
use crate::audio::trouble::PcmTrouble;
use crate::units::{Hertz, Time};

/// Longest recording, ms: ten minutes, 58 MB a track at 48 kHz.
pub const TRACK_MAX_MS: u64 = 10 * 60 * 1000;
/// Two times that differ by less are the same: scheduling between a device's call and the look at the clock.
const SLACK_MS: u32 = 30;

/// A recorded track: `[frames, 1 channel] S16 @ rate`, the mean of the device's channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// Its rate: that of the first opening of the device, or 48 kHz where it never was opened.
    pub rate: Hertz,
    /// The frames, from [`Tap::began`] on; silence where there was nothing.
    pub frames: Vec<i16>,
    /// False where the recording stopped at [`TRACK_MAX_MS`], or missed what another rate delivered.
    pub is_whole: bool,
}

impl Track {
    fn new() -> Track {
        Track { rate: Hertz(48_000), frames: Vec::new(), is_whole: true }
    }

    fn index_of(&self, time: Duration) -> usize {
        self.rate.frames_in(time) as usize
    }

    /// Lays silence up to `index` where the track ends clearly before it.
    fn pad_to(&mut self, index: usize) {
        let most = (TRACK_MAX_MS * u64::from(self.rate.0) / 1000) as usize;
        if index > self.frames.len() + self.rate.frames_in_ms(SLACK_MS) {
            self.frames.resize(index.min(most), 0);
        }
    }

    fn append(&mut self, frames: impl Iterator<Item = i16>) {
        let most = (TRACK_MAX_MS * u64::from(self.rate.0) / 1000) as usize;
        let room = most.saturating_sub(self.frames.len());
        let mut frames = frames;
        self.frames.extend(frames.by_ref().take(room));
        self.is_whole &= frames.next().is_none();
    }

    /// Takes the rate of the device for a track that is empty. Answers whether the device can be recorded.
    fn accept(&mut self, rate: Hertz) -> bool {
        if self.frames.is_empty() {
            self.rate = rate;
        }
        self.is_whole &= self.rate == rate;
        self.rate == rate
    }
}

/// A board with a recorder on its PCMs. Cheap to clone; all clones record the same tracks.
#[derive(Clone)]
pub struct TapBoard {
    inner: Arc<dyn Board>,
    tap: Tap,
}

impl TapBoard {
    /// Wraps `inner`; the tracks begin now.
    pub fn new(inner: Arc<dyn Board>, clock: Arc<dyn Clock>) -> TapBoard {
        let tracks = Arc::new(Mutex::new(Tracks { mic: Track::new(), reply: Track::new() }));
        TapBoard { inner, tap: Tap { began: clock.now(), clock, tracks } }
    }

    /// Where the recording is read.
    pub fn tap(&self) -> Tap {
        self.tap.clone()
    }
}

/// The recording.
#[derive(Clone)]
pub struct Tap {
    began: Time,
    clock: Arc<dyn Clock>,
    tracks: Arc<Mutex<Tracks>>,
}

struct Tracks {
    mic: Track,
    reply: Track,
}

impl Tap {
    /// When both tracks began.
    pub fn began(&self) -> Time {
        self.began
    }

    /// What the microphone delivered so far.
    pub fn mic(&self) -> Track {
        self.lock().mic.clone()
    }

    /// What the loudspeaker played so far.
    pub fn reply(&self) -> Track {
        self.lock().reply.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Tracks> {
        self.tracks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time on the tracks' axis.
    fn now(&self) -> Duration {
        self.clock.now().since(self.began)
    }
}

/// The mean of each frame's channels.
fn mono(samples: &[i16], channels: usize) -> impl Iterator<Item = i16> {
    samples.chunks_exact(channels.max(1)).map(mean)
}

impl Board for TapBoard {
    fn open_capture(&self) -> Result<Box<dyn Capture>, PcmTrouble> {
        let inner = self.inner.open_capture()?;
        let is_recorded = self.tap.lock().mic.accept(inner.shape().rate);
        Ok(Box::new(TapCapture { inner, tap: self.tap.clone(), is_recorded }))
    }

    fn open_playback(&self) -> Result<Box<dyn Playback>, PcmTrouble> {
        let inner = self.inner.open_playback()?;
        let is_recorded = self.tap.lock().reply.accept(inner.shape().rate);
        let pending = VecDeque::new();
        Ok(Box::new(TapPlayback { inner, tap: self.tap.clone(), is_recorded, pending, first: None, placed: false }))
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

struct TapCapture {
    inner: Box<dyn Capture>,
    tap: Tap,
    is_recorded: bool,
}

impl Capture for TapCapture {
    fn shape(&self) -> PcmShape {
        self.inner.shape()
    }

    fn read(&mut self, samples: &mut [i16], timeout: Duration) -> Result<usize, PcmTrouble> {
        let frames = self.inner.read(samples, timeout)?;
        if frames > 0 && self.is_recorded {
            let waiting = self.inner.waiting_frames();
            let channels = self.inner.shape().channels;
            let now = self.tap.now();
            let track = &mut self.tap.lock().mic;
            track.pad_to(track.index_of(now).saturating_sub(waiting + frames));
            track.append(mono(&samples[..frames * channels], channels));
        }
        Ok(frames)
    }

    fn waiting_frames(&mut self) -> usize {
        self.inner.waiting_frames()
    }

    fn recover(&mut self, trouble: &PcmTrouble) -> Result<(), PcmTrouble> {
        self.inner.recover(trouble)
    }
}

struct TapPlayback {
    inner: Box<dyn Playback>,
    tap: Tap,
    is_recorded: bool,
    /// Written and not known to be heard: `[frames, 1 channel]`.
    pending: VecDeque<i16>,
    /// When the first frame of this run was written.
    first: Option<Duration>,
    /// Whether the run has its place on the track; what follows is contiguous.
    placed: bool,
}

impl TapPlayback {
    /// Moves what was heard by now onto the track.
    fn settle(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        match self.inner.delay_frames() {
            Ok(delay) => {
                let heard = self.pending.len().saturating_sub(delay);
                self.commit(heard);
            }
            // Starved: everything was played.
            Err(PcmTrouble::Xrun) => self.commit(self.pending.len()),
            Err(_) => {}
        }
    }

    /// The oldest `heard` pending frames were heard, the last of them about now.
    fn commit(&mut self, heard: usize) {
        let now = self.tap.now();
        let rate = self.inner.shape().rate;
        // A device that stands may answer a delay of 0 as well; but nothing is heard faster than its rate.
        let since_first = now.saturating_sub(self.first.unwrap_or(now));
        let most = rate.frames_in(since_first) as usize + rate.frames_in_ms(SLACK_MS);
        let heard = if self.placed { heard } else { heard.min(most) };
        if heard == 0 {
            return;
        }
        let mut tracks = self.tap.lock();
        if !self.placed {
            let earliest = tracks.reply.index_of(self.first.unwrap_or(now));
            let start = tracks.reply.index_of(now).saturating_sub(heard).max(earliest);
            tracks.reply.pad_to(start);
            self.placed = true;
        }
        tracks.reply.append(self.pending.drain(..heard));
    }

    /// What is pending will never be heard; the next write begins a new run.
    fn forget(&mut self) {
        self.pending.clear();
        self.first = None;
        self.placed = false;
    }
}

impl Playback for TapPlayback {
    fn shape(&self) -> PcmShape {
        self.inner.shape()
    }

    fn wait(&mut self, timeout: Duration) -> Result<usize, PcmTrouble> {
        let answer = self.inner.wait(timeout);
        self.settle();
        answer
    }

    fn write(&mut self, samples: &[i16]) -> Result<usize, PcmTrouble> {
        self.settle();
        let taken = self.inner.write(samples)?;
        if taken > 0 && self.is_recorded {
            let channels = self.inner.shape().channels;
            self.first = self.first.or_else(|| Some(self.tap.now()));
            self.pending.extend(mono(&samples[..taken * channels], channels));
        }
        Ok(taken)
    }

    fn delay_frames(&mut self) -> Result<usize, PcmTrouble> {
        self.settle();
        self.inner.delay_frames()
    }

    fn start(&mut self) -> Result<(), PcmTrouble> {
        self.inner.start()
    }

    fn drop_now(&mut self) -> Result<(), PcmTrouble> {
        self.settle();
        self.forget();
        self.inner.drop_now()
    }

    fn recover(&mut self, trouble: &PcmTrouble) -> Result<(), PcmTrouble> {
        self.settle();
        self.forget();
        self.inner.recover(trouble)
    }
}

impl Drop for TapPlayback {
    fn drop(&mut self) {
        self.settle();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::hw::sim::{SimBoard, SimClock, SimSetup};
    use crate::units::Decibel;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn tapped() -> (TapBoard, SimBoard, SimClock) {
        let clock = SimClock::stepped();
        clock.advance(ms(1000));
        let sim = SimBoard::new(SimSetup { noise: Decibel(-120.0), ..SimSetup::default() }, clock.clone());
        (TapBoard::new(Arc::new(sim.clone()), Arc::new(clock.clone())), sim, clock)
    }

    /// Runs of equal samples as (value, milliseconds at 48 kHz).
    fn runs(track: &Track) -> Vec<(i16, usize)> {
        track.frames.chunk_by(|a, b| a == b).map(|run| (run[0], run.len() / 48)).collect()
    }

    #[test]
    fn the_mic_track_lies_on_the_time_axis_with_gaps_as_silence() {
        let (board, sim, clock) = tapped();
        clock.advance(ms(100));
        let mut mic = board.open_capture().unwrap();
        sim.handle().say(&[500; 960], Hertz(48_000)).unwrap();
        let mut samples = [0; 9600];
        clock.advance(ms(30));
        assert_eq!(mic.read(&mut samples, Duration::ZERO), Ok(1440));
        clock.advance(ms(300));
        assert_eq!(mic.read(&mut samples, Duration::ZERO), Err(PcmTrouble::Xrun));
        mic.recover(&PcmTrouble::Xrun).unwrap();
        sim.handle().say(&[600; 480], Hertz(48_000)).unwrap();
        clock.advance(ms(10));
        assert_eq!(mic.read(&mut samples, Duration::ZERO), Ok(480));
        let track = board.tap().mic();
        assert_eq!(runs(&track), [(0, 100), (500, 20), (0, 310), (600, 10)]);
        assert!(track.is_whole);
    }

    #[test]
    fn the_reply_track_holds_what_was_heard_and_where() {
        let (board, _sim, clock) = tapped();
        let mut out = board.open_playback().unwrap();
        clock.advance(ms(200));
        // 100 ms of stereo whose mean is 300, fed at once and played out.
        assert_eq!(out.write(&[200, 400].repeat(4800)), Ok(4800));
        for _ in 0..9 {
            clock.advance(ms(10));
            out.wait(Duration::ZERO).unwrap();
        }
        clock.advance(ms(15));
        assert_eq!(out.wait(Duration::ZERO), Err(PcmTrouble::Xrun));
        out.recover(&PcmTrouble::Xrun).unwrap();
        assert_eq!(runs(&board.tap().reply()), [(0, 200), (300, 100)]);
    }

    #[test]
    fn a_drop_cuts_what_was_not_heard() {
        let (board, _sim, clock) = tapped();
        let mut out = board.open_playback().unwrap();
        out.write(&vec![700; 2 * 9600]).unwrap();
        clock.advance(ms(55));
        out.drop_now().unwrap();
        clock.advance(ms(45));
        out.write(&vec![800; 2 * 4800]).unwrap();
        clock.advance(ms(50));
        drop(out);
        assert_eq!(runs(&board.tap().reply()), [(700, 55), (0, 45), (800, 50)]);
    }

    #[test]
    fn the_recording_is_bounded_and_says_so() {
        let mut track = Track { rate: Hertz(1000), ..Track::new() };
        track.pad_to(TRACK_MAX_MS as usize - 5);
        track.append([1; 5].into_iter());
        assert!(track.is_whole);
        track.append([1; 5].into_iter());
        assert!(!track.is_whole);
        assert_eq!(track.frames.len() as u64, TRACK_MAX_MS);
    }
}
