//! What is printed.

use planner::capacity::Resources;
use planner::simulate::report::{Row, count, length, money, number, table};
use planner::simulate::{StoreRequests, Ticked};
use serde_json::{Value, json};
use spec::shown::visible;

use super::args::Arguments;
use super::load::Load;
use super::pool::Pool;
use super::runs::Packed;

/// So many schedules are listed.
const MOST_SHOWN: usize = 25;
/// Behind the policy that a ScoringCluster has.
pub(super) const SET: &str = " (as set)";
/// What stands below a table.
const LEGEND: &str = "LATE: from a tick to its run's first pod, half of them, 95 of a hundred, and the latest. ENDS: how much \
                      later than at best runs ended.\nMOST NODES: at a time. SCALINGS: operations on the pool. REQUESTS: \
                      to the store, at the least.\n";
const ASSUMED: &str =
    "* not in the manifests: --node-capacity, --max-nodes, --provisioning, --sensors, --seconds-per-sensor\n";

/// What stands below sizes with several kinds of pods.
const WAYS: &str = "THREADS: sensors that a pod scores at a time; with more it asks for as many times as much, and takes as \
                    many times as many sensors.\nDONE: from a tick to its run's end. BEST: nothing that costs less starts and \
                    is done as early, 95 of a hundred, to 5 s or a twentieth.\n";

/// Amounts of resources, such as `cpu 250m, memory 128Mi`.
pub(super) fn amounts(resources: &Resources) -> String {
    let named =
        resources.to_quantities().into_iter().map(|(name, amount)| format!("{name} {}", rounded(&name, &amount)));
    named.collect::<Vec<_>>().join(", ")
}

/// Bytes in a unit in which they are whole.
fn rounded(name: &str, amount: &str) -> String {
    let bytes = amount.parse::<u64>().ok().filter(|bytes| name != "cpu" && *bytes > 0);
    let whole = |unit: u64| bytes.filter(|bytes| bytes.is_multiple_of(unit)).map(|bytes| bytes / unit);
    let unit = [(1 << 30, "Gi"), (1 << 20, "Mi")].into_iter().find_map(|(size, unit)| Some((whole(size)?, unit)));
    unit.map_or_else(|| amount.to_owned(), |(many, unit)| format!("{many}{unit}"))
}

/// What holds for all pools.
pub(super) fn heading(arguments: &Arguments, start: &str) -> String {
    let days = match (&arguments.trace, arguments.days) {
        (Some(_), None) => "all of the trace".to_owned(),
        (_, Some(1)) => "1 day".to_owned(),
        (_, days) => format!("{} days", days.unwrap_or(super::DAYS)),
    };
    format!("{days} from {start}, seed {}.\n", arguments.seed)
}

/// A pool and its schedules.
pub(super) fn pool(pool: &Pool, load: &Load, arguments: &Arguments) -> String {
    let star = |assumed: bool| if assumed { "*" } else { "" };
    let setting = &load.setting;
    let nodes = format!("{} to {}{} nodes", setting.min_nodes, setting.max_nodes, star(!pool.is_known()));
    let capacity = format!("{}{}", amounts(&setting.capacity), star(pool.is_capacity_assumed()));
    let titles = ["SCHEDULE", "WHEN", "RUNS", "MISSED", "SENSORS", "PODS", "A POD TAKES", "AND ASKS FOR"];
    let row = |(Packed { work, shape, .. }, ticked): (&Packed, &Ticked)| {
        // Rows of a trace differ: the largest is told.
        let most = if work.is_trace() { "≤ " } else { "" };
        vec![
            visible(&work.name).into_owned(),
            visible(&work.when).into_owned(),
            count(ticked.runs.into()),
            count(ticked.missed.into()),
            format!("{most}{}{}", count(work.sensors.into()), star(work.assumed)),
            format!("{most}{}", count(shape.pods.into())),
            format!("{most}{}{}", length(shape.lasts), star(work.seconds_assumed)),
            amounts(&shape.request),
        ]
    };
    let rows: Vec<Vec<String>> = load.packed.iter().zip(&load.ticked).take(MOST_SHOWN).map(row).collect();
    let more = match pool.works.len().saturating_sub(MOST_SHOWN) {
        0 => String::new(),
        more => format!("and {more} more, which -o json shows\n"),
    };
    let titles = titles.map(str::to_owned);
    let (provisioning, assumed) = pool.provisioning(arguments);
    let come =
        format!("{} (half of them) to {} (95 of a hundred){}", provisioning.p50, provisioning.p95, star(assumed));
    let pool = visible(&pool.name);
    format!("\nPool {pool}: {nodes} with {capacity}; they come in {come}\n{}{more}", table(&titles, &[0, 1, 7], &rows))
}

