//! How the simulated board behaves, on its stepped clock.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::audio::level::rms_dbfs;
use crate::hw::Edge;

const NO_WAIT: Duration = Duration::ZERO;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn board(setup: SimSetup) -> (SimBoard, SimClock) {
    let clock = SimClock::stepped();
    (SimBoard::new(setup, clock.clone()), clock)
}

fn quiet() -> SimSetup {
    SimSetup { noise: Decibel(-120.0), ..SimSetup::default() }
}

fn read(mic: &mut Box<dyn Capture>) -> Vec<i16> {
    let mut samples = vec![0; 48_000];
    let frames = mic.read(&mut samples, ms(500)).unwrap();
    samples.truncate(frames * mic.shape().channels);
    samples
}

#[test]
fn capture_delivers_whole_periods_when_they_are_due() {
    let (board, clock) = board(quiet());
    let mut mic = board.open_capture().unwrap();
    assert_eq!(read(&mut mic).len(), 0);
    clock.advance(ms(9));
    assert_eq!(read(&mut mic).len(), 0);
    clock.advance(ms(16));
    assert_eq!(mic.waiting_frames(), 1200);
    assert_eq!(read(&mut mic).len(), 960);
    assert_eq!(mic.waiting_frames(), 240);
    assert_eq!(read(&mut mic).len(), 0);
}

#[test]
fn a_late_reader_gets_an_xrun_until_it_recovers() {
    let (board, clock) = board(quiet());
    let mut mic = board.open_capture().unwrap();
    clock.advance(ms(200));
    assert_eq!(read(&mut mic).len(), 9600);
    clock.advance(ms(201));
    let mut samples = [0; 480];
    assert_eq!(mic.read(&mut samples, NO_WAIT), Err(PcmTrouble::Xrun));
    assert_eq!(mic.read(&mut samples, NO_WAIT), Err(PcmTrouble::Xrun));
    mic.recover(&PcmTrouble::Xrun).unwrap();
    clock.advance(ms(10));
    assert_eq!(mic.read(&mut samples, NO_WAIT), Ok(480));
}

#[test]
fn noise_has_its_level_and_does_not_depend_on_how_it_is_read() {
    let one = {
        let (board, clock) = board(SimSetup::default());
        let mut mic = board.open_capture().unwrap();
        clock.advance(ms(200));
        read(&mut mic)
    };
    assert!((rms_dbfs(&one).0 - -65.0).abs() < 0.5, "{}", rms_dbfs(&one));
    let (board, clock) = board(SimSetup::default());
    let mut mic = board.open_capture().unwrap();
    let mut many = Vec::new();
    for _ in 0..20 {
        clock.advance(ms(10));
        many.extend(read(&mut mic));
    }
    assert_eq!(one, many);
}

#[test]
fn what_is_said_is_heard_from_now_on_and_one_after_the_other() {
    let (board, clock) = board(quiet());
    let mut mic = board.open_capture().unwrap();
    clock.advance(ms(50));
    let hand = board.handle();
    assert_eq!(hand.say(&[1000; 480], Hertz(48_000)), Ok(Time::from_ms(60)));
    assert_eq!(hand.say(&[2000; 960], Hertz(48_000)), Ok(Time::from_ms(80)));
    clock.advance(ms(50));
    let heard = read(&mut mic);
    let expected = [vec![0; 2400], vec![1000; 480], vec![2000; 960], vec![0; 960]].concat();
    assert_eq!(heard, expected);
}

#[test]
fn a_sound_survives_being_read_in_periods_and_on_two_channels() {
    let (board, clock) = board(SimSetup { capture: shape(Hertz(44_100), 2, 10), ..quiet() });
    let mut mic = board.open_capture().unwrap();
    clock.advance(ms(3));
    let sound: Vec<i16> = (1..=4410).collect();
    board.handle().say(&sound, Hertz(44_100)).unwrap();
    let mut heard = Vec::new();
    for _ in 0..20 {
        clock.advance(ms(10));
        heard.extend(read(&mut mic));
    }
    let left: Vec<i16> = heard.chunks_exact(2).map(|frame| frame[0]).filter(|&s| s != 0).collect();
    assert!(heard.chunks_exact(2).all(|frame| frame[0] == frame[1]));
    assert_eq!(left, sound);
}

