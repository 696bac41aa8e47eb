//! The user's speech on its way out: kept in order until it may be sent, never in an empty or nested window.
//!
//! What is spoken before `setupComplete` is kept and sent in order, faster than it was spoken but not all at
//! once. A new `activityStart` keeps its distance from the last `activityEnd`: the service asks for half a
//! second where it acknowledges nothing (live-protocol.md 5.2); what is said in between is kept and sent.
//!
//! What was sent is kept too, until the reply to it is whole: a connection that ends takes everything with it
//! that the service had not committed, so the window is then sent once more, from its first sample. Both
//! together are bounded; past the bound the oldest that was sent is forgotten.
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
/// Messages before a picture in the link's queue: more would make it old before it is on the wire.
const QUEUE_SHORT: usize = 8;
/// Kept speech, in frames.
const KEPT_FRAMES_MAX: usize = (SPEECH_KEPT_MS * UPLINK_RATE.0 as u64 / 1000) as usize;

/// A window with its speech: what was sent of it, and what was not.
#[derive(Debug, Default)]
struct Window {
    /// From the first frame that is remembered; the first `sent` are on the wire.
    speech: VecDeque<i16>,
    sent: usize,
    /// Frames sent before those, which would not be there any more for another connection.
    forgotten: usize,
    spoken_at: Time,
    is_started: bool,
    closed: Option<CloseCause>,
    /// It was sent before, and the reply to it broke off: worth sending only while nothing newer was said.
    is_again: bool,
}

