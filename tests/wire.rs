//! Wire types frozen by examples: one golden JSON a message kind or mix in `tests/wire/`.
//!
//! `client-*.json` holds what must be written (compared as JSON values); what it is written from stands in
//! [`written`]. `server-*.json` holds `message` and what it `reads` as: the fields of
//! `live::server::Message` that are set. With `messages` and a list of `reads` they come one after the other
//! on one connection. A golden file is changed only when the service changes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::Path;

use mynah::audio::{HOP_FRAMES, Hop, Speech};
use mynah::config::agent::{
    Action, Agent, Behavior, ButtonStyle, Cues, Limits, Listen, ListenMode, Speak, Tool, VoiceBargeIn,
};
use mynah::live::client::{self, Message};
use mynah::live::server::{self, Interaction, Reader};
use mynah::live::setup::{Begin, Variant, setup};
use mynah::units::{CallId, Time};
use serde_json::{Map, Value, json};

/// The golden files whose names begin with `kind`, with their names.
fn golden(kind: &str) -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire");
    let mut files: Vec<(String, Value)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_string(), path))
        .filter(|(name, _)| name.starts_with(kind))
        .map(|(name, path)| {
            let text = std::fs::read_to_string(path).unwrap();
            let value: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(value["what"].as_str().is_some_and(|what| !what.is_empty()), "{name} does not say what it is");
            (name, value)
        })
        .collect();
    files.sort_by(|a, b| a.0.cmp(&b.0));
    files
}

fn agent(model: &str, tools: Vec<Tool>) -> Agent {
    Agent {
        model: model.into(),
        voice: None,
        language: None,
        instruction: "Be brief.".into(),
        endpoint: "wss://example.org/".into(),
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
        speak: Speak { volume_percent: 80, prebuffer_ms: 60, cues: Cues::On, ..Agent::default().speak },
        limits: Limits {
            setup_timeout_ms: 15_000,
            answer_timeout_ms: 8_000,
            tool_timeout_ms: 5_000,
            ..Agent::default().limits
        },
        tools,
        ..Agent::default()
    }
}

fn lamp() -> Tool {
    Tool {
        name: "set_lamp".into(),
        description: "Switches the lamp. Call when asked for more or less light.".into(),
        parameters: Some(json!({
            "type": "OBJECT",
            "properties": {"on": {"type": "BOOLEAN", "description": "true for on"}},
            "required": ["on"]})),
        behavior: Behavior::Blocking,
        timeout_ms: 2_000,
        action: Action::GpioSet { line: "lamp".into(), argument: "on".into() },
        policy: Default::default(),
    }
}

fn bell(behavior: Behavior) -> Tool {
    Tool {
        name: "ring_bell".into(),
        description: "Rings once.".into(),
        parameters: None,
        behavior,
        timeout_ms: 2_000,
        action: Action::GpioPulse { line: "bell".into(), pulse_ms: 100 },
        policy: Default::default(),
    }
}

fn full_agent() -> Agent {
    Agent {
        voice: Some("Kore".into()),
        language: Some("German".into()),
        instruction: "You are the voice of a desk lamp.".into(),
        ..agent("gemini-3.8-live", vec![lamp(), bell(Behavior::NonBlocking)])
    }
}

fn response(id: &str, result: Result<Value, String>) -> Message {
    Message::ToolResponse {
        id: CallId::from(id),
        name: "set_lamp".into(),
        response: client::response_of(&result),
        picture: None,
    }
}

/// What each client file is written from.
fn written(name: &str) -> Message {
    let setup_of = |agent: &Agent| Message::Setup(Box::new(setup(agent, &Variant::default(), Begin::Fresh)));
    match name {
        "client-setup" => setup_of(&full_agent()),
        // The agent file says BLOCKING; this model would refuse it.
        "client-setup-extended-thinking" => {
            setup_of(&agent("gemini-3.8-live-extended-thinking", vec![bell(Behavior::Blocking)]))
        }
        "client-setup-no-tools" => setup_of(&agent("gemini-3.8-live", vec![])),
        "client-activity-start" => Message::ActivityStart,
        "client-activity-end" => Message::ActivityEnd,
        "client-audio" => {
            let mut speech = Speech::empty();
            let frames: [i16; HOP_FRAMES] = std::array::from_fn(|at| at as i16 - 80);
            assert!(speech.push(&Hop { at: Time::ZERO, frames }));
            Message::Audio(Box::new(speech))
        }
        "client-tool-response-ok" => response("fc-1", Ok(json!({"on": true}))),
        "client-video" => Message::Video(vec![0xff, 0xd8, 0xff, 0xd9].into()),
        "client-tool-response-picture" => Message::ToolResponse {
            id: CallId::from("fc-3"),
            name: "look".into(),
            response: client::response_of(&Ok(json!({"picture": "attached"}))),
            picture: Some(vec![0xff, 0xd8, 0xff, 0xd9].into()),
        },
        "client-tool-response-error" => response("fc-2", Err("the argument `on` is missing".into())),
        other => panic!("{other}.json: `written` does not say what it is written from"),
    }
}

#[test]
fn what_is_written_is_what_the_golden_files_say() {
    let files = golden("client-");
    assert!(files.len() >= 8);
    let mut out = String::new();
    for (name, golden) in files {
        client::encode(&written(&name), &mut out);
        let got: Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{name} is not JSON: {e}"));
        assert_eq!(got, golden["message"], "{name}");
    }
}

