//! The room `cli`.

pub mod emulator;
