//! `mynah demo`.

pub mod director;
pub mod facts;
pub mod scene;
pub mod ticker;
pub mod timeline;
