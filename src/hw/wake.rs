//! The wake word's file on disk.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::gate::wake::file::{self, FILE_BYTES_MAX};
use crate::gate::wake::model::Model;

/// Reads the wake word at `path`.
///
/// # Errors
/// A sentence that names the file and says what to do.
pub fn load(path: &Path) -> Result<Model, String> {
    let name = path.display();
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX as u64 + 1).read_to_string(&mut text));
    match read {
        Ok(_) => file::read(&text).map_err(|why| format!("{name} {why}")),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            Err(format!("there is no {name}: make it with `mynah wake record --out {name}`"))
        }
        Err(e) if e.kind() == io::ErrorKind::InvalidData => {
            Err(format!("{name} is no wake word that `mynah wake record` made: record it again"))
        }
        Err(e) => Err(format!("{name} cannot be read ({e}): let the user that mynah runs as read it")),
    }
}

/// Writes the wake word to `path`, whole or not at all.
///
/// # Errors
/// A sentence that names the file and says what to do.
pub fn save(path: &Path, model: &Model) -> Result<(), String> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let write = || {
        let mut file = File::create(&beside)?;
        file.write_all(file::write(model).as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().map_err(|e| {
        let _ = fs::remove_file(&beside);
        format!("{} cannot be written ({e}): name a file in a folder that is yours", path.display())
    })
}
