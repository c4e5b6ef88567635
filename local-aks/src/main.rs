//! `local-aks`: an AKS-shaped cluster on this machine.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use local_aks::aks::faults::{Fault, FaultOrder, KINDS};
use local_aks::aks::{Delay, Rate, Span};
use local_aks::faults::Control;
use local_aks::images::{self, Images, Platform, Registry};
use local_aks::{Facts, NodeKind, Options, Progress};
use serde_json::{Map, Value, json};

/// An AKS-shaped cluster on this machine: control plane, real nodes behind the agentPools API, image registry and Blob
/// Storage. Needs Linux, root, Go and Node.js; what else is missing is installed on Debian and Ubuntu.
#[derive(Parser)]
#[command(
    version,
    after_help = "Examples:
  local-aks up                                  a cluster with one system node and an empty pool `scoring`
  local-aks up --nodes kwok --provisioning 5s   fake nodes that come after 5 s
  local-aks up --provisioning lognormal:p50=90s,p95=240s --fault 'quota --cores 8' --fault 'allocation --next 2'
  local-aks faults throttle --for 2m            while it is up; `local-aks faults --help` has the others
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
    Up(UpArguments),
    /// Says whether the cluster is up, and where everything is.
    Status {
        /// `table`, or `json` for programs.
        #[arg(short, long, value_enum, default_value = "table")]
        output: Output,
    },
    /// What goes wrong in the cluster that is up: lists it, adds to it, clears it.
    #[command(after_help = "Examples:
  local-aks faults                                       what stands
  local-aks faults allocation --next 2 --machines 1      two operations make one machine each, then fail
  local-aks faults quota --cores 8 --at operation        until cleared
  local-aks faults throttle --for 2m --retry-after 10s   everything is answered 429
  local-aks faults preempt --pool scoring --holds 20s    another actor ends what is under way, and holds the pool
  local-aks faults never-ready --next 1                  the next machine's node stays NotReady
  local-aks faults reclaim --pool scoring                one machine has its notice now, and is gone in 30 s
  local-aks faults down --for 3m --how refuse            nothing listens where the Resource Manager was
  local-aks faults clear throttle down                   no more of these; without a kind: of any
  local-aks faults -o json")]
    Faults {
        #[command(subcommand)]
        command: Option<FaultsCommand>,
        /// `table`, or `json` for programs.
        #[arg(short, long, value_enum, default_value = "table", global = true)]
        output: Output,
    },
    /// Shows the settings of the cluster that is up, as JSON, and changes them. They hold for what is asked from then on.
    Settings(SettingsArguments),
    /// Builds the images of operator and scorer, and of ingest if asked for, without Docker and pushes them, to the registry
    /// of the cluster that is up or to another one. Prints their references as JSON: each is an index of all platforms.
    Images(ImageArguments),
    /// Takes the cluster down. Built tools and the last logs are kept in target/.
    Down,
}

#[derive(clap::Args)]
struct UpArguments {
    /// How long a new machine takes, as a virtual machine would: 20s, 60s..300s (each as likely), or
    /// lognormal:p50=90s,p95=240s; drawn for each machine
    #[arg(long, default_value = "20s")]
    provisioning: Delay,
    /// Seeds what is random: how long machines take, which of them go, and their names
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Makes the pool `scoring` one of spot machines
    #[arg(long)]
    spot: bool,
    /// How many PUTs of a pool are served at once, and how long until one more is
    #[arg(long, value_name = "SIZE/TIME", default_value = "20/60s")]
    put_bucket: Rate,
    /// The same of all other requests to the agentPools API
    #[arg(long, value_name = "SIZE/TIME", default_value = "60/1s")]
    request_bucket: Rate,
    /// A fault from the start, written as after `local-aks faults`, whose help has the kinds: --fault 'throttle --for 2m'.
    /// May be given more than once
    #[arg(long = "fault", value_name = "'KIND OPTIONS'")]
    faults: Vec<Fault>,
    /// What the machines of user pools are
    #[arg(long, value_enum, default_value = "real")]
    nodes: NodeKind,
    /// Allocatable CPUs of a node
    #[arg(long, default_value_t = 2)]
    node_cpus: u32,
    /// Allocatable memory of a node, in MiB
    #[arg(long, default_value_t = 2048)]
    node_memory: u64,
    /// With kwok: how long a pod of a Job takes: 5s, or 10s..30s, each as likely; drawn for each pod
    #[arg(long, default_value = "5s")]
    kwok_pods_take: Delay,
}

#[derive(Subcommand)]
enum FaultsCommand {
    #[command(flatten)]
    Order(Fault),
    /// Clears faults: of these kinds, or all
    Clear {
        /// As the list names them
        #[arg(value_parser = KINDS)]
        kinds: Vec<String>,
    },
}

#[derive(clap::Args)]
struct SettingsArguments {
    /// How long a new machine takes: 20s, 60s..300s or lognormal:p50=90s,p95=240s
    #[arg(long)]
    provisioning: Option<Delay>,
    /// How long a deletion takes
    #[arg(long)]
    deleting: Option<Span>,
    /// How long a change of labels and taints takes
    #[arg(long)]
    updating: Option<Span>,
    /// The bucket of each pool's PUTs; it begins full
    #[arg(long, value_name = "SIZE/TIME")]
    put_bucket: Option<Rate>,
    /// The bucket of all other requests; it begins full
    #[arg(long, value_name = "SIZE/TIME")]
    request_bucket: Option<Rate>,
    /// Whether a pool's count falls by itself when a machine is deleted by name or taken back
    #[arg(long, value_name = "true|false")]
    count_falls: Option<bool>,
}

