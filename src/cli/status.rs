//! What `systemctl status` says of the device: one sentence, of what lasts. What is said and when somebody talks is not in it.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use sd_notify::NotifyState;

use crate::flow::{Event, What};
use crate::panel::screen::Parts;

/// Bytes of the sentence.
const BYTES_MAX: usize = 300;

/// What is known of the device.
#[derive(Debug, Default)]
pub struct Status {
    parts: Parts,
    was_connected: bool,
    is_muted: bool,
    is_muted_by_line: bool,
    is_spent: bool,
    /// What a reload left for a restart.
    due: String,
}

impl Status {
    /// Takes what happened.
    pub fn handle(&mut self, what: &What) {
        self.parts.handle(what);
        match what {
            What::LinkReady { .. } => (self.was_connected, self.is_spent) = (true, false),
            What::Muted { is_muted, by_line: true } => self.is_muted_by_line = *is_muted,
            What::Muted { is_muted, by_line: false } => self.is_muted = *is_muted,
            What::DaySpent { .. } => self.is_spent = true,
            _ => {}
        }
    }

    /// The files were read anew, and `due` is what only a restart puts in force; empty where nothing is.
    pub fn reloaded(&mut self, due: String) {
        self.due = due;
    }

    /// The sentence.
    pub fn words(&self) -> String {
        let troubles = self.parts.out_of_order();
        let mut words = match (troubles.as_slice(), self.is_muted_by_line, self.is_muted) {
            ([], true, _) => "Muted by the switch on the device.".to_string(),
            ([], _, true) => "Muted.".to_string(),
            ([], ..) if self.is_spent => "Today's limit is used up: it listens again tomorrow.".to_string(),
            ([], ..) if !self.was_connected => "Started; no connection to the service yet.".to_string(),
            ([], ..) => "Ready.".to_string(),
            ([one], ..) => format!("Trouble with {one}"),
            ([first, more @ ..], ..) => format!("Trouble with {first} (and {} more)", more.len()),
        };
        if !self.due.is_empty() {
            words.push_str(&format!(" In force after `systemctl restart mynah`: {}", self.due));
        }
        // Some of it is the service's own words: a line's end would begin an order to systemd.
        let mut words: String = words.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
        words.truncate(words.floor_char_boundary(BYTES_MAX));
        words
    }
}

/// The sentence as it goes to systemd, by a thread of its own: who tells an event must not wait for a socket.
#[derive(Clone, Default)]
pub struct Teller(Arc<(Mutex<Status>, Condvar)>);

impl Teller {
    /// Starts the thread where systemd listens; elsewhere nothing is told.
    ///
    /// # Errors
    /// A system without threads.
    pub fn start() -> std::io::Result<Teller> {
        let teller = Teller::default();
        if std::env::var_os("NOTIFY_SOCKET").is_some() {
            let told = teller.clone();
            std::thread::Builder::new().name("status".into()).spawn(move || told.tell())?;
        }
        Ok(teller)
    }

    /// Takes what happened.
    pub fn hear(&self, event: &Event) {
        self.change(|status| status.handle(&event.what));
    }

    /// Changes what is known.
    pub fn change(&self, change: impl FnOnce(&mut Status)) {
        let (status, bell) = &*self.0;
        change(&mut status.lock().unwrap_or_else(PoisonError::into_inner));
        bell.notify_one();
    }

    /// Never ends: the process takes it along.
    fn tell(&self) {
        let (status, bell) = &*self.0;
        let mut told = String::new();
        let mut status = status.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let words = status.words();
            if words != told {
                drop(status);
                let _ = sd_notify::notify(&[NotifyState::Status(&words)]);
                told = words;
                status = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            status = bell.wait(status).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Start;

    #[test]
    fn the_sentence_tells_what_lasts() {
        let muted = |is_muted, by_line| What::Muted { is_muted, by_line };
        let trouble = |part: &str, text: &str| What::Trouble { part: part.into(), text: text.into() };
        let ready = What::LinkReady { setup_ms: 5, start: Start::Fresh };
        let steps: [(What, &str); 10] = [
            (What::Pressed, "Started; no connection to the service yet."),
            (What::LinkDown { why: "no name server answers".into() }, "Trouble with link: no name server answers"),
            (ready, "Ready."),
            (muted(true, false), "Muted."),
            (muted(true, true), "Muted by the switch on the device."),
            (trouble("mic", "hw:1 is busy"), "Trouble with mic: hw:1 is busy"),
            (trouble("line", "GPIO17 is busy"), "Trouble with line: GPIO17 is busy (and 1 more)"),
            (What::Recovered { part: "line".into() }, "Trouble with mic: hw:1 is busy"),
            (What::Recovered { part: "mic".into() }, "Muted by the switch on the device."),
            (muted(false, true), "Muted."),
        ];
        let mut status = Status::default();
        for (what, words) in steps {
            status.handle(&what);
            assert_eq!(status.words(), words, "after {what:?}");
        }
        status.reloaded("`listen.mode`".into());
        assert_eq!(status.words(), "Muted. In force after `systemctl restart mynah`: `listen.mode`");
        status.handle(&trouble("mic", "closed: x\nWATCHDOG=trigger"));
        assert!(status.words().starts_with("Trouble with mic: closed: x WATCHDOG=trigger"), "{}", status.words());
        status.handle(&trouble("mic", &"ä".repeat(400)));
        assert!(status.words().len() <= BYTES_MAX);
    }
}
