//! One connection of the emulated service.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::check::{self, Answer, Input, cut};
use super::ear::{Ear, Noticed, VOICE_MAX_S};
use super::fields::INVALID;
use super::reply::{Act, Reply};
use super::script::{Script, ScriptedCall, SetupPlan};
use super::setup::{self, Setup};
use super::sounds::to_downlink;
use super::{BAD_KEY, Line, Options, Output, Refusal, Side, Voice};
use crate::units::{Frames, Hertz, Time};

/// Bytes of a close frame's reason (RFC 6455: 125 with the code).
const REASON_MAX: usize = 123;
/// What the service says of messages that come at the wrong moment.
const PRECONDITION: &str = "Precondition check failed.";
/// Calls that are remembered; an answer to an older one is to a call that was never made.
const CALLS_MAX: usize = 1024;
/// Turns that wait while a reply that may not be interrupted is under way.
const QUEUED_TURNS_MAX: usize = 2;
/// Longest voice that `echo` repeats: what a client's speaker holds.
const ECHO_MAX: Duration = super::sounds::SOUND_MAX;
/// Tokens in a second of audio, in and out (live-protocol.md 4.4).
const TOKENS_PER_SECOND: u64 = 25;
/// About four bytes of text are a token.
const TEXT_MICROTOKENS_PER_BYTE: u64 = 250_000;
/// Bytes of a text that a log line repeats.
const LOGGED_MAX: usize = 120;

/// One connection: messages and time in, [`Output`] out.
pub struct Emulator {
    script: Arc<Script>,
    options: Options,
    stage: Stage,
    outputs: VecDeque<Output>,
    /// An event that travels together with the next one.
    held: Option<Value>,
    window: Option<Window>,
    ear: Option<Ear>,
    reply: Option<Reply>,
    queued: VecDeque<UserTurn>,
    calls: VecDeque<IssuedCall>,
    calls_made: u64,
    replies_begun: u64,
    next_turn: usize,
    /// Size of the context, in millionths of a token.
    context_microtokens: u64,
    /// Whether `clientContent` is still history.
    history: bool,
}

enum Stage {
    AwaitingSetup,
    Preparing(Setup, Time),
    /// `setup` was taken and will never be answered.
    Silent,
    Ready(Setup),
    Closed,
}

/// A window of activity that the client opened.
#[derive(Default)]
struct Window {
    /// Rate and frames, from the first audio on.
    voice: Option<(Hertz, Vec<i16>)>,
    stills: usize,
}

/// A finished turn of the user: its voice, none where it was typed.
type UserTurn = Option<Voice>;

struct IssuedCall {
    id: String,
    name: String,
    /// Number of the reply it was made in.
    reply: u64,
    state: CallState,
}

#[derive(PartialEq)]
enum CallState {
    Open,
    Answered,
    Cancelled,
}

impl Emulator {
    /// A connection that was just opened.
    pub fn new(script: Arc<Script>, options: Options) -> Emulator {
        let mut emulator = Emulator {
            next_turn: options.first_turn,
            script,
            stage: Stage::AwaitingSetup,
            outputs: VecDeque::new(),
            held: None,
            window: None,
            ear: None,
            reply: None,
            queued: VecDeque::new(),
            calls: VecDeque::new(),
            calls_made: 0,
            replies_begun: 0,
            context_microtokens: 0,
            history: false,
            options,
        };
        match emulator.options.key.as_deref() {
            None | Some("") => emulator.refuse(Refusal::new(
                1008,
                "Method doesn't allow unregistered callers (callers without established identity).",
                "no key came: send any in the header x-goog-api-key",
            )),
            Some(BAD_KEY) => emulator.refuse(Refusal::new(
                1007,
                "API key not valid. Please pass a valid API key.",
                format!("{BAD_KEY} is the key that is refused; any other will do"),
            )),
            Some(_) => {}
        }
        emulator
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
        let taken = check::read(bytes, self.options.api).and_then(|input| self.take(input, now));
        match taken {
            Ok(()) => self.play(now),
            Err(refusal) => self.refuse(refusal),
        }
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Time) {
        if let Stage::Preparing(setup, at) = &self.stage
            && *at <= now
        {
            self.stage = Stage::Ready(setup.clone());
            self.send(json!({"setupComplete": {}}));
            self.log(Side::Service, "set-up complete");
        }
        self.play(now);
    }

