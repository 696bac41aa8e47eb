//! The wake word's detector, or what the owner is told where there can be none.

use crate::config::agent::{Agent, ListenMode};
use crate::gate::wake::{Templates, WakeDetector};
use crate::hw;

/// What the owner is told of it as.
pub const PART: &str = "wake";

/// A detector where the agent file asks for one. Where its file is missing or cannot be used, `tell` is told so once,
/// and there is only the button.
pub fn detector(agent: &Agent, tell: impl Fn(Result<(), String>)) -> Option<Box<dyn WakeDetector + Send>> {
    if agent.listen.mode != ListenMode::WakeWord {
        return None;
    }
    let Some(path) = &agent.wake.word_file else {
        let why = "no wake word is named ([wake] word_file), so only the talk button opens the microphone: make one with \
                   `mynah wake record --out FILE`";
        tell(Err(why.to_string()));
        return None;
    };
    match hw::wake::load(path) {
        Ok(model) => Some(Box::new(Templates::new(&model, agent.wake.sensitivity_percent))),
        Err(why) => {
            tell(Err(format!("{why}. Until then only the talk button opens the microphone")));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::cell::RefCell;

    use super::*;

    fn told(mode: ListenMode, word_file: Option<&str>) -> (bool, Vec<String>) {
        let mut agent = Agent::default();
        agent.listen.mode = mode;
        agent.wake.word_file = word_file.map(Into::into);
        let said = RefCell::new(Vec::new());
        let found = detector(&agent, |result| said.borrow_mut().push(result.unwrap_err()));
        (found.is_some(), said.into_inner())
    }

    #[test]
    fn without_a_usable_word_the_owner_is_told_once_and_there_is_no_detector() {
        for file in [None, Some("/nonexistent/wake.toml"), Some("/proc/version")] {
            let (found, said) = told(ListenMode::WakeWord, file);
            assert!(!found && said.len() == 1, "{file:?}: {said:?}");
            assert!(said[0].contains("only the talk button") && said[0].contains("record"), "{}", said[0]);
            assert_eq!(told(ListenMode::HandsFree, file), (false, Vec::new()), "nobody asked for one");
        }
    }
}
