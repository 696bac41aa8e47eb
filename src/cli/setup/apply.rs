//! Does what the plan says, step by step; what fails stops it.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, fchown};
use std::path::Path;
use std::process::Stdio;

use anyhow::Context as _;

use super::facts::{BOARD, BOARD_BEFORE, Place, Programs, command};
use super::key;
use super::plan::{Deed, Step};
use crate::hw::folder;

/// Rights of folders that are made on the way.
const FOLDER_MODE: u32 = 0o755;

/// Does one step. Answers a sentence where it came out otherwise than planned, and well.
///
/// # Errors
/// A file that cannot be written, a program that fails: a sentence.
pub fn step(step: &Step, place: &Place, programs: &Programs) -> anyhow::Result<Option<String>> {
    match &step.deed {
        Deed::Write { path, text, mode } => {
            if *path == BOARD && place.at(BOARD).exists() {
                let before =
                    place.inside(BOARD).and_then(fs::read).with_context(|| format!("{BOARD} cannot be read"))?;
                write(place, BOARD_BEFORE, &before, Some(*mode))?;
            }
            // Rights that the owner gave an existing file stay.
            let mode = (!place.at(path).exists()).then_some(*mode);
            write(place, path, text.as_bytes(), mode)?;
            Ok(None)
        }
        Deed::StoreKey { key, encrypts } => {
            let creds = programs.creds.as_deref().filter(|_| *encrypts);
            key::store(place, creds, key)
        }
        Deed::Systemctl(arguments) => systemctl(programs, arguments).map(|()| None),
    }
}

fn systemctl(programs: &Programs, arguments: &[String]) -> anyhow::Result<()> {
    let program = programs.systemctl.as_deref().context("there is no systemctl")?;
    let output = command(program).args(arguments).stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(
        output.status.success(),
        "{} (`systemctl status mynah` and `journalctl -u mynah` say more)",
        reason(&said)
    );
    Ok(())
}

/// The line that says why: before it stands what went well, behind it where more is told.
fn reason(said: &str) -> &str {
    let lines = || said.lines().map(str::trim).filter(|line| !line.is_empty());
    let is_other = |line: &str| ["Created symlink", "Removed", "See "].iter().any(|begin| line.starts_with(begin));
    lines().find(|line| !is_other(line)).or_else(|| lines().next()).unwrap_or("systemctl failed")
}

/// Replaces the file that the machine calls `path`, whole or not at all. With a mode it gets exactly that one and belongs to
/// who runs this; without one it keeps its mode and owner.
///
/// # Errors
/// A sentence; the old file is still there.
pub fn write(place: &Place, path: &str, bytes: &[u8], mode: Option<u32>) -> anyhow::Result<()> {
    let cannot = || format!("{path} cannot be written");
    let mut target = place.inside(path).with_context(cannot)?;
    if let Some(folder) = target.parent() {
        make_folder(folder).with_context(cannot)?;
    }
    // The owner's own link stays one; in an image it may point out of it.
    if place.is_live() && mode.is_none() {
        target = fs::canonicalize(&target).unwrap_or(target);
    }
    let old = fs::metadata(&target).ok().filter(|_| mode.is_none());
    let rights = mode.or(old.as_ref().map(|old| old.mode() & 0o7777)).unwrap_or(0o600);
    folder::replace_with(&target, 0o600, |file| {
        file.write_all(bytes)?;
        if let Some(old) = &old {
            fchown(&*file, Some(old.uid()), Some(old.gid()))?;
        }
        // Whatever the umask is.
        file.set_permissions(Permissions::from_mode(rights))
    })
    .with_context(cannot)
}

/// Makes a folder and those above it, readable by all whatever the umask is.
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.exists() {
        return Ok(());
    }
    if let Some(above) = folder.parent() {
        make_folder(above)?;
    }
    DirBuilder::new().mode(FOLDER_MODE).create(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE))
}

/// Removes the file that the machine calls `path`, where it is there.
///
/// # Errors
/// A sentence.
pub fn remove(place: &Place, path: &str) -> anyhow::Result<()> {
    let target = place.inside(path).with_context(|| format!("{path} cannot be removed"))?;
    match fs::remove_file(&target) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{path} cannot be removed"))
        }
        Err(_) => Ok(()),
        // The folder too: otherwise it may be there again after a power cut, and a key with it.
        Ok(()) => {
            let folder = target.parent().unwrap_or(Path::new("/"));
            File::open(folder).and_then(|folder| folder.sync_all()).with_context(|| format!("{path} may come back"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_systemctl_says_the_reason_is_told() {
        let job = "Job for mynah.service failed because the control process exited with error code.";
        let link =
            "Created symlink '/etc/systemd/system/multi-user.target.wants/mynah.service' → '/usr/lib/mynah.service'.";
        let see = "See \"systemctl status mynah.service\" and \"journalctl -xeu mynah.service\" for details.";
        for (said, why) in [
            (format!("{job}\n{see}\n"), job),
            (format!("{link}\n{job}\n{see}\n"), job),
            (
                "Failed to start mynah.service: Unit mynah.service is masked.\n".to_string(),
                "Failed to start mynah.service: Unit mynah.service is masked.",
            ),
            (format!("\n{see}\n"), see),
            (String::new(), "systemctl failed"),
        ] {
            assert_eq!(reason(&said), why, "{said}");
        }
    }
}
