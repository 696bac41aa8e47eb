//! Tests of the speaker on virtual time, against a device that empties at its rate.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::agent::Agent;

mod awake_tests;
mod cue_tests;

const RATE: Hertz = Hertz(24_000);
/// Frames in a millisecond.
const MS: usize = 24;

/// A device at 24 kHz that empties a frame at a time, and the thread around the speaker, in virtual time.
struct World {
    speaker: Speaker,
    now_ms: u64,
    ring: VecDeque<i16>,
    is_running: bool,
    /// All that left the loudspeaker, one entry a frame, from the first start.
    heard: Vec<i16>,
    facts: Vec<(u64, SpeakerFact)>,
    starved: u32,
}

impl World {
    fn new(prebuffer_ms: u32) -> World {
        World {
            speaker: Speaker::new(&Speak {
                volume_percent: 100,
                prebuffer_ms,
                cues: Cues::On,
                stay_awake_s: 0,
                ..Agent::default().speak
            }),
            now_ms: 1000,
            ring: VecDeque::new(),
            is_running: false,
            heard: Vec::new(),
            facts: Vec::new(),
            starved: 0,
        }
    }

    fn play(&mut self, epoch: u32, ms: usize, value: i16) {
        self.order(SpeakerOrder::Play {
            epoch: Epoch(epoch),
            chunk: Chunk { rate: RATE, frames: vec![value; ms * MS] },
        });
    }

    fn end(&mut self, epoch: u32) {
        self.order(SpeakerOrder::End { epoch: Epoch(epoch) });
    }

    fn flush(&mut self, epoch: u32) {
        self.speaker.on_position(self.ring.len() as u64);
        self.order(SpeakerOrder::Flush { epoch: Epoch(epoch) });
    }

    fn order(&mut self, order: SpeakerOrder) {
        let now = Time::from_ms(self.now_ms);
        self.speaker.handle(order, now);
        self.settle();
    }

    /// Carries out plans until there is nothing to do now.
    fn settle(&mut self) {
        let now = Time::from_ms(self.now_ms);
        for _ in 0..100 {
            let device = match (self.is_running, self.ring.len()) {
                (false, 0) => Device::Stopped,
                (false, _) => Device::Held,
                (true, fill) => Device::Running { is_low: fill <= 15 * MS, has_room: fill <= 70 * MS },
            };
            match self.speaker.plan(device, now) {
                Plan::Render => {
                    let mut block = [0; 10 * MS];
                    self.speaker.render(&mut block, now);
                    self.ring.extend(block);
                    self.is_running |= self.ring.len() >= 20 * MS;
                }
                Plan::Start => self.is_running = true,
                Plan::Drop => {
                    self.ring.clear();
                    self.is_running = false;
                    self.speaker.on_dropped();
                }
                Plan::Wait(_) => {
                    while let Some(fact) = self.speaker.poll_fact() {
                        self.facts.push((self.now_ms, fact));
                    }
                    return;
                }
            }
        }
        panic!("the plan never comes to rest");
    }

    fn run(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now_ms += 1;
            if self.is_running {
                for _ in 0..MS {
                    match self.ring.pop_front() {
                        Some(frame) => self.heard.push(frame),
                        None => self.starved += 1,
                    }
                }
                self.speaker.on_position(self.ring.len() as u64);
            }
            self.settle();
        }
    }

    fn facts_of(&self, is_wanted: impl Fn(&SpeakerFact) -> bool) -> Vec<(u64, SpeakerFact)> {
        self.facts.iter().filter(|(_, fact)| is_wanted(fact)).cloned().collect()
    }

    fn frames_of(&self, value: i16) -> usize {
        self.heard.iter().filter(|&&frame| frame == value).count()
    }
}

fn drained(epoch: u32, heard_ms: u64) -> SpeakerFact {
    SpeakerFact::Drained { epoch: Epoch(epoch), heard_ms }
}

fn flushed(epoch: u32, heard_ms: u64) -> SpeakerFact {
    SpeakerFact::Flushed { epoch: Epoch(epoch), heard_ms }
}

