//! A camera whose program (ffmpeg) is killed or stands still in mid-stream, seen by the whole daemon: simulated board, real
//! threads, the built-in emulator. Each start of the program makes pictures of another width, so that each picture tells
//! who took it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mynah::cli::sounds;
use mynah::config::agent;
use mynah::config::board;
use mynah::daemon::{Daemon, Options};
use mynah::emulator::run::{self as emulator, ServeOptions};
use mynah::emulator::{Script, Sounds};
use mynah::flow::What;
use mynah::hw::sim::{SimBoard, SimClock, SimHandle, SimSetup};
use mynah::trace::Recorder;

/// Longer than anything here takes; the machine may be busy.
const LIMIT: Duration = Duration::from_secs(60);
/// So often is a sentence of eight seconds said, as much as the simulated microphone takes.
const SENTENCES: usize = 12;
/// How old a picture may be when it is sent.
const FRESH_MS: u64 = 500;
/// Width of the first start's pictures, pixels, and how much wider each next start's are.
const WIDTH: (u16, u16) = (320, 16);

/// What the daemon told, and how things stood at that moment.
#[derive(Clone, Debug)]
enum Told {
    /// The sensor runs.
    Runs { is_lit: bool },
    /// Something is wrong with the camera.
    Trouble { text: String, is_lit: bool, is_program_there: bool },
    /// It is right again.
    Recovered,
    /// A picture was sent.
    Sent { width: u16, age_ms: u64 },
}

/// The camera's program: notes its id, starts something that would outlive it, and becomes ffmpeg.
fn write_program(folder: &Path) -> PathBuf {
    let (starts, program) = (folder.join("starts"), folder.join("camera"));
    let (first, step) = WIDTH;
    let text = format!(
        "#!/bin/sh\necho $$ >> '{starts}'\nsleep 1000 > /dev/null 2>&1 &\nwidth=$(({first} + {step} * ($(wc -l < '{starts}') - 1)))\n\
         exec ffmpeg -v error -nostdin -re -f lavfi -i testsrc2=size=${{width}}x240:rate=10 -f mjpeg pipe:1\n",
        starts = starts.display()
    );
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    program
}

/// Ids of the program's starts, which are those of their groups, too.
fn starts(folder: &Path) -> Vec<i32> {
    let text = fs::read_to_string(folder.join("starts")).unwrap_or_default();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

/// Whether the process is there, be it as a zombie.
fn is_there(id: i32) -> bool {
    Path::new(&format!("/proc/{id}")).exists()
}

/// Whether anything of this group still runs. What it leaves to be buried by the system's first process does not count.
fn is_any_of(group: i32) -> bool {
    let runs = |stat: String| {
        // `123 (name of it) S 1 123 …`: state, parent, group.
        let mut words = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
        words.next().is_some_and(|state| state != "Z") && words.nth(1) == Some(group.to_string().as_str())
    };
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok()).any(runs)
}

/// A daemon whose camera is the program, in the hands of somebody who speaks all the time.
struct Rig {
    folder: PathBuf,
    told: Arc<Mutex<Vec<Told>>>,
    hand: SimHandle,
    daemon: Daemon,
    service: emulator::Running,
}

