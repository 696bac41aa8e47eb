//! Everything that can be put on record, with a secret in each text of it: none may be seen in the dump.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::audio::Hop;
use crate::flow::{CloseCause, Closed, Cue, DropCause, Duplex, LinkReport, Occasion, OpenCause, Start};
use crate::live::client::Said;
use crate::live::close::Refusal;
use crate::live::server::{Call, Interaction};
use crate::session::memory::{Memory, Resumable};
use crate::units::{CallId, Epoch, Hertz};

const SECRET: &str = "Tr0ub4dor";

fn secret() -> String {
    SECRET.to_string()
}

fn id() -> CallId {
    SECRET.into()
}

/// The kind of event after this one, until all were there: a new kind without a place here does not compile.
fn after(what: Option<&What>) -> Option<What> {
    let epoch = Epoch(1);
    Some(match what {
        None => What::LinkOpening,
        Some(What::LinkOpening) => What::LinkReady { setup_ms: 1, start: Start::Fresh },
        Some(What::LinkReady { .. }) => What::LinkLeaving { left_ms: 1 },
        Some(What::LinkLeaving { .. }) => What::LinkClosed { cause: Closed::Idle },
        Some(What::LinkClosed { .. }) => What::SessionLost { why: secret() },
        Some(What::SessionLost { .. }) => What::LinkDown { why: secret() },
        Some(What::LinkDown { .. }) => What::Pressed,
        Some(What::Pressed) => What::Released,
        Some(What::Released) => What::GateOpened { cause: OpenCause::Voice },
        Some(What::GateOpened { .. }) => What::WindowOpened,
        Some(What::WindowOpened) => What::SpeechSent { ms: 20 },
        Some(What::SpeechSent { .. }) => What::GateClosed { cause: CloseCause::Silence },
        Some(What::GateClosed { .. }) => What::WindowClosed { sent_ms: 1 },
        Some(What::WindowClosed { .. }) => What::PressDropped { cause: DropCause::TooShort },
        Some(What::PressDropped { .. }) => What::SpeechLost { ms: 1, why: secret() },
        Some(What::SpeechLost { .. }) => What::UserText { text: secret() },
        Some(What::UserText { .. }) => What::ModelText { epoch, text: secret() },
        Some(What::ModelText { .. }) => What::ReplyStarted { epoch },
        Some(What::ReplyStarted { .. }) => What::ReplyReceived { epoch, ms: 1 },
        Some(What::ReplyReceived { .. }) => What::ReplyHeard { epoch },
        Some(What::ReplyHeard { .. }) => What::ReplyGenerated { epoch },
        Some(What::ReplyGenerated { .. }) => What::ReplyDrained { epoch, heard_ms: 1 },
        Some(What::ReplyDrained { .. }) => What::ReplyCut { epoch, received_ms: 1, by_user: true },
        Some(What::ReplyCut { .. }) => What::ReplySilent { epoch, heard_ms: 1 },
        Some(What::ReplySilent { .. }) => What::ReplyConcealed { epoch },
        Some(What::ReplyConcealed { .. }) => What::Xrun { part: secret() },
        Some(What::Xrun { .. }) => What::TurnOver { reason: Some(secret()) },
        Some(What::TurnOver { .. }) => What::NoAnswer { waited_ms: 1 },
        Some(What::NoAnswer { .. }) => What::ToolCalled { id: id(), name: secret(), args: json!({ SECRET: SECRET }) },
        Some(What::ToolCalled { .. }) => {
            What::ToolAnswered { id: id(), name: secret(), result: Ok(json!(SECRET)), took_ms: 1 }
        }
        Some(What::ToolAnswered { result: Ok(_), .. }) => {
            What::ToolAnswered { id: id(), name: secret(), result: Err(secret()), took_ms: 1 }
        }
        Some(What::ToolAnswered { result: Err(_), .. }) => What::ToolCancelled { id: id() },
        Some(What::ToolCancelled { .. }) => What::LineSet { line: secret(), active: true },
        Some(What::LineSet { .. }) => What::Usage {
            turn: Usage::default(),
            turn_microusd: 1,
            session_microusd: 1,
            day_tokens: 1,
            day_microusd: 1,
        },
        Some(What::Usage { .. }) => What::DaySpent { why: secret() },
        Some(What::DaySpent { .. }) => What::ReplyLost { epoch: Some(epoch), why: secret(), is_asked_again: true },
        Some(What::ReplyLost { .. }) => What::ToolLost { id: id(), name: secret(), is_told: false },
        Some(What::ToolLost { .. }) => What::Cue { cue: Cue::Again },
        Some(What::Cue { .. }) => What::Muted { is_muted: true, by_line: false },
        Some(What::Muted { .. }) => What::VolumeSet { percent: 30 },
        Some(What::VolumeSet { .. }) => What::ConversationReset,
        Some(What::ConversationReset) => What::ReplyRepeated { epoch },
        Some(What::ReplyRepeated { .. }) => What::Ducked { is_ducked: true },
        Some(What::Ducked { .. }) => What::EchoState { duplex: Duplex::Half, erle_db: 9.5 },
        Some(What::EchoState { .. }) => What::Woken,
        Some(What::Woken) => What::NoticeTold,
        Some(What::NoticeTold) => What::NoticeLost { why: secret() },
        Some(What::NoticeLost { .. }) => What::FollowUp { is_open: true },
        Some(What::FollowUp { .. }) => What::Ringing { is_ringing: true },
        Some(What::Ringing { .. }) => What::VoiceChosen { voice: secret(), language: secret() },
        Some(What::VoiceChosen { .. }) => {
            What::Shown { title: secret(), text: secret(), link: secret(), picture: secret() }
        }
        Some(What::Shown { .. }) => What::Asked { within_ms: 1 },
        Some(What::Asked { .. }) => What::CameraRuns { is_running: true },
        Some(What::CameraRuns { .. }) => What::Recording { job: Some(secret()) },
        Some(What::Recording { .. }) => What::StillSent {
            why: Occasion::Looked,
            width: 640,
            height: 480,
            bytes: 5,
            age_ms: 20,
            jpeg: SECRET.as_bytes().to_vec().into(),
        },
        Some(What::StillSent { .. }) => What::Trouble { part: secret(), text: secret() },
        Some(What::Trouble { .. }) => What::Recovered { part: secret() },
        Some(What::Recovered { .. }) => return None,
    })
}

