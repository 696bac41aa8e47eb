//! The talk button: edges become holds, taps and gestures, and say when the button wants the gate to listen.
//!
//! Nothing here knows about sound, but that the gate tells of a word. Time comes with the edges, and [`Button::due`]
//! and [`Button::gesture_due`] are asked every hop.
//!
//! | what is done | what it says |
//! |---|---|
//! | hold (in style `tap`: nothing of its own) | talk while held |
//! | tap (not in style `hold`) | talk until the next tap, or until silence |
//! | two taps, `double_ms` apart at most | [`Gesture::Repeat`], as the second one goes down; or [`Gesture::Look`], and talk |
//! | held for `long_ms` without a word | [`Gesture::Mute`], while it is still held: the sound says "let go" |
//! | held on for `very_long_ms` | [`Gesture::Reset`]; the core takes back the mute that it passed on the way |
//!
//! A press in which a word was said is for talking, however long it is; in style `tap` and while the gate is muted
//! there is nothing to say in a long press, so it always is a gesture. What a gesture is switched off for is a press.

use std::time::Duration;

use crate::config::agent::{ButtonStyle, Gestures, Listen, Switch, TapEnds, TwoTaps};
use crate::flow::Gesture;
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

/// What an edge came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing: the button was that way already, or a press that is used up chatters.
    Nothing,
    /// A press or a release.
    Edge,
    /// The press that makes it two taps; the rest of it says nothing.
    Repeat,
    /// The press that makes it two taps, and is for talking.
    Look,
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
    /// It is down while the gate is muted: it may become a gesture, and nothing else.
    Muted,
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
    tap_ends: TapEnds,
    /// What two taps mean.
    two_taps: TwoTaps,
    /// The gestures' times; none where a gesture is off.
    double: Option<Duration>,
    long: Option<Duration>,
    very_long: Option<Duration>,
    state: State,
    is_down: bool,
    /// As the gate was told; a used-up press that chatters is not told of.
    is_told_down: bool,
    is_muted: bool,
    pressed_at: Time,
    released_at: Option<Time>,
    /// The release of a tap without a word: another one soon makes it two.
    tapped_at: Option<Time>,
    /// The last release ended a press that was used up.
    was_ignored: bool,
    /// A word was said since the button was engaged.
    has_word: bool,
    /// The newest gesture of the present press.
    said: Option<Gesture>,
}

impl Button {
    /// A button that is up, of the configured style, without gestures.
    pub fn new(listen: &Listen) -> Button {
        Button {
            style: listen.button,
            min_press: ms(listen.min_press_ms),
            tap_max: ms(listen.tap_max_ms),
            tail: ms(listen.tail_ms),
            tap_ends: TapEnds::Tap,
            two_taps: TwoTaps::Off,
            double: None,
            long: None,
            very_long: None,
            state: State::Idle,
            is_down: false,
            is_told_down: false,
            is_muted: false,
            pressed_at: Time::ZERO,
            released_at: None,
            tapped_at: None,
            was_ignored: false,
            has_word: false,
            said: None,
        }
    }

    /// Takes up what presses mean beside talking.
    pub fn set_gestures(&mut self, gestures: &Gestures) {
        let time = |switch: Switch, length_ms: u32| (switch == Switch::On).then_some(ms(length_ms));
        self.tap_ends = gestures.tap_ends;
        self.two_taps = gestures.two_taps;
        self.double = (gestures.two_taps != TwoTaps::Off).then_some(ms(gestures.double_ms));
        self.long = time(gestures.long_mutes, gestures.long_ms);
        self.very_long = time(gestures.very_long_resets, gestures.very_long_ms);
    }

    /// Takes an edge.
    pub fn handle_edge(&mut self, edge: Edge) -> Told {
        if edge.active == self.is_down {
            return Told::Nothing;
        }
        self.is_down = edge.active;
        let told = if edge.active { self.press(edge.at) } else { self.release(edge.at) };
        if told != Told::Nothing {
            self.is_told_down = edge.active;
        }
        told
    }

