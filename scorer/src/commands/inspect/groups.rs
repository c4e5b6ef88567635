//! What many models have in common: estimators, warnings, and why some do not load.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use super::Counts;
use super::inspection::{Inspection, Outcome};

/// Models named in a group.
const NAMED: usize = 3;
/// Groups of a kind; what is in no group is counted together.
const MAX_GROUPS: usize = 50;

/// Models by what they are, bounded.
#[derive(Debug, Default)]
pub(super) struct Groups {
    estimators: BTreeMap<&'static str, u64>,
    warnings: Kind,
    failures: Kind,
}

/// Groups by message.
#[derive(Debug, Default)]
struct Kind {
    groups: BTreeMap<String, Group>,
    others: u64,
}

#[derive(Debug, Default)]
struct Group {
    /// The first message, in full.
    message: String,
    models: u64,
    first: Vec<String>,
}

impl Groups {
    pub(super) fn add(&mut self, inspection: &Inspection) {
        match &inspection.outcome {
            Outcome::Loads(loaded) => {
                *self.estimators.entry(loaded.estimator.class).or_default() += 1;
                for warning in &loaded.warnings {
                    self.warnings.add(warning, &inspection.model);
                }
            }
            Outcome::Fails { error } => {
                // The group is told once; the models are named below it.
                let what = error.message.replace(&format!("model {}: ", inspection.model), "");
                self.failures.add(
                    &format!("{}: {}", error.reason, what.replace(&inspection.model, "the file")),
                    &inspection.model,
                );
            }
        }
    }

    /// For people.
    pub(super) fn report(&self, counts: &Counts) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = self.write(&mut text, counts);
        text
    }

    fn write(&self, text: &mut String, counts: &Counts) -> fmt::Result {
        writeln!(text, "{} models, read in {:.1} s", counts.models, counts.seconds)?;
        let estimators: Vec<String> = self.estimators.iter().map(|(class, n)| format!("{n} {class}")).collect();
        let estimators = if estimators.is_empty() { String::new() } else { format!(": {}", estimators.join(", ")) };
        writeln!(text, "  {:>7} load{estimators}", counts.loaded)?;
        writeln!(text, "  {:>7} of them with a warning", counts.warned)?;
        self.warnings.write(text)?;
        writeln!(text, "  {:>7} do not load", counts.failed)?;
        self.failures.write(text)
    }
}

impl Kind {
    fn add(&mut self, message: &str, model: &str) {
        let key = without_numbers(message);
        if self.groups.len() >= MAX_GROUPS && !self.groups.contains_key(&key) {
            self.others += 1;
            return;
        }
        let group = self.groups.entry(key).or_default();
        if group.models == 0 {
            message.clone_into(&mut group.message);
        }
        group.models += 1;
        if group.first.len() < NAMED {
            group.first.push(model.to_owned());
        }
    }

    /// The largest group first.
    fn write(&self, text: &mut String) -> fmt::Result {
        let mut groups: Vec<&Group> = self.groups.values().collect();
        groups.sort_by_key(|g| std::cmp::Reverse(g.models));
        for Group { message, models, first } in groups {
            writeln!(text, "  {models:>11} {message}")?;
            for model in first {
                writeln!(text, "              {model}")?;
            }
            let more = models - first.len() as u64;
            if more > 0 {
                writeln!(text, "              and {more} more")?;
            }
        }
        if self.others > 0 {
            writeln!(text, "  {:>11} for other reasons; -o json tells each", self.others)?;
        }
        Ok(())
    }
}

/// Messages that differ in numbers only (a byte's place, a count) are of one group.
fn without_numbers(message: &str) -> String {
    let mut key = String::with_capacity(message.len());
    for c in message.chars() {
        if !c.is_ascii_digit() {
            key.push(c);
        } else if !key.ends_with('0') {
            key.push('0');
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_differ_in_numbers_only_are_one_group() {
        let mut kind = Kind::default();
        for i in 0..5 {
            kind.add(&format!("byte {}: no such opcode", 1000 + i), &format!("m{i}"));
        }
        kind.add("the file is empty", "m9");
        let mut text = String::new();
        kind.write(&mut text).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        assert_eq!(lines, ["5 byte 1000: no such opcode", "m0", "m1", "m2", "and 2 more", "1 the file is empty", "m9"]);
    }

    #[test]
    fn however_many_reasons_there_are_memory_and_the_report_stay_bounded() {
        let mut kind = Kind::default();
        for i in 0_u32..10_000 {
            let name: String = i.to_string().bytes().map(|b| char::from(b'a' + (b - b'0'))).collect();
            kind.add(&format!("the class {name} is not known"), "m");
        }
        assert_eq!((kind.groups.len(), kind.others), (MAX_GROUPS, 10_000 - MAX_GROUPS as u64));
    }
}
