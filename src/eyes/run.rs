//! The camera's thread: it alone has the camera, runs the sensor while somebody wants pictures, and hands them over.
//!
//! The light that says so is lit before the sensor starts and put out after it has stopped; where it cannot be lit, the
//! sensor does not start. A switch of the board shuts the camera whatever anybody wants.

mod lamp;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::oneshot;

use self::lamp::Lamp;
use super::budget::Budget;
use super::picture::{self, Size};
use super::schedule::{Need, Schedule, Terms, Verdict};
use crate::bell::Bell;
use crate::config::agent::see::See;
use crate::config::board;
use crate::flow::{EyeWish, IDLE_WAIT, LOOKS_MAX, Occasion, Shot, What};
use crate::hw::switch::Switch;
use crate::hw::{Board, Camera, CameraTrouble, Clock};
use crate::still::Still;
use crate::units::Time;

/// How long one look at the camera lasts at most: so soon a switch, an order or the end is obeyed.
const LOOK_FOR: Duration = Duration::from_millis(50);

/// How often a switch that keeps the camera shut is looked at while pictures are wanted.
const SHUT_LOOK: Duration = Duration::from_millis(100);

/// After a black picture the next is looked at this much later.
const BLACK_AGAIN: Duration = Duration::from_secs(1);
/// How often a light that could not be put out is tried again.
const LAMP_AGAIN: Duration = Duration::from_secs(1);

/// What the thread needs.
pub struct Parts {
    /// The board.
    pub board: Arc<dyn Board>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Certificates to trust beside the built-in roots, PEM: a camera on the network may show one of theirs.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// How much of it is sent.
    pub see: See,
    /// The camera, as the board profile has it.
    pub camera: board::Camera,
    /// Whether the profile has the line [`board::CAMERA_LED`].
    pub has_lamp: bool,
    /// Whether the profile has the line [`board::SHUTTER`].
    pub has_shutter: bool,
    /// Whether the hardware's mute line silences the device, as the microphone's thread sees it.
    pub is_muted_by_line: Arc<AtomicBool>,
    /// Where pictures go.
    pub shots: SyncSender<Shot>,
    /// Rung when one has gone there.
    pub core_bell: Bell,
    /// Told when the sensor runs, and what is wrong with it.
    pub tell: Box<dyn Fn(What) + Send>,
    /// Set to end the thread (then ring its bell).
    pub stop: Arc<AtomicBool>,
}

/// How others reach the thread. Cheap to clone.
#[derive(Clone)]
pub struct Eyes {
    wish: Arc<AtomicU8>,
    looks: SyncSender<Ask>,
    bell: Bell,
}

/// Somebody waits for a picture: answered with its size once it is on its way to the core.
type Ask = oneshot::Sender<Result<(u16, u16), String>>;

impl Eyes {
    /// The core wants this from now on.
    pub fn wish(&self, wish: EyeWish) {
        self.wish.store(wish as u8, Ordering::Release);
        self.bell.ring();
    }

    /// A picture is taken and given to the core, as [`Occasion::Looked`]. Answers its width and height.
    ///
    /// # Errors
    /// A sentence for the model.
    pub async fn look(&self) -> Result<(u16, u16), String> {
        let (ask, answer) = oneshot::channel();
        self.looks.try_send(ask).map_err(|_| format!("{LOOKS_MAX} calls wait for a picture already"))?;
        self.bell.ring();
        answer.await.unwrap_or_else(|_| Err("the camera is being switched off".to_string()))
    }
}

/// Starts the thread.
///
/// # Errors
/// The system has no thread to give.
pub fn spawn(parts: Parts) -> io::Result<(Eyes, Bell, JoinHandle<()>)> {
    let (looks, asked) = sync_channel(LOOKS_MAX);
    let bell = Bell::new();
    let eyes = Eyes { wish: Arc::default(), looks, bell: bell.clone() };
    let frozen_s = u64::from(parts.camera.frozen_after_s);
    let terms = Terms {
        settle: Duration::from_millis(parts.camera.settle_ms.into()),
        frozen_after: (frozen_s > 0).then(|| Duration::from_secs(frozen_s)),
    };
    let kib = |kib: u32| kib as usize * 1024;
    let shell = Shell {
        size: Size {
            longest_side_px: parts.see.longest_side_px,
            quality_percent: u8::try_from(parts.see.quality_percent).unwrap_or(u8::MAX),
            still_bytes: kib(parts.see.still_kib),
        },
        budget: Budget::new(kib(parts.see.minute_kib)),
        schedule: Schedule::new(terms),
        lamp: parts.has_lamp.then(|| Lamp::new(parts.board.clone())),
        shutter: parts.has_shutter.then(|| Switch::new(parts.board.clone(), board::SHUTTER)),
        wish: eyes.wish.clone(),
        bell: bell.clone(),
        asked,
        waiting: VecDeque::new(),
        camera: None,
        trouble: None,
        black_until: None,
        spent_until: None,
        parts,
    };
    let thread = thread::Builder::new().name("camera".into()).spawn(move || shell.run())?;
    Ok((eyes, bell, thread))
}

