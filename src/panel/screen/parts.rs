//! Which parts of the device work.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::flow::What;

/// Parts that are kept; a device has a dozen.
const PARTS_MAX: usize = 40;
/// Bytes of a sentence.
const TEXT_BYTES_MAX: usize = 500;
/// Shown from the beginning.
const FIRST: [&str; 3] = ["link", "mic", "speaker"];
/// Without these the device is out of order. Others tell of troubles that have no end of their own, or are no
/// reason to send somebody.
const VITAL: [&str; 5] = ["line", "link", "mic", "speaker", "state"];

/// One part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    part: String,
    is_ok: bool,
    text: String,
}

impl Part {
    fn sentence(&self) -> String {
        format!("{}: {}", self.part, self.text)
    }
}

/// All that were heard of.
#[derive(Debug)]
pub struct Parts(BTreeMap<String, Part>);

impl Default for Parts {
    fn default() -> Parts {
        let mut parts = Parts(BTreeMap::new());
        FIRST.iter().for_each(|part| parts.set(part, ""));
        parts
    }
}

impl Parts {
    /// Takes what happened.
    pub fn handle(&mut self, what: &What) {
        match what {
            What::Trouble { part, text } => self.set(part, text),
            What::Recovered { part } => self.set(part, ""),
            What::LinkReady { .. } | What::LinkClosed { .. } => self.set("link", ""),
            What::LinkDown { why } => self.set("link", why),
            // A loudspeaker that is heard works.
            What::ReplyHeard { .. } => self.set("speaker", ""),
            _ => {}
        }
    }

    /// All of them, by name.
    pub fn all(&self) -> Vec<&Part> {
        self.0.values().collect()
    }

    /// Sentences of what is out of order.
    pub fn out_of_order(&self) -> Vec<String> {
        let is_bad = |part: &&Part| !part.is_ok && VITAL.contains(&part.part.as_str());
        self.0.values().filter(is_bad).map(Part::sentence).collect()
    }

    /// Sentences of all that is in trouble, vital or not.
    pub fn troubles(&self) -> Vec<String> {
        self.0.values().filter(|part| !part.is_ok).map(Part::sentence).collect()
    }

    /// Whether this one works, as far as is known.
    pub fn is_well(&self, name: &str) -> bool {
        self.0.get(name).is_none_or(|part| part.is_ok)
    }

    /// Without a text it works.
    fn set(&mut self, name: &str, text: &str) {
        if !self.0.contains_key(name) && self.0.len() >= PARTS_MAX {
            return;
        }
        let text = text[..text.floor_char_boundary(TEXT_BYTES_MAX)].to_string();
        let part = Part { part: name.to_string(), is_ok: text.is_empty(), text };
        self.0.insert(name.to_string(), part);
    }
}
