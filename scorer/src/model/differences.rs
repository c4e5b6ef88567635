//! Where scores may differ from scikit-learn's by more than rounding.

use super::{Algorithm, Estimator, Metric, Model, Pca, Transform};

/// Scores are scikit-learn's within this.
const TOLERANCE: f64 = 1e-9;

impl Model {
    /// Why scores may differ from scikit-learn's, and what to do: where its own depend on rounding errors or threads.
    #[must_use]
    pub fn differences(&self) -> Vec<String> {
        let mut differences = Vec::new();
        self.steps().iter().for_each(|step| of_step(step, self.sklearn(), &mut differences));
        if let Estimator::LocalOutlierFactor(factor) = self.estimator()
            && factor.algorithm == Algorithm::Brute
        {
            let far = if factor.metric == Metric::Euclidean {
                ", and its distances have rounding errors that grow with the distance from 0"
            } else {
                ""
            };
            differences.push(format!(
                "algorithm brute: which of equally distant neighbours count depends in scikit-learn on its version, its \
                 threads and the rows of the call{far}; scores may differ from its own: fit with algorithm=\"kd_tree\" \
                 or \"ball_tree\", or on scaled readings"
            ));
        }
        // Only files of ONNX say what made them of a model.
        if matches!(self.estimator(), Estimator::OneClassSvm(_)) && self.metadata().producer.is_some() {
            differences.push(
                "ONNX keeps an SVM's numbers in 32 bits: scores are within 1e-5 of what their terms add up to without signs, \
                 and where a score is as close to 0 the verdict may differ from scikit-learn's; for all digits take the \
                 pickle or skops file"
                    .to_owned(),
            );
        }
        differences
    }

    /// The version that fitted it.
    fn sklearn(&self) -> Option<(u32, u32)> {
        let mut parts = self.metadata().sklearn_version.as_deref()?.split('.').map(str::parse::<u32>);
        Some((parts.next()?.ok()?, parts.next()?.ok()?))
    }
}

fn of_step(step: &Transform, version: Option<(u32, u32)>, differences: &mut Vec<String>) {
    match step {
        Transform::ColumnTransformer(columns) => {
            columns.branches.iter().flat_map(|b| &b.steps).for_each(|step| of_step(step, version, differences));
        }
        Transform::Pca(pca) => {
            if version.is_some_and(|v| v >= (1, 5)) && is_single(pca) {
                differences.push(
                    "PCA was fitted to readings of 32 bits: scikit-learn then subtracts a mean with their rounding \
                     errors, in an order that depends on the processor; scores may differ from its own: fit it to \
                     readings of 64 bits"
                        .to_owned(),
                );
            }
            if divides_rounding(pca) {
                differences.push(
                    "PCA has whiten=True and a component of almost no variance, so scores depend on rounding errors and \
                     may differ from scikit-learn's: fit it with fewer components"
                        .to_owned(),
                );
            }
        }
        _ => {}
    }
}

/// Whether a mean and components have the digits of 32 bits only.
#[allow(clippy::cast_possible_truncation, reason = "compared with what it was")]
fn is_single(pca: &Pca) -> bool {
    pca.mean.iter().chain(&pca.components).all(|x| f64::from(*x as f32) == *x) && pca.mean.iter().any(|m| *m != 0.0)
}

/// Whether a component is divided by so little that the last bits of readings count.
fn divides_rounding(pca: &Pca) -> bool {
    let size = pca.mean.iter().chain(&pca.scale).fold(0.0, |most: f64, x| most.max(x.abs()));
    pca.scale.iter().any(|scale| f64::EPSILON * size > TOLERANCE * scale)
}
