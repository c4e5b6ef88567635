use super::*;

const SMALLEST: &str = "kafka:\n  brokers: [localhost:9092]\n  topic: readings\nstore:\n  url: file:///tmp/x\n";

fn error(text: &str) -> String {
    Config::read("ingest.yaml", text).unwrap_err().to_string()
}

#[test]
fn the_smallest_configuration_is_the_references_job() {
    let config = Config::read("ingest.yaml", SMALLEST).unwrap();
    assert_eq!(config.windows.length, Span::from_secs(5));
    assert_eq!(config.aggregates(), [Aggregate::Avg]);
    assert_eq!(config.keys(), ["Device", "Tag"]);
    assert_eq!(config.every(), Span::from_secs(60));
    assert_eq!(config.watermarks(), "data/_watermarks/readings");
    assert_eq!(config.files(), Some(Files::default()));
}

#[test]
fn with_a_table_and_nothing_said_of_files_there_are_none() {
    let config = Config::read("ingest.yaml", &format!("{SMALLEST}sql: {{table: readings}}\n")).unwrap();
    assert_eq!((config.files(), config.every()), (None, Span::from_secs(5)));
}

#[test]
fn a_file_holds_a_minute_or_more_where_it_is_not_said() {
    for (length, every) in [(1, 60), (5, 60), (45, 90), (60, 60), (90, 90), (900, 900), (3600, 3600), (400, 400)] {
        assert_eq!(Files::every(Span::from_secs(length)), Span::from_secs(every), "{length}");
    }
}

#[test]
fn what_is_wrong_is_told_with_file_line_and_field() {
    for (more, expected) in [
        ("windows:\n  length: 7s\n", "ingest.yaml, line 7, field windows.length: 7s does not divide an hour"),
        ("windows:\n  aggregates: [avg, median]\n", "ingest.yaml, line 7, field windows.aggregates"),
        ("windows:\n  length: 5s\n  lenght: 6s\n", "ingest.yaml, line 8, field windows.lenght"),
        (
            "event:\n  columns: {keys: [Device, device]}\n",
            "ingest.yaml, line 7, field event.columns.keys: device is named twice",
        ),
        (
            "event:\n  filter: Value > 1 1\n",
            "ingest.yaml, line 7, field event.filter: line 1, column 11 of the expression: ",
        ),
        (
            "event:\n  filter: Tag.looksLike('p')\n",
            "ingest.yaml, line 7, field event.filter: there is no function looksLike()",
        ),
        ("event:\n  format: Csv\n", "ingest.yaml, line 6, field event.names: Device is not among them"),
        (
            "event:\n  duplicates: Drop\nwindows: {over: Topic}\n",
            "ingest.yaml, line 7, field event.duplicates: with windows.over: Topic a duplicate may be in another partition",
        ),
        ("files:\n  every: 7s\n", "ingest.yaml, line 7, field files.every: 7s is no multiple"),
        ("files:\n  path: data/{year}\n", "ingest.yaml, line 7, field files.path"),
        ("files:\n  path: ../x\n", "ingest.yaml, line 7, field files.path"),
        ("sql: {table: \"a b\"}\n", "no name of a table"),
        (
            "event:\n  columns: {keys: [Device Name]}\nsql: {table: readings}\n",
            "ingest.yaml, line 7, field event.columns.keys: \"Device Name\" is no name of a table or column",
        ),
        (
            "event:\n  columns: {time: Zeit ä}\nsql: {table: readings}\n",
            "ingest.yaml, line 7, field event.columns.time: \"Zeit ä\" is no name of a table or column",
        ),
        ("limits:\n  openMib: 1\n", "field limits: openMib is 16 at least"),
    ] {
        let error = error(&format!("{SMALLEST}{more}"));
        assert!(error.contains(expected), "{error}");
    }
    assert!(error("kafka: {brokers: [localhost], topic: a}\nstore: {url: x}\n").contains("write HOST:PORT"));
}

#[test]
fn a_folder_is_that_of_a_time() {
    let folder: Folder = "data/{yyyy}/{MM}/{dd}/{HH}/".parse().unwrap();
    assert_eq!(folder.at("2026-01-02T03:04:05Z".parse().unwrap()), "data/2026/01/02/03");
}
