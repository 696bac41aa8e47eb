//! What tools must know after a restart: files of the state folder, read once and each replaced whole.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::hw::folder::{FileTrouble, Folder, FolderTrouble};
use crate::tools::alarms::KeptAlarm;
use crate::tools::on_time::KeptOn;

const VERSION: u32 = 1;
/// Two hundred outputs with their arguments are some ten thousand.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What one file keeps.
pub(super) trait Keepsake: Serialize + DeserializeOwned + Default + Send + 'static {
    /// The file's name.
    const FILE: &'static str;
    /// What it means that it is lost: the end of a sentence.
    const LOSS: &'static str;
}

/// What is on elsewhere, and when it goes off.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct On {
    pub(super) on: Vec<KeptOn>,
}

impl Keepsake for On {
    const FILE: &'static str = "tools.json";
    const LOSS: &'static str = "what it said was on elsewhere is not switched off by itself";
}

/// Timers and alarms.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Set {
    pub(super) alarms: Vec<KeptAlarm>,
}

impl Keepsake for Set {
    const FILE: &'static str = "alarms.json";
    const LOSS: &'static str = "the timers and alarms in it do not ring";
}

/// The file's content.
#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: u32,
    #[serde(flatten)]
    kept: T,
}

/// What an earlier run left, and a sentence where a file was there and was not taken. May wait for the disk.
pub(super) fn read<T: Keepsake>(folder: &Folder) -> (T, Option<String>) {
    let file = folder.path().join(T::FILE);
    let refuse = |why: String| {
        let aside =
            if folder.put_aside(T::FILE) { format!("; it was put aside as {}.bad", T::FILE) } else { String::new() };
        (T::default(), Some(format!("{} {why}{aside}, and {}", file.display(), T::LOSS)))
    };
    match folder.read_versioned::<Versioned<T>>(T::FILE, FILE_BYTES_MAX, VERSION) {
        Ok(found) => (found.map(|versioned| versioned.kept).unwrap_or_default(), None),
        Err(FileTrouble::Unfit(why)) => refuse(why),
        Err(FileTrouble::Unreadable(why)) => (T::default(), Some(format!("{} cannot be read ({why})", file.display()))),
    }
}

/// Writes it; waits until it is on the disk.
///
/// # Errors
/// [`FolderTrouble`].
pub(super) async fn write<T: Keepsake>(folder: Arc<Folder>, kept: T) -> Result<(), FolderTrouble> {
    let path = folder.path().to_path_buf();
    let written = tokio::task::spawn_blocking(move || {
        let text = serde_json::to_vec_pretty(&Versioned { version: VERSION, kept }).unwrap_or_default();
        folder.write(T::FILE, &text)
    });
    written.await.unwrap_or_else(|_| Err(FolderTrouble::Unwritable { folder: path, why: "the device stops".into() }))
}
