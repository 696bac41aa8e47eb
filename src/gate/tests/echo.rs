//! What a voice and a press may do while the loudspeaker can be heard, and the ears say what it accounts for.

use super::*;

fn auto() -> Listen {
    Listen { voice_barge_in: VoiceBargeIn::Auto, preroll_ms: 50, ..hands_free() }
}

#[test]
fn only_evidence_cuts_a_reply() {
    check(
        &auto(),
        &[
            ("echo that sounds like a voice", "D S .6 e90", "echo:Full"),
            ("a voice over it", "D S .6 e30 n9 v9 .30", "echo:Full suspect open:Voice 31-63 close:Silence"),
            ("the window settles the suspicion", "D S .6 e30 n3 e1 n9 v9 .9", "echo:Full suspect open:Voice 31-66"),
            ("a knock", "D S .6 e30 k20 e90", "echo:Full suspect cleared"),
            ("a cough", "D S .6 e30 n3 e90", "echo:Full suspect cleared"),
            ("the reply ends in it", "D S .6 e30 n3 s .30", "echo:Full suspect cleared"),
            (
                "a voice in a pause of the reply",
                "D S .6 e30 .9 v9 .30",
                "echo:Full suspect open:Voice 40-63 close:Silence",
            ),
            ("a voice as soon as the echo has died", "D S .6 e30 s v9 .30", "echo:Full open:Voice 31-54 close:Silence"),
        ],
    );
}

#[test]
fn half_duplex_is_deaf_to_voices() {
    for doubt in ["d", ""] {
        let mut story = Story::new(&auto());
        story.tell(&format!("{doubt} S .2 n90 s .30"));
        assert!(story.said.iter().all(|event| matches!(event, GateEvent::Echo { .. })), "{}", words(&story.said));
    }
    check(
        &auto(),
        &[
            (
                "the button cuts",
                "d S .2 e30 + e5 s .25 v9 - .30",
                "echo:Half + open:Button 57-70 - 71-90 close:Released",
            ),
            ("it is told once", "d .9 d .9 D .9 D .9 d .1", "echo:Half echo:Full echo:Half"),
            ("no far-end copy of what plays", "D .2 S v90", "echo:Full"),
        ],
    );
}

#[test]
fn the_devices_own_sounds_are_no_evidence() {
    check(
        &Listen { mode: ListenMode::PushToTalk, ..auto() },
        &[
            ("a cue answers the press", "D .20 + e20 .30 - .30", "echo:Full + - drop:OnlySilence"),
            ("speech under the cue", "D .20 + e5 n10 v9 - .30", "echo:Full + open:Button 20-43 - 44-63 close:Released"),
            (
                "speech after the cue",
                "D .20 + e20 .20 v9 - .30",
                "echo:Full + open:Button 55-68 - 69-88 close:Released",
            ),
            ("half duplex, a cue", "d .20 + e20 .30 - .30", "echo:Half + - drop:OnlySilence"),
            (
                "half duplex, speech as the cue ends",
                "d .20 + e9 v9 - .30",
                "echo:Half + open:Button 20-37 - 38-57 close:Released",
            ),
        ],
    );
}

#[test]
fn a_headset_needs_no_evidence() {
    let headset = Listen { voice_barge_in: VoiceBargeIn::On, ..auto() };
    check(&headset, &[("what sounds like a voice", "S .9 e9 .30", "open:Voice 4-27 close:Silence")]);
}
