//! What the panel's tasks share: the state, who looks on, and one telling of changes for all of them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use tokio::sync::{Notify, broadcast, watch};
use tokio::time::{Instant, sleep_until};

use super::Parts;
use super::ear::{Heard, Shared};
use crate::audio::meter;
use crate::config::agent::panel::Panel;
use crate::flow::{Control, Event, What};
use crate::hw::clock::{unix_s, written};
use crate::hw::settings::Settings;
use crate::panel::metrics::{Gauges, Metrics};
use crate::panel::screen::{Device, Screen, Seen};
use crate::panel::visit::Visit;
use crate::panel::wish::{Rates, Wish};
use crate::still::Jpeg;
use crate::tools::mqtt::command::to_say;
use crate::units::Time;

/// Viewers at once; the other connections are for pages and wishes.
pub(super) const VIEWERS_MAX: usize = 56;
/// Changes are told ten times a second at most.
const TICK: Duration = Duration::from_millis(100);
/// While nobody looks on only visits are watched.
const REST: Duration = Duration::from_secs(1);
/// Patches that a viewer may lag behind before it gets the whole state instead: over a second.
const PATCHES_MAX: usize = 16;

/// What all tasks share.
pub(super) struct Hub {
    inner: Mutex<Inner>,
    parts: Parts,
    heard: Arc<Shared>,
    patches: broadcast::Sender<Bytes>,
    viewers: AtomicUsize,
    came: Notify,
}

struct Inner {
    screen: Screen,
    metrics: Metrics,
    visit: Visit,
    rates: Rates,
    missed_told: u64,
    /// A visit is over, and the core does not know it yet.
    owes_end: bool,
}

