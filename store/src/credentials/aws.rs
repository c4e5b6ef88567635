//! How S3 is asked, and where.

use std::path::Path;

use object_store::aws::AwsCredential;

use super::read;
use crate::StoreError;

const ID: &str = "AWS_ACCESS_KEY_ID";
const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
const TOKEN: &str = "AWS_SESSION_TOKEN";

/// What S3 needs beside a bucket's name.
#[derive(Clone, Default)]
pub(crate) struct Aws {
    pub(crate) method: AwsMethod,
    /// Absent: us-east-1, which servers of one's own take too.
    pub(crate) region: Option<String>,
    /// Absent: Amazon's.
    pub(crate) endpoint: Option<String>,
}

#[derive(Clone, Default)]
pub(crate) enum AwsMethod {
    #[default]
    None,
    Keys(AccessKey),
    /// An access key that lacks this part.
    Half(&'static str),
    /// One of which this part has a character that no such part has. Sent, it would be no header.
    Odd(&'static str),
    /// A role for the ServiceAccount of the pod.
    WebIdentity {
        role: String,
        token_file: String,
        session: Option<String>,
        /// Of the security token service.
        endpoint: Option<String>,
    },
    PodIdentity {
        uri: String,
        token_file: String,
    },
    /// The role of the machine.
    Instance,
}

#[derive(Clone)]
pub(crate) struct AccessKey {
    id: String,
    secret: String,
    token: Option<String>,
}

impl AccessKey {
    pub(crate) fn credential(&self) -> AwsCredential {
        AwsCredential { key_id: self.id.clone(), secret_key: self.secret.clone(), token: self.token.clone() }
    }
}

impl Aws {
    pub(super) fn is_none(&self) -> bool {
        matches!(self.method, AwsMethod::None)
    }

    pub(super) fn in_environment(env: &dyn Fn(&str) -> Option<String>) -> Self {
        let method = access_key(env(ID), env(SECRET), env(TOKEN));
        let method = if !matches!(method, AwsMethod::None) {
            method
        } else if let (Some(role), Some(token_file)) = (env("AWS_ROLE_ARN"), env("AWS_WEB_IDENTITY_TOKEN_FILE")) {
            let (session, endpoint) = (env("AWS_ROLE_SESSION_NAME"), env("AWS_ENDPOINT_URL_STS"));
            AwsMethod::WebIdentity { role, token_file, session, endpoint }
        } else if let (Some(uri), Some(token_file)) =
            (env("AWS_CONTAINER_CREDENTIALS_FULL_URI"), env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"))
        {
            AwsMethod::PodIdentity { uri, token_file }
        } else if env("AWS_EC2_METADATA_DISABLED").is_some_and(|off| off.eq_ignore_ascii_case("false")) {
            AwsMethod::Instance
        } else {
            AwsMethod::None
        };
        Self { method, region: region(env), endpoint: endpoint(env) }
    }

    /// In a mounted Secret; what is no credential may be in the environment instead.
    pub(super) fn in_secret(dir: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, StoreError> {
        let method = mounted(dir)?;
        let either = |name: &str| read(&dir.join(name)).ok().flatten().or_else(|| env(name));
        Ok(Self { method, region: region(&either), endpoint: endpoint(&either) })
    }
}

/// The access key in a mounted Secret.
pub(crate) fn mounted(dir: &Path) -> Result<AwsMethod, StoreError> {
    // Kubelet turns this link to a new folder when the Secret is changed: through it all files are of one version.
    let version = dir.join("..data").canonicalize().unwrap_or_else(|_| dir.to_owned());
    let get = |name| read(&version.join(name));
    Ok(access_key(get(ID)?, get(SECRET)?, get(TOKEN)?))
}

fn access_key(id: Option<String>, secret: Option<String>, token: Option<String>) -> AwsMethod {
    let is_odd = |part: &Option<String>| part.as_ref().is_some_and(|text| !text.bytes().all(|b| b.is_ascii_graphic()));
    if let Some((name, _)) = [(ID, &id), (SECRET, &secret), (TOKEN, &token)].into_iter().find(|(_, part)| is_odd(part))
    {
        return AwsMethod::Odd(name);
    }
    match (id, secret) {
        (Some(id), Some(secret)) => AwsMethod::Keys(AccessKey { id, secret, token }),
        (Some(_), None) => AwsMethod::Half(SECRET),
        (None, Some(_)) => AwsMethod::Half(ID),
        (None, None) => AwsMethod::None,
    }
}

fn region(get: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    get("AWS_REGION").or_else(|| get("AWS_DEFAULT_REGION"))
}

fn endpoint(get: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    get("AWS_ENDPOINT_URL_S3").or_else(|| get("AWS_ENDPOINT_URL"))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Vars = &'static [(&'static str, &'static str)];

    fn env(vars: Vars) -> impl Fn(&str) -> Option<String> {
        move |name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
    }

    const ROLE: Vars = &[("AWS_ROLE_ARN", "arn"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "/token")];

    #[test]
    fn a_key_comes_before_the_role_of_a_service_account_and_that_before_the_machine() {
        let of = |vars: Vec<Vars>| Aws::in_environment(&env(vars.concat().leak())).method;
        let key: Vars = &[("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")];
        let machine: Vars = &[("AWS_EC2_METADATA_DISABLED", "false")];
        assert!(matches!(of(vec![ROLE, key, machine]), AwsMethod::Keys(key) if key.id == "id" && key.token.is_none()));
        assert!(matches!(of(vec![ROLE, machine]), AwsMethod::WebIdentity { role, .. } if role == "arn"));
        assert!(matches!(of(vec![machine]), AwsMethod::Instance));
        assert!(matches!(of(vec![]), AwsMethod::None), "a laptop must not wait for it");
    }

    #[test]
    fn the_place_of_s3_may_be_in_the_secret_or_in_the_environment() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("AWS_ACCESS_KEY_ID", "id\n");
        write("AWS_SECRET_ACCESS_KEY", "secret\n");
        write("AWS_ENDPOINT_URL", "http://minio:9000\n");
        let env = env(&[("AWS_REGION", "eu-west-1"), ("AWS_ENDPOINT_URL", "http://other"), ("AWS_SESSION_TOKEN", "x")]);
        let aws = Aws::in_secret(dir.path(), &env).unwrap();
        assert_eq!((aws.region.as_deref(), aws.endpoint.as_deref()), (Some("eu-west-1"), Some("http://minio:9000")));
        assert!(matches!(aws.method, AwsMethod::Keys(key) if key.secret == "secret" && key.token.is_none()));
    }

    #[test]
    fn half_an_access_key_is_told_by_what_it_lacks() {
        let aws = Aws::in_environment(&env(&[("AWS_ACCESS_KEY_ID", "id")]));
        assert!(matches!(aws.method, AwsMethod::Half("AWS_SECRET_ACCESS_KEY")));
    }

    #[test]
    fn the_files_of_a_secret_are_read_of_one_version() {
        let dir = tempfile::tempdir().unwrap();
        for (version, id) in [("..1", "old"), ("..2", "new")] {
            std::fs::create_dir(dir.path().join(version)).unwrap();
            std::fs::write(dir.path().join(version).join("AWS_ACCESS_KEY_ID"), id).unwrap();
            std::fs::write(dir.path().join(version).join("AWS_SECRET_ACCESS_KEY"), "secret").unwrap();
        }
        std::os::unix::fs::symlink("..2", dir.path().join("..data")).unwrap();
        assert!(matches!(mounted(dir.path()).unwrap(), AwsMethod::Keys(key) if key.id == "new"));
    }
}
