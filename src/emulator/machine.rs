//! One connection of the emulated service.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::calls::Calls;
use super::check::{self, cut};
use super::ear::Ear;
use super::lifetime::Clockwork;
use super::reply::{Act, Reply};
use super::script::{Script, ScriptedCall, Step};
use super::sessions::Sessions;
use super::setup::Setup;
use super::sight::{Picture, Sight};
use super::sounds::to_downlink;
use super::usage::Context;
use super::{BAD_KEY, Line, Options, Output, Refusal, Side, Voice};
use crate::units::{Hertz, Time};

/// Bytes of a close frame's reason (RFC 6455: 125 with the code).
const REASON_MAX: usize = 123;
/// Turns that wait while a reply that may not be interrupted is under way.
const QUEUED_TURNS_MAX: usize = 2;
/// Longest voice that `echo` repeats: what a client's speaker holds.
const ECHO_MAX: Duration = super::sounds::SOUND_MAX;
/// Bytes of a text that a log line repeats.
pub(super) const LOGGED_MAX: usize = 120;

/// One connection: messages and time in, [`Output`] out.
pub struct Emulator {
    pub(super) script: Arc<Script>,
    pub(super) options: Options,
    pub(super) sessions: Sessions,
    /// The session that this connection has.
    pub(super) session: Option<u64>,
    /// The last time it was told.
    pub(super) now: Time,
    /// At rest before the first message.
    pub(super) clockwork: Clockwork,
    pub(super) stage: Stage,
    /// Whether a message has come.
    begun: bool,
    outputs: VecDeque<Output>,
    /// An event that travels together with the next one.
    held: Option<Value>,
    pub(super) window: Option<Window>,
    pub(super) ear: Option<Ear>,
    reply: Option<Reply>,
    queued: VecDeque<UserTurn>,
    pub(super) calls: Calls,
    replies_begun: u64,
    pub(super) next_turn: usize,
    pub(super) context: Context,
    pub(super) sight: Sight,
    /// Whether `clientContent` is still history.
    pub(super) history: bool,
}

/// How far the connection has come.
pub(super) enum Stage {
    AwaitingSetup,
    Preparing(Setup, Time),
    /// `setup` was taken and will never be answered.
    Silent,
    Ready(Setup),
    Closed,
}

/// A window of activity that the client opened.
#[derive(Default)]
pub(super) struct Window {
    /// Rate and frames, from the first audio on.
    pub(super) voice: Option<(Hertz, Vec<i16>)>,
    pub(super) stills: Vec<Picture>,
}

/// A finished turn of the user: its voice, none where it was typed.
pub(super) type UserTurn = Option<Voice>;

impl Emulator {
    /// A connection that was just opened, to a service that remembers `sessions`.
    pub fn new(script: Arc<Script>, options: Options, sessions: Sessions) -> Emulator {
        Emulator {
            sessions,
            session: None,
            now: Time::ZERO,
            clockwork: Clockwork::default(),
            next_turn: options.first_turn,
            script,
            stage: Stage::AwaitingSetup,
            begun: false,
            outputs: VecDeque::new(),
            held: None,
            window: None,
            ear: None,
            reply: None,
            queued: VecDeque::new(),
            calls: Calls::default(),
            replies_begun: 0,
            context: Context::default(),
            sight: Sight::default(),
            history: false,
            options,
        }
    }

    /// Turn of the script that comes next, from 0: where another connection may go on.
    pub fn next_turn(&self) -> usize {
        self.next_turn
    }

    /// Takes one WebSocket message of the client, text or binary.
    pub fn handle_message(&mut self, bytes: &[u8], now: Time) {
        self.handle_timeout(now);
        if matches!(self.stage, Stage::Closed) {
            return;
        }
        if !std::mem::replace(&mut self.begun, true) {
            self.clockwork = Clockwork::new(self.script.life, now);
        }
        let door = check_key(self.options.key.as_deref()).and_then(|()| check::read(bytes, self.options.api));
        let taken = door.and_then(|input| self.take(input, now));
        match taken {
            Ok(()) => self.play(now),
            Err(refusal) => self.refuse(refusal),
        }
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Time) {
        self.now = now;
        if let Stage::Preparing(setup, at) = &self.stage
            && *at <= now
        {
            self.stage = Stage::Ready(setup.clone());
            self.send(json!({"setupComplete": {}}));
            self.log(Side::Service, "set-up complete");
        }
        self.play(now);
        self.tick(now);
    }

    /// The socket is gone, whoever ended it. Until this is said the session is in use.
    pub fn handle_end(&mut self, now: Time) {
        self.now = now;
        self.leave(now);
        self.stage = Stage::Closed;
        self.reply = None;
    }

