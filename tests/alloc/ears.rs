//! What stands on the gate's thread, hop by hop: ears and gate.

use std::sync::atomic::Ordering::Relaxed;

use mynah::audio::{HOP_FRAMES, HOP_MS, Hop};
use mynah::config::agent::{Agent, Canceller, Echo, Listen, ListenMode, NoiseSuppression, Switch};
use mynah::flow::GateEvent;
use mynah::gate::ears::Ears;
use mynah::gate::{Gate, vad};
use mynah::hw::Edge;
use mynah::units::Time;

use super::{COUNTED, IS_ARMED, KEPT_BYTES};

/// Hops before counting begins.
const WARM_UP: u64 = 1;
/// Hops in all: two minutes, in which everything below happens several times.
pub const HOPS: u64 = 12_000;
/// From one press to the next, and when in this time the button is held and something is said, hops: over every reply,
/// and while the loudspeaker stands before it.
const PRESS: (u64, std::ops::Range<u64>) = (450, 40..240);
/// From one reply to the next, and how much of it the loudspeaker stands, hops.
const REPLY: (u64, u64) = (900, 150);
/// From one break of the microphone's stamps to the next, hops; and by how much, ms.
const BREAK: (u64, u64) = (2900, 300);
/// How much earlier than the microphone's hop the far-end copy comes that belongs to it, ms: none is waited for here.
const AHEAD_MS: u64 = 20;
/// From the copy's coming to its echo, hops: those 20 ms and the way from the loudspeaker to the microphone.
const WAY: usize = 6;

/// What was counted.
#[derive(Debug)]
pub struct Counts {
    /// Allocations and frees in a hop, at most.
    pub most: u64,
    /// Bytes that are kept more after any hop than after the first, at most.
    pub kept_bytes: i64,
    /// Windows that the gate opened.
    pub windows: u64,
    /// Hops in which the loudspeaker could be heard.
    pub far_hops: u64,
}

/// `[echo]` with nothing behind the canceller, which is `canceller`.
pub fn echo(canceller: Canceller) -> Echo {
    Echo { canceller, noise_suppression: NoiseSuppression::Off, gain_control: Switch::Off, ..Agent::default().echo }
}

/// Drives these ears and a gate behind them through presses, replies that come and go, and breaks of the stamps.
pub fn counts(mut ears: Ears) -> Counts {
    let listen = Listen { mode: ListenMode::HandsFree, ..Agent::default().listen };
    let mut gate = Gate::new(&listen, vad::of(&listen));
    let mut noise = Noise(7);
    let mut played = [[0; HOP_FRAMES]; WAY];
    let mut counts = Counts { most: 0, kept_bytes: 0, windows: 0, far_hops: 0 };
    KEPT_BYTES.store(0, Relaxed);
    for hop in 0..HOPS {
        let at = Time::from_ms(1000 + hop * u64::from(HOP_MS) + hop / BREAK.0 * BREAK.1);
        let is_playing = hop % REPLY.0 >= REPLY.1;
        let far = if is_playing { noise.frames(12_000) } else { [0; HOP_FRAMES] };
        let echo = std::mem::replace(&mut played[hop as usize % WAY], far);
        let pressed = hop % PRESS.0;
        let room = noise.frames(if PRESS.1.contains(&pressed) { 6000 } else { 60 });
        let near = std::array::from_fn(|frame| echo[frame] / 3 + room[frame]);

        IS_ARMED.set(hop >= WARM_UP);
        if is_playing {
            ears.handle_far(&Hop { at: Time::from_ms(at.as_ms() + AHEAD_MS), frames: far });
        }
        if pressed == PRESS.1.start || pressed == PRESS.1.end {
            gate.handle_edge(Edge { at, active: pressed == PRESS.1.start });
        }
        std::hint::black_box(ears.wants_far(at, false));
        let heard = ears.hear(&Hop { at, frames: near }, gate.is_open());
        gate.handle_heard(&heard);
        while let Some(event) = gate.poll_output() {
            counts.windows += u64::from(matches!(event, GateEvent::Opened(_)));
        }
        IS_ARMED.set(false);

        counts.far_hops += u64::from(heard.room.is_far);
        counts.most = counts.most.max(COUNTED.swap(0, Relaxed));
        counts.kept_bytes = counts.kept_bytes.max(KEPT_BYTES.load(Relaxed));
    }
    counts
}

/// White noise.
struct Noise(u32);

impl Noise {
    /// A hop of it, as loud as this at most.
    fn frames(&mut self, peak: i16) -> [i16; HOP_FRAMES] {
        std::array::from_fn(|_| {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 17;
            self.0 ^= self.0 << 5;
            ((i32::from(self.0 as i16) * i32::from(peak)) >> 15) as i16
        })
    }
}
