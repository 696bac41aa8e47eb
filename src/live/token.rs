//! Ephemeral tokens: how one is asked for, and how the answer of the service or of a broker is read.
//!
//! A device that holds only tokens cannot give away the key (live-protocol.md 1.3).

use serde_json::{Value, json};

use super::credential::Secret;
use super::rfc3339;

/// What the name of every token begins with.
pub const NAME_BEGINS: &str = "auth_tokens/";

/// Tokens seen have 76 characters; this leaves room.
const NAME_BYTES_MAX: usize = 1024;

/// A token is not shown any more this long before it expires: the clocks of two machines differ, and the upgrade
/// takes its time.
const MARGIN_S: u64 = 30;

/// A token, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its name, which is the credential.
    pub name: Secret,
    /// When it expires, seconds since 1970; nothing where nobody said so.
    pub expires_unix_s: Option<u64>,
}

/// What a token is to be good for.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Conversations it opens; 0 for any number. Going on with one does not count.
    pub uses: u32,
    /// When it expires, seconds since 1970; less than 20 h from now.
    pub expires_unix_s: u64,
    /// Until when it opens a conversation, seconds since 1970.
    pub opens_until_unix_s: u64,
    /// The setup that whoever shows it gets, whatever else they ask for.
    pub setup: Value,
}

impl Token {
    /// Reads the answer of a broker: the service's own, or nothing but the name.
    ///
    /// # Errors
    /// A sentence without anything of the answer in it: it may hold a secret.
    pub fn read(answer: &[u8]) -> Result<Token, String> {
        let wrong = || {
            format!(
                "its answer is no token: it must be {{\"name\":\"{NAME_BEGINS}…\",\"expireTime\":\"…\"}} or the name alone"
            )
        };
        let text = std::str::from_utf8(answer).map_err(|_| wrong())?.trim();
        let (name, expires) = match serde_json::from_str::<Value>(text) {
            Ok(Value::String(name)) => (name, None),
            Ok(Value::Object(object)) => {
                let name = object.get("name").and_then(Value::as_str).unwrap_or_default().to_string();
                (name, object.get("expireTime").and_then(Value::as_str).map(str::to_string))
            }
            _ => (text.to_string(), None),
        };
        let is_name = name.len() > NAME_BEGINS.len()
            && name.len() <= NAME_BYTES_MAX
            && name.starts_with(NAME_BEGINS)
            && name.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_name {
            return Err(wrong());
        }
        let expires_unix_s = match expires {
            None => None,
            Some(time) => Some(rfc3339::parse(&time).ok_or("its `expireTime` is no time like 2026-11-20T12:00:00Z")?),
        };
        Ok(Token { name: Secret::new(name), expires_unix_s })
    }

    /// Whether it may be shown at this time. Where nobody said when it expires, the service says so by refusing it.
    pub fn is_good(&self, unix_s: u64) -> bool {
        self.expires_unix_s.is_none_or(|expires| unix_s.saturating_add(MARGIN_S) < expires)
    }
}

impl Wanted {
    /// The body of the request. Without a field mask the whole setup is locked.
    pub fn body(&self) -> Value {
        json!({
            "uses": self.uses,
            "expireTime": rfc3339::format(self.expires_unix_s),
            "newSessionExpireTime": rfc3339::format(self.opens_until_unix_s),
            "bidiGenerateContentSetup": self.setup,
        })
    }
}

/// Where the service mints tokens: v1beta by its documentation, v1alpha by its SDKs; tried in this order.
pub const MINT_PATHS: [&str; 2] = ["/v1beta/auth_tokens", "/v1alpha/auth_tokens"];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_services_answer_and_a_bare_name_are_read() {
        let name = || Secret::new("auth_tokens/abc123");
        for (answer, expires_unix_s) in [
            (r#"{"name":"auth_tokens/abc123"}"#, None),
            (r#"{"name":"auth_tokens/abc123","expireTime":"2026-11-20T00:00:00Z","uses":1}"#, Some(1_795_132_800)),
            ("auth_tokens/abc123\n", None),
            ("\"auth_tokens/abc123\"", None),
        ] {
            assert_eq!(Token::read(answer.as_bytes()), Ok(Token { name: name(), expires_unix_s }), "{answer}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused_and_not_repeated() {
        let long = format!("auth_tokens/{}", "x".repeat(NAME_BYTES_MAX));
        for answer in [
            "",
            "<html>secret</html>",
            "AIza-secret",
            "auth_tokens/",
            "auth_tokens/secret two",
            "auth_tokens/secret\r\nx: y",
            "{}",
            r#"{"name":7}"#,
            r#"{"name":"AIza-secret"}"#,
            r#"{"token":"auth_tokens/secret"}"#,
            "[1]",
            &long,
            r#"{"name":"auth_tokens/secret","expireTime":"soon"}"#,
        ] {
            let why = Token::read(answer.as_bytes()).unwrap_err();
            assert!(!why.contains("secret") && !why.contains("xxx"), "{answer}: {why}");
        }
        assert!(Token::read(b"auth_tokens/\xff").is_err());
    }

    #[test]
    fn a_token_is_not_shown_on_its_last_seconds() {
        let token = |expires_unix_s| Token { name: Secret::new("auth_tokens/a"), expires_unix_s };
        assert!(token(Some(1000)).is_good(969) && !token(Some(1000)).is_good(970) && !token(Some(1000)).is_good(2000));
        assert!(token(None).is_good(u64::MAX) && !token(Some(7)).is_good(u64::MAX));
    }

    #[test]
    fn a_token_is_asked_for_with_the_whole_setup_locked() {
        let setup = json!({"model": "models/gemini-3.8-live"});
        let wanted = Wanted { uses: 1, expires_unix_s: 1_795_132_800, opens_until_unix_s: 60, setup };
        let expected = json!({
            "uses": 1, "expireTime": "2026-11-20T00:00:00Z", "newSessionExpireTime": "1970-01-01T00:01:00Z",
            "bidiGenerateContentSetup": {"model": "models/gemini-3.8-live"}});
        assert_eq!(wanted.body(), expected);
    }

    proptest! {
        #[test]
        fn no_answer_breaks_the_reader(answer in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Token::read(&answer);
        }
    }
}
