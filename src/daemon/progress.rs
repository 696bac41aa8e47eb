//! What threads tell of themselves without a message: that they live, and how loud it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::audio::meter::Meter;

/// Counters that rise while threads live.
#[derive(Default)]
pub struct Progress {
    pub core: Arc<AtomicU64>,
    pub mic: Arc<AtomicU64>,
    pub gate: Arc<AtomicU64>,
    pub speaker: Arc<AtomicU64>,
    pub lost_hops: Arc<AtomicU64>,
}

/// How loud it is, on both ways.
#[derive(Clone, Default)]
pub struct Meters {
    pub mic: Arc<Meter>,
    pub speaker: Arc<Meter>,
}

/// What the counters said at one moment.
pub struct Seen {
    pub threads: [u64; 4],
    pub lost_hops: u64,
}

impl Progress {
    /// What they say now.
    pub fn read(&self) -> Seen {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Seen {
            threads: [&self.core, &self.mic, &self.gate, &self.speaker].map(|c| read(c)),
            lost_hops: read(&self.lost_hops),
        }
    }
}
