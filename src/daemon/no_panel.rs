//! In place of `panel.rs` where the program was built without the feature `panel`: it is said that there is no page.

use std::convert::Infallible;

use super::{Daemon, Options};
use crate::config::agent::Agent;
use crate::flow::{Event, What};
use crate::session::run::Watcher;

/// There is none.
pub struct Handle(Infallible);

impl Handle {
    /// There is none to stop.
    pub fn stop(self) {
        match self.0 {}
    }
}

/// The watcher as it is.
pub fn hang(watcher: Watcher, _: &Agent) -> (Watcher, Option<()>) {
    (watcher, None)
}

impl Daemon {
    /// Says that there is none, where one is wanted.
    pub(super) fn start_panel(&mut self, options: &Options, _: Option<()>) -> anyhow::Result<()> {
        if options.agent.panel.is_some() {
            let text = "the page of [panel] is not served: this mynah was built without the feature `panel`";
            let what = What::Trouble { part: "panel".to_string(), text: text.to_string() };
            (options.watcher)(&Event { at: options.clock.now(), what });
        }
        Ok(())
    }
}
