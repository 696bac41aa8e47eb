//! The speaker's thread, turn by turn, on a simulated loudspeaker in stepped time.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::audio::Chunk;
use crate::config::agent::{Agent, Cues};
use crate::flow::{self, SPEAKER_FACTS_MAX, SPEAKER_ORDERS_MAX};
use crate::hw::PcmShape;
use crate::hw::fault::{Cue, Fault, FaultBoard, On, When};
use crate::hw::sim::{SimBoard, SimClock, SimSetup};
use crate::hw::tap::{Tap, TapBoard};
use crate::units::{Decibel, Epoch, Frames, Hertz};

mod far_tests;

const RATE: Hertz = Hertz(24_000);
/// Milliseconds in a period and periods in the ring: tiny, usual, longer than all that is aimed at.
const SIZES: [(u32, usize); 10] =
    [(2, 4), (5, 4), (8, 2), (10, 2), (1, 100), (10, 10), (10, 3), (64, 2), (100, 2), (100, 4)];

/// The thread's shell, moved by hand, on a board whose loudspeaker is recorded and fails on cue.
struct Bench {
    shell: Shell,
    clock: SimClock,
    orders: Producer<SpeakerOrder>,
    facts: Consumer<SpeakerFact>,
    told: Vec<SpeakerFact>,
    tap: Tap,
    next: Time,
    _returns: Consumer<Vec<i16>>,
}

impl Bench {
    fn new(playback: PcmShape, faults: &[(u64, Fault)]) -> Bench {
        let clock = SimClock::stepped();
        let sim = SimBoard::new(SimSetup { playback, noise: Decibel(-120.0), ..SimSetup::default() }, clock.clone());
        let cue = |&(at_ms, fault)| Cue { when: When::At(Time::from_ms(at_ms)), on: On::Playback, fault };
        let cues: Vec<Cue> = faults.iter().map(cue).collect();
        let faulty = FaultBoard::new(Arc::new(sim), Arc::new(clock.clone()), &cues);
        Bench::on(Arc::new(faulty), clock, None)
    }

    fn on(board: Arc<dyn Board>, clock: SimClock, far: Option<Producer<Hop>>) -> Bench {
        let board = TapBoard::new(board, Arc::new(clock.clone()));
        let tap = board.tap();
        let (orders, orders_out) = rtrb::RingBuffer::new(SPEAKER_ORDERS_MAX);
        let (returns, returned) = rtrb::RingBuffer::new(SPEAKER_ORDERS_MAX);
        let (facts_in, facts) = rtrb::RingBuffer::new(SPEAKER_FACTS_MAX);
        let shell = Shell::new(Parts {
            board: Arc::new(board),
            clock: Arc::new(clock.clone()),
            speak: Speak {
                volume_percent: 100,
                prebuffer_ms: 0,
                cues: Cues::On,
                stay_awake_s: 0,
                ..Agent::default().speak
            },
            wake_ms: 0,
            sounds: Default::default(),
            orders: orders_out,
            returns,
            facts: facts_in,
            far,
            bell: Bell::new(),
            core_bell: Bell::new(),
            progress: Arc::default(),
            meter: Arc::default(),
            stop: Arc::default(),
        });
        let told = Vec::new();
        Bench { shell, clock, orders, facts, told, tap, next: Time::ZERO, _returns: returned }
    }

    fn order(&mut self, order: SpeakerOrder) {
        self.orders.push(order).unwrap();
        self.next = self.clock.now(); // the bell rings
    }

    fn play(&mut self, epoch: u32, ms: u32, value: i16) {
        let chunk = Chunk { rate: RATE, frames: vec![value; RATE.frames_in_ms(ms)] };
        self.order(SpeakerOrder::Play { epoch: Epoch(epoch), chunk });
    }

    fn say(&mut self, epoch: u32, ms: u32, value: i16) {
        self.play(epoch, ms, value);
        self.order(SpeakerOrder::End { epoch: Epoch(epoch) });
    }

    /// Lets `ms` pass; the thread wakes exactly when it said it would.
    fn run(&mut self, ms: u64) {
        let end = self.clock.now() + Duration::from_millis(ms);
        loop {
            let now = self.clock.now();
            if now >= self.next {
                self.next = now + self.shell.turn();
                self.told.extend(std::iter::from_fn(|| self.facts.pop().ok()));
            } else if self.next >= end {
                self.clock.advance(end.since(now));
                return;
            } else {
                self.clock.advance(self.next.since(now));
            }
        }
    }

    fn told(&self, is_wanted: impl Fn(&SpeakerFact) -> bool) -> Vec<SpeakerFact> {
        self.told.iter().filter(|fact| is_wanted(fact)).cloned().collect()
    }

    fn drained(&self) -> Vec<(u32, u64)> {
        let drained = |fact: &SpeakerFact| match fact {
            SpeakerFact::Drained { epoch, heard_ms } => Some((epoch.0, *heard_ms)),
            _ => None,
        };
        self.told.iter().filter_map(drained).collect()
    }

    fn cue_facts(&self) -> Vec<SpeakerFact> {
        self.told(|fact| matches!(fact, SpeakerFact::CueStarted | SpeakerFact::CueOver))
    }

