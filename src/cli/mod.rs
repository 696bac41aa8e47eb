//! One file a subcommand.

pub mod demo;
pub mod devices;
pub mod doctor;
pub mod dump;
pub mod emulator;
pub mod events;
pub mod exit;
pub mod hand;
pub mod house;
pub mod load;
pub mod log;
pub mod run;
pub mod sounds;
pub mod state;
pub mod token;
pub mod trace;
pub mod wake;
pub mod watch;
