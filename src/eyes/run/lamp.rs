//! The light that is lit while, and only while, the sensor runs.

use std::sync::Arc;

use crate::config::board;
use crate::hw::{Board, LineTrouble, Output};

/// The line [`board::CAMERA_LED`].
pub(super) struct Lamp {
    board: Arc<dyn Board>,
    line: Option<Box<dyn Output>>,
    is_lit: bool,
}

impl Lamp {
    /// Opens the line, which makes it dark; where that fails it is tried again before each start.
    pub(super) fn new(board: Arc<dyn Board>) -> Lamp {
        let line = board.open_output(board::CAMERA_LED).ok();
        Lamp { board, line, is_lit: false }
    }

    /// Lights it.
    ///
    /// # Errors
    /// The line cannot be had or set: nobody would see that the sensor runs.
    pub(super) fn light(&mut self) -> Result<(), LineTrouble> {
        let lit = match &mut self.line {
            Some(line) => line.set(true),
            None => {
                let mut line = self.board.open_output(board::CAMERA_LED)?;
                line.set(true)?;
                self.line = Some(line);
                Ok(())
            }
        };
        self.is_lit = true; // perhaps, where it failed
        if lit.is_err() {
            self.line = None;
        }
        lit
    }

    /// Puts it out.
    ///
    /// # Errors
    /// It does not obey, nor does the line opened anew, which would make it dark: to be tried again.
    pub(super) fn put_out(&mut self) -> Result<(), LineTrouble> {
        if !self.is_lit {
            return Ok(());
        }
        let is_dark = self.line.as_mut().is_some_and(|line| line.set(false).is_ok());
        if !is_dark {
            self.line = None; // let go of before it is asked for again
            self.line = Some(self.board.open_output(board::CAMERA_LED)?);
        }
        self.is_lit = false;
        Ok(())
    }

    /// Whether it is lit, or may be.
    pub(super) fn is_lit(&self) -> bool {
        self.is_lit
    }
}
