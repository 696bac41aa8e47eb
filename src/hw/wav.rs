//! WAV files on disk.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;

use crate::audio::Chunk;
use crate::audio::wav::{WavTrouble, decode, encode};
use crate::units::Hertz;

/// Reads the WAV file at `path`; channels are averaged, 8, 24 and 32 bits are brought to 16.
pub fn load(path: &Path) -> Result<Chunk, WavTrouble> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|why| WavTrouble::File { file: name.clone(), why })?;
    decode(BufReader::new(file), &name)
}

/// Writes `frames` (`[frames, 1 channel] S16`) at `rate` as the WAV file at `path`.
pub fn save(path: &Path, rate: Hertz, frames: &[i16]) -> Result<(), WavTrouble> {
    let name = path.display().to_string();
    let file = File::create(path).map_err(|why| WavTrouble::File { file: name.clone(), why })?;
    encode(BufWriter::new(file), &name, rate, frames)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_missing_file_is_named() {
        let why = load(Path::new("/nonexistent/q.wav")).unwrap_err().to_string();
        assert!(why.contains("/nonexistent/q.wav"), "{why}");
    }
}
