//! The fast form: `-γ·|x - v|² = 2γ·v·x - γ·|v|² - γ·|x|²`, so that a kernel value takes one fused multiply-add a
//! feature, and exp2. Everything is moved by the support vectors' mean; log2 of a coefficient is part of its vector's
//! constant; and exp2 of a row's own constant multiplies the sum in the end.
//!
//! The three terms cancel, so the error grows with their size. Each row's error is estimated from what was computed for
//! it; rows for which it is too large are left to the exact form.

use super::exp2::exp2;
use super::lanes::{Lanes, MOST_ROWS, Number};
use super::panels::{Kernel, Panels, VECTORS};

/// A machine in this form.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Expanded<N> {
    n_features: usize,
    center: Vec<f64>,
    /// γ·log2(e).
    gamma: f64,
    positive: Panels<N>,
    negative: Panels<N>,
    intercept: f64,
    /// What γ·log2(e)·|x|² may be, so that no exponent leaves the type's range.
    reach: f64,
    /// What that, times the sum of the kernel values, may be, so that enough digits are left.
    budget: f64,
}

impl<N: Number> Expanded<N> {
    /// The machine in this form, unless its numbers are too large or too small for it.
    pub(super) fn new(
        n_features: usize,
        gamma: f64,
        support: &[f64],
        coefficients: &[f64],
        intercept: f64,
    ) -> Option<Self> {
        let gamma = gamma * std::f64::consts::LOG2_E;
        let center = center(n_features, support);

        let (mut lowest, mut highest, mut farthest, mut total) = (0.0_f64, 0.0_f64, 0.0_f64, 0.0);
        let mut weights = Vec::with_capacity(support.len());
        let mut constants = Vec::with_capacity(coefficients.len());
        for (vector, coefficient) in support.chunks_exact(n_features).zip(coefficients) {
            let mut square = 0.0_f64;
            for (value, center) in vector.iter().zip(&center) {
                let value = value - center;
                square = value.mul_add(value, square);
                weights.push(N::from_f64(2.0 * gamma * value));
            }
            let logarithm = libm::log2(coefficient.abs());
            constants.push(N::from_f64(logarithm - gamma * square));
            if *coefficient != 0.0 {
                lowest = lowest.min(logarithm);
                highest = highest.max(logarithm);
            }
            farthest = farthest.max(gamma * square);
            total += coefficient.abs();
        }
        // With a² = γ·log2(e)·|x|² of a row and b² of the farthest support vector, exponents are above
        // lowest - b² - 2ab and below highest + a².
        let room = -0.9 * N::LOWEST.to_f64();
        let a = (room + lowest - farthest) / (2.0 * farthest.sqrt());
        let reach = (a.max(0.0) * a).min(room - highest);
        // Not a number counts as no.
        let fits = reach > 0.0 && total.is_finite();
        fits.then(|| {
            let pack = |sign| {
                let vectors = weights.chunks_exact(n_features).zip(&constants).zip(coefficients);
                let vectors = vectors.filter(|(_, coefficient)| **coefficient * sign > 0.0);
                let vectors: Vec<_> = vectors.map(|((weights, constant), _)| (*constant, weights)).collect();
                Panels::pack(n_features, &vectors, N::LOWEST)
            };
            let (positive, negative) = (pack(1.0), pack(-1.0));
            let budget = N::tolerance(total) / (N::ROUNDING * (1.0 + (n_features as f64).sqrt() / 2.0));
            Self { n_features, center, gamma, positive, negative, intercept, reach, budget }
        })
    }

    /// The decisions of the rows; those that are too far away are named in `far`, and their decisions are not set.
    #[inline(always)]
    pub(super) fn decisions<L: Lanes<N>>(&self, lanes: L, rows: &[f64], out: &mut [f64], far: &mut Vec<usize>) {
        let mut scratch = vec![N::ZERO; 2 * L::WIDTH * self.n_features];
        let whole = out.len() - out.len() % (2 * L::WIDTH);
        for first in (0..whole).step_by(2 * L::WIDTH) {
            self.tile::<L, 2>(lanes, first, rows, out, &mut scratch, far);
        }
        for first in (whole..out.len()).step_by(L::WIDTH) {
            self.tile::<L, 1>(lanes, first, rows, out, &mut scratch, far);
        }
    }

