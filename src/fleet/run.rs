//! The fleet's thread: reports, takes configurations at the door, and says whether a new one works.
//!
//! It writes files, so it has a thread of its own; whoever tells an event pays for a look at a small struct and for a ring
//! where it matters to the report.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::health::{self, Counts, Order, Rest};
use super::ledger::Refused;
use super::post::{Mail, Post};
use super::proof::{Lull, Proof, Seen, Verdict};
use crate::bell::Bell;
use crate::config::agent::Agent;
use crate::config::agent::fleet::Fleet;
use crate::flow::{Event, What};
use crate::hw::fleet::{Desk, PART};
use crate::hw::{Clock, clock};
use crate::live::rfc3339;
use crate::panel::screen::parts::Parts as Troubles;
use crate::panel::{Look, State};
use crate::units::Time;

/// Reports are no closer than this, however often something changes.
const REPORT_GAP: Duration = Duration::from_secs(2);
/// While a configuration is proven or a quiet moment awaited, it is looked so often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What came is looked at so often at most: whoever may write at the broker must not keep the device at work.
const RECEIVE_GAP: Duration = Duration::from_secs(1);
/// A restart that would fail is tried again after this: somebody is at work on a file.
const RESTART_RETRY: Duration = Duration::from_secs(60);

/// What the thread is made of.
pub struct Parts {
    /// `[fleet]`.
    pub fleet: Fleet,
    /// The configurations.
    pub desk: Arc<Desk>,
    /// The board profile's name.
    pub board_name: String,
    /// The clock of events.
    pub clock: Arc<dyn Clock>,
    /// Where the broker's connection is met.
    pub post: Arc<Post>,
    /// Whether all threads that sound passes through are alive.
    pub is_alive: Arc<AtomicBool>,
    /// Tells what happens here.
    pub tell: Box<dyn Fn(What) + Send>,
    /// Why a start would fail now, if it would.
    pub may_restart: Box<dyn Fn() -> Result<(), String> + Send>,
    /// Asks for the program's end and a new start.
    pub restart: Box<dyn Fn() + Send>,
    /// Wakes the thread.
    pub bell: Bell,
    /// Ends it; the bell is rung then.
    pub stop: Arc<AtomicBool>,
}

/// Hears events, on whatever thread they happen; never waits.
#[derive(Clone)]
pub struct Ear {
    fold: Arc<Mutex<Fold>>,
    bell: Bell,
}

/// What is known.
struct Fold {
    state: State,
    troubles: Troubles,
    counts: Counts,
    is_link_ready: bool,
    is_link_wanted: bool,
    is_recording: bool,
}

impl Ear {
    /// An ear at the beginning of the program, which rings this bell.
    pub fn new(agent: &Agent, bell: Bell) -> Ear {
        let fold = Fold {
            state: State::new(agent.session.connection),
            troubles: Troubles::default(),
            counts: Counts::default(),
            is_link_ready: false,
            is_link_wanted: false,
            is_recording: false,
        };
        Ear { fold: Arc::new(Mutex::new(fold)), bell }
    }

