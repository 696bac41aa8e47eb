//! The traits that a board is made of. Drivers (`hw/*.rs`) implement them; rooms only see these.
//!
//! A driver does one blocking step at a time and reports what happened; it never retries, sleeps or
//! decides. Threads belong to the rooms' `run.rs`.

pub mod alsa;
pub mod camera;
pub mod cards;
pub mod clock;
pub mod fault;
pub mod files;
pub mod fleet;
pub mod folder;
pub mod gpio;
pub mod http;
pub mod jobs;
pub mod journal;
pub mod key;
pub mod open;
pub mod pixels;
mod poll;
pub mod process;
pub mod pwm;
pub mod reach;
pub mod realtime;
pub mod sensor;
pub mod settings;
pub mod signals;
pub mod sim;
pub mod store;
pub mod switch;
pub mod tap;
pub mod tls;
pub mod wake;
pub mod wav;

use std::time::Duration;

use crate::audio::trouble::PcmTrouble;
use crate::config::board;
use crate::still::Still;
use crate::units::{Hertz, Time};

/// What a PCM was opened as. Samples cross the traits as interleaved `i16`, whatever the device's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PcmShape {
    /// Frames per second.
    pub rate: Hertz,
    /// Samples in a frame; 1 or more.
    pub channels: usize,
    /// Frames the device moves per interrupt.
    pub period_frames: usize,
    /// Frames in the device's ring; a whole number of periods.
    pub buffer_frames: usize,
}

/// A microphone.
pub trait Capture: Send {
    /// What it was opened as; constant for its life.
    fn shape(&self) -> PcmShape;

    /// Waits at most `timeout` for a period and reads what fits into `samples`
    /// (`[frames, channels] S16, interleaved`; a whole number of frames). Answers the frames read; 0 after
    /// a time-out. Never allocates.
    fn read(&mut self, samples: &mut [i16], timeout: Duration) -> Result<usize, PcmTrouble>;

    /// Frames that the device holds and that were not read yet: how old the last read's newest frame is.
    fn waiting_frames(&mut self) -> usize;

    /// Gets the device running again after [`PcmTrouble::Xrun`] or [`PcmTrouble::Suspended`].
    fn recover(&mut self, trouble: &PcmTrouble) -> Result<(), PcmTrouble>;
}

/// A loudspeaker. Stopped when opened; the first [`Playback::write`]s fill its ring and start it.
pub trait Playback: Send {
    /// What it was opened as; constant for its life.
    fn shape(&self) -> PcmShape;

    /// Waits at most `timeout` until a period fits. Answers the frames that fit now; 0 after a time-out.
    fn wait(&mut self, timeout: Duration) -> Result<usize, PcmTrouble>;

    /// Hands over `samples` (`[frames, channels] S16, interleaved`) without blocking. Answers the frames taken.
    fn write(&mut self, samples: &[i16]) -> Result<usize, PcmTrouble>;

    /// Frames until what is written now is heard (`snd_pcm_delay`); 0 when stopped.
    fn delay_frames(&mut self) -> Result<usize, PcmTrouble>;

    /// Starts the device now even if less than the start threshold is written (the tail of a short reply).
    /// Does nothing where it runs already.
    fn start(&mut self) -> Result<(), PcmTrouble>;

    /// Stops at once, discards what is written and makes ready for the next write.
    fn drop_now(&mut self) -> Result<(), PcmTrouble>;

    /// Makes ready again after [`PcmTrouble::Xrun`] or [`PcmTrouble::Suspended`].
    fn recover(&mut self, trouble: &PcmTrouble) -> Result<(), PcmTrouble>;
}

/// A transition of an input line, after debouncing and after polarity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// When it happened (the kernel's stamp where there is one).
    pub at: Time,
    /// True: became active (pressed); false: became inactive (released).
    pub active: bool,
}

/// The other cause of a refusal: the sandbox of the service has the devices of the board's profile and no others.
const OR_THE_SERVICE: &str = "the service may use what its board names (`sudo mynah setup` after a change of it)";

