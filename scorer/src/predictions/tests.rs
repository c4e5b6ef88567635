use spec::work::{Columns, PredictionFormat, PredictionLayout, Predictions};

use super::*;
use crate::model::{Estimator, Kernel, Metadata, OneClassSvm, Scaler, Transform};
use crate::readings::{Readings, read_csv};

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

fn read(file: &str, fixed: &SensorKeys) -> Readings {
    let keys = ["device".to_owned(), "tag".to_owned()];
    read_csv("f", file.as_bytes(), &Columns::default(), &keys, fixed, None, None).unwrap()
}

fn kind(layout: PredictionLayout, format: PredictionFormat) -> Predictions {
    Predictions { layout, format, ..Predictions::default() }
}

/// The predictions of a file of readings with one sensor.
fn predictions(kind: &Predictions, file: &str, fixed: &SensorKeys) -> Result<(Scored, String), PredictionsError> {
    let readings = read(file, fixed);
    let (sensor, rows) = readings.sensors.first_key_value().unwrap();
    let scored = score(&model(readings.layout.values.len()), &readings.layout, sensor, rows).unwrap();
    let bytes = scored.to_file(kind, &readings.layout, sensor, &rows.good)?;
    Ok((scored, String::from_utf8(bytes).unwrap()))
}

#[test]
fn predictions_repeat_the_input_and_leave_bad_rows_out() {
    let file = "Time,Tag,Device,Val\nt1,5,1,10.0\nt2,5,1,x\nt3,5,1,9.50\n";
    let (scored, csv) = predictions(&Predictions::default(), file, &SensorKeys::default()).unwrap();
    assert_eq!((scored.rows, scored.scored, scored.anomalies, scored.bad_rows), (3, 2, 2, 1));
    assert_eq!(csv, "Time,Tag,Device,Val,score,prediction\nt1,5,1,10.0,0.0,1\nt3,5,1,9.50,-0.06058693718652419,1\n");
}

#[test]
fn a_key_without_a_column_stands_behind_those_that_have_one() {
    let fixed: SensorKeys = [("device", "a,b")].into_iter().collect();
    let (_, csv) = predictions(&Predictions::default(), "Tag,Val\n5,10\n", &fixed).unwrap();
    assert_eq!(csv, "Tag,device,Val,score,prediction\n5,\"a,b\",10,0.0,1\n");
}

#[test]
fn a_shared_file_says_time_and_the_keys_names_whatever_the_readings_call_them() {
    let kind = kind(PredictionLayout::PerItem, PredictionFormat::Csv);
    let (_, csv) = predictions(&kind, "date,TAG,Device,Val\nt1,5,1,10\n", &SensorKeys::default()).unwrap();
    assert_eq!(csv, "time,device,tag,Val,score,prediction\nt1,1,5,10,0.0,1\n");
}

