//! The command line: its commands and what they take. Man pages and completions are made from it, too.

use clap::{Parser, Subcommand};

/// A voice agent for small Linux boards.
#[derive(Debug, Parser)]
#[command(name = "mynah", version, about, after_help = AFTER_HELP)]
pub struct Program {
    /// Say more on standard error: -v what is decided and what was said, -vv every step
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The daemon: listens, talks with Gemini Live, speaks, moves lines
    Run(super::run::Args),
    /// The same daemon against the built-in stand-in server: no key and no network needed
    Demo(super::demo::Args),
    /// The stand-in Live server on a port, for anyone's client
    Emulator(super::emulator::Args),
    /// Sets this machine up: finds board, sound, button and camera, asks for the rest, shows what it will change, and does it
    Setup(super::setup::Args),
    /// Looks at everything a conversation needs, measures it, and says which line of the configuration to change
    Doctor(super::doctor::Args),
    /// Which sound cards and GPIO chips there are, by the names that belong into a board profile
    Devices(super::devices::Args),
    /// Whether an agent file and a board profile are right
    Config(super::config::Args),
    /// What the model may do: lists it, runs one by hand, warns of what makes models fail
    Tools(super::tools::Args),
    /// Who called which tool, with what, and what came of it
    Log(super::audit::Args),
    /// The jobs that were recorded (`[job_log]`): lists them, makes a report of one, deletes one
    Report(super::report::Args),
    /// Brings every output of the board to its safe state, and ends: for the service's unit, after a crash
    Safe(super::safe::Args),
    /// What the running daemon did last: what came, what was sent, which deadline passed. No speech, no words in it
    Trace(super::trace::Args),
    /// The wake word: learns it from a few recordings, and shows how well it is heard
    Wake(super::wake::Args),
    /// Mints a short-lived token with the API key, for a device that is not to hold the key itself
    Token(super::token::Args),
    /// Many devices (`[fleet]`): makes the owner's key, signs configurations
    Fleet(super::fleet::Args),
}

const AFTER_HELP: &str = "\
Exit codes: 0 all went well; 1 something failed (the last line says what); 2 wrong arguments; \
3 and 4 the verdict of `mynah doctor` (of `mynah setup`, too, at its end; 3 also of `mynah tools lint`); 77 the service refused the API key, or there is none; 78 the configuration is wrong, or the service refused it.";
