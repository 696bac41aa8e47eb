//! What tools must know after a restart, in a file of the state folder: what is on elsewhere and when it goes off.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::hw::folder::{FileTrouble, Folder};
use crate::tools::on_time::KeptOn;

const FILE: &str = "tools.json";
const VERSION: u32 = 1;
/// Two hundred outputs with their arguments are some ten thousand.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The file's content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    version: u32,
    /// What is on.
    pub(super) on: Vec<KeptOn>,
}

impl Default for Kept {
    fn default() -> Kept {
        Kept { version: VERSION, on: Vec::new() }
    }
}

/// What an earlier run left, and a sentence where a file was there and was not taken. May wait for the disk.
pub(super) fn read(folder: &Folder) -> (Kept, Option<String>) {
    let file = folder.path().join(FILE);
    let refuse = |why: String| {
        let aside = if folder.put_aside(FILE) { format!("; it was put aside as {FILE}.bad") } else { String::new() };
        let news = "what it said was on elsewhere is not switched off by itself";
        (Kept::default(), Some(format!("{} {why}{aside}, and {news}", file.display())))
    };
    let bytes = match folder.read(FILE, FILE_BYTES_MAX) {
        Ok(None) => return (Kept::default(), None),
        Ok(Some(bytes)) => bytes,
        Err(FileTrouble::Unfit(why)) => return refuse(why),
        Err(FileTrouble::Unreadable(why)) => {
            return (Kept::default(), Some(format!("{} cannot be read ({why})", file.display())));
        }
    };
    match serde_json::from_slice::<Kept>(&bytes) {
        Ok(kept) if kept.version == VERSION => (kept, None),
        Ok(_) => refuse("was written by another version of mynah".into()),
        Err(_) => refuse("is broken".into()),
    }
}

/// Writes it; waits until it is on the disk.
///
/// # Errors
/// A sentence for the owner.
pub(super) async fn write(folder: Arc<Folder>, on: Vec<KeptOn>) -> Result<(), String> {
    let kept = Kept { version: VERSION, on };
    let written = tokio::task::spawn_blocking(move || {
        let text = serde_json::to_vec_pretty(&kept).unwrap_or_default();
        folder.write(FILE, &text).map_err(|trouble| trouble.to_string())
    });
    written.await.unwrap_or_else(|_| Err("the disk could not be reached".into()))
}
