//! Connections of tools and cameras: a name's look-up, TCP, TLS, each with a limit.
//!
//! No proxy of the environment is used: what the owner lists is asked itself, or not at all.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::config::agent::action::address::{Origin, Scheme};
use crate::hw::tls;

/// Name, TCP and TLS together; who has not let us in by then is away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// One address of several: a dead one must leave time for the next.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(2);
/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 4;
/// Look-ups at once by one [`Reach`]. Each may hold a helper thread for half a minute where the name server is silent, long after its
/// call was given up, and the lines of the board need such threads too.
const LOOKUPS_MAX: usize = 4;

/// A connection, with TLS or without.
pub type Stream = Box<dyn Io>;

/// Whatever can be read from and written to.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// Makes connections.
pub struct Reach {
    lookups: Arc<Semaphore>,
    /// None where `extra_ca` cannot be used, which was logged.
    tls: Option<TlsConnector>,
}

impl Reach {
    /// Trusts the built-in roots and those of `extra_ca_pem`.
    pub fn new(extra_ca_pem: Option<&[u8]>) -> Reach {
        let tls = tls::config(extra_ca_pem);
        let tls = tls.inspect_err(
            |why| tracing::warn!(%why, "extra_ca cannot be used: neither tools nor a camera reach anything by TLS"),
        );
        Reach {
            lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)),
            tls: tls.ok().map(|config| TlsConnector::from(Arc::new(config))),
        }
    }

    /// Connects.
    ///
    /// # Errors
    /// Why not, as the end of a sentence.
    pub async fn open(&self, origin: &Origin) -> Result<Stream, String> {
        timeout(CONNECT_TIMEOUT, self.connect(origin))
            .await
            .unwrap_or_else(|_| Err(format!("no connection within {} s", CONNECT_TIMEOUT.as_secs())))
    }

    async fn connect(&self, origin: &Origin) -> Result<Stream, String> {
        let host = origin.host.trim_matches(['[', ']']);
        let tcp = self.tcp(host, origin.port).await?;
        if origin.scheme == Scheme::Http {
            return Ok(Box::new(tcp));
        }
        let tls = self.tls.as_ref().ok_or("the device's owner must mend `extra_ca` first")?;
        let name = ServerName::try_from(host.to_string()).map_err(|error| error.to_string())?;
        Ok(Box::new(tls.connect(name, tcp).await.map_err(|error| format!("TLS failed: {error}"))?))
    }

    async fn tcp(&self, host: &str, port: u16) -> Result<TcpStream, String> {
        let mut why = "its name has no address".to_string();
        for address in self.addresses(host, port).await?.into_iter().take(ADDRESSES_MAX) {
            match timeout(ADDRESS_TIMEOUT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    let _ = stream.set_nodelay(true); // slower without it, and no worse
                    return Ok(stream);
                }
                Ok(Err(error)) => why = error.to_string(),
                Err(_) => why = "no answer".to_string(),
            }
        }
        Err(why)
    }

    async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
        if let Ok(address) = host.parse() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let permit = self.lookups.clone().acquire_owned().await.map_err(|error| error.to_string())?;
        let host = host.to_string();
        let looked_up = spawn_blocking(move || -> io::Result<Vec<SocketAddr>> {
            let _permit = permit; // until the system is done, whoever still waits for it
            Ok((host.as_str(), port).to_socket_addrs()?.collect())
        });
        match looked_up.await {
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(error)) => Err(format!("its name was not found ({error})")),
            Err(error) => Err(error.to_string()),
        }
    }
}
