//! A pool: its nodes, and who decides on them.

use std::collections::BTreeMap;

use crds::cluster::ScaleDownPolicy;
use crds::{Prewarm, ScoringCluster};
use planner::capacity::Resources;
use planner::provisioning::ENOUGH;
use planner::simulate::trace::Trace;
use planner::simulate::vm::VmSize;
use planner::simulate::{Setting, Spread};
use spec::Span;

use super::args::Arguments;
use super::error::SimulateError;
use super::manifests::{Found, Manifests};
use super::output;
use super::runs::{Packed, Work};
use super::values::{Lateness, Policy};
use super::work::Decider;
use crate::cluster;
use crate::context::name_of;

/// How long idle nodes stay with `After` where a pool does not say.
const AFTER: Span = Span::from_secs(60);
/// How long nodes take to come where nothing is said.
const P50: Span = Span::from_secs(90);
const P95: Span = Span::from_secs(180);
/// The most nodes of any pool.
pub(super) const MAX_NODES: u32 = 1_000;

/// A pool.
pub(super) struct Pool {
    pub(super) name: String,
    pub(super) cluster: Option<Found<ScoringCluster>>,
    pub(super) works: Vec<Work>,
    pub(super) trace: Option<Trace>,
}

/// The pools of the manifests, in the order of their names.
pub(super) fn pools(
    manifests: Manifests,
    trace: Option<Trace>,
    arguments: &Arguments,
) -> Result<Vec<Pool>, SimulateError> {
    let Manifests { mut clusters, schedules, .. } = manifests;
    if let Some(trace) = trace {
        if clusters.len() > 1 {
            let told = "--trace: there are several ScoringClusters; give the manifest of one with -f, or none";
            return Err(SimulateError::Usage(told.to_owned()));
        }
        let cluster = clusters.pop();
        let name = cluster.as_ref().map_or("trace", |found| name_of(&found.object)).to_owned();
        let works = vec![Work::of_trace(&trace, arguments)];
        return Ok(vec![Pool { name, cluster, works, trace: Some(trace) }]);
    }
    let mut pools: Vec<Pool> = Vec::new();
    for (found, ticks) in schedules {
        let name = found.object.spec.cluster_ref.name.clone();
        let known = pools.iter().position(|pool| pool.name == name);
        let at = known.unwrap_or_else(|| {
            let at = clusters.iter().position(|cluster| name_of(&cluster.object) == name);
            let cluster = at.map(|at| clusters.swap_remove(at));
            pools.push(Pool { name, cluster, works: Vec::new(), trace: None });
            pools.len() - 1
        });
        let Some(pool) = pools.get_mut(at) else { continue };
        pool.works.push(Work::of(found, ticks, arguments));
    }
    pools.sort_by(|one, other| one.name.cmp(&other.name));
    pools.iter_mut().for_each(|pool| pool.works.sort_by(|one, other| one.name.cmp(&other.name)));
    Ok(pools)
}

impl Pool {
    /// Whether the manifests have it.
    pub(super) fn is_known(&self) -> bool {
        self.cluster.is_some()
    }

    /// What a node has, where the manifests say it: in the spec, or as learned in the status.
    fn known_capacity(&self) -> Option<Resources> {
        let object = &self.cluster.as_ref()?.object;
        let learned = object.status.as_ref().and_then(|status| status.node_capacity.as_ref());
        let amounts = |learned: &BTreeMap<String, String>| {
            Resources::parse(learned.iter().map(|(name, amount)| (name.as_str(), amount.as_str()))).ok()
        };
        cluster::capacity(object, learned.and_then(amounts))
    }

    /// What an hour of a node costs, if anybody says.
    pub(super) fn price(&self, arguments: &Arguments) -> Option<f64> {
        let own = || self.cluster.as_ref()?.object.spec.price.as_ref();
        arguments.price.or_else(|| Some(own()?.node_hour.to_f64()))
    }

    /// The currency of its prices.
    pub(super) fn currency<'a>(&'a self, arguments: &'a Arguments) -> &'a str {
        let own = || self.cluster.as_ref()?.object.spec.price.as_ref();
        arguments.currency.as_deref().or_else(|| Some(own()?.currency.as_str())).unwrap_or("USD")
    }

    /// Whether what a node has comes from options.
    pub(super) fn is_capacity_assumed(&self) -> bool {
        self.known_capacity().is_none()
    }

    /// How long nodes take to come, where the status has measured enough of them.
    fn measured(&self) -> Option<Lateness> {
        let told = self.cluster.as_ref()?.object.status.as_ref()?.provisioning.as_ref()?;
        let seconds = |seconds: u32| Span::from_secs(seconds.max(1).into());
        let (p50, p95) = (seconds(told.p50_seconds), seconds(told.p95_seconds.max(told.p50_seconds)));
        (told.come.len() >= ENOUGH).then_some(Lateness { p50, p95 })
    }

    /// How long nodes take to come, and whether that is assumed.
    pub(super) fn provisioning(&self, arguments: &Arguments) -> (Lateness, bool) {
        match (arguments.provisioning, self.measured()) {
            (Some(told), _) => (told, true),
            (None, Some(measured)) => (measured, false),
            (None, None) => (Lateness { p50: P50, p95: P95 }, true),
        }
    }

