//! Files and credentials for the subcommands, with an end that says what to do.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::exit::{self, Exit};
use super::setup::installed::{self, StoredKey};
use crate::config::agent::{self, Agent, endpoint};
use crate::config::board::{self, Board};
use crate::config::problem::Problem;
use crate::hw::fleet::Desk;
use crate::hw::folder::Folder;
use crate::hw::key::{KeyTrouble, load_key};
use crate::hw::process;
use crate::hw::settings::{Owned, Settings};

/// Where the agent file is looked for when none is named.
const CONFIG_PATH: &str = "/etc/mynah/mynah.toml";

/// Why a stored key cannot be had.
const FOR_ROOT: &str = "the API key that `mynah setup` stored cannot be read: only root may, on the machine that it was stored on \
                        (`sudo`); `sudo mynah setup` stores another";

/// `--config`, `--board` and `--endpoint`, for what is to be looked at or run as it stands on the device.
#[derive(Clone, Debug, clap::Args)]
pub struct Setting {
    /// The agent file [default: /etc/mynah/mynah.toml, or built-in settings where there is none]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A board profile: a built-in name (see /usr/share/doc/mynah/boards.md) or a file [default: the one in /etc/default/mynah, else generic]
    #[arg(long, value_name = "NAME|FILE", default_value_t = this_board(), hide_default_value = true)]
    pub board: String,
    /// The service's address instead of the configured one (ws:// for this machine only)
    #[arg(long, value_name = "URL")]
    pub endpoint: Option<String>,
}

impl Setting {
    /// This agent file and this board.
    pub fn of(config: PathBuf, board: String) -> Setting {
        Setting { config: Some(config), board, endpoint: None }
    }

    /// The agent file to read.
    pub fn config_path(&self) -> Option<&Path> {
        config_path(self.config.as_deref())
    }
}

/// The agent file to read: the one that is named, else the usual one where there is one.
pub fn config_path(named: Option<&Path>) -> Option<&Path> {
    let usual = Path::new(CONFIG_PATH);
    named.or_else(|| usual.exists().then_some(usual))
}

/// The board that is meant where none is named: the one of this machine's service, else the least that can be said of any.
pub fn this_board() -> String {
    installed::board().unwrap_or_else(|| board::GENERIC.to_string())
}

/// Keeps keys and speech out of core files. Before a key is read; where it cannot be, the owner is told and it goes on.
pub fn guard_memory() {
    if let Err(why) = process::forbid_core_files() {
        tracing::warn!("a crash may leave a core file with what is in memory ({why})");
    }
}

/// The agent file, or built-in settings where there is none; whatever needs no board.
///
/// # Errors
/// As [`both`].
pub fn agent(config: Option<&Path>) -> anyhow::Result<Agent> {
    let (text, file) = read(config)?;
    agent::parse(&text, &file).map_err(|problems| refuse(&problems))
}

/// The agent file (or built-in settings where there is none) and the board profile, each checked, and against
/// each other: a tool's line must exist on the board.
///
/// # Errors
/// Every problem, a line each, with exit code 78.
pub fn both(config: Option<&Path>, board_name: &str) -> anyhow::Result<(Agent, Board)> {
    let (text, file) = read(config)?;
    let agent = agent::parse(&text, &file).map_err(|problems| refuse(&problems))?;
    let profile = board(board_name)?;
    let mut problems = crate::config::check(&agent, &profile);
    if problems.is_empty() {
        return Ok((agent, profile));
    }
    crate::config::locate(&mut problems, &text, &file);
    Err(refuse(&problems))
}

/// What `mynah run` goes by.
pub struct Loaded {
    /// The agent, as it is in force.
    pub agent: Agent,
    /// The board profile.
    pub profile: Board,
    /// What was chosen at the page.
    pub settings: Settings,
    /// The fleet's configurations; none where the device is none of a fleet.
    pub fleet: Option<Arc<Desk>>,
}

/// As [`both`], for `mynah run`: the fleet's configuration in the place of the agent file where there is one, and what people
/// chose at the page laid over it; `folder` is where both are kept. A configuration that has yet to prove itself is counted
/// as started.
///
/// # Errors
/// As [`both`], of the device's own files: what was sent and what was chosen stops nothing.
pub fn in_force(config: Option<&Path>, board_name: &str, folder: Option<Arc<Folder>>) -> anyhow::Result<Loaded> {
    let (text, name) = read(config)?;
    // What is wrong is told of both files at once.
    let (own, profile) = both(config, board_name)?;
    let mut owned = Owned { text, name };
    let fleet = own.fleet.map(|fleet| {
        let usable = |agent: &Agent| usable(agent).map_err(|why| why.to_string());
        Arc::new(Desk::open(fleet, owned.clone(), profile.clone(), folder.clone(), Box::new(usable)))
    });
    if let Some(desk) = &fleet {
        owned = desk.text();
    }
    let (agent, settings) = Settings::read(owned, profile.clone(), folder).map_err(|problems| refuse(&problems))?;
    Ok(Loaded { agent, profile, settings, fleet })
}

