use spec::work::Columns;

use super::*;
use crate::model::{Estimator, Kernel, Metadata, OneClassSvm, Scaler, Transform};
use crate::readings::read_csv;

fn model(n_features: usize) -> Model {
    let svm = OneClassSvm {
        n_features,
        kernel: Kernel::Rbf { gamma: 1.0 },
        support: vec![0.0; n_features],
        coefficients: vec![1.0],
        intercept: -1.0,
    };
    let scaler = Scaler { mean: vec![10.0; n_features], scale: vec![2.0; n_features] };
    Model::new(vec![Transform::StandardScaler(scaler)], Estimator::OneClassSvm(svm), Metadata::default()).unwrap()
}

fn scored(model: &Model, file: &str, fixed: &SensorKeys) -> Result<Scored, ScoreError> {
    let keys = ["device".to_owned(), "tag".to_owned()];
    let readings = read_csv("f", file.as_bytes(), &Columns::default(), &keys, fixed, None, None).unwrap();
    let (sensor, rows) = readings.sensors.first_key_value().unwrap();
    score(model, &readings.layout, sensor, rows)
}

#[test]
fn predictions_repeat_the_input_and_leave_bad_rows_out() {
    let file = "Time,Tag,Device,Val\nt1,5,1,10.0\nt2,5,1,x\nt3,5,1,9.50\n";
    let scored = scored(&model(1), file, &SensorKeys::default()).unwrap();
    assert_eq!((scored.rows, scored.scored, scored.anomalies, scored.bad_rows), (3, 2, 2, 1));
    let csv = String::from_utf8(scored.csv).unwrap();
    assert_eq!(csv, "Time,Tag,Device,Val,score,prediction\nt1,5,1,10.0,0.0,1\nt3,5,1,9.50,-0.06058693718652419,1\n");
}

#[test]
fn a_key_without_a_column_stands_behind_those_that_have_one() {
    let fixed: SensorKeys = [("device", "a,b")].into_iter().collect();
    let csv = String::from_utf8(scored(&model(1), "Tag,Val\n5,10\n", &fixed).unwrap().csv).unwrap();
    assert_eq!(csv, "Tag,device,Val,score,prediction\n5,\"a,b\",10,0.0,1\n");
}

#[test]
fn a_model_for_other_features_is_refused_with_what_to_do() {
    let error = scored(&model(2), "TS,Device,Tag,Val\nt,1,5,10\n", &SensorKeys::default()).unwrap_err();
    assert_eq!(error.reason(), "FeaturesMismatch");
    assert!(error.to_string().contains("takes 2 value(s) per reading, the data has 1 (Val)"), "{error}");
}
