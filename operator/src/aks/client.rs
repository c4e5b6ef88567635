//! Requests to the agent pools of managed clusters.

use std::sync::Arc;
use std::time::Duration;

use azure_core::http::headers::HeaderName;
use azure_core::http::policies::Policy;
use azure_core::http::{
    ClientOptions, Context, Method, Pipeline, PipelineSendOptions, RawResponse, Request, RetryOptions, Url,
};
use crds::AksPool;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{AgentPool, AksError};

/// Later versions make nodeImageVersion writable, and a whole PUT would then pin it.
const API_VERSION: &str = "2026-03-01";
/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The most pages of a list; 1,000 machines are far fewer.
const MAX_PAGES: u32 = 100;

const ETAG: HeaderName = HeaderName::from_static("etag");
const IF_MATCH: HeaderName = HeaderName::from_static("if-match");
const CONTENT_TYPE: HeaderName = HeaderName::from_static("content-type");

/// A client for all agent pools behind one endpoint. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AgentPools {
    endpoint: Url,
    pipeline: Pipeline,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    value: Vec<Item>,
    #[serde(default)]
    next_link: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    name: String,
}

/// The machines of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machines {
    /// Their names.
    pub names: Vec<String>,
    /// How many requests it took to list them.
    pub pages: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MachineNames<'a> {
    machine_names: &'a [String],
}

impl AgentPools {
    /// A client of the Resource Manager at `endpoint`, whose requests are authorised by `authorization`.
    ///
    /// Nothing is sent twice: a repeated PUT would cost a token of a small bucket, and who asks looks again anyway.
    #[must_use]
    pub fn new(endpoint: Url, authorization: Arc<dyn Policy>, options: ClientOptions) -> Self {
        let options = ClientOptions { retry: RetryOptions::none(), ..options };
        let (name, version) = (option_env!("CARGO_PKG_NAME"), option_env!("CARGO_PKG_VERSION"));
        let pipeline = Pipeline::new(name, version, options, Vec::new(), vec![authorization], None);
        Self { endpoint, pipeline }
    }

    /// Reads an agent pool.
    ///
    /// # Errors
    /// When Azure refuses or is not reached.
    pub async fn get(&self, pool: &AksPool) -> Result<AgentPool, AksError> {
        let doing = format!("GET agent pool {}", shown(pool));
        let request = Request::new(self.url(&doing, pool, None)?, Method::Get);
        agent_pool(&doing, &self.send(&doing, request).await?)
    }

    /// Writes an agent pool, whole, if nobody else has changed it since it was read.
    ///
    /// # Errors
    /// When Azure refuses or is not reached. Then it may have been written or not: read it to know.
    pub async fn put(&self, pool: &AksPool, wanted: &AgentPool) -> Result<AgentPool, AksError> {
        let doing = format!("PUT agent pool {} with count {}", shown(pool), wanted.count());
        let mut request = Request::new(self.url(&doing, pool, None)?, Method::Put);
        request.insert_header(CONTENT_TYPE, "application/json");
        if let Some(etag) = wanted.etag() {
            request.insert_header(IF_MATCH, etag.to_owned());
        }
        request.set_json(wanted).map_err(|error| AksError::sending(&doing, &error))?;
        let response = self.send(&doing, request).await?;
        // It is accepted, whatever is told of it.
        Ok(agent_pool(&doing, &response).unwrap_or_else(|_| wanted.clone().under_way()))
    }

