//! What a person may change at the page: a few keys of the agent file, laid over it and read by its own checks.
//!
//! Two steps lead to a setting in force: what was chosen is laid over the owner's file key by key, and the whole is read
//! as if the owner had written it. A choice that does not fit is left out, so that a file that the owner changed, or an
//! older program, still starts.

use std::collections::BTreeMap;
use std::fmt;

use toml::de::{DeTable, DeValue};

use super::super::key::Entry;
use super::super::problem::Problem;
use super::super::several::json;
use super::super::{board::Board, check, locate};
use super::read;
use super::{Agent, panel};

/// All that may be changed, `section.key`. It is what somebody at the device gets wrong at worst to their own annoyance: no
/// program, file, host or address, no tool, no camera, not who may come in. The loudness is not
/// among them: the page has it at hand, and what a person set outlives a restart already.
pub const CHANGEABLE: [&str; 17] = [
    "voice",
    "language",
    "listen.mode",
    "listen.button",
    "listen.voice_barge_in",
    "listen.hangover_ms",
    "listen.follow_up_s",
    "gestures.tap_ends",
    "gestures.two_taps",
    "gestures.long_mutes",
    "gestures.very_long_resets",
    "echo.noise_suppression",
    "echo.gain_control",
    "wake.sensitivity_percent",
    "speak.cues",
    "speak.stay_awake_s",
    "session.idle_close_s",
];

/// The longest overlay file: every key with its longest value has less.
pub const OVERLAY_BYTES_MAX: usize = 16 * 1024;
/// Characters of a chosen text.
pub const TEXT_CHARS_MAX: usize = 64;

/// The key of [`CHANGEABLE`] that is written so.
pub fn changeable(key: &str) -> Option<&'static str> {
    CHANGEABLE.into_iter().find(|known| *known == key)
}

/// What a value may be where it is given at the page; none for a key that no sheet of the agent file has.
pub fn entry(key: &str) -> Option<Entry> {
    let (section, name) = key.rsplit_once('.').unwrap_or(("", key));
    read::keys().find(|(of, key)| *of == section && key.name() == name).map(|(_, key)| key.entry())
}

/// A value that was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// A word or a name.
    Text(String),
    /// A whole number.
    Whole(u32),
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Chosen::Text(text) => f.write_str(text),
            Chosen::Whole(number) => number.fmt(f),
        }
    }
}

/// What was chosen, by its key of [`CHANGEABLE`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overlay(BTreeMap<&'static str, Chosen>);

/// What came of laying an overlay over the owner's file.
#[derive(Debug)]
pub struct Laid {
    /// The agent, with all of the overlay that fits.
    pub agent: Agent,
    /// What of the overlay fits.
    pub in_force: Overlay,
    /// A sentence for each key that does not.
    pub left_out: Vec<String>,
}

impl Overlay {
    /// Reads the overlay's file. Answers it, and a sentence for everything in it that is none.
    pub fn read(text: &str) -> (Overlay, Vec<String>) {
        let (table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() || text.len() > OVERLAY_BYTES_MAX {
            return (Overlay::default(), vec!["it is not what the page writes".to_string()]);
        }
        let mut overlay = Overlay::default();
        let mut unknown = Vec::new();
        let mut take = |key: String, value: &DeValue<'_>| match (changeable(&key), chosen(value)) {
            (Some(key), Some(chosen)) => drop(overlay.0.insert(key, chosen)),
            (None, _) => unknown.push(format!("`{key}` is nothing that may be changed at the page")),
            (Some(key), None) => unknown.push(format!("`{key}` has no value that the page writes")),
        };
        for (section, value) in table.get_ref() {
            match value.get_ref() {
                DeValue::Table(keys) => {
                    keys.iter().for_each(|(key, value)| {
                        take(format!("{}.{}", section.get_ref(), key.get_ref()), value.get_ref());
                    });
                }
                value => take(section.get_ref().to_string(), value),
            }
        }
        (overlay, unknown)
    }

    /// The overlay's file.
    pub fn to_toml(&self) -> String {
        let value = |chosen: &Chosen| match chosen {
            // What JSON escapes in a text TOML reads in the same way.
            Chosen::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
            Chosen::Whole(number) => number.to_string(),
        };
        let lines = self.0.iter().map(|(key, chosen)| format!("{key} = {}\n", value(chosen)));
        let head = "# Chosen at the page ([panel] allow = [\"settings\"]); laid over the agent file at the start.\n";
        std::iter::once(head.to_string()).chain(lines).collect()
    }

