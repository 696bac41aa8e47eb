//! What ALSA's errors mean for the program.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use alsa::pcm::{PCM, State};
use libc::{c_int, c_short};

use crate::audio::trouble::PcmTrouble;
use crate::hw::cards::{Cards, Way};

/// The errno of an ALSA error, positive (the crate passes some on negative).
fn errno(error: &alsa::Error) -> c_int {
    error.errno().abs()
}

/// Whether a call would have had to wait, or was interrupted by a signal: nothing happened.
pub fn is_not_now(error: &alsa::Error) -> bool {
    matches!(errno(error), libc::EAGAIN | libc::EINTR)
}

/// What an error means while `pcm` is being opened or set up.
pub fn at_opening(error: &alsa::Error, pcm: &str) -> PcmTrouble {
    let pcm = pcm.to_string();
    match errno(error) {
        libc::ENOENT | libc::ENODEV | libc::ENXIO => PcmTrouble::missing(pcm),
        libc::ECONNREFUSED => PcmTrouble::Other(format!(
            "PCM {pcm} belongs to a sound server, and none answers: start it (PulseAudio or PipeWire), or name the \
             card itself in the board profile (`mynah devices` lists the names)"
        )),
        libc::EBUSY | libc::EAGAIN => PcmTrouble::busy(pcm),
        libc::EACCES | libc::EPERM => no_right(&pcm),
        libc::EINVAL => PcmTrouble::Refused { pcm, what: format!("its settings ({error})") },
        _ => PcmTrouble::Other(format!(
            "PCM {pcm} could not be opened ({error}): is it plugged in? `mynah devices` lists what is there"
        )),
    }
}

/// What [`at_opening`] found for the PCM of ALSA's name `name`, with its cause where the system tells: who holds it,
/// what is there instead.
///
/// libasound looks a card up by opening each, and one that this user may not open is "not found": that is put right too.
pub fn with_cause(trouble: PcmTrouble, name: &str, way: Way, cards: &Cards) -> PcmTrouble {
    match trouble {
        PcmTrouble::Missing { pcm, .. } if is_forbidden(Path::new("/dev/snd")) => no_right(&pcm),
        PcmTrouble::Missing { pcm, .. } => PcmTrouble::Missing { pcm, there: cards.what_is_there() },
        PcmTrouble::Busy { pcm, holder } => {
            let found = match cards.of_alsa_name(name) {
                Some((card, device)) => cards.holder(&card, device, way),
                // A name such as `default` may mean any card.
                None => cards.any_holder(way),
            };
            PcmTrouble::Busy { pcm, holder: found.map_or(holder, |holder| holder.sentence()) }
        }
        other => other,
    }
}

/// Whether a sound card's control device in `folder` may not be opened.
fn is_forbidden(folder: &Path) -> bool {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut cards = files.filter(|file| file.file_name().to_string_lossy().starts_with("controlC"));
    cards.any(|card| File::open(card.path()).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied))
}

fn no_right(pcm: &str) -> PcmTrouble {
    PcmTrouble::Other(format!("PCM {pcm} may not be opened by this user: add it to the group `audio` and log in again"))
}

/// What an error means in a PCM that works.
pub fn in_stream(error: &alsa::Error) -> PcmTrouble {
    match errno(error) {
        libc::EPIPE => PcmTrouble::Xrun,
        libc::ESTRPIPE => PcmTrouble::Suspended,
        libc::ENODEV | libc::EBADFD | libc::ENXIO | libc::ENOTTY => PcmTrouble::Gone,
        _ => PcmTrouble::Other(format!("the device fails ({error})")),
    }
}

/// What the state of `pcm` means, where it is a bad one. (`PCM::state` panics on states of plugins.)
pub fn in_state(pcm: &PCM) -> Option<PcmTrouble> {
    match pcm.state_raw() {
        s if s == State::XRun as c_int => Some(PcmTrouble::Xrun),
        s if s == State::Suspended as c_int => Some(PcmTrouble::Suspended),
        s if s == State::Disconnected as c_int => Some(PcmTrouble::Gone),
        s if s < 0 => Some(PcmTrouble::Gone), // an errno: where the state is asked for, not mapped
        _ => None,
    }
}

/// What the events of a poll mean, where they are bad: the state says more than the flags, a lost device less.
pub fn in_events(events: c_short, pcm: &PCM) -> Option<PcmTrouble> {
    if events & (libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) == 0 {
        return None;
    }
    let by_flags = if events & libc::POLLERR != 0 { PcmTrouble::Xrun } else { PcmTrouble::Gone };
    Some(in_state(pcm).unwrap_or(by_flags))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(errno: c_int) -> alsa::Error {
        alsa::Error::new("snd_pcm_x", errno)
    }

    #[test]
    fn every_errno_of_a_stream_says_what_to_do() {
        for (errno, expected) in [
            (libc::EPIPE, PcmTrouble::Xrun),
            (-libc::EPIPE, PcmTrouble::Xrun),
            (libc::ESTRPIPE, PcmTrouble::Suspended),
            (libc::ENODEV, PcmTrouble::Gone),
            (libc::EBADFD, PcmTrouble::Gone),
        ] {
            assert_eq!(in_stream(&error(errno)), expected, "errno {errno}");
        }
        assert!(matches!(in_stream(&error(libc::EIO)), PcmTrouble::Other(_)));
    }

    #[test]
    fn every_errno_of_opening_names_the_pcm() {
        for errno in [libc::ENOENT, libc::ENODEV, libc::EBUSY, libc::EINVAL, libc::EACCES, libc::EIO] {
            let sentence = at_opening(&error(errno), "plughw:CARD=Device").to_string();
            assert!(sentence.contains("plughw:CARD=Device"), "{sentence}");
        }
        assert!(matches!(at_opening(&error(libc::EBUSY), "x"), PcmTrouble::Busy { .. }));
        assert!(matches!(at_opening(&error(libc::EINVAL), "x"), PcmTrouble::Refused { .. }));
        assert!(matches!(at_opening(&error(libc::ENOENT), "x"), PcmTrouble::Missing { .. }));
        let sentence = at_opening(&error(libc::ECONNREFUSED), "default").to_string();
        assert!(sentence.contains("sound server"), "{sentence}");
    }
}
