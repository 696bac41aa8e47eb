//! The link thread: one current-thread tokio runtime that owns the socket. It has no policy.
//!
//! It opens, sends and closes when told, and tells what came. Reading and writing go on side by side, so that
//! a server that does not read cannot keep us from hearing it, and pings are answered while we send.

pub mod connect;
pub mod doorman;
pub mod http;
pub mod mint;
pub mod probe;
pub mod wall;

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use futures_util::{Sink, SinkExt, StreamExt};
use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Error as WsError, Message as Frame};

use self::connect::{Connector, Purpose};
pub use self::doorman::Access;
use self::doorman::Doorman;
use super::close::Closing;
use super::credential::Credential;
use super::diagnose::{Failure, Step};
use super::{client, server};
use crate::bell::Bell;
use crate::config::agent::endpoint::Endpoint;
use crate::flow::{LinkEvent, LinkOrder, LinkReport};
use crate::hw::reach::Stream;
use crate::hw::tls;

/// A token and a connection together; the core gives up a second later.
const OPEN_TIMEOUT: Duration = Duration::from_secs(14);
/// One message into the socket: no room for it in all this time means that nothing gets through.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the other side's part of a close is waited for. The service refuses to go on with a conversation
/// beside a living socket; a reply takes one round trip, and who speaks meanwhile should not wait for long.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
/// Signs of life are told this often at most: a server that pings without end must not fill the queue.
const ALIVE_EVERY: Duration = Duration::from_secs(1);

/// What the thread needs.
pub struct Parts {
    /// Where to.
    pub endpoint: Endpoint,
    /// What is shown to be let in; travels in a header, and nowhere else.
    pub access: Access,
    /// More certificates to trust, PEM.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// From the core; capacity [`crate::flow::LINK_ORDERS_MAX`].
    pub orders: Receiver<LinkOrder>,
    /// To the core; capacity [`crate::flow::LINK_EVENTS_MAX`].
    pub events: Sender<LinkReport>,
    /// Ends the connection at once where `orders` is full and `Close` finds no room.
    pub hang_up: Arc<Notify>,
    /// Rung after each event.
    pub core_bell: Bell,
}

/// Starts the thread. It ends when the sending side of `orders` is dropped.
///
/// # Errors
/// Certificates that cannot be read, a key or a broker's address that is none, or a thread that cannot be made.
pub fn spawn(parts: Parts) -> io::Result<JoinHandle<()>> {
    let tls = TlsConnector::from(Arc::new(tls::config(parts.extra_ca_pem.as_deref())?));
    let doorman = Doorman::new(parts.access, &tls).map_err(io::Error::other)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(2).build()?;
    let link = Link {
        connector: Connector { endpoint: parts.endpoint, tls, purpose: Purpose::Service },
        events: parts.events,
        hang_up: parts.hang_up,
        core_bell: parts.core_bell,
    };
    let orders = parts.orders;
    thread::Builder::new().name("link".into()).spawn(move || {
        runtime.block_on(link.serve(doorman, orders));
        // A name look-up that hangs must not keep the program from ending.
        runtime.shutdown_background();
    })
}

fn request(endpoint: &Endpoint, credential: &Credential) -> Result<Request, String> {
    let mut request = credential.url(&endpoint.url).into_client_request().map_err(|e| e.to_string())?;
    let (name, secret) = credential.header();
    request.headers_mut().insert(name, http::header_value(secret.reveal())?);
    Ok(request)
}

struct Link {
    connector: Connector,
    events: Sender<LinkReport>,
    hang_up: Arc<Notify>,
    core_bell: Bell,
}

/// Why a connection is over.
enum End {
    /// Tell the core.
    Closed(Closing),
    /// The core asked for it, or is gone.
    Wanted,
    /// The core wants another one instead.
    Next(Opening),
}

/// An order to open a connection.
#[derive(Clone, Copy)]
struct Opening {
    attempt: u32,
    is_same_token: bool,
}

impl Link {
    async fn serve(&self, mut doorman: Doorman, mut orders: Receiver<LinkOrder>) {
        while let Some(order) = orders.recv().await {
            // Anything else is for a connection that has ended meanwhile.
            let LinkOrder::Open { attempt, is_same_token } = order else { continue };
            let mut opening = Opening { attempt, is_same_token };
            loop {
                match self.one_connection(opening, &mut doorman, &mut orders).await {
                    End::Next(next) => opening = next,
                    End::Wanted => break,
                    End::Closed(closing) => {
                        self.tell(opening.attempt, LinkEvent::Down(closing)).await;
                        break;
                    }
                }
            }
        }
    }

