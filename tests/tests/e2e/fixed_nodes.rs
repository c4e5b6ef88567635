//! The nodes of an agent pool that no ScoringCluster owns: somebody else says how many there are.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use axum::http::{HeaderValue, Request, header};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client, Config};
use serde_json::{Value, json};

use crate::cluster::{Cluster, RELEASE, SYSTEM, until};

/// The pool of the tests, through the agentPools API.
pub(crate) struct FixedNodes {
    arm: Client,
    path: String,
    bearer: HeaderValue,
}

impl FixedNodes {
    /// As the operator's identity, the only one that may.
    pub(crate) async fn open(cluster: &Cluster) -> Result<Self> {
        let facts = &cluster.facts;
        let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client.clone(), SYSTEM);
        let audiences = vec!["api://AzureADTokenExchange".to_owned()];
        let spec = TokenRequestSpec { audiences, ..TokenRequestSpec::default() };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let answer = accounts.create_token_request(RELEASE, &PostParams::default(), &request).await?;
        let assertion = answer.status.context("no token was given")?.token;
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_assertion={assertion}\
             &client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer\
             &scope=https%3A%2F%2Fmanagement.azure.com%2F.default",
            facts.client_id
        );
        let entra = client(&facts.authority_host, facts.ca_bundle.clone())?;
        let request = Request::post(format!("/{}/oauth2/v2.0/token", facts.tenant_id))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.into_bytes())?;
        let answer: Value = serde_json::from_str(&entra.request_text(request).await.context("ask for a token")?)?;
        let token = answer["access_token"].as_str().context("no access_token")?;
        let path = format!(
            "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.ContainerService/managedClusters/{}/agentPools/{}\
             ?api-version=2026-03-01",
            facts.subscription_id, facts.resource_group, facts.cluster_name, facts.agent_pool
        );
        let bearer = format!("Bearer {token}").parse().context("the token")?;
        Ok(Self { arm: client(&facts.arm_endpoint, facts.ca_bundle.clone())?, path, bearer })
    }

    /// Makes it so many, without a taint, and waits until that is done.
    pub(crate) async fn scale(&self, count: usize) -> Result<()> {
        let mut pool = self.ask(None).await?;
        pool["properties"]["count"] = json!(count);
        pool["properties"]["nodeTaints"] = json!([]);
        self.ask(Some(&pool)).await?;
        until("the pool's operation to end", 120, async || {
            let pool = self.ask(None).await?;
            let state = pool["properties"]["provisioningState"].as_str().unwrap_or_default();
            ensure!(state != "Failed", "the pool's operation failed: {pool}");
            Ok((state == "Succeeded").then_some(()))
        })
        .await
    }

    /// Reads the pool, or writes it.
    async fn ask(&self, pool: Option<&Value>) -> Result<Value> {
        let request = match pool {
            None => Request::get(&self.path),
            Some(_) => Request::put(&self.path),
        };
        let request =
            request.header(header::AUTHORIZATION, &self.bearer).header(header::CONTENT_TYPE, "application/json");
        let body = pool.map_or_else(Vec::new, |pool| pool.to_string().into_bytes());
        let text = self.arm.request_text(request.body(body)?).await.context("ask for the agent pool")?;
        serde_json::from_str(&text).context("read the agent pool")
    }
}

/// For a server with a certificate of the local authority.
fn client(endpoint: &str, ca_bundle: PathBuf) -> Result<Client> {
    let mut config = Config::new(endpoint.parse().with_context(|| format!("the endpoint {endpoint}"))?);
    config.root_cert_file = Some(ca_bundle);
    Client::try_from(config).with_context(|| format!("make a client for {endpoint}"))
}