/// The policies of a pool, billed to one end.
pub(super) fn policies(rows: &[Row], end: i64, currency: &str) -> String {
    let titles: Vec<String> = std::iter::once("POLICY".to_owned()).chain(Row::titles(currency)).collect();
    let cells = |row: &Row| std::iter::once(row.policy.clone()).chain(row.cells()).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
    format!("\nAll billed to one end, {} after the start:\n{}", length(end), table(&titles, &[0], &rows))
}

/// What else there is to know.
pub(super) fn footer(above: &str, notes: &[String]) -> String {
    let notes: String = notes.iter().map(|note| format!("note: {}\n", visible(note))).collect();
    let assumed = if above.contains('*') { ASSUMED } else { "" };
    format!("\n{LEGEND}{assumed}{notes}")
}

/// A size of machine, the pods on it, and what came of them.
pub(super) struct Size {
    pub(super) name: String,
    pub(super) cpus: u32,
    pub(super) memory: f64,
    pub(super) price: Option<f64>,
    pub(super) max_nodes: u32,
    /// A pool cannot have so many that there is as much as in the others.
    pub(super) fewer: bool,
    /// Sensors that a pod scores at a time; `None`: as each schedule has it set.
    pub(super) threads: Option<u32>,
    /// So are all pods set.
    pub(super) set: bool,
    /// Pods on a node, and sensors of a pod, of each schedule.
    pub(super) pods: Vec<u32>,
    pub(super) per_pod: Vec<u32>,
    /// The pods of each schedule for programs.
    pub(super) schedules: Value,
    /// Ticks without a run.
    pub(super) missed: u64,
    /// What it costs, in whatever the sizes are told apart by.
    pub(super) weight: Option<f64>,
    /// Nothing cheaper is as early.
    pub(super) best: bool,
    /// What came of it; or whose pods do not fit.
    pub(super) result: Result<Row, String>,
}

impl Size {
    /// Hours of its cores.
    pub(super) fn core_hours(&self, result: &Row) -> f64 {
        result.node_hours * f64::from(self.cpus)
    }

    fn threads(&self) -> String {
        match (self.threads, self.set) {
            (Some(threads), true) => format!("{threads}{SET}"),
            (Some(threads), false) => threads.to_string(),
            (None, _) => "as set".to_owned(),
        }
    }

    /// What it is called in a note.
    pub(super) fn title(&self) -> String {
        match self.threads {
            Some(threads) => format!("{} with {threads} to a pod", self.name),
            None => self.name.clone(),
        }
    }
}

/// The least and the most.
fn range(of: &[u32]) -> String {
    let (least, most) = (of.iter().min().unwrap_or(&0), of.iter().max().unwrap_or(&0));
    if least == most { count((*most).into()) } else { format!("{least}-{most}") }
}

/// The sizes whose pods do not fit.
fn misfits<'a>(sizes: impl Iterator<Item = &'a Size>) -> String {
    let misfits = sizes.filter_map(|size| Some((size, size.result.as_ref().err()?)));
    misfits.map(|(size, why)| format!("{}: {}\n", size.title(), visible(why))).collect()
}

/// The sizes of a pool.
pub(super) fn sizes(sizes: &[Size], currency: &str) -> String {
    let own = ["SIZE", "CPUS", "GIB", "PODS/NODE", "MAX NODES", "CORE-HOURS"].map(str::to_owned);
    let titles: Vec<String> = own.into_iter().chain(Row::titles(currency)).collect();
    let row = |size: &Size| {
        let (pods, nodes) = (range(&size.pods), size.max_nodes.to_string());
        let own = vec![size.name.clone(), size.cpus.to_string(), number(size.memory, 0), pods, nodes];
        match &size.result {
            Ok(result) => {
                let hours = number(size.core_hours(result), 1);
                own.into_iter().chain([hours]).chain(result.cells()).collect()
            }
            Err(_) => own,
        }
    };
    let rows: Vec<Vec<String>> = sizes.iter().map(row).collect();
    format!("{}{}", table(&titles, &[0], &rows), misfits(sizes.iter()))
}

