//! The errands thread through the library's public face, on a board that writes down when its one line moves.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mynah::audio::trouble::PcmTrouble;
use mynah::config::agent;
use mynah::flow::{Call, TOOL_ORDERS_MAX, ToolOrder, ToolReply};
use mynah::hw::clock::RealClock;
use mynah::hw::{self, LineTrouble};
use mynah::tools::run::{self, Handle, Outside};
use serde_json::Value;
use tokio::sync::mpsc;

/// Longer than anything takes on a machine that is busy with something else.
pub const SOON: Duration = Duration::from_secs(60);

type Moves = Arc<Mutex<Vec<(bool, Instant)>>>;

struct Board(Moves);
struct Line(Moves, bool);

impl hw::Output for Line {
    fn set(&mut self, active: bool) -> Result<(), LineTrouble> {
        self.1 = active;
        self.0.lock().unwrap().push((active, Instant::now()));
        Ok(())
    }
    fn is_active(&mut self) -> Result<bool, LineTrouble> {
        Ok(self.1)
    }
}

impl hw::Board for Board {
    fn open_capture(&self) -> Result<Box<dyn hw::Capture>, PcmTrouble> {
        Err(PcmTrouble::Gone)
    }
    fn open_playback(&self) -> Result<Box<dyn hw::Playback>, PcmTrouble> {
        Err(PcmTrouble::Gone)
    }
    fn open_button(&self, line: &str) -> Result<Box<dyn hw::Button>, LineTrouble> {
        Err(LineTrouble::Missing { line: line.to_string() })
    }
    fn open_output(&self, _line: &str) -> Result<Box<dyn hw::Output>, LineTrouble> {
        Ok(Box::new(Line(self.0.clone(), false)))
    }
    fn open_input(&self, line: &str) -> Result<Box<dyn hw::Input>, LineTrouble> {
        Err(LineTrouble::Missing { line: line.to_string() })
    }
}

/// A tool without parameters that waits for no other, and may be called ten times a second.
pub fn tool(name: &str, timeout_ms: u32, action: &str) -> String {
    format!(
        "[[tools]]\nname = \"{name}\"\ndescription = \"x\"\ntimeout_ms = {timeout_ms}\npolicy = {{ order = \"parallel\", per_minute = 600 }}\naction = {{ {action} }}\n"
    )
}

/// The thread and what it says.
pub struct Rig {
    orders: mpsc::Sender<ToolOrder>,
    replies: Receiver<ToolReply>,
    moves: Moves,
    handle: Option<Handle>,
    calls: u32,
}

impl Rig {
    pub fn new(agent: &str) -> Rig {
        let agent = agent::parse(agent, "test").unwrap_or_else(|problems| panic!("{problems:#?}"));
        let moves = Moves::default();
        let (orders, orders_there) = mpsc::channel(TOOL_ORDERS_MAX);
        let (answers, replies) = channel();
        let extra_ca_pem = agent.extra_ca.as_ref().map(|file| std::fs::read(file).unwrap());
        let outside =
            Outside { extra_ca_pem, ..Outside::new(Arc::new(Board(moves.clone())), Arc::new(RealClock::new())) };
        let handle = run::spawn(&agent, outside, orders_there, move |reply| drop(answers.send(reply))).unwrap();
        Rig { orders, replies, moves, handle: Some(handle), calls: 0 }
    }

    /// Starts a call and says its number.
    pub fn start(&mut self, name: &str, args: Value) -> String {
        self.calls += 1;
        let id = self.calls.to_string();
        let call = Call { id: id.as_str().into(), name: name.into(), args: args.as_object().unwrap().clone() };
        self.orders.blocking_send(ToolOrder::Run(call)).unwrap();
        id
    }

    pub fn cancel(&self, id: &str) {
        self.orders.blocking_send(ToolOrder::Cancel(id.into())).unwrap();
    }

    /// The next answer to any call.
    pub fn reply(&self) -> (String, Result<Value, String>) {
        let reply = self.replies.recv_timeout(SOON).unwrap();
        (reply.id.to_string(), reply.result)
    }

    /// Calls and waits for the answer.
    pub fn call(&mut self, name: &str, args: Value) -> Result<Value, String> {
        let id = self.start(name, args);
        let (answered, result) = self.reply();
        assert_eq!(answered, id);
        result
    }

    /// The lengths of the line's pulses so far.
    pub fn pulses(&self) -> Vec<Duration> {
        let moves = self.moves.lock().unwrap();
        moves.windows(2).filter(|pair| pair[0].0 && !pair[1].0).map(|pair| pair[1].1 - pair[0].1).collect()
    }

    pub fn stop(mut self) {
        if let Some(handle) = self.handle.take() {
            handle.stop();
        }
    }
}

/// An empty folder of this test's own.
pub fn folder(name: &str) -> PathBuf {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("errands").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
