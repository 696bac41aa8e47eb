//! The gate's threads: order, limits, a slow core, a line in trouble.
#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::mpsc;

use super::*;
use crate::audio::trouble::PcmTrouble;
use crate::config::agent::Agent;
use crate::flow::{DropCause, EDGES_MAX, FAR_RING_HOPS, GATE_EVENTS_MAX, NOTES_MAX};
use crate::gate::tests::listen;
use crate::hw::{Capture, Input, Output, Playback};

mod wake_tests;

struct SetClock(AtomicU64);

impl Clock for SetClock {
    fn now(&self) -> Time {
        Time::from_ms(self.0.load(Ordering::Relaxed))
    }
}

struct Ends {
    parts: Parts,
    clock: Arc<SetClock>,
    hops: Producer<Hop>,
    far: Producer<Hop>,
    edges: Producer<Edge>,
    notes: Producer<GateNote>,
    events: Consumer<GateEvent>,
}

fn rooms(parts: &Parts) -> Rooms {
    Rooms { ears: Ears::new(&parts.echo), gate: Gate::new(&parts.listen, Box::new(vad::WebRtc::new(2))) }
}

fn ends() -> Ends {
    let clock = Arc::new(SetClock(AtomicU64::new(0)));
    let (hops, hops_out) = rtrb::RingBuffer::new(2 * MIC_RING_HOPS);
    let (far, far_out) = rtrb::RingBuffer::new(2 * FAR_RING_HOPS);
    let (edges, edges_out) = rtrb::RingBuffer::new(EDGES_MAX);
    let (notes, notes_out) = rtrb::RingBuffer::new(NOTES_MAX);
    let (events_in, events) = rtrb::RingBuffer::new(GATE_EVENTS_MAX);
    let parts = Parts {
        clock: clock.clone(),
        listen: Listen { preroll_ms: 2000, turn_max_s: 60, ..listen() },
        gestures: Agent::default().gestures,
        echo: Agent::default().echo,
        hops: hops_out,
        far: far_out,
        wake: None,
        edges: edges_out,
        notes: notes_out,
        events: events_in,
        bell: Bell::new(),
        core_bell: Bell::new(),
        progress: Arc::default(),
        meter: Arc::default(),
        stop: Arc::new(AtomicBool::new(false)),
    };
    Ends { parts, clock, hops, far, edges, notes, events }
}

fn loud(at_ms: u64) -> Hop {
    let frames = std::array::from_fn(|i| if i % 2 == 0 { 3000 } else { -3000 });
    Hop { at: Time::from_ms(at_ms), frames }
}

fn drain(events: &mut Consumer<GateEvent>) -> Vec<GateEvent> {
    std::iter::from_fn(|| events.pop().ok()).collect()
}

#[test]
fn hops_and_edges_are_taken_in_the_order_they_happened() {
    let mut ends = ends();
    let mut rooms = rooms(&ends.parts);
    ends.clock.0.store(300, Ordering::Relaxed);
    for hop in 1..=30 {
        ends.hops.push(loud(10 * hop)).ok().unwrap();
    }
    ends.edges.push(Edge { at: Time::from_ms(205), active: true }).unwrap();
    assert!(ends.parts.work(&mut rooms).is_ok());
    let said = drain(&mut ends.events);
    assert!(matches!(said[0], GateEvent::Pressed), "{said:?}");
    assert!(matches!(said[1], GateEvent::Opened(_)), "{said:?}");
    let Some(GateEvent::Speech(speech)) = said.get(2 + 19) else { panic!("{said:?}") };
    assert_eq!(speech.at, Time::from_ms(200), "20 hops were heard before the press");
}

#[test]
fn the_oldest_hops_beyond_the_limit_are_counted_as_lost() {
    let mut ends = ends();
    let mut rooms = rooms(&ends.parts);
    for hop in 0..MIC_RING_HOPS as u64 + 7 {
        ends.hops.push(loud(10 * hop)).ok().unwrap();
    }
    assert!(ends.parts.work(&mut rooms).is_ok());
    assert!(matches!(drain(&mut ends.events)[..], [GateEvent::Lost(7)]));
}

/// A wake word's detector that takes as long as it takes the microphone to bring the next hop.
struct Slow(Producer<Hop>, u64);

impl WakeDetector for Slow {
    fn hear(&mut self, _: &[i16; crate::audio::HOP_FRAMES], _: bool, _: bool) -> bool {
        self.1 += 1;
        assert!(self.1 < 10_000, "nothing but hops is looked at any more");
        let _ = self.0.push(loud(10 * self.1));
        false
    }

