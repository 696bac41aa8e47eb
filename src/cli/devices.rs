//! `mynah devices`: which sound cards, cameras and GPIO chips there are, by the names that belong into a board profile.

use std::fmt::Write as _;
use std::io::Write;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::audio::trouble::PcmTrouble;
use crate::hw::alsa::offer::{self, Offer};
use crate::hw::camera::found::{self, Camera};
use crate::hw::camera::v4l2::offer::Format;
use crate::hw::cards::{Card, CardPcm, Cards, Way};
use crate::hw::gpio::chips::{self, ChipInfo};

/// Names of free lines that are shown of a chip.
const NAMES_SHOWN_MAX: usize = 12;

/// Arguments of `mynah devices`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Prints them.
///
/// # Errors
/// Where nothing can be printed.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    let (names, cameras) = (offer::names_without_card(), found::cameras());
    let found = Found { names, cameras, chips: chips::chips(), ..Found::look(&Cards::here(), offer::ask) };
    let printed = if args.json { writeln!(out, "{}", found.json()) } else { write!(out, "{}", found.text()) };
    printed.context("the list cannot be printed")
}

/// A PCM of a card and what it offers, or why that is not known.
struct FoundPcm {
    pcm: CardPcm,
    offer: Result<Offer, PcmTrouble>,
}

/// All there is.
struct Found {
    cards: Vec<(Card, Vec<FoundPcm>)>,
    names: Vec<(String, String)>,
    cameras: Vec<Camera>,
    chips: Vec<ChipInfo>,
}

impl Found {
    fn look(cards: &Cards, ask: impl Fn(&str, Way) -> Result<Offer, PcmTrouble>) -> Found {
        let pcms = |card: &Card| {
            let found = cards.pcms(card).into_iter();
            found
                .map(|pcm| FoundPcm { offer: ask(&format!("hw:CARD={},DEV={}", card.id, pcm.device), pcm.way), pcm })
                .collect()
        };
        let cards = cards.list().into_iter().map(|card| (card.clone(), pcms(&card))).collect();
        Found { cards, names: Vec::new(), cameras: Vec::new(), chips: Vec::new() }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let _ = self.write(&mut text); // a String takes everything
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "SOUND CARDS")?;
        if self.cards.is_empty() {
            writeln!(out, "  none: is one plugged in, is its driver there (`lsusb`, `dmesg`)?")?;
        }
        for (card, pcms) in &self.cards {
            write_card(out, card, pcms)?;
        }
        if !self.names.is_empty() {
            writeln!(out, "\nWITHOUT A CARD OF THEIR OWN")?;
            for (name, what) in &self.names {
                writeln!(out, "  pcm = {:<24}  {what}", format!("\"{name}\""))?;
            }
        }
        writeln!(out, "\nCAMERAS")?;
        if self.cameras.is_empty() {
            writeln!(out, "  none on USB (a ribbon camera is source = \"rpicam\" in a board profile)")?;
        }
        self.cameras.iter().try_for_each(|camera| write_camera(out, camera))?;
        writeln!(out, "\nGPIO CHIPS")?;
        if self.chips.is_empty() {
            writeln!(out, "  none (driver = \"files\" in a board profile does without)")?;
        }
        self.chips.iter().try_for_each(|chip| write_chip(out, chip))?;
        if let Some((card, _)) = self.cards.iter().find(|(_, pcms)| pcms.iter().any(|p| p.pcm.way == Way::Capture)) {
            let name = &card.names()[0];
            writeln!(out, "\nIn the board profile, for example:\n\n  [capture]\n  card = \"{name}\"")?;
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let pcm = |found: &FoundPcm| {
            let way = if found.pcm.way == Way::Capture { "capture" } else { "playback" };
            let mut value = json!({"device": found.pcm.device, "direction": way, "name": found.pcm.name});
            match &found.offer {
                Ok(offer) => {
                    value["rates_hz"] = json!(offer.rates_hz);
                    value["channels_min"] = json!(offer.channels.0);
                    value["channels_max"] = json!(offer.channels.1);
                    value["formats"] = json!(offer.formats);
                }
                Err(trouble) => value["trouble"] = json!(trouble.to_string()),
            }
            value
        };
        let card = |(card, pcms): &(Card, Vec<FoundPcm>)| {
            json!({
                "names": card.names().iter().map(ToString::to_string).collect::<Vec<_>>(),
                "name": card.name,
                "number_now": card.number,
                "usb_id": card.usb_id,
                "driver": card.driver,
                "pcms": pcms.iter().map(pcm).collect::<Vec<_>>(),
            })
        };
        let chip = |chip: &ChipInfo| {
            let held: Vec<Value> =
                chip.held.iter().map(|(line, holder)| json!({"line": line, "holder": holder})).collect();
            json!({"name": chip.name, "label": chip.label, "lines": chip.lines, "named": chip.named, "held": held,
                   "is_forbidden": chip.is_forbidden})
        };
        let camera = |camera: &Camera| {
            let format = |format: &Format| {
                let (width, height) = format.largest;
                json!({"code": format.name(), "width_max": width, "height_max": height})
            };
            let offer = camera.offer.as_ref();
            json!({
                "names": camera.names,
                "name": offer.map(|offer| &offer.card),
                "driver": offer.map(|offer| &offer.driver),
                "formats": offer.map(|offer| offer.formats.iter().map(format).collect::<Vec<_>>()),
                "is_forbidden": offer.is_none(),
            })
        };
        json!({
            "cameras": self.cameras.iter().map(camera).collect::<Vec<_>>(),
            "cards": self.cards.iter().map(card).collect::<Vec<_>>(),
            "pcm_names": self.names.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            "gpio_chips": self.chips.iter().map(chip).collect::<Vec<_>>(),
        })
    }
}

