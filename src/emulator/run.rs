//! The shell around the emulator: sockets, TLS, clients, recordings and script files.
//!
//! One current-thread runtime serves all clients, one task each. A client that does not read is dropped after
//! [`WRITE_TIMEOUT`]; more than [`CLIENTS_MAX`] at once are turned away.

mod door;

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, WebSocketConfig};

use super::sounds::SOUND_MAX;
use super::tokens::{Tokens, Visit};
use super::{Emulator, FrameKind, Line, Options, Output, Script, Sessions, Sound, Sounds, Voice};
use crate::units::{Hertz, Time};

/// Clients served at once.
pub const CLIENTS_MAX: usize = 16;
/// From the TCP connection to the end of the upgrade.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may leave a message unread.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client's own close frame is waited for.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// The largest client message: a still of 4 MiB in base64 fits.
const MESSAGE_MAX: usize = 8 << 20;
/// How long accepting pauses after it failed (too many open files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// The close code that stands for no close frame at all.
const CUT: u16 = 1006;

/// What a server is made of.
#[derive(Clone)]
pub struct ServeOptions {
    /// What it says.
    pub script: Arc<Script>,
    /// TLS, where wanted ([`tls`]).
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Folder for recordings: a JSON line for each message, a WAV for each turn of the user (`…-cut.wav` where the
    /// connection ended in the middle of it).
    pub record: Option<PathBuf>,
    /// Who is told what happens. Never waited for: what does not fit is lost.
    pub observer: Option<SyncSender<Observed>>,
    /// Where its times begin; now where the caller has no clock of its own.
    pub began: Instant,
}

impl ServeOptions {
    /// A server that plays `script`, without TLS, recordings and observer.
    pub fn new(script: Script) -> ServeOptions {
        ServeOptions { script: Arc::new(script), tls: None, record: None, observer: None, began: Instant::now() }
    }
}

/// Something that happened to a client.
#[derive(Clone, Debug)]
pub struct Observed {
    /// When, since [`ServeOptions::began`].
    pub at: Time,
    /// Which client, from 1.
    pub client: u64,
    /// What.
    pub news: News,
}

/// What happened to a client.
#[derive(Clone, Debug)]
pub enum News {
    /// It has come.
    Connected(SocketAddr),
    /// Something was said, or noted.
    Said(Line),
    /// It has gone; why.
    Left(String),
}

impl fmt::Display for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9.3} s  client {}  ", self.at.as_secs_f64(), self.client)?;
        match &self.news {
            News::Connected(peer) => write!(f, "+ connected from {peer}"),
            News::Said(line) => line.fmt(f),
            News::Left(how) => write!(f, "- {how}"),
        }
    }
}

/// What keeps a server from starting.
#[derive(Debug, thiserror::Error)]
pub enum ShellError {
    /// A file that cannot be read.
    #[error("cannot read {}: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system, the PEM reader or the WAV reader said.
        why: String,
    },
    /// A mistake in a script.
    #[error("{}:{}: {}; {}", path.display(), error.line, error.problem, error.right)]
    Script {
        /// Which.
        path: PathBuf,
        /// What and where.
        error: super::script::ScriptError,
    },
    /// A certificate and a key that do not make a TLS server.
    #[error("the certificate and the key cannot be used for TLS: {0}")]
    Tls(String),
}

