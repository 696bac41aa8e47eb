//! The link thread: one current-thread tokio runtime that owns the socket. It has no policy.
//!
//! It opens, sends and closes when told, and tells what came. Reading and writing go on side by side, so that
//! a server that does not read cannot keep us from hearing it, and pings are answered while we send.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message as Frame};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::close::Closing;
use super::{client, server};
use crate::bell::Bell;
use crate::config::agent::endpoint::Endpoint;
use crate::flow::{LinkEvent, LinkOrder, LinkReport};

/// DNS, TCP, TLS and upgrade together; a Wi-Fi that loses half its packets needs several seconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// One address of several: a dead one (broken IPv6, say) must leave time for the next.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(3);
/// One message into the socket: no room for it in all this time means that nothing gets through.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// Unacknowledged data older than this means that the other side is gone (`TCP_USER_TIMEOUT`).
const SILENT_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a polite close may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// The largest message taken: a minute of speech in base64 is 4 MB.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// What the thread needs.
pub struct Parts {
    /// Where to.
    pub endpoint: Endpoint,
    /// The API key; travels in a header, and nowhere else.
    pub key: Option<String>,
    /// More certificates to trust, PEM.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// From the core; capacity [`crate::flow::LINK_ORDERS_MAX`].
    pub orders: Receiver<LinkOrder>,
    /// To the core; capacity [`crate::flow::LINK_EVENTS_MAX`].
    pub events: Sender<LinkReport>,
    /// Ends the connection at once where `orders` is full and `Close` finds no room.
    pub hang_up: Arc<Notify>,
    /// Rung after each event.
    pub core_bell: Bell,
}

