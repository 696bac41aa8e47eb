//! No sequence of calls, failures, times and crashes leaves an output on past its limit.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const LONGEST: Duration = Duration::from_secs(60);

fn off(output: &str) -> OffCall {
    OffCall { name: format!("switch_{output}"), args: Map::new() }
}

#[test]
fn to_switch_on_again_does_not_move_the_deadline() {
    let mut on = OnTimes::default();
    let at = |s: u64| Time::from_ms(s * 1000);
    assert_eq!(on.arm("lamp", off("lamp"), LONGEST, false, at(0)), Ok(at(60)));
    assert_eq!(on.arm("lamp", off("lamp"), LONGEST, false, at(50)), Ok(at(60)));
    assert_eq!(on.arm("lamp", off("lamp"), LONGEST / 12, false, at(50)), Ok(at(55)), "a shorter one counts");
    assert_eq!(on.next(), Some(at(55)));
    assert_eq!(on.due(at(54)), []);
    assert_eq!(on.due(at(55)), [("lamp".to_string(), off("lamp"))]);
    assert_eq!((on.due(at(56)), on.next()), (vec![], None), "it is at work");
    assert_eq!(on.stays_on("lamp", at(56)), 1);
    assert_eq!(on.next(), Some(at(61)), "tried again");
    let mut waits = Vec::new();
    for _ in 0..5 {
        let now = on.next().unwrap();
        on.due(now);
        on.stays_on("lamp", now);
        waits.push(on.next().unwrap().since(now).as_secs());
    }
    assert_eq!((waits, on.tries("lamp")), (vec![10; 5], 6), "and again, but no burden to who is down");
    on.went_off("lamp", on.going_off("lamp"));
    assert_eq!(on.next(), None);
    // Who was away is back: what failed does not wait for its next turn, and what is not due yet stays on.
    on.arm("lamp", off("lamp"), LONGEST, false, at(900)).unwrap();
    on.try_again(at(910));
    assert_eq!(on.next(), Some(at(960)));
    on.due(at(960));
    on.stays_on("lamp", at(960));
    on.try_again(at(961));
    assert_eq!(on.next(), Some(at(961)));
    on.went_off("lamp", on.going_off("lamp"));
    // Switched on while it was being switched off: the end of the one is not the end of the other.
    on.arm("lamp", off("lamp"), LONGEST, false, at(1000)).unwrap();
    on.due(at(1060));
    let number = on.going_off("lamp");
    assert_eq!(on.arm("lamp", off("lamp"), LONGEST, false, at(1061)), Ok(at(1121)));
    on.went_off("lamp", number);
    assert_eq!(on.next(), Some(at(1121)), "it is on");
}

#[test]
fn what_lasts_is_remembered_with_what_is_left_and_never_for_longer() {
    let mut on = OnTimes::default();
    on.arm("lamp", off("lamp"), LONGEST, false, Time::ZERO).unwrap();
    on.arm("heater", off("heater"), LONGEST, true, Time::ZERO).unwrap();
    let kept = on.kept(Time::from_ms(20_000), 1_000_000);
    assert_eq!(kept, [KeptOn { output: "heater".into(), off: off("heater"), off_unix_s: 1_000_040 }]);
    for (unix_s, left_s) in [(1_000_000, 40), (1_000_030, 10), (1_000_050, 0), (0, 60), (i64::MAX, 0)] {
        let mut again = OnTimes::default();
        again.remember(kept[0].clone(), LONGEST, Time::ZERO, unix_s);
        assert_eq!(again.next(), Some(Time::from_ms(left_s * 1000)), "at {unix_s}");
    }
}

#[test]
fn there_is_an_end_to_what_is_watched() {
    let mut on = OnTimes::default();
    for n in 0..OUTPUTS_MAX {
        on.arm(&n.to_string(), off("x"), LONGEST, false, Time::ZERO).unwrap();
    }
    assert!(on.arm("one more", off("x"), LONGEST, false, Time::ZERO).is_err());
    assert!(on.arm("7", off("x"), LONGEST, false, Time::ZERO).is_ok());
}

