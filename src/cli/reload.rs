//! SIGHUP: the files are read anew. What can change within a conversation changes; of the rest it is said that it needs a
//! restart, and why nothing changes where a file is wrong.

use std::sync::Arc;

use toml::Value;

use super::load;
use crate::config::agent::Agent;
use crate::config::board::Board;
use crate::daemon::Controls;
use crate::flow::Control;
use crate::hw::fleet::Desk;
use crate::hw::folder::Folder;
use crate::hw::settings::Settings;

/// Keys named in one sentence; of more it is said how many.
const NAMED_MAX: usize = 8;

/// What of the agent file is in force as soon as it is read: by their place in the file.
const AT_ONCE: [&str; 3] = ["voice", "language", "speak.volume_percent"];

/// The files of a running daemon, as they were read.
pub struct Files {
    setting: load::Setting,
    state: Option<Arc<Folder>>,
    agent: Agent,
    /// The agent file with which it started.
    started: String,
    profile: Board,
    /// Whether the fleet's configuration is in force and not the agent file.
    is_fleets: bool,
}

impl Files {
    /// What the daemon was started with; `state` is where what was chosen at the page is kept, `fleet` where the fleet's
    /// configurations are.
    pub fn new(
        setting: &load::Setting,
        state: Option<Arc<Folder>>,
        agent: &Agent,
        profile: &Board,
        settings: &Settings,
        fleet: Option<&Desk>,
    ) -> Files {
        let is_fleets = fleet.is_some_and(|desk| !desk.is_own());
        let started = settings.owned().text.clone();
        Files { setting: setting.clone(), state, agent: agent.clone(), started, profile: profile.clone(), is_fleets }
    }

    /// Reads them anew, puts in force what can be, and says what cannot. Wrong files change nothing.
    ///
    /// Answers what only a restart puts in force, empty where nothing is; none where nothing of the files was taken.
    pub fn reload(&mut self, controls: &Controls) -> Option<String> {
        if self.is_fleets {
            tracing::warn!(
                "the files are not read anew: the fleet's configuration is in force, not this device's agent file"
            );
            return None;
        }
        let Files { setting, state, .. } = &self;
        let (is, profile, settings) = match load::anew(setting.config_path(), &setting.board, state.clone()) {
            Ok(read) => read,
            Err(why) => {
                tracing::error!("the files were read anew, and nothing of them is taken: {why:#}");
                return None;
            }
        };
        let change = change(&self.agent, &is, &self.started, &settings.owned().text, profile != self.profile);
        let is_given = change.controls.iter().all(|control| controls.give(control.clone()));
        if is_given {
            self.agent = is;
        }
        let (done, due) = (done(&change, is_given), words(&change.due));
        match due.as_str() {
            "" => tracing::info!("the files were read anew: {done}"),
            due => tracing::warn!("the files were read anew: {done}; in force after `systemctl restart mynah`: {due}"),
        }
        Some(due)
    }
}

/// What a reload comes to.
#[derive(Debug, PartialEq)]
pub struct Change {
    /// What the core is given, which puts it in force without an end of the conversation.
    pub controls: Vec<Control>,
    /// Keys and sections of the agent file that only a restart puts in force.
    pub due: Vec<String>,
}

/// What is different between the agent as it was read last and as it is now; `started` and `text` are the agent file then
/// and now, `is_board_changed` whether the board's profile is another one.
pub fn change(was: &Agent, is: &Agent, started: &str, text: &str, is_board_changed: bool) -> Change {
    let mut controls = Vec::new();
    if (&was.voice, &was.language) != (&is.voice, &is.language) {
        let name = |name: &Option<String>| Some(name.as_deref().unwrap_or_default().into());
        controls.push(Control::Voice { voice: name(&is.voice), language: name(&is.language) });
    }
    if was.speak.volume_percent != is.speak.volume_percent {
        controls.push(Control::Volume(is.speak.volume_percent));
    }
    let mut due = changed(started, text);
    due.retain(|key| !AT_ONCE.contains(&key.as_str()));
    if is_board_changed {
        due.push("the board's profile".into());
    }
    Change { controls, due }
}

