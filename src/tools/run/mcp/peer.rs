//! A connection to one server, over `rmcp`: the only file that knows that library.
//!
//! What a server sends is taken as plain JSON: the library's types refuse a whole list for one tool that has a fault.
//! It asks for the protocol with `initialize`, which every server of today knows; one that knows only the newer
//! `server/discover` is asked again so.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CancelledNotification, CancelledNotificationParam, ClientCapabilities,
    ClientConfig, ClientRequest, Implementation, ListToolsRequest, PaginatedRequestParams, PingRequest,
    ProtocolVersion, RequestId,
};
use rmcp::service::{
    ClientInitializeError, ClientLifecycleMode, NotificationContext, Peer, PeerRequestOptions, RoleClient,
    RunningService, RunningServiceCancellationToken, ServiceError, serve_client_with_lifecycle,
};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientHandler, ErrorData};
use serde_json::{Map, Value};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::child::{self, Child};
use crate::config::agent::mcp::Reach;
use crate::hw::tls;

/// One message of a server. A longer one is dropped by the library, and its call is late: it would be read on the
/// errands thread, where pulses are timed, and of its answer the model gets 16 KiB at most.
const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Pages of a list of tools.
const PAGES_MAX: usize = 16;
/// Tools of a list that are looked at.
const LISTED_MAX: usize = 1000;
/// Name look-up, TCP and TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// From the wish to end to where the connection is given up.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// Why a request came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The server is not there any more.
    Gone(String),
    /// It answered with an error; its own words.
    Refused(String),
}

/// How a server is reached, with every place filled.
pub struct Wanted<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its program or address.
    pub reach: &'a Reach,
    /// The environment or the headers.
    pub filled: BTreeMap<String, String>,
    /// Certificates to trust beside the built-in roots, PEM.
    pub extra_ca_pem: Option<&'a [u8]>,
    /// Whether to ask with `server/discover`.
    pub is_modern: bool,
}

/// Why there is no connection.
pub struct Unopened {
    /// The end of a sentence that begins with the server.
    pub why: String,
    /// Whether it did not know `initialize`.
    pub wants_modern: bool,
}

/// A connection. Dropped, it is closed, and a child process killed.
pub struct Connection {
    caller: Caller,
    cancel: Option<RunningServiceCancellationToken>,
    ended: JoinHandle<()>,
    changed: Arc<Notify>,
    child: Option<Child>,
}

/// Asks the server something.
#[derive(Clone, Debug)]
pub struct Caller(Peer<RoleClient>);

/// What the server may say by itself.
struct Ears(Arc<Notify>);

impl ClientHandler for Ears {
    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.0.notify_one();
    }

    fn get_info(&self) -> ClientConfig {
        let own = Implementation::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        let mut config = ClientConfig::new(ClientCapabilities::default(), own);
        config.protocol_version = ProtocolVersion::LATEST_WITH_INITIALIZE;
        config
    }
}

/// Starts or reaches the server, and agrees with it on the protocol.
///
/// # Errors
/// The end of a sentence.
pub async fn open(wanted: Wanted<'_>) -> Result<Connection, Unopened> {
    let changed = Arc::new(Notify::new());
    let ears = Ears(changed.clone());
    let lifecycle = match wanted.is_modern {
        true => ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::LATEST] },
        false => ClientLifecycleMode::Initialize,
    };
    let plain = |why: String| Unopened { why, wants_modern: false };
    let (running, child) = match wanted.reach {
        Reach::Command { program, arguments, .. } => {
            let started = child::start(wanted.name, program, arguments, &wanted.filled);
            let (child, stdout, stdin) = started.map_err(|e| plain(format!("does not start ({program}: {e})")))?;
            let transport = AsyncRwTransport::new(stdout, stdin).with_max_line_length(MESSAGE_BYTES_MAX);
            (serve_client_with_lifecycle(ears, transport, lifecycle).await, Some(child))
        }
        Reach::Url { url, .. } => {
            let transport = http(url, &wanted).map_err(plain)?;
            (serve_client_with_lifecycle(ears, transport, lifecycle).await, None)
        }
    };
    match running {
        Ok(running) => Ok(Connection::new(running, changed, child)),
        Err(error) => {
            let wants_modern = matches!(error, ClientInitializeError::JsonRpcError(_)) && !wanted.is_modern;
            Err(Unopened { why: format!("does not open a session ({})", short(&error.to_string())), wants_modern })
        }
    }
}

fn http(url: &str, wanted: &Wanted<'_>) -> Result<StreamableHttpClientTransport<reqwest::Client>, String> {
    let tls = tls::config(wanted.extra_ca_pem).map_err(|e| format!("cannot be asked: {e}"))?;
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none()) // the owner named this address and no other
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(0) // as the library does: idle ones were seen to stall
        .build()
        .map_err(|e| format!("cannot be asked: {e}"))?;
    let mut headers = HashMap::new();
    for (name, value) in &wanted.filled {
        let unfit = || format!("has a header `{name}` that cannot be sent: line breaks or letters beyond ASCII in it");
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unfit())?;
        let mut value = HeaderValue::from_str(value).map_err(|_| unfit())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    let config = StreamableHttpClientTransportConfig::with_uri(url)
        .custom_headers(headers)
        .max_sse_event_size(MESSAGE_BYTES_MAX);
    Ok(StreamableHttpClientTransport::with_client(client, config))
}

