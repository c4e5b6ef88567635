//! What a database denies, or cannot do, is told with what to do.

use serde_json::json;

use crate::plant::{Plant, rows};
use crate::{DATABASE, PASSWORD, ROLE, server};

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_let_in_is_told_what_to_correct_and_a_corrected_secret_counts_at_once() {
    let Some(server) = server().await else { return };
    let plant = Plant::new().await;
    let texts = r#""TS" text, "Device" text, "Tag" text, "Value" text"#;
    server.table("readings", texts, &plant.csv).await;
    let work = json!({"data": rows("SELECT * FROM readings", &[])});
    let right = server.postgres.url(DATABASE, ROLE, PASSWORD);
    server.secret("url", &server.postgres.url(DATABASE, ROLE, "wrong"));
    let (reason, message) = plant.failure("wrong", &work, &server.secret_dir()).await;
    assert_eq!(reason, "AccessDenied");
    assert!(message.contains("password authentication failed"), "{message}");
    assert!(message.contains("correct user and password in its Secret"), "{message}");
    assert!(message.contains("data.sql: postgres://127.0.0.1:") && !message.contains(PASSWORD), "{message}");

    server.secret("url", &right);
    let authority = crate::read(&server.secret_dir().join("ca.crt"));
    server.forget("ca.crt");
    let (reason, message) = plant.failure("untrusted", &work, &server.secret_dir()).await;
    assert_eq!(reason, "AccessDenied");
    assert!(message.contains("UnknownIssuer") && message.contains("SCORING_CA_FILE"), "{message}");

    server.secret("ca.crt", &authority);
    server.secret("url", &right.replace("postgres://", "mysql://"));
    assert_eq!(plant.failure("no-url", &work, &server.secret_dir()).await.0, "InvalidCredential");
    server.secret("url", &right.replace("sslmode=require", "sslmode=disable"));
    let (reason, message) = plant.failure("plain", &work, &server.secret_dir()).await;
    assert_eq!((reason.as_str(), message.contains("no encryption")), ("AccessDenied", true), "{message}");

    server.secret("url", &right);
    server.psql(&format!("REVOKE SELECT ON readings FROM \"{ROLE}\"")).await;
    let (reason, message) = plant.failure("no-right", &work, &server.secret_dir()).await;
    assert_eq!(reason, "AccessDenied");
    assert!(message.contains("permission denied for table readings") && message.contains("give its role"), "{message}");
    server.psql(&format!("GRANT SELECT ON readings TO \"{ROLE}\"")).await;
    assert_eq!(plant.predictions("right", &work, Some(&server.secret_dir())).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_or_read_fails_for_good_with_its_reason() {
    let Some(server) = server().await else { return };
    let plant = Plant::new().await;
    for (at, (query, parameters, expected, words)) in [
        ("SELECT * FROM absent", &[][..], "InvalidSql", &["\"absent\" does not exist", "42P01"][..]),
        (
            "SELECT $1::text AS ts, $2::text AS value",
            &["{device}"],
            "InvalidSql",
            &["takes 2 parameters and is given 1"],
        ),
        (
            "SELECT now() AS ts, 1.5 AS value WHERE $1 = 7",
            &["{device}x"],
            "InvalidSql",
            &["\"1x\" is no int4", "$1::text"],
        ),
        (
            "SELECT 1 AS device, 1 AS tag, '2026-01-01'::date AS ts, '{}'::json AS value",
            &[],
            "DataUnsupported",
            &["column value is of the type json", "value::double precision"],
        ),
        ("SELECT 1 AS device, now() AS ts, 1.5 AS value", &[], "ColumnMissing", &["no column \"tag\"", "data.sql"]),
        ("SELECT 1 AS device, 1 AS tag, 1.5 AS value WHERE false", &[], "NoReadings", &["data.sql has no reading"]),
        (
            "SELECT 1 AS device, 1 AS tag, 'x' AS value",
            &[],
            "DataInvalid",
            &["row 1: column value: \"x\" is no number"],
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let list = json!([{"device": "1", "tag": "1"}]);
        let mut work = json!({"data": rows(query, parameters), "sensors": {"list": list}});
        // Else none would be a value.
        work["data"]["columns"] = json!({"value": ["value"]});
        let (reason, message) = plant.failure(&format!("run{at}"), &work, &server.secret_dir()).await;
        assert_eq!(reason, expected, "{query}: {message}");
        assert!(words.iter().all(|word| message.contains(word)), "{query}: {message}");
    }
}
