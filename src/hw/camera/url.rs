//! A camera on the network that answers with one picture each time it is asked.
//!
//! It is asked once a second on a thread of its own, so that a slow one delays nobody.

use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper::header::{ACCEPT, AUTHORIZATION, HOST};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

use crate::config::agent::action::address::{Origin, Scheme};
use crate::config::board::CameraUrl;
use crate::eyes::splitter::{PICTURE_BYTES_MAX, Splitter};
use crate::hw::{Camera, CameraTrouble, Clock, key, tls};
use crate::still::Still;

/// From one picture to the next.
const EVERY: Duration = Duration::from_secs(1);
/// Connection and picture together.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What comes of asking.
type Asked = Result<Still, CameraTrouble>;

/// The camera, being asked until this is dropped.
pub(super) struct Asking {
    slot: Arc<Slot>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The newest answer that nobody has taken.
#[derive(Default)]
struct Slot {
    asked: Mutex<Option<Asked>>,
    came: Condvar,
}

impl Slot {
    fn put(&self, asked: Asked) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked);
        self.came.notify_one();
    }

    fn take(&self, timeout: Duration) -> Option<Asked> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.came.wait_timeout_while(asked, timeout, |asked| asked.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.take()
    }
}

/// Starts asking.
///
/// # Errors
/// The file with the login cannot be used, or the system has no thread to give.
pub(super) fn start(wish: &CameraUrl, clock: Arc<dyn Clock>) -> Result<Asking, CameraTrouble> {
    let missing = |why: String| CameraTrouble::Missing { why };
    let login = wish.login_file.as_deref().map(login).transpose().map_err(missing)?;
    let tls = tls::config(None).map_err(|e| missing(e.to_string()))?;
    let visit = Visit { wish: wish.clone(), login, tls: TlsConnector::from(Arc::new(tls)), clock };
    let slot = Arc::<Slot>::default();
    let (stop, stopped) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| missing(e.to_string()))?;
    let of_thread = slot.clone();
    let work = move || {
        runtime.block_on(async {
            tokio::select! {
                _ = stopped => {}
                () = visit.again_and_again(&of_thread) => {}
            }
        });
        runtime.shutdown_background(); // a name that is being looked up is not waited for
    };
    let thread = std::thread::Builder::new().name("camera url".into()).spawn(work);
    let thread = thread.map_err(|e| missing(e.to_string()))?;
    Ok(Asking { slot, stop: Some(stop), thread: Some(thread) })
}

impl Drop for Asking {
    /// Nothing is asked any more when this returns: a request that is under way is given up.
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(()); // gone by itself after a failure
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// `Basic …`, from a file with `user:password`.
fn login(file: &Path) -> Result<String, String> {
    let secret = key::secret("camera_login", file, |name| std::env::var(name).ok())?;
    if !secret.reveal().contains(':') {
        return Err(format!("{} must hold `user:password`", file.display()));
    }
    Ok(format!("Basic {}", STANDARD.encode(secret.reveal())))
}

impl Camera for Asking {
    fn next(&mut self, timeout: Duration) -> Result<Option<Still>, CameraTrouble> {
        self.slot.take(timeout).transpose()
    }
}

struct Visit {
    wish: CameraUrl,
    login: Option<String>,
    tls: TlsConnector,
    clock: Arc<dyn Clock>,
}

impl Visit {
    /// Asks again and again, until there was no answer.
    async fn again_and_again(self, slot: &Slot) {
        loop {
            let asked = match timeout(ANSWER_WITHIN, self.ask()).await {
                Ok(asked) => asked,
                Err(_) => Err(format!("no picture within {} s", ANSWER_WITHIN.as_secs())),
            };
            let is_over = asked.is_err();
            let host = &self.wish.origin.host;
            slot.put(asked.map_err(|why| CameraTrouble::Lost { why: format!("{host}: {why}") }));
            if is_over {
                return;
            }
            sleep(EVERY).await;
        }
    }

    async fn ask(&self) -> Result<Still, String> {
        let Origin { scheme, host, port } = &self.wish.origin;
        let bare = host.trim_matches(['[', ']']).to_string();
        let tcp = TcpStream::connect((bare.as_str(), *port)).await.map_err(|e| e.to_string())?;
        if *scheme == Scheme::Http {
            return self.fetch(tcp).await;
        }
        let name = ServerName::try_from(bare).map_err(|e| e.to_string())?;
        let stream = self.tls.connect(name, tcp).await.map_err(|e| format!("TLS failed: {e}"))?;
        self.fetch(stream).await
    }

