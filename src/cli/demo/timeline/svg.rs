//! The few SVG elements the picture is made of.

use std::fmt::Write as _;

/// Colours are kept apart in lightness too, for those who see few of them.
const STYLE: &str = "
text{font-family:'Helvetica Neue',Helvetica,Arial,'DejaVu Sans',sans-serif;font-size:12px;fill:#1f2933}
.title{font-size:22px;font-weight:700}.sub{font-size:13px;fill:#52606d}.legend{fill:#3e4c59}
.scene{font-size:15px;font-weight:700}.lane{fill:#3e4c59;text-anchor:end}.unit{font-size:10px;fill:#7b8794;text-anchor:end}
.axis{font-size:11px;fill:#616e7c;text-anchor:middle}.small{font-size:10.5px;fill:#52606d}
.said{font-size:12px}.paper{fill:#fff}.panel{fill:#f7f9fb;stroke:#cbd2d9}.track{fill:#edf1f5}
.grid{stroke:#dde3e9;stroke-width:1}.base{stroke:#cbd2d9;stroke-width:1}
.you{fill:#1d5fbf}.mynah{fill:#0c8a63}.link{fill:#8d7cc9}.gate{fill:#7fb0ee}.button{fill:#52606d}
.lamp{fill:#f0b429}.cut{fill:#d64545}.cutline{stroke:#d64545;stroke-width:1.4;stroke-dasharray:4 3}
.cuttext{font-size:11px;font-weight:700;fill:#b02a2a}.tool{stroke:#8a6100;stroke-width:1.2}
";

/// A picture in the making.
pub(super) struct Svg(String);

impl Svg {
    pub(super) fn new() -> Svg {
        Svg(String::new())
    }

    pub(super) fn open(&mut self, width: f64, height: f64) {
        let _ = write!(
            self.0,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
             height=\"{height:.0}\">\n<style>{STYLE}</style>\n<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n"
        );
    }

    pub(super) fn append(&mut self, other: &Svg) {
        self.0 += &other.0;
    }

    pub(super) fn close(mut self) -> String {
        self.0 += "</svg>\n";
        self.0
    }

    /// A box at `(x, y)` of `(width, height)`; at least one pixel wide, so that short things are seen.
    pub(super) fn rect(&mut self, at: (f64, f64), size: (f64, f64), class: &str) {
        let (width, height) = (size.0.max(1.0), size.1);
        let round = (width / 2.0).min(2.5);
        let _ = writeln!(
            self.0,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"{round:.1}\" class=\"{class}\"/>",
            at.0, at.1
        );
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let _ = writeln!(
            self.0,
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" class=\"{class}\"/>",
            from.0, from.1, to.0, to.1
        );
    }

    pub(super) fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        let _ = writeln!(self.0, "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{}</text>", escaped(text));
    }

    /// A filled shape that is mirrored at the line `y`: points `(x, half height)` from left to right.
    pub(super) fn mirrored(&mut self, points: &[(f64, f64)], y: f64, class: &str) {
        let upper = points.iter().map(|(x, half)| (x, y - half));
        let lower = points.iter().rev().map(|(x, half)| (x, y + half));
        let mut path = String::new();
        for (i, (x, y)) in upper.chain(lower).enumerate() {
            let _ = write!(path, "{}{x:.1} {y:.1}", if i == 0 { "M" } else { "L" });
        }
        let _ = writeln!(self.0, "<path d=\"{path}Z\" class=\"{class}\"/>");
    }
}

/// The text with what XML forbids replaced.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

/// Width of a text, pixels; that of a wide face (DejaVu Sans), because the viewer's is unknown.
pub(super) fn width_of(text: &str, size: f64) -> f64 {
    let width = |c: char| match c {
        'i' | 'j' | 'l' | '\'' | '|' | ' ' | '.' | ',' | ':' | ';' => 0.33,
        'f' | 'r' | 't' | 'I' | '!' | '(' | ')' | '"' => 0.45,
        'm' | 'w' | 'M' | 'W' | '…' => 1.0,
        c if c.is_ascii_lowercase() || c.is_ascii_digit() => 0.64,
        c if c.is_ascii() => 0.75,
        _ => 1.0,
    };
    text.chars().map(width).sum::<f64>() * size
}
