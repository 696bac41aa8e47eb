//! What `mynah run` says of what happens: one line an owner would want, no speech above DEBUG.

use std::sync::{Mutex, PoisonError};

use crate::flow::{Closed, Duplex, Event, Start, What};

/// A watcher that logs each event by its consequence.
pub fn logger() -> impl Fn(&Event) + Send + Sync {
    // Why there is no connection, while there is none: an hour without network is one line, not a hundred.
    let told = Mutex::new(None::<String>);
    move |event| {
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        match &event.what {
            What::LinkReady { .. } => *told = None,
            What::LinkDown { why } if told.as_ref() == Some(why) => {
                return tracing::debug!("still no connection: {why}");
            }
            What::LinkDown { why } => *told = Some(why.clone()),
            _ => {}
        }
        log(event);
    }
}

fn log(event: &Event) {
    match &event.what {
        What::LinkReady { setup_ms, start } => {
            let how = match start {
                Start::Fresh => "a new conversation",
                Start::Told => "a new conversation, told the last words of the old one",
                Start::Resumed => "the conversation goes on",
            };
            tracing::info!(setup_ms, "ready: the service took the set-up; {how}");
        }
        What::LinkClosed { cause: Closed::Idle } => {
            tracing::info!("nobody speaks: the connection rests until somebody does")
        }
        What::LinkClosed { cause: Closed::Spent } => tracing::info!("the connection is closed until tomorrow"),
        What::LinkClosed { cause: Closed::Ended } => tracing::info!("the conversation was ended"),
        What::LinkClosed { cause: Closed::Rotation } => tracing::info!("the connection is changed for a new one"),
        What::SessionLost { why } => tracing::warn!("the conversation cannot be gone on with: {why}"),
        What::ReplyLost { why, is_asked_again: true, .. } => {
            tracing::warn!("no whole reply, it is asked for again: {why}")
        }
        What::ReplyLost { why, .. } => tracing::warn!("a reply is lost, and the user told so: {why}"),
        What::ToolLost { name, is_told, .. } => {
            tracing::warn!(name, is_told, "a tool's result came too late for its connection")
        }
        What::NoticeLost { why } => tracing::warn!("something that the device had to tell is not told: {why}"),
        What::DaySpent { why } => tracing::warn!("{why}"),
        What::EchoState { duplex: Duplex::Half, erle_db } => tracing::warn!(
            erle_db,
            "the echo canceller cannot keep up with this room: while the device speaks only the button cuts it. Turn the \
             loudspeaker down or move it away from the microphone; `mynah doctor` measures it"
        ),
        What::EchoState { duplex: Duplex::Full, erle_db } => {
            tracing::info!(erle_db, "the echo canceller does its work: a voice cuts a reply")
        }
        What::Recording { job: Some(job) } => tracing::info!(job, "a job is recorded"),
        What::Recording { job: None } => tracing::info!("the job is over; nothing is recorded"),
        What::Muted { is_muted: true, by_line: true } => tracing::info!("muted by the hardware's switch"),
        What::Muted { is_muted: true, .. } => tracing::info!("muted: nothing of what is said leaves the device"),
        What::Muted { is_muted: false, .. } => tracing::info!("not muted any more"),
        What::CameraRuns { is_running: true } => tracing::info!("the camera runs"),
        What::CameraRuns { is_running: false } => tracing::info!("the camera runs no more"),
        What::StillSent { why, bytes, age_ms, .. } => tracing::info!(?why, bytes, age_ms, "picture sent"),
        What::Asked { .. } => tracing::info!("a tool waits for a person's yes by the button"),
        What::VoiceChosen { .. } => tracing::info!("another voice or language is chosen for the next conversation"),
        What::Ringing { is_ringing: true } => tracing::info!("a timer or an alarm rings"),
        What::Ringing { is_ringing: false } => tracing::info!("it rings no more"),
        What::VolumeSet { percent } => tracing::info!(percent, "volume set"),
        What::ConversationReset => tracing::info!("a new conversation was asked for: the old one is forgotten"),
        What::LinkDown { why } => tracing::warn!("no connection: {why}"),
        What::Trouble { part, text } => tracing::warn!(part, "{text}"),
        What::Recovered { part } => tracing::info!(part, "works"),
        What::NoAnswer { waited_ms } => tracing::warn!(waited_ms, "the model did not answer"),
        What::SpeechLost { ms, why } => tracing::warn!(ms, "speech was lost: {why}"),
        What::ReplyCut { epoch, by_user, .. } => tracing::info!(epoch = epoch.0, by_user, "the reply was cut"),
        What::ToolCalled { name, .. } => tracing::info!(name, "tool called"),
        What::ToolAnswered { name, result, took_ms, .. } => {
            tracing::info!(name, took_ms, ok = result.is_ok(), "tool answered");
            tracing::debug!(name, ?result, "tool result");
        }
        What::LineSet { line, active } => tracing::info!(line, active, "line set"),
        What::SpeechSent { .. } | What::ReplyReceived { .. } => tracing::trace!(what = ?event.what, at = %event.at),
        other => tracing::debug!(what = ?other, at = %event.at),
    }
}
