//! The power goes: at every single step that a write takes on the disk, with and without what was not synced. Whatever was
//! said to be written is there afterwards, and what was being written is the old or the new, never half of it.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use mynah::config::agent::overlay::Chosen;
use mynah::config::agent::{self, Keep, endpoint};
use mynah::config::board;
use mynah::fleet::Envelope;
use mynah::hw::fleet::{self, Desk};
use mynah::hw::folder::Folder;
use mynah::hw::jobs::Jobs;
use mynah::hw::journal::Journal;
use mynah::hw::settings::{Owned, Settings};
use mynah::hw::store::Store;
use mynah::session::memory::Memory;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

#[path = "rig/place.rs"]
#[allow(dead_code, reason = "other tests take more of it")]
mod place;
use place::Place;

/// A time after which clocks count as set, seconds since 1970.
const NOW_S: i64 = 1_795_262_400;
/// Rounds of each deed: enough for the first, a later one, and one after a rotation.
const ROUNDS: u8 = 7;

/// What is written, round by round, and what must be found. `done` rounds were acknowledged; one more may have begun.
struct Deed {
    name: &'static str,
    write: fn(&Path, u8),
    check: fn(&Path, u8),
}

const DEEDS: [Deed; 5] = [
    Deed { name: "state", write: write_state, check: check_state },
    Deed { name: "settings", write: write_settings, check: check_settings },
    Deed { name: "audit", write: write_audit, check: check_audit },
    Deed { name: "job", write: write_job, check: check_job },
    Deed { name: "fleet", write: write_fleet, check: check_fleet },
];

fn store(folder: &Path) -> Store {
    let endpoint = endpoint::parse("wss://service.example/live").unwrap();
    Store::new(Arc::new(Folder::new(folder)), &endpoint, Keep::HandleAndWords)
}

fn write_state(folder: &Path, round: u8) {
    let store = store(folder);
    let memory = Memory { volume_percent: Some(round), ..Memory::default() };
    store.write(&store.sheet(memory, NOW_S, None)).unwrap();
}

fn check_state(folder: &Path, done: u8) {
    let past = store(folder).read(NOW_S);
    assert_eq!(past.trouble, None);
    old_or_new(past.memory.volume_percent.unwrap_or(0), done);
}

fn settings(folder: &Path) -> (Option<String>, Settings) {
    let text = "[panel]\nlisten = \"127.0.0.1:8765\"\nallow = [\"settings\"]\n";
    let profile = board::parse(board::builtin("sim").unwrap(), "sim", "sim").unwrap();
    let owned = Owned { text: text.into(), name: "test".into() };
    let (agent, settings) = Settings::read(owned, profile, Some(Arc::new(Folder::new(folder)))).unwrap();
    (agent.voice, settings)
}

fn write_settings(folder: &Path, round: u8) {
    settings(folder).1.choose("voice", Some(Chosen::Text(format!("Voice{round}")))).unwrap();
}

fn check_settings(folder: &Path, done: u8) {
    let (voice, settings) = settings(folder);
    assert_eq!(settings.trouble(), None);
    old_or_new(voice.map_or(0, |voice| voice.strip_prefix("Voice").unwrap().parse().unwrap()), done);
}

/// Two lines a file: the last rounds have rotated four times.
fn audit(folder: &Path) -> Journal {
    Journal::new(folder.join("audit.jsonl"), 34)
}

fn write_audit(folder: &Path, round: u8) {
    fs::create_dir_all(folder).unwrap();
    audit(folder).append(format!("{{\"round\":{round:04}}}").as_bytes()).unwrap();
}

fn check_audit(folder: &Path, done: u8) {
    let mut lines = Vec::new();
    let each = |line: &str| {
        lines.push(line.to_string());
        Ok(())
    };
    audit(folder).read(each).unwrap();
    whole_in_order(&lines, done);
    // And it goes on.
    write_audit(folder, 99);
}

fn write_job(folder: &Path, round: u8) {
    let jobs = Jobs::new(folder);
    jobs.claim().unwrap();
    let names = jobs.list().unwrap();
    let mut job = match names.first() {
        None => jobs.create("2026-11-22-1000").unwrap().1,
        Some(kept) => jobs.open(&kept.name).unwrap(),
    };
    job.still(&format!("still-{round}.jpg"), &[round; 64]).unwrap();
    job.write(format!("{{\"round\":{round:04}}}\n").as_bytes()).unwrap();
    job.sync().unwrap();
}

fn check_job(folder: &Path, done: u8) {
    let jobs = Jobs::new(folder);
    let names = jobs.list().unwrap();
    assert!(names.len() <= 1 && names.len() >= usize::from(done.min(1)), "{} jobs after {done} rounds", names.len());
    let Some(job) = names.first() else { return };
    let lines: Vec<String> = fs::read_to_string(folder.join(&job.name).join("log.jsonl"))
        .unwrap_or_default()
        .lines()
        .map(String::from)
        .collect();
    whole_in_order(&lines, done);
    for round in 1..=done {
        assert_eq!(
            jobs.picture(&job.name, &format!("still-{round}.jpg")).unwrap(),
            [round; 64],
            "picture {round} of {done}"
        );
    }
}

fn owner() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
}

