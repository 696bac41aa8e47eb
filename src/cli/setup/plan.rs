//! What setup will change, from what there is and what is wished. Pure; a second time there is nothing to do.

use super::agent_file::{self, Changed};
use super::devices;
use super::diff;
use super::edit;
use super::facts::{AGENT, BOARD, BOARD_BEFORE, DEFAULTS, DEVICES_CONF, Facts, KEY_CONF, VARIABLE};
use super::key::{CONF_ENCRYPTED, CONF_NONE, CREDENTIAL, PLAIN, StoredKey};
use super::profile::{self, Named, Shaped};
use crate::cli::{exit, load};
use crate::config::agent::{Agent, ListenMode, endpoint};
use crate::config::board::{Board, GENERIC, TALK};
use crate::config::{check, locate};
use crate::hw::key::Key;

/// Rights of files that everybody may read.
const READABLE: u32 = 0o644;

/// What is wished; none leaves a thing as it is.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// The board profile to begin with.
    pub board: Option<Named>,
    /// The microphone, as a profile names it.
    pub mic: Option<String>,
    /// The loudspeaker.
    pub speaker: Option<String>,
    /// The button's line, or `none`.
    pub button: Option<String>,
    /// The line of what the model may switch, or `none`.
    pub lamp: Option<String>,
    /// The camera's source, or `none`.
    pub camera: Option<String>,
    /// The key.
    pub key: Option<Key>,
    /// The language to answer in.
    pub language: Option<String>,
    /// What opens the microphone, as the agent file names it.
    pub listen_mode: Option<String>,
    /// The service's address.
    pub endpoint: Option<String>,
    /// Leaves systemd alone.
    pub leaves_service: bool,
    /// Ends without the doctor.
    pub leaves_doctor: bool,
    /// Has the doctor play and record nothing.
    pub leaves_sound: bool,
    /// The image's folder, where it is one.
    pub image: Option<String>,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// Writes a file; the mode is that of a new one.
    Write {
        /// What the machine calls it.
        path: &'static str,
        /// All of it.
        text: String,
        /// Its rights.
        mode: u32,
    },
    /// Stores the key.
    StoreKey {
        /// The key.
        key: Key,
        /// Whether it is to be encrypted, where that works.
        encrypts: bool,
    },
    /// Runs `systemctl` with these arguments.
    Systemctl(Vec<String>),
}

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What is done.
    pub deed: Deed,
    /// The same for a person: a line, and more that belong to it.
    pub says: Vec<String>,
}

/// All of it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Files, and what systemd is told before anything is tried.
    pub steps: Vec<Step>,
    /// What starts the service, at the end.
    pub starts: Vec<Step>,
    /// What the owner should know, sentences.
    pub notes: Vec<String>,
    /// The board as it will be.
    pub shaped: Shaped,
    /// The agent as it will be.
    pub agent: Agent,
    /// Whether a service that runs is stopped for the doctor, and started again.
    pub is_stopped: bool,
    /// Whether the service holds the devices while the doctor would look at them.
    pub is_busy: bool,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.starts.is_empty()
    }

    /// Whether the service is started, or started anew.
    pub fn starts_service(&self) -> bool {
        let is_start = |word: &String| ["start", "restart", "--now"].contains(&word.as_str());
        let starts = |step: &Step| matches!(&step.deed, Deed::Systemctl(words) if words.iter().any(is_start));
        self.starts.iter().any(starts)
    }

    /// The plan for a person.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for step in self.steps.iter().chain(&self.starts) {
            for (place, line) in step.says.iter().enumerate() {
                text += &format!("{}{line}\n", if place == 0 { "  " } else { "      " });
            }
        }
        if self.is_empty() {
            text += "Everything is as you want it.\n";
        }
        self.notes.iter().for_each(|note| text += &format!("Note: {note}.\n"));
        text
    }
}

