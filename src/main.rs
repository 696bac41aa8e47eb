//! The program: arguments, logging, exit codes.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mynah::cli;

/// A voice agent for small Linux boards.
#[derive(Parser)]
#[command(name = "mynah", version, about, after_help = AFTER_HELP)]
struct Program {
    /// Say more on standard error: -v what is decided and what was said, -vv every step
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The daemon: listens, talks with Gemini Live, speaks, moves lines
    Run(cli::run::Args),
    /// The same daemon against the built-in stand-in server: no key and no network needed
    Demo(cli::demo::Args),
    /// The stand-in Live server on a port, for anyone's client
    Emulator(cli::emulator::Args),
    /// Looks at everything a conversation needs, measures it, and says which line of the configuration to change
    Doctor(cli::doctor::Args),
    /// Which sound cards and GPIO chips there are, by the names that belong into a board profile
    Devices(cli::devices::Args),
    /// Whether an agent file and a board profile are right
    Config(cli::config::Args),
    /// What the model may do: lists it, runs one by hand, warns of what makes models fail
    Tools(cli::tools::Args),
    /// Who called which tool, with what, and what came of it
    Log(cli::audit::Args),
    /// The jobs that were recorded ([job_log]): lists them, makes a report of one, deletes one
    Report(cli::report::Args),
    /// Brings every output of the board to its safe state, and ends: for the service's unit, after a crash
    Safe(cli::safe::Args),
    /// What the running daemon did last: what came, what was sent, which deadline passed. No speech, no words in it
    Trace(cli::trace::Args),
    /// The wake word: learns it from a few recordings, and shows how well it is heard
    Wake(cli::wake::Args),
    /// Mints a short-lived token with the API key, for a device that is not to hold the key itself
    Token(cli::token::Args),
}

const AFTER_HELP: &str = "\
Exit codes: 0 all went well; 1 something failed (the last line says what); 2 wrong arguments; \
3 and 4 the verdict of `mynah doctor` (3 also of `mynah tools lint`); 77 the service refused the API key, or there is none; 78 the configuration is wrong, or the service refused it.";

fn main() -> ExitCode {
    let program = Program::parse();
    cli::log::start(program.verbose);
    let result = match program.command {
        Command::Run(args) => cli::run::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Demo(args) => demo(&args),
        Command::Emulator(args) => emulate(&args),
        Command::Doctor(args) => cli::doctor::run(&args, &mut std::io::stdout()),
        Command::Devices(args) => cli::devices::run(&args, &mut std::io::stdout()).map(|()| ExitCode::SUCCESS),
        Command::Config(args) => cli::config::run(&args, &mut std::io::stdout()),
        Command::Tools(args) => cli::tools::run(&args, &mut std::io::stdout()),
        Command::Log(args) => cli::audit::run(&args, &mut std::io::stdout()).map(|()| ExitCode::SUCCESS),
        Command::Report(args) => cli::report::run(&args, &mut std::io::stdout()).map(|()| ExitCode::SUCCESS),
        Command::Safe(args) => cli::safe::run(&args, &mut std::io::stdout()),
        Command::Token(args) => cli::token::run(&args, &mut std::io::stdout()).map(|()| ExitCode::SUCCESS),
        Command::Wake(args) => cli::wake::run(&args, &mut std::io::stdout()).map(|()| ExitCode::SUCCESS),
        Command::Trace(args) => cli::trace::run(&args, &mut std::io::stdout()).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|e| cli::exit::report(&e))
}

fn demo(args: &cli::demo::Args) -> anyhow::Result<ExitCode> {
    let setting = args.config.clone().map(|config| (config, args.board.clone()));
    cli::demo::run(args, &cli::house::Mynah { setting }, &mut std::io::stdout())
}

fn emulate(args: &cli::emulator::Args) -> anyhow::Result<ExitCode> {
    cli::emulator::run(args, cli::house::recordings()?)?;
    Ok(ExitCode::SUCCESS)
}
