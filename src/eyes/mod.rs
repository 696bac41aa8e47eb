//! What the device sees: single pictures, and when one is taken.
//!
//! Pictures stay JPEG from the sensor to the service; one is made anew only where it is too large. [`schedule`] says when
//! the sensor runs and which picture is used; `run.rs` owns the camera.

pub mod budget;
pub mod jpeg;
pub mod picture;
pub mod raw;
pub mod run;
pub mod schedule;
pub mod splitter;
mod tables;
