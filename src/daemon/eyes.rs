//! The camera's thread, where the agent uses a camera and the board has one.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, mpsc};

use super::{Daemon, Options};
use crate::config::board;
use crate::eyes::run::{Eyes, Parts, spawn};
use crate::flow::{Event, SHOTS_MAX, Shot};
use crate::session::run::Watcher;

/// The camera as the other rooms reach it; all of it is of no effect where there is none.
#[derive(Clone, Default)]
pub(super) struct Sight {
    pub(super) eyes: Option<Eyes>,
    /// Whether the hardware's mute line silences the device; the microphone's thread writes it.
    pub(super) is_muted_by_line: Arc<AtomicBool>,
}

impl Daemon {
    /// Starts the thread. Answers its pictures' end, too.
    pub(super) fn start_eyes(
        &mut self,
        options: &Options,
        watcher: &Watcher,
    ) -> anyhow::Result<(Sight, mpsc::Receiver<Shot>)> {
        let (shots, from_eyes) = mpsc::sync_channel(SHOTS_MAX);
        let has = |line: &str| options.profile.lines.contains_key(line);
        // Until the line was looked at it is taken for active.
        let is_muted_by_line = Arc::new(AtomicBool::new(has(board::MUTE)));
        let sight = Sight { eyes: None, is_muted_by_line: is_muted_by_line.clone() };
        let Some(camera) = options.profile.camera.clone().filter(|_| options.agent.see.is_on()) else {
            return Ok((sight, from_eyes));
        };
        let (watcher, clock) = (watcher.clone(), options.clock.clone());
        let (eyes, bell, thread) = spawn(Parts {
            board: options.board.clone(),
            clock: options.clock.clone(),
            extra_ca_pem: options.extra_ca_pem.clone(),
            see: options.agent.see,
            camera,
            has_lamp: has(board::CAMERA_LED),
            has_shutter: has(board::SHUTTER),
            is_muted_by_line,
            shots,
            core_bell: self.core_bell.clone(),
            tell: Box::new(move |what| watcher(&Event { at: clock.now(), what })),
            stop: self.stop.clone(),
        })?;
        self.bells.push(bell);
        self.threads.push(thread);
        Ok((Sight { eyes: Some(eyes), ..sight }, from_eyes))
    }
}
