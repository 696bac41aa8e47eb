//! What the client says: each input, held against the state of the connection.

use serde_json::Value;

use super::check::{Answer, Input, cut};
use super::ear::{Ear, Noticed, VOICE_MAX_S};
use super::fields::INVALID;
use super::machine::{Emulator, LOGGED_MAX, Stage, Window};
use super::script::SetupPlan;
use super::setup::{self, Setup};
use super::sight::Picture;
use super::{Refusal, Side, Voice};
use crate::units::{Frames, Hertz, Time};

/// What the service says of messages that come at the wrong moment.
const PRECONDITION: &str = "Precondition check failed.";

impl Emulator {
    /// Takes an input that has passed the door.
    pub(super) fn take(&mut self, input: Input, now: Time) -> Result<(), Refusal> {
        let (setup, input) = match (&self.stage, input) {
            (Stage::AwaitingSetup, Input::Setup(asked)) => return self.take_setup(&asked, now),
            (_, Input::Setup(_)) => {
                return Err(Refusal::new(1007, INVALID, "setup comes once, as the first message of a connection"));
            }
            (Stage::Ready(setup), input) => (setup.clone(), input),
            _ => return Err(Refusal::new(1007, INVALID, "setup comes first, and nothing else until setupComplete")),
        };
        match input {
            Input::Audio { rate, frames } => self.take_audio(&setup, rate, &frames, now),
            Input::ActivityStart => self.open_window(&setup),
            Input::ActivityEnd => self.close_window(&setup, now),
            Input::Text(text) => self.take_text(&text, &setup, now),
            Input::Still(picture) => self.take_still(picture),
            Input::AudioStreamEnd if setup.manual => Err(Refusal::new(
                1007,
                PRECONDITION,
                "audioStreamEnd belongs to automatic detection: end a window with activityEnd",
            )),
            Input::AudioStreamEnd => {
                self.log(Side::Client, "audio stream ends (which ends no turn: 3.8 waits for silence in the audio)");
                Ok(())
            }
            Input::Content { text, turns, turn_complete } => {
                self.take_content(&text, turns, turn_complete, &setup, now);
                Ok(())
            }
            Input::ToolResponse(answers) => {
                answers.into_iter().try_for_each(|answer| self.take_answer(&answer, &setup))?;
                self.go_on(now);
                Ok(())
            }
            Input::Setup(_) => Ok(()), // dealt with above
        }
    }

    fn take_setup(&mut self, asked: &Value, now: Time) -> Result<(), Refusal> {
        let setup = setup::read(asked, self.options.api.name())?;
        let mut told = format!("setup: {}", setup.model);
        if let Some(voice) = &setup.voice {
            told += &format!(", voice {voice}");
        }
        told += if setup.manual { ", windows by the client" } else { ", automatic detection" };
        told += &format!(", {} functions", setup.functions.len());
        self.log(Side::Client, told);
        self.history = setup.history;
        match self.script.setup.clone() {
            SetupPlan::Complete => {
                self.join_session(&setup, now)?;
                self.stage = Stage::Preparing(setup, now + self.script.setup_delay);
            }
            SetupPlan::Never => self.stage = Stage::Silent,
            SetupPlan::Close { code, reason } => self.close(code, &reason),
        }
        Ok(())
    }

    fn take_audio(&mut self, setup: &Setup, rate: Hertz, frames: &[i16], now: Time) -> Result<(), Refusal> {
        if !setup.manual {
            self.context.add_audio(frames.len(), rate);
            return self.listen(setup, rate, frames, now);
        }
        let Some(window) = &mut self.window else { return Ok(()) }; // outside a window audio is ignored
        let (first_rate, voice) = window.voice.get_or_insert_with(|| (rate, Vec::new()));
        if *first_rate != rate {
            return Err(Refusal::new(1007, INVALID, "the audio's rate changed within a window"));
        }
        let room = rate.0 as usize * VOICE_MAX_S as usize - voice.len();
        voice.extend_from_slice(&frames[..frames.len().min(room)]);
        Ok(())
    }

    fn listen(&mut self, setup: &Setup, rate: Hertz, frames: &[i16], now: Time) -> Result<(), Refusal> {
        let ear = self.ear.get_or_insert_with(|| Ear::new(rate, setup.silence_ms));
        if ear.rate() != rate {
            return Err(Refusal::new(1007, INVALID, "the audio's rate changed within a session"));
        }
        for noticed in ear.listen(frames) {
            match noticed {
                Noticed::Started => {
                    self.log(Side::Client, "begins to speak");
                    if !setup.no_interruption {
                        self.cut();
                    }
                }
                Noticed::Ended(voice) => {
                    self.log(Side::Client, format!("has spoken for {}", seconds(&voice)));
                    self.begin_turn(Some(voice), setup, now);
                }
            }
        }
        Ok(())
    }

