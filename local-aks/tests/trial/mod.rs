//! A test that may not be able to run here.

use libtest_mimic::{Failed, Trial};

/// Whether not to run is to fail.
pub(crate) fn required() -> bool {
    std::env::var_os("E2E").is_some_and(|value| value == "required")
}

/// A test that is told as ignored where there are obstacles, unless it is required.
pub(crate) fn trial<F>(name: &'static str, obstacles: &[String], story: impl Fn() -> F + Send + 'static) -> Trial
where
    F: Future<Output = anyhow::Result<()>>,
{
    let reasons = obstacles.join("; ");
    let cannot = !obstacles.is_empty();
    let run = move || {
        if cannot {
            return Err(Failed::from(format!("E2E=required, but it cannot run here: {reasons}")));
        }
        let runtime = tokio::runtime::Runtime::new()?;
        runtime.block_on(story()).map_err(|error| Failed::from(format!("{error:#}")))
    };
    Trial::test(name, run).with_ignored_flag(cannot && !required())
}
