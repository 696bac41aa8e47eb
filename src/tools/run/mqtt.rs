//! The MQTT broker: one task keeps the connection, calls and presence go through it.
//!
//! Delivery is a promise with an end. A message leaves only while its call waits; it is never kept for a connection that
//! may come back (each begins an empty session), and a connection that swallowed one is cut (see `connection.rs`).

mod connection;
mod ear;
mod reach;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::Outside;
use super::secrets::SecretBook;
use crate::config::agent::mqtt::Mqtt;
use crate::config::agent::policy::Caller;
use crate::config::agent::{Action, Agent};
use crate::fleet::Post;
use crate::flow::{Control, TOOL_ORDERS_MAX, What};
use crate::hw::Clock;
use crate::live::backoff::Backoff;
use crate::tools::Failure;
use crate::tools::mqtt::presence::{self, Presence};
use crate::tools::mqtt::states::States;
use crate::tools::mqtt::wire::Hello;
use crate::tools::mqtt::{self, Message, Request, Wait};
use connection::{Connection, End};
pub use ear::Ear;
use reach::Away;

/// Topics with wildcards that are asked for; a configuration with more reads more than it can keep.
const FILTERS_MAX: usize = 64;
/// A call that finds the broker away waits so long for it to come back: a broker that is restarted is there by then.
const RETURN_WAIT: Duration = Duration::from_secs(2);
/// Attempts are no closer than this, however many calls ask for one.
const ATTEMPT_EVERY: Duration = Duration::from_secs(1);
/// A connection that held so long was a good one: the next failure is the first again.
const GOOD_AFTER: Duration = Duration::from_secs(10);
/// How long the farewell may hold up the end of the program.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a state that is already as wanted is given to become another, after the broker has the message.
const SETTLE: Duration = Duration::from_millis(500);

/// The fleet's topic of whether a device can be reached.
const ONLINE: &str = "online";

/// What the task is told.
enum Order {
    Publish { message: Message, call: oneshot::Sender<Result<(), Failure>> },
    Leave,
}

/// A call of a tool by somebody at the broker.
pub(super) struct ToolCall {
    pub(super) name: String,
    pub(super) args: Map<String, Value>,
    pub(super) answer: oneshot::Sender<Result<Value, String>>,
}

/// The broker as the tools see it.
pub(super) struct Broker {
    client: Arc<Client>,
    orders: mpsc::Sender<Order>,
    /// The task's end, until it is started.
    unstarted: Mutex<Option<mpsc::Receiver<Order>>>,
    ended: Arc<Notify>,
    /// Calls by others, until they are taken up.
    calls: Mutex<Option<mpsc::Receiver<ToolCall>>>,
}

/// What the task, its connections and the calls share.
struct Client {
    mqtt: Mqtt,
    secrets: SecretBook,
    hello: Hello,
    presence: Option<Presence>,
    ear: Option<Ear>,
    /// What the fleet shows and hears.
    fleet: Option<Arc<Post>>,
    /// Where calls by others go; none where no tool may be called so.
    calls: Option<mpsc::Sender<ToolCall>>,
    /// Topics that tools read.
    read: Vec<String>,
    states: Mutex<States>,
    /// Rises with each message heard.
    heard: watch::Sender<u64>,
    /// None while the connection stands; otherwise why it does not.
    away: watch::Sender<Option<Away>>,
    /// A call wants the broker now.
    wanted: Notify,
    /// A call ended before its message was confirmed.
    abandoned: Notify,
    shows_again: Arc<Notify>,
    clock: Arc<dyn Clock>,
    give: Arc<dyn Fn(Control) -> bool + Send + Sync>,
    tell: Arc<super::Tell>,
}

/// Tells the task when a call is over before its time.
struct Abandon<'b>(&'b Client);

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        self.0.abandoned.notify_one();
    }
}

