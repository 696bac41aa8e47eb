//! `[sensors.NAME]` of a board profile: what measures, how it is found, and what its numbers mean.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::super::key::{AnyKey, Choice, Key, Need, Number, Path, Text, one_line, wrong_type};
use super::super::problem::shown;
use super::super::read::{Reader, Section, Sheet};
use super::line_name;

/// Sensors of one profile; each may hold a thread for as long as it hangs.
pub const SENSORS_MAX: usize = 16;

/// A sensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Sensor {
    /// Where its numbers come from.
    pub source: SensorSource,
    /// The unit of its readings; that of the kernel's channel where absent.
    pub unit: Option<String>,
    /// Readings are multiplied by this …
    pub scale: f64,
    /// … and this is added.
    pub offset: f64,
    /// Less is a fault.
    pub min: Option<f64>,
    /// More is a fault.
    pub max: Option<f64>,
}

/// Where a sensor's numbers come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SensorSource {
    /// A DS18B20 or its kin on a 1-wire bus, by its id (`28-0316a2797a5b`).
    OneWire {
        /// The id.
        id: String,
    },
    /// A channel of the kernel's hardware monitoring.
    Hwmon {
        /// The chip's name (`lm75`), or that of its device (`1-0048`).
        chip: String,
        /// `temp1`, or the channel's label.
        channel: String,
    },
    /// A channel of the kernel's industrial I/O.
    Iio {
        /// The device's name (`bme280`), or that of its bus (`1-0076`).
        device: String,
        /// `temp`, `humidityrelative`, `voltage0`.
        channel: String,
    },
    /// The number in the first line of a file.
    File(PathBuf),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SensorKind {
    OneWire,
    Hwmon,
    Iio,
    File,
}

const KIND: Key<Choice<SensorKind>> = Key {
    name: "kind",
    kind: Choice {
        options: &[
            ("one_wire", SensorKind::OneWire),
            ("hwmon", SensorKind::Hwmon),
            ("iio", SensorKind::Iio),
            ("file", SensorKind::File),
        ],
        default: SensorKind::OneWire,
    },
    need: Need::Required,
    doc: "How the kernel gives its numbers: a 1-wire thermometer, hwmon, iio, or a file.",
};
const DEVICE: Key<Text> = Key {
    name: "device",
    kind: Text {
        what: "a 1-wire id (\"28-0316a2797a5b\"), or the name of a chip (\"lm75\") or of its device (\"1-0048\")",
        chars_max: 64,
        check: one_name,
        default: "",
    },
    need: Need::Optional,
    doc: "All but `file`: the 1-wire id, or the name of the chip, or of its device where there are two of the name.",
};
const CHANNEL: Key<Text> = Key {
    name: "channel",
    kind: Text { what: "a channel such as \"temp1\" or \"voltage0\"", chars_max: 64, check: one_name, default: "" },
    need: Need::Optional,
    doc: "`hwmon`: `temp1`, `in0`, or the channel's label; `iio`: `temp`, `humidityrelative`, `voltage0`.",
};
const PATH: Key<Path> = Key {
    name: "path",
    kind: Path { what: "a file that holds a number" },
    need: Need::Optional,
    doc: "`file`: the file; its first line is the number.",
};
const UNIT: Key<Text> = Key {
    name: "unit",
    kind: Text { what: "a unit such as \"°C\"", chars_max: 16, check: one_line, default: "" },
    need: Need::Optional,
    doc: "The unit; °C, V, A, W, J, %, hPa, lx, ppm and so on by the channel where absent.",
};
const SCALE: Key<Number> = Key {
    name: "scale",
    kind: Number { unit: "", min: -1e6, max: 1e6, default: 1.0 },
    need: Need::Defaults,
    doc: "Readings in that unit are multiplied by this.",
};
const OFFSET: Key<Number> = Key {
    name: "offset",
    kind: Number { unit: "", min: -1e6, max: 1e6, default: 0.0 },
    need: Need::Defaults,
    doc: "Then this is added.",
};
const MIN: Key<Number> = Key {
    name: "min",
    kind: Number { unit: "", min: -1e9, max: 1e9, default: 0.0 },
    need: Need::Optional,
    doc: "A reading below is a fault of the sensor; by the kind where absent.",
};
const MAX: Key<Number> = Key {
    name: "max",
    kind: Number { unit: "", min: -1e9, max: 1e9, default: 0.0 },
    need: Need::Optional,
    doc: "A reading above is a fault of the sensor; by the kind where absent.",
};

/// `[sensors.NAME]`.
pub const SENSORS: Sheet = Sheet {
    name: "sensors",
    keys: &[&KIND, &DEVICE, &CHANNEL, &PATH, &UNIT, &SCALE, &OFFSET, &MIN, &MAX],
    tables: &[],
};

