//! The device's own tools: the core is told what is wanted; the clock and the state are told to the model.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::alarms::Ringer;
use super::{AskJob, Looker, Outside};
use crate::config::agent::Agent;
use crate::config::agent::policy::Caller;
use crate::flow::{Control, JobOrder};
use crate::hw::{Clock, clock};
use crate::tools::Failure;
use crate::tools::device::DeviceWork;
use crate::units::Time;

/// The device as its tools see it.
pub(super) struct Device {
    clock: Arc<dyn Clock>,
    give: Arc<dyn Fn(Control) -> bool + Send + Sync>,
    tell: Arc<super::Tell>,
    show_hosts: Vec<String>,
    look: Option<Arc<Looker>>,
    job: Option<Arc<AskJob>>,
    began: Time,
    pub(super) alarms: Ringer,
}

impl Device {
    pub(super) fn new(agent: &Agent, outside: &Outside) -> Device {
        Device {
            clock: outside.clock.clone(),
            give: outside.give.clone(),
            tell: outside.tell.clone(),
            show_hosts: agent.panel.as_ref().map(|panel| panel.show_hosts.clone()).unwrap_or_default(),
            look: outside.look.clone(),
            job: outside.job.clone(),
            began: outside.clock.now(),
            alarms: Ringer::new(outside, agent.kiosk.is_on()),
        }
    }

    /// Has a picture taken. It goes to the core, which sends it with this call's answer.
    async fn look(&self) -> Result<Value, Failure> {
        let Some(look) = &self.look else {
            return Err(Failure::Refused("this device has no camera".to_string()));
        };
        let (width, height) = look().await.map_err(Failure::Refused)?;
        Ok(json!({ "picture": format!("attached, {width}×{height}, taken just now") }))
    }

    /// Does it for this caller; `out_of_order` names what cannot be reached.
    pub(super) async fn carry_out(
        &self,
        work: &DeviceWork,
        caller: Caller,
        out_of_order: Vec<String>,
    ) -> Result<Value, Failure> {
        match work {
            DeviceWork::Control(control, told) => {
                if (self.give)(control.clone()) {
                    return Ok(told.json());
                }
                Err(Failure::Refused("the device is too busy for that now; try again".into()))
            }
            DeviceWork::Time => {
                let unix_s = self.clock.unix_ms() / 1000;
                match clock::weekday(unix_s) {
                    Some(weekday) => Ok(json!({ "local_time": clock::written(unix_s), "weekday": weekday })),
                    None => Err(Failure::Refused("the device's clock is not set; say that you do not know".into())),
                }
            }
            DeviceWork::Show(show) => {
                show.admitted(&self.show_hosts).map_err(Failure::Refused)?;
                (self.tell)(show.what());
                Ok(json!({ "done": "it is on the screen" }))
            }
            DeviceWork::Job(order) => self.write_down(order.clone()).await,
            DeviceWork::Alarm(work) => self.alarms.carry_out(work, caller).await,
            DeviceWork::Look => self.look().await,
            DeviceWork::Status => {
                let running_s = self.clock.now().since(self.began).as_secs();
                let version = env!("CARGO_PKG_VERSION");
                Ok(json!({ "version": version, "running_for_s": running_s, "out_of_order": out_of_order }))
            }
        }
    }

    /// Has the job log write something down; its answer says that it is on the disk.
    async fn write_down(&self, order: JobOrder) -> Result<Value, Failure> {
        let Some(ask) = &self.job else {
            let why = "there is no job log here: it is kept by the running device only; nothing was written";
            return Err(Failure::Refused(why.into()));
        };
        let (answer, answered) = oneshot::channel();
        if !ask(order, answer) {
            return Err(Failure::Refused("the job log is too busy; nothing was written, try again".into()));
        }
        let gone = || "the job log is being closed; whether it was written is not known".to_string();
        answered.await.unwrap_or_else(|_| Err(gone())).map_err(Failure::Refused)
    }
}
