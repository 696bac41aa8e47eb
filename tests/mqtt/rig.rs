//! A broker nobody here wrote (Mosquitto), its own command-line clients as strangers, and the device's tools.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use mynah::config::agent::{self, Agent};
use mynah::config::board;
use mynah::flow::{Call, Control, Event, TOOL_ORDERS_MAX, ToolOrder, ToolReply, What};
use mynah::hw::clock::RealClock;
use mynah::hw::folder::Folder;
use mynah::hw::sim::{SimBoard, SimClock, SimSetup};
use mynah::tools::run::{Handle, Outside, spawn};
use mynah::units::CallId;
use serde_json::Value;

pub use crate::place::{Place, free_port};

/// Longer than any machine that tests needs; only ever waited for in a failing test.
pub const SOON: Duration = Duration::from_secs(30);

/// The broker.
pub struct Broker {
    pub port: u16,
    config: String,
    child: Option<Child>,
    _place: Place,
}

impl Broker {
    /// Starts Mosquitto with more lines of configuration; `files` makes what they name.
    pub fn start(name: &str, more: impl FnOnce(&Place) -> String) -> Broker {
        let (place, port) = (Place::new(name), free_port());
        let mut config = format!("user root\npersistence false\nlog_dest stderr\nlistener {port} 127.0.0.1\n");
        let _ = write!(config, "{}", more(&place));
        let config = place.file("mosquitto.conf", &config);
        let mut broker = Broker { port, config, child: None, _place: place };
        broker.up();
        broker
    }

    pub fn open(name: &str) -> Broker {
        Broker::start(name, |_| "allow_anonymous true\n".to_string())
    }

