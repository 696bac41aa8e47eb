//! One careful look at the way to the service: name, TCP and TLS, one setup; then the connection is closed.
//!
//! The pieces are those of the link, so that what is found here holds there. Nothing is said and nothing is heard: a
//! session that is closed right after `setupComplete` costs no tokens.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::Message as Frame;

use super::connect::{Connector, Purpose};
use super::doorman::{Access, Doorman};
use super::{CLOSE_TIMEOUT, bytes_of, closing_of, part, request};
use crate::config::agent::endpoint::Endpoint;
use crate::hw::tls;
use crate::live::close::{self, Closing, Stage, Verdict};
use crate::live::diagnose::Failure;
use crate::live::{client, server};

/// Asking for a name; a resolver that needs longer makes every connection late.
const NAME_TIMEOUT: Duration = Duration::from_secs(5);

/// What is asked for.
pub struct Wanted {
    /// Where.
    pub endpoint: Endpoint,
    /// With what; without it the setup is not tried.
    pub access: Option<Access>,
    /// More certificates to trust, PEM.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// The object under `setup`.
    pub setup: Value,
    /// How long `setupComplete` is waited for.
    pub setup_timeout: Duration,
}

/// What was found, step by step; a step after one that failed was not tried.
#[derive(Debug)]
pub struct Found {
    /// How many addresses the name has, and how long that took to learn.
    pub name: Result<(usize, Duration), Closing>,
    /// How long TCP, and TLS where it is spoken, took.
    pub reached: Option<Result<Duration, Closing>>,
    /// How long it took from there to `setupComplete`; or why it did not come, as the session would judge it.
    pub setup: Option<Result<Duration, String>>,
}

/// Looks.
///
/// # Errors
/// Certificates that cannot be read, a key that is none, no runtime.
pub fn probe(wanted: Wanted) -> io::Result<Found> {
    let tls = TlsConnector::from(Arc::new(tls::config(wanted.extra_ca_pem.as_deref())?));
    let doorman = match wanted.access {
        Some(access) => Some(Doorman::new(access, &tls).map_err(io::Error::other)?),
        None => None,
    };
    let connector = Connector { endpoint: wanted.endpoint, tls, purpose: Purpose::Service };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(2).build()?;
    let found = runtime.block_on(look(&connector, doorman, &wanted.setup, wanted.setup_timeout));
    // A name look-up that hangs must not keep the program from ending.
    runtime.shutdown_background();
    Ok(found)
}

async fn look(connector: &Connector, doorman: Option<Doorman>, setup: &Value, limit: Duration) -> Found {
    let mut found = Found { name: name(connector).await, reached: None, setup: None };
    if found.name.is_err() {
        return found;
    }
    let began = Instant::now();
    let reached = connector.open().await.map(|_| began.elapsed());
    let is_reached = reached.is_ok();
    found.reached = Some(reached);
    if let (true, Some(mut doorman)) = (is_reached, doorman) {
        let began = Instant::now();
        found.setup = Some(set_up(connector, &mut doorman, setup, limit).await.map(|()| began.elapsed()));
    }
    found
}

async fn name(connector: &Connector) -> Result<(usize, Duration), Closing> {
    let began = Instant::now();
    let address = (connector.endpoint.host.as_str(), connector.endpoint.port);
    let failure = match timeout(NAME_TIMEOUT, tokio::net::lookup_host(address)).await {
        Ok(Ok(addresses)) => return Ok((addresses.count(), began.elapsed())),
        Ok(Err(e)) => Failure::Name(e.to_string()),
        Err(_) => Failure::Late(crate::live::diagnose::Step::Name),
    };
    Err(connector.judge(&failure))
}

/// One connection with one setup; closed in every case.
async fn set_up(connector: &Connector, doorman: &mut Doorman, setup: &Value, limit: Duration) -> Result<(), String> {
    let has_token = matches!(doorman, Doorman::Broker { .. });
    let stage = Stage { was_ready: false, had_handle: false, has_token };
    let judged = |closing: Closing| match close::classify(&closing, stage) {
        Verdict::Refused(refusal) => refusal.to_string(),
        _ => closing.to_string(),
    };
    let credential = doorman.credential(false).await.map_err(judged)?;
    let request = request(&connector.endpoint, &credential)?;
    let (mut sink, mut stream) = connector.connect(request).await.map_err(judged)?.split();
    let mut text = String::new();
    client::encode(&client::Message::Setup(Box::new(setup.clone())), &mut text);
    let answered = async {
        sink.send(Frame::text(text)).await.map_err(closing_of)?;
        let mut reader = server::Reader::default();
        loop {
            let Some(bytes) = bytes_of(stream.next().await)? else { continue };
            match reader.read(&bytes) {
                Ok(message) if message.setup_complete => return Ok(()),
                Ok(message) => message.error.map_or(Ok(()), |error| Err(Closing::Error(error)))?,
                Err(garbage) => return Err(Closing::Network(format!("the service sent garbage: {garbage}"))),
            }
        }
    };
    let answered = timeout(limit, answered).await;
    let _ = timeout(CLOSE_TIMEOUT, part(&mut sink, &mut stream)).await;
    match answered {
        Ok(result) => result.map_err(judged),
        Err(_) => Err(format!(
            "the service did not answer the setup within {} ms: is the network slow? `[limits] setup_timeout_ms` says how \
             long it is waited for",
            limit.as_millis()
        )),
    }
}
