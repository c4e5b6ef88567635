use std::collections::BTreeMap;

use super::*;
use crate::simulate::{Plant, rows};

#[test]
fn a_schedule_trains_as_the_command_does_unless_it_says_otherwise() {
    assert_eq!(TrainOptions::of(&Training::default(), CACHE_BYTES), TrainOptions::default());
}

fn plant(seed: u64, anomalies: f64) -> Plant {
    // A two-hour stretch in the life of one plant; another seed is another stretch.
    let start = "2026-01-01T00:00:00Z".parse().unwrap();
    Plant { devices: 1, tags: 3, start, length: "2h".parse().unwrap(), seed, anomalies }
}

/// Each sensor's values and labels.
fn sensors(plant: &Plant) -> BTreeMap<u32, (Vec<f64>, Vec<bool>)> {
    let mut sensors: BTreeMap<u32, (Vec<f64>, Vec<bool>)> = BTreeMap::new();
    for row in rows(plant) {
        let (values, labels) = sensors.entry(row.tag).or_default();
        values.push(row.value);
        labels.push(row.anomaly);
    }
    sensors
}

#[test]
fn trained_models_find_the_injected_anomalies_over_ten_seeds() {
    let (mut hits, mut misses, mut false_alarms) = (0_u32, 0_u32, 0_u32);
    for seed in 0..10 {
        // The history has unlabelled anomalies of its own, as real ones do.
        let history = sensors(&plant(seed + 1_000, 0.01));
        for (tag, (values, labels)) in sensors(&plant(seed, 0.01)) {
            let Fitted { model, .. } = train(&history[&tag].0, 1, &TrainOptions::default()).unwrap();
            for (decision, anomaly) in model.decisions(&values).into_iter().zip(labels) {
                match (decision <= 0.0, anomaly) {
                    (true, true) => hits += 1,
                    (false, true) => misses += 1,
                    (true, false) => false_alarms += 1,
                    (false, false) => {}
                }
            }
        }
    }
    assert!(hits > 200, "{hits} hits: the plant has anomalies to find");
    let (recall, precision) =
        (f64::from(hits) / f64::from(hits + misses), f64::from(hits) / f64::from(hits + false_alarms));
    assert!(recall >= 0.9 && precision >= 0.8, "recall {recall:.3}, precision {precision:.3}");
}

#[test]
fn the_same_readings_give_the_same_model() {
    let (values, _) = sensors(&plant(1, 0.01)).remove(&1).unwrap();
    let options = TrainOptions::default();
    assert_eq!(train(&values, 1, &options).unwrap(), train(&values, 1, &options).unwrap());
}

#[test]
fn a_long_history_is_thinned_evenly() {
    let values: Vec<f64> = (0..3 * MAX_ROWS).map(|i| libm::sin(to_f64(i))).collect();
    let options = TrainOptions { nu: 0.001, ..TrainOptions::default() };
    assert_eq!(train(&values, 1, &options).unwrap().rows, MAX_ROWS);
}

#[test]
fn a_sensor_that_never_changes_gets_a_degenerate_model_with_a_margin_about_its_value() {
    let Fitted { model, degenerate, .. } = train(&[7.3; 50], 1, &TrainOptions::default()).unwrap();
    let decisions = model.decisions(&[7.3, 12.0]);
    assert!(decisions[0] > 0.0 && decisions[1] <= 0.0, "{decisions:?}");
    assert!(degenerate.unwrap().contains("all 50 readings are [7.3]"));
}

#[test]
fn parameters_out_of_their_range_are_refused() {
    let values = [1.0; 20];
    let good = TrainOptions::default();
    for bad in [
        TrainOptions { nu: 0.0, ..good },
        TrainOptions { nu: f64::NAN, ..good },
        TrainOptions { nu: 1.5, ..good },
        TrainOptions { margin: 1.0, ..good },
        TrainOptions { gamma: Gamma::Value(-1.0), ..good },
        TrainOptions { max_rows: 9, ..good },
    ] {
        assert!(matches!(train(&values, 1, &bad), Err(TrainError::Parameter { .. })), "{bad:?}");
    }
    assert_eq!(train(&values[..9], 1, &good), Err(TrainError::TooFew { rows: 9 }));
}

