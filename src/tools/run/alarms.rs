//! Timers and alarms: their time, their file, and whom they ring.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Outside, kept};
use crate::config::agent::policy::Caller;
use crate::flow::{Control, What};
use crate::hw::clock;
use crate::hw::folder::FolderTrouble;
use crate::tools::Failure;
use crate::tools::alarms::{AlarmWork, Alarms, Daily, KeptAlarm, Moment};

/// A core that takes nothing now is asked again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Of what is kept on the disk; nobody's answer waits longer for it.
const DISK_TIMEOUT: Duration = Duration::from_secs(1);

/// The timers and alarms of this device.
pub(super) struct Ringer {
    alarms: Mutex<Alarms>,
    outside: Outside,
    /// Whether the core was told that something rings.
    is_told: AtomicBool,
    /// Whether visitors come and go: what the model sets is theirs.
    has_visitors: bool,
    /// Rung when the next time to ring has changed.
    pub(super) changed: Notify,
    /// Held while it is written down: the newest is written last.
    writing: tokio::sync::Mutex<()>,
}

impl Ringer {
    pub(super) fn new(outside: &Outside, has_visitors: bool) -> Ringer {
        Ringer {
            alarms: Mutex::default(),
            outside: outside.clone(),
            is_told: AtomicBool::new(false),
            has_visitors,
            changed: Notify::new(),
            writing: tokio::sync::Mutex::default(),
        }
    }

    fn alarms(&self) -> MutexGuard<'_, Alarms> {
        self.alarms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at_this_moment<T>(&self, look: impl FnOnce(&mut Alarms, &Moment<'_>) -> T) -> T {
        let next = |unix_s, daily: Daily| clock::next_at(unix_s, daily.minute, |day| daily.days.has(day));
        let unix_s = Some(self.outside.clock.unix_ms() / 1000).filter(|unix_s| *unix_s >= clock::CLOCK_SET_S);
        let moment = Moment { now: self.outside.clock.now(), unix_s, next: &next };
        look(&mut self.alarms(), &moment)
    }

    /// Takes up what an earlier run left.
    pub(super) async fn remember(&self) {
        let Some(folder) = self.outside.folder.clone() else { return };
        let read = tokio::task::spawn_blocking(move || kept::read::<kept::Set>(&folder)).await;
        let Ok((set, trouble)) = read else { return };
        if let Some(text) = trouble {
            (self.outside.tell)(What::Trouble { part: "tools".into(), text });
        }
        // A visitor left while the device was off, for all it knows: what was said is forgotten, too.
        let (gone, left): (Vec<_>, Vec<_>) = set.alarms.into_iter().partition(KeptAlarm::is_visitors);
        told_gone(gone.len());
        let missed = self.at_this_moment(|alarms, moment| alarms.remember(left, moment));
        if !missed.is_empty() || !gone.is_empty() {
            self.tell_missed(missed);
            self.write_or_warn().await; // told once
        }
    }

    /// Does what a call asks for.
    pub(super) async fn carry_out(&self, work: &AlarmWork, caller: Caller) -> Result<Value, Failure> {
        let is_visitors = self.has_visitors && caller == Caller::Model;
        let told = self.at_this_moment(|alarms, moment| alarms.carry_out(work, is_visitors, moment));
        let told = told.map_err(Failure::Refused)?;
        if *work == AlarmWork::List {
            return Ok(told);
        }
        self.changed.notify_one();
        match tokio::time::timeout(DISK_TIMEOUT, self.write_down()).await {
            Ok(Ok(())) => Ok(told),
            // Another process rings, and knows nothing of this.
            Ok(Err(trouble @ FolderTrouble::Taken { .. })) => Err(Failure::Refused(trouble.to_string())),
            // It rings all the same, unless the device is switched off before.
            Ok(Err(trouble)) => {
                tracing::warn!("timers and alarms are forgotten at a restart: {trouble}");
                Ok(told)
            }
            Err(_) => Ok(told), // a slow card is no reason to keep a person waiting; it is still being written
        }
    }

    /// When there is something to do next.
    pub(super) fn next(&self) -> Option<Instant> {
        let (next, is_ringing) = self.at_this_moment(|alarms, moment| (alarms.next(moment), alarms.is_ringing()));
        let is_untold = is_ringing != self.is_told.load(Ordering::Relaxed);
        let after = next.into_iter().chain(is_untold.then_some(AGAIN_AFTER)).min()?;
        Some(Instant::now() + after)
    }

    /// Rings what came due, and ends what nobody came for. Answers whether it is to be written down.
    pub(super) fn ring(&self) -> bool {
        let (due, over) = self.at_this_moment(|alarms, moment| (alarms.due(moment), alarms.give_up(moment)));
        for name in &over {
            tracing::info!("nobody came for `{name}`; it rings no more");
        }
        self.tell_core();
        for name in &due.rings {
            self.tell_model(&format!("`{name}` is due and rings now, until the user stops it"));
        }
        let is_changed = !(due.rings.is_empty() && due.missed.is_empty() && over.is_empty());
        self.tell_missed(due.missed);
        is_changed
    }

    /// Has the core ring, or ring no more; where it takes nothing now, [`Ringer::next`] comes back to it.
    fn tell_core(&self) {
        let is_ringing = self.alarms().is_ringing();
        if is_ringing != self.is_told.load(Ordering::Relaxed) && (self.outside.give)(Control::Ring(is_ringing)) {
            self.is_told.store(is_ringing, Ordering::Relaxed);
        }
    }

    fn tell_missed(&self, missed: Vec<(String, i64)>) {
        for (name, unix_s) in missed {
            let at = clock::written(unix_s);
            self.tell_model(&format!(
                "`{name}` should have rung at {at}, when the device was off or its clock was wrong"
            ));
        }
    }

    fn tell_model(&self, what: &str) {
        let text = format!("[device] The timer or alarm {what}. Tell the user in a few words.");
        let _ = (self.outside.give)(Control::Tell(Arc::from(text))); // it rings, whether or not it is said
    }

    /// A visitor is gone, and what was set for them; what rang of it rings no more.
    pub(super) fn visit_over(&self) {
        let gone = self.at_this_moment(|alarms, _| alarms.visit_over());
        told_gone(gone.len());
        self.tell_core();
    }

    /// A person stopped what rings; the core rings no more.
    pub(super) fn hushed(&self) {
        let _ = self.at_this_moment(|alarms, moment| alarms.hush(moment));
        self.is_told.store(false, Ordering::Relaxed);
    }

    /// Writes down what a restart must know.
    pub(super) async fn write_down(&self) -> Result<(), FolderTrouble> {
        let Some(folder) = self.outside.folder.clone() else { return Ok(()) };
        let _writing = self.writing.lock().await;
        let alarms = self.at_this_moment(|alarms, moment| alarms.kept(moment));
        kept::write(folder, kept::Set { alarms }).await
    }

    /// The same, where nobody waits for it.
    pub(super) async fn write_or_warn(&self) {
        if let Err(trouble) = self.write_down().await {
            tracing::warn!("timers and alarms are forgotten at a restart: {trouble}");
        }
    }
}

/// Names are a visitor's words, and no more of them is in the log than of the conversation.
fn told_gone(count: usize) {
    if count > 0 {
        tracing::info!(count, "a visitor is gone: timers and alarms that were set for them do not ring");
    }
}
