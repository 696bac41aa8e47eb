//! What the device shows: takes what happened, answers one [`Look`].
//!
//! # Order of precedence
//!
//! The first that holds is shown:
//!
//! 1. [`Look::MutedByLine`]: the hardware's switch, above everything; no sound leaves the microphone's thread then.
//! 2. [`Look::Muted`]: nothing of what is said leaves the device, whatever else goes on.
//! 3. [`Look::Listening`]: from the press, the wake word or the opening of the gate until it is closed again. This is a promise: while
//!    speech may leave the device, that is to be seen. So trouble does not hide it but changes it, to
//!    [`Look::ListeningInTrouble`].
//! 4. [`Look::Trouble`]: microphone, loudspeaker or a line cannot be used.
//! 5. [`Look::Speaking`]
//! 6. [`Look::Ringing`]
//! 7. [`Look::Spent`]
//! 8. [`Look::Offline`]: only where somebody would notice: they wait for an answer, or a connection is to be kept.
//! 9. [`Look::Thinking`]
//! 10. [`Look::FollowUp`]
//! 11. [`Look::Starting`]
//! 12. [`Look::Idle`]
//!
//! So mute and trouble are never hidden, and nothing that listens does it in secret. What lasts less than a person needs
//! to read a rhythm (ducking, a cue, a conversation that begins anew) has no look of its own.

use std::time::Duration;

use crate::config::agent::Connection;
use crate::flow::{CloseCause, Cue, Duplex, Event, What};
use crate::units::Time;

/// A connection that is away for less is not shown as lost: as long as the session waits with its cue.
pub const OFFLINE_AFTER: Duration = Duration::from_secs(2);

/// A tap or a wake word that nothing follows is forgotten after this: a little later than the gate does (10 s), which
/// says so.
pub const TAP_MAX: Duration = Duration::from_secs(11);

/// What a person sees of the device: one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Look {
    /// Just started: no connection was made yet, and none has failed.
    Starting,
    /// Ready. Nobody talks, nothing leaves the device.
    Idle,
    /// The microphone is open to the service.
    Listening,
    /// The same while microphone, loudspeaker or a line is in trouble.
    ListeningInTrouble,
    /// What was said was taken; the answer is awaited.
    Thinking,
    /// The reply is heard.
    Speaking,
    /// A timer or an alarm rings.
    Ringing,
    /// A voice alone may open the microphone now.
    FollowUp,
    /// There is no connection, and there should be.
    Offline,
    /// Today's limit is used up.
    Spent,
    /// A person closed the microphone.
    Muted,
    /// The hardware's switch closed the microphone.
    MutedByLine,
    /// Microphone, loudspeaker or a line cannot be used.
    Trouble,
}

impl Look {
    /// All of them, in the order of the table.
    pub const ALL: [Look; 13] = [
        Look::Starting,
        Look::Idle,
        Look::Listening,
        Look::ListeningInTrouble,
        Look::Thinking,
        Look::Speaking,
        Look::Ringing,
        Look::FollowUp,
        Look::Offline,
        Look::Spent,
        Look::Muted,
        Look::MutedByLine,
        Look::Trouble,
    ];

    /// One word for programs.
    pub fn word(self) -> &'static str {
        match self {
            Look::Starting => "starting",
            Look::Idle => "idle",
            Look::Listening | Look::ListeningInTrouble => "listening",
            Look::Thinking => "thinking",
            Look::Speaking => "speaking",
            Look::Ringing => "ringing",
            Look::FollowUp => "follow_up",
            Look::Offline => "offline",
            Look::Spent => "spent",
            Look::Muted | Look::MutedByLine => "muted",
            Look::Trouble => "trouble",
        }
    }
}

/// The talk button, as long as no window has come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Press {
    /// No press, or a window came of it, or it was dropped.
    None,
    /// It is down.
    Down,
    /// It is up again and may have been a tap, which listens until then.
    Tapped { until: Time },
}

/// What is known of the device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct State {
    keeps_open: bool,
    is_muted: bool,
    is_muted_by_line: bool,
    press: Press,
    is_window_open: bool,
    has_mic_trouble: bool,
    has_speaker_trouble: bool,
    has_line_trouble: bool,
    is_speaking: bool,
    is_ringing: bool,
    is_spent: bool,
    /// Whether a connection was ready, ever.
    was_ready: bool,
    /// Whether a connection was ready or has failed, ever.
    has_started: bool,
    /// When the lack of a connection is to be shown.
    offline_from: Option<Time>,
    is_awaited: bool,
    may_follow_up: bool,
    woken_until: Option<Time>,
    duplex: Duplex,
}

