//! The life of connections: when one is made, what its setup carries, when it is left, what its end takes along.

use std::time::Duration;

use super::link::Change;
use super::timers::Reason;
use super::turn::Missing;
use super::{Output, Session};
use crate::config::agent::Connection;
use crate::flow::{Closed, Cue, LinkEvent, LinkOrder, SPEECH_KEPT_MS, Start, What};
use crate::live::client::Message;
use crate::live::close::{Part, Refusal};
use crate::live::setup::{self, Begin};
use crate::units::Time;

/// A connection older than this is left for another at the next turn boundary: 3.8 was seen to end without a word
/// at 58 minutes (live-protocol.md 6) …
const ROTATE_AFTER: Duration = Duration::from_secs(50 * 60);
/// … and this much later in mid-turn, if there was no boundary.
const ROTATE_GRACE: Duration = Duration::from_secs(6 * 60);
/// From the end of a turn to the handle that has it in it.
const HANDLE_GRACE: Duration = Duration::from_secs(1);
/// Before the end that `goAway` announces, where it leaves as much time.
const LEAVE_MARGIN: Duration = Duration::from_secs(5);

/// Whether the present connection is to be left for another.
#[derive(Debug, Default)]
pub struct Leave {
    is_wanted: bool,
    /// A turn ended and the handle that has it in it did not come yet.
    handle_awaited_since: Option<Time>,
}

impl Leave {
    /// Whether it is to be left at the next turn boundary.
    pub fn is_wanted(&self) -> bool {
        self.is_wanted
    }

    /// A turn ended.
    pub fn turn_over(&mut self, now: Time) {
        self.handle_awaited_since = Some(now);
    }

    /// It is to be left at the next turn boundary.
    pub fn want(&mut self) {
        self.is_wanted = true;
    }

    /// A handle came.
    pub fn handle_came(&mut self) {
        self.handle_awaited_since = None;
    }
}

impl Session {
    /// Asks for a connection where there is none. When the day's limit is reached only what is under way gets one.
    pub(super) fn open_link(&mut self, now: Time) {
        if self.account.spent().is_none() || self.is_anybody_waiting() {
            let change = self.link.open(now, &mut self.timers);
            self.apply(change, now);
        }
    }

    /// Whether a connection is to be there.
    pub(super) fn needs_link(&self) -> bool {
        self.agent.session.connection == Connection::KeepOpen
            || !self.link.has_been_ready()
            || self.calls.is_any_lost()
            || self.is_anybody_waiting()
    }

    /// Whether somebody spoke or speaks, and the service owes them something.
    fn is_anybody_waiting(&self) -> bool {
        !self.uplink.is_idle()
            || !self.turn.is_idle()
            || self.calls.is_any_open()
            || self.again.is_waiting()
            || self.notices.is_any()
    }

    pub(super) fn handle_link(&mut self, event: LinkEvent, now: Time) {
        self.heard_at = now;
        self.pinged_at = None;
        match event {
            LinkEvent::Connected => {
                let change = self.link.connected(now, &mut self.timers);
                self.apply(change, now);
            }
            LinkEvent::Alive => {}
            LinkEvent::Message(message) => self.handle_message(*message, now),
            LinkEvent::Garbage(what) => self.handle_garbage(what),
            LinkEvent::Down(closing) => {
                let change = self.link.down(&closing, self.resume.is_offered(), now, &mut self.timers);
                self.apply(change, now);
            }
        }
    }

    /// A broken server sends no end of it: the first of a connection is told, the second, the fourth …
    fn handle_garbage(&mut self, what: String) {
        self.garbage = self.garbage.saturating_add(1);
        if self.garbage.is_power_of_two() {
            let text = if self.garbage == 1 { what } else { format!("{what}; {} so far", self.garbage) };
            self.event(What::Trouble { part: "link".into(), text });
        }
    }

