//! The device's own tools: the core is told what is wanted; the clock and the state are told to the model.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Outside;
use super::alarms::Ringer;
use crate::flow::Control;
use crate::hw::{Clock, clock};
use crate::tools::Failure;
use crate::tools::device::DeviceWork;
use crate::units::Time;

/// The device as its tools see it.
pub(super) struct Device {
    clock: Arc<dyn Clock>,
    give: Arc<dyn Fn(Control) -> bool + Send + Sync>,
    began: Time,
    pub(super) alarms: Ringer,
}

impl Device {
    pub(super) fn new(outside: &Outside) -> Device {
        let began = outside.clock.now();
        Device { clock: outside.clock.clone(), give: outside.give.clone(), began, alarms: Ringer::new(outside) }
    }

    /// Does it; `out_of_order` names what cannot be reached.
    pub(super) async fn carry_out(&self, work: &DeviceWork, out_of_order: Vec<String>) -> Result<Value, Failure> {
        match work {
            DeviceWork::Control(control, told) => {
                if (self.give)(control.clone()) {
                    return Ok(told.json());
                }
                Err(Failure::Refused("the device is too busy for that now; try again".into()))
            }
            DeviceWork::Time => {
                let unix_s = self.clock.unix_ms() / 1000;
                match clock::weekday(unix_s) {
                    Some(weekday) => Ok(json!({ "local_time": clock::written(unix_s), "weekday": weekday })),
                    None => Err(Failure::Refused("the device's clock is not set; say that you do not know".into())),
                }
            }
            DeviceWork::Alarm(work) => self.alarms.carry_out(work).await,
            DeviceWork::Status => {
                let running_s = self.clock.now().since(self.began).as_secs();
                let version = env!("CARGO_PKG_VERSION");
                Ok(json!({ "version": version, "running_for_s": running_s, "out_of_order": out_of_order }))
            }
        }
    }
}
