//! The user's speech on its way out: kept in order until it may be sent, never in an empty or nested window.
//!
//! What is spoken before `setupComplete` is kept and sent in order, faster than it was spoken but not all at
//! once. A new `activityStart` keeps its distance from the last `activityEnd`: the service asks for half a
//! second where it acknowledges nothing (live-protocol.md 5.2); what is said in between is kept and sent.
//!
//! What was said and could not be sent grows old: a door that opens an hour after somebody asked for it opens
//! for somebody else. So it is kept for [`KEPT_FOR`] and no longer.

use std::collections::VecDeque;
use std::time::Duration;

use super::timers::{Reason, Timers};
use crate::audio::{HOP_FRAMES, Hop, Speech, UPLINK_RATE};
use crate::flow::{CloseCause, LINK_ORDERS_MAX, SPEECH_KEPT_MS};
use crate::live::client::Message;
use crate::units::Time;

/// From one `activityEnd` to the next `activityStart`.
const WINDOW_GAP: Duration = Duration::from_millis(500);
/// How long finished speech waits for a connection: one more attempt after the longest backoff (36 s) finds it.
pub const KEPT_FOR: Duration = Duration::from_secs(60);
/// Messages of kept speech sent at once …
const CATCH_UP_BURST: usize = 16;
/// … and the pause before the next ones: about thirty times as fast as it was spoken.
const CATCH_UP_PAUSE: Duration = Duration::from_millis(10);
/// Places in the link's queue that speech leaves free, for everything else that is to be said.
const ROOM_RESERVED: usize = 64;
/// Kept speech, in frames.
const KEPT_FRAMES_MAX: usize = (SPEECH_KEPT_MS * UPLINK_RATE.0 as u64 / 1000) as usize;

/// A window that is still to be sent, wholly or in part.
#[derive(Debug, Default)]
struct Window {
    speech: VecDeque<i16>,
    spoken_at: Time,
    is_started: bool,
    sent_frames: usize,
    closed: Option<CloseCause>,
}

/// What happened to a window on the wire.
#[derive(Debug)]
pub enum Sent {
    /// This goes out now.
    Message(Message),
    /// `activityStart` is the next message: the model's turn, if it has one, is over.
    Started,
    /// `activityEnd` went out after this many milliseconds of speech.
    Ended {
        /// Milliseconds.
        sent_ms: u64,
        /// Why the gate closed it.
        cause: CloseCause,
    },
}

/// The machine.
#[derive(Debug)]
pub struct Uplink {
    windows: VecDeque<Window>,
    /// The gate's window: its last one in `windows` takes what comes.
    is_gate_open: bool,
    last_end_at: Option<Time>,
    /// A burst went out: the next one not before this.
    next_burst_at: Option<Time>,
    /// Messages that the link's queue takes: on a slow network speech is kept here, not there.
    room: usize,
    message_frames: usize,
}

/// What became of a piece of speech.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Kept or on its way.
    Kept,
    /// No window is open (it was ended here): not the gate's doing.
    NoWindow,
    /// More than can be kept: the window is to be ended.
    Full,
}

impl Uplink {
    /// An uplink that sends `message_ms` of speech in a message.
    pub fn new(message_ms: u32) -> Uplink {
        let message_frames = UPLINK_RATE.frames_in_ms(message_ms);
        Uplink {
            windows: VecDeque::new(),
            is_gate_open: false,
            last_end_at: None,
            next_burst_at: None,
            room: LINK_ORDERS_MAX,
            message_frames,
        }
    }

    /// The gate opened a window.
    pub fn open(&mut self) {
        self.windows.push_back(Window::default());
        self.is_gate_open = true;
    }

    /// The gate sends speech.
    pub fn speech(&mut self, speech: &Speech) -> Taken {
        let kept: usize = self.windows.iter().map(|w| w.speech.len()).sum();
        let Some(window) = self.windows.back_mut().filter(|_| self.is_gate_open) else { return Taken::NoWindow };
        if kept + speech.frames().len() > KEPT_FRAMES_MAX {
            return Taken::Full;
        }
        window.speech.extend(speech.frames());
        window.spoken_at = speech.at;
        Taken::Kept
    }

    /// The gate closed its window.
    pub fn close(&mut self, cause: CloseCause) {
        if !std::mem::take(&mut self.is_gate_open) {
            return;
        }
        let Some(window) = self.windows.back_mut() else { return };
        window.closed = Some(cause);
        // Nothing of it is on the wire: an empty window must never be, and a mistaken press need not.
        if !window.is_started && (window.speech.is_empty() || cause == CloseCause::Mistake) {
            self.windows.pop_back();
        }
    }

    /// Messages that the link's queue takes now.
    pub fn set_room(&mut self, messages: usize) {
        self.room = messages;
    }

