//! What the device sees: single pictures, as the camera made them.
//!
//! Pictures stay JPEG from the sensor to the service; nothing here decodes one.

pub mod jpeg;
pub mod splitter;
mod tables;
