//! `mynah run`: the daemon.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;

use super::dump::Dump;
use super::events::EventFile;
use super::hand::{self, Deeds};
use super::reload::Files;
use super::status::Teller;
use super::{exit, load, restart, state, watch};
use crate::config::agent::endpoint;
use crate::config::board::{Board as Profile, LineDriver};
use crate::daemon::{self, Daemon, Ending, Options};
use crate::flow::Event;
use crate::hw::fleet::Desk;
use crate::hw::folder::Folder;
use crate::hw::signals::Signal;
use crate::hw::sim::{SimBoard, SimClock, SimHandle, SimSetup};
use crate::hw::{self, Board, Clock};
use crate::session::run::Watcher;
use crate::trace::Recorder;

/// Arguments of `mynah run`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    setting: load::Setting,
    /// On the simulated board: a WAV that is said into the microphone one second after the start, button held
    #[arg(long, value_name = "FILE.wav")]
    say: Option<PathBuf>,
    /// On the simulated board: do what the lines of standard input say: `press`, `release`, `tap`, `double`, `hold MS`,
    /// `hush`, `say FILE.wav`, `ask FILE.wav` (the button held meanwhile), `volume PERCENT`, `louder`, `softer`, `mute`,
    /// `unmute`, `stop`, `repeat`, `reset`, `end`, `listen`, `tell TEXT`
    #[arg(long, conflicts_with = "say")]
    hand: bool,
    /// Append all that happens to this file, a JSON object a line; what was said stands in it too
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    #[command(flatten)]
    state: state::Place,
}

/// Runs until SIGTERM, SIGINT, or a refusal that only a person can mend. A restart that somebody wants at the page is the
/// same program from its beginning, in this process.
///
/// # Errors
/// With the exit codes of [`exit`].
pub fn run(args: &Args) -> anyhow::Result<()> {
    load::guard_memory();
    let signals = hw::signals::hold().context("signals cannot be held back")?;
    let (state, setting) = (args.state.folder(), &args.setting);
    let loaded = load::in_force(setting.config_path(), &setting.board, state.clone())?;
    let fleet = loaded.fleet.clone();
    let after = match live(args, loaded, signals, state) {
        // The fleet's newest configuration does not even start: the one before it does.
        Err(why) if is_given_up(fleet.as_deref(), &why) => After::Restart,
        after => after?,
    };
    match after {
        After::End => Ok(()),
        After::Restart => Err(anyhow::Error::new(restart::again()).context("the program cannot start itself again")),
    }
}

/// From the devices' opening to the daemon's end.
fn live(
    args: &Args,
    loaded: load::Loaded,
    signals: hw::signals::Held,
    state: Option<Arc<Folder>>,
) -> anyhow::Result<After> {
    let load::Loaded { mut agent, profile, settings, fleet } = loaded;
    if let Some(url) = &args.setting.endpoint {
        endpoint::check(url).map_err(|why| exit::config(format!("--endpoint {why}")))?;
        agent.endpoint.clone_from(url);
    }
    let key = load::key(&agent)?;
    let extra_ca_pem = load::extra_ca(&agent)?;
    let (board, clock, hand) = open(&profile)?;
    let deeds = match &args.say {
        None if args.hand => Deeds::Orders,
        None => Deeds::None,
        Some(file) => Deeds::Say(hw::wav::load(file).map_err(|e| exit::config(e.to_string()))?),
    };
    let status = Teller::start()?;
    let (watcher, events) = watcher(args.events.as_deref(), status.clone())?;
    tracing::info!(board = profile.name, model = agent.model, mode = ?agent.listen.mode, "starting");
    let person = hand::person(deeds, hand)?;
    let recorder = Recorder::new(daemon::names(&agent, &profile));
    let dump = Dump { recorder: recorder.clone(), clock: clock.clone(), folder: state.clone() };
    dump.on_panic();
    let setting = args.setting.clone();
    let files = Files::new(&setting, state.clone(), &agent, &profile, &settings, fleet.as_deref());
    let settings = Some(Arc::new(settings.restarted_by(move || may_start(&setting))));
    let desk = fleet.clone();
    let daemon = Daemon::start(Options {
        agent,
        profile,
        board,
        clock,
        key,
        extra_ca_pem,
        watcher,
        recorder,
        state,
        settings,
        fleet,
    })?;
    let person = person.map(|person| person.start(daemon.controls())).transpose()?;
    let result = serve(daemon, signals, &dump, files, status, desk.as_deref());
    drop(person);
    if let Some(events) = events {
        events.finish();
    }
    result
}

