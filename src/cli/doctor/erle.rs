//! How much of the echo the gate's own ears take away, on a recording of the test sound.

use std::time::Duration;

use crate::audio::{HOP_FRAMES, HOP_MS, Hop};
use crate::config::agent::Echo;
use crate::flow::Duplex;
use crate::gate::ears::{Ears, cancel};
use crate::units::Time;

/// The first hop's time: there is something before it to be early by.
const BEGAN: Time = Time::from_ms(1000);

/// The far-end copy is given so much before the microphone's hop: the ears read it a little ahead (`align.rs`).
const AHEAD_HOPS: usize = 3;

/// What the ears found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cancelled {
    /// There is no canceller: switched off, or a board that cannot afford it.
    Never,
    /// The echo hardly stands out of the noise.
    TooSoft,
    /// So much, dB, and whether a voice may cut a reply.
    By(f32, Duplex),
}

/// Plays both sides to ears like those of the daemon. Whether there is an echo at all is found before (`judge.rs`): the
/// canceller's suppressor damps a stranger's sound of the same spectrum as well.
///
/// Both are `[frames, 1 channel] S16 @ 16 kHz`. `near` holds the echo of `far` and nobody speaks in it; far frame `n`
/// comes back at near frame `n + shift`, `delay_ms` after it left the loudspeaker by ALSA's word.
pub fn measure(near: &[i16], far: &[i16], shift: i64, delay_ms: f64, echo: &Echo) -> Cancelled {
    if !cancel::is_wanted(echo.canceller) {
        return Cancelled::Never;
    }
    let mut ears = Ears::new(echo);
    let delay_frames = shift - (delay_ms * 16.0).round() as i64;
    let at = |number: usize| BEGAN + Duration::from_millis(number as u64 * u64::from(HOP_MS));
    let played = |number: usize| {
        let first = (number * HOP_FRAMES) as i64 - delay_frames;
        Hop { at: at(number), frames: std::array::from_fn(|n| frame_at(far, first + n as i64)) }
    };
    (0..AHEAD_HOPS).for_each(|number| ears.handle_far(&played(number)));
    let mut room = None;
    for (number, frames) in near.chunks_exact(HOP_FRAMES).enumerate() {
        ears.handle_far(&played(number + AHEAD_HOPS));
        let mut heard = Hop { at: at(number), frames: [0; HOP_FRAMES] };
        heard.frames.copy_from_slice(frames);
        room = Some(ears.hear(&heard, false).room);
    }
    match room {
        Some(room) if room.erle_db > 0.0 => Cancelled::By(room.erle_db, room.duplex.unwrap_or(Duplex::Half)),
        _ => Cancelled::TooSoft,
    }
}

fn frame_at(frames: &[i16], at: i64) -> i16 {
    usize::try_from(at).ok().and_then(|at| frames.get(at)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::sound::Score;
    use super::*;
    use crate::config::agent::{Agent, Canceller};

    #[test]
    fn an_echo_is_cancelled_and_what_is_no_echo_is_not_judged() {
        let score = Score::new(100).unwrap();
        let far = &score.frames[..score.speech.end];
        let echo = Echo { canceller: Canceller::On, ..Agent::default().echo };
        let noise = |n: i64| (n * 7919 % 7) as i16;
        let near: Vec<i16> = (0..far.len() as i64).map(|n| frame_at(far, n - 1000) / 8 + noise(n)).collect();
        let found = measure(&near, far, 1000, 40.0, &echo);
        assert!(matches!(found, Cancelled::By(db, Duplex::Full) if db > 15.0), "{found:?}");
        let soft: Vec<i16> = (0..far.len() as i64).map(noise).collect();
        assert_eq!(measure(&soft, far, 0, 40.0, &echo), Cancelled::TooSoft);
        assert_eq!(measure(&near, far, 1000, 40.0, &Echo { canceller: Canceller::Off, ..echo }), Cancelled::Never);
    }
}
