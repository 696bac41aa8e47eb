//! The gate: decides what is speech to us, and says so in windows that open, carry speech and close.
//!
//! Capture never stops. Every hop goes into the pre-roll first, so that a window can begin before the moment
//! in which we understood that somebody speaks: the first syllable is never lost. A window opens lazily,
//! with sound in hand, so none is ever empty; there is one at a time, so none is ever nested; and each ends
//! by the button, by silence, by length or by the loss of the microphone, so none stays open.
//!
//! Pure: the time comes with hops and edges. [`Gate::handle_hop`] and its siblings take what happened,
//! [`Gate::poll_output`] gives what follows from it. Drain it after every call: the queue is made for that,
//! and nothing is allocated after [`Gate::new`].
//!
//! What was decided where the words leave room:
//! - The hangover's silence is sent: it goes out live, and the model hears that the sentence has ended.
//! - A press in the tail of the one before goes on in the same window, and so does a press in a window that
//!   a voice opened; the button then says when it ends.
//! - A hop is sent once. Pre-roll never reaches back into the window before, nor into a time in which it was muted.
//! - A press in which no word was said may be a gesture (`button.rs`): what it had opened for mere loudness is closed
//!   as a mistake. Each press and each wake word ends with a window or with [`GateEvent::Dropped`].
//! - Long presses are timed by hops: where the microphone gives nothing, nobody can tell them from talking.

pub mod button;
pub mod door;
pub mod ears;
pub mod endpoint;
mod hearing;
pub mod loudness;
pub mod preroll;
pub mod run;
pub mod vad;
pub mod wake;
pub mod window;

use std::time::Duration;

use self::button::{Button, Ending, Told};
use self::door::Door;
use self::ears::bargein::{BargeIn, REACH_HOPS};
use self::ears::evidence::Nearness;
use self::ears::{Heard, Room};
use self::endpoint::Endpoint;
use self::hearing::Hearing;
use self::loudness::{Loudness, NoiseFloor};
use self::preroll::{HopNumber, Kept, LOUD_AMONG, Over, Preroll};
use self::vad::Vad;
use self::window::Window;
use crate::audio::{HOP_MS, Hop};
use crate::config::agent::{Gestures, Listen, ListenMode, VoiceBargeIn};
use crate::flow::{CloseCause, DropCause, Duplex, GateEvent, GateNote, Gesture, OpenCause};
use crate::hw::Edge;
use crate::units::Time;

/// A tap that opened the gate is forgotten if nobody says anything for so long.
pub const LATCHED_SILENCE: Duration = Duration::from_secs(10);

/// Without a hop for so long the microphone is lost: longer than a recovery from an xrun takes, shorter than
/// a person waits. What is older does not belong to what comes next.
pub const MIC_LOST_AFTER: Duration = Duration::from_secs(1);

/// How long a press may take to silence a reply that is playing (the flush, two periods of the device).
const REPLY_STOPS_WITHIN: Duration = Duration::from_millis(100);

/// Voiced hops among the last [`LOUD_AMONG`] that are a word. A detector calls a hop or two of any noise a voice now
/// and then; the shortest word has ten.
const WORD_HOPS: u32 = 3;

/// Echo that ended so few hops before the first evidence may have hidden the beginning of the speech.
const ECHO_HIDES_HOPS: u64 = 10;