fn write_card(out: &mut String, card: &Card, pcms: &[FoundPcm]) -> std::fmt::Result {
    let names = card.names();
    let kind = [card.usb_id.as_deref().map(|id| format!("USB {id}")), card.driver.clone()];
    let kind: Vec<String> = kind.into_iter().flatten().collect();
    writeln!(out, "  {} ({})", card.name, kind.join(", "))?;
    writeln!(out, "    card = \"{}\"", names[0])?;
    for name in &names[1..] {
        writeln!(out, "      or \"{name}\"")?;
    }
    if pcms.is_empty() {
        writeln!(out, "    has no PCM: nothing to hear or to say")?;
    }
    for FoundPcm { pcm, offer } in pcms {
        let what = if pcm.way == Way::Capture { "microphone" } else { "loudspeaker" };
        let device = if pcm.device == 0 { String::new() } else { format!(", device = {}", pcm.device) };
        match offer {
            Ok(offer) => writeln!(
                out,
                "    {what}{device}: {}; {}; {}",
                offer.rates(),
                offer.channel_counts(),
                offer.format_names()
            )?,
            Err(PcmTrouble::Busy { holder, .. }) => writeln!(out, "    {what}{device}: busy, {holder}")?,
            Err(trouble) => writeln!(out, "    {what}{device}: {trouble}")?,
        }
    }
    Ok(())
}

fn write_camera(out: &mut String, camera: &Camera) -> std::fmt::Result {
    match &camera.offer {
        Some(offer) => writeln!(out, "  {} ({})", offer.card, offer.driver)?,
        None => writeln!(out, "  a camera to which this user has no right: add it to the group `video`")?,
    }
    for (place, name) in camera.names.iter().enumerate() {
        let before = if place == 0 { "  source =" } else { "    or" };
        writeln!(out, "  {before} \"{}\"", name.display())?;
    }
    match camera.offer.as_ref().map(|offer| (offer.choose(), offer.understood())) {
        Some((Ok(_), understood)) => {
            let formats: Vec<String> = understood.into_iter().map(Format::sentence).collect();
            writeln!(out, "    gives {}", formats.join(", "))
        }
        Some((Err(why), _)) => writeln!(out, "    cannot be used: {why}"),
        None => Ok(()),
    }
}

