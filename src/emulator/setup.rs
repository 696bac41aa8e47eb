//! What a `setup` asks for, checked the way each model checks it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Refusal;
use super::check::cut;
use super::fields::INVALID;
use crate::live::models::CLASSIC_VOICES;

/// The model that answers without thinking in the background.
const PLAIN: &str = "gemini-3.8-live";
/// The model that thinks in the background.
const THINKING: &str = "gemini-3.8-live-extended-thinking";

/// Function declarations in one setup.
const FUNCTIONS_MAX: usize = 512;
/// Bytes in a function's name.
const NAME_MAX: usize = 128;
/// Bytes in a parameter's name.
const PARAMETER_NAME_MAX: usize = 64;
/// Silence that ends a turn in automatic detection unless the setup says otherwise, ms.
const SILENCE_MS: u32 = 800;

/// What the rest of the emulator wants to know of a setup.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Setup {
    /// Without `models/`.
    pub(super) model: String,
    pub(super) voice: Option<String>,
    /// Whether it is the model that thinks in the background.
    pub(super) thinking: bool,
    /// Whether the client marks its activity itself.
    pub(super) manual: bool,
    /// Whether the user's activity leaves a running reply alone.
    pub(super) no_interruption: bool,
    pub(super) silence_ms: u32,
    /// Whether `sessionResumptionUpdate` is wanted.
    pub(super) resumption: bool,
    pub(super) handle: Option<String>,
    /// Whether `clientContent` is history until its first `turnComplete`.
    pub(super) history: bool,
    /// Declared functions: name → whether the model waits for the answer.
    pub(super) functions: BTreeMap<String, bool>,
}

/// Looks into the object under `setup`.
pub(super) fn read(setup: &Value, version: &str) -> Result<Setup, Refusal> {
    let model = known_model(setup["model"].as_str().unwrap_or_default(), version)?;
    let thinking = model == THINKING;
    let config = &setup["generationConfig"];
    check_modalities(&config["responseModalities"])?;
    check_thinking(&config["thinkingConfig"], thinking)?;
    let voice = config["speechConfig"]["voiceConfig"]["prebuiltVoiceConfig"]["voiceName"].as_str();
    if let Some(voice) = voice {
        check_voice(voice)?;
    }
    check_instruction(&setup["systemInstruction"])?;
    if setup["proactivity"]["proactiveAudio"] == false {
        return Err(Refusal::new(1007, INVALID, "proactive audio is always on in 3.8: leave proactivity out"));
    }
    let realtime = &setup["realtimeInputConfig"];
    let detection = &realtime["automaticActivityDetection"];
    let silence_ms = detection["silenceDurationMs"].as_u64().and_then(|ms| u32::try_from(ms).ok());
    Ok(Setup {
        thinking,
        voice: voice.map(str::to_owned),
        manual: detection["disabled"] == true,
        no_interruption: realtime["activityHandling"] == "NO_INTERRUPTION",
        silence_ms: silence_ms.filter(|ms| *ms > 0).unwrap_or(SILENCE_MS),
        resumption: setup["sessionResumption"].is_object(),
        handle: setup["sessionResumption"]["handle"].as_str().filter(|handle| !handle.is_empty()).map(str::to_owned),
        history: setup["historyConfig"]["initialHistoryInClientContent"] == true,
        functions: read_functions(&setup["tools"], thinking)?,
        model,
    })
}

fn known_model(name: &str, version: &str) -> Result<String, Refusal> {
    match name.strip_prefix("models/") {
        Some(id @ (PLAIN | THINKING)) => Ok(id.to_owned()),
        _ => {
            let reason = format!(
                "{} is not found for API version {version}, or is not supported for bidiGenerateContent. Call ListModels to see.",
                cut(name, 48)
            );
            Err(Refusal::new(1008, reason, format!("the emulator knows models/{PLAIN} and models/{THINKING}")))
        }
    }
}

fn check_modalities(asked: &Value) -> Result<(), Refusal> {
    let asked: Vec<_> = asked.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if asked.is_empty() || asked == ["AUDIO"] {
        return Ok(());
    }
    let list = asked.join(", ");
    let reason = format!(
        "The requested combination of response modalities ({list}) is not supported by the model. models/{PLAIN}"
    );
    Err(Refusal::new(1007, reason, "3.8 models answer in AUDIO only: ask for [\"AUDIO\"]"))
}

