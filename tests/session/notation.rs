//! The scripts' notation: from lines to inputs, and from outputs back to lines.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mynah::audio::{DOWNLINK_RATE, HOP_FRAMES, HOP_MS, Hop, Speech, UPLINK_RATE};
use mynah::config::agent::mcp::{McpAction, WayBack};
use mynah::config::agent::policy::{Confirm, WhenOffline};
use mynah::config::agent::see::SeeMode;
use mynah::config::agent::{
    Action, Agent, Behavior, ButtonStyle, Connection, Cues, Keep, Keeping, Limits, Listen, ListenMode, Speak, Tool,
    VoiceBargeIn,
};
use mynah::flow::{
    CloseCause, Control, DropCause, GateEvent, GateNote, Gesture, LinkEvent, LinkOrder, MicFact, Occasion, OpenCause,
    Shot, SpeakerFact, SpeakerOrder, ToolOrder, ToolReply,
};
use mynah::live::client::Message;
use mynah::live::close::{Closing, Refusal};
use mynah::session::Output;
use mynah::session::memory::Memory;
use mynah::still::Still;
use mynah::units::{CallId, Epoch, Frames, Time};
use serde_json::{Map, Value, json};

/// What a line that cannot be read gives.
pub type Read<T> = Result<T, String>;

fn not(what: &str, text: &str) -> String {
    format!("`{text}` is not {what}")
}

/// `250us`, `40ms`, `1.5s`.
pub fn duration(text: &str) -> Read<Duration> {
    let (number, us) = if let Some(n) = text.strip_suffix("us") {
        (n, 1.0)
    } else if let Some(n) = text.strip_suffix("ms") {
        (n, 1e3)
    } else if let Some(n) = text.strip_suffix('m') {
        (n, 60e6)
    } else if let Some(n) = text.strip_suffix('s') {
        (n, 1e6)
    } else {
        return Err(not("a duration (40ms, 1.5s)", text));
    };
    let number: f64 = number.parse().map_err(|_| not("a duration (40ms, 1.5s)", text))?;
    Ok(Duration::from_micros((number * us).round() as u64))
}

/// As the scripts write durations.
pub fn written(duration: Duration) -> String {
    let us = duration.as_micros();
    match us {
        0 => "0ms".into(),
        us if us % 1000 != 0 => format!("{us}us"),
        us if us % 1_000_000 == 0 => format!("{}s", us / 1_000_000),
        us => format!("{}ms", us / 1000),
    }
}

fn epoch(text: &str) -> Read<Epoch> {
    text.parse().map(Epoch).map_err(|_| not("the number of a turn", text))
}

fn ms_of(text: &str) -> Read<u64> {
    duration(text).map(|d| d.as_millis() as u64)
}

/// The agent that scripts begin with; `given` lines change it.
pub fn agent() -> Agent {
    Agent {
        model: "gemini-3.8-live".into(),
        voice: None,
        language: None,
        instruction: "Answer in one sentence.".into(),
        endpoint: "ws://127.0.0.1:1/".into(),
        extra_ca: None,
        key_file: None,
        listen: Listen {
            mode: ListenMode::PushToTalk,
            button: ButtonStyle::Hold,
            voice_barge_in: VoiceBargeIn::Off,
            onset_ms: 60,
            hangover_ms: 800,
            preroll_ms: 300,
            tail_ms: 100,
            min_press_ms: 100,
            tap_max_ms: 300,
            silence_db: -50.0,
            vad_mode: 2,
            echo_tail_ms: 300,
            message_ms: 20,
            turn_max_s: 60,
            ..Agent::default().listen
        },
        speak: Speak { volume_percent: 80, prebuffer_ms: 60, cues: Cues::Few, ..Agent::default().speak },
        limits: Limits {
            setup_timeout_ms: 15_000,
            answer_timeout_ms: 8_000,
            tool_timeout_ms: 5_000,
            ..Agent::default().limits
        },
        tools: vec![tool("lamp", Behavior::Blocking, 2_000), tool("search", Behavior::NonBlocking, 20_000)],
        session: Keeping { connection: Connection::KeepOpen, ..Agent::default().session },
        ..Agent::default()
    }
}

/// A tool of a server.
pub fn server_tool(name: &str) -> Tool {
    let action = McpAction { server: "house".into(), tool: name.into(), way_back: WayBack::default() };
    Tool::new(name, Action::Mcp(action))
}

