//! A device of a fleet, against a broker nobody here wrote (Mosquitto): its reports, and configurations that are sent to it.
//!
//! Run by `sh tests/run.sh`, or by hand with `cargo test --locked --test fleet -- --ignored`. Each test has a broker and a
//! service of its own at ports that the system chooses.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

#[path = "fleet/rig.rs"]
mod device;
#[path = "rig/place.rs"]
mod place;
#[allow(dead_code, reason = "the tests of MQTT need more of it")]
#[path = "mqtt/rig.rs"]
mod rig;

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use device::{Device, Owner, report, service};
use mynah::config::{agent, board};
use mynah::hw::fleet::Desk;
use mynah::hw::folder::Folder;
use mynah::hw::settings::Owned;
use place::Place;
use rig::{Broker, Listener};
use serde_json::{Value, json};

const CONFIG: &str = "mynah/fleet/hall/config";

fn configuration(report: &Value) -> (&str, Option<u64>) {
    let said = &report["configuration"];
    (said["state"].as_str().unwrap(), said["serial"].as_u64())
}

fn is(state: &'static str, serial: Option<u64>) -> impl Fn(&Value) -> bool {
    move |report| configuration(report) == (state, serial)
}

fn refused(serial: Option<u64>, part: &'static str) -> impl Fn(&Value) -> bool {
    move |report| {
        let said = &report["configuration"]["refused"];
        said["serial"].as_u64() == serial && said["why"].as_str().is_some_and(|why| why.contains(part))
    }
}

