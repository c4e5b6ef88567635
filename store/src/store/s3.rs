//! S3: where a bucket is, and how its requests are authorised.

use std::sync::Arc;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, AwsCredentialProvider};
use url::Url;

use super::Store;
use super::remote::{Tokens, client_options, is_plain, retries, token_retries};
use crate::StoreError;
use crate::credentials::aws::{Aws, AwsMethod};
use crate::credentials::{MountedSecret, s3_secret};

impl Store {
    pub(super) fn s3(&self, bucket: &str) -> Result<AmazonS3, StoreError> {
        let aws = &self.inner.credentials.aws;
        let endpoint = aws.endpoint.as_deref().map(|url| self.endpoint(url)).transpose()?;
        if !is_plain(region(aws)) {
            return Err(self.invalid_credential("AWS_REGION is no name of a region, such as eu-west-1"));
        }
        // Every server knows paths; names of hosts have to be set up, and with dots have no certificate.
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(region(aws))
            .with_virtual_hosted_style_request(false)
            .with_retry(retries())
            .with_client_options(client_options(endpoint.as_ref().is_some_and(|url| url.scheme() == "http")))
            .with_http_connector(self.inner.connector.clone())
            .with_credentials(self.s3_credentials(aws)?);
        if let Some(url) = endpoint {
            builder = builder.with_endpoint(url);
        }
        builder.build().map_err(|e| self.invalid_credential(e.to_string()))
    }

    fn s3_credentials(&self, aws: &Aws) -> Result<AwsCredentialProvider, StoreError> {
        let secret_dir = self.inner.credentials.secret_dir.clone();
        if let Some(secret) = secret_dir.and_then(|dir| MountedSecret::new(dir, s3_secret)) {
            return Ok(Arc::new(secret));
        }
        // Nothing is asked of this bucket.
        let builder =
            AmazonS3Builder::new().with_bucket_name("identity").with_region(region(aws)).with_retry(token_retries());
        let builder = match &aws.method {
            AwsMethod::None => return Err(self.invalid_credential(NONE)),
            AwsMethod::Half(lacks) => {
                return Err(self.invalid_credential(format!("the access key lacks its other part: add {lacks}")));
            }
            AwsMethod::Odd(name) => {
                let why = "has a character that none has, such as a line break: copy it again";
                return Err(self.invalid_credential(format!("{name} {why}")));
            }
            AwsMethod::Keys(key) => {
                return Ok(Arc::new(object_store::StaticCredentialProvider::new(key.credential())));
            }
            AwsMethod::WebIdentity { role, token_file, session, endpoint } => {
                let builder = builder
                    .with_config(AmazonS3ConfigKey::RoleArn, role)
                    .with_config(AmazonS3ConfigKey::WebIdentityTokenFile, token_file);
                let session = session.as_deref().unwrap_or("batch-scoring");
                let builder = builder.with_config(AmazonS3ConfigKey::RoleSessionName, session);
                match endpoint {
                    Some(url) => builder.with_config(AmazonS3ConfigKey::StsEndpoint, url),
                    None => builder,
                }
            }
            AwsMethod::PodIdentity { uri, token_file } => builder
                .with_config(AmazonS3ConfigKey::ContainerCredentialsFullUri, uri)
                .with_config(AmazonS3ConfigKey::ContainerAuthorizationTokenFile, token_file),
            AwsMethod::Instance => builder,
        };
        let client = builder
            .with_http_connector(self.token_connector())
            .build()
            .map_err(|e| self.invalid_credential(e.to_string()))?;
        Ok(Arc::new(Tokens(Arc::clone(client.credentials()))))
    }

    /// The address of a server of one's own.
    fn endpoint(&self, text: &str) -> Result<Url, StoreError> {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        // It is not repeated: what is wrong with it may be a credential.
        let plain = |url: &Url| url.username().is_empty() && url.password().is_none() && url.query().is_none();
        url.filter(plain).ok_or_else(|| {
            self.invalid_credential("AWS_ENDPOINT_URL is no address; write https://HOST[:PORT] without user and query")
        })
    }
}

fn region(aws: &Aws) -> &str {
    aws.region.as_deref().unwrap_or("us-east-1")
}

const NONE: &str = "give a Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (store.secretRef, or --secret-dir), set \
                    these in the environment, give the ServiceAccount a role (AWS_ROLE_ARN and \
                    AWS_WEB_IDENTITY_TOKEN_FILE, or pod identity), or ask for that of the machine \
                    (AWS_EC2_METADATA_DISABLED=false)";

#[cfg(test)]
mod tests;
