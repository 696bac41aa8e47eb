//! Logging: what an owner would notice, unless asked for more. To standard error, and where that is the journal, to the journal
//! itself, with priorities and fields.
//!
//! Speech, captions and tool arguments are logged at DEBUG and below only; keys never.

mod journal;

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use journal::Journal;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging; `verbose` as given on the command line.
pub fn start(verbose: u8) {
    let level = match verbose {
        0 => Level::INFO,
        1 => Level::DEBUG,
        _ => Level::TRACE,
    };
    // Of the libraries only warnings: their debug lines hold headers and payloads.
    let filter = Targets::new().with_default(Level::WARN).with_target("mynah", level);
    if let Some(journal) = journal() {
        let _ = tracing_subscriber::registry().with(filter).with(journal).try_init();
        return;
    }
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .without_time();
    // A second start (tests) keeps the first.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
}

/// The journal, where it reads this process's standard error: systemd tells which file that is.
fn journal() -> Option<Journal> {
    let told = std::env::var("JOURNAL_STREAM").ok()?;
    let stderr = std::fs::metadata("/proc/self/fd/2").ok()?;
    if told != format!("{}:{}", stderr.dev(), stderr.ino()) {
        return None;
    }
    // Where it is out of order the lines go the plain way, which systemd keeps.
    Journal::open(Path::new(journal::SOCKET)).ok()
}
