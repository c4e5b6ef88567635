//! The program against a real broker: what it makes of a stream, whatever dies meanwhile.
//!
//! They need Java and Maven, and PostgreSQL; on Debian and its kin root installs them. Elsewhere the tests are told as ignored, with
//! the reasons; with `E2E=required` that is a failure.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod dying;
mod policies;
mod replica;
mod silence;
mod stream;
#[path = "../../../local-aks/tests/trial/mod.rs"]
mod trial;
mod world;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use local_aks::{Options, Progress};
use trial::trial;

#[tokio::main]
async fn obstacles() -> Vec<String> {
    let (root, progress) = (Options::default().root, Progress::lines());
    let installed = [local_aks::kafka::install(&root, &progress).await, local_aks::postgres::install(&progress).await];
    installed.into_iter().filter_map(Result::err).map(|error| format!("{error:#}")).collect()
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Each has brokers and replicas of its own; more at once would be slow ones.
    arguments.test_threads = Some(1);
    let missing = if arguments.list { Vec::new() } else { obstacles() };
    for missing in &missing {
        eprintln!("The tests with a broker do not run here: {missing}");
    }
    let trials = vec![
        trial("windows_of_a_keyed_stream_are_those_of_a_batch_whatever_dies", &missing, dying::keyed),
        trial(
            "windows_of_sensors_that_are_in_all_partitions_are_those_of_a_batch_whatever_dies",
            &missing,
            dying::spread,
        ),
        trial("what_is_wrong_with_an_event_is_told_once_and_counts_in_no_window", &missing, policies::dead_letters),
        trial("events_are_archived_as_they_were_received", &missing, policies::archive),
        trial("a_second_event_for_a_time_is_dropped_where_that_is_asked_for", &missing, policies::duplicates),
        trial("a_partition_without_events_holds_up_no_window", &missing, silence::closes),
        trial("a_topic_that_is_not_there_is_told_at_once", &missing, policies::no_topic),
        trial("event_hubs_connection_string_is_taken_over_tls", &missing, policies::connection_string),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}
