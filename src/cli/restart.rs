//! A restart that was asked for at the page: this process runs the program from its beginning.
//!
//! Nothing is carried over but the process's number, by which systemd knows the service: no thread, no file, no memory of the
//! old settings can be left behind.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use sd_notify::NotifyState;

/// The program as it runs, also where its file was replaced or deleted.
const RUNNING: &str = "/proc/self/exe";

/// Tells systemd that the service is away for a moment, and gives the watchdog's time for it.
pub fn tell() {
    let mut news = vec![NotifyState::Reloading, NotifyState::Watchdog];
    news.extend(NotifyState::monotonic_usec_now());
    // Not under systemd this fails, and nobody waits for it.
    let _ = sd_notify::notify(&news);
}

/// Runs the program in the place of this one, with the same arguments. Answers only where that failed.
pub fn again() -> io::Error {
    let _ = sd_notify::notify(&[NotifyState::Watchdog]);
    let mut args = std::env::args_os();
    let name = args.next();
    // A newer version in the same place is what the owner put there.
    let file = std::env::current_exe().ok().filter(|file| file.is_file()).unwrap_or_else(|| PathBuf::from(RUNNING));
    let mut command = Command::new(file);
    if let Some(name) = name {
        command.arg0(name);
    }
    tracing::info!("starting again");
    command.args(args).exec()
}