    /// Takes what happened.
    pub fn hear(&self, event: &Event) {
        if self.lock().handle_event(event) {
            self.bell.ring();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Fold> {
        self.fold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fold {
    /// Answers whether it may matter to the report.
    fn handle_event(&mut self, event: &Event) -> bool {
        self.state.handle_event(event);
        self.troubles.handle(&event.what);
        self.counts.handle(&event.what);
        match &event.what {
            What::LinkOpening => self.is_link_wanted = true,
            What::LinkReady { .. } => self.is_link_ready = true,
            What::LinkDown { .. } => self.is_link_ready = false,
            What::DaySpent { .. } => self.is_link_wanted = false,
            // Lost, and nobody misses it: that it is not made again says nothing of the configuration.
            What::LinkClosed { .. } if !self.is_link_ready => self.is_link_wanted = false,
            What::Recording { job } => self.is_recording = job.is_some(),
            What::Trouble { .. } | What::Recovered { .. } => {}
            _ => return false,
        }
        true
    }

    /// Whether somebody would be cut off.
    fn is_busy(&self, now: Time) -> bool {
        use Look::{FollowUp, Listening, ListeningInTrouble, Ringing, Speaking, Thinking};
        let look = self.state.look(now);
        self.is_recording || matches!(look, Listening | ListeningInTrouble | Thinking | Speaking | Ringing | FollowUp)
    }
}

/// Starts the thread.
///
/// # Errors
/// The system gives none.
pub fn spawn(parts: Parts, ear: Ear) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(PART.into()).spawn(move || {
        parts.bell.answer();
        Keeper::new(parts, ear).run();
    })
}

/// Keeps the report and the configurations.
struct Keeper {
    parts: Parts,
    ear: Ear,
    proof: Option<Proof>,
    lull: Option<Lull>,
    /// The last that was not taken, at the door.
    refused: Option<Refused>,
    /// Why there is no restart although one is due, and when it is tried again.
    held: Option<(String, Time)>,
    is_leaving: bool,
    /// When something came last.
    received_at: Option<Time>,
    /// What was reported last, and when.
    reported: Option<(Order, Time)>,
}

impl Keeper {
    fn new(parts: Parts, ear: Ear) -> Keeper {
        let within = Duration::from_secs(parts.fleet.proving_s.into());
        let proof = parts.desk.is_proving().then(|| Proof::new(parts.clock.now(), within));
        let (lull, refused, held, reported) = (None, None, None, None);
        Keeper { parts, ear, proof, lull, refused, held, is_leaving: false, received_at: None, reported }
    }

    fn run(mut self) {
        if let Some(trouble) = self.parts.desk.trouble() {
            (self.parts.tell)(What::Trouble { part: PART.to_string(), text: trouble.to_string() });
        }
        while !self.parts.stop.load(Ordering::Acquire) {
            let now = self.parts.clock.now();
            let rests = self.received_at.is_some_and(|at| now.since(at) < RECEIVE_GAP);
            if !rests {
                self.open_mail(now);
            }
            self.prove(now);
            self.leave_when_quiet(now);
            let wait = self.report(now);
            let is_watching = rests || self.received_at == Some(now) || self.proof.is_some() || self.lull.is_some();
            self.parts.bell.wait(if is_watching { wait.min(LOOK_EVERY) } else { wait });
        }
    }

    fn open_mail(&mut self, now: Time) {
        for mail in self.parts.post.take() {
            self.received_at = Some(now);
            self.receive(&mail);
        }
    }

    /// A configuration came.
    fn receive(&mut self, mail: &Mail) {
        match self.parts.desk.take(&mail.payload, mail.is_kept) {
            Ok(None) => {
                tracing::debug!("the broker kept a configuration of the fleet that is known, or older than the newest")
            }
            Ok(Some(serial)) => {
                tracing::info!(serial, "a configuration of the fleet was taken; the device starts again with it");
                // What was in force until now has no more to prove.
                (self.proof, self.refused) = (None, None);
            }
            Err(refused) if self.refused.as_ref() == Some(&refused) => {}
            // Nobody has signed it: whoever may write to the broker must not fill the log.
            Err(refused) if refused.serial == 0 => {
                tracing::debug!("a configuration of the fleet is not taken: {}", refused.why);
                self.refused = Some(refused);
            }
            Err(refused) => {
                tracing::warn!(serial = refused.serial, "a configuration of the fleet is not taken: {}", refused.why);
                self.refused = Some(refused);
            }
        }
    }

    /// Looks whether what is in force works, as long as that is open.
    fn prove(&mut self, now: Time) {
        let Some(proof) = &mut self.proof else { return };
        let seen = {
            let fold = self.ear.lock();
            Seen {
                is_link_ready: fold.is_link_ready,
                is_mic_well: fold.troubles.is_well("mic") && self.parts.is_alive.load(Ordering::Relaxed),
                is_broker_there: self.parts.post.is_there(),
                is_link_wanted: fold.is_link_wanted,
            }
        };
        match proof.look(now, seen) {
            Verdict::Open => return,
            Verdict::Proven => {
                tracing::info!("the fleet's configuration works and is kept");
                if let Err(why) = self.parts.desk.accept() {
                    (self.parts.tell)(What::Trouble { part: PART.to_string(), text: why });
                }
            }
            Verdict::Failed(why) => drop(self.parts.desk.give_up(&why)),
        }
        self.proof = None;
    }

    /// Asks for a restart where another configuration is to be in force, as soon as nobody is cut off by it.
    fn leave_when_quiet(&mut self, now: Time) {
        if self.is_leaving || !self.parts.desk.is_restart_due() {
            return;
        }
        let is_busy = self.ear.lock().is_busy(now);
        let has_come = self.lull.get_or_insert_with(|| Lull::new(now)).look(now, is_busy);
        if !has_come || self.held.as_ref().is_some_and(|(_, again_at)| now < *again_at) {
            return;
        }
        match (self.parts.may_restart)() {
            Ok(()) => {
                self.is_leaving = true;
                (self.parts.restart)();
            }
            Err(why) => self.held = Some((why, now + RESTART_RETRY)),
        }
    }

    /// Puts up the report where it is time for one; answers when it is time for the next.
    fn report(&mut self, now: Time) -> Duration {
        let every = Duration::from_secs(self.parts.fleet.report_every_s.into());
        let order = self.order();
        if let Some((reported, at)) = &self.reported {
            let due = if *reported == order { every } else { REPORT_GAP };
            let passed = now.since(*at);
            if passed < due {
                return due - passed;
            }
        }
        let rest = {
            let fold = self.ear.lock();
            let at = rfc3339::format(clock::unix_s().unsigned_abs());
            let (board, up_s) = (self.parts.board_name.as_str(), now.as_us() / 1_000_000);
            Rest { at, up_s, board, state: fold.state.look(now).word(), counts: fold.counts }
        };
        self.parts.post.put_up("health", health::json(&order, &rest).to_string().into_bytes());
        self.reported = Some((order, now));
        every
    }

    fn order(&self) -> Order {
        let (mut faults, mut vital) = {
            let fold = self.ear.lock();
            (fold.troubles.troubles(), fold.troubles.out_of_order().len())
        };
        if !self.parts.is_alive.load(Ordering::Relaxed) {
            vital += 1;
            faults.insert(0, "a thread that sound passes through stands still".to_string());
        }
        let held = self.held.as_ref().map(|(why, _)| format!("{PART}: {why}"));
        faults.extend(held);
        let mut standing = self.parts.desk.standing();
        standing.refused = self.refused.clone().or(standing.refused);
        Order { is_ok: vital == 0, faults, standing }
    }
}
