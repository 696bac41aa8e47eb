//! What happened, and what is shown then: as stories, a line of words each.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::flow::{Closed, DropCause, OpenCause, Start};
use crate::live::usage::Usage;
use crate::units::{CallId, Epoch};

/// The event that a word of a story stands for.
fn what(word: &str) -> What {
    let text = String::new;
    let (name, argument) = word.split_once(':').unwrap_or((word, ""));
    let part = || argument.to_string();
    match name {
        "ready" => What::LinkReady { setup_ms: 1, start: Start::Fresh },
        "down" => What::LinkDown { why: text() },
        "opening" => What::LinkOpening,
        "rested" => What::LinkClosed { cause: Closed::Idle },
        "closed_spent" => What::LinkClosed { cause: Closed::Spent },
        "press" => What::Pressed,
        "release" => What::Released,
        "drop" => What::PressDropped { cause: DropCause::OnlySilence },
        "open" => What::GateOpened { cause: OpenCause::Button },
        "close" => What::GateClosed { cause: CloseCause::Released },
        "mistake" => What::GateClosed { cause: CloseCause::Mistake },
        "heard" => What::ReplyHeard { epoch: Epoch(1) },
        "generated" => What::ReplyGenerated { epoch: Epoch(1) },
        "drained" => What::ReplyDrained { epoch: Epoch(1), heard_ms: 1 },
        "cut" => What::ReplyCut { epoch: Epoch(1), received_ms: 1, by_user: true },
        "silent" => What::ReplySilent { epoch: Epoch(1), heard_ms: 1 },
        "over" => What::TurnOver { reason: None },
        "lost" => What::ReplyLost { epoch: None, why: text(), is_asked_again: false },
        "again" => What::ReplyLost { epoch: None, why: text(), is_asked_again: true },
        "expired" => What::SpeechLost { ms: 1, why: text() },
        "call" => What::ToolCalled { id: CallId("c".into()), name: text(), args: serde_json::Value::Null },
        "spent" => What::DaySpent { why: text() },
        "mute" => What::Muted { is_muted: true, by_line: false },
        "unmute" => What::Muted { is_muted: false, by_line: false },
        "switch" => What::Muted { is_muted: true, by_line: true },
        "unswitch" => What::Muted { is_muted: false, by_line: true },
        "trouble" => What::Trouble { part: part(), text: text() },
        "works" => What::Recovered { part: part() },
        "duck" => What::Ducked { is_ducked: true },
        "woken" => What::Woken,
        "follow" => What::FollowUp { is_open: true },
        "rings" => What::Ringing { is_ringing: true },
        "hushed" => What::Ringing { is_ringing: false },
        "unfollow" => What::FollowUp { is_open: false },
        "reset" => What::ConversationReset,
        "repeat" => What::ReplyRepeated { epoch: Epoch(1) },
        "cue_offline" => What::Cue { cue: Cue::Offline },
        _ => panic!("{word} is no event of a story"),
    }
}

/// Plays a story: events, numbers that let so many ms pass, and `=Look`, what must be shown then.
fn play(connection: Connection, story: &str) {
    let mut state = State::new(connection);
    let mut now = Time::from_ms(1000);
    for word in story.split_whitespace() {
        if let Some(look) = word.strip_prefix('=') {
            assert_eq!(format!("{:?}", state.look(now)), look, "after {now} of: {story}");
        } else if let Ok(ms) = word.parse() {
            let then = now + Duration::from_millis(ms);
            // Whoever sleeps until the next change sees each of them.
            while let Some(at) = state.next_change(now).filter(|at| *at <= then) {
                let just_before = at.back(Duration::from_micros(1)).max(now);
                assert_eq!(state.look(now), state.look(just_before), "changed too early in: {story}");
                now = at;
            }
            assert_eq!(state.look(now), state.look(then), "a change by time was not foretold in: {story}");
            now = then;
        } else {
            state.handle_event(&Event { at: now, what: what(word) });
        }
    }
}

#[test]
fn conversations_are_shown_as_they_go() {
    for story in [
        "=Starting opening =Starting ready =Idle",
        "ready press =Listening open =Listening release =Listening close =Thinking heard =Speaking generated drained =Idle",
        "ready press open release close heard generated over =Speaking drained =Idle",
        // The turn's end comes late: no thinking in between.
        "ready press open release close heard generated drained =Idle over =Idle",
        // A tool is thought about, also after words that announced it.
        "ready open close heard call drained =Thinking heard =Speaking generated drained over =Idle",
        "ready open close over =Idle",
        "ready open close lost =Idle",
        "ready open close again =Thinking heard =Speaking",
        // Barge-in.
        "ready open close heard press cut =Listening silent open =Listening close =Thinking",
        "ready open close heard duck =Speaking cut silent open =Listening",
        // Presses that come to nothing.
        "ready press =Listening release =Listening drop =Idle",
        "ready press release open =Listening close =Thinking",
        "ready open mistake =Idle",
        "ready press release 10900 =Listening 200 =Idle",
        "ready press open mistake =Idle release =Idle 20000 =Idle",
        "ready press release repeat =Idle heard =Speaking",
        "ready press release reset =Idle",
        // Voice alone.
        "ready drained follow =FollowUp open =Listening close unfollow =Thinking",
        "ready follow =FollowUp unfollow =Idle",
        "ready woken =Listening open =Listening mistake =Idle",
        "ready woken =Listening drop =Idle",
        "ready woken press =Listening drop =Idle",
        "ready woken 10999 =Listening 2 =Idle",
        "ready follow heard =Speaking",
        // A timer.
        "ready rings =Ringing heard =Speaking drained =Ringing hushed =Idle",
        "ready mute rings =Muted unmute =Ringing press =Listening hushed drop =Idle",
    ] {
        play(Connection::OnDemand, story);
    }
}

