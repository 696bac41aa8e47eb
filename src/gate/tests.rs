//! Conversations with the gate as lines of text, and what holds for all of them.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

mod echo;

use super::ears::evidence::Nearness;
use super::vad::{Scripted, VOICED_FROM};
use super::*;
use crate::audio::{HOP_FRAMES, Speech};
use crate::config::agent::{Agent, ButtonStyle};

/// Pre-roll 5 hops, onset 3, hangover 10, tail 20, echo tail 10; messages of 1 hop; turns of 5 s.
pub(crate) fn listen() -> Listen {
    Listen {
        mode: ListenMode::PushToTalk,
        button: ButtonStyle::Hold,
        voice_barge_in: VoiceBargeIn::Off,
        onset_ms: 30,
        hangover_ms: 100,
        preroll_ms: 50,
        tail_ms: 200,
        min_press_ms: 80,
        tap_max_ms: 400,
        silence_db: -45.0,
        vad_mode: 2,
        echo_tail_ms: 100,
        message_ms: 10,
        turn_max_s: 5,
        ..Agent::default().listen
    }
}

fn hands_free() -> Listen {
    Listen { mode: ListenMode::HandsFree, ..listen() }
}

fn style(button: ButtonStyle) -> Listen {
    Listen { button, ..listen() }
}

/// Where a hop's number hides: three small samples that change neither voice nor loudness.
const NUMBER_AT: usize = 100;

/// `.` silence, `v` voice, `l` loud but no voice (a knock), `q` voice too quiet to be loud; while the loudspeaker is in
/// it `e` what it left, which sounds like a voice, `n` a voice over it, `k` a knock over it.
fn hop(kind: char, number: u64, at: Time) -> Hop {
    let mut frames = [0i16; HOP_FRAMES];
    if "vlenk".contains(kind) {
        let first = if "ven".contains(kind) { VOICED_FROM } else { -VOICED_FROM };
        frames = std::array::from_fn(|i| if i % 2 == 0 { first } else { -first });
    } else if kind == 'q' {
        frames[0] = VOICED_FROM;
    }
    for digit in 0..3 {
        frames[NUMBER_AT + digit] = (number >> (6 * digit) & 63) as i16;
    }
    Hop { at, frames }
}

fn numbers_in(speech: &Speech) -> Vec<u64> {
    let number = |hop: &[i16]| (0..3).map(|digit| (hop[NUMBER_AT + digit] as u64) << (6 * digit)).sum();
    speech.frames().chunks(HOP_FRAMES).map(number).collect()
}

/// A gate that is told a story and writes down what it says.
struct Story {
    gate: Gate,
    at: Time,
    hops: u64,
    said: Vec<GateEvent>,
    /// What the ears know of a hop in which the loudspeaker is not.
    room: Room,
}

impl Story {
    fn new(listen: &Listen) -> Story {
        let gate = Gate::new(listen, Box::new(Scripted));
        Story { gate, at: Time::ZERO, hops: 0, said: Vec::new(), room: Room::SILENT }
    }

    fn with(listen: &Listen, gestures: &Gestures) -> Story {
        let gate = Gate::new(listen, Box::new(Scripted)).with_gestures(gestures);
        Story { gate, ..Story::new(listen) }
    }

    /// Tells words: a kind of hop and how many (`v30`), `+` and `-` edges, `S` and `s` loudspeaker audible
    /// and silent, `X` abort, `L3` three hops lost, `T1500` 1500 ms without a hop, `M` and `m` muted and not, `F` and
    /// `f` a reply heard to its end and another begun, `W` the wake word, `D` and `d` the ears say full and half duplex.
    fn tell(&mut self, words: &str) {
        for word in words.split_whitespace() {
            let count = || word[1..].parse().unwrap();
            match word.chars().next().unwrap() {
                kind @ ('.' | 'v' | 'l' | 'q' | 'e' | 'n' | 'k') => (0..count()).for_each(|_| self.hear(kind)),
                'D' => self.room.duplex = Some(Duplex::Full),
                'd' => self.room.duplex = Some(Duplex::Half),
                '+' => self.gate.handle_edge(Edge { at: self.at, active: true }),
                '-' => self.gate.handle_edge(Edge { at: self.at, active: false }),
                'S' => self.gate.handle_note(GateNote::SpeakerAudible(true)),
                's' => self.gate.handle_note(GateNote::SpeakerAudible(false)),
                'X' => self.gate.handle_note(GateNote::Abort),
                'M' => self.gate.handle_note(GateNote::Mute(true)),
                'm' => self.gate.handle_note(GateNote::Mute(false)),
                'F' => self.gate.handle_note(GateNote::FollowUp(true)),
                'f' => self.gate.handle_note(GateNote::FollowUp(false)),
                'W' => self.gate.handle_woken(),
                'L' => self.gate.handle_lost(count() as u32),
                'T' => {
                    self.at += Duration::from_millis(count());
                    self.gate.handle_time(self.at);
                }
                other => panic!("no such word: {other}"),
            }
            self.listen();
        }
    }

