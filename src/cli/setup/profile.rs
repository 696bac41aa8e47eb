//! Which board profile it is to be, and this machine's own where none fits as it is. Pure.

use super::edit::{assign, quoted, take_out, take_out_section};
use super::facts::{BOARD, Facts};
use super::plan::Wishes;
use crate::config::board::{self, Board, GENERIC, PcmName, TALK};
use crate::config::problem::Problem;
use crate::hw::cards::Way;

/// What stands for "none of it" where a line or a camera is asked for.
pub const NONE: &str = "none";
/// The line that the shipped agent file's tool switches.
pub const LAMP: &str = "lamp";

/// A profile to begin with.
#[derive(Clone, Debug, PartialEq)]
pub struct Base {
    /// What the service is to call it, where nothing of it is changed.
    pub reference: String,
    /// Its name, where it is one of the program's.
    pub builtin: Option<String>,
    /// Its text.
    pub text: String,
    /// The same, read.
    pub profile: Board,
}

/// The board that is named: one of the program's, or the text of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// One of the program's.
    Builtin(String),
    /// A file's text.
    Text(String),
}

/// What the service is to use.
#[derive(Clone, Debug, PartialEq)]
pub struct Shaped {
    /// For `MYNAH_BOARD`.
    pub reference: String,
    /// What [`BOARD`] is to hold, where that is used.
    pub own: Option<String>,
    /// What differs from the profile that it began with: `microphone usb:1-1.3`.
    pub differs: Vec<String>,
    /// The profile.
    pub profile: Board,
    /// What the owner should know, sentences.
    pub notes: Vec<String>,
}

/// The profile of the program that this machine and its sound cards speak for.
pub fn guess(facts: &Facts) -> Option<&'static str> {
    let is_pi = facts.model.as_deref().is_some_and(|model| model.starts_with("Raspberry Pi"));
    let has = |id: &str| facts.cards.iter().any(|card| card.names.iter().any(|name| name == id));
    let is_usb = |name: &String| name.starts_with("usb:");
    let has_usb = facts.cards.iter().any(|card| card.names.iter().any(is_usb) && card.hears);
    match () {
        () if !is_pi => None,
        () if has("id:wm8960soundcard") => Some("pi4-two-mic-hat"),
        () if has("id:sndrpigooglevoi") => Some("zero2w-i2s"),
        () if has_usb => Some("pi5-usb-speakerphone"),
        () => None,
    }
}

/// The profile to begin with: the one that is named, else the one that is set, else the guess.
///
/// # Errors
/// A sentence that says what to name.
pub fn base(facts: &Facts, named: Option<&Named>) -> Result<Base, String> {
    let of_builtin = |name: &str| {
        let text = board::builtin(name).unwrap_or_default();
        read(name, Some(name), text, &format!("board/{name}.toml"))
    };
    match named {
        Some(Named::Builtin(name)) => return of_builtin(name),
        Some(Named::Text(text)) => return read(BOARD, None, text, BOARD),
        None => {}
    }
    let known = || board::builtin_names().collect::<Vec<_>>().join(", ");
    match facts.board_now() {
        Some(name) if board::builtin(name).is_some() => of_builtin(name),
        Some(file) => {
            let text = if file == BOARD { &facts.board } else { &facts.named_board };
            let missing =
                || format!("the board that is set, {file}, is not there: name one with --board ({})", known());
            read(file, None, text.as_ref().ok_or_else(missing)?, file)
        }
        None => {
            let machine = facts.model.as_deref().unwrap_or("this machine");
            let unknown = || {
                format!(
                    "which board this is cannot be told from {machine} and its sound cards: name the nearest one with --board ({}), or a file \
                     of your own",
                    known()
                )
            };
            of_builtin(guess(facts).ok_or_else(unknown)?)
        }
    }
}

fn read(reference: &str, builtin: Option<&str>, text: &str, file: &str) -> Result<Base, String> {
    let profile = parsed(text, file)?;
    let (reference, builtin, text) = (reference.to_string(), builtin.map(str::to_string), text.to_string());
    Ok(Base { reference, builtin, text, profile })
}

fn parsed(text: &str, file: &str) -> Result<Board, String> {
    let name = file.rsplit('/').next().unwrap_or(file).trim_end_matches(".toml");
    let told = |problems: Vec<Problem>| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ");
    board::parse(text, file, name).map_err(told)
}

