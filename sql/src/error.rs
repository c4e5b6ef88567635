//! What can go wrong with a database, each with a bounded category and whether another attempt may help.

use std::error::Error;

use tokio_postgres::error::DbError;

/// Why the database could not do what was asked. No message holds a password or a URL.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SqlError {
    /// What it is reached by is missing or makes no sense.
    #[error("{place}: {why}")]
    Settings {
        /// The Secret's folder, and the file.
        place: String,
        /// What is wrong, and what to write instead.
        why: String,
    },
    /// It does not answer, or cannot serve now.
    #[error("{server}: the database is not available: {detail}")]
    Unavailable {
        /// The database.
        server: String,
        /// What happened.
        detail: String,
    },
    /// It does not let us in, or not do that.
    #[error("{server}: the database denies access; {advice} ({detail})")]
    Denied {
        /// The database.
        server: String,
        /// What to do.
        advice: &'static str,
        /// What it said.
        detail: String,
    },
    /// It cannot do what it is asked.
    #[error("{server}: {what}")]
    Refused {
        /// The database.
        server: String,
        /// What is wrong, and what to do.
        what: String,
    },
    /// Somebody, or its time limit, ended a statement.
    #[error("{server}: the statement was ended: {detail}")]
    Canceled {
        /// The database.
        server: String,
        /// What it said.
        detail: String,
    },
}

/// What kind of trouble it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// There is no usable credential.
    Settings,
    /// The same may work later, with nothing changed by a person.
    Unavailable,
    /// A person has to give a right, or a credential.
    Denied,
    /// A person has to change what is asked.
    Refused,
    /// It was ended from outside; the same may work again.
    Canceled,
}

impl SqlError {
    /// A bounded category.
    #[must_use]
    pub fn category(&self) -> Category {
        match self {
            Self::Settings { .. } => Category::Settings,
            Self::Unavailable { .. } => Category::Unavailable,
            Self::Denied { .. } => Category::Denied,
            Self::Refused { .. } => Category::Refused,
            Self::Canceled { .. } => Category::Canceled,
        }
    }

    /// Whether the same may work later, with nothing changed by a person.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.category() == Category::Unavailable
    }

    pub(crate) fn refused(server: &str, what: impl Into<String>) -> Self {
        Self::Refused { server: server.to_owned(), what: what.into() }
    }

    /// What the client met.
    pub(crate) fn of(server: &str, error: &tokio_postgres::Error) -> Self {
        let server = server.to_owned();
        if let Some(error) = error.as_db_error() {
            return Self::of_server(server, error);
        }
        let tls = causes(error).find_map(|cause| cause.downcast_ref::<rustls::Error>());
        if let Some(wrong @ rustls::Error::InvalidCertificate(_)) = tls {
            let advice = "put the certificate that signed its own into the Secret (ca.crt) or SCORING_CA_FILE, and name its host \
                          as the certificate does";
            return Self::Denied { server, advice, detail: wrong.to_string() };
        }
        let detail = words(error);
        if detail.contains("server does not support TLS") {
            let what = format!("{detail}; turn TLS on there, or say sslmode=disable if its network is to be trusted");
            return Self::Refused { server, what };
        }
        if detail.starts_with("authentication error") || detail.contains("password missing") {
            return Self::Denied { server, advice: WRONG_SECRET, detail };
        }
        // What is left is that of a connection: it was not made, or broke off.
        let of_connection = error.is_closed()
            || causes(error).any(|cause| cause.is::<std::io::Error>())
            || detail.contains("timeout waiting for server");
        match of_connection {
            true => Self::Unavailable { server, detail },
            false => Self::Refused { server, what: detail },
        }
    }

    /// What a server says that takes no writes at all, to somebody whose statements are to write: a standby, after its primary
    /// was lost, or a managed one without room on its disk.
    pub(crate) fn read_only(server: &str, error: &tokio_postgres::Error) -> Option<Self> {
        let error = error.as_db_error().filter(|error| error.code().code() == READ_ONLY)?;
        let detail = format!("it takes no writes now, as a standby, or one that is out of room, does: {}", told(error));
        Some(Self::Unavailable { server: server.to_owned(), detail })
    }

    fn of_server(server: String, error: &DbError) -> Self {
        let detail = told(error);
        match category(error.code().code()) {
            Category::Unavailable => Self::Unavailable { server, detail },
            Category::Canceled => Self::Canceled { server, detail },
            Category::Denied if error.code().code().starts_with("28") => {
                Self::Denied { server, advice: WRONG_SECRET, detail }
            }
            Category::Denied => Self::Denied { server, advice: "give its role the right to do that", detail },
            Category::Settings | Category::Refused => Self::Refused { server, what: detail },
        }
    }
}

const READ_ONLY: &str = "25006";
const WRONG_SECRET: &str = "correct user and password in its Secret, or what the server lets in (pg_hba.conf)";

/// What kind of trouble a code of SQLSTATE is.
fn category(code: &str) -> Category {
    let class = code.get(..2).unwrap_or_default();
    match (class, code) {
        // A connection that broke off, no room or memory, the machine below, and what another transaction was faster with.
        ("08" | "53" | "58", _)
        | (_, "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "40001" | "40P01" | "55P03") => Category::Unavailable,
        (_, "57014" | "25P04") => Category::Canceled,
        ("28", _) | (_, "42501") => Category::Denied,
        _ => Category::Refused,
    }
}

/// What the server said, with its code, and where it tells more with that.
fn told(error: &DbError) -> String {
    let mut told = format!("{} (SQLSTATE {})", error.message(), error.code().code());
    for (name, more) in [("detail", error.detail()), ("hint", error.hint())] {
        if let Some(more) = more {
            told.push_str(&format!("; {name}: {more}"));
        }
    }
    told
}

/// An error with what caused it, in one line.
fn words(error: &(dyn Error + 'static)) -> String {
    let texts: Vec<String> = causes(error).map(ToString::to_string).collect();
    texts.join(": ")
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| cause(*error))
}

fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<std::io::Error>() {
        // One that wraps another names as its source not that, but what caused that.
        Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => error.source(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_to_be_tried_again_or_not() {
        for (code, expected) in [
            ("08006", Category::Unavailable),
            ("53300", Category::Unavailable),
            ("57P01", Category::Unavailable),
            ("57P03", Category::Unavailable),
            ("40001", Category::Unavailable),
            ("40P01", Category::Unavailable),
            ("25P03", Category::Unavailable),
            ("55P03", Category::Unavailable),
            ("25P04", Category::Canceled),
            ("57014", Category::Canceled),
            ("28P01", Category::Denied),
            ("28000", Category::Denied),
            ("42501", Category::Denied),
            ("42P01", Category::Refused),
            ("42601", Category::Refused),
            ("22P02", Category::Refused),
            (READ_ONLY, Category::Refused),
            ("3D000", Category::Refused),
            ("", Category::Refused),
        ] {
            assert_eq!(category(code), expected, "{code}");
        }
    }
}
