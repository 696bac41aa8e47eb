//! Two clocks with drift and jitter against the truth.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

/// A sound whose value tells when it was heard: a sine, so that a shift is a phase and a click a jump.
const TONE_HZ: f64 = 200.0;

fn tone(time_s: f64) -> f64 {
    10_000.0 * (std::f64::consts::TAU * TONE_HZ * time_s).sin()
}

/// Two sound cards: when each plays and captures, by their own clocks.
struct Cards {
    near_ppm: f64,
    far_ppm: f64,
    jitter_us: u64,
    seed: u64,
}

impl Cards {
    fn jitter(&mut self) -> f64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let whole = (self.seed >> 33) as f64 / f64::from(1u32 << 31) * 2.0 - 1.0;
        whole * self.jitter_us as f64 / 1e6
    }

    fn stamp(&mut self, time_s: f64) -> Time {
        Time::from_us(((time_s + self.jitter()) * 1e6) as u64)
    }

    /// Hop `number` of the far-end copy: the tone as it truly leaves the loudspeaker.
    fn far(&mut self, number: u64) -> Hop {
        let frame_s = (1.0 + self.far_ppm / 1e6) / 16_000.0;
        let begins_s = 1.0 + number as f64 * 160.0 * frame_s;
        let frames = std::array::from_fn(|i| tone(begins_s + (i + 1) as f64 * frame_s).round() as i16);
        Hop { at: self.stamp(begins_s + 160.0 * frame_s), frames }
    }

    fn near_end_s(&self, number: u64) -> f64 {
        1.0 + (number + 1) as f64 * 160.0 * (1.0 + self.near_ppm / 1e6) / 16_000.0
    }
}

/// Plays `seconds` and answers the worst shift in ms after `settle_s`, and the largest step from frame to frame
/// beyond what the tone itself does.
fn follow(cards: &mut Cards, seconds: u64, settle_s: f64) -> (f64, f64) {
    let mut align = Align::new(0);
    let (mut worst_ms, mut click, mut fars) = (0f64, 0f64, 0);
    let mut last: Option<f64> = None;
    for number in 0..seconds * 100 {
        let end_s = cards.near_end_s(number);
        while 1.0 + (fars + 1) as f64 * 0.01 < end_s + AHEAD_S + 0.03 {
            align.handle_far(&cards.far(fars));
            fars += 1;
        }
        let near = Hop { at: cards.stamp(end_s), frames: [0; HOP_FRAMES] };
        let mut out = [0.0; HOP_FRAMES];
        align.read(&near, &mut out);
        if number as f64 * 0.01 < settle_s {
            last = None;
            continue;
        }
        worst_ms = worst_ms.max(shift_ms(&out, end_s, cards.near_ppm).abs());
        for &sample in &out {
            if let Some(last) = last {
                click = click.max((f64::from(sample) - last).abs());
            }
            last = Some(f64::from(sample));
        }
    }
    // The steepest step of the tone, between two frames.
    (worst_ms, click / (10_000.0 * std::f64::consts::TAU * TONE_HZ / 16_000.0))
}

/// How much later than the truth `out` is, from the phase of the tone, ms. (±2.5 ms can be told apart.)
fn shift_ms(out: &Frames, end_s: f64, near_ppm: f64) -> f64 {
    let frame_s = (1.0 + near_ppm / 1e6) / 16_000.0;
    let (mut sine, mut cosine) = (0.0, 0.0);
    for (i, &sample) in out.iter().enumerate() {
        let time_s = end_s + AHEAD_S - (159 - i) as f64 * frame_s;
        let angle = std::f64::consts::TAU * TONE_HZ * time_s;
        sine += f64::from(sample) * angle.sin();
        cosine += f64::from(sample) * angle.cos();
    }
    -cosine.atan2(sine) / (std::f64::consts::TAU * TONE_HZ) * 1000.0
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn drift_and_jitter_are_followed_within_a_millisecond_and_without_clicks(
        near_ppm in -75.0..75.0f64, far_ppm in -75.0..75.0f64, jitter_us in 0..3000u64, seed in any::<u64>(),
    ) {
        let mut cards = Cards { near_ppm, far_ppm, jitter_us, seed };
        let (worst_ms, click) = follow(&mut cards, 20, 2.0);
        prop_assert!(worst_ms < 1.0, "{worst_ms} ms off");
        prop_assert!(click < 1.05, "a step of {click} times the tone's");
    }
}

