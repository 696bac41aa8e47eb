//! Tokens over real sockets: `mynah token` mints one, a broker passes it on, `mynah run` shows it, and nothing that
//! is left behind holds it. The service is the emulator on loopback.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mynah::emulator::Script;
use mynah::emulator::run::{self as emulator, News, Observed, Running, ServeOptions};

const MYNAH: &str = env!("CARGO_BIN_EXE_mynah");
const LIVE_PATH: &str = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent";
/// The long-lived key; it must be found nowhere but in the environment of who mints.
const KEY: &str = "AIza-long-lived-key-of-the-tests";
/// Longer than anything here takes; the machine may be busy.
const LIMIT: Duration = Duration::from_secs(60);

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("token").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(folder.join("state")).unwrap();
    folder
}

/// The emulator, and what it tells.
fn service() -> (Running, Receiver<Observed>) {
    let (observer, news) = sync_channel(4096);
    let mut options = ServeOptions::new(Script::echo());
    options.observer = Some(observer);
    (emulator::spawn(SocketAddr::from(([127, 0, 0, 1], 0)), options).unwrap(), news)
}

fn endpoint(service: &Running) -> String {
    format!("ws://{}{LIVE_PATH}", service.addr)
}

/// Runs `mynah token` to its end: its exit code, standard output and standard error.
fn mint(folder: &Path, endpoint: &str, key: &str, more: &[&str]) -> (Option<i32>, String, String) {
    std::fs::write(
        folder.join("kitchen.toml"),
        "model = \"gemini-3.8-live\"\ninstruction = \"You are the kitchen.\"\n",
    )
    .unwrap();
    let mut command = Command::new(MYNAH);
    command.args(["-vv", "token", "--config", "kitchen.toml", "--endpoint", endpoint]).args(more).current_dir(folder);
    let output = command.env_remove("CREDENTIALS_DIRECTORY").env("GEMINI_API_KEY", key).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn minted(folder: &Path, service: &Running, more: &[&str]) -> String {
    let (code, printed, told) = mint(folder, &endpoint(service), KEY, more);
    assert_eq!(code, Some(0), "{told}");
    printed.trim().to_string()
}

/// A broker that gives these answers, one a request, then no more. Ends with the requests it saw.
fn broker(answers: Vec<String>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/device/kitchen", listener.local_addr().unwrap());
    let serve = move || {
        let one = |answer: String| {
            let (mut socket, _) = listener.accept().unwrap();
            let lines = BufReader::new(&socket).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
            let request: Vec<String> = lines.collect();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                answer.len()
            );
            socket.write_all(head.as_bytes()).unwrap();
            socket.write_all(answer.as_bytes()).unwrap();
            request.join("\n")
        };
        answers.into_iter().map(one).collect()
    };
    (url, std::thread::spawn(serve))
}

/// A running `mynah run` on the simulated board, without a key; killed when dropped.
struct Device {
    child: Child,
    folder: PathBuf,
}

