//! Networks that break in mid-utterance: all of it arrives, sample by sample, and the conversation goes on.

use std::thread::sleep;
use std::time::Duration;

use super::certificates::Papers;
use super::process::wait_for;
use super::proxy::{End, Way, Weather};
use super::rig::{ANSWER, IN_A_WHILE, Rig, SOON};

const KEEP_OPEN: &str = "[session]\nconnection = \"keep_open\"";
const SECOND: Duration = Duration::from_secs(1);

/// Says five seconds; `fault` happens after one and a half. All of it must arrive, and be answered.
fn speak_through(name: &str, fault: impl FnOnce(&mut Rig)) {
    let mut rig = Rig::new(name, ANSWER, KEEP_OPEN);
    let mark = rig.mark();
    let said = rig.say(5.0, |rig| {
        sleep(SECOND * 3 / 2);
        fault(rig);
    });
    rig.must_have_heard(&said, 1, IN_A_WHILE);
    rig.await_event(mark, "reply_drained", IN_A_WHILE);
    // The network is fair again: what is said next is heard as ever.
    let next = rig.say(1.0, |_| {});
    rig.must_have_heard(&next, 2, IN_A_WHILE);
    assert_eq!(rig.count("speech_lost"), 0, "speech was lost");
}

#[test]
fn a_fair_network_carries_every_sample() {
    speak_through("fair", |_| {});
}

#[test]
fn a_reset_in_mid_utterance() {
    speak_through("reset", |rig| rig.proxy.reset());
}

#[test]
fn two_resets_in_one_utterance() {
    speak_through("resets", |rig| {
        rig.proxy.reset();
        sleep(SECOND * 2);
        rig.proxy.reset();
    });
}

#[test]
fn a_reset_in_the_middle_of_a_message() {
    speak_through("reset-in-message", |rig| {
        rig.proxy.cut_after(Way::Up, 1234, End::Reset);
        wait_for("the cut", SECOND * 3, || rig.proxy.has_cut().then_some(()));
    });
}

#[test]
fn a_close_in_the_middle_of_a_message() {
    speak_through("close-in-message", |rig| {
        rig.proxy.cut_after(Way::Up, 1234, End::Close);
        wait_for("the cut", SECOND * 3, || rig.proxy.has_cut().then_some(()));
    });
}

#[test]
fn a_service_that_refuses_connections_for_a_while() {
    speak_through("refusing", |rig| {
        rig.proxy.refuse(true);
        sleep(SECOND / 10);
        rig.proxy.reset();
        sleep(SECOND * 3);
        rig.proxy.refuse(false);
    });
}

#[test]
fn a_network_that_holds_everything_for_three_seconds() {
    speak_through("held-briefly", |rig| {
        rig.proxy.weather(Weather::Held);
        sleep(SECOND * 3);
        rig.proxy.weather(Weather::Fair);
    });
}

#[test]
fn a_network_that_lets_one_byte_a_second_through() {
    speak_through("byte-by-byte", |rig| {
        rig.proxy.weather(Weather::Slow(1));
        sleep(SECOND * 3);
        rig.proxy.weather(Weather::Fair);
    });
}

#[test]
fn a_connection_that_is_stranded_while_new_ones_pass() {
    speak_through("stranded", |rig| rig.proxy.strand());
}

#[test]
fn a_connection_that_is_half_open() {
    speak_through("half-open", |rig| rig.proxy.half_open());
}

#[test]
#[ignore = "takes a minute; sh tests/run.sh runs it"]
fn a_network_that_holds_everything_for_half_a_minute() {
    let mut rig = Rig::new("held", ANSWER, KEEP_OPEN);
    let said = rig.say(5.0, |rig| {
        sleep(SECOND);
        rig.proxy.weather(Weather::Held);
    });
    rig.await_event(0, "link_down", IN_A_WHILE);
    sleep(SECOND * 10);
    rig.proxy.weather(Weather::Fair);
    rig.must_have_heard(&said, 1, IN_A_WHILE);
}

#[test]
fn two_seconds_each_way_are_a_network_too() {
    let mut rig = Rig::new("late", ANSWER, KEEP_OPEN);
    rig.proxy.weather(Weather::Late(SECOND * 2));
    let mark = rig.mark();
    for turn in 1..=2 {
        let said = rig.say(3.0, |_| {});
        rig.must_have_heard(&said, turn, SOON);
        rig.await_event(mark, "reply_drained", IN_A_WHILE);
    }
    // Idle, it is not taken for dead either.
    sleep(SECOND * 20);
    assert_eq!(rig.count("link_down"), 0, "a slow network was taken for a dead one");
}

#[test]
fn a_connection_made_over_a_network_of_two_seconds_each_way() {
    let mut rig = Rig::new("late-from-the-start", ANSWER, KEEP_OPEN);
    rig.proxy.weather(Weather::Late(SECOND * 2));
    let said = rig.say(4.0, |rig| {
        sleep(SECOND);
        rig.proxy.reset();
    });
    rig.must_have_heard(&said, 1, IN_A_WHILE);
}

#[test]
fn speech_that_opens_the_connection_itself_arrives_whole() {
    let on_demand = "[session]\nconnection = \"on_demand\"";
    let mut rig = Rig::without_mynah("on-demand", ANSWER, on_demand, Papers::Right);
    rig.start_mynah();
    sleep(SECOND * 2);
    rig.proxy.weather(Weather::Late(SECOND / 4));
    let said = rig.say(3.0, |_| {});
    rig.must_have_heard(&said, 1, IN_A_WHILE);
}

#[test]
fn a_close_in_the_middle_of_a_reply_is_told_and_the_reply_asked_for_again_once() {
    let script = "setup delay 20ms\nlatency 100ms\npace 2x\nturn *\n tone 440Hz 6s \"A long answer.\"\n";
    let mut rig = Rig::new("reply-cut", script, KEEP_OPEN);
    let mark = rig.mark();
    let said = rig.say(2.0, |_| {});
    let (mark, _) = rig.await_event(mark, "reply_heard", SOON);
    rig.proxy.cut_after(Way::Down, 5000, End::Close);
    let (mark, lost) = rig.await_event(mark, "reply_lost", SOON);
    assert_eq!(lost["is_asked_again"], true, "{lost}");
    let (mark, _) = rig.await_event(mark, "link_ready", SOON);
    // What was left of the first may be heard out only now.
    let (mark, _) = rig.await_event(mark, "reply_heard", SOON);
    rig.await_event(mark, "reply_drained", IN_A_WHILE);
    assert_eq!(rig.count("reply_lost"), 1);
    for asked in rig.heard(2, SOON) {
        assert_eq!(said.is_whole_in(&asked), Ok(()));
    }
    let next = rig.say(1.0, |_| {});
    let heard = rig.heard(3, SOON);
    assert_eq!(next.is_whole_in(heard.last().unwrap()), Ok(()));
}
