//! What a seed decides before the clock starts: the agent, the network, the faults and the service's script.

use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mynah::config::agent::{
    Action, Agent, Behavior, ButtonStyle, Connection, Cues, Gestures, Keep, Keeping, Limits, Listen, ListenMode, Speak,
    Switch, TapEnds, Tool, TwoTaps, VadKind, VoiceBargeIn,
};
use mynah::emulator::{Script, Sound, Sounds};
use mynah::flow::Control;
use mynah::units::{Hertz, Time};
use serde_json::json;

use super::dice::Dice;

/// How a run goes, as far as it does not depend on what happens in it.
pub struct Story {
    pub agent: Agent,
    pub script: Arc<Script>,
    /// What each turn of the script says.
    pub turns: Vec<TurnTruth>,
    /// Shortest and longest way of a message, ms, to the service and back.
    pub up_ms: (u64, u64),
    pub down_ms: (u64, u64),
    /// Shortest and longest time to open a connection, ms.
    pub connect_ms: (u64, u64),
    pub connect_fails_percent: u64,
    /// How many connections in a hundred meet a service that never completes or refuses the setup.
    pub setup_fails_percent: u64,
    /// When the line is cut, or stands still for so long.
    pub faults: Vec<(Time, Fault)>,
    /// Delay of a queue between two threads, µs.
    pub thread_us: (u64, u64),
    /// How many of a hundred times a thread is late by 5 to 40 ms.
    pub late_percent: u64,
    /// Blocks of 10 ms the loudspeaker's ring is filled to, and those that are under way behind it.
    pub ring_blocks: usize,
    pub pipe_blocks: usize,
    /// Things the user does.
    pub deeds: u32,
    /// Reasons with which the service may close that are not the device's fault.
    pub excused: Vec<&'static str>,
    /// How many of a hundred ends of turns come twice.
    pub doubles_percent: u64,
}

/// How long connections and handles live.
struct Lives {
    is_short: bool,
    handles_end: bool,
}

impl Lives {
    fn excused(&self, forgets: bool, way_ms: u64) -> Vec<&'static str> {
        let mut excused = vec!["Deadline expired"];
        if forgets || self.handles_end {
            excused.push("BidiGenerateContent session not found");
        }
        // It cannot leave in time if it hears of it too late.
        if self.is_short && way_ms > 1000 {
            excused.push("Connection aborted because");
        }
        excused
    }
}

/// What happens to the line.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// Cut; noticed here so much later.
    Cut(Duration),
    /// Nothing moves for so long.
    Stall(Duration),
    /// The microphone gives nothing for so long.
    MicGone(Duration),
    /// Nothing passes any more, and nobody is told.
    HalfOpen,
    /// The service closes with this row of [`CLOSES`]; what it said before arrives after it.
    Closes(usize),
    /// The service says something that nobody waits for: a row of [`STRAYS`].
    Stray(usize),
    /// The service forgets every conversation.
    Forgets,
    /// The day is over.
    NextDay,
    /// A person wants something.
    Person(Wish),
    /// The hardware's mute line is active for so long …
    LineMutes(Duration),
    /// … and is not any more.
    LineOpens,
}

/// What a person wants.
#[derive(Clone, Copy, Debug)]
pub enum Wish {
    /// [`Control::Mute`].
    Mute(bool),
    /// [`Control::Stop`].
    Stop,
    /// [`Control::Repeat`].
    Repeat,
    /// [`Control::Reset`].
    Reset,
    /// [`Control::End`].
    End,
}

impl From<Wish> for Control {
    fn from(wish: Wish) -> Control {
        match wish {
            Wish::Mute(is_muted) => Control::Mute(is_muted),
            Wish::Stop => Control::Stop,
            Wish::Repeat => Control::Repeat,
            Wish::Reset => Control::Reset,
            Wish::End => Control::End,
        }
    }
}

impl Fault {
    /// For the count.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Cut(_) => "cuts",
            Fault::Stall(_) => "stalls",
            Fault::MicGone(_) => "lost microphones",
            Fault::HalfOpen => "half-open connections",
            Fault::Closes(_) => "closes",
            Fault::Stray(_) => "stray messages",
            Fault::Forgets => "forgotten conversations",
            Fault::NextDay => "days",
            Fault::Person(_) => "orders of people",
            Fault::LineMutes(_) => "mute switches",
            Fault::LineOpens => "mute switches back",
        }
    }
}

