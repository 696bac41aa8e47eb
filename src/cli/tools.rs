//! `mynah tools`: what the model will see, a call by hand, and what makes models fail.

use std::io::{BufRead as _, Write};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Map, Value};

use super::{exit, load, run, state};
use crate::config::agent::job_log;
use crate::config::agent::policy::{Confirm, Policy};
use crate::config::agent::{Agent, Behavior, Switch, Tool};
use crate::config::board::{self, Board as Profile};
use crate::flow::{Call, TOOL_ORDERS_MAX, ToolOrder, What};
use crate::hw::jobs;
use crate::tools::lint;
use crate::tools::run::Outside;

/// How long servers may take to say what they have.
const SERVERS_WITHIN: Duration = Duration::from_secs(15);

/// Arguments of `mynah tools`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    setting: load::Setting,
    #[command(flatten)]
    state: state::Place,
    #[command(subcommand)]
    task: Option<Task>,
}

#[derive(Debug, clap::Subcommand)]
enum Task {
    /// What the model will see (also without a word behind `tools`); asks MCP servers
    List {
        /// The declarations as the service gets them
        #[arg(long)]
        json: bool,
    },
    /// Runs one by hand through the same checks, and brings what it switched to rest at the end (stop the service first)
    Call {
        /// The tool
        name: String,
        /// Its arguments, a JSON object
        #[arg(default_value = "{}")]
        args: String,
    },
    /// What makes models fail: vague descriptions, names that clash, too many tools; 3 where there is anything
    Lint,
}

/// Does it.
///
/// # Errors
/// A configuration that is wrong, servers that cannot be started, arguments that are no JSON object.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    load::guard_memory();
    let (mut agent, profile) = load::both(args.setting.config_path(), &args.setting.board)?;
    if let Some(folder) = agent.job_log.procedures.as_ref().filter(|_| agent.job_log.is_enabled) {
        let (procedures, troubles) = jobs::procedures(folder);
        troubles.iter().for_each(|trouble| eprintln!("mynah: {trouble}"));
        job_log::offer(&mut agent.tools, &procedures);
    }
    match &args.task {
        None => list(args, &agent, &profile, false, out),
        Some(Task::List { json }) => list(args, &agent, &profile, *json, out),
        Some(Task::Lint) => warn(args, &agent, &profile, out),
        Some(Task::Call { name, args: given }) => call(args, &agent, &profile, (name, given), out),
    }
}

fn outside(args: &Args, agent: &Agent, profile: &Profile) -> anyhow::Result<Outside> {
    let (board, clock, _hand) = run::open(profile)?;
    Ok(Outside {
        folder: args.state.folder(),
        active_when_safe: profile.active_when_safe(),
        has_confirm_line: profile.lines.contains_key(board::CONFIRM),
        has_talk_line: profile.lines.contains_key(board::TALK),
        extra_ca_pem: load::extra_ca(agent)?,
        tell: Arc::new(|what| match what {
            What::Trouble { text, .. } => eprintln!("mynah: {text}"),
            What::LineSet { line, active } => {
                eprintln!("line {line} is {}", if active { "active" } else { "inactive" })
            }
            _ => {}
        }),
        ..Outside::new(board, clock)
    })
}

/// The tools of the file and those that servers list.
fn all(args: &Args, agent: &Agent, profile: &Profile) -> anyhow::Result<Vec<Tool>> {
    let mut tools = agent.tools.clone();
    let wanted: usize = agent.mcp.iter().map(|server| server.allow.len()).sum();
    if wanted == 0 {
        return Ok(tools);
    }
    // Only the servers: nothing of the board is opened, nobody at a broker hears of it.
    let servers_only = Agent { tools: Vec::new(), mqtt: None, ..agent.clone() };
    let (lists, listed) = channel();
    let lists = Mutex::new(lists);
    let declare = Arc::new(move |tools: Vec<Tool>| lists.lock().is_ok_and(|lists| lists.send(tools).is_ok()));
    let outside = Outside { declare, folder: None, ..outside(args, agent, profile)? };
    let (orders, orders_there) = tokio::sync::mpsc::channel(TOOL_ORDERS_MAX);
    let handle = crate::tools::run::spawn(&servers_only, outside, orders_there, drop)?;
    eprintln!("mynah: asking {} MCP servers for their tools …", agent.mcp.len());
    let until = Instant::now() + SERVERS_WITHIN;
    let mut newest = Vec::new();
    while newest.len() < wanted
        && let Ok(list) = listed.recv_timeout(until.saturating_duration_since(Instant::now()))
    {
        newest = list;
    }
    handle.stop();
    drop(orders);
    if newest.len() < wanted {
        eprintln!("mynah: {} of the {wanted} tools on allow lists were not listed", wanted - newest.len());
    }
    tools.extend(newest);
    Ok(tools)
}

