//! How a database is reached: as a mounted Secret says, or the environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::percent_decode_str;
use spec::shown::cut;
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;
use url::Url;

use crate::SqlError;

/// The most bytes of a file of the Secret.
const MAX_BYTES: u64 = 64 * 1024;
/// How long a server may be silent before a connection counts as broken: so often it is asked, and so often in vain.
const IDLE: Duration = Duration::from_secs(30);
const INTERVAL: Duration = Duration::from_secs(10);
const ASKED: u32 = 3;
/// How long one of its addresses may take to answer.
const CONNECT: Duration = Duration::from_secs(10);

/// What may be said, and the files of a Secret that say it, the first of them ours. Others are what operators of databases
/// write by themselves.
const KEYS: [(&str, &[&str]); 7] = [
    ("url", &["url", "uri"]),
    ("host", &["host"]),
    ("port", &["port"]),
    ("user", &["user", "username"]),
    ("password", &["password"]),
    ("database", &["database", "dbname"]),
    ("sslmode", &["sslmode"]),
];
/// The file of the Secret with certificates to trust.
const CERTIFICATES: &str = "ca.crt";
/// The same in the environment, as PostgreSQL's own programs have it.
const VARIABLES: [(&str, &str); 6] = [
    ("host", "PGHOST"),
    ("port", "PGPORT"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("database", "PGDATABASE"),
    ("sslmode", "PGSSLMODE"),
];

/// Where it stands how the database is reached.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// In the folder of a mounted Secret, whose files may be changed meanwhile.
    Secret(PathBuf),
    /// In the environment, as it was.
    Environment(Said),
}

/// What is said of each of [`KEYS`].
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Said(BTreeMap<&'static str, String>);

/// How the database is reached.
pub(crate) struct Settings {
    pub(crate) config: Config,
    /// Certificates (PEM) to trust besides all others.
    pub(crate) certificates: Option<Vec<u8>>,
    /// The database, for people.
    pub(crate) server: String,
}

impl Source {
    /// What the variables of PostgreSQL's own programs say; none where they name no host.
    pub(crate) fn in_environment(env: &dyn Fn(&str) -> Option<String>) -> Option<Self> {
        let said: BTreeMap<&'static str, String> =
            VARIABLES.iter().filter_map(|(key, name)| Some((*key, env(name).filter(|v| !v.is_empty())?))).collect();
        said.contains_key("host").then_some(Self::Environment(Said(said)))
    }

    /// As it is said now.
    pub(crate) fn read(&self) -> Result<Settings, SqlError> {
        match self {
            Self::Environment(said) => settings("the environment", said, None),
            Self::Secret(dir) => {
                let mut said = BTreeMap::new();
                for (key, files) in KEYS {
                    for file in files {
                        if let Some(text) = text(&dir.join(file))? {
                            said.entry(key).or_insert(text);
                        }
                    }
                }
                settings(&dir.display().to_string(), &Said(said), bytes(&dir.join(CERTIFICATES))?)
            }
        }
    }
}

fn wrong<T>(place: &str, why: impl Into<String>) -> Result<T, SqlError> {
    Err(SqlError::Settings { place: place.to_owned(), why: why.into() })
}

/// A file's text without its line end; none where it is absent or empty.
fn text(path: &Path) -> Result<Option<String>, SqlError> {
    let Some(bytes) = bytes(path)? else { return Ok(None) };
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()).filter(|text| !text.is_empty())),
        Err(_) => wrong(&path.display().to_string(), "is not UTF-8"),
    }
}

