//! A folder of the program's own: files for its owner's eyes only, each replaced whole or not at all.
//!
//! One process at a time has it. The kernel knows which: a POSIX record lock dies with its process and names it,
//! so there is no file with a process number in it that could be stale or forged.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The file that is locked; always empty.
const LOCK: &str = "mynah.lock";

/// Why a folder cannot be had for writing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FolderTrouble {
    /// Another process has it.
    #[error("another mynah (process {holder}) keeps its state in {}; end it, or name another folder with --state", folder.display())]
    Taken {
        /// The folder.
        folder: PathBuf,
        /// The process.
        holder: i32,
    },
    /// The system refuses.
    #[error("{} cannot be written ({why}): is the disk full or read-only, and the folder this user's own?", folder.display())]
    Unwritable {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        why: String,
    },
}

/// Why a file's content was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileTrouble {
    /// It is not what this program wrote; the end of a sentence that begins with the file.
    Unfit(String),
    /// The system refuses to read it; what it said.
    Unreadable(String),
}

/// A folder of the program's own.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Open for as long as this process has the folder: closing any descriptor of the file gives it up.
    lock: Mutex<Option<File>>,
}

impl Folder {
    /// Names the folder; nothing is read or made yet.
    pub fn new(path: impl Into<PathBuf>) -> Folder {
        Folder { path: path.into(), lock: Mutex::default() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the folder where it is missing, and has it until the process ends.
    ///
    /// # Errors
    /// [`FolderTrouble`]; trying again later is of use.
    pub fn claim(&self) -> Result<(), FolderTrouble> {
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if lock.is_some() {
            return Ok(());
        }
        let unwritable = |e: io::Error| FolderTrouble::Unwritable { folder: self.path.clone(), why: e.to_string() };
        DirBuilder::new().recursive(true).mode(0o700).create(&self.path).map_err(unwritable)?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let file = options.open(self.path.join(LOCK)).map_err(unwritable)?;
        let mut wish = whole_file();
        // SAFETY: the descriptor is open, and `wish` is a live flock of plain numbers.
        if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw mut wish) } == 0 {
            *lock = Some(file);
            return Ok(());
        }
        let error = io::Error::last_os_error();
        match holder_of(&file) {
            Some(holder) => Err(FolderTrouble::Taken { folder: self.path.clone(), holder }),
            None => Err(unwritable(error)),
        }
    }

    /// The process that has the folder, where it is another one than this.
    ///
    /// # Errors
    /// The system does not let this user look.
    pub fn holder(&self) -> io::Result<Option<i32>> {
        match OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(self.path.join(LOCK)) {
            Ok(file) => Ok(holder_of(&file)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Replaces a file: after a crash or a power cut there is the old one or the new one, never half of one.
    ///
    /// # Errors
    /// [`FolderTrouble`]; the old file is still there.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), FolderTrouble> {
        self.claim()?;
        let unwritable = |e: io::Error| FolderTrouble::Unwritable { folder: self.path.clone(), why: e.to_string() };
        replace(&self.path.join(name), bytes, 0o600).map_err(unwritable)
    }

    /// Reads a file of at most `bytes_max` as [`parse_versioned`] does; none where there is none.
    ///
    /// # Errors
    /// [`FileTrouble`]; unfit is also what is broken or of another version.
    pub fn read_versioned<T: serde::de::DeserializeOwned>(
        &self,
        name: &str,
        bytes_max: u64,
        version: u32,
    ) -> Result<Option<T>, FileTrouble> {
        let bytes = self.read(name, bytes_max)?;
        bytes.map(|bytes| parse_versioned(&bytes, version).map_err(FileTrouble::Unfit)).transpose()
    }

    /// Reads a file of at most `bytes_max`; none where there is none. Never waits: a FIFO of this name is unfit.
    ///
    /// # Errors
    /// [`FileTrouble`].
    pub fn read(&self, name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, FileTrouble> {
        let unfit = |why: &str| Err(FileTrouble::Unfit(why.to_string()));
        let unreadable = |e: io::Error| FileTrouble::Unreadable(e.to_string());
        let mut options = OpenOptions::new();
        let file = match options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(self.path.join(name))
        {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) if e.raw_os_error() == Some(libc::ELOOP) => return unfit("is a link"),
            Err(e) => return Err(unreadable(e)),
        };
        let metadata = file.metadata().map_err(unreadable)?;
        // SAFETY: takes nothing, touches nothing, cannot fail.
        let own = unsafe { libc::geteuid() };
        if !metadata.is_file() {
            return unfit("is not a plain file");
        }
        if metadata.uid() != own {
            return unfit("belongs to another user");
        }
        if metadata.mode() & 0o077 != 0 {
            let _ = file.set_permissions(Permissions::from_mode(0o600));
            return unfit("was open to other users");
        }
        let mut bytes = Vec::new();
        file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > bytes_max {
            return unfit("is far too large");
        }
        Ok(Some(bytes))
    }

    /// Renames a file to `NAME.bad`, in the place of an earlier one. Answers whether it is out of the way.
    pub fn put_aside(&self, name: &str) -> bool {
        let bad = self.path.join(format!("{name}.bad"));
        fs::rename(self.path.join(name), bad).is_ok()
    }
}

fn whole_file() -> libc::flock {
    // SAFETY: all fields of the struct are plain numbers, and zero is a value of each.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock
}

/// The other process that has the lock; asked, not tried, so that nobody is kept from it.
fn holder_of(file: &File) -> Option<i32> {
    let mut found = whole_file();
    // SAFETY: the descriptor is open, and `found` is a live flock of plain numbers.
    let failed = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &raw mut found) };
    (failed == 0 && found.l_type != libc::F_UNLCK as libc::c_short && found.l_pid > 0).then_some(found.l_pid)
}

