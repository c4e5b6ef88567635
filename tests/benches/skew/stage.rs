//! The operator as a process: the program of the image.

use std::path::PathBuf;

use anyhow::{Context, Result};
use local_aks::images;
use tests::control_plane::{ControlPlane, workspace};
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
            None => images::build(&workspace(), |line| tests::local::tell(NAME, line)).await?.operator().to_path_buf(),
        };
        let folder = workspace().join("target/skew");
        std::fs::create_dir_all(&folder).context("make the folder of the log")?;
        let operator = HostOperator {
            program,
            kubeconfig: facts.kubeconfig.clone(),
            namespace: tests::control_plane::NAMESPACE.to_owned(),
            identity: NAME.to_owned(),
            scorer_image: "scorer".to_owned(),
            arm_endpoint: facts.arm_endpoint.clone(),
            arm_scope: format!("{}/.default", facts.arm_endpoint.trim_end_matches('/')),
            tenant_id: facts.tenant_id.clone(),
            client_id: facts.client_id.clone(),
            authority_host: facts.authority_host.clone(),
            // No pool is asked for nodes: nobody has to be signed in.
            token_file: "/dev/null".into(),
            ca_bundle: facts.ca_bundle.clone(),
            log: folder.join("operator.log"),
        };
        Ok(Self { operator })
    }

    pub(crate) fn start(&self) -> Result<Running> {
        self.operator.start()
    }
}
