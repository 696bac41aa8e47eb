//! A long conversation over a network that drops it again and again: nothing said is lost, and nothing grows.
//!
//! `sh tests/soak.sh 30` runs it for so many minutes. Resident memory, threads and descriptors are read every second.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::certificates::Papers;
use super::process::wait_for;
use super::proxy::{End, Way, Weather};
use super::rig::{IN_A_WHILE, Rig};
use super::voice::Said;

const MINUTES: f64 = 30.0;
/// The part of the time after which nothing may grow: buffers have their size by then.
const SETTLED_AFTER: f64 = 0.2;
/// What resident memory may grow by from the first to the last third of the settled time: pages of an allocator that
/// is used unevenly, in KiB.
const GROWTH_KIB: i64 = 512;
const SCRIPT: &str = "setup delay 20ms\nlatency 200ms\nlives 70s away 20s\nturn *\n tone 440Hz 1s \"So it is.\"\n";
/// Threads and descriptors that come and go: a connection that is made, a file that is written, a name that is asked.
const PASSING: i64 = 3;
/// Idle connections are closed, so that some turns open theirs.
const AGENT: &str = "[session]\nconnection = \"on_demand\"\nidle_close_s = 5";

/// One look at the process.
#[derive(Clone, Copy, Debug)]
struct Look {
    rss_kib: i64,
    threads: i64,
    descriptors: i64,
}

/// A figure's name, and where it stands.
type Field = (&'static str, fn(&Look) -> i64);

/// What happens to the network in the middle of an utterance.
const FAULTS: [fn(&Rig); 8] = [
    |_| {},
    |_| {},
    |_| {},
    |rig| rig.proxy.reset(),
    |rig| rig.proxy.cut_after(Way::Up, 3000, End::Close),
    |rig| rig.proxy.cut_after(Way::Down, 9000, End::Reset),
    |rig| brief(rig, Weather::Held),
    |rig| {
        rig.proxy.refuse(true);
        rig.proxy.reset();
        sleep(Duration::from_millis(800));
        rig.proxy.refuse(false);
    },
];

fn brief(rig: &Rig, weather: Weather) {
    rig.proxy.weather(weather);
    sleep(Duration::from_millis(1200));
    rig.proxy.weather(Weather::Fair);
}

#[test]
#[ignore = "takes half an hour; sh tests/soak.sh MINUTES runs it"]
fn half_an_hour_of_drops_loses_nothing_and_leaks_nothing() {
    let minutes = std::env::var("MYNAH_SOAK_MINUTES").map_or(MINUTES, |text| text.parse().unwrap());
    let mut rig = Rig::without_mynah("soak", SCRIPT, AGENT, Papers::Right);
    rig.start_mynah();
    let watch = Watch::start(rig.mynah_id());
    let until = Instant::now() + Duration::from_secs_f64(minutes * 60.0);
    let mut dice = Dice(1);
    let mut all_said: Vec<Said> = Vec::new();
    sleep(Duration::from_secs(2));
    while Instant::now() < until {
        let fault = FAULTS[dice.below(FAULTS.len() as u64) as usize];
        let before = Duration::from_millis(dice.below(1000));
        let said = rig.say(2.2 + dice.below(20) as f64 / 10.0, |rig| {
            sleep(before);
            fault(rig);
        });
        must_arrive(&mut rig, &said);
        all_said.push(said);
        // Some pauses are shorter than a reply, some longer than an idle connection lives.
        sleep(Duration::from_millis(300 + dice.below(4) * dice.below(3000)));
    }
    let looks = watch.end();
    let (down, closed) = (rig.count("link_down"), rig.count("link_closed"));
    println!("{} utterances over {minutes} min, each whole at the service", all_said.len());
    println!("{} connections, {down} lost, {closed} closed from here", rig.count("link_ready"));
    println!("{} replies asked for again", rig.count("reply_lost"));
    assert_eq!(rig.count("speech_lost"), 0, "speech was lost");
    let grown = grown(&looks);
    assert!(grown.is_empty(), "these grew: {}", grown.join(", "));
    println!("verdict: flat");
}

/// Waits until the utterance is in the newest recordings.
fn must_arrive(rig: &mut Rig, said: &Said) {
    let mut why = String::from("nothing was heard");
    let mut seen: Vec<PathBuf> = Vec::new();
    wait_for("the utterance at the service", IN_A_WHILE, || {
        for (path, heard) in rig.heard_lately(3) {
            match said.is_whole_in(&heard) {
                Ok(()) => return Some(()),
                Err(what) if !seen.contains(&path) => {
                    why = format!("{}: {what}", path.display());
                    seen.push(path);
                }
                Err(_) => {}
            }
        }
        rig.must_live(&why);
        None
    });
}

/// What grew; prints all of it.
///
/// Memory counts by its median. Of threads and descriptors the least count tells: a connection and a file that is
/// written come and go, and what leaks stays.
fn grown(looks: &[Look]) -> Vec<&'static str> {
    let settled = &looks[(looks.len() as f64 * SETTLED_AFTER) as usize..];
    let (early, late) = (&settled[..settled.len() / 3], &settled[settled.len() * 2 / 3..]);
    assert!(!early.is_empty(), "{} s are too short for a verdict", looks.len());
    println!("{} looks, a second apart; least, median and most, early and late:", looks.len());
    let fields: [Field; 3] = [
        ("resident memory, KiB", |look| look.rss_kib),
        ("threads", |look| look.threads),
        ("descriptors", |look| look.descriptors),
    ];
    let mut grown = Vec::new();
    for (index, (name, field)) in fields.into_iter().enumerate() {
        let (early, late) = (spread(early, field), spread(late, field));
        println!("  {name}: {early:?} early, {late:?} late");
        let has_grown = match index {
            0 => late[1] > early[1] + GROWTH_KIB,
            _ => late[0] > early[0] || late[2] > early[2] + PASSING,
        };
        grown.extend(has_grown.then_some(name));
    }
    let course = looks.chunks(looks.len().div_ceil(10)).map(|tenth| spread(tenth, fields[0].1)[1].to_string());
    println!("  course of resident memory, KiB: {}", course.collect::<Vec<_>>().join(" "));
    grown
}

