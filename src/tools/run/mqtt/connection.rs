//! One connection to the broker, from its welcome to its end. Nothing outlives it: what was not confirmed by then has
//! failed, and its call is told so.

use std::collections::{BTreeMap, HashMap};
use std::future::pending;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::reach::{Away, Reached};
use super::{Client, Order, ToolCall};
use crate::config::agent::mqtt::Version;
use crate::flow::{Control, TOOL_ORDERS_MAX};
use crate::hw::reach::Stream;
use crate::tools::Failure;
use crate::tools::mqtt::Message;
use crate::tools::mqtt::command::{self, Command, Rates};
use crate::tools::mqtt::presence;
use crate::tools::mqtt::wire::{self, In, Out, Reader};

/// Bytes that wait to be sent; a broker that takes less is as good as gone.
const OUT_BYTES_MAX: usize = 256 * 1024;
/// How long the broker may take to say that it is there.
const PONG_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a farewell may take.
const BYE_TIMEOUT: Duration = Duration::from_millis(500);
/// Between two looks at what there is to show: a slider or a chatting state is not told in every step.
const SHOW_EVERY: Duration = Duration::from_millis(100);

/// Told to a call whose message may or may not have been passed on.
const BROKE: &str = "the connection to the MQTT broker broke before it confirmed the message: it may or may not have been \
                     passed on, and will not be sent again. Check the state before you call again";

/// A tool's name, and what came of its call.
type CallResult = (String, Result<Value, String>);

/// How a connection ended.
pub(super) enum End {
    /// It broke, or was cut.
    Broken(Away),
    /// The device said farewell.
    Left,
}

pub(super) struct Connection<'c> {
    client: &'c Client,
    version: Version,
    writer: WriteHalf<Stream>,
    out: BytesMut,
    /// Whether bytes are still on their way to the socket.
    is_unsent: bool,
    receive_max: usize,
    next_number: u16,
    /// Calls that wait for the broker's word, by their message's number.
    unconfirmed: HashMap<u16, oneshot::Sender<Result<(), Failure>>>,
    /// Calls that wait only until their message was sent.
    unsent: Vec<oneshot::Sender<Result<(), Failure>>>,
    filters: Vec<String>,
    shown: BTreeMap<String, Vec<u8>>,
    rates: Rates,
    /// What came of calls by others, by the tool's name.
    results: (mpsc::Sender<CallResult>, mpsc::Receiver<CallResult>),
}

impl<'c> Connection<'c> {
    /// Serves the connection until it ends.
    pub(super) async fn serve(client: &'c Client, reached: Reached, orders: &mut mpsc::Receiver<Order>) -> End {
        let Reached { stream, reader, receive_max, keep_alive } = reached;
        let (incoming, writer) = split(stream);
        let mut connection = Connection {
            client,
            version: client.mqtt.version,
            writer,
            out: BytesMut::new(),
            is_unsent: false,
            receive_max: receive_max.into(),
            next_number: 1,
            unconfirmed: HashMap::new(),
            unsent: Vec::new(),
            filters: client.filters(),
            shown: BTreeMap::new(),
            rates: Rates::default(),
            results: mpsc::channel(TOOL_ORDERS_MAX),
        };
        let end = match connection.begin() {
            Ok(()) => connection.run(incoming, reader, keep_alive, orders).await,
            Err(why) => Err(why),
        };
        for call in connection.unconfirmed.drain().map(|(_, call)| call).chain(connection.unsent.drain(..)) {
            let _ = call.send(Err(Failure::Unreachable(BROKE.to_string())));
        }
        end.map_or_else(End::Broken, |()| End::Left)
    }

    /// What is said on every connection first: nothing of an earlier one is left at the broker.
    fn begin(&mut self) -> Result<(), Away> {
        if !self.filters.is_empty() {
            let (filters, number) = (self.filters.clone(), self.number());
            self.send(&Out::Subscribe(&filters, number))?;
        }
        if let Some(presence) = &self.client.presence {
            self.send(&Out::Publish(&presence.discovery(), None))?;
        }
        if let Some(online) = self.client.availability(true) {
            self.send(&Out::Publish(&online, None))?;
        }
        Ok(())
    }

