//! The microphone's thread, in real time: what it does when its device fails.
#![allow(clippy::unwrap_used)]

use std::time::Instant;

use rtrb::Consumer;

use super::*;
use crate::flow::{MIC_RING_HOPS, SPEAKER_FACTS_MAX};
use crate::hw::clock::RealClock;
use crate::hw::fault::{Cue, Fault, FaultBoard, On, When};
use crate::hw::sim::{SimBoard, SimClock, SimSetup};
use crate::hw::{Button, Input, LineTrouble, Output, PcmShape, Playback};
use crate::units::Hertz;

/// Long past what any of this takes: only a failure waits so long.
const PATIENCE: Duration = Duration::from_secs(20);

struct Ears {
    hops: Consumer<Hop>,
    facts: Consumer<MicFact>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Ears {
    fn new(board: Arc<dyn Board>, clock: Arc<dyn Clock>) -> Ears {
        Ears::with(board, clock, Duration::from_secs(10), None)
    }

    fn with(board: Arc<dyn Board>, clock: Arc<dyn Clock>, dead_after: Duration, mute: Option<&str>) -> Ears {
        let (hops, hops_out) = rtrb::RingBuffer::new(2 * MIC_RING_HOPS);
        let (facts, facts_out) = rtrb::RingBuffer::new(SPEAKER_FACTS_MAX);
        let stop = Arc::new(AtomicBool::new(false));
        let parts = Parts {
            board,
            clock,
            pick: Pick::Average,
            dead_after,
            mute: mute.map(|name| (name.to_string(), Arc::default())),
            hops,
            gate_bell: Bell::new(),
            facts,
            core_bell: Bell::new(),
            progress: Arc::default(),
            lost_hops: Arc::default(),
            stop: stop.clone(),
        };
        Ears { hops: hops_out, facts: facts_out, stop, thread: spawn(parts).unwrap() }
    }

    /// Waits until `found` answers something.
    fn until<T>(&mut self, mut found: impl FnMut(&mut Ears) -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(found) = found(self) {
                return found;
            }
            assert!(began.elapsed() < PATIENCE, "nothing came");
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn stop(self) -> Vec<MicFact> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        let mut facts = self.facts;
        std::iter::from_fn(|| facts.pop().ok()).collect()
    }
}

#[test]
fn hops_go_on_after_an_xrun_a_suspend_and_a_short_loss() {
    let clock = SimClock::paced();
    let cue = |after_ms, fault| Cue { when: When::After(Duration::from_millis(after_ms)), on: On::Capture, fault };
    let cues = [cue(100, Fault::Xrun), cue(200, Fault::Suspended), cue(300, Fault::Gone(Duration::from_millis(150)))];
    let sim = SimBoard::new(SimSetup::default(), clock.clone());
    let board = FaultBoard::new(Arc::new(sim), Arc::new(clock.clone()), &cues);
    let mut ears = Ears::new(Arc::new(board), Arc::new(clock));
    let mut stamps = Vec::new();
    ears.until(|ears| {
        stamps.extend(std::iter::from_fn(|| ears.hops.pop().ok()).map(|hop| hop.at.as_ms()));
        stamps.last().is_some_and(|&at_ms| at_ms >= 700).then_some(())
    });
    assert!(stamps.is_sorted(), "{stamps:?}");
    for (from_ms, to_ms) in [(0, 100), (110, 200), (210, 300), (450, 700)] {
        assert!(stamps.iter().any(|at_ms| (from_ms..to_ms).contains(at_ms)), "{from_ms} to {to_ms}: {stamps:?}");
    }
    let told = ears.stop();
    assert_eq!(told[..3], [MicFact::Running, MicFact::Xrun, MicFact::Xrun]);
    // A busy machine may add overruns of its own. A short loss is nobody's business but the recorder's.
    assert!(told[3..].iter().all(|fact| matches!(fact, MicFact::Xrun | MicFact::Reopened)), "{told:?}");
    assert!(told.contains(&MicFact::Reopened), "{told:?}");
}

/// The real time, and what reads that waited in vain would have taken of it.
#[derive(Clone)]
struct SkippingClock(RealClock, Arc<AtomicU64>);

impl Clock for SkippingClock {
    fn now(&self) -> Time {
        self.0.now() + Duration::from_micros(self.1.load(Ordering::Relaxed))
    }
}

/// A board whose microphone runs and gives nothing, for ever.
struct DeafBoard(SkippingClock, Arc<AtomicU64>);

struct DeafMic(SkippingClock);

impl Capture for DeafMic {
    fn shape(&self) -> PcmShape {
        PcmShape { rate: Hertz(16_000), channels: 1, period_frames: 160, buffer_frames: 1600 }
    }
    fn read(&mut self, _: &mut [i16], timeout: Duration) -> Result<usize, PcmTrouble> {
        self.0.1.fetch_add(timeout.as_micros() as u64, Ordering::Relaxed);
        Ok(0)
    }
    fn waiting_frames(&mut self) -> usize {
        0
    }
    fn recover(&mut self, _: &PcmTrouble) -> Result<(), PcmTrouble> {
        Ok(())
    }
}

impl Board for DeafBoard {
    fn open_capture(&self) -> Result<Box<dyn Capture>, PcmTrouble> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(DeafMic(self.0.clone())))
    }
    fn open_playback(&self) -> Result<Box<dyn Playback>, PcmTrouble> {
        Err(PcmTrouble::Gone)
    }
    fn open_button(&self, line: &str) -> Result<Box<dyn Button>, LineTrouble> {
        Err(LineTrouble::Missing { line: line.into() })
    }
    fn open_output(&self, line: &str) -> Result<Box<dyn Output>, LineTrouble> {
        Err(LineTrouble::Missing { line: line.into() })
    }
    fn open_input(&self, line: &str) -> Result<Box<dyn Input>, LineTrouble> {
        Err(LineTrouble::Missing { line: line.into() })
    }
}