#[test]
fn the_worst_pair_of_cards_is_followed_for_minutes() {
    let mut cards = Cards { near_ppm: -75.0, far_ppm: 75.0, jitter_us: 3000, seed: 1 };
    let (worst_ms, click) = follow(&mut cards, 180, 10.0);
    assert!(worst_ms < 0.7, "{worst_ms} ms off");
    assert!(click < 1.02, "a step of {click} times the tone's");
}

/// By how much the stamps of a microphone and of a loudspeaker behind one PulseAudio were late, ms, each half a second. A
/// second client spoke into the microphone in the 4th to the 11th of them, and in the 26th to the 30th.
const NEAR_LATE_MS: [f64; 32] = [
    0.6, 0.6, 0.6, 0.6, 3.7, 2.8, 1.2, 0.3, 1.9, 3.9, 4.1, 0.2, 0.1, 0.1, 0.1, 0.1, //
    0.1, 0.1, 0.1, 0.1, 0.2, 0.2, 0.1, 0.1, 0.1, 0.1, 2.8, 3.7, 4.5, 2.9, 0.0, 0.0,
];
const FAR_LATE_MS: [f64; 32] = [
    0.1, 0.1, 0.1, 0.1, 0.1, 0.2, 0.4, 0.7, 0.9, 1.1, 1.3, 1.5, 1.3, 1.4, 1.6, 1.1, //
    1.1, 1.2, 0.8, 0.9, 0.9, 0.7, 0.7, 0.8, 0.6, 0.6, 0.6, 0.5, 0.5, 0.6, 0.5, 0.5,
];

fn late_s(table: &[f64], hop: u64) -> f64 {
    let place = (hop as f64 / 50.0).min(table.len() as f64 - 1.001);
    let (before, part) = (place as usize, place.fract());
    (table[before] + part * (table[before + 1] - table[before])) / 1000.0
}

/// Plays `seconds` on perfect cards; answers for each hop how much later than the truth what is read is, ms, and the
/// jumps. `near_s` and `far_s` say how late a hop is stamped, s.
fn shifts(seconds: u64, near_s: impl Fn(u64) -> f64, far_s: impl Fn(u64) -> f64) -> (Vec<f64>, u64) {
    let mut cards = Cards { near_ppm: 0.0, far_ppm: 0.0, jitter_us: 0, seed: 1 };
    let late =
        |hop: Hop, late_s: f64| Hop { at: Time::from_us((hop.at.as_secs_f64() * 1e6 + late_s * 1e6) as u64), ..hop };
    let mut align = Align::new(0);
    let mut fars = 0;
    let shifts = (0..seconds * 100).map(|number| {
        while fars < number + 6 {
            align.handle_far(&late(cards.far(fars), far_s(fars)));
            fars += 1;
        }
        let end_s = cards.near_end_s(number);
        let mut out = [0.0; HOP_FRAMES];
        align.read(&late(Hop { at: cards.stamp(end_s), frames: [0; HOP_FRAMES] }, near_s(number)), &mut out);
        shift_ms(&out, end_s, 0.0)
    });
    (shifts.collect(), align.jumps())
}

#[test]
fn stamps_that_come_late_for_seconds_do_not_move_the_place() {
    let (shifts, jumps) = shifts(16, |hop| late_s(&NEAR_LATE_MS, hop), |hop| late_s(&FAR_LATE_MS, hop));
    let (before, after) = (shifts[1250], shifts[1590]);
    assert!((after - before).abs() < 0.3, "over a pause of three seconds it moved from {before:.2} to {after:.2} ms");
    let (least, most) = shifts[500..].iter().fold((f64::MAX, f64::MIN), |(a, b), &x| (a.min(x), b.max(x)));
    assert!(most - least < 1.5, "from {least:.2} to {most:.2} ms");
    assert_eq!(jumps, 0);
}

#[test]
fn a_slip_of_some_milliseconds_is_a_jump_within_a_second() {
    let slipped = |hop| if hop < 500 { 0.0 } else { 0.011 };
    let (shifts, jumps) = shifts(10, |_| 0.0, slipped);
    assert_eq!(jumps, 1);
    let off = |shift: f64| (shift - 11.0 + 2.5).rem_euclid(5.0) - 2.5; // a phase of the tone
    assert!(shifts[400..490].iter().all(|shift| shift.abs() < 0.1));
    assert!(shifts[600..].iter().all(|&shift| off(shift).abs() < 0.1), "{:.2?}", &shifts[600..620]);
}

