//! The comparison of voice detectors: what each misses, takes for a voice, delays and costs; alone and in the gate.

use mynah::audio::{HOP_FRAMES, HOP_MS, Hop};
use mynah::config::agent::{Agent, Listen, ListenMode};
use mynah::flow::GateEvent;
use mynah::gate::Gate;
use mynah::gate::endpoint::Endpoint;
use mynah::gate::vad::{Neural, Vad, WebRtc};
use mynah::units::Time;

use crate::corpus::{SPEECH_DB, Utterance};
use crate::signal::{self, Noise, Random};
use crate::tally::processor_s;

/// A detector under comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Detector {
    /// The WebRTC project's, in a mode.
    WebRtc(u8),
    /// The network, with a threshold.
    Neural(f32),
}

/// All that are compared.
pub const DETECTORS: [Detector; 8] = [
    Detector::WebRtc(0),
    Detector::WebRtc(1),
    Detector::WebRtc(2),
    Detector::WebRtc(3),
    Detector::Neural(0.3),
    Detector::Neural(0.5),
    Detector::Neural(0.7),
    Detector::Neural(0.9),
];

impl Detector {
    /// As the tables name it.
    pub fn name(self) -> String {
        match self {
            Detector::WebRtc(mode) => format!("webrtc {mode}"),
            Detector::Neural(threshold) => format!("neural {threshold}"),
        }
    }

    /// One that has heard nothing.
    pub fn make(self) -> Box<dyn Vad> {
        match self {
            Detector::WebRtc(mode) => Box::new(WebRtc::new(mode)),
            Detector::Neural(threshold) => Box::new(Neural::new(threshold)),
        }
    }
}

/// Sound with what is true of it.
pub struct Stream {
    hops: Vec<Hop>,
    /// For each hop, whether somebody speaks.
    active: Vec<bool>,
    /// First and last hop of each utterance.
    utterances: Vec<(usize, usize)>,
}

impl Stream {
    /// Utterances with pauses of 1.2-2.4 s, which are longer than a hangover.
    pub fn spoken(said: &[&Utterance], random: &mut Random) -> (Vec<f32>, Stream) {
        let mut frames = Vec::new();
        let mut active = Vec::new();
        let mut utterances = Vec::new();
        let pause = |frames: &mut Vec<f32>, active: &mut Vec<bool>, hops: usize| {
            frames.resize(frames.len() + hops * HOP_FRAMES, 0.0);
            active.resize(active.len() + hops, false);
        };
        pause(&mut frames, &mut active, 300); // a noise floor is found in 2.5 s
        for said in said {
            let from = active.len();
            utterances.push((from + said.onset / HOP_FRAMES, from + said.offset / HOP_FRAMES));
            frames.extend(&said.frames);
            active.extend(&said.active);
            pause(&mut frames, &mut active, 120 + random.below(120));
        }
        (frames, Stream { hops: Vec::new(), active, utterances })
    }

    /// Sound in which nobody speaks to the device.
    pub fn unspoken(frames: &[f32]) -> Stream {
        Stream { hops: hops_of(frames), active: vec![false; frames.len() / HOP_FRAMES], utterances: Vec::new() }
    }

    /// How many utterances are in it.
    pub fn utterances(&self) -> usize {
        self.utterances.len()
    }

    /// The same with other sound.
    pub fn heard_as(&self, frames: &[f32]) -> Stream {
        Stream { hops: hops_of(frames), active: self.active.clone(), utterances: self.utterances.clone() }
    }

    fn seconds(&self) -> f64 {
        self.hops.len() as f64 * f64::from(HOP_MS) / 1000.0
    }
}

fn hops_of(frames: &[f32]) -> Vec<Hop> {
    let hop = |(number, frames): (usize, &[f32])| Hop {
        at: Time::from_ms(u64::from(HOP_MS) * (number as u64 + 1)),
        frames: signal::to_hop(frames),
    };
    frames.chunks_exact(HOP_FRAMES).enumerate().map(hop).collect()
}

/// What became of a stream; sums, so that streams can be added up.
#[derive(Clone, Debug, Default)]
pub struct Result {
    /// Hops of speech, and how many of them the detector did not call voice.
    pub speech_hops: usize,
    pub missed_hops: usize,
    /// Hops without speech, and how many the detector called voice.
    pub other_hops: usize,
    pub false_hops: usize,
    /// Utterances, and how many opened no segment while they lasted.
    pub utterances: usize,
    pub missed: usize,
    /// Segments that opened where nobody spoke, and the hops in which they were open.
    pub false_opens: usize,
    pub false_open_hops: usize,
    /// From the beginning of an utterance to the opening, ms.
    pub delays_ms: Vec<f32>,
}

impl Result {
    /// Adds another stream's.
    pub fn add(&mut self, other: &Result) {
        self.speech_hops += other.speech_hops;
        self.missed_hops += other.missed_hops;
        self.other_hops += other.other_hops;
        self.false_hops += other.false_hops;
        self.utterances += other.utterances;
        self.missed += other.missed;
        self.false_opens += other.false_opens;
        self.false_open_hops += other.false_open_hops;
        self.delays_ms.extend(&other.delays_ms);
    }

    /// Missed utterances, percent.
    pub fn missed_percent(&self) -> f64 {
        percent(self.missed, self.utterances)
    }

    /// Missed hops of speech, percent.
    pub fn missed_hops_percent(&self) -> f64 {
        percent(self.missed_hops, self.speech_hops)
    }

