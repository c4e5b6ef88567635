//! Local outlier factors: how dense the training rows lie about a row, against how dense they lie about its neighbours.

use serde::{Deserialize, Serialize};

use crate::model::exact;

/// A fitted `sklearn.neighbors.LocalOutlierFactor` with `novelty=True`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LocalOutlierFactor {
    /// Values of a row.
    pub n_features: usize,
    /// The rows of the training, one after the other.
    #[serde(with = "exact::many")]
    pub points: Vec<f64>,
    /// Each point's distance to its farthest neighbour.
    #[serde(with = "exact::many")]
    pub reach: Vec<f64>,
    /// Each point's local reachability density.
    #[serde(with = "exact::many")]
    pub density: Vec<f64>,
    /// How many neighbours count.
    pub n_neighbors: usize,
    /// How far two rows are apart.
    pub metric: Metric,
    /// What is subtracted from minus the factor.
    #[serde(with = "exact")]
    pub offset: f64,
}

/// How far two rows are apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Metric {
    /// The length of the straight line.
    Euclidean,
    /// The sum of differences.
    Manhattan,
    /// The largest difference.
    Chebyshev,
    /// `(Σ |difference|^p)^(1/p)`.
    Minkowski {
        /// The power, above 0.
        #[serde(with = "exact")]
        p: f64,
    },
}

impl Metric {
    /// What orders as the distance does, and is quicker to find.
    fn reduced(self, u: &[f64], v: &[f64]) -> f64 {
        let apart = u.iter().zip(v).map(|(u, v)| u - v);
        match self {
            Self::Euclidean => apart.map(|d| d * d).sum(),
            Self::Manhattan => apart.map(f64::abs).sum(),
            Self::Chebyshev => apart.map(f64::abs).fold(0.0, f64::max),
            Self::Minkowski { p } => apart.map(|d| libm::pow(d.abs(), p)).sum(),
        }
    }

    fn distance(self, reduced: f64) -> f64 {
        match self {
            Self::Euclidean => reduced.sqrt(),
            Self::Manhattan | Self::Chebyshev => reduced,
            Self::Minkowski { p } => libm::pow(reduced, 1.0 / p),
        }
    }
}

impl LocalOutlierFactor {
    pub(super) fn check(&self) -> Result<(), String> {
        let Self { n_features, points, reach, density, n_neighbors, metric, offset } = self;
        let count = reach.len();
        if *n_features == 0 || n_features.checked_mul(count) != Some(points.len()) || density.len() != count {
            return Err(format!(
                "the model has {} numbers for {count} points of {n_features} features and {} densities",
                points.len(),
                density.len()
            ));
        }
        if *n_neighbors == 0 || *n_neighbors > count {
            return Err(format!("the model looks at {n_neighbors} neighbours of {count} points"));
        }
        if matches!(metric, Metric::Minkowski { p } if !(p.is_finite() && *p > 0.0)) {
            return Err(format!("the metric is {metric:?}; p must be above 0"));
        }
        let mut numbers = points.iter().chain(reach).chain(density);
        if !offset.is_finite() || !numbers.all(|x| x.is_finite()) {
            return Err("a point, distance, density or the offset is not a finite number; train it again".to_owned());
        }
        Ok(())
    }

    pub(super) fn decisions(&self, rows: &[f64], out: &mut [f64]) {
        #[allow(clippy::cast_precision_loss, reason = "neighbours are far below 2^53")]
        let neighbours = self.n_neighbors as f64;
        let mut near: Vec<(f64, usize)> = Vec::with_capacity(self.reach.len());
        for (row, out) in rows.chunks_exact(self.n_features).zip(out) {
            near.clear();
            let points = self.points.chunks_exact(self.n_features).enumerate();
            near.extend(points.map(|(i, point)| (self.metric.reduced(row, point), i)));
            let order = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
            near.select_nth_unstable_by(self.n_neighbors - 1, order);
            let nearest = &mut near[..self.n_neighbors];
            nearest.sort_unstable_by(order);
            let reached: f64 = nearest.iter().map(|(r, i)| self.metric.distance(*r).max(self.reach[*i])).sum();
            // scikit-learn's guard against points that coincide.
            let density = 1.0 / (reached / neighbours + 1e-10);
            let ratios: f64 = nearest.iter().map(|(_, i)| self.density[*i] / density).sum();
            *out = -(ratios / neighbours) - self.offset;
        }
    }

    pub(super) fn range(&self) -> (f64, f64) {
        (f64::NEG_INFINITY, -self.offset)
    }
}
