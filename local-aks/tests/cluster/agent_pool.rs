//! Grows and shrinks the agent pool as the operator does: with a token for a ServiceAccount's.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use local_aks::Facts;
use serde_json::{Value, json};

use crate::wait;

const NAMESPACE: &str = "batch-scoring";
const ACCOUNT: &str = "batch-scoring";

/// The pool `scoring`.
pub(crate) struct AgentPool {
    http: reqwest::Client,
    url: String,
    bearer: String,
}

impl AgentPool {
    /// Exchanges a ServiceAccount's token for one that the API takes.
    pub(crate) async fn open(facts: &Facts, kube: &kube::Client) -> anyhow::Result<Self> {
        let bundle = std::fs::read(&facts.ca_bundle)?;
        let certificates = reqwest::Certificate::from_pem_bundle(&bundle)?;
        let http = reqwest::Client::builder().tls_certs_only(certificates).build()?;
        let assertion = service_account_token(kube).await?;
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &facts.client_id),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", &assertion),
            ("scope", "https://management.azure.com/.default"),
        ];
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let url = format!("{}{}/oauth2/v2.0/token", facts.authority_host, facts.tenant_id);
        let request = http.post(url).header("content-type", "application/x-www-form-urlencoded").body(body);
        let answer: Value = answer(request).await.context("no token")?;
        let bearer = answer["access_token"].as_str().context("no access_token")?.to_owned();
        let Facts { arm_endpoint, subscription_id, resource_group, cluster_name, agent_pool, .. } = facts;
        let url = format!(
            "{arm_endpoint}/subscriptions/{subscription_id}/resourceGroups/{resource_group}/providers/\
             Microsoft.ContainerService/managedClusters/{cluster_name}/agentPools/{agent_pool}"
        );
        Ok(Self { http, url, bearer })
    }

    fn ask(&self, method: reqwest::Method, below: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{below}?api-version=2026-03-01", self.url);
        self.http.request(method, url).bearer_auth(&self.bearer)
    }

    /// Asks for so many machines and waits until they are there.
    pub(crate) async fn scale(&self, count: u32) -> anyhow::Result<()> {
        let mut pool = answer(self.ask(reqwest::Method::GET, "")).await?;
        pool["properties"]["count"] = json!(count);
        answer(self.ask(reqwest::Method::PUT, "").json(&pool)).await?;
        self.settled().await
    }

    /// Deletes machines by name and waits until they are gone.
    pub(crate) async fn delete(&self, names: &[String]) -> anyhow::Result<()> {
        answer(self.ask(reqwest::Method::POST, "/deleteMachines").json(&json!({"machineNames": names}))).await?;
        self.settled().await
    }

    async fn settled(&self) -> anyhow::Result<()> {
        wait("the pool's operation to end", Duration::from_secs(120), async || {
            let pool = answer(self.ask(reqwest::Method::GET, "")).await?;
            let state = pool["properties"]["provisioningState"].as_str().unwrap_or_default();
            ensure!(state != "Failed", "the pool's operation failed: {pool}");
            Ok((state == "Succeeded").then_some(()))
        })
        .await
    }
}

async fn answer(request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
    let answer = request.send().await?;
    let (status, text) = (answer.status(), answer.text().await?);
    if !status.is_success() {
        bail!("{status}: {text}");
    }
    Ok(serde_json::from_str(&text).unwrap_or_default())
}

async fn service_account_token(kube: &kube::Client) -> anyhow::Result<String> {
    let named = |name: &str| ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    let namespace = Namespace { metadata: named(NAMESPACE), ..Namespace::default() };
    Api::all(kube.clone()).create(&PostParams::default(), &namespace).await?;
    let accounts = Api::<ServiceAccount>::namespaced(kube.clone(), NAMESPACE);
    let account = ServiceAccount { metadata: named(ACCOUNT), ..ServiceAccount::default() };
    accounts.create(&PostParams::default(), &account).await?;
    let spec =
        TokenRequestSpec { audiences: vec!["api://AzureADTokenExchange".to_owned()], ..TokenRequestSpec::default() };
    let request = TokenRequest { spec, ..TokenRequest::default() };
    let made = accounts.create_token_request(ACCOUNT, &PostParams::default(), &request).await?;
    Ok(made.status.context("the token request has no status")?.token)
}
