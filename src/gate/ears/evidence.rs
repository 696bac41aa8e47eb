//! Evidence that somebody speaks while the loudspeaker does: more is left of a hop than echo leaves.
//!
//! In a linear room the canceller leaves nothing of the echo but the noise that was there before; a loudspeaker that
//! clips, a cabinet that rattles leave more, and the more the louder they play. So what is left is learned for each
//! loudness of the far end, as a peak that fades slowly, and only what rises clearly above it and above the noise is
//! taken for somebody. A voice is 20–40 dB above it, also where the echo is 5 dB louder than the voice.
//!
//! A canceller that has lost its way, because the echo path changed at once, looks the same. It can cut one reply, not
//! two: a cut behind which nobody says anything makes the canceller prove itself anew (`mod.rs`).
//!
//! What was tried and left: the linear filter's output alone. Its residue is only 10–25 dB under the echo, rises to the
//! echo itself in reverberation and whenever the delay is estimated anew, and hides every voice softer than that.

use super::cancel::Powers;
use crate::gate::loudness::NoiseFloor;

/// How far what is left must rise above what echo left before, and above the noise, dB.
const ABOVE_LEAK_DB: f32 = 6.0;
const ABOVE_NOISE_DB: f32 = 10.0;

/// Below this rise over the noise nothing leaked, dB: the noise's own swing.
const LEAK_MIN_DB: f32 = 5.0;

/// How much of a learned leak fades with each hop of that loudness in which it was less, dB: 2 dB a second.
const LEAK_FADES_DB: f32 = 0.02;

/// … and how fast it rises while somebody may speak, dB a hop: a voice that is not yet evidence is not to hide
/// what follows.
const LEAK_RISES_DB: f32 = 0.5;

/// What the canceller is trusted to take off at a loudness that was never heard, dB.
const UNKNOWN_ERLE_DB: f32 = 10.0;

/// Loudness of the far end is told apart in steps of 4 dB from −66 dBFS up.
const STEPS: usize = 17;
const STEP_DB: f32 = 4.0;
const SOFTEST_DB: f32 = 24.3; // mean square of S16, 10·log10(270)

/// Hops of one loudness until only what was learned of it counts: 2 s. A loud syllable that clips is rare.
const LEARNED_HOPS: u32 = 200;

/// How much the echo of a sound that has ended fades with each hop, dB: 60 dB in 0.5 s, a lively room.
const ECHO_FADES_DB: f32 = 1.2;

/// Hops after which a run of evidence that opened nothing is over: 400 ms.
const RUN_OVER_HOPS: u32 = 40;

/// Hops of far-end loudness that are kept: the longest delay that the canceller finds, and reverberation.
const FAR_HOPS: usize = 64;
/// Hops by which the delay may be wrong.
const DELAY_SLACK_HOPS: usize = 3;

/// What echo leaves behind, learned.
pub struct Evidence {
    noise: NoiseFloor,
    /// Loudness of the far end, dB of S16², the newest at `next - 1`.
    far: [f32; FAR_HOPS],
    next: usize,
    /// For each loudness: what is left above the noise at most, dB, and the hops it was learned from.
    leaks: [(f32, u32); STEPS],
    /// How much louder the echo is at the microphone than the far end, dB: nine of ten hops are less.
    echo_gain_db: f32,
    /// The most that was left in the present run of evidence (loudness, dB), learned if it comes to nothing.
    run: Option<(usize, f32)>,
    /// Hops since the newest evidence.
    since_near: u32,
}

/// What may be learned from a hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lesson {
    /// All that is left is echo: nobody would be believed now.
    All,
    /// What is no evidence is echo.
    Echo,
    /// Nothing: somebody speaks.
    Nothing,
}

impl Evidence {
    /// Nothing learned.
    pub fn new() -> Evidence {
        Evidence {
            noise: NoiseFloor::new(),
            far: [0.0; FAR_HOPS],
            next: 0,
            leaks: [(0.0, 0); STEPS],
            echo_gain_db: 0.0,
            run: None,
            since_near: 0,
        }
    }

