//! One HTTP request over a connection that stands: hyper's client, with limits, and the connection is used for nothing else.
//!
//! What is asked, who is asked and what an answer means is the caller's: the link's, a tool's, a camera's.

use std::error::Error;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;

use super::reach::Stream;

/// Head of an answer, in bytes and in lines; a usual one has one or two KiB.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 64;

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The head's lines.
    pub headers: HeaderMap,
    /// The body's beginning, as much of it as was wanted.
    pub body: Vec<u8>,
    /// Whether there was more of it.
    pub is_cut: bool,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// What came is not HTTP; the library's words.
    #[error("{0}")]
    NotHttp(String),
    /// The connection ended before the end of the answer; the system's words.
    #[error("{0}")]
    Off(String),
}

/// Sends one message and reads the answer, of its body at most `body_bytes_max` bytes. It waits as long as it takes: the
/// caller has the time limit. Dropped halfway, it hangs up.
///
/// # Errors
/// [`Broken`].
pub async fn exchange(message: Request<Full<Bytes>>, stream: Stream, body_bytes_max: usize) -> Result<Answer, Broken> {
    let mut builder = hyper::client::conn::http1::Builder::new();
    builder.max_buf_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
    let asked = async {
        let response = sender.send_request(message).await.map_err(|error| broken(&error))?;
        let (head, body) = response.into_parts();
        let (body, is_cut) = read(body, body_bytes_max).await?;
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body, is_cut })
    };
    tokio::pin!(asked, connection);
    tokio::select! {
        answer = &mut asked => answer,
        // The other side has closed; what it said before still waits to be read.
        _ = &mut connection => asked.await,
    }
}

/// The body's beginning, at most `bytes_max`, and whether there was more.
async fn read(mut body: Incoming, bytes_max: usize) -> Result<(Vec<u8>, bool), Broken> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(&error))?;
        let data = frame.data_ref().map(|data| &data[..]).unwrap_or_default();
        let room = bytes_max - bytes.len();
        bytes.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            return Ok((bytes, true));
        }
    }
    Ok((bytes, false))
}

fn broken(error: &hyper::Error) -> Broken {
    let mut deepest: &dyn Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    let why = deepest.to_string();
    if error.is_parse() { Broken::NotHttp(why) } else { Broken::Off(why) }
}
