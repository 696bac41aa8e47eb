//! The state file: what of a conversation outlives the program, for one service, in a folder of its own.
//!
//! A file that is not ours, or that this version cannot read, is put aside and costs a sentence: a device never
//! stays silent because of what it remembers.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::clock::CLOCK_SET_S;
use super::folder::{FileTrouble, Folder, FolderTrouble};
use crate::config::agent::Keep;
use crate::config::agent::endpoint::Endpoint;
use crate::session::memory::Memory;

/// The way the file is written; another number is another way.
const VERSION: u32 = 1;
/// A handle is some hundred bytes, fifty turns of text some ten thousand.
const FILE_BYTES_MAX: usize = 1024 * 1024;

/// The file's content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sheet {
    version: u32,
    /// Wall time when the session first said so of the handle, seconds since 1970.
    written_s: i64,
    /// Host and port: another service is another conversation.
    service: String,
    memory: Memory,
}

/// What was found at the start.
#[derive(Debug, Default, PartialEq)]
pub struct Past {
    /// What the session is to remember; empty where there was nothing.
    pub memory: Memory,
    /// How long ago it was written; none where the wall clock cannot tell.
    pub age: Option<Duration>,
    /// What the file holds of it, less what the owner does not allow (any more).
    pub sheet: Option<Sheet>,
    /// A sentence, where a file was there and was not taken.
    pub trouble: Option<String>,
}

/// The state file of one service.
#[derive(Debug)]
pub struct Store {
    folder: Arc<Folder>,
    file: &'static str,
    service: String,
    keep: Keep,
}

impl Store {
    /// The file for the service at `endpoint`, of which no more is kept than `keep` allows.
    ///
    /// A service on this machine, as the emulator is, has a file of its own: trying something out must not cost
    /// the real conversation, nor reset the day's cost.
    pub fn new(folder: Arc<Folder>, endpoint: &Endpoint, keep: Keep) -> Store {
        let file = if endpoint.is_here { "session-here.json" } else { "session.json" };
        Store { folder, file, service: format!("{}:{}", endpoint.host, endpoint.port), keep }
    }

    /// Reads what there is; `now_s` is the wall time in seconds since 1970. Never fails: see [`Past::trouble`].
    pub fn read(&self, now_s: i64) -> Past {
        // Where another process has the folder, the conversation is its own.
        if let Err(taken @ FolderTrouble::Taken { .. }) = self.folder.claim() {
            return Past { trouble: Some(taken.to_string()), ..Past::default() };
        }
        match self.folder.read_versioned(self.file, FILE_BYTES_MAX as u64, VERSION) {
            Ok(None) => Past::default(),
            Ok(Some(sheet)) => self.past(sheet, now_s),
            Err(trouble) => Past { trouble: Some(self.refuse(trouble)), ..Past::default() },
        }
    }

    fn past(&self, sheet: Sheet, now_s: i64) -> Past {
        let mut memory = self.allowed(sheet.memory.clone());
        if sheet.service != self.service {
            memory = Memory { resumable: None, said: Vec::new(), proven: None, ..memory };
        }
        let is_told = sheet.written_s >= CLOCK_SET_S && now_s >= sheet.written_s;
        let age = is_told.then(|| Duration::from_secs(now_s.abs_diff(sheet.written_s)));
        let sheet = Sheet { memory: memory.clone(), service: self.service.clone(), ..sheet };
        Past { memory, age, sheet: Some(sheet), trouble: None }
    }

    fn refuse(&self, trouble: FileTrouble) -> String {
        let file = self.folder.path().join(self.file);
        let (file, news) = (file.display(), "the conversation begins anew");
        match trouble {
            FileTrouble::Unreadable(why) => format!("{file} cannot be read ({why}); {news}"),
            FileTrouble::Unfit(why) if self.folder.put_aside(self.file) => {
                format!("{file} {why}; it was put aside as {}.bad, and {news}", self.file)
            }
            FileTrouble::Unfit(why) => format!("{file} {why}, and cannot be renamed; {news}"),
        }
    }

    fn allowed(&self, mut memory: Memory) -> Memory {
        if self.keep == Keep::Nothing {
            memory.resumable = None;
        }
        if self.keep != Keep::HandleAndWords {
            memory.said.clear();
        }
        memory
    }

    /// What is written for `memory`; `now_s` is the wall time in seconds since 1970, `before` what was written last.
    ///
    /// A handle that was there before is as old as it was: otherwise a device that is restarted again and again would
    /// take a dead one for a new one.
    pub fn sheet(&self, memory: Memory, now_s: i64, before: Option<&Sheet>) -> Sheet {
        let memory = self.allowed(memory);
        let is_same = |before: &&Sheet| memory.resumable.is_some() && before.memory.resumable == memory.resumable;
        let since_s = before.filter(is_same).map(|before| before.written_s);
        let written_s = since_s.filter(|since_s| (CLOCK_SET_S..=now_s).contains(since_s)).unwrap_or(now_s);
        Sheet { version: VERSION, written_s, service: self.service.clone(), memory }
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// [`FolderTrouble`]; trying again later is of use.
    pub fn write(&self, sheet: &Sheet) -> Result<(), FolderTrouble> {
        let mut text = text_of(sheet);
        if text.len() > FILE_BYTES_MAX {
            let memory = Memory { said: Vec::new(), ..sheet.memory.clone() };
            text = text_of(&Sheet { memory, ..sheet.clone() });
        }
        self.folder.write(self.file, text.as_bytes())
    }
}

/// Indented, so that an owner who looks sees what is kept.
fn text_of(sheet: &Sheet) -> String {
    // Numbers, texts and lists of them: there is nothing in it that JSON cannot say.
    serde_json::to_string_pretty(sheet).unwrap_or_default() + "\n"
}

#[cfg(test)]
#[path = "store/tests.rs"]
mod tests;