    fn press(&mut self, at: Time) -> Told {
        let chatters = self.released_at.is_some_and(|released| at.since(released) < CHATTER);
        if chatters && self.was_ignored {
            self.state = State::Ignored;
            return Told::Nothing;
        }
        let is_second = self.is_second_tap(at, chatters);
        if !self.is_engaged() {
            self.has_word = false;
        }
        // A press that goes on keeps its beginning, or the rest of it would look like a short one.
        if !chatters {
            self.pressed_at = at;
            self.said = None;
        }
        match self.two_taps {
            TwoTaps::Look if is_second && !self.is_muted => {
                self.said = Some(Gesture::Look);
                self.state = State::Held; // also where the first tap has opened: it goes on in the same window
                return Told::Look;
            }
            TwoTaps::Repeat if is_second => {
                self.said = Some(Gesture::Repeat);
                self.state = State::Ignored;
                return Told::Repeat;
            }
            _ => {}
        }
        self.state = match self.state {
            // The press that closes; its own release says nothing.
            State::Latched if !chatters => self.finish(at, false),
            // The closing tap chatters.
            State::Ending { by_release: false, .. } if chatters => self.state,
            State::Idle if self.is_muted => State::Muted,
            // A new press within the tail goes on in the same window.
            State::Idle | State::Latched | State::Ending { .. } | State::Held => State::Held,
            State::Muted => State::Muted,
            State::Ignored => State::Ignored,
        };
        Told::Edge
    }

    /// Whether the press that begins at `at` is the second of two taps between which nobody said a word.
    fn is_second_tap(&mut self, at: Time, chatters: bool) -> bool {
        let pause = self.tapped_at.take().map(|tapped| at.since(tapped));
        !chatters && !self.has_word && pause.zip(self.double).is_some_and(|(pause, double)| pause <= double)
    }

    fn release(&mut self, at: Time) -> Told {
        self.released_at = Some(at);
        let held = at.since(self.pressed_at);
        let is_tap = matches!(self.state, State::Held | State::Muted)
            && held <= self.tap_max
            && !self.has_word
            && self.said.is_none(); // a third tap is one that closes
        self.tapped_at = is_tap.then_some(at);
        self.was_ignored = self.state == State::Ignored;
        self.state = match self.state {
            State::Held => match self.style {
                ButtonStyle::Hold if held < self.min_press => {
                    State::Ending { until: at + CHATTER, ending: Ending::TooShort, by_release: true }
                }
                ButtonStyle::Hold => self.finish(at, true),
                ButtonStyle::HoldOrTap if held > self.tap_max => self.finish(at, true),
                ButtonStyle::Tap | ButtonStyle::HoldOrTap => State::Latched,
            },
            State::Ignored | State::Muted => State::Idle,
            other => other,
        };
        if self.is_told_down { Told::Edge } else { Told::Nothing }
    }

    fn finish(&self, at: Time, by_release: bool) -> State {
        State::Ending { until: at + self.tail, ending: Ending::Finished, by_release }
    }

    /// A word was said while the button was engaged.
    pub fn heard_word(&mut self) {
        self.has_word = true;
    }

    /// Whether a word was said since the button was engaged.
    pub fn has_word(&self) -> bool {
        self.has_word
    }

    /// The gesture that the present press has become by `now`; each is told once. The press is used up with it, but
    /// that a long one may become very long.
    pub fn gesture_due(&mut self, now: Time) -> Option<Gesture> {
        let has_nothing_to_say = !self.has_word || self.style == ButtonStyle::Tap;
        let may_begin = match self.state {
            State::Held => has_nothing_to_say,
            State::Muted => true,
            _ => false,
        };
        let goes_on = self.said == Some(Gesture::Mute);
        if !self.is_down || !(may_begin || goes_on) {
            return None;
        }
        let held = now.since(self.pressed_at);
        let is_over = |length: Option<Duration>| length.is_some_and(|length| held >= length);
        let gesture = if is_over(self.very_long) {
            Gesture::Reset
        } else if is_over(self.long) && may_begin {
            Gesture::Mute
        } else {
            return None;
        };
        self.said = Some(gesture);
        self.state = State::Ignored;
        Some(gesture)
    }

