//! Loads the owner's sounds from their folder: `listening.wav`, `heard.wav` and so on.
//!
//! A file that cannot be used is told of, and its cue keeps the built-in figure: a device that is silent about its troubles
//! because of one wrong file would be worse than one that sounds as it did yesterday.

use std::fs;
use std::path::Path;

use super::{Options, reporter};
use crate::hw;
use crate::speaker::cue::sounds::{NAMES, SOUND_MS_MAX, Sounds};

/// Largest file that is opened: a second of eight channels at 192 kHz in 32 bits has 6 MB.
const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Names in the folder that are looked at, so that a folder of something else is not read through at each start.
const NAMES_MAX: usize = 100;

/// The device's own sounds, the owner's where there are any; what is wrong with those is told.
pub fn of(options: &Options) -> Sounds {
    let Some(folder) = &options.agent.speak.sounds else { return Sounds::default() };
    let (sounds, troubles) = load(folder);
    let tell = reporter(options, "sounds");
    troubles.into_iter().for_each(|trouble| tell(Err(trouble)));
    sounds
}

/// The sounds of `folder`, and a sentence about each file that cannot be used.
pub fn load(folder: &Path) -> (Sounds, Vec<String>) {
    let (mut sounds, mut troubles) = (Sounds::default(), Vec::new());
    let names = match names_in(folder) {
        Ok(names) => names,
        Err(why) => {
            let folder = folder.display();
            let advice = "make it, or take `sounds` out of [speak]";
            troubles.push(format!("the folder of sounds {folder} cannot be read ({why}): {advice}"));
            return (sounds, troubles);
        }
    };
    for name in names {
        let file = folder.join(&name);
        let loaded = match NAMES.iter().find(|(_, known)| name == format!("{known}.wav")) {
            None => Err(format!("{} is the name of no sound: they are {}", file.display(), known_names())),
            Some((cue, _)) => recording(&file).and_then(|chunk| {
                let advice = format!("`sox {} OUT.wav trim 0 {}`", file.display(), SOUND_MS_MAX as f64 / 1000.0);
                let sentence = |why| format!("{} {why} (such as by {advice})", file.display());
                sounds.replace(*cue, &chunk).map_err(sentence)
            }),
        };
        troubles.extend(loaded.err());
    }
    (sounds, troubles)
}

/// The WAV files in `folder`, in order.
fn names_in(folder: &Path) -> std::io::Result<Vec<String>> {
    let entries = fs::read_dir(folder)?.take(NAMES_MAX).filter_map(Result::ok);
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name.to_lowercase().ends_with(".wav")).collect();
    names.sort();
    Ok(names)
}

fn recording(file: &Path) -> Result<crate::audio::Chunk, String> {
    if fs::metadata(file).is_ok_and(|about| about.len() > FILE_BYTES_MAX) {
        let seconds = SOUND_MS_MAX as f64 / 1000.0;
        let file = file.display();
        return Err(format!("{file} is too large for a sound of the device: `sox {file} OUT.wav trim 0 {seconds}`"));
    }
    hw::wav::load(file).map_err(|why| why.to_string())
}

fn known_names() -> String {
    NAMES.map(|(_, name)| format!("{name}.wav")).join(", ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::flow::Cue;
    use crate::units::Hertz;

    #[test]
    fn what_can_be_used_is_and_of_each_other_file_a_sentence_says_what_to_do() {
        let folder = std::env::temp_dir().join(format!("mynah-sounds-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let save = |name: &str, rate: u32, frames: usize| {
            hw::wav::save(&folder.join(name), Hertz(rate), &vec![9000; frames]).unwrap();
        };
        save("heard.wav", 48_000, 4800);
        save("lost.wav", 16_000, 17_000);
        save("listning.wav", 48_000, 480);
        fs::write(folder.join("error.wav"), "no sound at all").unwrap();
        fs::write(folder.join("README"), "mine").unwrap();
        fs::write(folder.join("muted.wav"), vec![0; FILE_BYTES_MAX as usize + 1]).unwrap();
        let (sounds, troubles) = load(&folder);
        fs::remove_dir_all(&folder).unwrap();
        let rate = Hertz(24_000);
        assert_eq!(sounds.length(Cue::Heard, rate), 2400);
        for cue in [Cue::Lost, Cue::Error, Cue::Muted, Cue::Listening] {
            assert_eq!(sounds.length(cue, rate), Sounds::default().length(cue, rate), "{cue:?}");
        }
        let said = |at: usize, name: &str, what: &str| {
            assert!(troubles[at].contains(name) && troubles[at].contains(what), "{}", troubles[at]);
        };
        said(0, "error.wav", "not a WAV file");
        said(1, "listning.wav", "listening.wav");
        said(2, "lost.wav", "lasts 1062 ms");
        said(3, "muted.wav", "too large");
        assert_eq!(troubles.len(), 4);
    }

    #[test]
    fn a_folder_that_is_not_there_is_one_sentence() {
        let (sounds, troubles) = load(Path::new("/nonexistent/sounds"));
        assert_eq!((sounds, troubles.len()), (Sounds::default(), 1));
        assert!(troubles[0].contains("/nonexistent/sounds") && troubles[0].contains("[speak]"), "{}", troubles[0]);
    }
}
