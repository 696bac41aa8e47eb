//! A camera on the network that answers with one picture each time it is asked.
//!
//! It is asked once a second on a thread of its own, so that a slow one delays nobody.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ACCEPT, AUTHORIZATION, CONNECTION, HOST};
use hyper::{Request, StatusCode};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::config::board::CameraUrl;
use crate::eyes::splitter::{PICTURE_BYTES_MAX, Splitter};
use crate::hw::reach::Reach;
use crate::hw::{Camera, CameraTrouble, Clock, http, key};
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
pub(super) fn start(
    wish: &CameraUrl,
    extra_ca_pem: Option<&[u8]>,
    clock: Arc<dyn Clock>,
) -> Result<Asking, CameraTrouble> {
    let missing = |why: String| CameraTrouble::Missing { why };
    let login = wish.login_file.as_deref().map(login).transpose().map_err(missing)?;
    let visit = Visit { wish: wish.clone(), login, reach: Reach::new(extra_ca_pem), clock };
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
    reach: Reach,
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
        let stream = self.reach.open(&self.wish.origin).await?;
        let request = self.request().map_err(|e| e.to_string())?;
        // It was taken after this, nobody knows when: it may be younger than it says, never older.
        let taken_at = self.clock.now();
        let answer = http::exchange(request, stream, PICTURE_BYTES_MAX).await.map_err(|broken| broken.to_string())?;
        if !(200..300).contains(&answer.status) {
            let status = StatusCode::from_u16(answer.status).map_or(answer.status.to_string(), |it| it.to_string());
            return Err(format!("it answered with {status}"));
        }
        if answer.is_cut {
            return Err(format!(
                "its picture has more than {} MB: ask it for a smaller one",
                PICTURE_BYTES_MAX / 1_000_000
            ));
        }
        let picture = Splitter::default().push(&answer.body).ok_or("what it answered is no JPEG picture")?;
        Ok(Still { jpeg: picture.jpeg, width: picture.size.width, height: picture.size.height, taken_at })
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let request = Request::get(&self.wish.path).header(HOST, self.wish.origin.authority());
        let request = request.header(CONNECTION, "close").header(ACCEPT, "image/jpeg");
        let request = match &self.login {
            Some(login) => request.header(AUTHORIZATION, login),
            None => request,
        };
        request.body(Full::default())
    }
}

#[cfg(test)]
#[path = "url/tests.rs"]
mod tests;
