//! Lines as files in a folder: a FIFO per input, a file per output. For boards without GPIO, tests and scripts.
//!
//! `echo 1 > talk` presses, `echo 0 > talk` releases; `lamp` holds `1` or `0`. A FIFO is opened for reading and
//! writing, so that it neither ends nor blocks when writers come and go. It remembers no level: it counts as
//! inactive until the first word. Files are written in place and not flushed to the disk: a level has no
//! business surviving a power cut.

use std::collections::VecDeque;
use std::ffi::CString;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::poll::wait_readable;
use super::{Button, Clock, Edge, Input, LineTrouble, Output};
use crate::flow::EDGES_MAX;
use crate::units::Time;

/// The longest line a writer may write; `1` and `0` need one byte.
const WORD_BYTES_MAX: usize = 16;

/// Opens an input for its edges; `name` is the line's name and the FIFO's.
///
/// # Errors
/// [`LineTrouble`] where the FIFO cannot be made or opened.
pub fn open_button(folder: &Path, name: &str, clock: Arc<dyn Clock>) -> Result<Box<dyn Button>, LineTrouble> {
    Ok(Box::new(FifoButton { words: Words::open(folder, name)?, clock, edges: VecDeque::new(), is_active: false }))
}

/// Opens an input for its level. A FIFO gives each word to one reader only: a line has one opener.
///
/// # Errors
/// [`LineTrouble`] where the FIFO cannot be made or opened.
pub fn open_input(folder: &Path, name: &str) -> Result<Box<dyn Input>, LineTrouble> {
    Ok(Box::new(FifoInput { words: Words::open(folder, name)?, is_active: false }))
}

/// Opens an output; its file is made where it is missing, and holds `0`.
///
/// # Errors
/// [`LineTrouble`] where the file cannot be made or written.
pub fn open_output(folder: &Path, name: &str) -> Result<Box<dyn Output>, LineTrouble> {
    let path = folder.join(name);
    let trouble = |error: io::Error| trouble(&path, name, &error);
    make_folder(folder).map_err(trouble)?;
    // Not blocking: a FIFO of this name, which is not what we want, would wait here for its reader.
    let mut options = OpenOptions::new();
    options.write(true).custom_flags(libc::O_NONBLOCK);
    let file = match options.clone().create_new(true).open(&path) {
        // Whatever the umask took away: who is in the group is to read it.
        Ok(file) => file.set_permissions(Permissions::from_mode(0o640)).map(|()| file),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => options.open(&path),
        Err(error) => Err(error),
    };
    let file = file.map_err(trouble)?;
    if !file.metadata().map_err(trouble)?.is_file() {
        return Err(other(name, format!("{} is not a plain file; remove it", path.display())));
    }
    file.set_len(0).map_err(trouble)?;
    let mut output = FileOutput { file, path, name: name.to_string(), is_active: false };
    output.set(false)?;
    Ok(Box::new(output))
}

fn make_folder(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)
}

fn other(line: &str, why: String) -> LineTrouble {
    LineTrouble::Other { line: line.to_string(), why }
}

fn trouble(path: &Path, name: &str, error: &io::Error) -> LineTrouble {
    match error.kind() {
        ErrorKind::PermissionDenied => {
            other(name, format!("no right to write {}; give the folder to the user that mynah runs as", path.display()))
        }
        _ => other(name, format!("{}: {error}", path.display())),
    }
}

struct FileOutput {
    file: File,
    path: PathBuf,
    name: String,
    is_active: bool,
}

impl Output for FileOutput {
    fn set(&mut self, active: bool) -> Result<(), LineTrouble> {
        let word: &[u8] = if active { b"1\n" } else { b"0\n" };
        self.file.write_all_at(word, 0).map_err(|error| trouble(&self.path, &self.name, &error))?;
        self.is_active = active;
        Ok(())
    }

    fn is_active(&mut self) -> Result<bool, LineTrouble> {
        Ok(self.is_active)
    }
}

/// The words that writers put into a FIFO.
struct Words {
    fifo: File,
    path: PathBuf,
    name: String,
    /// Bytes of a line whose end has not come yet.
    partial: Vec<u8>,
}