/// live-protocol.md 12, "never": none of these names travels, whatever the model.
#[test]
fn nothing_is_sent_that_the_service_refuses_or_swallows() {
    let mut out = String::new();
    for model in ["gemini-3.8-live", "gemini-3.8-live-extended-thinking", "gemini-3.1-flash-live-preview", "new"] {
        let agent = Agent { model: model.into(), ..full_agent() };
        client::encode(&Message::Setup(Box::new(setup(&agent, &Variant::default(), Begin::Fresh))), &mut out);
        for never in ["mediaChunks", "proactivity", "transparent", "explicitVadSignal", "TEXT", "parametersJsonSchema"]
        {
            assert!(!out.contains(never), "{model}: {never} in {out}");
        }
        assert_eq!(out.contains("thinkingLevel"), model.ends_with("thinking"), "{model}");
    }
}

/// Exactly one kind in a message (live-protocol.md 1.4).
#[test]
fn each_client_message_has_one_kind() {
    for (name, golden) in golden("client-") {
        let message = golden["message"].as_object().unwrap();
        assert_eq!(message.len(), 1, "{name}");
        if let Some(input) = message.get("realtimeInput") {
            assert_eq!(input.as_object().unwrap().len(), 1, "{name}");
        }
    }
}

/// The fields of `message` that are set, as the golden files write them.
fn read_as(message: server::Message) -> Value {
    // Taken apart, so that a new field cannot be forgotten here.
    let server::Message {
        setup_complete,
        user_text,
        model_text,
        audio,
        interrupted,
        generation_complete,
        turn_complete,
        turn_reason,
        interaction,
        calls,
        cancelled,
        go_away,
        handle,
        usage,
        error,
        unknown,
    } = message;
    let interaction = interaction.map(|status| match status {
        Interaction::InProgress => "in_progress",
        Interaction::Idle => "idle",
    });
    let audio: Vec<Value> = audio.iter().map(|c| json!({"rate_hz": c.rate.0, "frames": c.frames})).collect();
    let calls: Vec<Value> = calls.iter().map(|c| json!({"id": c.id, "name": c.name, "args": c.args})).collect();
    let fields = [
        ("setup_complete", json!(setup_complete)),
        ("user_text", json!(user_text)),
        ("model_text", json!(model_text)),
        ("audio", json!(audio)),
        ("interrupted", json!(interrupted)),
        ("generation_complete", json!(generation_complete)),
        ("turn_complete", json!(turn_complete)),
        ("turn_reason", json!(turn_reason)),
        ("interaction", json!(interaction)),
        ("calls", json!(calls)),
        ("cancelled", json!(cancelled)),
        ("go_away_ms", json!(go_away.map(|left| left.as_millis() as u64))),
        ("handle", json!(handle)),
        ("usage", json!(usage)),
        ("error", json!(error)),
        ("unknown", json!(unknown)),
    ];
    let is_set = |value: &Value| !matches!(value, Value::Null | Value::Bool(false)) && *value != json!([]);
    Value::Object(fields.into_iter().filter(|(_, v)| is_set(v)).map(|(n, v)| (n.into(), v)).collect::<Map<_, _>>())
}

/// A golden file's messages and what they read as.
fn exchange(golden: &Value) -> Vec<(&Value, &Value)> {
    match golden["messages"].as_array() {
        Some(messages) => {
            let reads = golden["reads"].as_array().unwrap();
            assert_eq!(messages.len(), reads.len());
            messages.iter().zip(reads).collect()
        }
        None => vec![(&golden["message"], &golden["reads"])],
    }
}

#[test]
fn what_is_read_is_what_the_golden_files_say() {
    let files = golden("server-");
    assert!(files.len() >= 35);
    for (name, golden) in &files {
        // The service writes compact JSON in binary frames; blanks and line ends must not matter.
        let writers: [fn(&Value) -> Vec<u8>; 2] =
            [|v| serde_json::to_vec(v).unwrap(), |v| serde_json::to_vec_pretty(v).unwrap()];
        for write in writers {
            let mut reader = Reader::default();
            for (at, (message, reads)) in exchange(golden).into_iter().enumerate() {
                let got = reader.read(&write(message)).unwrap_or_else(|e| panic!("{name}: {e}"));
                assert_eq!(read_as(got), *reads, "{name}, message {at}");
            }
        }
    }
}

/// Each field of the envelope that live-protocol.md 3.1 and 3.2 name has an example.
#[test]
fn every_kind_of_the_reference_has_an_example() {
    let mut seen = BTreeSet::new();
    for (_, golden) in golden("server-") {
        for (message, _) in exchange(&golden) {
            let content = message["serverContent"].as_object().into_iter().flat_map(|c| c.keys());
            seen.extend(message.as_object().unwrap().keys().chain(content).cloned());
        }
    }
    for kind in [
        "setupComplete",
        "serverContent",
        "toolCall",
        "toolCallCancellation",
        "goAway",
        "sessionResumptionUpdate",
        "usageMetadata",
        "voiceActivity",
        "voiceActivityDetectionSignal",
        "speechState",
        "interactionStatus",
        "modelTurn",
        "inputTranscription",
        "interimInputTranscription",
        "outputTranscription",
        "generationComplete",
        "interrupted",
        "turnComplete",
        "turnCompleteReason",
        "waitingForInput",
        "groundingMetadata",
        "error",
    ] {
        assert!(seen.contains(kind), "no example of {kind}");
    }
}

/// Whatever is cut off or broken on its way: an error that says how it begins, never a panic.
#[test]
fn every_cut_of_every_message_is_read_or_refused() {
    for (_, golden) in golden("server-") {
        for (message, _) in exchange(&golden) {
            let bytes = serde_json::to_vec(message).unwrap();
            for end in 0..bytes.len() {
                let garbage = Reader::default().read(&bytes[..end]).expect_err("half a message is none");
                assert!(garbage.to_string().len() < 400, "{garbage}");
            }
        }
    }
}