/// A server on a thread of its own. Stops when dropped.
pub struct Running {
    /// Where it listens.
    pub addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Closes all connections and waits for the thread.
    pub fn stop(self) {}
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Serves on a thread of its own. `listen` may have port 0; [`Running::addr`] tells the real one.
pub fn spawn(listen: SocketAddr, options: ServeOptions) -> io::Result<Running> {
    let listener = std::net::TcpListener::bind(listen)?;
    listener.set_nonblocking(true)?;
    let addr = listener.local_addr()?;
    if let Some(folder) = &options.record {
        std::fs::create_dir_all(folder)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _inside = runtime.enter();
        TcpListener::from_std(listener)?
    };
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::Builder::new().name("emulator".into()).spawn(move || {
        runtime.block_on(serve(listener, options, async {
            let _ = stopped.await; // told to stop, or the owner is gone
        }));
    })?;
    Ok(Running { addr, stop: Some(stop), thread: Some(thread) })
}

/// Serves clients until `stop` ends. Connections that are still open then are cut.
pub async fn serve(listener: TcpListener, options: ServeOptions, stop: impl Future<Output = ()>) {
    let shared = Arc::new(Shared {
        options,
        clients: AtomicU64::new(0),
        next_turn: AtomicUsize::new(0),
        tokens: Tokens::default(),
        sessions: Sessions::default(),
    });
    let mut clients = JoinSet::new();
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        while clients.try_join_next().is_some() {}
        let Ok((tcp, peer)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let number = shared.clients.fetch_add(1, Ordering::Relaxed) + 1;
        shared.tell(number, News::Connected(peer));
        if clients.len() >= CLIENTS_MAX {
            shared.tell(number, News::Left(format!("turned away: {CLIENTS_MAX} clients are served already")));
            continue;
        }
        let shared = shared.clone();
        clients.spawn(async move {
            let how = attend(tcp, &shared, number).await;
            shared.tell(number, News::Left(how));
        });
    }
}

struct Shared {
    options: ServeOptions,
    clients: AtomicU64,
    /// Where scripts with `connections continue` go on.
    next_turn: AtomicUsize,
    tokens: Tokens,
    sessions: Sessions,
}

impl Shared {
    fn now(&self) -> Time {
        Time::ZERO + self.options.began.elapsed()
    }

    fn tell(&self, client: u64, news: News) {
        if let Some(observer) = &self.options.observer {
            let _ = observer.try_send(Observed { at: self.now(), client, news });
        }
    }
}

/// Serves one client; answers how it ended.
async fn attend(tcp: TcpStream, shared: &Shared, number: u64) -> String {
    let _ = tcp.set_nodelay(true);
    let Some(config) = shared.options.tls.clone() else { return upgrade(tcp, shared, number).await };
    match timeout(HANDSHAKE_TIMEOUT, TlsAcceptor::from(config).accept(tcp)).await {
        Ok(Ok(tls)) => upgrade(tls, shared, number).await,
        Ok(Err(error)) => format!("TLS failed: {error}"),
        Err(_) => "TLS took too long".into(),
    }
}

async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(stream: S, shared: &Shared, number: u64) -> String {
    let mut stream = BufReader::new(stream);
    if door::is_wanted(&mut stream).await {
        return door::serve(stream, &shared.tokens).await;
    }
    let mut options = Options { session: number, ..Options::default() };
    let mut visit = Visit::default();
    // The error's size is the library's choice.
    #[expect(clippy::result_large_err, reason = "the library wants this signature")]
    let callback = |request: &Request, response: Response| match door::enter(request) {
        Some((api, key)) => {
            visit = shared.tokens.visit(request.uri().path(), key.as_deref());
            (options.api, options.key) = (api, key);
            Ok(response)
        }
        None => Err(door::not_found()),
    };
    let config = WebSocketConfig::default().max_message_size(Some(MESSAGE_MAX)).max_frame_size(Some(MESSAGE_MAX));
    let accepted = tokio_tungstenite::accept_hdr_async_with_config(stream, callback, Some(config));
    let socket = match timeout(HANDSHAKE_TIMEOUT, accepted).await {
        Ok(Ok(socket)) => socket,
        Ok(Err(error)) => return format!("no WebSocket: {error}"),
        Err(_) => return "the upgrade took too long".into(),
    };
    if shared.options.script.continues() {
        options.first_turn = shared.next_turn.load(Ordering::Relaxed);
    }
    let emulator = Emulator::new(shared.options.script.clone(), options, shared.sessions.clone());
    let recorder = shared.options.record.as_deref().map(|folder| Recorder::new(folder, number));
    let recorder = match recorder.transpose() {
        Ok(recorder) => recorder,
        Err(error) => return format!("the recording failed: {error}"),
    };
    let mut client = Client { socket, emulator, recorder, shared, number, visit };
    let how = client.talk().await;
    client.leave();
    how
}

struct Client<'a, S> {
    socket: WebSocketStream<S>,
    emulator: Emulator,
    recorder: Option<Recorder>,
    shared: &'a Shared,
    number: u64,
    visit: Visit,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<'_, S> {
    async fn talk(&mut self) -> String {
        loop {
            // Before anything is sent: a client may leave at the first event.
            self.shared.next_turn.fetch_max(self.emulator.next_turn(), Ordering::Relaxed);
            let deadline = match self.drain().await {
                Ok(deadline) => deadline,
                Err(how) => return how,
            };
            // Without a deadline the arm is off; the value only has to exist.
            let wait = deadline.map_or(WRITE_TIMEOUT, |at| at.since(self.shared.now()));
            tokio::select! {
                message = self.socket.next() => match message {
                    Some(Ok(Message::Text(text))) => self.take(text.as_bytes()),
                    Some(Ok(Message::Binary(bytes))) => self.take(&bytes),
                    Some(Ok(Message::Close(Some(frame)))) => {
                        return format!("closed by the client: {} {}", frame.code, frame.reason);
                    }
                    Some(Ok(Message::Close(None))) | None => return "closed by the client".into(),
                    Some(Ok(_)) => {} // pings are answered by the library
                    Some(Err(error)) => return format!("lost: {error}"),
                },
                () = tokio::time::sleep(wait), if deadline.is_some() => {
                    self.emulator.handle_timeout(self.shared.now());
                }
            }
        }
    }

