//! Conversations in which nothing goes wrong.

use super::process::wait_for;
use super::pulse::recorded_ms;
use super::rig::{IN_A_WHILE, Rig, SOON, Wish, recording};
use super::sound::Sound;
use super::witness::steadily;

/// The button was down before anybody spoke: the window begins at the press or before it.
pub const FROM_THE_PRESS: f64 = 0.0;
/// Before a voice the window holds pre-roll: 300 ms before what the gate took for the onset, so 100 at the least.
const PREROLL_MS: f64 = 100.0;

/// A window holds a recording from its first syllable to its last, with at least so much sound before it.
pub fn must_hold_all(heard: &Sound, name: &str, before_ms: f64) {
    let said = Sound::read(&recording(name)).at_rate(heard.rate).audible();
    let found = heard.find(&said);
    println!("{name}: heard {:.0} ms, {:.0} ms of speech in it at {found:.3?}", heard.ms(), said.ms());
    assert!(found.alike >= 0.9, "{name} did not arrive as it was said: {found:?}");
    assert!(found.at_ms >= before_ms, "the first syllable has too little before it: {found:?}");
    assert!(found.at_ms + said.ms() <= heard.ms() + 1.0, "its end is missing: {found:?} of {:.0} ms", heard.ms());
}

/// The recording of the loudspeaker holds what was sent, whole, at its pace; answers where.
pub fn must_hold_reply(recorded: &Sound, sent: &Sound) -> f64 {
    let sent = sent.at_rate(recorded.rate);
    let found = recorded.find(&sent);
    let (_, sent_ms) = sent.extent(-50.0).unwrap();
    let heard = recorded.part(found.at_ms - 300.0, sent.ms() + 600.0);
    let (_, heard_ms) = heard.extent(-55.0).unwrap();
    let gap_ms = recorded.longest_gap_ms(&sent, found.at_ms);
    println!("reply: {found:.3?}, sent {sent_ms:.0} ms, heard {heard_ms:.0} ms, longest gap {gap_ms:.0} ms");
    assert!(found.alike >= 0.95, "the reply does not sound as it was sent: {found:?}");
    assert!((heard_ms - sent_ms).abs() <= sent_ms * 0.05, "{heard_ms} ms were heard of {sent_ms} ms");
    assert!(gap_ms <= 20.0, "the reply has a hole of {gap_ms} ms");
    found.at_ms
}

#[test]
#[ignore = "needs PulseAudio; sh tests/run.sh runs it"]
fn a_held_button_makes_a_conversation_and_the_lamp_obeys() {
    steadily(|| {
        let script = "turn \"Switch the lamp on.\"\n call set_lamp {\"on\": true}\n say say_lamp\n\
        turn \"Hello.\"\n call set_lamp {\"on\": false}\n say say_hello\n";
        let mut rig = Rig::new("conversation", Wish { script, ..Wish::default() });
        let speaker = rig.path("speaker.wav");
        rig.pulse.record(&speaker);
        let mut replies = Vec::new();
        for (turn, (question, lamp)) in [("ask_lamp", "1"), ("ask_hello", "0")].into_iter().enumerate() {
            let mark = rig.ask(question);
            let closed = rig.after(mark, "window_closed", SOON);
            must_hold_all(&rig.heard(1, turn as u32 + 1), question, FROM_THE_PRESS);
            let answered = rig.after(closed, "tool_answered", SOON);
            wait_for("the lamp", SOON, || (rig.line("lamp") == lamp).then_some(()));
            rig.after(answered, "reply_drained", IN_A_WHILE);
            rig.after(closed, "turn_over", IN_A_WHILE);
            replies.push(rig.sent(1, turn + 1));
        }
        rig.pulse.record_end(&speaker, 500.0);
        let recorded = Sound::read(&speaker);
        let first = must_hold_reply(&recorded, &replies[0]);
        let second = must_hold_reply(&recorded, &replies[1]);
        assert!(first + replies[0].ms() < second);
        rig.must_be_without("speech_lost", 0, rig.mark());
        assert_eq!(rig.line("led"), "0", "the light is out when nobody talks");
    });
}

