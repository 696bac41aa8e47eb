//! Reaches the broker: name, TCP, TLS, and the first two packets.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::config::agent::mqtt::Mqtt;
use crate::hw::reach::Stream;
use crate::hw::tls;
use crate::tools::mqtt::wire::{self, Hello, In, Out, Reader};
use crate::tools::run::secrets::SecretBook;

/// From the name to the broker's welcome; a Wi-Fi that loses half its packets needs several seconds.
const REACH_TIMEOUT: Duration = Duration::from_secs(10);
/// Unacknowledged data older than this means that the other side is gone (`TCP_USER_TIMEOUT`).
const SILENT_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection that the broker has welcomed.
pub(super) struct Reached {
    pub(super) stream: Stream,
    pub(super) reader: Reader,
    /// Messages that may wait for their confirmation.
    pub(super) receive_max: u16,
    /// Longest silence.
    pub(super) keep_alive: Duration,
}

/// Why there is no connection: a sentence, and whether the broker itself said no.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Away {
    pub(super) why: String,
    pub(super) is_refused: bool,
}

impl Away {
    pub(super) fn lost(why: impl Into<String>) -> Away {
        Away { why: why.into(), is_refused: false }
    }

    pub(super) fn refused(why: impl Into<String>) -> Away {
        Away { why: why.into(), is_refused: true }
    }
}

/// One attempt.
pub(super) async fn reach(mqtt: &Mqtt, secrets: &SecretBook, hello: &Hello) -> Result<Reached, Away> {
    let attempt = async {
        let (hello, tls) = credentials(mqtt.clone(), secrets.clone(), hello.clone()).await?;
        let stream = open(mqtt, tls).await?;
        welcome(mqtt, &hello, stream).await
    };
    timeout(REACH_TIMEOUT, attempt).await.unwrap_or_else(|_| {
        let seconds = REACH_TIMEOUT.as_secs();
        Err(Away::lost(format!("{}:{} did not answer within {seconds} s", mqtt.host, mqtt.port)))
    })
}

/// Password and certificates, read anew: what was renewed counts from the next connection on. Files may be slow.
async fn credentials(mqtt: Mqtt, secrets: SecretBook, mut hello: Hello) -> Result<(Hello, Option<TlsConnector>), Away> {
    let read = move || {
        let password = match &mqtt.password {
            None => None,
            Some(name) => Some(secrets.fetch(name).map_err(|why| Away::refused(why.to_string()))?),
        };
        hello.user = mqtt.user.clone().map(|user| (user, password));
        let tls = if mqtt.is_tls { Some(connector(&mqtt).map_err(Away::refused)?) } else { None };
        Ok((hello, tls))
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|_| Err(Away::lost("the device is being switched off")))
}

fn connector(mqtt: &Mqtt) -> Result<TlsConnector, String> {
    let authorities = mqtt.ca.as_deref().map(|file| certificates("ca", file)).transpose()?;
    let builder = tls::trusting(authorities.unwrap_or_default()).map_err(|why| format!("[mqtt] ca: {why}"))?;
    let config = match &mqtt.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates("client_cert", certificate)?;
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|why| format!("[mqtt] client_key: {} holds no key: {why}", key.display()))?;
            builder.with_client_auth_cert(chain, key).map_err(|why| format!("[mqtt] client_cert: {why}"))?
        }
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

fn certificates(key: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong = |why: String| format!("[mqtt] {key}: {} holds no certificate: {why}", file.display());
    let found = CertificateDer::pem_file_iter(file).map_err(|why| wrong(why.to_string()))?;
    let found = found.collect::<Result<Vec<_>, _>>().map_err(|why| wrong(why.to_string()))?;
    if found.is_empty() { Err(wrong("it has no CERTIFICATE in it".to_string())) } else { Ok(found) }
}

async fn open(mqtt: &Mqtt, tls: Option<TlsConnector>) -> Result<Stream, Away> {
    let place = format!("{}:{}", mqtt.host, mqtt.port);
    let tcp = connect(mqtt).await.map_err(|why| Away::lost(format!("{place} cannot be reached: {why}")))?;
    let Some(tls) = tls else { return Ok(Box::new(tcp)) };
    let name = ServerName::try_from(mqtt.host.clone())
        .map_err(|_| Away::refused(format!("[mqtt] host: \"{}\" is no name that a certificate has", mqtt.host)))?;
    let stream = tls.connect(name, tcp).await.map_err(|why| {
        // A certificate that is not trusted is told from a network that broke.
        let is_tls = why.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
        Away { why: format!("TLS to {place} failed: {why}"), is_refused: is_tls }
    })?;
    Ok(Box::new(stream))
}

async fn connect(mqtt: &Mqtt) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((mqtt.host.as_str(), mqtt.port)).await?;
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(&stream);
    socket.set_tcp_user_timeout(Some(SILENT_TIMEOUT))?;
    // However it is closed, what the kernel has not sent by then is thrown away: a message whose call has failed must
    // not leave later. A farewell is waited for before the end.
    socket.set_linger(Some(Duration::ZERO))?;
    Ok(stream)
}

async fn welcome(mqtt: &Mqtt, hello: &Hello, mut stream: Stream) -> Result<Reached, Away> {
    let broke = |why: io::Error| {
        // With TLS 1.3 the broker's word on the client's certificate comes only now.
        let is_tls = why.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
        Away { why: format!("the broker broke the connection off: {why}"), is_refused: is_tls }
    };
    let mut bytes = BytesMut::new();
    wire::encode(mqtt.version, &Out::Hello(hello), &mut bytes).map_err(Away::refused)?;
    stream.write_all(&bytes).await.map_err(broke)?;
    stream.flush().await.map_err(broke)?;
    let mut reader = Reader::new(mqtt.version);
    loop {
        if stream.read_buf(reader.inbox()).await.map_err(broke)? == 0 {
            return Err(Away::refused("the broker closed the connection without a word: look into its log"));
        }
        match reader.next_packet().map_err(Away::refused)? {
            None => {}
            Some(In::Welcome { receive_max, keep_alive_s }) => {
                let keep_alive = Duration::from_secs(keep_alive_s.unwrap_or(mqtt.keep_alive_s).max(1).into());
                return Ok(Reached { stream, reader, receive_max, keep_alive });
            }
            Some(In::Refused(why) | In::Bye(why)) => return Err(Away::refused(why)),
            Some(_) => return Err(Away::refused("what listens there does not speak MQTT as a broker does")),
        }
    }
}