impl Device {
    fn start(folder: &Path, endpoint: &str, token_url: &str) -> Device {
        let agent =
            format!("endpoint = \"{endpoint}\"\ntoken_url = \"{token_url}\"\n[session]\nconnection = \"keep_open\"\n");
        std::fs::write(folder.join("mynah.toml"), agent).unwrap();
        let log = std::fs::File::create(folder.join("device.log")).unwrap();
        let mut command = Command::new(MYNAH);
        command.args(["-vv", "run", "--board", "sim", "--config", "mynah.toml", "--events", "events.jsonl"]);
        command.current_dir(folder).env("STATE_DIRECTORY", folder.join("state"));
        command.env_remove("GEMINI_API_KEY").env_remove("CREDENTIALS_DIRECTORY");
        let child = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        Device { child, folder: folder.to_path_buf() }
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.join(file)).unwrap_or_default()
    }

    /// Waits until this event was told so many times.
    fn waits_for(&mut self, event: &str, times: usize) {
        let since = Instant::now();
        let wanted = format!("\"event\":\"{event}\"");
        while self.read("events.jsonl").matches(&wanted).count() < times {
            let ended = self.child.try_wait().unwrap();
            let is_lost = ended.is_some() || since.elapsed() > LIMIT;
            assert!(!is_lost, "no {event} ({ended:?}):\n{}\n{}", self.read("device.log"), self.read("events.jsonl"));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What everybody on the machine can see of the process.
    fn command_line(&self) -> String {
        let mut text = String::new();
        let path = format!("/proc/{}/cmdline", self.child.id());
        std::fs::File::open(path).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    /// Ends it, and looks for secrets in all that it left behind.
    fn ends_clean(mut self, secrets: &[&str]) {
        let command_line = self.command_line();
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", self.child.id())).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap().to_string();
        assert!(
            core.split_whitespace().filter(|word| *word == "0").count() == 2,
            "a core file could be written: {core}"
        );
        // SAFETY: our own child, which nobody has waited for yet.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) };
        let since = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(since.elapsed() < LIMIT, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut left = vec![("command line".to_string(), command_line)];
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => {
                        let bytes = std::fs::read(&path).unwrap();
                        left.push((path.display().to_string(), String::from_utf8_lossy(&bytes).into_owned()));
                    }
                }
            }
        }
        assert!(left.iter().any(|(name, text)| name.ends_with("device.log") && !text.is_empty()));
        for (place, text) in left {
            for secret in secrets {
                assert!(!text.contains(secret), "{place} holds a secret");
            }
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What was said to all clients and noted about them, so far.
fn said(news: &Receiver<Observed>) -> String {
    let lines = news.try_iter().filter_map(|observed| match observed.news {
        News::Said(line) => Some(line.to_string()),
        News::Connected(_) | News::Left(_) => None,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_device_without_a_key_talks_with_the_token_its_broker_gives_it() {
    let folder = folder("broker");
    let (service, news) = service();
    let answer = minted(&folder, &service, &["--json"]);
    let token = serde_json::from_str::<serde_json::Value>(&answer).unwrap()["name"].as_str().unwrap().to_string();
    assert!(token.starts_with("auth_tokens/"), "{answer}");
    let (url, broker) = broker(vec![answer]);
    let mut device = Device::start(&folder, &endpoint(&service), &url);
    device.waits_for("link_ready", 1);
    let requests = broker.join().unwrap();
    assert!(requests[0].starts_with("GET /device/kitchen HTTP/1.1"), "{requests:?}");
    assert!(!said(&news).contains("token is refused"));
    device.ends_clean(&[KEY, &token, &token["auth_tokens/".len()..]]);
}

#[test]
fn a_token_that_has_expired_or_is_used_up_is_followed_by_a_new_one() {
    let folder = folder("renew");
    let (service, news) = service();
    let late = minted(&folder, &service, &["--open-within-s", "1"]);
    std::thread::sleep(Duration::from_secs(2));
    let good = minted(&folder, &service, &[]);
    // The broker does not say when they expire: only the service can.
    let (url, broker) = broker(vec![late.clone(), "auth_tokens/made-up".into(), good.clone()]);
    let mut device = Device::start(&folder, &endpoint(&service), &url);
    device.waits_for("link_ready", 1);
    assert_eq!(broker.join().unwrap().len(), 3);
    let said = said(&news);
    for piece in ["newSessionExpireTime has passed", "did not mint it"] {
        assert!(said.contains(piece), "{piece}:\n{said}");
    }
    let log = device.read("device.log");
    assert!(log.contains("Ephemeral token expired") && log.contains("Ephemeral token not found"), "{log}");
    device.ends_clean(&[KEY, &late, &good, "made-up"]);
}

#[test]
fn a_broker_without_tokens_is_told_and_asked_again() {
    let folder = folder("trouble");
    let (service, _news) = service();
    let good = minted(&folder, &service, &[]);
    let (url, broker) = broker(vec!["AIza-not-a-token".into(), good.clone()]);
    let mut device = Device::start(&folder, &endpoint(&service), &url);
    device.waits_for("link_ready", 1);
    broker.join().unwrap();
    let log = device.read("device.log");
    assert!(log.contains("the broker at 127.0.0.1 gave no token: its answer is no token"), "{log}");
    device.ends_clean(&[KEY, &good, "AIza-not-a-token"]);
}

#[test]
fn a_token_is_printed_alone_with_its_limits_or_not_at_all() {
    let folder = folder("mint");
    let (service, _news) = service();
    let here = endpoint(&service);
    let (code, printed, told) = mint(&folder, &here, KEY, &[]);
    assert_eq!((code, printed.lines().count()), (Some(0), 1), "{told}");
    assert!(printed.starts_with("auth_tokens/"), "{printed}");
    assert!(!told.contains(printed.trim()) && !told.contains(KEY), "{told}");
    let (_, printed, _) =
        mint(&folder, &here, KEY, &["--json", "--uses", "3", "--minutes", "1199", "--open-within-s", "9"]);
    let answer: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let times = ["expireTime", "newSessionExpireTime"].map(|name| answer[name].as_str().unwrap().to_string());
    assert!(times.iter().all(|time| time.len() == 20 && time.ends_with('Z')) && times[1] < times[0], "{printed}");
    let nowhere =
        format!("ws://127.0.0.1:{}{LIVE_PATH}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
    for (endpoint, key, more, code, word) in [
        (here.as_str(), "bad-key", &[][..], 77, "API key not valid"),
        (&nowhere, KEY, &[], 1, "refuses connections"),
        ("wss://127.0.0.1/?key=x", KEY, &[], 78, "GEMINI_API_KEY"),
        (&here, KEY, &["--minutes", "1200"], 2, "1199"),
        (&here, "two words", &[], 77, "GEMINI_API_KEY"),
    ] {
        let (found, printed, told) = mint(&folder, endpoint, key, more);
        assert_eq!((found, printed.as_str()), (Some(code), ""), "{told}");
        assert!(told.contains(word) && !told.contains(KEY) && !told.contains("panicked"), "{word}: {told}");
    }
}
