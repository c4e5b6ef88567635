//! How the stream is, while it goes on: what ingest's replicas tell, and what the database holds.

use std::time::{Duration, Instant};

use anyhow::ensure;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use super::sensors::Sensors;
use super::servers::{PARTITIONS, Servers};
use crate::install::OPERATOR;
use crate::ui::Stage;

const LOOK: Duration = Duration::from_secs(1);
const REPLICAS: &str = "app.kubernetes.io/component=ingest";
/// No replica takes longer to tell of itself.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the replicas tell together.
#[derive(Clone, Debug, Default, PartialEq)]
struct Told {
    /// Records that are yet to be read.
    lag: f64,
    /// Of each partition, in seconds since 1970.
    watermarks: Vec<f64>,
}

impl Told {
    /// Adds a replica's metrics.
    fn add(&mut self, metrics: &str) {
        self.lag += values(metrics, "ingest_lag_records").sum::<f64>();
        self.watermarks.extend(values(metrics, "ingest_watermark_seconds"));
    }

    /// The least watermark, once all partitions have one.
    fn watermark(&self) -> Option<Timestamp> {
        let least = self.watermarks.iter().copied().fold(f64::INFINITY, f64::min);
        let all = self.watermarks.len() >= usize::try_from(PARTITIONS).unwrap_or(usize::MAX);
        #[allow(clippy::cast_possible_truncation, reason = "whole seconds since 1970")]
        Timestamp::from_second(least as i64).ok().filter(|_| all)
    }
}

/// The values of a metric, whatever its labels.
fn values<'a>(metrics: &'a str, name: &'a str) -> impl Iterator<Item = f64> + 'a {
    metrics.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name)?;
        rest.starts_with(['{', ' ']).then(|| rest.rsplit(' ').next()?.parse().ok())?
    })
}

/// Notes how the stream is, until the sensors end without having been told to.
pub(crate) async fn follow(client: &Client, servers: &Servers, sensors: &Sensors, stage: &Stage) {
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut before = (Instant::now(), sensors.events());
    while !sensors.have_failed() {
        looks.tick().await;
        let now = (Instant::now(), sensors.events());
        let seconds = now.0.duration_since(before.0).as_secs_f64();
        let rate = if seconds > 0.0 { (now.1 - before.1) as f64 / seconds } else { 0.0 };
        before = now;
        let (told, counts) = tokio::join!(ask(client), servers.counts());
        let told = told.unwrap_or_default();
        let watermark = told.watermark().map_or_else(|| "?".to_owned(), |at| at.strftime("%H:%M:%S").to_string());
        // It may be busy; this is for people.
        let rows = counts.map_or_else(
            |_| "?".to_owned(),
            |(windows, predictions)| format!("{windows} windows, {predictions} predictions"),
        );
        let (events, lag) = (now.1, told.lag);
        stage.note(&format!(
            "{rate:.0} events/s, {events} sent · lag {lag:.0} · watermark {watermark} · PostgreSQL: {rows}"
        ));
    }
}

async fn ask(client: &Client) -> anyhow::Result<Told> {
    let pods = Api::<Pod>::namespaced(client.clone(), OPERATOR).list(&ListParams::default().labels(REPLICAS)).await?;
    let mut told = Told::default();
    for pod in &pods {
        let path = format!("/api/v1/namespaces/{OPERATOR}/pods/{}:8080/proxy/metrics", pod.name_any());
        let asked = client.request_text(http::Request::get(path).body(Vec::new())?);
        told.add(&tokio::time::timeout(PATIENCE, asked).await??);
    }
    ensure!(!pods.items.is_empty(), "ingest has no pods");
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_is_the_sum_and_the_watermark_the_least_of_all_partitions() {
        let mut told = Told::default();
        told.add(
            "# HELP ingest_lag_records Records\ningest_lag_records{partition=\"0\"} 3\ningest_lag_records{partition=\"2\"} 4\n\
             ingest_watermark_seconds{partition=\"0\"} 120\ningest_watermark_seconds{partition=\"2\"} 60\ningest_lag_records_max 9\n",
        );
        assert_eq!((told.lag, told.watermark()), (7.0, None), "two partitions have told nothing");
        told.add("ingest_watermark_seconds{partition=\"1\"} 60\ningest_watermark_seconds{partition=\"3\"} 180\n");
        assert_eq!(told.watermark(), Some(Timestamp::from_second(60).unwrap()));
    }
}