/// Works it out.
///
/// # Errors
/// Files that would be wrong, a board that must be named: with the exit code for it.
pub fn plan(facts: &Facts, wishes: &Wishes) -> anyhow::Result<Plan> {
    let base = profile::base(facts, wishes.board.as_ref()).map_err(exit::config)?;
    let shaped = profile::shape(facts, &base, wishes).map_err(exit::config)?;
    let Changed { text: agent_text, agent, changes, notes } = agent_file::changed(facts, wishes, &shaped.profile)?;
    let is_generic = base.builtin.as_deref() == Some(GENERIC);
    fits(&agent, &agent_text, &shaped.profile, is_generic)?;
    let mut steps = Vec::new();
    steps.extend(defaults(facts, &shaped.reference));
    steps.extend(board(facts, &base, &shaped));
    steps.extend(agent_step(facts, agent_text, changes));
    steps.extend(key_step(facts, wishes, &agent));
    steps.extend(devices_step(facts, &shaped.profile));
    let mut plan = Plan {
        steps,
        starts: Vec::new(),
        notes: [shaped.notes.clone(), notes].concat(),
        shaped,
        agent,
        is_stopped: false,
        is_busy: false,
    };
    service(facts, wishes, &mut plan);
    Ok(plan)
}

fn write(path: &'static str, old: Option<&String>, text: String, says: Vec<String>) -> Option<Step> {
    if old == Some(&text) {
        return None;
    }
    Some(Step { deed: Deed::Write { path, text, mode: READABLE }, says })
}

fn defaults(facts: &Facts, reference: &str) -> Option<Step> {
    let now = facts.board_now();
    if now == Some(reference) {
        return None;
    }
    let text = edit::with_variable(facts.defaults.as_deref().unwrap_or_default(), VARIABLE, reference);
    let new = if facts.defaults.is_some() { "" } else { " (new file, readable by all)" };
    let says = vec![format!("{DEFAULTS}: {VARIABLE} {} → {reference}{new}", now.unwrap_or("not set"))];
    write(DEFAULTS, facts.defaults.as_ref(), text, says)
}

fn board(facts: &Facts, base: &profile::Base, shaped: &Shaped) -> Option<Step> {
    let text = shaped.own.clone()?;
    let what = match (&base.builtin, shaped.differs.as_slice()) {
        (_, []) => "the profile that you named".to_string(),
        (Some(name), differs) => format!("the profile {name} with {}", differs.join(", ")),
        (None, differs) => differs.join(", "),
    };
    let says = match &facts.board {
        None => vec![format!("{BOARD}: {what} (new file, readable by all)")],
        Some(old) => {
            let kept = format!("what was there is kept as {BOARD_BEFORE}");
            std::iter::once(format!("{BOARD}: {what}; {kept}")).chain(diff::changed(old, &text)).collect()
        }
    };
    write(BOARD, facts.board.as_ref(), text, says)
}

fn fits(agent: &Agent, text: &str, profile: &Board, is_generic: bool) -> anyhow::Result<()> {
    let mut problems = check(agent, profile);
    if problems.is_empty() {
        return Ok(());
    }
    locate(&mut problems, text, AGENT);
    let error = load::refuse(&problems);
    let needs_mode = agent.listen.mode == ListenMode::PushToTalk && !profile.lines.contains_key(TALK);
    let why =
        if is_generic { "\nThe lines of `generic` are examples, and none is taken that you did not name." } else { "" };
    let hint = "Say --listen-mode hands_free where there is no button, or name its line with --button";
    Err(if needs_mode { exit::config(format!("{error}{why}\n{hint}")) } else { error })
}

fn agent_step(facts: &Facts, text: String, changes: Vec<String>) -> Option<Step> {
    let says = match &facts.agent {
        None => {
            let with = if changes.is_empty() { String::new() } else { format!(" with {}", changes.join(", ")) };
            vec![
                format!("{AGENT}: every key at its default, explained,{with} (new file, readable by all)")
                    .replace(", (", " ("),
            ]
        }
        Some(_) => vec![format!("{AGENT}: {}", changes.join(", "))],
    };
    write(AGENT, facts.agent.as_ref(), text, says)
}

/// Whether the service wants a key of this machine, and has none in the file of its environment.
fn needs_key(facts: &Facts, agent: &Agent) -> bool {
    let environment = facts.defaults.as_deref().and_then(|text| edit::variable(text, "GEMINI_API_KEY"));
    if environment.is_some_and(|key| !key.is_empty()) {
        return false;
    }
    let is_here = endpoint::parse(&agent.endpoint).is_ok_and(|endpoint| endpoint.is_here);
    agent.token_url.is_none() && agent.key_file.is_none() && !is_here
}

