//! Fetches the API key: environment, systemd credential, key file, in this order.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::config::agent::Agent;
use crate::live::credential::Secret;

/// Keys have 39 characters today; this leaves room for tokens.
const KEY_BYTES_MAX: usize = 1024;

/// The API key. It is never printed: not by `Debug`, not in an error.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// The key itself, for the one header it goes into: visible ASCII, never empty.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The key in `text`; `from` says where it was found, for the error.
    ///
    /// # Errors
    /// [`KeyTrouble::Malformed`].
    pub fn checked(text: &str, from: &str) -> Result<Key, KeyTrouble> {
        let text = text.trim();
        if !text.is_empty() && text.len() <= KEY_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(Key(text.to_string()));
        }
        Err(KeyTrouble::Malformed { from: from.to_string() })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// Why there is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyTrouble {
    /// Nobody gave one.
    #[error(
        "there is no API key: set GEMINI_API_KEY, name a file with `key_file` in the configuration, or have `sudo mynah setup` store one \
         for the service (keys are made at aistudio.google.com)"
    )]
    Absent,
    /// A file that was named cannot be read.
    #[error("the key file {} cannot be read: {why}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        why: String,
    },
    /// Others may read the key file.
    #[error("the key file {0} can be read by others; keep it for yourself: `chmod 600 {0}`", file.display())]
    Exposed {
        /// The file.
        file: PathBuf,
    },
    /// What was found is no key.
    #[error("what {from} holds is no API key: it must be one word of at most {KEY_BYTES_MAX} visible ASCII characters")]
    Malformed {
        /// Where it was found.
        from: String,
    },
}

/// Fetches the key: `GEMINI_API_KEY`, then `$CREDENTIALS_DIRECTORY/gemini_api_key`, then the agent's `key_file`.
///
/// `env` answers an environment variable's value; one that is set but blank counts as unset.
///
/// # Errors
/// [`KeyTrouble`]; [`KeyTrouble::Absent`] where no place holds one.
pub fn load_key(agent: &Agent, env: impl Fn(&str) -> Option<String>) -> Result<Key, KeyTrouble> {
    let set = |name: &str| env(name).filter(|value| !value.trim().is_empty());
    if let Some(text) = set("GEMINI_API_KEY") {
        return Key::checked(&text, "GEMINI_API_KEY");
    }
    if let Some(folder) = set("CREDENTIALS_DIRECTORY") {
        let file = Path::new(&folder).join("gemini_api_key");
        // systemd guards this folder itself, with an access list that looks like a group's right in the mode.
        match read(&file, false) {
            Err(KeyTrouble::Absent) => {}
            found => return found,
        }
    }
    match &agent.key_file {
        None => Err(KeyTrouble::Absent),
        Some(file) => match read(file, true) {
            Err(KeyTrouble::Absent) => {
                let why = "there is no such file; write the key into it and `chmod 600` it".to_string();
                Err(KeyTrouble::Unreadable { file: file.clone(), why })
            }
            found => found,
        },
    }
}

/// Fetches one of `[secrets]`: the systemd credential of its name, else its file. Blanks around it are left out.
///
/// # Errors
/// A sentence for the owner; never what the file holds.
pub fn secret(name: &str, file: &Path, env: impl Fn(&str) -> Option<String>) -> Result<Secret, String> {
    let credential = env("CREDENTIALS_DIRECTORY").map(|folder| Path::new(&folder).join(name));
    let found = match credential.map(|file| read_text(&file, false)) {
        None | Some(Err(KeyTrouble::Absent)) => read_text(file, true),
        Some(found) => found,
    };
    match found {
        Ok(text) if !text.trim().is_empty() => Ok(Secret::new(text.trim())),
        Ok(_) => Err(format!("the secret `{name}` is empty: write it into {}", file.display())),
        Err(KeyTrouble::Absent) => Err(format!(
            "there is no file {} for the secret `{name}`: write it there and `chmod 600` it",
            file.display()
        )),
        Err(trouble) => Err(format!("the secret `{name}` cannot be had: {trouble}")),
    }
}

/// Reads a key file; [`KeyTrouble::Absent`] where there is none.
fn read(file: &Path, must_be_private: bool) -> Result<Key, KeyTrouble> {
    Key::checked(&read_text(file, must_be_private)?, &format!("the key file {}", file.display()))
}

