//! The fleet's thread, and what it sees of the rest of the program.

use std::sync::Arc;

use anyhow::Context;

use super::{Daemon, Ending, Options};
use crate::fleet::Post;
use crate::fleet::run::{self, Ear, Parts};
use crate::flow::Event;
use crate::session::run::Watcher;

impl Daemon {
    /// The watcher, with the fleet's ear hung onto it where the device is one of a fleet.
    pub(super) fn with_fleet(&mut self, options: &Options) -> anyhow::Result<Watcher> {
        let watcher = options.watcher.clone();
        let (Some(fleet), Some(desk)) = (&options.agent.fleet, &options.fleet) else { return Ok(watcher) };
        let bell = self.bell();
        let (ear, ring) = (Ear::new(&options.agent, bell.clone()), bell.clone());
        let post = Arc::new(Post::new(&fleet.topic, desk.device(), move || ring.ring()));
        let (told, clock, ask) = (watcher.clone(), options.clock.clone(), self.ask.clone());
        let (heard, settings) = (ear.clone(), options.settings.clone());
        let parts = Parts {
            fleet: fleet.clone(),
            desk: desk.clone(),
            board_name: options.profile.name.clone(),
            clock: options.clock.clone(),
            post: post.clone(),
            is_alive: self.is_alive.clone(),
            tell: Box::new(move |what| {
                let event = Event { at: clock.now(), what };
                heard.hear(&event);
                told(&event);
            }),
            may_restart: Box::new(move || settings.as_ref().map_or(Ok(()), |settings| settings.may_restart())),
            restart: Box::new(move || drop(ask.send(Ending::Restart))),
            bell,
            stop: self.stop.clone(),
        };
        self.fleet = Some(post);
        self.threads.push(run::spawn(parts, ear.clone()).context("no thread for the fleet")?);
        Ok(Arc::new(move |event: &Event| {
            ear.hear(event);
            watcher(event);
        }))
    }
}
