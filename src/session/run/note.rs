//! The words that the flight recorder shows for causes and reasons that have a name.

use super::cause::cause;
use crate::flow::{CloseCause, Closed, Cue, DropCause, Duplex, Gesture, OpenCause, Start};
use crate::live::close::Refusal;
use crate::session::timers::Reason;

pub fn timer_what(reason: Reason) -> &'static str {
    match reason {
        Reason::Reconnect => "connect again",
        Reason::Setup => "setup too slow",
        Reason::CatchUp => "catch up",
        Reason::Kept => "kept speech too old",
        Reason::Offline => "still no connection",
        Reason::Answer => "no answer",
        Reason::Progress => "no progress",
        Reason::Stuck => "turn without end",
        Reason::Drain => "speaker stands still",
        Reason::Stale => "old turn unended",
        Reason::Call => "call too slow",
        Reason::Quiet => "service is quiet",
        Reason::Idle => "idle for long",
        Reason::Leave => "time to change",
        Reason::Thinking => "time to say that it is thought",
        Reason::Ring => "time to ring",
        Reason::Held => "a press without a word",
        Reason::Still => "time for a picture",
    }
}

pub fn open_note(cause: OpenCause) -> &'static str {
    match cause {
        OpenCause::Button => "button",
        OpenCause::Voice => "voice",
    }
}

pub fn close_note(cause: CloseCause) -> &'static str {
    match cause {
        CloseCause::Released => "released",
        CloseCause::Silence => "silence",
        CloseCause::TooLong => "too long",
        CloseCause::Mistake => "a mistake",
        CloseCause::MicLost => "the microphone was lost",
    }
}

pub fn drop_note(cause: DropCause) -> &'static str {
    match cause {
        DropCause::TooShort => "too short",
        DropCause::OnlySilence => "only silence",
        DropCause::Gesture => "a gesture",
        DropCause::Muted => "muted",
    }
}

pub fn start_note(start: Start) -> &'static str {
    match start {
        Start::Fresh => "a new conversation",
        Start::Told => "a new conversation, told of the old one",
        Start::Resumed => "the old conversation",
    }
}

pub fn closed_note(cause: Closed) -> &'static str {
    match cause {
        Closed::Idle => "nobody spoke",
        Closed::Rotation => "its time was over",
        Closed::Spent => "the day's limit is used up",
        Closed::Reset => "a new conversation",
        Closed::Ended => "the conversation was ended",
    }
}

pub fn gesture_note(gesture: Gesture) -> &'static str {
    match gesture {
        Gesture::Repeat => "repeat",
        Gesture::Look => "look",
        Gesture::Mute => "mute",
        Gesture::Reset => "reset",
    }
}

pub fn duplex_what(duplex: Duplex) -> &'static str {
    match duplex {
        Duplex::Full => "full duplex",
        Duplex::Half => "half duplex",
    }
}

pub fn cue_note(cue: Cue) -> &'static str {
    match cue {
        Cue::Again => "again",
        Cue::Lost => "lost",
        Cue::Offline => "offline",
        Cue::Spent => "spent",
        Cue::Listening => "listening",
        Cue::Heard => "heard",
        Cue::Thinking => "thinking",
        Cue::Error => "error",
        Cue::Muted => "muted",
        Cue::Unmuted => "unmuted",
        Cue::Reset => "reset",
        Cue::Ring => "ring",
    }
}

pub fn refusal_note(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Key(_) => "the key",
        Refusal::Model(_) => "the model",
        Refusal::Setup(_) => "the setup",
        Refusal::Address(_) => "the address",
        Refusal::Region(_) => "the place",
    }
}

/// The service's reasons for the end of a turn (live-protocol.md 3.2); of any other its cause.
pub fn turn_note(reason: Option<&str>) -> &'static str {
    const REASONS: [&str; 12] = [
        "MALFORMED_FUNCTION_CALL",
        "RESPONSE_REJECTED",
        "NEED_MORE_INPUT",
        "PROHIBITED_INPUT_CONTENT",
        "BLOCKLIST",
        "MAX_REGENERATION_REACHED",
        "GENERATED_AUDIO_SAFETY",
        "GENERATED_CONTENT_SAFETY",
        "GENERATED_CONTENT_PROHIBITED",
        "GENERATED_CONTENT_BLOCKLIST",
        "GENERATED_OTHER",
        "INPUT_OTHER",
    ];
    match reason {
        None => "",
        Some(reason) => REASONS.iter().find(|known| **known == reason).copied().unwrap_or_else(|| cause(reason)),
    }
}