/// Least, median and most.
fn spread(looks: &[Look], field: fn(&Look) -> i64) -> [i64; 3] {
    let mut values: Vec<i64> = looks.iter().map(field).collect();
    values.sort_unstable();
    [values[0], values[values.len() / 2], values[values.len() - 1]]
}

/// Looks at a process every second.
struct Watch {
    looks: Arc<Mutex<Vec<Look>>>,
    is_over: Arc<AtomicBool>,
}

impl Watch {
    fn start(id: u32) -> Watch {
        let watch = Watch { looks: Arc::default(), is_over: Arc::default() };
        let (looks, is_over) = (watch.looks.clone(), watch.is_over.clone());
        std::thread::spawn(move || {
            while !is_over.load(SeqCst) {
                sleep(Duration::from_secs(1));
                let Some(look) = look(id) else { return };
                looks.lock().unwrap().push(look);
            }
        });
        watch
    }

    fn end(self) -> Vec<Look> {
        self.is_over.store(true, SeqCst);
        self.looks.lock().unwrap().clone()
    }
}

fn look(id: u32) -> Option<Look> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let descriptors = std::fs::read_dir(format!("/proc/{id}/fd")).ok()?.count() as i64;
    Some(Look { rss_kib: field("VmRSS:")?, threads: field("Threads:")?, descriptors })
}

/// Chance from a seed: the same soak every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

#[test]
fn the_verdict_sees_what_grows() {
    let flat = |n: i64| Look { rss_kib: 9000 + n % 7, threads: 9, descriptors: 20 + n % 2 };
    assert_eq!(grown(&(0..60).map(flat).collect::<Vec<_>>()), [""; 0]);
    let grown_by = |change: fn(&mut Look, i64)| {
        let looks: Vec<Look> = (0..60)
            .map(|n| {
                let mut look = flat(n);
                change(&mut look, n);
                look
            })
            .collect();
        grown(&looks)
    };
    assert_eq!(grown_by(|look, n| look.rss_kib += n * 30), ["resident memory, KiB"]);
    assert_eq!(grown_by(|look, n| look.threads += n / 20), ["threads"]);
    assert_eq!(grown_by(|look, n| look.descriptors += n / 10), ["descriptors"]);
}