    async fn run(
        &mut self,
        mut incoming: ReadHalf<Stream>,
        mut reader: Reader,
        keep_alive: Duration,
        orders: &mut mpsc::Receiver<Order>,
    ) -> Result<(), Away> {
        self.take_packets(&mut reader)?;
        let mut ping_at = Instant::now() + keep_alive;
        let mut pong_until: Option<Instant> = None;
        let mut show_at = Some(Instant::now());
        loop {
            tokio::select! {
                read = incoming.read_buf(reader.inbox()) => {
                    match read {
                        Ok(0) => return Err(Away::lost("the broker closed the connection")),
                        Err(why) => return Err(Away::lost(format!("the connection broke: {why}"))),
                        Ok(_) => pong_until = None,
                    }
                    self.take_packets(&mut reader)?;
                }
                sent = push(&mut self.writer, &mut self.out), if self.is_unsent => {
                    sent.map_err(|why| Away::lost(format!("the connection broke: {why}")))?;
                    self.is_unsent = false;
                    self.unsent.drain(..).for_each(|call| drop(call.send(Ok(()))));
                    ping_at = Instant::now() + keep_alive;
                }
                order = orders.recv() => match order {
                    Some(Order::Publish { message, call }) => self.publish(&message, call)?,
                    Some(Order::Leave) | None => return self.leave(&mut incoming).await,
                },
                Some((name, result)) = self.results.1.recv() => self.send_result(&name, &result)?,
                () = self.client.abandoned.notified() => self.cut_if_abandoned()?,
                () = self.client.heard_something() => {
                    let soon = Instant::now() + SHOW_EVERY;
                    show_at = Some(show_at.map_or(soon, |at| at.min(soon)));
                }
                () = until(show_at) => show_at = self.show()?.map(|wait| Instant::now() + wait.max(SHOW_EVERY)),
                () = until(pong_until) => return Err(Away::lost("the broker does not answer any more")),
                () = sleep_until(ping_at) => {
                    self.send(&Out::Ping)?;
                    pong_until.get_or_insert_with(|| Instant::now() + PONG_TIMEOUT);
                    ping_at = Instant::now() + keep_alive;
                }
            }
        }
    }

    /// Puts a packet among what is to be sent.
    fn send(&mut self, packet: &Out<'_>) -> Result<(), Away> {
        wire::encode(self.version, packet, &mut self.out).map_err(Away::lost)?;
        self.is_unsent = true;
        if self.out.len() > OUT_BYTES_MAX {
            return Err(Away::lost("the broker takes nothing any more"));
        }
        Ok(())
    }

    fn number(&mut self) -> u16 {
        loop {
            let number = self.next_number;
            self.next_number = self.next_number.checked_add(1).unwrap_or(1);
            if !self.unconfirmed.contains_key(&number) {
                return number;
            }
        }
    }

    fn publish(&mut self, message: &Message, call: oneshot::Sender<Result<(), Failure>>) -> Result<(), Away> {
        if call.is_closed() {
            return Ok(()); // its time is over: it must not be sent any more
        }
        if !message.is_confirmed {
            self.unsent.push(call);
            return self.send(&Out::Publish(message, None));
        }
        if self.unconfirmed.len() >= self.receive_max {
            let busy = "the MQTT broker takes no more messages at once; call again when the others are done";
            let _ = call.send(Err(Failure::Refused(busy.to_string())));
            return Ok(());
        }
        let number = self.number();
        self.unconfirmed.insert(number, call);
        self.send(&Out::Publish(message, Some(number)))
    }

    /// A call that is over before its message was confirmed: the message may wait in this machine for a network that
    /// comes back. It must not be sent then, so the connection goes, and with it all that waits.
    fn cut_if_abandoned(&mut self) -> Result<(), Away> {
        let calls = self.unconfirmed.values().chain(&self.unsent);
        if calls.into_iter().any(oneshot::Sender::is_closed) {
            return Err(Away::lost("the broker did not confirm a message in time"));
        }
        Ok(())
    }

    fn take_packets(&mut self, reader: &mut Reader) -> Result<(), Away> {
        while let Some(packet) = reader.next_packet().map_err(Away::lost)? {
            self.take(packet)?;
        }
        Ok(())
    }

    fn take(&mut self, packet: In) -> Result<(), Away> {
        match packet {
            In::Message { topic, payload, is_old, number } => {
                if let Some(number) = number {
                    self.send(&Out::Ack(number))?;
                }
                self.take_message(&topic, &payload, is_old)?;
            }
            In::Confirmed(number, word) => {
                if let Some(call) = self.unconfirmed.remove(&number) {
                    let refused = |why| Failure::Refused(format!("the MQTT broker refuses the message: {why}"));
                    let _ = call.send(word.map_err(refused));
                }
            }
            In::Subscribed(_, words) => {
                for (filter, why) in self.filters.iter().zip(words).filter_map(|(filter, why)| Some((filter, why?))) {
                    tracing::warn!(%filter, "nothing is heard on this MQTT topic: {why}");
                }
            }
            In::Bye(why) | In::Refused(why) => return Err(Away::refused(why)),
            In::Welcome { .. } | In::Pong | In::Other => {}
        }
        Ok(())
    }

