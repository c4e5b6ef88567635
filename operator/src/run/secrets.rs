//! The Secrets that a run's pods mount.

use crds::ScoringScheduleSpec;
use spec::work::SecretRef;

/// How pods have a Secret.
pub(super) struct Mount {
    /// The schedule's field that names it.
    pub(super) field: &'static str,
    pub(super) volume: &'static str,
    /// Where it is.
    pub(super) dir: &'static str,
    /// The variable that says so.
    pub(super) variable: &'static str,
}

/// The store's.
pub(super) const STORE: Mount = Mount {
    field: "store.secretRef",
    volume: "store",
    dir: "/var/run/secrets/batchscoring.dev/store",
    variable: "SCORING_STORE_SECRET_DIR",
};
/// That of the database of readings.
pub(super) const DATA: Mount = Mount {
    field: "data.sql.secretRef",
    volume: "data-sql",
    dir: "/var/run/secrets/batchscoring.dev/data-sql",
    variable: "SCORING_DATA_SECRET_DIR",
};
/// That of the database of predictions.
pub(super) const PREDICTIONS: Mount = Mount {
    field: "predictions.sql.secretRef",
    volume: "predictions-sql",
    dir: "/var/run/secrets/batchscoring.dev/predictions-sql",
    variable: "SCORING_PREDICTIONS_SECRET_DIR",
};

/// Those that a schedule names, in the order of their volumes.
pub(super) fn of(schedule: &ScoringScheduleSpec) -> impl Iterator<Item = (Mount, &SecretRef)> {
    let data = schedule.data.sql.as_ref().map(|sql| &sql.secret_ref);
    let predictions = schedule.predictions.sql.as_ref().map(|sql| &sql.secret_ref);
    let all = [(STORE, schedule.store.secret_ref.as_ref()), (DATA, data), (PREDICTIONS, predictions)];
    all.into_iter().filter_map(|(mount, secret)| Some((mount, secret?)))
}