#[test]
fn a_lost_connection_is_shown_where_somebody_would_notice() {
    for (connection, story) in [
        (Connection::OnDemand, "down =Idle 1999 =Idle 1 =Offline 5000 down 9 =Offline ready =Idle"),
        (Connection::OnDemand, "ready down 5000 =Idle"),
        (Connection::OnDemand, "ready rested 5000 =Idle press open close =Thinking 9000 =Thinking"),
        (Connection::OnDemand, "ready open close down =Thinking 2000 =Offline opening =Offline ready =Thinking"),
        (Connection::OnDemand, "ready open close cue_offline =Offline expired =Idle"),
        (Connection::OnDemand, "ready down 2000 open =Listening close =Offline heard =Speaking"),
        (Connection::KeepOpen, "ready down =Idle 100 ready 5000 =Idle"),
        (Connection::KeepOpen, "ready down =Idle 2000 =Offline open =Listening mistake =Offline ready =Idle"),
        (Connection::OnDemand, "ready spent closed_spent =Spent open =Listening mistake =Spent opening ready =Idle"),
        (Connection::OnDemand, "ready open close spent =Spent heard =Speaking drained =Spent"),
    ] {
        play(connection, story);
    }
}

#[test]
fn mute_and_trouble_are_never_hidden_and_listening_is_never_secret() {
    for story in [
        "ready mute =Muted press =Muted open =Muted mistake heard =Muted spent =Muted trouble:mic =Muted unmute =Trouble",
        "mute switch =MutedByLine unmute =MutedByLine mute unswitch =Muted",
        "switch ready press open heard spent trouble:mic =MutedByLine unswitch =ListeningInTrouble",
        "ready trouble:mic =Trouble heard =Trouble drained =Trouble works:mic =Idle",
        "ready trouble:mic press =Trouble release =Trouble open =ListeningInTrouble close =Trouble",
        "ready press trouble:speaker =ListeningInTrouble open =ListeningInTrouble works:speaker =Listening",
        "ready trouble:line spent down 3000 =Trouble works:line =Spent",
        "ready trouble:speaker open close =Trouble heard =Speaking generated drained =Idle",
        "ready trouble:mic trouble:line works:line =Trouble works:mic =Idle",
        // What a light cannot help with, and what no person at the device misses.
        "ready trouble:light trouble:state trouble:tools trouble:model trouble:link =Idle",
    ] {
        play(Connection::OnDemand, story);
    }
}

/// Every order of a dozen happenings: while the gate is open, the light listens or tells of a mute that lets nothing out.
#[test]
fn while_the_gate_is_open_it_is_shown_whatever_else_happens() {
    let words = "ready down press release drop heard drained cut over spent again lost trouble:mic trouble:speaker works:mic \
        mute unmute switch unswitch follow woken call expired reset repeat cue_offline";
    let words: Vec<&str> = words.split_whitespace().collect();
    let mut dice = 1_u64;
    for _ in 0..2000 {
        let mut state = State::new(Connection::OnDemand);
        let mut now = Time::from_ms(1);
        let (mut is_muted, mut is_switched) = (false, false);
        let opened = Event { at: now, what: what("open") };
        state.handle_event(&opened);
        for _ in 0..20 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let word = words[(dice >> 33) as usize % words.len()];
            now += Duration::from_millis((dice >> 50) % 5000);
            state.handle_event(&Event { at: now, what: what(word) });
            match word {
                "mute" | "unmute" => is_muted = word == "mute",
                "switch" | "unswitch" => is_switched = word == "switch",
                _ => {}
            }
            let look = state.look(now);
            let expected = match (is_switched, is_muted) {
                (true, _) => look == Look::MutedByLine,
                (false, true) => look == Look::Muted,
                (false, false) => matches!(look, Look::Listening | Look::ListeningInTrouble),
            };
            assert!(expected, "{look:?} after {word}");
        }
    }
}

#[test]
fn what_comes_often_changes_nothing() {
    let mut state = State::new(Connection::OnDemand);
    let at = Time::from_ms(5);
    let mut tell = |what: What| state.handle_event(&Event { at, what });
    assert!(tell(what("ready")) && tell(what("open")));
    for what in [
        What::SpeechSent { ms: 20 },
        What::ReplyReceived { epoch: Epoch(1), ms: 20 },
        What::UserText { text: "x".into() },
        What::Usage { turn: Usage::default(), turn_microusd: 1, session_microusd: 1, day_tokens: 1, day_microusd: 1 },
        What::GateOpened { cause: OpenCause::Voice },
    ] {
        assert!(!tell(what.clone()), "{what:?}");
    }
}

#[test]
fn half_duplex_is_known_to_who_asks() {
    let mut state = State::new(Connection::OnDemand);
    assert_eq!(state.duplex(), Duplex::Full);
    let what = What::EchoState { duplex: Duplex::Half, erle_db: 3.0 };
    state.handle_event(&Event { at: Time::ZERO, what });
    assert_eq!(state.duplex(), Duplex::Half);
}