struct Shell {
    parts: Parts,
    size: Size,
    budget: Budget,
    schedule: Schedule,
    lamp: Option<Lamp>,
    shutter: Option<Switch>,
    wish: Arc<AtomicU8>,
    bell: Bell,
    asked: Receiver<Ask>,
    waiting: VecDeque<Ask>,
    camera: Option<Box<dyn Camera>>,
    /// What was told to be wrong, until it is right again.
    trouble: Option<&'static str>,
    /// Black pictures, or as many as a minute may have: none is looked at before this.
    black_until: Option<Time>,
    spent_until: Option<Time>,
}

impl Shell {
    fn run(mut self) {
        self.bell.answer();
        while !self.parts.stop.load(Ordering::Acquire) {
            self.waiting.extend(self.asked.try_iter().take(LOOKS_MAX));
            self.waiting.retain(|ask| !ask.is_closed());
            let now = self.parts.clock.now();
            let shut = self.shut_by(now);
            if let Some(why) = shut {
                self.refuse(why);
            }
            self.schedule.set(self.wished(), self.waiting.len(), shut.is_some());
            match self.schedule.need(now) {
                Need::Run => self.look_once(),
                Need::Rest => {
                    self.rest();
                    let is_wanted = matches!(self.wished(), EyeWish::Watch | EyeWish::Take);
                    let is_lit = self.lamp.as_ref().is_some_and(Lamp::is_lit);
                    let wait = if is_lit { LAMP_AGAIN } else { IDLE_WAIT };
                    self.bell.wait(if is_wanted { SHUT_LOOK } else { wait });
                }
                Need::NotBefore(at) => {
                    self.refuse("the camera gives no pictures just now; it is tried again");
                    self.bell.wait(at.since(now));
                }
            }
        }
        self.rest();
    }

    fn wished(&self) -> EyeWish {
        [EyeWish::Rest, EyeWish::Shut, EyeWish::Watch, EyeWish::Take]
            .into_iter()
            .find(|wish| *wish as u8 == self.wish.load(Ordering::Acquire))
            .unwrap_or_default()
    }

