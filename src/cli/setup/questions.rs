//! What is asked, one thing at a time; what flags have said is not asked again.

use super::agent_file;
use super::facts::Facts;
use super::person::{Choice, Person, agrees, ask, choose};
use super::plan::Wishes;
use super::profile::{self, Base, Fit, LAMP, NONE, Named};
use super::{named, trial};
use crate::config::agent::{self, Agent};
use crate::config::board::{self, GENERIC, LineDriver, TALK};
use crate::hw::cards::Way;
use crate::hw::key::Key;

/// Other devices are chosen so often at most.
const CHOICES_MAX: u32 = 5;

/// What the simulated board calls its sound.
const SIMULATED: &str = "sim";

/// What may be tried.
#[derive(Clone, Copy, Debug)]
pub struct Trials {
    /// Sound.
    pub sound: bool,
    /// Whether this is the machine with the devices.
    pub is_live: bool,
}

/// Asks for everything that is not wished yet. Answers whether the sound was tried, or somebody wanted no trial of it.
///
/// # Errors
/// The input ended; nothing was changed.
pub fn all(person: &mut dyn Person, facts: &Facts, wishes: &mut Wishes, trials: Trials) -> anyhow::Result<bool> {
    // A wrong file is told before anybody has answered anything in vain.
    let agent = facts.agent.as_deref().map(agent_file::read).transpose()?.unwrap_or_default();
    person
        .say("Enter takes what stands in brackets, ? explains, Ctrl-C ends: nothing is changed before you say so.\n")?;
    person.say(&format!(
        "This machine: {}.\n",
        facts.model.as_deref().unwrap_or("not a Raspberry Pi, by its device tree")
    ))?;
    if wishes.board.is_none() {
        wishes.board = which_board(person, facts)?;
    }
    let base = profile::base(facts, wishes.board.as_ref()).map_err(anyhow::Error::msg)?;
    let is_sound_settled = sound(person, facts, &base, wishes, &agent, trials)?;
    lines(person, facts, &base, wishes, trials)?;
    mode(person, facts, &base, wishes, &agent)?;
    camera(person, facts, &base, wishes)?;
    if wishes.language.is_none() {
        let own = "the one that is spoken to it";
        let now = agent.language.as_deref().unwrap_or(own);
        let back = if agent.language.is_some() { format!(", or none for {own}") } else { String::new() };
        let help = "The English name of a language (German, Spanish); without one it answers in the user's own.";
        wishes.language =
            Some(ask(person, &format!("\nLanguage to answer in{back}"), now, help)?).filter(|answer| answer != now);
    }
    key(person, facts, wishes, &agent)?;
    Ok(is_sound_settled)
}

fn which_board(person: &mut dyn Person, facts: &Facts) -> anyhow::Result<Option<Named>> {
    let now = profile::base(facts, None).ok().filter(|_| facts.board_now().is_some());
    let now = now.filter(|base| base.builtin.is_none());
    let mut choices: Vec<Choice> = Vec::new();
    choices.extend(now.iter().map(|base| (base.reference.clone(), "the one that is set now".to_string())));
    for name in board::builtin_names() {
        let read = board::builtin(name).and_then(|text| board::parse(text, name, name).ok());
        choices.push((name.to_string(), read.map_or(String::new(), |board| board.description)));
    }
    let default = facts.board_now().or_else(|| profile::guess(facts)).unwrap_or(GENERIC);
    let help = "The profile that comes nearest to your board and its sound; microphone, loudspeaker, button and camera are \
                asked next. A file of your own is named by its path.";
    let other = |text: &str| named(text).map(|_| text.to_string()).map_err(|error| error.to_string());
    let chosen = choose(person, "Which board is it?", &choices, default, help, other)?;
    if now.is_some_and(|base| base.reference == chosen) {
        return Ok(None);
    }
    named(&chosen).map(Some)
}

