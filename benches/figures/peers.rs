//! Bad company for the tools: servers and a broker that hang, that flood, that are not there.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::Result;

/// What is wrong with everybody that the tools ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Connections are taken and nothing is ever said.
    Hang,
    /// Server and broker each send [`FLOOD_BYTES`] every [`FLOOD_EVERY`] to whoever connects.
    Flood,
    /// Nobody listens.
    Down,
}

/// With [`FLOOD_EVERY`] 100 Mbit/s, what a small board's network brings: without a limit it would be measured how a
/// bench on the same machine takes its processor.
const FLOOD_BYTES: usize = 125_000;
const FLOOD_EVERY: Duration = Duration::from_millis(10);

/// The topic that the broker floods.
const TOPIC: &str = "bench/state";

impl Wrong {
    /// All of them.
    pub const ALL: [Wrong; 3] = [Wrong::Hang, Wrong::Flood, Wrong::Down];

    /// What follows "tools": "tools hang".
    pub fn word(self) -> &'static str {
        match self {
            Wrong::Hang => "tools hang",
            Wrong::Flood => "tools flood",
            Wrong::Down => "tools down",
        }
    }

    /// Starts the server and the broker, which live as long as the bench, and answers the lines of an agent file with
    /// the tools that ask them.
    pub fn agent(self) -> Result<String> {
        let (server, broker) = match self {
            Wrong::Hang => (serve(hang)?, serve(hang)?),
            Wrong::Flood => (serve(flood_answer)?, serve(flood_topic)?),
            Wrong::Down => (free_port()?, free_port()?),
        };
        let mut agent = format!(
            "[mqtt]\nhost = \"127.0.0.1\"\nport = {broker}\nversion = \"3.1.1\"\npresence = \"off\"\n\n\
             [http]\nhosts = [\"127.0.0.1:{server}\"]\n\n"
        );
        let ask = format!("http = \"GET\", url = \"http://127.0.0.1:{server}/\"");
        let tell = "mqtt = \"publish\", topic = \"bench/set\", payload = \"1\"".to_owned();
        let read = format!("mqtt = \"read\", state_topic = \"{TOPIC}\"");
        for (name, action) in TOOLS.into_iter().zip([ask, tell, read]) {
            agent += &format!(
                "[[tools]]\nname = \"{name}\"\ndescription = \"Asks somebody.\"\nbehavior = \"non_blocking\"\n\
                 timeout_ms = 60000\npolicy = {{ order = \"parallel\", per_minute = 600 }}\naction = {{ {action} }}\n\n"
            );
        }
        Ok(agent)
    }
}

/// The tools of [`Wrong::agent`].
pub const TOOLS: [&str; 3] = ["ask_server", "tell_broker", "read_topic"];

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A server that does `what` with every connection.
fn serve(what: fn(&mut TcpStream) -> std::io::Result<()>) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || what(&mut stream)); // ends with the connection
        }
    });
    Ok(port)
}

fn hang(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut rest = [0; 1024];
    while stream.read(&mut rest)? > 0 {}
    Ok(())
}

fn flood(stream: &mut TcpStream, piece: &[u8]) -> std::io::Result<()> {
    let batch: Vec<u8> = piece.repeat(FLOOD_BYTES / piece.len());
    loop {
        stream.write_all(&batch)?;
        thread::sleep(FLOOD_EVERY);
    }
}

/// An answer without an end.
fn flood_answer(stream: &mut TcpStream) -> std::io::Result<()> {
    let _ = stream.read(&mut [0; 4096])?;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")?;
    flood(stream, &[b'x'; 1000])
}

/// A broker (MQTT 3.1.1, bytes by hand) that says welcome, and then one state after the other.
fn flood_topic(stream: &mut TcpStream) -> std::io::Result<()> {
    let _ = stream.read(&mut [0; 4096])?; // CONNECT, from a client that waits for its answer
    stream.write_all(&[0x20, 2, 0, 0])?;
    let _ = stream.read(&mut [0; 4096])?; // SUBSCRIBE
    let mut publish = vec![0x30, (2 + TOPIC.len() + 20) as u8, 0, TOPIC.len() as u8];
    publish.extend(TOPIC.as_bytes());
    publish.extend([b'1'; 20]);
    flood(stream, &publish)
}
