//! The board's loudness buttons: each press of `volume_up` or `volume_down` is a step.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rtrb::{Consumer, RingBuffer};

use super::controls::Controls;
use crate::bell::Bell;
use crate::flow::{Control, EDGES_MAX};
use crate::hw::Edge;

/// One press, percent: ten of them from silence to the loudest.
const STEP_PERCENT: i8 = 10;
/// The longest sleep; every press rings.
const WAIT_MAX: Duration = Duration::from_millis(500);

/// A button's edges, and what a press of it wants.
pub struct Knob {
    edges: Consumer<Edge>,
    step: i8,
}

/// The two knobs; answers where their edges go, louder first.
pub fn knobs() -> ([Knob; 2], [rtrb::Producer<Edge>; 2]) {
    let (up, up_edges) = RingBuffer::new(EDGES_MAX);
    let (down, down_edges) = RingBuffer::new(EDGES_MAX);
    let knobs = [(up_edges, STEP_PERCENT), (down_edges, -STEP_PERCENT)];
    (knobs.map(|(edges, step)| Knob { edges, step }), [up, down])
}

/// Starts the thread that turns presses into steps; `bell` is rung with each edge.
///
/// # Errors
/// The system has no thread to give.
pub fn spawn(
    mut knobs: [Knob; 2],
    controls: Controls,
    bell: Bell,
    stop: Arc<AtomicBool>,
) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("knobs".into()).spawn(move || {
        bell.answer();
        while !stop.load(Ordering::Relaxed) {
            for knob in &mut knobs {
                turn(knob, &controls);
            }
            bell.wait(WAIT_MAX);
        }
    })
}

fn turn(knob: &mut Knob, controls: &Controls) {
    while let Ok(edge) = knob.edges.pop() {
        // Where the core takes nothing any more there is nothing to be heard either: a lost step does not matter.
        if edge.active && !controls.give(Control::VolumeBy(knob.step)) {
            tracing::warn!("a press of a loudness button was lost: the core takes nothing");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::controls::controls;
    use super::*;
    use crate::units::Time;

    #[test]
    fn each_press_is_a_step_and_a_release_is_none() {
        let ([mut up, mut down], mut edges) = knobs();
        let (to_core, from_people) = controls(Bell::new());
        for pressed in [0, 0, 1] {
            for active in [true, false] {
                edges[pressed].push(Edge { at: Time::ZERO, active }).unwrap();
            }
            turn(&mut up, &to_core);
            turn(&mut down, &to_core);
        }
        let steps: Vec<Control> = from_people.try_iter().collect();
        assert_eq!(steps, [Control::VolumeBy(10), Control::VolumeBy(10), Control::VolumeBy(-10)]);
    }
}
