//! `mynah setup`: finds what there is, asks for the rest, shows what it will change, does it, and looks at what came of it.
//!
//! Everything is asked and worked out first (`plan.rs`, pure), then written: who ends it before has changed nothing. What is
//! there already is not written again, so that it may be run as often as one likes.

mod agent_file;
mod apply;
mod devices;
mod diff;
mod edit;
mod facts;
pub mod installed;
mod key;
mod person;
mod plan;
mod profile;
mod questions;
mod started;
#[cfg(test)]
mod tests;
mod trial;

use std::io::{IsTerminal as _, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use self::facts::{AGENT, Facts, Place, Programs};
use self::person::{Person, Terminal, agrees};
use self::plan::{Plan, Step, Wishes};
use self::profile::Named;
use self::questions::Trials;
use super::exit::{self, Exit};
use super::{doctor, load};
use crate::config::agent::ListenMode;
use crate::config::board::{self, LineDriver};
use crate::hw::signals;

/// Arguments of `mynah setup`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Ask nothing: take what is found and what the flags say
    #[arg(long)]
    yes: bool,
    /// Show what would be changed, and change nothing; asks nothing and needs no root
    #[arg(long)]
    dry_run: bool,
    /// The board profile to begin with: a built-in name (see /usr/share/doc/mynah/boards.md) or a file
    #[arg(long, value_name = "NAME|FILE")]
    board: Option<String>,
    /// The microphone: usb:1-1.3, serial:ABC123, id:Device (`mynah devices` lists them) or a name of ALSA
    #[arg(long, value_name = "PCM")]
    mic: Option<String>,
    /// The loudspeaker, named in the same way
    #[arg(long, value_name = "PCM")]
    speaker: Option<String>,
    /// The line of the talk button: GPIO17, gpiochip0:17, or none
    #[arg(long, value_name = "LINE")]
    button: Option<String>,
    /// The line of a lamp or relay that the model may switch: GPIO22, gpiochip0:22, or none
    #[arg(long, value_name = "LINE")]
    lamp: Option<String>,
    /// The camera: the path of a device, rpicam, or none
    #[arg(long, value_name = "SOURCE")]
    camera: Option<String>,
    /// A file that holds the API key
    #[arg(long, value_name = "FILE", conflicts_with = "key_stdin")]
    key_file: Option<PathBuf>,
    /// Read the API key from standard input
    #[arg(long)]
    key_stdin: bool,
    /// The language to answer in, by its English name, or none for the one that is spoken to it
    #[arg(long, value_name = "LANGUAGE")]
    language: Option<String>,
    /// What opens the microphone
    #[arg(long, value_name = "MODE", value_parser = ["push_to_talk", "hands_free", "wake_word"])]
    listen_mode: Option<String>,
    /// The service's address (ws:// for this machine only)
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Play and record nothing
    #[arg(long)]
    no_sound_test: bool,
    /// Leave systemd alone: enable and start nothing
    #[arg(long)]
    no_service: bool,
    /// End without `mynah doctor`
    #[arg(long)]
    no_doctor: bool,
    /// Set up the system below this folder, an image's, instead of this machine
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
}

const AFTER_HELP: &str = "\
It writes /etc/default/mynah (which board), /etc/mynah/board.toml (only where no shipped profile fits as it is), \
/etc/mynah/mynah.toml (only keys that are asked for), the API key: encrypted by systemd-creds where that works, else in a \
file that only root can read, and which devices the service may use: those of the board. It may be run again at any time.

Exit codes: 0 it is set up, and ready; 3 and 4 it is set up, and `mynah doctor` or the started service says that something \
should be looked at or does not work; 1 it failed on the way (running it again goes on from there); 2 flags are missing; 77 the key is none; 78 a file or a \
name is wrong.";

