//! Lines for the journal itself, in its own way (systemd's JOURNAL_NATIVE_PROTOCOL): a priority, the sentence with its values as
//! it stands on a terminal, and each value as a field, by which `journalctl` finds it.

use std::fmt::{Debug, Write as _};
use std::io::{self, Write as _};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Where the journal listens.
pub const SOCKET: &str = "/run/systemd/journal/socket";
/// Before the name of each value: `journalctl -u mynah MYNAH_PART=mic`.
const PREFIX: &str = "MYNAH_";
/// Bytes of a sentence and of a value; the journal's datagrams end far later.
const TEXT_BYTES_MAX: usize = 8 * 1024;

/// The way to the journal.
pub struct Journal(UnixDatagram);

impl Journal {
    /// Finds the journal that listens at `socket`.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn open(socket: &Path) -> io::Result<Journal> {
        let way = UnixDatagram::unbound()?;
        way.connect(socket)?;
        // A journal that stands still costs lines, and never a thread that sound passes through.
        way.set_nonblocking(true)?;
        Ok(Journal(way))
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        // Nobody could be told.
        let _ = self.0.send(&line.datagram(*event.metadata().level()));
    }
}

/// An event, taken apart.
#[derive(Default)]
struct Line {
    sentence: String,
    values: String,
    fields: Vec<(&'static str, String)>,
}

impl Line {
    fn value(&mut self, field: &Field, shown: &str, plain: String) {
        let _ = write!(self.values, " {}={shown}", field.name());
        self.fields.push((field.name(), plain));
    }

    fn datagram(&self, level: Level) -> Vec<u8> {
        let priority = match level {
            Level::ERROR => "3",
            Level::WARN => "4",
            Level::INFO => "6",
            _ => "7",
        };
        let mut bytes = Vec::new();
        put(&mut bytes, "PRIORITY", priority);
        put(&mut bytes, "SYSLOG_IDENTIFIER", "mynah");
        put(&mut bytes, "MESSAGE", format!("{}{}", self.sentence, self.values).trim());
        for (name, value) in &self.fields {
            put(&mut bytes, &format!("{PREFIX}{}", name.to_ascii_uppercase()), value);
        }
        bytes
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => self.sentence = format!("{value:?}"),
            _ => self.value(field, &format!("{value:?}"), format!("{value:?}")),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.sentence = value.to_string(),
            _ => self.value(field, &format!("{value:?}"), value.to_string()),
        }
    }
}

/// A field with its length: so its text may hold lines, and cannot pretend to be another field.
fn put(bytes: &mut Vec<u8>, name: &str, text: &str) {
    let text = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)];
    // Writing to memory does not fail.
    let _ = writeln!(bytes, "{name}");
    bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(b'\n');
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// Fields of a datagram, as the journal takes them apart.
    fn fields(mut bytes: &[u8]) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let name = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let (length, rest) = bytes[end + 1..].split_at(8);
            let (text, rest) = rest.split_at(u64::from_le_bytes(length.try_into().unwrap()) as usize);
            fields.push((name, String::from_utf8(text.to_vec()).unwrap()));
            bytes = rest.strip_prefix(b"\n").unwrap();
        }
        fields
    }

    #[test]
    fn a_line_has_its_values_in_words_and_as_fields() {
        let folder = std::env::temp_dir().join(format!("mynah-journal-socket-{}", std::process::id()));
        let _ = std::fs::remove_file(&folder);
        let journal = UnixDatagram::bind(&folder).unwrap();
        let subscriber = tracing_subscriber::registry().with(Journal::open(&folder).unwrap());
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(part = "mic", took_ms = 5, "works\nPRIORITY=0");
            tracing::debug!(what = ?Some(1));
        });
        let mut bytes = [0; 4096];
        let mut next = || {
            let length = journal.recv(&mut bytes).unwrap();
            fields(&bytes[..length])
        };
        let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect()
        };
        let wanted = [
            ("PRIORITY", "4"),
            ("SYSLOG_IDENTIFIER", "mynah"),
            ("MESSAGE", "works\nPRIORITY=0 part=\"mic\" took_ms=5"),
            ("MYNAH_PART", "mic"),
            ("MYNAH_TOOK_MS", "5"),
        ];
        assert_eq!(next(), pairs(&wanted));
        let wanted =
            [("PRIORITY", "7"), ("SYSLOG_IDENTIFIER", "mynah"), ("MESSAGE", "what=Some(1)"), ("MYNAH_WHAT", "Some(1)")];
        assert_eq!(next(), pairs(&wanted));
        std::fs::remove_file(&folder).unwrap();
    }
}
