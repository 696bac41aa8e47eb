//! Keys of `[gestures]`, `[echo]` and `[wake]`: what presses mean beside talking, what is done about echo and noise,
//! the wake word.

use super::super::key::{Choice, Key, Need, Number, Path, Whole};
use super::super::read::{Reader, Section, Sheet};
use super::see::See;
use super::{Canceller, Echo, Gestures, NoiseSuppression, Switch, TapEnds, TwoTaps, Wake};

const TAP_ENDS: Key<Choice<TapEnds>> = Key {
    name: "tap_ends",
    kind: Choice {
        options: &[("silence", TapEnds::Silence), ("tap", TapEnds::Tap)],
        default: TapEnds::Silence, // who has tapped has their hands full
    },
    need: Need::Defaults,
    doc: "What ends the turn that a tap began: silence (or another tap), or only another tap.",
};

/// A gesture that has its meaning unless it is taken away.
const fn gesture(name: &'static str, doc: &'static str) -> Key<Choice<Switch>> {
    let options = &[("on", Switch::On), ("off", Switch::Off)];
    Key { name, kind: Choice { options, default: Switch::On }, need: Need::Defaults, doc }
}

const TWO_TAPS: Key<Choice<TwoTaps>> = Key {
    name: "two_taps",
    kind: Choice {
        options: &[("repeat", TwoTaps::Repeat), ("look", TwoTaps::Look), ("off", TwoTaps::Off)],
        default: TwoTaps::Repeat,
    },
    need: Need::Defaults,
    doc: "What two taps do: say the last reply once more, or talk with a picture (tap, then press and ask), or nothing.",
};
const LONG_MUTES: Key<Choice<Switch>> =
    gesture("long_mutes", "Whether a long press without a word mutes the microphone, and unmutes it.");
const VERY_LONG_RESETS: Key<Choice<Switch>> =
    gesture("very_long_resets", "Whether a very long press without a word begins a new conversation.");
const DOUBLE_MS: Key<Whole> = Key {
    name: "double_ms",
    kind: Whole { unit: "ms", min: 100, max: 1000, step: 1, default: 350 }, // two taps of one movement are 150-300 ms apart
    need: Need::Defaults,
    doc: "Longest pause between the two taps.",
};
const LONG_MS: Key<Whole> = Key {
    name: "long_ms",
    kind: Whole { unit: "ms", min: 1000, max: 10_000, step: 1, default: 3000 }, // longer than anybody draws breath
    need: Need::Defaults,
    doc: "A press without a word is long from here.",
};
const VERY_LONG_MS: Key<Whole> = Key {
    name: "very_long_ms",
    kind: Whole { unit: "ms", min: 3000, max: 30_000, step: 1, default: 10_000 }, // nobody does it by accident
    need: Need::Defaults,
    doc: "… and very long from here; more than `long_ms`.",
};

const CANCELLER: Key<Choice<Canceller>> = Key {
    name: "canceller",
    kind: Choice {
        options: &[("auto", Canceller::Auto), ("on", Canceller::On), ("off", Canceller::Off)],
        default: Canceller::Auto,
    },
    need: Need::Defaults,
    doc: "The echo canceller: on 64-bit boards (a 32-bit one cannot afford it), always, or never.",
};
const NOISE_SUPPRESSION: Key<Choice<NoiseSuppression>> = Key {
    name: "noise_suppression",
    kind: Choice {
        options: &[
            ("off", NoiseSuppression::Off),
            ("low", NoiseSuppression::Low),
            ("moderate", NoiseSuppression::Moderate),
            ("high", NoiseSuppression::High),
        ],
        default: NoiseSuppression::Low, // takes the edge off a fan and leaves speech as it is
    },
    need: Need::Defaults,
    doc: "How strongly noise is suppressed in what is sent: by 6, 12 or 18 dB.",
};
const GAIN_CONTROL: Key<Choice<Switch>> = Key {
    name: "gain_control",
    kind: Choice {
        options: &[("on", Switch::On), ("off", Switch::Off)],
        default: Switch::Off, // it makes what is left of the echo louder too (dependencies.md 3)
    },
    need: Need::Defaults,
    doc: "Whether soft speech is made louder in what is sent.",
};
const FULL_DUPLEX_DB: Key<Number> = Key {
    name: "full_duplex_db",
    kind: Number { unit: "dB", min: 0.0, max: 40.0, default: 15.0 }, // below about 18 dB cancellers are given up (peers.md 4)
    need: Need::Defaults,
    doc: "Below this measured ERLE a voice does not cut a reply: half duplex until it is better.",
};
const DELAY_MS: Key<Whole> = Key {
    name: "delay_ms",
    kind: Whole { unit: "ms", min: 0, max: 500, step: 1, default: 0 },
    need: Need::Defaults,
    doc: "Loudspeaker to microphone beyond what ALSA tells, as `mynah doctor` measures it; found by itself below 250 ms.",
};

