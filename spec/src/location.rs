//! What a store's URL means: a folder, or an account with or without a container.

use std::path::PathBuf;

use url::Url;

/// Why a text cannot be a store's URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{url:?} {why}")]
pub struct LocationError {
    /// The URL, without query, user and password, where a credential may be.
    pub url: String,
    /// What is wrong with it and what to write instead.
    pub why: String,
}

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A folder of the file system.
    Folder(PathBuf),
    /// Blob Storage. Without a container, the first segment of each path is the container.
    Account {
        /// The account's name.
        account: String,
        /// Where it answers: `https://ACCOUNT.blob.core.windows.net`.
        endpoint: String,
        /// The container.
        container: Option<String>,
        /// The folder in the container; empty: all of it.
        prefix: String,
    },
}

impl Location {
    /// Reads a URL; `account` is that of `az://` URLs.
    ///
    /// # Errors
    /// When it names no place that a store can be at.
    pub fn parse(text: &str, account: Option<&str>) -> Result<Self, LocationError> {
        // A query may be a SAS token, which must not reach any message.
        let shown = text.split(['?', '#']).next().unwrap_or_default().to_owned();
        let wrong = |why: &str| LocationError { url: shown.clone(), why: why.to_owned() };
        let url = Url::parse(text).map_err(|e| {
            wrong(&format!(
                "is no URL ({e}); write https://ACCOUNT.blob.core.windows.net, az://CONTAINER or file:///FOLDER"
            ))
        })?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong(
                "must not have a query; put a SAS token into a Secret (sasToken) or AZURE_STORAGE_SAS_TOKEN",
            ));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(LocationError {
                url: format!("{}://…@{}", url.scheme(), url.host_str().unwrap_or_default()),
                why: "must not hold a user or password; put the credential into a Secret".to_owned(),
            });
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        let mut segments = segments(&url).ok_or_else(|| wrong("has an empty, . or .. segment, or is no UTF-8"))?;
        match url.scheme() {
            "file" if !host.is_empty() => {
                Err(wrong("names a host; write file:/// with three slashes and an absolute path"))
            }
            "file" if segments.is_empty() => Err(wrong("names no folder; write file:///FOLDER")),
            "file" => url.to_file_path().map(Self::Folder).map_err(|()| wrong("is no absolute path")),
            "az" if host.is_empty() => Err(wrong("names no container; write az://CONTAINER")),
            "az" => {
                let account = account.ok_or_else(|| {
                    wrong("names no account; set AZURE_STORAGE_ACCOUNT_NAME, or write https://ACCOUNT.blob.core.windows.net")
                })?;
                container(&host).map_err(&wrong)?;
                Ok(Self::Account {
                    account: account.to_owned(),
                    endpoint: format!("https://{account}.blob.core.windows.net"),
                    container: Some(host),
                    prefix: segments.join("/"),
                })
            }
            scheme @ ("https" | "http") => {
                let (account, endpoint) = if let Some((account, _)) = host.split_once(".blob.") {
                    if scheme == "http" {
                        return Err(wrong("is plain http, over which keys and data could be read; write https"));
                    }
                    (account.split('.').next().unwrap_or(account).to_owned(), format!("https://{}", authority(&url)))
                } else if host.contains(".dfs.") {
                    return Err(wrong(
                        "is the Data Lake endpoint; write the Blob one, https://ACCOUNT.blob.core.windows.net",
                    ));
                } else if segments.is_empty() {
                    return Err(wrong("names no account; write http://HOST:PORT/ACCOUNT for Azurite"));
                } else {
                    let account = segments.remove(0);
                    let endpoint = format!("{scheme}://{}/{account}", authority(&url));
                    (account, endpoint)
                };
                let container = if segments.is_empty() { None } else { Some(segments.remove(0)) };
                if let Some(name) = &container {
                    self::container(name).map_err(&wrong)?;
                }
                Ok(Self::Account { account, endpoint, container, prefix: segments.join("/") })
            }
            _ => Err(wrong(
                "has an unknown scheme; write https://ACCOUNT.blob.core.windows.net, az://CONTAINER or file:///FOLDER",
            )),
        }
    }
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The URL's path segments, decoded; a trailing slash counts for nothing.
fn segments(url: &Url) -> Option<Vec<String>> {
    let path = url.path().trim_matches('/');
    if path.is_empty() {
        return Some(Vec::new());
    }
    path.split('/')
        .map(|segment| {
            let text = percent_encoding::percent_decode_str(segment).decode_utf8().ok()?;
            let usable = !text.is_empty() && text != "." && text != ".." && !text.contains('/');
            usable.then(|| text.into_owned())
        })
        .collect()
}

