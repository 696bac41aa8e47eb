//! The shell around the emulator: sockets, TLS and files.
