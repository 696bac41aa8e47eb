//! The picture of a made-up demo that is shaped like the real one.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::cli::sounds;
use crate::flow::{CloseCause, OpenCause, What};
use crate::units::{CallId, Epoch, Hertz};

const RATE: Hertz = Hertz(48_000);

/// A demo in the making: events and both tracks.
struct Made {
    events: Vec<Event>,
    mic: Vec<i16>,
    reply: Vec<i16>,
    now_ms: u64,
    epoch: u32,
}

impl Made {
    fn new() -> Made {
        Made { events: Vec::new(), mic: Vec::new(), reply: Vec::new(), now_ms: 0, epoch: 0 }
    }

    fn tell(&mut self, after_ms: u64, what: What) {
        self.events.push(Event { at: Time::from_ms(self.now_ms + after_ms), what });
    }

    /// Lays a recording (at most `most_ms` of it) onto a track; answers its length, ms.
    fn lay(track: &mut Vec<i16>, at_ms: u64, sound: &str, most_ms: u64) -> u64 {
        let (frames, rate) = sounds::named(sound).unwrap().frames().unwrap();
        let times = (RATE.0 / rate.0) as usize;
        track.resize(RATE.frames_in_ms(at_ms as u32), 0);
        let most = RATE.frames_in_ms(most_ms as u32);
        track.extend(frames.iter().flat_map(|&sample| std::iter::repeat_n(sample, times)).take(most));
        (frames.len() as u64 * 1000 / u64::from(rate.0)).min(most_ms)
    }

    fn ask(&mut self, sound: &str, with_button: bool) {
        if with_button {
            self.tell(0, What::Pressed);
        }
        self.now_ms += 250;
        let cause = if with_button { OpenCause::Button } else { OpenCause::Voice };
        let length = Made::lay(&mut self.mic, self.now_ms, sound, 60_000);
        self.tell(60, What::GateOpened { cause });
        (0..(length + 300) / 20).for_each(|i| self.tell(60 + i * 20, What::SpeechSent { ms: 20 }));
        self.now_ms += length + 300;
        self.tell(0, What::UserText { text: sounds::named(sound).unwrap().text.into() });
        if with_button {
            self.tell(0, What::Released);
        }
        self.now_ms += 150;
        self.tell(0, What::GateClosed { cause: CloseCause::Released });
        self.tell(1, What::WindowClosed { sent_ms: length + 300 });
        self.now_ms += 250;
    }

    fn answer(&mut self, sound: &str, heard_ms: Option<u64>) {
        self.epoch += 1;
        let epoch = Epoch(self.epoch);
        let length = Made::lay(&mut self.reply, self.now_ms + 60, sound, heard_ms.unwrap_or(60_000));
        (0..20).for_each(|i| self.tell(i * 10, What::ReplyReceived { epoch, ms: length / 20 }));
        self.tell(60, What::ReplyHeard { epoch });
        self.tell(80, What::ModelText { epoch, text: sounds::named(sound).unwrap().text.into() });
        self.now_ms += 60 + length;
        match heard_ms {
            None => self.tell(0, What::ReplyDrained { epoch, heard_ms: length }),
            Some(heard_ms) => {
                self.tell(0, What::ReplyCut { epoch, received_ms: 8000, by_user: true });
                self.tell(12, What::ReplySilent { epoch, heard_ms });
            }
        }
        self.now_ms += if heard_ms.is_some() { 0 } else { 600 };
    }

    fn call(&mut self) {
        let (id, name) = (CallId::from("1"), "set_lamp".to_owned());
        self.tell(0, What::ToolCalled { id, name, args: serde_json::json!({"on": true}) });
        self.tell(2, What::LineSet { line: "lamp".into(), active: true });
        self.now_ms += 250;
    }

