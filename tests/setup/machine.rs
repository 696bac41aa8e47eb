//! A made-up machine in a folder: what it is, its sound cards, its files, and programs that only note how they were called.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub const MYNAH: &str = env!("CARGO_BIN_EXE_mynah");
/// What must be printed nowhere.
pub const SECRET: &str = "secret-of-the-setup";

pub struct Machine {
    pub root: PathBuf,
    listed: String,
}

impl Machine {
    pub fn new(name: &str) -> Machine {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("setup").join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("root/proc/asound")).unwrap();
        fs::create_dir_all(folder.join("bin")).unwrap();
        // Links of the tree of devices are followed.
        let folder = fs::canonicalize(folder).unwrap();
        let machine = Machine { root: folder.join("root"), listed: String::new() };
        let wants = machine.root.join("etc/systemd/system/multi-user.target.wants");
        let enable = format!("mkdir -p {0} && touch {0}/mynah.service", wants.display());
        machine.program("systemctl", &format!("case \"$*\" in *enable*) {enable};; esac"));
        machine.program("systemd-creds", "exit 1");
        machine
    }

    pub fn folder(&self) -> &Path {
        self.root.parent().unwrap()
    }

    /// A program that notes its call, and then does this.
    pub fn program(&self, name: &str, does: &str) {
        let file = self.folder().join("bin").join(name);
        let calls = self.folder().join("calls");
        let text = format!("#!/bin/sh\necho \"{name} $*\" >> {}\n{does}\n", calls.display());
        // By another process: a program that this one has open for writing, be it for a moment in a child of another
        // test's, is refused as busy.
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\""]).arg(file).arg(text);
        assert!(shell.status().unwrap().success());
    }

    /// What was called, a line each; the root folder is `ROOT`.
    pub fn calls(&self) -> String {
        self.shown(&fs::read_to_string(self.folder().join("calls")).unwrap_or_default())
    }

    pub fn shown(&self, text: &str) -> String {
        text.replace(&self.root.display().to_string(), "ROOT")
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path.trim_start_matches('/'))).unwrap()
    }

    /// `Device usb 1-1.3 both USB PnP Sound Device`: id, how it is plugged in, what it has, name.
    pub fn card(&mut self, text: &str) {
        let mut words = text.splitn(5, ' ');
        let mut word = || words.next().unwrap_or_else(|| panic!("a card needs five words: {text}"));
        let (id, kind, port, ways, name) = (word(), word(), word(), word(), word());
        let number = self.listed.lines().count() / 2;
        self.listed += &format!(" {number} [{id:<15}]: {kind} - {name}\n                      {name}\n");
        self.write("proc/asound/cards", &self.listed.clone());
        let device =
            if kind == "usb" { format!("sys/devices/usb1/{port}") } else { format!("sys/devices/platform/{id}") };
        if kind == "usb" {
            self.write(&format!("{device}/idVendor"), "0d8c\n");
            self.write(&format!("{device}/idProduct"), "0014\n");
        }
        let inner = format!("{device}/{id}:1.0");
        fs::create_dir_all(self.root.join(&inner)).unwrap();
        fs::create_dir_all(self.root.join(format!("sys/class/sound/card{number}"))).unwrap();
        symlink(self.root.join(inner), self.root.join(format!("sys/class/sound/card{number}/device"))).unwrap();
        for letter in ["c", "p"].iter().filter(|letter| ways == "both" || ways == **letter) {
            self.write(&format!("proc/asound/card{number}/pcm0{letter}/info"), "card: 0\nid: Audio\nname: Audio\n");
        }
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(MYNAH);
        command.args(["setup", "--root"]).arg(&self.root).args(arguments).current_dir(self.folder());
        command.env("PATH", format!("{}:/usr/bin:/bin", self.folder().join("bin").display()));
        command.env_remove("GEMINI_API_KEY").env_remove("CREDENTIALS_DIRECTORY");
        command
    }

    pub fn setup(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).stdin(Stdio::null()).output().unwrap();
        let said = [&output.stdout[..], &output.stderr[..]].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(!said.contains("panicked") && !said.contains(SECRET), "{said}");
        output
    }

    /// The files below `/etc` with their modes and what they say; comments and the key are left out.
    pub fn files(&self) -> String {
        let mut files = Vec::new();
        walk(&self.root.join("etc"), &mut files);
        files.sort();
        files.iter().map(|file| self.file(file)).collect()
    }

    fn file(&self, file: &Path) -> String {
        let mode = fs::metadata(file).unwrap().permissions().mode() & 0o7777;
        let name = file.strip_prefix(&self.root).unwrap().display().to_string();
        let mut text = format!("/{name} {mode:04o}\n");
        if name.contains("api_key") {
            return text;
        }
        // The agent file is long: its sections are as they were.
        let skips = if name.ends_with("mynah.toml") { ['#', '['] } else { ['#', '#'] };
        for line in
            fs::read_to_string(file).unwrap().lines().filter(|line| !line.is_empty() && !line.starts_with(skips))
        {
            text += &format!("    {line}\n");
        }
        text
    }
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { walk(&path, files) } else { files.push(path) }
    }
}
