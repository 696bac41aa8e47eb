//! `mynah demo`: the daemon against the embedded emulator, on the simulated board or a real one.
//!
//! On the simulated board a director speaks recorded questions into the microphone and presses the button. On a
//! real board it tells the person what to do and checks that it happened. Either way the daemon is the same as
//! in `mynah run`: the demo only sees its events, and what went through the board's devices.

pub mod agent;
pub mod artefacts;
pub mod director;
pub mod facts;
pub mod scene;
mod stage;
pub mod ticker;
pub mod timeline;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{TrySendError, sync_channel};

use anyhow::Context as _;

use self::director::{Checked, Verdict, direct};
use self::facts::Facts;
use self::scene::Scene;
use self::stage::BoardStage;
use self::ticker::Ticker;
use self::timeline::Picture;
use crate::config::agent::Agent;
use crate::config::agent::panel::Panel;
use crate::config::board::{Board as Profile, Direction, LineDriver, TALK};
use crate::flow::Event;
use crate::hw::clock::RealClock;
use crate::hw::sim::{SimBoard, SimClock, SimHandle, SimSetup};
use crate::hw::tap::{Tap, TapBoard};
use crate::hw::{Board, Clock};
use crate::units::Time;

/// Events between daemon and director: the demo prints and is never far behind; more are counted as lost.
const EVENTS_MAX: usize = 8192;
/// The lamp's.
const LAMP: &str = "lamp";

/// `mynah demo`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Folder for reply.wav, mic.wav, events.jsonl and timeline.svg; made if it is not there
    #[arg(long, value_name = "DIR", default_value = "mynah-demo")]
    pub out: PathBuf,
    /// The board: `sim`, or a profile's name or file to check a real one
    #[arg(long, value_name = "NAME", default_value = "sim")]
    pub board: String,
    /// One scene instead of the usual two, on the simulated board
    #[arg(long, value_name = "NAME", conflicts_with_all = ["script", "config"])]
    pub scene: Option<scene::SceneName>,
    /// Serves the panel meanwhile: an address of this machine and a port (127.0.0.1:8765)
    #[arg(long, value_name = "ADDRESS", value_parser = loopback)]
    pub panel: Option<std::net::SocketAddr>,
    /// Emulator script to talk to instead of the bundled ones
    #[arg(long, value_name = "FILE")]
    pub script: Option<PathBuf>,
    /// Your agent file: its tools, voice and settings; FILE.txt beside it is the script where --script names none
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Only print the timeline; write no files
    #[arg(long)]
    pub text_only: bool,
}

/// A demo asks nobody for a password.
fn loopback(text: &str) -> Result<std::net::SocketAddr, String> {
    let address: std::net::SocketAddr = text.parse().map_err(|_| "it must be like 127.0.0.1:8765".to_string())?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("only this machine's own: 127.0.0.1 or [::1]".to_string())
    }
}

impl Args {
    /// The emulator's script: the one that is named, else the one beside the agent file.
    fn script_file(&self) -> Option<PathBuf> {
        let beside = || self.config.as_ref().map(|config| config.with_extension("txt")).filter(|file| file.exists());
        self.script.clone().or_else(beside)
    }
}

/// Takes the daemon's events as they happen; never blocks.
pub type EventSink = Arc<dyn Fn(&Event) + Send + Sync>;

/// Ends a daemon: silences it, joins its threads, drops its event sink.
pub type Stop = Box<dyn FnOnce() -> anyhow::Result<()>>;

/// One run of the daemon, as the demo wants it.
pub struct Show {
    /// The agent; its endpoint is left to [`House::start`], which knows where its emulator listens.
    pub agent: Agent,
    /// The board profile.
    pub profile: Profile,
    /// The board to use: the simulated or the real one, with a tap on it.
    pub board: Arc<dyn Board>,
    /// The clock of board and events.
    pub clock: Arc<dyn Clock>,
    /// The emulator's script; its sounds are [`RECORDINGS`](crate::cli::sounds::RECORDINGS).
    pub script: String,
    /// The file it was read from, where it was: WAV files it names are beside it.
    pub script_file: Option<PathBuf>,
    /// Where events go.
    pub events: EventSink,
}

