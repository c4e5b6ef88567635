//! Principal components.

use serde::{Deserialize, Serialize};

use crate::model::exact;

/// A fitted `sklearn.decomposition.PCA`: `components · (x - mean)`, divided by `scale` where there is one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pca {
    /// What is subtracted, feature by feature.
    #[serde(with = "exact::many")]
    pub mean: Vec<f64>,
    /// The components, one after the other.
    #[serde(with = "exact::many")]
    pub components: Vec<f64>,
    /// What each component is divided by: its deviation when whitened, else 1.
    #[serde(with = "exact::many")]
    pub scale: Vec<f64>,
}

impl Pca {
    pub(super) fn check(&self) -> Result<(), String> {
        let Self { mean, components, scale } = self;
        if mean.is_empty() || scale.is_empty() || mean.len().checked_mul(scale.len()) != Some(components.len()) {
            return Err(format!(
                "PCA has {} numbers for {} components of {} features",
                components.len(),
                scale.len(),
                mean.len()
            ));
        }
        let numbers = mean.iter().chain(components).chain(scale).all(|x| x.is_finite());
        if !numbers || scale.contains(&0.0) {
            return Err("a mean, component or variance of PCA is not a finite number, or a variance is 0".to_owned());
        }
        Ok(())
    }

    pub(super) fn apply(&self, rows: &[f64]) -> Vec<f64> {
        let n = self.mean.len();
        let mut centred = vec![0.0; n];
        let mut out = Vec::with_capacity(rows.len() / n * self.scale.len());
        for row in rows.chunks_exact(n) {
            for ((c, x), mean) in centred.iter_mut().zip(row).zip(&self.mean) {
                *c = x - mean;
            }
            out.extend(
                self.components
                    .chunks_exact(n)
                    .zip(&self.scale)
                    .map(|(component, scale)| component.iter().zip(&centred).map(|(a, b)| a * b).sum::<f64>() / scale),
            );
        }
        out
    }
}
