//! The agent file's keys (type, range, default and what they mean) and how they become an [`Agent`].

use toml::de::DeTable;

use super::super::key::{AnyKey, Choice, Key, Need, Number, Path, Text, Whole, any_text, one_line};
use super::super::problem::Problem;
use super::super::read::{Reader, Section, Sheet};
use super::{
    Agent, ButtonStyle, Keep, Limits, Listen, ListenMode, ThinkingLevel, VadKind, VoiceBargeIn, action, audit, device,
    ears, endpoint, fleet, home, job_log, kiosk, mcp, model, mqtt, overlay, panel, policy, secrets, see, session,
    speak, tool, watch,
};

/// Models are named as of 2026-11-20; 3.8-live is the one without a shutdown date (live-protocol.md 0).
const MODEL: Key<Text> = Key {
    name: "model",
    kind: Text { what: "the model's id", chars_max: 128, check: model::id, default: "gemini-3.8-live" },
    need: Need::Defaults,
    doc: "The model's id, without `models/`.",
};
const FALLBACK_MODEL: Key<Text> = Key {
    name: "fallback_model",
    kind: Text { what: "a model's id", chars_max: 128, check: model::id, default: "" },
    need: Need::Optional,
    doc: "What to use instead where the service does not know `model` (any more).",
};
const THINKING_LEVEL: Key<Choice<ThinkingLevel>> = Key {
    name: "thinking_level",
    kind: Choice {
        options: &[
            ("minimal", ThinkingLevel::Minimal),
            ("low", ThinkingLevel::Low),
            ("medium", ThinkingLevel::Medium),
            ("high", ThinkingLevel::High),
        ],
        default: ThinkingLevel::Low,
    },
    need: Need::Optional,
    doc: "How much a model thinks that takes a level; the least it takes where absent.",
};
const VOICE: Key<Text> = Key {
    name: "voice",
    kind: Text { what: "a prebuilt voice's name", chars_max: 64, check: one_line, default: "" },
    need: Need::Optional,
    doc: "A prebuilt voice, for example \"Kore\" or \"Puck\"; the service's own choice where absent.",
};
const LANGUAGE: Key<Text> = Key {
    name: "language",
    kind: Text { what: "a language's name", chars_max: 64, check: one_line, default: "" },
    need: Need::Optional,
    doc: "The language to answer in, by its English name (\"German\"); the user's own where absent.",
};
/// Short answers suit a loudspeaker; the order persona, rules is Google's advice (live-protocol.md 10).
const INSTRUCTION: Key<Text> = Key {
    name: "instruction",
    kind: Text {
        what: "the system instruction",
        chars_max: 32_768, // about 8000 tokens: a sixteenth of the model's context
        check: any_text,
        default: "You are the voice of a small device. Answer in one or two short sentences.",
    },
    need: Need::Defaults,
    doc: "Who the agent is and how it behaves.",
};
/// The v1beta address (live-protocol.md 1.1); the key travels in a header.
const ENDPOINT: Key<Text> = Key {
    name: "endpoint",
    kind: Text {
        what: "a WebSocket address",
        chars_max: 1024,
        check: endpoint::check,
        default: "wss://generativelanguage.googleapis.com/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent",
    },
    need: Need::Defaults,
    doc: "The service's address: wss://…, or ws://… for this machine's own addresses.",
};
const EXTRA_CA: Key<Path> = Key {
    name: "extra_ca",
    kind: Path { what: "a PEM file with certificates" },
    need: Need::Optional,
    doc: "Certificates to trust beside the built-in roots.",
};
const KEY_FILE: Key<Path> = Key {
    name: "key_file",
    kind: Path { what: "a file that holds the API key" },
    need: Need::Optional,
    doc: "File that holds the API key, readable by its owner only; the environment's GEMINI_API_KEY wins.",
};
const TOKEN_URL: Key<Text> = Key {
    name: "token_url",
    kind: Text { what: "an https address", chars_max: 1024, check: endpoint::check_broker, default: "" },
    need: Need::Optional,
    doc: "Address of a broker that answers with an ephemeral token, instead of a key (`mynah token` makes tokens).",
};

