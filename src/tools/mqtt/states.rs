//! What was heard last on each topic: bounded, and with its age.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::{StateAt, Wait};
use crate::units::Time;

/// Topics whose last message is kept; the one that was heard longest ago makes room.
pub const STATES_MAX: usize = 256;
/// Bytes of a message that is kept; a longer one counts as heard and cannot be told.
pub const STATE_BYTES_MAX: usize = 16 * 1024;
/// Characters of a state in a sentence.
const SHOWN_CHARS: usize = 80;

/// What was heard on a topic.
#[derive(Clone, Debug, PartialEq)]
struct Heard {
    /// None where it was too long.
    payload: Option<Vec<u8>>,
    at: Time,
    /// Counts messages.
    number: u64,
    /// Whether the broker kept it from earlier.
    is_old: bool,
}

/// The last message of each topic.
#[derive(Clone, Debug, Default)]
pub struct States {
    by_topic: BTreeMap<String, Heard>,
    count: u64,
}

impl States {
    /// Messages heard so far: those that come later have a higher number.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Takes a message; `is_old` where the broker had kept it.
    pub fn hear(&mut self, topic: &str, payload: &[u8], is_old: bool, now: Time) {
        self.count += 1;
        if self.by_topic.len() >= STATES_MAX && !self.by_topic.contains_key(topic) {
            let oldest = self.by_topic.iter().min_by_key(|(_, heard)| heard.number).map(|(topic, _)| topic.clone());
            oldest.and_then(|oldest| self.by_topic.remove(&oldest));
        }
        // The broker forgets a kept message where an empty one is kept in its place.
        if payload.is_empty() && is_old {
            self.by_topic.remove(topic);
            return;
        }
        let payload = (payload.len() <= STATE_BYTES_MAX).then(|| payload.to_vec());
        self.by_topic.insert(topic.to_string(), Heard { payload, at: now, number: self.count, is_old });
    }

    /// The last state, for the model.
    ///
    /// # Errors
    /// Nothing was heard, or not what the configuration says: a sentence.
    pub fn read(&self, at: &StateAt, now: Time) -> Result<Value, String> {
        let topic = &at.topic;
        let Some(heard) = self.by_topic.get(topic) else {
            return Err(format!("nothing was heard yet on `{topic}`: its state is not known"));
        };
        let state = value(heard, at)?;
        Ok(
            json!({ "topic": topic, "state": state, "age_s": now.since(heard.at).as_secs(), "kept_by_broker": heard.is_old }),
        )
    }

    /// Whether a wait that began when [`States::count`] was `since` is over, and with what.
    pub fn arrived(&self, wait: &Wait, since: u64) -> Option<Value> {
        let heard = self.by_topic.get(&wait.at.topic).filter(|heard| heard.number > since)?;
        let state = value(heard, &wait.at).ok()?;
        let is_it = match &wait.wanted {
            Some(wanted) => is(&state, wanted),
            // What the broker had kept says nothing of what was just asked for.
            None => !heard.is_old,
        };
        is_it.then(|| json!({ "topic": wait.at.topic, "state": state }))
    }

    /// Whether the state is already what is wanted.
    pub fn is_so_already(&self, wait: &Wait) -> Option<Value> {
        let (heard, wanted) = (self.by_topic.get(&wait.at.topic)?, wait.wanted.as_ref()?);
        let state = value(heard, &wait.at).ok().filter(|state| is(state, wanted))?;
        Some(json!({ "topic": wait.at.topic, "state": state, "was_so_before": true }))
    }

    /// What to say where the wait is over in vain.
    pub fn lacks(&self, wait: &Wait, waited: Duration) -> String {
        let Wait { at: StateAt { topic, .. }, wanted } = wait;
        let waited_ms = waited.as_millis();
        let found = match self.by_topic.get(topic).map(|heard| value(heard, &wait.at)) {
            None => "nothing was ever heard there".to_string(),
            Some(Err(why)) => why,
            Some(Ok(state)) => format!("the last was {}", shown(&state)),
        };
        let wanted = wanted.as_ref().map(|wanted| format!(" that it is {}", shown(&json!(wanted)))).unwrap_or_default();
        format!(
            "the message was passed on, but within {waited_ms} ms `{topic}` did not say{wanted}: {found}. Do not claim that it was done"
        )
    }
}

/// The state in a message.
fn value(heard: &Heard, at: &StateAt) -> Result<Value, String> {
    let topic = &at.topic;
    let Some(payload) = &heard.payload else {
        return Err(format!("what `{topic}` says is longer than {STATE_BYTES_MAX} bytes and was not kept"));
    };
    let Ok(text) = std::str::from_utf8(payload) else { return Err(format!("what `{topic}` says is no text")) };
    let json = serde_json::from_str::<Value>(text).ok();
    match &at.pointer {
        None => Ok(json.unwrap_or_else(|| Value::String(text.trim().to_string()))),
        Some(pointer) => {
            let found = json.as_ref().and_then(|json| json.pointer(pointer));
            found.cloned().ok_or_else(|| format!("what `{topic}` says has no `{pointer}`"))
        }
    }
}

