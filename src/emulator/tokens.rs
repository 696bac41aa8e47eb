//! Ephemeral tokens: minted with a key, shown by a client, counted, expired.
//!
//! The service's words for a token that it refuses are not known; these name the token and what is wrong with it.
//! Field masks are not played: a token locks the whole setup or nothing. A locked setup leaves the client its
//! resumption handle, or nobody could go on with a conversation.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};

use super::{BAD_KEY, Refusal};
use crate::live::rfc3339;

/// What tells a token from a key.
const NAME_BEGINS: &str = "auth_tokens/";
/// The longest life of a token, and the longest time in which it may open a session.
const LIFE_MAX_S: u64 = 20 * 3600;
/// Unless the client says otherwise.
const LIFE_S: u64 = 30 * 60;
/// Unless the client says otherwise.
const OPENS_S: u64 = 60;
/// Tokens that are remembered; the oldest are forgotten first.
const TOKENS_MAX: usize = 1024;

/// The tokens of one service; copies share them.
#[derive(Clone, Debug, Default)]
pub struct Tokens(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    minted: u64,
    grants: VecDeque<Grant>,
}

#[derive(Clone, Debug)]
struct Grant {
    name: String,
    /// Nothing for any number.
    uses_left: Option<u64>,
    expires_unix_s: u64,
    opens_until_unix_s: u64,
    setup: Option<Value>,
}

/// One client, and what it showed at the door.
#[derive(Clone, Debug, Default)]
pub struct Visit {
    tokens: Tokens,
    /// The token, where it showed one.
    name: Option<String>,
    /// Whether it came to the method that takes tokens.
    is_constrained: bool,
    has_set_up: bool,
}

/// The answer to a request for a token: HTTP status and body.
pub type Answer = (u16, Value);

