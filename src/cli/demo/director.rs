//! The director: leads a scene step by step, by what happens on the board and the link.
//!
//! Pure: it is told events and the time and gives orders; [`direct`] carries them out on a [`Stage`].

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use super::scene::{Scene, Step, Wanted};
use crate::flow::{Event, What};
use crate::units::Time;

/// Events remembered for a later step; a scene has fewer, and more are forgotten oldest first.
const SEEN_MAX: usize = 4096;

/// What the director wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Press the talk button.
    Press,
    /// Release it.
    Release,
    /// Say the recording; [`Director::handle_said`] is told when it will end.
    Say(&'static str),
    /// Print the sentence.
    Tell(String),
    /// Nothing before this time, unless an event comes.
    Wait(Time),
    /// The scene is over.
    End,
}

/// A check of a part of the board, and how it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The part.
    pub part: &'static str,
    /// How it went.
    pub verdict: Verdict,
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It happened.
    Works,
    /// It did not; what to do about it.
    Failed(&'static str),
    /// What it needs had failed before.
    NotTried,
}

/// A step whose event did not come in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// The scene.
    pub scene: &'static str,
    /// The number of the step, from 1.
    pub step: usize,
    /// What was waited for.
    pub wanted: Wanted,
    /// How long.
    pub waited: Duration,
    /// The last trouble that was reported, if any.
    pub trouble: Option<String>,
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scene, step, wanted) = (self.scene, self.step, self.wanted.words());
        write!(f, "scene \"{scene}\", step {step}: waited {} s for {wanted}, in vain", self.waited.as_secs())?;
        match &self.trouble {
            Some(trouble) => write!(f, "; the last trouble was: {trouble}"),
            None => write!(f, "; the timeline shows what happened until then"),
        }
    }
}

impl std::error::Error for Missed {}

/// Leads one scene.
pub struct Director {
    scene: &'static str,
    steps: VecDeque<Step>,
    number: usize,
    /// When the present step began, once it did.
    began: Option<Time>,
    said_until: Option<Time>,
    seen: VecDeque<What>,
    trouble: Option<String>,
    checked: Vec<Checked>,
}

impl Director {
    /// Stands before the scene's first step.
    pub fn new(scene: &Scene) -> Director {
        Director {
            scene: scene.title,
            steps: scene.steps.iter().cloned().collect(),
            number: 1,
            began: None,
            said_until: None,
            seen: VecDeque::new(),
            trouble: None,
            checked: Vec::new(),
        }
    }

    /// Takes what happened.
    pub fn handle_event(&mut self, event: &Event) {
        match &event.what {
            What::Trouble { text, .. } => self.trouble = Some(text.clone()),
            What::LinkDown { why } => self.trouble = Some(why.clone()),
            _ => {}
        }
        if self.seen.len() >= SEEN_MAX {
            self.seen.pop_front();
        }
        self.seen.push_back(event.what.clone());
    }

    /// Takes the time at which the recording of the last [`Order::Say`] will end.
    pub fn handle_said(&mut self, until: Time) {
        self.said_until = Some(until);
    }

    /// The checks so far.
    pub fn checked(&self) -> &[Checked] {
        &self.checked
    }

    /// The next order, or the step that was missed.
    pub fn poll_order(&mut self, now: Time) -> Result<Order, Missed> {
        loop {
            let began = *self.began.get_or_insert(now);
            let Some(step) = self.steps.front().cloned() else { return Ok(Order::End) };
            match step {
                Step::Tell(text) => return Ok(self.finish(Order::Tell(text))),
                Step::Press => return Ok(self.finish(Order::Press)),
                Step::Release => return Ok(self.finish(Order::Release)),
                Step::Listen => {
                    self.seen.clear();
                    self.advance();
                }
                Step::Say(sound) => {
                    // In two halves: the order, then the wait for the end.
                    self.steps[0] = Step::Pause(Duration::ZERO);
                    self.said_until = None;
                    return Ok(Order::Say(sound));
                }
                Step::Pause(length) => {
                    let until = self.said_until.unwrap_or(began + length);
                    if now < until {
                        return Ok(Order::Wait(until));
                    }
                    self.said_until = None;
                    self.advance();
                }
                Step::Await(wanted, within) | Step::Check(wanted, within, ..) | Step::Need(wanted, within, ..) => {
                    let has_happened = self.take_seen(wanted);
                    if !has_happened && now < began + within {
                        return Ok(Order::Wait(began + within));
                    }
                    self.conclude(&step, has_happened)?;
                    self.advance();
                }
            }
        }
    }

    fn conclude(&mut self, step: &Step, has_happened: bool) -> Result<(), Missed> {
        match *step {
            Step::Check(_, _, part, hint) | Step::Need(_, _, part, hint) => {
                let verdict = if has_happened { Verdict::Works } else { Verdict::Failed(hint) };
                self.checked.push(Checked { part, verdict });
                if !has_happened && matches!(step, Step::Need(..)) {
                    self.leave_rest();
                }
                Ok(())
            }
            Step::Await(wanted, waited) if !has_happened => {
                let (scene, step, trouble) = (self.scene, self.number, self.trouble.clone());
                Err(Missed { scene, step, wanted, waited, trouble })
            }
            _ => Ok(()),
        }
    }

    /// Ends the scene: what is still to be checked cannot be.
    fn leave_rest(&mut self) {
        for step in std::mem::take(&mut self.steps) {
            if let Step::Check(_, _, part, _) | Step::Need(_, _, part, _) = step
                && self.checked.iter().all(|checked| checked.part != part)
            {
                self.checked.push(Checked { part, verdict: Verdict::NotTried });
            }
        }
    }

    /// Takes the first event of that kind; one event serves one step.
    fn take_seen(&mut self, wanted: Wanted) -> bool {
        let found = self.seen.iter().position(|what| wanted.is(what));
        found.is_some_and(|index| self.seen.remove(index).is_some())
    }

    fn finish(&mut self, order: Order) -> Order {
        self.advance();
        order
    }

    fn advance(&mut self) {
        self.steps.pop_front();
        self.number += 1;
        self.began = None;
    }
}

/// Where a scene is played: the simulated board, or a real one with a person in front of it.
pub trait Stage {
    /// Now, on the clock of the events.
    fn now(&self) -> Time;
    /// Presses the talk button.
    fn press(&mut self) -> anyhow::Result<()>;
    /// Releases the talk button.
    fn release(&mut self) -> anyhow::Result<()>;
    /// Begins to say a recording; answers when it will end.
    fn say(&mut self, sound: &'static str) -> anyhow::Result<Time>;
    /// Prints a sentence for the person.
    fn tell(&mut self, text: &str);
    /// The next event; none if none comes until `until`. An error if none can come any more.
    fn next_event(&mut self, until: Time) -> anyhow::Result<Option<Event>>;
}

/// Plays the scene to its end. Answers the checks that were made; an error is the step that was missed.
pub fn direct(scene: &Scene, stage: &mut dyn Stage) -> anyhow::Result<Vec<Checked>> {
    let mut director = Director::new(scene);
    loop {
        match director.poll_order(stage.now())? {
            Order::Press => stage.press()?,
            Order::Release => stage.release()?,
            Order::Say(sound) => {
                let until = stage.say(sound)?;
                director.handle_said(until);
            }
            Order::Tell(text) => stage.tell(&text),
            Order::Wait(until) => {
                if let Some(event) = stage.next_event(until)? {
                    director.handle_event(&event);
                }
            }
            Order::End => return Ok(director.checked().to_vec()),
        }
    }
}

#[cfg(test)]
mod tests;
