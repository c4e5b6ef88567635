//! ScoringClusters and ScoringSchedules as they are in files.

use std::path::{Path, PathBuf};

use crds::{GROUP, ScoringCluster, ScoringClusterSpec, ScoringSchedule};
use jiff::Timestamp;
use kube::{CustomResourceExt, Resource};
use planner::capacity::Resources;
use planner::ticks::Ticks;
use serde::de::DeserializeOwned;
use serde_json::Value;
use spec::ManifestError;

use super::error::SimulateError;
use super::located::{Node, Tree};
use super::values::{currency, node_price};
use super::{names, schema};
use crate::guard::sentence;
use crate::schedule::validate::check_alone;

/// The API version that is understood.
const API_VERSION: &str = "batchscoring.dev/v1alpha1";
/// The most bytes of a file.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// The most files.
const MAX_FILES: usize = 10_000;
/// How deep folders are looked into.
const MAX_DEPTH: usize = 16;

/// An object, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Found<K> {
    pub(super) object: K,
    file: String,
    node: Node,
}

impl<K> Found<K> {
    /// Something is wrong with a field.
    pub(super) fn wrong(&self, field: &str, message: impl Into<String>) -> ManifestError {
        let line = Some(self.node.line_of(field));
        ManifestError { file: self.file.clone(), line, field: Some(field.to_owned()), message: message.into() }
    }

    fn place(&self) -> String {
        format!("{}, line {}", self.file, self.node.line)
    }
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Manifests {
    pub(super) clusters: Vec<Found<ScoringCluster>>,
    pub(super) schedules: Vec<(Found<ScoringSchedule>, Ticks)>,
    /// How many ScoringRuns there are: runs by hand, which nobody can tell beforehand.
    pub(super) runs: usize,
    /// The files that were read.
    pub(super) files: Vec<PathBuf>,
    schemas: Option<(Value, Value)>,
}

/// The namespace of a schedule that names none.
pub(super) const NAMESPACE: &str = "default";

impl Manifests {
    /// Reads files, folders with all that is in them (`.yaml`, `.yml`, `.json`), and `-`: standard input.
    pub(super) fn read(paths: &[PathBuf], now: Timestamp) -> Result<Self, SimulateError> {
        let mut manifests = Self::default();
        for path in paths {
            let mut files = Vec::new();
            collect(path, 0, &mut files)?;
            files.sort();
            for file in files {
                let text = text_of(&file)?;
                manifests.add(&file.display().to_string(), &text, now)?;
                manifests.files.push(file);
            }
        }
        Ok(manifests)
    }

    /// Reads the documents of a file; those of other kinds are left alone.
    pub(super) fn add(&mut self, file: &str, text: &str, now: Timestamp) -> Result<(), ManifestError> {
        let wrong = |line, message| ManifestError { file: file.to_owned(), line, field: None, message };
        for document in Node::documents(text).map_err(|error| wrong(error.line, error.message))? {
            self.document(file, document, now)?;
        }
        Ok(())
    }

    fn document(&mut self, file: &str, node: Node, now: Timestamp) -> Result<(), ManifestError> {
        let (version, kind) = (node.text("apiVersion").unwrap_or_default(), node.text("kind").unwrap_or_default());
        if kind == "List" {
            // What `kubectl get -o yaml` writes.
            if let Some(Tree::List(items)) = node.get("items").map(|items| &items.tree) {
                return items.iter().try_for_each(|item| self.document(file, item.clone(), now));
            }
        }
        let kinds = [ScoringCluster::kind(&()), ScoringSchedule::kind(&()), crds::ScoringRun::kind(&())];
        let ours = kinds.iter().any(|known| known == kind);
        if !ours && !version.starts_with(GROUP) {
            return Ok(());
        }
        let wrong = |field: &str, message: String| ManifestError {
            file: file.to_owned(),
            line: Some(node.line_of(field)),
            field: Some(field.to_owned()),
            message,
        };
        if version != API_VERSION {
            return Err(wrong("apiVersion", format!("{version:?} is not known; write {API_VERSION}")));
        }
        if !ours {
            return Err(wrong("kind", format!("{kind:?} is not known; write {}", kinds.join(", "))));
        }
        let (clusters, schedules) =
            self.schemas.get_or_insert_with(|| (schema::of::<ScoringCluster>(), schema::of::<ScoringSchedule>()));
        if kind == kinds[0] {
            let found: Found<ScoringCluster> = typed(file, node, clusters)?;
            checked(&found)?;
            let name = name(&found, clusters)?.to_owned();
            if let Some(other) = self.clusters.iter().find(|other| other.object.metadata.name.as_ref() == Some(&name)) {
                return Err(found.wrong("metadata.name", format!("{name:?} is in {} too", other.place())));
            }
            self.clusters.push(found);
        } else if kind == kinds[1] {
            let found: Found<ScoringSchedule> = typed(file, node, schedules)?;
            let ticks = ticks(&found, now)?;
            let called = (namespace(&found.object).to_owned(), name(&found, schedules)?.to_owned());
            names::namespace(&called.0).map_err(|why| found.wrong("metadata.namespace", why))?;
            names::object(&found.object.spec.cluster_ref.name, clusters)
                .map_err(|why| found.wrong("spec.clusterRef.name", format!("there can be none: {why}")))?;
            let same = |other: &Found<ScoringSchedule>| {
                namespace(&other.object) == called.0 && other.object.metadata.name.as_ref() == Some(&called.1)
            };
            if let Some((other, _)) = self.schedules.iter().find(|(other, _)| same(other)) {
                let message = format!("{}/{} is in {} too", called.0, called.1, other.place());
                return Err(found.wrong("metadata.name", message));
            }
            self.schedules.push((found, ticks));
        } else {
            self.runs += 1;
        }
        Ok(())
    }
}

/// The namespace of a schedule.
pub(super) fn namespace(schedule: &ScoringSchedule) -> &str {
    schedule.metadata.namespace.as_deref().unwrap_or(NAMESPACE)
}

fn name<'a, K: Resource>(found: &'a Found<K>, schema: &Value) -> Result<&'a str, ManifestError> {
    let name = found.object.meta().name.as_deref().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| found.wrong("metadata.name", "is missing; add it"))?;
    names::object(name, schema).map_err(|why| found.wrong("metadata.name", why))?;
    Ok(name)
}

