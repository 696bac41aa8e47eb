//! The link's thread and the network: orders out, messages in, with delay, loss and silence.

use mynah::flow::{LINK_EVENTS_MAX, LinkEvent, LinkOrder, LinkReport};
use mynah::live::client;
use mynah::live::close::Closing;
use mynah::units::Time;

use super::super::device::ReplyId;
use super::super::service::{Down, Socket, State};
use super::super::story::broken_setup;
use super::{Due, Queue, ToCore, Up, World};

impl World {
    pub(super) fn link(&mut self, order: LinkOrder) {
        self.popped(Queue::CoreToLink);
        match order {
            LinkOrder::Open { attempt, .. } => self.open(attempt),
            LinkOrder::Close => self.hang_up(),
            LinkOrder::Ping => self.send_up(Up::Ping),
            LinkOrder::Send(message) => {
                let mut text = String::new();
                client::encode(&message, &mut text);
                if let Some(mutation) = self.mutation {
                    mutation.of_bytes(&mut text);
                }
                self.send_up(Up::Message(text));
            }
        }
    }

    fn send_up(&mut self, up: Up) {
        let Some(at) = self.current.filter(|at| self.connections[*at].state != State::Opening) else { return };
        let (low, high) = self.story.up_ms;
        let due = (self.now + self.dice.ms(low, high)).max(self.connections[at].last_up).max(self.stalled_until);
        self.connections[at].last_up = due;
        self.at(due, Due::Up(at, up));
    }

    /// Something reaches the service.
    pub(super) fn up(&mut self, at: usize, up: Up) {
        if self.connections[at].state != State::Open || self.connections[at].is_half_open {
            return;
        }
        match up {
            Up::Message(text) => {
                self.connections[at].hear(&text, self.now);
                self.hear_service(at);
            }
            Up::Ping => self.send_down(at, Down::Pong),
        }
    }

    pub(super) fn send_down(&mut self, at: usize, down: Down) {
        if self.connections[at].is_half_open {
            return;
        }
        let (low, high) = self.story.down_ms;
        let due = (self.now + self.dice.ms(low, high)).max(self.connections[at].last_down).max(self.stalled_until);
        self.connections[at].last_down = due;
        self.at(due, Due::Down(at, down));
    }

    pub(super) fn hang_up(&mut self) {
        if let Some(at) = self.current.take() {
            self.connections[at].end(self.now);
            self.first_turn = self.connections[at].next_turn();
        }
    }

    pub(super) fn open(&mut self, attempt: u32) {
        self.hang_up();
        // While the user is not done the network may be bad; in the end it is healthy.
        let is_troubled = self.deeds_left > 0 || self.acts_left > 0;
        let script = if is_troubled && self.dice.chance(self.story.setup_fails_percent) {
            self.watch.count("failed setups");
            broken_setup(&mut self.dice)
        } else {
            self.story.script.clone()
        };
        let at = self.connections.len();
        let mut socket = Socket::new(attempt, script, self.first_turn, self.sessions.clone());
        socket.excused.clone_from(&self.story.excused);
        if self.stalled_until > Time::ZERO {
            socket.excused.push("Connection aborted because");
        }
        self.connections.push(socket);
        self.watch.count("connections");
        self.current = Some(at);
        let is_made = !(is_troubled && self.dice.chance(self.story.connect_fails_percent));
        // It may take longer than the program waits.
        let (low, high) = if is_troubled { self.story.connect_ms } else { (5, 200) };
        let due = (self.now + self.dice.ms(low, high)).max(self.stalled_until);
        self.at(due, Due::Connects(at, is_made));
    }

    pub(super) fn connects(&mut self, at: usize, is_made: bool) {
        if self.connections[at].state == State::Dead {
            return;
        }
        let attempt = self.connections[at].attempt;
        let event = if is_made {
            self.connections[at].state = State::Open;
            LinkEvent::Connected
        } else {
            self.connections[at].state = State::Dead;
            LinkEvent::Down(self.no_connection())
        };
        self.report(LinkReport { attempt, event }, None);
    }

    /// Why no connection came about.
    fn no_connection(&mut self) -> Closing {
        self.watch.count("failed connections");
        match self.dice.between(0, 6) {
            0 => Closing::Clock("the clock is not set".into()),
            1 => Closing::Portal("a portal answers".into()),
            2 => Closing::Certificate("not the service's".into()),
            3 => Closing::Http(503),
            _ => Closing::Network("nobody is there".into()),
        }
    }

    pub(super) fn report(&mut self, report: LinkReport, reply: Option<ReplyId>) {
        self.push(Queue::LinkToCore, |(report, reply)| Due::ToCore(ToCore::Link(report, reply)), (report, reply));
    }

    /// Sends on its way what the service says.
    pub(super) fn hear_service(&mut self, at: usize) {
        let downs = self.connections[at].drain(&self.story.turns, &mut self.watch);
        for down in downs {
            let again = match &down {
                Down::Message(text) if text.contains("turnComplete\":true") && !text.contains("inlineData") => {
                    Some(Down::Message(text.clone()))
                }
                _ => None,
            };
            self.send_down(at, down);
            if let Some(again) = again.filter(|_| self.dice.chance(self.story.doubles_percent)) {
                self.watch.count("ends told twice");
                self.send_down(at, again);
            }
        }
    }

    pub(super) fn down(&mut self, at: usize, down: Down) {
        self.connections[at].unread.push_back(down);
        self.read(at);
    }

    /// Reads what has arrived, as long as the core's queue has room.
    pub(super) fn read(&mut self, at: usize) {
        while self.current == Some(at) && self.len(Queue::LinkToCore) < LINK_EVENTS_MAX {
            let connection = &mut self.connections[at];
            let Some(down) = connection.unread.pop_front() else { return };
            let attempt = connection.attempt;
            match down {
                Down::Pong => self.report(LinkReport { attempt, event: LinkEvent::Alive }, None),
                Down::Begins(reply) => connection.reply = Some(reply),
                Down::Message(_) if connection.state == State::Dead => {}
                Down::Message(text) => {
                    let reply = connection.reply;
                    let event = match connection.reader.read(text.as_bytes()) {
                        Ok(message) => LinkEvent::Message(Box::new(message)),
                        Err(garbage) => LinkEvent::Garbage(garbage.to_string()),
                    };
                    self.report(LinkReport { attempt, event }, reply);
                }
                Down::Closed(closing) => {
                    connection.end(self.now);
                    self.first_turn = connection.next_turn();
                    self.current = None;
                    self.report(LinkReport { attempt, event: LinkEvent::Down(closing) }, None);
                }
            }
        }
    }
}
