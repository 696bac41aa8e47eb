//! A scene: a device that speaks in a simulated room and somebody who speaks over it, hop by hop on a virtual clock.
//!
//! The loop is closed as in the daemon: the far-end copy comes with the times at which it is heard, a hop of the
//! microphone waits for it, a suspicion ducks the reply and a window that opens cuts it.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use mynah::audio::{HOP_FRAMES, HOP_MS, Hop};
use mynah::config::agent::{Agent, Canceller, Echo, Listen, ListenMode, NoiseSuppression, VadKind, VoiceBargeIn};
use mynah::flow::{Duplex, GateEvent, GateNote};
use mynah::gate::ears::Ears;
use mynah::gate::{Gate, vad};
use mynah::units::Time;

use crate::corpus::{SPEECH_DB, Utterance};
use crate::room::{Convolver, Loudspeaker, NoBass, Tape, Walls};
use crate::signal::{self, Noise, RATE, Random, from_db};
use crate::tally::{Tally, Trial};

/// Active level of a reply at full volume, as it is written, dBFS: the service's speech is about so loud.
const REPLY_DB: f32 = -18.0;

/// How long the gate's thread waits for far-end copy (gate/run.rs).
const FAR_WAIT: Duration = Duration::from_millis(40);

/// From an event of the gate to the loudspeaker, hops: core, speaker's thread, what the device has buffered.
const REACTION_HOPS: u64 = 6;

/// A ducked reply and how fast it gets there and back, per frame (speaker/duck.rs).
const DUCKED: f32 = 0.178;
const DUCK_DOWN: f32 = (1.0 - DUCKED) / (RATE as f32 * 0.03);
const DUCK_UP: f32 = (1.0 - DUCKED) / (RATE as f32 * 0.25);

/// The speaker's thread gives its copy up to so late, ms: its period.
const FAR_LATE_MS: f32 = 10.0;

/// Hops between the end of a window and the reply to it.
const ANSWER_HOPS: u64 = 120;
/// Lengths of replies that nobody cuts, and of the silence after them, hops.
const REPLY_HOPS: Range<f32> = 600.0..2400.0;
const PAUSE_HOPS: Range<f32> = 100.0..300.0;

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Scene {
    /// As the tables name it.
    pub name: &'static str,
    /// The room.
    pub walls: Walls,
    /// From what the stamps say to what the microphone hears, ms.
    pub delay_ms: f32,
    /// How much faster the loudspeaker's clock runs, parts in a million.
    pub drift_ppm: f64,
    /// Echo over the user's speech at the microphone, dB.
    pub echo_db: f32,
    /// The loudspeaker.
    pub loudspeaker: Loudspeaker,
    /// Noise so many dB under the user's speech.
    pub noise: Option<(Noise, f32)>,
    /// Stamps are wrong by up to this, ms.
    pub jitter_ms: f32,
    /// After so many seconds somebody moves the device.
    pub moves_at_s: Option<u64>,
    /// Whether somebody speaks over the replies.
    pub barge_ins: bool,
    /// Noise suppression: off where the canceller itself is measured.
    pub noise_suppression: NoiseSuppression,
    /// How long, s.
    pub seconds: u64,
    /// The seed.
    pub seed: u64,
}

impl Scene {
    /// The plain room: a furnished one, loudspeaker and user equally loud at the microphone, one clock.
    pub fn plain(seconds: u64, seed: u64) -> Scene {
        Scene {
            name: "plain",
            walls: Walls { rt60_s: 0.2, direct_db: 6.0 },
            delay_ms: 40.0,
            drift_ppm: 0.0,
            echo_db: 0.0,
            loudspeaker: Loudspeaker::Linear,
            noise: None,
            jitter_ms: 0.5,
            moves_at_s: None,
            barge_ins: false,
            noise_suppression: Agent::default().echo.noise_suppression,
            seconds,
            seed,
        }
    }
}