    fn hear(&mut self, kind: char) {
        self.at += Duration::from_millis(u64::from(HOP_MS));
        let room = Room {
            is_far: "enk".contains(kind),
            near: if "nkv".contains(kind) {
                Nearness { bands: 4.0, lasting: 1.0, passes: true }
            } else {
                Nearness::default()
            },
            ..self.room
        };
        self.gate.handle_heard(&Heard { room, ..Heard::from(hop(kind, self.hops, self.at)) });
        self.hops += 1;
        self.listen();
    }

    fn listen(&mut self) {
        while let Some(event) = self.gate.poll_output() {
            self.said.push(event);
        }
    }
}

/// Events as words; speech that hangs together as `first-last` hop.
fn words(said: &[GateEvent]) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut range: Option<(u64, u64)> = None;
    for event in said {
        if let GateEvent::Speech(speech) = event {
            for number in numbers_in(speech) {
                match &mut range {
                    Some((_, last)) if *last + 1 == number => *last = number,
                    _ => {
                        words.extend(range.map(|(first, last)| format!("{first}-{last}")));
                        range = Some((number, number));
                    }
                }
            }
            continue;
        }
        words.extend(range.take().map(|(first, last)| format!("{first}-{last}")));
        words.push(match event {
            GateEvent::Pressed => "+".into(),
            GateEvent::Released => "-".into(),
            GateEvent::Opened(cause) => format!("open:{cause:?}"),
            GateEvent::Closed(cause) => format!("close:{cause:?}"),
            GateEvent::Dropped(cause) => format!("drop:{cause:?}"),
            GateEvent::Lost(hops) => format!("lost:{hops}"),
            GateEvent::Gesture(gesture) => format!("{gesture:?}").to_lowercase(),
            GateEvent::Suspect(true) => "suspect".into(),
            GateEvent::Suspect(false) => "cleared".into(),
            GateEvent::Echo { duplex, .. } => format!("echo:{duplex:?}"),
            GateEvent::Woken => "woken".into(),
            GateEvent::FollowUp(true) => "follow(".into(),
            GateEvent::FollowUp(false) => ")follow".into(),
            GateEvent::Speech(_) => unreachable!(),
        });
    }
    words.extend(range.map(|(first, last)| format!("{first}-{last}")));
    words.join(" ")
}

/// Tells each story to a fresh gate and compares what it says.
fn check(listen: &Listen, cases: &[(&str, &str, &str)]) {
    check_all(|| Story::new(listen), listen, cases);
}

/// The same for a gate with gestures: double within 200 ms, long from 1 s, very long from 3 s.
fn check_gestures(listen: &Listen, cases: &[(&str, &str, &str)]) {
    check_all(|| Story::with(listen, &gestures()), listen, cases);
}