fn key_step(facts: &Facts, wishes: &Wishes, agent: &Agent) -> Option<Step> {
    let conf = facts.key_conf.as_deref();
    // One that was put there after it had been said that none is needed, or whose storing was cut short.
    let is_cut_short = conf.is_none() && matches!(facts.stored_key, StoredKey::Encrypted(_));
    let unsaid = || facts.stored_key.key().filter(|_| conf == Some(CONF_NONE) || is_cut_short);
    let Some(key) = wishes.key.as_ref().or_else(unsaid) else {
        let is_ours = conf.is_none_or(|conf| conf == CONF_ENCRYPTED);
        if needs_key(facts, agent) || facts.stored_key != StoredKey::Absent || !is_ours {
            return None;
        }
        let says = vec![format!("{KEY_CONF}: the service starts without a key (new file, readable by all)")];
        return write(KEY_CONF, None, CONF_NONE.to_string(), says);
    };
    let is_told = match facts.stored_key {
        StoredKey::Encrypted(_) => conf == Some(CONF_ENCRYPTED),
        _ => conf.is_none(),
    };
    // One that is stored plainly stays so: where encrypting failed once it would be tried again each time.
    if facts.stored_key.key() == Some(key) && is_told {
        return None;
    }
    let encrypts = facts.has_creds;
    let says = if encrypts {
        vec![
            format!("{CREDENTIAL}: the API key, encrypted for this machine (systemd-creds), for root only, mode 0600"),
            format!("{KEY_CONF}: tells systemd so (readable by all)"),
            format!("Where systemd-creds does not work: {PLAIN}, for root only, mode 0600"),
        ]
    } else {
        vec![format!("{PLAIN}: the API key, for root only, mode 0600")]
    };
    Some(Step { deed: Deed::StoreKey { key: key.clone(), encrypts }, says })
}

/// Only where there is a service: everything else runs with its user's own rights.
fn devices_step(facts: &Facts, profile: &Board) -> Option<Step> {
    if !facts.service.is_there {
        return None;
    }
    let text = devices::conf(profile, facts.devices_conf.is_some())?;
    let says = vec![format!(
        "{DEVICES_CONF}: the devices that the service may use: {} (readable by all)",
        devices::words(profile)
    )];
    write(DEVICES_CONF, facts.devices_conf.as_ref(), text, says)
}

fn systemctl(arguments: &[&str]) -> Step {
    let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    Step { says: vec![format!("systemctl {}", arguments.join(" "))], deed: Deed::Systemctl(arguments) }
}

/// What systemd is told, and what is to be known about it.
fn service(facts: &Facts, wishes: &Wishes, plan: &mut Plan) {
    let service = facts.service;
    if service.is_outdated && plan.steps.is_empty() && !wishes.leaves_service {
        plan.notes.push("mynah runs with older files than there are now: it is started anew".to_string());
    }
    let is_changed = !plan.steps.is_empty() || service.is_outdated;
    let has_key = wishes.key.is_some() || facts.stored_key != StoredKey::Absent || !needs_key(facts, &plan.agent);
    if !has_key {
        let sentence = "there is no API key yet (they are made at aistudio.google.com), and nothing starts before there is \
                        one: `sudo mynah setup` asks for it, --key-file names a file that holds it";
        plan.notes.push(sentence.to_string());
    }
    if wishes.leaves_service {
        plan.is_busy = service.is_active;
        return;
    }
    if !service.is_there {
        plan.notes.push("there is no service `mynah` here to enable: the Debian package brings it".to_string());
        return;
    }
    if let Some(image) = &wishes.image {
        if !service.is_enabled {
            plan.starts.push(systemctl(&[&format!("--root={image}"), "enable", "mynah"]));
        }
        return;
    }
    if is_changed {
        plan.steps.push(systemctl(&["daemon-reload"]));
    }
    // It holds the devices that the doctor looks at.
    let is_stopped = service.is_active && is_changed && !wishes.leaves_doctor;
    plan.is_stopped = is_stopped;
    if is_stopped {
        plan.steps.push(systemctl(&["stop", "mynah"]));
    }
    plan.is_busy = service.is_active && !is_stopped;
    if service.is_failed && has_key {
        plan.steps.push(systemctl(&["reset-failed", "mynah"]));
    }
    let runs = service.is_active && !is_stopped;
    match (service.is_enabled, runs) {
        (false, false) if has_key => plan.starts.push(systemctl(&["enable", "--now", "mynah"])),
        (false, _) => plan.starts.push(systemctl(&["enable", "mynah"])),
        (true, false) if has_key => plan.starts.push(systemctl(&["start", "mynah"])),
        (true, _) => {}
    }
    if runs && is_changed {
        plan.starts.push(systemctl(&["restart", "mynah"]));
    }
}
