//! The servers of `[[mcp]]`: each is kept running and connected by a task of its own, and asked by the calls.
//!
//! A server that ends, hangs or breaks is closed, with every process it started, and opened again after a while that
//! grows. Calls do not wait for that: they hear that it is away. There is never more than one child of a server,
//! because one task makes, watches and ends them one after the other.
//!
//! The tasks have a thread of their own (`aside.rs`): one that floods delays no pulse.

#[cfg(feature = "mcp")]
mod child;
mod declared;
#[cfg(feature = "mcp")]
mod peer;
#[cfg(not(feature = "mcp"))]
#[path = "mcp/without.rs"]
mod peer;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

pub(super) use declared::Declared;
use peer::{Broken, Caller, Connection, Unopened, Wanted};

use super::aside::{Aside, Stop};
use super::secrets::SecretBook;
use super::{Outside, Tell};
use crate::config::agent::Agent;
use crate::config::agent::mcp::{McpServer, Reach};
use crate::flow::What;
use crate::live::backoff::Backoff;
use crate::tools::Failure;
use crate::tools::mcp::{McpCall, RESTART_STEPS_MS, answer, kept, listed};

/// From the start of a server to its answer: one that is fetched anew at each start takes its time.
const OPEN_TIMEOUT: Duration = Duration::from_secs(60);
/// For its list of tools.
const LIST_TIMEOUT: Duration = Duration::from_secs(20);
/// A server of which a call was in doubt is asked whether it lives, and has this long for the answer.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// A changed list is asked for once in so long: each change costs the conversation a new connection.
const LIST_EVERY: Duration = Duration::from_secs(60);
/// A server that lived so long fails for the first time, not again.
const STABLE: Duration = Duration::from_secs(60);
/// A call that comes while its server is being opened waits for it so long.
const START_PATIENCE: Duration = Duration::from_secs(5);
/// For all servers together to end; each has half a second to end by itself, and as much after SIGTERM.
const END_TIMEOUT: Duration = Duration::from_millis(2500);
/// … and for the thread.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);
/// Lists on their way to the errands: one of each server and some more.
const NEWS_MAX: usize = 32;

/// What a server lists now, as far as it is allowed.
pub(super) struct News {
    /// The server's name.
    pub(super) server: String,
    /// Its tools, as they came.
    pub(super) tools: Vec<Value>,
    /// Sentences about those of them that cannot be declared.
    pub(super) left_out: Vec<String>,
}

/// All servers.
pub(super) struct Servers {
    by_name: BTreeMap<String, Arc<Server>>,
    aside: Aside,
}

struct Server {
    settings: McpServer,
    secrets: SecretBook,
    extra_ca_pem: Option<Vec<u8>>,
    tell: Arc<Tell>,
    news: mpsc::Sender<News>,
    state: watch::Sender<State>,
    /// Rung when a call got no answer.
    doubt: Notify,
}

#[derive(Clone, Debug)]
enum State {
    Opening,
    Up(Caller),
    /// Away, and why: the end of a sentence.
    Down(String),
}

impl Servers {
    /// The servers of the agent file; none is started yet.
    pub(super) fn new(agent: &Agent, secrets: &SecretBook, outside: &Outside) -> (Servers, mpsc::Receiver<News>) {
        let (news, listed) = mpsc::channel(NEWS_MAX);
        let server = |settings: &McpServer| Server {
            settings: settings.clone(),
            secrets: secrets.clone(),
            extra_ca_pem: outside.extra_ca_pem.clone(),
            tell: outside.tell.clone(),
            news: news.clone(),
            state: watch::Sender::new(State::Opening),
            doubt: Notify::new(),
        };
        let by_name = agent.mcp.iter().map(|settings| (settings.name.clone(), Arc::new(server(settings)))).collect();
        (Servers { by_name, aside: Aside::default() }, listed)
    }

