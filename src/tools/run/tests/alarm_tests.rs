//! Timers through the errands thread: they ring the core, are stopped, survive the thread, and are told where they are late.
#![allow(clippy::unwrap_used)]

use super::*;
use std::fs;

const TIMERS: &str = r#"device_tools = ["timers"]"#;

/// A new folder of its own, and its file.
fn folder(name: &str) -> (std::path::PathBuf, Arc<Folder>) {
    let place = std::env::temp_dir().join(format!("mynah-alarms-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&place);
    (place.join("alarms.json"), Arc::new(Folder::new(place)))
}

impl Rig {
    fn wish(&self) -> Control {
        loop {
            if let Seen::Wish(control) = self.seen.recv_timeout(SOON).unwrap() {
                return control;
            }
        }
    }

    fn listed(&self) -> Value {
        self.call("list", "list_timers", json!({}));
        self.reply().1.unwrap()["timers_and_alarms"].clone()
    }
}

#[test]
fn a_timer_rings_the_core_tells_the_model_and_is_over_when_somebody_heard_it() {
    let rig = rig_with(TIMERS, None);
    rig.call("1", "set_timer", json!({"seconds": 1, "name": "eggs"}));
    rig.call("2", "set_timer", json!({"seconds": 600}));
    assert_eq!(rig.reply().1.unwrap()["set"], "eggs");
    assert_eq!(rig.wish(), Control::Ring(true));
    let Control::Tell(text) = rig.wish() else { panic!() };
    assert!(text.contains("`eggs` is due and rings now"), "{text}");
    rig.orders.blocking_send(ToolOrder::Hushed).unwrap();
    rig.call("3", "set_timer", json!({"seconds": 1, "name": "tea"}));
    // The core has stopped by itself: it is told of the next one only.
    assert_eq!(rig.wish(), Control::Ring(true));
    rig.wish();
    rig.call("4", "cancel_timer", json!({}));
    assert_eq!(rig.wish(), Control::Ring(false));
    let left = rig.listed();
    assert_eq!((left.as_array().unwrap().len(), &left[0]["name"]), (1, &json!("timer")));
}

#[test]
fn timers_survive_the_program_however_it_ends() {
    let (file, folder) = folder("survive");
    let rig = rig_with(TIMERS, Some(folder.clone()));
    rig.call("1", "set_timer", json!({"seconds": 2, "name": "eggs"}));
    rig.call("2", "set_timer", json!({"seconds": 600, "name": "tea"}));
    assert!(rig.reply().1.is_ok() && rig.reply().1.is_ok());
    // As it is on the disk the moment the model hears that it is set: what a power cut leaves.
    let left = fs::read(&file).unwrap();
    rig.stop();
    fs::write(&file, left).unwrap();
    let rig = rig_with(TIMERS, Some(folder));
    assert_eq!(rig.wish(), Control::Ring(true));
    let names = |listed: Value| listed.as_array().unwrap().iter().map(|one| one["name"].clone()).collect::<Vec<_>>();
    assert_eq!(names(rig.listed()), ["eggs", "tea"]);
}

#[test]
fn what_was_missed_is_told_and_a_broken_file_is_no_reason_to_stay_silent() {
    let (file, folder) = folder("missed");
    folder.claim().unwrap();
    let old =
        json!({"version": 1, "alarms": [{"name": "pills", "due_unix_s": 1_750_000_000, "left_s": 5, "daily": null}]});
    folder.write("alarms.json", old.to_string().as_bytes()).unwrap();
    let rig = rig_with(TIMERS, Some(folder.clone()));
    let Control::Tell(text) = rig.wish() else { panic!() };
    assert!(text.contains("`pills` should have rung at 2025-06-15"), "{text}");
    rig.stop();
    assert!(!fs::read_to_string(&file).unwrap().contains("pills"), "told once");
    fs::write(&file, "{\"version\": 1, \"alarms\": [{").unwrap();
    let rig = rig_with(TIMERS, Some(folder));
    assert_eq!(rig.listed(), json!([]));
    rig.call("1", "set_timer", json!({"seconds": 1}));
    assert_eq!(rig.wish(), Control::Ring(true));
}

#[test]
fn a_core_that_takes_nothing_now_is_rung_a_little_later() {
    let (wishes, wished) = channel();
    let refusals = std::sync::atomic::AtomicU32::new(2);
    let busy = move |control| {
        let is_taken = refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_err();
        let _ = wishes.send((control, is_taken));
        is_taken
    };
    let board = Ledger { seen: channel().0, contact: Arc::default(), hangs: Arc::default() };
    let outside = Outside { give: Arc::new(busy), ..Outside::new(Arc::new(board), Arc::new(RealClock::new())) };
    let (orders, orders_there) = mpsc::channel(TOOL_ORDERS_MAX);
    let handle = spawn(&agent::parse(TIMERS, "test").unwrap(), outside, orders_there, drop).unwrap();
    let args = json!({"seconds": 1}).as_object().unwrap().clone();
    orders.blocking_send(ToolOrder::Run(Call { id: "1".into(), name: "set_timer".into(), args })).unwrap();
    let taken = loop {
        if let (Control::Ring(is_on), true) = wished.recv_timeout(SOON).unwrap() {
            break is_on;
        }
    };
    assert!(taken);
    handle.stop();
}

#[test]
fn a_visitors_timers_go_with_the_visit_and_the_owners_ring() {
    let (file, folder) = folder("visit");
    let kiosk = format!("{TIMERS}\n[panel]\nlisten = \"127.0.0.1:8765\"\n[kiosk]\nreset_after_s = 60\n");
    let rig = rig_with(&kiosk, Some(folder.clone()));
    rig.call("1", "set_timer", json!({"seconds": 1, "name": "eggs"}));
    rig.call("2", "set_timer", json!({"seconds": 600, "name": "tea"}));
    let by_hand = Call {
        id: "3".into(),
        name: "set_timer".into(),
        args: json!({"seconds": 900, "name": "bread"}).as_object().unwrap().clone(),
    };
    rig.orders.blocking_send(ToolOrder::ByHand(by_hand)).unwrap();
    assert_eq!(rig.wish(), Control::Ring(true));
    rig.orders.blocking_send(ToolOrder::VisitOver).unwrap();
    rig.wish(); // what the model is told of the eggs
    assert_eq!(rig.wish(), Control::Ring(false), "what rang for the visitor rings for nobody");
    let names = |listed: Value| listed.as_array().unwrap().iter().map(|one| one["name"].clone()).collect::<Vec<_>>();
    assert_eq!(names(rig.listed()), ["bread"]);
    // One that a power cut left behind goes at the next start.
    rig.call("4", "set_timer", json!({"seconds": 600, "name": "tea"}));
    assert!(rig.reply().1.is_ok());
    let left = fs::read(&file).unwrap();
    rig.stop();
    fs::write(&file, left).unwrap();
    let rig = rig_with(&kiosk, Some(folder));
    assert_eq!(names(rig.listed()), ["bread"]);
}
