//! The solver: sequential minimal optimisation of the one-class support vector machine's dual.
//!
//! Minimise `½ αᵀQα` for `0 ≤ α ≤ 1` and `Σα = nu · n`, where `Q` is the kernel matrix. Each step moves weight between
//! the two rows that second-order information picks (Fan, Chen and Lin, "Working set selection using second order
//! information for training support vector machines", JMLR 6, 2005). Start, ties and stopping rule are those of
//! scikit-learn with `shrinking=False`, so that the same readings lead to the same support vectors.

use super::columns::Columns;

/// Curvature below which a step would divide by nothing: the two rows are the same.
const FLAT: f64 = 1e-12;

/// What the solver found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Solution {
    /// Each row's weight, from 0 to 1; rows above 0 are support vectors.
    pub(super) alpha: Vec<f64>,
    /// Each row's `Σ α · kernel`.
    pub(super) scores: Vec<f64>,
    /// The score on the boundary.
    pub(super) rho: f64,
}

/// The steps were not enough.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("it did not converge in {0} steps")]
pub(super) struct NotConverged(u64);

/// Solves the dual until no two rows break its optimum's conditions by `tolerance` or more.
pub(super) fn solve(columns: &mut Columns, nu: f64, tolerance: f64, most_steps: u64) -> Result<Solution, NotConverged> {
    let mut solver = Solver::start(columns, nu);
    for _ in 0..most_steps {
        match solver.choose(tolerance) {
            Some((up, down)) => solver.step(up, down),
            None => return Ok(solver.finish()),
        }
    }
    Err(NotConverged(most_steps))
}

struct Solver<'c> {
    columns: &'c mut Columns,
    alpha: Vec<f64>,
    /// Of the dual: `Qα`.
    gradient: Vec<f64>,
}

impl<'c> Solver<'c> {
    /// The first rows get all the weight, as in libsvm.
    fn start(columns: &'c mut Columns, nu: f64) -> Self {
        let rows = columns.len();
        let mut alpha = vec![0.0; rows];
        let mut gradient = vec![0.0; rows];
        // Summed rather than multiplied, as scikit-learn does: its rounding decides whether one more row is involved.
        let mut left = (0..rows).fold(0.0, |sum, _| sum + nu);
        for (row, alpha) in alpha.iter_mut().enumerate() {
            if left <= 0.0 {
                break;
            }
            *alpha = left.min(1.0);
            left -= *alpha;
            for (gradient, q) in gradient.iter_mut().zip(columns.get(row)) {
                *gradient += *alpha * f64::from(*q);
            }
        }
        Self { columns, alpha, gradient }
    }

    /// The row to give weight and the one to take it from; none at the optimum.
    fn choose(&mut self, tolerance: f64) -> Option<(usize, usize)> {
        let (mut up, mut lowest) = (None, f64::INFINITY);
        for (row, (alpha, gradient)) in self.alpha.iter().zip(&self.gradient).enumerate() {
            if *alpha < 1.0 && *gradient <= lowest {
                (up, lowest) = (Some(row), *gradient);
            }
        }
        let up = up?;
        let (mut down, mut best, mut highest) = (None, f64::INFINITY, f64::NEG_INFINITY);
        let with_up = self.columns.get(up);
        for (row, ((alpha, gradient), q)) in self.alpha.iter().zip(&self.gradient).zip(with_up).enumerate() {
            if *alpha > 0.0 {
                highest = highest.max(*gradient);
                let slope = gradient - lowest;
                // What the best step with this row would add to the objective.
                let gain = -slope * slope / curvature(*q);
                if slope > 0.0 && gain <= best {
                    (down, best) = (Some(row), gain);
                }
            }
        }
        if highest - lowest < tolerance { None } else { down.map(|down| (up, down)) }
    }

    /// Moves weight from one row to the other: to the minimum between them, or as far as the limits allow.
    fn step(&mut self, up: usize, down: usize) {
        let (with_up, with_down) = self.columns.pair(up, down);
        let (had_up, had_down) = (self.alpha[up], self.alpha[down]);
        let (sum, wanted) = (had_up + had_down, (self.gradient[down] - self.gradient[up]) / curvature(with_up[down]));
        // Of two rows that share more than 1 the upper limit binds, else the lower: then the other gets what is left,
        // exactly, so that rows come to lie on the limits and not beside them.
        let (new_up, new_down) = if sum > 1.0 && had_up + wanted > 1.0 {
            (1.0, sum - 1.0)
        } else if sum <= 1.0 && had_down - wanted < 0.0 {
            (sum, 0.0)
        } else {
            (had_up + wanted, had_down - wanted)
        };
        (self.alpha[up], self.alpha[down]) = (new_up, new_down);
        let (more, less) = (new_up - had_up, new_down - had_down);
        for ((gradient, q_up), q_down) in self.gradient.iter_mut().zip(with_up).zip(with_down) {
            *gradient += f64::from(*q_up) * more + f64::from(*q_down) * less;
        }
    }

    /// On the boundary the gradient is rho: there lie the rows between the limits. Without any, it is between the others.
    fn finish(self) -> Solution {
        let (mut sum, mut count) = (0.0, 0.0);
        let (mut above, mut below) = (f64::INFINITY, f64::NEG_INFINITY);
        for (alpha, gradient) in self.alpha.iter().zip(&self.gradient) {
            if *alpha >= 1.0 {
                below = below.max(*gradient);
            } else if *alpha <= 0.0 {
                above = above.min(*gradient);
            } else {
                sum += gradient;
                count += 1.0;
            }
        }
        let rho = match (above.is_finite(), below.is_finite()) {
            _ if count > 0.0 => sum / count,
            (true, true) => f64::midpoint(above, below),
            (true, false) => above,
            _ => below,
        };
        Solution { alpha: self.alpha, scores: self.gradient, rho }
    }
}

/// How fast the gradient changes as weight moves between two rows of this similarity.
fn curvature(q: f32) -> f64 {
    (2.0 - 2.0 * f64::from(q)).max(FLAT)
}

#[cfg(test)]
mod tests;
