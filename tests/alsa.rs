//! The real ALSA driver and the audio threads, by hand: on any PCMs, with figures printed.
//!
//! `MYNAH_MIC=… MYNAH_SPEAKER=… cargo test --test alsa -- --ignored --nocapture --test-threads=1`; the PCMs are
//! `default` where unset. `MYNAH_UNPLUG` and `MYNAH_PLUG` are shell commands that take the devices away and bring
//! them back.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use mynah::audio::trouble::PcmTrouble;
use mynah::audio::{Chunk, DOWNLINK_RATE, Hop};
use mynah::bell::Bell;
use mynah::config::agent::{Agent, Cues, Speak};
use mynah::config::board::{Pcm, Pick};
use mynah::flow::{MicFact, SPEAKER_FACTS_MAX, SPEAKER_ORDERS_MAX, SpeakerFact, SpeakerOrder};
use mynah::hw::{Board, Button, Capture, Clock, Input, LineTrouble, Output, Playback, alsa};
use mynah::units::{Epoch, Time};
use mynah::{mic, speaker};

fn pcm(variable: &str) -> Pcm {
    let pcm = std::env::var(variable).unwrap_or_else(|_| "default".into());
    Pcm { pcm: pcm.into(), rate_hz: None, channels: None, pick: Pick::Average, period_ms: 10 }
}

struct Wall(Instant);

impl Clock for Wall {
    fn now(&self) -> Time {
        Time::from_us(self.0.elapsed().as_micros() as u64)
    }
}

struct RealBoard;

impl Board for RealBoard {
    fn open_capture(&self) -> Result<Box<dyn Capture>, PcmTrouble> {
        alsa::open_capture(&pcm("MYNAH_MIC"))
    }
    fn open_playback(&self) -> Result<Box<dyn Playback>, PcmTrouble> {
        alsa::open_playback(&pcm("MYNAH_SPEAKER"))
    }
    fn open_button(&self, line: &str) -> Result<Box<dyn Button>, LineTrouble> {
        Err(LineTrouble::Missing { line: line.into() })
    }
    fn open_output(&self, line: &str) -> Result<Box<dyn Output>, LineTrouble> {
        Err(LineTrouble::Missing { line: line.into() })
    }
    fn open_input(&self, line: &str) -> Result<Box<dyn Input>, LineTrouble> {
        Err(LineTrouble::Missing { line: line.into() })
    }
}

/// The microphone's thread on the real board.
struct Mic {
    clock: Arc<Wall>,
    hops: rtrb::Consumer<Hop>,
    facts: rtrb::Consumer<MicFact>,
    stop: Arc<AtomicBool>,
    lost: Arc<AtomicU64>,
    thread: thread::JoinHandle<()>,
}

fn start_mic() -> Mic {
    let clock = Arc::new(Wall(Instant::now()));
    let (hops, taken) = rtrb::RingBuffer::new(50);
    let (facts, told) = rtrb::RingBuffer::new(64);
    let (stop, lost) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
    let thread = mic::run::spawn(mic::run::Parts {
        board: Arc::new(RealBoard),
        clock: clock.clone(),
        pick: Pick::Average,
        dead_after: Duration::from_secs(10),
        mute: None,
        hops,
        gate_bell: Bell::new(),
        facts,
        core_bell: Bell::new(),
        progress: Arc::default(),
        lost_hops: lost.clone(),
        stop: stop.clone(),
    })
    .unwrap();
    Mic { clock, hops: taken, facts: told, stop, lost, thread }
}

/// The speaker's thread on the real board.
struct Voice {
    orders: rtrb::Producer<SpeakerOrder>,
    facts: rtrb::Consumer<SpeakerFact>,
    returns: rtrb::Consumer<Vec<i16>>,
    bell: Bell,
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

fn start_voice() -> Voice {
    let (orders, taken) = rtrb::RingBuffer::new(SPEAKER_ORDERS_MAX);
    let (back, returns) = rtrb::RingBuffer::new(SPEAKER_ORDERS_MAX);
    let (facts, told) = rtrb::RingBuffer::new(SPEAKER_FACTS_MAX);
    let (bell, stop) = (Bell::new(), Arc::<AtomicBool>::default());
    let thread = speaker::run::spawn(speaker::run::Parts {
        board: Arc::new(RealBoard),
        clock: Arc::new(Wall(Instant::now())),
        speak: Speak { volume_percent: 100, prebuffer_ms: 0, cues: Cues::On, ..Agent::default().speak },
        wake_ms: 0,
        sounds: Default::default(),
        orders: taken,
        returns: back,
        facts,
        far: None,
        bell: bell.clone(),
        core_bell: Bell::new(),
        progress: Arc::default(),
        meter: Arc::default(),
        stop: stop.clone(),
    })
    .unwrap();
    Voice { orders, facts: told, returns, bell, stop, thread }
}

impl Voice {
    fn order(&mut self, order: SpeakerOrder) {
        self.orders.push(order).unwrap();
        self.bell.ring();
    }