#[test]
fn a_reply_is_heard_whole_and_drained_when_its_last_frame_was_heard() {
    let mut world = World::new(0);
    world.play(1, 300, 7);
    world.end(1);
    assert_eq!(world.facts[0], (1000, SpeakerFact::Started { epoch: Epoch(1) }), "without waiting");
    world.run(299);
    assert_eq!(world.facts_of(|f| matches!(f, SpeakerFact::Drained { .. })), []);
    world.run(2);
    assert_eq!(world.facts.last().unwrap(), &(1300, drained(1, 300)));
    assert_eq!(
        (world.heard[..300 * MS].iter().all(|&f| f == 7), world.frames_of(7), world.starved),
        (true, 300 * MS, 0)
    );
    assert!(!world.is_running, "the device rests");
}

#[test]
fn uneven_arrival_is_not_heard() {
    let mut world = World::new(60);
    let gaps = [20, 60, 20, 0, 0, 55, 40, 5, 5, 30, 60, 0, 0, 0, 40];
    for gap in gaps {
        world.play(1, 40, 9);
        world.run(gap);
    }
    world.end(1);
    world.run(1000);
    let first = world.heard.iter().position(|&f| f == 9).unwrap();
    let sound = &world.heard[first..first + gaps.len() * 40 * MS];
    assert!(sound.iter().all(|&f| f == 9), "one piece without a gap");
    assert_eq!(world.facts_of(|f| matches!(f, SpeakerFact::Concealed { .. })), []);
}

#[test]
fn a_gap_is_concealed_once_without_a_click_and_nothing_is_lost() {
    let mut world = World::new(0);
    world.play(1, 100, 8000);
    world.run(300);
    assert_eq!(world.facts_of(|f| matches!(f, SpeakerFact::Concealed { .. })).len(), 1);
    assert!(world.is_running, "silence is played");
    world.play(1, 100, 8000);
    world.end(1);
    world.run(300);
    let step = world.heard.windows(2).map(|w| (w[1] - w[0]).abs()).max().unwrap();
    assert!(step < 200, "a step of {step}");
    assert_eq!(world.facts.last().unwrap().1, drained(1, 200), "silence does not count");
    assert_eq!(world.starved, 0);
}

#[test]
fn concealing_waits_until_the_last_moment() {
    let mut world = World::new(0);
    world.play(1, 100, 5);
    world.run(80); // 20 ms are left: no reason to give up yet
    world.play(1, 100, 5);
    world.end(1);
    world.run(200);
    assert_eq!(world.facts_of(|f| matches!(f, SpeakerFact::Concealed { .. })), []);
    assert_eq!(world.heard[..200 * MS], vec![5; 200 * MS]);
}

#[test]
fn a_long_gap_stops_the_device_and_the_turn_goes_on_after_it() {
    let mut world = World::new(0);
    world.play(1, 50, 5);
    world.run(3000);
    assert!(!world.is_running);
    world.play(1, 50, 5);
    world.end(1);
    world.run(200);
    assert_eq!(world.facts.last().unwrap().1, drained(1, 100));
    assert_eq!(world.facts_of(|f| matches!(f, SpeakerFact::Started { .. })).len(), 1, "it is the same turn");
}

#[test]
fn a_flush_silences_at_once_and_counts_what_was_heard() {
    let mut world = World::new(0);
    world.play(4, 5000, 3);
    world.run(123);
    world.flush(4);
    assert_eq!(world.facts.last().unwrap(), &(1123, flushed(4, 123)));
    assert!(world.ring.is_empty() && !world.is_running);
    // What was still on its way, and an end nobody needs.
    world.play(4, 500, 3);
    world.play(3, 500, 2);
    world.end(4);
    world.run(1000);
    assert_eq!((world.frames_of(3), world.frames_of(2)), (123 * MS, 0));
    assert_eq!(world.facts.last().unwrap().1, flushed(4, 123), "a cut turn does not drain");
    assert_eq!(world.speaker.refused_chunks(), 2);
}