    async fn one_connection(&self, opening: Opening, doorman: &mut Doorman, orders: &mut Receiver<LinkOrder>) -> End {
        let connected = tokio::select! {
            connected = timeout(OPEN_TIMEOUT, self.open(opening, doorman)) => connected,
            end = given_up(orders) => return end,
        };
        match connected {
            Ok(Ok(socket)) => self.talk(opening.attempt, socket, orders).await,
            Ok(Err(closing)) => End::Closed(closing),
            Err(_) => End::Closed(self.connector.judge(&Failure::Late(Step::Tcp))),
        }
    }

    async fn open(&self, opening: Opening, doorman: &mut Doorman) -> Result<WebSocketStream<Stream>, Closing> {
        let credential = doorman.credential(opening.is_same_token).await?;
        let request = request(&self.connector.endpoint, &credential).map_err(Closing::Network)?;
        self.connector.connect(request).await
    }

    async fn talk(&self, attempt: u32, socket: WebSocketStream<Stream>, orders: &mut Receiver<LinkOrder>) -> End {
        self.tell(attempt, LinkEvent::Connected).await;
        let (mut sink, mut stream) = socket.split();
        let end = tokio::select! {
            end = self.listen(attempt, &mut stream) => end,
            end = send(&mut sink, orders) => end,
            () = self.hang_up.notified() => return End::Wanted,
        };
        // Orders that come meanwhile wait in their queue.
        let _ = match end {
            End::Wanted | End::Next(_) => timeout(CLOSE_TIMEOUT, part(&mut sink, &mut stream)).await,
            // The library has the answer to a close frame ready, but does not send it by itself.
            End::Closed(Closing::Frame { .. }) => timeout(CLOSE_TIMEOUT, async { drop(sink.flush().await) }).await,
            End::Closed(_) => Ok(()),
        };
        end
    }

    async fn listen(
        &self,
        attempt: u32,
        stream: &mut (impl futures_util::Stream<Item = Result<Frame, WsError>> + Unpin),
    ) -> End {
        let mut reader = server::Reader::default();
        let mut alive_at: Option<Instant> = None;
        loop {
            let bytes = match stream.next().await {
                Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => {
                    if alive_at.is_none_or(|at| at.elapsed() >= ALIVE_EVERY) {
                        alive_at = Some(Instant::now());
                        self.tell(attempt, LinkEvent::Alive).await;
                    }
                    continue;
                }
                next => match bytes_of(next) {
                    Ok(Some(bytes)) => bytes,
                    Ok(None) => continue,
                    Err(closing) => return End::Closed(closing),
                },
            };
            let event = match reader.read(&bytes) {
                Ok(message) => {
                    if !message.unknown.is_empty() {
                        tracing::debug!(kinds = ?message.unknown, "the server sent kinds that are not known here");
                    }
                    LinkEvent::Message(Box::new(message))
                }
                Err(garbage) => LinkEvent::Garbage(garbage.to_string()),
            };
            self.tell(attempt, event).await;
        }
    }

    async fn tell(&self, attempt: u32, event: LinkEvent) {
        // The core is gone only when the program ends.
        let _ = self.events.send(LinkReport { attempt, event }).await;
        self.core_bell.ring();
    }
}

/// Ends when the core gives up the connection that is being made.
async fn given_up(orders: &mut Receiver<LinkOrder>) -> End {
    loop {
        match orders.recv().await {
            Some(LinkOrder::Send(_) | LinkOrder::Ping) => {}
            Some(LinkOrder::Open { attempt, is_same_token }) => return End::Next(Opening { attempt, is_same_token }),
            Some(LinkOrder::Close) | None => return End::Wanted,
        }
    }
}

async fn send(sink: &mut (impl Sink<Frame, Error = WsError> + Unpin), orders: &mut Receiver<LinkOrder>) -> End {
    let mut text = String::new();
    loop {
        let frame = match orders.recv().await {
            Some(LinkOrder::Send(message)) => {
                client::encode(&message, &mut text);
                Frame::text(text.as_str())
            }
            Some(LinkOrder::Ping) => Frame::Ping(Vec::new().into()),
            Some(LinkOrder::Open { attempt, is_same_token }) => return End::Next(Opening { attempt, is_same_token }),
            Some(LinkOrder::Close) | None => return End::Wanted,
        };
        match timeout(SEND_TIMEOUT, sink.send(frame)).await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => return End::Closed(closing_of(e)),
            Err(_) => return End::Closed(Closing::Network("the network does not take what is sent".into())),
        }
    }
}

