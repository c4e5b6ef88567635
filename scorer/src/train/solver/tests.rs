use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

const TOLERANCE: f64 = 1e-3;

/// By how much two rows break the conditions of the optimum, with a gradient of its own making in double precision.
fn gap(rows: &[f64], n_features: usize, gamma: f64, alpha: &[f64]) -> f64 {
    let of = |row: usize| &rows[row * n_features..(row + 1) * n_features];
    let kernel = |one: usize, other: usize| {
        libm::exp(-gamma * of(one).iter().zip(of(other)).map(|(x, y)| (x - y) * (x - y)).sum::<f64>())
    };
    let gradient = |row| alpha.iter().enumerate().map(|(other, a)| a * kernel(row, other)).sum::<f64>();
    let gradients: Vec<f64> = (0..alpha.len()).map(gradient).collect();
    let of =
        |keep: &dyn Fn(f64) -> bool| gradients.iter().zip(alpha).filter(|(_, a)| keep(**a)).map(|(g, _)| *g).collect();
    let (may_rise, may_fall): (Vec<f64>, Vec<f64>) = (of(&|a| a < 1.0), of(&|a| a > 0.0));
    may_fall.into_iter().fold(f64::NEG_INFINITY, f64::max) - may_rise.into_iter().fold(f64::INFINITY, f64::min)
}

#[derive(Deserialize)]
struct Case {
    n_features: usize,
    gamma: f64,
    nu: f64,
    rows: Vec<f64>,
    support: Vec<usize>,
    coefficients: Vec<f64>,
    offset: f64,
}

#[test]
fn support_vectors_coefficients_and_rho_are_those_of_scikit_learn() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/training/sklearn.json");
    let cases: BTreeMap<String, Case> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert!(cases.len() >= 8);
    for (name, case) in cases {
        let Solution { alpha, rho, .. } = solved(&case.rows, case.n_features, case.gamma, case.nu, 0);
        let support: Vec<usize> = (0..alpha.len()).filter(|row| alpha[*row] > 0.0).collect();
        assert_eq!(support, case.support, "{name}");
        for (row, coefficient) in support.into_iter().zip(case.coefficients) {
            assert!((alpha[row] - coefficient).abs() < 1e-6, "{name}, row {row}: {} {coefficient}", alpha[row]);
        }
        assert!((rho - case.offset).abs() < 1e-6 * rho, "{name}: {rho} {}", case.offset);
    }
}

fn solved(rows: &[f64], n_features: usize, gamma: f64, nu: f64, cache: usize) -> Solution {
    solve(&mut Columns::new(rows, n_features, gamma, cache), nu, TOLERANCE, 1_000_000).unwrap()
}

#[test]
fn two_rows_share_the_weight() {
    let Solution { alpha, rho, .. } = solved(&[0.0, 1.0], 1, 1.0, 0.5, 0);
    assert!((alpha[0] - 0.5).abs() < 1e-3 && (alpha[0] + alpha[1] - 1.0).abs() < 1e-15, "{alpha:?}");
    assert!((rho - (0.5 + 0.5 * libm::exp(-1.0))).abs() < 1e-6, "{rho}");
}

#[test]
fn rows_that_are_all_the_same_are_solved_where_they_start() {
    let Solution { alpha, scores, rho } = solved(&[3.0; 20], 1, 1.0, 0.25, 0);
    assert_eq!(alpha, [&[1.0; 5][..], &[0.0; 15]].concat());
    assert_eq!((scores, rho), (vec![5.0; 20], 5.0));
}

#[test]
fn with_a_nu_of_one_every_row_has_full_weight_and_rho_is_a_number() {
    let Solution { alpha, rho, .. } = solved(&[0.0, 1.0, 5.0], 1, 1.0, 1.0, 0);
    assert_eq!(alpha, [1.0; 3]);
    assert!(rho.is_finite());
}

#[test]
fn too_few_steps_are_an_error() {
    let rows: Vec<f64> = (0..50).map(f64::from).collect();
    let found = solve(&mut Columns::new(&rows, 1, 0.1, 0), 0.3, TOLERANCE, 2);
    assert_eq!(found, Err(NotConverged(2)));
}

prop_compose! {
    /// Rows with duplicates, constants and outliers, and parameters of all sizes.
    fn problems()(n_features in 1..4_usize)(
        rows in prop::collection::vec(
            prop::collection::vec(prop_oneof![4 => -3.0..3.0_f64, 3 => (-2..3).prop_map(f64::from), 1 => Just(40.0)], n_features),
            2..60,
        ),
        copies in 1..3_usize,
        n_features in Just(n_features),
        log_gamma in -6.0..4.0_f64,
        nu in 0.01..1.0_f64,
    ) -> (Vec<f64>, usize, f64, f64) {
        (rows.concat().repeat(copies), n_features, libm::exp(log_gamma), nu)
    }
}

proptest! {
    #[test]
    fn every_solution_meets_the_conditions_of_the_optimum((rows, n_features, gamma, nu) in problems()) {
        let Solution { alpha, rho, .. } = solved(&rows, n_features, gamma, nu, 0);
        let count = (rows.len() / n_features) as f64;
        prop_assert!(alpha.iter().all(|a| (0.0..=1.0).contains(a)));
        prop_assert!((alpha.iter().sum::<f64>() - nu * count).abs() < 1e-9 * count);
        // Beyond the tolerance, what single precision makes of a gradient.
        let gap = gap(&rows, n_features, gamma, &alpha);
        prop_assert!(gap < TOLERANCE + 1e-7 * count, "gap {}", gap);
        prop_assert!(rho.is_finite() && rho > 0.0);
    }

    #[test]
    fn the_size_of_the_cache_changes_nothing((rows, n_features, gamma, nu) in problems(), kept in 0..40_usize) {
        let column = rows.len() / n_features * size_of::<f32>();
        let small = solved(&rows, n_features, gamma, nu, kept * column);
        prop_assert_eq!(small, solved(&rows, n_features, gamma, nu, usize::MAX));
    }
}
