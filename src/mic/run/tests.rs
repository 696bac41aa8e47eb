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
        let (hops, hops_out) = rtrb::RingBuffer::new(2 * MIC_RING_HOPS);
        let (facts, facts_out) = rtrb::RingBuffer::new(SPEAKER_FACTS_MAX);
        let stop = Arc::new(AtomicBool::new(false));
        let parts = Parts {
            board,
            clock,
            pick: Pick::Average,
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
    // A busy machine may add overruns of its own.
    assert!(told[3..].iter().all(|fact| *fact == MicFact::Xrun), "a short loss is nobody's business: {told:?}");
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
    assert!(opened.load(Ordering::Relaxed) >= 4, "three attempts after the first loss");
    assert_eq!(ears.stop(), [], "told once");
}
