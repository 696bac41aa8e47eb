//! Tests of the cues: how they sound, and how far they are.
#![allow(clippy::unwrap_used)]

use super::*;

const ALL: [Cue; 4] = [Cue::Again, Cue::Lost, Cue::Offline, Cue::Spent];
const RATE: Hertz = Hertz(24_000);

fn figure(cue: Cue, rate: Hertz) -> Vec<i16> {
    (0..length(cue, rate)).map(|at| sample(cue, at, 0, rate)).collect()
}

fn largest_step(frames: &[i16]) -> i32 {
    frames.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap_or(0)
}

/// Energy of `frames` at each whole hertz of `pitches`, through a window.
fn energy(frames: &[i16], rate: Hertz, pitches: std::ops::Range<u32>) -> f64 {
    let at_pitch = |pitch: u32| {
        let (mut re, mut im) = (0.0, 0.0);
        for (at, frame) in frames.iter().enumerate() {
            let hann = soft(2.0 * at.min(frames.len() - at) as f64 / frames.len() as f64);
            let angle = TAU * f64::from(pitch) * at as f64 / f64::from(rate.0);
            re += hann * f64::from(*frame) * angle.cos();
            im += hann * f64::from(*frame) * angle.sin();
        }
        re * re + im * im
    };
    pitches.step_by(10).map(at_pitch).sum()
}

/// Tones of a figure with the pitch of each, Hz, in its first and its last third (counted by zero crossings).
fn heard_as(cue: Cue) -> Vec<(u32, u32)> {
    let frames = figure(cue, RATE);
    let is_loud: Vec<bool> =
        frames.chunks(120).map(|block| block.iter().any(|frame| frame.unsigned_abs() > 400)).collect();
    let pitch = |frames: &[i16]| {
        let rises = frames.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
        (rises as u32 * RATE.0 / frames.len() as u32).next_multiple_of(10)
    };
    let mut tones = Vec::new();
    let mut at = 0;
    while at < is_loud.len() {
        let blocks = is_loud[at..].iter().take_while(|loud| **loud).count();
        if blocks > 0 {
            let tone = &frames[at * 120..((at + blocks) * 120).min(frames.len())];
            let third = tone.len() / 3;
            tones.push((pitch(&tone[..third]), pitch(&tone[tone.len() - third..])));
        }
        at += blocks.max(1);
    }
    tones
}

#[test]
fn every_figure_is_short_quiet_and_begins_and_ends_at_nothing() {
    for cue in ALL {
        for rate in [8000, 16_000, 24_000, 44_100, 48_000].map(Hertz) {
            let frames = figure(cue, rate);
            let ms = frames.len() as u32 * 1000 / rate.0;
            assert!((120..=CUE_MS_MAX).contains(&ms), "{cue:?}: {ms} ms");
            let peak = frames.iter().map(|frame| frame.unsigned_abs()).max().unwrap();
            assert!((3000..=PEAK as u16).contains(&peak), "{cue:?}: a peak of {peak} at {rate}");
            let (first, last) = (frames[0], frames[frames.len() - 1]);
            assert!(first == 0 && last.abs() < 10, "{cue:?}: from {first} to {last}");
            assert_eq!(sample(cue, frames.len(), 0, rate), 0, "{cue:?} is over");
        }
    }
}

#[test]
fn no_figure_clicks() {
    // A click is energy far above the tones; the steepest tone (1.3 kHz) steps by 2000 at 24 kHz.
    for cue in ALL {
        let frames = figure(cue, RATE);
        assert!(largest_step(&frames) < 2200, "{cue:?}: a step of {}", largest_step(&frames));
        let (tones, above) = (energy(&frames, RATE, 400..2000), energy(&frames, RATE, 4000..11_000));
        assert!(above < tones * 1e-6, "{cue:?}: {above} above, {tones} in its tones");
    }
}

#[test]
fn a_small_loudspeaker_gives_all_of_them() {
    for cue in ALL {
        let frames = figure(cue, RATE);
        let (within, all) = (energy(&frames, RATE, 400..2000), energy(&frames, RATE, 20..6000));
        assert!(within > 0.97 * all, "{cue:?}: {within} of {all}");
    }
}

#[test]
fn the_four_are_told_apart_by_number_direction_and_height() {
    let [again, lost, offline, spent] = ALL.map(heard_as);
    assert_eq!((again.len(), lost.len(), offline.len(), spent.len()), (2, 1, 2, 3));
    assert_eq!(again[0], again[1], "equal");
    assert_eq!(offline[0], offline[1], "equal");
    assert!(offline[0].0 * 2 < again[0].0, "more than an octave below: {offline:?}, {again:?}");
    assert!(lost[0].0 > lost[0].1 * 4 / 3, "it slides down: {lost:?}");
    assert!(spent.is_sorted_by(|one, next| one.0 > next.0 + 150), "three steps down: {spent:?}");
    assert!(spent.iter().all(|(from, to)| from.abs_diff(*to) <= 60), "each of one pitch: {spent:?}");
}

fn mixed(player: &mut CuePlayer, frames: usize, line_at: u64) -> Vec<i16> {
    let mut block = vec![0; frames];
    player.mix(&mut block, line_at, RATE);
    block
}

#[test]
fn what_was_cut_is_taken_up_where_it_was_heard_to_and_swells_anew() {
    let mut player = CuePlayer::default();
    player.order(Cue::Lost);
    let whole = figure(Cue::Lost, RATE);
    assert_eq!(mixed(&mut player, 2400, 1000), whole[..2400]);
    player.on_position(1000 + 1500, RATE);
    player.on_dropped();
    let rest = mixed(&mut player, 8000, 3400);
    assert_eq!((rest[0], &rest[120..whole.len() - 1500]), (0, &whole[1620..]));
    assert!(largest_step(&rest) < 2200);
    assert_eq!(rest[whole.len() - 1500..], vec![0; 8000 - (whole.len() - 1500)]);
    player.on_running();
    let end = 3400 + (whole.len() - 1500) as u64;
    assert_eq!(player.on_position(end - 1, RATE), None);
    assert_eq!(player.on_position(end, RATE), Some(Change::Over));
}

#[test]
fn the_newest_of_those_that_wait_is_heard_next_and_no_cue_twice_in_a_row() {
    let mut player = CuePlayer::default();
    for cue in [Cue::Again, Cue::Again, Cue::Offline, Cue::Lost] {
        player.order(cue);
    }
    assert_eq!(mixed(&mut player, length(Cue::Again, RATE), 0), figure(Cue::Again, RATE));
    assert_eq!(player.on_running(), Some(Change::Started));
    assert_eq!(player.on_position(length(Cue::Again, RATE) as u64, RATE), None, "another follows");
    assert_eq!(mixed(&mut player, length(Cue::Lost, RATE), 10_000), figure(Cue::Lost, RATE));
    assert_eq!(player.on_running(), None, "told once");
    assert_eq!(player.on_position(10_000 + length(Cue::Lost, RATE) as u64, RATE), Some(Change::Over));
    assert!(!player.is_sounding());
}

#[test]
fn a_cue_nobody_heard_of_needs_no_end() {
    let mut player = CuePlayer::default();
    player.order(Cue::Spent);
    assert_eq!(player.give_up(), None);
    player.order(Cue::Spent);
    mixed(&mut player, 240, 0);
    player.on_running();
    assert_eq!(player.give_up(), Some(Change::Over));
    assert_eq!(player.give_up(), None);
}
