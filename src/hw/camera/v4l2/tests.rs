//! Tests of V4L2 cameras: what is refused and why; and, where there is a camera, its pictures.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use super::*;
use crate::config::board::CameraSource;
use crate::hw::clock::RealClock;

fn wish(width: u32, height: u32) -> board::Camera {
    let source = CameraSource::Device("/dev/video0".into());
    board::Camera { source, width, height, settle_ms: 0, frozen_after_s: 0 }
}

fn refusal(device: &str, errno: i32) -> CameraTrouble {
    refused(Path::new(device), &io::Error::from_raw_os_error(errno))
}

#[test]
fn each_refusal_says_what_to_do() {
    let cases = [
        (libc::ENOENT, "plug it in"),
        (libc::EACCES, "group `video`"),
        (libc::EBUSY, "fuser -v /dev/no-camera"),
        (libc::ENOSPC, "smaller picture"),
        (libc::ENOTTY, "is no camera"),
    ];
    for (errno, advice) in cases {
        let trouble = refusal("/dev/no-camera", errno);
        let is_told = matches!(&trouble, CameraTrouble::Missing { why } if why.contains(advice));
        assert!(is_told, "{errno}: {trouble}");
    }
    let broken = refusal("/dev/no-camera", libc::EPROTO);
    assert!(matches!(&broken, CameraTrouble::Lost { why } if why.contains("its cable")), "{broken}");
}

#[test]
fn a_file_that_is_no_camera_is_told_so() {
    for (path, said) in [("/dev/null", "is no camera"), ("/dev/no-camera", "is not there")] {
        let trouble = start(Path::new(path), &wish(640, 480), Arc::new(RealClock::new())).err().unwrap();
        assert!(matches!(&trouble, CameraTrouble::Missing { why } if why.contains(said)), "{trouble}");
    }
}

#[test]
fn the_clock_of_the_drivers_is_the_one_that_rust_calls_an_instant() {
    let before = (Instant::now(), monotonic_us());
    std::thread::sleep(Duration::from_millis(20));
    let (passed, us) = (before.0.elapsed(), monotonic_us() - before.1);
    assert!(us >= 20_000 && us <= passed.as_micros() as u64 + 50_000, "{us} µs, {passed:?}");
}

// With a camera: `tests/virtual-camera.sh` brings two and names them here.

fn the_camera() -> String {
    std::env::var("MYNAH_TEST_CAMERA").expect("names a device")
}

fn started(width: u32, height: u32) -> Result<Running, CameraTrouble> {
    let device = the_camera();
    let path = Path::new(&device);
    Running::start(path, &wish(width, height), Arc::new(RealClock::new())).map_err(|error| refused(path, &error))
}

/// The size to ask for: making JPEG of raw pictures takes long where a machine is emulated.
fn large() -> (u32, u32) {
    if std::env::var("MYNAH_TEST_SIZE").as_deref() == Ok("small") { (320, 180) } else { (1280, 720) }
}

/// Runs a shell command that a variable holds.
fn outside(variable: &str) {
    let command = std::env::var(variable).expect("holds a command");
    assert!(std::process::Command::new("sh").args(["-c", &command]).status().unwrap().success(), "{command}");
}

/// How long the process computed, ms.
fn computed_ms() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a live timespec for the kernel to write to.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut now) };
    now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
}

/// Pictures of some seconds, taken as the camera's thread takes them.
fn watch(camera: &mut Running, how_long: Duration) -> Vec<Still> {
    let mut stills = Vec::new();
    let until = Instant::now() + how_long;
    while Instant::now() < until {
        stills.extend(camera.next(Duration::from_millis(50)).unwrap());
    }
    stills
}

