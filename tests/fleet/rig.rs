//! One device of a fleet: the program on a simulated board, the stand-in for the service, and the owner's key.

use std::fs;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::place::{Place, free_port};
use crate::rig::{Broker, Listener, SOON};

const MYNAH: &str = env!("CARGO_BIN_EXE_mynah");
const PATH: &str = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent";
const SCRIPT: &str = "turn *\n  tone 440Hz 300ms \"Yes.\"\n";

/// Where the service listens.
pub fn service(port: u16) -> String {
    format!("ws://127.0.0.1:{port}{PATH}")
}

/// What `mynah` prints.
fn printed(args: &[&str]) -> String {
    let output = Command::new(MYNAH).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The fleet's owner.
pub struct Owner {
    key: String,
    pub public: String,
    place: Place,
}

impl Owner {
    pub fn new(name: &str) -> Owner {
        let place = Place::new(name);
        let key = place.0.join("fleet.pem").display().to_string();
        let public = printed(&["fleet", "key", "--out", &key]).trim().to_string();
        Owner { key, public, place }
    }

    pub fn signed(&self, name: &str, serial: u64, agent: &str) -> String {
        let file = self.place.file("agent.toml", agent);
        let args = ["fleet", "sign", "--key", &self.key, "--name", name, "--serial", &serial.to_string(), &file];
        printed(&args).trim().to_string()
    }
}

/// The device.
pub struct Device {
    emulator: Child,
    mynah: Option<Child>,
    place: Place,
    pub service_port: u16,
    config: String,
}

impl Device {
    /// With these more lines of `[mqtt]`.
    pub fn start(name: &str, broker: &Broker, public_key: &str, mqtt: &str) -> Device {
        Device::start_at(free_port(), name, broker, public_key, mqtt)
    }

    /// Of a service that listens there.
    pub fn start_at(service_port: u16, name: &str, broker: &Broker, public_key: &str, mqtt: &str) -> Device {
        let place = Place::new(name);
        let script = place.file("script.txt", SCRIPT);
        let (listen, record) = (format!("127.0.0.1:{service_port}"), place.0.join("record").display().to_string());
        let emulator = Command::new(MYNAH)
            .args(["emulator", "--listen", &listen, "--script", &script, "--record", &record])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let end = Instant::now() + SOON;
        while std::net::TcpStream::connect(&listen).is_err() {
            assert!(Instant::now() < end, "the emulator does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        let own = format!(
            "voice = \"Kore\"\nendpoint = \"{}\"\n[mqtt]\nhost = \"127.0.0.1\"\nport = {}\nclient_id = \"fleet-{}\"\n{mqtt}\n\
             [fleet]\nname = \"hall\"\npublic_key = \"{public_key}\"\nreport_every_s = 10\nproving_s = 10\n",
            service(service_port),
            broker.port,
            broker.port
        );
        let config = place.file("mynah.toml", &own);
        let mut device = Device { emulator, mynah: None, place, service_port, config };
        device.up();
        device
    }

    /// Starts the program, as systemd does after a crash or a power cut.
    pub fn up(&mut self) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.place.0.join("mynah.log")).unwrap();
        let child = Command::new(MYNAH)
            .args(["-v", "run", "--hand", "--board", "sim", "--config", &self.config, "--state"])
            .arg(self.place.0.join("state"))
            .arg("--events")
            .arg(self.place.0.join("events.jsonl"))
            .env_remove("GEMINI_API_KEY")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.mynah = Some(child);
    }

    /// Whether the process that was started last still runs.
    pub fn is_up(&mut self) -> bool {
        self.mynah.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Its end without a word.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.mynah.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Its end as systemd has it.
    pub fn end(&mut self) {
        if let Some(mut child) = self.mynah.take() {
            let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
            let _ = child.wait();
        }
    }

    /// Somebody holds the button, says something, and hears the answer.
    pub fn converses(&mut self) {
        let before = self.count("reply_heard");
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
        let child = self.mynah.as_mut().unwrap();
        child.stdin.as_mut().unwrap().write_all(format!("ask {}\n", file.display()).as_bytes()).unwrap();
        let end = Instant::now() + SOON;
        while self.count("reply_heard") == before {
            assert!(Instant::now() < end, "no reply was heard; the log: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn count(&self, event: &str) -> usize {
        let events = fs::read_to_string(self.place.0.join("events.jsonl")).unwrap_or_default();
        events.lines().filter(|line| line.contains(&format!("\"event\":\"{event}\""))).count()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.place.0.join("mynah.log")).unwrap_or_default()
    }

    /// The voices with which it knocked at the service, in order.
    pub fn voices(&self) -> Vec<String> {
        // The first client was the look whether the service listens.
        let client = |number: usize| {
            let record = format!("record/client-{number}.jsonl");
            fs::read_to_string(self.place.0.join(record)).ok()
        };
        let records = (2..).map_while(client);
        let voice = |record: String| {
            let (_, rest) = record.split_once("\"voiceName\":\"")?;
            Some(rest.split('"').next()?.to_string())
        };
        records.filter_map(voice).collect()
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.kill();
        let _ = self.emulator.kill();
        let _ = self.emulator.wait();
    }
}

/// The next report for which this holds.
pub fn report(ears: &Listener, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + 4 * SOON;
    let mut heard = Vec::new();
    loop {
        assert!(Instant::now() < end, "no report said: {what}; what came:\n{}", heard.join("\n"));
        let line = ears.hears("/hall/health ");
        let report: Value = serde_json::from_str(&line[line.find('{').unwrap()..]).unwrap();
        if is_it(&report) {
            return report;
        }
        heard.push(line);
    }
}