    /// The next thing to do; drain until [`Output::Timeout`].
    pub fn poll_output(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or_else(|| Output::Timeout(self.deadline()))
    }

    fn deadline(&self) -> Option<Time> {
        let own = match &self.stage {
            Stage::Preparing(_, at) => Some(*at),
            Stage::Ready(_) => self.reply.as_ref().and_then(Reply::deadline),
            Stage::AwaitingSetup | Stage::Silent => None,
            Stage::Closed => return None,
        };
        [own, self.clockwork.deadline()].into_iter().flatten().min()
    }

    pub(super) fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(super) fn log(&mut self, side: Side, text: impl Into<String>) {
        self.outputs.push_back(Output::Log(Line { side, text: text.into() }));
    }

    pub(super) fn send(&mut self, event: Value) {
        let event = match self.held.take() {
            Some(mut held) => {
                merge(&mut held, event);
                held
            }
            None => event,
        };
        self.write(event.to_string());
    }

    fn write(&mut self, body: String) {
        let style = self.reply.as_ref().map_or(self.script.style, Reply::style);
        self.outputs.push_back(Output::Send { body, frame: style.frames });
    }

    pub(super) fn refuse(&mut self, refusal: Refusal) {
        self.log(Side::Note, refusal.why);
        self.close(refusal.code, &refusal.reason);
    }

    pub(super) fn close(&mut self, code: u16, reason: &str) {
        self.leave(self.now);
        let reason = cut(reason, REASON_MAX).to_owned();
        self.log(Side::Service, format!("closes the connection: {code} {reason}"));
        self.outputs.push_back(Output::Close { code, reason });
        self.stage = Stage::Closed;
        self.reply = None;
    }

    pub(super) fn begin_turn(&mut self, user: UserTurn, setup: &Setup, now: Time) {
        if self.reply.is_some() && setup.no_interruption {
            if self.queued.len() < QUEUED_TURNS_MAX {
                self.queued.push_back(user);
            } else {
                self.log(Side::Note, "too many turns wait for the end of the reply: this one is forgotten");
            }
            return;
        }
        self.cut();
        if self.close_stale_exchange(&user, setup) {
            return;
        }
        self.withhold();
        let script = self.script.clone();
        let turn = script.turn(self.next_turn);
        self.next_turn = self.next_turn.saturating_add(1);
        // Resampled only for who asks: it is most of what a turn costs.
        let echoed = user.as_ref().filter(|_| turn.steps.iter().any(|step| matches!(step, Step::Echo)));
        let voice = echoed.map_or_else(|| Arc::from([]), echo_of);
        let mut starts_at = now;
        if let Some(voice) = user {
            self.outputs.push_back(Output::Heard(voice));
            starts_at += script.latency;
            if let Some(heard) = &turn.heard {
                self.log(Side::Service, format!("hears {:?}", cut(heard, LOGGED_MAX)));
                self.send(json!({"serverContent": {"inputTranscription": {"text": heard}}}));
            }
        }
        self.hand_out_early(setup);
        if let Some(seen) = self.sight.turn_begins() {
            self.log(Side::Service, format!("sees in this turn: {seen}"));
        }
        self.replies_begun += 1;
        self.reply = Some(Reply::new(&turn.steps, script.style, voice, starts_at));
    }

    /// Plays what is due of the reply, and of those that wait behind it.
    fn play(&mut self, now: Time) {
        while let Some(act) = self.next_act(now) {
            self.perform(act);
            let Stage::Ready(setup) = &self.stage else { return };
            if self.reply.is_none()
                && let Some(user) = self.queued.pop_front()
            {
                let setup = setup.clone();
                self.begin_turn(user, &setup, now);
            }
        }
    }

    fn next_act(&mut self, now: Time) -> Option<Act> {
        let open_calls = self.calls.any_open(self.replies_begun);
        self.reply.as_mut()?.next(now, open_calls)
    }

    fn perform(&mut self, act: Act) {
        match act {
            Act::Event(event) => self.send(event),
            Act::Hold(event) => self.held = Some(event),
            Act::Verbatim(text) => self.write(text),
            Act::Calls(calls) => self.make_calls(calls),
            Act::CancelCalls => self.cancel_calls(0),
            Act::Interrupt => self.cut(),
            Act::See(pictures) => self.check_seen(pictures),
            Act::Close { code, reason } => self.close(code, &reason),
            Act::Generated(false) => self.send(json!({"serverContent": {"generationComplete": true}})),
            Act::Generated(true) => {
                self.held = Some(merged(self.held.take(), json!({"serverContent": {"generationComplete": true}})));
                self.complete();
            }
            Act::Complete => self.complete(),
        }
    }

