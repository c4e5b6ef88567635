//! An agent pool's `properties`: what a PUT may say, what it may change, and what AKS fills in.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::error::ApiError;

/// Taint and label that AKS itself puts on spot nodes.
const SPOT: &str = "kubernetes.azure.com/scalesetpriority";
pub(super) const MAX_COUNT: u64 = 1000;

/// Answered by the service; ignored when a client sends them back, as it does with GET, change, PUT.
pub(super) const READ_ONLY: &[&str] = &[
    "eTag",
    "provisioningState",
    "currentOrchestratorVersion",
    "nodeImageVersion",
    "status",
    "virtualMachineNodesStatus",
];

/// Fixed when the pool is made (api-version 2026-03-01).
const IMMUTABLE: &[&str] = &[
    "vmSize",
    "osType",
    "osDiskSizeGB",
    "osDiskType",
    "kubeletDiskType",
    "maxPods",
    "type",
    "vnetSubnetID",
    "podSubnetID",
    "availabilityZones",
    "scaleSetPriority",
    "spotMaxPrice",
    "workloadRuntime",
    "messageOfTheDay",
    "proximityPlacementGroupID",
    "gpuInstanceProfile",
    "hostGroupID",
    "capacityReservationGroupID",
    "enableEncryptionAtHost",
    "enableUltraSSD",
    "nodePublicIPPrefixID",
];

/// What a new pool gets where its PUT is silent.
#[derive(Debug, Clone)]
pub(super) struct Defaults {
    pub(super) vm_size: String,
    pub(super) kubernetes_version: String,
    pub(super) node_image: String,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            vm_size: "Standard_D4ds_v5".into(),
            kubernetes_version: "1.36.3".into(),
            node_image: "AKSUbuntu-2404gen2containerd-202610.12.0".into(),
        }
    }
}

/// The writable properties of a pool, known and unknown, as a client wrote them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Properties(Map<String, Value>);

impl Properties {
    /// The properties of a pool that a PUT makes.
    pub(super) fn create(body: &Value, defaults: &Defaults) -> Result<Self, ApiError> {
        let mut given = writable(body)?;
        if given.get("orchestratorVersion").and_then(Value::as_str).is_none_or(str::is_empty) {
            given.insert("orchestratorVersion".into(), json!(defaults.kubernetes_version));
        }
        let spot = given.get("scaleSetPriority").and_then(Value::as_str) == Some("Spot");
        let by_size = given.get("type").and_then(Value::as_str) == Some("VirtualMachines");
        let mut fill = |key: &str, value: Value| {
            given.entry(key).or_insert(value);
        };
        fill("osType", json!("Linux"));
        fill("osDiskSizeGB", json!(128));
        fill("osDiskType", json!("Managed"));
        fill("kubeletDiskType", json!("OS"));
        fill("maxPods", json!(110));
        fill("type", json!("VirtualMachineScaleSets"));
        fill("mode", json!("User"));
        fill("scaleDownMode", json!("Delete"));
        fill("enableAutoScaling", json!(false));
        fill("powerState", json!({"code": "Running"}));
        fill("upgradeSettings", json!({"maxSurge": "10%"}));
        if !by_size {
            fill("count", json!(1));
            fill("vmSize", json!(defaults.vm_size));
        }
        if spot {
            fill("scaleSetEvictionPolicy", json!("Delete"));
            fill("spotMaxPrice", json!(-1));
        }
        let made = Self(given);
        made.check()?;
        Ok(made)
    }

    /// The properties after a PUT on an existing pool. What the PUT leaves out (or gives as null) stays as it is, as
    /// AKS's own "Start Agent Pool" example shows; an empty list or map clears.
    pub(super) fn update(&self, body: &Value) -> Result<Self, ApiError> {
        let mut next = self.0.clone();
        for (key, value) in writable(body)? {
            if key == "orchestratorVersion" && value == json!("") {
                continue;
            }
            let old = self.0.get(&key);
            if IMMUTABLE.contains(&key.as_str()) && !old.is_some_and(|old| same(old, &value)) {
                return Err(ApiError::new(
                    400,
                    "PropertyChangeNotAllowed",
                    format!(
                        "Changing property 'properties.{key}' is not allowed: the agent pool has {}, the request {value}. \
                         Make a new agent pool instead.",
                        old.unwrap_or(&Value::Null)
                    ),
                ));
            }
            next.insert(key, value);
        }
        let next = Self(next);
        next.check()?;
        Ok(next)
    }

    pub(super) fn is_system(&self) -> bool {
        self.text("mode") == Some("System")
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.0.get("powerState").and_then(|state| state.get("code")).and_then(Value::as_str) == Some("Stopped")
    }

