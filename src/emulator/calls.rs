//! The calls that were made on a connection, and what became of them.

use std::collections::VecDeque;

use super::check::Answer;

/// Calls that are remembered; an answer to an older one counts as an answer to no call.
const CALLS_MAX: usize = 1024;

/// The book of calls.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls {
    issued: VecDeque<IssuedCall>,
    made: u64,
}

#[derive(Clone, Debug)]
struct IssuedCall {
    id: String,
    name: String,
    /// Number of the reply it was made in.
    reply: u64,
    state: CallState,
    /// Whether the connection that it was made on is gone.
    outlived: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
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
        self.issued.push_back(IssuedCall { id: id.clone(), name, reply, state: CallState::Open, outlived: false });
        if self.issued.len() > CALLS_MAX {
            self.issued.pop_front();
        }
        id
    }

    /// Whether a call of that reply lacks its answer.
    pub(super) fn any_open(&self, reply: u64) -> bool {
        self.issued.iter().any(|call| call.state == CallState::Open && call.reply == reply && !call.outlived)
    }

    /// The connection they were made on is gone, and the session goes back to where it knew `known`: of those what is
    /// open wants an answer still, though nothing waits for it; the later ones never happened, but a client that
    /// answers them cannot know.
    pub(super) fn outlive_their_connection(mut self, known: &Calls) -> Calls {
        for call in &mut self.issued {
            call.outlived = true;
            if !known.issued.iter().any(|other| other.id == call.id) {
                call.state = CallState::TakenBack;
            }
        }
        self
    }

    /// Ids of the calls that lost their connection and have no answer yet.
    pub(super) fn lost(&self) -> Vec<String> {
        let lost = self.issued.iter().filter(|call| call.outlived && call.state == CallState::Open);
        lost.map(|call| call.id.clone()).collect()
    }

    /// Gives up the calls that lost their connection.
    pub(super) fn give_up_lost(&mut self) {
        let lost = self.issued.iter_mut().filter(|call| call.outlived && call.state == CallState::Open);
        lost.for_each(|call| call.state = CallState::TakenBack);
    }

    /// Takes back the open calls that were made in reply `since` or later; answers their ids.
    pub(super) fn take_back(&mut self, since: u64) -> Vec<String> {
        let open = self
            .issued
            .iter_mut()
            .filter(|call| call.state == CallState::Open && call.reply >= since && !call.outlived);
        open.map(|call| {
            call.state = CallState::TakenBack;
            call.id.clone()
        })
        .collect()
    }

    /// Enters an answer. False: the call was taken back, and the two have met on the way; or it was answered before its
    /// connection ended, which the client cannot know. An error says what is wrong.
    pub(super) fn answer(&mut self, answer: &Answer) -> Result<bool, String> {
        let Answer { id, name, .. } = answer;
        let Some(call) = self.issued.iter_mut().find(|call| call.id == *id) else {
            return Err(format!("no call has the id {id:?}: copy it from the call"));
        };
        if call.name != *name {
            return Err(format!("call {id} was to {}, the answer is from {name:?}", call.name));
        }
        // Whether the connection's end swallowed the answer the client cannot know: once it may say it again.
        let again = std::mem::take(&mut call.outlived);
        match call.state {
            CallState::Open => {
                call.state = CallState::Answered;
                Ok(true)
            }
            CallState::TakenBack => Ok(false),
            CallState::Answered if again => Ok(false),
            CallState::Answered => Err(format!("call {id} is answered twice")),
        }
    }
}
