//! Hears what happens, on whatever thread it does; never waits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::config::agent::Agent;
use crate::flow::{Event, What};
use crate::panel::Facts;

/// Events that wait for the panel's thread: some seconds of the liveliest conversation, while it is not scheduled.
const EVENTS_MAX: usize = 1024;

/// The end that hears.
#[derive(Clone)]
pub struct Ear {
    shared: Arc<Shared>,
    events: Sender<Event>,
}

/// The panel's end.
pub struct Heard {
    pub(super) shared: Arc<Shared>,
    pub(super) events: Receiver<Event>,
}

/// What no full queue takes away.
pub(super) struct Shared {
    facts: Mutex<Facts>,
    missed: AtomicU64,
}

/// Both ends.
pub fn ear(agent: &Agent) -> (Ear, Heard) {
    let shared = Arc::new(Shared { facts: Mutex::new(Facts::new(agent)), missed: AtomicU64::new(0) });
    let (sender, events) = mpsc::channel(EVENTS_MAX);
    (Ear { shared: shared.clone(), events: sender }, Heard { shared, events })
}

impl Ear {
    /// Takes what happened.
    pub fn hear(&self, event: &Event) {
        // One for each 20 ms of sound, and nothing of it is shown.
        if matches!(event.what, What::SpeechSent { .. } | What::ReplyReceived { .. }) {
            return;
        }
        self.shared.facts.lock().unwrap_or_else(PoisonError::into_inner).handle_event(event);
        if self.events.try_send(event.clone()).is_err() {
            self.shared.missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Shared {
    pub(super) fn facts(&self) -> Facts {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Events that found no place, since the start.
    pub(super) fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}
