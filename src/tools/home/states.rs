//! What is known of the listed entities, and how it is told to the model.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::HomeWork;

/// What of an entity's attributes a person asks for. The rest is lists of features, pictures and ids.
const ATTRIBUTES: [&str; 36] = [
    "app_name",
    "battery_level",
    "color_name",
    "color_temp_kelvin",
    "current_humidity",
    "current_option",
    "current_position",
    "current_temperature",
    "current_tilt_position",
    "device_class",
    "direction",
    "effect",
    "fan_mode",
    "finishes_at",
    "humidity",
    "hvac_action",
    "hvac_mode",
    "is_volume_muted",
    "last_triggered",
    "media_album_name",
    "media_artist",
    "media_channel",
    "media_title",
    "message",
    "next_rising",
    "next_setting",
    "oscillating",
    "percentage",
    "preset_mode",
    "pressure",
    "remaining",
    "source",
    "swing_mode",
    "target_humidity",
    "temperature",
    "volume_level",
];
/// Attributes that become others: the light's level and the unit.
const BRIGHTNESS: &str = "brightness";
const UNIT: &str = "unit_of_measurement";
/// Bytes of one attribute that is kept; a longer one is a list nobody wants read to them.
const ATTRIBUTE_BYTES_MAX: usize = 256;
/// Characters of a state; Home Assistant's own limit is 255.
const STATE_CHARS_MAX: usize = 255;

/// What is known of one entity.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// `on`, `21.5`, `unavailable`.
    pub state: String,
    attributes: BTreeMap<String, Value>,
    /// When it became so, seconds since 1970 by Home Assistant's clock.
    pub changed_unix_s: f64,
    /// Counts the changes.
    pub version: u64,
}

impl State {
    /// Whether the device behind it does not answer.
    pub fn is_unavailable(&self) -> bool {
        self.state == "unavailable"
    }
}

/// The listed entities that Home Assistant has.
#[derive(Clone, Debug, Default)]
pub struct States {
    by_id: BTreeMap<String, State>,
    versions: u64,
}

impl States {
    /// What is known of this entity; nothing where Home Assistant has no such one.
    pub fn get(&self, id: &str) -> Option<&State> {
        self.by_id.get(id)
    }

    /// Takes news of a subscription in; `is_listed` says which entities are kept.
    pub fn take(&mut self, event: &Value, is_listed: impl Fn(&str) -> bool) {
        for (id, new) in members(&event["a"]).filter(|(id, _)| is_listed(id)) {
            self.versions += 1;
            let mut state = State { version: self.versions, ..State::default() };
            state.add(new);
            self.by_id.insert(id.clone(), state);
        }
        for (id, change) in members(&event["c"]) {
            let Some(state) = self.by_id.get_mut(id) else { continue };
            self.versions += 1;
            state.version = self.versions;
            state.add(&change["+"]);
            for name in change["-"]["a"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                state.attributes.remove(name);
            }
        }
        for id in event["r"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            self.by_id.remove(id);
        }
    }

    /// What the model is told of an entity; `now_unix_s` is Home Assistant's time, where it is known.
    pub fn told(&self, work: &HomeWork, now_unix_s: Option<f64>) -> Option<Value> {
        let state = self.get(&work.id)?;
        let mut told = Map::new();
        told.insert("name".into(), json!(work.name));
        if let Some(area) = &work.area {
            told.insert("area".into(), json!(area));
        }
        told.insert("state".into(), json!(state.state));
        if state.is_unavailable() {
            told.insert("note".into(), json!("the device behind it does not answer"));
        }
        for (name, value) in &state.attributes {
            match (name.as_str(), value.as_f64()) {
                (UNIT, _) => drop(told.insert("unit".into(), value.clone())),
                (BRIGHTNESS, Some(level)) => {
                    told.insert("brightness_pct".into(), json!((level / 255.0 * 100.0).round() as i64));
                }
                (BRIGHTNESS, None) => {}
                _ => drop(told.insert(name.clone(), value.clone())),
            }
        }
        if let Some(now) = now_unix_s.filter(|_| state.changed_unix_s > 0.0) {
            told.insert("for_s".into(), json!((now - state.changed_unix_s).max(0.0).round() as u64));
        }
        Some(Value::Object(told))
    }
}

impl State {
    fn add(&mut self, news: &Value) {
        if let Some(state) = news["s"].as_str() {
            self.state = state.chars().take(STATE_CHARS_MAX).collect();
        }
        if let Some(changed) = news["lc"].as_f64() {
            self.changed_unix_s = changed;
        }
        for (name, value) in members(&news["a"]) {
            let is_wanted = ATTRIBUTES.contains(&name.as_str()) || name == BRIGHTNESS || name == UNIT;
            let is_short = !value.is_null() && value.to_string().len() <= ATTRIBUTE_BYTES_MAX;
            match is_wanted && is_short {
                true => drop(self.attributes.insert(name.clone(), value.clone())),
                false => drop(self.attributes.remove(name)),
            }
        }
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}