#[test]
fn a_new_turn_plays_right_after_a_flush() {
    let mut world = World::new(0);
    world.play(1, 1000, 3);
    world.run(100);
    world.flush(1);
    world.play(2, 100, 4);
    world.end(2);
    world.run(200);
    assert_eq!((world.frames_of(3), world.frames_of(4)), (100 * MS, 100 * MS));
    assert_eq!(world.heard[100 * MS], 4, "from its first frame, at once");
    assert_eq!(world.facts.last().unwrap().1, drained(2, 100));
}

#[test]
fn a_flush_of_a_turn_that_is_over_does_not_touch_the_next() {
    let mut world = World::new(0);
    world.play(1, 50, 3);
    world.end(1);
    world.run(200);
    world.play(2, 200, 4);
    world.run(50);
    world.flush(1);
    world.end(2);
    world.run(300);
    assert_eq!(world.frames_of(4), 200 * MS);
    assert_eq!(world.facts.last().unwrap().1, drained(2, 200));
}

#[test]
fn every_flush_is_answered_even_of_a_turn_nobody_heard() {
    let mut world = World::new(0);
    world.flush(7);
    assert_eq!(world.facts, [(1000, flushed(7, 0))]);
}

#[test]
fn a_reply_shorter_than_the_start_threshold_is_heard_to_its_end() {
    let mut world = World::new(0);
    world.play(1, 7, 6);
    world.end(1);
    world.run(100);
    assert_eq!(world.frames_of(6), 7 * MS);
    assert_eq!(world.facts.last().unwrap(), &(1007, drained(1, 7)));
}

#[test]
fn the_prebuffer_is_waited_for_but_not_for_ever() {
    let mut world = World::new(100);
    world.play(1, 40, 5);
    world.run(50);
    assert!(!world.is_running);
    world.play(1, 60, 5);
    assert!(world.is_running, "full");
    let mut slow = World::new(100);
    slow.play(1, 40, 5);
    slow.run(99);
    assert!(!slow.is_running);
    slow.run(2);
    assert!(slow.is_running, "waited long enough");
    let mut complete = World::new(100);
    complete.play(1, 40, 5);
    complete.end(1);
    assert!(complete.is_running, "nothing more will come");
}

#[test]
fn an_end_without_sound_drains_at_once_and_one_after_all_was_heard_too() {
    let mut world = World::new(0);
    world.end(1);
    assert_eq!(world.facts, [(1000, drained(1, 0))]);
    world.play(2, 100, 5);
    world.run(500);
    world.end(2);
    assert_eq!(world.facts.last().unwrap(), &(1500, drained(2, 100)));
    world.play(2, 100, 5);
    world.run(300);
    assert_eq!(world.frames_of(5), 100 * MS, "after its end a turn is over");
}

#[test]
fn two_turns_in_a_row_are_both_heard_whole() {
    let mut world = World::new(0);
    world.play(1, 105, 5);
    world.end(1);
    world.play(2, 105, 6);
    world.end(2);
    world.run(500);
    assert_eq!((world.frames_of(5), world.frames_of(6), world.starved), (105 * MS, 105 * MS, 0));
    // The second is said to have started when it is heard: who hears of the first's end after it takes that for silence.
    let started = |epoch| SpeakerFact::Started { epoch: Epoch(epoch) };
    let told: Vec<_> = world.facts.iter().map(|(_, fact)| fact.clone()).collect();
    assert_eq!(told, [started(1), drained(1, 105), started(2), drained(2, 105)]);
}

#[test]
fn a_minute_is_the_most_that_waits_and_the_turn_ends_there() {
    let mut world = World::new(0);
    for _ in 0..70 {
        world.play(1, 1000, 5);
    }
    assert_eq!(world.facts_of(|f| matches!(f, SpeakerFact::Full { .. })).len(), 1, "told once");
    assert!(world.speaker.queued_ms() <= 60_000);
    world.run(5000);
    world.play(1, 1000, 5);
    assert!(world.speaker.queued_ms() < 56_000, "a turn with a hole in it is worse than a short one");
    world.flush(1);
    world.play(2, 100, 6);
    world.end(2);
    world.run(300);
    assert_eq!(world.frames_of(6), 100 * MS);
}

