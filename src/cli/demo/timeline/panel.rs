//! One scene of the picture: its lanes from top to bottom.

use std::time::Duration;

use super::captions::{self, LINE, SIZE};
use super::lanes::{Burst, Caption, Cut, Lanes, Stretch};
use super::svg::{Svg, width_of};
use crate::hw::tap::Track;
use crate::units::Time;

/// Where the time axis begins and ends, pixels.
const LEFT: f64 = 132.0;
const RIGHT: f64 = 1376.0;
/// Heights, pixels.
const TITLE: f64 = 32.0;
const LEVEL: f64 = 46.0;
const BAR: f64 = 20.0;
const AXIS: f64 = 26.0;
/// Width of a column of a level, pixels.
const COLUMN: f64 = 1.5;
/// Levels are drawn as their peak to this power: quiet speech is seen and loud speech keeps its shape.
const LEVEL_POWER: f64 = 0.7;
/// Columns lower than this are silence: −56 dBFS, above the noise of a quiet room.
const LEVEL_MIN: f64 = 0.011;
/// Labels of the axis are at least so far apart.
const LABEL_GAP: f64 = 48.0;

/// Time to pixels.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    zero: Time,
    from: Time,
    to: Time,
    pixels_per_s: f64,
}

impl Scale {
    /// A panel from `from` to `to` at a scale at which `longest` fills the width; labels count from `zero`.
    pub(super) fn new(zero: Time, from: Time, to: Time, longest: Duration) -> Scale {
        Scale { zero, from, to, pixels_per_s: (RIGHT - LEFT) / longest.as_secs_f64() }
    }

    fn x(self, at: Time) -> f64 {
        LEFT + at.min(self.to).since(self.from).as_secs_f64() * self.pixels_per_s
    }

    fn right(self) -> f64 {
        self.x(self.to)
    }

    /// How far words may reach: to the end of the panel, or beyond it where it is very narrow.
    fn text_right(self) -> f64 {
        (self.right() - 4.0).max(LEFT + 400.0)
    }

    /// Seconds between labels: the least round number that keeps them apart.
    fn step_s(self) -> u64 {
        [1, 2, 5, 10, 20, 30, 60].into_iter().find(|step| *step as f64 * self.pixels_per_s >= LABEL_GAP).unwrap_or(120)
    }
}

/// One scene.
pub(super) struct Panel<'a> {
    pub(super) title: &'a str,
    pub(super) scale: Scale,
    pub(super) lanes: &'a Lanes,
    pub(super) mic: &'a Track,
    pub(super) reply: &'a Track,
}

