//! What a call does, by the backend that does it.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{LinePlan, Step, command, device, gpio, home, http, mcp, mqtt, policy, pwm};
use crate::config::agent::Action;
use crate::config::agent::policy::Policy;

/// What is done.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// A line of the board.
    Line(LinePlan),
    /// A line of the board is waited for.
    Await(gpio::AwaitPlan),
    /// A PWM output of the board.
    Pwm(pwm::PwmPlan),
    /// A sensor of the board is read, by its name.
    Sensor(String),
    /// Topics of the broker.
    Mqtt(mqtt::Request),
    /// The device does something with itself.
    Device(device::DeviceWork),
    /// A server is asked.
    Http(Box<http::Request>),
    /// An entity of Home Assistant.
    Home(Box<home::HomeWork>),
    /// A program runs.
    Command(Box<command::CommandLine>),
    /// A tool of a server.
    Mcp(mcp::McpCall),
}

/// What `action` does with `args`, which were checked against the schema before.
///
/// # Errors
/// A sentence for the model where an argument does not fit into its place.
pub(super) fn work(action: &Action, args: &Map<String, Value>, timeout: Duration) -> Result<Work, String> {
    Ok(match action {
        Action::GpioSet { line, argument } => Work::Line(gpio::set(line, argument, args)?),
        Action::GpioPulse { line, pulse_ms } => Work::Line(gpio::pulse(line, *pulse_ms)),
        Action::GpioBlink { line, on_ms, off_ms, times } => Work::Line(gpio::blink(line, *on_ms, *off_ms, *times)),
        Action::GpioRead { line } => Work::Line(gpio::read(line)),
        Action::GpioWait { line, edge, wait_ms } => Work::Await(gpio::AwaitPlan::new(line, *edge, *wait_ms)),
        Action::Pwm(action) => Work::Pwm(pwm::plan(action, args)?),
        Action::SensorRead(sensor) => Work::Sensor(sensor.clone()),
        Action::Mqtt(action) => Work::Mqtt(mqtt::request(action, args)?),
        Action::Device(action) => Work::Device(device::work(*action, args)?),
        Action::Http(action) => Work::Http(Box::new(http::request(action, args)?)),
        Action::Home(action) => Work::Home(Box::new(home::work(action, args, timeout)?)),
        Action::Command(action) => Work::Command(Box::new(command::line(action, args)?)),
        Action::Mcp(action) => Work::Mcp(mcp::call(action, args, timeout)?),
    })
}

impl Work {
    /// Whether something is on after it that would stay so: a line, a lamp elsewhere, a servo that holds its place.
    pub fn is_on(&self, policy: &Policy, args: &Map<String, Value>) -> bool {
        match self {
            Work::Pwm(plan) if matches!(plan.motion, pwm::Motion::Turn { .. }) => true,
            _ => policy::is_on(policy, args),
        }
    }

    /// The arguments of the call that switches off what this call with `args` switches on. A servo has none: it is let
    /// go of, wherever it stands ([`super::Tools::plan_off`]).
    pub fn off(&self, policy: &Policy, args: &Map<String, Value>) -> Option<Map<String, Value>> {
        match self {
            Work::Pwm(plan) if matches!(plan.motion, pwm::Motion::Turn { .. }) => Some(Map::new()),
            _ => policy::off(policy, args),
        }
    }

    /// Whether what it switches belongs to this board, and so goes to rest with the program.
    pub fn is_local(&self) -> bool {
        matches!(self, Work::Line(_) | Work::Pwm(_))
    }

    /// What would be done, for a rehearsal.
    pub fn describe(&self) -> String {
        match self {
            Work::Line(plan) => plan.describe(),
            Work::Await(plan) => plan.describe(),
            Work::Pwm(plan) => plan.describe(),
            Work::Sensor(name) => format!("read sensor `{name}`"),
            Work::Device(work) => work.describe(),
            Work::Mqtt(request) => request.describe(),
            Work::Http(request) => request.describe(),
            Work::Home(work) => work.describe(),
            Work::Command(line) => line.describe(),
            Work::Mcp(call) => format!("call `{}` of the MCP server `{}`", call.tool, call.server),
        }
    }

    /// Whether anything outside the device may be different after it.
    pub fn changes_something(&self) -> bool {
        match self {
            Work::Device(_) | Work::Await(_) | Work::Sensor(_) | Work::Mqtt(mqtt::Request::Read(_)) => false,
            Work::Line(plan) => plan.steps.iter().any(|step| matches!(step, Step::Drive { .. })),
            Work::Http(request) => !request.method.is_safe(),
            Work::Home(work) => work.call.is_some(),
            Work::Pwm(_) | Work::Mqtt(_) | Work::Command(_) | Work::Mcp(_) => true,
        }
    }

    /// Whether something of that may be left where it is stopped halfway.
    pub fn leaves_something(&self) -> bool {
        let is_undone = match self {
            Work::Line(plan) => plan.rests_when_stopped,
            Work::Pwm(plan) => matches!(plan.motion, pwm::Motion::Buzz { .. }),
            _ => false,
        };
        self.changes_something() && !is_undone
    }

    /// What may be left of it where it is stopped halfway, for a sentence.
    pub fn halfway(&self) -> &'static str {
        match self {
            Work::Device(_) => "it is done at once or not at all",
            Work::Line(_) => "what it moved for a moment is back at rest; what it had set stays",
            Work::Pwm(_) => "a buzzer is silent, a servo stays where it was on its way",
            Work::Await(_) | Work::Sensor(_) => "it only looked, and changed nothing",
            Work::Mqtt(mqtt::Request::Read(_)) => "it only asked, and changed nothing",
            Work::Mqtt(_) => "the message may or may not have been passed on; it will not be sent any more",
            Work::Http(request) if request.method.is_safe() => "it only asked, and changed nothing",
            Work::Http(_) => "whether the server did what was asked is not known",
            Work::Home(work) if work.call.is_none() => "it only asked, and changed nothing",
            Work::Home(_) => "Home Assistant goes on with what it was asked for",
            Work::Command(_) => "the program was ended; what it had done by then stays",
            Work::Mcp(_) => "the server was told to stop; what it had done by then is not known",
        }
    }
}