/// Says goodbye and reads on until the other side has done so too; what it says is of no interest any more.
async fn part<K, T>(sink: &mut K, stream: &mut T)
where
    K: Sink<Frame, Error = WsError> + Unpin,
    T: futures_util::Stream<Item = Result<Frame, WsError>> + Unpin,
{
    let goodbye = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    if sink.send(Frame::Close(Some(goodbye))).await.is_ok() {
        while stream.next().await.is_some_and(|frame| frame.is_ok_and(|frame| !frame.is_close())) {}
    }
}

/// The message that a frame brings, where it brings one.
///
/// # Errors
/// How the connection ended.
fn bytes_of(next: Option<Result<Frame, WsError>>) -> Result<Option<Bytes>, Closing> {
    match next {
        Some(Ok(Frame::Text(text))) => Ok(Some(text.into())),
        Some(Ok(Frame::Binary(bytes))) => Ok(Some(bytes)),
        Some(Ok(Frame::Close(frame))) => {
            let (code, reason) = frame.map_or((1005, String::new()), |f| (f.code.into(), f.reason.to_string()));
            Err(Closing::Frame { code, reason })
        }
        Some(Ok(_)) => Ok(None),
        Some(Err(e)) => Err(closing_of(e)),
        None => Err(Closing::Network("the connection ended without a word".into())),
    }
}

