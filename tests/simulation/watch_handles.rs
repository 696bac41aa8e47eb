//! Setups: the newest handle, none that was refused, nothing refused twice in a row.

use std::collections::BTreeSet;

use mynah::live::close::Closing;
use mynah::live::server;
use serde_json::Value;

use super::{Rule, Watch};

/// Setups with a handle that may fail one after the other.
const FAILURES_MAX: u32 = 2;

/// What is known of handles and setups.
#[derive(Default)]
pub struct Handles {
    newest: Option<String>,
    refused: BTreeSet<String>,
    /// The last setup, while it is not answered.
    offered: Option<Value>,
    /// The last one, where a close frame refused it.
    last_refused: Option<Value>,
    failures: u32,
}

impl Handles {
    /// A new conversation: no handle is to be sent before the service gives one.
    pub fn forget(&mut self) {
        (self.newest, self.failures) = (None, 0);
    }
}

fn handle_of(setup: &Value) -> Option<&str> {
    setup.pointer("/sessionResumption/handle").and_then(Value::as_str)
}

impl Watch {
    /// A setup goes out.
    pub(super) fn setup_sent(&mut self, setup: &Value) {
        let handle = handle_of(setup).map(String::from);
        let handles = &mut self.handles;
        let is_newest = handle.is_none() || handle == handles.newest;
        let was_refused = handle.as_ref().is_some_and(|handle| handles.refused.contains(handle));
        let is_again = handles.last_refused.as_ref() == Some(setup);
        let is_stubborn = handle.is_some() && handles.failures >= FAILURES_MAX;
        handles.offered = Some(setup.clone());
        self.must(is_newest, Rule::Handles, || format!("the handle {handle:?} is not the newest"));
        self.must(!was_refused, Rule::Handles, || "a handle that was refused is sent again".into());
        self.must(!is_again, Rule::Handles, || "a setup that was refused is sent again".into());
        self.must(!is_stubborn, Rule::Handles, || "a handle that failed twice is sent again".into());
    }

    pub(super) fn setup_taken(&mut self) {
        self.ready_at = self.now;
        if self.handles.offered.take().as_ref().and_then(handle_of).is_some() {
            self.count("resumptions");
        }
        (self.handles.failures, self.handles.last_refused) = (0, None);
    }

    /// The connection ended, or was given up (none), before the setup was taken or after.
    pub fn setup_ended(&mut self, closing: Option<&Closing>) {
        let Some(setup) = self.handles.offered.take() else { return };
        let handle = handle_of(&setup).map(String::from);
        self.handles.failures += u32::from(handle.is_some());
        let Some(Closing::Frame { code, reason }) = closing else { return };
        if reason.contains("session not found") {
            self.handles.refused.extend(handle);
        }
        if matches!(code, 1007 | 1008) {
            self.handles.last_refused = Some(setup);
        }
    }

    pub(super) fn handle_heard(&mut self, message: &server::Message) {
        if let Some(handle) = &message.handle {
            self.handles.newest = Some(handle.clone());
        }
    }
}