/// A start of the program.
fn desk(folder: &Path) -> Desk {
    let key: String = owner().public_key().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let text = format!("[mqtt]\nhost = \"broker\"\n[fleet]\nname = \"hall\"\npublic_key = \"{key}\"\n");
    let fleet = agent::parse(&text, "test").unwrap().fleet.unwrap();
    let profile = board::parse(board::builtin("sim").unwrap(), "sim", "sim").unwrap();
    let owned = Owned { text, name: "test".into() };
    Desk::open(fleet, owned, profile, Some(Arc::new(Folder::new(folder))), Box::new(|_| Ok(())))
}

/// The configuration of the round before proves itself, and the next one is taken.
fn write_fleet(folder: &Path, round: u8) {
    let desk = desk(folder);
    assert_eq!(desk.is_proving(), round > 1);
    desk.accept().unwrap();
    let sent = Envelope::sign(&owner(), "hall", round.into(), &format!("voice = \"Voice{round}\"\n")).unwrap();
    assert_eq!(desk.take(sent.to_json().as_bytes(), false), Ok(Some(round.into())));
}

fn check_fleet(folder: &Path, done: u8) {
    let desk = desk(folder);
    let standing = desk.standing();
    assert_eq!((desk.trouble(), &standing.refused), (None, &None));
    let serial = standing.serial.unwrap_or(0);
    old_or_new(serial.try_into().unwrap(), done);
    let voice = agent::parse(&desk.text().text, "test").unwrap().voice;
    assert_eq!(voice, standing.serial.map(|serial| format!("Voice{serial}")));
    // While it proves itself the one before it waits to come back.
    if desk.is_proving() {
        let ledger = fleet::look(folder).unwrap().unwrap();
        assert_eq!(ledger.accepted().map_or(0, |envelope| envelope.serial), serial - 1);
    }
}

fn old_or_new(found: u8, done: u8) {
    assert!(found == done || found == done + 1, "round {found} is found after {done} were written");
}

/// All acknowledged lines in order; then at most the one that was being written, or a piece of it.
fn whole_in_order(lines: &[String], done: u8) {
    let wanted: Vec<String> = (1..=done).map(|round| format!("{{\"round\":{round:04}}}")).collect();
    assert!(lines.starts_with(&wanted), "{done} lines were written, found {lines:?}");
    let next = format!("{{\"round\":{:04}}}", done + 1);
    let rest = &lines[wanted.len()..];
    assert!(rest.len() <= 1 && rest.iter().all(|line| next.starts_with(line.as_str())), "after {done}: {rest:?}");
}

#[test]
#[ignore = "run by the test below, in a process that is cut"]
fn writes_until_it_is_cut() {
    let Ok(name) = std::env::var("CUT_DEED") else { return };
    let deed = DEEDS.into_iter().find(|deed| deed.name == name).unwrap();
    let (folder, acks) = (PathBuf::from(std::env::var("CUT_UNDER").unwrap()), std::env::var("CUT_ACKS").unwrap());
    for round in 1..=ROUNDS {
        (deed.write)(&folder, round);
        fs::write(&acks, [round]).unwrap();
    }
}

/// Runs a deed until the cut; answers how many rounds were acknowledged and how many steps were taken.
fn run(place: &Place, library: &Path, deed: &Deed, at: u32, loses: &str) -> (u8, u32) {
    // As the kernel names it.
    let place = fs::canonicalize(&place.0).unwrap();
    let (folder, acks, count) = (place.join("state"), place.join("acks"), place.join("count"));
    let _ = fs::remove_dir_all(&folder);
    let _ = fs::remove_file(&acks);
    fs::create_dir(&folder).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "writes_until_it_is_cut", "--ignored", "--test-threads=1"])
        .env("LD_PRELOAD", library)
        .env("CUT_DEED", deed.name)
        .env("CUT_UNDER", &folder)
        .env("CUT_ACKS", &acks)
        .env("CUT_COUNT", &count)
        .env("CUT_AT", at.to_string())
        .env("CUT_LOSES", loses)
        .output()
        .unwrap();
    assert_eq!(output.status.success(), at == 0, "step {at}: {}", String::from_utf8_lossy(&output.stdout));
    let steps = fs::read_to_string(&count).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    (fs::read(&acks).ok().and_then(|acks| acks.first().copied()).unwrap_or(0), steps)
}

/// The library that cuts.
fn library(place: &Place) -> PathBuf {
    let library = place.0.join("libcut.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rig/cut.c");
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).args([source, "-ldl"]).status();
    assert!(built.unwrap().success(), "gcc and libc6-dev are needed");
    library
}

#[test]
fn whatever_was_said_to_be_written_survives_a_cut_at_every_step() {
    let place = Place::new("every");
    let library = library(&place);
    let mut checked = Vec::new();
    for deed in &DEEDS {
        let (done, steps) = run(&place, &library, deed, 0, "nothing");
        assert_eq!(done, ROUNDS);
        assert!(steps >= 2 * u32::from(ROUNDS), "{}: {steps} steps are too few to be all of them", deed.name);
        for loses in ["nothing", "data", "names"] {
            for at in 1..=steps {
                let (done, _) = run(&place, &library, deed, at, loses);
                let folder = place.0.join("state");
                let check = std::panic::catch_unwind(|| (deed.check)(&folder, done));
                assert!(check.is_ok(), "{}: cut at step {at} of {steps}, which loses {loses}", deed.name);
            }
        }
        checked.push(format!("{} {steps}", deed.name));
    }
    eprintln!("steps at which the power went, three times each: {}", checked.join(", "));
}
