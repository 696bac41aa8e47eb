//! The wake word's file: a model as text and back. What was recorded cannot be played from it.
//!
//! TOML, so that a person sees what it is; the rows are numbers of 16 bits in Base64, under a checksum. The yardsticks
//! are not written down: they follow from the sayings.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::align::ROWS_MAX;
use super::features::{DIMS, Row};
use super::model::{Model, ModelTrouble, SAYINGS_MAX, Saying, TAKES};

/// The way the file is written and the rows are made; another number is another way.
const VERSION: u32 = 1;
/// The longest file: eight sayings of 2 s are 206 kB.
pub const FILE_BYTES_MAX: usize = 250_000;
/// Steps of a written number: cepstra lie within ±100, so that 16 bits reach to ±255.
const STEPS: f32 = 128.0;

/// Why a text is no wake word; the end of a sentence that begins with the file.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FileTrouble {
    /// It is something else.
    #[error("is no wake word that `mynah wake record` made ({0}): record it again")]
    NotOurs(String),
    /// It is larger than any.
    #[error("is larger than any wake word ({FILE_BYTES_MAX} bytes): name the file that `mynah wake record` made")]
    TooLarge,
    /// Another program wrote it.
    #[error("was made by another version of mynah ({0}, and this one reads {VERSION}): record it again")]
    Version(u32),
    /// Somebody changed it, or it was cut off.
    #[error("is damaged: record the wake word again")]
    Damaged,
    /// Its sayings make no model.
    #[error("cannot be used: {0}")]
    Unfit(#[from] ModelTrouble),
}

#[derive(Serialize, Deserialize)]
struct Sheet {
    version: u32,
    checksum: String,
    saying: Vec<Written>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    rows: usize,
    data: String,
}

/// The version alone: what is around it may be anything.
#[derive(Deserialize)]
struct Marked {
    version: u32,
}

/// The model as text.
pub fn write(model: &Model) -> String {
    let bytes: Vec<Vec<u8>> = model.sayings().iter().map(|saying| to_bytes(&saying.takes().concat())).collect();
    let saying =
        bytes.iter().map(|bytes| Written { rows: bytes.len() / ROW_BYTES / TAKES, data: STANDARD.encode(bytes) });
    let sheet = Sheet { version: VERSION, checksum: checksum(&bytes), saying: saying.collect() };
    // Numbers and plain text always make TOML.
    let text = toml::to_string(&sheet).unwrap_or_default();
    format!("# A wake word, made by `mynah wake record`: features of its sayings, no sound.\n{text}")
}

/// The model that `text` holds.
///
/// # Errors
/// [`FileTrouble`]; recording anew helps in every case.
pub fn read(text: &str) -> Result<Model, FileTrouble> {
    if text.len() > FILE_BYTES_MAX {
        return Err(FileTrouble::TooLarge);
    }
    let not_ours = |why: toml::de::Error| FileTrouble::NotOurs(why.message().to_string());
    let marked: Marked = toml::from_str(text).map_err(not_ours)?;
    if marked.version != VERSION {
        return Err(FileTrouble::Version(marked.version));
    }
    let sheet: Sheet = toml::from_str(text).map_err(not_ours)?;
    if sheet.saying.len() > SAYINGS_MAX {
        return Err(ModelTrouble::Count(sheet.saying.len()).into());
    }
    let bytes: Option<Vec<Vec<u8>>> = sheet.saying.iter().map(decode).collect();
    let bytes = bytes.filter(|bytes| checksum(bytes) == sheet.checksum).ok_or(FileTrouble::Damaged)?;
    let sayings: Option<Vec<Saying>> = bytes.iter().map(|bytes| to_saying(bytes)).collect();
    Ok(Model::new(sayings.ok_or(FileTrouble::Damaged)?)?)
}

const ROW_BYTES: usize = 2 * DIMS;

fn decode(written: &Written) -> Option<Vec<u8>> {
    let fits = written.rows <= ROWS_MAX && written.data.len() <= TAKES * ROWS_MAX * ROW_BYTES * 4 / 3 + 4;
    let bytes = STANDARD.decode(&written.data).ok().filter(|_| fits)?;
    (bytes.len() == written.rows * TAKES * ROW_BYTES).then_some(bytes)
}

fn to_bytes(rows: &[Row]) -> Vec<u8> {
    rows.iter().flatten().flat_map(|number| ((number * STEPS).round() as i16).to_le_bytes()).collect()
}

/// The takes lie one after the other.
fn to_saying(bytes: &[u8]) -> Option<Saying> {
    let rows = to_rows(bytes);
    let (first, second) = rows.split_at(rows.len() / TAKES);
    Saying::new([first.to_vec(), second.to_vec()])
}

fn to_rows(bytes: &[u8]) -> Vec<Row> {
    let number = |bytes: &[u8], n: usize| f32::from(i16::from_le_bytes([bytes[2 * n], bytes[2 * n + 1]])) / STEPS;
    bytes.chunks_exact(ROW_BYTES).map(|row| std::array::from_fn(|n| number(row, n))).collect()
}

/// FNV-1a over all bytes and the length of each saying: tells damage, not malice.
fn checksum(sayings: &[Vec<u8>]) -> String {
    let lengths = sayings.iter().flat_map(|bytes| (bytes.len() as u32).to_le_bytes());
    let all = lengths.chain(sayings.iter().flatten().copied());
    let sum = all.fold(0xcbf2_9ce4_8422_2325u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    format!("{sum:016x}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::gate::wake::tests::owner;

    #[test]
    fn a_model_is_read_back_as_it_was_written() {
        let written = write(&owner());
        let again = read(&written).unwrap();
        assert_eq!(write(&again), written);
        assert!(written.len() < FILE_BYTES_MAX / 3, "{} bytes", written.len());
        let far = |(a, b): (&Row, &Row)| a.iter().zip(b).any(|(a, b)| (a - b).abs() > 1.0 / STEPS);
        for (a, b) in owner().sayings().iter().zip(again.sayings()) {
            assert!(!a.takes().concat().iter().zip(&b.takes().concat()).any(far));
        }
    }

    #[test]
    fn what_is_no_wake_word_is_refused_with_what_to_do() {
        let good = write(&owner());
        let data_at = good.find("data = \"").unwrap() + 40;
        let mut changed = good.clone();
        let other = if &good[data_at..=data_at] == "A" { "B" } else { "A" };
        changed.replace_range(data_at..=data_at, other);
        let second = good.match_indices("[[saying]]").nth(2).unwrap().0;
        for (text, expected) in [
            (String::new(), "is no wake word"),
            ("version = 1\n".into(), "is no wake word"),
            ("RIFF\u{0}WAVE".into(), "is no wake word"),
            (good.replace("version = 1", "version = 2"), "another version of mynah (2"),
            (changed, "is damaged"),
            (good[..second].into(), "is damaged"),
            (good.replace("rows = ", "rows = 9"), "is damaged"),
            ("#".repeat(FILE_BYTES_MAX + 1), "larger than any"),
            (
                format!("version = 1\nchecksum = \"{}\"\nsaying = []\n", checksum(&[])),
                "3 to 8 sayings, and these are 0",
            ),
        ] {
            let why = read(&text).unwrap_err().to_string();
            assert!(why.contains(expected), "{why}");
            assert!(why.contains("record"), "{why} does not say what to do");
        }
    }
}
