//! Whose go it is on the model's side, and which of the server's messages still mean anything.
//!
//! A turn that the user cut lives on in the network: more of its audio, then `interrupted`, then
//! `turnComplete` (live-protocol.md 5.2, 5.4). They must neither be heard nor end the *new* turn. So each cut
//! turn leaves a **stale boundary** behind: one `turnComplete` that is swallowed, with everything before it.
//! The server may also have ended the turn while our `activityStart` was under way; then the pair never
//! comes, but the turn's own `turnComplete` does, and it is the same one boundary.

use std::time::Duration;

use super::timers::{Reason, Timers};
use crate::flow::SPEAKER_QUEUE_MS;
use crate::live::models::TurnEnd;
use crate::units::{Epoch, Time};

/// The model's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// Nothing is expected.
    Idle,
    /// The user's turn ended at this time; nothing came yet. `is_wanted`: false for a mistaken press.
    Awaited {
        /// When.
        since: Time,
        /// Whether the answer is to be heard.
        is_wanted: bool,
    },
    /// Content comes.
    Replying {
        /// Its epoch.
        epoch: Epoch,
        /// Cut here (or never wanted): what comes is dropped.
        is_cut: bool,
    },
    /// `generationComplete` came, `turnComplete` not yet.
    Generated {
        /// Its epoch.
        epoch: Epoch,
        /// As above.
        is_cut: bool,
    },
}

/// What to do with content that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// It belongs to this turn.
    Of {
        /// The turn.
        epoch: Epoch,
    },
    /// It belongs to a turn that was cut, and the server knows: drop it.
    Stale,
    /// It belongs to a turn that is cut here only (a press that led to no window): drop it, but the model is
    /// still at it.
    Cut,
}

/// What the user does while content comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// Nothing, or a press that is no window yet.
    Listening,
    /// A window waits for its `activityStart` (the gap, the pace): the server knows nothing of it, but the user
    /// is not to be spoken over.
    AboutToSpeak,
    /// A window is open on the wire.
    Speaking,
}

/// What `interrupted` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupted {
    /// The server cuts this turn: silence it.
    Reply(Epoch),
    /// It cuts no turn that goes on here; sound of one that is over may still be playing.
    Other,
    /// A turn that was cut here before: nothing to do.
    Stale,
}

/// The machine.
#[derive(Debug)]
pub struct Turn {
    model: Model,
    newest: Epoch,
    /// `turnComplete`s of cut turns that must still come.
    stale_sure: u8,
    /// `interrupted`/`turnComplete` pairs that may come: the cut turn had shown no sign of life.
    stale_maybe: u8,
    /// `interrupted` came: the next `turnComplete` is the cut turn's, whatever it says of more to come.
    is_boundary_next: bool,
    /// A tool's result went out after its turn was over: more is to be expected, but may not come.
    is_owed: bool,
    /// An answer that nobody wants was waited for in vain: it, or its rest, may still come.
    is_unwanted_owed: bool,
    terms: Terms,
}

/// How long it is waited, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What ends the model's turn.
    pub turn_end: TurnEnd,
    /// From the end of the user's turn to the first sign of life.
    pub answer_timeout: Duration,
    /// No content for this long in mid-reply: it is over.
    pub progress_timeout: Duration,
}

/// A cut turn's end comes with the next few messages; one that does not come within this is given up.
const STALE_TIMEOUT: Duration = Duration::from_secs(2);

impl Turn {
    /// Idle.
    pub fn new(terms: Terms) -> Turn {
        Turn {
            model: Model::Idle,
            newest: Epoch(0),
            stale_sure: 0,
            stale_maybe: 0,
            is_boundary_next: false,
            is_owed: false,
            is_unwanted_owed: false,
            terms,
        }
    }

    /// Another model's terms.
    pub fn set_terms(&mut self, terms: Terms) {
        self.terms = terms;
    }

    /// From `generationComplete` to `turnComplete`: the server may wait until all of it must have been heard,
    /// which is [`SPEAKER_QUEUE_MS`] at most, and then as long as for any other progress.
    fn complete_timeout(&self) -> Duration {
        Duration::from_millis(SPEAKER_QUEUE_MS).saturating_add(self.terms.progress_timeout)
    }

    /// The epoch of a turn that is not the model's: what the model says next has a larger one.
    pub fn new_epoch(&mut self) -> Epoch {
        self.newest = self.newest.next();
        self.newest
    }

