//! Conversations in which nothing goes wrong.

use super::process::wait_for;
use super::rig::{IN_A_WHILE, Rig, SOON, Wish, recording};
use super::sound::Sound;

/// The sound that a recording is, with what `wanted` of it must have arrived.
pub fn must_hold_all(heard: &Sound, name: &str) {
    let said = Sound::read(&recording(name)).at_rate(heard.rate);
    let found = heard.find(&said);
    println!("{name}: heard {:.0} ms of sound, the question at {found:.3?}", heard.ms());
    assert!(found.alike >= 0.9, "{name} did not arrive as it was said: {found:?}");
    assert!(found.at_ms >= 0.0, "its first syllable is missing: {found:?}");
    assert!(found.at_ms + said.ms() <= heard.ms() + 1.0, "its end is missing: {found:?} of {:.0} ms", heard.ms());
}

/// The recording of the loudspeaker holds what was sent, whole, at its pace.
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
    let script = "connections continue\n\
        turn \"Switch the lamp on.\"\n call set_lamp {\"on\": true}\n say say_lamp\n\
        turn \"Hello.\"\n call set_lamp {\"on\": false}\n say say_hello\n";
    let mut rig = Rig::new("conversation", Wish { script, ..Wish::default() });
    let speaker = rig.path("speaker.wav");
    rig.pulse.record(&speaker);
    let mut replies = Vec::new();
    for (turn, (question, lamp)) in [("ask_lamp", "1"), ("ask_hello", "0")].into_iter().enumerate() {
        let mark = rig.ask(question);
        let closed = rig.after(mark, "window_closed", SOON);
        must_hold_all(&rig.heard(1, turn as u32 + 1), question);
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
}