/// Answers whether it was tried, or somebody wanted no trial.
fn sound(
    person: &mut dyn Person,
    facts: &Facts,
    base: &Base,
    wishes: &mut Wishes,
    agent: &Agent,
    trials: Trials,
) -> anyhow::Result<bool> {
    let given = (wishes.mic.clone(), wishes.speaker.clone());
    let can_try = trials.sound && (trials.is_live || base.profile.driver == LineDriver::Sim);
    for _ in 0..CHOICES_MAX {
        (wishes.mic, wishes.speaker) = given.clone();
        if given.0.is_none() {
            wishes.mic = pcm(person, facts, base, Way::Capture, None)?;
        }
        if given.1.is_none() {
            wishes.speaker = pcm(person, facts, base, Way::Playback, wishes.mic.as_deref())?;
        }
        let only_sound = Wishes { mic: wishes.mic.clone(), speaker: wishes.speaker.clone(), ..Wishes::default() };
        let profile = profile::shape(facts, base, &only_sound).map_err(anyhow::Error::msg)?.profile;
        let help = "A test sound of eight seconds, and three seconds in which you speak.";
        if !can_try || !trial::is_free(person, &profile)? {
            return Ok(false);
        }
        if !agrees(person, "\nTry the sound now?", true, help)? || trial::sound(person, &profile, agent)? {
            return Ok(true);
        }
        let help = "Otherwise it goes on with these; `mynah doctor` tries them again.";
        if !agrees(person, "Choose other devices?", given.0.is_none() || given.1.is_none(), help)? {
            return Ok(true);
        }
    }
    Ok(true)
}

/// The microphone or the loudspeaker; none where there is nothing to choose from.
fn pcm(
    person: &mut dyn Person,
    facts: &Facts,
    base: &Base,
    way: Way,
    beside: Option<&str>,
) -> anyhow::Result<Option<String>> {
    let profile = &base.profile;
    let (what, now) = match way {
        Way::Capture => ("microphone", profile.capture.pcm.to_string()),
        Way::Playback => ("loudspeaker", profile.playback.pcm.to_string()),
    };
    // The simulated board's own.
    if now == SIMULATED {
        return Ok(None);
    }
    let fit = profile::fit(facts, profile, way, beside);
    let is_profiles = |names: &[String]| names.contains(&now);
    let mut choices: Vec<Choice> = Vec::new();
    for card in facts.cards.iter().filter(|card| card.goes(way)) {
        let name = if is_profiles(&card.names) { now.clone() } else { card.names[0].clone() };
        choices.push((name, card.title.clone()));
    }
    if choices.is_empty() {
        person.say(&format!("\nNo sound card with a {what} is there now: it stays {now}, as the profile has it.\n"))?;
        return Ok(None);
    }
    if !choices.iter().any(|(name, _)| *name == now) {
        let words =
            if now == "default" { "whatever ALSA takes for it" } else { "as the profile has it; not there now" };
        choices.push((now.clone(), words.to_string()));
    }
    let default = match fit {
        Fit::Other(name) => name,
        Fit::Unclear(cards) => cards[0].0.clone(),
        // A service has no sound server: `default` is whichever card was found first.
        Fit::AsItIs if now == "default" => beside.unwrap_or(&choices[0].0).to_string(),
        Fit::AsItIs | Fit::Nothing => now.clone(),
    };
    let help = "usb:… is the USB port it is plugged into, serial:… the device itself in any port, id:… the kernel's name of it. \
                An ALSA name may be typed, too. `mynah devices` tells more.";
    let question = format!("Which {what}?");
    let name = |text: &str| Some(text.to_string());
    let may =
        |text: &str| fits(facts, base, text, &Wishes { mic: name(text), speaker: name(text), ..Wishes::default() });
    choose(person, &question, &choices, &default, help, may).map(Some)
}

/// What was typed, where the profile takes it.
fn fits(facts: &Facts, base: &Base, text: &str, wishes: &Wishes) -> Result<String, String> {
    profile::shape(facts, base, wishes).map(|_| text.to_string())
}

