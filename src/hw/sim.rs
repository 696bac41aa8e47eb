//! The simulated board: microphone, loudspeaker and lines that behave like hardware, with no hardware.
//!
//! It implements the same traits as the real drivers and is moved by a [`SimClock`]: paced (real time; waits
//! sleep until a period is due) or stepped (a test moves the time; nothing ever sleeps). What a person would
//! do to the board (speak, press) is done through a [`SimHandle`]. What ALSA would report when the program is
//! late (EPIPE), when a PCM is opened twice (EBUSY) or a name is unknown is reported here too, so that code
//! which works here has met these answers.

mod clock;
mod lines;
mod mic;
mod pwm;
mod sensors;
mod speaker;
mod voice;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{
    Board, Button, Camera, CameraTrouble, Capture, Clock, Input, LineTrouble, Output, PcmShape, Playback, Pulse, Pwm,
    Sensor, SensorTrouble,
};
use crate::audio::trouble::PcmTrouble;
use crate::config;
use crate::units::{Decibel, Hertz, Time};

pub use clock::SimClock;
pub use voice::SayTrouble;

/// The simulated microphone's rate unless the profile names one: not 16 kHz, so that resampling is exercised.
const RATE: Hertz = Hertz(48_000);
/// Rates that a simulated PCM accepts, as wide as ALSA's usual table.
const RATES: std::ops::RangeInclusive<u32> = 8_000..=192_000;
/// Most channels of a simulated PCM.
const CHANNELS_MAX: u32 = 8;
/// Periods in a ring: 200 ms at 10 ms, so that a busy CI machine is not an overrun.
const PERIODS: usize = 20;
/// Level of the microphone's noise: what a quiet room gives a cheap microphone.
const NOISE: Decibel = Decibel(-65.0);

/// What a simulated board is made of.
#[derive(Clone, Debug)]
pub struct SimSetup {
    /// The microphone.
    pub capture: PcmShape,
    /// The loudspeaker.
    pub playback: PcmShape,
    /// RMS level of the microphone's noise; below −90 dBFS there is none.
    pub noise: Decibel,
    /// Seed of the noise: the same seed gives the same samples.
    pub seed: u64,
    /// Names of the lines the program looks at.
    pub inputs: Vec<String>,
    /// Names of the lines the program drives.
    pub outputs: Vec<String>,
    /// The PWM outputs.
    pub pwm: BTreeMap<String, config::board::pwm::PwmOutput>,
    /// The sensors.
    pub sensors: BTreeMap<String, config::board::Sensor>,
    /// The camera.
    pub camera: Option<config::board::Camera>,
}

impl Default for SimSetup {
    /// 48 kHz mono in, 48 kHz stereo out, 10 ms periods, 200 ms rings, one button `talk`, one output `lamp`.
    fn default() -> SimSetup {
        SimSetup {
            capture: shape(RATE, 1, 10),
            playback: shape(RATE, 2, 10),
            noise: NOISE,
            seed: 1,
            inputs: vec!["talk".into()],
            outputs: vec!["lamp".into()],
            pwm: BTreeMap::new(),
            sensors: BTreeMap::new(),
            camera: None,
        }
    }
}

impl SimSetup {
    /// What a board profile with PCMs named `sim` asks for. Errors name the setting to change.
    pub fn from_profile(profile: &config::board::Board) -> Result<SimSetup, PcmTrouble> {
        let named = |direction| {
            let lines = profile.lines.iter().filter(move |(_, line)| line.direction == direction);
            lines.map(|(name, _)| name.clone()).collect()
        };
        Ok(SimSetup {
            capture: pcm_shape(&profile.capture, 1)?,
            playback: pcm_shape(&profile.playback, 2)?,
            inputs: named(config::board::Direction::Input),
            outputs: named(config::board::Direction::Output),
            pwm: profile.pwm.clone(),
            sensors: profile.sensors.clone(),
            camera: profile.camera.clone(),
            ..SimSetup::default()
        })
    }
}

fn shape(rate: Hertz, channels: usize, period_ms: u32) -> PcmShape {
    let period_frames = rate.frames_in_ms(period_ms);
    PcmShape { rate, channels, period_frames, buffer_frames: PERIODS * period_frames }
}

fn pcm_shape(pcm: &config::board::Pcm, channels: u32) -> Result<PcmShape, PcmTrouble> {
    let refused = |what: String| PcmTrouble::Refused { pcm: pcm.pcm.to_string(), what };
    let rate = pcm.rate_hz.unwrap_or(RATE.0);
    let channels = pcm.channels.unwrap_or(channels);
    if !RATES.contains(&rate) {
        return Err(refused(format!("rate_hz = {rate} (it takes {} to {})", RATES.start(), RATES.end())));
    }
    if !(1..=CHANNELS_MAX).contains(&channels) {
        return Err(refused(format!("channels = {channels} (it takes 1 to {CHANNELS_MAX})")));
    }
    if !(1..=100).contains(&pcm.period_ms) {
        return Err(refused(format!("period_ms = {} (it takes 1 to 100)", pcm.period_ms)));
    }
    Ok(shape(Hertz(rate), channels as usize, pcm.period_ms))
}

/// A board with no hardware. Cheap to clone; all clones are one board.
#[derive(Clone)]
pub struct SimBoard {
    setup: Arc<SimSetup>,
    clock: SimClock,
    voice: Arc<Mutex<voice::Voice>>,
    lines: Arc<lines::Lines>,
    pwm: Arc<pwm::Outputs>,
    sensors: Arc<sensors::Sensors>,
    capture_open: Arc<OpenOnce>,
    playback_open: Arc<OpenOnce>,
}

