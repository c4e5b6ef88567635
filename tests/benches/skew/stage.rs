//! The operator as a process: the program of the image.

use std::path::PathBuf;

use anyhow::{Context, Result};
use local_aks::images;
use tests::control_plane::{ControlPlane, NAMESPACE, workspace};
use tests::host_operator::{HostOperator, Running};

use crate::NAME;

pub(crate) struct Stage {
    operator: HostOperator,
}

impl Stage {
    pub(crate) async fn set(control_plane: &ControlPlane) -> Result<Self> {
        let facts = &control_plane.facts;
        let program = match std::env::var_os("OPERATOR") {
            Some(path) => PathBuf::from(path),
            None => images::build(&workspace(), |line| tests::local::tell(NAME, line)).await?.operator()?.to_path_buf(),
        };
        let folder = workspace().join("target/skew");
        std::fs::create_dir_all(&folder).context("make the folder of the log")?;
        // No pool is asked for nodes: nobody has to be signed in.
        let operator = HostOperator::of(facts, NAMESPACE, NAME, program, &folder);
        Ok(Self { operator })
    }

    pub(crate) fn start(&self) -> Result<Running> {
        self.operator.start()
    }
}