impl Broker {
    /// The broker of the configuration, where it names one; nothing is reached before [`Broker::start`].
    pub(super) fn new(agent: &Agent, secrets: &SecretBook, outside: &Outside) -> Option<Broker> {
        let mqtt = agent.mqtt.clone()?;
        let machine_id = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
        let identity = presence::identity(&machine_id);
        let fleet = outside.fleet.clone();
        let presence = mqtt.presence.then(|| {
            let presence = Presence::new(&mqtt, &identity, outside.has_talk_line);
            match &fleet {
                Some(post) => presence.available_at(post.topic(ONLINE)),
                None => presence,
            }
        });
        let shows_again = Arc::new(Notify::new());
        if let Some(post) = &fleet {
            let again = shows_again.clone();
            post.on_show(move || again.notify_one());
        }
        let hello = Hello {
            client_id: mqtt.client_id.clone().unwrap_or_else(|| client_id(agent, &identity)),
            user: None, // read anew for each connection
            keep_alive_s: mqtt.keep_alive_s,
            will: availability(presence.as_ref(), fleet.as_deref(), false),
        };
        let ear = presence.as_ref().map(|presence| Ear::new(agent, presence.has_transcript()));
        let may_be_called = agent.policies().any(|policy| policy.callers.contains(&Caller::Mqtt));
        let (calls, calls_there) = mpsc::channel(TOOL_ORDERS_MAX);
        let client = Client {
            calls: (may_be_called && presence.is_some()).then_some(calls),
            secrets: secrets.clone(),
            hello,
            presence,
            ear,
            fleet,
            read: read_topics(agent),
            states: Mutex::default(),
            heard: watch::Sender::new(0),
            away: watch::Sender::new(Some(Away::lost("it was not reached yet"))),
            wanted: Notify::new(),
            abandoned: Notify::new(),
            shows_again,
            clock: outside.clock.clone(),
            give: outside.give.clone(),
            tell: outside.tell.clone(),
            mqtt,
        };
        let (orders, unstarted) = mpsc::channel(TOOL_ORDERS_MAX);
        let unstarted = Mutex::new(Some(unstarted));
        Some(Broker {
            client: Arc::new(client),
            orders,
            unstarted,
            ended: Arc::default(),
            calls: Mutex::new(Some(calls_there)),
        })
    }

    /// What hears events for the presence, where there is one.
    pub(super) fn ear(&self) -> Option<Ear> {
        self.client.ear.clone()
    }

    /// The end at which calls by others come; once.
    pub(super) fn calls(&self) -> Option<mpsc::Receiver<ToolCall>> {
        self.client.calls.as_ref()?;
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Starts the task; within the runtime.
    pub(super) fn start(&self) {
        let Some(orders) = self.unstarted.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let (client, ended) = (self.client.clone(), self.ended.clone());
        tokio::spawn(async move {
            client.serve(orders).await;
            ended.notify_one();
        });
    }

    /// Waits until the broker, which was away before, is there.
    pub(super) async fn comes_back(&self) {
        let mut away = self.client.away.subscribe();
        let _ = away.wait_for(Option::is_some).await;
        let _ = away.wait_for(Option::is_none).await;
    }

    /// Says farewell.
    pub(super) async fn stop(&self) {
        if self.orders.try_send(Order::Leave).is_ok() {
            let _ = timeout(STOP_TIMEOUT, self.ended.notified()).await;
        }
    }

    /// Does it. Dropped halfway, nothing of it is sent any more.
    pub(super) async fn carry_out(&self, request: &Request) -> Result<Value, Failure> {
        match request {
            Request::Read(at) => {
                let read = self.client.states().read(at, self.client.clock.now());
                self.as_far_as_known(read)
            }
            Request::Publish { message, wait, within } => {
                let until = Instant::now() + *within;
                let since = self.client.states().count();
                self.publish(message, until, *within).await?;
                match wait {
                    None => Ok(mqtt::done(message)),
                    Some(wait) => self.client.wait(wait, since, until, *within).await,
                }
            }
        }
    }

    /// While the broker is away a state is what it was then, and one that is not known may be so for that reason.
    fn as_far_as_known(&self, read: Result<Value, String>) -> Result<Value, Failure> {
        match (read, self.client.away.borrow().as_ref()) {
            (Ok(mut state), Some(_)) => {
                state["broker_is_away"] = Value::Bool(true);
                Ok(state)
            }
            (Err(_), Some(away)) => Err(unreached(away)),
            (read, None) => read.map_err(Failure::Refused),
        }
    }

    async fn publish(&self, message: &Message, until: Instant, within: Duration) -> Result<(), Failure> {
        self.wait_for_return(until).await?;
        let (call, answer) = oneshot::channel();
        // Both ends on the way out, in this order: first the answer is given up, then the task is told.
        let _abandon = Abandon(&self.client);
        let answer = answer;
        let order = Order::Publish { message: message.clone(), call };
        let gone = || Failure::Unreachable("the device is being switched off; nothing was sent".to_string());
        self.orders.try_send(order).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                Failure::Refused("the MQTT broker is busy with other calls; call again when they are done".to_string())
            }
            mpsc::error::TrySendError::Closed(_) => gone(),
        })?;
        match timeout_at(until, answer).await {
            Ok(answer) => answer.unwrap_or_else(|_| Err(gone())),
            Err(_) => Err(Failure::Unreachable(format!(
                "the MQTT broker did not confirm the message within {} ms: it may or may not have been passed on, and will \
                 not be sent again. Check the state before you call again",
                within.as_millis()
            ))),
        }
    }

    /// Waits a moment where the broker is away: it may just be coming back.
    async fn wait_for_return(&self, until: Instant) -> Result<(), Failure> {
        let mut away = self.client.away.subscribe();
        if away.borrow_and_update().is_some() {
            self.client.wanted.notify_one();
            let until = until.min(Instant::now() + RETURN_WAIT);
            let _ = timeout_at(until, away.wait_for(Option::is_none)).await;
        }
        let away = away.borrow();
        away.as_ref().map_or(Ok(()), |away| Err(unreached(away)))
    }
}