/// The gate.
pub struct Gate {
    mode: ListenMode,
    voice_barge_in: VoiceBargeIn,
    echo_tail: Duration,
    preroll_hops: u64,
    evidence_hops: u64,
    turn_max_hops: u64,
    vad: Box<dyn Vad>,
    is_voiced: bool,
    loudness: Loudness,
    noise: NoiseFloor,
    preroll: Preroll,
    endpoint: Endpoint,
    button: Button,
    window: Window,
    /// The latest time we were told of; edges do not count, their stamps come from elsewhere.
    now: Time,
    /// When the newest hop was captured: a tail is over when its last sound has come, not when its time has.
    hop_at: Time,
    /// The hop that was to come next when the present press began.
    press_hop: HopNumber,
    /// Whether the present press has opened a window.
    press_was_heard: bool,
    /// Nobody has said anything since a tap opened the gate, or since this.
    quiet_since: Time,
    /// Which of the last hops of the present press were voiced, the newest in the lowest bit.
    press_voiced: u16,
    /// The endpoint found speech since the button was engaged: then silence can end it.
    press_was_spoken_in: bool,
    door: Door,
    is_muted: bool,
    /// The core ended a window in mid-speech: what goes on is not a new one before there was silence.
    awaits_silence: bool,
    speaker_audible: bool,
    echo_until: Time,
    /// What the ears know of the newest hop.
    room: Room,
    barge_in: BargeIn,
    /// Whether the ears had anything of the loudspeaker since it became audible.
    far_came: bool,
    /// What the core was told last of the canceller.
    told_duplex: Option<Duplex>,
    /// The first hop that is surely not the loudspeaker's.
    echo_free: HopNumber,
}

impl Gate {
    /// A closed gate that listens as `listen` says, with a detector that has heard nothing yet.
    pub fn new(listen: &Listen, vad: Box<dyn Vad>) -> Gate {
        let hops = |ms: u32| u64::from(ms.div_ceil(HOP_MS));
        let preroll_hops = hops(listen.preroll_ms);
        let evidence_hops = preroll_hops.max(LOUD_AMONG);
        // Pre-roll, before what must be looked at to find that somebody speaks (twice the onset, because it
        // leaks), or before the echo that hid it.
        let looked_at = evidence_hops.max(2 * hops(listen.onset_ms)).max(hops(listen.echo_tail_ms) + 2 * LOUD_AMONG);
        let looked_at = looked_at.max(u64::from(REACH_HOPS));
        let ring_hops = (preroll_hops + looked_at) as usize + 1;
        let follow_up = match listen.mode {
            ListenMode::HandsFree => Duration::ZERO, // a voice may always
            ListenMode::PushToTalk | ListenMode::WakeWord => Duration::from_secs(u64::from(listen.follow_up_s)),
        };
        let echo_tail = Duration::from_millis(u64::from(listen.echo_tail_ms));
        Gate {
            mode: listen.mode,
            voice_barge_in: listen.voice_barge_in,
            echo_tail,
            preroll_hops,
            evidence_hops,
            turn_max_hops: u64::from(listen.turn_max_s) * 1000 / u64::from(HOP_MS),
            vad,
            is_voiced: false,
            loudness: Loudness::new(listen.silence_db),
            noise: NoiseFloor::new(),
            preroll: Preroll::new(ring_hops),
            endpoint: Endpoint::new(listen.onset_ms, listen.hangover_ms),
            button: Button::new(listen),
            window: Window::new((listen.message_ms / HOP_MS) as usize, ring_hops),
            now: Time::ZERO,
            hop_at: Time::ZERO,
            press_hop: 0,
            press_was_heard: false,
            quiet_since: Time::ZERO,
            press_voiced: 0,
            press_was_spoken_in: false,
            door: Door::new(follow_up, echo_tail),
            is_muted: false,
            awaits_silence: false,
            speaker_audible: false,
            echo_until: Time::ZERO,
            room: Room::SILENT,
            barge_in: BargeIn::default(),
            far_came: false,
            told_duplex: None,
            echo_free: 0,
        }
    }

    /// The same gate, in which presses mean more than talking.
    pub fn with_gestures(mut self, gestures: &Gestures) -> Gate {
        self.button.set_gestures(gestures);
        self
    }

    /// Takes the next hop from the ears.
    pub fn handle_heard(&mut self, heard: &Heard) {
        self.room = heard.room;
        self.far_came |= self.room.is_far;
        if let Some(duplex) = self.room.duplex.filter(|_| self.told_duplex != self.room.duplex) {
            self.told_duplex = Some(duplex);
            self.window.say(GateEvent::Echo { duplex, erle_db: self.room.erle_db });
        }
        self.take(heard);
    }

