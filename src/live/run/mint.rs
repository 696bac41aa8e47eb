//! Has the service mint an ephemeral token, with the long-lived key.

use std::io;
use std::sync::Arc;

use serde_json::Value;
use tokio_rustls::TlsConnector;

use super::connect::{Connector, Purpose};
use super::http::{self, Answer};
use crate::config::agent::endpoint::Endpoint;
use crate::hw::tls;
use crate::live::close::{Closing, Refusal};
use crate::live::credential::{Credential, Secret};
use crate::live::token::{MINT_PATHS, Token, Wanted};

/// Longest text of the service that is told on.
const TOLD_CHARS_MAX: usize = 200;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum MintTrouble {
    /// The service was not reached, or did not answer; a sentence.
    #[error("{0}")]
    Unreached(Closing),
    /// The key, or the address, is not to the service's liking: a person must act.
    #[error("{0}")]
    Refused(Refusal),
    /// The service took offence at something else.
    #[error("the service minted no token: {0}")]
    Failed(String),
    /// This machine does not play along.
    #[error("no token can be asked for: {0}")]
    Local(#[from] io::Error),
}

/// Asks for one token, at v1beta and, where the service has none there, at v1alpha. Waits for the answer.
///
/// # Errors
/// [`MintTrouble`]; nothing of the key in it.
pub fn mint(
    endpoint: Endpoint,
    extra_ca_pem: Option<&[u8]>,
    key: Secret,
    wanted: &Wanted,
) -> Result<Token, MintTrouble> {
    let tls = TlsConnector::from(Arc::new(tls::config(extra_ca_pem)?));
    let connector = Connector { endpoint, tls, purpose: Purpose::Service };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build()?;
    let minted = runtime.block_on(ask_each(&connector, &Credential::Key(key), wanted));
    // A name look-up that hangs must not keep the program from ending.
    runtime.shutdown_background();
    minted
}

async fn ask_each(connector: &Connector, key: &Credential, wanted: &Wanted) -> Result<Token, MintTrouble> {
    let body = wanted.body().to_string();
    let mut failed = MintTrouble::Refused(Refusal::Address("no path to ask at".into()));
    for path in MINT_PATHS {
        let answer = http::ask(connector, path, Some(key), Some(body.clone())).await.map_err(MintTrouble::Unreached)?;
        failed = match answer.status {
            200..=299 => return Token::read(&answer.body).map_err(MintTrouble::Failed),
            404 => MintTrouble::Refused(Refusal::Address(format!("HTTP 404 for {path}"))),
            _ => return Err(trouble(&answer, key)),
        };
    }
    Err(failed)
}

fn trouble(answer: &Answer, key: &Credential) -> MintTrouble {
    let said = said(&answer.body).replace(key.header().1.reveal(), "…");
    let told =
        if said.is_empty() { format!("HTTP {}", answer.status) } else { format!("HTTP {}, {said}", answer.status) };
    match answer.status {
        401 | 403 => MintTrouble::Refused(Refusal::Key(told)),
        400 if said.to_lowercase().contains("api key") => MintTrouble::Refused(Refusal::Key(told)),
        400 => MintTrouble::Refused(Refusal::Setup(told)),
        _ => MintTrouble::Failed(told),
    }
}

/// The sentence in an error of the service, on one line; nothing where it has another shape.
fn said(body: &[u8]) -> String {
    let value = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let message = value["error"]["message"].as_str().unwrap_or_default();
    message.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(TOLD_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::agent::endpoint;
    use serde_json::json;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    /// What comes of these answers, one a connection, and the paths that were asked.
    fn minted(answers: &[(&str, &str)]) -> (Result<Token, MintTrouble>, Vec<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}/ws/v1beta.GenerativeService.BidiGenerateContent", listener.local_addr().unwrap());
        let answers: Vec<String> = answers
            .iter()
            .map(|(status, body)| format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
            .collect();
        let service = std::thread::spawn(move || {
            let serve = |answer: &String| {
                let (mut socket, _) = listener.accept().unwrap();
                let (mut request, mut part) = (String::new(), [0; 4096]);
                while !request.ends_with('}') {
                    let length = socket.read(&mut part).unwrap();
                    request.push_str(&String::from_utf8_lossy(&part[..length]));
                }
                socket.write_all(answer.as_bytes()).unwrap();
                assert!(request.contains("\r\nx-goog-api-key: the-key\r\n"), "{request}");
                request.lines().next().unwrap().to_string()
            };
            answers.iter().map(serve).collect()
        });
        let wanted = Wanted { uses: 1, expires_unix_s: 100, opens_until_unix_s: 60, setup: json!({"model": "m"}) };
        let result = mint(endpoint::parse(&url).unwrap(), None, Secret::new("the-key"), &wanted);
        (result, service.join().unwrap())
    }

    #[test]
    fn the_second_address_is_tried_where_the_first_is_not_there() {
        let name = r#"{"name":"auth_tokens/1"}"#;
        let (token, asked) = minted(&[("404 Not Found", ""), ("200 OK", name)]);
        assert_eq!(token.unwrap().name, Secret::new("auth_tokens/1"));
        assert_eq!(asked, ["POST /v1beta/auth_tokens HTTP/1.1", "POST /v1alpha/auth_tokens HTTP/1.1"]);
        let (token, asked) = minted(&[("200 OK", name)]);
        assert_eq!((token.unwrap().expires_unix_s, asked.len()), (None, 1));
        let (token, _) = minted(&[("404 Not Found", ""), ("404 Not Found", "")]);
        assert!(matches!(token, Err(MintTrouble::Refused(Refusal::Address(_)))));
    }

    #[test]
    fn what_the_service_says_against_it_is_told_without_the_key() {
        let error = |message: &str| json!({"error": {"message": message}}).to_string();
        for (status, body, exit_code, word) in [
            ("400 Bad", error("API key not valid. It was the-key."), Some(77), "It was …."),
            ("403 No", error("unregistered callers"), Some(77), "HTTP 403, unregistered callers"),
            ("401 No", String::new(), Some(77), "HTTP 401"),
            ("400 Bad", error("Unknown name \"x\""), Some(78), "Unknown name"),
            ("429 Slow", error("quota\nexceeded"), None, "HTTP 429, quota exceeded"),
            ("503 Oh", error(&"y".repeat(9999)), None, "HTTP 503, yyy"),
            ("200 OK", "the-key".to_string(), None, "is no token"),
        ] {
            let (result, _) = minted(&[(status, &body)]);
            let trouble = result.unwrap_err();
            let found = match &trouble {
                MintTrouble::Refused(refusal) => Some(refusal.exit_code()),
                _ => None,
            };
            let told = trouble.to_string();
            assert_eq!(found, exit_code, "{told}");
            assert!(told.contains(word) && !told.contains("the-key") && told.len() < 600, "{told}");
        }
    }
}
