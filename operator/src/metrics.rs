//! What the operator counts, for Prometheus.

use std::time::Duration;

use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

use crate::cluster::metrics::PoolMetrics;
use crate::{Category, Error};

/// The operator's metrics. Cheap to clone: every part is shared.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    reconciles: HistogramVec,
    errors: IntCounterVec,
    /// Ticks that came, by what became of them (`Run`, `Missed`), and why.
    pub ticks: IntCounterVec,
    /// Ended runs, by state.
    pub runs: IntCounterVec,
    /// Seconds from a tick to its run's creation.
    pub lateness: Histogram,
    /// Pod ends that were folded.
    pub folded: IntCounter,
    /// 1 while this process acts.
    pub leading: IntGauge,
    /// What is counted of each pool.
    pub pools: PoolMetrics,
}

impl Metrics {
    /// Registers all of them in a registry of their own.
    ///
    /// # Errors
    /// When two have one name.
    pub fn new() -> Result<Self, Error> {
        Self::registered().map_err(Error::start("register metrics"))
    }

    fn registered() -> Result<Self, prometheus::Error> {
        let registry = Registry::new_custom(Some("batchscoring".to_owned()), None)?;
        let seconds = vec![0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0];
        let reconcile = HistogramOpts::new("reconcile_seconds", "Time of one reconcile").buckets(seconds);
        let late = vec![0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 1800.0];
        let lateness = HistogramOpts::new("run_lateness_seconds", "Time from a tick to its run").buckets(late);
        let metrics = Self {
            reconciles: HistogramVec::new(reconcile, &["controller"])?,
            errors: IntCounterVec::new(
                Opts::new("reconcile_errors_total", "Failed reconciles"),
                &["controller", "category"],
            )?,
            ticks: IntCounterVec::new(
                Opts::new("ticks_total", "Ticks, by what became of them and why"),
                &["result", "reason"],
            )?,
            runs: IntCounterVec::new(Opts::new("runs_total", "Ended runs"), &["state"])?,
            lateness: Histogram::with_opts(lateness)?,
            folded: IntCounter::new("pod_ends_total", "Ended scorer pods that were folded")?,
            leading: IntGauge::new("leading", "1 while this process holds the lease and acts")?,
            pools: PoolMetrics::register(&registry)?,
            registry,
        };
        metrics.registry.register(Box::new(metrics.reconciles.clone()))?;
        metrics.registry.register(Box::new(metrics.errors.clone()))?;
        metrics.registry.register(Box::new(metrics.ticks.clone()))?;
        metrics.registry.register(Box::new(metrics.runs.clone()))?;
        metrics.registry.register(Box::new(metrics.lateness.clone()))?;
        metrics.registry.register(Box::new(metrics.folded.clone()))?;
        metrics.registry.register(Box::new(metrics.leading.clone()))?;
        Ok(metrics)
    }

    /// One reconcile came to its end.
    pub fn reconciled(&self, controller: &str, took: Duration) {
        self.reconciles.with_label_values(&[controller]).observe(took.as_secs_f64());
    }

    /// One reconcile failed.
    pub fn failed(&self, controller: &str, category: Category) {
        self.errors.with_label_values(&[controller, category.as_str()]).inc();
    }

    /// All of them in Prometheus' text format.
    ///
    /// # Errors
    /// When one cannot be encoded.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        let mut out = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut out)?;
        Ok(String::from_utf8_lossy(&out).into_owned())
    }
}
