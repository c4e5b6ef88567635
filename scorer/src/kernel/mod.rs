//! The arithmetic of scoring. The fastest kernel that the processor can run is chosen here; all give the same bits.

mod portable;

use crate::model::OneClass;

/// The decision of each row; rows stand one after the other, already scaled.
pub(crate) fn decisions(machine: &OneClass, rows: &[f64]) -> Vec<f64> {
    portable::decisions(machine, rows)
}