    /// Takes the next hop from a microphone that hears no loudspeaker, or of which nothing else is known than
    /// [`GateNote::SpeakerAudible`].
    pub fn handle_hop(&mut self, hop: &Hop) {
        self.take(&Heard { room: self.room, ..Heard::from(*hop) });
    }

    fn take(&mut self, Heard { hop, over, .. }: &Heard) {
        // Reverberation that dies away under what counts as silence is nobody.
        if !self.loudness.is_loud(over) {
            self.room.near = Nearness::default();
        }
        self.handle_time(hop.at);
        self.hop_at = self.hop_at.max(hop.at);
        let hearing = self.hearing();
        let is_over = hearing == Hearing::Over;
        // The suppressor takes the beginning of a voice for echo; the detector is to hear all of it.
        let voiced = self.vad.is_voiced(if is_over { over } else { &hop.frames });
        self.is_voiced = voiced;
        let loud = self.loudness.is_loud(&hop.frames);
        // What the loudspeaker accounts for is no evidence, neither for a voice nor for the button.
        let counts = !is_over || self.room.near.is_some();
        let over = is_over.then_some(Over { frames: *over, is_near: self.room.near.is_anything() });
        let number = self.preroll.push(Kept { hop: *hop, voiced: voiced && counts, loud: loud && counts, over });
        self.watch_echo(hearing);
        // While it plays the noise is suppressed with the echo.
        let frames = &hop.frames;
        let stands_out = if self.room.is_far { self.noise.is_above(frames) } else { self.noise.handle_hop(frames) };
        self.watch_voice(hearing, voiced, voiced && loud && stands_out && counts);
        self.watch_press(voiced && counts);
        if self.window.cause().is_some() {
            self.window.send(&self.preroll.sound(number));
            self.preroll.forget();
        } else if self.button.is_engaged() {
            self.open_for_button();
        } else {
            self.open_for_voice();
        }
        self.end_what_is_over();
    }

    /// Takes an edge of the talk button.
    pub fn handle_edge(&mut self, edge: Edge) {
        let was_engaged = self.button.is_engaged();
        let told = self.button.handle_edge(edge);
        if told == Told::Nothing {
            return;
        }
        if edge.active {
            self.shut_door();
        }
        self.window.say(if edge.active { GateEvent::Pressed } else { GateEvent::Released });
        match told {
            Told::Repeat => return self.gesture(Gesture::Repeat, true),
            Told::Look => self.window.say(GateEvent::Gesture(Gesture::Look)),
            Told::Nothing | Told::Edge => {}
        }
        if edge.active && self.is_muted {
            self.window.say(GateEvent::Dropped(DropCause::Muted));
        } else if edge.active && !was_engaged && self.button.is_engaged() {
            self.begin_press();
        }
        if self.button.is_latched() {
            self.quiet_since = self.now;
        }
    }

    fn begin_press(&mut self) {
        self.press_hop = self.preroll.next();
        self.press_was_heard = false;
        self.press_was_spoken_in = false;
        self.press_voiced = 0;
        if self.window.cause().is_none() {
            self.watch_echo(self.hearing());
            self.open_for_button();
        }
    }

    /// The press says something beside talking: nothing that it opened was meant.
    fn gesture(&mut self, gesture: Gesture, is_told: bool) {
        if self.window.cause().is_some() {
            self.close(CloseCause::Mistake);
        } else if is_told {
            self.window.say(GateEvent::Dropped(DropCause::Gesture));
        }
        self.window.say(GateEvent::Gesture(gesture));
    }

