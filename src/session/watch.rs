//! The watch: every deadline of the one table with what it leads to, and when each is set.

use std::time::Duration;

use super::timers::Reason;
use super::turn::{GivenUp, Model};
use super::{Output, Session, playback, uplink};
use crate::config::agent::Connection;
use crate::flow::{Closed, Cue, LinkOrder, ToolOrder, What};
use crate::live::models::TurnEnd;
use crate::units::Time;

/// Silence of the service after which it is asked for a sign of life, while somebody talks or waits …
const QUIET_BUSY: Duration = Duration::from_secs(5);
/// … and while nobody does.
const QUIET_IDLE: Duration = Duration::from_secs(30);
/// Anything that comes counts, whatever it is; nothing at all for this long after asking is a dead connection.
const ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Somebody speaks, and there is no connection for this long: they want to know.
const OFFLINE_AFTER: Duration = Duration::from_secs(2);
/// All of a turn was generated and heard, and its end does not come (live-protocol.md 11).
const STUCK_TIMEOUT: Duration = Duration::from_secs(5);
/// More than the loudspeaker still had to say. A device that was pulled out is back within it, or is gone.
const DRAIN_MARGIN: Duration = Duration::from_secs(10);

impl Session {
    /// Sets and clears what follows from how things stand now.
    pub(super) fn settle(&mut self, now: Time) {
        self.hold_back(now);
        self.leave_at_boundary(now);
        self.rest_if_spent(now);
        self.tell_notice(now);
        self.end_if_wanted(now);
        self.watch_idle(now);
        self.watch_quiet(now);
        self.watch_offline(now);
        self.watch_kept(now);
        self.watch_playback(now);
        self.watch_thinking(now);
        self.watch_follow_up();
        self.watch_sight(now);
    }

    /// Models that stall on sound in mid-call get none: what is said meanwhile is kept.
    fn hold_back(&mut self, now: Time) {
        let is_held = !self.model.hears_during_call && self.calls.is_blocking_open();
        if self.uplink.hold(is_held) && !is_held {
            self.send_kept(now);
        }
    }

    /// The day's limit: what is under way is brought to its end, then it is said, and the connection closed.
    fn rest_if_spent(&mut self, now: Time) {
        if self.is_spent_told || !self.is_idle() {
            return;
        }
        let Some(why) = self.account.spent() else { return };
        self.is_spent_told = true;
        self.spent_cue_at = Some(now);
        self.event(What::DaySpent { why });
        self.cue(Cue::Spent);
        self.close_link(Closed::Spent, now);
    }

    fn watch_idle(&mut self, now: Time) {
        let is_on_demand = self.agent.session.connection == Connection::OnDemand;
        if is_on_demand && self.link.is_ready() && self.is_idle() {
            let idle = Duration::from_secs(u64::from(self.agent.session.idle_close_s));
            self.timers.start(Reason::Idle, now + idle);
        } else {
            self.timers.clear(Reason::Idle);
        }
    }

    fn watch_quiet(&mut self, now: Time) {
        if !self.link.is_ready() {
            return self.timers.clear(Reason::Quiet);
        }
        let quiet = if self.is_idle() { QUIET_IDLE } else { QUIET_BUSY };
        let at = match self.pinged_at {
            Some(at) => at + ALIVE_TIMEOUT,
            None => self.heard_at + quiet,
        };
        // What was quiet enough while nobody talked is not when somebody begins: ask now, but not in the past.
        self.timers.set(Reason::Quiet, at.max(now + Duration::from_millis(1)));
    }

    fn watch_offline(&mut self, now: Time) {
        if self.link.is_ready() || self.uplink.is_idle() {
            self.timers.clear(Reason::Offline);
            self.is_offline_told = false;
        } else if !self.is_offline_told {
            self.timers.start(Reason::Offline, now + OFFLINE_AFTER);
        }
    }

    fn watch_kept(&mut self, now: Time) {
        let words = self.again.expires_at().into_iter().chain(self.notices.expires_at());
        match self.uplink.expires_at().into_iter().chain(words).min() {
            Some(at) => self.timers.set(Reason::Kept, at.max(now + Duration::from_millis(1))),
            None => self.timers.clear(Reason::Kept),
        }
    }