const WORD_FILE: Key<Path> = Key {
    name: "word_file",
    kind: Path { what: "a file that `mynah wake record` made" },
    need: Need::Optional,
    doc: "The wake word, as `mynah wake record` wrote it down; without it there is only the button.",
};
const SENSITIVITY_PERCENT: Key<Whole> = Key {
    name: "sensitivity_percent",
    kind: Whole { unit: "percent", min: 0, max: 100, step: 1, default: 50 },
    need: Need::Defaults,
    doc: "How easily the wake word is heard; more finds more and errs more.",
};

/// `[gestures]`.
pub(super) const GESTURES: Sheet = Sheet {
    name: "gestures",
    keys: &[&TAP_ENDS, &TWO_TAPS, &LONG_MUTES, &VERY_LONG_RESETS, &DOUBLE_MS, &LONG_MS, &VERY_LONG_MS],
    tables: &[],
};
/// `[echo]`.
pub(super) const ECHO: Sheet = Sheet {
    name: "echo",
    keys: &[&CANCELLER, &NOISE_SUPPRESSION, &GAIN_CONTROL, &FULL_DUPLEX_DB, &DELAY_MS],
    tables: &[],
};
/// `[wake]`.
pub(super) const WAKE: Sheet = Sheet { name: "wake", keys: &[&WORD_FILE, &SENSITIVITY_PERCENT], tables: &[] };

/// `[gestures]` of the file; a picture is asked for only where there are pictures.
pub(super) fn gestures(reader: &mut Reader<'_>, top: &Section<'_>, see: &See) -> Gestures {
    let at = reader.inner(top, GESTURES.name, &GESTURES);
    let gestures = Gestures {
        tap_ends: reader.get(&at, &TAP_ENDS),
        two_taps: reader.get(&at, &TWO_TAPS),
        long_mutes: reader.get(&at, &LONG_MUTES),
        very_long_resets: reader.get(&at, &VERY_LONG_RESETS),
        double_ms: reader.get(&at, &DOUBLE_MS),
        long_ms: reader.get(&at, &LONG_MS),
        very_long_ms: reader.get(&at, &VERY_LONG_MS),
    };
    if gestures.very_long_ms <= gestures.long_ms {
        let message = format!(
            "is {} ms, which is not longer than a long press: it must be more than `long_ms`, {} ms",
            gestures.very_long_ms, gestures.long_ms
        );
        reader.object(&at, VERY_LONG_MS.name, message);
    }
    if gestures.two_taps == TwoTaps::Look && !see.is_on() {
        let message =
            "asks for a picture, and there is none: say in [see] when pictures are taken (`mode`)".to_string();
        reader.object(&at, TWO_TAPS.name, message);
    }
    gestures
}

pub(super) fn echo(reader: &mut Reader<'_>, top: &Section<'_>) -> Echo {
    let at = reader.inner(top, ECHO.name, &ECHO);
    Echo {
        canceller: reader.get(&at, &CANCELLER),
        noise_suppression: reader.get(&at, &NOISE_SUPPRESSION),
        gain_control: reader.get(&at, &GAIN_CONTROL),
        full_duplex_db: reader.get(&at, &FULL_DUPLEX_DB),
        delay_ms: reader.get(&at, &DELAY_MS),
    }
}

pub(super) fn wake(reader: &mut Reader<'_>, top: &Section<'_>) -> Wake {
    let at = reader.inner(top, WAKE.name, &WAKE);
    Wake { word_file: reader.find(&at, &WORD_FILE), sensitivity_percent: reader.get(&at, &SENSITIVITY_PERCENT) }
}
