//! `mynah report` on a job that was recorded: lists, makes the page, the Markdown and the page for paper, deletes.
//!
//! `MYNAH_KEEP=DIR` leaves what was made there, to be looked at.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use mynah::config::procedure;
use mynah::hw::jobs::Jobs;
use mynah::job::record::{End, Entry, Party, Record, Why};
use serde_json::json;

#[path = "line/process.rs"]
#[allow(dead_code, reason = "the line's tests use the rest")]
mod process;

use process::{Process, wait_for};

const MYNAH: &str = env!("CARGO_BIN_EXE_mynah");
/// Longer than anything here takes; the machine may be busy.
const LIMIT: Duration = Duration::from_secs(30);

/// The example that is shipped.
const SERVICE: &str = include_str!("../board/examples/procedures/heat_pump.toml");

/// A folder of a test's own.
fn folder(name: &str) -> PathBuf {
    let above =
        std::env::var_os("MYNAH_KEEP").map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let folder = above.join("report").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A picture that a camera might have made.
fn picture(source: &str) -> Vec<u8> {
    let args = ["-v", "error", "-f", "lavfi", "-i", source, "-frames:v", "1", "-f", "mjpeg", "pipe:1"];
    Command::new("ffmpeg").args(args).stdin(Stdio::null()).output().unwrap().stdout
}

fn said(turn: u32, by: Party, text: &str) -> Entry {
    Entry::Said { turn, by, text: text.into() }
}

fn user(turn: u32, text: &str) -> Entry {
    said(turn, Party::User, text)
}

fn model(turn: u32, text: &str) -> Entry {
    said(turn, Party::Model, text)
}

fn still(number: u32) -> Entry {
    Entry::Still { file: Some(format!("still-{number:04}.jpg")), width: 1280, height: 720, bytes: 9, why: Why::Looked }
}

fn reading(name: &str, value: f64, unit: &str, wanted: &str, is_out_of_range: bool, comment: Option<&str>) -> Entry {
    Entry::Reading {
        name: name.into(),
        value,
        unit: Some(unit.into()),
        comment: comment.map(str::to_string),
        wanted: Some(wanted.to_string()).filter(|wanted| !wanted.is_empty()),
        is_out_of_range,
    }
}

fn step(step: u32, is_skipped: bool, comment: Option<&str>) -> Entry {
    Entry::Step { step, is_skipped, comment: comment.map(str::to_string) }
}

/// A service call: seconds since its beginning, and what happened.
fn service() -> Vec<(i64, Entry)> {
    let procedure = procedure::parse(SERVICE, "heat_pump").unwrap();
    let title = "Heat pump service, 4 Mill Lane".to_string();
    vec![
        (0, user(1, "Good morning. I begin the yearly service of the heat pump at four Mill Lane.")),
        (9, Entry::Titled { title, procedure: Some(procedure) }),
        (10, model(1, "Good morning! First switch the heat pump off and secure it, then show me the isolator.")),
        (65, user(2, "It is off and locked, have a look.")),
        (67, still(1)),
        (69, model(2, "The isolator is locked, and the display is dark. ")),
        (70, step(1, false, None)),
        (71, model(2, "Next: clean the evaporator.")),
        (420, user(3, "Note: the fins on the left side are bent over about ten centimetres. I combed them straight.")),
        (
            424,
            Entry::Note {
                text:
                    "The fins on the left side of the evaporator were bent over about ten centimetres; combed straight."
                        .into(),
            },
        ),
        (425, model(3, "Noted.")),
        (604, user(4, "Clean now. Look at this.")),
        (606, still(2)),
        (609, step(2, false, None)),
        (610, model(4, "I see light between the fins. Next, the pressure of the heating")),
        (612, Entry::Cut { turn: 4 }),
        (613, user(5, "Zero point nine bar.")),
        (616, reading("heating pressure", 0.9, "bar", "1.2 to 2 bar", true, Some("before topping up"))),
        (617, model(5, "That is too low: it should be 1.2 to 2 bar. Top it up and tell me again.")),
        (900, Entry::Called { id: "c7".into(), name: "open_fill_valve".into(), args: json!({"seconds": 20}) }),
        (
            920,
            Entry::Answered {
                id: "c7".into(),
                name: "open_fill_valve".into(),
                result: Some(json!({"line": "fill_valve", "pulsed_ms": 20000})),
                error: None,
                took_ms: 20_013,
            },
        ),
        (960, user(6, "Now it is one point six.")),
        (963, reading("heating pressure", 1.6, "bar", "1.2 to 2 bar", false, None)),
        (964, step(3, false, Some("topped up from 0.9 bar"))),
        (1400, Entry::Trouble { part: "link".into(), text: "the network is not there".into() }),
        (1431, Entry::Recovered { part: "link".into() }),
        (1440, Entry::Resumed { after_s: 9 }),
        (1800, user(7, "Flow temperature forty-one degrees.")),
        (1803, reading("flow temperature", 41.0, "°C", "30 to 55 °C", false, None)),
        (1804, step(4, false, None)),
        (1810, Entry::Called { id: "c9".into(), name: "set_heating".into(), args: json!({"mode": "auto"}) }),
        (
            1814,
            Entry::Answered {
                id: "c9".into(),
                name: "set_heating".into(),
                result: None,
                error: Some("the gateway does not answer".into()),
                took_ms: 4000,
            },
        ),
        (1900, user(8, "Nobody is at home, so leave the last step out.")),
        (1903, step(5, true, Some("nobody at home; a leaflet was left"))),
        (1960, Entry::Note { text: "Expansion vessel is of 2009: offer a new one.".into() }),
        (2040, user(9, "That is it, the job is finished.")),
        (2043, Entry::Ended { why: End::Asked }),
    ]
}

/// Writes the job; answers its name.
fn record(jobs: &Jobs) -> String {
    jobs.claim().unwrap();
    let (name, mut file) = jobs.create("2026-11-22 08:40:03 +0100").unwrap();
    let lines = [(0, Entry::Began { job: name.clone() })].into_iter().chain(service());
    for (s, entry) in lines {
        let day_s = 8 * 3600 + 40 * 60 + 3 + s;
        let at = format!("2026-11-22 {:02}:{:02}:{:02} +0100", day_s / 3600, day_s / 60 % 60, day_s % 60);
        file.write(&Record { at, unix_ms: (1_795_333_203 + s) * 1000, entry }.line()).unwrap();
    }
    for (n, source) in [(1, "testsrc2=size=1280x720"), (2, "mandelbrot=size=1280x720:start_scale=0.6")] {
        file.still(&format!("still-{n:04}.jpg"), &picture(source)).unwrap();
    }
    file.sync().unwrap();
    name
}

fn report(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(MYNAH);
    command.arg("report").args(["--jobs", "jobs"]).args(args).current_dir(folder).stdin(Stdio::null());
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_recorded_job_becomes_a_page_markdown_and_paper() {
    let folder = folder("made");
    let jobs = Jobs::new(folder.join("jobs"));
    let name = record(&jobs);
    let listed = text(&report(&folder, &[]));
    for piece in [&name[..], "Heat pump service, 4 Mill Lane (finished)", "34 min 0 s", "2026-11-22 08:40"] {
        assert!(listed.contains(piece), "{piece}: {listed}");
    }
    for (format, file) in [("html", "report.html"), ("pdf-ready", "paper.html"), ("md", "report.md")] {
        let made = report(&folder, &["last", "--format", format, "--out", file]);
        assert!(made.status.success(), "{}", text(&made));
    }
    let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap();
    let (html, paper, md) = (read("report.html"), read("paper.html"), read("report.md"));
    for piece in ["Clean the evaporator", "out of range", "topped up from 0.9 bar", "offer a new one", "interrupted"] {
        assert!(html.contains(piece) && paper.contains(piece) && md.contains(piece), "{piece}");
    }
    assert_eq!(html.matches("data:image/jpeg;base64,").count(), 2);
    assert!(paper.contains("@page") && !html.contains("@page"));
    assert!(md.contains("(<report.md.pictures/still-0002.jpg>)"), "{md}");
    let beside = fs::read(folder.join("report.md.pictures/still-0002.jpg")).unwrap();
    assert_eq!(beside, jobs.picture(&name, "still-0002.jpg").unwrap());
    // Without a file it goes to standard output, all of it.
    let printed = report(&folder, &[&name[..14]]);
    assert!(String::from_utf8_lossy(&printed.stdout).ends_with("</html>\n"));
}

#[test]
fn a_job_is_deleted_only_when_somebody_is_sure() {
    let folder = folder("deleted");
    let jobs = Jobs::new(folder.join("jobs"));
    let name = record(&jobs);
    let other = jobs.create("2026-11-22 09:00:00 +0100").unwrap().0;
    let refused = report(&folder, &["--delete", &name]);
    assert!(!refused.status.success() && text(&refused).contains("--yes"), "{}", text(&refused));
    // This process has the folder, as the daemon would: what may still be written is not deleted.
    let written = report(&folder, &["--delete", "--yes", &other]);
    assert!(text(&written).contains("may be written at this moment"), "{}", text(&written));
    let unclear = report(&folder, &["2026-11-22"]);
    assert!(text(&unclear).contains("several jobs begin with"), "{}", text(&unclear));
    let deleted = report(&folder, &["--delete", "--yes", &name]);
    assert!(deleted.status.success(), "{}", text(&deleted));
    let left: Vec<String> = jobs.list().unwrap().into_iter().map(|job| job.name).collect();
    assert_eq!(left, [other]);
    for bad in ["../jobs", "nothing", "\u{1b}[2J"] {
        let output = report(&folder, &[bad]);
        assert!(!output.status.success() && text(&output).contains("there is no job"), "{}", text(&output));
        assert!(!text(&output).contains('\u{1b}'));
    }
}

const AGENT: &str = "[job_log]\nenabled = true\nprocedures = \"procedures\"\n";
/// The pump leaks, and the device notes it; what it says of the recording is its second turn.
const SCRIPT: &str = r#"setup delay 20ms
latency 100ms
turn "Note that the pump leaks."
  call start_job {"title": "4 Mill Lane", "procedure": "heat_pump"}
  call note {"text": "The pump leaks."}
  tone 440Hz 300ms "Noted."
turn *
  tone 440Hz 300ms "This is recorded."
"#;

/// A second and a half of sound.
fn speech(path: &Path) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut wav = hound::WavWriter::create(path, spec).unwrap();
    for n in 0..24_000_u32 {
        wav.write_sample(((f64::from(n) * 0.2).sin() * 9000.0) as i16).unwrap();
    }
    wav.finalize().unwrap();
}

/// The daemon on the simulated board, against the emulator, and its battery dies.
#[test]
fn a_conversation_becomes_a_job_that_a_dead_battery_leaves_whole() {
    let folder = folder("daemon");
    fs::create_dir(folder.join("procedures")).unwrap();
    for (file, text) in [("agent.toml", AGENT), ("script.txt", SCRIPT), ("procedures/heat_pump.toml", SERVICE)] {
        fs::write(folder.join(file), text).unwrap();
    }
    speech(&folder.join("say.wav"));
    let mut command = Command::new(MYNAH);
    command.args(["emulator", "--listen", "127.0.0.1:0", "--script", "script.txt"]).current_dir(&folder);
    let emulator = Process::start("emulator", &folder, &mut command);
    let live = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent";
    let address = wait_for("the emulator's address", LIMIT, || {
        let text = emulator.text();
        Some(text.split_once("listening on ")?.1.split_once(' ')?.0.to_string())
    });
    let endpoint = format!("{address}{live}");
    let start = || {
        let mut command = Command::new(MYNAH);
        command.args(["run", "--board", "sim", "--config", "agent.toml", "--say", "say.wav", "--state", "state"]);
        command.args(["--endpoint", &endpoint]).env("GEMINI_API_KEY", "key-of-the-tests").current_dir(&folder);
        Process::start("run", &folder, &mut command)
    };
    let jobs = Jobs::new(folder.join("state/jobs"));
    let log = || jobs.list().unwrap().last().map(|job| jobs.read(&job.name).unwrap()).unwrap_or_default().records;
    let has = |piece: &str| format!("{:?}", log()).contains(piece);
    let mut run = start();
    wait_for("the words of both sides, the note and the announcement", LIMIT, || {
        run.must_live();
        let pieces = [
            "Note that the pump leaks.",
            "4 Mill Lane",
            "Clean the evaporator",
            "Note { text: \"The pump leaks.\"",
            "Noted",
            "recorded",
        ];
        pieces.iter().all(|piece| has(piece)).then_some(())
    });
    run.signal(libc::SIGKILL);
    run.end_within(LIMIT);
    let before = log().len();
    let mut run = start();
    wait_for("the same job to go on", LIMIT, || (log().len() > before && has("Resumed")).then_some(()));
    run.signal(libc::SIGTERM);
    assert_eq!(run.end_within(LIMIT).code(), Some(0), "{}", run.text());
    assert_eq!(jobs.list().unwrap().len(), 1, "one job, although the power was cut");
    let made = Command::new(MYNAH)
        .args(["report", "--jobs", "state/jobs", "last", "--format", "md"])
        .current_dir(&folder)
        .output();
    let md = text(&made.unwrap());
    for piece in ["**Technician:** Note that the pump leaks.", "## Notes", "The pump leaks.", "**Assistant:** "] {
        assert!(md.contains(piece), "{piece}: {md}");
    }
    let text = run.text();
    assert!(!text.contains("pump"), "what is said is in no log: {text}");
}
