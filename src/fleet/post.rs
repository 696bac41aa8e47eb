//! Where the broker's connection and the fleet's thread meet: what is shown, what was heard, whether the broker is there.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::config::agent::fleet::ALL;

/// Messages that wait for the thread: those that the broker kept, and as many again.
const INBOX_MAX: usize = 4;

/// A message to the fleet's thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// What it says.
    pub payload: Vec<u8>,
    /// The broker had kept it, and passed it on when the device asked; nobody sends it now.
    pub is_kept: bool,
}

type Ring = Box<dyn Fn() + Send + Sync>;

/// The topics of one device, and what stands there.
pub struct Post {
    base: String,
    everybody: String,
    inner: Mutex<Inner>,
    /// Wakes the thread.
    wake: Ring,
    /// Wakes the connection.
    show: OnceLock<Ring>,
}

#[derive(Default)]
struct Inner {
    shown: BTreeMap<String, Vec<u8>>,
    inbox: VecDeque<Mail>,
    is_there: bool,
}

impl Post {
    /// The topics below `topic` of the device of this name; `wake` is called when there is something for the thread, and
    /// must not wait.
    pub fn new(topic: &str, name: &str, wake: impl Fn() + Send + Sync + 'static) -> Post {
        let (base, everybody) = (format!("{topic}/{name}"), format!("{topic}/{ALL}/config"));
        Post { base, everybody, inner: Mutex::default(), wake: Box::new(wake), show: OnceLock::new() }
    }

    /// A topic of the device.
    pub fn topic(&self, name: &str) -> String {
        format!("{}/{name}", self.base)
    }

    /// Topics at which configurations come.
    pub fn filters(&self) -> [String; 2] {
        [self.topic("config"), self.everybody.clone()]
    }

    /// Puts something up for everybody to see, in the place of what was there.
    pub fn put_up(&self, name: &str, says: Vec<u8>) {
        self.lock().shown.insert(self.topic(name), says);
        if let Some(show) = self.show.get() {
            show();
        }
    }

    /// Topics and what they say.
    pub fn shown(&self) -> Vec<(String, Vec<u8>)> {
        self.lock().shown.iter().map(|(topic, says)| (topic.clone(), says.clone())).collect()
    }

    /// Called when something new is put up; the first stays.
    pub fn on_show(&self, show: impl Fn() + Send + Sync + 'static) {
        let _ = self.show.set(Box::new(show));
    }

    /// Takes a message where it is the fleet's; answers whether it is.
    pub fn hear(&self, topic: &str, payload: &[u8], is_kept: bool) -> bool {
        if topic != self.everybody && topic.strip_prefix(self.base.as_str()) != Some("/config") {
            return false;
        }
        // Whoever takes a kept message away says nothing.
        if !payload.is_empty() {
            let mut inner = self.lock();
            if inner.inbox.len() == INBOX_MAX {
                inner.inbox.pop_front();
            }
            inner.inbox.push_back(Mail { payload: payload.to_vec(), is_kept });
            drop(inner);
            (self.wake)();
        }
        true
    }

    /// What was heard since this was asked last.
    pub fn take(&self) -> Vec<Mail> {
        self.lock().inbox.drain(..).collect()
    }

    /// The broker is there, or is not.
    pub fn set_there(&self, is_there: bool) {
        self.lock().is_there = is_there;
    }

    /// Whether the broker is there.
    pub fn is_there(&self) -> bool {
        self.lock().is_there
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn only_the_fleets_topics_are_heard_and_a_flood_leaves_the_newest() {
        let woken = Arc::new(AtomicUsize::new(0));
        let counter = woken.clone();
        let post = Post::new("mynah/fleet", "hall", move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(post.filters(), ["mynah/fleet/hall/config", "mynah/fleet/all/config"]);
        for topic in ["mynah/fleet/hall", "mynah/fleet/hall2/config", "mynah/fleet/hall/x/config", "x/all/config"] {
            assert!(!post.hear(topic, b"x", false), "{topic}");
        }
        assert!(post.hear("mynah/fleet/hall/config", b"", true));
        assert_eq!((post.take().len(), woken.load(Ordering::Relaxed)), (0, 0));
        for number in 0..9_u8 {
            assert!(post.hear(&post.filters()[usize::from(number % 2)], &[number], number == 6));
        }
        let mail = |number: u8| Mail { payload: vec![number], is_kept: number == 6 };
        assert_eq!(post.take(), [5, 6, 7, 8].map(mail));
        assert_eq!((post.take().len(), woken.load(Ordering::Relaxed)), (0, 9));
    }
}
