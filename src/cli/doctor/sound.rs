//! Plays the test sound and records it, with notes of when each frame passed.
//!
//! Two seconds of silence show the microphone and the room; a sweep, some speech and another sweep show the
//! loudspeaker, the way from it to the microphone, and how two clocks drift apart.

use std::ops::Range;
use std::thread;
use std::time::Duration;

use crate::audio::measure::{Line, sweep};
use crate::audio::resample::{self, ResampleTrouble};
use crate::audio::trouble::PcmTrouble;
use crate::audio::{UPLINK_RATE, mean};
use crate::cli::sounds;
use crate::config::board::Pick;
use crate::hw::{Board, Capture, Clock, PcmShape, Playback, realtime};
use crate::units::{Hertz, Time};

/// Silence first, in which only the room is heard.
pub const ROOM: Duration = Duration::from_millis(2000);
/// Length of a sweep.
const SWEEP: Duration = Duration::from_millis(200);
/// From the room's end to the first sweep, and between the sounds: longer than an echo takes to come and go.
const GAP: Duration = Duration::from_millis(600);
/// How much of the recording is said: long enough for a canceller to learn, short enough to be borne.
const SPEECH_MAX: Duration = Duration::from_millis(4000);
/// How loud the sweeps are, a share of full scale before the volume.
const LOUDNESS: f64 = 0.5;
/// Longest wait for a period.
const PERIOD_MAX: Duration = Duration::from_millis(500);
/// A device that moves nothing for so long has stopped.
const STANDSTILL: Duration = Duration::from_secs(2);
/// Xruns after which there is no use in going on.
const XRUNS_MAX: u32 = 20;

/// What is played, `[frames, 1 channel] S16 @ 16 kHz`, and where its parts are.
pub struct Score {
    /// The frames, the room's silence in front.
    pub frames: Vec<i16>,
    /// The first sweep.
    pub first: Range<usize>,
    /// The speech.
    pub speech: Range<usize>,
    /// The second sweep.
    pub second: Range<usize>,
}

impl Score {
    /// The test sound at a volume, percent.
    ///
    /// # Errors
    /// A bundled recording that cannot be brought to this rate; none is so.
    pub fn new(volume_percent: u8) -> Result<Score, ResampleTrouble> {
        let said = match sounds::named("say_bird").and_then(|it| it.frames().ok()) {
            Some((said, rate)) => resample::whole(&said, rate, UPLINK_RATE)?,
            None => Vec::new(),
        };
        let gap = UPLINK_RATE.frames_in(GAP) as usize;
        let sweep = sweep(UPLINK_RATE, SWEEP, LOUDNESS);
        let mut frames = vec![0; UPLINK_RATE.frames_in(ROOM) as usize + gap / 2];
        let mut lay = |sound: &[i16]| {
            let from = frames.len();
            frames.extend_from_slice(sound);
            let to = frames.len();
            frames.resize(to + gap, 0);
            from..to
        };
        let first = lay(&sweep);
        let speech = lay(&said[..said.len().min(UPLINK_RATE.frames_in(SPEECH_MAX) as usize)]);
        let second = lay(&sweep);
        for frame in &mut frames {
            *frame = (i32::from(*frame) * i32::from(volume_percent) / 100) as i16;
        }
        Ok(Score { frames, first, speech, second })
    }

    /// How long it takes.
    pub fn length(&self) -> Duration {
        Duration::from_micros(self.frames.len() as u64 * 1_000_000 / u64::from(UPLINK_RATE.0))
    }
}

/// What the microphone gave.
pub struct Track {
    /// What it was opened as.
    pub shape: PcmShape,
    /// The channel that is used: `[frames, 1 channel] S16 @ shape.rate`.
    pub frames: Vec<i16>,
    /// When each frame was captured, as far as the driver knows.
    pub line: Option<Line>,
    /// Times at which frames were lost; then places after it are wrong.
    pub xruns: u32,
}

/// What became of the test sound.
pub struct Played {
    /// What the loudspeaker was opened as.
    pub shape: PcmShape,
    /// When each frame left the converter, as far as the driver knows.
    pub line: Option<Line>,
    /// Times at which it starved.
    pub xruns: u32,
}

/// Both.
pub struct Session {
    /// The microphone's side.
    pub mic: Result<Track, PcmTrouble>,
    /// The loudspeaker's side.
    pub speaker: Result<Played, PcmTrouble>,
}

/// Plays and records; takes as long as the score, or as the room's part where there is no loudspeaker.
pub fn play_and_record(board: &dyn Board, clock: &dyn Clock, pick: Pick, score: &Score) -> Session {
    let (capture, playback) = (board.open_capture(), board.open_playback());
    let length = if playback.is_ok() { score.length() } else { ROOM };
    thread::scope(|scope| {
        let mic = scope.spawn(|| capture.and_then(|capture| record(capture, clock, pick, length)));
        let speaker = scope.spawn(|| playback.and_then(|playback| play(playback, clock, score)));
        let lost = || PcmTrouble::Other("the test's own thread ended".into());
        Session {
            mic: mic.join().unwrap_or_else(|_| Err(lost())),
            speaker: speaker.join().unwrap_or_else(|_| Err(lost())),
        }
    })
}

