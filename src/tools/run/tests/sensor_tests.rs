//! Sensors and watches on the errands thread.

use super::*;
use crate::hw::{Reading, Sensor, SensorTrouble};

const SENSOR_TOOLS: &str = r#"
    [[tools]]
    name = "how_cold"
    description = "The freezer."
    action = { sensor = "freezer" }
    [[tools]]
    name = "how_wet"
    description = "A sensor that hangs."
    timeout_ms = 100
    action = { sensor = "stuck" }
    policy = { order = "parallel" }
    [[tools]]
    name = "how_dark"
    description = "A sensor that is not there."
    action = { sensor = "missing" }
"#;

/// A board with sensors only.
struct Measuring {
    milli: Arc<std::sync::atomic::AtomicI64>,
    hangs: Arc<AtomicBool>,
}

struct Probe {
    milli: Arc<std::sync::atomic::AtomicI64>,
    hangs: Option<Arc<AtomicBool>>,
}

impl Sensor for Probe {
    fn read(&mut self) -> Result<Reading, SensorTrouble> {
        while self.hangs.as_ref().is_some_and(|hangs| hangs.load(Ordering::SeqCst)) {
            thread::park_timeout(Duration::from_millis(1));
        }
        Ok(Reading { value: self.milli.load(Ordering::SeqCst) as f64 / 1000.0, unit: "°C".into() })
    }
}

impl Board for Measuring {
    fn open_capture(&self) -> Result<Box<dyn hw::Capture>, PcmTrouble> {
        Err(PcmTrouble::Gone)
    }
    fn open_playback(&self) -> Result<Box<dyn hw::Playback>, PcmTrouble> {
        Err(PcmTrouble::Gone)
    }
    fn open_button(&self, line: &str) -> Result<Box<dyn hw::Button>, LineTrouble> {
        Err(LineTrouble::Missing { line: line.to_string() })
    }
    fn open_output(&self, line: &str) -> Result<Box<dyn hw::Output>, LineTrouble> {
        Err(LineTrouble::Missing { line: line.to_string() })
    }
    fn open_input(&self, line: &str) -> Result<Box<dyn hw::Input>, LineTrouble> {
        Err(LineTrouble::Missing { line: line.to_string() })
    }
    fn open_sensor(&self, name: &str) -> Result<Box<dyn Sensor>, SensorTrouble> {
        if name == "missing" {
            return Err(SensorTrouble::Missing { sensor: name.into(), why: "there is none".into() });
        }
        let hangs = (name == "stuck").then(|| self.hangs.clone());
        Ok(Box::new(Probe { milli: self.milli.clone(), hangs }))
    }
}

struct SensorRig {
    orders: mpsc::Sender<ToolOrder>,
    seen: Receiver<Seen>,
    handle: Handle,
    milli: Arc<std::sync::atomic::AtomicI64>,
    hangs: Arc<AtomicBool>,
}

fn sensor_rig(more: &str) -> SensorRig {
    let (seen, seen_here) = channel();
    let (milli, hangs) = (Arc::new(std::sync::atomic::AtomicI64::new(-18_000)), Arc::new(AtomicBool::new(false)));
    let board = Measuring { milli: milli.clone(), hangs: hangs.clone() };
    let (orders, orders_there) = mpsc::channel(TOOL_ORDERS_MAX);
    let (replies, wishes) = (seen.clone(), seen);
    let outside = Outside {
        give: Arc::new(move |control| wishes.send(Seen::Wish(control)).is_ok()),
        ..Outside::new(Arc::new(board), Arc::new(RealClock::new()))
    };
    let reply = move |reply: ToolReply| drop(replies.send(Seen::Reply(reply.id.to_string(), reply.result)));
    let agent = agent::parse(&format!("{SENSOR_TOOLS}{more}"), "test").unwrap();
    let handle = spawn(&agent, outside, orders_there, reply).unwrap();
    SensorRig { orders, seen: seen_here, handle, milli, hangs }
}

impl SensorRig {
    fn call(&self, id: &str, name: &str) {
        let call = Call { id: id.into(), name: name.to_string(), args: serde_json::Map::new() };
        self.orders.blocking_send(ToolOrder::Run(call)).unwrap();
    }

    fn next(&self) -> Seen {
        self.seen.recv_timeout(SOON).unwrap()
    }
}

#[test]
fn a_sensor_is_read_with_its_unit_and_one_that_is_missing_says_so() {
    let rig = sensor_rig("");
    rig.call("1", "how_cold");
    let answer = json!({"sensor": "freezer", "value": -18.0, "unit": "°C", "age_s": 0});
    assert_eq!(rig.next(), Seen::Reply("1".into(), Ok(answer)));
    rig.call("2", "how_dark");
    assert_eq!(rig.next(), Seen::Reply("2".into(), Err("sensor missing: there is none".into())));
    rig.handle.stop();
}

#[test]
fn a_sensor_that_hangs_costs_its_own_calls_only_and_is_read_once_it_answers() {
    let rig = sensor_rig("");
    rig.hangs.store(true, Ordering::SeqCst);
    rig.call("1", "how_wet");
    rig.call("2", "how_cold");
    assert!(matches!(rig.next(), Seen::Reply(id, Ok(_)) if id == "2"));
    assert!(matches!(rig.next(), Seen::Reply(id, Err(why)) if id == "1" && why.contains("was not done within 100 ms")));
    rig.hangs.store(false, Ordering::SeqCst);
    rig.call("3", "how_wet");
    assert!(matches!(rig.next(), Seen::Reply(id, Ok(_)) if id == "3"));
    rig.handle.stop();
}

#[test]
fn the_model_is_told_when_a_threshold_is_crossed() {
    let rig = sensor_rig(
        "[[watch]]\nsensor = \"freezer\"\nabove = -10\nevery_s = 1\nsay = \"The freezer is at {value} {unit}: tell the user.\"\n",
    );
    rig.call("1", "how_cold");
    assert!(matches!(rig.next(), Seen::Reply(..)), "nothing is told of a cold freezer");
    rig.milli.store(-5_100, Ordering::SeqCst);
    let text = "[device] The freezer is at -5.1 °C: tell the user.";
    assert_eq!(rig.next(), Seen::Wish(Control::Tell(text.into())));
    rig.handle.stop();
    assert_eq!(rig.seen.try_iter().count(), 0, "told once");
}
