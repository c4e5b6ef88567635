use super::super::{Boundary, EllipticEnvelope, IsolationForest, Metadata, SgdOneClassSvm, Trained, Tree};
use super::*;

#[test]
fn models_that_flag_everything_or_nothing_are_warned_about() {
    let warnings = |estimator| Model::new(vec![], estimator, Metadata::default()).unwrap().warnings().join(";");
    let sgd = |coefficient, offset| SgdOneClassSvm { coefficients: vec![coefficient], offset };
    assert_eq!(warnings(Estimator::SgdOneClassSvm(sgd(1.0, 5.0))), "");
    assert!(warnings(Estimator::SgdOneClassSvm(sgd(0.0, 5.0))).contains("every row is an anomaly"));
    assert!(warnings(Estimator::SgdOneClassSvm(sgd(0.0, -5.0))).contains("no row is ever an anomaly"));

    let svm = |kernel, coefficients: [f64; 2], intercept| {
        let svm = OneClassSvm {
            n_features: 1,
            kernel,
            support: vec![1.0, 2.0],
            coefficients: coefficients.into(),
            intercept,
        };
        Estimator::OneClassSvm(svm)
    };
    let (rbf, sigmoid) = (Kernel::Rbf { gamma: 1.0 }, Kernel::Sigmoid { gamma: 1.0, coef0: 0.0 });
    assert!(warnings(svm(rbf, [0.5, 0.5], -1.0)).contains("2 support vector(s) and its decision never exceeds 0.0"));
    assert!(warnings(svm(rbf, [0.5, 0.5], 0.1)).contains("no row is ever an anomaly"));
    assert_eq!(warnings(svm(rbf, [0.5, 0.5], -0.5)), "");
    assert!(warnings(svm(sigmoid, [0.5, 0.5], -1.5)).contains("every row is an anomaly"));
    assert!(warnings(svm(sigmoid, [0.5, 0.5], 1.5)).contains("no row is ever an anomaly"));
    assert_eq!(warnings(svm(Kernel::Linear, [0.5, 0.5], -100.0)), "");

    let envelope = |offset| {
        let envelope = EllipticEnvelope { location: vec![0.0], precision: vec![1.0], offset, rooted: false };
        Estimator::EllipticEnvelope(envelope)
    };
    assert_eq!(warnings(envelope(-9.0)), "");
    assert!(warnings(envelope(1.0)).contains("every row is an anomaly"));

    let stump = Tree { left: vec![0], right: vec![0], feature: vec![0], threshold: vec![0.0], samples: vec![8] };
    let forest = |offset| {
        let boundary = Boundary { at: 0.0, inclusive: false };
        let trees = vec![stump.clone()];
        let forest =
            IsolationForest { n_features: 1, trees, max_samples: 8, offset, boundary, single_rows_count: false };
        Estimator::IsolationForest(forest)
    };
    assert!(warnings(forest(-0.4)).contains("every row is an anomaly"), "its only score is -0.5");
    assert!(warnings(forest(-0.5)).contains("no row is ever an anomaly"));
}

/// A machine of one feature, fitted to so many readings where that is known.
fn svm(gamma: f64, support: &[f64], coefficient: f64, rho: f64, n_samples: Option<u64>) -> Model {
    let (support, coefficients) = (support.to_vec(), vec![coefficient; support.len()]);
    let svm = OneClassSvm { n_features: 1, kernel: Kernel::Rbf { gamma }, support, coefficients, intercept: -rho };
    Model::new(vec![], Estimator::OneClassSvm(svm), Metadata { n_samples, ..Metadata::default() }).unwrap()
}

/// So many places, a step apart.
fn places(count: u32, step: f64) -> Vec<f64> {
    (0..count).map(|i| f64::from(i) * step).collect()
}

#[test]
fn a_model_whose_readings_are_islands_is_warned_about() {
    for (margin, gamma) in [(0.0, 1e300), (0.5, 1e300), (0.0, 9.0), (0.5, 9.0)] {
        // Each of 20 readings has its share of nu, and is alone with it.
        let warnings = svm(gamma, &places(20, 1.5), 0.1, 0.1 * (1.0 - margin), Some(20)).warnings();
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("of the 20 readings") && warnings[0].contains("100 %"), "{warnings:?}");
    }
}

#[test]
fn the_same_support_vectors_of_many_more_readings_are_no_islands() {
    // A sensor of 20 levels, of which each is read many times.
    assert_eq!(svm(9.0, &places(20, 1.5), 0.5, 0.5, Some(1_000)).warnings(), Vec::<String>::new());
}

