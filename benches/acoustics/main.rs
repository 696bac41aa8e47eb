//! The bench of ears: voice detectors compared, echo and barge-in in simulated rooms. `sh benches/acoustics/run.sh`
//! makes the speech it needs and runs it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the tables are what it is for")]

mod compare;
mod corpus;
mod plot;
mod room;
mod rooms;
mod scene;
mod signal;
mod tally;
mod vads;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use compare::Extent;
use mynah::config::agent::Agent;
use rooms::Margin;
use scene::Voices;

/// The long form: the figures that are published, held to the aims themselves.
const LONG: rooms::Extent = rooms::Extent {
    echo_s: 60,
    quiet_s: 450,
    barge_in_s: 600,
    margin: Margin { erle_db: 0.0, in_time_percent: 0.0, self_cuts: 0, syllables: 0, cost: 1.0 },
};

/// The short form, for CI. Every room begins anew in it, so that half of the barge-ins come while its ears still doubt the
/// room: fewer are in time than in the long run. It is built with the simulation's checks and runs on whatever machine there
/// is: five times the cost that ships is nothing to stop for, ten times would be a fault of ours.
const SHORT: rooms::Extent = rooms::Extent {
    echo_s: 15,
    quiet_s: 40,
    barge_in_s: 45,
    margin: Margin { erle_db: 3.0, in_time_percent: 20.0, self_cuts: 0, syllables: 2, cost: 5.0 },
};

const HELP: &str = "sh benches/acoustics/run.sh [OPTION ...]
  --quick          less of each, and only the rooms: half a minute instead of ten
  --only PART      vads or rooms
  --scene NAME     only the rooms of that name, with each barge-in and each window that nobody asked for
  --out FOLDER     where tables and plots go (target/acoustics/out)
";

struct Arguments {
    corpus: PathBuf,
    out: PathBuf,
    quick: bool,
    only: Option<String>,
    scene: Option<String>,
}

fn arguments() -> Result<Option<Arguments>> {
    let out = PathBuf::from("target/acoustics/out");
    let mut parsed = Arguments { corpus: PathBuf::new(), out, quick: false, only: None, scene: None };
    let mut list = std::env::args().skip(1);
    while let Some(argument) = list.next() {
        let mut value = || list.next().with_context(|| format!("{argument} needs a value\n{HELP}"));
        match argument.as_str() {
            "--bench" => {}
            "--corpus" => parsed.corpus = value()?.into(),
            "--out" => parsed.out = value()?.into(),
            "--only" => parsed.only = Some(value()?),
            "--scene" => parsed.scene = Some(value()?),
            "--quick" => parsed.quick = true,
            _ => bail!("{argument} is unknown\n{HELP}"),
        }
    }
    // `cargo test --benches` starts benches without a corpus: nothing to do then.
    Ok((!parsed.corpus.as_os_str().is_empty()).then_some(parsed))
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("acoustics: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Answers whether all aims are met.
fn run() -> Result<bool> {
    let Some(arguments) = arguments()? else {
        println!("the bench needs speech: sh benches/acoustics/run.sh");
        return Ok(true);
    };
    fs::create_dir_all(&arguments.out)?;
    // The comparison of detectors has no aim to miss: the short form leaves it out.
    let parts = if arguments.quick { "rooms" } else { "vads rooms" };
    let wanted = |part: &str| arguments.only.as_deref().unwrap_or(parts).contains(part);
    let user = corpus::load(&arguments.corpus, "user")?;
    let crowd = corpus::load(&arguments.corpus, "crowd")?;
    let reply = corpus::load(&arguments.corpus, "reply")?;
    let voices = Voices { user: &user, reply: &reply, crowd: &crowd };
    let kind = Agent::default().listen.vad;
    if wanted("vads") && arguments.scene.is_none() {
        let extent = if arguments.quick {
            Extent { utterances: 40, minutes: 3 }
        } else {
            Extent { utterances: 100, minutes: 10 }
        };
        let residuals = rooms::residuals(voices, kind, extent.minutes as u64 * 60);
        let text = compare::compare(&user, &crowd, residuals, &extent);
        fs::write(arguments.out.join("vads.md"), &text)?;
        println!("{text}");
    }
    if !wanted("rooms") {
        return Ok(true);
    }
    let extent = if arguments.quick { SHORT } else { LONG };
    let (text, all_met) = rooms::measure(voices, kind, &extent, arguments.scene.as_deref(), &arguments.out)?;
    println!("{text}\nplots are in {}", arguments.out.display());
    Ok(all_met)
}