    fn take_message(&mut self, topic: &str, payload: &[u8], is_old: bool) -> Result<(), Away> {
        if self.client.fleet.as_ref().is_some_and(|post| post.hear(topic, payload, is_old)) {
            return Ok(());
        }
        let presence = self.client.presence.as_ref();
        let command = presence.and_then(|presence| presence.command(topic));
        let tool = presence.and_then(|presence| presence.tool_called(topic)).filter(|_| self.client.calls.is_some());
        match (command, tool) {
            // What the broker kept was asked for at another time, in another conversation.
            (Some(name), _) | (_, Some(name)) if is_old => {
                tracing::debug!(%name, "what the broker had kept is no command and is not carried out");
            }
            (Some(name), _) => self.take_command(name, payload),
            (None, Some(name)) => return self.take_call(name, payload),
            (None, None) => self.client.hear(topic, payload, is_old),
        }
        Ok(())
    }

    /// Passes a call on; its result is published when it is there, if this connection still stands then.
    fn take_call(&mut self, name: &str, payload: &[u8]) -> Result<(), Away> {
        let Some(calls) = &self.client.calls else { return Ok(()) };
        let args = match command::arguments(payload) {
            Ok(args) => args,
            Err(why) => return self.send_result(name, &Err(why)),
        };
        let (answer, result) = oneshot::channel();
        if calls.try_send(ToolCall { name: name.to_string(), args, answer }).is_err() {
            return self.send_result(name, &Err("the device is busy with other calls; call again".to_string()));
        }
        let (results, name) = (self.results.0.clone(), name.to_string());
        tokio::spawn(async move {
            if let Ok(result) = result.await {
                let _ = results.send((name, result)).await; // gone where the connection is
            }
        });
        Ok(())
    }

    fn send_result(&mut self, name: &str, result: &Result<Value, String>) -> Result<(), Away> {
        let Some(presence) = &self.client.presence else { return Ok(()) };
        self.send(&Out::Publish(&presence.tool_result(name, result), None))
    }

    fn take_command(&mut self, name: &str, payload: &[u8]) {
        let command = match command::command(name, payload) {
            Ok(command) => command,
            Err(why) => return tracing::warn!("a command over MQTT is not carried out: {why}"),
        };
        if !self.rates.may(&command, self.client.clock.now()) {
            return tracing::warn!(%name, "commands over MQTT come too often; this one is not carried out");
        }
        let control = match command {
            Command::Announce(text) => Control::Tell(command::to_say(&text).into()),
            Command::Mute(is_muted) => Control::Mute(is_muted),
            Command::Volume(percent) => Control::Volume(percent),
            Command::Listen => Control::Listen,
        };
        if !(self.client.give)(control) {
            tracing::warn!(%name, "a command over MQTT finds the device busy and is left out");
        }
        // Who gave it may show already what they expect: what holds is said again.
        self.shown.remove(name);
        self.client.show_again();
    }

    /// Publishes what is new of the device; answers when to look again by itself.
    fn show(&mut self) -> Result<Option<Duration>, Away> {
        self.show_fleet()?;
        let (Some(presence), Some(ear)) = (&self.client.presence, &self.client.ear) else { return Ok(None) };
        let shown = ear.look(self.client.clock.now());
        for (name, says) in shown.states {
            if self.shown.get(name).is_none_or(|before| *before != says.as_bytes()) {
                let message = presence.state(name, &says);
                self.shown.insert(name.to_string(), says.into_bytes());
                self.send(&Out::Publish(&message, None))?;
            }
        }
        for event in shown.presses {
            self.send(&Out::Publish(&presence.button(event), None))?;
        }
        Ok(shown.again_in)
    }

    /// Publishes what is new of the fleet's.
    fn show_fleet(&mut self) -> Result<(), Away> {
        let Some(post) = &self.client.fleet else { return Ok(()) };
        for (topic, says) in post.shown() {
            if self.shown.get(&topic).is_none_or(|before| *before != says) {
                let message = presence::kept_bytes(topic.clone(), says.clone());
                self.shown.insert(topic, says);
                self.send(&Out::Publish(&message, None))?;
            }
        }
        Ok(())
    }

    async fn leave(&mut self, incoming: &mut ReadHalf<Stream>) -> Result<(), Away> {
        if let Some(offline) = self.client.availability(false) {
            self.send(&Out::Publish(&offline, None))?;
        }
        self.send(&Out::Bye)?;
        let mut rest = [0; 1024];
        let _ = timeout(BYE_TIMEOUT, async {
            push(&mut self.writer, &mut self.out).await?;
            // The broker closes when it has read the farewell; closed before, it could be lost on the way.
            while incoming.read(&mut rest).await? > 0 {}
            Ok::<_, std::io::Error>(())
        })
        .await;
        Ok(())
    }
}

/// Writes all; dropped halfway, it can be called again.
async fn push(writer: &mut WriteHalf<Stream>, out: &mut BytesMut) -> std::io::Result<()> {
    while out.has_remaining() {
        writer.write_buf(out).await?;
    }
    writer.flush().await
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}
