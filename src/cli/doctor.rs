//! `mynah doctor`: looks at everything a conversation needs, measures it, and says which line to change.

mod camera;
mod erle;
pub(super) mod judge;
mod lines;
pub(super) mod report;
mod service;
pub(super) mod sound;

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context as _;

use self::report::{Check, Report, Verdict};
use self::sound::Score;
use super::{config, exit, load, run};
use crate::config::agent::Agent;
use crate::config::board::{Board as Profile, LineDriver};
use crate::config::check;
use crate::hw::cards::Cards;
use crate::hw::{Board, Clock, process};

/// Arguments of `mynah doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(flatten)]
    setting: load::Setting,
    /// Play and record nothing
    #[arg(long)]
    no_sound: bool,
    /// Ask nothing of the network
    #[arg(long)]
    no_network: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

impl Args {
    /// All of it, as text, or all but the sound.
    pub(super) fn of(setting: load::Setting, no_sound: bool) -> Args {
        Args { setting, no_sound, no_network: false, json: false }
    }
}

const AFTER_HELP: &str = "\
It listens for two seconds (be quiet), then plays a test sound of about eight. Each output line of the profile is made \
inactive, its state of rest. The service is asked for one conversation, in which nothing is said.

Exit codes: 0 ready; 3 it works, but something should be looked at; 4 it does not work; 1 and 2 as elsewhere.";

/// Looks, prints what it found, and answers with the code of the verdict.
///
/// # Errors
/// Where nothing can be printed.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    load::guard_memory();
    examine(args, None, out)
}

/// As [`run()`]; `key` is the one to show, where it is not to be looked for.
///
/// # Errors
/// As [`run()`].
pub(super) fn examine(args: &Args, key: Option<&str>, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let mut report = Report::default();
    let (agent, profile) = configuration(args, &mut report);
    if let Some(profile) = &profile {
        hardware(args, agent.as_ref(), profile, &mut report);
    }
    match &agent {
        Some(agent) if !args.no_network => {
            tell(&format!("asking the service at {}", agent.endpoint.split(['?', '#']).next().unwrap_or_default()));
            report.add_all(service::service(agent, key));
        }
        _ => {}
    }
    let printed = if args.json { writeln!(out, "{}", report.json()) } else { write!(out, "{}", report.text()) };
    printed.context("the report cannot be printed")?;
    Ok(ExitCode::from(match report.verdict() {
        Verdict::Ok => 0,
        Verdict::Warn => exit::WORKS_BUT,
        Verdict::Bad => exit::DOES_NOT_WORK,
    }))
}

/// Says on standard error what happens next: it takes a while.
fn tell(what: &str) {
    eprintln!("mynah: {what} …");
}

/// Agent file and board profile, as far as they can be read.
fn configuration(args: &Args, report: &mut Report) -> (Option<Agent>, Option<Profile>) {
    let path = args.setting.config_path();
    let file = path.map_or("built-in settings".to_string(), |path| path.display().to_string());
    let mut agent = match load::agent(path) {
        Ok(agent) => {
            report.add(Check::ok("agent file", format!("{file}, model {}", agent.model)));
            report.add_all(config::sent(&agent).into_iter().map(|sent| Check::ok("fleet", sent)));
            report.add_all(config::chosen(&agent).into_iter().map(|chosen| Check::ok("settings", chosen)));
            Some(agent)
        }
        Err(why) => {
            report.add(Check::bad("agent file", file, why.to_string()));
            None
        }
    };
    if let (Some(agent), Some(url)) = (&mut agent, &args.setting.endpoint) {
        agent.endpoint.clone_from(url);
    }
    let profile = match load::board(&args.setting.board) {
        Ok(profile) => {
            report.add(Check::ok("board profile", format!("{}: {}", profile.name, profile.description)));
            Some(profile)
        }
        Err(why) => {
            report.add(Check::bad("board profile", args.setting.board.clone(), why.to_string()));
            None
        }
    };
    if let (Some(agent), Some(profile)) = (&agent, &profile) {
        let problems = check(agent, profile);
        report.add_all(problems.iter().map(|problem| {
            Check::bad("agent and board", "do not fit", format!("`{}` {}", problem.key, problem.message))
        }));
    }
    (agent, profile)
}

/// Sound, lines, camera.
fn hardware(args: &Args, agent: Option<&Agent>, profile: &Profile, report: &mut Report) {
    let opened = run::open(profile);
    let (board, clock, _) = match opened {
        Ok(opened) => opened,
        Err(why) => return report.add(Check::bad("board", "cannot be opened", why.to_string())),
    };
    if profile.driver != LineDriver::Sim {
        report.add_all(other_mynah());
    }
    if !args.no_sound {
        report.add_all(sounds(&*board, &*clock, &agent.cloned().unwrap_or_default(), profile));
        report.add_all(sleepers());
    }
    report.add_all(lines::lines(&*board, profile));
    // A file that cannot be used is told where the service is asked.
    let extra_ca_pem = agent.and_then(|agent| load::extra_ca(agent).ok().flatten());
    report.add_all(camera::camera(profile, extra_ca_pem.as_deref(), &clock));
}

fn sounds(board: &dyn Board, clock: &dyn Clock, agent: &Agent, profile: &Profile) -> Vec<Check> {
    let score = match Score::new(agent.speak.volume_percent) {
        Ok(score) => score,
        Err(why) => return vec![Check::bad("test sound", "cannot be made", why.to_string())],
    };
    tell("listening for two seconds, be quiet please; then playing a test sound");
    let session = sound::play_and_record(board, clock, profile.capture.pick, &score);
    tell("working out delay, drift and echo");
    judge::sound(&session, &score, agent, profile)
}

/// A daemon that runs beside: what it holds is busy here, and what it shares it disturbs.
pub(super) fn other_mynah() -> Option<Check> {
    let process = process::others("mynah", "run").first().copied()?;
    Some(Check::warn(
        "daemon",
        format!("mynah runs (process {process})"),
        "what it holds is busy here, and the test sound is speech to it: stop it and ask again (`sudo systemctl stop mynah` \
         where it is the service)",
    ))
}

/// Sound cards that may sleep while nobody uses them: some lose the first word or do not wake at all.
fn sleepers() -> Vec<Check> {
    let cards = Cards::here();
    let sleeping = cards.list().into_iter().filter_map(|card| {
        let (path, value) = cards.sleep_setting(&card)?;
        Some(Check {
            advice: Some(format!(
                "it may sleep while it is idle; should it lose first words or fail after a while: `echo on | sudo tee {path}`"
            )),
            ..Check::ok(format!("power of {}", card.id), format!("{path} is `{value}`"))
        })
    });
    sleeping.collect()
}