    /// Takes the next hop: what is in it after each stage, the power of the far end that belongs to it, and after how
    /// many hops its echo comes.
    pub fn handle_hop(&mut self, powers: &Powers, far: f32, delay_hops: usize, lesson: Lesson) -> bool {
        self.far[self.next % FAR_HOPS] = db(far);
        self.next += 1;
        self.noise.handle_power(powers.clean);
        let echo_db = self.echo_db(delay_hops);
        let step = step_of(echo_db);
        let noise_db = db(self.noise());
        let rest_db = db(powers.clean) - noise_db;
        let unknown_db = echo_db + self.echo_gain_db - UNKNOWN_ERLE_DB - noise_db;
        let leak_db = self.leak_db(step, unknown_db);
        let is_near = rest_db >= ABOVE_NOISE_DB.max(leak_db + ABOVE_LEAK_DB);
        if lesson == Lesson::All || (lesson == Lesson::Echo && !is_near) {
            let rises_db = if lesson == Lesson::All { f32::INFINITY } else { LEAK_RISES_DB };
            self.learn(step, rest_db, rises_db);
            if echo_db > SOFTEST_DB {
                self.learn_gain(db(powers.near) - echo_db);
            }
        }
        self.note_run(step, rest_db, is_near, lesson);
        is_near
    }

    /// Learns from evidence that came to nothing, by a step at most: it may have been a cough.
    fn note_run(&mut self, step: usize, rest_db: f32, is_near: bool, lesson: Lesson) {
        if lesson != Lesson::Echo {
            self.run = None;
        } else if is_near {
            self.since_near = 0;
            if self.run.is_none_or(|(_, most_db)| rest_db > most_db) {
                self.run = Some((step, rest_db));
            }
        } else if let Some((step, most_db)) = self.run {
            self.since_near += 1;
            if self.since_near >= RUN_OVER_HOPS {
                self.learn(step, most_db, ABOVE_LEAK_DB);
                self.run = None;
            }
        }
    }

    /// How loud the far end is whose echo is in the newest hop, dB.
    fn echo_db(&self, delay_hops: usize) -> f32 {
        let newest = delay_hops.saturating_sub(DELAY_SLACK_HOPS);
        let oldest = (delay_hops + DELAY_SLACK_HOPS).min(FAR_HOPS - 1);
        let mut loudest = 0.0f32;
        for age in newest..FAR_HOPS {
            let heard = self.far[(self.next + FAR_HOPS - 1 - age) % FAR_HOPS];
            loudest = loudest.max(heard - ECHO_FADES_DB * age.saturating_sub(oldest) as f32);
        }
        loudest
    }

    /// What an echo of this loudness leaves above the noise, dB; from `unknown_db`
    /// where it was never heard to what was learned.
    fn leak_db(&self, step: usize, unknown_db: f32) -> f32 {
        let (leak_db, hops) = self.leaks[step];
        leak_db.max(unknown_db * (1.0 - hops.min(LEARNED_HOPS) as f32 / LEARNED_HOPS as f32))
    }

    fn learn(&mut self, step: usize, rest_db: f32, rises_db: f32) {
        let (leak_db, hops) = &mut self.leaks[step];
        let rest_db = if rest_db < LEAK_MIN_DB { 0.0 } else { rest_db };
        *leak_db = (*leak_db - LEAK_FADES_DB).max(rest_db.min(*leak_db + rises_db));
        *hops = hops.saturating_add(1);
    }

    /// Follows the upper end of what the echo path gives: up in nine steps, down in one.
    fn learn_gain(&mut self, gain_db: f32) {
        self.echo_gain_db += if gain_db > self.echo_gain_db { 0.09 } else { -0.01 };
        self.echo_gain_db = self.echo_gain_db.clamp(-60.0, 40.0);
    }

    /// Power of the noise in the room, mean square of S16.
    pub fn noise(&self) -> f32 {
        self.noise.power()
    }
}

impl Default for Evidence {
    fn default() -> Evidence {
        Evidence::new()
    }
}

/// Mean square of S16 in dB; 0 for less than one.
fn db(power: f32) -> f32 {
    10.0 * power.max(1.0).log10()
}

fn step_of(echo_db: f32) -> usize {
    (((echo_db - SOFTEST_DB) / STEP_DB).max(0.0) as usize).min(STEPS - 1)
}