fn bytes(path: &Path) -> Result<Option<Vec<u8>>, SqlError> {
    let shown = || path.display().to_string();
    match std::fs::metadata(path) {
        Ok(file) if file.len() > MAX_BYTES => wrong(&shown(), format!("has more than {MAX_BYTES} bytes")),
        Ok(_) => std::fs::read(path).map(Some).or_else(|error| wrong(&shown(), format!("cannot be read: {error}"))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => wrong(&shown(), format!("cannot be read: {error}")),
    }
}

/// The settings that are said; those of a URL come first, and what it leaves out may stand beside it.
fn settings(place: &str, said: &Said, certificates: Option<Vec<u8>>) -> Result<Settings, SqlError> {
    let mut said = said.clone();
    if let Some(url) = said.0.remove("url") {
        said.0.extend(in_url(place, &url)?);
    }
    let get = |key: &str| said.0.get(key).map(String::as_str);
    let Some(host) = get("host") else {
        let keys: Vec<&str> = KEYS.iter().map(|(key, _)| *key).collect();
        return wrong(
            place,
            format!("names no database; give url, or host, user and password (of {})", keys.join(", ")),
        );
    };
    let Some(user) = get("user") else { return wrong(place, "names no user; give user, or url with one") };
    let port = match get("port").map(str::parse) {
        None => 5432,
        Some(Ok(port @ 1..)) => port,
        Some(_) => return wrong(place, "port: it must be a number from 1 to 65535"),
    };
    let local = host.starts_with('/');
    let ssl_mode = match get("sslmode") {
        _ if local => SslMode::Disable,
        // Whether or not it is said, certificates are always verified.
        None | Some("require" | "verify-ca" | "verify-full") => SslMode::Require,
        Some("prefer" | "allow") => SslMode::Prefer,
        Some("disable") => SslMode::Disable,
        Some(other) => {
            return wrong(
                place,
                format!("sslmode: {:?} is not known; write verify-full, prefer or disable", cut(other)),
            );
        }
    };
    let mut config = Config::new();
    config.host(host).port(port).user(user).ssl_mode(ssl_mode).application_name("batchscoring");
    config.connect_timeout(CONNECT).keepalives_idle(IDLE).keepalives_interval(INTERVAL).keepalives_retries(ASKED);
    config.tcp_user_timeout(IDLE + INTERVAL * ASKED);
    if let Some(password) = get("password") {
        config.password(password);
    }
    if let Some(database) = get("database") {
        config.dbname(database);
    }
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let database = get("database").map_or_else(String::new, |name| format!("/{name}"));
    Ok(Settings { config, certificates, server: format!("postgres://{host}:{port}{database}") })
}

/// What a URL says.
fn in_url(place: &str, text: &str) -> Result<BTreeMap<&'static str, String>, SqlError> {
    const FORM: &str =
        "write it as postgres://USER:PASSWORD@HOST:5432/DATABASE, with %XX for characters such as @ and / in these";
    let url = Url::parse(text.trim()).or_else(|error| wrong(place, format!("url: {error}; {FORM}")))?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return wrong(place, format!("url: it is none of a PostgreSQL database; {FORM}"));
    }
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().map(String::from).ok().filter(|t| !t.is_empty());
    let host = url.host_str().map(|host| host.trim_matches(['[', ']']));
    let mut said: BTreeMap<&'static str, String> = BTreeMap::new();
    for (key, value) in [
        ("host", host.and_then(decoded)),
        ("port", url.port().map(|port| port.to_string())),
        ("user", decoded(url.username())),
        ("password", url.password().and_then(decoded)),
        ("database", decoded(url.path().trim_start_matches('/'))),
    ] {
        said.extend(value.map(|value| (key, value)));
    }
    for (name, value) in url.query_pairs() {
        match name.as_ref() {
            "sslmode" => drop(said.insert("sslmode", value.into_owned())),
            // Of no effect here.
            "application_name" | "connect_timeout" => {}
            "sslrootcert" => {
                return wrong(
                    place,
                    "url: sslrootcert names a file that is not here; put it into the Secret as ca.crt",
                );
            }
            other => {
                return wrong(place, format!("url: {:?} is not known; leave it out", cut(other)));
            }
        }
    }
    Ok(said)
}

