//! The pods of a schedule's runs.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    EnvFromSource, EnvVar, LocalObjectReference, ResourceRequirements, Volume, VolumeMount,
};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use spec::{Command, CommandInput};

/// The scorer pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("!has(self.command) || has(self.image)").message("scorer.command is run in an image of yours: name it with scorer.image"),
    validation = Rule::new("has(self.command) || !(has(self.args) || has(self.perItem) || has(self.input) || has(self.timeoutSeconds))").message("scorer.args, scorer.perItem, scorer.input and scorer.timeoutSeconds belong to scorer.command; give the command, or leave them out")
)]
#[serde(rename_all = "camelCase")]
pub struct Scorer {
    /// The image of the pods that score: the operator's by default; with `command`, yours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    #[x_kube(validation = Rule::new("self.matches('^[!-~]+$')").message("scorer.image is the name of an image, without spaces, such as registry.example/scorer:1.0; leave it out for the operator's"))]
    pub image: Option<String>,
    /// Your own program and its first arguments, such as `[python, /app/predict.py]`, which is run in `image` for each
    /// sensor with local files (`SCORING_MODEL`, `SCORING_INPUT`, `SCORING_OUTPUT`). May hold variables in braces:
    /// `{device}` and the sensor's other keys, `{model}`, `{input}`, `{output}`, `{window.start}`, `{window.end}`; `{{` and
    /// `}}` stand for braces. Absent: the built-in scorer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub command: Option<Vec<String>>,
    /// Further arguments of `command`, with the same variables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub args: Option<Vec<String>>,
    /// True: `command` is run once for all sensors of an item, which the file `SCORING_ITEMS` (`{items}`) names, one JSON
    /// object a line. Default false: once for each sensor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_item: Option<bool>,
    /// What `command` finds at `SCORING_INPUT`: `Rows` (default), a CSV of the sensor's readings in the window; or `Files`,
    /// a folder with the files of `data.path` as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<CommandInput>,
    /// How long `command` may take for a sensor (with `perItem`, for all of an item), from 1 second to a day. Then it is ended
    /// as when it is told to stop, and its sensor fails (`DeadlineExceeded`); the others go on. Absent: the run's `deadline`
    /// ends it, and the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86400))]
    pub timeout_seconds: Option<u32>,
    /// How long an item's pod may take to end once it is told to (SIGTERM), from 1 to 600 seconds. `command` gets the
    /// signal, and is killed 5 seconds before. Default 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 600))]
    pub termination_grace_period_seconds: Option<u32>,
    /// The ServiceAccount of plan, item and archive pods. Default `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// Requests and limits of an item's pod. Default: requests of 250m CPU and 128Mi memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// Further environment of plan, item and archive pods, and of `command`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<EnvVar>,
    /// Further labels of plan, item and archive pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Secrets and ConfigMaps whose keys are further environment of plan, item and archive pods. `env` comes before them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), transform = crate::terse::terse)]
    pub env_from: Vec<EnvFromSource>,
    /// Further volumes of plan, item and archive pods, such as the share on which a store `file:///mnt/…` is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), transform = crate::terse::terse)]
    pub volumes: Vec<Volume>,
    /// Where plan, item and archive pods have them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), transform = crate::terse::terse)]
    pub volume_mounts: Vec<VolumeMount>,
    /// Secrets of the schedule's namespace with which the images of its pods are pulled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub image_pull_secrets: Vec<LocalObjectReference>,
}

impl Scorer {
    /// The user's own program, where there is one.
    #[must_use]
    pub fn command(&self) -> Option<Command> {
        Command::of(self.command.clone(), self.args.clone(), self.per_item, self.input, self.timeout_seconds)
    }
}
