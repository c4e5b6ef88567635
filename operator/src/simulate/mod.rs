//! `operator simulate`: what each policy would make of the schedules in manifests, before anyone pays for it.
//!
//! The simulation itself is the planner's ([`planner::simulate`]); here manifests become demand and outcomes a table.

pub mod args;
pub mod error;
mod files;
mod load;
mod located;
pub mod manifests;
mod names;
mod output;
mod pool;
mod runs;
mod schema;
mod sizes;
pub mod values;
mod work;

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

use planner::simulate::plot::{Group, Strip, svg};
use planner::simulate::report::{Prices, Row};
use planner::simulate::trace::{self, Trace};
use planner::simulate::vm::VmSize;
use planner::simulate::{Outcome, to_one_end};
use serde_json::{Value, json};

use args::{Arguments, Format};
use error::SimulateError;
use load::Load;
use manifests::Manifests;
use pool::Pool;
use values::Named;
use work::{Decider, Job};

/// How many days are simulated where nothing else is said.
const DAYS: u32 = 30;
/// The most bytes of a file of sizes.
const MAX_SIZES_BYTES: u64 = 1024 * 1024;

/// Simulates, and prints what came of it.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    match simulate(arguments, &mut std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has seen enough.
        Err(SimulateError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _nobody_reads = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// Simulates, and writes what came of it.
///
/// # Errors
/// When something cannot be read, simulated or written.
pub fn simulate(arguments: &Arguments, out: &mut dyn Write) -> Result<(), SimulateError> {
    let sizes = arguments.compare_vm_sizes.as_deref().map(sizes_of).transpose()?;
    let trace = arguments.trace.as_deref().map(|path| trace_of(path, arguments)).transpose()?;
    let manifests = Manifests::read(&arguments.filename, arguments.start)?;
    if trace.is_none() && manifests.schedules.is_empty() {
        let paths: Vec<String> = arguments.filename.iter().map(|path| path.display().to_string()).collect();
        return Err(SimulateError::Nothing(paths.join(", ")));
    }
    unused(&manifests, arguments)?;
    overwritten(&manifests, arguments)?;
    let mut notes = Vec::new();
    if manifests.runs > 0 && trace.is_none() {
        notes.push(format!("{} ScoringRuns are left out: nobody knows when runs by hand are made", manifests.runs));
    }
    if trace.is_some() && !manifests.schedules.is_empty() {
        notes.push(format!("the trace stands in the place of {} ScoringSchedules", manifests.schedules.len()));
    }
    let start = match &trace {
        Some(trace) => trace.start.map_or_else(|| "its first row".to_owned(), |start| start.to_string()),
        None => arguments.start.to_string(),
    };
    let pools = pool::pools(manifests, trace, arguments)?;
    let results = match &sizes {
        None => by_policy(&pools, arguments, &start)?,
        Some(sizes) => sizes::by_size(&pools, sizes, arguments)?,
    };
    for pool in pools.iter().filter(|pool| !pool.is_known() && arguments.trace.is_none()) {
        notes.push(format!("ScoringCluster {} is not among the manifests; its size is assumed", pool.name));
    }
    match arguments.output {
        Format::Table => {
            out.write_all(output::heading(arguments, &start).as_bytes())?;
            out.write_all(results.text.as_bytes())?;
            notes.extend(results.notes);
            out.write_all(output::footer(&results.text, &notes).as_bytes())?;
        }
        Format::Json => {
            let mut whole = output::heading_json(arguments, &start);
            whole["notes"] = json!(notes);
            whole["pools"] = Value::Array(results.pools);
            writeln!(out, "{whole:#}")?;
        }
    }
    Ok(out.flush()?)
}

/// What is printed of pools.
#[derive(Default)]
struct Results {
    text: String,
    notes: Vec<String>,
    pools: Vec<Value>,
}

fn by_policy(pools: &[Pool], arguments: &Arguments, start: &str) -> Result<Results, SimulateError> {
    let loads: Vec<Load> =
        pools.iter().map(|pool| pool.load(pool.setting(arguments, None), None, arguments)).collect::<Result<_, _>>()?;
    let mut jobs: Vec<Job> = Vec::new();
    for (pool, load) in pools.iter().zip(&loads) {
        jobs.extend(pool.deciders(arguments).into_iter().map(|decider| job(load, decider, arguments)));
    }
    let mut outcomes = work::run(&jobs).into_iter();
    let mut results = Results::default();
    let mut groups = Vec::new();
    for (pool, load) in pools.iter().zip(&loads) {
        let own = pool.own_decider();
        let prices = prices(arguments, pool.price(arguments));
        let deciders = pool.deciders(arguments);
        let mut decided: Vec<Outcome> = outcomes.by_ref().take(deciders.len()).collect();
        let end = to_one_end(&mut decided);
        let mut rows = Vec::new();
        let mut lines = Vec::new();
        for (decider, outcome) in deciders.into_iter().zip(decided) {
            let set = if Some(decider) == own { output::SET } else { "" };
            rows.push(Row::of(format!("{}{set}", decider.label()), &outcome, &prices, load.requests));
            lines.push(outcome.nodes);
        }
        results.text.push_str(&output::pool(pool, load, arguments));
        results.text.push_str(&output::policies(&rows, end, pool.currency(arguments)));
        results.notes.extend_from_slice(&load.notes);
        let mut value = output::pool_json(pool, load, arguments);
        value["billedSeconds"] = json!(end);
        value["policies"] = json!(rows);
        results.pools.push(value);
        groups.push((pool, rows, lines, end));
    }
    if let Some(path) = &arguments.plot {
        let groups: Vec<Group> = groups
            .iter()
            .map(|(pool, rows, lines, end)| Group {
                title: format!("Nodes of pool {}", pool.name),
                since: start.to_owned(),
                end: *end,
                strips: strips(rows, lines),
            })
            .collect();
        std::fs::write(path, svg(&groups)).map_err(|source| SimulateError::Write { path: path.clone(), source })?;
    }
    Ok(results)
}

fn job<'a>(load: &'a Load, decider: Decider, arguments: &Arguments) -> Job<'a> {
    Job { setting: &load.setting, demand: &load.demand, decider, seed: arguments.seed }
}