impl Rig {
    fn start(name: &str) -> Rig {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("camera").join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let camera = format!("source = \"command\"\ncommand = [\"{}\"]", write_program(&folder).display());
        let profile = board::builtin("sim").unwrap().replace("source = \"test\"", &camera);
        let profile = board::parse(&profile, "board/sim.toml", "sim").unwrap();
        let script = Script::parse("turn *\n tone 440Hz 300ms \"yes\"\n", &Sounds::new()).unwrap();
        let service = emulator::spawn(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), ServeOptions::new(script)).unwrap();
        let path = "ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent";
        let endpoint = format!("ws://127.0.0.1:{}/{path}", service.addr.port());
        let agent = format!("endpoint = \"{endpoint}\"\n[see]\nmode = \"while_speaking\"\n");
        let clock = SimClock::paced();
        let board = SimBoard::new(SimSetup::from_profile(&profile).unwrap(), clock.clone());
        let (hand, told) = (board.handle(), Arc::<Mutex<Vec<Told>>>::default());
        let (eye, ear, at) = (board.handle(), told.clone(), folder.clone());
        let daemon = Daemon::start(Options {
            agent: agent::parse(&agent, "test").unwrap(),
            profile,
            board: Arc::new(board),
            clock: Arc::new(clock),
            key: Some("key".into()),
            extra_ca_pem: None,
            watcher: Arc::new(move |event| ear.lock().unwrap().extend(note(&event.what, &eye, &at))),
            recorder: Recorder::new([]),
            state: None,
            settings: None,
            fleet: None,
        })
        .unwrap();
        let rig = Rig { folder, told, hand, daemon, service };
        // A real voice: a press during which nobody speaks has a meaning of its own.
        let (frames, rate) = sounds::named("say_bird").unwrap().frames().unwrap();
        (0..SENTENCES).for_each(|_| assert!(rig.hand.say(&frames, rate).is_ok()));
        rig.hand.press("talk").unwrap();
        rig
    }

    fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    fn wait_for(&self, what: &str, is_so: impl Fn() -> bool) {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < LIMIT, "waited in vain for {what}: {:?}", self.told());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until two pictures of the start of this number (from 0) were sent: the stream flows.
    fn wait_for_pictures_of(&self, start: u16) {
        let of_it = |told: &&Told| matches!(told, Told::Sent { width, .. } if *width == WIDTH.0 + WIDTH.1 * start);
        self.wait_for("two pictures of this start", || self.told().iter().filter(of_it).count() >= 2);
    }

    fn end(self) {
        self.hand.release("talk").unwrap();
        self.wait_for("dark", || !self.hand.is_active("camera_led").unwrap());
        let starts = starts(&self.folder);
        assert!(starts.iter().all(|id| !is_there(*id)), "{starts:?}: one runs although nobody wants pictures");
        self.daemon.stop();
        self.service.stop();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// What is to be kept of an event. It is told on the thread that does it: nothing has moved on meanwhile.
fn note(what: &What, hand: &SimHandle, folder: &Path) -> Option<Told> {
    let is_lit = || hand.is_active("camera_led").unwrap();
    Some(match what {
        What::CameraRuns { is_running: true } => Told::Runs { is_lit: is_lit() },
        What::Trouble { part, text } if part == "camera" => {
            let is_program_there = starts(folder).into_iter().any(is_there);
            Told::Trouble { text: text.clone(), is_lit: is_lit(), is_program_there }
        }
        What::Recovered { part } if part == "camera" => Told::Recovered,
        What::StillSent { width, age_ms, .. } => Told::Sent { width: *width, age_ms: *age_ms },
        _ => return None,
    })
}

/// The program gets `signal` in mid-stream: that is told as `words`, and another one takes its place.
fn a_program_that_gets(signal: libc::c_int, words: &str, name: &str) {
    let rig = Rig::start(name);
    rig.wait_for_pictures_of(0);
    let first = starts(&rig.folder)[0];
    assert!(is_any_of(first), "the test sees what it looks for");
    // SAFETY: takes two numbers; the process is ffmpeg, which runs until it is ended here or by mynah.
    assert_eq!(unsafe { libc::kill(first, signal) }, 0);
    rig.wait_for_pictures_of(1);
    rig.wait_for("the end of all that the first one started", || !is_any_of(first));
    let told = rig.told();
    let troubles: Vec<&Told> = told.iter().filter(|told| matches!(told, Told::Trouble { .. })).collect();
    let [Told::Trouble { text, is_lit, is_program_there }] = troubles[..] else { panic!("{told:?}") };
    assert!(text.contains(words) && text.ends_with(" again"), "{text}");
    assert!(!is_lit, "it is dark while no sensor runs");
    assert!(!is_program_there, "neither runs nor waits to be buried");
    let runs: Vec<usize> = (0..told.len()).filter(|at| matches!(told[*at], Told::Runs { .. })).collect();
    assert_eq!(runs.len(), 2, "{told:?}");
    assert!(runs.iter().all(|at| matches!(told[*at], Told::Runs { is_lit: true })), "{told:?}");
    assert!(told[runs[1]..].iter().any(|told| matches!(told, Told::Recovered)), "{told:?}");
    let sent = |told: &[Told]| -> Vec<(u16, u64)> {
        told.iter()
            .filter_map(|told| if let Told::Sent { width, age_ms } = told { Some((*width, *age_ms)) } else { None })
            .collect()
    };
    assert!(sent(&told).iter().all(|(_, age_ms)| *age_ms <= FRESH_MS), "{told:?}");
    assert!(sent(&told[runs[1]..]).iter().all(|(width, _)| *width == WIDTH.0 + WIDTH.1), "an old one: {told:?}");
    assert_eq!(starts(&rig.folder).len(), 2);
    rig.end();
}

#[test]
#[ignore = "needs ffmpeg; sh tests/run.sh runs it"]
fn a_program_that_is_killed_in_mid_stream_is_told_and_another_takes_its_place() {
    a_program_that_gets(libc::SIGKILL, "was ended by signal 9", "killed");
}

#[test]
#[ignore = "needs ffmpeg; sh tests/run.sh runs it"]
fn a_program_that_stands_still_in_mid_stream_is_ended_and_another_takes_its_place() {
    a_program_that_gets(libc::SIGSTOP, "has given no picture for", "still");
}
