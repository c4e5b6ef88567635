//! What is counted, for Prometheus.

use std::collections::BTreeSet;

use prometheus::core::Collector;
use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::hand::Hand;
use crate::out::{Reason, Written};

/// The metrics of a replica. Cheap to clone: every part is shared.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// Records that were read, those of replays included.
    pub records: IntCounter,
    counted: IntCounter,
    durable: IntCounter,
    filtered: IntCounter,
    dead: IntCounterVec,
    files: IntCounter,
    bytes: IntCounter,
    rows: IntCounter,
    /// Seconds from a batch to its mark.
    pub write_seconds: Histogram,
    /// Failed attempts to write, by category.
    pub write_errors: IntCounterVec,
    /// Watermarks that went on without an event, by why.
    pub jumps: IntCounterVec,
    /// Records that the broker did not have any more when they were to be read, or read again.
    pub lost: IntCounter,
    lag: IntGaugeVec,
    watermark: IntGaugeVec,
    committed: IntGaugeVec,
    merged: IntGaugeVec,
    /// Partitions in hand.
    pub partitions: IntGauge,
    /// Bytes of open windows, about.
    pub open_bytes: IntGauge,
    /// Bytes that wait to be written, about.
    pub pending_bytes: IntGauge,
    /// 1 while nothing is read, since too much waits to be written.
    pub paused: IntGauge,
    /// Partitions in the gauges.
    told: BTreeSet<u32>,
}

impl Metrics {
    /// Registers all of them in a registry of their own.
    ///
    /// # Errors
    /// When two have one name.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new_custom(Some("ingest".to_owned()), None)?;
        let register = Register(&registry);
        let events =
            register.counters("events_total", "Events, those of replays included, by what became of them", "result")?;
        let dead = register.counters("dead_letters_total", "Dead letters, by reason", "reason")?;
        for reason in Reason::ALL {
            dead.with_label_values(&[reason.as_str()]);
        }
        let seconds = vec![0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0];
        let write = HistogramOpts::new("write_seconds", "Time from a batch to its mark in the store").buckets(seconds);
        Ok(Self {
            records: register.counter("records_total", "Records that were read, those of replays included")?,
            counted: events.with_label_values(&["Counted"]),
            durable: events.with_label_values(&["Durable"]),
            filtered: events.with_label_values(&["Filtered"]),
            dead,
            files: register.counter("files_total", "Files that were written")?,
            bytes: register.counter("written_bytes_total", "Bytes of these files")?,
            rows: register.counter("rows_total", "Rows: one for each sensor and window")?,
            write_seconds: register.add(Histogram::with_opts(write)?)?,
            write_errors: register.counters(
                "write_errors_total",
                "Failed attempts to write, by category",
                "category",
            )?,
            jumps: register.counters("watermark_jumps_total", "Watermarks that went on without an event", "reason")?,
            lost: register.counter(
                "lost_records_total",
                "Records that were gone from the log when they were to be read, or read again",
            )?,
            lag: register.gauges("lag_records", "Records of a partition that are yet to be read")?,
            watermark: register.gauges(
                "watermark_seconds",
                "Windows that end at or before this are in the store; seconds since 1970",
            )?,
            committed: register.gauges("committed_offset", "Offset from which a partition would be read again")?,
            merged: register.add(IntGaugeVec::new(
                Opts::new(
                    "merged_watermark_seconds",
                    "Windows over the topic that end at or before this are in the store; seconds since 1970",
                ),
                &[],
            )?)?,
            partitions: register.gauge("partitions", "Partitions in hand")?,
            open_bytes: register.gauge("open_bytes", "Bytes of open windows, about")?,
            pending_bytes: register.gauge("pending_bytes", "Bytes that wait to be written, about")?,
            paused: register.gauge("paused", "1 while nothing is read, since too much waits to be written")?,
            told: BTreeSet::new(),
            registry,
        })
    }

    /// An event counts.
    #[inline]
    pub fn counted(&self) {
        self.counted.inc();
    }

    /// An event counted in an earlier life.
    pub fn durable(&self) {
        self.durable.inc();
    }

    /// An event was passed over.
    pub fn filtered(&self) {
        self.filtered.inc();
    }

    /// An event is a dead letter.
    pub fn dead_letter(&self, reason: Reason) {
        self.dead.with_label_values(&[reason.as_str()]).inc();
    }

    /// A batch was written.
    pub fn written(&self, written: &Written) {
        self.files.inc_by(written.files);
        self.bytes.inc_by(written.bytes);
        self.rows.inc_by(written.rows);
    }

    /// Windows over the topic are put together up to here; none: by another replica.
    pub fn merged(&self, until: Option<i64>) {
        match until {
            Some(until) => self.merged.with_label_values(&[] as &[&str]).set(until.div_euclid(1_000_000)),
            None => self.merged.reset(),
        }
    }

    /// Tells how the partitions in hand are; others are no more told of.
    pub fn tell<'a>(&mut self, hands: impl Iterator<Item = &'a Hand>) {
        let mut now = BTreeSet::new();
        let (mut open, mut pending) = (0, 0);
        for hand in hands {
            let label = hand.number().to_string();
            let label = [label.as_str()];
            self.lag.with_label_values(&label).set(hand.lag());
            self.committed.with_label_values(&label).set(hand.partition.marked().offset);
            if let Some(durable) = hand.partition.marked().durable {
                self.watermark.with_label_values(&label).set(durable.div_euclid(1_000_000));
            }
            open += hand.partition.open_bytes();
            pending += hand.pending_bytes();
            now.insert(hand.number());
        }
        for gone in self.told.difference(&now) {
            for gauge in [&self.lag, &self.watermark, &self.committed] {
                // It may never have had a watermark.
                let _ = gauge.remove_label_values(&[&gone.to_string()]);
            }
        }
        self.partitions.set(i64::try_from(now.len()).unwrap_or(i64::MAX));
        self.open_bytes.set(i64::try_from(open).unwrap_or(i64::MAX));
        self.pending_bytes.set(i64::try_from(pending).unwrap_or(i64::MAX));
        self.told = now;
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

struct Register<'a>(&'a Registry);

impl Register<'_> {
    fn add<C: Collector + Clone + 'static>(&self, metric: C) -> Result<C, prometheus::Error> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        self.add(IntCounter::new(name, help)?)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.add(IntGauge::new(name, help)?)
    }

    fn counters(&self, name: &str, help: &str, label: &str) -> Result<IntCounterVec, prometheus::Error> {
        self.add(IntCounterVec::new(Opts::new(name, help), &[label])?)
    }

    fn gauges(&self, name: &str, help: &str) -> Result<IntGaugeVec, prometheus::Error> {
        self.add(IntGaugeVec::new(Opts::new(name, help), &["partition"])?)
    }
}