    /// Starts all of them, side by side, on a thread of their own.
    ///
    /// # Errors
    /// The system gives no thread or no runtime.
    pub(super) fn start(&self) -> io::Result<()> {
        if self.by_name.is_empty() {
            return Ok(());
        }
        let servers = self.by_name.values().cloned().collect();
        self.aside.start("mcp", |stop| tend_all(servers, stop))
    }

    /// Ends all of them, with every process that they started.
    pub(super) async fn stop(&self) {
        self.aside.stop(STOP_TIMEOUT).await;
    }

    /// The way to the server of this call, once it is there.
    pub(super) async fn ready(&self, call: &McpCall) -> Result<Caller, Failure> {
        let server = self.server(call)?;
        let mut state = server.state.subscribe();
        let patience = START_PATIENCE.min(call.patience);
        let opened = timeout(patience, state.wait_for(|state| !matches!(state, State::Opening))).await;
        match opened.map(|state| state.map(|state| state.clone())) {
            Ok(Ok(State::Up(caller))) => Ok(caller),
            Ok(Ok(State::Down(why))) => {
                Err(Failure::Refused(format!("{} is away just now: it {why}; nothing was done", peer(call))))
            }
            _ => Err(Failure::Refused(format!("{} is still starting; call again in a minute", peer(call)))),
        }
    }

    /// Calls a tool.
    pub(super) async fn call(&self, caller: &Caller, call: &McpCall) -> Result<Value, Failure> {
        let server = self.server(call)?;
        let answer = timeout(call.patience, caller.call(&call.tool, call.arguments.clone())).await;
        match answer {
            Ok(Ok(answer)) => answer::outcome(&answer),
            Ok(Err(Broken::Refused(why))) => Err(answer::refused(&why)),
            Ok(Err(Broken::Gone(why))) => {
                server.doubt.notify_one();
                let text = format!("{} went away in the middle of the call ({why})", peer(call));
                Err(Failure::Unreachable(text + "; it may or may not have been done"))
            }
            Err(_) => {
                server.doubt.notify_one();
                let text = format!("{} did not answer within {} ms", peer(call), call.patience.as_millis());
                Err(Failure::Unreachable(text + "; the call was taken back, and may or may not have been done"))
            }
        }
    }

    fn server(&self, call: &McpCall) -> Result<&Arc<Server>, Failure> {
        let unknown = || Failure::Refused(format!("there is no MCP server `{}`", call.server));
        self.by_name.get(&call.server).ok_or_else(unknown)
    }
}

/// The server of a call, for a sentence and for its breaker.
pub(super) fn peer(call: &McpCall) -> String {
    format!("the MCP server `{}`", call.server)
}

/// Keeps all servers running until it is time to stop, and ends them.
async fn tend_all(servers: Vec<Arc<Server>>, mut stop: Stop) {
    let mut tasks = JoinSet::new();
    for server in servers {
        tasks.spawn(server.tend(stop.clone()));
    }
    stop.wait().await;
    // What is late is dropped, and with it killed.
    let _ = timeout(END_TIMEOUT, async { while tasks.join_next().await.is_some() {} }).await;
}

/// How an opened connection ended.
enum End {
    Stopped,
    Failed(String),
}

