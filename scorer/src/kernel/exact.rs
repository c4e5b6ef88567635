//! The exact form: the distances themselves, which costs a subtraction more for each feature and loses no digits
//! however far the vectors are from each other.

use super::exp2::exp2;
use super::lanes::{Lanes, MOST_ROWS, Number};
use super::panels::{Kernel, Panels, VECTORS};

/// A machine in this form.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Exact {
    n_features: usize,
    /// -γ·log2(e).
    gamma: f64,
    panels: Panels<f64>,
    intercept: f64,
}

impl Exact {
    pub(super) fn new(n_features: usize, gamma: f64, support: &[f64], coefficients: &[f64], intercept: f64) -> Self {
        let vectors: Vec<_> = coefficients.iter().copied().zip(support.chunks_exact(n_features)).collect();
        Self {
            n_features,
            gamma: -gamma * std::f64::consts::LOG2_E,
            panels: Panels::pack(n_features, &vectors, 0.0),
            intercept,
        }
    }

    /// The decisions of the rows with these numbers.
    #[inline(always)]
    pub(super) fn decisions<L: Lanes<f64>>(&self, lanes: L, rows: &[f64], out: &mut [f64], which: &[usize]) {
        let width = 2 * L::WIDTH;
        let mut scratch = vec![0.0; width * self.n_features];
        for which in which.chunks(width) {
            for (lane, number) in which.iter().enumerate() {
                let row = rows[number * self.n_features..].iter();
                for (values, value) in scratch.chunks_exact_mut(width).zip(row) {
                    values[lane] = *value;
                }
            }
            let distances = Distances { lanes, gamma: self.gamma, values: &scratch };
            let sums: [L::Vector; 2] = self.panels.sum(lanes, &distances);
            let mut decisions = [0.0; MOST_ROWS];
            for r in 0..2 {
                let decision = lanes.add(sums[r], lanes.splat(self.intercept));
                lanes.store(decision, &mut decisions[r * L::WIDTH..]);
            }
            for (number, decision) in which.iter().zip(decisions) {
                // Which NaN it is depends on the processor.
                out[*number] = if decision.is_nan() { f64::NAN } else { decision };
            }
        }
    }
}

/// Two vectors of rows, feature by feature.
struct Distances<'a, L> {
    lanes: L,
    gamma: f64,
    values: &'a [f64],
}

impl<L: Lanes<f64>> Kernel<f64, L, 2> for Distances<'_, L> {
    #[inline(always)]
    fn add(&self, coefficients: &[f64], vectors: &[f64], mut sums: [L::Vector; 2]) -> [L::Vector; 2] {
        let lanes = self.lanes;
        let mut squares = [[lanes.splat(0.0); VECTORS]; 2];
        for (vectors, values) in vectors.chunks_exact(VECTORS).zip(self.values.chunks_exact(2 * L::WIDTH)) {
            for v in 0..VECTORS {
                let vector = lanes.splat(vectors[v]);
                for r in 0..2 {
                    let difference = lanes.sub(lanes.load(&values[r * L::WIDTH..]), vector);
                    squares[r][v] = lanes.fma(difference, difference, squares[r][v]);
                }
            }
        }
        for r in 0..2 {
            for square in &mut squares[r] {
                let exponent = lanes.mul(*square, lanes.splat(self.gamma));
                *square = lanes.at_least(exponent, lanes.splat(f64::LOWEST));
            }
            let (mantissas, powers) = exp2(lanes, squares[r]);
            for v in 0..VECTORS {
                let value = lanes.mul(mantissas[v], powers[v]);
                sums[r] = lanes.fma(lanes.splat(coefficients[v]), value, sums[r]);
            }
        }
        sums
    }
}
