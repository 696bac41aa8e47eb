//! The audio threads' loops neither allocate nor free: counted by the allocator, thread by thread.
#![allow(clippy::unwrap_used)]

#[path = "alloc/ears.rs"]
mod ears;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use mynah::audio::trouble::PcmTrouble;
use mynah::audio::{Chunk, DOWNLINK_RATE, Hop};
use mynah::bell::Bell;
use mynah::config::agent::{Agent, Canceller, Cues, Speak};
use mynah::config::board::Pick;
use mynah::flow::{Cue, FAR_RING_HOPS, SPEAKER_FACTS_MAX, SPEAKER_ORDERS_MAX, SpeakerFact, SpeakerOrder};
use mynah::gate::ears::Ears;
use mynah::hw::{Board, Button, Capture, Clock, Input, LineTrouble, Output, PcmShape, Playback};
use mynah::units::{Epoch, Hertz, Time};
use mynah::{mic, speaker};

static COUNTED: AtomicU64 = AtomicU64::new(0);
/// Bytes allocated less bytes freed, where they were counted.
static KEPT_BYTES: AtomicI64 = AtomicI64::new(0);

thread_local! {
    /// Whether this thread's allocations count; armed by the fake devices, which run in it.
    static IS_ARMED: Cell<bool> = const { Cell::new(false) };
}

struct Counting;

fn count(more_bytes: i64) {
    if IS_ARMED.get() {
        COUNTED.fetch_add(1, Relaxed);
        KEPT_BYTES.fetch_add(more_bytes, Relaxed);
    }
}

// SAFETY: everything is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as i64 - layout.size() as i64);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SHAPE: PcmShape = PcmShape { rate: Hertz(48_000), channels: 2, period_frames: 480, buffer_frames: 4800 };
/// Calls before counting begins.
const WARM_UP: u64 = 50;
/// Microphone periods that are counted.
const PERIODS: u64 = 2000;

/// Allocations and frees of the canceller's library in a hop, which has up to three of its blocks of 4 ms: up
/// to 15 small vectors a block, each made and given back (67 were seen in a hop).
const CANCELLER_MOST: u64 = 3 * 2 * 15;

struct Wall(Instant);

impl Clock for Wall {
    fn now(&self) -> Time {
        Time::from_us(self.0.elapsed().as_micros() as u64)
    }
}

/// A microphone that gives a period a millisecond.
struct FakeMic {
    calls: u64,
    done: Arc<AtomicBool>,
}

impl Capture for FakeMic {
    fn shape(&self) -> PcmShape {
        SHAPE
    }
    fn read(&mut self, samples: &mut [i16], _: Duration) -> Result<usize, PcmTrouble> {
        self.calls += 1;
        if self.calls == WARM_UP {
            IS_ARMED.set(true);
        }
        if self.calls == WARM_UP + PERIODS {
            IS_ARMED.set(false);
            self.done.store(true, Relaxed);
        }
        thread::sleep(Duration::from_micros(300));
        samples[..960].fill(self.calls as i16);
        // An overrun now and then belongs to the loop.
        if self.calls % 500 == 499 { Err(PcmTrouble::Xrun) } else { Ok(480) }
    }
    fn waiting_frames(&mut self) -> usize {
        7
    }
    fn recover(&mut self, _: &PcmTrouble) -> Result<(), PcmTrouble> {
        Ok(())
    }
}

/// A loudspeaker that empties in real time.
struct FakeSpeaker {
    began: Option<Instant>,
    written: usize,
    calls: u64,
    rest: Arc<AtomicBool>,
}

impl FakeSpeaker {
    fn delay(&mut self) -> Result<usize, PcmTrouble> {
        let played = self.began.map_or(0, |began| (began.elapsed().as_micros() as usize) * 48 / 1000);
        self.written.checked_sub(played).ok_or(PcmTrouble::Xrun)
    }
}