#[test]
#[ignore = "needs a camera; tests/virtual-camera.sh brings one"]
fn with_a_camera_pictures_are_whole_new_and_as_large_as_they_say() {
    let (width, height) = large();
    let mut camera = started(width, height).unwrap();
    let first = camera.next(Duration::from_secs(20)).unwrap().expect("a first picture");
    let (began, computed) = (Instant::now(), computed_ms());
    let stills = watch(&mut camera, Duration::from_secs(8));
    let (took, computed) = (began.elapsed().as_secs_f64(), computed_ms() - computed);
    let ages: Vec<u128> = stills.windows(2).map(|two| two[1].taken_at.since(two[0].taken_at).as_millis()).collect();
    println!(
        "\nFIGURES {:?} {}×{}: {:.1} pictures/s, {} KiB each, {computed} ms computed in {took:.1} s, {:.1} ms a picture; from one to the next {} to {} ms",
        camera.shape.kind,
        first.width,
        first.height,
        stills.len() as f64 / took,
        first.jpeg.len() / 1024,
        computed as f64 / stills.len().max(1) as f64,
        ages.iter().min().unwrap_or(&0),
        ages.iter().max().unwrap_or(&0),
    );
    assert!(stills.len() >= 4, "{} in {took} s", stills.len());
    assert!(stills.windows(2).all(|two| two[0].jpeg != two[1].jpeg), "each is another one");
    assert!(ages.iter().all(|ms| *ms > 0), "{ages:?}");
    for still in &stills {
        let decoder = image::codecs::jpeg::JpegDecoder::new(io::Cursor::new(&*still.jpeg)).unwrap();
        let size = image::ImageDecoder::dimensions(&decoder);
        assert_eq!(size, (still.width.into(), still.height.into()));
        assert!(image::DynamicImage::from_decoder(decoder).is_ok(), "its pixels can be read");
    }
    if let Ok(folder) = std::env::var("MYNAH_TEST_OUT") {
        std::fs::write(format!("{folder}/{:?}.jpg", camera.shape.kind), &*first.jpeg).unwrap();
    }
}

#[test]
#[ignore = "needs a camera; tests/virtual-camera.sh brings one"]
fn with_a_camera_what_waited_while_nobody_looked_is_as_old_as_it_is() {
    let mut camera = started(320, 180).unwrap();
    assert!(camera.next(Duration::from_secs(20)).unwrap().is_some());
    std::thread::sleep(Duration::from_secs(4));
    // The buffers were full long ago.
    let still = camera.next(Duration::from_secs(20)).unwrap().unwrap();
    let age = camera.clock.now().since(still.taken_at);
    println!("\nFIGURES after 4 s of sleep the picture says it is {} ms old", age.as_millis());
    assert!(age >= Duration::from_secs(1), "{age:?}");
    let next = watch(&mut camera, Duration::from_secs(3)).pop().expect("it goes on");
    assert!(next.taken_at > still.taken_at);
}

#[test]
#[ignore = "needs a camera; tests/virtual-camera.sh brings one"]
fn with_a_camera_two_cannot_have_it_and_one_that_is_dropped_is_free() {
    let camera = started(640, 480).unwrap();
    let trouble = started(640, 480).err().unwrap();
    assert!(matches!(&trouble, CameraTrouble::Missing { why } if why.contains("in use")), "{trouble}");
    drop(camera);
    assert!(started(1280, 720).is_ok(), "in another size, too");
}

#[test]
#[ignore = "needs a camera; tests/virtual-camera.sh brings one"]
fn with_a_camera_unplugged_it_is_lost_and_plugged_in_it_starts_again() {
    let mut camera = started(320, 180).unwrap();
    assert!(camera.next(Duration::from_secs(20)).unwrap().is_some());
    outside("MYNAH_TEST_UNPLUG");
    let began = Instant::now();
    let trouble = loop {
        match camera.next(Duration::from_secs(10)) {
            Ok(Some(_)) => {}
            Ok(None) => panic!("nothing was said for ten seconds"),
            Err(trouble) => break trouble,
        }
    };
    println!("\nFIGURES lost {} ms after it was unplugged: {trouble}", began.elapsed().as_millis());
    assert!(matches!(trouble, CameraTrouble::Lost { .. }) && began.elapsed() < Duration::from_secs(3), "{trouble}");
    drop(camera);
    outside("MYNAH_TEST_PLUG");
    let mut again = started(320, 180).unwrap();
    assert!(again.next(Duration::from_secs(20)).unwrap().is_some());
}

#[test]
#[ignore = "needs a camera; tests/virtual-camera.sh brings one"]
fn with_a_camera_that_hangs_nobody_waits_longer_than_asked() {
    let mut camera = started(320, 180).unwrap();
    assert!(camera.next(Duration::from_secs(20)).unwrap().is_some());
    outside("MYNAH_TEST_HANG");
    watch(&mut camera, Duration::from_secs(1));
    let began = Instant::now();
    assert_eq!(camera.next(Duration::from_millis(500)), Ok(None));
    let waited = began.elapsed();
    outside("MYNAH_TEST_GO_ON");
    assert!(waited >= Duration::from_millis(500) && waited < Duration::from_secs(3), "{waited:?}");
    assert!(camera.next(Duration::from_secs(20)).unwrap().is_some(), "it goes on by itself");
}