const MODE: Key<Choice<ListenMode>> = Key {
    name: "mode",
    kind: Choice {
        options: &[
            ("push_to_talk", ListenMode::PushToTalk),
            ("hands_free", ListenMode::HandsFree),
            ("wake_word", ListenMode::WakeWord),
        ],
        default: ListenMode::PushToTalk, // works without an echo canceller on every board
    },
    need: Need::Defaults,
    doc: "What opens the microphone: the talk button, a voice, or a wake word before it ([wake]).",
};
const BUTTON: Key<Choice<ButtonStyle>> = Key {
    name: "button",
    kind: Choice {
        options: &[("hold", ButtonStyle::Hold), ("tap", ButtonStyle::Tap), ("hold_or_tap", ButtonStyle::HoldOrTap)],
        default: ButtonStyle::HoldOrTap, // both habits work without reading the manual
    },
    need: Need::Defaults,
    doc: "What a press means: talk while held, tap to open and tap to close, or both by its length.",
};
const VOICE_BARGE_IN: Key<Choice<VoiceBargeIn>> = Key {
    name: "voice_barge_in",
    kind: Choice {
        options: &[("off", VoiceBargeIn::Off), ("auto", VoiceBargeIn::Auto), ("on", VoiceBargeIn::On)],
        default: VoiceBargeIn::Auto, // a raw microphone takes 92 % of echo for a voice (dependencies.md 3)
    },
    need: Need::Defaults,
    doc: "Hands-free: whether a voice cuts a reply: as far as the echo canceller allows, never, or always (headsets).",
};
const ONSET_MS: Key<Whole> = Key {
    name: "onset_ms",
    kind: Whole { unit: "ms", min: 10, max: 500, step: 1, default: 60 }, // six hops: longer than a click
    need: Need::Defaults,
    doc: "Hands-free: speech needed before the microphone opens.",
};
const HANGOVER_MS: Key<Whole> = Key {
    name: "hangover_ms",
    kind: Whole { unit: "ms", min: 100, max: 5000, step: 1, default: 700 }, // 500-800 advised (live-protocol.md 2.4)
    need: Need::Defaults,
    doc: "Hands-free: silence tolerated before the turn ends.",
};
const PREROLL_MS: Key<Whole> = Key {
    name: "preroll_ms",
    kind: Whole { unit: "ms", min: 0, max: 2000, step: 1, default: 300 }, // onset plus a syllable
    need: Need::Defaults,
    doc: "Sound kept from before the opening and sent first.",
};
const TAIL_MS: Key<Whole> = Key {
    name: "tail_ms",
    kind: Whole { unit: "ms", min: 0, max: 2000, step: 1, default: 200 }, // people release on the last syllable (peers.md)
    need: Need::Defaults,
    doc: "Sound still sent after the button's release.",
};
const MIN_PRESS_MS: Key<Whole> = Key {
    name: "min_press_ms",
    kind: Whole { unit: "ms", min: 0, max: 500, step: 1, default: 120 }, // 100-200 advised (live-protocol.md 12)
    need: Need::Defaults,
    doc: "Shorter presses are mistakes (where a tap has no meaning).",
};
const TAP_MAX_MS: Key<Whole> = Key {
    name: "tap_max_ms",
    kind: Whole { unit: "ms", min: 100, max: 1000, step: 1, default: 300 }, // a deliberate tap lasts 80-200 ms
    need: Need::Defaults,
    doc: "Presses up to this length are taps, longer ones holds.",
};
const SILENCE_DB: Key<Number> = Key {
    name: "silence_db",
    kind: Number { unit: "dBFS", min: -90.0, max: -20.0, default: -50.0 }, // a quiet room's noise on a USB microphone is below
    need: Need::Defaults,
    doc: "A hold without a voice in which nothing is louder is dropped.",
};
const VAD: Key<Choice<VadKind>> = Key {
    name: "vad",
    // benches/VAD.md: as good in the gate, sooner, and an eighth of the cost
    kind: Choice { options: &[("webrtc", VadKind::WebRtc), ("neural", VadKind::Neural)], default: VadKind::WebRtc },
    need: Need::Defaults,
    doc: "The voice detector: the WebRTC project's, or a small neural network.",
};
const VAD_MODE: Key<Whole> = Key {
    name: "vad_mode",
    kind: Whole { unit: "", min: 0, max: 3, step: 1, default: 3 }, // finds all clean speech, fewest false alarms (dependencies.md 4)
    need: Need::Defaults,
    doc: "The WebRTC detector's mode: 0 lets most through, 3 least.",
};
const ECHO_TAIL_MS: Key<Whole> = Key {
    name: "echo_tail_ms",
    kind: Whole { unit: "ms", min: 0, max: 2000, step: 1, default: 300 }, // a living room's reverberation
    need: Need::Defaults,
    doc: "Where a voice does not cut a reply: how long after a reply sound may be its echo and is no sign that somebody speaks.",
};
const MESSAGE_MS: Key<Whole> = Key {
    name: "message_ms",
    kind: Whole { unit: "ms", min: 20, max: 40, step: 10, default: 20 }, // 20-40 advised; 20 is quickest (live-protocol.md 10)
    need: Need::Defaults,
    doc: "Sound in one message to the service.",
};
const TURN_MAX_S: Key<Whole> = Key {
    name: "turn_max_s",
    kind: Whole { unit: "s", min: 5, max: 600, step: 1, default: 120 }, // a stuck button must not talk for ever
    need: Need::Defaults,
    doc: "The longest turn of the user.",
};
const FOLLOW_UP_S: Key<Whole> = Key {
    name: "follow_up_s",
    kind: Whole { unit: "s", min: 0, max: 60, step: 1, default: 0 }, // an open microphone is asked for, not given
    need: Need::Defaults,
    doc: "How long after a reply a voice alone opens the microphone, without button or wake word; 0 for never.",
};
const DEAD_MIC_S: Key<Whole> = Key {
    name: "dead_mic_s",
    kind: Whole { unit: "s", min: 2, max: 600, step: 1, default: 10 }, // a live one has noise in its last bit at all times
    need: Need::Defaults,
    doc: "A microphone that gives only zeros or a flat line for so long is opened again, and reported.",
};