    fn watch_playback(&mut self, now: Time) {
        match self.playback.left_ms().filter(|_| !self.hold.is_on()) {
            Some(left) => self.timers.start(Reason::Drain, now + Duration::from_millis(left) + DRAIN_MARGIN),
            None => self.timers.clear(Reason::Drain),
        }
        let is_stuck = matches!(self.turn.model(), Model::Generated { .. })
            && self.model.turn_end == TurnEnd::TurnComplete
            && self.playback.state() == playback::State::Silent
            && !self.calls.is_any_open();
        if is_stuck {
            self.timers.start(Reason::Stuck, now + STUCK_TIMEOUT);
        } else {
            self.timers.clear(Reason::Stuck);
        }
    }

    pub(super) fn handle_due(&mut self, reason: Reason, now: Time) {
        match reason {
            Reason::Reconnect if self.needs_link() => self.open_link(now),
            Reason::Reconnect => self.link.rest(),
            Reason::Setup => {
                let change = self.link.setup_timed_out(now, &mut self.timers);
                self.apply(change, now);
            }
            Reason::CatchUp => self.send_kept(now),
            Reason::Kept => self.expire(now),
            Reason::Offline => {
                self.is_offline_told = true;
                self.cue(Cue::Offline);
            }
            Reason::Answer | Reason::Progress => self.answer_due(now),
            Reason::Stuck => {
                self.turn.given_up();
                self.turn_over(Some("the service did not say that the turn is over".into()), now);
            }
            Reason::Drain => self.drain_due(),
            Reason::Stale => self.turn.stale_given_up(),
            Reason::Call => self.calls_due(now),
            Reason::Quiet => self.quiet_due(now),
            Reason::Idle => self.close_link(Closed::Idle, now),
            Reason::Leave => self.leave_due(now),
            Reason::Thinking => self.thinking_due(now),
            Reason::Still => {}
            Reason::Ring => self.ring_due(now),
            Reason::Held => self.press_was_nothing(),
        }
    }

    fn expire(&mut self, now: Time) {
        let why = format!("it could not be sent within {} s", uplink::KEPT_FOR.as_secs());
        let ms = self.uplink.expire(now);
        if ms > 0 {
            self.event(What::SpeechLost { ms, why: why.clone() });
        }
        for _ in 0..self.notices.expire(now) {
            self.notice_lost("there was no moment to tell it in time");
        }
        let are_words_lost = self.again.expire(now);
        if are_words_lost {
            self.event(What::ReplyLost { epoch: None, why, is_asked_again: false });
        }
        if ms > 0 || are_words_lost {
            self.cue(Cue::Lost);
        }
    }

    /// The service owes an answer, or the rest of one. A connection on which nothing comes is not worth keeping.
    fn answer_due(&mut self, now: Time) {
        let why = match self.turn.model() {
            Model::Awaited { since, is_wanted: true } => {
                self.event(What::NoAnswer { waited_ms: now.since(since).as_millis() as u64 });
                "the service did not answer"
            }
            Model::Replying { is_cut: false, .. } => "the service began a reply and did not end it",
            Model::Generated { is_cut: false, .. } if self.model.turn_end == TurnEnd::InteractionIdle => {
                "the service was to say more and did not"
            }
            Model::Idle | Model::Awaited { .. } | Model::Replying { .. } | Model::Generated { .. } => {
                if let GivenUp::Unfinished { epoch } = self.turn.given_up() {
                    self.end_of_sound(epoch);
                }
                return;
            }
        };
        let change = self.link.give_up(why, now, &mut self.timers);
        self.apply(change, now);
    }

    fn calls_due(&mut self, now: Time) {
        for late in self.calls.late(now, &mut self.timers) {
            self.out.push_back(Output::Tool(ToolOrder::Cancel(late.id)));
            if let Some(answer) = late.answer {
                self.answer(answer, now);
            }
        }
    }

    fn quiet_due(&mut self, now: Time) {
        if self.pinged_at.is_none() {
            self.pinged_at = Some(now);
            return self.out.push_back(Output::Link(LinkOrder::Ping));
        }
        let why =
            format!("nothing came from the service for {} s, not even a pong", now.since(self.heard_at).as_secs());
        let change = self.link.give_up(&why, now, &mut self.timers);
        self.apply(change, now);
    }

    /// The model's turn is over, whole.
    pub(super) fn turn_over(&mut self, reason: Option<String>, now: Time) {
        self.event(What::TurnOver { reason });
        self.replay.over();
        self.uplink.answered();
        self.calls.turn_over();
        self.again.answered(|id| self.calls.is_open(id));
        self.history.turn_over(now);
        self.leave.turn_over(now);
    }
}
