//! The microphone.

use std::time::Duration;

use alsa::Direction;

use super::errors::{at_opening, in_stream, is_not_now};
use super::setup::Width;
use super::stream::Stream;
use crate::audio::trouble::PcmTrouble;
use crate::config::board;
use crate::hw::{Capture, PcmShape};

/// A running microphone.
pub struct AlsaCapture(Stream);

impl AlsaCapture {
    /// Opens `wanted` and starts it.
    pub fn open(wanted: &board::Pcm) -> Result<AlsaCapture, PcmTrouble> {
        let stream = Stream::open(wanted, Direction::Capture)?;
        stream.pcm.start().map_err(|error| at_opening(&error, &wanted.pcm.to_string()))?;
        Ok(AlsaCapture(stream))
    }
}

impl Capture for AlsaCapture {
    fn shape(&self) -> PcmShape {
        self.0.shape
    }

    fn read(&mut self, samples: &mut [i16], timeout: Duration) -> Result<usize, PcmTrouble> {
        if self.0.wait(timeout)? == 0 {
            return Ok(0);
        }
        let result = match self.0.width {
            // SAFETY: the PCM was set up as S16 with this byte order, and no other IO object is alive.
            Width::Sixteen => unsafe { self.0.pcm.io_unchecked::<i16>() }.readi(samples),
            Width::ThirtyTwo => read_wide(&mut self.0, samples),
        };
        match result {
            Ok(frames) => Ok(frames),
            Err(error) if is_not_now(&error) => Ok(0),
            Err(error) => Err(in_stream(&error)),
        }
    }

    fn waiting_frames(&mut self) -> usize {
        // The delay counts what the hardware has sampled since its last interrupt, where the driver knows it.
        self.0.delay().or_else(|_| self.0.available()).unwrap_or(0).min(self.0.shape.buffer_frames)
    }

    fn recover(&mut self, trouble: &PcmTrouble) -> Result<(), PcmTrouble> {
        self.0.prepare_after(trouble)?;
        // A microphone never starts by itself: without this it is silent for ever.
        self.0.pcm.start().map_err(|error| in_stream(&error))
    }
}

fn read_wide(stream: &mut Stream, samples: &mut [i16]) -> alsa::Result<usize> {
    let wanted = samples.len().min(stream.wide.len());
    let wanted = wanted - wanted % stream.shape.channels;
    // SAFETY: the PCM was set up as S32 with this byte order, and no other IO object is alive.
    let frames = unsafe { stream.pcm.io_unchecked::<i32>() }.readi(&mut stream.wide[..wanted])?;
    for (narrow, &wide) in samples.iter_mut().zip(&stream.wide[..frames * stream.shape.channels]) {
        *narrow = narrowed(wide);
    }
    Ok(frames)
}

/// The upper 16 bits, rounded.
fn narrowed(wide: i32) -> i16 {
    (wide.saturating_add(1 << 15) >> 16) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_samples_are_rounded_to_their_upper_half() {
        let table = [(0, 0), (0x1234_7FFF, 0x1234), (0x1234_8000, 0x1235), (-0x8000, 0), (-0x8001, -1)];
        for (wide, narrow) in table {
            assert_eq!(narrowed(wide), narrow, "{wide:#x}");
        }
        assert_eq!((narrowed(i32::MAX), narrowed(i32::MIN)), (i16::MAX, i16::MIN));
    }
}
