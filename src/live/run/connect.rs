//! Makes a connection: name, TCP, TLS, upgrade; where it fails, gathers what is known for the judgement.

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::wall::wall;
use crate::config::agent::endpoint::Endpoint;
use crate::hw::reach::Stream;
use crate::live::close::Closing;
use crate::live::diagnose::{self, Facts, Failure, Step, Unreached};

/// DNS, TCP, TLS and upgrade together; a Wi-Fi that loses half its packets needs several seconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// One address of several: a dead one (broken IPv6, say) must leave time for the next.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(3);
/// Unacknowledged data older than this means that the other side is gone (`TCP_USER_TIMEOUT`). A Wi-Fi that
/// roams is back within five seconds; who talks to a dead socket should not wait longer than twice that.
const SILENT_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest message taken: a minute of speech in base64 is 4 MB, and a small board has 512 MB in all.
const MESSAGE_BYTES_MAX: usize = 8 << 20;
/// Read at once: a message of 40 ms of speech is 3 kB.
const READ_BYTES: usize = 16 << 10;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The service.
    Service,
    /// A token.
    Broker,
}

/// What connections are made with.
pub struct Connector {
    /// Where to.
    pub endpoint: Endpoint,
    /// Who is trusted.
    pub tls: TlsConnector,
    /// What for.
    pub purpose: Purpose,
}

/// How far an attempt has come.
struct Progress {
    step: Cell<Step>,
    peer: Cell<Option<IpAddr>>,
}

impl Connector {
    /// One attempt, up to the WebSocket.
    ///
    /// # Errors
    /// A sentence, as whose fault it is to be taken.
    pub async fn connect(&self, request: Request) -> Result<WebSocketStream<Stream>, Closing> {
        self.within_time(async |progress| {
            let stream = self.reach_safely(progress).await?;
            progress.step.set(Step::Answer);
            upgrade(request, stream).await
        })
        .await
    }

    /// One attempt, up to where something can be asked.
    ///
    /// # Errors
    /// As [`Connector::connect`].
    pub async fn open(&self) -> Result<Stream, Closing> {
        self.within_time(async |progress| self.reach_safely(progress).await).await
    }

    /// The judgement of what failed later, when nothing more was known.
    pub fn judge(&self, failure: &Failure) -> Closing {
        self.judge_with(failure, None)
    }

    fn judge_with(&self, failure: &Failure, peer: Option<IpAddr>) -> Closing {
        let Endpoint { host, port, .. } = &self.endpoint;
        let setting = match self.purpose {
            Purpose::Service => "endpoint",
            Purpose::Broker => "token_url",
        };
        diagnose::judge(failure, &Facts { host, port: *port, setting, peer, clock: wall() })
    }

    async fn within_time<T>(&self, work: impl AsyncFnOnce(&Progress) -> Result<T, Failure>) -> Result<T, Closing> {
        if self.endpoint.is_tls
            && let Some(closing) = diagnose::clock_trouble(wall())
        {
            return Err(closing);
        }
        let progress = Progress { step: Cell::new(Step::Name), peer: Cell::new(None) };
        let failure = match timeout(CONNECT_TIMEOUT, work(&progress)).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(failure)) => failure,
            Err(_) => Failure::Late(progress.step.get()),
        };
        Err(self.judge_with(&failure, progress.peer.get()))
    }

    async fn reach_safely(&self, progress: &Progress) -> Result<Stream, Failure> {
        let tcp = self.reach(progress).await?;
        progress.peer.set(tcp.peer_addr().ok().map(|address| address.ip()));
        if !self.endpoint.is_tls {
            return Ok(Box::new(tcp));
        }
        progress.step.set(Step::Tls);
        let host = &self.endpoint.host;
        let name = ServerName::try_from(host.clone()).map_err(|e| Failure::Name(e.to_string()))?;
        let tls = self.tls.connect(name, tcp).await.map_err(|e| tls_failure(&e))?;
        Ok(Box::new(tls))
    }

    async fn reach(&self, progress: &Progress) -> Result<TcpStream, Failure> {
        let address = (self.endpoint.host.as_str(), self.endpoint.port);
        let addresses = tokio::net::lookup_host(address).await.map_err(|e| Failure::Name(e.to_string()))?;
        progress.step.set(Step::Tcp);
        let mut tried = Vec::new();
        for address in addresses {
            let (how, why) = match timeout(ADDRESS_TIMEOUT, connect_to(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(e)) => (unreached(e.kind()), e.to_string()),
                Err(_) => (Unreached::Silent, "no answer".to_string()),
            };
            tried.push((address.ip(), how, why));
        }
        Err(Failure::Unreached(tried))
    }
}

async fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(&stream);
    socket.set_keepalive(true)?;
    socket.set_tcp_user_timeout(Some(SILENT_TIMEOUT))?;
    Ok(stream)
}

async fn upgrade<S>(request: Request, stream: S) -> Result<WebSocketStream<S>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut config = WebSocketConfig::default();
    config.read_buffer_size = READ_BYTES;
    config.max_message_size = Some(MESSAGE_BYTES_MAX);
    config.max_frame_size = Some(MESSAGE_BYTES_MAX);
    match client_async_with_config(request, stream, Some(config)).await {
        Ok((socket, _)) => Ok(socket),
        Err(WsError::Http(response)) => Err(Failure::Status(response.status().as_u16())),
        Err(WsError::Io(e)) => Err(Failure::Broke(e.to_string())),
        Err(e @ WsError::Protocol(ProtocolError::HandshakeIncomplete)) => Err(Failure::Broke(e.to_string())),
        Err(other) => Err(Failure::NotHttp(other.to_string())),
    }
}

fn unreached(kind: io::ErrorKind) -> Unreached {
    use io::ErrorKind as Kind;
    match kind {
        Kind::ConnectionRefused => Unreached::Refused,
        Kind::TimedOut => Unreached::Silent,
        Kind::NetworkUnreachable | Kind::HostUnreachable | Kind::NetworkDown | Kind::AddrNotAvailable => {
            Unreached::NoRoute
        }
        _ => Unreached::Other,
    }
}

fn tls_failure(error: &io::Error) -> Failure {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(inner) => Failure::Tls(inner.clone()),
        None => Failure::TlsBroke(error.to_string()),
    }
}