    /// Whether the camera must not run, and why, as a sentence for the model. The shutter is looked at only while
    /// somebody wants a picture: a sensor that is off needs none.
    fn shut_by(&mut self, now: Time) -> Option<&'static str> {
        if self.wished() == EyeWish::Shut || self.parts.is_muted_by_line.load(Ordering::Acquire) {
            return Some("the device is muted, and its camera with it; only a person can change that");
        }
        if self.waiting.is_empty() && !matches!(self.wished(), EyeWish::Watch | EyeWish::Take) {
            return None;
        }
        let look = self.shutter.as_mut()?.look(now);
        if let Some(Err(trouble)) = &look.change {
            self.tell_trouble(
                "shutter",
                format!("the shutter's line cannot be read, so the camera stays shut: {trouble}"),
            );
        }
        look.is_shut.then_some("the camera's shutter is closed; only a person can open it")
    }

    /// Runs the sensor, waits a moment for a picture and uses it.
    fn look_once(&mut self) {
        if self.camera.is_none() && !self.start() {
            return;
        }
        let Some(camera) = &mut self.camera else { return };
        match camera.next(LOOK_FOR) {
            Ok(Some(still)) => self.take(still),
            Ok(None) => {
                let now = self.parts.clock.now();
                if let Some(silent) = self.schedule.is_silent(now) {
                    let text = format!("it has given no picture for {} s; it is started again", silent.as_secs());
                    self.fail("silent", text);
                }
            }
            Err(trouble) => self.fail_with(&trouble),
        }
    }

    /// Lights the lamp and starts the sensor. False where either failed.
    fn start(&mut self) -> bool {
        if let Some(lamp) = &mut self.lamp
            && let Err(trouble) = lamp.light()
        {
            self.fail("lamp", format!("its light cannot be lit, so it stays off: {trouble}"));
            return false;
        }
        match self.parts.board.open_camera(self.parts.extra_ca_pem.as_deref()) {
            Ok(camera) => {
                self.camera = Some(camera);
                self.schedule.started(self.parts.clock.now());
                (self.parts.tell)(What::CameraRuns { is_running: true });
                true
            }
            Err(trouble) => {
                self.fail_with(&trouble);
                false
            }
        }
    }

    /// Stops the sensor, then puts the lamp out.
    fn rest(&mut self) {
        self.schedule.stopped();
        if self.camera.take().is_some() {
            (self.parts.tell)(What::CameraRuns { is_running: false });
        }
        let put_out = self.lamp.as_mut().map_or(Ok(()), Lamp::put_out);
        if let Err(trouble) = put_out {
            self.tell_trouble("lamp", format!("its light cannot be put out, though it is off: {trouble}"));
        }
    }

    fn fail_with(&mut self, trouble: &CameraTrouble) {
        let text = match trouble {
            CameraTrouble::Missing { why } => why.clone(),
            CameraTrouble::Lost { why } => format!("{why}; it is tried again"),
        };
        self.fail("lost", text);
    }

    fn fail(&mut self, kind: &'static str, text: String) {
        self.rest();
        self.schedule.failed(self.parts.clock.now());
        self.refuse(&format!("the camera gives no picture: {text}"));
        self.tell_trouble(kind, text);
    }

    /// Once for each kind of trouble, until a picture was right.
    fn tell_trouble(&mut self, kind: &'static str, text: String) {
        if self.trouble.replace(kind) != Some(kind) {
            (self.parts.tell)(What::Trouble { part: "camera".into(), text });
        }
    }

    fn take(&mut self, still: Still) {
        let now = self.parts.clock.now();
        let is_wanted = !self.waiting.is_empty() || self.wished() == EyeWish::Take;
        // In the dark each picture would be taken apart to find nothing on it.
        if self.black_until.is_some_and(|at| now < at) {
            return;
        }
        match self.schedule.judge(&still, |still| is_wanted && picture::is_black(still)) {
            Verdict::Early => {}
            Verdict::Good if !is_wanted => {}
            Verdict::Frozen(same_for) => {
                let text = format!("its picture has not changed for {} s; it is started again", same_for.as_secs());
                self.fail("frozen", text);
            }
            Verdict::Black => {
                self.black_until = Some(now + BLACK_AGAIN);
                self.refuse("the picture is black: the lens is covered, or it is dark there");
                self.tell_trouble("black", "its picture is black: is something before the lens?".to_string());
            }
            Verdict::Good => {
                if self.trouble.take().is_some() {
                    (self.parts.tell)(What::Recovered { part: "camera".into() });
                }
                self.hand_over(still);
            }
        }
    }

    /// Gives a picture to whoever waits for one, within the limits.
    fn hand_over(&mut self, still: Still) {
        let is_for_core = self.wished() == EyeWish::Take;
        let now = self.parts.clock.now();
        if let Some(free_at) = self.spent_until.filter(|at| now < *at) {
            return self.refuse_spent(free_at, now);
        }
        let still = match picture::fit(still, &self.size) {
            Ok(still) => still,
            Err(why) => {
                self.refuse(&why);
                return self.tell_trouble("unreadable", why);
            }
        };
        let now = self.parts.clock.now();
        if let Err(free_at) = self.budget.ask(still.jpeg.len(), now) {
            self.spent_until = Some(free_at);
            return self.refuse_spent(free_at, now);
        }
        if is_for_core {
            // Only if nothing else was wanted meanwhile; before the core has it, and may want another.
            let turn = |from: EyeWish, to: EyeWish| {
                let _ = self.wish.compare_exchange(from as u8, to as u8, Ordering::AcqRel, Ordering::Acquire);
            };
            turn(EyeWish::Take, EyeWish::Watch);
            if give(&self.parts, still.clone(), Occasion::Speaking) {
                self.budget.spend(still.jpeg.len(), now);
            } else {
                turn(EyeWish::Watch, EyeWish::Take);
            }
        }
        self.answer(still, now);
    }

    /// Gives a picture to the core for all who wait. It goes out with each of their answers, so it is counted for each.
    fn answer(&mut self, still: Still, now: Time) {
        if self.waiting.is_empty() {
            return;
        }
        let (size, bytes) = ((still.width, still.height), still.jpeg.len());
        if !give(&self.parts, still, Occasion::Looked) {
            return self.refuse("the device is too busy; call again");
        }
        while let Some(ask) = self.waiting.pop_front() {
            if let Err(free_at) = self.budget.ask(bytes, now) {
                self.waiting.push_front(ask);
                self.spent_until = Some(free_at);
                return self.refuse_spent(free_at, now);
            }
            self.budget.spend(bytes, now);
            let _ = ask.send(Ok(size)); // gone where its call was taken back
        }
    }

    fn refuse_spent(&mut self, free_at: Time, now: Time) {
        let left_s = free_at.since(now).as_secs() + 1;
        self.refuse(&format!("as many pictures as a minute may have were sent; call again in {left_s} s"));
    }

    /// Nobody who waits gets a picture now.
    fn refuse(&mut self, why: &str) {
        for ask in self.waiting.drain(..) {
            let _ = ask.send(Err(why.to_string()));
        }
    }
}

/// Hands a picture to the core. False where it takes none now.
fn give(parts: &Parts, still: Still, why: Occasion) -> bool {
    let is_given = parts.shots.try_send(Shot { still, why }).is_ok();
    parts.core_bell.ring();
    is_given
}

#[cfg(test)]
#[path = "run/tests.rs"]
mod tests;
