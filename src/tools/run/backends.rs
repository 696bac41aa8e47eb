//! Who carries out what: one backend a kind of work, each behind its own breaker.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::MutexGuard;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout_at};

use super::command::Commands;
use super::device::Device;
use super::home::Home;
use super::http::Http;
use super::lines::{LINE_TIMEOUT, Lines};
use super::mcp::{self, News, Servers};
use super::mqtt::Broker;
use super::pwm::Outputs;
use super::secrets::SecretBook;
use super::sensors::Sensors;
use super::{Outside, Tell};
use crate::config::agent::Agent;
use crate::config::agent::policy::Caller;
use crate::flow::What;
use crate::hw::Clock;
use crate::tools::breaker::{Breaker, Change};
use crate::tools::home::PEER;
use crate::tools::pwm::{Motion, PwmPlan};
use crate::tools::{Failure, Work};

/// Bytes of a result that the model gets: about four thousand tokens, and more is a mistake of the other side's.
const RESULT_BYTES_MAX: usize = 16 * 1024;

/// The backends of all tools.
pub(super) struct Backends {
    pub(super) lines: Arc<Lines>,
    pub(super) pwm: Arc<Outputs>,
    pub(super) sensors: Sensors,
    pub(super) secrets: SecretBook,
    /// The MQTT broker, where the configuration names one.
    pub(super) mqtt: Option<Broker>,
    pub(super) device: Device,
    http: Http,
    commands: Commands,
    pub(super) mcp: Servers,
    pub(super) home: Home,
    breakers: Breakers,
}

impl Backends {
    /// With the end of the queue in which servers tell their tools.
    pub(super) fn new(agent: &Agent, lines: Arc<Lines>, outside: &Outside) -> (Backends, Receiver<News>) {
        let breakers = Breakers { clock: outside.clock.clone(), tell: outside.tell.clone(), by_name: Mutex::default() };
        let secrets = SecretBook::new(&agent.secrets);
        let (mcp, news) = Servers::new(agent, &secrets, outside);
        let (http, commands) = (Http::new(agent, outside), Commands::default());
        let (home, mqtt) = (Home::new(agent, &secrets, outside), Broker::new(agent, &secrets, outside));
        let sensors = Sensors::new(agent, outside.board.clone());
        let pwm = Arc::new(Outputs::new(agent, outside.board.clone()));
        let device = Device::new(agent, outside);
        (Backends { lines, pwm, sensors, secrets, device, http, commands, mcp, mqtt, home, breakers }, news)
    }