/// What happens to one of three outputs.
#[derive(Clone, Debug)]
enum Deed {
    /// A call switches it on: it may fail and have done it all the same.
    On { output: usize, is_done: bool },
    /// A call switches it off; it may fail.
    Off { output: usize, is_done: bool },
    /// A call that switches it off has done so, and its answer is under way …
    OffBegins { output: usize },
    /// … and all such answers come.
    OffsEnd,
    /// The program is killed and starts again after so long.
    Crash(Duration),
    /// Time passes; the switching-off fails as long as this is true.
    Wait { time: Duration, is_down: bool },
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let time = (0_u64..90_000).prop_map(Duration::from_millis);
    let deed = prop_oneof![
        (0..3_usize, any::<bool>()).prop_map(|(output, is_done)| Deed::On { output, is_done }),
        (0..3_usize, any::<bool>()).prop_map(|(output, is_done)| Deed::Off { output, is_done }),
        (0..3_usize).prop_map(|output| Deed::OffBegins { output }),
        Just(Deed::OffsEnd),
        time.clone().prop_map(Deed::Crash),
        (time, any::<bool>()).prop_map(|(time, is_down)| Deed::Wait { time, is_down }),
    ];
    prop::collection::vec(deed, 1..60)
}

/// The outputs as they are: two lines (0, 1) and one elsewhere (2), each with when it went on.
#[derive(Default)]
struct World {
    on: OnTimes,
    disk: Vec<KeptOn>,
    since: [Option<Time>; 3],
    /// Switchings-off whose answers are under way.
    under_way: Vec<(usize, u64)>,
    now: Time,
    /// While the program does not run, or the other side is down, nobody can switch off: that time does not count.
    excused: [Duration; 3],
}

impl World {
    fn unix_s(&self) -> i64 {
        1_800_000_000 + (self.now.as_us() / 1_000_000) as i64
    }

    fn save(&mut self) {
        self.disk = self.on.kept(self.now, self.unix_s());
    }

    fn set(&mut self, output: usize, is_on: bool) {
        match (is_on, self.since[output]) {
            (true, None) => (self.since[output], self.excused[output]) = (Some(self.now), Duration::ZERO),
            (false, _) => self.since[output] = None,
            _ => {}
        }
    }

    fn switch_on(&mut self, output: usize, is_done: bool) {
        let name = output.to_string();
        self.on.arm(&name, off(&name), LONGEST, output == 2, self.now).unwrap();
        self.save();
        if is_done {
            self.set(output, true);
        }
    }

    fn switch_off(&mut self, output: usize, is_done: bool) {
        if is_done {
            self.set(output, false);
            let name = output.to_string();
            self.on.went_off(&name, self.on.going_off(&name));
            self.save();
        }
    }

    /// The loop of the errands thread.
    fn live(&mut self, until: Time, is_down: bool) {
        if is_down {
            self.excused[2] += until.since(self.now);
        }
        while let Some(at) = self.on.next().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            for (name, _) in self.on.due(self.now) {
                let output: usize = name.parse().unwrap();
                if is_down && output == 2 {
                    self.on.stays_on(&name, self.now);
                } else {
                    self.switch_off(output, true);
                }
            }
        }
        self.now = until;
    }

    fn crash(&mut self, down_for: Duration) {
        self.on = OnTimes::default();
        self.under_way.clear();
        // The unit drives the lines to rest when the process has died, and the start does it again.
        self.set(0, false);
        self.set(1, false);
        self.excused[2] += down_for;
        self.now += down_for;
        let unix_s = self.unix_s();
        for kept in std::mem::take(&mut self.disk) {
            self.on.remember(kept, LONGEST, self.now, unix_s);
        }
        self.save();
    }

    fn check(&self) {
        for (output, since) in self.since.iter().enumerate() {
            let Some(since) = since else { continue };
            // A second for what the disk rounds away.
            let most = LONGEST + RETRY_AFTER + Duration::from_secs(1) + self.excused[output];
            assert!(self.now.since(*since) <= most, "{output} on since {since} at {}", self.now);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_output_is_on_for_longer_than_its_limit(deeds in deeds()) {
        let mut world = World::default();
        for deed in deeds {
            match deed {
                Deed::On { output, is_done } => world.switch_on(output, is_done),
                Deed::Off { output, is_done } => world.switch_off(output, is_done),
                Deed::OffBegins { output } => {
                    world.under_way.push((output, world.on.going_off(&output.to_string())));
                    world.set(output, false);
                }
                Deed::OffsEnd => {
                    for (output, number) in std::mem::take(&mut world.under_way) {
                        world.on.went_off(&output.to_string(), number);
                    }
                    world.save();
                }
                Deed::Crash(down_for) => world.crash(down_for),
                Deed::Wait { time, is_down } => world.live(world.now + time, is_down),
            }
            world.check();
        }
        let end = world.now + LONGEST + RETRY_AFTER;
        world.live(end, false);
        prop_assert_eq!(world.since, [None; 3], "all is off in the end");
    }
}