impl Tokens {
    /// Mints a token at `path`, for whoever shows `key`.
    pub fn mint(&self, path: &str, key: Option<&str>, body: &[u8], unix_s: u64) -> Answer {
        if !matches!(path, "/v1beta/auth_tokens" | "/v1alpha/auth_tokens") {
            return error(404, "NOT_FOUND", "Tokens are minted at /v1beta/auth_tokens.");
        }
        match key {
            None | Some("") => {
                let why = "Method doesn't allow unregistered callers (callers without established identity).";
                return error(403, "PERMISSION_DENIED", why);
            }
            Some(BAD_KEY) => return error(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
            Some(_) => {}
        }
        let grant = match Grant::read(body, unix_s) {
            Ok(grant) => grant,
            Err(why) => return error(400, "INVALID_ARGUMENT", &why),
        };
        let mut book = self.book();
        book.minted += 1;
        // Nobody keeps anything from this service: a name need not be hard to guess.
        let name = format!("{NAME_BEGINS}{:032x}{unix_s:016x}", book.minted);
        book.grants.push_back(Grant { name: name.clone(), ..grant });
        if book.grants.len() > TOKENS_MAX {
            book.grants.pop_front();
        }
        (200, json!({ "name": name }))
    }

    /// A client that came to `path` with this key or token.
    pub fn visit(&self, path: &str, shown: Option<&str>) -> Visit {
        let name = shown.filter(|name| name.starts_with(NAME_BEGINS)).map(str::to_owned);
        Visit { tokens: self.clone(), name, is_constrained: path.ends_with("Constrained"), has_set_up: false }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Grant {
    fn read(body: &[u8], unix_s: u64) -> Result<Grant, String> {
        let value: Value = serde_json::from_slice(body).map_err(|_| "Invalid JSON payload received.".to_string())?;
        let fields = value.as_object().ok_or("Invalid JSON payload received. It must be an object.")?;
        let known = ["uses", "expireTime", "newSessionExpireTime", "bidiGenerateContentSetup"];
        if let Some(name) = fields.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(format!("Invalid JSON payload received. Unknown name \"{name}\": Cannot find field."));
        }
        let uses = match fields.get("uses") {
            None => 1,
            Some(uses) => uses.as_u64().ok_or("Invalid value at 'uses': a number from 0 on.")?,
        };
        let time = |field: &str, usual_s: u64| -> Result<u64, String> {
            let Some(value) = fields.get(field) else { return Ok(unix_s + usual_s) };
            let time = value.as_str().and_then(rfc3339::parse);
            let time = time.ok_or_else(|| format!("Invalid value at '{field}': a time in RFC 3339."))?;
            match time > unix_s && time < unix_s + LIFE_MAX_S {
                true => Ok(time),
                false => Err(format!("Invalid value at '{field}': it must be within the next 20 hours.")),
            }
        };
        let setup = fields.get("bidiGenerateContentSetup");
        if setup.is_some_and(|setup| !setup.is_object()) {
            return Err("Invalid value at 'bidi_generate_content_setup': the object under `setup`.".to_string());
        }
        Ok(Grant {
            name: String::new(),
            uses_left: (uses > 0).then_some(uses),
            expires_unix_s: time("expireTime", LIFE_S)?,
            opens_until_unix_s: time("newSessionExpireTime", OPENS_S)?,
            setup: setup.cloned(),
        })
    }

    /// Opens a session, or goes on with one.
    fn open(&mut self, is_resumed: bool, unix_s: u64) -> Result<Option<Value>, Refusal> {
        if is_resumed {
            return Ok(self.setup.clone());
        }
        if unix_s >= self.opens_until_unix_s {
            return Err(refusal("Ephemeral token expired for new sessions.", "its newSessionExpireTime has passed"));
        }
        match &mut self.uses_left {
            Some(0) => Err(refusal("Ephemeral token has no uses left.", "it was minted for fewer sessions")),
            Some(left) => {
                *left -= 1;
                Ok(self.setup.clone())
            }
            None => Ok(self.setup.clone()),
        }
    }
}

impl Visit {
    /// What of a client's message comes through the door: for the first one of who shows a token, the setup that
    /// the token locks. Who shows a key is not looked at here.
    pub(super) fn admit<'a>(&mut self, bytes: &'a [u8], unix_s: u64) -> Result<Cow<'a, [u8]>, Refusal> {
        let Some(name) = &self.name else { return Ok(Cow::Borrowed(bytes)) };
        if !self.is_constrained {
            let reason = "Method doesn't allow unregistered callers (callers without established identity).";
            return Err(Refusal::new(1008, reason, "tokens are for …BidiGenerateContentConstrained"));
        }
        let mut book = self.tokens.book();
        let Some(grant) = book.grants.iter_mut().find(|grant| grant.name == *name) else {
            return Err(refusal("Ephemeral token not found.", "the emulator did not mint it, or not lately"));
        };
        if unix_s >= grant.expires_unix_s {
            return Err(refusal("Ephemeral token expired.", "its expireTime has passed"));
        }
        if std::mem::replace(&mut self.has_set_up, true) {
            return Ok(Cow::Borrowed(bytes));
        }
        let message = serde_json::from_slice::<Value>(bytes).unwrap_or_default();
        let handle = handle_of(&message);
        let Some(mut setup) = grant.open(handle.is_some(), unix_s)? else { return Ok(Cow::Borrowed(bytes)) };
        if let (Some(handle), Some(setup)) = (handle, setup.as_object_mut()) {
            let resumption = setup.entry("sessionResumption").or_insert_with(|| Value::Object(Map::new()));
            *resumption = json!({ "handle": handle });
        }
        Ok(Cow::Owned(json!({ "setup": setup }).to_string().into_bytes()))
    }
}

/// The handle in a `setup`, under any of its names.
fn handle_of(message: &Value) -> Option<&str> {
    let setup = message.get("setup")?;
    let resumption = setup.get("sessionResumption").or_else(|| setup.get("session_resumption"))?;
    resumption.get("handle")?.as_str().filter(|handle| !handle.is_empty())
}

fn refusal(reason: &str, why: &str) -> Refusal {
    Refusal::new(1008, reason, format!("the token is refused: {why}"))
}

