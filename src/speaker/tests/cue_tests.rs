//! Tests of cues beside replies, gaps, flushes and lost devices.

use super::super::cue;
use super::*;
use crate::flow::Cue;

fn order(world: &mut World, cue: Cue) {
    world.speaker.on_position(world.ring.len() as u64);
    world.order(SpeakerOrder::Cue(cue));
}

fn figure(cue: Cue) -> Vec<i16> {
    (0..cue::length(cue, RATE)).map(|at| cue::sample(cue, at, 0, RATE)).collect()
}

fn ms_of(cue: Cue) -> u64 {
    (cue::length(cue, RATE) / MS) as u64
}

fn cue_facts(world: &World) -> Vec<(u64, SpeakerFact)> {
    world.facts_of(|fact| matches!(fact, SpeakerFact::CueStarted | SpeakerFact::CueOver))
}

/// What is heard beside replies of the one value `under`, from frame `from` on.
fn over(world: &World, under: i16, from: usize, frames: usize) -> Vec<i16> {
    world.heard[from..from + frames].iter().map(|frame| frame - under).collect()
}

#[test]
fn a_cue_alone_starts_the_device_is_heard_whole_and_lets_it_rest() {
    for (cue, ms) in [(Cue::Again, 250), (Cue::Lost, 320), (Cue::Offline, 420), (Cue::Spent, 440)] {
        let mut world = World::new(500);
        order(&mut world, cue);
        assert_eq!(world.facts, [(1000, SpeakerFact::CueStarted)], "at once");
        world.run(ms - 1);
        assert_eq!(cue_facts(&world).len(), 1, "{cue:?} is not over before its last frame");
        world.run(20);
        assert_eq!(cue_facts(&world)[1..], [(1000 + ms, SpeakerFact::CueOver)]);
        assert_eq!(world.heard[..ms as usize * MS], figure(cue), "{cue:?}");
        assert!(!world.is_running && world.starved == 0);
    }
}

#[test]
fn a_cue_over_a_reply_comes_within_the_rings_fill_and_counts_for_nothing() {
    let mut world = World::new(0);
    world.play(1, 1000, 100);
    world.end(1);
    world.run(300);
    order(&mut world, Cue::Spent);
    world.run(800);
    let first = world.heard.iter().position(|frame| *frame != 100).unwrap();
    assert!((300 * MS..=400 * MS).contains(&first), "{} ms after the order", first / MS - 300);
    let begin = first / (10 * MS) * (10 * MS);
    assert_eq!(over(&world, 100, begin, figure(Cue::Spent).len()), figure(Cue::Spent));
    assert_eq!(world.facts_of(|f| matches!(f, SpeakerFact::Drained { .. })), [(2000, drained(1, 1000))]);
    let started_ms = cue_facts(&world)[0].0;
    assert!((1300..=1000 + (first / MS) as u64).contains(&started_ms), "never told after it is heard");
    assert_eq!(cue_facts(&world)[1], (1000 + (begin / MS) as u64 + ms_of(Cue::Spent), SpeakerFact::CueOver));
}

#[test]
fn a_loud_reply_does_not_wrap_under_a_cue() {
    let mut world = World::new(0);
    world.play(1, 500, 32_000);
    order(&mut world, Cue::Offline);
    world.run(500);
    assert!(world.heard.iter().all(|frame| *frame > 25_000), "{:?}", world.heard.iter().min());
    assert!(world.heard.contains(&i16::MAX));
}

#[test]
fn a_flush_cuts_the_reply_and_the_cue_goes_on_from_where_it_was_heard() {
    let mut world = World::new(0);
    world.play(1, 2000, 100);
    order(&mut world, Cue::Offline);
    world.run(200);
    world.flush(1);
    assert_eq!(world.facts.last().unwrap(), &(1200, flushed(1, 200)));
    world.run(600);
    let first = world.heard.iter().position(|frame| *frame != 100).unwrap() / (10 * MS) * (10 * MS);
    let (whole, cut) = (figure(Cue::Offline), 200 * MS - first);
    assert_eq!(over(&world, 100, first, cut), whole[..cut]);
    let fade = 5 * MS;
    let rest = &world.heard[200 * MS..200 * MS + whole.len() - cut];
    assert_eq!((rest[0], &rest[fade..]), (0, &whole[cut + fade..]), "not a frame of it is missing or twice");
    assert_eq!(cue_facts(&world).len(), 2);
    assert_eq!(cue_facts(&world)[1].0, 1200 + ((whole.len() - cut) / MS) as u64);
}

#[test]
fn a_flush_with_nothing_to_cut_does_not_touch_a_cue() {
    let mut world = World::new(0);
    world.play(1, 50, 3);
    world.end(1);
    world.run(200);
    let before = world.heard.len();
    order(&mut world, Cue::Lost);
    world.run(100);
    world.flush(1);
    world.run(400);
    assert_eq!(world.heard[before..before + figure(Cue::Lost).len()], figure(Cue::Lost));
}

