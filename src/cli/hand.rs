//! The person in front of the simulated board of `mynah run`: one recording (`--say`), or orders line by line (`--hand`).

use std::io::BufRead;
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::exit;
use crate::audio::Chunk;
use crate::config::board::TALK;
use crate::hw::sim::SimHandle;
use crate::hw::wav;
use crate::units::Frames;

/// `--say` waits this long: by then the connection stands, and the microphone runs.
const SAY_AFTER: Duration = Duration::from_secs(1);
/// Bytes of a wrong order that are repeated.
const SHOWN_MAX: usize = 32;

/// What the person does: nothing, says a recording once, or does what standard input says.
pub enum Deeds {
    /// Stands there.
    None,
    /// Says this one second after the start, button held.
    Say(Chunk),
    /// Reads orders, a line each.
    Orders,
}

/// Starts the person's thread, if there is anything to do; it is not waited for at the end.
///
/// # Errors
/// A board that is not simulated, or no thread.
pub fn start(deeds: Deeds, hand: Option<SimHandle>) -> anyhow::Result<Option<JoinHandle<()>>> {
    let person = thread::Builder::new().name("person".into());
    Ok(match (deeds, hand) {
        (Deeds::None, _) => None,
        (_, None) => {
            let what = "--say and --hand are for the simulated board: a real microphone hears what is said to it";
            return Err(exit::config(what));
        }
        (Deeds::Say(recording), Some(hand)) => Some(person.spawn(move || {
            thread::sleep(SAY_AFTER);
            ask(&hand, &recording);
        })?),
        (Deeds::Orders, Some(hand)) => Some(person.spawn(move || obey(&hand, std::io::stdin().lock()))?),
    })
}

/// Holds the button while the recording is said.
fn ask(hand: &SimHandle, recording: &Chunk) {
    // A profile without a button is hands-free: then speaking is enough.
    let _ = hand.press(TALK);
    say(hand, recording);
    thread::sleep(Frames(recording.frames.len() as u64).duration(recording.rate));
    let _ = hand.release(TALK);
}

fn say(hand: &SimHandle, recording: &Chunk) {
    if let Err(trouble) = hand.say(&recording.frames, recording.rate) {
        tracing::error!("{trouble}");
    }
}

/// Does what the lines say: `press`, `release`, `hush`, `say FILE.wav`, `ask FILE.wav` (button held meanwhile).
fn obey(hand: &SimHandle, orders: impl BufRead) {
    for line in orders.lines() {
        let Ok(line) = line else { return };
        let (order, file) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        let recording = |file: &str| wav::load(Path::new(file)).map_err(|e| tracing::error!("{e}"));
        match order {
            "press" => drop(hand.press(TALK).map_err(|e| tracing::error!("{e}"))),
            "release" => drop(hand.release(TALK).map_err(|e| tracing::error!("{e}"))),
            "hush" => hand.hush(),
            "say" => drop(recording(file).map(|recording| say(hand, &recording))),
            "ask" => drop(recording(file).map(|recording| ask(hand, &recording))),
            "" => {}
            other => {
                let shown = &other[..other.floor_char_boundary(SHOWN_MAX)];
                tracing::error!("`{shown}` is no order: they are press, release, hush, say FILE.wav and ask FILE.wav");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::hw::sim::{SimBoard, SimClock, SimSetup};

    #[test]
    fn orders_move_the_button_and_nonsense_does_nothing() {
        let hand = SimBoard::new(SimSetup::default(), SimClock::paced()).handle();
        obey(&hand, "frob\n\n press \nsay /no/file.wav\n".as_bytes());
        assert!(hand.is_active(TALK).unwrap());
        obey(&hand, "release\n".as_bytes());
        assert!(!hand.is_active(TALK).unwrap());
    }

    #[test]
    fn a_board_of_things_takes_no_orders() {
        let told = start(Deeds::Orders, None).map(|_| ()).unwrap_err().to_string();
        assert!(told.contains("simulated board"), "{told}");
    }
}