fn error(code: u16, status: &str, message: &str) -> Answer {
    (code, json!({"error": {"code": code, "message": message, "status": status}}))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOW: u64 = 1_795_132_800;
    const PATH: &str = "/ws/v1beta.GenerativeService.BidiGenerateContentConstrained";
    const SETUP: &[u8] = br#"{"setup":{"model":"models/mine"}}"#;

    fn minted(tokens: &Tokens, body: Value) -> String {
        let (status, answer) = tokens.mint("/v1beta/auth_tokens", Some("a-key"), body.to_string().as_bytes(), NOW);
        assert_eq!(status, 200, "{answer}");
        answer["name"].as_str().unwrap().to_string()
    }

    fn reason(result: Result<Cow<'_, [u8]>, Refusal>) -> String {
        result.map_or_else(|refusal| refusal.reason, |_| "let in".to_string())
    }

    #[test]
    fn a_token_opens_as_many_sessions_as_it_was_minted_for() {
        let tokens = Tokens::default();
        for (uses, expected) in [
            (json!({}), ["let in", "Ephemeral token has no uses left.", "Ephemeral token has no uses left."]),
            (json!({"uses": 2}), ["let in", "let in", "Ephemeral token has no uses left."]),
            (json!({"uses": 0}), ["let in", "let in", "let in"]),
        ] {
            let name = minted(&tokens, uses);
            let found = [(); 3].map(|()| reason(tokens.visit(PATH, Some(&name)).admit(SETUP, NOW)));
            assert_eq!(found, expected);
            let resumed = br#"{"setup":{"sessionResumption":{"handle":"h"}}}"#;
            let visit = || tokens.visit(PATH, Some(&name));
            assert_eq!(reason(visit().admit(resumed, NOW)), "let in", "going on with a session counts for nothing");
            assert_eq!(reason(visit().admit(resumed, NOW + OPENS_S)), "let in");
        }
    }

    #[test]
    fn a_token_ends_when_it_said_in_mid_session_too() {
        let tokens = Tokens::default();
        let later = |s| rfc3339::format(NOW + s);
        let name = minted(&tokens, json!({"expireTime": later(100), "newSessionExpireTime": later(10), "uses": 0}));
        let mut visit = tokens.visit(PATH, Some(&name));
        assert_eq!(reason(visit.admit(SETUP, NOW + 9)), "let in");
        assert_eq!(reason(visit.admit(b"{}", NOW + 99)), "let in");
        assert_eq!(reason(visit.admit(b"{}", NOW + 100)), "Ephemeral token expired.");
        let late = tokens.visit(PATH, Some(&name)).admit(SETUP, NOW + 10).map(drop).unwrap_err();
        assert_eq!(late.reason, "Ephemeral token expired for new sessions.");
    }

    #[test]
    fn a_locked_setup_is_what_the_client_gets_with_its_own_handle() {
        let tokens = Tokens::default();
        let name = minted(
            &tokens,
            json!({"uses": 0, "bidiGenerateContentSetup": {"model": "models/locked", "sessionResumption": {}}}),
        );
        let through = |sent: &[u8]| -> Value {
            serde_json::from_slice(&tokens.visit(PATH, Some(&name)).admit(sent, NOW).unwrap()).unwrap()
        };
        assert_eq!(through(SETUP), json!({"setup": {"model": "models/locked", "sessionResumption": {}}}));
        let resumed = br#"{"setup":{"model":"models/mine","sessionResumption":{"handle":"h"}}}"#;
        assert_eq!(
            through(resumed),
            json!({"setup": {"model": "models/locked", "sessionResumption": {"handle": "h"}}})
        );
    }

    #[test]
    fn strangers_and_the_wrong_method_are_turned_away_and_keys_are_none_of_its_business() {
        let tokens = Tokens::default();
        let name = minted(&tokens, json!({}));
        let at = |path: &str, shown| reason(tokens.visit(path, shown).admit(SETUP, NOW));
        assert_eq!(at(PATH, Some("auth_tokens/made-up")), "Ephemeral token not found.");
        assert!(at(PATH.trim_end_matches("Constrained"), Some(&name)).contains("unregistered callers"));
        assert_eq!((at(PATH, Some("a-key")), at(PATH, None)), ("let in".into(), "let in".into()));
    }

    #[test]
    fn what_asks_for_a_token_in_the_wrong_way_gets_none() {
        let ask = |path: &str, key, body: &str| Tokens::default().mint(path, key, body.as_bytes(), NOW).0;
        let (path, key) = ("/v1alpha/auth_tokens", Some("a-key"));
        assert_eq!(ask(path, key, "{}"), 200);
        assert_eq!(ask("/v1/auth_tokens", key, "{}"), 404);
        assert_eq!((ask(path, None, "{}"), ask(path, Some(BAD_KEY), "{}")), (403, 400));
        let late = rfc3339::format(NOW + LIFE_MAX_S);
        for body in [
            "",
            "[]",
            r#"{"uses":-1}"#,
            r#"{"fieldMask":"model"}"#,
            r#"{"expireTime":"soon"}"#,
            r#"{"expireTime":"2026-11-20T00:00:00Z"}"#,
            &format!(r#"{{"newSessionExpireTime":"{late}"}}"#),
            r#"{"bidiGenerateContentSetup":7}"#,
        ] {
            assert_eq!(ask(path, key, body), 400, "{body}");
        }
    }

    #[test]
    fn the_oldest_of_too_many_tokens_is_forgotten() {
        let tokens = Tokens::default();
        let names: Vec<String> = (0..=TOKENS_MAX).map(|_| minted(&tokens, json!({}))).collect();
        assert_eq!(reason(tokens.visit(PATH, Some(&names[0])).admit(SETUP, NOW)), "Ephemeral token not found.");
        assert_eq!(reason(tokens.visit(PATH, Some(&names[1])).admit(SETUP, NOW)), "let in");
    }
}
