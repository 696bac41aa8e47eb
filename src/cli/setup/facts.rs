//! What there is: the machine, its files, and the programs that setup needs.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::edit;
use super::key::{self, StoredKey};
use crate::hw::camera::found;
use crate::hw::cards::{Cards, Way};
use crate::hw::gpio::chips::{self, ChipInfo};
use crate::hw::process;

/// The file that names the board.
pub const DEFAULTS: &str = "/etc/default/mynah";
/// The agent file.
pub const AGENT: &str = "/etc/mynah/mynah.toml";
/// The board profile of this machine's own.
pub const BOARD: &str = "/etc/mynah/board.toml";
/// What the board profile was before.
pub const BOARD_BEFORE: &str = "/etc/mynah/board.toml.before";
/// What tells systemd where the key is.
pub const KEY_CONF: &str = "/etc/systemd/system/mynah.service.d/00-key.conf";
/// What tells systemd which devices the service may use.
pub const DEVICES_CONF: &str = "/etc/systemd/system/mynah.service.d/00-devices.conf";
/// The variable of [`DEFAULTS`].
pub const VARIABLE: &str = "MYNAH_BOARD";
/// Places of the service's unit.
const UNITS: [&str; 3] = ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
/// A configuration file is not larger.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Where everything is looked for and written.
#[derive(Clone, Debug)]
pub struct Place {
    root: PathBuf,
}

impl Place {
    /// Below this folder, `/` for the machine itself.
    pub fn below(root: impl Into<PathBuf>) -> Place {
        Place { root: root.into() }
    }

    /// Whether this is the machine that runs, not an image of one.
    pub fn is_live(&self) -> bool {
        self.root == Path::new("/")
    }

    /// The root folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file that the machine calls `path`.
    pub fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// As [`at`](Place::at), to be read or written: in an image no folder above it may be a link that leads out of it, into the
    /// machine that makes the image.
    ///
    /// # Errors
    /// There is such a link.
    pub fn inside(&self, path: &str) -> io::Result<PathBuf> {
        let target = self.at(path);
        if self.is_live() {
            return Ok(target);
        }
        // In an image that is not there yet there is no link.
        let Ok(root) = fs::canonicalize(&self.root) else { return Ok(target) };
        let there = target.ancestors().skip(1).find_map(|folder| fs::canonicalize(folder).ok());
        if there.is_some_and(|folder| folder.starts_with(&root)) {
            return Ok(target);
        }
        let root = root.display();
        Err(io::Error::other(format!(
            "a link leads out of {root}; make it one with a relative path, or run setup within the image"
        )))
    }

    /// A text file; none where there is none.
    ///
    /// # Errors
    /// A sentence: it is there and cannot be read.
    pub fn text(&self, path: &str) -> Result<Option<String>, String> {
        let mut text = String::new();
        let file = self.inside(path).and_then(fs::File::open);
        match file.and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)) {
            Ok(_) if text.len() as u64 > FILE_BYTES_MAX => Err(format!("{path} is far too large")),
            Ok(_) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{path} cannot be read: {error}")),
        }
    }
}

/// Programs of systemd, by their whole paths.
#[derive(Clone, Debug, Default)]
pub struct Programs {
    /// `systemctl`
    pub systemctl: Option<PathBuf>,
    /// `systemd-creds`
    pub creds: Option<PathBuf>,
}

impl Programs {
    /// Those of this PATH.
    pub fn of(path: &std::ffi::OsStr) -> Programs {
        let find = |name: &str| std::env::split_paths(path).map(|folder| folder.join(name)).find(|file| file.is_file());
        Programs { systemctl: find("systemctl"), creds: find("systemd-creds") }
    }
}

/// A command with nothing of this program's environment that it need not have: a key may stand there.
pub fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    command.envs(process::PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command
}

/// A sound card.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    /// What a profile may call it, the name that says most first.
    pub names: Vec<String>,
    /// What it calls itself.
    pub title: String,
    /// Whether it has a microphone.
    pub hears: bool,
    /// Whether it has a loudspeaker.
    pub speaks: bool,
}

impl Card {
    /// Whether it can be used this way.
    pub fn goes(&self, way: Way) -> bool {
        if way == Way::Capture { self.hears } else { self.speaks }
    }
}

/// The service, as systemd tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Whether its unit is there, and systemd.
    pub is_there: bool,
    /// Whether it starts with the machine.
    pub is_enabled: bool,
    /// Whether it runs.
    pub is_active: bool,
    /// Whether it ended in a way that keeps systemd from starting it.
    pub is_failed: bool,
    /// Whether it runs with older files than there are: an earlier setup was cut short, or the owner changed one.
    pub is_outdated: bool,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// What the device tree calls the machine.
    pub model: Option<String>,
    /// Sound cards, by number.
    pub cards: Vec<Card>,
    /// GPIO chips.
    pub chips: Vec<ChipInfo>,
    /// Cameras: the name for a profile, and what it is.
    pub cameras: Vec<(String, String)>,
    /// [`DEFAULTS`]
    pub defaults: Option<String>,
    /// [`AGENT`]
    pub agent: Option<String>,
    /// [`BOARD`]
    pub board: Option<String>,
    /// [`KEY_CONF`]
    pub key_conf: Option<String>,
    /// [`DEVICES_CONF`]
    pub devices_conf: Option<String>,
    /// The profile that [`DEFAULTS`] names, where that is another file.
    pub named_board: Option<String>,
    /// The key that is stored.
    pub stored_key: StoredKey,
    /// Whether `systemd-creds` is there and may be used.
    pub has_creds: bool,
    /// The service.
    pub service: Service,
}

