//! The folder of jobs on the disk: one folder each, its lines appended, its pictures written whole.
//!
//! A line is on the disk after [`JobFile::sync`]; until then a power cut may take it, or leave half of it, which is closed
//! before the next is written. Only what a job is made of is ever deleted, and no link is followed.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::folder::{Folder, FolderTrouble, replace};
use crate::config::procedure::{self, Procedure};
use crate::job::record::{self, FILE, Lines};
use crate::job::retention::Kept;
use crate::job::{is_name, name};

/// Jobs that may begin in one minute.
const OF_A_MINUTE_MAX: u32 = 1000;
/// Of a log: a month of talk without end.
const LOG_BYTES_MAX: u64 = 64 << 20;
/// Of a picture; the largest that a camera here makes is a tenth.
const PICTURE_BYTES_MAX: u64 = 32 << 20;
/// Procedures of a folder: more names than a model keeps apart.
const PROCEDURES_MAX: usize = 40;

/// The folder of all jobs.
#[derive(Debug)]
pub struct Jobs(Folder);

/// A job that is written.
#[derive(Debug)]
pub struct JobFile {
    folder: PathBuf,
    log: File,
}

impl Jobs {
    /// Names the folder; nothing is made yet.
    pub fn new(path: impl Into<PathBuf>) -> Jobs {
        Jobs(Folder::new(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Makes the folder where it is missing, and has it until the process ends.
    ///
    /// # Errors
    /// [`FolderTrouble`]; trying again later is of use.
    pub fn claim(&self) -> Result<(), FolderTrouble> {
        self.0.claim()
    }

    /// The process that writes there, where it is another one than this.
    ///
    /// # Errors
    /// The system does not let this user look.
    pub fn holder(&self) -> io::Result<Option<i32>> {
        self.0.holder()
    }

    /// All jobs, the oldest first; none where there is no folder.
    ///
    /// # Errors
    /// What the system says.
    pub fn list(&self) -> io::Result<Vec<Kept>> {
        let entries = match fs::read_dir(self.path()) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut jobs = Vec::new();
        for entry in entries {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if !is_name(&name) || !entry.file_type()?.is_dir() {
                continue;
            }
            // One that somebody deletes just now, or that is not ours, must not hide the others.
            match measure(name, &entry.path()) {
                Ok(job) => jobs.extend(job),
                Err(e) => tracing::warn!(path = %entry.path().display(), "a job cannot be looked at: {e}"),
            }
        }
        jobs.sort_by(|a, b| (a.last_ms, &a.name).cmp(&(b.last_ms, &b.name)));
        Ok(jobs)
    }

    /// Makes a job that begins at `at`, as [`clock::written`](super::clock::written) says it. Answers its name.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(&self, at: &str) -> io::Result<(String, JobFile)> {
        for number in 1..=OF_A_MINUTE_MAX {
            let name = name(at, number);
            match DirBuilder::new().mode(0o700).create(self.path().join(&name)) {
                Err(e) if e.kind() == ErrorKind::AlreadyExists => continue,
                made => made?,
            }
            let file = self.open(&name)?;
            File::open(self.path())?.sync_all()?;
            return Ok((name, file));
        }
        Err(io::Error::other("too many jobs began in one minute"))
    }

    /// Goes on with a job; half a line at its end is closed.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(&self, name: &str) -> io::Result<JobFile> {
        let folder = self.of(name)?;
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let mut log = options.open(folder.join(FILE))?;
        if log.metadata()?.len() > 0 {
            log.seek(SeekFrom::End(-1))?;
            let mut last = [0];
            log.read_exact(&mut last)?;
            if last != *b"\n" {
                log.write_all(b"\n")?;
            }
        }
        File::open(&folder)?.sync_all()?;
        Ok(JobFile { folder, log })
    }

    /// A job's lines.
    ///
    /// # Errors
    /// There is no such job, or this user may not read it.
    pub fn read(&self, name: &str) -> io::Result<Lines> {
        Ok(record::read(&read(&self.of(name)?.join(FILE), LOG_BYTES_MAX)?))
    }

    /// A picture of a job.
    ///
    /// # Errors
    /// It is not there, or is none of the job's own files.
    pub fn picture(&self, name: &str, file: &str) -> io::Result<Vec<u8>> {
        if !is_picture(file) {
            return Err(io::Error::new(ErrorKind::InvalidInput, "it is no name of a picture"));
        }
        read(&self.of(name)?.join(file), PICTURE_BYTES_MAX)
    }

    /// Deletes a job: its log and its pictures, and its folder where nobody has put anything else there.
    ///
    /// # Errors
    /// What the system says.
    pub fn delete(&self, name: &str) -> io::Result<()> {
        let folder = self.of(name)?;
        for entry in fs::read_dir(&folder)? {
            let file = entry?.file_name().into_string().unwrap_or_default();
            if is_picture(file.strip_suffix(".new").unwrap_or(&file)) {
                fs::remove_file(folder.join(file))?;
            }
        }
        // The log last: a job without one is no job, and what is left of it would be found by nobody.
        match fs::remove_file(folder.join(FILE)) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        fs::remove_dir(&folder)
    }

    fn of(&self, name: &str) -> io::Result<PathBuf> {
        if is_name(name) {
            return Ok(self.path().join(name));
        }
        Err(io::Error::new(ErrorKind::InvalidInput, "it is no name of a job"))
    }
}

impl JobFile {
    /// Adds lines.
    ///
    /// # Errors
    /// What the system says; part of them may be written, so open the job anew before the next.
    pub fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        self.log.write_all(lines)
    }

