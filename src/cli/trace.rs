//! `mynah trace`: what the running daemon's flight recorder holds, or what the last one left.

use std::io::{self, Read as _, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::dump::{FATAL_FILE, FILE};
use super::state;
use crate::hw;
use crate::hw::folder::Folder;

/// How long the daemon may take; its disk may be slow.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A dump has about a thousand lines.
const DUMP_BYTES_MAX: u64 = 1024 * 1024;

/// Arguments of `mynah trace`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The daemon's state directory [default: this user's, then the service's, /var/lib/mynah]
    #[arg(long = "state", value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// A dump that was found. Each is a new file: inode and time tell one from the next.
struct Found {
    file: PathBuf,
    inode: u64,
    changed_ns: i64,
    written_s: i64,
    text: Vec<u8>,
}

impl Found {
    fn mark(&self) -> (u64, i64) {
        (self.inode, self.changed_ns)
    }
}

/// Asks the daemon for a dump and prints it; where none runs, prints the newest that one left.
///
/// # Errors
/// There is no dump, or this user has no right to it.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    let places = args.folder.clone().map_or_else(state::usual_places, |folder| vec![folder]);
    let mut denied = None;
    for place in &places {
        match Folder::new(place).holder() {
            Ok(Some(process)) => return print(&ask(process, place)?, Some(place), out),
            Ok(None) => {}
            Err(e) => denied = Some(format!("{} cannot be looked into ({e}); `sudo mynah trace` may", place.display())),
        }
    }
    let dumps = places.iter().flat_map(|place| [FILE, FATAL_FILE].map(|file| look(&place.join(file))));
    let newest = dumps.filter_map(|found| found.ok().flatten()).max_by_key(|found| found.changed_ns);
    if let Some(newest) = newest {
        let (file, when) = (newest.file.display(), hw::clock::written(newest.written_s));
        eprintln!("mynah: no daemon runs; this is {file}, written on {when}");
        return print(&newest, None, out);
    }
    let named: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
    let denied = denied.map_or_else(String::new, |why| format!("; {why}"));
    let named = named.join(" or ");
    anyhow::bail!(
        "no daemon runs with its state in {named}, and none left a trace there (--state names another){denied}"
    )
}

/// Has the process write a new dump, and waits for it.
fn ask(process: i32, place: &Path) -> anyhow::Result<Found> {
    let file = place.join(FILE);
    let cannot = || format!("{} cannot be read: try `sudo mynah trace`", file.display());
    let before = look(&file).with_context(cannot)?.map(|found| found.mark());
    hw::signals::ask_for_dump(process)
        .with_context(|| format!("the daemon (process {process}) cannot be asked: try `sudo mynah trace`"))?;
    let since = Instant::now();
    loop {
        if let Some(found) = look(&file).with_context(cannot)?
            && Some(found.mark()) != before
        {
            return Ok(found);
        }
        if since.elapsed() > ANSWER_WITHIN {
            let (file, limit) = (file.display(), ANSWER_WITHIN.as_secs());
            anyhow::bail!(
                "the daemon (process {process}) wrote no {file} within {limit} s: is the disk full? its log has the trace then"
            );
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The dump in a file; none where there is no such file.
fn look(file: &Path) -> io::Result<Option<Found>> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let opened = match std::fs::OpenOptions::new().read(true).custom_flags(flags).open(file) {
        Ok(opened) => opened,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let metadata = opened.metadata()?;
    let mut text = Vec::new();
    opened.take(DUMP_BYTES_MAX).read_to_end(&mut text)?;
    let changed_ns = metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec());
    let (file, inode, written_s) = (file.to_path_buf(), metadata.ino(), metadata.mtime());
    Ok(Some(Found { file, inode, changed_ns, written_s, text }))
}

/// Prints a dump, and says where that of a run that ended by a fault is.
fn print(dump: &Found, place: Option<&Path>, out: &mut dyn Write) -> anyhow::Result<()> {
    // Whose file it is may be another user's: nothing in it moves the terminal's cursor.
    let text = String::from_utf8_lossy(&dump.text);
    let plain: String = text.chars().filter(|letter| *letter == '\n' || !letter.is_control()).collect();
    match out.write_all(plain.as_bytes()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => return Err(e).context("standard output cannot be written"),
        // Who reads the first lines only closes the pipe early.
        _ => {}
    }
    let fatal = place.and_then(|place| look(&place.join(FATAL_FILE)).ok().flatten());
    if let Some(fatal) = fatal {
        let (file, when) = (fatal.file.display(), hw::clock::written(fatal.written_s));
        eprintln!("mynah: an earlier run ended by a fault on {when}; what happened before that is in {file}");
    }
    Ok(())
}
