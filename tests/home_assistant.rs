//! Home Assistant itself, from PyPI: its auth, states, services and restarts, as a house would have them.
//!
//! `sh tests/run.sh` runs them, or by hand `cargo test --locked --test home_assistant -- --ignored --test-threads=1`; it is
//! installed into `target/tmp/home_assistant`, which takes some minutes the first time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

#[path = "home_assistant/house.rs"]
mod house;
#[path = "mcp/rig.rs"]
#[allow(dead_code, reason = "the tests of MCP use the rest")]
mod rig;

use std::io::Write as _;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use house::{House, config};
use mynah::flow::What;
use rig::{Rig, wait_for};
use serde_json::json;

/// Troubles and recoveries of Home Assistant, in order: the trouble's text, or nothing.
fn told(rig: &Rig) -> Vec<Option<String>> {
    let told = rig.told.lock().unwrap();
    let of_home = told.iter().filter_map(|what| match what {
        What::Trouble { part, text } if part == "home_assistant" => Some(Some(text.clone())),
        What::Recovered { part } if part == "home_assistant" => Some(None),
        _ => None,
    });
    of_home.collect()
}

/// A look that is worth its while five times a second: tools may not be called more often.
fn seldom<T>(found: Option<T>) -> Option<T> {
    if found.is_none() {
        thread::sleep(Duration::from_millis(200));
    }
    found
}

/// Waits until a state can be read.
fn ready(rig: &mut Rig) {
    wait_for("the outside temperature", || seldom(rig.call("state", json!({"what": "outside temperature"})).ok()));
}

