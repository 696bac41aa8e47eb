//! Makes the channels, starts the threads, stops them in order.
//!
//! Nothing here decides: every value is passed down, every queue has the limit that `flow.rs` names.

mod controls;
mod errands;
mod eyes;
mod fleet;
mod job_log;
mod keeper;
mod knobs;
mod light;
mod names;
#[cfg(feature = "panel")]
mod panel;
#[cfg(not(feature = "panel"))]
#[path = "daemon/no_panel.rs"]
mod panel;
mod progress;
mod sounds;
mod wake;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
pub use controls::Controls;
use keeper::{Keeper, Pauses};
pub use names::names;
use progress::{Meters, Progress};
use rtrb::RingBuffer;
use tokio::sync::Notify;

use crate::audio::Hop;
use crate::bell::Bell;
use crate::config::agent::Agent;
use crate::config::agent::endpoint::Endpoint;
use crate::config::{self, board};
use crate::fleet::Post;
use crate::flow::{self, Event, What};
use crate::hw::fleet::Desk;
use crate::hw::folder::Folder;
use crate::hw::settings::Settings;
use crate::hw::store::{Past, Store};
use crate::hw::{self, Board, Clock};
use crate::live;
use crate::live::close::Refusal;
use crate::live::credential::Secret;
use crate::session::run::Watcher;
use crate::session::{self, Session};
use crate::trace::Recorder;
use crate::{gate, job, mic, speaker, tools};

/// Everything the daemon is made from.
pub struct Options {
    /// The agent file.
    pub agent: Agent,
    /// The board profile.
    pub profile: board::Board,
    /// The board itself.
    pub board: Arc<dyn Board>,
    /// The clock of all threads.
    pub clock: Arc<dyn Clock>,
    /// The API key; none is needed where the agent file names a broker.
    pub key: Option<String>,
    /// More certificates to trust, PEM.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// Who watches what happens.
    pub watcher: Watcher,
    /// Keeps what happened, for a dump. Its names should be those that [`names()`] tells.
    pub recorder: Recorder,
    /// Where to keep what outlives the program; nothing does where there is none.
    pub state: Option<Arc<Folder>>,
    /// What may be changed at the page; nothing where there is none.
    pub settings: Option<Arc<Settings>>,
    /// The fleet's configurations; none where the device is none of a fleet.
    pub fleet: Option<Arc<Desk>>,
}

/// Why the daemon wants to end.
#[derive(Debug)]
pub enum Ending {
    /// It was asked to.
    Asked,
    /// It is to start again, with its files read anew.
    Restart,
    /// The service refuses, and only a person can help.
    Refused(Refusal),
}

/// A running daemon.
pub struct Daemon {
    stop: Arc<AtomicBool>,
    bells: Vec<Bell>,
    threads: Vec<JoinHandle<()>>,
    tools: Option<tools::run::Handle>,
    ear: Arc<OnceLock<tools::run::mqtt::Ear>>,
    fleet: Option<Arc<Post>>,
    keeper: Option<Keeper>,
    panel: Option<panel::Handle>,
    is_alive: Arc<AtomicBool>,
    job: Option<job::run::Handle>,
    controls: Controls,
    core_bell: Bell,
    progress: Progress,
    meters: Meters,
    endings: mpsc::Receiver<Ending>,
    ask: mpsc::Sender<Ending>,
}