impl UpArguments {
    fn options(self, defaults: Options) -> anyhow::Result<Options> {
        let mut faults = FaultOrder::default();
        self.faults.into_iter().for_each(|fault| faults.add(fault));
        faults.check_for_start()?;
        Ok(Options {
            provisioning: self.provisioning,
            seed: self.seed,
            spot: self.spot,
            put_bucket: self.put_bucket,
            request_bucket: self.request_bucket,
            faults,
            nodes: self.nodes,
            node_cpus: self.node_cpus,
            node_memory_mib: self.node_memory,
            kwok_pod_duration: self.kwok_pods_take,
            ..defaults
        })
    }
}

impl SettingsArguments {
    /// The body of the request: what is given.
    fn change(self) -> Map<String, Value> {
        let given = [
            ("provisioning", self.provisioning.map(|value| json!(value))),
            ("deletingSeconds", self.deleting.map(|value| json!(value))),
            ("updatingSeconds", self.updating.map(|value| json!(value))),
            ("putBucket", self.put_bucket.map(|value| json!(value))),
            ("requestBucket", self.request_bucket.map(|value| json!(value))),
            ("countFalls", self.count_falls.map(|value| json!(value))),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
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
    /// The image of ingest, too. Building it takes perl and make.
    #[arg(long)]
    ingest: bool,
    /// cargo's profile: `dist` takes minutes more for the last few per cent.
    #[arg(long, default_value = "release")]
    profile: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Table,
    Json,
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
    let mut programs = images::PROGRAMS.to_vec();
    programs.extend(arguments.ingest.then_some(images::INGEST));
    let built =
        images::build_for(workspace, &platforms, &programs, &arguments.profile, |line| progress.step(line)).await?;
    progress.step(format!("pushing to {address}"));
    let registry = Registry { address, insecure: arguments.insecure || cluster.is_some(), crane: &crane };
    images::push(&built, &registry, root).await
}

/// Where the cluster that is up is.
async fn facts_of(options: &Options) -> anyhow::Result<Facts> {
    local_aks::status(&options.root).await?.context("not up; `local-aks up` brings it up")
}

#[tokio::main]
async fn run() -> anyhow::Result<ExitCode> {
    let defaults = Options::default();
    match Arguments::parse().command {
        Command::Up(arguments) => {
            let options = arguments.options(defaults)?;
            let facts = local_aks::up(&options, &progress()).await?;
            eprintln!("machines take {}; seed {}", options.provisioning, options.seed);
            println!("export KUBECONFIG={}", facts.kubeconfig.display());
            println!("export PATH={}:$PATH", facts.bin_dir.display());
        }
        Command::Status { output } => {
            let facts = facts_of(&defaults).await?;
            match output {
                Output::Json => println!("{}", serde_json::to_string_pretty(&facts)?),
                Output::Table => print!("{}", local_aks::table(&facts).await?),
            }
        }
        Command::Images(arguments) => {
            let images = make_images(arguments, &defaults.root).await?;
            println!("{}", serde_json::to_string_pretty(&images)?);
        }
        Command::Faults { command, output } => {
            let control = Control::of(&facts_of(&defaults).await?)?;
            let faults = match command {
                None => control.faults().await?,
                Some(FaultsCommand::Order(fault)) => control.order(&fault.into()).await?,
                Some(FaultsCommand::Clear { kinds }) => control.clear(&kinds).await?,
            };
            match output {
                Output::Json => println!("{}", serde_json::to_string_pretty(&faults)?),
                Output::Table => print!("{}", local_aks::faults::table(&faults)),
            }
        }
        Command::Settings(arguments) => {
            let settings = Control::of(&facts_of(&defaults).await?)?.settings(&arguments.change()).await?;
            println!("{}", serde_json::to_string_pretty(&settings)?);
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn options(line: &str) -> anyhow::Result<Options> {
        // A fault's own words stay together, as in quotes.
        let words = line.split(' ').map(|word| word.replace('_', " "));
        match Arguments::try_parse_from(std::iter::once("local-aks".to_owned()).chain(words))?.command {
            Command::Up(arguments) => arguments.options(Options::default()),
            _ => anyhow::bail!("not up"),
        }
    }

    #[test]
    fn the_arguments_are_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn up_takes_a_distribution_a_seed_buckets_and_any_number_of_faults() {
        let options = options(
            "up --provisioning 60s..300s --seed 7 --spot --put-bucket 5/10s --request-bucket 9/1s \
             --fault throttle_--for_2m --fault quota_--cores_8 --fault reclaim_--next_1_--after_1m",
        )
        .unwrap();
        assert_eq!((options.provisioning.to_string(), options.seed, options.spot), ("1m..5m".to_owned(), 7, true));
        assert_eq!((options.put_bucket.size, options.request_bucket.size), (5, 9));
        let faults = options.faults;
        assert!(faults.throttle.is_some() && faults.quota.len() == 1 && faults.reclaim.len() == 1, "{faults:?}");
    }

    #[test]
    fn what_cannot_be_from_the_start_or_means_nothing_is_refused_by_its_name() {
        for (line, words) in [
            ("up --provisioning soon", "60s..300s"),
            ("up --put-bucket 0/1s", "20/60s"),
            ("up --fault weather", "unrecognized subcommand 'weather'"),
            ("up --fault throttle_--for_ever", "'ever' for '--for"),
            ("up --fault reclaim_--pool_scoring", "reclaim.count"),
            ("up --fault preempt_--pool_scoring", "preempt.count"),
        ] {
            let told = options(line).unwrap_err().to_string();
            assert!(told.contains(words), "{line}: {told}");
        }
    }
}