    /// What was chosen for this key.
    pub fn get(&self, key: &str) -> Option<&Chosen> {
        self.0.get(key)
    }

    /// All of it, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Chosen)> {
        self.0.iter().map(|(key, chosen)| (*key, chosen))
    }

    /// Whether nothing was chosen.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same with another value for this key; none for what the owner's file says.
    pub fn with(&self, key: &'static str, chosen: Option<Chosen>) -> Overlay {
        let mut other = self.clone();
        match chosen {
            Some(chosen) => other.0.insert(key, chosen),
            None => other.0.remove(key),
        };
        other
    }

    /// Lays it over the owner's file, as far as it fits that and the board. Where the owner does not allow settings to
    /// be changed at the page, nothing of it is in force.
    ///
    /// # Errors
    /// What is wrong with the owner's file by itself.
    pub fn over(&self, text: &str, file: &str, profile: &Board) -> Result<Laid, Vec<Problem>> {
        let agent = fitting(text, file, &Overlay::default(), profile)?;
        let mut laid = Laid { agent, in_force: Overlay::default(), left_out: Vec::new() };
        if !is_allowed(&laid.agent) || self.is_empty() {
            return Ok(laid);
        }
        if let Ok(agent) = fitting(text, "", self, profile) {
            return Ok(Laid { agent, in_force: self.clone(), left_out: Vec::new() });
        }
        for (key, chosen) in self.iter() {
            let more = laid.in_force.with(key, Some(chosen.clone()));
            match fitting(text, "", &more, profile) {
                Ok(agent) => (laid.agent, laid.in_force) = (agent, more),
                Err(problems) => laid.left_out.push(sentence(key, &problems)),
            }
        }
        Ok(laid)
    }

    /// Whether all of it fits.
    ///
    /// # Errors
    /// The check's own sentence.
    pub fn check(&self, text: &str, profile: &Board, key: &str) -> Result<(), String> {
        fitting(text, "", self, profile).map(drop).map_err(|problems| sentence(key, &problems))
    }
}

/// Whether the owner lets people change settings at the page.
pub fn is_allowed(agent: &Agent) -> bool {
    agent.panel.as_ref().is_some_and(|panel| panel.allow.iter().any(|allowed| allowed == panel::SETTINGS))
}

/// The agent that the owner's file and the overlay make, where both are right and fit the board.
fn fitting(text: &str, file: &str, overlay: &Overlay, profile: &Board) -> Result<Agent, Vec<Problem>> {
    let over = overlay.to_toml();
    let agent = read::parse_under(text, file, &over)?;
    let mut problems = check(&agent, profile);
    if problems.is_empty() {
        return Ok(agent);
    }
    locate(&mut problems, text, file);
    Err(problems)
}

/// The one of these problems that says most of this key.
fn sentence(key: &str, problems: &[Problem]) -> String {
    let own = problems.iter().find(|problem| problem.key == key).or(problems.first());
    // Lines of the owner's file say nothing at the page.
    let own = own.map(|problem| Problem { file: String::new(), ..problem.clone() });
    own.map_or_else(|| format!("`{key}` does not fit"), |problem| problem.to_string())
}

/// Lays one table over another.
pub(super) fn lay<'t>(under: &mut DeTable<'t>, over: DeTable<'t>) {
    for (key, value) in over {
        let name = key.get_ref().clone();
        match (under.get_mut(name.as_ref()).map(toml::Spanned::get_mut), value.get_ref()) {
            (Some(DeValue::Table(under)), DeValue::Table(_)) => {
                if let DeValue::Table(over) = value.into_inner() {
                    lay(under, over);
                }
            }
            _ => drop(under.insert(key, value)),
        }
    }
}

fn chosen(value: &DeValue<'_>) -> Option<Chosen> {
    match json(value) {
        serde_json::Value::String(text) => name(&text).map(Chosen::Text),
        serde_json::Value::Number(number) => {
            number.as_u64().and_then(|number| number.try_into().ok()).map(Chosen::Whole)
        }
        _ => None,
    }
}

/// A text that may be chosen: it may go into the model's instruction, so it is a name and no sentence.
pub fn name(text: &str) -> Option<String> {
    let text = text.trim();
    let is_name = text.chars().count() <= TEXT_CHARS_MAX
        && text.chars().all(|letter| letter.is_alphanumeric() || " -_()".contains(letter));
    is_name.then(|| text.to_string())
}

#[cfg(test)]
#[path = "overlay_tests.rs"]
mod tests;
