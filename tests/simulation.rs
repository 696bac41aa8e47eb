//! The simulation: gate, session and speaker against the emulated service, on one virtual clock, from seeds.
//!
//! `MYNAH_SEEDS=N` runs N seeds, `MYNAH_SEED=S` replays one and shows what happened last. A failing seed is
//! replayed by itself. The rules are in `simulation/watch.rs`; `simulation/mutation.rs` shows that each can fail.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

#[path = "simulation/device.rs"]
mod device;
#[path = "simulation/dice.rs"]
mod dice;
#[path = "simulation/figure.rs"]
mod figure;
#[path = "simulation/mutation.rs"]
mod mutation;
#[path = "simulation/service.rs"]
mod service;
#[path = "simulation/story.rs"]
mod story;
#[path = "simulation/user.rs"]
mod user;
#[path = "simulation/watch.rs"]
mod watch;
#[path = "simulation/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use mynah::units::Time;

use mutation::MUTATIONS;
use watch::Failure;
use world::World;

/// Seeds of a normal run.
const SEEDS: u64 = 300;
/// Failing seeds that are shown before the run gives up.
const SHOWN_MAX: usize = 3;
/// Further ones that are named.
const NAMED_MAX: usize = 60;

const FOREVER: Time = Time::from_us(u64::MAX);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Replays a seed and tells how it ended.
fn told(seed: u64) -> String {
    let mut world = World::new(seed, None, None);
    world.run();
    // Again, with what happened before it went wrong.
    let until = world.watch.failure.map_or(FOREVER, |failure| failure.at);
    let mut world = World::new(seed, None, Some(until));
    world.run();
    let mut text = format!("seed {seed}: {}\n", world.told());
    for (at, what, times) in world.watch.log.iter().flatten() {
        let what: String = what.chars().take(160).collect();
        let times = if *times > 1 { format!(" ({times} times)") } else { String::new() };
        text += &format!("{:>9.3}  {what}{times}\n", at.as_secs_f64());
    }
    match &world.watch.failure {
        Some(failure) => {
            text += &format!("seed {seed} breaks {:?} at {}: {}\n", failure.rule, failure.at, failure.message)
        }
        None => text += &format!("seed {seed} holds every rule\n"),
    }
    text
}

#[test]
fn every_rule_holds_after_every_step() {
    if let Some(seed) = number("MYNAH_SEED") {
        let text = told(seed);
        println!("{text}");
        assert!(text.contains("holds every rule"), "{text}");
        return;
    }
    let (seeds, began) = (number("MYNAH_SEEDS").unwrap_or(SEEDS), Instant::now());
    let first = number("MYNAH_FIRST").unwrap_or(0);
    let sum = run_all(first..first + seeds);
    println!(
        "simulation: {seeds} seeds, {:.1} simulated hours, {} turns of the user, {} replies heard to the sample, {} steps, \
         {:.1} s; in {} a reply was taken for another that nothing tells apart",
        sum.us as f64 / 3.6e9,
        sum.turns,
        sum.exact,
        sum.steps,
        began.elapsed().as_secs_f64(),
        sum.blurred
    );
    let counts: Vec<String> = sum.counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
    println!("simulation: {}", counts.join(", "));
    let mut text = String::new();
    for (seed, failure) in sum.failed.iter().skip(SHOWN_MAX).take(NAMED_MAX) {
        text += &format!("seed {seed} breaks {:?} at {}: {}\n", failure.rule, failure.at, failure.message);
    }
    for (seed, _) in sum.failed.iter().take(SHOWN_MAX) {
        text += &told(*seed);
    }
    assert!(
        sum.failed.is_empty(),
        "{} of {seeds} seeds break a rule (MYNAH_SEED=S replays one)\n{text}",
        sum.failed.len()
    );
}

/// What many runs came to.
#[derive(Default)]
struct Sum {
    steps: u64,
    turns: u64,
    exact: u64,
    blurred: u64,
    us: u64,
    counts: BTreeMap<&'static str, u64>,
    failed: Vec<(u64, Failure)>,
}

impl Sum {
    fn add(&mut self, counts: &BTreeMap<&'static str, u64>) {
        for (what, count) in counts {
            *self.counts.entry(what).or_default() += count;
        }
    }
}

/// Runs the seeds, on as many threads as there are cores; no seed knows of another.
fn run_all(seeds: Range<u64>) -> Sum {
    let next = AtomicU64::new(seeds.start);
    let work = || {
        let mut sum = Sum::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return sum;
            }
            let mut world = World::new(seed, None, None);
            world.run();
            sum.steps += world.steps;
            sum.turns += world.watch.turns;
            sum.exact += world.watch.exact_replies;
            sum.blurred += u64::from(world.watch.blurred > 0);
            sum.us += world.now.as_us();
            sum.add(&world.watch.counts);
            sum.failed.extend(world.watch.failure.map(|failure| (seed, failure)));
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut all = Sum::default();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        for sum in threads.into_iter().map(|thread| thread.join().unwrap()) {
            all.steps += sum.steps;
            all.turns += sum.turns;
            all.exact += sum.exact;
            all.blurred += sum.blurred;
            all.us += sum.us;
            all.add(&sum.counts);
            all.failed.extend(sum.failed);
        }
    });
    all.failed.sort_by_key(|(seed, _)| *seed);
    all
}

#[test]
fn a_seed_replays_exactly() {
    let run = |seed| {
        let mut world = World::new(seed, None, Some(FOREVER));
        world.run();
        (world.now, world.steps, world.watch.log)
    };
    for seed in [1, 2, 3] {
        assert_eq!(run(seed), run(seed));
    }
}

#[test]
fn every_rule_can_fail() {
    for (mutation, rule) in MUTATIONS {
        let mut others = Vec::new();
        let is_noticed = (0..600).any(|seed| {
            let mut world = World::new(seed, Some(mutation), None);
            world.run();
            let broken = world.watch.failure.map(|failure| failure.rule);
            others.extend(broken.filter(|other| *other != rule));
            broken == Some(rule)
        });
        assert!(is_noticed, "{mutation:?} does not break {rule:?}, only {others:?}");
    }
}
