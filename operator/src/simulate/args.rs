//! What `operator simulate` is told by its command line.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use crds::Prewarm;
use jiff::Timestamp;

use super::values::{Amounts, Lateness, Named, Policy, RequestPrices, Threads};
use super::values::{currency, node_price, prewarm, seconds, sensors, start};

/// Examples, as `--help` shows them.
pub const EXAMPLES: &str = "Examples:
  What each policy makes of the schedules in a folder, at a price of a node's hour and of 10,000 requests to the store:
    operator simulate -f examples/ --price 0.192 --currency USD --request-price reads=0.004,writes=0.05
  500 sensors for each schedule that finds its sensors itself, but 2,000 for one; each takes two seconds:
    operator simulate -f examples/ --sensors 500 --sensors hourly=2000 --seconds-per-sensor 2
  Nodes that come in five minutes, as a picture and as JSON:
    operator simulate -f examples/ --days 7 --provisioning p50=5m,p95=7m --plot nodes.svg -o json
  Demand of your own, from a CSV of time, sensors, seconds per sensor:
    operator simulate --trace demand.csv --node-capacity cpu=3800m,memory=12Gi --max-nodes 20
  Many small nodes or few large ones, pods with many threads or many pods:
    operator simulate -f examples/ --compare-vm-sizes D2s_v5=0.096,D4s_v5=0.192,D16s_v5=0.768,big:32:64Gi=1.2

Exit codes: 0 done; 1 something could not be read, written or simulated; 2 wrong arguments.";

/// Options of `operator simulate`.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Manifests of ScoringClusters and ScoringSchedules: a file, a folder with all below it, or - for standard input. May
    /// be repeated.
    #[arg(short, long = "filename", value_name = "PATH", required_unless_present = "trace")]
    pub filename: Vec<PathBuf>,
    /// How many days are simulated, from 1 to 3660. Default 30; with --trace: up to its last row.
    /// Rows are billed to one end, that of the last policy to let go if it is later.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=3660))]
    pub days: Option<u32>,
    /// When the simulation begins: ticks depend on days of the week, and on time zones. A trace begins at its first row.
    #[arg(
        long, value_name = "TIME", value_parser = start, default_value = "2026-01-01T00:00:00Z", conflicts_with = "trace"
    )]
    pub start: Timestamp,
    /// What is compared: BreakEven, After, After=DURATION, Never, cluster-autoscaler, always-on; several with commas.
    /// Default: all, with what each pool says for After, and what it says itself.
    #[arg(long, value_name = "POLICY", value_delimiter = ',')]
    pub policy: Vec<Policy>,
    /// How long before ticks nodes are asked for: Auto (the 95th percentile that was measured), Off or a duration. Default:
    /// Auto with BreakEven; with After and Never what the pool says.
    #[arg(long, value_name = "LEAD", value_parser = prewarm)]
    pub prewarm: Option<Prewarm>,
    /// Sensors of schedules that find theirs in the store, or NAME=N or NAMESPACE/NAME=N for one. May be repeated.
    #[arg(long, value_name = "[SCHEDULE=]N", value_parser = Named::parser(sensors), default_value = "100")]
    pub sensors: Vec<Named<u32>>,
    /// How long a pod works on one sensor, in seconds, or NAME=SECONDS for one schedule. May be repeated. Default 1; a trace
    /// says it itself, or needs it.
    #[arg(long, value_name = "[SCHEDULE=]SECONDS", value_parser = Named::parser(seconds))]
    pub seconds_per_sensor: Vec<Named<f64>>,
    /// How long machines take to come: half of them, and 95 of a hundred. Default: what the status of a ScoringCluster has
    /// measured, else p50=90s,p95=180s.
    #[arg(long, value_name = "p50=…,p95=…")]
    pub provisioning: Option<Lateness>,
    /// What a node has for scorer pods, where a ScoringCluster does not say.
    #[arg(long, value_name = "AMOUNTS", default_value = "cpu=3800m,memory=12Gi,pods=100")]
    pub node_capacity: Amounts,
    /// The most nodes of a pool that is not among the manifests.
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub max_nodes: u32,
    /// What an hour of a node costs. Default: what a ScoringCluster says.
    #[arg(long, value_name = "PRICE", value_parser = node_price)]
    pub price: Option<f64>,
    /// The currency of all prices; it is only printed. Default: what a ScoringCluster says, else USD.
    #[arg(long, value_parser = currency)]
    pub currency: Option<String>,
    /// What 10,000 requests to the store cost: a price of all, or reads=PRICE,writes=PRICE (lists cost what writes cost).
    #[arg(long, value_name = "PRICE")]
    pub request_price: Option<RequestPrices>,
    /// The same seed gives the same output.
    #[arg(long, default_value = "42")]
    pub seed: u64,
    /// How it is printed.
    #[arg(short, long, value_enum, default_value = "table")]
    pub output: Format,
    /// Writes a picture of the nodes over time of each policy.
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,
    /// Simulates a CSV of time (RFC 3339 or seconds), sensors and seconds per sensor instead of the schedules.
    #[arg(long, value_name = "FILE.csv")]
    pub trace: Option<PathBuf>,
    /// The runs of the trace are known beforehand, as ticks are. Else nobody knows them, as runs by hand.
    #[arg(long, requires = "trace")]
    pub foretold: bool,
    /// What a pod of the trace asks for.
    #[arg(long, value_name = "AMOUNTS", default_value = "cpu=250m,memory=128Mi")]
    pub request: Amounts,
    /// Sensors that a pod of the trace works on.
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub sensors_per_pod: u32,
    /// Compares sizes of virtual machines instead of policies: NAME=PRICE,… of the D-series v5, NAME:CPUS:MEMORY=PRICE,… of
    /// others, or a CSV file of name,cpus,memory,price. With the first --policy; default BreakEven.
    #[arg(long, value_name = "FILE|LIST", conflicts_with_all = ["price", "plot"])]
    pub compare_vm_sizes: Option<String>,
    /// Compares, on each of these sizes, also pods that score so many sensors at a time: they ask for as many times as much,
    /// and take as many times as many sensors. From 1 to 4, or as-set for none but the pods that are set.
    #[arg(long, value_name = "N,…|as-set", default_value = "1,2,4", requires = "compare_vm_sizes")]
    pub pod_threads: Threads,
}

/// How the output looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}