#[test]
fn readings_that_speak_for_each_other_are_no_islands_though_all_are_support_vectors() {
    let model = |margin: f64| svm(1.0, &places(20, 0.5), 0.1, 0.35 * (1.0 - margin), Some(20)).warnings();
    assert_eq!(model(0.6), Vec::<String>::new());
    assert_eq!(model(0.0).len(), 1, "on scikit-learn's own boundary each of them needs itself");
}

#[test]
fn where_it_is_not_known_how_many_readings_there_were_only_strangers_are_islands() {
    let warnings = svm(1e300, &places(20, 1.5), 0.1, 0.1, None).warnings();
    assert!(warnings[0].contains("no two of the model's 20 support vectors are similar"), "{warnings:?}");
    assert_eq!(svm(1.0, &places(20, 0.5), 0.1, 0.2, None).warnings(), Vec::<String>::new());
}

#[test]
fn a_model_to_whose_kernel_all_readings_are_the_same_is_warned_about() {
    for gamma in [1e-300, 1e-9] {
        let untouched = svm(gamma, &places(20, 0.3), 1.0, 20.0 - 1e-6, Some(200)).warnings();
        assert!(untouched[0].contains("decisions differ by less than 0.001"), "{untouched:?}");
        let far = svm(gamma, &places(20, 0.3), 0.99, 10.0, Some(200)).warnings();
        assert!(far[0].contains("the model calls everything normal within"), "{far:?}");
    }
    assert_eq!(svm(0.01, &places(20, 0.3), 1.0, 10.0, Some(200)).warnings(), Vec::<String>::new());
    assert_eq!(svm(0.01, &places(20, 0.3), 1.0, 19.5, Some(200)).warnings(), Vec::<String>::new());
}

#[test]
fn support_vectors_that_are_all_the_same_are_a_single_point() {
    let warnings = svm(1.0, &[0.0; 5], 1.0, 2.5, Some(50)).warnings();
    assert!(warnings[0].contains("5 support vectors that are all the same"), "{warnings:?}");
}

#[test]
fn a_kernel_that_sees_no_difference_between_near_and_far_is_warned_about() {
    let warnings = |kernel| {
        let (support, coefficients) = (vec![1.0, 2.0], vec![0.5, 0.5]);
        let svm = OneClassSvm { n_features: 1, kernel, support, coefficients, intercept: -0.5 };
        Model::new(vec![], Estimator::OneClassSvm(svm), Metadata::default()).unwrap().warnings()
    };
    for kernel in [
        Kernel::Poly { degree: 3, gamma: 1e-300, coef0: 1.0 },
        Kernel::Poly { degree: 3, gamma: 0.0, coef0: 1.0 },
        Kernel::Sigmoid { gamma: 1e-300, coef0: 1.0 },
    ] {
        assert!(warnings(kernel)[0].contains("for rows near and far"), "{kernel:?}");
    }
    assert_eq!(warnings(Kernel::Poly { degree: 3, gamma: 0.1, coef0: 1.0 }), Vec::<String>::new());
    assert_eq!(warnings(Kernel::Sigmoid { gamma: 0.1, coef0: 0.0 }), Vec::<String>::new());
}

#[test]
fn what_is_known_of_a_models_readings_outlives_its_file() {
    let trained = svm(9.0, &places(20, 1.5), 0.1, 0.1, Some(20));
    let read = |bytes: Vec<u8>| Model::from_bytes("m", &bytes).unwrap();
    let again = read(trained.to_bytes(&Trained { rows: 20, ..Trained::default() }).unwrap());
    assert_eq!((again.warnings().len(), &again), (1, &trained));
    let imported = read(trained.to_bytes(&super::super::Imported::default()).unwrap());
    assert_eq!(imported, trained);
}

#[test]
fn a_model_of_any_numbers_is_judged_without_a_panic() {
    for n_samples in [None, Some(0), Some(1), Some(19), Some(u64::MAX)] {
        for gamma in [f64::MIN_POSITIVE, 1.0, f64::MAX] {
            for support in [places(20, 1e300), places(20, f64::MIN_POSITIVE)] {
                let _ = svm(gamma, &support, f64::MIN_POSITIVE, f64::MAX, n_samples).warnings();
                let _ = svm(gamma, &support, 1e307, -f64::MAX, n_samples).warnings();
                let _ = svm(gamma, &support, -1.0, 1.0, n_samples).warnings();
            }
        }
    }
}
