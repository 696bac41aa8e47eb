//! Sessions that outlive the program: marks of them in a file of the state folder.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::gate::Site;
use crate::hw::folder::{FileTrouble, Folder};
use crate::panel::sign_ins::{Kept, WRITTEN_EVERY};

/// Its name in the state folder.
const FILE: &str = "sign_ins.json";
const VERSION: u32 = 1;
/// Thirty-two sessions have some five thousand.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// A disk that did not take it is tried again after this: who signed out must not be signed in after a restart.
const TRIED_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// The file's content.
#[derive(Serialize, Deserialize)]
struct Sheet {
    version: u32,
    sign_ins: Vec<Kept>,
}

/// Takes up what an earlier run left; without a password there is nothing to take up.
pub(super) async fn remember(site: &Site, folder: Option<&Arc<Folder>>) {
    let Some(folder) = folder.filter(|_| site.door().has_lock()).cloned() else { return };
    if let Ok(kept) = spawn_blocking(move || read(&folder)).await {
        let clocks = site.clocks();
        site.door().remember(kept, clocks);
    }
}

/// Writes them down when somebody signs in or out, and now and then.
pub(super) async fn keep(site: &Site, folder: Option<&Arc<Folder>>) {
    let Some(folder) = folder.filter(|_| site.door().has_lock()) else { return pending().await };
    // What was read is written anew at once: where no clock is set, each start counts.
    let (mut written, mut is_failing) = (Vec::new(), false);
    loop {
        let clocks = site.clocks();
        let kept = site.door().kept(clocks);
        if kept != written {
            let (folder, sheet) = (folder.clone(), Sheet { version: VERSION, sign_ins: kept.clone() });
            let text = serde_json::to_vec_pretty(&sheet).unwrap_or_default();
            match spawn_blocking(move || folder.write(FILE, &text)).await {
                Ok(Ok(())) => (written, is_failing) = (kept, false),
                Ok(Err(trouble)) => {
                    if !std::mem::replace(&mut is_failing, true) {
                        tracing::warn!("who signs in at the panel must do so again after a restart: {trouble}");
                    }
                }
                Err(_) => return pending().await, // the program ends
            }
        }
        let _ = timeout(if is_failing { TRIED_AGAIN_AFTER } else { WRITTEN_EVERY }, site.signed.notified()).await;
    }
}

/// What is in the file; nothing where it is none of ours.
fn read(folder: &Folder) -> Vec<Kept> {
    let why = match folder.read_versioned::<Sheet>(FILE, FILE_BYTES_MAX, VERSION) {
        Ok(found) => return found.map(|sheet| sheet.sign_ins).unwrap_or_default(),
        Err(FileTrouble::Unfit(why) | FileTrouble::Unreadable(why)) => why,
    };
    tracing::warn!("{} {why}; who was signed in at the panel must sign in again", folder.path().join(FILE).display());
    Vec::new()
}
