//! The person in front of the simulated board of `mynah run`: one recording (`--say`), or orders line by line (`--hand`).

use std::io::BufRead;
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::exit;
use crate::audio::Chunk;
use crate::config::board::TALK;
use crate::daemon::Controls;
use crate::flow::Control;
use crate::hw::sim::SimHandle;
use crate::hw::wav;
use crate::units::Frames;

/// `--say` waits this long: by then the connection stands, and the microphone runs.
const SAY_AFTER: Duration = Duration::from_secs(1);
/// Bytes of a wrong order that are repeated.
const SHOWN_MAX: usize = 32;

/// A tap of a finger, and the pause between two.
const TAP: Duration = Duration::from_millis(120);
/// Louder and softer, percent.
const VOLUME_STEP: i8 = 10;
/// What standard input may say.
const ORDERS: &str = "press, release, tap, double, hold MS, hush, say FILE.wav, ask FILE.wav, volume PERCENT, louder, \
                      softer, mute, unmute, stop, repeat, reset, end, listen and tell TEXT";

/// What the person does: nothing, says a recording once, or does what standard input says.
pub enum Deeds {
    /// Stands there.
    None,
    /// Says this one second after the start, button held.
    Say(Chunk),
    /// Reads orders, a line each.
    Orders,
}

/// Somebody in front of the simulated board, who has not done anything yet.
pub struct Person {
    deeds: Deeds,
    hand: SimHandle,
}

/// Somebody, if there is anything to do.
///
/// # Errors
/// A board that is not simulated.
pub fn person(deeds: Deeds, hand: Option<SimHandle>) -> anyhow::Result<Option<Person>> {
    match (deeds, hand) {
        (Deeds::None, _) => Ok(None),
        (_, None) => {
            let what = "--say and --hand are for the simulated board: a real microphone hears what is said to it";
            Err(exit::config(what))
        }
        (deeds, Some(hand)) => Ok(Some(Person { deeds, hand })),
    }
}

impl Person {
    /// Starts the person's thread; it is not waited for at the end.
    ///
    /// # Errors
    /// No thread.
    pub fn start(self, controls: Controls) -> anyhow::Result<JoinHandle<()>> {
        let thread = thread::Builder::new().name("person".into());
        Ok(thread.spawn(move || match self.deeds {
            Deeds::None => {}
            Deeds::Say(recording) => {
                thread::sleep(SAY_AFTER);
                ask(&self.hand, &recording);
            }
            Deeds::Orders => obey(&self.hand, &|control| controls.give(control), std::io::stdin().lock()),
        })?)
    }
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

/// Does what the lines say; the orders are in [`ORDERS`].
fn obey(hand: &SimHandle, give: &dyn Fn(Control) -> bool, orders: impl BufRead) {
    for line in orders.lines() {
        let Ok(line) = line else { return };
        let (order, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        if let Err(trouble) = do_one(hand, give, order, rest) {
            tracing::error!("{trouble}");
        }
    }
}

fn do_one(hand: &SimHandle, give: &dyn Fn(Control) -> bool, order: &str, rest: &str) -> Result<(), String> {
    if let Some(control) = control(order, rest)? {
        return if give(control) { Ok(()) } else { Err(format!("`{order}`: the core takes nothing now")) };
    }
    let recording = |file: &str| wav::load(Path::new(file)).map_err(|e| e.to_string());
    match order {
        "press" => hand.press(TALK).map_err(|e| e.to_string())?,
        "release" => hand.release(TALK).map_err(|e| e.to_string())?,
        "tap" => hold(hand, TAP)?,
        "double" => {
            hold(hand, TAP)?;
            thread::sleep(TAP);
            hold(hand, TAP)?;
        }
        "hold" => hold(
            hand,
            Duration::from_millis(rest.parse().map_err(|_| format!("`hold {}`: how many ms?", shown(rest)))?),
        )?,
        "hush" => hand.hush(),
        "say" => say(hand, &recording(rest)?),
        "ask" => ask(hand, &recording(rest)?),
        "" => {}
        other => return Err(format!("`{}` is no order: they are {ORDERS}", shown(other))),
    }
    Ok(())
}

/// The orders that do not pass through the board.
fn control(order: &str, rest: &str) -> Result<Option<Control>, String> {
    Ok(Some(match order {
        "volume" => Control::Volume(
            rest.parse()
                .ok()
                .filter(|percent| *percent <= 100)
                .ok_or_else(|| format!("`volume {}`: it is 0 to 100 percent", shown(rest)))?,
        ),
        "louder" => Control::VolumeBy(VOLUME_STEP),
        "softer" => Control::VolumeBy(-VOLUME_STEP),
        "mute" => Control::Mute(true),
        "unmute" => Control::Mute(false),
        "stop" => Control::Stop,
        "repeat" => Control::Repeat,
        "reset" => Control::Reset,
        "end" => Control::End,
        "listen" => Control::Listen,
        "tell" => Control::Tell(rest.into()),
        _ => return Ok(None),
    }))
}

fn hold(hand: &SimHandle, length: Duration) -> Result<(), String> {
    hand.press(TALK).map_err(|e| e.to_string())?;
    thread::sleep(length);
    hand.release(TALK).map_err(|e| e.to_string())
}

fn shown(text: &str) -> &str {
    &text[..text.floor_char_boundary(SHOWN_MAX)]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::hw::Board;
    use crate::hw::sim::{SimBoard, SimClock, SimSetup};

    #[test]
    fn orders_move_the_button_and_nonsense_does_nothing() {
        let hand = SimBoard::new(SimSetup::default(), SimClock::paced()).handle();
        let deaf = |_| false;
        obey(&hand, &deaf, "frob\n\n press \nsay /no/file.wav\nhold on\nvolume 101\nmute\n".as_bytes());
        assert!(hand.is_active(TALK).unwrap());
        obey(&hand, &deaf, "release\n".as_bytes());
        assert!(!hand.is_active(TALK).unwrap());
    }

    #[test]
    fn what_a_person_wants_is_given_to_the_core() {
        let hand = SimBoard::new(SimSetup::default(), SimClock::paced()).handle();
        let given = std::cell::RefCell::new(Vec::new());
        let take = |control| {
            given.borrow_mut().push(control);
            true
        };
        obey(&hand, &take, "volume 40\nlouder\nsofter\nmute\nunmute\nstop\nrepeat\nreset\nvolume 101\n".as_bytes());
        let wanted = [
            Control::Volume(40),
            Control::VolumeBy(10),
            Control::VolumeBy(-10),
            Control::Mute(true),
            Control::Mute(false),
            Control::Stop,
            Control::Repeat,
            Control::Reset,
        ];
        assert_eq!(given.into_inner(), wanted);
    }

    #[test]
    fn taps_move_the_button() {
        let sim = SimBoard::new(SimSetup::default(), SimClock::paced());
        let mut talk = sim.open_button(TALK).unwrap();
        obey(&sim.handle(), &|_| false, "tap\nhold 5\ndouble\n".as_bytes());
        let mut edges = Vec::new();
        while let Some(edge) = talk.wait(Duration::ZERO).unwrap() {
            edges.push(edge.active);
        }
        assert_eq!(edges, [true, false].repeat(4));
    }

    #[test]
    fn a_board_of_things_takes_no_orders() {
        let told = person(Deeds::Orders, None).map(|_| ()).unwrap_err().to_string();
        assert!(told.contains("simulated board"), "{told}");
    }
}
