//! Tests of what keeps the converter awake, and of ducking.

use super::super::{awake, duck};
use super::*;
use crate::flow::Cue;

fn world(stay_awake_s: u32, wake_ms: u32) -> World {
    let speak = Speak { volume_percent: 100, prebuffer_ms: 0, cues: Cues::On, stay_awake_s, ..Agent::default().speak };
    World { speaker: Speaker::new(&speak).with_wake_ms(wake_ms), ..World::new(0) }
}

/// Milliseconds before the first frame that is not silence.
fn silence_ms(frames: &[i16]) -> usize {
    frames.iter().position(|&frame| frame != 0).unwrap_or(frames.len()) / MS
}

#[test]
fn a_reply_that_is_expected_finds_the_device_running_and_is_heard_whole() {
    let mut world = world(10, 0);
    world.order(SpeakerOrder::Wake);
    assert!(world.is_running, "at once");
    world.run(3000);
    assert_eq!((world.facts.len(), world.starved), (0, 0), "silence is no news");
    let before = world.heard.len();
    world.play(1, 300, 7);
    world.end(1);
    world.run(400);
    let late = silence_ms(&world.heard[before..]);
    assert!(late <= 30, "{late} ms of silence were before it");
    assert_eq!(world.frames_of(7), 300 * MS);
    let facts = [SpeakerFact::Started { epoch: Epoch(1) }, drained(1, 300)];
    assert_eq!(world.facts.iter().map(|(_, fact)| fact.clone()).collect::<Vec<_>>(), facts);
    assert_eq!(world.facts[1].0, 4000 + late as u64 + 300, "to the millisecond");
}

#[test]
fn without_a_reply_the_device_rests_after_a_while() {
    let mut world = world(10, 0);
    world.order(SpeakerOrder::Wake);
    world.run(5000);
    world.order(SpeakerOrder::Wake);
    let more_ms = awake::EXPECT_MAX.as_millis() as u64;
    world.run(more_ms - 20);
    assert!(world.is_running);
    world.run(40);
    assert!(!world.is_running && world.ring.is_empty() && world.facts.is_empty());
}

#[test]
fn after_a_reply_the_device_stays_awake_for_as_long_as_the_owner_says() {
    let mut world = world(3, 0);
    world.order(SpeakerOrder::Wake); // its ten seconds end with the reply
    world.play(1, 300, 7);
    world.end(1);
    world.run(3310);
    assert!(world.is_running);
    world.run(100);
    assert!(!world.is_running);
    assert_eq!((world.starved, &world.facts.last().unwrap().1), (0, &drained(1, 300)));
}

#[test]
fn a_reply_without_sound_and_a_flush_of_nothing_do_not_wake_the_device() {
    let mut world = world(10, 0);
    world.end(1);
    world.run(10);
    world.flush(2);
    world.run(100);
    assert!(!world.is_running && world.heard.is_empty());
}

#[test]
fn a_flush_while_only_silence_runs_changes_nothing_but_is_answered() {
    let mut world = world(10, 0);
    world.order(SpeakerOrder::Wake);
    world.run(1000);
    let held = world.ring.len();
    world.flush(3);
    assert_eq!((world.is_running, world.ring.len()), (true, held), "nothing was dropped");
    assert_eq!(world.facts, [(2000, flushed(3, 0))]);
    world.run(1000);
    assert_eq!((world.is_running, world.starved), (true, 0));
}

#[test]
fn after_a_flush_the_device_runs_on_with_silence() {
    let mut world = world(10, 0);
    world.play(1, 5000, 3);
    world.run(123);
    world.flush(1);
    world.run(2000);
    assert_eq!((world.frames_of(3), world.is_running, world.starved), (123 * MS, true, 0));
    let before = world.heard.len();
    world.play(2, 100, 4);
    world.end(2);
    world.run(200);
    assert!(silence_ms(&world.heard[before..]) <= 30);
    assert_eq!(world.facts.last().unwrap().1, drained(2, 100));
}

#[test]
fn a_converter_that_slept_gets_its_silence_before_the_first_sound_and_only_then() {
    let mut world = world(2, 300);
    world.play(1, 200, 7);
    world.end(1);
    world.run(600);
    assert_eq!(silence_ms(&world.heard), 300);
    let started = world.facts.iter().position(|(_, fact)| matches!(fact, SpeakerFact::Started { .. })).unwrap();
    assert!((1200..=1300).contains(&world.facts[started].0), "not while it was silence: {:?}", world.facts);
    assert_eq!(world.facts.last().unwrap(), &(1500, drained(1, 200)), "silence is not counted");

    let before = world.heard.len();
    world.play(2, 200, 8);
    world.end(2);
    world.run(600);
    assert!(silence_ms(&world.heard[before..]) <= 30, "it is awake");

    assert_eq!(world.frames_of(7) + world.frames_of(8), 400 * MS, "nothing was clipped");
    world.run(10_000);
    assert!(!world.is_running, "asleep again");
    let before = world.heard.len();
    world.order(SpeakerOrder::Cue(Cue::Lost));
    world.run(1000);
    assert_eq!(silence_ms(&world.heard[before..]), 300, "also before a cue");
}

#[test]
fn what_woke_the_device_counts_for_the_silence_before_a_sound() {
    let mut world = world(0, 500);
    world.order(SpeakerOrder::Wake);
    world.run(200);
    world.play(1, 100, 7);
    world.end(1);
    world.run(600);
    assert_eq!(silence_ms(&world.heard), 500);
    assert_eq!(world.facts.last().unwrap().1, drained(1, 100));
}

#[test]
fn a_flush_before_the_first_sound_leaves_the_converters_silence_and_no_sound() {
    let mut world = world(0, 500);
    world.play(1, 1000, 7);
    world.run(200);
    world.flush(1);
    world.run(1000);
    assert_eq!((world.frames_of(7), world.is_running), (0, false));
    assert_eq!(world.facts.last().unwrap().1, flushed(1, 0));
}

#[test]
fn a_ducked_reply_is_low_and_comes_back_and_cues_are_as_loud_as_ever() {
    let mut world = world(0, 0);
    world.play(1, 3000, 10_000);
    world.run(500);
    world.order(SpeakerOrder::Duck(true));
    world.run(500);
    let low = (10_000.0 * duck::DUCK_GAIN).round() as i16;
    assert_eq!(world.heard[700 * MS..1000 * MS], vec![low; 300 * MS]);
    world.order(SpeakerOrder::Cue(Cue::Lost));
    world.run(500);
    let loudest = world.heard[1000 * MS..].iter().max().unwrap() - low;
    assert!(loudest > 5000, "a cue of {loudest} over it");
    world.order(SpeakerOrder::Duck(false));
    world.run(500);
    assert_eq!(world.heard[1900 * MS..2000 * MS], vec![10_000; 100 * MS]);
    world.end(1);
    world.run(2000);
    assert_eq!(world.facts.last().unwrap().1, drained(1, 3000), "nothing of it was lost");
}

#[test]
fn ducking_ends_with_the_reply_it_was_for() {
    for is_flushed in [false, true] {
        let mut world = world(0, 0);
        world.play(1, 300, 10_000);
        world.run(50);
        world.order(SpeakerOrder::Duck(true));
        if is_flushed {
            world.flush(1);
        } else {
            world.end(1);
        }
        let before = world.heard.len();
        world.play(2, 300, 9000);
        world.end(2);
        world.run(1000);
        assert_eq!(world.frames_of(9000), 300 * MS, "flushed {is_flushed}");
        assert!(is_flushed || world.heard[before..].contains(&1780), "the first was ducked");
    }
}
