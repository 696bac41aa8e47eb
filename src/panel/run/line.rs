//! Takes connections, so many at once, and gives up those that are slow on purpose.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::patience::Patient;

/// Connections at once; one more is closed at once.
pub(super) const CONNECTIONS_MAX: usize = 64;
/// A handshake, or a request's head, takes no longer; nor does the next request on a connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// A request's head; hyper wants 8 KiB at least.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// What the system keeps for one who does not read.
const SEND_BUFFER_BYTES: usize = 128 * 1024;
/// A viewer whose network went away is known to be gone after so long.
const GONE_AFTER: Duration = Duration::from_secs(30);
/// A rest where the system has no more files: nothing is gained by asking at once.
const FULL_WAIT: Duration = Duration::from_millis(200);

/// Both ends of a connection, for who judges a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    /// Who asks.
    pub(super) from: IpAddr,
    /// The device's own address, as it was reached.
    pub(super) reached: IpAddr,
}

/// Serves connections until the listener fails for good.
pub(super) async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, app: Router) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "the panel took no connection");
                sleep(FULL_WAIT).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            tracing::debug!(%from, "the panel has {CONNECTIONS_MAX} connections, and closed one more");
            continue;
        };
        let (tls, app) = (tls.clone(), app.clone());
        tokio::spawn(async move {
            converse(stream, from, tls, app).await;
            drop(place);
        });
    }
}

/// One connection to its end.
async fn converse(stream: TcpStream, from: SocketAddr, tls: Option<TlsAcceptor>, app: Router) {
    let Ok(reached) = stream.local_addr() else { return };
    let socket = SockRef::from(&stream);
    // Wishes, not conditions.
    let _ = (socket.set_send_buffer_size(SEND_BUFFER_BYTES), socket.set_tcp_user_timeout(Some(GONE_AFTER)));
    let _ = stream.set_nodelay(true);
    let ends = Ends { from: from.ip(), reached: reached.ip() };
    let stream = Patient::new(stream);
    match tls {
        None => answer(stream, ends, app).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = timeout(HEAD_TIMEOUT, tls.accept(stream)).await {
                answer(stream, ends, app).await;
            }
        }
    }
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(stream: S, ends: Ends, app: Router) {
    let app = TowerToHyperService::new(app);
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(ends);
        app.call(request)
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::trace!(%error, "a connection to the panel ended");
    }
}
