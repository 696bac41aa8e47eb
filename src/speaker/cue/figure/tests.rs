//! Tests of the figures: how they sound, and that they are told apart.
#![allow(clippy::unwrap_used)]

use super::*;

const ALL: [Cue; 12] = [
    Cue::Again,
    Cue::Lost,
    Cue::Offline,
    Cue::Spent,
    Cue::Listening,
    Cue::Heard,
    Cue::Thinking,
    Cue::Error,
    Cue::Muted,
    Cue::Unmuted,
    Cue::Reset,
    Cue::Ring,
];
const RATE: Hertz = Hertz(24_000);

fn figure(cue: Cue, rate: Hertz) -> Vec<i16> {
    (0..length(cue, rate)).map(|at| sample(cue, at, rate)).collect()
}

fn largest_step(frames: &[i16]) -> i32 {
    frames.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap_or(0)
}

/// Energy of `frames` at each tenth hertz of `pitches`, through a window (Goertzel's filter).
fn energy(frames: &[i16], rate: Hertz, pitches: std::ops::Range<u32>) -> f64 {
    let hann = |at: usize| soft(2.0 * at.min(frames.len() - at) as f64 / frames.len() as f64);
    let windowed: Vec<f64> = frames.iter().enumerate().map(|(at, frame)| hann(at) * f64::from(*frame)).collect();
    let at_pitch = |pitch: u32| {
        let turn = 2.0 * (TAU * f64::from(pitch) / f64::from(rate.0)).cos();
        let (last, before) = windowed.iter().fold((0.0, 0.0), |(last, before), x| (x + turn * last - before, last));
        last * last + before * before - turn * last * before
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
            assert!((60..=CUE_MS_MAX).contains(&ms), "{cue:?}: {ms} ms");
            let peak = frames.iter().map(|frame| frame.unsigned_abs()).max().unwrap();
            let least = if cue == Cue::Thinking { 2000 } else { 3000 };
            assert!((least..=PEAK as u16).contains(&peak), "{cue:?}: a peak of {peak} at {rate}");
            let (first, last) = (frames[0], frames[frames.len() - 1]);
            assert!(first == 0 && last.abs() < 10, "{cue:?}: from {first} to {last}");
            assert_eq!(sample(cue, frames.len(), rate), 0, "{cue:?} is over");
        }
    }
}

#[test]
fn no_figure_clicks() {
    // A click is energy far above the tones; the steepest tone (1.8 kHz) steps by 2700 at 24 kHz.
    for cue in ALL {
        let frames = figure(cue, RATE);
        assert!(largest_step(&frames) < 2800, "{cue:?}: a step of {}", largest_step(&frames));
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
fn the_first_four_are_told_apart_by_number_direction_and_height() {
    let [again, lost, offline, spent] = [Cue::Again, Cue::Lost, Cue::Offline, Cue::Spent].map(heard_as);
    assert_eq!((again.len(), lost.len(), offline.len(), spent.len()), (2, 1, 2, 3));
    assert_eq!(again[0], again[1], "equal");
    assert_eq!(offline[0], offline[1], "equal");
    assert!(offline[0].0 * 2 < again[0].0, "more than an octave below: {offline:?}, {again:?}");
    assert!(lost[0].0 > lost[0].1 * 4 / 3, "it slides down: {lost:?}");
    assert!(spent.is_sorted_by(|one, next| one.0 > next.0 + 150), "three steps down: {spent:?}");
    assert!(spent.iter().all(|(from, to)| from.abs_diff(*to) <= 60), "each of one pitch: {spent:?}");
}

/// What tells a figure from another: each in words that a person would use.
#[derive(Debug, PartialEq)]
struct Look {
    tones: usize,
    /// −1 down, 0 level, 1 up: from the first pitch to the last.
    way: i32,
    /// Whether a tone slides.
    slides: bool,
    ms: u32,
    pitch_hz: u32,
    /// Whether much of it is its third harmonic.
    is_hollow: bool,
    is_soft: bool,
}

fn look(cue: Cue) -> Look {
    let (heard, frames) = (heard_as(cue), figure(cue, RATE));
    let (first, last) = (heard[0].0, heard[heard.len() - 1].1);
    let way = if first.abs_diff(last) * 6 < first { 0 } else { (last > first) as i32 * 2 - 1 };
    let pitch = tones(cue)[0].from_hz as u32;
    let around = |hz: u32| energy(&frames, RATE, hz - 60..hz + 60);
    Look {
        tones: heard.len(),
        way,
        slides: heard.iter().any(|(from, to)| from.abs_diff(*to) * 5 > *from),
        ms: frames.len() as u32 * 1000 / RATE.0,
        pitch_hz: heard.iter().map(|(from, to)| (from + to) / 2).sum::<u32>() / heard.len() as u32,
        is_hollow: around(3 * pitch) > 0.1 * around(pitch),
        is_soft: frames.iter().all(|frame| frame.unsigned_abs() < 3000),
    }
}

#[test]
fn any_two_figures_differ_in_two_ways_or_are_a_pair_that_goes_up_or_down() {
    let pairs = [(Cue::Listening, Cue::Heard), (Cue::Muted, Cue::Unmuted), (Cue::Spent, Cue::Reset)];
    let looks = ALL.map(|cue| (cue, look(cue)));
    for (at, (one, a)) in looks.iter().enumerate() {
        for (two, b) in &looks[at + 1..] {
            let apart = |x: u32, y: u32, ratio: f64| f64::from(x.max(y)) > ratio * f64::from(x.min(y));
            let differences = [
                a.tones != b.tones,
                a.way != b.way,
                a.slides != b.slides,
                a.is_hollow != b.is_hollow,
                a.is_soft != b.is_soft,
                apart(a.ms, b.ms, 1.7),
                apart(a.pitch_hz, b.pitch_hz, 1.3),
            ];
            let count = differences.iter().filter(|differs| **differs).count();
            if pairs.contains(&(*one, *two)) || pairs.contains(&(*two, *one)) {
                assert_eq!((a.way, b.way, a.tones), (-b.way, -a.way, b.tones), "{one:?} {a:?}, {two:?} {b:?}");
                assert_ne!(a.way, 0, "{one:?} {a:?}");
            } else {
                assert!(count >= 2, "{one:?} {a:?} and {two:?} {b:?} differ in {count}");
            }
        }
    }
}

#[test]
fn steps_of_a_conversation_take_no_time_and_wait_for_nobody() {
    for cue in [Cue::Listening, Cue::Heard] {
        assert!(look(cue).ms <= 80, "{cue:?}: {:?}", look(cue));
    }
    assert_eq!((look(Cue::Listening).way, look(Cue::Heard).way), (1, -1));
    assert!(look(Cue::Thinking).is_soft && !look(Cue::Error).is_soft);
}
