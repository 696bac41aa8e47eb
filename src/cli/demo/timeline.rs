//! The picture of a demo: lanes of sound, gate, link, button and lamp on one time axis, as SVG.
//!
//! Pure: events and the two recorded tracks in, text out. Each scene has a panel of its own; all panels have the
//! same scale and the seconds count through, so that lengths can be compared by eye.

mod captions;
mod lanes;
mod panel;
mod svg;

use std::time::Duration;

use self::lanes::Lanes;
use self::panel::{Panel, Scale};
use self::svg::Svg;
use crate::flow::Event;
use crate::hw::tap::Track;
use crate::units::Time;

/// Width of the picture, pixels.
const WIDTH: f64 = 1400.0;
/// Height above the first panel.
const HEADER: f64 = 92.0;
/// Between panels.
const GAP: f64 = 26.0;
/// Shortest time that a panel's width stands for: a demo of a second is not blown up.
const SPAN_MIN: Duration = Duration::from_secs(5);

/// What is drawn.
pub struct Picture<'a> {
    /// One line under the title.
    pub subtitle: String,
    /// Title and beginning of each scene, in order.
    pub scenes: Vec<(String, Time)>,
    /// When the last scene ended.
    pub end: Time,
    /// All events, in order.
    pub events: &'a [Event],
    /// When both tracks began: zero of the axis.
    pub began: Time,
    /// What the microphone delivered.
    pub mic: &'a Track,
    /// What the loudspeaker played.
    pub reply: &'a Track,
}

/// Draws the picture.
pub fn svg(picture: &Picture<'_>) -> String {
    let spans: Vec<(Time, Time)> = (0..picture.scenes.len())
        .map(|i| {
            let from = picture.scenes[i].1;
            (from, picture.scenes.get(i + 1).map_or(picture.end, |next| next.1).max(from))
        })
        .collect();
    let longest = spans.iter().map(|(from, to)| to.since(*from)).max().unwrap_or_default().max(SPAN_MIN);
    let mut body = Svg::new();
    let mut top = HEADER;
    for ((title, _), (from, to)) in picture.scenes.iter().zip(spans) {
        let scale = Scale::new(picture.began, from, to, longest);
        let lanes = Lanes::of(picture.events, from, to);
        let panel = Panel { title, scale, lanes: &lanes, mic: picture.mic, reply: picture.reply };
        top += panel.draw(&mut body, top) + GAP;
    }
    let mut page = Svg::new();
    page.open(WIDTH, top);
    header(&mut page, &picture.subtitle);
    page.append(&body);
    page.close()
}

fn header(page: &mut Svg, subtitle: &str) {
    page.text(24.0, 36.0, "title", "mynah demo");
    page.text(24.0, 60.0, "sub", subtitle);
    let mut x = 24.0;
    let legend = [("you", "you"), ("mynah", "mynah"), ("link", "link"), ("lamp", "lamp"), ("cut", "interruption")];
    for (class, words) in legend {
        page.rect((x, 73.0), (12.0, 12.0), class);
        page.text(x + 18.0, 83.0, "legend", words);
        x += 42.0 + svg::width_of(words, 12.0);
    }
}

#[cfg(test)]
mod tests;
