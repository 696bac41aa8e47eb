//! The far-end copy as the thread gives it, beside an ear that knows when each frame left the loudspeaker.

use std::sync::Mutex;

use super::*;
use crate::hw::{Button, Capture, Input, LineTrouble, Output, Playback};

/// Frames behind the ring that the delay counts: a converter's own.
const PIPE_FRAMES: usize = 300;

/// What left the loudspeaker: when, µs, and the frame.
type Heard = Arc<Mutex<Vec<(f64, i16)>>>;

struct Room {
    shape: PcmShape,
    clock: SimClock,
    heard: Heard,
}

/// A loudspeaker that plays frame `n` of a run at `began` + `n` / rate and a pipe later, as its delay says.
struct Loudspeaker {
    shape: PcmShape,
    clock: SimClock,
    heard: Heard,
    began: Option<Time>,
    run: Vec<i16>,
}

impl Loudspeaker {
    fn played(&self) -> usize {
        let passed = self.began.map_or(Duration::ZERO, |began| self.clock.now().since(began));
        self.shape.rate.frames_in(passed) as usize
    }

    /// Hands the first `frames` of the run to the ear; the others are gone.
    fn end_run(&mut self, frames: usize) {
        let frames = frames.min(self.run.len());
        let Some(began) = self.began.take() else { return };
        let at = |n: usize| began.as_us() as f64 + (n + PIPE_FRAMES) as f64 * 1e6 / f64::from(self.shape.rate.0);
        self.heard.lock().unwrap().extend(self.run[..frames].iter().enumerate().map(|(n, &frame)| (at(n), frame)));
        self.run.clear();
    }
}

impl Drop for Loudspeaker {
    fn drop(&mut self) {
        self.end_run(self.played());
    }
}

impl Playback for Loudspeaker {
    fn shape(&self) -> PcmShape {
        self.shape
    }
    fn wait(&mut self, _: Duration) -> Result<usize, PcmTrouble> {
        self.delay_frames()?;
        Ok(self.shape.buffer_frames - (self.run.len() - self.played()))
    }
    fn write(&mut self, samples: &[i16]) -> Result<usize, PcmTrouble> {
        let frames = (samples.len() / 2).min(self.wait(Duration::ZERO)?);
        self.run.extend(samples.iter().step_by(2).take(frames));
        Ok(frames)
    }
    fn delay_frames(&mut self) -> Result<usize, PcmTrouble> {
        if self.began.is_some() && self.played() > self.run.len() {
            return Err(PcmTrouble::Xrun);
        }
        Ok(if self.began.is_some() { self.run.len() - self.played() + PIPE_FRAMES } else { 0 })
    }
    fn start(&mut self) -> Result<(), PcmTrouble> {
        self.began.get_or_insert(self.clock.now());
        Ok(())
    }
    fn drop_now(&mut self) -> Result<(), PcmTrouble> {
        self.end_run(self.played().saturating_sub(PIPE_FRAMES));
        self.run.clear();
        Ok(())
    }
    fn recover(&mut self, _: &PcmTrouble) -> Result<(), PcmTrouble> {
        self.end_run(usize::MAX);
        Ok(())
    }
}

