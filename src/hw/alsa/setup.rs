//! Opening a PCM: asks for what the device has, and says which setting it refuses.

use std::ffi::CString;
use std::path::Path;

use alsa::pcm::{Access, Format, Frames, HwParams, PCM};
use alsa::{Direction, Output, ValueOr};

use super::errors::{at_opening, with_rights};
use crate::audio::trouble::PcmTrouble;
use crate::config::board::{self, Pick};
use crate::hw::PcmShape;
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
    let name = wanted.pcm.as_str();
    // libasound writes its complaints to stderr; kept here they become one line of the log at DEBUG.
    let complaints = Output::local_error_handler().ok();
    let result = open_quietly(wanted, direction);
    if let (Err(trouble), Some(complaints)) = (&result, complaints) {
        tracing::debug!(pcm = name, %trouble, libasound = %complaints.borrow(), "PCM not opened");
    }
    let (pcm, shape, width) = result?;
    tracing::debug!(
        pcm = name,
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

fn open_quietly(wanted: &board::Pcm, direction: Direction) -> Result<(PCM, PcmShape, Width), PcmTrouble> {
    let refused = |what: &str| PcmTrouble::Refused { pcm: wanted.pcm.clone(), what: what.into() };
    let name = CString::new(wanted.pcm.as_str()).map_err(|_| refused("a name with a NUL in it"))?;
    let opened = PCM::open(&name, direction, true);
    let pcm = opened.map_err(|error| with_rights(at_opening(&error, &wanted.pcm), Path::new("/dev/snd")))?;
    let (shape, width) = set_hardware(&pcm, wanted, direction)?;
    set_software(&pcm, shape, direction).map_err(|error| at_opening(&error, &wanted.pcm))?;
    Ok((pcm, shape, width))
}

fn set_hardware(pcm: &PCM, wanted: &board::Pcm, direction: Direction) -> Result<(PcmShape, Width), PcmTrouble> {
    let failed = |error: alsa::Error| at_opening(&error, &wanted.pcm);
    let refused = |what: String| PcmTrouble::Refused { pcm: wanted.pcm.clone(), what };
    let params = HwParams::any(pcm).map_err(failed)?;
    params.set_access(Access::RWInterleaved).map_err(|_| refused("interleaved reading and writing".into()))?;
    let width = set_format(&params)
        .ok_or_else(|| refused("samples of 16 or 32 bits (where it is named `hw:…`, name it `plughw:…`)".into()))?;
    let rate = set_rate(&params, wanted.rate_hz).map_err(refused)?;
    let channels = set_channels(&params, wanted, direction).map_err(refused)?;
    set_sizes(&params, rate, wanted.period_ms, direction).map_err(failed)?;
    pcm.hw_params(&params).map_err(failed)?;
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

fn set_format(params: &HwParams<'_>) -> Option<Width> {
    if params.set_format(Format::s16()).is_ok() {
        return Some(Width::Sixteen);
    }
    params.set_format(Format::s32()).is_ok().then_some(Width::ThirtyTwo)
}

/// Sets the rate; the error is what to say is refused.
fn set_rate(params: &HwParams<'_>, wanted_hz: Option<u32>) -> Result<u32, String> {
    let Some(rate) = wanted_hz else {
        let _ = params.set_rate_resample(false); // only a plug knows it
        return params.set_rate_near(RATE_WANTED, ValueOr::Nearest).map_err(|error| format!("every rate ({error})"));
    };
    if params.set_rate(rate, ValueOr::Nearest).is_ok() {
        return Ok(rate);
    }
    let nearest = params.set_rate_near(rate, ValueOr::Nearest);
    Err(match nearest {
        Ok(nearest) => format!("`rate_hz = {rate}` (its nearest is {nearest})"),
        Err(_) => format!("`rate_hz = {rate}`"),
    })
}

/// Sets the channel count; the error is what to say is refused.
fn set_channels(params: &HwParams<'_>, wanted: &board::Pcm, direction: Direction) -> Result<u32, String> {
    let picked = match (direction, wanted.pick) {
        (Direction::Capture, Pick::Channel(channel)) => channel.saturating_add(1),
        _ => 1,
    };
    let least = params.get_channels_min().unwrap_or(1).max(1);
    let channels = match wanted.channels {
        Some(channels) => {
            params.set_channels(channels).map_err(|_| {
                let most = params.get_channels_max().unwrap_or(least);
                format!("`channels = {channels}` (it has {least} to {most})")
            })?;
            channels
        }
        None => {
            params.set_channels_near(picked.max(least)).map_err(|error| format!("every channel count ({error})"))?
        }
    };
    if channels > CHANNELS_MAX {
        return Err(format!("fewer than {channels} channels; at most {CHANNELS_MAX} are taken"));
    }
    if picked > channels {
        return Err(format!("to give channel {} (it has {channels}, counted from 0)", picked - 1));
    }
    Ok(channels)
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
