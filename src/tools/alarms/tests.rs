//! Tests of timers and alarms, on clocks of their own.
#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;

/// Saturday noon, 2026-11-21, in a place whose local time is UTC.
const NOON: i64 = 1_795_262_400;
const DAY_S: i64 = 24 * 3600;

/// A device: its clocks, and what it has set.
struct Device {
    alarms: Alarms,
    now: Time,
    unix_s: Option<i64>,
}

fn next(unix_s: i64, daily: Daily) -> Option<i64> {
    let midnight = unix_s - unix_s.rem_euclid(DAY_S);
    // 1970 began on a Thursday.
    let weekday = |at: i64| ((at.div_euclid(DAY_S) + 4).rem_euclid(7)) as u8;
    let at = |days: i64| midnight + days * DAY_S + i64::from(daily.minute) * 60;
    (0..9).map(at).find(|at| *at > unix_s && daily.days.has(weekday(*at)))
}

impl Device {
    fn new() -> Device {
        Device { alarms: Alarms::default(), now: Time::from_ms(5000), unix_s: Some(NOON) }
    }

    fn with<T>(&mut self, look: impl FnOnce(&mut Alarms, &Moment<'_>) -> T) -> T {
        look(&mut self.alarms, &Moment { now: self.now, unix_s: self.unix_s, next: &next })
    }

    fn timer(&mut self, name: &str, seconds: u64) -> Value {
        let work = AlarmWork::SetTimer { name: Some(name.into()).filter(|name: &String| !name.is_empty()), seconds };
        self.with(|alarms, moment| alarms.carry_out(&work, false, moment)).unwrap()
    }

    fn alarm(&mut self, name: &str, hour: u16, days: &[&str], repeats: bool) -> Result<Value, String> {
        let daily = Daily { minute: hour * 60, days: Days::of(days.iter().copied()), repeats };
        let work = AlarmWork::SetAlarm { name: Some(name.into()), daily };
        self.with(|alarms, moment| alarms.carry_out(&work, false, moment))
    }

    fn cancel(&mut self, name: Option<&str>) -> Result<Value, String> {
        let work = AlarmWork::Cancel { name: name.map(str::to_string) };
        self.with(|alarms, moment| alarms.carry_out(&work, false, moment))
    }

    fn pass(&mut self, seconds: i64) -> Due {
        self.now += Duration::from_secs(seconds as u64);
        self.unix_s = self.unix_s.map(|unix_s| unix_s + seconds);
        self.with(|alarms, moment| alarms.due(moment))
    }

    /// Lets the time run as a program does that sleeps as long as it is told. Answers what rang, and when.
    fn run(&mut self, seconds: i64) -> Vec<(i64, String)> {
        let (mut left, mut rang) = (seconds, Vec::new());
        while left > 0 {
            let wait = self.with(|alarms, moment| alarms.next(moment)).unwrap_or(Duration::MAX);
            let wait = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX).clamp(1, left);
            left -= wait;
            let due = self.pass(wait);
            rang.extend(due.rings.into_iter().map(|name| (seconds - left, name)));
            self.with(|alarms, moment| alarms.give_up(moment));
        }
        rang
    }

    /// Off for so long, and on again; the file went through JSON.
    fn restart(&mut self, off_s: i64) -> Vec<(String, i64)> {
        let kept = self.with(|alarms, moment| alarms.kept(moment));
        let kept = serde_json::from_str(&serde_json::to_string(&kept).unwrap()).unwrap();
        self.alarms = Alarms::default();
        self.now = Time::ZERO;
        self.unix_s = self.unix_s.map(|unix_s| unix_s + off_s);
        self.with(|alarms, moment| alarms.remember(kept, moment))
    }

    fn hush(&mut self) -> Vec<String> {
        self.with(|alarms, moment| alarms.hush(moment))
    }

    fn list(&mut self) -> Value {
        self.with(|alarms, moment| alarms.carry_out(&AlarmWork::List, false, moment)).unwrap()["timers_and_alarms"]
            .clone()
    }
}

