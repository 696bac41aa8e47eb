//! Whatever a connection ends with: classified without a panic, a known phrase in the reason before all else.
//!
//! Two bytes of code, one that chooses a phrase, one that says where it stands, two for which of its letters are
//! large; the rest is the text around it.

use mynah::live::close::{Closing, Part, Refusal, Stage, Verdict, classify};

/// Codes that by themselves mean that a retry is worth it, and that the setup was wrong.
const OTHER_CODE: u16 = 4999;
const INVALID_CODE: u16 = 1007;

/// Whether a verdict is the phrase's.
type IsIts = fn(&Verdict) -> bool;

/// Phrases of the service and what they mean before the session is ready (live-protocol.md 7.1).
const PHRASES: [(&str, IsIts); 16] = [
    ("api key not valid", is_key),
    ("api key expired", is_key),
    ("unregistered callers", is_key),
    ("invalid authentication credentials", is_key),
    ("token expired", |v| *v == Verdict::Renew),
    ("user location is not supported", |v| matches!(v, Verdict::Refused(Refusal::Region(_)))),
    ("is not found for api version", is_model),
    ("not supported for bidigeneratecontent", is_model),
    ("session not found", |v| *v == Verdict::Without(Part::Handle)),
    ("no matching speaker voice", |v| *v == Verdict::Without(Part::Voice)),
    ("exceeded your current quota", |v| *v == Verdict::Pause),
    ("resource_exhausted", |v| *v == Verdict::Pause),
    ("invalid json payload", is_setup),
    ("unknown name", is_setup),
    ("requested entity was not found", is_model),
    ("internal error", |v| *v == Verdict::Retry),
];

fn is_key(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Refused(Refusal::Key(_)))
}

fn is_model(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Refused(Refusal::Model(_)))
}

fn is_setup(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Refused(Refusal::Setup(_)))
}

/// Tries one input.
pub fn run(bytes: &[u8]) {
    let [code_low, code_high, choice, place, large_low, large_high, text @ ..] = bytes else { return };
    let code = u16::from_le_bytes([*code_low, *code_high]);
    let text = String::from_utf8_lossy(text).into_owned();
    for closing in [
        Closing::Frame { code, reason: text.clone() },
        Closing::Http(code),
        Closing::Network(text.clone()),
        Closing::Certificate(text.clone()),
        Closing::Clock(text.clone()),
        Closing::Portal(text.clone()),
        Closing::Broker(text.clone()),
        Closing::Error(text.clone()),
    ] {
        for bits in 0..8u8 {
            let stage = Stage { was_ready: bits & 1 > 0, had_handle: bits & 2 > 0, has_token: bits & 4 > 0 };
            if let Verdict::Refused(refusal) = classify(&closing, stage) {
                assert!(!refusal.to_string().is_empty() && matches!(refusal.exit_code(), 77 | 78));
            }
        }
        assert!(!closing.to_string().is_empty() || text.is_empty());
    }

    // A text that means something by itself may speak before the phrase. One that means nothing leaves it to the code.
    let fresh = Stage { was_ready: false, had_handle: false, has_token: false };
    let frame = |code, reason: &str| classify(&Closing::Frame { code, reason: reason.into() }, fresh);
    let means_nothing = frame(OTHER_CODE, &text) == Verdict::Retry && is_setup(&frame(INVALID_CODE, &text));
    if !means_nothing {
        return;
    }
    let (phrase, is_its) = PHRASES[usize::from(*choice) % PHRASES.len()];
    let large = u32::from(u16::from_le_bytes([*large_low, *large_high]));
    let written: String = phrase
        .chars()
        .enumerate()
        .map(|(at, letter)| if large >> (at % 16) & 1 == 1 { letter.to_ascii_uppercase() } else { letter })
        .collect();
    let at = text.floor_char_boundary(usize::from(*place) * text.len() / 255);
    let reason = format!("{}{written}{}", &text[..at], &text[at..]);
    let verdict = frame(code, &reason);
    assert!(is_its(&verdict), "{code} {reason:?} gives {verdict:?}");
}
