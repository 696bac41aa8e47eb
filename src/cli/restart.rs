//! A restart that was asked for at the page: this process runs the program from its beginning.
//!
//! No thread, no open file and no memory of the old settings is left behind. The process's number, by which systemd knows the
//! service, stays, and so do its arguments, environment and limits.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
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
    // A newer version in the same place is what the owner put there; the kernel then says that the old one is deleted.
    let place = std::env::current_exe().ok().map(|file| {
        let name = file.as_os_str().as_bytes();
        PathBuf::from(OsStr::from_bytes(name.strip_suffix(b" (deleted)").unwrap_or(name)))
    });
    let file = place.filter(|file| file.is_file()).unwrap_or_else(|| PathBuf::from(RUNNING));
    let mut command = Command::new(file);
    if let Some(name) = name {
        command.arg0(name);
    }
    tracing::info!("starting again");
    command.args(args).exec()
}