/// Whether a start would get as far as this one, with the files as they are now: asked before a restart, which a wrong
/// file would make the end.
fn may_start(setting: &load::Setting) -> anyhow::Result<()> {
    let (agent, _) = load::both(setting.config_path(), &setting.board)?;
    load::usable(&agent)
}

/// Gives up a configuration of the fleet that has yet to prove itself; answers whether there was one.
fn is_given_up(fleet: Option<&Desk>, why: &anyhow::Error) -> bool {
    fleet.is_some_and(|desk| desk.give_up(&format!("the program could not go on with it: {why:#}")))
}

/// What follows the daemon's end.
enum After {
    End,
    /// The program from its beginning, with its files read anew.
    Restart,
}

/// Who is told what happens: the log, and the file where one is wanted.
fn watcher(path: Option<&Path>, status: Teller) -> anyhow::Result<(Watcher, Option<EventFile>)> {
    let log = watch::logger();
    let log = move |event: &Event| {
        status.hear(event);
        log(event);
    };
    let Some(path) = path else { return Ok((Arc::new(log), None)) };
    let file = EventFile::open(path)
        .map_err(|e| exit::config(format!("--events {} cannot be written: {e}", path.display())))?;
    let tell = file.teller();
    let watcher = move |event: &Event| {
        tell(event);
        log(event);
    };
    Ok((Arc::new(watcher), Some(file)))
}

pub(super) type Opened = (Arc<dyn Board>, Arc<dyn Clock>, Option<SimHandle>);

/// The board that the profile describes, and the clock that goes with it.
pub(super) fn open(profile: &Profile) -> anyhow::Result<Opened> {
    if profile.driver == LineDriver::Sim {
        let clock = SimClock::paced();
        let sim =
            SimBoard::new(SimSetup::from_profile(profile).map_err(|e| exit::config(e.to_string()))?, clock.clone());
        let hand = sim.handle();
        return Ok((Arc::new(sim), Arc::new(clock), Some(hand)));
    }
    let clock = Arc::new(hw::clock::RealClock::new());
    Ok((hw::open::open(profile.clone(), clock.clone()), clock, None))
}

/// Waits for the end, feeding systemd's watchdog while the core is alive.
fn serve(
    daemon: Daemon,
    signals: hw::signals::Held,
    dump: &Dump,
    mut files: Files,
    status: Teller,
    fleet: Option<&Desk>,
) -> anyhow::Result<After> {
    let (asker, asked, controls) = (daemon.asker(), dump.clone(), daemon.controls());
    // There it means that the terminal is gone, and who started the program with it.
    let is_at_terminal = std::io::stdin().is_terminal() || std::io::stderr().is_terminal();
    let is_over = Arc::new(AtomicBool::new(false));
    let end = is_over.clone();
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        while let Ok(signal) = signals.wait() {
            match signal {
                Signal::Dump => asked.write("asked for by the signal SIGUSR1"),
                Signal::Reload if !is_at_terminal => {
                    if let Some(due) = files.reload(&controls) {
                        status.change(|status| status.reloaded(due));
                    }
                }
                Signal::Stop | Signal::Reload => {
                    end.store(true, Ordering::Release);
                    let _ = asker.send(Ending::Asked);
                }
            }
        }
    })?;
    // Not under systemd this fails, and nobody waits for it.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready, sd_notify::NotifyState::Watchdog]);
    let every = sd_notify::watchdog_enabled().map_or(Duration::from_secs(10), |limit| limit / 3);
    let mut was_alive = true;
    let ending = daemon.wait(every, |is_alive| {
        if is_alive {
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
        } else if was_alive {
            // The watchdog may be about to end the program, which leaves no time to write then.
            dump.write_fatal("a thread that sound passes through stands still");
        }
        was_alive = is_alive;
    });
    let ending = match ending {
        // What the service refuses is the newest configuration, and the one before it needs no person; or the newest waits.
        Ending::Refused(why) if fleet.is_some_and(|it| it.give_up(&why.to_string()) || it.is_restart_due()) => {
            Ending::Restart
        }
        ending => ending,
    };
    match ending {
        Ending::Restart => restart::tell(),
        _ => drop(sd_notify::notify(&[sd_notify::NotifyState::Stopping])),
    }
    if let Ending::Refused(_) = ending {
        dump.write_fatal("the service refused, and only a person can help");
    }
    daemon.stop();
    match ending {
        Ending::Asked => Ok(After::End),
        // Who wants it to end while it goes down for a restart is obeyed, too.
        Ending::Restart if is_over.load(Ordering::Acquire) => {
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
            Ok(After::End)
        }
        Ending::Restart => Ok(After::Restart),
        Ending::Refused(refusal) => Err(exit::Exit { code: refusal.exit_code(), message: refusal.to_string() }.into()),
    }
}
