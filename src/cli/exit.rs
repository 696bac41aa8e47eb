//! Exit codes, and the last words before one.

use std::process::ExitCode;

/// An end with a code of its own; anything else ends with 1.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Exit {
    /// The code: 77 or 78 (`sysexits.h`: no permission, configuration).
    pub code: u8,
    /// What to do, one or more sentences.
    pub message: String,
}

/// The arguments are wrong, or too few; clap's code for it.
pub const USAGE: u8 = 2;
/// The API key is missing, unreadable or refused.
pub const NO_PERMISSION: u8 = 77;
/// The configuration is wrong.
pub const CONFIG: u8 = 78;

/// `mynah doctor`: it works, but something should be looked at.
pub const WORKS_BUT: u8 = 3;
/// `mynah doctor`: it does not work.
pub const DOES_NOT_WORK: u8 = 4;

/// An [`Exit`] with [`CONFIG`].
pub fn config(message: impl Into<String>) -> anyhow::Error {
    Exit { code: CONFIG, message: message.into() }.into()
}

/// Says what went wrong, and answers the code to end with.
pub fn report(error: &anyhow::Error) -> ExitCode {
    eprintln!("mynah: {error:#}");
    match error.downcast_ref::<Exit>() {
        Some(exit) => ExitCode::from(exit.code),
        None => ExitCode::FAILURE,
    }
}
