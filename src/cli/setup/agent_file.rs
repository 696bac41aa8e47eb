//! The agent file: the few keys that setup asks for, and the lamp's tool. Pure.

use super::edit::{assign, comment_out, quoted, take_out};
use super::facts::{AGENT, Facts};
use super::plan::Wishes;
use super::profile::{self, LAMP, NONE};
use crate::cli::{exit, load};
use crate::config::agent::{self, Action, Agent, ListenMode};
use crate::config::board::Board;

/// The agent file where there is none: each key with its default, explained.
const AGENT_NEW: &str = include_str!("../../../systemd/mynah.toml");

/// Where the wake word is to be, where the owner names no other place: the service's own folder.
const WORD_FILE: &str = "/var/lib/mynah/wake.toml";

/// The agent file as it will be.
#[derive(Clone, Debug)]
pub struct Changed {
    /// All of it.
    pub text: String,
    /// What it says.
    pub agent: Agent,
    /// What is changed: `language not set → German`.
    pub changes: Vec<String>,
    /// What the owner should know, sentences.
    pub notes: Vec<String>,
}

/// What the agent file says.
///
/// # Errors
/// With the exit code of a wrong file.
pub fn read(text: &str) -> anyhow::Result<Agent> {
    agent::parse(text, AGENT).map_err(|problems| load::refuse(&problems))
}

/// The agent file's text, what it says, and what is changed of it.
///
/// # Errors
/// A file that is wrong, or written in a way that is not changed by itself: a sentence.
pub fn changed(facts: &Facts, wishes: &Wishes, profile: &Board) -> anyhow::Result<Changed> {
    let mut text = facts.agent.clone().unwrap_or_else(|| AGENT_NEW.to_string());
    let was = read(&text)?;
    let mode = match was.listen.mode {
        ListenMode::PushToTalk => "push_to_talk",
        ListenMode::HandsFree => "hands_free",
        ListenMode::WakeWord => "wake_word",
    };
    let mut changes = Vec::new();
    for (section, key, wish, now) in [
        ("", "language", &wishes.language, was.language.as_deref().unwrap_or("not set")),
        ("", "endpoint", &wishes.endpoint, was.endpoint.as_str()),
        ("listen", "mode", &wishes.listen_mode, mode),
    ] {
        // Without a language it answers in the one that is spoken to it.
        let is_taken_out = key == "language" && wish.as_deref() == Some(NONE);
        let wish = if is_taken_out { Some("not set") } else { wish.as_deref() };
        if let Some(wish) = wish.filter(|wish| *wish != now) {
            let changed = match is_taken_out {
                true => take_out(&text, section, key),
                false => assign(&text, section, key, &quoted(wish)),
            };
            text = changed.map_err(|why| exit::config(format!("{AGENT}: {why}")))?;
            let key = if section.is_empty() { key.to_string() } else { format!("{section}.{key}") };
            changes.push(format!("{key} {} → {}", short(now), short(wish)));
        }
    }
    if wishes.listen_mode.as_deref() == Some("wake_word") && was.wake.word_file.is_none() {
        let changed = assign(&text, "wake", "word_file", &quoted(WORD_FILE));
        text = changed.map_err(|why| exit::config(format!("{AGENT}: {why}")))?;
        changes.push(format!("wake.word_file not set → {WORD_FILE}"));
    }
    let mut notes = Vec::new();
    // The shipped file has a tool for a lamp, and not every board has one.
    let tool = was.tools.iter().position(is_lamps);
    match (tool, profile.lines.contains_key(LAMP)) {
        (Some(index), false) => {
            text = comment_out(&text, "tools", index).map_err(|why| exit::config(format!("{AGENT}: {why}")))?;
            changes.push(format!("no tool `{}`, since there is no lamp", was.tools[index].name));
        }
        (None, true) if !had_lamp(facts) => match with_lamps_tool(&text, was.tools.len()) {
            Some((new, name)) => {
                text = new;
                changes.push(format!("the tool `{name}` again, since there is a lamp now"));
            }
            None => notes.push(format!(
                "there is a lamp now, and no tool of {AGENT} switches it: take away the `# ` before the lines of the lamp's \
                 [[tools]] there, or write one with action = {{ gpio = \"set\", line = \"{LAMP}\", argument = \"on\" }}"
            )),
        },
        _ => {}
    }
    let agent = read(&text)?;
    Ok(Changed { text, agent, changes, notes })
}

/// Whether it switches the lamp.
fn is_lamps(tool: &agent::Tool) -> bool {
    matches!(&tool.action, Action::GpioSet { line, .. } if line == LAMP)
}

/// Whether the board that is set has a lamp, or none is set: then whoever left the tool out did not do it for want of one.
fn had_lamp(facts: &Facts) -> bool {
    let set = profile::base(facts, None).ok().filter(|_| facts.board_now().is_some());
    set.is_none_or(|base| base.profile.lines.contains_key(LAMP))
}

