//! A file that grows by lines and has an end: appended, on the disk before it counts, rotated, read from the oldest on.
//!
//! After a power cut the last line may be torn; it is closed before the next is written, and left out when read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Older files beside the present one.
const OLDER_MAX: u32 = 3;
/// The longest line that is read; none that was written is as long.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// The file, and its older ones.
#[derive(Clone, Debug)]
pub struct Journal {
    path: PathBuf,
    bytes_max: u64,
}

impl Journal {
    /// Names the file, of which one holds `bytes_max` at most; nothing is made yet.
    pub fn new(path: impl Into<PathBuf>, bytes_max: u64) -> Journal {
        Journal { path: path.into(), bytes_max }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a line (without its end) and waits until it is on the disk.
    ///
    /// # Errors
    /// What the system says; trying again later is of use.
    pub fn append(&self, line: &[u8]) -> io::Result<()> {
        let mut file = self.open()?;
        let mut length = file.metadata()?.len();
        if length > 0 && length + line.len() as u64 + 2 > self.bytes_max {
            self.rotate()?;
            (file, length) = (self.open()?, 0);
        } else if length > 0 {
            file.seek(SeekFrom::End(-1))?;
            let mut last = [0];
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
            }
        }
        // One write a line: a reader that follows never sees half of one.
        let mut whole = Vec::with_capacity(line.len() + 1);
        whole.extend_from_slice(line);
        whole.push(b'\n');
        file.write_all(&whole)?;
        file.sync_data()?;
        if length > 0 {
            return Ok(());
        }
        // A file that was just made: its name may be lost with the power, and with it the line.
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    }

    /// All lines, the oldest first. Torn or overlong ones are handed over as they are.
    ///
    /// # Errors
    /// Those of `each`, and what the system says.
    pub fn read(&self, mut each: impl FnMut(&str) -> io::Result<()>) -> io::Result<()> {
        for number in (0..=OLDER_MAX).rev() {
            let file = match File::open(self.older(number)) {
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                file => file?,
            };
            let mut reader = BufReader::new(file);
            let mut line = Vec::new();
            while reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)? > 0 {
                each(String::from_utf8_lossy(&line).trim_end())?;
                line.clear();
            }
        }
        Ok(())
    }

    fn open(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        options.open(&self.path)
    }

    fn older(&self, number: u32) -> PathBuf {
        if number == 0 { self.path.clone() } else { self.path.with_extension(format!("{number}.jsonl")) }
    }

    fn rotate(&self) -> io::Result<()> {
        for number in (0..OLDER_MAX).rev() {
            match fs::rename(self.older(number), self.older(number + 1)) {
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::os::unix::fs::MetadataExt;

    /// A journal of a hundred bytes a file, gone when dropped.
    struct Place(Journal);
    impl Place {
        fn new(name: &str) -> Place {
            let folder = std::env::temp_dir().join(format!("mynah-journal-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).unwrap();
            Place(Journal::new(folder.join("audit.jsonl"), 100))
        }
        fn lines(&self) -> Vec<String> {
            let mut lines = Vec::new();
            let each = |line: &str| {
                lines.push(line.to_string());
                Ok(())
            };
            self.0.read(each).unwrap();
            lines
        }
    }
    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(self.0.path().parent().unwrap());
        }
    }

    #[test]
    fn lines_are_read_in_order_and_the_oldest_go_first() {
        let place = Place::new("order");
        assert!(place.lines().is_empty());
        for n in 0..100 {
            place.0.append(format!("line {n:03}, twenty bytes").as_bytes()).unwrap();
        }
        let lines = place.lines();
        assert_eq!(lines.last().unwrap(), "line 099, twenty bytes");
        assert!(lines.is_sorted() && (12..=16).contains(&lines.len()), "{lines:?}");
        let sizes = fs::read_dir(place.0.path().parent().unwrap()).unwrap().map(|f| f.unwrap().metadata().unwrap());
        let sizes: Vec<_> = sizes.map(|file| (file.len() <= 100, file.mode() & 0o777)).collect();
        assert_eq!(sizes, [(true, 0o600); 4]);
    }

    #[test]
    fn a_torn_line_costs_itself_only() {
        let place = Place::new("torn");
        place.0.append(b"{\"whole\":1}").unwrap();
        OpenOptions::new().append(true).open(place.0.path()).unwrap().write_all(b"{\"to").unwrap();
        place.0.append(b"{\"next\":2}").unwrap();
        assert_eq!(place.lines(), ["{\"whole\":1}", "{\"to", "{\"next\":2}"]);
        // Bytes that are no text, and a line without end.
        fs::write(place.0.path(), [0xff; 200_000]).unwrap();
        assert!(place.lines().iter().all(|line| line.len() <= 3 * LINE_BYTES_MAX as usize));
    }
}
