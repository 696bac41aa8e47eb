//! What each model accepts and needs, one row a model (live-protocol.md 0, 0.1, 2.3, 5.8, 6.1, 8.1).

use crate::config::agent::{Agent, Behavior, ThinkingLevel};

/// The classic prebuilt voices, which every model has ready (live-protocol.md 8; speech-generation page, 2026-09).
pub const CLASSIC_VOICES: [&str; 30] = [
    "Achernar",
    "Achird",
    "Algenib",
    "Algieba",
    "Alnilam",
    "Aoede",
    "Autonoe",
    "Callirrhoe",
    "Charon",
    "Despina",
    "Enceladus",
    "Erinome",
    "Fenrir",
    "Gacrux",
    "Iapetus",
    "Kore",
    "Laomedeia",
    "Leda",
    "Orus",
    "Puck",
    "Pulcherrima",
    "Rasalgethi",
    "Sadachbia",
    "Sadaltager",
    "Schedar",
    "Sulafat",
    "Umbriel",
    "Vindemiatrix",
    "Zephyr",
    "Zubenelgenubi",
];

/// A model's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    /// Its id begins with this.
    pub prefix: &'static str,
    /// Levels that `thinkingConfig.thinkingLevel` may have, the least first; none where any closes the session.
    pub thinking: &'static [ThinkingLevel],
    /// Whether a level must be sent.
    pub must_think: bool,
    /// Behaviours a function may declare, the usual one first; never empty.
    pub behaviors: &'static [Behavior],
    /// Whether the user is heard while a blocking call is open: the service then takes the call back. Otherwise
    /// sound in mid-call stalls or closes the session.
    pub hears_during_call: bool,
    /// Whether `historyConfig` may announce what was said before.
    pub takes_history: bool,
    /// Whether it reads a picture that comes with the answer of a function.
    pub sees_answers: bool,
    /// What ends the model's turn.
    pub turn_end: TurnEnd,
    /// Fields and words that close the session wherever they stand; never sent.
    pub refuses: &'static [&'static str],
    /// What its owner should know; the end of a sentence that begins with the id.
    pub advice: Option<&'static str>,
}

/// What ends a model's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnEnd {
    /// `turnComplete`.
    TurnComplete,
    /// `interactionStatus: IDLE`; `turnComplete` alone is a pause.
    InteractionIdle,
}

use Behavior::{Blocking, NonBlocking};
use ThinkingLevel::{High, Low, Medium, Minimal};

const LEGACY: Option<&str> =
    Some("is a legacy preview that was to be shut down on 2026-11-17: change to gemini-3.8-live");

/// What holds for today's default model.
const PLAIN: Model = Model {
    prefix: "gemini-3.8-live",
    thinking: &[],
    must_think: false,
    behaviors: &[Blocking, NonBlocking],
    hears_during_call: true,
    takes_history: true,
    sees_answers: true,
    turn_end: TurnEnd::TurnComplete,
    refuses: &[
        "thinkingConfig",
        "proactivity",
        "enableAffectiveDialog",
        "explicitVadSignal",
        "transparent",
        "mediaChunks",
    ],
    advice: None,
};

/// A model that nobody here knows: it is sent the least.
const UNKNOWN: Model = Model {
    prefix: "",
    hears_during_call: false,
    takes_history: false,
    advice: Some("is not a model that this version knows: it is asked for as little as possible, and may be refused"),
    ..PLAIN
};

// The longer prefix first: the first row that fits is taken.
const MODELS: [Model; 5] = [
    Model {
        prefix: "gemini-3.8-live-extended-thinking",
        thinking: &[Low, Medium, High],
        must_think: true,
        behaviors: &[NonBlocking],
        turn_end: TurnEnd::InteractionIdle,
        refuses: &["BLOCKING", "scheduling", "MINIMAL", "proactivity", "enableAffectiveDialog", "mediaChunks"],
        ..PLAIN
    },
    PLAIN,
    Model {
        prefix: "gemini-3.1-flash-live",
        thinking: &[Minimal, Low, Medium, High],
        behaviors: &[Blocking],
        hears_during_call: false,
        refuses: &["NON_BLOCKING", "scheduling", "proactivity", "enableAffectiveDialog", "mediaChunks"],
        advice: LEGACY,
        ..PLAIN
    },
    Model {
        prefix: "gemini-2.5-flash-native-audio",
        hears_during_call: false,
        takes_history: false, // its history must end with a turn of the user, which would be answered
        sees_answers: false,
        refuses: &["thinkingLevel", "mediaChunks"],
        advice: LEGACY,
        ..PLAIN
    },
    Model {
        prefix: "gemini-live-2.5-flash",
        hears_during_call: false,
        takes_history: false,
        sees_answers: false,
        refuses: &["thinkingLevel", "mediaChunks"],
        advice: Some("is a Vertex model, which the Gemini API does not have: change to gemini-3.8-live"),
        ..PLAIN
    },
];

