//! `[light]` of a board profile: by what the device shows what it does.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::super::key::{AnyKey, Choice, Key, Need, Path, Text, Whole};
use super::super::read::{Reader, Section, Sheet};
use super::read::LEVELS;
use super::{LED, Line, LineDriver, Polarity, pwm};

/// Lamps of one row. A light that says something is a handful; 64 of WS2812 take 768 of the 4096 bytes that the kernel
/// sends at once by default.
pub const LEDS_MAX: u32 = 64;

/// The light.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Light {
    /// The line [`LED`]: on or off.
    Line,
    /// An LED on a PWM channel: brightness.
    Pwm(PwmLight),
    /// LEDs with a chip each, in a row on an SPI bus: colour, brightness, motion.
    Pixels(PixelLight),
}

/// An LED on a PWM channel of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PwmLight {
    /// `pwmchip0`, or the name of its device (`1f00098000.pwm`), which does not change with the kernel.
    pub pwm_chip: String,
    /// Channel of the chip.
    pub pwm_channel: u32,
    /// Which level lights it.
    pub polarity: Polarity,
    /// Brightness at full level, percent of its power, 1–100.
    pub brightness_percent: u32,
}

/// A row of LEDs on an SPI bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PixelLight {
    /// What they understand.
    pub chip: PixelChip,
    /// The device file, `/dev/spidev0.0`.
    pub spi_device: PathBuf,
    /// How many there are, 1–[`LEDS_MAX`].
    pub leds: u32,
    /// In which order a lamp takes its colours.
    pub order: ColourOrder,
    /// Brightness at full level, percent of their power, 1–100.
    pub brightness_percent: u32,
}

/// The chip in each LED of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelChip {
    /// APA102, SK9822 ("DotStar"): data and clock.
    Apa102,
    /// WS2812, SK6812 ("NeoPixel"): data only, the time is the clock.
    Ws2812,
}

/// The order in which a lamp takes red, green and blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColourOrder {
    /// Red, green, blue.
    Rgb,
    /// Red, blue, green.
    Rbg,
    /// Green, red, blue: WS2812.
    Grb,
    /// Green, blue, red.
    Gbr,
    /// Blue, red, green.
    Brg,
    /// Blue, green, red: APA102.
    Bgr,
}

/// [`Light`] before its details are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LightKind {
    Line,
    Pwm,
    Apa102,
    Ws2812,
}

const KIND: Key<Choice<LightKind>> = Key {
    name: "kind",
    kind: Choice {
        options: &[
            ("line", LightKind::Line),
            ("pwm", LightKind::Pwm),
            ("apa102", LightKind::Apa102),
            ("ws2812", LightKind::Ws2812),
        ],
        default: LightKind::Line,
    },
    need: Need::Required,
    doc: "What the light is: the line `led`, an LED on a PWM channel, or a row of LEDs with a chip each on an SPI bus.",
};
const PWM_CHIP: Key<Text> = Key {
    name: "pwm_chip",
    kind: pwm::CHIP,
    need: Need::Optional,
    doc: "`pwm`: the chip; `ls -l /sys/class/pwm/*/device` shows the devices' names, which kernels do not change.",
};
const PWM_CHANNEL: Key<Whole> =
    Key { name: "pwm_channel", kind: pwm::CHANNEL, need: Need::Defaults, doc: "`pwm`: the chip's channel." };
const POLARITY: Key<Choice<Polarity>> =
    Key { name: "polarity", kind: LEVELS, need: Need::Defaults, doc: "`pwm`: which level lights the LED." };
const SPI_DEVICE: Key<Path> = Key {
    name: "spi_device",
    kind: Path { what: "an SPI bus's device file such as \"/dev/spidev0.0\"" },
    need: Need::Optional,
    doc: "`apa102`, `ws2812`: the SPI bus.",
};
const LEDS: Key<Whole> = Key {
    name: "leds",
    kind: Whole { unit: "", min: 1, max: LEDS_MAX, step: 1, default: 1 },
    need: Need::Optional,
    doc: "`apa102`, `ws2812`: how many there are in the row.",
};
const ORDER: Key<Choice<ColourOrder>> = Key {
    name: "order",
    kind: Choice {
        options: &[
            ("rgb", ColourOrder::Rgb),
            ("rbg", ColourOrder::Rbg),
            ("grb", ColourOrder::Grb),
            ("gbr", ColourOrder::Gbr),
            ("brg", ColourOrder::Brg),
            ("bgr", ColourOrder::Bgr),
        ],
        default: ColourOrder::Rgb,
    },
    need: Need::Optional,
    doc: "`apa102`, `ws2812`: in which order a lamp takes its colours; \"bgr\" and \"grb\" where absent.",
};
const BRIGHTNESS_PERCENT: Key<Whole> = Key {
    name: "brightness_percent",
    kind: Whole { unit: "percent", min: 1, max: 100, step: 1, default: 40 }, // looked at from near by, also at night
    need: Need::Defaults,
    doc: "All but `line`: how bright it is at most, and how much current it takes.",
};

