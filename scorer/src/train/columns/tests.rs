use super::*;

#[test]
fn a_column_holds_the_kernel_of_a_row_with_every_row() {
    let rows: Vec<f64> = (0..600).map(|i| libm::sin(f64::from(i) * 1.7) * 3.0).collect();
    let mut columns = Columns::new(&rows, 2, 0.3, usize::MAX);
    for one in 0..300 {
        let column = columns.get(one).to_vec();
        assert_eq!(column.len(), 300);
        for (other, value) in column.into_iter().enumerate() {
            let distance: f64 = (0..2).map(|f| (rows[2 * one + f] - rows[2 * other + f]).powi(2)).sum();
            let expected = libm::exp(-0.3 * distance);
            assert!((f64::from(value) - expected).abs() <= 6e-8 * expected, "{one}, {other}: {value} {expected}");
        }
        assert_eq!(columns.get(one)[one], 1.0, "a row is as similar to itself as can be");
    }
}

#[test]
fn rows_worlds_apart_have_nothing_in_common() {
    let mut columns = Columns::new(&[0.0, 1e200, -1e9], 1, 1.0, usize::MAX);
    assert_eq!(columns.get(0), [1.0, 0.0, 0.0]);
}

#[test]
fn no_more_columns_are_held_than_fit_the_cache() {
    let rows: Vec<f64> = (0..100).map(f64::from).collect();
    let mut columns = Columns::new(&rows, 1, 0.01, 10 * 100 * size_of::<f32>());
    for row in (0..100).chain(50..70) {
        columns.get(row);
        let (one, other) = columns.pair(row, 99 - row);
        assert_eq!((one[row], other[99 - row]), (1.0, 1.0));
    }
    assert_eq!(columns.held.len(), 10);
    assert_eq!(columns.place.iter().filter(|p| **p != ABSENT).count(), 10);
    assert_eq!(Columns::new(&rows, 1, 0.01, 0).most, 2, "a pair is always held");
}

#[test]
fn the_column_that_was_used_last_stays() {
    let mut columns = Columns::new(&[0.0, 1.0, 2.0], 1, 1.0, 0);
    columns.get(0);
    columns.get(1);
    columns.get(0);
    columns.get(2);
    let held: Vec<usize> = columns.held.iter().map(|h| h.row).collect();
    assert_eq!(held, [0, 2]);
}