fn rings(names: &[&str]) -> Due {
    Due { rings: names.iter().map(|name| name.to_string()).collect(), missed: Vec::new() }
}

#[test]
fn several_timers_ring_each_at_its_time_until_somebody_stops_them() {
    let mut device = Device::new();
    assert_eq!(device.timer("eggs", 300)["set"], "eggs");
    assert_eq!(device.timer("", 60)["set"], "timer");
    assert_eq!(device.timer("", 90)["set"], "timer 2");
    assert_eq!(device.pass(59), Due::default());
    assert_eq!(device.pass(1), rings(&["timer"]));
    assert_eq!(device.pass(1), Due::default(), "it rings already");
    assert_eq!(device.pass(40), rings(&["timer 2"]));
    assert_eq!(device.hush(), ["timer", "timer 2"]);
    assert_eq!(device.list(), json!([{"name": "eggs", "rings_in_s": 199}]));
    assert_eq!(device.pass(199), rings(&["eggs"]));
    assert_eq!(device.list(), json!([{"name": "eggs", "rings": true}]));
    assert_eq!(device.cancel(None), Ok(json!({"stopped_ringing": ["eggs"]})));
    assert_eq!(device.list(), json!([]));
}

#[test]
fn an_alarm_rings_at_its_time_of_day_once_or_again_and_again() {
    let mut device = Device::new();
    device.alarm("pills", 20, &[], false).unwrap();
    let told = device.alarm("school", 7, &["mon", "tue"], true).unwrap();
    assert_eq!((&told["rings_at"], &told["rings_in_s"]), (&json!("07:00"), &json!(43 * 3600)));
    let mut rang = Vec::new();
    for _ in 0..10 {
        rang.extend(device.run(DAY_S / 2).into_iter().map(|(_, name)| name));
        device.hush();
    }
    // Until Thursday noon: Saturday evening; Monday and Tuesday morning.
    assert_eq!(rang, ["pills", "school", "school"]);
    let listed = device.list();
    assert_eq!(listed[0]["days"], json!(["mon", "tue"]));
    assert_eq!(listed[0]["rings_in_s"], 4 * DAY_S - 5 * 3600);
    assert_eq!(listed.as_array().unwrap().len(), 1);
}

#[test]
fn the_same_name_is_the_same_timer_and_long_or_odd_names_are_cut() {
    let mut device = Device::new();
    device.timer("Pasta", 60);
    assert_eq!(device.timer(" pasta ", 600)["replaces_an_earlier_one"], true);
    assert_eq!(device.pass(60), Due::default());
    assert_eq!(device.list(), json!([{"name": "Pasta", "rings_in_s": 540}]));
    let odd = format!("a\u{7}\n{}", "\u{e4}".repeat(100));
    assert_eq!(device.timer(&odd, 60)["set"].as_str().unwrap().chars().count(), NAME_CHARS_MAX);
    for number in 0..ALARMS_MAX - 2 {
        device.timer(&format!("number {number}"), 60);
    }
    let work = AlarmWork::SetTimer { name: None, seconds: 60 };
    assert!(device.with(|alarms, moment| alarms.carry_out(&work, false, moment)).unwrap_err().contains("cancel some"));
}

#[test]
fn what_is_to_be_taken_back_is_named_or_the_only_one() {
    let mut device = Device::new();
    assert!(device.cancel(None).unwrap_err().contains("no timer"));
    device.timer("eggs", 60);
    device.timer("tea", 60);
    assert!(device.cancel(None).unwrap_err().contains("eggs, tea"));
    assert!(device.cancel(Some("rice")).unwrap_err().contains("eggs, tea"));
    assert_eq!(device.cancel(Some("EGGS")), Ok(json!({"cancelled": "eggs"})));
    assert_eq!(device.cancel(None), Ok(json!({"cancelled": "tea"})));
    // Who stops one that repeats has heard it, and wants it tomorrow.
    device.alarm("school", 13, &[], true).unwrap();
    assert_eq!(device.pass(3600), rings(&["school"]));
    assert_eq!(device.cancel(Some("school")), Ok(json!({"stopped_ringing": ["school"]})));
    assert_eq!(device.cancel(Some("school")), Ok(json!({"cancelled": "school"})));
}

