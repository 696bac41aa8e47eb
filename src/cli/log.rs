//! Logging to standard error: what an owner would notice, unless asked for more.
//!
//! Speech, captions and tool arguments are logged at DEBUG and below only; keys never.

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
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .without_time();
    // A second start (tests) keeps the first.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
}
