//! People who look at the panel, and one who means harm to it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::clock::sleep_ms;

/// Those who look on and mean nothing by it.
const VIEWERS: u64 = 50;
/// Requests that the hostile one begins and never ends.
const HALVES: usize = 40;
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

    /// The lines of an agent file.
    pub fn agent(&self) -> String {
        format!("[panel]\nlisten = \"{}\"\n\n", self.at)
    }

    /// Guests come, and stay until the answer is dropped.
    pub fn visit(&self, guest: Guest) -> Result<Party> {
        let party = Party { is_over: Arc::default(), seen: Arc::default(), threads: Vec::new() };
        let mut party = (0..VIEWERS).try_fold(party, |mut party, _| {
            let (mut stream, is_over, seen) = (self.ask("GET /api/events")?, party.is_over.clone(), party.seen.clone());
            party.threads.push(thread::spawn(move || look_on(&mut stream, &is_over, &seen)));
            anyhow::Ok(party)
        })?;
        if guest == Guest::Hostile {
            let (at, is_over) = (self.at, party.is_over.clone());
            party.threads.push(thread::spawn(move || harm(at, &is_over)));
        }
        sleep_ms(500.0);
        party.check()?;
        Ok(party)
    }

    fn ask(&self, what: &str) -> Result<TcpStream> {
        let mut stream = TcpStream::connect(self.at).context("the panel does not listen")?;
        stream.set_read_timeout(Some(Duration::from_millis(200)))?;
        write!(stream, "{what} HTTP/1.1\r\nHost: {}\r\n\r\n", self.at)?;
        Ok(stream)
    }
}

/// Guests at the panel.
pub struct Party {
    is_over: Arc<AtomicBool>,
    seen: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Party {
    /// The viewers have been shown something since they were asked last; one whose line ended ends its thread.
    ///
    /// # Errors
    /// Nothing was shown, or somebody was sent away.
    pub fn check(&self) -> Result<()> {
        ensure!(self.seen.swap(0, Ordering::Relaxed) > 0, "the viewers were shown nothing");
        let gone = self.threads.iter().filter(|thread| thread.is_finished()).count();
        ensure!(gone == 0, "{gone} viewers were sent away");
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

/// One harm after the other; what the panel refuses is tried again.
fn harm(at: SocketAddr, is_over: &AtomicBool) {
    let mut halves: Vec<TcpStream> = Vec::new();
    for round in 0_usize.. {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        thread::sleep(PAUSE);
        let Ok(mut stream) = TcpStream::connect_timeout(&at, Duration::from_millis(100)) else { continue };
        let _ = stream.set_write_timeout(Some(Duration::from_millis(20)));
        let said = match round % 5 {
            0 => format!("POST /login HTTP/1.1\r\nHost: {at}\r\nContent-Length: 12\r\n\r\nsecret=guess"),
            1 => "\u{1}\u{2}nonsense".repeat(4000),
            2 => format!(
                "POST /api/do HTTP/1.1\r\nHost: {at}\r\nContent-Length: 999999999\r\n\r\n{}",
                "x".repeat(65_536)
            ),
            3 => format!("GET / HTTP/1.1\r\nHost: {at}\r\n\r\n").repeat(200), // and reads none of them
            _ => format!("GET / HTTP/1.1\r\nHost: {at}\r\nX-Slow: "),
        };
        let _ = stream.write_all(said.as_bytes());
        if round % 5 == 4 {
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
