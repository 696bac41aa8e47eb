//! Sensors by the kernel's files: 1-wire thermometers, hwmon, iio, and plain files.
//!
//! A device is looked for anew at each reading, by what does not change about it: numbers (`hwmon2`) tell in which order
//! devices were found, and one that was unplugged and is back has another. A 1-wire reading takes three quarters of a
//! second, and any bus may hang: callers read where they may block.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::{Reading, Sensor, SensorTrouble};
use crate::config::board;
use crate::config::board::sensor::{SensorSource, hwmon_unit, iio_unit};

/// Where the kernel has its files.
pub const SYS: &str = "/sys";

/// A reading is a number, or two short lines.
const FILE_BYTES_MAX: u64 = 4096;

/// What a DS18B20 says before it has measured for the first time, m°C: it lost its supply on the way (data sheet).
const POWER_ON_MILLI: f64 = 85_000.0;

/// The sensor `name` as the profile has it. Touches nothing yet; `sys` is [`SYS`].
pub fn open(sys: &Path, name: &str, wish: &board::Sensor) -> Box<dyn Sensor> {
    Box::new(Files { sys: sys.to_path_buf(), name: name.to_string(), wish: wish.clone() })
}

struct Files {
    sys: PathBuf,
    name: String,
    wish: board::Sensor,
}

impl Sensor for Files {
    fn read(&mut self) -> Result<Reading, SensorTrouble> {
        let (number, unit) = match &self.wish.source {
            SensorSource::OneWire { id } => (self.one_wire(id)?, "°C"),
            SensorSource::Hwmon { chip, channel } => self.hwmon(chip, channel)?,
            SensorSource::Iio { device, channel } => self.iio(device, channel)?,
            SensorSource::File(path) => (self.number(path)?, ""),
        };
        let (value, unit) = self.wish.judge(number, unit).map_err(|why| self.faulty(why))?;
        Ok(Reading { value, unit })
    }
}

impl Files {
    /// °C.
    fn one_wire(&self, id: &str) -> Result<f64, SensorTrouble> {
        let bus = self.sys.join("bus/w1/devices");
        let device = bus.join(id);
        if !device.exists() {
            let known =
                listed(entries(&bus).iter().filter_map(|path| name_of(path)).filter(|name| !name.contains("bus")));
            let why = format!(
                "there is no 1-wire device {id} ({known}): look at its wires, and whether config.txt has `dtoverlay=w1-gpio`"
            );
            return Err(self.missing(why));
        }
        let text = self.text(&device.join("w1_slave"))?;
        scratchpad(&text).map_err(|why| self.faulty(why))
    }

    fn hwmon(&self, chip: &str, channel: &str) -> Result<(f64, &'static str), SensorTrouble> {
        let folder = self.device(&self.sys.join("class/hwmon"), chip, "hwmon chip")?;
        let by_label = || {
            let files = entries(&folder);
            files.iter().find_map(|file| {
                let stem = name_of(file)?.strip_suffix("_label")?.to_string();
                (short_text(file)?.trim() == channel).then_some(stem)
            })
        };
        let direct = folder.join(format!("{channel}_input")).exists().then(|| channel.to_string());
        let Some(stem) = direct.or_else(by_label) else {
            return Err(self.no_channel(&folder, "", "_input", chip, channel));
        };
        let (unit, factor) = hwmon_unit(&stem);
        Ok((self.number(&folder.join(format!("{stem}_input")))? * factor, unit))
    }

    fn iio(&self, device: &str, channel: &str) -> Result<(f64, &'static str), SensorTrouble> {
        let folder = self.device(&self.sys.join("bus/iio/devices"), device, "iio device")?;
        let (unit, factor) = iio_unit(channel);
        let input = folder.join(format!("in_{channel}_input"));
        if input.exists() {
            return Ok((self.number(&input)? * factor, unit));
        }
        let raw = folder.join(format!("in_{channel}_raw"));
        if !raw.exists() {
            let suffix = if entries(&folder).iter().any(|file| ends(file, "_input")) { "_input" } else { "_raw" };
            return Err(self.no_channel(&folder, "in_", suffix, device, channel));
        }
        // What is shared by all channels of a kind has the kind's name: in_voltage_scale.
        let shared = channel.trim_end_matches(|digit: char| digit.is_ascii_digit());
        let part = |what: &str, usual: f64| {
            let own = [channel, shared].map(|channel| folder.join(format!("in_{channel}_{what}")));
            own.iter().find(|path| path.exists()).map_or(Ok(usual), |path| self.number(path))
        };
        Ok(((self.number(&raw)? + part("offset", 0.0)?) * part("scale", 1.0)? * factor, unit))
    }

