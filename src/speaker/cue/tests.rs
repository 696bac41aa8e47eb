//! Tests of the cues on their way: how far one is, what comes after it, what it sounds like.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::audio::Chunk;

const RATE: Hertz = Hertz(24_000);

fn figure(cue: Cue, rate: Hertz) -> Vec<i16> {
    (0..length(cue, rate)).map(|at| sample(cue, at, 0, rate)).collect()
}

fn largest_step(frames: &[i16]) -> i32 {
    frames.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap_or(0)
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
fn a_step_waits_but_never_in_the_place_of_what_is_wrong() {
    let heard_second = |cues: [Cue; 3]| {
        let mut player = CuePlayer::default();
        cues.into_iter().for_each(|cue| player.order(cue));
        mixed(&mut player, length(cues[0], RATE), 0);
        player.on_running();
        player.on_position(length(cues[0], RATE) as u64, RATE);
        player.now.unwrap().cue
    };
    assert_eq!(heard_second([Cue::Again, Cue::Offline, Cue::Listening]), Cue::Offline);
    assert_eq!(heard_second([Cue::Again, Cue::Listening, Cue::Heard]), Cue::Heard);
    assert_eq!(heard_second([Cue::Listening, Cue::Heard, Cue::Error]), Cue::Error);
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

#[test]
fn a_recording_sounds_where_the_figure_would_and_is_over_when_it_is() {
    let frames: Vec<i16> = (0..2400).map(|n| 3000 + n as i16).collect();
    let mut sounds = Sounds::default();
    sounds.replace(Cue::Again, &Chunk { rate: RATE, frames: frames.clone() }).unwrap();
    let mut player = CuePlayer::default();
    player.set_sounds(sounds);
    player.order(Cue::Again);
    assert_eq!(mixed(&mut player, 2000, 0), frames[..2000]);
    assert!(player.has_frames(RATE));
    player.on_running();
    player.on_position(1000, RATE);
    player.on_dropped();
    let rest = mixed(&mut player, 2000, 1000);
    assert_eq!(
        (rest[0], &rest[120..1400], &rest[1400..]),
        (0, &frames[1120..], &[0; 600][..]),
        "swells, goes on, ends"
    );
    assert_eq!(player.on_position(2399, RATE), None);
    assert_eq!(player.on_position(2400, RATE), Some(Change::Over));
}
