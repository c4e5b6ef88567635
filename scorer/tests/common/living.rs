//! The Python of the tests that ask living programs: scikit-learn, ONNX Runtime, DuckDB.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::python::environment;

/// The interpreter; without one, a word on stderr that the test did not run. With `E2E=required` that is a failure.
pub(crate) fn python() -> Option<PathBuf> {
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/requirements.txt");
    match environment("tests", &requirements) {
        Ok(python) => Some(python),
        Err(why) => {
            assert!(std::env::var_os("E2E").is_none_or(|e2e| e2e != "required"), "no Python for this test: {why}");
            // Past the test runner, which would keep it to itself.
            let _ =
                writeln!(std::io::stderr(), "SKIPPED: no Python 3.11 or later with {} ({why})", requirements.display());
            None
        }
    }
}
