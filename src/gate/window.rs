//! The window: what is said while it is open leaves in whole messages, each hop once and in order.

use std::collections::VecDeque;

use crate::audio::{HOP_FRAMES, Hop, SPEECH_FRAMES_MAX, Speech};
use crate::flow::{CloseCause, GateEvent, OpenCause};

/// An open window.
#[derive(Clone, Copy, Debug)]
struct Open {
    cause: OpenCause,
    hops: u64,
}

/// Packs hops into messages and queues what the gate says, without allocating after it was made.
pub struct Window {
    open: Option<Open>,
    message: Speech,
    message_frames: usize,
    events: VecDeque<GateEvent>,
}

impl Window {
    /// A closed window that sends messages of `message_hops` hops (1–4), with room for `preroll_hops` hops
    /// of pre-roll and what else can happen between two hops.
    pub fn new(message_hops: usize, preroll_hops: usize) -> Window {
        let message_hops = message_hops.clamp(1, SPEECH_FRAMES_MAX / HOP_FRAMES);
        // Beside the pre-roll: at most closed, dropped, opened, a remainder, closed again; and edges.
        let room = preroll_hops / message_hops + 16;
        Window {
            open: None,
            message: Speech::empty(),
            message_frames: message_hops * HOP_FRAMES,
            events: VecDeque::with_capacity(room),
        }
    }

    /// Why the window opened; nothing where it is closed.
    pub fn cause(&self) -> Option<OpenCause> {
        self.open.map(|open| open.cause)
    }

    /// Hops sent in the open window; 0 where it is closed.
    pub fn hops(&self) -> u64 {
        self.open.map_or(0, |open| open.hops)
    }

    /// Opens the window. A hop must follow before it closes: the gate opens it only with one in hand.
    pub fn open(&mut self, cause: OpenCause) {
        debug_assert!(self.open.is_none(), "windows are never nested");
        self.open = Some(Open { cause, hops: 0 });
        self.say(GateEvent::Opened(cause));
    }

    /// Sends a hop, if the window is open.
    pub fn send(&mut self, hop: &Hop) {
        let Some(open) = &mut self.open else { return };
        open.hops += 1;
        self.message.push(hop);
        if self.message.frames().len() >= self.message_frames {
            self.flush();
        }
    }

    /// Closes the window, if it is open, after what is still to be sent.
    pub fn close(&mut self, cause: CloseCause) {
        if self.open.take().is_some() {
            self.flush();
            self.say(GateEvent::Closed(cause));
        }
    }

    fn flush(&mut self) {
        if !self.message.is_empty() {
            self.say(GateEvent::Speech(self.message));
            self.message = Speech::empty();
        }
    }

    /// Queues an event.
    pub fn say(&mut self, event: GateEvent) {
        self.events.push_back(event);
    }

    /// How many events the queue holds without growing.
    #[cfg(test)]
    pub fn room(&self) -> usize {
        self.events.capacity()
    }

    /// The next event.
    pub fn poll_output(&mut self) -> Option<GateEvent> {
        self.events.pop_front()
    }
}
