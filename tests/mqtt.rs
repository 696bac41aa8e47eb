//! Tools and presence over MQTT, against a broker nobody here wrote: Mosquitto, and its own clients as strangers.
//!
//! Run by `sh tests/run.sh`, or by hand with `cargo test --locked --test mqtt -- --ignored`. Each test has a broker of its
//! own at a port that the system chooses. The machine may be busy: bounds of time are wide.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

#[path = "mqtt/outage.rs"]
mod outage;
#[path = "mqtt/papers.rs"]
mod papers;
#[path = "rig/place.rs"]
mod place;
#[path = "mqtt/rig.rs"]
mod rig;

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mynah::flow::{Control, What};
use rig::{Broker, Device, Lamp, Listener, Place, Program, SOON};
use serde_json::{Value, json};

const TOOLS: &str = r#"
    [[tools]]
    name = "switch_lamp"
    description = "Lamp."
    timeout_ms = 5000
    parameters = { type = "OBJECT", properties = { room = { type = "STRING" }, on = { type = "BOOLEAN" } }, required = ["room", "on"] }
    action = { mqtt = "publish_and_wait", topic = "home/{room}/lamp/set", argument = "on", state_topic = "home/{room}/lamp", expect = "{payload}" }
    [[tools]]
    name = "ring"
    description = "A message that nobody answers."
    timeout_ms = 1500
    parameters = { type = "OBJECT", properties = { times = { type = "INTEGER" } }, required = ["times"] }
    action = { mqtt = "publish", topic = "home/bell/set", payload_json = { times = "{times}" } }
    [[tools]]
    name = "lamp"
    description = "State."
    parameters = { type = "OBJECT", properties = { room = { type = "STRING" } }, required = ["room"] }
    action = { mqtt = "read", state_topic = "home/{room}/lamp" }
    [[tools]]
    name = "climate"
    description = "State in JSON."
    action = { mqtt = "read", state_topic = "home/climate", state_pointer = "/inside/celsius" }
"#;

/// An agent with these settings of its broker; no two tests share a name.
fn agent(port: u16, more: &str) -> String {
    format!(
        "[mqtt]\nhost = \"127.0.0.1\"\nport = {port}\nclient_id = \"test-{port}\"\nbase_topic = \"mynah/test\"\n{more}\n{TOOLS}"
    )
}

fn lamp_is(state: &str) -> impl Fn(&Result<Value, String>) -> bool {
    move |found| found.as_ref().is_ok_and(|found| found["state"] == state)
}

