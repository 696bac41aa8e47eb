//! The wake word's file on disk.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::folder::replace;
use crate::gate::wake::file::{self, FILE_BYTES_MAX};
use crate::gate::wake::model::Model;

/// Of the file: the service, another user than who records, reads it; the umask may take some of them.
const RIGHTS: u32 = 0o666;

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
    replace(path, file::write(model).as_bytes(), RIGHTS)
        .map_err(|e| format!("{} cannot be written ({e}): name a file in a folder that is yours", path.display()))
}
