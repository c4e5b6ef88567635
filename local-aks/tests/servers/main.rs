//! Servers that stand alone: Azurite, PostgreSQL and Kafka, started, killed and started again, and that nothing of them
//! stays.
//!
//! They need Node.js, PostgreSQL, Java and Maven; all but the first are installed on Debian and its kin by root. Elsewhere the tests are told as
//! ignored, with the reasons; with `E2E=required` that is a failure.

mod azurite;
mod kafka;
mod left;
mod postgres;
#[path = "../trial/mod.rs"]
mod trial;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use local_aks::{Options, Progress};
use trial::trial;

/// Why what a test needs is not there.
fn obstacles(what: &str, installed: anyhow::Result<()>) -> Vec<String> {
    let Err(error) = installed else { return Vec::new() };
    eprintln!("The tests of {what} do not run here: {error:#}");
    vec![format!("{error:#}")]
}

#[tokio::main]
async fn prepare() -> [Vec<String>; 3] {
    let (root, progress) = (Options::default().root, Progress::lines());
    [
        obstacles("Azurite", local_aks::azurite::install(&root, &progress).await),
        obstacles("PostgreSQL", local_aks::postgres::install(&progress).await),
        obstacles("Kafka", local_aks::kafka::install(&root, &progress).await),
    ]
}

fn main() -> ExitCode {
    if let Some(folder) = left::asked() {
        return left::hold(&folder);
    }
    let arguments = Arguments::from_args();
    let [node, database, broker] = if arguments.list { Default::default() } else { prepare() };
    let trials = vec![
        trial("an_emulator_comes_back_with_its_blobs", &node, azurite::comes_back),
        trial("a_database_comes_back_with_what_it_had_however_it_ended", &database, postgres::comes_back),
        trial("a_role_has_its_own_database_and_nothing_else", &database, postgres::rights),
        trial("nobody_comes_into_a_database_without_tls", &database, postgres::tls),
        trial("nothing_is_left_by_a_program_that_is_killed", &database, left::nothing_of_a_database),
        trial("a_broker_comes_back_with_what_it_had_however_it_ended", &broker, kafka::comes_back),
        trial("a_broker_takes_its_password_over_tls_and_no_other", &broker, kafka::password),
        trial("a_broker_takes_the_tokens_of_its_issuer_and_no_other", &broker, kafka::tokens),
        trial("a_broker_says_why_it_refuses", &broker, kafka::refusals),
        trial("no_broker_is_left_by_a_program_that_is_killed", &broker, left::nothing_of_a_broker),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}
