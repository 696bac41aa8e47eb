//! The detector on recordings: an owner's word is found, other words are not, and neither is the loudspeaker's.
#![allow(clippy::unwrap_used)]

use std::io::Cursor;
use std::sync::OnceLock;

use super::cut::cut;
use super::model::{ModelTrouble, Saying};
use super::*;
use crate::audio::{resample, wav};
use crate::gate::vad::{Vad, WebRtc};
use crate::units::Hertz;

macro_rules! sounds {
    ($($name:literal),*) => { [$(($name, include_bytes!(concat!("../../../tests/wake/", $name, ".wav")))),*] };
}

const OWNER: [(&str, &[u8]); 4] = sounds!("owner_1", "owner_2", "owner_3", "owner_4");
/// The owner says it again.
pub const AGAIN: [(&str, &[u8]); 4] = sounds!("again_fast", "again_slow", "again_high", "again_low");
const OTHERS: [(&str, &[u8]); 4] = sounds!("other_morning", "other_yellow", "other_maria", "other_minor");
/// The owner says other things.
pub const SENTENCES: [(&str, &[u8]); 2] = [
    ("ask_bird", include_bytes!("../../cli/sounds/ask_bird.wav")),
    ("say_hello", include_bytes!("../../cli/sounds/say_hello.wav")),
];

/// The sensitivity that the configuration has by default.
const USUAL: u32 = 50;

/// A recording: `[frames, 1 channel] S16 @ 16 kHz`.
pub fn frames(wav: &[u8]) -> Vec<i16> {
    let sound = wav::decode(Cursor::new(wav), "test").unwrap();
    resample::whole(&sound.frames, sound.rate, Hertz(16_000)).unwrap()
}

fn saying(wav: &[u8]) -> Saying {
    let recording = in_a_room(&frames(wav), 40.0);
    cut(recording.as_flattened(), recording.as_flattened()).unwrap().saying
}

/// The owner's word.
pub fn owner() -> Model {
    static MADE: OnceLock<Model> = OnceLock::new();
    MADE.get_or_init(|| Model::new(OWNER.iter().map(|(_, wav)| saying(wav)).collect()).unwrap()).clone()
}

/// White noise, as loud as `rms`; the same for the same seed.
struct Noise(u64, f32);

impl Iterator for Noise {
    type Item = f32;
    fn next(&mut self) -> Option<f32> {
        let mut draw = || {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 40) as f32 / (1u64 << 24) as f32 - 0.5
        };
        Some(self.1 * (draw() + draw() + draw()) * 2.0)
    }
}

/// A second of a room, the sound, half a second of the room; the room `snr_db` below the sound.
pub fn in_a_room(sound: &[i16], snr_db: f32) -> Vec<[i16; HOP_FRAMES]> {
    let rms = 32_768.0 * 10f32.powf((rms_dbfs(sound).0 - snr_db) / 20.0);
    let all = std::iter::repeat_n(&0, 16_000).chain(sound).chain(std::iter::repeat_n(&0, 8_000));
    let frames: Vec<i16> = all.zip(Noise(7, rms)).map(|(frame, noise)| (f32::from(*frame) + noise) as i16).collect();
    frames.as_chunks().0.to_vec()
}

/// How often the word is heard in `hops` while the loudspeaker plays `far` (silence where there is none).
fn heard(model: &Model, percent: u32, hops: &[[i16; HOP_FRAMES]], far: &[[i16; HOP_FRAMES]]) -> (u32, u64) {
    let mut detector = Templates::new(model, percent);
    let mut vad = WebRtc::new(2);
    let mut times = 0;
    for (n, hop) in hops.iter().enumerate() {
        if let Some(far) = far.get(n) {
            detector.hear_far(far);
        }
        times += u32::from(detector.hear(hop, vad.is_voiced(hop), n < far.len()));
    }
    (times, detector.vetoed())
}

fn times(wav: &[u8], snr_db: f32) -> u32 {
    heard(&owner(), USUAL, &in_a_room(&frames(wav), snr_db), &[]).0
}

#[test]
fn the_owners_word_is_heard_once_each_time_it_is_said() {
    for (name, wav) in OWNER.iter().chain(&AGAIN) {
        assert_eq!(times(wav, 40.0), 1, "{name}");
    }
}

#[test]
fn the_owners_word_is_heard_through_noise() {
    for (name, wav) in AGAIN {
        assert_eq!(times(wav, 15.0), 1, "{name}");
    }
}

