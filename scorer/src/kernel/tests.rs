use proptest::prelude::*;

use super::*;

/// A machine as a model file has it.
#[derive(Clone, Debug)]
struct Machine {
    n_features: usize,
    gamma: f64,
    support: Vec<f64>,
    coefficients: Vec<f64>,
    intercept: f64,
}

impl Machine {
    fn prepared(&self, precision: Precision) -> Rbf {
        let Self { n_features, gamma, support, coefficients, intercept } = self;
        Rbf::new(precision, *n_features, *gamma, support, coefficients, *intercept)
    }

    /// The decision from the formula, with compensated sums.
    fn reference(&self, row: &[f64]) -> f64 {
        let terms = self.support.chunks_exact(self.n_features).zip(&self.coefficients).map(|(vector, coefficient)| {
            let squares = row.iter().zip(vector).map(|(x, v)| (x - v) * (x - v));
            coefficient * libm::exp(-self.gamma * compensated(squares))
        });
        compensated(terms.chain([self.intercept]))
    }

    fn total(&self) -> f64 {
        self.coefficients.iter().map(|c| c.abs()).sum()
    }
}

fn compensated(terms: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0_f64, 0.0);
    for term in terms {
        let next = sum + term;
        lost += if sum.abs() >= term.abs() { (sum - next) + term } else { (term - next) + sum };
        sum = next;
    }
    sum + lost
}

fn decisions(machine: &Rbf, set: InstructionSet, threads: usize, rows: &[f64]) -> Vec<f64> {
    let mut out = vec![0.5; rows.len() / machine.n_features];
    machine.decisions_with(set, threads, rows, &mut out);
    out
}

fn bits(decisions: &[f64]) -> Vec<u64> {
    decisions.iter().map(|d| d.to_bits()).collect()
}

/// The largest error of a machine's decisions.
fn error(machine: &Machine, precision: Precision, rows: &[f64]) -> f64 {
    let got = decisions(&machine.prepared(precision), InstructionSet::best(), 1, rows);
    let errors = rows.chunks_exact(machine.n_features).zip(got).map(|(row, got)| (got - machine.reference(row)).abs());
    errors.fold(0.0, f64::max)
}

/// Some numbers around 0 with a spread of about 1, always the same.
fn numbers(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    };
    (0..count).map(|_| next() + next() + next() + next()).map(|x| x * 1.7).collect()
}

/// What scikit-learn fits to readings with a spread of 1 and gamma="scale".
fn typical(n_features: usize, vectors: usize) -> Machine {
    Machine {
        n_features,
        gamma: 1.0 / n_features as f64,
        support: numbers(n_features * vectors, 7),
        coefficients: vec![1.0; vectors],
        intercept: -0.3 * vectors as f64,
    }
}

/// Two groups far from each other in a kernel so narrow that the expanded form loses digits.
fn narrow(n_features: usize, vectors: usize) -> (Machine, Vec<f64>) {
    let grouped = |seed| {
        let numbers = numbers(n_features * vectors, seed);
        let groups = numbers.chunks_exact(n_features).enumerate();
        groups.flat_map(|(i, xs)| xs.iter().map(move |x| x + if i % 2 == 0 { 1e5 } else { -1e5 })).collect::<Vec<_>>()
    };
    let machine = Machine { support: grouped(1), ..typical(n_features, vectors) };
    (machine, grouped(2))
}

#[test]
fn a_decision_is_the_weighted_sum_of_kernel_values() {
    let machine = Rbf::new(Precision::F64, 2, 0.5, &[0.0, 0.0, 1.0, 2.0], &[0.25, 0.75], -0.5);
    let expected = 0.25 + 0.75 * (-2.5_f64).exp() - 0.5;
    for set in InstructionSet::available() {
        let got = decisions(&machine, set, 1, &[0.0, 0.0, 1e200, 0.0]);
        assert!((got[0] - expected).abs() < 1e-15, "{set:?} {got:?}");
        assert_eq!(got[1].to_bits(), (-0.5_f64).to_bits(), "far away only the intercept is left: {set:?}");
    }
}

