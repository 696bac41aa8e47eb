//! A light that writes down what it is told, with real threads and a clock that the test sets.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::*;
use crate::audio::trouble::PcmTrouble;
use crate::config::agent::Connection;
use crate::flow::{CloseCause, OpenCause, Start, What};
use crate::hw::{Button, Capture, Input, Output, Playback};

/// Longer than anything here takes; the machine may be busy.
const LIMIT: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Hand(AtomicU64);

impl Clock for Hand {
    fn now(&self) -> Time {
        Time::from_ms(self.0.load(Ordering::SeqCst))
    }
}

/// What was shown so far, and whether the light can be had.
#[derive(Clone, Default)]
struct Lamp {
    shown: Arc<Mutex<Vec<bool>>>,
    busy: Arc<Mutex<Option<LineTrouble>>>,
}

impl Lamp {
    fn count(&self) -> usize {
        self.shown.lock().unwrap().len()
    }

    /// Waits until the light is so.
    fn await_lit(&self, is_lit: bool) {
        let since = Instant::now();
        while self.shown.lock().unwrap().last() != Some(&is_lit) {
            assert!(since.elapsed() < LIMIT, "the light did not become {is_lit}: {:?}", self.shown.lock().unwrap());
            std::thread::yield_now();
        }
    }
}

impl Light for Lamp {
    fn lamps(&self) -> usize {
        1
    }

    fn show(&mut self, glows: &[Glow]) -> Result<(), LineTrouble> {
        if let Some(trouble) = self.busy.lock().unwrap().clone() {
            return Err(trouble);
        }
        self.shown.lock().unwrap().push(glows.first().is_some_and(|glow| glow.is_on()));
        Ok(())
    }
}

fn no_line() -> LineTrouble {
    LineTrouble::Missing { line: "none".into() }
}

impl Board for Lamp {
    fn open_capture(&self) -> Result<Box<dyn Capture>, PcmTrouble> {
        Err(PcmTrouble::missing("none"))
    }
    fn open_playback(&self) -> Result<Box<dyn Playback>, PcmTrouble> {
        Err(PcmTrouble::missing("none"))
    }
    fn open_button(&self, _: &str) -> Result<Box<dyn Button>, LineTrouble> {
        Err(no_line())
    }
    fn open_output(&self, _: &str) -> Result<Box<dyn Output>, LineTrouble> {
        Err(no_line())
    }
    fn open_input(&self, _: &str) -> Result<Box<dyn Input>, LineTrouble> {
        Err(no_line())
    }
    fn open_light(&self) -> Result<Box<dyn Light>, LineTrouble> {
        match self.busy.lock().unwrap().clone() {
            Some(trouble) => Err(trouble),
            None => Ok(Box::new(self.clone())),
        }
    }
}

/// A light on its thread.
struct Rig {
    lamp: Lamp,
    clock: Arc<Hand>,
    watcher: Option<Watcher>,
    thread: Option<JoinHandle<()>>,
    told: Arc<Mutex<Vec<Result<(), LineTrouble>>>>,
}

impl Rig {
    fn new(busy: Option<LineTrouble>) -> Rig {
        let lamp = Lamp { busy: Arc::new(Mutex::new(busy)), ..Lamp::default() };
        let (clock, told) = (Arc::new(Hand::default()), Arc::new(Mutex::new(Vec::new())));
        let log = told.clone();
        let tell = move |news| log.lock().unwrap().push(news);
        let state = State::new(Connection::OnDemand);
        let (watcher, thread) =
            hang(Arc::new(|_: &Event| {}), Arc::new(lamp.clone()), clock.clone(), state, tell).unwrap();
        Rig { lamp, clock, watcher: Some(watcher), thread: Some(thread), told }
    }

    fn event(&self, what: What) {
        self.watcher.as_ref().unwrap()(&Event { at: self.clock.now(), what });
    }

    fn ready(&self) {
        self.event(What::LinkReady { setup_ms: 1, start: Start::Fresh });
    }

    /// Ends the program; answers what was shown last.
    fn end(mut self) -> Option<bool> {
        self.watcher = None;
        self.thread.take().unwrap().join().unwrap();
        self.lamp.shown.lock().unwrap().last().copied()
    }
}

#[test]
fn the_light_is_on_before_the_first_speech_can_go_out_and_dark_at_the_end() {
    let rig = Rig::new(None);
    rig.ready();
    rig.lamp.await_lit(false);
    // One wake-up of the thread, without any clock: the clock of this test stands still.
    rig.event(What::GateOpened { cause: OpenCause::Voice });
    rig.lamp.await_lit(true);
    rig.event(What::GateClosed { cause: CloseCause::Mistake });
    rig.lamp.await_lit(false);
    rig.event(What::Pressed);
    rig.lamp.await_lit(true);
    assert_eq!(rig.end(), Some(false), "it ends dark");
}

#[test]
fn a_light_that_stands_still_is_left_alone() {
    let rig = Rig::new(None);
    rig.ready();
    rig.event(What::Pressed);
    rig.lamp.await_lit(true);
    let before = rig.lamp.count();
    for _ in 0..100 {
        rig.event(What::SpeechSent { ms: 20 });
    }
    rig.event(What::GateOpened { cause: OpenCause::Button });
    rig.event(What::GateClosed { cause: CloseCause::Mistake });
    rig.lamp.await_lit(false);
    assert_eq!(rig.lamp.count(), before + 1, "shown once: {:?}", rig.lamp.shown.lock().unwrap());
}

#[test]
fn a_pattern_moves_with_the_clock() {
    let rig = Rig::new(None);
    rig.ready();
    rig.lamp.await_lit(false);
    rig.event(What::Muted { is_muted: true, by_line: false });
    rig.lamp.await_lit(true);
    rig.clock.0.store(1000, Ordering::SeqCst);
    rig.lamp.await_lit(false);
    rig.clock.0.store(2050, Ordering::SeqCst);
    rig.lamp.await_lit(true);
    assert_eq!(rig.end(), Some(false));
}

#[test]
fn trouble_is_told_once_and_the_light_taken_when_it_can_be_had() {
    let trouble = LineTrouble::Busy { line: "GPIO27".into(), holder: "`lodger`".into() };
    let rig = Rig::new(Some(trouble.clone()));
    // Each news is a try.
    for _ in 0..3 {
        rig.event(What::Pressed);
        rig.event(What::GateClosed { cause: CloseCause::Mistake });
    }
    let since = Instant::now();
    while rig.told.lock().unwrap().is_empty() {
        assert!(since.elapsed() < LIMIT, "trouble was not told");
        std::thread::yield_now();
    }
    *rig.lamp.busy.lock().unwrap() = None;
    rig.event(What::Pressed);
    rig.lamp.await_lit(true);
    let told = rig.told.clone();
    rig.end();
    assert_eq!(*told.lock().unwrap(), [Err(trouble), Ok(())]);
}