    /// As many rows as R vectors hold, from `first` on, or those that are left.
    #[inline(always)]
    fn tile<L: Lanes<N>, const R: usize>(
        &self,
        lanes: L,
        first: usize,
        rows: &[f64],
        out: &mut [f64],
        scratch: &mut [N],
        far: &mut Vec<usize>,
    ) {
        let width = R * L::WIDTH;
        let out = &mut out[first..];
        let count = out.len().min(width);
        let rows = &rows[first * self.n_features..(first + count) * self.n_features];
        // One row to a lane. What stands in lanes without a row is of no account.
        let scratch = &mut scratch[..width * self.n_features];
        for (feature, values) in scratch.chunks_exact_mut(width).enumerate() {
            let center = self.center[feature];
            for (value, row) in values.iter_mut().zip(rows.chunks_exact(self.n_features)) {
                *value = N::from_f64(row[feature] - center);
            }
        }

        let mut squares = [lanes.splat(N::ZERO); R];
        for values in scratch.chunks_exact(width) {
            for (square, value) in squares.iter_mut().zip(values.chunks_exact(L::WIDTH)) {
                let value = lanes.load(value);
                *square = lanes.fma(value, value, *square);
            }
        }
        let mut constants = squares;
        for r in 0..R {
            constants[r] = lanes.mul(lanes.splat(N::from_f64(-self.gamma)), squares[r]);
        }
        let (mantissas, powers) = exp2(lanes, constants);
        let weighted = WeightedRows { lanes, values: scratch };
        let positive: [L::Vector; R] = self.positive.sum(lanes, &weighted);
        let negative: [L::Vector; R] = self.negative.sum(lanes, &weighted);

        let (mut decisions, mut sums, mut distances) =
            ([N::ZERO; MOST_ROWS], [N::ZERO; MOST_ROWS], [N::ZERO; MOST_ROWS]);
        for r in 0..R {
            let lane = r * L::WIDTH;
            let sum = lanes.mul(mantissas[r], lanes.sub(positive[r], negative[r]));
            let decision = lanes.fma(powers[r], sum, lanes.splat(N::from_f64(self.intercept)));
            let sum = lanes.mul(mantissas[r], lanes.add(positive[r], negative[r]));
            lanes.store(decision, &mut decisions[lane..]);
            lanes.store(lanes.mul(powers[r], sum), &mut sums[lane..]);
            lanes.store(constants[r], &mut distances[lane..]);
        }
        for (i, out) in out[..count].iter_mut().enumerate() {
            *out = decisions[i].to_f64();
            let distance = -distances[i].to_f64();
            // Not a number counts as far.
            if !(distance <= self.reach && distance * sums[i].to_f64() <= self.budget) {
                far.push(first + i);
            }
        }
    }
}

/// R vectors of rows, feature by feature.
struct WeightedRows<'a, N, L> {
    lanes: L,
    values: &'a [N],
}

impl<N: Number, L: Lanes<N>, const R: usize> Kernel<N, L, R> for WeightedRows<'_, N, L> {
    #[inline(always)]
    fn add(&self, constants: &[N], vectors: &[N], mut sums: [L::Vector; R]) -> [L::Vector; R] {
        let lanes = self.lanes;
        let mut exponents = [[lanes.splat(N::ZERO); VECTORS]; R];
        for r in 0..R {
            for v in 0..VECTORS {
                exponents[r][v] = lanes.splat(constants[v]);
            }
        }
        for (weights, values) in vectors.chunks_exact(VECTORS).zip(self.values.chunks_exact(R * L::WIDTH)) {
            for v in 0..VECTORS {
                let weight = lanes.splat(weights[v]);
                for r in 0..R {
                    exponents[r][v] = lanes.fma(weight, lanes.load(&values[r * L::WIDTH..]), exponents[r][v]);
                }
            }
        }
        for r in 0..R {
            let (mantissas, powers) = exp2(lanes, exponents[r]);
            for v in 0..VECTORS {
                sums[r] = lanes.fma(mantissas[v], powers[v], sums[r]);
            }
        }
        sums
    }
}

/// The mean of the support vectors; 0 where it is small against their spread, so that nothing is rounded.
fn center(n_features: usize, support: &[f64]) -> Vec<f64> {
    let mut center = vec![0.0; n_features];
    let mut spread = vec![0.0_f64; n_features];
    let count = (support.len() / n_features) as f64;
    for vector in support.chunks_exact(n_features) {
        for (center, value) in center.iter_mut().zip(vector) {
            *center += value / count;
        }
    }
    for vector in support.chunks_exact(n_features) {
        for ((spread, value), center) in spread.iter_mut().zip(vector).zip(&center) {
            *spread = spread.max((value - center).abs());
        }
    }
    for (center, spread) in center.iter_mut().zip(spread) {
        if center.abs() < spread / 8.0 {
            *center = 0.0;
        }
    }
    center
}
