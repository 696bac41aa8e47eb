//! Has ready what a connection shows to be let in: the key, or a token, fetched from the broker where needed.

use hyper::Uri;
use tokio_rustls::TlsConnector;

use super::connect::{Connector, Purpose};
use super::http;
use super::wall::wall;
use crate::config::agent::endpoint::{self, Endpoint};
use crate::live::close::Closing;
use crate::live::credential::{Credential, Secret};
use crate::live::token::Token;

/// Where the credential comes from.
#[derive(Clone, Debug)]
pub enum Access {
    /// The long-lived key.
    Key(Secret),
    /// The address of a broker that answers a GET with a token; as [`endpoint::parse_broker`] takes it.
    Broker(String),
}

/// Keeps the credential.
pub enum Doorman {
    /// It is always the same.
    Key(Secret),
    /// It is fetched.
    Broker {
        /// To the broker.
        connector: Connector,
        /// Path and query of its address.
        path: String,
        /// The newest token.
        held: Option<Token>,
    },
}

impl Doorman {
    /// A doorman that has nothing yet.
    ///
    /// # Errors
    /// A key that is none, or an address that is none; a sentence.
    pub fn new(access: Access, tls: &TlsConnector) -> Result<Doorman, String> {
        match access {
            Access::Key(key) => http::header_value(key.reveal()).map(|_| Doorman::Key(key)),
            Access::Broker(url) => {
                let endpoint: Endpoint = endpoint::parse_broker(&url).map_err(|why| format!("token_url {why}"))?;
                let uri: Uri = url.parse().map_err(|e| format!("token_url is not an address ({e})"))?;
                let path = uri.path_and_query().map_or_else(|| "/".to_string(), ToString::to_string);
                let connector = Connector { endpoint, tls: tls.clone(), purpose: Purpose::Broker };
                Ok(Doorman::Broker { connector, path, held: None })
            }
        }
    }

    /// What the next connection shows. `is_same_token`: a token that was used before will do, if it is still good.
    ///
    /// # Errors
    /// Why there is none: the broker's fault, or that of what lies on the way to it.
    pub async fn credential(&mut self, is_same_token: bool) -> Result<Credential, Closing> {
        let (connector, path, held) = match self {
            Doorman::Key(key) => return Ok(Credential::Key(key.clone())),
            Doorman::Broker { connector, path, held } => (connector, path, held),
        };
        if let Some(token) = held.as_ref().filter(|token| is_same_token && token.is_good(wall().unix_s)) {
            return Ok(Credential::Token(token.name.clone()));
        }
        *held = None;
        let token = fetch(connector, path).await?;
        let name = token.name.clone();
        *held = Some(token);
        Ok(Credential::Token(name))
    }
}

