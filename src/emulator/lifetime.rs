//! A connection's place in its session and in time: taking a session up, handing out handles, `goAway`, leaving.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::json;

use super::fields::INVALID;
use super::machine::{Emulator, Stage, UserTurn};
use super::script::{HandOut, Life};
use super::sessions::{NotResumed, Point};
use super::setup::Setup;
use super::{Output, Refusal, Side, Voice};
use crate::units::Time;

/// What the service says when a client has stayed after `goAway`; a close frame cuts it (live-protocol.md 6).
const STAYED: &str = "Connection aborted because the client failed to close the connection after receiving a GoAway \
                      signal once the session duration limit was reached.";
/// What it says where no `goAway` came before the end.
const DEADLINE: &str = "Deadline expired before operation could complete.";
/// What it says of a handle that it does not know.
const NOT_FOUND: &str = "BidiGenerateContent session not found";
/// What the emulator says of a session that another connection has: nobody wrote down the service's own words.
const IN_USE: &str = "The session is in use by another connection.";

/// What happens on a connection because of the clock alone.
#[derive(Default)]
pub(super) struct Clockwork {
    go_away: Option<(Time, Duration)>,
    end: Option<(Time, &'static str, u16)>,
    /// Handles that are sent late: when, and what.
    handles: VecDeque<(Time, String)>,
}

impl Clockwork {
    pub(super) fn new(life: Option<Life>, now: Time) -> Clockwork {
        let (go_away, end) = match life {
            None => (None, None),
            Some(Life { length, away: None }) => (None, Some((now + length, DEADLINE, 1011))),
            Some(Life { length, away: Some(left) }) => {
                (Some((now + (length - left), left)), Some((now + length, STAYED, 1008)))
            }
        };
        Clockwork { go_away, end, handles: VecDeque::new() }
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        let late = self.handles.front().map(|(at, _)| *at);
        [self.go_away.map(|(at, _)| at), self.end.map(|(at, _, _)| at), late].into_iter().flatten().min()
    }
}

impl Emulator {
    /// Gives the connection its session: the one its handle names, or a new one.
    pub(super) fn join_session(&mut self, setup: &Setup, now: Time) -> Result<(), Refusal> {
        let Some(handle) = &setup.handle else {
            self.sessions.begin(self.options.session, &setup.model);
            self.session = Some(self.options.session);
            return Ok(());
        };
        let (session, point) = self.sessions.resume(handle, &setup.model, now).map_err(|why| not_resumed(&why))?;
        let lost = point.calls.lost();
        let (turn, tokens) = (point.next_turn, point.context.tokens());
        (self.next_turn, self.context, self.calls) = (turn, point.context, point.calls);
        self.session = Some(session);
        self.log(Side::Service, format!("resumes session {session} after {turn} turns, {tokens} tokens of context"));
        if !lost.is_empty() {
            self.log(Side::Note, format!("answer {} first: a session with lost calls is stuck", lost.join(", ")));
        }
        Ok(())
    }

    /// Ends the connection's hold on its session, and tells of a turn that was cut.
    pub(super) fn leave(&mut self, now: Time) {
        let window = self.window.take().and_then(|window| window.voice);
        let cut = window.map(|(rate, frames)| Voice { rate, frames: frames.into() });
        if let Some(voice) = cut.or_else(|| self.ear.take().and_then(|ear| ear.cut())) {
            self.log(Side::Note, "the connection ends in the middle of the user's turn: it is lost");
            self.push(Output::Cut(voice));
        }
        if let Some(session) = self.session.take() {
            self.sessions.leave(session, self.point(), now, self.script.handles.valid);
        }
    }

    fn point(&self) -> Point {
        Point { next_turn: self.next_turn, context: self.context, calls: self.calls.clone() }
    }

    /// Tells of the session's handle at the end of a turn.
    pub(super) fn hand_out(&mut self, setup: &Setup) {
        let wait = match self.script.handles.hand_out {
            HandOut::Never => return,
            HandOut::Late(wait) => wait,
            HandOut::TurnEnd | HandOut::Early | HandOut::Withheld => Duration::ZERO,
        };
        if let Some(handle) = self.new_handle(setup) {
            self.clockwork.handles.push_back((self.now + wait, handle));
            self.send_handles(self.now);
        }
    }

    /// Tells of the session's handle when a turn of the user is committed, where the script wants it.
    pub(super) fn hand_out_early(&mut self, setup: &Setup) {
        match self.script.handles.hand_out {
            HandOut::Early => self.hand_out(setup),
            HandOut::Withheld if setup.resumption => {
                self.send(json!({"sessionResumptionUpdate": {"newHandle": "", "resumable": false}}));
            }
            HandOut::Never | HandOut::TurnEnd | HandOut::Late(_) | HandOut::Withheld => {}
        }
    }

    /// From here the newest handle knows of nothing more, where handles are withheld while a reply is generated.
    pub(super) fn withhold(&mut self) {
        if self.script.handles.hand_out == HandOut::Withheld
            && let Some(session) = self.session
        {
            self.sessions.withhold(session, self.point());
        }
    }

    fn new_handle(&self, setup: &Setup) -> Option<String> {
        self.session.filter(|_| setup.resumption).and_then(|session| self.sessions.hand_out(session, self.point()))
    }

    fn send_handles(&mut self, now: Time) {
        while self.clockwork.handles.front().is_some_and(|(at, _)| *at <= now) {
            let Some((_, handle)) = self.clockwork.handles.pop_front() else { return };
            self.send(json!({"sessionResumptionUpdate": {"newHandle": handle, "resumable": true}}));
        }
    }

    /// Does what is due by the clock.
    pub(super) fn tick(&mut self, now: Time) {
        if matches!(self.stage, Stage::Closed) {
            return;
        }
        self.send_handles(now);
        if let Some((_, left)) = self.clockwork.go_away.take_if(|(at, _)| *at <= now) {
            self.log(Side::Service, format!("goes away in {} s", left.as_secs_f64()));
            self.send(json!({"goAway": {"timeLeft": format!("{}s", left.as_secs_f64())}}));
        }
        if let Some((_, reason, code)) = self.clockwork.end.take_if(|(at, _, _)| *at <= now) {
            self.close(code, reason);
        }
    }

    /// A resumed session whose calls were never answered: this input only ends the old exchange. True if it was so.
    pub(super) fn close_stale_exchange(&mut self, user: &UserTurn, setup: &Setup) -> bool {
        let lost = self.calls.lost();
        if lost.is_empty() {
            return false;
        }
        let calls = lost.join(", ");
        self.log(Side::Note, format!("{calls} had no answer when the session was resumed: this turn is not answered"));
        if let Some(voice) = user {
            self.push(Output::Heard(voice.clone()));
        }
        self.calls.give_up_lost();
        self.send(json!({"serverContent": {"turnComplete": true}}));
        self.hand_out(setup);
        true
    }
}

fn not_resumed(why: &NotResumed) -> Refusal {
    match why {
        NotResumed::Unknown => Refusal::new(
            1008,
            NOT_FOUND,
            "this resumption handle was not given by the emulator, or not lately: leave it out",
        ),
        NotResumed::Expired => Refusal::new(1008, NOT_FOUND, "this resumption handle has expired: leave it out"),
        NotResumed::InUse => {
            let why = "another connection still has this session: close the old socket before the new one opens";
            Refusal::new(1008, IN_USE, why)
        }
        NotResumed::OtherModel(model) => {
            Refusal::new(1007, INVALID, format!("the session speaks with {model}: a handle keeps its model"))
        }
    }
}