#[test]
fn heard_is_told_ten_times_a_second_and_is_right() {
    let mut world = World::new(0);
    world.play(1, 2000, 5);
    let mut told = Vec::new();
    for _ in 0..1000 {
        world.run(1);
        told.extend(world.speaker.poll_heard(Time::from_ms(world.now_ms)).map(|fact| (world.now_ms - 1000, fact)));
    }
    assert_eq!(told.len(), 10);
    for (at_ms, fact) in told {
        assert_eq!(fact, SpeakerFact::Heard { epoch: Epoch(1), heard_ms: at_ms });
    }
}

#[test]
fn after_an_xrun_what_was_handed_over_counts_as_heard_and_the_rest_follows() {
    let mut world = World::new(0);
    world.play(1, 500, 5);
    world.end(1);
    world.run(100);
    // The thread was not scheduled for a while: the ring ran dry.
    world.heard.extend(world.ring.drain(..));
    world.is_running = false;
    world.speaker.on_starved(0);
    world.settle();
    world.run(600);
    assert_eq!(world.frames_of(5), 500 * MS);
    assert_eq!(world.facts.last().unwrap().1, drained(1, 500));
    assert_eq!(world.facts_of(|f| *f == SpeakerFact::Xrun).len(), 1);
}

#[test]
fn a_lost_device_keeps_what_waits_and_never_counts_what_it_swallowed() {
    let mut world = World::new(0);
    world.play(1, 500, 5);
    world.end(1);
    world.run(100);
    let swallowed = world.ring.len() / MS;
    world.ring.clear();
    world.is_running = false;
    world.speaker.on_lost();
    assert_eq!(world.speaker.plan(Device::Lost, Time::from_ms(world.now_ms)), Plan::Wait(None));
    world.run(1000); // the device is back after a second
    assert_eq!(world.facts.last().unwrap().1, drained(1, 500 - swallowed as u64));
}

#[test]
fn a_device_that_stays_away_ends_the_turn_without_its_sound() {
    let mut world = World::new(0);
    world.play(1, 500, 5);
    world.end(1);
    world.run(100);
    world.ring.clear();
    world.is_running = false;
    world.speaker.on_lost();
    world.speaker.give_up_sound();
    world.settle();
    world.settle();
    assert_eq!(world.facts.last().unwrap().1, drained(1, 100));
}

#[test]
fn another_rate_begins_when_the_old_sound_was_heard() {
    let mut world = World::new(0);
    world.play(1, 100, 5);
    world.end(1);
    world.order(SpeakerOrder::Play { epoch: Epoch(2), chunk: Chunk { rate: Hertz(16_000), frames: vec![6; 1600] } });
    world.run(50);
    assert_eq!(world.speaker.rate(), RATE);
    world.run(60);
    assert_eq!((world.speaker.rate(), world.speaker.block_frames()), (Hertz(16_000), 160));
    assert_eq!(world.frames_of(5), 100 * MS);
}

#[test]
fn impossible_chunks_die_on_arrival_and_every_buffer_comes_back() {
    let mut world = World::new(0);
    for rate in [0, 12, 4_000_000_000] {
        let chunk = Chunk { rate: Hertz(rate), frames: vec![1; 480] };
        world.order(SpeakerOrder::Play { epoch: Epoch(1), chunk });
    }
    world.play(1, 0, 1);
    world.play(1, 50, 1);
    world.end(1);
    world.run(100);
    assert_eq!(world.frames_of(1), 50 * MS);
    assert_eq!(std::iter::from_fn(|| world.speaker.take_spent()).count(), 5);
}

#[test]
fn muted_sound_still_takes_its_time() {
    let mut world = World::new(0);
    world.order(SpeakerOrder::Volume(0));
    world.play(1, 100, 500);
    world.end(1);
    world.run(200);
    assert_eq!(world.facts.last().unwrap(), &(1100, drained(1, 100)));
    assert_eq!(world.heard[20 * MS..].iter().filter(|&&f| f != 0).count(), 0);
}