fn check_all(new: impl Fn() -> Story, listen: &Listen, cases: &[(&str, &str, &str)]) {
    let mut wrong = Vec::new();
    for (what, story, expected) in cases {
        let mut told = new();
        told.tell(story);
        check_invariants(&told.said, (listen.message_ms / HOP_MS) as usize);
        let said = words(&told.said);
        if said != *expected {
            wrong.push(format!("{what}: {story}\n  expected {expected}\n  said     {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What holds for every story.
fn check_invariants(said: &[GateEvent], message_hops: usize) {
    let (mut open, mut down) = (false, false);
    let mut pieces: Vec<Vec<u64>> = Vec::new();
    let mut last_sent: Option<u64> = None;
    for event in said {
        match event {
            GateEvent::Opened(_) => {
                assert!(!open, "windows are never nested");
                (open, pieces) = (true, Vec::new());
            }
            GateEvent::Speech(speech) => {
                assert!(open, "speech only within a window");
                let numbers = numbers_in(speech);
                for &number in &numbers {
                    assert!(last_sent.is_none_or(|last| number > last), "each hop once and in order");
                    if !pieces.is_empty() {
                        assert_eq!(last_sent, Some(number - 1), "no gap within a window");
                    }
                    last_sent = Some(number);
                    pieces.push(Vec::new());
                }
                pieces.last_mut().unwrap().extend(&numbers);
            }
            GateEvent::Closed(_) => {
                assert!(open, "only an open window closes");
                assert!(!pieces.is_empty(), "no window is empty");
                open = false;
                let sizes: Vec<usize> = pieces.iter().map(Vec::len).filter(|&size| size > 0).collect();
                let (last, full) = sizes.split_last().unwrap();
                assert!(full.iter().all(|&size| size == message_hops), "messages are whole: {sizes:?}");
                assert!((1..=message_hops).contains(last), "the last message may be shorter: {sizes:?}");
            }
            GateEvent::Gesture(_) => assert!(!open, "what is a gesture is no talk"),
            GateEvent::Pressed | GateEvent::Released => {
                assert_ne!(down, matches!(event, GateEvent::Pressed), "presses and releases alternate");
                down = !down;
            }
            _ => {}
        }
    }
}

#[test]
fn a_hold_sends_what_is_said() {
    check(
        &listen(),
        &[
            ("silence", ".50", ""),
            ("voice without a press", "v50", ""),
            ("speech after the press", ".20 + .10 v30 - .30", "+ open:Button 25-59 - 60-79 close:Released"),
            ("already talking", ".20 v20 + v20 - .30", "+ open:Button 35-59 - 60-79 close:Released"),
            ("began just before", ".20 v3 + v20 - .30", "+ open:Button 18-42 - 43-62 close:Released"),
            ("just began to talk", ".20 v1 + v20 - .30", "+ open:Button 16-40 - 41-60 close:Released"),
            ("talking since the start", "v2 + v20 - .30", "+ open:Button 0-21 - 22-41 close:Released"),
            ("a quiet voice", ".20 + .5 q9 .5 - .30", "+ open:Button 20-38 - 39-58 close:Released"),
            ("loud, no voice", ".20 + .5 l9 .5 - .30", "+ open:Button 20-38 - 39-58 close:Released"),
            ("speech only in the tail", ".20 + .20 - .5 v9 .20", "+ - open:Button 40-59 close:Released"),
            ("nothing said", ".20 + .20 - .30", "+ - drop:OnlySilence"),
            ("a click is nothing", ".20 + .9 l2 .9 v1 .20 - .30", "+ - drop:OnlySilence"),
        ],
    );
}

#[test]
fn short_and_chattering_presses() {
    check(
        &listen(),
        &[
            ("too short", ".20 + .5 - .9", "+ - drop:TooShort"),
            ("too short and talking", ".9 v9 + v5 - v9", "+ open:Button 13-22 - 23-25 close:Mistake"),
            ("chatter is one press", ".9 + - .1 + .9 v9 - .30", "+ - + open:Button 14-27 - 28-47 close:Released"),
            (
                "the tail goes on",
                ".9 + v9 - .9 + v9 - .30",
                "+ open:Button 4-17 - 18-26 + 27-35 - 36-55 close:Released",
            ),
            (
                "after the tail",
                ".9 + v9 - .20 + v9 - .20",
                "+ open:Button 4-17 - 18-37 close:Released + open:Button 38-46 - 47-66 close:Released",
            ),
            ("edges that are none", "- .9 + + v9 + - - .20 -", "+ open:Button 4-17 - 18-37 close:Released"),
        ],
    );
}

#[test]
fn taps_open_and_close() {
    let tap = style(ButtonStyle::Tap);
    check(
        &tap,
        &[
            (
                "tap, speak, tap",
                ".9 + .5 - .90 v9 .90 + .5 - .20",
                "+ - open:Button 99-202 + 203-207 - 208-222 close:Released",
            ),
            ("tap, nothing, tap", ".9 + .5 - .90 + .5 - .20", "+ - + - drop:OnlySilence"),
            ("silence does not close", ".9 + .5 - v9 .400", "+ - open:Button 9-422"),
            ("nobody speaks for 10 s", ".9 + .5 - .1000 v90", "+ - drop:OnlySilence"),
            ("almost 10 s", ".9 + .5 - .990 v3 + - .20", "+ - open:Button 999-1006 + - 1007-1026 close:Released"),
            (
                "too long",
                ".9 + .5 - v600 + .1 - .5 + - .20",
                "+ - open:Button 9-508 close:TooLong + open:Button 609-614 - 615-619 + - 620-639 close:Released",
            ),
        ],
    );
    check(
        &style(ButtonStyle::HoldOrTap),
        &[
            ("a hold", ".9 + v50 - .20", "+ open:Button 4-58 - 59-78 close:Released"),
            ("a tap", ".9 + v20 - v80 + - .20", "+ open:Button 4-28 - 29-108 + - 109-128 close:Released"),
        ],
    );
}

#[test]
fn voice_opens_and_silence_closes() {
    check(
        &hands_free(),
        &[
            ("a sentence", ".20 v20 .30", "open:Voice 15-49 close:Silence"),
            ("two sentences", ".20 v20 .12 v20 .30", "open:Voice 15-49 close:Silence open:Voice 50-81 close:Silence"),
            ("a pause within", ".20 v20 .9 v20 .30", "open:Voice 15-78 close:Silence"),
            ("clicks", "v1 .3 v1 .3 v1 .9", ""),
            ("knocks", ".9 l40", ""),
            ("too quiet", ".9 q40", ""),
        ],
    );
}

#[test]
fn a_long_turn_is_cut_and_goes_on() {
    let sentence = "v40 .5 ".repeat(11); // 4.95 s
    check(
        &hands_free(),
        &[
            (
                "goes on",
                &format!(".9 {sentence} v40 .30"),
                "open:Voice 4-503 close:TooLong open:Voice 504-553 close:Silence",
            ),
            ("then silence", &format!(".9 {sentence} .30"), "open:Voice 4-503 close:TooLong"),
            ("a fan is no voice after a while", ".9 v900", "open:Voice 4-259 close:Silence"),
        ],
    );
}

#[test]
fn the_loudspeaker_is_not_a_voice() {
    check(
        &hands_free(),
        &[
            ("ignored while audible", "S v90", ""),
            ("and in its tail", "S v30 s v9 .20", ""),
            ("no pre-roll from the echo", "S v30 s v9 .5 v9 .20", "open:Voice 39-62 close:Silence"),
            ("a press cuts it", "S v30 + v5 s .25 v9 - .30", "+ open:Button 55-68 - 69-88 close:Released"),
            ("speech soon after the echo", "S v30 + v5 s .15 v9 - .30", "+ open:Button 30-58 - 59-78 close:Released"),
            ("a press to silence it says nothing", "S v30 + v5 s v5 .15 - .30", "+ - drop:OnlySilence"),
            ("speech under the echo", "S v30 + v3 s v40 - .30", "+ open:Button 30-72 - 73-92 close:Released"),
            ("a core that never says silent", "S v30 + v60 - .30", "+ open:Button 30-89 - 90-109 close:Released"),
            ("an open window goes on", ".9 v9 S v9 .30", "open:Voice 4-36 close:Silence"),
        ],
    );
    let headset = Listen { voice_barge_in: VoiceBargeIn::On, ..hands_free() };
    check(&headset, &[("a headset has no echo", "S .9 v9 .30", "open:Voice 4-27 close:Silence")]);
}

#[test]
fn the_button_works_hands_free() {
    check(
        &hands_free(),
        &[
            ("as push-to-talk", ".20 + .10 v9 - .30", "+ open:Button 25-38 - 39-58 close:Released"),
            ("takes a voice's window over", ".9 v9 + .40 - .30", "open:Voice 4-17 + 18-57 - 58-77 close:Released"),
            (
                "a short press leaves it",
                ".9 v9 + .3 - v9 .30",
                "open:Voice 4-17 + 18-20 - 21-23 drop:TooShort 24-39 close:Silence",
            ),
            (
                "a voice goes on after it",
                ".9 + v9 - v30 .20",
                "+ open:Button 4-17 - 18-37 close:Released open:Voice 38-57 close:Silence",
            ),
        ],
    );
}

#[test]
fn the_core_may_abort() {
    check(
        &listen(),
        &[
            ("a press", ".9 + v9 X v9 - .30", "+ open:Button 4-17 close:Mistake -"),
            (
                "before it is heard",
                ".9 + .9 X v9 - .30 + v9 - .20",
                "+ drop:Gesture - + open:Button 52-65 - 66-85 close:Released",
            ),
            ("nothing", ".9 X .9 + v9 - .20", "+ open:Button 13-26 - 27-46 close:Released"),
        ],
    );
    check(
        &style(ButtonStyle::Tap),
        &[("a tap", ".9 + - v9 X v9 + - v9", "+ - open:Button 4-17 close:Mistake + open:Button 22-26 - 27-35")],
    );
    check(
        &hands_free(),
        &[
            ("a voice", ".9 v9 X v90 .20", "open:Voice 4-17 close:Mistake"),
            (
                "a voice that speaks again",
                ".9 v9 X v9 .12 v9 .20",
                "open:Voice 4-17 close:Mistake open:Voice 34-57 close:Silence",
            ),
            ("a voice, and the sound that says so", ".9 v9 X S v30 s v30 .20", "open:Voice 4-17 close:Mistake"),
            (
                "a voice, then a press",
                ".9 v9 X v9 + v9 - .30",
                "open:Voice 4-17 close:Mistake + open:Button 22-35 - 36-55 close:Released",
            ),
        ],
    );
}

fn gestures() -> Gestures {
    Gestures { double_ms: 200, long_ms: 1000, very_long_ms: 3000, ..Agent::default().gestures }
}

#[test]
fn a_tap_listens_until_silence() {
    check_gestures(
        &style(ButtonStyle::HoldOrTap),
        &[
            ("a sentence", ".9 + .5 - .30 v30 .20", "+ - open:Button 39-83 close:Silence"),
            ("two with a pause", ".9 + .5 - .30 v30 .8 v30 .20", "+ - open:Button 39-121 close:Silence"),
            (
                "another tap ends it sooner",
                ".9 + .5 - .30 v30 + .5 - .40",
                "+ - open:Button 39-73 + 74-78 - 79-93 close:Released",
            ),
            ("a hold does not end by silence", ".9 + v40 .40 - .30", "+ open:Button 4-88 - 89-108 close:Released"),
            ("nothing", ".9 + .5 - .1000", "+ - drop:OnlySilence"),
        ],
    );
    check_gestures(
        &Listen { turn_max_s: 20, ..style(ButtonStyle::HoldOrTap) },
        &[
            ("a knock is waited out", ".9 + .5 - l9 .1000", "+ - open:Button 9-1013 close:Mistake"),
            ("a soft voice is waited for", ".9 + .5 - q9 .1100", "+ - open:Button 9-1029 close:Silence"),
        ],
    );
}

#[test]
fn presses_that_mean_something_else() {
    check_gestures(
        &style(ButtonStyle::HoldOrTap),
        &[
            ("two taps", ".9 + .5 - .15 + .5 - .50", "+ - + drop:Gesture repeat -"),
            ("two slow taps", ".9 + .5 - .21 + .5 - .50", "+ - + - drop:OnlySilence"),
            ("two taps and a knock", ".9 + .5 - l5 .5 + .5 - .50", "+ - open:Button 9-23 + close:Mistake repeat -"),
            (
                "a word between them",
                ".9 + .5 - v9 .5 + .5 - .50",
                "+ - open:Button 9-27 + 28-32 - 33-47 close:Released",
            ),
            (
                "two taps and talking on",
                ".9 + .5 - .9 + .5 - .5 + v50 - .30",
                "+ - + drop:Gesture repeat - + open:Button 28-82 - 83-102 close:Released",
            ),
            ("a long press", ".9 + .120 - .50", "+ drop:Gesture mute -"),
            ("a very long press", ".9 + .320 - .50", "+ drop:Gesture mute reset -"),
            ("a long press in a noisy place", ".9 + l120 - .50", "+ open:Button 4-108 close:Mistake mute -"),
            ("a long press with a word", ".9 + .40 v9 .90 - .50", "+ open:Button 44-147 - 148-167 close:Released"),
            ("a word a little late", ".9 + .98 v9 .90 - .50", "+ open:Button 102-108 close:Mistake mute -"),
            (
                "the press that closes, held long",
                ".9 + .5 - .30 v30 + .120 - .50",
                "+ - open:Button 39-73 + 74-93 close:Released -",
            ),
            ("a press while it speaks", "S v30 + .5 s .30 v9 - .30", "+ open:Button 60-73 - 74-93 close:Released"),
            ("a long press over its voice", "S v30 + v5 s v3 .120 - .30", "+ drop:Gesture mute -"),
            ("a mic that gives nothing", ".9 + T500 T500 T500 T5000 - .5", "+ - drop:OnlySilence"),
        ],
    );
    check_gestures(
        &style(ButtonStyle::Tap),
        &[("a long press among voices", ".9 + v120 - .50", "+ open:Button 4-108 close:Mistake mute -")],
    );
    check_gestures(
        &listen(),
        &[
            ("two presses too short to talk", ".9 + .5 - .15 + .5 - .50", "+ - drop:TooShort + drop:Gesture repeat -"),
            ("two short ones", ".9 + .10 - .15 + .5 - .50", "+ - + drop:Gesture repeat -"),
            (
                "two questions in a hurry",
                ".9 + v10 - .15 + v10 - .50",
                "+ open:Button 4-18 - 19-33 + 34-43 - 44-63 close:Released",
            ),
        ],
    );
    check_gestures(
        &hands_free(),
        &[
            ("a long press", ".9 v9 .20 + .120 - .50", "open:Voice 4-27 close:Silence + drop:Gesture mute -"),
            ("in mid-speech", ".9 v9 + .120 - .50", "open:Voice 4-17 + 18-117 close:Mistake mute -"),
        ],
    );
}

#[test]
fn while_muted_nothing_is_heard() {
    check_gestures(
        &style(ButtonStyle::HoldOrTap),
        &[
            ("a press", ".9 M + v50 - .30", "+ drop:Muted -"),
            ("a tap", ".9 M + .5 - v50 .30", "+ drop:Muted -"),
            ("in mid-press", ".9 + v9 M v90 - .30", "+ open:Button 4-17 close:Mistake -"),
            ("before it was heard", ".9 + .9 M v90 - .30", "+ drop:Muted -"),
            ("in its tail", ".9 + v9 .40 - .5 M v90 .30", "+ open:Button 4-57 - 58-62 close:Mistake"),
            ("a long press unmutes", ".9 M + v120 - .9", "+ drop:Muted mute -"),
            ("two taps", ".9 M + .5 - .9 + .5 - .9", "+ drop:Muted - + drop:Gesture repeat -"),
            ("afterwards nothing of before", ".9 M v50 m + v50 - .30", "+ open:Button 59-108 - 109-128 close:Released"),
            ("told twice", ".9 M M v9 m v50 m + v50 - .30", "+ open:Button 63-117 - 118-137 close:Released"),
        ],
    );
    check_gestures(
        &hands_free(),
        &[
            ("a voice", ".9 M v50 .20", ""),
            ("in mid-sentence", ".9 v9 M v50 .20", "open:Voice 4-17 close:Mistake"),
            ("and after", ".9 v9 M v50 m v50 .20", "open:Voice 4-17 close:Mistake open:Voice 68-127 close:Silence"),
        ],
    );
}

#[test]
fn a_voice_may_follow_a_reply() {
    let following = Listen { follow_up_s: 1, ..listen() };
    check(
        &following,
        &[
            ("it does", "S .20 s F .20 v20 .30", "follow( )follow open:Voice 35-69 close:Silence"),
            ("once", "S .20 s F .20 v20 .30 v20 .30", "follow( )follow open:Voice 35-69 close:Silence"),
            ("it does not", "S .20 s F .150 v20 .30", "follow( )follow"),
            ("the echo is none", "S .20 s F v5 .150", "follow( )follow"),
            ("who talked on behind the reply", "S .20 s F v30 .9", "follow( )follow open:Voice 29-58"),
            ("a press", "S .20 s F .20 + .5 v9 - .30", "follow( )follow + open:Button 40-53 - 54-73 close:Released"),
            ("a press in the echo", "S .20 s F .5 + .9 - .150 v20", "+ - drop:OnlySilence"),
            ("another reply", "S .20 s F .20 f .9 v20 .30", "follow( )follow"),
            ("muted", "S .20 s F .20 M v20 m v20 .30", "follow( )follow"),
            ("in an open window", ".9 + v9 F - .50 v20 .9", "+ open:Button 4-17 - 18-37 close:Released"),
        ],
    );
    check(&listen(), &[("where it is off", "S .20 s F .50 v20 .30", "")]);
    check(
        &Listen { mode: ListenMode::HandsFree, ..following },
        &[("hands-free it means nothing", "S .20 s F .20 v20 .30", "open:Voice 35-69 close:Silence")],
    );
}

#[test]
fn a_wake_word_opens_the_gate_for_a_voice() {
    check(
        &Listen { mode: ListenMode::WakeWord, follow_up_s: 1, ..listen() },
        &[
            ("nobody said it", ".9 v50 .20", ""),
            ("speech after it", ".9 v50 W .20 v20 .30 v20", "woken open:Voice 74-108 close:Silence"),
            ("in one breath", ".9 v50 W v20 .30", "woken open:Voice 54-88 close:Silence"),
            ("nothing after it", ".9 W .900 v20 .20", "woken drop:OnlySilence"),
            ("almost too late", ".9 W .790 v20 .20", "woken open:Voice 794-828 close:Silence"),
            ("a press instead", ".9 W .20 + v9 - .20 v20", "woken + open:Button 24-37 - 38-57 close:Released"),
            ("while muted", ".9 M W v20 m .20", ""),
            ("in a window", ".9 + v9 W v9 - .30", "+ open:Button 4-26 - 27-46 close:Released"),
            ("in a follow-up", "S .20 s F .20 W .20 v20 .30", "follow( )follow woken open:Voice 55-89 close:Silence"),
        ],
    );
}

#[test]
fn what_the_microphone_loses() {
    check(
        &listen(),
        &[
            ("hops", ".9 + v9 L5 v9 - .20", "+ open:Button 4-17 lost:5 18-26 - 27-46 close:Released"),
            ("hops in silence", ".9 L5 L0 .9", "lost:5"),
            ("a moment", ".9 + v9 T900 v9 - .20", "+ open:Button 4-26 - 27-46 close:Released"),
            ("itself", ".9 + v9 T1100 - .9", "+ open:Button 4-17 close:MicLost -"),
            (
                "itself, and comes back",
                ".9 + v9 T1100 v9 - .20",
                "+ open:Button 4-17 close:MicLost open:Button 18-26 - 27-46 close:Released",
            ),
            ("itself, before anything was said", ".9 + .9 T1100 - T10 .30", "+ - drop:OnlySilence"),
            ("itself in the tail", ".9 + v9 - T1100 .30", "+ open:Button 4-17 - close:MicLost"),
            ("pre-roll of another time", "v9 T1100 + v9 - .20", "+ open:Button 9-17 - 18-37 close:Released"),
        ],
    );
    check(
        &hands_free(),
        &[
            ("a voice", ".9 v9 T1100 T1100 .30", "open:Voice 4-17 close:MicLost"),
            ("a voice, found by the next hop", ".9 v9 T990 .1 .30", "open:Voice 4-27 close:Silence"),
        ],
    );
    check(&style(ButtonStyle::Tap), &[("a tap", ".9 + - .9 T1100 v9", "+ - drop:OnlySilence")]);
}

#[test]
fn messages_are_as_long_as_configured() {
    for (message_ms, expected) in [(20, [2, 2, 2, 2, 1]), (40, [4, 4, 1, 0, 0]), (10, [1, 1, 1, 1, 1])] {
        let mut story = Story::new(&Listen { message_ms, tail_ms: 0, preroll_ms: 0, ..listen() });
        story.tell(".20 + v8 - .1 .9");
        let lengths = story.said.iter().filter_map(|event| match event {
            GateEvent::Speech(speech) => Some(speech.frames().len() / HOP_FRAMES),
            _ => None,
        });
        assert_eq!(lengths.chain([0; 5]).take(5).collect::<Vec<_>>(), expected, "{message_ms} ms");
    }
}

#[test]
fn the_queue_never_grows() {
    let mut story = Story::new(&Listen { preroll_ms: 2000, echo_tail_ms: 2000, message_ms: 20, ..hands_free() });
    let room = story.gate.window.room();
    story.tell("v900 + v900 - .900 S v900 + v900 - .900");
    assert_eq!(story.gate.window.room(), room);
}

fn any_word() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => (prop::sample::select(vec!['.', 'v', 'l', 'q']), 1..40u32).prop_map(|(kind, hops)| format!("{kind}{hops}")),
        2 => (prop::sample::select(vec!['.', 'v']), 1..700u32).prop_map(|(kind, hops)| format!("{kind}{hops}")),
        8 => prop::sample::select(vec!["+", "-", "- +", "+ -"]).prop_map(String::from),
        2 => prop::sample::select(vec!["S", "s", "X", "L2", "M", "m", "F", "f", "W"]).prop_map(String::from),
        1 => (1..3000u32).prop_map(|ms| format!("T{ms}")),
    ]
}

fn any_listen() -> impl Strategy<Value = Listen> {
    let modes = prop::sample::select(vec![ListenMode::PushToTalk, ListenMode::HandsFree, ListenMode::WakeWord]);
    let styles = prop::sample::select(vec![ButtonStyle::Hold, ButtonStyle::Tap, ButtonStyle::HoldOrTap]);
    let barge_ins = prop::sample::select(vec![VoiceBargeIn::Off, VoiceBargeIn::On]);
    let lengths = (10..500u32, 100..1500u32, 0..2000u32, 0..2000u32, 0..500u32, 0..2000u32);
    (modes, styles, barge_ins, lengths, prop::sample::select(vec![10, 20, 30, 40])).prop_map(
        |(mode, button, voice_barge_in, lengths, message_ms)| {
            let (onset_ms, hangover_ms, preroll_ms, tail_ms, min_press_ms, echo_tail_ms) = lengths;
            let follow_up_s = onset_ms % 3;
            let times = Listen { onset_ms, hangover_ms, preroll_ms, tail_ms, min_press_ms, echo_tail_ms, ..listen() };
            let times = Listen { follow_up_s, ..times };
            Listen { mode, button, voice_barge_in, message_ms, ..times }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_story_keeps_the_invariants(listen in any_listen(), story in prop::collection::vec(any_word(), 1..60)) {
        let mut told = Story::with(&listen, &gestures());
        let room = told.gate.window.room();
        told.tell(&story.join(" "));
        // A button left down, or a tap left open, may listen on; a release and another tap end that.
        told.tell("m - .1100");
        if told.gate.button.is_latched() {
            told.tell("+ - .400");
        }
        told.tell(".400");
        prop_assert!(!told.gate.is_open(), "open after a quiet time");
        prop_assert_eq!(told.gate.window.room(), room, "the queue grew");
        check_invariants(&told.said, (listen.message_ms / HOP_MS) as usize);
        let opened = told.said.iter().filter(|event| matches!(event, GateEvent::Opened(_))).count();
        let closed = told.said.iter().filter(|event| matches!(event, GateEvent::Closed(_))).count();
        prop_assert_eq!(opened, closed);
    }
}

/// Prints the cost of a hop with the real detector: `cargo test --release --lib gate -- --ignored --nocapture`.
#[test]
#[ignore = "a figure, not a check"]
#[allow(clippy::print_stdout)]
fn cost_of_a_hop() {
    let mut gate = Gate::new(&hands_free(), Box::new(vad::WebRtc::new(2)));
    let hops: Vec<Hop> =
        (0..20_000u64).map(|i| hop(if i / 100 % 2 == 0 { 'v' } else { '.' }, i, Time::from_ms(10 * i))).collect();
    let begun = std::time::Instant::now();
    for hop in &hops {
        gate.handle_hop(hop);
        while let Some(event) = gate.poll_output() {
            std::hint::black_box(event);
        }
    }
    println!("{} ns a hop", begun.elapsed().as_nanos() / hops.len() as u128);
}
