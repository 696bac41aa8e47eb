//! The camera's thread with a board made of a script: what it does to sensor, light and switch, in order.

#![allow(clippy::unwrap_used)]

use std::sync::Mutex;
use std::sync::mpsc::RecvTimeoutError;

use super::*;
use crate::audio::trouble::PcmTrouble;
use crate::config;
use crate::hw::clock::RealClock;
use crate::hw::{Button, Capture, Input, LineTrouble, Output, Playback};

/// Long enough on any machine.
const SOON: Duration = Duration::from_secs(20);

/// What was done to the board, and how it behaves.
#[derive(Default)]
struct Bench {
    log: Mutex<Vec<&'static str>>,
    is_shut: AtomicBool,
    has_no_lamp: AtomicBool,
    is_broken: AtomicBool,
}

#[derive(Clone)]
struct Script(Arc<Bench>);

impl Script {
    fn did(&self, what: &'static str) {
        self.0.log.lock().unwrap().push(what);
    }

    fn log(&self) -> Vec<&'static str> {
        self.0.log.lock().unwrap().clone()
    }

    fn wait_for(&self, log: &[&str]) {
        let until = std::time::Instant::now() + SOON;
        while self.log() != log {
            assert!(std::time::Instant::now() < until, "{:?} instead of {log:?}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

struct FakeLamp(Script);

impl Output for FakeLamp {
    fn set(&mut self, active: bool) -> Result<(), LineTrouble> {
        self.0.did(if active { "light" } else { "dark" });
        Ok(())
    }

    fn is_active(&mut self) -> Result<bool, LineTrouble> {
        unreachable!("nobody asks")
    }
}

struct FakeShutter(Script);

impl Input for FakeShutter {
    fn is_active(&mut self) -> Result<bool, LineTrouble> {
        Ok(self.0.0.is_shut.load(Ordering::SeqCst))
    }
}

/// Gives a picture every 10 ms, each another one.
struct FakeCamera(Script, u8);

impl Camera for FakeCamera {
    fn next(&mut self, _timeout: Duration) -> Result<Option<Still>, CameraTrouble> {
        thread::sleep(Duration::from_millis(10));
        if self.0.0.is_broken.load(Ordering::SeqCst) {
            return Err(CameraTrouble::Lost { why: "pulled out".into() });
        }
        self.1 = self.1.wrapping_add(1);
        let taken_at = CLOCK.with(|clock| clock.now());
        Ok(Some(Still { jpeg: vec![self.1; 100].into(), width: 4, height: 3, taken_at }))
    }
}

impl Drop for FakeCamera {
    fn drop(&mut self) {
        self.0.did("stop");
    }
}

thread_local! { static CLOCK: RealClock = RealClock::new(); }

impl Board for Script {
    fn open_capture(&self) -> Result<Box<dyn Capture>, PcmTrouble> {
        unreachable!("only the camera")
    }
    fn open_playback(&self) -> Result<Box<dyn Playback>, PcmTrouble> {
        unreachable!("only the camera")
    }
    fn open_button(&self, _line: &str) -> Result<Box<dyn Button>, LineTrouble> {
        unreachable!("only the camera")
    }
    fn open_output(&self, line: &str) -> Result<Box<dyn Output>, LineTrouble> {
        if self.0.has_no_lamp.load(Ordering::SeqCst) {
            return Err(LineTrouble::Missing { line: line.to_string() });
        }
        Ok(Box::new(FakeLamp(self.clone())))
    }
    fn open_input(&self, _line: &str) -> Result<Box<dyn Input>, LineTrouble> {
        Ok(Box::new(FakeShutter(self.clone())))
    }
    fn open_camera(&self, _extra_ca_pem: Option<&[u8]>) -> Result<Box<dyn Camera>, CameraTrouble> {
        self.did("start");
        Ok(Box::new(FakeCamera(self.clone(), 0)))
    }
}

/// The thread and its ends.
struct Rig {
    board: Script,
    eyes: Eyes,
    shots: Receiver<Shot>,
    told: Arc<Mutex<Vec<String>>>,
    is_muted_by_line: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    bell: Bell,
    thread: Option<JoinHandle<()>>,
}

fn rig() -> Rig {
    rig_of(Script(Arc::default()), None)
}

/// `minute_kib`: how much may go out, where it is not as in the configuration.
fn rig_of(board: Script, minute_kib: Option<u32>) -> Rig {
    let (shots_in, shots) = sync_channel(4);
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let tell = told.clone();
    let (stop, is_muted_by_line) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
    let see = config::agent::parse("[see]\nmode = \"while_speaking\"\n", "test").unwrap().see;
    let see = See { minute_kib: minute_kib.unwrap_or(see.minute_kib), ..see };
    let camera =
        board::Camera { source: board::CameraSource::Test, width: 4, height: 3, settle_ms: 0, frozen_after_s: 5 };
    let (eyes, bell, thread) = spawn(Parts {
        board: Arc::new(board.clone()),
        clock: Arc::new(RealClock::new()),
        extra_ca_pem: None,
        see,
        camera,
        has_lamp: true,
        has_shutter: true,
        is_muted_by_line: is_muted_by_line.clone(),
        shots: shots_in,
        core_bell: Bell::new(),
        tell: Box::new(move |what| {
            if let What::Trouble { text, .. } = what {
                tell.lock().unwrap().push(text);
            }
        }),
        stop: stop.clone(),
    })
    .unwrap();
    Rig { board, eyes, shots, told, is_muted_by_line, stop, bell, thread: Some(thread) }
}

impl Rig {
    fn look(&self) -> Result<(u16, u16), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(self.eyes.look())
    }

    fn end(mut self) -> Vec<&'static str> {
        self.stop.store(true, Ordering::SeqCst);
        self.bell.ring();
        self.thread.take().unwrap().join().unwrap();
        self.board.log()
    }
}

#[test]
fn the_light_is_on_before_the_sensor_runs_and_until_it_has_stopped() {
    let rig = rig();
    assert_eq!(rig.look(), Ok((4, 3)));
    assert_eq!(rig.shots.recv_timeout(SOON).unwrap().why, Occasion::Looked);
    rig.board.wait_for(&["light", "start", "stop", "dark"]);
    assert_eq!(rig.end().len(), 4);
}

#[test]
fn one_picture_for_each_time_it_is_asked_for_and_the_sensor_goes_on_running() {
    let rig = rig();
    rig.eyes.wish(EyeWish::Watch);
    rig.board.wait_for(&["light", "start"]);
    assert_eq!(rig.shots.recv_timeout(Duration::from_millis(100)), Err(RecvTimeoutError::Timeout));
    for _ in 0..2 {
        rig.eyes.wish(EyeWish::Take);
        assert_eq!(rig.shots.recv_timeout(SOON).unwrap().why, Occasion::Speaking);
        assert_eq!(rig.shots.recv_timeout(Duration::from_millis(100)), Err(RecvTimeoutError::Timeout));
    }
    assert_eq!(rig.look(), Ok((4, 3)), "beside it");
    rig.eyes.wish(EyeWish::Rest);
    rig.board.wait_for(&["light", "start", "stop", "dark"]);
    rig.end();
}

#[test]
fn calls_that_wait_together_all_get_a_picture_and_it_is_counted_for_each() {
    // Ten pictures of 100 bytes.
    let rig = rig_of(Script(Arc::default()), Some(1));
    rig.eyes.wish(EyeWish::Watch);
    let mut answers = Vec::new();
    for _ in 0..3 {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let look = || rig.eyes.look();
        let (a, b, c, d) = runtime.block_on(async { tokio::join!(look(), look(), look(), look()) });
        answers.extend([a, b, c, d]);
        assert!((1..=4).contains(&rig.shots.try_iter().count()));
    }
    let refused: Vec<&String> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    assert_eq!(refused.len(), 2, "{answers:?}");
    assert!(refused.iter().all(|why| why.contains("as many pictures as a minute may have")), "{refused:?}");
    rig.end();
}

#[test]
fn a_shutter_is_obeyed_while_the_sensor_runs_and_opens_it_again() {
    let rig = rig();
    rig.eyes.wish(EyeWish::Watch);
    rig.board.wait_for(&["light", "start"]);
    rig.board.0.is_shut.store(true, Ordering::SeqCst);
    rig.board.wait_for(&["light", "start", "stop", "dark"]);
    assert!(rig.look().unwrap_err().contains("shutter is closed"));
    rig.board.0.is_shut.store(false, Ordering::SeqCst);
    let until = std::time::Instant::now() + SOON;
    while rig.board.log().last() != Some(&"start") {
        assert!(std::time::Instant::now() < until, "{:?}", rig.board.log());
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(rig.end().last(), Some(&"dark"));
}

#[test]
fn who_mutes_the_device_means_its_eyes_too() {
    let rig = rig();
    rig.eyes.wish(EyeWish::Shut);
    assert!(rig.look().unwrap_err().contains("muted"));
    rig.eyes.wish(EyeWish::Watch);
    rig.board.wait_for(&["light", "start"]);
    rig.is_muted_by_line.store(true, Ordering::SeqCst);
    rig.board.wait_for(&["light", "start", "stop", "dark"]);
    assert!(rig.look().unwrap_err().contains("muted"));
    rig.end();
}

#[test]
fn without_its_light_the_sensor_does_not_start() {
    let board = Script(Arc::default());
    board.0.has_no_lamp.store(true, Ordering::SeqCst);
    let rig = rig_of(board, None);
    let refused = rig.look().unwrap_err();
    assert!(refused.contains("its light cannot be lit"), "{refused}");
    rig.board.0.has_no_lamp.store(false, Ordering::SeqCst);
    rig.eyes.wish(EyeWish::Watch);
    rig.board.wait_for(&["light", "start"]);
    assert_eq!(rig.told.lock().unwrap().len(), 1);
    rig.end();
}

#[test]
fn a_camera_that_is_pulled_out_is_told_once_and_tried_again() {
    let rig = rig();
    rig.board.0.is_broken.store(true, Ordering::SeqCst);
    let refused = rig.look().unwrap_err();
    assert!(refused.contains("pulled out"), "{refused}");
    assert!(rig.look().is_err(), "not tried at once again");
    rig.board.0.is_broken.store(false, Ordering::SeqCst);
    let until = std::time::Instant::now() + SOON;
    while rig.look().is_err() {
        assert!(std::time::Instant::now() < until);
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(*rig.told.lock().unwrap(), ["pulled out; it is tried again"]);
    rig.end();
}
