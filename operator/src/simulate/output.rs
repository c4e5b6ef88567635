//! What is printed.

use planner::capacity::Resources;
use planner::simulate::report::{Row, count, length, number, table};
use planner::simulate::{StoreRequests, Ticked};
use serde_json::{Value, json};
use spec::shown::visible;

use super::args::Arguments;
use super::load::Load;
use super::pool::Pool;
use super::runs::Work;

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
    let row = |(work, ticked): (&Work, &Ticked)| {
        // Rows of a trace differ: the largest is told.
        let most = if work.is_trace() { "≤ " } else { "" };
        vec![
            visible(&work.name).into_owned(),
            visible(&work.when).into_owned(),
            count(ticked.runs.into()),
            count(ticked.missed.into()),
            format!("{most}{}{}", count(work.sensors.into()), star(work.assumed)),
            format!("{most}{}", count(work.shape.pods.into())),
            format!("{most}{}{}", length(work.shape.lasts), star(!work.is_trace())),
            amounts(&work.shape.request),
        ]
    };
    let rows: Vec<Vec<String>> = pool.works.iter().zip(&load.ticked).take(MOST_SHOWN).map(row).collect();
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

/// The policies of a pool.
pub(super) fn policies(rows: &[Row], currency: &str) -> String {
    let titles: Vec<String> = std::iter::once("POLICY".to_owned()).chain(Row::titles(currency)).collect();
    let cells = |row: &Row| std::iter::once(row.policy.clone()).chain(row.cells()).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
    format!("\n{}", table(&titles, &[0], &rows))
}

/// What else there is to know.
pub(super) fn footer(above: &str, notes: &[String]) -> String {
    let notes: String = notes.iter().map(|note| format!("note: {}\n", visible(note))).collect();
    let assumed = if above.contains('*') { ASSUMED } else { "" };
    format!("\n{LEGEND}{assumed}{notes}")
}

/// A size of machine, and what it did.
pub(super) struct Size {
    pub(super) name: String,
    pub(super) cpus: u32,
    pub(super) memory: f64,
    pub(super) max_nodes: u32,
    /// Pods on a node, of each schedule.
    pub(super) pods: Vec<u32>,
    /// What came of it; or whose pods do not fit.
    pub(super) result: Result<Row, String>,
}

/// The sizes of a pool.
pub(super) fn sizes(sizes: &[Size], currency: &str) -> String {
    let own = ["SIZE", "CPUS", "GIB", "PODS/NODE", "MAX NODES", "CORE-HOURS"].map(str::to_owned);
    let titles: Vec<String> = own.into_iter().chain(Row::titles(currency)).collect();
    let row = |size: &Size| {
        let (least, most) = (size.pods.iter().min().unwrap_or(&0), size.pods.iter().max().unwrap_or(&0));
        let pods = if least == most { count((*most).into()) } else { format!("{least}-{most}") };
        let own =
            vec![size.name.clone(), size.cpus.to_string(), number(size.memory, 0), pods, size.max_nodes.to_string()];
        match &size.result {
            Ok(result) => {
                let hours = number(result.node_hours * f64::from(size.cpus), 1);
                own.into_iter().chain([hours]).chain(result.cells()).collect()
            }
            Err(_) => own,
        }
    };
    let rows: Vec<Vec<String>> = sizes.iter().map(row).collect();
    let misfits = sizes.iter().filter_map(|size| Some((size, size.result.as_ref().err()?)));
    let misfits: String = misfits.map(|(size, why)| format!("{}: {}\n", size.name, visible(why))).collect();
    format!("\n{}{misfits}", table(&titles, &[0], &rows))
}

/// A pool for programs.
pub(super) fn pool_json(pool: &Pool, load: &Load, arguments: &Arguments) -> Value {
    let (provisioning, assumed) = pool.provisioning(arguments);
    let schedule = |(work, ticked): (&Work, &Ticked)| {
        json!({
            "name": work.name, "when": work.when, "runs": ticked.runs, "missed": ticked.missed, "sensors": work.sensors,
            "sensorsAssumed": work.assumed, "sensorsPerPod": work.per_pod, "pods": work.shape.pods,
            "podSeconds": work.shape.lasts, "podRequest": work.shape.request.to_quantities(),
        })
    };
    let schedules: Vec<Value> = pool.works.iter().zip(&load.ticked).map(schedule).collect();
    json!({
        "pool": pool.name, "poolAssumed": !pool.is_known(), "minNodes": load.setting.min_nodes,
        "maxNodes": load.setting.max_nodes, "nodeCapacity": load.setting.capacity.to_quantities(),
        "nodeCapacityAssumed": pool.is_capacity_assumed(), "provisioningAssumed": assumed,
        "provisioningSeconds": {"p50": provisioning.p50.as_secs(), "p95": provisioning.p95.as_secs()},
        "currency": pool.currency(arguments), "schedules": schedules, "notes": load.notes,
        "storeRequests": requests(&load.requests),
    })
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

/// What holds for all pools, for programs.
pub(super) fn heading_json(arguments: &Arguments, start: &str) -> Value {
    json!({
        "days": arguments.days.or(arguments.trace.is_none().then_some(super::DAYS)), "start": start, "seed": arguments.seed,
    })
}
