//! A network file system for the tests: a GlusterFS server of one brick, mounted through FUSE on this machine and its nodes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use crate::command::find;
use crate::packages;
use crate::processes::{kill, marked};
use crate::progress::Progress;
use crate::root::HOST;

/// The programs that it takes, and the Debian package of each.
const PROGRAMS: [(&str, &str); 3] =
    [("glusterd", "glusterfs-server"), ("gluster", "glusterfs-cli"), ("glusterfs", "glusterfs-client")];
const VOLUME: &str = "share";
const LIMIT: Duration = Duration::from_secs(30);

/// Why there can be none here.
#[must_use]
pub fn obstacle() -> Option<String> {
    let fuse = Path::new("/dev/fuse").exists();
    (!fuse).then(|| "there is no /dev/fuse: the kernel lacks FUSE, by which GlusterFS is mounted".to_owned())
}

/// A share. It goes, with its mounts, when dropped.
pub struct Share {
    folder: PathBuf,
    server: Option<Child>,
    /// The mounts: where, and in the mount namespace of which process.
    mounts: Vec<(PathBuf, Option<u32>)>,
}

impl Share {
    /// Starts the server, with so many MiB of room, and mounts the share at [`Share::path`] here and on all nodes that run.
    /// A node that comes later has this machine's mounts.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(folder: &Path, room: u32, progress: &Progress) -> anyhow::Result<Self> {
        packages::ensure(&PROGRAMS, progress).await?;
        let mut share = Self { folder: folder.to_path_buf(), server: None, mounts: Vec::new() };
        for name in ["work", "run", "log", "brick", "mnt", "other"] {
            fs::create_dir_all(share.at(name))?;
        }
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={room}m"), "tmpfs"])
            .arg(share.at("brick")))?;
        fs::create_dir(share.at("brick/files"))?;
        let volfile = share.at("glusterd.vol");
        fs::write(&volfile, share.volfile())?;
        let mut server = Command::new(find("glusterd").context("glusterd is missing")?);
        server.arg("--no-daemon").arg("-f").arg(&volfile).arg("-l").arg(share.at("log/server.log"));
        server.arg("-p").arg(share.at("run/server.pid"));
        server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        share.server = Some(server.spawn()?);
        retry("glusterd", || share.command(&["volume", "info"])).await?;
        let brick = format!("{HOST}:{}", share.at("brick/files").display());
        share.command(&["volume", "create", VOLUME, &brick, "force"])?;
        share.command(&["volume", "set", VOLUME, "storage.reserve", "0"])?;
        share.command(&["volume", "start", VOLUME])?;
        share.mount("mnt", None).await?;
        share.mount("other", None).await?;
        for pid in of_each_node() {
            share.mount("mnt", Some(pid)).await?;
        }
        Ok(share)
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.at("mnt")
    }

    /// Where it is mounted once more, by another client.
    #[must_use]
    pub fn other(&self) -> PathBuf {
        self.at("other")
    }

    /// Kills what serves the files.
    ///
    /// # Errors
    /// When nothing did.
    pub fn stop_serving(&self) -> anyhow::Result<()> {
        let pids = self.bricks();
        ensure!(!pids.is_empty(), "no process serves the brick");
        pids.into_iter().for_each(kill);
        Ok(())
    }

    /// Serves them again.
    ///
    /// # Errors
    /// When that does not start.
    pub async fn serve(&self) -> anyhow::Result<()> {
        self.command(&["volume", "start", VOLUME, "force"])?;
        retry("the share", || Ok(fs::metadata(self.path()).map(drop)?)).await
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn volfile(&self) -> String {
        format!(
            "volume management\n type mgmt/glusterd\n option working-directory {}\n option run-directory {}\n option \
             transport-type socket\n option transport.address-family inet\n option transport.socket.bind-address {HOST}\n \
             option glusterd-sockfile {}\nend-volume\n",
            self.at("work").display(),
            self.at("run").display(),
            self.at("run/server.sock").display()
        )
    }

    fn command(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let mut gluster = Command::new(find("gluster").context("gluster is missing")?);
        gluster.arg(format!("--glusterd-sock={}", self.at("run/server.sock").display()));
        gluster.arg("--mode=script").arg(format!("--log-file={}", self.at("log/cli.log").display()));
        run(gluster.args(arguments))
    }

    async fn mount(&mut self, name: &str, namespace: Option<u32>) -> anyhow::Result<()> {
        let (path, log) = (self.at(name), self.at("log/mount.log"));
        let mut mount = entered(namespace, "glusterfs")?;
        mount.args([&format!("--volfile-server={HOST}"), &format!("--volfile-id=/{VOLUME}")]);
        run(mount.arg(format!("--log-file={}", log.display())).arg(&path))?;
        self.mounts.push((path.clone(), namespace));
        retry("the mount", || run(entered(namespace, "mountpoint")?.arg("-q").arg(&path))).await
    }

    /// The processes that serve bricks, by the files in which they write their numbers.
    fn bricks(&self) -> Vec<i32> {
        let files = fs::read_dir(self.at("run/vols").join(VOLUME)).into_iter().flatten().flatten();
        let pids = files.filter(|file| file.path().extension().is_some_and(|end| end == "pid"));
        pids.filter_map(|file| fs::read_to_string(file.path()).ok()?.trim().parse().ok()).collect()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        for (path, namespace) in std::mem::take(&mut self.mounts) {
            // The namespace goes with its node, and the mount with it.
            if let Ok(mut umount) = entered(namespace, "umount") {
                let _ = run(umount.arg("--lazy").arg(path));
            }
        }
        self.bricks().into_iter().for_each(kill);
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
        // A brick that just died may hold its file system for a moment.
        let _ = run(Command::new("umount").arg("--lazy").arg(self.at("brick")));
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A process of each node that runs: each has a mount namespace of its own, which its processes share.
fn of_each_node() -> Vec<u32> {
    let containerds = marked().into_iter().filter(|process| process.part == "containerd" && process.node.is_some());
    let with_namespace = containerds.filter_map(|process| {
        let namespace = fs::read_link(format!("/proc/{}/ns/mnt", process.pid)).ok()?;
        Some((namespace, process.pid.cast_unsigned()))
    });
    with_namespace.collect::<BTreeMap<_, _>>().into_values().collect()
}

/// A program in the mount namespace of a process.
fn entered(namespace: Option<u32>, program: &str) -> anyhow::Result<Command> {
    let path = find(program).with_context(|| format!("{program} is missing"))?;
    Ok(match namespace {
        None => Command::new(path),
        Some(pid) => {
            let mut enter = Command::new("nsenter");
            enter.args(["--target", &pid.to_string(), "--mount", "--"]).arg(path);
            enter
        }
    })
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        let said = [output.stderr, output.stdout].concat();
        bail!("{command:?}: {}: {}", output.status, String::from_utf8_lossy(&said).trim());
    }
    Ok(())
}

async fn retry(what: &str, attempt: impl Fn() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        match attempt() {
            Err(error) if started.elapsed() > LIMIT => return Err(error.context(format!("{what} does not come up"))),
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            Ok(()) => return Ok(()),
        }
    }
}
