//! `action = { sensor = "NAME" }`: a sensor of the board profile is read.

use super::super::super::board::line_name;
use super::super::super::key::{Key, Need, Text};
use super::super::super::read::{Reader, Section, Sheet};
use super::super::Action;
use super::{Around, open};

/// A sensor's name.
pub(in super::super) const NAME: Text =
    Text { what: "a sensor's name in the board profile", chars_max: 32, check: sensor_name, default: "" };

const SENSOR: Key<Text> =
    Key { name: "sensor", kind: NAME, need: Need::Required, doc: "A sensor of the board profile." };

/// `action = { sensor = "…" }`.
pub const SHEET: Sheet = Sheet { name: "tools.action", keys: &[&SENSOR], tables: &[] };

pub(super) fn read(reader: &mut Reader<'_>, place: &Section<'_>, _: &Around<'_>) -> Option<Action> {
    let section = open(reader, place, &SHEET);
    Some(Action::SensorRead(reader.find(&section, &SENSOR)?))
}

fn sensor_name(name: &str) -> Result<(), String> {
    line_name(name).map_err(|message| message.replace("a line", "a sensor"))
}
