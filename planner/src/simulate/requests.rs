//! What runs cost in requests to the store: at the least, with nothing tried again.

use serde::Serialize;

/// Requests to the store, by what they are billed as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StoreRequests {
    /// Reads of objects.
    pub reads: u64,
    /// Writes and deletions of objects.
    pub writes: u64,
    /// Pages of listings.
    pub lists: u64,
}

/// A page of a listing has so many objects at most.
const PAGE: u64 = 5_000;

/// What a run does with the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreUse {
    /// How many sensors it has.
    pub sensors: u64,
    /// How many of them a pod works on.
    pub per_item: u64,
    /// They are found by listing the models.
    pub discovered: bool,
    /// Each sensor has a file of readings of its own.
    pub own_files: bool,
    /// Readings are in a database, not in the store.
    pub database: bool,
    /// A command of the user's own scores: its logs are begun before it.
    pub command: bool,
    /// The sensors of an item share a file of predictions.
    pub shared_predictions: bool,
    /// Models are trained.
    pub trains: bool,
}

impl StoreUse {
    /// What one run takes.
    #[must_use]
    pub fn of_run(&self) -> StoreRequests {
        let sensors = self.sensors;
        let items = sensors.div_ceil(self.per_item.max(1));
        let each = |some: bool| if some { sensors } else { items };
        // Planning: a claim of the tick, the manifest and its index.
        let plan = StoreRequests { reads: 1, writes: 3, lists: if self.discovered { 1 + sensors / PAGE } else { 0 } };
        // An item: index and part of the manifest; what earlier attempts have left; its outcomes, of several sensors
        // from the beginning on.
        let item = StoreRequests {
            reads: 2 * items + if self.database { 0 } else { each(self.own_files) },
            writes: items * if self.per_item > 1 { 2 } else { 1 },
            lists: items,
        };
        let sensor = match self.trains {
            // Model and index are read; version, model, index and log written, old versions deleted.
            true => StoreRequests { reads: 2 * sensors, writes: 5 * sensors, lists: 0 },
            // The model is read, predictions and log are written.
            false => {
                let logs = sensors * if self.command { 2 } else { 1 };
                StoreRequests { reads: sensors, writes: logs + each(!self.shared_predictions), lists: 0 }
            }
        };
        // Archiving: the outcomes are listed and read, the record written; `_SUCCESS` and `latest.json`, which is read.
        let archive = match self.trains {
            true => StoreRequests { reads: 2 + items, writes: 1, lists: 1 + items / PAGE },
            false => StoreRequests { reads: 3 + items, writes: 3, lists: 1 + items / PAGE },
        };
        plan.plus(item).plus(sensor).plus(archive)
    }
}

impl StoreRequests {
    /// These and those.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            reads: self.reads.saturating_add(other.reads),
            writes: self.writes.saturating_add(other.writes),
            lists: self.lists.saturating_add(other.lists),
        }
    }

    /// So many times these.
    #[must_use]
    pub fn times(self, runs: u64) -> Self {
        Self {
            reads: self.reads.saturating_mul(runs),
            writes: self.writes.saturating_mul(runs),
            lists: self.lists.saturating_mul(runs),
        }
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.reads.saturating_add(self.writes).saturating_add(self.lists)
    }
}

/// What 10,000 requests cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RequestPrice {
    /// Of reads.
    pub reads: f64,
    /// Of writes and lists, which are billed alike.
    pub writes: f64,
}

impl RequestPrice {
    /// What these cost.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a sum of money to be read")]
    pub fn of(&self, requests: &StoreRequests) -> f64 {
        (requests.reads as f64 * self.reads + (requests.writes + requests.lists) as f64 * self.writes) / 10_000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `scorer run` counted for 120 sensors with one file of readings: all in one process, which reads the manifest's
    /// index once, and without what is written after its count was: the outcomes of each item, the manifest's index, and
    /// the record with what follows it (three writes and a read).
    #[test]
    fn a_run_takes_what_was_counted() {
        for (per_item, counted) in [(1, 848), (2, 668), (10, 428)] {
            let run = StoreUse { sensors: 120, per_item, discovered: true, ..StoreUse::default() };
            let items = 120 / per_item;
            let counted = counted + (items - 1) + items + 1 + 4;
            assert_eq!(run.of_run().total(), counted, "{per_item}: {:?}", run.of_run());
        }
    }

    #[test]
    fn readings_of_a_database_are_no_requests_to_the_store() {
        let reads = |database| {
            let own = StoreUse { sensors: 120, per_item: 10, own_files: true, database, ..StoreUse::default() };
            own.of_run().reads
        };
        assert_eq!(reads(false) - reads(true), 120);
    }

    #[test]
    fn a_sensor_that_is_trained_takes_eight_requests() {
        let trained = |sensors| StoreUse { sensors, per_item: 1, trains: true, ..StoreUse::default() }.of_run().total();
        // Beside those: the item's part of the manifest and its index, earlier outcomes, readings, and the archive's read.
        assert_eq!(trained(11) - trained(10), 8 + 5);
    }

    #[test]
    fn reads_cost_other_than_writes() {
        let price = RequestPrice { reads: 0.01, writes: 0.1 };
        let cost = price.of(&StoreRequests { reads: 10_000, writes: 5_000, lists: 5_000 });
        assert!((cost - 0.11).abs() < 1e-12, "{cost}");
    }
}