    /// Who decides, if it is this policy.
    pub(super) fn decider(&self, policy: Policy, arguments: &Arguments) -> Decider {
        let spec = self.cluster.as_ref().map(|found| &found.object.spec);
        let own = spec.and_then(|spec| spec.prewarm).unwrap_or(Prewarm::Off);
        let usual = if policy == Policy::BreakEven { Prewarm::Auto } else { own };
        let prewarm = arguments.prewarm.unwrap_or(usual);
        let after = || spec.and_then(|spec| spec.scale_down.after).unwrap_or(AFTER);
        match policy {
            Policy::BreakEven => Decider::BreakEven(prewarm),
            Policy::After(own) => Decider::After(own.unwrap_or_else(after), prewarm),
            Policy::Never => Decider::Never(prewarm),
            Policy::ClusterAutoscaler => Decider::ClusterAutoscaler,
            Policy::AlwaysOn => Decider::AlwaysOn,
        }
    }

    /// Who decides as its manifest has it.
    pub(super) fn own_decider(&self) -> Option<Decider> {
        let spec = &self.cluster.as_ref()?.object.spec;
        Some(match spec.scale_down.policy() {
            ScaleDownPolicy::BreakEven => Decider::BreakEven(spec.prewarm()),
            ScaleDownPolicy::After => Decider::After(spec.scale_down.after.unwrap_or(AFTER), spec.prewarm()),
            ScaleDownPolicy::Never => Decider::Never(spec.prewarm()),
        })
    }

    /// All who are compared: those that are asked for; or all, and what the manifest has if it is none of them.
    pub(super) fn deciders(&self, arguments: &Arguments) -> Vec<Decider> {
        let of =
            |policies: &[Policy]| policies.iter().map(|policy| self.decider(*policy, arguments)).collect::<Vec<_>>();
        if !arguments.policy.is_empty() {
            return of(&arguments.policy);
        }
        let all = of(&Policy::ALL);
        let own = self.own_decider().filter(|own| !all.contains(own));
        own.into_iter().chain(all).collect()
    }

    /// The resource by which nodes of other sizes are counted out: that of these which is known of a node.
    pub(super) fn matched(&self, arguments: &Arguments) -> Option<&'static str> {
        let capacity = self.capacity(arguments);
        ["cpu", "memory"].into_iter().find(|name| capacity.milli(name).is_some())
    }

    fn capacity(&self, arguments: &Arguments) -> Resources {
        self.known_capacity().unwrap_or_else(|| arguments.node_capacity.0.clone())
    }

    /// The world of its nodes; of another size, so many of them that there is as much as before of what is [matched].
    ///
    /// [matched]: Self::matched
    pub(super) fn setting(&self, arguments: &Arguments, size: Option<&VmSize>) -> Setting {
        let (min, max) = match &self.cluster {
            Some(found) => (found.object.spec.min_nodes, found.object.spec.max_nodes),
            None => (0, arguments.max_nodes),
        };
        let capacity = self.capacity(arguments);
        let seconds = |span: Span| f64::from(u32::try_from(span.as_secs()).unwrap_or(u32::MAX));
        let (provisioning, _) = self.provisioning(arguments);
        let (p50, p95) = (seconds(provisioning.p50), seconds(provisioning.p95));
        let with = |capacity, min_nodes, max| {
            let setting = Setting::new(capacity, max, p50);
            Setting { min_nodes, provisioning: Spread::of(p50, p95), ..setting }
        };
        let Some(size) = size else { return with(capacity, min, max) };
        let other = size.capacity();
        let as_many = |nodes| self.as_many(nodes, &other, arguments).min(MAX_NODES);
        let (min, max) = (as_many(min), as_many(max));
        with(other, min, max)
    }

    /// How many nodes of another size have as much of what is [matched] as so many of its own.
    ///
    /// [matched]: Self::matched
    fn as_many(&self, nodes: u32, other: &Resources, arguments: &Arguments) -> u32 {
        let capacity = self.capacity(arguments);
        let matched = self.matched(arguments).and_then(|name| capacity.milli(name).zip(other.milli(name)));
        match matched.filter(|(_, now)| *now > 0) {
            Some((before, now)) => u32::try_from((u128::from(nodes) * before).div_ceil(now)).unwrap_or(u32::MAX),
            None => nodes,
        }
    }

    /// How many nodes of this size it would take to have as much, where no pool has so many.
    pub(super) fn too_many(&self, size: &VmSize, arguments: &Arguments) -> Option<u32> {
        let max = self.cluster.as_ref().map_or(arguments.max_nodes, |found| found.object.spec.max_nodes);
        Some(self.as_many(max, &size.capacity(), arguments)).filter(|nodes| *nodes > MAX_NODES)
    }

    /// The pods of all its works on such nodes, as they are set or with so many threads.
    pub(super) fn packed(&self, setting: &Setting, threads: Option<u32>) -> Vec<Packed<'_>> {
        let slots = |request: &Resources| setting.capacity.fits(request).saturating_mul(setting.max_nodes);
        self.works.iter().map(|work| work.packed(threads, slots)).collect()
    }

    /// What of its manifest is not simulated.
    pub(super) fn notes(&self) -> Vec<String> {
        let Some(spec) = self.cluster.as_ref().map(|found| &found.object.spec) else { return Vec::new() };
        let mut notes = Vec::new();
        if spec.paused {
            notes.push(format!("pool {} is paused; it is simulated as if it were not", self.name));
        }
        if spec.budget.is_some() {
            notes.push(format!("pool {} has a budget; it is simulated as if it had none", self.name));
        }
        notes
    }
}

/// Why there can be no such pods: the first that fits onto no node.
pub(super) fn too_large<'a, 'b>(packed: &'b [Packed<'a>], setting: &Setting) -> Option<(&'b Packed<'a>, String)> {
    let large = packed.iter().find(|packed| setting.capacity.fits(&packed.shape.request) == 0)?;
    let (asks, has) = (output::amounts(&large.shape.request), output::amounts(&setting.capacity));
    Some((large, format!("asks for {asks}, and a node has {has}")))
}
