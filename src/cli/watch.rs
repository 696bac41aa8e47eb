//! What `mynah run` says of what happens: one line an owner would want, no speech above DEBUG.

use crate::flow::{Event, What};

/// Logs one event by its consequence.
pub fn log(event: &Event) {
    match &event.what {
        What::LinkReady { setup_ms } => tracing::info!(setup_ms, "ready: the service took the set-up"),
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
