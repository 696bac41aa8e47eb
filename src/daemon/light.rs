//! The light: follows what the device does, on a thread of its own.
//!
//! The thread sleeps while the pattern stands still, is woken by whatever changes what is shown, and looks at the clock
//! only while the light moves. Whoever tells an event pays for a look at a small struct and, if it changed, for a wake-up.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;

use crate::flow::Event;
use crate::hw::{Board, Clock, Glow, Light, LineTrouble};
use crate::panel::{Look, State, lights};
use crate::session::run::Watcher;
use crate::units::Time;

/// How long a light that cannot be had is left alone, unless something new is to be shown.
const RETRY: Duration = Duration::from_secs(2);

/// Hangs the light onto `watcher`; the thread ends when the new watcher is dropped.
///
/// # Errors
/// The system has no thread to give.
pub fn hang(
    watcher: Watcher,
    board: Arc<dyn Board>,
    clock: Arc<dyn Clock>,
    state: State,
    tell: impl Fn(Result<(), LineTrouble>) + Send + 'static,
) -> anyhow::Result<(Watcher, JoinHandle<()>)> {
    let state = Arc::new(Mutex::new(state));
    // What is to be shown is in the state: one place in the queue says that it is another.
    let (sender, changes) = mpsc::sync_channel::<()>(1);
    let keeper = Keeper { state: state.clone(), clock, changes };
    let light = std::thread::Builder::new().name("light".into());
    let light = light.spawn(move || keeper.shine(&*board, tell)).context("no thread for the light")?;
    let watcher = Arc::new(move |event: &Event| {
        if lock(&state).handle_event(event) {
            let _ = sender.try_send(());
        }
        watcher(event);
    });
    Ok((watcher, light))
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps the light in step.
struct Keeper {
    state: Arc<Mutex<State>>,
    clock: Arc<dyn Clock>,
    changes: mpsc::Receiver<()>,
}

/// Whether the program goes on.
#[derive(PartialEq)]
enum Next {
    Look,
    End,
}

impl Keeper {
    /// Shows what there is to show until nobody tells anything any more; then the light is dark. A light that another
    /// program holds, or that went away with its chip, is taken when it can be had; its trouble is told once.
    fn shine(&self, board: &dyn Board, tell: impl Fn(Result<(), LineTrouble>)) {
        let mut told: Option<LineTrouble> = None;
        loop {
            let shown = board.open_light().and_then(|mut light| {
                self.follow(&mut *light, || {
                    if told.take().is_some() {
                        tell(Ok(()));
                    }
                })?;
                light.show(&[])
            });
            let Err(trouble) = shown else { return };
            if told.as_ref() != Some(&trouble) {
                tell(Err(trouble.clone()));
                told = Some(trouble);
            }
            if self.sleep(Some(RETRY)) == Next::End {
                return;
            }
        }
    }

    /// Shows what there is to show on a light that can be had; `works` is called when it has shown something.
    fn follow(&self, light: &mut dyn Light, mut works: impl FnMut()) -> Result<(), LineTrouble> {
        let lamps = light.lamps();
        let mut glows = vec![Glow::DARK; lamps];
        let mut shown: Option<Vec<Glow>> = None;
        let mut began = (Look::Idle, Time::ZERO);
        loop {
            let now = self.clock.now();
            let state = *lock(&self.state);
            let look = state.look(now);
            // A pattern begins with its beginning, so that flashes can be counted.
            if began.0 != look {
                began = (look, now);
            }
            let (pattern, since) = (lights::pattern(look), now.since(began.1));
            for (index, glow) in glows.iter_mut().enumerate() {
                *glow = pattern.glow(since, index, lamps);
            }
            if shown.as_ref() != Some(&glows) {
                light.show(&glows)?;
                shown.get_or_insert_default().clone_from(&glows);
                works();
            }
            let moves = pattern.next_change(since, lamps);
            let turns = state.next_change(now).map(|at: Time| at.since(now));
            if self.sleep(moves.into_iter().chain(turns).min()) == Next::End {
                return Ok(());
            }
        }
    }

    /// Sleeps so long, or until something is to be shown.
    fn sleep(&self, wait: Option<Duration>) -> Next {
        let woken = match wait {
            Some(wait) => self.changes.recv_timeout(wait),
            None => self.changes.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        if woken == Err(RecvTimeoutError::Disconnected) { Next::End } else { Next::Look }
    }
}

#[cfg(test)]
mod tests;