    fn draw(mut self, scenes: Vec<(String, Time)>) -> String {
        self.events.sort_by_key(|event| event.at);
        let track = |frames| Track { rate: RATE, frames, is_whole: true };
        svg(&Picture {
            subtitle: "6 turns, 1 tool call, 2 replies interrupted".into(),
            scenes,
            end: Time::from_ms(self.now_ms),
            events: &self.events,
            began: Time::ZERO,
            mic: &track(self.mic),
            reply: &track(self.reply),
        })
    }
}

fn demo() -> String {
    let mut made = Made::new();
    made.tell(0, What::LinkOpening);
    made.now_ms = 300;
    made.ask("ask_hello", true);
    made.answer("say_hello", None);
    made.ask("ask_lamp", true);
    made.call();
    made.answer("say_lamp", None);
    made.ask("ask_bird", true);
    made.answer("say_bird", Some(2500));
    made.ask("ask_stop", true);
    made.answer("say_goodbye", None);
    made.now_ms += 1200;
    let second = Time::from_ms(made.now_ms);
    made.now_ms += 700;
    made.ask("ask_bird", false);
    made.answer("say_bird", Some(2800));
    made.ask("ask_stop", false);
    made.answer("say_goodbye", None);
    made.now_ms += 1200;
    made.draw(vec![("Scene 1: push to talk".into(), Time::ZERO), ("Scene 2: hands-free".into(), second)])
}

#[test]
fn the_picture_shows_both_scenes_with_all_their_lanes() {
    let picture = demo();
    // For a look at it: MYNAH_PICTURE=/tmp/timeline.svg cargo test --lib timeline
    if let Some(path) = std::env::var_os("MYNAH_PICTURE") {
        std::fs::write(path, &picture).unwrap();
    }
    for text in ["Scene 1: push to talk", "Scene 2: hands-free", "set_lamp {\"on\":true}", "silent after 12 ms"] {
        assert!(picture.contains(text), "{text}");
    }
    for lane in ["microphone", "button held", "gate open", "uplink", "reply received", "heard", "lamp"] {
        assert_eq!(picture.matches(&format!(">{lane}</text>")).count(), 2 + usize::from(lane == "lamp"), "{lane}");
    }
    assert_eq!(picture.matches("class=\"button\"").count(), 4);
    assert_eq!(picture.matches("class=\"cutline\"").count(), 2);
    assert!(picture.len() < 400_000, "{}", picture.len());
}

#[test]
fn elements_are_balanced_and_text_is_escaped() {
    let mut made = Made::new();
    made.ask("ask_hello", true);
    made.tell(0, What::UserText { text: "<b> & \u{7} \"\"".into() });
    let picture = made.draw(vec![("a < b".into(), Time::ZERO)]);
    assert!(picture.contains("a &lt; b") && !picture.contains("<b>") && !picture.contains('\u{7}'));
    assert_eq!(picture.matches("<text").count(), picture.matches("</text>").count());
    assert_eq!(picture.matches("<svg").count(), 1);
    assert!(picture.ends_with("</svg>\n"));
}

#[test]
fn a_demo_in_which_nothing_happened_is_a_picture_too() {
    let picture = Made::new().draw(vec![("Nothing".into(), Time::ZERO)]);
    assert!(picture.contains("Nothing") && !picture.contains("NaN") && !picture.contains("inf"));
}

#[test]
fn lamp_and_cut_stretches_end_where_they_should() {
    let at = Time::from_ms;
    let lamp = |ms, active| Event { at: at(ms), what: What::LineSet { line: "lamp".into(), active } };
    let events = [lamp(100, true), lamp(200, true), lamp(300, false), lamp(400, true), lamp(2000, false)];
    assert_eq!(Lanes::of(&events, at(0), at(1000)).lamp, [(at(100), at(300)), (at(400), at(1000))]);
    let sent = |ms| Event { at: at(ms), what: What::SpeechSent { ms: 20 } };
    let bursts = Lanes::of(&[sent(100), sent(120), sent(500), sent(3000)], at(0), at(1000)).sent;
    assert_eq!(bursts.iter().map(|burst| burst.ms).collect::<Vec<_>>(), [40, 20]);
}
