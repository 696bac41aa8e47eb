//! Writes the flight recorder's dump: when asked, when a thread stands still, when the program ends by a fault.

use std::sync::Arc;
use std::time::Duration;

use crate::hw::Clock;
use crate::hw::clock::{unix_s, written};
use crate::hw::folder::Folder;
use crate::hw::process::use_now;
use crate::trace::Recorder;

/// The dump that was asked for.
pub const FILE: &str = "trace.txt";
/// The dump of a program that ended by a fault; the next program leaves it alone.
pub const FATAL_FILE: &str = "trace-fatal.txt";

/// Attempts to read the record in a panic, while another thread adds to it; the panicking one may hold it itself.
const PANIC_ATTEMPTS: u32 = 20;

/// What a dump is made from.
#[derive(Clone)]
pub struct Dump {
    /// The record.
    pub recorder: Recorder,
    /// The clock of the record.
    pub clock: Arc<dyn Clock>,
    /// Where the files go; without one the dump goes to standard error.
    pub folder: Option<Arc<Folder>>,
}

impl Dump {
    /// Writes the dump into [`FILE`]; `because` is the end of the first line.
    pub fn write(&self, because: &str) {
        self.put(FILE, because, &self.recorder.text());
    }

    /// Writes the dump into [`FATAL_FILE`].
    pub fn write_fatal(&self, because: &str) {
        self.put(FATAL_FILE, because, &self.recorder.text());
    }

    /// From now on a panic leaves a dump, whichever thread it is on. What the panic says goes to standard error only:
    /// it may quote what was at hand.
    pub fn on_panic(&self) {
        let (dump, usual) = (self.clone(), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |panic| {
            usual(panic);
            let place = panic.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
            for _ in 0..PANIC_ATTEMPTS {
                if let Some(text) = dump.recorder.text_now() {
                    return dump.put(FATAL_FILE, &format!("the program panicked{place}"), &text);
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }));
    }

    fn put(&self, file: &str, because: &str, record: &str) {
        let (version, process) = (env!("CARGO_PKG_VERSION"), std::process::id());
        let (wall_s, up) = (unix_s(), self.clock.now());
        let began_s = wall_s - i64::try_from(up.as_ms() / 1000).unwrap_or(0);
        let (wall, began) = (written(wall_s), written(began_s));
        let head = format!("mynah {version}, process {process}, up for {up}: {because}");
        let used = use_now().map_or_else(String::new, |used| format!("\n{used}"));
        let text = format!("{head}\nwritten on {wall}; its second 0 was {began}{used}\n\n{record}");
        let Some(folder) = &self.folder else { return eprint!("{text}") };
        match folder.write(file, text.as_bytes()) {
            Ok(()) => tracing::info!("what happened so far is in {} ({because})", folder.path().join(file).display()),
            Err(trouble) => eprint!("mynah: {trouble}\n{text}"),
        }
    }
}