    pub(super) fn apply(&mut self, change: Option<Change>, now: Time) {
        match change {
            None => {}
            Some(Change::Open(attempt)) => {
                self.garbage = 0;
                self.was_ready = false;
                // Before the token is chosen: with other tools it is for another conversation.
                self.declare_next();
                self.event(What::LinkOpening);
                let is_same_token = self.link.takes_same_token(self.resume.has_handle(now));
                self.out.push_back(Output::Link(LinkOrder::Open { attempt, is_same_token }));
            }
            Some(Change::SendSetup) => {
                self.declare_next();
                self.speak_as_chosen(now);
                self.history.forget_before(now);
                let begin = match self.resume.offer(now) {
                    Some(handle) => Begin::Resumed(handle),
                    None if self.model.takes_history && self.history.announce() => Begin::Told,
                    None => Begin::Fresh,
                };
                let setup = setup::setup(&self.agent, &self.variant, begin);
                self.send(Message::Setup(Box::new(setup)));
            }
            Some(Change::Ready(setup_ms)) => {
                self.was_ready = true;
                self.ready(setup_ms, now);
            }
            Some(Change::Lost { why, must_close, without, was_setup_refused }) => {
                if must_close {
                    self.out.push_back(Output::Link(LinkOrder::Close));
                }
                self.event(What::LinkDown { why: why.clone() });
                self.connection_ended(&why, was_setup_refused, now);
                self.tell_tools_offline();
                self.go_without(without, &why);
                if !self.needs_link() {
                    self.timers.clear(Reason::Reconnect);
                    self.link.rest();
                    // Nobody misses one that was in order: that it is lost is no trouble that lasts.
                    if self.was_ready {
                        self.event(What::LinkClosed { cause: Closed::Idle });
                    }
                }
            }
            Some(Change::Refused(refusal)) => self.refused(refusal, now),
        }
    }

    fn refused(&mut self, refusal: Refusal, now: Time) {
        let why = refusal.to_string();
        self.event(What::LinkDown { why: why.clone() });
        self.connection_ended(&why, true, now);
        self.tell_tools_offline();
        let fallback = self.agent.fallback_model.clone().filter(|_| !self.variant.is_fallback);
        if let (Refusal::Model(_), Some(id)) = (&refusal, fallback) {
            self.variant.is_fallback = true;
            self.rebuild();
            self.link.forgive(now, &mut self.timers);
            let text = format!("the service does not know the model {}; fallback_model {id} is used", self.agent.model);
            return self.event(What::Trouble { part: "model".into(), text });
        }
        // Nothing says what of the setup was refused; without the words it is another.
        if matches!(refusal, Refusal::Setup(_)) && self.history.refused() {
            self.link.forgive(now, &mut self.timers);
            return self.event(What::SessionLost { why });
        }
        // It worked before, so it may again: a kiosk must not fall silent for good because of a bill, nor a device of a
        // fleet be out of reach because a model was retired.
        if self.proven == Some(setup::mark(&self.agent, &self.variant)) {
            self.link.pause_refused(now, &mut self.timers);
            let text = format!("{why}; it worked before, and is tried again every five minutes");
            return self.event(What::Trouble { part: "link".into(), text });
        }
        self.out.push_back(Output::Refused(refusal));
    }

    fn go_without(&mut self, part: Option<Part>, why: &str) {
        match part {
            None => {}
            // The words that it was told, where there was no handle: they would be refused again.
            Some(Part::Handle) if self.resume.forget() | self.history.refused() => {
                self.event(What::SessionLost { why: why.to_string() })
            }
            Some(Part::Handle) => {}
            Some(Part::Voice) => {
                self.variant.without_voice = true;
                self.rebuild();
                let voice = self.agent.voice.clone().unwrap_or_default();
                let text = format!("the model has no voice {voice}; the service's own choice is used");
                self.event(What::Trouble { part: "model".into(), text });
            }
        }
    }

    /// First what an older connection left open, then what the user said.
    fn ready(&mut self, setup_ms: u64, now: Time) {
        self.timers.clear(Reason::Offline);
        self.timers.set(Reason::Leave, now + ROTATE_AFTER);
        self.leave = Leave { is_wanted: self.tools_next.is_some(), ..Leave::default() };
        let start = if self.resume.is_offered() {
            Start::Resumed
        } else if self.history.is_announced() {
            Start::Told
        } else {
            Start::Fresh
        };
        self.event(What::LinkReady { setup_ms, start });
        self.proven = Some(setup::mark(&self.agent, &self.variant));
        self.resume.taken();
        if start != Start::Resumed {
            self.calls.forget_told();
        }
        self.is_resume_unproved = start == Start::Resumed;
        match start {
            Start::Resumed => {}
            Start::Told => self.send(Message::History(self.history.said())),
            Start::Fresh => self.account.session_began(),
        }
        self.tell_lost_calls(start == Start::Resumed, now);
        self.ask_in_words(start == Start::Resumed, now);
        self.send_kept(now);
    }