/// What happened to a window on the wire.
#[derive(Debug)]
pub enum Sent {
    /// This goes out now.
    Message(Message),
    /// `activityStart` is the next message: the model's turn, if it has one, is over.
    Started {
        /// Whether it is a window that was sent before.
        is_again: bool,
    },
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
    /// The last window that was sent to its end, while it may have to be sent again.
    asked: Option<Window>,
    /// The gate's window: its last one in `windows` takes what comes.
    is_gate_open: bool,
    /// No window begins now: the model would not hear it.
    is_held: bool,
    /// The end of what was said waits: a picture still belongs to it.
    is_end_held: bool,
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
            asked: None,
            is_gate_open: false,
            is_held: false,
            is_end_held: false,
            last_end_at: None,
            next_burst_at: None,
            room: LINK_ORDERS_MAX,
            message_frames,
        }
    }

    /// The gate opened a window. What only waits to be asked again is worth nothing any more.
    pub fn open(&mut self) {
        self.drop_again();
        self.windows.push_back(Window::default());
        self.is_gate_open = true;
    }

    /// The gate sends speech.
    pub fn speech(&mut self, speech: &Speech) -> Taken {
        if !self.is_gate_open || self.windows.is_empty() {
            return Taken::NoWindow;
        }
        self.make_room(speech.frames().len());
        let kept: usize = self.windows.iter().map(|w| w.speech.len()).sum();
        let Some(window) = self.windows.back_mut() else { return Taken::NoWindow };
        if kept + speech.frames().len() > KEPT_FRAMES_MAX {
            return Taken::Full;
        }
        window.speech.extend(speech.frames());
        window.spoken_at = speech.at;
        Taken::Kept
    }

    /// Forgets the oldest that was sent, where there is no room for `more` frames otherwise.
    fn make_room(&mut self, more: usize) {
        let asked = self.asked.as_ref().map_or(0, |w| w.speech.len());
        let kept = asked + self.windows.iter().map(|w| w.speech.len()).sum::<usize>() + more;
        let mut excess = kept.saturating_sub(KEPT_FRAMES_MAX);
        if excess > 0 && asked > 0 {
            excess = excess.saturating_sub(asked);
            self.asked = None;
        }
        if let Some(window) = self.windows.front_mut() {
            let gone = excess.min(window.sent);
            window.speech.drain(..gone);
            window.sent -= gone;
            window.forgotten += gone;
        }
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

    /// The microphone was closed: nothing of what was said leaves any more, nor is it kept. A window that has begun
    /// ends as a mistake. Answers the milliseconds that are lost so.
    pub fn silence(&mut self) -> u64 {
        let lost_ms = self.unsaid_ms();
        self.asked = None;
        self.is_gate_open = false;
        self.is_end_held = false;
        self.windows.retain(|window| window.is_started);
        if let Some(window) = self.windows.front_mut() {
            window.speech.truncate(window.sent);
            window.closed = Some(CloseCause::Mistake);
            if window.forgotten + window.sent == 0 {
                window.speech.extend([0; HOP_FRAMES]); // an empty window would close the connection
            }
        }
        lost_ms
    }

    /// A new conversation begins, and the connection ends: nothing is kept. Answers the milliseconds that are lost so.
    pub fn forget(&mut self) -> u64 {
        let lost_ms = self.unsaid_ms();
        self.asked = None;
        self.is_gate_open = false;
        self.is_end_held = false;
        self.windows.clear();
        lost_ms
    }

    /// Milliseconds of windows that were not sent to their end, and were meant.
    fn unsaid_ms(&self) -> u64 {
        let meant = self.windows.iter().filter(|window| window.closed != Some(CloseCause::Mistake));
        ms_of(meant.map(|window| window.forgotten + window.speech.len()).sum())
    }

    /// Whether the gate's window is taken.
    pub fn is_gate_open(&self) -> bool {
        self.is_gate_open
    }

    /// Lets the end of what was said wait (true), or wait no more. It never waits where something newer is said. Answers
    /// whether that is news.
    pub fn hold_end(&mut self, is_held: bool) -> bool {
        std::mem::replace(&mut self.is_end_held, is_held) != is_held
    }

    /// Whether something is said, or was and its end waits.
    pub fn is_open_for_pictures(&self) -> bool {
        self.is_gate_open || (self.is_end_held && !self.windows.is_empty())
    }

    /// Whether a picture that is sent now belongs to what the user is saying: its window is open on the wire, sound of
    /// it went out, nothing older waits before it, and the link's queue is short.
    pub fn takes_picture(&self) -> bool {
        let is_heard = self.windows.front().is_some_and(|w| w.is_started && w.forgotten + w.sent > 0);
        self.is_open_for_pictures() && is_heard && self.windows.len() == 1 && self.room + QUEUE_SHORT >= LINK_ORDERS_MAX
    }

    /// Messages that the link's queue takes now.
    pub fn set_room(&mut self, messages: usize) {
        self.room = messages;
    }

    /// Lets no window begin, or lets them again. Answers whether that is news.
    pub fn hold(&mut self, is_held: bool) -> bool {
        std::mem::replace(&mut self.is_held, is_held) != is_held
    }

    /// Whether a window is open on the wire: `activityStart` sent, `activityEnd` not yet.
    pub fn is_window_open(&self) -> bool {
        self.windows.front().is_some_and(|w| w.is_started)
    }

    /// Whether nothing is open and nothing waits to be sent.
    pub fn is_idle(&self) -> bool {
        self.windows.is_empty()
    }

    /// Milliseconds of speech that wait to be sent.
    pub fn kept_ms(&self) -> u64 {
        ms_of(self.windows.iter().map(Window::unsent).sum())
    }

    /// Milliseconds of speech that are remembered, sent or not.
    pub fn remembered_ms(&self) -> u64 {
        ms_of(self.windows.iter().chain(&self.asked).map(|w| w.speech.len()).sum())
    }

    /// The connection ended: a window that was begun on it is sent anew, from its first sample. Answers the
    /// milliseconds that are not remembered any more.
    pub fn link_lost(&mut self) -> u64 {
        self.last_end_at = None;
        self.next_burst_at = None;
        let Some(window) = self.windows.front_mut() else { return 0 };
        let lost_ms = ms_of(window.rewind());
        // A mistake of which something was sent need not be sent again.
        if window.closed.is_some() && (window.speech.is_empty() || window.closed == Some(CloseCause::Mistake)) {
            self.windows.pop_front();
        }
        lost_ms
    }

    /// Sends the last window once more, before all others. False where it is not there, or not whole any more.
    pub fn ask_again(&mut self, now: Time) -> bool {
        match self.asked.take() {
            Some(mut window) if window.forgotten == 0 => {
                window.rewind();
                window.is_again = true;
                window.spoken_at = now; // somebody waits for the answer since now
                self.windows.push_front(window);
                true
            }
            _ => false,
        }
    }

    /// Drops a window that waits to be sent once more.
    pub fn drop_again(&mut self) {
        self.windows.retain(|window| !window.is_again || window.is_started);
    }

    /// Whether a window waits to be sent once more, or is being.
    pub fn is_asking_again(&self) -> bool {
        self.windows.iter().any(|window| window.is_again)
    }

    /// The reply to the last window is whole, or nobody wants it any more.
    pub fn answered(&mut self) {
        self.asked = None;
    }

    /// When the finished window that is too old first is.
    pub fn expires_at(&self) -> Option<Time> {
        self.windows.iter().filter_map(Window::expires_at).min()
    }

    /// [`Reason::Kept`] passed: drops finished windows of which nothing was sent and that are too old now.
    /// Answers their milliseconds.
    pub fn expire(&mut self, now: Time) -> u64 {
        let before_ms = self.kept_ms();
        self.windows.retain(|window| window.expires_at().is_none_or(|at| at > now));
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
        while self.begin(now, timers, &mut out) {
            let is_end_held = self.is_end_held && self.windows.len() == 1;
            let Some(window) = self.windows.front_mut() else { return };
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
            if is_end_held && cause != CloseCause::Mistake {
                return;
            }
            let sent_ms = ms_of(window.forgotten + window.sent);
            self.asked = self.windows.pop_front().filter(|_| cause != CloseCause::Mistake);
            self.last_end_at = Some(now);
            out(Sent::Message(Message::ActivityEnd));
            out(Sent::Ended { sent_ms, cause });
        }
    }

    /// Begins the first window on the wire, unless it has begun. False where none can be.
    fn begin(&mut self, now: Time, timers: &mut Timers, out: &mut impl FnMut(Sent)) -> bool {
        // Nothing was ever said in them: an empty window would close the connection.
        while self.windows.front().is_some_and(|w| !w.is_started && w.speech.is_empty() && w.closed.is_some()) {
            self.windows.pop_front();
        }
        let Some(window) = self.windows.front_mut() else { return false };
        if window.is_started {
            return true;
        }
        if window.speech.is_empty() || self.is_held {
            return false;
        }
        if let Some(at) = self.last_end_at.map(|at| at + WINDOW_GAP).filter(|at| *at > now) {
            timers.set(Reason::CatchUp, at);
            return false;
        }
        window.is_started = true;
        self.asked = None;
        out(Sent::Started { is_again: window.is_again });
        out(Sent::Message(Message::ActivityStart));
        true
    }
}

