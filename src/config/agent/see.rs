//! `[see]`: when the camera is looked through, and how much of it goes to the service.

use super::super::key::{Choice, Key, Need, Whole};
use super::super::read::{Reader, Section, Sheet};

/// When pictures are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeeMode {
    /// Never: the sensor does not run.
    Off,
    /// When the model calls `look`.
    OnRequest,
    /// While somebody speaks, and when the model calls `look`.
    WhileSpeaking,
}

/// How finely the service looks at pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// 280 tokens for a picture that was asked for, 70 for one while speaking.
    Low,
    /// 560 and 70: what is written in large letters can be read.
    Medium,
    /// 1120 and 280: small print.
    High,
}

/// `[see]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct See {
    /// When pictures are sent.
    pub mode: SeeMode,
    /// While speaking: from one picture to the next, 1000–60000 ms; the service takes one a second.
    pub every_ms: u32,
    /// Longer sides are scaled down to this, pixels, 160–4096.
    pub longest_side_px: u32,
    /// JPEG quality of pictures that are made anew, percent, 30–95.
    pub quality_percent: u32,
    /// Larger pictures are made anew, KiB, 16–4096.
    pub still_kib: u32,
    /// All pictures of a minute together, KiB, 64–65536.
    pub minute_kib: u32,
    /// How finely the service looks at them.
    pub detail: Detail,
}

impl See {
    /// Whether there is any use for a camera.
    pub fn is_on(&self) -> bool {
        self.mode != SeeMode::Off
    }
}

const MODE: Key<Choice<SeeMode>> = Key {
    name: "mode",
    kind: Choice {
        options: &[
            ("off", SeeMode::Off),
            ("on_request", SeeMode::OnRequest),
            ("while_speaking", SeeMode::WhileSpeaking),
        ],
        default: SeeMode::Off, // a camera is switched on, not found on
    },
    need: Need::Defaults,
    doc: "When pictures are sent: never, when the model calls `look`, or while somebody speaks as well.",
};
/// The service takes one picture a second (live-protocol.md 4.3).
pub const EVERY_MS_MIN: u32 = 1000;

const EVERY_MS: Key<Whole> = Key {
    name: "every_ms",
    kind: Whole { unit: "ms", min: EVERY_MS_MIN, max: 60_000, step: 1, default: 1000 }, // one a second is taken (live-protocol.md 4.3)
    need: Need::Defaults,
    doc: "While speaking: from one picture to the next.",
};
const LONGEST_SIDE_PX: Key<Whole> = Key {
    name: "longest_side_px",
    kind: Whole { unit: "px", min: 160, max: 4096, step: 1, default: 1280 }, // what most cameras give without being asked
    need: Need::Defaults,
    doc: "Pictures with a longer side are scaled down to it; all others go as the camera made them.",
};
const QUALITY_PERCENT: Key<Whole> = Key {
    name: "quality_percent",
    kind: Whole { unit: "percent", min: 30, max: 95, step: 1, default: 75 }, // as livekit sends them (live-protocol.md 4.3)
    need: Need::Defaults,
    doc: "JPEG quality of pictures that are scaled down or made anew.",
};
const STILL_KIB: Key<Whole> = Key {
    name: "still_kib",
    kind: Whole { unit: "KiB", min: 16, max: 4096, step: 1, default: 256 }, // a good 720p; two seconds of a 1 Mbit/s uplink
    need: Need::Defaults,
    doc: "Pictures that are larger are made anew at `quality_percent`.",
};
const MINUTE_KIB: Key<Whole> = Key {
    name: "minute_kib",
    kind: Whole { unit: "KiB", min: 64, max: 65_536, step: 1, default: 8192 }, // 60 pictures of 136 KiB: 1.1 Mbit/s
    need: Need::Defaults,
    doc: "All pictures of a minute together; past it none is sent until there is room again.",
};
const DETAIL: Key<Choice<Detail>> = Key {
    name: "detail",
    kind: Choice {
        options: &[("low", Detail::Low), ("medium", Detail::Medium), ("high", Detail::High)],
        default: Detail::Medium,
    },
    need: Need::Defaults,
    doc: "How finely the service looks: a picture that was asked for costs 280, 560 or 1120 tokens, one while speaking 70, 70 or 280.",
};

/// `[see]`.
pub const SEE: Sheet = Sheet {
    name: "see",
    keys: &[&MODE, &EVERY_MS, &LONGEST_SIDE_PX, &QUALITY_PERCENT, &STILL_KIB, &MINUTE_KIB, &DETAIL],
    tables: &[],
};

pub(super) fn see(reader: &mut Reader<'_>, top: &Section<'_>) -> See {
    let at = reader.inner(top, SEE.name, &SEE);
    See {
        mode: reader.get(&at, &MODE),
        every_ms: reader.get(&at, &EVERY_MS),
        longest_side_px: reader.get(&at, &LONGEST_SIDE_PX),
        quality_percent: reader.get(&at, &QUALITY_PERCENT),
        still_kib: reader.get(&at, &STILL_KIB),
        minute_kib: reader.get(&at, &MINUTE_KIB),
        detail: reader.get(&at, &DETAIL),
    }
}