impl State {
    /// A device that was just started.
    pub fn new(connection: Connection) -> State {
        State {
            keeps_open: connection == Connection::KeepOpen,
            is_muted: false,
            is_muted_by_line: false,
            press: Press::None,
            is_window_open: false,
            has_mic_trouble: false,
            has_speaker_trouble: false,
            has_line_trouble: false,
            is_speaking: false,
            is_ringing: false,
            is_spent: false,
            was_ready: false,
            has_started: false,
            offline_from: None,
            is_awaited: false,
            may_follow_up: false,
            woken_until: None,
            duplex: Duplex::Full,
        }
    }

    /// What is to be shown at `now`.
    pub fn look(&self, now: Time) -> Look {
        let has_trouble = self.has_mic_trouble || self.has_speaker_trouble || self.has_line_trouble;
        let is_pressed = match self.press {
            // With a microphone that gives nothing a press alone opens nothing, and must not look as if it did.
            Press::Down => !self.has_mic_trouble,
            Press::Tapped { until } => now < until && !self.has_mic_trouble,
            Press::None => false,
        };
        let is_woken = self.woken_until.is_some_and(|until| now < until) && !self.has_mic_trouble;
        let is_listening = self.is_window_open || is_pressed || is_woken;
        match () {
            () if self.is_muted_by_line => Look::MutedByLine,
            () if self.is_muted => Look::Muted,
            () if is_listening && has_trouble => Look::ListeningInTrouble,
            () if is_listening => Look::Listening,
            () if has_trouble => Look::Trouble,
            () if self.is_speaking => Look::Speaking,
            () if self.is_ringing => Look::Ringing,
            () if self.is_spent => Look::Spent,
            () if self.wants_link() && self.offline_from.is_some_and(|from| from <= now) => Look::Offline,
            () if self.is_awaited => Look::Thinking,
            () if self.may_follow_up => Look::FollowUp,
            () if !self.has_started => Look::Starting,
            () => Look::Idle,
        }
    }

    /// When [`State::look`] may change by time alone; none where only an event can change it.
    pub fn next_change(&self, now: Time) -> Option<Time> {
        let tapped = match self.press {
            Press::Tapped { until } => Some(until),
            Press::None | Press::Down => None,
        };
        [tapped, self.offline_from, self.woken_until].into_iter().flatten().filter(|at| *at > now).min()
    }

    /// Whether a voice can cut a reply now. A light does not show it; a page may.
    pub fn duplex(&self) -> Duplex {
        self.duplex
    }

    /// Whether somebody would notice that there is no connection.
    fn wants_link(&self) -> bool {
        self.keeps_open || !self.was_ready || self.is_awaited
    }

    /// Takes what happened. Answers whether anything is known now that was not before.
    pub fn handle_event(&mut self, event: &Event) -> bool {
        let before = *self;
        let at = event.at;
        match &event.what {
            What::LinkReady { .. } => {
                (self.was_ready, self.has_started, self.is_spent) = (true, true, false);
                self.offline_from = None;
            }
            What::LinkDown { .. } => {
                self.has_started = true;
                self.offline_from.get_or_insert(at + OFFLINE_AFTER);
            }
            What::LinkClosed { .. } => self.offline_from = None,
            What::Pressed => (self.press, self.woken_until) = (Press::Down, None),
            What::Released if self.press == Press::Down => self.press = Press::Tapped { until: at + TAP_MAX },
            What::PressDropped { .. } | What::ConversationReset => (self.press, self.woken_until) = (Press::None, None),
            What::GateOpened { .. } => {
                self.is_window_open = true;
                (self.is_awaited, self.woken_until) = (false, None);
            }
            What::GateClosed { cause } => {
                (self.is_window_open, self.press) = (false, Press::None);
                self.is_awaited |= *cause != CloseCause::Mistake;
            }
            What::Muted { is_muted, by_line: true } => self.is_muted_by_line = *is_muted,
            What::Muted { is_muted, by_line: false } => (self.is_muted, self.press) = (*is_muted, Press::None),
            What::Trouble { part, .. } => self.trouble(part, true),
            What::Recovered { part } => self.trouble(part, false),
            What::EchoState { duplex, .. } => self.duplex = *duplex,
            What::Woken => self.woken_until = Some(at + TAP_MAX),
            What::Ringing { is_ringing } => self.is_ringing = *is_ringing,
            What::FollowUp { is_open } => self.may_follow_up = *is_open,
            What::DaySpent { .. } => (self.is_spent, self.is_awaited) = (true, false),
            What::Cue { cue } => self.cue(*cue, at),
            _ => self.handle_reply(&event.what),
        }
        *self != before
    }

