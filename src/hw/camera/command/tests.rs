//! Tests of a camera that is a program: shell scripts in its place.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::hw::clock::RealClock;

/// Long enough for a machine that is busy with something else.
const SOON: Duration = Duration::from_secs(20);

fn camera(script: &str) -> Running {
    let command = ["/bin/sh", "-c", script].map(String::from);
    Running::start(&command, Arc::new(RealClock::new())).unwrap()
}

/// `printf` of a picture of 64 by 48 with one byte of data.
fn picture(data: &str) -> String {
    let head = r"\377\330\377\300\000\013\010\000\060\000\100\001\001\021\000\377\304\000\003\000";
    let scan = r"\377\332\000\010\001\001\000\000\077\000";
    format!(r"printf '{head}{scan}{data}\377\331'; ")
}

#[test]
fn pictures_are_taken_as_they_come_and_older_ones_left_out() {
    let script = format!("{}{}sleep 60", picture("a"), picture("b"));
    let mut camera = camera(&script);
    let mut last = None;
    while let Some(still) = camera.next(if last.is_none() { SOON } else { Duration::from_millis(300) }).unwrap() {
        last = Some(still);
    }
    let still = last.unwrap();
    assert_eq!((still.width, still.height, still.jpeg[still.jpeg.len() - 3]), (64, 48, b'b'));
}

#[test]
fn one_that_ends_says_how_and_what_it_said() {
    let mut camera = camera("echo 'ERROR: *** no cameras available ***' >&2; exit 3");
    let trouble = camera.next(SOON).unwrap_err();
    let CameraTrouble::Lost { why } = &trouble else { panic!("{trouble:?}") };
    assert!(why.contains("ended with 3") && why.ends_with("no cameras available ***"), "{why}");
}

#[test]
fn one_that_is_not_there_is_missing() {
    let command = ["/no/such/camera".to_string()];
    let trouble = Running::start(&command, Arc::new(RealClock::new())).err().unwrap();
    assert!(matches!(&trouble, CameraTrouble::Missing { why } if why.contains("/no/such/camera")), "{trouble}");
}

#[test]
fn one_that_says_nothing_is_waited_for_no_longer_than_asked() {
    let mut camera = camera("sleep 60");
    let began = Instant::now();
    assert_eq!(camera.next(Duration::from_millis(100)), Ok(None));
    assert!(began.elapsed() < SOON);
}

#[test]
fn dropped_it_ends_with_all_that_it_started() {
    let script = format!("trap '' TERM; sleep 1000 & echo $! >&2; {}wait", picture("a"));
    let mut camera = camera(&script);
    camera.next(SOON).unwrap().unwrap();
    camera.listen();
    let started: i32 = String::from_utf8_lossy(&camera.said).trim().parse().unwrap();
    drop(camera);
    let began = Instant::now();
    // SAFETY: takes two numbers; signal 0 only asks.
    while unsafe { libc::kill(started, 0) } == 0 {
        // One that has ended and was not waited for by anybody yet still answers.
        let state = std::fs::read_to_string(format!("/proc/{started}/stat")).unwrap_or_default();
        if state.contains(") Z ") {
            return;
        }
        assert!(began.elapsed() < SOON, "it still runs");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn it_gets_no_key_and_no_secret_of_ours() {
    let mut camera = camera("env >&2; exit 1");
    camera.next(SOON).unwrap_err();
    let said = String::from_utf8_lossy(&camera.said).into_owned();
    let names: Vec<&str> = said.lines().filter_map(|line| line.split('=').next()).collect();
    let own = ["PWD", "OLDPWD", "SHLVL", "_"];
    assert!(names.iter().all(|name| own.contains(name) || process::PASSED_ON.contains(name)), "{names:?}");
}
