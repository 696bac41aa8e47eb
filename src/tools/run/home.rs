//! Home Assistant: a connection that is kept, told of every change of the listed entities, and made again when it ends.
//!
//! It has a thread of its own, as the MCP servers have (`aside.rs`): a flood of what it sends delays no pulse.
//! Calls are handed over; while there is no connection they hear so at once, and none is kept for later.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::aside::{Aside, Stop};
use super::secrets::SecretBook;
use super::{Outside, Tell};
use crate::config::agent::Agent;
use crate::config::agent::action::address::Scheme;
use crate::config::agent::home::HomeAssistant;
use crate::flow::What;
use crate::hw::Clock;
use crate::hw::reach::{Reach, Stream};
use crate::live::backoff::Backoff;
use crate::live::credential::Secret;
use crate::live::rfc3339;
use crate::tools::home::talk::{End, Output, Talk};
use crate::tools::home::{HomeWork, PEER};
use crate::tools::{Failure, fill};

/// The part of the program that Home Assistant is, for those who watch.
pub const HOME_PART: &str = "home_assistant";

/// One message of Home Assistant's: the states of all listed entities, with attributes, have 100 KB at most.
const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Calls on their way to the thread: the errands have eight at a time.
const ASKS_MAX: usize = 16;
/// The upgrade, and each message that is sent.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// A call that comes while the first connection is being made waits for it so long.
const START_PATIENCE: Duration = Duration::from_secs(3);
/// A connection that held so long proved itself: the next failure is the first again.
const STABLE: Duration = Duration::from_secs(60);
/// A refused token is shown again after this: Home Assistant may lock out who shows a wrong one too often.
const REFUSED_WAIT: Duration = Duration::from_secs(600);
/// A new token in the file is noticed within this.
const TOKEN_EVERY: Duration = Duration::from_secs(5);
/// For the thread to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// Home Assistant, where the owner has it.
pub(super) struct Home {
    secrets: SecretBook,
    asks: mpsc::Sender<Ask>,
    state: watch::Receiver<State>,
    aside: Aside,
    /// What the thread will have; none after it was started, or where there is nothing to do.
    keeper: Mutex<Option<Keeper>>,
}

#[derive(Clone, Debug)]
enum State {
    Opening,
    Up,
    /// Away, and why: the end of a sentence.
    Down(String),
}

/// A call on its way to the thread.
struct Ask {
    work: HomeWork,
    data: Map<String, Value>,
    hidden: Vec<String>,
    reply: oneshot::Sender<Result<Value, Failure>>,
}

impl Home {
    pub(super) fn new(agent: &Agent, secrets: &SecretBook, outside: &Outside) -> Home {
        let (asks, asked) = mpsc::channel(ASKS_MAX);
        let (state, seen) = watch::channel(State::Opening);
        let keeper = agent.home.clone().map(|settings| Keeper {
            reach: Reach::new(outside.extra_ca_pem.as_deref()),
            settings,
            secrets: secrets.clone(),
            clock: outside.clock.clone(),
            tell: outside.tell.clone(),
            asked,
            state,
            is_told: false,
        });
        Home { secrets: secrets.clone(), asks, state: seen, aside: Aside::default(), keeper: Mutex::new(keeper) }
    }

    /// Starts the thread, where there is something to do.
    ///
    /// # Errors
    /// The system gives no thread or no runtime.
    pub(super) fn start(&self) -> io::Result<()> {
        let Some(keeper) = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take() else { return Ok(()) };
        self.aside.start("home", |stop| keeper.keep(stop))
    }

    /// Says good-bye.
    pub(super) async fn stop(&self) {
        self.aside.stop(STOP_TIMEOUT).await;
    }

    /// Whether it can be asked now.
    pub(super) async fn ready(&self, work: &HomeWork) -> Result<(), Failure> {
        let mut state = self.state.clone();
        let patience = START_PATIENCE.min(work.patience);
        let opened = timeout(patience, state.wait_for(|state| !matches!(state, State::Opening))).await;
        let why = match opened.map(|state| state.map(|state| state.clone())) {
            Ok(Ok(State::Up)) => return Ok(()),
            Ok(Ok(State::Down(why))) => format!("it {why}"),
            _ => "it does not answer yet".to_string(),
        };
        Err(away(&why))
    }

