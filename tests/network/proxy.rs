//! A network that fails on command: a TCP proxy that resets, holds, loses, slows, delays, cuts and refuses.
//!
//! It knows nothing of TLS: what it cuts, it cuts at any byte. Every connection has two threads, one a direction; they
//! look at the network's state between any two reads, so that a fault takes hold within [`LOOK_EVERY`].

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How soon a change of the network is noticed.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Bytes read at once.
const PIECE: usize = 16 << 10;

/// What becomes of bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weather {
    /// They pass.
    Fair,
    /// They pass after this time, in each direction.
    Late(Duration),
    /// So many pass a second, in each direction.
    Slow(u32),
    /// Nothing passes and nothing is taken; connections stay open.
    Held,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the service.
    Up,
    /// To the device.
    Down,
}

/// How a connection ends in the middle of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Both sides get a reset.
    Reset,
    /// Both sides get an end of file.
    Close,
}

/// The proxy; ends when dropped.
pub struct Proxy {
    /// Where the device connects.
    pub address: SocketAddr,
    network: Arc<Network>,
}

struct Network {
    upstream: Mutex<SocketAddr>,
    weather: Mutex<Weather>,
    is_refusing: AtomicBool,
    is_over: AtomicBool,
    lines: Mutex<Vec<Arc<Line>>>,
    /// Bytes that may still pass one way, and what comes then: for the newest connection when it is set.
    cut: Mutex<Option<(Way, usize, End)>>,
}

/// One connection.
struct Line {
    client: TcpStream,
    server: TcpStream,
    is_over: AtomicBool,
    /// Nothing passes, whatever the weather.
    is_held: AtomicBool,
    /// The service is gone, the device does not know: what it sends is swallowed.
    is_half_open: AtomicBool,
}

impl Proxy {
    /// A fair network to `upstream`.
    pub fn start(upstream: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let network = Arc::new(Network {
            upstream: Mutex::new(upstream),
            weather: Mutex::new(Weather::Fair),
            is_refusing: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            lines: Mutex::default(),
            cut: Mutex::default(),
        });
        let shared = network.clone();
        thread::spawn(move || accept(listener, address, &shared));
        Proxy { address, network }
    }

    /// Sends further connections to another service.
    pub fn redirect(&self, upstream: SocketAddr) {
        *self.network.upstream.lock().unwrap() = upstream;
    }

    /// Changes the weather, for all connections.
    pub fn weather(&self, weather: Weather) {
        *self.network.weather.lock().unwrap() = weather;
    }

    /// Resets all connections.
    pub fn reset(&self) {
        for line in self.network.lines.lock().unwrap().drain(..) {
            line.end(End::Reset);
        }
    }

    /// Ends the connection after so many more bytes that way, wherever in a message that is.
    pub fn cut_after(&self, way: Way, bytes: usize, end: End) {
        *self.network.cut.lock().unwrap() = Some((way, bytes, end));
    }

    /// Whether what [`Proxy::cut_after`] was told has happened.
    pub fn has_cut(&self) -> bool {
        self.network.cut.lock().unwrap().is_none()
    }

    /// The service loses all connections; the device is told nothing, and what it sends is lost.
    pub fn half_open(&self) {
        for line in self.network.lines.lock().unwrap().iter() {
            line.is_half_open.store(true, SeqCst);
            let _ = line.server.shutdown(Shutdown::Both);
        }
    }

    /// Lets nothing pass on the connections there are; new ones are fair. The service hears of the end when the device
    /// gives up, as where a router is exchanged.
    pub fn strand(&self) {
        for line in self.network.lines.lock().unwrap().iter() {
            line.is_held.store(true, SeqCst);
        }
    }

    /// Refuses connections, or takes them again. Those that are open stay.
    pub fn refuse(&self, is_refusing: bool) {
        self.network.is_refusing.store(is_refusing, SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.network.is_over.store(true, SeqCst);
        self.reset();
    }
}

fn accept(listener: TcpListener, address: SocketAddr, network: &Arc<Network>) {
    listener.set_nonblocking(true).unwrap();
    let mut listener = Some(listener);
    while !network.is_over.load(SeqCst) {
        if network.is_refusing.load(SeqCst) {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(address).ok();
            listener.iter().for_each(|listener| listener.set_nonblocking(true).unwrap());
        }
        match listener.as_ref().map(TcpListener::accept) {
            Some(Ok((client, _))) => join(client, network),
            _ => thread::sleep(LOOK_EVERY),
        }
    }
}

/// Makes a connection to the service for one of the device.
fn join(client: TcpStream, network: &Arc<Network>) {
    let upstream = *network.upstream.lock().unwrap();
    let Ok(server) = TcpStream::connect(upstream) else { return };
    for socket in [&client, &server] {
        socket.set_nonblocking(false).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(LOOK_EVERY)).unwrap();
        socket.set_write_timeout(Some(LOOK_EVERY)).unwrap();
    }
    let line = Arc::new(Line {
        client,
        server,
        is_over: AtomicBool::new(false),
        is_held: AtomicBool::new(false),
        is_half_open: AtomicBool::new(false),
    });
    let mut lines = network.lines.lock().unwrap();
    lines.retain(|line| !line.is_over.load(SeqCst));
    lines.push(line.clone());
    for way in [Way::Up, Way::Down] {
        let pump = Pump { network: network.clone(), line: line.clone(), way, queue: VecDeque::new(), has_ended: false };
        thread::spawn(move || pump.run());
    }
}

