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
        "the service refused the API key ({0}): put a valid key into GEMINI_API_KEY or the file that `key_file` names, or give it to \
         `sudo mynah setup`"
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

/// How far a connection had come when it ended, and what its setup carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Whether `setupComplete` had come: what is refused after it is not of the setup's making.
    pub was_ready: bool,
    /// Whether the setup carried a resumption handle: then that may be what was refused.
    pub had_handle: bool,
    /// Whether a token was shown instead of a key: then a new one may be had without a person.
    pub has_token: bool,
}

/// What a reason is about; [`verdict`] makes of it what to do.
#[derive(Clone, Copy)]
enum Class {
    Retry,
    Handle,
    Voice,
    Pause,
    Token,
    Key,
    Model,
    /// A model or a conversation that does not exist: the text does not say which.
    Entity,
    Setup,
    /// "Invalid argument" and the like: a full context where it comes late, anything where it comes early.
    Unclear,
    /// The model cannot do what was asked; some builds say so at random.
    Feature,
    Address,
    Region,
    Wait,
}

/// Pieces of reasons in lower case, in the order in which they are looked for.
const REASONS: &[(&str, Class)] = &[
    ("api key not valid", Class::Key),
    ("api key expired", Class::Key),
    ("token expired", Class::Token),
    ("token has expired", Class::Token),
    ("auth token", Class::Token),
    ("auth_token", Class::Token),
    ("ephemeral token", Class::Token),
    ("unregistered callers", Class::Key),
    ("invalid authentication credentials", Class::Key),
    ("permission denied", Class::Key),
    ("user location is not supported", Class::Region),
    ("is not found for api version", Class::Model),
    ("not supported for bidigeneratecontent", Class::Model),
    ("requested entity was not found", Class::Entity),
    ("session not found", Class::Handle),
    ("exceeded your current quota", Class::Pause),
    ("resource_exhausted", Class::Pause),
    ("invalid json payload", Class::Setup),
    ("unknown name", Class::Setup),
    ("thinking level", Class::Setup),
    ("must be specified", Class::Setup),
    ("minimal is not supported", Class::Setup),
    ("blocking function calls are not supported", Class::Setup),
    ("response scheduling is not supported", Class::Setup),
    ("response modalities", Class::Setup),
    ("no matching speaker voice", Class::Voice),
    ("tool is not supported", Class::Setup),
    ("mime type", Class::Setup),
    ("operation is not implemented", Class::Feature),
    ("invalid argument", Class::Unclear),
    ("precondition check failed", Class::Retry),
    ("goaway", Class::Retry),
    ("session durat", Class::Retry),
    ("deadline", Class::Retry),
    ("internal error", Class::Retry),
    ("currently unavailable", Class::Retry),
    ("keepalive ping timeout", Class::Retry),
];

/// What to do about `closing`.
///
/// What is refused once the connection was ready says nothing about the setup, so another connection is worth
/// trying; if the model or the place is refused for good, that one says so. A key that was taken back is refused
/// at once, whenever.
pub fn classify(closing: &Closing, stage: Stage) -> Verdict {
    let (class, text) = match closing {
        Closing::Network(_) | Closing::Certificate(_) | Closing::Broker(_) => (Class::Retry, String::new()),
        Closing::Clock(_) | Closing::Portal(_) => (Class::Wait, String::new()),
        Closing::Http(status) => (class_of_status(*status), format!("HTTP {status}")),
        Closing::Frame { code, reason } => (class_of(*code, reason), format!("{code} {reason}").trim().to_string()),
        Closing::Error(text) => (class_of(0, text), text.clone()),
    };
    verdict(class, text, stage)
}

fn verdict(class: Class, text: String, stage: Stage) -> Verdict {
    match class {
        Class::Retry => Verdict::Retry,
        Class::Pause => Verdict::Pause,
        Class::Wait => Verdict::Wait(WAIT),
        Class::Handle => Verdict::Without(Part::Handle),
        Class::Voice => Verdict::Without(Part::Voice),
        Class::Token => Verdict::Renew,
        Class::Key if stage.has_token => Verdict::Renew,
        Class::Key => Verdict::Refused(Refusal::Key(text)),
        // The context is full, most likely, and the handle would bring it back (live-protocol.md 6, 7.1).
        Class::Unclear if stage.was_ready => Verdict::Without(Part::Handle),
        Class::Model | Class::Entity | Class::Region | Class::Setup | Class::Feature if stage.was_ready => {
            Verdict::Retry
        }
        // A connection that was refused at 58 minutes is not always taken up again (live-protocol.md 6.1).
        Class::Unclear | Class::Feature | Class::Entity if stage.had_handle => Verdict::Without(Part::Handle),
        Class::Model | Class::Entity => Verdict::Refused(Refusal::Model(text)),
        Class::Address => Verdict::Refused(Refusal::Address(text)),
        Class::Region => Verdict::Refused(Refusal::Region(text)),
        Class::Setup | Class::Unclear | Class::Feature => Verdict::Refused(Refusal::Setup(text)),
    }
}

