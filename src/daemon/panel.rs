//! The panel's thread, and what it sees of the rest of the program.

use std::sync::Arc;

use anyhow::Context;

use super::{Daemon, Ending, Options, reporter};
use crate::config::agent::Agent;
use crate::flow::Event;
use crate::hw::settings;
use crate::panel::run;
pub use crate::panel::run::Handle;
use crate::panel::run::Heard;
use crate::session::run::Watcher;

/// The watcher, with the panel's ear hung onto it where the agent has a panel.
pub fn hang(watcher: Watcher, agent: &Agent) -> (Watcher, Option<Heard>) {
    if agent.panel.is_none() {
        return (watcher, None);
    }
    let (ear, heard) = run::ear(agent);
    let watcher = Arc::new(move |event: &Event| {
        ear.hear(event);
        watcher(event);
    });
    (watcher, Some(heard))
}

impl Daemon {
    /// Starts the panel's thread, where there is something to hear.
    pub(super) fn start_panel(&mut self, options: &Options, heard: Option<Heard>) -> anyhow::Result<()> {
        let Some(heard) = heard else { return Ok(()) };
        let (watcher, clock, controls) = (options.watcher.clone(), options.clock.clone(), self.controls.clone());
        let ask = self.ask.clone();
        let parts = run::Parts {
            agent: options.agent.clone(),
            board_name: options.profile.name.clone(),
            board: options.board.clone(),
            clock: options.clock.clone(),
            give: Arc::new(move |control| controls.give(control)),
            tell: Arc::new(move |what| watcher(&Event { at: clock.now(), what })),
            recorder: options.recorder.clone(),
            is_alive: self.is_alive.clone(),
            mic: self.meters.mic.clone(),
            speaker: self.meters.speaker.clone(),
            state: options.state.clone(),
            settings: options.settings.clone(),
            restart: Arc::new(move || drop(ask.send(Ending::Restart))),
        };
        if let Some(trouble) = options.settings.as_ref().and_then(|settings| settings.trouble()) {
            reporter(options, settings::PART)(Err(trouble));
        }
        self.panel = run::spawn(parts, heard).context("no thread for the panel")?;
        Ok(())
    }
}