    /// While muted, presses become gestures and nothing else. End what is under way with [`Button::disengage`].
    pub fn set_muted(&mut self, is_muted: bool) {
        self.is_muted = is_muted;
    }

    /// Whether a window that is open belongs to the button.
    pub fn is_engaged(&self) -> bool {
        !matches!(self.state, State::Idle | State::Muted | State::Ignored)
    }

    /// Whether sound found now is to open a window.
    pub fn wants_sound(&self) -> bool {
        match self.state {
            State::Held | State::Latched => true,
            State::Ending { ending, .. } => ending == Ending::Finished,
            State::Idle | State::Muted | State::Ignored => false,
        }
    }

    /// Whether a tap opened it and nobody holds it.
    pub fn is_latched(&self) -> bool {
        self.state == State::Latched
    }

    /// Whether a tap opened it and silence ends it.
    pub fn ends_by_silence(&self) -> bool {
        self.is_latched() && self.tap_ends == TapEnds::Silence
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

fn ms(ms: u32) -> Duration {
    Duration::from_millis(u64::from(ms))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::agent::Agent;
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
                State::Muted => 'm',
                State::Ignored => 'i',
            };
            wants.push(if happened != Told::Nothing { letter } else { letter.to_ascii_uppercase() });
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

    /// Edges as above, `w` a word, `M` and `m` the gate muted and not, `@ms` that time; answers the gestures with
    /// the moment at which each was told, time looked at every 10 ms.
    fn gestures(style: ButtonStyle, gestures: &Gestures, story: &str) -> String {
        let mut button = Button::new(&Listen { button: style, ..listen() });
        button.set_gestures(gestures);
        let (mut now, mut told) = (0u64, Vec::new());
        for word in story.split_whitespace() {
            match word {
                "w" => button.heard_word(),
                "M" | "m" => {
                    button.disengage();
                    button.set_muted(word == "M");
                }
                _ => {
                    let until = word[1..].parse().unwrap();
                    while now < until {
                        now = (now + 10).min(until);
                        told.extend(button.gesture_due(Time::from_ms(now)).map(|gesture| format!("{gesture:?}@{now}")));
                        if button.due(Time::from_ms(now)).is_some() {
                            button.disengage();
                        }
                    }
                    if !word.starts_with('@') {
                        let edge = Edge { at: Time::from_ms(now), active: word.starts_with('+') };
                        match button.handle_edge(edge) {
                            Told::Repeat => told.push(format!("Repeat@{now}")),
                            Told::Look => told.push(format!("Look@{now} {:?}", button.state)),
                            Told::Nothing | Told::Edge => {}
                        }
                    }
                }
            }
        }
        told.join(" ")
    }

    /// Double 350 ms, long 3 s, very long 10 s.
    fn all() -> Gestures {
        Gestures { double_ms: 350, long_ms: 3000, very_long_ms: 10_000, ..Agent::default().gestures }
    }

    #[test]
    fn presses_say_more_than_talk() {
        use ButtonStyle::{Hold, HoldOrTap, Tap};
        for (style, story, expected) in [
            (HoldOrTap, "+100 -200 +500 -600", "Repeat@500"),
            (HoldOrTap, "+100 -200 +551 -600", ""), // too late: the second tap closes
            (HoldOrTap, "+100 -200 w +500 -600", ""), // something was said in between
            (HoldOrTap, "+100 -600 +700 -800", ""), // the first is no tap
            (HoldOrTap, "+100 -200 +500 -600 +700 -800 +900", "Repeat@500 Repeat@900"), // a third begins anew
            (HoldOrTap, "+100 -200 +205 -210 +215 -300", ""), // one tap that chatters
            (HoldOrTap, "+100 -200 +500 -505 +510 -600 +1200 @9000", "Repeat@500 Mute@4200"),
            (Tap, "+100 -200 +500 -600", "Repeat@500"),
            (Hold, "+100 -150 +400 -450", "Repeat@400"), // too short to talk, long enough to be meant twice
            (Hold, "+100 -300 +400 -450", "Repeat@400"), // within the tail of the first
            (HoldOrTap, "+100 @3090", ""),
            (HoldOrTap, "+100 @3100 -3200 @20000", "Mute@3100"),
            (HoldOrTap, "+100 @20000", "Mute@3100 Reset@10100"),
            (HoldOrTap, "+100 -3000 +3100 @5000", ""), // released in time
            (HoldOrTap, "+100 @1000 w @20000", ""),    // it is for talking
            (HoldOrTap, "+100 @3500 w @20000", "Mute@3100 Reset@10100"), // too late to say anything
            (HoldOrTap, "+100 -200 @1000 +1100 @9000", ""), // the tap that closes
            (Tap, "+100 w @20000", "Mute@3100 Reset@10100"), // nothing is said in a tap
            (Hold, "+100 -105 +110 @20000", "Mute@3100 Reset@10100"), // chatter does not make it shorter
            (Hold, "+100 @500 M @20000", ""),          // it was ended from elsewhere
            (Hold, "M +100 w @20000", "Mute@3100 Reset@10100"), // muted: nothing is said
            (Hold, "M +100 -200 +400 -500", "Repeat@400"),
            (Hold, "M +100 @5000 m @20000", "Mute@3100 Reset@10100"), // the core has opened the gate meanwhile
        ] {
            assert_eq!(gestures(style, &all(), story), expected, "{style:?} {story}");
        }
    }

    #[test]
    fn what_is_off_is_just_a_press() {
        let off = |two_taps, long_mutes, very_long_resets| Gestures { two_taps, long_mutes, very_long_resets, ..all() };
        for (switches, story, expected) in [
            (off(TwoTaps::Off, Switch::On, Switch::On), "+100 -200 +500 -600", ""),
            (off(TwoTaps::Repeat, Switch::Off, Switch::On), "+100 @20000", "Reset@10100"),
            (off(TwoTaps::Repeat, Switch::Off, Switch::On), "+100 @5000 w @20000", ""),
            (off(TwoTaps::Repeat, Switch::On, Switch::Off), "+100 @20000", "Mute@3100"),
            (off(TwoTaps::Off, Switch::Off, Switch::Off), "+100 @20000 -20001 +20100", ""),
        ] {
            assert_eq!(gestures(ButtonStyle::HoldOrTap, &switches, story), expected, "{story}");
        }
    }

    #[test]
    fn the_second_of_two_taps_may_be_for_talking_with_a_picture() {
        use ButtonStyle::{Hold, HoldOrTap, Tap};
        let look = Gestures { two_taps: TwoTaps::Look, ..all() };
        for (style, story, expected) in [
            (Hold, "+100 -200 +500 @1500 w -2000", "Look@500 Held"),
            (Tap, "+100 -200 +500 -600", "Look@500 Held"),
            (HoldOrTap, "+100 -200 +500 @1500 w -2000", "Look@500 Held"),
            (HoldOrTap, "+100 -200 +600", ""),   // too late: the tap that closes
            (HoldOrTap, "+100 w -200 +500", ""), // something was said in the first
            (HoldOrTap, "+100 -200 +500 -600 +800 -900", "Look@500 Held"), // the third closes
            (HoldOrTap, "+100 -200 +500 @9000", "Look@500 Held Mute@3500"), // and nothing was said
            (HoldOrTap, "M +100 -200 +500 -600", ""),
        ] {
            assert_eq!(gestures(style, &look, story), expected, "{style:?} {story}");
        }
    }

    #[test]
    fn a_press_that_is_used_up_is_not_told_of_again_when_it_chatters() {
        let mut button = Button::new(&listen());
        button.set_gestures(&all());
        let told = |at, active, button: &mut Button| button.handle_edge(Edge { at: Time::from_ms(at), active });
        told(0, true, &mut button);
        assert_eq!(button.gesture_due(Time::from_ms(3000)), Some(Gesture::Mute));
        assert_eq!(told(4000, false, &mut button), Told::Edge);
        for (at, active) in [(4005, true), (4010, false), (4015, true), (4020, false)] {
            assert_eq!(told(at, active, &mut button), Told::Nothing, "{at}");
        }
        assert_eq!(told(4200, true, &mut button), Told::Edge);
    }
}
