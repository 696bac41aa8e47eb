//! The rooms: which scenes are played, what is aimed at, the tables and plots of what came of them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Result;
use mynah::config::agent::{NoiseSuppression, VadKind};

use crate::plot::{self, Axes, Curve};
use crate::room::{Loudspeaker, Walls};
use crate::scene::{Play, Scene, Voices};
use crate::signal::Noise;
use crate::tally::{LATE_MS, POINT_HOPS, Tally};

/// An aim of the bench.
struct Aim {
    what: String,
    aim: &'static str,
    value: String,
    is_met: bool,
}

/// How much is played.
pub struct Extent {
    /// Length of a scene without barge-ins, s.
    pub echo_s: u64,
    /// Length of the replies that nobody may interrupt, s.
    pub quiet_s: u64,
    /// Length of a scene with barge-ins, s.
    pub barge_in_s: u64,
    /// How far figures may lie under their aims.
    pub margin: Margin,
}

/// How far a figure may lie under its aim before the bench fails; the short form hears too little to be exact.
#[derive(Clone, Copy)]
pub struct Margin {
    /// ERLE, dB.
    pub erle_db: f32,
    /// Barge-ins in time, percentage points.
    pub in_time_percent: f64,
    /// Replies cut by themselves.
    pub self_cuts: usize,
    /// First syllables lost.
    pub syllables: usize,
    /// Cost, as a factor.
    pub cost: f64,
}

/// Scenes in which only the device speaks, to see what is left of its echo; without noise suppression.
fn echo_scenes(seconds: u64) -> Vec<Scene> {
    let plain = Scene { noise_suppression: NoiseSuppression::Off, ..Scene::plain(seconds, 11) };
    let lively = Walls { rt60_s: 0.6, direct_db: 0.0 };
    vec![
        plain.clone(),
        Scene { name: "RT60 0.4 s", walls: Walls { rt60_s: 0.4, direct_db: 3.0 }, seed: 12, ..plain.clone() },
        Scene { name: "RT60 0.6 s", walls: lively, seed: 13, ..plain.clone() },
        Scene { name: "delay 20 ms", delay_ms: 20.0, seed: 14, ..plain.clone() },
        Scene { name: "delay 120 ms", delay_ms: 120.0, seed: 15, ..plain.clone() },
        Scene { name: "delay 250 ms", delay_ms: 250.0, seed: 16, ..plain.clone() },
        Scene { name: "drift 50 ppm", drift_ppm: 50.0, seed: 17, ..plain.clone() },
        Scene { name: "drift -100 ppm", drift_ppm: -100.0, seed: 18, ..plain.clone() },
        Scene { name: "drift 150 ppm", drift_ppm: 150.0, seed: 19, ..plain.clone() },
        Scene { name: "echo +6 dB", echo_db: 6.0, seed: 20, ..plain.clone() },
        Scene { name: "soft clipping", loudspeaker: Loudspeaker::Soft, echo_db: 3.0, seed: 21, ..plain.clone() },
        Scene { name: "hard clipping", loudspeaker: Loudspeaker::Hard, echo_db: 3.0, seed: 22, ..plain.clone() },
        Scene { name: "jitter 3 ms", jitter_ms: 3.0, seed: 23, ..plain.clone() },
        Scene { name: "moved at 15 s", moves_at_s: Some(15), seed: 24, ..plain },
    ]
}

