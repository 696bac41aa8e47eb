//! `[audit]`: what of tool calls is written down.

use super::super::key::{Choice, Key, Need, Whole};
use super::super::read::{Reader, Section, Sheet};

/// What is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditKeep {
    /// Every call with its arguments and its result.
    All,
    /// Every call, without arguments and results: they may hold what people said.
    WithoutWords,
    /// Nothing.
    Nothing,
}

/// `[audit]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audit {
    /// What is written down.
    pub keep: AuditKeep,
    /// Size of one file, KiB, 16–65536; three older ones are kept beside it.
    pub file_kib: u32,
}

const KEEP: Key<Choice<AuditKeep>> = Key {
    name: "keep",
    kind: Choice {
        options: &[
            ("all", AuditKeep::All),
            ("without_words", AuditKeep::WithoutWords),
            ("nothing", AuditKeep::Nothing),
        ],
        default: AuditKeep::All, // who asks later what opened the door wants to know with what
    },
    need: Need::Defaults,
    doc: "What is written down of tool calls: all, all but arguments and results, or nothing.",
};
const FILE_KIB: Key<Whole> = Key {
    name: "file_kib",
    kind: Whole { unit: "KiB", min: 16, max: 65_536, step: 1, default: 1024 }, // about five thousand calls
    need: Need::Defaults,
    doc: "Size of one file of the audit log; three older ones are kept beside it.",
};

/// `[audit]`.
pub const AUDIT: Sheet = Sheet { name: "audit", keys: &[&KEEP, &FILE_KIB], tables: &[] };

pub(super) fn audit(reader: &mut Reader<'_>, top: &Section<'_>) -> Audit {
    let at = reader.inner(top, AUDIT.name, &AUDIT);
    Audit { keep: reader.get(&at, &KEEP), file_kib: reader.get(&at, &FILE_KIB) }
}
