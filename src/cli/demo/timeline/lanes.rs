//! What the lanes show: the events of one scene as stretches of time, bursts, captions and marks.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::flow::{Event, What};
use crate::units::{Epoch, Time};

/// Messages that follow each other this closely are one burst.
const BURST_GAP: Duration = Duration::from_millis(120);

/// A stretch of time.
pub(super) type Stretch = (Time, Time);

/// Messages in a row, and the sound in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Burst {
    pub(super) from: Time,
    pub(super) to: Time,
    pub(super) ms: u64,
}

/// Words of one side, and when they began to be audible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caption {
    pub(super) at: Time,
    pub(super) text: String,
}

/// A reply that was interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) at: Time,
    pub(super) silent: Option<Time>,
    pub(super) by_user: bool,
}

/// One scene, ready to be drawn.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lanes {
    pub(super) button: Vec<Stretch>,
    pub(super) gate: Vec<Stretch>,
    pub(super) lamp: Vec<Stretch>,
    pub(super) sent: Vec<Burst>,
    pub(super) received: Vec<Burst>,
    pub(super) said: Vec<Caption>,
    pub(super) answered: Vec<Caption>,
    pub(super) tools: Vec<Caption>,
    pub(super) cuts: Vec<Cut>,
}

impl Lanes {
    /// The events from `from` to `to`; what is still open at `to` ends there.
    pub(super) fn of(events: &[Event], from: Time, to: Time) -> Lanes {
        let mut lanes = Lanes::default();
        let mut replies: BTreeMap<Epoch, Reply> = BTreeMap::new();
        for event in events.iter().filter(|event| event.at >= from && event.at < to) {
            lanes.take_user(event, to);
            lanes.take_reply(event, &mut replies);
            lanes.take_tool(event, to);
        }
        lanes.answered = replies.into_values().filter_map(Reply::caption).collect();
        lanes.answered.sort_by_key(|caption| caption.at);
        lanes.said.retain(|caption| !caption.text.is_empty());
        lanes
    }

    fn take_user(&mut self, event: &Event, to: Time) {
        match &event.what {
            What::Pressed => self.button.push((event.at, to)),
            What::Released => end(&mut self.button, event.at),
            What::GateOpened { .. } => {
                self.gate.push((event.at, to));
                self.said.push(Caption { at: event.at, text: String::new() });
            }
            What::GateClosed { .. } => end(&mut self.gate, event.at),
            What::SpeechSent { ms } => grow(&mut self.sent, event.at, *ms),
            What::UserText { text } => {
                if let Some(last) = self.said.last_mut() {
                    last.text = text.trim().to_owned();
                }
            }
            _ => {}
        }
    }

    fn take_reply(&mut self, event: &Event, replies: &mut BTreeMap<Epoch, Reply>) {
        match &event.what {
            What::ReplyReceived { ms, epoch } => {
                grow(&mut self.received, event.at, *ms);
                replies.entry(*epoch).or_default().at.get_or_insert(event.at);
            }
            What::ReplyHeard { epoch } => replies.entry(*epoch).or_default().at = Some(event.at),
            What::ModelText { epoch, text } => {
                let reply = replies.entry(*epoch).or_default();
                reply.at.get_or_insert(event.at);
                reply.text.push_str(text);
            }
            What::ReplyCut { epoch, by_user, .. } => {
                replies.entry(*epoch).or_default().is_cut = true;
                self.cuts.push(Cut { at: event.at, silent: None, by_user: *by_user });
            }
            What::ReplySilent { .. } => {
                if let Some(cut) = self.cuts.last_mut() {
                    cut.silent.get_or_insert(event.at);
                }
            }
            _ => {}
        }
    }

    fn take_tool(&mut self, event: &Event, to: Time) {
        match &event.what {
            What::LineSet { line, active: true } if line == "lamp" => {
                // Switched on again while it is on: the stretch goes on.
                let is_off = self.lamp.last().is_none_or(|last| last.1 < to);
                self.lamp.extend(is_off.then_some((event.at, to)));
            }
            What::LineSet { line, active: false } if line == "lamp" => end(&mut self.lamp, event.at),
            What::Ringing { is_ringing: true } => {
                self.tools.push(Caption { at: event.at, text: "a timer rings".into() });
            }
            What::ToolCalled { name, args, .. } => {
                self.tools.push(Caption { at: event.at, text: format!("{name} {args}") });
            }
            _ => {}
        }
    }
}

#[derive(Default)]
struct Reply {
    at: Option<Time>,
    text: String,
    is_cut: bool,
}

impl Reply {
    fn caption(self) -> Option<Caption> {
        let text = self.text.trim();
        if text.is_empty() {
            return None;
        }
        let text = if self.is_cut { format!("{} …", text.trim_end_matches('.')) } else { text.to_owned() };
        Some(Caption { at: self.at.unwrap_or_default(), text })
    }
}

fn end(stretches: &mut [Stretch], at: Time) {
    if let Some(last) = stretches.last_mut() {
        last.1 = last.1.min(at);
    }
}

fn grow(bursts: &mut Vec<Burst>, at: Time, ms: u64) {
    match bursts.last_mut() {
        Some(last) if at.since(last.to) <= BURST_GAP => {
            last.to = at;
            last.ms += ms;
        }
        _ => bursts.push(Burst { from: at, to: at, ms }),
    }
}
