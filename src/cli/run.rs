//! `mynah run`: the daemon.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::{exit, load, watch};
use crate::config::agent::Agent;
use crate::daemon::{Daemon, Ending, Options};
use crate::hw;

/// Where the agent file is looked for when none is named.
const CONFIG_PATH: &str = "/etc/mynah/mynah.toml";

/// Arguments of `mynah run`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The agent file [default: /etc/mynah/mynah.toml, or built-in settings where there is none]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A board profile: a built-in name (see board/README.md) or a file
    #[arg(long, value_name = "NAME|FILE", default_value = "generic")]
    board: String,
    /// The service's address instead of the configured one (ws:// for this machine only)
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
}

/// Runs until SIGTERM, SIGINT, or a refusal that only a person can mend.
///
/// # Errors
/// With the exit codes of [`exit`].
pub fn run(args: &Args) -> anyhow::Result<()> {
    let signals = hw::signals::hold().context("signals cannot be held back")?;
    let default_path = Path::new(CONFIG_PATH);
    let path = args.config.as_deref().or_else(|| default_path.exists().then_some(default_path));
    let mut agent = match path {
        Some(path) => load::agent(path)?,
        None => Agent::default(),
    };
    if let Some(endpoint) = &args.endpoint {
        agent.endpoint.clone_from(endpoint);
    }
    let profile = load::board(&args.board)?;
    load::check(&agent, &profile)?;
    let key = load::key(&agent)?;
    let extra_ca_pem = load::extra_ca(&agent)?;
    let clock = Arc::new(hw::clock::RealClock::new());
    let board = hw::open::open(&profile, clock.clone());
    let watcher = Arc::new(watch::log);
    tracing::info!(board = profile.name, model = agent.model, mode = ?agent.listen.mode, "starting");
    let daemon = Daemon::start(Options { agent, profile, board, clock, key, extra_ca_pem, watcher })?;
    serve(daemon, signals)
}

/// Waits for the end, feeding systemd's watchdog while the core is alive.
fn serve(daemon: Daemon, signals: hw::signals::Held) -> anyhow::Result<()> {
    let asker = daemon.asker();
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        if signals.wait().is_ok() {
            let _ = asker.send(Ending::Asked);
        }
    })?;
    // Not under systemd this fails, and nobody waits for it.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    let every = sd_notify::watchdog_enabled().map_or(Duration::from_secs(10), |limit| limit / 3);
    let ending = daemon.wait(every, |is_alive| {
        if is_alive {
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
        }
    });
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    daemon.stop();
    match ending {
        Ending::Asked => Ok(()),
        Ending::Refused(refusal) => Err(exit::Exit { code: refusal.exit_code(), message: refusal.to_string() }.into()),
    }
}