/// `[light]`.
pub(super) const LIGHT: Sheet = Sheet {
    name: "light",
    keys: &[&KIND, &PWM_CHIP, &PWM_CHANNEL, &POLARITY, &SPI_DEVICE, &LEDS, &ORDER, &BRIGHTNESS_PERCENT],
    tables: &[],
};

/// The light of the profile: `[light]`, or the line `led` where there is no such section.
pub(super) fn light(
    reader: &mut Reader<'_>,
    top: &Section<'_>,
    driver: &LineDriver,
    lines: &BTreeMap<String, Line>,
) -> Option<Light> {
    let has_line = lines.contains_key(LED);
    if top.value(LIGHT.name).is_none() {
        return has_line.then_some(Light::Line);
    }
    let section = reader.inner(top, LIGHT.name, &LIGHT);
    if section.value(KIND.name).is_none() {
        reader.get(&section, &KIND); // says that it is missing
        return None;
    }
    let kind = reader.find(&section, &KIND)?;
    check_fit(reader, &section, kind, driver, has_line);
    let needed: &[&'static dyn AnyKey] = match kind {
        LightKind::Line => &[],
        LightKind::Pwm => &[&PWM_CHIP],
        LightKind::Apa102 | LightKind::Ws2812 => &[&SPI_DEVICE, &LEDS],
    };
    let foreign: &[&str] = match kind {
        LightKind::Line => &[
            PWM_CHIP.name,
            PWM_CHANNEL.name,
            POLARITY.name,
            SPI_DEVICE.name,
            LEDS.name,
            ORDER.name,
            BRIGHTNESS_PERCENT.name,
        ],
        LightKind::Pwm => &[SPI_DEVICE.name, LEDS.name, ORDER.name],
        LightKind::Apa102 | LightKind::Ws2812 => &[PWM_CHIP.name, PWM_CHANNEL.name, POLARITY.name],
    };
    for key in needed.iter().filter(|key| section.value(key.name()).is_none()) {
        reader.object(&section, key.name(), format!("is missing; it must be {}", key.rule()));
    }
    for key in foreign.iter().filter(|key| section.value(key).is_some()) {
        reader.object(&section, key, format!("does not go with kind = \"{}\"; take it out", word(kind)));
    }
    Some(details(reader, &section, kind))
}

/// What of the rest of the profile does not go with it.
fn check_fit(reader: &mut Reader<'_>, section: &Section<'_>, kind: LightKind, driver: &LineDriver, has_line: bool) {
    let message = match kind {
        LightKind::Line if !has_line => "is \"line\", but there is no line `led`; add [lines.led]".to_string(),
        LightKind::Line => return,
        _ if has_line => {
            format!("is \"{}\", and there is a line `led` too; a board has one light, take one out", word(kind))
        }
        _ if *driver == LineDriver::Sim => {
            format!("is \"{}\", but the board is simulated; there it can be the line `led` only", word(kind))
        }
        _ => return,
    };
    reader.object(section, KIND.name, message);
}

fn details(reader: &mut Reader<'_>, at: &Section<'_>, kind: LightKind) -> Light {
    let chip = match kind {
        LightKind::Line => return Light::Line,
        LightKind::Pwm => {
            return Light::Pwm(PwmLight {
                pwm_chip: reader.find(at, &PWM_CHIP).unwrap_or_default(),
                pwm_channel: reader.get(at, &PWM_CHANNEL),
                polarity: reader.get(at, &POLARITY),
                brightness_percent: reader.get(at, &BRIGHTNESS_PERCENT),
            });
        }
        LightKind::Apa102 => PixelChip::Apa102,
        LightKind::Ws2812 => PixelChip::Ws2812,
    };
    let usual = match chip {
        PixelChip::Apa102 => ColourOrder::Bgr,
        PixelChip::Ws2812 => ColourOrder::Grb,
    };
    Light::Pixels(PixelLight {
        chip,
        spi_device: reader.find(at, &SPI_DEVICE).unwrap_or_default(),
        leds: reader.find(at, &LEDS).unwrap_or(1),
        order: reader.find(at, &ORDER).unwrap_or(usual),
        brightness_percent: reader.get(at, &BRIGHTNESS_PERCENT),
    })
}

fn word(kind: LightKind) -> &'static str {
    KIND.kind.options.iter().find(|(_, other)| *other == kind).map_or("", |(word, _)| word)
}