/// Closes of a connection that was ready (live-protocol.md 7.1), all that do not end the program.
pub const CLOSES: [(u16, &str); 17] = [
    (1000, ""),
    (1001, ""),
    (1005, ""),
    (1007, "Request contains an invalid argument."),
    (1007, "Precondition check failed."),
    (1007, "Invalid JSON payload received. Unknown name \"x\""),
    (1008, "Operation is not implemented, or supported, or enabled."),
    (1008, "Requested entity was not found."),
    (1008, "BidiGenerateContent session not found"),
    (1008, "Connection aborted because the client failed to close after a GoAway signal"),
    (1008, "The session durat"),
    (1008, "models/x is not found for API version v1beta"),
    (1008, "Something nobody has seen yet"),
    (1011, "Internal error encountered."),
    (1011, "The service is currently unavailable."),
    (1011, "Deadline expired before operation could complete."),
    (1011, "You exceeded your current quota, please check your plan"),
];

/// The last of [`CLOSES`]: a pause of five minutes follows, so it is rare.
pub const QUOTA: usize = CLOSES.len() - 1;

/// Messages that mean nothing where they come.
pub const STRAYS: [&str; 7] = [
    "{\"serverContent\": {}}",
    "{\"toolCallCancellation\": {\"ids\": [\"never-made\"]}}",
    "{\"sessionResumptionUpdate\": {\"newHandle\": \"\", \"resumable\": false}}",
    "{\"sessionResumptionUpdate\": {}}",
    "{\"setupComplete\": {}}",
    "{\"novelty\": {\"level\": 3}}",
    "]] what",
];

/// What one turn of the script says.
#[derive(Clone)]
pub struct TurnTruth {
    /// All its sound, `[frames, 1 channel] S16 @ 24 kHz`. Never zero, so that it is told from silence.
    pub frames: Arc<[i16]>,
    /// Whether the service itself breaks the turn off.
    pub breaks_off: bool,
}

/// Lengths of the sounds in the bank, ms.
const LENGTHS_MS: [usize; 10] = [20, 60, 105, 210, 333, 500, 800, 1200, 2000, 3700];

/// The sounds that scripts say: no sample is small, and no two neighbours are alike.
fn bank() -> &'static [Arc<[i16]>] {
    static BANK: OnceLock<Vec<Arc<[i16]>>> = OnceLock::new();
    BANK.get_or_init(|| {
        let sample = |sound: usize, i: usize| {
            let size = 200 + ((sound * 1543 + i * 37) % 30_000) as i16;
            if i.is_multiple_of(2) { size } else { -size }
        };
        let sound = |(at, ms): (usize, &usize)| (0..ms * 24).map(|i| sample(at, i)).collect();
        LENGTHS_MS.iter().enumerate().map(sound).collect()
    })
}

fn sounds() -> &'static Sounds {
    static SOUNDS: OnceLock<Sounds> = OnceLock::new();
    SOUNDS.get_or_init(|| {
        let mut sounds = Sounds::new();
        for (at, frames) in bank().iter().enumerate() {
            sounds.insert(
                format!("s{at}"),
                Sound { rate: Hertz(24_000), frames: frames.clone(), text: "so it is".into() },
            );
        }
        sounds
    })
}

/// Scripts of connections that fail at the setup.
pub fn broken_setup(dice: &mut Dice) -> Arc<Script> {
    let text = if dice.chance(50) { "setup never\nturn\n" } else { "setup close 1011 \"scripted: busy\"\nturn\n" };
    Arc::new(Script::parse(text, sounds()).unwrap())
}

