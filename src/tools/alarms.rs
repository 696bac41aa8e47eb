//! Timers and alarms: what rings when, and what of it a restart must know.
//!
//! A timer runs by the steady clock, an alarm by the wall clock, so that each is right when the wall clock is set anew. Both
//! are kept by the wall clock too, since a restart has no other. What came due while the device was off, or while its clock
//! was wrong, rings late where it is of use still, and is told as missed where it is not.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::units::Time;

/// Timers and alarms together: a kitchen and a family's week, and a list that a model can read out.
pub const ALARMS_MAX: usize = 32;
/// Characters of a name.
pub const NAME_CHARS_MAX: usize = 60;
/// The longest timer: a week; what lies further off is a date in a calendar.
pub const TIMER_S_MAX: u64 = 7 * 24 * 3600;
/// Nobody who has not come by then is in the house.
pub const RING_MAX: Duration = Duration::from_secs(15 * 60);
/// What is later than this is not rung any more, but told.
pub const LATE_S_MAX: i64 = 15 * 60;
/// The wall clock is looked at so often: it may be set anew.
const LOOK_EVERY: Duration = Duration::from_secs(20);

/// Weekdays, a bit each from Sunday on; none of them: whatever day it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Days(u8);

impl Days {
    /// The words for them, from Sunday on.
    pub const WORDS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

    /// The days of these words; what is none is passed over.
    pub fn of<'a>(words: impl Iterator<Item = &'a str>) -> Days {
        let bits = words.filter_map(|word| Days::WORDS.iter().position(|known| *known == word));
        Days(bits.fold(0, |days, bit| days | 1 << bit))
    }

    /// Whether it may be on this weekday, 0 for Sunday to 6.
    pub fn has(self, weekday: u8) -> bool {
        self.0 & 0x7f == 0 || self.0 & (1 << weekday.min(6)) != 0
    }

    fn words(self) -> Vec<&'static str> {
        Days::WORDS.into_iter().enumerate().filter(|(day, _)| self.0 & (1 << day) != 0).map(|(_, word)| word).collect()
    }
}

/// The time of day of an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Daily {
    /// Minute of the local day, 0 to 1439.
    pub minute: u16,
    /// On which days.
    #[serde(default)]
    pub days: Days,
    /// Whether it rings again and again, not only the next time.
    #[serde(default)]
    pub repeats: bool,
}

impl Daily {
    fn written(self) -> String {
        format!("{:02}:{:02}", self.minute / 60, self.minute % 60)
    }
}

/// Now, by both clocks.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    /// By the steady clock.
    pub now: Time,
    /// By the wall clock, seconds since 1970; none while it is not set.
    pub unix_s: Option<i64>,
    /// The first such time of day after these seconds since 1970; none where the system's tables cannot tell.
    pub next: &'a dyn Fn(i64, Daily) -> Option<i64>,
}

/// What a call does with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlarmWork {
    /// Rings after so many seconds.
    SetTimer {
        /// Its name, where it was given one.
        name: Option<String>,
        /// 1 to [`TIMER_S_MAX`].
        seconds: u64,
    },
    /// Rings at a time of day.
    SetAlarm {
        /// Its name, where it was given one.
        name: Option<String>,
        /// When.
        daily: Daily,
    },
    /// Tells all.
    List,
    /// Takes one back, or stops it ringing.
    Cancel {
        /// Which; what rings, or the only one, where none is named.
        name: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    /// A timer, by the steady clock.
    In(Time),
    /// An alarm, by the wall clock.
    At(Daily, i64),
}

#[derive(Clone, Debug, PartialEq)]
struct Alarm {
    name: String,
    when: When,
    rings_since: Option<Time>,
    /// Of a visitor, with whom it goes.
    is_visitors: bool,
}

/// One of them as it is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAlarm {
    name: String,
    /// Seconds since 1970; none where the clock was not set.
    due_unix_s: Option<i64>,
    /// Of a timer: seconds that were left when it was written down.
    left_s: u64,
    /// Of an alarm.
    daily: Option<Daily>,
    /// Of a visitor.
    #[serde(default)]
    is_visitors: bool,
}

impl KeptAlarm {
    /// Whether it is of a visitor.
    pub fn is_visitors(&self) -> bool {
        self.is_visitors
    }
}

/// What came due.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// What rings from now on.
    pub rings: Vec<String>,
    /// What would have rung long ago, with the seconds since 1970 at which.
    pub missed: Vec<(String, i64)>,
}

/// All timers and alarms.
#[derive(Debug, Default)]
pub struct Alarms(Vec<Alarm>);