/// How a profile's sound fits what is plugged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fit {
    /// As it stands.
    AsItIs,
    /// Another card is meant, beyond doubt.
    Other(String),
    /// One of these: name and title.
    Unclear(Vec<(String, String)>),
    /// There is none.
    Nothing,
}

/// How the profile's microphone or loudspeaker fits; `beside` is the card that was chosen for the other way.
pub fn fit(facts: &Facts, profile: &Board, way: Way, beside: Option<&str>) -> Fit {
    let pcm = if way == Way::Capture { &profile.capture.pcm } else { &profile.playback.pcm };
    let PcmName::Card { card, .. } = pcm else { return Fit::AsItIs };
    let goes = || facts.cards.iter().filter(|card| card.goes(way));
    let is = |names: &[String], wanted: &str| names.iter().any(|name| name == wanted);
    if let Some(both) = beside.and_then(|beside| goes().find(|card| is(&card.names, beside))) {
        let is_it = is(&both.names, &card.to_string());
        return if is_it { Fit::AsItIs } else { Fit::Other(beside.unwrap_or(&both.names[0]).to_string()) };
    }
    if goes().any(|there| is(&there.names, &card.to_string())) {
        return Fit::AsItIs;
    }
    let mut found: Vec<_> = goes().filter(|card| card.hears && card.speaks).collect();
    if found.is_empty() {
        found = goes().collect();
    }
    match found.as_slice() {
        [] => Fit::Nothing,
        [one] => Fit::Other(one.names[0].clone()),
        many => Fit::Unclear(many.iter().map(|card| (card.names[0].clone(), card.title.clone())).collect()),
    }
}

/// What is wished, laid over the profile to begin with.
///
/// # Errors
/// A sentence: what is to be named, or what does not fit.
pub fn shape(facts: &Facts, base: &Base, wishes: &Wishes) -> Result<Shaped, String> {
    let mut shaped = Shaped {
        reference: base.reference.clone(),
        own: (base.reference == BOARD).then(|| base.text.clone()),
        differs: Vec::new(),
        profile: base.profile.clone(),
        notes: Vec::new(),
    };
    let mut text = base.text.clone();
    let mic = sound(facts, base, wishes.mic.as_deref(), Way::Capture, None, &mut shaped.notes)?;
    let beside = mic.as_deref();
    let speaker = sound(facts, base, wishes.speaker.as_deref(), Way::Playback, beside, &mut shaped.notes)?;
    for (name, section, what) in [(mic, "capture", "microphone"), (speaker, "playback", "loudspeaker")] {
        if let Some(name) = name {
            text = with_sound(&text, section, &name)?;
            shaped.differs.push(format!("{what} {name}"));
        }
    }
    // Its lines are examples, and nobody knows what hangs on them here: one is taken only where it is named.
    let is_generic = base.builtin.as_deref() == Some(GENERIC);
    for (name, what, wish) in [(TALK, "button", &wishes.button), (LAMP, "lamp", &wishes.lamp)] {
        let line = wish.as_deref().or(is_generic.then_some(NONE));
        if let Some(line) = line.filter(|line| is_generic || *line != line_of(&base.profile, name)) {
            text = with_line(&text, &base.profile, name, line)?;
            shaped.differs.push(format!("{what} {line}"));
        }
    }
    if let Some(camera) = wishes.camera.as_deref().filter(|camera| *camera != camera_of(&base.text)) {
        text = take_out_section(&text, "camera")?;
        if camera != NONE {
            text = assign(&text, "camera", "source", &quoted(camera))?;
        }
        shaped.differs.push(format!("camera {camera}"));
    }
    if is_generic && (wishes.button.is_none() || wishes.lamp.is_none()) {
        let sentence = "the lines of `generic` are examples, and one that nobody named is left out: --button LINE names the \
                        button's, --lamp LINE the lamp's";
        shaped.notes.push(sentence.to_string());
    }
    if shaped.differs.is_empty() {
        return Ok(shaped);
    }
    if let Some(name) = &base.builtin {
        let description = quoted(&format!("As {name}, with {}", shaped.differs.join(", ")));
        text = assign(&text, "", "description", &description)?;
        text = format!("# Made by `mynah setup` after the profile {name}; it is yours to edit.\n#\n{text}");
    }
    shaped.profile = parsed(&text, BOARD)?;
    shaped.reference = BOARD.to_string();
    shaped.own = Some(text);
    Ok(shaped)
}