    /// Whether an evicted machine stays, deallocated, instead of being deleted.
    pub(super) fn deallocates_evicted(&self) -> bool {
        self.text("scaleSetEvictionPolicy") == Some("Deallocate")
    }

    /// Whether machines that go because the count is lowered stay, deallocated, instead of being deleted.
    pub(super) fn deallocates(&self) -> bool {
        self.text("scaleDownMode") == Some("Deallocate")
    }

    pub(super) fn vm_size(&self) -> &str {
        self.text("vmSize").unwrap_or_default()
    }

    pub(super) fn count(&self) -> u64 {
        match self.by_size() {
            Some(sizes) => sizes.iter().filter_map(|size| size["count"].as_u64()).sum(),
            None => self.0.get("count").and_then(Value::as_u64).unwrap_or(0),
        }
    }

    /// How many machines there should be: none in a stopped pool, whatever its count says.
    pub(super) fn machines_wanted(&self) -> u64 {
        if self.is_stopped() { 0 } else { self.count() }
    }

    /// Makes the count tell the truth after machines came or went without a PUT of it.
    pub(super) fn set_count(&mut self, count: u64) {
        if self.by_size().is_none() {
            self.0.insert("count".into(), json!(count));
        }
    }

    /// Labels for the pool's nodes: AKS's own and the pool's.
    pub(super) fn node_labels(&self, pool: &str) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::from([
            ("agentpool".to_owned(), pool.to_owned()),
            ("kubernetes.azure.com/agentpool".to_owned(), pool.to_owned()),
            ("kubernetes.azure.com/mode".to_owned(), self.text("mode").unwrap_or("User").to_lowercase()),
        ]);
        if self.is_spot() {
            labels.insert(SPOT.into(), "spot".into());
        }
        if let Some(Value::Object(given)) = self.0.get("nodeLabels") {
            for (key, value) in given {
                labels.insert(key.clone(), value.as_str().unwrap_or_default().to_owned());
            }
        }
        labels
    }

    /// Taints for the pool's nodes, `key=value:Effect`.
    pub(super) fn node_taints(&self) -> Vec<String> {
        let mut taints: Vec<String> = match self.0.get("nodeTaints") {
            Some(Value::Array(given)) => given.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        if self.is_spot() && !taints.iter().any(|taint| taint.starts_with(SPOT)) {
            taints.push(format!("{SPOT}=spot:NoSchedule"));
        }
        taints
    }

    pub(super) fn zones(&self) -> Vec<String> {
        match self.0.get("availabilityZones") {
            Some(Value::Array(zones)) => zones.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    }

    /// Everything a GET shows but the parts that only the pool's state knows.
    pub(super) fn render(&self, defaults: &Defaults) -> Map<String, Value> {
        let mut shown = self.0.clone();
        let version = self.text("orchestratorVersion").unwrap_or(&defaults.kubernetes_version);
        shown.insert("currentOrchestratorVersion".into(), json!(version));
        shown.insert("nodeImageVersion".into(), json!(defaults.node_image));
        if let Some(sizes) = self.by_size() {
            shown.insert("virtualMachineNodesStatus".into(), Value::Array(sizes));
        }
        if let Some(Value::Object(profile)) = shown.get_mut("localDNSProfile") {
            // The versions of Kubernetes here are new enough for what is only preferred.
            let state = if profile.get("mode") == Some(&json!("Disabled")) { "Disabled" } else { "Enabled" };
            profile.insert("state".into(), json!(state));
        }
        shown
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(Value::as_str)
    }

    fn is_spot(&self) -> bool {
        self.text("scaleSetPriority") == Some("Spot")
    }

    /// Pools of type VirtualMachines count by size instead; those that AKS scales begin with the least.
    fn by_size(&self) -> Option<Vec<Value>> {
        let scale = self.0.get("virtualMachinesProfile")?.get("scale")?;
        if let Some(manual) = scale.get("manual") {
            return manual.as_array().cloned();
        }
        let least = |size: &Value| json!({"size": size["size"], "count": size["minCount"]});
        Some(scale.get("autoscale")?.as_array()?.iter().map(least).collect())
    }

    fn check(&self) -> Result<(), ApiError> {
        self.one_of("mode", &["System", "User", "Gateway"])?;
        self.one_of("osType", &["Linux", "Windows"])?;
        self.one_of("scaleSetPriority", &["Regular", "Spot"])?;
        self.one_of("scaleSetEvictionPolicy", &["Delete", "Deallocate"])?;
        self.one_of("scaleDownMode", &["Delete", "Deallocate"])?;
        self.one_of("type", &["VirtualMachineScaleSets", "AvailabilitySet", "VirtualMachines"])?;
        let low = if self.is_system() { 1 } else { 0 };
        if let Some(count) = self.0.get("count")
            && !count.as_u64().is_some_and(|count| (low..=MAX_COUNT).contains(&count))
        {
            return Err(wrong("count", count, &format!("must be a whole number from {low} to {MAX_COUNT}")));
        }
        if self.is_system() && self.is_stopped() {
            return Err(ApiError::new(400, "OperationNotAllowed", "An agent pool of mode System cannot be stopped."));
        }
        if self.deallocates() && self.text("osDiskType") == Some("Ephemeral") {
            return Err(ApiError::invalid(
                "With an osDiskType of Ephemeral, 'scaleDownMode' must be Delete: such a machine cannot be deallocated.",
            ));
        }
        if self.0.get("enableAutoScaling") == Some(&json!(true)) {
            let bound = |key: &str| self.0.get(key).and_then(Value::as_u64).filter(|bound| *bound <= MAX_COUNT);
            match (bound("minCount"), bound("maxCount")) {
                (Some(low), Some(high)) if low <= high => {}
                _ => {
                    return Err(ApiError::invalid(format!(
                        "With 'enableAutoScaling', 'minCount' and 'maxCount' are required, from 0 to {MAX_COUNT}, and minCount must not exceed maxCount."
                    )));
                }
            }
        }
        self.check_labels()?;
        self.check_taints()
    }

    fn one_of(&self, key: &str, allowed: &[&str]) -> Result<(), ApiError> {
        match self.0.get(key) {
            Some(value) if !value.as_str().is_some_and(|text| allowed.contains(&text)) => {
                Err(wrong(key, value, &format!("must be one of {}", allowed.join(", "))))
            }
            _ => Ok(()),
        }
    }

    fn check_labels(&self) -> Result<(), ApiError> {
        let Some(labels) = self.0.get("nodeLabels") else { return Ok(()) };
        let Some(map) = labels.as_object() else {
            return Err(wrong("nodeLabels", labels, "must be an object of strings"));
        };
        for (key, value) in map {
            if !value.is_string() {
                return Err(wrong("nodeLabels", value, &format!("label '{key}' must be a string")));
            }
            if key.starts_with("kubernetes.azure.com/") {
                return Err(wrong("nodeLabels", &json!(key), "the prefix kubernetes.azure.com is reserved"));
            }
        }
        Ok(())
    }

    fn check_taints(&self) -> Result<(), ApiError> {
        let Some(taints) = self.0.get("nodeTaints") else { return Ok(()) };
        let good = |taint: &Value| taint.as_str().is_some_and(|text| Taint::parse(text).is_some());
        match taints.as_array() {
            Some(list) if list.iter().all(good) => Ok(()),
            _ => Err(wrong(
                "nodeTaints",
                taints,
                "must be a list of key=value:Effect, Effect one of NoSchedule, PreferNoSchedule, NoExecute",
            )),
        }
    }
}

/// `key=value:Effect` or `key:Effect`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Taint {
    pub(super) key: String,
    pub(super) value: Option<String>,
    pub(super) effect: String,
}

