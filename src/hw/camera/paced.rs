//! Cameras without a sensor: pictures that are there already or are made here, at a camera's pace.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::drawn;
use crate::eyes::jpeg::Size;
use crate::eyes::splitter::{PICTURE_BYTES_MAX, Picture, Splitter};
use crate::hw::{Camera, CameraTrouble, Clock};
use crate::still::Still;
use crate::units::Time;

/// From one drawn picture to the next.
const DRAWN_EVERY: Duration = Duration::from_millis(200);
/// From one file to the next.
const FILE_EVERY: Duration = Duration::from_secs(1);
/// Files of a folder that are looked at.
const FILES_MAX: usize = 1000;

/// Gives a picture each time one is due.
pub(super) struct Paced<M> {
    make: M,
    every: Duration,
    next_at: Instant,
    clock: Arc<dyn Clock>,
}

impl<M: FnMut(Time) -> Result<Picture, CameraTrouble> + Send> Camera for Paced<M> {
    fn next(&mut self, timeout: Duration) -> Result<Option<Still>, CameraTrouble> {
        let wait = self.next_at.saturating_duration_since(Instant::now());
        std::thread::sleep(wait.min(timeout));
        if wait > timeout {
            return Ok(None);
        }
        self.next_at = Instant::now() + self.every;
        let Picture { jpeg, size } = (self.make)(self.clock.now())?;
        let taken_at = self.clock.now();
        Ok(Some(Still { jpeg, width: size.width, height: size.height, taken_at }))
    }
}

/// The JPEG files of a folder by name, over and over.
///
/// # Errors
/// No folder, or none in it.
pub(super) fn files(folder: &Path, clock: Arc<dyn Clock>) -> Result<impl Camera + use<>, CameraTrouble> {
    let missing = |why: String| CameraTrouble::Missing { why };
    let listed = std::fs::read_dir(folder).map_err(|e| missing(format!("{} cannot be read: {e}", folder.display())))?;
    let paths = listed.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_jpeg(path));
    let mut paths: Vec<PathBuf> = paths.take(FILES_MAX).collect();
    paths.sort();
    if paths.is_empty() {
        return Err(missing(format!("{} holds no file that ends in .jpg", folder.display())));
    }
    let mut next = 0;
    let make = move |_now| {
        let path = &paths[next % paths.len()];
        next += 1;
        read(path)
    };
    Ok(Paced { make, every: FILE_EVERY, next_at: Instant::now(), clock })
}

fn is_jpeg(path: &Path) -> bool {
    path.extension().is_some_and(|end| end.eq_ignore_ascii_case("jpg") || end.eq_ignore_ascii_case("jpeg"))
}

fn read(path: &Path) -> Result<Picture, CameraTrouble> {
    let lost = |why: String| CameraTrouble::Lost { why: format!("{}: {why}", path.display()) };
    let length = std::fs::metadata(path).map_err(|e| lost(e.to_string()))?.len();
    if length > PICTURE_BYTES_MAX as u64 {
        return Err(lost(format!("is larger than {} MiB", PICTURE_BYTES_MAX / 1024 / 1024)));
    }
    let bytes = std::fs::read(path).map_err(|e| lost(e.to_string()))?;
    Splitter::default().push(&bytes).ok_or_else(|| lost("is no JPEG picture".into()))
}

/// A drawn picture with a running clock.
pub(super) fn drawn(width: u32, height: u32, clock: Arc<dyn Clock>) -> impl Camera + use<> {
    let pixels = |pixels: u32| u16::try_from(pixels).unwrap_or(u16::MAX);
    let size = Size { width: pixels(width), height: pixels(height) };
    let make = move |now: Time| {
        let jpeg = drawn::draw(width, height, now).map_err(|why| CameraTrouble::Lost { why })?;
        Ok(Picture { jpeg, size })
    };
    Paced { make, every: DRAWN_EVERY, next_at: Instant::now(), clock }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::hw::clock::RealClock;

    #[test]
    fn a_folder_is_shown_file_by_file_and_a_file_that_is_no_picture_is_said() {
        let folder = std::env::temp_dir().join(format!("mynah-pictures-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
        let none = files(&folder, clock.clone()).err().unwrap().to_string();
        assert!(none.contains("no file that ends in .jpg"), "{none}");

        let picture = drawn::draw(64, 48, Time::ZERO).unwrap();
        std::fs::write(folder.join("b.JPG"), &*picture).unwrap();
        std::fs::write(folder.join("a.jpg"), b"no picture").unwrap();
        std::fs::write(folder.join("notes.txt"), b"").unwrap();
        let mut camera = files(&folder, clock).unwrap();
        let trouble = camera.next(Duration::ZERO).unwrap_err().to_string();
        assert!(trouble.contains("a.jpg: is no JPEG picture"), "{trouble}");
        assert_eq!(camera.next(Duration::ZERO), Ok(None), "a second each");
        let still = camera.next(Duration::from_secs(5)).unwrap().unwrap();
        assert_eq!((still.width, still.height, still.jpeg), (64, 48, picture));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn each_drawn_picture_is_another_one() {
        let mut camera = drawn(160, 120, Arc::new(RealClock::new()));
        let one = camera.next(Duration::from_secs(5)).unwrap().unwrap();
        let two = camera.next(Duration::from_secs(5)).unwrap().unwrap();
        assert_eq!((one.width, one.height), (160, 120));
        assert_ne!(one.jpeg, two.jpeg);
    }
}
