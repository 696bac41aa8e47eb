//! The agent file, `mynah.toml`: model, voice, listening, tools, limits.
//!
//! The types are here; `read.rs` holds the keys with their ranges and defaults, `tool.rs` those of `[[tools]]`.

pub mod action;
pub mod audit;
pub mod body;
pub mod device;
mod ears;
pub mod endpoint;
pub mod fleet;
pub mod home;
pub mod job_log;
pub mod kiosk;
pub mod mcp;
mod model;
pub mod mqtt;
pub mod overlay;
pub mod panel;
pub mod policy;
pub mod read;
pub mod schema;
pub mod secrets;
pub mod see;
mod session;
mod speak;
pub mod template;
pub mod tool;
pub mod watch;

use serde_json::Value;

use super::problem::Problem;
pub use action::Action;

/// Reads an agent file from its text; `file` is its name for the messages.
///
/// # Errors
/// Everything that is wrong with it, in line order.
pub fn parse(text: &str, file: &str) -> Result<Agent, Vec<Problem>> {
    read::parse(text, file)
}

impl Default for Agent {
    /// What holds where the file says nothing.
    fn default() -> Agent {
        read::defaults()
    }
}

/// Everything an owner can say about the agent (not about the board).
#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    /// The model's id, without `models/`.
    pub model: String,
    /// What to use instead where the service does not know `model` (any more), without `models/`.
    pub fallback_model: Option<String>,
    /// How much a model thinks that takes a level; its row of the table says which and which is usual.
    pub thinking_level: Option<ThinkingLevel>,
    /// Prebuilt voice; the service's own choice where absent.
    pub voice: Option<String>,
    /// Language to answer in (a name, `German`); the model chooses where absent.
    pub language: Option<String>,
    /// System instruction.
    pub instruction: String,
    /// WebSocket address of the service; `ws://` only for loopback addresses.
    pub endpoint: String,
    /// File with extra trusted certificates (PEM), beside the built-in roots.
    pub extra_ca: Option<std::path::PathBuf>,
    /// File that holds the API key; the environment variable `GEMINI_API_KEY` wins.
    pub key_file: Option<std::path::PathBuf>,
    /// Address that answers a GET with an ephemeral token, instead of a key (`mynah token` makes them).
    pub token_url: Option<String>,
    /// How to listen.
    pub listen: Listen,
    /// What presses of the talk button mean beside talking.
    pub gestures: Gestures,
    /// What becomes of the loudspeaker's sound in the microphone, and of noise.
    pub echo: Echo,
    /// The wake word.
    pub wake: Wake,
    /// How to speak.
    pub speak: Speak,
    /// When the camera is looked through.
    pub see: see::See,
    /// How long a conversation holds, and what is kept of it.
    pub session: Keeping,
    /// Limits.
    pub limits: Limits,
    /// What tokens cost.
    pub prices: Prices,
    /// The MQTT broker, where there is one.
    pub mqtt: Option<mqtt::Mqtt>,
    /// What is told to the owner of many devices, and whose configurations are taken; none where there is one device.
    pub fleet: Option<fleet::Fleet>,
    /// What of tool calls is written down.
    pub audit: audit::Audit,
    /// The page that the device serves, where there is one.
    pub panel: Option<panel::Panel>,
    /// When a visitor is gone.
    pub kiosk: kiosk::Kiosk,
    /// Whether jobs are recorded, and how.
    pub job_log: job_log::JobLog,
    /// Names of secrets and the files that hold them.
    pub secrets: secrets::Secrets,
    /// The only hosts that actions of the kind `http` may ask.
    pub hosts: Vec<action::address::Host>,
    /// Home Assistant, and what of it may be used.
    pub home: Option<home::HomeAssistant>,
    /// The tools the model may call.
    pub tools: Vec<Tool>,
    /// Servers whose tools it may call, too.
    pub mcp: Vec<mcp::McpServer>,
    /// What the model is told by itself.
    pub watches: Vec<watch::Watch>,
}

/// What opens the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenMode {
    /// The talk button.
    PushToTalk,
    /// The voice detector; the button, where there is one, still cuts a reply and opens the gate.
    HandsFree,
    /// A wake word, then the voice detector until nothing more is said; the button as in push-to-talk. Without a
    /// usable model only the button.
    WakeWord,
}

/// What a press means in [`ListenMode::PushToTalk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ButtonStyle {
    /// Talk while held.
    Hold,
    /// A tap opens, the next tap closes.
    Tap,
    /// A press shorter than `tap_max_ms` is a tap, a longer one a hold.
    HoldOrTap,
}