#[test]
fn a_recording_of_another_rate_keeps_its_length_pitch_and_level() {
    let (board, clock) = board(quiet());
    let mut mic = board.open_capture().unwrap();
    let tone: Vec<i16> =
        (0..1600).map(|i| (8000.0 * (std::f64::consts::TAU * 1000.0 * f64::from(i) / 16_000.0).sin()) as i16).collect();
    assert_eq!(board.handle().say(&tone, Hertz(16_000)), Ok(Time::from_ms(100)));
    clock.advance(ms(100));
    let heard = read(&mut mic);
    assert_eq!(heard.len(), 4800);
    let rising = heard.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
    assert!((98..=101).contains(&rising), "{rising}");
    assert!((rms_dbfs(&heard).0 - rms_dbfs(&tone).0).abs() < 0.3);
}

#[test]
fn too_much_to_say_is_refused_with_a_sentence() {
    let (board, _clock) = board(quiet());
    let hand = board.handle();
    let minute = vec![0; 480_000];
    assert!(hand.say(&minute, Hertz(8_000)).is_ok());
    assert_eq!(hand.say(&minute, Hertz(8_000)), Err(SayTrouble::Full));
    assert_eq!(hand.say(&[0], Hertz(1)), Err(SayTrouble::Rate(Hertz(1))));
    hand.hush();
    assert!(hand.say(&minute, Hertz(8_000)).is_ok());
}

#[test]
fn playback_starts_at_two_periods_and_its_delay_is_exact() {
    let (board, clock) = board(quiet());
    let mut out = board.open_playback().unwrap();
    assert_eq!(out.wait(NO_WAIT), Ok(9600));
    assert_eq!(out.write(&[5; 960]), Ok(480));
    clock.advance(ms(50));
    assert_eq!(out.delay_frames(), Ok(480));
    assert_eq!(out.write(&[5; 960]), Ok(480));
    clock.advance(ms(13));
    assert_eq!(out.delay_frames(), Ok(960 - 13 * 48));
    clock.advance(ms(7));
    assert_eq!(out.delay_frames(), Err(PcmTrouble::Xrun));
    assert_eq!(out.write(&[5; 960]), Err(PcmTrouble::Xrun));
    out.recover(&PcmTrouble::Xrun).unwrap();
    assert_eq!(out.delay_frames(), Ok(0));
    assert_eq!(out.write(&[5; 960]), Ok(480));
}

#[test]
fn a_full_ring_takes_no_more_and_opens_by_periods() {
    let (board, clock) = board(quiet());
    let mut out = board.open_playback().unwrap();
    assert_eq!(out.write(&vec![0; 30_000]), Ok(9600));
    assert_eq!(out.wait(NO_WAIT), Ok(0));
    clock.advance(ms(9));
    assert_eq!(out.wait(NO_WAIT), Ok(0));
    clock.advance(ms(2));
    assert_eq!(out.wait(NO_WAIT), Ok(480));
}

#[test]
fn a_drop_silences_at_once_and_a_short_tail_can_be_started() {
    let (board, clock) = board(quiet());
    let mut out = board.open_playback().unwrap();
    out.write(&vec![0; 9600]).unwrap();
    clock.advance(ms(10));
    out.drop_now().unwrap();
    assert_eq!(out.delay_frames(), Ok(0));
    assert_eq!(out.write(&[0; 200]), Ok(100));
    out.start().unwrap();
    clock.advance(ms(1));
    assert_eq!(out.delay_frames(), Ok(52));
    out.drop_now().unwrap();
    assert_eq!(out.start(), Err(PcmTrouble::Xrun));
}

#[test]
fn each_pcm_is_opened_once_at_a_time() {
    let (board, _clock) = board(quiet());
    let mic = board.open_capture().unwrap();
    assert!(matches!(board.open_capture().err(), Some(PcmTrouble::Busy { .. })));
    drop(mic);
    assert!(board.open_capture().is_ok());
}

