//! `[[watch]]`: when what is seen is to be told, once a crossing, however it trembles around the threshold.
//!
//! What holds already at the start counts as crossed: a freezer that is too warm is told after a restart, too.

use std::time::Duration;

use crate::config::agent::template::Piece;
use crate::config::agent::watch::{Condition, Watch};
use crate::hw::Reading;
use crate::units::Time;

/// Between two tellings of one watch at least: a door that swings must not fill the conversation.
const GAP: Duration = Duration::from_secs(10);
/// A sensor may fail so often in a row before its owner is told: one garbled answer on a long wire is usual.
const FAILURES_MAX: u32 = 3;

/// What was seen.
#[derive(Clone, Debug, PartialEq)]
pub enum Sight {
    /// A sensor's reading.
    Reading(Reading),
    /// A line's level.
    Level(bool),
}

/// What has changed about the watching itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It cannot be seen any more.
    Blind,
    /// It can be seen again.
    Sees,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It does not hold.
    Calm,
    /// It has held since then and was not told.
    Holds(Time),
    /// It holds and was told.
    Told,
}

/// One watch.
pub struct Watcher {
    watch: Watch,
    state: State,
    told_at: Option<Time>,
    failures: u32,
}

impl Watcher {
    /// Nothing was seen yet.
    pub fn new(watch: Watch) -> Watcher {
        Watcher { watch, state: State::Calm, told_at: None, failures: 0 }
    }

    /// What it is about.
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// This was seen now. Answers what the model is to be told; it stays due until [`Watcher::told`].
    pub fn see(&mut self, sight: &Sight, now: Time) -> Option<String> {
        self.state = match (self.state, self.holds(sight)) {
            (_, Some(false)) => State::Calm,
            (State::Calm, Some(true)) => State::Holds(now),
            (state, _) => state,
        };
        let since_told = self.told_at.map(|at| now.since(at));
        let is_due = match self.state {
            State::Calm => false,
            State::Holds(since) => {
                let for_s = Duration::from_secs(self.watch.for_s.into());
                now.since(since) >= for_s && since_told.is_none_or(|since| since >= GAP)
            }
            State::Told => {
                let again = self.watch.again_after_s.map(|again_s| Duration::from_secs(again_s.into()));
                again.zip(since_told).is_some_and(|(again, since)| since >= again)
            }
        };
        is_due.then(|| self.sentence(sight))
    }

    /// The model was told now.
    pub fn told(&mut self, now: Time) {
        self.state = State::Told;
        self.told_at = Some(now);
    }

    /// Whether it could be looked at. Answers where that has changed.
    pub fn looked(&mut self, could_see: bool) -> Option<Health> {
        let was_blind = self.failures >= FAILURES_MAX;
        self.failures = if could_see { 0 } else { self.failures.saturating_add(1) };
        match (was_blind, self.failures >= FAILURES_MAX) {
            (false, true) => Some(Health::Blind),
            (true, false) => Some(Health::Sees),
            _ => None,
        }
    }

    /// Whether it holds; none between the threshold and where it is over.
    fn holds(&self, sight: &Sight) -> Option<bool> {
        match (&self.watch.condition, sight) {
            (Condition::Above { threshold, hysteresis, .. }, Sight::Reading(Reading { value, .. })) => {
                if value > threshold { Some(true) } else { (*value <= threshold - hysteresis).then_some(false) }
            }
            (Condition::Below { threshold, hysteresis, .. }, Sight::Reading(Reading { value, .. })) => {
                if value < threshold { Some(true) } else { (*value >= threshold + hysteresis).then_some(false) }
            }
            (Condition::LineIs { active, .. }, Sight::Level(level)) => Some(active == level),
            _ => None,
        }
    }

