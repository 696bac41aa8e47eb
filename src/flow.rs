//! Every message that crosses a thread: its class on interruption, its queue limit and its policy when full.
//!
//! | from → to | type | limit | when full |
//! |---|---|---|---|
//! | mic → gate | [`Hop`](crate::audio::Hop) | [`MIC_RING_HOPS`] | the oldest are discarded and counted |
//! | button → gate | [`Edge`](crate::hw::Edge) | [`EDGES_MAX`] | the edge is counted as lost; the level is read again |
//! | core → gate | [`GateNote`] | [`NOTES_MAX`] | the newest of each kind is kept and tried again |
//! | speaker → gate, the far-end copy | [`Hop`](crate::audio::Hop) | [`FAR_RING_HOPS`] | the oldest are discarded: the canceller finds the way anew |
//! | panel, buttons → core | [`Control`] | [`CONTROLS_MAX`] | the newest is left out, and whoever gave it is told |
//! | gate → core | [`GateEvent`] | [`GATE_EVENTS_MAX`] | the gate waits; the mic ring behind it takes up the slack |
//! | core → link | [`LinkOrder`] | [`LINK_ORDERS_MAX`] | the link is dead: close it and open another |
//! | link → core | [`LinkReport`] | [`LINK_EVENTS_MAX`] | the link stops reading; TCP holds the server back |
//! | core → speaker | [`SpeakerOrder`] | [`SPEAKER_QUEUE_MS`] of sound | the turn is ended and traced; ends and flushes are kept |
//! | speaker → core | [`SpeakerFact`] | [`SPEAKER_FACTS_MAX`] | coalesced |
//! | core → keeper | what outlives the program | the newest | it replaces the one before; the disk is never waited for |
//! | core → tools | [`ToolOrder`] | [`TOOL_ORDERS_MAX`] | the call is answered with "busy" |
//! | tools → core | [`ToolReply`] | [`TOOL_ORDERS_MAX`] | the errand waits |
//! | core → eyes | [`EyeWish`] | the newest counts |
//! | eyes → core | [`Shot`] | [`SHOTS_MAX`] | the picture is left out: the next one is newer |
//! | tools → eyes | a wish to look | [`LOOKS_MAX`] | the call is answered with "busy" |
//! | tools → job log | [`JobOrder`] | [`JOB_ORDERS_MAX`] | the call is answered with "busy" |
//! | all → job log | [`Event`] | [`JOB_EVENTS_MAX`] | it is left out and counted; the log says how many |
//! | tools → core | the tools of servers | [`TOOL_LISTS_MAX`] | the list is left out, and given again with the next |
//!
//! Classes. *Now* (overtakes): [`SpeakerOrder::Flush`], [`ToolOrder::Cancel`].
//! *Ordered* (dropped by epoch): [`SpeakerOrder::Play`], [`SpeakerOrder::End`]. *Kept* (delivered once or
//! cancelled once): [`ToolReply`], [`GateEvent::Speech`].

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::audio::{Chunk, Speech};
use crate::still::Still;
use crate::units::{CallId, Epoch, Time};

/// Hops between mic and gate: 500 ms, enough for a gate that was not scheduled while the other core compiled.
pub const MIC_RING_HOPS: usize = 50;
/// Hops of the far-end copy between speaker and gate: 500 ms.
pub const FAR_RING_HOPS: usize = 50;
/// Orders of people between whoever takes them and the core.
pub const CONTROLS_MAX: usize = 16;
/// Edges between button and gate.
pub const EDGES_MAX: usize = 64;
/// Notes between core and gate.
pub const NOTES_MAX: usize = 16;
/// Events between gate and core.
pub const GATE_EVENTS_MAX: usize = 64;
/// Orders between core and link.
pub const LINK_ORDERS_MAX: usize = 256;
/// Events between link and core.
pub const LINK_EVENTS_MAX: usize = 256;
/// Sound between core and DAC, in milliseconds.
pub const SPEAKER_QUEUE_MS: u64 = 60_000;
/// Orders between core and speaker; a server that sends 60 s in 20 ms pieces sends 3000.
pub const SPEAKER_ORDERS_MAX: usize = 4096;
/// Facts between speaker and core.
pub const SPEAKER_FACTS_MAX: usize = 64;
/// Orders between core and tools.
pub const TOOL_ORDERS_MAX: usize = 8;
/// Lists of servers' tools between the errands and the core; each server has a new one once a minute at most.
pub const TOOL_LISTS_MAX: usize = 16;
/// Pictures between eyes and core: one for each way they are sent, and one more.
pub const SHOTS_MAX: usize = 3;
/// Calls that wait for a picture.
pub const LOOKS_MAX: usize = 4;
/// Events between everyone and the job log; a disk that hangs for seconds meets no more than that.
pub const JOB_EVENTS_MAX: usize = 256;
/// User speech kept while the link is down or not ready, in milliseconds.
pub const SPEECH_KEPT_MS: u64 = 30_000;

