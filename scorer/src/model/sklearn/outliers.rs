//! `EllipticEnvelope`, `LocalOutlierFactor` and `SGDOneClassSVM`.

use super::SklearnError;
use super::attributes::{Attributes, number};
use super::search_tree::Found;
use crate::model::pickle::Value;
use crate::model::{EllipticEnvelope, Estimator, LocalOutlierFactor, Metric, SgdOneClassSvm};

impl Attributes<'_, '_> {
    pub(super) fn elliptic_envelope(&self) -> Result<Estimator, SklearnError> {
        if self.get("precision_") == Some(Value::None) {
            return Err(self.unsupported("was fitted with store_precision=False; fit it with store_precision=True"));
        }
        // Until 0.19, the threshold of the squared distance stood for minus the offset.
        let rooted = self.get("offset_").is_none() && self.get("threshold_").is_some();
        let offset = if rooted { -self.number(&["threshold_"])? } else { self.number(&["offset_"])? };
        let (location, precision) = (self.numbers(&["location_"])?, self.numbers(&["precision_"])?);
        Ok(Estimator::EllipticEnvelope(EllipticEnvelope { location, precision, offset, rooted }))
    }

    pub(super) fn local_outlier_factor(&self) -> Result<Estimator, SklearnError> {
        if !self.flag_if_there("novelty")? {
            return Err(self.unsupported("cannot score new readings; fit it with novelty=True"));
        }
        let metric = self.metric()?;
        let Found { algorithm, count, n_features, points } = self.neighbors()?;
        let n_neighbors = self.count(&["n_neighbors_"])?;
        let (rows, columns, distances) = self.matrix(&["_distances_fit_X_"])?;
        if rows != count || n_neighbors == 0 || columns < n_neighbors {
            return Err(self.wrong("_distances_fit_X_", &format!("has not {n_neighbors} neighbours of {count} points")));
        }
        Ok(Estimator::LocalOutlierFactor(LocalOutlierFactor {
            n_features,
            points,
            reach: distances.chunks_exact(columns).map(|row| row[n_neighbors - 1]).collect(),
            density: self.numbers(&["_lrd"])?,
            n_neighbors,
            metric,
            offset: self.number(&["offset_"])?,
            algorithm,
        }))
    }

    fn metric(&self) -> Result<Metric, SklearnError> {
        let parameter = |name| self.heap.entry(self.get("effective_metric_params_")?, name);
        if parameter("w").is_some_and(|w| w != Value::None) {
            return Err(
                self.unsupported("weighs the features of its metric, which is not supported; scale them instead")
            );
        }
        Ok(match self.text("effective_metric_") {
            Some("euclidean" | "l2") => Metric::Euclidean,
            Some("manhattan" | "cityblock" | "l1") => Metric::Manhattan,
            Some("chebyshev") => Metric::Chebyshev,
            // scikit-learn hands its parameter `p` on to "minkowski" only, and the metric's own default is 2.
            Some("p") if parameter("p").is_none() => Metric::Euclidean,
            Some("minkowski" | "p") => {
                let p = parameter("p").or_else(|| self.get("p")).and_then(number);
                Metric::Minkowski { p: p.ok_or_else(|| self.wrong("p", "is not a number"))? }
            }
            other => {
                let metric = other.map_or_else(|| "a function".to_owned(), |m| format!("{m:?}"));
                return Err(self.unsupported(&format!(
                    "has metric={metric}; supported are \"euclidean\", \"manhattan\", \"chebyshev\" and \"minkowski\""
                )));
            }
        })
    }

    pub(super) fn sgd_one_class_svm(&self) -> Result<Estimator, SklearnError> {
        Ok(Estimator::SgdOneClassSvm(SgdOneClassSvm {
            coefficients: self.numbers(&["coef_"])?,
            offset: self.number(&["offset_"])?,
        }))
    }
}
