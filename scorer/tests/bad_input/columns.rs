//! Columns: which are there, which are wanted, and which are guessed.

use super::*;

#[test]
fn a_missing_column_fails_the_sensor_and_names_what_there_is() {
    let flow = "ts,flow\n2026-01-01T00:00:00Z,50\n";
    let outcome = read_as(VALUE, Some(flow.as_bytes()));
    failed(&outcome, "ColumnMissing", &["data/bad", "\"value\"", "ts, flow", "columns.value"]);
}

#[test]
fn a_file_without_a_time_is_told_where_a_window_needs_one() {
    failed(&read("value\n50\n"), "ColumnMissing", &["data/bad", "columns.time"]);
}

#[test]
fn two_columns_of_the_wanted_name_are_not_guessed_between() {
    let two = "ts,value,value\n2026-01-01T00:00:00Z,50,51\n";
    failed(&read_as(VALUE, Some(two.as_bytes())), "ColumnAmbiguous", &["data/bad", "value"]);
}

#[test]
fn another_number_of_values_than_the_model_takes_fails_the_sensor() {
    let two = "ts,value,flow\n2026-01-01T00:00:00Z,50,51\n";
    failed(&read(two), "FeaturesMismatch", &["takes 1 value", "has 2", "value, flow"]);
}

#[test]
fn a_csv_whose_first_row_is_a_reading_is_refused_with_what_to_say() {
    let (_, rows) = GOOD.split_once('\n').unwrap();
    failed(&read(rows), "DataInvalid", &["data/bad", "line 1", "no header", "data.names", "--names"]);
    scored(&read_as(", names: [ts, value]", Some(rows.as_bytes())), [3, 3, 0], &[]);
}

#[test]
fn a_column_that_begins_with_texts_is_a_value_where_most_of_it_are_numbers() {
    let rows = |errors: usize| -> String {
        let value = |row| if row < errors { "ERR".to_owned() } else { "50".to_owned() };
        (0..700).map(|row| format!("2026-01-01T00:{:02}:{:02}Z,{}\n", row / 12, row % 12 * 5, value(row))).collect()
    };
    scored(&read(format!("ts,value\n{}", rows(60))), [700, 640, 60], &["line 2", "ERR"]);
    scored(&read(format!("ts,value\n{}", rows(300))), [700, 400, 300], &["line 2", "ERR"]);
    let most = read(format!("ts,value\n{}", rows(400)));
    failed(&most, "ColumnMissing", &["no column of numbers", "columns.value"]);
}

#[test]
fn a_column_with_a_few_numbers_is_text_and_the_warning_says_so() {
    let file = "ts,value,state\n2026-01-01T00:00:00Z,50,ok\n2026-01-01T00:00:05Z,51,7\n2026-01-01T00:00:10Z,52,ok\n";
    scored(&read(file), [3, 3, 0], &["column state is taken for text", "columns.value"]);
}

#[test]
fn the_row_numbers_of_a_data_frame_are_no_value() {
    let rows: String = GOOD.lines().skip(1).enumerate().map(|(at, row)| format!("{at},{row}\n")).collect();
    for index in ["", "__index_level_0__"] {
        scored(&read(format!("{index},ts,value\n{rows}")), [3, 3, 0], &[]);
    }
}

#[test]
fn two_columns_of_one_name_are_told_as_such_where_the_model_takes_fewer() {
    let two = "ts,value,value\n2026-01-01T00:00:00Z,50,51\n";
    let words = ["data/bad", "2 columns are named \"value\"", "which of the 2 columns", "rename all but one"];
    failed(&read(two), "ColumnAmbiguous", &words);
    failed(&read(two_of_one_name()), "ColumnAmbiguous", &words);
    failed(
        &read("ts,ts,value\n2026-01-01T00:00:00Z,1767225600,50\n"),
        "ColumnAmbiguous",
        &["2 columns are named \"ts\""],
    );
}

/// A Parquet file with two columns called `value`.
fn two_of_one_name() -> Vec<u8> {
    let schema = "message schema { required int64 ts; required double value; required double value; }";
    let schema = parquet::schema::parser::parse_message_type(schema).unwrap();
    let mut file =
        parquet::file::writer::SerializedFileWriter::new(Vec::new(), schema.into(), Default::default()).unwrap();
    let mut group = file.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<parquet::data_type::Int64Type>().write_batch(&[1_767_225_600], None, None).unwrap();
    column.close().unwrap();
    for value in [50.0, 51.0] {
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<parquet::data_type::DoubleType>().write_batch(&[value], None, None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    file.into_inner().unwrap()
}