#[test]
fn nobody_comes_and_it_rings_no_more() {
    let mut device = Device::new();
    device.timer("eggs", 10);
    device.alarm("daily", 13, &[], true).unwrap();
    assert_eq!(device.run(3 * 3600), [(10, "eggs".to_string()), (3600, "daily".to_string())]);
    assert!(!device.alarms.is_ringing());
    assert_eq!(device.list()[0]["rings_in_s"], 22 * 3600);
}

#[test]
fn a_restart_keeps_all_and_rings_late_what_is_not_too_late() {
    for (off_s, rang, missed) in [
        (5, vec![(55, "eggs".to_string())], 0),
        (60, vec![(1, "eggs".to_string())], 0),
        (60 + LATE_S_MAX, vec![(1, "eggs".to_string())], 0),
        (61 + LATE_S_MAX, vec![], 1),
    ] {
        let mut device = Device::new();
        device.timer("eggs", 60);
        assert_eq!(device.restart(off_s).len(), missed, "{off_s}");
        assert_eq!(device.run(120), rang, "{off_s}");
    }
    let mut device = Device::new();
    device.alarm("pills", 13, &[], true).unwrap();
    assert_eq!(device.restart(3600 + LATE_S_MAX + 1), []);
    let due = device.pass(0);
    assert_eq!((due.rings, due.missed), (vec![], vec![("pills".to_string(), NOON + 3600)]));
    assert_eq!(device.list()[0]["rings_in_s"], DAY_S - LATE_S_MAX - 1);
}

#[test]
fn many_restarts_make_it_ring_no_earlier() {
    let mut device = Device::new();
    device.timer("eggs", 600);
    for _ in 0..50 {
        // A moment passes that the wall clock's seconds do not show.
        device.now += Duration::from_millis(10);
        device.restart(0);
    }
    assert_eq!(device.run(1000), [(600, "eggs".to_string())]);
}

#[test]
fn what_rings_when_the_power_goes_rings_again() {
    let mut device = Device::new();
    device.timer("eggs", 60);
    device.alarm("pills", 13, &[], false).unwrap();
    assert_eq!(device.pass(60), rings(&["eggs"]));
    device.pass(30);
    device.restart(10);
    assert_eq!(device.pass(0), rings(&["eggs"]));
    device.hush();
    device.restart(0);
    assert_eq!(device.list().as_array().unwrap().len(), 1);
}

#[test]
fn without_a_clock_timers_go_on_and_alarms_wait_for_it() {
    let mut device = Device::new();
    device.alarm("pills", 13, &[], false).unwrap();
    device.timer("eggs", 600);
    device.pass(100);
    // A board without a battery for its clock: on again, and it is 1970 until the network is there.
    device.unix_s = None;
    assert!(device.alarm("more", 8, &[], false).unwrap_err().contains("clock is not set"));
    device.restart(0);
    assert_eq!(device.run(500), [(500, "eggs".to_string())]);
    device.hush();
    assert_eq!(device.list(), json!([{"name": "pills", "rings_at": "13:00", "repeats": false}]));
    device.unix_s = Some(NOON + 3600);
    assert_eq!(device.pass(1), rings(&["pills"]));
}

#[test]
fn a_wall_clock_that_is_set_moves_alarms_and_no_timers() {
    let mut device = Device::new();
    device.timer("eggs", 600);
    device.alarm("pills", 13, &[], true).unwrap();
    device.unix_s = Some(NOON + 3590);
    assert_eq!(device.run(30), [(10, "pills".to_string())]);
    device.hush();
    // Back again: it must not ring twice on one day.
    device.unix_s = Some(NOON + 3500);
    assert_eq!(device.run(400), []);
    assert_eq!(device.run(200), [(170, "eggs".to_string())]);
}

