//! A store in a bucket of S3, on a real server of it.
#![allow(clippy::unwrap_used)]

use std::io::Write;

use tests::s3::Gateway;

mod run;
mod server;

/// A server with the bucket `plant`. Without what it takes to build one, a word on stderr that the test did not run; with
/// `E2E=required` that is a failure.
async fn gateway(folder: &std::path::Path) -> Option<Gateway> {
    match Gateway::start("127.0.0.1", folder).await {
        Ok(gateway) => {
            gateway.bucket("plant").unwrap();
            Some(gateway)
        }
        Err(why) => {
            assert!(std::env::var_os("E2E").is_none_or(|e2e| e2e != "required"), "no S3 for this test: {why:#}");
            let _ = writeln!(std::io::stderr(), "SKIPPED: no S3 for this test: {why:#}");
            None
        }
    }
}
