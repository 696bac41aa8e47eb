//! The settings that people chose at the page: a file of the state folder, laid over the owner's agent file at the start.
//!
//! Nothing here stops a start: what cannot be read or does not fit (any more) is left out, and told.

use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::folder::{self, FileTrouble, Folder};
use crate::config::agent::overlay::{self, Chosen, Laid, OVERLAY_BYTES_MAX, Overlay};
use crate::config::agent::{Agent, panel};
use crate::config::board::Board;
use crate::config::problem::Problem;

/// Its name in the state folder.
pub const FILE: &str = "settings.toml";
/// Its name in troubles.
pub const PART: &str = "settings";

/// The agent file as its owner wrote it.
#[derive(Clone, Debug)]
pub struct Owned {
    /// Its text; empty for the built-in settings.
    pub text: String,
    /// Its name for messages.
    pub name: String,
}

/// Whether the program would start with the files as they are now.
type MayStart = dyn Fn() -> anyhow::Result<()> + Send + Sync;

#[derive(Default)]
struct Start(Option<Box<MayStart>>);

impl std::fmt::Debug for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Start")
    }
}

/// What a running program knows of its settings.
#[derive(Debug)]
pub struct Settings {
    owned: Owned,
    profile: Board,
    folder: Option<Arc<Folder>>,
    /// Each key as the owner has it.
    owners: Vec<panel::Setting>,
    in_force: Overlay,
    /// In force after a restart: what is in the file, but for what of it did not fit.
    chosen: Mutex<Overlay>,
    /// One writes after the other, and nobody who only looks waits for the disk.
    writing: Mutex<()>,
    start: Start,
    /// What of the file is not in force, and why.
    trouble: Option<String>,
}

impl Settings {
    /// Reads what was chosen, and lays it over the owner's file.
    ///
    /// # Errors
    /// What is wrong with the owner's file by itself.
    pub fn read(owned: Owned, profile: Board, folder: Option<Arc<Folder>>) -> Result<(Agent, Settings), Vec<Problem>> {
        let plain = Overlay::default().over(&owned.text, &owned.name, &profile)?.agent;
        let (found, mut troubles) = match &folder {
            Some(folder) if overlay::is_allowed(&plain) => found(folder),
            _ => (Overlay::default(), Vec::new()),
        };
        let Laid { agent, in_force, left_out } = found.over(&owned.text, &owned.name, &profile)?;
        troubles.extend(left_out);
        let trouble = (!troubles.is_empty()).then(|| {
            let place =
                folder.as_ref().map(|folder| folder.path().join(FILE).display().to_string()).unwrap_or_default();
            let why = troubles.join("; ");
            format!("some of what was chosen at the page does not fit any more and is not in force: {why}. Choose it anew there, or delete {place}")
        });
        let owners = plain.panel.map(|panel| panel.settings).unwrap_or_default();
        let (chosen, writing, start) = (Mutex::new(in_force.clone()), Mutex::default(), Start::default());
        Ok((agent, Settings { owned, profile, folder, owners, in_force, chosen, writing, start, trouble }))
    }

    /// The agent file as it was read.
    pub fn owned(&self) -> &Owned {
        &self.owned
    }

    /// What of the file was left out, and why; for the log and the page.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// What lies over the owner's file now.
    pub fn in_force(&self) -> &Overlay {
        &self.in_force
    }

    /// Whether something was chosen that a restart would put in force.
    pub fn is_restart_due(&self) -> bool {
        *self.lock() != self.in_force
    }