    /// The socket is gone: the emulator's last words go into the recording and the log.
    fn leave(&mut self) {
        self.emulator.handle_end(self.shared.now());
        loop {
            match self.emulator.poll_output() {
                Output::Cut(voice) => self.record(&voice, "-cut"),
                Output::Log(line) => self.shared.tell(self.number, News::Said(line)),
                Output::Timeout(_) => return,
                Output::Send { .. } | Output::Heard(_) | Output::Close { .. } => {} // nobody is there
            }
        }
    }

    fn record(&mut self, voice: &Voice, mark: &str) {
        if let Some(recorder) = &mut self.recorder {
            recorder.voice(voice, mark);
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let now = self.shared.now();
        if let Some(recorder) = &mut self.recorder {
            recorder.message(now, "client", bytes);
        }
        match self.visit.admit(bytes, door::unix_s()) {
            Ok(bytes) => self.emulator.handle_message(&bytes, now),
            Err(refusal) => self.emulator.refuse(refusal),
        }
    }

    /// Does all that the emulator wants; answers when it wants to be called again, or how it ended.
    async fn drain(&mut self) -> Result<Option<Time>, String> {
        loop {
            match self.emulator.poll_output() {
                Output::Send { body, frame } => {
                    if let Some(recorder) = &mut self.recorder {
                        recorder.message(self.shared.now(), "service", body.as_bytes());
                    }
                    let message = match frame {
                        FrameKind::Binary => Message::binary(body.into_bytes()),
                        FrameKind::Text => Message::text(body),
                    };
                    match timeout(WRITE_TIMEOUT, self.socket.send(message)).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => return Err(format!("lost: {error}")),
                        Err(_) => return Err("dropped: it reads nothing".into()),
                    }
                }
                Output::Heard(voice) => self.record(&voice, ""),
                Output::Cut(voice) => self.record(&voice, "-cut"),
                Output::Log(line) => self.shared.tell(self.number, News::Said(line)),
                Output::Close { code, reason } => return Err(self.close(code, reason).await),
                Output::Timeout(at) => return Ok(at),
            }
        }
    }

    async fn close(&mut self, code: u16, reason: String) -> String {
        let how = format!("was closed with {code}");
        if code == CUT {
            return how;
        }
        let frame = CloseFrame { code: CloseCode::from(code), reason: reason.into() };
        // The client's answer is read, so that the reason is not lost in a TCP reset.
        let _ = timeout(CLOSE_TIMEOUT, async {
            let _ = self.socket.close(Some(frame)).await;
            while let Some(Ok(_)) = self.socket.next().await {}
        })
        .await;
        how
    }
}

/// Writes down what one client and the service say. A failing disk ends the recording, not the conversation.
struct Recorder {
    folder: PathBuf,
    number: u64,
    messages: Option<BufWriter<File>>,
    turns: u32,
}

impl Recorder {
    fn new(folder: &Path, number: u64) -> io::Result<Recorder> {
        let file = File::create(folder.join(format!("client-{number}.jsonl")))?;
        Ok(Recorder { folder: folder.to_owned(), number, messages: Some(BufWriter::new(file)), turns: 0 })
    }

    fn message(&mut self, now: Time, from: &str, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let message = serde_json::from_str(&text).unwrap_or(Value::String(text.into_owned()));
        let line = json!({"ms": now.as_ms(), "from": from, "message": message});
        let written = self.messages.as_mut().map(|file| writeln!(file, "{line}").and_then(|()| file.flush()));
        if let Some(Err(_)) = written {
            self.messages = None;
        }
    }