/// Whether a state is what a text says: as text, as number, or as JSON.
fn is(state: &Value, wanted: &str) -> bool {
    let wanted = wanted.trim();
    match state {
        Value::String(text) => text.trim() == wanted,
        Value::Number(number) => wanted.parse::<f64>().ok().is_some_and(|wanted| number.as_f64() == Some(wanted)),
        other => serde_json::from_str::<Value>(wanted).is_ok_and(|wanted| wanted == *other),
    }
}

fn shown(state: &Value) -> String {
    let text = state.to_string();
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at(pointer: Option<&str>) -> StateAt {
        StateAt { topic: "lamp".into(), pointer: pointer.map(str::to_string) }
    }

    fn wait(wanted: Option<&str>) -> Wait {
        Wait { at: at(None), wanted: wanted.map(str::to_string) }
    }

    #[test]
    fn the_last_state_is_told_with_its_age_or_why_it_is_not_known() {
        let mut states = States::default();
        let read = |states: &States, pointer| states.read(&at(pointer), Time::from_ms(9_500));
        assert_eq!(read(&states, None).unwrap_err(), "nothing was heard yet on `lamp`: its state is not known");
        states.hear("lamp", b"ON", true, Time::from_ms(2_000));
        let told = json!({"topic": "lamp", "state": "ON", "age_s": 7, "kept_by_broker": true});
        assert_eq!(read(&states, None).unwrap(), told);
        states.hear("lamp", br#"{"a": {"b": 21.5}}"#, false, Time::from_ms(9_000));
        assert_eq!(read(&states, Some("/a/b")).unwrap()["state"], 21.5);
        assert_eq!(read(&states, Some("/x")).unwrap_err(), "what `lamp` says has no `/x`");
        states.hear("lamp", &[0xff, 0xfe], false, Time::ZERO);
        assert_eq!(read(&states, None).unwrap_err(), "what `lamp` says is no text");
        states.hear("lamp", &[b'x'; STATE_BYTES_MAX + 1], false, Time::ZERO);
        assert!(read(&states, None).unwrap_err().contains("was not kept"));
        states.hear("lamp", b"", true, Time::ZERO);
        assert!(read(&states, None).unwrap_err().starts_with("nothing was heard"), "the broker forgot it");
    }

    #[test]
    fn an_old_state_ends_no_wait_unless_it_is_the_one_that_is_wanted() {
        let mut states = States::default();
        states.hear("lamp", b"OFF", false, Time::ZERO);
        let since = states.count();
        assert_eq!(states.arrived(&wait(None), since), None, "it came before the call");
        states.hear("lamp", b"OFF", true, Time::ZERO);
        assert_eq!(states.arrived(&wait(None), since), None, "the broker had kept it");
        assert_eq!(states.arrived(&wait(Some("ON")), since), None);
        assert_eq!(states.arrived(&wait(Some("OFF")), since).unwrap()["state"], "OFF");
        states.hear("lamp", b"ON\n", false, Time::ZERO);
        assert_eq!(states.arrived(&wait(Some("ON")), since).unwrap()["state"], "ON");
        assert_eq!(states.arrived(&wait(None), since).unwrap()["state"], "ON");
        assert_eq!(states.is_so_already(&wait(Some("ON"))).unwrap()["was_so_before"], true);
        assert_eq!((states.is_so_already(&wait(Some("OFF"))), states.is_so_already(&wait(None))), (None, None));
        let lacks = states.lacks(&wait(Some("OFF")), Duration::from_millis(800));
        assert!(lacks.contains("800 ms `lamp` did not say that it is \"OFF\": the last was \"ON\""), "{lacks}");
    }

    #[test]
    fn numbers_and_json_are_compared_by_meaning() {
        assert!(is(&json!(42.0), "42") && is(&json!(true), "true") && is(&json!({"a": 1}), "{ \"a\":1 }"));
        assert!(!is(&json!(42.0), "forty-two") && !is(&json!(true), "ON") && !is(&json!("ON"), "OFF"));
    }

    #[test]
    fn a_flood_of_topics_pushes_out_the_oldest() {
        let mut states = States::default();
        for number in 0..STATES_MAX + 10 {
            states.hear(&format!("t/{number}"), b"x", false, Time::ZERO);
        }
        assert_eq!(states.by_topic.len(), STATES_MAX);
        let known = |number| states.by_topic.contains_key(&format!("t/{number}"));
        assert!(!known(9) && known(10) && known(STATES_MAX + 9));
    }
}
