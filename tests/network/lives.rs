//! Connections that end and conversations that do not: `goAway`, handles, and a device that is killed.

use std::thread::sleep;
use std::time::Duration;

use super::certificates::Papers;
use super::proxy::{End, Way};
use super::rig::{ANSWER, IN_A_WHILE, Rig, SOON};

const KEEP_OPEN: &str = "[session]\nconnection = \"keep_open\"";
const SECOND: Duration = Duration::from_secs(1);
/// The bound, from close to `setupComplete` over loopback.
const RECONNECT_WITHIN_MS: u64 = 300;
/// Reconnections that are measured.
const RECONNECTIONS: usize = 20;

/// One turn, so that there is a handle.
fn have_a_word(rig: &mut Rig, turns: usize) {
    let mark = rig.mark();
    let said = rig.say(1.0, |_| {});
    rig.must_have_heard(&said, turns, SOON);
    rig.await_event(mark, "reply_drained", SOON);
}

#[test]
fn a_go_away_in_mid_utterance_that_leaves_time_to_finish_it() {
    let mut rig = Rig::new("go-away", &format!("lives 20s away 14s\n{ANSWER}"), KEEP_OPEN);
    have_a_word(&mut rig, 1);
    sleep(SECOND * 2);
    let said = rig.say(4.0, |rig| {
        rig.await_event(0, "link_leaving", SOON);
    });
    rig.must_have_heard(&said, 2, IN_A_WHILE);
    assert_eq!(rig.cut().len(), 0, "the hand-over waits for the end of the window");
    let (mark, _) = rig.await_event(0, "link_closed", SOON);
    let (_, ready) = rig.await_event(mark, "link_ready", SOON);
    assert_eq!(ready["start"], "resumed");
    assert!(!rig.service_says().contains("failed to close"), "the service had to close");
    have_a_word(&mut rig, 3);
    assert_eq!((rig.count("link_down"), rig.count("speech_lost")), (0, 0));
}

#[test]
fn a_go_away_in_an_utterance_that_is_longer_than_the_connection_has_left() {
    let mut rig = Rig::new("go-away-hard", &format!("lives 9s away 5s\n{ANSWER}"), KEEP_OPEN);
    have_a_word(&mut rig, 1);
    let said = rig.say(12.0, |_| {});
    rig.must_have_heard(&said, 2, IN_A_WHILE);
    assert_eq!(rig.count("speech_lost"), 0, "speech was lost");
}

#[test]
fn a_connection_that_ends_without_a_word_in_mid_utterance() {
    let mut rig = Rig::new("silent-end", &format!("lives 7s silent\n{ANSWER}"), KEEP_OPEN);
    have_a_word(&mut rig, 1);
    let said = rig.say(6.0, |_| {});
    rig.must_have_heard(&said, 2, IN_A_WHILE);
    assert!(rig.service_says().contains("Deadline expired"), "the connection lived on");
}

#[test]
fn a_handle_that_the_service_has_forgotten_is_done_without() {
    let mut rig = Rig::new("forgotten", &format!("handles 100ms\n{ANSWER}"), KEEP_OPEN);
    have_a_word(&mut rig, 1);
    rig.proxy.refuse(true);
    sleep(SECOND / 10);
    let mark = rig.mark();
    rig.proxy.reset();
    sleep(SECOND / 2);
    rig.proxy.refuse(false);
    rig.await_event(mark, "session_lost", IN_A_WHILE);
    have_a_word(&mut rig, 2);
}

/// Waits for the end of a connection and for the next one, which must resume; answers the milliseconds between.
fn reconnection(rig: &mut Rig, mark: usize, end: &str) -> (usize, u64) {
    let (mark, closed) = rig.await_event(mark, end, SOON);
    let (mark, ready) = rig.await_event(mark, "link_ready", SOON);
    assert_eq!(ready["start"], "resumed", "{ready}");
    (mark, (ready["at_us"].as_u64().unwrap() - closed["at_us"].as_u64().unwrap()) / 1000)
}

/// Prints the times, and panics where the median is over the bound.
fn must_be_quick(what: &str, mut took_ms: Vec<u64>) {
    took_ms.sort_unstable();
    let median = took_ms[took_ms.len() / 2];
    println!("from {what} to setupComplete, the service's 20 ms included: median of {} {median} ms", took_ms.len());
    println!("all of them, ms: {took_ms:?}");
    assert!(median <= RECONNECT_WITHIN_MS, "{took_ms:?}");
}

