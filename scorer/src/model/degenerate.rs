//! Models that load, and say nothing about a reading.

use super::{Estimator, Kernel, Model, OneClassSvm};

/// The optimum of a one-class SVM is found to within this: scikit-learn's default `tol`, and the fit's of this project.
/// Scores are sums of weights of at most 1, so it is in the scores' own unit.
pub(crate) const TOLERANCE: f64 = 1e-3;

/// Support vectors that are looked at; of more, so many at even distances.
const LOOKED_AT: usize = 256;

/// Rows that a kernel without places is tried with.
const PROBES: usize = 16;

impl Model {
    /// What a user should know before trusting the model: that it calls everything or nothing an anomaly, or knows single
    /// points only.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let found = self.one_sided().or_else(|| match &self.estimator {
            Estimator::OneClassSvm(svm) => self.degenerate(svm),
            _ => None,
        });
        found.into_iter().collect()
    }

    /// All decisions lie on one side of the boundary.
    fn one_sided(&self) -> Option<String> {
        let (boundary, (lowest, highest)) = (self.estimator.boundary(), self.estimator.range());
        let (of, remedy) = match &self.estimator {
            Estimator::OneClassSvm(svm) => (
                format!("the model has {} support vector(s) and its decision", svm.coefficients.len()),
                "with a larger nu or more readings",
            ),
            _ => ("the model's decision".to_owned(), "with more readings or another contamination"),
        };
        if boundary.is_anomaly(highest) {
            let at = boundary.at;
            return Some(format!("{of} never exceeds {at:?}, so every row is an anomaly; train it again {remedy}"));
        }
        (!boundary.is_anomaly(lowest))
            .then(|| format!("{of} is never below {lowest:?}, so no row is ever an anomaly; train it again {remedy}"))
    }

    fn degenerate(&self, svm: &OneClassSvm) -> Option<String> {
        if let Some(point) = svm.single_point() {
            return Some(point);
        }
        match svm.kernel {
            Kernel::Rbf { gamma } if svm.coefficients.iter().all(|c| *c >= 0.0) => {
                svm.flat(gamma).or_else(|| self.lonely(svm))
            }
            Kernel::Poly { .. } | Kernel::Sigmoid { .. } => {
                let decisions = self.decisions(&self.probe(PROBES));
                decisions.windows(2).all(|pair| pair[0] == pair[1]).then(|| {
                    format!(
                        "the model's decision is {:?} for rows near and far: its kernel sees no difference between them; \
                         train it again with a larger gamma, on scaled readings",
                        decisions.first().copied().unwrap_or_default()
                    )
                })
            }
            Kernel::Rbf { .. } | Kernel::Linear => None,
        }
    }

    /// A reading that was left out of the fit is an anomaly if it is one without its own term: nothing else speaks for
    /// it. So the readings of which this holds are the share of new ones, of the same kind, that are false alarms. All of
    /// them are support vectors. The fit promises a share `nu` outside; where it is nearer to all than to that, by two
    /// standard errors of such an estimate, the model knows its readings by heart and nothing between them.
    fn lonely(&self, svm: &OneClassSvm) -> Option<String> {
        let count = svm.coefficients.len();
        let samples = self.metadata.n_samples.map(to_f64);
        let support = to_f64(count as u64);
        let too_many = |share: f64, samples: f64| {
            let nu = svm.total() / samples;
            share - 2.0 * (share * (1.0 - share) / samples).sqrt() > f64::midpoint(1.0, nu)
        };
        if samples.is_some_and(|samples| !too_many(support / samples, samples)) {
            return None;
        }
        let step = count.div_ceil(LOOKED_AT);
        let vectors = svm.support.chunks_exact(svm.n_features).step_by(step);
        let rows: Vec<f64> = vectors.flatten().copied().collect();
        let mut decisions = vec![0.0; rows.len() / svm.n_features];
        self.estimator.decisions(&self.prepared, &rows, &mut decisions);
        let others = || decisions.iter().zip(svm.coefficients.iter().step_by(step)).map(|(d, own)| d - own);
        let Some(samples) = samples else {
            // Of how many readings these are the support vectors is not known. Strangers to each other are an answer.
            let strangers = others().all(|d| d - svm.intercept <= TOLERANCE * svm.intercept.abs());
            return strangers.then(|| {
                format!(
                    "no two of the model's {count} support vectors are similar, so it knows {count} single points, and \
                     calls what lies between them an anomaly; train it again with a smaller gamma or more readings"
                )
            });
        };
        let anomalies = others().filter(|d| self.is_anomaly(*d)).count();
        let share = support / samples * to_f64(anomalies as u64) / to_f64(decisions.len() as u64);
        too_many(share, samples).then(|| {
            format!(
                "of the {samples} readings that the model was fitted to, {:.0} % would be anomalies had they been left out: \
                 it knows single points, and calls most new readings of the same kind anomalies; train it again with a \
                 smaller gamma, a margin or more readings",
                100.0 * share
            )
        })
    }
}

impl OneClassSvm {
    /// The support vectors are one.
    fn single_point(&self) -> Option<String> {
        let mut vectors = self.support.chunks_exact(self.n_features);
        let first = vectors.next()?;
        let of = match self.coefficients.len() {
            1 => "one support vector only".to_owned(),
            count if vectors.all(|vector| vector == first) => format!("{count} support vectors that are all the same"),
            _ => return None,
        };
        Some(format!(
            "the model has {of}, so it knows a single point; train it again with a larger nu or more readings"
        ))
    }

    /// Kernel values are all but 1 wherever the support vectors lie, so the readings tell nothing of the boundary.
    ///
    /// A decision is highest at their mean, and where they end it is lower by `fall · Σ coefficients`, all but exactly where
    /// that is little. Where it is below the tolerance, the fit ended where it began: with the weight on the first readings.
    /// Where it is below that share of the way down to the boundary, which was moved out, the boundary is far from all of
    /// them.
    fn flat(&self, gamma: f64) -> Option<String> {
        let (total, rho) = (self.total(), -self.intercept);
        let radius = self.radius();
        let fall = -libm::expm1(-gamma * radius * radius);
        let untouched = self.coefficients.iter().filter(|c| **c < 1.0).count() <= 1;
        let remedy = "train it again with a larger gamma";
        if fall * total < TOLERANCE && untouched {
            return Some(format!(
                "the model's decisions differ by less than {TOLERANCE} between its support vectors, which is as exact as a \
                 fit is: to its kernel all readings are the same; {remedy}"
            ));
        }
        (fall * total < TOLERANCE * (total - rho)).then(|| {
            format!(
                "the model calls everything normal within {:.3e} of its support vectors, which are at most {radius:.3e} from \
                 their mean: to its kernel all readings are the same; {remedy}, or less margin",
                (libm::log(total / rho) / gamma).sqrt(),
            )
        })
    }

    fn total(&self) -> f64 {
        self.coefficients.iter().sum()
    }

    /// How far from their mean, each by its weight, the support vectors lie.
    fn radius(&self) -> f64 {
        let (vectors, total) = (|| self.support.chunks_exact(self.n_features), self.total());
        let mut mean = vec![0.0; self.n_features];
        for (vector, coefficient) in vectors().zip(&self.coefficients) {
            mean.iter_mut().zip(vector).for_each(|(mean, x)| *mean += coefficient / total * x);
        }
        let square = |vector: &[f64]| vector.iter().zip(&mean).map(|(x, mean)| (x - mean) * (x - mean)).sum::<f64>();
        vectors().map(square).fold(0.0, f64::max).sqrt()
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts of readings are far below 2^53")]
fn to_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
