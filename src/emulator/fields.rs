//! Which fields a client message may have, and of which type: one table a message, after the service's own schema.
//!
//! State: Gemini API, 2026-11-20. Names are the canonical camelCase ones; [`super::check`] accepts snake_case too.

/// What a field's value must be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Type {
    /// A string.
    Text,
    /// `true` or `false`.
    Flag,
    /// A 32-bit whole number.
    Integer,
    /// A 64-bit whole number, as a number or as a string.
    Integer64,
    /// A number.
    Number,
    /// Base64, standard or URL-safe alphabet, with or without padding.
    Bytes,
    /// One of these words.
    Word(&'static [&'static str]),
    /// An object with these fields and no others.
    Object(&'static Shape),
    /// A list of such values.
    List(&'static Type),
    /// An object whose keys are free and whose values are such.
    Map(&'static Type),
    /// Any JSON object.
    Struct,
    /// Any JSON value.
    Any,
    /// Known to the service, but refused here with this reason and this explanation for people.
    Barred(&'static str, &'static str),
}

/// The fields of an object.
#[derive(Debug)]
pub(super) struct Shape(pub(super) &'static [(&'static str, Type)]);

use Type::*;

/// The service's most common reason.
pub(super) const INVALID: &str = "Request contains an invalid argument.";

const EMPTY: Shape = Shape(&[]);
const NOT_LIVE: Type = Barred(INVALID, "this generation option does not exist in Live sessions: leave it out");

/// One client message.
pub(super) static MESSAGE: Shape = Shape(&[
    ("setup", Object(&SETUP)),
    ("clientContent", Object(&CLIENT_CONTENT)),
    ("realtimeInput", Object(&REALTIME_INPUT)),
    ("toolResponse", Object(&TOOL_RESPONSE)),
]);

/// The same where the API version is v1alpha.
pub(super) static MESSAGE_ALPHA: Shape = Shape(&[
    ("setup", Object(&SETUP_ALPHA)),
    ("clientContent", Object(&CLIENT_CONTENT)),
    ("realtimeInput", Object(&REALTIME_INPUT)),
    ("toolResponse", Object(&TOOL_RESPONSE)),
]);

macro_rules! setup_fields {
    ($($more:expr),*) => {
        Shape(&[
            ("model", Text),
            ("generationConfig", Object(&GENERATION_CONFIG)),
            ("systemInstruction", Object(&CONTENT)),
            ("tools", List(&Object(&TOOL))),
            ("realtimeInputConfig", Object(&REALTIME_INPUT_CONFIG)),
            ("sessionResumption", Object(&SESSION_RESUMPTION)),
            ("contextWindowCompression", Object(&COMPRESSION)),
            ("inputAudioTranscription", Object(&TRANSCRIPTION)),
            ("outputAudioTranscription", Object(&TRANSCRIPTION)),
            ("historyConfig", Object(&HISTORY_CONFIG)),
            ("safetySettings", List(&Object(&SAFETY_SETTING))),
            ("labels", Map(&Text)),
            ("avatarConfig", Barred(INVALID, "avatars are not part of a voice session")),
            $($more),*
        ])
    };
}

static SETUP: Shape = setup_fields!();
static SETUP_ALPHA: Shape = setup_fields!(("proactivity", Object(&PROACTIVITY)));

static PROACTIVITY: Shape = Shape(&[("proactiveAudio", Flag), ("proactiveVideo", Flag)]);