/// A tool of this name; what it does is nothing to the session.
pub fn tool(name: &str, behavior: Behavior, timeout_ms: u32) -> Tool {
    Tool {
        name: name.into(),
        description: "Call when asked to.".into(),
        parameters: None,
        behavior,
        timeout_ms,
        action: Action::GpioRead { line: "lamp".into() },
        policy: Default::default(),
    }
}

/// `given model X`, `given message 40ms`, `given answer_timeout 8s`, `given connection on_demand` …
pub fn given(agent: &mut Agent, words: &str) -> Read<()> {
    let number = |text: &str| text.parse::<u32>().map_err(|_| not("a number", text));
    match words.split_once(' ') {
        Some(("model", id)) => agent.model = id.into(),
        Some(("fallback", id)) => agent.fallback_model = Some(id.into()),
        Some(("voice", name)) => agent.voice = Some(name.into()),
        Some(("message", length)) => agent.listen.message_ms = ms_of(length)? as u32,
        Some(("setup_timeout", length)) => agent.limits.setup_timeout_ms = ms_of(length)? as u32,
        Some(("answer_timeout", length)) => agent.limits.answer_timeout_ms = ms_of(length)? as u32,
        Some(("day_tokens", tokens)) => agent.limits.day_tokens = Some(number(tokens)?),
        Some(("connection", "on_demand")) => agent.session.connection = Connection::OnDemand,
        Some(("connection", "keep_open")) => agent.session.connection = Connection::KeepOpen,
        Some(("idle", length)) => agent.session.idle_close_s = (ms_of(length)? / 1000) as u32,
        Some(("history", turns)) => agent.session.history_turns = number(turns)?,
        Some(("cues", "on")) => agent.speak.cues = Cues::On,
        Some(("mode", "hands_free")) => agent.listen.mode = ListenMode::HandsFree,
        Some(("mode", "wake_word")) => agent.listen.mode = ListenMode::WakeWord,
        Some(("barge_in", "auto")) => agent.listen.voice_barge_in = VoiceBargeIn::Auto,
        Some(("see", "while_speaking")) => agent.see.mode = SeeMode::WhileSpeaking,
        Some(("see", "on_request")) => {
            agent.see.mode = SeeMode::OnRequest;
            agent.tools.push(tool("look", Behavior::Blocking, 10_000));
        }
        Some(("confirm", "voice")) => agent.tools[0].policy.confirm = Confirm::Voice,
        Some(("confirm", "button")) => agent.tools[0].policy.confirm = Confirm::Button,
        Some(("offline", "rest")) => agent.tools[0].policy.when_offline = WhenOffline::Rest,
        Some(("follow_up", length)) => agent.listen.follow_up_s = (ms_of(length)? / 1000) as u32,
        Some(("keep", "nothing")) => agent.session.keep = Keep::Nothing,
        Some(("keep", "handle")) => agent.session.keep = Keep::Handle,
        Some(("keep", "words")) => agent.session.keep = Keep::HandleAndWords,
        _ => return Err(not("something a script can be given", words)),
    }
    Ok(())
}

/// `speaking 80ms` or `looked 80ms`: a picture of that age.
pub fn shot(words: &str, now: Time) -> Read<Shot> {
    let (why, age) = words.split_once(' ').ok_or_else(|| not("an occasion and an age", words))?;
    let why = match why {
        "speaking" => Occasion::Speaking,
        "looked" => Occasion::Looked,
        _ => return Err(not("why a picture is taken", why)),
    };
    let taken_at = now.back(Duration::from_millis(ms_of(age)?));
    Ok(Shot { still: Still { jpeg: vec![0xff; 9].into(), width: 640, height: 480, taken_at }, why })
}

/// The speech of `hops` hops, each filled with its number, in pieces of `message_ms`.
pub fn speech(first_hop: u64, hops: u64, message_ms: u32, at: Time) -> Vec<Speech> {
    let mut pieces = vec![Speech::empty()];
    for hop in first_hop..first_hop + hops {
        let hop = Hop { at, frames: [(hop % 30_000) as i16; HOP_FRAMES] };
        let is_full = pieces.last().is_some_and(|p| p.frames().len() >= UPLINK_RATE.frames_in_ms(message_ms));
        if is_full {
            pieces.push(Speech::empty());
        }
        assert!(pieces.last_mut().expect("never empty").push(&hop));
    }
    pieces
}

