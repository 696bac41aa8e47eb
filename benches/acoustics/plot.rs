//! Plots as SVG: curves over time, and how often a value came.

use std::fmt::Write as _;

const WIDTH: f32 = 960.0;
const HEIGHT: f32 = 420.0;
/// Left, right, top, bottom of the plot itself; the legend stands at the right.
const LEFT: f32 = 60.0;
const RIGHT: f32 = 760.0;
const TOP: f32 = 40.0;
const BOTTOM: f32 = 370.0;

/// Okabe and Ito's colours, which the colour-blind can tell apart, and four more.
const COLOURS: [&str; 12] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999", "#f0e442", "#332288",
    "#882255", "#44aa99",
];

/// A curve: a name and points, with gaps.
pub struct Curve {
    pub name: String,
    pub points: Vec<(f32, Option<f32>)>,
}

/// What is written around a plot.
pub struct Axes<'a> {
    pub title: &'a str,
    pub x: &'a str,
    pub y: &'a str,
    pub x_range: (f32, f32),
    pub y_range: (f32, f32),
    pub x_step: f32,
    pub y_step: f32,
    /// A line across at this height, for an aim.
    pub aim_y: Option<f32>,
    /// A line up at this place.
    pub aim_x: Option<f32>,
}

impl Axes<'_> {
    fn x(&self, x: f32) -> f32 {
        LEFT + (x - self.x_range.0) / (self.x_range.1 - self.x_range.0) * (RIGHT - LEFT)
    }

    fn y(&self, y: f32) -> f32 {
        let y = y.clamp(self.y_range.0, self.y_range.1);
        BOTTOM - (y - self.y_range.0) / (self.y_range.1 - self.y_range.0) * (BOTTOM - TOP)
    }

    fn draw(&self, inside: &str) -> String {
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        let mut text = |x: f32, y: f32, anchor: &str, more: &str, text: &str| {
            let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\"{more}>{text}</text>");
        };
        text(LEFT, 24.0, "start", " font-size=\"15\"", self.title);
        text(f32::midpoint(LEFT, RIGHT), HEIGHT - 12.0, "middle", "", self.x);
        text(16.0, f32::midpoint(TOP, BOTTOM), "middle", " transform=\"rotate(-90 16 205)\"", self.y);
        let ticks = |range: (f32, f32), step: f32| {
            (0..=((range.1 - range.0) / step) as usize).map(move |i| range.0 + i as f32 * step)
        };
        for x in ticks(self.x_range, self.x_step) {
            text(self.x(x), BOTTOM + 18.0, "middle", "", &format!("{x}"));
        }
        for y in ticks(self.y_range, self.y_step) {
            text(LEFT - 8.0, self.y(y) + 4.0, "end", "", &format!("{y}"));
        }
        let mut line = |x1: f32, y1: f32, x2: f32, y2: f32, style: &str| {
            let _ = writeln!(svg, "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" {style}/>");
        };
        ticks(self.y_range, self.y_step).for_each(|y| line(LEFT, self.y(y), RIGHT, self.y(y), "stroke=\"#ddd\""));
        line(LEFT, BOTTOM, RIGHT, BOTTOM, "stroke=\"black\"");
        line(LEFT, TOP, LEFT, BOTTOM, "stroke=\"black\"");
        let dashed = "stroke=\"black\" stroke-dasharray=\"6 4\"";
        self.aim_y.iter().for_each(|y| line(LEFT, self.y(*y), RIGHT, self.y(*y), dashed));
        self.aim_x.iter().for_each(|x| line(self.x(*x), TOP, self.x(*x), BOTTOM, dashed));
        svg.push_str(inside);
        svg.push_str("</svg>\n");
        svg
    }
}

fn legend(number: usize, name: &str) -> String {
    let (y, colour) = (TOP + 8.0 + 18.0 * number as f32, COLOURS[number % COLOURS.len()]);
    format!(
        "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"14\" height=\"4\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{:.1}\">{name}</text>\n",
        RIGHT + 14.0,
        y,
        RIGHT + 34.0,
        y + 6.0
    )
}

/// Curves over one another.
pub fn curves(axes: &Axes<'_>, curves: &[Curve]) -> String {
    let mut inside = String::new();
    for (number, curve) in curves.iter().enumerate() {
        let mut path = String::new();
        let mut is_down = false;
        for (x, y) in curve.points.iter().filter(|(x, _)| *x <= axes.x_range.1) {
            let Some(y) = y else {
                is_down = false;
                continue;
            };
            let _ = write!(path, "{}{:.1} {:.1}", if is_down { "L" } else { "M" }, axes.x(*x), axes.y(*y));
            is_down = true;
        }
        let colour = COLOURS[number % COLOURS.len()];
        let _ = writeln!(inside, "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\"/>");
        inside.push_str(&legend(number, &curve.name));
    }
    axes.draw(&inside)
}

/// How often values came, in bins of `bin`, stacked by group.
pub fn histogram(axes: &Axes<'_>, bin: f32, groups: &[(String, Vec<f32>)]) -> String {
    let bins = ((axes.x_range.1 - axes.x_range.0) / bin).ceil() as usize;
    let mut heights = vec![0f32; bins];
    let mut inside = String::new();
    for (number, (name, values)) in groups.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let mut counts = vec![0f32; bins];
        for value in values {
            // What lies beyond is counted in the last bin.
            let at = ((value - axes.x_range.0) / bin).max(0.0) as usize;
            counts[at.min(bins - 1)] += 1.0;
        }
        for (i, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0.0) {
            let (from, to) = (axes.y(heights[i]), axes.y(heights[i] + count));
            heights[i] += count;
            let x = axes.x(axes.x_range.0 + i as f32 * bin);
            let width = axes.x(axes.x_range.0 + (i + 1) as f32 * bin) - x;
            let _ = writeln!(
                inside,
                "<rect x=\"{x:.1}\" y=\"{to:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>",
                width - 1.0,
                from - to
            );
        }
        inside.push_str(&legend(number, name));
    }
    axes.draw(&inside)
}
