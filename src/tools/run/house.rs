//! One call's life: checked, admitted by its policy, carried out within its time, put down.

mod cancelled;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::backends::Backends;
use super::clerk::Clerk;
use super::{Halt, Outside, kept};
use crate::config::agent::Tool;
use crate::config::agent::policy::{Caller, Confirm, Order, Policy};
use crate::flow::{Control, What};
use crate::hw::clock;
use crate::tools::audit::{Deed, Outcome};
use crate::tools::device::DeviceWork;
use crate::tools::on_time::{OffCall, OnTimes};
use crate::tools::output::shown;
use crate::tools::policy::{self, Asking, Gatekeeper, Moment, Verdict};
use crate::tools::{Failure, Plan, Tools, Work, consent};
use crate::units::Time;

/// How long an output may be on of which nobody said how long: it is watched for its interlock only.
const NO_LIMIT: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// How long the end of the program waits for what is to go off elsewhere.
const REST_ELSEWHERE: Duration = Duration::from_secs(2);

/// A call, whoever made it.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) args: Map<String, Value>,
    pub(super) caller: Caller,
}

/// What came of a request; no result where it was cancelled.
pub(super) struct Done {
    pub(super) outcome: Outcome,
    pub(super) result: Result<Value, String>,
    pub(super) is_cancelled: bool,
}

impl Done {
    fn refused(why: String) -> Done {
        Done { outcome: Outcome::Refused, result: Err(why), is_cancelled: false }
    }

    fn asked(what: Value) -> Done {
        Done { outcome: Outcome::Asked, result: Ok(what), is_cancelled: false }
    }

    fn failed(why: String) -> Done {
        Done { outcome: Outcome::Failed, result: Err(why), is_cancelled: false }
    }

    fn halted(halt: Result<Halt, oneshot::error::RecvError>, how_far: &str) -> Done {
        let (why, is_cancelled) = match halt {
            Ok(Halt::Cancelled) => (format!("it was taken back; {how_far}"), true),
            Ok(Halt::Stopping) | Err(_) => (format!("{}; {how_far}", super::STOPPING), false),
        };
        Done { outcome: Outcome::Stopped, result: Err(why), is_cancelled }
    }
}

