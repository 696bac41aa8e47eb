//! The emulator's door: what the head of a WebSocket request says, and the POST on the same port that mints a token.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, BufReader};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request as UpgradeRequest};

use crate::emulator::Api;
use crate::emulator::tokens::Tokens;

/// From the connection to the end of the answer.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest request: a setup with a long instruction and many tools.
const REQUEST_BYTES_MAX: usize = 1 << 20;

/// The API version and the key of a request, or none where the path is another.
pub(super) fn enter(request: &UpgradeRequest) -> Option<(Api, Option<String>)> {
    let path = request.uri().path().trim_end_matches("Constrained");
    let api = match path.strip_suffix(".GenerativeService.BidiGenerateContent")? {
        path if path.ends_with(".v1beta") => Api::V1beta,
        path if path.ends_with(".v1alpha") => Api::V1alpha,
        path if path.ends_with(".v1") => Api::V1,
        _ => return None,
    };
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let token = header("authorization").and_then(|value| value.strip_prefix("Token "));
    let query = request.uri().query().unwrap_or_default().split('&');
    let asked = query.filter_map(|pair| pair.split_once('=')).find(|(name, _)| matches!(*name, "key" | "access_token"));
    let key = header("x-goog-api-key").or(token).or(asked.map(|(_, value)| value));
    // Clients that put a token into the address write its slash as %2F.
    Some((api, key.map(|key| key.replace("%2F", "/"))))
}

/// The answer to a path that leads nowhere.
pub(super) fn not_found() -> ErrorResponse {
    let sentence = "The path must end in v1beta.GenerativeService.BidiGenerateContent.\n".to_owned();
    let mut refusal = ErrorResponse::new(Some(sentence));
    *refusal.status_mut() = StatusCode::NOT_FOUND;
    refusal
}

/// The time of day, seconds since 1970: tokens expire by it.
pub(super) fn unix_s() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Whether a client wants to post something, and no WebSocket: its first byte tells.
pub(super) async fn is_wanted<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> bool {
    let first = timeout(EXCHANGE_TIMEOUT, stream.fill_buf()).await;
    first.is_ok_and(|read| read.is_ok_and(|bytes| bytes.starts_with(b"P")))
}

/// Answers one request; says how it ended.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: S, tokens: &Tokens) -> String {
    let service = service_fn(async |request| Ok::<_, Infallible>(answer(request, tokens).await));
    let connection =
        hyper::server::conn::http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
    match timeout(EXCHANGE_TIMEOUT, connection).await {
        Ok(Ok(())) => "asked for a token".to_string(),
        Ok(Err(error)) => format!("asked for a token, and was lost: {error}"),
        Err(_) => "asked for a token, and took too long".to_string(),
    }
}

async fn answer(request: Request<Incoming>, tokens: &Tokens) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, REQUEST_BYTES_MAX).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let key = head.headers.get("x-goog-api-key").and_then(|value| value.to_str().ok());
    let (status, answer) = tokens.mint(head.uri.path(), key, &body, unix_s());
    let mut response = Response::new(Full::from(answer.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    response
}
