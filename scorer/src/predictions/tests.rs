use std::ops::ControlFlow;

use spec::SensorKeys;
use spec::work::{PredictionFormat, PredictionLayout, Predictions};

use super::*;
use crate::model::{Estimator, Kernel, Metadata, OneClassSvm, Scaler, SimpleImputer, Transform};
use crate::readings::{Column, Encoding, Limits, Pass, Sink, TimeParser, Wanted};

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

fn kind(layout: PredictionLayout, format: PredictionFormat) -> Predictions {
    Predictions { layout, format, ..Predictions::default() }
}

/// The predictions of a file of readings with one sensor, made of blocks of about so many bytes.
fn in_blocks(
    kind: &Predictions,
    file: &str,
    fixed: &SensorKeys,
    block: usize,
) -> Result<(Tally, Vec<u8>), PredictionsError> {
    let keys = vec!["device".to_owned(), "tag".to_owned()];
    let wanted = Wanted { keys, fixed: fixed.clone(), instants: true, ..Wanted::default() };
    let mut sink = Blocks::default();
    let mut pass = Pass::new(wanted, vec!["f".to_owned()], Limits { block, open: usize::MAX });
    let _ = pass.file(file.as_bytes(), &mut sink).unwrap();
    let totals = pass.end(&mut sink).unwrap();
    let (sensor, counts) = &totals.sensors[0];
    let scorer = Scorer::new(Arc::new(model(sink.head.layout.values.len())), sink.head).unwrap();
    let mut file = SensorFile::begin(kind, sensor, scorer, counts.unread_time.as_deref())?;
    let mut bytes = Vec::new();
    for rows in sink.blocks {
        file.add(rows)?;
        bytes.append(file.ready());
    }
    let tally = file.tally().clone();
    bytes.extend(file.finish()?);
    Ok((tally, bytes))
}

/// Keeps the blocks.
#[derive(Default)]
struct Blocks {
    head: Arc<Head>,
    blocks: Vec<Rows>,
}

impl Sink for Blocks {
    fn begin(&mut self, head: &Arc<Head>) {
        self.head = Arc::clone(head);
    }

    fn rows(&mut self, _sensor: usize, rows: Rows) -> ControlFlow<()> {
        self.blocks.push(rows);
        ControlFlow::Continue(())
    }
}

fn predictions(kind: &Predictions, file: &str, fixed: &SensorKeys) -> Result<(Tally, String), PredictionsError> {
    let (tally, bytes) = in_blocks(kind, file, fixed, usize::MAX)?;
    Ok((tally, String::from_utf8(bytes).unwrap()))
}

#[test]
fn predictions_repeat_the_input_and_leave_bad_rows_out() {
    let file = "Time,Tag,Device,Val\nt1,5,1,10.0\nt2,5,1,x\nt3,5,1,9.50\n";
    let (tally, csv) = predictions(&Predictions::default(), file, &SensorKeys::default()).unwrap();
    assert_eq!((tally.scored, tally.anomalies, tally.bad_rows), (2, 2, 1));
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
    let file = "TS,Device,Tag,Val\nt1,1,5,10\nt2,1,5,x\n2018-08-28 23:00:05,1,5,9\nt3,1,5,8\n";
    for format in [PredictionFormat::Csv, PredictionFormat::JsonLines, PredictionFormat::Parquet] {
        let kind = kind(PredictionLayout::PerSensor, format);
        let whole = in_blocks(&kind, file, &none, usize::MAX).unwrap();
        for block in [1, 100, 150] {
            assert_eq!(in_blocks(&kind, file, &none, block).unwrap(), whole);
        }
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
    let file = "TS,Device,Tag,Val\n2018-08-28 23:00:05.250,1,é,10\n2018-08-29T01:00:06+02:00,1,é,9.5\n";
    let (_, bytes) = in_blocks(&kind, file, &none, usize::MAX).unwrap();
    assert_eq!(bytes, in_blocks(&kind, file, &none, usize::MAX).unwrap().1, "same input, same bytes");
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
        let (tally, bytes) = in_blocks(&kind, file, &none, usize::MAX).unwrap();
        let (schema, rows) = parquet_rows(bytes);
        assert!(schema.lines().nth(1).unwrap().contains(first), "{schema}");
        assert_eq!(rows.len() as u64, tally.scored);
    }
}

