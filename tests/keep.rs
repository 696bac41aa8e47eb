//! What outlives the program, on a real disk: the state directory of `mynah run`, what a kill leaves behind, and the
//! flight recorder's dumps.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use mynah::cli::dump::Dump;
use mynah::hw::clock::RealClock;
use mynah::hw::folder::Folder;
use mynah::trace::{Entry, Recorder};
use mynah::units::Time;

#[path = "line/process.rs"]
#[allow(dead_code, reason = "the line's tests use the rest")]
mod process;

use process::{Process, wait_for};

const MYNAH: &str = env!("CARGO_BIN_EXE_mynah");
/// Longer than anything here takes; the machine may be busy.
const LIMIT: Duration = Duration::from_secs(30);
/// Nothing listens there.
const NOBODY: &str = "ws://127.0.0.1:1/x";
/// Names the folder that the writer below writes to.
const WRITE_TO: &str = "MYNAH_TEST_WRITE_TO";

/// An empty folder of a test's own.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("keep").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn mynah(folder: &Path, name: &str, arguments: &[&str]) -> Process {
    let mut command = Command::new(MYNAH);
    for variable in ["GEMINI_API_KEY", "CREDENTIALS_DIRECTORY", "STATE_DIRECTORY"] {
        command.env_remove(variable);
    }
    Process::start(name, folder, command.args(arguments).env("XDG_STATE_HOME", folder.join("home")))
}

fn run(folder: &Path, name: &str, state: &Path) -> Process {
    let state = state.to_str().unwrap();
    mynah(folder, name, &["run", "--board", "sim", "--endpoint", NOBODY, "--state", state])
}

fn says(process: &mut Process, piece: &str) {
    wait_for(piece, LIMIT, || {
        process.must_live();
        process.text().contains(piece).then_some(())
    });
}

/// The n-th content: long enough to be written in several pieces.
fn content(n: u8) -> Vec<u8> {
    vec![n; 200_000]
}

/// Not a test by itself: the process that [`a_kill_in_mid_write_leaves_the_old_file_or_the_new_one`] kills.
#[test]
fn the_writer_that_is_killed() {
    let Some(path) = std::env::var_os(WRITE_TO) else { return };
    let folder = Folder::new(path);
    for n in (0..=u8::MAX).cycle() {
        folder.write("file", &content(n)).unwrap();
    }
}

#[test]
fn a_kill_in_mid_write_leaves_the_old_file_or_the_new_one() {
    let path = folder("kill");
    let mut in_mid_write = 0;
    for round in 0..40u64 {
        let mut writer = Command::new(std::env::current_exe().unwrap());
        writer.args(["--exact", "the_writer_that_is_killed"]).env(WRITE_TO, &path);
        let mut writer = writer.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_for("the first write", LIMIT, || path.join("file").exists().then_some(()));
        std::thread::sleep(Duration::from_micros(20_000 + round * 777));
        writer.kill().unwrap();
        writer.wait().unwrap();
        let found = fs::read(path.join("file")).unwrap();
        assert!(found == content(found[0]), "round {round}: {} bytes", found.len());
        in_mid_write += u32::from(path.join("file.new").exists());
    }
    assert!(in_mid_write > 0, "no kill came while a file was being written");
    Folder::new(&path).write("file", b"and it goes on").unwrap();
}

#[test]
fn a_state_file_that_cannot_be_read_is_put_aside_and_the_program_starts() {
    let folder = folder("broken");
    fs::write(folder.join("session-here.json"), "{").unwrap();
    fs::set_permissions(folder.join("session-here.json"), Permissions::from_mode(0o600)).unwrap();
    let mut run = run(&folder, "run", &folder);
    says(&mut run, "session-here.json is broken; it was put aside as session-here.json.bad");
    says(&mut run, "no connection");
    assert!(folder.join("session-here.json.bad").exists());
    run.signal(libc::SIGTERM);
    assert_eq!(run.end_within(LIMIT).code(), Some(0));
}

