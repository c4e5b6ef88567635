//! Carries out the work of operations when their time has come.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::MachineSpec;
use super::app::App;
use super::error::Failure;
use super::fleet::Taking;
use super::work::{Outcome, Work};

/// Machines made or deleted at the same time; a real one starts a kubelet, which this machine must bear.
const AT_ONCE: usize = 16;

/// Runs until dropped; what it started ends with it.
pub(super) async fn drive(app: Arc<App>) {
    let mut acting = JoinSet::new();
    loop {
        let now = app.now();
        let (works, takings, next) = {
            let mut fleet = app.fleet();
            (fleet.take_due(now), fleet.take_machines(now), fleet.next_due())
        };
        for taking in takings {
            let app = app.clone();
            acting.spawn(async move { taken(&app, taking).await });
        }
        for work in works {
            let app = app.clone();
            acting.spawn(async move {
                let outcome = act(&app, &work).await;
                if let Some(error) = &outcome.error {
                    tracing::warn!(
                        operation = work.operation,
                        code = error.code,
                        message = error.message,
                        "operation failed"
                    );
                }
                let now = app.now();
                app.fleet().finish(&work.operation, outcome, now);
            });
        }
        let wait = next.map(|next| Duration::try_from(next.duration_since(now)).unwrap_or_default());
        tokio::select! {
            () = app.changed.notified() => {}
            () = sleep(wait.unwrap_or(Duration::MAX)), if wait.is_some() => {}
            Some(_) = acting.join_next() => {}
        }
    }
}

async fn act(app: &App, work: &Work) -> Outcome {
    let mut outcome = Outcome::default();
    let deletions =
        stream::iter(work.delete.clone()).map(|name| async move { (caught(app.machines.delete(&name)).await, name) });
    for (result, name) in deletions.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await {
        match result {
            Ok(()) => outcome.deleted.push(name),
            Err(error) => outcome.error = Some(internal(format!("Deleting machine '{name}' failed: {error:#}"))),
        }
    }
    let stops =
        stream::iter(work.deallocate.clone()).map(|name| async move { (caught(stop(app, &name, false)).await, name) });
    for (result, name) in stops.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await {
        match result {
            Ok(()) => outcome.deallocated.push(name),
            Err(error) => outcome.error = Some(internal(format!("Deallocating machine '{name}' failed: {error:#}"))),
        }
    }
    if let Some(change) = &work.restyle
        && let Err(error) = caught(app.control_plane.restyle(change)).await
    {
        outcome.error = Some(internal(format!("Changing labels and taints of nodes failed: {error:#}")));
    }
    let starts = stream::iter(work.start.clone()).map(|spec| async move { (start(app, &spec).await, spec.name) });
    for (result, name) in starts.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await {
        match result {
            Ok(()) => outcome.started.push(name),
            Err(error) => outcome.error = Some(internal(format!("Starting machine '{name}' failed: {error:#}"))),
        }
    }
    let creations = stream::iter(work.create.clone()).map(|spec| async move { (create(app, &spec).await, spec.name) });
    for (result, name) in creations.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await {
        match result {
            Ok(()) => outcome.created.push(name),
            Err(error) => outcome.error = Some(internal(format!("Creating machine '{name}' failed: {error:#}"))),
        }
    }
    outcome.created.sort();
    outcome
}

/// Does to a machine what becomes of one that Azure takes back. Nobody waits for it: what goes wrong is in the log.
async fn taken(app: &App, taking: Taking) {
    let (machine, done) = match taking {
        Taking::Notice { machine, not_before, drain } => {
            tracing::info!(machine, %not_before, drain, "the machine will be taken");
            let done = caught(app.control_plane.warn(&machine, not_before, drain)).await;
            (machine, done)
        }
        Taking::Stop { machine, deleted } => {
            tracing::info!(machine, deleted, "the machine is taken");
            let done = caught(stop(app, &machine, deleted)).await;
            (machine, done)
        }
    };
    if let Err(error) = done {
        tracing::warn!(machine, error = format!("{error:#}"), "taking the machine failed");
    }
}

/// As on AKS: the machine dies, its Node is NotReady some time later, and only then the cloud controller looks for the
/// machine, finds none, and deletes the Node.
async fn stop(app: &App, machine: &str, deleted: bool) -> anyhow::Result<()> {
    app.machines.stop(machine).await?;
    if deleted {
        app.control_plane.lost(machine).await?;
        app.machines.delete(machine).await?;
    }
    Ok(())
}

/// One that does not start stays deallocated, with nothing of it running.
async fn start(app: &App, spec: &MachineSpec) -> anyhow::Result<()> {
    let started = caught(app.machines.start(spec)).await;
    if started.is_err()
        && let Err(error) = caught(app.machines.stop(&spec.name)).await
    {
        let error = format!("{error:#}");
        tracing::warn!(machine = spec.name, error, "a machine that failed to start again could not be stopped");
    }
    started
}

async fn create(app: &App, spec: &MachineSpec) -> anyhow::Result<()> {
    let made = caught(app.machines.create(spec)).await;
    if made.is_err()
        && let Err(error) = caught(app.machines.delete(&spec.name)).await
    {
        tracing::warn!(
            machine = spec.name,
            error = format!("{error:#}"),
            "a machine that failed to start could not be cleaned up"
        );
    }
    made
}

/// Makes an error of a panic: an operation must end whatever happens, or its pool stays busy for ever.
async fn caught(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(anyhow::anyhow!("a panic: {}", text.as_deref().unwrap_or("without a message")))
    })
}

fn internal(message: String) -> Failure {
    Failure::new("InternalExecutionError", message)
}
