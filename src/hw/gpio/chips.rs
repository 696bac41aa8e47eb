//! The chips of GPIO lines: what they are called, which lines have names, and who holds one.

use std::fs::File;
use std::io::ErrorKind;

use gpiocdev::{Chip, chip};

/// Lines of one chip that are looked at; the largest have some hundreds.
const LINES_MAX: u32 = 512;

/// One chip.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChipInfo {
    /// `gpiochip0`.
    pub name: String,
    /// What the driver calls it.
    pub label: String,
    /// How many lines it has.
    pub lines: u32,
    /// Lines' names, for those that have one.
    pub named: Vec<String>,
    /// Lines that somebody holds: the line's name or offset, and who.
    pub held: Vec<(String, String)>,
    /// Whether this user may not look into it.
    pub is_forbidden: bool,
}

/// All chips of this machine.
pub fn chips() -> Vec<ChipInfo> {
    chip::chips().unwrap_or_default().iter().map(|path| look(path)).collect()
}

fn look(path: &std::path::Path) -> ChipInfo {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let Ok(chip) = Chip::from_path(path) else {
        let is_forbidden = File::open(path).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied);
        return ChipInfo { name, is_forbidden, ..ChipInfo::default() };
    };
    let Ok(info) = chip.info() else { return ChipInfo { name, ..ChipInfo::default() } };
    let mut found = ChipInfo { name, label: info.label, lines: info.num_lines, ..ChipInfo::default() };
    for offset in 0..info.num_lines.min(LINES_MAX) {
        let Ok(line) = chip.line_info(offset) else { continue };
        if line.used {
            let called = if line.name.is_empty() { offset.to_string() } else { line.name.clone() };
            found.held.push((called, line.consumer));
        }
        if !line.name.is_empty() {
            found.named.push(line.name);
        }
    }
    found
}