const SETUP_TIMEOUT_MS: Key<Whole> = Key {
    name: "setup_timeout_ms",
    kind: Whole { unit: "ms", min: 1000, max: 60_000, step: 1, default: 15_000 }, // 15-30 s (live-protocol.md 1.4)
    need: Need::Defaults,
    doc: "From the setup message to the service's answer.",
};
const ANSWER_TIMEOUT_MS: Key<Whole> = Key {
    name: "answer_timeout_ms",
    kind: Whole { unit: "ms", min: 1000, max: 60_000, step: 1, default: 8000 }, // live-protocol.md 7.4
    need: Need::Defaults,
    doc: "From the end of the user's turn to the first sign of a reply.",
};
const PROGRESS_TIMEOUT_MS: Key<Whole> = Key {
    name: "progress_timeout_ms",
    kind: Whole { unit: "ms", min: 1000, max: 120_000, step: 1, default: 15_000 }, // live-protocol.md 7.4
    need: Need::Defaults,
    doc: "No more of a reply that has begun for this long, and it is given up.",
};
const TOOL_TIMEOUT_MS: Key<Whole> = Key {
    name: "tool_timeout_ms",
    kind: Whole { unit: "ms", min: 100, max: 60_000, step: 1, default: 10_000 }, // at most 10-15 s (live-protocol.md 10)
    need: Need::Defaults,
    doc: "From a tool call to its answer, unless the tool has its own `timeout_ms`.",
};