/// The rest of the program, as the demo needs it.
pub trait House {
    /// The agent that the defaults describe.
    fn agent(&self) -> anyhow::Result<Agent>;
    /// The board profile of that name or file.
    fn profile(&self, name: &str) -> anyhow::Result<Profile>;
    /// Opens a board that is not simulated.
    fn open(&self, profile: &Profile, clock: Arc<dyn Clock>) -> anyhow::Result<Arc<dyn Board>>;
    /// Starts the emulator with the show's script and the daemon against it.
    fn start(&self, show: Show) -> anyhow::Result<Stop>;
}

/// Runs the demo and prints its timeline to `out`. Failure is a step that was missed or a check that failed (both
/// were printed); an error is something that kept the demo from running.
pub fn run(args: &Args, house: &dyn House, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let profile = house.profile(&args.board)?;
    let script = match &args.script_file() {
        None => None,
        Some(file) => {
            Some(std::fs::read_to_string(file).with_context(|| format!("{}: cannot be read", file.display()))?)
        }
    };
    if !args.text_only {
        std::fs::create_dir_all(&args.out)
            .with_context(|| format!("{}: cannot be made; --out names another folder", args.out.display()))?;
    }
    let is_input = |name| profile.lines.get(name).is_some_and(|line| line.direction == Direction::Input);
    let is_output = |name| profile.lines.get(name).is_some_and(|line| line.direction == Direction::Output);
    let is_simulated = profile.driver == LineDriver::Sim && profile.capture.pcm == "sim".into();
    let scenes = match (is_simulated, script) {
        (true, None) => scene::simulated(args.scene),
        (true, Some(script)) => scene::scripted(script),
        (false, script) => scene::check(script, is_input(TALK), is_output(LAMP)),
    };
    let has_lamp = is_output(LAMP);
    let place = Place::new(profile, house, is_simulated)?;
    Theatre { args, house, place, has_lamp, events: Vec::new(), lost: 0 }.play(&scenes, out)
}

/// Where the demo takes place.
struct Place {
    profile: Profile,
    board: TapBoard,
    clock: Arc<dyn Clock>,
    hand: Option<SimHandle>,
}

impl Place {
    fn new(profile: Profile, house: &dyn House, is_simulated: bool) -> anyhow::Result<Place> {
        let (inner, clock, hand): (Arc<dyn Board>, Arc<dyn Clock>, _) = if is_simulated {
            let clock = SimClock::paced();
            let sim = SimBoard::new(SimSetup::from_profile(&profile)?, clock.clone());
            let hand = sim.handle();
            (Arc::new(sim), Arc::new(clock), Some(hand))
        } else {
            let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
            (house.open(&profile, clock.clone())?, clock, None)
        };
        Ok(Place { profile, board: TapBoard::new(inner, clock.clone()), clock, hand })
    }

    fn tap(&self) -> Tap {
        self.board.tap()
    }
}

struct Theatre<'a> {
    args: &'a Args,
    house: &'a dyn House,
    place: Place,
    has_lamp: bool,
    events: Vec<Event>,
    lost: usize,
}

/// How a scene ended.
type Played = anyhow::Result<Vec<Checked>>;

