//! A switch of the board by which a person shuts something off: while it is active, or cannot be read, it is shut.

use std::sync::Arc;
use std::time::Duration;

use super::{Board, Input, LineTrouble};
use crate::units::Time;

/// How often a line that cannot be had is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The line.
pub struct Switch {
    board: Arc<dyn Board>,
    /// The board profile's name of it.
    name: String,
    input: Option<Box<dyn Input>>,
    retry_at: Time,
    is_in_trouble: bool,
}

/// What looking at it gave.
#[derive(Debug, PartialEq, Eq)]
pub struct Look {
    /// Who turned a switch must be able to rely on it: what cannot be known is taken for shut.
    pub is_shut: bool,
    /// What has changed about reading it: a trouble, told once, or that it can be read again.
    pub change: Option<Result<(), LineTrouble>>,
}

impl Switch {
    /// A line that was not looked at yet.
    pub fn new(board: Arc<dyn Board>, name: &str) -> Switch {
        Switch { board, name: name.to_string(), input: None, retry_at: Time::ZERO, is_in_trouble: false }
    }

    /// Looks at it. Reading a line that is open is one call of the kernel and allocates nothing.
    pub fn look(&mut self, now: Time) -> Look {
        match self.level(now) {
            None => Look { is_shut: true, change: None },
            Some(Ok(is_shut)) => Look { is_shut, change: std::mem::take(&mut self.is_in_trouble).then_some(Ok(())) },
            Some(Err(trouble)) => {
                self.input = None;
                self.retry_at = now + RETRY_AFTER;
                let is_news = !std::mem::replace(&mut self.is_in_trouble, true);
                Look { is_shut: true, change: is_news.then_some(Err(trouble)) }
            }
        }
    }

    /// The line's level; none while it is waited for.
    fn level(&mut self, now: Time) -> Option<Result<bool, LineTrouble>> {
        if self.input.is_none() {
            if now < self.retry_at {
                return None;
            }
            match self.board.open_input(&self.name) {
                Ok(input) => self.input = Some(input),
                Err(trouble) => return Some(Err(trouble)),
            }
        }
        self.input.as_mut().map(|input| input.is_active())
    }
}