    /// Whether a window is open on the wire: `activityStart` sent, `activityEnd` not yet.
    pub fn is_window_open(&self) -> bool {
        self.windows.front().is_some_and(|w| w.is_started)
    }

    /// Whether nothing is open and nothing is kept.
    pub fn is_idle(&self) -> bool {
        self.windows.is_empty()
    }

    /// Milliseconds of speech that are kept.
    pub fn kept_ms(&self) -> u64 {
        self.windows.iter().map(|w| w.speech.len() as u64).sum::<u64>() * 1000 / u64::from(UPLINK_RATE.0)
    }

    /// The connection ended. A window that was already begun on it is lost; answers its milliseconds sent.
    ///
    /// What is still kept of it goes out on the next connection as a window of its own.
    pub fn link_lost(&mut self) -> u64 {
        self.last_end_at = None;
        self.next_burst_at = None;
        let Some(window) = self.windows.front_mut() else { return 0 };
        let lost = window.sent_frames as u64 * 1000 / u64::from(UPLINK_RATE.0);
        window.is_started = false;
        window.sent_frames = 0;
        if window.speech.is_empty() && window.closed.is_some() {
            self.windows.pop_front();
        }
        lost
    }

    /// Sets [`Reason::Kept`] for the finished window that is too old first.
    pub fn arm(&self, timers: &mut Timers) {
        match self.windows.iter().filter_map(Window::expires_at).min() {
            Some(at) => timers.set(Reason::Kept, at),
            None => timers.clear(Reason::Kept),
        }
    }

    /// [`Reason::Kept`] passed: drops finished windows of which nothing was sent and that are too old now.
    /// Answers their milliseconds.
    pub fn expire(&mut self, now: Time, timers: &mut Timers) -> u64 {
        let before_ms = self.kept_ms();
        self.windows.retain(|window| window.expires_at().is_none_or(|at| at > now));
        self.arm(timers);
        before_ms - self.kept_ms()
    }

    /// Sends what may be sent now on a ready link; sets [`Reason::CatchUp`] where more is to follow.
    pub fn send(&mut self, now: Time, timers: &mut Timers, mut out: impl FnMut(Sent)) {
        timers.clear(Reason::CatchUp);
        if let Some(at) = self.next_burst_at.filter(|at| *at > now) {
            timers.set(Reason::CatchUp, at);
            return;
        }
        self.next_burst_at = None;
        let mut burst = CATCH_UP_BURST.min(self.room.saturating_sub(ROOM_RESERVED));
        while let Some(window) = self.windows.front_mut() {
            if !window.is_started {
                if window.speech.is_empty() {
                    // Nothing was ever said in it: an empty window would close the connection.
                    if window.closed.is_none() {
                        return;
                    }
                    self.windows.pop_front();
                    continue;
                }
                if let Some(at) = self.last_end_at.map(|at| at + WINDOW_GAP).filter(|at| *at > now) {
                    timers.set(Reason::CatchUp, at);
                    return;
                }
                window.is_started = true;
                out(Sent::Started);
                out(Sent::Message(Message::ActivityStart));
            }
            while window.has_message(self.message_frames) {
                if burst == 0 {
                    let at = now + CATCH_UP_PAUSE;
                    self.next_burst_at = Some(at);
                    timers.set(Reason::CatchUp, at);
                    return;
                }
                burst -= 1;
                out(Sent::Message(Message::Audio(Box::new(window.take(self.message_frames)))));
            }
            let Some(cause) = window.closed else { return };
            let sent_ms = window.sent_frames as u64 * 1000 / u64::from(UPLINK_RATE.0);
            self.windows.pop_front();
            self.last_end_at = Some(now);
            out(Sent::Message(Message::ActivityEnd));
            out(Sent::Ended { sent_ms, cause });
        }
    }
}

impl Window {
    /// When it is too old to be sent; none while it is spoken or under way.
    fn expires_at(&self) -> Option<Time> {
        (self.closed.is_some() && !self.is_started).then_some(self.spoken_at + KEPT_FOR)
    }

    /// Whether a message's worth is there: whole messages while the window is open, the rest once it is closed.
    fn has_message(&self, message_frames: usize) -> bool {
        self.speech.len() >= message_frames || (self.closed.is_some() && self.speech.len() >= HOP_FRAMES)
    }

