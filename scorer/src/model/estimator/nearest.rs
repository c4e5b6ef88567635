//! The nearest points to a row, kept and ordered as scikit-learn does it: where distances tie, it decides which points
//! count, and in which order they are summed up.

/// Up to so many points, the nearest of those that were offered: a heap with the farthest first, in arrays.
pub(super) struct Nearest {
    kept: Vec<(f64, usize)>,
}

impl Nearest {
    pub(super) fn new(count: usize) -> Self {
        Self { kept: vec![(f64::INFINITY, 0); count] }
    }

    pub(super) fn clear(&mut self) {
        self.kept.fill((f64::INFINITY, 0));
    }

    /// How far the farthest is.
    pub(super) fn farthest(&self) -> f64 {
        self.kept[0].0
    }

    /// Keeps a point if it is nearer than the farthest, which goes.
    pub(super) fn offer(&mut self, distance: f64, point: usize) {
        if distance >= self.farthest() {
            return;
        }
        let mut hole = 0;
        loop {
            let (left, right) = (2 * hole + 1, 2 * hole + 2);
            let Some(of_left) = self.kept.get(left) else { break };
            let child = match self.kept.get(right) {
                Some(of_right) if of_right.0 > of_left.0 => right,
                _ => left,
            };
            if self.kept[child].0 <= distance {
                break;
            }
            self.kept[hole] = self.kept[child];
            hole = child;
        }
        self.kept[hole] = (distance, point);
    }

    /// The points by distance, the nearest first.
    pub(super) fn sorted(&mut self) -> &[(f64, usize)] {
        // Stable, which scikit-learn's is not: of points equally far, the last bit of a sum may depend on the order.
        self.kept.sort_by(|a, b| a.0.total_cmp(&b.0));
        &self.kept
    }
}
