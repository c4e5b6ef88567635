//! `local-aks`: an AKS-shaped cluster on this machine.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use local_aks::images::{self, Images, Platform, Registry};
use local_aks::{NodeKind, Options, Progress};

/// An AKS-shaped cluster on this machine: control plane, real nodes behind the agentPools API, image registry and Blob
/// Storage. Needs Linux, root, Go and Node.js; what else is missing is installed on Debian and Ubuntu.
#[derive(Parser)]
#[command(
    version,
    after_help = "Examples:
  local-aks up                                  a cluster with one system node and an empty pool `scoring`
  local-aks up --nodes kwok --provisioning 5s   fake nodes that come after 5 s
  export KUBECONFIG=$(local-aks status -o json | jq -r .kubeconfig)
  local-aks down                                leaves nothing behind
  local-aks images --platform linux/amd64,linux/arm64 --registry registry.example/team --profile dist"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Brings the cluster up; cleans up first if the last one crashed.
    Up {
        /// How long a new machine takes, as a virtual machine would.
        #[arg(long, default_value = "20s", value_parser = duration)]
        provisioning: Duration,
        /// What the machines of user pools are.
        #[arg(long, value_enum, default_value = "real")]
        nodes: NodeKind,
        /// Allocatable CPUs of a node.
        #[arg(long, default_value_t = 2)]
        node_cpus: u32,
        /// Allocatable memory of a node, in MiB.
        #[arg(long, default_value_t = 2048)]
        node_memory: u64,
        /// With kwok: how long a pod of a Job takes.
        #[arg(long, default_value = "5s", value_parser = duration)]
        kwok_pods_take: Duration,
    },
    /// Says whether the cluster is up, and where everything is.
    Status {
        /// `table`, or `json` for programs.
        #[arg(short, long, value_enum, default_value = "table")]
        output: Output,
    },
    /// Builds the images of operator and scorer without Docker and pushes them, to the registry of the cluster that is up
    /// or to another one. Prints their references as JSON: each is an index of all platforms.
    Images(ImageArguments),
    /// Takes the cluster down. Built tools and the last logs are kept in target/.
    Down,
}

#[derive(clap::Args)]
struct ImageArguments {
    /// What for; several are built one after the other. Default: this machine's platform.
    #[arg(long, value_delimiter = ',', value_name = "linux/amd64,linux/arm64")]
    platform: Vec<Platform>,
    /// Another registry than the cluster's, with a folder or not: registry.example/team. `crane auth login` or `docker login`
    /// has the credentials for it.
    #[arg(long, value_name = "HOST[:PORT][/PATH]")]
    registry: Option<String>,
    /// The registry may be plain http.
    #[arg(long, requires = "registry")]
    insecure: bool,
    /// cargo's profile: `dist` takes minutes more for the last few per cent.
    #[arg(long, default_value = "release")]
    profile: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Table,
    Json,
}

/// `20s`, `1m30s`, `500ms`.
fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text.parse().map_err(|error| format!("{error}: write it as 20s or 1m30s"))?;
    Duration::try_from(span).map_err(|_| "must not be negative".to_owned())
}

/// A spinner for a terminal, lines for a log.
fn progress() -> Progress {
    if !std::io::stderr().is_terminal() {
        return Progress::lines();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} [{elapsed_precise}] {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    Progress::new(move |step| bar.set_message(step.to_owned()))
}

async fn make_images(arguments: ImageArguments, root: &Path) -> anyhow::Result<Images> {
    let cluster = match &arguments.registry {
        Some(_) => None,
        None => local_aks::status(root).await?,
    };
    let of_cluster = cluster.as_ref().map(|facts| facts.registry.as_str());
    let address = arguments.registry.as_deref().or(of_cluster);
    let address =
        address.context("there is no registry to push to: `local-aks up` first, or name one with --registry")?;
    let progress = progress();
    let crane = local_aks::tool(root, "crane", &progress).await?;
    let platforms = if arguments.platform.is_empty() { vec![Platform::here()?] } else { arguments.platform };
    for platform in &platforms {
        platform.prepare(&progress).await?;
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the project's folder")?;
    let built =
        images::build_for(workspace, &platforms, &images::PROGRAMS, &arguments.profile, |line| progress.step(line))
            .await?;
    progress.step(format!("pushing to {address}"));
    let registry = Registry { address, insecure: arguments.insecure || cluster.is_some(), crane: &crane };
    images::push(&built, &registry, root).await
}

#[tokio::main]
async fn run() -> anyhow::Result<ExitCode> {
    let defaults = Options::default();
    match Arguments::parse().command {
        Command::Up { provisioning, nodes, node_cpus, node_memory, kwok_pods_take } => {
            let options = Options {
                provisioning: provisioning.into(),
                nodes,
                node_cpus,
                node_memory_mib: node_memory,
                kwok_pod_duration: kwok_pods_take,
                ..defaults
            };
            let facts = local_aks::up(&options, &progress()).await?;
            println!("export KUBECONFIG={}", facts.kubeconfig.display());
            println!("export PATH={}:$PATH", facts.bin_dir.display());
        }
        Command::Status { output } => {
            let Some(facts) = local_aks::status(&defaults.root).await? else {
                eprintln!("local-aks: not up; `local-aks up` brings it up");
                return Ok(ExitCode::FAILURE);
            };
            match output {
                Output::Json => println!("{}", serde_json::to_string_pretty(&facts)?),
                Output::Table => print!("{}", local_aks::table(&facts).await?),
            }
        }
        Command::Images(arguments) => {
            let images = make_images(arguments, &defaults.root).await?;
            println!("{}", serde_json::to_string_pretty(&images)?);
        }
        Command::Down => local_aks::down(&defaults.root, &progress()).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    local_aks::serve_if_asked();
    run().unwrap_or_else(|error| {
        eprintln!("local-aks: {error:#}");
        ExitCode::FAILURE
    })
}