#[test]
fn of_two_in_one_directory_the_second_says_whose_it_is_and_goes_on_without() {
    let folder = folder("two");
    let state = folder.join("state");
    let mut first = run(&folder, "first", &state);
    says(&mut first, "no connection");
    let mut second = run(&folder, "second", &state);
    says(&mut second, "another mynah (process ");
    says(&mut second, "or name another folder with --state");
    says(&mut second, "no connection");
    assert!(!first.text().contains("another mynah"));
    // Whoever is killed keeps nobody out.
    drop(second);
    first.signal(libc::SIGKILL);
    first.end_within(LIMIT);
    let mut third = run(&folder, "third", &state);
    says(&mut third, "no connection");
    assert!(!third.text().contains("another mynah"), "{}", third.text());
}

fn trace(folder: &Path, state: &Path, code: i32) -> String {
    let mut command = Command::new(MYNAH);
    command.args(["trace", "--state"]).arg(state).env("XDG_STATE_HOME", folder.join("home"));
    let done = command.output().unwrap();
    let text = String::from_utf8(done.stdout).unwrap() + &String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(code), "{text}");
    text
}

/// The emulator and its address.
fn emulator(folder: &Path) -> (Process, String) {
    let mut emulator = mynah(folder, "emulator", &["emulator", "--listen", "127.0.0.1:0"]);
    says(&mut emulator, "listening on ws://");
    let text = emulator.text();
    let address = text.split_once("listening on ws://").unwrap().1.split_once(' ').unwrap().0;
    let live = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent";
    (emulator, format!("ws://{address}{live}"))
}

#[test]
fn the_running_daemon_tells_what_it_did_and_the_last_dump_stays() {
    let folder = folder("trace");
    let (_emulator, live) = emulator(&folder);
    let state = folder.join("state");
    let text = trace(&folder, &state, 1);
    assert!(text.contains("no daemon runs with its state in") && text.contains("--state names another"), "{text}");
    let arguments = ["run", "--board", "sim", "--endpoint", &live, "--state", state.to_str().unwrap()];
    let mut run = mynah(&folder, "run", &arguments);
    says(&mut run, "ready: the service took the set-up");
    // As anybody may ask, with `kill -USR1`.
    run.signal(libc::SIGUSR1);
    says(&mut run, "state/trace.txt (asked for by the signal SIGUSR1)");
    let dump = fs::read_to_string(state.join("trace.txt")).unwrap();
    for piece in [
        "setup complete",
        "event       link ready",
        "-> link     open",
        "a new conversation",
        "since the start",
        "KiB resident",
    ] {
        assert!(dump.contains(piece), "{piece}:\n{dump}");
    }
    assert_eq!(fs::metadata(state.join("trace.txt")).unwrap().permissions().mode() & 0o777, 0o600);
    let process = dump.split_once("process ").unwrap().1.split_once(',').unwrap().0;
    let limits = fs::read_to_string(format!("/proc/{}/limits", process)).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "a crash leaves no core file");
    // As `mynah trace` does; each is a new one.
    let up = |text: &str| text.split_once("up for ").unwrap().1.split_once(' ').unwrap().0.to_string();
    let (first, second) = (trace(&folder, &state, 0), trace(&folder, &state, 0));
    assert!(first.contains("setup complete") && up(&first) != up(&second) && up(&first) != up(&dump), "{first}");
    run.signal(libc::SIGTERM);
    assert_eq!(run.end_within(LIMIT).code(), Some(0), "{}", run.text());
    let text = trace(&folder, &state, 0);
    assert!(text.contains("no daemon runs; this is ") && up(&text) == up(&second), "{text}");
}