impl SimBoard {
    /// Builds the board; nothing runs until its devices are opened.
    pub fn new(setup: SimSetup, clock: SimClock) -> SimBoard {
        let voice = voice::Voice::new(setup.capture.rate, setup.noise, setup.seed);
        let sensors = sensors::Sensors::new(&setup.sensors);
        let pwm = pwm::Outputs::new(&setup.pwm);
        let lines = lines::Lines::new(&setup.inputs, &setup.outputs, clock.clone());
        SimBoard {
            setup: Arc::new(setup),
            clock,
            voice: Arc::new(Mutex::new(voice)),
            lines: Arc::new(lines),
            pwm: Arc::new(pwm),
            sensors: Arc::new(sensors),
            capture_open: Arc::default(),
            playback_open: Arc::default(),
        }
    }

    /// The hands and the mouth of the person in front of the board.
    pub fn handle(&self) -> SimHandle {
        SimHandle {
            clock: self.clock.clone(),
            voice: self.voice.clone(),
            lines: self.lines.clone(),
            pwm: self.pwm.clone(),
            sensors: self.sensors.clone(),
        }
    }
}

impl Board for SimBoard {
    fn open_capture(&self) -> Result<Box<dyn Capture>, PcmTrouble> {
        let hold = OpenOnce::take(&self.capture_open)?;
        Ok(Box::new(mic::SimCapture::new(self.setup.capture, self.clock.clone(), self.voice.clone(), hold)))
    }

    fn open_playback(&self) -> Result<Box<dyn Playback>, PcmTrouble> {
        let hold = OpenOnce::take(&self.playback_open)?;
        Ok(Box::new(speaker::SimPlayback::new(self.setup.playback, self.clock.clone(), hold)))
    }

    fn open_button(&self, line: &str) -> Result<Box<dyn Button>, LineTrouble> {
        lines::Lines::open_button(&self.lines, line)
    }

    fn open_output(&self, line: &str) -> Result<Box<dyn Output>, LineTrouble> {
        lines::Lines::open_output(&self.lines, line)
    }

    fn open_input(&self, line: &str) -> Result<Box<dyn Input>, LineTrouble> {
        lines::Lines::open_input(&self.lines, line)
    }

    fn open_pwm(&self, name: &str) -> Result<Box<dyn Pwm>, LineTrouble> {
        pwm::Outputs::open(&self.pwm, name)
    }

    fn open_camera(&self, extra_ca_pem: Option<&[u8]>) -> Result<Box<dyn Camera>, CameraTrouble> {
        super::camera::of(self.setup.camera.as_ref(), "sim", extra_ca_pem, Arc::new(self.clock.clone()))
    }

    fn open_sensor(&self, name: &str) -> Result<Box<dyn Sensor>, SensorTrouble> {
        sensors::Sensors::open(&self.sensors, name)
    }
}

/// The hands and the mouth of the person in front of a [`SimBoard`], and their eyes on its lamps.
#[derive(Clone)]
pub struct SimHandle {
    clock: SimClock,
    voice: Arc<Mutex<voice::Voice>>,
    lines: Arc<lines::Lines>,
    pwm: Arc<pwm::Outputs>,
    sensors: Arc<sensors::Sensors>,
}

impl SimHandle {
    /// Speaks `frames` (`[frames, 1 channel] S16 @ rate`) into the microphone: now, or after what is still being
    /// said. Answers when it will have ended. What nobody captures is lost, as in a room.
    pub fn say(&self, frames: &[i16], rate: Hertz) -> Result<Time, SayTrouble> {
        let microphone = lock(&self.voice).rate();
        let recording = voice::Recording::new(frames, rate, microphone)?;
        let mut voice = lock(&self.voice);
        voice.say(recording, self.clock.now())
    }

    /// Stops speaking at once.
    pub fn hush(&self) {
        lock(&self.voice).hush();
    }

    /// Presses the button or closes the contact `line`; nothing happens if it is pressed already.
    pub fn press(&self, line: &str) -> Result<(), LineTrouble> {
        self.lines.move_input(line, true)
    }

    /// Releases `line`.
    pub fn release(&self, line: &str) -> Result<(), LineTrouble> {
        self.lines.move_input(line, false)
    }

    /// What a PWM output was last set to; none where nobody has yet.
    pub fn pulse(&self, name: &str) -> Result<Option<Pulse>, LineTrouble> {
        self.pwm.pulse(name)
    }

    /// Makes a sensor say this from now on, in the unit of its channel, before the profile's scale and offset.
    pub fn set_sensor(&self, name: &str, number: f64) -> Result<(), SensorTrouble> {
        self.sensors.set(name, number)
    }

    /// Whether the line `line`, input or output, is active.
    pub fn is_active(&self, line: &str) -> Result<bool, LineTrouble> {
        self.lines.level(line)
    }
}

/// Lets a PCM be opened once at a time, as hardware does.
#[derive(Default)]
struct OpenOnce(Mutex<bool>);

impl OpenOnce {
    fn take(this: &Arc<OpenOnce>) -> Result<Hold, PcmTrouble> {
        let mut open = lock(&this.0);
        if *open {
            return Err(PcmTrouble::busy("sim"));
        }
        *open = true;
        Ok(Hold(this.clone()))
    }
}

/// Held while the PCM is open.
struct Hold(Arc<OpenOnce>);

impl Drop for Hold {
    fn drop(&mut self) {
        *lock(&self.0.0) = false;
    }
}

/// Locks without fear of poison: no invariant spans two statements under these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The shortest time (whole microseconds) after which [`Hertz::frames_in`] is at least `frames`.
fn time_of(frames: u64, rate: Hertz) -> Duration {
    Duration::from_micros(frames.saturating_mul(1_000_000).div_ceil(u64::from(rate.0)))
}

#[cfg(test)]
mod tests;