impl Facts {
    /// Looks; changes nothing.
    ///
    /// # Errors
    /// A sentence: a file that is there and cannot be read.
    pub fn look(place: &Place, programs: &Programs) -> Result<Facts, String> {
        let is_live = place.is_live();
        // What this machine encrypts another one cannot read.
        let creds = programs.creds.as_deref().filter(|_| is_live);
        let mut facts = Facts {
            model: model(place),
            cards: cards(&Cards::below(place.root())),
            defaults: place.text(DEFAULTS)?,
            agent: place.text(AGENT)?,
            board: place.text(BOARD)?,
            key_conf: place.text(KEY_CONF)?,
            devices_conf: place.text(DEVICES_CONF)?,
            stored_key: key::stored(place, creds),
            has_creds: creds.is_some(),
            service: service(place, programs),
            ..Facts::default()
        };
        if is_live {
            facts.chips = chips::chips();
            facts.cameras = cameras();
        }
        if let Some(named) = facts.board_now().filter(|named| named.contains('/') && *named != BOARD) {
            facts.named_board = place.text(named)?;
        }
        Ok(facts)
    }

    /// The board that is set now.
    pub fn board_now(&self) -> Option<&str> {
        edit::variable(self.defaults.as_deref()?, VARIABLE).filter(|name| !name.is_empty())
    }
}

fn model(place: &Place) -> Option<String> {
    let text = fs::read_to_string(place.at("/proc/device-tree/model")).ok()?;
    Some(text.trim_end_matches(['\0', '\n']).to_string())
}

fn cards(cards: &Cards) -> Vec<Card> {
    let card = |card: crate::hw::cards::Card| {
        let pcms = cards.pcms(&card);
        let goes = |way| pcms.iter().any(|pcm| pcm.way == way);
        let names = card.names().iter().map(ToString::to_string).collect();
        Card { names, hears: goes(Way::Capture), speaks: goes(Way::Playback), title: card.name }
    };
    cards.list().into_iter().map(card).collect()
}

fn cameras() -> Vec<(String, String)> {
    let named = |camera: found::Camera| {
        let title = camera.offer.map_or("a camera".to_string(), |offer| offer.card);
        Some((camera.names.first()?.display().to_string(), title))
    };
    found::cameras().into_iter().filter_map(named).collect()
}

fn service(place: &Place, programs: &Programs) -> Service {
    let has_unit = UNITS.iter().any(|folder| place.at(folder).join("mynah.service").exists());
    let Some(systemctl) = programs.systemctl.as_ref().filter(|_| has_unit) else { return Service::default() };
    if !place.is_live() {
        let link = place.at("/etc/systemd/system/multi-user.target.wants/mynah.service");
        return Service { is_there: true, is_enabled: link.symlink_metadata().is_ok(), ..Service::default() };
    }
    let asked = |question: &str| {
        let output = command(systemctl).args([question, "mynah"]).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_string())
    };
    let state = asked("is-active").unwrap_or_default();
    let is_active = ["active", "activating", "reloading"].contains(&state.as_str());
    let files = [DEFAULTS, AGENT, BOARD, KEY_CONF, DEVICES_CONF].map(|path| place.at(path));
    Service {
        is_there: Path::new("/run/systemd/system").exists(),
        is_enabled: asked("is-enabled").is_some_and(|word| word == "enabled"),
        is_active,
        is_failed: state == "failed",
        is_outdated: is_active && since(systemctl).is_some_and(|since| is_outdated(&since, &files)),
    }
}

/// What systemd says of the service's unit and start.
fn since(systemctl: &Path) -> Option<String> {
    let mut asked = command(systemctl);
    asked.args(["show", "mynah", "--timestamp=unix", "-p", "NeedDaemonReload", "-p", "ActiveEnterTimestamp"]);
    Some(String::from_utf8_lossy(&asked.output().ok()?.stdout).into_owned())
}

/// Whether one of the files is newer than the start that `since` tells of, or systemd has not read them all.
fn is_outdated(since: &str, files: &[PathBuf]) -> bool {
    let value = |key: &str| since.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    if value("NeedDaemonReload") == Some("yes") {
        return true;
    }
    // Whole seconds: what was written in that of the start was written before it.
    let Some(started_s) = value("ActiveEnterTimestamp").and_then(|at| at.strip_prefix('@')?.parse::<i64>().ok()) else {
        return false;
    };
    files.iter().any(|file| fs::metadata(file).is_ok_and(|file| file.mtime() > started_s))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_runs_with_older_files_is_known() {
        let here = [PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"), PathBuf::from("/nowhere")];
        for (since, is) in [
            ("NeedDaemonReload=no\nActiveEnterTimestamp=@1\n", true),
            ("NeedDaemonReload=no\nActiveEnterTimestamp=@99999999999\n", false),
            ("NeedDaemonReload=yes\nActiveEnterTimestamp=@99999999999\n", true),
            ("NeedDaemonReload=no\nActiveEnterTimestamp=\n", false),
            ("", false),
        ] {
            assert_eq!(is_outdated(since, &here), is, "{since}");
        }
    }
}