#[test]
fn a_refusal_leaves_a_dump_that_the_next_run_does_not_overwrite() {
    let folder = folder("refused");
    let (_emulator, live) = emulator(&folder);
    let state = folder.join("state");
    let arguments = ["run", "--board", "sim", "--endpoint", &live, "--state", state.to_str().unwrap()];
    let mut command = Command::new(MYNAH);
    let mut run = Process::start("run", &folder, command.args(arguments).env("GEMINI_API_KEY", "bad-key"));
    assert_eq!(run.end_within(LIMIT).code(), Some(77), "{}", run.text());
    let text = trace(&folder, &state, 0);
    assert!(text.contains("core        refused") && text.contains("the service refused the key"), "{text}");
    assert!(!text.contains("bad-key") && !text.contains("API key not valid"), "{text}");
    let mut next = mynah(&folder, "next", &arguments);
    says(&mut next, "ready");
    let text = trace(&folder, &state, 0);
    assert!(text.contains("link ready") && text.contains("an earlier run ended by a fault"), "{text}");
}

/// Not a test by itself: the process whose end [`a_panic_leaves_a_dump_without_what_it_says`] looks at.
#[test]
fn the_program_that_panics() {
    let Some(path) = std::env::var_os(WRITE_TO) else { return };
    let recorder = Recorder::new([]);
    recorder.add(Time::from_ms(5), Entry::new("core", "the last thing"));
    Dump { recorder, clock: Arc::new(RealClock::new()), folder: Some(Arc::new(Folder::new(path))) }.on_panic();
    let thread = std::thread::spawn(|| panic!("what somebody said"));
    let _ = thread.join();
}

#[test]
fn a_panic_leaves_a_dump_without_what_it_says() {
    let path = folder("panic");
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.args(["--exact", "the_program_that_panics"]).env(WRITE_TO, &path);
    program.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    let dump = fs::read_to_string(path.join("trace-fatal.txt")).unwrap();
    assert!(dump.contains("the program panicked at tests/keep.rs:") && dump.contains("the last thing"), "{dump}");
    assert!(!dump.contains("what somebody said"), "{dump}");
}

/// What a newer version's files may look like: another shape all over, but for the version.
const NEWER: &str = r#"{"version": 2, "memory": [], "sign_ins": {}, "kept": 7, "alarms": "many", "outputs": null}"#;

#[test]
fn after_a_downgrade_it_runs_and_says_of_each_newer_file_that_it_cannot_read_it() {
    let folder = folder("downgrade");
    let state = folder.join("state");
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, Permissions::from_mode(0o700)).unwrap();
    let private = |path: PathBuf, text: &str| {
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    };
    let told = ["session-here.json", "alarms.json", "tools.json", "sign_ins.json", "fleet.json"];
    for file in told {
        private(state.join(file), NEWER);
    }
    private(state.join("settings.toml"), "language = \"German\"\n[panel]\ncolour_of_next_year = \"red\"\n");
    private(folder.join("secret"), "a-password-of-the-panel\n");
    // Held for a moment, so that it is free.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    private(
        folder.join("agent.toml"),
        &AGENT.replace("PORT", &port.to_string()).replace("SECRET", folder.join("secret").to_str().unwrap()),
    );
    let config = folder.join("agent.toml");
    let arguments = ["run", "--board", "sim", "--endpoint", NOBODY, "--config", config.to_str().unwrap()];
    let arguments = [&arguments[..], &["--state", state.to_str().unwrap()]].concat();
    let mut run = mynah(&folder, "run", &arguments);
    says(&mut run, "no connection");
    for file in told {
        says(&mut run, &format!("{file} was written by a newer version of mynah"));
    }
    says(&mut run, "some of what was chosen at the page does not fit");
    run.signal(libc::SIGTERM);
    assert_eq!(run.end_within(LIMIT).code(), Some(0));
}

/// An agent that has all of these files.
const AGENT: &str = r#"
device_tools = ["timers"]

[panel]
listen = "127.0.0.1:PORT"
secret_file = "SECRET"
allow = ["settings"]

[mqtt]
host = "127.0.0.1"
port = 1

[fleet]
name = "hall"
public_key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"

[[tools]]
name = "switch_lamp"
description = "Switches the lamp in the hall on or off."
parameters = { type = "OBJECT", properties = { on = { type = "BOOLEAN" } }, required = ["on"] }
action = { gpio = "set", line = "lamp", argument = "on" }
policy = { max_on_s = 60 }
"#;