    /// Takes a note from the core.
    pub fn handle_note(&mut self, note: GateNote) {
        match note {
            GateNote::SpeakerAudible(audible) => {
                if self.speaker_audible && !audible {
                    self.echo_until = self.now + self.echo_tail;
                }
                self.speaker_audible = audible;
                self.far_came &= audible;
            }
            GateNote::Mute(is_muted) => self.mute(is_muted),
            GateNote::FollowUp(true)
                if self.window.cause().is_none() && !self.button.is_engaged() && !self.is_muted =>
            {
                self.door.follow_up(self.now);
            }
            GateNote::FollowUp(true) => {}
            GateNote::FollowUp(false) => self.shut_door(),
            GateNote::Listen => self.handle_woken(),
            GateNote::Abort => {
                if self.window.cause().is_none() && self.button.is_engaged() {
                    self.window.say(GateEvent::Dropped(DropCause::Gesture));
                }
                // The endpoint goes on: the speech that is refused has not ended yet.
                self.window.close(CloseCause::Mistake);
                self.button.disengage();
                self.preroll.forget();
                self.awaits_silence = self.endpoint.is_speaking();
            }
        }
    }

    fn mute(&mut self, is_muted: bool) {
        if is_muted == self.is_muted {
            return;
        }
        if is_muted {
            self.shut_door();
            if self.window.cause().is_none() && self.button.is_engaged() {
                self.window.say(GateEvent::Dropped(DropCause::Muted));
            }
            self.close(CloseCause::Mistake);
        }
        // What was said meanwhile is nobody's business.
        self.preroll.forget();
        self.endpoint.reset();
        self.is_muted = is_muted;
        self.button.set_muted(is_muted);
    }

    /// The wake word was heard: what is said next is meant for the device.
    pub fn handle_woken(&mut self) {
        if self.is_muted || self.window.cause().is_some() || self.button.is_engaged() {
            return;
        }
        self.door.wake(self.now).for_each(|event| self.window.say(event));
        self.endpoint.reset();
    }

    /// Whether [`Gate::handle_woken`] would open anything now: only then need a detector look for the wake word.
    pub fn wants_wake_word(&self) -> bool {
        self.mode == ListenMode::WakeWord && !self.is_muted && !self.is_open() && !self.button.is_engaged()
    }

    fn shut_door(&mut self) {
        if let Some(event) = self.door.shut() {
            self.window.say(event);
        }
    }

    /// Takes the news that `hops` hops were lost before the next one. A window goes on.
    pub fn handle_lost(&mut self, hops: u32) {
        if hops > 0 {
            self.window.say(GateEvent::Lost(hops));
        }
    }

    /// Takes the time, for when no hop comes: without one for [`MIC_LOST_AFTER`] nothing stays open.
    pub fn handle_time(&mut self, now: Time) {
        self.now = self.now.max(now);
        if let Some(event) = self.door.handle_time(self.now) {
            if matches!(event, GateEvent::FollowUp(true)) {
                self.endpoint.reset(); // the answer begins now, whatever went on behind the reply
            }
            self.window.say(event);
        }
        if now.since(self.hop_at) > MIC_LOST_AFTER {
            self.lose_mic();
        }
    }

    /// What follows from what was handled; nothing when all is said.
    pub fn poll_output(&mut self) -> Option<GateEvent> {
        self.window.poll_output()
    }

    /// Whether the newest hop sounded like a voice.
    pub fn is_voiced(&self) -> bool {
        self.is_voiced
    }

    /// Whether the loudspeaker is said to sound.
    pub fn is_speaker_audible(&self) -> bool {
        self.speaker_audible
    }

    /// Whether a window is open.
    pub fn is_open(&self) -> bool {
        self.window.cause().is_some()
    }

    fn open_for_button(&mut self) {
        if !self.button.wants_sound() {
            return;
        }
        let Some(first) = self.preroll.evidence(self.evidence_hops, self.echo_free) else { return };
        let preroll_of = |hop: HopNumber| hop.saturating_sub(self.preroll_hops);
        let from = if first < self.press_hop {
            // Already talking when the button went down. One hop at least, or the window would be empty.
            preroll_of(self.press_hop).min(self.preroll.next() - 1)
        } else if self.press_hop < self.echo_free && first < self.echo_free + ECHO_HIDES_HOPS {
            preroll_of(first).min(self.press_hop)
        } else {
            preroll_of(first)
        };
        self.press_was_heard = true;
        self.open(OpenCause::Button, from);
    }

