//! What outlives the program, on a real disk: the state directory of `mynah run`, and what a kill leaves behind.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use mynah::hw::folder::Folder;

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