    /// A session that is resumed with open calls is stuck until each is answered (live-protocol.md 6.1). An answer
    /// that the service has already is not minded.
    fn tell_lost_calls(&mut self, is_resumed: bool, now: Time) {
        for reply in self.calls.take_unsure().into_iter().filter(|_| is_resumed) {
            self.calls.answered(&reply);
            self.respond(reply.id, reply.name, &reply.result);
        }
        let lost = self.calls.take_lost(&mut self.timers);
        // Its turn was over, and somebody waits for what it promised; where it was not, they know already.
        if !lost.is_empty() && self.again.is_calm() && self.uplink.is_idle() {
            if is_resumed {
                self.turn.result_given(now, &mut self.timers);
            } else {
                self.cue(Cue::Lost);
            }
        }
        for lost in lost {
            let (id, name) = (lost.id, lost.name);
            let outcome = super::again::outcome(lost.result.as_ref());
            self.again.done(&id, &name, &outcome);
            if is_resumed {
                let why = format!("the connection broke before this could be answered; what became of it: {outcome}");
                self.respond(id.clone(), name.clone(), &Err(why));
            }
            self.event(What::ToolLost { id, name, is_told: is_resumed });
        }
    }

    /// The service closes the connection in `left`.
    pub(super) fn handle_go_away(&mut self, left: Duration, now: Time) {
        self.event(What::LinkLeaving { left_ms: left.as_millis() as u64 });
        self.leave.is_wanted = true;
        let margin = if left >= 2 * LEAVE_MARGIN { LEAVE_MARGIN } else { left / 2 };
        // A later word does not give it more time than an earlier one left.
        self.timers.sooner(Reason::Leave, now + left.saturating_sub(margin));
    }

    /// [`Reason::Leave`] passed.
    pub(super) fn leave_due(&mut self, now: Time) {
        if self.leave.is_wanted {
            return self.rotate(now);
        }
        self.leave.is_wanted = true;
        self.timers.set(Reason::Leave, now + ROTATE_GRACE);
    }

    /// Leaves a connection that is to be left, where nothing is lost with it.
    pub(super) fn leave_at_boundary(&mut self, now: Time) {
        if !self.leave.is_wanted || !self.link.is_ready() || self.uplink.is_window_open() {
            return;
        }
        // Somebody waits to speak: whatever went on is over for them.
        let is_spoken_to = !self.uplink.is_idle();
        let is_idle = self.turn.is_idle() && !self.calls.is_any_open();
        match self.leave.handle_awaited_since.map(|since| since + HANDLE_GRACE).filter(|at| *at > now) {
            _ if is_spoken_to => self.rotate(now),
            Some(at) if is_idle => self.timers.sooner(Reason::Leave, at),
            None if is_idle => self.rotate(now),
            _ => {}
        }
    }

    fn rotate(&mut self, now: Time) {
        // A connection that is left for other tools is not the service's fault.
        if self.tools_next.is_none() && self.link.is_left_in_haste(now) {
            let why = "the service closes its connections as soon as they are made";
            let change = self.link.give_up(why, now, &mut self.timers);
            return self.apply(change, now);
        }
        self.close_link(Closed::Rotation, now);
        if self.needs_link() {
            self.open_link(now);
        }
    }

    /// Closes the connection from here.
    pub(super) fn close_link(&mut self, cause: Closed, now: Time) {
        if self.link.close(now, &mut self.timers) {
            self.out.push_back(Output::Link(LinkOrder::Close));
            self.event(What::LinkClosed { cause });
            self.connection_ended("the connection was changed for another", false, now);
        }
    }

    /// What depends on the connection ends with it; what is kept stays, what was asked is asked again.
    fn connection_ended(&mut self, why: &str, was_setup_refused: bool, now: Time) {
        for reason in [Reason::CatchUp, Reason::Quiet, Reason::Leave, Reason::Idle] {
            self.timers.clear(reason);
        }
        self.pinged_at = None;
        self.leave = Leave::default();
        if self.uplink.is_window_open() {
            self.history.window_lost();
        }
        let lost_ms = self.uplink.link_lost();
        if lost_ms > 0 {
            let why = format!("the connection ended, and more than {} s of speech are not kept", SPEECH_KEPT_MS / 1000);
            self.event(What::SpeechLost { ms: lost_ms, why });
        }
        self.calls.link_lost();
        if self.resume.ended(was_setup_refused, now) {
            let why = "the service did not go on with the conversation, twice".to_string();
            self.event(What::SessionLost { why });
        }
        match self.turn.link_lost(&mut self.timers) {
            Missing::Nothing => {}
            Missing::End => self.turn_over(Some(why.to_string()), now),
            Missing::All => self.reply_lost(None, why, now),
            Missing::Rest { epoch } => {
                self.end_of_sound(epoch);
                self.reply_lost(Some(epoch), why, now);
            }
        }
        // Whom the next connection finds without memory must be told of this turn too, unless it is asked again.
        if !self.again.is_waiting() && !self.uplink.is_asking_again() {
            self.history.turn_over(now);
        }
    }
}
