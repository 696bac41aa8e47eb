//! The first message of a connection, from the agent file and the model's row.
//!
//! Only fields that the v1beta service knows are ever sent: an unknown one closes the connection
//! (live-protocol.md 1.4, 2.1).

use serde_json::{Map, Value, json};

use super::models;
use crate::config::agent::see::Detail;
use crate::config::agent::{Agent, Behavior, Tool};

/// What differs between two setups of one agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variant {
    /// Take the fallback model, where the agent has one.
    pub is_fallback: bool,
    /// Leave the voice to the service.
    pub without_voice: bool,
}

impl Variant {
    /// The model's id.
    pub fn model<'a>(&self, agent: &'a Agent) -> &'a str {
        agent.fallback_model.as_ref().filter(|_| self.is_fallback).unwrap_or(&agent.model)
    }
}

/// How a connection takes up the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin<'a> {
    /// From nothing.
    Fresh,
    /// The words that follow were said before ([`super::client::Message::History`]).
    Told,
    /// Where this handle says.
    Resumed(&'a str),
}

/// The object under `setup`. Manual activity windows, transcription of both sides, resumption handles and
/// context compression asked for.
pub fn setup(agent: &Agent, variant: &Variant, begin: Begin<'_>) -> Value {
    let id = variant.model(agent);
    let model = models::model(id);
    let mut generation = json!({"responseModalities": ["AUDIO"], "mediaResolution": detail(agent)});
    if let Some(voice) = agent.voice.as_ref().filter(|_| !variant.without_voice) {
        generation["speechConfig"] = json!({"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}});
    }
    if let Some(level) = model.thinking_level(agent.thinking_level) {
        generation["thinkingConfig"] = json!({ "thinkingLevel": models::word(level) });
    }
    let mut setup = json!({
        "model": format!("models/{id}"),
        "generationConfig": generation,
        "systemInstruction": {"parts": [{"text": instruction(agent)}]},
        "realtimeInputConfig": {
            "automaticActivityDetection": {"disabled": true},
            "activityHandling": "START_OF_ACTIVITY_INTERRUPTS"},
        "inputAudioTranscription": {},
        "outputAudioTranscription": {},
        "sessionResumption": {},
        "contextWindowCompression": compression(agent),
    });
    match begin {
        Begin::Fresh => {}
        Begin::Told => setup["historyConfig"] = json!({"initialHistoryInClientContent": true}),
        Begin::Resumed(handle) => setup["sessionResumption"]["handle"] = json!(handle),
    }
    if !agent.tools.is_empty() {
        let declared: Vec<Value> = agent.tools.iter().map(|t| declaration(t, model.behavior(t.behavior))).collect();
        setup["tools"] = json!([{ "functionDeclarations": declared }]);
    }
    setup
}

/// A mark of what makes this conversation: with another model, instruction or tool a handle is of another one.
/// FNV-1a over the setup without its handle; it guards against mistakes, not against anybody.
pub fn mark(agent: &Agent, variant: &Variant) -> u64 {
    let text = setup(agent, variant, Begin::Fresh).to_string() + &agent.endpoint;
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// How finely pictures are looked at; the least where none are sent.
fn detail(agent: &Agent) -> &'static str {
    match agent.see.detail {
        _ if !agent.see.is_on() => "MEDIA_RESOLUTION_LOW",
        Detail::Low => "MEDIA_RESOLUTION_LOW",
        Detail::Medium => "MEDIA_RESOLUTION_MEDIUM",
        Detail::High => "MEDIA_RESOLUTION_HIGH",
    }
}

/// Numbers as text: they are 64 bit wide (live-protocol.md 1.4).
fn compression(agent: &Agent) -> Value {
    let mut compression = json!({"slidingWindow": {}});
    if let Some(tokens) = agent.session.compress_at_tokens {
        compression["triggerTokens"] = json!(tokens.to_string());
    }
    if let Some(tokens) = agent.session.compress_to_tokens {
        compression["slidingWindow"]["targetTokens"] = json!(tokens.to_string());
    }
    compression
}

/// The instruction, with the language named in it: native-audio models take no other hint.
fn instruction(agent: &Agent) -> String {
    match &agent.language {
        None => agent.instruction.clone(),
        Some(language) => format!("{}\n\nRESPOND ONLY IN {}.", agent.instruction, language.to_uppercase()),
    }
}

/// The function declaration of a tool.
pub fn declaration(tool: &Tool, behavior: Behavior) -> Value {
    let mut declared = Map::new();
    declared.insert("name".into(), json!(tool.name));
    declared.insert("description".into(), json!(tool.description));
    let behavior = match behavior {
        Behavior::Blocking => "BLOCKING",
        Behavior::NonBlocking => "NON_BLOCKING",
    };
    declared.insert("behavior".into(), json!(behavior));
    if let Some(parameters) = &tool.parameters {
        declared.insert("parameters".into(), parameters.clone());
    }
    Value::Object(declared)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::agent::{Action, ThinkingLevel};

    fn agent(model: &str) -> Agent {
        let tool = |name: &str, behavior| Tool {
            name: name.into(),
            description: "Call it.".into(),
            parameters: None,
            behavior,
            timeout_ms: 1000,
            action: Action::GpioRead { line: "lamp".into() },
            policy: Default::default(),
        };
        Agent {
            model: model.into(),
            voice: Some("Kore".into()),
            thinking_level: Some(ThinkingLevel::Minimal),
            tools: vec![tool("a", Behavior::Blocking), tool("b", Behavior::NonBlocking)],
            ..Agent::default()
        }
    }

    #[test]
    fn no_model_is_sent_a_field_or_word_that_closes_its_session() {
        for id in [
            "gemini-3.8-live",
            "gemini-3.8-live-extended-thinking",
            "gemini-3.1-flash-live-preview",
            "gemini-2.5-flash-native-audio-latest",
            "gemini-live-2.5-flash",
            "gemini-9-live",
        ] {
            for begin in [Begin::Fresh, Begin::Told, Begin::Resumed("h")] {
                let text = setup(&agent(id), &Variant::default(), begin).to_string();
                for word in models::model(id).refuses {
                    assert!(!text.contains(&format!("\"{word}\"")), "{id} is sent {word}: {text}");
                }
            }
        }
    }

    #[test]
    fn a_handle_is_of_one_model_instruction_voice_and_address() {
        let mark_of = |change: fn(&mut Agent)| {
            let mut agent = agent("gemini-3.8-live");
            change(&mut agent);
            mark(&agent, &Variant::default())
        };
        let same = mark_of(|_| {});
        assert_eq!(mark_of(|agent| agent.limits.answer_timeout_ms = 1), same);
        let changes: [fn(&mut Agent); 5] = [
            |agent| agent.model = "gemini-9-live".into(),
            |agent| agent.instruction.push('!'),
            |agent| agent.voice = None,
            |agent| agent.tools.clear(),
            |agent| agent.endpoint = "ws://127.0.0.1:1/".into(),
        ];
        for change in changes {
            assert_ne!(mark_of(change), same);
        }
    }
}
