//! What setup wrote on this machine, for the subcommands that look at it by hand.

pub use super::key::StoredKey;

use super::facts::{DEFAULTS, Place, Programs, VARIABLE};
use super::{edit, key};

/// The board that the service runs on; none where setup (or a person) wrote none down.
pub fn board() -> Option<String> {
    named(&std::fs::read_to_string(DEFAULTS).ok()?)
}

fn named(defaults: &str) -> Option<String> {
    edit::variable(defaults, VARIABLE).filter(|board| !board.is_empty()).map(str::to_string)
}

/// The key that is stored for the service; where there is one, only root can read it.
pub fn stored_key() -> StoredKey {
    key::stored(&Place::below("/"), Programs::of(&std::env::var_os("PATH").unwrap_or_default()).creds.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_board_is_the_one_of_the_file() {
        for (text, board) in [
            ("", None),
            ("# MYNAH_BOARD=sim\n", None),
            ("MYNAH_BOARD=\n", None),
            ("OTHER=1\nMYNAH_BOARD=\"/etc/mynah/board.toml\"\n", Some("/etc/mynah/board.toml")),
        ] {
            assert_eq!(named(text).as_deref(), board, "{text}");
        }
    }
}
