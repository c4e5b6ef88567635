//! Values of every type as texts, and what is bound.

use std::time::Duration;

use sql::{Batch, Category, Kind, Parameter, SqlError};

use crate::{Server, server};

const MINUTE: Duration = Duration::from_secs(60);

async fn ask(server: &Server, query: &str, parameters: &[Parameter]) -> Result<Vec<Vec<String>>, SqlError> {
    let mut rows = server.database().connect().await?.query(query, parameters, MINUTE).await?;
    let mut all = Vec::new();
    while let Some(batch) = rows.next().await? {
        all.extend((0..batch.len()).map(|row| texts(&batch, row)));
    }
    Ok(all)
}

fn texts(batch: &Batch, row: usize) -> Vec<String> {
    let (text, ends) = batch.row(row).unwrap();
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(ends).map(|(start, end)| String::from_utf8(text[start..*end].to_vec()).unwrap()).collect()
}

async fn one(server: &Server, expression: &str) -> String {
    let rows = ask(server, &format!("SELECT {expression} AS value"), &[]).await.unwrap();
    rows.concat().concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_that_is_read_has_its_text() {
    let Some(server) = server().await else { return };
    server.psql("CREATE TYPE colour AS ENUM ('red', 'green')").await;
    server.psql("CREATE DOMAIN positive AS numeric CHECK (value > 0)").await;
    for (expression, text) in [
        ("true", "1"),
        ("false", "0"),
        ("(-32768)::smallint", "-32768"),
        ("2147483647", "2147483647"),
        ("(-9223372036854775808)::bigint", "-9223372036854775808"),
        ("0.1::real", "0.10000000149011612"),
        ("0.1::double precision", "0.1"),
        ("1e300::double precision", "1e300"),
        ("'NaN'::double precision", "NaN"),
        ("'-infinity'::double precision", "-inf"),
        ("12.50::numeric", "12.50"),
        ("-0.00001234::numeric", "-0.00001234"),
        ("1e40::numeric", "10000000000000000000000000000000000000000"),
        ("123456789012345678901234567890.123456789::numeric", "123456789012345678901234567890.123456789"),
        ("'NaN'::numeric", "NaN"),
        ("'Infinity'::numeric", "Infinity"),
        ("0::numeric", "0"),
        ("'a ''b'' é'::text", "a 'b' é"),
        ("'x'::varchar(3)", "x"),
        ("'x'::char(3)", "x  "),
        ("'x'::name", "x"),
        ("'x'", "x"),
        ("'green'::colour", "green"),
        ("7::positive", "7"),
        ("'ABABABAB-0000-1111-2222-abababababab'::uuid", "abababab-0000-1111-2222-abababababab"),
        ("'2026-01-01 01:00:00.25+01'::timestamptz", "2026-01-01T00:00:00.25Z"),
        ("'2026-01-01 01:00:00'::timestamp", "2026-01-01T01:00:00"),
        ("'infinity'::timestamptz", "infinity"),
        ("'2026-03-01'::date", "2026-03-01T00:00:00"),
        ("null::double precision", ""),
        ("null", ""),
    ] {
        assert_eq!(one(&server, expression).await, text, "{expression}");
    }
    let session = server.database().connect().await.unwrap();
    let rows = session.query("SELECT '{}'::json AS a, ARRAY[1] AS b, '1h'::interval AS c", &[], MINUTE).await.unwrap();
    let kinds: Vec<Kind> = rows.columns().iter().map(|column| column.kind.clone()).collect();
    assert_eq!(kinds, ["json", "_int4", "interval"].map(|name| Kind::Other(name.to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_bound_comes_back_as_it_was() {
    let Some(server) = server().await else { return };
    let text = |text: &str| Parameter::Text(text.to_owned());
    for (of, value) in [
        ("text", "'; DROP TABLE x; --"),
        ("varchar", "é\\\"'$1"),
        ("int2", "-7"),
        ("int4", "2147483647"),
        ("int8", "-9223372036854775808"),
        ("float8", "0.1"),
        ("numeric", "-12345678901234567890.0012300"),
        ("numeric", "0.00"),
        ("numeric", "10000"),
        ("uuid", "abababab-0000-1111-2222-abababababab"),
        ("bool", "1"),
    ] {
        let rows = ask(&server, &format!("SELECT $1::{of}"), &[text(value)]).await.unwrap();
        assert_eq!(rows, [[value.to_owned()]], "{of}");
    }
    let at: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let from = Parameter::From(at, jiff::tz::TimeZone::get("Europe/Berlin").unwrap());
    let rows =
        ask(&server, "SELECT $1::timestamptz, $2::timestamp, $3::date", &[from.clone(), from.clone(), from]).await;
    assert_eq!(
        rows.unwrap(),
        [["2026-01-01T00:00:00Z", "2026-01-01T01:00:00", "2026-01-01T00:00:00"].map(str::to_owned)]
    );
    let error = ask(&server, "SELECT $1::int4", &[text("7; DROP")]).await.unwrap_err();
    assert_eq!(error.category(), Category::Refused);
    assert!(
        error.to_string().ends_with(
            r#"parameter $1: "7; DROP" is no int4, which the statement takes; cast the parameter, as in $1::text"#
        ),
        "{error}"
    );
    let error = ask(&server, "SELECT $1::text, $2::int4", &[text("a"), text("b")]).await.unwrap_err();
    assert!(
        error.to_string().contains("parameter $2: \"b\" is no int4") && error.to_string().contains("$2::text"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_can_only_read_and_is_one_statement() {
    let Some(server) = server().await else { return };
    server.psql("CREATE TABLE t (n int); INSERT INTO t VALUES (1); GRANT ALL ON t TO PUBLIC").await;
    for (query, why) in [
        ("DELETE FROM t RETURNING n", "cannot execute DELETE in a read-only transaction"),
        ("WITH gone AS (DELETE FROM t RETURNING n) SELECT * FROM gone", "read-only transaction"),
        ("SELECT 1; DROP TABLE t", "cannot insert multiple commands into a prepared statement"),
        ("SELECT set_config('transaction_read_only', 'off', false)", "must be set before any query"),
        ("DELETE FROM t", "the query gives 0 columns; it must be a SELECT"),
        ("SELECT * FROM absent", "relation \"absent\" does not exist (SQLSTATE 42P01)"),
        ("SELECT $1::text", "the query takes 1 parameters and is given 0"),
        ("SELECT 1 WHERE", "syntax error"),
    ] {
        let error = ask(&server, query, &[]).await.unwrap_err();
        assert_eq!(error.category(), Category::Refused, "{query}: {error}");
        assert!(error.to_string().contains(why), "{query}: {error}");
    }
    assert_eq!(server.psql("SELECT count(*) FROM t").await, "1\n");
    let session = server.database().connect().await.unwrap();
    let slow = session.query("SELECT pg_sleep(60)::text", &[], Duration::from_millis(50)).await.unwrap().next().await;
    assert_eq!(slow.unwrap_err().category(), Category::Canceled);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_ends_a_query_that_nobody_waits_for_any_more() {
    const UNDER_WAY: &str = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()";
    let Some(server) = server().await else { return };
    let until = async |count: &str| {
        let wait = async {
            while server.psql(UNDER_WAY).await != count {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(MINUTE, wait).await.unwrap();
    };
    let session = server.database().connect().await.unwrap();
    let asking = tokio::spawn(async move {
        session.query("SELECT pg_sleep(600)::text", &[], 15 * MINUTE).await.unwrap().next().await.map(drop)
    });
    until("1\n").await;
    asking.abort();
    until("0\n").await;
}