impl std::fmt::Debug for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Said(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio_postgres::config::Host;

    use super::*;

    fn secret(files: &[(&str, &str)]) -> (tempfile::TempDir, Result<Settings, SqlError>) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let settings = Source::Secret(dir.path().to_owned()).read();
        (dir, settings)
    }

    fn read(files: &[(&str, &str)]) -> Settings {
        secret(files).1.unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn a_url_says_all_and_its_parts_are_decoded() {
        let url = "postgresql://sc%40rer:p%2Fw%3A%23@db.example:6432/plant%20one?sslmode=verify-full\n";
        let Settings { config, server, certificates } = read(&[("url", url)]);
        assert_eq!(config.get_hosts(), [Host::Tcp("db.example".to_owned())]);
        assert_eq!((config.get_ports(), config.get_user()), (&[6432][..], Some("sc@rer")));
        assert_eq!((config.get_password(), config.get_dbname()), (Some(&b"p/w:#"[..]), Some("plant one")));
        assert_eq!((config.get_ssl_mode(), certificates), (SslMode::Require, None));
        assert_eq!(server, "postgres://db.example:6432/plant one");
    }

    #[test]
    fn what_operators_of_databases_write_is_understood_and_a_password_may_stand_beside_a_url() {
        let parts =
            read(&[("host", "db"), ("username", "a"), ("password", " p \n"), ("dbname", "d"), ("ca.crt", "PEM")]);
        assert_eq!((parts.config.get_password(), parts.server.as_str()), (Some(&b" p "[..]), "postgres://db:5432/d"));
        assert_eq!(parts.certificates.as_deref(), Some(&b"PEM"[..]));
        let beside = read(&[("uri", "postgres://a@db/d"), ("password", "p"), ("user", "other")]);
        assert_eq!((beside.config.get_password(), beside.config.get_user()), (Some(&b"p"[..]), Some("a")));
    }

    #[test]
    fn connections_are_secured_unless_it_is_said_otherwise() {
        let mode = |more: &str| read(&[("url", &format!("postgres://a@[::1]/d{more}"))]).config.get_ssl_mode();
        assert_eq!((mode(""), mode("?sslmode=require")), (SslMode::Require, SslMode::Require));
        assert_eq!((mode("?sslmode=prefer"), mode("?sslmode=disable")), (SslMode::Prefer, SslMode::Disable));
        let local = read(&[("host", "/run/postgresql"), ("user", "a")]);
        assert_eq!(
            (local.config.get_ssl_mode(), local.config.get_hosts()[0].clone()),
            (SslMode::Disable, Host::Unix("/run/postgresql".into()))
        );
        assert_eq!(read(&[("url", "postgres://a@[::1]/d")]).server, "postgres://[::1]:5432/d");
    }

    #[test]
    fn what_is_missing_or_wrong_is_told_without_what_is_secret() {
        for (files, hint) in [
            (&[][..], "names no database"),
            (&[("host", "db")], "names no user"),
            (&[("host", "db"), ("user", "a"), ("port", "SECRET")], "port: it must be a number"),
            (&[("url", "postgres://a:SECRET@db:99999/d")], "write it as postgres://USER"),
            (&[("url", "mysql://a:SECRET@db/d")], "none of a PostgreSQL database"),
            (&[("url", "SECRET")], "write it as"),
            (&[("url", "postgres://a:SECRET@db/d?sslrootcert=x")], "ca.crt"),
            (&[("url", "postgres://a:SECRET@db/d?host=x")], "\"host\" is not known"),
            (&[("url", "postgres://a:SECRET@db/d?sslmode=maybe")], "sslmode: \"maybe\" is not known"),
        ] {
            let (_dir, settings) = secret(files);
            let error = settings.err().unwrap().to_string();
            assert!(error.contains(hint) && !error.contains("SECRET"), "{error}");
        }
        let (_dir, large) = secret(&[("password", &"x".repeat(70_000))]);
        assert!(large.err().unwrap().to_string().contains("more than 65536 bytes"));
    }

    #[test]
    fn the_environment_says_it_as_for_psql() {
        let env = |name: &str| match name {
            "PGHOST" => Some("db".to_owned()),
            "PGUSER" => Some("a".to_owned()),
            "PGSSLMODE" => Some("disable".to_owned()),
            _ => None,
        };
        let settings = Source::in_environment(&env).unwrap().read().unwrap();
        assert_eq!(
            (settings.server.as_str(), settings.config.get_ssl_mode()),
            ("postgres://db:5432", SslMode::Disable)
        );
        assert!(Source::in_environment(&|_| None).is_none());
    }

    proptest! {
        #[test]
        fn any_url_is_read_or_refused(text in "(postgres://)?\\PC{0,40}") {
            let _ = in_url("x", &text);
        }
    }
}
