//! Many small nodes or few large ones, pods with many threads or many pods.

use planner::simulate::compare::{Way, best};
use planner::simulate::report::{Row, length};
use planner::simulate::to_one_end;
use planner::simulate::vm::VmSize;
use serde_json::json;

use super::args::Arguments;
use super::error::SimulateError;
use super::load::Load;
use super::output::{self, Size};
use super::pool::{MAX_NODES, Pool, too_large};
use super::values::Policy;
use super::work::{self, Decider};
use super::{Results, job, prices};

/// One policy on nodes of several sizes, with pods as they are set and with other numbers of threads.
pub(super) fn by_size(pools: &[Pool], sizes: &[VmSize], arguments: &Arguments) -> Result<Results, SimulateError> {
    let policy = arguments.policy.first().copied().unwrap_or(Policy::BreakEven);
    let mut results = Results::default();
    for pool in pools {
        one_pool(pool, sizes, pool.decider(policy, arguments), arguments, &mut results)?;
    }
    Ok(results)
}

fn one_pool(
    pool: &Pool,
    sizes: &[VmSize],
    decider: Decider,
    arguments: &Arguments,
    results: &mut Results,
) -> Result<(), SimulateError> {
    let base = pool.load(pool.setting(arguments, None), None, arguments)?;
    let ways: Vec<(Size, Option<Load>)> = sizes.iter().flat_map(|size| of_size(pool, size, arguments)).collect();
    let loads: Vec<&Load> = ways.iter().filter_map(|(_, load)| load.as_ref()).collect();
    let jobs: Vec<_> = loads.iter().map(|load| job(load, decider, arguments)).collect();
    let mut outcomes = work::run(&jobs);
    let end = to_one_end(&mut outcomes);
    let mut outcomes = outcomes.into_iter();
    let label = decider.label();
    let mut rows: Vec<Size> = Vec::new();
    let mut notes = base.notes.clone();
    for (mut size, load) in ways {
        if let Some((load, outcome)) = load.and_then(|load| Some((load, outcomes.next()?))) {
            let told = load.notes.iter().filter(|note| !base.notes.contains(note));
            notes.extend(told.map(|note| format!("{}: {note}", size.title())));
            size.missed = load.ticked.iter().map(|ticked| u64::from(ticked.missed)).sum();
            size.result = Ok(Row::of(label.clone(), &outcome, &prices(arguments, size.price), load.requests));
        }
        rows.push(size);
    }
    for size in sizes {
        if let Some(nodes) = pool.too_many(size, arguments) {
            notes.push(format!(
                "{}: {nodes} nodes would have as much, and a pool has {MAX_NODES} at most; it is not compared with the others",
                size.name
            ));
        }
    }
    let priced = rank(&mut rows);
    let threads = !arguments.pod_threads.0.is_empty();
    let commands = pool.works.iter().filter(|work| work.command).count();
    if threads && commands > 0 {
        notes.push(format!(
            "pool {}: a command scores one sensor after the other, so the pods of {commands} schedules are as set in each row",
            pool.name
        ));
    }
    let matched = match pool.matched(arguments) {
        Some("cpu") => "as many cores at most in each size",
        Some(_) => "as much memory at most in each size, as nodeCapacity names no cpu",
        None => "as many nodes at most in each size, as nodeCapacity names neither cpu nor memory",
    };
    let order = match (threads, priced) {
        (false, _) => "",
        (true, true) => ", cheapest first (nodes and requests)",
        (true, false) => ", fewest core-hours first, as not all sizes have a price",
    };
    let (billed, currency) = (length(end), pool.currency(arguments));
    results.text.push_str(&output::pool(pool, &base, arguments));
    results
        .text
        .push_str(&format!("\nWith {label}, and {matched}, all billed to one end, {billed} after the start{order}:\n"));
    results.text.push_str(&if threads {
        output::ways(&ordered(&rows), currency)
    } else {
        output::sizes(&rows, currency)
    });
    let mut value = output::pool_json(pool, &base, arguments);
    value["policy"] = json!(label);
    value["notes"] = json!(notes);
    results.notes.extend(notes);
    value["billedSeconds"] = json!(end);
    value["matchedBy"] = json!(pool.matched(arguments).unwrap_or("nodes"));
    value["sizes"] = rows.iter().filter(|row| row.set).map(output::size_json).collect();
    if threads {
        value["ways"] = ordered(&rows).into_iter().map(output::way_json).collect();
        value["waysBy"] = json!(if priced { "cost" } else { "coreHours" });
    }
    results.pools.push(value);
    Ok(())
}

/// All ways to use a size: what is to be simulated, or why it cannot be.
fn of_size<'a>(pool: &'a Pool, size: &VmSize, arguments: &Arguments) -> Vec<(Size, Option<Load<'a>>)> {
    let setting = pool.setting(arguments, Some(size));
    let set = pool.packed(&setting, None);
    let mut ways = Vec::new();
    let mut is_set_there = false;
    for threads in arguments.pod_threads.0.iter().copied().map(Some).chain([None]) {
        let packed = pool.packed(&setting, threads);
        let as_set = packed.iter().zip(&set).all(|(packed, set)| packed.is_as(set));
        if as_set && is_set_there {
            continue;
        }
        is_set_there |= as_set;
        let load = match too_large(&packed, &setting) {
            Some((large, why)) => Err(format!("a pod of {} {why}", large.work.name)),
            // Here runs may pile up, and elsewhere not.
            None => pool.load(setting.clone(), threads, arguments).map_err(|error| error.to_string()),
        };
        let way = Size {
            name: size.name.clone(),
            cpus: size.cpus,
            memory: size.memory,
            price: size.price,
            max_nodes: setting.max_nodes,
            fewer: pool.too_many(size, arguments).is_some(),
            threads,
            set: as_set,
            pods: packed.iter().map(|packed| setting.capacity.fits(&packed.shape.request)).collect(),
            per_pod: packed.iter().map(|packed| packed.per_pod).collect(),
            schedules: output::packed_json(&packed),
            missed: 0,
            weight: None,
            best: false,
            result: Err(load.as_ref().err().cloned().unwrap_or_default()),
        };
        ways.push((way, load.ok()));
    }
    ways
}

/// Weighs all, by money unless a size has no price, and marks the best. Returns whether it was money.
fn rank(rows: &mut [Size]) -> bool {
    let priced = rows.iter().filter_map(|row| row.result.as_ref().ok()).all(|result| result.cost.is_some());
    let mut ways = Vec::new();
    for (at, row) in rows.iter_mut().enumerate() {
        let Ok(result) = &row.result else { continue };
        let money = result.cost.filter(|_| priced).map(|cost| cost + result.store_cost.unwrap_or(0.0));
        let cost = money.unwrap_or_else(|| row.core_hours(result));
        let (starts, done) = (result.starts_late.p95, result.done.p95);
        row.weight = Some(cost);
        if !row.fewer {
            ways.push((at, Way { cost, missed: row.missed, starts, done }));
        }
    }
    let (at, ways): (Vec<usize>, Vec<Way>) = ways.into_iter().unzip();
    at.into_iter().zip(best(&ways)).for_each(|(at, best)| rows[at].best = best);
    priced
}

/// The cheapest first, those that do not fit last.
fn ordered(rows: &[Size]) -> Vec<&Size> {
    let mut rows: Vec<&Size> = rows.iter().collect();
    let weight = |row: &Size| row.weight.unwrap_or(f64::INFINITY);
    rows.sort_by(|one, other| weight(one).total_cmp(&weight(other)));
    rows
}