/// Everything of the gate but speech.
pub fn gate(words: &str) -> Read<GateEvent> {
    Ok(match words {
        "pressed" => GateEvent::Pressed,
        "released" => GateEvent::Released,
        "opened button" => GateEvent::Opened(OpenCause::Button),
        "opened voice" => GateEvent::Opened(OpenCause::Voice),
        "closed released" => GateEvent::Closed(CloseCause::Released),
        "closed silence" => GateEvent::Closed(CloseCause::Silence),
        "closed too_long" => GateEvent::Closed(CloseCause::TooLong),
        "closed mistake" => GateEvent::Closed(CloseCause::Mistake),
        "closed mic_lost" => GateEvent::Closed(CloseCause::MicLost),
        "dropped too_short" => GateEvent::Dropped(DropCause::TooShort),
        "dropped only_silence" => GateEvent::Dropped(DropCause::OnlySilence),
        "dropped gesture" => GateEvent::Dropped(DropCause::Gesture),
        "dropped muted" => GateEvent::Dropped(DropCause::Muted),
        "gesture look" => GateEvent::Gesture(Gesture::Look),
        "gesture repeat" => GateEvent::Gesture(Gesture::Repeat),
        "gesture mute" => GateEvent::Gesture(Gesture::Mute),
        "gesture reset" => GateEvent::Gesture(Gesture::Reset),
        "suspect" => GateEvent::Suspect(true),
        "suspect nothing" => GateEvent::Suspect(false),
        "woken" => GateEvent::Woken,
        "follow-up open" => GateEvent::FollowUp(true),
        "follow-up over" => GateEvent::FollowUp(false),
        other => match other.strip_prefix("lost ") {
            Some(length) => GateEvent::Lost((ms_of(length)? / u64::from(HOP_MS)) as u32),
            None => return Err(not("something the gate says", words)),
        },
    })
}

/// `connected`, `down network …`, `down certificate …`, `down http 401`, `down close 1011 reason`.
pub fn link(words: &str) -> Read<LinkEvent> {
    let mut parts = words.splitn(4, ' ');
    let closing = match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some("connected"), None, ..) => return Ok(LinkEvent::Connected),
        (Some("down"), Some("close"), Some(code), reason) => Closing::Frame {
            code: code.parse().map_err(|_| not("a close code", code))?,
            reason: reason.unwrap_or_default().into(),
        },
        (Some("down"), Some("http"), Some(status), None) => {
            Closing::Http(status.parse().map_err(|_| not("a status", status))?)
        }
        (Some("down"), Some("network"), ..) => Closing::Network(words["down network".len()..].trim().into()),
        (Some("down"), Some("clock"), ..) => Closing::Clock(words["down clock".len()..].trim().into()),
        (Some("down"), Some("portal"), ..) => Closing::Portal(words["down portal".len()..].trim().into()),
        (Some("down"), Some("broker"), ..) => Closing::Broker(words["down broker".len()..].trim().into()),
        (Some("alive"), None, ..) => return Ok(LinkEvent::Alive),
        (Some("down"), Some("certificate"), ..) => {
            Closing::Certificate(words["down certificate".len()..].trim().into())
        }
        _ => return Err(not("something the link says", words)),
    };
    Ok(LinkEvent::Down(closing))
}

/// `started 1`, `heard 1 500ms`, `drained 1 2s`, `flushed 1 500ms`, `concealed 1`, `xrun`, `trouble …`, `recovered`.
pub fn speaker(words: &str) -> Read<SpeakerFact> {
    let parts: Vec<&str> = words.split(' ').collect();
    Ok(match parts[..] {
        ["started", of] => SpeakerFact::Started { epoch: epoch(of)? },
        ["heard", of, length] => SpeakerFact::Heard { epoch: epoch(of)?, heard_ms: ms_of(length)? },
        ["drained", of, length] => SpeakerFact::Drained { epoch: epoch(of)?, heard_ms: ms_of(length)? },
        ["flushed", of, length] => SpeakerFact::Flushed { epoch: epoch(of)?, heard_ms: ms_of(length)? },
        ["concealed", of] => SpeakerFact::Concealed { epoch: epoch(of)? },
        ["cue", "started"] => SpeakerFact::CueStarted,
        ["cue", "over"] => SpeakerFact::CueOver,
        ["xrun"] => SpeakerFact::Xrun,
        ["recovered"] => SpeakerFact::Recovered,
        ["trouble", ..] => SpeakerFact::Trouble(words["trouble".len()..].trim().into()),
        _ => return Err(not("something the speaker says", words)),
    })
}

