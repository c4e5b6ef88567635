//! `cargo demo`: from zero nodes to predictions to zero, on a real cluster, on this machine.

mod install;
mod judge;
mod results;
mod story;
mod stream;
mod summary;
mod tool;
mod ui;
mod watch;
mod workload;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, bail};
use clap::Parser;
use jiff::Timestamp;
use local_aks::images::{self, Binaries, Platform};
use local_aks::{Facts, Options, Progress};
use tokio::signal::unix::{SignalKind, signal};

use crate::results::{Results, RunSummary};
use crate::summary::Summary;
use crate::ui::{Stage, Ui};

/// Runs that the demo waits for.
const RUNS: usize = 2;

/// Shows the whole product at work: a cluster comes up on this machine, an empty node pool grows from zero, pods score
/// 24 sensors on two ticks, results land in Blob Storage, and the pool goes back to zero. With --stream these sensors send
/// to Kafka meanwhile, and what is scored is what they have sent in the last minute.
#[derive(Parser)]
#[command(name = "cargo demo", version, after_help = "Needs Linux and root; Rust, Go, Node.js and gcc.")]
struct Args {
    /// From event to prediction: sensors send to Kafka, ingest makes windows, three ticks score these, and files and
    /// PostgreSQL have both. Building ingest takes perl and make.
    #[arg(long)]
    stream: bool,
    /// Leave the cluster up at the end, and print how to reach it. `cargo local-aks down` takes it down. Kafka and
    /// PostgreSQL of --stream are up until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// Write the summary to a file as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    local_aks::serve_if_asked();
    // Two providers are compiled in; without a choice, the first TLS connection would panic.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let args = Args::parse();
    let ui = Ui::new();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(&args, &ui)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nThe demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let obstacles = local_aks::obstacles();
    if !obstacles.is_empty() {
        bail!("a cluster cannot run here:\n  {}", obstacles.join("\n  "));
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the project's folder")?;
    let options = Options::default();
    let folder = options.root.join("demo");
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;

    let stage = ui.stage(if args.stream { "Operator, scorer, ingest" } else { "Operator and scorer" });
    let binaries = tokio::select! {
        built = build(workspace, args.stream, &stage) => built?,
        () = interrupted() => bail!("interrupted; nothing was started yet"),
    };
    stage.done("built as static programs");

    let stage = ui.stage("Control plane");
    let noted = stage.clone();
    let facts = local_aks::up(&options, &Progress::new(move |step| noted.note(step))).await?;
    stage.done(&format!("a Kubernetes cluster with one system node, {} is empty", facts.agent_pool));

    let shown = async {
        let Args { stream, .. } = args;
        if !stream {
            return Told::of(&show(&facts, &binaries, workspace, &folder, ui).await?);
        }
        let (facts, binaries, folder, root) = (&facts, &binaries, folder.as_path(), options.root.as_path());
        let (summary, servers) = stream::show(&stream::Demo { facts, binaries, workspace, folder, root, ui }).await?;
        Told::of_stream(&summary, servers, folder)
    };
    let outcome = tokio::select! {
        outcome = Box::pin(shown) => outcome.map_err(|error| (error, true)),
        () = interrupted() => Err((anyhow::anyhow!("interrupted"), false)),
    };
    let kept = args.keep && !matches!(outcome, Err((_, false)));
    if let Err((error, true)) = &outcome {
        let report = folder.join("failure.txt");
        let text = format!("{error:#}\n\n{}", install::diagnosis(&facts).await);
        std::fs::write(&report, text).with_context(|| format!("writing {}", report.display()))?;
        ui.line(&format!("what the cluster looked like is in {}", report.display()));
    }
    let mut outcome = outcome.map_err(|(error, _)| error);
    if !kept {
        // They go before what they listen on.
        if let Ok(told) = &mut outcome {
            told.servers = None;
        }
        let stage = ui.stage("Taking the cluster down");
        let noted = stage.clone();
        local_aks::down(&options.root, &Progress::new(move |step| noted.note(step))).await?;
        stage.done("nothing is left but what is in target/");
    }
    let told = outcome?;
    println!("\n{}", told.text);
    if let Some(path) = &args.json {
        std::fs::write(path, &told.json).with_context(|| format!("writing the summary to {}", path.display()))?;
    }
    if kept {
        println!("The cluster is still up. To look around:");
        println!("  export KUBECONFIG={} PATH={}:$PATH", facts.kubeconfig.display(), facts.bin_dir.display());
        println!("  kubectl get nodes,scoringclusters,scoringschedules,scoringruns -A");
        println!("To take it down:\n  cargo local-aks down");
    }
    if let Some(servers) = &told.servers {
        println!("Kafka is at {}, PostgreSQL at {}: Ctrl-C ends these two.", servers.broker(), servers.database());
        interrupted().await;
    }
    if !told.faults.is_empty() {
        bail!("{}", told.faults.join("; "));
    }
    Ok(())
}

/// What is told at the end.
struct Told {
    text: String,
    json: Vec<u8>,
    /// What is wrong.
    faults: Vec<String>,
    /// What still is up besides the cluster.
    servers: Option<stream::Servers>,
}

impl Told {
    fn of(summary: &Summary) -> anyhow::Result<Self> {
        let faults = summary.runs.iter().flat_map(RunSummary::faults).collect();
        Ok(Self { text: summary.render(), json: serde_json::to_vec_pretty(summary)?, faults, servers: None })
    }