fn unreached(away: &Away) -> Failure {
    Failure::Unreachable(format!("the MQTT broker could not be reached; nothing was sent: {}", away.why))
}

/// Whether the device can be reached, for whoever looks on; a connection has one last will, and it is this.
fn availability(presence: Option<&Presence>, fleet: Option<&Post>, is_online: bool) -> Option<Message> {
    let of_fleet = || fleet.map(|post| presence::availability(&post.topic(ONLINE), is_online));
    presence.map(|presence| presence.availability(is_online)).or_else(of_fleet)
}

/// How the broker knows the device where the file does not say: of 22 characters, which every broker takes. Cards that were
/// copied after their first start share the machine's identity, and throw each other off; a fleet's names are told apart.
fn client_id(agent: &Agent, identity: &str) -> String {
    let fleet = agent.fleet.as_ref();
    let named = fleet.and_then(|fleet| Some(presence::identity(&format!("{}/{}", fleet.topic, fleet.name.as_ref()?))));
    format!("mynah-{}", named.as_deref().unwrap_or(identity))
}

/// Topics that tools read, each once.
fn read_topics(agent: &Agent) -> Vec<String> {
    let mut topics: Vec<String> = Vec::new();
    for tool in &agent.tools {
        let Action::Mqtt(action) = &tool.action else { continue };
        let Some(filter) = mqtt::filter(action).filter(|filter| !topics.contains(filter)) else { continue };
        if topics.len() == FILTERS_MAX {
            tracing::warn!(tool = %tool.name, "more than {FILTERS_MAX} state topics: this one is not heard");
            break;
        }
        topics.push(filter);
    }
    topics
}

impl Client {
    /// Keeps the connection until it is told to leave.
    async fn serve(&self, mut orders: mpsc::Receiver<Order>) {
        let mut backoff =
            Backoff::new(self.hello.client_id.bytes().fold(7, |seed, byte| seed * 31 % 1_000_003 + u64::from(byte)));
        let mut told: Option<bool> = None;
        loop {
            let began = Instant::now();
            let away = tokio::select! {
                reached = reach::reach(&self.mqtt, &self.secrets, &self.hello) => match reached {
                    Err(away) => away,
                    Ok(reached) => {
                        if told.take().is_some() {
                            (self.tell)(What::Recovered { part: "mqtt".to_string() });
                        }
                        self.away.send_replace(None);
                        self.tell_fleet(true);
                        let connected = Instant::now();
                        let end = Connection::serve(self, reached, &mut orders).await;
                        self.tell_fleet(false);
                        let End::Broken(away) = end else { return };
                        if connected.elapsed() >= GOOD_AFTER {
                            backoff.reset();
                        }
                        away
                    }
                },
                () = refuse(&mut orders, &self.away) => return,
            };
            // Once for each change, not for each attempt.
            if told != Some(away.is_refused) {
                told = Some(away.is_refused);
                let text = format!("the MQTT broker cannot be used: {}", away.why);
                (self.tell)(What::Trouble { part: "mqtt".to_string(), text });
            }
            self.away.send_replace(Some(away));
            let earliest = ATTEMPT_EVERY.saturating_sub(began.elapsed());
            let wait = backoff.next_wait();
            tokio::select! {
                () = sleep(wait) => {}
                () = async { self.wanted.notified().await; sleep(earliest).await } => {}
                () = refuse(&mut orders, &self.away) => return,
            }
        }
    }

