//! What the device shows: one state for people, the patterns by which a light tells it, and the page that tells it in words.
//!
//! [`state`] takes what happened and answers one [`Look`]; [`lights`] says how each looks on a lamp. For the page,
//! [`screen`] keeps what it shows, [`visit`] says when a visitor is gone, [`door`] who is let in, [`sign_ins`] who was, [`wish`] what they may
//! want, [`metrics`] what a monitoring system reads. All of it is bounded, and none of it holds a secret's text in what
//! it shows.

pub mod door;
pub mod facts;
pub mod lights;
pub mod metrics;
#[cfg(feature = "panel")]
pub mod run;
pub mod screen;
pub mod sign_ins;
pub mod state;
pub mod visit;
pub mod wish;

pub use facts::Facts;
pub use screen::Screen;
pub use state::{Look, State};