    /// What servers said is kept in the folder, if something is wrong.
    fn of_stream(summary: &stream::Summary, servers: stream::Servers, folder: &Path) -> anyhow::Result<Self> {
        let (text, json, faults) =
            (summary.render(), serde_json::to_vec_pretty(summary)?, summary.faults(stream::RUNS));
        if !faults.is_empty() {
            servers.keep_logs(folder);
        }
        Ok(Self { text, json, faults, servers: Some(servers) })
    }
}

/// Builds what the images are of.
async fn build(workspace: &Path, with_ingest: bool, stage: &Stage) -> anyhow::Result<Binaries> {
    let binaries = images::build(workspace, |line| stage.note(line)).await?;
    if !with_ingest {
        return Ok(binaries);
    }
    let (here, programs) = ([Platform::here()?], [images::INGEST]);
    let ingest = images::build_for(workspace, &here, &programs, "release", |line| stage.note(line)).await?;
    Ok(binaries.and(ingest))
}

/// Everything between the cluster's coming up and its going down.
async fn show(facts: &Facts, binaries: &Binaries, workspace: &Path, folder: &Path, ui: &Ui) -> anyhow::Result<Summary> {
    let began = Instant::now();
    let pushed = install::images(facts, binaries, folder, ui).await?;

    let stage = ui.stage("Readings");
    let workload = workload::Workload::new(facts, binaries.scorer()?, folder)?;
    workload.simulate(Timestamp::now()).await?;
    stage.done(&format!("two hours of {} sensors are in Blob Storage", workload::SENSORS));

    let stage = ui.stage("Models");
    workload.train().await?;
    stage.done("one trained for each sensor");

    let stage = ui.stage("Operator");
    install::chart(facts, &pushed, workspace, None).await?;
    stage.done("the chart is installed, the operator is ready");

    let stage = ui.stage("Scoring");
    install::manifests(facts, folder, install::SCHEDULE_MANIFEST).await?;
    stage.event("one ScoringCluster (0 to 3 nodes) and one ScoringSchedule (every minute) are applied");
    let story = watch::until_over(facts, &stage, RUNS, || {}).await?;
    stage.done(&format!("{} runs, and the pool is back at zero", story.runs().len()));

    let stage = ui.stage("Results");
    let (results, copy) = (Results::open(facts)?, folder.join("store"));
    let (runs, example) = results.judge(&story).await?;
    results.copy(&copy).await?;
    stage.done("read back from Blob Storage and compared with the labels");
    Ok(Summary {
        runs,
        nodes: story.counts().to_vec(),
        machines: story.machines(),
        stages: ui.times(),
        seconds_from_control_plane: began.elapsed().as_secs_f64(),
        example,
        copy,
    })
}

/// Ctrl-C or SIGTERM.
async fn interrupted() {
    let mut term = match signal(SignalKind::terminate()) {
        Ok(term) => term,
        Err(_) => return std::future::pending().await,
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = term.recv() => {}
    }
}