    /// Milliseconds of sound that left the loudspeaker.
    fn sounded_ms(&self) -> u64 {
        let reply = self.tap.reply();
        let loud = reply.frames.iter().filter(|&&frame| frame.unsigned_abs() > 1000).count();
        Frames(loud as u64).as_ms(reply.rate)
    }
}

fn shape(rate: u32, period_ms: u32, periods: usize) -> PcmShape {
    let period_frames = Hertz(rate).frames_in_ms(period_ms);
    PcmShape { rate: Hertz(rate), channels: 2, period_frames, buffer_frames: periods * period_frames }
}

#[test]
fn a_reply_is_heard_whole_on_any_device() {
    for rate in [8000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000, 192_000] {
        for (period_ms, periods) in SIZES {
            let mut bench = Bench::new(shape(rate, period_ms, periods), &[]);
            let what = format!("{rate} Hz, {periods} periods of {period_ms} ms");
            bench.run(10);
            bench.say(1, 700, 8000);
            bench.run(1500);
            assert_eq!(bench.drained(), [(1, 700)], "{what}: {:?}", bench.told);
            let xruns = bench.told(|fact| matches!(fact, SpeakerFact::Xrun | SpeakerFact::Concealed { .. }));
            assert_eq!(xruns, [], "{what}");
            let sounded = bench.sounded_ms();
            assert!((695..=705).contains(&sounded), "{what}: {sounded} ms");
        }
    }
}

#[test]
fn a_reply_drains_wherever_in_it_the_device_starves() {
    for rate in [24_000, 44_100, 48_000] {
        for at_ms in (0..400).step_by(3) {
            let mut bench = Bench::new(shape(rate, 10, 10), &[(at_ms, Fault::Xrun)]);
            bench.say(1, 309, 8000); // its end lies near the end of a block: little silence is behind it
            bench.run(2000);
            assert_eq!(bench.drained().len(), 1, "{rate} Hz, an xrun at {at_ms} ms: {:?}", bench.told);
        }
    }
}

#[test]
fn heard_is_what_left_the_loudspeaker_whatever_happened_to_it() {
    for fault in [Fault::Xrun, Fault::Suspended, Fault::Gone(Duration::from_millis(300))] {
        for at_ms in (0..400).step_by(7) {
            let mut bench = Bench::new(shape(48_000, 10, 10), &[(at_ms, fault)]);
            bench.say(1, 300, 8000);
            bench.run(2000);
            let sounded = bench.sounded_ms();
            let [(1, heard)] = bench.drained()[..] else { panic!("{fault:?} at {at_ms} ms: {:?}", bench.told) };
            assert!(heard.abs_diff(sounded) <= 12, "{fault:?} at {at_ms} ms: {heard} told, {sounded} left it");
        }
    }
}

#[test]
fn nothing_of_a_flushed_turn_sounds_in_the_next_not_even_after_an_xrun() {
    for at_ms in (20..200).step_by(3) {
        let mut bench = Bench::new(shape(48_000, 10, 10), &[(at_ms, Fault::Xrun)]);
        bench.say(1, 300, 8000);
        bench.run(at_ms);
        bench.run(1);
        bench.order(SpeakerOrder::Flush { epoch: Epoch(1) });
        bench.run(100);
        let cut = bench.tap.reply().frames.len();
        bench.say(2, 100, -8000);
        bench.run(500);
        let after = &bench.tap.reply().frames[cut..];
        // A filter rings a little before and after a step; a leftover is larger.
        assert!(after.iter().all(|&frame| frame < 1500), "xrun at {at_ms} ms: {:?}", after.iter().max());
    }
}

#[test]
fn a_cue_is_heard_whole_on_any_device() {
    for rate in [8000, 16_000, 44_100, 48_000, 192_000] {
        for (period_ms, periods) in SIZES {
            let mut bench = Bench::new(shape(rate, period_ms, periods), &[]);
            let what = format!("{rate} Hz, {periods} periods of {period_ms} ms");
            bench.run(10);
            bench.order(SpeakerOrder::Cue(flow::Cue::Lost));
            bench.run(1500);
            assert_eq!(bench.told, [SpeakerFact::CueStarted, SpeakerFact::CueOver], "{what}");
            // It swells and fades: its first and last milliseconds are too soft to be counted.
            let sounded = bench.sounded_ms();
            assert!((200..=285).contains(&sounded), "{what}: {sounded} ms");
        }
    }
}

#[test]
fn a_cue_is_over_whatever_happens_to_the_loudspeaker() {
    for fault in [Fault::Xrun, Fault::Suspended, Fault::Gone(Duration::from_millis(300))] {
        for at_ms in (0..400).step_by(7) {
            let mut bench = Bench::new(shape(48_000, 10, 10), &[(at_ms, fault)]);
            bench.order(SpeakerOrder::Cue(flow::Cue::Spent));
            bench.say(1, 200, 8000);
            bench.run(2000);
            let facts = bench.cue_facts();
            let is_pair = facts == [SpeakerFact::CueStarted, SpeakerFact::CueOver];
            assert!(is_pair || (at_ms < 50 && facts.is_empty()), "{fault:?} at {at_ms} ms: {:?}", bench.told);
            assert_eq!(bench.drained().len(), 1, "{fault:?} at {at_ms} ms: {:?}", bench.told);
        }
    }
}