impl Alarms {
    /// Does what a call asks for, for a visitor or for anybody else. Answers what the model is told.
    ///
    /// # Errors
    /// A sentence for the model.
    pub fn carry_out(&mut self, work: &AlarmWork, is_visitors: bool, moment: &Moment<'_>) -> Result<Value, String> {
        match work {
            AlarmWork::SetTimer { name, seconds } => {
                let at = moment.now + Duration::from_secs(*seconds);
                let (name, is_replaced) = self.set(name.as_deref(), "timer", When::In(at), is_visitors)?;
                Ok(json!({ "set": name, "rings_in_s": seconds, "replaces_an_earlier_one": is_replaced }))
            }
            AlarmWork::SetAlarm { name, daily } => {
                let unknown = "the device's clock is not set, so it cannot ring at a time of day; a timer it can set";
                let unix_s = moment.unix_s.and_then(|unix_s| Some((unix_s, (moment.next)(unix_s, *daily)?)));
                let (unix_s, at) = unix_s.ok_or(unknown)?;
                let (name, is_replaced) = self.set(name.as_deref(), "alarm", When::At(*daily, at), is_visitors)?;
                let (rings_at, in_s) = (daily.written(), at - unix_s);
                let told = json!({ "set": name, "rings_at": rings_at, "rings_in_s": in_s, "repeats": daily.repeats });
                Ok(with(told, "replaces_an_earlier_one", is_replaced.into()))
            }
            AlarmWork::List => Ok(self.list(moment)),
            AlarmWork::Cancel { name } => self.cancel(name.as_deref(), moment),
        }
    }