    /// Writes what was heard of a turn, sample by sample; `mark` tells a turn that was cut from one that ended.
    fn voice(&mut self, voice: &Voice, mark: &str) {
        self.turns += 1;
        let path = self.folder.join(format!("client-{}-turn-{}{mark}.wav", self.number, self.turns));
        if crate::hw::wav::save(&path, voice.rate, &voice.frames).is_err() {
            self.messages = None;
        }
    }
}

/// Reads a script file and the WAV files it says (beside it), on top of the sounds given.
pub fn load(path: &Path, mut sounds: Sounds) -> Result<Script, ShellError> {
    let at = |error| ShellError::Script { path: path.to_owned(), error };
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    for (line, name) in Script::files(&text) {
        let sound = read_wav(&folder.join(&name)).map_err(|error| {
            let right = "a WAV file beside the script: mono, 16 bit, 8 to 48 kHz".to_owned();
            at(super::script::ScriptError { line, problem: error.to_string(), right })
        })?;
        sounds.insert(name, sound);
    }
    Script::parse(&text, &sounds).map_err(at)
}

fn read_wav(path: &Path) -> Result<Sound, ShellError> {
    let mut file = hound::WavReader::open(path).map_err(|error| unreadable(path, &error))?;
    let spec = file.spec();
    let right = spec.channels == 1 && spec.bits_per_sample == 16 && spec.sample_format == hound::SampleFormat::Int;
    if !right || !(8_000..=48_000).contains(&spec.sample_rate) {
        let (channels, bits, rate) = (spec.channels, spec.bits_per_sample, spec.sample_rate);
        return Err(unreadable(path, &format!("it has {channels} channels of {bits} bits at {rate} Hz")));
    }
    if u64::from(file.duration()) > u64::from(spec.sample_rate) * SOUND_MAX.as_secs() {
        return Err(unreadable(path, &format!("it is longer than {} s", SOUND_MAX.as_secs())));
    }
    let frames: Result<Vec<i16>, _> = file.samples().collect();
    let frames = frames.map_err(|error| unreadable(path, &error))?;
    Ok(Sound { rate: Hertz(spec.sample_rate), frames: frames.into(), text: String::new() })
}

/// TLS with a certificate chain and its key, both PEM files.
pub fn tls(cert: &Path, key: &Path) -> Result<Arc<rustls::ServerConfig>, ShellError> {
    let chain = CertificateDer::pem_file_iter(cert).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| unreadable(cert, &error))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| ShellError::Tls(error.to_string()))?;
    Ok(Arc::new(config))
}

