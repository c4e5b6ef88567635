//! Windows per sensor from the same events, of the same broker: a job of Flink SQL and `ingest`; see README.md.

#[path = "flink/events.rs"]
mod events;
#[path = "flink/ours.rs"]
mod ours;
#[path = "flink/report.rs"]
mod report;
#[path = "flink/rows.rs"]
mod rows;
#[path = "flink/share.rs"]
mod share;
#[path = "flink/theirs.rs"]
mod theirs;
#[path = "flink/took.rs"]
mod took;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Instant;

use anyhow::{Context, Result};
use jiff::Timestamp;
use local_aks::kafka::{Kafka, Settings};
use local_aks::{Options, Progress};

use events::Plan;
use report::{Report, Run};
use rows::Rows;
use theirs::Flink;
use took::Took;

/// How many partitions, and how many replicas of ours.
const SIZES: &str = "1,2,4";

/// A setting of the environment; without it, a default.
fn setting<T: FromStr>(name: &str, default: T) -> Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name}={text}")),
        Err(_) => Ok(default),
    }
}

/// Which sides and sizes are run: those that arguments name, or all.
fn is_asked(word: &str) -> bool {
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with("--")).peekable();
    words.peek().is_none() || words.any(|asked| asked == word)
}

struct Bench {
    folder: PathBuf,
    broker: Kafka,
    sizes: Vec<u64>,
    end: Timestamp,
    /// What is to come of all events.
    batch: Rows,
    report: Report,
}

fn topic(partitions: u64) -> String {
    format!("readings-{partitions}")
}

impl Bench {
    async fn start(progress: &Progress) -> Result<Self> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("flink");
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        fs::create_dir_all(&folder)?;
        let plan = Plan {
            events: setting("EVENTS", 4_000_000)?,
            sensors: setting("SENSORS", 1_000)?,
            rate: setting("RATE", 10)?,
        };
        let root = Options::default().root;
        let broker = Kafka::start(&Settings::new(&folder.join("kafka"), &root), progress).await?;
        let sizes: String = setting("PARTITIONS", SIZES.to_owned())?;
        let sizes: Vec<u64> = sizes.split(',').map(str::parse).collect::<Result<_, _>>().context("PARTITIONS")?;
        let topics: Vec<_> = sizes.iter().map(|partitions| (topic(*partitions), *partitions)).collect();
        for (topic, partitions) in &topics {
            // Events are of another time than this.
            broker.create_topic(topic, i32::try_from(*partitions)?, &[("retention.ms", "-1")]).await?;
        }
        let (start, bootstrap) = (Instant::now(), broker.bootstrap());
        let batch = tokio::task::spawn_blocking(move || plan.produce(&bootstrap, &topics)).await??;
        progress.step(format!("sent {} events to each topic in {:.1?}", plan.events, start.elapsed()));
        println!("{} events of {} sensors, {} a second each", plan.events, plan.sensors, plan.rate);
        let events = u32::try_from(plan.events).context("EVENTS")?;
        let report = Report { events: f64::from(events), ..Report::default() };
        Ok(Self { folder, broker, sizes, end: plan.end()?, batch, report })
    }

    fn run_of(&self, label: String, partitions: u64, (took, out): (Took, PathBuf)) -> Result<Run> {
        let differs = rows::same(&rows::read(&out, self.end)?, &self.batch).err().map(|error| error.to_string());
        eprintln!("{label}: {:.0} events/s, {:.1} s of processors", took.per_second(self.report.events), took.cpu);
        Ok(Run { label, partitions, took, differs })
    }

    async fn theirs(&mut self, flink: &Flink) -> Result<()> {
        let heaps: String = setting("FLINK_HEAPS", "256m,512m,1g".to_owned())?;
        let bootstrap = self.broker.bootstrap();
        for partitions in self.sizes.clone() {
            for heap in heaps.split(',') {
                let topic = topic(partitions);
                let job = theirs::Job {
                    bootstrap: &bootstrap,
                    topic: &topic,
                    parallelism: partitions,
                    heap,
                    warming: setting("FLINK_WARMING", 1)?,
                };
                let label = format!("Flink SQL, partitions and parallelism: {partitions}, -Xmx{heap}");
                match flink.run(&job).await {
                    Ok(took) => {
                        let run = self.run_of(label, partitions, took)?;
                        self.report.theirs.push(run);
                    }
                    // A heap may be too small for it.
                    Err(error) => eprintln!("{label}: {error:#}"),
                }
            }
            let ran = self.report.theirs.iter().any(|run| run.partitions == partitions);
            anyhow::ensure!(ran, "Flink ran with none of the heaps {heaps}");
        }
        Ok(())
    }

    async fn ours(&mut self, share: Option<f64>) -> Result<()> {
        let bootstrap = self.broker.bootstrap();
        for partitions in self.sizes.clone() {
            let topic = topic(partitions);
            let job = ours::Job {
                bootstrap: &bootstrap,
                topic: &topic,
                partitions,
                replicas: partitions,
                end: self.end,
                // The last one of each partition is beyond all windows.
                records: self.report.events + f64::from(u32::try_from(partitions)?),
                share,
            };
            let limit = share.map(|share| format!(", {share} of a core each")).unwrap_or_default();
            let label = format!("ingest, partitions and replicas: {partitions}{limit}");
            let run = self.run_of(label, partitions, ours::run(&self.folder, &job).await?)?;
            if share.is_some() { self.report.limited.push(run) } else { self.report.ours.push(run) }
        }
        Ok(())
    }
}

async fn run() -> Result<bool> {
    let progress = Progress::lines();
    let mut bench = Bench::start(&progress).await?;
    if is_asked("flink") {
        let flink = Flink::install(&Options::default().root, &bench.folder, &progress).await?;
        bench.theirs(&flink).await?;
    }
    if is_asked("ingest") {
        bench.ours(None).await?;
    }
    if is_asked("limited") {
        bench.ours(Some(setting("SHARE", 0.2)?)).await?;
    }
    Ok(bench.report.print())
}

fn main() -> ExitCode {
    let outcome =
        tokio::runtime::Runtime::new().map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(run()));
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("flink: {error:#}");
            ExitCode::FAILURE
        }
    }
}