/// Why a window of speech opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OpenCause {
    /// The button.
    Button,
    /// The voice detector.
    Voice,
}

/// Why a window of speech closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseCause {
    /// The button was released (or tapped again), and the tail has passed.
    Released,
    /// Silence longer than the hangover.
    Silence,
    /// The longest turn the configuration allows.
    TooLong,
    /// The press turned out too short to be meant; what was sent is not to be answered.
    Mistake,
    /// The microphone was lost or muted in mid-speech.
    MicLost,
}

/// Why a press never became a window: nothing of it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DropCause {
    /// Shorter than `min_press_ms`.
    TooShort,
    /// Held, but nothing louder than `silence_db` and no voice in it; or a wake word that nothing followed.
    OnlySilence,
    /// It said something beside talking: [`GateEvent::Gesture`] follows, or the core took it for an answer
    /// ([`GateNote::Abort`]).
    Gesture,
    /// The microphone is closed; it may still become a gesture.
    Muted,
}

/// What the talk button says beside talking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Gesture {
    /// Two taps: say the last reply once more.
    Repeat,
    /// Two taps, where they mean that: what is said in the second one is asked with a picture.
    Look,
    /// A long press without a word: mute, or unmute.
    Mute,
    /// A very long one: begin a new conversation.
    Reset,
}

/// What a person, or a part of the device, wants of the conversation, by whatever way it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// Loudness, percent, 0–100.
    Volume(u8),
    /// Louder (positive) or softer by so many percent.
    VolumeBy(i8),
    /// Close the microphone, or open it again.
    Mute(bool),
    /// Silence now: the reply that plays is over.
    Stop,
    /// Say the last reply once more.
    Repeat,
    /// Begin a new conversation.
    Reset,
    /// A visitor is gone: the same, and what they set to ring does not.
    VisitOver,
    /// The conversation is over once the present reply has been heard: no follow-up, and the connection rests.
    End,
    /// Open the microphone for what is said next, as the wake word does.
    Listen,
    /// A tap of the talk button within this time says yes to what a tool asked.
    AskTap(Duration),
    /// Somebody said yes by a button of its own.
    Confirm,
    /// Tell the model this when nobody speaks and nothing is said; it says aloud what comes of it.
    Tell(Arc<str>),
    /// A timer or an alarm rings from now on (true) until a person stops it or this says so (false).
    Ring(bool),
    /// A person has heard what rings. Nothing else is stopped by it.
    Hush,
    /// Voice and language of the next conversation that begins anew; one that is taken up keeps its own. Empty for
    /// what the agent file says, none for no change. Forgotten with the program's end.
    Voice {
        /// A prebuilt voice's name.
        voice: Option<Arc<str>>,
        /// A language's English name.
        language: Option<Arc<str>>,
    },
}

/// Whether a voice may cut a reply now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Duplex {
    /// It may: the canceller does its work.
    Full,
    /// The microphone is closed while the loudspeaker is audible; the button still cuts.
    Half,
}