impl Server {
    /// Keeps the server running until it is to stop.
    async fn tend(self: Arc<Self>, mut stop: Stop) {
        let seed =
            self.settings.name.bytes().fold(u64::from(std::process::id()), |seed, byte| seed * 31 + u64::from(byte));
        let mut backoff = Backoff::with_steps(&RESTART_STEPS_MS, seed);
        let (mut is_told, mut is_modern) = (false, false);
        loop {
            let opened = tokio::select! {
                biased;
                () = stop.wait() => return,
                opened = timeout(OPEN_TIMEOUT, self.open(is_modern)) => opened,
            };
            let late =
                || Unopened { why: format!("did not answer within {} s", OPEN_TIMEOUT.as_secs()), wants_modern: false };
            let why = match opened.unwrap_or_else(|_| Err(late())) {
                Err(Unopened { wants_modern: true, .. }) if !is_modern => {
                    is_modern = true;
                    continue;
                }
                Err(unopened) => {
                    is_modern = false;
                    unopened.why
                }
                Ok(mut connection) => {
                    let began = Instant::now();
                    let end = self.hold(&mut connection, &mut is_told, &mut stop).await;
                    if let End::Failed(why) = &end {
                        self.state.send_replace(State::Down(why.clone()));
                    }
                    connection.close().await;
                    if began.elapsed() > STABLE {
                        backoff.reset();
                    }
                    let End::Failed(why) = end else { return };
                    why
                }
            };
            self.state.send_replace(State::Down(why.clone()));
            if !std::mem::replace(&mut is_told, true) {
                let text = format!("the MCP server `{}` {why}; it is tried again and again", self.settings.name);
                (self.tell)(What::Trouble { part: self.part(), text });
            }
            tokio::select! {
                biased;
                () = stop.wait() => return,
                () = sleep(backoff.next_wait()) => {}
            }
        }
    }

    fn part(&self) -> String {
        part(&self.settings.name)
    }

    async fn open(&self, is_modern: bool) -> Result<Connection, Unopened> {
        let (Reach::Command { environment: texts, .. } | Reach::Url { headers: texts, .. }) = &self.settings.reach;
        let filled = self
            .secrets
            .reveal_all(texts)
            .map_err(|why| Unopened { why: format!("is not asked: {why}"), wants_modern: false })?;
        let (name, reach) = (self.settings.name.as_str(), &self.settings.reach);
        peer::open(Wanted { name, reach, filled, extra_ca_pem: self.extra_ca_pem.as_deref(), is_modern }).await
    }

    /// Serves with one connection until it ends.
    async fn hold(&self, connection: &mut Connection, is_told: &mut bool, stop: &mut Stop) -> End {
        let caller = connection.caller();
        let listed = tokio::select! {
            biased;
            () = stop.wait() => return End::Stopped,
            listed = self.list(&caller) => listed,
        };
        if let Err(why) = listed {
            return End::Failed(why);
        }
        self.state.send_replace(State::Up(caller.clone()));
        tracing::info!(server = self.settings.name, "an MCP server is there");
        if std::mem::take(is_told) {
            (self.tell)(What::Recovered { part: self.part() });
        }
        let changed = connection.changed();
        let (mut is_changed, mut list_at) = (false, Instant::now());
        loop {
            tokio::select! {
                biased;
                () = stop.wait() => return End::Stopped,
                () = connection.ended() => return End::Failed("ended".into()),
                () = self.doubt.notified() => {
                    if !matches!(timeout(PING_TIMEOUT, caller.ping()).await, Ok(Ok(()))) {
                        return End::Failed("does not answer".into());
                    }
                }
                () = changed.notified(), if !is_changed => is_changed = true,
                () = sleep_until(list_at), if is_changed => {
                    (is_changed, list_at) = (false, Instant::now() + LIST_EVERY);
                    if let Err(why) = self.list(&caller).await {
                        return End::Failed(why);
                    }
                }
            }
        }
    }

    async fn list(&self, caller: &Caller) -> Result<(), String> {
        let tools = match timeout(LIST_TIMEOUT, caller.tools()).await {
            Ok(Ok(tools)) => tools,
            Ok(Err(Broken::Gone(why) | Broken::Refused(why))) => {
                return Err(format!("does not list its tools ({})", crate::tools::shown(&why)));
            }
            Err(_) => return Err(format!("did not list its tools within {} s", LIST_TIMEOUT.as_secs())),
        };
        let left_out = listed(&self.settings, &tools).left_out;
        let news = News { server: self.settings.name.clone(), tools: kept(&self.settings, tools), left_out };
        if self.news.try_send(news).is_err() {
            tracing::warn!(server = self.settings.name, "a list of tools was lost: the errands take none");
        }
        Ok(())
    }
}

/// The part of the program that a server is, for those who watch.
pub fn part(server: &str) -> String {
    format!("mcp {server}")
}
