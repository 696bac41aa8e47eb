//! The machine's sound cards as the kernel shows them: what does not change about one, and who holds it.
//!
//! A card's number tells in which order cards were found and nothing else; after a replug it may be another card's.
//! So a profile names the USB port, the serial number or the id, and the number is looked up at every opening.
//! Everything is read below a root folder, `/` but for tests. Sources: /proc/asound (Documentation/sound/designs/procfs
//! of the kernel), /sys/class/sound, /proc/PID.

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::board::CardName;

/// Most cards that the kernel numbers (SNDRV_CARDS).
const CARDS_MAX: usize = 32;

/// Which way sound goes through a PCM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A microphone.
    Capture,
    /// A loudspeaker.
    Playback,
}

/// One card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// Its number now.
    pub number: u32,
    /// The kernel's id of it.
    pub id: String,
    /// What it calls itself.
    pub name: String,
    /// The USB port it is plugged into, `1-1.3`.
    pub usb_path: Option<String>,
    /// Its serial number, where it is a USB device that has one.
    pub serial: Option<String>,
    /// Vendor and product of a USB device, `0d8c:0014`.
    pub usb_id: Option<String>,
    /// The kernel's driver.
    pub driver: Option<String>,
}

impl Card {
    /// What a profile may call it, the name that says most first.
    pub fn names(&self) -> Vec<CardName> {
        let serial = self.serial.clone().map(CardName::Serial);
        let usb = self.usb_path.clone().map(CardName::Usb);
        usb.into_iter().chain(serial).chain([CardName::Id(self.id.clone())]).collect()
    }

    fn is_named(&self, wanted: &CardName) -> bool {
        self.names().contains(wanted)
    }
}

/// A PCM device of a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardPcm {
    /// Its number on the card.
    pub device: u32,
    /// Which way.
    pub way: Way,
    /// What the driver calls it.
    pub name: String,
}

/// A process that has a PCM open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its id.
    pub process: u32,
    /// Its name; empty where it may not be known.
    pub name: String,
}

impl Holder {
    /// Who holds it and what to do: the end of a sentence.
    pub fn sentence(&self) -> String {
        let Holder { process, name } = self;
        match name.as_str() {
            "" => format!("process {process} holds it: stop that program or give it another card"),
            "mynah" => format!(
                "mynah itself (process {process}) holds it: stop that one first (`sudo systemctl stop mynah` where it is \
                 the service)"
            ),
            name => format!("{name} (process {process}) holds it: stop that program or give it another card"),
        }
    }
}

/// The cards below a root folder.
#[derive(Clone, Debug)]
pub struct Cards {
    root: PathBuf,
}

impl Cards {
    /// This machine's.
    pub fn here() -> Cards {
        Cards::below("/")
    }

    /// Those of a made-up machine whose `proc` and `sys` are in `root`.
    pub fn below(root: impl Into<PathBuf>) -> Cards {
        Cards { root: root.into() }
    }

    /// All cards, by number.
    pub fn list(&self) -> Vec<Card> {
        let text = self.read("proc/asound/cards").unwrap_or_default();
        text.lines().filter_map(heading).take(CARDS_MAX).map(|head| self.card(head)).collect()
    }

    /// The one card of this name.
    ///
    /// # Errors
    /// A sentence: what is there instead.
    pub fn find(&self, wanted: &CardName) -> Result<Card, String> {
        let mut found: Vec<Card> = self.list().into_iter().filter(|card| card.is_named(wanted)).collect();
        match found.len() {
            1 => Ok(found.remove(0)),
            0 => Err(self.what_is_there()),
            // Cheap USB chips all have one serial number.
            count => {
                let ports: Vec<String> = found.iter().map(|card| card.names()[0].to_string()).collect();
                Err(format!("There are {count} cards of this name ({}): name one of them so", ports.join(", ")))
            }
        }
    }

    /// The card that an ALSA name names by its id (`hw:CARD=Device,DEV=0`, `plughw:Device`), and the device on it.
    pub fn of_alsa_name(&self, name: &str) -> Option<(Card, u32)> {
        let (_, arguments) = name.split_once(':')?;
        let (mut card, mut device) = (None, None);
        for (place, argument) in arguments.split(',').enumerate() {
            match argument.trim().split_once('=') {
                Some(("CARD", id)) => card = Some(id),
                Some(("DEV", number)) => device = number.parse().ok(),
                None if place == 0 => card = Some(argument.trim()),
                None if place == 1 => device = argument.trim().parse().ok(),
                _ => {}
            }
        }
        let wanted = card?;
        let found = self.list().into_iter().find(|card| card.id == wanted || card.number.to_string() == wanted)?;
        Some((found, device.unwrap_or(0)))
    }

    /// What there is, a sentence.
    pub fn what_is_there(&self) -> String {
        let cards: Vec<String> =
            self.list().iter().map(|card| format!("{} ({})", card.names()[0], card.name)).collect();
        match cards.as_slice() {
            [] => "There is no sound card at all now".to_string(),
            [one] => format!("There is only {one}; `mynah devices` shows it"),
            many => format!("There are {}; `mynah devices` shows them", many.join(", ")),
        }
    }