    /// Where the model is.
    pub fn model(&self) -> Model {
        self.model
    }

    /// Whether nothing is expected of the model, nor hoped for.
    pub fn is_idle(&self) -> bool {
        self.model == Model::Idle && !self.is_owed
    }

    /// Whether the model is at a turn that has begun, and no older turn's end is outstanding.
    pub fn is_under_way(&self) -> bool {
        self.stale_sure == 0 && matches!(self.model, Model::Replying { .. } | Model::Generated { .. })
    }

    /// The turn whose content is being heard or expected to be heard.
    pub fn live_epoch(&self) -> Option<Epoch> {
        match self.model {
            Model::Replying { epoch, is_cut: false } | Model::Generated { epoch, is_cut: false } => Some(epoch),
            Model::Idle | Model::Awaited { .. } | Model::Replying { .. } | Model::Generated { .. } => None,
        }
    }

    /// The user cuts what the model says (press or voice). Answers the turn that was cut, once.
    pub fn cut(&mut self) -> Option<Epoch> {
        let epoch = self.live_epoch()?;
        match &mut self.model {
            Model::Replying { is_cut, .. } | Model::Generated { is_cut, .. } => *is_cut = true,
            Model::Idle | Model::Awaited { .. } => {}
        }
        Some(epoch)
    }

    /// `activityStart` goes out.
    pub fn window_started(&mut self, timers: &mut Timers) {
        let was_unwanted_owed = std::mem::take(&mut self.is_unwanted_owed);
        match self.model {
            Model::Idle if !was_unwanted_owed => {}
            Model::Idle | Model::Awaited { .. } => self.stale_maybe = self.stale_maybe.saturating_add(1),
            Model::Replying { .. } | Model::Generated { .. } => self.stale_sure = self.stale_sure.saturating_add(1),
        }
        self.model = Model::Idle;
        self.is_owed = false;
        timers.clear(Reason::Answer);
        timers.clear(Reason::Progress);
        timers.clear(Reason::Stale);
    }

    /// `activityEnd` went out.
    pub fn window_ended(&mut self, is_wanted: bool, now: Time, timers: &mut Timers) {
        self.is_owed = false;
        self.model = Model::Awaited { since: now, is_wanted };
        timers.set(Reason::Answer, now + self.terms.answer_timeout);
        // Of a mistaken press nobody waits for anything: there the end of the turn that was cut may come as late as it likes.
        if self.stale_sure > 0 && is_wanted {
            timers.set(Reason::Stale, now + STALE_TIMEOUT);
        }
    }

    /// The model was asked something in words.
    pub fn asked_in_words(&mut self, now: Time, timers: &mut Timers) {
        self.window_ended(true, now, timers);
    }

    /// Content came: whose is it?
    pub fn content(&mut self, user: User, now: Time, timers: &mut Timers) -> Content {
        if user == User::Speaking {
            // With manual windows the server answers at their end; what comes before is of an older turn, and
            // what began it must still end it.
            if self.stale_sure == 0 {
                self.stale_sure = 1;
                self.stale_maybe = self.stale_maybe.saturating_sub(1);
            }
        }
        if self.stale_sure > 0 {
            if timers.is_set(Reason::Stale) {
                // On a slow network more of the cut turn is under way, and its end behind it: not to be given up.
                timers.set(Reason::Stale, now + STALE_TIMEOUT);
            }
            return Content::Stale;
        }
        timers.clear(Reason::Answer);
        timers.set(Reason::Progress, now + self.terms.progress_timeout);
        let is_wanted = match self.model {
            Model::Replying { is_cut: true, .. } | Model::Generated { is_cut: true, .. } => return Content::Cut,
            Model::Replying { epoch, .. } => return Content::Of { epoch },
            // More after generationComplete (a tool's answer in the same turn) has an epoch of its own: the
            // speaker was told that nothing more comes of the first.
            Model::Generated { .. } => true,
            // Where a tool's result is to be told, too, nothing tells the two apart; better heard in vain than lost.
            Model::Idle => self.is_owed || !self.is_unwanted_owed,
            Model::Awaited { is_wanted, .. } => is_wanted,
        } && user == User::Listening;
        self.stale_maybe = 0;
        self.is_owed = false;
        self.is_unwanted_owed = false;
        self.newest = self.newest.next();
        self.model = Model::Replying { epoch: self.newest, is_cut: !is_wanted };
        if is_wanted { Content::Of { epoch: self.newest } } else { Content::Cut }
    }

