//! Opening a PCM: asks for what the device has, and says which setting it refuses.

use std::ffi::CString;

use alsa::pcm::{Access, Format, Frames, HwParams, PCM};
use alsa::{Direction, Output, ValueOr};

use super::errors::{at_opening, with_cause};
use super::offer::Offer;
use crate::audio::trouble::PcmTrouble;
use crate::config::board::{self, PcmName, Pick};
use crate::hw::PcmShape;
use crate::hw::cards::{Cards, Way};
use crate::units::Hertz;

/// The rate to come near to where the profile names none: what most devices run at inside.
const RATE_WANTED: u32 = 48_000;
/// Most channels that are taken; bounds the buffers.
const CHANNELS_MAX: u32 = 32;
/// Ring of a microphone, ms: what may pass while the thread is not scheduled.
const CAPTURE_BUFFER_MS: u32 = 160;
/// Ring of a loudspeaker, ms: above the fill that the speaker aims at.
const PLAYBACK_BUFFER_MS: u32 = 100;
/// Periods that a ring has at least.
const PERIODS_MIN: Frames = 4;

/// How a refusal of our formats begins.
const OTHER_SAMPLES: &str = "samples of 16 or 32 bits";

/// The device's sample format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// S16 in the machine's byte order.
    Sixteen,
    /// S32 in the machine's byte order; 24-bit devices fill its upper bits.
    ThirtyTwo,
}

/// Opens `wanted` without waiting for whoever holds it and sets it up; it is prepared and stands.
pub fn open(wanted: &board::Pcm, direction: Direction) -> Result<(PCM, PcmShape, Width), PcmTrouble> {
    // libasound writes its complaints to stderr; kept here they become one line of the log at TRACE.
    let complaints = Output::local_error_handler().ok();
    let asking = Asking { wanted, direction, shown: wanted.pcm.to_string() };
    let result = asking.open();
    if let (Err(trouble), Some(complaints)) = (&result, complaints) {
        tracing::trace!(pcm = asking.shown, %trouble, libasound = %complaints.borrow(), "PCM not opened");
    }
    let (pcm, shape, width) = result?;
    tracing::debug!(
        pcm = asking.shown,
        ?direction,
        rate_hz = shape.rate.0,
        channels = shape.channels,
        period_frames = shape.period_frames,
        buffer_frames = shape.buffer_frames,
        ?width,
        "PCM opened"
    );
    Ok((pcm, shape, width))
}

/// One opening: what is wanted of it, and how it is called when something is wrong.
struct Asking<'a> {
    wanted: &'a board::Pcm,
    direction: Direction,
    /// The profile's own name of the PCM.
    shown: String,
}

