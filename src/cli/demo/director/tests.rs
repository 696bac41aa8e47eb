//! How the director leads: on a stage whose daemon is played by the test.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::cli::demo::scene;
use crate::flow::{CloseCause, OpenCause, Start};
use crate::units::{CallId, Epoch};

/// A stage on virtual time. What a healthy daemon would tell follows from what is done on it.
struct FakeStage {
    now: Time,
    coming: Vec<Event>,
    done: Vec<String>,
    hands_free: bool,
    /// Events of this kind are swallowed.
    broken: Option<Wanted>,
    epoch: u32,
    playing_until: Option<Time>,
    asked: &'static str,
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl FakeStage {
    fn new(hands_free: bool) -> FakeStage {
        let mut stage = FakeStage {
            now: Time::from_ms(1000),
            coming: Vec::new(),
            done: Vec::new(),
            hands_free,
            broken: None,
            epoch: 0,
            playing_until: None,
            asked: "",
        };
        stage.later(120, What::LinkReady { setup_ms: 120, start: Start::Fresh });
        stage
    }

    fn later(&mut self, after_ms: u64, what: What) {
        if self.broken.is_some_and(|wanted| wanted.is(&what)) {
            return;
        }
        self.coming.push(Event { at: self.now + ms(after_ms), what });
        self.coming.sort_by_key(|event| event.at);
    }

    fn cut(&mut self, after_ms: u64) {
        if self.playing_until.take().is_some_and(|until| until > self.now) {
            let epoch = Epoch(self.epoch);
            self.coming.retain(|event| !matches!(event.what, What::ReplyDrained { .. }));
            self.later(after_ms, What::ReplyCut { epoch, received_ms: 8000, by_user: true });
            self.later(after_ms + 12, What::ReplySilent { epoch, heard_ms: 2500 });
        }
    }

    /// The window closes after `after_ms` and the model answers.
    fn answer(&mut self, after_ms: u64) {
        self.epoch += 1;
        let epoch = Epoch(self.epoch);
        self.later(after_ms, What::GateClosed { cause: CloseCause::Released });
        self.later(after_ms, What::WindowClosed { sent_ms: 2000 });
        if self.asked == "ask_lamp" {
            let (id, name) = (CallId::from("1"), "set_lamp".to_owned());
            self.later(after_ms + 300, What::LineSet { line: "lamp".into(), active: true });
            let result = Ok(serde_json::json!({"on": true}));
            self.later(after_ms + 301, What::ToolAnswered { id, name, result, took_ms: 1 });
        }
        let reply_ms = if self.asked == "ask_bird" { 9000 } else { 1500 };
        self.later(after_ms + 400, What::ReplyHeard { epoch });
        self.later(after_ms + 900, What::TurnOver { reason: None });
        self.later(after_ms + 400 + reply_ms, What::ReplyDrained { epoch, heard_ms: reply_ms });
        self.playing_until = Some(self.now + ms(after_ms + 400 + reply_ms));
    }
}

impl Stage for FakeStage {
    fn now(&self) -> Time {
        self.now
    }

    fn press(&mut self) -> anyhow::Result<()> {
        self.done.push("press".into());
        self.later(1, What::Pressed);
        self.cut(1);
        Ok(())
    }

    fn release(&mut self) -> anyhow::Result<()> {
        self.done.push("release".into());
        self.answer(150);
        Ok(())
    }

    fn say(&mut self, sound: &'static str) -> anyhow::Result<Time> {
        self.done.push(format!("say {sound}"));
        self.asked = sound;
        let cause = if self.hands_free { OpenCause::Voice } else { OpenCause::Button };
        self.later(60, What::GateOpened { cause });
        if self.hands_free {
            self.cut(60);
            self.answer(2000 + 600);
        }
        Ok(self.now + ms(2000))
    }

    fn tell(&mut self, text: &str) {
        self.done.push(format!("tell {text}"));
    }

