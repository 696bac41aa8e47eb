//! A configuration that was sent, beside what of the device's own file always holds.
//!
//! The broker, the fleet and the secrets stay the device's own: whatever is sent, the device can be reached again, and no
//! configuration names a file with a secret that the owner of the device did not name.

use toml::{Table, Value};

use crate::config::agent::{self, Agent};
use crate::config::board::Board;
use crate::config::{self, Problem};

/// What is always taken from the device's own file.
pub const KEPT: [&str; 4] = ["fleet", "mqtt", "secrets", "key_file"];
/// … and of `[panel]`: files with its password and the key of its certificate.
const KEPT_OF_PANEL: [&str; 3] = ["secret_file", "certificate", "key"];
/// Problems that are told of one configuration.
const PROBLEMS_MAX: usize = 3;

/// The text that is in force where `sent` is: its keys, and the device's own for those of [`KEPT`]. An empty one is the
/// device's own file.
///
/// # Errors
/// A sentence.
pub fn compose(own: &str, sent: &str) -> Result<String, String> {
    if sent.trim().is_empty() {
        return Ok(own.to_string());
    }
    let mut whole = table(sent).map_err(|why| format!("its text is not TOML: {why}"))?;
    let own = table(own).map_err(|_| "the device's own file is not TOML".to_string())?;
    for key in KEPT {
        whole.remove(key);
        if let Some(value) = own.get(key) {
            whole.insert(key.to_string(), value.clone());
        }
    }
    keep_files_of_panel(&mut whole, &own);
    toml::to_string(&whole).map_err(|_| "its text cannot be written as TOML".to_string())
}

/// Files of the panel are the device's own, where what is sent has a panel.
fn keep_files_of_panel(whole: &mut Table, own: &Table) {
    let Some(panel) = whole.get_mut("panel").and_then(Value::as_table_mut) else { return };
    let own = own.get("panel").and_then(Value::as_table);
    for key in KEPT_OF_PANEL {
        panel.remove(key);
        if let Some(value) = own.and_then(|own| own.get(key)) {
            panel.insert(key.to_string(), value.clone());
        }
    }
}

/// The agent that a composed text makes on this board.
///
/// # Errors
/// The checks' own sentences, a few of them.
pub fn check(text: &str, board: &Board) -> Result<Agent, String> {
    let agent = agent::parse(text, "").map_err(|problems| sentence(&problems))?;
    match config::check(&agent, board) {
        problems if problems.is_empty() => Ok(agent),
        problems => Err(sentence(&problems)),
    }
}

fn table(text: &str) -> Result<Table, String> {
    text.parse::<Table>().map_err(|why| why.message().to_string())
}

/// Lines are those of no file that anybody has.
fn sentence(problems: &[Problem]) -> String {
    let shown = problems.iter().take(PROBLEMS_MAX);
    let shown = shown.map(|problem| Problem { file: String::new(), line: 0, ..problem.clone() }.to_string());
    let shown = shown.collect::<Vec<_>>().join("; ");
    match problems.len().saturating_sub(PROBLEMS_MAX) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::board;

    const OWN: &str = "voice = \"Kore\"\nkey_file = \"/etc/mynah/key\"\n[mqtt]\nhost = \"ours\"\n[fleet]\nname = \"hall\"\n\
                       [secrets]\nlamp = \"/etc/mynah/lamp\"\n[listen]\nonset_ms = 90\n";

    fn board() -> Board {
        board::parse(board::builtin("sim").unwrap(), "board/sim.toml", "sim").unwrap()
    }

    fn agent(sent: &str) -> Result<Agent, String> {
        check(&compose(OWN, sent)?, &board())
    }

    #[test]
    fn what_is_sent_takes_the_files_place_but_for_what_the_device_keeps() {
        let sent = "voice = \"Puck\"\nkey_file = \"/tmp/theirs\"\n[mqtt]\nhost = \"theirs\"\nport = 1\n[secrets]\nx = \"/tmp/x\"\n\
                    [[tools]]\nname = \"lamp\"\ndescription = \"A lamp.\"\naction = { mqtt = \"read\", state_topic = \"lamp\" }\n";
        let agent = agent(sent).unwrap();
        assert_eq!((agent.voice.as_deref(), agent.tools.len()), (Some("Puck"), 1));
        assert_eq!(agent.listen.onset_ms, Agent::default().listen.onset_ms, "nothing else of the own file is left");
        assert_eq!(agent.key_file, Some("/etc/mynah/key".into()));
        let mqtt = agent.mqtt.unwrap();
        assert_eq!((mqtt.host.as_str(), mqtt.port), ("ours", 1883));
        assert_eq!(agent.fleet.unwrap().name.as_deref(), Some("hall"));
        assert_eq!(agent.secrets.keys().collect::<Vec<_>>(), ["lamp"]);
    }

    #[test]
    fn files_of_the_panel_are_the_devices_own() {
        let own = "[panel]\nlisten = \"127.0.0.1:1\"\nsecret_file = \"/etc/mynah/password\"\n";
        let sent = "[panel]\nlisten = \"0.0.0.0:2\"\nsecret_file = \"/etc/hostname\"\nkey = \"/etc/mynah/key\"\n";
        let whole: Table = compose(own, sent).unwrap().parse().unwrap();
        let panel = whole["panel"].as_table().unwrap();
        let file = Value::String("/etc/mynah/password".into());
        assert_eq!(
            (panel["listen"].as_str(), panel.get("secret_file"), panel.get("key")),
            (Some("0.0.0.0:2"), Some(&file), None)
        );
    }

    #[test]
    fn nothing_sent_is_the_devices_own_file() {
        assert_eq!(compose(OWN, " \n").unwrap(), OWN);
    }

    #[test]
    fn what_does_not_fit_this_device_is_refused_with_the_checks_sentence() {
        for (sent, part) in [
            ("voice = ", "not TOML"),
            ("[listen]\nonset_ms = 1\n", "`listen.onset_ms` is 1; it must be"),
            ("vioce = \"Puck\"\n", "did you mean `voice`?"),
            ("[see]\nmode = \"on_request\"\n[[tools]]\nname = \"x\"\n", "`tools[0].description` is missing"),
            (
                "[[tools]]\nname = \"x\"\ndescription = \"X.\"\naction = { gpio = \"read\", line = \"nowhere\" }\n",
                "nowhere",
            ),
        ] {
            let why = agent(sent).unwrap_err();
            assert!(why.contains(part), "{sent}: {why}");
        }
        let many = (0..9).map(|index| format!("x{index} = 1\n")).collect::<String>();
        assert!(agent(&many).unwrap_err().ends_with("; and 6 more"));
    }
}
