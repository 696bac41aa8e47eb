//! Agent file and board profile as types; errors name file, line, key and what would be right.

pub mod agent;
pub mod board;
