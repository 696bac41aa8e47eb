//! The driver `gpio`.