/// Listens for so long.
///
/// # Errors
/// A microphone that cannot be opened, or fails.
pub fn listen(board: &dyn Board, clock: &dyn Clock, pick: Pick, length: Duration) -> Result<Track, PcmTrouble> {
    let capture = board.open_capture()?;
    let recorded = thread::scope(|scope| scope.spawn(|| record(capture, clock, pick, length)).join());
    recorded.unwrap_or_else(|_| Err(PcmTrouble::Other("the test's own thread ended".into())))
}

fn record(mut capture: Box<dyn Capture>, clock: &dyn Clock, pick: Pick, length: Duration) -> Result<Track, PcmTrouble> {
    realtime::ask("doctor's microphone");
    let shape = capture.shape();
    let wanted = shape.rate.frames_in(length) as usize;
    let mut samples = vec![0; shape.buffer_frames * shape.channels];
    let (mut frames, mut seen, mut xruns, mut moved_at) = (Vec::with_capacity(wanted), Vec::new(), 0, clock.now());
    while frames.len() < wanted {
        match capture.read(&mut samples, PERIOD_MAX) {
            Ok(0) if clock.now().since(moved_at) < STANDSTILL => {}
            Ok(0) => return Err(PcmTrouble::Other("the microphone runs but gives no sound".into())),
            Ok(count) => {
                moved_at = clock.now();
                let pieces = samples[..count * shape.channels].chunks_exact(shape.channels);
                frames.extend(pieces.map(|frame| picked(frame, pick)));
                // The newest frame read is older by what waits behind it.
                seen.push(((frames.len() + capture.waiting_frames()) as f64, moved_at));
            }
            Err(trouble @ (PcmTrouble::Xrun | PcmTrouble::Suspended)) if xruns < XRUNS_MAX => {
                xruns += 1;
                capture.recover(&trouble)?;
            }
            Err(trouble) => return Err(trouble),
        }
    }
    Ok(Track { shape, frames, line: Line::through(&seen), xruns })
}

fn picked(frame: &[i16], pick: Pick) -> i16 {
    match pick {
        Pick::Average => mean(frame),
        Pick::Channel(channel) => frame.get(channel as usize).or(frame.last()).copied().unwrap_or(0),
    }
}

fn play(mut playback: Box<dyn Playback>, clock: &dyn Clock, score: &Score) -> Result<Played, PcmTrouble> {
    realtime::ask("doctor's loudspeaker");
    let shape = playback.shape();
    let mono = at_rate(&score.frames, shape.rate)?;
    let samples: Vec<i16> = mono.iter().flat_map(|&frame| std::iter::repeat_n(frame, shape.channels)).collect();
    let (mut written, mut seen, mut xruns, mut moved_at) = (0, Vec::new(), 0, clock.now());
    while written < mono.len() {
        let step = playback.wait(PERIOD_MAX).and_then(|room| {
            let until = (written + room).min(mono.len());
            let taken = playback.write(&samples[written * shape.channels..until * shape.channels])?;
            let delay = playback.delay_frames()?;
            Ok((taken, delay, clock.now()))
        });
        match step {
            Ok((0, ..)) if clock.now().since(moved_at) >= STANDSTILL => {
                return Err(PcmTrouble::Other("the loudspeaker takes no sound".into()));
            }
            Ok((taken, delay, now)) => {
                if taken > 0 {
                    moved_at = now;
                }
                written += taken;
                let heard = written.saturating_sub(delay);
                if heard > 0 && delay > 0 {
                    seen.push((heard as f64, now));
                }
            }
            Err(trouble @ (PcmTrouble::Xrun | PcmTrouble::Suspended)) if xruns < XRUNS_MAX => {
                xruns += 1;
                playback.recover(&trouble)?;
            }
            Err(trouble) => return Err(trouble),
        }
    }
    let left = playback.delay_frames().unwrap_or(0);
    thread::sleep(Duration::from_micros(left as u64 * 1_000_000 / u64::from(shape.rate.0.max(1))));
    Ok(Played { shape, line: line_of(&seen), xruns })
}

/// The line through what was seen once the device ran steadily: a start is told with errors.
fn line_of(seen: &[(f64, Time)]) -> Option<Line> {
    Line::through(&seen[seen.len().min(10)..])
}

/// `frames` at 16 kHz, at another rate.
pub fn at_rate(frames: &[i16], rate: Hertz) -> Result<Vec<i16>, PcmTrouble> {
    resample::whole(frames, UPLINK_RATE, rate).map_err(|why| PcmTrouble::Other(why.to_string()))
}

/// `frames` at `rate`, at 16 kHz.
pub fn at_16_khz(frames: &[i16], rate: Hertz) -> Result<Vec<i16>, PcmTrouble> {
    resample::whole(frames, rate, UPLINK_RATE).map_err(|why| PcmTrouble::Other(why.to_string()))
}
