//! Scenes in a synthetic room: a loudspeaker that talks, people who talk over it, through ears and gate.
#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;
use std::time::Duration;

use super::room::{Dice, Path, World, talk};
use super::*;
use crate::config::agent::{Agent, Canceller, Listen, ListenMode};
use crate::flow::{GateEvent, GateNote};
use crate::gate::Gate;
use crate::gate::vad::WebRtc;

/// Peak of what the loudspeaker plays, S16: nearly all it can.
const LOUD: f32 = 28_000.0;

/// Ears and gate in a room, hop by hop; a reply stops when a voice cuts it, and goes on when all is said.
pub(super) struct Scene {
    world: World,
    ears: Ears,
    gate: Gate,
    /// What the loudspeaker says, over and over; S16.
    text: Vec<f32>,
    read: usize,
    /// What it has played, by the microphone's clock.
    played: Vec<f32>,
    /// The microphone's hops that wait for their far-end copy.
    waiting: VecDeque<Hop>,
    /// How much faster the loudspeaker's clock is, parts in a million, and how much stamps jitter, µs.
    pub(super) drift_ppm: f64,
    pub(super) jitter_us: f32,
    /// Whether the far-end copy is of something else.
    pub(super) is_copy_wrong: bool,
    fars: u64,
    dice: Dice,
    is_cut: bool,
    /// Hops so far.
    pub(super) hops: u64,
    /// What the gate said, but for speech, with the number of the hop.
    pub(super) said: Vec<(u64, GateEvent)>,
    /// Power before and after the ears, summed since [`Scene::erle_db`].
    before: f32,
    after: f32,
    /// Stamps of the sound that was sent first and last in the newest window.
    pub(super) sent: (Time, Time),
}

impl Scene {
    pub(super) fn new(path: Path, text: &[f32], level: f32) -> Scene {
        let agent = Agent::default();
        let listen = Listen { mode: ListenMode::HandsFree, ..agent.listen };
        let mut gate = Gate::new(&listen, Box::new(WebRtc::new(listen.vad_mode)));
        gate.handle_note(GateNote::SpeakerAudible(true));
        Scene {
            world: World::new(path, 7),
            ears: Ears::new(&Echo { canceller: Canceller::On, ..agent.echo }),
            gate,
            text: text.iter().map(|sample| sample * level).collect(),
            read: 0,
            played: Vec::new(),
            waiting: VecDeque::new(),
            drift_ppm: 0.0,
            jitter_us: 0.0,
            is_copy_wrong: false,
            fars: 0,
            dice: Dice(3),
            is_cut: false,
            hops: 0,
            said: Vec::new(),
            before: 0.0,
            after: 0.0,
            sent: (Time::ZERO, Time::ZERO),
        }
    }

    /// Lets time pass.
    pub(super) fn wait(&mut self, ms: u64) {
        (0..ms / 10).for_each(|_| self.hop(&[]));
    }

    /// Says something here (`[frames, 1 channel] f32`, peak 1) with a peak of `level`.
    pub(super) fn say(&mut self, sound: &[f32], level: f32) {
        for hop in sound.chunks(HOP_FRAMES) {
            let hop: Vec<f32> = hop.iter().map(|sample| sample * level).collect();
            self.hop(&hop);
        }
    }

    /// ERLE since it was asked for last, of all that came to the microphone.
    pub(super) fn erle_db(&mut self) -> f32 {
        let erle_db = 10.0 * (self.before / self.after.max(1.0)).log10();
        (self.before, self.after) = (0.0, 0.0);
        erle_db
    }

    pub(super) fn figures(&self) -> Figures {
        self.ears.figures()
    }

    /// One hop, in which `near` is said (`[≤ 160 frames, 1 channel] f32`, S16).
    fn hop(&mut self, near: &[f32]) {
        let mut far = [0.0; HOP_FRAMES];
        if !self.is_cut {
            far.copy_from_slice(&self.text[self.read..self.read + HOP_FRAMES]);
            self.read = (self.read + HOP_FRAMES) % (self.text.len() / HOP_FRAMES * HOP_FRAMES);
        }
        self.hops += 1;
        self.played.extend(far);
        let frames = self.world.hear(&far, near);
        let at = self.stamp(self.hops as f64 * 0.01);
        self.waiting.push_back(Hop { at, frames });
        self.give_far();
        // Two hops: the copy is read a period ahead, and interpolated.
        if self.waiting.len() > 2 {
            let hop = self.waiting.pop_front().unwrap();
            self.hear(&hop);
        }
    }