    fn open_window(&mut self, setup: &Setup) -> Result<(), Refusal> {
        check_manual(setup)?;
        if self.window.is_some() {
            return Err(Refusal::new(1007, PRECONDITION, "a window is open already: activityEnd comes first"));
        }
        self.window = Some(Window::default());
        self.log(Side::Client, "opens a window");
        if !setup.no_interruption {
            self.cut();
        }
        Ok(())
    }

    fn close_window(&mut self, setup: &Setup, now: Time) -> Result<(), Refusal> {
        check_manual(setup)?;
        let Some(window) = self.window.take() else {
            return Err(Refusal::new(1007, PRECONDITION, "no window is open: activityStart comes first"));
        };
        let Some((rate, frames)) = window.voice else {
            let why = "the window is empty: send activityStart together with the first audio";
            return Err(Refusal::new(1007, PRECONDITION, why));
        };
        let voice = Voice { rate, frames: frames.into() };
        // Only now: what a window holds is lost with its connection.
        self.context.add_audio(voice.frames.len(), rate);
        let count = window.stills.len();
        let stills = if count > 0 { format!(" and {count} stills") } else { String::new() };
        for picture in window.stills {
            self.context.add_still();
            self.sight.shown(picture);
        }
        self.log(Side::Client, format!("closes the window after {}{stills}", seconds(&voice)));
        self.begin_turn(Some(voice), setup, now);
        Ok(())
    }

    /// Whether the window, if one is open, was opened by audio.
    fn check_window_opened(&self, what: &str) -> Result<(), Refusal> {
        match &self.window {
            Some(Window { voice: None, .. }) => {
                Err(Refusal::new(1007, PRECONDITION, format!("a window opens with audio, not with {what}")))
            }
            _ => Ok(()),
        }
    }

    fn take_text(&mut self, text: &str, setup: &Setup, now: Time) -> Result<(), Refusal> {
        self.check_window_opened("a text")?;
        self.log(Side::Client, format!("types {:?}", cut(text, LOGGED_MAX)));
        self.context.add_text(text);
        // A text within a window belongs to the turn that the window will be.
        if self.window.is_none() {
            self.begin_turn(None, setup, now);
        }
        Ok(())
    }

    fn take_still(&mut self, picture: Picture) -> Result<(), Refusal> {
        self.check_window_opened("a still")?;
        self.log(Side::Client, format!("shows a still: {picture}"));
        match &mut self.window {
            Some(window) => window.stills.push(picture),
            None => {
                self.log(Side::Note, "it was sent outside a window: it counts for the next turn");
                self.context.add_still();
                self.sight.shown(picture);
            }
        }
        Ok(())
    }

    fn take_content(&mut self, text: &str, turns: usize, turn_complete: bool, setup: &Setup, now: Time) {
        self.context.add_text(text);
        let kind = if self.history { "history" } else { "content" };
        self.log(Side::Client, format!("sends {kind} of {turns} turns: {:?}", cut(text, LOGGED_MAX)));
        if self.history {
            self.history = !turn_complete;
        } else if turn_complete {
            self.cut();
            self.begin_turn(None, setup, now);
        }
    }

    fn take_answer(&mut self, answer: &Answer, setup: &Setup) -> Result<(), Refusal> {
        let Answer { id, name, response, scheduling, pictures } = answer;
        let refuse = |why: String| Err(Refusal::new(1007, INVALID, why));
        if scheduling.is_some() && setup.thinking {
            let reason = "Function response scheduling is not supported for this model.";
            return Err(Refusal::new(1007, reason, "leave `scheduling` out"));
        }
        if scheduling.is_some() && setup.functions.get(name) == Some(&true) {
            return refuse(format!("{name} is BLOCKING: only NON_BLOCKING functions have a scheduling"));
        }
        match self.calls.answer(answer) {
            Ok(true) => {
                let shown = response.to_string();
                self.log(Side::Client, format!("answers {id} {name}: {}", cut(&shown, LOGGED_MAX)));
                for picture in pictures {
                    self.log(Side::Client, format!("shows with it: {picture}"));
                    self.context.add_still();
                    self.sight.answered(*picture);
                }
                Ok(())
            }
            Ok(false) => {
                self.log(Side::Note, format!("the answer to {id} came after the call was done with: ignored"));
                Ok(())
            }
            Err(why) => refuse(why),
        }
    }
}

fn check_manual(setup: &Setup) -> Result<(), Refusal> {
    if setup.manual {
        return Ok(());
    }
    let why = "activity markers need automaticActivityDetection.disabled: true in the setup";
    Err(Refusal::new(1007, PRECONDITION, why))
}

fn seconds(voice: &Voice) -> String {
    format!("{:.2} s of sound", Frames(voice.frames.len() as u64).duration(voice.rate).as_secs_f64())
}