    fn take(&mut self, message_frames: usize) -> Speech {
        let mut speech = Speech::empty();
        for _ in 0..(message_frames.min(self.speech.len()) / HOP_FRAMES) {
            let mut hop = Hop { at: self.spoken_at, frames: [0; HOP_FRAMES] };
            for (room, frame) in hop.frames.iter_mut().zip(self.speech.drain(..HOP_FRAMES)) {
                *room = frame;
            }
            speech.push(&hop);
        }
        self.sent_frames += speech.frames().len();
        speech
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speech(hops: usize) -> Speech {
        let mut speech = Speech::empty();
        for _ in 0..hops {
            assert!(speech.push(&Hop { at: Time::ZERO, frames: [7; HOP_FRAMES] }));
        }
        speech
    }

    /// What goes out now: `S`tart, milliseconds of each message, `E`nd.
    fn sent(uplink: &mut Uplink, now_ms: u64, timers: &mut Timers) -> String {
        let mut out = String::new();
        uplink.send(Time::from_ms(now_ms), timers, |what| match what {
            Sent::Message(Message::ActivityStart) => out.push('S'),
            Sent::Message(Message::ActivityEnd) => out.push('E'),
            Sent::Message(Message::Audio(speech)) => out += &format!(" {}", speech.frames().len() / 16),
            Sent::Message(other) => out += &format!("{other:?}"),
            Sent::Started | Sent::Ended { .. } => {}
        });
        out
    }

    #[test]
    fn on_a_slow_network_speech_is_kept_here_and_not_in_the_links_queue() {
        let (mut uplink, mut timers) = (Uplink::new(20), Timers::default());
        uplink.open();
        for _ in 0..4 {
            assert_eq!(uplink.speech(&speech(4)), Taken::Kept);
        }
        uplink.set_room(ROOM_RESERVED + 3);
        assert_eq!(sent(&mut uplink, 0, &mut timers), "S 20 20 20");
        assert_eq!(timers.next(), Some((Time::ZERO + CATCH_UP_PAUSE, Reason::CatchUp)));
        uplink.set_room(ROOM_RESERVED);
        assert_eq!(sent(&mut uplink, 20, &mut timers), "");
        uplink.set_room(LINK_ORDERS_MAX);
        assert_eq!(sent(&mut uplink, 40, &mut timers), " 20 20 20 20 20");
        assert!(!timers.is_set(Reason::CatchUp));
    }

    #[test]
    fn whole_messages_while_it_is_open_and_the_rest_at_its_end() {
        let (mut uplink, mut timers) = (Uplink::new(40), Timers::default());
        uplink.open();
        uplink.speech(&speech(3));
        assert_eq!(sent(&mut uplink, 0, &mut timers), "S");
        uplink.speech(&speech(3));
        assert_eq!(sent(&mut uplink, 0, &mut timers), " 40");
        uplink.close(CloseCause::Released);
        assert_eq!(sent(&mut uplink, 0, &mut timers), " 20E");
        assert!(uplink.is_idle());
    }

    #[test]
    fn a_window_without_speech_never_goes_out() {
        let (mut uplink, mut timers) = (Uplink::new(20), Timers::default());
        uplink.open();
        assert_eq!(sent(&mut uplink, 0, &mut timers), "");
        uplink.close(CloseCause::MicLost);
        assert_eq!(sent(&mut uplink, 0, &mut timers), "");
        assert!(uplink.is_idle());
        assert_eq!(uplink.speech(&speech(1)), Taken::NoWindow);
    }

    #[test]
    fn windows_for_which_there_was_no_room_do_not_pile_up() {
        let mut uplink = Uplink::new(20);
        uplink.open();
        while uplink.speech(&speech(4)) == Taken::Kept {}
        assert_eq!(uplink.kept_ms(), SPEECH_KEPT_MS);
        uplink.close(CloseCause::TooLong);
        for _ in 0..1000 {
            uplink.open();
            assert_eq!(uplink.speech(&speech(1)), Taken::Full);
            uplink.close(CloseCause::TooLong);
        }
        assert_eq!(uplink.windows.len(), 1);
    }

    #[test]
    fn a_lost_window_is_begun_anew_with_what_was_not_sent() {
        let (mut uplink, mut timers) = (Uplink::new(20), Timers::default());
        uplink.open();
        uplink.speech(&speech(3));
        assert_eq!(sent(&mut uplink, 0, &mut timers), "S 20");
        assert_eq!(uplink.link_lost(), 20);
        uplink.close(CloseCause::Released);
        assert_eq!(sent(&mut uplink, 1, &mut timers), "S 10E", "the gap is of the connection that ended");
    }

    #[test]
    fn a_mistake_that_has_begun_is_ended_properly() {
        let (mut uplink, mut timers) = (Uplink::new(20), Timers::default());
        uplink.open();
        uplink.speech(&speech(2));
        assert_eq!(sent(&mut uplink, 0, &mut timers), "S 20");
        uplink.close(CloseCause::Mistake);
        assert_eq!(sent(&mut uplink, 0, &mut timers), "E");
    }
}
