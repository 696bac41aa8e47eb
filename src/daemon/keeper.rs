//! Writes down what is to outlive the program, on a thread of its own: the core never waits for the disk.
//!
//! The newest wins. An SD card is worn by writing, so there is a pause after each; what is still to be written is
//! written at the stop.

use std::io;
use std::mem;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::hw::clock::unix_s;
use crate::hw::store::{Sheet, Store};
use crate::session::memory::Memory;

/// A stop must not wait for a disk that is broken: the service manager would kill the program.
const FINISH_WITHIN: Duration = Duration::from_secs(5);

/// How long the disk is left alone.
#[derive(Clone, Copy, Debug)]
pub struct Pauses {
    /// After a write.
    pub written: Duration,
    /// After one that failed: a full disk or a read-only one changes when somebody comes.
    pub failed: Duration,
}

impl Default for Pauses {
    fn default() -> Pauses {
        Pauses { written: Duration::from_secs(2), failed: Duration::from_secs(60) }
    }
}

/// The running thread.
pub struct Keeper {
    desk: Arc<Desk>,
    store: Arc<Store>,
    /// Ends with the thread.
    running: Receiver<()>,
}

impl Keeper {
    /// Starts the thread, with what was found at the start, which it writes again: the owner may allow less of it
    /// than the file holds. `tell` hears of a trouble once, and when it is over.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn spawn(
        store: Store,
        found: Option<Sheet>,
        pauses: Pauses,
        tell: impl Fn(Result<(), String>) + Send + 'static,
    ) -> io::Result<Keeper> {
        let store = Arc::new(store);
        let desk = Arc::new(Desk::default());
        *desk.papers() = Papers { newest: found.clone(), last: found, is_closing: false };
        let (of_thread, place) = (desk.clone(), store.clone());
        let (until_its_end, running) = sync_channel(0);
        let thread = thread::Builder::new().name("keeper".into());
        thread.spawn(move || {
            let _until_its_end: SyncSender<()> = until_its_end;
            of_thread.work(&place, pauses, tell);
        })?;
        Ok(Keeper { desk, store, running })
    }

    /// What takes the newest memory; never waits for the disk.
    pub fn taker(&self) -> impl Fn(Memory) + Send + use<> {
        let (desk, store) = (self.desk.clone(), self.store.clone());
        move |memory| {
            let mut papers = desk.papers();
            // The time of now, not of the writing: how long a handle is good counts from here.
            let sheet = store.sheet(memory, unix_s(), papers.last.as_ref());
            papers.newest = Some(sheet.clone());
            papers.last = Some(sheet);
            drop(papers);
            desk.changed.notify_one();
        }
    }

    /// Writes what is still to be written, and ends the thread; a disk that does not answer is given up.
    pub fn finish(self) {
        self.desk.papers().is_closing = true;
        self.desk.changed.notify_one();
        if self.running.recv_timeout(FINISH_WITHIN) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the disk does not answer: a restart may not find the conversation again");
        }
    }
}

#[derive(Default)]
struct Desk {
    papers: Mutex<Papers>,
    changed: Condvar,
}

#[derive(Default)]
struct Papers {
    /// What is to be written.
    newest: Option<Sheet>,
    /// What was said last, written or not.
    last: Option<Sheet>,
    is_closing: bool,
}

impl Desk {
    fn papers(&self) -> MutexGuard<'_, Papers> {
        self.papers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, store: &Store, pauses: Pauses, tell: impl Fn(Result<(), String>)) {
        let mut is_failing = false;
        loop {
            let (sheet, is_last) = self.next();
            let written = sheet.as_ref().map(|sheet| store.write(sheet));
            match written {
                None => {}
                Some(Ok(())) if mem::take(&mut is_failing) => tell(Ok(())),
                Some(Ok(())) => {}
                Some(Err(trouble)) => {
                    if !mem::replace(&mut is_failing, true) {
                        tell(Err(trouble.to_string()));
                    }
                    let mut papers = self.papers();
                    papers.newest = papers.newest.take().or(sheet);
                }
            }
            if is_last {
                return;
            }
            self.rest(if is_failing { pauses.failed } else { pauses.written });
        }
    }

    /// Waits for something to write, or the end; answers what, and whether it is the last.
    fn next(&self) -> (Option<Sheet>, bool) {
        let idle = |papers: &mut Papers| papers.newest.is_none() && !papers.is_closing;
        let papers = self.changed.wait_while(self.papers(), idle);
        let mut papers = papers.unwrap_or_else(PoisonError::into_inner);
        (papers.newest.take(), papers.is_closing)
    }

    /// Waits so long, or for the end.
    fn rest(&self, pause: Duration) {
        drop(self.changed.wait_timeout_while(self.papers(), pause, |papers| !papers.is_closing));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;
    use std::path::PathBuf;
    use std::sync::mpsc;

    use super::*;
    use crate::config::agent::{Keep, endpoint};
    use crate::hw::folder::Folder;
    use crate::session::memory::Spent;

    const LONG: Duration = Duration::from_secs(600);

    fn store(name: &str) -> (Store, PathBuf) {
        let path = std::env::temp_dir().join(format!("mynah-keeper-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        let folder = Arc::new(Folder::new(path.join("state")));
        (Store::new(folder, &endpoint::parse("wss://example.org/").unwrap(), Keep::Handle), path)
    }

    fn memory(tokens: u64) -> Memory {
        Memory { spent: Spent { tokens, ..Spent::default() }, ..Memory::default() }
    }

    fn tokens_on_disk(folder: &std::path::Path) -> Option<u64> {
        let text = fs::read(folder.join("state/session.json")).ok()?;
        serde_json::from_slice::<serde_json::Value>(&text).unwrap()["memory"]["spent"]["tokens"].as_u64()
    }

    #[test]
    fn a_burst_is_one_write_and_the_newest_is_there_at_the_end() {
        let (store, path) = store("burst");
        let pauses = Pauses { written: LONG, failed: LONG };
        let keeper = Keeper::spawn(store, None, pauses, |told| panic!("{told:?}")).unwrap();
        let take = keeper.taker();
        take(memory(1));
        while tokens_on_disk(&path).is_none() {
            thread::yield_now();
        }
        (2..=1000).for_each(|tokens| take(memory(tokens)));
        assert_eq!(tokens_on_disk(&path), Some(1), "the pause is not over");
        keeper.finish();
        assert_eq!(tokens_on_disk(&path), Some(1000));
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_disk_that_refuses_is_told_of_once_and_tried_until_it_takes_the_newest() {
        let (store, path) = store("refuses");
        fs::write(&path, "in the way").unwrap();
        let (tell, told) = mpsc::channel();
        let pauses = Pauses { written: Duration::ZERO, failed: Duration::from_millis(1) };
        let keeper = Keeper::spawn(store, None, pauses, move |news| drop(tell.send(news))).unwrap();
        let take = keeper.taker();
        take(memory(1));
        assert!(told.recv_timeout(LONG).unwrap().unwrap_err().contains("cannot be written"));
        take(memory(2));
        assert!(told.recv_timeout(Duration::from_millis(50)).is_err(), "the same trouble is told once");
        fs::remove_file(&path).unwrap();
        assert_eq!(told.recv_timeout(LONG).unwrap(), Ok(()));
        assert_eq!(tokens_on_disk(&path), Some(2));
        keeper.finish();
        fs::remove_dir_all(path).unwrap();
    }
}
