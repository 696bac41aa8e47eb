//! Watches the line that is active while somebody is there.

use std::thread;
use std::time::Duration;

use tokio::sync::watch;

use super::Parts;
use crate::flow::What;
use crate::hw::{Board, LineTrouble};

/// How long a wait for an edge may take: as soon the thread sees that it is wanted no more.
const EDGE_WAIT: Duration = Duration::from_millis(500);
/// How long a line that could not be had is left alone.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// Its name in troubles.
const PART: &str = "line";

/// The line's level as it changes; none where no line is named. A line that cannot be had tells of nobody.
pub(super) fn watch(parts: &Parts) -> Option<watch::Receiver<bool>> {
    let line = parts.agent.kiosk.presence.clone()?;
    let (board, tell) = (parts.board.clone(), parts.tell.clone());
    let (level, present) = watch::channel(false);
    let told = tell.clone();
    let started = thread::Builder::new().name("presence".into()).spawn(move || {
        let mut told = None;
        while !level.is_closed() {
            let Err(trouble) = follow(&*board, &line, &level, || {
                if told.take().is_some() {
                    tell(What::Recovered { part: PART.to_string() });
                }
            }) else {
                return;
            };
            level.send_replace(false);
            if told.as_ref() != Some(&trouble) {
                tell(What::Trouble { part: PART.to_string(), text: trouble.to_string() });
                told = Some(trouble);
            }
            thread::sleep(RETRY_AFTER);
        }
    });
    if let Err(error) = started {
        told(What::Trouble { part: PART.to_string(), text: format!("no thread watches who is there: {error}") });
    }
    Some(present)
}

/// Forwards the level until nobody wants it; `works` is called when the line could be read.
fn follow(
    board: &dyn Board,
    line: &str,
    level: &watch::Sender<bool>,
    mut works: impl FnMut(),
) -> Result<(), LineTrouble> {
    let mut input = board.open_button(line)?;
    while !level.is_closed() {
        let is_active = input.is_active()?;
        works();
        level.send_if_modified(|known| std::mem::replace(known, is_active) != is_active);
        input.wait(EDGE_WAIT)?;
    }
    Ok(())
}