/// All that calls share.
pub(super) struct House {
    tools: Mutex<Arc<Tools>>,
    pub(super) backends: Backends,
    pub(super) outside: Outside,
    pub(super) clerk: Mutex<Option<Clerk>>,
    gatekeeper: Mutex<Gatekeeper>,
    on_times: Mutex<OnTimes>,
    ended: Mutex<cancelled::Ended>,
    /// Rung when what is on has changed.
    pub(super) on_changed: Notify,
    /// Rung when somebody said something.
    heard: Notify,
    /// Calls that are not declared parallel go through here one after the other, in the order they came.
    in_turn: tokio::sync::Mutex<()>,
    /// Held while what is on is written down: the newest is written last.
    writing: tokio::sync::Mutex<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl House {
    pub(super) fn new(tools: Tools, backends: Backends, outside: Outside, clerk: Clerk) -> House {
        House {
            tools: Mutex::new(Arc::new(tools)),
            backends,
            outside,
            clerk: Mutex::new(Some(clerk)),
            gatekeeper: Mutex::default(),
            on_times: Mutex::default(),
            ended: Mutex::default(),
            on_changed: Notify::new(),
            heard: Notify::new(),
            in_turn: tokio::sync::Mutex::default(),
            writing: tokio::sync::Mutex::default(),
        }
    }

    /// The table of tools as it is now.
    pub(super) fn tools(&self) -> Arc<Tools> {
        lock(&self.tools).clone()
    }

    /// Another table from now on.
    pub(super) fn set_tools(&self, tools: Tools) {
        *lock(&self.tools) = Arc::new(tools);
    }

    fn now(&self) -> Time {
        self.outside.clock.now()
    }

    fn unix_s(&self) -> i64 {
        self.outside.clock.unix_ms() / 1000
    }

    /// Serves one request and puts it down.
    pub(super) async fn serve(&self, request: Request, halted: oneshot::Receiver<Halt>) -> Done {
        let began = Instant::now();
        let done = self.run(&request, halted).await;
        self.put_down(request, &done, began);
        done
    }

    fn put_down(&self, request: Request, done: &Done, began: Instant) {
        if let Some(clerk) = lock(&self.clerk).as_ref() {
            clerk.put_down(Deed {
                tool: request.name,
                caller: request.caller,
                id: request.id,
                args: request.args,
                outcome: done.outcome,
                result: done.result.clone(),
                took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            });
        }
    }

    async fn run(&self, request: &Request, mut halted: oneshot::Receiver<Halt>) -> Done {
        let tools = self.tools();
        let plan = match request.caller {
            Caller::Mynah => tools.plan_off(&request.name, &request.args),
            _ => tools.plan(&request.name, &request.args),
        };
        let plan = match plan {
            Ok(plan) => plan,
            Err(why) => return Done::refused(why),
        };
        let Some(tool) = tools.get(&request.name) else { return Done::refused("there is no such tool".into()) };
        let deadline = Instant::now() + plan.timeout;
        let late = format!("`{}` was not done within {} ms and was stopped", tool.name, plan.timeout.as_millis());
        let nothing = "nothing was moved";
        let _in_turn = if tool.policy.order == Order::InTurn && request.caller != Caller::Mynah {
            tokio::select! {
                biased;
                halt = &mut halted => return Done::halted(halt, nothing),
                turn = timeout_at(deadline, self.in_turn.lock()) => match turn {
                    Ok(turn) => Some(turn),
                    Err(_) => return Done::refused(format!("{late}: an earlier call was not done yet")),
                },
            }
        } else {
            None
        };
        let admitted = tokio::select! {
            biased;
            halt = &mut halted => return Done::halted(halt, nothing),
            admitted = timeout_at(deadline, self.admit(tool, request, deadline)) => admitted,
        };
        match admitted {
            Err(_) => return Done::refused(late),
            Ok(Err(why)) => return Done::refused(why),
            Ok(Ok(Verdict::Run)) => {}
            Ok(Ok(Verdict::Rehearse)) => {
                let would = json!({ "dry_run": true, "would_do": plan.work.describe(), "done": false });
                return Done { outcome: Outcome::Rehearsed, result: Ok(would), is_cancelled: false };
            }
            Ok(Ok(Verdict::Ask(asking))) => return self.ask(asking),
            Ok(Ok(Verdict::Listen(_))) => return Done::asked(consent::no_yes_heard()),
        }
        self.carry_out(tool, request, &plan, deadline, late, halted).await
    }

    /// Whether the gatekeeper lets the call through; waits for a spoken yes whose transcript may be on its way.
    async fn admit(&self, tool: &Tool, request: &Request, deadline: Instant) -> Result<Verdict, String> {
        let levels = self.levels(&tool.policy).await;
        let line = |name: &str| levels.get(name).copied().flatten();
        let admit = || {
            let minute_of_day = clock::minute_of_day(self.unix_s());
            let moment = Moment { now: self.now(), minute_of_day, line: &line };
            lock(&self.gatekeeper).admit(tool, request.caller, &request.args, &moment)
        };
        loop {
            let heard = self.heard.notified();
            let verdict = admit()?;
            let Verdict::Listen(until) = verdict else { return Ok(verdict) };
            // The gatekeeper gives the same end only once: later looks must not wait longer.
            let until = deadline.min(Instant::now() + until.since(self.now()));
            let is_confirmed = || lock(&self.gatekeeper).is_confirmed(&tool.name, &request.args, self.now());
            let mut heard = std::pin::pin!(heard);
            while !is_confirmed() {
                tokio::select! {
                    () = &mut heard => heard.set(self.heard.notified()),
                    () = sleep_until(until) => return Ok(verdict),
                }
            }
        }
    }

    /// The levels of the lines that a policy looks at.
    async fn levels(&self, policy: &Policy) -> BTreeMap<String, Option<bool>> {
        let mut levels = BTreeMap::new();
        for line in policy.interlocks() {
            levels.insert(line.to_string(), self.backends.lines.sense(line).await.ok());
        }
        levels
    }

    fn ask(&self, asking: Asking) -> Done {
        let within_s = asking.within.as_secs();
        let how = match asking.by {
            Confirm::Button => {
                if !self.outside.has_confirm_line && !(self.outside.give)(Control::AskTap(asking.within)) {
                    return Done::refused("the device is too busy to ask for a confirmation; try again".into());
                }
                let within_ms = u64::try_from(asking.within.as_millis()).unwrap_or(u64::MAX);
                (self.outside.tell)(What::Asked { within_ms });
                "press the button briefly; the device then does it at once and tells you: do not call again"
            }
            Confirm::Voice | Confirm::Off => {
                "say yes; when they have, call this function again with the same arguments"
            }
        };
        let status = "not done yet: a person must confirm it first";
        Done::asked(json!({ "status": status, "within_s": within_s, "ask_the_user_to": how }))
    }

    async fn carry_out(
        &self,
        tool: &Tool,
        request: &Request,
        plan: &Plan,
        deadline: Instant,
        late: String,
        mut halted: oneshot::Receiver<Halt>,
    ) -> Done {
        let turn = tokio::select! {
            biased;
            halt = &mut halted => return Done::halted(halt, "nothing was moved"),
            turn = self.backends.turn(&plan.work, deadline) => turn,
        };
        let _turn = match turn {
            Ok(turn) => turn,
            Err(why) => return Done::refused(format!("{late}: {why}")),
        };
        let off_at = match self.arm(tool, request, &plan.work).await {
            Ok(off_at) => off_at,
            Err(why) => return Done::refused(why),
        };
        let output = self.tools().output(tool, &request.args, &plan.work);
        let going_off = output.map_or(0, |output| lock(&self.on_times).going_off(&output));
        let mut done = tokio::select! {
            biased;
            halt = &mut halted => Done::halted(halt, plan.work.halfway()),
            result = timeout_at(deadline, self.backends.carry_out(&plan.work, request.caller)) => match result {
                Ok(Ok(value)) => Done { outcome: Outcome::Done, result: Ok(value), is_cancelled: false },
                Ok(Err(Failure::Unreachable(why) | Failure::Refused(why))) => Done::failed(why),
                Err(_) => Done::failed(late),
            },
        };
        let mut is_undone = true;
        if done.result.is_err() {
            is_undone = self.backends.undo(&plan.work).await;
            if !is_undone {
                done.stays_moved();
            }
        } else if !plan.work.is_on(&tool.policy, &request.args) {
            self.went_off(tool, request, &plan.work, going_off).await;
        }
        if let (Ok(Value::Object(told)), Work::Device(DeviceWork::Status)) = (&mut done.result, &plan.work) {
            let on: Vec<Value> = lock(&self.on_times).all().map(|(output, _)| shown(output).into()).collect();
            told.insert("switched_on".into(), on.into());
        }
        if let (Ok(Value::Object(told)), Some(off_at)) = (&mut done.result, off_at) {
            told.insert("switches_itself_off_in_s".into(), off_at.since(self.now()).as_secs().into());
        }
        if done.is_cancelled || matches!(halted.try_recv(), Ok(Halt::Cancelled)) {
            self.tell_cancelled(&tool.name, &plan.work, &done, is_undone);
        } else if let Some(id) = &request.id {
            self.ended(id, &tool.name, &plan.work, &done);
        }
        done
    }

    /// Arms what the call is about to switch on. Answers when it goes off, where there is a limit.
    async fn arm(&self, tool: &Tool, request: &Request, work: &Work) -> Result<Option<Time>, String> {
        let (policy, tools) = (&tool.policy, self.tools());
        let Some(output) = tools.output(tool, &request.args, work) else { return Ok(None) };
        let longest = tools.longest_on(&output, tool, &request.args);
        let is_watched = longest.is_some() || tool.is_interlocked() || tool.rests_offline();
        if !is_watched || !work.is_on(policy, &request.args) {
            return Ok(None);
        }
        let Some(args) = work.off(policy, &request.args) else { return Ok(None) };
        let off = OffCall { name: tool.name.clone(), args };
        let is_lasting = longest.is_some() && !work.is_local();
        let (limit, now) = (longest.unwrap_or(NO_LIMIT), self.now());
        let off_at = lock(&self.on_times).arm(&output, off, limit, is_lasting, now)?;
        self.on_changed.notify_one();
        if is_lasting && let Err(why) = self.write_down().await {
            // It stays armed: to be switched off once more does no harm.
            tracing::warn!("{why}");
            return Err(
                "the device cannot write down that it must switch this off again; its owner must look after it".into(),
            );
        }
        Ok(longest.map(|_| off_at))
    }

    async fn went_off(&self, tool: &Tool, request: &Request, work: &Work, number: u64) {
        let Some(output) = self.tools().output(tool, &request.args, work) else { return };
        if !lock(&self.on_times).went_off(&output, number) {
            return;
        }
        self.on_changed.notify_one();
        if !work.is_local() {
            self.write_or_warn().await;
        }
    }

    /// Writes down what must be known after a restart.
    async fn write_down(&self) -> Result<(), String> {
        let Some(folder) = self.outside.folder.clone() else { return Ok(()) };
        let _writing = self.writing.lock().await;
        let on = lock(&self.on_times).kept(self.now(), self.unix_s());
        kept::write(folder, kept::On { on }).await.map_err(|trouble| trouble.to_string())
    }

    async fn write_or_warn(&self) {
        if let Err(why) = self.write_down().await {
            tracing::warn!("{why}");
        }
    }

    /// Takes up what an earlier run left on elsewhere.
    pub(super) async fn remember(&self) {
        let Some(folder) = self.outside.folder.clone() else { return };
        let read = tokio::task::spawn_blocking(move || kept::read::<kept::On>(&folder)).await;
        let Ok((kept, trouble)) = read else { return };
        if let Some(text) = trouble {
            (self.outside.tell)(What::Trouble { part: "tools".into(), text });
        }
        let tools = self.tools();
        for mut on in kept.on {
            let tool = tools.get(&on.off.name);
            // The file may have been changed since: it is what it is switched off by now.
            let plan = tools.plan_off(&on.off.name, &on.off.args).ok();
            let output = tool.zip(plan).and_then(|(tool, plan)| tools.output(tool, &on.off.args, &plan.work));
            on.output = output.unwrap_or(on.output);
            let longest = tool.and_then(|tool| tools.longest_on(&on.output, tool, &on.off.args));
            let Some(longest) = longest else {
                let text = format!(
                    "`{}` was on when mynah ended, and there is no tool any more that switches it off",
                    shown(&on.output)
                );
                (self.outside.tell)(What::Trouble { part: "tools".into(), text });
                continue;
            };
            lock(&self.on_times).remember(on, longest, self.now(), self.unix_s());
        }
    }

    /// When something is to be switched off next.
    pub(super) fn next_off(&self) -> Option<Instant> {
        let at = lock(&self.on_times).next()?;
        Some(Instant::now() + at.since(self.now()).min(Duration::from_secs(24 * 3600)))
    }

    /// Switches off what was on for long enough.
    pub(super) fn due(&self) -> Vec<(String, OffCall)> {
        lock(&self.on_times).due(self.now())
    }

    /// One switching-off: done, or to be tried again.
    pub(super) async fn switch_off(&self, output: String, off: OffCall) {
        let request = Request { id: None, name: off.name, args: off.args, caller: Caller::Mynah };
        let (_never, halted) = oneshot::channel();
        let began = Instant::now();
        let (is_first, number) = {
            let on_times = lock(&self.on_times);
            (on_times.tries(&output) == 0, on_times.going_off(&output))
        };
        let done = self.run(&request, halted).await;
        // Where the tool is another one by now it is off all the same, under this name.
        if done.result.is_ok() && lock(&self.on_times).went_off(&output, number) {
            self.write_or_warn().await;
        }
        if let Err(why) = &done.result {
            let tries = lock(&self.on_times).stays_on(&output, self.now());
            self.on_changed.notify_one();
            if tries.is_power_of_two() {
                tracing::error!(output, tries, "could not be switched off, and is tried again: {why}");
            }
        }
        // What fails every minute would push all else out of the log.
        if is_first || done.result.is_ok() {
            self.put_down(request, &done, began);
        }
    }

    /// The program ends: what is on elsewhere goes off, too, as far as that can be reached in time. What cannot is
    /// switched off at the next start.
    pub(super) async fn rest_elsewhere(self: &Arc<House>) {
        let lasting = lock(&self.on_times).lasting();
        let mut going = tokio::task::JoinSet::new();
        for (output, off) in lasting {
            let house = self.clone();
            going.spawn(async move { house.switch_off(output, off).await });
        }
        let all = async { while going.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(REST_ELSEWHERE, all).await; // the rest is written down
    }

    /// Has everything switched off now whose interlock does not hold any more.
    pub(super) async fn watch_interlocks(&self) {
        let on: Vec<(String, String)> =
            lock(&self.on_times).all().map(|(output, off)| (output.to_string(), off.name.clone())).collect();
        let tools = self.tools();
        for (output, name) in on {
            let Some(tool) = tools.get(&name).filter(|tool| tool.is_interlocked()) else { continue };
            let levels = self.levels(&tool.policy).await;
            let line = |name: &str| levels.get(name).copied().flatten();
            let moment = Moment { now: self.now(), minute_of_day: None, line: &line };
            if let Err(why) = policy::interlocked(&tool.policy, &moment) {
                tracing::info!(output, "is switched off: {why}");
                lock(&self.on_times).hasten(self.now(), |name, _| name == output);
                self.on_changed.notify_one();
            }
        }
    }

    /// Somebody who was away is back: what could not be switched off is tried again.
    pub(super) fn try_again(&self) {
        lock(&self.on_times).try_again(self.now());
        self.on_changed.notify_one();
    }

    /// The connection was lost: what is to rest then is switched off.
    pub(super) fn offline(&self) {
        let tools = self.tools();
        let rests = |_: &str, off: &OffCall| tools.get(&off.name).is_some_and(|tool| tool.rests_offline());
        lock(&self.on_times).hasten(self.now(), rests);
        self.on_changed.notify_one();
    }

    /// Somebody said yes by a button: the call that is to run now.
    pub(super) fn tapped(&self) -> Option<Request> {
        let (name, args, caller) = lock(&self.gatekeeper).tapped(self.now())?;
        Some(Request { id: None, name, args, caller })
    }

    /// Somebody said something.
    pub(super) fn heard(&self, text: &str, began_at: Time) {
        lock(&self.gatekeeper).heard(text, began_at, self.now());
        self.heard.notify_waiters();
    }

    /// Ends the audit log: what is put down later is lost.
    pub(super) fn close(&self) {
        if let Some(clerk) = lock(&self.clerk).take() {
            clerk.finish();
        }
    }

    /// Tells the model what came of a call that a person had to confirm.
    pub(super) fn tell_confirmed(&self, name: &str, result: &Result<Value, String>) {
        let what = match result {
            Ok(value) => format!("it was done: {value}"),
            Err(why) => format!("it failed: {why}"),
        };
        let text =
            format!("[device] The user confirmed `{name}` by the button, and {what}. Tell the user in a few words.");
        let _ = (self.outside.give)(Control::Tell(text.into()));
    }
}
