//! One file a subcommand.

pub mod audit;
pub mod config;
pub mod demo;
pub mod devices;
pub mod doctor;
pub mod dump;
pub mod emulator;
pub mod events;
pub mod exit;
pub mod fleet;
pub mod hand;
pub mod house;
pub mod load;
pub mod log;
pub mod program;
pub mod report;
mod restart;
pub mod run;
pub mod safe;
pub mod sounds;
pub mod state;
pub mod token;
pub mod tools;
pub mod trace;
pub mod wake;
pub mod watch;