/// The sensors of the profile by our names.
pub(super) fn sensors(reader: &mut Reader<'_>, top: &Section<'_>) -> BTreeMap<String, Sensor> {
    let Some(value) = top.value(SENSORS.name) else { return BTreeMap::new() };
    let Some(table) = value.get_ref().as_table() else {
        reader.note_at(
            value,
            "sensors".into(),
            wrong_type(value.get_ref(), "sections, one a sensor: `[sensors.room]`"),
        );
        return BTreeMap::new();
    };
    if table.len() > SENSORS_MAX {
        let message = format!("has {} sensors; at most {SENSORS_MAX} are taken", table.len());
        reader.note_at(value, "sensors".into(), message);
        return BTreeMap::new();
    }
    let all = Section { table: Some(table), path: SENSORS.name.to_string(), line: reader.line_of(value) };
    let mut sensors = BTreeMap::new();
    for key in table.keys() {
        let name: &str = key.get_ref();
        if let Err(message) = line_name(name) {
            let line = reader.line_of(key);
            reader.note(line, format!("sensors.{}", shown(name)), message.replace("a line", "a sensor"));
        }
        let section = reader.inner(&all, name, &SENSORS);
        if let Some(sensor) = sensor(reader, &section) {
            sensors.insert(name.to_string(), sensor);
        }
    }
    sensors
}

fn sensor(reader: &mut Reader<'_>, at: &Section<'_>) -> Option<Sensor> {
    if at.table.is_some() && at.value(KIND.name).is_none() {
        reader.get(at, &KIND); // says that it is missing
        return None;
    }
    let kind = reader.find(at, &KIND)?;
    let (needed, foreign): (&[&'static dyn AnyKey], &[&str]) = match kind {
        SensorKind::OneWire => (&[&DEVICE], &[CHANNEL.name, PATH.name]),
        SensorKind::Hwmon | SensorKind::Iio => (&[&DEVICE, &CHANNEL], &[PATH.name]),
        SensorKind::File => (&[&PATH, &UNIT], &[DEVICE.name, CHANNEL.name]),
    };
    for key in needed.iter().filter(|key| at.value(key.name()).is_none()) {
        reader.object(at, key.name(), format!("is missing; it must be {}", key.rule()));
    }
    for key in foreign.iter().filter(|key| at.value(key).is_some()) {
        let word = KIND.kind.options.iter().find(|(_, other)| *other == kind).map_or("", |(word, _)| word);
        reader.object(at, key, format!("does not go with kind = \"{word}\"; take it out"));
    }
    let (device, channel) = (reader.find(at, &DEVICE), reader.find(at, &CHANNEL).unwrap_or_default());
    if let Some(id) = device.as_ref().filter(|id| kind == SensorKind::OneWire && !is_one_wire(id)) {
        let message = format!(
            "is \"{}\"; a 1-wire id has two hexadecimal digits, `-`, and twelve more: `ls /sys/bus/w1/devices` shows them",
            shown(id)
        );
        reader.object(at, DEVICE.name, message);
    }
    let device = device.unwrap_or_default();
    let source = match kind {
        SensorKind::OneWire => SensorSource::OneWire { id: device },
        SensorKind::Hwmon => SensorSource::Hwmon { chip: device, channel },
        SensorKind::Iio => SensorSource::Iio { device, channel },
        SensorKind::File => SensorSource::File(reader.find(at, &PATH).unwrap_or_default()),
    };
    let (min, max) = (reader.find(at, &MIN).map(f64::from), reader.find(at, &MAX).map(f64::from));
    if let (Some(min), Some(max)) = (min, max)
        && min >= max
    {
        reader.object(at, MIN.name, format!("is {min}; it must be less than `max`, {max}"));
    }
    let (scale, offset) = (f64::from(reader.get(at, &SCALE)), f64::from(reader.get(at, &OFFSET)));
    Some(Sensor { source, unit: reader.find(at, &UNIT), scale, offset, min, max })
}

impl Sensor {
    /// The unit of the kernel's numbers; empty where the channel does not say.
    pub fn usual_unit(&self) -> &'static str {
        match &self.source {
            SensorSource::OneWire { .. } => "°C",
            SensorSource::Hwmon { channel, .. } => hwmon_unit(channel).0,
            SensorSource::Iio { channel, .. } => iio_unit(channel).0,
            SensorSource::File(_) => "",
        }
    }

    /// What a number of the kernel's in `unit` means, or why it cannot be right.
    ///
    /// # Errors
    /// The end of a sentence that begins with the sensor's name.
    pub fn judge(&self, number: f64, unit: &str) -> Result<(f64, String), String> {
        // Thousandths are finer than any of them is; more digits would only be read aloud.
        let value = ((number * self.scale + self.offset) * 1000.0).round() / 1000.0;
        let (usual_min, usual_max) = match (&self.source, self.unit.is_none(), unit) {
            (SensorSource::OneWire { .. }, true, _) => (-55.0, 125.0), // DS18B20 data sheet
            (_, true, "°C") => (-100.0, 300.0),
            (_, true, "%") => (0.0, 100.0),
            _ => (f64::MIN, f64::MAX),
        };
        let (min, max) = (self.min.unwrap_or(usual_min), self.max.unwrap_or(usual_max));
        let unit = self.unit.as_deref().unwrap_or(unit);
        if !value.is_finite() || value < min || value > max {
            return Err(format!(
                "says {value} {unit}, which cannot be ({min} to {max} can): look at its wires and its supply"
            ));
        }
        Ok((value, unit.to_string()))
    }
}

