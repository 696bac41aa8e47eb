//! The fleet's configurations on this device: which is in force, in a file of the state folder, and the door for new ones.
//!
//! Nothing here stops a start: what cannot be read, is not signed any more or does not fit any more leaves the device's own
//! file in force, and is told.

use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::folder::{self, FileTrouble, Folder};
use super::settings::Owned;
use crate::config::agent::Agent;
use crate::config::agent::fleet::{Fleet, name_of_host};
use crate::config::board::Board;
use crate::fleet::Envelope;
use crate::fleet::compose::{check, compose};
use crate::fleet::health::Standing;
use crate::fleet::ledger::{LEDGER_BYTES_MAX, Ledger, News, Refused, VERSION};

/// Its name in the state folder.
pub const FILE: &str = "fleet.json";
/// Its name in troubles.
pub const PART: &str = "fleet";

/// What a configuration needs beside its text: a key, files.
pub type Usable = dyn Fn(&Agent) -> Result<(), String> + Send + Sync;

/// What the program goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
enum InForce {
    Own,
    Proving(u64),
    Accepted(u64),
}

/// What a running program knows of the fleet's configurations.
pub struct Desk {
    fleet: Fleet,
    device: String,
    owned: Owned,
    profile: Board,
    folder: Option<Arc<Folder>>,
    usable: Box<Usable>,
    ledger: Mutex<Ledger>,
    in_force: InForce,
    text: Owned,
    trouble: Option<String>,
}

/// The device's name in topics: the file's, else the host's.
pub fn device_name(fleet: &Fleet) -> String {
    let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    fleet.name.clone().unwrap_or_else(|| name_of_host(&host()))
}

impl Desk {
    /// Opens it at the start of the program, which counts as one of the candidate's, where there is a candidate.
    pub fn open(fleet: Fleet, owned: Owned, profile: Board, folder: Option<Arc<Folder>>, usable: Box<Usable>) -> Desk {
        let device = device_name(&fleet);
        let text = owned.clone();
        let (ledger, in_force) = (Mutex::default(), InForce::Own);
        let mut desk = Desk { fleet, device, owned, profile, folder, usable, ledger, in_force, text, trouble: None };
        if desk.fleet.public_key.is_some() {
            desk.begin();
        }
        desk
    }

    fn begin(&mut self) {
        let found = match self.folder.as_deref().map(read) {
            None | Some(Ok(None)) => return,
            Some(Ok(Some(ledger))) => ledger,
            Some(Err(why)) => {
                self.trouble = Some(format!("{why}; the device goes by its own file"));
                return;
            }
        };
        let mut ledger = found.started();
        let candidate = ledger.candidate().map(|envelope| (envelope.serial, self.fitting(envelope)));
        if let Some((_, Err(why))) = &candidate {
            ledger = ledger.rolled_back(why);
        }
        // What could not be counted is not run: it might end the program again and again.
        let written = if ledger == found { Ok(()) } else { self.write(&ledger) };
        let is_counted = written.is_ok();
        if let Err(why) = written {
            ledger = ledger.rolled_back(&format!("its start cannot be written down: {why}"));
        }
        let accepted = ledger.accepted().map(|envelope| (envelope.serial, self.fitting(envelope)));
        match (candidate, accepted) {
            (Some((serial, Ok(text))), _) if is_counted => {
                (self.in_force, self.text) = (InForce::Proving(serial), text)
            }
            (_, Some((serial, Ok(text)))) => (self.in_force, self.text) = (InForce::Accepted(serial), text),
            (_, Some((serial, Err(why)))) => {
                self.trouble = Some(format!(
                    "the fleet's configuration {serial} is not in force, and the device goes by its own file: {why}"
                ));
            }
            _ => {}
        }
        *self.lock() = ledger;
    }

    /// The text that is in force: the owner's file, or what stands in its place.
    pub fn text(&self) -> Owned {
        self.text.clone()
    }

    /// Whether the owner's own file is in force; also where an empty configuration says so.
    pub fn is_own(&self) -> bool {
        self.in_force == InForce::Own || self.text.text == self.owned.text
    }

    /// The device's name in topics.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// What of the file was left out, and why.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Whether what is in force has yet to prove itself.
    pub fn is_proving(&self) -> bool {
        let candidate = self.lock().candidate().map(|envelope| envelope.serial);
        candidate.is_some_and(|serial| self.in_force == InForce::Proving(serial))
    }

    /// Whether a start would go by another configuration.
    pub fn is_restart_due(&self) -> bool {
        let ledger = self.lock();
        match (ledger.candidate(), &self.in_force) {
            (Some(candidate), in_force) => *in_force != InForce::Proving(candidate.serial),
            (None, InForce::Proving(serial)) => ledger.accepted().is_none_or(|accepted| accepted.serial != *serial),
            (None, _) => false,
        }
    }