impl Story {
    /// The story of a seed.
    pub fn new(dice: &mut Dice) -> Story {
        let thinking = dice.chance(15);
        let mut agent = agent(dice, thinking);
        let (script, turns, life) = script(dice, thinking);
        if life.is_short {
            agent.session.idle_close_s = 5; // else an idle connection would only ever be changed for another
        }
        let way = |dice: &mut Dice| dice.pick(&[(0, 0), (0, 2), (15, 25), (15, 60), (80, 300), (0, 800), (1500, 2000)]);
        let (up_ms, down_ms) = (way(dice), way(dice));
        let mut faults = Vec::new();
        let at = |dice: &mut Dice| Time::ZERO + dice.ms(200, 25_000);
        if dice.chance(35) {
            for _ in 0..dice.between(1, 3) {
                let notice = if dice.chance(50) { Duration::ZERO } else { dice.ms(0, 4000) };
                faults.push((at(dice), Fault::Cut(notice)));
            }
        }
        if dice.chance(12) {
            faults.push((at(dice), Fault::Stall(dice.ms(100, 9000))));
        }
        if dice.chance(8) {
            faults.push((at(dice), Fault::MicGone(dice.ms(300, 2500))));
        }
        if dice.chance(10) {
            faults.push((at(dice), Fault::HalfOpen));
        }
        if dice.chance(25) {
            for _ in 0..dice.between(1, 3) {
                let row = dice.between(0, QUOTA as u64 - 1) as usize;
                faults.push((at(dice), Fault::Closes(if dice.chance(2) { QUOTA } else { row })));
            }
        }
        if dice.chance(20) {
            for _ in 0..dice.between(1, 4) {
                faults.push((at(dice), Fault::Stray(dice.between(0, STRAYS.len() as u64 - 1) as usize)));
            }
        }
        let forgets = dice.chance(10);
        if forgets {
            faults.push((at(dice), Fault::Forgets));
        }
        if agent.limits.day_tokens.is_some() && dice.chance(50) {
            faults.push((at(dice), Fault::NextDay));
        }
        if dice.chance(15) {
            let begin = at(dice);
            let end = begin + dice.ms(100, 6000);
            faults.push((begin, Fault::Person(Wish::Mute(true))));
            faults.push((end, Fault::Person(Wish::Mute(false))));
        }
        if dice.chance(10) {
            let (begin, length) = (at(dice), dice.ms(100, 4000));
            faults.push((begin, Fault::LineMutes(length)));
            faults.push((begin + length, Fault::LineOpens));
        }
        if dice.chance(20) {
            for _ in 0..dice.between(1, 3) {
                let wish = dice.pick(&[Wish::Stop, Wish::Repeat, Wish::Repeat, Wish::Reset, Wish::End]);
                faults.push((at(dice), Fault::Person(wish)));
            }
        }
        faults.sort_by_key(|(at, _)| *at);
        Story {
            agent,
            script,
            turns,
            up_ms,
            down_ms,
            connect_ms: dice.pick(&[(0, 0), (5, 60), (200, 900), (0, 6000)]),
            connect_fails_percent: dice.pick(&[0, 0, 0, 30, 60]),
            setup_fails_percent: dice.pick(&[0, 0, 0, 30]),
            faults,
            thread_us: dice.pick(&[(0, 0), (0, 300), (50, 3000)]),
            late_percent: dice.pick(&[0, 0, 2]),
            ring_blocks: dice.between(3, 8) as usize,
            pipe_blocks: dice.pick(&[0, 0, 1, 4, 12]),
            deeds: dice.between(2, 7) as u32,
            excused: life.excused(forgets, up_ms.1 + down_ms.1),
            doubles_percent: dice.pick(&[0, 0, 0, 15]),
        }
    }
}

