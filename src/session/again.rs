//! What a reply that broke off, or never came, leads to: the question is asked again, once.
//!
//! Where no tool was called for it, the user's own voice is sent again: it works whatever the service remembers.
//! Where one was, asking with the voice might switch the lamp twice; then the model is asked in words, and told
//! what was done. What cannot be asked again is reported lost, by a sound and an event.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Session;
use super::playback::State;
use super::uplink::KEPT_FOR;
use crate::flow::{Cue, What};
use crate::live::client::Message;
use crate::units::{CallId, Epoch, Time};

/// An answer of which nothing came is asked for as often as this: a network that comes and goes takes several
/// connections.
pub const UNANSWERED_MAX: u8 = 3;
/// A reply of which something came is asked for again once: the user has heard its beginning.
const BROKEN_OFF_MAX: u8 = 1;
/// Tools of one turn whose outcome is told.
const DEEDS_MAX: usize = 16;
/// Bytes of an outcome that are told: enough for a state and a number.
const OUTCOME_MAX: usize = 300;

/// What is known of the question that is being answered.
#[derive(Debug, Default)]
pub struct Again {
    tries: u8,
    /// Calls that were begun for it, not for an older question, and not taken back.
    begun: BTreeSet<CallId>,
    /// Tools that were called for it, each with its outcome.
    deeds: Vec<String>,
    /// To be asked in words when there is a connection; since this time.
    words_since: Option<Time>,
    /// To be sounded when this turn has been heard as far as it came.
    cue_after: Option<(Epoch, Cue)>,
}

impl Again {
    /// The user asks something new.
    pub fn forget(&mut self) {
        *self = Again { cue_after: self.cue_after.take(), ..Again::default() };
    }

    /// The question was answered, but for what calls that are still open lead to.
    pub fn answered(&mut self, is_open: impl Fn(&CallId) -> bool) {
        let mut begun = std::mem::take(&mut self.begun);
        begun.retain(is_open);
        self.forget();
        self.begun = begun;
    }

    /// The user speaks before it could be asked again: then what they say now counts.
    pub fn dropped(&mut self) {
        self.words_since = None;
        self.cue_after = None;
    }

    /// A tool is called for the question.
    pub fn begun(&mut self, id: CallId) {
        if self.begun.len() < DEEDS_MAX {
            self.begun.insert(id);
        }
    }

    /// The service took the call back.
    pub fn taken_back(&mut self, id: &CallId) {
        self.begun.remove(id);
    }

    /// This came of a call. One that was begun for an older question says nothing about this one.
    pub fn done(&mut self, id: &CallId, name: &str, outcome: &str) {
        if self.begun.contains(id) && self.deeds.len() < DEEDS_MAX {
            self.deeds.push(format!("{name} ({outcome})"));
        }
    }

    /// Whether words wait for a connection.
    pub fn is_waiting(&self) -> bool {
        self.words_since.is_some()
    }

    /// Whether no answer was lost since the question began.
    pub fn is_calm(&self) -> bool {
        self.tries == 0
    }

    /// When the words that wait are too old to be asked: as old as speech may be.
    pub fn expires_at(&self) -> Option<Time> {
        self.words_since.map(|since| since + KEPT_FOR)
    }

    /// Drops words that are too old. Answers whether there were any.
    pub fn expire(&mut self, now: Time) -> bool {
        self.words_since.take_if(|since| *since + KEPT_FOR <= now).is_some()
    }
}

/// What became of a call, for the model.
pub fn outcome(result: Option<&Result<Value, String>>) -> String {
    let text = match result {
        Some(Ok(value)) => format!("done, result {value}"),
        Some(Err(why)) => format!("failed: {why}"),
        None => "begun and still under way".to_string(),
    };
    text[..text.floor_char_boundary(OUTCOME_MAX)].to_string()
}

impl Session {
    /// The service ended the turn without a word because it went wrong there: asked again on the same connection,
    /// where that was done less than `tries_max` times (live-protocol.md 7.4).
    pub(super) fn reply_refused(&mut self, reason: &str, tries_max: u8, now: Time) {
        if self.again.tries < tries_max && self.prepare_to_ask(false, now) {
            self.again.tries += 1;
            let why = format!("the service ended the turn without an answer ({reason})");
            self.event(What::ReplyLost { epoch: None, why, is_asked_again: true });
            self.ask_in_words(true, now);
            self.send_kept(now);
        } else {
            self.turn_over(Some(reason.to_string()), now);
            self.cue(Cue::Lost);
        }
    }

    /// The answer did not come (none), or broke off in this turn, because `why`.
    pub(super) fn reply_lost(&mut self, epoch: Option<Epoch>, why: &str, now: Time) {
        self.history.reply_lost();
        let tries_max = if epoch.is_some() { BROKEN_OFF_MAX } else { UNANSWERED_MAX };
        let is_asked_again = self.again.tries < tries_max && self.prepare_to_ask(epoch.is_some(), now);
        self.again.tries = self.again.tries.saturating_add(1);
        if !is_asked_again {
            self.uplink.answered();
            self.again.words_since = None;
        }
        self.event(What::ReplyLost { epoch, why: why.to_string(), is_asked_again });
        let cue = if is_asked_again { Cue::Again } else { Cue::Lost };
        match (epoch, self.playback.state()) {
            // What came of it is heard to its end; the sound says that there is more.
            (Some(epoch), State::Playing { epoch: playing, .. }) if playing == epoch => {
                self.again.cue_after = Some((epoch, cue));
            }
            // A question that goes out again before anybody noticed needs no sound.
            (None, _) if is_asked_again => {}
            _ => self.cue(cue),
        }
    }

    /// The answer, or its rest, is to be asked for with the voice or in words. False where neither can be.
    fn prepare_to_ask(&mut self, is_begun: bool, now: Time) -> bool {
        if self.again.begun.is_empty() && self.uplink.ask_again(now) {
            return true;
        }
        // Nobody knows any more what was asked, unless the service has told it, or has heard it: it began to answer.
        let is_heard = is_begun || !self.again.begun.is_empty();
        let is_known = (is_heard && self.resume.has_handle(now)) || !self.history.user_text().is_empty();
        self.again.words_since = is_known.then_some(now);
        is_known
    }

    /// Asks in words what is to be asked so. `is_known`: the service knows the question.
    pub(super) fn ask_in_words(&mut self, is_known: bool, now: Time) {
        // Who speaks already is not waiting for an older answer.
        if self.again.words_since.take().is_none() || !self.uplink.is_idle() {
            return;
        }
        let heard = self.history.user_text();
        if !is_known && heard.is_empty() {
            let why = "the service has lost the conversation in which it was asked".to_string();
            self.event(What::ReplyLost { epoch: None, why, is_asked_again: false });
            return self.cue(Cue::Lost);
        }
        let mut text = "The connection broke before your answer was heard to its end.".to_string();
        if !heard.is_empty() {
            text += &format!(" The user had said: \"{heard}\".");
        }
        if !self.again.deeds.is_empty() {
            let deeds = self.again.deeds.join("; ");
            text += &format!(" These functions were called for it already, do not call them again: {deeds}.");
        }
        self.send(Message::Text(text + " Give your answer again, from its beginning."));
        self.replay.over();
        self.turn.asked_in_words(now, &mut self.timers);
    }

    /// A turn has been heard as far as it came.
    pub(super) fn cue_after(&mut self, epoch: Epoch) {
        if let Some((_, cue)) = self.again.cue_after.take_if(|(of, _)| *of <= epoch) {
            self.cue(cue);
        }
    }
}
