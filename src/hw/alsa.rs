//! The driver `alsa`.
