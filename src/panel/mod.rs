//! What the device shows: one state for people, and the table of patterns by which a light tells it.
//!
//! [`state`] takes what happened and answers one [`Look`]; [`lights`] says how each looks on a lamp. A page on a screen
//! may show the same [`State`] in words.

pub mod lights;
pub mod state;

pub use state::{Look, State};