    pub fn up(&mut self) {
        let program =
            ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"].into_iter().find(|file| Path::new(file).exists());
        let child = Command::new(program.unwrap_or("mosquitto"))
            .args(["-c", &self.config])
            .stderr(Stdio::null())
            .spawn()
            .expect("the Debian package mosquitto");
        self.child = Some(child);
        let end = Instant::now() + SOON;
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < end, "the broker does not listen");
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn down(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Another's client publishes.
    pub fn publish(&self, args: &[&str]) {
        let status = Command::new("mosquitto_pub")
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-q", "1"])
            .args(args)
            .status();
        assert!(status.expect("the Debian package mosquitto-clients").success(), "{args:?}");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.down();
    }
}

/// Another's client, subscribed: hears `RETAINED TOPIC PAYLOAD`, one line each.
pub struct Listener {
    child: Child,
    lines: Receiver<String>,
}

impl Listener {
    /// Subscribes; answers when the broker has said yes. What it keeps is heard, too.
    pub fn new(broker: &Broker, filter: &str) -> Listener {
        // What is kept at the marker comes once the subscription, which is one for both, stands.
        let marker = format!("test/marker/{}", free_port());
        broker.publish(&["-r", "-t", &marker, "-m", "x"]);
        let mut child = Command::new("mosquitto_sub")
            .args(["-h", "127.0.0.1", "-p", &broker.port.to_string(), "-q", "1", "-F", "%r %t %p"])
            .args(["-t", filter, "-t", &marker])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the Debian package mosquitto-clients");
        let (sender, lines) = channel();
        let (subscribed, is_subscribed) = channel();
        let out = child.stdout.take().unwrap();
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if line.contains(&marker) {
                    let _ = subscribed.send(());
                } else {
                    let _ = sender.send(line);
                }
            }
        });
        let listener = Listener { child, lines };
        is_subscribed.recv_timeout(SOON).expect("the broker says yes");
        listener
    }

    /// The next line that says this.
    pub fn hears(&self, part: &str) -> String {
        let end = Instant::now() + SOON;
        let mut others = Vec::new();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.contains(part) => return line,
                Ok(line) => others.push(line),
                Err(_) => panic!("{part:?} was not heard, but {others:#?}"),
            }
        }
    }

    /// All lines within a while.
    pub fn all_within(&self, time: Duration) -> Vec<String> {
        let end = Instant::now() + time;
        let mut lines = Vec::new();
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => lines.push(line),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return lines,
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The device's tools as the program runs them, with what they tell and what they give the core.
pub struct Device {
    handle: Option<Handle>,
    orders: tokio::sync::mpsc::Sender<ToolOrder>,
    replies: Receiver<ToolReply>,
    told: Arc<Mutex<Vec<What>>>,
    given: Receiver<Control>,
    calls: u32,
}

impl Device {
    pub fn start(agent: &str) -> Device {
        Device::start_in(agent, None)
    }

    /// One that keeps in a folder what outlives it.
    pub fn start_in(agent: &str, folder: Option<&Path>) -> Device {
        let agent: Agent = agent::parse(agent, "test").unwrap_or_else(|problems| panic!("{problems:#?}"));
        let (orders, orders_there) = tokio::sync::mpsc::channel(TOOL_ORDERS_MAX);
        let (answer, replies) = channel();
        let (give, given): (Sender<Control>, _) = channel();
        let (give, told) = (Mutex::new(give), Arc::new(Mutex::new(Vec::new())));
        let teller = told.clone();
        let profile = board::parse(board::builtin("sim").unwrap(), "sim", "sim").unwrap();
        let sim = SimBoard::new(SimSetup::from_profile(&profile).unwrap(), SimClock::stepped());
        let outside = Outside {
            tell: Arc::new(move |what| teller.lock().unwrap().push(what)),
            give: Arc::new(move |control| give.lock().unwrap().send(control).is_ok()),
            folder: folder.map(|path| Arc::new(Folder::new(path))),
            has_talk_line: true,
            look: None,
            ..Outside::new(Arc::new(sim), Arc::new(RealClock::new()))
        };
        let handle = spawn(&agent, outside, orders_there, move |reply| drop(answer.send(reply))).unwrap();
        Device { handle: Some(handle), orders, replies, told, given, calls: 0 }
    }

    /// Calls a tool and waits for its answer.
    pub fn call(&mut self, name: &str, args: Value) -> Result<Value, String> {
        self.calls += 1;
        let id = CallId::from(format!("call-{}", self.calls).as_str());
        let args = args.as_object().unwrap().clone();
        self.orders.blocking_send(ToolOrder::Run(Call { id: id.clone(), name: name.into(), args })).unwrap();
        let reply = self.replies.recv_timeout(SOON).expect("an answer");
        assert_eq!(reply.id, id);
        reply.result
    }

    /// Calls a tool, and takes it back after a while.
    pub fn call_and_cancel(&mut self, name: &str, args: Value, after: Duration) {
        let id = CallId::from("taken-back");
        let args = args.as_object().unwrap().clone();
        self.orders.blocking_send(ToolOrder::Run(Call { id: id.clone(), name: name.into(), args })).unwrap();
        thread::sleep(after);
        self.orders.blocking_send(ToolOrder::Cancel(id)).unwrap();
    }

    /// Calls until the tool answers this: the broker may just be coming.
    pub fn call_until(&mut self, name: &str, args: &Value, is_it: impl Fn(&Result<Value, String>) -> bool) {
        let end = Instant::now() + SOON;
        loop {
            let found = self.call(name, args.clone());
            if is_it(&found) {
                return;
            }
            assert!(Instant::now() < end, "{name} answers {found:?}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn hear(&self, what: What) {
        let ear = self.handle.as_ref().and_then(Handle::ear).expect("a presence");
        ear.hear(&Event { at: mynah::units::Time::from_ms(1), what });
    }

    /// Sentences of trouble, and `-` for each recovery.
    pub fn troubles(&self) -> Vec<String> {
        let told = self.told.lock().unwrap();
        let one = |what: &What| match what {
            What::Trouble { part, text } if part == "mqtt" => Some(text.clone()),
            What::Recovered { part } if part == "mqtt" => Some("-".to_string()),
            _ => None,
        };
        told.iter().filter_map(one).collect()
    }

    /// Waits for the first trouble that says this.
    pub fn complains(&self, part: &str) {
        let end = Instant::now() + SOON;
        while !self.troubles().iter().any(|text| text.contains(part)) {
            assert!(Instant::now() < end, "{part:?} was not said, but {:?}", self.troubles());
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn is_given(&self) -> Control {
        self.given.recv_timeout(SOON).expect("an order for the core")
    }

    pub fn all_given_within(&self, time: Duration) -> Vec<Control> {
        let end = Instant::now() + time;
        let mut all = Vec::new();
        while let Ok(control) = self.given.recv_timeout(end.saturating_duration_since(Instant::now())) {
            all.push(control);
        }
        all
    }

    pub fn stop(mut self) {
        self.handle.take().unwrap().stop();
    }
}

/// A lamp as others build them: takes what comes at its topic, and says its state.
pub struct Lamp {
    child: Child,
}

impl Lamp {
    pub fn new(broker: &Broker, room: &str) -> Lamp {
        let port = broker.port;
        let script = format!(
            "mosquitto_sub -h 127.0.0.1 -p {port} -q 1 -t home/{room}/lamp/set | while read -r to; do \
             mosquitto_pub -h 127.0.0.1 -p {port} -q 1 -r -t home/{room}/lamp -m \"$to\"; done"
        );
        let child = Command::new("sh").args(["-c", &script]).process_group(0).spawn().unwrap();
        let lamp = Lamp { child };
        // It is there once it says something.
        let listener = Listener::new(broker, &format!("home/{room}/lamp"));
        let end = Instant::now() + SOON;
        loop {
            broker.publish(&["-t", &format!("home/{room}/lamp/set"), "-m", "READY"]);
            if listener.all_within(Duration::from_millis(300)).iter().any(|line| line.contains("READY")) {
                return lamp;
            }
            assert!(Instant::now() < end, "the lamp is not there");
        }
    }
}

impl Drop for Lamp {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-9", "--", &format!("-{}", self.child.id())]).status();
        let _ = self.child.wait();
    }
}

/// The whole program on a simulated board, with the stand-in for the service.
pub struct Program {
    emulator: Child,
    mynah: Child,
    place: Place,
}

impl Program {
    /// Starts both; `script` is what the service does.
    pub fn start(name: &str, agent: &str, script: &str) -> Program {
        const MYNAH: &str = env!("CARGO_BIN_EXE_mynah");
        const PATH: &str = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent";
        let place = Place::new(name);
        let (script, port) = (place.file("script.txt", script), free_port());
        let config = place.file("mynah.toml", agent);
        let quiet = |command: &mut Command| command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let listen = format!("127.0.0.1:{port}");
        let record = place.0.join("record").display().to_string();
        let options = ["emulator", "--listen", &listen, "--script", &script, "--record", &record];
        let emulator = quiet(Command::new(MYNAH).args(options));
        let end = Instant::now() + SOON;
        while std::net::TcpStream::connect(&listen).is_err() {
            assert!(Instant::now() < end, "the emulator does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        let mynah = Command::new(MYNAH)
            .args([
                "run",
                "--hand",
                "--board",
                "sim",
                "--config",
                &config,
                "--endpoint",
                &format!("ws://{listen}{PATH}"),
            ])
            .arg("--state")
            .arg(place.0.join("state"))
            .arg("--events")
            .arg(place.0.join("events.jsonl"))
            .env("GEMINI_API_KEY", "key-of-the-mqtt-tests")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(fs::File::create(place.0.join("mynah.log")).unwrap())
            .spawn()
            .unwrap();
        Program { emulator, mynah, place }
    }

    /// Somebody holds the button and says something: a tone is enough for the stand-in.
    pub fn ask(&mut self) {
        use std::io::Write as _;
        let file = self.place.0.join("said.wav");
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 16_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut wav = hound::WavWriter::create(&file, spec).unwrap();
        let tone = |index: u32| (f64::from(index) * 0.17).sin() * 8000.0;
        (0..16_000).for_each(|index| wav.write_sample(tone(index) as i16).unwrap());
        wav.finalize().unwrap();
        self.mynah.stdin.as_mut().unwrap().write_all(format!("ask {}\n", file.display()).as_bytes()).unwrap();
    }

    /// What the program's tools answered the service so far, in order.
    pub fn answers(&self) -> Vec<Value> {
        // The first client was the look whether the service listens.
        let record = fs::read_to_string(self.place.0.join("record/client-2.jsonl")).unwrap_or_default();
        let messages = record.lines().map_while(|line| serde_json::from_str::<Value>(line).ok());
        let answers =
            messages.filter_map(|line| line["message"]["toolResponse"]["functionResponses"].as_array().cloned());
        answers.flatten().map(|answer| answer["response"].clone()).collect()
    }

    fn count(&self, event: &str) -> usize {
        let events = fs::read_to_string(self.place.0.join("events.jsonl")).unwrap_or_default();
        events.lines().filter(|line| line.contains(&format!("\"event\":\"{event}\""))).count()
    }

    /// Waits until there were so many of an event.
    pub fn awaits(&self, event: &str, times: usize) {
        let end = Instant::now() + SOON;
        while self.count(event) < times {
            assert!(Instant::now() < end, "{event} came {} times of {times}", self.count(event));
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// How often the connection to the service was lost.
    pub fn link_losses(&self) -> usize {
        self.count("link_down")
    }

    /// Ends it as systemd does.
    pub fn end(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.mynah.id().to_string()]).status();
        let _ = self.mynah.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        for child in [&mut self.mynah, &mut self.emulator] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
