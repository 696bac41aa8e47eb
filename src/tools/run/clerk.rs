//! The clerk: writes the audit log on a thread of its own, so that no tool waits for the disk.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use super::Tell;
use crate::config::agent::audit::{Audit, AuditKeep};
use crate::flow::What;
use crate::hw::Clock;
use crate::hw::clock;
use crate::hw::folder::Folder;
use crate::hw::journal::Journal;
use crate::tools::audit::{self, Deed, Record};

/// Records that wait for the disk; a card that hangs for seconds takes no more calls with it than that.
const WAITING_MAX: usize = 256;

/// Takes records.
pub(super) struct Clerk {
    keep: AuditKeep,
    clock: Arc<dyn Clock>,
    tell: Arc<Tell>,
    desk: Option<(SyncSender<Record>, JoinHandle<()>)>,
}

impl Clerk {
    /// A clerk for the folder; where there is none, or the owner wants nothing kept, nothing is written.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub(super) fn new(
        audit: Audit,
        folder: Option<Arc<Folder>>,
        clock: Arc<dyn Clock>,
        tell: Arc<Tell>,
    ) -> io::Result<Clerk> {
        let folder = folder.filter(|_| audit.keep != AuditKeep::Nothing);
        let desk = match folder {
            None => None,
            Some(folder) => {
                let (sender, records) = sync_channel(WAITING_MAX);
                let journal = Journal::new(folder.path().join(audit::FILE), u64::from(audit.file_kib) * 1024);
                let tell = tell.clone();
                let thread = thread::Builder::new()
                    .name("clerk".into())
                    .spawn(move || write(&records, &folder, &journal, &*tell))?;
                Some((sender, thread))
            }
        };
        Ok(Clerk { keep: audit.keep, clock, tell, desk })
    }

    /// Puts a call down; never waits.
    pub(super) fn put_down(&self, deed: Deed) {
        let Some((desk, _)) = &self.desk else { return };
        let began_ms = self.clock.unix_ms() - i64::try_from(deed.took_ms).unwrap_or(0);
        let Some(record) = deed.record(self.keep, clock::written(began_ms / 1000), began_ms) else { return };
        if let Err(TrySendError::Full(record)) = desk.try_send(record) {
            let text = format!("the audit log lost a call of `{}`: the disk takes nothing", record.tool);
            (self.tell)(What::Trouble { part: "tools".into(), text });
        }
    }

    /// Waits until all is written.
    pub(super) fn finish(self) {
        if let Some((desk, thread)) = self.desk {
            drop(desk);
            let _ = thread.join();
        }
    }
}

fn write(records: &Receiver<Record>, folder: &Folder, journal: &Journal, tell: &Tell) {
    let mut is_in_trouble = false;
    while let Ok(record) = records.recv() {
        // Strings, numbers and JSON: there is nothing in it that JSON cannot say.
        let line = serde_json::to_vec(&record).unwrap_or_default();
        let written = folder.claim().map_err(|e| e.to_string()).and_then(|()| {
            journal.append(&line).map_err(|e| format!("{} cannot be written ({e})", journal.path().display()))
        });
        match written {
            Ok(()) if std::mem::take(&mut is_in_trouble) => tell(What::Recovered { part: "tools".into() }),
            Ok(()) => {}
            Err(why) if !std::mem::replace(&mut is_in_trouble, true) => {
                tell(What::Trouble { part: "tools".into(), text: format!("the audit log loses calls: {why}") });
            }
            Err(_) => {}
        }
    }
}