impl Connection {
    fn new(running: RunningService<RoleClient, Ears>, changed: Arc<Notify>, child: Option<Child>) -> Connection {
        let caller = Caller(running.peer().clone());
        let cancel = Some(running.cancellation_token());
        let ended = tokio::spawn(async move { drop(running.waiting().await) });
        Connection { caller, cancel, ended, changed, child }
    }

    /// To ask something with.
    pub fn caller(&self) -> Caller {
        self.caller.clone()
    }

    /// Rings when the server says that its tools have changed.
    pub fn changed(&self) -> Arc<Notify> {
        self.changed.clone()
    }

    /// Waits until the connection is over.
    pub async fn ended(&mut self) {
        let _ = (&mut self.ended).await;
    }

    /// Ends it, and the child process with all that it started.
    pub async fn close(mut self) {
        if let Some(cancel) = self.cancel.take() {
            cancel.cancel();
        }
        if !self.ended.is_finished() {
            let _ = timeout(CLOSE_TIMEOUT, &mut self.ended).await;
        }
        if let Some(child) = self.child.take() {
            let status = child.end().await;
            tracing::debug!(?status, "an MCP server has ended");
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.ended.abort(); // what it holds cancels the rest
    }
}

impl Caller {
    /// The tools that the server lists, as they came.
    ///
    /// # Errors
    /// [`Broken`].
    pub async fn tools(&self) -> Result<Vec<Value>, Broken> {
        let mut tools = Vec::new();
        let mut cursor = None;
        for _ in 0..PAGES_MAX {
            let params = PaginatedRequestParams::default().with_cursor(cursor.take());
            let request =
                ListToolsRequest { method: Default::default(), params: Some(params), extensions: Default::default() };
            let mut page = self.ask(ClientRequest::ListToolsRequest(request)).await?;
            if let Value::Array(more) = page["tools"].take() {
                tools.extend(more);
            }
            cursor = page["nextCursor"].as_str().map(str::to_string);
            if cursor.is_none() || tools.len() >= LISTED_MAX {
                break;
            }
        }
        tools.truncate(LISTED_MAX);
        Ok(tools)
    }

    /// Calls a tool; its result as it came. Dropped before it answers, the call is cancelled there.
    ///
    /// # Errors
    /// [`Broken`].
    pub async fn call(&self, tool: &str, arguments: Map<String, Value>) -> Result<Value, Broken> {
        let params = CallToolRequestParams::new(tool.to_string()).with_arguments(arguments);
        self.ask(ClientRequest::CallToolRequest(CallToolRequest::new(params))).await
    }

    /// Whether it is still there.
    ///
    /// # Errors
    /// [`Broken`].
    pub async fn ping(&self) -> Result<(), Broken> {
        let request = PingRequest { method: Default::default(), extensions: Default::default() };
        match self.ask(ClientRequest::PingRequest(request)).await {
            Err(Broken::Gone(why)) => Err(Broken::Gone(why)),
            _ => Ok(()), // an error is an answer
        }
    }

    async fn ask(&self, request: ClientRequest) -> Result<Value, Broken> {
        let handle =
            self.0.send_request_with_option(request, PeerRequestOptions::no_options()).await.map_err(broken)?;
        let mut unanswered = Unanswered { peer: &self.0, id: Some(handle.id.clone()) };
        let result = handle.await_response().await;
        unanswered.id = None;
        let result = result.map_err(broken)?;
        serde_json::to_value(&result).map_err(|e| Broken::Refused(e.to_string()))
    }
}

/// Tells the server that nobody waits for an answer any more, where it is dropped before there is one.
struct Unanswered<'a> {
    peer: &'a Peer<RoleClient>,
    id: Option<RequestId>,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        let (Some(id), Ok(runtime)) = (self.id.take(), tokio::runtime::Handle::try_current()) else { return };
        let why = Some("nobody waits for it any more".to_string());
        let note = CancelledNotification::new(CancelledNotificationParam::new(Some(id), why));
        let peer = self.peer.clone();
        runtime.spawn(async move { timeout(CLOSE_TIMEOUT, peer.send_notification(note.into())).await });
    }
}

fn broken(error: ServiceError) -> Broken {
    match error {
        ServiceError::McpError(ErrorData { message, .. }) => Broken::Refused(message.into_owned()),
        ServiceError::UnexpectedResponse => Broken::Refused("its answer is none that the protocol knows".into()),
        other => Broken::Gone(short(&other.to_string())),
    }
}

/// An error of the library's, short enough for a sentence: some carry whole answers.
fn short(text: &str) -> String {
    const SHOWN_CHARS: usize = 200;
    text.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS).collect()
}
