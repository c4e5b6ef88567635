//! The kernel that runs everywhere, and the reference for the others.

use super::Rbf;

/// Sums in the order of the support vectors, as libsvm does: margins of 4e-11 have been seen in real models, and
/// predictions must have the same bytes on every machine. For the same reason `exp` is `libm`'s, in Rust: the C
/// library's differs between processors in the last bit.
pub(super) fn decisions(machine: &Rbf, rows: &[f64], out: &mut [f64]) {
    let vectors = || machine.support.chunks_exact(machine.n_features).zip(&machine.coefficients);
    for (row, out) in rows.chunks_exact(machine.n_features).zip(out) {
        let sum: f64 = vectors()
            .map(|(vector, coefficient)| {
                let distance: f64 = row.iter().zip(vector).map(|(x, v)| (x - v) * (x - v)).sum();
                coefficient * libm::exp(-machine.gamma * distance)
            })
            .sum();
        *out = sum + machine.intercept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_the_weighted_sum_of_kernel_values() {
        let machine = Rbf::new(2, 0.5, &[0.0, 0.0, 1.0, 2.0], &[0.25, 0.75], -0.5);
        let expected = 0.25 + 0.75 * (-2.5_f64).exp() - 0.5;
        let mut got = [0.0; 2];
        decisions(&machine, &[0.0, 0.0, 1e200, 0.0], &mut got);
        assert!((got[0] - expected).abs() < 1e-15, "{got:?}");
        assert!((got[1] + 0.5).abs() < 1e-15, "far away only the intercept is left: {got:?}");
    }
}
