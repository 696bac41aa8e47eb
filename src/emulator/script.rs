//! Scripts: what the emulated service does in each turn, as a small text.
//!
//! One statement a line; `#` begins a comment; lengths of time are `120ms` or `2s`; texts are in double quotes
//! (with JSON's escapes); indentation is free. Statements before the first `turn` hold for the whole
//! conversation; every `turn` begins a block. The turns are played in order, one each time the user has
//! finished; `turn *` comes last and answers every further turn; without it the last turn is repeated.
//!
//! | before the turns | meaning |
//! |---|---|
//! | `setup delay 120ms` | how long `setupComplete` takes (120ms) |
//! | `setup never` | it never comes |
//! | `setup close 1011 "reason"` | the connection is closed instead |
//! | `latency 200ms` | from the end of the user's turn, or from a tool's answer, to the first event after it |
//! | `connections continue` | a new connection goes on with the next turn; otherwise each starts at the first |
//! | `handles 2h` | how long a handle is good after its connection has ended (2h) |
//! | `handles off` | handles are neither sent nor known |
//! | `handles late 300ms` | a handle comes that long after `turnComplete`; one that is not sent in time is lost |
//! | `handles early` | a handle comes when the user's turn is committed, and another at the end of the reply |
//! | `handles withheld` | no handle is good for what happens from the user's turn to the end of the reply, as on 2.5 |
//! | `lives 590s` / `lives 9s away 3s` | a connection ends with 1008 that long after its first message, and `goAway` comes 50 s (3 s) before |
//! | `lives 58m silent` | a connection ends with 1011 and no `goAway` |
//! | `usage off` | no `usageMetadata` |
//!
//! A connection without a handle begins a session at the first turn. A handle brings its session back where it stood
//! (`sessions.rs`): turns of the user that have ended count, a reply in flight does not, and calls without an
//! answer want one before anything else.
//!
//! | style, anywhere (within a turn: from there to its end) | meaning |
//! |---|---|
//! | `pieces 8ms 60ms` | audio comes in pieces between these lengths, unevenly |
//! | `pace 10x` | how much faster than real time audio is sent (1x–1000x) |
//! | `odd on` / `off` | pieces end within a sample |
//! | `frames binary` / `text` | kind of WebSocket frame |
//! | `pack on` / `off` | several fields and parts in one event |
//! | `complete realtime` / `complete 300ms` | `turnComplete` waits until the speech would have been heard, or that long after `generationComplete` |
//!
//! | in a turn | meaning |
//! |---|---|
//! | `turn "Switch the lamp on."` | begins a block; the text is what the user is taken to have said |
//! | `turn` / `turn *` | the same without a text / the block for all further turns (a text may follow) |
//! | `say lamp_on` | a sound by name; its text becomes the output transcription |
//! | `say hello.wav "Hello."` | a sound from a WAV file beside the script, with its text |
//! | `tone 440Hz 2s "text"` | a sine (the text may be left out) |
//! | `silence 500ms` | speech that is silent |
//! | `echo` | the user's own voice of this turn |
//! | `caption "text"` | output transcription without sound |
//! | `thought "text"` | a part that is thought, not said |
//! | `wait 300ms` | nothing for a while |
//! | `call set_lamp {"on": true}` | a tool call, then waits for its answer; `call`s in a row go in one event |
//! | `start fetch_news {}` | a tool call that is not waited for |
//! | `await` | waits for all open calls |
//! | `call! x {}`, `start! x {}` | the same even if the client did not declare the function (otherwise it is skipped) |
//! | `cancel` | takes all open calls back |
//! | `see 1` | the turn must have been shown so many pictures by now, in its window and with answers; otherwise the connection is closed with 1008 |
//! | `interrupt` | `interrupted`, `turnComplete`; the rest of the block is dropped |
//! | `stall` | nothing more comes in this turn, not even `turnComplete` |
//! | `go-away 50s` | the connection will be closed |
//! | `raw {"usageMetadata": {}}` | this event, as it stands |
//! | `garbage "text"` | a message that is not JSON |
//! | `empty` | an event with an empty `serverContent` |
//! | `close 1011 "reason"` | closes the connection; 1006 cuts it without a close frame |

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

pub use super::parse::ScriptError;
use super::sounds::Sounds;

/// Turns in a script.
pub const TURNS_MAX: usize = 1024;
/// Statements in a turn.
pub const STEPS_MAX: usize = 1024;
/// Sound in a script, all of it: 86 MB, where 1024 turns of 1024 sounds of a minute would be more than any memory.
pub const SCRIPT_SOUND_MAX: Duration = Duration::from_secs(1800);
/// Bytes of a script.
pub const SCRIPT_MAX: usize = 1 << 20;

/// A parsed script.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    pub(super) setup: SetupPlan,
    pub(super) setup_delay: Duration,
    pub(super) latency: Duration,
    pub(super) style: Style,
    /// At least one.
    pub(super) turns: Vec<Turn>,
    pub(super) continues: bool,
    pub(super) handles: Handles,
    /// How long a connection lives; for ever where there is none.
    pub(super) life: Option<Life>,
    /// Whether turns end with `usageMetadata`.
    pub(super) usage: bool,
}