    fn next_event(&mut self, until: Time) -> anyhow::Result<Option<Event>> {
        if self.coming.first().is_some_and(|event| event.at <= until) {
            let event = self.coming.remove(0);
            self.now = self.now.max(event.at);
            return Ok(Some(event));
        }
        self.now = until;
        Ok(None)
    }
}

#[test]
fn push_to_talk_asks_three_times_and_interrupts() {
    let mut stage = FakeStage::new(false);
    direct(&scene::simulated(None)[0], &mut stage).unwrap();
    let turn = |sound: &str| ["press".to_owned(), format!("say {sound}"), "release".to_owned()];
    let expected: Vec<String> =
        ["ask_hello", "ask_lamp", "ask_bird", "ask_stop"].iter().flat_map(|s| turn(s)).collect();
    assert_eq!(stage.done, expected);
    assert!(stage.coming.iter().all(|event| !matches!(event.what, What::ReplyDrained { .. })), "left before the end");
}

#[test]
fn hands_free_presses_nothing() {
    let mut stage = FakeStage::new(true);
    direct(&scene::simulated(None)[1], &mut stage).unwrap();
    assert_eq!(stage.done, ["say ask_bird", "say ask_stop"]);
}

#[test]
fn the_interruption_comes_in_mid_reply() {
    let mut stage = FakeStage::new(true);
    let scene = &scene::simulated(None)[1];
    let mut director = Director::new(scene);
    let (mut heard_at, mut stop_at) = (None, None);
    loop {
        match director.poll_order(stage.now).unwrap() {
            Order::Say(sound) => {
                let until = stage.say(sound).unwrap();
                stop_at = Some(stage.now);
                director.handle_said(until);
            }
            Order::Wait(until) => {
                let Some(event) = stage.next_event(until).unwrap() else { continue };
                if heard_at.is_none() && matches!(event.what, What::ReplyHeard { .. }) {
                    heard_at = Some(event.at);
                }
                director.handle_event(&event);
            }
            Order::End => break,
            order => panic!("{order:?}"),
        }
    }
    assert_eq!(stop_at.unwrap().since(heard_at.unwrap()), ms(2500));
}

#[test]
fn every_step_that_waits_has_a_deadline_and_says_what_it_waited_for() {
    for broken in [
        Wanted::LinkReady,
        Wanted::GateOpened,
        Wanted::WindowClosed,
        Wanted::ReplyHeard,
        Wanted::ReplyDrained,
        Wanted::ReplySilent,
        Wanted::ToolAnswered,
        Wanted::LampOn,
    ] {
        let mut stage = FakeStage::new(false);
        stage.coming.clear();
        stage.broken = Some(broken);
        stage.later(120, What::LinkReady { setup_ms: 120, start: Start::Fresh });
        let error = direct(&scene::simulated(None)[0], &mut stage).unwrap_err();
        let missed = error.downcast_ref::<Missed>().unwrap();
        assert_eq!(missed.wanted, broken);
        assert!(error.to_string().contains(broken.words()), "{error}");
    }
}

#[test]
fn a_miss_names_the_trouble_behind_it() {
    let mut stage = FakeStage::new(false);
    stage.coming.clear();
    stage.later(10, What::LinkDown { why: "the key was refused".into() });
    let error = direct(&scene::simulated(None)[0], &mut stage).unwrap_err().to_string();
    assert!(error.contains("step 1") && error.contains("the key was refused"), "{error}");
}

#[test]
fn a_check_goes_on_after_a_miss_and_notes_what_to_do() {
    let mut stage = FakeStage::new(false);
    let press = |stage: &mut FakeStage| {
        stage.later(500, What::Pressed);
        stage.answer(3000);
    };
    press(&mut stage);
    let checked = direct(&scene::check(None, true, true)[0], &mut stage).unwrap();
    let parts: Vec<_> = checked.iter().map(|check| (check.part, check.verdict == Verdict::Works)).collect();
    assert_eq!(
        parts,
        [("button", true), ("microphone", true), ("loudspeaker", true), ("lamp", false), ("loudspeaker", false)]
    );
}

#[test]
fn with_nobody_there_the_check_ends_at_the_button() {
    let mut stage = FakeStage::new(false);
    let began = stage.now;
    let checked = direct(&scene::check(None, true, true)[0], &mut stage).unwrap();
    let parts: Vec<_> = checked.iter().map(|check| check.part).collect();
    assert_eq!(parts, ["button", "microphone", "loudspeaker", "lamp"]);
    assert!(matches!(checked[0].verdict, Verdict::Failed(hint) if hint.contains("wiring")));
    assert!(checked[1..].iter().all(|check| check.verdict == Verdict::NotTried));
    assert!(stage.now.since(began) < ms(70_000), "it waits for one thing only");
}

#[test]
fn somebodys_own_script_needs_only_turns_that_end() {
    let mut stage = FakeStage::new(false);
    stage.broken = Some(Wanted::ReplyHeard);
    direct(&scene::scripted("turn\n echo\n".into())[0], &mut stage).unwrap();
    assert_eq!(stage.done.iter().filter(|done| done.starts_with("say")).count(), 4);
}
