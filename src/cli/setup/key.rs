//! The API key: where it comes from, and where the service finds it. It is printed nowhere and is no argument of a program.

use std::fs;
use std::io::{Read, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use super::apply::{remove, write};
use super::facts::{KEY_CONF, Place, command};
use crate::hw::key::Key;

/// The key, encrypted for this machine.
pub const CREDENTIAL: &str = "/etc/mynah/gemini_api_key.cred";
/// The key as it is, for root only.
pub const PLAIN: &str = "/etc/mynah/gemini_api_key";
/// More than a key has.
const READ_BYTES_MAX: u64 = 4096;

/// What tells systemd to decrypt the credential; the first line takes back what the unit says.
pub const CONF_ENCRYPTED: &str = "\
# Written by `mynah setup`.
[Service]
LoadCredential=
LoadCredentialEncrypted=gemini_api_key:/etc/mynah/gemini_api_key.cred
";
/// … that there is none: systemd starts no service whose credential is missing.
pub const CONF_NONE: &str = "\
# Written by `mynah setup`: no key is needed.
[Service]
LoadCredential=
";

/// The key that is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StoredKey {
    /// None.
    #[default]
    Absent,
    /// In a file for root only; what it is, where it can be read.
    Plain(Option<Key>),
    /// Encrypted for this machine; what it is, where it can be read.
    Encrypted(Option<Key>),
}

impl StoredKey {
    /// The key itself, where it can be read.
    pub fn key(&self) -> Option<&Key> {
        match self {
            StoredKey::Absent => None,
            StoredKey::Plain(key) | StoredKey::Encrypted(key) => key.as_ref(),
        }
    }
}

/// The key of a file or of standard input; `from` is its name for the errors.
///
/// # Errors
/// It cannot be read, or is no key.
pub fn read(mut source: impl Read, from: &str) -> anyhow::Result<Key> {
    let mut text = String::new();
    let read = source.by_ref().take(READ_BYTES_MAX).read_to_string(&mut text);
    read.map_err(|error| anyhow::anyhow!("{from} cannot be read: {error}"))?;
    Ok(Key::checked(&text, from)?)
}

/// What is stored below `place`; `creds` decrypts it, where it is this machine's.
pub fn stored(place: &Place, creds: Option<&Path>) -> StoredKey {
    let (credential, plain) = (place.at(CREDENTIAL), place.at(PLAIN));
    if credential.exists() {
        let bytes = fs::read(&credential).ok();
        let key = bytes.zip(creds).and_then(|(bytes, creds)| decrypted(creds, &bytes).ok());
        return StoredKey::Encrypted(key);
    }
    match fs::File::open(&plain) {
        Ok(file) => StoredKey::Plain(read(file, PLAIN).ok()),
        Err(_) if plain.exists() => StoredKey::Plain(None),
        Err(_) => StoredKey::Absent,
    }
}

fn decrypted(creds: &Path, bytes: &[u8]) -> anyhow::Result<Key> {
    let plain = piped(command(creds).args(["decrypt", "--name=gemini_api_key", "-", "-"]), bytes)?;
    read(&plain[..], CREDENTIAL)
}

fn encrypted(creds: &Path, key: &Key) -> anyhow::Result<Vec<u8>> {
    let bytes = piped(command(creds).args(["encrypt", "--name=gemini_api_key", "-", "-"]), key.reveal().as_bytes())?;
    // A machine whose key store changes from start to start would lose it.
    anyhow::ensure!(decrypted(creds, &bytes)? == *key, "it does not give back what it was given");
    Ok(bytes)
}

/// What a program answers to what it is told.
fn piped(command: &mut Command, input: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input)?;
    }
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{}", said.lines().last().unwrap_or("it failed").trim());
    Ok(output.stdout)
}

/// Stores the key: encrypted where `creds` is there and works, else readable by root only. Answers a sentence where it is
/// the second instead of the first.
///
/// # Errors
/// A file that cannot be written or removed.
pub fn store(place: &Place, creds: Option<&Path>, key: &Key) -> anyhow::Result<Option<String>> {
    let why = match creds.map(|creds| encrypted(creds, key)) {
        Some(Ok(bytes)) => {
            write(place, CREDENTIAL, &bytes, Some(0o600))?;
            write(place, KEY_CONF, CONF_ENCRYPTED.as_bytes(), Some(0o644))?;
            remove(place, PLAIN)?;
            return Ok(None);
        }
        Some(Err(why)) => Some(format!("systemd-creds does not work here ({why}): {PLAIN} holds it, for root only")),
        None => None,
    };
    write(place, PLAIN, format!("{}\n", key.reveal()).as_bytes(), Some(0o600))?;
    remove(place, KEY_CONF)?;
    remove(place, CREDENTIAL)?;
    Ok(why)
}
