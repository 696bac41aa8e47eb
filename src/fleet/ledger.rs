//! Which configuration is in force, which was the last good one, and which were sent before: one file, replaced whole.
//!
//! Whatever happens to the power, the file says one of two things: there is a candidate, or there is none. A candidate is
//! counted at each start before anything runs, so that one that kills the program is not started for ever.

use serde::{Deserialize, Serialize};

use super::Envelope;

/// The way the file is written; another number is another way.
pub const VERSION: u32 = 1;
/// Two envelopes and a little more; JSON within JSON doubles at worst what is in it.
pub const LEDGER_BYTES_MAX: usize = 512 * 1024;
/// A candidate is started so often before the one before it comes back.
pub const STARTS_MAX: u32 = 2;
/// Configurations that were sent and are known again; the broker keeps two.
const KNOWN_MAX: usize = 16;

/// A configuration that has not proven itself yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Candidate {
    envelope: Envelope,
    starts: u32,
}

/// One that was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Its serial.
    pub serial: u64,
    /// A sentence.
    pub why: String,
}

/// The file's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    version: u32,
    /// The last good one; none for the device's own file.
    accepted: Option<Envelope>,
    candidate: Option<Candidate>,
    refused: Option<Refused>,
    /// Serial and signature of those that were taken, the last last.
    known: Vec<(u64, String)>,
}

impl Default for Ledger {
    fn default() -> Ledger {
        Ledger { version: VERSION, accepted: None, candidate: None, refused: None, known: Vec::new() }
    }
}

/// What one that was sent is to the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Newer than all before.
    New,
    /// The broker kept it, and it is known.
    Known,
    /// The broker kept it, and a newer one has come since.
    Old,
}

impl Ledger {
    /// The file.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// The last good one; none for the device's own file.
    pub fn accepted(&self) -> Option<&Envelope> {
        self.accepted.as_ref()
    }

    /// The one that has not proven itself yet.
    pub fn candidate(&self) -> Option<&Envelope> {
        self.candidate.as_ref().map(|candidate| &candidate.envelope)
    }

    /// The one that was taken back last, if none was accepted since.
    pub fn refused(&self) -> Option<&Refused> {
        self.refused.as_ref()
    }

    /// What this one is, whose signature is right; `is_kept`: the broker had it from an earlier time.
    ///
    /// # Errors
    /// A sentence: it was sent now and is older than what was there, or another one had its serial.
    pub fn judge(&self, envelope: &Envelope, is_kept: bool) -> Result<News, String> {
        if self.known.iter().any(|(serial, signature)| (*serial, signature) == (envelope.serial, &envelope.signature)) {
            return Ok(News::Known);
        }
        let Some(last) = self.known.iter().map(|(serial, _)| *serial).max() else { return Ok(News::New) };
        if envelope.serial > last {
            return Ok(News::New);
        }
        // Two topics keep one each, and only one can be the newest: the other comes at every start, by nobody's fault.
        if is_kept && envelope.serial < last {
            return Ok(News::Old);
        }
        let serial = envelope.serial;
        Err(format!("its serial is {serial}, and {last} was here before: sign it with a greater one"))
    }

    /// With this one as the candidate, in the place of another.
    #[must_use]
    pub fn with_candidate(&self, envelope: Envelope) -> Ledger {
        let mut other = self.clone();
        other.known.push((envelope.serial, envelope.signature.clone()));
        let surplus = other.known.len().saturating_sub(KNOWN_MAX);
        other.known.drain(..surplus);
        other.candidate = Some(Candidate { envelope, starts: 0 });
        other
    }

    /// At a start: the candidate is counted, or goes where it was started often enough.
    #[must_use]
    pub fn started(&self) -> Ledger {
        match &self.candidate {
            Some(candidate) if candidate.starts >= STARTS_MAX => {
                self.rolled_back(&format!("the program ended {STARTS_MAX} times before it had proven itself"))
            }
            Some(candidate) => {
                let candidate = Candidate { starts: candidate.starts + 1, ..candidate.clone() };
                Ledger { candidate: Some(candidate), ..self.clone() }
            }
            None => self.clone(),
        }
    }

    /// The candidate has proven itself.
    #[must_use]
    pub fn proven(&self) -> Ledger {
        match self.candidate.clone() {
            Some(Candidate { envelope, .. }) => {
                Ledger { accepted: Some(envelope), candidate: None, refused: None, ..self.clone() }
            }
            None => self.clone(),
        }
    }

    /// The candidate is given up, for this reason; the last good one is in force from the next start on.
    #[must_use]
    pub fn rolled_back(&self, why: &str) -> Ledger {
        match &self.candidate {
            Some(Candidate { envelope, .. }) => {
                let refused = Refused { serial: envelope.serial, why: why.to_string() };
                Ledger { candidate: None, refused: Some(refused), ..self.clone() }
            }
            None => self.clone(),
        }
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
