//! What goes over the wire: setup first, whole windows, segments and replies that belong together.

use std::sync::Arc;

use mynah::audio::HOP_FRAMES;
use mynah::flow::{CloseCause, LinkOrder};
use mynah::live::{client, server};

use super::{Exchange, Reply, ReplyId, Rule, Watch, Wire, number_of};

impl Watch {
    /// The core sees this connection open.
    pub fn core_connected(&mut self, attempt: u32) {
        self.wire.is_connected |= attempt == self.wire.attempt;
    }

    /// The core sees `setupComplete`, on the connection that it holds for the present one.
    pub fn core_ready(&mut self, attempt: u32) {
        self.wire.is_ready |= attempt == self.wire.attempt && self.wire.is_setup_sent;
    }

    /// The core sees the end of the present connection, or ends it.
    pub fn core_lost(&mut self, attempt: u32) {
        if attempt != self.wire.attempt || !self.wire.is_connected {
            return;
        }
        self.disturb("the connection ended");
        let attempt = self.wire.attempt;
        self.wire = Wire { attempt, ..Wire::default() };
        for segment in &mut self.segments {
            segment.is_hit |= segment.start < segment.sent_until && segment.sent_until < segment.end;
        }
        // A window on its way is hit as well, even one that was sent whole.
        let open = self.last_sent;
        for segment in self.segments.iter_mut().filter(|s| !s.has_arrived) {
            segment.is_hit |= open.is_some_and(|last| (segment.start..segment.end).contains(&last));
        }
    }

    /// The core orders this.
    pub fn ordered(&mut self, order: &LinkOrder) {
        match order {
            LinkOrder::Open { attempt, .. } => {
                self.must(*attempt != self.wire.attempt, Rule::SentInTime, || {
                    "a connection's number is used twice".into()
                });
                self.core_lost(self.wire.attempt);
                self.wire = Wire { attempt: *attempt, ..Wire::default() };
            }
            LinkOrder::Ping => {}
            LinkOrder::Close => self.core_lost(self.wire.attempt),
            LinkOrder::Send(message) => self.sent(message),
        }
    }

    pub(super) fn sent(&mut self, message: &client::Message) {
        let wire = &mut self.wire;
        let is_setup = matches!(message, client::Message::Setup(_));
        let may = if is_setup { wire.is_connected && !wire.is_setup_sent } else { wire.is_ready };
        wire.is_setup_sent |= is_setup;
        self.must(may, Rule::SentInTime, || format!("{} is sent where it may not be", name_of(message)));
        match message {
            client::Message::Setup(_) => {}
            client::Message::ActivityStart => self.window_started(),
            client::Message::Audio(speech) => self.speech_sent(speech.frames()),
            client::Message::ActivityEnd => self.window_ended(),
            client::Message::ToolResponse { id, .. } => self.call_answered(id),
            client::Message::Text(_) | client::Message::History(_) => {}
        }
    }

    pub(super) fn window_started(&mut self) {
        self.must(self.wire.window.is_none(), Rule::Windows, || "a window opens within a window".into());
        let pause_ms = self.wire.ended_at.map_or(500, |at| self.now.since(at).as_millis());
        self.must(pause_ms >= 500, Rule::Windows, || format!("a window opens {pause_ms} ms after the last"));
        self.disturb("the next window began");
        self.wire.window = Some(None);
        let attempt = self.wire.attempt;
        if let Some(last) = self.exchanges.last_mut().filter(|e| e.attempt == attempt && !e.shows_life) {
            last.is_blurred = true;
            self.wire.is_blurred = true;
        }
    }

    pub(super) fn speech_sent(&mut self, frames: &[i16]) {
        for hop in frames.chunks_exact(HOP_FRAMES) {
            let number = number_of(hop);
            if self.last_sent.is_some_and(|last| number <= last) {
                return self.fail(Rule::SpeechWhole, || format!("hop {number} is sent again or too late"));
            }
            self.last_sent = Some(number);
            let Some(window) = &mut self.wire.window else {
                return self.fail(Rule::Windows, || "speech outside a window".into());
            };
            let segment = self.segments.iter_mut().rev().find(|s| (s.start..s.end).contains(&number));
            let Some(segment) = segment else {
                return self.fail(Rule::SpeechWhole, || format!("hop {number} is of no segment"));
            };
            let due = segment.sent_until;
            let crosses = window.is_some_and(|(first, _)| first < segment.start);
            let is_new_window = window.is_none() && number != segment.start && !segment.is_hit;
            segment.sent_until = number + 1;
            *window = Some((window.map_or(number, |(first, _)| first), number));
            self.must(number == due, Rule::SpeechWhole, || format!("hop {number} is sent where {due} was due"));
            self.must(!crosses, Rule::SpeechWhole, || format!("two segments in one window, at hop {number}"));
            self.must(!is_new_window, Rule::SpeechWhole, || {
                format!("a window begins within a segment, at hop {number}")
            });
        }
    }