/// The text with the tool that an earlier setup made a comment, word by word as it was shipped, and the tool's name; none where
/// it is not there so.
fn with_lamps_tool(text: &str, tools: usize) -> Option<(String, String)> {
    // With its policy: where the owner had written one, the tool must not come back without it.
    let until_examples = |text: &str, head: &str| {
        let tool = text[text.find(head)?..].split("\n# Two more kinds").next();
        tool.map(str::to_string)
    };
    let shipped = until_examples(AGENT_NEW, "[[tools]]\nname = ")?;
    let gone = comment_out(AGENT_NEW, "tools", 0).ok()?;
    let comment = until_examples(&gone, "# [[tools]]\n# name = \"switch_lamp\"")?;
    if text.matches(&comment).count() != 1 {
        return None;
    }
    let new = text.replace(&comment, &shipped);
    let agent = read(&new).ok().filter(|agent| agent.tools.len() == tools + 1)?;
    let name = agent.tools.iter().find(|tool| is_lamps(tool))?.name.clone();
    Some((new, name))
}

/// An address without its path.
fn short(value: &str) -> String {
    match value.split_once("://").and_then(|(kind, rest)| Some((kind, rest.split_once('/')?.0))) {
        Some((kind, host)) => format!("{kind}://{host}/…"),
        None => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::board;

    const LAMPLESS: &str = "description = \"x\"\ndriver = \"gpio\"\n[capture]\npcm = \"default\"\n[playback]\npcm = \"default\"\n[lines.talk]\ndirection = \"input\"\nline = \"GPIO17\"\n";

    fn profile(text: &str) -> Board {
        board::parse(text, "test", "test").unwrap()
    }

    /// A machine with such a profile and agent file.
    fn facts(board: &str, agent: &str) -> Facts {
        Facts {
            defaults: Some("MYNAH_BOARD=/etc/mynah/board.toml\n".to_string()),
            board: Some(board.to_string()),
            agent: Some(agent.to_string()),
            ..Facts::default()
        }
    }

    #[test]
    fn a_language_may_be_taken_back() {
        let said = |agent: &str, language: &str| {
            let wishes = Wishes { language: Some(language.to_string()), ..Wishes::default() };
            let changed = changed(&facts(LAMPLESS, agent), &wishes, &profile(LAMPLESS)).unwrap();
            (changed.text, changed.changes.join(", "))
        };
        let (german, _) = said("voice = \"Kore\"\n", "German");
        let none = ("voice = \"Kore\"\n".to_string(), "language German → not set".to_string());
        assert_eq!(said(&german, NONE), none);
        assert_eq!(said(&none.0, NONE), (none.0.clone(), String::new()));
    }

    #[test]
    fn who_chooses_a_wake_word_gets_a_place_for_it() {
        let wishes = Wishes { listen_mode: Some("wake_word".to_string()), ..Wishes::default() };
        let place = |agent: &str| {
            let agent = changed(&facts(LAMPLESS, agent), &wishes, &profile(LAMPLESS)).unwrap().agent;
            agent.wake.word_file.unwrap().display().to_string()
        };
        assert_eq!(place(""), WORD_FILE);
        assert_eq!(place(AGENT_NEW), WORD_FILE);
        assert_eq!(place("[wake]\nword_file = \"/srv/w.toml\"\n"), "/srv/w.toml");
        let unasked = changed(&facts(LAMPLESS, ""), &Wishes::default(), &profile(LAMPLESS)).unwrap();
        assert_eq!(unasked.agent.wake.word_file, None);
    }

    #[test]
    fn a_lamps_tool_goes_and_comes_with_the_lamp() {
        let with_lamp = format!("{LAMPLESS}[lines.lamp]\ndirection = \"output\"\nline = \"GPIO22\"\n");
        let without = facts(LAMPLESS, AGENT_NEW);
        let gone = changed(&without, &Wishes::default(), &profile(LAMPLESS)).unwrap();
        assert!(
            gone.agent.tools.is_empty() && gone.changes[0].starts_with("no tool `switch_lamp`"),
            "{:?}",
            gone.changes
        );
        let back = changed(&facts(LAMPLESS, &gone.text), &Wishes::default(), &profile(&with_lamp)).unwrap();
        assert_eq!((back.text.as_str(), back.notes.len()), (AGENT_NEW, 0), "what setup took it gives back");
        assert_eq!(back.changes, ["the tool `switch_lamp` again, since there is a lamp now"]);
        // Who has a lamp and no tool wants it so.
        let own = changed(&facts(&with_lamp, &gone.text), &Wishes::default(), &profile(&with_lamp)).unwrap();
        assert_eq!((own.text.as_str(), own.changes.len(), own.notes.len()), (gone.text.as_str(), 0, 0));
        let policy = gone.text.replace("# confirm = \"off\"", "# confirm = \"button\"");
        let guarded = changed(&facts(LAMPLESS, &policy), &Wishes::default(), &profile(&with_lamp)).unwrap();
        assert_eq!((guarded.text, guarded.notes.len()), (policy, 1), "a tool does not come back without its policy");
        // A comment in other words is its owner's.
        let other = gone.text.replace("Switches the lamp on or off. Call", "Lamp. Call");
        let noted = changed(&facts(LAMPLESS, &other), &Wishes::default(), &profile(&with_lamp)).unwrap();
        assert_eq!((noted.text.as_str(), noted.changes.len()), (other.as_str(), 0));
        assert!(noted.notes[0].contains("no tool of /etc/mynah/mynah.toml switches it"), "{:?}", noted.notes);
    }
}