#[test]
fn json_lines_have_texts_for_time_and_keys_and_numbers_for_the_rest() {
    let kind = kind(PredictionLayout::PerSensor, PredictionFormat::JsonLines);
    let file = "TS,Device,Tag,\"Val \"\"x\"\"\"\nt1,\"a\"\"b\",5,10\nt2,\"a\"\"b\",5,9.50\n";
    let (_, text) = predictions(&kind, file, &SensorKeys::default()).unwrap();
    assert_eq!(
        text,
        "{\"TS\":\"t1\",\"Device\":\"a\\\"b\",\"Tag\":\"5\",\"Val \\\"x\\\"\":10.0,\"score\":0.0,\"prediction\":1}\n\
         {\"TS\":\"t2\",\"Device\":\"a\\\"b\",\"Tag\":\"5\",\"Val \\\"x\\\"\":9.5,\"score\":-0.06058693718652419,\"prediction\":1}\n"
    );
    for line in text.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

#[test]
fn without_a_time_the_first_field_of_a_line_is_a_key() {
    let kind = kind(PredictionLayout::PerSensor, PredictionFormat::JsonLines);
    let (_, text) = predictions(&kind, "Device,Tag,Val\n1,5,10\n", &SensorKeys::default()).unwrap();
    assert_eq!(text, "{\"Device\":\"1\",\"Tag\":\"5\",\"Val\":10.0,\"score\":0.0,\"prediction\":1}\n");
}

#[test]
fn two_columns_of_one_name_are_refused_where_a_reader_could_not_tell_them_apart() {
    use {PredictionFormat as Format, PredictionLayout as Layout};
    let file = |name: &str| format!("TS,Device,Tag,{name}\nt1,1,5,10\n");
    for (layout, format, value, fits) in [
        (Layout::PerSensor, Format::Csv, "Score", true),
        (Layout::PerSensor, Format::JsonLines, "Score", false),
        (Layout::PerSensor, Format::JsonLines, "hour", true),
        (Layout::PerItem, Format::Csv, "score", false),
        (Layout::PerItem, Format::Csv, "Hour", true),
        (Layout::Partitioned, Format::Csv, "Hour", false),
    ] {
        let result = predictions(&kind(layout, format), &file(value), &SensorKeys::default());
        assert_eq!(result.is_ok(), fits, "{layout:?} {format:?} {value}");
        if let Err(error) = result {
            assert_eq!(error.reason(), "ColumnAmbiguous");
            assert!(error.to_string().contains("rename"), "{error}");
        }
    }
}

#[test]
fn blocks_give_the_same_bytes_as_all_rows_at_once() {
    let none = SensorKeys::default();
    let (first, second) = ("TS,Device,Tag,Val\nt1,1,5,10\nt2,1,5,9\n", "TS,Device,Tag,Val\nt3,1,5,8\n");
    let all = format!("{first}t3,1,5,8\n");
    for format in [PredictionFormat::Csv, PredictionFormat::JsonLines] {
        let kind = kind(PredictionLayout::PerSensor, format);
        let (_, whole) = predictions(&kind, &all, &none).unwrap();
        let mut out = Vec::new();
        let mut encoder: Option<Encoder> = None;
        for file in [first, second] {
            let readings = read(file, &none);
            let (sensor, rows) = readings.sensors.first_key_value().unwrap();
            let scored = score(&model(1), &readings.layout, sensor, rows).unwrap();
            let encoder = encoder.get_or_insert_with(|| {
                let header = Header::of(&kind, &readings.layout, sensor).unwrap();
                Encoder::begin(format, header, &mut out).unwrap()
            });
            encoder.write(&scored.block(sensor, &rows.good), &mut out).unwrap();
        }
        encoder.unwrap().finish(&mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), whole);
    }
}

fn parquet_rows(bytes: Vec<u8>) -> (String, Vec<String>) {
    use ::parquet::file::reader::{FileReader, SerializedFileReader};
    let reader = SerializedFileReader::new(bytes::Bytes::from(bytes)).unwrap();
    let mut schema = Vec::new();
    ::parquet::schema::printer::print_schema(&mut schema, reader.metadata().file_metadata().schema());
    let rows = reader.get_row_iter(None).unwrap().map(|row| row.unwrap().to_string()).collect();
    (String::from_utf8(schema).unwrap(), rows)
}

#[test]
fn parquet_has_instants_texts_doubles_and_an_integer() {
    let none = SensorKeys::default();
    let kind = kind(PredictionLayout::PerItem, PredictionFormat::Parquet);
    let readings =
        read("TS,Device,Tag,Val\n2018-08-28 23:00:05.250,1,é,10\n2018-08-29T01:00:06+02:00,1,é,9.5\n", &none);
    let (sensor, rows) = readings.sensors.first_key_value().unwrap();
    let scored = score(&model(1), &readings.layout, sensor, rows).unwrap();
    let bytes = scored.to_file(&kind, &readings.layout, sensor, &rows.good).unwrap();
    assert_eq!(bytes, scored.to_file(&kind, &readings.layout, sensor, &rows.good).unwrap(), "same input, same bytes");
    let (schema, rows) = parquet_rows(bytes);
    assert_eq!(
        schema,
        "message predictions {\n  REQUIRED INT64 time (TIMESTAMP(MICROS,true));\n  REQUIRED BYTE_ARRAY device (STRING);\n  \
         REQUIRED BYTE_ARRAY tag (STRING);\n  REQUIRED DOUBLE Val;\n  REQUIRED DOUBLE score;\n  REQUIRED INT32 prediction;\n}\n"
    );
    assert_eq!(
        rows,
        [
            "{time: 2018-08-28 23:00:05.250000 +00:00, device: \"1\", tag: \"é\", Val: 10.0, score: 0E0, prediction: 1}",
            "{time: 2018-08-28 23:00:06.000000 +00:00, device: \"1\", tag: \"é\", Val: 9.5, score: -6.058693718652419E-2, prediction: 1}",
        ]
    );
}

