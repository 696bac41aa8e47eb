//! The rest of the program, as the demo needs it: configuration, boards, and the daemon against an emulator of
//! its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;

use super::demo::{House, Show, Stop};
use super::{exit, load, sounds};
use crate::config::agent::Agent;
use crate::config::board::Board as Profile;
use crate::daemon::{Daemon, Options};
use crate::emulator::run::{self as emulator, ServeOptions};
use crate::emulator::{Script, Sound, Sounds};
use crate::hw::{self, Board, Clock};
use crate::trace::Recorder;

/// The path that a Live client asks for.
pub(super) const LIVE_PATH: &str = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent";
/// The emulator takes any key, but wants one.
const DEMO_KEY: &str = "demo";

/// This program.
#[derive(Default)]
pub struct Mynah {
    /// The agent file, and the board that it must fit.
    pub setting: Option<(PathBuf, String)>,
}

impl House for Mynah {
    fn agent(&self) -> anyhow::Result<Agent> {
        let Some((config, board)) = &self.setting else { return Ok(Agent::default()) };
        load::both(Some(config), board).map(|(agent, _)| agent)
    }

    fn profile(&self, name: &str) -> anyhow::Result<Profile> {
        load::board(name)
    }

    fn open(&self, profile: &Profile, clock: Arc<dyn Clock>) -> anyhow::Result<Arc<dyn Board>> {
        Ok(hw::open::open(profile.clone(), clock))
    }

    fn start(&self, show: Show) -> anyhow::Result<Stop> {
        let extra_ca_pem = load::extra_ca(&show.agent)?;
        let script = match &show.script_file {
            Some(file) => emulator::load(file, recordings()?).map_err(|e| exit::config(e.to_string()))?,
            None => Script::parse(&show.script, &recordings()?)?,
        };
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let emulator = emulator::spawn(here, ServeOptions::new(script)).context("the emulator does not start")?;
        let mut agent = show.agent;
        agent.endpoint = format!("ws://{}{LIVE_PATH}", emulator.addr);
        agent.token_url = None;
        let daemon = Daemon::start(Options {
            agent,
            profile: show.profile,
            board: show.board,
            clock: show.clock,
            key: Some(DEMO_KEY.into()),
            extra_ca_pem,
            watcher: show.events,
            recorder: Recorder::new([]),
            state: None,
            settings: None,
            fleet: None,
        })?;
        Ok(Box::new(move || {
            daemon.stop();
            emulator.stop();
            Ok(())
        }))
    }
}

/// The bundled recordings, for the emulator's `say`.
pub fn recordings() -> anyhow::Result<Sounds> {
    let mut sounds = Sounds::new();
    for recording in sounds::RECORDINGS {
        let (frames, rate) = recording.frames()?;
        sounds.insert(recording.name, Sound { rate, frames: frames.into(), text: recording.text.into() });
    }
    Ok(sounds)
}
