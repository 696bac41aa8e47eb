//! A witness of machines that stand still: a thread that only sleeps 5 ms at a time, and looks how long that took.
//!
//! A sound server that is not scheduled for longer than the 80 ms that wait in it plays silence, and its ALSA plugin
//! tells nobody. Where real-time priority is allowed the rig has it and this was not seen, with both cores busy; where it
//! is not, a test that fails while the witness saw the machine stand still is repeated. Without that it has failed.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A little less than the sound that the speaker keeps in the device (80 ms).
const STANDSTILL_MS: u64 = 60;
const ATTEMPTS: u32 = 4;

/// Runs a test, again where it failed on a machine that stood still; the last attempt counts in any case.
pub fn steadily(test: impl Fn()) {
    for attempt in 1.. {
        let (stop, worst_ms) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let witness = {
            let (stop, worst_ms) = (stop.clone(), worst_ms.clone());
            std::thread::spawn(move || watch(&stop, &worst_ms))
        };
        let result = catch_unwind(AssertUnwindSafe(&test));
        stop.store(true, Ordering::Relaxed);
        witness.join().unwrap();
        let worst_ms = worst_ms.load(Ordering::Relaxed);
        match result {
            Ok(()) => return,
            Err(failure) if attempt == ATTEMPTS || worst_ms < STANDSTILL_MS => resume_unwind(failure),
            Err(_) => println!("the machine stood still for {worst_ms} ms meanwhile: attempt {}", attempt + 1),
        }
    }
}

fn watch(stop: &AtomicBool, worst_ms: &AtomicU64) {
    // As the audio threads where that is allowed: other programs' load is no excuse then.
    let priority = libc::sched_param { sched_priority: 5 };
    // SAFETY: the parameter outlives the call, which concerns this thread only.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_RR, &priority) };
    while !stop.load(Ordering::Relaxed) {
        let since = Instant::now();
        std::thread::sleep(Duration::from_millis(5));
        worst_ms.fetch_max(since.elapsed().as_millis() as u64, Ordering::Relaxed);
    }
}
