//! The cameras there are, by names that do not change when they are plugged in anew.
//!
//! `/dev/video0` is the camera that came first. udev makes links beside it: by what the camera is (`by-id`, with its serial
//! number where it has one) and by where it is plugged in (`by-path`). A link is followed at each opening.

use std::fs;
use std::path::{Path, PathBuf};

use super::v4l2::offer::{self, Offer};

/// Folders of links below `/dev`, the name that says most first. Of two cameras of one kind without a serial number only
/// the port tells which is which.
const LINKS: [&str; 2] = ["v4l/by-id", "v4l/by-path"];

/// A camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Camera {
    /// Names for the board profile, the best first; the last one is the number that it has now.
    pub names: Vec<PathBuf>,
    /// What it offers; none where this user has no right to ask.
    pub offer: Option<Offer>,
}

/// All cameras of this machine.
pub fn cameras() -> Vec<Camera> {
    let devices = devices(Path::new("/dev")).into_iter();
    devices
        .filter_map(|(device, names)| match super::v4l2::open(&device) {
            Ok(file) => {
                offer::ask(&file).ok().filter(|offer| offer.is_camera).map(|offer| Camera { names, offer: Some(offer) })
            }
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Some(Camera { names, offer: None }),
            Err(_) => None,
        })
        .collect()
}

/// The files of V4L2 in `dev` by number, each with its names.
fn devices(dev: &Path) -> Vec<(PathBuf, Vec<PathBuf>)> {
    let links: Vec<PathBuf> = LINKS.iter().flat_map(|folder| files(&dev.join(folder))).collect();
    let mut devices: Vec<(u32, PathBuf)> = files(dev)
        .into_iter()
        .filter_map(|file| Some((file.file_name()?.to_str()?.strip_prefix("video")?.parse().ok()?, file)))
        .collect();
    devices.sort();
    let with_names = |(_, device): (u32, PathBuf)| {
        let is_it = |link: &&PathBuf| fs::canonicalize(link).is_ok_and(|target| target == device);
        let names = links.iter().filter(is_it).chain([&device]).cloned().collect();
        (device, names)
    };
    devices.into_iter().map(with_names).collect()
}

/// What is in a folder, by name.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.sort();
    files
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_camera_has_the_names_that_stay_before_its_number() {
        let dev = fs::canonicalize(std::env::temp_dir()).unwrap().join(format!("mynah-dev-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dev);
        for folder in LINKS {
            fs::create_dir_all(dev.join(folder)).unwrap();
        }
        for file in ["video10", "video2", "vga_arbiter", "videodrome"] {
            fs::write(dev.join(file), "").unwrap();
        }
        symlink("../../video10", dev.join("v4l/by-path/usb-0:1.3-index0")).unwrap();
        symlink("../../video10", dev.join("v4l/by-id/usb-Cam-index0")).unwrap();
        symlink("../../video9", dev.join("v4l/by-id/usb-Gone-index0")).unwrap();
        let found = devices(&dev);
        fs::remove_dir_all(&dev).unwrap();
        let shown: Vec<Vec<String>> = found
            .iter()
            .map(|(_, names)| names.iter().map(|n| n.strip_prefix(&dev).unwrap().display().to_string()).collect())
            .collect();
        let expected = [vec!["video2"], vec!["v4l/by-id/usb-Cam-index0", "v4l/by-path/usb-0:1.3-index0", "video10"]];
        assert_eq!(shown, expected);
    }
}