fn closing_of(error: WsError) -> Closing {
    match error {
        WsError::Http(response) => Closing::Http(response.status().as_u16()),
        // The library's words for this are a link to its manual.
        WsError::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
            Closing::Network("the connection ended without a word".into())
        }
        WsError::Io(e) => Closing::Network(format!("the connection broke ({e})")),
        other => Closing::Network(format!("the connection broke ({other})")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::agent::endpoint;
    use crate::live::credential::Secret;
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use tokio_tungstenite::tungstenite::protocol::Role;
    use tokio_tungstenite::tungstenite::{WebSocket, accept};

    /// A link to this machine's `port`, and its other ends.
    struct Rig {
        orders: Sender<LinkOrder>,
        reports: Receiver<LinkReport>,
        thread: Option<JoinHandle<()>>,
    }

    impl Rig {
        fn new(listener: &TcpListener) -> Rig {
            let url =
                format!("ws://{}/ws/v1beta.GenerativeService.BidiGenerateContent", listener.local_addr().unwrap());
            let (orders, received) = tokio::sync::mpsc::channel(16);
            let (events, reports) = tokio::sync::mpsc::channel(16);
            let parts = Parts {
                endpoint: endpoint::parse(&url).unwrap(),
                access: Access::Key(Secret::new("a-key")),
                extra_ca_pem: None,
                orders: received,
                events,
                hang_up: Arc::default(),
                core_bell: Bell::new(),
            };
            Rig { orders, reports, thread: Some(spawn(parts).unwrap()) }
        }

        fn order(&self, order: LinkOrder) {
            self.orders.blocking_send(order).unwrap();
        }

        fn open(&self, attempt: u32) {
            self.order(LinkOrder::Open { attempt, is_same_token: false });
        }

        /// The next report, as attempt and event.
        fn next(&mut self) -> (u32, LinkEvent) {
            let report = self.reports.blocking_recv().unwrap();
            (report.attempt, report.event)
        }

        /// Lets the thread end; answers what else it had to say.
        fn end(mut self) -> Vec<LinkEvent> {
            let (unused, _) = tokio::sync::mpsc::channel(1);
            drop(std::mem::replace(&mut self.orders, unused));
            self.thread.take().unwrap().join().unwrap();
            std::iter::from_fn(|| self.reports.blocking_recv()).map(|report| report.event).collect()
        }
    }

    fn listener() -> TcpListener {
        TcpListener::bind("127.0.0.1:0").unwrap()
    }

    fn accepted(listener: &TcpListener) -> WebSocket<TcpStream> {
        let socket = listener.accept().unwrap().0;
        // A link that stands still fails a test instead of holding it up.
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        accept(socket).unwrap()
    }

    /// Whether somebody has knocked within 100 ms.
    fn is_knocking(listener: &TcpListener) -> bool {
        let mut wanted =
            libc::pollfd { fd: std::os::fd::AsRawFd::as_raw_fd(listener), events: libc::POLLIN, revents: 0 };
        // SAFETY: one valid pollfd, and its count.
        unsafe { libc::poll(&raw mut wanted, 1, 100) == 1 }
    }

    #[test]
    fn the_old_connection_is_closed_before_the_new_one_opens_and_what_it_still_says_is_dropped() {
        let listener = listener();
        for is_close_ordered in [true, false] {
            let mut rig = Rig::new(&listener);
            rig.open(1);
            let mut old = accepted(&listener);
            assert!(matches!(rig.next(), (1, LinkEvent::Connected)));
            if is_close_ordered {
                rig.order(LinkOrder::Close);
            }
            rig.open(2);
            let Frame::Close(Some(frame)) = old.read().unwrap() else { panic!("no close frame") };
            assert_eq!(frame.code, CloseCode::Normal);
            assert!(!is_knocking(&listener), "the new connection came beside the old one");
            // Our answer to the close is still held back; the last words come before it.
            let mut bare = WebSocket::from_raw_socket(old.get_ref().try_clone().unwrap(), Role::Server, None);
            bare.send(Frame::text(r#"{"serverContent":{"turnComplete":true}}"#)).unwrap();
            drop(bare);
            let _ = old.flush();
            let mut new = accepted(&listener);
            assert!(matches!(rig.next(), (2, LinkEvent::Connected)));
            new.close(None).unwrap();
            let (2, LinkEvent::Down(Closing::Frame { code: 1005, .. })) = rig.next() else { panic!() };
            assert!(new.read().is_ok_and(|frame| frame.is_close()), "the server's close frame is answered");
            assert_eq!(rig.end().len(), 0);
        }
    }

    #[test]
    fn a_server_that_does_not_answer_the_close_is_not_waited_for_long() {
        let listener = listener();
        let mut rig = Rig::new(&listener);
        rig.open(1);
        let old = accepted(&listener);
        assert!(matches!(rig.next(), (1, LinkEvent::Connected)));
        rig.order(LinkOrder::Close);
        rig.open(2);
        let began = std::time::Instant::now();
        let _new = accepted(&listener);
        assert!(began.elapsed() >= CLOSE_TIMEOUT - Duration::from_millis(50), "{:?}", began.elapsed());
        assert!(began.elapsed() < CLOSE_TIMEOUT * 6, "{:?}", began.elapsed());
        drop(old);
        assert!(matches!(rig.next(), (2, LinkEvent::Connected)));
    }

    #[test]
    fn signs_of_life_are_told_and_a_storm_of_them_is_not() {
        let listener = listener();
        let mut rig = Rig::new(&listener);
        rig.open(1);
        let mut server = accepted(&listener);
        assert!(matches!(rig.next(), (1, LinkEvent::Connected)));
        rig.order(LinkOrder::Ping);
        assert!(server.read().unwrap().is_ping());
        server.flush().unwrap();
        assert!(matches!(rig.next(), (1, LinkEvent::Alive)), "the answer to a ping is a sign of life");
        for _ in 0..1000 {
            server.send(Frame::Ping(Vec::new().into())).unwrap();
        }
        let mut pongs = 0;
        while pongs < 1000 {
            pongs += usize::from(server.read().unwrap().is_pong());
        }
        server.close(None).unwrap();
        let mut told = rig.end();
        assert!(matches!(told.pop(), Some(LinkEvent::Down(_)) | None));
        assert!(told.len() < 20, "{} of 1000 were told", told.len());
    }

    #[test]
    fn what_answers_in_the_services_place_is_told_apart() {
        for (answer, expected) in [
            ("HTTP/1.1 302 Found\r\nLocation: http://portal/\r\nContent-Length: 0\r\n\r\n", "sign in"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", "sign in"),
            ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "HTTP status 404"),
            ("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "HTTP status 503"),
            ("<html>Welcome to Hotel Adler</html>\r\n\r\n", "is not HTTP"),
            ("", "ended the connection before"),
        ] {
            let listener = listener();
            let mut rig = Rig::new(&listener);
            rig.open(1);
            let mut socket = listener.accept().unwrap().0;
            let mut request = [0; 4096];
            let length = socket.read(&mut request).unwrap();
            assert!(String::from_utf8_lossy(&request[..length]).contains("x-goog-api-key: a-key"));
            socket.write_all(answer.as_bytes()).unwrap();
            drop(socket);
            let (1, LinkEvent::Down(closing)) = rig.next() else { panic!("{answer:?}") };
            assert!(closing.to_string().contains(expected), "{answer:?}: {closing}");
        }
    }

    #[test]
    fn a_port_where_nothing_listens_refuses() {
        let mut rig = Rig::new(&listener());
        rig.open(1);
        let (1, LinkEvent::Down(Closing::Network(why))) = rig.next() else { panic!() };
        assert!(why.contains("refuses connections"), "{why}");
    }
}