#[test]
#[ignore = "needs Mosquitto and its clients (tests/run.sh installs them)"]
fn a_lamp_is_switched_and_says_so_in_both_versions() {
    let broker = Broker::open("lamp");
    let _lamp = Lamp::new(&broker, "hall");
    broker.publish(&["-r", "-t", "home/climate", "-m", r#"{"inside": {"celsius": 21.5}}"#]);
    for version in ["5", "3.1.1"] {
        let mut device = Device::start(&agent(broker.port, &format!("version = \"{version}\"")));
        for on in [true, false, false, true] {
            let state = if on { "ON" } else { "OFF" };
            let found = device.call("switch_lamp", json!({"room": "hall", "on": on})).unwrap();
            assert_eq!((&found["state"], &found["topic"]), (&json!(state), &json!("home/hall/lamp")), "{version}");
            assert_eq!(device.call("lamp", json!({"room": "hall"})).unwrap()["state"], state);
        }
        let kept = device.call("climate", json!({})).unwrap();
        assert_eq!((&kept["state"], &kept["kept_by_broker"]), (&json!(21.5), &json!(true)), "{version}");
        let unknown = device.call("lamp", json!({"room": "attic"})).unwrap_err();
        assert_eq!(unknown, "nothing was heard yet on `home/attic/lamp`: its state is not known");

        // Nobody is there: the model must not claim that it was done.
        let lacking = device.call("switch_lamp", json!({"room": "attic", "on": true})).unwrap_err();
        assert!(lacking.contains("did not say that it is \"ON\": nothing was ever heard there"), "{lacking}");
        let ears = Listener::new(&broker, "home/bell/#");
        let rung = device.call("ring", json!({"times": 2})).unwrap();
        assert_eq!(rung, json!({"published_to": "home/bell/set", "confirmed_by_broker": true}));
        assert_eq!(ears.hears("home/bell"), r#"0 home/bell/set {"times":2}"#, "{version}");
        assert_eq!(device.troubles(), [""; 0]);
        device.stop();
    }
}

#[test]
#[ignore = "needs Mosquitto and its clients (tests/run.sh installs them)"]
fn the_broker_goes_and_comes_back_and_nothing_of_the_meantime_is_sent() {
    let mut broker = Broker::open("restart");
    for version in ["5", "3.1.1"] {
        let mut device = Device::start(&agent(broker.port, &format!("version = \"{version}\"")));
        broker.publish(&["-r", "-t", "home/hall/lamp", "-m", "UNKNOWN"]);
        device.call_until("lamp", &json!({"room": "hall"}), lamp_is("UNKNOWN"));
        device.call("ring", json!({"times": 1})).unwrap();
        broker.down();
        device.complains("cannot be used");
        for _ in 0..4 {
            let began = Instant::now();
            let failed = device.call("ring", json!({"times": 99})).unwrap_err();
            assert!(failed.contains("could not be reached; nothing was sent"), "{failed}");
            assert!(began.elapsed() < Duration::from_secs(5), "it takes its time: {:?}", began.elapsed());
        }
        let last = device.call("lamp", json!({"room": "hall"})).unwrap();
        assert_eq!((&last["state"], &last["broker_is_away"]), (&json!("UNKNOWN"), &json!(true)), "as it was then");
        assert!(device.call("lamp", json!({"room": "attic"})).unwrap_err().contains("could not be reached"));
        broker.up();
        let (bell, presence) =
            (Listener::new(&broker, "home/bell/#"), Listener::new(&broker, "mynah/test/availability"));
        broker.publish(&["-r", "-t", "home/hall/lamp", "-m", "OFF"]);
        // Whoever asks makes it try again at once; then it hears what it heard before.
        device.call_until("ring", &json!({"times": 2}), Result::is_ok);
        device.call_until("lamp", &json!({"room": "hall"}), lamp_is("OFF"));
        broker.publish(&["-t", "home/hall/lamp", "-m", "ON"]);
        device.call_until("lamp", &json!({"room": "hall"}), lamp_is("ON"));
        presence.hears("online");
        let heard = bell.all_within(Duration::from_secs(2));
        assert_eq!(heard, [r#"0 home/bell/set {"times":2}"#], "{version}: only what was asked for when it was there");
        let troubles = device.troubles();
        assert_eq!((troubles.len(), troubles.last().map(String::as_str)), (2, Some("-")), "told once: {troubles:?}");
        device.stop();
    }
}

#[test]
#[ignore = "needs Mosquitto and its clients (tests/run.sh installs them)"]
fn what_is_on_at_the_broker_goes_off_in_time_at_the_end_and_after_a_crash() {
    let mut broker = Broker::open("on-time");
    let place = Place::new("on-time-state");
    let kept = place.0.join("state/tools.json");
    let tool = |max_on_s: u32| {
        let policy = format!("policy = {{ on_argument = \"on\", max_on_s = {max_on_s} }}");
        let action = r#"{ mqtt = "publish", topic = "home/heater/set", argument = "on", on = "ON", off = "OFF" }"#;
        let schema = r#"{ type = "OBJECT", properties = { on = { type = "BOOLEAN" } }, required = ["on"] }"#;
        let tool =
            format!("name = \"heat\"\ndescription = \"Heats.\"\nparameters = {schema}\naction = {action}\n{policy}");
        format!("[mqtt]\nhost = \"127.0.0.1\"\nport = {}\n[[tools]]\n{tool}\n", broker.port)
    };
    let (short, long) = (tool(2), tool(30));
    let ears = Listener::new(&broker, "home/heater/#");
    let state = place.0.join("state");

    let mut device = Device::start_in(&short, Some(&state));
    assert!(device.call("heat", json!({"on": true})).unwrap()["switches_itself_off_in_s"].as_u64().unwrap() <= 2);
    assert_eq!((ears.hears("ON"), ears.hears("OFF")), ("0 home/heater/set ON".into(), "0 home/heater/set OFF".into()));
    // The broker is away when it should go off: it goes off when the broker is back.
    device.call("heat", json!({"on": true})).unwrap();
    broker.down();
    std::thread::sleep(Duration::from_millis(5500)); // the limit, and a first try that fails; the next comes in nine
    broker.up();
    let ears = Listener::new(&broker, "home/heater/#");
    ears.hears("OFF");
    device.stop();

    // An orderly end switches it off; a kill leaves the note by which the next start does.
    let mut device = Device::start_in(&long, Some(&state));
    device.call_until("heat", &json!({"on": true}), Result::is_ok);
    ears.hears("ON");
    let note = std::fs::read(&kept).unwrap();
    device.stop();
    ears.hears("OFF");
    std::fs::write(&kept, note).unwrap();
    let device = Device::start_in(&short, Some(&state));
    ears.hears("OFF");
    device.stop();
}

#[test]
#[ignore = "needs Mosquitto and its clients (tests/run.sh installs them)"]
fn passwords_and_certificates_open_the_door_and_wrong_ones_are_named() {
    let mut files = [String::new(), String::new(), String::new(), String::new()];
    let broker = Broker::start("papers", |place| {
        papers::make(&place.0);
        let path = |name: &str| place.0.join(name).display().to_string();
        files = ["ca.pem", "client.pem", "client.key", "password"].map(path);
        place.file("password", "open sesame\n");
        place.file("client.key", &std::fs::read_to_string(path("client.key")).unwrap());
        let users = path("users");
        let made = Command::new("mosquitto_passwd").args(["-b", "-c", &users, "mynah", "open sesame"]).status();
        assert!(made.unwrap().success());
        format!(
            "cafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate true\npassword_file {users}\nallow_anonymous false\n",
            files[0],
            path("server.pem"),
            path("server.key"),
        )
    });
    let [ca, certificate, key, password] = &files;
    let settings = |lines: &[&str]| {
        let all = [
            ("ca", format!("ca = \"{ca}\"\n")),
            ("client", format!("client_cert = \"{certificate}\"\nclient_key = \"{key}\"\n")),
            ("user", "user = \"mynah\"\npassword_secret = \"broker\"\n".to_string()),
        ];
        let wanted = all.iter().filter(|(name, _)| lines.contains(name)).map(|(_, line)| line.as_str());
        let secrets = format!("[secrets]\nbroker = \"{password}\"\n");
        secrets + &agent(broker.port, &format!("tls = \"on\"\n{}", wanted.collect::<String>()))
    };
    for version in ["version = \"5\"", "version = \"3.1.1\""] {
        let text = settings(&["ca", "client", "user"]).replace("[mqtt]\n", &format!("[mqtt]\n{version}\n"));
        let mut device = Device::start(&text);
        device.call("ring", json!({"times": 3})).unwrap();
        device.stop();
    }
    for (given, said) in [
        (&["client", "user"][..], "UnknownIssuer"),
        (&["ca", "client"], "mend `user`, `password_secret`"),
        (&["ca", "user"], "broke the connection off"),
    ] {
        let mut device = Device::start(&settings(given));
        device.complains(said);
        let failed = device.call("ring", json!({"times": 9})).unwrap_err();
        assert!(failed.contains("nothing was sent") && !failed.contains("sesame"), "{failed}");
        device.stop();
    }
}

#[test]
#[ignore = "needs Mosquitto and its clients (tests/run.sh installs them)"]
fn home_assistant_finds_the_device_and_its_commands_reach_the_core() {
    let broker = Broker::open("presence");
    // What was kept from before is no command of now.
    broker.publish(&["-r", "-t", "mynah/test/mute/set", "-m", "ON"]);
    let device = Device::start(&agent(broker.port, "name = \"Hall\""));
    let ears = Listener::new(&broker, "mynah/test/#");
    ears.hears("availability online");
    let discovered = Listener::new(&broker, "homeassistant/device/+/config").hears("config");
    assert!(discovered.starts_with('1'), "the broker keeps it: {discovered}");
    let config: Value = serde_json::from_str(&discovered[discovered.find('{').unwrap()..]).unwrap();
    assert_eq!(config["device"]["name"], "Hall");
    assert_eq!(config["components"]["mute"]["command_topic"], "mynah/test/mute/set");
    assert!(config["components"].get("transcript").is_none(), "nothing that was said is told unless it may be");

    broker.publish(&["-t", "mynah/test/mute/set", "-m", "ON"]);
    assert_eq!(device.is_given(), Control::Mute(true), "and not the one that was kept");
    device.hear(What::Muted { is_muted: true, by_line: false });
    ears.hears("mynah/test/state muted");
    ears.hears("mynah/test/mute ON");
    broker.publish(&["-t", "mynah/test/volume/set", "-m", "35"]);
    assert_eq!(device.is_given(), Control::Volume(35));
    broker.publish(&["-t", "mynah/test/listen/set", "-m", "PRESS"]);
    assert_eq!(device.is_given(), Control::Listen);
    broker.publish(&["-t", "mynah/test/announce/set", "-m", "Dinner is ready"]);
    let Control::Tell(text) = device.is_given() else { panic!("no announcement") };
    assert!(text.ends_with(": Dinner is ready"), "{text}");
    device.hear(What::Pressed);
    ears.hears(r#"mynah/test/button {"event_type":"press"}"#);
    device.hear(What::UserText { text: "a secret".into() });
    device.hear(What::TurnOver { reason: None });

    for number in 0..20 {
        broker.publish(&["-t", "mynah/test/announce/set", "-m", &format!("Again {number}")]);
        broker.publish(&["-t", "mynah/test/mute/set", "-m", "perhaps"]);
    }
    let given = device.all_given_within(Duration::from_secs(2));
    assert_eq!(given.len(), 8, "ten turns a minute, and two were used: {given:?}");
    device.stop();
    let rest = ears.all_within(Duration::from_secs(1));
    assert!(rest.iter().any(|line| line == "0 mynah/test/availability offline"), "it says farewell: {rest:?}");
    assert!(!rest.iter().any(|line| line.contains("secret")), "{rest:?}");
}

#[test]
#[ignore = "needs Mosquitto and its clients (tests/run.sh installs them)"]
fn a_device_that_is_killed_is_offline_by_its_last_will() {
    let broker = Broker::open("will");
    for version in ["5", "3.1.1"] {
        let ears = Listener::new(&broker, "mynah/test/availability");
        let place = Place::new("child");
        let file = place.file("agent.toml", &agent(broker.port, &format!("version = \"{version}\"")));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "a_device_for_another_test_to_kill"])
            .env("MYNAH_MQTT_CHILD", file)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        ears.hears("0 mynah/test/availability online");
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        ears.hears("0 mynah/test/availability offline");
        let kept = Listener::new(&broker, "mynah/test/availability").hears("availability");
        assert_eq!(kept, "1 mynah/test/availability offline", "who asks later learns it too");
    }
}

#[test]
#[ignore = "needs Mosquitto and its clients (tests/run.sh installs them)"]
fn others_at_the_broker_call_the_tools_that_they_may() {
    const THEIRS: &str = r#"
        [[tools]]
        name = "bell"
        description = "For everybody."
        timeout_ms = 2000
        parameters = { type = "OBJECT", properties = { times = { type = "INTEGER" } }, required = ["times"] }
        action = { mqtt = "publish", topic = "home/bell/set", payload = "{times}" }
        policy = { callers = ["model", "mqtt"], per_minute = 3 }
    "#;
    let broker = Broker::open("calls");
    // What was kept is no call of now.
    broker.publish(&["-r", "-t", "mynah/test/tools/bell/call", "-m", r#"{"times": 99}"#]);
    let device = Device::start(&(agent(broker.port, "") + THEIRS));
    let (ears, bell) = (Listener::new(&broker, "mynah/test/#"), Listener::new(&broker, "home/bell/#"));
    ears.hears("availability online");
    let call = |name: &str, args: &str| {
        broker.publish(&["-t", &format!("mynah/test/tools/{name}/call"), "-m", args]);
        let line = ears.hears(&format!("0 mynah/test/tools/{name}/result"));
        serde_json::from_str::<Value>(&line[line.find('{').unwrap()..]).unwrap()
    };
    assert_eq!(call("bell", r#"{"times": 2}"#)["result"]["confirmed_by_broker"], true);
    assert_eq!(bell.hears("home/bell"), "0 home/bell/set 2");
    for (name, args, why) in [
        ("bell", "twice", "must be a JSON object"),
        ("bell", r#"{"times": "two"}"#, "must be INTEGER"),
        ("ring", r#"{"times": 2}"#, "may not be called by"),
        ("open_sesame", "{}", "there is no function"),
    ] {
        let refused = call(name, args);
        assert!(refused["ok"] == false && refused["error"].as_str().unwrap().contains(why), "{name}: {refused}");
    }
    let oks = [(); 3].map(|()| call("bell", r#"{"times": 3}"#)["ok"] == true);
    assert_eq!(oks, [true, true, false], "the policy's rate holds for them");
    device.stop();
    assert_eq!(bell.all_within(Duration::from_secs(1)), ["0 home/bell/set 3", "0 home/bell/set 3"]);

    // Where no tool may be called so, nobody listens.
    let device = Device::start(&agent(broker.port, ""));
    let ears = Listener::new(&broker, "mynah/test/#");
    ears.hears("availability online");
    broker.publish(&["-t", "mynah/test/tools/ring/call", "-m", r#"{"times": 2}"#]);
    assert!(!ears.all_within(Duration::from_secs(1)).iter().any(|line| line.contains("result")));
    device.stop();
}

/// The whole program: what is said moves a lamp at the broker, and Home Assistant sees what the device does.
#[test]
#[ignore = "needs Mosquitto and its clients (tests/run.sh installs them)"]
fn the_program_itself_is_seen_and_heard_at_the_broker() {
    let broker = Broker::open("program");
    let (ears, lamp) = (Listener::new(&broker, "mynah/test/#"), Listener::new(&broker, "home/bell/#"));
    let script = "turn *\n  call ring {\"times\": 2}\n  tone 440Hz 1500ms \"Done.\"\n";
    let mut program = Program::start("program", &agent(broker.port, "announce_transcript = \"on\""), script);
    ears.hears("availability online");
    ears.hears("state idle");
    program.ask();
    ears.hears(r#"button {"event_type":"press"}"#);
    assert_eq!(lamp.hears("home/bell"), r#"0 home/bell/set {"times":2}"#, "the call comes through");
    ears.hears("state speaking");
    broker.publish(&["-t", "mynah/test/mute/set", "-m", "ON"]);
    ears.hears("state muted");
    ears.hears("mute ON");
    broker.publish(&["-t", "mynah/test/volume/set", "-m", "35"]);
    ears.hears("volume 35");
    program.end();
    ears.hears("availability offline");
}

/// Runs in a process of its own, for the test above.
#[test]
#[ignore = "nothing by itself"]
fn a_device_for_another_test_to_kill() {
    if let Some(file) = std::env::var_os("MYNAH_MQTT_CHILD") {
        let _device = Device::start(&std::fs::read_to_string(file).unwrap());
        std::thread::sleep(SOON);
    }
}

/// A broker that welcomes and then says no more (bytes by hand, MQTT 3.1.1): what it was sent it has not confirmed. The
/// connection must go, abruptly, so that nothing that waits in this machine leaves later, and the next one must not
/// bring the message again.
#[test]
fn a_message_that_was_not_confirmed_cuts_the_connection_and_is_never_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut device = Device::start(&agent(port, "version = \"3.1.1\"\npresence = \"off\""));
    let mut first = welcome(&listener);
    let failed = device.call("ring", json!({"times": 1})).unwrap_err();
    assert!(failed.contains("did not confirm the message within 1300 ms: it may or may not have been"), "{failed}");
    let (sent, end) = until_the_end(&mut first);
    assert!(contains(&sent, b"home/bell/set"), "it was sent once");
    assert_eq!(end, Some(ErrorKind::ConnectionReset), "cut, not closed: what the kernel held is gone");

    let mut second = welcome(&listener);
    second.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let (sent, end) = until_the_end(&mut second);
    assert!(!contains(&sent, b"home/bell/set"), "it comes back: {sent:?}");
    assert!(contains(&sent, b"home/climate"), "but the subscriptions do");
    assert_eq!(end, Some(ErrorKind::WouldBlock), "and this connection stands");

    // A call that is taken back takes its message with it.
    second.set_read_timeout(Some(SOON)).unwrap();
    device.call_and_cancel("ring", json!({"times": 2}), Duration::from_millis(300));
    assert_eq!(until_the_end(&mut second).1, Some(ErrorKind::ConnectionReset));
    device.stop();
}

#[test]
fn a_broker_that_is_not_there_fails_calls_at_once_and_is_told_once() {
    let mut device = Device::start(&agent(rig::free_port(), ""));
    for _ in 0..2 {
        let failed = device.call("ring", json!({"times": 1})).unwrap_err();
        assert!(failed.contains("could not be reached; nothing was sent: 127.0.0.1:"), "{failed}");
    }
    let began = Instant::now();
    device.stop();
    assert!(began.elapsed() < Duration::from_secs(5));
}

fn welcome(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let mut head = [0; 2];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(head[0], 0x10, "CONNECT");
    stream.read_exact(&mut vec![0; head[1].into()]).unwrap();
    stream.write_all(&[0x20, 2, 0, 0]).unwrap();
    stream
}

/// All that comes, and how it ended: none for an orderly end.
fn until_the_end(stream: &mut TcpStream) -> (Vec<u8>, Option<ErrorKind>) {
    let (mut all, mut piece) = (Vec::new(), [0; 1024]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return (all, None),
            Ok(length) => all.extend_from_slice(&piece[..length]),
            Err(error) => return (all, Some(error.kind())),
        }
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
