//! The driver `files`.
