//! The same comparison by a client that is not ours: `-- --ghz PROGRAM`, where ghz 0.121 is (`go install
//! github.com/bojand/ghz/cmd/ghz@v0.121.0`). It shows whether our own client flatters byokd. The token that it is given on
//! its command line is good for the server of this run alone.

use std::process::Command;

use serde_json::{Value, json};

use crate::{
    client::Where,
    measure::SHAPE,
    rounds::{Rows, interleaved, ratio},
    servers::ask,
};

/// Calls of one turn.
const CALLS: usize = 20_000;

/// The ratios of byokd to the bare server, as a sentence.
pub(crate) async fn compared(
    ghz: &str,
    rounds: usize,
    token: &str,
    bare: &Where,
    byokd: &Where,
) -> String {
    let places = [bare, byokd];
    let rows: Vec<Rows<3>> = interleaved(rounds, places.len(), async |place| {
        run(ghz, token, places[place])
    })
    .await;
    let [rate, p50, p99] = [0, 1, 2].map(|figure| ratio(&rows[1], &rows[0], figure));
    format!("byokd against bare, by ghz, {rounds} rounds: requests/s {rate}, p50 {p50}, p99 {p99}")
}

/// Calls a second, p50 and p99 in ms.
fn run(ghz: &str, token: &str, to: &Where) -> [f64; 3] {
    let (connections, each) = SHAPE;
    let data = json!({ "workspace_id": ask().workspace_id, "model": ask().model });
    let output = Command::new(ghz)
        .args([
            "--insecure",
            "--import-paths",
            concat!(env!("CARGO_MANIFEST_DIR"), "/proto"),
        ])
        .args([
            "--proto",
            "byok/v1/key_service.proto",
            "--call",
            "byok.v1.KeyService/ResolveCredentials",
        ])
        .args(["--data", &data.to_string()])
        .args([
            "--metadata",
            &json!({ "authorization": format!("Bearer {token}") }).to_string(),
        ])
        .args([
            "--connections",
            &connections.to_string(),
            "--concurrency",
            &(connections * each).to_string(),
        ])
        .args(["--total", &CALLS.to_string(), "--format", "json", &to.host])
        .output()
        .expect("ghz at the path that was given");
    let said: Value = serde_json::from_slice(&output.stdout).expect("ghz's report");
    assert_eq!(
        said["statusCodeDistribution"],
        json!({ "OK": CALLS }),
        "calls failed"
    );
    let latency = |percent: u64| {
        let points = said["latencyDistribution"].as_array().unwrap();
        let point = points
            .iter()
            .find(|point| point["percentage"] == percent)
            .unwrap();
        point["latency"].as_f64().unwrap() / 1e6
    };
    [said["rps"].as_f64().unwrap(), latency(50), latency(99)]
}
