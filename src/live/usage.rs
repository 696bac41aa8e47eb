//! Tokens as the service counts them, by kind of media (live-protocol.md 3.3).
//!
//! Details are often missing and do not always add up to the totals. What no detail explains is taken for the
//! dearest likely kind, so that an estimate errs on the safe side.

use serde::Serialize;
use serde_json::Value;

/// Tokens by kind of media.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tokens {
    /// Text; thoughts and documents with it.
    pub text: u64,
    /// Sound.
    pub audio: u64,
    /// Pictures and video.
    pub image: u64,
}

/// What one `usageMetadata` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// What went in: the whole context, which is billed again with every turn.
    pub input: Tokens,
    /// What came out.
    pub output: Tokens,
    /// All tokens; at least the sum of both.
    pub total: u64,
}

impl Tokens {
    /// All of them.
    pub fn sum(&self) -> u64 {
        self.text.saturating_add(self.audio).saturating_add(self.image)
    }

    fn read(details: &Value) -> Tokens {
        let mut tokens = Tokens::default();
        for detail in details.as_array().into_iter().flatten().take(DETAILS_MAX) {
            let count = number(&detail["tokenCount"]).unwrap_or(0);
            let kind = match detail["modality"].as_str() {
                Some("AUDIO") => &mut tokens.audio,
                Some("IMAGE" | "VIDEO") => &mut tokens.image,
                _ => &mut tokens.text,
            };
            *kind = kind.saturating_add(count);
        }
        tokens
    }

    /// Fills up to `total`: with sound where nothing is told apart, with text where most is.
    fn filled(mut self, total: u64) -> Tokens {
        let missing = total.saturating_sub(self.sum());
        if self == Tokens::default() {
            self.audio = missing
        } else {
            self.text = self.text.saturating_add(missing)
        }
        self
    }

    fn plus(self, more: Tokens) -> Tokens {
        Tokens {
            text: self.text.saturating_add(more.text),
            audio: self.audio.saturating_add(more.audio),
            image: self.image.saturating_add(more.image),
        }
    }
}

impl Usage {
    /// Both together.
    pub fn plus(self, more: Usage) -> Usage {
        Usage {
            input: self.input.plus(more.input),
            output: self.output.plus(more.output),
            total: self.total.saturating_add(more.total),
        }
    }
}

/// There are six kinds.
const DETAILS_MAX: usize = 16;
/// More tokens than this in one turn are no count but a fault: a hundred contexts.
const COUNT_MAX: u64 = 13_000_000;

/// Reads `usageMetadata`; none where it counts nothing.
pub(super) fn read(value: &Value) -> Option<Usage> {
    let count = |names: &[&str]| names.iter().find_map(|name| number(&value[*name])).unwrap_or(0);
    let prompt = Tokens::read(&value["promptTokensDetails"]).filled(count(&["promptTokenCount"]));
    let tool_use = Tokens::read(&value["toolUsePromptTokensDetails"]);
    let tool_use = Tokens { text: tool_use.text.max(count(&["toolUsePromptTokenCount"])), ..tool_use };
    let response = Tokens::read(&value["responseTokensDetails"]);
    let response = response.filled(count(&["responseTokenCount", "candidatesTokenCount"]));
    let thoughts = Tokens { text: count(&["thoughtsTokenCount"]), ..Tokens::default() };
    let (mut input, output) = (prompt.plus(tool_use), response.plus(thoughts));
    let total = count(&["totalTokenCount"]).max(input.sum() + output.sum());
    // The total alone: taken for what went in, which is most of it.
    input = if input.sum() + output.sum() == 0 { input.filled(total) } else { input };
    (total > 0).then_some(Usage { input, output, total })
}

/// Protobuf's JSON writes 64-bit numbers as text, 32-bit ones as numbers.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).map(|count| count.min(COUNT_MAX))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn tokens(text: u64, audio: u64, image: u64) -> Tokens {
        Tokens { text, audio, image }
    }

    #[test]
    fn tokens_are_told_apart_and_what_is_missing_is_not_free() {
        let full = read(&json!({
            "promptTokenCount": 120, "responseTokenCount": 40, "thoughtsTokenCount": 7, "totalTokenCount": 160,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 50}, {"modality": "AUDIO", "tokenCount": 40},
                                    {"modality": "VIDEO", "tokenCount": 10}],
            "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 40}]}))
        .unwrap();
        assert_eq!((full.input, full.output, full.total), (tokens(70, 40, 10), tokens(7, 40, 0), 167));
        let bare = read(&json!({"promptTokenCount": "412", "candidatesTokenCount": 31})).unwrap();
        assert_eq!((bare.input, bare.output, bare.total), (tokens(0, 412, 0), tokens(0, 31, 0), 443));
        assert_eq!(read(&json!({"totalTokenCount": 9})).unwrap().input, tokens(0, 9, 0));
    }

    #[test]
    fn nonsense_counts_little_and_never_overflows() {
        assert_eq!(read(&json!({})), None);
        assert_eq!(read(&json!({"totalTokenCount": -4, "promptTokensDetails": "many"})), None);
        let huge = read(&json!({"promptTokenCount": u64::MAX, "responseTokenCount": u64::MAX})).unwrap();
        assert_eq!(huge.total, 2 * COUNT_MAX);
        assert!(huge.plus(huge).total == 4 * COUNT_MAX);
    }
}