/// Scenes in which somebody speaks over replies.
fn barge_in_scenes(seconds: u64) -> Vec<Scene> {
    let plain = Scene { barge_ins: true, ..Scene::plain(seconds, 31) };
    let noisy = |kind: Noise, snr_db: f32| Some((kind, snr_db));
    vec![
        plain.clone(),
        Scene { name: "echo -6 dB", echo_db: -6.0, seed: 32, ..plain.clone() },
        Scene { name: "echo +6 dB", echo_db: 6.0, seed: 33, ..plain.clone() },
        Scene { name: "RT60 0.4 s", walls: Walls { rt60_s: 0.4, direct_db: 3.0 }, seed: 34, ..plain.clone() },
        Scene { name: "RT60 0.6 s", walls: Walls { rt60_s: 0.6, direct_db: 0.0 }, seed: 35, ..plain.clone() },
        Scene { name: "delay 250 ms", delay_ms: 250.0, seed: 36, ..plain.clone() },
        Scene { name: "drift 100 ppm", drift_ppm: 100.0, seed: 37, ..plain.clone() },
        Scene { name: "soft clipping", loudspeaker: Loudspeaker::Soft, seed: 38, ..plain.clone() },
        Scene { name: "pink 20 dB", noise: noisy(Noise::Pink, 20.0), seed: 39, ..plain.clone() },
        Scene { name: "pink 10 dB", noise: noisy(Noise::Pink, 10.0), seed: 40, ..plain.clone() },
        Scene { name: "babble 15 dB", noise: noisy(Noise::Babble, 15.0), seed: 41, ..plain.clone() },
        Scene { name: "pink 0 dB", noise: noisy(Noise::Pink, 0.0), seed: 42, ..plain },
    ]
}

/// Scenes in which only the device speaks, at full volume, and must not cut itself.
fn quiet_scenes(seconds: u64) -> Vec<Scene> {
    let plain = Scene::plain(seconds, 51);
    let lively = Walls { rt60_s: 0.6, direct_db: 0.0 };
    vec![
        plain.clone(),
        Scene {
            name: "echo +10 dB, RT60 0.4 s",
            walls: Walls { rt60_s: 0.4, direct_db: 3.0 },
            echo_db: 10.0,
            seed: 52,
            ..plain.clone()
        },
        Scene { name: "drift 150 ppm, RT60 0.6 s", walls: lively, drift_ppm: 150.0, seed: 53, ..plain.clone() },
        Scene { name: "soft clipping, +6 dB", loudspeaker: Loudspeaker::Soft, echo_db: 6.0, seed: 54, ..plain.clone() },
        Scene { name: "hard clipping, +6 dB", loudspeaker: Loudspeaker::Hard, echo_db: 6.0, seed: 55, ..plain.clone() },
        Scene {
            name: "pink 10 dB, delay 250 ms",
            noise: Some((Noise::Pink, 10.0)),
            delay_ms: 250.0,
            seed: 56,
            ..plain
        },
    ]
}

/// What is left of the device's own echo in two bad rooms, for the comparison of detectors.
pub fn residuals(voices: Voices<'_>, vad: VadKind, seconds: u64) -> Vec<(String, Vec<f32>)> {
    let chosen = ["echo +10 dB, RT60 0.4 s", "hard clipping, +6 dB"];
    let mut scenes = quiet_scenes(seconds);
    scenes.retain(|scene| chosen.contains(&scene.name));
    let tallies = play(&scenes, voices, vad);
    tallies.into_iter().map(|tally| (format!("residual echo, {}", tally.name), tally.left)).collect()
}

fn play(scenes: &[Scene], voices: Voices<'_>, vad: VadKind) -> Vec<Tally> {
    let one = |scene: &Scene| {
        let begun = std::time::Instant::now();
        let tally = Play::new(scene, voices, vad).run();
        eprintln!(
            "{} (seed {}): {} s in {:.1} s",
            scene.name,
            scene.seed,
            scene.seconds,
            begun.elapsed().as_secs_f64()
        );
        tally
    };
    scenes.iter().map(one).collect()
}

