//! What the flight recorder keeps of all that passes the core: kind by kind, so that nothing gets in by itself.
//!
//! Never a value as it prints itself: of texts the length, of sound the milliseconds, of names those that the owner's
//! configuration gave, of sentences the cause they tell of.

use super::cause::cause;
use super::note::{
    close_note, closed_note, cue_note, drop_note, duplex_what, gesture_note, open_note, refusal_note, start_note,
    timer_what, turn_note,
};
use crate::audio::{Chunk, Speech, UPLINK_RATE};
use crate::flow::{
    Control, EyeWish, GateEvent, GateNote, LinkEvent, LinkOrder, MicFact, Occasion, SpeakerFact, SpeakerOrder,
    ToolOrder, ToolReply, Usage, What,
};
use crate::live::client;
use crate::live::close::Closing;
use crate::live::server;
use crate::session::timers::Reason;
use crate::session::{Input, Output};
use crate::trace::{Entry, Recorder};
use crate::units::Time;

const CORE: &str = "core";
const EVENT: &str = "event";

/// Adds what came to the core.
pub fn input(input: &Input, at: Time, to: &Recorder) {
    let entry = match input {
        Input::Start => Entry::new(CORE, "start"),
        Input::Today(day) => Entry::new(CORE, "today").of("day", *day),
        Input::Gate(event) => gate_event(event),
        Input::Speaker(fact) => speaker_fact(fact),
        Input::Mic(fact) => mic_fact(fact),
        Input::Tool(reply) => tool_reply(reply, to),
        Input::Control(control) => control_entry(control),
        Input::Tools(tools) => Entry::new(CORE, "tools of servers").of("count", tools.len() as u64),
        Input::Link(report) => {
            return match &report.event {
                LinkEvent::Message(message) => server_message(message, at, to),
                event => to.add(at, link_event(event).last("attempt", report.attempt)),
            };
        }
        Input::Shot(shot) => Entry::new("<- eyes", "picture").last("bytes", shot.still.jpeg.len() as u64),
        Input::Timeout => return,
    };
    to.add(at, entry);
}

/// Adds that a deadline had passed.
pub fn due(reason: Reason, late: std::time::Duration, at: Time, to: &Recorder) {
    let entry =
        Entry::new("timer", timer_what(reason)).last("late ms", u64::try_from(late.as_millis()).unwrap_or(u64::MAX));
    to.add(at, if reason == Reason::CatchUp { entry.stream() } else { entry });
}

/// Adds what the core wants done. An event is added by whoever watches them: not all are the core's.
pub fn output(output: &Output, at: Time, to: &Recorder) {
    let entry = match output {
        Output::Link(order) => link_order(order, to),
        Output::Speaker(order) => speaker_order(order),
        Output::Tool(ToolOrder::Run(call)) => Entry::new("-> tools", "run").name(to.name(&call.name)),
        Output::Tool(ToolOrder::ByHand(call)) => Entry::new("-> tools", "by hand").name(to.name(&call.name)),
        Output::Tool(ToolOrder::Cancel(_)) => Entry::new("-> tools", "cancel"),
        Output::Tool(ToolOrder::Tapped) => Entry::new("-> tools", "tapped"),
        Output::Tool(ToolOrder::Heard { .. }) => Entry::new("-> tools", "heard").stream(),
        Output::Tool(ToolOrder::Offline) => Entry::new("-> tools", "offline"),
        Output::Tool(ToolOrder::Hushed) => Entry::new("-> tools", "hushed"),
        Output::Tool(ToolOrder::VisitOver) => Entry::new("-> tools", "visit over"),
        Output::Gate(GateNote::SpeakerAudible(true)) => Entry::new("-> gate", "speaker audible"),
        Output::Gate(GateNote::SpeakerAudible(false)) => Entry::new("-> gate", "speaker silent"),
        Output::Gate(GateNote::Abort) => Entry::new("-> gate", "abort"),
        Output::Gate(GateNote::Mute(true)) => Entry::new("-> gate", "mute"),
        Output::Gate(GateNote::Mute(false)) => Entry::new("-> gate", "unmute"),
        Output::Gate(GateNote::FollowUp(true)) => Entry::new("-> gate", "follow up"),
        Output::Gate(GateNote::FollowUp(false)) => Entry::new("-> gate", "no follow up"),
        Output::Gate(GateNote::Listen) => Entry::new("-> gate", "listen"),
        Output::Eyes(EyeWish::Rest) => Entry::new("-> eyes", "rest"),
        Output::Eyes(EyeWish::Shut) => Entry::new("-> eyes", "shut"),
        Output::Eyes(EyeWish::Watch) => Entry::new("-> eyes", "watch"),
        Output::Eyes(EyeWish::Take) => Entry::new("-> eyes", "take"),
        Output::Keep(memory) => {
            let what = if memory.resumable.is_some() { "with a handle" } else { "without a handle" };
            Entry::new("-> disk", "keep").last("turns", memory.said.len() as u64).note(what)
        }
        Output::Refused(refusal) => Entry::new(CORE, "refused").note(refusal_note(refusal)),
        Output::Event(_) | Output::Timeout(_) => return,
    };
    to.add(at, entry);
}

