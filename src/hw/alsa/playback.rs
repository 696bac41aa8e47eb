//! The loudspeaker.

use std::time::Duration;

use alsa::Direction;
use alsa::pcm::State;

use super::errors::{in_state, in_stream, is_not_now};
use super::setup::Width;
use super::stream::Stream;
use crate::audio::trouble::PcmTrouble;
use crate::config::board;
use crate::hw::{PcmShape, Playback};

/// A loudspeaker that is ready to be written to.
pub struct AlsaPlayback(Stream);

impl AlsaPlayback {
    /// Opens `wanted`.
    pub fn open(wanted: &board::Pcm) -> Result<AlsaPlayback, PcmTrouble> {
        Ok(AlsaPlayback(Stream::open(wanted, Direction::Playback)?))
    }

    fn is_running(&self) -> bool {
        let state = self.0.pcm.state_raw();
        state == State::Running as libc::c_int || state == State::Draining as libc::c_int
    }
}

impl Playback for AlsaPlayback {
    fn shape(&self) -> PcmShape {
        self.0.shape
    }

    fn wait(&mut self, timeout: Duration) -> Result<usize, PcmTrouble> {
        self.0.wait(timeout)
    }

    fn write(&mut self, samples: &[i16]) -> Result<usize, PcmTrouble> {
        let result = match self.0.width {
            // SAFETY: the PCM was set up as S16 with this byte order, and no other IO object is alive.
            Width::Sixteen => unsafe { self.0.pcm.io_unchecked::<i16>() }.writei(samples),
            Width::ThirtyTwo => write_wide(&mut self.0, samples),
        };
        match result {
            Ok(frames) => Ok(frames),
            Err(error) if is_not_now(&error) => Ok(0),
            Err(error) => Err(in_stream(&error)),
        }
    }

    fn delay_frames(&mut self) -> Result<usize, PcmTrouble> {
        if let Some(trouble) = in_state(&self.0.pcm) {
            return Err(trouble);
        }
        if self.is_running() { self.0.delay() } else { Ok(0) }
    }

    fn start(&mut self) -> Result<(), PcmTrouble> {
        if self.is_running() {
            return Ok(());
        }
        self.0.pcm.start().map_err(|error| in_stream(&error))
    }

    fn drop_now(&mut self) -> Result<(), PcmTrouble> {
        self.0.pcm.drop().and_then(|()| self.0.pcm.prepare()).map_err(|error| in_stream(&error))
    }

    fn recover(&mut self, trouble: &PcmTrouble) -> Result<(), PcmTrouble> {
        self.0.prepare_after(trouble)
    }
}

fn write_wide(stream: &mut Stream, samples: &[i16]) -> alsa::Result<usize> {
    let wanted = samples.len().min(stream.wide.len());
    let wanted = wanted - wanted % stream.shape.channels;
    for (wide, &narrow) in stream.wide.iter_mut().zip(&samples[..wanted]) {
        *wide = i32::from(narrow) << 16;
    }
    // SAFETY: the PCM was set up as S32 with this byte order, and no other IO object is alive.
    unsafe { stream.pcm.io_unchecked::<i32>() }.writei(&stream.wide[..wanted])
}
