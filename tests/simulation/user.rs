//! The user: presses, taps, speaks, hesitates, interrupts, errs. Each deed becomes a few timed acts.

use std::time::Duration;

use mynah::config::agent::{Agent, ButtonStyle, Gestures, Listen, ListenMode, TwoTaps};
use mynah::units::Time;

use super::dice::Dice;

/// What the microphone hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sound {
    Silence,
    Voice,
    /// Loud, but no voice.
    Knock,
}

/// One thing that happens at a time.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    Button(bool),
    Sound(Sound),
    WakeWord,
}

/// What the user waits for before the next deed.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// Just this time.
    Time(Time),
    /// A reply is heard, and so much of it; at the latest at this time.
    Audible(Duration, Time),
    /// All is quiet, or this time.
    Idle(Time),
}

/// A deed in the making: acts with their times.
struct Deed<'a> {
    acts: Vec<(Time, Act)>,
    dice: &'a mut Dice,
    listen: &'a Listen,
    gestures: &'a Gestures,
}

/// The acts of the next deed, in order, the first at `now` or later; and what is waited for after the last.
pub fn deed(dice: &mut Dice, agent: &Agent, now: Time) -> (Vec<(Time, Act)>, Until) {
    let mut deed = Deed { acts: Vec::new(), dice, listen: &agent.listen, gestures: &agent.gestures };
    deed.act(now);
    let end = deed.acts.iter().map(|(at, _)| *at).max().unwrap_or(now);
    deed.acts.sort_by_key(|(at, _)| *at);
    let acts = deed.acts;
    let until = match dice.between(0, 10) {
        10 => Until::Time(end + dice.ms(5000, 16_000)),
        0..=3 => Until::Idle(end + Duration::from_secs(25)),
        4..=6 => Until::Audible(dice.pick(&[0, 20, 90, 400, 1500]).into_ms(), end + Duration::from_secs(6)),
        7 => Until::Time(end),
        8 => Until::Time(end + dice.ms(0, 600)),
        _ => Until::Time(end + dice.ms(500, 4000)),
    };
    (acts, until)
}

trait IntoMs {
    fn into_ms(self) -> Duration;
}

impl IntoMs for u64 {
    fn into_ms(self) -> Duration {
        Duration::from_millis(self)
    }
}