/// `volume 40`, `louder 10`, `softer 10`, `mute`, `unmute`, `stop`, `repeat`, `reset`, `end`, `listen`, `hush`, `tell TEXT`.
pub fn person(words: &str) -> Read<Control> {
    let percent = |text: &str| text.parse::<u8>().map_err(|_| not("percent", text));
    Ok(match words.split_once(' ').unwrap_or((words, "")) {
        ("volume", volume) => Control::Volume(percent(volume)?),
        ("louder", step) => Control::VolumeBy(percent(step)? as i8),
        ("softer", step) => Control::VolumeBy(-(percent(step)? as i8)),
        ("mute", "") => Control::Mute(true),
        ("unmute", "") => Control::Mute(false),
        ("stop", "") => Control::Stop,
        ("repeat", "") => Control::Repeat,
        ("reset", "") => Control::Reset,
        ("end", "") => Control::End,
        ("listen", "") => Control::Listen,
        ("confirm", "") => Control::Confirm,
        ("hush", "") => Control::Hush,
        ("ask_tap", length) => Control::AskTap(Duration::from_millis(ms_of(length)?)),
        ("ring", "") => Control::Ring(true),
        ("ring", "no more") => Control::Ring(false),
        ("tell", text) => Control::Tell(text.into()),
        _ => return Err(not("something a person wants", words)),
    })
}

/// `xrun`, `trouble …`, `running`, `muted`, `unmuted`.
pub fn mic(words: &str) -> Read<MicFact> {
    match words.split_once(' ').unwrap_or((words, "")) {
        ("xrun", "") => Ok(MicFact::Xrun),
        ("running", "") => Ok(MicFact::Running),
        ("muted", "") => Ok(MicFact::Muted(true)),
        ("unmuted", "") => Ok(MicFact::Muted(false)),
        ("trouble", text) => Ok(MicFact::Trouble(text.into())),
        _ => Err(not("something the microphone says", words)),
    }
}

/// `ID NAME ok {json}` or `ID NAME error sentence`.
pub fn tool_reply(words: &str) -> Read<ToolReply> {
    let parts: Vec<&str> = words.splitn(4, ' ').collect();
    let [id, name, kind, rest] = parts[..] else { return Err(not("`ID NAME ok JSON` or `ID NAME error TEXT`", words)) };
    let result = match kind {
        "ok" => Ok(serde_json::from_str(rest).map_err(|_| not("JSON", rest))?),
        "error" => Err(rest.to_string()),
        _ => return Err(not("`ok` or `error`", kind)),
    };
    Ok(ToolReply { id: CallId::from(id), name: name.into(), result })
}

/// One event of the server as bytes: raw JSON as it stands, or fields in shorthand joined by ` + `.
pub fn server(words: &str, bytes_sent: &mut u64) -> Read<Vec<u8>> {
    if words.starts_with(['{', '[', '<']) {
        return Ok(words.as_bytes().to_vec());
    }
    let mut event = Map::new();
    for field in words.split(" + ") {
        let (name, rest) = field.trim().split_once(' ').unwrap_or((field.trim(), ""));
        server_field(&mut event, name, rest, bytes_sent)?;
    }
    if ["interrupted", "generated", "complete"].iter().any(|end| words.split(' ').any(|word| word == *end)) {
        *bytes_sent += *bytes_sent % 2; // a turn does not begin with half a sample
    }
    Ok(Value::Object(event).to_string().into_bytes())
}