#[test]
fn a_microphone_that_gives_nothing_is_opened_again_and_then_the_owner_is_told_what_to_do() {
    let clock = SkippingClock(RealClock::new(), Arc::default());
    let opened = Arc::new(AtomicU64::new(0));
    let board = DeafBoard(clock.clone(), opened.clone());
    let mut ears = Ears::new(Arc::new(board), Arc::new(clock));
    let told = ears.until(|ears| ears.facts.pop().ok());
    assert!(matches!(&told, MicFact::Trouble(text) if text.contains("gives no sound")), "{told:?}");
    assert_eq!(opened.load(Ordering::Relaxed), 2, "it was opened again before anybody was told");
    ears.until(|_| (opened.load(Ordering::Relaxed) >= 4).then_some(()));
    assert_eq!(ears.stop(), [], "told once");
}

#[test]
fn zeros_are_opened_again_then_told_and_the_end_of_them_too() {
    let clock = SimClock::paced();
    let zeros = Cue {
        when: When::After(Duration::from_millis(300)),
        on: On::Capture,
        fault: Fault::Zeros(Duration::from_secs(3)),
    };
    let board =
        FaultBoard::new(Arc::new(SimBoard::new(SimSetup::default(), clock.clone())), Arc::new(clock.clone()), &[zeros]);
    let mut ears = Ears::with(Arc::new(board), Arc::new(clock.clone()), Duration::from_secs(1), None);
    let (mut told, mut hops) = (Vec::new(), 0);
    ears.until(|ears| {
        hops += std::iter::from_fn(|| ears.hops.pop().ok()).count();
        told.extend(std::iter::from_fn(|| ears.facts.pop().ok()).filter(|fact| *fact != MicFact::Xrun));
        (told.iter().filter(|fact| **fact == MicFact::Running).count() == 2).then_some(())
    });
    assert!(
        matches!(&told[..5],
        [MicFact::Running, MicFact::Reopened, MicFact::Trouble(text), MicFact::Reopened, MicFact::Running]
        if text.contains("only zeros") && text.contains("muted by a switch")),
        "{told:?}"
    );
    assert!(hops > 250, "zeros flow to the gate meanwhile: {hops} hops");
    ears.stop();
}