/// What a line driver reports; each says what the owner must do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineTrouble {
    /// No line of this name.
    #[error("line {line} was not found: `gpioinfo` lists the names that exist; name another one in the board profile")]
    Missing {
        /// The line as the board profile names it.
        line: String,
    },
    /// Another program holds it.
    #[error("line {line} is busy: {holder} holds it; stop that program or name another line in the board profile")]
    Busy {
        /// The line.
        line: String,
        /// The consumer that the kernel names.
        holder: String,
    },
    /// Rights are missing.
    #[error("no right to use {what}: {remedy}")]
    Denied {
        /// The device file.
        what: String,
        /// What to do, by whom the file belongs to.
        remedy: String,
    },
    /// A light that is no line cannot be used.
    #[error("the light {what} cannot be used: {why}")]
    Light {
        /// The device, as the board profile names it.
        what: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// A PWM output cannot be used.
    #[error("PWM output {what}: {why}")]
    Pwm {
        /// Its name in the board profile.
        what: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// Anything else.
    #[error("line {line}: {why}")]
    Other {
        /// The line.
        line: String,
        /// What the system said.
        why: String,
    },
}

/// A push button or other input with edges.
pub trait Button: Send {
    /// Whether it is active (pressed) now.
    fn is_active(&mut self) -> Result<bool, LineTrouble>;

    /// Waits at most `timeout` for the next edge.
    fn wait(&mut self, timeout: Duration) -> Result<Option<Edge>, LineTrouble>;
}

/// A line the program drives: a lamp, a relay, an LED.
pub trait Output: Send {
    /// Makes it active or inactive.
    fn set(&mut self, active: bool) -> Result<(), LineTrouble>;

    /// What it was last set to.
    fn is_active(&mut self) -> Result<bool, LineTrouble>;
}

/// A line the program only looks at: a door contact, a switch.
pub trait Input: Send {
    /// Whether it is active now.
    fn is_active(&mut self) -> Result<bool, LineTrouble>;
}

/// What a PWM channel gives, again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// From one pulse to the next, ns.
    pub period_ns: u64,
    /// How long it is on, ns; at most the period, 0 for never.
    pub on_ns: u64,
}

/// A PWM channel that the program drives: a dimmer, a servo, a buzzer.
pub trait Pwm: Send {
    /// What hangs on it.
    fn output(&self) -> &board::pwm::PwmOutput;

    /// Gives these pulses from now on.
    fn set(&mut self, pulse: Pulse) -> Result<(), LineTrouble>;
}

/// What a sensor measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The number.
    pub value: f64,
    /// Its unit; empty where it has none.
    pub unit: String,
}

/// Why there is no reading.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SensorTrouble {
    /// It is not there: wiring, driver, or the profile's name for it.
    #[error("sensor {sensor}: {why}")]
    Missing {
        /// Its name in the board profile.
        sensor: String,
        /// What was looked for, and what there is.
        why: String,
    },
    /// It is there, and what it says is nothing or cannot be right.
    #[error("sensor {sensor}: {why}")]
    Faulty {
        /// Its name in the board profile.
        sensor: String,
        /// What it said, and what to look at.
        why: String,
    },
}

/// Something that measures.
pub trait Sensor: Send {
    /// Measures now; may block for as long as the bus does.
    fn read(&mut self) -> Result<Reading, SensorTrouble>;
}

/// Why there is no picture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CameraTrouble {
    /// There is no camera, or nothing that reads it: the profile is wrong, or something is to be installed.
    #[error("camera: {why}")]
    Missing {
        /// What was looked for, and what to do.
        why: String,
    },
    /// It gives no pictures any more; to be opened again after a while.
    #[error("camera: {why}")]
    Lost {
        /// What happened.
        why: String,
    },
}

/// A camera whose sensor runs; dropped, it is off.
pub trait Camera: Send {
    /// Waits at most `timeout` for the next picture and answers the newest; none where there was none. It is to be
    /// called all the time while pictures are wanted: what nobody takes is old when it comes.
    ///
    /// # Errors
    /// [`CameraTrouble`].
    fn next(&mut self, timeout: Duration) -> Result<Option<Still>, CameraTrouble>;
}

/// A colour, 0–255 each, as the eye takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rgb {
    /// Red.
    pub red: u8,
    /// Green.
    pub green: u8,
    /// Blue.
    pub blue: u8,
}