    /// `interrupted`.
    pub fn interrupted(&mut self, now: Time, timers: &mut Timers) -> Interrupted {
        self.is_boundary_next = true;
        if self.stale_sure > 0 {
            if timers.is_set(Reason::Stale) {
                timers.set(Reason::Stale, now + STALE_TIMEOUT); // its end is sure to follow
            }
            return Interrupted::Stale;
        }
        // Its `turnComplete` follows; an `interrupted` with no reply under way is the tail of an older turn, and
        // must not end the one that is awaited (langwatch/scenario #360).
        self.stale_sure = 1;
        timers.set(Reason::Stale, now + STALE_TIMEOUT);
        if self.stale_maybe > 0 {
            self.stale_maybe -= 1; // now it is sure that the pair comes
            return Interrupted::Stale;
        }
        let (Model::Replying { epoch, is_cut } | Model::Generated { epoch, is_cut }) = self.model else {
            return Interrupted::Other;
        };
        timers.clear(Reason::Progress);
        self.model = Model::Idle;
        if is_cut { Interrupted::Stale } else { Interrupted::Reply(epoch) }
    }

    /// `generationComplete`. Answers the turn of which no more sound comes.
    pub fn generated(&mut self, now: Time, timers: &mut Timers) -> Option<Epoch> {
        let Model::Replying { epoch, is_cut } = self.model else { return None };
        if self.stale_sure > 0 {
            return None;
        }
        timers.set(Reason::Progress, now + self.complete_timeout());
        self.model = Model::Generated { epoch, is_cut };
        (!is_cut).then_some(epoch)
    }

    /// Whether the end of a turn that was cut must still come, and not even its `interrupted` has.
    ///
    /// Until then a `turnComplete` of extended thinking may be that of a filler, which was under way.
    pub fn awaits_interrupted(&self) -> bool {
        self.stale_sure > 0 && !self.is_boundary_next
    }

    /// `turnComplete`.
    pub fn complete(&mut self, user: User, is_more_coming: bool, now: Time, timers: &mut Timers) -> Completed {
        self.is_boundary_next = false;
        if self.stale_sure > 0 {
            self.stale_sure -= 1;
            if self.stale_sure == 0 {
                timers.clear(Reason::Stale);
            }
            return Completed::Stale;
        }
        if user == User::Speaking && self.stale_maybe > 0 {
            self.stale_maybe -= 1;
            return Completed::Stale;
        }
        let (epoch, is_cut) = match self.model {
            Model::Idle => {
                self.is_unwanted_owed = false;
                if std::mem::take(&mut self.is_owed) {
                    timers.clear(Reason::Answer);
                }
                return Completed::Stale;
            }
            Model::Awaited { .. } => (None, false),
            Model::Replying { epoch, is_cut } => (Some(epoch), is_cut),
            Model::Generated { is_cut, .. } => (None, is_cut),
        };
        if is_more_coming && self.terms.turn_end == TurnEnd::InteractionIdle {
            // A sign of life; what it says next has an epoch of its own, because the filler's end is told.
            timers.clear(Reason::Answer);
            timers.set(Reason::Progress, now + self.terms.progress_timeout);
            if let Some(epoch) = epoch {
                self.model = Model::Generated { epoch, is_cut };
            }
            return Completed::Pause { epoch: epoch.filter(|_| !is_cut) };
        }
        timers.clear(Reason::Answer);
        timers.clear(Reason::Progress);
        self.model = Model::Idle;
        Completed::Over { epoch: epoch.filter(|_| !is_cut) }
    }

    /// A tool is at work on the model's behalf: it may take its own time to answer.
    pub fn working(&mut self, timers: &mut Timers) {
        timers.clear(Reason::Answer);
        timers.clear(Reason::Progress);
    }

    /// The last result of a tool went out, or was taken back: it is the model's go again.
    pub fn worked(&mut self, now: Time, timers: &mut Timers) {
        match self.model {
            Model::Replying { .. } => timers.set(Reason::Progress, now + self.terms.progress_timeout),
            Model::Generated { .. } => timers.set(Reason::Progress, now + self.complete_timeout()),
            // There was a sign of life before, and nothing of the answer yet.
            Model::Awaited { .. } if !timers.is_set(Reason::Answer) => {
                timers.set(Reason::Progress, now + self.terms.progress_timeout);
            }
            Model::Idle | Model::Awaited { .. } => {}
        }
    }

