//! What both sides said, as the page shows it.

use std::collections::VecDeque;

use serde::Serialize;

use crate::flow::What;
use crate::units::Epoch;

/// Entries that are kept: more than a screen shows.
pub const CAPTIONS_MAX: usize = 50;
/// Bytes of one; an answer of ten minutes has less.
pub const CAPTION_BYTES_MAX: usize = 8000;

/// Who said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The user.
    User,
    /// The model.
    Model,
    /// The device itself.
    Device,
}

/// One thing that was said.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Caption {
    /// Rises by one; never used twice.
    pub n: u64,
    /// Who.
    pub by: By,
    /// What.
    pub text: String,
    /// Whether no more of it comes.
    pub is_whole: bool,
    /// The time of day at which it began.
    pub at: String,
}

/// The newest, in order.
#[derive(Debug, Default)]
pub struct Captions {
    entries: VecDeque<Caption>,
    last_n: u64,
    /// The present turn's entry of the user.
    user: Option<u64>,
    /// The model's turn, and its entry.
    reply: Option<(Epoch, u64)>,
    /// What was said goes out once more, and its words come once more.
    is_again: bool,
}

impl Captions {
    /// Takes what happened at this time of day. Answers whether anything is other than before.
    pub fn handle(&mut self, what: &What, at: &str) -> bool {
        match what {
            What::WindowOpened => {
                if !std::mem::take(&mut self.is_again) {
                    self.user_is_whole();
                    self.user = None;
                }
                true
            }
            What::UserText { text } => self.user_said(text, at),
            What::ModelText { epoch, text } => self.model_said(*epoch, text, at),
            What::ReplyStarted { .. } => self.user_is_whole(),
            What::ReplyGenerated { epoch } => self.reply_is_whole(Some(*epoch), ""),
            What::ReplyCut { epoch, .. } => self.reply_is_whole(Some(*epoch), " …"),
            What::TurnOver { .. } => self.user_is_whole() | self.reply_is_whole(None, ""),
            What::ReplyLost { epoch, is_asked_again, .. } => {
                self.is_again = *is_asked_again;
                if let Some(epoch) = epoch {
                    self.reply_is_whole(Some(*epoch), " …");
                }
                if !is_asked_again {
                    self.device_says("The answer did not come. Please ask again.", at);
                }
                true
            }
            What::SpeechLost { .. } => self.device_says("Something that was said is lost. Please say it again.", at),
            What::DaySpent { why } => self.device_says(why, at),
            What::Ringing { is_ringing: true } => self.device_says("A timer or an alarm rings.", at),
            What::Recording { job: Some(_) } => self.device_says("What is said and seen is recorded.", at),
            _ => false,
        }
    }

    /// The device says something of its own.
    pub fn device_says(&mut self, text: &str, at: &str) -> bool {
        let is_said = self.entries.back().is_some_and(|last| last.by == By::Device && last.text == text);
        if !is_said {
            let n = self.begin(By::Device, at);
            self.append(n, text);
            self.whole(n, "");
        }
        !is_said
    }

    /// All of them.
    pub fn all(&self) -> &VecDeque<Caption> {
        &self.entries
    }

    /// Forgets them; numbers go on.
    pub fn wipe(&mut self) {
        *self = Captions { last_n: self.last_n, ..Captions::default() };
    }

    fn user_said(&mut self, text: &str, at: &str) -> bool {
        if text.is_empty() {
            return false;
        }
        let n = match self.user.filter(|n| self.entry(*n).is_some()) {
            Some(n) => n,
            None => self.begin(By::User, at),
        };
        self.user = Some(n);
        if let Some(entry) = self.entry(n) {
            entry.text.clear(); // it is all of the turn so far
        }
        self.append(n, text);
        true
    }

    fn model_said(&mut self, epoch: Epoch, text: &str, at: &str) -> bool {
        let n = match self.reply.filter(|(known, n)| *known == epoch && self.entries.iter().any(|e| e.n == *n)) {
            Some((_, n)) => n,
            None => {
                self.reply_is_whole(None, "");
                self.begin(By::Model, at)
            }
        };
        self.reply = Some((epoch, n));
        self.append(n, text);
        true
    }