/// The device's own files as they are now, with what people chose at the page laid over them.
///
/// # Errors
/// As [`both`].
pub fn anew(
    config: Option<&Path>,
    board_name: &str,
    folder: Option<Arc<Folder>>,
) -> anyhow::Result<(Agent, Board, Settings)> {
    let (text, name) = read(config)?;
    let (_, profile) = both(config, board_name)?;
    let owned = Owned { text, name };
    let (agent, settings) = Settings::read(owned, profile.clone(), folder).map_err(|problems| refuse(&problems))?;
    Ok((agent, profile, settings))
}

/// Whether there is what a start needs beside the files.
///
/// # Errors
/// As [`key`] and [`extra_ca`].
pub fn usable(agent: &Agent) -> anyhow::Result<()> {
    key(agent)?;
    extra_ca(agent).map(drop)
}

/// A built-in board profile by name, or one from a file.
///
/// # Errors
/// As [`both`]; an unknown name lists those that exist.
pub fn board(name: &str) -> anyhow::Result<Board> {
    if let Some(profile) = board::builtin(name) {
        return board::parse(profile, &format!("board/{name}.toml"), name).map_err(|problems| refuse(&problems));
    }
    let path = Path::new(name);
    let looks_like_file = name.contains('/') || path.extension().is_some_and(|e| e == "toml");
    if !looks_like_file {
        let known: Vec<&str> = board::builtin_names().collect();
        return Err(exit::config(format!(
            "there is no board `{name}`: built in are {}; for your own, name its file (--board ./my-board.toml)",
            known.join(", ")
        )));
    }
    let stem = path.file_stem().map_or_else(|| name.to_string(), |s| s.to_string_lossy().into_owned());
    board::parse(&text(path)?, name, &stem).map_err(|problems| refuse(&problems))
}

/// The API key. One is needed for another machine's service unless a broker gives tokens; the emulator on this
/// machine takes any.
///
/// # Errors
/// Exit code 77, with what to do.
pub fn key(agent: &Agent) -> anyhow::Result<Option<String>> {
    if agent.token_url.is_some() {
        return Ok(None);
    }
    own_key(agent).map(Some)
}

/// The API key, for who shows no token: one that was given, else the one that is stored for the service.
///
/// # Errors
/// As [`key`].
pub fn own_key(agent: &Agent) -> anyhow::Result<String> {
    let no_permission = |message: String| Exit { code: exit::NO_PERMISSION, message }.into();
    match load_key(agent, |name| std::env::var(name).ok()) {
        Ok(key) => Ok(key.reveal().to_string()),
        Err(KeyTrouble::Absent) if endpoint::parse(&agent.endpoint).is_ok_and(|e| e.is_here) => Ok("none".to_string()),
        Err(trouble @ KeyTrouble::Absent) => match installed::stored_key() {
            StoredKey::Absent => Err(no_permission(trouble.to_string())),
            stored => stored.key().map(|key| key.reveal().to_string()).ok_or_else(|| no_permission(FOR_ROOT.into())),
        },
        Err(trouble) => Err(no_permission(trouble.to_string())),
    }
}

/// More certificates to trust.
///
/// # Errors
/// A file that cannot be read, with exit code 78.
pub fn extra_ca(agent: &Agent) -> anyhow::Result<Option<Vec<u8>>> {
    let Some(path) = &agent.extra_ca else { return Ok(None) };
    let pem =
        std::fs::read(path).map_err(|e| exit::config(format!("extra_ca {} cannot be read: {e}", path.display())))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    if !found.is_ok_and(|certificates| !certificates.is_empty()) {
        let sentence = format!(
            "extra_ca {} holds no certificate; a PEM file begins with `-----BEGIN CERTIFICATE-----`",
            path.display()
        );
        return Err(exit::config(sentence));
    }
    Ok(Some(pem))
}

/// The text of the agent file, and its name for the messages.
fn read(config: Option<&Path>) -> anyhow::Result<(String, String)> {
    match config {
        Some(path) => Ok((text(path)?, path.display().to_string())),
        None => Ok((String::new(), "built-in settings".to_string())),
    }
}

fn text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).map_err(|e| exit::config(format!("{} cannot be read: {e}", path.display())))
}

/// All problems, a line each, with exit code 78.
pub(super) fn refuse(problems: &[Problem]) -> anyhow::Error {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let message = match lines.as_slice() {
        [one] => one.clone(),
        many => format!("{} things to put right:\n  {}", many.len(), many.join("\n  ")),
    };
    Exit { code: exit::CONFIG, message }.into()
}
