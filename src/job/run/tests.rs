//! The thread on a real disk: what is told is there, also after a cut, and what is not there is told.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use serde_json::json;

use super::*;
use crate::config::agent;
use crate::flow::Occasion;
use crate::hw::clock::RealClock;
use crate::job::record::{self, End, FILE, Lines};
use crate::units::CallId;

/// Long enough for a machine that is busy with something else; only ever waited for in a failing test.
const SOON: Duration = Duration::from_secs(20);

/// A job log in a folder that is gone when dropped.
struct Rig {
    path: PathBuf,
    clock: RealClock,
    given: Arc<Mutex<Vec<Control>>>,
    told: Arc<Mutex<Vec<What>>>,
}

impl Rig {
    fn new(name: &str) -> Rig {
        let path = std::env::temp_dir().join(format!("mynah-job-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Rig { path, clock: RealClock::new(), given: Arc::default(), told: Arc::default() }
    }

    fn start(&self, keys: &str) -> Handle {
        spawn(self.parts(keys)).unwrap()
    }

    fn parts(&self, keys: &str) -> Parts {
        let log = agent::parse(&format!("[job_log]\nenabled = true\n{keys}"), "test").unwrap().job_log;
        let (given, told) = (self.given.clone(), self.told.clone());
        Parts {
            log,
            folder: self.path.clone(),
            procedures: Vec::new(),
            clock: Arc::new(self.clock),
            give: Arc::new(move |control| {
                given.lock().unwrap().push(control);
                true
            }),
            tell: Arc::new(move |what| told.lock().unwrap().push(what)),
        }
    }

    fn tell(&self, handle: &Handle, what: What) {
        handle.ear().hear(&Event { at: self.clock.now(), what });
    }

    fn jobs(&self) -> Vec<String> {
        Jobs::new(&self.path).list().unwrap().into_iter().map(|job| job.name).collect()
    }

    fn lines(&self) -> Lines {
        let [job] = &self.jobs()[..] else { panic!("{:?}", self.jobs()) };
        record::read(&fs::read(self.path.join(job).join(FILE)).unwrap())
    }

    fn wait(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let since = Instant::now();
        while !is_so() {
            assert!(since.elapsed() < SOON, "waited in vain for {what}: {:?}", self.told.lock().unwrap());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn user(text: &str) -> What {
    What::UserText { text: text.into() }
}

fn ask(handle: &Handle, order: JobOrder) -> Result<Value, String> {
    let (answer, answered) = oneshot::channel();
    assert!(handle.ear().ask(order, answer));
    answered.blocking_recv().unwrap()
}

fn note(text: &str) -> JobOrder {
    JobOrder::Note { text: text.into() }
}

fn still(bytes: usize) -> What {
    What::StillSent { why: Occasion::Looked, width: 4, height: 3, bytes, age_ms: 20, jpeg: vec![7; bytes].into() }
}

#[test]
fn what_is_told_is_on_the_disk_within_a_second_and_a_note_before_its_answer() {
    let rig = Rig::new("told");
    let handle = rig.start("");
    rig.tell(&handle, What::WindowOpened);
    rig.tell(&handle, user("The pump leaks"));
    rig.tell(&handle, still(50));
    assert_eq!(ask(&handle, note("it leaks")), Ok(json!({"written": true, "notes": 1})));
    let kinds: Vec<String> =
        rig.lines().records.iter().map(|r| serde_json::to_value(r).unwrap()["kind"].to_string()).collect();
    assert_eq!(kinds, ["\"began\"", "\"said\"", "\"still\"", "\"note\""]);
    assert_eq!(fs::read(rig.path.join(&rig.jobs()[0]).join("still-0001.jpg")).unwrap(), [7; 50]);
    let since = Instant::now();
    rig.tell(&handle, user("The pump leaks badly"));
    rig.wait("the next piece", || rig.lines().records.len() == 5);
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    let given = format!("{:?}", rig.given.lock().unwrap());
    assert!(given.contains("recorded for the job's report"), "{given}");
    assert!(matches!(&rig.told.lock().unwrap()[..], [What::Recording { job: Some(_) }]));
    assert_eq!(ask(&handle, JobOrder::End).unwrap()["ended"], rig.jobs()[0].as_str());
    assert!(matches!(rig.told.lock().unwrap().last(), Some(What::Recording { job: None })));
    handle.finish();
}

#[test]
fn a_battery_that_is_changed_cuts_no_job_in_two() {
    let rig = Rig::new("battery");
    let handle = rig.start("");
    rig.tell(&handle, user("One"));
    ask(&handle, note("first")).unwrap();
    handle.finish();
    // The power was cut in the middle of a line.
    let log = rig.path.join(&rig.jobs()[0]).join(FILE);
    let mut bytes = fs::read(&log).unwrap();
    bytes.extend_from_slice(b"{\"at\":\"2026");
    fs::write(&log, &bytes).unwrap();
    let handle = rig.start("");
    assert_eq!(ask(&handle, note("second")), Ok(json!({"written": true, "notes": 2})));
    handle.finish();
    let lines = rig.lines();
    assert_eq!(lines.torn, 1);
    assert!(lines.records.iter().any(|r| matches!(r.entry, Entry::Resumed { .. })));
    assert_eq!(rig.given.lock().unwrap().len(), 2, "announced to whoever is there after the restart, too");
}

#[test]
fn a_job_that_was_left_long_ago_is_over_and_the_next_one_is_another() {
    let rig = Rig::new("over");
    let old = rig.path.join("2020-01-01-0000-1");
    fs::create_dir_all(&old).unwrap();
    let line = r#"{"at":"2026-11-20 00:00:00 +0000","unix_ms":1795132800000,"kind":"note","text":"x"}"#;
    fs::write(old.join(FILE), format!("{line}\n")).unwrap();
    let handle = rig.start("idle_ends_min = 1\n");
    ask(&handle, note("new")).unwrap();
    handle.finish();
    let jobs = rig.jobs();
    assert_eq!(jobs.len(), 2, "{jobs:?}");
    let lines = record::read(&fs::read(old.join(FILE)).unwrap());
    assert_eq!(lines.records.len(), 2);
    assert!(matches!(lines.records.last().unwrap().entry, Entry::Ended { why: End::Idle }), "{lines:?}");
}

#[test]
fn a_disk_that_takes_nothing_is_told_once_and_a_note_is_told_as_not_written() {
    let rig = Rig::new("full");
    fs::create_dir_all(rig.path.parent().unwrap()).unwrap();
    fs::write(&rig.path, "in the way").unwrap();
    let handle = rig.start("");
    rig.tell(&handle, user("Hello"));
    for _ in 0..2 {
        let why = ask(&handle, note("x")).unwrap_err();
        assert!(why.starts_with("NOT written: "), "{why}");
    }
    let troubles = rig.told.lock().unwrap().iter().filter(|what| matches!(what, What::Trouble { .. })).count();
    assert_eq!(troubles, 1);
    fs::remove_file(&rig.path).unwrap();
    ask(&handle, note("y")).unwrap();
    handle.finish();
    let entries: Vec<Entry> = rig.lines().records.into_iter().map(|record| record.entry).collect();
    let is_said = |entry: &Entry| matches!(entry, Entry::Said { text, .. } if text == "Hello");
    assert!(entries.iter().any(is_said), "what was said before is kept meanwhile: {entries:?}");
    assert!(
        entries.contains(&Entry::Note { text: "y".into() }) && !entries.contains(&Entry::Note { text: "x".into() })
    );
    assert!(rig.told.lock().unwrap().iter().any(|what| matches!(what, What::Recovered { .. })));
}

#[test]
fn old_jobs_go_when_the_program_starts() {
    let rig = Rig::new("old");
    for name in ["2020-01-01-0000-1", "2020-01-02-0000-1"] {
        fs::create_dir_all(rig.path.join(name)).unwrap();
        let ended = r#"{"at":"x","unix_ms":1,"kind":"ended","why":"asked"}"#;
        fs::write(rig.path.join(name).join(FILE), format!("{ended}\n")).unwrap();
        fs::write(rig.path.join(name).join("still-0001.jpg"), vec![0; 6_000_000]).unwrap();
    }
    let set = |name: &str, path: &Path| {
        let at = std::time::UNIX_EPOCH
            + Duration::from_secs(if name.ends_with("01-0000-1") { 1_577_836_800 } else { 1_577_923_200 });
        fs::File::options().write(true).open(path.join(name).join(FILE)).unwrap().set_modified(at).unwrap();
    };
    set("2020-01-01-0000-1", &rig.path);
    set("2020-01-02-0000-1", &rig.path);
    let handle = rig.start("keep_days = 3650\nkeep_mb = 10\n");
    rig.wait("the older one to go", || rig.jobs() == ["2020-01-02-0000-1"]);
    handle.finish();
    rig.start("keep_days = 1\n").finish();
    assert_eq!(rig.jobs(), [""; 0]);
}

#[test]
fn a_flood_delays_nobody_and_is_counted() {
    let rig = Rig::new("flood");
    let handle = rig.start("");
    let since = Instant::now();
    for n in 0..20_000 {
        let id = CallId(n.to_string().into());
        rig.tell(&handle, What::ToolCalled { id, name: "x".into(), args: json!({}) });
    }
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    // Whoever asks in the flood is told that it is busy, or gets an answer.
    rig.wait("an answer", || {
        let (answer, answered) = oneshot::channel();
        handle.ear().ask(note("after"), answer) && answered.blocking_recv().unwrap().is_ok()
    });
    handle.finish();
    let records = rig.lines().records;
    let lost: u64 = records.iter().map(|r| if let Entry::Lost { lines, .. } = r.entry { lines } else { 0 }).sum();
    let called = records.iter().filter(|r| matches!(r.entry, Entry::Called { .. })).count() as u64;
    assert_eq!(lost + called, 20_000);
}

#[test]
fn a_stop_does_not_wait_for_a_disk_that_does_not_answer() {
    let (hang, until_dropped) = std::sync::mpsc::channel::<()>();
    let until_dropped = Mutex::new(until_dropped);
    let rig = Rig::new("stuck");
    let mut parts = rig.parts("");
    parts.tell = Arc::new(move |_| _ = until_dropped.lock().unwrap().recv()); // as a write would
    let handle = spawn(parts).unwrap();
    rig.tell(&handle, What::Pressed);
    rig.tell(&handle, What::UserText { text: "hello".into() });
    rig.wait("the job", || !rig.jobs().is_empty());
    assert!(!handle.finish_within(Duration::from_millis(50)));
    drop(hang);
}

#[test]
fn a_job_ends_in_a_full_queue_too_and_keeps_what_it_lost_to_itself() {
    let rig = Rig::new("full");
    fs::write(&rig.path, "no folder").unwrap(); // nothing can be written yet
    let told = rig.told.clone();
    let limits = Limits { days: 0, bytes: 1_000_000 };
    let mut desk = Desk::new(Jobs::new(&rig.path), limits, Arc::new(move |what| told.lock().unwrap().push(what)));
    let record = |entry| Record { at: "2026-11-22 08:40:00 +0100".into(), unix_ms: 1_795_333_200_000, entry };
    let lost = |lines| Entry::Lost { lines, stills: 0 };
    for lines in [600, 3] {
        desk.begin((1_795_333_200_000, "2026-11-22 08:40:00 +0100".into()));
        for _ in 0..lines {
            desk.write(record(Entry::Trouble { part: "x".into(), text: "y".into() }), None);
        }
        desk.write(record(Entry::Ended { why: End::Asked }), None);
        desk.close();
    }
    desk.work(Time::from_ms(1));
    assert!(matches!(&rig.told.lock().unwrap()[..], [What::Trouble { .. }]));
    fs::remove_file(&rig.path).unwrap();
    desk.work(Time::from_ms(10_000));
    let ends: Vec<(usize, Vec<Entry>)> = rig
        .jobs()
        .iter()
        .map(|job| {
            let lines = record::read(&fs::read(rig.path.join(job).join(FILE)).unwrap()).records;
            (lines.len(), lines.iter().rev().take(2).map(|record| record.entry.clone()).collect())
        })
        .collect();
    let end = || Entry::Ended { why: End::Asked };
    // The place of the beginning is one of the 512; those of the second job found none at all.
    assert_eq!(ends, [(514, vec![end(), lost(89)]), (3, vec![end(), lost(3)])]);
}