    pub(super) fn window_ended(&mut self) {
        let Some(Some((first, last))) = self.wire.window.take() else {
            return self.fail(Rule::Windows, || "a window ends that is empty or not open".into());
        };
        self.wire.ended_at = Some(self.now);
        let at = self.segments.iter().rposition(|s| (s.start..s.end).contains(&last)).unwrap_or(0);
        let segment = &self.segments[at];
        let is_whole = segment.is_overfull || (segment.is_closed && segment.sent_until == segment.end);
        let (sent, end, is_overfull) = (segment.sent_until, segment.end, segment.is_overfull);
        self.must(is_whole, Rule::SpeechWhole, || format!("a window ends after hop {sent} of a segment up to {end}"));
        while self.closed_causes.front().is_some_and(|(of, _)| *of < at) {
            self.closed_causes.pop_front();
        }
        let cause = self.closed_causes.front().filter(|(of, _)| *of == at).map(|(_, cause)| *cause);
        self.last_cause = cause.unwrap_or(CloseCause::TooLong);
        self.turns += 1;
        self.exchanges.push(Exchange {
            attempt: self.wire.attempt,
            first,
            last,
            is_wanted: segment_is_wanted(is_overfull, self.last_cause),
            // The user is not to be spoken over, even where the next window has not reached the service.
            disturbed: self.core_segment.filter(|newest| *newest > at).map(|_| "the next segment had begun"),
            reply: None,
            has_arrived: false,
            shows_life: false,
            is_blurred: std::mem::take(&mut self.wire.is_blurred),
        });
    }

    /// The service has heard a whole window; its reply begins. `truth`: what it will say.
    pub fn arrived(&mut self, attempt: u32, voice: &[i16], truth: Arc<[i16]>, breaks_off: bool) -> ReplyId {
        let id = self.replies.len();
        let at = self.exchanges.iter().position(|e| e.attempt == attempt && !e.has_arrived);
        let numbers: Vec<u32> = voice.chunks_exact(HOP_FRAMES).map(number_of).collect();
        let Some(at) = at else {
            self.fail(Rule::SpeechWhole, || "the service heard a window that was not sent".into());
            return id;
        };
        let exchange = &mut self.exchanges[at];
        let (first, last) = (exchange.first, exchange.last);
        exchange.has_arrived = true;
        exchange.reply = Some(id);
        if breaks_off {
            exchange.disturbed.get_or_insert("the service breaks it off");
        }
        self.must(numbers.iter().copied().eq(first..=last), Rule::SpeechWhole, || {
            format!(
                "hops {first} to {last} were sent, {:?} to {:?} arrived, {} in all",
                numbers.first(),
                numbers.last(),
                numbers.len()
            )
        });
        for segment in self.segments.iter_mut().filter(|s| (s.start..s.end).contains(&last)) {
            segment.has_arrived = true;
        }
        self.replies.push(Reply {
            exchange: at,
            truth,
            epoch: None,
            is_cut: false,
            is_complete: false,
            last_at: self.now,
            played: 0,
            heard: 0,
        });
        id
    }

    /// A message of the service reaches the core on the present connection.
    pub fn core_heard_service(
        &mut self,
        attempt: u32,
        message: &server::Message,
        reply: Option<ReplyId>,
        is_over: bool,
    ) {
        if message.setup_complete {
            self.core_ready(attempt);
        }
        if attempt != self.wire.attempt || !self.wire.is_ready {
            return;
        }
        for call in &message.calls {
            self.calls.entry(call.id.clone()).or_default().attempt = attempt;
        }
        for id in &message.cancelled {
            if let Some(call) = self.calls.get_mut(id) {
                call.taken_back = true;
            }
        }
        if let Some(reply) = reply {
            if message.interrupted {
                self.exchange_of(reply).disturbed.get_or_insert("the service was interrupted");
            }
            self.exchange_of(reply).shows_life |= message.has_content() || message.turn_complete;
            self.replies[reply].is_complete |= is_over;
            self.replies[reply].last_at = self.now;
        }
    }

    /// The line stands still for longer than the end of a cut turn is waited for: what comes after tells no turn
    /// from another.
    pub fn stalled(&mut self) {
        for exchange in self.exchanges.iter_mut().filter(|e| e.reply.is_none_or(|r| !self.replies[r].is_complete)) {
            exchange.is_blurred = true;
        }
    }

    pub(super) fn exchange_of(&mut self, reply: ReplyId) -> &mut Exchange {
        &mut self.exchanges[self.replies[reply].exchange]
    }
}

fn segment_is_wanted(is_overfull: bool, cause: CloseCause) -> bool {
    is_overfull || cause != CloseCause::Mistake
}

fn name_of(message: &client::Message) -> &'static str {
    match message {
        client::Message::Setup(_) => "setup",
        client::Message::ActivityStart => "activityStart",
        client::Message::Audio(_) => "audio",
        client::Message::ActivityEnd => "activityEnd",
        client::Message::ToolResponse { .. } => "toolResponse",
        client::Message::Text(_) => "text",
        client::Message::History(_) => "clientContent",
    }
}
