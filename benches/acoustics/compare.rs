//! The comparison of voice detectors: which sounds, and the tables of what came of them.

use std::fmt::Write as _;

use crate::corpus::Utterance;
use crate::signal::{NOISES, Noise, RATE, Random};
use crate::vads::{self, DETECTORS, Detector, Result, Stream};

/// Speech over noise, dB.
const SNRS_DB: [f32; 4] = [20.0, 10.0, 5.0, 0.0];

/// A noise that nobody speaks in is as loud as under speech at so many dB over it.
const ALONE_SNR_DB: f32 = 10.0;

/// How much is played.
pub struct Extent {
    /// Utterances.
    pub utterances: usize,
    /// Minutes of each noise alone.
    pub minutes: usize,
}

/// What one detector did.
struct Figures {
    detector: Detector,
    clean: Result,
    /// By ratio, over all noises.
    by_snr: Vec<Result>,
    /// By noise, over 5 and 10 dB.
    by_noise: Vec<Result>,
    /// Noise alone.
    unspoken: Vec<Result>,
    cost_us: f64,
}

/// A fan (pink noise) that runs for half a minute and stands still for as long.
fn fan(frames: usize, level: f32) -> Vec<f32> {
    let mut sound = Noise::Pink.make(frames, level, &[], &mut Random::new(70));
    for (number, half) in sound.chunks_mut(30 * RATE).enumerate() {
        let gain = if number % 2 == 1 { 1.0 } else { 0.03 };
        half.iter_mut().for_each(|x| *x *= gain);
    }
    sound
}

/// All streams that are played to each detector.
struct Streams {
    clean: Stream,
    noisy: Vec<(usize, usize, Stream)>,
    unspoken: Vec<(String, Stream)>,
}

impl Streams {
    fn make(user: &[Utterance], crowd: &[Utterance], residuals: Vec<(String, Vec<f32>)>, extent: &Extent) -> Streams {
        let mut random = Random::new(4);
        let mut said: Vec<&Utterance> = user.iter().collect();
        random.shuffle(&mut said);
        said.truncate(extent.utterances);
        let (speech, labels) = Stream::spoken(&said, &mut random);
        let clean = labels.heard_as(&vads::mixed(&speech, None, crowd, &mut random));
        let mut noisy = Vec::new();
        for (noise, kind) in NOISES.into_iter().enumerate() {
            for (snr, snr_db) in SNRS_DB.into_iter().enumerate() {
                let sound = vads::mixed(&speech, Some((kind, snr_db)), crowd, &mut random);
                noisy.push((noise, snr, labels.heard_as(&sound)));
            }
        }
        let frames = extent.minutes * 60 * RATE;
        let level = crate::corpus::SPEECH_DB - ALONE_SNR_DB;
        let made = |kind: Noise| {
            (
                kind.name().to_owned(),
                Stream::unspoken(&kind.make(frames, level, crowd, &mut Random::new(kind as u64 + 50))),
            )
        };
        let mut unspoken: Vec<(String, Stream)> = NOISES.into_iter().map(made).collect();
        unspoken.push(("fan, on and off".to_owned(), Stream::unspoken(&fan(frames, level))));
        unspoken.extend(residuals.into_iter().map(|(name, frames)| (name, Stream::unspoken(&frames))));
        Streams { clean, noisy, unspoken }
    }

    /// What a detector does in the gate, and alone.
    fn figures(&self, detector: Detector) -> [Figures; 2] {
        let cost_us = vads::cost_us(detector, &self.clean);
        eprintln!("{}: {cost_us:.2} µs a hop here", detector.name());
        let run = |stream: &Stream| {
            let voiced = vads::decide(detector, stream);
            [vads::in_gate(&voiced, stream), vads::alone(&voiced, stream)]
        };
        let mut places = run(&self.clean).map(|clean| Figures {
            detector,
            clean,
            by_snr: vec![Result::default(); SNRS_DB.len()],
            by_noise: vec![Result::default(); NOISES.len()],
            unspoken: Vec::new(),
            cost_us,
        });
        for (noise, snr, stream) in &self.noisy {
            for (figures, result) in places.iter_mut().zip(run(stream)) {
                figures.by_snr[*snr].add(&result);
                if (5.0..=10.0).contains(&SNRS_DB[*snr]) {
                    figures.by_noise[*noise].add(&result);
                }
            }
        }
        for (_, stream) in &self.unspoken {
            places.iter_mut().zip(run(stream)).for_each(|(figures, result)| figures.unspoken.push(result));
        }
        places
    }
}