impl Words {
    fn open(folder: &Path, name: &str) -> Result<Words, LineTrouble> {
        let path = folder.join(name);
        let trouble = |error: io::Error| trouble(&path, name, &error);
        make_folder(folder).map_err(trouble)?;
        make_fifo(&path).map_err(trouble)?;
        // For writing too: then there is always a writer, and neither end of file nor POLLHUP comes.
        let mut options = OpenOptions::new();
        let fifo = options.read(true).write(true).custom_flags(libc::O_NONBLOCK).open(&path).map_err(trouble)?;
        if !fifo.metadata().map_err(trouble)?.file_type().is_fifo() {
            return Err(other(name, format!("{} is not a FIFO; remove it, mynah makes one", path.display())));
        }
        Ok(Words { fifo, path, name: name.to_string(), partial: Vec::new() })
    }

    /// Hands all levels that are waiting to `take`, oldest first, until it answers false. Never blocks.
    fn drain(&mut self, mut take: impl FnMut(bool) -> bool) -> Result<(), LineTrouble> {
        loop {
            // One byte at a time: what is not taken stays in the FIFO. People press a few times a second.
            let mut byte = [0_u8];
            match self.fifo.read(&mut byte) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(trouble(&self.path, &self.name, &error)),
            }
            if byte[0] != b'\n' {
                self.partial.truncate(WORD_BYTES_MAX); // longer than any word: only its being wrong matters
                self.partial.push(byte[0]);
                continue;
            }
            let level = self.level();
            self.partial.clear();
            if level.is_some_and(|active| !take(active)) {
                return Ok(());
            }
        }
    }

    /// What the finished line says; nothing where it is neither `1` nor `0`.
    fn level(&self) -> Option<bool> {
        match self.partial.trim_ascii() {
            b"1" => Some(true),
            b"0" => Some(false),
            b"" => None,
            _ => {
                tracing::warn!(line = self.name, "someone wrote neither 1 nor 0 to {}: ignored", self.path.display());
                None
            }
        }
    }

    /// Waits at most `timeout` until something is written.
    fn wait(&self, timeout: Duration) -> Result<(), LineTrouble> {
        let waited = wait_readable(self.fifo.as_fd(), timeout);
        waited.map(drop).map_err(|error| trouble(&self.path, &self.name, &error))
    }
}

/// Makes the FIFO where nothing of its name exists.
fn make_fifo(path: &Path) -> io::Result<()> {
    let name = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: `name` is a valid C string that outlives the call.
    if unsafe { libc::mkfifo(name.as_ptr(), 0o660) } == 0 {
        // Whatever the umask took away: who is in the group is to press it.
        return std::fs::set_permissions(path, Permissions::from_mode(0o660));
    }
    let error = io::Error::last_os_error();
    if error.kind() == ErrorKind::AlreadyExists { Ok(()) } else { Err(error) }
}

struct FifoButton {
    words: Words,
    clock: Arc<dyn Clock>,
    /// Edges that were read and not handed out yet.
    edges: VecDeque<Edge>,
    /// The level after all of `edges`.
    is_active: bool,
}

impl FifoButton {
    fn take_words(&mut self) -> Result<(), LineTrouble> {
        let FifoButton { words, clock, edges, is_active } = self;
        let now: Time = clock.now();
        if edges.len() >= EDGES_MAX {
            return Ok(()); // the FIFO keeps the rest
        }
        words.drain(|active| {
            if active != *is_active {
                *is_active = active;
                edges.push_back(Edge { at: now, active });
            }
            edges.len() < EDGES_MAX
        })
    }
}

impl Button for FifoButton {
    fn is_active(&mut self) -> Result<bool, LineTrouble> {
        self.take_words()?;
        Ok(self.is_active)
    }

    fn wait(&mut self, timeout: Duration) -> Result<Option<Edge>, LineTrouble> {
        let since = Instant::now();
        loop {
            self.take_words()?;
            if let Some(edge) = self.edges.pop_front() {
                return Ok(Some(edge));
            }
            // A word that changes nothing wakes us too: then the rest of the time is still to be waited.
            let left = timeout.saturating_sub(since.elapsed());
            if left.is_zero() {
                return Ok(None);
            }
            self.words.wait(left)?;
        }
    }
}

struct FifoInput {
    words: Words,
    is_active: bool,
}