    /// The PCMs of `card`, microphones first.
    pub fn pcms(&self, card: &Card) -> Vec<CardPcm> {
        let folder = format!("proc/asound/card{}", card.number);
        let mut pcms: Vec<CardPcm> = self
            .names_in(&folder)
            .iter()
            .filter_map(|name| {
                let (device, way) = match name.strip_prefix("pcm")?.strip_suffix('c') {
                    Some(device) => (device, Way::Capture),
                    None => (name.strip_prefix("pcm")?.strip_suffix('p')?, Way::Playback),
                };
                let info = self.read(&format!("{folder}/{name}/info")).unwrap_or_default();
                let called = value_of(&info, "name").or_else(|| value_of(&info, "id")).unwrap_or_default();
                Some(CardPcm { device: device.parse().ok()?, way, name: called.to_string() })
            })
            .collect();
        pcms.sort_by_key(|pcm| (pcm.way == Way::Playback, pcm.device));
        pcms
    }

    /// Who has a PCM of `card` open.
    pub fn holder(&self, card: &Card, device: u32, way: Way) -> Option<Holder> {
        let letter = match way {
            Way::Capture => 'c',
            Way::Playback => 'p',
        };
        let folder = format!("proc/asound/card{}/pcm{device}{letter}", card.number);
        let subdevices = self.names_in(&folder).into_iter().filter(|name| name.starts_with("sub"));
        let mut statuses = subdevices.filter_map(|sub| self.read(&format!("{folder}/{sub}/status")));
        let thread = statuses.find_map(|status| value_of(&status, "owner_pid")?.parse::<u32>().ok())?;
        // The kernel notes the thread that opened it; people know the process.
        let status = self.read(&format!("proc/{thread}/status")).unwrap_or_default();
        let process = value_of(&status, "Tgid").and_then(|id| id.parse().ok()).unwrap_or(thread);
        let name = self.read(&format!("proc/{process}/comm")).unwrap_or_default().trim().to_string();
        Some(Holder { process, name })
    }

    /// Whoever has a PCM of that direction open on any card.
    pub fn any_holder(&self, way: Way) -> Option<Holder> {
        self.list().iter().find_map(|card| {
            let pcms = self.pcms(card).into_iter().filter(|pcm| pcm.way == way);
            pcms.into_iter().find_map(|pcm| self.holder(card, pcm.device, way))
        })
    }

    /// The setting by which the kernel lets this card sleep while it is idle, where it does: a path and its value.
    pub fn sleep_setting(&self, card: &Card) -> Option<(String, String)> {
        let device = self.device_folder(card)?;
        let mut folders = device.ancestors().take_while(|folder| folder.starts_with(&self.root));
        let usb = folders.find(|folder| folder.join("idVendor").exists())?;
        let control = usb.join("power/control");
        let value = fs::read_to_string(&control).ok()?.trim().to_string();
        let shown = control.strip_prefix(&self.root).unwrap_or(&control);
        (value == "auto").then(|| (format!("/{}", shown.display()), value))
    }

    fn card(&self, head: Heading<'_>) -> Card {
        let mut card = Card {
            number: head.number,
            id: head.id.to_string(),
            name: head.name.to_string(),
            usb_path: None,
            serial: None,
            usb_id: None,
            driver: head.driver.map(str::to_string),
        };
        let Some(device) = self.device_folder(&card) else { return card };
        if let Some(driver) = fs::canonicalize(device.join("driver")).ok().and_then(|path| last_part(&path)) {
            card.driver = Some(driver);
        }
        // The card hangs on an interface of the USB device; the device is above it.
        let usb = device.ancestors().take_while(|folder| folder.starts_with(&self.root));
        let Some(usb) = usb.into_iter().find(|folder| folder.join("idVendor").exists()) else { return card };
        let attribute = |name: &str| {
            let text = fs::read_to_string(usb.join(name)).ok()?;
            Some(text.trim().to_string()).filter(|text| !text.is_empty())
        };
        card.usb_path = last_part(usb);
        card.serial = attribute("serial");
        card.usb_id =
            attribute("idVendor").zip(attribute("idProduct")).map(|(vendor, product)| format!("{vendor}:{product}"));
        card
    }

    /// The folder of the device that a card is, in the tree of devices.
    fn device_folder(&self, card: &Card) -> Option<PathBuf> {
        fs::canonicalize(self.root.join(format!("sys/class/sound/card{}/device", card.number))).ok()
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.root.join(path)).ok()
    }

    fn names_in(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.root.join(folder)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }
}

/// The first of the two lines that /proc/asound/cards has for a card.
struct Heading<'a> {
    number: u32,
    id: &'a str,
    driver: Option<&'a str>,
    name: &'a str,
}

/// ` 1 [Device         ]: USB-Audio - USB Audio Device`
fn heading(line: &str) -> Option<Heading<'_>> {
    let (number, rest) = line.split_once('[')?;
    let (id, rest) = rest.split_once("]: ")?;
    let (driver, name) = rest.split_once(" - ").map_or((None, rest), |(driver, name)| (Some(driver), name));
    Some(Heading { number: number.trim().parse().ok()?, id: id.trim(), driver, name: name.trim() })
}

/// What a line `key: value` says.
fn value_of<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then_some(value.trim())
    })
}

fn last_part(path: &Path) -> Option<String> {
    Some(path.file_name()?.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests;