    /// The names of the pool's machines, all pages of them.
    ///
    /// # Errors
    /// When Azure refuses or is not reached, or a page leads to another host: half a list is no list.
    pub async fn machines(&self, pool: &AksPool) -> Result<Machines, AksError> {
        let doing = format!("list machines of agent pool {}", shown(pool));
        let mut url = self.url(&doing, pool, Some("machines"))?;
        let mut names = Vec::new();
        for pages in 1..=MAX_PAGES {
            let response = self.send(&doing, Request::new(url.clone(), Method::Get)).await?;
            let page: Page = serde_json::from_slice(response.body())
                .map_err(|error| AksError::unexpected(&doing, format!("the page is no list of machines: {error}")))?;
            names.extend(page.value.into_iter().map(|item| item.name));
            match page.next_link.filter(|link| !link.is_empty()) {
                Some(link) => url = self.next(&doing, &link)?,
                None => return Ok(Machines { names, pages }),
            }
        }
        Err(AksError::unexpected(&doing, format!("the list has not ended after {MAX_PAGES} pages")))
    }

    /// Deletes exactly these machines.
    ///
    /// # Errors
    /// When Azure refuses or is not reached.
    pub async fn delete_machines(&self, pool: &AksPool, names: &[String]) -> Result<(), AksError> {
        let doing = format!("delete machines {} of agent pool {}", names.join(", "), shown(pool));
        let mut request = Request::new(self.url(&doing, pool, Some("deleteMachines"))?, Method::Post);
        request.insert_header(CONTENT_TYPE, "application/json");
        let body = MachineNames { machine_names: names };
        request.set_json(&body).map_err(|error| AksError::sending(&doing, &error))?;
        self.send(&doing, request).await.map(drop)
    }

    async fn send(&self, doing: &str, mut request: Request) -> Result<RawResponse, AksError> {
        let context = Context::new();
        let options = Some(PipelineSendOptions { skip_checks: true, ..PipelineSendOptions::default() });
        let answer = tokio::time::timeout(TIMEOUT, self.pipeline.send(&context, &mut request, options)).await;
        let response =
            answer.map_err(|_| AksError::late(doing, TIMEOUT))?.map_err(|error| AksError::sending(doing, &error))?;
        if response.status().is_success() { Ok(response) } else { Err(AksError::answer(doing, &response)) }
    }

    fn url(&self, doing: &str, pool: &AksPool, below: Option<&str>) -> Result<Url, AksError> {
        let mut url = self.endpoint.clone();
        let group = ["subscriptions", &pool.subscription_id, "resourceGroups", &pool.resource_group, "providers"];
        let cluster = ["Microsoft.ContainerService", "managedClusters", &pool.cluster_name, "agentPools"];
        url.path_segments_mut()
            .map_err(|()| AksError::unexpected(doing, format!("{} cannot be an endpoint", self.endpoint)))?
            .pop_if_empty()
            .extend(group)
            .extend(cluster)
            .push(&pool.agent_pool)
            .extend(below);
        url.query_pairs_mut().append_pair("api-version", API_VERSION);
        Ok(url)
    }

    /// The next page, which must be where the first one was: the token goes with the request.
    fn next(&self, doing: &str, link: &str) -> Result<Url, AksError> {
        let url =
            self.endpoint.join(link).map_err(|e| AksError::unexpected(doing, format!("nextLink {link:?}: {e}")))?;
        if url.origin() == self.endpoint.origin() {
            return Ok(url);
        }
        let message = format!("the next page is on another host than {}, and is not followed: {link}", self.endpoint);
        Err(AksError::unexpected(doing, message))
    }
}

fn agent_pool(doing: &str, response: &RawResponse) -> Result<AgentPool, AksError> {
    let object: Map<String, Value> = serde_json::from_slice(response.body())
        .map_err(|error| AksError::unexpected(doing, format!("the answer is no agent pool: {error}")))?;
    if !object.get("properties").is_some_and(Value::is_object) {
        return Err(AksError::unexpected(doing, "the answer is no agent pool: it has no properties"));
    }
    Ok(AgentPool::new(object, response.headers().get_optional_string(&ETAG)))
}

fn shown(pool: &AksPool) -> String {
    format!("{}/{}/{}", pool.resource_group, pool.cluster_name, pool.agent_pool)
}

#[cfg(test)]
mod tests;