    /// Sets one; the same name again is the same thing at another time. Answers its name and whether it was there.
    fn set(&mut self, name: Option<&str>, kind: &str, when: When, is_visitors: bool) -> Result<(String, bool), String> {
        let name = name.map(trimmed).filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| self.free_name(kind));
        if let Some(alarm) = self.0.iter_mut().find(|alarm| is_same(&alarm.name, &name)) {
            (alarm.when, alarm.rings_since) = (when, None);
            // One of the owner's stays theirs: it must not be gone with the visitor who moved it.
            alarm.is_visitors &= is_visitors;
            return Ok((alarm.name.clone(), true));
        }
        if self.0.len() >= ALARMS_MAX {
            return Err(format!("{ALARMS_MAX} timers and alarms are set already; cancel some of them first"));
        }
        self.0.push(Alarm { name: name.clone(), when, rings_since: None, is_visitors });
        Ok((name, false))
    }

    fn free_name(&self, kind: &str) -> String {
        let is_free = |name: &String| !self.0.iter().any(|alarm| is_same(&alarm.name, name));
        let numbered = (2..).map(|number| format!("{kind} {number}"));
        std::iter::once(kind.to_string()).chain(numbered).find(is_free).unwrap_or_default()
    }

    fn list(&self, moment: &Moment<'_>) -> Value {
        let told = |alarm: &Alarm| {
            let mut told = json!({ "name": alarm.name });
            if alarm.rings_since.is_some() {
                return with(told, "rings", true.into());
            }
            let left = left(alarm, moment);
            if let When::At(daily, _) = alarm.when {
                told = with(with(told, "rings_at", daily.written().into()), "repeats", daily.repeats.into());
                if !daily.days.words().is_empty() {
                    told = with(told, "days", daily.days.words().into());
                }
            }
            left.map_or(told.clone(), |left| with(told, "rings_in_s", left.as_secs().into()))
        };
        json!({ "timers_and_alarms": self.0.iter().map(told).collect::<Vec<_>>() })
    }

    fn cancel(&mut self, name: Option<&str>, moment: &Moment<'_>) -> Result<Value, String> {
        let name = name.map(trimmed).filter(|name| !name.is_empty());
        if name.is_none() && self.is_ringing() {
            return Ok(json!({ "stopped_ringing": self.hush(moment) }));
        }
        let found = match &name {
            Some(name) => self.0.iter().position(|alarm| is_same(&alarm.name, name)),
            None => (self.0.len() == 1).then_some(0),
        };
        let Some(at) = found else {
            let names: Vec<&str> = self.0.iter().map(|alarm| alarm.name.as_str()).collect();
            return Err(match names.as_slice() {
                [] => "no timer and no alarm is set".into(),
                names => format!("which one? These are set: {}", names.join(", ")),
            });
        };
        // Who stops one that rings means this time: one that repeats rings again another day.
        let is_kept = self.0[at].rings_since.is_some() && again(&mut self.0[at], moment);
        let name = self.0[at].name.clone();
        if is_kept {
            return Ok(json!({ "stopped_ringing": [name] }));
        }
        self.0.remove(at);
        Ok(json!({ "cancelled": name }))
    }

    /// Whether any rings.
    pub fn is_ringing(&self) -> bool {
        self.0.iter().any(|alarm| alarm.rings_since.is_some())
    }

    /// Somebody heard what rings: it is over, save for what repeats. Answers what rang.
    pub fn hush(&mut self, moment: &Moment<'_>) -> Vec<String> {
        self.end(moment, |_| true)
    }

    /// A visitor is gone, and what was set for them with them. Answers their names.
    pub fn visit_over(&mut self) -> Vec<String> {
        let gone = self.0.extract_if(.., |alarm| alarm.is_visitors);
        gone.map(|alarm| alarm.name).collect()
    }

    /// Ends what nobody has come for. Answers what rang.
    pub fn give_up(&mut self, moment: &Moment<'_>) -> Vec<String> {
        self.end(moment, |since| moment.now.since(since) >= RING_MAX)
    }

    fn end(&mut self, moment: &Moment<'_>, is_meant: impl Fn(Time) -> bool) -> Vec<String> {
        let mut ended = Vec::new();
        self.0.retain_mut(|alarm| {
            if !alarm.rings_since.is_some_and(&is_meant) {
                return true;
            }
            ended.push(alarm.name.clone());
            again(alarm, moment)
        });
        ended
    }

    /// Lets ring what came due.
    pub fn due(&mut self, moment: &Moment<'_>) -> Due {
        let mut due = Due::default();
        self.0.retain_mut(|alarm| {
            if alarm.rings_since.is_some() || left(alarm, moment).is_none_or(|left| !left.is_zero()) {
                return true;
            }
            match (alarm.when, moment.unix_s) {
                (When::At(_, at), Some(unix_s)) if unix_s - at > LATE_S_MAX => {
                    due.missed.push((alarm.name.clone(), at));
                    again(alarm, moment)
                }
                _ => {
                    alarm.rings_since = Some(moment.now);
                    due.rings.push(alarm.name.clone());
                    true
                }
            }
        });
        due
    }

    /// How long until [`Alarms::due`] or [`Alarms::give_up`] has something to do, at most.
    pub fn next(&self, moment: &Moment<'_>) -> Option<Duration> {
        let next = |alarm: &Alarm| match (alarm.rings_since, alarm.when) {
            (Some(since), _) => (since + RING_MAX).since(moment.now),
            (None, When::In(at)) => at.since(moment.now),
            (None, When::At(..)) => left(alarm, moment).unwrap_or(LOOK_EVERY).min(LOOK_EVERY),
        };
        self.0.iter().map(next).min()
    }

    /// What must be known after a restart.
    pub fn kept(&self, moment: &Moment<'_>) -> Vec<KeptAlarm> {
        let kept = |alarm: &Alarm| {
            // Rounded up: many restarts must not make it ring early.
            let left_s = left(alarm, moment).map_or(0, |left| left.as_millis().div_ceil(1000) as u64);
            let (due_unix_s, daily) = match alarm.when {
                When::In(at) => {
                    // What rings already was due before now.
                    let late_s = moment.now.since(at).as_secs() as i64;
                    (moment.unix_s.map(|unix_s| unix_s + left_s as i64 - late_s), None)
                }
                When::At(daily, at) => (Some(at), Some(daily)),
            };
            KeptAlarm { name: alarm.name.clone(), due_unix_s, left_s, daily, is_visitors: alarm.is_visitors }
        };
        self.0.iter().map(kept).collect()
    }

    /// Takes up what an earlier run kept. Answers what was missed, as [`Due::missed`].
    pub fn remember(&mut self, kept: Vec<KeptAlarm>, moment: &Moment<'_>) -> Vec<(String, i64)> {
        let mut missed = Vec::new();
        for kept in kept.into_iter().take(ALARMS_MAX) {
            let when = match (kept.daily, kept.due_unix_s) {
                (Some(daily), Some(at)) => When::At(daily, at),
                (Some(_), None) => continue, // no version of this program writes that
                (None, due_unix_s) => {
                    // Where either clock was not set nobody knows how long the device was off: late is better than never.
                    let left_s = due_unix_s.zip(moment.unix_s).map(|(due, unix_s)| due - unix_s);
                    let left_s = left_s.unwrap_or(i64::try_from(kept.left_s).unwrap_or(0));
                    if left_s < -LATE_S_MAX {
                        missed.push((trimmed(&kept.name), due_unix_s.unwrap_or_default()));
                        continue;
                    }
                    let left_s = u64::try_from(left_s).unwrap_or(0).min(TIMER_S_MAX);
                    When::In(moment.now + Duration::from_secs(left_s))
                }
            };
            let is_visitors = kept.is_visitors;
            self.0.push(Alarm { name: trimmed(&kept.name), when, rings_since: None, is_visitors });
        }
        missed
    }
}

/// How long until it is due; nothing where it is overdue, none where nobody knows.
fn left(alarm: &Alarm, moment: &Moment<'_>) -> Option<Duration> {
    match alarm.when {
        When::In(at) => Some(at.since(moment.now)),
        When::At(_, at) => {
            let left_s = at - moment.unix_s?;
            Some(Duration::from_secs(u64::try_from(left_s).unwrap_or(0)))
        }
    }
}

/// It rang, or was missed: sets it for the next time. False where there is none.
fn again(alarm: &mut Alarm, moment: &Moment<'_>) -> bool {
    let When::At(daily, at) = alarm.when else { return false };
    if !daily.repeats {
        return false;
    }
    // From the later of both: it must not ring twice where the clock is behind what it was.
    let from_s = moment.unix_s.map_or(at, |unix_s| unix_s.max(at));
    let Some(next) = (moment.next)(from_s, daily) else { return false };
    (alarm.when, alarm.rings_since) = (When::At(daily, next), None);
    true
}

fn is_same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

fn trimmed(name: &str) -> String {
    name.trim().chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect()
}

fn with(mut told: Value, key: &str, value: Value) -> Value {
    told[key] = value;
    told
}

#[cfg(test)]
#[path = "alarms/tests.rs"]
mod tests;
