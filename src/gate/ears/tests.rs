//! Scenes in a synthetic room: a loudspeaker that talks, people who talk over it, two clocks.

use super::room::{Path, hops, talk};
use super::*;
use crate::config::agent::Agent;

/// Loud speech from a loudspeaker, S16.
const LOUD: f32 = 16_000.0;

fn scaled(sound: &[f32], by: f32) -> Vec<f32> {
    sound.iter().map(|sample| sample * by).collect()
}

/// Gives the ears each hop of `near` with the far-end copy that belongs to it; `take` gets what they made of it.
fn play(ears: &mut Ears, near: &[Hop], far: &[Hop], mut take: impl FnMut(&Hop, &Heard)) {
    let mut fars = far.iter().peekable();
    for near in near {
        while let Some(far) = fars.next_if(|far| far.at <= near.at || ears.wants_far(near.at)) {
            ears.handle_far(far);
        }
        let heard = ears.hear(near, false);
        take(near, &heard);
    }
}

/// Power of a hop, summed.
fn power(hop: &Hop) -> f32 {
    hop.frames.iter().map(|&sample| f32::from(sample).powi(2)).sum()
}

#[test]
fn the_canceller_learns_a_plain_room_within_three_seconds() {
    let far = scaled(&talk(8, 120.0, 1), LOUD);
    let near = hops(&Path::default().echo(&far, 7));
    let (mut before, mut after) = (0.0, 0.0);
    play(&mut Ears::new(&Agent::default().echo), &near, &hops(&far), |near, heard| {
        let counts = f32::from(u8::from(near.at > Time::from_ms(4000)));
        before += counts * power(near);
        after += counts * power(&heard.hop);
    });
    let erle_db = 10.0 * (before / after).log10();
    assert!(erle_db >= 25.0, "{erle_db} dB");
}