static GENERATION_CONFIG: Shape = Shape(&[
    ("responseModalities", List(&Word(&["MODALITY_UNSPECIFIED", "TEXT", "IMAGE", "AUDIO", "VIDEO"]))),
    ("speechConfig", Object(&SPEECH_CONFIG)),
    ("thinkingConfig", Object(&THINKING_CONFIG)),
    (
        "mediaResolution",
        Word(&[
            "MEDIA_RESOLUTION_UNSPECIFIED",
            "MEDIA_RESOLUTION_LOW",
            "MEDIA_RESOLUTION_MEDIUM",
            "MEDIA_RESOLUTION_HIGH",
        ]),
    ),
    ("temperature", Number),
    ("topP", Number),
    ("topK", Number),
    ("maxOutputTokens", Integer),
    ("seed", Integer),
    ("candidateCount", Integer),
    ("presencePenalty", Number),
    ("frequencyPenalty", Number),
    ("enableAffectiveDialog", Barred(INVALID, "affective dialog is gone from 3.x models: leave it out")),
    ("translationConfig", NOT_LIVE),
    ("responseLogprobs", NOT_LIVE),
    ("logprobs", NOT_LIVE),
    ("responseMimeType", NOT_LIVE),
    ("responseSchema", NOT_LIVE),
    ("responseJsonSchema", NOT_LIVE),
    ("stopSequences", NOT_LIVE),
    ("routingConfig", NOT_LIVE),
    ("audioTimestamp", NOT_LIVE),
]);

static SPEECH_CONFIG: Shape = Shape(&[
    ("voiceConfig", Object(&VOICE_CONFIG)),
    ("languageCode", Text),
    ("multiSpeakerVoiceConfig", Barred(INVALID, "a Live session has one speaker: use voiceConfig")),
]);

static VOICE_CONFIG: Shape = Shape(&[
    ("prebuiltVoiceConfig", Object(&PREBUILT_VOICE_CONFIG)),
    ("replicatedVoiceConfig", Barred(INVALID, "the emulator has no custom voices: use prebuiltVoiceConfig")),
    ("voice", Barred(INVALID, "the emulator has no custom voices: use prebuiltVoiceConfig")),
]);

static PREBUILT_VOICE_CONFIG: Shape = Shape(&[("voiceName", Text)]);

static THINKING_CONFIG: Shape = Shape(&[
    ("thinkingLevel", Word(&["THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"])),
    ("includeThoughts", Flag),
    ("thinkingBudget", Integer),
]);

static CONTENT: Shape = Shape(&[("parts", List(&Object(&PART))), ("role", Text)]);

static PART: Shape = Shape(&[
    ("text", Text),
    ("thought", Flag),
    ("thoughtSignature", Bytes),
    ("inlineData", Object(&BLOB)),
    ("functionCall", Object(&FUNCTION_CALL)),
    ("functionResponse", Object(&FUNCTION_RESPONSE)),
]);

static BLOB: Shape = Shape(&[("data", Bytes), ("mimeType", Text)]);

static FUNCTION_CALL: Shape = Shape(&[("id", Text), ("name", Text), ("args", Struct)]);

static TOOL: Shape = Shape(&[
    ("functionDeclarations", List(&Object(&FUNCTION_DECLARATION))),
    ("googleSearch", Object(&EMPTY)),
    ("codeExecution", Barred("Code Execution tool is not supported", "3.x Live models do not run code")),
    ("urlContext", Barred(INVALID, "3.x Live models do not read URLs")),
    ("googleMaps", Barred(INVALID, "3.x Live models have no Maps grounding")),
    ("fileSearch", Barred(INVALID, "3.x Live models do not search files")),
]);

static FUNCTION_DECLARATION: Shape = Shape(&[
    ("name", Text),
    ("description", Text),
    ("parameters", Object(&SCHEMA)),
    (
        "parametersJsonSchema",
        Barred(INVALID, "Live models ignore parametersJsonSchema and guess the arguments: use `parameters`"),
    ),
    ("behavior", Word(&["UNSPECIFIED", "BLOCKING", "NON_BLOCKING"])),
    ("response", Object(&SCHEMA)),
    ("responseJsonSchema", Any),
]);

static SCHEMA: Shape = Shape(&[
    ("type", Text),
    ("title", Text),
    ("description", Text),
    ("enum", List(&Text)),
    ("format", Text),
    ("nullable", Flag),
    ("items", Object(&SCHEMA)),
    ("properties", Map(&Object(&SCHEMA))),
    ("required", List(&Text)),
    ("anyOf", List(&Object(&SCHEMA))),
    ("minimum", Number),
    ("maximum", Number),
    ("minItems", Integer64),
    ("maxItems", Integer64),
    ("minLength", Integer64),
    ("maxLength", Integer64),
    ("minProperties", Integer64),
    ("maxProperties", Integer64),
    ("pattern", Text),
    ("propertyOrdering", List(&Text)),
    ("default", Any),
    ("example", Any),
]);