#[test]
fn parquet_keeps_times_that_are_none_as_texts_and_leaves_a_missing_column_out() {
    let none = SensorKeys::default();
    let kind = kind(PredictionLayout::PerSensor, PredictionFormat::Parquet);
    for (file, first) in [
        ("TS,Device,Tag,Val\n2018-08-28 23:00:05,1,5,10\nsoon,1,5,10\n", "BYTE_ARRAY TS"),
        ("Device,Tag,Val\n1,5,10\n", "BYTE_ARRAY Device"),
    ] {
        let readings = read(file, &none);
        let (sensor, rows) = readings.sensors.first_key_value().unwrap();
        let scored = score(&model(1), &readings.layout, sensor, rows).unwrap();
        let (schema, rows) = parquet_rows(scored.to_file(&kind, &readings.layout, sensor, &rows.good).unwrap());
        assert!(schema.lines().nth(1).unwrap().contains(first), "{schema}");
        assert_eq!(rows.len() as u64, scored.scored);
    }
}

#[test]
fn parquet_of_many_rows_has_several_row_groups_and_hands_its_bytes_out_on_the_way() {
    use std::fmt::Write as _;
    let none = SensorKeys::default();
    let kind = kind(PredictionLayout::PerItem, PredictionFormat::Parquet);
    let mut file = String::from("TS,Device,Tag,Val\n");
    for n in 0..100_000 {
        writeln!(file, "2018-08-28 23:00:05.{n:06},1,5,{n}").unwrap();
    }
    let readings = read(&file, &none);
    let (sensor, rows) = readings.sensors.first_key_value().unwrap();
    let scored = score(&model(1), &readings.layout, sensor, rows).unwrap();
    let mut out = Vec::new();
    let header = Header::of(&kind, &readings.layout, sensor).unwrap();
    let mut encoder = Encoder::begin(kind.format, header, &mut out).unwrap();
    encoder.write(&scored.block(sensor, &rows.good), &mut out).unwrap();
    let mut sent = std::mem::take(&mut out);
    assert!(!sent.is_empty(), "a row group is out");
    let late = read("TS,Device,Tag,Val\nsoon,1,5,1\n", &none);
    let late = late.sensors.values().next().unwrap();
    let one = Block { sensor, readings: &late.good, scores: &[1.0], verdicts: &[false] };
    let error = encoder.write(&one, &mut out).unwrap_err();
    assert!(error.to_string().contains("\"soon\""), "{error}");
    encoder.finish(&mut out).unwrap();
    sent.append(&mut out);
    let (_, rows) = parquet_rows(sent);
    assert_eq!(rows.len(), 100_000);
    assert!(rows[99_999].contains("Val: 99999.0"), "{}", rows[99_999]);
}

#[test]
fn a_model_for_other_features_is_refused_with_what_to_do() {
    let readings = read("TS,Device,Tag,Val\nt,1,5,10\n", &SensorKeys::default());
    let (sensor, rows) = readings.sensors.first_key_value().unwrap();
    let error = score(&model(2), &readings.layout, sensor, rows).unwrap_err();
    assert_eq!(error.reason(), "FeaturesMismatch");
    assert!(error.to_string().contains("takes 2 value(s) per reading, the data has 1 (Val)"), "{error}");
}
