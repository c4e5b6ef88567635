//! Whoever may change the agent pools in Azure, beside the operator.

use anyhow::{Context, Result, ensure};
use axum::http::{HeaderValue, Request, header};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client, Config};
use local_aks::Facts;
use serde_json::{Value, json};

use crate::cluster::{RELEASE, SYSTEM, until};

/// One pool, through the agentPools API.
pub(crate) struct Administrator {
    arm: Client,
    pools: String,
    pool: String,
    bearer: HeaderValue,
}

impl Administrator {
    /// Of the pool of the facts, as the operator's identity, the only one that may.
    pub(crate) async fn open(client: &Client, facts: &Facts) -> Result<Self> {
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), SYSTEM);
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
        let entra = azure(facts, &facts.authority_host)?;
        let request = Request::post(format!("/{}/oauth2/v2.0/token", facts.tenant_id))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.into_bytes())?;
        let answer: Value = serde_json::from_str(&entra.request_text(request).await.context("ask for a token")?)?;
        let token = answer["access_token"].as_str().context("no access_token")?;
        let pools = format!(
            "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.ContainerService/managedClusters/{}/agentPools",
            facts.subscription_id, facts.resource_group, facts.cluster_name
        );
        let bearer = format!("Bearer {token}").parse().context("the token")?;
        Ok(Self { arm: azure(facts, &facts.arm_endpoint)?, pools, pool: facts.agent_pool.clone(), bearer })
    }

    /// Changes some of its properties, and waits until that is done.
    pub(crate) async fn update(&self, properties: &Value) -> Result<()> {
        let mut pool = self.ask(&self.pool, None).await?;
        for (name, value) in properties.as_object().into_iter().flatten() {
            pool["properties"][name] = value.clone();
        }
        self.ask(&self.pool, Some(&pool)).await?;
        self.settled(&self.pool).await
    }

    /// Makes another pool like it, without nodes.
    pub(crate) async fn make(&self, name: &str) -> Result<()> {
        let like = self.ask(&self.pool, None).await?;
        let properties = ["mode", "vmSize", "osType", "type"].map(|name| (name, like["properties"][name].clone()));
        let mut properties = serde_json::Map::from_iter(properties.map(|(name, value)| (name.to_owned(), value)));
        properties.retain(|_, value| !value.is_null());
        properties.insert("count".to_owned(), json!(0));
        self.ask(name, Some(&json!({"properties": properties}))).await?;
        self.settled(name).await
    }

    async fn settled(&self, name: &str) -> Result<()> {
        until("the pool's operation to end", 120, async || {
            let pool = self.ask(name, None).await?;
            let state = pool["properties"]["provisioningState"].as_str().unwrap_or_default();
            ensure!(state != "Failed", "the pool's operation failed: {pool}");
            Ok((state == "Succeeded").then_some(()))
        })
        .await
    }

    /// Reads a pool, or writes it.
    async fn ask(&self, name: &str, pool: Option<&Value>) -> Result<Value> {
        let path = format!("{}/{name}?api-version=2026-03-01", self.pools);
        let request = match pool {
            None => Request::get(path),
            Some(_) => Request::put(path),
        };
        let request =
            request.header(header::AUTHORIZATION, &self.bearer).header(header::CONTENT_TYPE, "application/json");
        let body = pool.map_or_else(Vec::new, |pool| pool.to_string().into_bytes());
        let text = self.arm.request_text(request.body(body)?).await;
        let text = text.with_context(|| format!("ask for agent pool {name}"))?;
        serde_json::from_str(&text).context("read the agent pool")
    }
}

/// A client for one of the stand-ins for Azure, whose certificates are of the local authority.
pub(crate) fn azure(facts: &Facts, endpoint: &str) -> Result<Client> {
    let mut config = Config::new(endpoint.parse().with_context(|| format!("the endpoint {endpoint}"))?);
    config.root_cert_file = Some(facts.ca_bundle.clone());
    Client::try_from(config).with_context(|| format!("make a client for {endpoint}"))
}
