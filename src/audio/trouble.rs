//! What can go wrong with a PCM, and what to do about it: retry, recover, reopen later, tell the owner.
//!
//! A driver maps errno to [`PcmTrouble`]; the policy here decides, with the time as an argument.

/// What a PCM driver reports, named after what the caller must do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PcmTrouble {
    /// The application was late: capture lost frames or playback starved (EPIPE). Recover and go on.
    #[error("an xrun: the program was late and sound was lost")]
    Xrun,
    /// The device sleeps (ESTRPIPE). Recover and go on.
    #[error("the device was suspended")]
    Suspended,
    /// The device is gone (ENODEV, EBADFD, POLLHUP). Close and open again later.
    #[error("the device is gone")]
    Gone,
    /// Another program holds the device (EBUSY). Open again later.
    #[error("PCM {pcm} is busy: another program holds it (`fuser -v /dev/snd/*` names it)")]
    Busy {
        /// The PCM's name.
        pcm: String,
    },
    /// There is no such PCM (ENOENT, ENODEV at opening). Open again later: it may be plugged in.
    #[error("PCM {pcm} was not found: is it plugged in? `aplay -L` and `arecord -L` list the names that exist")]
    Missing {
        /// The PCM's name.
        pcm: String,
    },
    /// The device refuses what the board profile asks for. Opening again is of no use until the profile changes.
    #[error("PCM {pcm} refuses {what}; change it in the board profile")]
    Refused {
        /// The PCM's name.
        pcm: String,
        /// Which setting.
        what: String,
    },
    /// Anything else ALSA says.
    #[error("PCM error: {0}")]
    Other(String),
}