/// What one lamp shows. A lamp takes of it what it can: colour, brightness, or only whether it is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glow {
    /// Brightness as the eye takes it, percent, 0–100.
    pub percent: u8,
    /// Colour.
    pub colour: Rgb,
}

impl Glow {
    /// No light.
    pub const DARK: Glow = Glow { percent: 0, colour: Rgb { red: 0, green: 0, blue: 0 } };

    /// Whether a lamp that is only on or off is on.
    pub fn is_on(self) -> bool {
        self.percent >= 50
    }

    /// The share of its power with which a lamp looks so bright, 0–1: about the square, as eyes go.
    pub fn power(self) -> f32 {
        let seen = f32::from(self.percent.min(100)) / 100.0;
        seen * seen
    }
}

/// The light by which the device shows what it does: one lamp or a row of them.
pub trait Light: Send {
    /// Lamps in the row, 1 or more; constant for its life.
    fn lamps(&self) -> usize;

    /// Shows this from now on, the first lamp first; what is missing is dark.
    fn show(&mut self, glows: &[Glow]) -> Result<(), LineTrouble>;
}

/// A light that is a plain output line: on or off.
pub struct LineLight(Box<dyn Output>);

impl LineLight {
    /// The light on this line.
    pub fn new(line: Box<dyn Output>) -> LineLight {
        LineLight(line)
    }
}

impl Light for LineLight {
    fn lamps(&self) -> usize {
        1
    }

    fn show(&mut self, glows: &[Glow]) -> Result<(), LineTrouble> {
        self.0.set(glows.first().is_some_and(|glow| glow.is_on()))
    }
}

/// A board: opens its devices, as often as asked (a lost device is opened again).
///
/// `line` arguments are the board profile's own names (`talk`, `lamp`), not the kernel's.
pub trait Board: Send + Sync {
    /// Opens the microphone.
    fn open_capture(&self) -> Result<Box<dyn Capture>, PcmTrouble>;
    /// Opens the loudspeaker.
    fn open_playback(&self) -> Result<Box<dyn Playback>, PcmTrouble>;
    /// Opens an input line for its edges.
    fn open_button(&self, line: &str) -> Result<Box<dyn Button>, LineTrouble>;
    /// Opens an output line; it is inactive until set.
    fn open_output(&self, line: &str) -> Result<Box<dyn Output>, LineTrouble>;
    /// Opens an input line for its level.
    fn open_input(&self, line: &str) -> Result<Box<dyn Input>, LineTrouble>;
    /// Opens the light; it is dark until told. A board that knows of no other has it on the line [`board::LED`].
    fn open_light(&self) -> Result<Box<dyn Light>, LineTrouble> {
        Ok(Box::new(LineLight::new(self.open_output(board::LED)?)))
    }
    /// Opens a PWM output of the board profile; it gives no pulses until set. A board that knows of none has none.
    fn open_pwm(&self, name: &str) -> Result<Box<dyn Pwm>, LineTrouble> {
        Err(LineTrouble::Pwm { what: name.to_string(), why: "this board has none".to_string() })
    }
    /// Starts the camera: its sensor runs until what this answers is dropped. One on the network may show a certificate of
    /// an authority in `extra_ca_pem`. A board that knows of none has none.
    fn open_camera(&self, extra_ca_pem: Option<&[u8]>) -> Result<Box<dyn Camera>, CameraTrouble> {
        let _ = extra_ca_pem;
        Err(CameraTrouble::Missing { why: "this board has none".to_string() })
    }
    /// Opens a sensor of the board profile. A board that knows of none has none.
    fn open_sensor(&self, name: &str) -> Result<Box<dyn Sensor>, SensorTrouble> {
        let why = "this board has no sensors".to_string();
        Err(SensorTrouble::Missing { sensor: name.to_string(), why })
    }
}

/// The clock that shells read: one per process, shared by all threads.
///
/// Pure rooms never see it; they are told the time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Time;

    /// The calendar's day in local time, counted from 1970; 0 where there is no calendar.
    fn today(&self) -> u32 {
        0
    }

    /// The wall clock in milliseconds since 1970; it may be wrong and may jump. 0 where there is none.
    fn unix_ms(&self) -> i64 {
        0
    }
}