impl Input for FifoInput {
    fn is_active(&mut self) -> Result<bool, LineTrouble> {
        let is_active = &mut self.is_active;
        self.words.drain(|active| {
            *is_active = active;
            true
        })?;
        Ok(self.is_active)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io::Write;

    struct Still;
    impl Clock for Still {
        fn now(&self) -> Time {
            Time::from_ms(5)
        }
    }

    /// An empty folder, gone when dropped.
    struct Folder(PathBuf);
    impl Folder {
        fn new(name: &str) -> Folder {
            let folder = std::env::temp_dir().join(format!("mynah-files-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&folder);
            Folder(folder)
        }
    }
    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn write(folder: &Folder, name: &str, text: &str) {
        // Each time a writer of its own, as `echo` is.
        OpenOptions::new().write(true).open(folder.0.join(name)).unwrap().write_all(text.as_bytes()).unwrap();
    }

    const SOON: Duration = Duration::from_secs(5);
    const NOW: Duration = Duration::from_millis(1);

    #[test]
    fn who_is_in_the_group_may_press_and_read_whatever_the_umask_is() {
        let folder = Folder::new("rights");
        let mode = |name: &str| std::fs::metadata(folder.0.join(name)).unwrap().permissions().mode() & 0o777;
        let _button = open_button(&folder.0, "talk", Arc::new(Still)).unwrap();
        drop(open_output(&folder.0, "lamp").unwrap());
        assert_eq!((mode("talk"), mode("lamp")), (0o660, 0o640));
        // What its owner made is left as it is.
        std::fs::set_permissions(folder.0.join("lamp"), Permissions::from_mode(0o644)).unwrap();
        drop(open_output(&folder.0, "lamp").unwrap());
        assert_eq!(mode("lamp"), 0o644);
    }

    #[test]
    fn presses_and_releases_come_as_edges_from_many_writers() {
        let folder = Folder::new("edges");
        let mut button = open_button(&folder.0, "talk", Arc::new(Still)).unwrap();
        assert!(!button.is_active().unwrap());
        assert_eq!(button.wait(NOW).unwrap(), None);
        write(&folder, "talk", "1\n");
        assert_eq!(button.wait(SOON).unwrap(), Some(Edge { at: Time::from_ms(5), active: true }));
        write(&folder, "talk", "1\n\n 0 \n1");
        assert!(!button.is_active().unwrap(), "the last word has no end yet");
        write(&folder, "talk", "\n");
        assert!(button.is_active().unwrap());
        let edges: Vec<bool> = std::iter::from_fn(|| button.wait(NOW).unwrap()).map(|edge| edge.active).collect();
        assert_eq!(edges, [false, true], "a repeated word is no edge");
    }

    #[test]
    fn rubbish_and_floods_are_survived_within_bounds() {
        let folder = Folder::new("rubbish");
        let mut button = open_button(&folder.0, "talk", Arc::new(Still)).unwrap();
        write(&folder, "talk", &format!("{}\npress\n11\n\u{1F600}\n", "x".repeat(1000)));
        assert_eq!(button.wait(NOW).unwrap(), None);
        write(&folder, "talk", &"1\n0\n".repeat(EDGES_MAX));
        assert!(!button.is_active().unwrap());
        let edges = std::iter::from_fn(|| button.wait(NOW).unwrap()).count();
        assert_eq!(edges, 2 * EDGES_MAX, "what does not fit stays in the FIFO");
    }

    #[test]
    fn a_level_is_what_was_written_last() {
        let folder = Folder::new("level");
        let mut contact = open_input(&folder.0, "door_contact").unwrap();
        assert!(!contact.is_active().unwrap());
        write(&folder, "door_contact", "1\n0\n1\n");
        assert!(contact.is_active().unwrap());
        assert!(contact.is_active().unwrap());
    }

    #[test]
    fn an_output_is_a_file_that_holds_its_level() {
        let folder = Folder::new("output");
        std::fs::create_dir_all(&folder.0).unwrap();
        std::fs::write(folder.0.join("lamp"), "1\nold words").unwrap();
        let mut lamp = open_output(&folder.0, "lamp").unwrap();
        let content = || std::fs::read_to_string(folder.0.join("lamp")).unwrap();
        assert_eq!((content().as_str(), lamp.is_active().unwrap()), ("0\n", false));
        lamp.set(true).unwrap();
        assert_eq!((content().as_str(), lamp.is_active().unwrap()), ("1\n", true));
    }

    #[test]
    fn what_is_in_the_way_is_named() {
        let folder = Folder::new("way");
        drop(open_button(&folder.0, "talk", Arc::new(Still)).unwrap());
        let trouble = open_output(&folder.0, "talk").err().unwrap().to_string();
        assert!(trouble.contains("talk") && !trouble.is_empty(), "{trouble}");
        drop(open_output(&folder.0, "lamp").unwrap());
        let trouble = open_input(&folder.0, "lamp").err().unwrap().to_string();
        assert!(trouble.contains("is not a FIFO; remove it"), "{trouble}");
        let trouble = open_input(Path::new("/proc/no/folder"), "lamp").err().unwrap().to_string();
        assert!(trouble.contains("lamp"), "{trouble}");
    }
}
