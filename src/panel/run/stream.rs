//! Server-sent events: the whole state, then what of it changes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout};

use super::hub::{Hub, Viewer};

/// A sign of life this often: a viewer that is gone is found out, and a proxy does not think the page asleep.
const ALIVE_EVERY: Duration = Duration::from_secs(15);

/// The body that is told to one viewer, as long as `may` says so: it is asked every [`ALIVE_EVERY`].
pub(super) fn body(hub: Arc<Hub>, viewer: Viewer, may: impl Fn() -> bool + Send + 'static) -> Body {
    let telling = Telling { is_first: true, asked_at: Instant::now(), hub, viewer, may };
    let told = stream::unfold(telling, |mut telling| async move {
        let next = telling.next().await?;
        Some((Ok::<Bytes, Infallible>(next), telling))
    });
    Body::from_stream(told)
}

/// What is told to one viewer.
struct Telling<F> {
    is_first: bool,
    asked_at: Instant,
    hub: Arc<Hub>,
    viewer: Viewer,
    may: F,
}

impl<F: Fn() -> bool> Telling<F> {
    /// What comes next; none where it may know no more.
    async fn next(&mut self) -> Option<Bytes> {
        if std::mem::take(&mut self.is_first) {
            return Some(whole(&self.hub));
        }
        if self.asked_at.elapsed() >= ALIVE_EVERY {
            self.asked_at = Instant::now();
            if !(self.may)() {
                return None;
            }
        }
        match timeout(ALIVE_EVERY, self.viewer.patches.recv()).await {
            Ok(Ok(patch)) => Some(patch),
            // It read too slowly for every patch: the state as it is now holds them all.
            Ok(Err(RecvError::Lagged(_))) => {
                self.viewer.patches = self.viewer.patches.resubscribe();
                Some(whole(&self.hub))
            }
            Ok(Err(RecvError::Closed)) => None,
            Err(_) => Some(Bytes::from_static(b": alive\n\n")),
        }
    }
}

fn whole(hub: &Hub) -> Bytes {
    Bytes::from(format!("event: state\ndata: {}\n\n", hub.state()))
}