    /// Asks.
    pub(super) async fn ask(&self, work: &HomeWork) -> Result<Value, Failure> {
        let (mut data, mut hidden) = (Map::new(), Vec::new());
        for (field, body) in work.call.iter().flat_map(|call| &call.data) {
            let mut secret = |name: &str| {
                let secret = self.secrets.fetch(name)?.reveal().to_string();
                hidden.push(secret.clone());
                Ok::<_, Failure>(secret)
            };
            data.insert(field.clone(), fill::reveal_body(body, &mut secret)?);
        }
        let (reply, answer) = oneshot::channel();
        let ask = Ask { work: work.clone(), data, hidden, reply };
        self.asks.try_send(ask).map_err(|_| away("it has too much to do"))?;
        let effect = if work.call.is_some() { "; it may or may not have been done" } else { "" };
        match timeout(work.patience, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Failure::Unreachable(format!("{PEER} went away in the middle of the call{effect}"))),
            Err(_) => {
                let ms = work.patience.as_millis();
                Err(Failure::Unreachable(format!("{PEER} did not answer within {ms} ms{effect}")))
            }
        }
    }
}

fn away(why: &str) -> Failure {
    Failure::Unreachable(format!("{PEER} cannot be reached just now: {why}; nothing was done"))
}

/// A connection, before its first message.
struct Opened {
    socket: WebSocketStream<Stream>,
    /// What Home Assistant takes the time for.
    unix_s: Option<u64>,
    token: Secret,
}

/// Keeps the connection.
struct Keeper {
    settings: HomeAssistant,
    reach: Reach,
    secrets: SecretBook,
    clock: Arc<dyn Clock>,
    tell: Arc<Tell>,
    asked: mpsc::Receiver<Ask>,
    state: watch::Sender<State>,
    is_told: bool,
}

impl Keeper {
    async fn keep(mut self, mut stop: Stop) {
        let mut backoff = Backoff::new(u64::from(std::process::id()) ^ self.clock.now().as_us());
        loop {
            let opened = tokio::select! {
                biased;
                () = stop.wait() => return,
                opened = self.open() => opened,
            };
            let why = match opened {
                Err(why) => End::Failed(why),
                Ok(opened) => {
                    let (began_at, token) = (self.clock.now(), opened.token.clone());
                    let Some(end) = self.hold(opened, &mut stop).await else { return };
                    if self.clock.now().since(began_at) > STABLE {
                        backoff.reset();
                    }
                    if end == End::TokenRefused {
                        self.down(&format!(
                            "refused the token in the secret `{}`; make a long-lived access token in your profile there",
                            self.settings.token_secret
                        ));
                        tokio::select! {
                            biased;
                            () = stop.wait() => return,
                            () = self.new_token(&token) => continue,
                        }
                    }
                    end
                }
            };
            if let End::Failed(why) = why {
                self.down(&why);
            }
            let wait = sleep(backoff.next_wait());
            tokio::select! {
                biased;
                () = stop.wait() => return,
                () = self.turn_away(wait) => {}
            }
        }
    }

    /// It is away: whoever watches is told once.
    fn down(&mut self, why: &str) {
        self.state.send_replace(State::Down(why.to_string()));
        if !std::mem::replace(&mut self.is_told, true) {
            let text = format!("{PEER} {why}; it is tried again and again");
            (self.tell)(What::Trouble { part: HOME_PART.into(), text });
        }
    }

    /// Waits for `wait`; a call that came in the moment the connection ended is not kept for the next.
    async fn turn_away(&mut self, wait: impl Future<Output = ()>) {
        tokio::pin!(wait);
        loop {
            tokio::select! {
                () = &mut wait => return,
                Some(ask) = self.asked.recv() => drop(ask.reply.send(Err(away("its connection has just ended")))),
            }
        }
    }

    /// Waits until the secret is another than the refused one, or long enough to try that again.
    async fn new_token(&mut self, refused: &Secret) {
        let rounds = REFUSED_WAIT.as_secs() / TOKEN_EVERY.as_secs();
        for _ in 0..rounds {
            self.turn_away(sleep(TOKEN_EVERY)).await;
            if self.secrets.fetch(&self.settings.token_secret).is_ok_and(|token| token != *refused) {
                return;
            }
        }
    }

