//! Lines that blink and lines that are waited for, on the errands thread.

use super::*;

const IO_TOOLS: &str = r#"
    [[tools]]
    name = "blink"
    description = "Three times, quickly."
    action = { gpio = "blink", line = "lamp", on_ms = 20, off_ms = 20, times = 3 }
    [[tools]]
    name = "signal"
    description = "For a long time."
    timeout_ms = 60000
    action = { gpio = "blink", line = "lamp", on_ms = 30000, off_ms = 20, times = 1 }
    [[tools]]
    name = "wait_for_closing"
    description = "The contact."
    timeout_ms = 60000
    action = { gpio = "wait", line = "contact", edge = "inactive", wait_ms = 50000 }
    policy = { order = "parallel" }
    [[tools]]
    name = "wait_a_little"
    description = "The contact, not for long."
    action = { gpio = "wait", line = "contact", edge = "active", wait_ms = 30 }
"#;

fn io_rig() -> Rig {
    let rig = rig_with(IO_TOOLS, None);
    assert_eq!(rig.next(2), [opened("lamp"), driven("lamp", false)]);
    rig
}

#[test]
fn a_blinking_line_ends_inactive_and_the_model_hears_how_often() {
    let rig = io_rig();
    rig.call("1", "blink", json!({}));
    let seen = rig.next(13);
    let levels: Vec<bool> =
        seen.iter().filter_map(|seen| if let Seen::Driven(_, active) = seen { Some(*active) } else { None }).collect();
    assert_eq!(levels, [true, false, true, false, true, false]);
    assert_eq!(seen[12], Seen::Reply("1".into(), Ok(json!({"line": "lamp", "blinked_times": 3}))));
    rig.handle.stop();
}

#[test]
fn blinking_that_is_taken_back_rests_at_once() {
    let rig = io_rig();
    rig.call("1", "signal", json!({}));
    assert_eq!(rig.next(2), [driven("lamp", true), set("lamp", true)]);
    rig.cancel("1");
    assert_eq!(rig.next(2), [driven("lamp", false), set("lamp", false)]);
    rig.handle.stop();
}

#[test]
fn several_calls_may_wait_for_one_line_and_an_edge_that_does_not_come_is_told() {
    let rig = io_rig(); // the contact is active
    rig.call("1", "wait_for_closing", json!({}));
    rig.call("2", "wait_for_closing", json!({}));
    rig.call("3", "wait_a_little", json!({}));
    let (id, result) = rig.reply();
    assert_eq!(
        (id.as_str(), result),
        ("3", Ok(json!({"line": "contact", "came": false, "waited_ms": 30, "on": true})))
    );
    rig.contact.store(false, Ordering::SeqCst);
    let mut answered: Vec<String> = (0..2)
        .map(|_| {
            let (id, result) = rig.reply();
            let result = result.unwrap();
            assert!(result["came"] == true && result["on"] == false && result["after_ms"].is_u64(), "{result}");
            id
        })
        .collect();
    answered.sort();
    assert_eq!(answered, ["1", "2"]);
    rig.handle.stop();
}

#[test]
fn a_call_that_waits_ends_when_it_is_taken_back() {
    let rig = io_rig();
    rig.call("1", "wait_for_closing", json!({}));
    rig.cancel("1");
    rig.call("2", "wait_a_little", json!({}));
    assert_eq!(rig.reply().0, "2");
    let rest = rig.stop();
    assert!(!rest.iter().any(|seen| matches!(seen, Seen::Reply(..))), "{rest:?}");
}