/// Plays all rooms, writes `rooms.md` and plots into `out`; answers the table and whether all aims are met.
///
/// `only` plays the scenes of that name and lists each barge-in and each window nobody asked for; no aim is judged.
pub fn measure(
    voices: Voices<'_>,
    vad: VadKind,
    extent: &Extent,
    only: Option<&str>,
    out: &Path,
) -> Result<(String, bool)> {
    if let Some(name) = only {
        return Ok((play_one(name, voices, vad, extent), true));
    }
    let echo = play(&echo_scenes(extent.echo_s), voices, vad);
    let quiet = play(&quiet_scenes(extent.quiet_s), voices, vad);
    let barge_ins = play(&barge_in_scenes(extent.barge_in_s), voices, vad);
    let aims = aims(&echo, &quiet, &barge_ins, &extent.margin);
    let mut text = String::from("| aim | figure | | |\n|---|---|---|---|\n");
    for aim in &aims {
        let _ =
            writeln!(text, "| {} | {} | {} | {} |", aim.what, aim.value, aim.aim, if aim.is_met { "ok" } else { "NO" });
    }
    let _ = write!(text, "\n{}\n{}\n{}", echo_table(&echo), quiet_table(&quiet), barge_in_table(&barge_ins));
    fs::write(out.join("rooms.md"), &text)?;
    fs::write(out.join("erle.svg"), erle_plot(&echo))?;
    fs::write(out.join("barge-ins.svg"), delay_plot(&barge_ins))?;
    fs::write(out.join("trials.txt"), trial_list(&quiet) + &trial_list(&barge_ins))?;
    Ok((text, aims.iter().all(|aim| aim.is_met)))
}

/// Plays the scenes of a name, in full detail.
fn play_one(name: &str, voices: Voices<'_>, vad: VadKind, extent: &Extent) -> String {
    let named = |mut scenes: Vec<Scene>| {
        scenes.retain(|scene| scene.name == name);
        play(&scenes, voices, vad)
    };
    let echo = named(echo_scenes(extent.echo_s));
    let quiet = named(quiet_scenes(extent.quiet_s));
    let barge_ins = named(barge_in_scenes(extent.barge_in_s));
    let tables = format!("{}\n{}\n{}", echo_table(&echo), quiet_table(&quiet), barge_in_table(&barge_ins));
    format!("{tables}\n{}\n{}", trial_list(&quiet), trial_list(&barge_ins))
}

fn find<'a>(tallies: &'a [Tally], name: &str) -> Option<&'a Tally> {
    tallies.iter().find(|tally| tally.name == name)
}

/// Half seconds that must hang together for an ERLE to count as reached: a canceller that does not know the room yet
/// lets nothing through at all for a moment, which is no success.
const REACHED_POINTS: usize = 4;

/// Seconds from the first reply (which begins at 1 s) until so much ERLE is reached for good.
fn reached_s(tally: &Tally, erle_db: f32) -> Option<f32> {
    let points: Vec<(usize, f32)> =
        tally.erle().into_iter().enumerate().filter_map(|(point, erle)| Some((point, erle?))).collect();
    let holds = |run: &[(usize, f32)]| run.iter().all(|(_, erle)| *erle >= erle_db);
    let from = points.windows(REACHED_POINTS).position(holds)?;
    Some(points[from].0 as f32 * POINT_HOPS as f32 / 100.0 - 1.0)
}

/// The rooms for which the aim of barge-ins is meant: those where the canceller is expected to do its work.
const AIMED: [&str; 8] =
    ["plain", "echo -6 dB", "RT60 0.4 s", "delay 250 ms", "drift 100 ppm", "soft clipping", "pink 20 dB", "pink 10 dB"];