#[test]
fn linfa_finds_the_same_boundary() {
    let history = sensors(&plant(3, 0.01)).remove(&1).unwrap().0;
    let values = &history[..400];
    let options = TrainOptions { gamma: Gamma::Value(0.5), margin: 0.0, ..TrainOptions::default() };
    let ours = train(values, 1, &options).unwrap().model;
    let (_, scaled) = standardise(values, 1);
    let records = ndarray::Array2::from_shape_vec((400, 1), scaled).unwrap();
    let dataset = linfa::DatasetBase::new(records.clone(), ndarray::Array1::from_elem(400, ()));
    // Shrinking is wrong in linfa-svm 0.8. Its kernel is exp(-|x - y|² / eps), so eps is 1 / gamma.
    let params = linfa_svm::Svm::<f64, linfa::dataset::Pr>::params();
    let theirs = params.nu_weight(options.nu).gaussian_kernel(2.0).shrinking(false).eps(1e-6);
    let theirs = linfa::traits::Fit::fit(&theirs, &dataset).unwrap();
    for (row, decision) in records.outer_iter().zip(ours.decisions(values)) {
        let other = theirs.weighted_sum(&row) - theirs.rho;
        // Sums of 40 kernel values, each to a tolerance of 1e-3.
        assert!((decision - other).abs() < 1e-2, "{row}: {decision} {other}");
    }
}

#[test]
fn a_model_that_calls_everything_an_anomaly_is_degenerate() {
    // Every reading is full weight, so rho is what the most similar reaches.
    let values: Vec<f64> = (0..20).map(f64::from).collect();
    let options = TrainOptions { nu: 1.0, margin: 0.0, ..TrainOptions::default() };
    let fitted = train(&values, 1, &options).unwrap();
    assert!(fitted.model.decisions(&values).into_iter().all(|decision| decision <= 1e-6));
    assert!(fitted.degenerate.unwrap().contains("calls all 20 readings"));
}

#[test]
fn a_model_of_one_support_vector_is_degenerate() {
    let values: Vec<f64> = [0.0, 1.0].repeat(10);
    let options = TrainOptions { nu: 0.04, gamma: Gamma::Value(1e-6), ..TrainOptions::default() };
    let fitted = train(&values, 1, &options).unwrap();
    assert!(fitted.degenerate.unwrap().contains("one support vector"));
}

#[test]
fn a_gamma_that_is_far_too_small_or_large_makes_a_degenerate_model() {
    for (values, _) in sensors(&plant(1, 0.01)).into_values() {
        for (gamma, why) in [(1e-300, "to its kernel all readings are the same"), (1e300, "would be anomalies")] {
            for margin in [0.0, 0.5] {
                let options = TrainOptions { gamma: Gamma::Value(gamma), margin, ..TrainOptions::default() };
                let degenerate = train(&values, 1, &options).unwrap().degenerate.unwrap();
                assert!(degenerate.contains(why) || margin == 0.0 && degenerate.contains("calls all"), "{degenerate}");
            }
        }
    }
}

#[test]
fn any_gamma_that_suits_the_readings_makes_a_model_that_is_not_degenerate() {
    for (values, _) in sensors(&plant(1, 0.01)).into_values() {
        for gamma in [1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0] {
            for margin in [0.0, 0.5] {
                let options = TrainOptions { gamma: Gamma::Value(gamma), margin, ..TrainOptions::default() };
                assert_eq!(train(&values, 1, &options).unwrap().degenerate, None, "gamma {gamma}, margin {margin}");
            }
        }
    }
}

#[test]
fn a_model_that_does_its_work_is_not_degenerate() {
    for (values, _) in sensors(&plant(1, 0.01)).into_values() {
        assert_eq!(train(&values, 1, &TrainOptions::default()).unwrap().degenerate, None);
    }
}

#[test]
fn the_size_of_the_cache_does_not_change_the_model() {
    let (values, _) = sensors(&plant(1, 0.01)).remove(&1).unwrap();
    let options = TrainOptions::default();
    let small = train(&values, 1, &TrainOptions { cache_bytes: 0, ..options }).unwrap();
    assert_eq!(small, train(&values, 1, &options).unwrap());
}