fn gate_event(event: &GateEvent) -> Entry {
    let entry = |what| Entry::new("<- gate", what);
    match event {
        GateEvent::Pressed => entry("pressed"),
        GateEvent::Released => entry("released"),
        GateEvent::Opened(cause) => entry("opened").note(open_note(*cause)),
        GateEvent::Speech(speech) => entry("speech").stream().sum("ms", speech_ms(speech)),
        GateEvent::Closed(cause) => entry("closed").note(close_note(*cause)),
        GateEvent::Dropped(cause) => entry("dropped").note(drop_note(*cause)),
        GateEvent::Lost(hops) => entry("lost").sum("hops", *hops),
        GateEvent::Gesture(gesture) => entry("gesture").note(gesture_note(*gesture)),
        GateEvent::Suspect(true) => entry("suspects speech"),
        GateEvent::Suspect(false) => entry("suspects nothing"),
        GateEvent::Echo { duplex, erle_db } => entry(duplex_what(*duplex)).last("ERLE dB", erle_db.max(0.0) as u64),
        GateEvent::Woken => entry("woken"),
        GateEvent::FollowUp(true) => entry("follow-up open"),
        GateEvent::FollowUp(false) => entry("follow-up over"),
    }
}

fn speaker_fact(fact: &SpeakerFact) -> Entry {
    let entry = |what| Entry::new("<- speaker", what);
    match fact {
        SpeakerFact::Started { epoch } => entry("started").of("epoch", epoch.0),
        SpeakerFact::Heard { epoch, heard_ms } => entry("heard").stream().of("epoch", epoch.0).last("ms", *heard_ms),
        SpeakerFact::Drained { epoch, heard_ms } => entry("drained").of("epoch", epoch.0).last("ms", *heard_ms),
        SpeakerFact::Flushed { epoch, heard_ms } => entry("flushed").of("epoch", epoch.0).last("ms", *heard_ms),
        SpeakerFact::Concealed { epoch } => entry("concealed").of("epoch", epoch.0),
        SpeakerFact::Full { epoch } => entry("full").of("epoch", epoch.0),
        SpeakerFact::CueStarted => entry("cue started"),
        SpeakerFact::CueOver => entry("cue over"),
        SpeakerFact::Xrun => entry("xrun"),
        SpeakerFact::Trouble(text) => entry("trouble").note(cause(text)),
        SpeakerFact::Recovered => entry("recovered"),
    }
}

fn mic_fact(fact: &MicFact) -> Entry {
    match fact {
        MicFact::Xrun => Entry::new("<- mic", "xrun"),
        MicFact::Trouble(text) => Entry::new("<- mic", "trouble").note(cause(text)),
        MicFact::Running => Entry::new("<- mic", "running"),
        MicFact::Reopened => Entry::new("<- mic", "reopened"),
        MicFact::Muted(true) => Entry::new("<- mic", "muted"),
        MicFact::Muted(false) => Entry::new("<- mic", "unmuted"),
    }
}

fn control_entry(control: &Control) -> Entry {
    let entry = |what| Entry::new("<- person", what);
    match control {
        Control::Volume(percent) => entry("volume").of("percent", *percent),
        Control::VolumeBy(step) if *step < 0 => entry("softer").of("percent", step.unsigned_abs()),
        Control::VolumeBy(step) => entry("louder").of("percent", step.unsigned_abs()),
        Control::Mute(true) => entry("mute"),
        Control::Mute(false) => entry("unmute"),
        Control::Stop => entry("stop"),
        Control::Repeat => entry("repeat"),
        Control::Reset => entry("reset"),
        Control::VisitOver => entry("visit over"),
        Control::End => entry("end"),
        Control::Listen => entry("listen"),
        Control::AskTap(_) => entry("ask for a tap"),
        Control::Confirm => entry("confirm"),
        Control::Tell(_) => entry("tell"),
        Control::Ring(true) => entry("ring"),
        Control::Ring(false) => entry("ring no more"),
        Control::Hush => entry("hush"),
        Control::Voice { .. } => entry("voice"),
    }
}

