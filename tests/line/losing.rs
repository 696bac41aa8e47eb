//! Conversations in which something breaks: devices, the connection, the service, the power.

use std::time::{Duration, Instant};

use super::process::wait_for;
use super::rig::{IN_A_WHILE, Rig, SOON, Wish};
use super::sound::Sound;
use super::talking::{FROM_THE_PRESS, must_hold_all, must_hold_reply};
use super::witness::steadily;

/// What answers every question the same.
const ANSWER: &str = "turn *\n say say_lamp\n";

/// Asks, and waits for the end of the reply; answers the mark behind it.
fn talk(rig: &mut Rig, question: &str) -> usize {
    let mark = rig.ask(question);
    let closed = rig.after(mark, "window_closed", SOON);
    let over = rig.after(closed, "turn_over", IN_A_WHILE);
    rig.after(closed, "reply_drained", IN_A_WHILE).max(over)
}

#[test]
#[ignore = "needs PulseAudio; sh tests/run.sh runs it"]
fn a_microphone_that_is_unplugged_is_told_of_and_heard_again_when_it_is_back() {
    steadily(|| {
        // A sound server moves who listens to a source that is gone to another one: the loudspeaker's, which gives
        // nothing only while it stands still.
        let wish = Wish { script: ANSWER, own_devices: true, speak: "stay_awake_s = 0", ..Wish::default() };
        let mut rig = Rig::new("microphone", wish);
        let mark = talk(&mut rig, "ask_hello");
        rig.pulse.run("pulse_unplug mic");
        let (lost, trouble) = rig.await_event(mark, "trouble", Some(("part", "mic".into())), SOON);
        println!("{trouble}");
        rig.pulse.run("pulse_plug mic");
        rig.await_event(lost, "recovered", Some(("part", "mic".into())), SOON);
        talk(&mut rig, "ask_lamp");
        must_hold_all(&rig.heard(1, 2), "ask_lamp", FROM_THE_PRESS);
    });
}

#[test]
#[ignore = "needs PulseAudio; sh tests/run.sh runs it"]
fn a_microphone_that_gives_only_zeros_is_told_of_once_and_heard_when_there_is_sound() {
    steadily(|| {
        let mut rig = Rig::new("zeros", Wish { script: ANSWER, listen: "dead_mic_s = 2", ..Wish::default() });
        // Nobody plays into this microphone: what it gives is silent to the last bit.
        let (dead, trouble) = rig.await_event(0, "trouble", Some(("part", "mic".into())), SOON);
        println!("{trouble}");
        assert!(trouble["text"].as_str().is_some_and(|text| text.contains("only zeros")), "{trouble}");
        let mark = rig.ask("ask_hello");
        rig.await_event(dead, "recovered", Some(("part", "mic".into())), SOON);
        let closed = rig.after(mark, "window_closed", SOON);
        rig.after(closed, "reply_drained", IN_A_WHILE);
    });
}

#[test]
#[ignore = "needs PulseAudio; sh tests/run.sh runs it"]
fn a_sound_server_that_dies_is_told_of_and_both_devices_work_again_when_it_is_back() {
    steadily(|| {
        let script = "turn\n say say_bird\n turn *\n say say_lamp\n";
        let mut rig = Rig::new("sound-server", Wish { script, ..Wish::default() });
        let mark = rig.ask("ask_bird");
        let mark = rig.after(mark, "reply_heard", SOON);
        // A loudspeaker that stands idle notices nothing; this one is in the middle of a sentence.
        rig.pulse.end();
        for part in ["mic", "speaker"] {
            let (_, trouble) = rig.await_event(mark, "trouble", Some(("part", part.into())), SOON);
            println!("{trouble}");
        }
        rig.pulse.start_again();
        for part in ["mic", "speaker"] {
            rig.await_event(mark, "recovered", Some(("part", part.into())), SOON);
        }
        let speaker = rig.path("speaker.wav");
        rig.pulse.record(&speaker);
        talk(&mut rig, "ask_lamp");
        rig.pulse.record_end(&speaker, 500.0);
        must_hold_all(&rig.heard(1, 2), "ask_lamp", FROM_THE_PRESS);
        must_hold_reply(&Sound::read(&speaker), &rig.sent(1, 2));
    });
}