    fn stamp(&mut self, time_s: f64) -> Time {
        Time::from_us((1e6 + time_s * 1e6 + f64::from(self.jitter_us * self.dice.roll())) as u64)
    }

    /// The far-end copy as the loudspeaker's clock cuts it.
    fn give_far(&mut self) {
        let speed = 1.0 + self.drift_ppm / 1e6;
        loop {
            let first = self.fars as f64 * HOP_FRAMES as f64 / speed;
            let end = first + HOP_FRAMES as f64 / speed;
            if end + 9.0 > self.played.len() as f64 {
                return;
            }
            let mut frames = std::array::from_fn(|i| between(&self.played, first + i as f64 / speed) as i16);
            if self.is_copy_wrong {
                frames.iter_mut().for_each(|sample| *sample = (10_000.0 * self.dice.roll()) as i16);
            }
            let at = self.stamp(end / 16_000.0);
            self.ears.handle_far(&Hop { at, frames });
            self.fars += 1;
        }
    }

    fn hear(&mut self, mic: &Hop) {
        assert!(!self.ears.wants_far(mic.at, false) || self.jitter_us > 0.0, "the copy is there");
        let heard = self.ears.hear(mic, self.gate.is_open());
        let power = |hop: &Hop| hop.frames.iter().map(|&sample| f32::from(sample).powi(2)).sum::<f32>();
        self.before += power(mic);
        self.after += power(&heard.hop);
        self.gate.handle_heard(&heard);
        while let Some(event) = self.gate.poll_output() {
            match event {
                GateEvent::Opened(_) => (self.is_cut, self.sent.0) = (true, Time::ZERO),
                GateEvent::Closed(_) => self.is_cut = false,
                GateEvent::Speech(speech) => {
                    let begins = speech.at.back(Duration::from_millis(speech.frames().len() as u64 / 16));
                    self.sent = (if self.sent.0 == Time::ZERO { begins } else { self.sent.0 }, speech.at);
                    continue;
                }
                _ => {}
            }
            self.said.push((self.hops, event));
        }
    }

    /// How many windows opened since hop `from`.
    pub(super) fn opened_since(&self, from: u64) -> usize {
        self.said.iter().filter(|(hop, event)| *hop >= from && matches!(event, GateEvent::Opened(_))).count()
    }
}

/// The sound between two frames: a sinc of 16 points under a Hann window.
fn between(sound: &[f32], place: f64) -> f32 {
    let (before, part) = (place.floor() as i64, place.fract());
    let mut sum = 0.0;
    for tap in -7..=8i64 {
        let x = std::f64::consts::PI * (tap as f64 - part);
        let window = 0.5 + 0.5 * (x / 8.0).cos();
        let weight = if x.abs() < 1e-9 { 1.0 } else { window * x.sin() / x };
        let sample = usize::try_from(before + tap).ok().and_then(|place| sound.get(place)).copied().unwrap_or(0.0);
        sum += weight * f64::from(sample);
    }
    sum as f32
}

/// What the loudspeaker says in these tests.
fn text() -> Vec<f32> {
    talk(20, 120.0, 1)
}

#[test]
fn a_plain_room_is_learned_within_three_seconds_and_never_answers_itself() {
    let mut scene = Scene::new(Path::default(), &text(), LOUD);
    scene.wait(3000);
    scene.erle_db();
    scene.wait(30_000);
    let erle_db = scene.erle_db();
    assert!(erle_db >= 25.0, "{erle_db} dB");
    assert_eq!(scene.opened_since(0), 0, "{:?}", scene.said);
    assert_eq!(scene.figures().duplex, Some(Duplex::Full));
}

#[test]
fn two_sound_cards_that_drift_are_cancelled_too() {
    let mut scene = Scene::new(Path::default(), &text(), LOUD);
    (scene.drift_ppm, scene.jitter_us) = (100.0, 2000.0);
    scene.wait(3000);
    scene.erle_db();
    scene.wait(20_000);
    let erle_db = scene.erle_db();
    assert!(erle_db >= 18.0, "{erle_db} dB");
    assert_eq!(scene.opened_since(0), 0, "{:?}", scene.said);
    assert!((scene.figures().drift_ppm - 100.0).abs() < 50.0, "{:?}", scene.figures());
}

