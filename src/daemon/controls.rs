//! What people want beside talking, on its way to the core: from knobs, from orders, from whoever asks the daemon.

use std::sync::mpsc;

use crate::bell::Bell;
use crate::flow::{CONTROLS_MAX, Control};

/// Gives the core what a person wants.
#[derive(Clone)]
pub struct Controls {
    queue: mpsc::SyncSender<Control>,
    core_bell: Bell,
}

/// The way to the core, and the end that the core reads.
pub fn controls(core_bell: Bell) -> (Controls, mpsc::Receiver<Control>) {
    let (queue, controls) = mpsc::sync_channel(CONTROLS_MAX);
    (Controls { queue, core_bell }, controls)
}

impl Controls {
    /// Gives it; false where [`CONTROLS_MAX`] wait already, or the core has ended: it is left out.
    #[must_use]
    pub fn give(&self, control: Control) -> bool {
        let is_taken = self.queue.try_send(control).is_ok();
        self.core_bell.ring();
        is_taken
    }
}
