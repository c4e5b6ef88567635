//! The planner against the optimum, the cluster-autoscaler and nodes that are always there: a part of what
//! `cargo bench -p planner --bench policies` holds, in seconds.

mod workloads;

use workloads::{DAY, Workload, all};

fn hold(workloads: impl IntoIterator<Item = Workload>) {
    let mut some = 0;
    for workload in workloads {
        let results = workload.run(42);
        let misses = workload.misses(&results);
        assert!(misses.is_empty(), "{} at {:?}: {misses:?}", workload.name, workload.setting.provisioning);
        some += 1;
    }
    assert!(some > 0);
}

/// Those that two days tell something of, and that take no time.
fn short(provisioning: f64) -> impl Iterator<Item = Workload> {
    all(provisioning, 2 * DAY).into_iter().filter(|workload| !["1,000 schedules", "nightly"].contains(&workload.name))
}

#[test]
fn nodes_that_come_in_half_a_minute() {
    hold(short(30.0));
}

#[test]
fn nodes_that_come_in_two_minutes() {
    hold(short(120.0));
}

#[test]
fn nodes_that_come_in_five_minutes() {
    hold(short(300.0));
}

#[test]
fn nodes_that_come_in_a_quarter_of_an_hour() {
    hold(short(900.0));
}

#[test]
fn one_run_a_night() {
    for provisioning in [30.0, 900.0] {
        hold(all(provisioning, 20 * DAY).into_iter().filter(|workload| workload.name == "nightly"));
    }
}

#[test]
fn a_thousand_schedules() {
    hold(all(120.0, DAY / 4).into_iter().filter(|workload| workload.name == "1,000 schedules"));
}