    fn user_is_whole(&mut self) -> bool {
        self.user.is_some_and(|n| self.whole(n, ""))
    }

    fn reply_is_whole(&mut self, epoch: Option<Epoch>, more: &str) -> bool {
        match self.reply {
            Some((known, n)) if epoch.is_none_or(|epoch| epoch == known) => self.whole(n, more),
            _ => false,
        }
    }

    fn entry(&mut self, n: u64) -> Option<&mut Caption> {
        self.entries.iter_mut().rev().find(|entry| entry.n == n)
    }

    fn begin(&mut self, by: By, at: &str) -> u64 {
        if self.entries.len() == CAPTIONS_MAX {
            self.entries.pop_front();
        }
        self.last_n += 1;
        let entry = Caption { n: self.last_n, by, text: String::new(), is_whole: false, at: at.to_string() };
        self.entries.push_back(entry);
        self.last_n
    }

    fn append(&mut self, n: u64, more: &str) {
        if let Some(entry) = self.entry(n) {
            let room = CAPTION_BYTES_MAX.saturating_sub(entry.text.len());
            entry.text.push_str(&more[..more.floor_char_boundary(room)]);
        }
    }

    fn whole(&mut self, n: u64, more: &str) -> bool {
        let Some(entry) = self.entry(n).filter(|entry| !entry.is_whole) else { return false };
        entry.is_whole = true;
        entry.text.push_str(more);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(events: &[What]) -> Vec<(By, String, bool)> {
        let mut captions = Captions::default();
        for what in events {
            captions.handle(what, "14:03:10");
        }
        captions.all().iter().map(|entry| (entry.by, entry.text.clone(), entry.is_whole)).collect()
    }

    fn user(text: &str) -> What {
        What::UserText { text: text.into() }
    }

    fn model(epoch: u32, text: &str) -> What {
        What::ModelText { epoch: Epoch(epoch), text: text.into() }
    }

    #[test]
    fn words_of_a_turn_grow_in_one_entry_and_end_with_the_turn() {
        let events = [What::WindowOpened, user("turn"), user("turn it on"), model(1, "It is "), model(1, "on.")];
        assert_eq!(told(&events), [(By::User, "turn it on".into(), false), (By::Model, "It is on.".into(), false)]);
        let over: Vec<What> = events.into_iter().chain([What::TurnOver { reason: None }]).collect();
        assert!(told(&over).iter().all(|(_, _, is_whole)| *is_whole));
    }

    #[test]
    fn a_late_word_of_the_user_stays_in_its_turn_and_a_new_turn_is_a_new_entry() {
        let events = [
            What::WindowOpened,
            user("who"),
            What::ReplyStarted { epoch: Epoch(1) },
            model(1, "I am"),
            user("who are you"),
            What::ReplyCut { epoch: Epoch(1), received_ms: 9, by_user: true },
            What::WindowOpened,
            user("stop"),
        ];
        let texts: Vec<String> = told(&events).into_iter().map(|(_, text, _)| text).collect();
        assert_eq!(texts, ["who are you", "I am …", "stop"]);
    }

    #[test]
    fn what_is_asked_again_is_shown_once() {
        let lost = What::ReplyLost { epoch: None, why: "x".into(), is_asked_again: true };
        let events = [What::WindowOpened, user("what time is it"), lost, What::WindowOpened, user("what time")];
        assert_eq!(told(&events), [(By::User, "what time".into(), false)]);
    }

    #[test]
    fn there_are_never_too_many_nor_too_long_ones_and_a_wipe_leaves_no_word() {
        let mut captions = Captions::default();
        for _ in 0..200 {
            captions.handle(&What::WindowOpened, "");
            captions.handle(&user(&"é".repeat(CAPTION_BYTES_MAX)), "");
        }
        assert_eq!(captions.all().len(), CAPTIONS_MAX);
        assert!(captions.all().iter().all(|entry| entry.text.len() <= CAPTION_BYTES_MAX));
        captions.wipe();
        assert!(captions.all().is_empty());
        captions.handle(&user("x"), "");
        assert_eq!(captions.all()[0].n, 201);
    }
}
