//! Events as JSON lines: one object a line, as the demo leaves them and as `mynah run --events FILE` writes them.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::flow::Event;

/// Events that may wait for the disk; more are left out rather than waited for: the core tells them.
const WAITING_MAX: usize = 4096;

/// Writes one event as a line.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut dyn Write, event: &Event) -> io::Result<()> {
    serde_json::to_writer(&mut *out, event)?;
    out.write_all(b"\n")
}

/// A file that gets events, written by a thread of its own.
pub struct EventFile {
    /// Nothing ends the file.
    sender: SyncSender<Option<Event>>,
    thread: JoinHandle<()>,
}

impl EventFile {
    /// Opens `path` to append to it. What people said stands in it: a new file is for its owner's eyes only.
    ///
    /// # Errors
    /// A file that cannot be written, or no thread.
    pub fn open(path: &Path) -> io::Result<EventFile> {
        let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        let (sender, events) = sync_channel::<Option<Event>>(WAITING_MAX);
        let thread = std::thread::Builder::new().name("events".into()).spawn(move || {
            let mut line = Vec::new();
            while let Ok(Some(event)) = events.recv() {
                line.clear();
                // One write a line: a reader that follows the file sees half of one only where the system cuts the write in two.
                let written = write(&mut line, &event).and_then(|()| file.write_all(&line));
                if let Err(e) = written {
                    tracing::warn!("the file of events cannot be written any more ({e}): is the disk full?");
                    return;
                }
            }
        })?;
        Ok(EventFile { sender, thread })
    }

    /// What tells the file; never waits.
    pub fn teller(&self) -> impl Fn(&Event) + Send + Sync + use<> {
        let sender = self.sender.clone();
        move |event| {
            let _ = sender.try_send(Some(event.clone()));
        }
    }

    /// Waits until everything told so far is written; what is told later is lost.
    pub fn finish(self) {
        let _ = self.sender.send(None);
        let _ = self.thread.join();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::flow::What;
    use crate::units::Time;

    #[test]
    fn events_are_appended_one_a_line() {
        let path = std::env::temp_dir().join(format!("mynah-events-{}.jsonl", std::process::id()));
        let _ = std::fs::remove_file(&path);
        for what in [What::Pressed, What::Released] {
            let file = EventFile::open(&path).unwrap();
            file.teller()(&Event { at: Time::from_ms(3), what });
            file.finish();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(text, "{\"at_us\":3000,\"event\":\"pressed\"}\n{\"at_us\":3000,\"event\":\"released\"}\n");
    }
}
