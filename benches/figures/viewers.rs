//! People who look at the panel, and one who means harm to it.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::clock::sleep_ms;

/// Those who look on and mean nothing by it.
const VIEWERS: u64 = 50;
/// Requests that the hostile one begins and never ends; the panel takes 64 connections, and others of its are to find a place.
const HALVES: usize = 8;
/// What the viewers show, and the hostile one does not know.
const PASSWORD: &str = "the bench's own";
/// Between two of its other requests, some hundred a second: without a pause it would be measured how a bench on the same
/// machine takes its processor.
const PAUSE: Duration = Duration::from_millis(2);

/// Who is at the panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guest {
    /// Fifty browsers that show what happens.
    Viewers,
    /// Those, and a program that guesses passwords, sends rubbish and bodies without an end, asks for pages that it does not
    /// read, and keeps requests open.
    Hostile,
}

impl Guest {
    /// What stands in the table.
    pub fn word(self) -> &'static str {
        match self {
            Guest::Viewers => "50 viewers",
            Guest::Hostile => "a hostile one, too",
        }
    }
}

/// The panel of the program under test.
pub struct Panel {
    at: SocketAddr,
}

impl Panel {
    /// A place for it.
    pub fn new() -> Result<Panel> {
        Ok(Panel { at: TcpListener::bind("127.0.0.1:0")?.local_addr()? })
    }

    /// The lines of an agent file; the password is put into a file of this folder.
    pub fn agent(&self, folder: &Path) -> Result<String> {
        let secret = folder.join("panel.secret");
        fs::write(&secret, PASSWORD)?;
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
        Ok(format!("[panel]\nlisten = \"{}\"\nsecret_file = \"{}\"\n\n", self.at, secret.display()))
    }

    /// Guests come, and stay until the answer is dropped.
    pub fn visit(&self, guest: Guest) -> Result<Party> {
        let mut party =
            Party { is_over: Arc::default(), seen: Vec::new(), answered: Arc::default(), threads: Vec::new() };
        for _ in 0..VIEWERS {
            let (mut stream, is_over, seen) = (self.look()?, party.is_over.clone(), Arc::<AtomicU64>::default());
            party.seen.push(seen.clone());
            party.threads.push(thread::spawn(move || look_on(&mut stream, &is_over, &seen)));
        }
        if guest == Guest::Hostile {
            let (at, is_over, answered) = (self.at, party.is_over.clone(), party.answered.clone());
            party.threads.push(thread::spawn(move || harm(at, &is_over, &answered)));
        }
        sleep_ms(500.0);
        party.check(Guest::Viewers)?;
        Ok(party)
    }

    fn look(&self) -> Result<TcpStream> {
        let mut stream = TcpStream::connect(self.at).context("the panel does not listen")?;
        stream.set_read_timeout(Some(Duration::from_millis(200)))?;
        write!(stream, "GET /api/events HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {PASSWORD}\r\n\r\n", self.at)?;
        let mut status = [0; 12];
        stream.read_exact(&mut status).context("the panel does not answer")?;
        ensure!(status == *b"HTTP/1.1 200", "the panel answers {}", String::from_utf8_lossy(&status));
        Ok(stream)
    }
}

/// Guests at the panel.
pub struct Party {
    is_over: Arc<AtomicBool>,
    /// How often each viewer was told something since the last look.
    seen: Vec<Arc<AtomicU64>>,
    /// How often each harm of the hostile one was answered.
    answered: Arc<[AtomicU64; HARMS]>,
    threads: Vec<JoinHandle<()>>,
}

impl Party {
    /// Each viewer has been told something since they were asked last, and what the hostile one did has come through.
    ///
    /// # Errors
    /// Otherwise: then nothing was measured.
    pub fn check(&self, guest: Guest) -> Result<()> {
        let blind = self.seen.iter().filter(|seen| seen.swap(0, Ordering::Relaxed) == 0).count();
        ensure!(blind == 0, "{blind} viewers were told nothing");
        let gone = self.threads.iter().filter(|thread| thread.is_finished()).count();
        ensure!(gone == 0, "{gone} viewers were sent away");
        if guest == Guest::Hostile {
            let answered: Vec<u64> = self.answered.iter().map(|count| count.load(Ordering::Relaxed)).collect();
            eprintln!("answers to passwords, rubbish, endless bodies, many requests at once: {answered:?}");
            ensure!(answered.iter().all(|count| *count > 0), "some harm never came through: {answered:?}");
        }
        Ok(())
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn look_on(stream: &mut TcpStream, is_over: &AtomicBool, seen: &AtomicU64) {
    let mut page = [0; 16_384];
    while !is_over.load(Ordering::Relaxed) {
        match stream.read(&mut page) {
            Ok(0) => return,
            Ok(_) => drop(seen.fetch_add(1, Ordering::Relaxed)),
            Err(_) => {} // nothing new
        }
    }
}

/// What the hostile one does that gets an answer: wrong passwords, rubbish, a body without an end, and more requests than
/// it reads answers.
const HARMS: usize = 4;

/// One harm after the other, and requests that never end beside them; what the panel refuses is tried again.
fn harm(at: SocketAddr, is_over: &AtomicBool, answered: &[AtomicU64; HARMS]) {
    let said = [
        format!(
            "POST /login HTTP/1.1\r\nHost: {at}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 12\r\n\r\nsecret=guess"
        ),
        "\u{1}\u{2}nonsense\r\n\r\n".to_string(),
        format!(
            "POST /api/do HTTP/1.1\r\nHost: {at}\r\nX-Mynah: 1\r\nAuthorization: Bearer wrong\r\nContent-Length: 999999999\r\n\r\n{}",
            "x".repeat(65_536)
        ),
        format!("GET /login HTTP/1.1\r\nHost: {at}\r\n\r\n").repeat(200),
    ];
    let mut halves: Vec<TcpStream> = Vec::new();
    for round in 0_usize.. {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        thread::sleep(PAUSE);
        let Ok(mut stream) = TcpStream::connect_timeout(&at, Duration::from_millis(100)) else { continue };
        let _ = stream.set_write_timeout(Some(Duration::from_millis(20)));
        let _ = stream.set_read_timeout(Some(Duration::from_millis(20)));
        let kind = round % (HARMS + 1);
        if let (Some(said), Some(answered)) = (said.get(kind), answered.get(kind)) {
            let _ = stream.write_all(said.as_bytes());
            let mut status = [0; 5];
            if stream.read_exact(&mut status).is_ok() && status == *b"HTTP/" {
                answered.fetch_add(1, Ordering::Relaxed);
            }
        } else if write!(stream, "GET /login HTTP/1.1\r\nHost: {at}\r\nX-Slow: ").is_ok() {
            halves.push(stream);
            if halves.len() > HALVES {
                halves.remove(0);
            }
        }
        for half in &mut halves {
            let _ = half.write_all(b"x");
        }
    }
}
