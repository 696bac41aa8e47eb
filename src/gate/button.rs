//! The talk button: edges become holds and taps, and say when the button wants the gate to listen.
//!
//! Nothing here knows about sound. Time comes with the edges, and [`Button::due`] is asked every hop.

use std::time::Duration;

use crate::config::agent::{ButtonStyle, Listen};
use crate::hw::Edge;
use crate::units::Time;

/// A press that follows a release this closely is the same press: contacts that chatter in spite of the
/// kernel's debouncing (which is 5–20 ms where it is set), or a finger that slipped. No one taps that fast.
const CHATTER: Duration = Duration::from_millis(30);

/// How a press ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As meant: what was said is to be answered.
    Finished,
    /// Too early to be meant.
    TooShort,
}

/// What the button wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing.
    Idle,
    /// To talk; it is down.
    Held,
    /// To talk; a tap opened it and the next tap closes it.
    Latched,
    /// To talk until the tail is over.
    Ending { until: Time, ending: Ending, by_release: bool },
    /// Nothing until it is released: the press was refused or is used up.
    Ignored,
}

/// Gestures of one button.
#[derive(Clone, Copy, Debug)]
pub struct Button {
    style: ButtonStyle,
    min_press: Duration,
    tap_max: Duration,
    tail: Duration,
    state: State,
    is_down: bool,
    pressed_at: Time,
    released_at: Option<Time>,
}

impl Button {
    /// A button that is up, of the configured style.
    pub fn new(listen: &Listen) -> Button {
        let ms = |ms: u32| Duration::from_millis(u64::from(ms));
        Button {
            style: listen.button,
            min_press: ms(listen.min_press_ms),
            tap_max: ms(listen.tap_max_ms),
            tail: ms(listen.tail_ms),
            state: State::Idle,
            is_down: false,
            pressed_at: Time::ZERO,
            released_at: None,
        }
    }

    /// Takes an edge. Answers false where the button was already that way: nothing happened.
    pub fn handle_edge(&mut self, edge: Edge) -> bool {
        if edge.active == self.is_down {
            return false;
        }
        self.is_down = edge.active;
        if edge.active {
            self.press(edge.at)
        } else {
            self.release(edge.at)
        }
        true
    }

    fn press(&mut self, at: Time) {
        let chatters = self.released_at.is_some_and(|released| at.since(released) < CHATTER);
        self.state = match self.state {
            // The press that closes; its own release says nothing.
            State::Latched if !chatters => self.finish(at, false),
            // The closing tap chatters.
            State::Ending { by_release: false, .. } if chatters => self.state,
            // A new press within the tail goes on in the same window.
            State::Idle | State::Latched | State::Ending { .. } | State::Held => State::Held,
            State::Ignored => State::Ignored,
        };
        // A press that goes on keeps its beginning, or the rest of it would look like a short one.
        if !chatters {
            self.pressed_at = at;
        }
    }

    fn release(&mut self, at: Time) {
        self.released_at = Some(at);
        let held = at.since(self.pressed_at);
        self.state = match self.state {
            State::Held => match self.style {
                ButtonStyle::Hold if held < self.min_press => {
                    State::Ending { until: at + CHATTER, ending: Ending::TooShort, by_release: true }
                }
                ButtonStyle::Hold => self.finish(at, true),
                ButtonStyle::HoldOrTap if held > self.tap_max => self.finish(at, true),
                ButtonStyle::Tap | ButtonStyle::HoldOrTap => State::Latched,
            },
            State::Ignored => State::Idle,
            other => other,
        };
    }

    fn finish(&self, at: Time, by_release: bool) -> State {
        State::Ending { until: at + self.tail, ending: Ending::Finished, by_release }
    }

    /// Whether a window that is open belongs to the button.
    pub fn is_engaged(&self) -> bool {
        !matches!(self.state, State::Idle | State::Ignored)
    }

    /// Whether sound found now is to open a window.
    pub fn wants_sound(&self) -> bool {
        match self.state {
            State::Held | State::Latched => true,
            State::Ending { ending, .. } => ending == Ending::Finished,
            State::Idle | State::Ignored => false,
        }
    }

    /// Whether a tap opened it and nobody holds it.
    pub fn is_latched(&self) -> bool {
        self.state == State::Latched
    }

    /// When the present press began.
    pub fn pressed_at(&self) -> Time {
        self.pressed_at
    }