/// Resumption handles: when they come, and how long they are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handles {
    pub(super) hand_out: HandOut,
    /// From the end of the connection.
    pub(super) valid: Duration,
}

impl Default for Handles {
    fn default() -> Handles {
        // As documented (live-protocol.md 6).
        Handles { hand_out: HandOut::TurnEnd, valid: Duration::from_secs(2 * 3600) }
    }
}

/// When a handle comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HandOut {
    Never,
    TurnEnd,
    /// That long after the end of the turn.
    Late(Duration),
    /// At the end of the turn, and when the user's turn is committed.
    Early,
    /// At the end of the turn, and what happens before is lost to the newest handle.
    Withheld,
}

/// How long a connection lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) length: Duration,
    /// How long before its end `goAway` comes; never where there is none. Less than the length.
    pub(super) away: Option<Duration>,
}

/// What `setup` is answered with.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum SetupPlan {
    Complete,
    Never,
    Close { code: u16, reason: String },
}

/// A block of the script.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Turn {
    /// What the user is taken to have said.
    pub(super) heard: Option<String>,
    pub(super) steps: Vec<Step>,
}

/// A statement in a block.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    Wait(Duration),
    /// `[frames, 1 channel] S16 @ 24 kHz`, and its text.
    Speak(Arc<[i16]>, String),
    Echo,
    Caption(String),
    Thought(String),
    Call(ScriptedCall),
    Start(ScriptedCall),
    Await,
    Cancel,
    Interrupt,
    See(usize),
    Stall,
    GoAway(Duration),
    Raw(Value),
    Garbage(String),
    Empty,
    Close {
        code: u16,
        reason: String,
    },
    Style(StyleChange),
}

/// A tool call as the script has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ScriptedCall {
    pub(super) name: String,
    pub(super) args: Value,
    /// Whether it is made even if the client did not declare the function.
    pub(super) forced: bool,
}

/// Which WebSocket frame an event travels in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// As the service does.
    Binary,
    /// As old tutorials expect.
    Text,
}

/// When `turnComplete` follows `generationComplete`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Completion {
    /// When the speech would have been heard.
    RealTime,
    /// That long after.
    After(Duration),
}

/// How speech is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    /// Shortest and longest piece of audio.
    pub(super) pieces: (Duration, Duration),
    /// How many times faster than real time.
    pub(super) pace: u32,
    pub(super) odd: bool,
    pub(super) frames: FrameKind,
    pub(super) packed: bool,
    pub(super) completion: Completion,
}

impl Default for Style {
    fn default() -> Style {
        Style {
            pieces: (Duration::from_millis(8), Duration::from_millis(60)),
            pace: 10,
            odd: false,
            frames: FrameKind::Binary,
            packed: false,
            completion: Completion::RealTime,
        }
    }
}

/// A change of one thing in a [`Style`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StyleChange {
    Pieces(Duration, Duration),
    Pace(u32),
    Odd(bool),
    Frames(FrameKind),
    Packed(bool),
    Completion(Completion),
}

impl Style {
    /// This style with `change` made.
    pub(super) fn change(&mut self, change: StyleChange) {
        match change {
            StyleChange::Pieces(shortest, longest) => self.pieces = (shortest, longest),
            StyleChange::Pace(pace) => self.pace = pace,
            StyleChange::Odd(odd) => self.odd = odd,
            StyleChange::Frames(frames) => self.frames = frames,
            StyleChange::Packed(packed) => self.packed = packed,
            StyleChange::Completion(completion) => self.completion = completion,
        }
    }
}

/// The script of `mynah emulator`: it repeats what it hears, for anyone's client.
const DEFAULT: &str = include_str!("scripts/echo.txt");

impl Script {
    /// Reads a script. Sounds are taken from `sounds`, WAV files too, under their name in the script (see
    /// [`Script::files`]). An error names the line and what would be right.
    pub fn parse(text: &str, sounds: &Sounds) -> Result<Script, ScriptError> {
        super::parse::script(text, sounds)
    }

    /// The WAV files that a script says, with the line of each: what the shell loads into the sounds before
    /// [`Script::parse`].
    pub fn files(text: &str) -> Vec<(usize, String)> {
        super::parse::files(text)
    }

    /// The bundled script: repeats what it hears.
    pub fn echo() -> Script {
        #[expect(clippy::expect_used, reason = "a unit test parses the bundled script")]
        Script::parse(DEFAULT, &Sounds::new()).expect("the bundled script is sound")
    }

    /// Whether a new connection goes on where the last one stopped.
    pub fn continues(&self) -> bool {
        self.continues
    }

    /// The block for the turn with that number, from 0.
    pub(super) fn turn(&self, number: usize) -> &Turn {
        &self.turns[number.min(self.turns.len() - 1)]
    }
}