/// Compares; answers the tables as markdown.
pub fn compare(user: &[Utterance], crowd: &[Utterance], residuals: Vec<(String, Vec<f32>)>, extent: &Extent) -> String {
    let streams = Streams::make(user, crowd, residuals, extent);
    let (in_gate, alone): (Vec<Figures>, Vec<Figures>) =
        DETECTORS.into_iter().map(|detector| <(Figures, Figures)>::from(streams.figures(detector))).unzip();
    let mut text = String::new();
    for (title, figures) in [("In the gate", &in_gate), ("Alone", &alone)] {
        let _ = write!(text, "## {title}\n\n{}{}", spoken_table(figures), by_noise_table(figures));
        let _ = write!(text, "{}", unspoken_table(&streams, figures));
    }
    let _ = write!(text, "## Cost\n\n{}", cost_table(&alone));
    let _ = writeln!(
        text,
        "{} utterances, {:.0} minutes with pauses for each noise and ratio; {} minutes of each noise alone.",
        streams.clean.utterances(),
        vads::minutes(&streams.clean),
        extent.minutes
    );
    text
}

/// A markdown table.
fn table(head: &[String], rows: &[Vec<String>]) -> String {
    let mut text = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text.push('\n');
    text
}

fn spoken_table(figures: &[Figures]) -> String {
    let mut head = vec!["utterances missed, %; onset delay median / p95, ms".to_owned(), "clean".to_owned()];
    head.extend(SNRS_DB.iter().map(|snr| format!("{snr} dB")));
    let cell = |r: &Result| format!("{:.1}; {:.0} / {:.0}", r.missed_percent(), r.delay_ms(0.5), r.delay_ms(0.95));
    let row = |f: &Figures| {
        let mut row = vec![f.detector.name(), cell(&f.clean)];
        row.extend(f.by_snr.iter().map(cell));
        row
    };
    table(&head, &figures.iter().map(row).collect::<Vec<_>>())
}

fn by_noise_table(figures: &[Figures]) -> String {
    let mut head = vec!["utterances missed at 5 and 10 dB, %".to_owned()];
    head.extend(NOISES.iter().map(|noise| noise.name().to_owned()));
    let row = |f: &Figures| {
        let mut row = vec![f.detector.name()];
        row.extend(f.by_noise.iter().map(|r| format!("{:.1}", r.missed_percent())));
        row
    };
    table(&head, &figures.iter().map(row).collect::<Vec<_>>())
}

fn unspoken_table(streams: &Streams, figures: &[Figures]) -> String {
    let mut head = vec!["nobody speaks: false opens an hour (share of time open, %)".to_owned()];
    head.extend(streams.unspoken.iter().map(|(name, _)| name.clone()));
    let row = |f: &Figures| {
        let mut row = vec![f.detector.name()];
        let cell = |r: &Result| format!("{:.0} ({:.0})", r.false_opens_per_hour(), r.false_open_percent());
        row.extend(f.unspoken.iter().map(cell));
        row
    };
    table(&head, &figures.iter().map(row).collect::<Vec<_>>())
}

fn cost_table(figures: &[Figures]) -> String {
    let head = [
        "detector",
        "hops of clean speech missed, %",
        "… at 5 dB",
        "false hops in noise, %",
        "cost of a hop, webrtc 2 = 1",
    ];
    let least = figures.iter().find(|f| f.detector == Detector::WebRtc(2)).map_or(1.0, |f| f.cost_us);
    let row = |f: &Figures| {
        let mut noise = Result::default();
        f.unspoken.iter().for_each(|r| noise.add(r));
        let false_percent = 100.0 * noise.false_hops as f64 / noise.other_hops.max(1) as f64;
        vec![
            f.detector.name(),
            format!("{:.1}", f.clean.missed_hops_percent()),
            format!("{:.1}", f.by_snr[2].missed_hops_percent()),
            format!("{false_percent:.1}"),
            format!("{:.1}", f.cost_us / least),
        ]
    };
    table(&head.map(str::to_owned), &figures.iter().map(row).collect::<Vec<_>>())
}