/// What a voice may do while the loudspeaker is audible (hands-free).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoiceBargeIn {
    /// Nothing: the microphone is ignored until the reply is over and `echo_tail_ms` has passed.
    Off,
    /// It cuts the reply where it is more than what is left of the echo; nothing while the canceller does not do
    /// its work (half duplex).
    Auto,
    /// It cuts the reply. For headsets and boards without echo.
    On,
}

/// The voice detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VadKind {
    /// The WebRTC project's Gaussian mixture.
    WebRtc,
    /// A small neural network.
    Neural,
}

/// `[listen]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Listen {
    /// What opens the gate.
    pub mode: ListenMode,
    /// What a press means.
    pub button: ButtonStyle,
    /// Voice during a reply.
    pub voice_barge_in: VoiceBargeIn,
    /// Speech needed before a segment opens, ms, 10–500.
    pub onset_ms: u32,
    /// Silence tolerated before a segment closes, ms, 100–5000.
    pub hangover_ms: u32,
    /// Sound kept from before the onset and sent first, ms, 0–2000.
    pub preroll_ms: u32,
    /// Sound still sent after the button's release, ms, 0–2000.
    pub tail_ms: u32,
    /// Shorter presses are mistakes, ms, 0–500.
    pub min_press_ms: u32,
    /// Presses up to this length are taps, ms, 100–1000.
    pub tap_max_ms: u32,
    /// Below this level there is only silence, unless the detector hears a voice, dBFS, -90–-20.
    pub silence_db: f32,
    /// The voice detector.
    pub vad: VadKind,
    /// The WebRTC detector's mode: 0 lets most through, 3 least.
    pub vad_mode: u8,
    /// With barge-in off: how long after the reply sound is no sign that somebody speaks, ms, 0–2000. A hold that
    /// began before sends it all the same once there is one.
    pub echo_tail_ms: u32,
    /// Sound in one message, ms: 20, 30 or 40 (a whole number of hops).
    pub message_ms: u32,
    /// The longest turn, s, 5–600.
    pub turn_max_s: u32,
    /// How long a voice may open the gate after a reply without button or wake word, s, 0–60; 0 for never.
    pub follow_up_s: u32,
    /// A microphone that gives only zeros or a flat line for so long is opened again, s, 2–600.
    pub dead_mic_s: u32,
}

/// What a tap of the button opens until.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TapEnds {
    /// Silence longer than the hangover, or the next tap.
    Silence,
    /// The next tap.
    Tap,
}

/// Something that is on or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// It is.
    On,
    /// It is not.
    Off,
}

/// What two taps of the button mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TwoTaps {
    /// The last reply once more.
    Repeat,
    /// The second one is for talking, as any other press, and what is said in it is sent with a picture.
    Look,
    /// Two taps.
    Off,
}

/// `[gestures]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Gestures {
    /// What ends a tap's window.
    pub tap_ends: TapEnds,
    /// What two taps mean.
    pub two_taps: TwoTaps,
    /// A long press without a word mutes and unmutes.
    pub long_mutes: Switch,
    /// A very long one without a word begins a new conversation.
    pub very_long_resets: Switch,
    /// From the first tap's release to the second tap's press at most, ms, 100–1000.
    pub double_ms: u32,
    /// A press is long from here, ms, 1000–10000.
    pub long_ms: u32,
    /// … and very long from here, ms, 3000–30000; more than `long_ms`.
    pub very_long_ms: u32,
}

/// When the echo canceller works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canceller {
    /// On 64-bit boards; a 32-bit one cannot afford it (dependencies.md 3).
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// How strongly noise is suppressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoiseSuppression {
    /// Not at all.
    Off,
    /// 6 dB.
    Low,
    /// 12 dB.
    Moderate,
    /// 18 dB.
    High,
}

/// `[echo]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Echo {
    /// Whether there is a canceller.
    pub canceller: Canceller,
    /// How strongly noise is suppressed in what is sent.
    pub noise_suppression: NoiseSuppression,
    /// Whether soft speech is made louder in what is sent.
    pub gain_control: Switch,
    /// Below this ERLE a voice does not cut a reply (half duplex), dB, 0–40.
    pub full_duplex_db: f32,
    /// What the sound takes from the loudspeaker's converter to the microphone's beyond what ALSA says, ms,
    /// 0–500; `mynah doctor` measures it. The canceller finds it by itself where it is less than 250 ms.
    pub delay_ms: u32,
}

/// `[wake]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Wake {
    /// What `mynah wake record` made; without it there is only the button.
    pub word_file: Option<std::path::PathBuf>,
    /// How easily it is heard, percent, 0–100; more finds more and errs more.
    pub sensitivity_percent: u32,
}

