//! Actions of the kind `command` through the errands thread, and after a kill of the whole program.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "errands/rig.rs"]
#[allow(dead_code, reason = "the tests of http use the rest")]
mod rig;

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rig::{Rig, SOON, folder, tool};
use serde_json::json;

/// Where a test that plays the whole program writes the number of the process that it started.
const FILE: &str = "MYNAH_TEST_PROCESS_FILE";

/// A tool whose program writes down its own number and that of a child, and then sleeps, deaf to SIGTERM.
fn sleeper(name: &str, timeout_ms: u32, file: &Path) -> String {
    let script = format!("trap '' TERM; sleep 300 & echo $! >>{0}; echo $$ >>{0}; wait; wait", file.display());
    tool(name, timeout_ms, &format!("command = [\"/bin/sh\", \"-c\", \"{script}\"]"))
}

/// The processes that the file names, once it names two.
fn processes(file: &Path) -> Vec<String> {
    let since = Instant::now();
    loop {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        if text.lines().count() == 2 && text.ends_with('\n') {
            return text.lines().map(str::to_string).collect();
        }
        assert!(since.elapsed() < SOON, "the program does not start: {text}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Whether the process is there and not only waits for somebody to read its exit code.
fn is_alive(process: &String) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn await_end(process: &String) {
    let since = Instant::now();
    while is_alive(process) {
        assert!(since.elapsed() < SOON, "{process} is still there");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn arguments_reach_the_program_whole_and_its_words_the_model() {
    let parameters = r#"parameters = { type = "OBJECT", properties = { x = { type = "STRING" } }, required = ["x"] }"#;
    let count = tool("count", 20_000, "command = [\"/bin/sh\", \"-c\", \"echo $#: $1\", \"sh\", \"{x}\", \"--y={x}\"]");
    let fail = tool("fail", 20_000, "command = [\"/bin/sh\", \"-c\", \"echo broken >&2; exit 7\"]");
    let mut rig = Rig::new(&(count.replace("action", &format!("{parameters}\naction")) + &fail));
    let odd = "a b; $(reboot) 'c' \"d\" `e` | f > g";
    assert_eq!(rig.call("count", json!({"x": odd})), Ok(json!({"code": 0, "text": format!("2: {odd}")})));
    assert_eq!(rig.call("count", json!({"x": "-n"})).unwrap_err(), "argument `x` may not begin with `-`");
    assert_eq!(rig.call("fail", json!({})).unwrap_err(), "`sh` failed with code 7: broken");
    rig.stop();
}

#[test]
fn a_program_that_is_late_is_gone_when_the_model_hears_of_it() {
    let file = folder("late").join("processes");
    let mut rig = Rig::new(&sleeper("sleep", 1500, &file));
    let said = rig.call("sleep", json!({})).unwrap_err();
    assert!(said.contains("was not done within 1500 ms and was stopped"), "{said}");
    let processes = processes(&file);
    assert!(!is_alive(&processes[1]), "the program");
    await_end(&processes[0]); // its child is init's to bury
    rig.stop();
}

#[test]
fn a_stop_and_a_cancellation_leave_no_program() {
    for is_cancelled in [true, false] {
        let file = folder(if is_cancelled { "cancelled" } else { "stopped" }).join("processes");
        let mut rig = Rig::new(&sleeper("sleep", 60_000, &file));
        let id = rig.start("sleep", json!({}));
        let processes = processes(&file);
        assert!(processes.iter().all(is_alive));
        if is_cancelled {
            rig.cancel(&id);
            processes.iter().for_each(await_end);
        }
        rig.stop();
        assert!(!is_alive(&processes[1]), "the program");
        processes.iter().for_each(await_end);
    }
}

/// Nothing tidies up after SIGKILL; the kernel does. This test runs itself once more as the program to be killed.
#[test]
fn a_program_does_not_outlive_a_mynah_that_is_killed() {
    if let Some(file) = std::env::var_os(FILE) {
        let mut rig = Rig::new(&sleeper("sleep", 60_000, Path::new(&file)));
        rig.start("sleep", json!({}));
        thread::sleep(SOON);
        return;
    }
    let file = folder("killed").join("processes");
    let mut mynah = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_program_does_not_outlive_a_mynah_that_is_killed"])
        .env(FILE, &file)
        .spawn()
        .unwrap();
    let processes = processes(&file);
    assert!(processes.iter().all(is_alive));
    mynah.kill().unwrap();
    assert_eq!(mynah.wait().unwrap().signal(), Some(9));
    await_end(&processes[1]);
    // What the program itself had started has nobody who ends it, save systemd: told in the module's header.
    let _ = Command::new("kill").args(["-9", &processes[0]]).status();
}
