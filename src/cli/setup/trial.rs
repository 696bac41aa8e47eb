//! Tries what was chosen before it is written down: the loudspeaker and the microphone, and the button.

use std::time::{Duration, Instant};

use super::person::{Person, agrees};
use crate::audio::level::rms_dbfs;
use crate::cli::doctor::report::Report;
use crate::cli::doctor::sound::{self, Score};
use crate::cli::doctor::{judge, other_mynah};
use crate::cli::run;
use crate::config::agent::Agent;
use crate::config::board::{Board as Profile, LineDriver, TALK};

/// How long somebody is listened to.
const SAY: Duration = Duration::from_secs(3);
/// How long a press is waited for.
const PRESS: Duration = Duration::from_secs(10);

/// How loud somebody was, in words; `level_db` over [`SAY`], pauses included.
pub fn loudness(level_db: f32) -> &'static str {
    match level_db {
        // As quiet as a quiet room.
        level if level < -60.0 => {
            "nothing but the room: is it the right microphone, is it muted by a switch or its mixer?"
        }
        level if level < -48.0 => "soft: come nearer, or raise its gain (`alsamixer`, F4)",
        level if level < -12.0 => "loud and clear",
        _ => "too loud: lower its gain (`alsamixer`, F4)",
    }
}

/// Whether the devices are free; says so where they are not.
///
/// # Errors
/// Nothing can be shown.
pub fn is_free(person: &mut dyn Person, profile: &Profile) -> anyhow::Result<bool> {
    let is_free = profile.driver == LineDriver::Sim || other_mynah().is_none();
    if !is_free {
        person.say("mynah runs and has the devices, so that nothing can be tried now (`sudo systemctl stop mynah` stops it).\n")?;
    }
    Ok(is_free)
}

/// Plays the doctor's test sound, listens, and says what came of it. Answers whether the person is content.
///
/// # Errors
/// The input ended.
pub fn sound(person: &mut dyn Person, profile: &Profile, agent: &Agent) -> anyhow::Result<bool> {
    let (board, clock, _) = run::open(profile)?;
    let score = Score::new(agent.speak.volume_percent)?;
    person.say("Be quiet for two seconds; then there are two chirps with a voice between them …\n")?;
    let session = sound::play_and_record(&*board, &*clock, profile.capture.pick, &score);
    let (hears, speaks) = (session.mic.is_ok(), session.speaker.is_ok());
    let mut report = Report::default();
    report.add_all(judge::sound(&session, &score, agent, profile));
    person.say(&report.text())?;
    if hears {
        person.say("Now say something, as you will say it later, for three seconds …\n")?;
        match sound::listen(&*board, &*clock, profile.capture.pick, SAY) {
            Ok(track) => {
                let level = rms_dbfs(&track.frames);
                person.say(&format!("It heard {level}: {}.\n", loudness(level.0)))?;
            }
            Err(trouble) => person.say(&format!("The microphone failed: {trouble}.\n"))?,
        }
    }
    let help = "The two chirps and the voice should have come out of the loudspeaker that you chose.";
    Ok(speaks && agrees(person, "Did you hear the voice?", true, help)? && hears)
}

/// Waits for a press and says what was seen.
///
/// # Errors
/// Nothing can be shown.
pub fn button(person: &mut dyn Person, profile: &Profile) -> anyhow::Result<()> {
    let (board, ..) = run::open(profile)?;
    let said = match board.open_button(TALK) {
        Err(trouble) => format!("The button cannot be looked at: {trouble}."),
        Ok(mut button) => match button.is_active() {
            Err(trouble) => format!("The button cannot be looked at: {trouble}."),
            Ok(true) => {
                "It counts as pressed already: where nobody holds it, `polarity` or `bias` of [lines.talk] is wrong, \
                         or it is another line."
                    .to_string()
            }
            Ok(false) => {
                person.say(&format!("Press the button now (within {} seconds) …\n", PRESS.as_secs()))?;
                pressed(&mut *button)
            }
        },
    };
    person.say(&format!("{said}\n"))
}

fn pressed(button: &mut dyn crate::hw::Button) -> String {
    let since = Instant::now();
    while let Some(left) = PRESS.checked_sub(since.elapsed()).filter(|left| !left.is_zero()) {
        match button.wait(left) {
            Ok(Some(edge)) if edge.active => return "It was pressed: the button works.".to_string(),
            Ok(_) => {}
            Err(trouble) => return format!("The button failed: {trouble}."),
        }
    }
    "No press was seen: is it wired to this line, with its other side to ground (/usr/share/doc/mynah/boards.md, Wiring)?".to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::{Button, Edge, LineTrouble};
    use crate::units::Time;

    /// A button on which this happens, the last first.
    struct Fingers(Vec<Result<Option<bool>, &'static str>>);

    impl Button for Fingers {
        fn is_active(&mut self) -> Result<bool, LineTrouble> {
            Ok(false)
        }
        fn wait(&mut self, _timeout: Duration) -> Result<Option<Edge>, LineTrouble> {
            let trouble = |why: &str| LineTrouble::Other { line: "talk".into(), why: why.into() };
            let next = self.0.pop().unwrap_or(Err("nothing more")).map_err(trouble)?;
            Ok(next.map(|active| Edge { at: Time::ZERO, active }))
        }
    }

    #[test]
    fn a_press_is_seen_and_a_release_or_a_trouble_is_none() {
        assert!(pressed(&mut Fingers(vec![Ok(Some(true)), Ok(None), Ok(Some(false))])).contains("works"));
        assert!(pressed(&mut Fingers(vec![Err("gone"), Ok(Some(false))])).contains("failed: line talk: gone"));
    }

    #[test]
    fn how_loud_somebody_is_is_told_in_words() {
        for (level_db, words) in [(-80.0, "nothing"), (-55.0, "soft"), (-30.0, "clear"), (-6.0, "too loud")] {
            assert!(loudness(level_db).contains(words), "{level_db}");
        }
    }
}