fn tool_reply(reply: &ToolReply, to: &Recorder) -> Entry {
    let entry = Entry::new("<- tools", "reply").name(to.name(&reply.name));
    entry.note(if reply.result.is_ok() { "done" } else { "failed" })
}

fn link_event(event: &LinkEvent) -> Entry {
    let entry = |what| Entry::new("<- link", what);
    match event {
        LinkEvent::Connected => entry("connected"),
        LinkEvent::Alive => entry("alive").stream(),
        LinkEvent::Message(_) => entry("message"),
        LinkEvent::Garbage(text) => entry("garbage").stream().sum("bytes", text.len() as u64),
        LinkEvent::Down(closing) => down(entry("down"), closing),
    }
}

fn down(entry: Entry, closing: &Closing) -> Entry {
    match closing {
        Closing::Frame { code, reason } if reason.is_empty() => entry.of("code", *code),
        Closing::Frame { code, reason } => entry.of("code", *code).note(cause(reason)),
        Closing::Http(status) => entry.of("HTTP status", *status),
        Closing::Network(why) | Closing::Error(why) => entry.note(cause(why)),
        Closing::Certificate(_) => entry.note("the certificate is not accepted"),
        Closing::Clock(_) => entry.note("the clock of this machine is not set"),
        Closing::Portal(_) => entry.note("a sign-in page answers instead of the service"),
        Closing::Broker(_) => entry.note("the broker gave no token"),
    }
}

/// One entry for each thing that the message says: it may say many.
fn server_message(message: &server::Message, at: Time, to: &Recorder) {
    let entry = |what| Entry::new("<- link", what);
    let flags = [
        (message.setup_complete, "setup complete"),
        (message.interrupted, "interrupted"),
        (message.generation_complete, "generation complete"),
        (message.handle.is_some(), "handle"),
    ];
    flags.iter().filter(|(is_said, _)| *is_said).for_each(|(_, what)| to.add(at, entry(what)));
    for (what, text) in [("user text", &message.user_text), ("model text", &message.model_text)] {
        if let Some(text) = text {
            to.add(at, entry(what).stream().sum("bytes", text.len() as u64));
        }
    }
    let ms: u64 = message.audio.iter().map(chunk_ms).sum();
    if !message.audio.is_empty() {
        to.add(at, entry("audio").stream().sum("ms", ms));
    }
    for call in &message.calls {
        to.add(at, entry("call").name(to.name(&call.name)));
    }
    if !message.cancelled.is_empty() {
        to.add(at, entry("calls cancelled").of("calls", message.cancelled.len() as u64));
    }
    match message.interaction {
        Some(server::Interaction::InProgress) => to.add(at, entry("in progress")),
        Some(server::Interaction::Idle) => to.add(at, entry("idle")),
        None => {}
    }
    if message.turn_complete {
        to.add(at, entry("turn complete").note(turn_note(message.turn_reason.as_deref())));
    }
    if let Some(left) = message.go_away {
        to.add(at, entry("go away").of("ms", u64::try_from(left.as_millis()).unwrap_or(u64::MAX)));
    }
    if let Some(usage) = &message.usage {
        to.add(at, tokens(entry("usage"), usage));
    }
    if let Some(text) = &message.error {
        to.add(at, entry("error").note(cause(text)));
    }
    if !message.unknown.is_empty() {
        to.add(at, entry("unknown kinds").stream().sum("kinds", message.unknown.len() as u64));
    }
}

fn link_order(order: &LinkOrder, to: &Recorder) -> Entry {
    let entry = |what| Entry::new("-> link", what);
    match order {
        LinkOrder::Open { attempt, .. } => entry("open").last("attempt", *attempt),
        LinkOrder::Ping => entry("ping").stream(),
        LinkOrder::Close => entry("close"),
        LinkOrder::Send(message) => match message {
            client::Message::Setup(setup) => entry("setup").of("bytes", setup.to_string().len() as u64),
            client::Message::ActivityStart => entry("activity start"),
            client::Message::Video(jpeg) => entry("picture").sum("bytes", jpeg.len() as u64),
            client::Message::Audio(speech) => entry("audio").stream().sum("ms", speech_ms(speech)),
            client::Message::ActivityEnd => entry("activity end"),
            client::Message::ToolResponse { name, .. } => entry("tool response").name(to.name(name)),
            client::Message::Text(text) => entry("text").of("bytes", text.len() as u64),
            client::Message::History(said) => entry("history").of("turns", said.len() as u64),
        },
    }
}