/// What the gate tells the core. [`GateEvent::Speech`] is *kept*, the others are ordered with it.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::large_enum_variant, reason = "by value, so that the gate need not allocate")]
pub enum GateEvent {
    /// The talk button went down: a reply that is playing must stop now, before any speech is found.
    Pressed,
    /// The talk button came up.
    Released,
    /// A window opened; at least one [`GateEvent::Speech`] follows, pre-roll first.
    Opened(OpenCause),
    /// Speech of the open window, in order, without gaps.
    Speech(Speech),
    /// The window closed.
    Closed(CloseCause),
    /// A press was dropped here.
    Dropped(DropCause),
    /// Hops that were lost between microphone and gate since the last event (count).
    Lost(u32),
    /// The button said something beside talking.
    Gesture(Gesture),
    /// Somebody may have begun to speak over a reply (true); the reply is ducked until it is decided. False: it was
    /// nothing. A window that opens decides it too.
    Suspect(bool),
    /// The echo canceller does its work, or does not, with the ERLE it measured last, dB.
    Echo {
        /// Whether a voice may cut a reply.
        duplex: Duplex,
        /// ERLE, dB.
        erle_db: f32,
    },
    /// The wake word was heard: what is said next is meant for the device. It ends as a press does, with
    /// [`GateEvent::Opened`], [`GateEvent::Dropped`] or a press.
    Woken,
    /// A time in which a voice alone may open the gate began (true) or ended.
    FollowUp(bool),
}

/// What the core tells the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateNote {
    /// Whether the loudspeaker is audible (from the first frame of a reply until drained).
    SpeakerAudible(bool),
    /// Close an open window now and ignore the current press (an error the user was told of).
    Abort,
    /// Open no window (true) until told otherwise; one that is open is closed as a mistake. Gestures go on.
    Mute(bool),
    /// A reply was heard to its end: a voice alone may open the gate for `follow_up_s`, once the echo has died away
    /// (true); or another reply has begun, and it may not any more.
    FollowUp(bool),
    /// What is said next is meant for the device, as after the wake word.
    Listen,
}

/// What the core tells the link, in order; where there is no room for one, the connection is ended at once.
#[derive(Clone, Debug)]
pub enum LinkOrder {
    /// Open a connection (address and credential are the link's own business); one that is open is dropped.
    Open {
        /// Its number: what comes of it carries it too, so that an old one's end is not taken for a new one's.
        attempt: u32,
        /// Whether a token that was used before will do: the service takes one again for a conversation that goes
        /// on, not for a fresh one. Means nothing where a key is used.
        is_same_token: bool,
    },
    /// Send one message.
    Send(crate::live::client::Message),
    /// Ask for a sign of life: a WebSocket ping.
    Ping,
    /// Close the connection with code 1000.
    Close,
}

/// What the link tells the core: an event of one attempt.
#[derive(Clone, Debug)]
pub struct LinkReport {
    /// The number that [`LinkOrder::Open`] gave it.
    pub attempt: u32,
    /// What happened.
    pub event: LinkEvent,
}

/// What happened to a connection.
#[derive(Clone, Debug)]
pub enum LinkEvent {
    /// The WebSocket is open (101 seen).
    Connected,
    /// A sign of life that is no message: a ping, or the answer to one.
    Alive,
    /// A message from the server.
    Message(Box<crate::live::server::Message>),
    /// A frame that could not be read as a message; how it begins is in the text.
    Garbage(String),
    /// The connection ended, or could not be made.
    Down(crate::live::close::Closing),
}

/// What the core tells the speaker.
#[derive(Clone, Debug)]
pub enum SpeakerOrder {
    /// Play this after what is queued; dropped if `epoch` was flushed.
    Play {
        /// The model turn.
        epoch: Epoch,
        /// The sound.
        chunk: Chunk,
    },
    /// No more sound comes for `epoch`: play out and report [`SpeakerFact::Drained`].
    End {
        /// The model turn.
        epoch: Epoch,
    },
    /// Silence now; everything of `epoch` and before is worthless. Overtakes.
    Flush {
        /// The last epoch to die.
        epoch: Epoch,
    },
    /// Loudness from now on, 0–100.
    Volume(u8),
    /// A short sound of the device itself, at once, whatever else is playing; no flush cuts it.
    Cue(Cue),
    /// A reply is to be expected: play silence from now on, so that the converter is awake when it comes.
    Wake,
    /// Lower the reply (true) while it is decided whether somebody speaks over it.
    Duck(bool),
}

