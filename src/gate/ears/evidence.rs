//! Evidence that somebody speaks while the loudspeaker does: not weighed yet, so there never is any.

use super::cancel::Powers;

/// What is known of the noise in the room.
#[derive(Clone, Copy, Debug, Default)]
pub struct Evidence {
    noise: f32,
}

impl Evidence {
    /// Nothing known.
    pub fn new() -> Evidence {
        Evidence::default()
    }

    /// Takes the powers of the next hop; answers whether there is more in it than the loudspeaker accounts for.
    pub fn handle_hop(&mut self, _powers: &Powers, _is_far: bool) -> bool {
        false
    }

    /// Power of the noise in the room, S16².
    pub fn noise(&self) -> f32 {
        self.noise
    }
}