fn chunk() -> Chunk {
    Chunk { rate: Hertz(24_000), frames: vec![0; 480] }
}

fn speech() -> Speech {
    let mut speech = Speech::empty();
    speech.push(&Hop { at: Time::ZERO, frames: [0; crate::audio::HOP_FRAMES] });
    speech
}

fn inputs() -> Vec<Input> {
    let report = |event| Input::Link(LinkReport { attempt: 1, event });
    let call = Call { id: id(), name: secret(), args: serde_json::Map::new() };
    let message = server::Message {
        setup_complete: true,
        user_text: Some(secret()),
        model_text: Some(secret()),
        audio: vec![chunk()],
        interrupted: true,
        generation_complete: true,
        turn_complete: true,
        turn_reason: Some(secret()),
        interaction: Some(Interaction::Idle),
        calls: vec![call],
        cancelled: vec![id()],
        go_away: Some(Duration::from_secs(50)),
        handle: Some(secret()),
        usage: Some(Usage::default()),
        error: Some(secret()),
        unknown: vec![secret()],
    };
    let closings = [
        Closing::Frame { code: 1011, reason: secret() },
        Closing::Http(503),
        Closing::Network(secret()),
        Closing::Certificate(secret()),
        Closing::Clock(secret()),
        Closing::Portal(secret()),
        Closing::Broker(secret()),
        Closing::Error(secret()),
    ];
    let mut inputs = vec![
        Input::Start,
        Input::Today(20_778),
        Input::Gate(GateEvent::Speech(speech())),
        Input::Mic(MicFact::Trouble(secret())),
        Input::Speaker(SpeakerFact::Trouble(secret())),
        Input::Tool(ToolReply { id: id(), name: secret(), result: Err(secret()) }),
        Input::Tool(ToolReply { id: id(), name: secret(), result: Ok(json!(SECRET)) }),
        report(LinkEvent::Garbage(secret())),
        report(LinkEvent::Message(Box::new(message))),
    ];
    inputs.extend(closings.map(|closing| report(LinkEvent::Down(closing))));
    inputs
}

fn outputs() -> Vec<Output> {
    let send = |message| Output::Link(LinkOrder::Send(message));
    let said = vec![Said { by_user: true, text: secret() }];
    let resumable = Some(Resumable { handle: secret(), setup: 1 });
    vec![
        send(client::Message::Setup(Box::new(json!({ "systemInstruction": SECRET })))),
        send(client::Message::Audio(Box::new(speech()))),
        send(client::Message::ToolResponse {
            id: id(),
            name: secret(),
            response: json!({ "output": SECRET }),
            picture: None,
        }),
        send(client::Message::Text(secret())),
        send(client::Message::History(said.clone())),
        Output::Speaker(SpeakerOrder::Play { epoch: Epoch(1), chunk: chunk() }),
        Output::Tool(ToolOrder::Run(Call { id: id(), name: secret(), args: serde_json::Map::new() })),
        Output::Tool(ToolOrder::Cancel(id())),
        Output::Keep(Box::new(Memory { resumable, said, ..Memory::default() })),
        Output::Refused(Refusal::Key(secret())),
    ]
}

#[test]
fn no_text_of_anybody_is_in_the_dump() {
    let recorder = Recorder::new(["lamp".to_string()]);
    let (mut events, mut what) = (0, after(None));
    while let Some(kind) = what {
        recorder.add(Time::ZERO, event(&kind, &recorder));
        events += 1;
        what = after(Some(&kind));
    }
    assert!(events > 30);
    inputs().iter().for_each(|one| input(one, Time::ZERO, &recorder));
    outputs().iter().for_each(|one| output(one, Time::ZERO, &recorder));
    let text = recorder.text();
    assert!(!text.to_lowercase().contains(&SECRET.to_lowercase()), "{text}");
    // It was there to be seen: each has a line of its own.
    for piece in ["link down", "tool called", "(unknown name)", "user text", "-> disk", "code 1011"] {
        assert!(text.contains(piece), "{piece}:\n{text}");
    }
    assert!(text.lines().count() > 70, "{text}");
}

#[test]
fn a_reader_sees_what_came_how_much_and_why() {
    let recorder = Recorder::new(["lamp".to_string(), "mic".to_string()]);
    let set = What::LineSet { line: "lamp".into(), active: true };
    let down = What::LinkDown { why: "the server closed with code 1011: You exceeded your current quota".into() };
    for what in [set, down] {
        recorder.add(Time::from_ms(1500), event(&what, &recorder));
    }
    due(Reason::Answer, Duration::from_millis(3), Time::from_ms(8000), &recorder);
    for what in ["line set", "lamp", "active", "the quota is used up", "no answer", "late ms 3", "8.000"] {
        assert!(recorder.text().contains(what), "{what}:\n{}", recorder.text());
    }
}