    fn hear_far(&mut self, _: &[i16; crate::audio::HOP_FRAMES]) {}
}

#[test]
fn a_processor_that_is_too_slow_for_the_ears_still_hears_the_button() {
    let mut ends = ends();
    // Nobody takes events here, and the gate waits for room rather than lose speech.
    ends.parts.listen.preroll_ms = 100;
    let mut rooms = rooms(&ends.parts);
    ends.hops.push(loud(0)).ok().unwrap();
    ends.parts.wake = Some(Box::new(Slow(ends.hops, 0)));
    ends.clock.0.store(100_000, Ordering::Relaxed);
    assert!(ends.parts.work(&mut rooms).is_ok());
    ends.edges.push(Edge { at: Time::from_ms(100_000), active: true }).unwrap();
    assert!(ends.parts.work(&mut rooms).is_ok());
    assert!(drain(&mut ends.events).iter().any(|event| matches!(event, GateEvent::Pressed)));
}

#[test]
fn a_hop_waits_for_its_far_end_copy_but_not_for_ever_and_a_press_waits_for_none() {
    let mut ends = ends();
    let mut rooms = rooms(&ends.parts);
    let left = |ends: &mut Ends, rooms: &mut Rooms, now_ms: u64| {
        ends.clock.0.store(now_ms, Ordering::Relaxed);
        assert!(ends.parts.work(rooms).is_ok());
        ends.parts.hops.slots()
    };
    ends.hops.push(loud(100)).ok().unwrap();
    assert_eq!(left(&mut ends, &mut rooms, 100), 0, "the loudspeaker has never played");
    ends.far.push(loud(100)).ok().unwrap();
    ends.hops.push(loud(110)).ok().unwrap();
    assert_eq!(left(&mut ends, &mut rooms, 111), 1, "its far-end copy is to come");
    ends.far.push(loud(110)).ok().unwrap();
    ends.far.push(loud(120)).ok().unwrap();
    assert_eq!(left(&mut ends, &mut rooms, 121), 0, "it came");
    ends.hops.push(loud(120)).ok().unwrap();
    assert_eq!(left(&mut ends, &mut rooms, 121), 1);
    assert_eq!(left(&mut ends, &mut rooms, 121 + FAR_WAIT.as_millis() as u64), 0, "it is late");
    ends.hops.push(loud(130)).ok().unwrap();
    ends.edges.push(Edge { at: Time::from_ms(131), active: true }).unwrap();
    assert_eq!(left(&mut ends, &mut rooms, 131), 0, "a press");
}

#[test]
fn an_edge_from_the_future_does_not_hold_the_gate_open() {
    let mut ends = ends();
    let mut rooms = rooms(&ends.parts);
    ends.edges.push(Edge { at: Time::from_ms(10), active: true }).unwrap();
    ends.clock.0.store(500, Ordering::Relaxed);
    assert!(ends.parts.work(&mut rooms).is_ok());
    ends.edges.push(Edge { at: Time::from_ms(1 << 40), active: false }).unwrap();
    ends.clock.0.store(600, Ordering::Relaxed);
    assert!(ends.parts.work(&mut rooms).is_ok());
    ends.clock.0.store(2000, Ordering::Relaxed);
    assert!(ends.parts.work(&mut rooms).is_ok());
    let said = drain(&mut ends.events);
    assert!(
        matches!(said[..], [GateEvent::Pressed, GateEvent::Released, GateEvent::Dropped(DropCause::OnlySilence)]),
        "{said:?}"
    );
}

/// The thread itself: more events than the ring holds at once, taken slowly, all arrive in order.
#[test]
fn a_slow_core_loses_nothing() {
    let Ends { parts, clock, mut hops, mut edges, mut events, .. } = ends();
    let (stop, bell) = (parts.stop.clone(), parts.bell.clone());
    let thread = spawn(parts).unwrap();
    clock.0.store(10_000, Ordering::Relaxed);
    for hop in 1..=200u64 {
        let mut next = loud(9000 + 5 * hop);
        while let Err(PushError::Full(back)) = hops.push(next) {
            next = back;
        }
        bell.ring();
        while hops.slots() < MIC_RING_HOPS + 1 {
            thread::yield_now(); // never so far ahead that hops are discarded
        }
    }
    edges.push(Edge { at: Time::from_ms(10_000), active: true }).unwrap();
    bell.ring();
    let mut said = Vec::new();
    while said.len() < 2 + 200 {
        said.extend(events.pop());
        thread::yield_now();
    }
    stop.store(true, Ordering::Relaxed);
    bell.ring();
    thread.join().unwrap();
    let stamps: Vec<u64> = said
        .iter()
        .filter_map(|event| if let GateEvent::Speech(speech) = event { Some(speech.at.as_ms()) } else { None })
        .collect();
    assert_eq!(stamps, (1..=200).map(|hop| 9000 + 5 * hop).collect::<Vec<_>>());
}