fn aims(echo: &[Tally], quiet: &[Tally], barge_ins: &[Tally], margin: &Margin) -> Vec<Aim> {
    let erle = |name: &str, from: f32, to: f32| find(echo, name).map_or(0.0, |tally| tally.erle_between(from, to));
    let plain = erle("plain", 4.0, 7.0);
    let drift = ["drift 50 ppm", "drift -100 ppm", "drift 150 ppm"]
        .map(|name| erle(name, 4.0, f32::MAX))
        .into_iter()
        .fold(f32::MAX, f32::min);
    let self_cuts: usize = quiet.iter().flat_map(|tally| &tally.false_opens).count();
    let minutes: f64 = quiet.iter().map(|tally| tally.reply_hours() * 60.0).sum();
    let aimed = || barge_ins.iter().filter(|tally| AIMED.contains(&tally.name)).flat_map(|tally| &tally.trials);
    let in_time = aimed().filter(|trial| trial.delay_ms.is_some_and(|delay| delay <= LATE_MS)).count();
    let in_time_percent = 100.0 * in_time as f64 / aimed().count().max(1) as f64;
    let lost = aimed().filter(|trial| trial.is_syllable_lost()).count();
    let cost = barge_ins.iter().map(Tally::cost_percent).fold(0.0, f64::max);
    let aim = |what: &str, aim, value: String, is_met| Aim { what: what.to_owned(), aim, value, is_met };
    vec![
        aim(
            "ERLE, plain room, 3-6 s after the first sound",
            "≥ 25 dB",
            format!("{plain:.1} dB"),
            plain >= 25.0 - margin.erle_db,
        ),
        aim(
            "ERLE with drift, the least from 3 s on",
            "≥ 18 dB",
            format!("{drift:.1} dB"),
            drift >= 18.0 - margin.erle_db,
        ),
        aim(
            &format!("replies that cut themselves in {minutes:.0} minutes of reply at full volume"),
            "0",
            self_cuts.to_string(),
            self_cuts <= margin.self_cuts,
        ),
        aim(
            &format!("of {} barge-ins cut within 250 ms", aimed().count()),
            "≥ 95 %",
            format!("{in_time_percent:.1} %"),
            in_time_percent >= 95.0 - margin.in_time_percent,
        ),
        aim("first syllables lost", "0", lost.to_string(), lost <= margin.syllables),
        aim("ears and gate, of one core", "≤ 2 %", format!("{cost:.2} %"), cost <= 2.0 * margin.cost),
    ]
}

fn echo_table(tallies: &[Tally]) -> String {
    let mut text = String::from(
        "| only the device speaks | 25 dB for good after, s | ERLE 3-6 s, dB | later | least half second after 3 s (5 %) | ears: delay, ms | drift, ppm | ERLE | jumps |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for tally in tallies {
        let mut late: Vec<f32> = tally.erle().into_iter().skip(8).flatten().collect();
        late.sort_by(f32::total_cmp);
        let least = late.get(late.len() / 20).copied().unwrap_or(f32::NAN);
        let reached = reached_s(tally, 25.0).map_or("never".to_owned(), |s| format!("{s:.1}"));
        let _ = write!(
            text,
            "| {} | {reached} | {:.1} | {:.1} | {least:.1} |",
            tally.name,
            tally.erle_between(4.0, 7.0),
            tally.erle_between(7.0, f32::MAX)
        );
        if let Some(ears) = tally.ears {
            let _ =
                writeln!(text, " {} | {:.0} | {:.1} | {} |", ears.delay_ms, ears.drift_ppm, ears.erle_db, ears.jumps);
        }
    }
    text
}

fn quiet_table(tallies: &[Tally]) -> String {
    let mut text = String::from(
        "| full volume, nobody speaks | minutes of reply | cut itself | … an hour | false suspicions an hour | half duplex, % of reply | not known, % | cost, % of a core |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for tally in tallies {
        let hours = tally.reply_hours().max(1e-9);
        let _ = writeln!(
            text,
            "| {} | {:.1} | {} | {:.1} | {:.0} | {:.1} | {:.1} | {:.2} |",
            tally.name,
            hours * 60.0,
            tally.false_opens.len(),
            tally.false_opens.len() as f64 / hours,
            tally.false_suspects as f64 / hours,
            share(tally.half_hops, hours),
            share(tally.unproven_hops, hours),
            tally.cost_percent()
        );
    }
    text
}

/// A share of the replies, percent.
fn share(hops: usize, hours: f64) -> f64 {
    hops as f64 / (hours * 3600.0)
}

