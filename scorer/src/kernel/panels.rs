//! Support vectors as the kernels read them: four side by side.

use super::lanes::{Lanes, Number};

/// Support vectors side by side: with two vectors of rows, enough sums at a time to keep a processor busy, and few
/// enough to stay in its registers.
pub(super) const VECTORS: usize = 4;

/// Panels whose kernel values are added up before the sum is added to the total: rounding errors then grow with the
/// square root of this and of the number of blocks, not of their product.
const BLOCK: usize = 16;

/// Support vectors in panels of [`VECTORS`]: first their constants, then for each feature their values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Panels<N> {
    length: usize,
    numbers: Vec<N>,
}

impl<N: Number> Panels<N> {
    /// Packs vectors, each with its constant. What is missing of the last panel has this constant and zeros.
    pub(super) fn pack(n_features: usize, vectors: &[(N, &[N])], padding: N) -> Self {
        let length = VECTORS * (1 + n_features);
        let mut numbers = vec![N::ZERO; length * vectors.len().div_ceil(VECTORS)];
        for (panel, vectors) in numbers.chunks_exact_mut(length).zip(vectors.chunks(VECTORS)) {
            panel[..VECTORS].fill(padding);
            for (i, (constant, vector)) in vectors.iter().enumerate() {
                panel[i] = *constant;
                for (values, value) in panel[VECTORS..].chunks_exact_mut(VECTORS).zip(*vector) {
                    values[i] = *value;
                }
            }
        }
        Self { length, numbers }
    }

    /// Adds up, panel by panel and always in the same order, what `add` makes of each.
    #[inline(always)]
    pub(super) fn sum<L: Lanes<N>, const R: usize>(&self, lanes: L, kernel: &impl Kernel<N, L, R>) -> [L::Vector; R] {
        let zero = [lanes.splat(N::ZERO); R];
        let mut total = zero;
        for block in self.numbers.chunks(BLOCK * self.length) {
            let mut sum = zero;
            for panel in block.chunks_exact(self.length) {
                let (constants, vectors) = panel.split_at(VECTORS);
                sum = kernel.add(constants, vectors, sum);
            }
            for r in 0..R {
                total[r] = lanes.add(total[r], sum[r]);
            }
        }
        total
    }
}

/// What a panel adds to the sums of R vectors of rows.
pub(super) trait Kernel<N: Number, L: Lanes<N>, const R: usize> {
    fn add(&self, constants: &[N], vectors: &[N], sums: [L::Vector; R]) -> [L::Vector; R];
}