fn speaker_order(order: &SpeakerOrder) -> Entry {
    let entry = |what| Entry::new("-> speaker", what);
    match order {
        SpeakerOrder::Play { epoch, chunk } => entry("play").stream().of("epoch", epoch.0).sum("ms", chunk_ms(chunk)),
        SpeakerOrder::End { epoch } => entry("end").of("epoch", epoch.0),
        SpeakerOrder::Flush { epoch } => entry("flush").of("epoch", epoch.0),
        SpeakerOrder::Volume(percent) => entry("volume").of("percent", *percent),
        SpeakerOrder::Cue(cue) => entry("cue").note(cue_note(*cue)),
        SpeakerOrder::Wake => entry("wake"),
        SpeakerOrder::Duck(true) => entry("duck"),
        SpeakerOrder::Duck(false) => entry("unduck"),
    }
}

/// The entry of an event.
pub fn event(what: &What, to: &Recorder) -> Entry {
    let entry = |what| Entry::new(EVENT, what);
    match what {
        What::LinkOpening => entry("link opening"),
        What::LinkReady { setup_ms, start } => entry("link ready").last("ms", *setup_ms).note(start_note(*start)),
        What::LinkLeaving { left_ms } => entry("link leaving").of("ms", *left_ms),
        What::LinkClosed { cause } => entry("link closed").note(closed_note(*cause)),
        What::SessionLost { why } => entry("session lost").note(cause(why)),
        What::LinkDown { why } => entry("link down").note(cause(why)),
        What::Pressed => entry("pressed"),
        What::Released => entry("released"),
        What::GateOpened { cause } => entry("gate opened").note(open_note(*cause)),
        What::WindowOpened => entry("window opened"),
        What::SpeechSent { ms } => entry("speech sent").stream().sum("ms", *ms),
        What::GateClosed { cause } => entry("gate closed").note(close_note(*cause)),
        What::WindowClosed { sent_ms } => entry("window closed").of("ms", *sent_ms),
        What::PressDropped { cause } => entry("press dropped").note(drop_note(*cause)),
        What::SpeechLost { ms, why } => entry("speech lost").sum("ms", *ms).note(cause(why)),
        What::UserText { text } => entry("user text").stream().last("bytes", text.len() as u64),
        What::ModelText { epoch, text } => {
            entry("model text").stream().of("epoch", epoch.0).sum("bytes", text.len() as u64)
        }
        What::Usage { turn, turn_microusd, session_microusd, day_tokens, day_microusd } => tokens(entry("usage"), turn)
            .of("microusd", *turn_microusd)
            .of("of the session", *session_microusd)
            .of("of the day", *day_microusd)
            .of("day's tokens", *day_tokens),
        What::DaySpent { why } => entry("day spent").note(cause(why)),
        What::Cue { cue } => entry("cue").note(cue_note(*cue)),
        What::Muted { is_muted, by_line } => {
            let who = if *by_line { "by the switch" } else { "by a person" };
            entry(if *is_muted { "muted" } else { "unmuted" }).note(who)
        }
        What::VolumeSet { percent } => entry("volume set").of("percent", *percent),
        What::ConversationReset => entry("conversation reset"),
        What::ReplyRepeated { epoch } => entry("reply repeated").of("epoch", epoch.0),
        What::Ducked { is_ducked } => entry(if *is_ducked { "ducked" } else { "unducked" }),
        What::EchoState { duplex, erle_db } => entry(duplex_what(*duplex)).last("ERLE dB", erle_db.max(0.0) as u64),
        What::Ringing { is_ringing } => entry(if *is_ringing { "ringing" } else { "ringing no more" }),
        What::Asked { .. }
        | What::VoiceChosen { .. }
        | What::Shown { .. }
        | What::Recording { .. }
        | What::CameraRuns { .. }
        | What::LineSet { .. }
        | What::StillSent { .. } => watched_event(what, to),
        What::NoticeTold => entry("notice told"),
        What::NoticeLost { why } => entry("notice lost").note(cause(why)),
        What::Woken => entry("woken"),
        What::FollowUp { is_open } => entry(if *is_open { "follow-up open" } else { "follow-up over" }),
        What::Xrun { part } => entry("xrun").name(to.name(part)),
        What::Trouble { part, text } => entry("trouble").name(to.name(part)).note(cause(text)),
        What::Recovered { part } => entry("recovered").name(to.name(part)),
        What::ReplyStarted { .. }
        | What::ReplyReceived { .. }
        | What::ReplyHeard { .. }
        | What::ReplyGenerated { .. }
        | What::ReplyDrained { .. }
        | What::ReplyCut { .. }
        | What::ReplySilent { .. }
        | What::ReplyConcealed { .. }
        | What::ReplyLost { .. }
        | What::TurnOver { .. }
        | What::NoAnswer { .. } => reply_event(what),
        What::ToolCalled { .. } | What::ToolAnswered { .. } | What::ToolCancelled { .. } | What::ToolLost { .. } => {
            tool_event(what, to)
        }
    }
}