/// The speech of a bench.
#[derive(Clone, Copy)]
pub struct Voices<'a> {
    /// Who speaks to the device.
    pub user: &'a [Utterance],
    /// What the device says.
    pub reply: &'a [Utterance],
    /// Who talks in the background.
    pub crowd: &'a [Utterance],
}

/// The loudspeaker's side: reply, ducking, cut, far-end copy, the tape that the microphone's clock reads.
struct Speaker<'a> {
    reply: &'a [Utterance],
    random: Random,
    /// What is being said, and how far.
    saying: Option<(usize, usize)>,
    pause_frames: usize,
    is_playing: bool,
    gain: f32,
    is_ducked: bool,
    far: Vec<i16>,
    /// Copies with the time at which the gate gets them.
    copies: VecDeque<(Time, Hop)>,
    tape: Tape,
    no_bass: NoBass,
    /// Frames of its clock in a second of the microphone's.
    rate: f64,
    loudspeaker: Loudspeaker,
    jitter_ms: f32,
    last_heard: Time,
}

impl Speaker<'_> {
    /// Plays a frame.
    fn step(&mut self) {
        let sample = self.next_sample();
        self.tape.push(self.no_bass.pass(self.loudspeaker.play(sample)));
        if self.is_playing {
            self.far.push((sample * 32_768.0).clamp(-32_768.0, 32_767.0) as i16);
            self.give_copy();
        }
    }

    fn next_sample(&mut self) -> f32 {
        let wanted = if self.is_ducked { DUCKED } else { 1.0 };
        self.gain += (wanted - self.gain).clamp(-DUCK_DOWN, DUCK_UP);
        if !self.is_playing {
            return 0.0;
        }
        if self.pause_frames > 0 {
            self.pause_frames -= 1;
            return 0.0;
        }
        let (number, at) = self.saying.unwrap_or_else(|| (self.random.below(self.reply.len()), 0));
        let frames = &self.reply[number].frames;
        self.saying = (at + 1 < frames.len()).then_some((number, at + 1));
        if self.saying.is_none() {
            self.pause_frames = RATE * 2 / 10 + self.random.below(RATE / 2);
        }
        frames[at] * from_db(REPLY_DB - SPEECH_DB) * self.gain
    }

    /// Gives a hop of the copy, stamped with when it is heard.
    fn give_copy(&mut self) {
        if self.far.len() < HOP_FRAMES {
            return;
        }
        let heard_us = self.tape.written() as f64 / self.rate * 1e6;
        let jitter_us = f64::from(self.random.between(-self.jitter_ms, self.jitter_ms)) * 1000.0;
        let late_us = f64::from(self.random.between(0.0, FAR_LATE_MS)) * 1000.0;
        let at = Time::from_us((heard_us + jitter_us).max(0.0) as u64);
        self.last_heard = self.last_heard.max(Time::from_us((heard_us + late_us) as u64));
        let frames = std::array::from_fn(|i| self.far[i]);
        self.copies.push_back((self.last_heard, Hop { at, frames }));
        self.far.clear();
    }

    fn start(&mut self) {
        self.is_playing = true;
        (self.gain, self.is_ducked) = (1.0, false);
    }

    fn stop(&mut self) {
        self.is_playing = false;
        self.saying = None;
        self.far.clear();
    }
}

/// What is to happen later.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Later {
    Duck(bool),
    Cut,
    Reply,
}

/// A scene under way.
pub struct Play<'a> {
    scene: &'a Scene,
    voices: Voices<'a>,
    random: Random,
    speaker: Speaker<'a>,
    room: Convolver,
    echo_gain: f32,
    noise: Vec<f32>,
    ears: Ears,
    gate: Gate,
    waiting: VecDeque<Hop>,
    later: Vec<(u64, Later)>,
    /// The user's utterance, and the hop at which it begins.
    said: Option<(usize, u64)>,
    next_said: u64,
    reply_ends: u64,
    hop: u64,
    tally: Tally,
}

