//! Cameras: who makes the pictures, by the board profile.

mod command;
mod drawn;
pub mod found;
mod paced;
mod url;
pub mod v4l2;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Camera, CameraTrouble, Clock};
use crate::config::board::{self, CameraProgram, CameraSource};

/// Programs that give a ribbon camera's pictures as a stream of JPEG, the newer name first.
const RPICAM: [&str; 2] = ["rpicam-vid", "libcamera-vid"];

/// Starts the sensor of `wish`: it runs from now on, until what this answers is dropped. `extra_ca_pem` has certificates
/// that are trusted beside the built-in roots.
///
/// # Errors
/// [`CameraTrouble`].
pub fn open(
    wish: &board::Camera,
    extra_ca_pem: Option<&[u8]>,
    clock: Arc<dyn Clock>,
) -> Result<Box<dyn Camera>, CameraTrouble> {
    let (width, height) = (wish.width, wish.height);
    match &wish.source {
        CameraSource::Device(device) => v4l2::start(device, wish, clock),
        CameraSource::Program(CameraProgram::Command(command)) => program(command, clock),
        CameraSource::Program(CameraProgram::Rpicam) => {
            program(&rpicam(wish, &std::env::var_os("PATH").unwrap_or_default())?, clock)
        }
        CameraSource::Url(url) => Ok(Box::new(url::start(url, extra_ca_pem, clock)?)),
        CameraSource::Files(folder) => Ok(Box::new(paced::files(folder, clock)?)),
        CameraSource::Test => Ok(Box::new(paced::drawn(width, height, clock))),
    }
}

/// The camera of a board profile, as [`open`] starts it.
///
/// # Errors
/// [`CameraTrouble`]; also where the profile has none.
pub fn of(
    wish: Option<&board::Camera>,
    board: &str,
    extra_ca_pem: Option<&[u8]>,
    clock: Arc<dyn Clock>,
) -> Result<Box<dyn Camera>, CameraTrouble> {
    let Some(wish) = wish else {
        let why = format!("board `{board}` has none; add [camera] to its profile");
        return Err(CameraTrouble::Missing { why });
    };
    open(wish, extra_ca_pem, clock)
}

fn program(command: &[String], clock: Arc<dyn Clock>) -> Result<Box<dyn Camera>, CameraTrouble> {
    Ok(Box::new(command::Running::start(command, clock)?))
}

/// The command for a ribbon camera.
fn rpicam(wish: &board::Camera, path: &std::ffi::OsStr) -> Result<Vec<String>, CameraTrouble> {
    let found = RPICAM.iter().find_map(|name| in_path(path, name));
    let program = found.ok_or_else(|| CameraTrouble::Missing {
        why: "there is no `rpicam-vid`: install it (`sudo apt install rpicam-apps`)".to_string(),
    })?;
    let program = program.display().to_string();
    let (width, height) = (wish.width.to_string(), wish.height.to_string());
    // As long as it is wanted, without a window, each picture on its own; its talk goes nowhere.
    let args = ["--timeout", "0", "--nopreview", "--codec", "mjpeg", "--output", "-", "--verbose", "0"];
    let shape = ["--width", &width, "--height", &height, "--framerate", "5", "--flush"];
    Ok(std::iter::once(program.as_str()).chain(args).chain(shape).map(String::from).collect())
}

/// The program of this name in a list of folders such as `PATH`.
fn in_path(path: &std::ffi::OsStr, name: &str) -> Option<PathBuf> {
    std::env::split_paths(path).map(|folder| folder.join(name)).find(|program| Path::is_file(program))
}
