//! The panel's thread: serves the page, tells viewers what changes, sees visitors leave.
//!
//! It has a thread and a runtime of its own, nicer than those that sound passes through: viewers, however many and however
//! slow, take nothing from the line or the tools. Whoever tells an event pays for a look at a small struct and for a
//! place in a queue; where there is none, the event is counted as missed, and viewers are told so.

mod answers;
mod assets;
mod change;
mod ear;
mod gate;
mod hub;
mod keeper;
mod line;
mod patience;
mod presence;
mod stream;
mod tls;

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

pub use self::ear::{Ear, Heard, ear};
use self::gate::Site;
use self::hub::Hub;
use super::door::{Door, SECRET_CHARS_MIN};
use crate::audio::meter::Meter;
use crate::config::agent::Agent;
use crate::config::agent::panel::Panel;
use crate::flow::{Control, What};
use crate::hw::folder::Folder;
use crate::hw::settings::Settings;
use crate::hw::{Board, Clock, key};
use crate::live::credential::Secret;
use crate::trace::Recorder;

/// Its name in the log and in troubles.
pub const PART: &str = "panel";
/// Nicer than the rest of this program.
const NICE: libc::c_int = 5;
/// How long a panel that could not be opened is left alone.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// The systemd credential that goes before `secret_file`.
const SECRET_NAME: &str = "panel_secret";

/// What the thread is made of.
pub struct Parts {
    /// The agent; it has a panel.
    pub agent: Agent,
    /// The board profile's name.
    pub board_name: String,
    /// The board, for the line that tells of somebody there.
    pub board: Arc<dyn Board>,
    /// The clock of events.
    pub clock: Arc<dyn Clock>,
    /// Gives the core what somebody wants; false where it takes nothing.
    pub give: Arc<dyn Fn(Control) -> bool + Send + Sync>,
    /// Tells what happens here.
    pub tell: Arc<dyn Fn(What) + Send + Sync>,
    /// The flight recorder.
    pub recorder: Recorder,
    /// Whether all threads that sound passes through are alive.
    pub is_alive: Arc<AtomicBool>,
    /// How loud it is at the microphone.
    pub mic: Arc<Meter>,
    /// How loud the loudspeaker is.
    pub speaker: Arc<Meter>,
    /// Where sessions are kept; a restart forgets them where there is none.
    pub state: Option<Arc<Folder>>,
    /// What may be changed here; nothing where there is none.
    pub settings: Option<Arc<Settings>>,
    /// Asks for the program's end and a new start.
    pub restart: Arc<dyn Fn() + Send + Sync>,
}

/// The running thread.
pub struct Handle {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl Handle {
    /// Ends it; viewers are cut off.
    pub fn stop(self) {
        self.stop.send_replace(true);
        let _ = self.thread.join();
    }
}

/// Starts the thread; none where the agent has no panel. What `heard` hears is shown.
///
/// # Errors
/// The system gives no thread or no runtime. An address that cannot be had is no error: it is told and tried again.
pub fn spawn(parts: Parts, heard: Heard) -> io::Result<Option<Handle>> {
    let Some(panel) = parts.agent.panel.clone() else { return Ok(None) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().thread_name(PART).build()?;
    let (stop, mut stopped) = watch::channel(false);
    let thread = thread::Builder::new().name(PART.into()).spawn(move || {
        // SAFETY: takes numbers; 0 is the calling thread. A wish, not a condition.
        unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
        runtime.block_on(async {
            tokio::select! {
                () = work(panel, parts, heard) => {}
                _ = stopped.wait_for(|stop| *stop) => {}
            }
        });
        runtime.shutdown_background();
    })?;
    Ok(Some(Handle { stop, thread }))
}

/// Keeps the state and serves it, without end.
async fn work(panel: Panel, parts: Parts, heard: Heard) {
    let present = presence::watch(&parts);
    let (tell, state) = (parts.tell.clone(), parts.state.clone());
    let hub = Arc::new(Hub::new(&panel, parts, &heard));
    tokio::join!(hub.clone().keep(heard, present), serve(&panel, &hub, state.as_ref(), &*tell));
}

/// Opens the panel and serves it; what keeps it from opening is told once.
async fn serve(panel: &Panel, hub: &Arc<Hub>, state: Option<&Arc<Folder>>, tell: &(dyn Fn(What) + Send + Sync)) {
    let mut told = None;
    loop {
        match open(panel).await {
            Ok(open) => {
                if told.take().is_some() {
                    tell(What::Recovered { part: PART.to_string() });
                }
                let is_tls = open.tls.is_some();
                tracing::info!(address = %panel.listen, tls = is_tls, "the panel is served");
                let site = Arc::new(Site::new(panel, hub.clone(), open.door, is_tls));
                keeper::remember(&site, state).await;
                let app: Router = answers::router(site.clone());
                tokio::select! {
                    () = line::serve(open.listener, open.tls, app) => {}
                    () = keeper::keep(&site, state) => {}
                }
            }
            Err(why) if told.as_ref() == Some(&why) => {}
            Err(why) => {
                tell(What::Trouble { part: PART.to_string(), text: why.clone() });
                told = Some(why);
            }
        }
        sleep(RETRY_AFTER).await;
    }
}

/// What a panel is served with.
struct Open {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    door: Door,
}

/// Reads the files and takes the address; nothing is served where one of them cannot be had.
async fn open(panel: &Panel) -> Result<Open, String> {
    let secret = panel.secret_file.as_ref().map(|file| {
        let secret = key::secret(SECRET_NAME, file, |name| std::env::var(name).ok())?;
        if secret.reveal().chars().count() < SECRET_CHARS_MIN {
            return Err(format!("the password in {} has fewer than {SECRET_CHARS_MIN} characters", file.display()));
        }
        Ok::<Secret, String>(secret)
    });
    let secret = secret.transpose().map_err(|why| format!("the panel is not served: {why}"))?;
    let tls = panel.certificate.as_ref().map(|(chain, key)| tls::acceptor(chain, key)).transpose()?;
    let listener = TcpListener::bind(panel.listen).await.map_err(|error| {
        format!("the panel cannot be served at {}: {error}; is another program there?", panel.listen)
    })?;
    Ok(Open { listener, tls, door: Door::new(secret, &panel.hosts, panel.listen.ip()) })
}
