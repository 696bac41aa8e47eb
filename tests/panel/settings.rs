//! Settings that are changed at the page of the real program: refused, chosen, in force after a restart, given back.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use mynah::emulator::run::{self as emulator, ServeOptions};
use mynah::emulator::{Script, Sounds};
use serde_json::{Value, json};

use crate::daemon::ask;
use crate::rig::{Answer, LIMIT, Place, free_port, wait_for};

/// The program as a service runs it.
struct Program {
    child: Child,
    port: u16,
    place: Place,
    news: UnixDatagram,
    _service: emulator::Running,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = (self.child.kill(), self.child.wait());
    }
}

impl Program {
    fn start(name: &str, allow: &str) -> Program {
        let options =
            ServeOptions::new(Script::parse("turn *\n tone 440Hz 300ms \"It is noon\"\n", &Sounds::new()).unwrap());
        let service = emulator::spawn(([127, 0, 0, 1], 0).into(), options).unwrap();
        let (place, port) = (Place::new(name), free_port());
        let path = "ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent";
        let agent = format!(
            "endpoint = \"ws://127.0.0.1:{}/{path}\"\nvoice = \"Kore\"\n[panel]\nlisten = \"127.0.0.1:{port}\"\n{allow}\n",
            service.addr.port()
        );
        place.file("mynah.toml", &agent);
        let news = UnixDatagram::bind(place.0.join("notify")).unwrap();
        news.set_read_timeout(Some(LIMIT)).unwrap();
        let log = std::fs::File::create(place.0.join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_mynah"))
            .args(["run", "--board", "sim", "--config"])
            .arg(place.0.join("mynah.toml"))
            .arg("--state")
            .arg(place.0.join("state"))
            .env("NOTIFY_SOCKET", place.0.join("notify"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let program = Program { child, port, place, news, _service: service };
        program.wait_for_news("READY=1");
        program.wait_until_open();
        program
    }

    fn wait_until_open(&self) {
        wait_for("the page", || self.get("/healthz").status != 0);
    }

    /// Waits for this news to systemd; answers what came before it.
    fn wait_for_news(&self, wanted: &str) -> String {
        let mut before = String::new();
        loop {
            let mut bytes = [0; 512];
            let length = self.news.recv(&mut bytes).unwrap_or_else(|_| panic!("no {wanted}; {}", self.log()));
            let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
            if text.lines().any(|line| line == wanted) {
                return before + &text;
            }
            before += &text;
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.place.0.join("log")).unwrap_or_default()
    }

    fn file(&self) -> PathBuf {
        self.place.0.join("state/settings.toml")
    }

    fn get(&self, path: &str) -> Answer {
        ask(self.port, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
    }

    fn wish(&self, more: &str, body: &Value) -> Answer {
        let body = body.to_string();
        let head = format!("POST /api/do HTTP/1.1\r\nHost: localhost\r\n{more}Connection: close\r\n");
        ask(self.port, &format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()))
    }

    fn set(&self, key: &str, value: &Value) -> Answer {
        self.wish("X-Mynah: 1\r\n", &json!({"do": "set", "key": key, "value": value}))
    }

    fn settings(&self) -> Value {
        self.get("/api/settings").json()
    }

    fn setting(&self, key: &str) -> Value {
        let all = self.settings()["settings"].as_array().unwrap().clone();
        all.into_iter().find(|one| one["key"] == key).unwrap()
    }

    /// Somebody presses "Restart now": the same process is a new program.
    fn restart(&self) {
        let pid = self.child.id();
        assert_eq!(self.wish("X-Mynah: 1\r\n", &json!({"do": "restart"})).status, 204);
        let before = self.wait_for_news("RELOADING=1");
        assert!(!before.contains("STOPPING=1"), "systemd would take it for the end: {before}");
        self.wait_for_news("READY=1");
        self.wait_until_open();
        assert!(Path::new(&format!("/proc/{pid}")).exists());
        wait_for("rest", || self.get("/api/state").json()["look"]["state"] == "idle");
    }
}

#[test]
fn a_setting_is_changed_in_force_after_a_restart_and_given_back() {
    let mut program = Program::start("settings", "allow = [\"settings\", \"stop\"]");
    assert_eq!(program.settings()["is_restart_due"], false);
    let mode = program.setting("mode");
    assert_eq!(mode["change"]["entry"]["words"], json!(["push_to_talk", "hands_free", "wake_word"]));
    assert!(program.setting("key_file")["change"].is_null() && program.setting("day_usd")["change"].is_null());

    let refused = program.set("listen.hangover_ms", &json!(9));
    assert_eq!(refused.status, 400);
    assert!(
        refused.error().starts_with("`listen.hangover_ms` is 9; it must be a whole number from 100"),
        "{refused:?}"
    );
    assert_eq!(program.set("panel.listen", &json!("0.0.0.0:80")).status, 400);
    assert!(!program.file().exists(), "nothing was written");
    for more in ["", "X-Mynah: 1\r\nOrigin: http://evil.example\r\n", "X-Mynah: 1\r\nSec-Fetch-Site: cross-site\r\n"] {
        let wishes = [json!({"do": "set", "key": "voice", "value": "Puck"}), json!({"do": "restart"})];
        assert!(wishes.iter().all(|wish| program.wish(more, wish).status == 403), "{more}");
    }

    assert_eq!(program.set("listen.follow_up_s", &json!(8)).status, 204);
    assert_eq!(program.set("voice", &json!("Puck")).status, 204);
    assert_eq!(program.settings()["is_restart_due"], true);
    assert_eq!(
        (&program.setting("voice")["value"], &program.setting("voice")["change"]["chosen"]),
        (&json!("Kore"), &json!("Puck"))
    );
    program.restart();
    assert_eq!(program.settings()["is_restart_due"], false);
    assert_eq!(
        (&program.setting("voice")["value"], &program.setting("voice")["is_chosen"]),
        (&json!("Puck"), &json!(true))
    );
    assert_eq!(program.setting("follow_up_s")["value"], "8");
    assert!(std::fs::read_to_string(program.place.0.join("mynah.toml")).unwrap().contains("Kore"), "it is the owner's");
    let check = Command::new(env!("CARGO_BIN_EXE_mynah"))
        .args(["config", "check"])
        .arg(program.place.0.join("mynah.toml"))
        .env("STATE_DIRECTORY", program.place.0.join("state"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(
        check.status.success() && told.contains("chosen at the page: listen.follow_up_s = 8, voice = Puck"),
        "{told}"
    );

    // One that fits no more is left out at the start and told; the rest stays in force.
    let text = std::fs::read_to_string(program.file()).unwrap();
    std::fs::write(program.file(), text.replace("= 8", "= 8000")).unwrap();
    program.restart();
    assert_eq!(
        (&program.setting("follow_up_s")["value"], &program.setting("voice")["value"]),
        (&json!("0"), &json!("Puck"))
    );
    let trouble = program.settings()["trouble"].as_str().unwrap_or_default().to_string();
    assert!(trouble.contains("`listen.follow_up_s` is 8000; it must be"), "{trouble}");
    let parts = program.get("/api/state").json()["parts"].to_string();
    assert!(parts.contains("8000") && program.log().contains("is 8000"), "{parts}");

    assert_eq!(program.set("voice", &Value::Null).status, 204);
    program.restart();
    assert_eq!((&program.setting("voice")["value"], &program.settings()["trouble"]), (&json!("Kore"), &Value::Null));
    // An owner at work on the file is not disturbed.
    std::fs::write(program.place.0.join("mynah.toml"), "voice = ").unwrap();
    let refused = program.wish("X-Mynah: 1\r\n", &json!({"do": "restart"}));
    assert!(refused.status == 409 && refused.error().contains("config check"), "{refused:?}");
    // SAFETY: takes numbers; it is this test's own child.
    unsafe { libc::kill(program.child.id() as i32, libc::SIGTERM) };
    program.wait_for_news("STOPPING=1");
    assert!(program.child.wait().unwrap().success(), "{}", program.log());
}

#[test]
fn settings_are_the_owners_alone_unless_they_say_otherwise() {
    let program = Program::start("not-allowed", "");
    std::fs::create_dir_all(program.place.0.join("state")).unwrap();
    assert_eq!(program.settings()["is_allowed"], false);
    assert!(program.setting("voice")["change"].is_null());
    for wish in [json!({"do": "set", "key": "voice", "value": "Puck"}), json!({"do": "restart"})] {
        assert_eq!(program.wish("X-Mynah: 1\r\n", &wish).status, 403);
    }
    assert!(!program.file().exists());
}