    /// The next thing to do; drain until [`Output::Timeout`].
    pub fn poll_output(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or_else(|| Output::Timeout(self.deadline()))
    }

    fn deadline(&self) -> Option<Time> {
        match &self.stage {
            Stage::Preparing(_, at) => Some(*at),
            Stage::Ready(_) => self.reply.as_ref().and_then(Reply::deadline),
            _ => None,
        }
    }

    fn log(&mut self, side: Side, text: impl Into<String>) {
        self.outputs.push_back(Output::Log(Line { side, text: text.into() }));
    }

    fn send(&mut self, event: Value) {
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

    fn refuse(&mut self, refusal: Refusal) {
        self.log(Side::Note, refusal.why);
        self.close(refusal.code, &refusal.reason);
    }

    fn close(&mut self, code: u16, reason: &str) {
        let reason = cut(reason, REASON_MAX).to_owned();
        self.log(Side::Service, format!("closes the connection: {code} {reason}"));
        self.outputs.push_back(Output::Close { code, reason });
        self.stage = Stage::Closed;
        self.reply = None;
    }

    // What the client says.

    fn take(&mut self, input: Input, now: Time) -> Result<(), Refusal> {
        let (setup, input) = match (&self.stage, input) {
            (Stage::AwaitingSetup, Input::Setup(asked)) => return self.take_setup(&asked, now),
            (_, Input::Setup(_)) => {
                return Err(Refusal::new(1007, INVALID, "setup comes once, as the first message of a connection"));
            }
            (Stage::Ready(setup), input) => (setup.clone(), input),
            _ => return Err(Refusal::new(1007, INVALID, "setup comes first, and nothing else until setupComplete")),
        };
        match input {
            Input::Audio { rate, frames } => self.take_audio(&setup, rate, &frames, now),
            Input::ActivityStart => self.open_window(&setup),
            Input::ActivityEnd => self.close_window(&setup, now),
            Input::Text(text) => self.take_text(&text, &setup, now),
            Input::Still { bytes } => self.take_still(bytes),
            Input::AudioStreamEnd if setup.manual => Err(Refusal::new(
                1007,
                PRECONDITION,
                "audioStreamEnd belongs to automatic detection: end a window with activityEnd",
            )),
            Input::AudioStreamEnd => {
                self.log(Side::Client, "audio stream ends (which ends no turn: 3.8 waits for silence in the audio)");
                Ok(())
            }
            Input::Content { text, turn_complete } => {
                self.take_content(&text, turn_complete, &setup, now);
                Ok(())
            }
            Input::ToolResponse(answers) => {
                answers.into_iter().try_for_each(|answer| self.take_answer(&answer, &setup))?;
                self.go_on(now);
                Ok(())
            }
            Input::Setup(_) => Ok(()), // dealt with above
        }
    }

    fn take_setup(&mut self, asked: &Value, now: Time) -> Result<(), Refusal> {
        let setup = setup::read(asked, self.options.api.name())?;
        let mut told = format!("setup: {}", setup.model);
        if let Some(voice) = &setup.voice {
            told += &format!(", voice {voice}");
        }
        told += if setup.manual { ", windows by the client" } else { ", automatic detection" };
        told += &format!(", {} functions", setup.functions.len());
        self.log(Side::Client, told);
        if let Some(handle) = &setup.handle {
            self.next_turn = turn_of(handle).ok_or_else(|| {
                let why = "this resumption handle was not given by the emulator: leave it out";
                Refusal::new(1008, "BidiGenerateContent session not found", why)
            })?;
        }
        self.history = setup.history;
        match self.script.setup.clone() {
            SetupPlan::Complete => self.stage = Stage::Preparing(setup, now + self.script.setup_delay),
            SetupPlan::Never => self.stage = Stage::Silent,
            SetupPlan::Close { code, reason } => self.close(code, &reason),
        }
        Ok(())
    }

    fn take_audio(&mut self, setup: &Setup, rate: Hertz, frames: &[i16], now: Time) -> Result<(), Refusal> {
        self.context_microtokens += frames.len() as u64 * TOKENS_PER_SECOND * 1_000_000 / u64::from(rate.0);
        if !setup.manual {
            return self.listen(setup, rate, frames, now);
        }
        let Some(window) = &mut self.window else { return Ok(()) }; // outside a window audio is ignored
        let (first_rate, voice) = window.voice.get_or_insert_with(|| (rate, Vec::new()));
        if *first_rate != rate {
            return Err(Refusal::new(1007, INVALID, "the audio's rate changed within a window"));
        }
        let room = rate.0 as usize * VOICE_MAX_S as usize - voice.len();
        voice.extend_from_slice(&frames[..frames.len().min(room)]);
        Ok(())
    }

    fn listen(&mut self, setup: &Setup, rate: Hertz, frames: &[i16], now: Time) -> Result<(), Refusal> {
        let ear = self.ear.get_or_insert_with(|| Ear::new(rate, setup.silence_ms));
        if ear.rate() != rate {
            return Err(Refusal::new(1007, INVALID, "the audio's rate changed within a session"));
        }
        for noticed in ear.listen(frames) {
            match noticed {
                Noticed::Started => {
                    self.log(Side::Client, "begins to speak");
                    if !setup.no_interruption {
                        self.cut();
                    }
                }
                Noticed::Ended(voice) => {
                    self.log(Side::Client, format!("has spoken for {}", seconds(&voice)));
                    self.begin_turn(Some(voice), setup, now);
                }
            }
        }
        Ok(())
    }

    fn open_window(&mut self, setup: &Setup) -> Result<(), Refusal> {
        check_manual(setup)?;
        if self.window.is_some() {
            return Err(Refusal::new(1007, PRECONDITION, "a window is open already: activityEnd comes first"));
        }
        self.window = Some(Window::default());
        self.log(Side::Client, "opens a window");
        if !setup.no_interruption {
            self.cut();
        }
        Ok(())
    }

    fn close_window(&mut self, setup: &Setup, now: Time) -> Result<(), Refusal> {
        check_manual(setup)?;
        let Some(window) = self.window.take() else {
            return Err(Refusal::new(1007, PRECONDITION, "no window is open: activityStart comes first"));
        };
        let Some((rate, frames)) = window.voice else {
            let why = "the window is empty: send activityStart together with the first audio";
            return Err(Refusal::new(1007, PRECONDITION, why));
        };
        let voice = Voice { rate, frames: frames.into() };
        let stills = if window.stills > 0 { format!(" and {} stills", window.stills) } else { String::new() };
        self.log(Side::Client, format!("closes the window after {}{stills}", seconds(&voice)));
        self.begin_turn(Some(voice), setup, now);
        Ok(())
    }

    /// Whether the window, if one is open, was opened by audio.
    fn check_window_opened(&self, what: &str) -> Result<(), Refusal> {
        match &self.window {
            Some(Window { voice: None, .. }) => {
                Err(Refusal::new(1007, PRECONDITION, format!("a window opens with audio, not with {what}")))
            }
            _ => Ok(()),
        }
    }

    fn take_text(&mut self, text: &str, setup: &Setup, now: Time) -> Result<(), Refusal> {
        self.check_window_opened("a text")?;
        self.log(Side::Client, format!("types {:?}", cut(text, LOGGED_MAX)));
        self.context_microtokens += text.len() as u64 * TEXT_MICROTOKENS_PER_BYTE;
        // A text within a window belongs to the turn that the window will be.
        if self.window.is_none() {
            self.begin_turn(None, setup, now);
        }
        Ok(())
    }

    fn take_still(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.check_window_opened("a still")?;
        self.log(Side::Client, format!("shows a still of {bytes} bytes"));
        if let Some(window) = &mut self.window {
            window.stills += 1;
        }
        Ok(())
    }

    fn take_content(&mut self, text: &str, turn_complete: bool, setup: &Setup, now: Time) {
        self.context_microtokens += text.len() as u64 * TEXT_MICROTOKENS_PER_BYTE;
        let kind = if self.history { "history" } else { "content" };
        self.log(Side::Client, format!("sends {kind} {:?}", cut(text, LOGGED_MAX)));
        if self.history {
            self.history = !turn_complete;
        } else if turn_complete {
            self.cut();
            self.begin_turn(None, setup, now);
        }
    }

    fn take_answer(&mut self, answer: &Answer, setup: &Setup) -> Result<(), Refusal> {
        let Answer { id, name, response, scheduling } = answer;
        let refuse = |why: String| Err(Refusal::new(1007, INVALID, why));
        if scheduling.is_some() && setup.thinking {
            let reason = "Function response scheduling is not supported for this model.";
            return Err(Refusal::new(1007, reason, "leave `scheduling` out"));
        }
        if scheduling.is_some() && setup.functions.get(name) == Some(&true) {
            return refuse(format!("{name} is BLOCKING: only NON_BLOCKING functions have a scheduling"));
        }
        let Some(call) = self.calls.iter_mut().find(|call| call.id == *id) else {
            return refuse(format!("no call has the id {id:?}: copy it from the call"));
        };
        if call.name != *name {
            return refuse(format!("call {id} was to {}, the answer is from {name:?}", call.name));
        }
        match call.state {
            CallState::Open => {
                call.state = CallState::Answered;
                let shown = response.to_string();
                self.log(Side::Client, format!("answers {id} {name}: {}", cut(&shown, LOGGED_MAX)));
                Ok(())
            }
            // The cancellation and the answer may have met on the way.
            CallState::Cancelled => {
                self.log(Side::Note, format!("the answer to {id} came after the call was taken back: ignored"));
                Ok(())
            }
            CallState::Answered => refuse(format!("call {id} is answered twice")),
        }
    }

    // What the model does.

    fn begin_turn(&mut self, user: UserTurn, setup: &Setup, now: Time) {
        if self.reply.is_some() && setup.no_interruption {
            if self.queued.len() < QUEUED_TURNS_MAX {
                self.queued.push_back(user);
            } else {
                self.log(Side::Note, "too many turns wait for the end of the reply: this one is forgotten");
            }
            return;
        }
        self.cut();
        let script = self.script.clone();
        let turn = script.turn(self.next_turn);
        self.next_turn = self.next_turn.saturating_add(1);
        let voice = user.as_ref().map_or_else(|| Arc::from([]), echo_of);
        let mut starts_at = now;
        if let Some(voice) = user {
            self.outputs.push_back(Output::Heard(voice));
            starts_at += script.latency;
            if let Some(heard) = &turn.heard {
                self.log(Side::Service, format!("hears {:?}", cut(heard, LOGGED_MAX)));
                self.send(json!({"serverContent": {"inputTranscription": {"text": heard}}}));
            }
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
        let open_calls = self.open_calls();
        self.reply.as_mut()?.next(now, open_calls)
    }

    /// Whether a call of the present reply lacks its answer.
    fn open_calls(&self) -> bool {
        self.calls.iter().any(|call| call.state == CallState::Open && call.reply == self.replies_begun)
    }

    fn perform(&mut self, act: Act) {
        match act {
            Act::Event(event) => self.send(event),
            Act::Hold(event) => self.held = Some(event),
            Act::Verbatim(text) => self.write(text),
            Act::Calls(calls) => self.make_calls(calls),
            Act::CancelCalls => self.cancel_calls(0),
            Act::Interrupt => self.cut(),
            Act::Close { code, reason } => self.close(code, &reason),
            Act::Generated(false) => self.send(json!({"serverContent": {"generationComplete": true}})),
            Act::Generated(true) => {
                self.held = Some(merged(self.held.take(), json!({"serverContent": {"generationComplete": true}})));
                self.complete();
            }
            Act::Complete => self.complete(),
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
            self.calls_made += 1;
            let id = format!("fc-{}-{}", self.options.session, self.calls_made);
            self.log(Side::Service, format!("calls {name} {args} as {id}"));
            made.push(json!({"id": id, "name": name, "args": args}));
            let call = IssuedCall { id, name, reply: self.replies_begun, state: CallState::Open };
            self.calls.push_back(call);
        }
        while self.calls.len() > CALLS_MAX {
            self.calls.pop_front();
        }
        if !made.is_empty() {
            self.send(json!({"toolCall": {"functionCalls": made}}));
        } else if let Some(held) = self.held.take() {
            self.write(held.to_string());
        }
    }

    /// Takes back the open calls that were made in reply `since` or later.
    fn cancel_calls(&mut self, since: u64) {
        let open = self.calls.iter_mut().filter(|call| call.state == CallState::Open && call.reply >= since);
        let ids: Vec<_> = open
            .map(|call| {
                call.state = CallState::Cancelled;
                call.id.clone()
            })
            .collect();
        if !ids.is_empty() {
            self.log(Side::Service, format!("takes back {}", ids.join(", ")));
            self.send(json!({"toolCallCancellation": {"ids": ids}}));
        }
    }

    /// Goes on with a reply whose calls are all answered.
    fn go_on(&mut self, now: Time) {
        let open = self.open_calls();
        let at = now + self.script.latency;
        if let Some(reply) = self.reply.as_mut().filter(|_| !open) {
            reply.go_on(at);
        }
    }

    /// Cuts the reply that is under way, if there is one.
    fn cut(&mut self) {
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
        let sent = self.reply.as_ref().map_or(Duration::ZERO, Reply::sent);
        let response = (sent.as_secs_f64() * TOKENS_PER_SECOND as f64) as u64;
        let prompt = self.context_microtokens / 1_000_000;
        let usage =
            json!({"promptTokenCount": prompt, "responseTokenCount": response, "totalTokenCount": prompt + response});
        self.context_microtokens += response * 1_000_000;
        let mut content = json!({"turnComplete": true});
        let Stage::Ready(setup) = &self.stage else { return };
        let resumption = setup.resumption;
        if setup.thinking {
            content["interactionStatus"] = json!("IDLE");
        }
        self.send(json!({"serverContent": content, "usageMetadata": usage}));
        if resumption {
            let handle = handle(self.options.session, self.next_turn);
            self.send(json!({"sessionResumptionUpdate": {"newHandle": handle, "resumable": true}}));
        }
        self.reply = None;
    }
}

fn check_manual(setup: &Setup) -> Result<(), Refusal> {
    if setup.manual {
        return Ok(());
    }
    let why = "activity markers need automaticActivityDetection.disabled: true in the setup";
    Err(Refusal::new(1007, PRECONDITION, why))
}

/// The voice as `echo` repeats it: `[frames, 1 channel] S16 @ 24 kHz`.
fn echo_of(voice: &Voice) -> Arc<[i16]> {
    let limit = ECHO_MAX.as_secs() as usize * voice.rate.0 as usize;
    to_downlink(&voice.frames[..voice.frames.len().min(limit)], voice.rate)
}

fn seconds(voice: &Voice) -> String {
    format!("{:.2} s of sound", Frames(voice.frames.len() as u64).duration(voice.rate).as_secs_f64())
}

/// A resumption handle. It carries the place in the script, so that nothing has to be kept for it.
fn handle(session: u64, next_turn: usize) -> String {
    format!("emulated-{session}-{next_turn}")
}

fn turn_of(handle: &str) -> Option<usize> {
    let (session, turn) = handle.strip_prefix("emulated-")?.split_once('-')?;
    session.parse::<u64>().ok()?;
    turn.parse().ok()
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
