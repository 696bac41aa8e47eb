//! The first message of a connection, from the agent file and the model's row.
//!
//! Only fields that the v1beta service knows are ever sent: an unknown one closes the connection
//! (live-protocol.md 1.4, 2.1).

use serde_json::{Map, Value, json};

use super::models;
use crate::config::agent::{Agent, Behavior, Tool};

/// The object under `setup`. Manual activity windows, transcription of both sides, resumption handles and
/// context compression asked for.
pub fn setup(agent: &Agent) -> Value {
    let model = models::model(&agent.model);
    let mut generation = json!({"responseModalities": ["AUDIO"], "mediaResolution": "MEDIA_RESOLUTION_LOW"});
    if let Some(voice) = &agent.voice {
        generation["speechConfig"] = json!({"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}});
    }
    if let Some(level) = model.thinking_level {
        generation["thinkingConfig"] = json!({ "thinkingLevel": level });
    }
    let mut setup = json!({
        "model": format!("models/{}", agent.model),
        "generationConfig": generation,
        "systemInstruction": {"parts": [{"text": instruction(agent)}]},
        "realtimeInputConfig": {
            "automaticActivityDetection": {"disabled": true},
            "activityHandling": "START_OF_ACTIVITY_INTERRUPTS"},
        "inputAudioTranscription": {},
        "outputAudioTranscription": {},
        "sessionResumption": {},
        "contextWindowCompression": {"slidingWindow": {}},
    });
    if !agent.tools.is_empty() {
        let declared: Vec<Value> = agent.tools.iter().map(|t| declaration(t, model.behavior(t.behavior))).collect();
        setup["tools"] = json!([{ "functionDeclarations": declared }]);
    }
    setup
}

/// The instruction, with the language named in it: native-audio models take no other hint.
fn instruction(agent: &Agent) -> String {
    match &agent.language {
        None => agent.instruction.clone(),
        Some(language) => format!("{}\n\nRESPOND ONLY IN {}.", agent.instruction, language.to_uppercase()),
    }
}

fn declaration(tool: &Tool, behavior: Behavior) -> Value {
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
