//! The board's microphone for the subcommands: hops at 16 kHz, as they were captured and as the gate's ears leave them.

use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::cleaned::Cleaned;
use crate::audio::{HOP_FRAMES, Hop};
use crate::cli::load;
use crate::config::agent::Echo;
use crate::config::board::LineDriver;
use crate::hw::{self, Capture};
use crate::mic::Intake;
use crate::units::Time;

/// Longest wait for a period.
const READ_TIMEOUT: Duration = Duration::from_millis(200);
/// A microphone that gives nothing for so long will not.
const NOTHING_FOR: Duration = Duration::from_secs(3);

/// An open microphone.
pub struct Mic {
    capture: Box<dyn Capture>,
    intake: Intake,
    cleaned: Cleaned,
    samples: Vec<i16>,
}

impl Mic {
    /// Opens the microphone of the board profile `board`, behind ears made as `echo` says.
    ///
    /// # Errors
    /// A board that is none, a microphone that cannot be opened.
    pub fn open(board: &str, echo: &Echo) -> anyhow::Result<Mic> {
        let profile = load::board(board)?;
        anyhow::ensure!(
            profile.driver != LineDriver::Sim,
            "board `{board}` is simulated and hears nobody: name a real one with --board, or give WAV files"
        );
        let pick = profile.capture.pick;
        let opened = hw::open::open(profile, std::sync::Arc::new(hw::clock::RealClock::new()));
        let capture = opened.open_capture().context("the microphone cannot be opened (is `mynah run` using it?)")?;
        let shape = capture.shape();
        let intake = Intake::new(shape.rate, shape.channels, pick)?;
        let samples = vec![0; shape.period_frames * shape.channels];
        Ok(Mic { capture, intake, cleaned: Cleaned::new(echo), samples })
    }

    /// Gives every hop to `sink`, first as it was captured, then cleaned, until it answers false.
    ///
    /// # Errors
    /// A microphone that fails, or gives nothing.
    pub fn listen(
        &mut self,
        mut sink: impl FnMut(&[i16; HOP_FRAMES], &[i16; HOP_FRAMES]) -> bool,
    ) -> anyhow::Result<()> {
        let channels = self.capture.shape().channels;
        let mut fed_at = Instant::now();
        let mut goes_on = true;
        while goes_on {
            let frames = match self.capture.read(&mut self.samples, READ_TIMEOUT) {
                Ok(frames) => frames,
                Err(trouble) => {
                    self.capture.recover(&trouble).context("the microphone failed")?;
                    0
                }
            };
            if frames > 0 {
                fed_at = Instant::now();
            }
            anyhow::ensure!(fed_at.elapsed() < NOTHING_FOR, "the microphone gives no sound: is it the right one?");
            self.intake.take(&self.samples[..frames * channels], Time::ZERO, |hop: &Hop| {
                goes_on = goes_on && sink(&hop.frames, &self.cleaned.hear(&hop.frames));
            });
        }
        Ok(())
    }
}
