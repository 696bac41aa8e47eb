//! PWM outputs on the errands thread, on the simulated board.

use super::*;
use crate::config::board;
use crate::hw::Pulse;
use crate::hw::sim::{SimBoard, SimClock, SimHandle, SimSetup};

const PWM_TOOLS: &str = r#"
    [[tools]]
    name = "dim"
    description = "The shelf."
    parameters = { type = "OBJECT", properties = { percent = { type = "INTEGER", minimum = 0, maximum = 100 } }, required = ["percent"] }
    action = { pwm = "dim", output = "shelf_light", argument = "percent" }
    policy = { max_on_s = 1 }
    [[tools]]
    name = "turn"
    description = "The blind, quickly."
    parameters = { type = "OBJECT", properties = { degrees = { type = "NUMBER", minimum = 0, maximum = 90 } }, required = ["degrees"] }
    action = { pwm = "servo", output = "blind", argument = "degrees", slew_deg_per_s = 900 }
    [[tools]]
    name = "creep"
    description = "The blind, slowly."
    timeout_ms = 60000
    parameters = { type = "OBJECT", properties = { degrees = { type = "NUMBER", minimum = 0, maximum = 30 } }, required = ["degrees"] }
    action = { pwm = "servo", output = "blind", argument = "degrees", slew_deg_per_s = 1 }
    [[tools]]
    name = "beep"
    description = "A short sound."
    action = { pwm = "buzz", output = "horn", frequency_hz = 2000, duration_ms = 20 }
    [[tools]]
    name = "wail"
    description = "A long one."
    action = { pwm = "buzz", output = "horn", frequency_hz = 500, duration_ms = 9000 }
"#;

struct PwmRig {
    orders: mpsc::Sender<ToolOrder>,
    replies: Receiver<ToolReply>,
    handle: Handle,
    hand: SimHandle,
}

fn pwm_rig() -> PwmRig {
    pwm_rig_of(PWM_TOOLS)
}

fn pwm_rig_of(tools: &str) -> PwmRig {
    let profile = board::parse(board::builtin("sim").unwrap(), "sim.toml", "sim").unwrap();
    let sim = SimBoard::new(SimSetup::from_profile(&profile).unwrap(), SimClock::stepped());
    let hand = sim.handle();
    let (orders, orders_there) = mpsc::channel(TOOL_ORDERS_MAX);
    let (reply, replies) = channel();
    let outside = Outside::new(Arc::new(sim), Arc::new(RealClock::new()));
    let handle = spawn(&agent::parse(tools, "test").unwrap(), outside, orders_there, move |answer| {
        drop(reply.send(answer));
    });
    let rig = PwmRig { orders, replies, handle: handle.unwrap(), hand };
    for output in ["shelf_light", "blind", "horn"].into_iter().filter(|output| tools.contains(*output)) {
        rig.until(output, |pulse| pulse.is_some_and(|pulse| pulse.on_ns == 0));
    }
    rig
}

impl PwmRig {
    fn call(&self, id: &str, name: &str, args: Value) {
        let call = Call { id: id.into(), name: name.to_string(), args: args.as_object().unwrap().clone() };
        self.orders.blocking_send(ToolOrder::Run(call)).unwrap();
    }

    fn done(&self) -> Value {
        self.replies.recv_timeout(SOON).unwrap().result.unwrap()
    }

    fn pulse(&self, output: &str) -> Pulse {
        self.hand.pulse(output).unwrap().unwrap()
    }

    fn until(&self, output: &str, is_so: impl Fn(Option<Pulse>) -> bool) {
        let began = std::time::Instant::now();
        while !is_so(self.hand.pulse(output).unwrap()) {
            assert!(began.elapsed() < SOON, "{output}: {:?}", self.hand.pulse(output));
            thread::park_timeout(Duration::from_millis(1));
        }
    }
}

#[test]
fn a_dimmer_goes_by_the_eye_and_off_after_its_time_by_itself() {
    let rig = pwm_rig();
    rig.call("1", "dim", json!({"percent": 50}));
    assert_eq!(rig.done()["percent"], 50.0);
    assert_eq!(rig.pulse("shelf_light"), Pulse { period_ns: 1_000_000, on_ns: 250_000 });
    rig.until("shelf_light", |pulse| pulse.is_some_and(|pulse| pulse.on_ns == 0));
    rig.handle.stop();
}