    fn play(&mut self, epoch: u32, ms: u32) {
        let step = std::f64::consts::TAU * 440.0 / f64::from(DOWNLINK_RATE.0);
        let frames = (0..DOWNLINK_RATE.frames_in_ms(ms)).map(|n| (8000.0 * (step * n as f64).sin()) as i16).collect();
        self.order(SpeakerOrder::Play { epoch: Epoch(epoch), chunk: Chunk { rate: DOWNLINK_RATE, frames } });
    }

    /// The first fact that `is_wanted`, and how long it took; others are printed.
    fn wait(&mut self, limit: Duration, is_wanted: impl Fn(&SpeakerFact) -> bool) -> (SpeakerFact, Duration) {
        let began = Instant::now();
        while began.elapsed() < limit {
            while let Ok(fact) = self.facts.pop() {
                if is_wanted(&fact) {
                    return (fact, began.elapsed());
                }
                if !matches!(fact, SpeakerFact::Heard { .. }) {
                    println!("    meanwhile: {fact:?}");
                }
            }
            while self.returns.pop().is_ok() {}
            thread::sleep(Duration::from_micros(100));
        }
        panic!("no such fact within {limit:?}");
    }

    fn end(self) {
        self.stop.store(true, Relaxed);
        self.bell.ring();
        self.thread.join().unwrap();
    }
}

fn median(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values[((values.len() - 1) as f64 * share) as usize];
    format!(
        "median {:.2}, 5 % {:.2}, 95 % {:.2}, largest {:.2} (n {})",
        at(0.5),
        at(0.05),
        at(0.95),
        at(1.0),
        values.len()
    )
}

#[test]
#[ignore = "needs ALSA PCMs"]
fn a_microphone_gives_two_seconds_in_two_seconds() {
    let mut capture = alsa::open_capture(&pcm("MYNAH_MIC")).unwrap();
    let shape = capture.shape();
    println!("microphone: {shape:?}");
    let mut samples = vec![0; shape.buffer_frames * shape.channels];
    let (began, mut frames, mut xruns, mut ages) = (Instant::now(), 0, 0, Vec::new());
    while began.elapsed() < Duration::from_secs(2) {
        match capture.read(&mut samples, Duration::from_millis(100)) {
            Ok(count) => {
                frames += count;
                ages.push(capture.waiting_frames() as f64 * 1000.0 / f64::from(shape.rate.0));
            }
            Err(trouble) => {
                xruns += 1;
                capture.recover(&trouble).unwrap();
            }
        }
    }
    println!("  {frames} frames in 2 s, {xruns} xruns; age of the newest frame in ms: {}", median(ages));
    let expected = 2 * shape.rate.0 as usize;
    assert!((expected * 9 / 10..=expected * 11 / 10).contains(&frames));
}

#[test]
#[ignore = "needs ALSA PCMs"]
fn hops_come_every_ten_milliseconds_and_know_their_age() {
    let mut mic = start_mic();
    let (began, mut ages, mut count) = (Instant::now(), Vec::new(), 0);
    while began.elapsed() < Duration::from_secs(3) {
        while let Ok(hop) = mic.hops.pop() {
            count += 1;
            ages.push(mic.clock.now().since(hop.at).as_secs_f64() * 1000.0);
        }
        thread::sleep(Duration::from_micros(200));
    }
    println!("mic: {count} hops in 3 s, {} lost; age at the gate in ms: {}", mic.lost.load(Relaxed), median(ages));
    assert_eq!(mic.facts.pop(), Ok(MicFact::Running));
    mic.stop.store(true, Relaxed);
    mic.thread.join().unwrap();
    assert!((270..=310).contains(&count));
}

#[test]
#[ignore = "needs ALSA PCMs"]
fn replies_start_are_cut_and_drain() {
    let mut voice = start_voice();
    thread::sleep(Duration::from_millis(300));
    let (mut starts, mut cuts, mut drains) = (Vec::new(), Vec::new(), Vec::new());
    let second = Duration::from_secs(5);
    for epoch in (1..=20).map(|n| 2 * n) {
        let began = Instant::now();
        voice.play(epoch, 2000);
        voice.wait(second, |f| matches!(f, SpeakerFact::Started { .. }));
        starts.push(began.elapsed().as_secs_f64() * 1000.0);
        thread::sleep(Duration::from_millis(150 + 7 * u64::from(epoch)));
        let began = Instant::now();
        voice.order(SpeakerOrder::Flush { epoch: Epoch(epoch) });
        let (fact, _) = voice.wait(second, |f| matches!(f, SpeakerFact::Flushed { .. }));
        cuts.push(began.elapsed().as_secs_f64() * 1000.0);
        if epoch == 2 {
            println!("speaker: first cut: {fact:?} after about 164 ms");
        }
    }
    for epoch in (1..=5).map(|n| 100 + n) {
        let began = Instant::now();
        voice.play(epoch, 300);
        voice.order(SpeakerOrder::End { epoch: Epoch(epoch) });
        let (fact, _) = voice.wait(second, |f| matches!(f, SpeakerFact::Drained { .. }));
        assert_eq!(fact, SpeakerFact::Drained { epoch: Epoch(epoch), heard_ms: 300 });
        drains.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    println!("speaker: order (with making 2 s of tone) → device runs, ms: {}", median(starts));
    println!("speaker: flush → dropped, ms: {}", median(cuts));
    println!("speaker: 300 ms of sound → drained, ms: {}", median(drains));
    voice.end();
}

/// What the owner is promised of a device that is plugged in again.
const BACK_WITHIN: Duration = Duration::from_secs(2);

#[test]
#[ignore = "needs ALSA PCMs and commands that unplug them"]
fn devices_that_are_unplugged_come_back() {
    let sh = |variable: &str| {
        let command = std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set"));
        assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
    };
    let (mut mic, mut voice) = (start_mic(), start_voice());
    for (round, absent_ms) in [200, 1700, 2310, 4150].into_iter().enumerate() {
        let epoch = 2 * round as u32 + 2;
        voice.play(epoch, 20_000);
        voice.wait(Duration::from_secs(5), |f| *f == SpeakerFact::Started { epoch: Epoch(epoch) });
        thread::sleep(Duration::from_millis(700));
        sh("MYNAH_UNPLUG");
        thread::sleep(Duration::from_millis(absent_ms));
        while mic.hops.pop().is_ok() {}
        while voice.facts.pop().is_ok() {}
        let (began, mut heard, mut played) = (Instant::now(), None, None); // with the command's own time
        sh("MYNAH_PLUG");
        while heard.is_none() || played.is_none() {
            assert!(began.elapsed() < BACK_WITHIN, "heard again {heard:?}, playing again {played:?}");
            heard = heard.or_else(|| mic.hops.pop().ok().map(|_| began.elapsed()));
            while let Ok(fact) = voice.facts.pop() {
                let is_sound = matches!(fact, SpeakerFact::Heard { .. } | SpeakerFact::Started { .. });
                played = played.or(is_sound.then(|| began.elapsed()));
            }
            while voice.returns.pop().is_ok() {}
            thread::sleep(Duration::from_millis(1));
        }
        println!("absent for {absent_ms} ms: heard again after {heard:?}, playing again after {played:?}");
        voice.order(SpeakerOrder::Flush { epoch: Epoch(epoch) });
        voice.wait(Duration::from_secs(1), |f| matches!(f, SpeakerFact::Flushed { .. }));
        thread::sleep(Duration::from_millis(600)); // so long must it work before the waits begin anew
        println!("  mic: {:?}", std::iter::from_fn(|| mic.facts.pop().ok()).collect::<Vec<_>>());
    }
    mic.stop.store(true, Relaxed);
    mic.thread.join().unwrap();
    voice.end();
}

/// Runs a test of this file on the virtual card, in a process of its own: libasound reads its configuration once.
fn on_the_virtual_card(name: &str, test: &str) {
    let rig = format!("{}/tests/rig", env!("CARGO_MANIFEST_DIR"));
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("alsa-{name}"));
    let _ = std::fs::remove_dir_all(&folder);
    let card = folder.display();
    let made = Command::new(format!("{rig}/vcard-new.sh")).arg(&folder).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut run = Command::new(std::env::current_exe().unwrap());
    run.args(["--exact", test, "--ignored", "--nocapture"]);
    run.env("ALSA_CONFIG_PATH", String::from_utf8_lossy(&made.stdout).trim()).env("MYNAH_CARD", &folder);
    run.env("MYNAH_MIC", "vmic").env("MYNAH_SPEAKER", "vspk");
    run.env("MYNAH_UNPLUG", format!("{rig}/vcard-ctl {card} vanish=both >/dev/null"));
    run.env("MYNAH_PLUG", format!("{rig}/vcard-ctl {card} vanish=none >/dev/null"));
    let ran = run.output().unwrap();
    let (said, complained) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    println!("{said}");
    assert!(ran.status.success(), "{said}\n{complained}");
    assert!(!complained.contains("ALSA lib"), "libasound writes to standard error:\n{complained}");
}

#[test]
#[ignore = "needs gcc, libasound2-dev and python3: tests/rig/README.md"]
fn a_card_that_is_unplugged_and_plugged_in_again_sounds_within_two_seconds() {
    on_the_virtual_card("unplug", "devices_that_are_unplugged_come_back");
}

#[test]
#[ignore = "needs gcc, libasound2-dev and python3: tests/rig/README.md"]
fn what_a_card_does_not_offer_is_named_with_what_it_does() {
    on_the_virtual_card("refuse", "refusals_name_the_line_and_the_offer");
}

#[test]
#[ignore = "runs on the virtual card, started by another test"]
fn refusals_name_the_line_and_the_offer() {
    let wrong_rate = Pcm { rate_hz: Some(44_100), ..pcm("MYNAH_MIC") };
    let told = alsa::open_capture(&wrong_rate).err().unwrap().to_string();
    assert!(told.contains("`[capture] rate_hz = 44100` (it offers 48000 Hz)"), "{told}");
    let wrong_channels = Pcm { channels: Some(8), ..pcm("MYNAH_SPEAKER") };
    let told = alsa::open_playback(&wrong_channels).err().unwrap().to_string();
    assert!(told.contains("`[playback] channels = 8` (it offers 1 to 2 channels)"), "{told}");
    let wrong_pick = Pcm { channels: Some(2), pick: Pick::Channel(3), ..pcm("MYNAH_MIC") };
    let told = alsa::open_capture(&wrong_pick).err().unwrap().to_string();
    assert!(told.contains("`[capture] pick = 3`"), "{told}");
    let held = alsa::open_capture(&pcm("MYNAH_MIC")).unwrap();
    let told = alsa::open_capture(&pcm("MYNAH_MIC")).err().unwrap();
    assert!(matches!(told, PcmTrouble::Busy { .. }), "{told:?}");
    drop(held);
}

#[test]
fn a_pcm_that_does_not_exist_is_named() {
    let wanted = Pcm { pcm: "no_such_pcm".into(), ..pcm("MYNAH_MIC") };
    for trouble in [alsa::open_capture(&wanted).err(), alsa::open_playback(&wanted).err()] {
        assert!(matches!(&trouble, Some(PcmTrouble::Missing { pcm, .. }) if pcm == "no_such_pcm"), "{trouble:?}");
    }
}

#[test]
fn alsas_null_pcm_can_be_opened_read_and_written() {
    let wanted = Pcm { pcm: "null".into(), ..pcm("MYNAH_MIC") };
    let mut capture = alsa::open_capture(&wanted).unwrap();
    let shape = capture.shape();
    assert_eq!((shape.rate.0, shape.channels), (48_000, 1));
    let mut samples = vec![1; shape.period_frames];
    assert!(capture.read(&mut samples, Duration::from_millis(100)).unwrap() > 0);
    let mut playback = alsa::open_playback(&wanted).unwrap();
    assert!(playback.write(&samples).unwrap() > 0);
    playback.start().unwrap();
    playback.drop_now().unwrap();
    assert!(playback.wait(Duration::ZERO).unwrap() >= shape.period_frames);
}