#[test]
#[ignore = "needs PulseAudio; sh tests/run.sh runs it"]
fn a_press_cuts_the_reply_and_the_new_question_arrives_whole() {
    steadily(|| {
        let script = "turn \"Tell me something.\"\n say say_bird\n turn \"Stop.\"\n say say_goodbye\n";
        let mut rig = Rig::new("barge-in", Wish { script, ..Wish::default() });
        let speaker = rig.path("speaker.wav");
        rig.pulse.record(&speaker);
        let asked = rig.ask("ask_bird");
        let heard = rig.after(asked, "reply_heard", SOON);
        let began_ms = recorded_ms(&speaker);
        wait_for("2 s of the reply", SOON, || (recorded_ms(&speaker) > began_ms + 2000.0).then_some(()));
        let pressed_ms = recorded_ms(&speaker);
        let mark = rig.ask("ask_stop");
        let closed = rig.after(mark, "window_closed", SOON);
        rig.after(heard, "reply_cut", SOON);
        let (_, silent) = rig.await_event(heard, "reply_silent", None, SOON);
        let again = rig.after(closed, "reply_heard", SOON);
        rig.after(again, "reply_drained", IN_A_WHILE);
        rig.after(again, "turn_over", IN_A_WHILE);
        must_hold_all(&rig.heard(1, 2), "ask_stop", FROM_THE_PRESS);
        rig.pulse.record_end(&speaker, 500.0);

        let recorded = Sound::read(&speaker);
        let interrupted = rig.messages(1).iter().any(|m| m["message"]["serverContent"]["interrupted"] == true);
        assert!(interrupted, "the service took the new window for an interruption");
        // What was heard before the press is the reply's beginning; after it there is silence until the next reply.
        let bird = rig.sent(1, 1).at_rate(recorded.rate);
        let found = recorded.find(&bird.part(0.0, 1500.0));
        let next = recorded.find(&Sound::read(&recording("say_goodbye")).at_rate(recorded.rate));
        println!("cut: {found:.3?}, pressed at {pressed_ms:.0} ms, next reply {next:.3?}, {silent}");
        assert!(found.alike >= 0.95 && found.at_ms < pressed_ms, "{found:?}");
        assert!(next.alike >= 0.95 && next.at_ms > pressed_ms, "{next:?}");
        let after = recorded.part(pressed_ms - 200.0, next.at_ms - pressed_ms + 150.0);
        let (from, length) = after.extent(-55.0).unwrap_or_default();
        println!("the reply was still heard {:.0} ms after the press", from + length - 200.0);
        assert!(from + length - 200.0 < 1000.0, "still talking {:.0} ms after the press", from + length - 200.0);
        must_hold_reply(&recorded, &rig.sent(1, 2));
    });
}

#[test]
#[ignore = "needs PulseAudio; sh tests/run.sh runs it"]
fn without_hands_a_voice_asks_and_a_voice_cuts_the_reply() {
    steadily(|| {
        let script = "turn \"Tell me something.\"\n say say_bird\n turn \"Stop.\"\n say say_goodbye\n";
        let listen = "mode = \"hands_free\"\nvoice_barge_in = \"on\"";
        let mut rig = Rig::new("hands-free", Wish { script, listen, ..Wish::default() });
        let speaker = rig.path("speaker.wav");
        rig.pulse.record(&speaker);
        let mark = rig.mark();
        rig.pulse.say(&recording("ask_bird"));
        let closed = rig.after(mark, "window_closed", SOON);
        let heard = rig.after(closed, "reply_heard", SOON);
        rig.pulse.say(&recording("ask_stop"));
        let cut = rig.after(heard, "reply_cut", SOON);
        let closed = rig.after(cut, "window_closed", SOON);
        let again = rig.after(closed, "reply_heard", SOON);
        rig.after(again, "reply_drained", IN_A_WHILE);
        rig.after(again, "turn_over", IN_A_WHILE);
        must_hold_all(&rig.heard(1, 1), "ask_bird", PREROLL_MS);
        must_hold_all(&rig.heard(1, 2), "ask_stop", PREROLL_MS);
        rig.pulse.record_end(&speaker, 500.0);
        must_hold_reply(&Sound::read(&speaker), &rig.sent(1, 2));
        rig.must_be_without("pressed", 0, rig.mark());
    });
}

#[test]
#[ignore = "needs PulseAudio; sh tests/run.sh runs it"]
fn what_is_said_before_the_connection_stands_arrives_whole_and_in_order() {
    steadily(|| {
        let script = "setup delay 9s\nturn \"One.\"\n say say_lamp\n turn \"Two.\"\n say say_hello\n";
        let mut rig = Rig::without_mynah("early", Wish { script, ..Wish::default() });
        rig.start_mynah();
        rig.await_mic();
        for question in ["ask_lamp", "ask_hello"] {
            let mark = rig.ask(question);
            rig.after(mark, "gate_closed", SOON);
        }
        rig.must_be_without("link_ready", 0, rig.mark());
        let ready = rig.after(0, "link_ready", SOON);
        let first = rig.after(ready, "window_closed", SOON);
        rig.after(first, "window_closed", SOON);
        must_hold_all(&rig.heard(1, 1), "ask_lamp", FROM_THE_PRESS);
        must_hold_all(&rig.heard(1, 2), "ask_hello", FROM_THE_PRESS);
        rig.after(ready, "reply_heard", SOON);
        rig.must_be_without("speech_lost", 0, rig.mark());
    });
}