#[test]
fn parquet_reads_times_as_the_readings_say_they_are_written() {
    let times = TimeParser::new(Some("Europe/Berlin"), Some("%d.%m.%Y %H:%M:%S"));
    let wanted = Wanted { encoding: Encoding { times, ..Encoding::default() }, instants: true, ..Wanted::default() };
    let mut sink = Blocks::default();
    let mut pass = Pass::new(wanted, vec!["f".to_owned()], Limits { block: usize::MAX, open: usize::MAX });
    let _ = pass.file(&b"TS,Val\n29.08.2018 01:00:05,10\n"[..], &mut sink).unwrap();
    let totals = pass.end(&mut sink).unwrap();
    assert_eq!(totals.sensors[0].1.unread_time, None);
    let sensor = SensorKeys::default();
    let kind = kind(PredictionLayout::PerSensor, PredictionFormat::Parquet);
    let scorer = Scorer::new(Arc::new(model(1)), sink.head).unwrap();
    let mut file = SensorFile::begin(&kind, &sensor, scorer, None).unwrap();
    file.add(sink.blocks.remove(0)).unwrap();
    let (_, rows) = parquet_rows(file.finish().unwrap());
    assert!(rows[0].starts_with("{TS: 2018-08-28 23:00:05.000000 +00:00,"), "{}", rows[0]);
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
    let (_, bytes) = in_blocks(&kind, &file, &none, 1 << 20).unwrap();
    assert!(bytes == in_blocks(&kind, &file, &none, 1 << 16).unwrap().1, "row groups are the same whatever the blocks");
    let (_, rows) = parquet_rows(bytes);
    assert_eq!(rows.len(), 100_000);
    assert!(rows[99_999].contains("Val: 99999.0"), "{}", rows[99_999]);
}

#[test]
fn a_file_of_instants_has_no_place_for_a_time_that_cannot_be_read_and_one_of_texts_for_any() {
    let sensor = SensorKeys::default();
    let layout = Layout { time: Some(Column { index: 0, name: "TS".to_owned() }), ..Layout::default() };
    let kind = kind(PredictionLayout::PerItem, PredictionFormat::Parquet);
    let header = Header::of(&kind, &layout, &sensor).unwrap();
    let begin = |unread| Encoder::begin(kind.format, header.clone(), unread, &mut Vec::new()).unwrap();
    let error = begin(None).has(&header, Some("soon")).unwrap_err();
    assert!(error.to_string().contains("\"soon\""), "{error}");
    assert!(begin(None).has(&header, None).is_ok());
    assert!(begin(Some("soon")).has(&header, None).is_ok());
    assert!(begin(Some("soon")).has(&header, Some("later")).is_ok());
}

#[test]
fn a_missing_value_is_scored_by_a_model_that_fills_it_in_and_is_a_bad_row_for_others() {
    let file = "TS,Val\nt1,10\nt2,\nt3,NaN\nt4,null\nt5,inf\nt6,x\n";
    let imputer = Transform::SimpleImputer(SimpleImputer { missing: f64::NAN, statistics: vec![10.0] });
    let parts = model(1);
    let steps = [vec![imputer], parts.steps().to_vec()].concat();
    let filling = Model::new(steps, parts.estimator().clone(), Metadata::default()).unwrap();
    let readings = |model: Model| {
        let mut sink = Blocks::default();
        let mut pass =
            Pass::new(Wanted::default(), vec!["f".to_owned()], Limits { block: usize::MAX, open: usize::MAX });
        let _ = pass.file(file.as_bytes(), &mut sink).unwrap();
        pass.end(&mut sink).unwrap();
        let sensor = SensorKeys::default();
        let scorer = Scorer::new(Arc::new(model), sink.head).unwrap();
        let mut file = SensorFile::begin(&Predictions::default(), &sensor, scorer, None).unwrap();
        file.add(sink.blocks.remove(0)).unwrap();
        (file.tally().clone(), String::from_utf8(file.finish().unwrap()).unwrap())
    };
    let (tally, csv) = readings(parts);
    assert_eq!((tally.scored, tally.bad_rows), (1, 5));
    assert_eq!(tally.first_bad.unwrap().to_string(), "line 3: column Val: \"\" is no number");
    assert_eq!(csv.lines().count(), 2);
    let (tally, csv) = readings(filling);
    assert_eq!((tally.scored, tally.bad_rows), (4, 2));
    assert_eq!(tally.first_bad.unwrap().to_string(), "line 6: column Val: \"inf\" is no finite number");
    let lines: Vec<&str> = csv.lines().skip(1).collect();
    assert_eq!(lines, ["t1,10,0.0,1", "t2,,0.0,1", "t3,NaN,0.0,1", "t4,null,0.0,1"]);
}

#[test]
fn a_model_for_other_features_is_refused_with_what_to_do() {
    let layout = Layout { values: vec![Column { index: 3, name: "Val".to_owned() }], ..Layout::default() };
    let head = Arc::new(Head { layout, ..Head::default() });
    let error = Scorer::new(Arc::new(model(2)), head).unwrap_err();
    assert_eq!(error.reason(), "FeaturesMismatch");
    assert!(error.to_string().contains("takes 2 value(s) per reading, the data has 1 (Val)"), "{error}");
}