    /// What the owner is told of it.
    pub fn standing(&self) -> Standing {
        let ledger = self.lock();
        let accepted = ledger.accepted();
        let is_accepted = |serial| accepted.is_some_and(|accepted| accepted.serial == serial);
        let (state, serial) = match self.in_force {
            InForce::Own => ("own", None),
            InForce::Proving(serial) if !is_accepted(serial) => ("proving", Some(serial)),
            InForce::Proving(serial) | InForce::Accepted(serial) => {
                (if accepted.is_some_and(Envelope::is_own) { "own" } else { "accepted" }, Some(serial))
            }
        };
        let next = ledger.candidate().map(|candidate| candidate.serial).filter(|next| Some(*next) != serial);
        Standing { state, serial, next, refused: ledger.refused().cloned() }
    }

    /// Takes a configuration that came, if it is the owner's, newer than all before, and fits. It is on the disk when this
    /// answers with its serial; none for one that is known, or that the broker had kept (`is_kept`) since before the newest.
    ///
    /// # Errors
    /// Its serial where its signature is right, and a sentence; nothing has changed then.
    pub fn take(&self, payload: &[u8], is_kept: bool) -> Result<Option<u64>, Refused> {
        let unknown = |why| Refused { serial: 0, why };
        let Some(key) = &self.fleet.public_key else {
            return Err(unknown("`public_key` is not in [fleet], so no configuration is taken".to_string()));
        };
        let envelope = Envelope::parse(payload).map_err(unknown)?;
        envelope.verify(key, &self.device).map_err(unknown)?;
        let serial = envelope.serial;
        let refused = |why| Refused { serial, why };
        if self.folder.is_none() {
            return Err(refused(
                "there is no state directory to keep it (`mynah run --state DIR` names one)".to_string(),
            ));
        }
        let ledger = self.lock().clone();
        if ledger.judge(&envelope, is_kept).map_err(refused)? != News::New {
            return Ok(None);
        }
        self.fitting(&envelope).map_err(refused)?;
        let ledger = ledger.with_candidate(envelope);
        self.write(&ledger).map_err(refused)?;
        *self.lock() = ledger;
        Ok(Some(serial))
    }

    /// What is in force has proven itself.
    ///
    /// # Errors
    /// A sentence: it cannot be written, and is asked for again at the next start.
    pub fn accept(&self) -> Result<(), String> {
        self.change(Ledger::proven)
    }

    /// What is in force is given up where it has yet to prove itself; answers whether it was so.
    pub fn give_up(&self, why: &str) -> bool {
        if !self.is_proving() {
            return false;
        }
        tracing::warn!("the fleet's configuration is taken back: {why}");
        if let Err(why) = self.change(|ledger| ledger.rolled_back(why)) {
            tracing::warn!("{why}"); // the number of its starts ends it
        }
        true
    }

    fn change(&self, change: impl Fn(&Ledger) -> Ledger) -> Result<(), String> {
        let mut ledger = self.lock();
        *ledger = change(&ledger);
        self.write(&ledger)
    }

    /// The text that holds where this one is in force.
    fn fitting(&self, envelope: &Envelope) -> Result<Owned, String> {
        let key = self.fleet.public_key.as_ref().ok_or("`public_key` is not in [fleet] any more")?;
        envelope.verify(key, &self.device)?;
        let text = compose(&self.owned.text, &envelope.agent)?;
        let agent = check(&text, &self.profile)?;
        (self.usable)(&agent)?;
        let name = match envelope.is_own() {
            true => self.owned.name.clone(),
            false => format!("the fleet's configuration {}", envelope.serial),
        };
        Ok(Owned { text, name })
    }

    fn write(&self, ledger: &Ledger) -> Result<(), String> {
        let Some(folder) = &self.folder else { return Ok(()) };
        folder.write(FILE, ledger.to_json().as_bytes()).map_err(|trouble| trouble.to_string())
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The file; what is unfit is put aside.
fn read(folder: &Folder) -> Result<Option<Ledger>, String> {
    folder.claim().map_err(|trouble| trouble.to_string())?;
    let place = folder.path().join(FILE);
    let unfit = |why: String| {
        let is_aside = folder.put_aside(FILE);
        format!("{} {why}{}", place.display(), if is_aside { ", and was put aside" } else { "" })
    };
    match folder.read_versioned(FILE, LEDGER_BYTES_MAX as u64, VERSION) {
        Ok(found) => Ok(found),
        Err(FileTrouble::Unfit(why)) => Err(unfit(why)),
        Err(FileTrouble::Unreadable(why)) => Err(format!("{} cannot be read ({why})", place.display())),
    }
}

/// What the file in this folder says, for whoever looks at another program's. None where there is no such file, or nobody
/// but its owner may look.
pub fn look(folder: &Path) -> Option<Result<Ledger, String>> {
    let path = folder.join(FILE);
    let said = |why: String| format!("{} {why}", path.display());
    let file = match folder::look(&path) {
        Ok(file) => file?,
        Err(error) => return Some(Err(said(format!("cannot be read: {error}")))),
    };
    let mut bytes = Vec::new();
    let read = file.take(LEDGER_BYTES_MAX as u64).read_to_end(&mut bytes);
    let read = read.map_err(|error| format!("cannot be read: {error}"));
    Some(read.and_then(|_| folder::parse_versioned(&bytes, VERSION)).map_err(said))
}

#[cfg(test)]
#[path = "fleet_tests.rs"]
mod tests;