impl Taint {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (rest, effect) = text.rsplit_once(':')?;
        let (key, value) = match rest.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (rest, None),
        };
        let known = matches!(effect, "NoSchedule" | "PreferNoSchedule" | "NoExecute");
        (known && !key.is_empty()).then(|| Self { key: key.into(), value, effect: effect.into() })
    }
}

fn writable(body: &Value) -> Result<Map<String, Value>, ApiError> {
    let bad = || {
        ApiError::new(
            400,
            "InvalidRequestContent",
            "The request body must be an agent pool: an object with 'properties'.",
        )
    };
    let properties = match body.get("properties") {
        Some(Value::Object(properties)) => properties,
        None if body.is_object() => return Ok(Map::new()),
        _ => return Err(bad()),
    };
    let mut given: Map<String, Value> = properties
        .iter()
        .filter(|(key, value)| !READ_ONLY.contains(&key.as_str()) && !value.is_null())
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if let Some(Value::Object(profile)) = given.get_mut("localDNSProfile") {
        profile.remove("state");
    }
    Ok(given)
}

/// ARM compares its enum-like strings without case.
fn same(old: &Value, new: &Value) -> bool {
    match (old.as_str(), new.as_str()) {
        (Some(old), Some(new)) => old.eq_ignore_ascii_case(new),
        // A client may write -1 as -1.0.
        _ => old == new || old.as_f64().is_some_and(|old| Some(old) == new.as_f64()),
    }
}

fn wrong(key: &str, value: &Value, rule: &str) -> ApiError {
    ApiError::invalid(format!("The value of parameter agentPoolProfile.{key} is invalid: {value}: {rule}."))
}
