//! The program: arguments, logging, exit codes.

use std::process::ExitCode;

use clap::Parser;
use mynah::cli;
use mynah::cli::program::{Command, Program};

fn main() -> ExitCode {
    let program = Program::parse();
    cli::log::start(program.verbose);
    let result = match program.command {
        Command::Run(args) => cli::run::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Demo(args) => demo(&args),
        Command::Emulator(args) => emulate(&args),
        Command::Setup(args) => cli::setup::run(&args, &mut std::io::stdout()),
        Command::Doctor(args) => cli::doctor::run(&args, &mut std::io::stdout()),
        Command::Devices(args) => cli::devices::run(&args, &mut std::io::stdout()).map(|()| ExitCode::SUCCESS),
        Command::Config(args) => cli::config::run(&args, &mut std::io::stdout()),
        Command::Tools(args) => cli::tools::run(&args, &mut std::io::stdout()),
        Command::Log(args) => cli::audit::run(&args, &mut std::io::stdout()).map(|()| ExitCode::SUCCESS),
        Command::Report(args) => cli::report::run(&args, &mut std::io::stdout()).map(|()| ExitCode::SUCCESS),
        Command::Safe(args) => cli::safe::run(&args, &mut std::io::stdout()),
        Command::Token(args) => cli::token::run(&args, &mut std::io::stdout()).map(|()| ExitCode::SUCCESS),
        Command::Fleet(args) => cli::fleet::run(&args, &mut std::io::stdout()).map(|()| ExitCode::SUCCESS),
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
