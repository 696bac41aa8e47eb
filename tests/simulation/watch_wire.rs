//! What goes over the wire: setup first, whole windows, segments and replies that belong together.

use std::sync::Arc;

use mynah::audio::HOP_FRAMES;
use mynah::flow::LinkOrder;
use mynah::live::{client, server};

use super::super::story::TurnTruth;
use super::{Exchange, Reply, ReplyId, Rule, Watch, Wire, number_of};

impl Watch {
    /// The core sees this connection open.
    pub fn core_connected(&mut self, attempt: u32) {
        self.wire.is_connected |= attempt == self.wire.attempt && !self.wire.is_given_up;
    }

    /// The core sees `setupComplete`, on the connection that it holds for the present one.
    pub fn core_ready(&mut self, attempt: u32) {
        let is_ready = attempt == self.wire.attempt && self.wire.is_setup_sent;
        if is_ready && !std::mem::replace(&mut self.wire.is_ready, true) {
            self.setup_taken();
        }
    }

    /// The core sees the end of the present connection, or ends it.
    pub fn core_lost(&mut self, attempt: u32) {
        if attempt != self.wire.attempt || !self.wire.is_connected {
            return;
        }
        self.disturb("the connection ended");
        let attempt = self.wire.attempt;
        self.wire = Wire { attempt, ..Wire::default() };
    }

    /// The core orders this.
    pub fn ordered(&mut self, order: &LinkOrder) {
        match order {
            LinkOrder::Open { attempt, .. } => {
                self.must(*attempt != self.wire.attempt, Rule::SentInTime, || {
                    "a connection's number is used twice".into()
                });
                let is_closed = !self.wire.is_connected;
                self.must(is_closed, Rule::Handles, || "a connection is opened beside a living one".into());
                self.must(!self.is_spent, Rule::SpentRests, || "a connection is opened on a spent day".into());
                self.wire = Wire { attempt: *attempt, ..Wire::default() };
            }
            LinkOrder::Ping => {}
            LinkOrder::Close => {
                self.setup_ended(None);
                self.core_lost(self.wire.attempt);
                self.wire.is_given_up = true;
            }
            LinkOrder::Send(message) => {
                self.must(!self.is_spent, Rule::SpentRests, || format!("{} on a spent day", name_of(message)));
                self.sent(message);
            }
        }
    }

    pub(super) fn sent(&mut self, message: &client::Message) {
        let wire = &mut self.wire;
        let is_setup = matches!(message, client::Message::Setup(_));
        let may = if is_setup { wire.is_connected && !wire.is_setup_sent } else { wire.is_ready };
        wire.is_setup_sent |= is_setup;
        self.must(may, Rule::SentInTime, || format!("{} is sent where it may not be", name_of(message)));
        let is_speech = match message {
            client::Message::ActivityStart => true,
            client::Message::Audio(speech) => speech.frames().iter().any(|frame| *frame != 0),
            client::Message::Video(_) => true,
            _ => false,
        };
        let is_muted = self.person.is_muted();
        self.must(!is_muted || !is_speech, Rule::MutedSilent, || format!("{} is sent while muted", name_of(message)));
        match message {
            client::Message::Setup(setup) => self.setup_sent(setup),
            client::Message::ActivityStart => self.window_started(),
            client::Message::Audio(speech) => self.speech_sent(speech.frames()),
            client::Message::Video(_) => {
                let is_heard = matches!(self.wire.window, Some(Some(_)));
                self.must(is_heard, Rule::Windows, || "a picture outside a window, or before its sound".into());
                let pause_ms = self.picture_at.replace(self.now).map(|at| self.now.since(at).as_millis());
                let is_rare = pause_ms.is_none_or(|pause_ms| pause_ms >= 1000);
                self.must(is_rare, Rule::PicturesFresh, || format!("a picture {pause_ms:?} ms after the last"));
            }
            client::Message::ActivityEnd => self.window_ended(),
            client::Message::ToolResponse { id, .. } => self.call_answered(id),
            client::Message::Text(_) => self.asked_in_words(),
            client::Message::History(_) => {}
        }
        self.wire.is_used |= !matches!(
            message,
            client::Message::Setup(_) | client::Message::History(_) | client::Message::ToolResponse { .. }
        );
    }

    /// The last question is put again in words.
    fn asked_in_words(&mut self) {
        let segment = self.exchanges.last().and_then(|last| last.segment);
        self.must(self.wire.window.is_none(), Rule::Windows, || "a text within a window".into());
        self.exchanges.push(Exchange {
            attempt: self.wire.attempt,
            segment,
            is_in_words: true,
            is_wanted: true,
            ..Exchange::default()
        });
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
        let is_hop_of_silence = frames.len() == HOP_FRAMES && frames.iter().all(|frame| *frame == 0);
        if self.person.is_muted() && is_hop_of_silence && self.wire.window == Some(None) {
            self.wire.is_silence = true;
            return;
        }
        for hop in frames.chunks_exact(HOP_FRAMES) {
            let number = number_of(hop);
            let Some(window) = self.wire.window else {
                return self.fail(Rule::Windows, || "speech outside a window".into());
            };
            let Some(at) = self.segments.iter().rposition(|s| (s.start..s.end).contains(&number)) else {
                return self.fail(Rule::SpeechWhole, || format!("hop {number} is of no segment"));
            };
            match window {
                None => self.check_window(at, number),
                Some((first, last)) => {
                    let crosses = first < self.segments[at].start;
                    self.must(number == last + 1, Rule::SpeechWhole, || {
                        format!("hop {number} is sent where {} was due", last + 1)
                    });
                    self.must(!crosses, Rule::SpeechWhole, || format!("two segments in one window, at hop {number}"));
                }
            }
            self.wire.window = Some(Some((window.map_or(number, |(first, _)| first), number)));
        }
    }

