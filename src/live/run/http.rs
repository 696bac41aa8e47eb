//! One HTTP request over a connection of the link's making: to a broker, or to where tokens are minted.
//!
//! hyper's client over the link's own name look-up, TCP and TLS, instead of a larger client: what goes wrong on
//! the way is judged as for the link itself, nothing follows redirects or reads proxies from the environment, and
//! it costs seven crates where reqwest costs seventy.

use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Method, Request};
use tokio::time::timeout;

use super::connect::Connector;
use crate::hw::http::{self, Broken};
use crate::hw::reach::Stream;
use crate::live::close::Closing;
use crate::live::credential::Credential;
use crate::live::diagnose::{Failure, Step};

/// From the name look-up to the last byte of the answer.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer: a token has a few hundred bytes, an error of the service one or two thousand.
pub const ANSWER_BYTES_MAX: usize = 16 << 10;

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// At most [`ANSWER_BYTES_MAX`].
    pub body: Vec<u8>,
}

/// Asks `path`: GET, or POST where there is a JSON body. Redirects are answers like any other.
///
/// # Errors
/// Why there is no answer, as for a connection of the link.
pub async fn ask(
    connector: &Connector,
    path: &str,
    credential: Option<&Credential>,
    body: Option<String>,
) -> Result<Answer, Closing> {
    let request = request(connector, path, credential, body).map_err(Closing::Network)?;
    let work = async {
        let stream = connector.open().await?;
        exchange(request, stream).await.map_err(|failure| connector.judge(&failure))
    };
    timeout(EXCHANGE_TIMEOUT, work).await.unwrap_or_else(|_| Err(connector.judge(&Failure::Late(Step::Answer))))
}

fn request(
    connector: &Connector,
    path: &str,
    credential: Option<&Credential>,
    body: Option<String>,
) -> Result<Request<Full<Bytes>>, String> {
    let is_default_port = connector.endpoint.port == if connector.endpoint.is_tls { 443 } else { 80 };
    let name = connector.endpoint.host.as_str();
    let name = if name.contains(':') { format!("[{name}]") } else { name.to_string() };
    let host = if is_default_port { name } else { format!("{name}:{}", connector.endpoint.port) };
    let method = if body.is_some() { Method::POST } else { Method::GET };
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, host)
        .header(CONNECTION, "close")
        .header(ACCEPT, "application/json, text/plain")
        .header(USER_AGENT, concat!("mynah/", env!("CARGO_PKG_VERSION")));
    if body.is_some() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    if let Some(credential) = credential {
        let (name, secret) = credential.header();
        request = request.header(name, header_value(secret.reveal())?);
    }
    request.body(Full::from(body.unwrap_or_default())).map_err(|e| e.to_string())
}

/// A header's value that is not shown by anybody.
///
/// # Errors
/// A sentence, where it has characters that no header may have.
pub fn header_value(secret: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(secret)
        .map_err(|_| "the API key has characters that no key has; look for line breaks in it".to_string())?;
    value.set_sensitive(true);
    Ok(value)
}

async fn exchange(request: Request<Full<Bytes>>, stream: Stream) -> Result<Answer, Failure> {
    match http::exchange(request, stream, ANSWER_BYTES_MAX).await {
        Ok(answer) if answer.is_cut => Err(Failure::Broke("length limit exceeded".to_string())),
        Ok(answer) => Ok(Answer { status: answer.status, body: answer.body }),
        Err(Broken::NotHttp(why)) => Err(Failure::NotHttp(why)),
        Err(Broken::Off(why)) => Err(Failure::Broke(why)),
    }
}
