//! The last turns' words, to tell a fresh session of them where the service has lost the old one.
//!
//! Bounded in turns and in bytes; on the disk only where the owner allows it.

use std::collections::VecDeque;

use super::memory::HANDLE_LIFE;
use crate::live::client::Said;
use crate::units::Time;

/// Bytes of one side's words in a turn that are worth telling: a minute of speech.
const SAID_MAX: usize = 1000;

/// The machine.
#[derive(Debug)]
pub struct History {
    said_max: usize,
    said: VecDeque<Said>,
    user: String,
    model: String,
    /// When the last turn ended: what was said long ago may have been said by somebody else.
    said_at: Time,
    /// The present connection was told the words, or its setup announced them, and nothing was said on it since.
    is_announced: bool,
}

impl History {
    /// The last `turns` turns.
    pub fn new(turns: u32) -> History {
        History {
            said_max: 2 * turns as usize,
            said: VecDeque::new(),
            user: String::new(),
            model: String::new(),
            said_at: Time::ZERO,
            is_announced: false,
        }
    }

    /// Takes up what an earlier run left.
    pub fn remember(&mut self, said: Vec<Said>) {
        self.said = said.into();
        self.bound();
    }

    /// All that the user said in this turn so far.
    pub fn user_said(&mut self, text: &str) {
        self.user = clip(text).to_string();
    }

    /// What the user is taken to have said in this turn; empty where the service has not told it.
    pub fn user_text(&self) -> &str {
        &self.user
    }

    /// More of what the model says.
    pub fn model_said(&mut self, text: &str) {
        let room = SAID_MAX.saturating_sub(self.model.len());
        self.model.push_str(&text[..text.floor_char_boundary(room)]);
    }

    /// The turn is over, whole or cut. Answers whether anything was said in it.
    pub fn turn_over(&mut self, now: Time) -> bool {
        let mut is_news = false;
        for (by_user, words) in [(true, &mut self.user), (false, &mut self.model)] {
            let text = std::mem::take(words);
            if !text.trim().is_empty() {
                self.said.push_back(Said { by_user, text });
                is_news = true;
                self.is_announced = false;
                self.said_at = now;
            }
        }
        self.bound();
        is_news
    }

    /// Forgets everything.
    pub fn forget(&mut self) {
        *self = History::new((self.said_max / 2) as u32);
    }

    /// The model's words of a reply that broke off are not what it said.
    pub fn reply_lost(&mut self) {
        self.model.clear();
    }

    /// The window that was being sent is sent anew, and its words are told again.
    pub fn window_lost(&mut self) {
        self.user.clear();
    }

    /// Forgets what is older than a handle may be: a session that is gone for so long is not gone on with.
    pub fn forget_before(&mut self, now: Time) {
        if now.since(self.said_at) > HANDLE_LIFE {
            self.said.clear();
        }
    }

    /// The setup announces the words, if there are any. Answers whether it does.
    pub fn announce(&mut self) -> bool {
        self.is_announced = self.said.iter().any(|said| said.by_user);
        self.is_announced
    }

    /// Whether the present connection's setup announced them.
    pub fn is_announced(&self) -> bool {
        self.is_announced
    }

    /// The service refused something. Forgets the words where it may have been they. Answers whether it did.
    pub fn refused(&mut self) -> bool {
        let is_forgotten = std::mem::take(&mut self.is_announced);
        if is_forgotten {
            self.said.clear();
        }
        is_forgotten
    }

    /// The words, the oldest first, beginning with the user's.
    pub fn said(&self) -> Vec<Said> {
        self.said.iter().skip_while(|said| !said.by_user).cloned().collect()
    }

    /// Whether these are the words.
    pub fn is_said(&self, said: &[Said]) -> bool {
        self.said.iter().skip_while(|said| !said.by_user).eq(said)
    }

    fn bound(&mut self) {
        while self.said.len() > self.said_max {
            self.said.pop_front();
        }
    }
}

fn clip(text: &str) -> &str {
    &text[..text.floor_char_boundary(SAID_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(history: &History) -> String {
        let line = |s: &Said| format!("{}{}", if s.by_user { "u:" } else { "m:" }, s.text);
        history.said().iter().map(line).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_last_turns_are_kept_and_no_more() {
        let mut history = History::new(2);
        for n in 1..=3 {
            history.user_said("q");
            history.user_said(&format!("q{n}"));
            history.model_said("a");
            history.model_said(&n.to_string());
            assert!(history.turn_over(Time::ZERO));
        }
        assert_eq!(said(&history), "u:q2 m:a2 u:q3 m:a3");
        assert!(!history.turn_over(Time::ZERO), "nobody said anything");
        history.user_said("q4");
        history.model_said("half of");
        history.reply_lost();
        history.model_said("a4");
        history.turn_over(Time::ZERO);
        assert_eq!(said(&history), "u:q3 m:a3 u:q4 m:a4");
    }

    #[test]
    fn words_are_bounded_and_none_are_kept_where_none_are_wanted() {
        let mut history = History::new(1);
        history.user_said(&"ä".repeat(SAID_MAX));
        for _ in 0..SAID_MAX {
            history.model_said("äöü");
        }
        history.turn_over(Time::ZERO);
        assert!(history.said().iter().all(|s| s.text.len() <= SAID_MAX && s.text.len() > SAID_MAX - 8));
        let mut none = History::new(0);
        none.user_said("q");
        none.turn_over(Time::ZERO);
        assert!(none.said().is_empty());
    }
}