/// One who looks on; counted while it lives.
pub(super) struct Viewer {
    hub: Arc<Hub>,
    /// What it is told.
    pub(super) patches: broadcast::Receiver<Bytes>,
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.hub.viewers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a wish is not granted.
pub(super) enum Denied {
    /// Not so; a sentence.
    Wrong(String),
    /// Not now; a sentence.
    Now(String),
    /// Too many of them.
    TooMany(&'static str),
}

impl Hub {
    pub(super) fn new(panel: &Panel, parts: Parts, heard: &Heard) -> Hub {
        let device = Device {
            board: parts.board_name.clone(),
            is_login_needed: panel.secret_file.is_some(),
            allow: panel.allow.clone(),
        };
        let inner = Inner {
            screen: Screen::new(&parts.agent, device),
            metrics: Metrics::default(),
            visit: Visit::new(&parts.agent.kiosk),
            rates: Rates::default(),
            missed_told: 0,
            owes_end: false,
        };
        Hub {
            inner: Mutex::new(inner),
            parts,
            heard: heard.shared.clone(),
            patches: broadcast::Sender::new(PATCHES_MAX),
            viewers: AtomicUsize::new(0),
            came: Notify::new(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Time {
        self.parts.clock.now()
    }

    fn viewers(&self) -> usize {
        self.viewers.load(Ordering::Relaxed)
    }

    fn seen(&self, visit: &Visit) -> Seen {
        let now = self.now();
        Seen {
            now,
            facts: self.heard.facts(),
            is_alive: self.parts.is_alive.load(Ordering::Relaxed),
            viewers: self.viewers(),
            is_idle: visit.is_idle(now),
        }
    }

    /// Keeps the state in step with what is heard, and viewers with the state.
    pub(super) async fn keep(self: Arc<Self>, mut heard: Heard, mut present: Option<watch::Receiver<bool>>) {
        let mut next = Instant::now();
        loop {
            tokio::select! {
                event = heard.events.recv() => match event {
                    Some(event) => self.take(&event),
                    None => return, // nobody is left who could tell anything
                },
                () = sleep_until(next) => {}
                () = self.came.notified() => next = next.min(Instant::now() + TICK),
                () = changed(&mut present) => {}
            }
            while let Ok(event) = heard.events.try_recv() {
                self.take(&event);
            }
            if let Some(present) = &mut present {
                let is_present = *present.borrow_and_update();
                self.inner().visit.set_present(is_present, self.now());
            }
            let now = Instant::now();
            if now >= next {
                self.tell();
                next = now + if self.viewers() > 0 { TICK } else { REST };
            }
        }
    }

    fn take(&self, event: &Event) {
        let age_s = self.now().since(event.at).as_secs();
        let clock = time_of_day(age_s);
        let mut inner = self.inner();
        inner.screen.handle(&event.what, event.at, &clock);
        inner.metrics.handle(event);
        if is_activity(&event.what) {
            inner.visit.active(event.at);
        }
    }

    /// Ends a visit that is over, and tells viewers what has changed.
    fn tell(&self) {
        let mut inner = self.inner();
        let now = self.now();
        if self.heard.facts().is_busy(now) {
            inner.visit.active(now);
        }
        if inner.visit.is_over(now) {
            inner.screen.wipe();
            inner.owes_end = true;
        }
        if inner.owes_end {
            let as_configured = Control::Voice { voice: Some("".into()), language: Some("".into()) };
            inner.owes_end = !((self.parts.give)(as_configured) && (self.parts.give)(Control::VisitOver));
        }
        let missed = self.heard.missed();
        if missed > inner.missed_told {
            let more = missed - std::mem::replace(&mut inner.missed_told, missed);
            inner.screen.missed(more, &time_of_day(0));
        }
        if self.viewers() == 0 {
            return;
        }
        let mic = self.parts.mic.take();
        let mic = if self.heard.facts().is_muted() { meter::SILENCE } else { mic };
        inner.screen.set_levels(mic, self.parts.speaker.take());
        let seen = self.seen(&inner.visit);
        if let Some(patch) = inner.screen.patch(&seen) {
            let _ = self.patches.send(Bytes::from(format!("event: patch\ndata: {patch}\n\n")));
        }
    }

    /// One more viewer; none where there are too many.
    pub(super) fn view(self: &Arc<Self>) -> Option<Viewer> {
        if self.viewers() >= VIEWERS_MAX {
            return None;
        }
        self.viewers.fetch_add(1, Ordering::Relaxed);
        self.came.notify_one();
        Some(Viewer { hub: self.clone(), patches: self.patches.subscribe() })
    }

    /// The whole state as JSON.
    pub(super) fn state(&self) -> String {
        let inner = self.inner();
        inner.screen.whole(&self.seen(&inner.visit)).to_string()
    }

    /// A picture that is kept.
    pub(super) fn jpeg(&self, id: u64) -> Option<Jpeg> {
        self.inner().screen.jpeg(id)
    }

    /// Whether nothing vital is out of order, and what is.
    pub(super) fn health(&self) -> (bool, Vec<String>) {
        let inner = self.inner();
        inner.screen.health(&self.seen(&inner.visit))
    }

    /// Counts for a monitoring system.
    pub(super) fn metrics(&self) -> String {
        let is_healthy = self.health().0;
        let gauges =
            Gauges { up_s: self.now().as_secs_f64(), is_healthy, viewers: self.viewers(), missed: self.heard.missed() };
        self.inner().metrics.text(&gauges)
    }

    /// The flight recorder's dump.
    pub(super) fn record(&self) -> String {
        let (version, up, written) = (env!("CARGO_PKG_VERSION"), self.now(), written(unix_s()));
        format!("mynah {version}, up for {up}; {written}\n\n{}", self.parts.recorder.text())
    }

    /// What may be changed, where that is known.
    pub(super) fn settings(&self) -> Option<Arc<Settings>> {
        self.parts.settings.clone()
    }

    /// Asks for the program's end and a new start.
    pub(super) fn restart(&self) {
        (self.parts.restart)();
    }

    /// Whether one more such wish may be granted; then it counts.
    pub(super) fn may(&self, wish: &Wish) -> Result<(), Denied> {
        let now = self.now();
        if self.inner().rates.may(wish, now) {
            return Ok(());
        }
        Err(Denied::TooMany("that was wanted too often within a minute; wait a little"))
    }

    /// Grants a wish.
    pub(super) fn grant(&self, wish: Wish) -> Result<(), Denied> {
        let now = self.now();
        if wish == Wish::Listen && self.heard.facts().is_muted() {
            return Err(Denied::Now("the microphone is off; switch it on first".to_string()));
        }
        self.may(&wish)?;
        let control = match wish {
            Wish::Listen => Control::Listen,
            Wish::Stop => Control::Stop,
            Wish::Mute(is_muted) => Control::Mute(is_muted),
            Wish::Volume(percent) => Control::Volume(percent),
            Wish::Announce(text) => Control::Tell(to_say(&text).into()),
            Wish::Repeat => Control::Repeat,
            Wish::Reset => Control::Reset,
            Wish::End => Control::End,
            Wish::Confirm => Control::Confirm,
            Wish::Hush => Control::Hush,
            Wish::Next { voice, language } => Control::Voice { voice, language },
            // They are nothing for the core.
            Wish::Set { .. } | Wish::Restart => return Ok(()),
        };
        if !(self.parts.give)(control) {
            return Err(Denied::TooMany("the device is too busy for that now; try again"));
        }
        self.inner().visit.active(now);
        Ok(())
    }
}

/// Waits for a change of the line; for ever where there is none.
async fn changed(present: &mut Option<watch::Receiver<bool>>) {
    let is_changed = match present {
        Some(present) => present.changed().await.is_ok(),
        None => false,
    };
    if !is_changed {
        std::future::pending().await
    }
}

/// The local time of day so many seconds ago, `14:03:10`.
fn time_of_day(age_s: u64) -> String {
    let written = written(unix_s().saturating_sub_unsigned(age_s));
    written.get(11..19).unwrap_or_default().to_string()
}

/// Whether somebody is there who did this, or for whom it is done.
fn is_activity(what: &What) -> bool {
    matches!(
        what,
        What::Pressed
            | What::Released
            | What::Woken
            | What::GateOpened { .. }
            | What::GateClosed { .. }
            | What::UserText { .. }
            | What::ModelText { .. }
            | What::ReplyHeard { .. }
            | What::ReplyDrained { .. }
            | What::ToolCalled { .. }
            | What::StillSent { .. }
            | What::Shown { .. }
    )
}
