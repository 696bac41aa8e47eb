//! mynah: a voice agent for small Linux boards.
//!
//! Sound goes one way: mic → gate → session → speaker. Tools stand beside the line.

pub mod units;

pub mod bell;

pub mod audio;
pub mod config;
pub mod live;

pub mod flow;
pub mod hw;

pub mod emulator;
pub mod gate;
pub mod mic;
pub mod session;
pub mod speaker;
pub mod tools;

pub mod cli;
pub mod daemon;