    pub(super) fn window_ended(&mut self) {
        if std::mem::take(&mut self.wire.is_silence) {
            return self.silence_ended();
        }
        let Some(Some((first, last))) = self.wire.window.take() else {
            return self.fail(Rule::Windows, || "a window ends that is empty or not open".into());
        };
        self.wire.ended_at = Some(self.now);
        let at = self.segments.iter().rposition(|s| (s.start..s.end).contains(&last)).unwrap_or(0);
        let segment = &self.segments[at];
        // The microphone was closed in mid-window: what had not gone out yet never will.
        let is_cut_short = segment.is_silenced && last < segment.due_end();
        let is_whole = segment.is_complete() && (last + 1 == segment.due_end() || is_cut_short);
        let (end, is_wanted) = (segment.due_end(), segment.is_wanted());
        self.must(is_whole, Rule::SpeechWhole, || format!("a window ends after hop {last} of a segment up to {end}"));
        self.segment_sent(at);
        self.turns += 1;
        self.exchanges.push(Exchange {
            attempt: self.wire.attempt,
            segment: Some(at),
            first,
            last,
            is_wanted,
            // The user is not to be spoken over, even where the next window has not reached the service.
            disturbed: self.core_segment.filter(|newest| *newest > at).map(|_| "the next segment had begun"),
            is_blurred: std::mem::take(&mut self.wire.is_blurred),
            ..Exchange::default()
        });
    }

    /// A window ends in which nothing was said: the microphone was closed before anything of it went out.
    fn silence_ended(&mut self) {
        self.wire.window = None;
        self.wire.ended_at = Some(self.now);
        self.turns += 1;
        self.exchanges.push(Exchange {
            attempt: self.wire.attempt,
            disturbed: Some("the microphone was closed"),
            is_blurred: std::mem::take(&mut self.wire.is_blurred),
            ..Exchange::default()
        });
    }

    /// The service has heard a whole window, or a text; its reply begins. `truth`: what it will say; none where it
    /// will not.
    pub fn arrived(&mut self, attempt: u32, voice: Option<&[i16]>, truth: Option<&TurnTruth>) -> ReplyId {
        let id = self.replies.len();
        let at = self.exchanges.iter().position(|e| e.attempt == attempt && !e.has_arrived);
        let at = at.filter(|at| self.exchanges[*at].is_in_words == voice.is_none());
        let Some(at) = at else {
            self.fail(Rule::SpeechWhole, || "the service heard a window that was not sent".into());
            return id;
        };
        let exchange = &mut self.exchanges[at];
        let (first, last, segment) = (exchange.first, exchange.last, exchange.segment);
        exchange.has_arrived = true;
        exchange.reply = Some(id);
        exchange.is_ignored = truth.is_none();
        if truth.is_none_or(|turn| turn.breaks_off) {
            exchange.disturbed.get_or_insert("the service breaks it off");
        }
        if let Some(voice) = voice {
            let numbers = voice.chunks_exact(HOP_FRAMES).map(number_of);
            let count = numbers.len();
            self.must(numbers.eq(first..=last), Rule::SpeechWhole, || {
                format!("hops {first} to {last} were sent, but not so arrived, {count} in all")
            });
            if let Some(segment) = segment.and_then(|at| self.segments.get_mut(at)) {
                segment.has_arrived |= first == segment.begin && last + 1 == segment.due_end();
            }
        }
        self.replies.push(Reply {
            exchange: at,
            truth: truth.map_or_else(|| Arc::from([]), |turn| turn.frames.clone()),
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
        self.handle_heard(message);
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
            let was_complete = self.replies[reply].is_complete;
            self.replies[reply].is_complete |= is_over;
            if let Some(last) = self.exchanges.last_mut().filter(|_| was_complete && is_over) {
                last.is_blurred = true; // nothing tells that this end was told before
            }
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

fn name_of(message: &client::Message) -> &'static str {
    match message {
        client::Message::Setup(_) => "setup",
        client::Message::ActivityStart => "activityStart",
        client::Message::Audio(_) => "audio",
        client::Message::Video(_) => "video",
        client::Message::ActivityEnd => "activityEnd",
        client::Message::ToolResponse { .. } => "toolResponse",
        client::Message::Text(_) => "text",
        client::Message::History(_) => "clientContent",
    }
}
