//! The action `sensor`: what the model is told of a reading.

use std::time::Duration;

use serde_json::{Value, json};

use crate::hw::Reading;

/// The answer of a call: the reading, and how old it is.
pub fn answer(sensor: &str, reading: &Reading, age: Duration) -> Value {
    let mut told = json!({"sensor": sensor, "value": reading.value, "age_s": age.as_secs()});
    if let (Some(told), false) = (told.as_object_mut(), reading.unit.is_empty()) {
        told.insert("unit".to_string(), reading.unit.clone().into());
    }
    told
}

/// What a call hears that got no reading; with the last one, where there is one.
pub fn failure(why: &str, last: Option<(&Reading, Duration)>) -> String {
    let Some((reading, age)) = last else { return why.to_string() };
    let unit = if reading.unit.is_empty() { String::new() } else { format!(" {}", reading.unit) };
    format!("{why}; the last reading, {} s ago, was {}{unit}", age.as_secs(), reading.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_told_with_its_unit_and_its_age() {
        let mut reading = Reading { value: -18.25, unit: "°C".into() };
        let told = answer("freezer", &reading, Duration::from_millis(1700));
        assert_eq!(told, json!({"sensor": "freezer", "value": -18.25, "unit": "°C", "age_s": 1}));
        let why = failure("sensor freezer: does not answer", Some((&reading, Duration::from_secs(40))));
        assert_eq!(why, "sensor freezer: does not answer; the last reading, 40 s ago, was -18.25 °C");
        reading.unit.clear();
        assert_eq!(answer("x", &reading, Duration::ZERO), json!({"sensor": "x", "value": -18.25, "age_s": 0}));
        assert_eq!(failure("no", None), "no");
    }
}