#[test]
fn a_button_tells_its_edges_with_their_time() {
    let (board, clock) = board(quiet());
    let hand = board.handle();
    let mut talk = board.open_button("talk").unwrap();
    assert_eq!(talk.wait(ms(50)), Ok(None));
    clock.advance(ms(5));
    hand.press("talk").unwrap();
    hand.press("talk").unwrap();
    clock.advance(ms(5));
    hand.release("talk").unwrap();
    assert_eq!(talk.wait(NO_WAIT), Ok(Some(Edge { at: Time::from_ms(5), active: true })));
    assert_eq!(talk.is_active(), Ok(false));
    assert_eq!(talk.wait(NO_WAIT), Ok(Some(Edge { at: Time::from_ms(10), active: false })));
    assert_eq!(talk.wait(NO_WAIT), Ok(None));
    assert!(matches!(board.open_button("talk").err(), Some(LineTrouble::Busy { .. })));
    assert!(matches!(hand.press("lamp"), Err(LineTrouble::Missing { .. })));
}

#[test]
fn a_lamp_is_seen_and_rests_inactive() {
    let (board, _clock) = board(quiet());
    let hand = board.handle();
    let mut lamp = board.open_output("lamp").unwrap();
    lamp.set(true).unwrap();
    assert_eq!((lamp.is_active(), hand.is_active("lamp")), (Ok(true), Ok(true)));
    drop(lamp);
    assert_eq!(hand.is_active("lamp"), Ok(false));
    assert!(board.open_output("talk").is_err());
}

#[test]
fn a_paced_clock_waits_for_the_period_and_for_the_button() {
    let board = SimBoard::new(quiet(), SimClock::paced());
    let mut mic = board.open_capture().unwrap();
    let mut samples = [0; 480];
    assert_eq!(mic.read(&mut samples, Duration::from_secs(5)), Ok(480));
    let mut talk = board.open_button("talk").unwrap();
    let hand = board.handle();
    let pressing = std::thread::spawn(move || hand.press("talk"));
    assert!(talk.wait(Duration::from_secs(5)).unwrap().unwrap().active);
    pressing.join().unwrap().unwrap();
}

#[test]
fn a_profile_the_simulated_board_cannot_follow_is_refused_by_key() {
    use crate::config::board::{Board as Profile, LineDriver, Pcm, Pick};
    let pcm = Pcm { pcm: "sim".into(), rate_hz: Some(1), channels: None, pick: Pick::Average, period_ms: 10 };
    let good = Pcm { rate_hz: Some(44_100), ..pcm.clone() };
    let mut profile = Profile {
        name: "sim".into(),
        description: String::new(),
        capture: good.clone(),
        playback: good.clone(),
        wake_ms: 0,
        driver: LineDriver::Sim,
        lines: Default::default(),
        light: None,
        pwm: Default::default(),
        sensors: Default::default(),
        camera: None,
    };
    let setup = SimSetup::from_profile(&profile).unwrap();
    assert_eq!((setup.capture.period_frames, setup.playback.channels), (441, 2));
    profile.capture = pcm;
    let refused = SimSetup::from_profile(&profile).unwrap_err().to_string();
    assert!(refused.contains("rate_hz = 1"), "{refused}");
}

#[test]
fn a_simulated_sensor_says_what_it_is_told_by_the_profiles_rules() {
    let text = config::board::builtin("sim").unwrap();
    let profile = config::board::parse(text, "sim.toml", "sim").unwrap();
    let board = SimBoard::new(SimSetup::from_profile(&profile).unwrap(), SimClock::stepped());
    let mut freezer = board.open_sensor("freezer").unwrap();
    assert_eq!(freezer.read().unwrap(), crate::hw::Reading { value: 20.0, unit: "°C".into() });
    board.handle().set_sensor("freezer", -18.5).unwrap();
    assert_eq!(freezer.read().unwrap().value, -18.5);
    board.handle().set_sensor("freezer", 200.0).unwrap();
    assert!(freezer.read().unwrap_err().to_string().contains("cannot be"));
    assert!(board.open_sensor("cellar").is_err() && board.handle().set_sensor("cellar", 1.0).is_err());
}
