//! The hardware's mute line, looked at once a period: while it is active or cannot be read, nothing leaves the thread.

use std::sync::Arc;
use std::time::Duration;

use crate::flow::MicFact;
use crate::hw::{Board, Input, LineTrouble};
use crate::units::Time;

/// How often a line that cannot be had is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The line, and what the core knows of it.
pub struct MuteLine {
    board: Arc<dyn Board>,
    /// The board profile's name of it.
    name: String,
    input: Option<Box<dyn Input>>,
    retry_at: Time,
    /// What the core was told last.
    told: Option<bool>,
    is_in_trouble: bool,
}

impl MuteLine {
    /// A line that was not looked at yet.
    pub fn new(board: Arc<dyn Board>, name: String) -> MuteLine {
        MuteLine { board, name, input: None, retry_at: Time::ZERO, told: None, is_in_trouble: false }
    }

    /// Whether the microphone is closed now; what has changed goes to `tell`. Reading a line that is open is one call
    /// of the kernel and allocates nothing.
    pub fn is_closed(&mut self, now: Time, mut tell: impl FnMut(MicFact)) -> bool {
        let level = self.level(now);
        let is_closed = match &level {
            Some(Ok(is_active)) => *is_active,
            // Who pressed a switch must be able to rely on it: what cannot be known is taken for muted.
            Some(Err(_)) | None => true,
        };
        if let Some(Err(trouble)) = level {
            self.input = None;
            self.retry_at = now + RETRY_AFTER;
            if !std::mem::replace(&mut self.is_in_trouble, true) {
                tell(MicFact::Trouble(format!(
                    "the mute line cannot be read, so the microphone stays closed until it can: {trouble}"
                )));
            }
        } else if self.input.is_some() && std::mem::take(&mut self.is_in_trouble) {
            tell(MicFact::Running);
        }
        if self.told.replace(is_closed) != Some(is_closed) {
            tell(MicFact::Muted(is_closed));
        }
        is_closed
    }

    /// The line's level; none while it is waited for.
    fn level(&mut self, now: Time) -> Option<Result<bool, LineTrouble>> {
        if self.input.is_none() {
            if now < self.retry_at {
                return None;
            }
            match self.board.open_input(&self.name) {
                Ok(input) => self.input = Some(input),
                Err(trouble) => return Some(Err(trouble)),
            }
        }
        self.input.as_mut().map(|input| input.is_active())
    }
}