impl Panel<'_> {
    /// Draws the panel below `top`; answers its height.
    pub(super) fn draw(&self, svg: &mut Svg, top: f64) -> f64 {
        let mut lanes = Svg::new();
        let first = top + TITLE;
        let mut y = first;
        y = self.captions(&mut lanes, y, "you say", &self.lanes.said, "you");
        y = self.level(&mut lanes, y, "microphone", self.mic, "you");
        y = self.stretches(&mut lanes, y, "button held", &self.lanes.button, "button");
        y = self.stretches(&mut lanes, y, "gate open", &self.lanes.gate, "gate");
        y = self.bursts(&mut lanes, y, "uplink", &self.lanes.sent);
        y = self.bursts(&mut lanes, y, "reply received", &self.lanes.received);
        y = self.level(&mut lanes, y, "heard", self.reply, "mynah");
        let cut_end = y;
        y = self.captions(&mut lanes, y, "mynah says", &self.lanes.answered, "mynah");
        let bottom = self.lamp(&mut lanes, y);
        self.background(svg, top, first, bottom);
        svg.append(&lanes);
        self.lanes.cuts.iter().for_each(|cut| self.cut(svg, cut, first, cut_end));
        bottom + AXIS - top
    }

    fn background(&self, svg: &mut Svg, top: f64, first: f64, bottom: f64) {
        let right = self.scale.right();
        svg.text(24.0, top + 16.0, "scene", self.title);
        svg.rect((LEFT, first - 4.0), (right - LEFT, bottom - first + 4.0), "panel");
        let zero = self.scale.zero;
        let (from, to) = (self.scale.from.since(zero), self.scale.to.since(zero));
        let step = self.scale.step_s();
        for second in from.as_secs_f64().ceil() as u64..=to.as_secs() {
            let x = self.scale.x(zero + Duration::from_secs(second));
            if second % step == 0 {
                svg.line((x, first - 4.0), (x, bottom + 4.0), "grid");
                svg.text(x, bottom + 17.0, "axis", &format!("{second} s"));
            }
        }
    }

    fn captions(&self, svg: &mut Svg, y: f64, label: &str, captions: &[Caption], class: &str) -> f64 {
        let texts: Vec<(f64, &str)> = captions.iter().map(|c| (self.scale.x(c.at), c.text.as_str())).collect();
        let (placed, height) = captions::place(&texts, LEFT, self.scale.text_right());
        let y = y + 5.0;
        svg.text(LEFT - 10.0, y + SIZE - 1.0, "lane", label);
        for caption in placed {
            let tall = caption.lines.len() as f64 * LINE;
            svg.rect((caption.mark, y + caption.y), (2.5, tall), class);
            for (i, line) in caption.lines.iter().enumerate() {
                svg.text(caption.x, y + caption.y + SIZE - 1.0 + i as f64 * LINE, "said", line);
            }
        }
        y + height.max(LINE)
    }

    fn level(&self, svg: &mut Svg, y: f64, label: &str, track: &Track, class: &str) -> f64 {
        let middle = y + LEVEL / 2.0;
        svg.text(LEFT - 10.0, middle, "lane", label);
        svg.text(LEFT - 10.0, middle + 13.0, "unit", "peak level");
        svg.line((LEFT, middle), (self.scale.right(), middle), "base");
        let columns = ((self.scale.right() - LEFT) / COLUMN) as usize;
        let heights: Vec<f64> = (0..columns).map(|i| self.height(track, i) * (LEVEL / 2.0 - 3.0)).collect();
        // Only where there is sound: silence needs no shape.
        let silence = LEVEL_MIN * LEVEL / 2.0;
        for run in runs(&heights, silence) {
            let x = |i: usize| LEFT + i as f64 * COLUMN;
            let mut points = vec![(x(run.start), 0.0)];
            points.extend(run.clone().map(|i| (x(i) + COLUMN / 2.0, heights[i])));
            points.push((x(run.end), 0.0));
            svg.mirrored(&points, middle, class);
        }
        y + LEVEL
    }

    /// Height of a column, 0 to 1: its peak on the scale.
    fn height(&self, track: &Track, column: usize) -> f64 {
        let seconds = |i: usize| i as f64 * COLUMN / self.scale.pixels_per_s;
        let start = self.scale.from.since(self.scale.zero).as_secs_f64();
        let index = |i: usize| ((start + seconds(i)) * f64::from(track.rate.0)) as usize;
        let end = index(column + 1).min(track.frames.len());
        let frames = track.frames.get(index(column)..end).unwrap_or_default();
        let peak = frames.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
        (f64::from(peak) / 32768.0).powf(LEVEL_POWER)
    }

    fn bar_lane(&self, svg: &mut Svg, y: f64, label: &str) {
        svg.text(LEFT - 10.0, y + 14.0, "lane", label);
        svg.rect((LEFT, y + 4.0), (self.scale.right() - LEFT, BAR - 8.0), "track");
    }

    fn stretches(&self, svg: &mut Svg, y: f64, label: &str, stretches: &[Stretch], class: &str) -> f64 {
        self.bar_lane(svg, y, label);
        for (from, to) in stretches {
            let (x, end) = (self.scale.x(*from), self.scale.x(*to));
            svg.rect((x, y + 4.0), (end - x, BAR - 8.0), class);
        }
        y + BAR
    }

    fn bursts(&self, svg: &mut Svg, y: f64, label: &str, bursts: &[Burst]) -> f64 {
        self.bar_lane(svg, y, label);
        for (i, burst) in bursts.iter().enumerate() {
            let (x, end) = (self.scale.x(burst.from), self.scale.x(burst.to));
            svg.rect((x, y + 4.0), (end - x, BAR - 8.0), "link");
            let words = format!("{:.1} s of sound", burst.ms as f64 / 1000.0);
            let next = bursts.get(i + 1).map_or(self.scale.right(), |next| self.scale.x(next.from));
            if end.max(x + 1.0) + 6.0 + width_of(&words, 10.5) < next {
                svg.text(end.max(x + 1.0) + 5.0, y + 14.0, "small", &words);
            }
        }
        y + BAR
    }

    /// The lamp, and in the same lane the calls that moved it.
    fn lamp(&self, svg: &mut Svg, y: f64) -> f64 {
        let bottom = self.stretches(svg, y, "lamp", &self.lanes.lamp, "lamp");
        if self.lanes.tools.is_empty() {
            return bottom + 6.0;
        }
        let texts: Vec<(f64, &str)> =
            self.lanes.tools.iter().map(|call| (self.scale.x(call.at), call.text.as_str())).collect();
        let (placed, height) = captions::place(&texts, LEFT, self.scale.text_right());
        svg.text(LEFT - 10.0, bottom + SIZE + 1.0, "lane", "tool calls");
        for call in placed {
            svg.line((call.mark, y + 2.0), (call.mark, bottom + 4.0 + call.y + LINE), "tool");
            for (i, line) in call.lines.iter().enumerate() {
                svg.text(call.x, bottom + 2.0 + call.y + SIZE - 1.0 + i as f64 * LINE, "small", line);
            }
        }
        bottom + height + 4.0
    }

    fn cut(&self, svg: &mut Svg, cut: &Cut, first: f64, bottom: f64) {
        let x = self.scale.x(cut.at);
        svg.line((x, first - 14.0), (x, bottom), "cutline");
        let mut words = if cut.by_user { "interrupted" } else { "interrupted by the service" }.to_owned();
        if let Some(silent) = cut.silent {
            words += &format!(" · silent after {} ms", silent.since(cut.at).as_millis());
        }
        let x = (x + 5.0).min(self.scale.text_right() - width_of(&words, 11.5));
        svg.text(x, first - 8.0, "cuttext", &words);
    }
}

/// Stretches of columns higher than `silence`.
fn runs(heights: &[f64], silence: f64) -> Vec<std::ops::Range<usize>> {
    let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
    for i in (0..heights.len()).filter(|&i| heights[i] > silence) {
        match runs.last_mut() {
            Some(run) if run.end == i => run.end += 1,
            _ => runs.push(i..i + 1),
        }
    }
    runs
}
