//! Servers that are no part of a cluster: they end with the program that started them, also where that is killed.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::Stdio;
use std::sync::{OnceLock, mpsc};

use anyhow::Context;
use tokio::process::Command;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::command::find;
use crate::processes::Part;

type Job = Box<dyn FnOnce() + Send>;

/// The kernel tells a process that its parent has ended when the thread that made it has: this one ends with the program.
fn starter() -> &'static mpsc::Sender<Job> {
    static STARTER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    STARTER.get_or_init(|| {
        let (sender, jobs) = mpsc::channel::<Job>();
        std::thread::spawn(move || jobs.into_iter().for_each(|job| job()));
        sender
    })
}

/// A program that gets this signal when the one that [starts](start) it ends, and runs as another user and group if these
/// are given.
pub(crate) fn command(program: &Path, signal: &str, ids: Option<(u32, u32)>) -> anyhow::Result<Command> {
    let mut command = Command::new(find("setpriv").context("setpriv is missing: install util-linux")?);
    command.args(["--pdeathsig", signal]);
    if let Some((user, group)) = ids {
        command.args(["--reuid", &user.to_string(), "--regid", &group.to_string(), "--clear-groups"]);
    }
    command.arg("--").arg(program);
    Ok(command)
}

/// Starts it, out of reach of the terminal's Ctrl-C. What it says is added to the log.
pub(crate) async fn start(name: &str, log: &Path, mut command: Command) -> anyhow::Result<Part> {
    let open = OpenOptions::new().create(true).append(true).open(log);
    let output = open.with_context(|| format!("cannot write {}", log.display()))?;
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).process_group(0).kill_on_drop(true);
    let (answer, child) = oneshot::channel();
    let runtime = Handle::current();
    let job = move || {
        let _inside = runtime.enter();
        // Whoever asked may have gone: then the child is dropped, and so killed.
        let _ = answer.send(command.spawn());
    };
    starter().send(Box::new(job)).ok().context("the thread that starts programs has ended")?;
    let child = child.await?.with_context(|| format!("cannot start {name}"))?;
    Ok(Part::new(name, log, child))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::process::{Pid, Signal, kill_process, test_kill_process};

    use super::*;

    /// Names the folder to a test program that is to start something and wait to be killed.
    const FOLDER: &str = "ALONE_STARTS_IN";

    #[tokio::test]
    async fn what_was_started_ends_with_a_program_that_is_killed() {
        if let Some(folder) = std::env::var_os(FOLDER) {
            return start_and_wait(Path::new(&folder)).await;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut program = Command::new(std::env::current_exe().unwrap());
        program.args(["--exact", "alone::tests::what_was_started_ends_with_a_program_that_is_killed"]);
        program.env(FOLDER, folder.path()).stdout(Stdio::null()).kill_on_drop(true);
        let mut program = program.spawn().unwrap();
        let file = folder.path().join("pid");
        let started = async {
            loop {
                if let Some(pid) =
                    std::fs::read_to_string(&file).ok().and_then(|text| Pid::from_raw(text.parse().ok()?))
                {
                    return pid;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let pid = tokio::time::timeout(Duration::from_secs(60), started).await.unwrap();
        test_kill_process(pid).unwrap();
        let program_pid = Pid::from_raw(program.id().unwrap().cast_signed()).unwrap();
        kill_process(program_pid, Signal::KILL).unwrap();
        program.wait().await.unwrap();
        let ends = async {
            while crate::processes::lives(pid.as_raw_nonzero().get()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), ends).await.expect("it ends, too");
    }

    async fn start_and_wait(folder: &Path) {
        let mut sleep = command(&find("sleep").unwrap(), "KILL", None).unwrap();
        sleep.arg("600");
        let started = start("sleep", &folder.join("log"), sleep).await.unwrap();
        let made = folder.join("made");
        std::fs::write(&made, started.pid().unwrap().to_string()).unwrap();
        std::fs::rename(made, folder.join("pid")).unwrap();
        std::future::pending::<()>().await;
    }
}