fn unreadable(path: &Path, why: &impl fmt::Display) -> ShellError {
    ShellError::File { path: path.to_owned(), why: why.to_string() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use tokio_tungstenite::tungstenite::Error;
    use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

    const PATH: &str = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent";

    fn local() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    fn script(text: &str) -> Script {
        Script::parse(text, &Sounds::new()).unwrap()
    }

    /// Runs `talk` as a client of `path` on a server of its own.
    fn visit<T>(
        options: ServeOptions,
        path: &str,
        talk: impl AsyncFnOnce(Result<WebSocketStream<TcpStream>, Error>) -> T,
    ) -> T {
        let server = spawn(local(), options).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let tcp = TcpStream::connect(server.addr).await.unwrap();
            let mut request = format!("ws://{}{path}", server.addr).into_client_request().unwrap();
            request.headers_mut().insert("x-goog-api-key", "a-key".parse().unwrap());
            let joined = tokio_tungstenite::client_async(request, tcp).await;
            timeout(Duration::from_secs(20), talk(joined.map(|(socket, _)| socket))).await.unwrap()
        })
    }

    async fn next_event(socket: &mut WebSocketStream<TcpStream>) -> Value {
        match socket.next().await {
            Some(Ok(Message::Binary(bytes))) => serde_json::from_slice(&bytes).unwrap(),
            other => panic!("no binary frame: {other:?}"),
        }
    }

    #[test]
    fn a_client_is_answered_in_binary_frames_and_recorded() {
        let folder = std::env::temp_dir().join(format!("mynah-emulator-{}", std::process::id()));
        let mut options = ServeOptions::new(script("setup delay 0ms\nlatency 0ms\nturn \"Hi.\"\n caption \"Ho.\""));
        options.record = Some(folder.clone());
        visit(options, PATH, async |socket| {
            let mut socket = socket.unwrap();
            let setup = json!({"setup": {"model": "models/gemini-3.8-live",
                "realtimeInputConfig": {"automaticActivityDetection": {"disabled": true}}}});
            socket.send(Message::text(setup.to_string())).await.unwrap();
            assert_eq!(next_event(&mut socket).await, json!({"setupComplete": {}}));
            for input in [
                json!({"activityStart": {}}),
                json!({"audio": {"mimeType": "audio/pcm;rate=16000", "data": "AAABAAIA"}}),
                json!({"activityEnd": {}}),
            ] {
                socket.send(Message::text(json!({"realtimeInput": input}).to_string())).await.unwrap();
            }
            assert_eq!(next_event(&mut socket).await["serverContent"]["inputTranscription"]["text"], "Hi.");
            assert_eq!(next_event(&mut socket).await["serverContent"]["outputTranscription"]["text"], "Ho.");
        });
        let lines = std::fs::read_to_string(folder.join("client-1.jsonl")).unwrap();
        assert!(lines.lines().next().unwrap().contains("gemini-3.8-live"), "{lines}");
        let heard: Vec<i16> = hound::WavReader::open(folder.join("client-1-turn-1.wav"))
            .unwrap()
            .into_samples()
            .map(Result::unwrap)
            .collect();
        assert_eq!(heard, [0, 1, 2]);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_refused_client_gets_the_close_frame() {
        visit(ServeOptions::new(Script::echo()), PATH, async |socket| {
            let mut socket = socket.unwrap();
            socket.send(Message::text("hello")).await.unwrap();
            match socket.next().await {
                Some(Ok(Message::Close(Some(frame)))) => assert_eq!(u16::from(frame.code), 1007),
                other => panic!("no close frame: {other:?}"),
            }
        });
    }

    #[test]
    fn another_path_is_not_found() {
        visit(ServeOptions::new(Script::echo()), "/ws/v2.GenerativeService.BidiGenerateContent", async |socket| {
            match socket {
                Err(Error::Http(response)) => assert_eq!(response.status().as_u16(), 404),
                other => panic!("{other:?}"),
            }
        });
    }

    #[test]
    fn where_a_new_connection_goes_on_the_script_says() {
        for (preamble, second) in [("", "one"), ("connections continue\n", "two")] {
            let text =
                format!("{preamble}setup delay 0ms\nlatency 0ms\nturn\n caption \"one\"\nturn\n caption \"two\"");
            let server = spawn(local(), ServeOptions::new(script(&text))).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            for said in ["one", second] {
                runtime.block_on(async {
                    let tcp = TcpStream::connect(server.addr).await.unwrap();
                    let url = format!("ws://{}{PATH}?key=a-key", server.addr);
                    let (mut socket, _) = tokio_tungstenite::client_async(url, tcp).await.unwrap();
                    let setup = json!({"setup": {"model": "models/gemini-3.8-live"}});
                    socket.send(Message::text(setup.to_string())).await.unwrap();
                    next_event(&mut socket).await;
                    socket.send(Message::text(r#"{"realtimeInput":{"text":"hi"}}"#)).await.unwrap();
                    let event = next_event(&mut socket).await;
                    assert_eq!(event["serverContent"]["outputTranscription"]["text"], said, "{preamble:?}");
                });
            }
        }
    }

    #[test]
    fn what_keeps_a_script_from_loading_is_told() {
        let folder = std::env::temp_dir().join(format!("mynah-script-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("a.txt");
        assert!(load(&path, Sounds::new()).unwrap_err().to_string().contains("a.txt"));
        std::fs::write(&path, "turn\n\n say hello.wav \"Hello.\"\n").unwrap();
        let told = load(&path, Sounds::new()).unwrap_err().to_string();
        assert!(told.contains("a.txt:3: ") && told.contains("hello.wav"), "{told}");
        let spec = hound::WavSpec {
            channels: 2,
            ..hound::WavSpec {
                channels: 1,
                sample_rate: 16_000,
                bits_per_sample: 16,
                sample_format: hound::SampleFormat::Int,
            }
        };
        hound::WavWriter::create(folder.join("hello.wav"), spec).unwrap().finalize().unwrap();
        assert!(load(&path, Sounds::new()).unwrap_err().to_string().contains("2 channels"));
        let mut wav =
            hound::WavWriter::create(folder.join("hello.wav"), hound::WavSpec { channels: 1, ..spec }).unwrap();
        (0..160).for_each(|n| wav.write_sample(n as i16).unwrap());
        wav.finalize().unwrap();
        load(&path, Sounds::new()).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
    }
}