fn typed<K: DeserializeOwned + CustomResourceExt>(
    file: &str,
    node: Node,
    schema: &Value,
) -> Result<Found<K>, ManifestError> {
    let error = |path: String, message| ManifestError {
        file: file.to_owned(),
        line: Some(node.line_of(&path)),
        field: Some(path).filter(|path| path != "." && !path.is_empty()),
        message,
    };
    if let Some((path, why)) = schema::misfit(&node, schema) {
        return Err(error(path, why));
    }
    match serde_path_to_error::deserialize(node.to_value()) {
        Ok(object) => Ok(Found { object, file: file.to_owned(), node }),
        Err(wrong) => Err(error(wrong.path().to_string(), sentence(".", &wrong.inner().to_string()))),
    }
}

/// What the API server would refuse of a cluster by its rules, as far as it matters here.
fn checked(found: &Found<ScoringCluster>) -> Result<(), ManifestError> {
    let ScoringClusterSpec { min_nodes, max_nodes, node_capacity, price, budget, .. } = &found.object.spec;
    if min_nodes > max_nodes {
        return Err(found.wrong("spec.minNodes", "minNodes must not be greater than maxNodes"));
    }
    if budget.is_some() && price.is_none() {
        return Err(found.wrong("spec.budget", "needs price.nodeHour, which says what a node costs"));
    }
    if let Some(price) = price {
        node_price(&price.node_hour.to_string()).map_err(|why| found.wrong("spec.price.nodeHour", why))?;
        currency(&price.currency).map_err(|why| found.wrong("spec.price.currency", why))?;
    }
    for (name, amount) in node_capacity.iter().flatten() {
        Resources::parse([(name.as_str(), amount.as_str())])
            .map_err(|error| found.wrong(&format!("spec.nodeCapacity.{name}"), error.to_string()))?;
    }
    Ok(())
}

/// What the operator would say of a schedule, whatever its cluster is.
fn ticks(found: &Found<ScoringSchedule>, now: Timestamp) -> Result<Ticks, ManifestError> {
    check_alone(&found.object.spec, now).map_err(|error| {
        let message = error.to_string();
        let known = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '[' || c == ']';
        let field = message.split(|c| !known(c)).next().unwrap_or_default();
        let path = format!("spec.{field}");
        let whole = ManifestError { field: None, ..found.wrong("spec", message.clone()) };
        match found.node.line_of(&path) == whole.line.unwrap_or(0) {
            true => whole,
            false => found.wrong(&path, message.trim_start_matches(field).trim_start_matches([':', ' '])),
        }
    })
}

/// The files of a path.
fn collect(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), SimulateError> {
    let unreadable = |source| SimulateError::Read { path: path.to_owned(), source };
    if path == Path::new("-") || !path.metadata().map_err(unreadable)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let below = entry.path();
        let is_manifest =
            below.extension().is_some_and(|ending| ["yaml", "yml", "json"].iter().any(|known| ending == *known));
        // A folder behind a link may be one above.
        let is_folder = entry.file_type().map_err(unreadable)?.is_dir();
        if is_folder && depth < MAX_DEPTH {
            collect(&below, depth + 1, files)?;
        } else if is_manifest && !is_folder && below.is_file() {
            files.push(below);
        }
        if files.len() > MAX_FILES {
            return Err(SimulateError::TooManyFiles { path: path.to_owned(), most: MAX_FILES });
        }
    }
    Ok(())
}

fn text_of(path: &Path) -> Result<String, SimulateError> {
    let bytes = super::files::read(path, MAX_BYTES)?;
    String::from_utf8(bytes).map_err(|error| {
        let before = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
        let line = 1 + u64::try_from(before.filter(|byte| **byte == b'\n').count()).unwrap_or(0);
        let message = "this is not UTF-8".to_owned();
        ManifestError { file: path.display().to_string(), line: Some(line), field: None, message }.into()
    })
}
