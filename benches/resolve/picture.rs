//! Latency against load, drawn.

use std::fmt::Write as _;

use crate::measure::Curve;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 50.0;
const COLOURS: [&str; 2] = ["#888888", "#0b6e4f"];

/// An SVG: calls a second to the right, milliseconds up (by powers of ten); p50 drawn through, p99 in dashes.
pub(crate) fn latency(curves: &[Curve]) -> String {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let most = points().map(|point| point.0).fold(0.0, f64::max);
    let low = points().map(|point| point.1).fold(f64::INFINITY, f64::min).log10().floor();
    let high = points().map(|point| point.2).fold(0.0, f64::max).log10().ceil();
    let x = |rate: f64| LEFT + rate / most * (WIDTH - LEFT - RIGHT);
    let y = |ms: f64| HEIGHT - BOTTOM - (ms.log10() - low) / (high - low) * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' font-family='sans-serif' \
         font-size='12'>\n<rect width='100%' height='100%' fill='white'/>\n"
    );
    let mut power = low;
    while power <= high {
        let at = y(10f64.powf(power));
        let _ = writeln!(
            svg,
            "<line x1='{LEFT}' x2='{}' y1='{at:.1}' y2='{at:.1}' stroke='#dddddd'/>",
            WIDTH - RIGHT
        );
        let _ = writeln!(
            svg,
            "<text x='{}' y='{:.1}' text-anchor='end'>{} ms</text>",
            LEFT - 8.0,
            at + 4.0,
            10f64.powf(power)
        );
        power += 1.0;
    }
    for tenth in (0..=10).step_by(2) {
        let rate = most * f64::from(tenth) / 10.0;
        let _ = writeln!(
            svg,
            "<text x='{:.1}' y='{}' text-anchor='middle'>{:.0}</text>",
            x(rate),
            HEIGHT - BOTTOM + 18.0,
            rate
        );
    }
    let middle = LEFT + (WIDTH - LEFT - RIGHT) / 2.0;
    let _ = writeln!(
        svg,
        "<text x='{middle}' y='{}' text-anchor='middle'>requests/s, one processor</text>",
        HEIGHT - 10.0
    );
    for (place, (curve, colour)) in curves.iter().zip(COLOURS).enumerate() {
        for (name, dashes, of) in [("p50", "none", 1), ("p99", "5 4", 2)] {
            let line: Vec<String> = curve
                .points
                .iter()
                .map(|point| format!("{:.1},{:.1}", x(point.0), y(if of == 1 { point.1 } else { point.2 })))
                .collect();
            let _ = writeln!(
                svg,
                "<polyline points='{}' fill='none' stroke='{colour}' stroke-width='2' stroke-dasharray='{dashes}'/>",
                line.join(" ")
            );
            let at = TOP + 16.0 * (2 * place + of) as f64 - 16.0;
            let _ = writeln!(
                svg,
                "<line x1='{}' x2='{}' y1='{at}' y2='{at}' stroke='{colour}' stroke-width='2' stroke-dasharray='{dashes}'/>\
                 <text x='{}' y='{}'>{} {name}</text>",
                LEFT + 14.0,
                LEFT + 44.0,
                LEFT + 50.0,
                at + 4.0,
                curve.name
            );
        }
    }
    svg + "</svg>\n"
}
