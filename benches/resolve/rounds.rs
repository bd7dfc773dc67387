//! Servers side by side: round by round, each round in the opposite order of the one before, so that what the machine
//! does meanwhile meets all of them alike. What counts are ratios within a round.

use std::fmt;

/// The least, the median and the most of some figures.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) most: f64,
}

impl Spread {
    pub(crate) fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let middle = figures.len() / 2;
        let median = match figures.len() % 2 {
            0 => (figures[middle - 1] + figures[middle]) / 2.0,
            _ => figures[middle],
        };
        Self {
            least: figures[0],
            median,
            most: figures[figures.len() - 1],
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "**{:.3}** ({:.3} to {:.3})",
            self.median, self.least, self.most
        )
    }
}

/// What one server showed in each round, by what was measured.
pub(crate) type Rows<const N: usize> = Vec<[f64; N]>;

/// Measures each of `count` servers in each round. `measure` is given the server's place.
pub(crate) async fn interleaved<const N: usize>(
    rounds: usize,
    count: usize,
    mut measure: impl AsyncFnMut(usize) -> [f64; N],
) -> Vec<Rows<N>> {
    let mut rows = vec![Vec::new(); count];
    for round in 0..rounds {
        let order: Vec<usize> = match round % 2 {
            0 => (0..count).collect(),
            _ => (0..count).rev().collect(),
        };
        for place in order {
            rows[place].push(measure(place).await);
        }
    }
    rows
}

/// The ratios of one figure of two servers.
pub(crate) fn ratio<const N: usize>(of: &Rows<N>, to: &Rows<N>, figure: usize) -> Spread {
    Spread::of(
        of.iter()
            .zip(to)
            .map(|(of, to)| of[figure] / to[figure])
            .collect(),
    )
}

/// One figure of one server.
pub(crate) fn figure<const N: usize>(of: &Rows<N>, figure: usize) -> Spread {
    Spread::of(of.iter().map(|of| of[figure]).collect())
}