/// Unit of a hwmon channel and what its numbers are multiplied by (Documentation/hwmon/sysfs-interface.rst, Linux 6.12).
pub fn hwmon_unit(channel: &str) -> (&'static str, f64) {
    match channel.trim_end_matches(|digit: char| digit.is_ascii_digit()) {
        "temp" => ("°C", 1e-3),
        "in" => ("V", 1e-3),
        "curr" => ("A", 1e-3),
        "power" => ("W", 1e-6),
        "energy" => ("J", 1e-6),
        "humidity" => ("%", 1e-3),
        "fan" => ("rpm", 1.0),
        _ => ("", 1.0),
    }
}

/// Unit of an iio channel and what its numbers are multiplied by (Documentation/ABI/testing/sysfs-bus-iio, Linux 6.12).
pub fn iio_unit(channel: &str) -> (&'static str, f64) {
    let kind = channel.split(|other: char| !other.is_ascii_lowercase()).next().unwrap_or_default();
    match kind {
        "temp" => ("°C", 1e-3),
        "humidityrelative" => ("%", 1e-3),
        "pressure" => ("hPa", 10.0),
        "voltage" => ("V", 1e-3),
        "current" => ("A", 1e-3),
        "power" => ("W", 1e-3),
        "illuminance" => ("lx", 1.0),
        "resistance" => ("Ω", 1.0),
        "distance" => ("m", 1.0),
        "concentration" => ("ppm", 1e4),
        _ => ("", 1.0),
    }
}

fn is_one_wire(id: &str) -> bool {
    let is_hex = |text: &str, digits: usize| text.len() == digits && text.chars().all(|c| c.is_ascii_hexdigit());
    id.split_once('-').is_some_and(|(family, serial)| is_hex(family, 2) && is_hex(serial, 12))
}

/// A name in `/sys`, which is no path.
fn one_name(name: &str) -> Result<(), String> {
    one_line(name)?;
    if name.contains('/') || name.starts_with('.') {
        return Err(format!("is \"{}\"; it must be a name, not a path", shown(name)));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn sensor(source: SensorSource) -> Sensor {
        Sensor { source, unit: None, scale: 1.0, offset: 0.0, min: None, max: None }
    }

    #[test]
    fn readings_are_scaled_rounded_and_must_be_possible() {
        let wire = || SensorSource::OneWire { id: String::new() };
        assert_eq!(sensor(wire()).judge(23.18752, "°C"), Ok((23.188, "°C".into())));
        assert!(sensor(wire()).judge(126.0, "°C").unwrap_err().starts_with("says 126 °C, which cannot be (-55 to 125"));
        let iio = || SensorSource::Iio { device: String::new(), channel: String::new() };
        assert!(sensor(iio()).judge(101.0, "%").is_err() && sensor(iio()).judge(126.0, "°C").is_ok());
        assert!(sensor(iio()).judge(f64::NAN, "V").is_err() && sensor(iio()).judge(f64::INFINITY, "").is_err());
        // A divider of 11:1 before a converter, and a soil probe that is wet at less.
        let battery = Sensor { scale: 11.0, min: Some(6.0), max: Some(15.0), ..sensor(iio()) };
        assert_eq!(battery.judge(1.1, "V"), Ok((12.1, "V".into())));
        assert!(battery.judge(0.1, "V").is_err() && battery.judge(1.4, "V").is_err());
        let soil = Sensor { unit: Some("% wet".into()), scale: -50.0, offset: 150.0, ..sensor(iio()) };
        assert_eq!(soil.judge(2.0, "V"), Ok((50.0, "% wet".into())));
    }

    #[test]
    fn channels_have_the_kernels_units() {
        assert_eq!((hwmon_unit("temp1"), hwmon_unit("power12")), (("°C", 1e-3), ("W", 1e-6)));
        assert_eq!((iio_unit("voltage0"), iio_unit("concentration_co2")), (("V", 1e-3), ("ppm", 1e4)));
        assert_eq!((hwmon_unit("beep"), iio_unit("")), (("", 1.0), ("", 1.0)));
    }
}
