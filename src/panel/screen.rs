//! What the page shows: takes what happened, answers the whole state or what of it has changed.
//!
//! The state is a JSON object whose members are replaced as a whole: a viewer who knows one state and gets every patch
//! after it knows the next. What is shown of itself and how the members look is written down in the test of the daemon's
//! page; all of it is bounded.

pub mod calls;
pub mod captions;
pub mod parts;

use serde_json::{Map, Value, json};

use super::Facts;
use crate::config::agent::Agent;
use crate::flow::{CloseCause, Duplex, OpenCause, Start, What};
use crate::live::models::CLASSIC_VOICES;
use crate::still::Jpeg;
use crate::units::{Decibel, Time};
use calls::{Calls, Stills};
use captions::Captions;
pub use parts::Parts;

/// A meter that moved by less is not told, dB.
const LEVEL_STEP_DB: f32 = 0.5;

/// Members of the state, in the order of the contract.
const MEMBERS: [&str; 12] =
    ["device", "look", "captions", "levels", "gate", "stills", "calls", "cost", "parts", "health", "voice", "kiosk"];

/// Those that change without an event; the others are made anew only after one.
const LIVE: [&str; 4] = ["look", "levels", "health", "kiosk"];

/// What of the device never changes, and is made known to the page.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    /// The board profile's name.
    pub board: String,
    /// Whether a viewer has shown a password.
    pub is_login_needed: bool,
    /// What may be done at the page.
    pub allow: Vec<String>,
}

/// What is known beside events.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The time.
    pub now: Time,
    /// What no event may be missing of.
    pub facts: Facts,
    /// Whether all threads that sound passes through are alive.
    pub is_alive: bool,
    /// People who look on.
    pub viewers: usize,
    /// Whether nobody is before the kiosk.
    pub is_idle: bool,
}

/// What the page shows.
#[derive(Debug)]
pub struct Screen {
    device: Device,
    model: String,
    captions: Captions,
    calls: Calls,
    stills: Stills,
    parts: Parts,
    gate: Gate,
    cost: Cost,
    voice: Voice,
    kiosk: Kiosk,
    levels: (f32, f32),
    /// Something came since it was told last.
    is_touched: bool,
    /// As it was told last, member by member.
    told: [Value; MEMBERS.len()],
}

#[derive(Debug, Default)]
struct Gate {
    cause: Option<OpenCause>,
    duplex: Option<(Duplex, f32)>,
    closed_at: Option<Time>,
    last_reply_ms: Option<u64>,
}

#[derive(Debug, Default)]
struct Cost {
    session_microusd: u64,
    day_microusd: u64,
    day_tokens: u64,
    day_limit_usd: Option<f32>,
    is_spent: bool,
}

#[derive(Debug, Default)]
struct Voice {
    now: (String, String),
    /// Chosen, and not yet heard.
    next: Option<(String, String)>,
}

#[derive(Debug, Default)]
struct Kiosk {
    is_on: bool,
    visit: u64,
    idle_text: String,
    show: [String; 4],
}

impl Screen {
    /// A device that was just started.
    pub fn new(agent: &Agent, device: Device) -> Screen {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        Screen {
            device,
            model: agent.model.clone(),
            captions: Captions::default(),
            calls: Calls::default(),
            stills: Stills::default(),
            parts: Parts::default(),
            gate: Gate::default(),
            cost: Cost { day_limit_usd: agent.limits.day_usd, ..Cost::default() },
            voice: Voice { now: (text(&agent.voice), text(&agent.language)), next: None },
            kiosk: Kiosk {
                is_on: agent.kiosk.is_on(),
                visit: 1,
                idle_text: agent.kiosk.idle_text.clone(),
                show: Default::default(),
            },
            levels: (crate::audio::meter::SILENCE.0, crate::audio::meter::SILENCE.0),
            is_touched: true,
            told: std::array::from_fn(|_| Value::Null),
        }
    }

    /// Takes what happened, with its time of day.
    pub fn handle(&mut self, what: &What, at: Time, clock: &str) {
        self.is_touched = true;
        self.captions.handle(what, clock);
        self.calls.handle(what, clock);
        self.stills.handle(what, clock);
        self.parts.handle(what);
        match what {
            What::GateOpened { cause } => self.gate.cause = Some(*cause),
            What::GateClosed { cause } => {
                self.gate.cause = None;
                self.gate.closed_at = (*cause != CloseCause::Mistake).then_some(at);
            }
            What::ReplyHeard { .. } => {
                if let Some(closed_at) = self.gate.closed_at.take() {
                    self.gate.last_reply_ms = u64::try_from(at.since(closed_at).as_millis()).ok();
                }
            }
            What::EchoState { duplex, erle_db } => self.gate.duplex = Some((*duplex, *erle_db)),
            What::Usage { session_microusd, day_tokens, day_microusd, .. } => {
                let Cost { day_limit_usd, is_spent, .. } = self.cost;
                let (session_microusd, day_microusd, day_tokens) = (*session_microusd, *day_microusd, *day_tokens);
                self.cost = Cost { session_microusd, day_microusd, day_tokens, day_limit_usd, is_spent };
            }
            What::DaySpent { .. } => self.cost.is_spent = true,
            What::LinkReady { start, .. } => {
                self.cost.is_spent = false;
                if *start != Start::Resumed
                    && let Some(next) = self.voice.next.take()
                {
                    self.voice.now = next;
                }
            }
            What::VoiceChosen { voice, language } => {
                let chosen = (voice.clone(), language.clone());
                self.voice.next = (chosen != self.voice.now).then_some(chosen);
            }
            What::Shown { title, text, link, picture } => {
                self.kiosk.show = [title, text, link, picture].map(String::clone);
            }
            What::ConversationReset => self.forget(),
            _ => {}
        }
    }