impl Line {
    fn end(&self, end: End) {
        match end {
            End::Reset => {
                for socket in [&self.client, &self.server] {
                    let _ = socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO));
                }
                // The reset goes out when the last of the two threads lets go.
                self.is_over.store(true, SeqCst);
            }
            End::Close => {
                self.is_half_open.store(true, SeqCst); // what comes still is swallowed, or the close became a reset
                let _ = self.client.shutdown(Shutdown::Write);
                let _ = self.server.shutdown(Shutdown::Write);
            }
        }
    }
}

/// Carries bytes one way.
struct Pump {
    network: Arc<Network>,
    line: Arc<Line>,
    way: Way,
    /// When each piece may pass.
    queue: VecDeque<(Instant, Vec<u8>)>,
    /// Whether nothing more comes.
    has_ended: bool,
}

impl Pump {
    fn run(mut self) {
        while !self.is_done() {
            let weather = *self.network.weather.lock().unwrap();
            let is_half_open = self.line.is_half_open.load(SeqCst);
            if weather == Weather::Held || self.line.is_held.load(SeqCst) {
                self.hold();
            } else if is_half_open && self.way == Way::Down {
                thread::sleep(LOOK_EVERY);
            } else {
                self.take(weather);
                if is_half_open {
                    self.queue.clear();
                }
                self.give(weather);
            }
        }
        if self.has_ended && self.line.is_half_open.load(SeqCst) {
            self.line.is_over.store(true, SeqCst); // the device has given it up
        }
        let _ = self.target().shutdown(Shutdown::Write);
    }

    fn is_done(&self) -> bool {
        self.line.is_over.load(SeqCst) || (self.has_ended && self.queue.is_empty())
    }

    fn source(&self) -> &TcpStream {
        if self.way == Way::Up { &self.line.client } else { &self.line.server }
    }

    fn target(&self) -> &TcpStream {
        if self.way == Way::Up { &self.line.server } else { &self.line.client }
    }

    /// Waits while nothing passes. The other end is told when the device has gone.
    fn hold(&mut self) {
        thread::sleep(LOOK_EVERY);
        if self.way == Way::Up && hung_up(&self.line.client) {
            self.line.end(End::Reset);
        }
    }

    fn take(&mut self, weather: Weather) {
        if self.has_ended || self.queue.len() > 1 << 12 {
            return thread::sleep(LOOK_EVERY);
        }
        let mut piece = [0; PIECE];
        let room = if matches!(weather, Weather::Slow(_)) { 1 } else { PIECE };
        match self.source().read(&mut piece[..room]) {
            Ok(0) => self.has_ended = true,
            Ok(length) => {
                let delay = if let Weather::Late(delay) = weather { delay } else { Duration::ZERO };
                self.queue.push_back((Instant::now() + delay, piece[..length].to_vec()));
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
            Err(_) => self.line.end(End::Reset),
        }
    }

    fn give(&mut self, weather: Weather) {
        while let Some((due, _)) = self.queue.front()
            && *due <= Instant::now()
        {
            let Some((_, mut piece)) = self.queue.pop_front() else { return };
            let end = self.cut(&mut piece);
            if !self.write(&piece) {
                return self.line.end(End::Reset);
            }
            if let Some(end) = end {
                return self.line.end(end);
            }
            if let Weather::Slow(bytes_per_s) = weather {
                thread::sleep(Duration::from_secs(1) / bytes_per_s);
            }
        }
    }

    /// Shortens the piece where the connection is to be cut in it; answers how.
    fn cut(&self, piece: &mut Vec<u8>) -> Option<End> {
        let mut cut = self.network.cut.lock().unwrap();
        let (way, left, end) = (*cut)?;
        if way != self.way {
            return None;
        }
        if left > piece.len() {
            *cut = Some((way, left - piece.len(), end));
            return None;
        }
        piece.truncate(left);
        *cut = None;
        Some(end)
    }

    fn write(&self, mut piece: &[u8]) -> bool {
        while !piece.is_empty() && !self.line.is_over.load(SeqCst) {
            match self.target().write(piece) {
                Ok(length) => piece = &piece[length..],
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
                Err(_) => return false,
            }
        }
        true
    }
}

/// Whether the peer has closed, whatever it sent before that is still unread.
fn hung_up(socket: &TcpStream) -> bool {
    let mut poll = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLRDHUP, revents: 0 };
    // SAFETY: one pollfd, which lives across the call.
    let ready = unsafe { libc::poll(&raw mut poll, 1, 0) };
    ready > 0 && poll.revents & (libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR) != 0
}