impl Playback for FakeSpeaker {
    fn shape(&self) -> PcmShape {
        SHAPE
    }
    fn wait(&mut self, _: Duration) -> Result<usize, PcmTrouble> {
        self.calls += 1;
        IS_ARMED.set(self.calls > WARM_UP && !self.rest.load(Relaxed));
        let free = SHAPE.buffer_frames - self.delay()?;
        Ok(if free >= SHAPE.period_frames { free } else { 0 })
    }
    fn write(&mut self, samples: &[i16]) -> Result<usize, PcmTrouble> {
        let frames = (samples.len() / 2).min(SHAPE.buffer_frames - self.delay()?);
        self.written += frames;
        Ok(frames)
    }
    fn delay_frames(&mut self) -> Result<usize, PcmTrouble> {
        self.delay()
    }
    fn start(&mut self) -> Result<(), PcmTrouble> {
        self.began.get_or_insert_with(Instant::now);
        Ok(())
    }
    fn drop_now(&mut self) -> Result<(), PcmTrouble> {
        (self.began, self.written) = (None, 0);
        Ok(())
    }
    fn recover(&mut self, _: &PcmTrouble) -> Result<(), PcmTrouble> {
        self.drop_now()
    }
}

struct FakeBoard(Arc<AtomicBool>);

fn no_line<T>(line: &str) -> Result<T, LineTrouble> {
    Err(LineTrouble::Missing { line: line.into() })
}

impl Board for FakeBoard {
    fn open_capture(&self) -> Result<Box<dyn Capture>, PcmTrouble> {
        Ok(Box::new(FakeMic { calls: 0, done: self.0.clone() }))
    }
    fn open_playback(&self) -> Result<Box<dyn Playback>, PcmTrouble> {
        Ok(Box::new(FakeSpeaker { began: None, written: 0, calls: 0, rest: self.0.clone() }))
    }
    fn open_button(&self, line: &str) -> Result<Box<dyn Button>, LineTrouble> {
        no_line(line)
    }
    fn open_output(&self, line: &str) -> Result<Box<dyn Output>, LineTrouble> {
        no_line(line)
    }
    fn open_input(&self, line: &str) -> Result<Box<dyn Input>, LineTrouble> {
        no_line(line)
    }
}

/// All threads in one test: the counter is one for the process.
#[test]
fn the_audio_threads_neither_allocate_nor_free_but_for_the_cancellers_library() {
    IS_ARMED.set(true);
    drop(std::hint::black_box(Box::new(1)));
    IS_ARMED.set(false);
    assert_eq!(COUNTED.swap(0, Relaxed), 2, "the counter counts");

    let heard = microphone();
    assert!(heard >= PERIODS, "{heard} hops");
    assert_eq!(COUNTED.swap(0, Relaxed), 0, "allocations and frees in the microphone's loop");

    let (facts, spent, hops) = loudspeaker();
    let has = |wanted: fn(&SpeakerFact) -> bool| facts.iter().any(wanted);
    assert!(has(|f| matches!(f, SpeakerFact::Drained { .. })) && has(|f| matches!(f, SpeakerFact::Flushed { .. })));
    assert!(has(|f| matches!(f, SpeakerFact::Concealed { .. })) && has(|f| matches!(f, SpeakerFact::Heard { .. })));
    assert!(has(|f| matches!(f, SpeakerFact::CueStarted)) && has(|f| matches!(f, SpeakerFact::CueOver)));
    assert!(spent > 20, "{spent} buffers came back");
    assert!(hops > 100, "{hops} hops of what was heard");
    assert_eq!(COUNTED.swap(0, Relaxed), 0, "allocations and frees in the loudspeaker's loop");

    let own = ears::counts(Ears::with(&ears::echo(Canceller::Off), None));
    assert!(own.windows > 5 && own.far_hops > ears::HOPS / 2, "{own:?}");
    assert_eq!(own.most, 0, "allocations and frees in a hop through ears and gate");

    let with_canceller = ears::counts(Ears::new(&ears::echo(Canceller::On)));
    assert!(with_canceller.windows > 5 && with_canceller.far_hops > ears::HOPS / 2, "{with_canceller:?}");
    assert!((1..=CANCELLER_MOST).contains(&with_canceller.most), "{with_canceller:?}");
    assert_eq!(with_canceller.kept_bytes, 0, "the canceller keeps more and more");
}