#[test]
#[ignore = "needs PulseAudio; sh tests/run.sh runs it"]
fn a_service_that_dies_is_found_again_and_the_next_question_is_answered() {
    steadily(|| {
        let mut rig = Rig::new("service", Wish { script: ANSWER, ..Wish::default() });
        let mark = talk(&mut rig, "ask_hello");
        rig.emulator.as_ref().unwrap().signal(libc::SIGKILL);
        let (down, event) = rig.await_event(mark, "link_down", None, SOON);
        println!("{event}");
        rig.emulator.take();
        rig.start_emulator();
        // Nobody talks, so nobody needs a connection; a new service knows nothing of the old one's conversations.
        talk(&mut rig, "ask_lamp");
        rig.after(down, "session_lost", SOON);
        must_hold_all(&rig.heard(2, 1), "ask_lamp", FROM_THE_PRESS);
    });
}

#[test]
#[ignore = "needs PulseAudio; sh tests/run.sh runs it"]
fn garbage_and_a_service_that_hangs_up_in_mid_reply_are_survived() {
    steadily(|| {
        let script = "connections continue\n\
        turn \"One.\"\n garbage \"}{ this is no JSON\"\n raw {\"nobodyKnows\": {\"this\": 1}}\n empty\n say say_lamp\n\
        turn \"Two.\"\n tone 440Hz 4s\n close 1011 \"Internal error encountered.\"\n\
        turn \"Two, again.\"\n say say_lamp\n\
        turn \"Three.\"\n tone 440Hz 4s\n close 1006\n\
        turn \"Three, again.\"\n say say_lamp\n\
        turn \"Four.\"\n say say_lamp\n";
        let mut rig = Rig::new("garbage", Wish { script, ..Wish::default() });
        let mark = talk(&mut rig, "ask_hello");
        let (_, trouble) = rig.await_event(0, "trouble", Some(("part", "link".into())), SOON);
        println!("{trouble}");
        rig.must_be_without("link_down", 0, mark);
        for _ in 0..2 {
            let mark = rig.ask("ask_bird");
            let heard = rig.after(mark, "reply_heard", SOON);
            let (_, event) = rig.await_event(mark, "link_down", None, SOON);
            println!("{event}");
            // What had come is said to its end; the connection is made anew meanwhile, and the question asked again.
            let drained = rig.after(heard, "reply_drained", IN_A_WHILE);
            rig.await_event(mark, "cue", Some(("cue", "again".into())), IN_A_WHILE);
            rig.after(mark, "link_ready", IN_A_WHILE);
            rig.after(mark, "turn_over", IN_A_WHILE);
            rig.after(drained, "reply_drained", IN_A_WHILE);
        }
        let speaker = rig.path("speaker.wav");
        rig.pulse.record(&speaker);
        talk(&mut rig, "ask_lamp");
        rig.pulse.record_end(&speaker, 500.0);
        must_hold_all(&rig.heard(3, 2), "ask_lamp", FROM_THE_PRESS);
        must_hold_reply(&Sound::read(&speaker), &rig.sent(3, 2));
    });
}

#[test]
#[ignore = "needs PulseAudio; sh tests/run.sh runs it"]
fn told_to_end_it_ends_at_once_with_the_lamp_off() {
    steadily(|| {
        let script = "turn\n call set_lamp {\"on\": true}\n say say_bird\n";
        let mut rig = Rig::new("end", Wish { script, ..Wish::default() });
        let mark = rig.ask("ask_lamp");
        rig.after(mark, "reply_heard", SOON);
        wait_for("the lamp", SOON, || (rig.line("lamp") == "1").then_some(()));
        let mut mynah = rig.mynah.take().unwrap();
        let since = Instant::now();
        mynah.signal(libc::SIGTERM);
        let status = mynah.end_within(Duration::from_secs(2));
        println!("ended after {:?} with {status}", since.elapsed());
        assert_eq!(status.code(), Some(0), "{}", mynah.text());
        assert_eq!((rig.line("lamp"), rig.line("led")), ("0".into(), "0".into()));
    });
}