/// Starts the thread. It ends when the sending side of `orders` is dropped.
///
/// # Errors
/// Certificates that cannot be read, or a thread that cannot be made.
pub fn spawn(parts: Parts) -> io::Result<JoinHandle<()>> {
    let tls = TlsConnector::from(Arc::new(tls_config(parts.extra_ca_pem.as_deref())?));
    let request = request(&parts.endpoint, parts.key.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(2).build()?;
    let link = Link {
        endpoint: parts.endpoint,
        request,
        tls,
        events: parts.events,
        hang_up: parts.hang_up,
        core_bell: parts.core_bell,
    };
    let orders = parts.orders;
    thread::Builder::new().name("link".into()).spawn(move || {
        runtime.block_on(link.serve(orders));
        // A name look-up that hangs must not keep the program from ending.
        runtime.shutdown_background();
    })
}

fn tls_config(extra_ca_pem: Option<&[u8]>) -> io::Result<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for certificate in extra_ca_pem.into_iter().flat_map(CertificateDer::pem_slice_iter) {
        let certificate =
            certificate.map_err(|e| io::Error::other(format!("extra_ca holds no PEM certificate: {e}")))?;
        roots.add(certificate).map_err(|e| io::Error::other(format!("extra_ca: {e}")))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(builder.map_err(io::Error::other)?.with_root_certificates(roots).with_no_client_auth())
}

fn request(endpoint: &Endpoint, key: Option<&str>) -> io::Result<Request> {
    let mut request = endpoint.url.as_str().into_client_request().map_err(io::Error::other)?;
    if let Some(key) = key {
        let mut value = HeaderValue::from_str(key)
            .map_err(|_| io::Error::other("the API key has characters that no key has; look for line breaks in it"))?;
        value.set_sensitive(true);
        request.headers_mut().insert("x-goog-api-key", value);
    }
    Ok(request)
}

struct Link {
    endpoint: Endpoint,
    request: Request,
    tls: TlsConnector,
    events: Sender<LinkReport>,
    hang_up: Arc<Notify>,
    core_bell: Bell,
}

/// Why a connection is over.
enum End {
    /// Tell the core.
    Closed(Closing),
    /// The core asked for it, or is gone.
    Wanted,
    /// The core wants another one instead.
    Next(u32),
}

impl Link {
    async fn serve(&self, mut orders: Receiver<LinkOrder>) {
        while let Some(order) = orders.recv().await {
            // Anything else is for a connection that has ended meanwhile.
            let LinkOrder::Open { mut attempt, .. } = order else { continue };
            loop {
                match self.one_connection(attempt, &mut orders).await {
                    End::Next(next) => attempt = next,
                    End::Wanted => break,
                    End::Closed(closing) => {
                        self.tell(attempt, LinkEvent::Down(closing)).await;
                        break;
                    }
                }
            }
        }
    }

    async fn one_connection(&self, attempt: u32, orders: &mut Receiver<LinkOrder>) -> End {
        let connected = tokio::select! {
            connected = tokio::time::timeout(CONNECT_TIMEOUT, self.connect()) => connected,
            end = given_up(orders) => return end,
        };
        match connected {
            Err(_) => End::Closed(Closing::Network(format!(
                "no connection to {} within {} s: is the network up?",
                self.endpoint.host,
                CONNECT_TIMEOUT.as_secs()
            ))),
            Ok(Err(closing)) => End::Closed(closing),
            Ok(Ok(Socket::Tls(socket))) => self.talk(attempt, *socket, orders).await,
            Ok(Ok(Socket::Plain(socket))) => self.talk(attempt, *socket, orders).await,
        }
    }

    async fn connect(&self) -> Result<Socket, Closing> {
        let tcp = self.connect_tcp().await?;
        if !self.endpoint.is_tls {
            return self.upgrade(tcp).await.map(|ws| Socket::Plain(Box::new(ws)));
        }
        let name = ServerName::try_from(self.endpoint.host.clone())
            .map_err(|_| Closing::Network(format!("{} is not a host name", self.endpoint.host)))?;
        let tls = self.tls.connect(name, tcp).await.map_err(|e| tls_trouble(&self.endpoint.host, &e))?;
        self.upgrade(tls).await.map(|ws| Socket::Tls(Box::new(ws)))
    }

    async fn connect_tcp(&self) -> Result<TcpStream, Closing> {
        let host = &self.endpoint.host;
        let addresses = tokio::net::lookup_host((host.as_str(), self.endpoint.port)).await.map_err(|e| {
            Closing::Network(format!("the name {host} cannot be resolved ({e}): is the network up, and DNS reachable?"))
        })?;
        let mut last = None;
        for address in addresses {
            match tokio::time::timeout(ADDRESS_TIMEOUT, connect_to(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(e)) => last = Some(e),
                Err(_) => last = Some(io::Error::other(format!("no answer from {}", address.ip()))),
            }
        }
        let why = last.map_or_else(|| "the name has no address".to_string(), |e| e.to_string());
        Err(Closing::Network(format!("{host} port {} cannot be reached ({why})", self.endpoint.port)))
    }

    async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> Result<WebSocketStream<S>, Closing> {
        let mut config = WebSocketConfig::default();
        config.read_buffer_size = 16 << 10;
        config.max_message_size = Some(MESSAGE_BYTES_MAX);
        config.max_frame_size = Some(MESSAGE_BYTES_MAX);
        let upgraded = client_async_with_config(self.request.clone(), stream, Some(config)).await;
        upgraded.map(|(ws, _)| ws).map_err(closing_of)
    }

    async fn talk<S>(&self, attempt: u32, socket: WebSocketStream<S>, orders: &mut Receiver<LinkOrder>) -> End
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.tell(attempt, LinkEvent::Connected).await;
        let (sink, stream) = socket.split();
        tokio::select! {
            end = self.listen(attempt, stream) => end,
            end = send(sink, orders) => end,
            () = self.hang_up.notified() => End::Wanted,
        }
    }

    async fn listen(&self, attempt: u32, mut stream: impl Stream<Item = Result<Frame, WsError>> + Unpin) -> End {
        let mut reader = server::Reader::default();
        loop {
            let bytes = match stream.next().await {
                Some(Ok(Frame::Text(text))) => text.into(),
                Some(Ok(Frame::Binary(bytes))) => bytes,
                Some(Ok(Frame::Close(frame))) => {
                    let (code, reason) = frame.map_or((1005, String::new()), |f| (f.code.into(), f.reason.to_string()));
                    return End::Closed(Closing::Frame { code, reason });
                }
                Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => {
                    self.tell(attempt, LinkEvent::Alive).await;
                    continue;
                }
                Some(Ok(Frame::Frame(_))) => continue,
                Some(Err(e)) => return End::Closed(closing_of(e)),
                None => return End::Closed(Closing::Network("the connection ended without a word".into())),
            };
            let event = match reader.read(&bytes) {
                Ok(message) => {
                    if !message.unknown.is_empty() {
                        tracing::debug!(kinds = ?message.unknown, "the server sent kinds that are not known here");
                    }
                    LinkEvent::Message(Box::new(message))
                }
                Err(garbage) => LinkEvent::Garbage(garbage.to_string()),
            };
            self.tell(attempt, event).await;
        }
    }

    async fn tell(&self, attempt: u32, event: LinkEvent) {
        // The core is gone only when the program ends.
        let _ = self.events.send(LinkReport { attempt, event }).await;
        self.core_bell.ring();
    }
}

