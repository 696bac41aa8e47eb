//! Tools that come while the program runs: servers list them when they are there, and change them as they like.
//!
//! A connection keeps the tools of its setup. So what is new is put by, and the present connection is left for
//! another at the next turn boundary; the handle of the old one is of another conversation then, and the new one is
//! told of it in words.

use super::Session;
use crate::config::agent::{Action, Tool};

impl Session {
    /// The tools of servers, in place of those that came before.
    pub(super) fn handle_tools(&mut self, tools: Vec<Tool>) {
        let of_servers = |tool: &&Tool| matches!(tool.action, Action::Mcp(_));
        if self.agent.tools.iter().filter(of_servers).eq(tools.iter()) {
            self.tools_next = None;
            return;
        }
        self.tools_next = Some(tools);
        if self.link.is_ready() {
            self.leave.want();
        }
    }

    /// A setup is about to be made: it declares what has come since the last.
    pub(super) fn declare_next(&mut self) {
        let Some(tools) = self.tools_next.take() else { return };
        self.agent.tools.retain(|tool| !matches!(tool.action, Action::Mcp(_)));
        self.agent.tools.extend(tools);
        self.rebuild();
    }
}
