//! 2ˣ of several vectors at once, so that the processor need not wait for one polynomial after the other.

use super::lanes::{Lanes, Number};

/// 2ˣ as `mantissa * power`, for x that is no lower than [`Number::LOWEST`] (where it is exactly 0) and no higher than
/// what the type holds.
#[inline(always)]
pub(super) fn exp2<N: Number, L: Lanes<N>, const K: usize>(
    lanes: L,
    x: [L::Vector; K],
) -> ([L::Vector; K], [L::Vector; K]) {
    let round = lanes.splat(N::ROUND);
    let mut power = x;
    let mut rest = x;
    for i in 0..K {
        let rounded = lanes.add(x[i], round);
        rest[i] = lanes.sub(x[i], lanes.sub(rounded, round));
        power[i] = lanes.power(rounded);
    }
    let mut mantissa = [lanes.splat(N::EXP2[0]); K];
    for &coefficient in &N::EXP2[1..] {
        let coefficient = lanes.splat(coefficient);
        for i in 0..K {
            mantissa[i] = lanes.fma(mantissa[i], rest[i], coefficient);
        }
    }
    (mantissa, power)
}
