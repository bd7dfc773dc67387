//! Lines in a picture (SVG): something to the right, something by powers of ten upwards.

use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 50.0;

pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) colour: &'static str,
    /// How it is dashed: `none`, or lengths.
    pub(crate) dashes: &'static str,
    pub(crate) points: Vec<(f64, f64)>,
}

pub(crate) struct Chart<'a> {
    /// What is to the right.
    pub(crate) right: &'a str,
    /// Where there is a mark to the right, and how it is called.
    pub(crate) marks: Vec<(f64, String)>,
    /// To the right by powers of ten, too.
    pub(crate) powers: bool,
    /// The unit upwards.
    pub(crate) unit: &'a str,
    pub(crate) lines: Vec<Line>,
}

impl Chart<'_> {
    pub(crate) fn draw(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let low = points()
            .map(|point| point.1)
            .fold(f64::INFINITY, f64::min)
            .log10()
            .floor();
        let high = points()
            .map(|point| point.1)
            .fold(0.0, f64::max)
            .log10()
            .ceil();
        let scaled = |place: f64| if self.powers { place.log10() } else { place };
        let places = || self.marks.iter().map(|mark| scaled(mark.0));
        let (first, last) = (
            places().fold(f64::INFINITY, f64::min),
            places().fold(0.0, f64::max),
        );
        let x =
            |place: f64| LEFT + (scaled(place) - first) / (last - first) * (WIDTH - LEFT - RIGHT);
        let y = |value: f64| {
            HEIGHT - BOTTOM - (value.log10() - low) / (high - low) * (HEIGHT - TOP - BOTTOM)
        };
        let mut svg = format!(
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' font-family='sans-serif' \
             font-size='12'>\n<rect width='100%' height='100%' fill='white'/>\n"
        );
        let mut power = low;
        while power <= high {
            let (value, end) = (10f64.powf(power), WIDTH - RIGHT);
            let at = y(value);
            let _ = writeln!(
                svg,
                "<line x1='{LEFT}' x2='{end}' y1='{at:.1}' y2='{at:.1}' stroke='#dddddd'/>"
            );
            let (left, down) = (LEFT - 8.0, at + 4.0);
            let _ = writeln!(
                svg,
                "<text x='{left}' y='{down:.1}' text-anchor='end'>{value} {}</text>",
                self.unit
            );
            power += 1.0;
        }
        for (place, name) in &self.marks {
            let (at, down) = (x(*place), HEIGHT - BOTTOM + 18.0);
            let _ = writeln!(
                svg,
                "<text x='{at:.1}' y='{down}' text-anchor='middle'>{name}</text>"
            );
        }
        let (middle, down) = (LEFT + (WIDTH - LEFT - RIGHT) / 2.0, HEIGHT - 10.0);
        let _ = writeln!(
            svg,
            "<text x='{middle}' y='{down}' text-anchor='middle'>{}</text>",
            self.right
        );
        for (count, line) in self.lines.iter().enumerate() {
            let corners: Vec<String> = line
                .points
                .iter()
                .map(|(place, value)| format!("{:.1},{:.1}", x(*place), y(*value)))
                .collect();
            let stroke = format!(
                "stroke='{}' stroke-width='2' stroke-dasharray='{}'",
                line.colour, line.dashes
            );
            let _ = writeln!(
                svg,
                "<polyline points='{}' fill='none' {stroke}/>",
                corners.join(" ")
            );
            let at = TOP + 16.0 * count as f64;
            let _ = writeln!(
                svg,
                "<line x1='{}' x2='{}' y1='{at}' y2='{at}' {stroke}/><text x='{}' y='{}'>{}</text>",
                LEFT + 14.0,
                LEFT + 44.0,
                LEFT + 50.0,
                at + 4.0,
                line.name
            );
        }
        svg + "</svg>\n"
    }
}
