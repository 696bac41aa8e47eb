//! The hardware's mute line, looked at once a period: while it is active or cannot be read, nothing leaves the thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::flow::MicFact;
use crate::hw::Board;
use crate::hw::switch::Switch;
use crate::units::Time;

/// The line, and what the core knows of it.
pub struct MuteLine {
    switch: Switch,
    /// What the core was told last.
    told: Option<bool>,
    /// The camera's thread reads here what this one found: who mutes the device means its eyes, too.
    shared: Arc<AtomicBool>,
}

impl MuteLine {
    /// A line that was not looked at yet; what it says is kept in `shared`.
    pub fn new(board: Arc<dyn Board>, name: &str, shared: Arc<AtomicBool>) -> MuteLine {
        MuteLine { switch: Switch::new(board, name), told: None, shared }
    }

    /// Whether the microphone is closed now; what has changed goes to `tell`.
    pub fn is_closed(&mut self, now: Time, mut tell: impl FnMut(MicFact)) -> bool {
        let look = self.switch.look(now);
        match look.change {
            Some(Err(trouble)) => tell(MicFact::Trouble(format!(
                "the mute line cannot be read, so the microphone stays closed until it can: {trouble}"
            ))),
            Some(Ok(())) => tell(MicFact::Running),
            None => {}
        }
        if self.told.replace(look.is_shut) != Some(look.is_shut) {
            self.shared.store(look.is_shut, Ordering::Release);
            tell(MicFact::Muted(look.is_shut));
        }
        look.is_shut
    }
}
