//! `[secrets]`: passwords and tokens by name. The configuration only says in which file each is; a systemd credential
//! of the same name goes before it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::super::key::{Key, Kind, Need, Path, Text, one_line};
use super::super::read::{Reader, Section};

/// More are a mistake.
const SECRETS_MAX: usize = 64;

/// Names and files.
pub type Secrets = BTreeMap<String, PathBuf>;

/// `[secrets]` of the file; what is wrong is noted.
pub(super) fn secrets(reader: &mut Reader<'_>, top: &Section<'_>) -> Secrets {
    const FILE: Path = Path { what: "a file that holds the secret, readable by its owner only" };
    let Some(value) = top.value("secrets") else { return Secrets::new() };
    let Some(table) = value.get_ref().as_table().filter(|table| table.len() <= SECRETS_MAX) else {
        let rule = format!("must be a section with at most {SECRETS_MAX} entries: name = \"/path/of/its/file\"");
        reader.note_at(value, "secrets".into(), rule);
        return Secrets::new();
    };
    let mut secrets = Secrets::new();
    for (name, file) in table.iter() {
        let (key, name) = (format!("secrets.{}", name.get_ref()), name.get_ref().to_string());
        let is_name = !name.is_empty()
            && name.len() <= 64
            && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        if !is_name {
            reader.note_at(file, key, "is no name for a secret: 1 to 64 letters, digits and `_`".into());
            continue;
        }
        match FILE.read(file.get_ref()) {
            Ok(path) => drop(secrets.insert(name, path)),
            Err(why) => reader.note_at(file, key, why),
        }
    }
    secrets
}

/// A key that names a secret.
pub const fn reference(name: &'static str, doc: &'static str) -> Key<Text> {
    Key {
        name,
        kind: Text { what: "the name of one of [secrets]", chars_max: 64, check: one_line, default: "" },
        need: Need::Optional,
        doc,
    }
}

/// The secret's name where `key` names one that there is; another name is noted.
pub(super) fn find(reader: &mut Reader<'_>, at: &Section<'_>, key: &Key<Text>, secrets: &Secrets) -> Option<String> {
    let name = reader.find(at, key)?;
    if secrets.contains_key(&name) {
        return Some(name);
    }
    let known: Vec<&str> = secrets.keys().map(String::as_str).collect();
    let known = if known.is_empty() { "which has none".to_string() } else { format!("which has {}", known.join(", ")) };
    reader.object(at, key.name, format!("names \"{name}\", which is not in [secrets], {known}"));
    None
}
