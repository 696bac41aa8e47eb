//! What the end of a connection means.

/// How a connection ended, as the link saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closing {
    /// The server's close frame (1005 where it had no code).
    Frame {
        /// Close code.
        code: u16,
        /// Its text, at most 123 bytes.
        reason: String,
    },
    /// The upgrade was answered with this HTTP status.
    Http(u16),
    /// The network failed; a sentence.
    Network(String),
    /// We closed it.
    Ours,
}