impl Board for Room {
    fn open_capture(&self) -> Result<Box<dyn Capture>, PcmTrouble> {
        Err(PcmTrouble::Other("no microphone".into()))
    }
    fn open_playback(&self) -> Result<Box<dyn Playback>, PcmTrouble> {
        let (shape, clock, heard) = (self.shape, self.clock.clone(), self.heard.clone());
        Ok(Box::new(Loudspeaker { shape, clock, heard, began: None, run: Vec::new() }))
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

/// Where loud spots lie on a line of frames and their times: the middle of each, ms.
fn spots(line: &[(f64, i16)]) -> Vec<f64> {
    let mut spots: Vec<(f64, f64, f64)> = Vec::new();
    for &(at, frame) in line.iter().filter(|(_, frame)| *frame > 2000) {
        let weight = f64::from(frame);
        match spots.last_mut().filter(|(last, ..)| at - *last < 5000.0) {
            Some(spot) => *spot = (at, spot.1 + at * weight, spot.2 + weight),
            None => spots.push((at, at * weight, weight)),
        }
    }
    spots.into_iter().map(|(_, sum, weight)| sum / weight / 1000.0).collect()
}

/// The thread in a room; what comes of the copy is fetched every millisecond.
struct Far {
    bench: Bench,
    hops: Consumer<Hop>,
    heard: Heard,
    copy: Vec<(f64, i16)>,
    /// The longest that a hop came after its newest frame was heard, µs.
    late_us: u64,
}

impl Far {
    fn new(rate: u32, period_ms: u32, periods: usize) -> Far {
        let (clock, heard) = (SimClock::stepped(), Heard::default());
        let board =
            Arc::new(Room { shape: shape(rate, period_ms, periods), clock: clock.clone(), heard: heard.clone() });
        let (far, hops) = rtrb::RingBuffer::new(2 * flow::FAR_RING_HOPS);
        let bench = Bench::on(board, clock, Some(far));
        Far { bench, hops, heard, copy: Vec::new(), late_us: 0 }
    }

    fn run(&mut self, ms: u64) {
        for _ in 0..ms {
            self.bench.run(1);
            self.fetch();
        }
    }

    fn fetch(&mut self) {
        let now = self.bench.clock.now();
        while let Ok(hop) = self.hops.pop() {
            self.late_us = self.late_us.max(now.since(hop.at).as_micros() as u64);
            let newest = hop.at.as_us() as f64;
            self.copy.extend(hop.frames.iter().enumerate().map(|(n, &f)| (newest - (159 - n) as f64 * 62.5, f)));
        }
    }

    /// A turn of `count` clicks, 50 ms apart.
    fn clicks(&mut self, epoch: u32, count: usize, rate: Hertz) {
        for _ in 0..count {
            let mut frames = vec![0; rate.frames_in_ms(50)];
            let half = rate.frames_in_ms(1);
            for n in 0..2 * half {
                let x = std::f64::consts::TAU * n as f64 / (2 * half) as f64;
                frames[half + n] = (8000.0 * (1.0 - x.cos())) as i16;
            }
            self.bench.order(SpeakerOrder::Play { epoch: Epoch(epoch), chunk: Chunk { rate, frames } });
        }
    }

    fn end(&mut self, epoch: u32) {
        self.bench.order(SpeakerOrder::End { epoch: Epoch(epoch) });
    }

    /// Each click in the copy was heard then, and answers how many there are in the copy and for the ear.
    fn compare(mut self, what: &str) -> (usize, usize) {
        let rest: Vec<_> = self.hops.pop().into_iter().collect();
        assert!(rest.is_empty(), "all was fetched");
        self.bench.shell.outlet = None; // the ear hears of the last run
        let (copied, heard) = (spots(&self.copy), spots(&self.heard.lock().unwrap()));
        for at in &copied {
            let off = heard.iter().map(|truth| at - truth).min_by(|one, two| one.abs().total_cmp(&two.abs())).unwrap();
            assert!(off.abs() < 0.5, "{what}: a click is {off} ms off: {copied:?}, heard {heard:?}");
        }
        assert!(self.late_us <= 40_000, "{what}: a hop came {} µs late", self.late_us);
        assert!(self.copy.is_sorted_by(|one, next| one.0 < next.0), "{what}: time goes on");
        (copied.len(), heard.len())
    }
}

#[test]
fn every_click_is_in_the_far_end_copy_when_it_was_heard() {
    for rate in [8000, 16_000, 24_000, 44_100, 48_000, 96_000] {
        for (period_ms, periods) in SIZES {
            let mut far = Far::new(rate, period_ms, periods);
            far.run(10);
            far.clicks(1, 20, RATE);
            far.end(1);
            far.run(1500);
            let what = format!("{rate} Hz, {periods} periods of {period_ms} ms");
            assert_eq!(far.compare(&what), (20, 20), "{what}");
        }
    }
}

#[test]
fn the_copy_follows_replies_of_other_rates() {
    for rate in [44_100, 48_000] {
        let mut far = Far::new(rate, 10, 10);
        for (turn, chunks) in [(1, RATE), (2, Hertz(16_000)), (3, Hertz(44_100)), (4, RATE)] {
            far.clicks(turn, 6, chunks);
            far.end(turn);
            far.run(150);
        }
        far.run(2000);
        assert_eq!(far.compare(&format!("{rate} Hz")), (24, 24));
    }
}

#[test]
fn what_a_flush_dropped_is_not_in_the_copy_and_what_comes_after_it_is() {
    for rate in [44_100, 48_000] {
        for cut_ms in (120..220).step_by(7) {
            let mut far = Far::new(rate, 10, 10);
            far.clicks(1, 20, RATE);
            far.run(cut_ms);
            far.bench.order(SpeakerOrder::Flush { epoch: Epoch(1) });
            far.clicks(2, 4, RATE);
            far.end(2);
            far.run(500);
            let what = format!("{rate} Hz, cut at {cut_ms} ms");
            let (copied, heard) = far.compare(&what);
            assert!(copied == heard && (6..12).contains(&heard), "{what}: {copied} of {heard}");
        }
    }
}

#[test]
fn after_an_xrun_the_copy_goes_on_in_step() {
    for at_ms in (110..200).step_by(3) {
        let mut far = Far::new(48_000, 10, 10);
        far.clicks(1, 12, RATE);
        far.end(1);
        far.run(at_ms);
        far.bench.clock.advance(Duration::from_millis(300)); // the thread was not scheduled
        far.run(1500);
        assert!(far.bench.told.contains(&SpeakerFact::Xrun), "{at_ms} ms");
        // The fill that was played meanwhile is in the copy too: it was heard.
        far.late_us = 0;
        let (copied, heard) = far.compare(&format!("an xrun at {at_ms} ms"));
        assert!(heard == 12 && copied >= 11, "{at_ms} ms: {copied} of {heard}");
    }
}

#[test]
fn while_the_loudspeaker_stands_nothing_is_copied() {
    let mut far = Far::new(48_000, 10, 10);
    far.clicks(1, 4, RATE);
    far.end(1);
    far.run(500);
    let copied = far.copy.len();
    far.run(20_000); // whatever kept the converter awake is over
    let more = far.copy.len() - copied;
    far.run(2000);
    assert_eq!(far.copy.len() - copied, more);
    assert!(copied > 16 * 150);
}
