//! What is asked for, and how the cases of a benchmark have met it.

use std::process::ExitCode;

/// The targets of a benchmark, in the order in which they first came.
#[derive(Default)]
pub(crate) struct Targets(Vec<Target>);

struct Target {
    name: &'static str,
    worst: String,
    lowest: f64,
    met: usize,
    cases: usize,
}

impl Targets {
    /// A case of a target that a ratio has to reach.
    #[allow(dead_code, reason = "not every benchmark has a ratio")]
    pub(crate) fn at_least(&mut self, name: &'static str, ratio: f64, wanted: f64) {
        self.judge(name, ratio, wanted, format!("{ratio:.2}x"));
    }

    /// A case of a target that something must not exceed.
    #[allow(dead_code, reason = "not every benchmark has one")]
    pub(crate) fn at_most(&mut self, name: &'static str, got: f64, wanted: f64, shown: String) {
        self.judge(name, -got, -wanted, shown);
    }

    fn judge(&mut self, name: &'static str, got: f64, wanted: f64, shown: String) {
        let met = usize::from(got >= wanted);
        if let Some(target) = self.0.iter_mut().find(|t| t.name == name) {
            target.cases += 1;
            target.met += met;
            if got < target.lowest {
                (target.lowest, target.worst) = (got, shown);
            }
        } else {
            self.0.push(Target { name, worst: shown, lowest: got, met, cases: 1 });
        }
    }

    /// Prints which are met; a failure where one is missed.
    pub(crate) fn verdict(&self) -> ExitCode {
        println!();
        for Target { name, worst, met, cases, .. } in &self.0 {
            let verdict = if met == cases { "pass" } else { "MISS" };
            println!("{verdict}  {name:<60} worst {worst:>9}   {met} of {cases} cases");
        }
        if self.0.iter().all(|t| t.met == t.cases) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// The exit code of a benchmark that could not be run to its end is a failure, too.
pub(crate) fn exit(result: Result<ExitCode, String>) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("{error}");
        ExitCode::FAILURE
    })
}
