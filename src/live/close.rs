//! What the end of a connection means, and who must act.
//!
//! Reason text first, code second: codes are shared by very different causes, and reasons are cut at 123
//! bytes, so short lower-case pieces are looked for (live-protocol.md 7.1).

use std::time::Duration;

/// How often it is tried again while the clock is not set or a portal is in the way.
const WAIT: Duration = Duration::from_secs(5);

/// How a connection ended, as the link saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closing {
    /// The server's close frame (1005 where it had no code).
    Frame {
        /// Close code.
        code: u16,
        /// Its text, at most 123 bytes.
        reason: String,
    },
    /// The upgrade was answered with this HTTP status.
    Http(u16),
    /// The network failed; a sentence.
    Network(String),
    /// The server's certificate was not accepted; a sentence.
    Certificate(String),
    /// The clock of this machine is not set, and no certificate can be judged; a sentence.
    Clock(String),
    /// Something else answers in the service's place: a hotel's or guest network's page; a sentence.
    Portal(String),
    /// The broker gave no token; a sentence.
    Broker(String),
    /// An error inside a message, instead of a close frame; its text.
    Error(String),
}

/// What to do after a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Connect again after the backoff.
    Retry,
    /// Connect again every so often, without growing waits: it is over when somebody or something here is ready.
    Wait(Duration),
    /// Connect again, but not before a long pause: the quota is used up.
    Pause,
    /// Connect again after the backoff, with a setup that lacks this.
    Without(Part),
    /// Connect again after the backoff, with a new token.
    Renew,
    /// The same setup would be refused again: a person must act.
    Refused(Refusal),
}

/// A part of the setup that another attempt does without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The resumption handle: the service has no such conversation (any more), or cannot go on with it.
    Handle,
    /// The voice: the model has none of this name.
    Voice,
}

/// Who must change what before another attempt makes sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The key is wrong, missing or has no right.
    #[error(
        "the service refused the API key ({0}): put a valid key into GEMINI_API_KEY or the file that `key_file` names"
    )]
    Key(String),
    /// No such model, or it was retired.
    #[error(
        "the service does not know the model ({0}): set `model` in mynah.toml to one it has, such as gemini-3.8-live"
    )]
    Model(String),
    /// Something in the configuration is not to the service's liking.
    #[error("the service refused the session ({0}): change the named setting in mynah.toml")]
    Setup(String),
    /// There is no Live service at the address (HTTP 404): the model is named later, in the setup message.
    #[error(
        "there is no Live service at this address ({0}): `endpoint` in mynah.toml needs the path too, \
         /ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
    )]
    Address(String),
    /// The service is not offered here.
    #[error("the service is not offered at this place ({0})")]
    Region(String),
}

impl Refusal {
    /// The exit code of the program: 77 (no permission) for the key, 78 (configuration) otherwise.
    pub fn exit_code(&self) -> u8 {
        match self {
            Refusal::Key(_) => 77,
            Refusal::Model(_) | Refusal::Setup(_) | Refusal::Address(_) | Refusal::Region(_) => 78,
        }
    }
}

#[derive(Clone, Copy)]
enum Class {
    Retry,
    Handle,
    Voice,
    Pause,
    Key,
    Model,
    Setup,
    Address,
    Region,
}

/// Pieces of reasons, in the order in which they are looked for.
const REASONS: [(&str, Class); 22] = [
    ("api key not valid", Class::Key),
    ("api key expired", Class::Key),
    ("unregistered callers", Class::Key),
    ("permission denied", Class::Key),
    ("user location is not supported", Class::Region),
    ("is not found for api version", Class::Model),
    ("not supported for bidigeneratecontent", Class::Model),
    ("requested entity was not found", Class::Model),
    ("session not found", Class::Handle),
    ("exceeded your current quota", Class::Pause),
    ("resource_exhausted", Class::Pause),
    ("invalid json payload", Class::Setup),
    ("unknown name", Class::Setup),
    ("thinking level", Class::Setup),
    ("blocking function calls are not supported", Class::Setup),
    ("response modalities", Class::Setup),
    ("no matching speaker voice", Class::Voice),
    ("tool is not supported", Class::Setup),
    ("precondition check failed", Class::Retry),
    ("goaway", Class::Retry),
    ("deadline", Class::Retry),
    ("internal error", Class::Retry),
];