fn write_chip(out: &mut String, chip: &ChipInfo) -> std::fmt::Result {
    if chip.is_forbidden {
        return writeln!(
            out,
            "  {}: this user has no right to it (what to do says /usr/share/doc/mynah/boards.md, Rights)",
            chip.name
        );
    }
    writeln!(out, "  {} ({}), {} lines", chip.name, chip.label, chip.lines)?;
    for (line, holder) in &chip.held {
        let holder = if holder.is_empty() { "the kernel" } else { holder };
        writeln!(out, "    {line} is held by {holder}")?;
    }
    let free: Vec<&str> =
        chip.named.iter().filter(|name| !chip.held.iter().any(|(held, _)| held == *name)).map(String::as_str).collect();
    match free.len() {
        0 => Ok(()),
        count if count > NAMES_SHOWN_MAX => {
            writeln!(out, "    free: {} and {} more", free[..NAMES_SHOWN_MAX].join(" "), count - NAMES_SHOWN_MAX)
        }
        _ => writeln!(out, "    free: {}", free.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::hw::camera::v4l2::offer as camera_offer;

    fn found() -> Found {
        let card = |number, id: &str, name: &str, usb: Option<&str>| Card {
            number,
            id: id.into(),
            name: name.into(),
            usb_path: usb.map(str::to_string),
            serial: usb.map(|_| "ABC123".to_string()),
            usb_id: usb.map(|_| "0d8c:0014".to_string()),
            driver: Some("snd-usb-audio".into()),
        };
        let pcm = |way, offer| FoundPcm { pcm: CardPcm { device: 0, way, name: "USB Audio".into() }, offer };
        let offer =
            Offer { rates_hz: vec![44_100, 48_000], is_any_rate: false, channels: (1, 1), formats: vec!["S16_LE"] };
        let busy = PcmTrouble::Busy { pcm: "x".into(), holder: "pipewire (process 812) holds it".into() };
        let usb = vec![pcm(Way::Capture, Ok(offer)), pcm(Way::Playback, Err(busy))];
        Found {
            cards: vec![
                (card(0, "vc4hdmi0", "vc4-hdmi-0", None), Vec::new()),
                (card(1, "Device", "USB PnP Sound Device", Some("1-1.3")), usb),
            ],
            names: vec![("default".into(), "Default ALSA Output".into())],
            cameras: vec![webcam()],
            chips: vec![ChipInfo {
                name: "gpiochip0".into(),
                label: "pinctrl-rp1".into(),
                lines: 54,
                named: vec!["GPIO17".into(), "GPIO27".into()],
                held: vec![("GPIO17".into(), "mynah".into())],
                is_forbidden: false,
            }],
        }
    }

    fn webcam() -> Camera {
        let format = |code: &[u8; 4], largest| Format { code: u32::from_le_bytes(*code), largest };
        let offer = camera_offer::Offer {
            card: "HD Webcam".into(),
            driver: "uvcvideo".into(),
            is_camera: true,
            formats: vec![format(b"YUYV", (640, 480)), format(b"H264", (1920, 1080)), format(b"MJPG", (1280, 720))],
        };
        Camera { names: vec!["/dev/v4l/by-id/usb-HD_Webcam".into(), "/dev/video0".into()], offer: Some(offer) }
    }

    #[test]
    fn a_camera_that_cannot_be_used_says_why() {
        let mut camera = webcam();
        camera.offer.as_mut().unwrap().formats.retain(|format| format.name() == "H264");
        let mut text = String::new();
        write_camera(&mut text, &camera).unwrap();
        assert!(text.contains("cannot be used: HD Webcam gives H264, and MJPG"), "{text}");
        text.clear();
        write_camera(&mut text, &Camera { offer: None, ..camera }).unwrap();
        assert!(text.contains("group `video`") && text.contains("or \"/dev/video0\""), "{text}");
    }

    #[test]
    fn the_list_is_one_that_a_person_can_copy_from() {
        let expected = "\
SOUND CARDS
  vc4-hdmi-0 (snd-usb-audio)
    card = \"id:vc4hdmi0\"
    has no PCM: nothing to hear or to say
  USB PnP Sound Device (USB 0d8c:0014, snd-usb-audio)
    card = \"usb:1-1.3\"
      or \"serial:ABC123\"
      or \"id:Device\"
    microphone: 44100 and 48000 Hz; 1 channel; S16_LE
    loudspeaker: busy, pipewire (process 812) holds it

WITHOUT A CARD OF THEIR OWN
  pcm = \"default\"                 Default ALSA Output

CAMERAS
  HD Webcam (uvcvideo)
    source = \"/dev/v4l/by-id/usb-HD_Webcam\"
      or \"/dev/video0\"
    gives MJPG up to 1280×720, YUYV up to 640×480

GPIO CHIPS
  gpiochip0 (pinctrl-rp1), 54 lines
    GPIO17 is held by mynah
    free: GPIO27

In the board profile, for example:

  [capture]
  card = \"usb:1-1.3\"
";
        assert_eq!(found().text(), expected);
    }

    #[test]
    fn a_machine_with_nothing_is_told_so() {
        let text = Found { cards: Vec::new(), names: Vec::new(), cameras: Vec::new(), chips: Vec::new() }.text();
        assert!(text.contains("none: is one plugged in") && text.contains("driver = \"files\""), "{text}");
        assert!(text.contains("none on USB"), "{text}");
    }

    #[test]
    fn machines_get_the_same_as_json() {
        let value = found().json();
        let card = &value["cards"][1];
        assert_eq!(card["names"], json!(["usb:1-1.3", "serial:ABC123", "id:Device"]));
        assert_eq!(card["pcms"][0]["rates_hz"], json!([44_100, 48_000]));
        assert!(card["pcms"][1]["trouble"].as_str().unwrap().contains("pipewire"));
        assert_eq!(value["cameras"][0]["formats"][2], json!({"code": "MJPG", "width_max": 1280, "height_max": 720}));
        assert_eq!(value["gpio_chips"][0]["held"][0], json!({"line": "GPIO17", "holder": "mynah"}));
    }
}
