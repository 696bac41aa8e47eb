//! What a device offers: rates, channels, formats, asked of its driver while it is set up.

use std::ffi::CString;

use alsa::device_name::HintIter;
use alsa::pcm::{Format, HwParams, PCM};
use alsa::{Direction, Output};

use super::errors::{at_opening, with_cause};
use crate::audio::trouble::PcmTrouble;
use crate::hw::cards::{Cards, Way};

/// Rates that are asked for one by one: what converters run at.
const RATES: [u32; 11] = [8000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000, 192_000];
/// Formats that are asked for one by one, the ones that mynah takes first.
const FORMATS: [(Format, &str); 7] = [
    (Format::S16LE, "S16_LE"),
    (Format::S32LE, "S32_LE"),
    (Format::S24LE, "S24_LE"),
    (Format::S243LE, "S24_3LE"),
    (Format::U8, "U8"),
    (Format::FloatLE, "FLOAT_LE"),
    (Format::IEC958SubframeLE, "IEC958_SUBFRAME_LE"),
];

/// Names that libasound lists and that are no devices.
const CONVERTERS: [&str; 10] =
    ["null", "lavrate", "samplerate", "speexrate", "speex", "upmix", "vdownmix", "jack", "oss", "usbstream"];

/// What can be asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// Rates of the usual ones, Hz, rising.
    pub rates_hz: Vec<u32>,
    /// Whether rates between them go too.
    pub is_any_rate: bool,
    /// Fewest and most channels.
    pub channels: (u32, u32),
    /// Formats by ALSA's names.
    pub formats: Vec<&'static str>,
}

impl Offer {
    /// What `params` leave open.
    pub fn of(params: &HwParams<'_>) -> Offer {
        let rates_hz: Vec<u32> = RATES.into_iter().filter(|&rate| params.test_rate(rate).is_ok()).collect();
        let least = params.get_channels_min().unwrap_or(0);
        Offer {
            is_any_rate: rates_hz.len() > 1 && params.test_rate(12_345).is_ok(), // no converter has this one by itself
            rates_hz,
            // Plugins say "as many as you like" with a large number.
            channels: (least, params.get_channels_max().unwrap_or(least).min(64)),
            formats: FORMATS
                .iter()
                .filter(|(format, _)| params.test_format(*format).is_ok())
                .map(|(_, n)| *n)
                .collect(),
        }
    }

    /// `8000, 16000 and 48000 Hz`.
    pub fn rates(&self) -> String {
        match (self.rates_hz.as_slice(), self.is_any_rate) {
            ([first, .., last], true) => format!("any rate from {first} to {last} Hz"),
            ([], _) => "no usual rate".to_string(),
            (rates, _) => format!("{} Hz", listed(rates.iter().map(u32::to_string))),
        }
    }

    /// `1 to 2 channels`.
    pub fn channel_counts(&self) -> String {
        match self.channels {
            (1, 1) => "1 channel".to_string(),
            (least, most) if least == most => format!("{most} channels"),
            (least, most) => format!("{least} to {most} channels"),
        }
    }

    /// `S16_LE and S24_3LE`.
    pub fn format_names(&self) -> String {
        if self.formats.is_empty() {
            return "no usual format".to_string();
        }
        listed(self.formats.iter().map(ToString::to_string))
    }
}

/// `a, b and c`.
fn listed(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.collect();
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

/// Opens the PCM of this ALSA name for a moment and asks; nothing moves.
///
/// # Errors
/// As for opening a microphone or loudspeaker.
pub fn ask(name: &str, way: Way) -> Result<Offer, PcmTrouble> {
    let _quiet = Output::local_error_handler().ok();
    let direction = match way {
        Way::Capture => Direction::Capture,
        Way::Playback => Direction::Playback,
    };
    let failed = |error: alsa::Error| with_cause(at_opening(&error, name), name, way, &Cards::here());
    let c_name = CString::new(name).map_err(|_| PcmTrouble::missing(name))?;
    let pcm = PCM::open(&c_name, direction, true).map_err(failed)?;
    let params = HwParams::any(&pcm).map_err(failed)?;
    Ok(Offer::of(&params))
}

/// Names of PCMs that belong to no card but to a sound server or to the system's own settings, with what they are.
pub fn names_without_card() -> Vec<(String, String)> {
    let _quiet = Output::local_error_handler().ok();
    let Ok(hints) = HintIter::new_str(None, "pcm") else { return Vec::new() };
    let names = hints.filter_map(|hint| Some((hint.name?, hint.desc.unwrap_or_default())));
    let mut names: Vec<(String, String)> = names
        .filter(|(name, _)| !name.contains(':') && !CONVERTERS.contains(&name.as_str()))
        .map(|(name, what)| (name, what.lines().next().unwrap_or_default().to_string()))
        .collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_reads_like_a_sentence() {
        let mut offer = Offer { rates_hz: vec![48_000], channels: (1, 1), formats: vec!["S16_LE"], is_any_rate: false };
        let told = |offer: &Offer| [offer.rates(), offer.channel_counts(), offer.format_names()].join("; ");
        assert_eq!(told(&offer), "48000 Hz; 1 channel; S16_LE");
        offer.rates_hz.insert(0, 44_100);
        offer.channels = (1, 2);
        offer.formats.push("S24_3LE");
        assert_eq!(told(&offer), "44100 and 48000 Hz; 1 to 2 channels; S16_LE and S24_3LE");
        offer.is_any_rate = true;
        assert_eq!(offer.rates(), "any rate from 44100 to 48000 Hz");
        assert_eq!(told(&Offer::default()), "no usual rate; 0 channels; no usual format");
    }
}
