//! The listening light: on while the gate is open, on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;

use crate::config::board;
use crate::flow::{Event, What};
use crate::hw::{Board, LineTrouble};
use crate::session::run::Watcher;

/// How long a light that cannot be had is left alone, unless something new is wanted of it.
const RETRY: Duration = Duration::from_secs(2);

/// Hangs the light onto `watcher`; the thread ends when the new watcher is dropped.
///
/// # Errors
/// The system has no thread to give.
pub fn hang(
    watcher: Watcher,
    board: Arc<dyn Board>,
    tell: impl Fn(Result<(), LineTrouble>) + Send + 'static,
) -> anyhow::Result<(Watcher, JoinHandle<()>)> {
    // The newest wish is all that counts: one place in the queue says that there is one.
    let is_wanted = Arc::new(AtomicBool::new(false));
    let (sender, wishes) = mpsc::sync_channel::<()>(1);
    let wish = is_wanted.clone();
    let light = std::thread::Builder::new().name("light".into());
    let light = light.spawn(move || shine(&*board, &is_wanted, &wishes, tell)).context("no thread for the light")?;
    let watcher = Arc::new(move |event: &Event| {
        if let Some(is_on) = is_listening(&event.what) {
            wish.store(is_on, Ordering::SeqCst);
            let _ = sender.try_send(());
        }
        watcher(event);
    });
    Ok((watcher, light))
}

/// Shows on the board's light what is wanted, until nobody wants anything any more; then it is off. A line that
/// another program holds, or that went away with its chip, is taken when it can be had; its trouble is told once.
fn shine(
    board: &dyn Board,
    is_wanted: &AtomicBool,
    wishes: &mpsc::Receiver<()>,
    tell: impl Fn(Result<(), LineTrouble>),
) {
    let mut told: Option<LineTrouble> = None;
    loop {
        let lit = board.open_output(board::LED).and_then(|mut light| {
            light.set(is_wanted.load(Ordering::SeqCst))?;
            if told.take().is_some() {
                tell(Ok(()));
            }
            while let Ok(()) = wishes.recv() {
                light.set(is_wanted.load(Ordering::SeqCst))?;
            }
            light.set(false)
        });
        let Err(trouble) = lit else { return };
        if told.as_ref() != Some(&trouble) {
            tell(Err(trouble.clone()));
            told = Some(trouble);
        }
        if wishes.recv_timeout(RETRY) == Err(mpsc::RecvTimeoutError::Disconnected) {
            return;
        }
    }
}

/// Whether an event turns the listening light on or off.
fn is_listening(what: &What) -> Option<bool> {
    match what {
        What::Pressed | What::GateOpened { .. } => Some(true),
        What::GateClosed { .. } | What::PressDropped { .. } => Some(false),
        _ => None,
    }
}