fn ms_of(frames: usize) -> u64 {
    frames as u64 * 1000 / u64::from(UPLINK_RATE.0)
}

impl Window {
    fn unsent(&self) -> usize {
        self.speech.len() - self.sent
    }

    /// Nothing of it counts as sent. Answers the frames that are not there any more.
    fn rewind(&mut self) -> usize {
        self.is_started = false;
        self.sent = 0;
        std::mem::take(&mut self.forgotten)
    }

    /// When it is too old to be sent; none while it is spoken or under way.
    fn expires_at(&self) -> Option<Time> {
        (self.closed.is_some() && !self.is_started).then_some(self.spoken_at + KEPT_FOR)
    }

    /// Whether a message's worth is there: whole messages while the window is open, the rest once it is closed.
    fn has_message(&self, message_frames: usize) -> bool {
        self.unsent() >= message_frames || (self.closed.is_some() && self.unsent() >= HOP_FRAMES)
    }

    fn take(&mut self, message_frames: usize) -> Speech {
        let mut speech = Speech::empty();
        for _ in 0..(message_frames.min(self.unsent()) / HOP_FRAMES) {
            let mut hop = Hop { at: self.spoken_at, frames: [0; HOP_FRAMES] };
            let frames = self.speech.range(self.sent..self.sent + HOP_FRAMES);
            for (room, frame) in hop.frames.iter_mut().zip(frames) {
                *room = *frame;
            }
            self.sent += HOP_FRAMES;
            speech.push(&hop);
        }
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
            Sent::Started { .. } | Sent::Ended { .. } => {}
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
    fn a_window_cut_by_the_network_is_sent_anew_from_its_first_sample() {
        let (mut uplink, mut timers) = (Uplink::new(20), Timers::default());
        uplink.open();
        uplink.speech(&speech(3));
        assert_eq!(sent(&mut uplink, 0, &mut timers), "S 20");
        assert_eq!(uplink.link_lost(), 0);
        uplink.close(CloseCause::Released);
        assert_eq!(sent(&mut uplink, 1, &mut timers), "S 20 10E", "the gap is of the connection that ended");
    }

    #[test]
    fn what_was_asked_can_be_asked_again_until_it_is_answered() {
        let (mut uplink, mut timers) = (Uplink::new(20), Timers::default());
        for (is_answered, expected) in [(false, "S 20E"), (true, "")] {
            uplink.open();
            uplink.speech(&speech(2));
            uplink.close(CloseCause::Released);
            uplink.link_lost();
            assert_eq!(sent(&mut uplink, 1, &mut timers), "S 20E");
            if is_answered {
                uplink.answered();
            }
            uplink.link_lost();
            assert_eq!(uplink.ask_again(Time::ZERO), !is_answered);
            assert_eq!(sent(&mut uplink, 1, &mut timers), expected);
            assert!(uplink.is_idle());
        }
    }

    #[test]
    fn what_was_sent_long_ago_is_forgotten_before_anything_new_is_refused() {
        let (mut uplink, mut timers) = (Uplink::new(40), Timers::default());
        uplink.open();
        let mut now_ms = 0;
        for _ in 0..(SPEECH_KEPT_MS + 5_000) / 40 {
            assert_eq!(uplink.speech(&speech(4)), Taken::Kept);
            sent(&mut uplink, now_ms, &mut timers);
            now_ms += 40;
        }
        assert_eq!((uplink.kept_ms(), uplink.remembered_ms()), (0, SPEECH_KEPT_MS));
        assert_eq!(uplink.link_lost(), 5_000);
        assert_eq!(uplink.kept_ms(), SPEECH_KEPT_MS);
        assert_eq!(uplink.speech(&speech(1)), Taken::Full);
    }

    #[test]
    fn nothing_begins_while_it_is_held_and_what_has_begun_goes_on() {
        let (mut uplink, mut timers) = (Uplink::new(20), Timers::default());
        assert!(uplink.hold(true) && !uplink.hold(true));
        uplink.open();
        uplink.speech(&speech(2));
        assert_eq!(sent(&mut uplink, 0, &mut timers), "");
        assert!(uplink.hold(false));
        assert_eq!(sent(&mut uplink, 0, &mut timers), "S 20");
        uplink.hold(true);
        uplink.speech(&speech(2));
        assert_eq!(sent(&mut uplink, 20, &mut timers), " 20");
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
