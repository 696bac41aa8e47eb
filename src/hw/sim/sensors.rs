//! The simulated sensors: each says what the person in front of the board wants.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::lock;
use crate::config::board;
use crate::hw::{Reading, Sensor, SensorTrouble};

/// What each says until it is told otherwise: a room's temperature, and within the range of most.
const AT_FIRST: f64 = 20.0;

/// Every sensor by name: its profile, and the kernel's number in the channel's unit.
pub(super) struct Sensors(BTreeMap<String, (board::Sensor, Mutex<f64>)>);

impl Sensors {
    pub(super) fn new(sensors: &BTreeMap<String, board::Sensor>) -> Sensors {
        let sensors = sensors.iter().map(|(name, wish)| (name.clone(), (wish.clone(), Mutex::new(AT_FIRST))));
        Sensors(sensors.collect())
    }

    pub(super) fn set(&self, name: &str, number: f64) -> Result<(), SensorTrouble> {
        let (_, at) = self.0.get(name).ok_or_else(|| missing(name))?;
        *lock(at) = number;
        Ok(())
    }

    pub(super) fn open(this: &Arc<Sensors>, name: &str) -> Result<Box<dyn Sensor>, SensorTrouble> {
        if !this.0.contains_key(name) {
            return Err(missing(name));
        }
        Ok(Box::new(SimSensor { sensors: this.clone(), name: name.to_string() }))
    }
}

fn missing(name: &str) -> SensorTrouble {
    let why = "the simulated board has no such sensor".to_string();
    SensorTrouble::Missing { sensor: name.to_string(), why }
}

struct SimSensor {
    sensors: Arc<Sensors>,
    name: String,
}

impl Sensor for SimSensor {
    fn read(&mut self) -> Result<Reading, SensorTrouble> {
        let (wish, number) = self.sensors.0.get(&self.name).ok_or_else(|| missing(&self.name))?;
        let judged = wish.judge(*lock(number), wish.usual_unit());
        let (value, unit) = judged.map_err(|why| SensorTrouble::Faulty { sensor: self.name.clone(), why })?;
        Ok(Reading { value, unit })
    }
}