#[test]
#[ignore = "needs Home Assistant (home_assistant/install.sh)"]
fn states_are_read_services_called_and_nothing_beyond_the_list() {
    let house = House::start("operated");
    let mut rig = Rig::new(&config(&house, &house.token), None);
    ready(&mut rig);

    let outside = rig.call("home_state", json!({"entity": "outside temperature"})).unwrap();
    assert_eq!((&outside["state"], &outside["unit"]), (&json!("7.5"), &json!("\u{b0}C")), "{outside}");
    assert!(outside["for_s"].as_u64().is_some_and(|age| age < 600), "{outside}");

    let on = json!({"entity": "kitchen light", "service": "turn_on", "brightness_pct": 40});
    let lit = rig.call("home_call", on.clone()).unwrap();
    assert_eq!((&lit["state"], &lit["brightness_pct"]), (&json!("on"), &json!(40)), "{lit}");
    assert_eq!((&lit["area"], &lit["is_done"], &lit["is_changed"]), (&json!("kitchen"), &json!(true), &json!(true)));
    assert_eq!(house.state("light.kitchen")["attributes"]["brightness"], 102, "as Home Assistant itself tells it");
    let again = rig.call("home_call", on).unwrap();
    assert_eq!((&again["state"], &again["is_changed"]), (&json!("on"), &json!(false)), "{again}");
    let dark = rig.call("switch", json!({"which": "Kitchen Light", "on": false})).unwrap();
    assert_eq!(dark["state"], "off", "{dark}");
    assert_eq!(house.state("light.kitchen")["state"], "off");

    house.call("input_boolean/turn_on", json!({"entity_id": "input_boolean.lamp"}));
    wait_for("what somebody else did", || {
        let state = rig.call("state", json!({"what": "kitchen light"})).unwrap();
        seldom((state["state"] == "on").then_some(()))
    });

    let shed = rig.call("home_state", json!({"entity": "shed"})).unwrap();
    assert_eq!(shed["state"], "unavailable");
    let said = rig.call("home_call", json!({"entity": "shed", "service": "turn_on"})).unwrap_err();
    assert_eq!(said, "shed does not answer Home Assistant; nothing was done");
    let said = rig.call("home_state", json!({"entity": "attic"})).unwrap_err();
    assert!(said.contains("has no entity `light.attic`"), "{said}");
    let said =
        rig.call("anything", json!({"what": "kitchen light", "how": "turn_on", "level": "dazzling"})).unwrap_err();
    assert!(said.contains("refused to do it for kitchen light") && said.contains("transition"), "{said}");

    for (what, how) in [
        ("input_boolean.secret", "turn_on"),
        ("input_boolean.secret", "input_boolean.turn_on"),
        ("kitchen light", "input_boolean.turn_on"),
        ("kitchen light", "homeassistant.turn_on"),
        ("light.kitchen,input_boolean.secret", "turn_on"),
        ("all", "turn_on"),
    ] {
        let said = rig.call("anything", json!({"what": what, "how": how, "level": "1"})).unwrap_err();
        assert!(said.contains("may use") || said.contains("not allowed"), "{what} {how}: {said}");
    }
    assert_eq!(house.state("input_boolean.secret")["state"], "off");
    assert_eq!(told(&rig), []);
    let took = rig.stop();
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[test]
#[ignore = "needs Home Assistant (home_assistant/install.sh)"]
fn it_may_be_killed_and_started_again_in_mid_session() {
    let mut house = House::start("restarted");
    let mut rig = Rig::new(&config(&house, &house.token), None);
    ready(&mut rig);
    // First as an owner restarts it: it writes down what it knows of tokens only then.
    for is_killed in [false, true] {
        rig.told.lock().unwrap().clear();
        if is_killed {
            house.kill()
        } else {
            house.end()
        }
        wait_for("the loss to be told", || (!told(&rig).is_empty()).then_some(()));
        for _ in 0..4 {
            let since = Instant::now();
            let call = json!({"entity": "kitchen light", "service": "turn_on"});
            let said = rig.call("home_call", call).unwrap_err();
            assert!(
                said.starts_with("Home Assistant cannot be reached just now: ") && said.ends_with("nothing was done"),
                "{said}"
            );
            assert!(since.elapsed() < Duration::from_secs(1), "it is said at once");
        }
        house.again();
        wait_for("the return to be told", || (told(&rig).last() == Some(&None)).then_some(()));
        assert_eq!(told(&rig).len(), 2, "the trouble once, the recovery once");
        wait_for("the light to be there", || {
            seldom(rig.call("home_call", json!({"entity": "kitchen light", "service": "turn_off"})).ok())
        });
    }
    rig.stop();
}

#[test]
#[ignore = "needs Home Assistant (home_assistant/install.sh)"]
fn a_wrong_token_is_told_once_and_a_new_one_is_taken_without_a_restart() {
    let house = House::start("locked");
    let file = house.write_token("mynah-token", "not-a-token");
    let mut rig = Rig::new(&config(&house, &file), None);
    wait_for("the refusal", || (!told(&rig).is_empty()).then_some(()));
    let said = rig.call("home_state", json!({"entity": "shed"})).unwrap_err();
    assert!(said.contains("refused the token in the secret `home`"), "{said}");
    thread::sleep(Duration::from_secs(8));
    let trouble = told(&rig);
    assert!(matches!(trouble.as_slice(), [Some(text)] if !text.contains("not-a-token")), "{trouble:?}");
    // Home Assistant notes a wrong token, but not in every run.
    let attempts = house.log().matches("Login attempt").count();
    assert!(attempts <= 1, "it is tried again and again:\n{}", house.log());
    std::fs::write(&file, std::fs::read_to_string(&house.token).unwrap()).unwrap();
    ready(&mut rig);
    assert_eq!(told(&rig).last(), Some(&None));
    rig.stop();
}

#[test]
fn one_that_hangs_or_speaks_nonsense_costs_its_own_calls_and_no_more() {
    for answer in [&b""[..], b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", b"\xff\xff\xff\xff"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.write_all(answer);
                held.push(stream);
            }
        });
        let folder = rig::folder(&format!("home-nonsense-{}", answer.len()));
        let token = folder.join("token");
        house::write_secret(&token, "x");
        let mut rig = Rig::new(&house::config_at(port, &token), None);
        let since = Instant::now();
        let said = rig.call("home_state", json!({"entity": "shed"})).unwrap_err();
        assert!(said.starts_with("Home Assistant cannot be reached just now: it "), "{said}");
        assert!(since.elapsed() < Duration::from_secs(6), "{:?}", since.elapsed());
        let took = rig.stop();
        assert!(took < Duration::from_secs(3), "{took:?}");
    }
}