    async fn fetch(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Still, String> {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
        // It was taken after this, nobody knows when: it may be younger than it says, never older.
        let taken_at = self.clock.now();
        let asking = async {
            let request = self.request().map_err(|e| e.to_string())?;
            let answer = sender.send_request(request).await.map_err(|e| e.to_string())?;
            if !answer.status().is_success() {
                return Err(format!("it answered with {}", answer.status()));
            }
            let body = Limited::new(answer.into_body(), PICTURE_BYTES_MAX).collect().await;
            Ok(body.map_err(|e| e.to_string())?.to_bytes())
        };
        // How it ends is said where it is asked; what came before the end is still to be read there.
        let driving = async {
            let _ = connection.await;
            std::future::pending::<Infallible>().await
        };
        let bytes = tokio::select! {
            bytes = asking => bytes?,
            never = driving => match never {},
        };
        let picture = Splitter::default().push(&bytes).ok_or("what it answered is no JPEG picture")?;
        Ok(Still { jpeg: picture.jpeg, width: picture.size.width, height: picture.size.height, taken_at })
    }

    fn request(&self) -> Result<Request<Empty<Bytes>>, hyper::http::Error> {
        let request = Request::get(&self.wish.path).header(HOST, self.wish.origin.authority());
        let request = request.header(ACCEPT, "image/jpeg");
        let request = match &self.login {
            Some(login) => request.header(AUTHORIZATION, login),
            None => request,
        };
        request.body(Empty::new())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::{self, Read, Write};
    use std::net::TcpListener;
    use std::sync::mpsc::{Receiver, sync_channel};

    use super::super::drawn;
    use super::*;
    use crate::hw::clock::RealClock;
    use crate::units::Time;

    /// A camera that gives `answer` each time; what it was asked comes back.
    fn camera(answer: Vec<u8>) -> (CameraUrl, Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, told) = sync_channel(8);
        std::thread::spawn(move || -> io::Result<()> {
            for stream in listener.incoming() {
                let mut stream = stream?;
                let mut head = [0; 2048];
                let count = stream.read(&mut head)?;
                let _ = tell.try_send(String::from_utf8_lossy(&head[..count]).to_string());
                stream.write_all(&answer)?;
            }
            Ok(())
        });
        let origin = Origin { scheme: Scheme::Http, host: "127.0.0.1".into(), port };
        (CameraUrl { origin, path: "/snapshot.jpg?channel=1".into(), login_file: None }, told)
    }

    fn next(wish: &CameraUrl) -> Result<Option<Still>, CameraTrouble> {
        start(wish, Arc::new(RealClock::new())).unwrap().next(Duration::from_secs(20))
    }

    #[test]
    fn a_picture_is_fetched_with_the_owners_login() {
        let jpeg = drawn::draw(64, 48, Time::ZERO).unwrap();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", jpeg.len());
        let (mut wish, told) = camera([head.as_bytes(), &jpeg].concat());
        let file = std::env::temp_dir().join(format!("mynah-camera-login-{}", std::process::id()));
        std::fs::write(&file, "owner:secret\n").unwrap();
        let own = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&file, own).unwrap();
        wish.login_file = Some(file.clone());
        let still = next(&wish).unwrap().unwrap();
        assert_eq!((still.width, still.height, still.jpeg), (64, 48, jpeg));
        let asked = told.recv().unwrap();
        assert!(asked.starts_with("GET /snapshot.jpg?channel=1 HTTP/1.1\r\n"), "{asked}");
        assert!(asked.contains("authorization: Basic b3duZXI6c2VjcmV0\r\n"), "{asked}");
        std::fs::remove_file(&file).unwrap();
    }

    #[test]
    fn nothing_is_asked_any_more_once_it_is_dropped() {
        // One that never answers: the request is under way when it is given up.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin =
            Origin { scheme: Scheme::Http, host: "127.0.0.1".into(), port: listener.local_addr().unwrap().port() };
        let wish = CameraUrl { origin, path: "/".into(), login_file: None };
        let mut camera = start(&wish, Arc::new(RealClock::new())).unwrap();
        let (mut asked, _) = listener.accept().unwrap();
        assert_eq!(camera.next(Duration::ZERO), Ok(None));
        drop(camera);
        asked.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut rest = Vec::new();
        let _ = asked.read_to_end(&mut rest); // to the end of the connection, not of the time
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_refusal_and_what_is_no_picture_are_told_and_not_kept_waiting_for() {
        for (answer, told) in [
            ("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "it answered with 401 Unauthorized"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "no JPEG picture"),
        ] {
            let (wish, _asked) = camera(answer.into());
            let trouble = next(&wish).unwrap_err().to_string();
            assert!(trouble.contains(told) && trouble.contains("127.0.0.1"), "{trouble}");
        }
    }
}