enum Socket {
    Tls(Box<WebSocketStream<tokio_rustls::client::TlsStream<TcpStream>>>),
    Plain(Box<WebSocketStream<TcpStream>>),
}

async fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(&stream);
    socket.set_keepalive(true)?;
    socket.set_tcp_user_timeout(Some(SILENT_TIMEOUT))?;
    Ok(stream)
}

/// Ends when the core gives up the connection that is being made.
async fn given_up(orders: &mut Receiver<LinkOrder>) -> End {
    loop {
        match orders.recv().await {
            Some(LinkOrder::Send(_) | LinkOrder::Ping) => {}
            Some(LinkOrder::Open { attempt, .. }) => return End::Next(attempt),
            Some(LinkOrder::Close) | None => return End::Wanted,
        }
    }
}

async fn send(mut sink: impl Sink<Frame, Error = WsError> + Unpin, orders: &mut Receiver<LinkOrder>) -> End {
    let mut text = String::new();
    loop {
        match orders.recv().await {
            Some(LinkOrder::Send(message)) => {
                client::encode(&message, &mut text);
                match tokio::time::timeout(SEND_TIMEOUT, sink.send(Frame::text(text.as_str()))).await {
                    Ok(Ok(())) => {}
                    Ok(Err(e)) => return End::Closed(closing_of(e)),
                    Err(_) => return End::Closed(Closing::Network("the network does not take what is sent".into())),
                }
            }
            Some(LinkOrder::Ping) => {
                if let Err(e) = sink.send(Frame::Ping(Vec::new().into())).await {
                    return End::Closed(closing_of(e));
                }
            }
            Some(LinkOrder::Open { attempt, .. }) => return End::Next(attempt),
            Some(LinkOrder::Close) | None => {
                let _ = tokio::time::timeout(CLOSE_TIMEOUT, sink.close()).await;
                return End::Wanted;
            }
        }
    }
}

fn closing_of(error: WsError) -> Closing {
    match error {
        WsError::Http(response) => Closing::Http(response.status().as_u16()),
        // The library's words for this are a link to its manual.
        WsError::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
            Closing::Network("the connection ended without a word".into())
        }
        WsError::Io(e) => Closing::Network(format!("the connection broke ({e})")),
        other => Closing::Network(format!("the connection broke ({other})")),
    }
}

fn tls_trouble(host: &str, error: &io::Error) -> Closing {
    let certificate = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    match certificate {
        Some(rustls::Error::InvalidCertificate(why)) => Closing::Certificate(format!(
            "the certificate of {host} is not accepted ({why:?}): is the clock right (`date`)? a private authority goes into `extra_ca`"
        )),
        _ => Closing::Network(format!("TLS with {host} failed ({error})")),
    }
}