/// `[speak]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Speak {
    /// Loudness, percent, 0–100.
    pub volume_percent: u8,
    /// Fill before a reply starts, ms, 0–500.
    pub prebuffer_ms: u32,
    /// The device's own sounds.
    pub cues: Cues,
    /// Folder whose `NAME.wav` replace the device's own sounds.
    pub sounds: Option<std::path::PathBuf>,
    /// How long the loudspeaker's converter is kept awake after a reply, s, 0–600.
    pub stay_awake_s: u32,
}

/// Whether the device says by short sounds of its own what it has no other way to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cues {
    /// It does.
    On,
    /// Only what is wrong and what was changed, not every step of a conversation.
    Few,
    /// It is silent but for replies: for places where a screen or a light says the same.
    Off,
}

/// How much a model thinks before it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThinkingLevel {
    /// `MINIMAL`.
    Minimal,
    /// `LOW`.
    Low,
    /// `MEDIUM`.
    Medium,
    /// `HIGH`.
    High,
}

/// When there is a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// Speech opens it, `idle_close_s` without any closes it; the conversation goes on with the next one.
    OnDemand,
    /// There always is one.
    KeepOpen,
}

/// What of a conversation outlives the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Nothing: each start is a new conversation.
    Nothing,
    /// The service's handle, with which the conversation goes on after a restart; no words.
    Handle,
    /// The handle, and the last turns' text for where the handle has expired.
    HandleAndWords,
}

/// `[session]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Keeping {
    /// When there is a connection.
    pub connection: Connection,
    /// Idle for this long, an on-demand connection is closed, s, 5–3600.
    pub idle_close_s: u32,
    /// What is kept on disk.
    pub keep: Keep,
    /// Turns whose text is kept to tell a fresh session of them, 0–50.
    pub history_turns: u32,
    /// Size of the context at which the service shortens it, tokens; its own choice where absent.
    pub compress_at_tokens: Option<u32>,
    /// … and to which; its own choice where absent.
    pub compress_to_tokens: Option<u32>,
}

/// `[prices]`: US dollars for a million tokens, as of a day.
#[derive(Clone, Debug, PartialEq)]
pub struct Prices {
    /// The day the prices are of, `2026-11-20`.
    pub as_of: String,
    /// Text in.
    pub text_in: f32,
    /// Sound in.
    pub audio_in: f32,
    /// Pictures in.
    pub image_in: f32,
    /// Text out, thoughts and transcripts with it.
    pub text_out: f32,
    /// Sound out.
    pub audio_out: f32,
}

/// `[limits]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// From `setup` to `setupComplete`, ms, 1000–60000.
    pub setup_timeout_ms: u32,
    /// From the end of the user's turn to the first sign of life, ms, 1000–60000.
    pub answer_timeout_ms: u32,
    /// No more of a reply that has begun for this long, and it is given up, ms, 1000–120000.
    pub progress_timeout_ms: u32,
    /// Tokens a day; none where absent.
    pub day_tokens: Option<u32>,
    /// US dollars a day, by `[prices]`; none where absent.
    pub day_usd: Option<f32>,
    /// From a call to its answer unless the tool says otherwise, ms, 100–60000.
    pub tool_timeout_ms: u32,
}

impl Agent {
    /// The policies of all tools, of those that servers bring along, too.
    pub fn policies(&self) -> impl Iterator<Item = &policy::Policy> {
        let of_servers = self.mcp.iter().flat_map(|server| &server.allow).map(|allowed| &allowed.policy);
        self.tools.iter().map(|tool| &tool.policy).chain(of_servers)
    }
}

/// Whether the model waits silently for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behavior {
    /// It waits.
    Blocking,
    /// It may go on talking.
    NonBlocking,
}

/// `[[tools]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// Function name the model sees.
    pub name: String,
    /// When to call it, for the model.
    pub description: String,
    /// Parameters: an OpenAPI-subset schema with upper-case types (`OBJECT` at the top); absent for none.
    pub parameters: Option<Value>,
    /// Whether the model waits.
    pub behavior: Behavior,
    /// Time limit, ms.
    pub timeout_ms: u32,
    /// What it does.
    pub action: Action,
    /// What must hold before it does it.
    pub policy: policy::Policy,
}

impl Tool {
    /// A tool without parameters that the model waits for, ten seconds at most; it is described by its name.
    pub fn new(name: &str, action: Action) -> Tool {
        Tool {
            name: name.to_string(),
            description: name.replace('_', " "),
            parameters: None,
            behavior: Behavior::Blocking,
            timeout_ms: 10_000,
            action,
            policy: policy::Policy::default(),
        }
    }
}

impl Tool {
    /// Whether lines say when it may be on.
    pub fn is_interlocked(&self) -> bool {
        self.policy.interlocks().next().is_some()
    }

    /// Whether what it switches goes to rest when the connection is lost.
    pub fn rests_offline(&self) -> bool {
        self.policy.when_offline == policy::WhenOffline::Rest
    }
}