    fn states(&self) -> MutexGuard<'_, States> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All topics that are asked for.
    fn filters(&self) -> Vec<String> {
        let commands = self.presence.iter().flat_map(Presence::commands);
        let calls = self.presence.iter().filter(|_| self.calls.is_some()).map(Presence::tool_calls);
        let of_fleet = self.fleet.iter().flat_map(|post| post.filters());
        self.read.iter().cloned().chain(commands).chain(calls).chain(of_fleet).collect()
    }

    fn tell_fleet(&self, is_there: bool) {
        if let Some(post) = &self.fleet {
            post.set_there(is_there);
        }
    }

    fn availability(&self, is_online: bool) -> Option<Message> {
        availability(self.presence.as_ref(), self.fleet.as_deref(), is_online)
    }

    fn hear(&self, topic: &str, payload: &[u8], is_old: bool) {
        self.states().hear(topic, payload, is_old, self.clock.now());
        self.heard.send_modify(|count| *count += 1);
    }

    /// Waits until there may be something new to show.
    async fn heard_something(&self) {
        match &self.ear {
            Some(ear) => tokio::select! {
                () = ear.changed() => {}
                () = self.shows_again.notified() => {}
            },
            None => self.shows_again.notified().await,
        }
    }

    fn show_again(&self) {
        self.shows_again.notify_one();
    }

    /// Waits for the state that a call wants; `since` counts what was heard before it.
    async fn wait(&self, wait: &Wait, since: u64, until: Instant, within: Duration) -> Result<Value, Failure> {
        let mut heard = self.heard.subscribe();
        let settled = Instant::now() + SETTLE;
        loop {
            heard.borrow_and_update();
            let (arrived, already) = {
                let states = self.states();
                (states.arrived(wait, since), states.is_so_already(wait))
            };
            if let Some(state) = arrived {
                return Ok(state);
            }
            // Who is asked for what already is may have nothing to say.
            if let Some(state) = already.filter(|_| Instant::now() >= settled) {
                return Ok(state);
            }
            let next = if Instant::now() < settled { until.min(settled) } else { until };
            if timeout_at(next, heard.changed()).await.is_err() && Instant::now() >= until {
                return Err(Failure::Refused(self.states().lacks(wait, within)));
            }
        }
    }
}

/// Answers whoever comes while there is no connection; ends when the device is to leave.
async fn refuse(orders: &mut mpsc::Receiver<Order>, away: &watch::Sender<Option<Away>>) {
    while let Some(Order::Publish { call, .. }) = orders.recv().await {
        let failure = away.borrow().as_ref().map(unreached);
        let _ = call.send(Err(failure.unwrap_or_else(|| unreached(&Away::lost("the connection just broke")))));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::agent;

    #[test]
    fn devices_of_one_image_that_have_names_of_their_own_are_two_clients() {
        let identity = presence::identity("0123456789abcdef0123456789abcdef");
        let of = |fleet: &str| {
            let agent = agent::parse(&format!("[mqtt]\nhost = \"broker\"\n[fleet]\n{fleet}"), "test").unwrap();
            client_id(&agent, &identity)
        };
        let long = format!("name = \"{}\"", "n.".repeat(32));
        let ids = ["", "name = \"hall-3\"", "name = \"hall-4\"", "name = \"hall-3\"\ntopic = \"other\"", &long].map(of);
        for (place, id) in ids.iter().enumerate() {
            assert!(
                id.len() <= 23 && id.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b'-'),
                "{id}"
            );
            assert!(!ids[..place].contains(id), "{ids:?}");
        }
        assert_eq!(ids[0], format!("mynah-{identity}"), "without a name it is the machine's");
        assert_eq!(of("name = \"hall-3\""), ids[1], "and the same after every start");
    }
}