#[test]
fn a_loudspeaker_that_clips_does_not_interrupt_itself() {
    let mut scene = Scene::new(Path { clips_at: 8000.0, gain: 1.0, ..Path::default() }, &text(), LOUD);
    scene.wait(40_000);
    assert_eq!(scene.opened_since(0), 0, "{:?}", scene.said);
}

#[test]
fn a_voice_over_the_reply_cuts_it_in_time_and_whole() {
    let mut scene = Scene::new(Path::default(), &text(), LOUD);
    scene.wait(15_000); // until the room is known
    let mut late = Vec::new();
    for talker in 0..8 {
        let sound = talk(1, 170.0 + 15.0 * talker as f32, 20 + talker);
        let begins = sound.iter().position(|sample| sample.abs() > 0.05).unwrap();
        let from = scene.hops;
        scene.say(&sound[begins..], 12_000.0);
        let opened = scene.said.iter().find(|(hop, event)| *hop > from && matches!(event, GateEvent::Opened(_)));
        late.push(opened.map(|(hop, _)| 10 * (hop - from)));
        assert!(
            opened.is_none() || scene.sent.0 <= Time::from_ms(1000 + 10 * from),
            "{talker}: the beginning is missing"
        );
        scene.wait(3000);
    }
    // One of these begins with a hiss that is no voice; the figures for real voices are the bench's.
    assert!(late.iter().all(|late| late.is_some_and(|late| late <= 350)), "{late:?}");
    assert!(late.iter().flatten().filter(|&&late| late <= 250).count() >= 7, "{late:?}");
}

#[test]
fn a_canceller_that_fails_closes_the_microphone_and_opens_it_when_it_is_good_again() {
    let mut scene = Scene::new(Path::default(), &text(), LOUD);
    scene.wait(5000);
    assert_eq!(scene.figures().duplex, Some(Duplex::Full));
    scene.is_copy_wrong = true;
    scene.wait(10_000);
    assert_ne!(scene.figures().duplex, Some(Duplex::Full), "{:?}", scene.figures());
    assert!(scene.opened_since(0) <= 1, "it cuts one reply at most: {:?}", scene.said);
    let from = scene.hops;
    scene.wait(5000);
    assert_eq!(scene.opened_since(from), 0, "{:?}", scene.said);
    scene.is_copy_wrong = false;
    scene.wait(15_000);
    assert_eq!(scene.figures().duplex, Some(Duplex::Full), "{:?}", scene.figures());
    let told = scene.said.iter().filter(|(_, event)| matches!(event, GateEvent::Echo { .. })).count();
    assert!(told <= 3, "{:?}", scene.said);
}

#[test]
fn without_a_canceller_a_hop_stays_as_it_is() {
    let echo = Echo {
        canceller: Canceller::Off,
        noise_suppression: crate::config::agent::NoiseSuppression::Off,
        ..Agent::default().echo
    };
    let mut ears = Ears::new(&echo);
    let near = Hop { at: Time::from_ms(10), frames: std::array::from_fn(|i| i as i16 * 200) };
    let heard = ears.hear(&near, false);
    assert_eq!((heard.hop.frames, heard.room), (near.frames, Room::SILENT));
}

/// Prints the cost of a hop: `cargo test --release --lib ears -- --ignored --nocapture`.
#[test]
#[ignore = "a figure, not a check"]
#[allow(clippy::print_stdout)]
fn cost_of_a_hop() {
    let mut ears = Ears::new(&Echo { canceller: Canceller::On, ..Agent::default().echo });
    let sound = text();
    let hops: Vec<[i16; HOP_FRAMES]> =
        sound.as_chunks::<HOP_FRAMES>().0.iter().map(|hop| hop.map(|sample| (9000.0 * sample) as i16)).collect();
    let begun = std::time::Instant::now();
    for (number, frames) in (1..).zip(&hops) {
        ears.handle_far(&Hop { at: Time::from_ms(1010 + 10 * number), frames: *frames });
        std::hint::black_box(ears.hear(&Hop { at: Time::from_ms(1000 + 10 * number), frames: *frames }, false));
    }
    println!("{} ns a hop", begun.elapsed().as_nanos() / hops.len() as u128);
}