fn lines(
    person: &mut dyn Person,
    facts: &Facts,
    base: &Base,
    wishes: &mut Wishes,
    trials: Trials,
) -> anyhow::Result<()> {
    if base.profile.driver == LineDriver::Gpio {
        let help = "The line that the talk button pulls to ground: GPIO17 is pin 11 of a Raspberry Pi's header.";
        if wishes.button.is_none() {
            let wish = |line: String| Wishes { button: Some(line), ..wishes.clone() };
            wishes.button = Some(line(person, facts, base, TALK, ("Which line has the button?", help), wish)?);
        }
        let help = "The line of a relay or transistor module that the model may switch when it is asked to.";
        if wishes.lamp.is_none() {
            let wish = |line: String| Wishes { lamp: Some(line), ..wishes.clone() };
            wishes.lamp = Some(line(person, facts, base, LAMP, ("Which line has a lamp?", help), wish)?);
        }
    }
    let has_button = wishes.button.as_deref().unwrap_or(profile::line_of(&base.profile, TALK)) != NONE;
    if !has_button || !trials.is_live || base.profile.driver == LineDriver::Sim {
        return Ok(());
    }
    let profile = profile::shape(facts, base, wishes).map_err(anyhow::Error::msg)?.profile;
    let help = "It waits ten seconds for a press and says what it saw.";
    if trial::is_free(person, &profile)? && agrees(person, "Try the button now?", true, help)? {
        trial::button(person, &profile)?;
    }
    Ok(())
}

/// The line for one of our names; `wish` is what would be wished with it.
fn line(
    person: &mut dyn Person,
    facts: &Facts,
    base: &Base,
    name: &str,
    (question, help): (&str, &str),
    wish: impl Fn(String) -> Wishes,
) -> anyhow::Result<String> {
    let now = profile::line_of(&base.profile, name);
    let is_example = base.builtin.as_deref() == Some(GENERIC);
    let held = |line: &str| {
        let mut holders = facts.chips.iter().flat_map(|chip| &chip.held).filter(|(name, _)| name == line);
        holders.next().map(|(_, holder)| format!("; {holder} holds it")).unwrap_or_default()
    };
    let mut choices: Vec<Choice> = Vec::new();
    if now != NONE && !is_example {
        choices.push((now.to_string(), format!("as the profile has it{}", held(now))));
    }
    choices.push((NONE.to_string(), "there is none".to_string()));
    let help = format!("{help} Another one is typed by its name (GPIO5), or as chip and offset (gpiochip0:5).");
    let default = if is_example { NONE } else { now };
    let may = |text: &str| known_line(facts, text).and_then(|text| fits(facts, base, &text, &wish(text.clone())));
    choose(person, question, &choices, default, &help, may)
}

/// A line that is typed, where the chips that there are do not speak against it.
fn known_line(facts: &Facts, text: &str) -> Result<String, String> {
    let named: Vec<&String> = facts.chips.iter().flat_map(|chip| &chip.named).collect();
    let can_tell = !named.is_empty() && !facts.chips.iter().any(|chip| chip.is_forbidden);
    if board::chip_and_offset(text).is_none() && can_tell && !named.iter().any(|name| *name == text) {
        return Err(format!("there is no line {text} here: `mynah devices` lists them"));
    }
    Ok(text.to_string())
}

fn mode(person: &mut dyn Person, facts: &Facts, base: &Base, wishes: &mut Wishes, agent: &Agent) -> anyhow::Result<()> {
    if wishes.listen_mode.is_some() {
        return Ok(());
    }
    let has_button = profile::shape(facts, base, wishes).map_err(anyhow::Error::msg)?.profile.lines.contains_key(TALK);
    let modes = [
        ("push_to_talk", "while the button is held, or between taps"),
        ("hands_free", "whenever somebody speaks"),
        ("wake_word", "after a word of yours, which you teach it when setup has ended"),
    ];
    // A word that is not taught yet opens nothing: without a button the device would be deaf.
    let is_now_by_word = agent.listen.mode == agent::ListenMode::WakeWord;
    let fits = |mode: &str| has_button || mode == "hands_free" || (mode == "wake_word" && is_now_by_word);
    let choices: Vec<Choice> =
        modes.iter().filter(|(mode, _)| fits(mode)).map(|(mode, what)| ((*mode).into(), (*what).into())).collect();
    let now = match agent.listen.mode {
        agent::ListenMode::HandsFree => "hands_free",
        agent::ListenMode::WakeWord => "wake_word",
        agent::ListenMode::PushToTalk if has_button => "push_to_talk",
        agent::ListenMode::PushToTalk => "hands_free",
    };
    let help = "What opens the microphone. Nothing that is said at other times leaves the device.";
    let none = |text: &str| Err(format!("{text} is none of these"));
    wishes.listen_mode = Some(choose(person, "When does it listen?", &choices, now, help, none)?);
    Ok(())
}