    /// Waits until all lines are on the disk.
    ///
    /// # Errors
    /// What the system says.
    pub fn sync(&self) -> io::Result<()> {
        self.log.sync_data()
    }

    /// Writes a picture, whole or not at all.
    ///
    /// # Errors
    /// What the system says.
    pub fn still(&self, file: &str, jpeg: &[u8]) -> io::Result<()> {
        replace(&self.folder.join(file), jpeg, 0o600)
    }
}

/// Whether a file is one of a job's pictures.
fn is_picture(file: &str) -> bool {
    let number = file.strip_prefix("still-").and_then(|rest| rest.strip_suffix(".jpg"));
    number.is_some_and(|number| (1..=10).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// What a job takes, and when its last line was written; none where the folder is no job.
fn measure(name: String, folder: &Path) -> io::Result<Option<Kept>> {
    let log = match fs::symlink_metadata(folder.join(FILE)) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        log => log?,
    };
    let since = log.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut bytes = 0_u64;
    for entry in fs::read_dir(folder)? {
        bytes = bytes.saturating_add(fs::symlink_metadata(entry?.path())?.len());
    }
    Ok(Some(Kept { name, last_ms: i64::try_from(since.as_millis()).unwrap_or(i64::MAX), bytes }))
}

fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    let mut bytes = Vec::new();
    file.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The procedures of a folder by their names, and a sentence for each that is none.
pub fn procedures(folder: &Path) -> (Vec<(String, Procedure)>, Vec<String>) {
    let (mut found, mut troubles) = (Vec::new(), Vec::new());
    let files = match fs::read_dir(folder) {
        Ok(entries) => entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()),
        Err(e) => {
            let why = format!("[job_log] procedures: {} cannot be read ({e})", folder.display());
            return (found, vec![why]);
        }
    };
    let mut files: Vec<String> = files.filter(|file| file.ends_with(".toml")).collect();
    files.sort();
    for file in files {
        let path = folder.join(&file);
        let shown = path.display().to_string();
        let Some(name) = procedure::name_of(&file) else {
            troubles
                .push(format!("{shown}: name it with small letters, digits, `_` and `-` only: models say no other"));
            continue;
        };
        if found.len() == PROCEDURES_MAX {
            troubles.push(format!("{shown} is left out: at most {PROCEDURES_MAX} procedures are taken"));
            continue;
        }
        match fs::read_to_string(&path) {
            Err(e) => troubles.push(format!("{shown} cannot be read ({e})")),
            Ok(text) => match procedure::parse(&text, &shown) {
                Ok(procedure) => found.push((name.to_string(), procedure)),
                Err(problems) => troubles.extend(problems.iter().map(ToString::to_string)),
            },
        }
    }
    (found, troubles)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    /// A folder of jobs that is gone when dropped.
    struct Place(Jobs);
    impl Place {
        fn new(name: &str) -> Place {
            let path = std::env::temp_dir().join(format!("mynah-jobs-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            let jobs = Jobs::new(path);
            jobs.claim().unwrap();
            Place(jobs)
        }
    }
    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(self.0.path());
        }
    }

    const AT: &str = "2026-11-22 08:40:03 +0100";

    #[test]
    fn two_jobs_of_one_minute_are_two_and_nobody_else_reads_them() {
        let place = Place::new("two");
        assert_eq!(place.0.list().unwrap(), []);
        let (first, mut file) = place.0.create(AT).unwrap();
        let (second, _) = place.0.create(AT).unwrap();
        assert_eq!((first.as_str(), second.as_str()), ("2026-11-22-0840-1", "2026-11-22-0840-2"));
        file.write(b"{}\n").unwrap();
        file.still("still-0001.jpg", b"picture").unwrap();
        let mode = |path: &str| fs::metadata(place.0.path().join(path)).unwrap().mode() & 0o777;
        assert_eq!((mode(&first), mode(&format!("{first}/{FILE}"))), (0o700, 0o600));
        assert_eq!(mode(&format!("{first}/still-0001.jpg")), 0o600);
        assert_eq!(place.0.picture(&first, "still-0001.jpg").unwrap(), b"picture");
        let sizes: Vec<u64> = place.0.list().unwrap().iter().map(|job| job.bytes).collect();
        assert_eq!(sizes.iter().sum::<u64>(), 10);
    }

    #[test]
    fn half_a_line_is_closed_before_the_next() {
        let place = Place::new("half");
        let (name, mut file) = place.0.create(AT).unwrap();
        file.write(b"{\"at\":\"x\",\"unix_ms\":1,\"kind\":\"note\",\"text\":\"a\"}\n{\"at\":\"").unwrap();
        drop(file);
        place.0.open(&name).unwrap().write(b"{\"at\":\"x\",\"unix_ms\":2,\"kind\":\"note\",\"text\":\"b\"}\n").unwrap();
        let lines = place.0.read(&name).unwrap();
        assert_eq!((lines.records.len(), lines.torn), (2, 1));
    }

    #[test]
    fn only_a_job_is_deleted_and_nothing_leads_out_of_the_folder() {
        let place = Place::new("delete");
        let (name, file) = place.0.create(AT).unwrap();
        file.still("still-0001.jpg", b"x").unwrap();
        fs::write(place.0.path().join("outside"), "stays").unwrap();
        for bad in ["..", "outside", "../x", ""] {
            assert!(place.0.delete(bad).is_err() && place.0.read(bad).is_err() && place.0.open(bad).is_err(), "{bad}");
        }
        assert!(place.0.picture(&name, "../../outside").is_err() && place.0.picture(&name, "log.jsonl").is_err());
        fs::write(place.0.path().join(&name).join("mine.txt"), "an owner's own").unwrap();
        assert!(place.0.delete(&name).is_err(), "its folder is not empty");
        assert!(place.0.path().join(&name).join("mine.txt").exists());
        assert_eq!(place.0.list().unwrap(), [], "but it is no job any more");
        fs::remove_file(place.0.path().join(&name).join("mine.txt")).unwrap();
        // A folder that only looks like a job is a link to elsewhere.
        std::os::unix::fs::symlink(place.0.path(), place.0.path().join("1-link")).unwrap();
        assert_eq!(place.0.list().unwrap(), []);
    }

    #[test]
    fn procedures_are_read_by_name_and_wrong_ones_get_their_sentences() {
        let place = Place::new("procedures");
        let write = |name: &str, text: &str| fs::write(place.0.path().join(name), text).unwrap();
        write("pump.toml", "title = \"Pump\"\n[[steps]]\ntext = \"Look\"\n");
        write("bad.toml", "title = \"Bad\"\n");
        write("Two Words.toml", "");
        write("readme.txt", "");
        let (found, troubles) = procedures(place.0.path());
        assert_eq!(found.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["pump"]);
        assert_eq!(troubles.len(), 2, "{troubles:?}");
        assert!(troubles[1].contains("bad.toml:1: `steps` is missing"), "{troubles:?}");
        assert_eq!(procedures(Path::new("/no/such/folder")).1.len(), 1);
    }
}