/// Whether a text is a container's name.
///
/// # Errors
/// When it is none: what to write.
pub fn container(name: &str) -> Result<(), &'static str> {
    let fits = (3..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--");
    // Azure's own containers, such as $web, are named with a dollar.
    if fits || name.starts_with('$') {
        Ok(())
    } else {
        Err(
            "has no usable container name; containers have 3 to 63 of a-z, 0-9 and -, such as https://ACCOUNT.blob.core.windows.net/readings",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(account: &str, endpoint: &str, container: Option<&str>, prefix: &str) -> Location {
        Location::Account {
            account: account.into(),
            endpoint: endpoint.into(),
            container: container.map(Into::into),
            prefix: prefix.into(),
        }
    }

    #[test]
    fn every_form_of_url_is_understood() {
        for (url, location) in [
            ("file:///mnt/data", Location::Folder("/mnt/data".into())),
            ("https://acct.blob.core.windows.net", account("acct", "https://acct.blob.core.windows.net", None, "")),
            ("https://acct.blob.core.windows.net/", account("acct", "https://acct.blob.core.windows.net", None, "")),
            (
                "https://acct.blob.core.chinacloudapi.cn/data/a/b/",
                account("acct", "https://acct.blob.core.chinacloudapi.cn", Some("data"), "a/b"),
            ),
            (
                "https://acct.z01.blob.storage.azure.net/data",
                account("acct", "https://acct.z01.blob.storage.azure.net", Some("data"), ""),
            ),
            (
                "http://10.0.0.1:10000/devstoreaccount1",
                account("devstoreaccount1", "http://10.0.0.1:10000/devstoreaccount1", None, ""),
            ),
            (
                "http://localhost:10000/devstoreaccount1/data/x",
                account("devstoreaccount1", "http://localhost:10000/devstoreaccount1", Some("data"), "x"),
            ),
            ("az://data/x", account("env", "https://env.blob.core.windows.net", Some("data"), "x")),
        ] {
            assert_eq!(Location::parse(url, Some("env")).unwrap(), location, "{url}");
        }
    }

    #[test]
    fn a_url_that_cannot_work_says_what_to_write() {
        for (url, hint) in [
            ("data", "file:///FOLDER"),
            ("file://data/x", "three slashes"),
            ("http://acct.blob.core.windows.net", "write https"),
            ("http://localhost:10000", "names no account"),
            ("http://10.0.0.1", "names no account"),
            ("https://x.y", "names no account"),
            ("az://C", "container name"),
            ("file:///", "names no folder"),
            ("https://acct.dfs.core.windows.net/x", "Blob one"),
            ("https://acct.blob.core.windows.net/UPPER", "container name"),
            ("ftp://x/y", "unknown scheme"),
            ("az:///x", "names no container"),
        ] {
            let error = Location::parse(url, Some("env")).unwrap_err();
            assert!(error.to_string().contains(hint), "{url}: {error}");
        }
    }

    #[test]
    fn credentials_in_a_url_are_refused_and_not_repeated() {
        for url in [
            "https://acct.blob.core.windows.net/data?sv=1&sig=SECRET",
            "https://user:SECRET@acct.blob.core.windows.net",
            "https://acct.blob core/?sig=SECRET",
        ] {
            let error = Location::parse(url, None).unwrap_err();
            assert!(!error.to_string().contains("SECRET"), "{error}");
        }
    }
}