#[test]
fn a_servo_arrives_and_stays_where_it_is_when_it_is_taken_back_and_is_released_at_the_end() {
    let rig = pwm_rig();
    rig.call("1", "turn", json!({"degrees": 0}));
    assert_eq!(rig.done(), json!({"output": "blind", "degrees": 0.0}));
    rig.call("2", "turn", json!({"degrees": 90}));
    assert_eq!(rig.done()["degrees"], 90.0);
    assert_eq!(rig.pulse("blind").on_ns, 2_000_000);
    rig.call("3", "creep", json!({"degrees": 0}));
    rig.until("blind", |pulse| pulse.is_some_and(|pulse| pulse.on_ns < 2_000_000));
    rig.orders.blocking_send(ToolOrder::Cancel("3".into())).unwrap();
    rig.call("4", "beep", json!({})); // runs in turn: the other is over
    assert_eq!(rig.done()["output"], "horn");
    let stands = rig.pulse("blind");
    assert!(stands.on_ns > 1_500_000 && stands.on_ns < 2_000_000, "{stands:?}");
    rig.handle.stop();
    assert_eq!(rig.hand.pulse("blind").unwrap().unwrap().on_ns, 0, "released");
}

/// A servo that may be held for a second, or until the connection is lost.
fn held(policy: &str) -> PwmRig {
    let rig = pwm_rig_of(&format!(
        r#"
        [[tools]]
        name = "turn"
        description = "The blind."
        parameters = {{ type = "OBJECT", properties = {{ degrees = {{ type = "NUMBER", minimum = 0, maximum = 90 }} }}, required = ["degrees"] }}
        action = {{ pwm = "servo", output = "blind", argument = "degrees", slew_deg_per_s = 1000 }}
        policy = {{ {policy} }}
        "#
    ));
    rig.call("1", "turn", json!({"degrees": 0}));
    assert_eq!(rig.done()["degrees"], 0.0);
    assert_eq!(rig.pulse("blind").on_ns, 1_000_000, "0 degrees is held as any other place");
    rig
}

#[test]
fn a_servo_is_let_go_of_after_its_time_and_holds_again_when_it_is_turned_again() {
    let rig = held("max_on_s = 1, per_minute = 4");
    let released = |pulse: Option<Pulse>| pulse.is_some_and(|pulse| pulse.on_ns == 0);
    rig.until("blind", released);
    rig.call("2", "turn", json!({"degrees": 90}));
    let told = rig.done();
    assert_eq!(told["degrees"], 90.0);
    assert!(told["switches_itself_off_in_s"].is_u64(), "its time begins anew: {told}");
    rig.until("blind", released);
    rig.call("3", "turn", json!({"degrees": 0}));
    let why = rig.replies.recv_timeout(SOON).unwrap().result.unwrap_err();
    assert!(
        why.starts_with("too often"),
        "two turns and two releases were four; to turn it is not to switch it off: {why}"
    );
    rig.handle.stop();
}

#[test]
fn a_servo_is_let_go_of_when_the_connection_is_lost() {
    let rig = held("when_offline = \"rest\"");
    rig.orders.blocking_send(ToolOrder::Offline).unwrap();
    rig.until("blind", |pulse| pulse.is_some_and(|pulse| pulse.on_ns == 0));
    rig.handle.stop();
}

#[test]
fn a_buzzer_is_silent_in_the_end_whatever_happens() {
    let rig = pwm_rig();
    rig.call("1", "beep", json!({}));
    assert_eq!(rig.done(), json!({"output": "horn", "hummed_ms": 20, "frequency_hz": 2000}));
    assert_eq!(rig.pulse("horn").on_ns, 0);
    let hums = |pulse: Option<Pulse>| pulse == Some(Pulse { period_ns: 2_000_000, on_ns: 1_000_000 });
    rig.call("2", "wail", json!({}));
    rig.until("horn", hums);
    rig.orders.blocking_send(ToolOrder::Cancel("2".into())).unwrap();
    rig.until("horn", |pulse| pulse.is_some_and(|pulse| pulse.on_ns == 0));
    rig.call("3", "wail", json!({}));
    rig.until("horn", hums);
    rig.handle.stop();
    assert_eq!(rig.hand.pulse("horn").unwrap().unwrap().on_ns, 0);
}