    /// The rest of [`State::handle_event`]: what concerns the answer, and what is not shown.
    fn handle_reply(&mut self, what: &What) {
        match what {
            // Not before: a call in mid-reply is thought about longer.
            What::ReplyGenerated { .. } | What::TurnOver { .. } => self.is_awaited = false,
            What::ReplyCut { .. } => self.is_awaited = false,
            What::ReplyLost { is_asked_again, .. } => self.is_awaited = *is_asked_again,
            What::SpeechLost { .. } if !self.is_window_open => self.is_awaited = false,
            What::ToolCalled { .. } | What::NoticeTold => self.is_awaited = true,
            // A loudspeaker that is heard works: what the session says of a single reply has no recovery of its own.
            What::ReplyHeard { .. } => (self.is_speaking, self.has_speaker_trouble) = (true, false),
            What::ReplyDrained { .. } => (self.is_speaking, self.has_speaker_trouble) = (false, false),
            What::ReplySilent { .. } => self.is_speaking = false,
            What::ReplyRepeated { .. } => self.press = Press::None,
            // Part of something that is shown, or shorter than a person can read.
            What::LinkOpening
            | What::LinkLeaving { .. }
            | What::SessionLost { .. }
            | What::Released
            | What::WindowOpened
            | What::SpeechSent { .. }
            | What::WindowClosed { .. }
            | What::SpeechLost { .. }
            | What::UserText { .. }
            | What::ModelText { .. }
            | What::ReplyStarted { .. }
            | What::ReplyReceived { .. }
            | What::ReplyConcealed { .. }
            | What::Xrun { .. }
            | What::NoAnswer { .. }
            | What::ToolAnswered { .. }
            | What::ToolCancelled { .. }
            | What::ToolLost { .. }
            | What::LineSet { .. }
            | What::Usage { .. }
            | What::VolumeSet { .. }
            | What::NoticeLost { .. }
            | What::VoiceChosen { .. }
            | What::Asked { .. }
            | What::Shown { .. }
            | What::CameraRuns { .. }
            | What::Recording { .. }
            | What::StillSent { .. }
            | What::Ducked { .. } => {}
            // Taken by `handle_event`.
            What::LinkReady { .. }
            | What::LinkDown { .. }
            | What::LinkClosed { .. }
            | What::Pressed
            | What::PressDropped { .. }
            | What::ConversationReset
            | What::GateOpened { .. }
            | What::GateClosed { .. }
            | What::Muted { .. }
            | What::Trouble { .. }
            | What::Recovered { .. }
            | What::EchoState { .. }
            | What::Woken
            | What::FollowUp { .. }
            | What::Ringing { .. }
            | What::DaySpent { .. }
            | What::Cue { .. } => {}
        }
    }

    /// Parts that a person at the device misses. Of the link it is said whether it is there; tools, model and state file
    /// are the owner's business and in the log; a light in trouble cannot show it.
    fn trouble(&mut self, part: &str, is_in_trouble: bool) {
        match part {
            "mic" => self.has_mic_trouble = is_in_trouble,
            "speaker" => self.has_speaker_trouble = is_in_trouble,
            "line" => self.has_line_trouble = is_in_trouble,
            _ => {}
        }
    }

    fn cue(&mut self, cue: Cue, at: Time) {
        match cue {
            // The session has waited already.
            Cue::Offline => self.offline_from = Some(self.offline_from.map_or(at, |from| from.min(at))),
            // What they say is in an event of its own, or over before it could be shown.
            Cue::Again
            | Cue::Lost
            | Cue::Spent
            | Cue::Listening
            | Cue::Heard
            | Cue::Thinking
            | Cue::Error
            | Cue::Muted
            | Cue::Unmuted
            | Cue::Reset
            | Cue::Ring => {}
        }
    }
}

#[cfg(test)]
mod tests;