/// What was put in force, in words; `is_given` whether the core took it.
fn done(change: &Change, is_given: bool) -> &'static str {
    match (change.controls.is_empty(), is_given) {
        (true, _) if change.due.is_empty() => "nothing in them has changed",
        (true, _) => "nothing of it changes at once",
        (false, true) => "volume is in force, voice and language are from the next conversation on",
        (false, false) => "too much is asked of the device just now; reload it once more",
    }
}

/// What needs a restart, in a sentence's end; empty where nothing does.
pub fn words(due: &[String]) -> String {
    let named = due.iter().take(NAMED_MAX).map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
    match due.len().checked_sub(NAMED_MAX) {
        Some(more @ 1..) => format!("{named} and {more} more"),
        _ => named,
    }
}

/// The keys that are not the same in both texts, in the order of their names; values are not told, some are secrets.
fn changed(was: &str, is: &str) -> Vec<String> {
    let parse = |text: &str| text.parse::<toml::Table>().unwrap_or_default();
    let mut keys = Vec::new();
    differ("", Some(&Value::Table(parse(was))), Some(&Value::Table(parse(is))), &mut keys);
    keys
}

fn differ(place: &str, was: Option<&Value>, is: Option<&Value>, keys: &mut Vec<String>) {
    if was == is {
        return;
    }
    let empty = toml::Table::new();
    let table = |value: Option<&'_ Value>| value.and_then(Value::as_table).cloned();
    // Sections within sections are somebody's own lists (tools, entities): their name is enough.
    if place.contains('.') || (table(was).is_none() && table(is).is_none()) {
        keys.push(place.to_string());
        return;
    }
    let (was, is) = (table(was).unwrap_or(empty.clone()), table(is).unwrap_or(empty));
    let mut names: Vec<&String> = was.keys().chain(is.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let place = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
        differ(&place, was.get(name), is.get(name), keys);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::agent;

    const BEFORE: &str = "voice = \"Kore\"\n[listen]\nmode = \"push_to_talk\"\n[speak]\nvolume_percent = 60\n";

    fn reloaded(text: &str) -> Change {
        let parse = |text: &str| agent::parse(text, "test").unwrap();
        change(&parse(BEFORE), &parse(text), BEFORE, text, false)
    }

    #[test]
    fn what_can_change_changes_and_the_rest_is_named() {
        assert_eq!(reloaded(BEFORE), Change { controls: vec![], due: vec![] });
        assert_eq!(reloaded(&format!("# a comment\n{BEFORE}")), Change { controls: vec![], due: vec![] });
        let louder = reloaded(&BEFORE.replace("60", "80"));
        assert_eq!(louder, Change { controls: vec![Control::Volume(80)], due: vec![] });
        let spoken = reloaded(&BEFORE.replace("voice = \"Kore\"", "language = \"German\""));
        let voice = Control::Voice { voice: Some("".into()), language: Some("German".into()) };
        assert_eq!(spoken, Change { controls: vec![voice], due: vec![] });
        let other = reloaded(
            &BEFORE.replace("push_to_talk", "hands_free").replace("[speak]", "[see]\nmode = \"off\"\n[speak]"),
        );
        assert_eq!(other, Change { controls: vec![], due: vec!["listen.mode".into(), "see.mode".into()] });
        assert_eq!(words(&other.due), "`listen.mode`, `see.mode`");
        assert_eq!(words(&vec!["a".to_string(); 11]), format!("{} and 3 more", ["`a`"; 8].join(", ")));
    }

    #[test]
    fn a_tool_is_named_by_its_section_and_a_secrets_value_is_not_told() {
        let tool = "[tools.lamp]\ndescription = \"Switches the lamp\"\n";
        assert_eq!(changed("", tool), ["tools.lamp"]);
        assert_eq!(changed("[mqtt]\npassword = \"one\"", "[mqtt]\npassword = \"two\""), ["mqtt.password"]);
        assert_eq!(changed("[mqtt]\nhost = \"a\"", ""), ["mqtt.host"]);
        assert_eq!(changed("", "not TOML ["), Vec::<String>::new());
    }
}