/// Something that happens to a device.
#[derive(Clone, Debug)]
enum Step {
    Timer(u8, u64),
    Alarm(u8, u16, u8, bool),
    Pass(i64),
    Restart(i64),
    Hush,
    Cancel(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..6_u8, 1..4000_u64).prop_map(|(name, seconds)| Step::Timer(name, seconds)),
        (0..6_u8, 0..1440_u16, 0..128_u8, any::<bool>())
            .prop_map(|(n, at, days, again)| Step::Alarm(n, at, days, again)),
        (0..100_000_i64).prop_map(Step::Pass),
        (0..LATE_S_MAX).prop_map(Step::Restart),
        Just(Step::Hush),
        (0..6_u8).prop_map(Step::Cancel),
    ]
}

proptest! {
    /// A timer that nobody takes back rings once: never early, and never later than the device was off.
    #[test]
    fn every_timer_rings_once_and_never_early(steps in prop::collection::vec(step(), 1..40)) {
        let mut device = Device::new();
        // By name, when it is due; and how long the device was off since, which is how late it may be.
        let mut due = std::collections::BTreeMap::<String, (i64, i64)>::new();
        for step in steps {
            let at = device.unix_s.unwrap();
            let mut rang = Vec::new();
            match step {
                Step::Timer(name, seconds) => {
                    device.timer(&format!("t{name}"), seconds);
                    due.insert(format!("t{name}"), (at + seconds as i64, 0));
                }
                Step::Alarm(name, minute, days, repeats) => {
                    let daily = Daily { minute, days: Days(days), repeats };
                    let work = AlarmWork::SetAlarm { name: Some(format!("a{name}")), daily };
                    device.with(|alarms, moment| alarms.carry_out(&work, false, moment)).unwrap();
                }
                Step::Pass(seconds) => rang = device.run(seconds),
                Step::Restart(off_s) => {
                    due.values_mut().for_each(|(_, late)| *late += off_s + 1);
                    // What rang for a while before may be too old by now; what did not is rung.
                    for (name, _) in device.restart(off_s) {
                        prop_assert!(!due.contains_key(&name), "{} was missed", name);
                    }
                }
                Step::Hush => drop(device.hush()),
                Step::Cancel(name) => {
                    let _ = device.cancel(Some(&format!("t{name}")));
                    due.remove(&format!("t{name}"));
                }
            }
            for (after, name) in rang.into_iter().filter(|(_, name)| name.starts_with('t')) {
                if let Some((due_at, late)) = due.remove(&name) {
                    let late_s = at + after - due_at;
                    prop_assert!((0..=late + 1).contains(&late_s), "{} rang {} s late of {}", name, late_s, late);
                }
            }
            let now = device.unix_s.unwrap();
            for (name, (due_at, late)) in &due {
                prop_assert!(*due_at + late >= now, "{name} was to ring at {due_at} and it is {now}");
            }
        }
    }
}

#[test]
fn what_a_visitor_set_goes_with_them_and_what_the_owner_set_stays() {
    let mut device = Device::new();
    device.timer("bread", 600);
    let mut set = |name: &str, is_visitors| {
        let work = AlarmWork::SetTimer { name: Some(name.into()), seconds: 60 };
        device.with(|alarms, moment| alarms.carry_out(&work, is_visitors, moment)).unwrap();
    };
    set("tea", true);
    set("bread", true);
    set("eggs", true);
    device.pass(60);
    assert!(device.alarms.is_ringing());
    let kept = device.with(|alarms, moment| alarms.kept(moment));
    assert_eq!(kept.iter().map(KeptAlarm::is_visitors).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!(device.alarms.visit_over(), ["tea", "eggs"]);
    assert_eq!(device.alarms.visit_over(), [""; 0]);
    let left = device.with(|alarms, moment| alarms.kept(moment));
    assert_eq!(left.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["bread"]);
}