/// Sets up, and answers with the verdict of the doctor, or of the service that was started, where that is worse.
///
/// # Errors
/// With the exit codes of [`exit`].
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    load::guard_memory();
    let is_asked = !args.yes && !args.dry_run;
    let place = Place::below(&args.root);
    may_begin(args, &place, is_asked)?;
    let programs = Programs::of(&std::env::var_os("PATH").unwrap_or_default());
    let mut wishes = wishes(args)?;
    let facts = Facts::look(&place, &programs).map_err(exit::config)?;
    let mut person = Terminal { out };
    if is_asked {
        let trials = Trials { sound: !args.no_sound_test, is_live: place.is_live() };
        // What was tried was heeded, and who wanted no trial wants none of the doctor's either.
        wishes.leaves_sound |= questions::all(&mut person, &facts, &mut wishes, trials)?;
        person.say("\n")?;
    }
    let plan = plan::plan(&facts, &wishes)?;
    if !plan.is_empty() {
        person.say(if args.dry_run { "This would be changed:\n" } else { "This will be changed:\n" })?;
    }
    person.say(&plan.text())?;
    if args.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    let help = "y does it, n ends and leaves everything as it was.";
    if is_asked && !plan.is_empty() && !agrees(&mut person, "Do this?", true, help)? {
        person.say("Nothing was changed.\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    carry_out(args, &place, &programs, &facts, (&plan, &wishes), &mut person)
}

/// Whether there is somebody to ask, and the right to write.
fn may_begin(args: &Args, place: &Place, is_asked: bool) -> anyhow::Result<()> {
    if is_asked && !std::io::stdin().is_terminal() {
        let message = "nobody is there to answer: say --yes, with --board NAME where the board cannot be told by itself, and \
                       --key-file FILE or --key-stdin for the API key; or --dry-run to see what would be done";
        return Err(Exit { code: exit::USAGE, message: message.to_string() }.into());
    }
    if !place.root().is_dir() {
        return Err(exit::config(format!("--root {} is no folder", place.root().display())));
    }
    // SAFETY: takes nothing, touches nothing, cannot fail.
    let is_root = unsafe { libc::geteuid() } == 0;
    anyhow::ensure!(
        args.dry_run || is_root || !place.is_live(),
        "only root may set up this machine: run it with sudo (`sudo mynah setup`), or look first with --dry-run"
    );
    Ok(())
}

fn wishes(args: &Args) -> anyhow::Result<Wishes> {
    let no_key =
        |error: anyhow::Error| anyhow::Error::from(Exit { code: exit::NO_PERMISSION, message: error.to_string() });
    let key = match &args.key_file {
        Some(file) => {
            let name = file.display().to_string();
            let opened =
                std::fs::File::open(file).map_err(|error| exit::config(format!("{name} cannot be read: {error}")))?;
            Some(key::read(opened, &name).map_err(no_key)?)
        }
        None if args.key_stdin => Some(key::read(std::io::stdin(), "standard input").map_err(no_key)?),
        None => None,
    };
    let place = Place::below(&args.root);
    Ok(Wishes {
        board: args.board.as_deref().map(named).transpose()?,
        mic: args.mic.clone(),
        speaker: args.speaker.clone(),
        button: args.button.clone(),
        lamp: args.lamp.clone(),
        camera: args.camera.clone(),
        key,
        language: args.language.clone(),
        listen_mode: args.listen_mode.clone(),
        endpoint: args.endpoint.clone(),
        leaves_service: args.no_service,
        leaves_doctor: args.no_doctor,
        leaves_sound: args.no_sound_test,
        image: (!place.is_live())
            .then(|| std::fs::canonicalize(&args.root).unwrap_or(args.root.clone()).display().to_string()),
    })
}

/// The board of this name or file.
fn named(name: &str) -> anyhow::Result<Named> {
    load::board(name)?;
    if board::builtin(name).is_some() {
        return Ok(Named::Builtin(name.to_string()));
    }
    let text =
        std::fs::read_to_string(name).map_err(|error| exit::config(format!("{name} cannot be read: {error}")))?;
    Ok(Named::Text(text))
}

fn carry_out(
    args: &Args,
    place: &Place,
    programs: &Programs,
    facts: &Facts,
    (plan, wishes): (&Plan, &Wishes),
    person: &mut dyn Person,
) -> anyhow::Result<ExitCode> {
    let all: Vec<&Step> = plan.steps.iter().chain(&plan.starts).collect();
    let (steps, starts) = (0..plan.steps.len(), plan.steps.len()..all.len());
    let verdict = signals::without_interrupts(|| {
        let looked = do_steps(&all, steps, place, programs, person)
            .and_then(|()| look(args, place, plan, facts, wishes, person));
        // Whatever came of it: a service that was stopped for it is started again.
        let is_due = looked.is_ok() || plan.is_stopped;
        let started = if is_due { do_steps(&all, starts, place, programs, person) } else { Ok(()) };
        looked.and_then(|verdict| started.map(|()| verdict))
    })?;
    let is_bad = |verdict| verdict == ExitCode::from(exit::DOES_NOT_WORK);
    let settled = started::settle(place, plan, programs, verdict, person)?;
    let ending = match (is_bad(verdict), is_bad(settled)) {
        (true, _) => PUT_RIGHT.to_string(),
        (_, true) => PUT_RIGHT.replace("the doctor names", "the service says"),
        _ => next(place, plan, facts, wishes),
    };
    person.say(&format!("{ending}\n"))?;
    Ok(settled)
}

/// Has the doctor look, where it may and can.
fn look(
    args: &Args,
    place: &Place,
    plan: &Plan,
    facts: &Facts,
    wishes: &Wishes,
    person: &mut dyn Person,
) -> anyhow::Result<ExitCode> {
    let has_devices = place.is_live() || plan.shaped.profile.driver == LineDriver::Sim;
    if args.no_doctor {
        return Ok(ExitCode::SUCCESS);
    }
    if plan.is_busy {
        person.say("mynah runs. `sudo systemctl stop mynah` and `mynah doctor` look at everything.\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    if !has_devices {
        return Ok(ExitCode::SUCCESS);
    }
    person.say("\nNow the doctor looks at it.\n")?;
    examine(place, plan, facts, wishes, person)
}

/// Does some of the steps; where one fails, says what was done and what was not.
fn do_steps(
    all: &[&Step],
    these: std::ops::Range<usize>,
    place: &Place,
    programs: &Programs,
    person: &mut dyn Person,
) -> anyhow::Result<()> {
    for number in these {
        let title = &all[number].says[0];
        match apply::step(all[number], place, programs) {
            Ok(otherwise) => {
                person.say(&format!("✓ {title}\n"))?;
                otherwise.map_or(Ok(()), |otherwise| person.say(&format!("  {otherwise}\n")))?;
            }
            Err(error) => {
                person.say(&format!("✗ {title}\n"))?;
                let left: Vec<&str> = all[number..].iter().map(|step| step.says[0].as_str()).collect();
                let done = if number == 0 { "nothing was done" } else { "what is ticked was done" };
                anyhow::bail!(
                    "{error:#}; {done}, and not done is:\n  {}\nOnce that is put right, `mynah setup` goes on from there",
                    left.join("\n  ")
                );
            }
        }
    }
    Ok(())
}

fn examine(
    place: &Place,
    plan: &Plan,
    facts: &Facts,
    wishes: &Wishes,
    person: &mut dyn Person,
) -> anyhow::Result<ExitCode> {
    let reference = &plan.shaped.reference;
    let file = || place.at(reference).display().to_string();
    let board = if reference.contains('/') { file() } else { reference.clone() };
    let setting = load::Setting::of(place.at(AGENT), board);
    let key = wishes.key.as_ref().or(facts.stored_key.key()).map(|key| key.reveal().to_string());
    let mut said = Vec::new();
    let verdict = doctor::examine(&doctor::Args::of(setting, wishes.leaves_sound), key.as_deref(), &mut said);
    person.say(&String::from_utf8_lossy(&said))?;
    verdict
}

/// What to do where the doctor found that it does not work.
const PUT_RIGHT: &str =
    "It is set up. Put right what the doctor names; `sudo mynah setup` may be run again at any time.";

/// What to do now.
fn next(place: &Place, plan: &Plan, facts: &Facts, wishes: &Wishes) -> String {
    if wishes.image.is_some() {
        return "The image is set up.".to_string();
    }
    let untaught = plan.agent.wake.word_file.as_ref().filter(|file| !place.at(&file.display().to_string()).exists());
    if !facts.service.is_active && !plan.starts_service() {
        return "It is set up, and does not run yet (`sudo systemctl enable --now mynah`).".to_string();
    }
    match (plan.agent.listen.mode, untaught) {
        (ListenMode::PushToTalk, _) => "Hold the button and ask something.".to_string(),
        (ListenMode::HandsFree, _) => "Ask something.".to_string(),
        (ListenMode::WakeWord, None) => "Say your word and ask something.".to_string(),
        (ListenMode::WakeWord, Some(file)) => teach(&plan.shaped.reference, &file.display().to_string()),
    }
}

/// How the wake word is taught: the service has the microphone meanwhile.
fn teach(board: &str, file: &str) -> String {
    format!(
        "Until it is taught your word, only the button opens the microphone. Teach it, in this order:\n  \
         sudo systemctl stop mynah\n  sudo mynah wake record --board {board} --out {file}\n  \
         sudo systemctl start mynah\nThen say it and ask something."
    )
}
