//! Where a program finds its state directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::hw::folder::Folder;

/// Where systemd has the service keep its state (`StateDirectory=` in the unit).
const SERVICE: &str = "/var/lib/mynah";

/// `--state`.
#[derive(Debug, clap::Args)]
pub struct Place {
    /// Directory for what a restart finds again: the conversation's handle, the day's cost, timers, jobs, what was
    /// chosen and who signed in at the panel, the last trace [default: $STATE_DIRECTORY as systemd sets it, else
    /// $XDG_STATE_HOME/mynah, else ~/.local/state/mynah]
    #[arg(long = "state", value_name = "DIR")]
    folder: Option<PathBuf>,
}

impl Place {
    /// The directory for `mynah run`; none where the environment names no place for it. It may not exist yet.
    pub fn folder(&self) -> Option<Arc<Folder>> {
        let path = self.folder.clone().or_else(|| usual(|name| std::env::var(name).ok()));
        if path.is_none() {
            tracing::info!("there is no state directory (--state names one): a restart begins a new conversation");
        }
        path.map(|path| Arc::new(Folder::new(path)))
    }
}

/// Where a daemon's directory may be, for who looks for it: this user's, and the service's.
pub fn usual_places() -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = usual(|name| std::env::var(name).ok()).into_iter().collect();
    if !places.iter().any(|place| place == Path::new(SERVICE)) {
        places.push(SERVICE.into());
    }
    places
}

/// What the environment says; `env` answers a variable's value.
fn usual(env: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    // Only absolute ones count, as the XDG Base Directory Specification has it.
    let path = |name: &str| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let systemd = env("STATE_DIRECTORY").and_then(|list| list.split(':').next().map(PathBuf::from));
    systemd
        .filter(|path| path.is_absolute())
        .or_else(|| path("XDG_STATE_HOME").map(|home| home.join("mynah")))
        .or_else(|| path("HOME").map(|home| home.join(".local/state/mynah")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_is_asked_first_then_the_user_and_nobody_gets_no_place() {
        let env = |pairs: &'static [(&str, &str)]| {
            move |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string())
        };
        let all = &[("STATE_DIRECTORY", "/var/lib/mynah:/var/lib/x"), ("XDG_STATE_HOME", "/s"), ("HOME", "/home/a")];
        assert_eq!(usual(env(all)), Some("/var/lib/mynah".into()));
        assert_eq!(usual(env(&[("STATE_DIRECTORY", ""), ("XDG_STATE_HOME", "/s")])), Some("/s/mynah".into()));
        let relative = &[("XDG_STATE_HOME", "s"), ("HOME", "/home/a")];
        assert_eq!(usual(env(relative)), Some("/home/a/.local/state/mynah".into()));
        assert_eq!(usual(env(&[])), None);
    }
}