fn check_thinking(config: &Value, thinking: bool) -> Result<(), Refusal> {
    let level = config["thinkingLevel"].as_str().filter(|level| *level != "THINKING_LEVEL_UNSPECIFIED");
    let (reason, why) = match (thinking, level) {
        (false, None) if config.is_null() => return Ok(()),
        (false, _) => ("Thinking level is not supported for this model.".to_owned(), "leave thinkingConfig out"),
        (true, Some("LOW" | "MEDIUM" | "HIGH")) => return Ok(()),
        (true, None) => ("Thinking level must be specified for this model.".to_owned(), "say LOW, MEDIUM or HIGH"),
        (true, Some(level)) => {
            (format!("Thinking level {level} is not supported for this model."), "say LOW, MEDIUM or HIGH")
        }
    };
    Err(Refusal::new(1007, reason, why))
}

fn check_voice(voice: &str) -> Result<(), Refusal> {
    // Catalog ids look like en-us-tavi; the catalog itself grows monthly and is not known here.
    let catalog = voice.split('-').count() == 3 && voice.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    if catalog || CLASSIC_VOICES.iter().any(|known| known.eq_ignore_ascii_case(voice)) {
        return Ok(());
    }
    let reason = format!("No matching speaker voice found for name: {}", cut(voice, 40));
    Err(Refusal::new(1007, reason, "the speech-generation page lists the voices (Kore, Puck …)"))
}

fn check_instruction(instruction: &Value) -> Result<(), Refusal> {
    let mut parts = instruction["parts"].as_array().into_iter().flatten();
    if parts.any(|part| part["text"].is_null()) {
        return Err(Refusal::new(1007, INVALID, "systemInstruction has a part that is not text"));
    }
    Ok(())
}

fn read_functions(tools: &Value, thinking: bool) -> Result<BTreeMap<String, bool>, Refusal> {
    let refuse = |why: String| Err(Refusal::new(1007, INVALID, why));
    let mut functions = BTreeMap::new();
    let tools = tools.as_array().into_iter().flatten();
    for function in tools.flat_map(|tool| tool["functionDeclarations"].as_array().into_iter().flatten()) {
        let name = function["name"].as_str().unwrap_or_default();
        if !is_function_name(name) {
            return refuse(format!(
                "function name {name:?}: a letter or _, then letters, digits, _ . : -, 128 at most"
            ));
        }
        if let Err(why) = check_parameters(&function["parameters"]) {
            return refuse(format!("function {name}: {why}"));
        }
        let blocking = function["behavior"] == "BLOCKING";
        if blocking && thinking {
            let reason = "Blocking function calls are not supported for this model.";
            return Err(Refusal::new(1007, reason, format!("function {name}: declare NON_BLOCKING")));
        }
        if functions.insert(name.to_owned(), blocking).is_some() {
            return refuse(format!("function {name} is declared twice"));
        }
        if functions.len() > FUNCTIONS_MAX {
            return refuse(format!("more than {FUNCTIONS_MAX} functions are declared"));
        }
    }
    Ok(functions)
}

fn is_function_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    first && name.len() <= NAME_MAX && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.:-".contains(&b))
}

/// A function's `parameters`: absent, or an OBJECT at the top.
fn check_parameters(schema: &Value) -> Result<(), String> {
    if schema.is_null() {
        return Ok(());
    }
    match schema["type"].as_str() {
        Some(kind) if kind.eq_ignore_ascii_case("OBJECT") => check_schema(schema, "parameters"),
        other => Err(format!("parameters must be of type OBJECT, not {}", other.unwrap_or("without a type"))),
    }
}

fn check_schema(schema: &Value, place: &str) -> Result<(), String> {
    const TYPES: [&str; 7] = ["STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"];
    let kind = schema["type"].as_str().unwrap_or_default().to_ascii_uppercase();
    let any_of = schema["anyOf"].as_array().map_or(&[][..], Vec::as_slice);
    if !TYPES.contains(&kind.as_str()) && any_of.is_empty() {
        return Err(format!("{place} has type {kind:?}; it may be {}", TYPES.join(", ")));
    }
    if kind == "ARRAY" && schema["items"].is_null() {
        return Err(format!("{place} is an ARRAY without items"));
    }
    if schema["enum"].is_array() && kind != "STRING" {
        return Err(format!("{place} has an enum, which only a STRING may have"));
    }
    let properties = &schema["properties"];
    for (name, property) in properties.as_object().into_iter().flatten() {
        let named = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !named || name.len() > PARAMETER_NAME_MAX {
            return Err(format!("parameter name {name:?}: letters, digits and _, {PARAMETER_NAME_MAX} at most"));
        }
        check_schema(property, &format!("{place}.{name}"))?;
    }
    let mut required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    if let Some(missing) = required.find(|name| properties[name].is_null()) {
        return Err(format!("{place} requires {missing:?}, which is not among its properties"));
    }
    if !schema["items"].is_null() {
        check_schema(&schema["items"], &format!("{place}.items"))?;
    }
    any_of.iter().try_for_each(|option| check_schema(option, &format!("{place}.anyOf")))
}
