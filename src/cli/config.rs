//! `mynah config`: whether an agent file and a board profile are right, before the device finds out.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use super::{exit, load, state};
use crate::config::agent::{Agent, overlay};
use crate::hw::{fleet, jobs, settings};
use crate::tools::lint;

/// Arguments of `mynah config`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, clap::Subcommand)]
enum Task {
    /// Reads an agent file and says what is wrong with it, line by line, also with the board; 78 where anything is
    Check(CheckArgs),
}

/// Arguments of `mynah config check`.
#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// The agent file [default: /etc/mynah/mynah.toml, or built-in settings where there is none]
    #[arg(value_name = "FILE")]
    config: Option<PathBuf>,
    /// A board profile: a built-in name (see /usr/share/doc/mynah/boards.md) or a file [default: the one in /etc/default/mynah, else generic]
    #[arg(long, value_name = "NAME|FILE", default_value_t = load::this_board(), hide_default_value = true)]
    board: String,
}

/// Does it.
///
/// # Errors
/// Every problem, a line each, with exit code 78.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let Task::Check(check) = &args.task;
    let path = load::config_path(check.config.as_deref());
    let (agent, profile) = load::both(path, &check.board)?;
    let file = path.map_or_else(|| "the built-in settings".to_string(), |path| path.display().to_string());
    let (tools, servers) = (agent.tools.len(), agent.mcp.len());
    let counted = |count: usize, what: &str| match count {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        many => format!("{many} {what}s"),
    };
    let mut has = counted(tools, "tool");
    if servers > 0 {
        has += &format!(" and {}", counted(servers, "MCP server"));
    }
    writeln!(out, "{file} is right, and fits board {}: model {}, {has}", profile.name, agent.model)?;
    if let Some(folder) = agent.job_log.procedures.as_ref().filter(|_| agent.job_log.is_enabled) {
        let (procedures, troubles) = jobs::procedures(folder);
        if !troubles.is_empty() {
            return Err(exit::config(troubles.join("\n")));
        }
        writeln!(out, "{} are right: {}", folder.display(), counted(procedures.len(), "procedure"))?;
    }
    for sent in sent(&agent) {
        writeln!(out, "{sent}")?;
    }
    for chosen in chosen(&agent) {
        writeln!(out, "{chosen}")?;
    }
    for finding in lint::lint(&agent.tools) {
        writeln!(out, "look at: {finding}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What a fleet's owner sent to a device that keeps its state here, and whether it stands in the place of the agent file; a
/// sentence for each place.
pub(super) fn sent(agent: &Agent) -> Vec<String> {
    let said = |place: PathBuf| {
        let ledger = match fleet::look(&place)? {
            Ok(ledger) => ledger,
            Err(why) => return Some(why),
        };
        let is_taken = agent.fleet.as_ref().is_some_and(|fleet| fleet.public_key.is_some());
        let mut said = Vec::new();
        match (ledger.accepted(), is_taken) {
            (None, _) => said.push("no configuration of the fleet was accepted".to_string()),
            (Some(sent), true) => {
                let (serial, name) = (sent.serial, &sent.name);
                let what = match sent.is_own() {
                    true => "says that this agent file is in force",
                    false => "is in force in the place of this device's agent file",
                };
                said.push(format!("the fleet's configuration {serial} (for `{name}`) {what}"));
            }
            (Some(sent), false) => {
                let serial = sent.serial;
                said.push(format!(
                    "the fleet's configuration {serial} is not in force, since `public_key` is not in [fleet]"
                ));
            }
        }
        said.extend(ledger.candidate().map(|sent| format!("{} has yet to prove itself", sent.serial)));
        said.extend(ledger.refused().map(|refused| format!("{} was taken back: {}", refused.serial, refused.why)));
        Some(format!("{}: {}", place.join(fleet::FILE).display(), said.join("; ")))
    };
    state::usual_places().into_iter().filter_map(said).collect()
}

/// What was chosen at the page of a device that keeps its state here, and whether it lies over the agent file; a sentence
/// for each place.
pub(super) fn chosen(agent: &Agent) -> Vec<String> {
    let said = |place: PathBuf| {
        let overlay = match settings::look(&place)? {
            Ok(overlay) if overlay.is_empty() => return None,
            Ok(overlay) => overlay,
            Err(why) => return Some(why),
        };
        let chosen: Vec<String> = overlay.iter().map(|(key, chosen)| format!("{key} = {chosen}")).collect();
        let (file, chosen) = (place.join(settings::FILE), chosen.join(", "));
        let how = match overlay::is_allowed(agent) {
            true => "lies over this device's agent file, as far as it fits; it was chosen at the page",
            false => "is not in force, since `allow` in [panel] does not name \"settings\"",
        };
        Some(format!("{} {how}: {chosen}", file.display()))
    };
    state::usual_places().into_iter().filter_map(said).collect()
}