    /// A conversation is over: its words go with it, and where visitors come and go everything of it.
    fn forget(&mut self) {
        if self.kiosk.is_on {
            self.wipe();
        } else {
            self.captions.wipe();
            self.kiosk.show = Default::default();
        }
    }

    /// Forgets everything of the visit: what was said, seen, called and shown. Answers whether there was anything.
    pub fn wipe(&mut self) -> bool {
        if !self.has_traces() {
            return false;
        }
        self.captions.wipe();
        self.calls.wipe();
        self.stills.wipe();
        self.kiosk.show = Default::default();
        self.kiosk.visit += 1;
        self.is_touched = true;
        true
    }

    /// Whether anything of a visit is to be seen.
    pub fn has_traces(&self) -> bool {
        let has_none = self.captions.all().is_empty() && self.calls.all().is_empty() && self.stills.all().is_empty();
        !has_none || self.kiosk.show.iter().any(|text| !text.is_empty())
    }

    /// So many events did not find their way here: that is said, rather than nothing.
    pub fn missed(&mut self, events: u64, clock: &str) {
        self.is_touched = true;
        self.captions.device_says(&format!("{events} things that happened are not shown here."), clock);
    }

    /// Levels of microphone and loudspeaker; a small change is none.
    pub fn set_levels(&mut self, mic: Decibel, speaker: Decibel) {
        let step = |old: &mut f32, new: Decibel| {
            if (*old - new.0).abs() >= LEVEL_STEP_DB {
                *old = new.0;
            }
        };
        step(&mut self.levels.0, mic);
        step(&mut self.levels.1, speaker);
    }

    /// A picture that is kept.
    pub fn jpeg(&self, id: u64) -> Option<Jpeg> {
        self.stills.jpeg(id)
    }

    /// What is wrong, in sentences, and whether that is anything.
    pub fn health(&self, seen: &Seen) -> (bool, Vec<String>) {
        let mut texts = self.parts.out_of_order();
        if !seen.is_alive {
            texts.push("a thread that sound passes through stands still".to_string());
        }
        (texts.is_empty(), texts)
    }

    /// The whole state.
    pub fn whole(&self, seen: &Seen) -> Value {
        let members = MEMBERS.iter().map(|name| ((*name).to_string(), self.member(name, seen)));
        Value::Object(members.collect())
    }

    /// The members that are other than when this was last asked; none where nothing is. What only counts up is no news.
    pub fn patch(&mut self, seen: &Seen) -> Option<Value> {
        let mut patch = Map::new();
        let is_touched = std::mem::take(&mut self.is_touched);
        for (index, name) in MEMBERS.iter().enumerate().skip(1) {
            if !is_touched && !LIVE.contains(name) {
                continue;
            }
            let member = self.member(name, seen);
            if self.told[index] != member {
                patch.insert((*name).to_string(), member.clone());
                self.told[index] = member;
            }
        }
        (!patch.is_empty()).then_some(Value::Object(patch))
    }

    fn member(&self, name: &str, seen: &Seen) -> Value {
        match name {
            "device" => json!({
                "name": "mynah", "version": env!("CARGO_PKG_VERSION"), "board": self.device.board, "model": self.model,
                "up_s": seen.now.as_ms() / 1000,
                "view": { "allow": self.device.allow, "is_login_needed": self.device.is_login_needed },
            }),
            "look" => seen.facts.json(seen.now),
            "captions" => json!(self.captions.all()),
            "levels" => json!({ "mic_db": self.levels.0, "speaker_db": self.levels.1 }),
            "gate" => json!({
                "is_open": self.gate.cause.is_some(), "cause": self.gate.cause,
                "duplex": self.gate.duplex.map(|(duplex, _)| duplex),
                "erle_db": self.gate.duplex.map(|(_, erle_db)| tenths(erle_db)),
                "last_reply_ms": self.gate.last_reply_ms,
            }),
            "stills" => json!(self.stills.all()),
            "calls" => json!(self.calls.all()),
            "cost" => json!({
                "session_usd": usd(self.cost.session_microusd), "day_usd": usd(self.cost.day_microusd),
                "day_limit_usd": self.cost.day_limit_usd, "day_tokens": self.cost.day_tokens,
                "is_spent": self.cost.is_spent,
            }),
            "parts" => json!(self.parts.all()),
            "health" => {
                let (is_ok, texts) = self.health(seen);
                json!({ "is_ok": is_ok, "texts": texts, "viewers": seen.viewers })
            }
            "voice" => {
                let ((voice, language), next) = (&self.voice.now, self.voice.next.clone().unwrap_or_default());
                json!({
                    "voice": voice, "language": language, "next_voice": next.0, "next_language": next.1,
                    "voices": CLASSIC_VOICES,
                })
            }
            _ => {
                let [title, text, link, picture] = &self.kiosk.show;
                json!({
                    "is_on": self.kiosk.is_on, "is_idle": seen.is_idle, "visit": self.kiosk.visit,
                    "idle_text": self.kiosk.idle_text,
                    "show": { "title": title, "text": text, "link": link, "picture": picture },
                })
            }
        }
    }
}

fn usd(microusd: u64) -> f64 {
    microusd as f64 / 1e6
}

fn tenths(db: f32) -> f64 {
    (f64::from(db) * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests;