/// Reads a small private file; [`KeyTrouble::Absent`] where there is none.
fn read_text(file: &Path, must_be_private: bool) -> Result<String, KeyTrouble> {
    let unreadable = |why: String| KeyTrouble::Unreadable { file: file.to_path_buf(), why };
    let failed = |error: io::Error| match error.kind() {
        ErrorKind::NotFound => KeyTrouble::Absent,
        _ => unreadable(error.to_string()),
    };
    // Not blocking: a FIFO of this name would wait here for ever.
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(file).map_err(failed)?;
    let metadata = opened.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(unreadable("it is not a plain file".to_string()));
    }
    if must_be_private && metadata.mode() & 0o077 != 0 {
        return Err(KeyTrouble::Exposed { file: file.to_path_buf() });
    }
    let mut bytes = Vec::new();
    opened.take(2 * KEY_BYTES_MAX as u64).read_to_end(&mut bytes).map_err(failed)?;
    String::from_utf8(bytes).map_err(|_| KeyTrouble::Malformed { from: format!("the key file {}", file.display()) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    /// A folder with a file `gemini_api_key` of a mode, gone when dropped.
    struct Place(PathBuf);
    impl Place {
        fn new(name: &str, content: &str, mode: u32) -> Place {
            let folder = std::env::temp_dir().join(format!("mynah-key-{name}-{}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            let place = Place(folder);
            fs::write(place.file(), content).unwrap();
            fs::set_permissions(place.file(), Permissions::from_mode(mode)).unwrap();
            place
        }
        fn file(&self) -> PathBuf {
            self.0.join("gemini_api_key")
        }
        fn agent(&self) -> Agent {
            Agent { key_file: Some(self.file()), ..Agent::default() }
        }
    }
    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn nothing(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn the_environment_wins_then_the_credential_then_the_file() {
        let (credential, file) = (Place::new("credential", "second\n", 0o440), Place::new("file", "third\r\n", 0o600));
        let folder = credential.0.display().to_string();
        let all = |name: &str| match name {
            "GEMINI_API_KEY" => Some("first".to_string()),
            _ => Some(folder.clone()),
        };
        assert_eq!(load_key(&file.agent(), all).unwrap().reveal(), "first");
        let blank = |name: &str| all(name).map(|value| value.replace("first", " "));
        assert_eq!(load_key(&file.agent(), blank).unwrap().reveal(), "second");
        fs::remove_file(credential.file()).unwrap();
        assert_eq!(load_key(&file.agent(), blank).unwrap().reveal(), "third");
        assert_eq!(load_key(&Agent::default(), blank), Err(KeyTrouble::Absent));
    }

    #[test]
    fn a_file_for_all_eyes_a_missing_one_and_rubbish_are_refused() {
        for mode in [0o640, 0o604, 0o660, 0o644] {
            let open = Place::new("open", "secret", mode);
            let trouble = load_key(&open.agent(), nothing).unwrap_err().to_string();
            assert!(trouble.contains(&format!("`chmod 600 {}`", open.file().display())), "{trouble}");
            assert!(!trouble.contains("secret"));
        }
        for content in ["", "\n", "two words", "caf\u{e9}", "line\nline", &"x".repeat(KEY_BYTES_MAX + 1)] {
            let place = Place::new("rubbish", content, 0o600);
            let trouble = load_key(&place.agent(), nothing).unwrap_err();
            assert!(matches!(trouble, KeyTrouble::Malformed { .. }), "{content:?}: {trouble}");
        }
        let gone = Agent { key_file: Some("/nowhere/key".into()), ..Agent::default() };
        assert!(load_key(&gone, nothing).unwrap_err().to_string().contains("no such file"));
        let folder = Agent { key_file: Some(std::env::temp_dir()), ..Agent::default() };
        assert!(load_key(&folder, nothing).unwrap_err().to_string().contains("not a plain file"));
        let newline = |name: &str| (name == "GEMINI_API_KEY").then(|| "a\r\nx-other: b".to_string());
        assert!(matches!(load_key(&Agent::default(), newline), Err(KeyTrouble::Malformed { .. })));
    }

    #[test]
    fn a_secret_may_have_blanks_and_its_credential_goes_before_its_file() {
        let (credential, file) =
            (Place::new("secret-c", " pass word\n", 0o440), Place::new("secret-f", "other", 0o600));
        let folder = credential.0.display().to_string();
        let env = |name: &str| (name == "CREDENTIALS_DIRECTORY").then(|| folder.clone());
        let found = |env: &dyn Fn(&str) -> Option<String>| secret("gemini_api_key", &file.file(), env);
        assert_eq!(found(&env).unwrap().reveal(), "pass word");
        assert_eq!(found(&nothing).unwrap().reveal(), "other");
        let open = Place::new("secret-o", "hidden", 0o644);
        let trouble = secret("door", &open.file(), nothing).unwrap_err();
        assert!(
            trouble.contains("`door`") && trouble.contains("chmod 600") && !trouble.contains("hidden"),
            "{trouble}"
        );
        assert!(secret("door", Path::new("/nowhere/x"), nothing).unwrap_err().contains("no file /nowhere/x"));
        assert!(secret("door", &Place::new("secret-e", " \n", 0o600).file(), nothing).unwrap_err().contains("empty"));
    }

    #[test]
    fn a_key_is_never_printed() {
        let key = Key::checked("AIza-secret", "test").unwrap();
        assert_eq!(format!("{key:?}"), "Key(…)");
    }
}
