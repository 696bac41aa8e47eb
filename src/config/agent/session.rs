//! The keys of `[session]`, `[prices]` and the day's limits.

use super::super::key::{Choice, Key, Need, Number, Text, Whole};
use super::super::read::{Reader, Section, Sheet};
use super::{Connection, Keep, Keeping, Prices};

const CONNECTION: Key<Choice<Connection>> = Key {
    name: "connection",
    kind: Choice {
        options: &[("on_demand", Connection::OnDemand), ("keep_open", Connection::KeepOpen)],
        default: Connection::OnDemand, // 0.3 s that pass while somebody speaks (live-protocol.md 6.1)
    },
    need: Need::Defaults,
    doc: "When there is a connection: opened by speech and closed when idle, or always.",
};
const IDLE_CLOSE_S: Key<Whole> = Key {
    name: "idle_close_s",
    kind: Whole { unit: "s", min: 5, max: 3600, step: 1, default: 60 },
    need: Need::Defaults,
    doc: "Idle for this long, an on-demand connection is closed; the conversation goes on with the next one.",
};
const KEEP: Key<Choice<Keep>> = Key {
    name: "keep",
    kind: Choice {
        options: &[("nothing", Keep::Nothing), ("handle", Keep::Handle), ("handle_and_words", Keep::HandleAndWords)],
        default: Keep::Handle, // a power cut does not end a conversation; no word of it is on the disk
    },
    need: Need::Defaults,
    doc: "What of a conversation a restart finds on the disk: nothing, the service's handle, or the last words too.",
};
const HISTORY_TURNS: Key<Whole> = Key {
    name: "history_turns",
    kind: Whole { unit: "turns", min: 0, max: 50, step: 1, default: 8 },
    need: Need::Defaults,
    doc: "Turns whose text is kept, to tell a fresh session of them where the service has lost the old one.",
};
const COMPRESS_AT_TOKENS: Key<Whole> = Key {
    name: "compress_at_tokens",
    kind: Whole { unit: "tokens", min: 5000, max: 128_000, step: 1, default: 0 },
    need: Need::Optional,
    doc: "Size of the context at which the service shortens it (25000 is thrifty); its own choice where absent.",
};
const COMPRESS_TO_TOKENS: Key<Whole> = Key {
    name: "compress_to_tokens",
    kind: Whole { unit: "tokens", min: 1000, max: 128_000, step: 1, default: 0 },
    need: Need::Optional,
    doc: "Size to which it is shortened (8000); half of `compress_at_tokens` or the service's choice where absent.",
};

/// `[limits] day_tokens`.
pub(super) const DAY_TOKENS: Key<Whole> = Key {
    name: "day_tokens",
    kind: Whole { unit: "tokens", min: 1000, max: 1_000_000_000, step: 1, default: 0 },
    need: Need::Optional,
    doc: "Tokens a day; then the device says so and rests until the next. No limit where absent.",
};
/// `[limits] day_usd`.
pub(super) const DAY_USD: Key<Number> = Key {
    name: "day_usd",
    kind: Number { unit: "US dollars", min: 0.01, max: 100_000.0, default: 0.0 },
    need: Need::Optional,
    doc: "US dollars a day, by [prices]; then the device says so and rests until the next. No limit where absent.",
};

const AS_OF: Key<Text> = Key {
    name: "as_of",
    kind: Text { what: "the day the prices are of", chars_max: 10, check: day, default: "2026-11-20" },
    need: Need::Defaults,
    doc: "The day the prices are of.",
};

/// A price of a million tokens (live-protocol.md 4.5: 3.8 prices are from third parties).
const fn price(name: &'static str, default: f32, doc: &'static str) -> Key<Number> {
    Key { name, kind: Number { unit: "US dollars", min: 0.0, max: 10_000.0, default }, need: Need::Defaults, doc }
}

const TEXT_IN: Key<Number> = price("text_in", 0.75, "A million tokens of text in.");
const AUDIO_IN: Key<Number> = price("audio_in", 3.0, "A million tokens of sound in.");
const IMAGE_IN: Key<Number> = price("image_in", 1.0, "A million tokens of pictures in.");
const TEXT_OUT: Key<Number> = price("text_out", 4.5, "A million tokens of text out, thoughts and transcripts with it.");
const AUDIO_OUT: Key<Number> = price("audio_out", 12.0, "A million tokens of sound out.");

/// `[session]`.
pub(super) const SESSION: Sheet = Sheet {
    name: "session",
    keys: &[&CONNECTION, &IDLE_CLOSE_S, &KEEP, &HISTORY_TURNS, &COMPRESS_AT_TOKENS, &COMPRESS_TO_TOKENS],
    tables: &[],
};
/// `[prices]`.
pub(super) const PRICES: Sheet =
    Sheet { name: "prices", keys: &[&AS_OF, &TEXT_IN, &AUDIO_IN, &IMAGE_IN, &TEXT_OUT, &AUDIO_OUT], tables: &[] };

pub(super) fn keeping(reader: &mut Reader<'_>, top: &Section<'_>) -> Keeping {
    let at = reader.inner(top, SESSION.name, &SESSION);
    let keeping = Keeping {
        connection: reader.get(&at, &CONNECTION),
        idle_close_s: reader.get(&at, &IDLE_CLOSE_S),
        keep: reader.get(&at, &KEEP),
        history_turns: reader.get(&at, &HISTORY_TURNS),
        compress_at_tokens: reader.find(&at, &COMPRESS_AT_TOKENS),
        compress_to_tokens: reader.find(&at, &COMPRESS_TO_TOKENS),
    };
    let at_least = keeping.compress_at_tokens.unwrap_or(128_000);
    if let Some(to) = keeping.compress_to_tokens.filter(|to| *to >= at_least) {
        let message = format!("is {to}, which shortens nothing: it must be less than `compress_at_tokens`, {at_least}");
        reader.object(&at, COMPRESS_TO_TOKENS.name, message);
    }
    keeping
}

pub(super) fn prices(reader: &mut Reader<'_>, top: &Section<'_>) -> Prices {
    let at = reader.inner(top, PRICES.name, &PRICES);
    Prices {
        as_of: reader.get(&at, &AS_OF),
        text_in: reader.get(&at, &TEXT_IN),
        audio_in: reader.get(&at, &AUDIO_IN),
        image_in: reader.get(&at, &IMAGE_IN),
        text_out: reader.get(&at, &TEXT_OUT),
        audio_out: reader.get(&at, &AUDIO_OUT),
    }
}

fn day(text: &str) -> Result<(), String> {
    let parts: Vec<&str> = text.split('-').collect();
    let is_number = |part: &str, chars: usize| part.len() == chars && part.bytes().all(|b| b.is_ascii_digit());
    match parts[..] {
        [year, month, day] if is_number(year, 4) && is_number(month, 2) && is_number(day, 2) => Ok(()),
        _ => Err("is no day; it must be one like \"2026-11-20\"".to_string()),
    }
}