    async fn open(&self) -> Result<Opened, String> {
        let token = self.secrets.fetch(&self.settings.token_secret).map_err(|why| format!("is not asked: {why}"))?;
        let address = &self.settings.address;
        let stream = self.reach.open(&address.origin).await.map_err(|why| format!("cannot be reached ({why})"))?;
        let scheme = if address.origin.scheme == Scheme::Https { "wss" } else { "ws" };
        let url = format!("{scheme}://{}{}", address.origin.authority(), address.path);
        let request = url.into_client_request().map_err(|error| format!("cannot be asked ({error})"))?;
        let mut config = WebSocketConfig::default();
        config.max_message_size = Some(MESSAGE_BYTES_MAX);
        config.max_frame_size = Some(MESSAGE_BYTES_MAX);
        match timeout(SEND_TIMEOUT, client_async_with_config(request, stream, Some(config))).await {
            Ok(Ok((socket, response))) => {
                let date = response.headers().get("date").and_then(|date| date.to_str().ok());
                Ok(Opened { socket, unix_s: date.and_then(http_date), token })
            }
            Ok(Err(error)) => Err(format!("takes no WebSocket at {} ({error})", address.path)),
            Err(_) => Err(format!("did not answer within {} s", SEND_TIMEOUT.as_secs())),
        }
    }

    /// Serves with one connection until it ends; none where it is time to stop.
    async fn hold(&mut self, opened: Opened, stop: &mut Stop) -> Option<End> {
        let Opened { mut socket, unix_s, token } = opened;
        let listed = self.settings.entities.iter().map(|entity| entity.id.clone());
        let mut talk = Talk::new(listed, unix_s, self.clock.now());
        let mut callers: std::collections::BTreeMap<u64, oneshot::Sender<_>> = std::collections::BTreeMap::new();
        let (mut last_ticket, mut is_up) = (0_u64, false);
        loop {
            while let Some(output) = talk.poll_output() {
                let text = match output {
                    Output::Send(text) => text,
                    Output::SendToken => crate::tools::home::message::auth(token.reveal()),
                    Output::Up => {
                        is_up = true;
                        self.up();
                        continue;
                    }
                    Output::Answer(ticket, answer) => {
                        // Gone where the call was stopped.
                        callers.remove(&ticket).map(|reply: oneshot::Sender<_>| reply.send(answer));
                        continue;
                    }
                };
                match timeout(SEND_TIMEOUT, socket.send(Message::text(text))).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return Some(End::Failed(format!("broke off ({error})"))),
                    Err(_) => return Some(End::Failed("takes no more messages".into())),
                }
            }
            callers.retain(|_, reply| !reply.is_closed());
            let wait = talk.deadline().since(self.clock.now());
            let step = tokio::select! {
                biased;
                () = std::future::ready(()), if wait.is_zero() => talk.handle_timeout(self.clock.now()),
                () = stop.wait() => {
                    let _ = timeout(STOP_TIMEOUT / 2, socket.close(None)).await;
                    return None;
                }
                Some(ask) = self.asked.recv(), if is_up => {
                    last_ticket += 1;
                    callers.insert(last_ticket, ask.reply);
                    talk.ask(last_ticket, ask.work, &ask.data, ask.hidden, self.clock.now());
                    Ok(())
                }
                message = socket.next() => match message {
                    Some(Ok(Message::Text(text))) => talk.handle_text(&text, self.clock.now()),
                    Some(Ok(Message::Close(_))) | None => Err(End::Failed("closed the connection".into())),
                    Some(Ok(_)) => Ok(()),
                    Some(Err(error)) => Err(End::Failed(format!("broke off ({error})"))),
                },
                () = sleep(wait) => talk.handle_timeout(self.clock.now()),
            };
            if let Err(end) = step {
                return Some(end);
            }
        }
    }

    fn up(&mut self) {
        self.state.send_replace(State::Up);
        tracing::info!("{PEER} is there");
        if std::mem::take(&mut self.is_told) {
            (self.tell)(What::Recovered { part: HOME_PART.into() });
        }
    }
}

/// `Sun, 22 Nov 2026 02:15:12 GMT` as seconds since 1970.
fn http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split_once(", ")?.1.split(' ');
    let (day, month, year, time) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    rfc3339::parse(&format!("{year}-{month:02}-{day}T{time}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_an_answer_is_read() {
        assert_eq!(http_date("Sun, 22 Nov 2026 02:15:12 GMT"), rfc3339::parse("2026-11-22T02:15:12Z"));
        assert!(http_date("Sun, 22 Nov 2026 02:15:12 GMT").is_some());
        assert_eq!(http_date("Sunday, 22-Nov-26 02:15:12 GMT"), None);
        assert_eq!(http_date(""), None);
    }
}