/// Answers the hops that came.
fn microphone() -> u64 {
    // Room for all of them: on a busy machine the taker below stands still, and losing hops is not the question here.
    let (hops, mut taken) = rtrb::RingBuffer::new(2 * PERIODS as usize);
    let (facts, _kept) = rtrb::RingBuffer::new(16);
    let (done, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let thread = mic::run::spawn(mic::run::Parts {
        board: Arc::new(FakeBoard(done.clone())),
        clock: Arc::new(Wall(Instant::now())),
        pick: Pick::Average,
        dead_after: Duration::from_secs(10),
        mute: None,
        hops,
        gate_bell: Bell::new(),
        facts,
        core_bell: Bell::new(),
        progress: Arc::default(),
        lost_hops: Arc::default(),
        stop: stop.clone(),
    })
    .unwrap();
    let mut count = 0;
    while !done.load(Relaxed) {
        while taken.pop().is_ok() {
            count += 1;
        }
        thread::sleep(Duration::from_millis(2));
    }
    stop.store(true, Relaxed);
    thread.join().unwrap();
    count
}

/// Plays turns with a gap, a flush, an end and cues over all of it; answers the facts, the buffers that came
/// back and the hops of the far-end copy.
fn loudspeaker() -> (Vec<SpeakerFact>, usize, usize) {
    let (mut orders, taken) = rtrb::RingBuffer::new(SPEAKER_ORDERS_MAX);
    let (returns, mut spent) = rtrb::RingBuffer::new(SPEAKER_ORDERS_MAX);
    let (facts, mut told) = rtrb::RingBuffer::new(SPEAKER_FACTS_MAX);
    let (far, mut copied) = rtrb::RingBuffer::<Hop>::new(2 * FAR_RING_HOPS);
    let (bell, stop, rest) = (Bell::new(), Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let thread = speaker::run::spawn(speaker::run::Parts {
        board: Arc::new(FakeBoard(rest.clone())),
        clock: Arc::new(Wall(Instant::now())),
        speak: Speak { volume_percent: 80, prebuffer_ms: 0, cues: Cues::On, ..Agent::default().speak },
        wake_ms: 30,
        sounds: Default::default(),
        orders: taken,
        returns,
        facts,
        far: Some(far),
        bell: bell.clone(),
        core_bell: Bell::new(),
        progress: Arc::default(),
        meter: Arc::default(),
        stop: stop.clone(),
    })
    .unwrap();
    let (mut seen, mut buffers, mut hops) = (Vec::new(), 0, 0);
    for epoch in 1..=4 {
        for part in 0..20 {
            let chunk = Chunk { rate: DOWNLINK_RATE, frames: vec![1000; DOWNLINK_RATE.frames_in_ms(40)] };
            orders.push(SpeakerOrder::Play { epoch: Epoch(epoch), chunk }).unwrap();
            if part == 10 {
                orders.push(SpeakerOrder::Cue(Cue::Offline)).unwrap();
            }
            bell.ring();
            // In the third turn the network stalls for a moment.
            thread::sleep(Duration::from_millis(if epoch == 3 && part == 3 { 300 } else { 10 }));
        }
        let last = if epoch == 2 {
            SpeakerOrder::Flush { epoch: Epoch(epoch) }
        } else {
            SpeakerOrder::End { epoch: Epoch(epoch) }
        };
        orders.push(last).unwrap();
        // Over what is left of the turn and alone after it; the second waits for the first.
        let cues = if epoch % 2 == 0 { [Cue::Lost, Cue::Again] } else { [Cue::Again, Cue::Again] };
        cues.into_iter().for_each(|cue| orders.push(SpeakerOrder::Cue(cue)).unwrap());
        orders.push(SpeakerOrder::Volume(60 + epoch as u8)).unwrap();
        bell.ring();
        thread::sleep(Duration::from_millis(if epoch == 2 { 50 } else { 700 }));
        seen.extend(std::iter::from_fn(|| told.pop().ok()));
        buffers += std::iter::from_fn(|| spent.pop().ok()).count();
        hops += std::iter::from_fn(|| copied.pop().ok()).count();
    }
    rest.store(true, Relaxed);
    thread::sleep(Duration::from_millis(700)); // the next look at the idle device takes the counting off
    stop.store(true, Relaxed);
    bell.ring();
    thread.join().unwrap();
    (seen, buffers, hops)
}
