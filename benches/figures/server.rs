//! The measuring server: TLS, WebSocket, and the time of every message; it decides nothing.

use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_tungstenite::tungstenite::Message;

use crate::clock::now_ns;

/// What a client's message was.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// `setup`.
    Setup,
    /// `activityStart`.
    ActivityStart,
    /// `activityEnd`.
    ActivityEnd,
    /// A piece of sound at 16 kHz.
    Audio(Vec<i16>),
    /// Anything else, as text.
    Other(String),
    /// The connection is over.
    Closed,
}

/// A message and when it was there.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// When it was there, decrypted.
    pub at_ns: i64,
    /// What it was.
    pub kind: Kind,
}

type Order = (Vec<u8>, Sender<i64>);

/// The running server.
pub struct Server {
    /// The port it listens on.
    pub port: u16,
    arrivals: Arc<(Mutex<Vec<Arrival>>, Condvar)>,
    orders: UnboundedSender<Order>,
}

impl Server {
    /// Starts it on a port of the system's choice, with `cert.pem` and `key.pem` of `folder`.
    pub fn start(folder: &Path) -> Result<Server> {
        let certs = CertificateDer::pem_file_iter(folder.join("cert.pem"))?.collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_file(folder.join("key.pem"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(certs, key)?;
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let arrivals = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let (orders, inbox) = unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let shared = arrivals.clone();
        std::thread::spawn(move || {
            if let Err(error) = runtime.block_on(serve(listener, Arc::new(tls), shared, inbox)) {
                eprintln!("figures: the measuring server stopped: {error:#}");
            }
        });
        Ok(Server { port, arrivals, orders })
    }

    /// How many messages have come so far: a place to wait from.
    pub fn mark(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arrival>> {
        self.arrivals.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the first message from `from` on that `wanted` likes.
    pub fn wait(&self, from: usize, timeout_ms: u64, wanted: impl Fn(&Arrival) -> bool) -> Option<Arrival> {
        let until_ns = now_ns() + timeout_ms as i64 * 1_000_000;
        let mut seen = from;
        let mut list = self.lock();
        loop {
            if let Some(found) = list.get(seen..).unwrap_or_default().iter().find(|arrival| wanted(arrival)) {
                return Some(found.clone());
            }
            seen = list.len().max(from);
            let left_ns = until_ns - now_ns();
            if left_ns <= 0 {
                return None;
            }
            let left = Duration::from_nanos(left_ns as u64);
            list = self.arrivals.1.wait_timeout(list, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for a message of this kind, or says that it did not come.
    pub fn expect(&self, from: usize, timeout_ms: u64, kind: &Kind) -> Result<Arrival> {
        self.wait(from, timeout_ms, |arrival| arrival.kind == *kind)
            .with_context(|| format!("the client sent no {kind:?} in {timeout_ms} ms"))
    }

    /// All messages from `from` on.
    pub fn since(&self, from: usize) -> Vec<Arrival> {
        self.lock().get(from..).unwrap_or_default().to_vec()
    }

    /// Forgets all messages; places to wait from start at 0 again.
    pub fn forget(&self) {
        self.lock().clear();
    }

    /// Sends JSON in a binary message; answers the time just before it was written.
    pub fn send(&self, message: &Value) -> Result<i64> {
        self.send_all(std::slice::from_ref(message))
    }

    /// Sends several messages back to back; answers the time just before the first was written.
    pub fn send_all(&self, messages: &[Value]) -> Result<i64> {
        let (sent, written) = channel();
        for message in messages {
            self.orders.send((message.to_string().into_bytes(), sent.clone()))?;
        }
        match written.recv_timeout(Duration::from_secs(5)) {
            Ok(at_ns) => Ok(at_ns),
            Err(_) => bail!("no client is connected"),
        }
    }
}

/// A reply's sound as messages of `piece_ms`: `[frames, 1 channel] S16 @ 24 kHz`.
pub fn audio_messages(sound: &[i16], piece_ms: usize) -> Vec<Value> {
    let pieces = sound.chunks(24 * piece_ms);
    pieces
        .map(|piece| {
            let bytes: Vec<u8> = piece.iter().flat_map(|x| x.to_le_bytes()).collect();
            let blob = json!({"mimeType": "audio/pcm;rate=24000", "data": STANDARD.encode(bytes)});
            json!({"serverContent": {"modelTurn": {"parts": [{"inlineData": blob}]}}})
        })
        .collect()
}

/// What ends a reply.
pub fn end_messages() -> [Value; 2] {
    [json!({"serverContent": {"generationComplete": true}}), json!({"serverContent": {"turnComplete": true}})]
}

type Shared = Arc<(Mutex<Vec<Arrival>>, Condvar)>;

async fn serve(
    listener: std::net::TcpListener,
    tls: Arc<rustls::ServerConfig>,
    shared: Shared,
    mut inbox: UnboundedReceiver<Order>,
) -> Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let acceptor = tokio_rustls::TlsAcceptor::from(tls);
    loop {
        let (stream, _) = listener.accept().await?;
        while inbox.try_recv().is_ok() {} // orders for the client before
        if let Err(error) = converse(&acceptor, stream, &shared, &mut inbox).await {
            note(&shared, Kind::Other(format!("{error:#}")));
        }
        note(&shared, Kind::Closed);
    }
}

fn note(shared: &Shared, kind: Kind) {
    let arrival = Arrival { at_ns: now_ns(), kind };
    shared.0.lock().unwrap_or_else(PoisonError::into_inner).push(arrival);
    shared.1.notify_all();
}

async fn converse(
    acceptor: &tokio_rustls::TlsAcceptor,
    stream: TcpStream,
    shared: &Shared,
    inbox: &mut UnboundedReceiver<Order>,
) -> Result<()> {
    stream.set_nodelay(true)?;
    let stream = acceptor.accept(stream).await.context("TLS")?;
    let socket = tokio_tungstenite::accept_async(stream).await.context("WebSocket")?;
    let (mut sink, mut source) = socket.split();
    loop {
        tokio::select! {
            order = inbox.recv() => {
                let Some((bytes, sent)) = order else { return Ok(()) };
                let at_ns = now_ns();
                sink.send(Message::Binary(bytes.into())).await?;
                let _ = sent.send(at_ns); // only the first of several is waited for
            }
            message = source.next() => {
                let at_ns = now_ns();
                let text = match message {
                    None | Some(Ok(Message::Close(_))) => return Ok(()),
                    Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => message.into_data(),
                    Some(Ok(_)) => continue,
                    Some(Err(error)) => return Err(error.into()),
                };
                let kind = read(&text);
                if kind == Kind::Setup {
                    sink.send(Message::Binary(br#"{"setupComplete":{}}"#.to_vec().into())).await?;
                }
                shared.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arrival { at_ns, kind });
                shared.1.notify_all();
            }
        }
    }
}

fn read(text: &[u8]) -> Kind {
    let Ok(message) = serde_json::from_slice::<Value>(text) else { return Kind::Other("no JSON".into()) };
    let input = &message["realtimeInput"];
    if !message["setup"].is_null() {
        Kind::Setup
    } else if !input["activityStart"].is_null() {
        Kind::ActivityStart
    } else if !input["activityEnd"].is_null() {
        Kind::ActivityEnd
    } else if let Some(bytes) = input["audio"]["data"].as_str().and_then(|data| STANDARD.decode(data).ok()) {
        Kind::Audio(bytes.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect())
    } else {
        Kind::Other(message.to_string().chars().take(200).collect())
    }
}
