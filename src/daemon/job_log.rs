//! The job log's thread, hung onto what is told, and the procedures that it guides by.

use std::sync::Arc;

use anyhow::Context;

use super::{Daemon, Options, reporter};
use crate::config::agent::job_log;
use crate::config::procedure::Procedure;
use crate::flow::Event;
use crate::hw::jobs;
use crate::job;
use crate::job::recorder::PART;
use crate::session::run::Watcher;

/// The procedures of `[job_log]`, listed to the model with its tools. What is wrong with one is told.
pub(super) fn procedures(options: &mut Options) -> Vec<(String, Procedure)> {
    let log = &options.agent.job_log;
    let Some(folder) = log.procedures.as_ref().filter(|_| log.is_enabled) else { return Vec::new() };
    let (procedures, troubles) = jobs::procedures(folder);
    let tell = reporter(options, PART);
    troubles.into_iter().for_each(|trouble| tell(Err(trouble)));
    job_log::offer(&mut options.agent.tools, &procedures);
    procedures
}

impl Daemon {
    /// The watcher, with the job log hung onto it where there is one.
    pub(super) fn with_job_log(
        &mut self,
        options: &Options,
        procedures: Vec<(String, Procedure)>,
    ) -> anyhow::Result<Watcher> {
        let (log, watcher) = (options.agent.job_log.clone(), options.watcher.clone());
        if !log.is_enabled {
            return Ok(watcher);
        }
        let in_state = options.state.as_ref().map(|state| state.path().join("jobs"));
        let Some(folder) = log.folder.clone().or(in_state) else {
            let why = "no job is recorded: there is no state directory (--state names one), and [job_log] no `folder`";
            reporter(options, PART)(Err(why));
            return Ok(watcher);
        };
        // Not held: the light ends with the last who tells it something, and this thread ends after the light.
        let (clock, told, controls) = (options.clock.clone(), Arc::downgrade(&watcher), self.controls.clone());
        let handle = job::run::spawn(job::run::Parts {
            log,
            folder,
            procedures,
            clock: clock.clone(),
            give: Arc::new(move |control| controls.give(control)),
            tell: Arc::new(move |what| {
                if let Some(told) = told.upgrade() {
                    told(&Event { at: clock.now(), what });
                }
            }),
        })
        .context("no thread for the job log")?;
        let ear = handle.ear();
        self.job = Some(handle);
        Ok(Arc::new(move |event: &Event| {
            ear.hear(event);
            watcher(event);
        }))
    }
}
