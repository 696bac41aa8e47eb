//! `[speak]`: how replies and the device's own sounds are played.

use super::super::key::{Choice, Key, Need, Path, Whole};
use super::super::read::{Reader, Section, Sheet};
use super::{Cues, Speak};

const VOLUME_PERCENT: Key<Whole> = Key {
    name: "volume_percent",
    kind: Whole { unit: "percent", min: 0, max: 100, step: 1, default: 80 }, // leaves the owner room both ways
    need: Need::Defaults,
    doc: "Loudness of replies.",
};
const PREBUFFER_MS: Key<Whole> = Key {
    name: "prebuffer_ms",
    kind: Whole { unit: "ms", min: 0, max: 500, step: 1, default: 40 }, // two messages; the service sends faster than real time
    need: Need::Defaults,
    doc: "Sound gathered before a reply starts to play.",
};
const CUES: Key<Choice<Cues>> = Key {
    name: "cues",
    kind: Choice {
        options: &[("on", Cues::On), ("few", Cues::Few), ("off", Cues::Off)],
        default: Cues::On, // silence would be taken for an answer that is still coming
    },
    need: Need::Defaults,
    doc: "Short sounds of the device itself: all, only few (what is wrong, what was changed), or none.",
};
const SOUNDS: Key<Path> = Key {
    name: "sounds",
    kind: Path { what: "a folder of WAV files" },
    need: Need::Optional,
    doc: "Folder whose listening.wav, heard.wav, … replace the device's own sounds.",
};
const STAY_AWAKE_S: Key<Whole> = Key {
    name: "stay_awake_s",
    kind: Whole { unit: "s", min: 0, max: 600, step: 1, default: 10 }, // spans the pauses of a conversation
    need: Need::Defaults,
    doc: "How long the loudspeaker's converter is kept awake after a reply, so that the next word is not clipped.",
};

/// `[speak]`.
pub const SPEAK: Sheet =
    Sheet { name: "speak", keys: &[&VOLUME_PERCENT, &PREBUFFER_MS, &CUES, &SOUNDS, &STAY_AWAKE_S], tables: &[] };
pub(super) fn speak(reader: &mut Reader<'_>, top: &Section<'_>) -> Speak {
    let at = reader.inner(top, SPEAK.name, &SPEAK);
    Speak {
        volume_percent: u8::try_from(reader.get(&at, &VOLUME_PERCENT)).unwrap_or(u8::MAX),
        prebuffer_ms: reader.get(&at, &PREBUFFER_MS),
        cues: reader.get(&at, &CUES),
        sounds: reader.find(&at, &SOUNDS),
        stay_awake_s: reader.get(&at, &STAY_AWAKE_S),
    }
}
