//! What came of a scene: echo taken away, replies cut by whom and when, syllables lost, cost.

use mynah::audio::{HOP_FRAMES, Speech};
use mynah::flow::{Duplex, GateEvent};
use mynah::gate::ears::{Figures, Heard};
use mynah::units::Time;

use crate::scene::Scene;
use crate::signal::{self, RATE};

/// Hops in a point of the curve of ERLE: half a second.
pub const POINT_HOPS: usize = 50;

/// A reply that is cut so much later than the user began is cut late.
pub const LATE_MS: f32 = 250.0;

/// A window that opens so long after an utterance is not its doing, frames.
const BELONGS_FRAMES: u64 = 300 * RATE as u64 / 1000;

/// Hops after a reply in which a window opened by its echo still is the device's own doing.
const AFTER_REPLY_HOPS: u64 = 100;

/// The first syllable: so many hops from the onset.
const SYLLABLE_HOPS: usize = 20;

/// Cleaned sound lags the microphone's by up to this, hops.
const LAG_HOPS: usize = 2;

/// A first syllable that is so much softer than it was said is lost, dB …
const LOST_DB: f32 = -12.0;
/// … and so is one whose first part is not in the window, ms: more than a weak consonant's rise.
const LOST_MS: f32 = 30.0;

/// Somebody speaks over a reply.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The utterance.
    pub name: String,
    /// Frame in which it truly begins and ends.
    pub onset: u64,
    pub offset: u64,
    /// From the onset to the opening of the gate, ms.
    pub delay_ms: Option<f32>,
    /// From the onset to the first suspicion, ms.
    pub suspect_ms: Option<f32>,
    /// The frame with which the window begins.
    pub window_from: Option<u64>,
    /// The first syllable as it leaves over as it was said, dB.
    pub syllable_db: f32,
}

impl Trial {
    /// An utterance that nobody has heard yet.
    pub fn new(name: &str, onset: u64, offset: u64) -> Trial {
        Trial {
            name: name.to_owned(),
            onset,
            offset,
            delay_ms: None,
            suspect_ms: None,
            window_from: None,
            syllable_db: 0.0,
        }
    }

    /// Whether the first syllable did not leave, or not so that anybody would understand it.
    pub fn is_syllable_lost(&self) -> bool {
        self.window_from.is_some_and(|from| {
            let late_ms = from.saturating_sub(self.onset) as f32 * 1000.0 / RATE as f32;
            late_ms > LOST_MS || self.syllable_db < LOST_DB
        })
    }
}

/// A window that nobody asked for.
#[derive(Clone, Copy, Debug)]
pub struct FalseOpen {
    /// When, s.
    pub at_s: f32,
    /// Whether the device itself was speaking, or just had.
    pub by_reply: bool,
}

/// Sums of a scene.
pub struct Tally {
    /// The scene's name.
    pub name: &'static str,
    /// Its length, s.
    pub seconds: f64,
    /// Powers of echo, user and cleaned sound by hop, and whether the reply was playing.
    echo: Vec<f32>,
    near: Vec<f32>,
    clean: Vec<f32>,
    /// Power of what was sent, by the microphone's hop; 0 where nothing was.
    sent: Vec<f32>,
    playing: Vec<bool>,
    /// What the ears leave of it all: `[frames, 1 channel] F32 @ 16 kHz`.
    pub left: Vec<f32>,
    /// Utterances over a reply.
    pub trials: Vec<Trial>,
    /// Windows that nobody asked for.
    pub false_opens: Vec<FalseOpen>,
    /// Suspicions where nobody spoke.
    pub false_suspects: usize,
    /// Hops of replies in which a voice could not cut: half duplex, or not known yet.
    pub half_hops: usize,
    pub unproven_hops: usize,
    /// How often the gate said that it is half duplex.
    pub half_events: usize,
    /// Processor time of ears and gate, s.
    pub cost_s: f64,
    /// What the ears think of the room at the end.
    pub ears: Option<Figures>,
    is_opening: bool,
}

impl Tally {
    /// Of a scene that begins.
    pub fn new(scene: &Scene) -> Tally {
        Tally {
            name: scene.name,
            seconds: scene.seconds as f64,
            echo: Vec::new(),
            near: Vec::new(),
            clean: Vec::new(),
            sent: Vec::new(),
            left: Vec::new(),
            playing: Vec::new(),
            trials: Vec::new(),
            false_opens: Vec::new(),
            false_suspects: 0,
            half_hops: 0,
            unproven_hops: 0,
            half_events: 0,
            cost_s: 0.0,
            ears: None,
            is_opening: false,
        }
    }

    /// Takes what the microphone hears.
    pub fn handle_sound(&mut self, echo: &[f32; HOP_FRAMES], near: &[f32; HOP_FRAMES], is_playing: bool) {
        self.echo.push(signal::power(echo));
        self.near.push(signal::power(near));
        self.playing.push(is_playing);
    }

    /// Takes what the ears made of the oldest hop not taken yet.
    pub fn handle_heard(&mut self, heard: &Heard) {
        let from = self.left.len();
        self.left.extend(heard.hop.frames.iter().map(|x| f32::from(*x) / 32_768.0));
        self.clean.push(signal::power(&self.left[from..]));
        if self.playing.get(self.clean.len() - 1).is_some_and(|playing| *playing) {
            self.half_hops += usize::from(heard.room.duplex == Some(Duplex::Half));
            self.unproven_hops += usize::from(heard.room.duplex.is_none());
        }
    }

    /// Takes an utterance that begins.
    pub fn handle_said(&mut self, trial: Trial) {
        self.trials.push(trial);
    }