/// A simulated board with a mute line.
fn board_with_mute() -> (SimBoard, SimClock) {
    let clock = SimClock::paced();
    let setup = SimSetup { inputs: vec!["mute".into()], ..SimSetup::default() };
    (SimBoard::new(setup, clock.clone()), clock)
}

#[test]
fn while_the_mute_line_is_active_not_one_hop_leaves() {
    let (board, clock) = board_with_mute();
    let hand = board.handle();
    hand.press("mute").unwrap();
    let mut ears = Ears::with(Arc::new(board), Arc::new(clock.clone()), Duration::from_millis(200), Some("mute"));
    assert_eq!(ears.until(|ears| ears.facts.pop().ok()), MicFact::Muted(true), "told at the start");
    for _ in 0..3 {
        thread::sleep(Duration::from_millis(300));
        assert!(ears.hops.pop().is_err(), "muted");
        let opened_at = clock.now();
        hand.release("mute").unwrap();
        let first = ears.until(|ears| ears.hops.pop().ok());
        // A read that began before is left out; the first hop of the next takes 10 ms, 2.5 of them the resampler's own silence.
        assert!(first.at >= opened_at + Duration::from_micros(7500), "{} but opened at {opened_at}", first.at);
        hand.press("mute").unwrap();
        let closed_at = clock.now();
        thread::sleep(Duration::from_millis(50));
        let late = std::iter::from_fn(|| ears.hops.pop().ok()).filter(|hop| hop.at > closed_at).count();
        assert_eq!(late, 0);
    }
    let told: Vec<MicFact> = ears.stop().into_iter().filter(|fact| !matches!(fact, MicFact::Xrun)).collect();
    assert!(told.contains(&MicFact::Muted(false)) && told.contains(&MicFact::Muted(true)), "{told:?}");
    assert!(
        !told.iter().any(|fact| matches!(fact, MicFact::Trouble(_) | MicFact::Reopened)),
        "muted is not dead: {told:?}"
    );
}

/// A board whose mute line cannot be opened for a while.
struct NoLine(SimBoard, Arc<AtomicBool>);

impl Board for NoLine {
    fn open_capture(&self) -> Result<Box<dyn Capture>, PcmTrouble> {
        self.0.open_capture()
    }
    fn open_playback(&self) -> Result<Box<dyn Playback>, PcmTrouble> {
        self.0.open_playback()
    }
    fn open_button(&self, line: &str) -> Result<Box<dyn Button>, LineTrouble> {
        self.0.open_button(line)
    }
    fn open_output(&self, line: &str) -> Result<Box<dyn Output>, LineTrouble> {
        self.0.open_output(line)
    }
    fn open_input(&self, line: &str) -> Result<Box<dyn Input>, LineTrouble> {
        if self.1.load(Ordering::Relaxed) {
            self.0.open_input(line)
        } else {
            Err(LineTrouble::Missing { line: line.into() })
        }
    }
}

#[test]
fn a_mute_line_that_cannot_be_read_mutes_and_is_told_once() {
    let (board, clock) = board_with_mute();
    let is_there = Arc::new(AtomicBool::new(false));
    let board = NoLine(board, is_there.clone());
    let mut ears = Ears::with(Arc::new(board), Arc::new(clock.clone()), Duration::from_secs(10), Some("mute"));
    ears.until(|_| (clock.now() >= Time::from_ms(2300)).then_some(()));
    assert!(ears.hops.pop().is_err());
    is_there.store(true, Ordering::Relaxed);
    ears.until(|ears| ears.hops.pop().ok());
    let told: Vec<MicFact> = ears.stop().into_iter().filter(|fact| !matches!(fact, MicFact::Xrun)).collect();
    assert!(
        matches!(&told[..],
        [MicFact::Trouble(text), MicFact::Muted(true), MicFact::Running, MicFact::Running, MicFact::Muted(false)]
        if text.contains("mute line")),
        "{told:?}"
    );
}