fn list(args: &Args, agent: &Agent, profile: &Profile, json: bool, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let tools = all(args, agent, profile)?;
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(&lint::declared(&tools))?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if tools.is_empty() {
        writeln!(out, "no tools: the model can only talk ([[tools]] in the agent file adds some)")?;
    }
    for tool in &tools {
        let waits = if tool.behavior == Behavior::Blocking { "the model waits" } else { "the model goes on" };
        writeln!(out, "{}({})", tool.name, parameters(tool))?;
        writeln!(out, "    {}", tool.description.trim())?;
        writeln!(out, "    {waits}, {} s at most{}", f64::from(tool.timeout_ms) / 1000.0, conditions(&tool.policy))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `on: BOOLEAN, level: INTEGER?`
fn parameters(tool: &Tool) -> String {
    let Some(schema) = &tool.parameters else { return String::new() };
    let nothing = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&nothing);
    let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    let one = |(name, schema): (&String, &Value)| {
        let optional = if required.iter().any(|known| known == name.as_str()) { "" } else { "?" };
        format!("{name}: {}{optional}", schema["type"].as_str().unwrap_or("one of several"))
    };
    properties.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// What must hold, in words.
fn conditions(policy: &Policy) -> String {
    let mut words = Vec::new();
    match policy.confirm {
        Confirm::Off => {}
        Confirm::Button => words.push("after a tap of the button".to_string()),
        Confirm::Voice => words.push("after a spoken yes".to_string()),
    }
    let lines = |lines: &[String]| lines.join(", ");
    if !policy.not_while.is_empty() {
        words.push(format!("not while {} is on", lines(&policy.not_while)));
    }
    if !policy.only_while.is_empty() {
        words.push(format!("only while {} is on", lines(&policy.only_while)));
    }
    if let Some(hours) = policy.quiet_hours {
        words.push(format!("not from {hours}"));
    }
    if let Some(max_on_s) = policy.max_on_s {
        words.push(format!("on for {max_on_s} s at most"));
    }
    if policy.dry_run == Switch::On {
        words.push("only says what it would do".into());
    }
    words.into_iter().map(|words| format!("; {words}")).collect()
}

fn warn(args: &Args, agent: &Agent, profile: &Profile, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let found = lint::lint(&all(args, agent, profile)?);
    for finding in &found {
        writeln!(out, "{finding}")?;
    }
    if found.is_empty() {
        writeln!(out, "nothing to find")?;
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::from(exit::WORKS_BUT))
}

fn call(
    args: &Args,
    agent: &Agent,
    profile: &Profile,
    (name, given): (&str, &str),
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let given: Map<String, Value> =
        serde_json::from_str(given).context("the arguments must be a JSON object, for example '{\"on\": true}'")?;
    let (declared, is_declared) = channel();
    let declared = Mutex::new(declared);
    let wanted = name.to_string();
    let declare = Arc::new(move |tools: Vec<Tool>| {
        let is_there = tools.iter().any(|tool| tool.name == wanted);
        !is_there || declared.lock().is_ok_and(|declared| declared.send(()).is_ok())
    });
    let outside = Outside { declare, ..outside(args, agent, profile)? };
    let (orders, orders_there) = tokio::sync::mpsc::channel(TOOL_ORDERS_MAX);
    let (answers, answer) = channel();
    let handle = crate::tools::run::spawn(agent, outside, orders_there, move |reply| drop(answers.send(reply.result)))?;
    if !agent.tools.iter().any(|tool| tool.name == name) && !agent.mcp.is_empty() {
        let _ = is_declared.recv_timeout(SERVERS_WITHIN); // where it does not come, the call says so
    }
    let call = Call { id: "by-hand".into(), name: name.to_string(), args: given };
    orders.blocking_send(ToolOrder::ByHand(call)).context("the tools' thread has ended")?;
    let code = report(&answer, out)?;
    if std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        eprint!("Enter ends it, and brings every output to rest: ");
        let _ = std::io::stdin().lock().read_line(&mut String::new());
    }
    handle.stop();
    Ok(code)
}

fn report(answer: &Receiver<Result<Value, String>>, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    // The tool has a time limit of its own, 60 s at most.
    match answer.recv_timeout(Duration::from_secs(70)).context("no answer came")? {
        Ok(value) => {
            writeln!(out, "{value}")?;
            Ok(ExitCode::SUCCESS)
        }
        Err(why) => {
            writeln!(out, "the model would hear: {why}")?;
            Ok(ExitCode::FAILURE)
        }
    }
}