fn hop(at_ms: u64, value: i16) -> Hop {
    Hop { at: Time::from_ms(at_ms), frames: [value; HOP_FRAMES] }
}

fn read(align: &mut Align, at_ms: u64) -> f32 {
    let mut out = [0.0; HOP_FRAMES];
    align.read(&hop(at_ms, 0), &mut out);
    out[HOP_FRAMES / 2]
}

const AHEAD_MS: u64 = (AHEAD_S * 1000.0) as u64;

#[test]
fn where_the_loudspeaker_stands_still_there_is_silence() {
    let mut align = Align::new(0);
    assert_eq!(read(&mut align, 100), 0.0, "it has never played");
    for at_ms in (200..=400).step_by(10) {
        align.handle_far(&hop(at_ms, 1000));
    }
    for at_ms in (110..800).step_by(10) {
        let plays = (200..=400).contains(&(at_ms + AHEAD_MS));
        let heard = read(&mut align, at_ms);
        assert_eq!(heard.round(), if plays { 1000.0 } else { 0.0 }, "{at_ms} ms");
    }
    for at_ms in (900..=1000).step_by(10) {
        align.handle_far(&hop(at_ms, 2000));
    }
    let heard: Vec<f32> = (800..1000).step_by(10).map(|at_ms| read(&mut align, at_ms).round()).collect();
    assert_eq!(heard.iter().filter(|&&sample| sample == 2000.0).count(), 11, "{heard:?}");
    assert_eq!(align.jumps(), 0, "a start is no jump");
}

#[test]
fn the_configured_delay_is_part_of_it() {
    let mut align = Align::new(120);
    for at_ms in (200..=400).step_by(10) {
        align.handle_far(&hop(at_ms, 1000));
    }
    for at_ms in (100..600).step_by(10) {
        let plays = (200..=400).contains(&((at_ms + AHEAD_MS).saturating_sub(120)));
        assert_eq!(read(&mut align, at_ms).round(), if plays { 1000.0 } else { 0.0 }, "{at_ms} ms");
    }
}

#[test]
fn what_was_dropped_before_it_was_heard_is_taken_back() {
    let mut align = Align::new(0);
    (200..=600).step_by(10).for_each(|at_ms| align.handle_far(&hop(at_ms, 1000)));
    (200..=400).step_by(10).for_each(|at_ms| assert!(read(&mut align, at_ms) < 2000.0));
    // Flushed at 450 ms; the next sound begins at 500.
    (500..=700).step_by(10).for_each(|at_ms| align.handle_far(&hop(at_ms, 3000)));
    let heard: Vec<f32> = (500..650).step_by(10).map(|at_ms| read(&mut align, at_ms).round()).collect();
    assert!(heard.iter().all(|&sample| sample == 3000.0), "{heard:?}");
}

#[test]
fn a_clock_that_steps_is_a_jump() {
    let mut align = Align::new(0);
    let mut far_ms = 200;
    for at_ms in (200..2000).step_by(10) {
        while far_ms <= at_ms + 30 {
            // At one second the loudspeaker's stamps step by 60 ms: an xrun that nobody told.
            align.handle_far(&hop(far_ms + if far_ms > 1000 { 60 } else { 0 }, 500));
            far_ms += 10;
        }
        read(&mut align, at_ms);
    }
    assert_eq!(align.jumps(), 1);
}

#[test]
fn far_end_copy_is_waited_for_only_while_it_comes() {
    let mut align = Align::new(0);
    assert!(!align.wants_far(Time::from_ms(100)), "nothing has ever come");
    align.handle_far(&hop(200, 1));
    assert!(!align.wants_far(Time::from_ms(190)), "it is here");
    assert!(align.wants_far(Time::from_ms(200)));
    assert!(align.wants_far(Time::from_ms(250)));
    assert!(!align.wants_far(Time::from_ms(300)), "it has stopped");
}

#[test]
fn a_stream_that_begins_late_finds_its_place_once_it_is_in_time() {
    let (shifts, jumps) = shifts(16, |hop| late_s(&NEAR_LATE_MS[4..], hop), |_| 0.0);
    assert_eq!(jumps, 0);
    assert!(shifts[500..].iter().all(|shift| shift.abs() < 0.5), "{:.2?}", shifts[500..].iter().step_by(100));
}