/// What is seen, shown, switched and chosen, and what is kept of it.
fn watched_event(what: &What, to: &Recorder) -> Entry {
    let entry = |what| Entry::new(EVENT, what);
    match what {
        What::Recording { job } => entry(if job.is_some() { "recording" } else { "recording no more" }),
        What::LineSet { line, active } => {
            entry("line set").name(to.name(line)).note(if *active { "active" } else { "inactive" })
        }
        What::Asked { within_ms } => entry("asked").of("ms", *within_ms),
        What::VoiceChosen { .. } => entry("voice chosen"),
        What::Shown { text, .. } => entry("shown").last("bytes", text.len() as u64),
        What::CameraRuns { is_running } => entry(if *is_running { "camera runs" } else { "camera rests" }),
        What::StillSent { why, bytes, age_ms, .. } => {
            let why = match why {
                Occasion::Speaking => "while speaking",
                Occasion::Looked => "asked for",
                Occasion::Shown => "shown with the button",
            };
            entry("still sent").note(why).sum("bytes", *bytes as u64).last("age ms", *age_ms)
        }
        _ => entry("event"),
    }
}

fn reply_event(what: &What) -> Entry {
    let entry = |what| Entry::new(EVENT, what);
    match what {
        What::ReplyStarted { epoch } => entry("reply started").of("epoch", epoch.0),
        What::ReplyReceived { epoch, ms } => entry("reply received").stream().of("epoch", epoch.0).sum("ms", *ms),
        What::ReplyHeard { epoch } => entry("reply heard").of("epoch", epoch.0),
        What::ReplyGenerated { epoch } => entry("reply generated").of("epoch", epoch.0),
        What::ReplyDrained { epoch, heard_ms } => entry("reply drained").of("epoch", epoch.0).last("ms", *heard_ms),
        What::ReplyCut { epoch, received_ms, by_user } => {
            let who = if *by_user { "by the user" } else { "by the service" };
            entry("reply cut").of("epoch", epoch.0).last("ms", *received_ms).note(who)
        }
        What::ReplySilent { epoch, heard_ms } => entry("reply silent").of("epoch", epoch.0).last("ms", *heard_ms),
        What::ReplyConcealed { epoch } => entry("reply concealed").of("epoch", epoch.0),
        What::ReplyLost { epoch, why, is_asked_again } => {
            let entry = entry(if *is_asked_again { "reply asked again" } else { "reply lost" });
            epoch.map_or(entry, |epoch| entry.of("epoch", epoch.0)).note(cause(why))
        }
        What::TurnOver { reason } => entry("turn over").note(turn_note(reason.as_deref())),
        What::NoAnswer { waited_ms } => entry("no answer").of("ms", *waited_ms),
        _ => entry("event"),
    }
}

fn tool_event(what: &What, to: &Recorder) -> Entry {
    let entry = |what| Entry::new(EVENT, what);
    match what {
        What::ToolCalled { name, .. } => entry("tool called").name(to.name(name)),
        What::ToolAnswered { name, result, took_ms, .. } => {
            let note = if result.is_ok() { "done" } else { "failed" };
            entry("tool answered").name(to.name(name)).last("ms", *took_ms).note(note)
        }
        What::ToolCancelled { .. } => entry("tool cancelled"),
        What::ToolLost { name, is_told, .. } => {
            let note = if *is_told { "the model was told" } else { "the model was not told" };
            entry("tool lost").name(to.name(name)).note(note)
        }
        _ => entry("event"),
    }
}

fn tokens(entry: Entry, usage: &Usage) -> Entry {
    entry.of("tokens", usage.total)
}

fn speech_ms(speech: &Speech) -> u64 {
    speech.frames().len() as u64 * 1000 / u64::from(UPLINK_RATE.0)
}

fn chunk_ms(chunk: &Chunk) -> u64 {
    chunk.frames.len() as u64 * 1000 / u64::from(chunk.rate.0.max(1))
}

#[cfg(test)]
mod tests;