/// The picture of each policy.
fn strips<'a>(rows: &[Row], lines: &'a [Vec<(i64, u32)>]) -> Vec<Strip<'a>> {
    let label = |row: &Row| format!("{}: {:.1} node-hours", row.policy, row.node_hours);
    rows.iter().zip(lines).map(|(row, nodes)| Strip { label: label(row), nodes }).collect()
}

fn prices(arguments: &Arguments, node_hour: Option<f64>) -> Prices {
    Prices { node_hour, requests: arguments.request_price.map(|price| price.0) }
}

fn trace_of(path: &Path, arguments: &Arguments) -> Result<Trace, SimulateError> {
    let most = u64::try_from(trace::MAX_BYTES).unwrap_or(u64::MAX);
    let bytes = files::read(path, most)?;
    let seconds = Named::of(&arguments.seconds_per_sensor, "", "");
    trace::parse(&bytes, seconds).map_err(|source| SimulateError::Trace { path: path.to_owned(), source })
}

/// A file of sizes if there is one of this name, else a list.
fn sizes_of(text: &str) -> Result<Vec<VmSize>, SimulateError> {
    let path = Path::new(text);
    if !path.is_file() {
        return VmSize::list(text).map_err(SimulateError::SizeList);
    }
    let bytes = files::read(path, MAX_SIZES_BYTES)?;
    let text = String::from_utf8_lossy(&bytes);
    VmSize::file(&text).map_err(|source| SimulateError::Sizes { path: path.to_owned(), source })
}

/// A schedule that is named by an option but is not there is a mistake.
fn unused(manifests: &Manifests, arguments: &Arguments) -> Result<(), SimulateError> {
    let sensors = arguments.sensors.iter().filter_map(|named| Some(("--sensors", named.schedule.as_ref()?)));
    let seconds = arguments.seconds_per_sensor.iter();
    let seconds = seconds.filter_map(|named| Some(("--seconds-per-sensor", named.schedule.as_ref()?)));
    for (option, name) in sensors.chain(seconds) {
        let is = |schedule: &crds::ScoringSchedule| {
            let own = crate::context::name_of(schedule);
            own == name || format!("{}/{own}", manifests::namespace(schedule)) == *name
        };
        if !manifests.schedules.iter().any(|(found, _)| is(&found.object)) {
            return Err(SimulateError::Usage(format!(
                "{option}: there is no ScoringSchedule {name:?} in the manifests"
            )));
        }
    }
    Ok(())
}

/// A picture in the place of what it is made of is a mistake.
fn overwritten(manifests: &Manifests, arguments: &Arguments) -> Result<(), SimulateError> {
    let Some(plot) = &arguments.plot else { return Ok(()) };
    match arguments.trace.iter().chain(&manifests.files).find(|input| files::is_same(plot, input)) {
        Some(input) => Err(SimulateError::Usage(format!(
            "--plot {} would overwrite {}, which is read; name another file",
            plot.display(),
            input.display()
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
