//! The tools' thread, and what it sees of the rest of the program.

use std::sync::{Arc, mpsc};

use super::{Daemon, Options};
use crate::config::agent::Tool;
use crate::config::board;
use crate::eyes::run::Eyes;
use crate::flow::{self, Event};
use crate::session::run::Watcher;
use crate::tools;

impl Daemon {
    /// How tools have the job log write something down, where there is one.
    fn ask_job(&self) -> Option<Arc<tools::run::AskJob>> {
        let ear = self.job.as_ref()?.ear();
        Some(Arc::new(move |order, answer| ear.ask(order, answer)))
    }

    /// Starts the thread of the tools. Its answers go to `replies`, the tools that servers list to `lists`.
    pub(super) fn start_tools(
        &mut self,
        options: &Options,
        watcher: &Watcher,
        eyes: Option<Eyes>,
        replies: mpsc::SyncSender<flow::ToolReply>,
        lists: mpsc::SyncSender<Vec<Tool>>,
    ) -> anyhow::Result<tokio::sync::mpsc::Sender<flow::ToolOrder>> {
        let (orders_in, orders) = tokio::sync::mpsc::channel(flow::TOOL_ORDERS_MAX);
        let core_bell = self.core_bell.clone();
        let answer = move |reply| {
            let _ = replies.send(reply);
            core_bell.ring();
        };
        let (watcher, clock) = (watcher.clone(), options.clock.clone());
        let (controls, bell) = (self.controls.clone(), self.core_bell.clone());
        let outside = tools::run::Outside {
            board: options.board.clone(),
            clock: options.clock.clone(),
            tell: Arc::new(move |what| watcher(&Event { at: clock.now(), what })),
            give: Arc::new(move |control| controls.give(control)),
            job: self.ask_job(),
            folder: options.state.clone(),
            active_when_safe: options.profile.active_when_safe(),
            has_confirm_line: options.profile.lines.contains_key(board::CONFIRM),
            has_talk_line: options.profile.lines.contains_key(board::TALK),
            look: eyes.map(|eyes| -> Arc<tools::run::Looker> {
                Arc::new(move || {
                    let eyes = eyes.clone();
                    Box::pin(async move { eyes.look().await })
                })
            }),
            declare: Arc::new(move |tools| {
                let is_taken = lists.try_send(tools).is_ok();
                bell.ring();
                is_taken
            }),
            extra_ca_pem: options.extra_ca_pem.clone(),
            fleet: self.fleet.clone(),
        };
        let handle = tools::run::spawn(&options.agent, outside, orders, answer)?;
        if let Some(ear) = handle.ear() {
            let _ = self.ear.set(ear); // the first and only one; nothing has happened yet
        }
        self.tools = Some(handle);
        Ok(orders_in)
    }
}