fn barge_in_table(tallies: &[Tally]) -> String {
    let mut text = String::from(
        "| somebody speaks over it | barge-ins | missed | late | delay median / p95, ms | suspected after, ms | first syllables lost | their level, dB | windows nobody asked for | half duplex, % | cost, % |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for tally in tallies {
        let trials = &tally.trials;
        let mut delays: Vec<f32> = trials.iter().filter_map(|trial| trial.delay_ms).collect();
        let mut suspects: Vec<f32> = trials.iter().filter_map(|trial| trial.suspect_ms).collect();
        let mut levels: Vec<f32> =
            trials.iter().filter(|trial| trial.delay_ms.is_some()).map(|trial| trial.syllable_db).collect();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {:.0} / {:.0} | {:.0} | {} | {:.1} | {} | {:.1} | {:.2} |",
            tally.name,
            trials.len(),
            trials.iter().filter(|trial| trial.delay_ms.is_none()).count(),
            delays.iter().filter(|delay| **delay > LATE_MS).count(),
            at(&mut delays, 0.5),
            at(&mut delays, 0.95),
            at(&mut suspects, 0.5),
            trials.iter().filter(|trial| trial.is_syllable_lost()).count(),
            at(&mut levels, 0.5),
            tally.false_opens.len(),
            share(tally.half_hops, tally.reply_hours().max(1e-9)),
            tally.cost_percent()
        );
    }
    text
}

fn at(values: &mut [f32], share: f64) -> f32 {
    values.sort_by(f32::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((last as f64 * share).round() as usize).copied().unwrap_or(f32::NAN)
}

fn trial_list(tallies: &[Tally]) -> String {
    let mut text = String::new();
    for tally in tallies {
        for trial in &tally.trials {
            let _ = writeln!(
                text,
                "{}: {} at {:.2} s, {:.2} s long: opened after {:?} ms, suspected after {:?} ms, first syllable {:.1} dB{}",
                tally.name,
                trial.name,
                trial.onset as f32 / 16_000.0,
                (trial.offset - trial.onset) as f32 / 16_000.0,
                trial.delay_ms,
                trial.suspect_ms,
                trial.syllable_db,
                if trial.is_syllable_lost() { ", lost" } else { "" }
            );
        }
        for open in &tally.false_opens {
            let _ = writeln!(
                text,
                "{}: nobody asked for a window at {:.2} s (by the reply: {})",
                tally.name, open.at_s, open.by_reply
            );
        }
    }
    text
}

fn erle_plot(tallies: &[Tally]) -> String {
    let shown = [
        "plain",
        "RT60 0.6 s",
        "delay 250 ms",
        "drift -100 ppm",
        "drift 150 ppm",
        "soft clipping",
        "hard clipping",
        "moved at 15 s",
    ];
    let curves: Vec<Curve> = tallies
        .iter()
        .filter(|tally| shown.contains(&tally.name))
        .map(|tally| Curve {
            name: tally.name.to_owned(),
            points: tally.erle().into_iter().enumerate().map(|(i, erle)| (i as f32 * 0.5, erle)).collect(),
        })
        .collect();
    let axes = Axes {
        title: "ERLE over time, without noise suppression (gaps: the device is silent)",
        x: "s (the first reply begins at 1 s)",
        y: "ERLE, dB",
        x_range: (0.0, 30.0),
        y_range: (0.0, 60.0),
        x_step: 5.0,
        y_step: 10.0,
        aim_y: Some(25.0),
        aim_x: Some(4.0),
    };
    plot::curves(&axes, &curves)
}

fn delay_plot(tallies: &[Tally]) -> String {
    let groups: Vec<(String, Vec<f32>)> = tallies
        .iter()
        .map(|tally| (tally.name.to_owned(), tally.trials.iter().filter_map(|trial| trial.delay_ms).collect()))
        .collect();
    let bin = 10.0;
    let mut counts = [0f32; 60];
    for delay in groups.iter().flat_map(|(_, delays)| delays) {
        counts[((delay / bin) as usize).min(59)] += 1.0;
    }
    let most = counts.iter().copied().fold(10.0, f32::max);
    let axes = Axes {
        title: "from the user's first sound to the gate's opening",
        x: "ms (the last bin holds all that is later)",
        y: "barge-ins",
        x_range: (0.0, 600.0),
        y_range: (0.0, 6.0 * (most / 6.0).ceil()),
        x_step: 50.0,
        y_step: (most / 6.0).ceil(),
        aim_y: None,
        aim_x: Some(LATE_MS),
    };
    plot::histogram(&axes, bin, &groups)
}
