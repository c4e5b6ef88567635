//! Local outlier factors: how dense the training rows lie about a row, against how dense they lie about its neighbours.

use serde::{Deserialize, Serialize};

use super::nearest::Nearest;
use super::search_tree::{Bounds, Search, SearchTree};
use super::sum::mean;
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
    /// How neighbours are found.
    #[serde(default, skip_serializing_if = "Algorithm::is_first")]
    pub algorithm: Algorithm,
}

/// How neighbours are found: which of the points that are equally far count is told by nothing else.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Algorithm {
    /// The first of those equally far, as ONNX's `TopK` has it.
    #[default]
    First,
    /// scikit-learn's `brute`: all points, one after the other.
    Brute,
    /// scikit-learn's `kd_tree` or `ball_tree`.
    Tree(SearchTree),
}

impl Algorithm {
    fn is_first(&self) -> bool {
        *self == Self::First
    }

    /// scikit-learn's name of it, where it has one.
    pub(in crate::model) fn name(&self) -> Option<&'static str> {
        match self {
            Self::First => None,
            Self::Brute => Some("brute"),
            Self::Tree(SearchTree { bounds: Bounds::Boxes { .. }, .. }) => Some("kd_tree"),
            Self::Tree(SearchTree { bounds: Bounds::Balls { .. }, .. }) => Some("ball_tree"),
        }
    }
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
    pub(super) fn reduced(self, u: &[f64], v: &[f64]) -> f64 {
        self.reduced_of(u.iter().zip(v).map(|(u, v)| u - v))
    }

    /// The same of differences.
    pub(super) fn reduced_of(self, apart: impl Iterator<Item = f64>) -> f64 {
        match self {
            Self::Euclidean => apart.map(|d| d * d).sum(),
            Self::Manhattan => apart.map(f64::abs).sum(),
            Self::Chebyshev => apart.map(f64::abs).fold(0.0, f64::max),
            Self::Minkowski { p } => apart.map(|d| d.abs().powf(p)).sum(),
        }
    }

    pub(super) fn distance(self, reduced: f64) -> f64 {
        match self {
            Self::Euclidean => reduced.sqrt(),
            Self::Manhattan | Self::Chebyshev => reduced,
            Self::Minkowski { p } => reduced.powf(1.0 / p),
        }
    }

    /// The reduced distance of a distance.
    pub(super) fn reduce(self, distance: f64) -> f64 {
        match self {
            Self::Euclidean => distance * distance,
            Self::Manhattan | Self::Chebyshev => distance,
            Self::Minkowski { p } => distance.powf(p),
        }
    }
}

impl LocalOutlierFactor {
    pub(super) fn check(&self) -> Result<(), String> {
        let Self { n_features, points, reach, density, n_neighbors, metric, offset, algorithm } = self;
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
        if let Algorithm::Tree(tree) = algorithm {
            tree.check(count, *n_features)?;
            Search { tree, points, n_features: *n_features, metric: *metric }.check_bounds(0)?;
        }
        Ok(())
    }

    pub(super) fn decisions(&self, rows: &[f64], out: &mut [f64]) {
        let mut nearest = Nearest::new(self.n_neighbors);
        let mut all = Vec::new();
        let (mut reached, mut ratios) = (Vec::new(), Vec::new());
        for (row, out) in rows.chunks_exact(self.n_features).zip(out) {
            let nearest = match &self.algorithm {
                Algorithm::First => self.first(row, &mut all),
                Algorithm::Brute => {
                    nearest.clear();
                    self.apart(row).for_each(|(distance, point)| nearest.offer(distance, point));
                    nearest.sorted()
                }
                Algorithm::Tree(tree) => {
                    nearest.clear();
                    let Self { points, n_features, metric, .. } = self;
                    Search { tree, points, n_features: *n_features, metric: *metric }.nearest(row, &mut nearest);
                    nearest.sorted()
                }
            };
            reached.clear();
            reached.extend(nearest.iter().map(|(r, i)| self.metric.distance(*r).max(self.reach[*i])));
            // scikit-learn's guard against points that coincide.
            let density = 1.0 / (mean(&reached) + 1e-10);
            ratios.clear();
            ratios.extend(nearest.iter().map(|(_, i)| self.density[*i] / density));
            *out = -mean(&ratios) - self.offset;
        }
    }

    /// How far each point is from a row.
    fn apart(&self, row: &[f64]) -> impl Iterator<Item = (f64, usize)> {
        let points = self.points.chunks_exact(self.n_features).enumerate();
        points.map(|(i, point)| (self.metric.reduced(row, point), i))
    }

    /// The nearest, and of those equally far the first.
    fn first<'a>(&self, row: &[f64], all: &'a mut Vec<(f64, usize)>) -> &'a [(f64, usize)] {
        let order = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        all.clear();
        all.extend(self.apart(row));
        all.select_nth_unstable_by(self.n_neighbors - 1, order);
        let nearest = &mut all[..self.n_neighbors];
        nearest.sort_unstable_by(order);
        nearest
    }

    pub(super) fn range(&self) -> (f64, f64) {
        (f64::NEG_INFINITY, -self.offset)
    }
}
