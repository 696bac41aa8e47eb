//! The errands thread with servers of a test's own, and what it says.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};

use mynah::config::agent::{self, Tool};
use mynah::config::board;
use mynah::flow::{Call, TOOL_ORDERS_MAX, ToolOrder, ToolReply, What};
use mynah::hw::Clock;
use mynah::hw::folder::Folder;
use mynah::hw::sim::{SimBoard, SimClock, SimSetup};
use mynah::tools::run::{Handle, Outside, spawn};
use serde_json::Value;
use tokio::sync::mpsc::Sender;

/// Only ever waited for in a failing test; the machine may be busy.
pub const SOON: Duration = Duration::from_secs(60);

/// The servers that are installed once.
pub struct Installed {
    pub node: PathBuf,
    pub everything: PathBuf,
    pub python: PathBuf,
    pub bad_days: PathBuf,
}

pub fn installed() -> Installed {
    static ONCE: Once = Once::new();
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mcp");
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mcp");
    ONCE.call_once(|| {
        let status = Command::new("sh").arg(own.join("install.sh")).arg(&cache).status().unwrap();
        assert!(status.success(), "the servers cannot be installed: {status}");
    });
    let node = Command::new("sh").args(["-c", "command -v node"]).output().unwrap();
    Installed {
        node: PathBuf::from(String::from_utf8(node.stdout).unwrap().trim()),
        everything: cache.join("node/node_modules/@modelcontextprotocol/server-everything/dist/index.js"),
        python: cache.join("python/bin/python"),
        bad_days: own.join("server.py"),
    }
}

/// A folder of a test's own, empty.
pub fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mcp-runs").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The thread, and what it told.
pub struct Rig {
    handle: Option<Handle>,
    orders: Sender<ToolOrder>,
    replies: Receiver<ToolReply>,
    lists: Receiver<Vec<Tool>>,
    pub told: Arc<Mutex<Vec<What>>>,
    calls: u32,
}

impl Rig {
    pub fn new(config: &str, state: Option<&Path>) -> Rig {
        let agent = agent::parse(config, "test").unwrap_or_else(|problems| panic!("{problems:?}\n{config}"));
        let profile = board::parse(board::builtin("sim").unwrap(), "sim.toml", "sim").unwrap();
        let clock = SimClock::paced();
        let sim = SimBoard::new(SimSetup::from_profile(&profile).unwrap(), clock.clone());
        let clock: Arc<dyn Clock> = Arc::new(clock);
        let (told, (lists_in, lists), (replies_in, replies)) = (Arc::new(Mutex::new(Vec::new())), channel(), channel());
        let (telling, lists_in) = (told.clone(), Mutex::new(lists_in));
        let outside = Outside {
            board: Arc::new(sim),
            clock,
            tell: Arc::new(move |what| telling.lock().unwrap().push(what)),
            give: Arc::new(|_| true),
            declare: Arc::new(move |tools| lists_in.lock().unwrap().send(tools).is_ok()),
            job: None,
            folder: state.map(|path| Arc::new(Folder::new(path))),
            active_when_safe: [].into(),
            has_confirm_line: false,
            has_talk_line: false,
            look: None,
            extra_ca_pem: None,
            fleet: None,
        };
        let (orders, orders_there) = tokio::sync::mpsc::channel(TOOL_ORDERS_MAX);
        let handle = spawn(&agent, outside, orders_there, move |reply| drop(replies_in.send(reply))).unwrap();
        Rig { handle: Some(handle), orders, replies, lists, told, calls: 0 }
    }

    /// The next list that is declared.
    pub fn declared(&self) -> Vec<Tool> {
        self.lists.recv_timeout(SOON).expect("a list of tools")
    }

    /// A list that is there already.
    pub fn declared_at_once(&self) -> Option<Vec<Tool>> {
        self.lists.try_recv().ok()
    }

    pub fn start(&mut self, name: &str, args: Value) -> String {
        self.calls += 1;
        let id = format!("c{}", self.calls);
        let call = Call { id: id.as_str().into(), name: name.into(), args: args.as_object().unwrap().clone() };
        self.orders.blocking_send(ToolOrder::Run(call)).unwrap();
        id
    }

    pub fn cancel(&self, id: &str) {
        self.orders.blocking_send(ToolOrder::Cancel(id.into())).unwrap();
    }

    pub fn reply(&self) -> ToolReply {
        self.replies.recv_timeout(SOON).expect("a reply")
    }

    pub fn call(&mut self, name: &str, args: Value) -> Result<Value, String> {
        let id = self.start(name, args);
        let reply = self.reply();
        assert_eq!(reply.id.to_string(), id);
        reply.result
    }

    pub fn has_no_reply(&self) -> bool {
        self.replies.try_recv().is_err()
    }

    /// Stops the thread, and says how long that took.
    pub fn stop(&mut self) -> Duration {
        let since = Instant::now();
        self.handle.take().unwrap().stop();
        since.elapsed()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            handle.stop();
        }
    }
}

pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(since.elapsed() < SOON, "waited for this: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The number that a tool wrote into a file.
pub fn number_in(file: &Path) -> i32 {
    wait_for("a process number", || std::fs::read_to_string(file).ok()?.parse().ok())
}

/// Whether a process is there and no zombie.
pub fn is_alive(id: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

/// The numbers of this process's children, zombies included.
pub fn children() -> Vec<i32> {
    children_of(std::process::id())
}

/// The numbers of a process's children, zombies included.
pub fn children_of(parent: u32) -> Vec<i32> {
    let folders = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let found = folders.filter_map(|folder| {
        let status = std::fs::read_to_string(folder.path().join("status")).ok()?;
        let of = status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse::<u32>().ok()?;
        let id = folder.file_name().to_str()?.parse().ok()?;
        (of == parent).then_some(id)
    });
    found.collect()
}

/// A server that listens; killed when dropped.
pub struct Listening {
    child: Child,
}

impl Listening {
    pub fn start(command: &mut Command, port: u16) -> Listening {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_for("a server that listens", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        Listening { child }
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that was free a moment ago.
pub fn port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