impl Deed<'_> {
    fn act(&mut self, now: Time) {
        if self.dice.chance(12) {
            return self.gesture(now);
        }
        if self.listen.mode == ListenMode::WakeWord && self.dice.chance(50) {
            return self.wake(now);
        }
        if self.listen.mode == ListenMode::HandsFree {
            match self.dice.between(0, 9) {
                0..=5 => drop(self.speak(now)),
                6 => self.speak_twice(now),
                7 => self.knock(now),
                8 => self.press_and_speak(now),
                _ => self.mistake(now),
            }
            return;
        }
        match self.dice.between(0, 13) {
            0..=6 => self.press_and_speak(now),
            7 => self.silent_press(now),
            8 => self.mistake(now),
            9 => self.chatter(now),
            10 => drop(self.speak(now)),
            11 => self.knock(now),
            12 => {
                self.press_and_speak(now);
                self.knock(now);
            }
            _ => self.twice(now),
        }
    }

    fn at(&mut self, at: Time, act: Act) {
        self.acts.push((at, act));
    }

    /// Speech of a few words; answers its end.
    fn speak(&mut self, from: Time) -> Time {
        let longest = if self.dice.chance(2) { 36_000 } else { 2500 };
        let mut at = from;
        for _ in 0..self.dice.between(1, 3) {
            self.at(at, Act::Sound(Sound::Voice));
            at += self.dice.ms(60, longest);
            self.at(at, Act::Sound(Sound::Silence));
            at += self.dice.ms(10, 250);
        }
        at
    }

    fn speak_twice(&mut self, now: Time) {
        let end = self.speak(now);
        let pause = self.dice.ms(100, 1200);
        self.speak(end + pause);
    }

    fn knock(&mut self, now: Time) {
        self.at(now, Act::Sound(Sound::Knock));
        let end = now + self.dice.ms(5, 60);
        self.at(end, Act::Sound(Sound::Silence));
    }

    /// Down and up, as the style wants it, around `from` and `to`.
    fn press(&mut self, from: Time, to: Time) {
        let taps = match self.listen.button {
            ButtonStyle::Hold => false,
            ButtonStyle::Tap => true,
            ButtonStyle::HoldOrTap => self.dice.chance(50),
        };
        if !taps {
            self.at(from, Act::Button(true));
            return self.at(to, Act::Button(false));
        }
        let longest = u64::from(self.listen.tap_max_ms) * 9 / 10;
        let (first, second) = (self.dice.ms(40, longest), self.dice.ms(40, longest));
        self.at(from, Act::Button(true));
        self.at(from + first, Act::Button(false));
        let again = to.max(from + first + Duration::from_millis(60));
        self.at(again, Act::Button(true));
        self.at(again + second, Act::Button(false));
    }

    fn press_and_speak(&mut self, now: Time) {
        let lead = self.dice.ms(0, 300);
        let speaks_first = self.dice.chance(15);
        let (pressed, spoken) = if speaks_first { (now + lead, now) } else { (now, now + lead) };
        let end = self.speak(spoken);
        let early = self.dice.ms(0, 200);
        let late = self.dice.ms(0, 300);
        self.press(pressed, end.back(early).max(pressed + Duration::from_millis(20)) + late);
    }

    /// The wake word, and mostly something after it, as soon as it was heard or a little later.
    fn wake(&mut self, now: Time) {
        self.at(now, Act::WakeWord);
        if self.dice.chance(85) {
            let pause = self.dice.ms(0, 1500);
            self.speak(now + pause);
        }
    }

    /// Two taps, a long press or a very long one; what was muted is mostly unmuted by another.
    fn gesture(&mut self, now: Time) {
        match self.dice.between(0, 5) {
            0..=2 => {
                let pause = self.dice.ms(40, u64::from(self.gestures.double_ms) + 50);
                let (first, second) = (self.dice.ms(35, 180), self.dice.ms(35, 180));
                self.down_and_up(now, first);
                let again = now + first + pause;
                if self.gestures.two_taps == TwoTaps::Look && self.dice.chance(80) {
                    return self.press_and_speak(again);
                }
                self.down_and_up(again, second);
            }
            3..=4 => {
                let length = Duration::from_millis(u64::from(self.gestures.long_ms)) + self.dice.ms(0, 600);
                self.down_and_up(now, length);
                if self.dice.chance(20) {
                    let after = self.dice.ms(0, 1000);
                    self.speak(now + after);
                }
                if self.dice.chance(80) {
                    let pause = self.dice.ms(200, 3000);
                    self.down_and_up(now + length + pause, length);
                }
            }
            _ => {
                let length = Duration::from_millis(u64::from(self.gestures.very_long_ms)) + self.dice.ms(20, 600);
                self.down_and_up(now, length);
            }
        }
    }

    fn down_and_up(&mut self, at: Time, length: Duration) {
        self.at(at, Act::Button(true));
        self.at(at + length, Act::Button(false));
    }

    fn silent_press(&mut self, now: Time) {
        let length = self.dice.ms(200, 1500);
        self.press(now, now + length);
    }

    /// Too short to be meant; sometimes in mid-speech, sometimes with an echo of itself.
    fn mistake(&mut self, now: Time) {
        let length = self.dice.ms(1, u64::from(self.listen.min_press_ms.max(20)) - 1);
        if self.dice.chance(60) {
            self.speak(now);
        }
        self.at(now, Act::Button(true));
        self.at(now + length, Act::Button(false));
    }

    fn chatter(&mut self, now: Time) {
        let mut at = now;
        for _ in 0..self.dice.between(2, 4) {
            self.at(at, Act::Button(true));
            at += self.dice.ms(1, 12);
            self.at(at, Act::Button(false));
            at += self.dice.ms(1, 12);
        }
        self.at(at, Act::Button(true));
        let end = self.speak(at);
        self.at(end, Act::Button(false));
    }

    /// A second press within, or just after, the tail of the first.
    fn twice(&mut self, now: Time) {
        let end = self.speak(now);
        self.press(now, end);
        let after = self.acts.iter().map(|(at, _)| *at).max().unwrap_or(end) + self.dice.ms(0, 400);
        let end = self.speak(after);
        self.press(after, end);
    }
}
