//! What a store's URL means: a folder, an account with or without a container, or a bucket.

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
    /// A bucket, of which the URL does not tell where it answers.
    Bucket {
        /// Which service it is of.
        service: BucketService,
        /// Its name.
        bucket: String,
        /// The folder in the bucket; empty: all of it.
        prefix: String,
    },
}

/// The services that have buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketService {
    /// Amazon S3, or another that speaks as it does: MinIO, Ceph, …
    S3,
    /// Google Cloud Storage.
    Gcs,
}

const FORMS: &str =
    "write https://ACCOUNT.blob.core.windows.net, az://CONTAINER, s3://BUCKET, gs://BUCKET or file:///FOLDER";

impl Location {
    /// Reads a URL; `account` is that of `az://` URLs.
    ///
    /// # Errors
    /// When it names no place that a store can be at.
    pub fn parse(text: &str, account: Option<&str>) -> Result<Self, LocationError> {
        let shown = shown(text);
        let wrong = |why: &str| LocationError { url: shown.clone(), why: why.to_owned() };
        let url = Url::parse(text).map_err(|e| wrong(&format!("is no URL ({e}); {FORMS}")))?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("must not have a query; put a SAS token or key into a Secret, or into the environment"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("must not hold a user or password; put the credential into a Secret"));
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        let segments = segments(&url).filter(|_| !text.split('/').any(is_dots));
        let mut segments = segments.ok_or_else(|| wrong("has an empty, . or .. segment, or is no UTF-8"))?;
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
            "s3" => bucket(&url, BucketService::S3, &segments).map_err(&wrong),
            "gs" => bucket(&url, BucketService::Gcs, &segments).map_err(&wrong),
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
                } else if host.ends_with(".amazonaws.com") {
                    return Err(wrong("is an address of S3; write s3://BUCKET/PREFIX, and its region into AWS_REGION"));
                } else if host.ends_with("storage.googleapis.com") {
                    return Err(wrong("is an address of Google Cloud Storage; write gs://BUCKET/PREFIX"));
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
            _ => Err(wrong(&format!("has an unknown scheme; {FORMS}"))),
        }
    }
}

/// A URL for messages, without what may be a credential: its query, which may be a SAS token, and what is before an `@`.
fn shown(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    match text.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?.1))) {
        Some((scheme, rest)) => format!("{scheme}://…@{rest}"),
        None => text.to_owned(),
    }
}

fn bucket(url: &Url, service: BucketService, segments: &[String]) -> Result<Location, &'static str> {
    let name = url.host_str().unwrap_or_default();
    if name.is_empty() {
        return Err("names no bucket; write s3://BUCKET/PREFIX or gs://BUCKET/PREFIX");
    }
    if url.port().is_some() {
        return Err("has a port; write s3://BUCKET/PREFIX, and the server's address into AWS_ENDPOINT_URL");
    }
    match service {
        BucketService::S3 if name.ends_with("--x-s3") => {
            Err("is a directory bucket, which does not list by name; take a general purpose bucket")
        }
        BucketService::S3 if !is_s3_bucket(name) => {
            Err("has no usable bucket name; buckets of S3 have 3 to 63 of a-z, 0-9, - and . between letters or digits")
        }
        BucketService::Gcs if !is_gcs_bucket(name) => {
            Err("has no usable bucket name; buckets have 3 to 63 of a-z, 0-9, -, _ and . between letters or digits")
        }
        _ => Ok(Location::Bucket { service, bucket: name.to_owned(), prefix: segments.join("/") }),
    }
}

fn is_s3_bucket(name: &str) -> bool {
    name.len() <= 63 && !name.contains('_') && is_gcs_bucket(name)
}

fn is_gcs_bucket(name: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = name.as_bytes();
    // With dots a name may be that of a domain.
    (3..=222).contains(&bytes.len())
        && bytes.iter().all(|b| alphanumeric(*b) || b"-_.".contains(b))
        && bytes.first().is_some_and(|b| alphanumeric(*b))
        && bytes.last().is_some_and(|b| alphanumeric(*b))
        && name.split('.').all(|part| (1..=63).contains(&part.len()))
        && name.parse::<std::net::Ipv4Addr>().is_err()
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Whether it is a segment that a parser of URLs takes away.
fn is_dots(segment: &str) -> bool {
    matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
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
    fn a_bucket_is_named_with_a_folder_or_without() {
        for (url, service, name, inside) in [
            ("s3://plant", BucketService::S3, "plant", ""),
            ("s3://plant.example-1/a/b%20c/", BucketService::S3, "plant.example-1", "a/b c"),
            ("gs://plant_1/x", BucketService::Gcs, "plant_1", "x"),
        ] {
            let (bucket, prefix) = (name.to_owned(), inside.to_owned());
            assert_eq!(Location::parse(url, None).unwrap(), Location::Bucket { service, bucket, prefix }, "{url}");
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
            ("s3:///x", "names no bucket"),
            ("s3://plant/..", "empty, . or .. segment"),
            ("s3://plant/%2E/b", "empty, . or .. segment"),
            ("s3://Plant", "bucket name"),
            ("s3://a_b", "bucket name"),
            ("s3://10.0.0.1/b", "bucket name"),
            ("s3://a..b", "bucket name"),
            ("gs://-a", "bucket name"),
            ("s3://localhost:9000/b", "AWS_ENDPOINT_URL"),
            ("s3://b--use1-az4--x-s3", "directory bucket"),
            ("s3://plant/a%2Fb", ". or .. segment"),
            ("s3a://plant", "s3://BUCKET"),
            ("https://s3.eu-west-1.amazonaws.com/b", "write s3://BUCKET"),
            ("https://storage.googleapis.com/b", "write gs://BUCKET"),
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
            "s3://key:SECRET@plant",
            "s3://key:SECRET/more@plant/x",
        ] {
            let error = Location::parse(url, None).unwrap_err();
            assert!(!error.to_string().contains("SECRET"), "{error}");
        }
    }
}
