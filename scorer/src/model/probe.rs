//! Rows to try a model with, when there are no readings.

use super::{Estimator, IsolationForest, Model, Transform};

/// Multiples of it, less their whole part, are spread evenly over 0 to 1.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

impl Model {
    /// So many rows around what the model was fitted to, as far as it tells: the same ones each time.
    #[must_use]
    pub fn probe(&self, rows: usize) -> Vec<f64> {
        let known = self.typical();
        let width = self.n_features();
        (0..rows * width)
            .map(|i| {
                let (centre, spread) = known[i % width];
                #[allow(clippy::cast_precision_loss, reason = "small")]
                let share = (i as f64 * GOLDEN).fract();
                // Mostly where readings are; every eighth row far from there.
                let reach = if (i / width) % 8 == 7 { 50.0 } else { 1.5 };
                centre + spread * reach * (2.0 * share - 1.0)
            })
            .collect()
    }

    /// Centre and spread of each feature: what the estimator knows, taken back through the steps before it.
    fn typical(&self) -> Vec<(f64, f64)> {
        let known = known(self.estimator());
        let known = self.steps().iter().rev().fold(known, |known, step| before(step, &known));
        known.into_iter().map(|(c, s)| if c.is_finite() && s.is_finite() { (c, s) } else { (0.0, 1.0) }).collect()
    }
}

fn known(estimator: &Estimator) -> Vec<(f64, f64)> {
    let points = match estimator {
        Estimator::OneClassSvm(svm) => svm.support.as_slice(),
        Estimator::LocalOutlierFactor(factor) => factor.points.as_slice(),
        Estimator::EllipticEnvelope(envelope) => envelope.location.as_slice(),
        Estimator::IsolationForest(forest) => return thresholds(forest),
        Estimator::SgdOneClassSvm(_) => &[],
    };
    let width = estimator.n_features();
    (0..width).map(|feature| range(points.iter().copied().skip(feature).step_by(width))).collect()
}

/// Between which numbers the trees of a forest divide each feature.
fn thresholds(forest: &IsolationForest) -> Vec<(f64, f64)> {
    let mut values = vec![Vec::new(); forest.n_features];
    for tree in &forest.trees {
        for ((feature, threshold), left) in tree.feature.iter().zip(&tree.threshold).zip(&tree.left) {
            // 0 is no child: a leaf.
            if let (1.., Some(values)) = (*left, values.get_mut(*feature as usize)) {
                values.push(*threshold);
            }
        }
    }
    values.into_iter().map(|values| range(values.into_iter())).collect()
}

/// Centre and half the width of numbers.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
    match (high - low) / 2.0 {
        spread if spread > 0.0 => (low.midpoint(high), spread),
        _ if low.is_finite() => (low, 1.0),
        _ => (0.0, 1.0),
    }
}

/// What a step makes into what is known; where that cannot be told, numbers around 0.
fn before(step: &Transform, known: &[(f64, f64)]) -> Vec<(f64, f64)> {
    match step {
        Transform::StandardScaler(s) | Transform::RobustScaler(s) | Transform::MaxAbsScaler(s) => {
            let stretched = known.iter().zip(s.mean.iter().zip(&s.scale));
            stretched.map(|((centre, spread), (mean, scale))| (centre * scale + mean, spread * scale)).collect()
        }
        Transform::MinMaxScaler(s) => {
            let stretched = known.iter().zip(s.min.iter().zip(&s.scale));
            stretched.map(|((centre, spread), (min, scale))| ((centre - min) / scale, spread / scale)).collect()
        }
        Transform::SimpleImputer(_) if known.len() == step.n_features() => known.to_vec(),
        // The features themselves stand first, behind the bias.
        Transform::PolynomialFeatures(s) if s.min_degree <= 1 => {
            known.iter().copied().skip(usize::from(s.include_bias)).take(s.n_features).collect()
        }
        Transform::Pca(s) => {
            let mut features: Vec<(f64, f64)> = s.mean.iter().map(|mean| (*mean, 0.0)).collect();
            let components = s.components.chunks_exact(s.mean.len()).zip(&s.scale);
            for ((component, scale), (centre, spread)) in components.zip(known) {
                for (feature, weight) in features.iter_mut().zip(component) {
                    feature.0 += weight * scale * centre;
                    feature.1 += (weight * scale * spread).abs();
                }
            }
            features
        }
        Transform::ColumnTransformer(s) => {
            let (mut features, mut rest) = (vec![(0.0, 1.0); s.n_features], known);
            for branch in &s.branches {
                let width = branch.steps.last().map_or(branch.columns.len(), Transform::n_outputs);
                let Some((own, others)) = rest.split_at_checked(width) else { break };
                let own = branch.steps.iter().rev().fold(own.to_vec(), |own, step| before(step, &own));
                for (column, own) in branch.columns.iter().zip(own) {
                    if let Some(feature) = features.get_mut(*column) {
                        *feature = own;
                    }
                }
                rest = others;
            }
            features
        }
        Transform::SimpleImputer(_) | Transform::PolynomialFeatures(_) => vec![(0.0, 1.0); step.n_features()],
    }
}