    /// The script says what this turn must have been shown.
    fn check_seen(&mut self, wanted: usize) {
        let seen = self.sight.seen();
        if seen != wanted {
            let reason = format!("The script wants {wanted} pictures in this turn; it saw {seen}.");
            self.close(1008, &reason);
        }
    }

    fn make_calls(&mut self, calls: Vec<ScriptedCall>) {
        let mut made = Vec::new();
        for ScriptedCall { name, args, forced } in calls {
            let declared = matches!(&self.stage, Stage::Ready(setup) if setup.functions.contains_key(&name));
            if !declared && !forced {
                self.log(Side::Note, format!("the client did not declare {name}: the call is skipped"));
                continue;
            }
            let id = self.calls.make(self.options.session, self.replies_begun, name.clone());
            self.log(Side::Service, format!("calls {name} {args} as {id}"));
            made.push(json!({"id": id, "name": name, "args": args}));
        }
        if !made.is_empty() {
            self.send(json!({"toolCall": {"functionCalls": made}}));
        } else if let Some(held) = self.held.take() {
            self.write(held.to_string());
        }
    }

    /// Takes back the open calls that were made in reply `since` or later.
    fn cancel_calls(&mut self, since: u64) {
        let ids = self.calls.take_back(since);
        if !ids.is_empty() {
            self.log(Side::Service, format!("takes back {}", ids.join(", ")));
            self.send(json!({"toolCallCancellation": {"ids": ids}}));
        }
    }

    /// Goes on with a reply whose calls are all answered.
    pub(super) fn go_on(&mut self, now: Time) {
        let open = self.calls.any_open(self.replies_begun);
        let at = now + self.script.latency;
        if let Some(reply) = self.reply.as_mut().filter(|_| !open) {
            reply.go_on(at);
        }
    }

    /// Cuts the reply that is under way, if there is one.
    pub(super) fn cut(&mut self) {
        let Some(reply) = &self.reply else { return };
        let said = reply.sent().as_secs_f64();
        self.log(Side::Service, format!("is interrupted after {said:.1} s of speech"));
        self.cancel_calls(self.replies_begun); // those of finished replies are still wanted
        self.send(json!({"serverContent": {"interrupted": true}}));
        self.end_turn();
    }

    fn complete(&mut self) {
        let said = self.reply.as_ref().map_or(0.0, |reply| reply.sent().as_secs_f64());
        self.log(Side::Service, format!("has answered with {said:.1} s of speech"));
        self.end_turn();
    }

    /// Sends `turnComplete` and what goes with it.
    fn end_turn(&mut self) {
        let Stage::Ready(setup) = &self.stage else { return };
        let setup = setup.clone();
        let said = self.reply.as_ref().map(Reply::tokens).unwrap_or_default();
        let mut event = json!({"serverContent": {"turnComplete": true}});
        if setup.thinking {
            event["serverContent"]["interactionStatus"] = json!("IDLE");
        }
        if self.script.usage {
            event["usageMetadata"] = self.context.usage(&said);
        }
        self.context.add_answer(&said);
        self.send(event);
        self.hand_out(&setup);
        self.reply = None;
    }
}

/// A credential is judged after the upgrade, by a close frame. It waits for the first message: the Python SDK
/// cannot tell the reason of a close that is quicker than its `setup`.
fn check_key(key: Option<&str>) -> Result<(), Refusal> {
    match key {
        None | Some("") => Err(Refusal::new(
            1008,
            "Method doesn't allow unregistered callers (callers without established identity).",
            "no key came: send any in the header x-goog-api-key",
        )),
        Some(BAD_KEY) => Err(Refusal::new(
            1007,
            "API key not valid. Please pass a valid API key.",
            format!("{BAD_KEY} is the key that is refused; any other will do"),
        )),
        Some(_) => Ok(()),
    }
}

/// The voice as `echo` repeats it: `[frames, 1 channel] S16 @ 24 kHz`.
fn echo_of(voice: &Voice) -> Arc<[i16]> {
    let limit = ECHO_MAX.as_secs() as usize * voice.rate.0 as usize;
    to_downlink(&voice.frames[..voice.frames.len().min(limit)], voice.rate)
}

fn merged(held: Option<Value>, more: Value) -> Value {
    let mut held = held.unwrap_or_else(|| json!({}));
    merge(&mut held, more);
    held
}

/// Puts the fields of `more` into `event`, object by object.
fn merge(event: &mut Value, more: Value) {
    match (event, more) {
        (Value::Object(event), Value::Object(more)) => {
            for (name, value) in more {
                merge(event.entry(name).or_insert(Value::Null), value);
            }
        }
        (event, more) => *event = more,
    }
}