    /// The folder of the device that is called so, or whose parent on its bus is.
    fn device(&self, class: &Path, wanted: &str, what: &str) -> Result<PathBuf, SensorTrouble> {
        let all = entries(class);
        let called = |folder: &Path| short_text(&folder.join("name")).map(|name| name.trim().to_string());
        let found: Vec<&PathBuf> = all.iter().filter(|folder| called(folder).as_deref() == Some(wanted)).collect();
        match found.as_slice() {
            [one] => return Ok((*one).clone()),
            [] => {}
            several => {
                let places = listed(several.iter().filter_map(|folder| parent_of(folder)));
                return Err(self.missing(format!(
                    "there are {} of the {what} {wanted}; name one by its device ({places})",
                    several.len()
                )));
            }
        }
        if let Some(folder) = all.iter().find(|folder| parent_of(folder).as_deref() == Some(wanted)) {
            return Ok(folder.clone());
        }
        let known = listed(all.iter().filter_map(|folder| called(folder)));
        Err(self.missing(format!(
            "there is no {what} {wanted} ({known}): is its driver loaded, its overlay in config.txt?"
        )))
    }

    fn no_channel(&self, folder: &Path, before: &str, after: &str, device: &str, channel: &str) -> SensorTrouble {
        let files = entries(folder);
        let names = files.iter().filter_map(|file| name_of(file)?.strip_prefix(before)?.strip_suffix(after));
        self.missing(format!("{device} has no channel {channel} ({})", listed(names.map(String::from))))
    }

    fn number(&self, path: &Path) -> Result<f64, SensorTrouble> {
        let text = self.text(path)?;
        let line = text.lines().next().unwrap_or_default().trim();
        let shown: String = line.chars().take(32).collect();
        line.parse().map_err(|_| self.faulty(format!("{} holds \"{shown}\", which is no number", path.display())))
    }

    fn text(&self, path: &Path) -> Result<String, SensorTrouble> {
        let mut text = String::new();
        let read = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text));
        match read {
            Ok(_) => Ok(text),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(self.missing(format!("there is no {}", path.display())))
            }
            Err(error) => Err(self.faulty(format!("does not answer: {}: {error}", path.display()))),
        }
    }

    fn missing(&self, why: String) -> SensorTrouble {
        SensorTrouble::Missing { sensor: self.name.clone(), why }
    }

    fn faulty(&self, why: String) -> SensorTrouble {
        SensorTrouble::Faulty { sensor: self.name.clone(), why }
    }
}

/// The temperature in what `w1_therm` writes, °C: the nine bytes twice, the verdict on their checksum, and `t=23125`.
fn scratchpad(text: &str) -> Result<f64, String> {
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    if !first.ends_with("YES") {
        return Err("answered garbled (its checksum is wrong): look at its wires, and at the pull-up of 4.7 kΩ".into());
    }
    if first.starts_with("00 00 00 00 00 00 00 00 00") {
        return Err("answers only zeros: its data wire touches ground".into());
    }
    let milli = lines.next().and_then(|line| line.rsplit_once("t=")?.1.trim().parse::<f64>().ok());
    match milli {
        None => Err("answered without a temperature".into()),
        Some(milli) if milli == POWER_ON_MILLI => {
            Err("says 85 °C, as it does when its supply failed while it measured: look at its supply wire".into())
        }
        Some(milli) => Ok(milli / 1000.0),
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    all.sort_unstable();
    all
}

fn name_of(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

fn ends(path: &Path, suffix: &str) -> bool {
    name_of(path).is_some_and(|name| name.ends_with(suffix))
}

fn short_text(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(FILE_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

/// What the device behind a class entry is called on its bus: `1-0048`.
fn parent_of(folder: &Path) -> Option<String> {
    if let Ok(device) = fs::canonicalize(folder.join("device")) {
        return name_of(&device).map(String::from);
    }
    let real = fs::canonicalize(folder).ok()?;
    name_of(real.parent()?).map(String::from)
}

/// "there is a, b", or that there is none.
fn listed(names: impl Iterator<Item = impl AsRef<str>>) -> String {
    let names: Vec<String> = names.map(|name| name.as_ref().to_string()).collect();
    if names.is_empty() { "there is none".into() } else { format!("there is {}", names.join(", ")) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
