//! The token endpoint: a projected ServiceAccount token in, a bearer for the Resource Manager API out, as Microsoft
//! Entra ID does it for federated credentials. Pure; the server asks the cluster whether the assertion is genuine.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use url::Url;

use super::error::ApiError;

/// The audience that federated tokens are made for.
pub(super) const AUDIENCE: &str = "api://AzureADTokenExchange";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Hosts whose scopes give access to Resource Manager, besides the address a client used.
const RESOURCES: &[&str] = &["management.azure.com", "management.core.windows.net"];

/// Who may get tokens.
#[derive(Debug, Clone)]
pub(super) struct Application {
    pub(super) tenant_id: String,
    pub(super) client_id: String,
    /// Subjects of the federated credentials.
    pub(super) subjects: Vec<String>,
}

/// A refusal in the form of OAuth, with Entra ID's codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) error: &'static str,
    pub(super) code: u32,
    pub(super) description: String,
}

impl Refusal {
    pub(super) fn new(status: u16, error: &'static str, code: u32, description: impl Into<String>) -> Self {
        Self { status, error, code, description: description.into() }
    }

    pub(super) fn body(&self, now: Timestamp) -> Value {
        json!({
            "error": self.error,
            "error_description": format!("AADSTS{}: {}", self.code, self.description),
            "error_codes": [self.code],
            "timestamp": now.to_string(),
        })
    }
}

/// A well-formed request for a token; its assertion is still to be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TokenRequest {
    pub(super) assertion: String,
    pub(super) scope: String,
}

impl TokenRequest {
    pub(super) fn parse(application: &Application, tenant: &str, form: &[u8]) -> Result<Self, Refusal> {
        let fields: HashMap<String, String> = url::form_urlencoded::parse(form).into_owned().collect();
        let field = |name: &str| {
            fields.get(name).filter(|value| !value.is_empty()).ok_or_else(|| {
                Refusal::new(
                    400,
                    "invalid_request",
                    900_144,
                    format!("The request body must contain the following parameter: '{name}'."),
                )
            })
        };
        if !tenant.eq_ignore_ascii_case(&application.tenant_id) {
            return Err(Refusal::new(400, "invalid_request", 90_002, format!("Tenant '{tenant}' not found.")));
        }
        if field("grant_type")? != "client_credentials" {
            return Err(Refusal::new(
                400,
                "unsupported_grant_type",
                70_003,
                "Only the grant type client_credentials is served here.",
            ));
        }
        let client = field("client_id")?;
        if !client.eq_ignore_ascii_case(&application.client_id) {
            return Err(Refusal::new(
                400,
                "unauthorized_client",
                700_016,
                format!("Application with identifier '{client}' was not found in the directory '{tenant}'."),
            ));
        }
        if field("client_assertion_type")? != ASSERTION_TYPE {
            return Err(Refusal::new(400, "invalid_request", 50_027, "client_assertion_type must be a JWT bearer."));
        }
        Ok(Self { assertion: field("client_assertion")?.clone(), scope: field("scope")?.clone() })
    }
}

/// Checks that a genuine assertion's subject has a federated credential.
pub(super) fn check_subject(application: &Application, subject: &str) -> Result<(), Refusal> {
    if application.subjects.iter().any(|allowed| allowed == subject) {
        return Ok(());
    }
    Err(Refusal::new(
        401,
        "invalid_client",
        700_213,
        format!("No matching federated identity record found for presented assertion subject '{subject}'."),
    ))
}

#[derive(Debug)]
struct Issued {
    subject: String,
    host: String,
    expires: Timestamp,
}

/// The bearers that were given out.
#[derive(Debug)]
pub(super) struct Tokens {
    issued: BTreeMap<String, Issued>,
    lifetime: Duration,
    rng: StdRng,
}

impl Tokens {
    pub(super) fn new(lifetime: Duration, rng: StdRng) -> Self {
        Self { issued: BTreeMap::new(), lifetime, rng }
    }

    /// Gives out a bearer for a scope such as `https://management.azure.com/.default`.
    pub(super) fn issue(&mut self, subject: &str, scope: &str, now: Timestamp) -> Result<Value, Refusal> {
        let wrong = || {
            Refusal::new(
                400,
                "invalid_scope",
                70_011,
                format!("The provided value for scope '{scope}' is not valid: it must end in /.default."),
            )
        };
        let resource = scope.strip_suffix(".default").ok_or_else(wrong)?;
        let host = Url::parse(resource).ok().and_then(|url| Some(url.host_str()?.to_owned())).ok_or_else(wrong)?;
        self.issued.retain(|_, issued| issued.expires > now);
        let bearer = URL_SAFE_NO_PAD.encode(self.rng.random::<[u8; 32]>());
        let lifetime = SignedDuration::try_from(self.lifetime).unwrap_or(SignedDuration::ZERO);
        let expires = now.saturating_add(lifetime).unwrap_or(now);
        self.issued.insert(bearer.clone(), Issued { subject: subject.to_owned(), host, expires });
        let seconds = self.lifetime.as_secs();
        Ok(json!({"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": bearer}))
    }