/// The top of the file.
pub const TOP: Sheet = Sheet {
    name: "",
    keys: &[
        &MODEL,
        &FALLBACK_MODEL,
        &THINKING_LEVEL,
        &VOICE,
        &LANGUAGE,
        &INSTRUCTION,
        &ENDPOINT,
        &EXTRA_CA,
        &KEY_FILE,
        &TOKEN_URL,
        &device::DEVICE_TOOLS,
    ],
    tables: &[
        "listen",
        "gestures",
        "echo",
        "wake",
        "speak",
        "see",
        "session",
        "limits",
        "prices",
        "audit",
        "panel",
        "kiosk",
        "job_log",
        "mqtt",
        "fleet",
        "secrets",
        "http",
        "home_assistant",
        "tools",
        "mcp",
        "watch",
    ],
};
/// `[listen]`.
pub const LISTEN: Sheet = Sheet {
    name: "listen",
    keys: &[
        &MODE,
        &BUTTON,
        &VOICE_BARGE_IN,
        &ONSET_MS,
        &HANGOVER_MS,
        &PREROLL_MS,
        &TAIL_MS,
        &MIN_PRESS_MS,
        &TAP_MAX_MS,
        &SILENCE_DB,
        &VAD,
        &VAD_MODE,
        &ECHO_TAIL_MS,
        &MESSAGE_MS,
        &TURN_MAX_S,
        &FOLLOW_UP_S,
        &DEAD_MIC_S,
    ],
    tables: &[],
};
/// `[limits]`.
pub const LIMITS: Sheet = Sheet {
    name: "limits",
    keys: &[
        &SETUP_TIMEOUT_MS,
        &ANSWER_TIMEOUT_MS,
        &PROGRESS_TIMEOUT_MS,
        &TOOL_TIMEOUT_MS,
        &session::DAY_TOKENS,
        &session::DAY_USD,
    ],
    tables: &[],
};

/// All sheets of the agent file, in the order in which they are best explained.
pub const SHEETS: &[&Sheet] = &[
    &TOP,
    &LISTEN,
    &ears::GESTURES,
    &ears::ECHO,
    &ears::WAKE,
    &speak::SPEAK,
    &see::SEE,
    &session::SESSION,
    &LIMITS,
    &session::PRICES,
    &mqtt::MQTT,
    &fleet::FLEET,
    &audit::AUDIT,
    &panel::PANEL,
    &kiosk::KIOSK,
    &job_log::JOB_LOG,
    &action::http::HTTP,
    &tool::TOOL,
    &policy::POLICY,
];

/// All keys with their sections, for those who print the table.
pub fn keys() -> impl Iterator<Item = (&'static str, &'static dyn AnyKey)> {
    SHEETS.iter().flat_map(|sheet| sheet.keys.iter().map(|key| (sheet.name, *key)))
}

pub(super) fn parse(text: &str, file: &str) -> Result<Agent, Vec<Problem>> {
    parse_under(text, file, "")
}

/// With the tables of `over`, which is TOML of this program's own, laid over those of the text. Lines in problems are those
/// of the text only where they name a key of it.
pub(super) fn parse_under(text: &str, file: &str, over: &str) -> Result<Agent, Vec<Problem>> {
    let mut reader = Reader::new(text, file, SHEETS);
    let Some(mut document) = reader.document(text) else { return Err(reader.finish()) };
    overlay::lay(&mut document, DeTable::parse_recoverable(over).0.into_inner());
    let agent = agent(&mut reader, &document);
    let problems = reader.finish();
    if problems.is_empty() { Ok(agent) } else { Err(problems) }
}

/// An empty file leaves every default in place.
pub(super) fn defaults() -> Agent {
    agent(&mut Reader::new("", "", SHEETS), &DeTable::new())
}

