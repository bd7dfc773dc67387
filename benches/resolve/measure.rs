//! The measurements, and their order.

use std::time::Duration;

use crate::{
    bare::Bare,
    certificates::Certificates,
    client::{Call, Until, Where},
    collector::Collector,
    foreign,
    instructions::{Counted, What},
    rounds::{Rows, Spread, figure, interleaved, ratio},
    servers::{Byokd, Setting},
    site,
};

/// How long one server is measured in one round.
const TURN: Duration = Duration::from_millis(1_500);
/// Connections, and calls at once on each, where calls are as many as possible.
pub(crate) const SHAPE: (usize, usize) = (4, 16);
/// Of what the bare server can do: a moderate load.
const MODERATE: f64 = 0.5;
/// Of the same: the loads of the picture.
const LOADS: [f64; 9] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

pub(crate) struct Measured {
    pub(crate) rounds: usize,
    /// Calls a second of the bare server, and its processor time for each in µs.
    pub(crate) bare: [Spread; 2],
    /// The same of byokd.
    pub(crate) byokd: [Spread; 2],
    /// The other bare server's calls a second against the first one's.
    pub(crate) control: Spread,
    /// byokd's against the bare server's: calls a second, and processor time for each.
    pub(crate) plain: [Spread; 2],
    /// Latency at a moderate load: p50 and p99 against the bare server's, and those of the bare servers.
    pub(crate) moderate: [Spread; 2],
    pub(crate) moderate_control: [Spread; 2],
    pub(crate) encrypted: [Spread; 2],
    /// Calls a second of `durable` against `buffered`.
    pub(crate) durable: Spread,
    pub(crate) instructions: Counted,
    pub(crate) allocations: Counted,
    pub(crate) curves: Vec<Curve>,
}

/// Latency against load: calls a second, p50 and p99 in ms.
pub(crate) struct Curve {
    pub(crate) name: &'static str,
    pub(crate) points: Vec<(f64, f64, f64)>,
}

impl Measured {
    pub(crate) async fn take(rounds: usize) -> Self {
        let under = site::pinned();
        let collector = Collector::start().await;
        let setting = || Setting {
            under: &under,
            collector: Some(&collector),
            ..Setting::default()
        };
        let instructions = What::Instructions.count(&collector).await;
        let allocations = What::Allocations.count(&collector).await;

        let byokd = Byokd::start(setting()).await;
        let (call, answer) = (byokd.call.clone(), byokd.answer.clone());
        let bare = Bare::start(&under, &answer, None).await;
        let other = Bare::start(&under, &answer, None).await;
        let places = [bare.at(), other.at(), byokd.at()];
        let plain = flooded(rounds, &places.each_ref().map(|place| (&call, place))).await;
        let most = figure(&plain[0], 0).median;
        let moderate = paced(
            rounds,
            &places.each_ref().map(|place| (&call, place)),
            most * MODERATE,
        )
        .await;
        let curves = curves(
            &call,
            &[("bare tonic", &places[0]), ("byokd", &places[2])],
            most,
        )
        .await;
        drop((byokd, bare, other));

        let certificates = Certificates::new();
        let byokd = Byokd::start(Setting {
            encrypted: Some(&certificates),
            ..setting()
        })
        .await;
        let bare = Bare::start(&under, &answer, Some(&certificates)).await;
        let encrypted = flooded(
            rounds,
            &[(&byokd.call, &bare.at()), (&byokd.call, &byokd.at())],
        )
        .await;
        drop((byokd, bare));

        let buffered = Byokd::start(setting()).await;
        let durable = Byokd::start(Setting {
            durable: true,
            ..setting()
        })
        .await;
        let modes = flooded(
            rounds,
            &[
                (&buffered.call, &buffered.at()),
                (&durable.call, &durable.at()),
            ],
        )
        .await;

        let both = |of: &Rows<2>, to: &Rows<2>| [ratio(of, to, 0), ratio(of, to, 1)];
        Self {
            rounds,
            bare: [figure(&plain[0], 0), figure(&plain[0], 1)],
            byokd: [figure(&plain[2], 0), figure(&plain[2], 1)],
            control: ratio(&plain[1], &plain[0], 0),
            plain: both(&plain[2], &plain[0]),
            moderate: both(&moderate[2], &moderate[0]),
            moderate_control: both(&moderate[1], &moderate[0]),
            encrypted: both(&encrypted[1], &encrypted[0]),
            durable: ratio(&modes[1], &modes[0], 0),
            instructions,
            allocations,
            curves,
        }
    }
}

