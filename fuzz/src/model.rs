//! Models in any format.

use scorer::kernel::Precision;
use scorer::model::{Format, Imported, Model};

/// Rows that a model is tried with.
const ROWS: usize = 20;
/// Values that those rows have at most: wide models are slow, and no different.
const MAX_VALUES: usize = 4_096;

/// A file is refused with a reason in few words, or it is a model that scores each row by itself, and reads back from
/// the project's own format as it was.
pub fn model(bytes: &[u8]) {
    let _ = Format::of(bytes).to_string();
    let model = match Model::from_bytes("model", bytes) {
        Ok(model) => model,
        Err(error) => {
            let message = error.to_string();
            assert!(message.len() < 2_000, "{} bytes: {message}", message.len());
            return;
        }
    };
    let _ = (model.warnings(), model.estimator().describe().to_string());
    let _ = model.steps().iter().map(|step| step.describe().to_string()).collect::<Vec<_>>();
    let written = model.to_bytes(&Imported::default()).expect("a model serialises");
    let back = Model::from_bytes("written", &written).expect("what was written is read");
    assert_eq!(back.to_bytes(&Imported::default()).expect("it serialises, too"), written);

    let width = model.n_features();
    let rows = (MAX_VALUES / width).min(ROWS);
    let values = model.probe(rows);
    assert_eq!(values.len(), rows * width);
    let decisions = model.decisions(&values);
    let bits = |decisions: &[f64]| decisions.iter().map(|d| d.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&back.decisions(&values)), bits(&decisions), "as written");
    for (row, decision) in values.chunks(width).zip(&decisions) {
        assert!(!decision.is_nan() || model.is_anomaly(*decision), "what is no number is never normal");
        assert_eq!(bits(&model.decisions(row)), bits(&[*decision]), "by itself");
    }
    assert_eq!(model.with_precision(Precision::F32).decisions(&values).len(), rows);
}