fn agent(dice: &mut Dice, thinking: bool) -> Agent {
    let listen = Listen {
        mode: dice.pick(&[
            ListenMode::PushToTalk,
            ListenMode::PushToTalk,
            ListenMode::HandsFree,
            ListenMode::HandsFree,
            ListenMode::WakeWord,
        ]),
        button: dice.pick(&[ButtonStyle::Hold, ButtonStyle::Tap, ButtonStyle::HoldOrTap]),
        voice_barge_in: dice.pick(&[VoiceBargeIn::Off, VoiceBargeIn::On]),
        onset_ms: dice.pick(&[10, 30, 60, 120]),
        hangover_ms: dice.pick(&[200, 400, 700]),
        preroll_ms: dice.pick(&[0, 50, 300, 300, 2000]),
        tail_ms: dice.pick(&[0, 100, 250]),
        min_press_ms: dice.pick(&[0, 80, 150]),
        tap_max_ms: dice.pick(&[200, 400]),
        silence_db: -45.0,
        vad: VadKind::WebRtc,
        vad_mode: 2,
        echo_tail_ms: dice.pick(&[0, 100, 300]),
        message_ms: dice.pick(&[20, 40]),
        turn_max_s: dice.pick(&[5, 20, 40]),
        follow_up_s: dice.pick(&[0, 0, 4]),
        dead_mic_s: 10,
    };
    let gesture = |dice: &mut Dice| dice.pick(&[Switch::On, Switch::On, Switch::On, Switch::Off]);
    let gestures = Gestures {
        tap_ends: dice.pick(&[TapEnds::Silence, TapEnds::Tap]),
        two_taps: dice.pick(&[TwoTaps::Repeat, TwoTaps::Repeat, TwoTaps::Look, TwoTaps::Off]),
        long_mutes: gesture(dice),
        very_long_resets: gesture(dice),
        double_ms: dice.pick(&[200, 350]),
        long_ms: dice.pick(&[1600, 3000]),
        very_long_ms: dice.pick(&[3500, 5000]),
    };
    let tool = |name: &str, behavior, timeout_ms| Tool {
        name: name.into(),
        description: "Does it.".into(),
        parameters: Some(json!({"type": "OBJECT", "properties": {"on": {"type": "BOOLEAN"}}})),
        behavior,
        timeout_ms,
        action: Action::GpioSet { line: "lamp".into(), argument: "on".into() },
        policy: Default::default(),
    };
    Agent {
        model: if thinking { "gemini-3.8-live-extended-thinking" } else { "gemini-3.8-live" }.into(),
        voice: Some("Kore".into()),
        language: None,
        instruction: "Be brief.".into(),
        endpoint: "ws://127.0.0.1:1/".into(),
        extra_ca: None,
        key_file: None,
        speak: Speak {
            volume_percent: 100,
            prebuffer_ms: dice.pick(&[0, 60, 200]),
            cues: Cues::On,
            ..Agent::default().speak
        },
        limits: Limits {
            setup_timeout_ms: dice.pick(&[5000, 10_000]),
            answer_timeout_ms: 8000,
            tool_timeout_ms: 2000,
            day_tokens: dice.pick(&[None, None, None, None, None, None, Some(300), Some(700)]),
            ..Agent::default().limits
        },
        session: Keeping {
            connection: dice.pick(&[Connection::OnDemand, Connection::OnDemand, Connection::KeepOpen]),
            idle_close_s: dice.pick(&[5, 5, 9]),
            keep: dice.pick(&[Keep::Nothing, Keep::Handle, Keep::HandleAndWords]),
            history_turns: dice.pick(&[0, 2, 8]),
            ..Agent::default().session
        },
        tools: vec![tool("lamp", Behavior::Blocking, 1000), tool("news", Behavior::NonBlocking, 2000)],
        listen,
        gestures,
        ..Agent::default()
    }
}

/// The service's script, and what each of its turns says.
fn script(dice: &mut Dice, thinking: bool) -> (Arc<Script>, Vec<TurnTruth>, Lives) {
    let mut text = format!("setup delay {}ms\n", dice.pick(&[0, 120, 120, 900]));
    let _ = writeln!(text, "latency {}ms", dice.pick(&[0, 50, 200, 900]));
    let _ = writeln!(text, "pieces {}", dice.pick(&["8ms 60ms", "20ms 20ms", "1ms 40ms", "100ms 400ms"]));
    let _ = writeln!(text, "pace {}x", dice.pick(&[1, 2, 10, 100, 1000]));
    let _ = writeln!(text, "odd {}\npack {}", on(dice, 30), on(dice, 30));
    let _ = writeln!(text, "complete {}", dice.pick(&["realtime", "0ms", "300ms", "2500ms"]));
    if dice.chance(50) {
        text.push_str("connections continue\n");
    }
    let handles = dice.pick(&["2h", "2h", "2h", "off", "late 300ms", "early", "withheld", "1s"]);
    let _ = writeln!(text, "handles {handles}");
    let life = dice.pick(&["", "", "", "20s away 12s", "14s away 4s", "12s silent"]);
    if !life.is_empty() {
        let _ = writeln!(text, "lives {life}");
    }
    let lives = Lives { is_short: !life.is_empty(), handles_end: handles == "1s" };
    let mut turns = Vec::new();
    for _ in 0..dice.between(2, 5) {
        text.push_str("turn \"what was asked\"\n");
        let mut turn = TurnText { text: &mut text, frames: Vec::new(), breaks_off: false };
        turn.write(dice, thinking);
        turns.push(TurnTruth { frames: turn.frames.into(), breaks_off: turn.breaks_off });
    }
    let script = Script::parse(&text, sounds()).unwrap_or_else(|e| panic!("{e}\n{text}"));
    (Arc::new(script), turns, lives)
}

