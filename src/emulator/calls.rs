//! The calls that were made on a connection, and what became of them.

use std::collections::VecDeque;

use super::check::Answer;

/// Calls that are remembered; an answer to an older one counts as an answer to no call.
const CALLS_MAX: usize = 1024;

/// The book of calls.
#[derive(Default)]
pub(super) struct Calls {
    issued: VecDeque<IssuedCall>,
    made: u64,
}

struct IssuedCall {
    id: String,
    name: String,
    /// Number of the reply it was made in.
    reply: u64,
    state: CallState,
}

#[derive(PartialEq)]
enum CallState {
    Open,
    Answered,
    TakenBack,
}

impl Calls {
    /// Makes a call in reply number `reply`; answers its id.
    pub(super) fn make(&mut self, session: u64, reply: u64, name: String) -> String {
        self.made += 1;
        let id = format!("fc-{session}-{}", self.made);
        self.issued.push_back(IssuedCall { id: id.clone(), name, reply, state: CallState::Open });
        if self.issued.len() > CALLS_MAX {
            self.issued.pop_front();
        }
        id
    }

    /// Whether a call of that reply lacks its answer.
    pub(super) fn any_open(&self, reply: u64) -> bool {
        self.issued.iter().any(|call| call.state == CallState::Open && call.reply == reply)
    }

    /// Takes back the open calls that were made in reply `since` or later; answers their ids.
    pub(super) fn take_back(&mut self, since: u64) -> Vec<String> {
        let open = self.issued.iter_mut().filter(|call| call.state == CallState::Open && call.reply >= since);
        open.map(|call| {
            call.state = CallState::TakenBack;
            call.id.clone()
        })
        .collect()
    }

    /// Enters an answer. False: the call was taken back, and the two have met on the way. An error says what is wrong.
    pub(super) fn answer(&mut self, answer: &Answer) -> Result<bool, String> {
        let Answer { id, name, .. } = answer;
        let Some(call) = self.issued.iter_mut().find(|call| call.id == *id) else {
            return Err(format!("no call has the id {id:?}: copy it from the call"));
        };
        if call.name != *name {
            return Err(format!("call {id} was to {}, the answer is from {name:?}", call.name));
        }
        match call.state {
            CallState::Open => {
                call.state = CallState::Answered;
                Ok(true)
            }
            CallState::TakenBack => Ok(false),
            CallState::Answered => Err(format!("call {id} is answered twice")),
        }
    }
}