#[test]
fn a_reply_begins_under_a_cue_and_both_are_whole() {
    let mut world = World::new(0);
    order(&mut world, Cue::Again);
    world.run(20);
    world.play(1, 500, 100);
    world.end(1);
    world.run(1000);
    let whole = figure(Cue::Again);
    let from = world.heard.iter().zip(&whole).position(|(heard, cue)| *heard == cue + 100).unwrap();
    assert_eq!(world.heard[..from], whole[..from]);
    assert_eq!(over(&world, 100, from, whole.len() - from), whole[from..]);
    assert_eq!(world.facts_of(|f| matches!(f, SpeakerFact::Drained { .. }))[0].1, drained(1, 500));
    assert!(!world.is_running);
}

#[test]
fn a_cue_in_a_gap_does_not_disturb_its_end() {
    let mut world = World::new(0);
    world.play(1, 100, 4000);
    world.run(150);
    order(&mut world, Cue::Again);
    world.run(400);
    world.play(1, 100, 4000);
    world.end(1);
    world.run(300);
    assert_eq!(world.facts.last().unwrap().1, drained(1, 200));
    assert_eq!((cue_facts(&world).len(), world.starved), (2, 0));
}

#[test]
fn of_three_cues_the_first_and_the_last_are_heard_and_one_over_is_told() {
    let mut world = World::new(0);
    for cue in [Cue::Offline, Cue::Lost, Cue::Again] {
        order(&mut world, cue);
    }
    world.run(1000);
    let (one, two) = (figure(Cue::Offline), figure(Cue::Again));
    assert_eq!(world.heard[..one.len()], one);
    let gap = world.heard[one.len()..].iter().position(|frame| *frame != 0).unwrap() / (10 * MS) * (10 * MS);
    assert!(gap <= 80 * MS, "{gap} frames between them");
    assert_eq!(world.heard[one.len() + gap..][..two.len()], two);
    let over_ms = 1000 + ((one.len() + gap + two.len()) / MS) as u64;
    assert_eq!(cue_facts(&world), [(1000, SpeakerFact::CueStarted), (over_ms, SpeakerFact::CueOver)]);
}

#[test]
fn a_cue_that_is_lost_with_its_device_is_over_and_does_not_come_later() {
    let mut world = World::new(0);
    order(&mut world, Cue::Offline);
    world.run(100);
    world.ring.clear();
    world.is_running = false;
    world.speaker.on_lost();
    assert_eq!(world.speaker.poll_fact(), Some(SpeakerFact::CueOver));
    world.speaker.handle(SpeakerOrder::Cue(Cue::Lost), Time::from_ms(world.now_ms));
    assert_eq!(world.speaker.plan(Device::Lost, Time::from_ms(world.now_ms)), Plan::Wait(None));
    world.run(1000);
    assert_eq!((world.heard.len(), world.speaker.poll_fact()), (100 * MS, None), "there was no device for it");
}

#[test]
fn a_cue_ends_also_when_the_device_starved_or_slept_under_it() {
    for is_sleep in [false, true] {
        let mut world = World::new(0);
        order(&mut world, Cue::Lost);
        world.run(100);
        world.ring.clear();
        world.is_running = false;
        if is_sleep {
            world.speaker.on_slept(0)
        } else {
            world.speaker.on_starved(0)
        }
        world.settle();
        world.run(500);
        assert_eq!(cue_facts(&world).len(), 2);
        assert!(!world.is_running);
    }
}

#[test]
fn sound_of_another_rate_waits_for_the_cue() {
    let mut world = World::new(0);
    order(&mut world, Cue::Again);
    world.run(50);
    world.order(SpeakerOrder::Play { epoch: Epoch(1), chunk: Chunk { rate: Hertz(16_000), frames: vec![6; 1600] } });
    world.run(100);
    assert_eq!(world.speaker.rate(), RATE);
    world.run(110);
    assert_eq!(world.speaker.rate(), Hertz(16_000));
    assert_eq!(cue_facts(&world).len(), 2);
}

#[test]
fn the_volume_holds_for_cues_and_off_means_none() {
    let mut quiet = World::new(0);
    quiet.order(SpeakerOrder::Volume(0));
    quiet.run(20);
    order(&mut quiet, Cue::Lost);
    quiet.run(500);
    assert_eq!((quiet.heard[10 * MS..].iter().all(|f| *f == 0), cue_facts(&quiet).len()), (true, 2));

    let speak = Speak { volume_percent: 100, prebuffer_ms: 0, cues: Cues::Off, ..Agent::default().speak };
    let mut silent = World { speaker: Speaker::new(&speak), ..World::new(0) };
    order(&mut silent, Cue::Lost);
    silent.run(500);
    assert_eq!((silent.heard.len(), silent.facts.len()), (0, 0));
}
