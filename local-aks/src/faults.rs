//! Faults and settings of the cluster that is up, through the control endpoints.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, bail};
use reqwest::{Client, Method};
use serde_json::{Map, Value, json};

use crate::aks::faults::{FaultOrder, KINDS};
use crate::facts::Facts;

/// The control endpoints of a cluster.
pub struct Control {
    http: Client,
    endpoint: String,
}

impl Control {
    /// Those of the cluster with these facts.
    ///
    /// # Errors
    /// When its certificate authority cannot be read.
    pub fn of(facts: &Facts) -> anyhow::Result<Self> {
        // As in control_plane::client; reqwest takes whichever was installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self::at(&facts.control_endpoint, &facts.ca_bundle)
    }

    pub(crate) fn at(endpoint: &str, ca_bundle: &Path) -> anyhow::Result<Self> {
        let bundle = std::fs::read(ca_bundle).with_context(|| format!("cannot read {}", ca_bundle.display()))?;
        let authorities = reqwest::Certificate::from_pem_bundle(&bundle).context("the CA bundle")?;
        let http = Client::builder().tls_certs_only(authorities).build()?;
        Ok(Self { http, endpoint: endpoint.to_owned() })
    }

    /// What stands.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub async fn faults(&self) -> anyhow::Result<Value> {
        self.ask(Method::GET, "faults", None).await
    }

    /// Adds faults, and tells what stands then.
    ///
    /// # Errors
    /// When the order is wrong, which names the field, or the cluster does not answer.
    pub async fn order(&self, order: &FaultOrder) -> anyhow::Result<Value> {
        self.ask(Method::POST, "faults", Some(json!(order))).await
    }

    /// Clears the faults of some kinds, or all of them, and tells what stands then.
    ///
    /// # Errors
    /// When there is no such kind, or the cluster does not answer.
    pub async fn clear(&self, kinds: &[String]) -> anyhow::Result<Value> {
        let Some((last, others)) = kinds.split_last() else { return self.ask(Method::DELETE, "faults", None).await };
        for kind in others {
            self.ask(Method::DELETE, &format!("faults?kind={kind}"), None).await?;
        }
        self.ask(Method::DELETE, &format!("faults?kind={last}"), None).await
    }

    /// Changes settings, and tells all of them.
    ///
    /// # Errors
    /// When one is wrong, which names it, or the cluster does not answer.
    pub async fn settings(&self, change: &Map<String, Value>) -> anyhow::Result<Value> {
        let body = (!change.is_empty()).then(|| json!(change));
        self.ask(if body.is_some() { Method::PUT } else { Method::GET }, "settings", body).await
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let url = format!("{}/control/{path}", self.endpoint);
        let mut request = self.http.request(method, &url);
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let answer = request.send().await.with_context(|| format!("{url} does not answer"))?;
        let (status, text) = (answer.status(), answer.text().await?);
        if status.is_client_error() {
            bail!(text);
        }
        serde_json::from_str(&text).with_context(|| format!("{url} answered {status}: {text}"))
    }
}

/// What stands, a line each, for people.
#[must_use]
pub fn table(faults: &Value) -> String {
    let mut text = String::new();
    for kind in KINDS.iter().chain(&["notices"]) {
        let found = match &faults[*kind] {
            Value::Array(list) => list.clone(),
            Value::Null => Vec::new(),
            one => vec![one.clone()],
        };
        for one in found {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{kind:<14}{}", words(&one));
        }
    }
    if text.is_empty() { "no faults\n".to_owned() } else { format!("{:<14}WHAT\n{text}", "KIND") }
}

/// `key=value key=value`.
fn words(one: &Value) -> String {
    let entries = one.as_object().into_iter().flatten();
    let shown = entries.map(|(key, value)| match value.as_str() {
        Some(text) => format!("{key}={text}"),
        None => format!("{key}={value}"),
    });
    shown.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_is_a_line_each() {
        let faults = json!({
            "requests": [], "quota": [{"cores": 8, "at": "request"}], "throttle": {"secondsLeft": 40, "retryAfterSeconds": 10},
            "down": null, "notices": [{"machine": "m", "pool": "scoring"}],
        });
        let lines = [
            "KIND          WHAT",
            "quota         at=request cores=8",
            "throttle      retryAfterSeconds=10 secondsLeft=40",
            "notices       machine=m pool=scoring",
        ];
        assert_eq!(table(&faults).lines().collect::<Vec<_>>(), lines);
        assert_eq!(table(&json!({})), "no faults\n");
    }
}