#[test]
fn typical_machines_use_the_fast_form_and_err_by_less_than_1e_12() {
    for n_features in [1, 2, 10, 30] {
        let machine = typical(n_features, 500);
        assert!(matches!(machine.prepared(Precision::F64).fast, Fast::F64(_)));
        assert!(matches!(machine.prepared(Precision::F32).fast, Fast::F32(_)));
        let rows = numbers(n_features * 500, 9);
        let error = error(&machine, Precision::F64, &rows);
        assert!(error < 5e-13, "{n_features} features: {error:e}");
    }
}

#[test]
fn narrow_kernels_over_far_flung_data_use_the_exact_form() {
    for n_features in [1, 3, 10] {
        let (machine, rows) = narrow(n_features, 200);
        assert_eq!(machine.prepared(Precision::F64).fast, Fast::None);
        let error = error(&machine, Precision::F64, &rows);
        assert!(error < 1e-13, "{n_features} features: {error:e}");
    }
}

#[test]
fn a_few_far_rows_of_a_typical_machine_are_as_exact_as_the_others() {
    let machine = typical(2, 100);
    let mut rows = numbers(2 * 100, 3);
    for (i, scale) in [(10, 10.0), (11, 1e3), (50, 1e8), (51, 1e160), (99, 30.0)] {
        rows[2 * i] *= scale;
    }
    assert!(error(&machine, Precision::F64, &rows) < 1e-13);
}

#[test]
fn f32_errs_by_less_than_two_millionths_of_the_coefficients_sum() {
    for n_features in [1, 2, 10, 30] {
        let machine = typical(n_features, 500);
        let error = error(&machine, Precision::F32, &numbers(n_features * 500, 9)) / machine.total();
        assert!(error < 2e-6 && error > 1e-9, "{n_features} features: {error:e}");
    }
}

#[test]
fn a_row_with_nan_has_the_decision_nan_and_its_neighbours_keep_theirs() {
    let machine = typical(3, 20);
    let mut rows = numbers(3 * 40, 5);
    for precision in [Precision::F64, Precision::F32] {
        let machine = machine.prepared(precision);
        let whole = decisions(&machine, InstructionSet::Portable, 1, &rows);
        rows[3 * 17 + 1] = f64::NAN;
        for set in InstructionSet::available() {
            let got = decisions(&machine, set, 1, &rows);
            assert_eq!(got[17].to_bits(), f64::NAN.to_bits(), "{set:?}");
            assert_eq!((bits(&got[..17]), bits(&got[18..])), (bits(&whole[..17]), bits(&whole[18..])), "{set:?}");
        }
        rows[3 * 17 + 1] = 0.0;
    }
}

#[test]
fn an_infinite_row_is_infinitely_far_away() {
    let machine = Rbf::new(Precision::F64, 2, 0.5, &[0.0, 0.0, 1.0, 2.0], &[0.25, 0.75], -0.5);
    for set in InstructionSet::available() {
        assert_eq!(decisions(&machine, set, 1, &[f64::INFINITY, 0.0, 1.0, f64::NEG_INFINITY]), [-0.5, -0.5], "{set:?}");
    }
}

