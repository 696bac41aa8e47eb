//! The light of the whole daemon: simulated board, real threads, the built-in emulator. While speech leaves the device it
//! is lit.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use mynah::config::agent::Agent;
use mynah::config::board;
use mynah::daemon::{Daemon, Options};
use mynah::emulator::run::{self as emulator, ServeOptions};
use mynah::emulator::{Script, Sounds};
use mynah::flow::{Event, What};
use mynah::hw::sim::{SimBoard, SimClock, SimHandle, SimSetup};
use mynah::trace::Recorder;
use mynah::units::Hertz;

/// Longer than anything here takes; the machine may be busy.
const LIMIT: Duration = Duration::from_secs(30);
/// The button is held for so much speech: longer than a tap with its pre-roll.
const HELD_MS: u64 = 1200;

/// Waits for it; answers how long that took.
fn wait_for(what: &str, mut look: impl FnMut() -> bool) -> Duration {
    let since = Instant::now();
    while !look() {
        assert!(since.elapsed() < LIMIT, "waited in vain for {what}");
        std::thread::yield_now();
    }
    since.elapsed()
}

fn start(board: &SimBoard, clock: &SimClock, port: u16, events: mpsc::Sender<What>) -> Daemon {
    let path = "ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent";
    let agent = Agent { endpoint: format!("ws://127.0.0.1:{port}/{path}"), ..Agent::default() };
    Daemon::start(Options {
        agent,
        profile: board::parse(board::builtin("sim").unwrap(), "board/sim.toml", "sim").unwrap(),
        board: Arc::new(board.clone()),
        clock: Arc::new(clock.clone()),
        key: Some("key".into()),
        extra_ca_pem: None,
        watcher: Arc::new(move |event: &Event| drop(events.send(event.what.clone()))),
        recorder: Recorder::new([]),
        state: None,
        settings: None,
        fleet: None,
    })
    .unwrap()
}

/// A loud hum, which is speech enough for a button that is held.
fn hum(hand: &SimHandle) {
    let frames: Vec<i16> = (0..96_000).map(|i| ((f64::from(i) * 0.02).sin() * 9000.0) as i16).collect();
    hand.say(&frames, Hertz(48_000)).unwrap();
}

#[test]
fn the_light_is_lit_while_speech_leaves_the_device_and_dark_before_and_after() {
    let options = ServeOptions::new(Script::parse("turn\n tone 440Hz 300ms \"x\"\n", &Sounds::new()).unwrap());
    let service = emulator::spawn(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), options).unwrap();
    let profile = board::parse(board::builtin("sim").unwrap(), "board/sim.toml", "sim").unwrap();
    let clock = SimClock::paced();
    let board = SimBoard::new(SimSetup::from_profile(&profile).unwrap(), clock.clone());
    let hand = board.handle();
    let (sender, events) = mpsc::channel();
    let daemon = start(&board, &clock, service.addr.port(), sender);
    let is_lit = || hand.is_active("led").unwrap();
    let await_event = |is_it: fn(&What) -> bool| while !is_it(&events.recv_timeout(LIMIT).unwrap()) {};

    await_event(|what| matches!(what, What::LinkReady { .. }));
    wait_for("dark", || !is_lit());

    hum(&hand);
    assert!(!is_lit());
    hand.press("talk").unwrap();
    println!("lit {:?} after the press", wait_for("light", is_lit));
    await_event(|what| matches!(what, What::SpeechSent { .. }));
    // From the first speech to the last: a thread looks all the time.
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut looks = 0;
            while !is_over.load(Ordering::SeqCst) {
                assert!(is_lit() || is_over.load(Ordering::SeqCst), "dark while speech leaves the device");
                looks += 1;
            }
            looks
        });
        let mut sent_ms = 0;
        while sent_ms < HELD_MS {
            if let What::SpeechSent { ms } = events.recv_timeout(LIMIT).unwrap() {
                sent_ms += ms;
            }
        }
        is_over.store(true, Ordering::SeqCst);
        assert!(watch.join().unwrap() > 10);
    });
    hand.release("talk").unwrap();
    await_event(|what| matches!(what, What::GateClosed { .. }));
    await_event(|what| matches!(what, What::TurnOver { .. }));
    wait_for("dark", || !is_lit());

    hand.press("talk").unwrap();
    wait_for("light", is_lit);
    daemon.stop();
    assert!(!is_lit(), "it ends dark");
    service.stop();
}