impl Theatre<'_> {
    fn play(mut self, scenes: &[Scene], out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        let mut ticker = Ticker::new(self.place.tap().began());
        let mut played = Vec::new();
        let mut began = Vec::new();
        for (i, scene) in scenes.iter().enumerate() {
            let title = if scenes.len() > 1 { format!("Scene {}: {}", i + 1, scene.title) } else { scene.title.into() };
            writeln!(out, "\n── {title} {}", "─".repeat(72_usize.saturating_sub(title.chars().count())))?;
            began.push((title, self.place.clock.now()));
            ticker.restart();
            let result = self.play_scene(scene, &mut ticker, out)?;
            let is_missed = result.is_err();
            played.push(result);
            if is_missed {
                break;
            }
        }
        self.finish(began, played, out)
    }

    fn with_panel(&self, agent: Agent) -> Agent {
        let panel = self.args.panel.map(Panel::here);
        Agent { panel: panel.or(agent.panel), ..agent }
    }

    /// Plays one scene. The outer error is a daemon that does not start or stop.
    fn play_scene(&mut self, scene: &Scene, ticker: &mut Ticker, out: &mut dyn Write) -> anyhow::Result<Played> {
        let (sender, receiver) = sync_channel(EVENTS_MAX);
        let lost = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counter = lost.clone();
        let events: EventSink = Arc::new(move |event: &Event| {
            if let Err(TrySendError::Full(_)) = sender.try_send(event.clone()) {
                counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        });
        let (has_echo, script_file) = (self.place.hand.is_none(), self.args.script_file());
        let base = self.house.agent()?;
        let needs_lamp = self.has_lamp && (script_file.is_none() || base.tools.is_empty());
        let show = Show {
            agent: self.with_panel(agent::tuned(base, scene.mode, needs_lamp, has_echo, scene.sees)),
            profile: self.place.profile.clone(),
            board: Arc::new(self.place.board.clone()),
            clock: self.place.clock.clone(),
            script: scene.script.clone(),
            script_file,
            events,
        };
        let stop = self.house.start(show)?;
        let (clock, hand) = (self.place.clock.clone(), self.place.hand.clone());
        let mut stage = BoardStage { clock, hand, receiver, ticker, out, events: &mut self.events };
        let played = direct(scene, &mut stage);
        stop()?;
        stage.take_rest()?;
        self.lost += lost.load(std::sync::atomic::Ordering::Relaxed);
        Ok(played)
    }

    fn finish(self, scenes: Vec<(String, Time)>, played: Vec<Played>, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        let tap = self.place.tap();
        let (mic, reply) = (tap.mic(), tap.reply());
        let facts = Facts::of(&self.events).summary();
        writeln!(out, "\n{}", facts.trim_end())?;
        if self.place.hand.is_none() {
            writeln!(out, "{}", artefacts::mic_level(&mic))?;
        }
        let mut is_good = true;
        for result in &played {
            is_good &= report(result, out)?;
        }
        if self.lost > 0 {
            writeln!(out, "{} events were lost: this machine was too busy to print them", self.lost)?;
        }
        if !(mic.is_whole && reply.is_whole) {
            writeln!(out, "the recordings stop at ten minutes, or where a device came back with another rate")?;
        }
        if !self.args.text_only {
            let subtitle = facts.lines().collect::<Vec<_>>().join("   ·   ");
            let (began, end) = (tap.began(), self.place.clock.now());
            let events = &self.events;
            let picture = Picture { subtitle, scenes, end, events, began, mic: &mic, reply: &reply };
            for path in artefacts::write(&self.args.out, &picture)? {
                writeln!(out, "wrote {}", path.display())?;
            }
        }
        Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Prints how a scene ended; answers whether well.
fn report(played: &Played, out: &mut dyn Write) -> std::io::Result<bool> {
    match played {
        Err(missed) => {
            writeln!(out, "The demo did not come to its end. {missed:#}")?;
            Ok(false)
        }
        Ok(checks) => {
            for check in checks {
                match check.verdict {
                    Verdict::Works => writeln!(out, "{:<12} works", check.part)?,
                    Verdict::Failed(hint) => writeln!(out, "{:<12} FAILED: {hint}", check.part)?,
                    Verdict::NotTried => writeln!(out, "{:<12} not tried: it needs what failed", check.part)?,
                }
            }
            Ok(checks.iter().all(|check| check.verdict == Verdict::Works))
        }
    }
}

#[cfg(test)]
mod tests;