fn server_field(event: &mut Map<String, Value>, name: &str, rest: &str, bytes_sent: &mut u64) -> Read<()> {
    let mut content = |name: &str, value: Value| event.entry("serverContent").or_insert(json!({}))[name] = value;
    match name {
        "empty" => _ = event.entry("serverContent").or_insert(json!({})),
        "interrupted" | "generationComplete" | "turnComplete" => content(name, json!(true)),
        "generated" => content("generationComplete", json!(true)),
        "complete" => {
            content("turnComplete", json!(true));
            if !rest.is_empty() {
                content("turnCompleteReason", json!(rest));
            }
        }
        "in_progress" => content("interactionStatus", json!("IN_PROGRESS")),
        "idle" => content("interactionStatus", json!("IDLE")),
        "heard" => content("inputTranscription", json!({ "text": rest })),
        "said" => content("outputTranscription", json!({ "text": rest })),
        "audio" => {
            let part = json!({"inlineData": audio(rest, bytes_sent)?});
            let turn = &mut event.entry("serverContent").or_insert(json!({}))["modelTurn"];
            if turn.is_null() {
                *turn = json!({"role": "model", "parts": []});
            }
            turn["parts"].as_array_mut().expect("made above").push(part);
        }
        "setup" => _ = event.insert("setupComplete".into(), json!({})),
        "call" => {
            let call = event.entry("toolCall").or_insert(json!({"functionCalls": []}));
            call["functionCalls"].as_array_mut().expect("made above").push(function_call(rest)?);
        }
        "cancel" => {
            let ids: Vec<&str> = rest.split(' ').collect();
            event.insert("toolCallCancellation".into(), json!({ "ids": ids }));
        }
        "usage" => {
            let total: u64 = rest.parse().map_err(|_| not("a number", rest))?;
            event.insert("usageMetadata".into(), json!({ "totalTokenCount": total }));
        }
        "go_away" => _ = event.insert("goAway".into(), json!({ "timeLeft": rest })),
        "handle" => {
            event.insert("sessionResumptionUpdate".into(), json!({"newHandle": rest, "resumable": true}));
        }
        "error" => _ = event.insert("error".into(), json!({"code": 500, "message": rest})),
        _ => return Err(not("a field of a server event", name)),
    }
    Ok(())
}

/// `100ms`, `100ms@48000` or `4801bytes`; a ramp, so that a lost byte shows.
fn audio(words: &str, bytes_sent: &mut u64) -> Read<Value> {
    let (length, rate) = words.split_once('@').unwrap_or((words, "24000"));
    let rate: u64 = rate.parse().map_err(|_| not("a rate", rate))?;
    let bytes = match length.strip_suffix("bytes") {
        Some(bytes) => bytes.parse().map_err(|_| not("a number of bytes", bytes))?,
        None => 2 * rate * ms_of(length)? / 1000,
    };
    let data: Vec<u8> = (*bytes_sent..*bytes_sent + bytes)
        .map(|at| {
            let sample = (at / 2 % 1000) as i16 + 1;
            sample.to_le_bytes()[at as usize % 2]
        })
        .collect();
    *bytes_sent += bytes;
    Ok(json!({"mimeType": format!("audio/pcm;rate={rate}"), "data": STANDARD.encode(data)}))
}

fn function_call(words: &str) -> Read<Value> {
    let parts: Vec<&str> = words.splitn(3, ' ').collect();
    match parts[..] {
        [id, name] => Ok(json!({"id": id, "name": name})),
        [id, name, args] => {
            let args: Value = serde_json::from_str(args).map_err(|_| not("JSON", args))?;
            Ok(json!({"id": id, "name": name, "args": args}))
        }
        _ => Err(not("a call: ID NAME {arguments}", words)),
    }
}

