//! The job of Flink SQL: built once, and run in a JVM of its own, which does it once before the time that counts.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use local_aks::{Progress, maven};
use serde::Deserialize;
use tokio::process::Command;

use crate::events::{DELAY, WINDOW};
use crate::took::Took;

const POM: &str = include_str!("pom.xml");
const SOURCE: &str = include_str!("Windows.java");
/// For all passes of one JVM.
const LIMIT: Duration = Duration::from_secs(1_800);
/// What Flink's own start script opens to it.
const OPENED: [&str; 11] = [
    "java.lang",
    "java.lang.reflect",
    "java.net",
    "java.nio",
    "java.text",
    "java.time",
    "java.util",
    "java.util.concurrent",
    "java.util.concurrent.atomic",
    "java.util.concurrent.locks",
    "sun.nio.ch",
];

/// A program that is ready to run.
pub(crate) struct Flink {
    folder: PathBuf,
    classpath: String,
}

/// What of a run is not the same for all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job<'a> {
    pub(crate) bootstrap: &'a str,
    pub(crate) topic: &'a str,
    pub(crate) parallelism: u64,
    /// Java's heap: `512m`.
    pub(crate) heap: &'a str,
    /// Passes before the one that counts.
    pub(crate) warming: usize,
}

/// A pass, as it tells of it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pass {
    wall_seconds: f64,
    cpu_seconds: f64,
    peak_kib: u32,
}

impl Flink {
    /// Brings Flink to `root` and builds the program; `folder` is where it runs.
    pub(crate) async fn install(root: &Path, folder: &Path, progress: &Progress) -> Result<Self> {
        let home = root.join("flink");
        let jars = maven::Program { name: "Apache Flink", pom: POM, folder: &home }.jars(progress).await?;
        local_aks::install("javac", "default-jdk-headless", progress).await?;
        let classes = folder.join("classes");
        fs::create_dir_all(&classes)?;
        let source = folder.join("Windows.java");
        fs::write(&source, SOURCE)?;
        let jars = jars.join("*").display().to_string();
        let mut javac = Command::new("javac");
        javac.args(["--release", "17", "-cp", &jars, "-d"]).arg(&classes).arg(&source);
        let built = javac.kill_on_drop(true).output().await.context("cannot start javac")?;
        ensure!(built.status.success(), "cannot build Windows.java: {}", String::from_utf8_lossy(&built.stderr).trim());
        Ok(Self { folder: folder.to_owned(), classpath: format!("{}:{jars}", classes.display()) })
    }

    /// Runs it; returns what the last pass took, and where its files are.
    pub(crate) async fn run(&self, job: &Job<'_>) -> Result<(Took, PathBuf)> {
        let name = format!("flink-{}-{}", job.topic, job.heap);
        let outs: Vec<PathBuf> = (0..=job.warming).map(|pass| self.folder.join(format!("{name}-{pass}"))).collect();
        let mut java = Command::new(maven::java()?);
        java.arg(format!("-Xmx{}", job.heap)).arg("-XX:-UsePerfData");
        java.args(OPENED.map(|package| format!("--add-opens=java.base/{package}=ALL-UNNAMED")));
        java.args(std::env::var("FLINK_JAVA").unwrap_or_default().split_whitespace());
        java.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn").args(["-cp", &self.classpath, "Windows"]);
        java.args([job.bootstrap, job.topic, &job.parallelism.to_string()]);
        java.args([WINDOW.to_string(), DELAY.to_string()]).arg(aggregation());
        java.arg(self.folder.join(format!("{name}-checkpoints"))).args(&outs);
        let log = self.folder.join(format!("{name}.log"));
        java.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&log)?).kill_on_drop(true);
        let java = java.spawn().context("cannot start Java")?;
        let Ok(output) = tokio::time::timeout(LIMIT, java.wait_with_output()).await else {
            bail!("Flink is not done after {LIMIT:?}; see {}", log.display())
        };
        let output = output?;
        ensure!(output.status.success(), "Flink failed ({}); see {}", output.status, log.display());
        let told = String::from_utf8(output.stdout).context("what Flink tells")?;
        let passes: Vec<Pass> = told.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        ensure!(passes.len() == outs.len(), "Flink tells of {} passes in place of {}", passes.len(), outs.len());
        let (Some(last), Some(out)) = (passes.last(), outs.into_iter().last()) else { bail!("Flink made no pass") };
        let peak = f64::from(last.peak_kib) / 1024.0;
        let took = Took { wall: last.wall_seconds, cpu: last.cpu_seconds, peak, settled: None };
        Ok((took, out))
    }
}

/// Whether each reader aggregates before readings go to whom their sensor belongs.
fn aggregation() -> String {
    std::env::var("FLINK_AGGREGATION").unwrap_or_else(|_| "TWO_PHASE".to_owned())
}
