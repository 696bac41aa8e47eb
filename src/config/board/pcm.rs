//! Keys of `[capture]` and `[playback]`: which PCM, by what does not change about it, and what is asked of it.

use toml::de::DeValue;

use super::super::key::{Key, Kind, Need, Text, Whole, integer, one_line, wrong_type};
use super::super::problem::shown;
use super::super::read::{Reader, Section, Sheet};
use super::{CardName, Pcm, PcmName, Pick};

const CARD: Key<Text> = Key {
    name: "card",
    kind: Text {
        what: "what does not change about a sound card: \"usb:1-1.3\", \"serial:ABC123\" or \"id:Device\"",
        chars_max: 100,
        check: card_name,
        default: "",
    },
    need: Need::Optional,
    doc: "The sound card, by its USB port, its serial number or the kernel's id; `mynah devices` lists them.",
};
const DEVICE: Key<Whole> = Key {
    name: "device",
    kind: Whole { unit: "", min: 0, max: 31, step: 1, default: 0 }, // the kernel's own limit, SNDRV_PCM_DEVICES
    need: Need::Optional,
    doc: "Which device of `card`; 0 where absent.",
};
const PCM: Key<Text> = Key {
    name: "pcm",
    kind: Text { what: "an ALSA name such as \"hw:CARD=Device\"", chars_max: 200, check: alsa_name, default: "" },
    need: Need::Optional,
    doc: "Instead of `card`: ALSA's name of the device; `sim` for the simulated one.",
};
const RATE_HZ: Key<Whole> = Key {
    name: "rate_hz",
    kind: Whole { unit: "Hz", min: 8000, max: 192_000, step: 1, default: 0 },
    need: Need::Optional,
    doc: "Rate to ask for; what the device has nearest to 48000 where absent.",
};
const CHANNELS: Key<Whole> = Key {
    name: "channels",
    kind: Whole { unit: "", min: 1, max: CHANNELS_MAX, step: 1, default: 0 },
    need: Need::Optional,
    doc: "Channels to ask for; what the device has where absent.",
};
const CHANNELS_MAX: u32 = 32; // the largest microphone arrays have 16
const PICK: Key<PickKind> =
    Key { name: "pick", kind: PickKind, need: Need::Defaults, doc: "Which of the microphone's channels is used." };
const PERIOD_MS: Key<Whole> = Key {
    name: "period_ms",
    kind: Whole { unit: "ms", min: 1, max: 100, step: 1, default: 10 }, // one hop of the detector
    need: Need::Defaults,
    doc: "Period to ask for; shorter is quicker and costs more.",
};

const WAKE_MS: Key<Whole> = Key {
    name: "wake_ms",
    kind: Whole { unit: "ms", min: 0, max: 2000, step: 1, default: 0 }, // most converters and amplifiers need none
    need: Need::Defaults,
    doc: "Silence before a sound that finds the loudspeaker standing: what a sleeping converter or amplifier swallows.",
};

/// `[capture]`.
pub const CAPTURE: Sheet =
    Sheet { name: "capture", keys: &[&CARD, &DEVICE, &PCM, &RATE_HZ, &CHANNELS, &PICK, &PERIOD_MS], tables: &[] };
/// `[playback]`.
pub const PLAYBACK: Sheet =
    Sheet { name: "playback", keys: &[&CARD, &DEVICE, &PCM, &RATE_HZ, &CHANNELS, &PERIOD_MS, &WAKE_MS], tables: &[] };

/// ALSA's names whose first argument is a card.
const OF_A_CARD: [&str; 16] = [
    "hw",
    "plughw",
    "default",
    "sysdefault",
    "front",
    "rear",
    "center_lfe",
    "side",
    "surround21",
    "surround40",
    "surround51",
    "surround71",
    "iec958",
    "hdmi",
    "dmix",
    "dsnoop",
];

/// `"average"` or a channel's number.
struct PickKind;

impl Kind for PickKind {
    type Value = Pick;

    fn read(&self, value: &DeValue<'_>) -> Result<Pick, String> {
        match value {
            DeValue::String(word) if word == "average" => Ok(Pick::Average),
            DeValue::Integer(_) => match integer(value).and_then(|number| u32::try_from(number).ok()) {
                Some(channel) if channel < CHANNELS_MAX => Ok(Pick::Channel(channel)),
                _ => Err(format!("is out of range; it must be {}", self.rule())),
            },
            _ => Err(wrong_type(value, &self.rule())),
        }
    }

    fn rule(&self) -> String {
        format!("\"average\" or a channel's number from 0 to {}", CHANNELS_MAX - 1)
    }

    fn fallback(&self) -> Pick {
        Pick::Average
    }

    fn fallback_toml(&self) -> String {
        "\"average\"".to_string()
    }
}

/// `wake_ms` of `[playback]`.
pub(super) fn wake_ms(reader: &mut Reader<'_>, playback: &Section<'_>) -> u32 {
    reader.get(playback, &WAKE_MS)
}

pub(super) fn pcm(reader: &mut Reader<'_>, at: &Section<'_>, sheet: &Sheet) -> Pcm {
    // In [playback] `pick` is unknown and was noted when the section was opened.
    let has_pick = sheet.keys.iter().any(|key| key.name() == "pick");
    let pcm = Pcm {
        pcm: name(reader, at),
        rate_hz: reader.find(at, &RATE_HZ),
        channels: reader.find(at, &CHANNELS),
        pick: if has_pick { reader.get(at, &PICK) } else { Pick::Average },
        period_ms: reader.get(at, &PERIOD_MS),
    };
    if let (Pick::Channel(picked), Some(channels)) = (pcm.pick, pcm.channels)
        && picked >= channels
    {
        let message = format!("is {picked}, but there are {channels} channels, counted from 0");
        reader.object(at, PICK.name, message);
    }
    pcm
}