    /// The last result went out while nobody speaks. A call that does not block the model outlives its turn, and
    /// what it then says of the result is a turn of its own; it may also find nothing to say.
    pub fn result_given(&mut self, now: Time, timers: &mut Timers) {
        if self.model == Model::Idle {
            self.is_owed = true;
            timers.set(Reason::Answer, now + self.terms.answer_timeout);
        }
    }

    /// [`Reason::Answer`] or [`Reason::Progress`] passed: the turn is given up.
    pub fn given_up(&mut self) -> GivenUp {
        self.is_owed = false;
        // What nobody wants may come, or go on, after any time.
        self.is_unwanted_owed |= match self.model {
            Model::Awaited { is_wanted, .. } => !is_wanted,
            Model::Replying { is_cut, .. } | Model::Generated { is_cut, .. } => is_cut,
            Model::Idle => false,
        };
        match std::mem::replace(&mut self.model, Model::Idle) {
            Model::Awaited { since, is_wanted: true } => GivenUp::Unanswered { since },
            Model::Replying { epoch, is_cut: false } | Model::Generated { epoch, is_cut: false } => {
                GivenUp::Unfinished { epoch }
            }
            Model::Idle | Model::Awaited { .. } | Model::Replying { .. } | Model::Generated { .. } => GivenUp::Unwanted,
        }
    }

    /// [`Reason::Stale`] passed: the boundary is not coming, and what comes is the new turn's.
    pub fn stale_given_up(&mut self) {
        self.stale_sure = 0;
        self.stale_maybe = 0;
        self.is_boundary_next = false;
    }

    /// The connection ended, and with it the model's turn. Answers what of it is missing.
    pub fn link_lost(&mut self, timers: &mut Timers) -> Missing {
        for reason in [Reason::Answer, Reason::Progress, Reason::Stale, Reason::Stuck] {
            timers.clear(reason);
        }
        self.stale_given_up();
        self.is_unwanted_owed = false;
        let is_filler = self.terms.turn_end == TurnEnd::InteractionIdle;
        let was_owed = std::mem::take(&mut self.is_owed);
        match std::mem::replace(&mut self.model, Model::Idle) {
            Model::Awaited { is_wanted: true, .. } => Missing::All,
            Model::Idle if was_owed => Missing::All,
            Model::Replying { epoch, is_cut: false } => Missing::Rest { epoch },
            Model::Generated { epoch, is_cut: false } if is_filler => Missing::Rest { epoch },
            Model::Generated { is_cut: false, .. } => Missing::End,
            Model::Idle | Model::Awaited { .. } | Model::Replying { .. } | Model::Generated { .. } => Missing::Nothing,
        }
    }
}

/// What of the model's turn did not come before the connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Nothing that anyone waits for.
    Nothing,
    /// Only the word that the turn is over.
    End,
    /// The whole answer.
    All,
    /// The rest of this turn.
    Rest {
        /// The turn.
        epoch: Epoch,
    },
}

/// What was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenUp {
    /// An answer that never began.
    Unanswered {
        /// When the user's turn ended.
        since: Time,
    },
    /// A reply that stopped coming.
    Unfinished {
        /// The turn.
        epoch: Epoch,
    },
    /// Nothing that anyone waits for.
    Unwanted,
}

