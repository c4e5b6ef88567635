//! How long after their tick runs are there, with a thousand schedules; see README.md.

#[path = "skew/herd.rs"]
mod herd;
#[path = "skew/stage.rs"]
mod stage;

use std::process::ExitCode;

use anyhow::Result;
use tests::control_plane::ControlPlane;

use herd::Herd;
use stage::Stage;

/// What goes before each line about the cluster.
const NAME: &str = "skew";
const SCHEDULES: usize = 1_000;

/// From the least to the largest: median, 99th percentile, largest; in seconds.
fn line(what: &str, mut seconds: Vec<f64>) -> String {
    seconds.sort_by(f64::total_cmp);
    let at = |share: f64| seconds.get((seconds.len() as f64 * share).ceil() as usize - 1).copied().unwrap_or(f64::NAN);
    format!("{what:<46} | {:>6} | {:>7.3} {:>7.3} {:>7.3}", seconds.len(), at(0.5), at(0.99), at(1.0))
}

async fn measure(control_plane: &ControlPlane) -> Result<()> {
    let stage = Stage::set(control_plane).await?;
    println!("{:<46} | {:>6} | {:>7} {:>7} {:>7}", "seconds", "runs", "p50", "p99", "max");
    let operator = stage.start()?;
    for (what, jitter) in [("spread over a minute (jitter: 1m)", 60), ("all at one instant", 0)] {
        let herd = Herd { jitter, schedules: SCHEDULES };
        println!("{}", line(what, herd.skews(control_plane).await?));
        herd.leave(control_plane).await?;
    }
    operator.kill().await;
    for at_once in [16, 64] {
        let created = herd::plain_creates(control_plane, SCHEDULES, at_once).await?;
        println!("{}", line(&format!("the API server alone, {at_once} creates at a time"), created));
    }
    Ok(())
}

async fn run() -> Result<()> {
    let control_plane = ControlPlane::up(NAME).await?;
    let result = measure(&control_plane).await;
    control_plane.down().await?;
    result
}

fn main() -> ExitCode {
    // `up` starts this very program as the daemon that owns the nodes.
    local_aks::serve_if_asked();
    let obstacles = local_aks::obstacles();
    if !obstacles.is_empty() {
        eprintln!("{NAME}: SKIPPED: {}", obstacles.join("; "));
        return ExitCode::SUCCESS;
    }
    let outcome =
        tokio::runtime::Runtime::new().map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(run()));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{NAME}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