    /// Waits for what only one call at a time may have.
    ///
    /// # Errors
    /// It was not free by then; which it is.
    pub(super) async fn turn(&self, work: &Work, by: Instant) -> Result<Option<MutexGuard<'_, ()>>, String> {
        match work {
            Work::Line(plan) => {
                let turn = timeout_at(by, self.lines.turn(&plan.line)).await;
                turn.map_err(|_| format!("line `{}` was in use", plan.line))
            }
            Work::Pwm(plan) => {
                let turn = timeout_at(by, self.pwm.turn(&plan.output)).await;
                turn.map_err(|_| format!("output `{}` was in use", plan.output))
            }
            Work::Await(_) | Work::Sensor(_) => Ok(None), // any number may look at one
            // A server takes several calls at once.
            Work::Device(_) | Work::Mqtt(_) | Work::Http(_) | Work::Command(_) | Work::Mcp(_) | Work::Home(_) => {
                Ok(None)
            }
        }
    }

    /// Does it. Dropped halfway, it stops; [`Backends::undo`] puts right what that leaves.
    pub(super) async fn carry_out(&self, work: &Work, caller: Caller) -> Result<Value, Failure> {
        match work {
            Work::Line(plan) => self.lines.carry_out(plan).await.map_err(Failure::Refused),
            Work::Await(plan) => self.lines.wait_for(plan).await.map_err(Failure::Refused),
            Work::Pwm(plan) => self.pwm.carry_out(plan).await.map_err(Failure::Refused),
            Work::Sensor(name) => self.sensors.answer(name).await.map_err(Failure::Refused),
            Work::Device(work) => self.device.carry_out(work, caller, self.breakers.broken()).await,
            // It knows by itself when it is away, and fails at once then: it needs no breaker.
            Work::Mqtt(request) => match &self.mqtt {
                Some(broker) => broker.carry_out(request).await,
                None => Err(Failure::Refused("the configuration names no MQTT broker".to_string())),
            },
            Work::Http(request) => self.guarded(&request.peer(), self.http.ask(request, &self.secrets)).await,
            Work::Command(line) => self.commands.run(line, &self.secrets).await,
            Work::Home(work) => match self.home.ready(work).await {
                Ok(()) => self.guarded(PEER, self.home.ask(work)).await,
                Err(away) => Err(away),
            },
            Work::Mcp(call) => match self.mcp.ready(call).await {
                Ok(caller) => self.guarded(&mcp::peer(call), self.mcp.call(&caller, call)).await,
                Err(away) => Err(away),
            },
        }
        .map(bounded)
    }

    /// After a call that failed or was stopped halfway. Answers whether what can be undone at all was undone.
    pub(super) async fn undo(&self, work: &Work) -> bool {
        match work {
            Work::Line(plan) if plan.rests_when_stopped => self.lines.rest(&plan.line, LINE_TIMEOUT).await,
            Work::Pwm(PwmPlan { output, motion: Motion::Buzz { .. } }) => self.pwm.rest(output, LINE_TIMEOUT).await,
            Work::Command(_) => {
                self.commands.all_over().await;
                true
            }
            Work::Line(_) | Work::Await(_) | Work::Sensor(_) | Work::Pwm(_) => true,
            Work::Device(_) | Work::Mqtt(_) | Work::Http(_) | Work::Mcp(_) | Work::Home(_) => true,
        }
    }

    /// Asks a peer that may be away, unless it was away just now. `peer` names it: "the MQTT broker".
    pub(super) async fn guarded(
        &self,
        peer: &str,
        ask: impl Future<Output = Result<Value, Failure>>,
    ) -> Result<Value, Failure> {
        self.breakers.may_ask(peer)?;
        let result = ask.await;
        self.breakers.learn(peer, &result);
        result
    }
}

/// The breakers by the peers' names.
struct Breakers {
    clock: Arc<dyn Clock>,
    tell: Arc<Tell>,
    by_name: Mutex<BTreeMap<String, Breaker>>,
}

impl Breakers {
    /// Who is not asked at the moment.
    fn broken(&self) -> Vec<String> {
        let breakers = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        let is_broken = |breaker: &Breaker| breaker.may_ask(self.clock.now()).is_err();
        breakers.iter().filter(|(_, breaker)| is_broken(breaker)).map(|(name, _)| name.clone()).collect()
    }

    fn may_ask(&self, peer: &str) -> Result<(), Failure> {
        let breakers = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Err(left)) = breakers.get(peer).map(|breaker| breaker.may_ask(self.clock.now())) else {
            return Ok(());
        };
        let left_s = left.as_secs() + 1;
        Err(Failure::Refused(format!("{peer} could not be reached just now; it is tried again in {left_s} s")))
    }

    fn learn(&self, peer: &str, result: &Result<Value, Failure>) {
        let change = {
            let mut breakers = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
            let breaker = breakers.entry(peer.to_string()).or_default();
            match result {
                Err(Failure::Unreachable(_)) => breaker.failed(self.clock.now()),
                _ => breaker.reached(),
            }
        };
        let part = "tools".to_string();
        match (change, result) {
            (Some(Change::Broke), Err(why)) => {
                (self.tell)(What::Trouble { part, text: format!("{peer} cannot be reached: {why}") });
            }
            (Some(Change::Mended), _) => (self.tell)(What::Recovered { part }),
            _ => {}
        }
    }
}

/// A result of a length that a model can take.
fn bounded(value: Value) -> Value {
    let text = value.to_string();
    if text.len() <= RESULT_BYTES_MAX {
        return value;
    }
    let cut = &text[..text.floor_char_boundary(RESULT_BYTES_MAX)];
    serde_json::json!({ "cut_after_bytes": cut.len(), "of_bytes": text.len(), "text": cut })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn long_results_are_cut_and_say_so() {
        assert_eq!(bounded(json!({"a": 1})), json!({"a": 1}));
        let long = bounded(json!("\u{e4}".repeat(RESULT_BYTES_MAX)));
        assert!(long.to_string().len() < RESULT_BYTES_MAX + 200);
        assert_eq!(long["of_bytes"], 2 * RESULT_BYTES_MAX + 2);
    }
}
