//! `mynah safe`: brings every output of the board to its safe state, and ends. The service's unit calls it when the
//! daemon has ended, however that was: a process that is killed switches nothing off itself.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use super::load;
use crate::config::board::{Board as Profile, Direction, LineDriver, Safe};
use crate::hw::clock::RealClock;
use crate::hw::{self, Board, LineTrouble};
use crate::tools::pwm;

/// Arguments of `mynah safe`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A board profile: a built-in name (see /usr/share/doc/mynah/boards.md) or a file [default: the one in /etc/default/mynah, else generic]
    #[arg(long, value_name = "NAME|FILE", default_value_t = load::this_board(), hide_default_value = true)]
    board: String,
}

/// Drives the outputs. Needs no agent file: whatever is wrong with that, a lamp goes off.
///
/// # Errors
/// A board profile that is wrong, with the exit code for it. Failure where a line could not be driven; the others were.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let profile = load::board(&args.board)?;
    if profile.driver == LineDriver::Sim {
        writeln!(out, "the simulated board's lines end with their program: there is nothing to do")?;
        return Ok(ExitCode::SUCCESS);
    }
    let board = hw::open::open(profile.clone(), Arc::new(RealClock::new()));
    let mut is_all_safe = true;
    for (name, result) in bring_to_rest(&profile, &*board) {
        match result {
            Ok(level) => writeln!(out, "{name:<16} {level}")?,
            Err(trouble) => {
                is_all_safe = false;
                writeln!(out, "{name:<16} NOT SAFE: {trouble}")?;
            }
        }
    }
    Ok(if is_all_safe { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Drives each output of the profile to its safe level; answers what that is, or why it could not be.
fn bring_to_rest<'a>(
    profile: &'a Profile,
    board: &'a dyn Board,
) -> impl Iterator<Item = (&'a str, Result<&'static str, LineTrouble>)> {
    let outputs = profile.lines.iter().filter(|(_, line)| line.direction == Direction::Output);
    let lines = outputs.map(|(name, line)| {
        let level = line.safe == Safe::Active;
        let driven = board.open_output(name).and_then(|mut output| output.set(level));
        (name.as_str(), driven.map(|()| if level { "active" } else { "inactive" }))
    });
    let pwm = profile.pwm.keys().map(|name| {
        let driven = board.open_pwm(name).and_then(|mut output| {
            let pulse = pwm::safe(output.output());
            output.set(pulse).map(|()| if pulse.on_ns == 0 { "no pulses" } else { "as bright as is safe" })
        });
        (name.as_str(), driven)
    });
    lines.chain(pwm)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::board;
    use std::fs;

    #[test]
    fn every_output_is_driven_and_a_line_that_cannot_be_hides_no_other() {
        let folder = std::env::temp_dir().join(format!("mynah-safe-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("broken")).unwrap();
        let output = |name: &str, safe: &str| {
            format!("[lines.{name}]\ndirection = \"output\"\nline = \"{name}\"\nsafe = \"{safe}\"\n")
        };
        let text = format!(
            "description = \"x\"\ndriver = \"files\"\nfolder = \"{}\"\n[capture]\npcm = \"x\"\n[playback]\npcm = \"x\"\n{}{}{}\
             [pwm.horn]\nkind = \"buzzer\"\npwm_chip = \"no-such-chip\"\n",
            folder.display(),
            output("broken", "inactive"),
            output("lamp", "inactive"),
            output("valve", "active"),
        );
        let profile = board::parse(&text, "test", "test").unwrap();
        fs::write(folder.join("lamp"), "1").unwrap();
        let board = hw::open::open(profile.clone(), Arc::new(RealClock::new()));
        let done: Vec<_> = bring_to_rest(&profile, &*board).map(|(name, result)| (name, result.ok())).collect();
        assert_eq!(done, [("broken", None), ("lamp", Some("inactive")), ("valve", Some("active")), ("horn", None)]);
        let levels = ["lamp", "valve"].map(|name| fs::read_to_string(folder.join(name)).unwrap().trim().to_string());
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(levels, ["0", "1"]);
    }
}