    fn open_for_voice(&mut self) {
        if !self.may_voice_open() || !self.endpoint.is_speaking_now() {
            return;
        }
        self.shut_door();
        let onset = self.preroll.next() - u64::from(self.endpoint.age_hops()).min(self.preroll.next());
        self.open(OpenCause::Voice, onset.saturating_sub(self.preroll_hops).max(self.echo_free));
    }

    /// Opens a window that begins with the hop `from`, or with the oldest that is left.
    fn open(&mut self, cause: OpenCause, from: HopNumber) {
        self.barge_in.reset(); // a window settles it
        self.window.open(cause);
        for number in from.max(self.preroll.oldest())..self.preroll.next() {
            self.window.send(&self.preroll.sound(number));
        }
        self.preroll.forget();
    }

    fn end_what_is_over(&mut self) {
        if let Some(ending) = self.button.due(self.hop_at) {
            self.end_press(ending);
        }
        let was_engaged = self.button.is_engaged();
        if let Some(gesture) = self.button.gesture_due(self.hop_at) {
            self.gesture(gesture, was_engaged);
        }
        let is_quiet = self.now.since(self.quiet_since) >= LATCHED_SILENCE;
        match self.window.cause() {
            Some(_) if self.window.hops() >= self.turn_max_hops => self.end_long_turn(),
            Some(OpenCause::Voice) if !self.button.is_engaged() && !self.endpoint.is_speaking() => {
                self.window.close(CloseCause::Silence);
            }
            Some(_) if self.button.ends_by_silence() && self.press_was_spoken_in && !self.endpoint.is_speaking() => {
                self.close(CloseCause::Silence);
            }
            // It was opened for a voice too soft to end, or for mere loudness.
            Some(_) if self.button.ends_by_silence() && !self.press_was_spoken_in && is_quiet => {
                self.close(if self.button.has_word() { CloseCause::Silence } else { CloseCause::Mistake });
            }
            None if self.button.is_latched() && is_quiet => {
                self.button.disengage();
                self.window.say(GateEvent::Dropped(DropCause::OnlySilence));
            }
            _ => {}
        }
    }

    fn end_press(&mut self, ending: Ending) {
        match (ending, self.window.cause()) {
            (Ending::Finished, Some(_)) => self.close(CloseCause::Released),
            (Ending::TooShort, Some(OpenCause::Button)) => self.close(CloseCause::Mistake),
            (Ending::Finished, None) if self.press_was_heard => {} // and then the microphone was lost
            (Ending::Finished, None) => self.window.say(GateEvent::Dropped(DropCause::OnlySilence)),
            // A window that a voice opened goes on without the press.
            (Ending::TooShort, _) => self.window.say(GateEvent::Dropped(DropCause::TooShort)),
        }
        self.button.disengage();
    }

    /// Closes for length. Hands-free the endpoint still knows that somebody speaks, and opens the next window.
    fn end_long_turn(&mut self) {
        self.window.close(CloseCause::TooLong);
        self.button.disengage();
    }

    /// Closes and ends the press; a voice needs a new onset.
    fn close(&mut self, cause: CloseCause) {
        self.window.close(cause);
        self.button.disengage();
        self.endpoint.reset();
    }

    fn lose_mic(&mut self) {
        self.end_suspicion();
        self.preroll.forget();
        self.endpoint.reset();
        let was_open = self.window.cause().is_some();
        self.window.close(CloseCause::MicLost);
        if let Some(ending) = self.button.ending() {
            if !was_open {
                self.end_press(ending);
            }
            self.button.disengage();
        } else if self.button.is_latched() {
            if !was_open {
                self.window.say(GateEvent::Dropped(DropCause::OnlySilence));
            }
            self.button.disengage();
        }
        // A button that is held goes on listening: what is said when the microphone is back is a new window.
    }
}

#[cfg(test)]
pub(crate) mod tests;