async fn fetch(connector: &Connector, path: &str) -> Result<Token, Closing> {
    let host = &connector.endpoint.host;
    let answer = http::ask(connector, path, None, None).await.map_err(|closing| match closing {
        // Nobody at the broker can help against these; they end by themselves.
        Closing::Clock(_) | Closing::Portal(_) => closing,
        other => Closing::Broker(format!("the broker gave no token: {other}")),
    })?;
    let why = match answer.status {
        200..=299 => match Token::read(&answer.body) {
            Ok(token) if token.is_good(wall().unix_s) => return Ok(token),
            Ok(_) => "its token has expired already: is the clock right, here and there?".to_string(),
            Err(why) => why,
        },
        300..=399 => "it answers with a redirect, which is not followed: set `token_url` to where it leads".to_string(),
        401 | 403 => format!("it answers with HTTP status {}: does it know this device?", answer.status),
        404 => "it answers with HTTP status 404: is the path in `token_url` right?".to_string(),
        status => format!("it answers with HTTP status {status}: its own log should say why"),
    };
    Err(Closing::Broker(format!("the broker at {host} gave no token: {why}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::sync::Arc;

    /// A doorman, and a broker that gives these answers, one a connection; ends with the requests it saw.
    fn door(answers: Vec<String>) -> (Doorman, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/device?name=kitchen", listener.local_addr().unwrap());
        let broker = std::thread::spawn(move || {
            let serve = |answer: String| {
                let (mut socket, _) = listener.accept().unwrap();
                let mut request = [0; 4096];
                let length = socket.read(&mut request).unwrap();
                // A client that has heard enough closes first.
                let _ = socket.write_all(answer.as_bytes());
                String::from_utf8_lossy(&request[..length]).into_owned()
            };
            answers.into_iter().map(serve).collect()
        });
        let tls = TlsConnector::from(Arc::new(crate::hw::tls::config(None).unwrap()));
        (Doorman::new(Access::Broker(url), &tls).unwrap(), broker)
    }

    fn answer(status: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    fn ask(doorman: &mut Doorman, is_same_token: bool) -> Result<Credential, Closing> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(doorman.credential(is_same_token))
    }

    fn token(name: &str) -> Result<Credential, Closing> {
        Ok(Credential::Token(Secret::new(name)))
    }

    #[test]
    fn a_token_is_fetched_for_each_conversation_and_kept_for_one_that_goes_on() {
        let far = r#"{"name":"auth_tokens/1","expireTime":"2999-01-01T00:00:00Z"}"#;
        let all = [far, "auth_tokens/2", "auth_tokens/3"].map(|body| answer("200 OK", body));
        let (mut doorman, broker) = door(all.to_vec());
        assert_eq!(ask(&mut doorman, true), token("auth_tokens/1"), "there is none to go on with");
        assert_eq!(ask(&mut doorman, true), token("auth_tokens/1"));
        assert_eq!(ask(&mut doorman, false), token("auth_tokens/2"));
        assert_eq!(ask(&mut doorman, true), token("auth_tokens/2"), "nobody said when it expires");
        if let Doorman::Broker { held: Some(token), .. } = &mut doorman {
            token.expires_unix_s = Some(wall().unix_s);
        }
        assert_eq!(ask(&mut doorman, true), token("auth_tokens/3"), "the held one has expired");
        for request in broker.join().unwrap() {
            assert!(request.starts_with("GET /device?name=kitchen HTTP/1.1\r\n"), "{request}");
        }
    }

    #[test]
    fn what_a_broker_gives_instead_of_a_token_is_told_without_repeating_it() {
        let too_long = "x".repeat(http::ANSWER_BYTES_MAX + 1);
        let rows = [
            (answer("200 OK", "AIza-secret"), "must be {\"name\""),
            (
                answer("200 OK", r#"{"name":"auth_tokens/secret","expireTime":"2001-01-01T00:00:00Z"}"#),
                "expired already",
            ),
            (answer("200 OK", &too_long), "length limit"),
            (answer("302 Found\r\nLocation: http://127.0.0.1:9/secret", ""), "redirect, which is not followed"),
            (answer("403 No", "secret"), "does it know this device?"),
            (answer("404 No", "secret"), "path in `token_url`"),
            (answer("500 Oh", "secret"), "HTTP status 500"),
            ("secret\r\n\r\n".to_string(), "is not HTTP"),
            (String::new(), "ended the connection"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\nauth_tokens/sec".to_string(), "ended the connection"),
        ];
        let (mut doorman, broker) = door(rows.iter().map(|(answer, _)| answer.clone()).collect());
        for (answer, word) in rows {
            let closing = ask(&mut doorman, true).unwrap_err();
            let is_portal = matches!(closing, Closing::Portal(_)) && word == "is not HTTP";
            assert!(matches!(closing, Closing::Broker(_)) || is_portal, "{closing:?}");
            let shown = format!("{closing} {closing:?}");
            assert!(shown.contains(word) && !shown.contains("secret"), "{answer}: {shown}");
        }
        broker.join().unwrap();
    }

    #[test]
    fn a_broker_that_is_not_there_is_the_brokers_fault() {
        let tls = TlsConnector::from(Arc::new(crate::hw::tls::config(None).unwrap()));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut doorman = Doorman::new(Access::Broker(format!("http://127.0.0.1:{port}/")), &tls).unwrap();
        let Err(Closing::Broker(why)) = ask(&mut doorman, false) else { panic!() };
        assert!(why.contains("refuses connections"), "{why}");
        assert!(Doorman::new(Access::Broker("http://example.org/".into()), &tls).is_err());
        assert!(Doorman::new(Access::Key(Secret::new("two\nlines")), &tls).is_err());
    }
}