#[test]
fn a_rotation_with_a_handle_takes_less_than_300_ms() {
    // Each lives longer than ten seconds: a service that sends everybody away at once is not run in upon.
    let mut rig = Rig::new("rotations", &format!("lives 12s away 1s\n{ANSWER}"), KEEP_OPEN);
    have_a_word(&mut rig, 1);
    let mut mark = 0;
    let mut took_ms = Vec::new();
    for _ in 0..3 {
        let (next, ms) = reconnection(&mut rig, mark, "link_closed");
        mark = next;
        took_ms.push(ms);
    }
    must_be_quick("a rotation", took_ms);
}

#[test]
#[ignore = "takes four minutes, for only a drop after ten good seconds is not made to wait; sh tests/run.sh runs it"]
fn a_reconnection_with_a_handle_takes_less_than_300_ms() {
    let mut rig = Rig::new("reconnections", ANSWER, KEEP_OPEN);
    have_a_word(&mut rig, 1);
    let mut took_ms = Vec::new();
    for _ in 0..RECONNECTIONS {
        sleep(SECOND * 11);
        let mark = rig.mark();
        rig.proxy.reset();
        took_ms.push(reconnection(&mut rig, mark, "link_down").1);
    }
    must_be_quick("a reset", took_ms);
}

#[test]
fn a_device_that_is_killed_and_started_again_resumes_its_conversation() {
    let mut rig = Rig::new("killed", ANSWER, KEEP_OPEN);
    have_a_word(&mut rig, 1);
    let mark = rig.mark();
    rig.begin_to_say(5.0);
    sleep(SECOND * 2);
    rig.kill_mynah();
    rig.start_mynah();
    let (_, ready) = rig.await_event(mark, "link_ready", SOON);
    assert_eq!(ready["start"], "resumed", "{ready}");
    assert!(rig.service_says().contains("resumes session 1 after 1 turns"), "{}", rig.service_says());
    have_a_word(&mut rig, 2);
}

#[test]
fn a_conversation_goes_on_after_an_idle_connection_was_closed() {
    let mut rig = Rig::without_mynah("idle", ANSWER, "[session]\nidle_close_s = 5", Papers::Right);
    rig.start_mynah();
    sleep(SECOND);
    have_a_word(&mut rig, 1);
    let mark = rig.mark();
    let (mark, closed) = rig.await_event(mark, "link_closed", SOON);
    assert_eq!(closed["cause"], "idle");
    sleep(SECOND);
    assert_eq!(rig.events().len(), mark, "an idle device rests");
    have_a_word(&mut rig, 2);
    let (_, ready) = rig.await_event(mark, "link_ready", SOON);
    assert_eq!(ready["start"], "resumed");
    assert_eq!(rig.count("link_down"), 0);
}

#[test]
fn a_tool_result_that_the_network_swallowed_does_not_leave_the_session_stuck() {
    let tool = "[[tools]]\nname = \"set_lamp\"\ndescription = \"Switches the lamp.\"\n\
        parameters = { type = \"OBJECT\", properties = { on = { type = \"BOOLEAN\" } }, required = [\"on\"] }\n\
        action = { gpio = \"set\", line = \"lamp\", argument = \"on\" }\n";
    let script = "setup delay 20ms\nlatency 500ms\nturn\n tone 440Hz 500ms\n\
        turn\n call set_lamp {\"on\": true}\n tone 440Hz 500ms\nturn *\n tone 440Hz 500ms\n";
    let mut rig = Rig::new("tool", script, &format!("{KEEP_OPEN}\n{tool}"));
    have_a_word(&mut rig, 1);
    let mark = rig.mark();
    let said = rig.say(1.0, |_| {});
    rig.must_have_heard(&said, 2, SOON);
    // The next that goes up is the tool's result; not a byte of it arrives.
    rig.proxy.cut_after(Way::Up, 0, End::Reset);
    let (mark, _) = rig.await_event(mark, "link_down", SOON);
    assert!(rig.service_says().contains("calls set_lamp"), "{}", rig.service_says());
    assert!(!rig.service_says().contains("answers fc-"), "the result came through");
    let (mark, ready) = rig.await_event(mark, "link_ready", SOON);
    assert_eq!(ready["start"], "resumed");
    rig.await_event(mark, "reply_drained", SOON);
    assert!(!rig.service_says().contains("is not answered"), "the session was stuck:\n{}", rig.service_says());
    assert!(rig.service_says().contains("answers fc-"), "the lost call has no answer:\n{}", rig.service_says());
}