/// A JSON object whose `version` is this one, read as a `T`. The version is looked at by itself first: what is around that of
/// another program's may be anything.
///
/// # Errors
/// The end of a sentence that begins with the file. Never the parser's own words: they may quote what is in it.
pub fn parse_versioned<T: serde::de::DeserializeOwned>(bytes: &[u8], version: u32) -> Result<T, String> {
    #[derive(serde::Deserialize)]
    struct Marked {
        version: u32,
    }
    let broken = |_| "is broken".to_string();
    let found = serde_json::from_slice::<Marked>(bytes).map_err(broken)?.version;
    match found.cmp(&version) {
        std::cmp::Ordering::Greater => Err("was written by a newer version of mynah".to_string()),
        std::cmp::Ordering::Less => Err("was written by an older version of mynah".to_string()),
        std::cmp::Ordering::Equal => serde_json::from_slice(bytes).map_err(broken),
    }
}

/// Opens a file of another user's folder, for whoever only looks. Never waits and follows no link: root looks too, and who owns
/// the folder may put anything there. None where there is no such file, or only its owner may look.
///
/// # Errors
/// What the system says, or that it is no plain file.
pub fn look(path: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    match options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path) {
        Ok(file) if !file.metadata()?.is_file() => Err(io::Error::other("it is not a plain file")),
        Ok(file) => Ok(Some(file)),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Replaces the file at `path`: after a crash or a power cut there is the old one or the new one, never half of one. `rights`
/// are those of a file that the user's umask leaves to it.
///
/// # Errors
/// What the system says; the old file is still there.
pub fn replace(path: &Path, bytes: &[u8], rights: u32) -> io::Result<()> {
    replace_with(path, rights, |file| file.write_all(bytes))
}

/// As [`replace`], with what `write` writes.
///
/// # Errors
/// As [`replace`], and what `write` says; then the old file stands.
pub fn replace_with(path: &Path, rights: u32, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = write_new(&new, rights, write).and_then(|()| fs::rename(&new, path));
    // The folder too: otherwise the new name may be lost with the power.
    let written = written.and_then(|()| File::open(folder)?.sync_all());
    written.inspect_err(|_| drop(fs::remove_file(&new)))
}

fn write_new(path: &Path, rights: u32, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(rights).open(path)?;
    write(&mut file)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// A folder that is gone when dropped.
    struct Place(Folder);
    impl Place {
        fn new(name: &str) -> Place {
            let path = std::env::temp_dir().join(format!("mynah-folder-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Place(Folder::new(path.join("in/it")))
        }
        fn file(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }
    }
    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(self.0.path().parent().unwrap().parent().unwrap());
        }
    }

    #[test]
    fn what_is_written_is_read_again_and_is_for_its_owner_only() {
        let place = Place::new("again");
        assert_eq!(place.0.read("x", 10), Ok(None));
        for bytes in [&b"one"[..], b"two two", b""] {
            place.0.write("x", bytes).unwrap();
            assert_eq!(place.0.read("x", 10).unwrap().unwrap(), bytes);
        }
        assert_eq!(fs::metadata(place.file("x")).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(place.0.path()).unwrap().mode() & 0o777, 0o700);
        let mut names: Vec<_> = fs::read_dir(place.0.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [LOCK, "x"], "nothing else is left behind");
        assert_eq!(place.0.holder().unwrap(), None, "this process is no other one");
    }

    #[test]
    fn what_is_not_the_programs_own_is_unfit_and_never_waited_for() {
        let place = Place::new("unfit");
        place.0.claim().unwrap();
        let unfit = |why: &str| Err(FileTrouble::Unfit(why.to_string()));
        fs::write(place.file("x"), "open").unwrap();
        fs::set_permissions(place.file("x"), Permissions::from_mode(0o640)).unwrap();
        assert_eq!(place.0.read("x", 10), unfit("was open to other users"));
        assert_eq!(fs::metadata(place.file("x")).unwrap().mode() & 0o777, 0o600, "it is closed at once");
        place.0.write("x", &[7; 11]).unwrap();
        assert_eq!(place.0.read("x", 10), unfit("is far too large"));
        std::os::unix::fs::symlink("/etc/hostname", place.file("link")).unwrap();
        assert_eq!(place.0.read("link", 10), unfit("is a link"));
        fs::create_dir(place.file("folder")).unwrap();
        assert_eq!(place.0.read("folder", 10), unfit("is not a plain file"));
        let fifo = std::ffi::CString::new(place.file("fifo").to_str().unwrap()).unwrap();
        // SAFETY: the name is a live C string.
        assert_eq!(unsafe { libc::mkfifo(fifo.as_ptr(), 0o600) }, 0);
        assert_eq!(place.0.read("fifo", 10), unfit("is not a plain file"));
        for name in ["fifo", "folder", "link"] {
            assert!(look(&place.file(name)).is_err(), "{name}");
        }
        assert!(look(&place.file("x")).unwrap().is_some() && look(&place.file("y")).unwrap().is_none());
        assert!(place.0.put_aside("x") && !place.0.put_aside("x"));
        assert!(place.file("x.bad").exists() && !place.file("x").exists());
    }

    #[test]
    fn a_file_of_its_users_own_is_replaced_whole_with_the_rights_asked_for() {
        let place = Place::new("replace");
        place.0.claim().unwrap();
        let file = place.file("word");
        for (rights, bytes) in [(0o600, "1"), (0o644, "22")] {
            replace(&file, bytes.as_bytes(), rights).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), bytes);
            assert_eq!(fs::metadata(&file).unwrap().mode() & 0o700, 0o600);
            assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777 & !rights, 0, "no more than asked for");
        }
        // What somebody put in the way is not written through.
        std::os::unix::fs::symlink(place.file("elsewhere"), place.file("word.new")).unwrap();
        replace(&file, b"333", 0o600).unwrap();
        assert!(!place.file("elsewhere").exists() && !place.file("word.new").exists());
        assert_eq!(replace(Path::new("/no/such/folder/word"), b"4", 0o600).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(fs::read_to_string(&file).unwrap(), "333");
    }

    #[test]
    fn a_folder_that_cannot_be_had_is_told_and_tried_again() {
        let place = Place::new("refused");
        let above = place.0.path().parent().unwrap();
        fs::create_dir_all(above.parent().unwrap()).unwrap();
        fs::write(above, "in the way").unwrap();
        let trouble = place.0.write("x", b"1").unwrap_err().to_string();
        assert!(trouble.contains("cannot be written") && trouble.contains("read-only"), "{trouble}");
        fs::remove_file(above).unwrap();
        place.0.write("x", b"1").unwrap();
        fs::create_dir_all(place.file("x.new/in the way")).unwrap();
        assert!(matches!(place.0.write("x", b"2"), Err(FolderTrouble::Unwritable { .. })));
        assert_eq!(place.0.read("x", 10).unwrap().unwrap(), b"1", "the old one is still there");
    }
}