    /// False openings an hour of time in which nobody speaks.
    pub fn false_opens_per_hour(&self) -> f64 {
        self.false_opens as f64 / (self.other_hops as f64 * f64::from(HOP_MS) / 3_600_000.0).max(1e-9)
    }

    /// Share of that time in which a segment is open, percent.
    pub fn false_open_percent(&self) -> f64 {
        percent(self.false_open_hops, self.other_hops)
    }

    /// The delay that a share of the found utterances does not exceed, ms.
    pub fn delay_ms(&self, share: f64) -> f32 {
        let mut sorted = self.delays_ms.clone();
        sorted.sort_by(f32::total_cmp);
        let last = sorted.len().saturating_sub(1);
        sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(f32::NAN)
    }
}

fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

/// What a detector said of each hop of a stream, to be used more than once: detectors cost more than all else here.
struct Replay {
    voiced: Vec<bool>,
    next: usize,
}

impl Vad for Replay {
    fn is_voiced(&mut self, _: &[i16; HOP_FRAMES]) -> bool {
        self.next += 1;
        self.voiced.get(self.next - 1).copied().unwrap_or(false)
    }
}

/// What a detector says of each hop.
pub fn decide(detector: Detector, stream: &Stream) -> Vec<bool> {
    let mut vad = detector.make();
    stream.hops.iter().map(|hop| vad.is_voiced(&hop.frames)).collect()
}

/// How the gate listens in the comparison: hands-free, all else as it is by default.
pub fn listen() -> Listen {
    Listen { mode: ListenMode::HandsFree, ..Agent::default().listen }
}

/// A detector behind onset and hangover only.
pub fn alone(voiced: &[bool], stream: &Stream) -> Result {
    let listen = listen();
    let mut endpoint = Endpoint::new(listen.onset_ms, listen.hangover_ms);
    let mut result = Result::default();
    let mut open = Vec::with_capacity(stream.hops.len());
    for (voiced, active) in voiced.iter().copied().zip(&stream.active) {
        if *active {
            result.speech_hops += 1;
            result.missed_hops += usize::from(!voiced);
        } else {
            result.other_hops += 1;
            result.false_hops += usize::from(voiced);
        }
        endpoint.handle_hop(voiced);
        open.push(endpoint.is_speaking());
    }
    judge(&mut result, stream, &open, &listen);
    result
}

/// A detector in the whole gate: loudness, noise floor, onset and hangover, hands-free.
pub fn in_gate(voiced: &[bool], stream: &Stream) -> Result {
    let listen = listen();
    let mut gate = Gate::new(&listen, Box::new(Replay { voiced: voiced.to_vec(), next: 0 }));
    let mut result = Result::default();
    let mut open = Vec::with_capacity(stream.hops.len());
    for (hop, active) in stream.hops.iter().zip(&stream.active) {
        result.speech_hops += usize::from(*active);
        result.other_hops += usize::from(!*active);
        gate.handle_hop(hop);
        let mut is_open = gate.is_open();
        while let Some(event) = gate.poll_output() {
            is_open |= matches!(event, GateEvent::Opened(_));
        }
        open.push(is_open);
    }
    judge(&mut result, stream, &open, &listen);
    result
}

/// Compares what was open with what is true. A segment may stay open for the hangover after an utterance.
fn judge(result: &mut Result, stream: &Stream, open: &[bool], listen: &Listen) {
    let hangover = (listen.hangover_ms / HOP_MS) as usize + 10;
    let mut allowed = vec![false; open.len()];
    for &(from, to) in &stream.utterances {
        result.utterances += 1;
        allowed[from..(to + hangover).min(open.len())].fill(true);
        match open[from..to].iter().position(|open| *open) {
            // A segment that was open before says nothing of the delay.
            Some(0) => {}
            Some(hops) => result.delays_ms.push((hops + 1) as f32 * HOP_MS as f32),
            None => result.missed += 1,
        }
    }
    let mut was_open = false;
    for (open, allowed) in open.iter().zip(&allowed) {
        result.false_open_hops += usize::from(*open && !*allowed);
        result.false_opens += usize::from(*open && !was_open && !*allowed);
        was_open = *open;
    }
}

/// Cost of a hop on this machine, µs of processor time: the least of several runs.
pub fn cost_us(detector: Detector, stream: &Stream) -> f64 {
    let once = || {
        let mut vad = detector.make();
        let begun = processor_s();
        for hop in &stream.hops {
            std::hint::black_box(vad.is_voiced(&hop.frames));
        }
        processor_s() - begun
    };
    let least = (0..5).map(|_| once()).fold(f64::MAX, f64::min);
    least * 1e6 / stream.hops.len().max(1) as f64
}

/// Speech at so many dB over a noise; without noise that of a good microphone.
pub fn mixed(speech: &[f32], noise: Option<(Noise, f32)>, crowd: &[Utterance], random: &mut Random) -> Vec<f32> {
    let (kind, level) = noise.map_or((Noise::Pink, -78.0), |(kind, snr_db)| (kind, SPEECH_DB - snr_db));
    let mut sound = kind.make(speech.len(), level, crowd, random);
    sound.iter_mut().zip(speech).for_each(|(sum, x)| *sum += x);
    sound
}

/// Length of a stream for messages to people.
pub fn minutes(stream: &Stream) -> f64 {
    stream.seconds() / 60.0
}
