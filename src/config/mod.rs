//! Agent file and board profile as types; errors name file, line, key and what would be right.
//!
//! Text in, typed value or *all* problems out: nothing here opens a file. Each key is one constant
//! (`agent/read.rs`, `agent/tool.rs`, `board/read.rs`) that holds its type, range, default and sentence;
//! the walk, the messages and the test of the shipped files read the same constant. Not derived from serde,
//! because a person at the device needs our sentences, and all of them at once.

pub mod agent;
pub mod board;
pub mod check;
pub mod key;
pub mod problem;
pub mod procedure;
pub mod read;
pub mod several;

pub use check::{check, locate};
pub use problem::Problem;
