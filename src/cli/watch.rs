//! What `mynah run` says of what happens: one line an owner would want, no speech above DEBUG.

use std::sync::{Mutex, PoisonError};

use crate::flow::{Event, What};

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
        What::LinkReady { setup_ms, start } => tracing::info!(setup_ms, ?start, "ready: the service took the set-up"),
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
