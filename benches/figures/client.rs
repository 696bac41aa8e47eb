//! The program under test: its files, its process, its button.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::clock::{now_ns, sleep_ms};
use crate::server::{Kind, Server};

/// Where everything lies and what is started.
pub struct Setting {
    /// Folder of the rig: card/, cert.pem, ca.pem, mynah.toml, board.toml, lines/.
    pub folder: PathBuf,
    /// The release binary; none: the bench's own bare client.
    pub mynah: Option<PathBuf>,
}

impl Setting {
    /// Writes the agent file, with `more` at its end, and the board profile, and makes the button's FIFO.
    pub fn prepare(&self, port: u16, more: &str) -> Result<()> {
        let folder = self.folder.display();
        let path = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent";
        // No sounds of the device's own: what answers a press would be taken for the reply that it cuts.
        let agent = format!(
            "endpoint = \"wss://127.0.0.1:{port}{path}\"\nextra_ca = \"{folder}/ca.pem\"\n\n\
             [listen]\nmode = \"push_to_talk\"\nbutton = \"hold\"\nturn_max_s = 600\ndead_mic_s = 600\n\n\
             [speak]\ncues = \"off\"\n\n{more}"
        );
        fs::write(self.folder.join("mynah.toml"), agent)?;
        // No debounce: a FIFO does not bounce; what a switch needs comes on top of the figures.
        let board = format!(
            "description = \"the bench's virtual card\"\ndriver = \"files\"\nfolder = \"{folder}/lines\"\n\n\
             [capture]\npcm = \"vmic\"\nperiod_ms = 10\n\n[playback]\npcm = \"vspk\"\nperiod_ms = 10\n\n\
             [lines.talk]\ndirection = \"input\"\ndebounce_ms = 0\n\n\
             [lines.led]\ndirection = \"output\"\n\n[lines.lamp]\ndirection = \"output\"\n"
        );
        fs::write(self.folder.join("board.toml"), board)?;
        fs::create_dir_all(self.folder.join("lines"))?;
        let fifo = self.folder.join("lines/talk");
        if !fifo.exists() {
            let made = Command::new("mkfifo").arg(&fifo).status()?;
            ensure!(made.success(), "mkfifo {} failed", fifo.display());
        }
        Ok(())
    }

    fn command(&self, port: u16) -> Result<Command> {
        let mut command = match &self.mynah {
            Some(mynah) => {
                let mut command = Command::new(mynah);
                command.arg("run").arg("--config").arg(self.folder.join("mynah.toml"));
                command.arg("--board").arg(self.folder.join("board.toml"));
                command
            }
            None => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("--bare-client").arg(port.to_string()).arg(&self.folder);
                command
            }
        };
        command.env("ALSA_CONFIG_PATH", self.folder.join("card/asoundrc"));
        command.env("GEMINI_API_KEY", "bench-key");
        command.stdin(Stdio::null());
        let log = File::options().append(true).create(true).open(self.folder.join("client.log"))?;
        command.stdout(log.try_clone()?).stderr(log);
        // SAFETY: prctl only; the client must not outlive a bench that is killed.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        Ok(command)
    }

    /// Starts the client and waits for its setup. Answers it and the nanoseconds from start to setup.
    pub fn start(&self, server: &Server) -> Result<(Client, i64)> {
        let mut command = self.command(server.port)?;
        let from = server.mark();
        let started_ns = now_ns();
        let child = command.spawn().with_context(|| format!("{:?} cannot be started", command.get_program()))?;
        let client = Client { child, button: Button::open(&self.folder)? };
        let setup = server.expect(from, 10_000, &Kind::Setup);
        let setup = setup.with_context(|| format!("see {}", self.folder.join("client.log").display()))?;
        Ok((client, setup.at_ns - started_ns))
    }
}

/// The button: a FIFO of the `files` line driver.
pub struct Button(File);

impl Button {
    fn open(folder: &Path) -> Result<Button> {
        // Read and write: neither side's absence then blocks or ends the FIFO.
        let options =
            File::options().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(folder.join("lines/talk"));
        Ok(Button(options?))
    }

    fn write(&mut self, level: &[u8]) -> Result<i64> {
        let at_ns = now_ns();
        self.0.write_all(level)?;
        Ok(at_ns)
    }

    /// Presses; answers when.
    pub fn press(&mut self) -> Result<i64> {
        self.write(b"1\n")
    }

    /// Lets go; answers when.
    pub fn release(&mut self) -> Result<i64> {
        self.write(b"0\n")
    }
}

/// The running client.
pub struct Client {
    child: Child,
    /// Its talk button.
    pub button: Button,
}

impl Client {
    fn proc(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.child.id()))
    }

    /// Processor time of all its threads, ns.
    pub fn cpu_ns(&self) -> Result<i64> {
        let mut sum = 0;
        for thread in fs::read_dir(self.proc("task"))? {
            let text = fs::read_to_string(thread?.path().join("schedstat"))?;
            sum += text.split(' ').next().and_then(|ns| ns.parse::<i64>().ok()).unwrap_or_default();
        }
        Ok(sum)
    }

    /// Resident memory now and at its highest, MB (1e6 bytes).
    pub fn memory_mb(&self) -> Result<(f64, f64)> {
        let status = fs::read_to_string(self.proc("status"))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<f64>().ok()
        };
        Ok((field("VmRSS:").unwrap_or(f64::NAN) * 1024.0 / 1e6, field("VmHWM:").unwrap_or(f64::NAN) * 1024.0 / 1e6))
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // SAFETY: our own child, not yet waited for.
        unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) };
        for _ in 0..300 {
            if !self.is_alive() {
                return;
            }
            sleep_ms(10.0);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