#[test]
fn other_words_and_sentences_of_the_same_voice_are_not_the_word() {
    for (name, wav) in OTHERS.iter().chain(&SENTENCES) {
        assert_eq!(times(wav, 40.0), 0, "{name}");
    }
}

#[test]
fn other_words_in_noise_are_not_the_word() {
    // "hello Maria" is left out: through noise it is "hello mynah" to this detector.
    for (name, wav) in OTHERS.iter().filter(|(name, _)| *name != "other_maria") {
        assert_eq!(times(wav, 15.0), 0, "{name}");
    }
}

#[test]
fn a_word_in_mid_speech_is_heard_too() {
    let (before, word, after) = (frames(SENTENCES[0].1), frames(AGAIN[2].1), frames(OTHERS[0].1));
    let hops = in_a_room(&[before, word, after].concat(), 40.0);
    assert_eq!(heard(&owner(), USUAL, &hops, &[]).0, 1);
}

#[test]
fn noise_alone_is_not_the_word_even_where_it_is_taken_for_voice() {
    let mut detector = Templates::new(&owner(), 100);
    let noise: Vec<i16> = Noise(3, 2000.0).map(|frame| frame as i16).take(16_000 * 5).collect();
    assert!(!noise.as_chunks().0.iter().any(|hop| detector.hear(hop, true, false)));
}

#[test]
fn nothing_is_heard_where_nobody_speaks() {
    let mut detector = Templates::new(&owner(), 100);
    let hops = in_a_room(&frames(OWNER[0].1), 40.0);
    assert!(
        !hops.iter().any(|hop| detector.hear(hop, false, false)),
        "a voice was not heard by the detector of voices"
    );
}

#[test]
fn the_loudspeakers_own_word_is_refused_and_a_person_is_heard_over_other_speech_of_it() {
    let word = in_a_room(&frames(AGAIN[0].1), 40.0);
    let echo_hops = 8;
    // The microphone hears 80 ms later, 12 dB softer, what the loudspeaker plays.
    let echo: Vec<[i16; HOP_FRAMES]> = std::iter::repeat_n([0; HOP_FRAMES], echo_hops)
        .chain(word.iter().map(|hop| hop.map(|frame| frame / 4)))
        .collect();
    assert_eq!(heard(&owner(), USUAL, &echo, &word), (0, 1), "its own voice");
    let other = in_a_room(&frames(SENTENCES[1].1), 40.0);
    assert_eq!(heard(&owner(), USUAL, &word, &other[..word.len().min(other.len())]), (1, 0), "a person's");
    // A far-end matcher that is late by less than it is waited for.
    let late: Vec<[i16; HOP_FRAMES]> = std::iter::repeat_n([0; HOP_FRAMES], 10).chain(word.iter().copied()).collect();
    assert_eq!(heard(&owner(), USUAL, &word, &late).0, 0, "the copy came late");
}

#[test]
fn a_word_that_the_loudspeaker_said_long_ago_vetoes_nothing() {
    let word = in_a_room(&frames(AGAIN[0].1), 40.0);
    let silent = vec![[0; HOP_FRAMES]; word.len()];
    let pause = vec![[0; HOP_FRAMES]; VETO_HOPS as usize];
    let near = [silent, pause, word.clone()].concat();
    assert_eq!(heard(&owner(), USUAL, &near, &word), (1, 0));
}

#[test]
fn more_sensitive_hears_more() {
    let (strict, easy) = (model::threshold(0), model::threshold(100));
    assert!(strict < model::threshold(50) && model::threshold(50) < easy && easy == model::threshold(700));
    let found = |percent: u32| -> u32 {
        let hops = |wav: &[u8]| in_a_room(&frames(wav), 10.0);
        AGAIN.iter().map(|(_, wav)| heard(&owner(), percent, &hops(wav), &[]).0).sum()
    };
    assert!(found(0) < found(100), "{} {}", found(0), found(100));
}

#[test]
fn sayings_that_are_not_one_word_make_no_model() {
    let of = |wavs: &[&[u8]]| Model::new(wavs.iter().map(|wav| saying(wav)).collect());
    let [a, b, c, d] = OWNER.map(|(_, wav)| wav);
    assert_eq!(of(&[a, b]), Err(ModelTrouble::Count(2)));
    assert_eq!(of(&[a, b, c, OTHERS[1].1, d]), Err(ModelTrouble::Odd(4)));
    let apart = of(&[a, OTHERS[0].1, OTHERS[1].1, OTHERS[3].1]);
    assert!(matches!(apart, Err(ModelTrouble::Apart { .. } | ModelTrouble::Odd(_))), "{apart:?}");
    assert!(of(&[a, b, c]).is_ok());
}