    /// Whose request this is, by its Authorization header.
    pub(super) fn check(
        &self,
        authorization: Option<&str>,
        own_host: &str,
        now: Timestamp,
    ) -> Result<String, ApiError> {
        let Some(authorization) = authorization else {
            return Err(ApiError::new(
                401,
                "AuthenticationFailed",
                "Authentication failed. The 'Authorization' header is missing.",
            ));
        };
        let bearer = authorization
            .split_once(' ')
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, bearer)| bearer.trim());
        let Some(issued) = bearer.and_then(|bearer| self.issued.get(bearer)) else {
            return Err(ApiError::new(401, "InvalidAuthenticationToken", "The access token is invalid."));
        };
        if issued.expires <= now {
            return Err(ApiError::new(
                401,
                "ExpiredAuthenticationToken",
                format!("The access token expired at {}, the current time is {now}.", issued.expires),
            ));
        }
        if !RESOURCES.contains(&issued.host.as_str()) && issued.host != own_host {
            return Err(ApiError::new(
                401,
                "InvalidAuthenticationTokenAudience",
                format!("The access token has been obtained for the wrong audience or resource '{}'.", issued.host),
            ));
        }
        Ok(issued.subject.clone())
    }
}

/// The OpenID configuration that some clients read before they ask for a token.
pub(super) fn openid_configuration(base: &str, tenant: &str) -> Value {
    json!({
        "issuer": format!("{base}/{tenant}/v2.0"),
        "token_endpoint": format!("{base}/{tenant}/oauth2/v2.0/token"),
        "authorization_endpoint": format!("{base}/{tenant}/oauth2/v2.0/authorize"),
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "response_types_supported": ["code"],
        "subject_types_supported": ["pairwise"],
        "scopes_supported": ["openid"],
    })
}

/// The instance discovery of MSAL clients.
pub(super) fn instance_discovery(base: &str, tenant: &str) -> Value {
    let host = base.trim_start_matches("https://");
    json!({
        "tenant_discovery_endpoint": format!("{base}/{tenant}/v2.0/.well-known/openid-configuration"),
        "api-version": "1.1",
        "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
    })
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    const SUBJECT: &str = "system:serviceaccount:batch-scoring:batch-scoring-operator";

    fn application() -> Application {
        Application { tenant_id: "tenant".into(), client_id: "client".into(), subjects: vec![SUBJECT.into()] }
    }

    fn form(change: &[(&str, &str)]) -> Vec<u8> {
        let mut fields = BTreeMap::from([
            ("grant_type", "client_credentials"),
            ("client_id", "client"),
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", "jwt"),
            ("scope", "https://management.azure.com/.default"),
        ]);
        fields.extend(change.iter().copied());
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into_bytes()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn a_request_must_name_the_tenant_the_client_and_an_assertion() {
        let code = |tenant: &str, change: &[(&str, &str)]| {
            TokenRequest::parse(&application(), tenant, &form(change))
                .map(|request| request.assertion)
                .map_err(|refusal| refusal.code)
        };
        assert_eq!(code("tenant", &[]), Ok("jwt".into()));
        assert_eq!(code("other", &[]), Err(90_002));
        assert_eq!(code("tenant", &[("client_id", "x")]), Err(700_016));
        assert_eq!(code("tenant", &[("client_assertion", "")]), Err(900_144));
        assert_eq!(code("tenant", &[("grant_type", "password")]), Err(70_003));
    }

    #[test]
    fn only_federated_subjects_get_tokens() {
        assert_eq!(check_subject(&application(), SUBJECT), Ok(()));
        let refusal = check_subject(&application(), "system:serviceaccount:default:default").unwrap_err();
        assert_eq!((refusal.status, refusal.code), (401, 700_213));
    }

    #[test]
    fn a_bearer_is_good_for_its_audience_until_it_expires() {
        let mut tokens = Tokens::new(Duration::from_secs(3600), StdRng::seed_from_u64(1));
        let bearer = |tokens: &mut Tokens, scope: &str| {
            format!("Bearer {}", tokens.issue(SUBJECT, scope, at(0)).unwrap()["access_token"].as_str().unwrap())
        };
        let good = bearer(&mut tokens, "https://management.azure.com/.default");
        let own = bearer(&mut tokens, "https://127.0.0.1:8443/.default");
        let storage = bearer(&mut tokens, "https://storage.azure.com/.default");
        let code = |authorization: Option<&str>, now| {
            tokens.check(authorization, "127.0.0.1", now).map_err(|error| error.code)
        };
        assert_eq!(code(Some(&good), at(3599)), Ok(SUBJECT.into()));
        assert_eq!(code(Some(&own), at(1)), Ok(SUBJECT.into()));
        assert_eq!(code(Some(&good), at(3600)), Err("ExpiredAuthenticationToken".into()));
        assert_eq!(code(Some(&storage), at(1)), Err("InvalidAuthenticationTokenAudience".into()));
        assert_eq!(code(Some("Bearer guessed"), at(1)), Err("InvalidAuthenticationToken".into()));
        assert_eq!(code(None, at(1)), Err("AuthenticationFailed".into()));
    }

    #[test]
    fn a_scope_without_default_is_refused() {
        let mut tokens = Tokens::new(Duration::from_secs(1), StdRng::seed_from_u64(1));
        assert_eq!(tokens.issue(SUBJECT, "https://management.azure.com/", at(0)).unwrap_err().code, 70_011);
    }
}