impl<'a> Play<'a> {
    /// A scene before it begins, with a detector.
    pub fn new(scene: &'a Scene, voices: Voices<'a>, vad: VadKind) -> Play<'a> {
        let mut random = Random::new(scene.seed);
        let listen =
            Listen { mode: ListenMode::HandsFree, voice_barge_in: VoiceBargeIn::Auto, vad, ..Agent::default().listen };
        let echo =
            Echo { canceller: Canceller::On, noise_suppression: scene.noise_suppression, ..Agent::default().echo };
        let (kind, level) = scene.noise.map_or((Noise::Pink, -75.0), |(kind, snr)| (kind, SPEECH_DB - snr));
        // Half a minute of noise that repeats itself: nothing here remembers for so long.
        let noise = kind.make(30 * RATE, level, voices.crowd, &mut random);
        Play {
            room: Convolver::new(&scene.walls.response(&mut random)),
            speaker: Speaker {
                reply: voices.reply,
                random: Random::new(scene.seed + 1),
                saying: None,
                pause_frames: 0,
                is_playing: false,
                gain: 1.0,
                is_ducked: false,
                far: Vec::new(),
                copies: VecDeque::new(),
                tape: Tape::default(),
                no_bass: NoBass::default(),
                rate: RATE as f64 * (1.0 + scene.drift_ppm * 1e-6),
                loudspeaker: scene.loudspeaker,
                jitter_ms: scene.jitter_ms,
                last_heard: Time::ZERO,
            },
            echo_gain: from_db(SPEECH_DB + scene.echo_db - REPLY_DB),
            noise,
            ears: Ears::new(&echo),
            gate: Gate::new(&listen, vad::of(&listen)),
            waiting: VecDeque::new(),
            later: vec![(100, Later::Reply)],
            said: None,
            next_said: 0,
            reply_ends: 0,
            hop: 0,
            tally: Tally::new(scene),
            scene,
            voices,
            random,
        }
    }

    /// Plays the scene to its end.
    pub fn run(mut self) -> Tally {
        while self.hop < self.scene.seconds * 100 {
            self.step();
        }
        self.tally.finish(self.ears.figures());
        self.tally
    }

    fn step(&mut self) {
        if self.scene.moves_at_s.is_some_and(|at| at * 100 == self.hop) {
            self.room = Convolver::new(&self.scene.walls.response(&mut self.random));
        }
        self.do_what_is_due();
        let (mixed, echo, near) = self.sound();
        self.hop += 1;
        self.tally.handle_sound(&echo, &near, self.speaker.is_playing);
        let now = Time::from_ms(u64::from(HOP_MS) * self.hop);
        let jitter_us = f64::from(self.random.between(0.0, self.scene.jitter_ms)) * 1000.0;
        self.waiting
            .push_back(Hop { at: Time::from_us(now.as_us() - jitter_us as u64), frames: signal::to_hop(&mixed) });
        self.hear(now);
    }

    fn do_what_is_due(&mut self) {
        let hop = self.hop;
        let due: Vec<Later> = self.later.extract_if(.., |(at, _)| *at <= hop).map(|(_, what)| what).collect();
        for what in due {
            match what {
                Later::Duck(is_ducked) => self.speaker.is_ducked = is_ducked,
                // Nobody answers while a window is open.
                Later::Reply if self.gate.is_open() => self.later.push((hop + 50, Later::Reply)),
                Later::Reply if self.speaker.is_playing => {}
                Later::Reply => self.start_reply(),
                Later::Cut => self.stop_reply(),
            }
        }
        if self.speaker.is_playing && hop >= self.reply_ends && self.said.is_none() {
            self.stop_reply();
            let pause = self.random.between(PAUSE_HOPS.start, PAUSE_HOPS.end);
            self.later.push((hop + pause as u64, Later::Reply));
        }
        self.begin_to_speak();
    }

    fn start_reply(&mut self) {
        self.speaker.start();
        self.gate.handle_note(GateNote::SpeakerAudible(true));
        self.reply_ends = self.hop + self.random.between(REPLY_HOPS.start, REPLY_HOPS.end) as u64;
        self.next_said = self.hop + 200 + self.random.below(300) as u64;
    }

    fn stop_reply(&mut self) {
        self.speaker.stop();
        self.gate.handle_note(GateNote::SpeakerAudible(false));
    }

    /// Somebody begins to speak over the reply, where the scene has it so.
    fn begin_to_speak(&mut self) {
        let hop = self.hop;
        let may_say = self.scene.barge_ins && self.said.is_none() && self.speaker.is_playing;
        if may_say && hop >= self.next_said {
            let number = self.random.below(self.voices.user.len());
            self.said = Some((number, hop));
            let said = &self.voices.user[number];
            let onset = hop * HOP_FRAMES as u64 + said.onset as u64;
            self.tally.handle_said(Trial::new(&said.name, onset, hop * HOP_FRAMES as u64 + said.offset as u64));
        }
    }

    /// What the microphone hears in the next hop: all of it, the echo in it, the user in it.
    fn sound(&mut self) -> ([f32; HOP_FRAMES], [f32; HOP_FRAMES], [f32; HOP_FRAMES]) {
        let rate = self.speaker.rate / RATE as f64;
        let delay = f64::from(self.scene.delay_ms) / 1000.0 * RATE as f64;
        let dry = std::array::from_fn(|i| {
            let now = (self.hop * HOP_FRAMES as u64 + i as u64) as f64;
            while self.speaker.tape.written() < Tape::needed(now * rate) {
                self.speaker.step();
            }
            self.speaker.tape.at((now - delay) * rate) * self.echo_gain
        });
        let echo = self.room.hop(&dry);
        let near = self.near();
        let noise_at = (self.hop as usize * HOP_FRAMES) % self.noise.len();
        let mixed = std::array::from_fn(|i| echo[i] + near[i] + self.noise[noise_at + i]);
        (mixed, echo, near)
    }

    fn near(&mut self) -> [f32; HOP_FRAMES] {
        let mut near = [0.0; HOP_FRAMES];
        if let Some((number, from)) = self.said {
            let frames = &self.voices.user[number].frames;
            let at = (self.hop - from) as usize * HOP_FRAMES;
            if let Some(rest) = frames.get(at..) {
                near.iter_mut().zip(rest).for_each(|(near, x)| *near = *x);
            }
            if at + HOP_FRAMES >= frames.len() {
                self.said = None;
                self.next_said = self.hop + 300 + self.random.below(300) as u64;
            }
        }
        near
    }

    /// The gate's thread: copies that are there by now, then hops whose copies are there or will not come.
    fn hear(&mut self, now: Time) {
        while self.speaker.copies.front().is_some_and(|(there, _)| *there <= now) {
            if let Some((_, far)) = self.speaker.copies.pop_front() {
                self.tally.cost(|| self.ears.handle_far(&far));
            }
        }
        while let Some(near) = self.waiting.front().copied() {
            if self.ears.wants_far(near.at, self.gate.is_speaker_audible()) && now.since(near.at) < FAR_WAIT {
                break;
            }
            self.waiting.pop_front();
            let heard = self.tally.cost(|| {
                let heard = self.ears.hear(&near, self.gate.is_open());
                self.gate.handle_heard(&heard);
                heard
            });
            self.tally.handle_heard(&heard);
            while let Some(event) = self.gate.poll_output() {
                self.handle_event(&event, now);
            }
        }
    }

    fn handle_event(&mut self, event: &GateEvent, now: Time) {
        let soon = self.hop + REACTION_HOPS;
        self.tally.handle_event(event, now);
        match event {
            GateEvent::Suspect(is_suspected) => self.later.push((soon, Later::Duck(*is_suspected))),
            GateEvent::Opened(_) => self.later.push((soon, Later::Cut)),
            GateEvent::Closed(_) => self.later.push((self.hop + ANSWER_HOPS, Later::Reply)),
            GateEvent::Echo { duplex, .. } => self.tally.handle_duplex(*duplex == Duplex::Half),
            _ => {}
        }
    }
}
