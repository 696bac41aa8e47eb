//! A Home Assistant of a test's own: installed once, started on a free port, asked over its REST API.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::rig::folder;

/// At its first start it fetches what its parts need.
const START_TIMEOUT: Duration = Duration::from_secs(600);
const USER: &str = "ann";
const PASSWORD: &str = "correct-horse";

/// Home Assistant, until it is dropped.
pub struct House {
    child: Child,
    port: u16,
    python: PathBuf,
    folder: PathBuf,
    /// The file of a long-lived access token.
    pub token: PathBuf,
}

fn installed() -> PathBuf {
    static ONCE: Once = Once::new();
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("home_assistant");
    ONCE.call_once(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/home_assistant/install.sh");
        let status = Command::new("sh").arg(script).arg(&cache).status().unwrap();
        assert!(status.success(), "Home Assistant cannot be installed: {status}");
    });
    cache.join("python/bin")
}

fn run(python: &Path, folder: &Path) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(folder.join("out.log")).unwrap();
    let mut command = Command::new(python.join("hass"));
    // It finds its installer, uv or pip, beside its Python.
    let path = format!("{}:{}", python.display(), std::env::var("PATH").unwrap());
    command.arg("-c").arg(folder).env("PATH", path).stdin(Stdio::null());
    command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

impl House {
    pub fn start(name: &str) -> House {
        let python = installed();
        let folder = folder(&format!("home-{name}"));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/home_assistant");
        let text = std::fs::read_to_string(own.join("configuration.yaml")).unwrap();
        std::fs::write(folder.join("configuration.yaml"), text.replace("PORT", &port.to_string())).unwrap();
        let mut add = Command::new(python.join("hass"));
        add.args(["--script", "auth", "-c"]).arg(&folder).args(["add", USER, PASSWORD]);
        let status = add.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        assert!(status.success(), "no user was made: {status}");
        let child = run(&python, &folder);
        let mut house = House { child, port, python, token: folder.join("token"), folder };
        house.wait();
        let mut make = Command::new(house.python.join("python"));
        make.arg(own.join("make_token.py")).args([&house.base(), USER, PASSWORD, "mynah"]);
        let made = make.output().unwrap();
        assert!(made.status.success(), "no token: {}", String::from_utf8_lossy(&made.stderr));
        write_secret(&house.token, String::from_utf8(made.stdout).unwrap().trim());
        house
    }

    fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Waits until it serves its pages; it does when all its parts are set up.
    fn wait(&mut self) {
        let since = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert_eq!(self.child.try_wait().unwrap(), None, "it ended:\n{}", self.log());
            assert!(since.elapsed() < START_TIMEOUT, "it does not start:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Ends it as its owner would.
    pub fn end(&mut self) {
        let status = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
        self.child.wait().unwrap();
    }

    /// Kills it as a power cut would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again.
    pub fn again(&mut self) {
        self.child = run(&self.python, &self.folder);
        self.wait();
    }

    /// What it printed and logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("out.log")).unwrap_or_default()
    }

    /// A file for another token.
    pub fn write_token(&self, name: &str, token: &str) -> PathBuf {
        let file = self.folder.join(name);
        write_secret(&file, token);
        file
    }

    /// An entity, by way of the REST API.
    pub fn state(&self, entity: &str) -> Value {
        self.ask("GET", &format!("/api/states/{entity}"), "")
    }

    /// Calls a service as somebody else would.
    pub fn call(&self, service: &str, data: Value) {
        self.ask("POST", &format!("/api/services/{service}"), &data.to_string());
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Value {
        let token = std::fs::read_to_string(&self.token).unwrap();
        let length = body.len();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let head =
            format!("{method} {path} HTTP/1.0\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all((head + body).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(" 200 "), "{answer}");
        serde_json::from_str(body).unwrap()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn write_secret(file: &Path, secret: &str) {
    std::fs::write(file, secret).unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// The agent file for this house.
pub fn config(house: &House, token: &Path) -> String {
    config_at(house.port, token)
}

/// The agent file for a house on this port.
pub fn config_at(port: u16, token: &Path) -> String {
    format!(
        r#"
        [secrets]
        home = "{}"
        [home_assistant]
        url = "ws://127.0.0.1:{port}/api/websocket"
        token_secret = "home"
        policy = {{ per_minute = 600 }}
        {ENTITIES}"#,
        token.display()
    )
}

const ENTITIES: &str = r#"
        [[home_assistant.entities]]
        id = "light.kitchen"
        name = "kitchen light"
        area = "kitchen"
        services = { turn_on = { brightness_pct = { min = 1, max = 100 } }, turn_off = {} }
        [[home_assistant.entities]]
        id = "light.shed"
        name = "shed"
        services = ["turn_on"]
        [[home_assistant.entities]]
        id = "light.attic"
        name = "attic"
        [[home_assistant.entities]]
        id = "sensor.outside"
        name = "outside temperature"
        [[tools]]
        name = "switch"
        description = "Switches a light."
        parameters = { type = "OBJECT", properties = { which = { type = "STRING" }, on = { type = "BOOLEAN" } }, required = ["which", "on"] }
        action = { home_assistant = "switch", entity = "{which}", argument = "on" }
        [[tools]]
        name = "state"
        description = "Reads what it is told."
        policy = { per_minute = 600 }
        parameters = { type = "OBJECT", properties = { what = { type = "STRING" } }, required = ["what"] }
        action = { home_assistant = "state", entity = "{what}" }
        [[tools]]
        name = "anything"
        description = "Calls whatever it is told."
        parameters = { type = "OBJECT", properties = { what = { type = "STRING" }, how = { type = "STRING" }, level = { type = "STRING" } }, required = ["what", "how", "level"] }
        action = { home_assistant = "call", entity = "{what}", service = "{how}", data = { transition = "x{level}" } }
"#;