fn agent(reader: &mut Reader<'_>, document: &DeTable<'_>) -> Agent {
    let top = reader.open(document, "", 1, &TOP);
    let limits = limits(reader, &top);
    let secrets = secrets::secrets(reader, &top);
    let hosts = action::http::hosts(reader, &top);
    let home = home::home(reader, &top, &secrets);
    let mqtt = top.value("mqtt").and_then(|section| section.get_ref().as_table());
    let has_mqtt = mqtt.is_some_and(|section| section.contains_key("host"));
    let near = action::Around {
        parameters: &Ok(None),
        timeout_ms: limits.tool_timeout_ms,
        secrets: &secrets,
        hosts: hosts.as_deref(),
        has_mqtt,
        home: &home,
    };
    let mut tools = tool::tools(reader, &top, &near);
    tools.extend(home::ready(reader, &top, &tools, &near));
    let see = see::see(reader, &top);
    let panel = panel::panel(reader, &top);
    let kiosk = kiosk::kiosk(reader, &top, panel.is_some());
    let mut session = session::keeping(reader, &top);
    if kiosk.is_on() {
        session.keep = Keep::Nothing; // the next visitor may come after a power cut
    }
    tools.extend(device::tools(reader, &top, &tools, &see, panel.is_some()));
    let job_log = job_log::job_log(reader, &top);
    tools.extend(job_log::tools(reader, &top, &job_log, &tools));
    Agent {
        model: reader.get(&top, &MODEL),
        fallback_model: reader.find(&top, &FALLBACK_MODEL),
        thinking_level: reader.find(&top, &THINKING_LEVEL),
        voice: reader.find(&top, &VOICE),
        language: reader.find(&top, &LANGUAGE),
        instruction: reader.get(&top, &INSTRUCTION),
        endpoint: reader.get(&top, &ENDPOINT),
        extra_ca: reader.find(&top, &EXTRA_CA),
        key_file: reader.find(&top, &KEY_FILE),
        token_url: reader.find(&top, &TOKEN_URL),
        listen: listen(reader, &top),
        gestures: ears::gestures(reader, &top, &see),
        echo: ears::echo(reader, &top),
        wake: ears::wake(reader, &top),
        speak: speak::speak(reader, &top),
        see,
        session,
        prices: session::prices(reader, &top),
        mqtt: mqtt::mqtt(reader, &top, &secrets),
        fleet: fleet::fleet(reader, &top, has_mqtt),
        audit: audit::audit(reader, &top),
        kiosk,
        panel,
        job_log,
        watches: watch::watches(reader, &top),
        mcp: mcp::servers(
            reader,
            &top,
            &mcp::Near { timeout_ms: limits.tool_timeout_ms, secrets: &secrets, tools: &tools },
        ),
        tools,
        home: home.ok().flatten(),
        secrets,
        hosts: hosts.unwrap_or_default(),
        limits,
    }
}

fn listen(reader: &mut Reader<'_>, top: &Section<'_>) -> Listen {
    let section = reader.inner(top, LISTEN.name, &LISTEN);
    let at = &section;
    let listen = Listen {
        mode: reader.get(at, &MODE),
        button: reader.get(at, &BUTTON),
        voice_barge_in: reader.get(at, &VOICE_BARGE_IN),
        onset_ms: reader.get(at, &ONSET_MS),
        hangover_ms: reader.get(at, &HANGOVER_MS),
        preroll_ms: reader.get(at, &PREROLL_MS),
        tail_ms: reader.get(at, &TAIL_MS),
        min_press_ms: reader.get(at, &MIN_PRESS_MS),
        tap_max_ms: reader.get(at, &TAP_MAX_MS),
        silence_db: reader.get(at, &SILENCE_DB),
        vad: reader.get(at, &VAD),
        vad_mode: u8::try_from(reader.get(at, &VAD_MODE)).unwrap_or(u8::MAX),
        echo_tail_ms: reader.get(at, &ECHO_TAIL_MS),
        message_ms: reader.get(at, &MESSAGE_MS),
        turn_max_s: reader.get(at, &TURN_MAX_S),
        follow_up_s: reader.get(at, &FOLLOW_UP_S),
        dead_mic_s: reader.get(at, &DEAD_MIC_S),
    };
    if listen.button == ButtonStyle::HoldOrTap && listen.min_press_ms >= listen.tap_max_ms {
        let message = format!(
            "is {} ms, which leaves no room for a tap: it must be less than `tap_max_ms`, {} ms",
            listen.min_press_ms, listen.tap_max_ms
        );
        reader.object(at, MIN_PRESS_MS.name, message);
    }
    listen
}

fn limits(reader: &mut Reader<'_>, top: &Section<'_>) -> Limits {
    let at = reader.inner(top, LIMITS.name, &LIMITS);
    Limits {
        setup_timeout_ms: reader.get(&at, &SETUP_TIMEOUT_MS),
        answer_timeout_ms: reader.get(&at, &ANSWER_TIMEOUT_MS),
        progress_timeout_ms: reader.get(&at, &PROGRESS_TIMEOUT_MS),
        day_tokens: reader.find(&at, &session::DAY_TOKENS),
        day_usd: reader.find(&at, &session::DAY_USD),
        tool_timeout_ms: reader.get(&at, &TOOL_TIMEOUT_MS),
    }
}