static REALTIME_INPUT_CONFIG: Shape = Shape(&[
    ("automaticActivityDetection", Object(&DETECTION)),
    ("activityHandling", Word(&["ACTIVITY_HANDLING_UNSPECIFIED", "START_OF_ACTIVITY_INTERRUPTS", "NO_INTERRUPTION"])),
    (
        "turnCoverage",
        Word(&[
            "TURN_COVERAGE_UNSPECIFIED",
            "TURN_INCLUDES_ONLY_ACTIVITY",
            "TURN_INCLUDES_ALL_INPUT",
            "TURN_INCLUDES_AUDIO_ACTIVITY_AND_ALL_VIDEO",
        ]),
    ),
    ("interimTranscriptTimestampEnabled", Flag),
]);

static DETECTION: Shape = Shape(&[
    ("disabled", Flag),
    (
        "startOfSpeechSensitivity",
        Word(&["START_SENSITIVITY_UNSPECIFIED", "START_SENSITIVITY_HIGH", "START_SENSITIVITY_LOW"]),
    ),
    ("endOfSpeechSensitivity", Word(&["END_SENSITIVITY_UNSPECIFIED", "END_SENSITIVITY_HIGH", "END_SENSITIVITY_LOW"])),
    ("prefixPaddingMs", Integer),
    ("silenceDurationMs", Integer),
]);

static SESSION_RESUMPTION: Shape = Shape(&[("handle", Text)]);

static COMPRESSION: Shape = Shape(&[("triggerTokens", Integer64), ("slidingWindow", Object(&SLIDING_WINDOW))]);

static SLIDING_WINDOW: Shape = Shape(&[("targetTokens", Integer64)]);

static TRANSCRIPTION: Shape = Shape(&[
    ("languageCodes", List(&Text)),
    ("customVocabulary", List(&Text)),
    ("wordTimestamp", Flag),
    ("diarization", Flag),
    ("mode", Word(&["MODE_UNSPECIFIED", "VERBATIM", "SMART"])),
    ("sourceText", Text),
    ("languageAuto", Object(&EMPTY)),
    ("languageHints", Object(&LANGUAGE_HINTS)),
    ("adaptationPhrases", List(&Text)),
]);

static LANGUAGE_HINTS: Shape = Shape(&[("languageCodes", List(&Text))]);

static HISTORY_CONFIG: Shape = Shape(&[("initialHistoryInClientContent", Flag)]);

static SAFETY_SETTING: Shape = Shape(&[("category", Text), ("threshold", Text)]);

static CLIENT_CONTENT: Shape = Shape(&[("turns", List(&Object(&CONTENT))), ("turnComplete", Flag)]);

static REALTIME_INPUT: Shape = Shape(&[
    ("audio", Object(&BLOB)),
    ("video", Object(&BLOB)),
    ("text", Text),
    ("activityStart", Object(&EMPTY)),
    ("activityEnd", Object(&EMPTY)),
    ("audioStreamEnd", Flag),
    (
        "mediaChunks",
        Barred(
            "realtime_input.media_chunks is deprecated. Use audio, video, or text instead.",
            "the service swallows mediaChunks without an answer: send realtimeInput.audio",
        ),
    ),
]);

static TOOL_RESPONSE: Shape = Shape(&[("functionResponses", List(&Object(&FUNCTION_RESPONSE)))]);

static FUNCTION_RESPONSE: Shape = Shape(&[
    ("id", Text),
    ("name", Text),
    ("response", Struct),
    ("scheduling", Word(&["SCHEDULING_UNSPECIFIED", "SILENT", "WHEN_IDLE", "INTERRUPT"])),
    ("willContinue", Flag),
    ("parts", List(&Object(&RESPONSE_PART))),
]);

static RESPONSE_PART: Shape = Shape(&[("inlineData", Object(&BLOB))]);
