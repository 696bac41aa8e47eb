//! Calls that are taken back: stopped, undone where that is possible, and told where it is not.
#![allow(clippy::unwrap_used)]

use super::*;
use std::net::TcpListener;

/// All that the device wants to tell the model, when the thread has ended.
fn told(rig: Rig) -> Vec<String> {
    let wishes = rig.stop().into_iter().filter_map(|seen| match seen {
        Seen::Wish(Control::Tell(text)) => Some(text.to_string()),
        Seen::Reply(id, result) => panic!("{id} is answered: {result:?}"),
        _ => None,
    });
    wishes.collect()
}

/// A tool that asks a server which never answers.
fn http(name: &str, method: &str, port: u16) -> String {
    format!(
        r#"
        [[tools]]
        name = "{name}"
        description = "Asks."
        timeout_ms = 60000
        action = {{ http = "{method}", url = "http://127.0.0.1:{port}/" }}
        policy = {{ order = "parallel" }}
        "#
    )
}

#[test]
fn the_model_is_told_of_what_a_cancelled_call_may_have_done() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let hosts = format!("[http]\nhosts = [\"127.0.0.1:{port}\"]\n");
    let command = r#"
        [[tools]]
        name = "back_up"
        description = "Runs."
        timeout_ms = 60000
        action = { command = ["/bin/sleep", "60"] }
        policy = { order = "parallel" }
    "#;
    let rig = rig_with(&(hosts + &http("order", "POST", port) + &http("ask", "GET", port) + command), None);
    for (id, name) in [("1", "order"), ("2", "ask"), ("3", "back_up")] {
        rig.call(id, name, json!({}));
    }
    let _asked = [server.accept().unwrap(), server.accept().unwrap()];
    for (id, part) in [("2", None), ("1", Some("`order`")), ("3", Some("`back_up`"))] {
        rig.cancel(id);
        if let Some(part) = part {
            let seen = rig.next(1);
            let [Seen::Wish(Control::Tell(text))] = &seen[..] else { panic!("{seen:?}") };
            assert!(text.contains(part) && text.contains("was cancelled while it was under way"), "{text}");
        }
    }
    assert_eq!(told(rig), [""; 0], "each once, and nothing of what only asked");
}

#[test]
fn what_could_be_undone_or_had_not_begun_is_not_told() {
    let rig = rig();
    rig.call("1", "hold_gate", json!({}));
    rig.call("2", "switch_lamp", json!({"on": true})); // waits until the gate is done
    assert_eq!(rig.next(2), [driven("gate", true), set("gate", true)]);
    rig.cancel("2");
    rig.cancel("1");
    assert_eq!(rig.next(2), [driven("gate", false), set("gate", false)]);
    assert_eq!(told(rig), [""; 0]);
}

#[test]
fn a_cancellation_that_crosses_the_answer_is_told_of_where_anything_was_changed() {
    let rig = rig();
    rig.call("1", "switch_lamp", json!({"on": true}));
    rig.call("2", "is_lamp_on", json!({}));
    assert_eq!((rig.reply().0, rig.reply().0), ("1".into(), "2".into()));
    for id in ["2", "1", "1"] {
        rig.cancel(id);
    }
    let seen = rig.next(1);
    assert!(
        matches!(&seen[..], [Seen::Wish(Control::Tell(text))] if text.contains("`switch_lamp`") && text.contains("done already")),
        "{seen:?}"
    );
    // An id that comes again is another call's.
    rig.call("1", "open_door", json!({}));
    rig.reply().1.unwrap();
    rig.call("1", "is_door_open", json!({}));
    rig.reply().1.unwrap();
    rig.cancel("1");
    assert_eq!(told(rig), [""; 0]);
}

#[test]
fn a_pulse_that_could_not_be_ended_is_told_of() {
    let rig = rig();
    rig.hangs.store(true, Ordering::SeqCst);
    rig.call("1", "ring_bell", json!({}));
    rig.call("2", "is_lamp_on", json!({}));
    assert_eq!(rig.reply().0, "2"); // the bell's call is under way: it came first
    rig.cancel("1");
    let seen = rig.next(1);
    assert!(matches!(&seen[..], [Seen::Wish(Control::Tell(text))] if text.contains("it may still be on")), "{seen:?}");
    // One that is not taken back says so in its answer.
    rig.call("3", "ring_bell", json!({}));
    let why = rig.reply().1.unwrap_err();
    assert!(why.contains("was not done within 100 ms") && why.contains("it may still be on"), "{why}");
    rig.hangs.store(false, Ordering::SeqCst);
    assert_eq!(told(rig), [""; 0]);
}

#[test]
fn a_line_that_hangs_may_have_been_set_when_the_call_is_taken_back() {
    let tool = r#"
        [[tools]]
        name = "open_valve"
        description = "Valve."
        parameters = { type = "OBJECT", properties = { on = { type = "BOOLEAN" } }, required = ["on"] }
        action = { gpio = "set", line = "stuck", argument = "on" }
    "#;
    let rig = rig_with(tool, None);
    rig.next(2);
    rig.hangs.store(true, Ordering::SeqCst);
    rig.call("1", "open_valve", json!({"on": true}));
    rig.call("2", "nothing", json!({}));
    assert_eq!(rig.reply().0, "2"); // the valve's call is under way: it came first
    rig.cancel("1");
    let seen = rig.next(1);
    assert!(
        matches!(&seen[..], [Seen::Wish(Control::Tell(text))] if text.contains("what it had set stays")),
        "{seen:?}"
    );
    rig.hangs.store(false, Ordering::SeqCst);
    assert_eq!(told(rig), [""; 0]);
}

#[test]
fn a_confirmed_call_that_hangs_does_not_hold_up_the_end() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let hosts = format!("[http]\nhosts = [\"127.0.0.1:{port}\"]\n");
    let tool = http("order", "POST", port).replace("order = \"parallel\"", "confirm = \"button\"");
    let rig = rig_with(&(hosts + &tool), None);
    rig.call("1", "order", json!({}));
    assert!(rig.reply().1.unwrap()["status"].as_str().unwrap().contains("not done yet"));
    rig.orders.blocking_send(ToolOrder::Tapped).unwrap();
    let _asked = server.accept().unwrap();
    let began = std::time::Instant::now();
    rig.stop();
    assert!(began.elapsed() < Duration::from_secs(20), "it waited for its minute: {:?}", began.elapsed());
}