/// The row of the model `id` (without `models/`); for an unknown one that which asks for least.
pub fn model(id: &str) -> Model {
    MODELS.into_iter().find(|m| id.starts_with(m.prefix)).unwrap_or(UNKNOWN)
}

/// What the owner should know about the models that the agent file names: sentences.
pub fn advice(agent: &Agent) -> Vec<String> {
    let ids = [Some(&agent.model), agent.fallback_model.as_ref()];
    let mut sentences: Vec<String> =
        ids.into_iter().flatten().filter_map(|id| Some(format!("{id} {}", model(id).advice?))).collect();
    let row = model(&agent.model);
    if agent.thinking_level.is_some_and(|level| !row.thinking.contains(&level)) {
        let takes = match row.thinking {
            [] => "takes none".to_string(),
            levels => {
                format!("takes {}", levels.iter().map(|l| word(*l).to_lowercase()).collect::<Vec<_>>().join(", "))
            }
        };
        sentences.push(format!("thinking_level is left out: {} {takes}", agent.model));
    }
    sentences
}

/// A level as the service writes it.
pub fn word(level: ThinkingLevel) -> &'static str {
    match level {
        Minimal => "MINIMAL",
        Low => "LOW",
        Medium => "MEDIUM",
        High => "HIGH",
    }
}

impl Model {
    /// What to declare for a function that wants `wanted`.
    pub fn behavior(&self, wanted: Behavior) -> Behavior {
        if self.behaviors.contains(&wanted) { wanted } else { self.behaviors[0] }
    }

    /// The level to send, if any, for an owner who wants `wanted`.
    pub fn thinking_level(&self, wanted: Option<ThinkingLevel>) -> Option<ThinkingLevel> {
        let taken = wanted.filter(|level| self.thinking.contains(level));
        taken.or_else(|| self.thinking.first().copied().filter(|_| self.must_think))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_model_gets_what_it_takes() {
        let row = |id: &str| {
            let m = model(id);
            (m.thinking_level(None), m.behavior(Blocking), m.turn_end, m.hears_during_call)
        };
        use TurnEnd::{InteractionIdle, TurnComplete};
        for (id, expected) in [
            ("gemini-3.8-live", (None, Blocking, TurnComplete, true)),
            ("gemini-3.8-live-extended-thinking", (Some(Low), NonBlocking, InteractionIdle, true)),
            ("gemini-3.1-flash-live-preview", (None, Blocking, TurnComplete, false)),
            ("gemini-2.5-flash-native-audio-preview-12-2025", (None, Blocking, TurnComplete, false)),
            ("gemini-9-live", (None, Blocking, TurnComplete, false)),
        ] {
            assert_eq!(row(id), expected, "{id}");
        }
        assert_eq!(model("gemini-3.1-flash-live-preview").behavior(NonBlocking), Blocking);
    }

    #[test]
    fn a_level_goes_only_to_a_model_that_takes_it() {
        let level = |id: &str, wanted| model(id).thinking_level(wanted);
        assert_eq!(level("gemini-3.8-live", Some(High)), None);
        assert_eq!(level("gemini-3.8-live-extended-thinking", Some(High)), Some(High));
        assert_eq!(level("gemini-3.8-live-extended-thinking", Some(Minimal)), Some(Low));
        assert_eq!(level("gemini-3.1-flash-live-preview", Some(Minimal)), Some(Minimal));
    }

    #[test]
    fn the_owner_is_told_what_is_odd_about_a_model() {
        let of = |model: &str| Agent { model: model.into(), thinking_level: Some(Low), ..Agent::default() };
        assert!(advice(&Agent::default()).is_empty());
        assert!(advice(&of("gemini-9-live"))[0].starts_with("gemini-9-live is not a model"));
        assert!(advice(&of("gemini-3.1-flash-live-preview"))[0].contains("shut down"));
        assert_eq!(advice(&of("gemini-3.8-live")), ["thinking_level is left out: gemini-3.8-live takes none"]);
        let fallback =
            Agent { fallback_model: Some("gemini-2.5-flash-native-audio-latest".into()), ..Agent::default() };
        assert_eq!(advice(&fallback).len(), 1);
    }
}