type Step = Result<Option<Edge>, LineTrouble>;

/// A line that fails to open, then plays its steps, then fails again.
struct ScriptedBoard {
    openings: Mutex<VecDeque<Result<VecDeque<Step>, LineTrouble>>>,
}

struct ScriptedButton(VecDeque<Step>, bool);

impl Button for ScriptedButton {
    fn is_active(&mut self) -> Result<bool, LineTrouble> {
        Ok(self.1)
    }

    fn wait(&mut self, _: Duration) -> Step {
        let step = self.0.pop_front().unwrap_or(Err(trouble("unplugged")));
        if let Ok(Some(edge)) = &step {
            self.1 = edge.active;
        }
        step
    }
}

fn trouble(why: &str) -> LineTrouble {
    LineTrouble::Other { line: "talk".into(), why: why.into() }
}

impl Board for ScriptedBoard {
    fn open_capture(&self) -> Result<Box<dyn Capture>, PcmTrouble> {
        Err(PcmTrouble::Gone)
    }
    fn open_playback(&self) -> Result<Box<dyn Playback>, PcmTrouble> {
        Err(PcmTrouble::Gone)
    }
    fn open_button(&self, _: &str) -> Result<Box<dyn Button>, LineTrouble> {
        let steps = self.openings.lock().unwrap().pop_front().unwrap_or(Err(trouble("gone for good")))?;
        Ok(Box::new(ScriptedButton(steps, false)))
    }
    fn open_output(&self, _: &str) -> Result<Box<dyn Output>, LineTrouble> {
        Err(trouble("none"))
    }
    fn open_input(&self, _: &str) -> Result<Box<dyn Input>, LineTrouble> {
        Err(trouble("none"))
    }
}

fn waiter(openings: Vec<Result<VecDeque<Step>, LineTrouble>>, room: usize) -> (Waiter, Consumer<Edge>) {
    let (edges, edges_out) = rtrb::RingBuffer::new(room);
    let parts = ButtonParts {
        clock: Arc::new(SetClock(AtomicU64::new(77))),
        board: Arc::new(ScriptedBoard { openings: Mutex::new(openings.into()) }),
        line: "talk".into(),
        edges,
        gate_bell: Bell::new(),
        stop: Arc::new(AtomicBool::new(false)),
    };
    (Waiter { parts, last_sent: false, edges_lost: 0 }, edges_out)
}

fn edge(at_ms: u64, active: bool) -> Edge {
    Edge { at: Time::from_ms(at_ms), active }
}

#[test]
fn trouble_is_reported_once_and_releases_the_button() {
    let steps = VecDeque::from([Ok(None), Ok(Some(edge(5, true)))]);
    let (waiter, mut edges) = waiter(vec![Err(trouble("busy")), Ok(steps)], 8);
    let stop = waiter.parts.stop.clone();
    let (told, reports) = mpsc::channel();
    let thread = thread::spawn(move || waiter.run(move |report| told.send(report).unwrap()));
    let heard: Vec<_> = reports.iter().take(4).collect();
    stop.store(true, Ordering::Relaxed);
    thread.join().unwrap();
    assert_eq!(heard, [Err(trouble("busy")), Ok(()), Err(trouble("unplugged")), Err(trouble("gone for good")),]);
    assert_eq!(edges.pop().ok(), Some(edge(5, true)));
    assert_eq!(edges.pop().ok(), Some(edge(77, false)), "a line that is gone is not pressed");
    assert!(edges.pop().is_err());
}

#[test]
fn an_edge_that_found_no_room_is_made_up_for() {
    let (mut waiter, mut edges) = waiter(Vec::new(), 1);
    let steps = VecDeque::from([Ok(Some(edge(5, true))), Ok(Some(edge(9, false)))]);
    assert_eq!(waiter.watch(Box::new(ScriptedButton(steps, false))), Some(trouble("unplugged")));
    assert_eq!((waiter.edges_lost, waiter.last_sent), (1, true));
    assert_eq!(edges.pop().ok(), Some(edge(5, true)));
    let steps = VecDeque::from([Ok(None)]);
    waiter.watch(Box::new(ScriptedButton(steps, false)));
    assert_eq!(edges.pop().ok(), Some(edge(77, false)));
    assert_eq!(waiter.edges_lost, 0);
}