#[test]
#[ignore = "needs Mosquitto and its clients (tests/run.sh installs them)"]
fn health_is_told_and_kept_and_the_will_says_when_a_device_is_gone() {
    for mqtt in ["presence = \"on\"\nversion = \"5\"", "presence = \"off\"\nversion = \"3.1.1\""] {
        let (broker, owner) = (Broker::open("health"), Owner::new("health-owner"));
        let ears = Listener::new(&broker, "mynah/fleet/#");
        let mut device = Device::start("health", &broker, &owner.public, mqtt);
        ears.hears("0 mynah/fleet/hall/online online");
        let first = report(&ears, "it is well", |report| report["counts"]["connections"] == 1);
        assert_eq!((&first["is_ok"], &first["faults"], &first["board"]), (&json!(true), &json!([]), &json!("sim")));
        assert_eq!(first["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(configuration(&first), ("own", None));
        device.converses();
        let kept = report(&ears, "a turn was counted", |report| report["counts"]["turns"] == 1);
        assert!(kept["up_s"].as_u64() >= first["up_s"].as_u64());
        assert!(!kept.to_string().contains("Yes."), "no word of anybody: {kept}");
        let late = Listener::new(&broker, "mynah/fleet/hall/health").hears("health");
        assert!(late.starts_with("1 mynah/fleet/hall/health {"), "who asks later learns it: {late}");
        device.kill();
        ears.hears("0 mynah/fleet/hall/online offline");
        device.up();
        ears.hears("0 mynah/fleet/hall/online online");
        device.end();
        ears.hears("0 mynah/fleet/hall/online offline");
    }
}

#[test]
#[ignore = "needs Mosquitto and its clients (tests/run.sh installs them)"]
fn what_the_owner_signed_is_taken_stays_and_gives_way_to_the_last_good_one() {
    let (broker, owner, stranger) = (Broker::open("config"), Owner::new("owner"), Owner::new("stranger"));
    let ears = Listener::new(&broker, "mynah/fleet/hall/health");
    let mut device = Device::start("config", &broker, &owner.public, "");
    report(&ears, "its own file is in force", |report| report["counts"]["connections"] == 1);
    let good =
        format!("voice = \"Puck\"\nendpoint = \"{}\"\n[mqtt]\nhost = \"elsewhere\"\n", service(device.service_port));
    let send = |payload: &str| broker.publish(&["-r", "-t", CONFIG, "-m", payload]);

    // A stranger's, one for another device, and rubbish: nothing happens but a sentence.
    for (payload, serial, why) in [
        (stranger.signed("hall", 5, &good), None, "public_key"),
        (owner.signed("attic", 5, &good), None, "signed for `attic`"),
        ("{\"agent\": \"voice = 1\"}".to_string(), None, "mynah fleet sign"),
    ] {
        send(&payload);
        report(&ears, why, refused(serial, why));
    }
    assert_eq!((device.count("link_ready"), device.voices()), (1, vec!["Kore".to_string()]));

    send(&owner.signed("hall", 7, &good));
    report(&ears, "7 is proving", is("proving", Some(7)));
    let accepted = report(&ears, "7 is accepted", is("accepted", Some(7)));
    assert_eq!(accepted["configuration"]["refused"], Value::Null, "that is over");
    device.converses();
    assert_eq!(device.voices().last().unwrap(), "Puck");
    device.end();
    device.up();
    report(&ears, "7 is in force after a restart", |report| is("accepted", Some(7))(report) && report["up_s"] == 0);
    device.converses();
    assert_eq!(device.voices().last().unwrap(), "Puck", "and the broker's copy was known again");

    // Nobody listens there: the device finds back by itself.
    let nowhere = format!("voice = \"Leda\"\nendpoint = \"{}\"\n", service(place::free_port()));
    send(&owner.signed("hall", 8, &nowhere));
    report(&ears, "8 is proving", is("proving", Some(8)));
    let back = report(&ears, "7 is back", is("accepted", Some(7)));
    assert!(refused(Some(8), "the service was not reached within 10 s")(&back), "{back}");
    device.converses();
    assert_eq!(device.voices().last().unwrap(), "Puck");

    // What the service refuses for good ends the program elsewhere; here it is the newest one's fault.
    let unknown = format!("{good}\n").replace("voice = \"Puck\"", "model = \"gemini-of-tomorrow\"");
    send(&owner.signed("hall", 9, &unknown));
    // The service may say so before the broker hears that 9 is proving: only what comes of it is waited for.
    let is_unknown = refused(Some(9), "does not know the model");
    report(&ears, "7 is back once more", |report| is("accepted", Some(7))(report) && is_unknown(report));
    device.converses();
    assert!(device.is_up(), "it is the same process all the while");

    // An older one for all, whoever plays it again.
    broker.publish(&["-t", "mynah/fleet/all/config", "-m", &owner.signed("all", 6, &good)]);
    report(&ears, "6 is refused", refused(Some(6), "9 was here before"));
    assert_eq!(device.count("link_ready"), 5, "own, proving, after the restart, back again twice");
}

#[test]
#[ignore = "needs Mosquitto and its clients (tests/run.sh installs them)"]
fn an_older_one_that_the_broker_kept_for_all_is_no_fault_of_a_device_with_one_of_its_own() {
    let (broker, owner) = (Broker::open("kept"), Owner::new("kept-owner"));
    let ears = Listener::new(&broker, "mynah/fleet/hall/health");
    let port = place::free_port();
    let sent = |voice: &str| format!("voice = \"{voice}\"\nendpoint = \"{}\"\n", service(port));
    broker.publish(&["-r", "-t", CONFIG, "-m", &owner.signed("hall", 9, &sent("Puck"))]);
    broker.publish(&["-r", "-t", "mynah/fleet/all/config", "-m", &owner.signed("all", 6, &sent("Leda"))]);
    let mut device = Device::start_at(port, "kept", &broker, &owner.public, "");
    let not_refused = |state: &'static str| {
        move |report: &Value| {
            let said = &report["configuration"]["refused"];
            assert_eq!(said, &Value::Null, "{report}");
            is(state, Some(9))(report)
        }
    };
    report(&ears, "9 is accepted", not_refused("accepted"));
    device.end();
    device.up();
    let again = |report: &Value| not_refused("accepted")(report) && report["counts"]["connections"] == 1;
    report(&ears, "9 is in force after a restart", again);
    // Sent now, it is somebody's mistake.
    broker.publish(&["-t", "mynah/fleet/all/config", "-m", &owner.signed("all", 6, &sent("Leda"))]);
    report(&ears, "6 is refused", refused(Some(6), "9 was here before"));
}

#[test]
#[ignore = "needs Mosquitto and its clients (tests/run.sh installs them)"]
fn a_device_whose_power_fails_while_it_proves_one_goes_back_after_the_second_time() {
    let (broker, owner) = (Broker::open("power"), Owner::new("power-owner"));
    let ears = Listener::new(&broker, "mynah/fleet/hall/health");
    let mut device = Device::start("power", &broker, &owner.public, "");
    report(&ears, "its own file is in force", |report| report["counts"]["connections"] == 1);
    let sent = format!("voice = \"Puck\"\nendpoint = \"{}\"\n", service(place::free_port()));
    broker.publish(&["-r", "-t", "mynah/fleet/all/config", "-m", &owner.signed("all", 3, &sent)]);
    for _ in 0..2 {
        report(&ears, "3 is proving", is("proving", Some(3)));
        device.kill();
        assert!(ears.all_within(Duration::from_millis(200)).iter().all(|line| line.contains("proving")));
        device.up();
    }
    let back = report(&ears, "its own file again", is("own", None));
    assert!(refused(Some(3), "the program ended 2 times")(&back), "{back}");
    device.converses();
    assert_eq!(device.voices().last().unwrap(), "Kore");
}

/// The owner's key is the one thing that is not in it.
#[test]
fn the_documents_example_is_a_valid_agent_file() {
    let (owner, place) = (Owner::new("example-owner"), Place::new("example"));
    let document = include_str!("../board/fleet.md");
    let example = document.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(example.contains("password_secret") && example.contains("public_key = \"…\""), "{example}");
    let file = place.file("mynah.toml", &example.replace('…', &owner.public));
    let mut check = Command::new(env!("CARGO_BIN_EXE_mynah"));
    let check = check.args(["config", "check", &file, "--board", "sim"]).env("XDG_STATE_HOME", &place.0);
    let output = check.env_remove("STATE_DIRECTORY").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Needs no broker: what the device keeps is told at the device.
#[test]
fn what_stands_in_the_place_of_the_file_is_told_at_the_device() {
    let (owner, place) = (Owner::new("told-owner"), Place::new("told"));
    let state = place.0.join("mynah");
    let own = format!("[mqtt]\nhost = \"broker\"\n[fleet]\nname = \"hall\"\npublic_key = \"{}\"\n", owner.public);
    let file = place.file("mynah.toml", &own);
    let start = || {
        let profile = board::parse(board::builtin("sim").unwrap(), "board/sim.toml", "sim").unwrap();
        let fleet = agent::parse(&own, "test").unwrap().fleet.unwrap();
        let owned = Owned { text: own.clone(), name: "test".into() };
        Desk::open(fleet, owned, profile, Some(Arc::new(Folder::new(&state))), Box::new(|_| Ok(())))
    };
    let said = |file: &str| {
        let mut check = Command::new(env!("CARGO_BIN_EXE_mynah"));
        let check = check.args(["config", "check", file, "--board", "sim"]).env("XDG_STATE_HOME", &place.0);
        let output = check.env_remove("STATE_DIRECTORY").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(said(&file).lines().count(), 1, "nothing was sent");
    assert_eq!(start().take(owner.signed("hall", 7, "voice = \"Puck\"\n").as_bytes(), false), Ok(Some(7)));
    assert!(said(&file).contains("no configuration of the fleet was accepted; 7 has yet to prove itself"));
    start().accept().unwrap();
    assert!(said(&file).contains("configuration 7 (for `hall`) is in force in the place of this device's agent file"));
    start().take(owner.signed("all", 8, "voice = \"Leda\"\n").as_bytes(), false).unwrap();
    assert!(start().give_up("the service was not reached"));
    assert!(said(&file).contains("; 8 was taken back: the service was not reached"));
    let without = place.file("without.toml", "[mqtt]\nhost = \"broker\"\n");
    assert!(said(&without).contains("7 is not in force, since `public_key` is not in [fleet]"));
}
