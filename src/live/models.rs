//! What each model accepts and how it ends a turn, one row a model (live-protocol.md 0.1, 2.3, 5.8).

use crate::config::agent::Behavior;

/// A model's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    /// Its id begins with this.
    pub prefix: &'static str,
    /// `thinkingConfig.thinkingLevel` to send, where the model wants one.
    pub thinking_level: Option<&'static str>,
    /// Behaviours a function may declare, the usual one first; never empty.
    pub behaviors: &'static [Behavior],
    /// What ends the model's turn.
    pub turn_end: TurnEnd,
}

/// What ends a model's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnEnd {
    /// `turnComplete`.
    TurnComplete,
    /// `interactionStatus: IDLE`; `turnComplete` alone is a pause.
    InteractionIdle,
}

const BOTH: &[Behavior] = &[Behavior::Blocking, Behavior::NonBlocking];

// The longer prefix first: the first row that fits is taken.
const MODELS: [Model; 4] = [
    Model {
        prefix: "gemini-3.8-live-extended-thinking",
        thinking_level: Some("LOW"),
        behaviors: &[Behavior::NonBlocking],
        turn_end: TurnEnd::InteractionIdle,
    },
    Model { prefix: "gemini-3.8-live", thinking_level: None, behaviors: BOTH, turn_end: TurnEnd::TurnComplete },
    Model {
        prefix: "gemini-3.1-flash-live",
        thinking_level: None,
        behaviors: &[Behavior::Blocking],
        turn_end: TurnEnd::TurnComplete,
    },
    Model {
        prefix: "gemini-2.5-flash-native-audio",
        thinking_level: None,
        behaviors: BOTH,
        turn_end: TurnEnd::TurnComplete,
    },
];

/// The row of the model `id` (without `models/`); for an unknown one that of today's default model, which asks
/// for least.
pub fn model(id: &str) -> Model {
    MODELS.into_iter().find(|m| id.starts_with(m.prefix)).unwrap_or(MODELS[1])
}

/// Whether `id` has a row of its own.
pub fn is_known(id: &str) -> bool {
    MODELS.iter().any(|m| id.starts_with(m.prefix))
}

impl Model {
    /// What to declare for a function that wants `wanted`.
    pub fn behavior(&self, wanted: Behavior) -> Behavior {
        if self.behaviors.contains(&wanted) { wanted } else { self.behaviors[0] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_model_gets_what_it_takes() {
        let row = |id: &str| {
            let m = model(id);
            (m.thinking_level, m.behavior(Blocking), m.turn_end)
        };
        use Behavior::{Blocking, NonBlocking};
        use TurnEnd::{InteractionIdle, TurnComplete};
        for (id, expected) in [
            ("gemini-3.8-live", (None, Blocking, TurnComplete)),
            ("gemini-3.8-live-extended-thinking", (Some("LOW"), NonBlocking, InteractionIdle)),
            ("gemini-3.1-flash-live-preview", (None, Blocking, TurnComplete)),
            ("gemini-2.5-flash-native-audio-preview-12-2025", (None, Blocking, TurnComplete)),
            ("gemini-9-live", (None, Blocking, TurnComplete)),
        ] {
            assert_eq!(row(id), expected, "{id}");
        }
        assert_eq!(model("gemini-3.1-flash-live-preview").behavior(NonBlocking), Blocking);
        assert!(is_known("gemini-3.8-live") && !is_known("gemini-9-live"));
    }
}
