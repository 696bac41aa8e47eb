//! The PWM outputs of all tools, touched where blocking is allowed and never waited for without a limit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::MutexGuard;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::lines::{LINE_TIMEOUT, Slot, on_device};
use crate::config::agent::{Action, Agent};
use crate::config::board::pwm::{PwmKind, Servo};
use crate::hw::{Board, LineTrouble, Pulse, Pwm};
use crate::tools::pwm::{self, Motion, PwmPlan};

/// An output, and where its servo was sent last.
struct Driven {
    pwm: Box<dyn Pwm>,
    degrees: Option<f64>,
}

impl Driven {
    fn rest(&mut self) -> Result<(), LineTrouble> {
        self.degrees = None; // a servo without pulses may be turned by hand
        self.pwm.set(pwm::safe(self.pwm.output()))
    }

    /// Sets what `pulse` makes of the output's kind; a sentence where it is of another kind.
    fn set(&mut self, pulse: impl FnOnce(&PwmKind) -> Option<Pulse>) -> Result<Option<()>, LineTrouble> {
        match pulse(&self.pwm.output().kind) {
            Some(pulse) => self.pwm.set(pulse).map(Some),
            None => Ok(None),
        }
    }
}

/// The PWM outputs of all tools. They are opened when first needed and stay open.
pub(super) struct Outputs {
    board: Arc<dyn Board>,
    slots: BTreeMap<String, Slot<Driven>>,
}

impl Outputs {
    pub(super) fn new(agent: &Agent, board: Arc<dyn Board>) -> Outputs {
        let names = agent.tools.iter().filter_map(|tool| match &tool.action {
            Action::Pwm(action) => Some((action.output.clone(), Slot::default())),
            _ => None,
        });
        Outputs { board, slots: names.collect() }
    }

    /// Waits until no other call uses the output.
    pub(super) async fn turn(&self, name: &str) -> Option<MutexGuard<'_, ()>> {
        Some(self.slots.get(name)?.turn.lock().await)
    }

    /// Does what a plan says. Dropped halfway, a servo stays where it is; a buzzer needs [`Outputs::rest`].
    pub(super) async fn carry_out(&self, plan: &PwmPlan) -> Result<Value, String> {
        let name = &plan.output;
        match plan.motion {
            Motion::Dim(percent) => {
                let pulse = move |kind: &PwmKind| match kind {
                    PwmKind::Dimmer { frequency_hz, .. } => Some(pwm::dimmed(*frequency_hz, percent)),
                    _ => None,
                };
                self.on(name, move |driven| driven.set(pulse)).await?.ok_or_else(|| no(name, "dimmer"))?;
                Ok(json!({"output": name, "percent": percent}))
            }
            Motion::Release => {
                self.on(name, Driven::rest).await?;
                Ok(json!({"output": name, "released": true}))
            }
            Motion::Turn { to, slew } => {
                let degrees = self.go(name, to, slew).await?;
                Ok(json!({"output": name, "degrees": degrees}))
            }
            Motion::Buzz { frequency_hz, duration } => {
                let hum = move |kind: &PwmKind| matches!(kind, PwmKind::Buzzer).then(|| pwm::humming(frequency_hz));
                self.on(name, move |driven| driven.set(hum)).await?.ok_or_else(|| no(name, "buzzer"))?;
                sleep(duration).await;
                self.on(name, Driven::rest).await?;
                let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
                Ok(json!({"output": name, "hummed_ms": duration_ms, "frequency_hz": frequency_hz}))
            }
        }
    }

    /// Turns a servo step by step; answers where it stands in the end.
    async fn go(&self, name: &str, to: f64, slew: f64) -> Result<f64, String> {
        let mut step = interval(pwm::STEP);
        step.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            step.tick().await;
            let place = self.on(name, move |driven| turn_on(driven, to, slew)).await?;
            let (at, is_there) = place.ok_or_else(|| no(name, "servo"))?;
            if is_there {
                return Ok((at * 10.0).round() / 10.0); // no servo is finer
            }
        }
    }

    /// Opens all outputs in the background: they go to their safe state at the start, whatever was before.
    pub(super) fn open_all(self: &Arc<Outputs>) {
        for name in self.slots.keys() {
            let (outputs, name) = (self.clone(), name.clone());
            tokio::spawn(async move {
                if let Err(trouble) = outputs.on(&name, Driven::rest).await {
                    tracing::warn!(
                        name,
                        "cannot be brought to its safe state yet, the next call tries again: {trouble}"
                    );
                }
            });
        }
    }

    /// Brings an output to its safe state, as soon as it can be; waits for it at most `patience`. Answers whether it is
    /// there.
    pub(super) async fn rest(self: &Arc<Outputs>, name: &str, patience: Duration) -> bool {
        let (outputs, own_name) = (self.clone(), name.to_string());
        let resting = tokio::spawn(async move { outputs.on(&own_name, Driven::rest).await });
        match timeout(patience, resting).await {
            Ok(Ok(Ok(()))) => return true,
            Ok(Ok(Err(trouble))) => tracing::error!(name, "could not be brought to rest: {trouble}"),
            Ok(Err(_)) | Err(_) => tracing::error!(name, "hangs and could not be brought to rest yet"),
        }
        false
    }

    /// Brings all outputs to their safe states, side by side.
    pub(super) async fn rest_all(self: &Arc<Outputs>) {
        let mut resting = JoinSet::new();
        for name in self.slots.keys() {
            let (outputs, name) = (self.clone(), name.clone());
            resting.spawn(async move { outputs.rest(&name, LINE_TIMEOUT).await });
        }
        while resting.join_next().await.is_some() {}
    }

    /// Does `work` with an output, opening it if need be.
    async fn on<R: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce(&mut Driven) -> Result<R, LineTrouble> + Send + 'static,
    ) -> Result<R, String> {
        let Some(slot) = self.slots.get(name) else { return Err(format!("output `{name}` is not known")) };
        let (board, own_name) = (self.board.clone(), name.to_string());
        on_device(slot, &format!("output `{name}`"), move |device: &mut Option<Driven>| {
            let driven = match device {
                Some(driven) => driven,
                None => device.insert(Driven { pwm: board.open_pwm(&own_name)?, degrees: None }),
            };
            let done = work(driven);
            if done.is_err() {
                *device = None; // its chip may have been unplugged and be back
            }
            done
        })
        .await
    }
}

/// One step of a servo on its way: where it is now, and whether that is its end. None where it is no servo.
fn turn_on(driven: &mut Driven, to: f64, slew: f64) -> Result<Option<(f64, bool)>, LineTrouble> {
    let PwmKind::Servo(servo): &PwmKind = &driven.pwm.output().kind else { return Ok(None) };
    let servo: Servo = servo.clone();
    let at = pwm::next_place(&servo, driven.degrees, to, slew);
    driven.pwm.set(pwm::turned(&servo, at))?;
    driven.degrees = Some(at);
    Ok(Some((at, at == pwm::within(&servo, to))))
}

fn no(name: &str, kind: &str) -> String {
    format!("output `{name}` is no {kind}")
}