    fn sentence(&self, sight: &Sight) -> String {
        let place = |piece: &Piece| -> Result<String, std::convert::Infallible> {
            Ok(match (piece, sight) {
                (Piece::Argument(name), Sight::Reading(reading)) if name == "value" => reading.value.to_string(),
                (Piece::Argument(name), Sight::Reading(reading)) if name == "unit" => reading.unit.clone(),
                _ => String::new(),
            })
        };
        let Ok(text) = self.watch.say.fill(place);
        format!("[device] {text}")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::agent;

    fn watcher(keys: &str) -> Watcher {
        let text = format!("[[watch]]\n{keys}");
        Watcher::new(agent::parse(&text, "test").unwrap_or_else(|problems| panic!("{problems:#?}")).watches[0].clone())
    }

    fn at(s: u64) -> Time {
        Time::ZERO + Duration::from_secs(s)
    }

    /// Feeds a reading every `step_s` and answers when something was told.
    fn told(watcher: &mut Watcher, step_s: u64, values: &[f64]) -> Vec<(u64, String)> {
        let mut all = Vec::new();
        for (index, value) in values.iter().enumerate() {
            let now_s = index as u64 * step_s;
            let sight = Sight::Reading(Reading { value: *value, unit: "°C".into() });
            if let Some(text) = watcher.see(&sight, at(now_s)) {
                watcher.told(at(now_s));
                all.push((now_s, text));
            }
        }
        all
    }

    fn times(told: Vec<(u64, String)>) -> Vec<u64> {
        told.into_iter().map(|(at, _)| at).collect()
    }

    const FREEZER: &str =
        "sensor = \"freezer\"\nabove = -10\nhysteresis = 2\nsay = \"The freezer is at {value} {unit}.\"\n";

    #[test]
    fn a_crossing_is_told_once_however_it_trembles() {
        let values = [-18.0, -10.0, -9.9, -10.1, -9.9, -11.9, -9.0, -9.0];
        let all = told(&mut watcher(FREEZER), 30, &values);
        assert_eq!(all, [(60, "[device] The freezer is at -9.9 °C.".to_string())]);
        // It went back by the hysteresis: the next crossing is a new one.
        assert_eq!(times(told(&mut watcher(FREEZER), 30, &[-9.0, -12.0, -9.0, -11.0, -9.0])), [0, 60]);
        let cold = "sensor = \"room\"\nbelow = 5.0\nhysteresis = 1\nsay = \"Frost.\"\n";
        assert_eq!(times(told(&mut watcher(cold), 30, &[6.0, 5.0, 4.9, 5.9, 4.0, 6.0, 4.0])), [60, 180]);
    }

    #[test]
    fn it_must_hold_for_its_time_and_is_told_again_where_that_is_wanted() {
        let slow = format!("{FREEZER}for_s = 100\n");
        assert_eq!(times(told(&mut watcher(&slow), 30, &[-9.0, -9.0, -12.0, -9.0, -9.0, -9.0, -9.0, -9.0])), [210]);
        // Trembling between the threshold and its end does not begin anew.
        assert_eq!(times(told(&mut watcher(&slow), 30, &[-9.0, -10.5, -9.0, -10.5, -9.0])), [120]);
        let again = format!("{FREEZER}again_after_s = 60\n");
        assert_eq!(times(told(&mut watcher(&again), 30, &[-9.0; 6])), [0, 60, 120]);
        assert_eq!(times(told(&mut watcher(FREEZER), 30, &[-9.0; 6])), [0]);
    }

    #[test]
    fn a_line_that_swings_is_told_after_a_pause_and_what_was_not_taken_stays_due() {
        let mut door = watcher("line = \"door_contact\"\nsay = \"The door is open.\"\n");
        assert_eq!(door.see(&Sight::Level(false), at(0)), None);
        let text = Some("[device] The door is open.".to_string());
        assert_eq!(door.see(&Sight::Level(true), at(1)), text);
        assert_eq!(door.see(&Sight::Level(true), at(2)), text, "nobody took it");
        door.told(at(2));
        assert_eq!(door.see(&Sight::Level(true), at(3)), None);
        for (s, level, expected) in [(4, false, None), (5, true, None), (11, true, None), (12, true, text)] {
            assert_eq!(door.see(&Sight::Level(level), at(s)), expected, "{s}");
        }
        let mut shut = watcher("line = \"door_contact\"\nis = \"inactive\"\nfor_s = 5\nsay = \"Shut.\"\n");
        let seen: Vec<bool> = (0..7).map(|s| shut.see(&Sight::Level(false), at(s)).is_some()).collect();
        assert_eq!(seen, [false, false, false, false, false, true, true]);
    }

    #[test]
    fn an_owner_hears_once_that_a_sensor_is_gone_and_once_that_it_is_back() {
        let mut watcher = watcher(FREEZER);
        let changes: Vec<Option<Health>> =
            [false, false, true, false, false, false, false, true, true].map(|seen| watcher.looked(seen)).to_vec();
        let expected = [None, None, None, None, None, Some(Health::Blind), None, Some(Health::Sees), None];
        assert_eq!(changes, expected);
    }

    /// Whatever a sensor says, nothing is told twice without either its end or its pause in between.
    #[test]
    fn no_readings_whatever_make_it_chatter() {
        for seed in 0..200 {
            let (mut state, mut values) = (seed * 7919 + 1, Vec::new());
            for _ in 0..500 {
                state = (state * 1_103_515_245 + 12_345) % 2_147_483_648u64;
                values.push(-14.0 + (state % 800) as f64 / 100.0);
            }
            let told = times(told(&mut watcher(FREEZER), 1, &values));
            for pair in told.windows(2) {
                assert!(pair[1] - pair[0] >= 10, "seed {seed}: {pair:?}");
                let between = &values[pair[0] as usize..pair[1] as usize];
                assert!(between.iter().any(|value| *value <= -12.0), "seed {seed}: {pair:?}");
            }
        }
    }
}
