//! Elliptic envelopes: how far a row is from the centre of a Gaussian.

use serde::{Deserialize, Serialize};

use crate::model::exact;

/// A fitted `sklearn.covariance.EllipticEnvelope`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EllipticEnvelope {
    /// The centre.
    #[serde(with = "exact::many")]
    pub location: Vec<f64>,
    /// The inverse of the covariance, row by row.
    #[serde(with = "exact::many")]
    pub precision: Vec<f64>,
    /// What is subtracted from minus the squared distance.
    #[serde(with = "exact")]
    pub offset: f64,
    /// Whether distances are raised to 0.33 before they are compared, as scikit-learn before 0.20 did.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rooted: bool,
}

impl EllipticEnvelope {
    pub(super) fn check(&self) -> Result<(), String> {
        let Self { location, precision, offset, rooted } = self;
        if location.is_empty() || location.len().checked_mul(location.len()) != Some(precision.len()) {
            return Err(format!(
                "the envelope has {} numbers for the precision of {} features",
                precision.len(),
                location.len()
            ));
        }
        if !offset.is_finite() || !location.iter().chain(precision).all(|x| x.is_finite()) {
            return Err("a location, precision or offset is not a finite number; train it again".to_owned());
        }
        if *rooted && *offset > 0.0 {
            return Err("the envelope's threshold is below 0".to_owned());
        }
        Ok(())
    }

    pub(super) fn decisions(&self, rows: &[f64], out: &mut [f64]) {
        let n = self.location.len();
        let mut from_centre = vec![0.0; n];
        for (row, out) in rows.chunks_exact(n).zip(out) {
            for ((d, x), centre) in from_centre.iter_mut().zip(row).zip(&self.location) {
                *d = x - centre;
            }
            let along = |line: &[f64]| line.iter().zip(&from_centre).map(|(p, d)| p * d).sum::<f64>();
            let squared: f64 =
                self.precision.chunks_exact(n).zip(&from_centre).map(|(line, d)| d * along(line)).sum::<f64>();
            *out = self.decision(squared);
        }
    }

    fn decision(&self, squared: f64) -> f64 {
        if self.rooted {
            return libm::pow(-self.offset, 0.33) - libm::pow(squared, 0.33);
        }
        // scikit-learn has the distance from scipy, and squares it again.
        let distance = squared.sqrt();
        -(distance * distance) - self.offset
    }

    pub(super) fn range(&self) -> (f64, f64) {
        let flat = self.precision.iter().all(|p| *p == 0.0);
        (if flat { self.decision(0.0) } else { f64::NEG_INFINITY }, self.decision(0.0))
    }
}
