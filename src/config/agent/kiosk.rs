//! `[kiosk]`: when a visitor is gone, and what is shown until the next one comes.
//!
//! Where visits end by themselves nothing of a conversation is kept over a restart, whatever `[session] keep` says.

use std::time::Duration;

use super::super::board::line_name;
use super::super::key::{Key, Need, Text, Whole, one_line};
use super::super::read::{Reader, Section, Sheet};

/// `[kiosk]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kiosk {
    /// Idle for so long, everything of the visit is forgotten; never where absent.
    pub reset_after: Option<Duration>,
    /// The board profile's name of an input line that is active while somebody is there.
    pub presence: Option<String>,
    /// That line quiet for so long, everything of the visit is forgotten.
    pub absent_after: Duration,
    /// What the kiosk's screen says while nobody is there.
    pub idle_text: String,
}

impl Kiosk {
    /// Whether visits end by themselves.
    pub fn is_on(&self) -> bool {
        self.reset_after.is_some() || self.presence.is_some()
    }
}

const RESET_AFTER_S: Key<Whole> = Key {
    name: "reset_after_s",
    kind: Whole { unit: "s", min: 0, max: 3600, step: 1, default: 0 }, // an owner's own device must not forget by itself
    need: Need::Defaults,
    doc: "Idle for so long, conversation, captions and pictures are forgotten, for the next visitor; 0 for never.",
};
const PRESENCE: Key<Text> = Key {
    name: "presence",
    kind: Text { what: "the name of one of the board's input lines", chars_max: 32, check: line_name, default: "" },
    need: Need::Optional,
    doc: "Input line that is active while somebody is there; without it only the idle time counts.",
};
const ABSENT_AFTER_S: Key<Whole> = Key {
    name: "absent_after_s",
    kind: Whole { unit: "s", min: 1, max: 600, step: 1, default: 10 }, // who steps aside for a moment is still there
    need: Need::Defaults,
    doc: "`presence` quiet for so long, the visitor is gone.",
};
const IDLE_TEXT: Key<Text> = Key {
    name: "idle_text",
    kind: Text { what: "a short text", chars_max: 200, check: one_line, default: "Press the button and ask." },
    need: Need::Defaults,
    doc: "What the kiosk's screen says while nobody is there.",
};

/// `[kiosk]`.
pub const KIOSK: Sheet =
    Sheet { name: "kiosk", keys: &[&RESET_AFTER_S, &PRESENCE, &ABSENT_AFTER_S, &IDLE_TEXT], tables: &[] };

/// `[kiosk]` of the file; visits end only where there is a panel.
pub(super) fn kiosk(reader: &mut Reader<'_>, top: &Section<'_>, has_panel: bool) -> Kiosk {
    let at = reader.inner(top, KIOSK.name, &KIOSK);
    let seconds = |s: u32| Duration::from_secs(s.into());
    let kiosk = Kiosk {
        reset_after: Some(reader.get(&at, &RESET_AFTER_S)).filter(|s| *s > 0).map(seconds),
        presence: reader.find(&at, &PRESENCE),
        absent_after: seconds(reader.get(&at, &ABSENT_AFTER_S)),
        idle_text: reader.get(&at, &IDLE_TEXT),
    };
    if kiosk.is_on() && !has_panel {
        let key = if kiosk.reset_after.is_some() { RESET_AFTER_S.name } else { PRESENCE.name };
        reader.object(&at, key, "means nothing without a page: name an address with `listen` in [panel]".to_string());
    }
    kiosk
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::config::agent::{self, Keep};

    #[test]
    fn what_a_visitor_said_does_not_outlive_a_power_cut() {
        let keep = |kiosk: &str| {
            let text = format!("[session]\nkeep = \"handle\"\n[panel]\nlisten = \"127.0.0.1:1\"\n[kiosk]\n{kiosk}");
            agent::parse(&text, "test").unwrap().session.keep
        };
        assert_eq!(keep(""), Keep::Handle);
        assert_eq!(keep("reset_after_s = 60"), Keep::Nothing);
        assert_eq!(keep("presence = \"door_contact\""), Keep::Nothing);
    }
}