/// The same comparison by ghz.
pub(crate) async fn by_ghz(ghz: &str, rounds: usize) -> String {
    let (under, collector) = (site::pinned(), Collector::start().await);
    let byokd = Byokd::start(Setting {
        under: &under,
        collector: Some(&collector),
        ..Setting::default()
    })
    .await;
    let bare = Bare::start(&under, &byokd.answer, None).await;
    foreign::compared(ghz, rounds, byokd.token(), &bare.at(), &byokd.at()).await
}

/// What it means to serve with two threads on one processor: against one thread, as a sentence.
pub(crate) async fn two_workers(rounds: usize) -> String {
    let (under, collector) = (site::pinned(), Collector::start().await);
    let setting = |workers| Setting {
        under: &under,
        collector: Some(&collector),
        workers,
        ..Setting::default()
    };
    let (one, two) = (
        Byokd::start(setting(Some(1))).await,
        Byokd::start(setting(Some(2))).await,
    );
    let places = [one.at(), two.at()];
    let servers = [(&one.call, &places[0]), (&two.call, &places[1])];
    let most = flooded(rounds, &servers).await;
    let moderate = paced(rounds, &servers, figure(&most[0], 0).median * MODERATE).await;
    format!(
        "two threads on one processor against one, {rounds} rounds: requests/s {}, p50 at half load {}, p99 {}",
        ratio(&most[1], &most[0], 0),
        ratio(&moderate[1], &moderate[0], 0),
        ratio(&moderate[1], &moderate[0], 1)
    )
}

/// Keeps byokd and a bare server busy, one after the other.
pub(crate) async fn load(during: Duration) {
    let (under, collector) = (site::pinned(), Collector::start().await);
    let byokd = Byokd::start(Setting {
        under: &under,
        collector: Some(&collector),
        ..Setting::default()
    })
    .await;
    let bare = Bare::start(&under, &byokd.answer, None).await;
    for (name, place) in [("byokd", byokd.at()), ("bare", bare.at())] {
        println!("{name}: process {}", place.process);
        byokd
            .call
            .flood(&place, SHAPE.0, SHAPE.1, Until::Over(during))
            .await;
    }
}

/// As many calls as possible to each, in turns: calls a second, and the server's processor time for each in µs.
async fn flooded(rounds: usize, servers: &[(&Call, &Where)]) -> Vec<Rows<2>> {
    for (call, place) in servers {
        call.flood(place, SHAPE.0, SHAPE.1, Until::Over(TURN)).await;
    }
    interleaved(rounds, servers.len(), async |place| {
        let (call, to) = servers[place];
        let felt = call.flood(to, SHAPE.0, SHAPE.1, Until::Over(TURN)).await;
        assert_eq!(felt.failed, 0, "calls failed");
        [felt.per_second(), felt.per_call()]
    })
    .await
}

/// Calls at a rate to each, in turns: p50 and p99 in ms.
async fn paced(rounds: usize, servers: &[(&Call, &Where)], per_second: f64) -> Vec<Rows<2>> {
    interleaved(rounds, servers.len(), async |place| {
        let (call, to) = servers[place];
        let paced = call.paced(to, SHAPE.0, per_second, TURN).await;
        let mut felt =
            paced.expect("a server that bears half load, on a machine that is not busy otherwise");
        assert_eq!(felt.failed, 0, "calls failed");
        [felt.percentile(0.5), felt.percentile(0.99)]
    })
    .await
}

async fn curves(call: &Call, servers: &[(&'static str, &Where)], most: f64) -> Vec<Curve> {
    let mut curves: Vec<Curve> = servers
        .iter()
        .map(|(name, _)| Curve {
            name,
            points: Vec::new(),
        })
        .collect();
    for load in LOADS {
        for (curve, (_, place)) in curves.iter_mut().zip(servers) {
            if let Some(mut felt) = call.paced(place, SHAPE.0, most * load, TURN).await {
                curve
                    .points
                    .push((most * load, felt.percentile(0.5), felt.percentile(0.99)));
            }
        }
    }
    curves
}
