//! What capture and playback share: an open PCM, its shape, and waiting for it.

use std::time::{Duration, Instant};

use alsa::Direction;
use alsa::pcm::{Frames, PCM};
use alsa::poll::Descriptors;
use libc::pollfd;

use super::errors::{in_events, in_state, in_stream, is_not_now};
use super::setup::{self, Width};
use crate::audio::trouble::PcmTrouble;
use crate::config::board;
use crate::hw::PcmShape;
use crate::hw::cards::Cards;

/// A poll that comes back sooner than this without a period is answered by a pause of as much: some plugins' descriptors
/// are ready when there is nothing for us, and waiting for them would be spinning.
const POLL_MIN: Duration = Duration::from_millis(1);

/// An open PCM. After opening it allocates only to describe an error.
pub struct Stream {
    pub pcm: PCM,
    pub shape: PcmShape,
    pub width: Width,
    /// One ring of `[frames, channels] S32, interleaved`, for devices of that width; else empty.
    pub wide: Vec<i32>,
    /// As many as the PCM has (plugins have several); filled anew for every wait, as libasound does itself.
    descriptors: Vec<pollfd>,
}

impl Stream {
    /// Opens and sets up `wanted`.
    pub fn open(wanted: &board::Pcm, direction: Direction) -> Result<Stream, PcmTrouble> {
        let (pcm, shape, width) = setup::open(wanted, direction)?;
        let count = Descriptors::count(&pcm).max(1);
        let wide = match width {
            Width::Sixteen => Vec::new(),
            Width::ThirtyTwo => vec![0; shape.buffer_frames * shape.channels],
        };
        let descriptors = vec![pollfd { fd: -1, events: 0, revents: 0 }; count];
        Ok(Stream { pcm, shape, width, wide, descriptors })
    }

    /// Frames that can be read or written now.
    pub fn available(&self) -> Result<usize, PcmTrouble> {
        self.pcm.avail_update().map(count).map_err(|error| in_stream(&error))
    }

    /// Waits at most `timeout` until a period can be read or written. Answers the frames that can; 0 after a time-out.
    pub fn wait(&mut self, timeout: Duration) -> Result<usize, PcmTrouble> {
        let began = Instant::now();
        let mut polled_at = None;
        loop {
            let available = self.available()?;
            if available >= self.shape.period_frames {
                // Room in the ring is no sign of life: the pointers of a card that was pulled out stay readable,
                // and as long as its PCM is open the kernel cannot let go of the card, nor take it back.
                return in_state(&self.pcm).map_or(Ok(available), Err);
            }
            let left = timeout.saturating_sub(began.elapsed());
            if left.is_zero() {
                return in_state(&self.pcm).map_or(Ok(0), Err);
            }
            if let Some(at) = polled_at.replace(Instant::now()) {
                std::thread::sleep(POLL_MIN.saturating_sub(at.elapsed()).min(left));
            }
            self.poll(left)?;
        }
    }

    /// One poll of at most `timeout`; returns early for any reason.
    fn poll(&mut self, timeout: Duration) -> Result<(), PcmTrouble> {
        let used = self.pcm.fill(&mut self.descriptors).map_err(|error| in_stream(&error))?;
        let descriptors = &mut self.descriptors[..used];
        let timeout_ms = timeout.as_micros().div_ceil(1000).min(60_000) as libc::c_int;
        // SAFETY: the pointer and the length are those of a slice that outlives the call.
        let ready = unsafe { libc::poll(descriptors.as_mut_ptr(), descriptors.len() as libc::nfds_t, timeout_ms) };
        if ready <= 0 {
            return Ok(()); // a time-out, or a signal: the caller looks at the time and comes again
        }
        // The flags of a plugin's descriptors mean nothing until it has translated them all together.
        let events = self.pcm.revents(descriptors).map_err(|error| in_stream(&error))?;
        in_events(events.bits(), &self.pcm).map_or(Ok(()), Err)
    }

    /// `snd_pcm_delay`, where it is known and not negative.
    pub fn delay(&self) -> Result<usize, PcmTrouble> {
        self.pcm.delay().map(count).map_err(|error| in_stream(&error))
    }

    /// Logs which setting let the card sleep, where the system tells.
    fn tell_of_sleep(&self) {
        let card = self.pcm.info().ok().and_then(|info| {
            let number = u32::try_from(info.get_card()).ok()?;
            Cards::here().list().into_iter().find(|card| card.number == number)
        });
        match card.and_then(|card| Cards::here().sleep_setting(&card)) {
            Some((path, value)) => tracing::info!(
                "the sound card was asleep: its power setting lets it (`echo on | sudo tee {path}` keeps it awake; now \
                 `{value}`)"
            ),
            None => tracing::info!("the sound card was asleep: the machine was suspended"),
        }
    }

    /// Makes ready after an xrun or a suspend; the PCM stands.
    pub fn prepare_after(&self, trouble: &PcmTrouble) -> Result<(), PcmTrouble> {
        if *trouble == PcmTrouble::Suspended {
            self.tell_of_sleep();
        }
        // Few drivers can wake a PCM as it was. It runs then, and one that runs is not prepared (EBUSY): it is stopped.
        if *trouble == PcmTrouble::Suspended && self.pcm.resume().is_ok() {
            self.pcm.drop().map_err(|error| in_stream(&error))?;
        }
        match self.pcm.prepare() {
            Err(error) if is_not_now(&error) => Err(trouble.clone()),
            other => other.map_err(|error| in_stream(&error)),
        }
    }
}

/// Frames as a count; what ALSA gives as negative is none.
pub fn count(frames: Frames) -> usize {
    usize::try_from(frames).unwrap_or(0)
}
