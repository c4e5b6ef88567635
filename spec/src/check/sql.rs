//! Whether a query can give readings, as far as that can be told without its database.

use std::collections::BTreeSet;

use super::{WorkError, check_secret, wrong};
use crate::SqlSource;
use crate::sql::MAX_PARAMETERS;
use crate::work::DataSource;

/// At the first field that cannot work.
pub(super) fn check(
    sql: &SqlSource,
    data: &DataSource,
    has_window: bool,
    keys: &BTreeSet<String>,
) -> Result<(), WorkError> {
    check_secret("data.sql.secretRef.name", &sql.secret_ref)?;
    check_query(&sql.query, keys)?;
    if sql.parameters.len() > MAX_PARAMETERS {
        return wrong("data.sql.parameters", format!("are more than {MAX_PARAMETERS}"));
    }
    if let Some(time) = sql.parameters.iter().find(|parameter| parameter.is_time() && !has_window) {
        return wrong("data.sql.parameters", format!("has {time}, and only a window has such a time; give window"));
    }
    for (field, is_there) in [
        ("data.format", data.format.is_some()),
        ("data.delimiter", data.delimiter.is_some()),
        ("data.names", data.names.is_some()),
    ] {
        if is_there {
            return wrong(field, "is a file's; leave it out beside data.sql");
        }
    }
    Ok(())
}

fn check_query(query: &str, keys: &BTreeSet<String>) -> Result<(), WorkError> {
    const FIELD: &str = "data.sql.query";
    if query.trim().is_empty() {
        return wrong(FIELD, "is empty; write a SELECT");
    }
    if query.contains('\0') {
        return wrong(FIELD, "has a NUL character, which no text of SQL can have; take it out");
    }
    let names = keys.iter().map(String::as_str).chain(["window.start", "window.end"]);
    match names.map(|name| format!("{{{name}}}")).find(|name| query.contains(name)) {
        Some(name) => {
            let message =
                format!("has {name}, and no value is put into its text; write $1 there, and {name} into parameters");
            wrong(FIELD, message)
        }
        None => Ok(()),
    }
}