/// What `turnComplete` ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completed {
    /// A turn that was cut before: nothing to do.
    Stale,
    /// The model's turn; no more sound comes for `epoch`, where `generationComplete` had not said so before.
    Over {
        /// The turn.
        epoch: Option<Epoch>,
    },
    /// A filler of a model that goes on thinking.
    Pause {
        /// The turn.
        epoch: Option<Epoch>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn() -> (Turn, Timers) {
        let terms = Terms {
            turn_end: TurnEnd::TurnComplete,
            answer_timeout: Duration::from_secs(8),
            progress_timeout: Duration::from_secs(15),
        };
        (Turn::new(terms), Timers::default())
    }

    #[test]
    fn a_turn_that_is_over_by_itself_leaves_no_boundary() {
        let (mut turn, mut timers) = turn();
        let now = Time::from_ms(5);
        assert_eq!(turn.content(User::Listening, now, &mut timers), Content::Of { epoch: Epoch(1) });
        assert_eq!(
            turn.complete(User::Listening, false, now, &mut timers),
            Completed::Over { epoch: Some(Epoch(1)) },
            "no generationComplete told the end of its sound"
        );
        turn.window_started(&mut timers);
        turn.window_ended(true, now, &mut timers);
        assert_eq!(turn.content(User::Listening, now, &mut timers), Content::Of { epoch: Epoch(2) });
    }

    #[test]
    fn two_turns_cut_one_after_the_other_leave_two_boundaries() {
        let (mut turn, mut timers) = turn();
        let now = Time::from_ms(5);
        turn.content(User::Listening, now, &mut timers);
        assert_eq!(turn.cut(), Some(Epoch(1)));
        assert_eq!(turn.cut(), None, "it is cut once");
        turn.window_started(&mut timers);
        turn.window_ended(true, now, &mut timers);
        // The second turn is cut before anything of it came.
        turn.window_started(&mut timers);
        assert_eq!(turn.interrupted(now, &mut timers), Interrupted::Stale);
        assert_eq!(turn.complete(User::Speaking, true, now, &mut timers), Completed::Stale);
        assert_eq!(turn.interrupted(now, &mut timers), Interrupted::Stale);
        turn.window_ended(true, now, &mut timers);
        assert_eq!(turn.complete(User::Listening, true, now, &mut timers), Completed::Stale);
        assert_eq!(turn.content(User::Listening, now, &mut timers), Content::Of { epoch: Epoch(2) });
    }

    #[test]
    fn nothing_is_spoken_over_a_user_who_is_about_to_speak() {
        let (mut turn, mut timers) = turn();
        let now = Time::from_ms(5);
        turn.window_ended(true, now, &mut timers);
        assert_eq!(turn.content(User::AboutToSpeak, now, &mut timers), Content::Cut);
        assert_eq!(turn.content(User::Listening, now, &mut timers), Content::Cut, "nor its rest after all");
        assert_eq!(turn.live_epoch(), None);
    }

    #[test]
    fn what_is_given_up_tells_who_waited() {
        let (mut turn, mut timers) = turn();
        let now = Time::from_ms(5);
        turn.window_ended(true, now, &mut timers);
        assert_eq!(turn.given_up(), GivenUp::Unanswered { since: now });
        turn.window_ended(false, now, &mut timers);
        assert_eq!(turn.given_up(), GivenUp::Unwanted);
        turn.complete(User::Listening, false, now, &mut timers);
        turn.content(User::Listening, now, &mut timers);
        assert_eq!(turn.given_up(), GivenUp::Unfinished { epoch: Epoch(1) });
        assert_eq!(turn.given_up(), GivenUp::Unwanted);
    }

    #[test]
    fn an_unwanted_answer_that_was_given_up_is_not_heard_when_it_comes_after_all() {
        let (mut turn, mut timers) = turn();
        let now = Time::from_ms(5);
        turn.window_ended(false, now, &mut timers);
        turn.given_up();
        assert!(turn.is_idle(), "nobody waits for it");
        assert_eq!(turn.content(User::Listening, now, &mut timers), Content::Cut);
        assert_eq!(turn.given_up(), GivenUp::Unwanted);
        assert_eq!(turn.content(User::Listening, now, &mut timers), Content::Cut, "nor its rest");
        turn.complete(User::Listening, false, now, &mut timers);
        assert_eq!(turn.content(User::Listening, now, &mut timers), Content::Of { epoch: Epoch(3) });
    }

    #[test]
    fn an_unwanted_answer_that_was_given_up_may_be_cut_by_the_next_window() {
        let (mut turn, mut timers) = turn();
        let now = Time::from_ms(5);
        turn.window_ended(false, now, &mut timers);
        turn.given_up();
        turn.window_started(&mut timers);
        turn.window_ended(true, now, &mut timers);
        // Its end overtook the new window.
        assert_eq!(turn.interrupted(now, &mut timers), Interrupted::Stale);
        assert_eq!(turn.complete(User::Listening, true, now, &mut timers), Completed::Stale);
        assert!(matches!(turn.model(), Model::Awaited { is_wanted: true, .. }), "the new answer is still waited for");
        assert_eq!(turn.content(User::Listening, now, &mut timers), Content::Of { epoch: Epoch(1) });
    }

    #[test]
    fn what_a_result_leads_to_is_heard_though_an_unwanted_answer_may_still_come() {
        let (mut turn, mut timers) = turn();
        let now = Time::from_ms(5);
        turn.window_ended(false, now, &mut timers);
        turn.given_up();
        turn.result_given(now, &mut timers);
        assert_eq!(turn.content(User::Listening, now, &mut timers), Content::Of { epoch: Epoch(1) });
    }
}