/// Exactly one of `card` and `pcm`.
fn name(reader: &mut Reader<'_>, at: &Section<'_>) -> PcmName {
    let (card, device, pcm) = (reader.find(at, &CARD), reader.find(at, &DEVICE), reader.find(at, &PCM));
    let has = |key: &str| at.value(key).is_some();
    match (has(CARD.name), has(PCM.name)) {
        (false, false) => reader.miss(at, CARD.name, &format!("{}; or `pcm` {}", CARD.kind.rule(), PCM.kind.rule())),
        (true, true) => {
            let message = "names the device, and so does `card`; take one of them out".to_string();
            reader.object(at, PCM.name, message);
        }
        (false, true) if has(DEVICE.name) => {
            let message = "goes with `card`; an ALSA name has the device in it (\"hw:CARD=Device,DEV=0\")".to_string();
            reader.object(at, DEVICE.name, message);
        }
        _ => {}
    }
    match card.as_deref().and_then(read_card) {
        Some(card) => PcmName::Card { card, device: device.unwrap_or(0) },
        None => PcmName::Alsa(pcm.unwrap_or_default()),
    }
}

/// The card that `usb:…`, `serial:…` or `id:…` names.
fn read_card(text: &str) -> Option<CardName> {
    let (kind, value) = text.split_once(':')?;
    let value = value.trim().to_string();
    match kind {
        _ if value.is_empty() => None,
        "usb" => Some(CardName::Usb(value)),
        "serial" => Some(CardName::Serial(value)),
        "id" => Some(CardName::Id(value)),
        _ => None,
    }
}

fn card_name(text: &str) -> Result<(), String> {
    one_line(text)?;
    let shown = shown(text);
    match read_card(text) {
        None => Err(format!(
            "is \"{shown}\"; it must begin with usb:, serial: or id: (`mynah devices` lists what there is)"
        )),
        Some(CardName::Id(id)) if id.chars().all(|letter| letter.is_ascii_digit()) => Err(by_number(text)),
        Some(CardName::Usb(path)) if !is_usb_path(&path) => {
            Err(format!("is \"{shown}\"; a USB port is written as the kernel names it, such as usb:1-1.3"))
        }
        Some(_) => Ok(()),
    }
}

/// Bus, dash, ports from the root on: `1-1.3` (the kernel's names in /sys/bus/usb/devices).
fn is_usb_path(path: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|digit| digit.is_ascii_digit());
    path.split_once('-').is_some_and(|(bus, ports)| is_number(bus) && ports.split('.').all(is_number))
}

fn alsa_name(text: &str) -> Result<(), String> {
    one_line(text)?;
    if names_a_number(text) { Err(by_number(text)) } else { Ok(()) }
}

fn by_number(text: &str) -> String {
    format!(
        "is \"{}\", which names the card by its number; the numbers change with the order in which cards are found, so \
         that after a replug or a restart it may be another card: write `card = \"…\"` as `mynah devices` shows it",
        shown(text)
    )
}

/// Whether an ALSA name holds a card's number, also within another's arguments: `hw:0`, `plug:'hw:1,0'`, `x:CARD=2`.
fn names_a_number(text: &str) -> bool {
    let is_part_of_a_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let mut rest = text;
    while let Some(at) = rest.find([':', '=']) {
        let sign = &rest[at..=at];
        let before = rest[..at].rsplit(|letter| !is_part_of_a_word(letter)).next().unwrap_or_default();
        rest = &rest[at + 1..];
        let after = rest.trim_start_matches(['\'', '"', ' ', '{']);
        let after = after.split(|letter| !is_part_of_a_word(letter)).next().unwrap_or_default();
        let takes_a_card = (sign == ":" && OF_A_CARD.contains(&before)) || (sign == "=" && before == "CARD");
        if takes_a_card && !after.is_empty() && after.chars().all(|digit| digit.is_ascii_digit()) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_wherever_alsa_takes_one() {
        for name in
            ["hw:0", "hw:1,0", "plughw:1,0", "default:0", "hw:CARD=1", "hw:CARD=1,DEV=0", "plug:'hw:0,0'", "front:2"]
        {
            assert!(names_a_number(name), "{name}");
        }
        for name in
            ["hw:CARD=Device", "hw:Device,0", "default", "pulse", "null", "hw:CARD=Device_1,DEV=1", "mine:3", "plug:x"]
        {
            assert!(!names_a_number(name), "{name}");
        }
    }

    #[test]
    fn a_card_is_named_by_what_does_not_change() {
        for (text, expected) in [
            ("usb:1-1.3", Some(CardName::Usb("1-1.3".into()))),
            ("serial:A B", Some(CardName::Serial("A B".into()))),
            ("id:Device_1", Some(CardName::Id("Device_1".into()))),
        ] {
            assert_eq!((read_card(text), card_name(text)), (expected, Ok(())), "{text}");
        }
        for text in ["Device", "usb:", "usb:3", "usb:1-1.x", "usb:1-", "number:1", "id:0"] {
            assert!(card_name(text).is_err(), "{text}");
        }
    }
}