    /// The ending whose tail is over at `now`, if one is. [`Button::disengage`] takes note of it.
    pub fn due(&self, now: Time) -> Option<Ending> {
        match self.state {
            State::Ending { until, ending, .. } if now >= until => Some(ending),
            _ => None,
        }
    }

    /// The ending under way, whether or not its tail is over.
    pub fn ending(&self) -> Option<Ending> {
        match self.state {
            State::Ending { ending, .. } => Some(ending),
            _ => None,
        }
    }

    /// Ends the present press; if the button is still down, the rest of the press is ignored.
    pub fn disengage(&mut self) {
        self.state = if self.is_down { State::Ignored } else { State::Idle };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::gate::tests::listen;

    /// Edges as `+ms` (down) and `-ms` (up); answers what the button wants after each: `.` nothing, `h` to
    /// talk while held, `l` latched, `f`/`s` the ending, `i` ignored, upper case where the edge was none.
    fn wants(style: ButtonStyle, edges: &str) -> String {
        let mut button = Button::new(&Listen { button: style, ..listen() });
        let mut wants = String::new();
        for edge in edges.split_whitespace() {
            let at = Time::from_ms(edge[1..].parse().unwrap());
            if button.due(at).is_some() {
                button.disengage();
            }
            let happened = button.handle_edge(Edge { at, active: edge.starts_with('+') });
            let letter = match button.state {
                State::Idle => '.',
                State::Held => 'h',
                State::Latched => 'l',
                State::Ending { ending: Ending::Finished, .. } => 'f',
                State::Ending { ending: Ending::TooShort, .. } => 's',
                State::Ignored => 'i',
            };
            wants.push(if happened { letter } else { letter.to_ascii_uppercase() });
        }
        wants
    }

    #[test]
    fn edges_become_gestures() {
        use ButtonStyle::{Hold, HoldOrTap, Tap};
        // min_press 80 ms, tap_max 400 ms, tail 200 ms
        for (style, edges, expected) in [
            (Hold, "+100 -900", "hf"),
            (Hold, "+100 -150", "hs"),
            (Hold, "+100 -900 +1000 -2000", "hfhf"), // within the tail: goes on
            (Hold, "+100 -105 +110 -112 +115 -900", "hshshf"), // chatter is one press
            (Hold, "+100 -900 +905 -910", "hfhf"),   // chatter at the end is no short press
            (Hold, "-50 +100 +200 -900 -950", ".hHfF"), // no edge, no effect
            (Tap, "+100 -200 +3000 -3100", "hlff"),
            (Tap, "+100 -2000 +3000 -3100", "hlff"), // a long tap is a tap
            (Tap, "+100 -105 +110 -200", "hlhl"),    // chatter does not close
            (Tap, "+100 -200 +3000 -3010 +3015 -3020", "hlffff"), // nor open again
            (Tap, "+100 -200 +3000 -3050 +3150 -3160", "hlffhl"), // a tap in the tail goes on
            (HoldOrTap, "+100 -200 +3000 -3100", "hlff"),
            (HoldOrTap, "+100 -900", "hf"),
            (HoldOrTap, "+100 -500", "hl"), // exactly tap_max
        ] {
            assert_eq!(wants(style, edges), expected, "{style:?} {edges}");
        }
    }

    #[test]
    fn a_press_that_was_ended_is_ignored_until_released() {
        let mut button = Button::new(&listen());
        button.handle_edge(Edge { at: Time::from_ms(0), active: true });
        button.disengage();
        assert!(!button.is_engaged() && !button.wants_sound());
        button.handle_edge(Edge { at: Time::from_ms(500), active: false });
        assert!(!button.is_engaged());
        button.handle_edge(Edge { at: Time::from_ms(900), active: true });
        assert!(button.is_engaged() && button.wants_sound());
    }

    #[test]
    fn the_tail_is_over_on_time() {
        let mut button = Button::new(&listen());
        button.handle_edge(Edge { at: Time::from_ms(0), active: true });
        button.handle_edge(Edge { at: Time::from_ms(1000), active: false });
        assert_eq!(button.due(Time::from_ms(1199)), None);
        assert_eq!(button.due(Time::from_ms(1200)), Some(Ending::Finished));
        assert_eq!(button.ending(), Some(Ending::Finished));
    }
}
