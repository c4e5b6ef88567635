//! The program against a real broker: what it makes of a stream, whatever dies meanwhile.
//!
//! They need Java and Maven, and PostgreSQL; on Debian and its kin root installs them. Those with a store that can be away need
//! Node.js, too. Elsewhere the tests are told as ignored, with the reasons; with `E2E=required` that is a failure.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod blobs;
mod dying;
mod fencing;
mod login;
mod outages;
mod over;
mod policies;
mod replica;
mod retention;
mod silence;
mod stream;
#[allow(unreachable_pub)]
#[path = "../../../tests/src/tls.rs"]
mod tls;
mod transactions;
#[path = "../../../local-aks/tests/trial/mod.rs"]
mod trial;
mod world;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use local_aks::{Options, Progress};
use trial::trial;

/// What is in the way of all of them, and of those with Blob Storage for a store.
#[tokio::main]
async fn obstacles() -> [Vec<String>; 2] {
    let (root, progress) = (Options::default().root, Progress::lines());
    let told = |installed: anyhow::Result<()>| installed.err().map(|error| format!("{error:#}"));
    let servers = [local_aks::kafka::install(&root, &progress).await, local_aks::postgres::install(&progress).await];
    let missing: Vec<String> = servers.into_iter().filter_map(told).collect();
    let blobs = told(local_aks::azurite::install(&root, &progress).await);
    [missing.clone(), missing.into_iter().chain(blobs).collect()]
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Each has brokers and replicas of its own, and waits most of the time; more at once would be slow ones.
    arguments.test_threads.get_or_insert(2);
    let [missing, blobs] = if arguments.list { Default::default() } else { obstacles() };
    for missing in &blobs {
        eprintln!("Not all of the tests with a broker run here: {missing}");
    }
    let trials = vec![
        trial("windows_of_a_keyed_stream_are_those_of_a_batch_whatever_dies", &missing, dying::keyed),
        trial(
            "windows_of_sensors_that_are_in_all_partitions_are_those_of_a_batch_whatever_dies",
            &missing,
            dying::spread,
        ),
        trial("a_partition_that_comes_later_counts_from_where_windows_are", &missing, over::later_partition),
        trial("marks_of_windows_over_something_else_are_refused", &missing, over::refused),
        trial("what_is_wrong_with_an_event_is_told_once_and_counts_in_no_window", &missing, policies::dead_letters),
        trial("events_are_archived_as_they_were_received", &missing, policies::archive),
        trial("a_second_event_for_a_time_is_dropped_where_that_is_asked_for", &missing, policies::duplicates),
        trial("a_partition_without_events_holds_up_no_window", &missing, silence::closes),
        trial("a_topic_that_is_not_there_is_told_at_once", &missing, policies::no_topic),
        trial("event_hubs_connection_string_is_taken_over_tls", &missing, policies::connection_string),
        trial("records_that_retention_deleted_are_counted_and_told_and_the_rest_is_read", &missing, retention::lost),
        trial(
            "a_replica_that_retention_overtakes_ends_and_the_next_one_counts_what_is_gone",
            &missing,
            retention::overtaken,
        ),
        trial("records_of_an_aborted_transaction_count_in_no_window", &missing, transactions::aborted),
        trial("an_open_transaction_holds_the_watermark_of_a_silent_partition", &missing, transactions::open),
        trial("a_replica_that_was_stopped_writes_nothing_over_its_successors", &blobs, fencing::stopped),
        trial("a_workload_identity_signs_in_and_goes_on_when_its_token_ends", &missing, login::workload_identity),
        trial("dead_letters_beyond_the_limit_stay_in_the_log_until_the_store_is_back", &blobs, outages::dead_letters),
        trial("windows_beyond_the_limit_stay_in_the_log_until_the_store_is_back", &blobs, outages::windows),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}