impl Daemon {
    /// Starts all threads.
    ///
    /// # Errors
    /// An address or certificate that is none, or a system without threads. A missing device is no error: it is
    /// reported to the watcher and tried again.
    pub fn start(mut options: Options) -> anyhow::Result<Daemon> {
        let endpoint =
            config::agent::endpoint::parse(&options.agent.endpoint).map_err(|why| anyhow::anyhow!("endpoint {why}"))?;
        options.watcher = recording(options.watcher, options.recorder.clone());
        let heard;
        (options.watcher, heard) = panel::hang(options.watcher, &options.agent);
        let (ask, endings) = mpsc::channel();
        let core_bell = Bell::new();
        let (controls, from_people) = controls::controls(core_bell.clone());
        let mut daemon = Daemon {
            stop: Arc::new(AtomicBool::new(false)),
            bells: Vec::new(),
            threads: Vec::new(),
            tools: None,
            ear: Arc::default(),
            fleet: None,
            keeper: None,
            panel: None,
            is_alive: Arc::new(AtomicBool::new(true)),
            job: None,
            controls,
            core_bell,
            progress: Progress::default(),
            meters: Meters::default(),
            endings,
            ask,
        };
        let (link_orders, orders) = tokio::sync::mpsc::channel(flow::LINK_ORDERS_MAX);
        let (events, link_reports) = tokio::sync::mpsc::channel(flow::LINK_EVENTS_MAX);
        let hang_up = Arc::new(Notify::new());
        let procedures = job_log::procedures(&mut options);
        let session = daemon.session(&options, &endpoint)?;
        // From here on whoever tells something tells it to the light, too. The thread that writes down what is
        // remembered does not: it ends after the light.
        options.watcher = daemon.with_light(&options)?;
        options.watcher = daemon.with_fleet(&options)?;
        options.watcher = overheard(options.watcher, daemon.ear.clone());
        options.watcher = daemon.with_job_log(&options, procedures)?;
        let watcher = options.watcher.clone();
        // The link first: its name look-up, TCP and TLS take longest, and go on while the devices are opened.
        let link = live::run::Parts {
            endpoint,
            access: access(&options),
            extra_ca_pem: options.extra_ca_pem.clone(),
            orders,
            events,
            hang_up: hang_up.clone(),
            core_bell: daemon.core_bell.clone(),
        };
        daemon.threads.push(live::run::spawn(link)?);
        let ends = LinkEnds { orders: link_orders, reports: link_reports, hang_up };
        daemon.start_core(&options, session, watcher, ends, from_people)?;
        daemon.start_knobs(&options)?;
        daemon.start_panel(&options, heard)?;
        Ok(daemon)
    }

    /// The session with what it remembers, and the thread that writes down what it is to remember next.
    fn session(&mut self, options: &Options, endpoint: &Endpoint) -> anyhow::Result<Session> {
        let mut session = Session::new(&options.agent, seed());
        let Some(folder) = &options.state else { return Ok(session) };
        let store = Store::new(folder.clone(), endpoint, options.agent.session.keep);
        let Past { memory, age, sheet, trouble } = store.read(hw::clock::unix_s());
        let tell = reporter(options, "state");
        if let Some(trouble) = trouble {
            tell(Err(trouble));
        }
        session.remember(memory, age);
        let keeper = Keeper::spawn(store, sheet, Pauses::default(), tell).context("no thread for the state file")?;
        self.keeper = Some(keeper);
        Ok(session)
    }

    /// The core, and the rooms on both sides of it.
    fn start_core(
        &mut self,
        options: &Options,
        session: Session,
        watcher: Watcher,
        link: LinkEnds,
        controls: mpsc::Receiver<flow::Control>,
    ) -> anyhow::Result<()> {
        let (speaker_orders, orders) = RingBuffer::new(flow::SPEAKER_ORDERS_MAX);
        let (returns, spent) = RingBuffer::new(flow::SPEAKER_ORDERS_MAX);
        let (speaker_facts, speaker) = RingBuffer::new(flow::SPEAKER_FACTS_MAX);
        let (far_in, far) = RingBuffer::new(2 * flow::FAR_RING_HOPS);
        let (mic_facts, mic) = RingBuffer::new(flow::SPEAKER_FACTS_MAX);
        let (gate_events, gate) = RingBuffer::new(flow::GATE_EVENTS_MAX);
        let (notes_in, notes) = RingBuffer::new(flow::NOTES_MAX);
        let (replies_in, replies) = mpsc::sync_channel(flow::TOOL_ORDERS_MAX);
        let (gate_bell, speaker_bell) = (self.bell(), self.bell());
        let (lists, declared) = mpsc::sync_channel(flow::TOOL_LISTS_MAX);
        let (sight, shots) = self.start_eyes(options, &watcher)?;
        let tool_orders = self.start_tools(options, &watcher, sight.eyes.clone(), replies_in, lists)?;
        let ask = self.ask.clone();
        let core = session::run::Parts {
            session,
            clock: options.clock.clone(),
            bell: self.core_bell.clone(),
            inputs: session::run::Inputs {
                gate,
                mic,
                speaker,
                spent,
                link: link.reports,
                tools: replies,
                controls,
                shots,
                declared,
            },
            outputs: session::run::Outputs {
                gate: (notes_in, gate_bell.clone()),
                speaker: (speaker_orders, speaker_bell.clone()),
                link: link.orders,
                hang_up: link.hang_up,
                tools: tool_orders,
                eyes: match sight.eyes.clone() {
                    Some(eyes) => Box::new(move |wish| eyes.wish(wish)),
                    None => Box::new(|_| ()),
                },
                watcher,
                keep: match &self.keeper {
                    Some(keeper) => Box::new(keeper.taker()),
                    None => Box::new(drop),
                },
                refused: Box::new(move |refusal| drop(ask.send(Ending::Refused(refusal)))),
            },
            stop: self.stop.clone(),
            progress: self.progress.core.clone(),
            recorder: options.recorder.clone(),
        };
        self.threads.push(session::run::spawn(core)?);
        self.start_speaker(options, (orders, returns), (speaker_facts, far_in), speaker_bell)?;
        self.start_ears(options, gate_bell, mic_facts, gate_events, (notes, far), sight.is_muted_by_line)
    }

