//! The sensors of tools and watches, read where blocking is allowed and never waited for without a limit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use crate::config::agent::{Action, Agent};
use crate::hw::{Board, Reading, Sensor};
use crate::tools::sensor;

/// How long a reading may take: a 1-wire bus measures one sensor after the other, each in 750 ms.
const SENSOR_TIMEOUT: Duration = Duration::from_secs(5);
/// A reading this fresh is as good as a new one; asking more often warms a small sensor.
const FRESH: Duration = Duration::from_secs(1);

/// One sensor: its device once it is open, and the last good reading.
#[derive(Default)]
struct Slot {
    device: Option<Box<dyn Sensor>>,
    last: Option<(Reading, Instant)>,
}

/// The sensors by the board profile's names.
pub(super) struct Sensors {
    board: Arc<dyn Board>,
    slots: BTreeMap<String, Arc<Mutex<Slot>>>,
}

impl Sensors {
    /// Those that the tools and the watches of `agent` read. They are opened when first needed.
    pub(super) fn new(agent: &Agent, board: Arc<dyn Board>) -> Sensors {
        let read = agent.tools.iter().filter_map(|tool| match &tool.action {
            Action::SensorRead(sensor) => Some(sensor),
            _ => None,
        });
        let watched = agent.watches.iter().filter_map(|watch| watch.condition.sensor());
        Sensors { board, slots: read.chain(watched).map(|name| (name.clone(), Arc::default())).collect() }
    }

    /// The reading of now, as the model is told it.
    pub(super) async fn answer(&self, name: &str) -> Result<Value, String> {
        let (reading, age) = self.read(name).await?;
        Ok(sensor::answer(name, &reading, age))
    }

    /// A reading, and how old it is.
    ///
    /// The sensor's lock travels with the work: one that hangs keeps it and one thread, and costs its own calls only.
    pub(super) async fn read(&self, name: &str) -> Result<(Reading, Duration), String> {
        let Some(slot) = self.slots.get(name).cloned() else { return Err(format!("sensor `{name}` is not known")) };
        let (board, own_name) = (self.board.clone(), name.to_string());
        let read = async move {
            let mut slot = slot.lock_owned().await;
            if let Some((reading, at)) = slot.last.as_ref().filter(|(_, at)| at.elapsed() < FRESH) {
                return Ok(Ok((reading.clone(), at.elapsed())));
            }
            spawn_blocking(move || measure(&mut slot, board.as_ref(), &own_name)).await
        };
        match timeout(SENSOR_TIMEOUT, read).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(format!("sensor {name} could not be read")),
            Err(_) => Err(format!("sensor {name} did not answer within {} s", SENSOR_TIMEOUT.as_secs())),
        }
    }
}

fn measure(slot: &mut Slot, board: &dyn Board, name: &str) -> Result<(Reading, Duration), String> {
    let read = match &mut slot.device {
        Some(device) => device.read(),
        None => board.open_sensor(name).and_then(|device| slot.device.insert(device).read()),
    };
    match read {
        Ok(reading) => {
            slot.last = Some((reading.clone(), Instant::now()));
            Ok((reading, Duration::ZERO))
        }
        Err(trouble) => {
            slot.device = None;
            let last = slot.last.as_ref().map(|(reading, at)| (reading, at.elapsed()));
            Err(sensor::failure(&trouble.to_string(), last))
        }
    }
}
