//! What the link shows to be let in: the API key, or a token that somebody minted with one (live-protocol.md 1.2).
//!
//! Both travel in a header and nowhere else: addresses end up in logs.

use std::fmt;

/// The method of the address that takes a key, and what the one that takes a token has behind it.
const METHOD: &str = "BidiGenerateContent";
const CONSTRAINED: &str = "Constrained";

/// A key or a token. It is never printed: not by `Debug`, not in an error.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text`.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself, for the one place it goes into.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What one connection shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// The long-lived key.
    Key(Secret),
    /// An ephemeral token, `auth_tokens/…`.
    Token(Secret),
}

impl Credential {
    /// The header it travels in: name and value.
    pub fn header(&self) -> (&'static str, Secret) {
        match self {
            Credential::Key(key) => ("x-goog-api-key", key.clone()),
            Credential::Token(name) => ("authorization", Secret(format!("Token {}", name.reveal()))),
        }
    }

    /// The address to show it at, from that of the configuration: tokens have a method of their own. An address
    /// that names neither method stays as it is.
    pub fn url(&self, configured: &str) -> String {
        let path_ends = configured.find('?').unwrap_or(configured.len());
        let (path, query) = configured.split_at(path_ends);
        let base = path.strip_suffix(CONSTRAINED).unwrap_or(path);
        match self {
            Credential::Token(_) if base.ends_with(METHOD) => format!("{base}{CONSTRAINED}{query}"),
            Credential::Key(_) if base.ends_with(METHOD) => format!("{base}{query}"),
            Credential::Key(_) | Credential::Token(_) => configured.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_and_a_token_go_into_headers_of_their_own_and_to_methods_of_their_own() {
        let base = "wss://example.org/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent";
        let (key, token) = (Credential::Key(Secret::new("k")), Credential::Token(Secret::new("auth_tokens/t")));
        assert_eq!(key.header(), ("x-goog-api-key", Secret::new("k")));
        assert_eq!(token.header(), ("authorization", Secret::new("Token auth_tokens/t")));
        for configured in [base.to_string(), format!("{base}Constrained")] {
            assert_eq!(key.url(&configured), base);
            assert_eq!(token.url(&configured), format!("{base}Constrained"));
        }
        assert_eq!(token.url(&format!("{base}?region=eu")), format!("{base}Constrained?region=eu"));
        assert_eq!(token.url("ws://localhost:9/live"), "ws://localhost:9/live");
        for shown in [&key, &token] {
            assert!(!shown.url(base).contains(shown.header().1.reveal()));
        }
    }

    #[test]
    fn a_secret_is_never_printed() {
        let shown =
            format!("{:?}", [Credential::Key(Secret::new("AIza-1")), Credential::Token(Secret::new("auth_tokens/1"))]);
        assert_eq!(shown, "[Key(Secret(…)), Token(Secret(…))]");
    }
}
