//! Latency against load, drawn: p50 through, p99 in dashes.

use crate::{
    chart::{Chart, Line},
    measure::Curve,
};

const COLOURS: [&str; 2] = ["#888888", "#0b6e4f"];

pub(crate) fn latency(curves: &[Curve]) -> String {
    let most = curves
        .iter()
        .flat_map(|curve| &curve.points)
        .map(|point| point.0)
        .fold(0.0, f64::max);
    let marks = (0..=5)
        .map(|fifth| most * f64::from(fifth) / 5.0)
        .map(|rate| (rate, format!("{rate:.0}")));
    let mut lines = Vec::new();
    for (curve, colour) in curves.iter().zip(COLOURS) {
        let mut line = |name: &str, dashes, points| {
            lines.push(Line {
                name: format!("{} {name}", curve.name),
                colour,
                dashes,
                points,
            });
        };
        line(
            "p50",
            "none",
            curve
                .points
                .iter()
                .map(|(rate, p50, _)| (*rate, *p50))
                .collect(),
        );
        line(
            "p99",
            "5 4",
            curve
                .points
                .iter()
                .map(|(rate, _, p99)| (*rate, *p99))
                .collect(),
        );
    }
    let right = "requests/s, one processor";
    Chart {
        right,
        marks: marks.collect(),
        powers: false,
        unit: "ms",
        lines,
    }
    .draw()
}
