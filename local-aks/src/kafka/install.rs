//! Apache Kafka's files, from Maven Central.

use std::path::Path;

use crate::maven::Program;
use crate::progress::Progress;
use crate::root::Root;

const POM: &str = include_str!("../../kafka/pom.xml");

/// Brings what `pom.xml` says, unless that has been done. `root` is where it is kept. Of several who want it at once, also
/// in other programs, one brings it and the others wait.
///
/// # Errors
/// When Java or Maven is missing and cannot be installed, or Maven cannot bring the files.
pub async fn install(root: &Path, progress: &Progress) -> anyhow::Result<()> {
    let folder = Root::new(root)?.kafka();
    Program { name: "Apache Kafka", pom: POM, folder: &folder }.jars(progress).await.map(drop)
}

/// A program of Kafka's, by the name of its class, before its arguments. `memory` is that of Java's heap, in MiB.
pub(super) fn arguments(root: &Path, folder: &Path, memory: u32, class: &str) -> anyhow::Result<Vec<String>> {
    let jars = Root::new(root)?.kafka().join("jars/*");
    Ok(vec![
        format!("-Xmx{memory}m"),
        // Otherwise it keeps a file in the system's folder for temporary ones, and its libraries there.
        "-XX:-UsePerfData".to_owned(),
        format!("-Djava.io.tmpdir={}", folder.join("tmp").display()),
        format!("-Dlog4j2.configurationFile={}", folder.join("log4j2.properties").display()),
        "-cp".to_owned(),
        jars.display().to_string(),
        class.to_owned(),
    ])
}
