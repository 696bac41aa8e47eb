//! The panel as the daemon runs it, with events that tests tell, and clients that speak plain HTTP over a socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mynah::audio::meter::Meter;
use mynah::config::agent;
use mynah::config::board;
use mynah::flow::{Control, Event, What};
use mynah::hw::Clock;
use mynah::hw::clock::RealClock;
use mynah::hw::folder::Folder;
use mynah::hw::sim::{SimBoard, SimClock, SimHandle, SimSetup};
use mynah::panel::run::{Ear, Handle, Parts, ear, spawn};
use mynah::trace::Recorder;
use serde_json::Value;

pub use crate::place::{Place, free_port};

/// Longer than anything here takes; the machine may be busy.
pub const LIMIT: Duration = Duration::from_secs(30);

/// The panel.
pub struct Panel {
    pub port: u16,
    pub ear: Ear,
    pub clock: RealClock,
    pub is_alive: Arc<AtomicBool>,
    pub takes: Arc<AtomicBool>,
    pub mic: Arc<Meter>,
    pub told: Arc<Mutex<Vec<What>>>,
    pub hand: SimHandle,
    given: Receiver<Control>,
    handle: Option<Handle>,
}

impl Panel {
    /// With more lines of `[panel]`, or sections after it.
    pub fn start(more: &str) -> Panel {
        let panel = Panel::start_at(free_port(), more);
        panel.wait_until_open();
        panel
    }

    pub fn start_at(port: u16, more: &str) -> Panel {
        Panel::start_with(port, more, None)
    }

    /// With a folder that outlives it.
    pub fn start_with(port: u16, more: &str, state: Option<Arc<Folder>>) -> Panel {
        let text = format!("[panel]\nlisten = \"127.0.0.1:{port}\"\n{more}");
        let agent = agent::parse(&text, "test").unwrap_or_else(|problems| panic!("{problems:#?}"));
        let profile = board::parse(board::builtin("sim").unwrap(), "board/sim.toml", "sim").unwrap();
        let board = SimBoard::new(SimSetup::from_profile(&profile).unwrap(), SimClock::paced());
        let hand = board.handle();
        let (ear, heard) = ear(&agent);
        let clock = RealClock::new();
        let (sender, given) = channel();
        let (takes, told) = (Arc::new(AtomicBool::new(true)), Arc::new(Mutex::new(Vec::new())));
        let (is_alive, mic) = (Arc::new(AtomicBool::new(true)), Arc::new(Meter::default()));
        let (may_take, tells) = (takes.clone(), told.clone());
        let parts = Parts {
            agent,
            board_name: "sim".into(),
            board: Arc::new(board),
            clock: Arc::new(clock),
            give: Arc::new(move |control| may_take.load(Ordering::SeqCst) && sender.send(control).is_ok()),
            tell: Arc::new(move |what| tells.lock().unwrap().push(what)),
            recorder: Recorder::new([]),
            is_alive: is_alive.clone(),
            mic: mic.clone(),
            speaker: Arc::default(),
            state,
            settings: None,
            restart: Arc::new(|| ()),
        };
        let handle = spawn(parts, heard).unwrap();
        Panel { port, ear, clock, is_alive, takes, mic, told, hand, given, handle }
    }

    pub fn wait_until_open(&self) {
        wait_for("the panel", || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
    }

    pub fn tell(&self, what: What) {
        self.ear.hear(&Event { at: self.clock.now(), what });
    }

    /// The next thing that the core was given.
    pub fn given(&self) -> Control {
        self.given.recv_timeout(LIMIT).expect("nothing was given to the core")
    }

    /// Whether nothing was.
    pub fn gave_nothing(&self) -> bool {
        self.given.recv_timeout(Duration::from_millis(300)).is_err()
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream
    }

    /// Asks, with these more lines of the head.
    pub fn get(&self, path: &str, more: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{more}Connection: close\r\n\r\n", self.port))
    }

    pub fn post(&self, path: &str, more: &str, body: &str) -> Answer {
        let (port, length) = (self.port, body.len());
        self.send(&format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {length}\r\n{more}Connection: close\r\n\r\n{body}"
        ))
    }

    /// Wants something, as the page does.
    pub fn wish(&self, body: &str) -> Answer {
        let origin = format!("Origin: http://127.0.0.1:{}\r\nSec-Fetch-Site: same-origin\r\nX-Mynah: 1\r\n", self.port);
        self.post("/api/do", &origin, body)
    }

    pub fn send(&self, request: &str) -> Answer {
        let mut stream = self.connect();
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        Answer::read(&answer)
    }

    pub fn state(&self) -> Value {
        self.get("/api/state", "").json()
    }

    /// One who looks on.
    pub fn view(&self, more: &str) -> Viewer {
        let mut stream = self.connect();
        let (port, path) = (self.port, "/api/events");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{more}\r\n").unwrap();
        Viewer(BufReader::new(stream))
    }
}

impl Drop for Panel {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            handle.stop();
        }
    }
}

/// Waits for it.
pub fn wait_for(what: &str, mut look: impl FnMut() -> bool) {
    let since = Instant::now();
    while !look() {
        assert!(since.elapsed() < LIMIT, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn read(bytes: &[u8]) -> Answer {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Answer { status, head: head.to_lowercase(), body: body.to_string() }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The sentence of a refusal.
    pub fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_string()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// One who looks on.
pub struct Viewer(BufReader<TcpStream>);

impl Viewer {
    /// The next that it is told, by its name; none where the connection ended.
    pub fn next(&mut self) -> Option<(String, Value)> {
        let mut name = String::new();
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).ok()? == 0 {
                return None;
            }
            // Between them are the lengths of chunks, and blank lines.
            if let Some(event) = line.strip_prefix("event: ") {
                name = event.trim_end().to_string();
            } else if let Some(data) = line.strip_prefix("data: ") {
                return Some((name, serde_json::from_str(data).unwrap()));
            }
        }
    }

    /// The first patch in which this holds.
    pub fn patch(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let since = Instant::now();
        while since.elapsed() < LIMIT {
            let (_, value) = self.next().expect("the connection ended");
            if is_it(&value) {
                return value;
            }
        }
        panic!("no patch with {what}");
    }
}