    /// Why nothing can be changed, if so.
    pub fn read_only(&self) -> Option<&'static str> {
        self.folder.is_none().then_some(
            "there is no state directory to keep what is chosen (`mynah run --state DIR` names one), so settings are \
             changed in the agent file only",
        )
    }

    /// Chooses a value for a key; none for the owner's. It is on the disk when this answers. May wait for the disk.
    ///
    /// # Errors
    /// The check's own sentence, or why it cannot be written; nothing has changed then.
    pub fn choose(&self, key: &'static str, value: Option<Chosen>) -> Result<(), Refusal> {
        let Some(folder) = &self.folder else {
            return Err(Refusal::Unwritable(self.read_only().unwrap_or_default().to_string()));
        };
        let _one_by_one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let chosen = self.lock().clone();
        let wanted = match value {
            // The same as the owner's is the owner's: when they change their mind, it follows.
            Some(value) if self.owners_value(key) == Some(value.to_string()) => chosen.with(key, None),
            value => chosen.with(key, value),
        };
        wanted.check(&self.owned.text, &self.profile, key).map_err(Refusal::Unfit)?;
        folder.write(FILE, wanted.to_toml().as_bytes()).map_err(|trouble| Refusal::Unwritable(trouble.to_string()))?;
        *self.lock() = wanted;
        Ok(())
    }

    /// The same, where `may_start` says before a restart whether the program would start with its files as they are then.
    pub fn restarted_by(self, may_start: impl Fn() -> anyhow::Result<()> + Send + Sync + 'static) -> Settings {
        Settings { start: Start(Some(Box::new(may_start))), ..self }
    }

    /// Whether the program would start again with its files as they are now.
    ///
    /// # Errors
    /// A sentence: the owner is at work on a file, or something is gone.
    pub fn may_restart(&self) -> Result<(), String> {
        let Some(may_start) = &self.start.0 else { return Ok(()) };
        may_start().map_err(|why| {
            tracing::warn!("not started again: {why:#}");
            let name = &self.owned.name;
            format!("a start would fail now: put {name} and what it names right first (`mynah config check`, `mynah doctor`); the device goes on as it is")
        })
    }

    /// The member `change` of each key that may be changed at the page: how, what the owner has, what was chosen.
    pub fn change(&self, key: &str) -> Option<Value> {
        let key = overlay::changeable(key)?;
        let chosen = self.lock().get(key).map(ToString::to_string);
        Some(json!({ "entry": overlay::entry(key)?, "owner": self.owners_value(key), "chosen": chosen }))
    }

    fn owners_value(&self, key: &str) -> Option<String> {
        let (section, name) = key.rsplit_once('.').unwrap_or(("", key));
        let own = self.owners.iter().find(|setting| setting.section == section && setting.key == name);
        own.map(|setting| setting.value.clone()).filter(|value| !value.is_empty())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Overlay> {
        self.chosen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a choice is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The checks refuse it; their sentence.
    Unfit(String),
    /// It cannot be kept; a sentence.
    Unwritable(String),
}

/// The file, and sentences for what of it is none.
fn found(folder: &Folder) -> (Overlay, Vec<String>) {
    match folder.read(FILE, OVERLAY_BYTES_MAX as u64) {
        Ok(None) => (Overlay::default(), Vec::new()),
        Ok(Some(bytes)) => match String::from_utf8(bytes) {
            Ok(text) => Overlay::read(&text),
            Err(_) => (Overlay::default(), vec!["it is not text".to_string()]),
        },
        Err(FileTrouble::Unfit(why)) => (Overlay::default(), vec![format!("it {why}")]),
        Err(FileTrouble::Unreadable(why)) => (Overlay::default(), vec![format!("it cannot be read ({why})")]),
    }
}

/// What was chosen, as the file in this folder says, for whoever looks at another program's: an owner is none of its user.
/// None where there is no such file.
pub fn look(folder: &Path) -> Option<Result<Overlay, String>> {
    let path = folder.join(FILE);
    let unreadable = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let file = match folder::look(&path) {
        Ok(file) => file?,
        Err(error) => return Some(Err(unreadable(error))),
    };
    let mut text = String::new();
    let read = file.take(OVERLAY_BYTES_MAX as u64 + 1).read_to_string(&mut text);
    Some(read.map(|_| Overlay::read(&text).0).map_err(unreadable))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::PathBuf;

    use super::*;
    use crate::config::board;

    const ALLOWED: &str = "voice = \"Kore\"\n[panel]\nlisten = \"127.0.0.1:8765\"\nallow = [\"settings\"]\n";

    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Place {
            let path = std::env::temp_dir().join(format!("mynah-settings-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            Place(path)
        }

        fn read(&self, text: &str) -> (Agent, Settings) {
            let profile = board::parse(board::builtin("sim").unwrap(), "board/sim.toml", "sim").unwrap();
            let owned = Owned { text: text.into(), name: "test".into() };
            Settings::read(owned, profile, Some(Arc::new(Folder::new(&self.0)))).unwrap()
        }

        fn text(&self) -> String {
            std::fs::read_to_string(self.0.join(FILE)).unwrap_or_default()
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn text(value: &str) -> Option<Chosen> {
        Some(Chosen::Text(value.into()))
    }

    #[test]
    fn what_is_chosen_is_in_force_at_the_next_start_until_it_is_given_back() {
        let place = Place::new("chosen");
        let (agent, settings) = place.read(ALLOWED);
        assert_eq!(agent.voice.as_deref(), Some("Kore"));
        settings.choose("voice", text("Puck")).unwrap();
        settings.choose("listen.follow_up_s", Some(Chosen::Whole(8))).unwrap();
        assert!(settings.is_restart_due() && settings.in_force().is_empty());
        assert_eq!(settings.change("voice").unwrap()["chosen"], "Puck");
        let (agent, settings) = place.read(ALLOWED);
        assert_eq!((agent.voice.as_deref(), agent.listen.follow_up_s), (Some("Puck"), 8));
        assert!(!settings.is_restart_due() && settings.trouble().is_none());
        assert_eq!(settings.change("voice").unwrap()["owner"], "Kore");
        settings.choose("voice", text("Kore")).unwrap();
        settings.choose("listen.follow_up_s", None).unwrap();
        assert_eq!(place.text().lines().count(), 1, "{}", place.text());
        assert_eq!(place.read(ALLOWED).0.voice.as_deref(), Some("Kore"));
    }

    #[test]
    fn what_the_checks_refuse_is_refused_with_their_sentence_and_nothing_is_written() {
        let place = Place::new("refused");
        let (_, settings) = place.read(ALLOWED);
        let refused = settings.choose("listen.hangover_ms", Some(Chosen::Whole(9))).unwrap_err();
        let Refusal::Unfit(why) = refused else { panic!("{refused:?}") };
        assert!(why.starts_with("`listen.hangover_ms` is 9; it must be a whole number from 100 to 5000 ms"), "{why}");
        assert!(!place.0.exists() && !settings.is_restart_due());
    }

    #[test]
    fn a_file_that_fits_no_more_costs_a_sentence_and_never_the_start() {
        let place = Place::new("unfit");
        let folder = Folder::new(&place.0);
        for (content, parts) in [
            ("voice = \"Puck\"\nlisten.hangover_ms = 9\n", &["`listen.hangover_ms` is 9"][..]),
            ("voice = \"Puck\"\nvoice_of_tomorrow = 1\n", &["`voice_of_tomorrow` is nothing"]),
        ] {
            folder.write(FILE, content.as_bytes()).unwrap();
            let (agent, settings) = place.read(ALLOWED);
            assert_eq!(agent.voice.as_deref(), Some("Puck"), "what fits is in force");
            assert!(parts.iter().all(|part| settings.trouble().unwrap().contains(part)), "{:?}", settings.trouble());
        }
        folder.write(FILE, b"voice = \xff").unwrap();
        assert!(place.read(ALLOWED).1.trouble().unwrap().contains("is not text"));
        let (agent, settings) = place.read("voice = \"Kore\"\n");
        assert_eq!((agent.voice.as_deref(), settings.trouble()), (Some("Kore"), None), "nothing of it is allowed");
    }

    #[test]
    fn without_a_folder_it_is_said_why_nothing_can_be_changed() {
        let profile = board::parse(board::builtin("sim").unwrap(), "board/sim.toml", "sim").unwrap();
        let owned = Owned { text: ALLOWED.into(), name: "test".into() };
        let (_, settings) = Settings::read(owned, profile, None).unwrap();
        assert!(settings.read_only().unwrap().contains("--state"));
        assert!(matches!(settings.choose("voice", text("Puck")), Err(Refusal::Unwritable(_))));
    }

    #[test]
    fn an_owner_at_work_on_the_file_is_not_disturbed_by_a_restart() {
        let place = Place::new("work");
        let path = place.0.join("mynah.toml");
        std::fs::create_dir_all(&place.0).unwrap();
        let profile = board::parse(board::builtin("sim").unwrap(), "board/sim.toml", "sim").unwrap();
        let owned = Owned { text: ALLOWED.into(), name: "test".into() };
        let file = path.clone();
        let (_, settings) = Settings::read(owned, profile, None).unwrap();
        let settings = settings.restarted_by(move || {
            let text = std::fs::read_to_string(&file)?;
            crate::config::agent::parse(&text, "").map(drop).map_err(|_| anyhow::anyhow!("wrong"))
        });
        assert!(settings.may_restart().unwrap_err().contains("a start would fail now"));
        for (text, may) in [(ALLOWED, true), ("voice = ", false), ("voice = \"Puck\"\n", true)] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(settings.may_restart().is_ok(), may, "{text}");
        }
    }
}
