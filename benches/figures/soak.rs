//! The soak: minutes of streaming and playing with a core kept busy, and every glitch counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

use crate::client::Client;
use crate::clock::{now_ns, sleep_ms};
use crate::figures::Bench;
use crate::server::Kind;
use crate::table::Row;
use crate::voice::{self, LOOP_FRAMES_16K};

/// Each turn and each reply lasts this long: twice the loop and more, so that every frame has a twin to compare with.
const ROUND_S: usize = 15;

/// Frames not compared at either end of a piece, at 16 kHz: the resampler's settling and fades.
const EDGE_FRAMES_16K: usize = 1600;

/// What broke.
#[derive(Default)]
pub struct Glitches {
    rounds: usize,
    xruns: usize,
    uplink: usize,
    downlink: usize,
    short: usize,
}

impl Glitches {
    /// All of them in one row, with the microphone's xruns since `began_ns`.
    pub fn row(&self, bench: &Bench<'_>, began_ns: i64) -> Result<Row> {
        let mic = bench.card.xruns("mic", began_ns, now_ns())?;
        let all = mic + self.xruns + self.uplink + self.downlink + self.short;
        let name = format!("xruns, jumps, wrong lengths in {} s", 2 * ROUND_S * self.rounds);
        Ok(Row::new(&name, "", Some(0.0), "", vec![all as f64]))
    }
}

/// Keeps core 1 (where there is one) busy until told to stop.
fn spin(stop: Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        // SAFETY: a set of bits that lives here; failing (one core only) does no harm.
        unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            libc::CPU_SET(1, &mut set);
            libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
        }
        while !stop.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
    })
}

/// (h) Streams and plays for `minutes` and counts what broke.
pub fn soak(bench: &Bench<'_>, client: &mut Client, minutes: f64) -> Result<Vec<Row>> {
    let stop = Arc::new(AtomicBool::new(false));
    let spinner = spin(stop.clone());
    let began_ns = now_ns();
    let mut glitches = Glitches::default();
    let mut result = Ok(());
    while result.is_ok() && ((now_ns() - began_ns) as f64) < minutes * 60e9 {
        result = round(bench, client, &mut glitches);
    }
    stop.store(true, Ordering::Relaxed);
    let _ = spinner.join();
    result?;
    glitches.xruns += bench.card.xruns("mic", began_ns, now_ns())?;
    eprintln!("soak: {} rounds of {ROUND_S} s up and {ROUND_S} s down", glitches.rounds);
    let row = |what: &str, count: usize| {
        let name = format!("soak {minutes} min, core busy: {what}");
        Row::new(&name, "", Some(0.0), "", vec![count as f64])
    };
    Ok(vec![
        row("xruns", glitches.xruns),
        row("uplink jumps", glitches.uplink),
        row("speaker jumps", glitches.downlink),
        row("lengths wrong", glitches.short),
    ])
}

/// One turn and one reply of [`ROUND_S`] each.
pub fn round(bench: &Bench<'_>, client: &mut Client, glitches: &mut Glitches) -> Result<()> {
    bench.keep_company()?;
    bench.server.forget();
    glitches.rounds += 1;
    client.button.press()?;
    sleep_ms(ROUND_S as f64 * 1e3);
    client.button.release()?;
    bench.server.expect(0, 5000, &Kind::ActivityEnd)?;
    let mut uplink = Vec::new();
    for arrival in bench.server.since(0) {
        if let Kind::Audio(sound) = arrival.kind {
            uplink.extend(sound);
        }
    }
    // A quarter of a second may be missing at the front (a gate that waits for speech), not more.
    glitches.short += usize::from(uplink.len() < 16_000 * ROUND_S - 4000);
    let up = voice::jumps(&uplink, LOOP_FRAMES_16K, EDGE_FRAMES_16K);
    glitches.uplink += up;

    let speech = voice::speech(24_000);
    let reply: Vec<i16> = speech.iter().copied().cycle().take(24_000 * ROUND_S).collect();
    let sent_ns = bench.reply(0, &reply)?;
    sleep_ms(ROUND_S as f64 * 1e3 + 700.0);
    let began_ns = bench.card.first_loud_ns(sent_ns, 300)?.context("a reply of the soak was never heard")?;
    let mut heard = Vec::new();
    for (_, _, samples) in bench.card.played(began_ns)? {
        heard.extend(samples);
    }
    // A ring that runs dry behind the reply's last frame was nobody's loss.
    let ended_ns = bench.card.last_sound_ns(began_ns)?.unwrap_or(began_ns);
    glitches.xruns += bench.card.xruns("speaker", sent_ns, ended_ns)?;
    let last = heard.iter().rposition(|x| x.saturating_abs() > 300).unwrap_or_default();
    // The reply ends in the loop's middle: compared to within the last pause.
    let expected = speech_length(&reply) * 2;
    glitches.short += usize::from(last.abs_diff(expected) > 960); // 20 ms
    heard.truncate(last + 1);
    let down = voice::jumps(&heard, LOOP_FRAMES_16K * 3, EDGE_FRAMES_16K * 3);
    glitches.downlink += down;
    if up + down > 0 {
        eprintln!("soak: round {}: {up} jumps up, {down} down", glitches.rounds);
    }
    Ok(())
}

/// Frames from the first loud one to the last, at the reply's rate.
fn speech_length(reply: &[i16]) -> usize {
    let loud = |x: &i16| x.saturating_abs() > 300;
    match (reply.iter().position(loud), reply.iter().rposition(loud)) {
        (Some(first), Some(last)) => last - first,
        _ => 0,
    }
}
