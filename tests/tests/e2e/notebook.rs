//! The notebook of the examples, executed from its first cell to its last as a data scientist would: with scikit-learn's
//! models, Azure's client for Blob Storage and kubectl.

use std::path::PathBuf;

use anyhow::{Context, Error, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::cluster::{Shared, output, tell, workspace};
use crate::environment::{environment, scratch};

const NAMESPACE: &str = "notebook";

pub(crate) async fn test(cluster: Shared) -> Result<()> {
    let folder = workspace().join("examples/notebook");
    let requirements = folder.join("requirements.txt");
    let made = tokio::task::spawn_blocking(move || environment("notebook", &requirements)).await?;
    let python = made.map_err(Error::msg).context("make a Python environment")?;
    cluster.namespace(NAMESPACE).await?;
    cluster.apply(&cluster.pool("3s")).await?;

    let home = scratch().join("notebook-home");
    std::fs::create_dir_all(&home)?;
    let executed = home.join("executed.ipynb");
    let facts = &cluster.facts;
    let kubectl = format!("{} --kubeconfig {}", facts.bin_dir.join("kubectl").display(), facts.kubeconfig.display());
    let mut jupyter = Command::new(&python);
    jupyter.args(["-m", "jupyter", "execute", "--timeout=300"]).arg(format!("--output={}", executed.display()));
    jupyter.arg(folder.join("batch_scoring.ipynb"));
    // What Jupyter, Matplotlib and kubectl keep belongs below the target folder.
    jupyter.envs([("HOME", &home), ("IPYTHONDIR", &home), ("MPLCONFIGDIR", &home), ("JUPYTER_RUNTIME_DIR", &home)]);
    jupyter.envs([
        ("STORE_URL", facts.store_url.as_str()),
        ("AZURE_STORAGE_ACCOUNT", &facts.store_account),
        ("AZURE_STORAGE_KEY", &facts.store_key),
        ("NAMESPACE", NAMESPACE),
        ("SCORING_CLUSTER", cluster.scoring_cluster),
        ("KUBECTL", &kubectl),
    ]);
    output(jupyter, None).await.context("execute the notebook")?;

    let said = texts(&executed)?;
    let compared = said.iter().find(|text| text.contains("all of them scikit-learn's"));
    tell(&format!("notebook: {}", compared.context("the notebook compares no predictions")?.trim()));
    ensure!(said.iter().any(|text| text.contains("whole job")), "the notebook shows no log: {said:?}");
    ensure!(said.iter().any(|text| text.contains("deleted")), "the notebook leaves its schedule: {said:?}");
    Ok(())
}

/// What the cells of an executed notebook printed.
fn texts(notebook: &PathBuf) -> Result<Vec<String>> {
    let notebook: Value = serde_json::from_slice(&std::fs::read(notebook)?)?;
    let cells = notebook["cells"].as_array().context("a notebook has cells")?;
    let outputs = cells.iter().filter_map(|cell| cell["outputs"].as_array()).flatten();
    let lines = outputs.filter_map(|output| output["text"].as_array());
    Ok(lines.map(|lines| lines.iter().filter_map(Value::as_str).collect()).collect())
}
