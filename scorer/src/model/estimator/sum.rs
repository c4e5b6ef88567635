//! Sums with numpy's bits.

/// The mean of numbers, added up in numpy's order: eight sums side by side, and long arrays in halves.
#[allow(clippy::cast_precision_loss, reason = "arrays are far shorter than 2^53")]
pub(super) fn mean(numbers: &[f64]) -> f64 {
    sum(numbers) / numbers.len() as f64
}

fn sum(numbers: &[f64]) -> f64 {
    const LANES: usize = 8;
    const BLOCK: usize = 128;
    if numbers.len() > BLOCK {
        let half = numbers.len() / 2 / LANES * LANES;
        return sum(&numbers[..half]) + sum(&numbers[half..]);
    }
    let (eights, rest) = numbers.as_chunks::<LANES>();
    let Some((first, more)) = eights.split_first() else { return rest.iter().sum() };
    let mut sums = *first;
    for eight in more {
        for (sum, x) in sums.iter_mut().zip(eight) {
            *sum += x;
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    rest.iter().fold(((a + b) + (c + d)) + ((e + f) + (g + h)), |sum, x| sum + x)
}
