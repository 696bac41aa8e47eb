//! The program's own commands around tools, on a board whose lines are files: a call by hand, its place in the log, what a
//! kill leaves and who puts it right.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Long enough for a machine that is busy with something else.
const SOON: Duration = Duration::from_secs(20);

const AGENT: &str = r#"
    [listen]
    mode = "hands_free"
    [[tools]]
    name = "switch_lamp"
    description = "Switches the lamp. Call it when the user asks for light."
    parameters = { type = "OBJECT", properties = { on = { type = "BOOLEAN", description = "on or off" } }, required = ["on"] }
    action = { gpio = "set", line = "lamp", argument = "on" }
    [[tools]]
    name = "hold_gate"
    description = "Holds the gate for half a minute. Call it when the user asks for it."
    timeout_ms = 60000
    action = { gpio = "pulse", line = "gate", pulse_ms = 30000 }
    policy = { callers = ["mqtt"] }
"#;

/// A folder with an agent file, a board profile, its lines and a state directory; gone when dropped.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let folder = std::env::temp_dir().join(format!("mynah-tools-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("lines")).unwrap();
        fs::write(folder.join("agent.toml"), AGENT).unwrap();
        let output = |name: &str, safe: &str| {
            format!("[lines.{name}]\ndirection = \"output\"\nline = \"{name}\"\nsafe = \"{safe}\"\n")
        };
        let lines = [output("lamp", "inactive"), output("gate", "inactive"), output("valve", "active")].concat();
        let board = format!(
            "description = \"Files.\"\ndriver = \"files\"\nfolder = \"{}\"\n[capture]\npcm = \"x\"\n[playback]\npcm = \"x\"\n{lines}",
            folder.join("lines").display()
        );
        fs::write(folder.join("board.toml"), board).unwrap();
        Place(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn level(&self, line: &str) -> String {
        fs::read_to_string(self.0.join("lines").join(line)).unwrap_or_default().trim().to_string()
    }

    fn tools(&self, args: &[&str]) -> Command {
        let (agent, board, state) = (self.path("agent.toml"), self.path("board.toml"), self.path("state"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_mynah"));
        command.args(["tools", "--config", &agent, "--board", &board, "--state", &state]);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn mynah(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mynah")).args(args).stdin(Stdio::null()).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Killed where a test ends early.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < SOON, "{what}: not within {} s", SOON.as_secs());
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_call_by_hand_meets_the_same_checks_and_stands_in_the_log() {
    let place = Place::new("hand");
    let good = place.tools(&["call", "switch_lamp", r#"{"on": true}"#]).output().unwrap();
    assert_eq!((good.status.code(), said(&good).trim()), (Some(0), r#"{"line":"lamp","on":true}"#));
    assert_eq!(place.level("lamp"), "0", "brought to rest at the end");
    let wrong = place.tools(&["call", "switch_lamp", r#"{"on": 1}"#]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(1));
    assert!(said(&wrong).contains("`on` must be BOOLEAN"));
    let broken = place.tools(&["call", "switch_lamp", "on"]).output().unwrap();
    assert!(String::from_utf8_lossy(&broken.stderr).contains("must be a JSON object"));

    let log = mynah(&["log", "--state", &place.path("state")]);
    let log = said(&log);
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(lines[0].contains("switch_lamp") && lines[0].contains("hand") && lines[0].contains("done"), "{log}");
    assert!(lines[1].contains("REFUSED"), "{log}");
    let failed = mynah(&["log", "--state", &place.path("state"), "--failed", "--json"]);
    assert_eq!(said(&failed).lines().count(), 1);
}

#[test]
fn a_kill_in_the_middle_of_a_pulse_is_put_right_by_safe_and_by_the_next_start() {
    let place = Place::new("kill");
    for put_right in ["safe", "start"] {
        let mut running = Running(place.tools(&["call", "hold_gate"]).spawn().unwrap());
        until("the gate is held", || place.level("gate") == "1");
        running.0.kill().unwrap(); // SIGKILL: nothing of it runs any more
        running.0.wait().unwrap();
        assert_eq!(place.level("gate"), "1", "a process that is killed switches nothing off");
        if put_right == "safe" {
            let safe = mynah(&["safe", "--board", &place.path("board.toml")]);
            assert!(safe.status.success(), "{safe:?}");
            assert_eq!(said(&safe), "gate             inactive\nlamp             inactive\nvalve            active\n");
            assert_eq!((place.level("gate"), place.level("valve")), ("0".into(), "1".into()));
        } else {
            place.tools(&["call", "switch_lamp", r#"{"on": false}"#]).output().unwrap();
            assert_eq!(place.level("gate"), "0");
        }
    }
}

#[test]
fn what_the_model_will_see_is_listed_and_what_makes_it_fail_is_found() {
    let place = Place::new("list");
    let list = said(&place.tools(&[]).output().unwrap());
    assert!(list.starts_with("switch_lamp(on: BOOLEAN)\n    Switches the lamp."), "{list}");
    let json = said(&place.tools(&["list", "--json"]).output().unwrap());
    let declared: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(declared[0]["behavior"], "BLOCKING");
    let lint = place.tools(&["lint"]).output().unwrap();
    assert_eq!(lint.status.code(), Some(3));
    assert!(said(&lint).contains("`hold_gate`: anybody who is heard can do this"), "{}", said(&lint));
}

#[test]
fn a_configuration_is_checked_without_a_device() {
    let place = Place::new("check");
    let check =
        |file: &Path| mynah(&["config", "check", &file.display().to_string(), "--board", &place.path("board.toml")]);
    let good = check(&place.0.join("agent.toml"));
    assert!(good.status.success() && said(&good).contains("2 tools"), "{good:?}");
    fs::write(place.0.join("wrong.toml"), AGENT.replace("\"gate\"", "\"gat\"")).unwrap();
    let wrong = check(&place.0.join("wrong.toml"));
    assert_eq!(wrong.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("did you mean `gate`?"), "{wrong:?}");
}
