//! The driver `open`.