/// What to do about `closing`. `was_ready`: whether `setupComplete` had come on this connection; a refusal
/// after it is not of the setup's making, so another connection is worth trying. If the model or the place is
/// refused for good, that one says so. A key that was taken back is refused at once, whenever.
pub fn classify(closing: &Closing, was_ready: bool) -> Verdict {
    let (class, text) = match closing {
        Closing::Network(_) | Closing::Certificate(_) | Closing::Broker(_) => return Verdict::Retry,
        Closing::Clock(_) | Closing::Portal(_) => return Verdict::Wait(WAIT),
        Closing::Http(status) => (class_of_status(*status), format!("HTTP {status}")),
        Closing::Frame { code, reason } => (class_of(*code, reason), format!("{code} {reason}")),
        Closing::Error(text) => (class_of(0, text), text.clone()),
    };
    match class {
        Class::Retry => Verdict::Retry,
        Class::Pause => Verdict::Pause,
        Class::Handle => Verdict::Without(Part::Handle),
        Class::Voice => Verdict::Without(Part::Voice),
        Class::Key => Verdict::Refused(Refusal::Key(text)),
        Class::Model | Class::Region | Class::Setup if was_ready => Verdict::Retry,
        Class::Model => Verdict::Refused(Refusal::Model(text)),
        Class::Address => Verdict::Refused(Refusal::Address(text)),
        Class::Region => Verdict::Refused(Refusal::Region(text)),
        Class::Setup => Verdict::Refused(Refusal::Setup(text)),
    }
}

fn class_of_status(status: u16) -> Class {
    match status {
        401 | 403 => Class::Key,
        404 => Class::Address,
        429 => Class::Pause,
        _ => Class::Retry,
    }
}

fn class_of(code: u16, reason: &str) -> Class {
    let reason = reason.to_lowercase();
    let named = REASONS.iter().find(|(piece, _)| reason.contains(piece)).map(|(_, class)| *class);
    named.unwrap_or(match code {
        1007 => Class::Setup, // the same payload is refused again: never repeat it
        _ => Class::Retry,
    })
}

impl std::fmt::Display for Closing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Closing::Frame { code, reason } if reason.is_empty() => write!(f, "the server closed with code {code}"),
            Closing::Frame { code, reason } => write!(f, "the server closed with code {code}: {reason}"),
            Closing::Http(status) => write!(f, "the server answered the connection with HTTP status {status}"),
            Closing::Network(why)
            | Closing::Certificate(why)
            | Closing::Clock(why)
            | Closing::Portal(why)
            | Closing::Broker(why)
            | Closing::Error(why) => f.write_str(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_before_codes() {
        let frame = |code, reason: &str| classify(&Closing::Frame { code, reason: reason.into() }, false);
        let refused = |v: Verdict| match v {
            Verdict::Refused(r) => Some(r.exit_code()),
            _ => None,
        };
        assert_eq!(refused(frame(1007, "API key not valid. Please pass a valid API key.")), Some(77));
        assert_eq!(refused(frame(1008, "Method doesn't allow unregistered callers")), Some(77));
        assert_eq!(refused(frame(1008, "models/x is not found for API version v1beta")), Some(78));
        assert_eq!(refused(frame(1007, "Request contains an invalid argument.")), Some(78));
        let nobody_there = Refusal::Address("HTTP 404".into());
        assert_eq!(classify(&Closing::Http(404), false), Verdict::Refused(nobody_there));
        assert_eq!(frame(1008, "BidiGenerateContent session not found"), Verdict::Without(Part::Handle));
        assert_eq!(frame(1011, "You exceeded your current quota"), Verdict::Pause);
        assert_eq!(frame(1011, ""), Verdict::Retry);
        assert_eq!(frame(1006, ""), Verdict::Retry);
    }

    #[test]
    fn a_refusal_in_mid_session_is_tried_again() {
        let closing = Closing::Frame { code: 1007, reason: "Request contains an invalid argument.".into() };
        assert_eq!(classify(&closing, true), Verdict::Retry);
        let model = Closing::Frame { code: 1008, reason: "Requested entity was not found.".into() };
        assert_eq!(classify(&model, true), Verdict::Retry);
        assert!(matches!(classify(&model, false), Verdict::Refused(Refusal::Model(_))));
        let key = Closing::Frame { code: 1007, reason: "API key not valid".into() };
        assert!(matches!(classify(&key, true), Verdict::Refused(Refusal::Key(_))));
    }
}
