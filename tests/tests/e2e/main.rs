//! The end-to-end tests: one local AKS-shaped cluster with real kubelets, the chart, the product as users get it.
//!
//! `cargo test -p tests --test e2e` runs all; a word after `--` picks those whose name holds it. Needs root on Linux,
//! Go, Node and gcc: where something is missing, the tests are told as ignored, or as failed with `E2E=required`.
//! `KILLS=all` kills the operator after each of its K changes in turn, instead of after a seeded sample of them.

mod administrator;
mod agent_pools;
mod backfill;
mod budget;
mod chaos;
mod cluster;
mod containers;
mod cycles;
mod deallocated;
mod defects;
mod deletion;
mod edits;
#[path = "../../../scorer/tests/common/python.rs"]
mod environment;
mod examples;
mod external;
mod failover;
mod first_run;
mod gluster;
mod inputs;
mod killed;
mod kills;
mod late;
mod leftovers;
mod lost_node;
mod manifests;
mod midrun;
mod notebook;
mod observe;
mod pending;
mod pods;
mod private_registry;
mod processes;
mod python;
mod reasons;
mod shares;
mod stage;
mod store_away;
mod store_refuses;
mod store_s3;
mod training;
mod warm;
mod whole;
mod wrong;

use std::process::ExitCode;

use tests::harness::{Planned, Suite};

fn main() -> ExitCode {
    // `up` starts this very program as the daemon that owns the nodes.
    local_aks::serve_if_asked();
    tests::harness::main(|suite: &Suite<cluster::Cluster>| {
        vec![
            suite.test("a_tick_grows_the_pool_from_zero_and_back_and_machines_go_by_name", first_run::pool),
            suite.test("predictions_are_those_of_scorer_run_byte_for_byte", first_run::predictions),
            suite.test("the_record_and_the_logs_are_in_the_store_and_complete", first_run::record),
            suite.test("a_sensor_without_model_and_one_with_a_corrupt_model_fail_alone", defects::test),
            suite.test(
                "of_a_thousand_sensors_thirty_fail_for_ten_reasons_and_a_rerun_touches_just_those",
                reasons::test,
            ),
            suite.test("a_schedule_trains_models_and_another_scores_with_what_it_published", training::test),
            suite.test("a_command_in_an_image_of_its_own_scores_as_the_built_in_scorer_does", containers::test),
            suite.test("a_backfill_scores_each_window_once_and_begins_none_once_cancelled", backfill::test),
            suite.test("a_wrong_manifest_is_refused_or_told_what_to_do", wrong::test),
            suite.test("every_example_is_accepted_and_reads_the_same_here_and_in_kubectl", examples::test),
            suite.test("the_notebook_runs_from_its_first_cell_to_its_last", notebook::test),
            suite.test(
                "a_private_registry_is_pulled_from_and_what_cannot_be_pulled_is_told_within_a_minute",
                private_registry::test,
            ),
            suite.test("a_python_image_scores_24_sensors_with_the_labels_of_the_built_in_scorer", python::test),
            suite.test("a_sensor_with_which_its_pod_dies_each_time_fails_alone_and_its_logs_tell_how", killed::test),
            suite.test("a_namespace_deleted_in_mid_run_takes_run_and_nodes_with_it", deletion::namespace),
            suite.test(
                "a_run_made_by_hand_tells_that_its_pods_are_refused_and_what_somebody_took_from_it",
                midrun::test,
            ),
            suite.test("an_ended_run_made_by_hand_goes_after_its_ttl", deletion::ttl),
            suite.test(
                "store_a_run_whose_store_is_away_for_two_minutes_tells_so_within_one_and_ends_whole",
                store_away::test,
            ),
            suite.test(
                "store_that_refuses_is_told_within_a_minute_and_no_credential_is_in_what_a_run_leaves",
                store_refuses::test,
            ),
            suite.test(
                "store_in_a_bucket_of_s3_scores_the_same_and_tells_within_a_minute_what_it_refuses",
                store_s3::test,
            ),
            suite.test("store_on_a_network_file_system_scores_the_same_and_tells_what_ails_it", gluster::test),
            // Most of these wait, for a tick or for nodes.
            beside(suite.test("nodes_are_there_when_the_next_tick_comes_and_gone_in_between", warm::test)),
            beside(suite.test(
                "nodes_of_somebody_else_are_used_as_they_are_and_held_for_a_tick_by_pods_that_give_way",
                external::test,
            )),
            beside(suite.test(
                "a_second_run_gets_its_share_as_pods_end_and_while_paused_nothing_starts_and_nothing_is_killed",
                shares::test,
            )),
            beside(suite.test("an_edit_of_max_or_min_nodes_acts_within_ten_seconds_and_kills_no_pod", edits::test)),
            beside(suite.test("machines_that_were_deallocated_are_no_nodes_until_they_are_needed", deallocated::test)),
            beside(suite.test("a_scoringcluster_that_is_deleted_lets_its_nodes_go", deletion::scoring_cluster)),
            beside(
                suite.test("a_pod_on_a_lost_node_is_replaced_within_two_minutes_and_uses_up_no_retry", lost_node::test),
            ),
            beside(suite.test("whatever_dies_each_sensor_is_scored_once_and_each_attempt_has_its_log", chaos::test)),
            // Operators die in these, or Azure does.
            suite.test("a_spent_budget_lets_what_runs_end_and_nothing_start_until_it_is_raised", budget::test).alone(),
            suite.test("when_the_leader_is_killed_the_other_replica_ends_the_run", failover::test).alone(),
            suite
                .test(
                    "cycles_from_no_node_to_three_and_back_kill_no_pod_whatever_azure_does_and_whoever_dies",
                    cycles::test,
                )
                .alone(),
            suite.test("kills_a_run_without_them_takes_k_changes", kills::counted).alone(),
            suite.test("kills_after_the_kth_change_the_run_ends_once_and_whole", kills::sampled).alone(),
            suite.test("taking_the_cluster_down_leaves_nothing_behind", leftovers::test).alone(),
        ]
    })
}

/// In the other lane, with a pool of its own.
fn beside(test: Planned<cluster::Cluster>) -> Planned<cluster::Cluster> {
    test.in_lane(1)
}