fn class_of_status(status: u16) -> Class {
    match status {
        // No Live service answers an upgrade like this: something in between does.
        200..=399 | 511 => Class::Wait,
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
        1007 => Class::Unclear, // the same payload is refused again: never repeat it
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
    use super::Part::{Handle, Voice};
    use super::Verdict::{Pause, Renew, Retry, Without};
    use super::*;

    /// Before `setupComplete`, without and with a handle, and after it.
    const STAGES: [Stage; 3] = [
        Stage { was_ready: false, had_handle: false, has_token: false },
        Stage { was_ready: false, had_handle: true, has_token: false },
        Stage { was_ready: true, had_handle: false, has_token: false },
    ];

    /// The verdict with a refusal's text taken out, which every refusal must carry.
    fn judged(closing: &Closing, stage: Stage, text: &str) -> Verdict {
        let refusal = match classify(closing, stage) {
            Verdict::Refused(refusal) => refusal,
            other => return other,
        };
        let (made, said) = match refusal {
            Refusal::Key(said) => (Refusal::Key(String::new()), said),
            Refusal::Model(said) => (Refusal::Model(String::new()), said),
            Refusal::Setup(said) => (Refusal::Setup(String::new()), said),
            Refusal::Address(said) => (Refusal::Address(String::new()), said),
            Refusal::Region(said) => (Refusal::Region(String::new()), said),
        };
        assert!(said.contains(text), "{said:?} does not tell {text:?}");
        Verdict::Refused(made)
    }

    /// Every row of live-protocol.md 7.1, with those of 1.2, 1.3 and 6: code and reason as the service gives
    /// them, then what to do before `setupComplete` without a handle, with one, and after `setupComplete`.
    #[test]
    fn every_close_of_the_reference_is_judged_by_its_text_first() {
        let refused = |refusal: fn(String) -> Refusal| Verdict::Refused(refusal(String::new()));
        let key = refused(Refusal::Key);
        let (model, setup, region) = (refused(Refusal::Model), refused(Refusal::Setup), refused(Refusal::Region));
        let always = |verdict: Verdict| [verdict.clone(), verdict.clone(), verdict];
        let of_setup = || [setup.clone(), setup.clone(), Retry];
        let of_model = || [model.clone(), model.clone(), Retry];
        let rows: Vec<(u16, &str, [Verdict; 3])> = vec![
            (1000, "", always(Retry)),
            (1005, "", always(Retry)),
            (1006, "", always(Retry)),
            (1007, "API key not valid. Please pass a valid API key.", always(key.clone())),
            (1007, "API key expired. Please renew the API key.", always(key.clone())),
            (1007, "User location is not supported for the API use.", [region.clone(), region, Retry]),
            (1007, "Invalid JSON payload received. Unknown name \"x\" at 'setup': Cannot find field.", of_setup()),
            (1007, "Invalid JSON payload received. Unexpected token.", of_setup()),
            (1007, "Request contains an invalid argument.", [setup.clone(), Without(Handle), Without(Handle)]),
            (1007, "Precondition check failed.", always(Retry)),
            (1007, "Thinking level is not supported for this model", of_setup()),
            (1007, "Thinking level must be specified for this model", of_setup()),
            (1007, "Thinking level MINIMAL is not supported for this model", of_setup()),
            (1007, "Blocking function calls are not supported for this model", of_setup()),
            (1007, "Function response scheduling is not supported for this model", of_setup()),
            (1007, "The requested combination of response modalities (TEXT) is not supported", of_setup()),
            (1007, "No matching speaker voice found for voice name Kora", always(Without(Voice))),
            (1007, "Code execution tool is not supported", of_setup()),
            (1007, "The mime type audio/mp3 is not supported", of_setup()),
            (1007, "Something nobody has seen yet", [setup.clone(), Without(Handle), Without(Handle)]),
            (1008, "models/x is not found for API version v1beta, or is not supported for bidiGen", of_model()),
            (1008, "x is not supported for bidiGenerateContent", of_model()),
            (1008, "Operation is not implemented, or supported, or enabled.", [setup, Without(Handle), Retry]),
            (1008, "Requested entity was not found.", [model, Without(Handle), Retry]),
            (1008, "BidiGenerateContent session not found", always(Without(Handle))),
            (1008, "Method doesn't allow unregistered callers (callers without", always(key.clone())),
            (1008, "Connection aborted because the client failed to close after a GoAway signal", always(Retry)),
            (1008, "The session durat", always(Retry)),
            (1008, "Ephemeral token expired", always(Renew)),
            (1008, "The auth token has expired", always(Renew)),
            (1008, "Invalid auth token", always(Renew)),
            (1008, "Something nobody has seen yet", always(Retry)),
            (1011, "Internal error encountered.", always(Retry)),
            (1011, "The service is currently unavailable.", always(Retry)),
            (1011, "Deadline expired before operation could complete.", always(Retry)),
            (1011, "DEADLINE_EXCEEDED", always(Retry)),
            (1011, "You exceeded your current quota, please check your plan", always(Pause)),
            (1011, "RESOURCE_EXHAUSTED", always(Pause)),
            (1011, "keepalive ping timeout", always(Retry)),
            (1011, "", always(Retry)),
        ];
        for (code, reason, expected) in rows {
            let closing = Closing::Frame { code, reason: reason.into() };
            for (stage, expected) in STAGES.into_iter().zip(expected) {
                assert_eq!(judged(&closing, stage, reason), expected, "{code} {reason:?} {stage:?}");
            }
        }
        for stage in STAGES {
            let in_band = Closing::Error("API key not valid. Please pass a valid API key.".into());
            assert_eq!(judged(&in_band, stage, "API key"), key);
            assert_eq!(classify(&Closing::Error("nobody knows".into()), stage), Retry);
        }
    }

    #[test]
    fn the_answer_to_an_upgrade_is_judged_by_its_status() {
        let refused = |refusal: fn(String) -> Refusal| Verdict::Refused(refusal(String::new()));
        for (status, expected) in [
            (200, Verdict::Wait(WAIT)),
            (302, Verdict::Wait(WAIT)),
            (511, Verdict::Wait(WAIT)),
            (400, Retry),
            (401, refused(Refusal::Key)),
            (403, refused(Refusal::Key)),
            (404, refused(Refusal::Address)),
            (408, Retry),
            (429, Pause),
            (500, Retry),
            (503, Retry),
        ] {
            for stage in STAGES {
                let text = format!("HTTP {status}");
                assert_eq!(judged(&Closing::Http(status), stage, &text), expected, "{status} {stage:?}");
            }
        }
    }

    #[test]
    fn what_ends_without_the_service_is_tried_again_or_waited_for() {
        let text = || "a sentence".to_string();
        for (closing, expected) in [
            (Closing::Network(text()), Retry),
            (Closing::Certificate(text()), Retry),
            (Closing::Broker(text()), Retry),
            (Closing::Clock(text()), Verdict::Wait(WAIT)),
            (Closing::Portal(text()), Verdict::Wait(WAIT)),
        ] {
            for stage in STAGES {
                assert_eq!(classify(&closing, stage), expected, "{closing:?}");
            }
        }
    }

    #[test]
    fn who_shows_a_token_gets_a_new_one_where_a_key_would_be_refused() {
        for stage in STAGES.map(|stage| Stage { has_token: true, ..stage }) {
            for reason in
                ["Request had invalid authentication credentials", "API key not valid", "unregistered callers"]
            {
                assert_eq!(classify(&Closing::Frame { code: 1008, reason: reason.into() }, stage), Renew, "{reason}");
            }
            assert_eq!(classify(&Closing::Http(401), stage), Renew);
            assert_eq!(classify(&Closing::Http(503), stage), Retry);
        }
    }

    #[test]
    fn a_refusal_ends_with_a_code_for_the_one_who_must_act() {
        assert_eq!(Refusal::Key(String::new()).exit_code(), 77);
        for refusal in [Refusal::Model, Refusal::Setup, Refusal::Address, Refusal::Region] {
            assert_eq!(refusal(String::new()).exit_code(), 78);
        }
    }
}
