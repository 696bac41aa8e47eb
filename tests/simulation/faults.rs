//! What goes wrong, and when: the line, the microphone, the service, the calendar.

use std::time::Duration;

use mynah::emulator::Sessions;
use mynah::flow::{LinkEvent, LinkReport, MicFact};
use mynah::live::close::Closing;
use mynah::session::Input;

use super::super::service::{Down, State};
use super::super::story::{CLOSES, Fault, QUOTA, STRAYS};
use super::{Due, World};

impl World {
    pub(super) fn fault(&mut self, fault: Fault) {
        self.watch.note(|| format!("fault: {fault:?}"));
        self.last_input = self.last_input.max(self.now);
        let open = self.current.filter(|at| self.connections[*at].state != State::Dead);
        let ready = open.filter(|_| self.session.is_ready());
        let hits = match fault {
            Fault::Cut(_) => open.is_some(),
            Fault::HalfOpen | Fault::Closes(_) | Fault::Stray(_) => ready.is_some(),
            _ => true,
        };
        if hits {
            self.watch.count(fault.name());
        }
        match (fault, ready) {
            (Fault::Cut(noticed_after), _) => {
                if let Some(at) = open {
                    self.connections[at].end(self.now);
                    let closing = Closing::Network("the line was cut".into());
                    self.at(self.now + noticed_after, Due::Down(at, Down::Closed(closing)));
                }
            }
            (Fault::Stall(length), _) => {
                self.stalled_until = self.now + length;
                self.watch.stalled();
                for connection in &mut self.connections {
                    connection.excused.push("Connection aborted because");
                }
            }
            (Fault::MicGone(length), _) => self.lose_mic(length),
            (Fault::HalfOpen, Some(at)) => {
                self.connections[at].is_half_open = true;
                self.connections[at].excused.push("Connection aborted because");
            }
            (Fault::Closes(row), Some(at)) => self.close(at, row),
            (Fault::Stray(row), Some(at)) => self.send_down(at, Down::Message(STRAYS[row].into())),
            (Fault::Forgets, _) => self.sessions = Sessions::default(),
            (Fault::NextDay, _) => {
                self.day += 1;
                self.watch.new_day();
                self.core(Input::Today(self.day), None);
            }
            (Fault::Person(wish), _) => self.core(Input::Control(wish.into()), None),
            (Fault::LineMutes(length), _) => {
                self.lose_mic(length);
                self.core(Input::Mic(MicFact::Muted(true)), None);
            }
            (Fault::LineOpens, _) => self.core(Input::Mic(MicFact::Muted(false)), None),
            (Fault::HalfOpen | Fault::Closes(_) | Fault::Stray(_), None) => {}
        }
    }

    fn lose_mic(&mut self, length: Duration) {
        self.mic_gone_until = self.now + length;
        let mut at = self.now;
        while at < self.mic_gone_until {
            self.at(at, Due::GateClock);
            at += Duration::from_millis(100);
        }
    }

    /// The service closes; some of what it said before comes after the close.
    fn close(&mut self, at: usize, row: usize) {
        let (code, reason) = CLOSES[row];
        if row == QUOTA {
            self.quiet_within += Duration::from_secs(360);
        }
        let attempt = self.connections[at].attempt;
        self.connections[at].end(self.now);
        self.current = None;
        self.report(
            LinkReport { attempt, event: LinkEvent::Down(Closing::Frame { code, reason: reason.into() }) },
            None,
        );
        let stale = [
            "{\"serverContent\": {\"turnComplete\": true}}",
            "{\"serverContent\": {\"modelTurn\": {\"parts\": [{\"inlineData\": {\"mimeType\": \"audio/pcm;rate=24000\", \
             \"data\": \"AQIDBAUGBwg=\"}}]}}}",
            "{\"toolCall\": {\"functionCalls\": [{\"id\": \"too-late\", \"name\": \"lamp\", \"args\": {}}]}}",
        ];
        for text in stale {
            if let Ok(message) = self.connections[at].reader.read(text.as_bytes()) {
                self.report(LinkReport { attempt, event: LinkEvent::Message(Box::new(message)) }, None);
            }
        }
    }
}