    /// The loudspeaker.
    fn start_speaker(
        &mut self,
        options: &Options,
        (orders, returns): (rtrb::Consumer<flow::SpeakerOrder>, rtrb::Producer<Vec<i16>>),
        (facts, far): (rtrb::Producer<flow::SpeakerFact>, rtrb::Producer<Hop>),
        bell: Bell,
    ) -> anyhow::Result<()> {
        self.threads.push(speaker::run::spawn(speaker::run::Parts {
            board: options.board.clone(),
            clock: options.clock.clone(),
            speak: options.agent.speak.clone(),
            wake_ms: options.profile.wake_ms,
            sounds: sounds::of(options),
            orders,
            returns,
            facts,
            far: Some(far),
            bell,
            core_bell: self.core_bell.clone(),
            progress: self.progress.speaker.clone(),
            meter: self.meters.speaker.clone(),
            stop: self.stop.clone(),
        })?);
        Ok(())
    }

    /// Microphone, button, gate.
    fn start_ears(
        &mut self,
        options: &Options,
        gate_bell: Bell,
        mic_facts: rtrb::Producer<flow::MicFact>,
        gate_events: rtrb::Producer<flow::GateEvent>,
        (notes, far): (rtrb::Consumer<flow::GateNote>, rtrb::Consumer<Hop>),
        is_muted_by_line: Arc<AtomicBool>,
    ) -> anyhow::Result<()> {
        let (hops_in, hops) = RingBuffer::new(2 * flow::MIC_RING_HOPS);
        let (edges_in, edges) = RingBuffer::new(flow::EDGES_MAX);
        self.threads.push(gate::run::spawn(gate::run::Parts {
            clock: options.clock.clone(),
            listen: options.agent.listen.clone(),
            gestures: options.agent.gestures.clone(),
            echo: options.agent.echo.clone(),
            hops,
            far,
            wake: wake::detector(&options.agent, reporter(options, wake::PART)),
            edges,
            notes,
            events: gate_events,
            bell: gate_bell.clone(),
            core_bell: self.core_bell.clone(),
            progress: self.progress.gate.clone(),
            meter: self.meters.mic.clone(),
            stop: self.stop.clone(),
        })?);
        if options.profile.lines.contains_key(board::TALK) {
            let button = gate::run::ButtonParts {
                clock: options.clock.clone(),
                board: options.board.clone(),
                line: board::TALK.to_string(),
                edges: edges_in,
                gate_bell: gate_bell.clone(),
                stop: self.stop.clone(),
            };
            self.threads.push(gate::run::spawn_button(button, reporter(options, "line"))?);
        }
        self.threads.push(mic::run::spawn(mic::run::Parts {
            board: options.board.clone(),
            clock: options.clock.clone(),
            pick: options.profile.capture.pick,
            dead_after: Duration::from_secs(options.agent.listen.dead_mic_s.into()),
            mute: options.profile.lines.contains_key(board::MUTE).then(|| (board::MUTE.to_string(), is_muted_by_line)),
            hops: hops_in,
            gate_bell,
            facts: mic_facts,
            core_bell: self.core_bell.clone(),
            progress: self.progress.mic.clone(),
            lost_hops: self.progress.lost_hops.clone(),
            stop: self.stop.clone(),
        })?);
        Ok(())
    }

    /// The loudness buttons, where the board has them.
    fn start_knobs(&mut self, options: &Options) -> anyhow::Result<()> {
        let lines = [board::VOLUME_UP, board::VOLUME_DOWN];
        if !lines.iter().any(|line| options.profile.lines.contains_key(*line)) {
            return Ok(());
        }
        let (knobs, edges) = knobs::knobs();
        let bell = self.bell();
        for (line, edges) in lines.into_iter().zip(edges).filter(|(line, _)| options.profile.lines.contains_key(*line))
        {
            let button = gate::run::ButtonParts {
                clock: options.clock.clone(),
                board: options.board.clone(),
                line: line.to_string(),
                edges,
                gate_bell: bell.clone(),
                stop: self.stop.clone(),
            };
            self.threads.push(gate::run::spawn_button(button, reporter(options, "line"))?);
        }
        self.threads.push(knobs::spawn(knobs, self.controls.clone(), bell, self.stop.clone())?);
        Ok(())
    }

