//! `mynah wake`: makes the wake word's file of a few recordings, and shows how well it is heard.

mod cleaned;
mod mic;
mod record;
mod test;

use std::io::Write;

/// Arguments of `mynah wake`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Learns a wake word from a few times that you say it
    Record(record::Args),
    /// Shows when the wake word is heard, and with which score: on the microphone, or in WAV files
    Test(test::Args),
}

/// Records or tests.
///
/// # Errors
/// A microphone that cannot be opened, files that cannot be read or written, recordings that make no wake word; each
/// with what to do.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    match &args.what {
        What::Record(args) => record::run(args, out),
        What::Test(args) => test::run(args, out),
    }
}