/// The sizes of a pool with several kinds of pods each.
pub(super) fn ways(sizes: &[&Size], currency: &str) -> String {
    let titles = [
        "BEST",
        "SIZE",
        "THREADS",
        "SENSORS/POD",
        "PODS/NODE",
        "MAX NODES",
        "MOST NODES",
        "CORE-HOURS",
        "NODE-HOURS",
        &format!("COST {currency}"),
        &format!("STORE {currency}"),
        "REQUESTS",
        "LATE P95",
        "DONE P50",
        "P95",
        "MISSED",
    ];
    let row = |size: &&Size| {
        let result = size.result.as_ref().ok()?;
        Some(vec![
            if size.best { "yes" } else { "" }.to_owned(),
            size.name.clone(),
            size.threads(),
            range(&size.per_pod),
            range(&size.pods),
            size.max_nodes.to_string(),
            result.most_nodes.to_string(),
            number(size.core_hours(result), 1),
            number(result.node_hours, 1),
            money(result.cost),
            money(result.store_cost),
            count(result.store_requests.total()),
            length(result.starts_late.p95),
            length(result.done.p50),
            length(result.done.p95),
            count(size.missed),
        ])
    };
    let rows: Vec<Vec<String>> = sizes.iter().filter_map(row).collect();
    let misfits = misfits(sizes.iter().copied());
    format!("{}{misfits}\n{WAYS}", table(&titles.map(str::to_owned), &[0, 1, 2], &rows))
}

/// A pool for programs.
pub(super) fn pool_json(pool: &Pool, load: &Load, arguments: &Arguments) -> Value {
    let (provisioning, assumed) = pool.provisioning(arguments);
    let schedule = |(packed, ticked): (&Packed, &Ticked)| {
        let work = packed.work;
        let mut value = pods_json(packed);
        value["when"] = json!(work.when);
        value["runs"] = json!(ticked.runs);
        value["missed"] = json!(ticked.missed);
        value["sensors"] = json!(work.sensors);
        value["sensorsAssumed"] = json!(work.assumed);
        value["secondsAssumed"] = json!(work.seconds_assumed);
        value
    };
    let schedules: Vec<Value> = load.packed.iter().zip(&load.ticked).map(schedule).collect();
    json!({
        "pool": pool.name, "poolAssumed": !pool.is_known(), "minNodes": load.setting.min_nodes,
        "maxNodes": load.setting.max_nodes, "nodeCapacity": load.setting.capacity.to_quantities(),
        "nodeCapacityAssumed": pool.is_capacity_assumed(), "provisioningAssumed": assumed,
        "provisioningSeconds": {"p50": provisioning.p50.as_secs(), "p95": provisioning.p95.as_secs()},
        "currency": pool.currency(arguments), "schedules": schedules, "notes": load.notes,
        "storeRequests": requests(&load.requests),
    })
}

/// The pods of a schedule.
fn pods_json(packed: &Packed) -> Value {
    json!({
        "name": packed.work.name, "sensorsPerPod": packed.per_pod, "sensorsAtATime": packed.at_a_time,
        "pods": packed.shape.pods, "podSeconds": packed.shape.lasts, "podRequest": packed.shape.request.to_quantities(),
    })
}

/// The pods of all schedules.
pub(super) fn packed_json(packed: &[Packed]) -> Value {
    packed.iter().map(pods_json).collect()
}

fn requests(requests: &StoreRequests) -> Value {
    json!({"reads": requests.reads, "writes": requests.writes, "lists": requests.lists, "total": requests.total()})
}

/// A size for programs.
pub(super) fn size_json(size: &Size) -> Value {
    let mut value = json!({
        "size": size.name, "cpus": size.cpus, "memoryGib": size.memory, "maxNodes": size.max_nodes, "podsPerNode": size.pods,
    });
    match &size.result {
        Ok(row) => value["result"] = json!(row),
        Err(why) => value["doesNotFit"] = json!(why),
    }
    value
}

/// A size with one kind of pods, for programs.
pub(super) fn way_json(size: &Size) -> Value {
    let mut value = size_json(size);
    value["threads"] = json!(size.threads);
    value["asSet"] = json!(size.set);
    value["missed"] = json!(size.missed);
    value["coreHours"] = json!(size.result.as_ref().ok().map(|result| size.core_hours(result)));
    value["best"] = json!(size.best);
    value["schedules"] = size.schedules.clone();
    value
}

/// What holds for all pools, for programs.
pub(super) fn heading_json(arguments: &Arguments, start: &str) -> Value {
    json!({
        "days": arguments.days.or(arguments.trace.is_none().then_some(super::DAYS)), "start": start, "seed": arguments.seed,
    })
}
