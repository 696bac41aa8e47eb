//! A conversation in a room: the microphone hears the loudspeaker.

use super::process::wait_for;
use super::pulse::recorded_ms;
use super::rig::{IN_A_WHILE, Rig, SOON, Wish, recording};
use super::sound::Sound;
use super::witness::steadily;

/// What was said over a reply is found again in what arrived. Of a voice in silence the ears' high-pass leaves 0.6, by
/// its phases; what is left of the echo, and what the canceller took of the voice with it, take more.
const ALIKE_OVER_A_REPLY: f64 = 0.3;

/// From loudspeaker to microphone, ms: a USB speakerphone's.
const ECHO_MS: u32 = 60;

#[test]
#[ignore = "needs PulseAudio; sh tests/run.sh runs it"]
fn a_reply_that_the_microphone_hears_is_cut_by_a_voice_and_never_by_itself() {
    steadily(|| {
        let script = "turn \"One.\"\n say say_bird\n turn \"Two.\"\n say say_bird\n turn \"Stop.\"\n say say_goodbye\n";
        let listen = "mode = \"hands_free\"";
        let mut rig = Rig::new("echo", Wish { script, listen, ears: true, ..Wish::default() });
        rig.pulse.run(&format!("pulse_echo {ECHO_MS}"));
        let speaker = rig.path("speaker.wav");
        rig.pulse.record(&speaker);

        // A whole reply, and then silence: nobody interrupted it, and nothing of it came back as a question.
        let mark = rig.mark();
        rig.pulse.say(&recording("ask_bird"));
        let closed = rig.after(mark, "window_closed", SOON);
        let heard = rig.after(closed, "reply_heard", SOON);
        let drained = rig.after(heard, "reply_drained", IN_A_WHILE);
        let over = rig.after(closed, "turn_over", IN_A_WHILE).max(drained);
        rig.must_be_without("reply_cut", mark, over);

        // The second is talked over.
        rig.pulse.say(&recording("ask_bird"));
        let closed = rig.after(over, "window_closed", SOON);
        rig.must_be_without("window_opened", heard, over);
        let heard = rig.after(closed, "reply_heard", SOON);
        let began_ms = recorded_ms(&speaker);
        wait_for("2 s of the reply", SOON, || (recorded_ms(&speaker) > began_ms + 2000.0).then_some(()));
        rig.must_be_without("reply_cut", heard, rig.mark());
        rig.pulse.say(&recording("ask_stop"));
        let cut = rig.after(heard, "reply_cut", SOON);
        rig.must_be_without("reply_drained", heard, cut);
        let closed = rig.after(cut, "window_closed", SOON);
        let again = rig.after(closed, "reply_heard", SOON);
        rig.after(again, "reply_drained", IN_A_WHILE);
        rig.pulse.record_end(&speaker, 500.0);

        let arrived = rig.heard(1, 3);
        let said = Sound::read(&recording("ask_stop")).at_rate(arrived.rate).audible();
        let found = arrived.find(&said);
        println!("what was said over the reply: {found:.3?}");
        assert!(found.alike >= ALIKE_OVER_A_REPLY, "{found:?}");
        assert!(found.at_ms >= 0.0, "the first syllable is missing: {found:?}");
    });
}
