//! What a call has left behind that was taken back: no answer of it goes out, so the model is told in words.

use std::collections::VecDeque;

use super::{Done, House, lock};
use crate::flow::Control;
use crate::tools::Work;
use crate::tools::audit::Outcome;

/// Said of an output that hangs.
const STAYS: &str = "its output does not react and could not be brought to rest yet: it may still be on";

/// Calls whose ends are remembered: no more answers than run at once are on their way.
const ENDED_MAX: usize = 16;

/// Said of a call that had ended well when the cancellation came.
const TOO_LATE: &str = "that came too late, all of it was done already";

/// The last calls that were done and changed something, by id and tool: their answers may still be on their way.
#[derive(Debug, Default)]
pub(super) struct Ended(VecDeque<(String, String)>);

impl Ended {
    fn put(&mut self, id: &str, name: &str) {
        if self.0.len() >= ENDED_MAX {
            self.0.pop_front();
        }
        self.0.push_back((id.to_string(), name.to_string()));
    }

    /// The tool of this call, once.
    fn take(&mut self, id: &str) -> Option<String> {
        let at = self.0.iter().position(|(ended, _)| ended == id)?;
        self.0.remove(at).map(|(_, name)| name)
    }
}

impl Done {
    /// What it had moved could not be brought to rest.
    pub(super) fn stays_moved(&mut self) {
        let why = match &self.result {
            Err(why) if self.outcome == Outcome::Failed => format!("{why}; {STAYS}"),
            _ => format!("it was stopped; {STAYS}"),
        };
        self.result = Err(why);
    }
}

/// What is worth telling of a call that was taken back; nothing where nothing was changed, or all of it undone.
fn left(work: &Work, done: &Done, is_undone: bool) -> Option<&'static str> {
    match done.result {
        _ if !is_undone => Some(STAYS),
        Ok(_) => work.changes_something().then_some(TOO_LATE),
        Err(_) => work.leaves_something().then(|| work.halfway()),
    }
}

impl House {
    /// Tells the model, at the next fitting moment, what became of a call that was taken back.
    pub(super) fn tell_cancelled(&self, name: &str, work: &Work, done: &Done, is_undone: bool) {
        if let Some(how_far) = left(work, done, is_undone) {
            self.tell_left(name, how_far);
        }
    }

    /// A call begins: what is remembered of an older one with its id is of another conversation.
    pub(in super::super) fn begins(&self, id: &str) {
        lock(&self.ended).take(id);
    }

    /// A call has ended and was not taken back, so far.
    pub(super) fn ended(&self, id: &str, name: &str, work: &Work, done: &Done) {
        if done.result.is_ok() && work.changes_something() {
            lock(&self.ended).put(id, name);
        }
    }

    /// A call that does not run any more is taken back: its answer was on its way, and goes no further.
    pub(in super::super) fn taken_back_late(&self, id: &str) {
        let name = lock(&self.ended).take(id);
        if let Some(name) = name {
            self.tell_left(&name, TOO_LATE);
        }
    }

    fn tell_left(&self, name: &str, how_far: &str) {
        let text = format!(
            "[device] The call of `{name}` was cancelled while it was under way: {how_far}. Tell the user in a few words \
             what may have happened, and check the state before you call it again."
        );
        if !(self.outside.give)(Control::Tell(text.into())) {
            tracing::warn!(name, "was cancelled, and the model could not be told: {how_far}");
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::agent::{self, Action};
    use crate::tools::Tools;
    use serde_json::{Value, json};

    fn work(action: &str) -> Work {
        let text = format!(
            "[mqtt]\nhost = \"localhost\"\n[http]\nhosts = [\"a.example\"]\n\
             [[tools]]\nname = \"x\"\ndescription = \"x\"\naction = {{ {action} }}\n\
             parameters = {{ type = \"OBJECT\", properties = {{ on = {{ type = \"BOOLEAN\" }} }}, required = [\"on\"] }}"
        );
        let agent = agent::parse(&text, "test").unwrap_or_else(|problems| panic!("{problems:#?}"));
        assert!(!matches!(agent.tools[0].action, Action::Device(_)));
        Tools::new(&agent.tools).plan("x", json!({"on": true}).as_object().unwrap()).unwrap().work
    }

    fn ended(result: Result<Value, String>) -> Done {
        Done { outcome: Outcome::Stopped, result, is_cancelled: true }
    }

    #[test]
    fn only_what_may_be_different_now_is_told() {
        let set = r#"gpio = "set", line = "lamp", argument = "on""#;
        let pulse = r#"gpio = "pulse", line = "door", pulse_ms = 500"#;
        let look = r#"gpio = "read", line = "door""#;
        let read = r#"mqtt = "read", state_topic = "lamp""#;
        let publish = r#"mqtt = "publish", topic = "lamp", argument = "on""#;
        let get = r#"http = "GET", url = "https://a.example/""#;
        let post = r#"http = "POST", url = "https://a.example/""#;
        for (action, halfway, in_the_end) in [
            (set, Some("what it had set stays"), Some(TOO_LATE)),
            (pulse, None, Some(TOO_LATE)),
            (look, None, None),
            (read, None, None),
            (publish, Some("may or may not have been passed on"), Some(TOO_LATE)),
            (get, None, None),
            (post, Some("is not known"), Some(TOO_LATE)),
        ] {
            let work = work(action);
            let told = left(&work, &ended(Err("stopped".into())), true);
            let is_it = |part| told.is_some_and(|told| told.contains(part));
            assert!(halfway.map_or(told.is_none(), is_it), "{action}: {told:?}");
            assert_eq!(left(&work, &ended(Ok(Value::Null)), true), in_the_end, "{action}");
        }
        assert_eq!(left(&work(pulse), &ended(Err("stopped".into())), false), Some(STAYS));
    }
}
