//! Columns of a kernel matrix: how similar one row is to every row, which is what training asks for.

use super::InstructionSet;
use super::exp2::exp2;
use super::lanes::{Instructions, Lanes, Number, Task};

/// Vectors that are worked on at once.
const VECTORS: usize = 4;

/// Rows that lie side by side: so many vectors of the widest set.
const BLOCK: usize = 8 * VECTORS;

/// Rows that are asked for their `exp(-gamma · |x - y|²)` with each other.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Similarity {
    n_features: usize,
    count: usize,
    /// -γ·log2(e).
    gamma: f64,
    /// Block by block, in it feature by feature.
    values: Vec<f64>,
}

impl Similarity {
    /// `rows` has one row of `n_features` after the other; `gamma` is above 0.
    pub(crate) fn new(n_features: usize, gamma: f64, rows: &[f64]) -> Self {
        let count = rows.len() / n_features;
        let mut values = vec![0.0; count.next_multiple_of(BLOCK) * n_features];
        for (number, row) in rows.chunks_exact(n_features).enumerate() {
            for (feature, value) in row.iter().enumerate() {
                values[place(n_features, number, feature)] = *value;
            }
        }
        Self { n_features, count, gamma: -gamma * std::f64::consts::LOG2_E, values }
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The similarity of a row with every row, rounded to single precision.
    pub(crate) fn column(&self, row: usize, out: &mut [f32]) {
        self.column_with(InstructionSet::best(), row, out);
    }

    pub(super) fn column_with(&self, set: InstructionSet, row: usize, out: &mut [f32]) {
        let centre: Vec<f64> =
            (0..self.n_features).map(|feature| self.values[place(self.n_features, row, feature)]).collect();
        set.run(Column { rows: self, centre: &centre, out });
    }
}

/// Where a row's value is.
fn place(n_features: usize, row: usize, feature: usize) -> usize {
    (row / BLOCK * n_features + feature) * BLOCK + row % BLOCK
}

struct Column<'a> {
    rows: &'a Similarity,
    centre: &'a [f64],
    out: &'a mut [f32],
}

impl Task for Column<'_> {
    #[inline(always)]
    fn run(self, set: impl Instructions) {
        self.fill(set);
    }
}

impl Column<'_> {
    #[inline(always)]
    fn fill<L: Lanes<f64>>(self, lanes: L) {
        let Self { rows, centre, out } = self;
        for (block, out) in rows.values.chunks_exact(BLOCK * rows.n_features).zip(out.chunks_mut(BLOCK)) {
            let mut values = [0.0; BLOCK];
            for from in (0..BLOCK).step_by(VECTORS * L::WIDTH) {
                let mut squares = [lanes.splat(0.0); VECTORS];
                for (feature, centre) in block.chunks_exact(BLOCK).zip(centre) {
                    let centre = lanes.splat(*centre);
                    for v in 0..VECTORS {
                        let difference = lanes.sub(lanes.load(&feature[from + v * L::WIDTH..]), centre);
                        squares[v] = lanes.fma(difference, difference, squares[v]);
                    }
                }
                for square in &mut squares {
                    let exponent = lanes.mul(*square, lanes.splat(rows.gamma));
                    *square = lanes.at_least(exponent, lanes.splat(f64::LOWEST));
                }
                let (mantissas, powers) = exp2(lanes, squares);
                for v in 0..VECTORS {
                    lanes.store(lanes.mul(mantissas[v], powers[v]), &mut values[from + v * L::WIDTH..]);
                }
            }
            for (out, value) in out.iter_mut().zip(values) {
                #[allow(clippy::cast_possible_truncation, reason = "single precision is what is asked for")]
                let value = value as f32;
                *out = value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similarities_have_the_same_bits_with_every_instruction_set() {
        for (n_features, count) in [(1, 1), (1, 100), (3, 33), (30, 64)] {
            let rows: Vec<f64> = (0..count * n_features).map(|i| 3.0 * libm::sin(1.7 * i as f64)).collect();
            let similarity = Similarity::new(n_features, 0.3, &rows);
            for row in 0..count {
                let column = |set| {
                    let mut out = vec![f32::NAN; count];
                    similarity.column_with(set, row, &mut out);
                    out
                };
                let portable = column(InstructionSet::Portable);
                assert_eq!(portable[row], 1.0, "a row is as similar to itself as can be");
                for set in InstructionSet::available() {
                    assert_eq!(column(set), portable, "{set:?}, {n_features} features, row {row} of {count}");
                }
            }
        }
    }
}