fn on(dice: &mut Dice, percent: u64) -> &'static str {
    if dice.chance(percent) { "on" } else { "off" }
}

struct TurnText<'a> {
    text: &'a mut String,
    frames: Vec<i16>,
    breaks_off: bool,
}

impl TurnText<'_> {
    fn line(&mut self, line: &str) {
        self.text.push_str("  ");
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn say(&mut self, dice: &mut Dice) {
        let sound = dice.between(0, LENGTHS_MS.len() as u64 - 1) as usize;
        self.frames.extend_from_slice(&bank()[sound]);
        self.line(&format!("say s{sound}"));
    }

    fn pause(&mut self, dice: &mut Dice) {
        let pause = dice.pick(&[0, 30, 400, 1800]);
        self.line(&format!("wait {pause}ms"));
    }

    fn write(&mut self, dice: &mut Dice, thinking: bool) {
        match dice.between(0, 17) {
            0..=2 => self.say(dice),
            3 => self.in_parts(dice),
            4 => self.calling(dice, "call lamp {\"on\": true}"),
            5 => {
                self.say(dice);
                self.calling(dice, "call lamp {\"on\": false}");
            }
            6 => {
                for _ in 0..dice.pick(&[2, 4, 12, 40]) {
                    self.line("call lamp {\"on\": true}");
                }
                self.say(dice);
            }
            7 => {
                self.calling(dice, "start news {}");
                self.line("await");
                self.say(dice);
            }
            8 => {
                self.calling(dice, "start news {}");
                self.line("cancel");
                self.say(dice);
            }
            9 => self.line(dice.pick(&["caption \"Yes.\"", "empty", "thought \"hm\""])),
            10 => self.breaking(dice, "stall"),
            11 => self.breaking(dice, "interrupt"),
            12 => {
                let close =
                    dice.pick(&["close 1011 \"scripted: tired\"", "close 1006", "close 1000 \"scripted: bye\""]);
                self.breaking(dice, close);
            }
            13 => {
                self.odd_things(dice);
                self.say(dice);
            }
            14 | 15 => self.calling(dice, "call! nosuch {}"),
            16 if thinking => {
                self.say(dice);
                self.line("raw {\"serverContent\": {\"turnComplete\": true, \"interactionStatus\": \"IN_PROGRESS\"}}");
                self.pause(dice);
                self.say(dice);
            }
            _ => {
                self.in_parts(dice);
                self.odd_things(dice);
                self.in_parts(dice);
            }
        }
    }

    fn in_parts(&mut self, dice: &mut Dice) {
        self.say(dice);
        self.pause(dice);
        self.say(dice);
    }

    fn calling(&mut self, dice: &mut Dice, call: &str) {
        self.line(call);
        self.pause(dice);
        self.say(dice);
    }

    fn breaking(&mut self, dice: &mut Dice, statement: &str) {
        self.breaks_off = true;
        if dice.chance(60) {
            self.say(dice);
            self.pause(dice);
        }
        self.line(statement);
    }

    fn odd_things(&mut self, dice: &mut Dice) {
        for _ in 0..dice.between(1, 3) {
            self.line(dice.pick(&[
                "empty",
                "garbage \"]] what\"",
                "raw {\"novelty\": {\"level\": 3}}",
                "raw {\"usageMetadata\": {\"totalTokenCount\": \"77\"}}",
                "raw {\"serverContent\": {\"modelTurn\": 5, \"turnComplete\": \"yes\"}}",
                "raw {\"toolCallCancellation\": {\"ids\": [\"never-made\"]}}",
                "go-away 50s",
                "thought \"let me see\"",
            ]));
        }
    }
}
