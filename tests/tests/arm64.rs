//! The other architecture: the scorer for 64-bit ARM runs under qemu, its kernel gives the bits that are expected of every
//! machine, and one index in the registry serves both.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use local_aks::images::{self, Binaries, Platform, Registry};
use local_aks::{Options, Progress};
use serde_json::Value;
use tests::control_plane::workspace;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;

/// Runs its programs on this machine.
const QEMU: &str = "qemu-aarch64-static";

/// Whether everything is there to build and run programs for ARM. Without it, a word on stderr that the test did not run;
/// with `E2E=required` that is a failure.
async fn prepared() -> bool {
    static PREPARED: OnceCell<bool> = OnceCell::const_new();
    *PREPARED.get_or_init(prepare).await
}

async fn prepare() -> bool {
    let progress = Progress::new(tell);
    let compiler = Platform::Arm64.prepare(&progress);
    let emulator = local_aks::install(QEMU, "qemu-user-static", &progress);
    let Err(why) = compiler.await.and(emulator.await) else { return true };
    assert!(std::env::var_os("E2E").is_none_or(|e2e| e2e != "required"), "no ARM for this test: {why:#}");
    let _ = writeln!(std::io::stderr(), "SKIPPED: no ARM for this test: {why:#}");
    false
}

fn tell(line: &str) {
    tests::local::tell("arm64", line);
}

async fn output(command: &mut Command) -> String {
    let done = command.stdin(Stdio::null()).output().await.unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{command:?}: {said}\n{}", String::from_utf8_lossy(&done.stderr));
    said
}

/// The scorer for ARM, built quickly: what is asked of it here is not speed.
async fn scorer() -> Binaries {
    images::build_for(&workspace(), &[Platform::Arm64], &["scorer"], "dev", tell).await.unwrap()
}

#[tokio::test]
async fn the_kernel_gives_the_same_bits_on_arm() {
    if !prepared().await {
        return;
    }
    let mut test = images::cargo(Platform::Arm64, "test");
    test.current_dir(workspace()).args(["--package", "scorer", "--lib", "kernel::"]);
    test.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", QEMU);
    // An emulated processor is slow, and what is drawn at random is drawn on the real one too.
    test.env("PROPTEST_CASES", "16");
    let said = output(&mut test).await;
    let bits = "test kernel::tests::decisions_have_these_bits_on_every_architecture ... ok";
    assert!(said.contains(bits), "{said}");
    assert!(said.contains("test kernel::tests::every_instruction_set_gives_the_same_bits ... ok"), "{said}");
}

#[tokio::test]
async fn predictions_made_on_arm_have_the_bytes_of_those_made_here() {
    if !prepared().await {
        return;
    }
    let arm = scorer().await;
    let arm = arm.program(Platform::Arm64, "scorer").unwrap();
    let here =
        images::build_for(&workspace(), &[Platform::here().unwrap()], &["scorer"], "release", tell).await.unwrap();
    let here = here.scorer().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = format!("file://{}", folder.path().display());
    let mut simulate = Command::new(here);
    simulate.args(["simulate", "--store", &store, "--start", "2026-01-01T00:00:00Z", "--length", "1h", "--seed", "7"]);
    output(simulate.args(["--devices", "1", "--tags", "1"])).await;
    let train =
        ["train", "--store", &store, "--data", "data/sensor_data.csv", "--models", "models/model_{device}_{tag}"];
    output(Command::new(here).args(train)).await;
    let path = |path: &str| folder.path().join(path);
    let score = async |scorer: &mut Command, predictions: &str| {
        scorer.args(["score", "--columns", "value=Value", "--model"]).arg(path("models/model_1_1"));
        scorer.arg("--input").arg(path("data/sensor_data.csv")).arg("--output").arg(path(predictions));
        output(scorer).await;
        std::fs::read(path(predictions)).unwrap()
    };
    let on_arm = score(Command::new(QEMU).arg(arm), "arm.csv").await;
    assert!(on_arm.len() > 10_000, "{} bytes of predictions", on_arm.len());
    assert!(on_arm == score(&mut Command::new(here), "here.csv").await, "the predictions differ");
}

/// A registry on loopback, gone with this.
struct Serving(#[allow(dead_code, reason = "kept to be dropped")] Child, String);

async fn registry(crane: &Path, blobs: &Path) -> Serving {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    std::fs::create_dir(blobs).unwrap();
    let mut serve = Command::new(crane);
    serve.args(["registry", "serve", "--address", &address, "--disk"]).arg(blobs).kill_on_drop(true);
    let child = serve.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let answers = async {
        while TcpStream::connect(&address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), answers).await.unwrap();
    Serving(child, address)
}

#[tokio::test]
async fn one_index_in_the_registry_serves_both_architectures() {
    if !prepared().await {
        return;
    }
    let crane = local_aks::tool(&Options::default().root, "crane", &Progress::new(tell)).await.unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let Serving(_serving, address) = &registry(&crane, &scratch.path().join("blobs")).await;
    let amd64 = images::build_for(&workspace(), &[Platform::Amd64], &["scorer"], "release", tell).await.unwrap();
    let registry = Registry { address, insecure: true, crane: &crane };
    let image = images::push_one("scorer", &scorer().await.and(amd64), &registry, scratch.path()).await.unwrap();
    let index: Value =
        serde_json::from_str(&output(Command::new(&crane).args(["manifest", "--insecure", &image])).await).unwrap();
    let platforms: Vec<_> = index["manifests"].as_array().unwrap().iter().map(|one| &one["platform"]).collect();
    let architectures: Vec<_> = platforms.iter().map(|platform| platform["architecture"].as_str().unwrap()).collect();
    assert_eq!(architectures, ["amd64", "arm64"], "{index}");
    for architecture in architectures {
        let platform = format!("--platform=linux/{architecture}");
        let layer = scratch.path().join(format!("{architecture}.tar"));
        output(Command::new(&crane).args(["export", "--insecure", &platform, &image]).arg(&layer)).await;
        let unpacked = scratch.path().join(architecture);
        std::fs::create_dir(&unpacked).unwrap();
        output(Command::new("tar").arg("-xf").arg(&layer).arg("-C").arg(&unpacked).arg("scorer")).await;
        let program = unpacked.join("scorer");
        let mut version = if architecture == "arm64" { Command::new(QEMU) } else { Command::new(&program) };
        version.args((architecture == "arm64").then_some(&program)).arg("--version");
        assert!(output(&mut version).await.starts_with("scorer "), "{architecture}");
    }
}