/// What the profile calls a line of ours, `none` where it has none.
pub fn line_of<'a>(profile: &'a Board, name: &str) -> &'a str {
    profile.lines.get(name).map_or(NONE, |line| line.line.as_str())
}

/// The camera that a profile's text names.
pub fn camera_of(text: &str) -> String {
    let table: toml::Table = text.parse().unwrap_or_default();
    let source = table.get("camera").and_then(|camera| camera.get("source")).and_then(toml::Value::as_str);
    source.unwrap_or(NONE).to_string()
}

/// The name that the sound of one way is to have, where it is another than the profile's.
fn sound(
    facts: &Facts,
    base: &Base,
    wish: Option<&str>,
    way: Way,
    beside: Option<&str>,
    notes: &mut Vec<String>,
) -> Result<Option<String>, String> {
    let (what, flag, pcm) = match way {
        Way::Capture => ("microphone", "--mic", &base.profile.capture.pcm),
        Way::Playback => ("loudspeaker", "--speaker", &base.profile.playback.pcm),
    };
    if let Some(wish) = wish {
        return Ok((*wish != pcm.to_string()).then(|| wish.to_string()));
    }
    match fit(facts, &base.profile, way, beside) {
        Fit::AsItIs => Ok(None),
        // What its owner wrote is not changed unasked: the card may only be unplugged.
        Fit::Other(name) if base.builtin.is_some() => Ok(Some(name)),
        Fit::Unclear(cards) if base.builtin.is_some() => {
            let cards: Vec<String> = cards.iter().map(|(name, title)| format!("{name} ({title})")).collect();
            let sentence = "and which one is meant cannot be told: name one with";
            Err(format!("for the {what} there are {}, {sentence} {flag}", cards.join(", ")))
        }
        _ => {
            notes.push(format!("the {what} {pcm} is not there now; it stays as the profile has it"));
            Ok(None)
        }
    }
}

fn with_sound(text: &str, section: &str, name: &str) -> Result<String, String> {
    let is_card = ["usb:", "serial:", "id:"].iter().any(|kind| name.starts_with(kind));
    let (key, other) = if is_card { ("card", "pcm") } else { ("pcm", "card") };
    // They were about the other card.
    let mut text = text.to_string();
    for gone in [other, "device", "rate_hz", "channels", "pick"] {
        text = take_out(&text, section, gone)?;
    }
    assign(&text, section, key, &quoted(name))
}

fn with_line(text: &str, profile: &Board, name: &str, line: &str) -> Result<String, String> {
    let section = format!("lines.{name}");
    if line == NONE {
        return take_out_section(text, &section);
    }
    if profile.lines.contains_key(name) {
        return assign(text, &section, "line", &quoted(line));
    }
    // Each goes to the section's beginning.
    let keys: &[_] = match name {
        TALK => &[("bias", "pull_up"), ("polarity", "active_low"), ("line", line), ("direction", "input")],
        _ => &[("line", line), ("direction", "output")],
    };
    keys.iter().try_fold(text.to_string(), |text, (key, value)| assign(&text, &section, key, &quoted(value)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn no_line_of_the_example_is_taken_that_nobody_named() {
        let base = base(&Facts::default(), Some(&Named::Builtin(GENERIC.to_string()))).unwrap();
        let lines = |button: Option<&str>, lamp: Option<&str>| {
            let wishes =
                Wishes { button: button.map(str::to_string), lamp: lamp.map(str::to_string), ..Wishes::default() };
            let shaped = shape(&Facts::default(), &base, &wishes).unwrap();
            assert!(shaped.own.is_some() && shaped.reference == BOARD, "a second run knows what was named");
            assert_eq!(shaped.notes.is_empty(), button.is_some() && lamp.is_some(), "{:?}", shaped.notes);
            let lines = shaped.profile.lines.iter().map(|(name, line)| format!("{name} {}", line.line));
            lines.collect::<Vec<_>>().join(", ")
        };
        assert_eq!(lines(None, None), "", "all of them, also where there are more one day");
        assert_eq!(lines(Some("gpiochip0:17"), None), "talk gpiochip0:17");
        assert_eq!(lines(Some(NONE), Some("gpiochip0:22")), "lamp gpiochip0:22");
        assert_eq!(lines(Some("GPIO5"), Some(NONE)), "talk GPIO5");
    }
}
