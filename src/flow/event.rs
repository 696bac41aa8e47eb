//! What an owner, the timeline, the recorder or a test is told of: one [`Event`] for each thing that happened.

use serde::Serialize;

use super::{CloseCause, Cue, DropCause, Duplex, OpenCause};
use crate::live::usage::Usage;
use crate::still::Jpeg;
use crate::units::{CallId, Epoch, Time};

/// Something that happened and that an owner, the timeline or a test wants to know.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// When, in microseconds since the start.
    #[serde(rename = "at_us", serialize_with = "as_us")]
    pub at: Time,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

fn as_us<S: serde::Serializer>(at: &Time, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_u64(at.as_us())
}

/// The kinds of [`Event`]. Text of speech and arguments of tools appear here and never in the log above DEBUG.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// A connection is being made.
    LinkOpening,
    /// `setupComplete` came: `setup_ms` after the connection was asked for.
    LinkReady {
        /// Milliseconds.
        setup_ms: u64,
        /// How the conversation goes on.
        start: Start,
    },
    /// The service will close the connection (`goAway`).
    LinkLeaving {
        /// Milliseconds until it does, as it says.
        left_ms: u64,
    },
    /// The connection was closed from here; nothing is wrong.
    LinkClosed {
        /// Why.
        cause: Closed,
    },
    /// The conversation on which the device wanted to go on is gone; a sentence.
    SessionLost {
        /// A sentence.
        why: String,
    },
    /// The connection ended; `why` is a sentence.
    LinkDown {
        /// A sentence.
        why: String,
    },
    /// The talk button went down.
    Pressed,
    /// The talk button came up.
    Released,
    /// A window of speech opened at the gate.
    GateOpened {
        /// Why.
        cause: OpenCause,
    },
    /// `activityStart` went out, followed by the pre-roll.
    WindowOpened,
    /// Speech went out (milliseconds of sound in this message).
    SpeechSent {
        /// Milliseconds of sound.
        ms: u64,
    },
    /// The gate closed its window.
    GateClosed {
        /// Why.
        cause: CloseCause,
    },
    /// `activityEnd` went out.
    WindowClosed {
        /// Milliseconds of sound sent in the window.
        sent_ms: u64,
    },
    /// A press or hold was dropped on the device.
    PressDropped {
        /// Why.
        cause: DropCause,
    },
    /// Speech was lost, and why.
    SpeechLost {
        /// Milliseconds of sound.
        ms: u64,
        /// Why.
        why: String,
    },
    /// What the user said, as the server understood it (the whole text so far of this turn).
    UserText {
        /// The text.
        text: String,
    },
    /// What the model says, as text (a piece to append).
    ModelText {
        /// The model turn.
        epoch: Epoch,
        /// The text.
        text: String,
    },
    /// The first sound of a reply arrived.
    ReplyStarted {
        /// The model turn.
        epoch: Epoch,
    },
    /// Sound of a reply arrived (milliseconds of sound in this message).
    ReplyReceived {
        /// The model turn.
        epoch: Epoch,
        /// Milliseconds of sound.
        ms: u64,
    },
    /// The first frame of a reply reached the loudspeaker.
    ReplyHeard {
        /// The model turn.
        epoch: Epoch,
    },
    /// `generationComplete`.
    ReplyGenerated {
        /// The model turn.
        epoch: Epoch,
    },
    /// The reply was heard to its end.
    ReplyDrained {
        /// The model turn.
        epoch: Epoch,
        /// Milliseconds heard.
        heard_ms: u64,
    },
    /// The reply was cut: by the user (`by_user`) or by the server.
    ReplyCut {
        /// The model turn.
        epoch: Epoch,
        /// Milliseconds received before the cut.
        received_ms: u64,
        /// True for a press or voice here, false where the server said `interrupted` first.
        by_user: bool,
    },
    /// The loudspeaker fell silent after a cut.
    ReplySilent {
        /// The model turn.
        epoch: Epoch,
        /// Milliseconds heard.
        heard_ms: u64,
    },
    /// The network was late in mid-reply: silence was played until sound came.
    ReplyConcealed {
        /// The model turn.
        epoch: Epoch,
    },
    /// A sound device starved or overran and was started again.
    Xrun {
        /// `mic` or `speaker`.
        part: String,
    },
    /// The model turn is over (`turnComplete`), with the server's reason where it gave one.
    TurnOver {
        /// `turnCompleteReason`, where present.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// No answer came in time.
    NoAnswer {
        /// Milliseconds waited.
        waited_ms: u64,
    },
    /// The model called a tool.
    ToolCalled {
        /// The call.
        id: CallId,
        /// The function.
        name: String,
        /// The arguments.
        args: serde_json::Value,
    },
    /// A tool answered, and the answer was sent.
    ToolAnswered {
        /// The call.
        id: CallId,
        /// The function.
        name: String,
        /// The output, or the error sentence.
        result: Result<serde_json::Value, String>,
        /// Milliseconds it took.
        took_ms: u64,
    },
    /// The server cancelled a call.
    ToolCancelled {
        /// The call.
        id: CallId,
    },
    /// An output line changed.
    LineSet {
        /// The board profile's name of the line.
        line: String,
        /// Its level now.
        active: bool,
    },
    /// What a turn cost, by the service's count and the configured prices.
    Usage {
        /// Tokens of this turn.
        turn: Usage,
        /// Its cost, in millionths of a US dollar.
        turn_microusd: u64,
        /// Cost of the session so far.
        session_microusd: u64,
        /// Tokens of the day so far.
        day_tokens: u64,
        /// Cost of the day so far.
        day_microusd: u64,
    },
    /// Today's limit is used up: nothing is sent until the next day.
    DaySpent {
        /// A sentence: which limit, and what to do.
        why: String,
    },
    /// The reply broke off or did not come. It is asked for again unless that was done before.
    ReplyLost {
        /// The turn, where any of it came.
        #[serde(skip_serializing_if = "Option::is_none")]
        epoch: Option<Epoch>,
        /// A sentence.
        why: String,
        /// Whether it is asked for again.
        is_asked_again: bool,
    },
    /// The result of a tool that could not be given to the model, because the connection that asked for it ended.
    ToolLost {
        /// The call.
        id: CallId,
        /// The function.
        name: String,
        /// Whether the model was told what became of it.
        is_told: bool,
    },
    /// The microphone was closed, or may be opened again; `by_line` where the hardware's own switch says so.
    Muted {
        /// Whether it is closed.
        is_muted: bool,
        /// Whether the hardware's mute line says so, not a person by a gesture.
        by_line: bool,
    },
    /// The loudness was changed.
    VolumeSet {
        /// Percent.
        percent: u8,
    },
    /// A person wanted a new conversation: the old one is forgotten.
    ConversationReset,
    /// The last reply is said once more.
    ReplyRepeated {
        /// The turn under which it sounds now.
        epoch: Epoch,
    },
    /// The reply is lowered while it is decided whether somebody speaks over it, or is as loud as before.
    Ducked {
        /// Whether it is lowered.
        is_ducked: bool,
    },
    /// Whether a voice may cut a reply has changed, with the measured ERLE.
    EchoState {
        /// Whether it may.
        duplex: Duplex,
        /// ERLE, dB.
        erle_db: f32,
    },
    /// The wake word was heard.
    Woken,
    /// A voice alone may open the gate after a reply, or may no more.
    FollowUp {
        /// Whether it may.
        is_open: bool,
    },
    /// The model was told what the device had to tell.
    NoticeTold,
    /// What the device had to tell was not told.
    NoticeLost {
        /// Why.
        why: String,
    },
    /// A tool waits for a person's yes by a button.
    Asked {
        /// For so long, milliseconds.
        within_ms: u64,
    },
    /// Somebody chose voice and language for the next conversation.
    VoiceChosen {
        /// A prebuilt voice's name; empty for the service's own choice.
        voice: String,
        /// A language's English name; empty for the user's own.
        language: String,
    },
    /// The model shows something on the screen.
    Shown {
        /// A heading; may be empty, as each of the others may be.
        title: String,
        /// A text.
        text: String,
        /// An address with `https`.
        link: String,
        /// A picture's address with `https`, of a host that the owner named.
        picture: String,
    },
    /// The camera's sensor runs, or runs no more.
    CameraRuns {
        /// Whether it does.
        is_running: bool,
    },
    /// A picture went to the service.
    StillSent {
        /// Why.
        why: Occasion,
        /// Pixels.
        width: u16,
        /// Pixels.
        height: u16,
        /// Its size.
        bytes: usize,
        /// Milliseconds from the shot to the sending.
        age_ms: u64,
        /// The picture itself, for a screen or a report; it is not written with the event.
        #[serde(skip)]
        jpeg: Jpeg,
    },
    /// A job is recorded from now on, or none is any more.
    Recording {
        /// The job's name, which the device made.
        job: Option<String>,
    },
    /// A timer or an alarm rings, or rings no more.
    Ringing {
        /// Whether it rings.
        is_ringing: bool,
    },
    /// The device says something by a sound.
    Cue {
        /// What.
        cue: Cue,
    },
    /// Something is wrong that the owner should know; the sentence says what to do.
    Trouble {
        /// Which part: `mic`, `speaker`, `link`, `tools`, `line`, `light`, `state`, `mqtt`, `job_log`.
        part: String,
        /// A sentence.
        text: String,
    },
    /// A part works again.
    Recovered {
        /// Which part.
        part: String,
    },
}

/// Why a picture is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// Somebody speaks, and the device shows what is before it.
    Speaking,
    /// The model asked to look.
    Looked,
    /// Who speaks asked for it with the button.
    Shown,
}

/// How a connection takes up the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// A new conversation.
    Fresh,
    /// A new one that was told the last turns' words.
    Told,
    /// The service goes on with the old one.
    Resumed,
}

/// Why a connection was closed from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Closed {
    /// Nobody spoke for `idle_close_s`.
    Idle,
    /// The service asked for it, or its connection gets too old: another is made at once.
    Rotation,
    /// Today's limit is used up.
    Spent,
    /// A person wants a new conversation.
    Reset,
    /// The conversation was ended, by the model or by a person.
    Ended,
}