fn camera(person: &mut dyn Person, facts: &Facts, base: &Base, wishes: &mut Wishes) -> anyhow::Result<()> {
    if wishes.camera.is_some() || base.profile.driver == LineDriver::Sim {
        return Ok(());
    }
    let now = profile::camera_of(&base.text);
    let mut choices = facts.cameras.clone();
    match facts.cameras.len() {
        0 => person.say("\nNo USB camera was found.\n")?,
        _ => choices
            .iter()
            .try_for_each(|(name, title)| person.say(&format!("\nA camera was found: {title}, {name}.\n")))?,
    }
    for (source, what) in [("rpicam", "a ribbon camera"), (NONE, "there is no camera")] {
        choices.push((source.to_string(), what.to_string()));
    }
    if !choices.iter().any(|(source, _)| *source == now) {
        choices.insert(0, (now.clone(), "as the profile has it".to_string()));
    }
    let help = "Pictures leave the device only where [see] of the agent file allows it; a camera in the profile alone does nothing.";
    let wish = |camera: &str| Wishes { camera: Some(camera.to_string()), ..wishes.clone() };
    let may = |text: &str| fits(facts, base, text, &wish(text));
    wishes.camera = Some(choose(person, "Which camera?", &choices, &now, help, may)?);
    Ok(())
}

fn key(person: &mut dyn Person, facts: &Facts, wishes: &mut Wishes, agent: &Agent) -> anyhow::Result<()> {
    let is_here = |url: &str| agent::endpoint::parse(url).is_ok_and(|endpoint| endpoint.is_here);
    if wishes.key.is_some() || is_here(wishes.endpoint.as_deref().unwrap_or(&agent.endpoint)) {
        return Ok(());
    }
    let stands =
        if facts.stored_key == super::key::StoredKey::Absent { "there is none yet" } else { "the stored one stays" };
    loop {
        match person.secret(&format!("\nAPI key, typed or pasted, not shown [{stands}]: "))?.trim() {
            "" => return Ok(()),
            "?" => person
                .say("  The key of the Gemini API; it is made at aistudio.google.com and stored for root only.\n")?,
            text => match Key::checked(text, "this line") {
                Ok(key) => {
                    wishes.key = Some(key);
                    return Ok(());
                }
                Err(trouble) => person.say(&format!("  {trouble}\n"))?,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::person::tests::script;
    use super::*;

    #[test]
    fn a_sound_that_was_neither_tried_nor_declined_is_left_to_the_doctor() {
        let heard = |board: &str, answers: &[&'static str], trials| {
            let base = profile::base(&Facts::default(), Some(&Named::Builtin(board.to_string()))).unwrap();
            let (mut person, agent) = (script(answers), Agent::default());
            let heard = sound(&mut person, &Facts::default(), &base, &mut Wishes::default(), &agent, trials).unwrap();
            (heard, person.1.contains("Try the sound now?"))
        };
        let trials = |sound, is_live| Trials { sound, is_live };
        assert_eq!(heard("sim", &["n"], trials(true, true)), (true, true), "a no is a no");
        assert_eq!(heard("sim", &[], trials(false, true)), (false, false));
        assert_eq!(heard("generic", &[], trials(true, false)), (false, false), "an image has no devices");
    }
}
