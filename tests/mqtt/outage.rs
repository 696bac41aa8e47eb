//! A minute without the broker in the middle of a conversation of the whole program: it goes on, the model is told,
//! and afterwards everything is as it should be.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::rig::{Broker, Lamp, Listener, Program};

/// How long the broker is away.
const OUTAGE: Duration = Duration::from_secs(60);
/// What a person waits for an answer that a broker cannot give: the call's own patience and a reply of a second.
const TURN: Duration = Duration::from_secs(15);
/// From the broker's return until what should be off is off: the next attempt is ten seconds away at most.
const AT_ONCE: Duration = Duration::from_secs(20);

const HEATER: &str = r#"
    [[tools]]
    name = "heat"
    description = "Heats."
    parameters = { type = "OBJECT", properties = { on = { type = "BOOLEAN" } }, required = ["on"] }
    action = { mqtt = "publish", topic = "home/heater/set", argument = "on", on = "ON", off = "OFF" }
    policy = { on_argument = "on", max_on_s = 20 }
"#;

const SCRIPT: &str = r#"
    turn "Light, and heat."
     call switch_lamp {"room": "hall", "on": true}
     call heat {"on": true}
     tone 440Hz 1s "Both are on."
    turn "The light off."
     call switch_lamp {"room": "hall", "on": false}
     tone 440Hz 1s "The broker cannot be reached."
    turn "Is it on?"
     call lamp {"room": "hall"}
     tone 440Hz 1s "It was when I last heard of it."
    turn "Tell me a joke."
     tone 440Hz 1s "A joke."
    turn "Is it on now?"
     call lamp {"room": "hall"}
     tone 440Hz 1s "It is off."
    turn "Then switch it on."
     call switch_lamp {"room": "hall", "on": true}
     tone 440Hz 1s "Done."
"#;

/// Asks, waits until the answer was heard to its end, and answers what the tools said to it.
fn converse(program: &mut Program, turn: usize) -> Vec<Value> {
    let (before, began) = (program.answers().len(), Instant::now());
    program.ask();
    program.awaits("reply_drained", turn);
    assert!(began.elapsed() < TURN, "turn {turn} took {:?}", began.elapsed());
    program.answers().split_off(before)
}

#[test]
#[ignore = "needs Mosquitto and its clients (tests/run.sh installs them); takes a minute and a half"]
fn the_broker_is_down_for_a_minute_and_the_conversation_goes_on() {
    let mut broker = Broker::open("outage");
    let lamp = Lamp::new(&broker, "hall");
    let heater = Listener::new(&broker, "home/heater/#");
    let agent = super::agent(broker.port, "") + HEATER;
    let mut program = Program::start("outage-program", &agent, SCRIPT);
    Listener::new(&broker, "mynah/test/availability").hears("online");

    let told = converse(&mut program, 1);
    assert_eq!(told[0]["output"]["state"], "ON", "{told:?}");
    let in_s = told[1]["output"]["switches_itself_off_in_s"].as_u64().unwrap();
    assert_eq!(heater.hears("ON"), "0 home/heater/set ON");
    drop((lamp, heater));

    let down = Instant::now();
    broker.down();
    let told = converse(&mut program, 2);
    let why = told[0]["error"].as_str().unwrap();
    assert!(why.contains("the MQTT broker could not be reached; nothing was sent"), "{why}");
    let told = converse(&mut program, 3);
    let (state, away) = (&told[0]["output"]["state"], &told[0]["output"]["broker_is_away"]);
    assert_eq!((state, away), (&json!("ON"), &json!(true)), "{told:?}");
    assert_eq!(converse(&mut program, 4), [Value::Null; 0], "without tools it is a conversation like any other");
    assert!(Duration::from_secs(in_s) < OUTAGE, "the heater's time is over before the broker is back");
    thread::sleep(OUTAGE.saturating_sub(down.elapsed()));

    broker.up();
    let back = Instant::now();
    let (heater, presence) = (Listener::new(&broker, "home/heater/#"), Listener::new(&broker, "mynah/test/#"));
    heater.hears("0 home/heater/set OFF");
    println!("the heater was off {:.1} s after the broker's return", back.elapsed().as_secs_f64());
    assert!(back.elapsed() < AT_ONCE, "it took {:?}", back.elapsed());
    presence.hears("availability online");

    // Somebody else has used the lamp meanwhile.
    let _lamp = Lamp::new(&broker, "hall");
    broker.publish(&["-r", "-t", "home/hall/lamp", "-m", "OFF"]);
    Listener::new(&broker, "home/hall/lamp").hears("OFF");
    let told = converse(&mut program, 5);
    let (state, away) = (&told[0]["output"]["state"], &told[0]["output"]["broker_is_away"]);
    assert_eq!((state, away), (&json!("OFF"), &Value::Null), "{told:?}");
    let told = converse(&mut program, 6);
    assert_eq!(told[0]["output"]["state"], "ON", "{told:?}");
    let kept = Listener::new(&broker, "home/hall/lamp").hears("lamp");
    assert_eq!(kept, "1 home/hall/lamp ON", "the broker keeps what is true");
    assert_eq!(program.link_losses(), 0, "the service noticed nothing of all that");
    program.end();
    let rest = heater.all_within(Duration::from_secs(1));
    assert!(!rest.iter().any(|line| line.ends_with("ON")), "nothing of the outage comes later: {rest:?}");
}