/// What the device says by a sound of its own, shorter than half a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cue {
    /// The reply broke off or did not come; it is asked for again.
    Again,
    /// Something that was said is lost: say it again.
    Lost,
    /// There is no connection now; what is said is kept for a while.
    Offline,
    /// Today's limit is used up.
    Spent,
    /// The microphone is open: speak.
    Listening,
    /// What was said has been taken.
    Heard,
    /// An answer is being thought of and takes longer than usual.
    Thinking,
    /// Something is wrong with the device itself: a microphone that gives nothing, a tool that failed.
    Error,
    /// The microphone is closed.
    Muted,
    /// The microphone may be opened again.
    Unmuted,
    /// A new conversation has begun.
    Reset,
    /// A timer has run out, or it is the time of an alarm; sounds again and again.
    Ring,
}

/// What the speaker tells the core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpeakerFact {
    /// The first frame of `epoch` was handed to the device and the device runs.
    Started {
        /// The model turn.
        epoch: Epoch,
    },
    /// Sound of `epoch` that the device has really played, in milliseconds (latest wins).
    Heard {
        /// The model turn.
        epoch: Epoch,
        /// Milliseconds of the reply.
        heard_ms: u64,
    },
    /// All of `epoch` was heard.
    Drained {
        /// The model turn.
        epoch: Epoch,
        /// Milliseconds of the reply.
        heard_ms: u64,
    },
    /// `epoch` was cut.
    Flushed {
        /// The model turn.
        epoch: Epoch,
        /// Milliseconds of the reply that were heard before silence.
        heard_ms: u64,
    },
    /// The network was late in mid-turn: silence was played (with a fade) until sound came.
    Concealed {
        /// The model turn.
        epoch: Epoch,
    },
    /// `epoch` ran over [`SPEAKER_QUEUE_MS`]: the rest of it is refused, and it ends with what is queued.
    Full {
        /// The model turn.
        epoch: Epoch,
    },
    /// A cue was ordered and is not over: the loudspeaker is audible.
    CueStarted,
    /// No cue sounds any more.
    CueOver,
    /// The device starved or slept and was started again.
    Xrun,
    /// The device cannot be used; the speaker keeps trying. The sentence is for the owner.
    Trouble(String),
    /// The device works again.
    Recovered,
}

/// What the microphone tells the core (through the gate's thread, rare).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MicFact {
    /// Frames were lost to an overrun, and capture goes on.
    Xrun,
    /// The device cannot be used; the mic keeps trying. The sentence is for the owner.
    Trouble(String),
    /// The device works (again).
    Running,
    /// It was closed because it was lost or dead, and could be opened again.
    Reopened,
    /// The hardware's mute line became active (true) or inactive: while it is, no hop leaves the microphone's thread.
    Muted(bool),
}

mod event;
mod job;

pub use event::{Closed, Event, Occasion, Start, What};
pub use job::{JOB_ORDERS_MAX, JobOrder};

pub use crate::live::server::Call;
pub use crate::live::usage::Usage;

/// What the core tells the tools.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolOrder {
    /// Check the arguments and run the action; answer once.
    Run(Call),
    /// The same, for the owner, by hand: through the same checks, but allowed whoever may call.
    ByHand(Call),
    /// Stop the call and undo what can be undone; no answer is wanted.
    Cancel(CallId),
    /// A person said yes by the button.
    Tapped,
    /// What a person has said in this turn so far, where a tool asks for a spoken yes.
    Heard {
        /// All of the turn that is understood yet.
        text: String,
        /// When the turn began.
        began_at: Time,
    },
    /// The connection to the service was lost.
    Offline,
    /// A person stopped what rings.
    Hushed,
    /// A visitor is gone: what the model set to ring for them is cancelled.
    VisitOver,
}

/// What the core wants of the camera.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum EyeWish {
    /// Nothing; the sensor runs only where a call asks for a picture.
    #[default]
    Rest,
    /// Nothing, and no call gets a picture either: the device is muted.
    Shut,
    /// The sensor is to run: a picture will be wanted.
    Watch,
    /// A picture, now; then as [`EyeWish::Watch`].
    Take,
}

/// A picture for the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shot {
    /// The picture.
    pub still: Still,
    /// Who wanted it.
    pub why: Occasion,
}

/// The result of a call. *Kept*: delivered once or cancelled once.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolReply {
    /// The server's id.
    pub id: CallId,
    /// The function's name.
    pub name: String,
    /// The output as JSON, or a sentence for the model that says what was wrong.
    pub result: Result<serde_json::Value, String>,
}

/// How long the core may sleep at most when no deadline is set.
pub const IDLE_WAIT: Duration = Duration::from_secs(3600);