#[test]
fn negative_zero_huge_and_tiny_coefficients_count_as_what_they_are() {
    for coefficients in [
        vec![1.0, -1.0, 0.0, 0.5, -0.25, 0.0, 2.0],
        vec![-1.0; 7],
        vec![0.0; 7],
        vec![1e300, -1e300, 1.0, 1e-300, 5e-324, -1e-310, 1e200],
        vec![1e-200; 7],
    ] {
        let machine = Machine { coefficients, intercept: 0.125, ..typical(2, 7) };
        let error = error(&machine, Precision::F64, &numbers(2 * 30, 8));
        assert!(error <= 1e-15 * machine.total().max(1.0), "{error:e} {:?}", machine.coefficients);
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let machine = typical(4, 30).prepared(Precision::F64);
    let rows = numbers(4 * 333, 6);
    let one = bits(&decisions(&machine, InstructionSet::best(), 1, &rows));
    for threads in [0, 2, 3, 7, 1_000] {
        assert_eq!(bits(&decisions(&machine, InstructionSet::best(), threads, &rows)), one, "{threads} threads");
    }
    assert_eq!(decisions(&machine, InstructionSet::best(), 2, &[]), [0.0; 0]);
}

#[test]
fn decisions_have_these_bits_on_every_architecture() {
    // Changes with the kernel's arithmetic only; then predictions change, too.
    let expected = [(Precision::F64, 0xe8f9_f70e_c97f_5017), (Precision::F32, 0x06a0_147c_4c7d_7728)];
    for (precision, expected) in expected {
        let mut hash = 0_u64;
        for (n_features, vectors) in [(1, 5), (2, 70), (7, 33), (30, 150)] {
            let machine = typical(n_features, vectors).prepared(precision);
            let got = bits(&decisions(&machine, InstructionSet::best(), 1, &numbers(n_features * 50, 4)));
            hash = got.iter().fold(hash, |hash, bits| (hash ^ bits).wrapping_mul(0x0100_0000_01b3).rotate_left(29));
        }
        assert_eq!(hash, expected, "{precision:?}: {hash:#x}");
    }
}

/// Numbers of all sizes, with those that are none.
fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        20 => -3.0..3.0,
        2 => -50.0..50.0,
        1 => proptest::sample::select(vec![0.0, -0.0, 1e-310, 1e20, -1e160, 1e308, f64::INFINITY, f64::NAN]),
    ]
}

fn machine() -> impl Strategy<Value = Machine> {
    let coefficient = prop_oneof![
        20 => 0.0..1.0,
        4 => -1.0..0.0,
        1 => proptest::sample::select(vec![0.0, 1.0, 1e-300, 1e300, -1e30]),
    ];
    (1_usize..40, 1_usize..150, prop_oneof![8 => 0.01..2.0, 1 => 1e-6..1e6]).prop_flat_map(
        move |(n_features, vectors, gamma)| {
            (
                proptest::collection::vec(-3.0..3.0, n_features * vectors),
                proptest::collection::vec(coefficient.clone(), vectors),
                -1.0..1.0,
                proptest::sample::select(vec![0.0, 0.0, 1.0, 1e5]),
            )
                .prop_map(move |(mut support, coefficients, intercept, offset)| {
                    support.iter_mut().for_each(|x| *x += offset);
                    let gamma = gamma / n_features as f64;
                    Machine { n_features, gamma, support, coefficients, intercept }
                })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn every_instruction_set_gives_the_same_bits(
        machine in machine(),
        values in proptest::collection::vec(value(), 0..1_500),
    ) {
        for precision in [Precision::F64, Precision::F32] {
            let machine = machine.prepared(precision);
            let rows = &values[..values.len() - values.len() % machine.n_features];
            let portable = bits(&decisions(&machine, InstructionSet::Portable, 1, rows));
            for set in InstructionSet::available() {
                prop_assert_eq!(&bits(&decisions(&machine, set, 1, rows)), &portable, "{:?} {:?}", set, precision);
            }
        }
    }

    #[test]
    fn a_row_has_the_same_bits_wherever_it_stands(
        machine in machine(),
        values in proptest::collection::vec(value(), 0..400),
    ) {
        let machine = machine.prepared(Precision::F64);
        let rows = &values[..values.len() - values.len() % machine.n_features];
        let together = decisions(&machine, InstructionSet::best(), 1, rows);
        for (row, decision) in rows.chunks_exact(machine.n_features).zip(together) {
            let alone = decisions(&machine, InstructionSet::best(), 1, row);
            prop_assert_eq!(bits(&alone), vec![decision.to_bits()]);
        }
    }

    #[test]
    fn decisions_err_by_less_than_1e_12(
        machine in machine(),
        values in proptest::collection::vec(-5.0..5.0, 0..400),
        offset in proptest::sample::select(vec![0.0, 1.0, 1e5]),
    ) {
        let coefficients = machine.coefficients.iter().map(|c| c.clamp(-1.0, 1.0)).collect();
        let machine = Machine { coefficients, ..machine };
        let mut rows = values;
        rows.truncate(rows.len() - rows.len() % machine.n_features);
        rows.iter_mut().for_each(|x| *x += offset);
        let error = error(&machine, Precision::F64, &rows);
        prop_assert!(error < 1e-12, "{error:e}");
    }
}