impl Asking<'_> {
    fn open(&self) -> Result<(PCM, PcmShape, Width), PcmTrouble> {
        let (card, device) = match &self.wanted.pcm {
            PcmName::Alsa(name) => return self.open_named(name),
            PcmName::Card { card, device } => (card, device),
        };
        let found = Cards::here().find(card);
        let card = found.map_err(|there| PcmTrouble::Missing { pcm: self.shown.clone(), there })?;
        let arguments = format!("CARD={},DEV={device}", card.id);
        match self.open_named(&format!("hw:{arguments}")) {
            // A device with other samples than ours: ALSA's plug makes ours of them, and leaves the rate alone.
            Err(PcmTrouble::Refused { what, .. }) if what.starts_with(OTHER_SAMPLES) => {
                self.open_named(&format!("plughw:{arguments}"))
            }
            other => other,
        }
    }

    /// Opens the PCM of this ALSA name.
    fn open_named(&self, name: &str) -> Result<(PCM, PcmShape, Width), PcmTrouble> {
        let c_name = CString::new(name).map_err(|_| self.refused("a name with a NUL in it"))?;
        let pcm = PCM::open(&c_name, self.direction, true)
            .map_err(|error| with_cause(self.failed(&error), name, self.way(), &Cards::here()))?;
        let (shape, width) = self.set_hardware(&pcm)?;
        set_software(&pcm, shape, self.direction).map_err(|error| self.failed(&error))?;
        Ok((pcm, shape, width))
    }

    fn way(&self) -> Way {
        match self.direction {
            Direction::Capture => Way::Capture,
            Direction::Playback => Way::Playback,
        }
    }

    fn failed(&self, error: &alsa::Error) -> PcmTrouble {
        at_opening(error, &self.shown)
    }

    fn refused(&self, what: impl Into<String>) -> PcmTrouble {
        PcmTrouble::Refused { pcm: self.shown.clone(), what: what.into() }
    }

    /// A line of the profile, as a person would look for it: `[capture] rate_hz = 44100`.
    fn line(&self, key: &str, value: u32) -> String {
        let section = match self.direction {
            Direction::Capture => "capture",
            Direction::Playback => "playback",
        };
        format!("`[{section}] {key} = {value}`")
    }

    fn set_hardware(&self, pcm: &PCM) -> Result<(PcmShape, Width), PcmTrouble> {
        let failed = |error: alsa::Error| self.failed(&error);
        let params = HwParams::any(pcm).map_err(failed)?;
        let offer = Offer::of(&params);
        params.set_access(Access::RWInterleaved).map_err(|_| self.refused("interleaved reading and writing"))?;
        let width = set_format(&params).ok_or_else(|| {
            let offered = offer.format_names();
            self.refused(format!("{OTHER_SAMPLES} (it offers {offered}; where it is named `hw:…`, name it `plughw:…`)"))
        })?;
        let rate = self.set_rate(&params, &offer)?;
        let channels = self.set_channels(&params, &offer)?;
        set_sizes(&params, rate, self.wanted.period_ms, self.direction).map_err(failed)?;
        pcm.hw_params(&params).map_err(|error| match at_opening(&error, &self.shown) {
            PcmTrouble::Refused { .. } => self.refused(format!(
                "{rate} Hz, {channels} channels and {} together (`rate_hz`, `channels`, `period_ms`; it offers {} and {})",
                self.line("period_ms", self.wanted.period_ms),
                offer.rates(),
                offer.channel_counts()
            )),
            other => other,
        })?;
        let current = pcm.hw_params_current().map_err(failed)?;
        let frames = |size: Frames| usize::try_from(size).unwrap_or(0).max(1);
        let shape = PcmShape {
            rate: Hertz(rate),
            channels: channels as usize,
            period_frames: frames(current.get_period_size().map_err(failed)?),
            buffer_frames: frames(current.get_buffer_size().map_err(failed)?),
        };
        Ok((shape, width))
    }

    fn set_rate(&self, params: &HwParams<'_>, offer: &Offer) -> Result<u32, PcmTrouble> {
        let Some(rate) = self.wanted.rate_hz else {
            let _ = params.set_rate_resample(false); // only a plug knows it
            let nearest = params.set_rate_near(RATE_WANTED, ValueOr::Nearest);
            return nearest.map_err(|error| self.refused(format!("every rate ({error})")));
        };
        match params.set_rate(rate, ValueOr::Nearest) {
            Ok(()) => Ok(rate),
            Err(_) => Err(self.refused(format!("{} (it offers {})", self.line("rate_hz", rate), offer.rates()))),
        }
    }

    fn set_channels(&self, params: &HwParams<'_>, offer: &Offer) -> Result<u32, PcmTrouble> {
        let picked = match (self.direction, self.wanted.pick) {
            (Direction::Capture, Pick::Channel(channel)) => channel.saturating_add(1),
            _ => 1,
        };
        let offered = offer.channel_counts();
        let least = params.get_channels_min().unwrap_or(1).max(1);
        let channels = match self.wanted.channels {
            Some(channels) => {
                let set = params.set_channels(channels).map(|()| channels);
                set.map_err(|_| self.refused(format!("{} (it offers {offered})", self.line("channels", channels))))?
            }
            None => {
                let near = params.set_channels_near(picked.max(least));
                near.map_err(|error| self.refused(format!("every channel count ({error})")))?
            }
        };
        if channels > CHANNELS_MAX {
            return Err(self.refused(format!("fewer than {channels} channels; at most {CHANNELS_MAX} are taken")));
        }
        if picked > channels {
            let line = self.line("pick", picked - 1);
            return Err(self.refused(format!("{line} (it offers {offered}, counted from 0)")));
        }
        Ok(channels)
    }
}

fn set_format(params: &HwParams<'_>) -> Option<Width> {
    if params.set_format(Format::s16()).is_ok() {
        return Some(Width::Sixteen);
    }
    params.set_format(Format::s32()).is_ok().then_some(Width::ThirtyTwo)
}

fn set_sizes(params: &HwParams<'_>, rate: u32, period_ms: u32, direction: Direction) -> alsa::Result<()> {
    let frames = |ms: u32| Hertz(rate).frames_in_ms(ms) as Frames;
    let period = params.set_period_size_near(frames(period_ms.max(1)).max(16), ValueOr::Nearest)?;
    let buffer_ms = match direction {
        Direction::Capture => CAPTURE_BUFFER_MS,
        Direction::Playback => PLAYBACK_BUFFER_MS,
    };
    params.set_buffer_size_near(frames(buffer_ms).max(PERIODS_MIN * period))?;
    Ok(())
}

/// Wake-ups by the period; a loudspeaker starts by itself with two periods in it. (A microphone is started.)
fn set_software(pcm: &PCM, shape: PcmShape, direction: Direction) -> alsa::Result<()> {
    let params = pcm.sw_params_current()?;
    let period = shape.period_frames as Frames;
    params.set_avail_min(period)?;
    if direction == Direction::Playback {
        params.set_start_threshold((2 * period).min(shape.buffer_frames as Frames))?;
    }
    pcm.sw_params(&params)
}