    /// Takes what the gate says of half duplex.
    pub fn handle_duplex(&mut self, is_half: bool) {
        self.half_events += usize::from(is_half);
    }

    /// Takes an event.
    pub fn handle_event(&mut self, event: &GateEvent, now: Time) {
        if let GateEvent::Speech(speech) = event {
            self.take_sent(speech);
        }
        let frame = now.as_us() * RATE as u64 / 1_000_000;
        let belongs = |trial: &Trial| frame >= trial.onset && frame <= trial.offset + BELONGS_FRAMES;
        let is_answer = self.trials.last().is_some_and(|trial| belongs(trial) && trial.delay_ms.is_some());
        let trial = self.trials.last_mut().filter(|trial| belongs(trial) && trial.delay_ms.is_none());
        let since = |trial: &Trial| (frame - trial.onset) as f32 * 1000.0 / RATE as f32;
        match (event, trial) {
            (GateEvent::Suspect(true), Some(trial)) => {
                let delay = since(trial);
                trial.suspect_ms.get_or_insert(delay);
            }
            (GateEvent::Suspect(true), None) => self.false_suspects += 1,
            (GateEvent::Opened(_), Some(trial)) => {
                trial.delay_ms = Some(since(trial));
                self.is_opening = true;
            }
            // Somebody pauses for as long as the hangover, and goes on.
            (GateEvent::Opened(_), None) if is_answer => {}
            (GateEvent::Opened(_), None) => {
                let recent = self.playing.iter().rev().take(AFTER_REPLY_HOPS as usize);
                let by_reply = recent.into_iter().any(|playing| *playing);
                self.false_opens.push(FalseOpen { at_s: frame as f32 / RATE as f32, by_reply });
            }
            (GateEvent::Speech(speech), _) if self.is_opening => {
                self.is_opening = false;
                let end = speech.at.as_us() * RATE as u64 / 1_000_000;
                let from = end.saturating_sub(speech.frames().len() as u64);
                if let Some(trial) = self.trials.last_mut() {
                    trial.window_from = Some(from);
                }
            }
            _ => {}
        }
    }

    fn take_sent(&mut self, speech: &Speech) {
        let end = speech.at.as_us() * RATE as u64 / 1_000_000;
        let first = end.saturating_sub(speech.frames().len() as u64) as usize / HOP_FRAMES;
        let (hops, _) = speech.frames().as_chunks::<HOP_FRAMES>();
        self.sent.resize(self.sent.len().max(first + hops.len()), 0.0);
        for (power, hop) in self.sent[first..].iter_mut().zip(hops) {
            *power = signal::power(&hop.map(|sample| f32::from(sample) / 32_768.0));
        }
    }

    /// Measures the processor time of what is done.
    pub fn cost<T>(&mut self, what: impl FnOnce() -> T) -> T {
        let begun = processor_s();
        let result = what();
        self.cost_s += processor_s() - begun;
        result
    }

    /// Takes the ears' own figures, at the end.
    pub fn finish(&mut self, ears: Figures) {
        self.ears = Some(ears);
        let energy = |powers: &[f32], from: usize, hops: usize| -> f32 { powers.iter().skip(from).take(hops).sum() };
        for trial in &mut self.trials {
            let from = (trial.onset / HOP_FRAMES as u64) as usize;
            let said = energy(&self.near, from, SYLLABLE_HOPS);
            let sent = energy(&self.sent, from, SYLLABLE_HOPS + LAG_HOPS);
            trial.syllable_db = signal::db(sent / said.max(1e-12));
        }
    }

    /// ERLE by half second, dB; nothing where there is no echo, or somebody speaks.
    pub fn erle(&self) -> Vec<Option<f32>> {
        let hops = self.clean.len();
        (0..hops / POINT_HOPS)
            .map(|point| {
                let (mut before, mut after, mut count) = (0.0, 0.0, 0);
                for hop in point * POINT_HOPS..(point + 1) * POINT_HOPS {
                    let is_quiet = self.near[hop.saturating_sub(30)..=hop].iter().all(|power| *power < 1e-9);
                    if self.playing[hop] && is_quiet && self.echo[hop] > 1e-7 {
                        before += self.echo[hop];
                        after += self.clean[hop];
                        count += 1;
                    }
                }
                (count >= POINT_HOPS / 5).then(|| signal::db(before / after.max(1e-12)))
            })
            .collect()
    }

    /// ERLE over a stretch of time, dB: of the sums.
    pub fn erle_between(&self, from_s: f32, to_s: f32) -> f32 {
        let (mut before, mut after) = (0.0, 0.0);
        let (from, to) = ((from_s * 100.0) as usize, ((to_s * 100.0) as usize).min(self.clean.len()));
        for hop in from..to {
            let is_quiet = self.near[hop.saturating_sub(30)..=hop].iter().all(|power| *power < 1e-9);
            if self.playing[hop] && is_quiet && self.echo[hop] > 1e-7 {
                before += f64::from(self.echo[hop]);
                after += f64::from(self.clean[hop]);
            }
        }
        signal::db((before / after.max(1e-12)) as f32)
    }

    /// Hours in which the device spoke.
    pub fn reply_hours(&self) -> f64 {
        self.playing.iter().filter(|playing| **playing).count() as f64 / 360_000.0
    }

    /// Cost, percent of a core.
    pub fn cost_percent(&self) -> f64 {
        100.0 * self.cost_s / self.seconds
    }
}

/// Processor time of this thread, s.
pub fn processor_s() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel fills a structure that lives here.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}