/// An output as a line; none for events and for the end of a drain.
pub fn line(output: &Output) -> Option<String> {
    Some(match output {
        Output::Timeout(_) | Output::Event(_) => return None,
        Output::Keep(memory) => format!("keep {}", kept(memory)),
        Output::Link(LinkOrder::Open { attempt, is_same_token: false }) => format!("link open {attempt}"),
        Output::Link(LinkOrder::Open { attempt, is_same_token: true }) => format!("link open {attempt} same token"),
        Output::Link(LinkOrder::Ping) => "link ping".into(),
        Output::Link(LinkOrder::Close) => "link close".into(),
        Output::Link(LinkOrder::Send(message)) => sent(message),
        Output::Speaker(SpeakerOrder::Play { epoch, chunk }) => {
            let length = written(Frames(chunk.frames.len() as u64).duration(chunk.rate));
            let rate = if chunk.rate == DOWNLINK_RATE { String::new() } else { format!("@{}", chunk.rate.0) };
            format!("speaker play {} {length}{rate}", epoch.0)
        }
        Output::Speaker(SpeakerOrder::End { epoch }) => format!("speaker end {}", epoch.0),
        Output::Speaker(SpeakerOrder::Flush { epoch }) => format!("speaker flush {}", epoch.0),
        Output::Speaker(SpeakerOrder::Volume(percent)) => format!("speaker volume {percent}"),
        Output::Speaker(SpeakerOrder::Cue(cue)) => format!("speaker cue {}", format!("{cue:?}").to_lowercase()),
        Output::Tool(ToolOrder::Run(call)) => {
            format!("tool run {} {} {}", call.id, call.name, Value::Object(call.args.clone()))
        }
        Output::Tool(ToolOrder::Cancel(id)) => format!("tool cancel {id}"),
        Output::Tool(ToolOrder::ByHand(call)) => format!("tool by hand {}", call.name),
        Output::Tool(ToolOrder::Tapped) => "tool tapped".into(),
        Output::Tool(ToolOrder::Heard { text, .. }) => format!("tool heard {text}"),
        Output::Tool(ToolOrder::Offline) => "tool offline".into(),
        Output::Tool(ToolOrder::Hushed) => "tool hushed".into(),
        Output::Tool(ToolOrder::VisitOver) => "tool visit over".into(),
        Output::Gate(GateNote::SpeakerAudible(true)) => "gate audible".into(),
        Output::Gate(GateNote::SpeakerAudible(false)) => "gate silent".into(),
        Output::Speaker(SpeakerOrder::Wake) => "speaker wake".into(),
        Output::Speaker(SpeakerOrder::Duck(true)) => "speaker duck".into(),
        Output::Speaker(SpeakerOrder::Duck(false)) => "speaker unduck".into(),
        Output::Eyes(wish) => format!("eyes {}", format!("{wish:?}").to_lowercase()),
        Output::Gate(GateNote::Mute(true)) => "gate mute".into(),
        Output::Gate(GateNote::Mute(false)) => "gate unmute".into(),
        Output::Gate(GateNote::FollowUp(true)) => "gate follow-up".into(),
        Output::Gate(GateNote::FollowUp(false)) => "gate no follow-up".into(),
        Output::Gate(GateNote::Listen) => "gate listen".into(),
        Output::Gate(GateNote::Abort) => "gate abort".into(),
        Output::Refused(Refusal::Key(_)) => "refused key".into(),
        Output::Refused(Refusal::Model(_)) => "refused model".into(),
        Output::Refused(Refusal::Setup(_)) => "refused setup".into(),
        Output::Refused(Refusal::Address(_)) => "refused address".into(),
        Output::Refused(Refusal::Region(_)) => "refused region".into(),
    })
}

/// `send setup`, and what is not usual about it: another model, a handle, what was said before.
fn sent_setup(setup: &Value) -> String {
    let mut line = String::from("send setup");
    if let Some(handle) = setup["sessionResumption"]["handle"].as_str() {
        line += &format!(" handle {handle}");
    }
    if setup.get("historyConfig").is_some() {
        line += " history";
    }
    let voice = &setup["generationConfig"]["speechConfig"]["voiceConfig"]["prebuiltVoiceConfig"]["voiceName"];
    if let Some(voice) = voice.as_str() {
        line += &format!(" voice {voice}");
    }
    let declared = setup["tools"][0]["functionDeclarations"].as_array().into_iter().flatten();
    let more = declared.filter_map(|tool| tool["name"].as_str()).filter(|name| !["lamp", "search"].contains(name));
    for name in more {
        line += &format!(" +{name}");
    }
    line
}

/// The handle and what the day has cost; `+words` where words are kept too, and what a person has set.
fn kept(memory: &Memory) -> String {
    let handle = memory.resumable.as_ref().map_or("-", |resumable| &resumable.handle);
    let words = if memory.said.is_empty() { "" } else { " +words" };
    let volume = memory.volume_percent.map_or(String::new(), |percent| format!(" volume {percent}"));
    let muted = if memory.is_muted { " muted" } else { "" };
    format!("{handle} {} tokens{words}{volume}{muted}", memory.spent.tokens)
}

fn sent(message: &Message) -> String {
    match message {
        Message::Setup(setup) => sent_setup(setup),
        Message::ActivityStart => "send start".into(),
        Message::ActivityEnd => "send end".into(),
        Message::Audio(speech) => {
            format!("send audio {}", written(Frames(speech.frames().len() as u64).duration(UPLINK_RATE)))
        }
        Message::Video(jpeg) => format!("send picture {} bytes", jpeg.len()),
        Message::ToolResponse { id, name, response, picture } => {
            let picture = picture.as_ref().map_or(String::new(), |jpeg| format!(" picture {} bytes", jpeg.len()));
            format!("send answer {id} {name} {response}{picture}")
        }
        Message::Text(text) => format!("send text {text}"),
        Message::History(said) => {
            let said =
                said.iter().map(|said| format!("{}: {}", if said.by_user { "user" } else { "model" }, said.text));
            format!("send history {}", said.collect::<Vec<_>>().join(" / "))
        }
    }
}