    /// To give the core what a person wants.
    pub fn controls(&self) -> Controls {
        self.controls.clone()
    }

    /// The watcher, with the light hung onto it where the board has one.
    fn with_light(&mut self, options: &Options) -> anyhow::Result<Watcher> {
        if options.profile.light.is_none() {
            return Ok(options.watcher.clone());
        }
        let state = crate::panel::State::new(options.agent.session.connection);
        let (watcher, tell) = (options.watcher.clone(), reporter(options, "light"));
        let (watcher, thread) = light::hang(watcher, options.board.clone(), options.clock.clone(), state, tell)?;
        self.threads.push(thread);
        Ok(watcher)
    }

    fn bell(&mut self) -> Bell {
        let bell = Bell::new();
        self.bells.push(bell.clone());
        bell
    }

    /// Sends [`Ending::Asked`]: for the thread that waits for signals.
    pub fn asker(&self) -> mpsc::Sender<Ending> {
        self.ask.clone()
    }

    /// Waits until it is time to end; meanwhile `tick` is called every so often with whether all threads that
    /// sound passes through are alive.
    pub fn wait(&self, every: Duration, mut tick: impl FnMut(bool)) -> Ending {
        let mut seen = self.progress.read();
        loop {
            // An idle core sleeps long; one that is alive counts this ring.
            self.core_bell.ring();
            match self.endings.recv_timeout(every) {
                Ok(ending) => return ending,
                Err(mpsc::RecvTimeoutError::Disconnected) => return Ending::Asked,
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
            let now = self.progress.read();
            let is_alive = now.threads.iter().zip(seen.threads).all(|(now, seen)| *now != seen);
            self.is_alive.store(is_alive, Ordering::Relaxed);
            tick(is_alive);
            if now.lost_hops != seen.lost_hops {
                tracing::warn!(
                    hops = now.lost_hops - seen.lost_hops,
                    "sound from the microphone found the gate standing still"
                );
            }
            seen = now;
        }
    }

    /// Stops in order: outputs go to rest first, then everything that makes sound, then the link.
    pub fn stop(mut self) {
        if let Some(tools) = self.tools.take() {
            tools.stop();
        }
        if let Some(panel) = self.panel.take() {
            panel.stop();
        }
        self.stop.store(true, Ordering::Release);
        self.core_bell.ring();
        for bell in &self.bells {
            bell.ring();
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        // Last: what the core said at its end is written too.
        if let Some(job) = self.job.take() {
            job.finish();
        }
        if let Some(keeper) = self.keeper.take() {
            keeper.finish();
        }
    }
}

/// The core's ends of what leads to the link and back.
struct LinkEnds {
    orders: tokio::sync::mpsc::Sender<flow::LinkOrder>,
    reports: tokio::sync::mpsc::Receiver<flow::LinkReport>,
    hang_up: Arc<Notify>,
}

/// What the link shows: tokens of the broker where there is one, the key otherwise.
fn access(options: &Options) -> live::run::Access {
    match &options.agent.token_url {
        Some(url) => live::run::Access::Broker(url.clone()),
        None => live::run::Access::Key(Secret::new(options.key.clone().unwrap_or_default())),
    }
}

/// The watcher, with each event put on record first.
fn recording(watcher: Watcher, recorder: Recorder) -> Watcher {
    Arc::new(move |event: &Event| {
        recorder.add(event.at, session::run::record::event(&event.what, &recorder));
        watcher(event);
    })
}

/// The watcher, with what shows the device to a broker hung onto it as soon as there is one.
fn overheard(watcher: Watcher, ear: Arc<OnceLock<tools::run::mqtt::Ear>>) -> Watcher {
    Arc::new(move |event: &Event| {
        if let Some(ear) = ear.get() {
            ear.hear(event);
        }
        watcher(event);
    })
}

/// Tells the watcher that a part is in trouble, or works after one.
fn reporter<T: ToString>(options: &Options, part: &'static str) -> impl Fn(Result<(), T>) + Send + use<T> {
    let (watcher, clock) = (options.watcher.clone(), options.clock.clone());
    move |found| {
        let part = part.to_string();
        let what = match found {
            Ok(()) => What::Recovered { part },
            Err(trouble) => What::Trouble { part, text: trouble.to_string() },
        };
        watcher(&Event { at: clock.now(), what });
    }
}

/// Tells devices apart when they spread their retries; need not be secret.
fn seed() -> u64 {
    let id = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    id.bytes().fold(u64::from(std::process::id()), |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)))
}
